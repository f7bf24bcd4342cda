"""What an engine costs on a platform, in terms that add up.

The published records of the paper's runs show an overhead that adds up, by task and by stage, and
not a percentage of the makespan.  Each term here is one thing that can be measured in a trace, and
that the simulator plays where it arises.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from stretto.units import whole_number

__all__ = ["Overheads"]

MOST_OVERHEAD_US = 86_400_000_000
"""Limit on each term: a day."""


@dataclass(frozen=True, slots=True)
class Overheads:
    """What an engine costs, each in microseconds; nothing unless given.

    Parameters
    ----------
    launch_us
        From asking for a task to its start; its slots are held.
    between_us
        From the start of one task to that of the next, where many are asked for at once.
    task_us
        What a task holds its slots longer than it works.
    stage_us
        From the end of the last set that a set waits for as a whole until its tasks are asked for.
    start_us, stop_us
        Before the first task is asked for, and after the last has ended.  They are no part of TTX,
        which is from first start to last end, but of the time that the allocation is held.

    Raises
    ------
    WorkflowError
        If a term is no whole number from 0 to a day.
    """

    launch_us: int = 0
    between_us: int = 0
    task_us: int = 0
    stage_us: int = 0
    start_us: int = 0
    stop_us: int = 0

    def __post_init__(self) -> None:
        for one in fields(self):
            whole_number(one.name, getattr(self, one.name), 0, MOST_OVERHEAD_US)
