"""The stages with all their libraries loaded: what worker processes import.

PyTorch, scikit-learn and OpenMM take seconds to load.  A worker loads them here, before its first
task starts, and not in the middle of the first task that needs them.
"""

import openmm
import sklearn.neighbors
import torch
import torch._dynamo  # the first optimizer would load it

from stretto.apps.deepdrivemd import aggregate, infer, simulate, train

__all__ = ["aggregate", "infer", "libraries", "simulate", "train"]

libraries = {
    "openmm": openmm.version.short_version,
    "scikit-learn": sklearn.__version__,
    "torch": torch.__version__,
}
"""Versions in use, by name."""
