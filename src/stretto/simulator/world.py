"""The world of a simulation: what really happens to tasks, which the scheduler only believes.

Durations are drawn once a seed, set by set, each set from a stream of its own: a task's duration
depends on the seed, its set, its iteration and its number, and on nothing else.  So all modes and
rules are compared on the same draws, and an emulated run meets the same durations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stretto.errors import WorkflowError
from stretto.workflow import Expansion

__all__ = ["DrawnWorld", "Overheads", "World", "drawn_durations_us"]


@dataclass(frozen=True, slots=True)
class Overheads:
    """What the engine costs.

    Parameters
    ----------
    launch_us
        From asking for a task to its start.
    between_us
        From the start of one task to that of the next, where many are asked for at once.
    """

    launch_us: int = 0
    between_us: int = 0


class World(Protocol):
    """What becomes of an attempt."""

    def duration_us(self, task: int, attempt: int) -> int:
        """Return how long the attempt runs, in microseconds."""

    def failure(self, task: int, attempt: int) -> str | None:
        """Return why the attempt fails at its end, or `None` if it does not."""


class DrawnWorld:
    """A world in which nothing fails, and durations are those of one seed."""

    def __init__(self, expansion: Expansion, seed: int) -> None:
        self._durations_us = drawn_durations_us(expansion, seed)

    def duration_us(self, task: int, attempt: int) -> int:  # noqa: ARG002 - a retry takes as long
        """Return how long the task runs, in microseconds; a retry takes as long again."""
        return self._durations_us[task]

    def failure(self, task: int, attempt: int) -> str | None:  # noqa: ARG002 - nothing fails
        """Return `None`."""
        return None


def drawn_durations_us(expansion: Expansion, seed: int) -> list[int]:
    """Return the duration of every task in microseconds, in the order of serial numbers.

    Raises
    ------
    WorkflowError
        If a task set has no duration.
    """
    durations: list[int] = []
    places = {task_set.name: place for place, task_set in enumerate(expansion.workflow.task_sets)}
    for instance in expansion.instances:
        name = instance.task_set.name
        duration = instance.task_set.duration
        if duration is None:
            raise WorkflowError(
                "no duration is known; give one, or take it from a run",
                path=("task_sets", name, "duration"),
            )
        rng = np.random.default_rng([seed, places[name], instance.iteration])
        durations += duration.draw(rng, instance.count).tolist()
    return durations
