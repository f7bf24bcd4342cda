"""Channels as tasks see them: open by name, send, receive, until all senders have closed.

A task talks to one broker, which is where the run is driven: every call is a request, and its
answer comes when it can be met.  So a sender waits while the queue is full, a receiver while it is
empty, and either says so (`stretto_mark`): it runs, but does not execute.

The connection is encrypted and authenticated in both directions with CURVE keys of the run.  They
lie in a file that only its owner may read, named by a variable that the tasks of the run have.
What is received is unpickled: whoever has the keys can run code, which a task of the run does
anyway.
"""

from __future__ import annotations

import json
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from stretto.errors import BackendError, WorkflowError
from stretto_mark import Idling

if TYPE_CHECKING:
    import zmq

__all__ = ["CHANNELS_VARIABLE", "OpenChannel", "open_channel", "zmq_or_raise"]

CHANNELS_VARIABLE = "STRETTO_CHANNELS"
"""Holds the path of the file with the address and the keys."""
MOST_MESSAGE_BYTES = 1 << 30
"""Limit on a message, pickled."""
PROMPT_MS = 1
"""Who waits no longer than this does not say so."""

# First frames of requests and of answers, and the two forms of a message.
SEND, RECEIVE, CANCEL, CLOSE = b"send", b"receive", b"cancel", b"close"
DONE, MESSAGE, END, LATE, WRONG = b"done", b"message", b"end", b"late", b"wrong"
RAW, PICKLED = b"raw", b"pickle"


def zmq_or_raise() -> Any:
    """Return pyzmq.

    Raises
    ------
    BackendError
        If it is not installed.
    """
    try:
        import zmq
    except ImportError:
        raise BackendError(
            "channels need pyzmq; install stretto[channels]", retryable=False
        ) from None
    return zmq


def open_channel(name: str) -> OpenChannel:
    """Return a channel of this task's workflow, to be closed when the task needs it no longer.

    Parameters
    ----------
    name
        As in the description.

    Raises
    ------
    BackendError
        If this is no task of a run with channels, or pyzmq is not installed.
    """
    return OpenChannel(name)


class OpenChannel:
    """One end of a channel; for one thread, and not to be taken through a fork.

    As a context manager it closes itself; when an exception leaves the context it does not tell the
    receivers that no more will come, for more might have.  Iteration is over what is received.

    Parameters
    ----------
    name
        As in the description.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._who = json.dumps(_who()).encode()
        self._zmq = zmq_or_raise()
        self._number = 0
        self._socket: zmq.Socket[bytes] | None = _connected(self._zmq)

    def send(self, message: object) -> None:
        """Send a message, bytes as they are and anything else pickled; wait while there is no room.

        Raises
        ------
        WorkflowError
            If this task's set is no sender of the channel, or the message is too large.
        """
        if isinstance(message, bytes):
            form, data = RAW, message
        else:
            form, data = PICKLED, pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        if len(data) > MOST_MESSAGE_BYTES:
            raise WorkflowError(
                f"a message of {len(data)} bytes; expected at most {MOST_MESSAGE_BYTES}",
                path=("channels", self.name),
            )
        self._ask(SEND, form, data)

    def receive(self, timeout: float | None = None) -> Any:
        """Return the next message; wait until there is one.

        Parameters
        ----------
        timeout
            Seconds to wait at most; for ever unless given.

        Raises
        ------
        EOFError
            If all senders have closed, and nothing is left.
        TimeoutError
            If nothing came in time.
        WorkflowError
            If this task's set is no receiver of the channel.
        """
        status, rest = self._ask(RECEIVE, timeout=timeout)
        if status == END:
            raise EOFError(f"all senders of {self.name} have closed it")
        if status == LATE:
            raise TimeoutError(f"nothing came on {self.name} within {timeout:g} s")
        form, data = rest
        return data if form == RAW else pickle.loads(data)  # noqa: S301  (from tasks of this run)

    def __iter__(self) -> Iterator[Any]:
        while True:
            try:
                message = self.receive()
            except EOFError:
                return
            yield message

    def close(self) -> None:
        """Send and receive no more; when the last sender has closed, receivers come to an end."""
        if self._socket is not None:
            self._ask(CLOSE)
            self._hang_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None

    def _ask(
        self, verb: bytes, *data: bytes, timeout: float | None = None
    ) -> tuple[bytes, list[bytes]]:
        """Return the answer to a request, of which there is exactly one."""
        socket = self._socket
        if socket is None:
            raise ValueError(f"{self.name} is closed")
        self._number += 1
        number = b"%d" % self._number
        head = [self.name.encode(), self._who]
        socket.send_multipart([number, verb, *head, *data])
        if not self._answered(socket, timeout):
            socket.send_multipart([number, CANCEL, *head])
            self._answered(socket, None)
        answered = b""
        while answered != number:  # an exception may have left an earlier answer behind
            answered, status, *rest = socket.recv_multipart()
        if status == WRONG:
            self._refused(rest[0].decode())
        return status, rest

    def _answered(self, socket: zmq.Socket[bytes], timeout: float | None) -> bool:
        """Wait for an answer, and say whether it came in time; say so where it takes long."""
        until = None if timeout is None else time.monotonic() + timeout
        if socket.poll(PROMPT_MS):
            return True
        with Idling():
            left_ms = None if until is None else max(0, round((until - time.monotonic()) * 1000))
            return bool(socket.poll(left_ms))

    def _refused(self, reason: str) -> NoReturn:
        self._hang_up()
        raise WorkflowError(reason, path=("channels", self.name))


def _who() -> list[Any]:
    """Return who this task is: its set, its number in it, its iteration and its attempt."""
    try:
        return [
            os.environ["STRETTO_TASK_SET"],
            *(int(os.environ[f"STRETTO_{one}"]) for one in ("TASK", "ITERATION", "ATTEMPT")),
        ]
    except (KeyError, ValueError):
        raise BackendError("this is no task of a run", retryable=False) from None


def _connected(zmq: Any) -> Any:
    path = os.environ.get(CHANNELS_VARIABLE)
    if not path:
        raise BackendError("the workflow of this task has no channels", retryable=False)
    try:
        keys = json.loads(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise BackendError(f"cannot read the keys of the run: {error}", retryable=False) from None
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.curve_serverkey = keys["broker"].encode()
    socket.curve_publickey = keys["public"].encode()
    socket.curve_secretkey = keys["secret"].encode()
    socket.connect(keys["address"])
    return socket
