"""Integers inside, floats at the edges: microseconds, MiB, thousandths of a GPU."""

from __future__ import annotations

import math
import re

from stretto.errors import WorkflowError

__all__ = [
    "GPU_MILLI",
    "US_PER_SECOND",
    "check_name",
    "counted",
    "gpus_to_milli",
    "memory_to_mib",
    "seconds_to_us",
    "span_to_us",
    "us_to_seconds",
    "whole_number",
]

US_PER_SECOND = 1_000_000
GPU_MILLI = 1000
"""Thousandths in a whole GPU."""

LONGEST_SECONDS = 10 * 365 * 86_400
"""Limit on any duration: ten years."""

MOST_MIB = 1 << 40
"""Limit on any amount of memory."""

_MIB_PER_UNIT = {
    "": 1.0,
    "kib": 1 / 1024,
    "mib": 1.0,
    "gib": 1024.0,
    "tib": 1024.0**2,
    "kb": 1e3 / 2**20,
    "mb": 1e6 / 2**20,
    "gb": 1e9 / 2**20,
    "tb": 1e12 / 2**20,
}
_NUMBER = r"(\d+(?:\.\d+)?)"
_SPAN = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s?)?")
_CLOCK = re.compile(r"\d+:[0-5]?\d(?::[0-5]?\d(?:\.\d+)?)?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_MEMORY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")


def seconds_to_us(seconds: float) -> int:
    """Return `seconds` as whole microseconds.

    Raises
    ------
    WorkflowError
        If `seconds` is not a finite number from 0 to ten years.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise WorkflowError(f"expected a number of seconds, found {seconds!r}")
    if not _is_finite(seconds):
        raise WorkflowError(f"expected a finite number of seconds, found {seconds}")
    if not 0 <= seconds <= LONGEST_SECONDS:
        raise WorkflowError(f"expected 0 to {LONGEST_SECONDS} seconds, found {seconds}")
    return round(seconds * US_PER_SECOND)


def span_to_us(span: float | str) -> int:
    """Return a span of time as whole microseconds.

    Parameters
    ----------
    span
        Seconds as a number; or text such as ``"90"``, ``"90s"``, ``"2h30m"``, ``"1:30:00"``.

    Raises
    ------
    WorkflowError
        If it is none of these, or beyond ten years.
    """
    if not isinstance(span, str):
        return seconds_to_us(span)
    text = span.strip().lower()
    if clock := _CLOCK.fullmatch(text):
        parts = [float(one) for one in clock[0].split(":")]
        return seconds_to_us(sum(one * 60**power for power, one in enumerate(reversed(parts))))
    match = _SPAN.fullmatch(text)
    if match is None or not text:
        raise WorkflowError(
            f"expected seconds, or text such as 90s, 2h30m or 1:30:00, found {span!r}"
        )
    factors = (86_400, 3600, 60, 1)
    return seconds_to_us(
        sum(float(one) * factor for one, factor in zip(match.groups(), factors, strict=True) if one)
    )


def us_to_seconds(us: int) -> float:
    """Return microseconds as seconds."""
    return us / US_PER_SECOND


def gpus_to_milli(gpus: float) -> int:
    """Return a number of GPUs in thousandths: whole GPUs, or a fraction below one.

    Raises
    ------
    WorkflowError
        If `gpus` is negative, not finite, or above one and not whole.
    """
    if isinstance(gpus, bool) or not isinstance(gpus, int | float) or not _is_finite(gpus):
        raise WorkflowError(f"expected a number of GPUs, found {gpus!r}")
    milli = round(gpus * GPU_MILLI)
    if milli < 0 or (milli == 0 and gpus != 0):
        raise WorkflowError(f"expected 0, at least 0.001, or whole GPUs, found {gpus:g}")
    if milli > GPU_MILLI and milli % GPU_MILLI:
        raise WorkflowError(f"expected whole GPUs, or a fraction of one, found {gpus:g}")
    return milli


def memory_to_mib(memory: float | str) -> int:
    """Return an amount of memory in MiB, rounded up.

    Parameters
    ----------
    memory
        MiB as a number, or text such as ``"4 GiB"`` or ``"512MB"``.
    """
    if isinstance(memory, bool) or not isinstance(memory, str | int | float):
        raise WorkflowError(f"expected an amount of memory, found {memory!r}")
    if isinstance(memory, str):
        match = _MEMORY.fullmatch(memory)
        if match is None or match[2].lower() not in _MIB_PER_UNIT:
            raise WorkflowError(f"expected MiB, or text such as '4 GiB', found {memory!r}")
        mib = float(match[1]) * _MIB_PER_UNIT[match[2].lower()]
    else:
        mib = memory
    if not _is_finite(mib) or not 0 <= mib <= MOST_MIB:
        raise WorkflowError(f"expected memory of 0 to {MOST_MIB} MiB, found {memory!r}")
    return math.ceil(mib)


def _is_finite(number: float) -> bool:
    """Return whether a float holds it; whole numbers of Python's grow beyond."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def counted(number: int, thing: str) -> str:
    """Return a number of things in words, such as ``1 retry``, ``2 retries`` or ``2 keys``."""
    if number == 1:
        return f"1 {thing}"
    if thing.endswith("y") and thing[-2:-1] not in "aeiou":
        return f"{number} {thing[:-1]}ies"
    return f"{number} {thing}s"


def whole_number(name: str, value: object, least: int, most: int) -> int:
    """Return `value` if it is a whole number from `least` to `most`.

    Raises
    ------
    WorkflowError
        If it is not; its path is `name`.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise WorkflowError(f"expected a whole number, found {value!r}", path=(name,))
    if not least <= value <= most:
        raise WorkflowError(f"expected {least} to {most}, found {value}", path=(name,))
    return value


def check_name(name: object, *, key: str = "name") -> str:
    """Return `name` if it can name a workflow, a task set or a resource; it may name files too.

    Raises
    ------
    WorkflowError
        If it cannot; its path is `key`.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise WorkflowError(
            "expected up to 64 letters, digits, _ or -, beginning with a letter or _, "
            f"found {name!r}",
            path=(key,),
        )
    return name
