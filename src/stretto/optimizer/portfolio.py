"""Orders worth trying before any search: the scheduler's own rules, and some more.

No single rule wins everywhere: on the paper's workloads critical path first is best on DeepDriveMD
and worst on c-DG2, where largest first is optimal.
"""

from __future__ import annotations

from collections.abc import Sequence

from stretto.optimizer.project import sets_after
from stretto.scheduler import RULES, GatedSet, Order, critical_path

__all__ = ["orders_by_rule"]


def orders_by_rule(sets: Sequence[GatedSet]) -> list[tuple[str, Order]]:
    """Return orders with what they are called, the scheduler's rules first."""
    further = {
        "most work first": _work(sets),
        "most followers first": _followers(sets),
        "latest finish first": _latest_finish(sets),
    }
    return [
        *((f"rule {name}", Order(name)) for name in RULES),
        *((f"rule {name}", _ranked(sets, values)) for name, values in further.items()),
    ]


def _ranked(sets: Sequence[GatedSet], values: Sequence[int]) -> Order:
    """Return the order of the largest value first; the order of the sets breaks ties."""
    ranking = sorted(range(len(sets)), key=lambda index: -values[index])
    return Order("given", tuple(sets[index].name for index in ranking))


def _work(sets: Sequence[GatedSet]) -> list[int]:
    """Return what all tasks of each set take one after another, in microseconds."""
    return [one.count * (one.expected_us or 0) for one in sets]


def _followers(sets: Sequence[GatedSet]) -> list[int]:
    """Return how many sets wait for each directly."""
    return [len(sets_after(one)) for one in sets]


def _latest_finish(sets: Sequence[GatedSet]) -> list[int]:
    """Return less the later each set may end by the critical path."""
    return [
        behind_us - (one.expected_us or 0)
        for one, behind_us in zip(sets, critical_path(sets), strict=True)
    ]
