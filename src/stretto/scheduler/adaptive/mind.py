"""What an adaptive run has learned, what it holds to at present, and when it thinks again.

The state tells its mind of every event.  Before a round launches anything the mind may `consider`:
at *decision points* it rehearses the rest of the run under the policy in force and under its
alternatives, and changes to the best if that gains enough.  A change is an event, `Adapted`,
applied and journaled like any other; a run that is read back has it, and decides nothing anew.

Decision points are where something new has come: a set has become ready, durations turn out other
than believed, something that is waited for is late, a node is lost or has returned.  What
rehearsals may cost is counted in simulated events, and grows with the tasks that have ended: so a
run replays whatever the speed of the machine, and thinking stays a small share of the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isqrt
from statistics import median
from typing import TYPE_CHECKING

from stretto.scheduler.adaptive.alternatives import SEQUENTIAL, fresh_inputs, orders, variants
from stretto.scheduler.adaptive.beliefs import Belief, Learned
from stretto.scheduler.adaptive.brake import Brake, Progress
from stretto.scheduler.adaptive.comparison import Comparison
from stretto.scheduler.adaptive.least import least_us
from stretto.scheduler.adaptive.outline import Outline
from stretto.scheduler.adaptive.ranks import Ranks
from stretto.scheduler.adaptive.standing import Standing, standing_of
from stretto.scheduler.events import (
    Adapted,
    Dropped,
    Event,
    Finished,
    Forgiven,
    Launched,
    NodeLost,
    NodeReturned,
    Started,
)
from stretto.scheduler.order import Order
from stretto.scheduler.policy import Policy
from stretto.scheduler.priorities import NOMINAL_US
from stretto.units import US_PER_SECOND

if TYPE_CHECKING:
    from stretto.scheduler.state import State

__all__ = ["Mind"]

EVENTS = 20_000
SMALL = 500
"""Simulated events of all rehearsals: so many, times the root of the tasks that have ended over
those of a small run."""
WORTH_US = 1000
"""How long a run must take, all in all, for each simulated event: a hundred times what it costs."""
EVENTS_A_REHEARSAL = 1500
"""Simulated events of one rehearsal."""
FIRST_MARGIN = 0.005
MARGIN = 0.02
"""A change must shorten what is left by this share; the choice at the start by the first."""
LATER = 0.1
"""Waiting for fresh input costs nothing where the run ends no later for it, and what waits is
complete later by no more than this share of what is left: what is foreseen is not certain."""
MOST_TOLD = 2
"""Of what gave occasion to a change so much is told."""
MOVED = 0.1
"""A belief that has moved by this share since it was last used is something new."""


class Mind:
    """Steers one run.

    Parameters
    ----------
    state, outline
        What is run; the mind only looks at it, and changes nothing but its order (`adapt`).
    order
        The order that the run begins with.
    """

    def __init__(self, state: State, outline: Outline, order: Order) -> None:
        self.policy = Policy(order.rule, order.strict)
        self.spent = 0
        """Simulated events so far."""
        self._state = state
        self.outline = outline
        self._order = order
        counts = dict(zip(outline.kinds, outline.counts, strict=True))
        self._learned = [Learned(prior, counts[kind]) for kind, prior in enumerate(outline.priors)]
        self._used: list[Belief] = []
        """By kind: what was believed when it was last decided."""
        self._since_us: dict[int, int] = {}
        """By task in flight: when it was launched, or started if it is one of a bundle."""
        self._end_us: int | None = None
        """When the run was last expected to end."""
        self._news: list[str] = []
        """What has come since it was last decided."""
        self._due_us: dict[str, int] = {}
        """By set that is waited for: when it is late."""
        self._met = bytearray(len(state.sets))
        """By set: whether it was seen ready."""
        self._brake = Brake(outline, self.policy)
        self._progress = Progress(outline, state.complete)

    # What the state tells.

    def observe(self, event: Event) -> None:
        """Learn from an event that was applied."""
        match event:
            case Launched(task, _, time_us):
                self._since_us[task] = time_us
                self._learned[self._kind(task)].begin(task)
            case Started(task, _, time_us) if task in self._since_us:
                if self._state.sets[self._state.set_of[task]].bundles:
                    self._since_us[task] = time_us
            case Finished(task, attempt, time_us) if task in self._since_us:
                if attempt == self._state.attempts[task]:
                    self._finished(task, time_us)
            case Forgiven():
                self._progress.move_on()
            case NodeLost(node) | NodeReturned(node):
                became = "was lost" if isinstance(event, NodeLost) else "is back"
                self._news.append(f"{self._state.slots.nodes[node].name} {became}")
            case _:
                if isinstance(event, Dropped):
                    self._progress.move_on()
                task = getattr(event, "task", -1)
                if task not in self._state.bundle_of:
                    self._since_us.pop(task, None)

    def adapt(self, event: Adapted) -> None:
        """Hold to another policy from now on."""
        beliefs = self.beliefs(event.time_us)
        self._used = beliefs
        self.policy = event.policy
        self._brake = Brake(self.outline, event.policy)
        priorities = self.ranks(beliefs).of(event.policy)
        state = self._state
        state.ranking.rank(priorities, state.unlaunched, strict=event.policy.strict)
        state.unsettled = True

    # What the rounds ask.

    def holds(self, index: int) -> bool:
        """Return whether the policy holds a set back."""
        return self.policy.holds and self._brake.holds(index, self._progress)

    def waits(self, index: int) -> list[str]:
        """Return in words for what the policy holds a set back; nothing if it does not."""
        return list(self._brake.waits(index, self._progress)) if self.policy.holds else []

    def consider(self, now_us: int) -> Adapted | None:
        """Return the change that pays, if this is a decision point and one does."""
        self._look_around(now_us)
        known = any(one.known for one in self._learned)
        if not self._news or not known or self.spent >= self._most(now_us):
            return None
        begun = self._state.n_finished > 0
        occasion = " and ".join(self._news[:MOST_TOLD]) if begun else "at the start"
        self._news = []
        beliefs = self.beliefs(now_us)
        standing = self.standing(beliefs, now_us)
        present = replace(self.policy, waits=self._unmet())
        comparison = Comparison(
            self.outline,
            standing,
            present,
            in_force=self._state.ranking.priorities,
            ranks=self.ranks(beliefs),
            beliefs=beliefs,
            most_events=EVENTS_A_REHEARSAL,
        )
        margin = MARGIN if self._used else FIRST_MARGIN
        least = least_us(self.outline, standing, beliefs)
        self._end_us = comparison.present.end_us
        chosen = None
        if self.spent + comparison.spent < self._most(now_us):
            chosen = self._chosen(comparison, margin, least)
            chosen = self._with_fresh_input(comparison, chosen)
        self.spent += comparison.spent
        self._used = beliefs
        if chosen is None:
            return None
        return Adapted(now_us, chosen, f"{occasion}: {comparison.reason(chosen)}")

    def _most(self, now_us: int) -> int:
        """Return how many simulated events this run is worth so far."""
        by_tasks = isqrt(EVENTS * EVENTS * (SMALL + self._state.n_finished) // SMALL)
        if self._end_us is None:
            return by_tasks
        # An end may have been expected before anybody knew how long the tasks take.
        return min(by_tasks, max(self._end_us, now_us) // WORTH_US)

    # How it decides.

    def _chosen(self, comparison: Comparison, margin: float, least: int) -> Policy | None:
        """Return the policy to hold to from here, `None` to go on as before.

        Parameters
        ----------
        margin
            Share of what is left that a change must gain.
        least
            Time before which the run cannot end.
        """
        present = comparison.present
        enough_us = round(margin * (present.end_us - comparison.now_us))
        if present.end_us - least <= enough_us:
            return None
        for one in orders(comparison.policy, self._order.rule):
            comparison.foreseen(one)
        comparison.foreseen(SEQUENTIAL, whole=True)
        order = comparison.order(comparison.best())
        for one in variants(comparison.best(), self.outline, order):
            comparison.foreseen(one)
        best = comparison.best()
        if present.end_us - comparison.foreseen(best).end_us > enough_us:
            return best
        # What is known better by now may rank the sets better, and that costs nothing.
        again = comparison.foreseen(comparison.policy)
        return comparison.policy if again.end_us < present.end_us else None

    def _with_fresh_input(self, comparison: Comparison, chosen: Policy | None) -> Policy | None:
        """Return the policy with all the waiting for fresh input that costs nothing."""
        number = self.outline.number
        for held, until in fresh_inputs(self.outline, comparison.standing):
            policy = comparison.policy if chosen is None else chosen
            if (held, until) in policy.waits:
                continue
            before = comparison.present if chosen is None else comparison.foreseen(chosen)
            waiting = replace(policy, waits=(*policy.waits, (held, until)))
            after = comparison.foreseen(waiting, whole=True)
            left_us = before.end_us - comparison.now_us
            later_us = after.complete_us[number[held]] - before.complete_us[number[held]]
            if after.end_us <= before.end_us and later_us <= LATER * left_us:
                chosen = waiting
                wait_us = after.complete_us[number[until]] - comparison.now_us
                self._due_us[until] = comparison.now_us + wait_us + wait_us // 4
        return chosen

    def _unmet(self) -> tuple[tuple[str, str], ...]:
        """Return what is waiting still."""
        number = self.outline.number
        return tuple(
            (held, until)
            for held, until in self.policy.waits
            if not self._state.complete(number[until])
        )

    # What it knows.

    def _kind(self, task: int) -> int:
        return self.outline.kinds[self._state.set_of[task]]

    def _finished(self, task: int, time_us: int) -> None:
        kind = self._kind(task)
        learned = self._learned[kind]
        knew = learned.known
        learned.end(task, time_us - self._since_us.pop(task))
        if self._state.complete(self._state.set_of[task]):
            self._progress.move_on()
        if learned.known and not knew:
            now_us = learned.belief(0, self._since_us, time_us).mean_us
            self._news.append(f"{self.outline.names[kind]} takes {now_us / US_PER_SECOND:.4g} s")
        elif self._used and learned.telling:
            before_us = self._used[kind].mean_us
            now_us = learned.belief(before_us, self._since_us, time_us).mean_us
            if abs(now_us - before_us) > MOVED * before_us:
                self._news.append(
                    f"{self.outline.names[kind]} takes {now_us / US_PER_SECOND:.4g} s, not "
                    f"{before_us / US_PER_SECOND:.4g} s"
                )

    def _look_around(self, now_us: int) -> None:
        """Take note of sets that have become ready, and of what is late."""
        for _, index in self._state.ranking.ready:
            if not self._met[index]:
                self._met[index] = 1
                self._news.append(f"{self._state.sets[index].name} is ready")
        late = [name for name, due_us in self._due_us.items() if now_us > due_us]
        for name in late:
            del self._due_us[name]
            if not self._state.complete(self.outline.number[name]):
                self._news.append(f"{name} is late")

    def standing(self, beliefs: Sequence[Belief], now_us: int) -> Standing:
        """Return where the run stands."""
        return standing_of(
            self._state,
            self.outline,
            since_us=self._since_us,
            beliefs=beliefs,
            progress=self._progress,
            now_us=now_us,
        )

    def beliefs(self, now_us: int) -> list[Belief]:
        """Return what is believed of each kind."""
        since_us = self._since_us
        known = {
            kind: one.belief(0, since_us, now_us)
            for kind, one in enumerate(self._learned)
            if one.known
        }
        nominal_us = NOMINAL_US
        if known:
            nominal_us = round(median(one.mean_us for one in known.values()))
        return [
            known.get(kind) or one.belief(nominal_us, since_us, now_us)
            for kind, one in enumerate(self._learned)
        ]

    def expected_us(self, index: int, now_us: int) -> int | None:
        """Return what a task of a set is believed to take; `None` if nothing is known of it."""
        learned = self._learned[self.outline.kinds[index]]
        return learned.belief(0, self._since_us, now_us).mean_us if learned.known else None

    def ranks(self, beliefs: Sequence[Belief]) -> Ranks:
        """Return how policies rank the sets by what is believed."""
        return Ranks(self.outline, self._state.sets, self._order, beliefs)
