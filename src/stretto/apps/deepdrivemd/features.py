"""Features of frames: what the model sees, and phi and psi, which only reports see.

The model sees the distances between all heavy atoms, which need no knowledge of what matters in
the molecule.  Phi and psi are kept beside them to show where the frames lie.

What a model is trained on stays bounded however long the loop runs: iterations share the limit
equally, and an iteration with more frames than its share gives evenly spaced ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.files import StageError, iteration_folder, read_arrays, write_arrays

__all__ = ["Features", "features_file", "features_until", "joined"]

_DIMENSIONS = {"distances_nm": 2, "phi_psi_rad": 2, "frames": 2}


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Frames as features, a row each.

    Parameters
    ----------
    distances_nm
        Distances of all pairs of heavy atoms, shape ``(n, pairs)``, float32.
    phi_psi_rad
        Shape ``(n, 2)``.
    frames
        Iteration, task and frame of each row, shape ``(n, 3)``.
    """

    distances_nm: NDArray[np.float32]
    phi_psi_rad: NDArray[np.float64]
    frames: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frames)

    def thinned(self, most: int) -> Features:
        """Return at most `most` of the rows, evenly spaced."""
        if len(self) <= most:
            return self
        rows = np.linspace(0, len(self) - 1, most).round().astype(np.int64)
        return Features(self.distances_nm[rows], self.phi_psi_rad[rows], self.frames[rows])

    def write(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        write_arrays(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Features:
        """Return what `write` wrote; raise `StageError` if it is missing, damaged or not finite."""
        arrays = read_arrays(path, _DIMENSIONS)
        features = cls(**{name: arrays[name] for name in _DIMENSIONS})
        n_rows = len(features)
        if not n_rows or any(len(arrays[name]) != n_rows for name in _DIMENSIONS):
            raise StageError(f"{path}: expected a row for each frame in all arrays")
        return features


def features_file(run_dir: str | Path, iteration: int) -> Path:
    """Return where an iteration's aggregation leaves its features."""
    return iteration_folder(run_dir, iteration) / "features.npz"


def joined(parts: Sequence[Features]) -> Features:
    """Return the rows of all parts, one part after another."""
    return Features(
        np.concatenate([part.distances_nm for part in parts]),
        np.concatenate([part.phi_psi_rad for part in parts]),
        np.concatenate([part.frames for part in parts]),
    )


def features_until(run_dir: str | Path, iteration: int, *, most_frames: int) -> Features:
    """Return the features of iterations up to and with `iteration`, at most `most_frames` rows.

    Raises
    ------
    StageError
        If the file of one of them is missing or damaged, or they are of different molecules.
    """
    iterations = range(max(0, iteration + 1 - most_frames), iteration + 1)
    share = most_frames // len(iterations)
    parts: list[Features] = []
    for number in iterations:
        path = features_file(run_dir, number)
        part = Features.read(path)
        if parts and part.distances_nm.shape[1] != parts[0].distances_nm.shape[1]:
            raise StageError(f"{path}: has other distances than the iterations before")
        parts.append(part.thinned(share))
    return joined(parts)
