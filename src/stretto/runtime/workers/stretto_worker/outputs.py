"""Output files, and what becomes of those that stay empty.

To a file system a new file costs far more than a new name for one that is there, and most short
tasks print nothing.  So a file that is empty once its task has ended is used again, under the name
that the next task wants; a task that printed nothing leaves no file.
"""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["Outputs"]

FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
MOST_SPARE = 256
"""Empty files that are kept by default."""


class Outputs:
    """Opens output files, and takes back those that stayed empty.

    Parameters
    ----------
    most_spare
        Empty files that are kept to be used again, at most; the others are removed at once.
    """

    def __init__(self, *, most_spare: int = MOST_SPARE) -> None:
        self._most_spare = most_spare
        self._spare: list[str] = []

    def open(self, path: str) -> int:
        """Return a descriptor of an empty file at `path`, made with its folder if need be."""
        while self._spare:
            with suppress(OSError):  # somebody has removed it
                os.rename(self._spare.pop(), path)  # noqa: PTH104  (pathlib is slow to load)
                return os.open(path, FLAGS)
        try:
            return os.open(path, FLAGS | os.O_CREAT | os.O_TRUNC, 0o666)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
            return os.open(path, FLAGS | os.O_CREAT | os.O_TRUNC, 0o666)

    def give_back(self, path: str) -> None:
        """Take back the file at `path` if it is empty; nothing writes to it any longer."""
        with suppress(OSError):  # somebody has removed it
            if os.stat(path).st_size:  # noqa: PTH116
                return
            if len(self._spare) < self._most_spare:
                self._spare.append(path)
            else:
                os.unlink(path)  # noqa: PTH108

    def close(self) -> None:
        """Remove the empty files that were kept."""
        for path in self._spare:
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108
        self._spare.clear()
