"""How much overlaps, and in which order, as a value that can change while a run is on.

The gates of adaptive mode are those of single tasks: they say what *may* start.  A policy ranks it
and holds some of it back.  Every kind of execution in the paper is a policy: stage after stage is
sequential execution, set after set asynchronous execution, and task-level release without further
limits is the most there is.  What is held back is launched all the same when nothing else is in
flight: a policy delays, but never stops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

__all__ = ["Policy", "Release"]


class Release(StrEnum):
    """What must be over before the tasks of a set may go, beyond their own inputs."""

    TASK = "task"
    """Nothing."""
    SET = "set"
    """The whole of each set that feeds it."""
    STAGE = "stage"
    """All stages before its own."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What goes first, and what is held back.

    Parameters
    ----------
    rule
        A name in `RULES`, or ``"given"`` for the ranking that the run was given.
    strict
        Whether no set overtakes one before it that still has tasks to launch (see `order`).
    first
        Name of a task set that goes before all others, whatever the rule.
    release
        What must be over before the tasks of a set may go.
    ahead
        How many iterations beyond the oldest unfinished one may be begun; `None` for no limit.
    waits
        Sets in their iterations that wait until another is complete, such as
        ``("simulation[3]", "inference[2]")``: for input fresher than they could do with.
    """

    rule: str = "critical-path"
    strict: bool = False
    first: str | None = None
    release: Release = Release.TASK
    ahead: int | None = None
    waits: tuple[tuple[str, str], ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it ever holds back what its inputs would let go."""
        return bool(self.waits) or self.ahead is not None or self.release is not Release.TASK

    def to_json(self) -> dict[str, Any]:
        """Return the policy as plain values: those that are not as usual."""
        usual = Policy()
        return {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if getattr(self, one.name) != getattr(usual, one.name)
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Policy:
        """Return the policy that `to_json` made."""
        found = dict(values)
        if "release" in found:
            found["release"] = Release(found["release"])
        found["waits"] = tuple((held, until) for held, until in found.get("waits", ()))
        return cls(**found)

    def __str__(self) -> str:
        return ", ".join(self._words())

    def _words(self) -> Iterator[str]:
        yield self.rule
        if self.first is not None:
            yield f"{self.first} first"
        if self.strict:
            yield "strict"
        if self.release is not Release.TASK:
            yield f"{self.release} after {self.release}"
        if self.ahead is not None:
            yield f"{self.ahead + 1} iterations at once" if self.ahead else "iteration by iteration"
        for held, until in self.waits:
            yield f"{held} after {until}"
