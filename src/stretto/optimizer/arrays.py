"""What compiled code works on: flat sequences of whole numbers, in named tuples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stretto.optimizer.ints import Ints, numbers
from stretto.optimizer.kernels import BEST, POPULATION
from stretto.optimizer.project import Project, sets_after
from stretto.scheduler import critical_path

__all__ = [
    "BIAS",
    "Course",
    "Line",
    "Population",
    "Scratch",
    "courses",
    "line_of",
    "population_of",
    "scratch",
]

BIAS = 128
"""How much likelier, about, a set is drawn than one that may end a whole critical path later."""


class Course(NamedTuple):
    """A project in one direction of time, flat, for compiled code.

    Parameters
    ----------
    durations
        Shape ``(activities,)``.
    demands
        Shape ``(activities * resources,)``, the resources of an activity beside each other.
    capacities
        Shape ``(resources,)``.
    after_at, after
        Who waits for activity ``a``: ``after[after_at[a]:after_at[a + 1]]``.
    n_before
        How many each waits for.
    """

    durations: Ints
    demands: Ints
    capacities: Ints
    after_at: Ints
    after: Ints
    n_before: Ints


class Scratch(NamedTuple):
    """Room to work in; what it holds means nothing between calls.

    Parameters
    ----------
    waits, soonest, keys, starts
        By activity.
    heap, running
        Activities, the best one first.
    times, free
        Where pieces begin, and what is free in them.
    """

    waits: Ints
    soonest: Ints
    keys: Ints
    starts: Ints
    heap: Ints
    running: Ints
    times: Ints
    free: Ints


class Line(NamedTuple):
    """The graph of the sets, numbered in an order in which none waits for a later one.

    Parameters
    ----------
    set_of
        Set of each activity, -1 for a barrier.
    after_at, after, n_before
        As in `Course`.
    latest
        Latest finish of each set by the critical path.
    """

    set_of: Ints
    after_at: Ints
    after: Ints
    n_before: Ints
    latest: Ints


class Population(NamedTuple):
    """Orders with their makespans, and the best so far behind them.

    Parameters
    ----------
    orders
        Shape ``((POPULATION + 1) * sets,)``.
    makespans, schemes
        By order; scheme 0 is serial, 1 parallel.
    keys, starts
        By activity: of the schedule at work.
    ranks, waits, heap
        By set: room to work in.
    state
        Random state, orders filled, orders given, children since the last improvement.
    """

    orders: Ints
    makespans: Ints
    schemes: Ints
    keys: Ints
    starts: Ints
    ranks: Ints
    waits: Ints
    heap: Ints
    state: Ints


def courses(project: Project) -> tuple[Course, Course]:
    """Return the project as time goes, and turned round."""
    n = len(project.durations)
    durations, demands = numbers(project.durations), numbers(project.demands.reshape(-1))
    capacities = numbers(project.capacities)
    both = []
    for early, late in (project.edges, project.edges[::-1]):
        order = early.argsort(kind="stable")
        after_at = numbers([0, *np.bincount(early, minlength=n).cumsum().tolist()])
        n_before = numbers(np.bincount(late, minlength=n))
        after = numbers(late[order])
        both.append(Course(durations, demands, capacities, after_at, after, n_before))
    return both[0], both[1]


def scratch(project: Project) -> Scratch:
    """Return room for the schedules of a project."""
    n, pieces = len(project.durations), 2 * len(project.durations) + 2
    return Scratch(
        waits=_zeros(n),
        soonest=_zeros(n),
        keys=_zeros(n),
        starts=_zeros(n),
        heap=_zeros(n),
        running=_zeros(n),
        times=_zeros(pieces),
        free=_zeros(pieces * len(project.capacities)),
    )


def _zeros(count: int) -> Ints:
    return numbers([0] * count)


def line_of(project: Project) -> Line:
    """Return the graph of the sets of a project."""
    n_sets = len(project.sets)
    place = numbers([0] * n_sets)
    for number, index in enumerate(project.ordered):
        place[index] = number
    after = [
        sorted(place[one] for one in sets_after(project.sets[index])) for index in project.ordered
    ]
    n_before = [0] * n_sets
    after_at = [0]
    for others in after:
        after_at.append(after_at[-1] + len(others))
        for other in others:
            n_before[other] += 1
    behind_us = critical_path(project.sets)
    longest_us = max(behind_us)
    latest_us = [
        longest_us - behind_us[index] + (project.sets[index].expected_us or 0)
        for index in project.ordered
    ]
    return Line(
        set_of=numbers(-1 if index < 0 else place[index] for index in project.set_of.tolist()),
        after_at=numbers(after_at),
        after=numbers(other for others in after for other in others),
        n_before=numbers(n_before),
        latest=numbers(us * BIAS // max(longest_us, 1) for us in latest_us),
    )


def population_of(n_activities: int, n_sets: int) -> Population:
    """Return a population that has nothing in it yet."""
    rows = POPULATION + 1
    population = Population(
        orders=_zeros(rows * n_sets),
        makespans=_zeros(rows),
        schemes=_zeros(rows),
        keys=_zeros(n_activities),
        starts=_zeros(n_activities),
        ranks=_zeros(n_sets),
        waits=_zeros(n_sets),
        heap=_zeros(n_sets),
        state=_zeros(4),
    )
    population.makespans[BEST] = -1
    return population
