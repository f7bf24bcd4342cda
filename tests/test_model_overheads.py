"""C adds up: what the formulas say with overheads is what the simulator plays."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.analysis import check
from stretto.apps.paper import WORKLOADS, workload
from stretto.model import improvement, model_of
from stretto.model.makespan import rooms
from stretto.model.overheads import asked_to_end_us
from stretto.platform import Node, Overheads, Platform, platform_named
from stretto.resources import Resources
from stretto.scheduler import Mode
from stretto.simulator import simulate
from stretto.trace import Trace
from stretto.workflow import Dependency, TaskSet, Workflow

SUMMIT = platform_named("summit:16")
EIGHT = Platform("eight", (Node("a", 4, 0, 0), Node("b", 4, 0, 0)))
# What the published records show, and a launch that takes a second.
RECORDS = Overheads(launch_us=1_000_000, between_us=10_000, task_us=140_000, stage_us=7_350_000)

terms = st.integers(0, 3_000_000)
overheads = st.builds(
    Overheads, launch_us=terms, between_us=terms, task_us=terms, stage_us=terms, start_us=terms
)


def played(workflow: Workflow, platform: Platform, mode: Mode, costs: Overheads) -> Trace:
    trace = simulate(workflow, platform, mode=mode, overheads=costs)
    check(trace, slack_us=(costs.stage_us + costs.launch_us) * len(trace.task))
    return trace


def assert_as_said(trace: Trace, said_us: int | None, workflow: Workflow, costs: Overheads) -> None:
    """Assert the very makespan, unless a wave takes as long to launch as a task takes."""
    assert said_us is not None
    slack_us = 0
    for one, at_once in zip(workflow.task_sets, rooms(workflow, trace.platform), strict=True):
        assert one.duration is not None
        launching_us = (min(one.tasks, at_once) - 1) * costs.between_us
        if launching_us >= costs.launch_us + one.duration.mean_us + costs.task_us:
            slack_us += workflow.iterations * launching_us
    assert said_us - slack_us <= trace.ttx_us <= said_us + slack_us


@pytest.mark.parametrize("name", WORKLOADS)
def test_without_overheads_nothing_is_added(name: str) -> None:
    model = model_of(workload(name), SUMMIT)
    assert model.t_seq_c_us == model.t_seq_us
    assert model.t_seq_ranks_c_us == model.t_seq_ranks_us
    assert model.t_async_c_us == model.t_async_us
    assert model.improvement_c == model.improvement


def test_overheads_leave_all_else_as_it_is() -> None:
    bare = model_of(workload("deepdrivemd"), SUMMIT)
    model = model_of(workload("deepdrivemd"), SUMMIT, overheads=RECORDS)
    assert (model.t_seq_us, model.t_async_us) == (bare.t_seq_us, bare.t_async_us)
    assert (model.masked, model.bounds, model.steady) == (bare.masked, bare.bounds, bare.steady)


def test_deepdrivemd_by_hand() -> None:
    model = model_of(workload("deepdrivemd"), SUMMIT, overheads=RECORDS)
    simulation, aggregation, training, inference = 340e6, 85e6, 63e6, 38e6
    each = 1_000_000 + 140_000
    first_to_last = {simulation: 95, aggregation: 15, training: 0, inference: 95}
    of = {tx: tx + each + 10_000 * later for tx, later in first_to_last.items()}
    # Eq. 2: twelve stages, eleven boundaries; the first launch is before the first start.
    assert model.t_seq_c_us == 3 * sum(of.values()) + 11 * 7_350_000 - 1_000_000
    # Eq. 6: of the twelve sets three are masked, and with them their boundaries.
    counted = 3 * of[simulation] + of[aggregation] + 2 * of[training] + 3 * of[inference]
    assert model.t_async_c_us == counted + 8 * 7_350_000 - 1_000_000
    assert model.improvement_c == improvement(model.t_async_c_us, model.t_seq_c_us)


@pytest.mark.parametrize("name", ["deepdrivemd", "c-dg1-as-run", "c-dg2-as-run"])
def test_sequential_is_close_to_what_is_played_where_stages_have_several_sets(name: str) -> None:
    model = model_of(workload(name), SUMMIT, overheads=RECORDS)
    trace = played(workload(name).at_means(), SUMMIT, Mode.SEQUENTIAL, RECORDS)
    # Sets of a stage are asked for one after another, which the formula leaves out.
    assert model.t_seq_c_us is not None
    assert 0 <= trace.ttx_us - model.t_seq_c_us < 0.002 * trace.ttx_us


@settings(max_examples=200, deadline=None)
@given(data=st.data(), costs=overheads)
def test_stages_of_one_set_take_what_eq_2_says(data: st.DataObject, costs: Overheads) -> None:
    sets = [
        TaskSet(
            f"s{number}",
            tasks=data.draw(st.integers(1, 12)),
            resources=Resources(cores=data.draw(st.integers(1, 4))),
            duration=data.draw(st.integers(0, 9)),
            after=f"s{number - 1}" if number else None,
        )
        for number in range(data.draw(st.integers(1, 3)))
    ]
    workflow = Workflow("w", sets, iterations=data.draw(st.integers(1, 3)))
    model = model_of(workflow, EIGHT, overheads=costs)
    trace = played(workflow, EIGHT, Mode.SEQUENTIAL, costs)
    assert model.t_seq_c_us == model.t_seq_ranks_c_us
    assert_as_said(trace, model.t_seq_c_us, workflow, costs)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), costs=overheads)
def test_a_synchronous_loop_takes_what_eq_3_says(data: st.DataObject, costs: Overheads) -> None:
    count = data.draw(st.integers(1, 3))
    sets = [
        TaskSet(
            f"s{number}",
            tasks=data.draw(st.integers(1, 12)),
            duration=data.draw(st.integers(1, 9)),
            after=f"s{number - 1}" if number else Dependency(f"s{count - 1}", previous=True),
        )
        for number in range(count)
    ]
    workflow = Workflow("w", sets, iterations=data.draw(st.integers(1, 3)))
    model = model_of(workflow, EIGHT, overheads=costs)
    trace = played(workflow, EIGHT, Mode.ASYNCHRONOUS, costs)
    assert model.masked == ()
    assert model.t_async_c_us == model.t_seq_c_us
    assert_as_said(trace, model.t_async_c_us, workflow, costs)


def test_a_last_wave_of_one_task_may_end_before_the_wave_before() -> None:
    # Three at once, 10 s apart, 5 s long: tasks end at 5, 15 and 25 s, and the fourth at 10 s.
    costs = Overheads(between_us=10_000_000)
    assert asked_to_end_us(4, 3, 5_000_000, costs) == 25_000_000
    assert asked_to_end_us(3, 3, 5_000_000, costs) == 25_000_000
    assert asked_to_end_us(6, 3, 5_000_000, costs) == 30_000_000
