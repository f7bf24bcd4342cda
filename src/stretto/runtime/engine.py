"""The engine: the scheduler on the real clock.

A round takes everything that has arrived, applies it, drops what is not wanted anymore, decides
once, writes the round to the journal, and only then acts.  While the journal is being written more
arrives, and the next round is larger: under load, rounds grow and their cost is shared.

What is written survives the end of this process.  The end of the machine it survives once it is
synced: before acting, where tasks would outlive the machine (a durable backend); else within
`SYNC_S`, since tasks that the disk does not know of have ended with the machine.

Everything happens in one thread, in the event loop's turn.  What arrives goes to the inbox and
wakes the engine; nothing else changes the state.

A run ends when nothing is in flight and nothing can be launched.  If its time is limited, that may
be because what is left cannot end in time; and when the time is up, what still runs is asked to
end.  If what is left has room on lost nodes only, the run waits for them, but not longer than
`PATIENCE_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol, assert_never

from stretto.runtime.answers import Unanswered
from stretto.runtime.backend import (
    Backend,
    Exited,
    LaunchFailed,
    Lost,
    Marked,
    NodeLost,
    NodeReturned,
    Report,
    Request,
    Started,
)
from stretto.runtime.clock import RealClock
from stretto.runtime.deadlines import Deadlines
from stretto.scheduler import (
    GRACE_US,
    Cancelled,
    Dropped,
    Event,
    Failed,
    Finished,
    Idled,
    Launched,
    Opened,
    Shared,
    State,
    Status,
    Submitted,
    Told,
    Woke,
    abandoned,
    decide,
    ends_in_time,
    excused,
    fits_nowhere,
    leaving,
    losses,
    prune,
    revoked,
    unstarted,
)
from stretto.scheduler import Lost as TaskLost
from stretto.scheduler import NodeReturned as NodeBack
from stretto.scheduler import Started as TaskStarted
from stretto.units import us_to_seconds

__all__ = ["Ending", "Engine", "Record"]

SYNC_S = 0.1
"""Longest time for which a round is written but not synced."""
PATIENCE_S = 600.0
"""Longest real time for which a run with nothing in flight waits for lost nodes."""


OVER = (Status.FINISHED, Status.DROPPED, Status.LEAVING, Status.FORGIVEN)
"""What a task has become that nobody can drop anymore: it was posted too late."""

Change = Opened | Submitted | Dropped | Shared
"""What a driver may post: it goes to the state as it is."""


class Record(Protocol):
    """Where rounds are kept; a `Journal`, or nothing."""

    def round(self, time_us: int, events: Sequence[Event]) -> None:
        """Append a round."""

    def sync(self) -> None:
        """Return once all rounds are safe."""


class Ending(Enum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class Engine:
    """Drives a state to its end.

    Parameters
    ----------
    state
        The scheduler's state; only the engine changes it.
    backend
        Starts, watches and ends tasks.
    request
        Makes of a launch what the backend is asked for.
    clock
        Workflow time.
    record
        The journal.
    observe
        Called with each round's time and events, after they are safe.
    on_exit
        Called with each exit as the backend reported it, for results.
    answer
        Returns what a result says of how the workflow goes on, if it is asked; or raises
        `Unanswered`.
    timeout_us
        Workflow time a task may run, `None` for ever.
    grace_s
        Real seconds between asking a task to end and forcing it.
    """

    def __init__(
        self,
        state: State,
        backend: Backend,
        *,
        request: Callable[[Launched], Request],
        clock: RealClock,
        record: Record,
        observe: Callable[[int, Sequence[Event]], None],
        on_exit: Callable[[Exited], None] | None = None,
        answer: Callable[[Exited, int], Told | None] = lambda _, __: None,
        timeout_us: Callable[[int], int | None] = lambda _: None,
        grace_s: float = us_to_seconds(GRACE_US),
    ) -> None:
        self.state = state
        self.clock = clock
        self.grace_s = grace_s
        self.because = ""
        """Why the run has stopped, if it has of itself."""
        self._backend = backend
        self._request = request
        self._record = record
        self._observe = observe
        self._on_exit = on_exit
        self._answer = answer
        self._inbox: list[Report | Change] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._open = False
        self._deadlines = Deadlines(timeout_us, clock, self._expire)
        self._asked_to_end: dict[tuple[int, int], str | None] = {}
        """By attempt: why it has failed, `None` if the run stops."""
        self._sync_first = backend.capabilities().durable
        self._timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._due = False

    async def run(self, *, stay_open: bool = False) -> Ending:
        """Return when nothing is in flight and nothing more can be launched.

        Parameters
        ----------
        stay_open
            Wait for tasks still to be submitted until `close` is called.

        Raises
        ------
        BackendError
            If the backend cannot start, or the journal cannot be written.
        """
        self._open = stay_open
        await self._backend.start(self.post)
        self._set_end()
        try:
            while True:
                self._wake.clear()
                self._round()
                if self._due:
                    self._due = False
                    self._record.sync()
                if self._settled():
                    break
                await self._wake.wait()
            self._record.sync()
        finally:
            self._deadlines.clear_all()
            for timer in (self._timer, self._end_timer, self._patience):
                if timer is not None:
                    timer.cancel()
            await self._backend.close()
        return self._ending()

    def post(self, item: Report | Change) -> None:
        """Put something into the inbox; from the event loop's thread only."""
        self._inbox.append(item)
        started = isinstance(item, Started) and not self._deadlines.has(item.task)
        if started or isinstance(item, Marked):
            self._wake_soon()  # nothing depends on it: it may wait for company
        else:
            self._wake.set()

    def stop(self, *, grace_s: float | None = None) -> None:
        """Launch nothing more and end what is in flight; called again, with less grace."""
        self._stopping = True
        grace_s = self.grace_s if grace_s is None else grace_s
        for task in self.state.in_flight():
            self._end(task, grace_s)
        self._wake.set()

    def _end(self, task: int, grace_s: float) -> None:
        attempt = self.state.attempts[task]
        self._asked_to_end.setdefault((task, attempt), None)
        self._backend.cancel(task, attempt, grace_s)

    def close(self) -> None:
        """Expect no more submissions: the run ends when what is there has ended."""
        self._open = False
        self._wake.set()

    def _settled(self) -> bool:
        if self.state.n_in_flight or self._inbox:
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None
            return False
        return self._stopping or not (self._open or self._waits_for_nodes())

    def _held_back(self) -> tuple[bool, bool]:
        """Return whether ready tasks wait for more time, and whether some wait for nodes."""
        now_us = self.clock.now_us()
        ready = [index for index, queue in enumerate(self.state.ready) if queue]
        in_time = [index for index in ready if ends_in_time(self.state, index, now_us)]
        nodes = any(fits_nowhere(self.state, index) for index in in_time)
        return len(in_time) < len(ready), nodes

    def _waits_for_nodes(self) -> bool:
        if not self.state.slots.lost or not self._held_back()[1]:
            return False
        if self._patience is None:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(PATIENCE_S, self._stop_because, "lost nodes")
        return True

    def _set_end(self) -> None:
        """Stop the run when its time is up."""
        limit = self.state.limit
        if limit is not None:
            left_s = self.clock.real_s(limit.until_us - self.clock.now_us())
            loop = asyncio.get_running_loop()
            self._end_timer = loop.call_later(max(0.0, left_s), self._stop_because, "its walltime")

    def _stop_because(self, of: str) -> None:
        if not self._stopping:
            self.because = f"stopped by {of}"
        self.stop()

    def _ending(self) -> Ending:
        if self.state.done:
            self.because = ""
            return Ending.DONE
        if not self._stopping and self._held_back()[0]:
            self.because = "stopped by its walltime"
        if self.because and (left := unstarted(self.state)):
            self.because += f"; still to be launched: {left}"
        return Ending.STOPPED if self._stopping or self.because else Ending.FAILED

    def _round(self) -> None:
        arrived, self._inbox = self._inbox, []
        events: list[Event] = []
        learnt_us = self.clock.now_us()
        for item in arrived:
            for event in self._events(item, learnt_us):
                self.state.apply(event)
                events.append(event)
        events += revoked(self.state)
        now_us = self.clock.now_us()
        while follows := [*prune(self.state, now_us), *excused(self.state, now_us)]:
            events += follows
        decided = [] if self._stopping else decide(self.state, now_us)
        launches = [event for event in decided if isinstance(event, Launched)]
        events += decided
        if not events:
            return
        self._record.round(now_us, events)
        if self._sync_first:
            self._record.sync()
        else:
            self._wake_soon()
        useless = [
            task for one in events if type(one) is Dropped for task in leaving(self.state, one)
        ]
        for task in (*abandoned(self.state), *useless):
            self._end(task, self.grace_s)
        if launches:
            self._backend.launch([self._request(launched) for launched in launches])
        self._observe(now_us, events)

    def _wake_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SYNC_S, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._due = True
        self._wake.set()

    def _events(self, item: Report | Change, learnt_us: int) -> list[Event]:
        """Return what a report means to the scheduler."""
        match item:
            case Started(task, attempt) | Exited(task, attempt) if not self._flies(task, attempt):
                return []  # its node was lost meanwhile
            case Started(task, attempt, machine_us):
                self._deadlines.set(task, attempt)
                return [TaskStarted(task, attempt, self.clock.at(machine_us))]
            case Marked():
                return self._marked(item)
            case Exited():
                return self._exited(item, learnt_us)
            case LaunchFailed(task, attempt, machine_us, reason):
                return [Failed(task, attempt, self.clock.at(machine_us), reason)]
            case Lost(task, attempt, machine_us, reason):
                self._forget(task, attempt)
                return [TaskLost(task, attempt, self.clock.at(machine_us), reason)]
            case NodeLost(node, _):
                return self._node_lost(node)
            case NodeReturned(node, _):
                there = node not in self.state.slots.lost
                return [] if there else [NodeBack(node, self.clock.now_us())]
            case Dropped(task) if self.state.status[task] in OVER:
                return []
            case Opened() | Submitted() | Dropped() | Shared():
                return [item]
            case _:
                assert_never(item)

    def _marked(self, report: Marked) -> list[Event]:
        """Return what a task said of itself, if it is news: it may say anything, at any time."""
        task, attempt, machine_us, idle = report
        state = self.state
        runs = 0 <= task < state.n_tasks and state.status[task] == Status.RUNNING
        if not runs or attempt != state.attempts[task] or idle == (task in state.idle):
            return []
        return [(Idled if idle else Woke)(task, attempt, self.clock.at(machine_us))]

    def _flies(self, task: int, attempt: int) -> bool:
        """Return whether an attempt is in flight, so that a report of it is not too late."""
        return task in self.state.bundle_of and attempt == self.state.attempts[task]

    def _node_lost(self, node: int) -> list[Event]:
        """Return what the loss of a node means; the time is that at which we heard of it.

        Until then tasks were launched there, and a trace in which that is not so would be a lie.
        """
        events: list[Event] = [*losses(self.state, node, self.clock.now_us())]
        for event in events:
            if isinstance(event, TaskLost):
                self._forget(event.task, event.attempt)
                self._backend.cancel(event.task, event.attempt, 0.0)
        return events

    def _forget(self, task: int, attempt: int) -> None:
        """Expect no exit of an attempt anymore."""
        self._deadlines.clear(task, attempt)
        self._asked_to_end.pop((task, attempt), None)

    def _exited(self, report: Exited, learnt_us: int) -> list[Event]:
        task, attempt, time_us = report.task, report.attempt, self.clock.at(report.time_us)
        self._deadlines.clear(task, attempt)
        if (task, attempt) in self._asked_to_end:
            # Whatever it says of its end: many programs that are asked to end exit with 0.
            overdue = self._asked_to_end.pop((task, attempt))
            if overdue is None:
                return [Cancelled(task, attempt, time_us)]
            return [Failed(task, attempt, time_us, overdue)]
        told = None
        if report.error is None:
            try:
                told = self._answer(report, max(learnt_us, time_us))
            except Unanswered as unanswered:
                report = report._replace(error=str(unanswered))
        if self._on_exit is not None:
            self._on_exit(report)
        if report.error is not None:
            return [Failed(task, attempt, time_us, report.error)]
        finished = Finished(task, attempt, time_us)
        return [finished] if told is None else [finished, told]

    def _expire(self, task: int, attempt: int, why: str) -> None:
        self._asked_to_end[task, attempt] = why
        self._backend.cancel(task, attempt, self.grace_s)
