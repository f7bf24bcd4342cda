"""Reports on their way to the engine: delivered in order, and never from inside a call of its own.

A backend learns things while the engine is calling it (a program that does not exist) and between
such calls (a process that ended).  Both go through here, so that the engine never finds its state
changed under its hands, and what arrives together is delivered together: in the next turn of the
event loop, or, where the loop called the backend and not the engine, at the end of that call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from stretto.runtime.backend import Report

__all__ = ["Outbox"]


class Outbox:
    """A queue of reports that empties itself in the next turn of the event loop, if not before.

    Parameters
    ----------
    loop
        The engine's event loop.
    deliver
        Called with each report, in the order of `post`.
    """

    __slots__ = ("_deliver", "_loop", "_open", "_reports", "_scheduled")

    def __init__(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Report], None]) -> None:
        self._loop = loop
        self._deliver = deliver
        self._reports: deque[Report] = deque()
        self._scheduled = False
        self._open = True

    def post(self, report: Report) -> None:
        """Deliver `report` soon, unless the outbox is closed by then."""
        self._reports.append(report)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def deliver(self) -> None:
        """Deliver what there is; not from inside a call of the engine's."""
        try:
            while self._open and self._reports:
                self._deliver(self._reports.popleft())
        finally:
            # An engine that raises does not lose the reports behind the one it raised on.
            if self._reports and not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._turn)

    def close(self) -> None:
        """Deliver nothing anymore."""
        self._open = False
        self._reports.clear()

    def _turn(self) -> None:
        self._scheduled = False
        self.deliver()
