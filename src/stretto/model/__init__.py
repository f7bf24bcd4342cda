"""Closed formulas: degrees of asynchronicity, makespans, improvement, bounds."""

from stretto.model.bounds import Bounds
from stretto.model.improvement import (
    ASYNCHRONOUS_OVERHEAD,
    FRAMEWORK_OVERHEAD,
    corrected,
    improvement,
)
from stretto.model.makespan import Masked
from stretto.model.prediction import Model, model_of

__all__ = [
    "ASYNCHRONOUS_OVERHEAD",
    "FRAMEWORK_OVERHEAD",
    "Bounds",
    "Masked",
    "Model",
    "corrected",
    "improvement",
    "model_of",
]
