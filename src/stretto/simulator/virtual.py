"""The virtual clock: the scheduler's own decisions, on a world that is only drawn.

A heap of (time, serial number, event) is the future.  Each round takes everything that happens at
the next instant, applies it, drops what is not wanted anymore, decides once, and puts what was
launched into the future: exactly what the runtime does, but for the clock.  The losses of nodes lie
in the future from the beginning.  Of an attempt that is lost, or ended because time is up, start
and end stay in the future, and come late.

What results say of an open loop, or of an open number of tasks, is what is expected.  Attempts of
tasks that are dropped end at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from heapq import heappop, heappush

from stretto.platform import Outage, Overheads
from stretto.scheduler import (
    Cancelled,
    Dropped,
    Event,
    Failed,
    Finished,
    Forgiven,
    GatedSet,
    Launched,
    NodeLost,
    NodeReturned,
    Released,
    Started,
    State,
    Status,
    Told,
    abandoned,
    decide,
    excused,
    expected_told,
    leaving,
    losses,
    prune,
    revoked,
)
from stretto.simulator.world import World

__all__ = ["play", "with_stages"]


def with_stages(sets: Sequence[GatedSet], overheads: Overheads) -> tuple[GatedSet, ...]:
    """Return the sets with one gate more where `play` is to open it, a stage's overhead late."""
    if not overheads.stage_us:
        return tuple(sets)
    return tuple(replace(one, gates=one.gates + 1) if one.gates else one for one in sets)


def play(
    state: State,
    world: World,
    *,
    overheads: Overheads,
    observe: Callable[[Event], None],
    outages: Sequence[Outage] = (),
) -> int:
    """Run the state to its end and return the time of its last event, in microseconds.

    Parameters
    ----------
    state
        The scheduler's state, its sets as `with_stages` made them; afterwards nothing in it is in
        flight, nor ready, unless its time is up or no node is left for it.
    world
        What becomes of each attempt.
    overheads
        What launching costs.
    observe
        Called with every event, in order.
    outages
        Which nodes are lost, and when.
    """
    future = _outages(outages)
    serial = len(future)
    now_us = 0
    is_open = any(one.prunes is not None for one in state.sets)
    due, starved = state.shortfall.due, state.shortfall.starved
    released: dict[int, None] = {}
    while True:
        touched = _arrived(state, future, now_us, observe)
        _end_broken(state, now_us, observe)
        for told in _told(state, touched, now_us) if is_open else ():
            observe(told)
        while state.wanted.doubtful or due or starved:
            for event in (*_pruned(state, now_us), *excused(state, now_us)):
                observe(event)
                if isinstance(event, Dropped | Forgiven):
                    touched.append(_first_of(state, event))
        if overheads.stage_us:
            later_us = now_us + overheads.stage_us
            for index in _last_gates(state, touched, released):
                heappush(future, (later_us, serial, Released(index, later_us)))
                serial += 1
        decided = decide(state, now_us)
        for event in decided:
            observe(event)
        launches = [event for event in decided if isinstance(event, Launched)]
        for started, ended in _lives(launches, now_us, world, overheads):
            if started.time_us == now_us:  # most start at once: no detour through the heap
                state.apply(started)
                observe(started)
            else:
                heappush(future, (started.time_us, serial, started))
            heappush(future, (ended.time_us, serial + 1, ended))
            serial += 2
        if not future:
            return now_us
        now_us = future[0][0]
        if state.limit is not None and now_us > state.limit.until_us:
            return _time_is_up(state, state.limit.until_us, observe)


def _outages(outages: Sequence[Outage]) -> list[tuple[int, int, Event]]:
    """Return the future of nodes, and nothing else yet."""
    future: list[tuple[int, int, Event]] = []
    for node, lost_us, returned_us in outages:
        heappush(future, (lost_us, len(future), NodeLost(node, lost_us)))
        if returned_us is not None:
            heappush(future, (returned_us, len(future), NodeReturned(node, returned_us)))
    return future


def _arrived(
    state: State,
    future: list[tuple[int, int, Event]],
    now_us: int,
    observe: Callable[[Event], None],
) -> list[int]:
    """Apply what happens now, and return the tasks upon whose ends something may go on."""
    touched: list[int] = []
    while future and future[0][0] == now_us:
        event = heappop(future)[2]
        if type(event) is NodeLost:
            for one in losses(state, event.node, now_us):
                state.apply(one)
                observe(one)
            continue
        state.apply(event)
        observe(event)
        if type(event) is Finished:
            if state.attempts[event.task] == event.attempt:
                touched.append(event.task)
        elif type(event) is Released:
            touched.append(_first_of(state, event))
    return touched


def _first_of(state: State, event: Released | Forgiven | Dropped) -> int:
    """Return the task of an event, or the first one of its set."""
    return event.task if isinstance(event, Dropped) else state.sets[event.set_index].first_task


def _time_is_up(state: State, now_us: int, observe: Callable[[Event], None]) -> int:
    """End what is in flight, and return when that was."""
    for task in state.in_flight():
        cancelled = Cancelled(task, state.attempts[task], now_us)
        state.apply(cancelled)
        observe(cancelled)
    _end_broken(state, now_us, observe)
    return now_us


def _end_broken(state: State, now_us: int, observe: Callable[[Event], None]) -> None:
    """End at once what is left of groups of which a member failed."""
    for event in revoked(state):
        observe(event)
    for task in abandoned(state):
        cancelled = Cancelled(task, state.attempts[task], now_us)
        state.apply(cancelled)
        observe(cancelled)


def _told(state: State, finished: Sequence[int], now_us: int) -> Iterator[Told]:
    """Apply and yield what results say."""
    for task in finished:
        told = expected_told(state, task, now_us)
        if told is not None and state.status[task] == Status.FINISHED:
            state.apply(told)
            yield told


def _pruned(state: State, now_us: int) -> list[Event]:
    """Apply and return what is not wanted anymore, and the attempts that this ends."""
    events: list[Event] = [*prune(state, now_us)]
    for event in events:
        for task in leaving(state, event) if type(event) is Dropped else ():
            cancelled = Cancelled(task, state.attempts[task], now_us)
            state.apply(cancelled)
            events.append(cancelled)
    return events


def _last_gates(state: State, touched: Sequence[int], released: dict[int, None]) -> list[int]:
    """Return the sets that have no gate left but the one that `play` opens, each once.

    Parameters
    ----------
    touched
        Tasks that have finished, or were dropped with others of their set.
    released
        Sets that were returned before; those returned now are added.
    """
    narrowed: list[int] = []
    for index in dict.fromkeys(state.set_of[task] for task in touched):
        gated = state.sets[index]
        members = [state.sets[each] for each in gated.gang] or [gated]
        opened = [consumer for one in members for consumer in one.opens]
        for consumer in (*opened, *(one.consumer for one in gated.thresholds)):
            if state.gates_left[consumer] == 1 and consumer not in released:
                released[consumer] = None
                narrowed.append(consumer)
    return narrowed


def _lives(
    launches: Sequence[Launched], now_us: int, world: World, overheads: Overheads
) -> Iterator[tuple[Started, Finished | Failed]]:
    """Yield the start and the end of each launch."""
    starts_us = now_us + overheads.launch_us - overheads.between_us
    bundle = -1
    ends_us = 0
    for task, attempt, _, _, launched_in, *_ in launches:
        if launched_in == bundle:
            begins_us = ends_us
        else:
            starts_us += overheads.between_us
            begins_us = starts_us
            bundle = launched_in
        duration_us, failure = world.outcome(task, attempt)
        ends_us = begins_us + duration_us + overheads.task_us
        started = Started(task, attempt, begins_us)
        if failure is None:
            yield started, Finished(task, attempt, ends_us)
        else:
            yield started, Failed(task, attempt, ends_us, failure)
