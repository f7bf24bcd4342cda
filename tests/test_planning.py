"""The plan: the paper's numbers as one object, and what is said where something is not known."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import validate

from stretto import (
    Mode,
    Node,
    Overheads,
    Platform,
    Resources,
    TaskSet,
    Workflow,
    WorkflowError,
    plan,
    platform_named,
    report_of,
    run,
    simulate,
    sweep,
)
from stretto.apps.paper import WORKLOADS, workload
from stretto.workflow import Dependency

SCHEMA = json.loads(
    files("stretto.planning").joinpath("plan.schema.json").read_text(encoding="utf-8")
)
TWO = Platform("two", (Node("n", 2, 0, 0),))


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
    assert set(values["simulated"]) == {str(mode) for mode in Mode}
    for one in values["simulated"].values():
        assert 0 < one["ttx_s"]["p5"] <= one["ttx_s"]["mean"] <= one["ttx_s"]["p95"]
        assert 0 < one["core_utilisation"]["mean"] <= 1
        assert 0 < one["gpu_utilisation"]["mean"] <= 1
    validate(values, SCHEMA)


def test_unknown_durations_leave_the_degrees() -> None:
    workflow = Workflow("w", [TaskSet("a"), TaskSet("b", after="a"), TaskSet("c", after="a")])
    made = plan(workflow, platform="local:4")
    values = made.to_json()
    assert (values["doa_dep"], values["wla"]) == (1, 1)
    assert (values["t_seq_s"], values["improvement"]) == (None, None)
    assert values["simulated"] == {}
    assert made.improvement(Mode.ASYNCHRONOUS) is None
    assert (values["bounds"], values["period_s"], values["sensitivity"]) == (None, None, [])
    assert values["advice"]["mode"] is None
    assert values["advice"]["sentence"].startswith(
        "Nothing can be said before the duration of a, b"
    )
    validate(values, SCHEMA)


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


class TestForecasts:
    NOISY = Workflow("noisy", [TaskSet("a", tasks=4, duration={"mean": 9, "sd": 2})])

    def test_every_draw_is_the_simulation_of_its_seed(self) -> None:
        made = plan(self.NOISY, platform=TWO, seed=3, draws=4)
        told = [
            simulate(self.NOISY, TWO, mode=Mode.TASK_LEVEL, seed=seed).ttx_us
            for seed in range(3, 7)
        ]
        assert list(made.forecasts[Mode.TASK_LEVEL].draws_us) == told
        assert made.forecasts[Mode.TASK_LEVEL].ttx_us.mean == sum(told) / 4

    def test_one_draw_is_enough_where_nothing_varies(self) -> None:
        values = plan(Workflow("w", [TaskSet("a", duration=9)]), platform=TWO).to_json()
        one = values["simulated"]["asynchronous"]
        assert (one["draws"], one["ttx_s"]) == (1, {"mean": 9, "p5": 9, "p95": 9})

    def test_node_hours_and_price_are_those_of_the_whole_allocation(self) -> None:
        hour = Workflow("w", [TaskSet("a", duration=3600)])
        platform = Platform("four", (Node("n", 2, 0, 0),) * 4)
        around = Overheads(start_us=900_000_000, stop_us=900_000_000)
        values = plan(hour, platform=platform, overheads=around, price=2.5).to_json()
        one = values["simulated"]["sequential"]
        assert one["ttx_s"]["mean"] == 3600
        assert one["allocation_s"]["mean"] == 5400
        assert one["node_hours"]["mean"] == 6
        assert one["price"]["mean"] == 15
        validate(values, SCHEMA)

    def test_the_chance_to_fit_a_walltime_is_that_of_the_draws(self) -> None:
        draws_us = sorted(plan(self.NOISY, platform=TWO).forecasts[Mode.SEQUENTIAL].draws_us)
        between_s = (draws_us[9] + draws_us[10]) / 2e6
        values = plan(self.NOISY, platform=TWO, walltime=between_s).to_json()
        assert values["simulated"]["sequential"]["chance_within_walltime"] == 0.5
        late = plan(
            self.NOISY, platform=TWO, walltime=between_s, overheads=Overheads(start_us=10**9)
        )
        assert late.to_json()["simulated"]["sequential"]["chance_within_walltime"] == 0

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"draws": 0}, "draws: expected 1 to"),
            ({"walltime": "soon"}, "expected seconds, or text"),
            ({"price": -1}, "price: expected a price"),
            ({"within": -0.1}, "within: expected a share"),
            ({"order": "best"}, "there is no rule 'best'"),
            ({"optimize_rounds": 0}, "rounds"),
        ],
    )
    def test_what_cannot_be_is_refused(self, wrong: dict[str, Any], message: str) -> None:
        with pytest.raises(WorkflowError, match=message):
            plan(self.NOISY, platform=TWO, **wrong)


class TestAdvice:
    def test_c_dg1_is_better_left_sequential(self) -> None:
        advice = plan(workload("c-dg1")).advice
        assert advice.mode is Mode.SEQUENTIAL
        assert advice.sentence == (
            "The gain of 0.4% is inside the overhead of 2%: stay sequential (confidence high)."
        )

    def test_deepdrivemd_gains_and_task_level_most(self) -> None:
        advice = plan(workload("deepdrivemd")).advice
        assert (advice.mode, advice.order.rule) == (Mode.TASK_LEVEL, "critical-path")
        assert advice.gain == pytest.approx(1 - 1.06 * 1289 / 1739, abs=0.01)
        assert advice.confidence == "high"

    def test_adaptive_mode_is_advised_where_another_order_gains(self) -> None:
        advice = plan(workload("c-dg2")).advice
        assert (advice.mode, advice.order.rule) == (Mode.ADAPTIVE, "critical-path")
        assert advice.gain == pytest.approx(1 - 1.06 * 1666 / 2222, abs=0.01)

    def test_the_simplest_mode_that_does_it_is_advised(self) -> None:
        assert plan(workload("c-dg2-as-run")).advice.mode is Mode.ASYNCHRONOUS

    def test_a_chain_gains_nothing(self) -> None:
        chain = Workflow("chain", [TaskSet("a", duration=1), TaskSet("b", duration=1, after="a")])
        advice = plan(chain, platform=TWO).advice
        assert advice.mode is Mode.SEQUENTIAL
        assert advice.reason == "Overlapping gains nothing (net I −6.0%)"

    def test_overheads_that_are_given_are_not_charged_twice(self) -> None:
        two = Workflow(
            "two", [TaskSet("a", duration=9), TaskSet("b", duration=9)], stages=[["a"], ["b"]]
        )
        assert plan(two, platform=TWO).advice.gain == pytest.approx(1 - 1.06 / 2)
        assert plan(two, platform=TWO, overheads=Overheads()).advice.gain == pytest.approx(0.5)

    def test_more_staleness_is_proposed_where_waiting_binds(self) -> None:
        loop = Workflow(
            "loop",
            [
                TaskSet("simulate", duration=4, after=Dependency("learn", previous=True)),
                TaskSet("learn", duration=4, after="simulate"),
            ],
            iterations=20,
        )
        made = plan(loop, platform=TWO)
        assert made.model.steady.enough_staleness == 1
        staler = made.advice.staler
        # Every mode gains alike, so the advice is to stay sequential as it is declared.
        assert made.advice.mode is Mode.SEQUENTIAL
        assert staler is not None
        assert "with staleness 1, if the science allows it, 50% shorter" in made.advice.sentence
        assert staler.gain == pytest.approx(0.5)


class TestWhatIf:
    def test_the_longest_set_matters_most_and_a_masked_one_not_at_all(self) -> None:
        sets = [
            TaskSet("long", duration=9),
            TaskSet("short", duration=1, after="long"),
            TaskSet("masked", duration=2),
        ]
        values = plan(Workflow("w", sets), platform=TWO).to_json()
        assert values["sensitivity"] == [
            {"set": "long", "elasticity": pytest.approx(0.9)},
            {"set": "short", "elasticity": pytest.approx(0.1)},
            {"set": "masked", "elasticity": 0},
        ]

    def test_the_smallest_allocation_is_no_larger_than_what_is_used(self) -> None:
        wide = Workflow("wide", [TaskSet("a", tasks=6, duration=1)])
        platform = Platform("p", tuple(Node(f"n{at}", 2, 0, 0) for at in range(8)))
        found = plan(wide, platform=platform).to_json()["smallest_allocation"]
        assert (found["size"], found["unit"], found["ttx_s"]) == (3, "nodes", 1)
        found = plan(wide, platform=platform, within=1.0).to_json()["smallest_allocation"]
        assert (found["size"], found["ttx_s"], found["shortest_s"]) == (2, 2, 1)
        one = Platform("one", (Node("n", 64, 0, 0),))
        found = plan(wide, platform=one).to_json()["smallest_allocation"]
        assert (found["unit"], found["ttx_s"]) == ("cores", 1)
        assert 6 <= found["size"] < 10  # of many sizes not all are tried

    def test_a_sweep_plays_all_combinations(self) -> None:
        loop = workload("deepdrivemd").at_means()
        made = sweep(loop, sizes=[4, 8, 16], iterations=[1, 3], staleness=[0, 1])
        assert [
            (point.line.iterations, point.line.staleness, point.size) for point in made.points
        ] == [(turns, stale, size) for turns in (1, 3) for stale in (0, 1) for size in (4, 8, 16)]
        whole = simulate(loop, "summit:8", mode=Mode.TASK_LEVEL)
        (found,) = [
            point
            for point in made.points
            if (point.line.iterations, point.line.staleness, point.size) == (3, 0, 8)
        ]
        assert found.ttx_us.mean == whole.ttx_us
        assert found.bound_us is not None
        assert found.bound_us <= whole.ttx_us
        for line in made.lines:
            assert made.smallest(line).size == 16

    def test_sizes_of_sets_are_swept_by_name(self) -> None:
        wide = Workflow("wide", [TaskSet("a", tasks=6, duration=1)])
        made = sweep(wide, platform=TWO, tasks={"a": [2, 4]})
        assert [point.ttx_us.mean for point in made.points] == [1e6, 2e6]
        assert [str(line) for line in made.lines] == [
            "1 iteration, 2 tasks of a",
            "1 iteration, 4 tasks of a",
        ]

    def test_a_sweep_that_cannot_be_is_refused(self) -> None:
        wide = Workflow("wide", [TaskSet("a", tasks=6, duration=1)])
        with pytest.raises(WorkflowError, match="expected 1 to 2 cores"):
            sweep(wide, platform=TWO, sizes=[3])
        with pytest.raises(WorkflowError, match="1001 combinations; expected at most 1000"):
            sweep(wide, platform=TWO, iterations=range(1, 1002))
        with pytest.raises(WorkflowError, match="no duration is known"):
            sweep(Workflow("w", [TaskSet("a")]), platform=TWO)
