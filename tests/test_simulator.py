"""The virtual clock: the paper's numbers, and laws that every schedule obeys."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.analysis import check
from stretto.apps.paper import workload
from stretto.errors import WorkflowError
from stretto.model import model_of
from stretto.platform import Node, Platform, platform_named
from stretto.resources import Resources
from stretto.scheduler import Mode, listed_order
from stretto.simulator import Overheads, simulate
from stretto.trace import Outcome, Trace
from stretto.workflow import TaskSet, Workflow, duration_of, expand
from tests.workflows import FailingWorld, cases

SUMMIT = platform_named("summit:16")


def without_noise(name: str) -> Workflow:
    workflow = workload(name)
    means = {
        one.name: duration_of(one.duration.mean_us / 1e6)
        for one in workflow.task_sets
        if one.duration is not None
    }
    return workflow.with_durations({name: one for name, one in means.items() if one is not None})


def ttx_s(workflow: Workflow, mode: Mode) -> float:
    trace = simulate(workflow, SUMMIT, mode=mode)
    check(trace)
    return trace.ttx_us / 1e6


class TestPaper:
    @pytest.mark.parametrize(
        ("name", "mode", "expected_s"),
        [
            ("deepdrivemd", Mode.SEQUENTIAL, 1578),
            ("deepdrivemd", Mode.ASYNCHRONOUS, 1235),  # the proven optimum, by counting GPUs
            ("deepdrivemd", Mode.TASK_LEVEL, 1235),
            ("c-dg1", Mode.SEQUENTIAL, 1980),
            ("c-dg1", Mode.ASYNCHRONOUS, 1860),  # the optimum
            ("c-dg1-as-run", Mode.ASYNCHRONOUS, 767 + 234 + 152 + 721),
            ("c-dg2", Mode.SEQUENTIAL, 2000),
            ("c-dg2-as-run", Mode.SEQUENTIAL, 386 + 154 + 769 + 461),
            ("c-dg2-as-run", Mode.ASYNCHRONOUS, 386 + 154 + 769),
        ],
    )
    def test_makespans_without_noise(self, name: str, mode: Mode, expected_s: float) -> None:
        assert ttx_s(without_noise(name), mode) == pytest.approx(expected_s)

    @pytest.mark.parametrize("name", ["deepdrivemd", "c-dg1", "c-dg2"])
    def test_sequential_agrees_with_eq_2(self, name: str) -> None:
        workflow = without_noise(name)
        model = model_of(workflow, SUMMIT)
        assert ttx_s(workflow, Mode.SEQUENTIAL) * 1e6 == model.t_seq_us

    def test_noise_of_five_per_cent_gives_the_known_means(self) -> None:
        workflow = workload("deepdrivemd")
        for mode, known_s in (
            (Mode.SEQUENTIAL, 1739),
            (Mode.ASYNCHRONOUS, 1365),
            (Mode.TASK_LEVEL, 1285),
        ):
            times = [simulate(workflow, SUMMIT, mode=mode, seed=s).ttx_us / 1e6 for s in range(5)]
            assert sum(times) / len(times) == pytest.approx(known_s, rel=0.01)


class TestLaws:
    @settings(max_examples=150, deadline=None)
    @given(case=cases(), mode=st.sampled_from(Mode), seed=st.integers(0, 3))
    def test_every_schedule_passes_the_checker(
        self, case: tuple[Workflow, Platform], mode: Mode, seed: int
    ) -> None:
        workflow, platform = case
        trace = simulate(workflow, platform, mode=mode, seed=seed)
        check(trace)
        assert trace.complete

    @settings(max_examples=60, deadline=None)
    @given(case=cases(), mode=st.sampled_from(Mode), data=st.data())
    def test_with_failures_it_stays_legal_and_once_healed_all_finish(
        self, case: tuple[Workflow, Platform], mode: Mode, data: st.DataObject
    ) -> None:
        workflow, platform = case
        expansion = expand(workflow)
        attempts = st.tuples(st.integers(0, expansion.n_tasks - 1), st.integers(1, 3))
        failing = data.draw(st.frozensets(attempts, max_size=12))
        trace = simulate(workflow, platform, mode=mode, world=FailingWorld(expansion, 0, failing))
        check(trace)
        allowed = [
            one.task_set.retries + 1 for one in expansion.instances for _ in range(one.count)
        ]
        hopeless = any(
            {(task, attempt + 1) for attempt in range(most)} <= failing
            for task, most in enumerate(allowed)
        )
        assert trace.complete == (not hopeless)

    @settings(max_examples=40, deadline=None)
    @given(case=cases(), mode=st.sampled_from(Mode))
    def test_the_same_seed_gives_the_same_trace(
        self, case: tuple[Workflow, Platform], mode: Mode
    ) -> None:
        workflow, platform = case
        assert rows(simulate(workflow, platform, mode=mode)) == rows(
            simulate(workflow, platform, mode=mode)
        )

    @settings(max_examples=60, deadline=None)
    @given(case=cases())
    def test_the_bounds_of_the_model_hold(self, case: tuple[Workflow, Platform]) -> None:
        workflow, platform = case
        constant = workflow.with_durations(
            {
                one.name: duration
                for one in workflow.task_sets
                if (duration := duration_of(one.duration.mean_us / 1e6)) is not None  # type: ignore[union-attr]
            }
        )
        bounds = model_of(constant, platform).bounds
        assert bounds is not None
        assert simulate(constant, platform, mode=Mode.TASK_LEVEL).ttx_us >= bounds.best_us


def rows(trace: Trace) -> list[tuple[object, ...]]:
    columns = (trace.task, trace.attempt, trace.launched_us, trace.started_us, trace.ended_us)
    return list(zip(*(column.tolist() for column in columns), trace.placements, strict=True))


def test_overheads_delay_starts_and_are_told_from_durations() -> None:
    workflow = Workflow("w", [TaskSet("a", tasks=3, duration=1)])
    platform = Platform("p", (Node("n", 4, 0, 0),))
    trace = simulate(workflow, platform, overheads=Overheads(launch_us=100, between_us=10))
    assert (trace.started_us - trace.launched_us).tolist() == [100, 110, 120]
    assert (trace.ended_us - trace.started_us).tolist() == [1_000_000] * 3


def test_a_failed_task_keeps_its_duration_when_tried_again() -> None:
    workflow = Workflow("w", [TaskSet("a", duration={"mean": 9, "sd": 3}, retries=1)])
    platform = Platform("p", (Node("n", 1, 0, 0),))
    world = FailingWorld(expand(workflow), 7, frozenset({(0, 1)}))
    trace = simulate(workflow, platform, world=world)
    first, second = (trace.ended_us - trace.started_us).tolist()
    assert first == second
    assert trace.outcome.tolist() == [Outcome.FAILED, Outcome.FINISHED]
    assert trace.reasons == {0: "it was told to"}


def test_a_rule_is_a_function_and_changes_the_order() -> None:
    workflow = Workflow("w", [TaskSet("short", duration=1), TaskSet("long", duration=9)])
    platform = Platform("p", (Node("n", 1, 0, 0),))
    assert simulate(workflow, platform).task.tolist() == [1, 0]
    assert simulate(workflow, platform, rule=listed_order).task.tolist() == [0, 1]


def test_an_unknown_duration_is_refused_by_name() -> None:
    workflow = Workflow("w", [TaskSet("mystery")])
    with pytest.raises(WorkflowError, match=r"task_sets\.mystery\.duration: no duration is known"):
        simulate(workflow, SUMMIT)


def test_what_fits_nowhere_is_refused_by_name() -> None:
    workflow = Workflow("w", [TaskSet("huge", resources=Resources(gpus=7), duration=1)])
    with pytest.raises(WorkflowError, match=r"task_sets\.huge: a task needs 1 core, 7 GPUs"):
        simulate(workflow, SUMMIT)
