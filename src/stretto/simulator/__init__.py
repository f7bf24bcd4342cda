"""The simulator: the runtime's own scheduler on a virtual clock."""

from stretto.simulator.simulation import simulate
from stretto.simulator.world import DrawnWorld, Overheads, World, drawn_durations_us

__all__ = ["DrawnWorld", "Overheads", "World", "drawn_durations_us", "simulate"]
