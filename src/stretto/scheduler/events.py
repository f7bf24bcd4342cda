"""What the scheduler is told: everything that can happen, in the past tense.

Our own launches are events like any other, so that a run can be rebuilt by applying what was
journaled.  Events are named tuples and not dataclasses: a simulated task makes three, and a tuple
is made twice as fast.

Every attempt has a number, from 1.  An event about an attempt that is no longer the task's latest
is late, and changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from stretto.platform import Placement
from stretto.scheduler.gates import GatedSet

__all__ = [
    "Cancelled",
    "Dropped",
    "Event",
    "Failed",
    "Finished",
    "Idled",
    "Launched",
    "Lost",
    "Opened",
    "Released",
    "Resumed",
    "Revoked",
    "Started",
    "Submitted",
    "Woke",
]

Inputs = tuple[tuple[str, int | None], ...]


class Opened(NamedTuple):
    """A set came into being while the run is on."""

    gated: GatedSet
    priority: int


class Submitted(NamedTuple):
    """`added` tasks came to a set; their serial numbers follow the last one."""

    set_index: int
    added: int


class Released(NamedTuple):
    """One of the gates of a set was opened from outside, by whoever drives the state."""

    set_index: int
    time_us: int


class Launched(NamedTuple):
    """We asked for an attempt to start.

    Parameters
    ----------
    bundle
        Number of the hold on these slots.  Launches with the same number are a bundle: they run
        one after another in the same slots, which are free again when the last has ended.
    inputs
        For input that may be stale: name of the producing set and the iteration used.
    """

    task: int
    attempt: int
    time_us: int
    placement: Placement
    bundle: int
    inputs: Inputs = ()


class Started(NamedTuple):
    """The attempt runs."""

    task: int
    attempt: int
    time_us: int


class Idled(NamedTuple):
    """The attempt runs on, but executes nothing: it waits for something (section 4)."""

    task: int
    attempt: int
    time_us: int


class Woke(NamedTuple):
    """The attempt that had idled executes again."""

    task: int
    attempt: int
    time_us: int


class Finished(NamedTuple):
    """The attempt ended well."""

    task: int
    attempt: int
    time_us: int


class Failed(NamedTuple):
    """The attempt ended badly, and counts against the task's retries."""

    task: int
    attempt: int
    time_us: int
    reason: str


class Lost(NamedTuple):
    """The attempt is gone through no fault of its own; it is tried again at no cost."""

    task: int
    attempt: int
    time_us: int
    reason: str


class Cancelled(NamedTuple):
    """We ended the attempt, because the run stops; it is tried again if the run is resumed."""

    task: int
    attempt: int
    time_us: int


class Revoked(NamedTuple):
    """The attempt had finished, but its group is tried again as a whole: it does not count."""

    task: int
    attempt: int


class Dropped(NamedTuple):
    """A task that had not been launched is not wanted anymore."""

    task: int


class Resumed(NamedTuple):
    """The run goes on after a stop: tasks that had failed for good get their retries anew."""

    time_us: int


Event = (
    Opened
    | Submitted
    | Released
    | Launched
    | Started
    | Idled
    | Woke
    | Finished
    | Failed
    | Lost
    | Cancelled
    | Revoked
    | Dropped
    | Resumed
)
