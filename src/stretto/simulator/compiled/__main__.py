"""``python -m stretto.simulator.compiled``: compile the kernel, so that no simulation has to."""

from __future__ import annotations

import sys
import time

import numpy as np

from stretto.compiling import COMPILES
from stretto.platform import Node, Overheads
from stretto.resources import Resources
from stretto.scheduler import GatedSet
from stretto.simulator.compiled.boards import board_of, ordered, played


def main() -> None:
    """Play one task, which compiles everything unless it was kept."""
    if not COMPILES:
        sys.exit("there is no compiler; install stretto[fast]")
    began = time.perf_counter()
    sets = (GatedSet("one", Resources(), 0, 1),)
    nodes = (Node("n", 1, 0, 0),)
    board = board_of(sets, nodes, Overheads())
    played(ordered(board, [0], strict=False), np.zeros(1, dtype=np.int64))
    print(f"ready after {time.perf_counter() - began:.1f} s")  # noqa: T201 - it is a program


main()
