"""The simulator: the runtime's own scheduler on a virtual clock."""

from stretto.simulator.simulation import Makespans, Simulator, simulate
from stretto.simulator.world import DrawnWorld, World

__all__ = ["DrawnWorld", "Makespans", "Simulator", "World", "simulate"]
