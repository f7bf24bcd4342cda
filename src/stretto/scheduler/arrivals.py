"""Tasks that come to a set while the run is on, also before its gates are open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stretto.scheduler.events import Submitted

if TYPE_CHECKING:
    from stretto.scheduler.state import State

__all__ = ["arrived", "submit"]


def submit(state: State, event: Submitted) -> None:
    """Add tasks to a set, which are ready if its gates are open."""
    tasks = state.add_tasks(event.set_index, event.added)
    if state.gates_left[event.set_index]:
        state.early.setdefault(event.set_index, []).extend(tasks)
        return
    for task in tasks:
        state.make_ready(task)


def arrived(state: State, index: int) -> list[int]:
    """Return, once, the tasks that came to a set before its gates were open."""
    return state.early.pop(index, [])
