"""Which sets have something to launch, best first.

Two lists, kept sorted while tasks come and go: the sets with ready tasks, from which a greedy round
takes; and, where the order is strict, the line of all sets that still have tasks to launch, ready
or not.  The order of the sets breaks ties.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

__all__ = ["Ranking"]


class Ranking:
    """The sets in their order.

    Parameters
    ----------
    strict
        Whether no set overtakes one before it that still has tasks to launch (see `order`).
    """

    __slots__ = ("line", "priorities", "ready", "strict")

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.ready: list[tuple[int, int]] = []
        """Sets with ready tasks, as (-priority, set), sorted."""
        self.line: list[tuple[int, int]] = []
        """Where the order is strict: sets with tasks to launch, as (-priority, set), sorted."""
        self.priorities: list[int] = []
        """By set: a higher one goes first."""

    def add(self, priority: int) -> None:
        """Know one set more, which has nothing to launch yet."""
        self.priorities.append(priority)

    def list_ready(self, index: int) -> None:
        """Note that a set has ready tasks."""
        insort(self.ready, (-self.priorities[index], index))

    def unlist_ready(self, index: int) -> None:
        """Note that a set has no ready tasks anymore."""
        del self.ready[bisect_left(self.ready, (-self.priorities[index], index))]

    def count(self, index: int, before: int, after: int) -> None:
        """Note how many tasks of a set were and are to be launched."""
        if self.strict and (before == 0) != (after == 0):
            place = (-self.priorities[index], index)
            if before == 0:
                insort(self.line, place)
            else:
                del self.line[bisect_left(self.line, place)]

    def rank(self, priorities: Sequence[int], unlaunched: Sequence[int], *, strict: bool) -> None:
        """Put the sets into another order.

        Parameters
        ----------
        priorities, unlaunched
            By set: the number by which it is ranked, and how many tasks it has to launch.
        """
        self.priorities = list(priorities)
        self.strict = strict
        self.ready = sorted((-self.priorities[index], index) for _, index in self.ready)
        self.line = []
        if strict:
            waits = (index for index, tasks in enumerate(unlaunched) if tasks)
            self.line = sorted((-self.priorities[index], index) for index in waits)
