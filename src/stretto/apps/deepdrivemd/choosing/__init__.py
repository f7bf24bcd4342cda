"""Choosing: where the next simulations start, and whether the loop has converged."""

from stretto.apps.deepdrivemd.choosing.inference import infer
from stretto.apps.deepdrivemd.choosing.settings import InferenceSettings, UntilSettings

__all__ = ["InferenceSettings", "UntilSettings", "infer"]
