"""What serial numbers of tasks mean, worked out from the workflow alone.

Tasks are numbered iteration after iteration, within an iteration set after set in the order of the
workflow.  So a serial number is ``iteration * per_iteration + first of the set + number``, and
whole columns of a trace are understood by division, without unrolling the loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stretto.trace import Trace
from stretto.workflow import Workflow

__all__ = ["Serials", "attempt_name", "serials"]


@dataclass(frozen=True, slots=True, eq=False)
class Serials:
    """How the tasks of a workflow are numbered.

    Parameters
    ----------
    names
        Names of the task sets, in the order of the workflow.
    counts, firsts
        Tasks of each set in an iteration, and the number of its first one; shape ``(sets,)``.
    iterations
        How often the loop turns.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]
    firsts: NDArray[np.int64]
    iterations: int

    @property
    def per_iteration(self) -> int:
        """Tasks of one iteration."""
        return int(self.counts.sum())

    @property
    def n_tasks(self) -> int:
        """Tasks of all iterations."""
        return self.per_iteration * self.iterations

    def iteration(self, task: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the iteration of each task, from 0."""
        return task // self.per_iteration

    def place(self, task: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place of each task's set in the workflow, from 0."""
        return np.searchsorted(self.firsts, task % self.per_iteration, side="right") - 1

    def task_name(self, task: int) -> str:
        """Return a task's name for people, such as ``simulation[2].17``."""
        iteration, within = divmod(task, self.per_iteration)
        place = int(np.searchsorted(self.firsts, within, side="right")) - 1
        return f"{self.names[place]}[{iteration}].{within - int(self.firsts[place])}"


def serials(workflow: Workflow) -> Serials:
    """Return how the tasks of `workflow` are numbered."""
    counts = np.array([task_set.tasks for task_set in workflow.task_sets], dtype=np.int64)
    return Serials(
        names=tuple(task_set.name for task_set in workflow.task_sets),
        counts=counts,
        firsts=np.cumsum(counts) - counts,
        iterations=workflow.iterations,
    )


def attempt_name(trace: Trace, row: int) -> str:
    """Return the name of the attempt in `row`; its number only where it is not the first."""
    name = serials(trace.workflow).task_name(int(trace.task[row]))
    attempt = int(trace.attempt[row])
    return name if attempt == 1 else f"{name} (attempt {attempt})"
