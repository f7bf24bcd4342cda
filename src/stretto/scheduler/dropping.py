"""What a drop does to the state, and what is let go when tasks need not be waited for anymore.

A drop may cover many sets at once.  They are taken from behind: what waits for others is gone
before these are, or it would be made ready only to be dropped.  Whoever drops what results made
useless drops all that waits for single tasks of it; who is dropped for want of input takes others
along (see `shortfall`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from stretto.scheduler.events import Dropped
from stretto.scheduler.gangs import pass_on
from stretto.scheduler.impossible import impossible
from stretto.scheduler.releases import pass_gate
from stretto.scheduler.shortfall import make_absent, note_end
from stretto.scheduler.transitions import AFTER_DROP, Status

if TYPE_CHECKING:
    from stretto.scheduler.state import State

__all__ = ["OVER", "drop", "leave", "settle"]

OVER = (Status.FINISHED, Status.DROPPED, Status.LEAVING, Status.FORGIVEN)
"""What has become of tasks that nobody waits for, and that cannot be dropped anymore."""


def drop(state: State, event: Dropped) -> None:
    """Count tasks as not wanted; those in flight leave once their attempts have ended."""
    for index, first, stop in _parts(state, event):
        was = state.status[first:stop]
        if any(status in was for status in OVER):
            raise impossible(state, event)
        state.status[first:stop] = was.translate(AFTER_DROP)
        state.shortfall.failed_in[index] -= was.count(Status.FAILED)
        ready = was.count(Status.READY)
        if ready:
            state.ready[index] = _without(state.ready[index], range(first, stop))
            if not state.ready[index]:
                state.ranking.unlist_ready(index)
        state.await_launch(index, -ready - was.count(Status.WAITING))
        state.n_dropped += stop - first
        state.wanted.dropped[index] += stop - first
        state.shortfall.due.pop(index, None)
        for task in range(first, stop) if state.shortfall.starved else ():
            if task in state.shortfall.starved:
                make_absent(state, task)
        settle(state, index, stop - first)
        state.unsettled = True  # in a strict order, others may have waited behind it


def leave(state: State, task: int) -> None:
    """Let go of a dropped task, whose attempt has ended now."""
    state.end(task)
    state.status[task] = Status.DROPPED


def settle(state: State, index: int, tasks: int) -> None:
    """Count tasks that have finished or are not wanted, and open what waited for them."""
    state.unfinished[index] -= tasks
    gated = state.sets[index]
    if gated.prunes is not None:
        state.wanted.look_at(index, gated)
    if gated.gang:
        pass_on(state, gated)
        return
    if state.wanted.ahead[index]:
        for threshold in state.wanted.passed(index):
            pass_gate(state, threshold.consumer)
    if state.unfinished[index] == state.shortfall.failed_in[index]:
        note_end(state, index)


def _parts(state: State, event: Dropped) -> Iterator[tuple[int, int, int]]:
    """Yield the parts of a drop, a set each: set, first task and the one behind the last."""
    stop = event.task + event.tasks
    while stop > event.task:
        index = state.set_of[stop - 1]
        first = max(event.task, state.sets[index].first_task)
        yield index, first, stop
        stop = first


def _without(queue: deque[int], gone: range) -> deque[int]:
    """Return a queue without these tasks, of which at least one is in it."""
    if len(gone) == 1:
        queue.remove(gone.start)
        return queue
    return deque(task for task in queue if task not in gone)
