"""Internal coordinates of frames: distances between atoms, and torsions.

Both are blind to how the molecule lies in space, so frames need no superposition.  A torsion is
computed by ``atan2``, which keeps its sign and stays exact near 0 and 180 degrees.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["pair_distances", "torsions"]


def pair_distances(
    positions: NDArray[np.floating], atoms: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Return the distances of all pairs of `atoms`.

    Parameters
    ----------
    positions
        Shape ``(frames, n_atoms, 3)``.
    atoms
        Indices, shape ``(m,)``.

    Returns
    -------
    NDArray
        Shape ``(frames, m * (m - 1) / 2)``, in the unit of `positions`; pairs in the order (0, 1),
        (0, 2), …, (1, 2), ….
    """
    first, second = np.triu_indices(len(atoms), k=1)
    vectors = positions[:, atoms[second]] - positions[:, atoms[first]]
    return np.asarray(np.linalg.norm(vectors, axis=-1), dtype=np.float32)


def torsions(positions: NDArray[np.floating], atoms: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return torsion angles in radians, from -pi to pi, by the IUPAC sign.

    Parameters
    ----------
    positions
        Shape ``(frames, n_atoms, 3)``.
    atoms
        Four indices for each torsion, shape ``(m, 4)``.

    Returns
    -------
    NDArray
        Shape ``(frames, m)``.
    """
    corners = positions[:, atoms].astype(np.float64)
    before, axis, behind = np.moveaxis(np.diff(corners, axis=2), 2, 0)
    first, second = np.cross(before, axis), np.cross(axis, behind)
    sine = np.linalg.norm(axis, axis=-1) * np.sum(before * second, axis=-1)
    cosine = np.sum(first * second, axis=-1)
    return np.asarray(np.arctan2(sine, cosine))
