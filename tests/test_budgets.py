"""Failure budgets: what they mean, what becomes of those that wait, and how it is told."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

import stretto
from stretto import Dependency, Mode, Node, Platform, TaskSet, Workflow, WorkflowError
from stretto.analysis import budgets_used, check, violations
from stretto.platform import Overheads
from stretto.report import write_report
from stretto.runtime import Ending
from stretto.scheduler import (
    Dropped,
    Failed,
    Finished,
    Forgiven,
    ImpossibleEvent,
    Resumed,
    Started,
    State,
    Status,
    decide,
    excused,
    gated_sets,
    why,
)
from stretto.simulator import simulate
from stretto.trace import Outcome, Pardon, Trace
from stretto.workflow import Budget, expand, parse_workflow, write_workflow
from tests.commands import called
from tests.workflows import FailingWorld

SLACK_US = 60_000_000
WIDE = Platform("wide", (Node("n0", 64, 0, 0),))
ALL_MODES = list(Mode)


def ensemble(*, failures: int | str = 1, tasks: int = 4, retries: int = 0) -> Workflow:
    """An ensemble, and one of each that can wait for it."""
    return Workflow(
        "ensemble",
        [
            TaskSet("member", tasks=tasks, duration=5, failures=failures, retries=retries),
            TaskSet("each", tasks=tasks, duration=1, after={"member": "each"}),
            TaskSet("pair", tasks=tasks // 2, duration=1, after={"member": "group"}),
            TaskSet("whole", duration=1, after=["member", "each"]),
        ],
    )


class UnevenWorld(NamedTuple):
    """Tasks that take so many seconds, or one; the attempts of one fail."""

    seconds: dict[int, int]
    failing: int

    def outcome(self, task: int, attempt: int) -> tuple[int, str | None]:
        why = "it was told to" if task == self.failing else None
        return self.seconds.get(task, 1) * 1_000_000, why


def simulated(workflow: Workflow, failing: set[int], mode: Mode = Mode.ASYNCHRONOUS) -> Trace:
    """Return a trace in which the first attempts of these tasks fail."""
    attempts = frozenset((task, 1) for task in failing)
    trace = simulate(workflow, WIDE, mode=mode, world=FailingWorld(expand(workflow), 0, attempts))
    check(trace)
    return trace


def finished(trace: Trace) -> set[str]:
    name = trace.expansion().task_name
    return {name(task) for task in trace.task[trace.outcome == Outcome.FINISHED].tolist()}


class TestMeaning:
    @pytest.mark.parametrize("mode", ALL_MODES)
    def test_who_waits_for_the_whole_goes_on_who_lost_its_only_input_is_dropped(
        self, mode: Mode
    ) -> None:
        trace = simulated(ensemble(), {2}, mode)
        assert trace.done
        assert not trace.complete
        assert trace.n_forgiven == 1
        names = [trace.expansion().task_name(task) for task in trace.dropped]
        assert names == ["each[0].2"]
        assert {"pair[0].0", "pair[0].1", "whole[0].0"} <= finished(trace)

    @pytest.mark.parametrize("mode", ALL_MODES)
    def test_a_block_without_any_result_is_dropped_too(self, mode: Mode) -> None:
        trace = simulated(ensemble(failures="50%"), {2, 3}, mode)
        assert trace.done
        assert finished(trace) == {
            *("member[0].0", "member[0].1", "each[0].0", "each[0].1", "pair[0].0", "whole[0].0")
        }

    @pytest.mark.parametrize("mode", ALL_MODES)
    def test_beyond_the_budget_nothing_is_forgiven(self, mode: Mode) -> None:
        trace = simulated(ensemble(), {2, 3}, mode)
        assert not trace.done
        assert not trace.pardons
        assert not trace.dropped
        assert "whole[0].0" not in finished(trace)
        by_task = mode.by_task
        assert ("pair[0].0" in finished(trace)) == by_task
        assert "pair[0].1" not in finished(trace)

    def test_single_inputs_are_not_waited_for_longer_than_without_a_failure(self) -> None:
        slow = Workflow(
            "slow",
            [
                TaskSet("member", tasks=4, duration={"mean": 50, "sd": 20}, failures=1),
                TaskSet("each", tasks=4, duration=1, after={"member": "each"}),
            ],
        )
        with_failure = simulated(slow, {0}, Mode.TASK_LEVEL)
        without = simulated(slow, set(), Mode.TASK_LEVEL)
        for task in (5, 6, 7):
            (row,), (other,) = ((one.task == task).nonzero()[0] for one in (with_failure, without))
            assert with_failure.launched_us[row] == without.launched_us[other]

    def test_retries_come_before_the_budget(self) -> None:
        trace = simulated(ensemble(failures=0, retries=1), {0, 1, 2, 3})
        assert trace.complete
        assert trace.pardons == ()

    def test_it_holds_for_each_iteration_anew(self) -> None:
        loop = Workflow(
            "loop",
            [TaskSet("a", tasks=2, duration=1, failures=1, after={"a": {"iteration": "previous"}})],
            iterations=3,
        )
        trace = simulated(loop, {0, 3, 4})
        assert trace.done
        assert [pardon.instance for pardon in trace.pardons] == [0, 1, 2]

    def test_dropping_goes_on_along_a_chain(self) -> None:
        names = ["a", "b", "c", "d"]
        sets = [TaskSet("a", tasks=3, duration=1, failures=1)]
        sets += [
            TaskSet(one, tasks=3, duration=1, after={before: "each"})
            for before, one in pairwise(names)
        ]
        sets.append(TaskSet("end", duration=1, after="d"))
        trace = simulated(Workflow("chain", sets), {1}, Mode.TASK_LEVEL)
        assert list(trace.dropped) == [4, 7, 10]
        assert "end[0].0" in finished(trace)

    @pytest.mark.parametrize("mode", ALL_MODES)
    @pytest.mark.parametrize(("bad", "used"), [({2}, 1), ({2, 6}, None)])
    def test_input_that_may_be_old_can_be_done_without(
        self, mode: Mode, bad: set[int], used: int | None
    ) -> None:
        """Models 2 and 6 are those of the last run's first task, of the first two iterations."""
        model = {"model": {"pattern": "each", "iteration": "previous", "staleness": 1}}
        sets = [
            TaskSet("run", tasks=2, duration=10, after=model),
            TaskSet("model", tasks=2, duration=1, failures=1, after={"run": "all"}),
        ]
        trace = simulated(Workflow("w", sets, iterations=3), bad, mode)
        assert trace.done
        assert not trace.dropped
        inputs = {int(trace.task[row]): dict(one)["model"] for row, one in trace.inputs.items()}
        assert inputs[8] == (used if mode.by_task else 1)
        assert inputs[9] == 1

    @pytest.mark.parametrize("mode", ALL_MODES)
    def test_a_quorum_that_failures_made_unreachable_opens_when_they_are_forgiven(
        self, mode: Mode
    ) -> None:
        sets = [
            TaskSet("a", tasks=4, duration=5, failures="50%"),
            TaskSet("b", duration=1, after=Dependency("a", quorum=3)),
        ]
        trace = simulated(Workflow("w", sets), {0, 3}, mode)
        assert trace.done
        assert trace.launched_us.tolist()[-1] == 5_000_000
        assert trace.present[len(trace) - 1] == (("a", 0, 0b0110),)
        early = replace(trace, pardons=(Pardon(0, 5_000_001),))
        assert "less than enough" in "\n".join(violations(early))

    @pytest.mark.parametrize("mode", [mode for mode in ALL_MODES if mode.by_task])
    def test_stragglers_are_cancelled_when_a_failure_makes_less_than_before_enough(
        self, mode: Mode
    ) -> None:
        """Of six tasks four are enough; of five, when the last has no input, three."""
        sets = [
            TaskSet("a", tasks=6, duration=1, failures=1),
            TaskSet("b", tasks=6, duration=1, after={"a": "each"}),
            TaskSet("c", duration=1, after=Dependency("b", quorum=0.6, stragglers="cancel")),
        ]
        world = UnevenWorld({3: 9, 5: 3, 9: 20, 10: 20}, failing=5)
        trace = simulate(Workflow("w", sets), WIDE, mode=mode, world=world)
        check(trace, slack_us=SLACK_US)
        assert trace.done
        assert sorted(trace.dropped) == [9, 10, 11]
        assert set(trace.dropped.values()) == {9_000_000}

    @pytest.mark.parametrize("mode", ALL_MODES)
    def test_a_loop_until_something_is_so_goes_on_within_the_budget(self, mode: Mode) -> None:
        previous = Dependency("judge", previous=True)
        sets = [
            TaskSet("a", tasks=4, duration=5, failures="25%", after=previous),
            TaskSet("judge", duration=1, after="a"),
        ]
        loop = {"at_most": 4, "until": "judge", "expected": 2}
        trace = simulated(Workflow("w", sets, iterations=loop), {1, 8}, mode)
        assert trace.done
        assert [pardon.instance for pardon in trace.pardons] == [0, 2]
        assert sorted(trace.dropped) == list(range(10, 20))
        beyond = simulated(Workflow("w", sets, iterations=loop), {1, 7, 8}, mode)
        assert not beyond.done
        assert finished(beyond) == {"a[0].0", "a[0].2", "a[0].3", "judge[0].0", "a[1].0", "a[1].1"}

    @pytest.mark.parametrize("mode", ALL_MODES)
    @pytest.mark.parametrize(("bad", "done"), [({1}, True), ({1, 3}, False)])
    def test_a_share_is_one_of_as_many_tasks_as_a_result_has_said(
        self, mode: Mode, bad: set[int], done: bool
    ) -> None:
        """One of three, and not three of six."""
        count = {"from": "chooser", "at_most": 6, "expected": 3}
        sets = [
            TaskSet("chooser", duration=1),
            TaskSet("work", tasks=count, duration=1, failures="50%", after="chooser"),
            TaskSet("end", duration=1, after="work"),
        ]
        trace = simulated(Workflow("w", sets), bad, mode)
        assert trace.done == done
        assert ("end[0].0" in finished(trace)) == done

    @pytest.mark.parametrize("open_end", ["iterations", "tasks"])
    def test_a_result_that_decides_cannot_be_done_without(self, open_end: str) -> None:
        iterations = {"at_most": 4, "until": "judge"} if open_end == "iterations" else 1
        tasks = {"from": "judge", "at_most": 4} if open_end == "tasks" else 1
        sets = [
            TaskSet("judge", failures=1),
            TaskSet("work", tasks=tasks, after="judge"),
        ]
        with pytest.raises(WorkflowError, match="judge has a budget of failures, and no other"):
            Workflow("w", sets, iterations=iterations)

    @pytest.mark.parametrize("mode", ALL_MODES)
    def test_whose_number_was_for_a_dropped_task_to_say_is_dropped_too(self, mode: Mode) -> None:
        count = {"from": "chooser", "at_most": 3, "expected": 2}
        sets = [
            TaskSet("setup", duration=1, failures=1),
            TaskSet("chooser", duration=1, after={"setup": "each"}),
            TaskSet("work", tasks=count, duration=1, after="chooser"),
            TaskSet("end", duration=1, after="work"),
        ]
        trace = simulated(Workflow("w", sets), {0}, mode)
        assert trace.done
        assert sorted(trace.dropped) == [1, 2, 3, 4]
        assert finished(trace) == {"end[0].0"}

    def test_a_stage_comes_late_after_a_forgiven_one_too(self) -> None:
        sets = [
            TaskSet("a", tasks=2, duration=1, failures=1),
            TaskSet("b", tasks=2, duration=1, after={"a": "each"}),
            TaskSet("c", duration=1, after="b"),
        ]
        workflow = Workflow("w", sets)
        world = FailingWorld(expand(workflow), 0, frozenset({(0, 1)}))
        trace = simulate(workflow, WIDE, world=world, overheads=Overheads(stage_us=500_000))
        check(trace, slack_us=SLACK_US)
        assert trace.done
        assert trace.launched_us.tolist() == [0, 0, 1_500_000, 3_000_000]

    @pytest.mark.parametrize(
        ("value", "tasks", "may"),
        [(0, 9, 0), (3, 9, 3), ("10%", 19, 1), ("10%", 9, 0), ("12.5 %", 8, 1), ("100%", 7, 7)],
    )
    def test_a_share_is_rounded_down(self, value: int | str, tasks: int, may: int) -> None:
        assert TaskSet("a", failures=value).failures.of(tasks) == may

    @pytest.mark.parametrize("value", [-1, 1.5, True, "ten", "101%", "-1%", "1", None, "1.2345%"])
    def test_what_is_no_budget_is_refused(self, value: object) -> None:
        with pytest.raises(WorkflowError, match="failures: expected"):
            TaskSet("a", failures=value)  # type: ignore[arg-type]

    def test_it_is_read_and_written(self) -> None:
        text = "name: w\ntask_sets: {a: {failures: 12.5%}, b: {failures: 3}, c: {}}\n"
        workflow = parse_workflow(text)
        assert [one.failures for one in workflow.task_sets] == [
            Budget(percent_milli=12_500),
            Budget(tasks=3),
            Budget(),
        ]
        assert parse_workflow(write_workflow(workflow)) == workflow
        assert "failures" not in write_workflow(workflow).partition("c:")[2]

    def test_a_mistake_has_its_line(self) -> None:
        with pytest.raises(WorkflowError, match=r"text:3: task_sets\.a\.failures: expected a num"):
            parse_workflow("name: w\ntask_sets:\n  a: {failures: some}\n")


def state_of(workflow: Workflow, mode: Mode = Mode.TASK_LEVEL) -> State:
    sets = gated_sets(expand(workflow), mode)
    return State(sets, WIDE.nodes, [0] * len(sets))


class TestState:
    def failed(self, *tasks: int, failures: int = 1) -> State:
        state = state_of(ensemble(failures=failures))
        decide(state, 0)
        for task in range(4):
            if task in tasks:
                state.apply(Failed(task, 1, 5, "why"))
            else:
                state.apply(Started(task, 1, 0))
                state.apply(Finished(task, 1, 5))
        return state

    def test_what_follows_are_events(self) -> None:
        state = self.failed(2)
        assert excused(state, 7) == [
            Forgiven(0, 7),
            Dropped(6, 7, "member[0] has no result for it"),
        ]
        assert excused(state, 8) == []

    def test_a_resume_tries_again_what_was_not_forgiven_and_nothing_else(self) -> None:
        for tasks in ([2], [2, 3]):
            state = self.failed(*tasks)
            excused(state, 5)
            for launched in decide(state, 5):
                state.apply(Finished(launched.task, launched.attempt, 6))
            excused(state, 6)
            for launched in decide(state, 6):
                state.apply(Finished(launched.task, launched.attempt, 7))
            assert state.done == (len(tasks) == 1)
            state.apply(Resumed(8))
            again = [] if len(tasks) == 1 else [(2, 2), (3, 2)]
            assert [(one.task, one.attempt) for one in decide(state, 8)] == again

    def test_what_is_not_due_cannot_be_forgiven(self) -> None:
        for state in (self.failed(), self.failed(2, 3), state_of(ensemble())):
            with pytest.raises(ImpossibleEvent, match="Forgiven"):
                state.apply(Forgiven(0, 9))

    def test_the_story_tells_it(self) -> None:
        state = self.failed(2, failures=2)
        excused(state, 5)
        assert why(state, 2) == (
            "It failed 1 time, with 0 retries allowed; "
            "member[0] counts as complete without it, since 2 tasks of it may fail."
        )
        over = self.failed(1, 2, 3, failures=2)
        assert "member[0] (3 of 4 to finish, 3 of them failed for good, 2 may)" in why(over, 10)

    def test_a_share_is_one_of_the_tasks_that_were_not_dropped(self) -> None:
        state = state_of(ensemble(failures="50%"))
        for task in (0, 1):
            state.apply(Dropped(task, 0, "too many"))
        excused(state, 0)
        decide(state, 0)
        for task in (2, 3):
            state.apply(Failed(task, 1, 5, "why"))
        assert not [event for event in excused(state, 5) if isinstance(event, Forgiven)]


class TestDropped:
    """What is dropped otherwise has the same consequences."""

    def test_the_last_task_of_a_set_completes_it(self) -> None:
        flow = Workflow("w", [TaskSet("a", tasks=2), TaskSet("b", after="a")])
        state = state_of(flow)
        decide(state, 0)
        state.apply(Finished(0, 1, 1))
        state.apply(Failed(1, 1, 1, "why"))
        state.apply(Resumed(2))
        state.apply(Dropped(1, 2, "nobody wants it"))
        assert [one.task for one in decide(state, 2)] == [2]

    def test_a_set_that_is_dropped_whole_keeps_its_place_in_the_order(self) -> None:
        for mode in ALL_MODES:
            flow = Workflow("w", [TaskSet("a"), TaskSet("b", after="a"), TaskSet("c", after="b")])
            state = state_of(flow, mode)
            state.apply(Dropped(1, 0, "nobody wants it"))
            assert [one.task for one in decide(state, 0)] == [0]
            state.apply(Finished(0, 1, 1))
            assert [one.task for one in decide(state, 1)] == [2]

    def test_a_long_loop_that_is_dropped_is_no_deep_one(self) -> None:
        loop = TaskSet("a", after={"a": {"iteration": "previous"}})
        state = state_of(Workflow("w", [loop], iterations=5000))
        for task in range(1, 4999):
            state.apply(Dropped(task, 0, "converged"))
        decide(state, 0)
        state.apply(Finished(0, 1, 1))
        assert [one.task for one in decide(state, 1)] == [4999]

    def test_its_partner_is_dropped_and_stays_so_when_its_other_input_comes(self) -> None:
        sets = [
            TaskSet("a", tasks=2, failures=1),
            TaskSet("b", tasks=2),
            TaskSet("c", tasks=2, after={"a": "each", "b": "each"}),
        ]
        state = state_of(Workflow("w", sets))
        decide(state, 0)
        state.apply(Failed(0, 1, 1, "why"))
        state.apply(Finished(1, 1, 1))
        assert excused(state, 1) == [Forgiven(0, 1), Dropped(4, 1, "a[0] has no result for it")]
        for task in (2, 3):
            state.apply(Finished(task, 1, 1))
        assert [one.task for one in decide(state, 1)] == [5]
        assert state.status[4] == Status.DROPPED


class TestGroups:
    """Sets that run at once do without none of their tasks."""

    SETS = (
        TaskSet("prepare", tasks=2, duration=1, failures=1),
        TaskSet("produce", tasks=2, duration=5, after={"prepare": "each"}),
        TaskSet("consume", duration=5, with_="produce"),
        TaskSet("copy", tasks=2, duration=1, after={"produce": "each"}),
        TaskSet("end", duration=1, after="consume"),
    )

    @pytest.mark.parametrize("mode", ALL_MODES)
    def test_a_group_is_dropped_whole(self, mode: Mode) -> None:
        trace = simulated(Workflow("w", self.SETS), {1}, mode)
        assert trace.done
        assert finished(trace) == {"prepare[0].0", "end[0].0"}
        assert set(trace.dropped) == {2, 3, 4, 5, 6}

    def test_each_of_a_group_is_told_why(self) -> None:
        state = state_of(Workflow("w", self.SETS))
        decide(state, 0)
        state.apply(Finished(0, 1, 1))
        state.apply(Failed(1, 1, 1, "why"))
        reasons = {one.task: one.reason for one in excused(state, 1) if isinstance(one, Dropped)}
        joined = "produce[0] is dropped, with which it runs at once"
        assert reasons == {
            2: joined,
            3: "prepare[0] has no result for it",
            4: joined,
            5: "produce[0] has no result for it",
            6: "produce[0] has no result for it",
        }

    def test_no_set_of_a_group_has_a_budget(self) -> None:
        sets = [TaskSet("a", failures="10%", tasks=20), TaskSet("b", with_="a")]
        with pytest.raises(WorkflowError, match=r"task_sets\.a\.failures: a set that runs at once"):
            Workflow("w", sets)


FLOW = """\
name: budget
task_sets:
  member:
    tasks: 6
    duration: 1
    command: "test -e mended -o {task} -ge LIMIT && echo data > {run_dir}/{task}"
    shell: true
    failures: 20%
  pair:
    tasks: 3
    duration: 1
    command: "echo {inputs.member} {missing.member}"
    shell: true
    after: {member: group}
  each: {tasks: 6, duration: 1, command: "cat {run_dir}/{task}", shell: true, after: {member: each}}
  whole: {duration: 1, function: "stages:tell", after: [member, each]}
"""
STAGES = """\
def tell(missing, inputs, run_dir):
    with open(f"{run_dir}/told", "w") as file:
        print(sorted(missing.items()), sorted(inputs.items()), file=file)
"""


class TestRuns:
    def begin(self, folder: Path, *, bad: int, mode: str = "asynchronous") -> int:
        (folder / "flow.yaml").write_text(FLOW.replace("LIMIT", str(bad)))
        (folder / "stages.py").write_text(STAGES)
        return called(
            *("run", "flow.yaml", "--platform", "local:3", "--run-dir", "run", "--mode", mode),
            folder=folder,
        ).returncode

    @pytest.mark.parametrize("mode", [mode.value for mode in Mode])
    def test_a_run_within_its_budgets_is_done(self, tmp_path: Path, mode: str) -> None:
        assert self.begin(tmp_path, bad=1, mode=mode) == 0
        run_dir = tmp_path / "run"
        trace = stretto.read_trace(run_dir / "journal.jsonl")
        check(trace, slack_us=SLACK_US)
        assert trace.done
        told = (run_dir / "told").read_text()
        assert told == "[('each', [0]), ('member', [0])] [('each', 0), ('member', 0)]\n"
        pairs = [(run_dir / f"tasks/pair/0/{n}.1.out").read_text() for n in range(3)]
        assert pairs == ["0 0\n", "0 none\n", "0 none\n"]
        status = called("status", run_dir).stdout
        assert "is done: 14 of 15 tasks finished, 0 in flight, 0 failed, 1 forgiven, 1 dropped" in (
            status
        )
        page = (run_dir / "report.html").read_text()
        assert "member[0] counts as complete: 1 of 6 tasks failed, 20% may" in page
        before = (run_dir / "journal.jsonl").read_bytes()
        resumed = called("resume", run_dir)
        assert resumed.returncode == 0
        assert "member[0] counts as complete: 1 of 6 tasks failed, 20% may" in resumed.stdout
        assert (run_dir / "journal.jsonl").read_bytes() == before
        dropped = called("explain", run_dir, "each.0").stdout
        assert "dropped: member[0] has no result for it" in dropped

    def test_beyond_the_budget_it_has_failed_and_a_resume_tries_all_of_them_again(
        self, tmp_path: Path
    ) -> None:
        assert self.begin(tmp_path, bad=2) == 1
        (tmp_path / "mended").touch()
        assert called("resume", tmp_path / "run").returncode == 0
        trace = stretto.read_trace(tmp_path / "run/journal.jsonl")
        check(trace, slack_us=SLACK_US)
        assert trace.complete
        assert trace.pardons == ()

    def test_in_python_it_is_done_as_well(self, tmp_path: Path) -> None:
        flow = Workflow("w", [TaskSet("a", tasks=3, command="false", failures=3)], folder=tmp_path)
        ended = stretto.run(flow, run_dir=tmp_path / "run")
        assert ended.ending is Ending.DONE
        assert budgets_used(ended.trace) == [
            "a[0] counts as complete: 3 of 3 tasks failed, 3 may",
        ]

    def test_a_field_asks_only_for_what_is_waited_for(self) -> None:
        with pytest.raises(WorkflowError, match=r"\{missing.c\}, but a does not wait for c"):
            TaskSet("a", command="x {missing.c}")


class TestChecker:
    def told(self, trace: Trace, text: str) -> None:
        found = violations(trace)
        assert any(text in sentence for sentence in found), found

    def test_more_than_is_allowed_is_told(self) -> None:
        trace = simulated(ensemble(), {2})
        small = replace(trace, workflow=ensemble(failures="20%"))
        self.told(small, "member[0] was forgiven 1 failures of 4 tasks, 0 are allowed")

    def test_what_was_forgiven_too_early_is_told(self) -> None:
        trace = simulated(ensemble(), {2})
        early = replace(trace, pardons=(Pardon(0, 4_000_000),))
        self.told(early, "member[0] was forgiven before member[0].0 had ended")

    def test_what_goes_on_though_nothing_was_forgiven_is_told(self) -> None:
        trace = simulated(ensemble(), {2})
        self.told(replace(trace, pardons=()), "before member had finished (never)")

    def test_what_runs_without_any_input_is_told(self) -> None:
        trace = simulated(ensemble(), {2})
        (row,) = (trace.task == 5).nonzero()[0]
        task = trace.task.copy()
        task[row] = 6
        self.told(replace(trace, task=task), "each[0].2 was launched without any result of member")
        self.told(replace(trace, task=task), "each[0].2 has finished and was dropped")

    def test_what_is_dropped_though_it_has_input_is_told(self) -> None:
        trace = simulated(ensemble(), {2})
        kept = (trace.task != 5).nonzero()[0]
        columns = ("task", "attempt", "launched_us", "started_us", "ended_us", "outcome")
        less = {name: getattr(trace, name)[kept] for name in columns}
        less["placements"] = [trace.placements[row] for row in kept]
        other = replace(trace, dropped=dict.fromkeys((5, 6), 5_000_000), **less)
        self.told(other, "each[0].1 was dropped, and was wanted")
        early = replace(trace, dropped={6: 4_999_999})
        self.told(early, "each[0].2 was dropped, and was wanted")


def test_the_report_of_a_simulation_tells_it(tmp_path: Path) -> None:
    page = write_report(tmp_path / "r.html", [simulated(ensemble(), {2})]).read_text()
    assert "member[0] counts as complete: 1 of 4 tasks failed, 1 may" in page
    assert "1 task dropped" in page
