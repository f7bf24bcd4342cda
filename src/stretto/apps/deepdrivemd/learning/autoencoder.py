"""An autoencoder of plain layers: narrows to a few latent numbers, and widens again.

For distances and dihedrals, and whatever else is a row of numbers.  Layers are linear with tanh
between them; the latent layer and the last one have none.  The loss is the mean squared error, in
units of the scale squared, so that 1 is what knowing only the mean would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.learning.settings import ModelSettings

__all__ = ["embedded", "fits", "loss", "network", "scaled", "scaling"]

LEAST_SCALE = 1e-4
"""Least spread of the features; frames that differ by less are one frame and rounding."""


def fits(shape: tuple[int, ...]) -> bool:
    """Return whether a frame is more than nothing; maps are taken as rows."""
    return bool(shape) and min(shape) > 0


def scaling(features: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """Return the mean of each feature, and one scale for all.

    A bond's length is as good as fixed, and scaled up by its own spread it would count as much as a
    distance that tells one shape from another.
    """
    flat = features.reshape(len(features), -1)
    scale = max(float(np.sqrt(flat.var(axis=0, dtype=np.float64).mean())), LEAST_SCALE)
    mean = flat.mean(axis=0, dtype=np.float64)
    return {"mean": mean.astype(np.float32), "scale": np.array(scale, dtype=np.float32)}


def network(shape: tuple[int, ...], settings: ModelSettings) -> Any:
    """Return encoder and decoder."""
    sizes = (int(np.prod(shape)), *settings.widths, settings.latent)
    return extra("torch.nn").ModuleDict(
        {"encoder": _layers(sizes), "decoder": _layers(sizes[::-1])}
    )


def scaled(batch: Any, scaling: Mapping[str, Any]) -> Any:
    """Return rows whose mean is about 0 and whose spread is about 1."""
    return (batch.flatten(1).float() - scaling["mean"]) / scaling["scale"]


def loss(network: Any, scaled: Any, settings: ModelSettings, noise: Any) -> Any:  # noqa: ARG001 -- as all models
    """Return the mean squared error."""
    decoded = network["decoder"](network["encoder"](scaled))
    return extra("torch.nn.functional").mse_loss(decoded, scaled)


def embedded(network: Any, scaled: Any) -> Any:
    """Return what the encoder says."""
    return network["encoder"](scaled)


def _layers(sizes: Sequence[int]) -> Any:
    nn = extra("torch.nn")
    layers = []
    for before, behind in pairwise(sizes):
        layers += [nn.Linear(before, behind), nn.Tanh()]
    return nn.Sequential(*layers[:-1])
