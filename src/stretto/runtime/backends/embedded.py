"""The backend that needs nothing: programs and Python functions on this machine.

The scheduler counts the cores of the one node from 0; they stand for the CPUs that this process
may use, in ascending order, and its GPUs for those that ``CUDA_VISIBLE_DEVICES`` shows, or for
their numbers if it is not set.  If more cores are declared than there are CPUs, which is how one
overcommits a machine, no task is bound to any.

All that runs carries the run's identifier in its environment, and a small process of its own
session ends it if the engine dies (see `watchdog`).
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import assert_never

from stretto import channels
from stretto.errors import BackendError
from stretto.platform import Placement, Platform, bits
from stretto.runtime.backend import (
    Call,
    Capabilities,
    LaunchFailed,
    Program,
    Report,
    Request,
    StandIn,
    monotonic_us,
)
from stretto.runtime.backends import watchdog
from stretto.runtime.backends.children import Child, Children
from stretto.runtime.backends.mark_pipe import MarkPipe
from stretto.runtime.backends.outbox import Outbox
from stretto.runtime.backends.processes import Processes
from stretto.runtime.workers.link import Kind
from stretto.runtime.workers.pool import Pool
from stretto_mark import PIPE_VARIABLE

__all__ = ["Embedded"]

SPARE_WORKERS = 4
"""Warm workers that are kept beyond one a core."""

GPU_VARIABLE = b"CUDA_VISIBLE_DEVICES"
THREADS_VARIABLE = b"OMP_NUM_THREADS"
RUN_VARIABLE = os.fsencode(watchdog.RUN_VARIABLE)
MARKS_VARIABLE = os.fsencode(PIPE_VARIABLE)
CHANNELS_VARIABLE = os.fsencode(channels.CHANNELS_VARIABLE)


class Embedded:
    """Processes and functions of this machine; a `Backend`.

    Parameters
    ----------
    platform
        One node, which stands for this machine.
    run_id
        What marks the processes of this run; no other run may have the same.
    marks
        Where the pipe is to be into which programs write that they wait; none unless given.

    Raises
    ------
    BackendError
        If the platform has several nodes, or more GPUs than ``CUDA_VISIBLE_DEVICES`` shows.
    """

    def __init__(self, platform: Platform, *, run_id: str, marks: Path | None = None) -> None:
        if len(platform.nodes) != 1:
            raise BackendError(
                f"{platform.name} has {len(platform.nodes)} nodes; this machine is one",
                retryable=False,
            )
        if not run_id or "\0" in run_id:
            raise BackendError(f"not a run identifier: {run_id!r}", retryable=False)
        self._node = platform.nodes[0]
        self._run_id = run_id
        self._marks_at = marks
        self._marks: MarkPipe | None = None
        self._gpus = _visible_gpus(self._node.gpus)
        self._cpus: list[int] = []
        self._environment: dict[bytes, bytes] = {}

    def capabilities(self) -> Capabilities:
        """Return what it can do; a program of several ranks starts them itself (``mpirun``)."""
        return Capabilities(commands=True, functions=True, mpi=True, durable=False)

    async def start(self, report: Callable[[Report], None]) -> None:
        """Get ready; see `Backend.start`."""
        loop = asyncio.get_running_loop()
        self._environment = dict(os.environb)
        # The Python of commands is that of functions, whether or not its environment is active.
        home = os.fsencode(Path(sys.executable).parent)
        path = self._environment.get(b"PATH", os.fsencode(os.defpath))
        if home not in path.split(b":"):
            self._environment[b"PATH"] = home + b":" + path
        self._cpus = sorted(os.sched_getaffinity(0))
        self._outbox = Outbox(loop, report)
        self._children = Children(loop, self._outbox.deliver)
        self._processes = Processes(loop, self._children, self._outbox.post)
        self._pool = Pool(
            loop,
            self._children,
            self._outbox.post,
            self._outbox.deliver,
            environment=lambda kind: self._variables(kind.threads, kind.gpus),
            most_workers=self._node.cores + SPARE_WORKERS,
        )
        try:
            self._pipe, self._watchdog = self._start_watchdog()
        except OSError as error:
            await self._children.close()
            raise BackendError(f"cannot start processes: {error}", retryable=True) from error
        self._listen(loop)

    def launch(self, requests: Sequence[Request]) -> None:
        """Start programs and calls; see `Backend.launch`."""
        bundles: dict[tuple[int, int], list[Request]] = {}
        for request in requests:
            match request.work:
                case Program():
                    self._queue_program(request, request.work)
                case Call():
                    key = (id(request.placement), request.threads)
                    bundles.setdefault(key, []).append(request)
                case StandIn():
                    reason = "a stand-in runs on an emulated platform only"
                    now_us = monotonic_us()
                    self._outbox.post(LaunchFailed(request.task, request.attempt, now_us, reason))
                case _:
                    assert_never(request.work)
        self._processes.start_some()
        for bundle in bundles.values():
            placement = bundle[0].placement
            cpus = self._cpus_of(placement)
            kind = Kind(bundle[0].threads, self._gpus_of(placement))
            self._pool.launch(bundle, kind, None if cpus is None else sorted(cpus))

    def cancel(self, task: int, attempt: int, grace_s: float) -> None:
        """End an attempt; see `Backend.cancel`."""
        self._processes.cancel(task, attempt, grace_s)
        self._pool.cancel(task, attempt, grace_s)

    async def close(self) -> None:
        """Kill whatever the run has left, daemons included; see `Backend.close`."""
        self._outbox.close()
        if self._marks is not None:
            self._marks.close()
        self._processes.close()
        self._watchdog.kill()
        await self._children.close()
        watchdog.kill_leftovers(self._run_id)
        os.close(self._pipe)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the pipe for marks, if one is wanted and the file system knows pipes."""
        # Where we are a task of another run: its pipe and channels are none of our tasks' business.
        for variable in (MARKS_VARIABLE, CHANNELS_VARIABLE):
            self._environment.pop(variable, None)
        if self._marks_at is not None:
            with suppress(OSError):
                self._marks = MarkPipe(loop, self._marks_at, self._outbox.post)
                self._environment[MARKS_VARIABLE] = os.fsencode(self._marks_at)

    def _queue_program(self, request: Request, program: Program) -> None:
        gpus = self._gpus_of(request.placement)
        environment = self._variables(request.threads, gpus, program.environment)
        cpus = self._cpus_of(request.placement)
        self._processes.launch(request.task, request.attempt, program, environment, cpus)

    def _variables(
        self, threads: int, gpus: str, own: tuple[tuple[str, str], ...] = ()
    ) -> dict[bytes, bytes]:
        """Return all variables of a process: the engine's, ours, its own, and the run's mark."""
        variables = self._environment.copy()
        variables[THREADS_VARIABLE] = b"%d" % max(1, threads)
        variables[GPU_VARIABLE] = _encoded(gpus)
        for name, value in own:
            variables[_encoded(name)] = _encoded(value)
        variables[RUN_VARIABLE] = _encoded(self._run_id)
        return variables

    def _cpus_of(self, placement: Placement) -> frozenset[int] | None:
        """Return the CPUs of a placement, `None` if tasks are not bound to any."""
        if self._node.cores > len(self._cpus):
            return None
        cores = [core for slot in placement for core in bits(slot.cores)]
        # A task that holds GPUs only may use every CPU.
        return frozenset(self._cpus[core] for core in cores) or frozenset(self._cpus)

    def _gpus_of(self, placement: Placement) -> str:
        """Return the GPUs of a placement as their variable; a task without any sees none."""
        return ",".join(self._gpus[gpu] for slot in placement for gpu in bits(slot.gpus))

    def _start_watchdog(self) -> tuple[int, Child]:
        """Start the watchdog; return our end of its pipe, which closes with this process."""
        theirs, ours = os.pipe()
        environment = dict(os.environb)
        # Not marked, not even with the run in which this one runs: it must outlive both.
        environment.pop(RUN_VARIABLE, None)
        words = [sys.executable, "-I", "-S", "-E", watchdog.__file__, self._run_id]
        try:
            child = self._children.spawn(
                [*words, str(theirs), str(os.getpid())],
                environment=environment,
                ended=lambda _: None,
                directory=Path("/"),
                stdout=self._children.null,
                stderr=self._children.null,
                pass_fds=(theirs,),
            )
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return ours, child


@lru_cache(maxsize=4096)
def _encoded(text: str) -> bytes:
    """Return text as the kernel takes it; most variables are the same for task after task."""
    return os.fsencode(text)


def _visible_gpus(number: int) -> tuple[str, ...]:
    """Return what stands for GPU 0, 1 and so on in the variable that tasks see."""
    shown = os.environ.get(os.fsdecode(GPU_VARIABLE))
    if shown is None:
        return tuple(str(gpu) for gpu in range(number))
    entries = tuple(entry.strip() for entry in shown.split(",") if entry.strip())
    if number > len(entries):
        raise BackendError(
            f"the platform has {number} GPUs, but {os.fsdecode(GPU_VARIABLE)} shows {len(entries)}",
            retryable=False,
        )
    return entries
