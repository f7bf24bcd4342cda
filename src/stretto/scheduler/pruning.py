"""What is not wanted anymore is dropped: once a round, before it is decided what is launched.

A pure function of the state, like the launches: it looks at the sets of which something was learnt
since the last round, and applies the rules of `prunes` to them.  Drops are events, so a run that is
rebuilt from its journal need not find them again; if it does, there is nothing left to drop.

Whoever drives the state ends the attempts that are in flight for tasks that were dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stretto.scheduler.events import Dropped, Revoked, Told
from stretto.scheduler.gates import GatedSet
from stretto.scheduler.state import State
from stretto.scheduler.transitions import TRANSITIONS, Status

__all__ = ["expected_told", "leaving", "prune"]

_DROPPABLE = re.compile(
    b"[%s]+" % b"".join(b"\\x%02x" % status for status, event in TRANSITIONS if event is Dropped)
)
"""Statuses of neighbours that can all be dropped."""


def prune(state: State, now_us: int) -> list[Dropped | Revoked]:
    """Apply and return the drops of this round, in order.

    Of a group that had not finished as a whole, what its members had done is of no use: it is
    revoked, and dropped with the rest.
    """
    events: list[Dropped | Revoked] = []
    doubtful, state.wanted.doubtful = state.wanted.doubtful, []
    for index in dict.fromkeys(doubtful):
        for tasks, reason in _useless(state, index):
            for revoked in _undone(state, tasks):
                state.apply(revoked)
                events.append(revoked)
            for first, count in reversed(_runs(state, tasks)):
                dropped = Dropped(first, now_us, reason, count)
                state.apply(dropped)
                events.append(dropped)
    return events


def leaving(state: State, dropped: Dropped) -> list[int]:
    """Return the tasks of a drop that are in flight, whose attempts are to be ended."""
    tasks = range(dropped.task, dropped.task + dropped.tasks)
    if Status.LEAVING not in state.status[tasks.start : tasks.stop]:
        return []
    return [task for task in tasks if state.status[task] == Status.LEAVING]


def expected_told(state: State, task: int, now_us: int) -> Told | None:
    """Return what the result of a task is expected to say; `None` if nothing is asked of it."""
    rules = state.sets[state.set_of[task]].prunes
    if rules is None or not rules.asks:
        return None
    converged = None if rules.later is None else rules.converges
    return Told(task, now_us, converged, rules.tasks if rules.counts else None)


def _useless(state: State, index: int) -> Iterator[tuple[range, str]]:
    """Yield tasks that are not wanted anymore if they have not finished, with the reason."""
    gated = state.sets[index]
    rules, told = gated.prunes, state.wanted.told.get(index)
    assert rules is not None, "only a set with rules is doubtful"
    if rules.wanted is not None:
        yield _from(gated, rules.wanted), f"the first iteration has {rules.wanted} tasks"
    if rules.enough is not None and state.wanted.reached(index, rules.enough):
        yield _from(gated, 0), f"{state.wanted.finished[index]} tasks of {gated.name} are enough"
    if told is not None and told.converged and rules.later is not None:
        is_last = rules.later == len(state.sets)
        first = state.n_tasks if is_last else state.sets[rules.later].first_task
        yield range(first, state.n_tasks), f"{gated.name} says that the loop has converged"
    if told is not None and told.tasks is not None:
        for counted in rules.counts:
            yield _from(state.sets[counted], told.tasks), f"{gated.name} says {told.tasks} tasks"


def _undone(state: State, tasks: range) -> list[Revoked]:
    """Return that members of groups, all of these tasks, have finished without the others."""
    return [
        Revoked(task, state.attempts[task])
        for index, gated in enumerate(state.sets)
        if gated.gang and gated.first_task in tasks and not state.complete(index)
        for task in range(gated.first_task, gated.first_task + gated.count)
        if state.status[task] == Status.FINISHED
    ]


def _from(gated: GatedSet, number: int) -> range:
    """Return the tasks of a set from this number on."""
    return range(gated.first_task + number, gated.first_task + gated.count)


def _runs(state: State, tasks: range) -> list[tuple[int, int]]:
    """Return first and length of each run of these tasks that can be dropped."""
    statuses = bytes(state.status[tasks.start : tasks.stop])
    runs = [run.span() for run in _DROPPABLE.finditer(statuses)]
    return [(tasks.start + first, stop - first) for first, stop in runs]
