"""Completing a call: parameters that no argument fills may be filled by the task's fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .wire import KEPT_FUNCTIONS

__all__ = ["Signatures"]

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class _Parameters(NamedTuple):
    """The parameters of one function: in order, by name, and those without a default."""

    positional: tuple[str, ...]
    named: tuple[str, ...]
    required: tuple[str, ...]


class Signatures:
    """Completes arguments; each function's signature is looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Callable[..., Any], _Parameters | None]] = {}

    def complete(
        self,
        function: Callable[..., Any],
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
        fields: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return the keyword arguments, completed from `fields`.

        Raises
        ------
        TypeError
            If a parameter has no default and neither an argument nor a field fills it.
        """
        args, kwargs = arguments
        parameters = self._parameters(function)
        if parameters is None:
            return kwargs
        given = {*parameters.positional[: len(args)], *kwargs}
        complete = dict(kwargs)
        for name in parameters.named:
            if name not in given and name in fields:
                complete[name] = fields[name]
        for name in parameters.required:
            if name not in given and name not in complete:
                called = getattr(function, "__qualname__", repr(function))
                known = f"; the fields are {', '.join(fields)}" if fields else ""
                raise TypeError(
                    f"{called}() has a parameter {name!r} that no argument fills{known}"
                )
        return complete

    def _parameters(self, function: Callable[..., Any]) -> _Parameters | None:
        known = self._known.get(id(function))
        # The function is kept with its entry, so its number cannot have passed to another.
        if known is None:
            if len(self._known) >= KEPT_FUNCTIONS:
                self._known.clear()
            known = self._known[id(function)] = (function, _look_at(function))
        return known[1]


def _look_at(function: Callable[..., Any]) -> _Parameters | None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins have none
        return None
    return _Parameters(
        positional=tuple(each.name for each in parameters if each.kind in _POSITIONAL),
        named=tuple(each.name for each in parameters if each.kind in _NAMED),
        required=tuple(
            each.name
            for each in parameters
            if each.default is each.empty and (each.kind in _NAMED or each.kind in _POSITIONAL)
        ),
    )
