"""Starting a program: the quick way where it will do, and the careful one where it will not.

Both ways block until the program is loaded, lead a new session, inherit the calling thread's CPUs
and nothing else but the three standard files, and raise the kernel's own reason when they fail.
Neither ever forks the memory of a large process.  ``posix_spawn`` costs half of the processor time
of `subprocess`, but it cannot change the directory and takes only what is named by its path.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["Files", "leaks", "spawn"]


class Files(NamedTuple):
    """The open files that a program has as standard input, output and error."""

    stdin: int
    stdout: int
    stderr: int


def leaks() -> tuple[int, ...]:
    """Return our open files that programs would inherit, beyond the three standard ones.

    Python opens none such; they come from whoever started this process.
    """
    numbers = sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    return tuple(number for number in numbers if number > 2 and _inheritable(number))


def spawn(
    words: Sequence[str],
    *,
    environment: Mapping[bytes, bytes],
    directory: Path | None,
    files: Files,
    leaks: tuple[int, ...] = (),
    pass_fds: tuple[int, ...] = (),
) -> int:
    """Start a program and return its process, which the caller must reap.

    Parameters
    ----------
    words
        The program and its arguments; looked up in the ``PATH`` of `environment`.
    environment
        All of its variables.
    directory
        Where it starts; ours if `None`.
    files
        Its standard files.
    leaks
        Open files that it must not inherit, see `leaks`.
    pass_fds
        Open files that it inherits besides.

    Raises
    ------
    OSError, ValueError
        If there is no such program, directory, or process to be had.
    """
    if pass_fds or not _is_ours(directory):
        return _with_subprocess(words, environment, directory, files, pass_fds)
    duplicates = [(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate(files)]
    return os.posix_spawn(
        _find(words[0], environment),
        list(words),
        environment,
        file_actions=[*duplicates, *((os.POSIX_SPAWN_CLOSE, file) for file in leaks)],
        setsid=True,
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # which Python ignores
    )


def _is_ours(directory: Path | None) -> bool:
    """Return whether a program that starts in `directory` starts where we are."""
    if directory is None:
        return True
    try:
        return str(directory) == os.getcwd()  # noqa: PTH109  (text is all that is needed)
    except OSError:  # ours has been removed
        return False


def _with_subprocess(
    words: Sequence[str],
    environment: Mapping[bytes, bytes],
    directory: Path | None,
    files: Files,
    pass_fds: tuple[int, ...],
) -> int:
    process = subprocess.Popen(
        words,
        stdin=files.stdin,
        stdout=files.stdout,
        stderr=files.stderr,
        cwd=None if directory is None else str(directory),
        env=environment,
        start_new_session=True,
        pass_fds=pass_fds,
    )
    process.returncode = 0  # it is reaped by its number, not by this object
    return process.pid


def _find(name: str, environment: Mapping[bytes, bytes]) -> bytes:
    """Return the path of a program; the last reason why not if there is none."""
    program = os.fsencode(name)
    if b"/" in program:
        return program
    reason = errno.ENOENT
    for folder in environment.get(b"PATH", os.fsencode(os.defpath)).split(b":"):
        path = os.path.join(folder or b".", program)  # noqa: PTH118
        if os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112
            return path
        if os.path.isfile(path):  # noqa: PTH113
            reason = errno.EACCES
    raise OSError(reason, os.strerror(reason), name)


def _inheritable(number: int) -> bool:
    try:
        return os.get_inheritable(number)
    except OSError:  # the one that was open to list them
        return False
