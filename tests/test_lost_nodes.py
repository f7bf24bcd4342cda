"""Nodes that are lost and come back: in the state, in the simulator, in emulation, in a trace."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stretto import Mode, Node, Platform, Resources, TaskSet, Workflow, WorkflowError
from stretto.analysis import check, violations
from stretto.platform import Outage, Overheads
from stretto.report import write_report
from stretto.running import resume
from stretto.runtime import (
    Emulated,
    Emulation,
    Ending,
    Engine,
    Exited,
    Lost,
    NodeLost,
    NodeReturned,
    RealClock,
    Request,
    StandIn,
    engine,
)
from stretto.runtime import Started as ReportedStart
from stretto.scheduler import (
    Finished,
    ImpossibleEvent,
    Started,
    State,
    decide,
    gated_sets,
    losses,
    why,
)
from stretto.scheduler import Lost as TaskLost
from stretto.scheduler import NodeLost as Gone
from stretto.scheduler import NodeReturned as Back
from stretto.simulator import simulate
from stretto.trace import Header, Journal, Kind, Outcome, Trace, read_trace
from stretto.workflow import drawn_durations_us, expand
from tests.commands import called
from tests.traces import Attempt, made, platform, slot

SECOND_US = 1_000_000
TWO = Platform("two", (Node("n0", 2, 0, 0), Node("n1", 2, 0, 0)))
SLACK_US = 60_000_000


def state_of(*sets: TaskSet, on: Platform = TWO) -> State:
    gated = gated_sets(expand(Workflow("w", sets)), Mode.TASK_LEVEL)
    return State(gated, on.nodes, [0] * len(sets))


def apply(state: State, *events: Any) -> None:
    for event in events:
        state.apply(event)


class TestState:
    def test_what_lay_there_is_lost_at_no_cost_and_runs_elsewhere(self) -> None:
        state = state_of(TaskSet("a", tasks=4))
        assert [one.placement[0].node for one in decide(state, 0)] == [0, 0, 1, 1]
        events = losses(state, 0, 7)
        assert events == [
            TaskLost(0, 1, 7, "n0 was lost"),
            TaskLost(1, 1, 7, "n0 was lost"),
            Gone(0, 7),
        ]
        apply(state, *events)
        assert decide(state, 7) == []
        apply(state, Started(2, 1, 1), Finished(2, 1, 8))
        (again,) = decide(state, 8)
        assert (again.attempt, again.placement[0].node) == (2, 1)
        assert state.failures == {}

    def test_a_task_with_one_rank_there_is_gone_with_all_of_them(self) -> None:
        state = state_of(TaskSet("wide", resources=Resources(cores=2, ranks=2)))
        decide(state, 0)
        apply(state, *losses(state, 1, 5))
        assert state.slots.free(0)[0] == 2
        assert decide(state, 5) == []
        apply(state, Back(1, 9))
        assert [one.attempt for one in decide(state, 9)] == [2]

    def test_what_fits_nowhere_now_waits_and_says_so(self) -> None:
        small_and_large = Platform("p", (Node("thin", 1, 0, 0), Node("fat", 8, 0, 0)))
        state = state_of(TaskSet("large", resources=Resources(cores=4)), on=small_and_large)
        apply(state, *losses(state, 1, 0))
        assert decide(state, 0) == []
        assert why(state, 0) == (
            "It is ready and needs 4 cores; it fits on no node that is left, without fat."
        )
        apply(state, Back(1, 1))
        assert [one.task for one in decide(state, 1)] == [0]

    def test_a_group_has_no_room_without_it_and_says_so(self) -> None:
        state = state_of(TaskSet("a", tasks=2), TaskSet("b", with_="a"))
        apply(state, *losses(state, 1, 0))
        assert decide(state, 0) == []
        assert "those that run at once have no room together without n1" in why(state, 0)

    def test_a_lost_node_is_not_said_to_be_free(self) -> None:
        state = state_of(TaskSet("a", tasks=5))
        decide(state, 0)
        apply(state, *losses(state, 0, 1))
        assert "the freest node that suits it has 0 cores" in why(state, 4)

    def test_a_node_is_lost_once_and_after_its_attempts(self) -> None:
        state = state_of(TaskSet("a"))
        decide(state, 0)
        with pytest.raises(ImpossibleEvent, match="NodeLost"):
            state.apply(Gone(0, 1))
        apply(state, *losses(state, 0, 1))
        assert losses(state, 0, 2) == []
        with pytest.raises(ImpossibleEvent, match="NodeLost"):
            state.apply(Gone(0, 2))
        with pytest.raises(ImpossibleEvent, match="NodeReturned"):
            state.apply(Back(1, 2))

    def test_it_comes_back_empty_with_its_gpus_and_memory(self) -> None:
        on = Platform("p", (Node("n0", 2, 2, 100),))
        half = TaskSet("half", tasks=2, resources=Resources(cores=1, gpus=0.5, memory=50))
        state = state_of(half, on=on)
        decide(state, 0)
        assert state.slots.free(0) == (0, 1, 0)
        apply(state, *losses(state, 0, 1))
        assert state.slots.free(0) == (0, 0, 0)
        apply(state, Back(0, 2))
        assert state.slots.free(0) == (2, 2, 100)
        assert len(decide(state, 2)) == 2


FLOW = Workflow(
    "w",
    [
        TaskSet("a", tasks=6, duration=10),
        TaskSet("b", tasks=2, resources=Resources(cores=2), duration=10, after={"a": "group"}),
    ],
)


class TestSimulation:
    @pytest.mark.parametrize("mode", list(Mode))
    def test_the_run_goes_on_on_what_is_left(self, mode: Mode) -> None:
        trace = simulate(FLOW, TWO, mode=mode, outages=[Outage(1, 5 * SECOND_US)])
        check(trace)
        assert trace.complete
        assert trace.outages == (Outage(1, 5 * SECOND_US, None),)
        lost = trace.outcome == Outcome.LOST
        assert trace.task[lost].tolist() == [2, 3]
        assert trace.ended_us[lost].tolist() == [5 * SECOND_US] * 2
        assert set(trace.reasons.values()) == {"n1 was lost"}
        assert trace.ttx_us == 50 * SECOND_US

    def test_a_node_that_is_back_is_used_again(self) -> None:
        back = Outage(1, 5 * SECOND_US, 12 * SECOND_US)
        trace = simulate(FLOW, TWO, outages=[back])
        check(trace)
        assert trace.outages == (back,)
        assert trace.ttx_us == 32 * SECOND_US
        assert 12 * SECOND_US in trace.launched_us[trace.outcome == Outcome.FINISHED]

    def test_all_can_be_lost_and_some_for_ever(self) -> None:
        outages = [Outage(0, SECOND_US, 9 * SECOND_US), Outage(1, 2 * SECOND_US)]
        trace = simulate(FLOW, TWO, outages=outages)
        check(trace)
        assert trace.complete
        never = simulate(FLOW, TWO, outages=[Outage(0, SECOND_US), Outage(1, SECOND_US)])
        check(never)
        assert never.n_finished == 0
        assert not never.done

    def test_a_late_end_opens_nothing_twice(self) -> None:
        sets = [TaskSet("a", duration=10), TaskSet("b", after="a", duration=3)]
        sets.append(TaskSet("c", after=["a", "b"], duration=1))
        late = Overheads(stage_us=SECOND_US)
        outages = [Outage(0, 9_900_000)]
        trace = simulate(Workflow("w", sets), TWO, overheads=late, outages=outages)
        check(trace, slack_us=SLACK_US)
        # Attempt 2 ends at 19.9 s; the end of attempt 1 would have been at 10 s.
        assert trace.launched_us.tolist() == [0, 9_900_000, 20_900_000, 24_900_000]

    @pytest.mark.parametrize(
        ("outages", "message"),
        [
            ([Outage(2, 0)], "there is no node 2; expected 0 to 1"),
            ([Outage(0, -1)], "expected node 0 back after it is lost"),
            ([Outage(0, 5, 5)], "expected node 0 back after it is lost"),
            ([Outage(0, 5), Outage(0, 9)], "node 0 is lost at 9 us, when it is lost already"),
            ([Outage(0, 7, 9), Outage(0, 5, 8)], "node 0 is lost at 7 us, when it is lost already"),
        ],
    )
    def test_what_cannot_be_is_refused(self, outages: list[Outage], message: str) -> None:
        with pytest.raises(WorkflowError, match=f"outages: {message}"):
            simulate(FLOW, TWO, outages=outages)

    @pytest.mark.parametrize("mode", list(Mode))
    def test_a_group_with_a_task_there_is_tried_again_whole_elsewhere(self, mode: Mode) -> None:
        sets = [TaskSet("a", tasks=2, duration=10), TaskSet("b", duration=10, with_="a")]
        three = Platform("three", tuple(Node(f"n{n}", 2, 0, 0) for n in range(3)))
        outages = [Outage(1, 5 * SECOND_US)]
        trace = simulate(Workflow("w", sets), three, mode=mode, outages=outages)
        check(trace)
        assert trace.complete
        assert trace.ttx_us == 15 * SECOND_US
        two = simulate(Workflow("w", sets), TWO, mode=mode, outages=outages)
        check(two)
        assert two.n_finished == 0

    def test_the_report_tells_it(self, tmp_path: Path) -> None:
        trace = simulate(FLOW, TWO, outages=[Outage(1, 5 * SECOND_US, 12 * SECOND_US)])
        page = write_report(tmp_path / "r.html", [trace]).read_text()
        assert "n1 was lost" in page
        assert "n1 was back" in page


class TestChecker:
    """One task on each of two nodes, from 0 to 10 s; node 1 is lost from 4 to 6 s."""

    def trace(self, *on_node_1: Attempt) -> Trace:
        workflow = Workflow("w", [TaskSet("a", tasks=2, duration=1)])
        rows = [Attempt(0, 0, 0, 10, (slot([0]),)), *on_node_1]
        outage = Outage(1, 4 * SECOND_US, 6 * SECOND_US)
        return replace(made(workflow, platform(2), rows), outages=(outage,))

    def attempt(self, launched: float, ended: float | None, **others: Any) -> Attempt:
        return Attempt(1, launched, launched, ended, (slot([0], node=1),), **others)

    @pytest.mark.parametrize(("launched", "ended"), [(0, 4), (6, 9), (7, 8)])
    def test_before_and_after_is_legal(self, launched: float, ended: float) -> None:
        check(self.trace(self.attempt(launched, ended)))

    @pytest.mark.parametrize(
        ("launched", "ended"), [(0, 4.1), (4, 5), (5, 5), (5, 9), (0, 9), (0, None)]
    )
    def test_nothing_is_on_a_node_while_it_is_lost(
        self, launched: float, ended: float | None
    ) -> None:
        outcome = Outcome.RUNNING if ended is None else Outcome.FINISHED
        found = violations(self.trace(self.attempt(launched, ended, outcome=outcome)))
        assert "a[0].1 was on n1 while that was lost" in found


# In emulation.


def journaled(folder: Path, workflow: Workflow, on: Platform, scale: float) -> Journal:
    header = Header(workflow, on, "asynchronous", 0, Kind.EMULATED, scale, "2026-01-01T00:00:00Z")
    folder.mkdir(exist_ok=True)
    return Journal.create(folder / "journal.jsonl", header)


def emulated(
    folder: Path, workflow: Workflow, on: Platform, outages: Sequence[Outage], *, scale: float = 50
) -> tuple[Ending, str, Trace]:
    """Run emulated with a script of losses; return how and why it ended, and its trace."""
    expansion = expand(workflow)
    sets = gated_sets(expansion, Mode.ASYNCHRONOUS)
    state = State(sets, on.nodes, [0] * len(sets))
    journal = journaled(folder, workflow, on, scale)

    async def driven() -> tuple[Ending, str]:
        driver = Engine(
            state,
            Emulated(scale, outages=outages),
            request=Emulation(drawn_durations_us(expansion, 0)),
            clock=RealClock(scale=scale),
            record=journal,
            observe=lambda _, __: None,
        )
        async with asyncio.timeout(30):
            return await driver.run(), driver.because

    ending, because = asyncio.run(driven())
    journal.close()
    trace = read_trace(folder / "journal.jsonl")
    check(trace, slack_us=SLACK_US)
    return ending, because, trace


class TestEmulation:
    def test_tasks_of_a_lost_node_run_elsewhere(self, tmp_path: Path) -> None:
        outages = [Outage(1, 5 * SECOND_US, 25 * SECOND_US)]
        ending, _, trace = emulated(tmp_path, FLOW, TWO, outages)
        assert ending is Ending.DONE
        assert trace.complete
        lost = trace.outcome == Outcome.LOST
        assert trace.task[lost].tolist() == [2, 3]
        (outage,) = trace.outages
        assert outage.node == 1
        on_it = [any(one.node == 1 for one in slots) for slots in trace.placements]
        again = [
            launched_us
            for launched_us, there in zip(trace.launched_us.tolist(), on_it, strict=True)
            if there and launched_us > outage.lost_us
        ]
        assert outage.returned_us is not None
        assert again
        assert min(again) >= outage.returned_us
        assert "launched, attempt 2" in called("explain", tmp_path, "a.2").stdout
        assert "lost: n1 was lost" in called("explain", tmp_path, "a.2").stdout

    def test_a_run_waits_for_the_last_node_to_come_back(self, tmp_path: Path) -> None:
        outages = [Outage(0, SECOND_US, 20 * SECOND_US), Outage(1, 2 * SECOND_US)]
        ending, _, trace = emulated(tmp_path, FLOW, TWO, outages)
        assert ending is Ending.DONE
        assert trace.complete

    def test_a_run_waits_not_for_ever_and_resumes_with_all_nodes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "PATIENCE_S", 0.2)
        outages = [Outage(0, SECOND_US), Outage(1, SECOND_US)]
        ending, because, _ = emulated(tmp_path, FLOW, TWO, outages)
        assert ending is Ending.STOPPED
        assert because == (
            "stopped by lost nodes; still to be launched: a[0] (6 tasks), b[0] (2 tasks)"
        )
        status = called("status", tmp_path).stdout
        assert "lost nodes: n0, n1" in status
        assert "fits on no node that is left, without n0, n1" in (
            called("explain", tmp_path, "a.0").stdout
        )
        ended = resume(tmp_path)
        assert ended.ending is Ending.DONE
        check(ended.trace, slack_us=SLACK_US)
        assert all(one.returned_us is not None for one in ended.trace.outages)

    def test_an_attempt_with_a_rank_on_a_lost_node_is_cancelled_on_the_others(
        self, tmp_path: Path
    ) -> None:
        wide = TaskSet("wide", resources=Resources(cores=2, ranks=2), duration=10)
        outages = [Outage(1, 5 * SECOND_US, 6 * SECOND_US)]
        ending, _, trace = emulated(tmp_path, Workflow("w", [wide]), TWO, outages)
        assert ending is Ending.DONE
        assert trace.outcome.tolist() == [Outcome.LOST, Outcome.FINISHED]
        assert (trace.ended_us - trace.started_us).tolist()[1] == 10 * SECOND_US


def test_a_backend_says_nothing_of_what_ran_on_a_lost_node() -> None:
    async def reported() -> list[Any]:
        reports: list[Any] = []
        backend = Emulated(outages=[Outage(1, 20_000, 500_000)])
        await backend.start(reports.append)

        async def until(kind: type) -> None:
            async with asyncio.timeout(20):
                while not any(isinstance(one, kind) for one in reports):
                    await asyncio.sleep(0.001)

        there, elsewhere = ((slot([0], node=node),) for node in (1, 0))
        backend.launch(
            [
                Request(0, 1, there, StandIn(40_000), 1),
                Request(1, 1, elsewhere, StandIn(50_000), 1),
                Request(2, 1, elsewhere + there, StandIn(30_000), 1),
            ]
        )
        await until(NodeLost)
        backend.launch([Request(3, 1, there, StandIn(1), 1)])
        await until(NodeReturned)
        backend.launch([Request(0, 2, there, StandIn(1), 1)])
        async with asyncio.timeout(20):
            while sum(isinstance(one, Exited) for one in reports) < 2:
                await asyncio.sleep(0.001)
        await backend.close()
        return reports

    reports = asyncio.run(reported())
    told = [type(one) for one in reports if not isinstance(one, ReportedStart)]
    assert told == [NodeLost, Lost, Exited, NodeReturned, Exited]
    assert [one.task for one in reports if isinstance(one, Lost)] == [3]
    ends = [(one.task, one.attempt) for one in reports if isinstance(one, Exited)]
    assert ends == [(1, 1), (0, 2)]
