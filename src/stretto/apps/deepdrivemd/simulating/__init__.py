"""Simulating: from a start to the frames of a simulation and the record of where they came from."""

from stretto.apps.deepdrivemd.simulating.records import Record
from stretto.apps.deepdrivemd.simulating.settings import SimulationSettings
from stretto.apps.deepdrivemd.simulating.simulation import simulate

__all__ = ["Record", "SimulationSettings", "simulate"]
