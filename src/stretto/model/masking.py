"""Masking between iterations: what a staggered loop hides behind the sets that set its pace.

The *pacemaker* is the longest set of an iteration.  A staggered loop turns as fast as pacemakers
follow one another, and what stands beside a later one adds nothing to the makespan.  The reading of
Eq. 6 that gives the paper's numbers goes by ranks of the unrolled graph: a set is masked when

- the pacemaker of a later iteration stands in its rank, and
- it does not need the whole of a resource kind (cores or GPUs of the platform) that the pacemaker
  needs too; otherwise the two collapse to a chain (section 5.2).

On DeepDriveMD this masks Aggregation n - 1 times, Training n - 2 times and Inference never.  It is
the paper's reading and a generous one: Training beside Simulation needs 97 of the 96 GPUs there.

A stale input, or none at all from the iteration before, puts several pacemakers in one rank.  Where
only ``k`` of them lie on the nodes together, pacemaker ``i + k`` first waits for pacemaker ``i``.
"""

from __future__ import annotations

from collections.abc import Sequence

from stretto.model.graph import Graph, graph_of
from stretto.model.packing import empty_nodes, room
from stretto.platform import Platform
from stretto.units import GPU_MILLI
from stretto.workflow import Expansion, TaskSet

__all__ = ["masked_by_pacemaker", "pacemaker"]


def pacemaker(iteration: Graph, times_us: Sequence[int]) -> int:
    """Return the place of the longest set of an iteration; the lowest rank, then name, of equals.

    Parameters
    ----------
    iteration
        Graph of one iteration.
    times_us
        TX of each set.
    """
    return min(
        range(len(times_us)),
        key=lambda place: (-times_us[place], iteration.rank[place], iteration.names[place]),
    )


def masked_by_pacemaker(expansion: Expansion, platform: Platform, pace: int) -> dict[int, int]:
    """Return for each masked instance the pacemaker that hides it (Eq. 6), in their order.

    Parameters
    ----------
    expansion
        The unrolled workflow; with a single iteration nothing is masked.
    platform
        Where it runs.
    pace
        Place of the pacemaker among the task sets.
    """
    sets = expansion.workflow.task_sets
    graph = graph_of(expansion, also=_serialised(expansion, platform, pace))
    paces_in: dict[int, list[int]] = {}
    for node in range(pace, len(graph.names), len(sets)):
        paces_in.setdefault(graph.rank[node], []).append(node)
    able = [not _needs_all(task_set, sets[pace], platform) for task_set in sets]
    masked: dict[int, int] = {}
    for instance in expansion.instances:
        first_later = (instance.iteration + 1) * len(sets)
        beside = [
            node for node in paces_in.get(graph.rank[instance.index], []) if node >= first_later
        ]
        if beside and able[instance.index % len(sets)]:
            masked[instance.index] = beside[0]
    return masked


def _serialised(expansion: Expansion, platform: Platform, pace: int) -> list[tuple[int, int]]:
    """Return the edges that keep no more pacemakers in one rank than lie on the nodes together.

    Ranks of pacemakers never fall from one iteration to the next, so an edge over ``k`` iterations
    is enough, and it changes nothing where they stand in different ranks already.
    """
    sets = expansion.workflow.task_sets
    most = max(1, room(empty_nodes(platform), sets[pace].resources) // sets[pace].tasks)
    first_late = pace + most * len(sets)
    return [
        (late - most * len(sets), late)
        for late in range(first_late, len(expansion.instances), len(sets))
    ]


def _needs_all(task_set: TaskSet, other: TaskSet, platform: Platform) -> bool:
    """Return whether a set needs the whole of a resource of which the other needs some too."""
    shape, beside = task_set.resources, other.resources
    ranks = task_set.tasks * shape.ranks
    needed = dict(shape.named)
    kinds = [
        (shape.cores, beside.cores, platform.cores),
        (shape.gpus_milli, beside.gpus_milli, platform.gpus * GPU_MILLI),
        *(
            (needed.get(name, 0), amount, platform.named_total(name))
            for name, amount in beside.named
        ),
    ]
    return any(some and ranks * need >= whole for need, some, whole in kinds)
