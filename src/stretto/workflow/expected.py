"""What is to be expected of a workflow of which results decide something, and what is certain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stretto.workflow.dependencies import Dependency
from stretto.workflow.quorums import Stragglers
from stretto.workflow.task_set import TaskSet, changed

__all__ = ["expected_sets", "least_tasks"]


def expected_sets(task_sets: Sequence[TaskSet]) -> list[TaskSet]:
    """Return the sets with as many tasks as are expected, and quorums of no more than that."""
    counts = {one.name: one.open_count for one in task_sets if one.open_count is not None}
    expected = {name: count.expected for name, count in counts.items()}
    return [
        changed(
            one,
            tasks=expected.get(one.name, one.tasks),
            open_count=None,
            after=tuple(_within(each, expected.get(each.on)) for each in one.after),
        )
        for one in task_sets
    ]


def least_tasks(task_sets: Sequence[TaskSet]) -> tuple[int, ...]:
    """Return how many tasks of each set run even if all stragglers are cancelled."""
    every = {one.name: one.tasks for one in task_sets}
    least = every.copy()
    for task_set in task_sets:
        for one in task_set.after:
            if one.stragglers is Stragglers.CANCEL:
                least[one.on] = min(least[one.on], one.needed(every[one.on]))
    return tuple(least.values())


def _within(dependency: Dependency, tasks: int | None) -> Dependency:
    """Return a dependency whose quorum is no more than the tasks that are expected."""
    enough = dependency.enough
    if enough is None or tasks is None or enough.tasks <= tasks:
        return dependency
    return replace(dependency, quorum=tasks)
