"""When the tasks of a wave end: a few groups in place of many tasks.

Of ``k`` alike tasks that start together, the ends are spread as the order statistics of ``k``
draws.  Whoever waits for all of them waits for the largest, about ``mean + 2.5 * spread`` for a
hundred tasks; whoever waits for single ones is served earlier.  So a wave is split into three
groups of about equal size, at the means of their part of the normal distribution, and its slowest
task alone, at its expected value (Blom, Statistical estimates and transformed beta-variables,
1958).  Of tasks that have run for a while only the rest of the distribution is left.

A set that is launched in several waves has one slowest task, not one in each wave.  So each task of
a set has its own place in the distribution: the set's order statistics, dealt out by the golden
ratio, by which any few neighbours lie far apart and spread evenly.  What each wave takes follows
from the tasks that are in it.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist

__all__ = ["ends_us", "part_ends_us", "rests_us"]

_NORMAL = NormalDist()
_PARTS = 3
_MANY = 64
"""A wave of so many tasks is spread like a set of as many: it has all places evenly."""
_GOLDEN = (5**0.5 - 1) / 2
_SURE = 3.0
"""Beyond so many spreads from the mean a distribution is as good as untouched, or used up."""

Groups = tuple[tuple[int, int], ...]
"""Numbers of tasks and a time in microseconds, ascending."""


def ends_us(tasks: int, mean_us: int, spread_us: int) -> Groups:
    """Return how long groups of `tasks` tasks take that start together.

    >>> ends_us(1, 100, 10)
    ((1, 100),)
    >>> ends_us(2, 100, 10)
    ((1, 94), (1, 106))
    """
    if not spread_us:
        return ((tasks, mean_us),)
    return tuple((some, max(0, round(mean_us + spread_us * z))) for some, z in _split(tasks))


def part_ends_us(first: int, tasks: int, count: int, mean_us: int, spread_us: int) -> Groups:
    """Return how long groups of `tasks` tasks take that start together, a part of a set.

    Parameters
    ----------
    first
        Number of the first of them in the set.
    count
        Tasks of the set.
    """
    if not spread_us:
        return ((tasks, mean_us),)
    return tuple(
        (some, max(0, round(mean_us + spread_us * z))) for some, z in _part(first, tasks, count)
    )


def rests_us(tasks: int, elapsed_us: int, mean_us: int, spread_us: int) -> Groups:
    """Return how much longer groups of `tasks` tasks take that have run for `elapsed_us`.

    What has outlasted its whole distribution is expected to go on for a quarter of what it is
    late: nobody knows, and what is very late seldom ends at once.
    """
    late_us = elapsed_us - mean_us
    if late_us > _SURE * spread_us:
        return ((tasks, late_us // 4),)
    if late_us < -_SURE * spread_us or not spread_us:
        return tuple(
            (some, max(0, end - elapsed_us)) for some, end in ends_us(tasks, mean_us, spread_us)
        )
    passed = _NORMAL.cdf(late_us / spread_us)
    return tuple(
        (some, max(0, round(spread_us * _beyond(passed, z) - late_us))) for some, z in _split(tasks)
    )


def _beyond(passed: float, z: float) -> float:
    """Return the quantile that `z` becomes when the first part of the distribution is over."""
    return _NORMAL.inv_cdf(min(passed + (1 - passed) * _NORMAL.cdf(z), 1 - 1e-9))


@lru_cache(maxsize=4096)
def _split(tasks: int) -> tuple[tuple[int, float], ...]:
    """Return groups of `tasks` tasks and where each lies, in spreads from the mean."""
    if tasks == 1:
        return ((1, 0.0),)
    groups: list[tuple[int, float]] = []
    body = tasks - 1
    parts = min(_PARTS, body)
    for part in range(parts):
        first, last = body * part // parts, body * (part + 1) // parts
        if last > first:
            groups.append((last - first, _mean_between(first / tasks, last / tasks)))
    slowest = _NORMAL.inv_cdf((tasks - 0.375) / (tasks + 0.25))
    # All of them together have the mean of the distribution.
    off = (slowest + sum(some * at for some, at in groups)) / body
    return (*((some, at - off) for some, at in groups), (1, slowest))


@lru_cache(maxsize=4096)
def _part(first: int, tasks: int, count: int) -> tuple[tuple[int, float], ...]:
    """Return groups of tasks of a set, from `first` on, and where each lies."""
    if tasks == count or tasks >= _MANY:
        return _split(tasks)
    lie = sorted(_place(number, count) for number in range(first, first + tasks))
    body = tasks - 1
    parts = min(_PARTS, body)
    cuts = [body * part // parts for part in range(parts + 1)] if parts else [0]
    groups = [(high - low, sum(lie[low:high]) / (high - low)) for low, high in pairwise(cuts)]
    return (*groups, (1, lie[-1]))


def _place(number: int, count: int) -> float:
    """Return where a task of a set lies, in spreads from the mean."""
    if count > _MANY:
        return _NORMAL.inv_cdf(_turn(number))
    return _places(count)[number]


@lru_cache(maxsize=_MANY)
def _places(count: int) -> tuple[float, ...]:
    """Return where each task of a small set lies: its order statistics, in another order."""
    order = sorted(range(count), key=_turn)
    found = [0.0] * count
    for rank, number in enumerate(order):
        found[number] = _NORMAL.inv_cdf((rank + 0.625) / (count + 0.25))
    return tuple(found)


def _turn(number: int) -> float:
    """Return a quantile for a number, far from those of its neighbours; the first in the middle."""
    return (0.5 + number * _GOLDEN) % 1


def _mean_between(low: float, high: float) -> float:
    """Return the mean of the normal distribution between two quantiles."""
    density = [_NORMAL.pdf(_NORMAL.inv_cdf(one)) if one else 0.0 for one in (low, high)]
    return (density[0] - density[1]) / (high - low)
