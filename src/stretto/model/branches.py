"""Branches: the task sets that lead to exactly the same sinks belong together.

A branch that leads to one sink is *independent*: it never meets its neighbours again.  Sets that
lead to several sinks are the *trunk* from which branches fork.
"""

from __future__ import annotations

from dataclasses import dataclass

from stretto.model.graph import Graph, sinks_reached

__all__ = ["Branch", "branches_of"]


@dataclass(frozen=True, slots=True)
class Branch:
    """Nodes that lead to exactly the same sinks.

    Parameters
    ----------
    members
        The nodes, ascending.
    sinks
        Mask of the sinks: bit ``k`` for ``graph.sinks[k]``.
    """

    members: tuple[int, ...]
    sinks: int

    @property
    def independent(self) -> bool:
        """Whether it leads to a single sink."""
        return self.sinks.bit_count() == 1


def branches_of(graph: Graph) -> tuple[Branch, ...]:
    """Return all branches, in the order of their first members; each node is in one of them."""
    members: dict[int, list[int]] = {}
    for node, sinks in enumerate(sinks_reached(graph)):
        members.setdefault(sinks, []).append(node)
    return tuple(Branch(tuple(nodes), sinks) for sinks, nodes in members.items())
