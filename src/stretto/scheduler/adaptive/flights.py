"""What is in flight in a rehearsal: groups of tasks that end together, a few for each set.

No set has more than `MOST_GROUPS` groups in flight: beyond that the two that are nearest to each
other become one.
"""

from __future__ import annotations

from bisect import insort
from heapq import heappop, heappush
from typing import NamedTuple

from stretto.scheduler.adaptive.room import Slots

__all__ = ["Flight", "Flights"]

MOST_GROUPS = 6
"""Groups of a set in flight."""


class Flight(NamedTuple):
    """Tasks of a set that end together; the first two fields order them.

    Parameters
    ----------
    first
        Tasks of the set before this one, in its order, were launched earlier.
    """

    end_us: int
    serial: int
    set_index: int
    tasks: int
    first: int
    slots: Slots


class Flights:
    """All groups in flight."""

    __slots__ = ("_by_set", "_future", "_gone", "_serial", "number")

    def __init__(self) -> None:
        self._future: list[Flight] = []
        """A heap; groups that are gone stay in it."""
        self._gone: set[int] = set()
        """Serial numbers of groups that became part of another, or were dropped."""
        self._by_set: dict[int, list[Flight]] = {}
        """By set: its groups, soonest first."""
        self._serial = 0
        self.number = 0
        """Groups in flight."""

    def add(self, index: int, end_us: int, tasks: int, first: int, slots: Slots) -> None:
        """Put a group into flight; if there are too many of the set, join two."""
        groups = self._by_set.setdefault(index, [])
        insort(groups, self._pushed(index, end_us, tasks, first, slots))
        if len(groups) <= MOST_GROUPS:
            return
        # The last one stays as it is: whoever waits for the whole set waits for it.
        apart = list(map(_apart, groups[:-2], groups[1:-1]))
        at = apart.index(min(apart))
        early, late = groups[at : at + 2]
        self._gone |= {early.serial, late.serial}
        self.number -= 2
        tasks = early.tasks + late.tasks
        mean_us = (early.end_us * early.tasks + late.end_us * late.tasks) // tasks
        first = min(early.first, late.first)
        groups[at : at + 2] = [self._pushed(index, mean_us, tasks, first, early.slots + late.slots)]

    def next_us(self) -> int | None:
        """Return when the next group ends, `None` if nothing is in flight."""
        future, gone = self._future, self._gone
        while future and future[0].serial in gone:
            gone.remove(heappop(future).serial)
        return future[0].end_us if future else None

    def land(self) -> Flight:
        """Take the group that ends next out of flight; `next_us` has told that there is one."""
        group = heappop(self._future)
        self._by_set[group.set_index].remove(group)
        self.number -= 1
        return group

    def drop(self, index: int) -> list[Flight]:
        """Take all groups of a set out of flight, and return them."""
        groups = self._by_set.pop(index, [])
        self._gone.update(one.serial for one in groups)
        self.number -= len(groups)
        return groups

    def first_of(self, index: int, otherwise: int) -> int:
        """Return the first task of a set that is in flight."""
        return min((one.first for one in self._by_set.get(index, ())), default=otherwise)

    def _pushed(self, index: int, end_us: int, tasks: int, first: int, slots: Slots) -> Flight:
        group = Flight(end_us, self._serial, index, tasks, first, slots)
        self._serial += 1
        self.number += 1
        heappush(self._future, group)
        return group


def _apart(early: Flight, late: Flight) -> int:
    """Return what it costs to take two groups for one (Ward, 1963)."""
    gap_us = late.end_us - early.end_us
    return gap_us * gap_us * early.tasks * late.tasks // (early.tasks + late.tasks)
