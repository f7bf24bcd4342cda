"""What keeps a ready task from being launched beside want of room: too little time, lost nodes.

A run may have to end by a certain time.  Unless tasks may overrun it, none is launched that is not
believed to end before, with a margin for belief that is too hopeful; what nobody knows a duration
of is launched.  A task that cannot end in time now never can, so it holds up nothing: in a strict
order too, others pass it.  Of sets that must run at once, all must end in time, and all have room.

Whoever sets the limit keeps `GRACE_US` of the time back, in which what still runs then is ended.
"""

from __future__ import annotations

from stretto.errors import WorkflowError
from stretto.scheduler.gangs import together
from stretto.scheduler.slots import FreeSlots
from stretto.scheduler.state import State
from stretto.units import counted, span_to_us, us_to_seconds

__all__ = [
    "GRACE_US",
    "MARGIN_PERCENT",
    "ends_in_time",
    "fits_nowhere",
    "takes_us",
    "unstarted",
    "until_us",
]

MARGIN_PERCENT = 10
"""How much longer than believed a task may take, and still ends in time."""
GRACE_US = 5_000_000
"""Real time between asking a task to end and forcing it."""
MOST_TOLD = 8
"""Sets that are told by name where what was not started is told."""


def until_us(walltime: float | str) -> int:
    """Return by when everything must have ended, from the beginning of a walltime.

    Parameters
    ----------
    walltime
        Seconds, or text such as ``"2h30m"`` (see `span_to_us`).

    Raises
    ------
    WorkflowError
        If it is none of these, or no longer than the grace that is kept back of it.
    """
    walltime_us = span_to_us(walltime)
    if walltime_us <= GRACE_US:
        raise WorkflowError(
            f"expected more than {us_to_seconds(GRACE_US):g} s, which are kept back to end what "
            f"still runs, found {walltime if isinstance(walltime, str) else f'{walltime:.4g} s'}"
        )
    return walltime_us - GRACE_US


def ends_in_time(state: State, index: int, now_us: int) -> bool:
    """Return whether a task of a set that is launched now may be expected to end in time."""
    limit = state.limit
    if limit is None or limit.overrun:
        return True
    expected_us = takes_us(state, index, now_us)
    if expected_us is None:
        return now_us < limit.until_us
    return now_us + expected_us + expected_us * MARGIN_PERCENT // 100 <= limit.until_us


def takes_us(state: State, index: int, now_us: int) -> int | None:
    """Return the believed duration of a task of a set; of a group, that of its longest.

    It is that of the description; an adaptive run goes by what it has seen as well.
    """
    mind, sets = state.mind, state.sets
    known = [
        sets[one].expected_us if mind is None else mind.expected_us(one, now_us)
        for one in sets[index].gang or (index,)
    ]
    return max((one for one in known if one is not None), default=None)


def fits_nowhere(state: State, index: int) -> bool:
    """Return whether a task of a set has no room on what lost nodes have left, even if idle."""
    if not state.slots.lost:
        return False
    there = FreeSlots(state.slots.nodes)
    for node in state.slots.lost:
        there.lose(node)
    gang = state.sets[index].gang
    shapes = [state.sets[one].shape for one in gang or (index,)]
    counts = [state.sets[one].count for one in gang] or [1]
    return together(there, shapes, counts) is None


def unstarted(state: State) -> str:
    """Return in words what is still to be launched, set by set; empty if nothing is."""
    left = [index for index, tasks in enumerate(state.unlaunched) if tasks]
    told = [
        f"{state.sets[index].name} ({counted(state.unlaunched[index], 'task')})"
        for index in left[:MOST_TOLD]
    ]
    if len(left) > MOST_TOLD:
        told.append(f"{counted(len(left) - MOST_TOLD, 'set')} more")
    return ", ".join(told)
