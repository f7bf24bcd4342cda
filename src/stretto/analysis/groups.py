"""Whether sets that must run at once did: read from the columns of a trace and ``with`` alone.

In a group every attempt is one of all its tasks, in an iteration: launched at one instant, and
either finished by all or of no use.  So its results are there when the last of its tasks finished.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stretto.analysis.serials import Serials
from stretto.trace import Outcome, Trace

__all__ = ["finished_together_us", "group_tasks", "torn"]

Times = NDArray[np.int64]
BROKEN = (Outcome.FAILED, Outcome.LOST, Outcome.CANCELLED)


def finished_together_us(trace: Trace, numbers: Serials, finished_us: Times) -> Times:
    """Return when the results of each task were of use, from when each task finished.

    Parameters
    ----------
    finished_us
        Shape ``(tasks,)``, and so is what is returned.
    """
    together = finished_us.copy()
    for tasks in group_tasks(trace, numbers):
        together[tasks] = finished_us[tasks].max(axis=1, keepdims=True)
    return together


def torn(trace: Trace, numbers: Serials) -> dict[int, str]:
    """Return, by row, what is wrong with attempts of groups that were not made as one."""
    wrong: dict[int, str] = {}
    rows_of: dict[int, list[int]] = {}
    for row, task in enumerate(trace.task.tolist()):
        rows_of.setdefault(task, []).append(row)
    for iterations in group_tasks(trace, numbers):
        for tasks in iterations.tolist():
            rows = [row for task in tasks for row in rows_of.get(task, ())]
            attempts: dict[int, list[int]] = {}
            for row in rows:
                attempts.setdefault(int(trace.attempt[row]), []).append(row)
            for own in attempts.values():
                fault = _fault(trace, own, len(tasks))
                if fault is not None:
                    wrong[own[0]] = fault
    return wrong


def _fault(trace: Trace, rows: list[int], tasks: int) -> str | None:
    if len(rows) != tasks:
        return f"was launched with {len(rows)} of the {tasks} tasks that must run at once"
    if len({int(trace.launched_us[row]) for row in rows}) > 1:
        return "was not launched at one instant with those that it must run with"
    outcomes = {Outcome(int(trace.outcome[row])) for row in rows}
    broken = not outcomes.isdisjoint(BROKEN)
    if broken and Outcome.FINISHED in outcomes:
        return "runs at once with attempts that failed, and others that count as finished"
    if Outcome.REVOKED in outcomes and not broken:
        return "runs at once with attempts that were revoked, though none failed"
    return None


def group_tasks(trace: Trace, numbers: Serials) -> list[Times]:
    """Return the tasks of each group, shape ``(iterations, tasks of the group)``."""
    turns = np.arange(numbers.iterations, dtype=np.int64)[:, None] * numbers.per_iteration
    place = {name: at for at, name in enumerate(numbers.names)}
    found = []
    for group in dict.fromkeys(trace.workflow.groups.values()):
        places = [place[name] for name in group]
        within = [
            np.arange(numbers.counts[at], dtype=np.int64) + numbers.firsts[at] for at in places
        ]
        found.append(turns + np.concatenate(within)[None, :])
    return found
