"""A model: its weights with all that it takes to use them, in one file.

The file holds plain tensors and settings, so that reading one runs no code.  The scaling of the
features belongs to the model: one that goes on from an earlier one keeps its scaling, or its
weights would mean something else.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto import StrettoError
from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.files import StageError, drafted
from stretto.apps.deepdrivemd.learning.architectures import ARCHITECTURES, Architecture, Arrays
from stretto.apps.deepdrivemd.learning.settings import ModelSettings

__all__ = ["Model", "device_of"]

VERSION = 1
ROWS_AT_ONCE = 512
"""Frames that are embedded at once, which bounds the memory it takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A trained model.

    Parameters
    ----------
    settings
        What it was made with.
    features, shape
        Kind of the features, as blocks name it, and their shape a frame.
    scaling, weights
        By name.
    iteration, parent
        In which its weights were learned, and that of the model they went on from, or `None`.
    """

    settings: ModelSettings
    features: str
    shape: tuple[int, ...]
    scaling: Arrays
    weights: Arrays
    iteration: int
    parent: int | None

    @property
    def architecture(self) -> Architecture:
        """The functions of its kind."""
        return ARCHITECTURES[self.settings.kind]

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        torch = extra("torch")
        values = {
            "version": VERSION,
            "settings": self.settings.model_dump(mode="json"),
            "features": self.features,
            "shape": list(self.shape),
            "scaling": _tensors(self.scaling),
            "weights": _tensors(self.weights),
            "iteration": self.iteration,
            "parent": self.parent,
        }
        with drafted(path) as draft:
            torch.save(values, draft)

    @classmethod
    def load(cls, path: Path) -> Model:
        """Return what `save` wrote; raise `StageError` if missing, damaged or not finite."""
        if not path.exists():
            raise StageError(f"{path}: no such file; the training that writes it has not run")
        try:
            # PyTorch reads over damage that the checksums of its archive would show.
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged is not None:
                raise StageError(f"{path}: damaged, or not a model ({damaged})")
            values = extra("torch").load(path, map_location="cpu", weights_only=True)
            if values["version"] != VERSION:
                raise StageError(
                    f"{path}: expected version {VERSION} of a model, found {values['version']}"
                )
            model = cls(
                ModelSettings.of(values["settings"], section="model"),
                str(values["features"]),
                tuple(int(size) for size in values["shape"]),
                _arrays(values["scaling"]),
                _arrays(values["weights"]),
                int(values["iteration"]),
                None if values["parent"] is None else int(values["parent"]),
            )
        except StageError:
            raise
        except (*_UNREADABLE, StrettoError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise StageError(f"{path}: damaged, or not a model ({reason})") from None
        for name, array in {**model.scaling, **model.weights}.items():
            if not np.isfinite(array).all():
                raise StageError(f"{path}: {name} has numbers that are not finite")
        try:
            model.network()
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise StageError(f"{path}: its weights do not fit its settings ({reason})") from None
        return model

    def network(self) -> Any:
        """Return its network as PyTorch has it, on the CPU."""
        torch = extra("torch")
        # Fresh weights are drawn and thrown away: not from the generator that others use.
        with torch.random.fork_rng(devices=[]):
            network = self.architecture.network(self.shape, self.settings)
        network.load_state_dict(_tensors(self.weights))
        return network

    def check(self, block: Block) -> None:
        """Raise `StageError` if the frames of a block are not what it was trained on."""
        shape = block.features.shape[1:]
        if block.kind != self.features or shape != self.shape:
            raise StageError(
                f"the model of iteration {self.iteration} expects {self.features} {self.shape}, "
                f"found {block.kind} {shape}"
            )

    def embed(self, block: Block, *, cores: int, gpus: float) -> NDArray[np.float64]:
        """Return the latent numbers of frames, shape ``(n, latent)``.

        Raises
        ------
        StageError
            If the frames are not what it was trained on, or what it gives is not finite.
        """
        torch = extra("torch")
        self.check(block)
        torch.set_num_threads(cores)
        device = device_of(gpus)
        network = self.network().to(device)
        scaling = {name: tensor.to(device) for name, tensor in _tensors(self.scaling).items()}
        parts = []
        with torch.no_grad():
            for begin in range(0, len(block), ROWS_AT_ONCE):
                raw = torch.from_numpy(block.features[begin : begin + ROWS_AT_ONCE]).to(device)
                scaled = self.architecture.scaled(raw, scaling)
                parts.append(self.architecture.embedded(network, scaled).cpu().numpy())
        latent = np.concatenate(parts).astype(np.float64)
        if not np.isfinite(latent).all():
            raise StageError(
                f"the model of iteration {self.iteration} gives latent numbers that are not finite"
            )
        return latent


_UNREADABLE = (
    AttributeError,
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
)


def device_of(gpus: float) -> str:
    """Return PyTorch's device for a task: a GPU if it was given one that PyTorch can use."""
    return "cuda" if gpus > 0 and extra("torch").cuda.is_available() else "cpu"


def _tensors(arrays: Arrays) -> dict[str, Any]:
    torch = extra("torch")
    return {name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()}


def _arrays(tensors: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    return {str(name): tensor.numpy() for name, tensor in tensors.items()}
