"""Adaptive mode: what is learned while a run is on, and what is changed because of it."""

from stretto.scheduler.adaptive.mind import Mind
from stretto.scheduler.adaptive.outline import outline_of

__all__ = ["Mind", "outline_of"]
