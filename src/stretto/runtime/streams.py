"""What a channel holds at one time: who may still send, what waits for whom, who waits.

A *stream* is a channel in one iteration and one attempt of its group: when a group is tried again
everybody begins anew, with nothing left from the attempt before.  Here is no socket and no clock:
requests come in, and the answers that are due go out.  Every request is answered exactly once.

There is a queue for each receiving set, or, if every task is to get each message, for each of its
tasks.  A message is taken when all queues have room for it; until then its sender waits, in line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stretto.channels import DONE, END, LATE, MESSAGE
from stretto.workflow import Channel

__all__ = ["Answer", "Request", "Stream"]

Member = tuple[str, int]
"""A task of the group: its set, and its number in it."""
Key = tuple[str, int]
"""A queue: its set, and the task it is for, -1 where all share it."""
SHARED = -1


class Request(NamedTuple):
    """Who asks for an answer, and under which number."""

    peer: bytes
    number: bytes


class Answer(NamedTuple):
    """What a request is answered with."""

    to: Request
    frames: tuple[bytes, ...]


class Stream:
    """One channel in one iteration and attempt.

    Parameters
    ----------
    channel
        Its description.
    tasks
        By name of a task set: its number of tasks.
    """

    def __init__(self, channel: Channel, tasks: Mapping[str, int]) -> None:
        self._capacity = channel.capacity
        self._every = channel.every
        self._senders = {(name, at) for name in channel.senders for at in range(tasks[name])}
        self._receivers = {(name, at) for name in channel.receivers for at in range(tasks[name])}
        self._queues: dict[Key, deque[tuple[bytes, ...]]] = {
            self._key(member): deque() for member in sorted(self._receivers)
        }
        self._asking: dict[Key, deque[tuple[Request, Member]]] = {
            key: deque() for key in self._queues
        }
        self._sending: deque[tuple[Request, tuple[bytes, ...]]] = deque()

    @property
    def over(self) -> bool:
        """Whether nobody is left who could send or receive."""
        return not self._senders and not self._receivers

    def send(self, request: Request, message: tuple[bytes, ...]) -> list[Answer]:
        """Take a message, now or when there is room for it."""
        self._sending.append((request, message))
        return list(self._settle())

    def receive(self, request: Request, member: Member) -> list[Answer]:
        """Hand out a message, now or when there is one."""
        key = self._key(member)
        if key not in self._asking:  # it has said that it receives no more
            return [Answer(request, (END,))]
        self._asking[key].append((request, member))
        return list(self._settle())

    def cancel(self, request: Request) -> list[Answer]:
        """Answer a request at once that still waits to receive; one that does not was answered."""
        for asking in self._asking.values():
            for one in asking:
                if one[0] == request:
                    asking.remove(one)
                    return [Answer(request, (LATE,))]
        return []

    def close(self, member: Member) -> list[Answer]:
        """Expect nothing more from a task, and keep nothing for it."""
        self._senders.discard(member)
        self._receivers.discard(member)
        key = self._key(member)
        if key in self._queues:
            asking = self._asking[key]
            self._asking[key] = deque(one for one in asking if one[1] != member)
            if not any(self._key(other) == key for other in self._receivers):
                del self._queues[key], self._asking[key]
        return list(self._settle())

    def _key(self, member: Member) -> Key:
        return member if self._every else (member[0], SHARED)

    def _settle(self) -> Iterator[Answer]:
        """Yield all answers that are due."""
        moved = True
        while moved:
            moved = False
            for key, queue in self._queues.items():
                asking = self._asking[key]
                while queue and asking:
                    yield Answer(asking.popleft()[0], (MESSAGE, *queue.popleft()))
                    moved = True
            while self._sending and self._has_room():
                request, message = self._sending.popleft()
                for queue in self._queues.values():
                    queue.append(message)
                yield Answer(request, (DONE,))
                moved = True
        if not self._senders and not self._sending:
            for key, asking in self._asking.items():
                while asking and not self._queues[key]:
                    yield Answer(asking.popleft()[0], (END,))

    def _has_room(self) -> bool:
        return all(len(queue) < self._capacity for queue in self._queues.values())
