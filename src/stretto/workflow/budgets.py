"""A failure budget: how many tasks of a set may fail for good, and the set still counts.

An ensemble of a hundred simulations is as good with ninety-eight.  A budget says so beforehand, as
a number of tasks or as a share of them; it holds for each iteration anew.  What becomes of tasks
that wait for failed ones is said in `stretto.scheduler.shortfall`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stretto.errors import WorkflowError
from stretto.units import whole_number

__all__ = ["NO_FAILURES", "Budget", "budget_of"]

MOST_FAILURES = 10_000_000
"""Limit on the failures that a budget forgives; as many as a set may have tasks."""
_ALL_MILLI = 100_000
"""Thousandths of a per cent in the whole."""
_PERCENT = re.compile(r"\s*(\d{1,3}(?:\.\d{1,3})?)\s*%\s*")


@dataclass(frozen=True, slots=True)
class Budget:
    """How many tasks of a set, in an iteration, may fail for good.

    Parameters
    ----------
    tasks
        That many.
    percent_milli
        Instead, a share of the set's tasks, in thousandths of a per cent.
    """

    tasks: int = 0
    percent_milli: int = 0

    def of(self, tasks: int) -> int:
        """Return how many of so many tasks may fail; a share is rounded down.

        >>> Budget(percent_milli=10_000).of(19)
        1
        """
        return self.tasks or tasks * self.percent_milli // _ALL_MILLI

    def to_value(self) -> int | str:
        """Return the number or the text that `budget_of` makes this budget of."""
        return f"{self.percent_milli / 1000:g}%" if self.percent_milli else self.tasks


NO_FAILURES = Budget()
"""The budget of a set for which none is given."""


def budget_of(value: object) -> Budget:
    """Return the budget that a description's ``failures`` means.

    Parameters
    ----------
    value
        A number of tasks, or text such as ``"10%"``.

    Raises
    ------
    WorkflowError
        If it is neither.
    """
    if isinstance(value, Budget):
        return value
    if not isinstance(value, str):
        return Budget(tasks=whole_number("failures", value, 0, MOST_FAILURES))
    match = _PERCENT.fullmatch(value)
    percent_milli = round(float(match[1]) * 1000) if match else -1
    if not 0 <= percent_milli <= _ALL_MILLI:
        raise WorkflowError(
            f"expected a number of tasks, or 0% to 100% of them, found {value!r}",
            path=("failures",),
        )
    return Budget(percent_milli=percent_milli)
