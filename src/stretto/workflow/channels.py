"""Channels: named ways on which tasks that run at once send each other messages.

A channel leads from all tasks of the sending sets to the receiving sets, within an iteration.  Each
receiving set gets every message; its tasks share them, one message to one task, unless the channel
says that `every` task gets each.  The sets of a channel must run at once (``with``): a message to a
task that has not begun, or has ended, would be a result, and those go through files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stretto.errors import WorkflowError, under_key
from stretto.units import check_name, whole_number

__all__ = ["Channel", "channels_of"]

MOST_CAPACITY = 1_000_000
"""Limit on the messages that a channel holds for a receiver."""


@dataclass(frozen=True, slots=True, init=False)
class Channel:
    """A channel between task sets that run at once.

    Parameters
    ----------
    name
        As of a task set.
    senders, receivers
        Names of task sets (``from`` and ``to`` in a description); one name or several.
    every
        Whether every task of a receiving set gets each message; else they share them.
    capacity
        Messages that wait for a receiver at most (the high-water mark); a sender beyond waits.

    Raises
    ------
    WorkflowError
        If a value cannot be used; its path names it.
    """

    name: str
    senders: tuple[str, ...]
    receivers: tuple[str, ...]
    every: bool
    capacity: int

    def __init__(
        self,
        name: str,
        senders: str | Sequence[str],
        receivers: str | Sequence[str],
        *,
        every: bool = False,
        capacity: int = 100,
    ) -> None:
        _set = object.__setattr__
        _set(self, "name", check_name(name))
        _set(self, "senders", under_key("from", _names, senders))
        _set(self, "receivers", under_key("to", _names, receivers))
        if not isinstance(every, bool):
            raise WorkflowError(f"expected true or false, found {every!r}", path=("every",))
        _set(self, "every", every)
        _set(self, "capacity", whole_number("capacity", capacity, 1, MOST_CAPACITY))


def channels_of(
    channels: object, names: Sequence[str], groups: Mapping[str, tuple[str, ...]]
) -> tuple[Channel, ...]:
    """Return the channels of a workflow, checked against its sets.

    Parameters
    ----------
    names
        Names of the task sets.
    groups
        By set: those that run at once with it.

    Raises
    ------
    WorkflowError
        If two have one name, or a channel joins sets that are not there or do not run at once.
    """
    if not isinstance(channels, list | tuple) or not all(
        isinstance(one, Channel) for one in channels
    ):
        raise WorkflowError(f"expected a list of Channel, found {channels!r}", path=("channels",))
    if len({one.name for one in channels}) < len(channels):
        raise WorkflowError("two channels have the same name", path=("channels",))
    for one in channels:
        for key, sets in (("from", one.senders), ("to", one.receivers)):
            for name in sets:
                _check_member(one, key, name, names, groups)
    return tuple(channels)


def _check_member(
    channel: Channel,
    key: str,
    name: str,
    names: Sequence[str],
    groups: Mapping[str, tuple[str, ...]],
) -> None:
    path = ("channels", channel.name, key)
    if name not in names:
        raise WorkflowError(
            f"there is no task set {name!r}; expected one of {', '.join(names)}", path=path
        )
    first = channel.senders[0]
    if name not in groups.get(first, ()):
        raise WorkflowError(
            f"{first} and {name} must run at once; join them by 'with'"
            if name != first
            else f"{name} runs at once with no other set; join them by 'with'",
            path=path,
        )


def _names(value: object) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if (
        not isinstance(names, list | tuple)
        or not names
        or not all(isinstance(one, str) for one in names)
    ):
        raise WorkflowError(f"expected the name of a task set or a list, found {value!r}")
    if len(set(names)) < len(names):
        raise WorkflowError("the same set is named twice")
    return tuple(names)
