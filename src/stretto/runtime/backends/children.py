"""Processes of this machine, each at the head of its own session, watched until they end.

A process is watched through a pidfd, and all pidfds through one epoll that the event loop sees as
a single file: a process that ends costs no signal, no thread and no change to the loop's own
selector.  When the leader has ended it is a zombie until it is reaped, and while it is one nobody
else can have its number; so what is left of its group is killed first, then it is reaped.

Affinity is set on our own thread before the spawn and inherited.  Setting it on the child after
the spawn is about 20 microseconds cheaper, but then the child runs already: of 200 that printed
their number of cores at once, 4 printed the wrong one, and a library that sizes its thread pool
when it is loaded keeps the wrong one for good.  The thread goes home when a batch is through
(`Children.unpin`), not after each spawn.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from stretto.runtime.backends.spawn import Files, leaks, spawn

__all__ = ["Child", "Children", "describe_exit"]

UNKNOWN_STATUS = 255
"""Return code of a process whose own was taken away by someone else."""

CLOSE_TIMEOUT_S = 10.0
"""How long `Children.close` waits for killed processes that are stuck in the kernel."""


class Child:
    """A process we started: the leader of a session and of a group, both numbered `pid`."""

    __slots__ = ("_ended", "_force", "alive", "pid")

    def __init__(self, pid: int, ended: Callable[[int], None]) -> None:
        self.pid = pid
        self.alive = True
        self._ended = ended
        self._force: asyncio.TimerHandle | None = None

    def terminate(self, loop: asyncio.AbstractEventLoop, grace_s: float) -> None:
        """Ask the group to end, and kill it if its leader is still there after `grace_s`.

        Asked again, the last grace holds, so that one who has lost patience can say so.
        """
        if not self.alive:
            return
        if self._force is not None:
            self._force.cancel()
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a stopped process hears nothing else
        self._force = loop.call_later(grace_s, self.kill)

    def kill(self) -> None:
        """Kill the group at once."""
        if self.alive:
            self._signal(signal.SIGKILL)

    def reap(self) -> None:
        """Take leave of a leader that has ended, and of its group before it."""
        self._signal(signal.SIGKILL)
        self.alive = False
        if self._force is not None:
            self._force.cancel()
            self._force = None
        self._ended(_wait(self.pid))

    def _signal(self, number: signal.Signals) -> None:
        # Refused (a program that changed its user) or pointless (a zombie): its end is watched.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class Children:
    """Starts processes, tells when they end, and leaves none behind.

    Parameters
    ----------
    loop
        The event loop from which everything is called.
    settled
        Called after each batch of ends.

    Attributes
    ----------
    null
        An open file that swallows what is written and holds nothing to read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, settled: Callable[[], None]) -> None:
        self._loop = loop
        self._settled = settled
        self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._leaks = leaks()
        self._home = os.sched_getaffinity(0)
        self._pinned: frozenset[int] | None = None
        self._live: dict[int, Child] = {}  # by pidfd
        self._none_left = asyncio.Event()
        self._none_left.set()
        self._epoll = select.epoll()
        loop.add_reader(self._epoll.fileno(), self._reap)

    def spawn(
        self,
        words: Sequence[str],
        *,
        environment: Mapping[bytes, bytes],
        ended: Callable[[int], None],
        directory: Path | None = None,
        stdout: int = 1,
        stderr: int = 2,
        cpus: frozenset[int] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> Child:
        """Start a process; `ended` is called once with its return code (see `describe_exit`).

        Parameters
        ----------
        words
            The program and its arguments; no shell sees them.
        environment
            All of its variables, as the bytes that they are to the kernel: with the usual few
            dozen, turning them into bytes for each process is a tenth of what a spawn costs.
        directory
            Where it starts; ours if `None`.
        stdout, stderr
            Open files for its output; by default ours.
        cpus
            The CPUs it may use from its first instruction; all of ours if `None`.
        pass_fds
            Open files that it inherits under the same numbers.

        Raises
        ------
        OSError, ValueError
            If there is no such program, directory, or process to be had.
        """
        self._pin(cpus)
        pid = spawn(
            words,
            environment=environment,
            directory=directory,
            files=Files(self.null, stdout, stderr),
            leaks=self._leaks,
            pass_fds=pass_fds,
        )
        return self._watch(Child(pid, ended))

    def unpin(self) -> None:
        """Give the calling thread its own CPUs back, after a batch of spawns."""
        self._pin(None)

    async def close(self) -> None:
        """Kill all that still runs and wait until it is gone."""
        for child in self._live.values():
            child.kill()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._none_left.wait(), CLOSE_TIMEOUT_S)
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        os.close(self.null)

    def _watch(self, child: Child) -> Child:
        try:
            pidfd = os.pidfd_open(child.pid)
        except OSError:  # out of file descriptors
            child.kill()
            _wait(child.pid)
            raise
        self._live[pidfd] = child
        self._none_left.clear()
        self._epoll.register(pidfd, select.EPOLLIN)
        return child

    def _pin(self, cpus: frozenset[int] | None) -> None:
        if cpus != self._pinned:
            os.sched_setaffinity(0, self._home if cpus is None else cpus)
            self._pinned = cpus

    def _reap(self) -> None:
        for pidfd, _ in self._epoll.poll(0):
            child = self._live.pop(pidfd)
            # Closing it would not do: a process just spawned may hold a copy of it for a moment
            # yet, and the epoll would tell of it under a number that means another one by then.
            self._epoll.unregister(pidfd)
            os.close(pidfd)
            child.reap()
        if not self._live:
            self._none_left.set()
        self._settled()


def _wait(pid: int) -> int:
    """Reap a process that has ended or is about to; return its return code."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:  # somebody else in this process reaped it
        return UNKNOWN_STATUS
    return os.waitstatus_to_exitcode(status)


def describe_exit(returncode: int) -> str | None:
    """Return in words why a process failed, `None` if it did not.

    Parameters
    ----------
    returncode
        The exit status, or minus the number of the signal that killed it.
    """
    if returncode == 0:
        return None
    if returncode > 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {-returncode}"
