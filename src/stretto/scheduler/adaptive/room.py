"""Free room on the nodes by counts: which slots a wave of alike tasks would take.

Like `FreeSlots`, first fit and for each shape with a memory of the first node that may have room,
but without single cores and GPUs: a wave is placed in one go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stretto.scheduler.adaptive.outline import Needs

__all__ = ["Room", "Slots", "dealt", "layered"]

Slots = list[tuple[int, int]]
"""Nodes, and how many ranks lie on each."""


class Room:
    """What is free on each node.

    Parameters
    ----------
    needs
        By shape: what a rank takes.
    nodes
        What is free of each resource on each node.
    """

    __slots__ = ("_free", "_from", "_needs", "_nodes", "looked_at")

    def __init__(self, needs: Sequence[Needs], nodes: Iterable[Sequence[int]]) -> None:
        self._needs = needs
        self._free = [list(column) for column in zip(*nodes, strict=True)]
        """By resource and node."""
        self._nodes = len(self._free[0])
        self._from = [0] * len(needs)
        """By shape: no node before this one has room."""
        self.looked_at = 0
        """Nodes looked at so far."""

    def copy(self) -> Room:
        """Return the same, to be changed."""
        return Room(self._needs, zip(*self._free, strict=True))

    def full(self, shape: int) -> bool:
        """Return whether it is known that a shape has no room."""
        return self._from[shape] == self._nodes

    def take(self, shape: int, tasks: int) -> Slots:
        """Take slots for at most so many tasks of a shape, and return them."""
        each, amounts = self._needs[shape]
        needed = [(self._free[number], amount) for number, amount in amounts]
        wanted = left = tasks * each
        slots: Slots = []
        node = start = self._from[shape]
        while left and node < self._nodes:
            ranks = left
            for free, amount in needed:
                fits = free[node] // amount
                if fits < ranks:
                    ranks = fits
            if ranks > 0:
                slots.append((node, ranks))
                left -= ranks
            node += 1
        self.looked_at += node - start
        too_many = (wanted - left) % each
        while too_many:  # ranks of a task that has no room for all of them
            last, ranks = slots.pop()
            if ranks > too_many:
                slots.append((last, ranks - too_many))
            too_many -= min(ranks, too_many)
        self._from[shape] = slots[-1][0] if slots and (each > 1 or not left) else node
        self.hold(shape, slots)
        return slots

    def hold(self, shape: int, slots: Slots) -> None:
        """Note that tasks of a shape hold slots."""
        for number, amount in self._needs[shape].amounts:
            free = self._free[number]
            for node, ranks in slots:
                free[node] -= amount * ranks

    def give_back(self, shape: int, slots: Slots) -> None:
        """Free slots that tasks of a shape held."""
        for number, amount in self._needs[shape].amounts:
            free = self._free[number]
            for node, ranks in slots:
                free[node] += amount * ranks
        lowest = min(slots)[0]
        for other, start in enumerate(self._from):
            if lowest < start:
                self._from[other] = lowest


def dealt(slots: Slots, sizes: Sequence[int]) -> list[Slots]:
    """Return the slots of a wave, dealt out to groups of so many ranks each.

    Tasks that lie on one node do not end together: every group gets its share of every node.

    >>> dealt([(0, 2), (1, 2)], [2, 1, 1])
    [[(0, 1), (1, 1)], [(0, 1)], [(1, 1)]]
    """
    if len(sizes) == 1:
        return [slots]
    hands: list[Slots] = [[] for _ in sizes]
    left = list(sizes)
    total = sum(sizes)
    for node, ranks in slots:
        rest = ranks
        for group, missing in enumerate(left):
            some = min(rest, -(-missing * ranks // total)) if missing else 0
            if some:
                hands[group].append((node, some))
                left[group] -= some
                rest -= some
        total -= ranks
    return hands


def layered(slots: Slots, most: int) -> list[Slots]:
    """Return slots in layers of one rank a node, at most so many; the last has all the rest.

    >>> layered([(0, 3), (1, 1), (2, 2)], 2)
    [[(0, 1), (1, 1), (2, 1)], [(0, 2), (2, 1)]]
    """
    left: dict[int, int] = {}
    for node, ranks in slots:
        left[node] = left.get(node, 0) + ranks
    layers: list[Slots] = []
    while len(layers) < most - 1 and max(left.values()) > 1:
        layers.append([(node, 1) for node in left])
        left = {node: ranks - 1 for node, ranks in left.items() if ranks > 1}
    return [*layers, list(left.items())]
