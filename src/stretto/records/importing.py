"""A record becomes a directory that reads like a run of our own.

==============  ==============================================================
workflow.yaml   the description: planned, simulated, emulated like any other
platform.yaml   the machines of the record, unless a platform was given
journal.jsonl   what happened, of kind ``imported``
record.json     what a journal cannot hold: what was asked for and when, what
                the engine took around the run, what was inferred
==============  ==============================================================

The mode is ``task-level``: a record can only claim that each task waited for its own inputs, and
where whole sets waited for whole sets the description says so by its patterns.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from stretto.errors import WorkflowError
from stretto.platform import Platform, platform_named
from stretto.records.describing import described
from stretto.records.facts import FACTS, Facts
from stretto.records.hosting import hosts_of, platform_of, platform_text
from stretto.records.ledger import Ledger
from stretto.records.reading import read_record
from stretto.records.record import Record, seconds_text
from stretto.records.timeline import Round, Timeline
from stretto.scheduler import Order
from stretto.trace import Header, Journal, Kind, Trace, TraceBuilder
from stretto.units import counted
from stretto.workflow import (
    Workflow,
    workflow_from_mapping,
    workflow_to_mapping,
    write_workflow,
)
from stretto.workflow.documents import FORMATS, LARGEST_FILE

__all__ = ["Imported", "import_record", "imported", "write_imported"]

MODE = "task-level"
PLATFORM = "platform.yaml"


@dataclass(frozen=True, slots=True, repr=False)
class Imported:
    """A record as a workflow, a platform and a trace.

    Parameters
    ----------
    workflow, platform
        What ran on what.
    trace
        What happened.
    facts
        What the record says beyond that.
    rounds
        The trace as events.
    header
        The first line of its journal.
    directory
        Where it was written, if it was.
    """

    workflow: Workflow
    platform: Platform
    trace: Trace
    facts: Facts
    rounds: tuple[Round, ...]
    header: Header
    directory: Path | None = None

    def __repr__(self) -> str:
        return (
            f"<Imported {self.facts.source} ({self.facts.form}): {self.trace.n_finished} of "
            f"{self.workflow.n_tasks} tasks in {counted(len(self.workflow.task_sets), 'set')}, "
            f"TTX {seconds_text(self.trace.ttx_us)}>"
        )


def imported(record: Record, platform: Platform | str | None = None) -> Imported:
    """Return a record as a workflow, a platform and a trace.

    Parameters
    ----------
    platform
        Where it ran; the machines of the record, as far as they can be told, unless given.

    Raises
    ------
    WorkflowError
        If the description would pass a limit, or the record used more nodes than there are.
    """
    given = platform_named(platform) if isinstance(platform, str) else platform
    workflow, lacks = described(record)
    hosts, numbers = hosts_of(record, given)
    ledger = Ledger(hosts, opens=not hosts)
    timeline = Timeline(workflow, record, ledger, numbers)
    where, sizes = platform_of(record, given, ledger)
    if where is given and _stands_alone(platform):
        workflow, _ = described(record, str(platform))
    header = Header(
        workflow=workflow,
        platform=where,
        mode=MODE,
        seed=0,
        kind=Kind.IMPORTED,
        time_scale=1.0,
        began=record.began,
        order=Order() if record.order is None else Order(record.order),
    )
    trace = _trace(header, timeline.rounds)
    told = (*record.told, *lacks, *timeline.told, *sizes, *_makespan(record, trace))
    tasks = [record.tasks[at] for one in record.sets for at in one.tasks]
    facts = Facts(
        form=record.form,
        source=record.source,
        order=record.order,
        worked_us=tuple(task.worked_us for task in tasks),
        asked_us=tuple(task.attempts[0].asked_us if task.attempts else None for task in tasks),
        made_up_starts=tuple(sorted(set(timeline.made_up_starts))),
        made_up_durations=tuple(timeline.made_up_durations),
        start_us=record.start_us,
        stop_us=record.stop_us,
        told=told,
    )
    return Imported(workflow, where, trace, facts, tuple(timeline.rounds), header)


def import_record(
    path: str | Path,
    *,
    output: str | Path | None = None,
    format: str | None = None,  # noqa: A002 - the word users know
    platform: Platform | str | None = None,
) -> Imported:
    """Return another engine's record as a workflow, a platform and a trace.

    Parameters
    ----------
    path
        The record.
    output
        A directory to write it to, which then reads like a run of our own.
    format
        ``"wfformat"``, ``"summit"``, ``"nextflow"`` or ``"parsl"``; recognised unless given.
    platform
        Where it ran; the machines of the record unless given.

    Raises
    ------
    WorkflowError
        If the record cannot be read or used, or something is in the directory already.
    """
    made = imported(read_record(path, format=format), platform)
    return made if output is None else write_imported(made, Path(output))


def write_imported(made: Imported, directory: Path) -> Imported:
    """Write what was imported into a directory that is empty or not there yet, and return it so.

    Raises
    ------
    WorkflowError
        If there is something in the directory, it cannot be written, or the description would be
        larger than one may be.
    """
    mapping = workflow_to_mapping(made.workflow)
    mapping.setdefault("platform", PLATFORM)
    workflow = workflow_from_mapping(mapping)
    text = write_workflow(workflow)
    if len(text.encode()) > LARGEST_FILE:
        raise WorkflowError(
            f"its description would have {len(text.encode())} bytes; expected at most "
            f"{LARGEST_FILE}",
            source=made.facts.source,
        )
    anchored = workflow_from_mapping(mapping, folder=directory.absolute())
    header = replace(made.header, workflow=anchored)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise WorkflowError("is there already and not empty", source=str(directory))
        (directory / "workflow.yaml").write_text(text, encoding="utf-8")
        if workflow.platform == PLATFORM:
            (directory / PLATFORM).write_text(platform_text(made.platform), encoding="utf-8")
        facts = json.dumps(made.facts.to_json(), separators=(",", ":"))
        (directory / FACTS).write_text(facts + "\n", encoding="utf-8")
        with closing(Journal.create(directory / "journal.jsonl", header)) as journal:
            for time_us, events in made.rounds:
                journal.round(time_us, events)
            last_us = made.rounds[-1][0] if made.rounds else 0
            journal.note(last_us, f"imported from {made.facts.source} ({made.facts.form})")
    except OSError as error:
        raise WorkflowError(
            f"cannot be written: {error.strerror}", source=str(error.filename or directory)
        ) from None
    return replace(made, workflow=anchored, header=header, directory=directory)


def _stands_alone(platform: Platform | str | None) -> bool:
    """Return whether a platform is named so that it is found again from anywhere."""
    return (
        isinstance(platform, str) and "/" not in platform and Path(platform).suffix not in FORMATS
    )


def _trace(header: Header, rounds: Sequence[Round]) -> Trace:
    builder = TraceBuilder()
    for _, events in rounds:
        for event in events:
            builder.add(event)
    return builder.trace(
        header.workflow,
        header.platform,
        mode=header.mode,
        seed=header.seed,
        kind=header.kind,
        time_scale=header.time_scale,
        order=header.order,
    )


def _makespan(record: Record, trace: Trace) -> tuple[str, ...]:
    if record.makespan_us is None:
        return ()
    return (
        f"the record gives {seconds_text(record.makespan_us)} for the whole, "
        f"the trace takes {seconds_text(trace.ttx_us)}",
    )
