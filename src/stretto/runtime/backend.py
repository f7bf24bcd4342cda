"""The one interface between the engine and whatever really starts tasks.

The engine decides what runs where and when; a backend only starts, watches and ends.  It never
retries, never reorders, and reports what happened with the node's own times.  `lost` is not
`exited`: whoever lost a task cannot say how it ended.

All times are microseconds of ``time.monotonic_ns() // 1000`` on the machine of the task.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from stretto.platform import Placement

__all__ = [
    "Backend",
    "Call",
    "Capabilities",
    "Exited",
    "LaunchFailed",
    "Lost",
    "Marked",
    "NodeLost",
    "NodeReturned",
    "Pickled",
    "Program",
    "Report",
    "Request",
    "StandIn",
    "Started",
    "monotonic_us",
]


def monotonic_us() -> int:
    """Return the time of this machine in the microseconds that reports use."""
    return time.monotonic_ns() // 1000


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do.

    Parameters
    ----------
    commands, functions, mpi
        Whether it runs executables, Python functions, programs over several nodes.
    durable
        Whether its tasks outlive the engine, so that `Backend.reattach` can find them.
    """

    commands: bool
    functions: bool
    mpi: bool
    durable: bool


@dataclass(frozen=True, slots=True)
class Program:
    """An executable to start: no shell, no search beyond ``PATH``.

    `environment` is added to that of the engine; output goes to the two files.
    """

    words: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    directory: Path
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Call:
    """A Python function to call in a warm worker process.

    Parameters
    ----------
    function
        ``"module:function"``, or the callable.
    arguments
        Positional and keyword arguments, ready to be pickled.
    fields
        Values offered to parameters of the same name that no argument fills.
    environment
        Variables set around the call.  What a library reads once, when it is loaded, it has read
        long before: the number of threads and the GPUs are set when a worker is started.
    search_path
        Folders in which modules are looked up first.
    stdout, stderr
        Files for what the call prints; `None` leaves the engine's own.
    """

    function: str | Callable[..., Any]
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    fields: dict[str, Any]
    environment: tuple[tuple[str, str], ...] = ()
    search_path: tuple[str, ...] = ()
    stdout: str | None = None
    stderr: str | None = None


@dataclass(frozen=True, slots=True)
class StandIn:
    """A timed stand-in for a task of an emulated platform: ends well after `duration_us`."""

    duration_us: int


class Request(NamedTuple):
    """One attempt to be started."""

    task: int
    attempt: int
    placement: Placement
    work: Program | Call | StandIn
    threads: int
    """Cores of each rank, for ``OMP_NUM_THREADS``."""


class Started(NamedTuple):
    """The attempt runs since `time_us`."""

    task: int
    attempt: int
    time_us: int


class Marked(NamedTuple):
    """The attempt said that it waits for something (`idle`), or that it executes again."""

    task: int
    attempt: int
    time_us: int
    idle: bool


class Pickled(NamedTuple):
    """What a function returned, as it came: only who has its classes can load it."""

    data: bytes

    def load(self) -> Any:
        """Return the value; whatever its classes raise is raised."""
        return pickle.loads(self.data)  # noqa: S301  (the user's own value)


class Exited(NamedTuple):
    """The attempt is over.

    `error` is `None` if it ended well, else why it did not, in words (an exit code, a signal, an
    exception with its traceback).  `result` is what a function returned, a
    plain value or `Pickled`.
    """

    task: int
    attempt: int
    time_us: int
    error: str | None
    result: Any = None
    exception: BaseException | None = None


class Lost(NamedTuple):
    """The attempt is gone, through no fault of its own; how far it came nobody knows."""

    task: int
    attempt: int
    time_us: int
    reason: str


class LaunchFailed(NamedTuple):
    """The attempt could not be started."""

    task: int
    attempt: int
    time_us: int
    reason: str


class NodeLost(NamedTuple):
    """A node is gone, and with it every attempt that has a rank there, wherever its others are.

    Nothing is reported of these attempts anymore, or it comes too late.  They are cancelled on the
    nodes that are left, without grace.
    """

    node: int
    time_us: int


class NodeReturned(NamedTuple):
    """A node that was lost is there again; nothing runs on it."""

    node: int
    time_us: int


Report = Started | Marked | Exited | Lost | LaunchFailed | NodeLost | NodeReturned


class Backend(Protocol):
    """What the engine asks of a backend.

    All methods are called from its event loop.  `report` is never called from inside one of them,
    so an engine may call them in the middle of a decision; for each attempt it is called with
    `Started` at most once and then, exactly once, with how it ended, unless its node is lost; with
    what it says of itself, `Marked`, any number of times.  Every node is there when the backend has
    started; of those that are not it says so.
    """

    def capabilities(self) -> Capabilities:
        """Return what this backend can do."""

    async def start(self, report: Callable[[Report], None]) -> None:
        """Get ready; from now on `report` is called, in the event loop, with what happens.

        Raises
        ------
        BackendError
            If it cannot.
        """

    def launch(self, requests: Sequence[Request]) -> None:
        """Start attempts; what becomes of each is reported, a failure to start it included.

        An attempt that still runs is not started again.  Calls whose placements are the same
        object are a bundle: they run one after another, in the order given.
        """

    def cancel(self, task: int, attempt: int, grace_s: float) -> None:
        """End an attempt: ask, and after `grace_s` seconds force.  Its exit is reported.

        Nothing happens if it is over already; asked again, the last grace holds.  Calls bundled
        with it that had not begun may be reported as lost.
        """

    async def close(self) -> None:
        """End everything that still runs and release everything; nothing is reported anymore."""
