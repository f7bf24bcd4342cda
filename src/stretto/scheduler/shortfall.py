"""What becomes of tasks that will have no result, and of those that wait for them.

A task that has failed beyond its retries has failed for good.  When all other tasks of its set have
ended, and no more have failed for good than the set's budget allows, the set is *forgiven*: it
counts as complete, and stays so.  Beyond the budget nothing is forgiven, and what waits for the set
waits until a resume has tried its failed tasks again.

A task that was forgiven is *absent*: its result will never be there.  Whoever waits for the whole
set goes on without it.  Whoever waits for single tasks goes on with what is there of the tasks of
one dependency; where nothing of them is there (the partner by `each`, the whole block by `group`),
the waiting task is *starved*: it is dropped, and absent in its turn; with it goes whatever must run
at once with it.  So it is in every mode.  Starved are also the tasks of a set whose number was for
an absent task to say.  Input that may be stale is no such case: without it a task does as the first
iterations do.

That a set is forgiven and a starved task dropped are events, which follow from what has happened
and are due before the next decision: `excused` applies them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stretto.scheduler.events import Dropped, Failed, Forgiven, Resumed
from stretto.scheduler.feeds import fed_task
from stretto.scheduler.gangs import break_group
from stretto.scheduler.gates import Feed, GatedSet
from stretto.scheduler.impossible import impossible
from stretto.scheduler.releases import feed, open_gates, pass_gate
from stretto.scheduler.transitions import Status
from stretto.workflow import Pattern, block

if TYPE_CHECKING:
    from stretto.scheduler.state import State

__all__ = [
    "Shortfall",
    "allowed",
    "excused",
    "fail",
    "forgive",
    "make_absent",
    "note_end",
    "resume",
    "try_again",
]

IDLE = (Status.WAITING, Status.READY)
GONE = (Status.DROPPED, Status.LEAVING, Status.FORGIVEN)


class Shortfall:
    """What is known of failures and absent tasks; a part of the state."""

    __slots__ = ("absent", "due", "failed_in", "n_forgiven", "starved")

    def __init__(self) -> None:
        self.failed_in: list[int] = []
        """By set: tasks that failed for good and are not forgiven."""
        self.absent: dict[int, list[int]] = {}
        """By set: numbers of its tasks that were forgiven or starved, in the order of that."""
        self.n_forgiven = 0
        """Tasks that failed and were forgiven."""
        self.due: dict[int, None] = {}
        """Sets to be forgiven."""
        self.starved: dict[int, int] = {}
        """Tasks to be dropped, each with a set that has no result for it."""


def excused(state: State, now_us: int) -> list[Forgiven | Dropped]:
    """Apply and return what follows from failures that budgets allow, in order."""
    events: list[Forgiven | Dropped] = []
    due, starved = state.shortfall.due, state.shortfall.starved
    while due or starved:
        event: Forgiven | Dropped
        if starved:
            task, producer = next(iter(starved.items()))
            joined = producer in state.sets[state.set_of[task]].gang
            why = "is dropped, with which it runs at once" if joined else "has no result for it"
            event = Dropped(task, now_us, f"{state.sets[producer].name} {why}")
        else:
            event = Forgiven(next(iter(due)), now_us)
        state.apply(event)
        events.append(event)
    return events


def fail(state: State, event: Failed) -> None:
    """Try the task again, or count it as failed for good."""
    task = event.task
    index = state.set_of[task]
    state.end(task)
    break_group(state, task)
    failures = state.failures[task] = state.failures.get(task, 0) + 1
    if failures <= state.sets[index].retries:
        state.make_ready_again(task, first=True)
        return
    state.status[task] = Status.FAILED
    state.shortfall.failed_in[index] += 1
    if state.unfinished[index] == state.shortfall.failed_in[index]:
        note_end(state, index)


def try_again(state: State, task: int) -> None:
    """Let a task be launched again whose attempt was lost or cancelled; that costs no retry."""
    state.end(task)
    state.make_ready_again(task, first=True)
    break_group(state, task)


def note_end(state: State, index: int) -> None:
    """Note that all tasks of a set have ended, of which some may have failed."""
    if state.unfinished[index] == 0:
        open_gates(state, index)
    elif state.shortfall.failed_in[index] <= allowed(state, index):
        state.shortfall.due[index] = None


def allowed(state: State, index: int) -> int:
    """Return how many tasks of a set may fail for good: a budget is of those that are wanted."""
    return state.sets[index].budget.of(state.wanted.tasks(index))


def forgive(state: State, event: Forgiven) -> None:
    """Let a set count as complete, and let go who waits for so many of it."""
    shortfall, index = state.shortfall, event.set_index
    if index not in shortfall.due:
        raise impossible(state, event)
    del shortfall.due[index]
    shortfall.n_forgiven += shortfall.failed_in[index]
    shortfall.failed_in[index] = 0
    state.unfinished[index] = 0
    gated = state.sets[index]
    failed = [task for task in _tasks(gated) if state.status[task] == Status.FAILED]
    for task in failed:
        state.status[task] = Status.FORGIVEN
    for task in failed:
        make_absent(state, task)
    for threshold in state.wanted.ahead[index]:
        pass_gate(state, threshold.consumer)
    state.wanted.ahead[index] = []
    open_gates(state, index)


def resume(state: State, event: Resumed) -> None:
    """Give tasks that failed for good their retries anew.

    What was forgiven stays so: others have gone on without it.
    """
    if state.n_in_flight:
        raise impossible(state, event)
    state.limit = None
    state.unsettled = True
    state.shortfall.due.clear()
    for task in state.failed():
        state.shortfall.failed_in[state.set_of[task]] -= 1
        state.make_ready_again(task)
    state.failures = {
        task: count
        for task, count in state.failures.items()
        if state.status[task] == Status.FORGIVEN
    }


def make_absent(state: State, task: int) -> None:
    """Let those that wait for this very task wait no longer; note who then has no input."""
    index = state.set_of[task]
    gated, starved = state.sets[index], state.shortfall.starved
    if state.status[task] == Status.FORGIVEN or task in starved:
        state.shortfall.absent.setdefault(index, []).append(task - gated.first_task)
    starved.pop(task, None)
    for flow in gated.flows:
        consumer = state.sets[flow.consumer]
        waits = fed_task(task, gated, flow, consumer)
        if waits not in starved and _no_input(state, gated, flow, waits - consumer.first_task):
            _starve(state, waits, index)
    for counted in () if gated.prunes is None else gated.prunes.counts:
        for waits in _tasks(state.sets[counted]):
            _starve(state, waits, index)
    feed(state, task, gated)


def _starve(state: State, task: int, producer: int) -> None:
    """Let a task be dropped for want of a result, and those that run at once with it."""
    if state.status[task] not in IDLE:
        return
    starved = state.shortfall.starved
    starved[task] = producer
    gang = state.sets[state.set_of[task]].gang
    for joined in (one for index in gang for one in _tasks(state.sets[index])):
        if state.status[joined] in IDLE:
            starved.setdefault(joined, gang[0])


def _no_input(state: State, producer: GatedSet, flow: Feed, consumer: int) -> bool:
    """Return whether of the tasks that feed one consumer by this flow all are absent."""
    if flow.pattern is not Pattern.GROUP:
        return True
    return all(
        state.status[producer.first_task + number] in GONE
        # Tasks are mostly dropped in order: the last one of a block is the last to go.
        for number in reversed(block(consumer, state.sets[flow.consumer].count, producer.count))
    )


def _tasks(gated: GatedSet) -> range:
    return range(gated.first_task, gated.first_task + gated.count)
