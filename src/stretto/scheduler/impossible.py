"""An event that cannot follow what came before it: a bug of ours, of a backend, or of a journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stretto.scheduler.events import Event
from stretto.scheduler.transitions import Status

if TYPE_CHECKING:
    from stretto.scheduler.state import State

__all__ = ["ImpossibleEvent", "impossible"]


class ImpossibleEvent(AssertionError):  # noqa: N818 - an event in the past tense, like the others
    """An event that cannot follow what came before it."""


def impossible(state: State, event: Event) -> ImpossibleEvent:
    """Return the error that tells the event with the story of its task, if it has one."""
    task = getattr(event, "task", None)
    if task is None:
        return ImpossibleEvent(
            f"{event} with {state.n_in_flight} tasks in flight and "
            f"{len(state.slots.lost)} nodes lost"
        )
    gated = state.sets[state.set_of[task]]
    return ImpossibleEvent(
        f"{event}, but task {task} ({gated.name}.{task - gated.first_task}) is "
        f"{Status(state.status[task]).name.lower()} in attempt {state.attempts[task]}, with "
        f"{state.failures.get(task, 0)} failures"
    )
