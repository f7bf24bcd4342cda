"""The dependency graph (DG): a node for every task set in every iteration, an edge for every gate.

Two things are read off it everywhere.  The *rank* of a node is its longest-path depth from the
sources.  A *sink* is a node that nothing waits for; which sinks a node leads to tells the branches.
Sets of nodes are whole numbers used as bit masks: a union is one machine-speed operation, so the
closure of thousands of nodes costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stretto.workflow import Expansion

__all__ = [
    "Graph",
    "ancestors",
    "descendants",
    "graph_of",
    "heaviest_through",
    "longest_path",
    "sinks_reached",
]


@dataclass(frozen=True, slots=True)
class Graph:
    """A dependency graph; its nodes are the instances of an `Expansion`, by index.

    Parameters
    ----------
    names
        Name of each node; the iteration is part of it where there are several.
    before
        For each node those that it waits for, ascending.
    after
        For each node those that wait for it, ascending.
    order
        All nodes, each behind those that it waits for; by rank, then by index.
    rank
        Longest-path depth of each node; 0 for a source.
    """

    names: tuple[str, ...]
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]
    rank: tuple[int, ...]

    @property
    def sinks(self) -> tuple[int, ...]:
        """Nodes that nothing waits for, ascending."""
        return tuple(node for node, later in enumerate(self.after) if not later)

    @property
    def ranks(self) -> tuple[tuple[int, ...], ...]:
        """The nodes of each rank, ascending."""
        found: list[list[int]] = [[] for _ in range(max(self.rank) + 1)]
        for node in self.order:
            found[self.rank[node]].append(node)
        return tuple(tuple(nodes) for nodes in found)


def graph_of(expansion: Expansion, *, also: Sequence[tuple[int, int]] = ()) -> Graph:
    """Return the dependency graph of all instances.

    Parameters
    ----------
    expansion
        The unrolled workflow.
    also
        Further edges ``(waited for, waiting)``; they must not close a circle.
    """
    one = expansion.workflow.iterations == 1
    waits = [
        {edge.gate for edge in instance.edges if edge.gate is not None}
        for instance in expansion.instances
    ]
    _join(expansion, waits)
    for early, late in also:
        waits[late].add(early)
    before = tuple(tuple(sorted(gates)) for gates in waits)
    after: list[list[int]] = [[] for _ in before]
    for node, gates in enumerate(before):
        for gate in gates:
            after[gate].append(node)
    rank = _ranks(before, after)
    return Graph(
        names=tuple(
            instance.task_set.name if one else instance.name for instance in expansion.instances
        ),
        before=before,
        after=tuple(tuple(later) for later in after),
        order=tuple(sorted(range(len(rank)), key=rank.__getitem__)),
        rank=tuple(rank),
    )


def _join(expansion: Expansion, waits: Sequence[set[int]]) -> None:
    """Let sets that must run at once wait for the same, and be waited for together."""
    sets = expansion.workflow.task_sets
    groups = expansion.workflow.groups
    place = {task_set.name: at for at, task_set in enumerate(sets)}
    members = [tuple(place[name] for name in groups.get(one.name, ())) for one in sets]
    if not groups:
        return
    for gates in waits:
        for gate in tuple(gates):
            at = gate % len(sets)
            gates.update(gate - at + other for other in members[at])
    for node in range(len(waits)):
        at = node % len(sets)
        for other in members[at]:
            waits[node] |= waits[node - at + other]


def _ranks(before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> list[int]:
    left = [len(gates) for gates in before]
    rank = [0] * len(left)
    level = [node for node, gates in enumerate(left) if not gates]
    done = 0
    while level:
        done += len(level)
        free = []
        for node in level:
            for later in after[node]:
                left[later] -= 1
                if not left[later]:
                    # Its last gate stands in the level before: the rank is the longest path.
                    rank[later] = rank[node] + 1
                    free.append(later)
        level = free
    assert done == len(rank), "a dependency graph has no circle"
    return rank


def descendants(graph: Graph) -> tuple[int, ...]:
    """Return for each node the mask of all nodes that wait for it, directly or not."""
    return _closure(reversed(graph.order), graph.after)


def ancestors(graph: Graph) -> tuple[int, ...]:
    """Return for each node the mask of all nodes that it waits for, directly or not."""
    return _closure(graph.order, graph.before)


def _closure(order: Iterable[int], next_to: Sequence[Sequence[int]]) -> tuple[int, ...]:
    reached = [0] * len(next_to)
    for node in order:
        mask = 0
        for other in next_to[node]:
            mask |= reached[other] | 1 << other
        reached[node] = mask
    return tuple(reached)


def sinks_reached(graph: Graph) -> tuple[int, ...]:
    """Return for each node the mask of the sinks it leads to: bit ``k`` for ``graph.sinks[k]``.

    A sink leads to itself.
    """
    reached = [0] * len(graph.names)
    for place, sink in enumerate(graph.sinks):
        reached[sink] = 1 << place
    for node in reversed(graph.order):
        for later in graph.after[node]:
            reached[node] |= reached[later]
    return tuple(reached)


def longest_path(
    graph: Graph, weights: Sequence[int], *, among: Sequence[bool] | None = None
) -> tuple[int, tuple[int, ...]]:
    """Return the weight of the heaviest path, and the nodes of one such path in its order.

    Parameters
    ----------
    graph
        The graph.
    weights
        Weight of each node, not negative.
    among
        For each node whether a path may use it; all of them unless given.

    Notes
    -----
    Names break ties, so that the order in which sets are listed does not matter.
    """
    names = graph.names
    weight = [0] * len(names)
    came_from: list[int | None] = [None] * len(names)
    best: int | None = None

    def better(one: int, other: int | None) -> bool:
        if other is None or weight[one] != weight[other]:
            return other is None or weight[one] > weight[other]
        return names[one] < names[other]

    for node in graph.order:
        if among is not None and not among[node]:
            continue
        last: int | None = None
        for gate in graph.before[node]:
            if (among is None or among[gate]) and better(gate, last):
                last = gate
        came_from[node] = last
        weight[node] = weights[node] + (weight[last] if last is not None else 0)
        if better(node, best):
            best = node
    path = []
    step = best
    while step is not None:
        path.append(step)
        step = came_from[step]
    return (weight[best] if best is not None else 0), tuple(reversed(path))


def heaviest_through(
    graph: Graph, weights: Sequence[int], *, kinds: Sequence[bool]
) -> tuple[int, ...]:
    """Return for each node the weight of the heaviest path through it and nodes of its own kind.

    Parameters
    ----------
    graph
        The graph.
    weights
        Weight of each node, not negative.
    kinds
        For each node which of two kinds it is.
    """
    up, down = [0] * len(kinds), [0] * len(kinds)
    for node in graph.order:
        for gate in graph.before[node]:
            if kinds[gate] == kinds[node]:
                up[node] = max(up[node], up[gate] + weights[gate])
    for node in reversed(graph.order):
        for later in graph.after[node]:
            if kinds[later] == kinds[node]:
                down[node] = max(down[node], down[later] + weights[later])
    return tuple(
        ahead + weight + behind for ahead, weight, behind in zip(up, weights, down, strict=True)
    )
