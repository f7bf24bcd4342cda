"""Who may go on once a task has finished, or a set is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stretto.scheduler.feeds import fed_task
from stretto.scheduler.gates import GatedSet
from stretto.scheduler.transitions import Status

if TYPE_CHECKING:
    from stretto.scheduler.state import State

__all__ = ["feed", "open_gates", "pass_gate"]


def open_gates(state: State, index: int) -> None:
    """Let those go on that wait for the whole of a set, once it is complete.

    They may be complete themselves, if they were dropped whole; a loop of them is no deep one.
    """
    ahead = [index]
    while ahead:
        one = ahead.pop()
        for member in (state.sets[one].gang or (one,)) if state.complete(one) else ():
            if member not in state.opened:
                state.opened.add(member)
                for consumer in state.sets[member].opens:
                    state.open_gate(consumer)
                    ahead.append(consumer)


def pass_gate(state: State, index: int) -> None:
    """Open one gate of a set, and what waits for the set if it is complete thereby."""
    state.open_gate(index)
    open_gates(state, index)


def feed(state: State, task: int, gated: GatedSet) -> None:
    """Let those wait no longer that waited for a single task."""
    for one in gated.feeds:
        fed = fed_task(task, gated, one, state.sets[one.consumer])
        state.missing[fed] -= 1
        waits = state.missing[fed] or state.gates_left[one.consumer]
        if not waits and state.status[fed] == Status.WAITING:
            state.make_ready(fed)
