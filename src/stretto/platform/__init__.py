"""Nodes and allocations: what a workflow is placed on."""

from stretto.platform.nodes import Node, Platform, check_fits, ranks_on
from stretto.platform.slots import Placement, Slot, bits

__all__ = ["Node", "Placement", "Platform", "Slot", "bits", "check_fits", "ranks_on"]
