"""The pipe into which programs write that they wait: one a run, named, read by the engine's loop.

A line is ``TASK ATTEMPT idle`` or ``TASK ATTEMPT busy``; lines this short are never mixed up, by
however many they are written.  A named pipe is inherited by nobody and closed by nobody: a program
opens it for the moment of a line, and one whose engine is gone fails to open it and goes on.  The
reader holds a writing end itself, so that the pipe never ends.

What is written is only believed as far as it can be: other lines are passed over, and the engine
takes a mark only for an attempt that runs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stretto.runtime.backend import Marked, monotonic_us

__all__ = ["MarkPipe"]

READ_BYTES = 1 << 16
LONGEST_LINE = 100
"""What is longer is no line of ours."""
LARGEST = 10**9
"""Beyond it a number is no task and no attempt."""


class MarkPipe:
    """Reads marks.

    Parameters
    ----------
    loop
        The engine's event loop.
    path
        Where the pipe is to be; an earlier one there is replaced.
    post
        Takes the marks.

    Raises
    ------
    OSError
        If there can be no pipe.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, path: Path, post: Callable[[Marked], None]
    ) -> None:
        self._loop = loop
        self._path = path
        self._post = post
        self._rest = b""
        with suppress(FileNotFoundError):
            path.unlink()
        os.mkfifo(path, 0o600)
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        loop.add_reader(self._pipe, self._read)

    def close(self) -> None:
        """Read no more, and remove the pipe."""
        self._loop.remove_reader(self._pipe)
        os.close(self._pipe)
        with suppress(OSError):
            self._path.unlink()

    def _read(self) -> None:
        try:
            arrived = os.read(self._pipe, READ_BYTES)
        except BlockingIOError:
            return
        now_us = monotonic_us()
        *lines, rest = (self._rest + arrived).split(b"\n")
        self._rest = rest[-LONGEST_LINE:]
        for line in lines:
            match line.split():
                case [task, attempt, (b"idle" | b"busy") as word] if (
                    task.isdigit() and attempt.isdigit() and len(line) <= LONGEST_LINE
                ):
                    numbers = int(task), int(attempt)
                    if max(numbers) <= LARGEST:
                        self._post(Marked(*numbers, now_us, word == b"idle"))
                case _:
                    pass
