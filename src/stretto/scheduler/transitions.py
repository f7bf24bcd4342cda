"""The life of a task, as a table.

The table is the specification: what is not in it cannot happen, and is a bug of ours if it does.
`diagram` draws it for the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from stretto.scheduler.events import (
    Cancelled,
    Dropped,
    Failed,
    Finished,
    Forgiven,
    Idled,
    Launched,
    Lost,
    Resumed,
    Revoked,
    Started,
    Woke,
)

__all__ = ["AFTER_DROP", "TRANSITIONS", "Status", "diagram"]


class Status(IntEnum):
    """Where a task is in its life."""

    WAITING = 0
    """It waits for its input."""
    READY = 1
    """It could run."""
    LAUNCHED = 2
    """We asked for it to start."""
    RUNNING = 3
    FINISHED = 4
    FAILED = 5
    """Its last retry failed."""
    DROPPED = 6
    """It is not wanted anymore."""
    LEAVING = 7
    """It is not wanted anymore, and its attempt is being ended."""
    FORGIVEN = 8
    """It failed for good, and its set counts as complete all the same."""


TRANSITIONS: Mapping[tuple[Status, type], tuple[Status, ...]] = {
    (Status.READY, Launched): (Status.LAUNCHED,),
    (Status.LAUNCHED, Started): (Status.RUNNING,),
    (Status.RUNNING, Idled): (Status.RUNNING,),
    (Status.RUNNING, Woke): (Status.RUNNING,),
    (Status.LAUNCHED, Finished): (Status.FINISHED,),
    (Status.RUNNING, Finished): (Status.FINISHED,),
    (Status.LAUNCHED, Failed): (Status.READY, Status.FAILED),
    (Status.RUNNING, Failed): (Status.READY, Status.FAILED),
    (Status.LAUNCHED, Lost): (Status.READY,),
    (Status.RUNNING, Lost): (Status.READY,),
    (Status.LAUNCHED, Cancelled): (Status.READY,),
    (Status.RUNNING, Cancelled): (Status.READY,),
    (Status.WAITING, Dropped): (Status.DROPPED,),
    (Status.READY, Dropped): (Status.DROPPED,),
    (Status.FAILED, Dropped): (Status.DROPPED,),
    (Status.LAUNCHED, Dropped): (Status.LEAVING,),
    (Status.RUNNING, Dropped): (Status.LEAVING,),
    (Status.LEAVING, Started): (Status.LEAVING,),
    (Status.LEAVING, Idled): (Status.LEAVING,),
    (Status.LEAVING, Woke): (Status.LEAVING,),
    (Status.LEAVING, Finished): (Status.DROPPED,),
    (Status.LEAVING, Failed): (Status.DROPPED,),
    (Status.LEAVING, Lost): (Status.DROPPED,),
    (Status.LEAVING, Cancelled): (Status.DROPPED,),
    (Status.FINISHED, Revoked): (Status.READY,),
    (Status.FAILED, Forgiven): (Status.FORGIVEN,),
    (Status.FAILED, Resumed): (Status.READY,),
}
"""What each event may make of a task; two outcomes where the retries left decide.

A waiting task becomes ready without an event of its own: when the last of its inputs finishes.
"""

AFTER_DROP = bytes(
    TRANSITIONS.get((Status(number), Dropped), (number,))[0] if number < len(Status) else number
    for number in range(256)
)
"""What `Dropped` makes of each status, as a table for `bytes.translate`."""


def diagram() -> str:
    """Return the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> waiting", "    waiting --> ready: inputs there"]
    for (before, event), afters in TRANSITIONS.items():
        lines += [
            f"    {before.name.lower()} --> {after.name.lower()}: {event.__name__}"
            for after in afters
        ]
    return "\n".join(lines)
