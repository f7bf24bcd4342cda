"""Which set goes first: rules that turn sets into numbers, a higher one first.

A rule sees the gates and the believed durations, never the true ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stretto.scheduler.gates import GatedSet

__all__ = [
    "RULES",
    "Rule",
    "critical_path",
    "largest_first",
    "listed_order",
    "longest_first",
]

Rule = Callable[[Sequence[GatedSet]], list[int]]

NOMINAL_US = 1_000_000
"""Stands for a duration that nobody knows."""
_GPU_BITS = 40
"""Room for the GPUs of a task below its cores, in thousandths."""


def critical_path(sets: Sequence[GatedSet]) -> list[int]:
    """Return each set's longest path to an end, its own task included, in microseconds.

    The *upward rank* of list scheduling: what has most still behind it goes first.  Sets that run
    at once are one: as long as the longest of them, with behind them what is behind any.
    """
    behind: list[int] = [-1] * len(sets)
    for start in range(len(sets)):
        stack = [start]
        while stack:
            index = stack[-1]
            gang = sets[index].gang or (index,)
            after = [one for member in gang for one in _consumers(sets[member])]
            waiting = [consumer for consumer in after if behind[consumer] < 0]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            longest = max((behind[consumer] for consumer in after), default=0)
            expected_us = max(_expected_us(sets[member]) for member in gang)
            for member in gang:
                behind[member] = expected_us + longest
    return behind


def listed_order(sets: Sequence[GatedSet]) -> list[int]:
    """Return the same number for each: the order of the description, iteration by iteration."""
    return [0] * len(sets)


def largest_first(sets: Sequence[GatedSet]) -> list[int]:
    """Return a number that is larger the more cores, then GPUs, a task of the set holds."""
    return [
        (one.shape.ranks * one.shape.cores << _GPU_BITS) + one.shape.ranks * one.shape.gpus_milli
        for one in sets
    ]


def longest_first(sets: Sequence[GatedSet]) -> list[int]:
    """Return the believed duration of a task of each set, in microseconds."""
    return [_expected_us(one) for one in sets]


RULES: Mapping[str, Rule] = {
    "critical-path": critical_path,
    "largest-first": largest_first,
    "longest-first": longest_first,
    "listed": listed_order,
}
"""The rules by name."""


def _consumers(one: GatedSet) -> list[int]:
    fed = [feed.consumer for feed in one.feeds]
    return [*one.opens, *fed, *(threshold.consumer for threshold in one.thresholds)]


def _expected_us(one: GatedSet) -> int:
    return NOMINAL_US if one.expected_us is None else one.expected_us
