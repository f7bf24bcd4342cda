"""Small records of other engines, made here, and the task graph of a description."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from stretto.analysis import check
from stretto.records import Imported, import_record
from stretto.trace import read_trace, replayed
from stretto.workflow import Pattern, Workflow, read_workflow

SUMMIT = "task,pipeline,stage,task_set,cores,gpus,node,requested_s,start_s,stop_s"


def summit(rows: Iterable[Mapping[str, Any]], path: Path, columns: str = SUMMIT) -> Path:
    """Write rows as a CSV; what a row does not say is left empty."""
    names = columns.split(",")
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def wfformat(
    tasks: Sequence[Mapping[str, Any]],
    path: Path,
    *,
    machines: Sequence[Mapping[str, Any]] = (),
    **top: Any,
) -> Path:
    """Write tasks with ``id``, ``parents`` and what stands under execution as WfFormat 1.5."""
    children: dict[str, list[str]] = {one["id"]: [] for one in tasks}
    for one in tasks:
        for parent in one.get("parents", []):
            children.get(parent, []).append(one["id"])
    execution: dict[str, Any] = {
        "makespanInSeconds": 10,
        "executedAt": "2024-05-01T10:00:00+00:00",
        "tasks": [
            {key: value for key, value in one.items() if key not in ("name", "parents")}
            for one in tasks
            if "runtimeInSeconds" in one
        ],
    }
    if machines:
        execution["machines"] = list(machines)
    specification = {
        "tasks": [
            {
                "name": one.get("name", one["id"]),
                "id": one["id"],
                "parents": list(one.get("parents", [])),
                "children": children[one["id"]],
            }
            for one in tasks
        ]
    }
    value = {
        "name": "made",
        "schemaVersion": "1.5",
        "workflow": {"specification": specification, "execution": execution},
        **top,
    }
    path.write_text(json.dumps(value))
    return path


def nextflow(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Write rows, all with the columns of the first, as a trace of Nextflow."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter="\t", restval="-", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(out.getvalue())
    return path


PARSL = """
CREATE TABLE workflow (run_id TEXT, workflow_name TEXT, workflow_version TEXT, time_began DATETIME,
    time_completed DATETIME, host TEXT, user TEXT, rundir TEXT, tasks_failed_count INTEGER,
    tasks_completed_count INTEGER);
CREATE TABLE task (task_id INTEGER, run_id TEXT, task_depends TEXT, task_func_name TEXT,
    task_memoize TEXT, task_hashsum TEXT, task_fail_count INTEGER);
CREATE TABLE try (try_id INTEGER, task_id INTEGER, run_id TEXT, block_id TEXT, hostname TEXT,
    task_executor TEXT, task_try_time_launched DATETIME, task_try_time_running DATETIME,
    task_try_time_returned DATETIME);
CREATE TABLE status (task_id INTEGER, task_status_name TEXT, timestamp DATETIME, run_id TEXT,
    try_id INTEGER);
CREATE TABLE node (id INTEGER, run_id TEXT, hostname TEXT, cpu_count INTEGER, total_memory BIGINT,
    worker_count INTEGER);
"""


class Parsl:
    """A monitoring database of one run, `RUN`, that began at 12:00."""

    RUN = "run-1"

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(PARSL)
        self.insert(
            "workflow",
            run_id=self.RUN,
            workflow_name="loop.py",
            time_began=clock(0),
            time_completed=clock(30),
        )

    def insert(self, table: str, **values: Any) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            marks = ", ".join("?" * len(values))
            connection.execute(
                f'INSERT INTO "{table}" ({", ".join(values)}) VALUES ({marks})',
                list(values.values()),
            )

    def task(self, task: int, function: str, depends: str = "") -> None:
        self.insert(
            "task",
            task_id=task,
            run_id=self.RUN,
            task_depends=depends,
            task_func_name=function,
            task_memoize="False",
            task_fail_count=0,
        )

    def attempt(
        self,
        task: int,
        launched: float | None,
        running: float | None,
        returned: float | None,
        *statuses: tuple[str, float],
        number: int = 0,
        host: str | None = "h1",
    ) -> None:
        """Add a try with times in seconds since the beginning."""
        self.insert(
            "try",
            try_id=number,
            task_id=task,
            run_id=self.RUN,
            hostname=host,
            task_executor="htex",
            task_try_time_launched=clock(launched),
            task_try_time_running=clock(running),
            task_try_time_returned=clock(returned),
        )
        for name, at in statuses:
            self.insert(
                "status",
                task_id=task,
                try_id=number,
                run_id=self.RUN,
                task_status_name=name,
                timestamp=clock(at),
            )


def clock(seconds: float | None) -> str | None:
    """Return a time in SQLite's text, `seconds` after noon."""
    if seconds is None:
        return None
    minutes, rest = divmod(seconds, 60)
    return f"2024-05-01 12:{int(minutes):02}:{rest:09.6f}"


def edges(workflow: Workflow) -> set[tuple[tuple[str, int], tuple[str, int]]]:
    """Return who waits for whom, by set and number, from the patterns' definition alone."""
    found = set()
    for consumer in workflow.task_sets:
        for one in consumer.after:
            producer = workflow[one.on]
            for i in range(producer.tasks):
                for j in range(consumer.tasks):
                    match one.pattern:
                        case Pattern.ALL:
                            waits = True
                        case Pattern.EACH:
                            waits = i == j
                        case Pattern.GROUP:
                            waits = i * consumer.tasks // producer.tasks == j
                    if waits:
                        found.add(((producer.name, i), (consumer.name, j)))
    return found


def brought(path: Path, tmp_path: Path, **how: Any) -> Imported:
    """Import a record into a directory, and see that all who read runs can read it."""
    output = tmp_path / "imported"
    made = import_record(path, output=output, **how)
    trace = read_trace(output / "journal.jsonl")
    check(trace)
    assert trace.ttx_us == made.trace.ttx_us
    replay = replayed(output / "journal.jsonl")
    assert replay.state.n_finished == trace.n_finished
    workflow = read_workflow(output / "workflow.yaml")
    assert workflow.task_sets == made.workflow.task_sets
    return made
