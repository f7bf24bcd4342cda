"""Parsl's monitoring database (SQLite): the tables workflow, task, try, status and node.

The database is opened read only.  If it has several runs, the last one is taken.  A try held a
worker from ``task_try_time_running`` until its status ``running_ended``, or until it was returned
where that status is missing; it was asked for at ``task_try_time_launched``.  How many cores a task
held is not recorded: where the nodes' numbers of cores and workers are, it is a worker's share.

The schema is that of ``parsl/monitoring/db_manager.py`` in Parsl/parsl.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stretto.errors import WorkflowError
from stretto.records.grouping import grouped
from stretto.records.record import (
    Machine,
    Record,
    RecordedAttempt,
    RecordedTask,
    from_zero,
)
from stretto.records.texts import moment_us, unknown
from stretto.resources import Resources
from stretto.trace import Outcome
from stretto.units import counted

__all__ = ["COLUMNS", "read_parsl"]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "workflow": ("run_id", "workflow_name", "time_began", "time_completed"),
    "task": ("task_id", "run_id", "task_depends", "task_func_name"),
    "try": (
        "try_id",
        "task_id",
        "run_id",
        "hostname",
        "task_try_time_launched",
        "task_try_time_running",
        "task_try_time_returned",
    ),
    "status": ("task_id", "try_id", "run_id", "task_status_name", "timestamp"),
    "node": ("run_id", "hostname", "cpu_count", "total_memory", "worker_count"),
}
"""The columns that are read, by table; all are needed but those of node."""
LEFT = tuple(
    """
    workflow_version host user rundir tasks_failed_count tasks_completed_count task_memoize
    task_hashsum task_inputs task_outputs task_stdin task_stdout task_stderr task_time_invoked
    task_time_returned task_fail_count task_fail_cost task_elapsed_time task_fail_history task_joins
    task_executor block_id id uid active python_v timestamp last_heartbeat
    """.split()  # noqa: SIM905 - one a line they would be a page
)
"""Columns of these tables that say nothing that is needed."""

DONE = frozenset({"exec_done", "memo_done"})
FAILED = frozenset({"failed", "fail_retryable"})

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Database:
    """The tables of one run, as rows by the names of their columns."""

    source: str
    run: dict[str, Any]
    tables: Mapping[str, Rows]
    told: tuple[str, ...]


def read_parsl(path: Path) -> Record:
    """Return the record of the last run in a database.

    Raises
    ------
    WorkflowError
        If it is no such database, or a table or column is missing; with the table.
    """
    if not path.is_file():
        raise WorkflowError("there is no such file", source=str(path))
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            database = _database(connection, str(path))
    except sqlite3.Error as error:
        raise WorkflowError(f"cannot be read: {error}", source=str(path)) from None
    return _record(database)


def _database(connection: sqlite3.Connection, source: str) -> _Database:
    told: list[str] = []
    there = {}
    for table, columns in COLUMNS.items():
        # The names are ours, so nothing can be injected by them.
        found = [row["name"] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        missing = [one for one in columns if one not in found]
        if missing and (table != "node" or found):
            what = f"the columns {', '.join(missing)}" if found else "a table of this name"
            raise WorkflowError(f"expected {what}, found none", path=(table,), source=source)
        told += unknown(found, (*columns, *LEFT), f"column of {table}")
        there[table] = bool(found)
    runs = list(connection.execute("SELECT * FROM workflow ORDER BY time_began, rowid"))
    if not runs:
        raise WorkflowError("expected a run, found none", path=("workflow",), source=source)
    run = dict(runs[-1])
    if len(runs) > 1:
        told.append(f"of {len(runs)} runs the last one is taken, {run['run_id']}")
    tables = {
        table: [
            dict(row)
            for row in connection.execute(
                f'SELECT {", ".join(columns)} FROM "{table}" WHERE run_id = ?',  # noqa: S608
                (run["run_id"],),
            )
        ]
        for table, columns in COLUMNS.items()
        if there[table] and table != "workflow"
    }
    return _Database(source, run, tables, tuple(told))


def _record(database: _Database) -> Record:
    source = database.source
    rows = sorted(database.tables["task"], key=lambda row: _whole(row, "task_id", source))
    place = {row["task_id"]: at for at, row in enumerate(rows)}
    tries: list[list[dict[str, Any]]] = [[] for _ in rows]
    for row in database.tables["try"]:
        if row["task_id"] in place:
            tries[place[row["task_id"]]].append(row)
    said = _statuses(database)
    cores, machines, told = _machines(database)
    raw = [
        RecordedTask(
            name=str(row["task_id"]),
            kind=str(row["task_func_name"]),
            needs=Resources(cores=cores),
            attempts=tuple(_attempts(row["task_id"], tries[at], said, source)),
        )
        for at, row in enumerate(rows)
    ]
    parents = [sorted(_parents(row, place, source)) for row in rows]
    began_us = _moment(database.run, "time_began", source)
    over_us = _moment(database.run, "time_completed", source)
    tasks = from_zero(raw, began_us)
    start_us, stop_us = _around(tasks, began_us, over_us)
    return Record(
        form="parsl",
        name=str(database.run["workflow_name"] or Path(source).stem).removesuffix(".py"),
        source=source,
        tasks=tasks,
        sets=grouped(tasks, parents, source) if tasks else (),
        machines=machines,
        began=str(database.run["time_began"]),
        start_us=start_us,
        stop_us=stop_us,
        told=(*database.told, *told, *_memo(said)),
    )


def _around(
    tasks: Sequence[RecordedTask], began_us: int | None, over_us: int | None
) -> tuple[int | None, int | None]:
    """Return what the engine took before the first task was asked for, and after the last."""
    asked = [one.asked_us for task in tasks for one in task.attempts if one.asked_us is not None]
    ended = [one.ended_us for task in tasks for one in task.attempts if one.ended_us is not None]
    whole_us = None if began_us is None or over_us is None else over_us - began_us
    start_us = min(asked) if asked and began_us is not None else None
    stop_us = max(0, whole_us - max(ended)) if ended and whole_us is not None else None
    return start_us, stop_us


Said = Mapping[tuple[Any, Any], Mapping[str, int | None]]
"""By task and try: each status it had, with its last time."""


def _statuses(database: _Database) -> Said:
    said: dict[tuple[Any, Any], dict[str, int | None]] = {}
    for row in database.tables["status"]:
        name = str(row["task_status_name"]).removeprefix("States.")
        moment = _moment(row, "timestamp", database.source)
        said.setdefault((row["task_id"], row["try_id"]), {})[name] = moment
    return said


def _attempts(
    task: object, tries: Sequence[Mapping[str, Any]], said: Said, source: str
) -> Iterator[RecordedAttempt]:
    for row in sorted(tries, key=lambda row: _whole(row, "try_id", source)):
        statuses = said.get((task, row["try_id"]), {})
        running_us = _moment(row, "task_try_time_running", source)
        if "memo_done" in statuses:
            yield RecordedAttempt(Outcome.FINISHED)
            continue
        if running_us is None and not (DONE | FAILED) & statuses.keys():
            continue
        failed = FAILED & statuses.keys()
        ended_us = statuses.get("running_ended")
        if ended_us is None:
            ended_us = _moment(row, "task_try_time_returned", source)
        outcome = Outcome.RUNNING
        if failed or DONE & statuses.keys():
            outcome = Outcome.FAILED if failed else Outcome.FINISHED
            if ended_us is None:
                ended_us = next(
                    (at for name, at in statuses.items() if name in DONE | FAILED), None
                )
        if running_us is not None and ended_us is not None:
            # Two clocks: that of the worker may be ahead.
            ended_us = max(ended_us, running_us)
        yield RecordedAttempt(
            outcome,
            asked_us=_moment(row, "task_try_time_launched", source),
            started_us=running_us,
            ended_us=None if outcome is Outcome.RUNNING else ended_us,
            machines=(str(row["hostname"]),) if row["hostname"] else (),
        )


def _memo(said: Said) -> list[str]:
    taken = sum("memo_done" in statuses for statuses in said.values())
    return [f"{counted(taken, 'result')} taken over from an earlier call"] if taken else []


def _machines(database: _Database) -> tuple[int, tuple[Machine, ...], list[str]]:
    """Return the cores of a worker, and the nodes."""
    largest: dict[str, dict[str, Any]] = {}
    for row in database.tables.get("node", []):
        name = str(row["hostname"])
        if name not in largest or row["cpu_count"] > largest[name]["cpu_count"]:
            largest[name] = row
    shares = [
        max(1, row["cpu_count"] // row["worker_count"])
        for row in largest.values()
        if row["cpu_count"] and row["worker_count"]
    ]
    machines = tuple(
        Machine(name, row["cpu_count"] or None, (row["total_memory"] or 0) >> 20 or None)
        for name, row in sorted(largest.items())
    )
    if not shares:
        return 1, machines, ["how many cores a task held is not recorded: 1 each"]
    cores = min(shares)
    return cores, machines, [f"a task is taken to hold a worker's share, {counted(cores, 'core')}"]


def _parents(row: Mapping[str, Any], place: Mapping[object, int], source: str) -> set[int]:
    found = set()
    for word in str(row["task_depends"] or "").replace(" ", "").split(","):
        if not word:
            continue
        parent = place.get(int(word)) if word.isdecimal() else None
        if parent is None:
            raise WorkflowError(
                f"task {row['task_id']} waits for {word!r}, which is not there",
                path=("task", "task_depends"),
                source=source,
            )
        found.add(parent)
    return found


def _whole(row: Mapping[str, Any], column: str, source: str) -> int:
    value = row[column]
    if not isinstance(value, int):
        raise WorkflowError(
            f"expected a whole number, found {value!r}", path=(column,), source=source
        )
    return value


def _moment(row: Mapping[str, Any], column: str, source: str) -> int | None:
    value = row[column]
    if value is None:
        return None
    try:
        return moment_us(str(value))
    except WorkflowError as error:
        raise WorkflowError(error.message, path=(column,), source=source) from None
