"""A workflow as a resource-constrained project: activities, precedence, demands and capacities.

Every task is an activity, with its serial number and its mean duration.  A set that others wait for
as a whole ends in a *barrier*, an activity that takes no time, and a set that waits for whole sets
begins with one; so a dependency on all of `m` tasks by `n` tasks costs ``m + n`` edges, not
``m * n``.  A set of one task is its own barrier.

Resources are pooled: what all nodes have together.  That relaxes the platform, where a task lies on
nodes, so a bound of the project holds for the platform, while a schedule of the project must be
tried on it.  Some of what pooling forgets comes back as further resources.  Call *pieces* of a
shape how often the needs of a rank contain it.  Ranks that lie on a node together never have more
pieces than the empty node (for each resource, the sum of rounded down quotients is at most the
rounded down quotient of the sum), so the pieces of all nodes are a capacity, too: 5 cores on nodes
of 8 fit once on each, though two nodes have 16 together.

Times are counted in units of the greatest common divisor of all durations.  Where the sums would
not fit into 64 bits the unit is longer and durations are rounded down, which keeps bounds true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from stretto.errors import WorkflowError
from stretto.platform import Platform
from stretto.resources import Amounts, Resources
from stretto.scheduler import GatedSet, critical_path
from stretto.units import GPU_MILLI
from stretto.workflow import Pattern

__all__ = ["Project", "project_of", "sets_after"]

Column = NDArray[np.int64]

MOST_PIECES = 16
"""Limit on the resources that pooling forgot and pieces bring back."""
LARGEST_AREA = 1 << 60
"""Limit on capacity times horizon, so that sums fit into 64 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Project:
    """Activities with durations, demands and precedence.

    Parameters
    ----------
    sets
        The task sets; tasks are the first activities, by serial number, barriers follow.
    ordered
        Numbers of the sets, each behind those that it waits for.
    set_of
        Set of each activity, -1 for a barrier; shape ``(activities,)``.
    durations
        In units, shape ``(activities,)``.
    unit_us
        Microseconds of a unit.
    resources
        Names of the resources, for people.
    demands
        Shape ``(activities, resources)``.
    capacities
        Shape ``(resources,)``.
    edges
        Activities that wait: ``(waited for, waiting)``, shape ``(2, edges)``.
    alike
        By set: whether there is a shortest schedule in which its tasks start in the order of their
        numbers.
    """

    sets: tuple[GatedSet, ...]
    ordered: tuple[int, ...]
    set_of: Column
    durations: Column
    unit_us: int
    resources: tuple[str, ...]
    demands: Column
    capacities: Column
    edges: Column
    alike: tuple[bool, ...]

    @property
    def n_tasks(self) -> int:
        """Tasks, which are the first activities."""
        return sum(one.count for one in self.sets)

    @property
    def floor(self) -> int:
        """Lower bound in units: the longest chain, and the area of each resource."""
        longest = max(critical_path(self.sets)) // self.unit_us
        areas = self.durations @ self.demands
        return int(max([longest, *(-(-areas // self.capacities)).tolist()]))

    def units_of_bound(self, bound_us: int) -> int:
        """Return a bound in units: rounded up where all schedules are whole units long."""
        whole = all((one.expected_us or 0) % self.unit_us == 0 for one in self.sets)
        return -(-bound_us // self.unit_us) if whole else bound_us // self.unit_us


def project_of(sets: Sequence[GatedSet], platform: Platform) -> Project:
    """Return the project of gated sets on a platform where each of their tasks fits.

    Raises
    ------
    WorkflowError
        If the duration of a set is not known.
    """
    expected_us = []
    for one in sets:
        if one.expected_us is None:
            raise WorkflowError(
                "no duration is known; give one, or take it from a run",
                path=("task_sets", one.name.partition("[")[0], "duration"),
            )
        expected_us.append(one.expected_us)
    counts = [one.count for one in sets]
    rows = _resources([one.shape for one in sets], counts, platform)
    horizon_us = sum(count * us for count, us in zip(counts, expected_us, strict=True))
    most = max((capacity for _, _, capacity in rows), default=1)
    unit_us = max(gcd(*expected_us), 1, -(-horizon_us * most // LARGEST_AREA))
    edges, n_barriers = _edges(sets)
    n_tasks = sum(counts)
    demands = np.zeros((n_tasks + n_barriers, len(rows)), dtype=np.int64)
    for column, (_, needs, _) in enumerate(rows):
        demands[:n_tasks, column] = np.repeat(np.array(needs, dtype=np.int64), counts)
    no_time = np.zeros(n_barriers, dtype=np.int64)
    durations = np.array([us // unit_us for us in expected_us], dtype=np.int64)
    return Project(
        sets=tuple(sets),
        ordered=_ordered(sets),
        set_of=np.concatenate([np.repeat(np.arange(len(sets)), counts), no_time - 1]),
        durations=np.concatenate([np.repeat(durations, counts), no_time]),
        unit_us=unit_us,
        resources=tuple(name for name, _, _ in rows),
        demands=demands,
        capacities=np.array([capacity for _, _, capacity in rows], dtype=np.int64),
        edges=edges,
        alike=_alike(sets),
    )


# Resources.


def _resources(
    shapes: Sequence[Resources], counts: Sequence[int], platform: Platform
) -> list[tuple[str, list[int], int]]:
    """Return name, need of a task of each set, and capacity of what can run short."""
    names = sorted({name for shape in shapes for name, _ in shape.named})
    needs = [
        (shape.cores, shape.gpus_milli, shape.memory_mib, *_amounts(shape.named, names))
        for shape in shapes
    ]
    offers = Counter(
        (node.cores, node.gpus * GPU_MILLI, node.memory_mib, *_amounts(node.named, names))
        for node in platform.nodes
    )
    kinds = ("cores", "GPUs", "memory", *names)
    pooled = [sum(count * offer[at] for offer, count in offers.items()) for at in range(len(kinds))]
    rows = [
        (kind, [shape.ranks * need[at] for shape, need in zip(shapes, needs, strict=True)], total)
        for at, (kind, total) in enumerate(zip(kinds, pooled, strict=True))
    ]
    n_pooled = len(rows)
    for piece in _piece_shapes(needs):
        capacity = sum(count * _pieces(offer, piece) for offer, count in offers.items())
        implied = min(total // each for total, each in zip(pooled, piece, strict=True) if each)
        if capacity < implied and len(rows) < n_pooled + MOST_PIECES:
            ranks = zip((shape.ranks for shape in shapes), needs, strict=True)
            contained = [number * _pieces(need, piece) for number, need in ranks]
            rows.append((f"pieces of {piece}", contained, capacity))
    return [_reduced(row) for row in rows if _can_run_short(row, counts)]


_GPUS = 1
"""Place of the GPUs among the resources."""


def _amounts(named: Amounts, names: Sequence[str]) -> list[int]:
    """Return the amount of each name, 0 for what is not there."""
    amounts = dict(named)
    return [amounts.get(name, 0) for name in names]


def _piece_shapes(needs: Iterable[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the needs, and each resource of them alone, without repetition."""
    found: dict[tuple[int, ...], None] = {}
    for need in needs:
        found[need] = None
        for at, amount in enumerate(need):
            if amount:
                found[tuple(amount if one == at else 0 for one in range(len(need)))] = None
    return list(found)


def _pieces(amounts: tuple[int, ...], piece: tuple[int, ...]) -> int:
    """Return how often the amounts contain the piece; GPUs hold shares one by one."""
    most = []
    for at, (amount, each) in enumerate(zip(amounts, piece, strict=True)):
        if at == _GPUS and each and amount >= GPU_MILLI > each:
            most.append(amount // GPU_MILLI * (GPU_MILLI // each))
        elif each:
            most.append(amount // each)
    return min(most)


def _can_run_short(row: tuple[str, list[int], int], counts: Sequence[int]) -> bool:
    _, needs, capacity = row
    return sum(need * count for need, count in zip(needs, counts, strict=True)) > capacity


def _reduced(row: tuple[str, list[int], int]) -> tuple[str, list[int], int]:
    """Return the same resource in the largest unit in which all needs are whole."""
    name, needs, capacity = row
    unit = gcd(*needs)
    return name, [need // unit for need in needs], capacity // unit


# Precedence.


def _edges(sets: Sequence[GatedSet]) -> tuple[Column, int]:
    """Return the edges between activities, and the number of barriers."""
    n_barriers = 0
    first_barrier = sum(one.count for one in sets)
    pairs: list[Column] = []

    def barrier(one: GatedSet, *, ends: bool) -> int:
        nonlocal n_barriers
        if one.count == 1:
            return one.first_task
        tasks = np.arange(one.first_task, one.first_task + one.count)
        number = first_barrier + n_barriers
        n_barriers += 1
        whole = np.full(one.count, number)
        pairs.append(np.stack([tasks, whole] if ends else [whole, tasks]))
        return number

    begins = [barrier(one, ends=False) if one.gates else -1 for one in sets]
    for one in sets:
        if one.opens:
            done = barrier(one, ends=True)
            consumers = [begins[consumer] for consumer in dict.fromkeys(one.opens)]
            pairs.append(np.stack([np.full(len(consumers), done), np.array(consumers)]))
        for feed in one.feeds:
            after = sets[feed.consumer]
            number = np.arange(one.count)
            fed = number * after.count // one.count if feed.pattern is Pattern.GROUP else number
            pairs.append(np.stack([one.first_task + number, after.first_task + fed]))
    nothing = np.zeros((2, 0), dtype=np.int64)
    return np.concatenate([nothing, *pairs], axis=1).astype(np.int64), n_barriers


def _ordered(sets: Sequence[GatedSet]) -> tuple[int, ...]:
    """Return the sets rank by rank, each behind those that it waits for."""
    waits = [0] * len(sets)
    for one in sets:
        for consumer in sets_after(one):
            waits[consumer] += 1
    order: list[int] = []
    level = [index for index, number in enumerate(waits) if not number]
    while level:
        order += level
        freed = []
        for index in level:
            for consumer in sets_after(sets[index]):
                waits[consumer] -= 1
                if not waits[consumer]:
                    freed.append(consumer)
        level = sorted(freed)
    assert len(order) == len(sets), "a dependency graph has no circle"
    return tuple(order)


def sets_after(one: GatedSet) -> list[int]:
    """Return the sets that wait for this one, each once."""
    return list(dict.fromkeys([*one.opens, *(feed.consumer for feed in one.feeds)]))


def _alike(sets: Sequence[GatedSet]) -> tuple[bool, ...]:
    """Return by set whether its tasks may be told to start in the order of their numbers.

    Sort the starts within every set.  What waits for a whole set waits for the same latest end.
    Under `each`, the k-th consumer started when at least k producers had ended, so after the k-th
    earliest of them.  Under `group` the same holds if all blocks are equally large.  Where one is
    not, sets that feed each other task by task are left as they are, all that hang together.
    """
    joined = list(range(len(sets)))

    def root(index: int) -> int:
        while joined[index] != index:
            index = joined[index]
        return index

    uneven = []
    for index, one in enumerate(sets):
        for feed in one.feeds:
            joined[root(feed.consumer)] = root(index)
            if feed.pattern is Pattern.GROUP and one.count % sets[feed.consumer].count:
                uneven.append(index)
    broken = {root(index) for index in uneven}
    return tuple(root(index) not in broken for index in range(len(sets)))
