"""Whole numbers for functions that are compiled where numba is installed, and run as they are else.

The same source serves both, so it keeps to what both read alike: whole numbers below 2**63, flat
sequences that are indexed, and named tuples of them.  `numbers` makes such a sequence: an array for
compiled code, a list, which Python indexes faster, for code that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence
from typing import cast

import numpy as np

from stretto.compiling import COMPILES

__all__ = ["Ints", "numbers"]

Ints = MutableSequence[int]


def numbers(values: Iterable[int]) -> Ints:
    """Return whole numbers in the form that compiled functions take."""
    if not COMPILES:
        return [int(value) for value in values]
    return cast("Ints", np.array(list(values), dtype=np.int64))
