"""Calibration: what a simulation cost is found again; the Summit record predicts another."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.analysis import Calibration, Observations, Observed, calibrated, check
from stretto.analysis.calibration import read_calibration
from stretto.analysis.room import full
from stretto.calibrating import calibrate
from stretto.errors import WorkflowError
from stretto.platform import Node, Overheads, Platform
from stretto.records import import_record
from stretto.resources import Resources
from stretto.running import run
from stretto.scheduler import Order
from stretto.simulator import simulate
from stretto.trace import Kind, Trace
from stretto.workflow import Constant, Sample, TaskSet, Workflow
from tests.records import nextflow, summit, wfformat
from tests.shared import SHARED, needs
from tests.test_records_nextflow import PAIRED
from tests.traces import Attempt, made, platform, slot

S = 1_000_000
PAPER = SHARED / "paper" / "summit"

STAGES = Workflow(
    "stages",
    [
        TaskSet("wide", tasks=12, duration={"mean": 50, "sd": 3}),
        TaskSet("narrow", tasks=5, duration=20, after="wide"),
        TaskSet("last", tasks=3, duration=30, after="narrow"),
        TaskSet("side", tasks=2, duration=40, after="wide"),
    ],
)
ROOM = Platform("room", (Node("a", 16, 0, 0), Node("b", 16, 0, 0)))


def simulated(overheads: Overheads, *, mode: str = "asynchronous", seed: int = 0) -> Trace:
    trace = simulate(STAGES, ROOM, mode=mode, overheads=overheads, seed=seed)
    check(trace, slack_us=3 * overheads.stage_us)
    return trace


@given(
    st.builds(
        Overheads,
        launch_us=st.integers(0, 3 * S),
        between_us=st.integers(0, 100_000),
        stage_us=st.integers(0, 9 * S),
    ),
    st.sampled_from(["sequential", "asynchronous", "task-level"]),
)
@settings(max_examples=40, deadline=None)
def test_the_overheads_of_a_simulation_are_found_again(overheads, mode):
    found = calibrate(simulated(overheads, mode=mode))
    assert found.overheads == overheads
    assert found.observations["between_us"] > 0
    assert found.order == "critical-path"


def test_what_tasks_hold_longer_than_they_work_is_found_where_both_are_known():
    overheads = Overheads(task_us=140_000)
    trace = simulated(overheads)
    works = simulated(Overheads())
    worked_us = [0] * STAGES.n_tasks
    for task, us in zip(works.task, works.ended_us - works.started_us, strict=True):
        worked_us[task] = int(us)
    found = calibrated([Observed("one", trace, worked_us=worked_us)])
    assert found.worked
    assert found.overheads.task_us == 140_000
    assert found.observations["task_us"] == STAGES.n_tasks
    assert found.durations["narrow"] == Observations(Constant(20 * S), 5)
    # Without that knowledge the overhead is in the durations, and in them only.
    other = calibrate(trace)
    assert not other.worked
    assert other.overheads.task_us == 0
    assert other.durations["narrow"] == Observations(Constant(20_140_000), 5)
    mixed = calibrated([Observed("one", trace, worked_us=worked_us), Observed("two", trace)])
    assert not mixed.worked
    assert mixed.overheads.task_us == 0
    assert mixed.durations["narrow"] == Observations(Constant(20_140_000), 10)


def test_a_calibrated_simulation_takes_as_long_as_what_it_was_calibrated_on():
    overheads = Overheads(launch_us=S, between_us=10_000, stage_us=7 * S)
    trace = simulated(overheads, seed=5)
    found = calibrate(trace)
    again = simulate(
        found.applied(STAGES), ROOM, overheads=found.overheads, order=found.order, seed=9
    )
    check(again, slack_us=21 * S)
    assert again.ttx_us == pytest.approx(trace.ttx_us, rel=0.05)


@pytest.mark.parametrize("kind", [Kind.MEASURED, Kind.EMULATED])
def test_what_our_engine_needs_to_take_up_an_end_holds_no_set_back(kind):
    trace = simulated(Overheads(stage_us=9_000))
    assert calibrate(trace).overheads.stage_us == 9_000
    ours = calibrate(replace(trace, kind=kind))
    assert (ours.overheads.stage_us, ours.observations["stage_us"]) == (0, 0)


def test_stragglers_do_not_move_the_terms():
    overheads = Overheads(launch_us=S, between_us=10_000, stage_us=7 * S)
    trace = simulated(overheads)
    started_us = trace.started_us.copy()
    ended_us = trace.ended_us.copy()
    late = trace.expansion().instances[0].first_task + 11
    row = trace.task.tolist().index(late)
    started_us[row] += 300 * S
    ended_us[row] = started_us[row] + S
    later = trace.launched_us > trace.launched_us[row]
    changed = replace(
        trace,
        launched_us=trace.launched_us + later * 400 * S,
        started_us=started_us + later * 400 * S,
        ended_us=ended_us + later * 400 * S,
    )
    check(changed, slack_us=500 * S)
    found = calibrate(changed).overheads
    assert (found.launch_us, found.between_us) == (S, 10_000)


def test_a_set_that_waited_for_room_tells_nothing_about_stages():
    # Both wait for `a`; one core only: what comes second waits for the first, 10 s after the gate.
    flow = Workflow(
        "f",
        [TaskSet("a", duration=1), TaskSet("b", duration=9, after="a"), TaskSet("c", after="a")],
    )
    trace = made(
        flow,
        platform(cores=1),
        [
            Attempt(0, 0, 0, 1, (slot([0]),)),
            Attempt(1, 2, 2, 11, (slot([0]),)),
            Attempt(2, 12, 12, 13, (slot([0]),)),
        ],
    )
    check(trace, slack_us=2 * S)
    found = calibrate(trace)
    assert (found.overheads.stage_us, found.observations["stage_us"]) == (S, 1)


def test_room_is_counted_node_by_node_gpu_by_gpu_and_for_memory():
    needs = Resources(cores=3, gpus=0.5, named={"key": 1})
    flow = Workflow("f", [TaskSet("a", tasks=2, resources=needs)])
    nodes = tuple(Node(name, 4, 1, 100, (("key", 1),)) for name in "nm")
    held = [
        slot([0, 1, 2], [0], gpu_milli=500, node=node)._replace(named=(("key", 1),))
        for node in (0, 1)
    ]
    trace = made(
        flow,
        Platform("keyed", nodes),
        [Attempt(0, 0, 0, 10, (held[0],)), Attempt(1, 5, 5, 20, (held[1],))],
    )
    check(trace)
    shapes = {
        "narrow": Resources(cores=1),
        "pair": Resources(cores=2),
        "ranks": Resources(cores=1, ranks=3),
        "half": Resources(cores=1, gpus=0.5),
        "whole": Resources(cores=1, gpus=1),
        "key": Resources(cores=1, named={"key": 1}),
        "heavy": Resources(cores=1, memory=101),
    }
    found = full(trace, list(shapes.values()))
    spans = {name: (found[one].begins, found[one].ends) for name, one in shapes.items()}
    assert spans == {
        "narrow": ([], []),
        "pair": ([5 * S], [10 * S]),
        "ranks": ([5 * S], [10 * S]),
        "half": ([], []),
        "whole": ([5 * S], [10 * S]),
        "key": ([5 * S], [10 * S]),
        "heavy": ([0], []),
    }
    assert found[shapes["pair"]].between(9 * S, 11 * S)
    assert not found[shapes["pair"]].between(10 * S, 11 * S)
    assert not found[shapes["pair"]].between(0, 5 * S)
    assert found[shapes["heavy"]].between(50 * S, 51 * S)


# Runs, records, directories.


def test_a_run_of_our_own_tells_what_the_engine_took_around_it(tmp_path):
    flow = Workflow("own", [TaskSet("a", tasks=3, duration=5), TaskSet("b", duration=2, after="a")])
    ended = run(
        flow,
        platform="summit:1",
        emulate=True,
        time_scale=1000,
        run_dir=tmp_path / "run",
        order="largest-first",
    )
    check(ended.trace, slack_us=600 * S)
    found = calibrate(tmp_path / "run")
    assert found.order == "largest-first"
    assert found.observations["start_us"] == found.observations["stop_us"] == 1
    assert set(found.durations) == {"a", "b"}
    assert found.sources == (str(tmp_path / "run"),)


def test_an_order_that_was_given_or_that_differs_is_no_rule(tmp_path):
    given_trace = simulate(STAGES, ROOM, order=Order("given", ("wide[0]",)))
    other = simulate(STAGES, ROOM, order="listed")
    for trace in (given_trace, other):
        check(trace)
    assert calibrate(other).order == "listed"
    assert calibrate(given_trace).order == "critical-path"
    assert any("is not known" in one for one in calibrate(given_trace).told)
    assert any("differs between the runs" in one for one in calibrate(given_trace, other).told)


def test_a_record_and_its_directory_say_the_same(tmp_path):
    path = nextflow(PAIRED, tmp_path / "trace.txt")
    import_record(path, output=tmp_path / "imported")
    first, second = calibrate(path), calibrate(tmp_path / "imported")
    assert replace(first, sources=()) == replace(second, sources=())
    assert calibrate(import_record(path)) == first
    # Each held its slots half a second longer than it worked, and was asked for a second before.
    assert (first.overheads.task_us, first.overheads.launch_us) == (S // 2, S)


def test_what_a_record_does_not_say_is_not_observed(tmp_path):
    tasks: list[dict[str, Any]] = [
        {"id": f"a_{n}", "runtimeInSeconds": 3, "coreCount": 1} for n in range(4)
    ]
    tasks.append({"id": "b", "parents": [one["id"] for one in tasks], "runtimeInSeconds": 1})
    found = calibrate(wfformat(tasks, tmp_path / "r.json"))
    assert found.overheads == Overheads()
    assert set(found.observations.values()) == {0}
    assert found.durations["a"] == Observations(Constant(3 * S), 4)
    assert "stage_us could not be seen and is 0" in found.told


def test_cached_results_are_no_observations(tmp_path):
    rows = [*PAIRED, PAIRED[5] | {"task_id": 9, "name": "OLD", "status": "CACHED"}]
    found = calibrate(nextflow(rows, tmp_path / "trace.txt"))
    assert "OLD" not in found.durations


@pytest.mark.parametrize("runs", [(), ("nowhere",)])
def test_without_a_run_there_is_nothing_to_learn(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkflowError, match=r"at least one run|no run here"):
        calibrate(*runs)


def test_a_run_in_which_nothing_finished_teaches_nothing():
    trace = made(STAGES, platform(cores=16), [])
    check(trace)
    with pytest.raises(WorkflowError, match="no task finished in these runs"):
        calibrate(trace)


# The file.


def some() -> Calibration:
    return Calibration(
        durations={
            "wide": Observations(Sample((49 * S, 51_250_001)), 12),
            "ghost": Observations(Constant(S), 1),
        },
        overheads=Overheads(1, 2, 3, 4, 5, 6),
        observations={one.name: 7 for one in fields(Overheads)},
        order="largest-first",
        worked=True,
        sources=("one", "two"),
        told=("so it is",),
    )


def test_a_calibration_reads_back_as_it_was_written(tmp_path):
    assert read_calibration(some().write(tmp_path / "c.json")) == some()


def test_applied_it_replaces_the_durations_of_sets_of_that_name():
    applied = some().applied(STAGES)
    assert applied["wide"].duration == Sample((49 * S, 51_250_001))
    assert [one for one in applied.task_sets if one.name != "wide"] == [
        one for one in STAGES.task_sets if one.name != "wide"
    ]


def test_a_large_sample_is_thinned_with_its_ends_kept():
    flow = Workflow("many", [TaskSet("a", tasks=500, duration={"mean": 50, "sd": 10})])
    trace = simulate(flow, ROOM)
    check(trace)
    took = sorted((trace.ended_us - trace.started_us).tolist())
    kept = calibrate(trace).durations["a"]
    assert kept.count == 500
    assert isinstance(kept.duration, Sample)
    assert len(kept.duration.values_us) == 200
    assert (kept.duration.values_us[0], kept.duration.values_us[-1]) == (took[0], took[-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stretto_calibration": 2}, "c.json: stretto_calibration: expected version 1, found 2"),
        ({"order": 3}, "c.json: expected sources, order, worked, overheads"),
        (
            {"overheads": {"mood_us": {"value": 1, "observations": 1}}},
            "overheads.mood_us: expected",
        ),
        ({"overheads": {"task_us": {"value": -1, "observations": 1}}}, "task_us: expected 0 to"),
        ({"overheads": {"task_us": 3}}, "overheads.task_us: expected value and observations"),
        ({"durations": {"a": {"duration": "x", "observations": 1}}}, "durations.a.duration: expec"),
        ({"durations": {"a": {"duration": None, "observations": 1}}}, "durations.a: expected dura"),
        ({"durations": {"a": 3}}, "durations.a: expected duration and observations"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused_by_its_place(change, message, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(some().to_json() | change))
    with pytest.raises(WorkflowError) as raised:
        read_calibration(path)
    assert message in str(raised.value)


@pytest.mark.parametrize("text", ["[]", "{", "{}"])
def test_a_file_that_is_no_calibration_is_refused(text, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(WorkflowError, match=r"c\.json"):
        read_calibration(path)
    with pytest.raises(WorkflowError, match="no such file"):
        read_calibration(tmp_path / "none.json")
    with pytest.raises(WorkflowError, match="cannot be written"):
        some().write(tmp_path)


# One run predicts another.


def staged(pipelines: list[list[list[TaskSet]]], after: dict[int, list[int]]) -> Workflow:
    """Return pipelines of stages of sets as a description, each stage a barrier."""
    sets: list[TaskSet] = []
    last: dict[int, list[str]] = {}
    for number, stages in enumerate(pipelines):
        before = [name for other in after.get(number, []) for name in last[other]]
        for stage, kinds in enumerate(stages):
            here = []
            for kind in kinds:
                here.append(f"{kind.name}_{number}_{stage}")
                sets.append(
                    TaskSet(
                        here[-1],
                        tasks=kind.tasks,
                        resources=kind.resources,
                        duration=kind.duration,
                        after=before,
                    )
                )
            before = here
        last[number] = before
    return Workflow("staged", sets)


def recorded(workflow: Workflow, overheads: Overheads, path: Path) -> tuple[Path, Trace]:
    """Simulate as an engine that places largest first, and write what it would have recorded."""
    trace = simulate(workflow, "summit:4", overheads=overheads, order="largest-first", seed=3)
    check(trace, slack_us=100 * S)
    instances = trace.expansion().instances
    rows = []
    for row, index in enumerate(trace.instance()):
        kind, pipeline, stage = instances[index].task_set.name.split("_")
        needs = instances[index].task_set.resources
        held_us = int(trace.ended_us[row] - trace.started_us[row])
        rows.append(
            {
                "pipeline": pipeline,
                "stage": stage,
                "task_set": kind,
                "cores": needs.cores,
                "gpus": int(needs.gpus),
                "node": trace.placements[row][0].node,
                "requested_s": (held_us - overheads.task_us) / S,
                "start_s": trace.started_us[row] / S,
                "stop_s": trace.ended_us[row] / S,
            }
        )
    rows.sort(key=lambda one: (one["start_s"], one["stop_s"]))
    return summit(rows, path), trace


def test_calibrated_on_one_arrangement_of_the_work_another_is_predicted(tmp_path):
    def some(name: str, tasks: int, cores: int, gpus: int, mean: float) -> TaskSet:
        needs = Resources(cores=cores, gpus=gpus)
        return TaskSet(
            name, tasks=tasks, resources=needs, duration={"mean": mean, "sd": mean / 100}
        )

    first, wide = some("first", 24, 16, 1, 300), some("wide", 8, 40, 0, 120)
    third, fourth = some("third", 20, 4, 1, 500), some("fourth", 9, 4, 0, 150)
    last = some("last", 17, 4, 0, 260)
    overheads = Overheads(between_us=9000, task_us=130_000, stage_us=7 * S)
    one_by_one = staged([[[first], [wide], [third, fourth], [last]]], {})
    beside = staged([[[first], [wide]], [[third]], [[fourth], [last]]], {1: [0], 2: [0]})
    known, _ = recorded(one_by_one, overheads, tmp_path / "seq.csv")
    unknown, trace = recorded(beside, overheads, tmp_path / "async.csv")
    found = calibrate(known)
    assert found.overheads == overheads
    made_of = import_record(unknown, platform="summit:4")
    assert len(made_of.workflow.task_sets) == 5
    predicted = simulate(made_of.workflow, "summit:4", overheads=found.overheads, order=found.order)
    check(predicted, slack_us=100 * S)
    assert predicted.ttx_us == pytest.approx(trace.ttx_us, rel=0.005)


# The paper's runs.


@needs("paper", "summit")
@pytest.mark.parametrize(("name", "measured_s"), [("ddmd-seq", 1660.2), ("ddmd-async", 1331.5)])
def test_the_sequential_record_alone_predicts_both_runs_within_one_per_cent(name, measured_s):
    found = calibrate(PAPER / "ddmd-seq.csv")
    record = import_record(PAPER / f"{name}.csv", platform="summit:16")
    check(record.trace)
    assert record.trace.ttx_us / S == pytest.approx(measured_s, abs=0.1)
    for seed in range(3):
        trace = simulate(
            record.workflow,
            "summit:16",
            mode="asynchronous",
            overheads=found.overheads,
            order=found.order,
            seed=seed,
        )
        check(trace, slack_us=60 * S)
        assert trace.ttx_us / S == pytest.approx(measured_s, rel=0.01)
        assert trace.kind is Kind.SIMULATED


@needs("paper", "summit")
def test_the_terms_of_the_sequential_record_are_those_that_were_read_off_it_by_hand():
    found = calibrate(PAPER / "ddmd-seq.csv")
    assert found.overheads.stage_us / S == pytest.approx(7.35, abs=0.01)
    assert found.overheads.task_us / S == pytest.approx(0.14, abs=0.01)
    assert found.overheads.between_us / S == pytest.approx(1 / 97, rel=0.2)
    assert found.observations["stage_us"] == 11
    assert found.order == "largest-first"
    assert found.worked
