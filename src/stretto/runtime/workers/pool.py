"""A pool of warm workers: kept by kind, replaced alone, ended when there are too many.

A worker belongs to a kind, the threads and GPUs that it was started with, because libraries read
those once and for all when they are loaded.  A bundle takes the worker of its kind that became idle
last (the warmest); if there is none, a new one is started, since a bundle must never wait for a
worker: where to run and how many at once is decided elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from stretto.runtime.backend import LaunchFailed, Report, Request, monotonic_us
from stretto.runtime.backends.children import Children
from stretto.runtime.workers.encoder import Encoder
from stretto.runtime.workers.link import Kind, Link

__all__ = ["Pool"]

Key = tuple[int, int]


class Pool:
    """Workers and the calls they are at.

    Parameters
    ----------
    loop
        The engine's event loop.
    children
        What starts and watches processes.
    post, settled
        Takes the reports; called after a batch of them.
    environment
        Returns all the variables of a worker of a kind.
    most_workers
        Number of workers above which idle ones are ended, the longest idle first.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        children: Children,
        post: Callable[[Report], None],
        settled: Callable[[], None],
        *,
        environment: Callable[[Kind], Mapping[bytes, bytes]],
        most_workers: int,
    ) -> None:
        self._loop = loop
        self._children = children
        self._post = post
        self._settled = settled
        self._environment = environment
        self._most_workers = most_workers
        self._encoder = Encoder()
        self._workers: dict[Link, None] = {}
        self._idle: dict[Link, None] = {}  # the longest idle first
        self._live: dict[Key, Link] = {}

    def launch(self, requests: Sequence[Request], kind: Kind, cpus: list[int] | None) -> None:
        """Make these calls one after another in a worker of this kind, on these CPUs."""
        fresh = [each for each in requests if (each.task, each.attempt) not in self._live]
        if not fresh:
            return
        try:
            link = self._take(kind)
        except OSError as error:
            reason = f"no worker could be started: {error.strerror}"
            for task, attempt, *_ in fresh:
                self._post(LaunchFailed(task, attempt, monotonic_us(), reason))
            return
        for task, attempt, *_ in fresh:
            self._live[task, attempt] = link
        link.run(fresh, cpus)

    def cancel(self, task: int, attempt: int, grace_s: float) -> None:
        """End a call, with its worker if it has begun."""
        link = self._live.get((task, attempt))
        if link is not None:
            link.cancel((task, attempt), grace_s)

    def _take(self, kind: Kind) -> Link:
        for link in reversed(self._idle):
            if link.kind == kind:
                del self._idle[link]
                return link
        link = Link(
            self._loop,
            self._children,
            self._encoder,
            self._post,
            self._settled,
            kind=kind,
            environment=self._environment(kind),
            over=self._live.__delitem__,
            idle=self._rest,
            gone=self._forget,
        )
        self._workers[link] = None
        self._end_surplus()
        return link

    def _rest(self, link: Link) -> None:
        self._idle[link] = None
        self._end_surplus()

    def _end_surplus(self) -> None:
        while len(self._workers) > self._most_workers and self._idle:
            longest = next(iter(self._idle))
            self._forget(longest)
            longest.end()

    def _forget(self, link: Link) -> None:
        self._workers.pop(link, None)
        self._idle.pop(link, None)
