"""Where a run stands, in numbers by set: what looking ahead begins from.

Tasks in flight become a few groups a set, by how long they have run; so whoever looks ahead copies
what is as large as the number of sets and nodes, not as the number of tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

from stretto.scheduler.adaptive.beliefs import Belief
from stretto.scheduler.adaptive.brake import Progress
from stretto.scheduler.adaptive.outline import Outline
from stretto.scheduler.adaptive.room import Room, Slots
from stretto.scheduler.adaptive.spread import rests_us
from stretto.scheduler.state import State

__all__ = ["Group", "Standing", "standing_of"]

MOST_WAVES = 4
"""Tasks of a set that run are told apart by their start in at most so many waves."""


class Group(NamedTuple):
    """Tasks of a set that are expected to end together.

    Parameters
    ----------
    first
        Tasks of the set before this one, in its order, were launched earlier.
    """

    set_index: int
    end_us: int
    tasks: int
    first: int
    slots: Slots


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands.

    Parameters
    ----------
    ready, unlaunched, finished, released
        By set: tasks that could run, that are to be launched, that have finished, and that have
        become ready so far.
    gates
        By set: sets that must be complete, or have so many tasks finished, before it may go.
    thresholds
        By set of which a part is enough for others: each of these, and how many tasks that is.
    enough
        By set whose other tasks are then ended: how many tasks are enough of it.
    groups
        What runs, and when it is expected to end.
    room
        What is free on the nodes.
    progress
        How far it is by stages and iterations.
    """

    now_us: int
    ready: list[int]
    unlaunched: list[int]
    finished: list[int]
    released: list[int]
    gates: list[int]
    thresholds: dict[int, list[tuple[int, int]]]
    enough: dict[int, int]
    groups: list[Group]
    room: Room
    progress: Progress


class _Running(NamedTuple):
    """A bundle in flight: since when, its tasks, the first of them, its slots."""

    since_us: int
    tasks: int
    first: int
    slots: Slots


def standing_of(
    state: State,
    outline: Outline,
    *,
    since_us: Mapping[int, int],
    beliefs: Sequence[Belief],
    progress: Progress,
    now_us: int,
) -> Standing:
    """Return where a state stands.

    Parameters
    ----------
    since_us
        By task in flight: when it was launched.
    beliefs
        By kind.
    """
    running = _running(state, since_us)
    groups = [
        group
        for index, bundles in sorted(running.items())
        for group in _groups(index, bundles, beliefs[outline.kinds[index]], now_us)
    ]
    nothing = (0,) * len(outline.totals)
    lost = state.slots.lost
    room = Room(
        outline.needs,
        (nothing if number in lost else each for number, each in enumerate(outline.nodes)),
    )
    for index, bundles in running.items():
        for bundle in bundles:
            room.hold(outline.shapes[index], bundle.slots)
    unwanted = _unwanted(state)
    unlaunched = [left - spare for left, spare in zip(state.unlaunched, unwanted, strict=True)]
    ready = [min(len(able), left) for able, left in zip(state.ready, unlaunched, strict=True)]
    thresholds = _thresholds(state)
    gates = [
        sum(not state.complete(one) for one in producers) if state.gates_left[index] else 0
        for index, producers in enumerate(outline.producers)
    ]
    for ahead in thresholds.values():
        for consumer, _ in ahead:
            gates[consumer] += 1
    counts = outline.counts
    return Standing(
        now_us=now_us,
        ready=ready,
        unlaunched=unlaunched,
        finished=[
            total - left + spare
            for total, left, spare in zip(counts, state.unfinished, unwanted, strict=True)
        ],
        released=[
            total - left + able for total, left, able in zip(counts, unlaunched, ready, strict=True)
        ],
        gates=gates,
        thresholds=thresholds,
        enough=_enough(state),
        groups=groups,
        room=room,
        progress=progress,
    )


def _unwanted(state: State) -> list[int]:
    """Return, by set, how many of the tasks to launch are expected not to be wanted."""
    found = [0] * len(state.sets)
    for index, gated in enumerate(state.sets):
        rules = gated.prunes
        if rules is None or index in state.wanted.told:
            continue
        for counted in rules.counts:
            found[counted] = max(found[counted], state.sets[counted].count - rules.tasks)
        if rules.converges and rules.later is not None:
            for behind in range(rules.later, len(found)):
                found[behind] = state.sets[behind].count
            break
    return [min(some, left) for some, left in zip(found, state.unlaunched, strict=True)]


def _thresholds(state: State) -> dict[int, list[tuple[int, int]]]:
    """Return the gates that wait for a part of a set, by set, with how many tasks that is."""
    wanted = state.wanted
    return {
        index: [
            (one.consumer, one.enough.needed(wanted.tasks(index)) + wanted.dropped[index])
            for one in ahead
        ]
        for index, ahead in enumerate(wanted.ahead)
        if ahead
    }


def _enough(state: State) -> dict[int, int]:
    """Return how many tasks are enough of the sets whose others are then ended."""
    wanted = state.wanted
    return {
        index: one.prunes.enough.needed(wanted.tasks(index)) + wanted.dropped[index]
        for index, one in enumerate(state.sets)
        if one.prunes is not None and one.prunes.enough is not None
    }


def _running(state: State, since_us: Mapping[int, int]) -> dict[int, list[_Running]]:
    """Return the bundles in flight, by set."""
    bundles: dict[int, list[int]] = {}
    for task, bundle in state.bundle_of.items():
        bundles.setdefault(bundle, []).append(task)
    running: dict[int, list[_Running]] = {}
    for bundle, tasks in bundles.items():
        index = state.set_of[tasks[0]]
        slots = [(slot.node, slot.ranks) for slot in state.placements[bundle]]
        first = min(tasks) - state.sets[index].first_task
        since = min(since_us[task] for task in tasks)
        running.setdefault(index, []).append(_Running(since, len(tasks), first, slots))
    return running


def _groups(index: int, bundles: list[_Running], belief: Belief, now_us: int) -> list[Group]:
    """Return the bundles of a set in groups by when they are expected to end."""
    bundles.sort()
    waves = [list(wave) for _, wave in groupby(bundles, key=lambda one: one.since_us)]
    if len(waves) > MOST_WAVES:
        cuts = [len(bundles) * part // MOST_WAVES for part in range(MOST_WAVES + 1)]
        waves = [bundles[low:high] for low, high in pairwise(cuts)]
    groups = []
    for wave in waves:
        elapsed_us = now_us - sum(one.since_us for one in wave) // len(wave)
        rests = rests_us(len(wave), elapsed_us, belief.mean_us, belief.spread_us)
        hands = _dealt(wave, [some for some, _ in rests])
        for part, (some, rest_us) in zip(hands, rests, strict=True):
            tasks = sum(one.tasks for one in part)
            end_us = now_us + rest_us + (tasks - some) * belief.mean_us // some
            slots = [slot for one in part for slot in one.slots]
            groups.append(Group(index, end_us, tasks, min(one.first for one in part), slots))
    return groups


def _dealt(wave: list[_Running], sizes: Sequence[int]) -> list[list[_Running]]:
    """Return the bundles of a wave in groups of so many; neighbours go to different groups."""
    hands: list[list[_Running]] = [[] for _ in sizes]
    for number, one in enumerate(wave, start=1):
        behind = [
            size * number - len(hand) * len(wave) for size, hand in zip(sizes, hands, strict=True)
        ]
        hands[behind.index(max(behind))].append(one)
    return hands
