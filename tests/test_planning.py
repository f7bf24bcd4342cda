"""The plan: the paper's numbers as one object, and what is said where something is not known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stretto import (
    Mode,
    Resources,
    TaskSet,
    Workflow,
    WorkflowError,
    plan,
    platform_named,
    report_of,
    run,
)
from stretto.apps.paper import WORKLOADS, workload


@pytest.mark.parametrize(
    ("name", "doa_dep", "doa_width", "doa_res", "wla", "t_seq_s", "t_async_s", "improvement"),
    [
        ("deepdrivemd", 2, 2, 1, 1, 1578, 1345, 0.148),
        ("c-dg1", 2, 3, 2, 2, 1980, 1860, 0.061),
        # As printed, {T3,T6} and {T4,T5} need 112 of 96 GPUs at once: DOA_res is 1.
        ("c-dg2", 2, 3, 1, 1, 2000, 1300, 0.350),
        ("c-dg1-as-run", 2, 3, 2, 2, 1874, 1874, 0.0),
        ("c-dg2-as-run", 2, 3, 2, 2, 1770, 1309, 0.260),
    ],
)
def test_the_papers_workloads(
    name: str,
    doa_dep: int,
    doa_width: int,
    doa_res: int,
    wla: int,
    t_seq_s: float,
    t_async_s: float,
    improvement: float,
) -> None:
    values = plan(workload(name)).to_json()
    assert (values["doa_dep"], values["doa_width"]) == (doa_dep, doa_width)
    assert (values["doa_res"], values["wla"]) == (doa_res, wla)
    assert (values["t_seq_s"], values["t_async_s"]) == (t_seq_s, t_async_s)
    assert values["improvement"] == pytest.approx(improvement, abs=5e-4)


def test_table_3_predictions_are_among_the_corrected_values() -> None:
    printed = {"deepdrivemd": (0.04, 1399), "c-dg1": (0.06, 1972), "c-dg2": (0.06, 1378)}
    for name, (overhead, t_async_s) in printed.items():
        corrected = {
            one["overhead"]: one["t_async_s"] for one in plan(workload(name)).to_json()["corrected"]
        }
        assert round(corrected[overhead]) == t_async_s


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_plan_is_plain_json_and_has_every_mode(name: str) -> None:
    values = json.loads(json.dumps(plan(workload(name)).to_json()))
    assert set(values["simulated"]) == {"sequential", "asynchronous", "task-level"}
    for one in values["simulated"].values():
        assert one["ttx_s"] > 0
        assert 0 < one["core_utilisation"] <= 1
        assert 0 < one["gpu_utilisation"] <= 1


def test_unknown_durations_leave_the_degrees() -> None:
    workflow = Workflow("w", [TaskSet("a"), TaskSet("b", after="a"), TaskSet("c", after="a")])
    made = plan(workflow, platform="local:4")
    values = made.to_json()
    assert (values["doa_dep"], values["wla"]) == (1, 1)
    assert (values["t_seq_s"], values["improvement"]) == (None, None)
    assert values["simulated"] == {}
    assert made.improvement(Mode.ASYNCHRONOUS) is None


def test_a_plan_without_gpus_says_so() -> None:
    values = plan(Workflow("w", [TaskSet("a", duration=1)]), platform="local:2").to_json()
    assert values["simulated"]["sequential"]["gpu_utilisation"] is None


def test_what_does_not_fit_is_refused() -> None:
    huge = TaskSet("huge", resources=Resources(cores=4097), duration=1)
    with pytest.raises(WorkflowError, match="huge"):
        plan(Workflow("w", [huge]), platform=platform_named("summit:2"))


def test_a_run_too_long_for_the_formulas_still_has_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stretto.model.prediction.MOST_INSTANCES", 2)
    loop = Workflow("loop", [TaskSet("a", duration=1)], iterations=3)
    with pytest.raises(WorkflowError, match="the model takes at most 2"):
        plan(loop, platform="local:1")
    ended = run(loop, platform="local:1", emulate=True, time_scale=1000, run_dir=tmp_path / "run")
    made = report_of(ended.directory)
    assert made.traces[0].complete
    assert "loop" in made.path.read_text(encoding="utf-8")
