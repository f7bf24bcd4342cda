"""Functions that numba compiles where it is installed, and that run as they are where it is not.

This is the one place that knows the compiler.  Importing it takes long: import this where something
is to be compiled, and not before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

try:
    from numba import config, njit
except ImportError:
    COMPILES = False
else:
    COMPILES = not config.DISABLE_JIT

__all__ = ["COMPILES", "is_kept", "jit", "kept"]

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Return the function compiled when it is first called, for calls from compiled ones."""
    compiled: Function = njit(function) if COMPILES else function
    return compiled


def kept(function: Function) -> Function:
    """Return the function compiled when it is first called, and kept on disk for other processes.

    It is kept beside its source, or else in the user's cache; where neither can be written it is
    compiled anew in every process.
    """
    if not COMPILES:
        return function
    try:
        compiled: Function = njit(cache=True)(function)
    except RuntimeError:  # there is no place to keep it
        compiled = njit(function)
    return compiled


def is_kept(function: Callable[..., Any]) -> bool:
    """Return whether what `kept` made has been compiled, here or by another process before."""
    if getattr(function, "signatures", ()):
        return True
    path = getattr(getattr(function, "stats", None), "cache_path", None)
    if path is None:
        return False
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    return any(Path(path).glob(f"*.{function.__name__}-*.{python}*.nbi"))
