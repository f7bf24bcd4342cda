"""Windows: what must run between a head and a tail, and how long equal machines need for it.

Take any head ``a`` and any tail ``b``.  The tasks of all sets with no smaller head and no smaller
tail start after ``a`` and end ``b`` before the end of the workflow.  If they need at least ``L`` on
their machines (see `stretto.model.machines`), no schedule is shorter than ``a + L + b``.  Three
things are known of ``L``, for jobs of lengths ``p1 >= p2 >= …`` on ``m`` machines:

*Area.*  The machines together work for ``m * L``, so ``L`` is at least the sum of all lengths over
``m``.

*Counting* (the pigeonhole).  Of the ``k * m + 1`` longest jobs some machine does ``k + 1``, for
every ``k``; they take at least as long as the ``k + 1`` shortest of these.  For ``n`` equal tasks
this is ``ceil(n / m)`` durations, the waves.

*Long jobs apart.*  Choose lengths ``x >= y``.  If ``L < x + y``, a job of length ``x`` or more
shares its machine with none of length ``y`` or more.  So the jobs from ``x`` up have a machine
each, and those from ``y`` up to ``x`` are left with the others; ``L`` is at least the smaller of
``x + y`` and the area of the latter over the number of the others.  (Martello and Toth's bound for
bin packing, seen from the side of the machines.)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import isqrt
from operator import mul
from typing import NamedTuple

from stretto.model.machines import Machines
from stretto.model.spans import Spans

__all__ = ["MOST_ENDS", "Jobs", "Window", "jobs_on", "needed_us", "windows"]

MOST_ENDS = 64
"""Heads, and tails, that are looked at for one kind of machines."""
MOST_SUMS = 100_000
"""Limit on windows times different lengths for one kind of machines: with more lengths there are
fewer windows, and the bounds are as sound and less sharp."""


class Jobs(NamedTuple):
    """What all tasks do on machines of one kind.

    Parameters
    ----------
    machines
        How many there are.
    lengths_us
        Lengths of the jobs: different, descending, none of them 0.
    length_of
        Place of the length of each set's jobs; 0 for a set without jobs.
    jobs
        Jobs of each set in one iteration.
    """

    machines: int
    lengths_us: tuple[int, ...]
    length_of: tuple[int, ...]
    jobs: tuple[int, ...]


class Window(NamedTuple):
    """A head, a tail, and how many jobs of each length have no smaller ones."""

    head_us: int
    tail_us: int
    counts: tuple[int, ...]


def jobs_on(machines: Machines, lengths_us: Sequence[int], tasks: Sequence[int]) -> Jobs:
    """Return the jobs of sets whose tasks take `lengths_us`, each of them `tasks` times."""
    jobs = tuple(
        count * each if length_us else 0
        for count, each, length_us in zip(tasks, machines.jobs, lengths_us, strict=True)
    )
    different = sorted(
        {length_us for length_us, count in zip(lengths_us, jobs, strict=True) if count},
        reverse=True,
    )
    place = {length_us: number for number, length_us in enumerate(different)}
    return Jobs(
        machines.number,
        tuple(different),
        tuple(place.get(length_us, 0) for length_us in lengths_us),
        jobs,
    )


def windows(jobs: Jobs, spans: Spans) -> Iterator[Window]:
    """Yield windows with more jobs than machines, those with the latest heads first.

    Notes
    -----
    There is one for each head and each tail that no narrower window has the same jobs for, up to
    `MOST_ENDS` heads and tails.
    """
    n_sets = len(jobs.jobs)
    busy = [node for node in range(len(spans.heads_us)) if jobs.jobs[node % n_sets]]
    if not busy:
        return
    heads = _chosen({spans.heads_us[node] for node in busy}, len(jobs.lengths_us))
    tails = _chosen({spans.tails_us[node] for node in busy}, len(jobs.lengths_us))
    rows: list[list[tuple[int, int, int]]] = [[] for _ in heads]
    for node in busy:
        place = node % n_sets
        row = bisect_right(heads, spans.heads_us[node]) - 1
        column = bisect_right(tails, spans.tails_us[node]) - 1
        rows[row].append((column, jobs.length_of[place], jobs.jobs[place]))
    columns = [[0] * len(jobs.lengths_us) for _ in tails]
    filled = [False] * len(tails)
    for row in range(len(heads) - 1, -1, -1):
        latest = -1
        for column, length, count in rows[row]:
            columns[column][length] += count
            filled[column] = True
            latest = max(latest, column)
        counts = [0] * len(jobs.lengths_us)
        for column in range(len(tails) - 1, -1, -1):
            if not filled[column]:
                continue
            counts = [one + more for one, more in zip(counts, columns[column], strict=True)]
            if column <= latest and sum(counts) > jobs.machines:
                yield Window(heads[row], tails[column], tuple(counts))


def needed_us(jobs: Jobs, counts: Sequence[int]) -> tuple[int, int]:
    """Return how long the machines need at least: by area, and by counting whole jobs.

    Parameters
    ----------
    counts
        Jobs of each length; more in all than machines.
    """
    numbers = list(accumulate(counts))
    works_us = list(accumulate(map(mul, counts, jobs.lengths_us)))
    area_us = -(-works_us[-1] // jobs.machines)
    return area_us, max(
        _most_on_one(jobs, numbers, works_us), _long_ones_apart(jobs, numbers, works_us)
    )


def _chosen(values: set[int], n_lengths: int) -> list[int]:
    """Return the values if they are few; else the smallest ones, and some of the others."""
    most = max(1, min(MOST_ENDS, isqrt(MOST_SUMS // n_lengths)))
    ordered = sorted(values)
    if len(ordered) <= most:
        return ordered
    # Wide windows hold most; the others are for what happens in the middle.
    first = -(-most // 2)
    return ordered[:first] + [
        ordered[first + (len(ordered) - first) * one // (most - first)]
        for one in range(most - first)
    ]


def _most_on_one(jobs: Jobs, numbers: Sequence[int], works_us: Sequence[int]) -> int:
    """Return what the machine with most of the ``k * m + 1`` longest jobs needs, for the best k.

    As long as the shortest of them has the same length, the sum is convex in ``k``: with every step
    one more of the shortest ones comes in, and the longest ones that leave get shorter.  So only
    the smallest and the largest ``k`` of each length need to be tried.
    """
    machines = jobs.machines

    def longest_us(count: int) -> int:
        """Return the work of that many longest jobs."""
        place = bisect_left(numbers, count)
        return works_us[place] - (numbers[place] - count) * jobs.lengths_us[place]

    best_us = before = 0
    for number in numbers:
        for k in (max(1, -(-before // machines)), (number - 1) // machines):
            if k > 0 and before <= k * machines < number:
                best_us = max(best_us, longest_us(k * machines + 1) - longest_us(k * machines - k))
        before = number
    return best_us


def _long_ones_apart(jobs: Jobs, numbers: Sequence[int], works_us: Sequence[int]) -> int:
    """Return the bound by long jobs with a machine each, for the best two lengths."""
    best_us = 0
    for long, number in enumerate(numbers[:-1]):
        left = jobs.machines - number
        if left <= 0:
            break

        def area_us(short: int, long: int = long, left: int = left) -> int:
            return -(-(works_us[short] - works_us[long]) // left)

        def both_us(short: int, long: int = long) -> int:
            return jobs.lengths_us[long] + jobs.lengths_us[short]

        # Towards shorter jobs the area grows and the sum falls: the best is where they meet.
        lengths = range(long + 1, len(numbers))
        meet = bisect_left(lengths, True, key=lambda short: area_us(short) >= both_us(short))
        for short in lengths[max(0, meet - 1) : meet + 1]:
            best_us = max(best_us, min(area_us(short), both_us(short)))
    return best_us
