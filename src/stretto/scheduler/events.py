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
from stretto.scheduler.policy import Policy

__all__ = [
    "Adapted",
    "Cancelled",
    "Dropped",
    "Event",
    "Failed",
    "Finished",
    "Forgiven",
    "Idled",
    "Launched",
    "Limited",
    "Lost",
    "NodeLost",
    "NodeReturned",
    "Opened",
    "Released",
    "Resumed",
    "Revoked",
    "Shared",
    "Started",
    "Submitted",
    "Told",
    "Woke",
]

Inputs = tuple[tuple[str, int | None], ...]
Present = tuple[tuple[str, int, int], ...]


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
    present
        For input by quorum: name of the producing set, the iteration used, and the mask of its
        tasks that had finished.
    """

    task: int
    attempt: int
    time_us: int
    placement: Placement
    bundle: int
    inputs: Inputs = ()
    present: Present = ()


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
    """We ended the attempt, because the run stops or nobody wants the task anymore.

    A task that is still wanted is tried again if the run is resumed.
    """

    task: int
    attempt: int
    time_us: int


class Revoked(NamedTuple):
    """The attempt had finished, but its group is tried again as a whole: it does not count."""

    task: int
    attempt: int


class Told(NamedTuple):
    """The result of a task said how the workflow goes on.

    Parameters
    ----------
    converged
        Whether the loop has converged; `None` if it is not for this task to say.
    tasks
        How many tasks the sets have that ask for it; `None` if none does.
    """

    task: int
    time_us: int
    converged: bool | None
    tasks: int | None


class Dropped(NamedTuple):
    """So many `tasks`, from `task` on, are not wanted anymore.

    Of those in flight whoever drives the state ends the attempts; whatever becomes of these, the
    tasks are done with.
    """

    task: int
    time_us: int = 0
    reason: str = ""
    tasks: int = 1


class Forgiven(NamedTuple):
    """A set counts as complete, though tasks of it failed for good: its budget allows as many."""

    set_index: int
    time_us: int


class NodeLost(NamedTuple):
    """A node is gone, after all attempts that lay on it: nothing is placed there anymore."""

    node: int
    time_us: int


class NodeReturned(NamedTuple):
    """A node that was lost is there again, empty."""

    node: int
    time_us: int


class Limited(NamedTuple):
    """From now on only so much time is left to the run, until it is resumed.

    Parameters
    ----------
    until_us
        When everything must have ended.
    overrun
        Whether tasks are launched all the same that will not have ended by then.
    """

    until_us: int
    time_us: int
    overrun: bool = False


class Shared(NamedTuple):
    """A kind of work may hold so much from now on; `None` is no limit."""

    pool: str
    cores: int | None
    gpus_milli: int | None


class Resumed(NamedTuple):
    """The run goes on after a stop, without the limit it had.

    Tasks that had failed for good get their retries anew, unless they were forgiven.
    """

    time_us: int


class Adapted(NamedTuple):
    """The run is steered by another policy from now on.

    Parameters
    ----------
    reason
        In words: what gave occasion, and what the alternatives would have cost.
    """

    time_us: int
    policy: Policy
    reason: str


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
    | Told
    | Dropped
    | Shared
    | Forgiven
    | NodeLost
    | NodeReturned
    | Limited
    | Resumed
    | Adapted
)
