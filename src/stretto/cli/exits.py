"""Exit status of every command, and how a run's ending becomes one."""

from __future__ import annotations

import signal
from enum import IntEnum

from stretto.running import Run
from stretto.runtime import Ending

__all__ = ["Exit", "exit_of"]


class Exit(IntEnum):
    """What the program ends with."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CANCELLED = 3
    STOPPED = 75
    INTERRUPTED = 130


def exit_of(run: Run) -> Exit:
    """Return the exit status that a run's ending means."""
    match run.ending:
        case Ending.DONE:
            return Exit.DONE
        case Ending.FAILED:
            return Exit.FAILED
        case Ending.STOPPED:
            return {
                signal.SIGINT: Exit.INTERRUPTED,
                signal.SIGUSR1: Exit.CANCELLED,
            }.get(run.signal or signal.SIGTERM, Exit.STOPPED)
