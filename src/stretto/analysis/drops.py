"""Whether what was dropped had to be: worked out from the description and the results alone.

A task is useless from the first moment on at which

- a result has said that the loop has converged, in an earlier iteration;
- a result has said a number of tasks, and it is beyond that;
- it is beyond the number of tasks of the first iteration, where no result says one yet;
- enough of its set has finished for those who wait for it and would cancel the rest;
- nothing is left of what it uses (see `absences`).

No task may be dropped before, and none launched after a result made it useless.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stretto.analysis.absences import starved_us
from stretto.analysis.serials import Serials, serials
from stretto.analysis.waits import BY_TASK, NEVER_US, Ends, given_us
from stretto.trace import Trace
from stretto.workflow import Dependency, Stragglers, TaskSet

__all__ = ["drop_faults", "part_faults"]

Times = NDArray[np.int64]


def drop_faults(trace: Trace, ends: Ends) -> list[str]:
    """Return what is wrong with the drops of a trace, and with what results say, in sentences."""
    numbers = serials(trace.workflow)
    useless_us = _useless_us(trace, numbers)
    may_us = np.minimum(useless_us, _spare_us(trace, numbers, ends))
    may_us = np.minimum(may_us, starved_us(trace, ends))
    name = numbers.task_name
    found = [
        f"{name(task)} was dropped, and was wanted"
        for task, time_us in sorted(trace.dropped.items())
        if time_us < may_us[task]
    ]
    found += [
        f"{name(task)} has finished and was dropped"
        for task in sorted(trace.dropped)
        if ends.finished_us[task] < NEVER_US
    ]
    late = trace.launched_us > np.minimum(ends.gone_us, useless_us)[trace.task]
    found += [
        f"{name(task)} was launched when it was not wanted anymore"
        for task in trace.task[late].tolist()
    ]
    return found + _unsaid(trace, numbers, ends)


def part_faults(trace: Trace, ends: Ends) -> dict[int, str]:
    """Return by row what is wrong with the parts that are recorded for quorums."""
    numbers = serials(trace.workflow)
    by_quorum = {
        place: [one for one in task_set.after if one.quorum is not None]
        for place, task_set in enumerate(trace.workflow.task_sets)
    }
    if not any(by_quorum.values()):
        return {}
    wrong: dict[int, str] = {}
    off_us = np.minimum(_useless_us(trace, numbers), starved_us(trace, ends))
    iterations, places = numbers.iteration(trace.task), numbers.place(trace.task)
    for row, (iteration, place) in enumerate(zip(iterations, places, strict=True)):
        used = dict(trace.inputs.get(row, ()))
        for one in by_quorum[int(place)]:
            newest = int(iteration) - one.previous
            at = used.get(one.on, newest) if one.staleness else newest
            if at is not None and at >= 0:
                fault = _part_fault(trace, ends, off_us, row, one, at)
                if fault:
                    wrong[row] = fault
    return wrong


def _part_fault(
    trace: Trace, ends: Ends, off_us: Times, row: int, one: Dependency, at: int
) -> str | None:
    """Return what is wrong with the part of iteration `at` that an attempt is recorded to have.

    `off_us` is from when nobody could wait for each task; stragglers count as wanted.  A set that
    was forgiven failures counts as complete.
    """
    masks = [mask for on, used, mask in trace.present.get(row, ()) if (on, used) == (one.on, at)]
    if len(masks) != 1:
        return f"has no record of which tasks of {one.on}[{at}] had finished"
    producers = Ends(*(column[at] for column in ends.of(trace.workflow, one.on)))
    own = [number for number in range(len(producers.finished_us)) if masks[0] >> number & 1]
    launched_us = int(trace.launched_us[row])
    if (producers.finished_us[own] > launched_us).any():
        return f"is recorded with tasks of {one.on}[{at}] that had not finished"
    wanted = int((Ends(off_us, off_us).of(trace.workflow, one.on).gone_us[at] > launched_us).sum())
    if len(own) < one.needed(wanted) and not _forgiven(trace, one.on, at, launched_us):
        return f"is recorded with {len(own)} tasks of {one.on}[{at}], less than enough"
    return None


def _forgiven(trace: Trace, name: str, iteration: int, now_us: int) -> bool:
    """Return whether a set was forgiven that tasks of it failed."""
    names = serials(trace.workflow).names
    instance = iteration * len(names) + names.index(name)
    return any(one.instance == instance and one.time_us <= now_us for one in trace.pardons)


def _useless_us(trace: Trace, numbers: Serials) -> Times:
    """Return from when results, or the beginning, made each task useless, shape ``(tasks,)``."""
    useless = np.full((numbers.iterations, numbers.per_iteration), NEVER_US, dtype=np.int64)
    for task, told in trace.told.items():
        iteration = task // numbers.per_iteration
        if told.converged:
            _lower(useless, slice(iteration + 1, None), slice(None), told.time_us)
        if told.tasks is not None:
            for first, one, previous in _counted(trace, numbers, _set_of(numbers, task)):
                beyond = slice(first + told.tasks, first + one.tasks)
                at = iteration + previous
                _lower(useless, slice(at, at + 1), beyond, told.time_us)
    for source in numbers.names:
        for first, one, previous in _counted(trace, numbers, source):
            if previous and one.open_count is not None:
                beyond = slice(first + one.open_count.expected, first + one.tasks)
                _lower(useless, slice(0, 1), beyond, 0)
    return useless.reshape(-1)


def _lower(times: Times, rows: slice, columns: slice, to_us: int) -> None:
    """Lower a part of `times` to a moment, where it is later."""
    times[rows, columns] = np.minimum(times[rows, columns], to_us)


def _set_of(numbers: Serials, task: int) -> str:
    """Return the name of the set of a task."""
    return numbers.names[int(numbers.place(np.array([task]))[0])]


def _counted(trace: Trace, numbers: Serials, source: str) -> Iterator[tuple[int, TaskSet, bool]]:
    """Yield the sets whose number of tasks a source says: first task, set, whether the next one."""
    for place, one in enumerate(trace.workflow.task_sets):
        if one.open_count is not None and one.open_count.source == source:
            looks_back = all(each.previous for each in one.after if each.on == source)
            yield int(numbers.firsts[place]), one, looks_back


def _spare_us(trace: Trace, numbers: Serials, ends: Ends) -> Times:
    """Return from when a quorum made the rest of each set useless, shape ``(tasks,)``."""
    spare = np.full((numbers.iterations, numbers.per_iteration), NEVER_US, dtype=np.int64)
    if trace.mode in BY_TASK:
        for task_set in trace.workflow.task_sets:
            for one in task_set.after:
                if one.stragglers is not Stragglers.CANCEL:
                    continue
                place = numbers.names.index(one.on)
                first, count = int(numbers.firsts[place]), int(numbers.counts[place])
                producers = ends.of(trace.workflow, one.on)
                enough_us = given_us(producers, 1, one, whole_sets=False)
                # The last iterations have nobody who waits for them.
                used = slice(0, numbers.iterations - one.previous)
                spare[used, first : first + count] = enough_us[used]
    return spare.reshape(-1)


def _unsaid(trace: Trace, numbers: Serials, ends: Ends) -> list[str]:
    """Tell results that decide and say nothing, and what was said by others or too early."""
    workflow = trace.workflow
    loop = workflow.open_loop
    sources = {one.open_count.source for one in workflow.task_sets if one.open_count is not None}
    found = []
    for task, told in sorted(trace.told.items()):
        name = _set_of(numbers, task)
        decides = (loop is not None and name == loop.until) or name in sources
        if not decides or told.time_us < ends.finished_us[task]:
            found.append(f"{numbers.task_name(task)} said how to go on, which was not its turn")
    if loop is not None:
        first = int(numbers.firsts[numbers.names.index(loop.until)])
        judges = range(first, numbers.n_tasks, numbers.per_iteration)
        found += [
            f"{numbers.task_name(task)} has not said whether the loop has converged"
            for task in judges
            if ends.finished_us[task] < NEVER_US and task not in trace.told
        ]
    return found
