"""What a call says of itself while it is made: that it waits, that it goes on.

`stretto_mark` finds this module by its name, since it is another copy of Python's that imports it,
and takes the way through the worker where there is one: so a mark stays in order with the news of
the call's start and end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from .channel import Channel, now_us

__all__ = ["during", "mark"]

_calls: list[tuple[Channel, int, int]] = []
"""The call that is made, if one is: the channel of its news, its position, our process."""


@contextmanager
def during(channel: Channel, position: int) -> Iterator[None]:
    """Take marks for the call at `position` while the context lasts."""
    _calls.append((channel, position, os.getpid()))
    try:
        yield
    finally:
        _calls.clear()


def mark(idle: bool) -> bool:
    """Send a mark, and say whether there was a call to send it for.

    A process that the call forked is none of ours: it would write into the middle of our news.
    """
    for channel, position, process in _calls[-1:]:
        if process == os.getpid():
            channel.tell((position, now_us(), idle))
            channel.flush()
            return True
    return False
