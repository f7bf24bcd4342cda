"""What looking ahead foresees is what the simulator then plays."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.families import loop
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.apps.paper import WORKLOADS, workload
from stretto.platform import Node, Overheads, Platform, platform_for
from stretto.resources import Resources
from stretto.scheduler import RULES, Event, Launched, Mode, Order, Policy, Release, State, begun
from stretto.scheduler.adaptive import Mind, outline_of
from stretto.scheduler.adaptive.beliefs import Belief, Learned
from stretto.scheduler.adaptive.comparison import Comparison
from stretto.scheduler.adaptive.least import least_us
from stretto.scheduler.adaptive.room import Room, dealt, layered
from stretto.scheduler.adaptive.spread import ends_us, part_ends_us, rests_us
from stretto.scheduler.slots import FreeSlots
from stretto.simulator import DrawnWorld, simulate
from stretto.simulator.virtual import play
from stretto.workflow import TaskSet, Workflow, expand, parse_workflow
from tests.workflows import platforms, shapes

ALIKE = {
    Release.TASK: Mode.TASK_LEVEL,
    Release.SET: Mode.ASYNCHRONOUS,
    Release.STAGE: Mode.SEQUENTIAL,
}
"""The mode that each way of release stands for."""


def comparison(mind: Mind, now_us: int = 0) -> Comparison:
    """The present moment of a run, to be tried out."""
    beliefs = mind.beliefs(now_us)
    return Comparison(
        mind.outline,
        mind.standing(beliefs, now_us),
        mind.policy,
        in_force=mind.ranks(beliefs).of(mind.policy),
        ranks=mind.ranks(beliefs),
        beliefs=beliefs,
        most_events=1_000_000,
    )


def beginning(workflow: Workflow, platform: Platform) -> tuple[State, Mind]:
    state = begun(expand(workflow), platform.nodes, mode=Mode.ADAPTIVE, order=Order())
    assert state.mind is not None
    return state, state.mind


def policies() -> list[Policy]:
    """Every order greedily and in line; stages in one order only, as they leave little to it."""
    found = [
        Policy(rule, strict, release=release)
        for release in (Release.TASK, Release.SET)
        for rule in RULES
        for strict in (False, True)
    ]
    return [*found, Policy(release=Release.STAGE)]


@pytest.mark.parametrize("name", WORKLOADS)
def test_without_noise_it_is_exact_on_the_papers_workloads(name: str) -> None:
    workflow = workload(name).at_means()
    platform = platform_for(workflow, None)
    _, mind = beginning(workflow, platform)
    compared = comparison(mind)
    least = least_us(mind.outline, compared.standing, mind.beliefs(0))
    for policy in policies():
        order = Order(policy.rule, strict=policy.strict)
        played = simulate(workflow, platform, mode=ALIKE[policy.release], order=order)
        assert compared.foreseen(policy, whole=True).end_us == played.ttx_us, policy
        assert played.ttx_us >= least


OPEN = {
    "quorum": """
iterations: 3
task_sets:
  simulation: {tasks: 40, duration: 100, after: {inference: {iteration: previous, staleness: 1}}}
  training: {tasks: 2, cores: 2, duration: 50, after: {simulation: {quorum: 0.75}}}
  inference: {tasks: 4, duration: 10, after: training}
""",
    "stragglers": """
iterations: 3
task_sets:
  simulation: {tasks: 40, duration: 100, after: {inference: {iteration: previous, staleness: 1}}}
  training: {duration: 50, after: {simulation: {quorum: 30, stragglers: cancel}}}
  inference: {tasks: 4, duration: 10, after: training}
""",
    "loop": """
iterations: {at_most: 20, until: inference, expected: 8}
task_sets:
  simulation: {tasks: 40, duration: 30, after: {inference: {iteration: previous, staleness: 1}}}
  inference: {duration: 5, after: simulation}
""",
    "counts": """
iterations: 3
task_sets:
  pick: {duration: 1, after: {score: {iteration: previous}}}
  simulation: {tasks: {from: pick, at_most: 90, expected: 20}, duration: 30, after: pick}
  score: {duration: 5, after: simulation}
""",
    "together": """
iterations: 2
task_sets:
  other: {tasks: 9, cores: 3, duration: 7}
  left: {tasks: 3, cores: 4, duration: 20, with: right}
  right: {tasks: 2, cores: 2, duration: 30}
  behind: {tasks: 9, duration: 5, after: left}
""",
}
"""Workflows of which not everything is known, or wanted, or launched singly."""


@pytest.mark.parametrize("name", OPEN)
def test_it_is_exact_where_parts_are_enough_or_results_decide_too(name: str) -> None:
    workflow = parse_workflow(f"name: {name}\n{OPEN[name]}", source=name)
    platform = Platform("p", (Node("n0", 8, 0, 0), Node("n1", 8, 0, 0)))
    played = simulate(workflow, platform, mode=Mode.TASK_LEVEL)
    assert comparison(beginning(workflow, platform)[1]).present.end_us == played.ttx_us


@pytest.mark.parametrize("name", ["deepdrivemd", "c-dg1", "c-dg2"])
def test_with_noise_it_foresees_what_barriers_cost(name: str) -> None:
    workflow = workload(name)
    platform = platform_for(workflow, None)
    compared = comparison(beginning(workflow, platform)[1])
    for release, mode in ALIKE.items():
        played = [simulate(workflow, platform, mode=mode, seed=seed).ttx_us for seed in range(4)]
        foreseen = compared.foreseen(Policy(release=release), whole=True)
        assert foreseen.end_us == pytest.approx(sum(played) / len(played), rel=0.025)


@pytest.mark.parametrize("member", [5, 46])
def test_small_tasks_that_slip_into_the_gaps_a_large_one_waits_for_are_foreseen(
    member: int,
) -> None:
    workflow, platform = loop(member)
    compared = comparison(beginning(workflow, platform)[1])
    for release in (Release.TASK, Release.SET):
        mode = ALIKE[release]
        played = [simulate(workflow, platform, mode=mode, seed=seed).ttx_us for seed in range(4)]
        foreseen = compared.foreseen(Policy(release=release), whole=True)
        assert foreseen.end_us == pytest.approx(sum(played) / len(played), rel=0.02)


def test_its_cost_does_not_grow_with_the_number_of_tasks() -> None:
    def events(scale: int) -> int:
        sets = [
            TaskSet("a", tasks=64 * scale, duration={"mean": 100, "sd": 10}),
            TaskSet("b", tasks=16 * scale, duration={"mean": 50, "sd": 5}, after={"a": "group"}),
            TaskSet("c", duration=10, after="b"),
        ]
        workflow = Workflow("w", sets, iterations=3)
        platform = Platform("p", (Node("n", 32 * scale, 0, 0),))
        return comparison(beginning(workflow, platform)[1]).present.events

    assert events(64) <= 1.2 * events(1)


def test_a_rehearsal_is_cut_off_where_it_cannot_win_or_costs_too_much() -> None:
    workflow = workload("c-dg2").at_means()
    compared = comparison(beginning(workflow, platform_for(workflow, None))[1])
    assert compared.foreseen(Policy("largest-first")).end_us == 1_540_000_000
    cut = compared.foreseen(Policy("longest-first"))
    assert cut.end_us == 1_540_000_000
    assert cut.events < compared.present.events
    assert compared.best() == Policy("largest-first")


class TestSpread:
    """A wave ends as the order statistics of its tasks do."""

    @given(st.integers(1, 5000), st.integers(1, 10**9), st.floats(0, 0.3))
    def test_all_tasks_end_and_the_mean_is_kept(
        self, tasks: int, mean_us: int, noise: float
    ) -> None:
        parts = ends_us(tasks, mean_us, int(noise * mean_us))
        assert sum(some for some, _ in parts) == tasks
        assert [end for _, end in parts] == sorted(end for _, end in parts)
        mean = sum(some * end for some, end in parts) / tasks
        assert mean == pytest.approx(mean_us, abs=0.02 * mean_us + 1)

    def test_whoever_waits_for_a_hundred_waits_two_and_a_half_deviations_longer(self) -> None:
        assert ends_us(96, 1000, 100)[-1][1] == pytest.approx(1245, abs=15)

    @given(st.lists(st.integers(1, 9), min_size=1, max_size=7))
    def test_a_set_in_waves_has_the_slowest_task_that_it_has_in_one(self, waves: list[int]) -> None:
        count = sum(waves)
        firsts = [sum(waves[:number]) for number in range(len(waves))]
        parts = [
            part_ends_us(first, tasks, count, 10**6, 10**5)
            for first, tasks in zip(firsts, waves, strict=True)
        ]
        assert [sum(some for some, _ in one) for one in parts] == waves
        slowest = max(one[-1][1] for one in parts)
        assert slowest == ends_us(count, 10**6, 10**5)[-1][1]
        mean = sum(some * end for one in parts for some, end in one) / count
        assert mean == pytest.approx(10**6, abs=10)

    @given(st.integers(0, 10**5), st.integers(1, 63))
    def test_any_part_of_a_large_set_is_spread_evenly(self, first: int, tasks: int) -> None:
        parts = part_ends_us(first, tasks, 10**6, 10**6, 10**5)
        mean = sum(some * end for some, end in parts) / tasks
        assert mean == pytest.approx(10**6, abs=10**6 / tasks)

    @given(st.integers(1, 500), st.integers(0, 10**9), st.integers(1, 10**8), st.integers(0, 10**7))
    def test_what_has_run_for_a_while_never_ends_in_the_past(
        self, tasks: int, elapsed_us: int, mean_us: int, spread_us: int
    ) -> None:
        parts = rests_us(tasks, elapsed_us, mean_us, spread_us)
        assert sum(some for some, _ in parts) == tasks
        assert all(rest_us >= 0 for _, rest_us in parts)

    def test_what_is_late_is_expected_to_go_on_for_a_while(self) -> None:
        assert rests_us(1, 2000, 1000, 10) == ((1, 250),)
        assert rests_us(1, 1000, 1000, 100)[0][1] == pytest.approx(67, abs=2)


class TestRoom:
    """Whole waves find the room that single tasks would find."""

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_as_many_fit_as_one_by_one(self, data: st.DataObject) -> None:
        platform = data.draw(platforms())
        shape = data.draw(shapes(platform))
        workflow = Workflow("w", [TaskSet("a", tasks=99, resources=shape, duration=1)])
        state = begun(expand(workflow), platform.nodes, mode=Mode.ADAPTIVE, order=Order())
        outline = outline_of(expand(workflow), state.sets, platform.nodes)
        taken = Room(outline.needs, outline.nodes).take(0, 99)
        slots = FreeSlots(platform.nodes)
        number = slots.number(shape)
        ranks = 0
        while (placement := slots.find(number)) is not None and ranks < 99 * shape.ranks:
            slots.take(placement)
            ranks += shape.ranks
        assert sum(some for _, some in taken) == ranks

    def test_what_was_given_back_can_be_taken_again(self) -> None:
        sets = [TaskSet("a", tasks=9, resources=Resources(cores=3), duration=1)]
        workflow = Workflow("w", sets)
        outline = outline_of(
            expand(workflow),
            begun(expand(workflow), (), mode=Mode.TASK_LEVEL, order=Order()).sets,
            (Node("n0", 4, 0, 0), Node("n1", 7, 0, 0)),
        )
        room = Room(outline.needs, outline.nodes)
        taken = room.take(0, 9)
        assert taken == [(0, 1), (1, 2)]
        assert room.full(0)
        assert room.take(0, 1) == []
        room.give_back(0, [(1, 1)])
        assert not room.full(0)
        assert room.take(0, 9) == [(1, 1)]

    @given(st.lists(st.integers(1, 7), min_size=1, max_size=9), st.data())
    def test_slots_are_dealt_out_without_loss(self, ranks: list[int], data: st.DataObject) -> None:
        slots = list(enumerate(ranks))
        cuts = sorted(data.draw(st.lists(st.integers(0, sum(ranks)), max_size=3)))
        sizes = [b - a for a, b in zip([0, *cuts], [*cuts, sum(ranks)], strict=True)]
        hands = dealt(slots, sizes)
        assert [sum(some for _, some in hand) for hand in hands] == sizes
        for node, there in slots:
            assert sum(some for hand in hands for at, some in hand if at == node) == there

    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9)), min_size=1), st.integers(1, 8))
    def test_layers_have_one_rank_a_node_and_lose_none(
        self, slots: list[tuple[int, int]], most: int
    ) -> None:
        layers = layered(slots, most)
        assert len(layers) <= most
        assert all(ranks == 1 for layer in layers[:-1] for _, ranks in layer)
        for node in range(5):
            there = sum(ranks for at, ranks in slots if at == node)
            assert sum(some for layer in layers for at, some in layer if at == node) == there


def observed(learned: Learned, *took_us: int, first: int = 0) -> Learned:
    """Tasks that were launched and have ended."""
    for task, took in enumerate(took_us, start=first):
        learned.begin(task)
        learned.end(task, took)
    return learned


class TestBeliefs:
    """What is believed of durations moves to what is observed, and not to what is odd."""

    def test_a_guess_counts_as_two_observations(self) -> None:
        learned = observed(Learned(Belief(100, 0)), 200, 200)
        assert learned.belief(1, {}, 0).mean_us == 150
        assert observed(learned, *[200] * 60, first=2).belief(1, {}, 0).mean_us >= 196

    def test_what_changes_is_noticed(self) -> None:
        learned = observed(Learned(Belief(100, 5)), *[100] * 1000)
        observed(learned, *[300] * 200, first=1000)
        assert learned.belief(1, {}, 0).mean_us == pytest.approx(300, rel=0.1)

    def test_a_straggler_moves_it_little(self) -> None:
        usual = [1000 + 10 * (number % 5 - 2) for number in range(40)]
        before = observed(Learned(Belief(1000, 20)), *usual).belief(1, {}, 0)
        after = observed(Learned(Belief(1000, 20)), *usual, 1_000_000).belief(1, {}, 0)
        assert after.mean_us == pytest.approx(before.mean_us, rel=0.01)
        assert after.spread_us <= 30

    @pytest.mark.parametrize("prior", [Belief(100_000, 5_000), None])
    def test_the_first_of_a_wave_to_end_are_not_taken_for_all(self, prior: Belief | None) -> None:
        rng = np.random.default_rng(1)
        took = sorted(rng.normal(100_000, 5_000, 120).round().astype(int).tolist())
        learned = Learned(prior, 120)
        for task in range(len(took)):
            learned.begin(task)
        for task in range(6):
            learned.end(task, took[task])
        running = dict.fromkeys(range(6, len(took)), 0)
        assert sum(took[:6]) / 6 < 91_000
        mean_us = learned.belief(1, running, took[5]).mean_us
        assert mean_us == pytest.approx(100_000, rel=0.06 if prior is None else 0.04)

    def test_what_a_task_took_is_not_forgotten_when_it_is_done_again(self) -> None:
        for prior in (None, Belief(1000, 5), Belief(100, 5)):
            learned = observed(Learned(prior), 100, 100, 100)
            for task in range(3):
                learned.begin(task)
            assert learned.belief(1, {}, 0).mean_us == 100

    def test_of_a_large_set_a_part_is_looked_at(self) -> None:
        learned = observed(Learned(None, 100_000), *[50] * 100_000)
        assert 50 <= learned.seen <= 100
        assert learned.belief(1, {}, 0).mean_us == 50

    def test_nothing_is_known_but_that_what_runs_lasts_as_long_as_it_has_run(self) -> None:
        learned = Learned(None)
        assert not learned.known
        assert learned.belief(700, {}, 0).mean_us == 700
        learned.begin(0)
        assert learned.belief(700, {0: 100}, 1000).mean_us == 900

    def test_tasks_that_outlast_the_guess_raise_it(self) -> None:
        learned = Learned(Belief(100, 0), 98)
        for task in range(98):
            learned.begin(task)
        running = dict.fromkeys(range(98), 0)
        assert learned.belief(1, running, 50).mean_us == 100
        assert learned.belief(1, running, 1000).mean_us > 900


@pytest.mark.parametrize("name", ["deepdrivemd", "c-dg2", *OPEN])
def test_without_noise_it_is_exact_from_the_middle_of_a_run_too(name: str) -> None:
    if name in OPEN:
        workflow = parse_workflow(f"name: {name}\n{OPEN[name]}", source=name)
        platform = Platform("p", (Node("n0", 8, 0, 0), Node("n1", 8, 0, 0)))
    else:
        workflow = workload(name).at_means()
        platform = platform_for(workflow, None)
    state, mind = beginning(workflow, platform)
    mind.spent = 1 << 40  # it has nothing left to think with: the policy stays
    foreseen: list[int] = []
    seen: list[Event] = []

    def look_ahead(event: Event) -> None:
        # Between rounds: what has arrived at an instant was applied, and what that led to.
        if seen and isinstance(event, Launched) and not isinstance(seen[-1], Launched):
            foreseen.append(comparison(mind, event.time_us).present.end_us)
        seen.append(event)

    world = DrawnWorld(expand(workflow), 0)
    end_us = play(state, world, overheads=Overheads(), observe=look_ahead)
    assert len(foreseen) >= 3
    assert set(foreseen) == {end_us}
