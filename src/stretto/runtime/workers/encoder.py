"""Making calls fit to be sent: what is plain goes as it is, the rest as a pickle."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import cloudpickle

from stretto.runtime.backend import Call
from stretto.runtime.workers.stretto_worker import wire

__all__ = ["Encoder", "NotSendable"]


class NotSendable(Exception):  # noqa: N818  (it says what something is)
    """A function or an argument that cannot be pickled."""


class Encoder:
    """Numbers functions and pickles each of them once, however many calls there are.

    A function is known by identity: what it refers to is sent as it was at its first call.
    """

    def __init__(self) -> None:
        # By id; the function is kept with its entry, so its id cannot pass to another.
        self._functions: OrderedDict[int, tuple[Callable[..., Any], int, bytes]] = OrderedDict()
        self._last_number = 0

    def encode(self, call: Call, known: dict[int, None]) -> tuple[Any, ...]:
        """Return a call as plain values, see `wire.Call`.

        Parameters
        ----------
        call
            The call.
        known
            Numbers of the functions that the receiving worker knows; brought up to date.

        Raises
        ------
        NotSendable
            If its function or an argument cannot be pickled.
        """
        arguments: Any = call.arguments
        fields: Any = call.fields
        args, kwargs = arguments
        if not (_plain(args) and _plain(kwargs.values()) and _plain(fields.values())):
            arguments, fields = _pickled((arguments, fields), "the arguments"), None
        function, payload = self._function(call.function, known)
        return (
            function,
            payload,
            arguments,
            fields,
            call.environment,
            call.search_path,
            call.stdout,
            call.stderr,
        )

    def _function(
        self, function: str | Callable[..., Any], known: dict[int, None]
    ) -> tuple[int | str, bytes | None]:
        if isinstance(function, str):
            return function, None
        entry = self._functions.get(id(function))
        if entry is None:
            name = getattr(function, "__qualname__", repr(function))
            payload = _pickled(function, f"the function {name}")
            self._last_number += 1
            entry = self._functions[id(function)] = (function, self._last_number, payload)
            if len(self._functions) > wire.KEPT_FUNCTIONS:
                self._functions.popitem(last=False)
        else:
            self._functions.move_to_end(id(function))
        _, number, payload = entry
        if number in known:
            return number, None
        known[number] = None
        if len(known) > wire.KEPT_FUNCTIONS:
            del known[next(iter(known))]
        return number, payload


def _plain(values: Iterable[Any]) -> bool:
    return all(type(value) in wire.PLAIN for value in values)


def _pickled(value: Any, what: str) -> bytes:
    try:
        return bytes(cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))
    except Exception as error:
        raise NotSendable(f"{what} cannot be pickled: {error}") from error
