from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stretto.analysis.checker import check, violations
from stretto.platform import Node, Platform
from stretto.resources import Resources
from stretto.trace import Kind, Note, Outcome
from stretto.workflow import TaskSet, Workflow
from tests.traces import Attempt, changed, deepdrivemd, greedy, made, platform, slot, summit

LOOP = Workflow(
    "loop",
    [
        TaskSet(
            "work",
            tasks=4,
            resources=Resources(cores=1, gpus=0.5, memory=256),
            duration=10,
            after={"learn": {"iteration": "previous", "staleness": 1}},
            retries=1,
        ),
        TaskSet("join", tasks=2, resources=Resources(cores=2), duration=5, after={"work": "group"}),
        TaskSet("copy", tasks=2, duration=1, after={"join": "each"}),
        TaskSet("learn", resources=Resources(cores=2, ranks=2), duration=4, after="join"),
    ],
    iterations=3,
)
"""Nine tasks an iteration: 0-3 work, 4-5 join, 6-7 copy, 8 learn."""


def work(number):
    return (slot([number], [number // 2], gpu_milli=500, memory_mib=256),)


def loop(mode="sequential", **others):
    """Return the loop on two nodes of four cores, iteration after iteration, 20 s each."""
    rows = []
    for turn in range(3):
        at, first = 20 * turn, 9 * turn
        rows += [Attempt(first + n, at, at, at + 10, work(n)) for n in range(4)]
        rows += [
            Attempt(first + 4, at + 10, at + 10, at + 15, (slot([0, 1]),)),
            Attempt(first + 5, at + 10, at + 10, at + 15, (slot([2, 3]),)),
            Attempt(first + 6, at + 15, at + 15, at + 16, (slot([0]),)),
            Attempt(first + 7, at + 15, at + 15, at + 16, (slot([1]),)),
            Attempt(first + 8, at + 15, at + 16, at + 20, (slot([2, 3]), slot([0, 1], node=1))),
        ]
    used = {0: (("learn", None),), 9: (("learn", 0),), 18: (("learn", 0),), 19: (("learn", 1),)}
    return made(LOOP, platform(2), rows, mode=mode, inputs=used, **others)


def told(trace, *words, **options):
    """Assert that some violation has all of these words."""
    found = violations(trace, **options)
    assert any(all(word in sentence for word in words) for sentence in found), found


@pytest.mark.parametrize("mode", ["sequential", "asynchronous", "task-level"])
def test_a_legal_trace_passes(mode):
    check(loop(mode))


@pytest.mark.parametrize("mode", ["sequential", "asynchronous", "task-level"])
def test_larger_legal_traces_pass(mode):
    check(greedy(deepdrivemd(), summit(), mode=mode, overhead=0.3, fail_every=9))


def test_nothing_run_is_legal():
    check(made(LOOP, platform(2), []))


def test_all_violations_are_raised_together():
    with pytest.raises(AssertionError, match=r"2 violations:\nwork\[0\].0 .*\nwork\[0\].1 "):
        check(changed(changed(loop(), 0, placement=(slot([0]),)), 1, placement=(slot([1]),)))


def test_many_violations_of_a_rule_are_counted():
    trace = greedy(deepdrivemd(1), summit())
    trace = replace(trace, launched_us=np.where(trace.task < 96, 1, trace.launched_us))
    assert "91 more like" in violations(trace)[5]


@pytest.mark.parametrize("column", ["attempt", "placements"])
def test_columns_have_one_length(column):
    short = getattr(loop(), column)[:-1]
    assert violations(replace(loop(), **{column: short})) == ["the columns differ in length"]


def test_tasks_and_modes_are_known():
    assert violations(changed(loop(), 0, task=27)) == ["there is no task 27"]
    assert violations(replace(loop(), mode="fast")) == ["there is no mode 'fast'"]


@pytest.mark.parametrize("values", [{"launched": 1}, {"ended": 0, "started": 1}, {"launched": -3}])
def test_times_are_in_order(values):
    told(changed(loop(), 0, **values), "work[0].0", "out of order")


def test_a_finished_attempt_has_a_start_and_an_end():
    told(changed(loop(), 26, started=None), "learn[2].0", "no start or end")
    told(changed(loop(), 26, ended=None), "learn[2].0", "no start or end")


def test_an_attempt_that_ended_does_not_run():
    told(changed(loop(), 26, outcome=Outcome.RUNNING), "learn[2].0", "still runs")


def test_a_core_is_held_once():
    # A node has four cores: two attempts on core 0 overlap, though the sum of cores would fit.
    twice = (slot([0], [0], gpu_milli=500, memory_mib=256),)
    told(changed(loop(), 1, placement=twice), "a core")


def test_a_core_is_held_on_every_node_of_a_task():
    told(changed(loop(), 7, started=16, ended=17, placement=(slot([0], node=1),)), "a core")


def test_a_gpu_is_shared_up_to_the_whole_of_it():
    third = (slot([2], [0], gpu_milli=500, memory_mib=256),)
    told(changed(loop(), 2, placement=third), "a GPU")


def test_the_memory_of_a_node_is_not_exceeded():
    small = replace(loop(), platform=platform(2, memory_mib=1023))
    told(small, "memory")
    assert len(violations(small)) == 3


def test_what_is_released_is_free_at_that_instant():
    assert not [text for text in violations(loop()) if "held by others" in text]


@pytest.mark.parametrize(
    ("placement", "words"),
    [
        ((slot([0, 1], [0], gpu_milli=500, memory_mib=256),), "2 cores for 1 ranks of 1"),
        ((slot([0], [0, 1], gpu_milli=500, memory_mib=256),), "1000 thousandths"),
        ((slot([0], [0], gpu_milli=400, memory_mib=256),), "400 thousandths"),
        ((slot([0], [0], gpu_milli=500, memory_mib=255),), "255 MiB"),
        ((slot([0], [0], gpu_milli=500, memory_mib=256, ranks=2),), "2 ranks instead of 1"),
        ((slot([4], [0], gpu_milli=500, memory_mib=256),), "a core that n0 does not have"),
        ((slot([0], [2], gpu_milli=500, memory_mib=256),), "a GPU that n0 does not have"),
        ((slot([0], [0], gpu_milli=500, memory_mib=256, node=2),), "do not all exist"),
        ((), "0 ranks instead of 1"),
    ],
)
def test_a_placement_is_exactly_what_is_needed_and_exists(placement, words):
    told(changed(loop(), 0, placement=placement), "work[0].0", words)


SHARED = Workflow(
    "shared",
    [
        TaskSet(
            "t", tasks=3, resources=Resources(cores=0, ranks=2, named={"licence": 2}), duration=1
        )
    ],
)
LICENCES = Platform("p", (Node("n0", 4, 0, 0, (("licence", 6),)), Node("n1", 4, 0, 0)))


def shared(*starts, on=LICENCES):
    """Return attempts of a second, each on four of the six licences of the first node."""
    lies = (slot([], ranks=2, named={"licence": 4}),)
    rows = [Attempt(task, at, at, at + 1, lies) for task, at in enumerate(starts)]
    return made(SHARED, on, rows)


def test_a_named_resource_of_a_node_is_not_exceeded():
    check(shared(0, 1, 2))
    told(shared(0, 0.5, 2), "t[0].1 started at 0.5 s on the named licence held by others")
    assert len(violations(shared(0, 0.5, 2))) == 1
    # Two slots of one attempt count together.
    halves = (slot([], named={"licence": 2}), slot([], named={"licence": 2}))
    check(changed(shared(0, 1, 2), 1, placement=halves))
    told(changed(shared(0, 0.5, 2), 1, placement=halves), "t[0].1 started", "the named licence")


def test_a_named_resource_lies_where_there_is_some():
    elsewhere = (slot([], ranks=2, named={"licence": 4}, node=1),)
    told(changed(shared(0, 1, 2), 2, placement=elsewhere), "t[0].2", "the named licence")
    # A resource that no node has is held by nobody.
    fpga = Workflow("m", [TaskSet("t", resources=Resources(named={"fpga": 1}), duration=1)])
    lies = (slot([0], named={"fpga": 1}),)
    told(made(fpga, LICENCES, [Attempt(0, 0, 0, 1, lies)]), "on the named fpga held by others")


@pytest.mark.parametrize(
    "named",
    [None, {"licence": 2}, {"licence": 5}, {"fpga": 4}, {"licence": 4, "fpga": 1}],
)
def test_what_is_held_of_named_resources_is_exactly_what_is_needed(named):
    lies = (slot([], ranks=2, named=named),)
    told(changed(shared(0, 1, 2), 0, placement=lies), "t[0].0 lies wrong", "for 2 ranks of")
    twice = slot([], ranks=2, named={"licence": 4})
    twice = twice._replace(named=twice.named * 2)
    told(changed(shared(0, 1, 2), 0, placement=(twice,)), "t[0].0 lies wrong")


def test_a_run_takes_no_less_than_the_area_of_a_named_resource():
    # 12 licence seconds on six licences, in a second.
    told(shared(0, 0, 0), "less than the area of the named licence of 1999999 us")


def test_nodes_of_ranks_are_in_order():
    swapped = (slot([0, 1], node=1), slot([2, 3]))
    told(changed(loop(), 8, placement=swapped), "not in order")
    packed = (slot(range(4), ranks=2, node=1),)
    check(changed(loop(), 8, placement=packed))


def test_two_half_gpus_of_one_node_may_be_one_gpu():
    workflow = Workflow("x", [TaskSet("t", resources=Resources(gpus=0.5, ranks=2), duration=1)])
    for gpus, milli in (([0], 1000), ([0, 1], 500)):
        lies = (slot([0, 1], gpus, gpu_milli=milli, ranks=2),)
        check(made(workflow, platform(), [Attempt(0, 0, 0, 1, lies)]))


def test_a_set_waits_for_whole_sets_when_asynchronous():
    trace = loop("asynchronous")
    late = changed(changed(trace, 3, ended=11), 5, launched=11, started=11, ended=15)
    told(late, "join[0].0", "before work had finished")
    # By its own block it may go.
    check(replace(late, mode="task-level"))


def test_a_task_waits_for_its_own_block():
    late = changed(loop("task-level"), 1, ended=11)
    told(late, "join[0].0", "before work had finished")
    assert not [text for text in violations(late) if text.startswith("join[0].1")]


def test_a_task_waits_for_its_partner():
    late = changed(loop("task-level"), 5, ended=15.5)
    told(late, "copy[0].1", "before join had finished")
    assert not [text for text in violations(late) if text.startswith("copy[0].0")]


def test_nothing_starts_on_what_never_finished():
    told(changed(loop("task-level"), 4, outcome=Outcome.FAILED), "copy[0].0", "finished (never)")


def test_the_loop_waits_for_the_iteration_that_may_not_be_missed():
    # Iteration 2 needs what iteration 0 learned; here that took until 41 s.
    told(changed(loop("asynchronous"), 8, ended=41), "work[2].0", "before learn had finished")


def test_stages_are_barriers_in_sequential_mode():
    # Copies and learning share a stage: the next iteration waits for both.
    late = changed(loop(), 6, ended=21)
    told(late, "work[1].0", "before the stage before its own was over")
    assert not [text for text in violations(replace(late, mode="task-level")) if "stage" in text]


@pytest.mark.parametrize(
    ("row", "used", "words"),
    [
        (18, None, "not of 0 to 1"),
        (18, 2, "not of 0 to 1"),
        (26, None, None),
        (9, 5, "not of -1 to 0"),
        (9, -1, "not of -1 to 0"),
    ],
)
def test_recorded_input_is_within_the_bound(row, used, words):
    trace = replace(loop(), inputs={row: (("learn", used),)})
    if words is None:
        check(trace)
    else:
        told(trace, "used learn", words)


def test_recorded_input_was_there_at_launch():
    late = changed(loop("asynchronous"), 17, ended=40.5)
    told(late, "work[2].1", "used learn of iteration 1, which had not finished")
    assert not [text for text in violations(late) if text.startswith("work[2].0")]


def retried(*attempts, retries=1, **others):
    workflow = Workflow("retry", [TaskSet("t", duration=1, retries=retries)])
    rows = [
        Attempt(0, at, at, at + 1, (slot([0]),), number, outcome)
        for at, number, outcome in attempts
    ]
    return made(workflow, platform(), rows, **others)


FAILED, FINISHED, LOST = Outcome.FAILED, Outcome.FINISHED, Outcome.LOST


def test_a_failed_task_may_be_tried_again():
    check(retried((0, 1, FAILED), (1, 2, FINISHED)))
    check(retried((0, 1, LOST), (1, 2, LOST), (2, 3, FAILED), (3, 4, FINISHED)))


def test_attempts_are_numbered_without_holes():
    told(retried((0, 1, FAILED), (1, 3, FINISHED)), "numbered 3")
    told(retried((0, 2, FINISHED)), "numbered 2")
    told(retried((0, 1, FAILED), (1, 1, FINISHED)), "numbered 1")


def test_a_task_finishes_once():
    told(retried((0, 1, FINISHED), (1, 2, FINISHED)), "after the task had finished")


def test_attempts_do_not_overlap():
    told(retried((0, 1, FAILED), (0.5, 2, FINISHED)), "before the attempt before it ended")


def test_a_task_fails_no_more_often_than_its_retries_allow():
    thrice = ((0, 1, FAILED), (1, 2, FAILED), (2, 3, FAILED))
    told(retried(*thrice), "t[0].0 failed 3 times with 1 retries")
    check(retried(*thrice, notes=(Note(2_000_000, "resumed after a crash"),)))


def test_a_run_takes_no_less_than_its_critical_path_and_its_area():
    # Both ends of the chain at once: 10 + 5 + 4 seconds of work an iteration in 10.
    trace = loop("task-level")
    squeezed = replace(
        trace,
        launched_us=trace.launched_us * 0,
        started_us=trace.started_us * 0,
        ended_us=trace.ended_us - trace.started_us,
    )
    told(squeezed, "less than the critical path")
    told(squeezed, "less than the area of the cores")
    told(squeezed, "less than the area of the GPUs")


def test_a_run_takes_no_more_than_all_attempts_in_a_row():
    idle = retried((0, 1, FAILED), (5, 2, FINISHED))
    told(idle, "more than all attempts in a row")
    check(replace(idle, notes=(Note(2_000_000, "resumed"),)))
    told(replace(idle, kind=Kind.MEASURED), "in a row", slack_us=3_999_999)
    check(replace(idle, kind=Kind.MEASURED), slack_us=4_000_000)
    told(idle, "in a row")
