"""Axes: ticks at round numbers, and times in the unit a reader expects."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["TimeAxis", "amount_ticks", "duration", "time_axis"]

_LADDER = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_UNITS = ((1, "µs"), (1_000, "ms"), (1_000_000, "s"), (60_000_000, "min"), (3_600_000_000, "h"))
# Sixties are divided as clocks are; above, hours go by twelve and by days.
_CLOCK = (1, 2, 5, 10, 15, 30, 60, 120, 180)
_LONGEST_US = (2_000, 2_000_000, 3_000_000_000, 18_000_000_000)


class TimeAxis(NamedTuple):
    """A time axis from 0 to `span_us`.

    Parameters
    ----------
    unit
        Such as ``"s"``.
    ticks
        Position from 0 to 1, and its label.
    """

    span_us: int
    unit: str
    ticks: tuple[tuple[float, str], ...]


def _unit(us: float) -> tuple[int, str]:
    """Return the unit for times up to `us`: its length in microseconds and its name."""
    above = sum(us > longest for longest in _LONGEST_US)
    return _UNITS[above]


def duration(us: float) -> str:
    """Return a length of time for people, with three or four digits: ``"38.2 s"``, ``"1373 s"``."""
    if us < 999.5:
        return f"{us:.0f} \N{MICRO SIGN}s" if us >= 0.5 else "0 s"
    if us < 999_500:
        return f"{us / 1000:.3g} ms"
    length_us, name = _unit(max(us, 2_000_001))
    value = us / length_us
    digits = 0 if value >= 1000 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {name}"


def time_axis(span_us: int, *, at_most: int = 10) -> TimeAxis:
    """Return an axis from 0 to `span_us` with up to `at_most` ticks beside the first."""
    length_us, name = _unit(span_us)
    ladder = _CLOCK if name == "min" else _decades()
    value = span_us / length_us
    step = next((one for one in ladder if value / one <= at_most), None)
    if not value or step is None:
        return TimeAxis(span_us, name, ((0.0, "0"),))
    count = int(value / step + 1e-9)
    return TimeAxis(
        span_us,
        name,
        tuple((tick * step / value, f"{tick * step:g}") for tick in range(count + 1)),
    )


def amount_ticks(most: int, *, at_most: int = 4) -> tuple[int, ...]:
    """Return round whole amounts from 0 to `most`, at most so many beside 0."""
    step = next(one for one in _decades() if one >= 1 and most / one <= at_most)
    return tuple(range(0, most + 1, int(step)))


def _decades() -> tuple[float, ...]:
    return tuple(
        one * scale for scale in (0.001, 1, 1_000, 1_000_000, 1_000_000_000) for one in _LADDER
    )
