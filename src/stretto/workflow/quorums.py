"""How many of a set's tasks are enough: a whole number of them, or a fraction.

A fraction is kept in millionths, so that what is needed of how many is whole numbers only: 0.7 of
ten tasks is seven, which floats would make eight.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stretto.errors import WorkflowError

__all__ = ["Quorum", "Stragglers", "quorum_of"]

MILLION = 1_000_000


class Stragglers(StrEnum):
    """What becomes of a set's last tasks once there is a quorum."""

    FINISH = "finish"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many tasks are enough.

    Parameters
    ----------
    tasks
        So many; 0 where it is a fraction.
    per_million
        So many of a million; 0 where it is a number of tasks.
    """

    tasks: int = 0
    per_million: int = 0

    def needed(self, of: int) -> int:
        """Return how many of `of` tasks are enough; all of them where there are fewer.

        >>> Quorum(per_million=700_000).needed(10), Quorum(tasks=3).needed(2)
        (7, 2)
        """
        return min(self.tasks, of) if self.tasks else -(-of * self.per_million // MILLION)


def quorum_of(value: object) -> Quorum:
    """Return the quorum that a number means: a whole number of tasks, or a fraction of them.

    Raises
    ------
    WorkflowError
        If it is neither.
    """
    match value:
        case bool():
            pass
        case int() if value >= 1:
            return Quorum(tasks=value)
        case float() if 0 < value <= 1:
            return Quorum(per_million=max(1, round(value * MILLION)))
        case _:
            pass
    raise WorkflowError(
        f"expected a fraction above 0 and up to 1.0, or a whole number of tasks, found {value!r}"
    )
