"""The search: orders that are kept, budgets that are kept, and the same result every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.analysis import check
from stretto.apps.paper import workload
from stretto.errors import WorkflowError
from stretto.model import model_of
from stretto.optimizer import optimize
from stretto.optimizer.evolution import Evolution
from stretto.optimizer.search import CHUNK_ACTIVITIES
from stretto.platform import Overheads, Platform, platform_named
from stretto.resources import Resources
from stretto.scheduler import RULES, Mode, Order
from stretto.simulator import simulate
from stretto.workflow import TaskSet, Workflow
from tests.projects import KEEPS_ROOM, PAIR, at_means, project
from tests.shared import ROOT, SHARED, needs
from tests.workflows import cases

SUMMIT = platform_named("summit:16")


def played_us(workflow: Workflow, platform: Platform, mode: Mode, order: Order | str) -> int:
    trace = simulate(at_means(workflow), platform, mode=mode, order=order)
    check(trace)
    assert trace.complete
    return trace.ttx_us


class TestResults:
    @settings(max_examples=60, deadline=None)
    @given(case=cases(), mode=st.sampled_from(Mode), seed=st.integers(0, 3))
    def test_the_order_keeps_what_is_said_of_it(
        self, case: tuple[Workflow, Platform], mode: Mode, seed: int
    ) -> None:
        workflow, platform = case
        found = optimize(
            workflow, platform, mode=mode, rounds=60, seed=seed, exact=False, floor_us=0
        )
        assert played_us(workflow, platform, mode, found.order) == found.ttx_us
        assert found.ttx_us <= min(played_us(workflow, platform, mode, rule) for rule in RULES)
        assert found.ttx_us >= found.bound_us
        assert found.proven == (found.ttx_us == found.bound_us)
        assert found.simulated + found.generated <= 60
        bounds = model_of(at_means(workflow), platform).bounds
        assert bounds is not None
        assert found.ttx_us >= bounds.best_us

    def test_a_strict_order_is_found_where_no_list_schedule_is_best(self) -> None:
        found = optimize(KEEPS_ROOM, PAIR, rounds=200, exact=False)
        assert found.order.strict
        assert found.ttx_us == played_us(KEEPS_ROOM, PAIR, Mode.TASK_LEVEL, found.order)
        assert found.ttx_us == 21_000_000
        assert found.history[-1].ttx_us < found.history[0].ttx_us

    @pytest.mark.parametrize(
        ("name", "ttx_s"), [("deepdrivemd", 1235), ("c-dg1", 1860), ("c-dg2", 1540)]
    )
    def test_the_papers_workloads(self, name: str, ttx_s: int) -> None:
        found = optimize(workload(name), exact=False)
        assert played_us(workload(name), SUMMIT, Mode.TASK_LEVEL, found.order) == ttx_s * 10**6
        assert found.ttx_us == ttx_s * 10**6

    def test_it_beats_every_rule_where_rules_are_not_enough(self) -> None:
        small = platform_named("summit:8")
        found = optimize(workload("deepdrivemd"), small, exact=False)
        by_rule = min(
            played_us(workload("deepdrivemd"), small, Mode.TASK_LEVEL, rule) for rule in RULES
        )
        assert found.ttx_us < by_rule
        assert found.found_by == "sampling and genetic search"
        assert (
            played_us(workload("deepdrivemd"), small, Mode.TASK_LEVEL, found.order) == found.ttx_us
        )

    def test_overheads_are_in_the_makespan_and_not_in_the_bound(self) -> None:
        costs = Overheads(launch_us=500_000, stage_us=1_000_000)
        found = optimize(KEEPS_ROOM, PAIR, rounds=200, overheads=costs, exact=False)
        trace = simulate(KEEPS_ROOM, PAIR, mode=Mode.TASK_LEVEL, order=found.order, overheads=costs)
        check(trace)
        assert trace.ttx_us == found.ttx_us > found.bound_us
        assert found.bound_us == optimize(KEEPS_ROOM, PAIR, rounds=9, exact=False).bound_us

    def test_a_known_bound_is_used(self) -> None:
        found = optimize(KEEPS_ROOM, PAIR, rounds=200, floor_us=21_000_000, exact=False)
        assert found.proven
        assert found.bound_us == 21_000_000

    def test_everything_is_told_as_plain_values(self) -> None:
        found = optimize(KEEPS_ROOM, PAIR, rounds=200, exact=False)
        told = json.loads(json.dumps(found.to_json()))
        assert Order.from_json(told["order"]) == found.order
        assert (told["ttx_s"], told["bound_s"]) == (21, found.bound_us / 1e6)
        assert told["gap"] == pytest.approx(21 / told["bound_s"] - 1)
        assert [step["ttx_s"] for step in told["history"]][-1] == 21

    def test_many_tasks_are_ordered_by_rules_only_and_that_is_said(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("stretto.optimizer.search.MOST_SEARCHED_TASKS", 4)
        found = optimize(KEEPS_ROOM, PAIR)
        assert found.generated == 0
        assert not found.proven
        assert found.notes == ("more than 4 tasks: rules only",)


class TestBudgets:
    def test_the_clock_is_not_read_for_a_budget_in_rounds(self) -> None:
        def clock() -> float:
            raise AssertionError("read")

        assert optimize(KEEPS_ROOM, PAIR, rounds=50, exact=False, clock=clock).ttx_us

    def test_seconds_end_the_search_and_the_best_is_played(self) -> None:
        ticks = count()
        found = optimize(
            KEEPS_ROOM, PAIR, seconds=40, exact=False, floor_us=0, clock=lambda: next(ticks)
        )
        assert 0 < found.generated < 40 * CHUNK_ACTIVITIES
        assert found.ttx_us == played_us(KEEPS_ROOM, PAIR, Mode.TASK_LEVEL, found.order)
        assert found.ttx_us == 21_000_000

    def test_no_time_at_all_leaves_the_first_rule(self) -> None:
        found = optimize(KEEPS_ROOM, PAIR, seconds=0, exact=False)
        assert (found.simulated, found.generated) == (1, 0)
        assert found.order == Order("critical-path")

    @pytest.mark.parametrize(
        ("budget", "message"),
        [
            ({"rounds": 0}, r"rounds: expected 1 to"),
            ({"rounds": 1.5}, r"rounds: expected a whole number"),
            ({"seconds": -1}, r"seconds: expected 0 to"),
            ({"seconds": float("nan")}, r"seconds: expected a finite number"),
            ({"seed": -1}, r"seed: expected a whole number from 0"),
        ],
    )
    def test_what_is_no_budget_is_refused(self, budget: dict[str, float], message: str) -> None:
        with pytest.raises(WorkflowError, match=message):
            optimize(KEEPS_ROOM, PAIR, **budget)  # type: ignore[arg-type]

    def test_what_cannot_be_simulated_cannot_be_optimised(self) -> None:
        with pytest.raises(WorkflowError, match=r"task_sets\.mystery\.duration: no duration"):
            optimize(Workflow("w", [TaskSet("mystery")]), PAIR)
        with pytest.raises(WorkflowError, match=r"task_sets\.wide: a task needs 3 cores"):
            optimize(Workflow("w", [TaskSet("wide", resources=Resources(cores=3))]), PAIR)


PROGRAM = """
import json
from stretto.apps.paper import workload
from stretto.optimizer import optimize
from stretto.compiling import COMPILES

limits = {"rounds": 300, "exact": False, "floor_us": 0}
found = [
    optimize(workload("c-dg2"), "summit:9", seed=seed, **limits).to_json() for seed in (1, 2)
]
print(json.dumps([COMPILES, found]))
"""


class TestDeterminism:
    def test_steps_do_not_matter(self) -> None:
        made = project(at_means(workload("deepdrivemd")), platform_named("summit:8"))
        whole, parts = Evolution(made, seed=5), Evolution(made, seed=5)
        assert whole.run(300) == 300
        assert sum(parts.run(schedules) for schedules in (3, 30, 0, 267)) == 300
        assert whole.orders() == parts.orders()
        assert whole.best == parts.best

    def test_going_on_for_long_never_loses_the_best(self) -> None:
        evolution = Evolution(project(KEEPS_ROOM, PAIR), seed=1)
        best = None
        for _ in range(9):  # beyond the patience, so that all but the best are sampled anew
            assert evolution.run(1000) == 999
            assert evolution.best is not None
            assert best is None or evolution.best <= best
            best = evolution.best
        assert best == 21
        assert sorted(evolution.orders()[0]) == [0, 1, 2, 3, 4]

    def test_seeds_matter(self) -> None:
        made = project(at_means(workload("deepdrivemd")), platform_named("summit:8"))
        found = []
        for seed in (0, 1):
            evolution = Evolution(made, seed=seed)
            evolution.run(30)
            found.append(evolution.orders())
        assert found[0] != found[1]

    def test_compiled_or_not_and_under_any_hash_seed_the_result_is_the_same(self) -> None:
        pytest.importorskip("numba")
        results = [
            self._run(PYTHONHASHSEED="1"),
            self._run(PYTHONHASHSEED="2"),
            self._run(NUMBA_DISABLE_JIT="1"),
        ]
        compiled, found = zip(*results, strict=True)
        assert compiled == (True, True, False)
        assert found[0] == found[1] == found[2]

    @staticmethod
    def _run(**variables: str) -> tuple[bool, list[object]]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        compiles, found = json.loads(done.stdout)
        return compiles, found


def psplib(monkeypatch: pytest.MonkeyPatch, kind: str, names: tuple[str, ...]) -> Iterator[object]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from psplib import instances

    return (one for one in instances(SHARED / "psplib" / kind) if one.name in names)


@needs("psplib")
def test_what_is_found_for_psplib_is_what_the_scheduler_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gaps: list[float] = []
    for one in psplib(monkeypatch, "j30", ("j301_1", "j305_1", "j3013_1", "j3029_1", "j3045_1")):
        found = optimize(one.workflow, one.platform, rounds=1000, exact=False)
        assert played_us(one.workflow, one.platform, Mode.TASK_LEVEL, found.order) == found.ttx_us
        assert found.ttx_us >= one.best * 10**6  # the best makespans of j30 are proven optima
        gaps.append(found.ttx_us / one.best / 10**6 - 1)
    assert len(gaps) == 5
    assert max(gaps) < 0.08
