"""The virtual clock: the scheduler's own decisions, on a world that is only drawn.

A heap of (time, serial number, event) is the future.  Each round takes everything that happens at
the next instant, applies it, decides once, and puts what was launched into the future: exactly
what the runtime does, but for the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from heapq import heappop, heappush

from stretto.platform import Overheads
from stretto.scheduler import (
    Cancelled,
    Event,
    Failed,
    Finished,
    GatedSet,
    Launched,
    Released,
    Started,
    State,
    abandoned,
    decide,
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
    state: State, world: World, *, overheads: Overheads, observe: Callable[[Event], None]
) -> int:
    """Run the state to its end and return the time of its last event, in microseconds.

    Parameters
    ----------
    state
        The scheduler's state, its sets as `with_stages` made them; afterwards nothing in it is in
        flight or ready.
    world
        What becomes of each attempt.
    overheads
        What launching costs.
    observe
        Called with every event, in order.
    """
    future: list[tuple[int, int, Event]] = []
    serial = 0
    now_us = 0
    while True:
        while future and future[0][0] == now_us:
            event = heappop(future)[2]
            state.apply(event)
            observe(event)
            if overheads.stage_us:
                later_us = now_us + overheads.stage_us
                for index in _last_gates(state, event):
                    heappush(future, (later_us, serial, Released(index, later_us)))
                    serial += 1
        _end_broken(state, now_us, observe)
        launches = decide(state, now_us)
        for launched in launches:
            observe(launched)
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


def _end_broken(state: State, now_us: int, observe: Callable[[Event], None]) -> None:
    """End at once what is left of groups of which a member failed."""
    for event in revoked(state):
        observe(event)
    for task in abandoned(state):
        cancelled = Cancelled(task, state.attempts[task], now_us)
        state.apply(cancelled)
        observe(cancelled)


def _last_gates(state: State, event: Event) -> list[int]:
    """Return the sets of which this event left no gate but the one that `play` opens."""
    match event:
        case Finished(task):
            index = state.set_of[task]
            if state.complete(index):
                done = state.sets[index].gang or (index,)
                opened = dict.fromkeys(one for each in done for one in state.sets[each].opens)
                return [one for one in opened if state.gates_left[one] == 1]
        case _:
            pass
    return []


def _lives(
    launches: Sequence[Launched], now_us: int, world: World, overheads: Overheads
) -> Iterator[tuple[Started, Finished | Failed]]:
    """Yield the start and the end of each launch."""
    starts_us = now_us + overheads.launch_us - overheads.between_us
    bundle = -1
    ends_us = 0
    for task, attempt, _, _, launched_in, _ in launches:
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
