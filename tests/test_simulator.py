"""The virtual clock: the paper's numbers, and laws that every schedule obeys."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.analysis import check
from stretto.apps.paper import workload
from stretto.errors import WorkflowError
from stretto.model import model_of
from stretto.platform import Node, Overheads, Platform, platform_named
from stretto.resources import Resources
from stretto.scheduler import Mode, Order
from stretto.simulator import simulate
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


def test_a_task_holds_its_slots_longer_by_the_overhead_of_a_task() -> None:
    workflow = Workflow("w", [TaskSet("a", tasks=2, duration=1)])
    platform = Platform("p", (Node("n", 1, 0, 0),))
    trace = simulate(workflow, platform, overheads=Overheads(task_us=250))
    assert trace.started_us.tolist() == [0, 1_000_250]
    assert trace.ttx_us == 2_000_500


class TestStages:
    """What a boundary between stages costs; nothing is held meanwhile."""

    LATE = Overheads(stage_us=500_000)
    PLATFORM = Platform("p", (Node("n", 2, 0, 0),))

    def test_a_set_waits_after_the_last_of_what_it_waits_for(self) -> None:
        sets = [
            TaskSet("a", duration=1),
            TaskSet("b", duration=3),
            TaskSet("c", tasks=2, duration=1, after=["a", "b"]),
        ]
        trace = simulate(Workflow("w", sets), self.PLATFORM, overheads=self.LATE)
        check(trace)
        assert trace.launched_us.tolist() == [0, 0, 3_500_000, 3_500_000]

    def test_others_use_the_room_meanwhile(self) -> None:
        sets = [
            TaskSet("a", resources=Resources(cores=2), duration=1),
            TaskSet("b", resources=Resources(cores=2), duration=9, after="a"),
            TaskSet("free", resources=Resources(cores=2), duration=0.25),
        ]
        trace = simulate(Workflow("w", sets), self.PLATFORM, overheads=self.LATE)
        assert trace.task.tolist() == [0, 2, 1]
        assert trace.launched_us.tolist() == [0, 1_000_000, 1_500_000]

    def test_single_inputs_cost_nothing(self) -> None:
        sets = [
            TaskSet("a", tasks=2, duration=1),
            TaskSet("b", tasks=2, duration=1, after={"a": "each"}),
        ]
        late = [
            simulate(Workflow("w", sets), self.PLATFORM, mode=mode, overheads=self.LATE).ttx_us
            for mode in (Mode.TASK_LEVEL, Mode.ASYNCHRONOUS)
        ]
        assert late == [2_000_000, 2_500_000]

    @given(cases(), st.sampled_from(list(Mode)), st.integers(1, 10**7))
    @settings(max_examples=60, deadline=None)
    def test_a_stage_later_is_a_legal_trace(
        self, case: tuple[Workflow, Platform], mode: Mode, stage_us: int
    ) -> None:
        workflow, platform = case
        late = Overheads(stage_us=stage_us)
        trace = simulate(workflow, platform, mode=mode, overheads=late)
        check(trace, slack_us=stage_us * workflow.iterations * len(workflow.task_sets))
        assert trace.complete


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
    assert simulate(workflow, platform, order="listed").task.tolist() == [0, 1]


class TestStrictOrders:
    """No set overtakes one before it, and yet everything is done."""

    PLATFORM = Platform("p", (Node("n", 2, 0, 0),))

    def test_room_is_kept_for_who_is_next(self) -> None:
        # Greedily "filler" takes a core when "head" ends, and "wide" waits for 9 s more.
        sets = [
            TaskSet("head", duration=1),
            TaskSet("side", duration=2),
            TaskSet("wide", resources=Resources(cores=2), duration=1, after="head"),
            TaskSet("filler", duration=9, after="head"),
        ]
        workflow = Workflow("w", sets)
        ranking = ("head[0]", "side[0]", "wide[0]", "filler[0]")
        greedy = simulate(workflow, self.PLATFORM, order=Order("given", ranking))
        strict = simulate(workflow, self.PLATFORM, order=Order("given", ranking, strict=True))
        starts = dict(zip(strict.task.tolist(), strict.started_us.tolist(), strict=True))
        assert greedy.task.tolist() == [0, 1, 3, 2]
        assert starts == {0: 0, 1: 0, 2: 2_000_000, 3: 3_000_000}
        check(strict)

    def test_what_can_never_go_does_not_stop_the_rest(self) -> None:
        sets = [
            TaskSet("bad", duration=1),
            TaskSet("stuck", duration=1, after="bad"),
            TaskSet("free", duration=1),
        ]
        workflow = Workflow("w", sets)
        world = FailingWorld(expand(workflow), 0, frozenset({(0, 1)}))
        order = Order("given", ("bad[0]", "stuck[0]", "free[0]"), strict=True)
        trace = simulate(workflow, self.PLATFORM, order=order, world=world)
        check(trace)
        assert trace.outcome.tolist() == [Outcome.FAILED, Outcome.FINISHED]

    def test_a_task_that_is_tried_again_is_first_in_line(self) -> None:
        sets = [TaskSet("a", tasks=2, duration=1, retries=1), TaskSet("b", tasks=4, duration=3)]
        workflow = Workflow("w", sets)
        world = FailingWorld(expand(workflow), 0, frozenset({(1, 1)}))
        order = Order("listed", strict=True)
        trace = simulate(workflow, self.PLATFORM, order=order, world=world)
        assert trace.task.tolist() == [0, 1, 1, 2, 3, 4, 5]

    @given(cases(), st.sampled_from(list(Mode)), st.data())
    @settings(max_examples=150, deadline=None)
    def test_every_order_leads_to_the_end(
        self, case: tuple[Workflow, Platform], mode: Mode, data: st.DataObject
    ) -> None:
        workflow, platform = case
        names = [one.name for one in expand(workflow).instances]
        order = Order(
            "given", tuple(data.draw(st.permutations(names))), strict=data.draw(st.booleans())
        )
        trace = simulate(workflow, platform, mode=mode, order=order)
        check(trace)
        assert trace.complete


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rule": "best-first"}, "there is no rule 'best-first'"),
        ({"rule": "given", "ranking": ["a[0]", "a[0]"]}, "a set is ranked twice"),
        ({"rule": "listed", "ranking": ["a[0]"]}, "a ranking needs the rule given"),
        ({"rule": "listed", "strict": 1}, "expected true or false"),
        ({"rule": "given", "ranking": "a[0]"}, "expected a list of names"),
        ({"strict": True}, "expected rule, strict and ranking"),
        ([], "expected an order"),
    ],
)
def test_what_is_no_order_is_refused(values: object, message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        Order.from_json(values)


def test_a_ranking_of_what_is_not_there_is_refused() -> None:
    workflow = Workflow("w", [TaskSet("a", duration=1)])
    with pytest.raises(WorkflowError, match=r"order\.ranking: there is no b\[0\] to rank"):
        simulate(workflow, SUMMIT, order=Order("given", ("b[0]",)))


def test_an_unknown_duration_is_refused_by_name() -> None:
    workflow = Workflow("w", [TaskSet("mystery")])
    with pytest.raises(WorkflowError, match=r"task_sets\.mystery\.duration: no duration is known"):
        simulate(workflow, SUMMIT)


def test_what_fits_nowhere_is_refused_by_name() -> None:
    workflow = Workflow("w", [TaskSet("huge", resources=Resources(gpus=7), duration=1)])
    with pytest.raises(WorkflowError, match=r"task_sets\.huge: a task needs 1 core, 7 GPUs"):
        simulate(workflow, SUMMIT)
