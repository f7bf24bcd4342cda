"""Degrees of asynchronicity: how many branches may run beside each other, and how many can.

``DOA_dep`` is what the dependencies permit: independent branches - 1 (section 5.1), read as number
of sinks - 1, the reading that gives every number the paper prints.  A diamond that converges again
has degree 0 by it although its two arms may overlap; the *width* of the graph - 1 counts those too
and is never smaller, as sinks never wait for each other.

``DOA_res`` is what the resources permit (section 5.2): the most branches whose whole task sets lie
on the nodes together inside one rank, - 1.  ``WLA`` is the smaller of both (Eq. 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import prod

from stretto.model.antichain import width
from stretto.model.branches import Branch
from stretto.model.graph import Graph
from stretto.model.packing import Load, NodeGroup, empty_nodes, named_sums, placed
from stretto.platform import Platform
from stretto.resources import Resources
from stretto.units import GPU_MILLI
from stretto.workflow import Expansion

__all__ = ["EXACT_BRANCHES", "doa_dep", "doa_res", "doa_width", "wla"]

EXACT_BRANCHES = 12
"""Most branches in one rank for which every subset is tried."""

Bundle = tuple[Load, ...]
"""What one branch needs inside one rank."""


def doa_dep(graph: Graph) -> int:
    """Return the degree of asynchronicity that dependencies permit: sinks - 1 (section 5.1)."""
    return len(graph.sinks) - 1


def doa_width(graph: Graph) -> int:
    """Return the width of the graph - 1: the same at the level of task sets, not of branches."""
    return width(graph) - 1


def doa_res(
    expansion: Expansion, graph: Graph, branches: Sequence[Branch], platform: Platform
) -> int:
    """Return the degree of asynchronicity that resources permit (section 5.2).

    Parameters
    ----------
    expansion, graph, branches
        The unrolled workflow, its graph, and all branches of it.
    platform
        Where the sets are placed.

    Notes
    -----
    With more than `EXACT_BRANCHES` branches in a rank those that need fewest resources are taken
    first, which may miss a larger choice.
    """
    nodes = empty_nodes(platform)
    known: dict[tuple[Bundle, ...], int] = {}
    for bundles in _bundles_by_rank(expansion, graph, branches):
        # Iterations repeat the same ranks: each is decided once.
        if bundles not in known:
            known[bundles] = _most_together(nodes, bundles)
    return max(1, *known.values()) - 1


def wla(dep: int, res: int) -> int:
    """Return the workload-level asynchronicity: the smaller of both degrees (Eq. 1)."""
    return min(dep, res)


def _bundles_by_rank(
    expansion: Expansion, graph: Graph, branches: Sequence[Branch]
) -> list[tuple[Bundle, ...]]:
    """Return for each rank what its branches need there, sorted."""
    needs: list[dict[int, dict[Resources, int]]] = [{} for _ in range(max(graph.rank) + 1)]
    for number, branch in enumerate(branches):
        for node in branch.members:
            task_set = expansion.instances[node].task_set
            need = needs[graph.rank[node]].setdefault(number, {})
            need[task_set.resources] = need.get(task_set.resources, 0) + task_set.tasks
    return [
        tuple(sorted(tuple(Load(*item) for item in sorted(need.items())) for need in rank.values()))
        for rank in needs
    ]


def _most_together(nodes: Sequence[NodeGroup], bundles: Sequence[Bundle]) -> int:
    """Return how many of these bundles lie on the nodes together, at most."""
    able = [one for one in bundles if placed(nodes, one) is not None]
    totals = (
        sum(group.nodes * group.cores for group in nodes),
        sum(group.nodes * len(group.gpus_milli) for group in nodes) * GPU_MILLI,
        named_sums((group.named, group.nodes) for group in nodes),
    )
    able.sort(key=lambda one: _share(totals, one))
    most = _fewest_resources_first(nodes, able)
    if len(able) > EXACT_BRANCHES:
        return most
    while most < len(able) and any(
        placed(nodes, _joined(chosen)) is not None
        for chosen in dict.fromkeys(combinations(able, most + 1))
    ):
        most += 1
    return most


def _fewest_resources_first(nodes: Sequence[NodeGroup], able: Sequence[Bundle]) -> int:
    """Return how many fit when each is taken in turn, and left out where it does not fit."""
    fitting, beyond, left = 0, len(able) + 1, nodes
    # Placed together the first ones lie better than one by one, and bisection finds how many.
    while beyond - fitting > 1:
        middle = (fitting + beyond) // 2
        after = placed(nodes, _joined(able[:middle]))
        if after is None:
            beyond = middle
        else:
            fitting, left = middle, after
    count = fitting
    for bundle in able[fitting:]:
        after = placed(left, bundle)
        if after is not None:
            count, left = count + 1, after
    return count


def _joined(bundles: Sequence[Bundle]) -> list[Load]:
    return [load for bundle in bundles for load in bundle]


def _share(totals: tuple[int, int, Mapping[str, int]], bundle: Bundle) -> tuple[int, Bundle]:
    """Return the largest share of any resource, over one denominator, for sorting.

    Parameters
    ----------
    totals
        What all nodes have: cores, thousandths of GPUs, and amounts of named resources.
    """
    cores, gpus_milli, named = totals
    ranks = [(load.shape, load.tasks * load.shape.ranks) for load in bundle]
    needed = named_sums((shape.named, count) for shape, count in ranks)
    shares = [
        (sum(shape.cores * count for shape, count in ranks), cores),
        (sum(shape.gpus_milli * count for shape, count in ranks), gpus_milli),
        *((needed[name], total) for name, total in named.items()),
    ]
    whole = prod(max(total, 1) for _, total in shares)
    return max(need * (whole // max(total, 1)) for need, total in shares), bundle
