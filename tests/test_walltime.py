"""Runs with a walltime: nothing is begun that cannot end, and what is left can be gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import stretto
from stretto import (
    Mode,
    Node,
    Order,
    Overheads,
    Platform,
    Resources,
    TaskSet,
    Workflow,
    WorkflowError,
)
from stretto.analysis import check
from stretto.cli.remaining import walltime_left
from stretto.runtime import Ending
from stretto.scheduler import (
    Finished,
    Launched,
    Limited,
    Resumed,
    State,
    decide,
    gated_sets,
    unstarted,
    until_us,
    why,
)
from stretto.simulator import simulate
from stretto.trace import Outcome, Trace, read_events
from stretto.workflow import expand
from tests.commands import called, left_over

SECOND_US = 1_000_000
SLACK_US = 10**10
SCALE = 5000
WIDE = Resources(cores=2)
ONE = Platform("one", (Node("n0", 1, 0, 0),))


def state_of(*sets: TaskSet, strict: bool = False, on: Platform = ONE) -> State:
    gated = gated_sets(expand(Workflow("w", sets)), Mode.TASK_LEVEL)
    return State(gated, on.nodes, [0] * len(sets), strict=strict)


def launched(state: State, now_us: int) -> list[int]:
    return [one.task for one in decide(state, now_us)]


class TestDecisions:
    """Ten seconds are left."""

    LIMIT = Limited(10 * SECOND_US, 0)

    @pytest.mark.parametrize(("duration", "fits"), [(9, True), (9.09, True), (9.2, False)])
    def test_a_task_must_fit_with_a_margin_of_ten_per_cent(
        self, duration: float, fits: bool
    ) -> None:
        state = state_of(TaskSet("a", duration=duration))
        state.apply(self.LIMIT)
        assert launched(state, 0) == [0] * fits

    def test_what_is_shorter_is_launched_in_its_place(self) -> None:
        state = state_of(TaskSet("long", duration=50), TaskSet("short", duration=5))
        state.apply(self.LIMIT)
        assert launched(state, 0) == [1]

    def test_unknown_durations_are_launched_as_long_as_there_is_time(self) -> None:
        for now_us, tasks in ((9_999_999, [0]), (10_000_000, [])):
            state = state_of(TaskSet("a"))
            state.apply(self.LIMIT)
            assert launched(state, now_us) == tasks

    def test_tasks_may_overrun_if_told(self) -> None:
        state = state_of(TaskSet("a", duration=50))
        state.apply(self.LIMIT._replace(overrun=True))
        assert launched(state, 0) == [0]

    def test_what_cannot_end_in_time_holds_up_no_strict_order(self) -> None:
        sets = [TaskSet("long", duration=50), TaskSet("a", duration=1), TaskSet("b", duration=1)]
        two = Platform("two", (Node("n0", 2, 0, 0),))
        state = state_of(*sets, strict=True, on=two)
        state.apply(self.LIMIT)
        assert launched(state, 0) == [1, 2]

    def test_time_that_passes_lets_others_pass_in_a_strict_order(self) -> None:
        sets = [TaskSet("busy", duration=9), TaskSet("wide", duration=5, resources=WIDE)]
        two = Platform("two", (Node("n0", 2, 0, 0),))
        state = state_of(*sets, TaskSet("short", duration=1), strict=True, on=two)
        state.apply(self.LIMIT)
        assert launched(state, 0) == [0]
        assert launched(state, 4 * SECOND_US) == []
        assert launched(state, 5 * SECOND_US) == [2]

    def test_of_a_group_all_must_end_in_time(self) -> None:
        two = Platform("two", (Node("n0", 2, 0, 0),))
        for duration, tasks in ((9, [0, 1]), (9.2, [])):
            state = state_of(
                TaskSet("a", duration=1), TaskSet("b", duration=duration, with_="a"), on=two
            )
            state.apply(self.LIMIT)
            assert launched(state, 0) == tasks
        assert "it takes about 9.2 s" in why(state, 0)

    def test_a_resumed_run_has_no_limit_but_a_new_one(self) -> None:
        state = state_of(TaskSet("a", duration=50))
        state.apply(self.LIMIT)
        assert launched(state, 0) == []
        state.apply(Resumed(1))
        assert launched(state, 1) == [0]

    def test_it_is_explained(self) -> None:
        state = state_of(TaskSet("a", duration=50))
        state.apply(self.LIMIT)
        assert why(state, 0, now_us=4_500_000) == (
            "It is ready, but cannot end in time: it takes about 50 s, and 5.5 s are left of the "
            "walltime (10 % more than expected must fit)."
        )
        unknown = state_of(TaskSet("a"))
        unknown.apply(self.LIMIT)
        assert "cannot end in time: 0 s are left" in why(unknown, 0, now_us=11_000_000)

    def test_what_is_left_is_told_set_by_set(self) -> None:
        state = state_of(*(TaskSet(f"s{n}", tasks=n + 1) for n in range(10)))
        assert launched(state, 0) == [0]
        state.apply(Finished(0, 1, 1))
        assert unstarted(state) == (
            "s1[0] (2 tasks), s2[0] (3 tasks), s3[0] (4 tasks), s4[0] (5 tasks), s5[0] (6 tasks), "
            "s6[0] (7 tasks), s7[0] (8 tasks), s8[0] (9 tasks), 1 set more"
        )


FLOW = Workflow(
    "w",
    [
        TaskSet("a", tasks=3, duration=100),
        TaskSet("b", duration=50, after="a"),
        TaskSet("c", duration=5000, after="a"),
    ],
)


class TestSimulation:
    def test_it_stops_before_what_cannot_end(self) -> None:
        trace = simulate(FLOW, ONE, walltime="8m")
        check(trace)
        assert not trace.complete
        assert trace.ttx_us == 350 * SECOND_US
        assert [note.text for note in trace.notes] == [
            "stopped by its walltime; still to be launched: c[0] (1 task)"
        ]

    def test_enough_time_changes_nothing(self) -> None:
        trace = simulate(FLOW, ONE, walltime=6000)
        free = simulate(FLOW, ONE)
        assert trace.complete
        assert trace.notes == ()
        assert trace.ended_us.tolist() == free.ended_us.tolist()

    def test_what_takes_longer_than_believed_is_ended(self) -> None:
        noisy = Workflow("w", [TaskSet("a", tasks=40, duration={"mean": 50, "sd": 40})])
        trace = simulate(noisy, Platform("p", (Node("n0", 40, 0, 0),)), walltime=65)
        check(trace)
        cut = trace.outcome == Outcome.CANCELLED
        assert 0 < cut.sum() < 40
        assert trace.ended_us[cut].tolist() == [60 * SECOND_US] * int(cut.sum())

    def test_a_group_of_which_one_is_ended_has_not_finished(self) -> None:
        noisy = Workflow(
            "w",
            [
                TaskSet("a", tasks=20, duration={"mean": 50, "sd": 40}),
                TaskSet("b", tasks=20, duration=1, with_="a"),
                TaskSet("c", duration=1, after="b"),
            ],
        )
        trace = simulate(noisy, Platform("p", (Node("n0", 40, 0, 0),)), walltime=65)
        check(trace)
        assert trace.n_finished == 0
        assert Outcome.REVOKED in trace.outcome

    def test_start_and_stop_are_part_of_it(self) -> None:
        around = Overheads(start_us=100 * SECOND_US, stop_us=35 * SECOND_US)
        alone = Workflow("w", [TaskSet("a", duration=100)])
        fits = simulate(alone, ONE, walltime=250, overheads=around)
        assert fits.complete
        assert not simulate(alone, ONE, walltime=249, overheads=around).complete

    @pytest.mark.parametrize("mode", list(Mode))
    @pytest.mark.parametrize("strict", [False, True])
    def test_no_task_is_begun_that_is_expected_to_be_cut(self, mode: Mode, strict: bool) -> None:
        loop = Workflow(
            "loop",
            [
                TaskSet("a", tasks=5, duration=7, after={"b": {"iteration": "previous"}}),
                TaskSet("b", tasks=2, duration=31, after={"a": "group"}),
                TaskSet("c", tasks=2, duration=3, after={"b": "each"}),
            ],
            iterations=4,
        )
        order = Order("longest-first", strict=strict)
        two = Platform("two", (Node("n0", 2, 0, 0),))
        for walltime in range(20, 260, 20):
            trace = simulate(loop, two, mode=mode, order=order, walltime=walltime)
            check(trace)
            assert Outcome.CANCELLED not in trace.outcome
            assert trace.ttx_us <= (walltime - 5) * SECOND_US

    @pytest.mark.parametrize("walltime", ["soon", -1, 5, "5s", float("nan")])
    def test_what_is_no_walltime_is_refused(self, walltime: float | str) -> None:
        with pytest.raises(WorkflowError, match="walltime: expected"):
            simulate(FLOW, ONE, walltime=walltime)

    def test_the_command_says_what_is_left(self, tmp_path: Path) -> None:
        (tmp_path / "flow.yaml").write_text(stretto.write_workflow(FLOW))
        words = ("simulate", "flow.yaml", "--platform", "local:1", "--walltime", "0:08:00")
        told = called(*words, "--mode", "sequential", folder=tmp_path)
        assert told.returncode == 0
        assert told.stdout.splitlines()[-1] == (
            "sequential: stopped by its walltime; still to be launched: c[0] (1 task)"
        )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 85), ("45m", 2695), ("2h30m", 8995), ("1:30:00", 5395), (600, 595), ("1d", 86395)],
)
def test_a_walltime_is_text_or_seconds_less_the_grace(text: str | float, seconds: int) -> None:
    assert until_us(text) == seconds * SECOND_US


def test_this_process_has_used_some_of_it() -> None:
    left_s = walltime_left("10h", emulated=False)
    assert left_s is not None
    assert 0 < left_s < 36_000
    assert walltime_left("10h", emulated=True) == 36_000
    assert walltime_left(None, emulated=False) is None


class TestRuns:
    """Emulated: all but the longest task takes 70 ms, that one a second."""

    def run(self, folder: Path, walltime: str, **options: object) -> stretto.Run:
        ended = stretto.run(
            FLOW,
            platform=ONE,
            emulate=True,
            time_scale=SCALE,
            run_dir=folder / "run",
            walltime=walltime,
            **options,  # type: ignore[arg-type]
        )
        check(ended.trace, slack_us=SLACK_US)
        return ended

    def test_a_run_stops_when_nothing_more_can_end_and_is_gone_on_with(
        self, tmp_path: Path
    ) -> None:
        ended = self.run(tmp_path, "1h")
        assert ended.ending is Ending.STOPPED
        assert ended.because == "stopped by its walltime; still to be launched: c[0] (1 task)"
        assert finished(ended.trace) == [0, 1, 2, 3]
        assert limits(ended) == [Limited(3595 * SECOND_US, 0)]
        again = stretto.resume(ended.directory, walltime="90m")
        assert again.ending is Ending.STOPPED
        told = called("explain", ended.directory, "c.0").stdout
        assert "cannot end in time: it takes about 5000 s" in told
        last = stretto.resume(ended.directory)
        check(last.trace, slack_us=SLACK_US)
        assert last.ending is Ending.DONE
        assert last.because == ""
        assert last.trace.complete

    def test_when_time_is_up_what_runs_is_ended(self, tmp_path: Path) -> None:
        ended = self.run(tmp_path, "1h", overrun=True)
        assert ended.ending is Ending.STOPPED
        assert [Outcome(one) for one in ended.trace.outcome.tolist()][-1] is Outcome.CANCELLED
        # The longer one goes first: it has more behind it.
        left = "stopped by its walltime; still to be launched: b[0] (1 task), c[0] (1 task)"
        assert [note.text for note in ended.trace.notes] == [left, "stopped"]
        done = stretto.resume(ended.directory, walltime="3h")
        assert done.ending is Ending.DONE
        assert done.trace.n_finished == 5

    def test_a_failure_is_one_whatever_time_is_left(self, tmp_path: Path) -> None:
        flow = Workflow("w", [TaskSet("a", command="false", duration=1)], folder=tmp_path)
        ended = stretto.run(flow, run_dir=tmp_path / "run", walltime="1h")
        assert ended.ending is Ending.FAILED

    def test_what_cannot_be_is_refused_before_there_is_a_run(self, tmp_path: Path) -> None:
        with pytest.raises(WorkflowError, match="walltime: expected"):
            self.run(tmp_path, "5s")
        with pytest.raises(WorkflowError, match="overrun: there is no walltime to overrun"):
            stretto.run(FLOW, emulate=True, platform=ONE, overrun=True, run_dir=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_the_simulation_stops_where_the_run_does(self, tmp_path: Path) -> None:
        ended = self.run(tmp_path, "1h")
        predicted = simulate(FLOW, ONE, walltime="1h")
        assert finished(ended.trace) == finished(predicted)
        assert ended.because == predicted.notes[-1].text

    def test_the_command_exits_with_75_and_says_how_to_go_on(self, tmp_path: Path) -> None:
        (tmp_path / "flow.yaml").write_text(stretto.write_workflow(FLOW))
        begun = called(
            *("run", "flow.yaml", "--platform", "local:1", "--emulate", "--time-scale", str(SCALE)),
            *("--walltime", "1h", "--run-dir", "run"),
            folder=tmp_path,
        )
        assert begun.returncode == 75
        said = begun.stdout.splitlines()
        assert said[-4:] == [
            "stopped by its walltime; still to be launched: c[0] (1 task)",
            f"stopped: {tmp_path / 'run'}",
            f"report: {tmp_path / 'run/report.html'}",
            f"go on with: stretto resume {tmp_path / 'run'} --walltime TIME",
        ]
        again = called("resume", "run", "--walltime", "80m", "--json", folder=tmp_path)
        assert again.returncode == 75
        assert json.loads(again.stdout)["because"].startswith("stopped by its walltime")
        state = json.loads(called("status", "run", "--json", folder=tmp_path).stdout)
        assert state["until_s"] > 4795
        assert called("resume", "run", "--walltime", "9h", folder=tmp_path).returncode == 0


def test_a_program_is_asked_to_end_in_time(tmp_path: Path) -> None:
    """A real run of seven seconds, of which five are kept back."""
    steady = TaskSet(
        "steady",
        command="trap 'echo kept > {run_dir}/checkpoint; exit 0' TERM; sleep 1000 & wait",
        shell=True,
        duration=1000,
    )
    flow = Workflow("w", [steady], folder=tmp_path)
    ended = stretto.run(flow, run_dir=tmp_path / "run", walltime="7s", overrun=True)
    assert ended.ending is Ending.STOPPED
    assert (tmp_path / "run/checkpoint").read_text() == "kept\n"
    assert not left_over(tmp_path / "run")
    check(ended.trace, slack_us=SLACK_US)
    assert ended.trace.outcome.tolist() == [Outcome.CANCELLED]


def finished(trace: Trace) -> list[int]:
    return sorted(trace.task[trace.outcome == Outcome.FINISHED].tolist())


def limits(ended: stretto.Run) -> list[Limited]:
    """Return the limits of a run, as if it had begun at 0."""
    return [
        event._replace(until_us=event.until_us - event.time_us, time_us=0)
        for _, events, _ in read_events(ended.directory / "journal.jsonl")
        for event in events
        if isinstance(event, Limited)
    ]


def test_nothing_is_launched_before_the_journal_knows_the_limit(tmp_path: Path) -> None:
    ended = stretto.run(
        FLOW, platform=ONE, emulate=True, time_scale=SCALE, run_dir=tmp_path, walltime="9h"
    )
    events = [
        event
        for _, found, _ in read_events(ended.directory / "journal.jsonl")
        for event in found
        if isinstance(event, Limited | Launched)
    ]
    assert isinstance(events[0], Limited)
    check(ended.trace, slack_us=SLACK_US)
