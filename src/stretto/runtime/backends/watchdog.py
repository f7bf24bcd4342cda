"""Ends whatever a run left behind, however the engine ended.

Every process of a run carries ``STRETTO_RUN=<run id>`` in its environment, and so does whatever
it starts, in whichever session or group it hides.  That mark, as the kernel shows it, is the one
thing looked at, and it must match exactly: no other process is ever touched.

This file is also a program.  The engine starts it as a small process of its own session that
holds one end of a pipe; when the engine is gone, even by ``kill -9``, the pipe is at its end and
the run's processes are killed.  It imports nothing but the standard library, and little of that.
"""

# pathlib would double the time and memory that this program needs.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress

__all__ = ["RUN_VARIABLE", "kill_leftovers"]

RUN_VARIABLE = "STRETTO_RUN"
"""The variable that marks the processes of a run."""

MOST_ROUNDS = 2000
"""Rounds after which a process that cannot be killed (stuck in the kernel) is left alone."""

ROUND_PAUSE_S = 0.005
ORPHAN_PAUSE_S = 0.02
ORPHAN_EMPTY_ROUNDS = 4


def kill_leftovers(run_id: str, *, empty_rounds: int = 3, pause_s: float = ROUND_PAUSE_S) -> int:
    """Kill every process of a run except the caller, and return how many there were.

    Parameters
    ----------
    run_id
        The run's identifier; only processes marked with exactly this one are touched.
    empty_rounds
        Looks in a row that must find nothing: a process may have been starting another while
        the first look passed by, or been between two programs, when it shows no environment.
    pause_s
        Time between two looks, in which the killed disappear.
    """
    killed: set[int] = set()
    empty = 0
    for _ in range(MOST_ROUNDS):
        found = [pid for pid in _marked(run_id) if _kill(pid, run_id)]
        killed.update(found)
        empty = 0 if found else empty + 1
        if empty >= empty_rounds:
            break
        time.sleep(pause_s)
    return len(killed)


def _marked(run_id: str) -> list[int]:
    own = os.getpid()
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if pid != own and _carries(pid, run_id)]


def _carries(pid: int, run_id: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except OSError:  # gone, or another user's
        return False
    return os.fsencode(f"{RUN_VARIABLE}={run_id}") in variables


def _kill(pid: int, run_id: str) -> bool:
    """Kill it, and say whether it was there; the number cannot have passed to another process."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not _carries(pid, run_id):
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def _await_end(pipe: int, engine: int) -> None:
    """Return when the engine is gone: its end of the pipe is closed, or its process is over."""
    watched = select.poll()
    watched.register(pipe, select.POLLIN | select.POLLHUP)
    with suppress(OSError):  # gone already, or hidden from us: the pipe tells
        watched.register(os.pidfd_open(engine), select.POLLIN)
    watched.poll()


def _main() -> None:
    run_id, pipe, engine = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _await_end(pipe, engine)
    kill_leftovers(run_id, empty_rounds=ORPHAN_EMPTY_ROUNDS, pause_s=ORPHAN_PAUSE_S)


if __name__ == "__main__":
    _main()
