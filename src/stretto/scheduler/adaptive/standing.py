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
        By set: sets that must be complete before any of its tasks may go.
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
    room = Room(outline.needs, outline.nodes)
    for index, bundles in running.items():
        for bundle in bundles:
            room.hold(outline.shapes[index], bundle.slots)
    ready = list(map(len, state.ready))
    unlaunched = list(state.unlaunched)
    counts = outline.counts
    return Standing(
        now_us=now_us,
        ready=ready,
        unlaunched=unlaunched,
        finished=[total - left for total, left in zip(counts, state.unfinished, strict=True)],
        released=[
            total - left + able for total, left, able in zip(counts, unlaunched, ready, strict=True)
        ],
        gates=[
            sum(not state.complete(one) for one in producers) if state.gates_left[index] else 0
            for index, producers in enumerate(outline.producers)
        ],
        groups=groups,
        room=room,
        progress=progress,
    )


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
