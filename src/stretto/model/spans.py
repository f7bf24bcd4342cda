"""Heads and tails: how long before a task, and how long after it, something else must run.

The *head* of a set is a time before which none of its tasks starts; its *tail* is a time that
passes, after the end of any of its tasks, until the whole workflow has ended.  Both follow the
dependencies.  By every pattern a task waits for at least one task of each set before it, and is
waited for by at least one task of each set behind it: so one duration is added from set to set.

Where the pattern is *all*, more is added.  The tasks behind it wait for the last task of the set,
and of its ``n`` tasks at most ``room`` run at once: from its head to the last end pass
``ceil(n / room)`` durations, its *waves*.  And seen from the end: when a task before it ends, none
of the tasks behind it has started, and all waves of those are still to come.

Where the pattern is *quorum*, less is: a task of the set may be one that nobody waits for, so what
is behind adds nothing to its tail.  Stragglers that may be cancelled are not counted at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, assert_never

from stretto.model.graph import Graph
from stretto.workflow import Expansion, Pattern

__all__ = ["Link", "Spans", "is_barrier", "links_of", "longest_us", "spans_of"]


class Spans(NamedTuple):
    """Head and tail of every instance in microseconds."""

    heads_us: Sequence[int]
    tails_us: Sequence[int]


class Link(NamedTuple):
    """A dependency: who waits for whom, and what that adds to the head of one and the other's tail.

    `to_tail_us` is `None` where a task may be the last of all although others wait for its set.
    In a sequence of links those of an instance stand behind those of all that it waits for.
    """

    before: int
    behind: int
    to_head_us: int
    to_tail_us: int | None


def links_of(
    expansion: Expansion, graph: Graph, lengths_us: Sequence[int], times_us: Sequence[int]
) -> tuple[Link, ...]:
    """Return the links of an unrolled workflow.

    Parameters
    ----------
    expansion, graph
        The unrolled workflow and its graph.
    lengths_us
        Duration of a task of each set.
    times_us
        The same times the waves of the set.
    """
    n_sets = len(lengths_us)
    links = []
    for behind in graph.order:
        for edge in expansion.instances[behind].edges:
            if edge.gate is not None:
                added_us = times_us if is_barrier(edge.pattern) else lengths_us
                before = edge.gate
                to_tail_us = None if edge.enough is not None else added_us[behind % n_sets]
                links.append(Link(before, behind, added_us[before % n_sets], to_tail_us))
    return tuple(links)


def spans_of(links: Sequence[Link], at_least: Spans) -> Spans:
    """Return heads and tails by the dependencies, none less than what is known of it already."""
    heads_us, tails_us = list(at_least.heads_us), list(at_least.tails_us)
    for before, behind, to_head_us, _ in links:
        heads_us[behind] = max(heads_us[behind], heads_us[before] + to_head_us)
    for before, behind, _, to_tail_us in reversed(links):
        if to_tail_us is not None:
            tails_us[before] = max(tails_us[before], tails_us[behind] + to_tail_us)
    return Spans(heads_us, tails_us)


def longest_us(spans: Spans, times_us: Sequence[int]) -> int:
    """Return the longest way past any set: its head, all its waves, its tail.

    Parameters
    ----------
    times_us
        For each set duration times waves.
    """
    return max(
        head_us + times_us[node % len(times_us)] + tail_us
        for node, (head_us, tail_us) in enumerate(zip(*spans, strict=True))
    )


def is_barrier(pattern: Pattern) -> bool:
    """Return whether all tasks behind wait for all tasks before.

    Of the others all but quorum give every task before somebody who waits for it.
    """
    match pattern:
        case Pattern.ALL:
            return True
        case Pattern.EACH | Pattern.GROUP | Pattern.QUORUM:
            return False
        case _:
            assert_never(pattern)
