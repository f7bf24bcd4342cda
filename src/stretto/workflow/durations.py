"""How long the tasks of a set take: what the scheduler may believe, and what the world draws.

A duration is a distribution over whole microseconds.  Its mean is the belief; `draw` is the truth
of one seed.  The generator is an argument, so the same seed gives the same durations whatever else
is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto.errors import WorkflowError
from stretto.units import seconds_to_us

__all__ = ["Constant", "Duration", "Lognormal", "Normal", "Sample", "duration_of", "observed"]

MOST_SAMPLES = 1_000_000


@dataclass(frozen=True, slots=True)
class Constant:
    """Every task takes `mean_us`."""

    mean_us: int

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:  # noqa: ARG002 - one signature for all
        """Return `count` durations in microseconds, shape ``(count,)``."""
        return np.full(count, self.mean_us, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal with mean `mean_us` and standard deviation `sd_us`, cut off at zero."""

    mean_us: int
    sd_us: int

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Return `count` durations in microseconds, shape ``(count,)``."""
        return _whole(rng.normal(self.mean_us, self.sd_us, count))


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Lognormal whose own mean is `mean_us` and standard deviation `sd_us`."""

    mean_us: int
    sd_us: int

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Return `count` durations in microseconds, shape ``(count,)``."""
        if self.mean_us == 0:
            return np.zeros(count, dtype=np.int64)
        variance = math.log1p((self.sd_us / self.mean_us) ** 2)
        mu = math.log(self.mean_us) - variance / 2
        return _whole(rng.lognormal(mu, math.sqrt(variance), count))


@dataclass(frozen=True, slots=True)
class Sample:
    """Durations that were observed, drawn from with replacement."""

    values_us: tuple[int, ...]

    @property
    def mean_us(self) -> int:
        """Mean of the observations."""
        return round(sum(self.values_us) / len(self.values_us))

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Return `count` durations in microseconds, shape ``(count,)``."""
        values = np.asarray(self.values_us, dtype=np.int64)
        return values[rng.integers(0, len(values), count)]


Duration = Constant | Normal | Lognormal | Sample


def duration_of(value: object) -> Duration | None:
    """Return the duration that a description means; `None` is a duration nobody knows.

    Parameters
    ----------
    value
        A number of seconds; ``{"mean": m, "sd": s}`` (normal); ``{"lognormal": {"mean": m,
        "sd": s}}``; ``{"sample": [...]}``; a `Duration`; or `None`.

    Raises
    ------
    WorkflowError
        If it is none of these, or a number in it is negative or not finite.
    """
    match value:
        case None | Constant() | Normal() | Lognormal() | Sample():
            return value
        case {"mean": mean, **rest} if set(rest) <= {"sd"}:
            return Normal(*_mean_and_sd(mean, rest.get("sd", 0)))
        case {"lognormal": {"mean": mean, **rest}, **others} if not others and set(rest) <= {"sd"}:
            return Lognormal(*_mean_and_sd(mean, rest.get("sd", 0)))
        case {"sample": list() | tuple() as values, **others} if not others:
            return _sample(values)
        case int() | float():
            return Constant(seconds_to_us(value))
        case _:
            raise WorkflowError(
                "expected seconds, {mean, sd}, {lognormal: {mean, sd}} or {sample: [...]}, "
                f"found {value!r}"
            )


def observed(values_us: Sequence[int], most: int) -> Duration:
    """Return observations as a duration: themselves, or a constant if they are all the same.

    Of more than `most` those at evenly spaced ranks are kept, the smallest and the largest among
    them, or the one in the middle.
    """
    values = sorted(values_us)
    if len(values) > most:
        last = len(values) - 1
        places = [last // 2] if most == 1 else [round(at * last / (most - 1)) for at in range(most)]
        values = [values[place] for place in places]
    return Constant(values[0]) if values[0] == values[-1] else Sample(tuple(values))


def _mean_and_sd(mean: Any, sd: Any) -> tuple[int, int]:
    return _at("mean", mean), _at("sd", sd)


def _sample(values: list[Any] | tuple[Any, ...]) -> Sample:
    if not 1 <= len(values) <= MOST_SAMPLES:
        raise WorkflowError(
            f"expected 1 to {MOST_SAMPLES} observations, found {len(values)}", path=("sample",)
        )
    return Sample(tuple(_at(number, value, "sample") for number, value in enumerate(values)))


def _at(key: str | int, value: Any, *outer: str) -> int:
    try:
        return seconds_to_us(value)
    except WorkflowError as error:
        raise error.within(*outer, key) from None


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.maximum(np.rint(values), 0).astype(np.int64)
