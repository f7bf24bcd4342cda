"""Sets that must run at once: all or nothing, in every mode, through failures and resumes."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stretto
from stretto.analysis import check, violations
from stretto.errors import WorkflowError
from stretto.model import model_of
from stretto.platform import Node, Platform
from stretto.resources import Resources
from stretto.runtime import Ending
from stretto.scheduler import (
    Failed,
    Finished,
    ImpossibleEvent,
    Launched,
    Lost,
    Mode,
    Order,
    Revoked,
    Started,
    State,
    abandoned,
    decide,
    gated_sets,
    revoked,
    why,
)
from stretto.simulator import simulate
from stretto.trace import Outcome, Trace, read_trace, replayed
from stretto.workflow import (
    Pattern,
    TaskSet,
    Workflow,
    expand,
    parse_workflow,
    workflow_from_mapping,
    write_workflow,
)
from tests.workflows import FailingWorld, grouped

SLACK_US = 10_000_000
FOUR = Platform("four", (Node("n", 4, 0, 0),))
TWICE_TWO = Platform("twice", (Node("a", 2, 0, 0), Node("b", 2, 0, 0)))


def streaming(**others: Any) -> Workflow:
    """Return two sets that run at once, something before one, something after the other."""
    return Workflow(
        "streaming",
        [
            TaskSet("prepare", tasks=2, duration=5),
            TaskSet("produce", tasks=2, duration=20, after="prepare", retries=1),
            TaskSet("consume", duration=30, with_="produce", retries=1),
            TaskSet("other", tasks=3, duration=7),
            TaskSet("sum", duration=1, after="produce"),
        ],
        **others,
    )


def state_of(workflow: Workflow, *nodes: Node, strict: bool = False) -> State:
    sets = gated_sets(expand(workflow), Mode.TASK_LEVEL)
    order = Order(strict=strict)
    return State(sets, nodes or FOUR.nodes, order.priorities(sets), strict=strict)


def outcomes(trace: Trace, name: str) -> list[Outcome]:
    expansion = trace.expansion()
    return [
        Outcome(outcome)
        for task, outcome in zip(trace.task.tolist(), trace.outcome.tolist(), strict=True)
        if expansion.instance_of(task).task_set.name == name
    ]


# Descriptions.


def test_it_is_described_read_and_written() -> None:
    flow = parse_workflow(
        """
        name: w
        task_sets:
          a: {}
          b: {with: a}
          c: {with: [b]}
          d: {}
        """
    )
    assert flow.groups == dict.fromkeys("abc", ("a", "b", "c"))
    assert parse_workflow(write_workflow(flow)).groups == flow.groups
    assert flow.stages == (("a", "b", "c", "d"),)


def test_sets_that_run_at_once_are_one_stage_and_have_one_rank() -> None:
    flow = streaming()
    assert flow.stages == (("prepare", "other"), ("produce", "consume"), ("sum",))
    model = model_of(flow, FOUR)
    assert model.t_seq_us == model.t_seq_ranks_us == 38 * 10**6
    assert model.bounds is not None
    assert model.bounds.critical_path_us == 36 * 10**6  # prepare, consume, sum


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        ({"a": {"with": "b"}}, "there is no task set 'b'"),
        ({"a": {"with": "a"}}, "runs at once with itself anyway"),
        ({"a": {}, "b": {"with": ["a", "a"]}}, "named twice"),
        ({"a": {"with": 3}}, "expected the name of a task set or a list, found 3"),
        ({"a": {}, "b": {"with": "a", "after": "a"}}, "b runs at once with a, so it cannot wait"),
        (
            {"a": {}, "b": {"with": "a"}, "c": {"with": "b", "after": "a"}},
            "c runs at once with a, so it cannot wait",
        ),
        ({"a": {}, "b": {"with": "a", "after": "c"}, "c": {"after": "a"}}, "a circle"),
        ({"a": {}, "b": {"with_": "a"}}, "unknown key 'with_'; did you mean 'with'?"),
    ],
)
def test_mistakes_are_told(sets: dict[str, Any], told: str) -> None:
    with pytest.raises(WorkflowError, match=told):
        workflow_from_mapping({"name": "w", "task_sets": sets})


def test_stages_keep_together_what_runs_at_once() -> None:
    with pytest.raises(WorkflowError, match="must be in the same stage"):
        Workflow("w", [TaskSet("a"), TaskSet("b", with_="a")], stages=[["a"], ["b"]])


def test_a_previous_iteration_may_be_waited_for() -> None:
    loop = {"a": {"iteration": "previous"}}
    flow = Workflow(
        "w",
        [TaskSet("a", duration=2), TaskSet("b", duration=1, with_="a", after=loop)],
        iterations=3,
    )
    trace = simulate(flow, FOUR)
    check(trace)
    assert trace.ttx_us == 6_000_000


def test_a_group_that_never_fits_is_told_before_anything_runs(tmp_path: Path) -> None:
    flow = Workflow(
        "w",
        [
            TaskSet("a", tasks=3, duration=1, command="true"),
            TaskSet("b", duration=1, command="true", with_="a", resources=Resources(cores=2)),
        ],
    )
    with pytest.raises(WorkflowError, match=r"a and b run at once, but find no room together"):
        simulate(flow, FOUR)
    with pytest.raises(WorkflowError, match="find no room together"):
        stretto.run(flow, platform="local:4", run_dir=tmp_path / "run")
    with pytest.raises(WorkflowError, match="find no room together"):
        stretto.plan(flow, platform=FOUR)
    assert simulate(flow, Platform("five", (Node("n", 5, 0, 0),))).complete


def test_the_largest_is_placed_first_so_that_what_fits_is_found() -> None:
    flow = Workflow(
        "w",
        [
            TaskSet("small", tasks=2, duration=1),
            TaskSet("large", duration=1, with_="small", resources=Resources(cores=2)),
        ],
    )
    check(simulate(flow, TWICE_TWO))


# The scheduler.


def test_nothing_of_a_group_starts_before_all_of_it_is_ready_and_has_room() -> None:
    state = state_of(streaming())
    assert [one.task for one in decide(state, 0)] == [0, 1, 5, 6]
    assert "runs at once with produce[0]; it waits for produce[0] to be ready" in why(state, 4)
    for task in (0, 1, 5):
        state.apply(Finished(task, 1, 5))
    assert [one.task for one in decide(state, 5)] == [2, 3, 4]
    state.apply(Finished(6, 1, 5))
    assert [one.task for one in decide(state, 5)] == [7]


def test_a_greedy_order_lets_others_pass_and_a_strict_one_does_not() -> None:
    sets = [
        TaskSet("first", duration=50, tasks=2),
        TaskSet("pair", duration=40, tasks=3),
        TaskSet("with_it", duration=1, with_="pair"),
        TaskSet("small", duration=1, tasks=20),
    ]
    for strict, passed in ((False, 2), (True, 0)):
        state = state_of(Workflow("w", sets), strict=strict)
        assert Counter(state.set_of[one.task] for one in decide(state, 0)) == Counter(
            {0: 2, 3: passed}
        )
        assert ("there is no room yet for all of them" in why(state, 2)) is True
        check(simulate(Workflow("w", sets), FOUR, order=Order(strict=strict)))


def test_a_group_goes_by_the_best_priority_of_its_members() -> None:
    sets = [
        TaskSet("alone", duration=5),
        TaskSet("short", duration=1),
        TaskSet("long", duration=9, with_="short"),
    ]
    gated = gated_sets(expand(Workflow("w", sets)), Mode.TASK_LEVEL)
    assert Order().priorities(gated) == [5_000_000, 9_000_000, 9_000_000]
    assert Order("longest-first").priorities(gated) == [5_000_000, 9_000_000, 9_000_000]
    assert Order("given", ("long[0]", "alone[0]")).priorities(gated) == [1, 2, 2]


def test_what_waits_for_one_waits_for_the_whole_group() -> None:
    sets = [
        TaskSet("a", tasks=2, duration=1),
        TaskSet("b", duration=9, with_="a"),
        TaskSet("c", tasks=2, duration=1, after={"a": Pattern.EACH}),
    ]
    trace = simulate(Workflow("w", sets), FOUR, mode="task-level")
    check(trace)
    assert trace.launched_us[trace.task >= 3].tolist() == [9_000_000] * 2


def test_when_one_fails_the_others_are_ended_and_revoked_and_all_tried_again() -> None:
    state = state_of(streaming())
    state.apply(Launched(0, 1, 0, (), 0))
    state.apply(Launched(1, 1, 0, (), 1))
    for task in (0, 1):
        state.apply(Finished(task, 1, 5))
    assert [one.task for one in decide(state, 5)][:3] == [2, 3, 4]
    state.apply(Started(2, 1, 6))
    state.apply(Finished(2, 1, 7))
    assert revoked(state) == []
    state.apply(Failed(3, 1, 8, "x"))
    assert revoked(state) == [Revoked(2, 1)]
    assert revoked(state) == []
    assert abandoned(state) == [4]
    with pytest.raises(ImpossibleEvent):
        state.apply(Revoked(2, 1))
    assert [one.task for one in decide(state, 8)] == [6, 7]  # no part of the group, while 4 runs
    state.apply(Lost(4, 1, 9, "ended"))
    assert decide(state, 9) == []  # others have its room
    for task in (5, 6, 7):
        state.apply(Finished(task, 1, 9))
    assert sorted((one.task, one.attempt) for one in decide(state, 9)) == [(2, 2), (3, 2), (4, 2)]
    assert abandoned(state) == []
    for task in (2, 3, 4):
        assert not state.complete(1)
        state.apply(Finished(task, 2, 12))
    assert state.complete(1)
    assert [one.task for one in decide(state, 12)] == [8]


def test_a_group_of_which_one_has_failed_for_good_is_not_tried_again() -> None:
    flow = streaming()
    world = FailingWorld(expand(flow), 0, frozenset({(3, 1), (3, 2)}))
    trace = simulate(flow, FOUR, world=world)
    check(trace)
    assert not trace.complete
    assert Counter(outcomes(trace, "produce")) == {Outcome.REVOKED: 2, Outcome.FAILED: 2}
    assert outcomes(trace, "consume") == [Outcome.CANCELLED] * 2
    assert outcomes(trace, "sum") == []


@pytest.mark.parametrize("mode", list(Mode))
def test_a_group_that_failed_once_finishes_in_every_mode(mode: Mode) -> None:
    flow = streaming(iterations=2)
    trace = simulate(
        flow, FOUR, mode=mode, world=FailingWorld(expand(flow), 0, frozenset({(4, 1)}))
    )
    check(trace)
    assert trace.complete
    assert trace.n_finished == flow.n_tasks
    assert Outcome.REVOKED in outcomes(trace, "produce")


def test_a_member_that_is_ended_before_it_started_has_no_start() -> None:
    sets = [TaskSet("a", duration=0), TaskSet("b", duration=1, with_="a")]
    flow = Workflow("w", sets)
    trace = simulate(
        flow,
        FOUR,
        overheads=stretto.Overheads(between_us=5),
        world=FailingWorld(expand(flow), 0, frozenset({(0, 1)})),
    )
    check(trace)
    assert outcomes(trace, "b") == [Outcome.CANCELLED]
    assert trace.started_us.tolist() == [0, -1]


@given(grouped(), st.sampled_from(list(Mode)), st.booleans(), st.integers(0, 9))
def test_whatever_is_joined_every_trace_is_legal(
    drawn: tuple[Workflow, Platform, frozenset[tuple[int, int]]],
    mode: Mode,
    strict: bool,
    between_us: int,
) -> None:
    flow, platform, failing = drawn
    trace = simulate(
        flow,
        platform,
        mode=mode,
        order=Order(strict=strict),
        overheads=stretto.Overheads(between_us=between_us, stage_us=between_us),
        world=FailingWorld(expand(flow), 0, failing),
    )
    check(trace, slack_us=len(trace) * 100 + 10_000)
    if not failing:
        assert trace.complete


@given(grouped(), st.sampled_from(list(Mode)))
def test_no_schedule_of_groups_goes_below_the_bounds(
    drawn: tuple[Workflow, Platform, frozenset[tuple[int, int]]], mode: Mode
) -> None:
    flow, platform = drawn[0].at_means(), drawn[1]
    bounds = model_of(flow, platform).bounds
    assert bounds is not None
    trace = simulate(flow, platform, mode=mode)
    check(trace)
    assert trace.ttx_us >= bounds.best_us


def test_the_checker_tells_groups_that_were_torn() -> None:
    flow = streaming()
    trace = simulate(flow, FOUR)
    rows = {int(task): row for row, task in enumerate(trace.task)}
    late = trace.launched_us.copy()
    late[rows[4]] += 1
    (found,) = violations(replace(trace, launched_us=late))[:1]
    assert "out of order" in found or "not launched at one instant" in found
    outcome = trace.outcome.copy()
    outcome[rows[2]] = Outcome.REVOKED
    assert any("though none failed" in one for one in violations(replace(trace, outcome=outcome)))
    outcome[rows[2]] = Outcome.FAILED
    assert any("others that count" in one for one in violations(replace(trace, outcome=outcome)))


# Runs.


def waits_for(run_dir: str, *names: str) -> None:
    until = time.monotonic() + 30
    while not all((Path(run_dir) / name).exists() for name in names):
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.005)


def meets(run_dir: str, task_set: str, task: int, attempt: int, fails: bool = False) -> None:
    """Return once all three of a group are there; one fails at its first attempt."""
    (Path(run_dir) / f"{task_set}.{task}.{attempt}").touch()
    waits_for(run_dir, *(f"{one}.{attempt}" for one in ("a.0", "a.1", "b.0")))
    if fails and attempt == 1:
        raise ValueError("the first time")
    if task_set == "a" and task == 1 and attempt == 1:
        time.sleep(60)  # it is ended


def meeting(**options: Any) -> Workflow:
    return Workflow(
        "meeting",
        [
            TaskSet("a", tasks=2, function=meets, **options),
            TaskSet(
                "b", function=meets, arguments={"fails": True}, with_="a", retries=1, **options
            ),
            TaskSet("c", after="a", command="true"),
        ],
        iterations=1,
    )


def test_a_real_group_meets_and_is_tried_again_as_a_whole(tmp_path: Path) -> None:
    ended = stretto.run(meeting(), platform="local:3", run_dir=tmp_path / "run")
    trace = ended.trace
    check(trace, slack_us=SLACK_US)
    assert ended.ending is Ending.DONE
    assert Counter(outcomes(trace, "b")) == {Outcome.FAILED: 1, Outcome.FINISHED: 1}
    assert Outcome.CANCELLED in outcomes(trace, "a")
    assert outcomes(trace, "a").count(Outcome.FINISHED) == 2


def test_an_emulated_group_and_its_journal(tmp_path: Path) -> None:
    flow = streaming(iterations=2)
    trace = stretto.run(
        flow, platform=FOUR, emulate=True, time_scale=100, run_dir=tmp_path / "run"
    ).trace
    check(trace, slack_us=SLACK_US)
    assert trace.complete
    assert replayed(tmp_path / "run/journal.jsonl").state.n_finished == flow.n_tasks


def test_a_run_that_is_killed_with_a_group_in_flight_goes_on(tmp_path: Path) -> None:
    flow = streaming()
    run_dir = tmp_path / "run"
    stretto.run(flow, platform=FOUR, emulate=True, time_scale=100, run_dir=run_dir)
    journal = run_dir / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    # As a driver leaves it that was killed when one of the group had finished, and others had not.
    done = next(
        number
        for number, line in enumerate(lines)
        if b'["finished",2' in line or b'["finished",3' in line
    )
    journal.write_bytes(b"".join(lines[: done + 1]))
    before = read_trace(journal)
    assert not before.complete
    trace = stretto.resume(run_dir).trace
    check(trace, slack_us=SLACK_US)
    assert trace.complete
    assert Outcome.REVOKED in outcomes(trace, "produce")
    assert Outcome.LOST in outcomes(trace, "consume")
