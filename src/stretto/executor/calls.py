"""The future of a call: where it belongs, and how it ends if nobody wants it anymore.

A future of `concurrent.futures` that has begun cannot be cancelled.  A call of ours can be: its
process is ended.  Its future is then cancelled as well, though only once the call is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future
from typing import Any, NamedTuple

from stretto.errors import WorkflowError
from stretto.resources import Resources
from stretto.runtime import Call
from stretto.units import whole_number

__all__ = ["CallFuture", "Kind", "checked_pool", "checked_priority", "kind_of"]

HIGHEST_PRIORITY = 1000
"""Limit on priorities, up and down: they are few because each has a line of its own."""


class Kind(NamedTuple):
    """What calls have in common that wait in one line."""

    pool: str | None
    shape: Resources
    priority: int


def kind_of(pool: str | None, shape: Resources, priority: int) -> Kind:
    """Return what a call has in common with others; `WorkflowError` where a value cannot be."""
    return Kind(None if pool is None else checked_pool(pool), shape, checked_priority(priority))


def checked_pool(pool: object) -> str:
    """Return `pool` if it names one."""
    if not isinstance(pool, str):
        raise WorkflowError(f"expected the name of a pool, found {pool!r}", path=("pool",))
    return pool


def checked_priority(priority: int) -> int:
    """Return `priority` if it is a whole number within the limit."""
    return whole_number("priority", priority, -HIGHEST_PRIORITY, HIGHEST_PRIORITY)


class CallFuture(Future[Any]):
    """What becomes of a call; can be awaited.

    Parameters
    ----------
    kind
        Where it waits.
    call
        What is called.
    dropped
        Called if it is cancelled before it begins.
    """

    def __init__(self, kind: Kind, call: Call, dropped: Callable[[CallFuture], None]) -> None:
        super().__init__()
        self.kind = kind
        self.call = call
        self.task: int | None = None
        self.unwanted = False
        self._begun = False
        self._ended = False
        self._dropped = dropped

    @property
    def pool(self) -> str | None:
        """The kind of work it was submitted as."""
        return self.kind.pool

    @property
    def priority(self) -> int:
        """Its priority at present."""
        return self.kind.priority

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments of the call."""
        return self.call.arguments[0]

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for the result in an event loop."""
        return asyncio.wrap_future(self).__await__()

    def cancel(self) -> bool:
        """Take the call out of the queue; return whether it had not begun."""
        if self.cancelled():
            return True
        cancelled = super().cancel()
        if cancelled:
            self._dropped(self)
        return cancelled

    def cancelled(self) -> bool:
        """Return whether the call was cancelled, before it began or while it ran."""
        return self._ended or super().cancelled()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the call raised; see `concurrent.futures.Future`."""
        raised = super().exception(timeout)
        if self._ended:
            raise CancelledError
        return raised

    def begin(self) -> bool:
        """Return whether it is to be called; if it was cancelled, tell those who wait for it."""
        if not self._begun:
            self._begun = True
            self.set_running_or_notify_cancel()
        return self.running()

    def end(self) -> None:
        """Be cancelled though it had begun: its process has been ended."""
        self._ended = True
        self.set_exception(CancelledError())
