"""What asynchronous execution gains (Eq. 5), and the overheads that the paper's predictions carry.

The paper multiplies its predicted asynchronous makespans by 1.04 or 1.06 and leaves the sequential
ones as they are.  The published records show overheads that add up per task and per stage instead;
these percentages reproduce the paper and are no law.
"""

from __future__ import annotations

from fractions import Fraction

__all__ = ["ASYNCHRONOUS_OVERHEAD", "FRAMEWORK_OVERHEAD", "corrected", "improvement"]

FRAMEWORK_OVERHEAD = Fraction(4, 100)
"""Share of the makespan that the framework takes (section 7.1, caption of Table 3)."""
ASYNCHRONOUS_OVERHEAD = Fraction(6, 100)
"""The same with 2 % more for enabling asynchronicity (section 7.2, caption of Table 3)."""


def improvement(t_async_us: int, t_seq_us: int) -> float | None:
    """Return the relative improvement I = 1 - t_async / t_seq (Eq. 5), `None` where t_seq is 0."""
    return 1 - t_async_us / t_seq_us if t_seq_us else None


def corrected(time_us: int, overhead: Fraction) -> int:
    """Return a makespan with an overhead on top, in whole microseconds.

    Parameters
    ----------
    time_us
        Makespan by formula.
    overhead
        Share of it that is added, such as `FRAMEWORK_OVERHEAD`.
    """
    return round(time_us * (1 + overhead))
