"""The broker: where the channels of a run come together, in the engine's event loop.

One socket for all channels and tasks, bound to one address; its peers must know its key, and it
takes only those that have the key of the run's tasks.  Both are made anew for each life of the run.
The broker's own secret never leaves this process; what tasks need lies in a file of the run
directory that only its owner may read, and is gone when the run is.

The socket is watched through its file descriptor, which tells of change and not of state: so after
everything that is done with it, all that has arrived is taken.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq
from zmq.auth.thread import ThreadAuthenticator

from stretto.channels import CLOSE, DONE, MOST_MESSAGE_BYTES, WRONG
from stretto.errors import BackendError
from stretto.runtime.streams import Answer, Request, Stream
from stretto.scheduler import Event, Finished
from stretto.workflow import Channel, Expansion

__all__ = ["Broker"]

HEADROOM_BYTES = 1 << 16
LINGER_MS = 200
"""How long answers that are under way are waited for at the end."""

Place = tuple[str, int, int]
"""A stream: its channel, iteration and attempt."""


class Broker:
    """Hands messages on between the tasks of a run.

    Parameters
    ----------
    expansion
        The workflow, unrolled.
    interface
        An address of this machine, or the name of a network interface.
    keys
        File for the tasks.

    Raises
    ------
    BackendError
        If it cannot listen there, or the file cannot be written.
    """

    def __init__(self, expansion: Expansion, interface: str, keys: Path) -> None:
        self._expansion = expansion
        self._channels = {one.name: one for one in expansion.workflow.channels}
        self._tasks = {one.name: one.tasks for one in expansion.workflow.task_sets}
        self._streams: dict[Place, Stream] = {}
        self._newest: dict[tuple[str, int], int] = {}
        """By channel and iteration: the latest attempt that was heard of."""
        self._keys = keys
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        public, secret = zmq.curve_keypair()
        self._router = self._bound(interface, secret)
        self._write_keys(public)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor(), self._take_all)

    def _bound(self, interface: str, secret: bytes) -> zmq.Socket[bytes]:
        task_public, self._task_secret = zmq.curve_keypair()
        self._task_public = task_public
        self._authenticator = ThreadAuthenticator(self._context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback("*", _Tasks(task_public))
        router = self._context.socket(zmq.ROUTER)
        router.curve_server = True
        router.curve_secretkey = secret
        router.sndhwm = router.rcvhwm = 0  # a peer has one request under way
        router.maxmsgsize = MOST_MESSAGE_BYTES + HEADROOM_BYTES
        try:
            router.bind(f"tcp://{interface}:*")
        except zmq.ZMQError as error:
            router.close(linger=0)
            self._end_context()
            raise BackendError(
                f"channels cannot listen on {interface!r}: {error.strerror}", retryable=False
            ) from None
        return router

    def _write_keys(self, public: bytes) -> None:
        address = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        values = {
            "address": address,
            "broker": public.decode(),
            "public": self._task_public.decode(),
            "secret": self._task_secret.decode(),
        }
        try:
            self._keys.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(self._keys, flags, 0o600), "w", encoding="ascii") as file:
                json.dump(values, file)
        except OSError as error:
            self._router.close(linger=0)
            self._end_context()
            raise BackendError(
                f"{self._keys} cannot be written: {error.strerror}", retryable=False
            ) from None

    def observe(self, events: Sequence[Event]) -> None:
        """See which tasks have finished: nothing more is to be expected from them."""
        for event in events:
            if isinstance(event, Finished):
                instance = self._expansion.instance_of(event.task)
                member = (instance.task_set.name, event.task - instance.first_task)
                for place in [
                    one for one in self._streams if one[1:] == (instance.iteration, event.attempt)
                ]:
                    if member[0] in _members(self._channels[place[0]]):
                        self._answer(self._streams[place].close(member))
                        self._forget_if_over(place)
        self._take_all()

    def close(self) -> None:
        """Hand nothing on anymore, and take the keys away."""
        self._loop.remove_reader(self._descriptor())
        self._router.close(linger=LINGER_MS)
        self._end_context()
        with suppress(OSError):
            self._keys.unlink()

    def _end_context(self) -> None:
        self._authenticator.stop()
        self._context.term()

    def _descriptor(self) -> int:
        return int(self._router.getsockopt(zmq.FD))

    def _take_all(self) -> None:
        while int(self._router.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            peer, *frames = self._router.recv_multipart()
            self._take(peer, frames)

    def _take(self, peer: bytes, frames: list[bytes]) -> None:
        """Do what a peer asks for; what makes no sense is told it, or passed over."""
        match frames:
            case [number, verb, name, who, *data]:
                request = Request(peer, number)
            case _:
                return
        try:
            member, iteration, attempt = _member(who)
            channel = self._channels[name.decode()]
            answers = self._asked(request, verb, data, channel, member, iteration, attempt)
        except KeyError:
            answers = [_wrong(request, "the workflow has no such channel")]
        except _Refused as error:
            answers = [_wrong(request, str(error))]
        except (TypeError, ValueError):
            answers = [_wrong(request, "that is no request")]
        self._answer(answers)

    def _asked(
        self,
        request: Request,
        verb: bytes,
        data: list[bytes],
        channel: Channel,
        member: tuple[str, int],
        iteration: int,
        attempt: int,
    ) -> Iterable[Answer]:
        place = (channel.name, iteration, attempt)
        if verb == CLOSE and attempt == self._newest.get(place[:2]) and place not in self._streams:
            return [Answer(request, (DONE,))]  # everybody has closed it
        stream = self._stream(channel, place)
        if not 0 <= member[1] < self._tasks.get(member[0], 0):
            raise _Refused("there is no such task")
        match verb, data:
            case b"send", [(b"raw" | b"pickle") as form, body]:
                if member[0] not in channel.senders:
                    raise _Refused(f"{member[0]} does not send on it")
                return stream.send(request, (form, body))
            case b"receive", []:
                if member[0] not in channel.receivers:
                    raise _Refused(f"{member[0]} does not receive on it")
                return stream.receive(request, member)
            case b"cancel", []:
                return stream.cancel(request)
            case b"close", []:
                answers = [*stream.close(member), Answer(request, (DONE,))]
                self._forget_if_over(place)
                return answers
            case _:
                raise ValueError

    def _stream(self, channel: Channel, place: Place) -> Stream:
        """Return a stream, begun if need be; those of earlier attempts are forgotten."""
        name, iteration, attempt = place
        newest = self._newest.get((name, iteration), 0)
        if attempt < newest:
            raise _Refused("its group is tried again, and this attempt is over")
        if attempt > newest:
            self._newest[name, iteration] = attempt
            self._streams.pop((name, iteration, newest), None)
            self._streams[place] = Stream(channel, self._tasks)
        if place not in self._streams:
            raise _Refused("all of its tasks have closed it")
        return self._streams[place]

    def _forget_if_over(self, place: Place) -> None:
        if self._streams[place].over:
            del self._streams[place]

    def _answer(self, answers: Iterable[Answer]) -> None:
        for to, frames in answers:
            self._router.send_multipart([to.peer, to.number, *frames])


class _Refused(Exception):  # noqa: N818  (it says what something is)
    """A request that cannot be met, with the reason for the one who asks."""


class _Tasks:
    """Knows the one key that the tasks of the run have."""

    def __init__(self, public: bytes) -> None:
        self._public = public

    def callback(self, domain: str, key: bytes) -> bool:  # noqa: ARG002 - as pyzmq calls it
        """Return whether a peer with this key is a task of the run."""
        return key == self._public


def _member(who: bytes) -> tuple[tuple[str, int], int, int]:
    name, task, iteration, attempt = json.loads(who)
    numbers: list[Any] = [task, iteration, attempt]
    if not isinstance(name, str) or not all(type(one) is int for one in numbers):
        raise ValueError
    return (name, task), iteration, attempt


def _members(channel: Channel) -> tuple[str, ...]:
    return (*channel.senders, *channel.receivers)


def _wrong(request: Request, reason: str) -> Answer:
    return Answer(request, (WRONG, reason.encode()))
