"""How far a run has come: cells visited, least RMSD and most native contacts so far.

Each against aggregate simulated time, which says what the choice of starts is worth, and against
wall time, which says what it is worth to whoever waits.  A curve is a step function: its value
holds from its time on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.figures.cells import Visits, visits
from stretto.apps.deepdrivemd.figures.clock import simulated_ps, wall_s
from stretto.apps.deepdrivemd.figures.runs import RunFiles

__all__ = ["Curve", "Progress", "progress"]

Times = NDArray[np.float64]


class Curve(NamedTuple):
    """A step function of time; `values[i]` holds from `times[i]` on, the last time ends it."""

    times: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """How far a run has come, a curve a quantity; none where there are no such values.

    Quantities are ``cells``, ``rmsd_nm`` and ``native_contacts``.

    Parameters
    ----------
    by_simulated
        Against picoseconds of aggregate simulated time.
    by_wall
        Against seconds of wall time; without frames whose task the trace does not have.
    """

    by_simulated: Mapping[str, Curve]
    by_wall: Mapping[str, Curve]


def progress(run: RunFiles, space: str | None) -> Progress:
    """Return how far a run has come, coverage in the space that `cells.space_of` says."""
    visited = None if space is None else visits(run, space)
    by_simulated: dict[str, Curve] = {}
    by_wall: dict[str, Curve] = {}
    if visited is not None:
        for curves, times in _clocks(run, visited.frames, by_simulated, by_wall):
            curves["cells"] = _visited(times, visited)
    for name, sign in (("rmsd_nm", 1), ("native_contacts", -1)):
        values = None if run.seen is None else getattr(run.seen, name)
        if run.seen is None or values is None:
            continue
        for curves, times in _clocks(run, run.seen.frames, by_simulated, by_wall):
            curves[name] = _least(times, values, sign)
    return Progress(by_simulated, by_wall)


def _clocks(
    run: RunFiles,
    frames: NDArray[np.int64],
    by_simulated: dict[str, Curve],
    by_wall: dict[str, Curve],
) -> list[tuple[dict[str, Curve], Times]]:
    """Return the times of frames on both clocks, beside what is to be filled; the known ones."""
    clocks = (
        (by_simulated, simulated_ps(frames, run.records)),
        (by_wall, wall_s(frames, run.records, run.trace, first=run.first)),
    )
    return [(curves, times) for curves, times in clocks if np.isfinite(times).any()]


def _visited(times: Times, visited: Visits) -> Curve:
    order = _in_order(times)
    _, firsts = np.unique(visited.cells[order], return_index=True)
    new = np.bincount(firsts // visited.cells.shape[1], minlength=len(order))
    return _steps(times[order], np.cumsum(new).astype(np.float64))


def _least(times: Times, values: NDArray[np.float32], sign: int) -> Curve:
    order = _in_order(times)
    best = sign * np.minimum.accumulate(sign * values[order].astype(np.float64))
    return _steps(times[order], best)


def _in_order(times: Times) -> NDArray[np.int64]:
    known = np.flatnonzero(np.isfinite(times))
    return known[np.argsort(times[known], kind="stable")]


def _steps(times: Times, values: Times) -> Curve:
    """Return where a step function changes, and where it ends; of equal times the last counts."""
    last = np.append(times[1:] != times[:-1], True)
    times, values = times[last], values[last]
    kept = np.append(True, values[1:] != values[:-1])
    kept[-1] = True
    return Curve(times[kept], values[kept])
