"""The policies that are compared: orders, then degrees of overlap and promotions of the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from stretto.scheduler.adaptive.outline import Outline
from stretto.scheduler.adaptive.standing import Standing
from stretto.scheduler.policy import Policy, Release
from stretto.scheduler.priorities import RULES

__all__ = ["MOST_PROMOTED", "SEQUENTIAL", "fresh_inputs", "orders", "variants"]

SEQUENTIAL = Policy(release=Release.STAGE)
"""Sequential execution, against which everything is held."""
MOST_PROMOTED = 8
"""Limit on the task sets of which it is asked whether they had better go first."""


def orders(present: Policy, given: str) -> Iterator[Policy]:
    """Yield the policies that overlap as much as can be: each rule greedily, then in line.

    Parameters
    ----------
    present
        The policy in force; what it has waiting waits in all of them.
    given
        The rule that the run was begun with.
    """
    for strict in (False, True):
        for rule in dict.fromkeys((given, *RULES)):
            yield Policy(rule, strict, waits=present.waits)


def variants(best: Policy, outline: Outline, order: Sequence[int]) -> Iterator[Policy]:
    """Yield policies that overlap less than `best`, and such in which one task set goes first.

    Parameters
    ----------
    order
        The sets that have tasks to launch, in the order of `best`.
    """
    if best.waits:
        yield replace(best, waits=())
    if any(outline.fed_by):
        yield replace(best, release=Release.SET)
    if len(outline.in_iteration) > 1:
        yield replace(best, ahead=0)
        yield replace(best, ahead=1)
    kinds = list(dict.fromkeys(outline.kinds[index] for index in order))
    for kind in kinds[:MOST_PROMOTED]:
        yield replace(best, first=outline.names[kind])


def fresh_inputs(outline: Outline, standing: Standing) -> Iterator[tuple[str, str]]:
    """Yield the sets that could begin now with old input, and what they could wait for instead."""
    complete = standing.progress.complete
    for index, ready in enumerate(standing.ready):
        if ready and standing.unlaunched[index] == outline.counts[index]:
            for stale in outline.stale_inputs[index]:
                newest, _ = stale.candidates[0]
                if not complete(newest):
                    yield outline.sets[index], outline.sets[newest]
