"""In which order sets go, as a value: by a rule, or as given; greedily, or in line.

*Greedy* dispatch is list scheduling: whatever is ready and fits is launched, best first.  It never
leaves room idle that a ready task could use, and for that very reason it can miss the shortest
schedule, which may want to keep room for a task that is ready a moment later.  *Strict* dispatch
makes those schedules too: no set overtakes one before it that still has tasks to launch.  A
schedule whose sets are put in the order of their starts is then kept or shortened, whatever its
idle times (an *activity-based* policy; Stork, Stochastic resource-constrained project scheduling,
2001).  Where nothing is in flight and the first in line cannot go, the line is left: a strict order
delays, but never stops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stretto.errors import WorkflowError
from stretto.scheduler.gates import GatedSet
from stretto.scheduler.priorities import RULES

__all__ = ["GIVEN", "Order"]

GIVEN = "given"
"""Stands for the name of a rule where the ranking is given."""


@dataclass(frozen=True, slots=True)
class Order:
    """Which set goes first, and whether others may overtake it.

    Parameters
    ----------
    rule
        A name in `RULES`, or ``"given"``.
    ranking
        Names of sets in their iterations (``"simulation[0]"``), best first; for ``"given"`` only.
        Sets that are not named follow in the order of the description.
    strict
        Whether no set overtakes one before it that still has tasks to launch.

    Raises
    ------
    WorkflowError
        If there is no such rule, or a ranking without need or twice the same name in it.
    """

    rule: str = "critical-path"
    ranking: tuple[str, ...] = ()
    strict: bool = False

    def __post_init__(self) -> None:
        if self.rule != GIVEN and self.rule not in RULES:
            known = ", ".join(RULES)
            raise WorkflowError(
                f"there is no rule {self.rule!r}; expected {known} or {GIVEN}", path=("order",)
            )
        if self.ranking and self.rule != GIVEN:
            raise WorkflowError(f"a ranking needs the rule {GIVEN}", path=("order", "ranking"))
        if len(set(self.ranking)) < len(self.ranking):
            raise WorkflowError("a set is ranked twice", path=("order", "ranking"))

    def priorities(self, sets: Sequence[GatedSet]) -> list[int]:
        """Return a number for each set; a higher one goes first.  A group goes by its best.

        Raises
        ------
        WorkflowError
            If the ranking names a set that is not there.
        """
        if self.rule != GIVEN:
            return _alike(sets, RULES[self.rule](sets))
        place = {name: len(self.ranking) - at for at, name in enumerate(self.ranking)}
        found = [place.pop(one.name, 0) for one in sets]
        if place:
            raise WorkflowError(
                f"there is no {next(iter(place))} to rank", path=("order", "ranking")
            )
        return _alike(sets, found)

    def to_json(self) -> dict[str, Any]:
        """Return the order as plain values."""
        values: dict[str, Any] = {"rule": self.rule, "strict": self.strict}
        return {**values, "ranking": list(self.ranking)} if self.rule == GIVEN else values

    @classmethod
    def from_json(cls, values: object) -> Order:
        """Return the order that `to_json` made.

        Raises
        ------
        WorkflowError
            If it is none.
        """
        if not isinstance(values, Mapping):
            raise WorkflowError(f"expected an order, found {values!r}", path=("order",))
        match dict(values):
            case {"rule": str(rule), **rest} if set(rest) <= {"strict", "ranking"}:
                ranking, strict = rest.get("ranking", []), rest.get("strict", False)
            case _:
                raise WorkflowError(
                    f"expected rule, strict and ranking, found {sorted(map(str, values))}",
                    path=("order",),
                )
        if not isinstance(strict, bool):
            raise WorkflowError(
                f"expected true or false, found {strict!r}", path=("order", "strict")
            )
        if not isinstance(ranking, list) or not all(isinstance(one, str) for one in ranking):
            raise WorkflowError("expected a list of names", path=("order", "ranking"))
        return cls(rule, tuple(ranking), strict)

    @classmethod
    def of(cls, value: Order | str) -> Order:
        """Return an order, or the one by the rule that is named."""
        return value if isinstance(value, Order) else cls(value)

    def __str__(self) -> str:
        return f"{self.rule}, strict" if self.strict else self.rule


def _alike(sets: Sequence[GatedSet], priorities: list[int]) -> list[int]:
    """Return the priorities with each set's raised to the best of those it must run with."""
    return [
        max((priorities[index] for index in one.gang), default=own)
        for one, own in zip(sets, priorities, strict=True)
    ]
