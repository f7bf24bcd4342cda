"""The CSV form of the paper's records: pipelines and stages rebuilt, values refused by place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stretto.errors import WorkflowError
from stretto.records import import_record, read_record
from stretto.workflow import Constant, Sample
from tests.records import SUMMIT, brought, summit
from tests.shared import SHARED, needs


def row(
    pipeline: int,
    stage: int,
    task_set: str,
    start: float,
    stop: float,
    **others: Any,
) -> dict[str, Any]:
    return {
        "pipeline": pipeline,
        "stage": stage,
        "task_set": task_set,
        "cores": 2,
        "gpus": 0,
        "node": 0,
        "start_s": start,
        "stop_s": stop,
        **others,
    }


# Pipeline 0 is one stage; 1 and 2 begin after it and run side by side; 3 waits for both.
STAGED = [
    row(0, 0, "sim", 0, 10, requested_s=9),
    row(0, 0, "sim", 0, 12, requested_s=11),
    row(1, 0, "sim", 13, 20, requested_s=7),
    row(1, 1, "train", 21, 30, requested_s=8, cores=1, gpus=1),
    row(1, 1, "score", 21, 25, requested_s=4, cores=1),
    row(2, 5, "agent", 13, 18, requested_s=4, node=1),
    row(3, 7, "last", 31, 32, requested_s=1, node=1),
]


def waits(made: Any) -> dict[str, list[str]]:
    return {
        one.name: [dependency.on for dependency in one.after] for one in made.workflow.task_sets
    }


def test_stages_wait_for_stages_and_pipelines_for_those_that_had_ended(tmp_path):
    made = brought(summit(STAGED, tmp_path / "staged.csv"), tmp_path)
    assert waits(made) == {
        "sim-p0s0": [],
        "sim-p1s0": ["sim-p0s0"],
        "train": ["sim-p1s0"],
        "score": ["sim-p1s0"],
        "agent": ["sim-p0s0"],
        "last": ["train", "score", "agent"],
    }
    assert made.trace.ttx_us == 32_000_000
    assert made.facts.order == made.trace.order.rule == "largest-first"
    told = " | ".join(made.facts.told)
    assert "pipeline 3 is taken to wait for pipeline 1, 2, which had ended when it began" in told


def test_a_pipeline_that_began_before_another_had_ended_does_not_wait_for_it(tmp_path):
    rows = [row(0, 0, "a", 0, 10), row(1, 0, "b", 9.9, 12)]
    assert waits(brought(summit(rows, tmp_path / "r.csv"), tmp_path)) == {"a": [], "b": []}


def test_durations_are_what_was_requested_and_the_trace_has_what_was_held(tmp_path):
    made = brought(summit(STAGED, tmp_path / "staged.csv"), tmp_path)
    assert made.workflow["sim-p0s0"].duration == Sample((9_000_000, 11_000_000))
    assert made.workflow["train"].duration == Constant(8_000_000)
    assert made.workflow["train"].resources.gpus == 1
    assert made.facts.worked_us[0] == 9_000_000


def test_without_the_optional_columns_durations_are_measured_and_places_unknown(tmp_path):
    columns = "pipeline,stage,task_set,cores,start_s,stop_s"
    made = brought(summit(STAGED, tmp_path / "less.csv", columns), tmp_path)
    assert made.workflow["sim-p0s0"].duration == Sample((10_000_000, 12_000_000))
    assert set(made.facts.worked_us) == {None}
    assert [node.cores for node in made.platform.nodes] == [4]
    told = " | ".join(made.facts.told)
    assert "there is no requested_s" in told
    assert "where tasks ran is not recorded" in told


def test_other_needs_in_one_place_are_another_set(tmp_path):
    rows = [row(0, 0, "a", 0, 1), row(0, 0, "a", 0, 1, cores=3), row(0, 1, "b", 2, 3)]
    made = brought(summit(rows, tmp_path / "r.csv"), tmp_path)
    assert waits(made) == {"a-1": [], "a-2": [], "b": ["a-1", "a-2"]}


def test_times_count_from_the_first_and_may_be_negative(tmp_path):
    rows = [row(0, 0, "a", -5, 1), row(0, 1, "b", 100, 101)]
    made = brought(summit(rows, tmp_path / "r.csv"), tmp_path)
    assert made.trace.started_us.tolist() == [0, 105_000_000]


def test_missing_times_are_worked_out_or_left_open(tmp_path):
    rows = [
        row(0, 0, "a", "", 5, requested_s=4),
        row(0, 0, "a", 1, "", requested_s=4),
        row(0, 0, "a", "", "", requested_s=4),
    ]
    made = brought(summit(rows, tmp_path / "r.csv"), tmp_path)
    # One started 4 s before its end, the other when the record says, and has not ended.
    assert made.trace.started_us.tolist() == [0, 0]
    assert made.trace.ended_us.tolist() == [4_000_000, -1]
    assert made.trace.n_finished == 1
    assert not made.trace.complete
    assert any("start worked out" in one for one in made.facts.told)


def test_unknown_columns_are_counted_and_told(tmp_path):
    rows = [row(0, 0, "a", 0, 1, queue="q", mood="fine")]
    made = brought(summit(rows, tmp_path / "r.csv", f"{SUMMIT},queue,mood"), tmp_path)
    assert "2 unknown columns left out: mood, queue" in made.facts.told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start_s": "soon"}, "r.csv:2: start_s: expected a number, found 'soon'"),
        ({"start_s": "nan"}, "r.csv:2: start_s: expected a finite number, found 'nan'"),
        ({"stop_s": -1}, "r.csv:2: stop_s: expected no less than start_s (0), found -1"),
        ({"cores": "2.5"}, "r.csv:2: cores: expected a whole number from 0, found '2.5'"),
        ({"cores": ""}, "r.csv:2: cores: expected a value, found none"),
        ({"cores": 0}, "r.csv:2: cores: expected at least one core, some of a GPU or a named"),
        ({"gpus": 1.5}, "r.csv:2: gpus: expected whole GPUs, or a fraction of one, found 1.5"),
        ({"pipeline": "x"}, "r.csv:2: pipeline: expected a number, found 'x'"),
        ({"requested_s": -2}, "r.csv:2: requested_s: expected 0 or more"),
        ({"stop_s": 1e12}, "r.csv:2: stop_s: expected at most"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_line_and_column(change, message, tmp_path):
    path = summit([row(0, 0, "a", 0, 1) | change], tmp_path / "r.csv")
    with pytest.raises(WorkflowError) as raised:
        read_record(path)
    assert message in str(raised.value)


def test_missing_columns_are_refused_by_name(tmp_path):
    path = summit([row(0, 0, "a", 0, 1)], tmp_path / "r.csv", "pipeline,task_set,cores,start_s")
    with pytest.raises(
        WorkflowError, match=r"r.csv:1: expected the 2 columns stage, stop_s, found"
    ):
        read_record(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no record that we know"),
        ("task_set,cores,cores\n", "r.csv:1: the column cores comes twice"),
        (f"{SUMMIT}\n", "expected at least one task, found none"),
        (f"{SUMMIT}\n1,2\n", "r.csv:2: expected 10 fields, found 2"),
        (f'{SUMMIT}\n"1,2\n', "r.csv:2: cannot be read"),
    ],
)
def test_what_is_no_such_table_is_refused(text, message, tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(text)
    with pytest.raises(WorkflowError, match=message):
        read_record(path)


def test_bytes_that_are_no_text_are_refused_by_line(tmp_path):
    path = tmp_path / "r.csv"
    path.write_bytes(SUMMIT.encode() + b"\n\xff\n")
    with pytest.raises(WorkflowError, match=r"r.csv:2: expected UTF-8, found the byte 0xff"):
        read_record(path)


@pytest.mark.parametrize("what", ["nowhere.csv", "."])
def test_what_is_no_file_is_refused(what, tmp_path):
    with pytest.raises(WorkflowError, match=r"no such file|found a directory"):
        import_record(tmp_path / what)


@needs("paper", "summit")
@pytest.mark.parametrize(("name", "sets"), [("ddmd-seq", 12), ("ddmd-async", 11)])
def test_the_published_records_become_their_pipelines_on_sixteen_nodes(name, sets, tmp_path):
    path: Path = SHARED / f"paper/summit/{name}.csv"
    made = brought(path, tmp_path, platform="summit:16")
    assert len(made.workflow.task_sets) == sets
    assert made.trace.n_finished == made.workflow.n_tasks == 627
    assert made.platform.name == made.workflow.platform == "summit:16"
    assert not any("widened" in one for one in made.facts.told)
