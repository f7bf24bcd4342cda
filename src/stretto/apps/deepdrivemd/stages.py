"""The shipped stages with all their libraries loaded: what worker processes import.

OpenMM, PyTorch and the rest take seconds to load.  A worker loads them here, before its first task
starts, and not in the middle of the first task that needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import h5py
import mdtraj
import openmm
import sklearn.neighbors
import torch
import torch._dynamo  # the first optimizer would load it

from stretto.apps.deepdrivemd import choosing, learning
from stretto.apps.deepdrivemd.aggregating import aggregate, remade
from stretto.apps.deepdrivemd.aggregating.settings import AggregationSettings
from stretto.apps.deepdrivemd.gathering import Remake
from stretto.apps.deepdrivemd.simulating import simulate

__all__ = ["aggregate", "infer", "libraries", "simulate", "train"]

libraries = {
    "h5py": h5py.__version__,
    "mdtraj": mdtraj.__version__,
    "openmm": openmm.version.short_version,
    "scikit-learn": sklearn.__version__,
    "torch": torch.__version__,
}
"""Versions in use, by name."""


def train(
    *,
    iteration: int,
    seed: int,
    attempt: int,
    run_dir: str,
    inputs: Mapping[str, int | None],
    cores: int,
    gpus: float,
    settings: Mapping[str, Any],
    first: int,
    simulations: int,
    blocks: int,
    retries: int,
    aggregation: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Train the model of an iteration, see `learning.train`; lost blocks are made again."""
    return learning.train(
        iteration=iteration,
        seed=seed,
        attempt=attempt,
        run_dir=run_dir,
        inputs=inputs,
        cores=cores,
        gpus=gpus,
        settings=settings,
        first=first,
        blocks=blocks,
        retries=retries,
        remake=_remake(run_dir, aggregation, simulations, blocks),
    )


def infer(
    *,
    iteration: int,
    seed: int,
    run_dir: str,
    inputs: Mapping[str, int | None],
    cores: int,
    gpus: float,
    settings: Mapping[str, Any],
    first: int,
    simulations: int,
    blocks: int,
    aggregation: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Choose the next starts, see `choosing.infer`; lost blocks are made again."""
    return choosing.infer(
        iteration=iteration,
        seed=seed,
        run_dir=run_dir,
        inputs=inputs,
        cores=cores,
        gpus=gpus,
        settings=settings,
        first=first,
        simulations=simulations,
        blocks=blocks,
        remake=_remake(run_dir, aggregation, simulations, blocks),
    )


def _remake(
    run_dir: str, aggregation: Mapping[str, Any] | None, simulations: int, blocks: int
) -> Remake | None:
    if aggregation is None:
        return None
    settings = AggregationSettings.of(aggregation, section="aggregation")
    return partial(remade, run_dir, settings=settings, simulations=simulations, blocks=blocks)
