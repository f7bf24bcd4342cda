"""Tasks and nodes that are not there: what a trace may do without, and what it may not do then.

What budgets allow, and who has nothing to go on with, is worked out here from the description, the
attempts and the times alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stretto.analysis.groups import group_tasks
from stretto.analysis.serials import Serials, serials
from stretto.analysis.waits import NEVER_US, Ends, lacking_us
from stretto.trace import UNKNOWN_US, Outcome, Trace
from stretto.workflow import Budget, Pattern

__all__ = ["on_lost_nodes", "pardoned_us", "starved_us", "without_input", "wrong_pardons"]

Times = NDArray[np.int64]


def pardoned_us(trace: Trace, numbers: Serials, finished_us: Times) -> Times:
    """Return since when each task that failed was forgiven, shape ``(tasks,)``.

    Parameters
    ----------
    finished_us
        When each task finished; `NEVER_US` for those that did not.
    """
    pardoned = np.full(numbers.n_tasks, NEVER_US, dtype=np.int64)
    for instance, time_us in trace.pardons:
        tasks = _tasks(numbers, instance)
        pardoned[tasks] = np.where(finished_us[tasks] < NEVER_US, NEVER_US, time_us)
    pardoned[list(trace.dropped)] = NEVER_US
    return pardoned


def starved_us(trace: Trace, ends: Ends) -> Times:
    """Return from when each task had no input left and so could be dropped, shape ``(tasks,)``.

    That is so once all is gone that it uses of a set from which it uses single results, or what
    would say whether it is wanted; what must run at once is dropped together.
    """
    numbers = serials(trace.workflow)
    starved = np.full((numbers.iterations, numbers.per_iteration), NEVER_US, dtype=np.int64)
    for _, place, distance, lacking in _lacks(trace, ends):
        first = int(numbers.firsts[place])
        own = starved[distance:, first : first + int(numbers.counts[place])]
        np.minimum(own, lacking[: max(0, numbers.iterations - distance)], out=own)
    flat = starved.reshape(-1)
    for tasks in group_tasks(trace, numbers):
        gone = np.minimum(flat, ends.gone_us)[tasks]
        flat[tasks] = gone.min(axis=1, keepdims=True)
    return flat


def without_input(trace: Trace, ends: Ends) -> dict[int, str]:
    """Return by row, for what was launched without input, the set of which it had nothing."""
    numbers = serials(trace.workflow)
    iterations, places = numbers.iteration(trace.task), numbers.place(trace.task)
    own = trace.task % numbers.per_iteration - numbers.firsts[places]
    found: dict[int, str] = {}
    for on, place, distance, lacking in _lacks(trace, ends):
        rows = np.flatnonzero((places == place) & (iterations >= distance))
        lost = lacking[iterations[rows] - distance, own[rows]] < NEVER_US
        found.update(dict.fromkeys(rows[lost].tolist(), on))
    return found


def wrong_pardons(trace: Trace, finished_us: Times) -> Iterator[str]:
    """Yield sets that were forgiven more than their budget allows, or before all had ended."""
    numbers = serials(trace.workflow)
    last = _last_rows(trace, numbers.n_tasks)
    for instance, time_us in trace.pardons:
        iteration, place = divmod(instance, len(numbers.names))
        name = f"{numbers.names[place]}[{iteration}]"
        tasks = _tasks(numbers, instance)
        wanted = [task for task in range(tasks.start, tasks.stop) if task not in trace.dropped]
        failed = [task for task in wanted if finished_us[task] >= NEVER_US]
        budget: Budget = trace.workflow.task_sets[place].failures
        if not 0 < len(failed) <= budget.of(len(wanted)):
            yield (
                f"{name} was forgiven {len(failed)} failures of {len(wanted)} tasks, "
                f"{budget.of(len(wanted))} are allowed"
            )
        for task in wanted:
            row = last[task]
            if row < 0 or not 0 <= trace.ended_us[row] <= time_us:
                yield f"{name} was forgiven before {numbers.task_name(task)} had ended"
            elif task in failed and trace.outcome[row] != Outcome.FAILED:
                yield f"{name} was forgiven {numbers.task_name(task)}, which did not fail"


def on_lost_nodes(trace: Trace) -> dict[int, str]:
    """Return, by row, the lost node on which an attempt was launched or still was."""
    found: dict[int, str] = {}
    for node, lost_us, returned_us in trace.outages:
        back_us = NEVER_US if returned_us is None else returned_us
        for row, slots in enumerate(trace.placements):
            if any(slot.node == node for slot in slots):
                launched_us, ended_us = int(trace.launched_us[row]), int(trace.ended_us[row])
                ends_us = NEVER_US if ended_us == UNKNOWN_US else ended_us
                began_there = lost_us < launched_us < back_us
                if began_there or (launched_us < back_us and ends_us > lost_us):
                    found[row] = trace.platform.nodes[node].name
    return found


def _lacks(trace: Trace, ends: Ends) -> Iterator[tuple[str, int, int, Times]]:
    """Yield what a set cannot do without, and when that was gone.

    That is the name of the set it uses, its own place, the iterations between the two, and times
    of shape ``(iterations of what it uses, own tasks)``.
    """
    workflow = trace.workflow
    for place, task_set in enumerate(workflow.task_sets):
        for one in task_set.after:
            if one.pattern in (Pattern.EACH, Pattern.GROUP) and not one.staleness:
                producers = ends.of(workflow, one.on)
                yield one.on, place, one.distance, lacking_us(producers, task_set.tasks, one)
        if task_set.open_count is not None:
            source = task_set.open_count.source
            behind = min(one.distance for one in task_set.after if one.on == source)
            gone_us = ends.of(workflow, source).gone_us
            yield source, place, behind, np.repeat(gone_us, task_set.tasks, axis=1)


def _tasks(numbers: Serials, instance: int) -> slice:
    iteration, place = divmod(instance, len(numbers.names))
    first = iteration * numbers.per_iteration + int(numbers.firsts[place])
    return slice(first, first + int(numbers.counts[place]))


def _last_rows(trace: Trace, n_tasks: int) -> Times:
    """Return the row of each task's last attempt, -1 if there is none."""
    last = np.full(n_tasks, -1, dtype=np.int64)
    order = np.argsort(trace.attempt, kind="stable")
    last[trace.task[order]] = order
    return last
