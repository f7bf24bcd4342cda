"""What a worker and its engine say to each other, used at both ends.

- A message is eight bytes of length and a pickle of plain values.  To the worker the first is
  ``sys.path``; each later one a bundle, ``(cpus, calls)``, a call being a `Call`.
- Back come lists of what happened: ``(position, started_us)`` when a call begins, ``(position,
  time_us, idle)`` when it says that it waits or goes on, a `Note` when it is over.  They may be
  kept back for `FLUSH_US` to travel together.
- A page of memory is shared.  The worker keeps there the position of the call it is in, so that
  the engine knows it even when the worker dies; the engine marks there calls to be skipped.
- A function is sent once and then goes by its number.  Both ends remember `KEPT_FUNCTIONS` and
  forget the one that was sent first, so that they always agree.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any, NamedTuple

__all__ = [
    "FLUSH_US",
    "KEPT_FUNCTIONS",
    "LENGTH",
    "MOST_CALLS",
    "NOT_UP",
    "OVER",
    "PAGE_BYTES",
    "PLAIN",
    "POSITION",
    "SKIPPED",
    "UP",
    "Call",
    "Note",
    "frame",
]

LENGTH = struct.Struct("<Q")
"""The length before each message."""

POSITION = struct.Struct("<q")
"""The position at the beginning of the page; a byte for each call follows, not 0 to skip it."""

PAGE_BYTES = 4096
MOST_CALLS = PAGE_BYTES - POSITION.size
"""Most calls in one message."""

NOT_UP = -2
"""Position of a worker that is still being started."""
UP = -1
"""Position of a worker that has not begun its first call."""
OVER = MOST_CALLS
"""Position of a worker that has come to the end of its bundle."""

KEPT_FUNCTIONS = 256
"""Functions that are remembered."""

FLUSH_US = 5_000
"""How long news may be kept back to travel with more."""

PLAIN = frozenset({type(None), bool, int, float, str, bytes})
"""Types of values that travel as they are."""

SKIPPED = "skipped"
"""Error of a call that was skipped."""


class Call(NamedTuple):
    """One call, as it is sent.

    Parameters
    ----------
    function
        Its number, or ``"module:function"``.
    payload
        The function as a pickle, if it goes by a number and is sent for the first time.
    arguments, fields
        As plain values; or both as one pickle in `arguments`.
    environment, search_path, stdout, stderr
        As in the runtime's ``Call``.
    """

    function: int | str
    payload: bytes | None
    arguments: Any
    fields: Any
    environment: tuple[tuple[str, str], ...]
    search_path: tuple[str, ...]
    stdout: str | None
    stderr: str | None


class Note(NamedTuple):
    """What came of one call: a plain result, or a pickle of another, or an exception's."""

    position: int
    ended_us: int
    error: str | None
    plain: Any
    pickled: bytes | None
    exception: bytes | None


def frame(message: Any) -> bytes:
    """Return a message of plain values, ready to be sent."""
    body = pickle.dumps(message, protocol=5)
    return LENGTH.pack(len(body)) + body
