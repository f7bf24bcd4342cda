"""A rehearsal: the rest of a run under a policy, by counts of tasks instead of tasks.

The rules are those of a round (`rounds`): what has become ready is launched set by set in the order
of the policy, on the nodes in their order, as far as there is room.  But a wave of alike tasks is
placed at once and ends in a few groups (`spread`), and no set has more than `MOST_GROUPS` of them
in flight: beyond that the two that are nearest to each other become one.  So a rehearsal costs what
the sets, their waves and the nodes cost, whatever the number of tasks.

What it does not know: which single tasks feed which.  Of tasks that feed tasks one by one, as many
are served as have finished; of blocks, as many as are expected to be whole if the tasks in flight
end in random order.  Overheads are in the durations that were observed, from launch to end.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from stretto.scheduler.adaptive.beliefs import Belief
from stretto.scheduler.adaptive.brake import Brake
from stretto.scheduler.adaptive.least import rest_us
from stretto.scheduler.adaptive.outline import Outline
from stretto.scheduler.adaptive.room import Slots, dealt
from stretto.scheduler.adaptive.spread import ends_us
from stretto.scheduler.adaptive.standing import Standing
from stretto.scheduler.policy import Policy
from stretto.workflow import Pattern

__all__ = ["Foreseen", "rehearsed"]

NEVER_US = 1 << 62
MOST_GROUPS = 6
"""Groups of a set in flight."""
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


class _Group(NamedTuple):
    """Tasks of a set that end together; the first two fields order them."""

    end_us: int
    serial: int
    set_index: int
    tasks: int
    first: int
    slots: Slots


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
        self.future: list[_Group] = []
        """A heap; of groups that were joined the first ones stay in it."""
        self.joined: set[int] = set()
        """Serial numbers of groups that became part of another."""
        self.in_flight: dict[int, list[_Group]] = {}
        """By set: its groups, soonest first."""
        self.serial = 0
        self.complete_us = [0] * len(outline.counts)
        self.flying = 0
        """Groups in flight."""
        self.done = 0
        """Groups that have ended."""
        self.progress = standing.progress.resumed(self._complete)
        self.brake = Brake(outline, policy)
        for one in standing.groups:
            self._add(one.set_index, one.end_us, one.tasks, one.first, one.slots)
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
        future, joined = self.future, self.joined
        self._round()
        while self.flying:
            group = heappop(future)
            if group.serial in joined:
                joined.remove(group.serial)
                continue
            self.now_us = group.end_us
            self._end(group)
            while future and (future[0].end_us == self.now_us or future[0].serial in joined):
                group = heappop(future)
                if group.serial in joined:
                    joined.remove(group.serial)
                else:
                    self._end(group)
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
        if not self.flying:
            self._launch(self._free())
        if not self.flying:
            self._launch([one for _, one in self.listed])

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
        parts = ends_us(tasks, belief.mean_us, belief.spread_us)
        hands = dealt(slots, [some * ranks for some, _ in parts])
        for (some, takes_us), held in zip(parts, hands, strict=True):
            self._add(index, self.now_us + takes_us, some, first, held)

    def _held(self, index: int) -> bool:
        """Return whether the policy holds a set back."""
        return self.policy.holds and self.brake.holds(index, self.progress)

    def _complete(self, index: int) -> bool:
        """Return whether all tasks of a set have ended, and of all that runs at once with it."""
        counts, finished = self.outline.counts, self.finished
        return all(finished[one] >= counts[one] for one in self.outline.gangs[index] or (index,))

    def _ranked(self, tasks: Sequence[int]) -> list[tuple[int, int]]:
        return sorted((-self.priorities[one], one) for one, some in enumerate(tasks) if some)

    # Groups.

    def _add(self, index: int, end_us: int, tasks: int, first: int, slots: Slots) -> None:
        """Put a group into flight; if there are too many of the set, join two."""
        group = _Group(end_us, self.serial, index, tasks, first, slots)
        self.serial += 1
        self.flying += 1
        heappush(self.future, group)
        groups = self.in_flight.setdefault(index, [])
        insort(groups, group)
        if len(groups) <= MOST_GROUPS:
            return
        # The last one stays as it is: whoever waits for the whole set waits for it.
        apart = list(map(_apart, groups[:-2], groups[1:-1]))
        at = apart.index(min(apart))
        early, late = groups[at : at + 2]
        joined = _Group(
            _between_us(early, late),
            self.serial,
            index,
            early.tasks + late.tasks,
            min(early.first, late.first),
            early.slots + late.slots,
        )
        self.serial += 1
        self.joined |= {early.serial, late.serial}
        self.flying -= 1
        groups[at : at + 2] = [joined]
        heappush(self.future, joined)

    def _end(self, group: _Group) -> None:
        """Let a group end, and what waits for it go."""
        outline, index = self.outline, group.set_index
        self.done += 1
        self.flying -= 1
        self.in_flight[index].remove(group)
        self.room.give_back(outline.shapes[index], group.slots)
        self.finished[index] += group.tasks
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

    def _cut(self, index: int) -> None:
        """Drop what is not wanted anymore of a set of which enough has ended."""
        for group in self.in_flight[index]:
            self.joined.add(group.serial)
            self.flying -= 1
            self.room.give_back(self.outline.shapes[index], group.slots)
        self.in_flight[index].clear()
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
        before = min((one.first for one in self.in_flight.get(producer, ())), default=launched)
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


def _apart(early: _Group, late: _Group) -> int:
    """Return what it costs to take two groups for one (Ward, 1963)."""
    gap_us = late.end_us - early.end_us
    return gap_us * gap_us * early.tasks * late.tasks // (early.tasks + late.tasks)


def _between_us(early: _Group, late: _Group) -> int:
    total_us = early.end_us * early.tasks + late.end_us * late.tasks
    return total_us // (early.tasks + late.tasks)
