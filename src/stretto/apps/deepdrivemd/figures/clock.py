"""When a frame was made: in aggregate simulated time, and in wall time.

*Simulated*: the simulations of an iteration are thought of as going on side by side, iteration
after iteration.  A frame's time is all that had been simulated when it was made, itself included:
frames of iteration k are counted by their place in the trajectory, then by simulation.

*Wall*: from the start of the run's first task.  Between start and end of the attempt that left the
trajectory its frames are evenly spaced; those that an earlier attempt had made count as there when
it began.  What a run has from one that it continues was there at its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stretto import Trace
from stretto.apps.deepdrivemd.simulating.records import Record

__all__ = ["simulated_ps", "wall_s"]

SIMULATION = "simulation"
"""The task set whose tasks are the simulations."""

Names = NDArray[np.int64]
Records = Mapping[tuple[int, int], Record]


def simulated_ps(frames: Names, records: Records) -> NDArray[np.float64]:
    """Return the aggregate simulated time of each frame, in picoseconds; NaN without a record.

    Parameters
    ----------
    frames
        Iteration, simulation and frame, shape ``(n, 3)``.
    records
        Of all simulations, by iteration and number.
    """
    times = np.full(len(frames), np.nan)
    before_ps = 0.0
    for iteration in sorted({own for own, _ in records}):
        numbers = np.array(sorted(number for own, number in records if own == iteration))
        own = [records[iteration, number] for number in numbers.tolist()]
        lengths = np.array([one.frames for one in own])
        ps = np.array([one.ps_per_frame for one in own])
        rows = np.flatnonzero((frames[:, 0] == iteration) & np.isin(frames[:, 1], numbers))
        column = np.searchsorted(numbers, frames[rows, 1])
        there = (frames[rows, 2] >= 0) & (frames[rows, 2] < lengths[column])
        rows, column = rows[there], column[there]
        places, line = np.unique(frames[rows, 2], return_inverse=True)
        earlier = np.minimum(lengths, places[:, None]) @ ps
        side_by_side = np.cumsum((places[:, None] < lengths) * ps, axis=1)
        times[rows] = before_ps + earlier[line] + side_by_side[line, column]
        before_ps += float(lengths @ ps)
    return times


def wall_s(
    frames: Names, records: Records, trace: Trace | None, *, first: int
) -> NDArray[np.float64]:
    """Return when each frame was made, in seconds of the run; NaN where the trace does not say.

    Parameters
    ----------
    frames, records
        As for `simulated_ps`.
    trace
        Of the run.
    first
        Iterations that lie on disk and are not in the trace, since the run continues another.
    """
    times = np.full(len(frames), np.nan)
    if trace is None or not (trace.started_us >= 0).any():
        return times
    begin_us = int(trace.started_us[trace.started_us >= 0].min())
    times[frames[:, 0] < first] = 0.0
    firsts = {
        first + one.iteration: one.first_task
        for one in trace.expansion().instances
        if one.task_set.name == SIMULATION
    }
    for (iteration, number), record in records.items():
        if iteration not in firsts:
            continue
        span = _span_us(trace, firsts[iteration] + number, record)
        rows = np.flatnonzero((frames[:, 0] == iteration) & (frames[:, 1] == number))
        rows = rows[(frames[rows, 2] >= 0) & (frames[rows, 2] < record.frames)]
        if span is None or not len(rows):
            continue
        found = _found(record)
        made = np.clip((frames[rows, 2] + 1 - found) / max(record.frames - found, 1), 0, 1)
        times[rows] = (span[0] - begin_us + made * (span[1] - span[0])) / 1e6
    return times


def _span_us(trace: Trace, task: int, record: Record) -> tuple[int, int] | None:
    """Return start and end of the attempt that left the trajectory; `None` if it has none."""
    rows = np.flatnonzero((trace.task == task) & (trace.started_us >= 0) & (trace.ended_us >= 0))
    # Only who replaces the simulation says nothing of its attempt: then it was the last one.
    if "attempt" in record.model_fields_set:
        rows = rows[trace.attempt[rows] == record.attempt]
    if not len(rows):
        return None
    row = rows[trace.attempt[rows].argmax()]
    return int(trace.started_us[row]), int(trace.ended_us[row])


def _found(record: Record) -> int:
    """Return how many frames the attempt that left the trajectory found when it began."""
    last = record.resumed[-1] if record.resumed else None
    if last is None or last.attempt != record.attempt:
        return 0
    return min(last.frames, record.frames - 1)
