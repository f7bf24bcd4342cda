"""A trace from events: the same for a simulation, a run and a journal read back."""

from __future__ import annotations

from array import array
from typing import assert_never

import numpy as np

from stretto.platform import Outage, Placement, Platform
from stretto.scheduler import (
    Adapted,
    Cancelled,
    Dropped,
    Event,
    Failed,
    Finished,
    Forgiven,
    Idled,
    Launched,
    Limited,
    Lost,
    NodeLost,
    NodeReturned,
    Opened,
    Order,
    Released,
    Resumed,
    Revoked,
    Shared,
    Started,
    Submitted,
    Told,
    Woke,
)
from stretto.trace.placements import Placements
from stretto.trace.record import UNKNOWN_US, Kind, Note, Outcome, Pardon, Trace
from stretto.workflow import Workflow

__all__ = ["TraceBuilder"]


class TraceBuilder:
    """Rows of a trace, one an attempt, filled as events arrive."""

    def __init__(self) -> None:
        self._row_of: dict[int, int] = {}
        """By task: the row of its latest attempt."""
        self._task = array("q")
        self._attempt = array("q")
        self._launched_us = array("q")
        self._started_us = array("q")
        self._ended_us = array("q")
        self._outcome = bytearray()
        self._placed = array("i")
        self._placements: dict[Placement, int] = {}
        """The different ones, numbered; `_placed` has the number of each row."""
        self._reasons: dict[int, str] = {}
        self._inputs: dict[int, tuple[tuple[str, int | None], ...]] = {}
        self._idle: dict[int, list[tuple[int, int]]] = {}
        self._present: dict[int, tuple[tuple[str, int, int], ...]] = {}
        self._told: dict[int, Told] = {}
        self._dropped: dict[int, int] = {}
        self._pardons: list[Pardon] = []
        self._outages: list[Outage] = []
        self._notes: list[Note] = []

    def add(self, event: Event) -> None:
        """Record one event; what the scheduler took for late is not recorded either."""
        match event:
            case Launched():
                self._launched(event)
            case Started():
                row = self._row_of[event.task]
                if self._runs(row, event.attempt):
                    self._started_us[row] = event.time_us
            case Idled():
                row = self._row_of[event.task]
                if self._runs(row, event.attempt):
                    self._idled(row, event.time_us)
            case Woke():
                row = self._row_of[event.task]
                if self._runs(row, event.attempt):
                    self._wake(row, event.time_us)
            case Finished():
                self._end(event, Outcome.FINISHED)
            case Failed():
                self._end(event, Outcome.FAILED, event.reason)
            case Lost():
                self._end(event, Outcome.LOST, event.reason)
            case Cancelled():
                self._end(event, Outcome.CANCELLED)
            case Revoked():
                self._outcome[self._row_of[event.task]] = Outcome.REVOKED
            case Told(task):
                self._told[task] = event
            case Dropped(task, time_us, _, tasks):
                self._dropped.update(dict.fromkeys(range(task, task + tasks), time_us))
            case Resumed():
                self.note(event.time_us, "resumed")
            case Adapted(time_us, policy, reason):
                self.note(time_us, f"adapted to {policy}: {reason}")
            case Forgiven():
                self._pardons.append(Pardon(*event))
            case NodeLost():
                self._outages.append(Outage(event.node, event.time_us))
            case NodeReturned():
                self._returned(event)
            case Opened() | Released() | Submitted() | Shared() | Limited():
                pass
            case _:
                assert_never(event)

    def note(self, time_us: int, text: str) -> None:
        """Record something that befell the run as a whole."""
        self._notes.append(Note(time_us, text))

    def trace(
        self,
        workflow: Workflow,
        platform: Platform,
        *,
        mode: str,
        seed: int,
        kind: Kind,
        order: Order | None = None,
        time_scale: float = 1.0,
    ) -> Trace:
        """Return what was recorded so far."""
        return Trace(
            workflow=workflow,
            platform=platform,
            mode=mode,
            seed=seed,
            kind=kind,
            task=np.array(self._task, dtype=np.int64),
            attempt=np.array(self._attempt, dtype=np.int64),
            launched_us=np.array(self._launched_us, dtype=np.int64),
            started_us=np.array(self._started_us, dtype=np.int64),
            ended_us=np.array(self._ended_us, dtype=np.int64),
            outcome=np.frombuffer(bytes(self._outcome), dtype=np.int8),
            placements=Placements(tuple(self._placements), np.array(self._placed, dtype=np.int32)),
            reasons=dict(self._reasons),
            inputs=dict(self._inputs),
            idle={row: tuple(spans) for row, spans in self._idle.items()},
            present=dict(self._present),
            told=dict(self._told),
            dropped=dict(self._dropped),
            pardons=tuple(self._pardons),
            outages=tuple(self._outages),
            notes=tuple(self._notes),
            order=order or Order(),
            time_scale=time_scale,
        )

    def _launched(self, event: Launched) -> None:
        row = len(self._outcome)
        self._row_of[event.task] = row
        self._task.append(event.task)
        self._attempt.append(event.attempt)
        self._launched_us.append(event.time_us)
        self._started_us.append(UNKNOWN_US)
        self._ended_us.append(UNKNOWN_US)
        self._outcome.append(Outcome.RUNNING)
        number = self._placements.setdefault(event.placement, len(self._placements))
        self._placed.append(number)
        if event.inputs:
            self._inputs[row] = event.inputs
        if event.present:
            self._present[row] = event.present

    def _end(
        self, event: Finished | Failed | Lost | Cancelled, outcome: Outcome, reason: str = ""
    ) -> None:
        row = self._row_of[event.task]
        if not self._runs(row, event.attempt):
            return
        if outcome is Outcome.FINISHED and event.task in self._dropped:
            outcome = Outcome.CANCELLED  # it came to its end before it was ended
        self._wake(row, event.time_us)
        self._within(row, event.time_us)
        self._ended_us[row] = event.time_us
        self._outcome[row] = outcome
        if reason:
            self._reasons[row] = reason

    def _runs(self, row: int, attempt: int) -> bool:
        return self._attempt[row] == attempt and self._outcome[row] == Outcome.RUNNING

    def _idled(self, row: int, time_us: int) -> None:
        """Begin a span in which the attempt idles.

        Marks that come on different ways have times of different clock readings, so that a later
        one may tell a slightly earlier time: none is taken for earlier than what is known.
        """
        spans = self._idle.setdefault(row, [])
        known_us = spans[-1][1] if spans else self._started_us[row]
        spans.append((max(time_us, known_us), UNKNOWN_US))

    def _wake(self, row: int, time_us: int) -> None:
        """End the last span in which the attempt idled, if it has not ended yet."""
        spans = self._idle.get(row)
        if spans and spans[-1][1] == UNKNOWN_US:
            spans[-1] = (spans[-1][0], max(time_us, spans[-1][0]))

    def _within(self, row: int, ended_us: int) -> None:
        """Cut what lies behind the end: a mark may arrive after the end that a worker tells."""
        if row in self._idle:
            spans = [(begin, min(end, ended_us)) for begin, end in self._idle[row]]
            self._idle[row] = [span for span in spans if span[0] < ended_us]

    def _returned(self, event: NodeReturned) -> None:
        for at, outage in enumerate(self._outages):
            if outage.node == event.node and outage.returned_us is None:
                self._outages[at] = outage._replace(returned_us=event.time_us)
