"""Mode adaptive: it chooses as well as the best fixed mode, says why, and replays."""

from __future__ import annotations

import json
import subprocess
import sys
from math import isqrt
from pathlib import Path

import pytest
from benchmarks.families import hidden, loop
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.analysis import check, freshness
from stretto.apps.paper import workload
from stretto.platform import Node, Outage, Overheads, Platform
from stretto.resources import Resources
from stretto.running import resume, run
from stretto.runtime import Ending
from stretto.scheduler import RULES, Adapted, Event, Launched, Mode, Order, Policy, Release, begun
from stretto.scheduler.adaptive import mind as thinking
from stretto.simulator import DrawnWorld, simulate
from stretto.simulator.virtual import play
from stretto.trace import Kind, Trace, TraceBuilder, replayed
from stretto.trace.codec import event_from_json, event_to_json
from stretto.workflow import Constant, TaskSet, Workflow, expand
from tests.commands import called
from tests.workflows import FailingWorld, cases

POLICIES = st.builds(
    Policy,
    rule=st.sampled_from(sorted(RULES)),
    strict=st.booleans(),
    first=st.one_of(st.none(), st.just("s0")),
    release=st.sampled_from(Release),
    ahead=st.one_of(st.none(), st.integers(0, 2)),
    waits=st.sampled_from([(), (("s0[0]", "s0[0]"),)]),
)


def adaptive(workflow: Workflow, platform: Platform | None = None, seed: int = 0) -> Trace:
    trace = simulate(workflow, platform, mode=Mode.ADAPTIVE, seed=seed)
    check(trace)
    assert trace.complete
    return trace


def best_fixed_us(workflow: Workflow, seed: int) -> int:
    """TTX of the best of all fixed modes and orders, in hindsight."""
    return min(
        simulate(workflow, mode=mode, order=Order(rule, strict=strict), seed=seed).ttx_us
        for mode in Mode
        if mode is not Mode.ADAPTIVE
        for rule in RULES
        for strict in (False, True)
    )


class TestChoice:
    """It is told neither the mode nor the order that is best."""

    def test_deepdrivemd_with_noise_is_as_short_as_issue_4_asks(self) -> None:
        workflow = workload("deepdrivemd")
        times = [adaptive(workflow, seed=seed).ttx_us / 1e6 for seed in range(5)]
        assert sum(times) / len(times) <= 1300

    @pytest.mark.parametrize("name", ["c-dg1", "c-dg2"])
    def test_the_abstract_graphs_are_within_two_per_cent_of_the_best(self, name: str) -> None:
        workflow = workload(name)
        over = [
            adaptive(workflow, seed=seed).ttx_us / best_fixed_us(workflow, seed)
            for seed in range(3)
        ]
        assert sum(over) / len(over) <= 1.02

    @pytest.mark.slow
    def test_random_loops_lose_to_no_fixed_mode(self) -> None:
        over, over_sequential = [], []
        for member in range(24):
            workflow, platform = loop(member)
            own = adaptive(workflow, platform, seed=member).ttx_us
            fixed = {
                mode: simulate(workflow, platform, mode=mode, seed=member).ttx_us
                for mode in Mode
                if mode is not Mode.ADAPTIVE
            }
            over.append(own / min(fixed.values()))
            over_sequential.append(own / fixed[Mode.SEQUENTIAL])
        assert sum(over) / len(over) <= 1.03
        assert max(over_sequential) <= 1.01

    @pytest.mark.slow
    def test_unknown_durations_cost_little(self) -> None:
        over = []
        for member in range(24):
            workflow, platform = loop(member)
            world = DrawnWorld(expand(workflow), member)
            blind = simulate(hidden(workflow), platform, mode=Mode.ADAPTIVE, world=world)
            check(blind)
            over.append(blind.ttx_us / adaptive(workflow, platform, seed=member).ttx_us)
        assert sum(over) / len(over) <= 1.03

    def test_where_overlapping_gains_nothing_it_is_sequential_execution(self) -> None:
        sets = [TaskSet("a", tasks=8, duration=10), TaskSet("b", tasks=8, duration=5, after="a")]
        workflow = Workflow("w", sets, iterations=2)
        platform = Platform("p", (Node("n", 8, 0, 0),))
        sequential = simulate(workflow, platform, mode=Mode.SEQUENTIAL)
        assert adaptive(workflow, platform).ttx_us == sequential.ttx_us

    def test_room_is_held_for_a_task_that_needs_it_all(self) -> None:
        # Greedily "filler" takes a core when "head" ends, and "wide" with its long tail waits.
        sets = [
            TaskSet("head", duration=1),
            TaskSet("side", duration=2),
            TaskSet("wide", resources=Resources(cores=2), duration=1, after="head"),
            TaskSet("tail", duration=9, after="wide"),
            TaskSet("filler", duration=9, after="head"),
        ]
        platform = Platform("p", (Node("n", 2, 0, 0),))
        workflow = Workflow("w", sets)
        greedy = simulate(workflow, platform, mode=Mode.TASK_LEVEL)
        assert greedy.ttx_us == 20_000_000
        trace = adaptive(workflow, platform)
        assert trace.ttx_us == 12_000_000
        assert "strict" in trace.notes[0].text


class TestLearning:
    """What is learned while the run is on changes what it does."""

    def test_a_wrong_guess_is_corrected(self) -> None:
        workflow, platform = loop(15)
        wrong = {
            one.name: Constant(
                one.duration.mean_us * 30 if place % 2 else one.duration.mean_us // 30
            )
            for place, one in enumerate(workflow.task_sets)
            if one.duration is not None
        }
        world = DrawnWorld(expand(workflow), 15)
        told = workflow.with_durations(wrong)
        trace = simulate(told, platform, mode=Mode.ADAPTIVE, world=world)
        check(trace)
        assert any(" takes " in note.text for note in trace.notes)
        misled = simulate(told, platform, mode=Mode.TASK_LEVEL, world=world)
        assert trace.ttx_us < 0.95 * misled.ttx_us

    def test_where_nothing_is_known_it_decides_when_a_task_has_ended_and_goes_on_to(self) -> None:
        workflow, platform = loop(83)
        world = DrawnWorld(expand(workflow), 83)
        trace = simulate(hidden(workflow), platform, mode=Mode.ADAPTIVE, world=world)
        check(trace)
        assert trace.notes[0].time_us >= trace.ended_us.min()
        assert len(trace.notes) > 1
        assert any("aggregation takes" in note.text for note in trace.notes)

    def test_it_thinks_again_when_a_node_is_lost(self) -> None:
        workflow, platform = loop(6)
        whole = adaptive(workflow, platform, seed=6)
        outage = Outage(node=1, lost_us=whole.ttx_us // 3)
        trace = simulate(workflow, platform, mode=Mode.ADAPTIVE, seed=6, outages=[outage])
        check(trace)
        assert trace.complete
        assert any("n1 was lost" in note.text for note in trace.notes)


class TestFreshness:
    """Old input is used where waiting would cost, and not where it costs nothing."""

    def test_it_waits_for_fresh_input_when_that_costs_nothing(self) -> None:
        platform = Platform("p", (Node("n", 2, 0, 0),))
        sets = [
            TaskSet(
                "simulation",
                duration=2,
                after={"inference": {"iteration": "previous", "staleness": 1}},
            ),
            TaskSet("inference", duration=1, after="simulation"),
            TaskSet("filler", tasks=12, duration=2),
        ]
        workflow = Workflow("w", sets, iterations=3)
        stale = simulate(workflow, platform, mode=Mode.TASK_LEVEL)
        fresh = adaptive(workflow, platform)
        assert fresh.ttx_us <= stale.ttx_us
        assert [one.ages for one in freshness(stale)] == [((1, 1), (None, 1))]
        assert [one.ages for one in freshness(fresh)] == [((0, 1), (1, 1))]
        assert "at no cost" in fresh.notes[0].text

    def test_who_waits_for_fresh_input_is_told_so(self, tmp_path: Path) -> None:
        sets = [
            TaskSet(
                "simulation",
                duration=2,
                after={"inference": {"iteration": "previous", "staleness": 1}},
            ),
            TaskSet("inference", duration=1, after="simulation"),
            TaskSet("filler", tasks=12, duration=2),
        ]
        workflow = Workflow("w", sets, iterations=3, platform="local:2")
        run(workflow, emulate=True, time_scale=20, run_dir=tmp_path / "run")
        told = called("explain", "run", "simulation[1]", folder=tmp_path).stdout
        assert "simulation[1] waits for fresh input from inference[0] at no cost" in told
        assert "the policy let it wait for fresh input from inference[0], until" in told
        assert "of filler[0]" in told


class TestLaws:
    """Whatever the policy, runs are legal, come to an end, and replay."""

    @settings(max_examples=120, deadline=None)
    @given(case=cases(), policy=POLICIES, data=st.data())
    def test_a_policy_delays_but_never_stops(
        self, case: tuple[Workflow, Platform], policy: Policy, data: st.DataObject
    ) -> None:
        workflow, platform = case
        expansion = expand(workflow)
        state = begun(expansion, platform.nodes, mode=Mode.ADAPTIVE, order=Order())
        assert state.mind is not None
        state.mind.spent = 1 << 40
        state.apply(Adapted(0, policy, "to see"))
        failing = data.draw(
            st.frozensets(st.tuples(st.integers(0, expansion.n_tasks - 1), st.just(1)), max_size=3)
        )
        builder = TraceBuilder()
        world = FailingWorld(expansion, 0, failing)
        play(state, world, overheads=Overheads(), observe=builder.add)
        trace = builder.trace(workflow, platform, mode=Mode.ADAPTIVE, seed=0, kind=Kind.SIMULATED)
        check(trace)
        assert not any(state.ready)
        if not state.failed():
            assert trace.done

    def test_the_same_seed_gives_the_same_run_under_any_hash_seed(self) -> None:
        program = (
            "from benchmarks.families import loop; from stretto.simulator import simulate\n"
            "trace = simulate(*loop(1056), mode='adaptive', seed=3)\n"
            "print(trace.started_us.tolist(), [str(note) for note in trace.notes])"
        )
        said = [
            subprocess.run(
                [sys.executable, "-c", program],
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        ]
        assert said[0] == said[1]
        assert "adapted to" in said[0]

    def test_work_is_bounded_by_a_count_of_events(self) -> None:
        workflow, platform = loop(15)
        spent = {}
        for events in (0, 2_000):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(thinking, "EVENTS", events)
                expansion = expand(workflow)
                state = begun(expansion, platform.nodes, mode=Mode.ADAPTIVE, order=Order())
                assert state.mind is not None
                play(state, DrawnWorld(expansion, 0), overheads=Overheads(), observe=lambda _: None)
                spent[events] = state.mind.spent
        most_alternatives = 40
        assert spent[0] == 0
        one_decision = most_alternatives * thinking.EVENTS_A_REHEARSAL
        whole_run = isqrt(2_000**2 * (thinking.SMALL + workflow.n_tasks) // thinking.SMALL)
        assert 0 < spent[2_000] < whole_run + one_decision

    def test_a_short_run_is_not_worth_much_thought(self) -> None:
        workflow, platform = loop(15)
        spent = []
        for speed in (1, 100_000):
            means = {one.name: one.duration.mean_us for one in workflow.task_sets if one.duration}
            fast = {name: Constant(mean_us // speed) for name, mean_us in means.items()}
            expansion = expand(workflow.with_durations(fast))
            state = begun(expansion, platform.nodes, mode=Mode.ADAPTIVE, order=Order())
            assert state.mind is not None
            end_us = play(
                state, DrawnWorld(expansion, 0), overheads=Overheads(), observe=lambda _: None
            )
            spent.append(state.mind.spent)
        assert spent[0] > 10 * spent[1]
        assert spent[1] < end_us // thinking.WORTH_US + thinking.EVENTS_A_REHEARSAL


class TestRecord:
    """Changes are events, kept with their reasons."""

    @given(policy=POLICIES)
    def test_a_change_survives_the_journal(self, policy: Policy) -> None:
        event = Adapted(7, policy, "a reason")
        assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event

    def test_an_emulated_run_adapts_and_tells_why(self, tmp_path: Path) -> None:
        ended = run(
            workload("c-dg2"),
            mode="adaptive",
            emulate=True,
            time_scale=4000,
            run_dir=tmp_path / "run",
        )
        assert ended.ending is Ending.DONE
        check(ended.trace, slack_us=10**10)
        replay = replayed(tmp_path / "run" / "journal.jsonl")
        assert replay.state.mind is not None
        assert replay.state.mind.policy == Policy("largest-first")
        told = called("explain", "run", "T3[0].40", folder=tmp_path).stdout
        assert "ready: T1[0]" in told
        assert "largest-first (at the start: the run is expected to end at" in told
        assert "s under critical-path or" in told
        assert "before it went" in told
        assert "of T4[0]" in told
        said = called("status", "run", folder=tmp_path).stdout
        assert "largest-first" in said

    def test_runs_are_adaptive_unless_told_otherwise(self, tmp_path: Path) -> None:
        workflow = Workflow("w", [TaskSet("a", duration=1)], platform="local:1")
        ended = run(workflow, emulate=True, time_scale=100, run_dir=tmp_path / "run")
        assert ended.trace.mode == Mode.ADAPTIVE

    def test_a_resumed_run_goes_on_with_its_policy_and_what_it_has_learned(
        self, tmp_path: Path
    ) -> None:
        whole = tmp_path / "whole"
        run(workload("c-dg2"), mode="adaptive", emulate=True, time_scale=4000, run_dir=whole)
        lines = (whole / "journal.jsonl").read_bytes().splitlines(keepends=True)
        half = lines[: len(lines) // 2]
        (whole / "journal.jsonl").write_bytes(b"".join(half))
        before = replayed(whole / "journal.jsonl").state.mind
        assert before is not None
        assert before.policy == Policy("largest-first")
        assert before.beliefs(0) != begun(
            expand(workload("c-dg2")), (), mode=Mode.ADAPTIVE, order=Order()
        ).mind.beliefs(0)  # type: ignore[union-attr]
        ended = resume(whole)
        assert ended.ending is Ending.DONE
        check(ended.trace, slack_us=10**10)
        again = replayed(whole / "journal.jsonl").state.mind
        assert again is not None
        assert again.policy == Policy("largest-first")


def test_a_change_needs_a_run_that_is_adaptive() -> None:
    workflow = Workflow("w", [TaskSet("a", duration=1)])
    state = begun(expand(workflow), (), mode=Mode.TASK_LEVEL, order=Order())
    with pytest.raises(AssertionError, match="only an adaptive run"):
        state.apply(Adapted(0, Policy(), ""))


def test_the_order_that_was_given_is_what_it_begins_with() -> None:
    workflow = Workflow("w", [TaskSet("a", tasks=3, duration=1), TaskSet("b", duration=1)])
    platform = Platform("p", (Node("n", 1, 0, 0),))
    order = Order("given", ("b[0]", "a[0]"))
    events: list[Event] = []
    state = begun(expand(workflow), platform.nodes, mode=Mode.ADAPTIVE, order=order)
    play(state, DrawnWorld(expand(workflow), 0), overheads=Overheads(), observe=events.append)
    assert [one.task for one in events if isinstance(one, Launched)] == [3, 0, 1, 2]
