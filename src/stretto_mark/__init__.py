"""What a task says of itself: that it waits, and that it goes on.

A task that runs holds its resources; one that waits for a message executes nothing meanwhile.  Only
the task knows, so it has to say so.  In a worker process the word goes with the worker's own news;
everywhere else it is a line to a named pipe of the run: ``TASK ATTEMPT idle`` or ``... busy``.  The
pipe is found, and the task known, by two variables that whatever a task starts inherits.  Where
nobody listens nothing happens: a mark is never worth a failure.

A package of its own and nothing but two modules of the standard library, because ``stretto-mark``
is started by scripts, many times.
"""

import os
import sys

__all__ = ["PIPE_VARIABLE", "TASK_VARIABLE", "Idling", "main", "mark"]

PIPE_VARIABLE = "STRETTO_MARKS"
"""Holds the path of the run's pipe."""
TASK_VARIABLE = "STRETTO_MARK"
"""Holds the serial number of the task and its attempt."""

USAGE = "usage: stretto-mark idle|busy\n"


def mark(*, idle: bool) -> bool:
    """Say that this task waits, or that it goes on; return whether anybody heard it."""
    worker = sys.modules.get("stretto_worker.marks")
    if worker is not None and worker.mark(idle):
        return True
    path, task = os.environ.get(PIPE_VARIABLE), os.environ.get(TASK_VARIABLE)
    if not path or not task:
        return False
    try:
        # Without a reader this fails at once instead of waiting for one.
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(pipe, f"{task} {'idle' if idle else 'busy'}\n".encode())
    except OSError:
        return False
    finally:
        os.close(pipe)
    return True


class Idling:
    """While the context lasts, this task waits: it runs, but executes nothing."""

    def __enter__(self) -> None:
        mark(idle=True)

    def __exit__(self, *_: object) -> None:
        mark(idle=False)


def main() -> int:
    """Do what ``stretto-mark idle`` and ``stretto-mark busy`` do."""
    match sys.argv[1:]:
        case ["idle" | "busy" as word]:
            mark(idle=word == "idle")
            return 0
        case _:
            sys.stderr.write(USAGE)
            return 2
