"""When tasks may be launched, by the dependencies of the description and by nothing else.

The scheduler counts what each task still lacks; here the same is said the other way round, over
whole iterations at once: from when every task *ended* follows when every other task was *free*.
The checker compares that with the launches, and its critical path is the same step repeated.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from stretto.analysis.serials import serials
from stretto.workflow import Dependency, Pattern, TaskSet, Workflow

__all__ = ["critical_path_us", "free_us", "given_us", "stage_of"]

Times = NDArray[np.int64]


def given_us(ended_us: Times, consumers: int, pattern: Pattern) -> Times:
    """Return when each consumer has all it needs of one producing set.

    Parameters
    ----------
    ended_us
        Ends of the producers, shape ``(..., producers)``.
    consumers
        Tasks of the consuming set.

    Returns
    -------
    array
        Shape ``(..., consumers)``.
    """
    producers = ended_us.shape[-1]
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
        case _:
            assert_never(pattern)


def free_us(
    workflow: Workflow,
    consumer: TaskSet,
    dependency: Dependency,
    ended_us: Times,
    *,
    whole_sets: bool,
) -> Times:
    """Return when one dependency lets the tasks of `consumer` go.

    Parameters
    ----------
    ended_us
        When each task of the workflow had finished, shape ``(tasks,)``.
    whole_sets
        Whether a set waits for whole sets, whatever the pattern.

    Returns
    -------
    array
        Shape ``(iterations, consumers)``; 0 where the loop is too young to wait.
    """
    pattern = Pattern.ALL if whole_sets else dependency.pattern
    given = given_us(_of_set(workflow, dependency.on, ended_us), consumer.tasks, pattern)
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


def critical_path_us(workflow: Workflow, durations_us: Times, *, mode: str) -> int:
    """Return the time below which no platform can go, in microseconds.

    It is the longest chain of tasks that wait for each other; in sequential mode the sum over the
    stages of their longest tasks (Eq. 2).

    Parameters
    ----------
    durations_us
        How long each task took, shape ``(tasks,)``.
    mode
        At what level tasks wait: for stages, sets or tasks.
    """
    if mode == "sequential":
        longest = np.zeros(workflow.iterations * len(workflow.stages), dtype=np.int64)
        np.maximum.at(longest, stage_of(workflow), durations_us)
        return int(longest.sum())
    ends = np.zeros((workflow.iterations, serials(workflow).per_iteration), dtype=np.int64)
    durations = durations_us.reshape(ends.shape)
    columns = _columns(workflow)
    # An earlier stage never waits for a later one, so the stages are an order to go by.
    order = [workflow[name] for stage in workflow.stages for name in stage]
    for iteration in range(workflow.iterations):
        for task_set in order:
            free = np.zeros(task_set.tasks, dtype=np.int64)
            for one in task_set.after:
                if iteration >= one.distance:
                    pattern = one.pattern if mode == "task-level" else Pattern.ALL
                    producers = ends[iteration - one.distance, columns[one.on]]
                    free = np.maximum(free, given_us(producers, task_set.tasks, pattern))
            own = columns[task_set.name]
            ends[iteration, own] = free + durations[iteration, own]
    return int(ends.max())


def _columns(workflow: Workflow) -> dict[str, slice]:
    numbers = serials(workflow)
    return {
        name: slice(int(first), int(first + count))
        for name, first, count in zip(numbers.names, numbers.firsts, numbers.counts, strict=True)
    }


def _of_set(workflow: Workflow, name: str, column: Times) -> Times:
    """Return the part of a column over all tasks that is one set's, ``(iterations, tasks)``."""
    return column.reshape(workflow.iterations, -1)[:, _columns(workflow)[name]]
