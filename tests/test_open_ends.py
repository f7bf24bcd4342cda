"""What results decide: loops until they have converged, and numbers of tasks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stretto
from stretto import Dependency, Overheads, TaskSet, Workflow, WorkflowError
from stretto.analysis import check
from stretto.analysis.checker import violations
from stretto.model import model_of
from stretto.platform import Node, Platform
from stretto.runtime import Answers, Exited, Unanswered
from stretto.scheduler import (
    Cancelled,
    Dropped,
    Finished,
    Mode,
    State,
    Told,
    decide,
    gated_sets,
    prune,
)
from stretto.scheduler.pruning import leaving
from stretto.simulator import Simulator, simulate
from stretto.trace import Outcome, Trace
from stretto.workflow import expand, workflow_from_mapping, workflow_to_mapping
from tests.open_workflows import open_cases

SECOND_US = 1_000_000
WIDE = Platform("wide", (Node("n", 16, 0, 0),))
UNTIL = {"at_most": 6, "until": "judge", "expected": 3}


def loop(staleness: int = 0, **options: Any) -> Workflow:
    """Four walks, then a judge, which says whether to go on."""
    options.setdefault("iterations", UNTIL)
    return Workflow(
        "loop",
        [
            TaskSet(
                "walk",
                tasks=4,
                duration=10,
                after=Dependency("judge", previous=True, staleness=staleness),
            ),
            TaskSet("judge", duration=1, after="walk"),
        ],
        **options,
    )


def counted(previous: bool = False, **count: Any) -> Workflow:
    """A judge that says how many walks there are, and one step behind each of them."""
    tasks = {"from": "judge", "at_most": 5, **count}
    on = Dependency("judge", previous=previous)
    return Workflow(
        "counted",
        [
            TaskSet("judge", duration=1, after=Dependency("sum", previous=True)),
            TaskSet("walk", tasks=tasks, duration=10, after=on),
            TaskSet("step", tasks=tasks, duration=1, after=[{"walk": "each"}, on]),
            TaskSet("sum", duration=1, after="step"),
        ],
        iterations=3,
    )


class Driven:
    """A state, driven by hand, on a wide platform."""

    def __init__(self, workflow: Workflow, mode: Mode = Mode.TASK_LEVEL) -> None:
        sets = gated_sets(expand(workflow), mode)
        self.state = State(sets, WIDE.nodes, [0] * len(sets))
        self.now_us = 0

    def round(self, *finished: int, told: Told | None = None) -> list[int]:
        """Let tasks finish, and return what is launched upon it."""
        self.now_us += 1
        for task in finished:
            self.state.apply(Finished(task, self.state.attempts[task], self.now_us))
        if told is not None:
            self.state.apply(told)
        for dropped in prune(self.state, self.now_us):
            for task in leaving(self.state, dropped) if isinstance(dropped, Dropped) else ():
                self.state.apply(Cancelled(task, self.state.attempts[task], self.now_us))
        return [one.task for one in decide(self.state, self.now_us)]


class TestLoops:
    @pytest.mark.parametrize("mode", list(Mode))
    def test_a_simulated_loop_turns_as_often_as_is_expected(self, mode: Mode) -> None:
        trace = simulate(loop(), WIDE, mode=mode)
        check(trace)
        assert trace.complete
        assert trace.ttx_us == 3 * 11 * SECOND_US
        assert (trace.n_finished, len(trace.dropped), trace.converged_in) == (15, 15, 2)

    def test_iterations_begun_too_early_are_ended(self) -> None:
        narrow = Platform("narrow", (Node("n", 5, 0, 0),))
        trace = simulate(loop(staleness=1), narrow, mode="task-level")
        check(trace)
        assert trace.complete
        cancelled = trace.outcome == Outcome.CANCELLED
        assert set((trace.task[cancelled] // 5).tolist()) == {3}
        assert set(trace.ended_us[cancelled].tolist()) == {trace.told[14].time_us}

    def test_what_is_said_first_holds_whatever_comes_later(self) -> None:
        free = Workflow(
            "free",
            [TaskSet("walk", tasks=2, duration=1), TaskSet("judge", duration=1, after="walk")],
            iterations={"at_most": 4, "until": "judge"},
        )
        driven = Driven(free)
        assert len(driven.round()) == 8
        driven.round(3, 4, 0, 1)
        assert driven.round(5, told=Told(5, 2, True, None)) == []
        assert driven.state.n_dropped == 6
        driven.round(2, told=Told(2, 3, True, None))
        assert driven.state.done
        assert driven.state.n_finished == 6, "what had finished stays so"

    def test_the_limit_ends_a_loop_that_does_not_converge(self) -> None:
        driven = Driven(loop())
        for iteration in range(6):
            first = 5 * iteration
            assert driven.round() == ([0, 1, 2, 3] if not iteration else [])
            assert driven.round(*range(first, first + 4)) == [first + 4]
            later = driven.round(first + 4, told=Told(first + 4, driven.now_us, False, None))
            assert later == ([] if iteration == 5 else list(range(first + 5, first + 9)))
        assert driven.state.done
        assert driven.state.n_dropped == 0

    def test_plans_go_by_what_is_expected_and_say_so(self) -> None:
        plan = stretto.plan(loop(), platform=WIDE).to_json()
        assert plan["tasks"] == 15
        assert plan["t_seq_s"] == 33
        assert plan["assumptions"] == ["up to 6 iterations, until judge has converged (3 expected)"]
        assert {one["at_means_s"] for one in plan["simulated"].values()} == {33}

    def test_what_is_expected_is_the_limit_unless_said(self) -> None:
        open_loop = loop(iterations={"at_most": 4, "until": "judge"})
        assert open_loop.planned() == loop(iterations=4)
        assert open_loop.with_iterations(2) == loop(iterations=2)
        assert loop(iterations=4).planned() == loop(iterations=4)


class TestCounts:
    def test_the_first_iteration_has_what_is_expected(self) -> None:
        driven = Driven(counted(previous=True, expected=2))
        assert driven.round() == [0, 1, 2], "the judge and two walks"
        assert driven.state.wanted.tasks(1) == 2

    @pytest.mark.parametrize("tasks", [0, 1, 5])
    def test_a_result_says_how_many(self, tasks: int) -> None:
        driven = Driven(counted())
        assert driven.round() == [0]
        walks = driven.round(0, told=Told(0, 1, None, tasks))
        assert walks == (list(range(1, 1 + tasks)) or [11]), "without any, what waits for all goes"
        if tasks:
            steps = driven.round(*walks)
            assert steps == list(range(6, 6 + tasks))
            assert driven.round(*steps) == [11]
        assert driven.round(11) == [12]

    @pytest.mark.parametrize("mode", list(Mode))
    def test_simulations_have_what_is_expected(self, mode: Mode) -> None:
        trace = simulate(counted(expected=2), WIDE, mode=mode)
        check(trace)
        assert trace.complete
        assert len(trace.dropped) == 3 * 2 * 3
        assert trace.ttx_us == 3 * 13 * SECOND_US
        assert stretto.plan(counted(expected=2), platform=WIDE).to_json()["t_seq_s"] == 39

    def test_a_quorum_is_of_those_that_are_wanted(self) -> None:
        workflow = Workflow(
            "w",
            [
                TaskSet("judge"),
                TaskSet("walk", tasks={"from": "judge", "at_most": 10}, after="judge"),
                TaskSet("sum", after={"walk": {"quorum": 0.5}}),
                TaskSet("few", after={"walk": {"quorum": 6}}),
            ],
        )
        driven = Driven(workflow)
        driven.round()
        assert driven.round(0, told=Told(0, 1, None, 3)) == [1, 2, 3]
        assert driven.round(3) == []
        assert driven.round(1) == [11]
        assert driven.round(2) == [12]
        assert workflow.planned()["few"].after[0].needed(10) == 6

    def test_expected_numbers_keep_patterns_and_quorums_possible(self) -> None:
        workflow = Workflow(
            "w",
            [
                TaskSet("judge"),
                TaskSet(
                    "walk", tasks={"from": "judge", "at_most": 10, "expected": 3}, after="judge"
                ),
                TaskSet("few", after={"walk": {"quorum": 6}}),
            ],
        )
        planned = workflow.planned()
        assert planned["walk"].tasks == planned["few"].after[0].needed(3) == 3
        assert not planned.is_open
        assert workflow.with_tasks({"walk": 7})["walk"].tasks == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iterations": {"at_most": 3, "until": "nobody"}}, "iterations.until: there is no task"),
        ({"iterations": {"at_most": 3, "until": "walk"}}, "expected a set of one task"),
        ({"iterations": {"at_most": 0, "until": "judge"}}, "iterations.at_most: expected 1 to"),
        ({"iterations": {"at_most": 3}}, "iterations: the key 'until' is missing"),
        ({"iterations": {"until": "judge"}}, "iterations: the key 'at_most' is missing"),
        ({"iterations": {**UNTIL, "expected": 7}}, "iterations.expected: expected 1 to 6, found 7"),
        ({"iterations": {**UNTIL, "least": 7}}, "iterations.least: unknown key; expected until"),
        ({"iterations": {**UNTIL, "until": 5}}, "iterations.until: expected the name of a task"),
        ({"tasks": {"from": "nobody", "at_most": 3}}, "walk.tasks.from: there is no task set"),
        ({"tasks": {"from": "walk", "at_most": 3}}, "walk.tasks.from: expected a set of one task"),
        ({"tasks": {"from": "judge", "at_most": 3}, "after": None}, "expected walk to wait for"),
        ({"tasks": {"from": "judge"}}, "^tasks: the key 'at_most' is missing"),
        ({"tasks": {"from": "judge", "at_most": 2.5}}, "^tasks.at_most: expected a whole"),
        (
            {
                "tasks": {"from": "judge", "at_most": 3},
                "after": {"judge": {"iteration": "previous", "staleness": 1}},
            },
            "without staleness",
        ),
    ],
)
def test_what_cannot_decide_is_refused(change: dict[str, Any], message: str) -> None:
    iterations = change.pop("iterations", 2)
    values = {"tasks": 4, "after": {"judge": {"iteration": "previous"}}, **change}
    with pytest.raises(WorkflowError, match=message):
        Workflow("w", [TaskSet("walk", **values), TaskSet("judge")], iterations=iterations)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"tasks": 5, "after": {"walk": "each"}}, "each needs one number of tasks"),
        ({"tasks": 2, "after": {"walk": "group"}}, "group needs numbers of tasks that no result"),
        (
            {
                "tasks": {"from": "judge", "at_most": 5},
                "after": {"walk": "each", "judge": {"iteration": "previous"}},
            },
            "let both wait alike",
        ),
    ],
)
def test_patterns_need_to_know_the_numbers(step: dict[str, Any], message: str) -> None:
    walk = TaskSet("walk", tasks={"from": "judge", "at_most": 5}, after="judge")
    with pytest.raises(WorkflowError, match=message):
        Workflow("w", [TaskSet("judge"), walk, TaskSet("step", **step)])


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([TaskSet("b", after={"a": {"quorum": 1}})], "after.a.quorum: a runs at once with others"),
        ([TaskSet("b", tasks={"from": "a", "at_most": 3}, after="a")], "alone decides nothing"),
        (
            [
                TaskSet("judge"),
                TaskSet("b", tasks={"from": "judge", "at_most": 3}, after="judge", with_="c"),
                TaskSet("c"),
            ],
            "a number of tasks that no result decides",
        ),
    ],
)
def test_what_runs_at_once_is_taken_as_a_whole(sets: list[TaskSet], message: str) -> None:
    group = [TaskSet("a"), TaskSet("other", with_="a")]
    with pytest.raises(WorkflowError, match=message):
        Workflow("w", [*group, *sets])
    with pytest.raises(WorkflowError, match=r"iterations\.until: a runs at once with others"):
        Workflow("w", group, iterations={"at_most": 2, "until": "a"})


def test_a_group_that_had_half_finished_when_the_loop_converged_counts_as_dropped() -> None:
    workflow = Workflow(
        "w",
        [
            TaskSet("judge", duration=20, after=Dependency("short", previous=True, staleness=1)),
            TaskSet("short", duration=1, after=Dependency("judge", previous=True, staleness=1)),
            TaskSet("long", duration=50, with_="short"),
        ],
        iterations={"at_most": 5, "until": "judge", "expected": 1},
    )
    trace = simulate(workflow, WIDE, mode="task-level")
    check(trace)
    assert trace.complete
    half = {int(trace.task[row]) for row in np.flatnonzero(trace.outcome == Outcome.REVOKED)}
    assert half == {3 + 1}
    assert half <= trace.dropped.keys()


def test_sets_that_ask_the_same_expect_the_same() -> None:
    sets = [
        TaskSet("judge"),
        TaskSet("a", tasks={"from": "judge", "at_most": 5, "expected": 2}, after="judge"),
        TaskSet("b", tasks={"from": "judge", "at_most": 9, "expected": 3}, after="judge"),
    ]
    with pytest.raises(WorkflowError, match="expected: expected 2, as a has it, found 3"):
        Workflow("w", sets)


class TestLaws:
    @settings(max_examples=150, deadline=None)
    @given(
        case=open_cases(),
        mode=st.sampled_from(Mode),
        seed=st.integers(0, 3),
        stage_us=st.sampled_from([0, 500_000]),
    )
    def test_every_schedule_passes_the_checker(
        self, case: tuple[Workflow, Platform], mode: Mode, seed: int, stage_us: int
    ) -> None:
        workflow, platform = case
        overheads = Overheads(stage_us=stage_us)
        trace = simulate(workflow, platform, mode=mode, seed=seed, overheads=overheads)
        check(trace, slack_us=1000 * stage_us)
        assert trace.complete
        prepared = Simulator(workflow, platform, mode=mode, overheads=overheads)
        assert prepared.makespan_us(seed) == trace.ttx_us
        again = simulate(workflow, platform, mode=mode, seed=seed, overheads=overheads)
        assert (trace.task.tolist(), trace.ended_us.tolist(), trace.dropped) == (
            again.task.tolist(),
            again.ended_us.tolist(),
            again.dropped,
        )

    @settings(max_examples=100, deadline=None)
    @given(case=open_cases(), mode=st.sampled_from(Mode))
    def test_the_bounds_of_the_model_hold(
        self, case: tuple[Workflow, Platform], mode: Mode
    ) -> None:
        workflow, platform = case
        steady = workflow.at_means()
        bounds = model_of(steady, platform).bounds
        assert bounds is not None
        assert simulate(steady, platform, mode=mode).ttx_us >= bounds.best_us

    @pytest.mark.parametrize(
        ("enough", "others"), [(0.7, 4), (0.5, 0.55), (3, 0.7), (0.8, "all"), (4, 6)]
    )
    def test_no_number_of_tasks_lets_one_cancel_what_another_waits_for(
        self, enough: Any, others: Any
    ) -> None:
        other = "all" if others == "all" else {"quorum": others}
        cancels = {"open": {"quorum": enough, "stragglers": "cancel"}}
        description = {
            "name": "w",
            "task_sets": {
                "judge": {},
                "open": {"tasks": {"from": "judge", "at_most": 6}, "after": "judge"},
                "one": {"after": cancels},
                "other": {"after": {"open": other}},
            },
        }
        with pytest.raises(WorkflowError, match="would cancel tasks of open that other waits for"):
            workflow_from_mapping(description, folder=".")

    @settings(max_examples=60, deadline=None)
    @given(case=open_cases())
    def test_descriptions_are_written_back(self, case: tuple[Workflow, Platform]) -> None:
        workflow, _ = case
        assert workflow_from_mapping(workflow_to_mapping(workflow), folder=".") == workflow
        planned = workflow.planned()
        assert not planned.is_open
        assert planned.n_tasks <= workflow.n_tasks


class TestChecker:
    def told(self, trace: Trace, *words: str) -> None:
        found = violations(trace)
        assert any(all(word in sentence for word in words) for sentence in found), found

    def test_dropping_what_is_wanted_is_found(self) -> None:
        trace = simulate(loop(), WIDE)
        unsaid = trace.told[14]._replace(converged=False)
        self.told(replace(trace, told={**trace.told, 14: unsaid}), "walk[3].0 was dropped, and")

    def test_launching_what_is_not_wanted_is_found(self) -> None:
        trace = simulate(loop(), WIDE)
        early = trace.told[4]._replace(converged=True)
        self.told(replace(trace, told={**trace.told, 4: early}), "judge[1].0 was launched when")

    def test_a_verdict_that_is_missing_or_not_due_is_found(self) -> None:
        trace = simulate(loop(), WIDE)
        some = {task: told for task, told in trace.told.items() if task != 4}
        self.told(replace(trace, told=some), "judge[0].0 has not said whether")
        wrong = {**trace.told, 0: Told(0, 99 * SECOND_US, False, None)}
        self.told(replace(trace, told=wrong), "walk[0].0 said how to go on")

    def test_other_numbers_than_were_said_are_found(self) -> None:
        trace = simulate(counted(expected=2), WIDE)
        more = {**trace.told, 0: trace.told[0]._replace(tasks=4)}
        self.told(replace(trace, told=more), "walk[0].2 was dropped, and was wanted")
        fewer = {**trace.told, 0: trace.told[0]._replace(tasks=1)}
        self.told(replace(trace, told=fewer), "step[0].1 was launched when it was not wanted")


class TestAnswers:
    def answer(self, workflow: Workflow, result: Any, output: str = "", task: int = 0) -> Any:
        state = Driven(workflow).state
        path = Path(self.folder) / "out"
        path.write_text(output)
        answers = Answers(state, lambda _, __: str(path))
        return answers(Exited(task, 1, 5, None, result), 7)

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def test_a_returned_mapping_decides(self) -> None:
        told = self.answer(loop(), {"converged": True, "loss": 0.1}, task=4)
        assert told == Told(4, 7, True, None)
        assert self.answer(counted(), {"tasks": 0}) == Told(0, 7, None, 0)
        assert self.answer(loop(), {"converged": True}, task=0) is None, "nobody asks a walk"

    def test_numbers_of_other_libraries_are_numbers(self) -> None:
        numpy = pytest.importorskip("numpy")
        told = self.answer(loop(), {"converged": numpy.bool_(True)}, task=4)
        assert told.converged is True
        assert self.answer(counted(), {"tasks": numpy.int64(3)}).tasks == 3

    def test_the_last_line_that_is_not_blank_decides(self) -> None:
        said = 'noise\n{"converged": false}\n{"converged": true}\n \n\n'
        assert self.answer(loop(), None, said, task=4).converged is True
        long = "x" * 100_000 + '\n{"tasks": 2}'
        assert self.answer(counted(), None, long).tasks == 2

    @pytest.mark.parametrize(
        ("result", "output", "message"),
        [
            (None, "", 'expected a result such as {"converged": false}, found None'),
            (None, "all is well\n", "found 'all is well'"),
            (None, "[true]\n", r"found \[True\]"),
            ({"done": True}, "", "converged true or false, found None"),
            ({"converged": 1}, "", "converged true or false, found 1"),
            ("yes", "", "found 'yes'"),
        ],
    )
    def test_what_does_not_say_it_is_no_result(
        self, result: Any, output: str, message: str
    ) -> None:
        with pytest.raises(Unanswered, match=message):
            self.answer(loop(), result, output, task=4)

    @pytest.mark.parametrize("tasks", [6, -1, 2.0, "3", None, True])
    def test_a_number_beyond_the_limit_is_refused(self, tasks: Any) -> None:
        with pytest.raises(Unanswered, match="expected a result with tasks from 0 to 5, found"):
            self.answer(counted(), {"tasks": tasks})

    def test_a_loop_that_has_converged_needs_no_number(self) -> None:
        workflow = counted(previous=True)
        mapping = workflow_to_mapping(workflow)
        mapping["iterations"] = {"at_most": 3, "until": "judge"}
        both = workflow_from_mapping(mapping)
        assert self.answer(both, {"converged": True}) == Told(0, 7, True, None)
        assert self.answer(both, {"converged": False, "tasks": 4}) == Told(0, 7, False, 4)
        with pytest.raises(Unanswered, match="tasks from 0 to 5"):
            self.answer(both, {"converged": False})
