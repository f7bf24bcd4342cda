"""The CSV form of the paper's published records: pipelines, stages, tasks (PST).

A line a task, with these columns::

    pipeline, stage, task_set, cores, start_s, stop_s    needed
    task, gpus, node, requested_s                        may be missing

The records were written by RADICAL-Pilot under EnTK: stages of a pipeline run one after another,
each a barrier; pipelines run beside each other.  Which pipeline waits for which is not written, so
it is read off the times (see `spans`).  ``requested_s`` is how long the task was asked to work;
what it held its slots longer is the engine's.

Waiting tasks are placed largest first, by cores: ``_schedule_waitpool`` in
``src/radical/pilot/agent/scheduler/base.py`` of radical-cybertools/radical.pilot sorts them by
``(cpu_processes + gpu_processes) * cpu_threads``, descending.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stretto.errors import WorkflowError
from stretto.records.record import (
    Record,
    RecordedAttempt,
    RecordedSet,
    RecordedTask,
    from_zero,
    whole_us,
)
from stretto.records.spans import Span, waits
from stretto.records.texts import Row, Table, named, real, table, unknown, whole
from stretto.resources import Resources
from stretto.trace import Outcome
from stretto.units import counted
from stretto.workflow import Pattern

__all__ = ["NEEDED", "read_summit"]

NEEDED = ("pipeline", "stage", "task_set", "cores", "start_s", "stop_s")
OPTIONAL = ("task", "gpus", "node", "requested_s")
ORDER = "largest-first"
"""How RADICAL-Pilot chooses."""

Place = tuple[int, int]
"""A pipeline and a stage."""


def read_summit(text: str, source: str) -> Record:
    """Return the record in a text of this form.

    Raises
    ------
    WorkflowError
        If a column is missing or a value cannot be read; with file, line and column.
    """
    read = table(text, source, ",")
    read.require(NEEDED)
    rows = read.rows
    places = [_place(row) for row in rows]
    kinds = [row.needed("task_set", str) for row in rows]
    tasks = from_zero(
        [
            _task(number, row, kind)
            for number, (row, kind) in enumerate(zip(rows, kinds, strict=True))
        ]
    )
    sets, waiting = _sets(tasks, places)
    return Record(
        form="summit",
        name=Path(source).stem,
        source=source,
        tasks=tasks,
        sets=tuple(sets),
        order=ORDER,
        told=(
            *unknown(read.columns, (*NEEDED, *OPTIONAL), "column"),
            *_missing(read, tasks),
            *waiting,
            f"the engine is taken for RADICAL-Pilot, which places waiting tasks {ORDER}",
        ),
    )


def _place(row: Row) -> Place:
    return row.needed("pipeline", whole), row.needed("stage", whole)


def _task(number: int, row: Row, kind: str) -> RecordedTask:
    started_us = row.read("start_s", lambda text: whole_us(real(text)))
    ended_us = row.read("stop_s", lambda text: whole_us(real(text)))
    worked_us = row.read("requested_s", lambda text: whole_us(real(text)))
    if started_us is not None and ended_us is not None and ended_us < started_us:
        raise WorkflowError(
            f"expected no less than start_s ({row.text('start_s')}), found {row.text('stop_s')}",
            path=("stop_s",),
            source=row.source,
        )
    if worked_us is not None and worked_us < 0:
        raise WorkflowError("expected 0 or more", path=("requested_s",), source=row.source)
    node = row.text("node")
    attempt = RecordedAttempt(
        Outcome.RUNNING if ended_us is None else Outcome.FINISHED,
        started_us=started_us,
        ended_us=ended_us,
        duration_us=worked_us,
        machines=() if node is None else (node,),
    )
    ran = started_us is not None or ended_us is not None
    return RecordedTask(
        row.text("task") or str(number), kind, _needs(row), (attempt,) if ran else (), worked_us
    )


def _needs(row: Row) -> Resources:
    cores = row.needed("cores", whole)
    gpus = row.read("gpus", real) or 0
    try:
        return Resources(cores=cores, gpus=gpus)
    except WorkflowError as error:
        raise WorkflowError(error.message, path=error.path, source=row.source) from None


def _sets(
    tasks: Sequence[RecordedTask], places: Sequence[Place]
) -> tuple[list[RecordedSet], list[str]]:
    """Return a set for each kind in each place, each waiting for the whole place before."""
    groups: dict[Place, dict[tuple[str, Resources], list[int]]] = {}
    for number, (task, place) in enumerate(zip(tasks, places, strict=True)):
        groups.setdefault(place, {}).setdefault((task.kind, task.needs), []).append(number)
    spread = Counter(kind for kinds in groups.values() for kind in {kind for kind, _ in kinds})
    pipelines = sorted({pipeline for pipeline, _ in groups})
    spans = _spans(tasks, places)
    before = waits([spans.get(pipeline) for pipeline in pipelines])
    sets: list[RecordedSet] = []
    first: dict[int, Place] = {}
    last: dict[int, tuple[int, ...]] = {}
    entered: dict[Place, tuple[int, ...]] = {}
    for place in sorted(groups):
        first.setdefault(place[0], place)
        entered[place] = last.get(place[0], ())
        here = []
        for (kind, _), members in groups[place].items():
            label = kind if spread[kind] == 1 else f"{kind}-p{place[0]}s{place[1]}"
            here.append(len(sets))
            sets.append(RecordedSet(label, tuple(members)))
        last[place[0]] = tuple(here)
    told = []
    for pipeline, others in zip(pipelines, before, strict=True):
        names = [str(pipelines[other]) for other in others]
        if names:
            entered[first[pipeline]] = tuple(
                one for other in others for one in last[pipelines[other]]
            )
            told.append(
                f"pipeline {pipeline} is taken to wait for pipeline {named(names)}, "
                "which had ended when it began"
            )
    places_of = [place for place in sorted(groups) for _ in groups[place]]
    return [
        replace(one, after=tuple((on, Pattern.ALL) for on in entered[place]))
        for one, place in zip(sets, places_of, strict=True)
    ], told


def _spans(tasks: Sequence[RecordedTask], places: Sequence[Place]) -> dict[int, Span]:
    """Return from when to when each pipeline ran, as far as anything of it is known to have run."""
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for task, (pipeline, _) in zip(tasks, places, strict=True):
        for one in task.attempts:
            if one.started_us is not None:
                starts[pipeline] = min(one.started_us, starts.get(pipeline, one.started_us))
            if one.ended_us is not None:
                ends[pipeline] = max(one.ended_us, ends.get(pipeline, one.ended_us))
    return {one: Span(starts[one], ends[one]) for one in starts if one in ends}


def _missing(read: Table, tasks: Sequence[RecordedTask]) -> list[str]:
    told = []
    if "requested_s" in read.columns:
        without = sum(task.worked_us is None for task in tasks)
        if without:
            told.append(f"{counted(without, 'task')} without requested_s")
    else:
        told.append("there is no requested_s: durations are those measured")
    return told
