"""C: what an engine adds to the formulas, in terms that add up (`stretto.platform.Overheads`).

The paper has one constant ``C`` in Eqs. 2, 3 and 4, and in its predictions a share of the makespan
(`stretto.model.improvement`).  Here ``C`` is what the terms add along the path that a formula sums
up, and nothing else: which sets are masked is decided without them.

*A set* of ``n`` tasks, of which ``m`` run at once, takes from being asked for to its last end

    ``w * (launch + TX + task) + (n - (w - 1) * m - 1) * between``,  ``w = ceil(n / m)`` waves.

Its first wave is asked for at once, so that each task starts `between_us` after the one before.
That shift remains: a task of a later wave is asked for when its predecessor's slots are free, one
by one as they were taken, and pays `launch_us` again and no `between_us`.  So the end is that of
the last task of the last wave.  Where a wave takes as long to launch as a task takes, or longer,
the last task of the wave before may end later, which counts then; the first slots would do more
than their share; and slots become free together, whose next tasks pay `between_us` again.  So the
set may be done up to ``(m - 1) * between`` sooner or later than is said here.

*A boundary* adds `stage_us`: between stages (Eq. 2), or between a set of the path and the next.

TTX begins with the first start.  So the first set pays no `launch_us` before it, and `start_us` and
`stop_us` are not in TTX at all.
"""

from __future__ import annotations

from collections.abc import Iterable

from stretto.platform import Overheads

__all__ = ["asked_to_end_us", "in_a_row_us"]


def asked_to_end_us(tasks: int, at_once: int, length_us: int, overheads: Overheads) -> int:
    """Return how long a set takes on an empty platform, from being asked for to its last end.

    Parameters
    ----------
    tasks
        Number of tasks.
    at_once
        How many of them the platform holds.
    length_us
        Duration of each.
    overheads
        What the engine costs.
    """
    turn_us = overheads.launch_us + length_us + overheads.task_us
    before, last = divmod(tasks - 1, at_once)
    ends_us = (before + 1) * turn_us + last * overheads.between_us
    if before:
        ends_us = max(ends_us, before * turn_us + (at_once - 1) * overheads.between_us)
    return ends_us


def in_a_row_us(times_us: Iterable[int], overheads: Overheads) -> int:
    """Return how long sets or stages take one after another, from first start to last end.

    Parameters
    ----------
    times_us
        Of each, from being asked for to its last end; at least one.
    overheads
        What the engine costs.
    """
    listed_us = list(times_us)
    return sum(listed_us) + (len(listed_us) - 1) * overheads.stage_us - overheads.launch_us
