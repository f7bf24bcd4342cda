"""Parsl's monitoring database: tries, statuses, workers' shares; read only, refused by table."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from stretto.errors import WorkflowError
from stretto.records import read_record
from stretto.trace import Outcome
from stretto.workflow import Sample
from tests.records import Parsl, brought, clock


@pytest.fixture
def database(tmp_path):
    """Two simulations that feed a training; the second one failed at first."""
    made = Parsl(tmp_path / "monitoring.db")
    made.task(0, "simulate")
    made.task(1, "simulate")
    made.task(2, "train", "0,1")
    made.attempt(0, 1, 2, 8, ("running_ended", 7), ("exec_done", 8))
    made.attempt(1, 1, 2, 5, ("running_ended", 4), ("fail_retryable", 5))
    made.attempt(1, 5, 6, 13, ("running_ended", 12), ("exec_done", 13), number=1)
    made.attempt(2, 13, 14, 21, ("running_ended", 20), ("exec_done", 21), host="h2")
    for host in ("h1", "h2"):
        made.insert(
            "node",
            run_id=made.RUN,
            hostname=host,
            cpu_count=8,
            total_memory=1 << 34,
            worker_count=4,
        )
    return made


def test_tries_become_attempts_on_the_worker_s_clock(database, tmp_path):
    made = brought(database.path, tmp_path)
    trace = made.trace
    assert [one.name for one in made.workflow.task_sets] == ["simulate", "train"]
    assert made.workflow["train"].after[0].on == "simulate"
    assert trace.outcome.tolist().count(Outcome.FAILED) == 1
    assert made.workflow["simulate"].retries == 1
    assert made.workflow["simulate"].duration == Sample((5_000_000, 6_000_000))
    assert trace.ttx_us == 18_000_000
    assert made.facts.asked_us == (1_000_000, 1_000_000, 13_000_000)
    assert made.workflow.name == "loop"


def test_a_task_holds_a_worker_s_share_of_its_node(database, tmp_path):
    made = brought(database.path, tmp_path)
    assert made.workflow["train"].resources.cores == 2
    assert [(one.name, one.cores, one.memory_mib) for one in made.platform.nodes] == [
        ("h1", 8, 16384),
        ("h2", 8, 16384),
    ]
    assert "a task is taken to hold a worker's share, 2 cores" in made.facts.told


def test_what_the_engine_took_around_the_run(database, tmp_path):
    made = brought(database.path, tmp_path)
    assert (made.facts.start_us, made.facts.stop_us) == (1_000_000, 10_000_000)


def test_results_taken_over_failures_and_what_never_ran(tmp_path):
    database = Parsl(tmp_path / "monitoring.db")
    for task, function, depends in ((0, "a", ""), (1, "b", ""), (2, "c", "1"), (3, "d", "")):
        database.task(task, function, depends)
    database.attempt(0, None, None, 1, ("memo_done", 1))
    database.attempt(1, 1, 2, 4, ("failed", 4))
    database.attempt(2, None, None, None, ("dep_fail", 4), host=None)
    database.attempt(3, 1, 2, None, ("running", 2))
    made = brought(database.path, tmp_path)
    names = [one.name for one in made.workflow.task_sets]
    outcomes = {
        names[task]: Outcome(outcome)
        for task, outcome in zip(made.trace.task, made.trace.outcome, strict=True)
    }
    assert outcomes == {"a": Outcome.FINISHED, "b": Outcome.FAILED, "d": Outcome.RUNNING}
    assert "1 result taken over from an earlier call" in made.facts.told
    assert "how many cores a task held is not recorded: 1 each" in made.facts.told
    assert made.facts.made_up_durations == (names.index("a"),)


def test_without_the_worker_s_end_the_return_is_the_end(tmp_path):
    database = Parsl(tmp_path / "monitoring.db")
    database.task(0, "a")
    database.attempt(0, 1, 2, 9, ("exec_done", 9))
    assert brought(database.path, tmp_path).trace.ended_us.tolist() == [9_000_000]


def test_of_several_runs_the_last_is_taken(database, tmp_path):
    database.insert(
        "workflow", run_id="run-0", workflow_name="old.py", time_began="2024-04-30 12:00:00.000000"
    )
    made = brought(database.path, tmp_path)
    assert made.workflow.n_tasks == 3
    assert "of 2 runs the last one is taken, run-1" in made.facts.told


def test_the_database_is_not_changed(database):
    before = database.path.read_bytes()
    database.path.chmod(0o400)
    read_record(database.path)
    assert database.path.read_bytes() == before
    assert [one.name for one in database.path.parent.iterdir()] == ["monitoring.db"]


def test_unknown_columns_are_told(database, tmp_path):
    with closing(sqlite3.connect(database.path)) as connection, connection:
        connection.execute("ALTER TABLE task ADD COLUMN mood TEXT")
    made = brought(database.path, tmp_path)
    assert "1 unknown column of task left out: mood" in made.facts.told


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ('DROP TABLE "try"', "monitoring.db: try: expected a table of this name, found none"),
        (
            "ALTER TABLE task DROP COLUMN task_depends",
            "monitoring.db: task: expected the columns task_depends, found none",
        ),
        ("DELETE FROM workflow", "monitoring.db: workflow: expected a run, found none"),
        ("DELETE FROM task", "monitoring.db: expected at least one task, found none"),
        (
            "UPDATE task SET task_depends = '0,9' WHERE task_id = 2",
            "task.task_depends: task 2 waits for '9', which is not there",
        ),
        (
            "UPDATE try SET task_try_time_running = 'noon'",
            "task_try_time_running: expected a date and time, found 'noon'",
        ),
        ("UPDATE task SET task_id = 'x'", "task_id: expected a whole number, found 'x'"),
    ],
)
def test_what_cannot_be_is_refused_by_table_or_column(statement, message, database):
    with closing(sqlite3.connect(database.path)) as connection, connection:
        connection.execute(statement)
    with pytest.raises(WorkflowError) as raised:
        read_record(database.path)
    assert message in str(raised.value)


def test_a_damaged_database_is_refused(tmp_path):
    path = tmp_path / "monitoring.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(200))
    with pytest.raises(WorkflowError, match="cannot be read"):
        read_record(path)
    with pytest.raises(WorkflowError, match="no such file"):
        read_record(tmp_path / "none.db", format="parsl")
    assert clock(None) is None
