"""Nodes and allocations: what a workflow is placed on."""

from stretto.platform.local import local_cores, local_gpus, local_memory_mib, local_platform
from stretto.platform.nodes import Node, Platform, check_fits, ranks_on
from stretto.platform.outages import Outage, checked_outages
from stretto.platform.overheads import Overheads
from stretto.platform.presets import PRESETS, Preset, preset_platform
from stretto.platform.reading import platform_for, platform_named, read_platform
from stretto.platform.slots import Placement, Slot, bits

__all__ = [
    "PRESETS",
    "Node",
    "Outage",
    "Overheads",
    "Placement",
    "Platform",
    "Preset",
    "Slot",
    "bits",
    "check_fits",
    "checked_outages",
    "local_cores",
    "local_gpus",
    "local_memory_mib",
    "local_platform",
    "platform_for",
    "platform_named",
    "preset_platform",
    "ranks_on",
    "read_platform",
]
