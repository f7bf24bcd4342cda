"""Which set's duration matters most: how much the makespan follows each.

The *elasticity* of a set is the relative change of TTX over the relative change of the set's mean
duration, by a central difference of 10 % to each side: 1 where TTX follows in full, 0 where the set
is masked.  Those of all sets together are about 1 where no overhead is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stretto.planning.forecasts import ttx_us
from stretto.platform import Overheads, Platform
from stretto.scheduler import Mode, Order
from stretto.workflow import Constant, Workflow

__all__ = ["Sensitivity", "sensitivities"]

STEP = 0.1
"""Share by which a duration is made longer and shorter."""
TASKS_PLAYED = 100_000
"""Limit on the tasks simulated in all; of more sets only those with most work are tried."""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How much TTX follows the duration of one task set."""

    task_set: str
    elasticity: float


def sensitivities(
    workflow: Workflow, platform: Platform, *, mode: Mode, overheads: Overheads, order: Order
) -> Sequence[Sensitivity]:
    """Return the elasticity of each set, the largest first.

    Parameters
    ----------
    workflow
        With all durations known; their means are used.
    platform, mode, overheads, order
        As for `stretto.simulate`.

    Notes
    -----
    Of a large workflow only the sets with most work (tasks x duration) are tried, so that at most
    `TASKS_PLAYED` tasks are simulated; there may be none at all.
    """
    means = workflow.at_means()
    work = {one.name: one.tasks * one.duration.mean_us for one in means.task_sets if one.duration}
    most = TASKS_PLAYED // (2 * workflow.planned().n_tasks)
    tried = sorted(work, key=lambda name: -work[name])[:most]
    base_us = ttx_us(means, platform, mode=mode, overheads=overheads, order=order) if tried else 0

    def stretched(name: str, factor: float) -> int:
        duration = means[name].duration
        assert duration is not None
        longer = means.with_durations({name: Constant(round(duration.mean_us * factor))})
        return ttx_us(longer, platform, mode=mode, overheads=overheads, order=order)

    found = [
        Sensitivity(
            name, (stretched(name, 1 + STEP) - stretched(name, 1 - STEP)) / (2 * STEP * base_us)
        )
        for name in tried
        if base_us
    ]
    return sorted(found, key=lambda one: -one.elasticity)
