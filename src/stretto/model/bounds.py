"""Lower bounds of the makespan: no schedule, however clever, ends sooner.

The *critical path* is the longest chain of tasks that wait for each other.  Tasks of a set have the
same mean duration, and by every pattern a task waits for at least one task of each set before it;
so all tasks of a set can start at the same moment on unlimited resources, and the longest chain of
tasks is as long as the longest path of sets.

The *area* of a resource is what all tasks hold of it times how long they hold it; the allocation
needs at least the area over its size.
"""

from __future__ import annotations

from dataclasses import dataclass

from stretto.model.graph import Graph, longest_path
from stretto.platform import Platform
from stretto.units import GPU_MILLI
from stretto.workflow import Workflow

__all__ = ["Bounds", "bounds_of"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Lower bounds of the makespan for mean durations.

    Parameters
    ----------
    critical_path_us
        Longest chain of tasks.
    cores_us
        Area of the cores, over the cores of the platform.
    gpus_us
        Area of the GPUs, over the GPUs of the platform.
    """

    critical_path_us: int
    cores_us: int
    gpus_us: int

    @property
    def best_us(self) -> int:
        """The largest of them."""
        return max(self.critical_path_us, self.cores_us, self.gpus_us)


def bounds_of(workflow: Workflow, graph: Graph, platform: Platform) -> Bounds | None:
    """Return the bounds of a workflow where it fits; `None` if a duration is unknown.

    Parameters
    ----------
    workflow
        With all its iterations.
    graph
        Its unrolled graph.
    platform
        Where it runs.
    """
    means_us: list[int] = []
    cores_area = gpus_area = 0
    for task_set in workflow.task_sets:
        if task_set.duration is None:
            return None
        means_us.append(task_set.duration.mean_us)
        held_us = task_set.tasks * task_set.resources.ranks * means_us[-1]
        cores_area += held_us * task_set.resources.cores
        gpus_area += held_us * task_set.resources.gpus_milli
    path_us, _ = longest_path(graph, means_us * workflow.iterations)
    return Bounds(
        critical_path_us=path_us,
        cores_us=_over(workflow.iterations * cores_area, platform.cores),
        gpus_us=_over(workflow.iterations * gpus_area, platform.gpus * GPU_MILLI),
    )


def _over(area: int, size: int) -> int:
    """Return the area over the size, rounded up; a platform without the resource has no area."""
    return -(-area // size) if size else 0
