"""A backend that waits instead of working: tasks are timers, and time may be scaled.

So a platform larger than this machine runs for real, through the real engine.  A stand-in ends at
its deadline, started plus duration, and that deadline is the time reported, however late the event
loop woke up: what the loop adds shows as overhead between tasks, never as longer tasks.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence

from stretto.errors import BackendError
from stretto.platform import Outage
from stretto.runtime.backend import (
    Capabilities,
    Exited,
    LaunchFailed,
    Lost,
    NodeLost,
    NodeReturned,
    Report,
    Request,
    StandIn,
    Started,
    monotonic_us,
)
from stretto.runtime.backends.outbox import Outbox
from stretto.units import US_PER_SECOND

__all__ = ["Emulated"]


class Emulated:
    """Stand-ins for tasks, on as many nodes as one likes; a `Backend`.

    Parameters
    ----------
    time_scale
        Seconds of workflow time in a second of real time.
    outages
        Which nodes are lost, and when: microseconds of workflow time since the backend started.

    Raises
    ------
    BackendError
        If `time_scale` is not positive.
    """

    def __init__(self, time_scale: float = 1.0, *, outages: Sequence[Outage] = ()) -> None:
        if not 0 < time_scale < float("inf"):
            raise BackendError(
                f"expected a positive time scale, found {time_scale}", retryable=False
            )
        self._time_scale = time_scale
        self._deadlines: list[tuple[int, int, int, int]] = []  # time, serial, task, attempt
        self._running: dict[tuple[int, int], int] = {}  # (task, attempt) to serial
        self._nodes_of: dict[tuple[int, int], set[int]] = {}
        self._outages = tuple(outages)
        self._lost: set[int] = set()
        self._node_timers: list[asyncio.TimerHandle] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_us = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outbox: Outbox | None = None

    def capabilities(self) -> Capabilities:
        """Return what it can do: stand-ins only, over as many nodes as are declared."""
        return Capabilities(commands=False, functions=False, mpi=True, durable=False)

    async def start(self, report: Callable[[Report], None]) -> None:
        """Get ready; see `Backend.start`."""
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(self._loop, report)
        real_s = US_PER_SECOND * self._time_scale
        for node, lost_us, returned_us in self._outages:
            timers = [self._loop.call_later(lost_us / real_s, self._lose, node)]
            if returned_us is not None:
                timers.append(self._loop.call_later(returned_us / real_s, self._restore, node))
            self._node_timers += timers

    def launch(self, requests: Sequence[Request]) -> None:
        """Start stand-ins at once; see `Backend.launch`."""
        assert self._outbox is not None, "launched before it was started"
        now_us = monotonic_us()
        for request in requests:
            key = (request.task, request.attempt)
            if key in self._running:
                continue
            if not isinstance(request.work, StandIn):
                reason = "an emulated platform runs stand-ins only"
                self._outbox.post(LaunchFailed(*key, now_us, reason))
                continue
            if self._outages:
                nodes = self._nodes_of[key] = {slot.node for slot in request.placement}
                if nodes & self._lost:
                    self._outbox.post(Lost(*key, now_us, "its node is lost"))
                    continue
            self._serial += 1
            self._running[key] = self._serial
            end_us = now_us + round(request.work.duration_us / self._time_scale)
            heapq.heappush(self._deadlines, (end_us, self._serial, *key))
            self._outbox.post(Started(*key, now_us))
        self._set_timer()

    def cancel(self, task: int, attempt: int, grace_s: float) -> None:  # noqa: ARG002  (at once)
        """End a stand-in at once; see `Backend.cancel`."""
        assert self._outbox is not None, "cancelled before it was started"
        if self._running.pop((task, attempt), None) is not None:
            self._outbox.post(Exited(task, attempt, monotonic_us(), "cancelled"))

    async def close(self) -> None:
        """Drop what still runs; see `Backend.close`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for timer in self._node_timers:
            timer.cancel()
        self._deadlines.clear()
        self._running.clear()
        if self._outbox is not None:
            self._outbox.close()

    def _lose(self, node: int) -> None:
        """Forget what runs on a node."""
        assert self._outbox is not None
        self._lost.add(node)
        for key in [key for key in self._running if node in self._nodes_of[key]]:
            del self._running[key]
        self._outbox.post(NodeLost(node, monotonic_us()))

    def _restore(self, node: int) -> None:
        assert self._outbox is not None
        self._lost.discard(node)
        self._outbox.post(NodeReturned(node, monotonic_us()))

    def _set_timer(self) -> None:
        """Keep one timer, for the earliest deadline."""
        assert self._loop is not None
        if not self._deadlines:
            return
        earliest_us = self._deadlines[0][0]
        if self._timer is not None:
            if self._timer_us <= earliest_us:
                return
            self._timer.cancel()
        self._timer_us = earliest_us
        # The loop's clock is the monotonic one, in seconds.
        self._timer = self._loop.call_at(earliest_us / US_PER_SECOND, self._expire)

    def _expire(self) -> None:
        """Report, together, all whose deadline has come."""
        assert self._outbox is not None
        self._timer = None
        now_us = max(monotonic_us(), self._timer_us)  # the loop may wake a tick early
        while self._deadlines and self._deadlines[0][0] <= now_us:
            end_us, serial, task, attempt = heapq.heappop(self._deadlines)
            # A cancelled one left its deadline behind.
            if self._running.get((task, attempt)) == serial:
                del self._running[task, attempt]
                self._outbox.post(Exited(task, attempt, end_us, None))
        self._set_timer()
