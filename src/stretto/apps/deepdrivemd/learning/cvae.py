"""A convolutional variational autoencoder of contact maps, as DeepDriveMD uses one.

A map of r by r cells, each 0 or 1, is padded with zeros until every convolution can halve it.  The
encoder gives a mean and a variance for each latent number, the decoder the log-odds of each cell.
The loss of a frame is the negative evidence lower bound in nats,

    cross entropy, summed over the r by r cells  +  beta * KL(encoder's normal || standard normal)

with beta = 1 the bound itself (Kingma and Welling 2014), above it a latent space that is smoother
and tells less (Higgins et al. 2017).  Frames are embedded as the means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.learning.settings import ModelSettings

__all__ = ["embedded", "fits", "loss", "network", "scaled", "scaling"]

MOST_LOG_VARIANCE = 20.0
"""Limit on the encoder's log-variance: e to the 20 is wider than anything that is of use."""


def fits(shape: tuple[int, ...]) -> bool:
    """Return whether a frame is a square map."""
    return len(shape) == 2 and shape[0] == shape[1] > 0


def scaling(features: NDArray[Any]) -> dict[str, NDArray[np.float32]]:  # noqa: ARG001 -- as all models
    """Return nothing: contacts are there or not."""
    return {}


def network(shape: tuple[int, ...], settings: ModelSettings) -> Any:
    """Return encoder, the two layers behind it, and decoder."""
    nn = extra("torch.nn")
    halvings = 2 ** len(settings.filters)
    narrow = -(-shape[0] // halvings)
    deepest = settings.filters[-1]
    cells = deepest * narrow * narrow
    padding = narrow * halvings - shape[0]
    encoder: list[Any] = [nn.ZeroPad2d((0, padding, 0, padding))]
    for before, behind in zip((1, *settings.filters), settings.filters, strict=False):
        encoder += [nn.Conv2d(before, behind, 3, stride=2, padding=1), nn.ReLU()]
    encoder += [nn.Flatten(), nn.Linear(cells, settings.dense), nn.ReLU()]
    decoder: list[Any] = [nn.Linear(settings.latent, settings.dense), nn.ReLU()]
    decoder += [nn.Linear(settings.dense, cells), nn.Unflatten(1, (deepest, narrow, narrow))]
    outward = settings.filters[::-1]
    for before, behind in zip(outward, (*outward[1:], 1), strict=True):
        decoder += [nn.ReLU(), nn.ConvTranspose2d(before, behind, 4, stride=2, padding=1)]
    decoder.append(nn.ZeroPad2d((0, -padding, 0, -padding)))
    return nn.ModuleDict(
        {
            "encoder": nn.Sequential(*encoder),
            "mean": nn.Linear(settings.dense, settings.latent),
            "log_variance": nn.Linear(settings.dense, settings.latent),
            "decoder": nn.Sequential(*decoder),
        }
    )


def scaled(batch: Any, scaling: Mapping[str, Any]) -> Any:  # noqa: ARG001 -- as all models
    """Return maps of one channel."""
    return batch.float().unsqueeze(1)


def loss(network: Any, scaled: Any, settings: ModelSettings, noise: Any) -> Any:
    """Return cross entropy and weighted divergence, in nats a frame."""
    torch = extra("torch")
    inner = network["encoder"](scaled)
    mean = network["mean"](inner)
    log_variance = network["log_variance"](inner).clamp(max=MOST_LOG_VARIANCE)
    normal = torch.randn(mean.shape, generator=noise, device=mean.device)
    decoded = network["decoder"](mean + normal * torch.exp(0.5 * log_variance))
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(decoded, scaled, reduction="sum")
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
    return (entropy + settings.beta * divergence) / len(scaled)


def embedded(network: Any, scaled: Any) -> Any:
    """Return the means."""
    return network["mean"](network["encoder"](scaled))
