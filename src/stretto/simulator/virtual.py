"""The virtual clock: the scheduler's own decisions, on a world that is only drawn.

A heap of (time, serial number, event) is the future.  Each round takes everything that happens at
the next instant, applies it, decides once, and puts what was launched into the future: exactly
what the runtime does, but for the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush

from stretto.scheduler import Event, Failed, Finished, Launched, Started, State, decide
from stretto.simulator.world import Overheads, World

__all__ = ["play"]


def play(
    state: State, world: World, *, overheads: Overheads, observe: Callable[[Event], None]
) -> int:
    """Run the state to its end and return the time of its last event, in microseconds.

    Parameters
    ----------
    state
        The scheduler's state; afterwards nothing in it is in flight or ready.
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
        ends_us = begins_us + duration_us
        started = Started(task, attempt, begins_us)
        if failure is None:
            yield started, Finished(task, attempt, ends_us)
        else:
            yield started, Failed(task, attempt, ends_us, failure)
