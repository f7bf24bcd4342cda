"""The configuration: its sections, its file, and what a command may ask of it."""

from stretto.apps.deepdrivemd.configuring.configuration import (
    SECTION_OF,
    Configuration,
    LoopSettings,
)
from stretto.apps.deepdrivemd.configuring.stages import Needs, Stage

__all__ = ["SECTION_OF", "Configuration", "LoopSettings", "Needs", "Stage"]
