"""A journal, applied: the state that it leads to.

Recovery is nothing else: the events of the journal go through the same `State.apply` as they did
when they happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stretto.errors import WorkflowError
from stretto.scheduler import Event, ImpossibleEvent, Mode, State, begun
from stretto.trace.journal import Header, read_events, read_header
from stretto.trace.record import Note
from stretto.workflow import Expansion, expand

__all__ = ["Replay", "replayed"]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a journal leads to.

    Parameters
    ----------
    header
        What is run.
    expansion
        The workflow, unrolled.
    state
        Where the run stands.
    now_us
        Time of the last round, in microseconds of workflow time.
    events
        All events, in order.
    notes
        What befell the run as a whole.
    """

    header: Header
    expansion: Expansion
    state: State
    now_us: int
    events: tuple[Event, ...]
    notes: tuple[Note, ...]


def replayed(journal: Path) -> Replay:
    """Return what a journal leads to.

    Raises
    ------
    WorkflowError
        If there is none, it cannot be read, or its events cannot follow one another.
    """
    header = read_header(journal)
    expansion = expand(header.workflow)
    nodes = header.platform.nodes
    state = begun(expansion, nodes, mode=Mode(header.mode), order=header.order)
    now_us = 0
    events: list[Event] = []
    notes: list[Note] = []
    for time_us, arrived, note in read_events(journal):
        now_us = max(now_us, time_us)
        for event in arrived:
            try:
                state.apply(event)
            except (ImpossibleEvent, AssertionError, IndexError, KeyError) as error:
                raise WorkflowError(
                    f"the journal is damaged: {event} cannot follow what came before ({error})",
                    source=str(journal),
                ) from None
        events += arrived
        if note is not None:
            notes.append(Note(time_us, note))
    return Replay(header, expansion, state, now_us, tuple(events), tuple(notes))
