"""A frame's name, and where it came from.

A frame is known by three numbers: iteration, simulation, and its place in that trajectory, all from
0.  A simulation's *parent* is the frame it started from, so that any frame can be followed back,
parent by parent, to a simulation that started from the structure the run began with.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["NO_FRAME", "Frame"]


class Frame(NamedTuple):
    """A frame's name in a run."""

    iteration: int
    simulation: int
    frame: int


NO_FRAME = Frame(-1, -1, -1)
"""The parent of a simulation that started from the structure the run began with."""
