"""An autoencoder of distances: narrows to a few latent numbers, and widens again.

Layers are linear with tanh between them; the latent layer and the last one have none.  A model is
kept as plain arrays, so that reading one runs no code.  The scaling of the features belongs to the
model: a model that goes on from an earlier one keeps its scaling, or its weights would mean
something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.files import StageError, iteration_folder, read_arrays, write_arrays

__all__ = ["Model", "build", "device_of", "embed", "model_file"]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A trained autoencoder.

    Parameters
    ----------
    mean, scale
        The model sees ``(x - mean) / scale``; shapes ``(features,)`` and ``()``.
    weights
        Weight and bias of each layer, in order.
    loss
        Mean squared error of every update, in units of `scale` squared, so that 1 is
        what knowing only the mean would give; shape ``(updates,)``.
    parent
        Iteration of the model it went on from; -1 for none.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    weights: tuple[NDArray[np.float32], ...]
    loss: NDArray[np.float32]
    parent: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of the layers, from the features to the latent numbers."""
        inward = self.weights[: len(self.weights) // 2 : 2]
        return (inward[0].shape[1], *(weight.shape[0] for weight in inward))

    def write(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        weights = {f"weight-{number:03}": weight for number, weight in enumerate(self.weights)}
        own = {"mean": self.mean, "scale": self.scale, "loss": self.loss, "parent": self.parent}
        write_arrays(path, {**own, **weights})

    @classmethod
    def read(cls, path: Path) -> Model:
        """Return what `write` wrote; raise `StageError` if it is missing, damaged or not finite."""
        arrays = read_arrays(path, {"mean": 1, "scale": 0, "loss": 1, "parent": 0})
        names = sorted(name for name in arrays if name.startswith("weight-"))
        if not names or len(names) % 4 or arrays[names[0]].ndim != 2:
            raise StageError(f"{path}: expected weight and bias of each layer")
        weights = tuple(arrays[name] for name in names)
        return cls(arrays["mean"], arrays["scale"], weights, arrays["loss"], int(arrays["parent"]))


def model_file(run_dir: str | Path, iteration: int) -> Path:
    """Return where an iteration's training leaves its model."""
    return iteration_folder(run_dir, iteration) / "model.npz"


def build(sizes: Sequence[int]) -> tuple[Any, Any]:
    """Return encoder and decoder as PyTorch modules; `sizes` from the features inwards."""
    return _layers(sizes), _layers(sizes[::-1])


def device_of(gpus: float) -> str:
    """Return PyTorch's device for a task: a GPU if it was given one that PyTorch can use."""
    return "cuda" if gpus > 0 and extra("torch").cuda.is_available() else "cpu"


def embed(
    model: Model, distances_nm: NDArray[np.float32], *, cores: int, gpus: float
) -> NDArray[np.float64]:
    """Return the latent numbers of frames, shape ``(n, latent)``.

    Raises
    ------
    StageError
        If the model is of another molecule, or what it gives is not finite.
    """
    torch = extra("torch")
    if distances_nm.shape[1] != model.sizes[0]:
        raise StageError(
            f"the model expects {model.sizes[0]} distances, found {distances_nm.shape[1]}"
        )
    torch.set_num_threads(cores)
    encoder, _ = build(model.sizes)
    device = device_of(gpus)
    with torch.no_grad():
        for parameter, weight in zip(encoder.parameters(), model.weights, strict=False):
            parameter.copy_(torch.from_numpy(weight))
        scaled = torch.from_numpy((distances_nm - model.mean) / model.scale)
        latent = encoder.to(device)(scaled.to(device)).cpu().numpy().astype(np.float64)
    if not np.isfinite(latent).all():
        raise StageError("the model gives latent numbers that are not finite")
    return np.asarray(latent)


def _layers(sizes: Sequence[int]) -> Any:
    nn = extra("torch.nn")
    layers = []
    for before, behind in pairwise(sizes):
        layers += [nn.Linear(before, behind), nn.Tanh()]
    return nn.Sequential(*layers[:-1])
