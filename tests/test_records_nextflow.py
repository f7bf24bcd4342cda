"""Nextflow's trace: readable and raw values, retries, cached results, who may wait for whom."""

from __future__ import annotations

from typing import Any

import pytest

from stretto.errors import WorkflowError
from stretto.records import read_record
from stretto.records.nextflow import duration_us, memory_mib
from stretto.trace import Outcome
from stretto.workflow import Constant, Sample
from tests.records import brought, nextflow


def clock(seconds: float) -> str:
    return f"2024-05-01 10:{int(seconds) // 60:02}:{seconds % 60:06.3f}"


def line(task: int, name: str, start: float, stop: float, **others: Any) -> dict[str, Any]:
    """A readable line with all times; the task was submitted a second before it started."""
    return {
        "task_id": task,
        "hash": f"ab/{task:06}",
        "name": name,
        "status": "COMPLETED",
        "exit": 0,
        "submit": clock(start - 1),
        "start": clock(start),
        "complete": clock(stop),
        "duration": f"{stop - start + 1:g}s",
        "realtime": f"{stop - start - 0.5:g}s",
        "cpus": 2,
        "memory": "1 GB",
        "attempt": 1,
    } | others


PAIRED = [
    line(1, "INDEX", 1, 5),
    line(2, "QC (b)", 1, 8),
    line(3, "QC (a)", 1, 4),
    line(4, "ALIGN (a)", 6, 12),
    line(5, "ALIGN (b)", 9, 14),
    line(6, "MERGE", 16, 20),
]


def waits(made: Any) -> dict[str, dict[str, str]]:
    return {
        one.name: {each.on: str(each.pattern) for each in one.after}
        for one in made.workflow.task_sets
    }


def test_processes_wait_for_those_that_had_ended_and_by_sample_where_they_overlap(tmp_path):
    made = brought(nextflow(PAIRED, tmp_path / "trace.txt"), tmp_path)
    assert waits(made) == {
        "INDEX": {},
        "QC": {},
        "ALIGN": {"INDEX": "all", "QC": "each"},
        "MERGE": {"ALIGN": "all"},
    }
    told = " | ".join(made.facts.told)
    assert "does not say what waits for what: 2 sets taken to wait" in told
    assert "1 task by task" in told
    # Sample a is task 0 of both sets: its alignment began while sample b was still checked.
    assert made.trace.complete


def test_needs_durations_and_what_was_held_longer(tmp_path):
    made = brought(nextflow(PAIRED, tmp_path / "trace.txt"), tmp_path)
    qc = made.workflow["QC"]
    assert (qc.resources.cores, qc.resources.memory_mib) == (2, 1024)
    assert qc.duration == Sample((2_500_000, 6_500_000))
    assert made.workflow["INDEX"].duration == Constant(3_500_000)
    held_us = (made.trace.ended_us - made.trace.started_us)[0]
    assert held_us - made.facts.worked_us[made.trace.task[0]] == 500_000
    assert made.facts.asked_us[0] == 0
    assert made.trace.started_us[0] == 1_000_000


def test_raw_values_mean_the_same(tmp_path):
    epoch_ms = 1_714_557_600_000
    raw = [
        one
        | {
            "submit": epoch_ms + round(1000 * (start - 1)),
            "start": epoch_ms + round(1000 * start),
            "complete": epoch_ms + round(1000 * stop),
            "duration": round(1000 * (stop - start + 1)),
            "realtime": round(1000 * (stop - start - 0.5)),
            "memory": 1 << 30,
        }
        for one, (start, stop) in zip(
            PAIRED, [(1, 5), (1, 8), (1, 4), (6, 12), (9, 14), (16, 20)], strict=True
        )
    ]
    for name in ("readable", "raw"):
        (tmp_path / name).mkdir()
    first = brought(nextflow(PAIRED, tmp_path / "trace.txt"), tmp_path / "readable")
    second = brought(nextflow(raw, tmp_path / "trace.txt"), tmp_path / "raw")
    assert first.workflow.task_sets == second.workflow.task_sets
    assert first.trace.started_us.tolist() == second.trace.started_us.tolist()


def test_the_default_fields_are_enough(tmp_path):
    columns = ("task_id", "hash", "name", "status", "exit", "submit", "duration", "realtime")
    rows = [{key: one[key] for key in columns} for one in PAIRED]
    made = brought(nextflow(rows, tmp_path / "trace.txt"), tmp_path)
    # The end is the duration after the submission, the start the real time before the end.
    assert made.trace.ended_us[0] == 5_000_000
    assert made.trace.started_us[0] == 1_500_000
    assert set(made.facts.worked_us) == {None}
    assert "there is no cpus: 1 core a task" in made.facts.told


def test_a_failed_attempt_is_tried_again_by_the_next_line_of_its_name(tmp_path):
    rows = [
        line(1, "A (1)", 1, 3, status="FAILED", exit=137, memory="1 GB"),
        line(2, "A (2)", 1, 4, status="FAILED", exit=1),
        line(3, "A (1)", 5, 9, attempt=2, memory="2 GB"),
        line(4, "A (1)", 5, 6),
    ]
    made = brought(nextflow(rows, tmp_path / "trace.txt"), tmp_path)
    trace = made.trace
    assert trace.outcome.tolist().count(Outcome.FAILED) == 2
    assert "exit status 137" in trace.reasons.values()
    assert made.workflow.n_tasks == 3
    assert trace.n_finished == 2
    assert {one.name: one.retries for one in made.workflow.task_sets} == {"A-1": 1, "A-2": 0}
    assert "1 attempt tried again" in made.facts.told


def test_what_ran_or_waited_when_the_run_was_ended(tmp_path):
    rows = [
        line(1, "A (1)", 1, 3, status="ABORTED"),
        line(2, "A (2)", 1, 3, status="RUNNING", complete="-", duration="-", realtime="-"),
        line(3, "A (3)", 1, 3, status="SUBMITTED") | {"start": "-", "complete": "-"},
    ]
    made = brought(nextflow(rows, tmp_path / "trace.txt"), tmp_path)
    assert sorted(made.trace.outcome.tolist()) == [Outcome.RUNNING, Outcome.CANCELLED]
    assert made.workflow.n_tasks == 3


def test_cached_results_take_no_time_but_their_duration_is_known(tmp_path):
    rows = [line(1, "A (1)", 1, 11, status="CACHED"), line(2, "B", 2, 4)]
    made = brought(nextflow(rows, tmp_path / "trace.txt"), tmp_path)
    assert made.workflow["A"].duration == Constant(9_500_000)
    assert made.trace.ttx_us == 3_000_000
    assert made.facts.made_up_durations == (0,)
    assert "1 result taken over from an earlier run" in made.facts.told


def test_unknown_columns_are_told_and_process_and_tag_are_taken_where_they_are(tmp_path):
    rows = [
        {**line(1, "-", 1, 2, process="A:B", tag="x"), "mood": "fine"},
        {**line(2, "-", 1, 2, process="A:B", tag="y"), "mood": "fine"},
    ]
    made = brought(nextflow(rows, tmp_path / "trace.txt"), tmp_path)
    assert [(one.name, one.tasks) for one in made.workflow.task_sets] == [("A_B", 2)]
    assert "1 unknown column left out: mood" in made.facts.told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "LOST"}, "trace.txt:2: status: expected one of COMPLETED"),
        ({"task_id": "x"}, "trace.txt:2: task_id: expected a number, found 'x'"),
        ({"start": "noon"}, "trace.txt:2: start: expected a date and time, found 'noon'"),
        ({"realtime": "5 x"}, "trace.txt:2: realtime: expected milliseconds, or text such"),
        ({"memory": "lots"}, "trace.txt:2: memory: expected bytes, or text such as 1.2 GB"),
        ({"cpus": "two"}, "trace.txt:2: cpus: expected a number, found 'two'"),
        ({"cpus": 0}, "trace.txt:2: cores: expected at least one core"),
        ({"complete": clock(0)}, "trace.txt:2: complete: ends before it starts"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_line_and_column(change, message, tmp_path):
    path = nextflow([line(1, "A", 1, 3) | change], tmp_path / "trace.txt")
    with pytest.raises(WorkflowError) as raised:
        read_record(path)
    assert message in str(raised.value)


def test_a_trace_without_names_is_refused(tmp_path):
    path = nextflow([{"task_id": 1, "status": "COMPLETED"}], tmp_path / "trace.txt")
    with pytest.raises(WorkflowError, match="expected the 1 column name, found task_id, status"):
        read_record(path)


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("352ms", 352_000),
        ("1m 3s", 63_000_000),
        ("1d 2h 3m 4.5s", 93_784_500_000),
        ("1200", 1_200_000),
        ("0", 0),
    ],
)
def test_durations(text, us):
    assert duration_us(text) == us


@pytest.mark.parametrize(
    ("text", "mib"), [("1.5 GB", 1536), ("512 MB", 512), ("1", 1), ("2048 KB", 2), ("0", 0)]
)
def test_amounts_of_memory(text, mib):
    assert memory_mib(text) == mib
