"""From a record to the events of a run, as if it had been ours.

The scheduler's own `State` says what may start when, so that whatever reads journals can read these
events.  Attempts start when the record says they did.  Where that cannot be, something is mended,
and told:

- one that started before what it waits for had ended (clocks of several machines differ) starts
  when that has;
- one whose start nobody knows starts as soon as its inputs are there and a machine has room;
- one of which only start or only end is known, but how long it took, has the other worked out;
- one without an end, but with another attempt behind it, is lost when that begins;
- one that never becomes free to start is left out.

A record does not tell a launch from a start, so they fall together; what it knows of when tasks
were asked for is kept beside the journal (see `importing`).
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush

from stretto.platform import Node, Placement
from stretto.records.ledger import Ledger
from stretto.records.record import Record, RecordedAttempt
from stretto.resources import Resources
from stretto.scheduler import (
    Cancelled,
    Event,
    Failed,
    Finished,
    Launched,
    Lost,
    Mode,
    Started,
    State,
    Status,
    gated_sets,
)
from stretto.trace import Outcome
from stretto.units import counted
from stretto.workflow import Workflow, expand

__all__ = ["Round", "Timeline", "settled"]

Round = tuple[int, list[Event]]
"""A time in microseconds, and what happened then."""

_ENDS, _STARTS = 0, 1


def settled(
    attempts: Sequence[RecordedAttempt], mended: Counter[str]
) -> tuple[RecordedAttempt, ...]:
    """Return the attempts of a task with what can be worked out of their times."""
    found = []
    for number, one in enumerate(attempts):
        started_us, ended_us, took_us = one.started_us, one.ended_us, one.duration_us
        outcome = one.outcome
        if outcome is Outcome.RUNNING and number + 1 < len(attempts):
            outcome = Outcome.LOST
            ended_us = ended_us or attempts[number + 1].started_us or started_us
        if outcome is not Outcome.RUNNING:
            if started_us is not None and ended_us is None:
                ended_us = started_us + (took_us or 0)
                mended["with an end worked out from start and duration"] += 1
            elif ended_us is not None and started_us is None:
                started_us = max(0, ended_us - (took_us or 0))
                mended["with a start worked out from end and duration"] += 1
        found.append(replace(one, outcome=outcome, started_us=started_us, ended_us=ended_us))
    return tuple(found)


class Timeline:
    """A record, played.

    Parameters
    ----------
    workflow, record
        The description made from the record, and the record.
    ledger
        The machines, which keep afterwards what was held on them.
    hosts
        Numbers of the machines by their names.
    """

    def __init__(
        self, workflow: Workflow, record: Record, ledger: Ledger, hosts: Mapping[str, int]
    ) -> None:
        sets = gated_sets(expand(workflow), Mode.TASK_LEVEL)
        # Room is the ledger's matter; this state only says who is free to start.
        self._state = State(sets, [Node("", 0, 0, 0)], [0] * len(sets))
        self._ledger = ledger
        self._hosts = hosts
        self._mended: Counter[str] = Counter()
        self._tasks = [record.tasks[at] for one in record.sets for at in one.tasks]
        self._attempts = [settled(task.attempts, self._mended) for task in self._tasks]
        self._next = array("i", bytes(4 * len(self._tasks)))
        """By task: attempts that are over."""
        self._pending = bytearray(len(self._tasks))
        """By task: whether its attempt waits for what it waits for, and not for its time."""
        self._held: dict[int, Placement] = {}
        self._heap: list[tuple[int, int, int]] = []
        self._waiting: dict[tuple[Resources, tuple[str, ...]], deque[int]] = {}
        """Tasks without a start of their own that only lack room, by what they need where."""
        self.rounds: list[Round] = []
        self.made_up_starts: list[int] = []
        """Tasks that start when they could, since nobody knows when they did."""
        self.made_up_durations = [
            number
            for number, task in enumerate(self._tasks)
            if task.cached_us is not None
            or any(one.outcome is Outcome.FINISHED and one.took_us is None for one in task.attempts)
        ]
        """Tasks that take as long as they do for want of anything known, or took over a result."""
        for task in range(len(self._tasks)):
            self._await(task, 0)
        self._play()

    @property
    def told(self) -> tuple[str, ...]:
        """Sentences about what was mended."""
        left = sum(self._pending) + sum(map(len, self._waiting.values()))
        lost = {"never started: what was waited for never finished": left} if left else {}
        return tuple(
            f"{counted(count, 'attempt')} {what}"
            for what, count in {**self._mended, **lost}.items()
        )

    def _play(self) -> None:
        now_us = 0
        while True:
            events: list[Event] = []
            while True:
                while self._heap and self._heap[0][0] == now_us:
                    self._happen(now_us, events)
                self._fill(now_us, events)
                if not self._heap or self._heap[0][0] != now_us:
                    break
            if not events and not self._heap:
                self._force(now_us, events)
            if events:
                self.rounds.append((now_us, events))
            if self._heap:
                now_us = self._heap[0][0]
            elif not events:
                return

    def _await(self, task: int, now_us: int) -> None:
        """Put the next attempt of a task into the future, if there is one."""
        attempts = self._attempts[task]
        if self._next[task] == len(attempts):
            return
        started_us = attempts[self._next[task]].started_us
        if started_us is not None:
            heappush(self._heap, (max(now_us, started_us), _STARTS, task))
        elif self._state.status[task] == Status.READY:
            self._wait_for_room(task)
        else:
            self._pending[task] = True

    def _wait_for_room(self, task: int) -> None:
        attempt = self._attempts[task][self._next[task]]
        key = self._tasks[task].needs, attempt.machines
        self._waiting.setdefault(key, deque()).append(task)

    def _happen(self, now_us: int, events: list[Event]) -> None:
        """Take what is next from the heap."""
        _, kind, task = heappop(self._heap)
        if kind == _ENDS:
            self._end(task, now_us, events)
        elif self._state.status[task] == Status.READY:
            self._start(task, now_us, events)
        else:
            self._pending[task] = True

    def _end(self, task: int, now_us: int, events: list[Event]) -> None:
        attempt = self._attempts[task][self._next[task]]
        number = self._state.attempts[task]
        match attempt.outcome:
            case Outcome.FINISHED:
                event: Event = Finished(task, number, now_us)
            case Outcome.FAILED:
                event = Failed(task, number, now_us, attempt.reason or "failed")
            case Outcome.CANCELLED:
                event = Cancelled(task, number, now_us)
            case _:
                event = Lost(task, number, now_us, attempt.reason or "its end was not recorded")
        self._ledger.release(self._held.pop(task))
        self._state.apply(event)
        events.append(event)
        self._next[task] += 1
        self._await(task, now_us)
        if attempt.outcome is Outcome.FINISHED:
            for freed in self._fed_by(task):
                if self._pending[freed] and self._state.status[freed] == Status.READY:
                    self._pending[freed] = False
                    self._resume(freed, now_us, events)

    def _fed_by(self, task: int) -> Iterator[int]:
        """Yield the tasks that may have become free to start because this one has finished."""
        state = self._state
        index = state.set_of[task]
        gated = state.sets[index]
        for opened in gated.opens:
            if state.complete(index) and not state.gates_left[opened]:
                first = state.sets[opened].first_task
                yield from range(first, first + state.sets[opened].count)
        for feed in gated.feeds:
            consumer = state.sets[feed.consumer]
            number = (task - gated.first_task) * consumer.count // gated.count
            yield consumer.first_task + number

    def _resume(self, task: int, now_us: int, events: list[Event]) -> None:
        """Go on with an attempt whose task has become free to start."""
        started_us = self._attempts[task][self._next[task]].started_us
        if started_us is None:
            self._wait_for_room(task)
        elif started_us >= now_us:
            heappush(self._heap, (started_us, _STARTS, task))
        else:
            self._start(task, now_us, events)

    def _fill(self, now_us: int, events: list[Event]) -> None:
        """Start what waits for room, as far as there is some."""
        for queue in self._waiting.values():
            while queue and self._start(queue[0], now_us, events, must=False):
                queue.popleft()

    def _force(self, now_us: int, events: list[Event]) -> None:
        """Start one for which there will never be room, by what is known of its machine."""
        for queue in self._waiting.values():
            if queue:
                self._start(queue.popleft(), now_us, events)
                return

    def _start(self, task: int, now_us: int, events: list[Event], *, must: bool = True) -> bool:
        attempt = self._attempts[task][self._next[task]]
        at = sorted(self._hosts[name] for name in attempt.machines)
        placement = self._ledger.place(self._tasks[task].needs, at, must=must)
        if placement is None:
            return False
        if attempt.started_us is None:
            self._mended["without a start: put when inputs and room were there"] += 1
            self.made_up_starts.append(task)
        elif attempt.started_us < now_us:
            self._mended["moved: recorded to start before what it had to wait for had ended"] += 1
            self.made_up_starts.append(task)
        number = self._state.attempts[task] + 1
        launched = Launched(task, number, now_us, placement, self._state.n_bundles)
        self._state.apply(launched._replace(placement=()))
        started = Started(task, number, now_us)
        self._state.apply(started)
        events += [launched, started]
        self._held[task] = placement
        if attempt.outcome is not Outcome.RUNNING:
            ended_us = attempt.ended_us
            if ended_us is None:
                ended_us = now_us + (attempt.duration_us or 0)
            heappush(self._heap, (max(now_us, ended_us), _ENDS, task))
        return True
