from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stretto.analysis.comparison import compare, overhead_us, parts
from stretto.analysis.serials import serials
from stretto.analysis.usage import steps, usage, utilisation
from stretto.platform import Node, Platform
from stretto.resources import Resources
from stretto.trace import Kind, Outcome
from stretto.workflow import TaskSet, Workflow, expand
from tests.traces import Attempt, deepdrivemd, greedy, made, platform, slot, summit

TWO = Workflow(
    "two",
    [
        TaskSet("a", tasks=2, resources=Resources(cores=2, gpus=0.5), duration=10),
        TaskSet("b", resources=Resources(cores=4), duration=5, after="a"),
    ],
)


def two(**others):
    return made(
        TWO,
        platform(),
        [
            Attempt(0, 0, 0, 10, (slot([0, 1], [0], gpu_milli=500),)),
            Attempt(1, 0, 2, 12, (slot([2, 3], [0], gpu_milli=500),)),
            Attempt(2, 12, 13, 18, (slot(range(4)),)),
        ],
        **others,
    )


def test_usage_is_a_step_function_of_all_that_is_held():
    found = usage(two())
    assert found.cores.times_us.tolist() == [0, 2000000, 10000000, 12000000, 13000000, 18000000]
    assert found.cores.amounts.tolist() == [2, 4, 2, 0, 4, 0]
    assert found.gpus_milli.amounts.tolist() == [500, 1000, 500, 0]
    assert found.cores_by_set[1].amounts.tolist() == [4, 0]
    assert len(found.gpus_milli_by_set[1].times_us) == 0


def test_utilisation_is_what_was_held_over_allocation_times_makespan():
    found = utilisation(two())
    assert found.cores == pytest.approx((2 * 10 + 2 * 10 + 4 * 5) / (4 * 18))
    assert found.gpus == pytest.approx((5 + 5) / (2 * 18))


def test_what_waits_is_held_but_does_not_execute():
    waiting = two(
        idle={0: ((1_000_000, 3_000_000), (9_000_000, 10_000_000)), 1: ((8_000_000, -1),)}
    )
    found = utilisation(waiting)
    assert found.idles
    assert found.cores == utilisation(two()).cores
    assert found.cores - found.cores_executing == pytest.approx((2 * 3 + 2 * 4) / (4 * 18))
    assert found.gpus is not None
    assert found.gpus_executing is not None
    assert found.gpus - found.gpus_executing == pytest.approx((0.5 * 3 + 0.5 * 4) / (2 * 18))
    assert usage(waiting).cores_idle.amounts.tolist() == [2, 0, 2, 4, 2, 0]
    assert not utilisation(two()).idles


def test_utilisation_without_gpus_or_without_attempts():
    without = Platform("plain", (Node("n", 4, 0, 0),))
    assert utilisation(replace(two(), platform=without)).gpus is None
    assert utilisation(made(TWO, platform(), [])) == (0.0, 0.0, 0.0, 0.0)


def test_what_still_runs_is_in_use_up_to_the_last_known_time():
    trace = made(
        TWO,
        platform(),
        [
            Attempt(0, 0, 0, 10, (slot([0, 1], [0], gpu_milli=500),)),
            Attempt(1, 0, 5, None, (slot([2, 3], [0], gpu_milli=500),), outcome=Outcome.RUNNING),
        ],
    )
    assert usage(trace).cores.amounts.tolist() == [2, 4, 0]
    assert utilisation(trace).cores == pytest.approx((2 * 10 + 2 * 5) / (4 * 10))


def test_the_mean_between_edges_keeps_the_area():
    function = steps(np.array([0, 3]), np.array([10, 7]), np.array([2, 5]))
    assert function.mean(np.array([0, 5, 10])).tolist() == [4.0, 4.0]
    assert function.mean(np.array([-5, 0, 20])).tolist() == [0.0, 2.0]


def test_serials_agree_with_the_unrolled_loop():
    workflow = deepdrivemd(3)
    numbers, expansion = serials(workflow), expand(workflow)
    tasks = np.arange(workflow.n_tasks)
    assert numbers.n_tasks == workflow.n_tasks
    assert [numbers.task_name(t) for t in (0, 95, 96, 112, 626)] == [
        expansion.task_name(t) for t in (0, 95, 96, 112, 626)
    ]
    instances = [expansion.instance_of(int(task)) for task in tasks]
    assert numbers.iteration(tasks).tolist() == [one.iteration for one in instances]
    names = [numbers.names[place] for place in numbers.place(tasks)]
    assert names == [one.task_set.name for one in instances]


def test_the_parts_of_a_makespan_add_up_to_it():
    assert parts(two()) == (15_000_000, 3_000_000, 0)
    trace = greedy(deepdrivemd(), summit(), overhead=0.25, fail_every=7)
    assert sum(parts(trace)) == trace.ttx_us
    assert sum(parts(made(TWO, platform(), []))) == 0


def test_tasks_of_a_bundle_wait_for_each_other_and_not_for_the_engine():
    workflow = Workflow("bundle", [TaskSet("a", tasks=3, duration=1)])
    lies = (slot([0]),)
    trace = made(
        workflow,
        platform(),
        [
            Attempt(0, 0, 0.1, 1.1, lies),
            Attempt(1, 0, 1.1, 2.1, lies),
            Attempt(2, 0, 2.3, 3.3, lies),
        ],
    )
    assert overhead_us(trace) == pytest.approx(100_000)
    assert parts(trace) == (3_000_000, 200_000, 0)


def test_improvement_is_against_the_sequential_trace_of_the_same_kind():
    traces = {
        "plan sequential": greedy(deepdrivemd(), summit(), mode="sequential"),
        "plan asynchronous": greedy(deepdrivemd(), summit()),
        "real asynchronous": greedy(deepdrivemd(), summit(), kind=Kind.MEASURED),
    }
    sequential, planned, real = compare(traces).rows
    assert sequential.improvement == 0
    assert planned.improvement == pytest.approx(1 - planned.ttx_us / sequential.ttx_us)
    assert planned.improvement > 0.1
    assert real.improvement is None


def test_the_difference_is_told_by_its_parts():
    traces = {
        "simulated": two(),
        "measured": replace(
            two(), kind=Kind.MEASURED, ended_us=two().ended_us + np.array([0, 0, 2_000_000])
        ),
    }
    (sentence,) = compare(traces).differences
    assert sentence == (
        "measured: 2 s (11.1%) longer than simulated. Along the chain of attempts that made the "
        "makespan, tasks at work account for +2 s, launching for 0 s, and gaps between an end "
        "and the next launch for 0 s."
    )


def test_a_run_that_did_not_finish_is_not_compared():
    unfinished = made(
        TWO,
        platform(),
        [Attempt(0, 0, 0, 10, (slot([0, 1], [0], gpu_milli=500),))],
        kind=Kind.MEASURED,
    )
    found = compare({"simulated": two(), "measured": unfinished})
    assert found.differences == ()
    assert not found.rows[1].complete
