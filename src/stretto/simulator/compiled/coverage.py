"""What the kernel covers; everything else goes the readable road.

Groups that run at once and short calls that are bundled are not covered, nor are times beyond a
word and too many slots.  What is not known here is not covered either: a field of needs or of gated
sets that is new makes its workflows go the readable road until the kernel knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from stretto.platform import Overheads
from stretto.scheduler import GatedSet
from stretto.scheduler.rounds import BUNDLE_US
from stretto.units import GPU_MILLI

__all__ = ["most_slots", "uncovered", "uncovered_durations"]

KNOWN_NEEDS = frozenset({"ranks", "cores", "gpus_milli", "memory_mib", "named"})
KNOWN_OF_SETS = frozenset(
    {
        "name",
        "shape",
        "first_task",
        "count",
        "retries",
        "gates",
        "opens",
        "feeds",
        "fed_by",
        "flows",
        "stale_inputs",
        "budget",
        "expected_us",
        "bundles",
    }
)
"""Fields of needs and of gated sets that the kernel knows, or that say nothing to it."""
MOST_SLOTS = 20_000_000
"""Limit on the slots of all tasks, which the kernel keeps room for; most tasks have one."""
MOST_US = 1 << 62
"""Limit on times, which are words here and whole numbers of any length there."""


def uncovered(sets: Sequence[GatedSet], n_nodes: int) -> str | None:
    """Return why the kernel cannot play these sets whatever their durations, `None` if it can."""
    strange = [one.name for one in fields(GatedSet) if one.name not in KNOWN_OF_SETS]
    for one in sets:
        for name in strange:
            if getattr(one, name):
                return f"{one.name} has a {name}"
    for shape in dict.fromkeys(one.shape for one in sets):
        if any(getattr(shape, one.name) for one in fields(shape) if one.name not in KNOWN_NEEDS):
            return f"a task needs {shape}"
    if most_slots(sets, n_nodes) > MOST_SLOTS:
        return f"tasks may lie in more than {MOST_SLOTS} slots"
    return None


def uncovered_durations(
    sets: Sequence[GatedSet], durations_us: NDArray[np.int64], overheads: Overheads
) -> str | None:
    """Return why the kernel cannot play these durations, `None` if it can."""
    bundled_us = BUNDLE_US // 2
    for one in sets:
        if one.bundles:
            own = durations_us[one.first_task : one.first_task + one.count]
            # Longer ones are never bundled, whatever has been seen of them.
            if int(own.min()) + overheads.task_us <= bundled_us:
                return f"tasks of {one.name} may be bundled"
    n_tasks = len(durations_us)
    each_us = overheads.launch_us + overheads.task_us + overheads.stage_us
    serial_us = float(durations_us.sum(dtype=np.float64))
    if serial_us + n_tasks * (each_us + n_tasks * overheads.between_us) >= MOST_US:
        return "times are too long"
    return None


def most_slots(sets: Sequence[GatedSet], n_nodes: int) -> int:
    """Return how many slots all tasks may take: one a node, but one a rank of a shared GPU."""
    return sum(
        one.count * (ranks if 0 < one.shape.gpus_milli < GPU_MILLI else min(ranks, n_nodes))
        for one in sets
        for ranks in [one.shape.ranks]
    )
