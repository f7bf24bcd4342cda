"""What CP-SAT proves: never more than is true, and all of it where the pool is the platform."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.analysis import check
from stretto.apps.paper import workload
from stretto.errors import WorkflowError
from stretto.optimizer import optimize
from stretto.optimizer.exact import Limit, prove
from stretto.platform import Node, Platform, platform_named
from stretto.resources import Resources
from stretto.scheduler import Mode
from stretto.simulator import simulate
from stretto.workflow import Dependency, Pattern, TaskSet, Workflow
from tests.projects import (
    KEEPS_ROOM,
    PAIR,
    assert_allowed,
    at_means,
    project,
    shortest_us,
    with_barriers,
)
from tests.shared import ROOT

pytest.importorskip("ortools")

GPUS = st.sampled_from([0, 0, 0.4, 0.5, 1])


@st.composite
def small_cases(draw: st.DrawFn, *, nodes: int, tasks: int) -> tuple[Workflow, Platform]:
    """Few tasks of one rank on few nodes; with `tasks` 1, sets of single tasks without GPUs."""
    platform = Platform(
        "small",
        tuple(
            Node(f"n{at}", draw(st.integers(2, 4)), 0 if tasks == 1 else 1, 0, (("x", 2),))
            for at in range(nodes)
        ),
    )
    sets: list[TaskSet] = []
    for number in range(draw(st.integers(4, 5) if tasks == 1 else st.just(2))):
        own = draw(st.integers(1, tasks))
        shape = Resources(
            cores=draw(st.integers(1, 2)),
            gpus=0 if tasks == 1 else draw(GPUS),
            named={"x": draw(st.integers(0, 2))},
        )
        after = []
        for one in sets:
            if draw(st.integers(0, 3)) == 0:
                fitting = [Pattern.ALL, *[Pattern.GROUP] * (own <= one.tasks)]
                fitting += [Pattern.EACH] * (own == one.tasks)
                after.append(Dependency(one.name, draw(st.sampled_from(fitting))))
        duration = draw(st.integers(1, 5))
        sets.append(
            TaskSet(f"s{number}", tasks=own, resources=shape, duration=duration, after=after)
        )
    return Workflow("small", sets), platform


class TestSmall:
    """Against the shortest of all schedules, found by trying every one."""

    @settings(max_examples=60, deadline=None)
    @given(case=small_cases(nodes=2, tasks=2))
    def test_no_bound_is_beyond_the_shortest_schedule_on_the_nodes(
        self, case: tuple[Workflow, Platform]
    ) -> None:
        workflow, platform = case
        shortest = shortest_us(workflow, platform)
        found = optimize(workflow, platform, rounds=60, floor_us=0)
        assert found.bound_us <= shortest <= found.ttx_us
        check(simulate(workflow, platform, mode=Mode.TASK_LEVEL, order=found.order))

    @settings(max_examples=100, deadline=None)
    @given(case=small_cases(nodes=1, tasks=1))
    def test_on_one_node_with_single_tasks_the_shortest_is_found_and_proven(
        self, case: tuple[Workflow, Platform]
    ) -> None:
        workflow, platform = case
        found = optimize(workflow, platform, rounds=10, floor_us=0)
        assert found.bound_us == found.ttx_us == shortest_us(workflow, platform)
        assert found.proven
        trace = simulate(workflow, platform, mode=Mode.TASK_LEVEL, order=found.order)
        check(trace)
        assert trace.ttx_us == found.ttx_us

    @settings(max_examples=40, deadline=None)
    @given(case=small_cases(nodes=2, tasks=2))
    def test_a_schedule_that_the_solver_finds_is_one_of_the_project(
        self, case: tuple[Workflow, Platform]
    ) -> None:
        made = project(*case)
        # One task after another, in an order that dependencies allow.
        known, now = [0] * made.n_tasks, 0
        for index in made.ordered:
            one = made.sets[index]
            for task in range(one.first_task, one.first_task + one.count):
                known[task] = now
                now += int(made.durations[task])
        proof = prove(made, known, floor=0, limit=Limit(steps=1))
        if proof.starts is None:
            assert proof.bound == now
        else:
            assert_allowed(made, with_barriers(made, proof.starts))
            ends = np.array(proof.starts) + made.durations[: made.n_tasks]
            assert proof.bound == ends.max() < now


class TestPaper:
    """Without the bounds of the model, which are as good on these."""

    DOCUMENT = (ROOT / "docs/optimizer.md").read_text(encoding="utf-8")

    @pytest.mark.parametrize(("name", "ttx_s"), [("c-dg1", 1860), ("c-dg2", 1540)])
    def test_the_abstract_graphs_are_proven(self, name: str, ttx_s: int) -> None:
        found = optimize(workload(name), floor_us=0)
        assert found.proven
        assert found.ttx_us == found.bound_us == ttx_s * 10**6
        assert f"| `paper:{name}` | {ttx_s} | {ttx_s} |" in self.DOCUMENT

    @pytest.mark.slow
    def test_deepdrivemd_is_proven(self) -> None:
        found = optimize(workload("deepdrivemd"), floor_us=0)
        assert found.proven
        assert found.ttx_us == found.bound_us == 1235 * 10**6
        assert "| `paper:deepdrivemd` | 1235 | 1235 |" in self.DOCUMENT

    def test_a_proof_that_is_out_of_reach_leaves_a_bound(self) -> None:
        found = optimize(workload("deepdrivemd"), rounds=20, floor_us=0)
        assert (found.ttx_us, found.bound_us) == (1_235_000_000, 1_206_000_000)
        assert not found.proven


@pytest.mark.parametrize("budget", [{"rounds": 40}, {"seconds": 20.0}])
def test_what_the_solver_finds_is_played(
    monkeypatch: pytest.MonkeyPatch, budget: dict[str, Any]
) -> None:
    # No seconds are left for the genetic search, and no rounds once 32 are kept for playing.
    monkeypatch.setattr("stretto.optimizer.search.SHARE_BEFORE_PROOF", 0.0)
    monkeypatch.setattr("stretto.optimizer.search.MOST_TRIED", 16)
    found = optimize(KEEPS_ROOM, PAIR, floor_us=0, **budget)
    assert (found.generated, found.found_by) == (0, "CP-SAT")
    assert found.proven
    trace = simulate(KEEPS_ROOM, PAIR, mode=Mode.TASK_LEVEL, order=found.order)
    check(trace)
    assert trace.ttx_us == found.ttx_us == 21_000_000


class TestRefusals:
    MADE = project(Workflow("w", [TaskSet("a", tasks=3, duration=1)]), platform_named("summit:1"))

    def test_without_the_solver_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("stretto.optimizer.exact.installed", lambda: False)
        with pytest.raises(WorkflowError, match=r"pip install 'stretto\[bounds\]'"):
            prove(self.MADE, [0, 1, 2], floor=0, limit=Limit(steps=1))

    def test_too_many_tasks_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("stretto.optimizer.exact.MOST_EXACT_TASKS", 2)
        with pytest.raises(WorkflowError, match="expected at most 2 tasks, found 3"):
            prove(self.MADE, [0, 1, 2], floor=0, limit=Limit(steps=1))

    def test_a_search_goes_without_it_and_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("stretto.optimizer.search.installed", lambda: False)
        found = optimize(workload("c-dg2"), rounds=50, floor_us=0)
        assert found.notes == ("no proof without OR-tools: pip install 'stretto[bounds]'",)
        assert found.ttx_us == 1_540_000_000


def test_the_same_rounds_and_seed_prove_the_same() -> None:
    workflow = at_means(workload("deepdrivemd"))
    made = [
        optimize(workflow, "summit:10", rounds=60, seed=3, floor_us=0).to_json() for _ in range(2)
    ]
    assert made[0] == made[1]
