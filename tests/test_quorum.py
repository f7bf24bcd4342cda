"""The pattern quorum: a consumer starts once enough of its producer is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stretto
from stretto import Dependency, Pattern, TaskSet, Workflow, WorkflowError
from stretto.analysis import check
from stretto.analysis.checker import violations
from stretto.model import model_of
from stretto.optimizer import optimize
from stretto.platform import Node, Platform
from stretto.scheduler import Dropped, Failed, Finished, Mode, State, decide, gated_sets, prune, why
from stretto.simulator import simulate
from stretto.trace import Outcome, Trace
from stretto.trace.codec import event_from_json, event_to_json
from stretto.workflow import expand, quorum_of

SECOND_US = 1_000_000
WIDE = Platform("wide", (Node("n", 16, 0, 0),))
SPREAD = {"sample": [1, 2, 3, 4, 50]}


def flow(quorum: Any = 0.6, *, tasks: int = 5, iterations: int = 1, **how: Any) -> Workflow:
    """Simulations of very different length, and a training that needs some of them."""
    return Workflow(
        "w",
        [
            TaskSet("simulation", tasks=tasks, duration=SPREAD),
            TaskSet("training", duration=1, after=Dependency("simulation", quorum=quorum, **how)),
        ],
        iterations=iterations,
    )


def state_of(workflow: Workflow, mode: Mode = Mode.TASK_LEVEL) -> State:
    sets = gated_sets(expand(workflow), mode)
    return State(sets, WIDE.nodes, [0] * len(sets))


def launched(state: State, now_us: int = 0) -> list[int]:
    prune(state, now_us)
    return [one.task for one in decide(state, now_us)]


def times(trace: Trace, name: str, iteration: int = 0) -> tuple[list[int], list[int]]:
    """When the attempts of a set started and ended, in the order of their ends."""
    rows = [
        row
        for row, task in enumerate(trace.task.tolist())
        if trace.expansion().instance_of(task).name == f"{name}[{iteration}]"
    ]
    rows.sort(key=lambda row: int(trace.ended_us[row]))
    return trace.started_us[rows].tolist(), trace.ended_us[rows].tolist()


class TestHowMany:
    @pytest.mark.parametrize(
        ("quorum", "of", "needed"),
        [(0.7, 10, 7), (0.8, 5, 4), (0.5, 5, 3), (1.0, 7, 7), (1, 7, 1), (0.001, 3, 1), (9, 4, 4)],
    )
    def test_fractions_are_rounded_up_exactly(self, quorum: Any, of: int, needed: int) -> None:
        assert quorum_of(quorum).needed(of) == needed

    @given(per_cent=st.integers(1, 100), of=st.integers(0, 1000))
    def test_a_percentage_needs_what_whole_numbers_say(self, per_cent: int, of: int) -> None:
        assert quorum_of(per_cent / 100).needed(of) == -(-per_cent * of // 100)

    @pytest.mark.parametrize("quorum", [0, -1, 0.0, 1.1, -0.5, True, "most", float("nan")])
    def test_what_is_no_quorum_is_refused(self, quorum: Any) -> None:
        with pytest.raises(WorkflowError, match="a fraction above 0 and up to"):
            Dependency("a", quorum=quorum)

    @pytest.mark.parametrize(
        ("after", "message"),
        [
            ({"a": {"quorum": 4}}, "after.a: a quorum of 4 needs as many tasks; a has 3"),
            ({"a": {"pattern": "each", "quorum": 1}}, "does not go with the pattern each"),
            ({"a": {"pattern": "quorum"}}, "needs a number, such as {quorum: 0.8}"),
            ({"a": {"stragglers": "cancel"}}, "stragglers need a quorum"),
            ({"a": {"quorum": 1, "stragglers": "kill"}}, "expected finish or cancel"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, after: Any, message: str) -> None:
        with pytest.raises(WorkflowError, match=message):
            Workflow("w", [TaskSet("a", tasks=3), TaskSet("b", tasks=3, after=after)])

    def test_nobody_cancels_what_another_waits_for(self) -> None:
        cancels = Dependency("a", quorum=0.5, stragglers="cancel")  # type: ignore[arg-type]
        for other in ("a", {"a": "each"}, {"a": {"quorum": 3}}, {"a": {"iteration": "previous"}}):
            sets = [
                TaskSet("a", tasks=4),
                TaskSet("b", after=cancels),
                TaskSet("c", tasks=4, after=other),
            ]
            with pytest.raises(WorkflowError, match="would cancel tasks of a that c waits for"):
                Workflow("w", sets)
        Workflow("w", [*sets[:2], TaskSet("c", after={"a": {"quorum": 2}})])


class TestGates:
    def test_the_consumer_goes_as_soon_as_enough_have_finished(self) -> None:
        state = state_of(flow(0.6))
        assert launched(state) == [0, 1, 2, 3, 4]
        state.apply(Finished(4, 1, 1))
        state.apply(Finished(1, 1, 1))
        assert launched(state) == []
        assert why(state, 5) == "It waits for simulation[0] (1 more of 5 to finish)."
        state.apply(Finished(3, 1, 2))
        (training,) = decide(state, 2)
        assert training.task == 5
        assert training.present == (("simulation", 0, 0b11010),)
        assert event_from_json(event_to_json(training)) == training
        assert not prune(state, 2), "stragglers go on"

    def test_stragglers_are_dropped_and_those_in_flight_leave(self) -> None:
        workflow = flow(2, stragglers="cancel")
        sets = gated_sets(expand(workflow), Mode.TASK_LEVEL)
        state = State(sets, (Node("n", 3, 0, 0),), [0, 0])
        assert launched(state) == [0, 1, 2]
        state.apply(Finished(0, 1, 1))
        state.apply(Finished(2, 1, 1))
        dropped = [one for one in prune(state, 5) if isinstance(one, Dropped)]
        assert [(one.task, one.tasks) for one in dropped] == [(3, 2), (1, 1)]
        assert dropped[0].reason == "2 tasks of simulation[0] are enough"
        assert "its attempt 1 is being ended" in why(state, 1)
        assert [one.task for one in decide(state, 5)] == [5]
        state.apply(Finished(1, 1, 6))
        assert "not wanted anymore" in why(state, 1)
        state.apply(Finished(5, 1, 7))
        assert state.done
        assert (state.n_finished, state.n_dropped) == (3, 3)

    def test_a_failure_beyond_the_quorum_stops_nobody(self) -> None:
        state = state_of(flow(4))
        launched(state)
        state.apply(Failed(0, 1, 1, "why"))
        for task in (1, 2, 3):
            state.apply(Finished(task, 1, 1))
        assert launched(state) == []
        state.apply(Finished(4, 1, 2))
        assert launched(state) == [5]
        assert not state.done

    def test_a_straggler_that_has_failed_for_good_is_dropped_with_the_others(self) -> None:
        state = state_of(flow(4, stragglers="cancel"))
        launched(state)
        state.apply(Failed(0, 1, 1, "why"))
        for task in (1, 2, 3, 4):
            state.apply(Finished(task, 1, 1))
        assert launched(state) == [5]
        state.apply(Finished(5, 1, 2))
        assert state.done

    @pytest.mark.parametrize("mode", [Mode.SEQUENTIAL, Mode.ASYNCHRONOUS])
    def test_whole_sets_wait_for_whole_sets(self, mode: Mode) -> None:
        workflow = flow(1, stragglers="cancel")
        trace = simulate(workflow, WIDE, mode=mode, seed=2)
        check(trace)
        assert not trace.dropped
        assert times(trace, "training")[0][0] == times(trace, "simulation")[1][-1]
        assert trace.present == {5: (("simulation", 0, 0b11111),)}


class TestSimulations:
    def test_the_slow_tail_is_not_waited_for(self) -> None:
        trace = simulate(flow(0.6), WIDE, mode="task-level", seed=5)
        check(trace)
        starts, _ = times(trace, "training")
        assert starts == times(trace, "simulation")[1][2:3]
        assert trace.complete
        assert not trace.dropped

    def test_stragglers_end_when_there_is_a_quorum(self) -> None:
        workflow = flow(0.6, stragglers="cancel", iterations=3)
        trace = simulate(workflow, WIDE, mode="task-level", seed=5)
        check(trace)
        assert trace.complete
        assert len(trace.dropped) == 3 * 2
        for iteration in range(3):
            _, ends = times(trace, "simulation", iteration)
            assert ends[2] == ends[3] == ends[4] == times(trace, "training", iteration)[0][0]
        assert (trace.outcome == Outcome.CANCELLED).sum() == 6

    def test_an_older_result_serves_once_it_has_a_quorum(self) -> None:
        loop = Workflow(
            "loop",
            [
                TaskSet("walk", tasks=4, duration={"mean": 10, "sd": 4}),
                TaskSet(
                    "think",
                    tasks=2,
                    duration=3,
                    after=Dependency("walk", previous=True, staleness=2, quorum=0.5),
                ),
            ],
            iterations=5,
        )
        trace = simulate(loop, Platform("one", (Node("n", 3, 0, 0),)), mode="task-level", seed=1)
        check(trace)
        ages = {age for used in trace.inputs.values() for _, age in used}
        assert len(ages) > 2
        for row, used in trace.present.items():
            assert [on for on, _, _ in used] == ["walk"]
            assert used[0][1] == dict(trace.inputs[row])["walk"]
            assert used[0][2].bit_count() >= 2

    def test_bounds_do_not_count_what_may_be_cancelled(self) -> None:
        narrow = Platform("narrow", (Node("n", 1, 0, 0),))
        workflow = Workflow(
            "w",
            [
                TaskSet("a", tasks=10, duration=4),
                TaskSet("b", duration=1, after={"a": {"quorum": 0.3, "stragglers": "cancel"}}),
            ],
        )
        bounds = model_of(workflow, narrow).bounds
        assert bounds is not None
        trace = simulate(workflow, narrow, mode="task-level")
        check(trace)
        assert bounds.best_us == trace.ttx_us == 13 * SECOND_US


def test_an_order_is_searched_by_rules_only() -> None:
    narrow = Platform("narrow", (Node("n", 2, 0, 0),))
    workflow = flow(0.6, stragglers="cancel", iterations=2).at_means()
    found = optimize(workflow, narrow, rounds=50)
    assert found.notes == ("a quorum is no precedence between activities: rules only",)
    trace = simulate(workflow, narrow, mode="task-level", order=found.order)
    check(trace)
    assert found.bound_us <= trace.ttx_us == found.ttx_us


class TestChecker:
    def trace(self) -> Trace:
        trace = simulate(flow(0.6, stragglers="cancel"), WIDE, mode="task-level", seed=5)
        check(trace)
        return trace

    def told(self, trace: Trace, *words: str) -> None:
        found = violations(trace)
        assert any(all(word in sentence for word in words) for sentence in found), found

    def test_starting_before_the_quorum_is_found(self) -> None:
        trace = self.trace()
        row = trace.task.tolist().index(5)
        early = trace.launched_us.copy()
        early[row] -= 1
        self.told(replace(trace, launched_us=early), "training", "before simulation had finished")

    def test_a_part_that_is_not_enough_or_not_there_is_found(self) -> None:
        trace = self.trace()
        (row,) = trace.present
        ((on, iteration, mask),) = trace.present[row]
        less = {row: ((on, iteration, mask & (mask - 1)),)}
        self.told(replace(trace, present=less), "recorded with 2 tasks of simulation[0], less")
        more = {row: ((on, iteration, 0b11111),)}
        self.told(replace(trace, present=more), "tasks of simulation[0] that had not finished")
        self.told(replace(trace, present={}), "no record of which tasks of simulation[0]")

    def test_dropping_before_the_quorum_is_found(self) -> None:
        trace = self.trace()
        task, time_us = next(iter(trace.dropped.items()))
        early = {**trace.dropped, task: time_us - 1}
        self.told(
            replace(trace, dropped=early), f"simulation[0].{task} was dropped, and was wanted"
        )
        finished = int(trace.task[np.flatnonzero(trace.outcome == Outcome.FINISHED)[0]])
        both = {**trace.dropped, finished: time_us}
        self.told(replace(trace, dropped=both), "has finished and was dropped")


def test_descriptions_say_quorum_and_are_written_back() -> None:
    text = """
name: w
task_sets:
  a: {tasks: 10}
  b: {after: {a: {quorum: 0.8, stragglers: cancel}}}
  c: {after: {b: {iteration: previous, quorum: 1, staleness: 2}}}
"""
    workflow = stretto.parse_workflow(text)
    assert workflow["b"].after[0].pattern is Pattern.QUORUM
    assert workflow["b"].after[0].needed(10) == 8
    assert stretto.parse_workflow(stretto.write_workflow(workflow)) == workflow


def test_tasks_are_told_which_had_finished(tmp_path: Path) -> None:
    workflow = Workflow(
        "w",
        [
            TaskSet("walk", tasks=4, command="test {task} = 2 && sleep 1000 || true", shell=True),
            TaskSet(
                "words",
                command=["echo", "{finished.walk}", "{inputs.walk}"],
                after={"walk": {"quorum": 3}},
            ),
            TaskSet("call", function=_told, after={"walk": {"quorum": 3, "stragglers": "cancel"}}),
        ],
        folder=tmp_path,
    )
    where = Platform("here", (Node("here", 8, 0, 100),), local=True)
    ended = stretto.run(workflow, platform=where, mode="task-level", run_dir=tmp_path / "run")
    assert ended.ending.value == "done"
    assert (ended.directory / "tasks/words/0/0.1.out").read_text() == "0-1,3 0\n"
    assert ended.result("call") == [{"walk": [0, 1, 3]}, {"walk": 0}]
    trace = ended.trace
    check(trace, slack_us=60 * SECOND_US)
    assert list(trace.dropped) == [2]
    (row,) = np.flatnonzero(trace.task == 2)
    assert trace.outcome[row] == Outcome.CANCELLED


def _told(finished: dict[str, list[int]], inputs: dict[str, int | None]) -> list[dict[str, Any]]:
    return [finished, inputs]


def test_only_a_quorum_leaves_tasks_out() -> None:
    with pytest.raises(WorkflowError, match=r"{finished.a}, but b waits for all of a"):
        TaskSet("b", command="echo {finished.a}", after="a")
    with pytest.raises(WorkflowError, match=r"{finished.c}, but b does not wait for c"):
        TaskSet("b", command="echo {finished.c}", after="a")
