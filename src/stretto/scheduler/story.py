"""What befell a task before it was launched: when it became ready, what then went before it, why.

The events of a run are folded once more, and the state is watched at each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from stretto.scheduler.events import Adapted, Dropped, Event, Finished, Forgiven, Launched
from stretto.scheduler.state import READY, State
from stretto.units import US_PER_SECOND, counted

__all__ = ["waits"]

NOT_YET = -1
"""Stands for a time that has not come."""


def waits(state: State, events: Iterable[Event], task: int) -> Iterator[tuple[int, str]]:
    """Yield when and how a task waited, a time in microseconds and words for each step.

    Parameters
    ----------
    state
        The run at its beginning (see `begun`); it is brought to its end.
    events
        All that happened, in order.
    """
    index = state.set_of[task]
    ready_us: int | None = None
    before: Counter[int] = Counter()
    held: dict[str, None] = {}
    held_until_us = 0
    steered: Adapted | None = None
    now_us = 0
    if state.status[task] == READY:
        ready_us = 0
        yield 0, "ready from the start"
    for event in events:
        now_us = getattr(event, "time_us", now_us)
        if isinstance(event, Launched) and event.task == task and ready_us is not None:
            if now_us > ready_us:
                yield now_us, _waited(state, now_us - ready_us, before, held, held_until_us)
            ready_us = None
            held.clear()
            before.clear()
        was_ready = state.status[task] == READY
        state.apply(event)
        match event:
            case Adapted():
                steered = event
                if ready_us is not None:
                    yield now_us, _steered(event)
            case Launched(other) if ready_us is not None:
                before[state.set_of[other]] += 1
            case _:
                pass
        if state.status[task] == READY and not was_ready:
            ready_us = now_us
            yield ready_us, _ready(state, event)
            if steered is not None:
                yield ready_us, _steered(steered)
        if ready_us is not None and state.mind is not None:
            if awaited := state.mind.waits(index):
                held.update(dict.fromkeys(awaited))
                held_until_us = NOT_YET
            elif held_until_us == NOT_YET:
                held_until_us = now_us


def _ready(state: State, event: Event) -> str:
    match event:
        case Finished(other):
            gated = state.sets[state.set_of[other]]
            return f"ready: {gated.name}.{other - gated.first_task} had finished"
        case Forgiven(index):
            return f"ready: {state.sets[index].name} counts as complete"
        case Dropped(other):
            gone = state.sets[state.set_of[other]].name
            return f"ready: nobody waits for what was dropped of {gone}"
        case _:
            return "ready again"


def _steered(event: Adapted) -> str:
    since = f"{event.time_us / US_PER_SECOND:.3f} s"
    return f"policy since {since}: {event.policy} ({event.reason})"


def _waited(
    state: State, waited_us: int, before: Counter[int], held: Iterable[str], until_us: int
) -> str:
    said = [f"waited {waited_us / US_PER_SECOND:.3f} s"]
    if awaited := " and ".join(held):
        end = "" if until_us == NOT_YET else f", until {until_us / US_PER_SECOND:.3f} s"
        said.append(f"the policy let it wait for {awaited}{end}")
    if before:
        went = ", ".join(
            f"{counted(tasks, 'task')} of {state.sets[index].name}"
            for index, tasks in sorted(before.items())
        )
        said.append(f"before it went {went}")
    return "; ".join(said)
