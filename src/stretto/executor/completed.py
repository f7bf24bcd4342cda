"""Calls as they are done, one by one, for as long as there are any: what a driver reacts to."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from stretto.executor.calls import CallFuture

__all__ = ["Completed"]


class Completed(Iterator[CallFuture], AsyncIterator[CallFuture]):
    """Iterates over calls in the order in which they are done, with ``for`` or ``async for``.

    It ends when none is left: a body that submits more goes on.

    Parameters
    ----------
    calls
        To begin with.
    """

    def __init__(self, calls: Iterable[CallFuture]) -> None:
        self._changed = threading.Condition()
        self._done: deque[CallFuture] = deque()
        self._left = 0
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        for call in calls:
            self.add(call)

    def add(self, call: CallFuture) -> None:
        """Expect one call more."""
        with self._changed:
            self._left += 1
        call.add_done_callback(self._take)

    def __next__(self) -> CallFuture:
        with self._changed:
            while self._left and not self._done:
                self._changed.wait()
            if not self._left:
                raise StopIteration
            return self._pop()

    async def __anext__(self) -> CallFuture:
        loop = asyncio.get_running_loop()
        while True:
            with self._changed:
                if self._done:
                    return self._pop()
                if not self._left:
                    raise StopAsyncIteration
                woken = loop.create_future()
                self._waiting.append((loop, woken))
            await woken

    def _pop(self) -> CallFuture:
        self._left -= 1
        return self._done.popleft()

    def _take(self, call: Future[Any]) -> None:
        """Take a call that is done, in whichever thread."""
        assert isinstance(call, CallFuture)
        with self._changed:
            self._done.append(call)
            self._changed.notify()
            waiting, self._waiting = self._waiting, []
        for loop, woken in waiting:
            with suppress(RuntimeError):  # its loop has ended
                loop.call_soon_threadsafe(_wake, woken)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
