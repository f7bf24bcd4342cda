"""Seeded sampling, then a genetic search; every schedule is justified.

What is searched are *orders* of the task sets: that is what an engine can keep (`Order`), and alike
tasks have no order among themselves.  An order is decoded into a schedule by the scheme that it
carries, serial or parallel, justified, and replaced by the order in which the sets of the better
schedule start (Valls, Ballestín, Quintanilla: A hybrid genetic algorithm for the
resource-constrained project scheduling problem, 2008, and others before).

- The first orders are those given, then samples: one set after another, with a probability that
  falls with its latest finish (regret-based biased random sampling, Kolisch 1996).
- Then children: the better of two drawn at random is one parent, and again; of the mother's order
  a part from the middle is put as the father has it; some sets are moved a little.  A child takes
  the place of the worst, unless it is worse itself.
- If nothing better was found for long, all but the best are sampled anew.

Nothing here depends on a clock: schedules are counted, every pass of a justification as one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stretto.optimizer.arrays import courses, line_of, population_of, scratch
from stretto.optimizer.kernels import (
    BEST,
    FILLED,
    GIVEN,
    POPULATION,
    RANDOM,
    SCHEDULES_A_CHILD,
    evolve,
)
from stretto.optimizer.project import Project

__all__ = ["SCHEDULES_A_CHILD", "Evolution"]


class Evolution:
    """A search that can be gone on with; the same seed finds the same, in however many steps.

    Parameters
    ----------
    project
        What is to be scheduled.
    seed
        A whole number from 0.
    floor
        A bound of the makespan that is known; a schedule as short ends the search.
    given
        Orders to begin with, each all sets by number, best first.
    """

    def __init__(
        self,
        project: Project,
        *,
        seed: int = 0,
        floor: int = 0,
        given: Sequence[Sequence[int]] = (),
    ) -> None:
        self._ordered = project.ordered
        self._floor = max(floor, project.floor)
        self._forward, self._backward = courses(project)
        self._room = scratch(project)
        self._line = line_of(project)
        self._population = population_of(len(project.durations), len(project.sets))
        place = {index: number for number, index in enumerate(project.ordered)}
        orders = self._population.orders
        for row, order in enumerate(given[:POPULATION]):
            for at, index in enumerate(order):
                orders[row * len(order) + at] = place[index]
        self._population.state[GIVEN] = min(len(given), POPULATION)
        self._population.state[RANDOM] = _scrambled(seed)

    def run(self, schedules: int) -> int:
        """Generate up to so many schedules more; return how many, fewer if one is optimal."""
        return int(
            evolve(
                self._forward,
                self._backward,
                self._line,
                self._room,
                self._population,
                schedules,
                self._floor,
            )
        )

    @property
    def best(self) -> int | None:
        """Makespan of the best schedule so far, in units of the project."""
        best = self._population.makespans[BEST]
        return None if best < 0 else int(best)

    def starts(self) -> NDArray[np.int64]:
        """Return the starts of the latest schedule in units, shape ``(activities,)``."""
        return np.array(self._population.starts, dtype=np.int64)

    def orders(self) -> list[tuple[int, ...]]:
        """Return the orders of sets found, each once, best first."""
        n_sets, makespans = len(self._ordered), self._population.makespans
        filled = self._population.state[FILLED]
        rows = [] if self.best is None else [BEST]
        rows += sorted(range(filled), key=lambda row: (makespans[row], row))
        orders = self._population.orders
        found = (orders[row * n_sets : (row + 1) * n_sets] for row in rows)
        named = (tuple(self._ordered[number] for number in order) for order in found)
        return list(dict.fromkeys(named))


def _scrambled(seed: int) -> int:
    """Return a random state that is not 0, far apart for seeds that are close."""
    return (seed * 0x9E3779B1 + 0x85EBCA6B) % 0xFFFFFFFF + 1
