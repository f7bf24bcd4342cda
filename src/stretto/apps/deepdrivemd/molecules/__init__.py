"""What is simulated: molecules that ship or are the user's, prepared once for all tasks of a run.

`prepare` makes the folder ``system/`` of a run from the section ``system`` of the configuration;
every task `load`s it.
"""

from stretto.apps.deepdrivemd.molecules.contacts import native_fraction
from stretto.apps.deepdrivemd.molecules.molecule import Molecule, load
from stretto.apps.deepdrivemd.molecules.platforms import (
    available_platforms,
    choose_platform,
    platform_properties,
)
from stretto.apps.deepdrivemd.molecules.preparation import prepare
from stretto.apps.deepdrivemd.molecules.settings import SystemSettings

__all__ = [
    "Molecule",
    "SystemSettings",
    "available_platforms",
    "choose_platform",
    "load",
    "native_fraction",
    "platform_properties",
    "prepare",
]
