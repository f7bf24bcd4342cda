"""The worker's end of the socket: messages come whole, news is gathered and leaves together.

Sending costs a hundred times what a short call does, so news waits for more of it.  It must not
wait for a long call that follows, though; hence a thread, started only once a bundle needs it
(programs that fork dislike threads) and at rest when there is nothing to send.
"""

from __future__ import annotations

import pickle
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from .wire import FLUSH_US, LENGTH, frame

__all__ = ["Channel", "now_us"]

IDLE_ROUNDS = 20
"""Rounds without news after which the thread rests until woken."""


def now_us() -> int:
    """Return the monotonic time in microseconds."""
    return time.monotonic_ns() // 1000


class Channel:
    """Receives messages and sends news."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._news: list[tuple[Any, ...]] = []
        self._flushed_us = 0
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None

    def receive(self) -> Any:
        """Return the next message.

        Raises
        ------
        EOFError
            If the engine has closed its end.
        """
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        return pickle.loads(self._read(length))  # noqa: S301  (from whoever started us)

    def tell(self, news: tuple[Any, ...]) -> None:
        """Send `news` soon."""
        self._news.append(news)
        if now_us() - self._flushed_us >= FLUSH_US:
            self.flush()
        elif self._thread is not None and not self._awake.is_set():
            self._awake.set()

    def flush(self) -> None:
        """Send all news now."""
        with self._lock:
            news, self._news = self._news, []
            if news:
                self._stream.sendall(frame(news))
            self._flushed_us = now_us()

    def keep_prompt(self) -> None:
        """From now on send news in time even while a call goes on and on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._flush_regularly, daemon=True)
            self._thread.start()

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            got = self._stream.recv_into(view)
            if not got:
                raise EOFError
            view = view[got:]
        return data

    def _flush_regularly(self) -> None:
        idle = 0
        while True:
            self._awake.wait()
            time.sleep(FLUSH_US / 1e6)
            if self._news:
                idle = 0
                if now_us() - self._flushed_us >= FLUSH_US:
                    with suppress(OSError):  # the engine is gone, as the main thread will see
                        self.flush()
            elif (idle := idle + 1) >= IDLE_ROUNDS:
                idle = 0
                self._awake.clear()
                if self._news:  # came in between
                    self._awake.set()
