"""The two kinds of wrong a user can meet.

`WorkflowError` is theirs to mend: the description says something that cannot be.  It names the
place (file and line, or the argument), what was found and what was expected.  `BackendError` is
the world's: a process could not be started, a disk is full; it says whether a retry can help.
The third kind, our own bugs, are assertions and stop the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["BackendError", "StrettoError", "WorkflowError", "under_key"]

T = TypeVar("T")


class StrettoError(Exception):
    """Base of every error that a user is meant to read, without a traceback."""


class WorkflowError(StrettoError):
    """A description, platform or argument that cannot be used as it is.

    Parameters
    ----------
    message
        What was found, and what was expected.
    path
        Keys that lead to the offending value, such as ``("task_sets", "training", "cores")``.
        A reader of files turns it into a line.
    source
        File, or file and line (``"loop.yaml:12"``), once known.
    """

    def __init__(
        self, message: str, *, path: tuple[str | int, ...] = (), source: str | None = None
    ) -> None:
        self.message = message
        self.path = path
        self.source = source
        super().__init__(message, path, source)

    def __reduce__(self) -> tuple[Any, ...]:
        return _workflow_error, (self.message, self.path, self.source)

    def __str__(self) -> str:
        where = ".".join(str(key) for key in self.path)
        parts = [part for part in (self.source, where) if part]
        return ": ".join([*parts, self.message])

    def within(self, *keys: str | int) -> WorkflowError:
        """Return the same error, seen from further outside: `keys` lead to where it arose."""
        return WorkflowError(self.message, path=(*keys, *self.path), source=self.source)


class BackendError(StrettoError):
    """The world failed: a launch, a disk, an engine.

    Parameters
    ----------
    message
        What failed, in words.
    retryable
        Whether trying the same again can help.
    """

    def __init__(self, message: str, *, retryable: bool) -> None:
        self.message = message
        self.retryable = retryable
        super().__init__(message, retryable)

    def __reduce__(self) -> tuple[Any, ...]:
        return _backend_error, (self.message, self.retryable)

    def __str__(self) -> str:
        return self.message


# Errors cross process boundaries, and keyword-only arguments are not pickled by default.


def _workflow_error(message: str, path: tuple[str | int, ...], source: str | None) -> WorkflowError:
    return WorkflowError(message, path=path, source=source)


def _backend_error(message: str, retryable: bool) -> BackendError:
    return BackendError(message, retryable=retryable)


def under_key(key: str | int, make: Callable[[Any], T], value: object) -> T:
    """Return ``make(value)``; a `WorkflowError` it raises is told to have arisen under `key`."""
    try:
        return make(value)
    except WorkflowError as error:
        raise error.within(key) from None
