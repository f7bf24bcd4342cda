"""Repeat, take medians, print what was measured."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def machine() -> str:
    """Return a line about the machine."""
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, load {os.getloadavg()[0]:.2f}, Python {platform.python_version()}"


def median(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def spread(values: list[float], unit: str = "") -> str:
    """Return minimum, median and maximum as text."""
    low, middle, high = min(values), median(values), max(values)
    return f"{middle:,.4g}{unit} (from {low:,.4g} to {high:,.4g}, {len(values)} runs)"


def alternated(runs: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Return what each measure returned, the measures taking turns so that drift hits all alike."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(runs):
        for values, measure in zip(taken, measures, strict=True):
            values.append(measure())
    return taken


@contextmanager
def stopwatch(into: list[float]) -> Iterator[None]:
    """Append the seconds that the context took."""
    began = time.perf_counter()
    yield
    into.append(time.perf_counter() - began)


def kept(path: Path | None) -> list[dict[str, Any]]:
    """Return the runs that an earlier call has kept, as mappings."""
    if path is None or not path.exists():
        return []
    return list(json.loads(path.read_text(encoding="utf-8")))


def keep(runs: Sequence[Any], path: Path | None) -> None:
    """Keep named tuples, so that a call that is stopped is gone on with by the next."""
    if path is not None:
        rows = [one._asdict() for one in runs]
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
