"""Closed formulas: degrees of asynchronicity, makespans, improvement, bounds, steady state."""

from stretto.model.bounds import Bounds
from stretto.model.improvement import (
    ASYNCHRONOUS_OVERHEAD,
    FRAMEWORK_OVERHEAD,
    corrected,
    improvement,
)
from stretto.model.makespan import Masked
from stretto.model.prediction import Model, model_of
from stretto.model.steady import Steady

__all__ = [
    "ASYNCHRONOUS_OVERHEAD",
    "FRAMEWORK_OVERHEAD",
    "Bounds",
    "Masked",
    "Model",
    "Steady",
    "corrected",
    "improvement",
    "model_of",
]
