"""Programs: each attempt a process of this machine, its output in two files.

A start blocks the event loop for about half a millisecond, until the program is loaded; so a large
batch is started in slices, and between them the loop learns which processes have ended.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from stretto.runtime.backend import (
    Exited,
    LaunchFailed,
    Program,
    Report,
    Started,
    monotonic_us,
)
from stretto.runtime.backends.children import Child, Children, describe_exit
from stretto.runtime.workers.stretto_worker.outputs import Outputs

__all__ = ["NOT_BEGUN", "Processes"]

NOT_BEGUN = "cancelled before it began"
"""Why an attempt ended that was cancelled while it waited for its start."""

SLICE_US = 5_000
"""Longest time for which starting programs keeps the event loop."""


MOST_LAST_WORDS = 2_000
"""Limit on the bytes of a program's errors that are looked at to say why it failed."""


class _Start(NamedTuple):
    """A program that waits for its turn to be started."""

    program: Program
    environment: Mapping[bytes, bytes]
    cpus: frozenset[int] | None


class Processes:
    """Programs as processes.

    Parameters
    ----------
    loop
        The engine's event loop.
    children
        What starts and watches processes.
    post
        Takes the reports.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        children: Children,
        post: Callable[[Report], None],
    ) -> None:
        self._loop = loop
        self._children = children
        self._post = post
        self._waiting: dict[tuple[int, int], _Start] = {}
        self._order: deque[tuple[int, int]] = deque()
        self._running: dict[tuple[int, int], Child] = {}
        self._scheduled = False
        self._outputs = Outputs()

    def launch(
        self,
        task: int,
        attempt: int,
        program: Program,
        environment: Mapping[bytes, bytes],
        cpus: frozenset[int] | None,
    ) -> None:
        """Start a program, with all of its variables and on these CPUs."""
        key = (task, attempt)
        if key in self._running or key in self._waiting:
            return
        self._waiting[key] = _Start(program, environment, cpus)
        self._order.append(key)

    def cancel(self, task: int, attempt: int, grace_s: float) -> None:
        """End it and all of its group, if it is still there."""
        key = (task, attempt)
        if self._waiting.pop(key, None) is not None:
            self._post(Exited(*key, monotonic_us(), NOT_BEGUN))
        elif (child := self._running.get(key)) is not None:
            child.terminate(self._loop, grace_s)

    def close(self) -> None:
        """Start nothing anymore."""
        self._waiting.clear()
        self._order.clear()
        self._outputs.close()

    def start_some(self) -> None:
        """Start those that wait, as many as fit into a slice, and the rest in the next turns."""
        if not self._scheduled:
            self._start_slice()

    def _start_slice(self) -> None:
        self._scheduled = False
        until_us = monotonic_us() + SLICE_US
        try:
            while self._order and monotonic_us() < until_us:
                key = self._order.popleft()
                start = self._waiting.pop(key, None)
                if start is not None:  # else cancelled
                    self._start(key, start)
        finally:
            self._children.unpin()
        if self._order:
            self._scheduled = True
            self._loop.call_soon(self._start_slice)

    def _start(self, key: tuple[int, int], start: _Start) -> None:
        program = start.program
        files: list[int] = []
        try:
            files.append(self._outputs.open(program.stdout))
            same = program.stderr == program.stdout
            files.append(files[0] if same else self._outputs.open(program.stderr))
            child = self._children.spawn(
                program.words,
                environment=start.environment,
                ended=lambda returncode: self._end(key, program, returncode),
                directory=program.directory,
                stdout=files[0],
                stderr=files[1],
                cpus=start.cpus,
            )
        except (OSError, ValueError) as error:
            reason = _why_not(error, program)
            self._post(LaunchFailed(*key, monotonic_us(), reason))
            self._give_back(program)
        else:
            self._running[key] = child
            self._post(Started(*key, monotonic_us()))
        finally:
            for file in dict.fromkeys(files):
                os.close(file)

    def _end(self, key: tuple[int, int], program: Program, returncode: int) -> None:
        del self._running[key]
        now_us, error = monotonic_us(), describe_exit(returncode)
        if error is not None:
            error += _last_words(program.stderr)
        self._post(Exited(*key, now_us, error))
        self._give_back(program)

    def _give_back(self, program: Program) -> None:
        for path in dict.fromkeys((program.stdout, program.stderr)):
            self._outputs.give_back(path)


def _last_words(stderr: str) -> str:
    """Return the last line that a program printed as an error, and where the rest is."""
    try:
        with open(stderr, "rb") as file:  # noqa: PTH123  (a name as the kernel takes it)
            file.seek(max(0, os.fstat(file.fileno()).st_size - MOST_LAST_WORDS))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return f": {said[-1]} ({stderr})" if said else ""


def _why_not(error: OSError | ValueError, program: Program) -> str:
    """Return in words why a program could not be started."""
    name, at_fault = program.words[0], str(error.filename if isinstance(error, OSError) else "")
    if not isinstance(error, OSError):
        return f"cannot start {name!r}: {error}"
    match error.errno:
        case _ if at_fault == str(program.directory):
            return f"no directory to start in: {program.directory} ({error.strerror})"
        case _ if at_fault in (program.stdout, program.stderr):
            return f"cannot write output to {at_fault}: {error.strerror}"
        case errno.ENOENT if "/" in name and (program.directory / name).exists():
            return f"the interpreter that {name} names after #! was not found"
        case errno.ENOENT:
            return f"command not found: {name}"
        case errno.EACCES:
            return f"not executable: {name}"
        case errno.ENOEXEC:
            return f"not a program, nor a script that begins with #!: {name}"
        case errno.E2BIG:
            return f"the arguments and variables of {name} are too long"
        case _:
            return f"cannot start {name}: {error.strerror}"
