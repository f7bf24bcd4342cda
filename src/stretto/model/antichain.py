"""The width of a dependency graph: the most task sets of which none waits for another.

By Dilworth's theorem the largest antichain has as many nodes as the fewest chains that cover the
graph, and covering with chains is matching each node with a later one: ``width = nodes - matched``
for a maximum matching between the nodes and their descendants.

The matching is Hopcroft and Karp's, with bit masks in place of adjacency lists: a phase looks at
each mask a few times, so it costs ``n * n`` bits of work and not ``n * n`` steps.  Nodes are
numbered by rank, and a greedy matching with the nearest descendant comes first; few phases remain.
"""

from __future__ import annotations

from collections.abc import Sequence

from stretto.model.graph import Graph, descendants
from stretto.platform import bits

__all__ = ["width"]


def width(graph: Graph) -> int:
    """Return the size of the largest antichain (Dilworth)."""
    place = [0] * len(graph.order)
    for number, node in enumerate(graph.order):
        place[node] = number
    by_rank = Graph(
        names=tuple(graph.names[node] for node in graph.order),
        before=tuple(tuple(place[gate] for gate in graph.before[node]) for node in graph.order),
        after=tuple(tuple(place[later] for later in graph.after[node]) for node in graph.order),
        order=tuple(range(len(graph.order))),
        rank=tuple(graph.rank[node] for node in graph.order),
    )
    return len(graph.names) - _matched(descendants(by_rank))


def _matched(partners: Sequence[int]) -> int:
    """Return the size of a maximum matching of each node ``i`` with one in ``partners[i]``."""
    taken_by: list[int | None] = [None] * len(partners)
    free = (1 << len(partners)) - 1
    unmatched = []
    for node, mask in enumerate(partners):
        nearest = mask & free
        if nearest:
            nearest &= -nearest
            free ^= nearest
            taken_by[nearest.bit_length() - 1] = node
        elif mask:
            unmatched.append(node)
    while True:
        layers = _layers(partners, taken_by, unmatched, free)
        if not layers:
            return len(partners) - free.bit_count()
        left = []
        for node in unmatched:
            gained = _augment(node, partners, taken_by, layers)
            free ^= gained
            if not gained:
                left.append(node)
        unmatched = left


def _layers(
    partners: Sequence[int], taken_by: Sequence[int | None], unmatched: Sequence[int], free: int
) -> list[int]:
    """Return the masks of a breadth-first search; the last one is free, none if none is reached."""
    unseen = (1 << len(partners)) - 1
    layers: list[int] = []
    frontier: Sequence[int] = unmatched
    while frontier:
        found = 0
        for node in frontier:
            found |= partners[node] & unseen
        unseen &= ~found
        if found & free:
            return [*layers, found & free]
        layers.append(found)
        owners = (taken_by[partner] for partner in bits(found))
        frontier = [owner for owner in owners if owner is not None]
    return []


def _augment(
    root: int, partners: Sequence[int], taken_by: list[int | None], layers: list[int]
) -> int:
    """Match `root` along a path through the layers, which loses the nodes that were looked at.

    Returns the bit of the node that is free no more, or 0 if there is no path.
    """
    walk = [root]
    steps: list[int] = []
    while walk:
        depth = len(walk) - 1
        choice = partners[walk[-1]] & layers[depth]
        if not choice:
            walk.pop()
            if steps:
                steps.pop()
            continue
        choice &= -choice
        layers[depth] ^= choice
        partner = choice.bit_length() - 1
        steps.append(partner)
        owner = taken_by[partner]
        if owner is None:
            for node, step in zip(walk, steps, strict=True):
                taken_by[step] = node
            return choice
        walk.append(owner)
    return 0
