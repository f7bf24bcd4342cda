"""The state of a run, and the one place where it changes.

Theory of operation.  `State.apply` takes one event and changes the state by the table in
`transitions`; it decides nothing.  `rounds.decide` looks at the state and returns launches, which
are applied like any other event.  A state is therefore the fold of `apply` over the events so far,
whether they come from the simulator, from a real engine or from a journal.

Tasks are serial numbers, and what is known of a task lies in arrays indexed by them: a few bytes a
task.  The tasks of a set are alike, so ready tasks wait in one queue a set, and `ranking` keeps the
sets that have any, best first.  Nothing here iterates over tasks.

An event that the table does not allow is a bug of ours or of a backend, and raises
`ImpossibleEvent` with the task's story.  An event about an earlier attempt is merely late.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

from stretto.platform import Node, Placement
from stretto.scheduler.arrivals import arrived, submit
from stretto.scheduler.dropping import drop, leave, settle
from stretto.scheduler.events import (
    Adapted,
    Cancelled,
    Dropped,
    Event,
    Failed,
    Finished,
    Forgiven,
    Idled,
    Launched,
    Limited,
    Lost,
    NodeLost,
    NodeReturned,
    Opened,
    Released,
    Resumed,
    Revoked,
    Shared,
    Started,
    Submitted,
    Told,
    Woke,
)
from stretto.scheduler.feeds import inputs_missing
from stretto.scheduler.gangs import revoke
from stretto.scheduler.gates import GatedSet
from stretto.scheduler.impossible import ImpossibleEvent, impossible
from stretto.scheduler.lost_nodes import lose_or_restore
from stretto.scheduler.marks import mark
from stretto.scheduler.ranking import Ranking
from stretto.scheduler.releases import feed, pass_gate
from stretto.scheduler.shares import Shares
from stretto.scheduler.shortfall import Shortfall, fail, forgive, resume, try_again
from stretto.scheduler.slots import FreeSlots
from stretto.scheduler.transitions import Status
from stretto.scheduler.wanted import Wanted

if TYPE_CHECKING:
    from stretto.scheduler.adaptive.mind import Mind

__all__ = ["ImpossibleEvent", "State"]

WAITING, READY, LAUNCHED, RUNNING, FINISHED, FAILED, DROPPED, LEAVING, FORGIVEN = map(int, Status)
IN_FLIGHT = (LAUNCHED, RUNNING, LEAVING)


class State:
    """What has happened so far, folded.

    Parameters
    ----------
    sets
        The task sets with their gates, in the order of their serial numbers.
    nodes
        Where tasks may lie.
    priorities
        One number a set; a higher one goes first, and the order of the sets breaks ties.
    strict
        Whether no set overtakes one before it that still has tasks to launch (see `order`).
    """

    def __init__(
        self,
        sets: Sequence[GatedSet],
        nodes: Sequence[Node],
        priorities: Sequence[int],
        *,
        strict: bool = False,
    ) -> None:
        self.ranking = Ranking(strict=strict)
        self.mind: Mind | None = None  # what steers the run, if it is adaptive
        self.sets: list[GatedSet] = []
        self.slots = FreeSlots(nodes)
        self.shares, self.wanted, self.shortfall = Shares(), Wanted(), Shortfall()
        self.limit: Limited | None = None
        """By when everything must have ended, where that is so."""
        self.status = bytearray()
        self.attempts = array("H")
        self.set_of = array("i")
        self.missing = array("i")
        """By task: single tasks that it still waits for."""
        self.unfinished: list[int] = []
        """By set: tasks that are wanted and have not finished; none once it is forgiven."""
        self.unlaunched: list[int] = []
        """By set: tasks that are still to be launched, or launched again."""
        self.gates_left: list[int] = []
        self.ready: list[deque[int]] = []
        self.placements: dict[int, Placement] = {}
        """By bundle: the slots it holds.  A task that is launched alone is a bundle of its own."""
        self.bundle_of: dict[int, int] = {}
        """By task in flight: its bundle."""
        self.bundled: dict[int, int] = {}
        """By bundle of several: how many of its tasks are still to end."""
        self.n_bundles = 0
        self.failures: dict[int, int] = {}
        """By task: failures since the run was begun or resumed."""
        self.started_us: dict[int, int] = {}
        """By running task of a set that bundles: when it started."""
        self.broken: set[int] = set()
        """First sets of groups of which an attempt failed or was lost since their last launch."""
        self.idle: set[int] = set()
        """Running tasks that say that they execute nothing; only asked, never gone through."""
        self.observed: list[tuple[int, int]] = []
        """By set: number and sum in microseconds of the durations seen; only where it bundles."""
        self.shape_of: list[int] = []  # by set: the number of its shape
        self.unsettled = True
        """Whether anything became free or ready since the last decision."""
        self.early: dict[int, list[int]] = {}
        """By set whose gates are not open yet: tasks that came to it by `Submitted`."""
        self.opened: set[int] = set()
        """Sets that were complete, though tasks may have come to them since."""
        self.n_in_flight = self.n_finished = self.n_dropped = 0
        for gated, priority in zip(sets, priorities, strict=True):
            self._open(gated, priority)
        for index, gated in enumerate(self.sets):
            for task, inputs in inputs_missing(self.sets, gated):
                self.missing[task] += inputs
            self._release(index)

    # What can be asked.

    @property
    def n_tasks(self) -> int:
        """Tasks known."""
        return len(self.status)

    def in_flight(self) -> list[int]:
        """Return the tasks that have an attempt in flight, in order."""
        return [task for task, status in enumerate(self.status) if status in IN_FLIGHT]

    def failed(self) -> list[int]:
        """Return the tasks that failed for good, in order."""
        return [task for task, status in enumerate(self.status) if status == FAILED]

    def complete(self, index: int) -> bool:
        """Return whether nothing is left to do of a set, nor of those that run at once with it.

        Its own gates are open, too: a set that was dropped whole keeps its place in the order.
        """
        together = self.sets[index].gang or (index,)
        return not any(self.unfinished[one] or self.gates_left[one] for one in together)

    @property
    def done(self) -> bool:
        """Whether every task that is wanted has finished or was forgiven, and nothing flies."""
        over = self.n_finished + self.n_dropped + self.shortfall.n_forgiven
        return over == self.n_tasks and not self.n_in_flight

    # Sets and tasks that come into being.

    def _open(self, gated: GatedSet, priority: int) -> None:
        index = len(self.sets)
        self.sets.append(gated)
        self.ranking.add(priority)
        self.wanted.add(gated)
        self.shape_of.append(self.slots.number(gated.shape))
        self.unfinished.append(0)
        self.unlaunched.append(0)
        self.shortfall.failed_in.append(0)
        self.gates_left.append(gated.gates)
        self.ready.append(deque())
        self.observed.append((0, 0))
        self.add_tasks(index, gated.count)

    def add_tasks(self, index: int, count: int) -> range:
        """Add waiting tasks to a set, and return them."""
        first = len(self.status)
        self.status.extend(bytes(count))
        self.attempts.extend(array("H", bytes(2 * count)))
        self.set_of.extend(array("i", [index]) * count)
        self.missing.extend(array("i", bytes(4 * count)))
        self.unfinished[index] += count
        self.shortfall.due.pop(index, None)
        self.await_launch(index, count)
        return range(first, first + count)

    # Events.

    def apply(self, event: Event) -> None:
        """Change the state by one event.

        Raises
        ------
        ImpossibleEvent
            If it cannot follow what came before.
        """
        match event:
            case Launched():
                self._launched(event)
            case Started():
                self._started(event)
            case Idled() | Woke():
                if self._current(event) and self.status[event.task] != LEAVING:
                    mark(self, event)
            case Finished() | Failed() | Lost() | Cancelled() if self.status[event.task] == LEAVING:
                if self._current(event):
                    leave(self, event.task)
            case Finished():
                self._finished(event)
            case Failed():
                if self._current(event):
                    fail(self, event)
            case Lost() | Cancelled():
                if self._current(event):
                    try_again(self, event.task)
            case Revoked():
                revoke(self, event)
            case Opened():
                self._open(event.gated, event.priority)
            case Released():
                pass_gate(self, event.set_index)
            case Submitted():
                submit(self, event)
            case Told(task):
                self.wanted.note_told(self.set_of[task], event)
            case Dropped():
                drop(self, event)
            case Forgiven():
                forgive(self, event)
            case NodeLost() | NodeReturned():
                lose_or_restore(self, event)
            case Limited():
                self.limit = event
            case Shared(pool, cores, gpus_milli):
                self.shares.limit(pool, cores, gpus_milli)
                self.unsettled = True
            case Resumed():
                resume(self, event)
            case Adapted():
                assert self.mind is not None, "only an adaptive run is steered"
                self.mind.adapt(event)
            case _:
                assert_never(event)
        if self.mind is not None:
            self.mind.observe(event)

    def _launched(self, event: Launched) -> None:
        task, attempt, _, placement, bundle, *_ = event
        if self.status[task] != READY or attempt != self.attempts[task] + 1:
            raise impossible(self, event)
        self.status[task] = LAUNCHED
        self.attempts[task] = attempt
        self.n_in_flight += 1
        index = self.set_of[task]
        queue = self.ready[index]
        if queue[0] == task:
            queue.popleft()
        else:
            queue.remove(task)
        if not queue:
            self.ranking.unlist_ready(index)
        self.await_launch(index, -1)
        if self.broken:
            self.broken.difference_update(self.sets[index].gang)
        self.bundle_of[task] = bundle
        if bundle in self.placements:
            self.bundled[bundle] = self.bundled.get(bundle, 1) + 1
        else:
            self.slots.take(placement)
            self.shares.hold(self.sets[index], 1)
            self.placements[bundle] = placement
            self.n_bundles = bundle + 1

    def _started(self, event: Started) -> None:
        task = event.task
        if not self._current(event) or self.status[task] == LEAVING:
            return
        if self.status[task] != LAUNCHED:
            raise impossible(self, event)
        self.status[task] = RUNNING
        if self.sets[self.set_of[task]].bundles:
            self.started_us[task] = event.time_us

    def _finished(self, event: Finished) -> None:
        if not self._current(event):
            return
        task = event.task
        index = self.set_of[task]
        gated = self.sets[index]
        if gated.bundles and task in self.started_us:
            seen, total_us = self.observed[index]
            self.observed[index] = (seen + 1, total_us + event.time_us - self.started_us[task])
        self.end(task)
        self.status[task] = FINISHED
        self.n_finished += 1
        self.wanted.finished[index] += 1
        if gated.feeds and not gated.gang:
            feed(self, task, gated)
        settle(self, index, 1)

    # What events have in common.

    def _current(
        self, event: Started | Idled | Woke | Finished | Failed | Lost | Cancelled
    ) -> bool:
        """Return whether the event is about the task's present attempt, and not a late one."""
        task = event.task
        if event.attempt == self.attempts[task] and self.status[task] in IN_FLIGHT:
            return True
        if event.attempt > self.attempts[task] or event.attempt < 1:
            raise impossible(self, event)
        return False

    def end(self, task: int) -> None:
        """Give back what the attempt held, unless others of its bundle still need it."""
        self.n_in_flight -= 1
        self.started_us.pop(task, None)
        self.idle.discard(task)
        bundle = self.bundle_of.pop(task)
        if bundle in self.bundled:
            self.bundled[bundle] -= 1
            if self.bundled[bundle]:
                return
            del self.bundled[bundle]
        self.slots.release(self.placements.pop(bundle))
        self.shares.hold(self.sets[self.set_of[task]], -1)
        self.unsettled = True

    def _release(self, index: int) -> None:
        """Make the tasks of a set ready whose single inputs are there, if its gates are open."""
        gated = self.sets[index]
        if self.gates_left[index]:
            return
        self.unsettled = True
        tasks = range(gated.first_task, gated.first_task + gated.count)
        if tasks and not gated.fed_by and DROPPED not in self.status[tasks.start : tasks.stop]:
            self.status[tasks.start : tasks.stop] = bytes([READY]) * gated.count
            self.ready[index].extend(tasks)
            self.ranking.list_ready(index)
            tasks = range(0)
        for task in (*tasks, *arrived(self, index)):
            if not self.missing[task] and self.status[task] == WAITING:
                self.make_ready(task)

    def make_ready(self, task: int, *, first: bool = False) -> None:
        """Put a task among those that are ready."""
        index = self.set_of[task]
        queue = self.ready[index]
        if not queue:
            self.ranking.list_ready(index)
        self.status[task] = READY
        self.unsettled = True
        if first:
            queue.appendleft(task)
        else:
            queue.append(task)

    def make_ready_again(self, task: int, *, first: bool = False) -> None:
        """Put a task that was launched among those that are ready."""
        self.await_launch(self.set_of[task], 1)
        self.make_ready(task, first=first)

    def await_launch(self, index: int, more: int) -> None:
        """Count tasks that are to be launched."""
        before = self.unlaunched[index]
        self.unlaunched[index] = before + more
        self.ranking.count(index, before, before + more)

    def open_gate(self, index: int) -> None:
        """Open one of the gates of a set."""
        self.gates_left[index] -= 1
        if self.gates_left[index] == 0:
            self._release(index)
