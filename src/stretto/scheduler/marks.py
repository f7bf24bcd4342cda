"""What a running task says of itself: that it waits, and that it goes on, in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stretto.scheduler.events import Idled, Woke
from stretto.scheduler.impossible import impossible
from stretto.scheduler.transitions import Status

if TYPE_CHECKING:
    from stretto.scheduler.state import State

__all__ = ["mark"]


def mark(state: State, event: Idled | Woke) -> None:
    """Note whether a task waits; `event` is about its present attempt."""
    idles = event.task in state.idle
    if state.status[event.task] != Status.RUNNING or idles == isinstance(event, Idled):
        raise impossible(state, event)
    (state.idle.discard if idles else state.idle.add)(event.task)
