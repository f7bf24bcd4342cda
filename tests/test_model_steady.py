"""No loop turns faster than its steady state, and staleness helps as far as it says."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stretto.analysis import check
from stretto.apps.paper import workload
from stretto.model import Steady, model_of
from stretto.model.cycles import Arc, on_cycles, slowest_cycle
from stretto.platform import Node, Platform, platform_named
from stretto.resources import Resources
from stretto.scheduler import Mode
from stretto.simulator import simulate
from stretto.units import US_PER_SECOND
from stretto.workflow import Dependency, Pattern, TaskSet, Workflow
from tests.workflows import cases

SUMMIT = platform_named("summit:16")
TEN = Platform("ten", (Node("n", 10, 0, 100),))


def steady_of(workflow: Workflow, platform: Platform) -> Steady:
    steady = model_of(workflow, platform).steady
    assert steady is not None
    return steady


def s(time_us: int) -> float:
    return time_us / US_PER_SECOND


def learning(*, staleness: int, iterations: int = 2) -> Workflow:
    """Simulate, train, infer, and simulate what inference found some iterations ago."""
    sets = [
        TaskSet(
            "simulation",
            tasks=96,
            resources=Resources(cores=4, gpus=1),
            duration=340,
            after=Dependency("inference", previous=True, staleness=staleness),
        ),
        TaskSet("training", resources=Resources(cores=4, gpus=1), duration=63, after="simulation"),
        TaskSet(
            "inference",
            tasks=96,
            resources=Resources(cores=16, gpus=1),
            duration=38,
            after="training",
        ),
    ]
    return Workflow("learning", sets, iterations=iterations)


class TestDeepDriveMD:
    def test_gpus_bind_where_simulation_only_follows_simulation(self) -> None:
        steady = steady_of(workload("deepdrivemd"), SUMMIT)
        assert s(steady.period_us) == pytest.approx((96 * 340 + 63 + 96 * 38) / 96, abs=1e-6)
        assert (s(steady.recurrence_us), steady.cycle) == (340, ("simulation",))
        assert steady.binds == "gpus"
        assert steady.enough_staleness == 0

    @pytest.mark.parametrize(
        ("staleness", "recurrence", "binds"),
        [(0, 441, "recurrence"), (1, 220.5, "gpus"), (2, 147, "gpus")],
    )
    def test_a_learning_loop_needs_staleness_1(
        self, staleness: int, recurrence: float, binds: str
    ) -> None:
        steady = steady_of(learning(staleness=staleness), SUMMIT)
        assert s(steady.recurrence_us) == recurrence
        assert steady.cycle == ("simulation", "training", "inference")
        assert (s(steady.cycle_us), steady.cycle_iterations) == (441, staleness + 1)
        by_gpus = (96 * 340 + 63 + 96 * 38) / 96
        assert s(dict(steady.resource_us)["gpus"]) == pytest.approx(by_gpus, abs=1e-6)
        assert s(steady.period_us) == pytest.approx(max(recurrence, by_gpus), abs=1e-6)
        assert steady.binds == binds
        assert steady.enough_staleness == 1
        assert s(steady.stale_period_us) == pytest.approx(by_gpus, abs=1e-6)

    def test_a_simulated_loop_turns_as_fast_as_its_recurrence(self) -> None:
        loop = learning(staleness=0, iterations=8)
        trace = simulate(loop, SUMMIT)
        check(trace)
        assert trace.ttx_us == 8 * steady_of(loop, SUMMIT).period_us

    def test_a_simulated_loop_turns_nearly_as_fast_as_its_gpus(self) -> None:
        loop = workload("deepdrivemd").at_means().with_iterations(30)
        trace = simulate(loop, SUMMIT, mode=Mode.TASK_LEVEL)
        check(trace)
        period_us = steady_of(loop, SUMMIT).period_us
        assert period_us <= trace.ttx_us / 30 < 1.01 * period_us


class TestResources:
    def test_whole_tasks_on_a_node_bind_before_their_memory_does(self) -> None:
        # Of 100 MiB two tasks of 40 have room, and a fifth is left.
        loop = Workflow(
            "w",
            [TaskSet("a", tasks=4, resources=Resources(cores=1, memory=40), duration=10)],
            iterations=2,
        )
        steady = steady_of(loop, TEN)
        assert [(name, s(us)) for name, us in steady.resource_us] == [
            ("cores", 4),
            ("gpus", 0),
            ("memory", 20),
        ]
        assert steady.binds == "memory"

    def test_shares_of_gpus_are_limited_by_gpus(self) -> None:
        platform = Platform("p", (Node("n", 10, 2, 0),))
        loop = Workflow(
            "w",
            [TaskSet("a", tasks=6, resources=Resources(cores=2, gpus=0.6), duration=10)],
            iterations=2,
        )
        steady = steady_of(loop, platform)
        assert s(dict(steady.resource_us)["gpus"]) == 30
        assert steady.binds == "gpus"

    def test_iterations_that_wait_for_nothing_overlap_freely(self) -> None:
        loop = Workflow(
            "w", [TaskSet("a", duration=3), TaskSet("b", duration=4, after="a")], iterations=20
        )
        steady = steady_of(loop, TEN)
        assert (steady.recurrence_us, steady.cycle, steady.cycle_iterations) == (0, (), 0)
        assert (s(steady.period_us), steady.binds) == (0.7, "cores")
        assert steady.enough_staleness is None
        assert steady.stale_period_us == steady.period_us
        assert simulate(loop, TEN).ttx_us == 20 * steady.period_us

    def test_one_iteration_has_no_steady_state(self) -> None:
        assert model_of(Workflow("w", [TaskSet("a", duration=1)]), TEN).steady is None


class TestRecurrence:
    def test_a_set_behind_a_barrier_counts_its_waves(self) -> None:
        def loop(pattern: str) -> Workflow:
            after = Dependency("a", Pattern(pattern), previous=True)
            return Workflow("w", [TaskSet("a", tasks=11, duration=5, after=after)], iterations=4)

        # Task by task the eleventh one goes on while others do; a barrier waits for it alone.
        assert s(steady_of(loop("each"), TEN).period_us) == 5.5
        steady = steady_of(loop("all"), TEN)
        assert (s(steady.period_us), steady.binds) == (10, "recurrence")
        assert simulate(loop("all"), TEN).ttx_us == 4 * steady.period_us

    def test_the_slowest_of_several_cycles_binds(self) -> None:
        loop = Workflow(
            "w",
            [
                TaskSet("a", duration=2, after=[Dependency("c", previous=True, staleness=2)]),
                TaskSet("b", duration=3, after=["a", Dependency("b", previous=True)]),
                TaskSet("c", duration=5, after="b"),
            ],
            iterations=2,
        )
        steady = steady_of(loop, TEN)
        # All three in 10 s for three iterations; b alone in 3 s for one.
        assert (steady.cycle, steady.cycle_iterations) == (("a", "b", "c"), 3)
        assert steady.recurrence_us == -(-10 * US_PER_SECOND // 3)

    def test_what_is_waited_for_in_the_same_iteration_too_may_not_be_stale(self) -> None:
        sets = [
            TaskSet("a", duration=2, after=Dependency("b", previous=True)),
            TaskSet("b", duration=3, after=["a", Dependency("a", previous=True)]),
        ]
        steady = steady_of(Workflow("w", sets, iterations=2), TEN)
        assert (s(steady.period_us), steady.enough_staleness) == (5, 9)
        assert s(steady.stale_period_us) == 0.5
        # A cycle in which nothing may be stale stays.
        sets[0] = TaskSet("a", duration=2, after=["c", Dependency("c", previous=True)])
        sets.append(TaskSet("c", duration=9))
        steady = steady_of(Workflow("w", sets, iterations=2), TEN)
        assert (steady.recurrence_us, steady.enough_staleness) == (0, None)

    @settings(max_examples=200, deadline=None)
    @given(data=st.data())
    def test_the_slowest_cycle_is_that_of_all(self, data: st.DataObject) -> None:
        n_sets = data.draw(st.integers(1, 5))
        node = st.integers(0, n_sets - 1)
        drawn = data.draw(
            st.lists(st.tuples(node, node, st.integers(0, 9), st.integers(0, 3)), max_size=9)
        )
        # Within an iteration the order of the nodes is that of the ranks.
        arcs = sorted(
            Arc(before, behind, time_us, iterations if before < behind else iterations + 1)
            for before, behind, time_us, iterations in drawn
        )
        quotients = [
            Fraction(sum(arc.time_us for arc in cycle), sum(arc.iterations for arc in cycle))
            for cycle in all_cycles(arcs)
        ]
        found = slowest_cycle(n_sets, arcs)
        if found is None:
            assert max(quotients, default=0) == 0
        else:
            assert found.quotient == max(quotients)
        on = {id(arc) for cycle in all_cycles(arcs) for arc in cycle}
        assert on_cycles(n_sets, arcs) == tuple(id(arc) in on for arc in arcs)


class TestSoundness:
    @settings(max_examples=150, deadline=None)
    @given(case=cases(), mode=st.sampled_from(Mode))
    def test_no_simulated_loop_turns_faster(
        self, case: tuple[Workflow, Platform], mode: Mode
    ) -> None:
        workflow, platform = case
        assume(workflow.iterations > 1)
        constant = workflow.at_means()
        steady = steady_of(constant, platform)
        trace = simulate(constant, platform, mode=mode)
        check(trace)
        n = workflow.iterations
        for _, resource_us in steady.resource_us:
            # Rounded up by less than a microsecond for each iteration.
            assert trace.ttx_us >= n * max(0, resource_us - 1)
        if steady.cycle:
            assert trace.ttx_us >= (n - 1) // steady.cycle_iterations * steady.cycle_us

    @settings(max_examples=150, deadline=None)
    @given(case=cases())
    def test_more_than_enough_staleness_gains_nothing_and_less_does(
        self, case: tuple[Workflow, Platform]
    ) -> None:
        workflow, platform = case
        assume(workflow.iterations > 1)
        steady = steady_of(workflow, platform)
        enough = steady.enough_staleness
        if enough is None:
            assert steady.stale_period_us == steady.period_us
            return
        assume(enough < 500 and not any(_twice(one) for one in workflow.task_sets))
        for staleness in (enough, enough + 1, enough + 10):
            stale = steady_of(workflow.with_staleness(staleness), platform)
            assert stale.period_us == steady.stale_period_us
        if enough:
            less = steady_of(workflow.with_staleness(enough - 1), platform)
            assert (less.period_us, less.binds) >= (steady.stale_period_us, "recurrence")


def _twice(task_set: TaskSet) -> bool:
    """Return whether it waits for a set of this iteration and of the previous one."""
    now = {one.on for one in task_set.after if not one.previous}
    return any(one.previous and one.on in now for one in task_set.after)


def all_cycles(arcs: list[Arc]) -> list[list[Arc]]:
    """Return every cycle that visits no node twice, from each of its nodes."""
    found: list[list[Arc]] = []

    def walk(path: list[Arc]) -> None:
        for arc in arcs:
            if arc.before != path[-1].behind:
                continue
            if arc.behind == path[0].before:
                found.append([*path, arc])
            elif all(arc.behind not in (one.before, one.behind) for one in path):
                walk([*path, arc])

    for arc in arcs:
        if arc.before == arc.behind:
            found.append([arc])
        else:
            walk([arc])
    return found
