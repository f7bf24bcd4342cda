"""Random histories of a run: whatever can befall it, in whatever order, from one seed.

The player is the world and the driver at once.  It tells the state what happened to attempts, by
chance, and does in each round what every driver does: apply, prune, excuse, decide.  Meanwhile
nodes are lost and come back, results decide what they like, tasks idle and wake, groups are torn,
policies change, messages come late and twice, and now and then the run is stopped and rebuilt from
its events, which have been JSON in between, and of which the last ones may be lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from stretto.platform import Platform
from stretto.scheduler import (
    RULES,
    Adapted,
    Cancelled,
    Dropped,
    Event,
    Failed,
    Finished,
    Forgiven,
    GatedSet,
    Idled,
    Launched,
    Limited,
    Lost,
    Mode,
    NodeReturned,
    Order,
    Policy,
    Release,
    Resumed,
    Started,
    State,
    Status,
    Told,
    Woke,
    abandoned,
    begun,
    decide,
    excused,
    gated_sets,
    leaving,
    losses,
    prune,
    revoked,
)
from stretto.trace import Kind, Trace, TraceBuilder
from stretto.trace.codec import event_from_json, event_to_json
from stretto.workflow import Workflow, expand
from tests.open_workflows import open_cases
from tests.workflows import cases, grouped

MOST_ROUNDS = 60
"""Rounds with faults; of those without, a healthy run needs no more than tasks it has."""
MOST_TORN = 3
"""Rounds that are lost when the machine dies."""
SPENT = 9_000
"""What an adaptive run has thought before it begins, so that it soon has to stop thinking."""
KINDS = (cases(), open_cases(), grouped().map(lambda drawn: drawn[:2]))


def case_of(seed: int) -> tuple[Workflow, Platform]:
    """Return the random workflow and platform of a seed."""
    found = []

    # The first example is the simplest there is; the second is the first of chance.
    @seeded(seed)
    @settings(
        max_examples=2,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(KINDS[seed % len(KINDS)])
    def draw(case: tuple[Workflow, Platform]) -> None:
        found.append(case)

    draw()
    return found[-1]


class History:
    """One history, as it is being played."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.workflow, self.platform = case_of(seed)
        self.mode = list(Mode)[seed % len(Mode)]
        self.expansion = expand(self.workflow)
        self.sets = self._sets()
        self.order = self._order()
        self.unit_us = self.rng.choice([10, 1_000_000])
        """Ten makes tasks so short that they are bundled, where they may be."""
        self.state = self._begun()
        self.now_us = 0
        self.events: list[Event] = []
        self.rounds: list[int] = []
        """How many events there were after each round."""
        self.excuses: list[Forgiven | Dropped] = []
        self.launches: list[Launched] = []
        """What followed and what was launched in the last round."""
        self.believed_us: list[int | None] = []
        """By set: what its tasks were believed to take before the last round launched any."""
        self.told: list[Event] = []
        """Starts and ends, to be told (again) when nobody waits for them anymore."""
        self.launched_us: dict[int, int] = {}
        self.started_us: dict[int, int] = {}
        self.free_us: dict[int, int] = {}
        """By bundle: when its last task ended."""

    def _sets(self) -> list[GatedSet]:
        sets = gated_sets(self.expansion, self.mode)
        return [replace(one, bundles=self.rng.random() < 0.2 and not one.gang) for one in sets]

    def _order(self) -> Order:
        strict = self.rng.random() < 0.4
        if self.rng.random() < 0.5:
            return Order(self.rng.choice(list(RULES)), strict=strict)
        names = [one.name for one in self.sets]
        self.rng.shuffle(names)
        return Order("given", tuple(names), strict=strict)

    def _begun(self) -> State:
        nodes = self.platform.nodes
        state = begun(self.expansion, nodes, mode=self.mode, order=self.order, sets=self.sets)
        if state.mind is not None:
            state.mind.spent = SPENT
        return state

    # Phases.

    def play_faults(self) -> Iterator[State]:
        """Play with faults; yield the state after each round."""
        for _ in range(MOST_ROUNDS):
            self.now_us += self.rng.randrange(3) * self.rng.randrange(1, self.unit_us)
            if self.rng.random() < 0.06:
                self._stop_and_resume()
            self._befall()
            self._decide()
            self.rounds.append(len(self.events))
            yield self.state

    def play_healed(self) -> Iterator[State]:
        """Resume without faults, and play until nothing is in flight; yield after each round."""
        self._stop_and_resume(limited=False)
        self._decide()
        while self.state.n_in_flight:
            yield self.state
            self.now_us += self.unit_us
            for task in self._heads():
                self._end(task, "finished")
            self._end_useless(chance=1)
            self._decide()

    def trace(self) -> Trace:
        """Return the trace of all that has been."""
        builder = TraceBuilder()
        for event in self.events:
            builder.add(event)
            if isinstance(event, Resumed):
                builder.note(event.time_us, "stopped")
        return builder.trace(
            self.workflow,
            self.platform,
            mode=self.mode,
            order=self.order,
            seed=0,
            kind=Kind.EMULATED,
        )

    # What happens in a round.

    def _apply(self, event: Event) -> None:
        self.state.apply(event)
        self.events.append(event)

    def _end_useless(self, *, chance: float) -> None:
        """End what is left of broken groups, and what is not wanted anymore, now or later."""
        self.events += revoked(self.state)
        drops = [event for event in self.events if isinstance(event, Dropped)]
        useless = [task for dropped in drops for task in leaving(self.state, dropped)]
        for task in (*abandoned(self.state), *useless):
            if self.rng.random() < chance:
                self._end(task, "cancelled")

    def _follow(self) -> None:
        """Let follow what must."""
        self.events += revoked(self.state)
        self.excuses = []
        while True:
            pruned, excuses = prune(self.state, self.now_us), excused(self.state, self.now_us)
            self.events += [*pruned, *excuses]
            self.excuses += excuses
            if not pruned and not excuses:
                return

    def _decide(self) -> None:
        self._follow()
        mind, sets = self.state.mind, self.state.sets
        self.believed_us = [
            one.expected_us if mind is None else mind.expected_us(index, self.now_us)
            for index, one in enumerate(sets)
        ]
        decided = decide(self.state, self.now_us)
        self.events += decided
        self.launches = [event for event in decided if isinstance(event, Launched)]
        for launched in self.launches:
            self.launched_us[launched.task] = self.now_us
            self.started_us.pop(launched.task, None)

    def _befall(self) -> None:
        rng, state = self.rng, self.state
        for task in self._heads():
            if rng.random() < 0.5:
                fates = ["started", "finished", "finished", "finished", "failed", "lost"]
                self._end(task, rng.choice([*fates, "cancelled"]))
            if state.status[task] == Status.RUNNING and rng.random() < 0.3:
                mark = Woke if task in state.idle else Idled
                self._apply(mark(task, state.attempts[task], self.now_us))
        self._end_useless(chance=0.5)
        for event in rng.sample(self.told, min(len(self.told), rng.randrange(3))):
            if not self._current(event):
                self._apply(event)
        if rng.random() < 0.1:
            for event in losses(state, rng.randrange(len(state.slots.nodes)), self.now_us):
                self._apply(event)
        if rng.random() < 0.1 and state.slots.lost:
            self._apply(NodeReturned(rng.choice(list(state.slots.lost)), self.now_us))
        if rng.random() < 0.1 and state.mind is not None:
            self._apply(Adapted(self.now_us, self._policy(), "chance"))

    def _policy(self) -> Policy:
        rng = self.rng
        return Policy(
            rule=rng.choice(list(RULES)),
            strict=rng.random() < 0.3,
            first=rng.choice([None, *(one.name for one in self.workflow.task_sets)]),
            release=rng.choice(list(Release)),
            ahead=rng.choice([None, 0, 1]),
        )

    def _current(self, event: Any) -> bool:
        in_flight = event.task in self.state.bundle_of
        return in_flight and self.state.attempts[event.task] == event.attempt

    def _heads(self) -> list[int]:
        """Return the tasks in flight whose turn it is in their bundle."""
        bundles: dict[int, int] = {}
        for task, bundle in self.state.bundle_of.items():
            bundles.setdefault(bundle, task)
        return list(bundles.values())

    def _end(self, task: int, fate: str) -> None:
        """Tell a start or an end, at a time at which it can have been."""
        rng, attempt = self.rng, self.state.attempts[task]
        bundle = self.state.bundle_of[task]
        begun_us = max(self.launched_us[task], self.free_us.get(bundle, 0))
        if task not in self.started_us and (fate in ("started", "finished") or rng.random() < 0.5):
            self.started_us[task] = rng.randint(begun_us, self.now_us)
            self._tell(Started(task, attempt, self.started_us[task]))
        elif task not in self.started_us:
            self.told.append(Started(task, attempt, self.now_us + self.unit_us))
        ended_us = rng.randint(self.started_us.get(task, begun_us), self.now_us)
        match fate:
            case "started":
                return
            case "finished":
                self._tell(Finished(task, attempt, ended_us))
                self._answer(task)
            case "failed":
                self._tell(Failed(task, attempt, ended_us, "chance"))
            case "lost":
                self._tell(Lost(task, attempt, ended_us, "chance"))
            case _:
                self._tell(Cancelled(task, attempt, ended_us))
        self.free_us[bundle] = ended_us

    def _answer(self, task: int) -> None:
        """Say how the workflow goes on, if that is for this task to say, and it is wanted."""
        rules, rng = self.state.sets[self.state.set_of[task]].prunes, self.rng
        if rules is not None and rules.asks and self.state.status[task] == Status.FINISHED:
            converged = None if rules.later is None else rng.random() < 0.2
            tasks = rng.randint(0, rules.most) if rules.counts else None
            self._apply(Told(task, self.now_us, converged, tasks))

    def _tell(self, event: Event) -> None:
        self._apply(event)
        self.told.append(event)

    def _stop_and_resume(self, *, limited: bool = True) -> None:
        """End the run as a driver does, or as its death does, and rebuild it from its events."""
        if self.rng.random() < 0.5:
            for task in self.state.in_flight():
                self._apply(Cancelled(task, self.state.attempts[task], self.now_us))
            self._follow()
        rebuilt = self._rebuilt()
        assert snapshot(rebuilt) == snapshot(self.state), "replayed, the state is another"
        if self.rounds and self.rng.random() < 0.3:
            self._tear()
            rebuilt = self._rebuilt()
        self.state = rebuilt
        for task in self.state.in_flight():
            attempt = self.state.attempts[task]
            self._apply(Lost(task, attempt, self.now_us, "the run ended while it ran"))
        for node in list(self.state.slots.lost):
            self._apply(NodeReturned(node, self.now_us))
        self._apply(Resumed(self.now_us))
        if limited and self.rng.random() < 0.5:
            until_us = self.now_us + self.rng.randrange(40_000_000)
            self._apply(Limited(until_us, self.now_us, self.rng.random() < 0.2))

    def _tear(self) -> None:
        """Lose the events of the last rounds, and all that is known from there."""
        kept = self.rng.choice(self.rounds[-MOST_TORN:])
        del self.events[kept:]
        self.rounds = [after for after in self.rounds if after <= kept]
        self.told = [event for event in self.told if event in self.events]

    def _rebuilt(self) -> State:
        rebuilt = self._begun()
        for event in self.events:
            came_back = event_from_json(json.loads(json.dumps(event_to_json(event))))
            assert came_back == event
            rebuilt.apply(came_back)
        return rebuilt


def snapshot(state: State) -> dict[str, Any]:
    """Return all that a state is, but what is due to be looked at."""
    parts = {
        **vars(state),
        "mind": None if state.mind is None else state.mind.policy,
        "slots": {name: getattr(state.slots, name) for name in SLOTS},
        "shortfall": _parts(state.shortfall),
        "ranking": _parts(state.ranking),
        "wanted": _parts(state.wanted),
        "shares": _parts(state.shares),
    }
    del parts["unsettled"], parts["wanted"]["doubtful"]
    return parts


def _parts(of: Any) -> dict[str, Any]:
    return (
        {name: getattr(of, name) for name in of.__slots__} if hasattr(of, "__slots__") else vars(of)
    )


SLOTS = ("_cores", "_gpus", "_memory", "_named", "_shared", "lost", "nodes")
"""What is free; how it is searched is not part of it."""
