"""A rehearsal: the rest of a run under a policy, by counts of tasks instead of tasks.

The rules are those of a round (`rounds`): what has become ready is launched set by set in the order
of the policy, on the nodes in their order, as far as there is room.  But a wave of alike tasks is
placed at once and ends in a few groups (`spread`, `flights`).  So a rehearsal costs what the sets,
their waves and the nodes cost, whatever the number of tasks.

The tasks of a group end at one time only on paper: where durations vary they end one by one, and
what needs the room of two of them on a node finds it taken by what needs the room of one.  So where
something larger waits, a group ends one task a node at a time, with a round after each.

What it does not know: which single tasks feed which.  Of tasks that feed tasks one by one, as many
are served as have finished; of blocks, as many as are expected to be whole if the tasks in flight
end in random order.  Overheads are in the durations that were observed, from launch to end.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stretto.scheduler.adaptive.beliefs import Belief
from stretto.scheduler.adaptive.brake import Brake
from stretto.scheduler.adaptive.flights import Flight, Flights
from stretto.scheduler.adaptive.least import rest_us
from stretto.scheduler.adaptive.outline import Outline
from stretto.scheduler.adaptive.room import Slots, dealt, layered
from stretto.scheduler.adaptive.spread import part_ends_us
from stretto.scheduler.adaptive.standing import Standing
from stretto.scheduler.policy import Policy
from stretto.workflow import Pattern

__all__ = ["Foreseen", "rehearsed"]

NEVER_US = 1 << 62
MOST_LAYERS = 8
"""So many tasks of a group on a node end one by one at most, the others with the last of them."""
NODES_AN_EVENT = 64
"""Nodes that are looked at for the work of one event."""


class Foreseen(NamedTuple):
    """What a rehearsal shows.

    Parameters
    ----------
    end_us
        When the run would end; a lower bound from where the rehearsal was cut off.
    events
        What it cost: simulated events.
    complete_us
        By set: when it would be complete; 0 where that was not rehearsed.
    """

    end_us: int
    events: int
    complete_us: Sequence[int]


def rehearsed(
    outline: Outline,
    standing: Standing,
    policy: Policy,
    *,
    priorities: Sequence[int],
    beliefs: Sequence[Belief],
    most_events: int,
    not_after_us: int = NEVER_US,
) -> Foreseen:
    """Return how the rest of a run is expected to go under a policy.

    Parameters
    ----------
    priorities
        By set: a higher one goes first.
    beliefs
        By kind.
    most_events
        The rehearsal is cut off after so many simulated events.
    not_after_us
        It is cut off too where it comes to this time; then this is its end.
    """
    rehearsal = _Rehearsal(outline, standing, policy, priorities, beliefs)
    end_us = rehearsal.play(most_events, not_after_us)
    return Foreseen(end_us, rehearsal.events, rehearsal.complete_us)


class _Rehearsal:
    """The state of a rehearsal."""

    def __init__(
        self,
        outline: Outline,
        standing: Standing,
        policy: Policy,
        priorities: Sequence[int],
        beliefs: Sequence[Belief],
    ) -> None:
        self.outline = outline
        self.policy = policy
        self.priorities = priorities
        self.beliefs = beliefs
        self.now_us = standing.now_us
        self.ready = list(standing.ready)
        self.unlaunched = list(standing.unlaunched)
        self.finished = list(standing.finished)
        self.released = list(standing.released)
        self.gates = list(standing.gates)
        self.thresholds = {index: list(some) for index, some in standing.thresholds.items()}
        self.enough = standing.enough
        self.room = standing.room.copy()
        self.flights = Flights()
        self.landing: Flight | None = None
        """A group of which some tasks have ended already."""
        self.complete_us = [0] * len(outline.counts)
        self.done = 0
        """Groups that have ended."""
        self.progress = standing.progress.resumed(self._complete)
        self.brake = Brake(outline, policy)
        for one in standing.groups:
            self.flights.add(one.set_index, one.end_us, one.tasks, one.first, one.slots)
        self.listed = self._ranked(self.ready)
        self.line = self._ranked(self.unlaunched) if policy.strict else []
        self.line_from = 0
        for index, tasks in enumerate(self.unlaunched):
            if tasks > self.ready[index]:
                self._feed(index)

    @property
    def events(self) -> int:
        """What it has cost so far."""
        return self.done + self.room.looked_at // NODES_AN_EVENT

    def play(self, most_events: int, not_after_us: int) -> int:
        """Return when all that can be done is done, in microseconds."""
        self._round()
        while (next_us := self.flights.next_us()) is not None:
            self.now_us = next_us
            while self.flights.next_us() == next_us:
                self._end(self.flights.land())
            if self.now_us >= not_after_us:
                return not_after_us
            if self.events >= most_events:
                return self.now_us + self._rest_us()
            self._round()
        return self.now_us

    # A round.

    def _round(self) -> None:
        """Launch what there is room for, as `rounds.decide` does."""
        if self.policy.strict:
            self._launch_in_line()
        else:
            self._launch(self._free())
        if self._idle():
            self._launch(self._free())
        if self._idle():
            self._launch([one for _, one in self.listed])

    def _idle(self) -> bool:
        """Return whether nothing is in flight."""
        return not self.flights.number and self.landing is None

    def _free(self) -> list[int]:
        """Return the sets that have ready tasks and are not held back, best first."""
        return [one for _, one in self.listed if not self._held(one)]

    def _launch_in_line(self) -> None:
        line = self.line
        while self.line_from < len(line):
            index = line[self.line_from][1]
            if self.unlaunched[index]:
                if not self.ready[index] or self._held(index):
                    return
                self._launch((index,))
                if self.unlaunched[index]:
                    return
            self.line_from += 1

    def _launch(self, sets: Iterable[int]) -> None:
        outline = self.outline
        for index in sets:
            if outline.gangs[index]:
                self._launch_together(outline.gangs[index])
                continue
            shape = outline.shapes[index]
            if not self.room.full(shape):
                slots = self.room.take(shape, self.ready[index])
                if slots:
                    self._start(index, slots)

    def _launch_together(self, gang: Sequence[int]) -> None:
        """Launch sets that run at once, all of their tasks or none."""
        outline = self.outline
        waiting = [self.ready[one] for one in gang]
        if not any(waiting) or any(self.ready[one] < outline.counts[one] for one in gang):
            return
        taken = [(one, self.room.take(outline.shapes[one], self.ready[one])) for one in gang]
        if all(_tasks(outline, one, slots) == self.ready[one] for one, slots in taken):
            for one, slots in taken:
                self._start(one, slots)
            return
        for one, slots in taken:
            if slots:
                self.room.give_back(outline.shapes[one], slots)

    def _start(self, index: int, slots: Slots) -> None:
        """Put a wave of tasks of a set into flight."""
        outline = self.outline
        tasks = _tasks(outline, index, slots)
        ranks = outline.needs[outline.shapes[index]].ranks
        first = outline.counts[index] - self.unlaunched[index]
        self.ready[index] -= tasks
        self.unlaunched[index] -= tasks
        if not self.ready[index]:
            del self.listed[bisect_left(self.listed, (-self.priorities[index], index))]
        belief = self.beliefs[outline.kinds[index]]
        parts = part_ends_us(first, tasks, outline.counts[index], belief.mean_us, belief.spread_us)
        hands = dealt(slots, [some * ranks for some, _ in parts])
        for (some, takes_us), held in zip(parts, hands, strict=True):
            self.flights.add(index, self.now_us + takes_us, some, first, held)

    def _held(self, index: int) -> bool:
        """Return whether the policy holds a set back."""
        return self.policy.holds and self.brake.holds(index, self.progress)

    def _complete(self, index: int) -> bool:
        """Return whether all tasks of a set have ended, and of all that runs at once with it."""
        counts, finished = self.outline.counts, self.finished
        return all(finished[one] >= counts[one] for one in self.outline.gangs[index] or (index,))

    def _ranked(self, tasks: Sequence[int]) -> list[tuple[int, int]]:
        return sorted((-self.priorities[one], one) for one, some in enumerate(tasks) if some)

    # Ends.

    def _end(self, group: Flight) -> None:
        """Let a group end, and what waits for it go."""
        outline, index = self.outline, group.set_index
        slots, tasks = group.slots, group.tasks
        if self._crowded(index):
            slots, tasks = self._one_by_one(group)
        self.done += 1
        self.room.give_back(outline.shapes[index], slots)
        self.finished[index] += tasks
        if self.finished[index] >= self.enough.get(index, outline.counts[index] + 1):
            self._cut(index)
        complete = self._complete(index)
        if outline.gangs[index] and not complete:
            return
        self._pass_thresholds(index)
        for one in outline.gangs[index] or (index,):
            for feed in outline.feeds[one]:
                self._feed(feed.consumer)
            if complete:
                self.complete_us[one] = self.now_us
                for consumer in outline.opens[one]:
                    self.gates[consumer] -= 1
                    self._feed(consumer)
        if complete:
            self.progress.move_on()

    def _crowded(self, index: int) -> bool:
        """Return whether a group ends one by one: others need more room than one task leaves."""
        outline = self.outline
        shape = outline.shapes[index]
        if not self.beliefs[outline.kinds[index]].spread_us or outline.needs[shape].ranks > 1:
            return False
        if outline.gangs[index] or index in self.enough:
            return False
        larger = outline.larger[shape]
        there = (one for _, one in self.listed)
        coming = (feed.consumer for feed in outline.feeds[index])
        return any(larger[outline.shapes[one]] for one in (*there, *coming))

    def _one_by_one(self, group: Flight) -> tuple[Slots, int]:
        """End one task of a group on each node after another; return what is left to end at once.

        With the last of them the set may be complete, so they are left to `_end`.
        """
        index, tasks = group.set_index, group.tasks
        *layers, slots = layered(group.slots, MOST_LAYERS)
        self.landing = group
        for layer in layers:
            self.done += 1
            self.room.give_back(self.outline.shapes[index], layer)
            self.finished[index] += len(layer)
            tasks -= len(layer)
            for feed in self.outline.feeds[index]:
                self._feed(feed.consumer)
            self._round()
        self.landing = None
        return slots, tasks

    def _cut(self, index: int) -> None:
        """Drop what is not wanted anymore of a set of which enough has ended."""
        for group in self.flights.drop(index):
            self.room.give_back(self.outline.shapes[index], group.slots)
        if self.ready[index]:
            del self.listed[bisect_left(self.listed, (-self.priorities[index], index))]
        self.ready[index] = self.unlaunched[index] = 0
        self.released[index] = self.finished[index] = self.outline.counts[index]

    def _pass_thresholds(self, index: int) -> None:
        """Open the gates that wait for no more of a set than has ended."""
        for ahead in self.thresholds.get(index, [])[:]:
            consumer, needed = ahead
            if self.finished[index] >= needed:
                self.thresholds[index].remove(ahead)
                self.gates[consumer] -= 1
                self._feed(consumer)

    def _feed(self, index: int) -> None:
        """Make as many tasks of a set ready as have their inputs."""
        if self.gates[index]:
            return
        outline = self.outline
        count = outline.counts[index]
        served = min(
            (self._served(producer, pattern, count) for producer, pattern in outline.fed_by[index]),
            default=count,
        )
        more = served - self.released[index]
        if more > 0:
            self.released[index] = served
            if not self.ready[index]:
                insort(self.listed, (-self.priorities[index], index))
            self.ready[index] += more

    def _served(self, producer: int, pattern: Pattern, consumers: int) -> int:
        """Return how many of a set's tasks have what they need of one producer."""
        if self._complete(producer):
            return consumers
        if self.outline.gangs[producer]:
            return 0
        producers, finished = self.outline.counts[producer], self.finished[producer]
        if pattern is not Pattern.GROUP:
            return min(finished, consumers)
        launched = producers - self.unlaunched[producer]
        before = self.flights.first_of(producer, launched)
        if self.landing is not None and self.landing.set_index == producer:
            before = min(before, self.landing.first)
        whole = before * consumers // producers
        among, ended = launched - before, finished - before
        if among > 0 and ended > 0:
            block = producers / consumers
            whole += int(among / block * (ended / among) ** block + 1e-9)
        return min(whole, consumers)

    def _rest_us(self) -> int:
        """Return how long what is still to be launched takes at least."""
        return rest_us(self.outline, self.unlaunched, self.beliefs)


def _tasks(outline: Outline, index: int, slots: Slots) -> int:
    """Return for how many tasks of a set these slots are."""
    return sum(ranks for _, ranks in slots) // outline.needs[outline.shapes[index]].ranks
