"""DeepDriveMD on alanine dipeptide: simulate, aggregate, train, infer, and again.

The stages are plain functions.  They know nothing of the engine and meet only in files below the
run directory, named by iteration and task and written whole or not at all:

``data/iteration-000/simulation-000.npz``
    frames, energies and lineage of a simulation (see `trajectory`)
``data/iteration-000/features.npz``
    the frames of an iteration as features (see `features`)
``data/iteration-000/model.npz``
    weights of the autoencoder and its loss curve (see `autoencoder`)
``data/iteration-000/inference.npz``, ``inference.json``
    starting frames of the next simulations with their lineage, and a summary (see `inference`)

They need OpenMM, PyTorch and scikit-learn, ``stretto[deepdrivemd]``; importing this package does
not.
"""

from stretto.apps.deepdrivemd.aggregation import aggregate
from stretto.apps.deepdrivemd.coverage import IterationCoverage, coverage
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.inference import infer
from stretto.apps.deepdrivemd.simulation import simulate
from stretto.apps.deepdrivemd.training import train

__all__ = [
    "IterationCoverage",
    "StageError",
    "aggregate",
    "coverage",
    "infer",
    "simulate",
    "train",
]
