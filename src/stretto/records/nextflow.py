"""Nextflow's trace file: a line an attempt, tabs between fields, a dash for nothing.

Which fields there are is configured; ``task_id``, ``name`` (or ``process``) and ``status`` are
needed.  Values are readable (``1m 3s``, ``1.2 GB``, ``2024-05-01 10:00:00.000``) or, with
``trace.raw``, milliseconds and bytes; either is understood, field by field.

``submit`` is when a task was asked for, from ``start`` to ``complete`` it held its cores, and
``realtime`` is what it worked.  Where there is no ``start``, it is ``realtime`` before the end, and
the end is ``duration`` after ``submit``, as Nextflow defines them.  A failed line with a later one
of the same name is an attempt that was tried again.  Results that were taken over (``CACHED``) took
no time in this run.

The trace does not say what waits for what.  That is read off the times, process by process (see
`families`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from stretto.errors import WorkflowError
from stretto.records.families import Member, family_sets
from stretto.records.record import Record, RecordedAttempt, RecordedTask, from_zero
from stretto.records.texts import Row, moment_us, table, unknown, whole
from stretto.resources import Resources
from stretto.trace import Outcome
from stretto.units import counted

__all__ = ["NEEDED", "duration_us", "memory_mib", "read_nextflow"]

NEEDED = ("task_id", "status")
KNOWN = tuple(
    """
    task_id hash native_id process module container tag name status exit submit start complete
    duration realtime walltime %cpu %mem rss vmem peak_rss peak_vmem rchar wchar syscr syscw
    read_bytes write_bytes attempt workdir script scratch queue cpus memory disk time env
    error_action vol_ctxt inv_ctxt hostname cpu_model
    """.split()  # noqa: SIM905 - one a line they would be a page
)

OUTCOMES: Mapping[str, Outcome | None] = {
    "COMPLETED": Outcome.FINISHED,
    "CACHED": Outcome.FINISHED,
    "FAILED": Outcome.FAILED,
    "ABORTED": Outcome.CANCELLED,
    "RUNNING": Outcome.RUNNING,
    "NEW": None,
    "PENDING": None,
    "SUBMITTED": None,
    "-": None,
}
"""What became of an attempt, by its status; `None` if it never ran."""

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_MILLI = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)B?", re.IGNORECASE)
_NAME = re.compile(r"(.+?) \((.*)\)")


def read_nextflow(text: str, source: str) -> Record:
    """Return the record in a text of this form.

    Raises
    ------
    WorkflowError
        If a column is missing or a value cannot be read; with file, line and column.
    """
    read = table(text, source, "\t")
    read.require(NEEDED if "process" in read.columns else (*NEEDED, "name"))
    lines = sorted(read.rows, key=lambda row: row.needed("task_id", whole))
    chains = _chains(lines)
    tasks = from_zero([_task(chain) for chain in chains])
    members = [Member(task, _tag(chain[-1])) for task, chain in zip(tasks, chains, strict=True)]
    sets, told = family_sets(members)
    cached = sum(task.cached_us is not None for task in tasks)
    again = sum(len(chain) - 1 for chain in chains)
    return Record(
        form="nextflow",
        name=Path(source).stem,
        source=source,
        tasks=tasks,
        sets=sets,
        told=(
            *unknown(read.columns, KNOWN, "column"),
            *([] if "cpus" in read.columns else ["there is no cpus: 1 core a task"]),
            *([f"{counted(again, 'attempt')} tried again"] if again else []),
            *([f"{counted(cached, 'result')} taken over from an earlier run"] if cached else []),
            *told,
        ),
    )


def duration_us(text: str) -> int:
    """Return a duration such as ``1m 3s``, or bare milliseconds, in microseconds."""
    if text.isdecimal():
        return int(text) * 1000
    parts = _SPAN.findall(text)
    if not parts or _SPAN.sub("", text).strip():
        raise WorkflowError(f"expected milliseconds, or text such as 1m 3s, found {text!r}")
    return round(sum(float(number) * _MILLI[unit] for number, unit in parts) * 1000)


def memory_mib(text: str) -> int:
    """Return an amount such as ``1.2 GB``, or bare bytes, in MiB; a KB of theirs is 1024 B."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise WorkflowError(f"expected bytes, or text such as 1.2 GB, found {text!r}")
    power = " KMGTP".index(match[2].upper() or " ")
    return math.ceil(float(match[1]) * 1024.0 ** (power - 2))


def _moment(text: str) -> int:
    """Return a date and time, or milliseconds since 1970, in microseconds since then."""
    return int(text) * 1000 if text.isdecimal() else moment_us(text)


def _chains(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the attempts of each task: a failed one, and the next of the same name behind it."""
    chains: list[list[Row]] = []
    failed: dict[str, list[Row]] = {}
    for row in rows:
        name = row.text("name") or f"{row.needed('process', str)} ({row.text('tag')})"
        chain = failed.pop(name, None)
        if chain is None or row.read("attempt", whole) == 1:
            chain = []
            chains.append(chain)
        chain.append(row)
        if _outcome(row) is Outcome.FAILED:
            failed[name] = chain
    return chains


def _outcome(row: Row) -> Outcome | None:
    status = row.values["status"].strip()
    if status not in OUTCOMES:
        raise WorkflowError(
            f"expected one of {', '.join(OUTCOMES)}, found {status!r}",
            path=("status",),
            source=row.source,
        )
    return OUTCOMES[status]


def _task(chain: Sequence[Row]) -> RecordedTask:
    last = chain[-1]
    attempts = [one for one in map(_attempt, chain) if one is not None]
    worked_us = _worked_us(last)
    cached = last.values["status"].strip() == "CACHED"
    # What it held longer than it worked can only be told where both are recorded.
    both = last.text("start") is not None and last.text("complete") is not None
    return RecordedTask(
        name=last.text("name") or last.needed("task_id", str),
        kind=_kind(last),
        needs=_needs(last),
        attempts=tuple(attempts),
        worked_us=worked_us if both and not cached else None,
        cached_us=(worked_us or 0) if cached else None,
    )


def _attempt(row: Row) -> RecordedAttempt | None:
    outcome = _outcome(row)
    if outcome is None:
        return None
    if row.values["status"].strip() == "CACHED":
        return RecordedAttempt(outcome)
    asked_us = row.read("submit", _moment)
    started_us = row.read("start", _moment)
    ended_us = row.read("complete", _moment)
    whole_us = row.read("duration", duration_us)
    worked_us = _worked_us(row)
    if ended_us is None and asked_us is not None and whole_us is not None:
        ended_us = asked_us + whole_us
    if outcome is Outcome.RUNNING:
        ended_us = None
    if started_us is None and ended_us is not None and worked_us is not None:
        started_us = ended_us - worked_us
    if started_us is None and ended_us is None and outcome is not Outcome.FINISHED:
        return None
    if started_us is not None and ended_us is not None and ended_us < started_us:
        raise WorkflowError("ends before it starts", path=("complete",), source=row.source)
    host = row.text("hostname")
    code = row.text("exit")
    return RecordedAttempt(
        outcome,
        asked_us=asked_us,
        started_us=started_us,
        ended_us=ended_us,
        duration_us=worked_us,
        machines=() if host is None else (host,),
        reason=f"exit status {code}" if outcome is Outcome.FAILED and code else "",
    )


def _worked_us(row: Row) -> int | None:
    """Return how long an attempt worked; old versions call it by another name."""
    return row.read("realtime" if row.text("realtime") else "walltime", duration_us)


def _needs(row: Row) -> Resources:
    cores = row.read("cpus", whole)
    memory = row.read("memory", memory_mib)
    try:
        return Resources(cores=1 if cores is None else cores, memory=memory or 0)
    except WorkflowError as error:
        raise WorkflowError(error.message, path=error.path, source=row.source) from None


def _kind(row: Row) -> str:
    process = row.text("process")
    if process is not None:
        return process
    name = row.needed("name", str)
    match = _NAME.fullmatch(name)
    return match[1] if match else name


def _tag(row: Row) -> str | None:
    """Return what tells a task from the others of its process, often the name of a sample."""
    tag = row.text("tag")
    match = _NAME.fullmatch(row.text("name") or "")
    return tag or (match[2] if match else None)
