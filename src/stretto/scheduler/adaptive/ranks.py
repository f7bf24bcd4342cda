"""What goes before what under a policy, by what is believed at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stretto.scheduler.adaptive.beliefs import Belief
from stretto.scheduler.adaptive.outline import Outline
from stretto.scheduler.gates import GatedSet
from stretto.scheduler.order import GIVEN, Order
from stretto.scheduler.policy import Policy

__all__ = ["Ranks"]


class Ranks:
    """The priorities of the sets under any policy.

    Parameters
    ----------
    order
        What the rule ``"given"`` stands for.
    beliefs
        By kind.
    """

    def __init__(
        self,
        outline: Outline,
        sets: Sequence[GatedSet],
        order: Order,
        beliefs: Sequence[Belief],
    ) -> None:
        self._outline = outline
        self._order = order
        self._sets = [
            replace(one, expected_us=beliefs[kind].mean_us)
            for one, kind in zip(sets, outline.kinds, strict=True)
        ]
        self._by_rule: dict[str, list[int]] = {}

    def of(self, policy: Policy) -> list[int]:
        """Return a number for each set; a higher one goes first."""
        if policy.rule not in self._by_rule:
            order = self._order if policy.rule == GIVEN else Order(policy.rule)
            self._by_rule[policy.rule] = order.priorities(self._sets)
        priorities = self._by_rule[policy.rule]
        if policy.first is None:
            return priorities
        outline, first = self._outline, self._outline.names.index(policy.first)
        above = max(priorities) + 1 - min(priorities)
        return [
            priority + above * any(outline.kinds[one] == first for one in gang or (index,))
            for index, (priority, gang) in enumerate(zip(priorities, outline.gangs, strict=True))
        ]
