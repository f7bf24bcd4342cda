"""Our end of one worker: its process, its socket, and the bundle it is at.

Nothing here waits: what the socket does not take at once is kept and written when it can be, and
what it brings is read piece by piece.  When a worker dies, the call it was in has failed; those of
its bundle that had not begun are lost, and so are those whose results had not arrived.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import pickle
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from stretto.runtime.backend import (
    Call,
    Exited,
    LaunchFailed,
    Lost,
    Marked,
    Pickled,
    Report,
    Request,
    Started,
    monotonic_us,
)
from stretto.runtime.backends.children import Child, Children, describe_exit
from stretto.runtime.backends.processes import NOT_BEGUN
from stretto.runtime.workers.encoder import Encoder, NotSendable
from stretto.runtime.workers.stretto_worker import wire

__all__ = ["Kind", "Link"]

PROGRAM = """\
import sys
sys.path.insert(0, sys.argv[1])
from stretto_worker.main import main
main()
"""
READ_BYTES = 1 << 20
RECHECK_S = 0.01
END_GRACE_S = 1.0
"""How long a worker that is not needed anymore may take to go."""

Key = tuple[int, int]


class Kind(NamedTuple):
    """What a worker is started with and keeps: cores of a rank, and the visible GPUs."""

    threads: int
    gpus: str


class Link:
    """One worker.

    Parameters
    ----------
    loop, children, encoder
        The event loop, what starts processes, what makes calls fit to be sent.
    post, settled
        Takes the reports; called after a batch of them.
    kind
        What the worker is good for.
    environment
        All of its variables.
    over
        Called with each attempt whose end is about to be posted.
    idle, gone
        Called when it has nothing more to do, and when it has ended.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        children: Children,
        encoder: Encoder,
        post: Callable[[Report], None],
        settled: Callable[[], None],
        *,
        kind: Kind,
        environment: Mapping[bytes, bytes],
        over: Callable[[Key], object],
        idle: Callable[[Link], None],
        gone: Callable[[Link], None],
    ) -> None:
        self.kind = kind
        self._loop = loop
        self._encoder = encoder
        self._post = post
        self._settled = settled
        self._over = over
        self._idle = idle
        self._gone = gone
        self._known: dict[int, None] = {}
        self._cpus: list[int] | None = None
        self._waiting: deque[Request] = deque()
        self._sent: list[Request] = []
        self._open: dict[Key, int] = {}  # sent and not over, to position
        self._skipped: dict[Key, None] = {}
        self._ending: Key | None = None  # the call for whose sake the worker is being killed
        self._incoming = bytearray()
        self._outgoing: deque[memoryview] = deque()
        self._hung_up = False
        self._child = self._start(children, environment)

    def _start(self, children: Children, environment: Mapping[bytes, bytes]) -> Child:
        self._stream, theirs = socket.socketpair()
        page_file = os.memfd_create("stretto-worker")
        try:
            self._stream.setblocking(False)
            os.ftruncate(page_file, wire.PAGE_BYTES)
            self._page = mmap.mmap(page_file, wire.PAGE_BYTES)
            self._place(wire.NOT_UP)
            numbers = (theirs.fileno(), page_file)
            folder = str(Path(__file__).parent)
            child = children.spawn(
                [sys.executable, "-P", "-c", PROGRAM, folder, *map(str, numbers)],
                environment=environment,
                ended=self._ended,
                pass_fds=numbers,
            )
        except OSError:
            self._stream.close()
            raise
        finally:
            theirs.close()
            os.close(page_file)
        self._loop.add_reader(self._stream, self._read)
        self._write(wire.frame([path or str(Path.cwd()) for path in sys.path]))
        return child

    def run(self, requests: Sequence[Request], cpus: list[int] | None) -> None:
        """Make these calls in this order, on these CPUs."""
        assert not self._open, "a worker does one bundle at a time"
        self._cpus = cpus
        self._waiting.extend(requests)
        self._send_some()

    def cancel(self, key: Key, grace_s: float) -> None:
        """End a call: before it begins if it can be, else together with the worker."""
        position = self._open.get(key)
        if position is None:
            self._drop(key)
            return
        (current,) = wire.POSITION.unpack_from(self._page)
        if current == position:
            if self._ending is None:
                self._ending = key
            self._child.terminate(self._loop, grace_s)
        elif current < position:
            again = key in self._skipped
            self._skipped[key] = None
            self._page[wire.POSITION.size + position] = 1
            # The mark and the beginning of the call may have crossed.
            if not again:
                self._loop.call_later(RECHECK_S, self.cancel, key, grace_s)

    def end(self) -> None:
        """Let the worker go; it must be idle."""
        self._hang_up()
        self._loop.call_later(END_GRACE_S, self._child.kill)

    def _drop(self, key: Key) -> None:
        """Cancel a call that has not been sent."""
        for request in self._waiting:
            if (request.task, request.attempt) == key:
                self._waiting.remove(request)
                self._over(key)
                self._post(Exited(*key, monotonic_us(), NOT_BEGUN))
                return

    def _send_some(self) -> None:
        """Send as many calls as fit into a message; be idle if there are none."""
        calls: list[tuple[Any, ...]] = []
        self._sent.clear()
        while self._waiting and len(calls) < wire.MOST_CALLS:
            request = self._waiting.popleft()
            assert isinstance(request.work, Call)
            try:
                calls.append(self._encoder.encode(request.work, self._known))
            except NotSendable as error:
                key = (request.task, request.attempt)
                self._over(key)
                self._post(Exited(*key, monotonic_us(), str(error), None, TypeError(str(error))))
                continue
            self._open[request.task, request.attempt] = len(self._sent)
            self._sent.append(request)
        if not calls:
            self._idle(self)
            return
        if self._skipped:
            self._skipped.clear()
            self._page[wire.POSITION.size :] = bytes(wire.MOST_CALLS)
        if wire.POSITION.unpack_from(self._page)[0] != wire.NOT_UP:
            self._place(wire.UP)
        self._write(wire.frame((self._cpus, calls)))

    def _place(self, position: int) -> None:
        wire.POSITION.pack_into(self._page, 0, position)

    def _write(self, data: bytes) -> None:
        if not self._outgoing:
            self._loop.add_writer(self._stream, self._write_more)
        self._outgoing.append(memoryview(data))
        self._write_more()

    def _write_more(self) -> None:
        while self._outgoing:
            first = self._outgoing[0]
            try:
                sent = self._stream.send(first)
            except BlockingIOError:
                return
            except OSError:  # it died, which its pidfd tells
                self._outgoing.clear()
                break
            if sent < len(first):
                self._outgoing[0] = first[sent:]
            else:
                self._outgoing.popleft()
        self._loop.remove_writer(self._stream)

    def _read(self) -> None:
        """Take one piece of what has arrived."""
        try:
            arrived = self._receive()
        except BlockingIOError:
            return
        self._settled()
        if not arrived:
            # A worker that closed its end is of no use, whatever it does.
            self._loop.remove_reader(self._stream)
            self._child.kill()

    def _receive(self) -> bool:
        """Take one piece, and say whether there was one before the end of the stream."""
        try:
            piece = self._stream.recv(READ_BYTES)
        except ConnectionError:
            return False
        self._incoming += piece
        while len(self._incoming) >= wire.LENGTH.size:
            end = wire.LENGTH.size + wire.LENGTH.unpack_from(self._incoming)[0]
            if len(self._incoming) < end:
                break
            with memoryview(self._incoming) as whole, whole[wire.LENGTH.size : end] as body:
                news = pickle.loads(body)  # noqa: S301  (from the worker we started)
            del self._incoming[:end]
            self._take(news)
        return bool(piece)

    def _take(self, news: list[tuple[Any, ...]]) -> None:
        for each in news:
            request = self._sent[each[0]]
            if len(each) == 2:
                self._post(Started(request.task, request.attempt, each[1]))
                continue
            if len(each) == 3:
                self._post(Marked(request.task, request.attempt, *each[1:]))
                continue
            key = (request.task, request.attempt)
            del self._open[key]
            self._over(key)
            self._post(_exited(key, wire.Note._make(each)))
        if not self._open and self._ending is None and self._child.alive:
            self._send_some()

    def _ended(self, returncode: int) -> None:
        """Say what became of the calls of a worker that has ended."""
        if not self._hung_up:
            with suppress(BlockingIOError):
                while self._receive():
                    pass
        how = describe_exit(returncode) or "exit status 0"
        how = f"worker {how if returncode < 0 else f'ended with {how}'}"
        for key, position in self._open.items():
            self._over(key)
            self._post(self._fate(key, position, how))
        for request in self._waiting:
            self._lose(request, how)
        self._hang_up()
        self._page.close()
        self._gone(self)

    def _fate(self, key: Key, position: int, how: str) -> Report:
        """Return what became of a call that was sent and whose end nobody told."""
        (current,) = wire.POSITION.unpack_from(self._page)
        now_us = monotonic_us()
        if key == self._ending or key in self._skipped:
            return Exited(*key, now_us, how)
        if current == wire.NOT_UP:
            return LaunchFailed(*key, now_us, f"{how} before it was up")
        if current == position and self._ending is None:
            return Exited(*key, now_us, how)
        return Lost(*key, now_us, f"{how} in another call")

    def _lose(self, request: Request, how: str) -> None:
        key = (request.task, request.attempt)
        self._over(key)
        self._post(Lost(*key, monotonic_us(), f"{how} in another call"))

    def _hang_up(self) -> None:
        if not self._hung_up:
            self._hung_up = True
            self._loop.remove_reader(self._stream)
            self._loop.remove_writer(self._stream)
            self._stream.close()


def _exited(key: Key, note: wire.Note) -> Exited:
    """Return the report that a note amounts to."""
    if note.error == wire.SKIPPED and note.exception is None:
        return Exited(*key, note.ended_us, NOT_BEGUN)
    result = note.plain if note.pickled is None else Pickled(note.pickled)
    exception = None
    if note.exception is not None:
        try:
            exception = pickle.loads(note.exception)  # noqa: S301  (the user's own exception)
        except Exception:  # loading runs the user's code, and may want modules that are not here
            exception = RuntimeError(note.error)
    return Exited(*key, note.ended_us, note.error, result, exception)
