"""Functions that numba compiles where it is installed, and that run as they are where it is not.

The same source serves both, so it keeps to what both read alike: whole numbers below 2**63, flat
sequences that are indexed, and named tuples of them.  `numbers` makes such a sequence: an array for
compiled code, a list, which Python indexes faster, for code that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableSequence
from typing import Any, TypeVar, cast

import numpy as np

try:
    from numba import config, njit
except ImportError:
    COMPILES = False
else:
    COMPILES = not config.DISABLE_JIT

__all__ = ["COMPILES", "Ints", "jit", "kept", "numbers"]

Function = TypeVar("Function", bound=Callable[..., Any])

Ints = MutableSequence[int]


def jit(function: Function) -> Function:
    """Return the function compiled when it is first called, for calls from compiled ones."""
    return cast("Function", njit(function)) if COMPILES else function


def kept(function: Function) -> Function:
    """Return the function compiled when it is first called, and kept on disk for other processes.

    It is kept beside its source, or else in the user's cache; where neither can be written it is
    compiled anew in every process.
    """
    if not COMPILES:
        return function
    try:
        return cast("Function", njit(cache=True)(function))
    except RuntimeError:  # there is no place to keep it
        return jit(function)


def numbers(values: Iterable[int]) -> Ints:
    """Return whole numbers in the form that compiled functions take."""
    if not COMPILES:
        return [int(value) for value in values]
    return cast("Ints", np.array(list(values), dtype=np.int64))
