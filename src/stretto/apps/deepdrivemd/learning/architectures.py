"""The models that there are, and what a model has to be able to do.

A new one is a file with the functions of `Architecture`, a line in `ARCHITECTURES`, and a kind in
`ModelSettings`.  Training, embedding, saving and reading are the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.learning import autoencoder, cvae
from stretto.apps.deepdrivemd.learning.settings import ModelSettings

__all__ = ["ARCHITECTURES", "Architecture", "Arrays"]

Arrays = Mapping[str, NDArray[np.float32]]


class Architecture(Protocol):
    """A kind of model.  Networks and tensors are PyTorch's; a batch has a row for each frame."""

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether it can learn features of this shape a frame."""

    def scaling(self, features: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Return what features are scaled by, taken from those of the first training."""

    def network(self, shape: tuple[int, ...], settings: ModelSettings) -> Any:
        """Return a module with fresh weights from PyTorch's own generator."""

    def scaled(self, batch: Any, scaling: Mapping[str, Any]) -> Any:
        """Return raw features as the network sees them."""

    def loss(self, network: Any, scaled: Any, settings: ModelSettings, noise: Any) -> Any:
        """Return the mean loss of a frame; `noise` is a generator on the batch's device."""

    def embedded(self, network: Any, scaled: Any) -> Any:
        """Return the latent numbers, without chance."""


ARCHITECTURES: Mapping[str, Architecture] = {"autoencoder": autoencoder, "cvae": cvae}
