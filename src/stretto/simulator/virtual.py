"""The virtual clock: the scheduler's own decisions, on a world that is only drawn.

A heap of (time, serial number, event) is the future.  Each round takes everything that happens at
the next instant, applies it, decides once, and puts what was launched into the future: exactly
what the runtime does, but for the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from stretto.scheduler import Event, Failed, Finished, Launched, Started, State, decide
from stretto.simulator.world import Overheads, World

__all__ = ["play"]

Observer = Callable[[Event], None]

_Future = list[tuple[int, int, Event]]


def play(state: State, world: World, *, overheads: Overheads, observe: Observer) -> int:
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
    future: _Future = []
    serial = 0
    now_us = 0
    while True:
        while future and future[0][0] == now_us:
            event = heappop(future)[2]
            state.apply(event)
            observe(event)
        launches = decide(state, now_us)
        if launches:
            for launched in launches:
                observe(launched)
            serial = _unfold(launches, now_us, world, overheads, future, serial)
        if not future:
            return now_us
        now_us = future[0][0]


def _unfold(
    launches: Sequence[Launched],
    now_us: int,
    world: World,
    overheads: Overheads,
    future: _Future,
    serial: int,
) -> int:
    """Put the start and the end of each launch into the future; return the next serial number."""
    bundle = -1
    starts_us = now_us + overheads.launch_us - overheads.between_us
    ends_us = 0
    for launched in launches:
        task, attempt = launched.task, launched.attempt
        if launched.bundle == bundle:
            begins_us = ends_us
        else:
            starts_us += overheads.between_us
            begins_us = starts_us
            bundle = launched.bundle
        ends_us = begins_us + world.duration_us(task, attempt)
        failure = world.failure(task, attempt)
        heappush(future, (begins_us, serial, Started(task, attempt, begins_us)))
        if failure is None:
            heappush(future, (ends_us, serial + 1, Finished(task, attempt, ends_us)))
        else:
            heappush(future, (ends_us, serial + 1, Failed(task, attempt, ends_us, failure)))
        serial += 2
    return serial
