"""The frames that an inference looked at, as its model saw them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.files import StageError, read_arrays

__all__ = ["Embedding"]

_DIMENSIONS = {"embedding": 2, "frames": 2, "chosen": 1}


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What ``latent.npz`` holds.

    Parameters
    ----------
    latent
        Of each frame, shape ``(n, latent)``.
    frames
        Iteration, simulation and frame of each, shape ``(n, 3)``.
    chosen
        Rows of those that were chosen.
    """

    latent: NDArray[np.float64]
    frames: NDArray[np.int64]
    chosen: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what inference left.

        Raises
        ------
        StageError
            If the file is damaged, or its arrays do not fit together; names it.
        """
        arrays = read_arrays(path, _DIMENSIONS)
        latent, frames, chosen = (arrays[name] for name in _DIMENSIONS)
        whole = frames.dtype.kind in "iu" and chosen.dtype.kind in "iu"
        if not whole or frames.shape != (len(latent), 3) or not latent.size:
            raise StageError(f"{path}: expected a frame's name for each row of embedding")
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(latent):
            raise StageError(f"{path}: chosen has rows that are not there")
        return cls(latent.astype(np.float64), frames.astype(np.int64), chosen.astype(np.int64))

    def plane(self) -> NDArray[np.float64]:
        """Return the frames in the plane in which they differ most, shape ``(n, 2)``.

        The first two principal components, signs chosen so that the farthest frame is positive; one
        latent number has nothing beside it and stays alone.
        """
        centred = self.latent - self.latent.mean(axis=0)
        if centred.shape[1] == 1:
            return np.hstack([centred, np.zeros_like(centred)])
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        found = np.zeros((len(centred), 2))
        projected = centred @ axes[:2].T
        found[:, : projected.shape[1]] = projected
        farthest = found[np.abs(found).argmax(axis=0), np.arange(2)]
        return found * np.where(farthest < 0, -1.0, 1.0)
