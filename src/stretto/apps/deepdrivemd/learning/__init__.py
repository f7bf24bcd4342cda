"""Learning: models that embed frames, and the stage that trains them."""

from stretto.apps.deepdrivemd.learning.model import Model
from stretto.apps.deepdrivemd.learning.settings import ModelSettings
from stretto.apps.deepdrivemd.learning.training import train

__all__ = ["Model", "ModelSettings", "train"]
