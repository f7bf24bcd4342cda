"""The durations of one seed.

Every set in every iteration draws from a stream of its own: a task's duration depends on the seed,
its set, its iteration and its number, and on nothing else.  So all modes are compared on the same
draws, and an emulated run meets the durations of its simulation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stretto.errors import WorkflowError
from stretto.workflow.durations import Constant
from stretto.workflow.expansion import Expansion

__all__ = ["check_seed", "drawn_durations_us"]


def check_seed(seed: object) -> None:
    """Raise `WorkflowError` unless `seed` is a whole number from 0."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise WorkflowError(f"expected a whole number from 0, found {seed!r}", path=("seed",))


def drawn_durations_us(expansion: Expansion, seed: int) -> NDArray[np.int64]:
    """Return the duration of every task in microseconds, by serial number, shape ``(tasks,)``.

    Raises
    ------
    WorkflowError
        If a task set has no duration, or the seed is no whole number from 0.
    """
    check_seed(seed)
    durations_us = np.empty(expansion.n_tasks, dtype=np.int64)
    places = {task_set.name: place for place, task_set in enumerate(expansion.workflow.task_sets)}
    for instance in expansion.instances:
        name = instance.task_set.name
        duration = instance.task_set.duration
        if duration is None:
            raise WorkflowError(
                "no duration is known; give one, or take it from a run",
                path=("task_sets", name, "duration"),
            )
        own = slice(instance.first_task, instance.first_task + instance.count)
        if isinstance(duration, Constant):  # a generator takes longer to make than all else here
            durations_us[own] = duration.mean_us
        else:
            rng = np.random.default_rng([seed, places[name], instance.iteration])
            durations_us[own] = duration.draw(rng, instance.count)
    return durations_us
