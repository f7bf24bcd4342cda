"""The cycle that turns slowest: most time for each iteration it goes back.

A loop is a graph with the task sets of one iteration as nodes.  An arc says what a set adds before
the next one can go on, and how many iterations later that is; a cycle needs the sum of its times
for the sum of its iterations, and the largest quotient of both is the *maximum cycle ratio*.

It is found exactly, in whole numbers, by Dinkelbach's method.  For a quotient ``D / N`` every arc
weighs ``time * N - iterations * D``; a cycle of positive weight has a larger quotient, which is
tried next, until there is none.  Bellman and Ford's longest paths find such a cycle: as long as
they grow, and there is one, the arcs by which nodes were last reached close a circle.  Arcs within
an iteration come in the order of its ranks, so that one pass follows all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

__all__ = ["Arc", "Cycle", "on_cycles", "slower_cycle", "slowest_cycle"]


class Arc(NamedTuple):
    """From a set to one that waits for it: what is added, and how many iterations later."""

    before: int
    behind: int
    time_us: int
    iterations: int


class Cycle(NamedTuple):
    """A cycle of sets, each waiting for the one before, and its sums."""

    sets: tuple[int, ...]
    time_us: int
    iterations: int

    @property
    def quotient(self) -> Fraction:
        """Time for each iteration it goes back."""
        return Fraction(self.time_us, self.iterations)


def slowest_cycle(
    n_sets: int, arcs: Sequence[Arc], *, than: Fraction = Fraction(0)
) -> Cycle | None:
    """Return the cycle with the largest quotient of time and iterations.

    Parameters
    ----------
    n_sets
        Number of nodes.
    arcs
        Those within an iteration behind those that lead to them; no cycle is without iterations.
    than
        A quotient that it must exceed; `None` is returned if no cycle does.
    """
    slowest = None
    while (found := slower_cycle(n_sets, arcs, than=than)) is not None:
        slowest, than = found, found.quotient
    return slowest


def slower_cycle(n_sets: int, arcs: Sequence[Arc], *, than: Fraction) -> Cycle | None:
    """Return any cycle with a larger quotient than this one, `None` if there is none."""
    time_us, iterations = than.as_integer_ratio()
    weighed = [(arc, arc.time_us * iterations - arc.iterations * time_us) for arc in arcs]
    longest = [0] * n_sets
    reached_by: list[Arc | None] = [None] * n_sets
    grown = True
    while grown:
        grown = False
        for arc, weight in weighed:
            length = longest[arc.before] + weight
            if length > longest[arc.behind]:
                longest[arc.behind] = length
                reached_by[arc.behind] = arc
                grown = True
        if grown and (found := _circle(reached_by)):
            sets = [arc.before for arc in found]
            first = sets.index(min(sets))
            return Cycle(
                tuple(sets[first:] + sets[:first]),
                sum(arc.time_us for arc in found),
                sum(arc.iterations for arc in found),
            )
    return None


def on_cycles(n_sets: int, arcs: Sequence[Arc]) -> tuple[bool, ...]:
    """Return for each arc whether it lies on a cycle (Tarjan's strongly connected components)."""
    behind: list[list[int]] = [[] for _ in range(n_sets)]
    for arc in arcs:
        behind[arc.before].append(arc.behind)
    component = [-1] * n_sets
    number = [-1] * n_sets
    lowest = [0] * n_sets
    found = 0
    waiting: list[int] = []
    for root in range(n_sets):
        walk = [(root, 0)] if number[root] < 0 else []
        while walk:
            node, place = walk.pop()
            if place == 0:
                number[node] = lowest[node] = found
                found += 1
                waiting.append(node)
            else:
                lowest[node] = min(lowest[node], lowest[behind[node][place - 1]])
            for later in range(place, len(behind[node])):
                other = behind[node][later]
                if number[other] < 0:
                    walk += [(node, later + 1), (other, 0)]
                    break
                if component[other] < 0:
                    lowest[node] = min(lowest[node], number[other])
            else:
                if lowest[node] == number[node]:
                    while component[node] < 0:
                        component[waiting.pop()] = node
    return tuple(component[arc.before] == component[arc.behind] for arc in arcs)


def _circle(reached_by: Sequence[Arc | None]) -> list[Arc]:
    """Return the arcs of a circle among those by which nodes were reached, in its order."""
    seen_from = [-1] * len(reached_by)
    for start in range(len(reached_by)):
        node = start
        while seen_from[node] < 0:
            seen_from[node] = start
            arc = reached_by[node]
            if arc is None:
                break
            node = arc.before
        else:
            if seen_from[node] == start:
                return _back_to(node, reached_by)
    return []


def _back_to(end: int, reached_by: Sequence[Arc | None]) -> list[Arc]:
    arcs: list[Arc] = []
    node = end
    while not arcs or node != end:
        arc = reached_by[node]
        assert arc is not None, "every node of a circle was reached"
        arcs.append(arc)
        node = arc.before
    arcs.reverse()
    return arcs
