"""When tasks may be launched, by the dependencies of the description and by nothing else.

The scheduler counts what each task still lacks; here the same is said the other way round, over
whole iterations at once: from when every task *ended* follows when every other task was *free*.
The checker compares that with the launches, and its critical path is the same step repeated.

A task that was dropped, or forgiven that it failed, is *gone*: from then on nobody waits for it.
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

import numpy as np
from numpy.typing import NDArray

from stretto.analysis.serials import serials
from stretto.workflow import Dependency, Pattern, TaskSet, Workflow

__all__ = [
    "BY_TASK",
    "NEVER_US",
    "Ends",
    "critical_path_us",
    "free_us",
    "given_us",
    "lacking_us",
    "stage_of",
    "there_us",
]

NEVER_US = np.iinfo(np.int64).max // 4

BY_TASK = ("task-level", "adaptive")
"""Modes in which tasks wait for single tasks."""

Times = NDArray[np.int64]


class Ends(NamedTuple):
    """When tasks had finished, and when they were gone; `NEVER_US` where they were not."""

    finished_us: Times
    gone_us: Times

    @property
    def settled_us(self) -> Times:
        """When nobody waited for them anymore."""
        return np.minimum(self.finished_us, self.gone_us)

    def of(self, workflow: Workflow, name: str) -> Ends:
        """Return the part over one set of columns over all tasks, ``(iterations, tasks)``."""
        return Ends(*(_of_set(workflow, name, column) for column in self))


def given_us(ends: Ends, consumers: int, how: Dependency, *, whole_sets: bool) -> Times:
    """Return when each consumer has all it needs of one producing set.

    Parameters
    ----------
    ends
        Those of the producers, shape ``(..., producers)``.
    consumers
        Tasks of the consuming set.
    how
        How they wait.
    whole_sets
        Whether a set waits for whole sets, whatever the pattern.

    Returns
    -------
    array
        Shape ``(..., consumers)``.
    """
    ended_us = ends.settled_us
    producers = ended_us.shape[-1]
    pattern = Pattern.ALL if whole_sets else how.pattern
    match pattern:
        case Pattern.ALL:
            latest = ended_us.max(axis=-1, keepdims=True)
            return np.broadcast_to(latest, (*ended_us.shape[:-1], consumers))
        case Pattern.EACH:
            return ended_us
        case Pattern.GROUP:
            block = np.arange(producers) * consumers // producers
            firsts = np.searchsorted(block, np.arange(consumers))
            return np.asarray(np.maximum.reduceat(ended_us, firsts, axis=-1))
        case Pattern.QUORUM:
            enough = np.apply_along_axis(
                lambda both: _quorum_us(Ends(*np.split(both, 2)), how),
                -1,
                np.concatenate(ends, axis=-1),
            )[..., np.newaxis]
            return np.broadcast_to(enough, (*ended_us.shape[:-1], consumers))
        case _:
            assert_never(pattern)


def there_us(ends: Ends, consumers: int, how: Dependency, *, whole_sets: bool) -> Times:
    """Return when each consumer can use the results of one producing set, as `given_us` does.

    Where it waits for single tasks and all of them are gone, there is nothing to use.
    """
    given = given_us(ends, consumers, how, whole_sets=whole_sets)
    if whole_sets or how.pattern not in (Pattern.EACH, Pattern.GROUP):
        return given
    return np.where(lacking_us(ends, consumers, how) < NEVER_US, NEVER_US, given)


def lacking_us(ends: Ends, consumers: int, how: Dependency) -> Times:
    """Return when all was gone that each consumer uses of one producing set, if ever."""
    gone = Ends(ends.gone_us, ends.gone_us)
    return given_us(gone, consumers, how, whole_sets=False)


def _quorum_us(ends: Ends, how: Dependency) -> int:
    """Return the first moment at which enough tasks of those had finished that were wanted."""
    moments = np.unique(np.concatenate(ends))
    finished, gone = (np.searchsorted(np.sort(one), moments, side="right") for one in ends)
    wanted = (len(ends.finished_us) - gone).tolist()
    needed = np.array([how.needed(tasks) for tasks in wanted])
    return int(moments[np.flatnonzero((finished >= needed) | (moments >= NEVER_US))[0]])


def free_us(
    workflow: Workflow,
    consumer: TaskSet,
    dependency: Dependency,
    ends: Ends,
    *,
    whole_sets: bool,
) -> Times:
    """Return when one dependency lets the tasks of `consumer` go.

    Parameters
    ----------
    ends
        Those of all tasks of the workflow, shape ``(tasks,)``.
    whole_sets
        Whether a set waits for whole sets, whatever the pattern.

    Returns
    -------
    array
        Shape ``(iterations, consumers)``; 0 where the loop is too young to wait.
    """
    producers = ends.of(workflow, dependency.on)
    given = given_us(producers, consumer.tasks, dependency, whole_sets=whole_sets)
    free = np.zeros((workflow.iterations, consumer.tasks), dtype=np.int64)
    free[dependency.distance :] = given[: max(0, workflow.iterations - dependency.distance)]
    return free


def stage_of(workflow: Workflow) -> Times:
    """Return the stage of each task, counted over all iterations, shape ``(tasks,)``."""
    stages = {name: number for number, stage in enumerate(workflow.stages) for name in stage}
    one = np.concatenate(
        [np.full(each.tasks, stages[each.name], dtype=np.int64) for each in workflow.task_sets]
    )
    turns = np.arange(workflow.iterations, dtype=np.int64) * len(workflow.stages)
    stage: Times = np.add.outer(turns, one).reshape(-1)
    return stage


def critical_path_us(
    workflow: Workflow, durations_us: Times, dropped: NDArray[np.bool_], *, mode: str
) -> int:
    """Return the time below which no platform can go, in microseconds.

    It is the longest chain of tasks that wait for each other; in sequential mode the sum over the
    stages of their longest tasks (Eq. 2).

    Parameters
    ----------
    durations_us
        How long each task took, shape ``(tasks,)``; 0 for one that was dropped.
    dropped
        Which tasks were dropped: nobody waits for them.
    mode
        At what level tasks wait: for stages, sets or tasks.
    """
    if mode == "sequential":
        longest = np.zeros(workflow.iterations * len(workflow.stages), dtype=np.int64)
        np.maximum.at(longest, stage_of(workflow), durations_us)
        return int(longest.sum())
    ends_us = np.zeros((workflow.iterations, serials(workflow).per_iteration), dtype=np.int64)
    durations = durations_us.reshape(ends_us.shape)
    gone = dropped.reshape(ends_us.shape)
    gone_us = np.where(gone, 0, NEVER_US)
    columns = _columns(workflow)
    # An earlier stage never waits for a later one, so the stages are an order to go by.
    order = [workflow[name] for stage in workflow.stages for name in stage]
    for iteration in range(workflow.iterations):
        for task_set in order:
            free = np.zeros(task_set.tasks, dtype=np.int64)
            for one in task_set.after:
                if iteration >= one.distance:
                    producers = iteration - one.distance, columns[one.on]
                    given = given_us(
                        Ends(ends_us[producers], gone_us[producers]),
                        task_set.tasks,
                        one,
                        whole_sets=mode not in BY_TASK,
                    )
                    free = np.maximum(free, given)
            own = iteration, columns[task_set.name]
            ends_us[own] = np.where(gone[own], NEVER_US, free + durations[own])
    return int(ends_us[~gone].max(initial=0))


def _columns(workflow: Workflow) -> dict[str, slice]:
    numbers = serials(workflow)
    return {
        name: slice(int(first), int(first + count))
        for name, first, count in zip(numbers.names, numbers.firsts, numbers.counts, strict=True)
    }


def _of_set(workflow: Workflow, name: str, column: Times) -> Times:
    """Return the part of a column over all tasks that is one set's, ``(iterations, tasks)``."""
    return column.reshape(workflow.iterations, -1)[:, _columns(workflow)[name]]
