"""Finding functions: by name in the folders of a description, or by number once sent.

Two descriptions may each have a ``stages.py``.  Modules found in the folders of one search path
are put away when another search path comes, and taken out again when it returns, so neither is
ever taken for the other and neither is loaded twice.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any

from .wire import KEPT_FUNCTIONS, Call

__all__ = ["Functions"]


class Functions:
    """The functions this worker knows."""

    def __init__(self) -> None:
        self._modules = _Modules()
        self._by_number: dict[int, Callable[..., Any] | bytes] = {}

    def receive(self, call: Call) -> None:
        """Remember the function that comes with a call, whether or not the call is made."""
        if call.payload is not None:
            assert isinstance(call.function, int)
            self._by_number[call.function] = call.payload
            if len(self._by_number) > KEPT_FUNCTIONS:
                del self._by_number[next(iter(self._by_number))]

    def find(self, call: Call) -> Callable[..., Any]:
        """Return the function of a call, imported or unpickled if need be."""
        self._modules.look_in(call.search_path)
        if isinstance(call.function, str):
            return self._modules.function(call.function)
        function = self._by_number[call.function]
        if isinstance(function, bytes):
            function = pickle.loads(function)  # noqa: S301  (the user's own function)
            self._by_number[call.function] = function
        return function


class _Modules:
    """Modules by search path."""

    def __init__(self) -> None:
        self._base = list(sys.path)
        self._current: tuple[str, ...] = ()
        self._away: dict[tuple[str, ...], dict[str, Any]] = {}
        self._found: dict[tuple[tuple[str, ...], str], Callable[..., Any]] = {}

    def look_in(self, search_path: tuple[str, ...]) -> None:
        """From now on look in these folders first."""
        if search_path == self._current:
            return
        own = self._own_modules()
        self._away[self._current] = own
        for name in own:
            del sys.modules[name]
        self._current = search_path
        sys.path[:] = [*search_path, *(path for path in self._base if path not in search_path)]
        sys.modules.update(self._away.pop(search_path, {}))
        importlib.invalidate_caches()

    def function(self, name: str) -> Callable[..., Any]:
        """Return what ``"module:function"`` names."""
        found = self._found.get((self._current, name))
        if found is not None:
            return found
        module, _, path = name.partition(":")
        value: Any = importlib.import_module(module)
        for part in path.split("."):
            value = getattr(value, part)
        if not callable(value):
            raise TypeError(f"{name} is not a function, but of type {type(value).__name__!r}")
        self._found[self._current, name] = value
        return value  # type: ignore[no-any-return]

    def _own_modules(self) -> dict[str, Any]:
        """Return the modules found in the current folders, and all below them."""
        folders = {os.path.realpath(path) for path in self._current if path not in self._base}
        if not folders:
            return {}
        modules = dict(sys.modules)
        tops = {name for name in modules if "." not in name and _folder(modules[name]) in folders}
        return {name: modules[name] for name in modules if name.partition(".")[0] in tops}


def _folder(module: Any) -> str | None:
    """Return the folder that a module, or a package, was found in."""
    inside = getattr(module, "__path__", None)
    where = next(iter(inside), None) if inside else getattr(module, "__file__", None)
    if not isinstance(where, str):
        return None
    return os.path.realpath(os.path.dirname(where))  # noqa: PTH120  (pathlib is slow to load)
