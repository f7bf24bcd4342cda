"""The loop unrolled: every task set in every iteration, and what each of them waits for.

Instance ``i * n_sets + p`` is the set at place ``p`` of the workflow in iteration ``i``; its tasks
have consecutive serial numbers.  These numbers are the total order that breaks every tie.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from stretto.workflow.definition import Workflow
from stretto.workflow.dependencies import Pattern
from stretto.workflow.quorums import Quorum, Stragglers
from stretto.workflow.task_set import TaskSet

__all__ = ["Edge", "Expansion", "SetInstance", "expand"]


@dataclass(frozen=True, slots=True)
class Edge:
    """What one instance waits for.

    Parameters
    ----------
    on
        Name of the producing set.
    gate
        Instance that must be there; `None` where the loop is too young to need one.
    newest
        Newest instance whose result may be used instead; equals `gate` unless stale input is
        allowed, and `None` in the first iteration of a loop.
    pattern
        How tasks wait for tasks.
    enough
        How many tasks are waited for, where that is a quorum.
    cancels
        Whether the others are then cancelled.
    """

    on: str
    gate: int | None
    newest: int | None
    pattern: Pattern
    enough: Quorum | None = None
    cancels: bool = False


@dataclass(frozen=True, slots=True)
class SetInstance:
    """One task set in one iteration; its tasks are `first_task` up to `first_task + count`."""

    index: int
    task_set: TaskSet
    iteration: int
    first_task: int
    edges: tuple[Edge, ...]

    @property
    def count(self) -> int:
        """Number of tasks, at most."""
        return self.task_set.tasks

    @property
    def name(self) -> str:
        """Name of the set, with the iteration."""
        return f"{self.task_set.name}[{self.iteration}]"


@dataclass(frozen=True, slots=True)
class Expansion:
    """All instances of a workflow, in the order of their indices.

    `stages` are the instances that sequential mode runs together, in its order: the workflow's
    stages, iteration after iteration.
    """

    workflow: Workflow
    instances: tuple[SetInstance, ...]
    stages: tuple[tuple[int, ...], ...]

    @property
    def n_tasks(self) -> int:
        """Tasks of all instances."""
        return self.workflow.n_tasks

    def instance_of(self, task: int) -> SetInstance:
        """Return the instance that has the task with this serial number."""
        at = bisect_right(self.instances, task, key=lambda instance: instance.first_task)
        return self.instances[at - 1]

    def task_name(self, task: int) -> str:
        """Return a task's name for people, such as ``simulation[2].17``."""
        instance = self.instance_of(task)
        return f"{instance.name}.{task - instance.first_task}"


def expand(workflow: Workflow) -> Expansion:
    """Return the workflow with its loop unrolled."""
    n_sets = len(workflow.task_sets)
    place = {task_set.name: number for number, task_set in enumerate(workflow.task_sets)}
    instances: list[SetInstance] = []
    first_task = 0
    for iteration in range(workflow.iterations):
        for task_set in workflow.task_sets:
            edges = tuple(
                Edge(
                    on=one.on,
                    gate=_instance(iteration - one.distance, place[one.on], n_sets),
                    newest=_instance(iteration - one.previous, place[one.on], n_sets),
                    pattern=one.pattern,
                    enough=one.enough,
                    cancels=one.stragglers is Stragglers.CANCEL,
                )
                for one in task_set.after
            )
            instances.append(SetInstance(len(instances), task_set, iteration, first_task, edges))
            first_task += task_set.tasks
    stages = tuple(
        tuple(iteration * n_sets + place[name] for name in stage)
        for iteration in range(workflow.iterations)
        for stage in workflow.stages
    )
    return Expansion(workflow, tuple(instances), stages)


def _instance(iteration: int, place: int, n_sets: int) -> int | None:
    return iteration * n_sets + place if iteration >= 0 else None
