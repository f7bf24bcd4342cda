"""Refutation: assume that a schedule ends by some time, and find that it cannot.

Suppose that the workflow ends by ``T``, and look at a window from ``a`` to ``T - b`` (see
`stretto.model.windows`).  At most ``k = (T - a - b) // p`` jobs of length ``p`` or more fit on one
machine there.  If there are ``k`` times as many of them as machines, every machine does exactly
``k``: it is *full*, and between them is room for no more than ``s = T - a - b - k * p``.

Take any other job on such machines, of a length ``d > s``, with head ``h`` and tail ``q``.  It does
not fit between the first and the last of the ``k``.  Before the first of them it fits only if
``h + d <= a + s``; after the last only if ``q + d <= b + s``.  Where it cannot come first, it
starts after all of them: its head is at least ``a + k * p``.  Where it cannot come last, its tail
is at least ``b + k * p``.  So heads and tails grow, those of other sets with them, and so may the
bounds of all windows.  If one grows beyond ``T``, no schedule ends by ``T``.

Every step holds not only for ``T`` but for all times below some limit: up to where one job more
fits, or the other job fits before, between or after.  Up to the least of these limits, and of the
bound that was found in the end, everything is refuted at once; then the same is tried from there.

On DeepDriveMD this is counting GPUs: below 1269 s each does exactly three Simulations, so Training
comes after 1020 s and Inference after 1083 s; then 289 jobs are left for 96 GPUs, and the fourth
one on some GPU ends at 1235 s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from stretto.model.spans import Link, Spans, longest_us, spans_of
from stretto.model.windows import Jobs, Window, needed_us, windows

__all__ = ["MOST_REFUTED", "refuted_us"]

MOST_REFUTED = 1_000
"""Most instances for which this is tried."""
MOST_ASSUMED = 16
"""Limit on the times that are assumed, one after another."""
MOST_ROUNDS = 8
"""Limit on how often heads and tails grow for one of them."""
MOST_FULL = 64
"""Limit on the windows of full machines in a round, for one kind of machines."""


class _Full(NamedTuple):
    """Machines that are full in a window: with jobs at least so long, for so much time."""

    window: Window
    length_us: int
    busy_us: int
    spare_us: int


def refuted_us(
    links: Sequence[Link],
    jobs: Sequence[Jobs],
    spans: Spans,
    times_us: Sequence[int],
    known_us: int,
) -> int:
    """Return a time before which no schedule ends, not less than `known_us`.

    Parameters
    ----------
    links
        Dependencies.
    jobs
        What is done on each kind of machines.
    spans
        Heads and tails by the dependencies alone.
    times_us
        For each set duration times waves.
    known_us
        The largest bound that is known.
    """
    if len(spans.heads_us) > MOST_REFUTED:
        return known_us
    for _ in range(MOST_ASSUMED):
        higher_us = _refuted(links, jobs, spans, times_us, known_us)
        if higher_us is None:
            break
        known_us = higher_us
    return known_us


def _refuted(
    links: Sequence[Link], jobs: Sequence[Jobs], spans: Spans, times_us: Sequence[int], end_us: int
) -> int | None:
    """Return the time up to which the end is refuted like `end_us` itself, `None` if it is not."""
    limit_us: int | None = None
    for _ in range(MOST_ROUNDS):
        heads_us, tails_us = list(spans.heads_us), list(spans.tails_us)
        reached_us = longest_us(spans, times_us)
        for one in jobs:
            full: list[_Full] = []
            for window in windows(one, spans):
                needed = max(needed_us(one, window.counts))
                reached_us = max(reached_us, window.head_us + needed + window.tail_us)
                if len(full) < MOST_FULL:
                    full += _full_in(one, window, end_us)
            for machines in full:
                for valid_us in _pushed_aside(one, machines, spans, heads_us, tails_us):
                    limit_us = valid_us if limit_us is None else min(limit_us, valid_us)
        if reached_us > end_us:
            return reached_us if limit_us is None else min(limit_us, reached_us)
        grown = spans_of(links, Spans(heads_us, tails_us))
        if grown == spans:
            return None
        spans = grown
    return None


def _full_in(jobs: Jobs, window: Window, end_us: int) -> Iterator[_Full]:
    """Yield the full machines of a window, by the length of what fills them."""
    inside_us = end_us - window.head_us - window.tail_us
    for number, length_us in zip(accumulate(window.counts), jobs.lengths_us, strict=True):
        most = inside_us // length_us
        if most > 0 and number == most * jobs.machines:
            busy_us = most * length_us
            yield _Full(window, length_us, busy_us, inside_us - busy_us)


def _pushed_aside(
    jobs: Jobs, full: _Full, spans: Spans, heads_us: list[int], tails_us: list[int]
) -> Iterator[int]:
    """Raise heads and tails of jobs that full machines have no room for.

    Yields, for each that was raised, the end from which on the argument does not hold.
    """
    (first_us, last_us, _), long_us, busy_us, spare_us = full
    full_us = first_us + busy_us + last_us
    n_sets = len(jobs.jobs)
    for node, (head_us, tail_us) in enumerate(zip(spans.heads_us, spans.tails_us, strict=True)):
        place = node % n_sets
        length_us = jobs.lengths_us[jobs.length_of[place]]
        inside = head_us >= first_us and tail_us >= last_us and length_us >= long_us
        if not jobs.jobs[place] or inside or length_us <= spare_us:
            continue
        not_first_us = min(length_us, head_us + length_us - first_us)
        not_last_us = min(length_us, tail_us + length_us - last_us)
        if not_first_us > spare_us and heads_us[node] < first_us + busy_us:
            heads_us[node] = first_us + busy_us
            yield full_us + min(long_us, not_first_us)
        if not_last_us > spare_us and tails_us[node] < last_us + busy_us:
            tails_us[node] = last_us + busy_us
            yield full_us + min(long_us, not_last_us)
