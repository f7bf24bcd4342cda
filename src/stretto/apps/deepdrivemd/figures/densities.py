"""Where the frames of each iteration lie, and which of them were chosen.

In the (phi, psi) plane where a molecule has few residues; else in the plane of an inference's
latent space in which its frames differ most, which is another one in each iteration; else, of a
molecule with many residues and without a model, all residues in one (phi, psi) plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.figures.cells import few_residues
from stretto.apps.deepdrivemd.figures.runs import RunFiles

__all__ = ["Density", "densities"]

MOST_PANELS = 8
"""Of more iterations so many are shown, evenly spaced, first and last among them."""


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """The frames of an iteration in a plane.

    Parameters
    ----------
    iteration
        Whose.
    points
        Of the frames, shape ``(n, 2)``; angles in degrees.
    chosen
        Of those that its inference chose, shape ``(m, 2)``.
    torsions
        Whether the plane is that of phi and psi.
    n_frames, n_chosen
        How many frames, and how many chosen frames, that is.
    """

    iteration: int
    points: NDArray[np.float64]
    chosen: NDArray[np.float64]
    torsions: bool
    n_frames: int
    n_chosen: int


def densities(run: RunFiles) -> list[Density]:
    """Return the iterations that a figure shows, in order; none where there is no plane."""
    seen = run.seen
    torsions = seen is not None and seen.phi_psi_rad.shape[1] > 0
    if few_residues(run) or (torsions and not run.embeddings):
        assert seen is not None
        return [_of_torsions(run, one) for one in _shown(np.unique(seen.frames[:, 0]).tolist())]
    return [_of_latent(run, one) for one in _shown(sorted(run.embeddings))]


def _shown(iterations: list[int]) -> list[int]:
    if len(iterations) <= MOST_PANELS:
        return iterations
    places = np.linspace(0, len(iterations) - 1, MOST_PANELS).round().astype(int)
    return [iterations[place] for place in places.tolist()]


def _of_torsions(run: RunFiles, iteration: int) -> Density:
    seen = run.seen
    assert seen is not None
    own = seen.phi_psi_rad[seen.frames[:, 0] == iteration]
    choice = run.choices.get(iteration)
    wanted = [] if choice is None else [one.frame for one in choice.starts]
    rows = [np.flatnonzero((seen.frames == frame).all(axis=1))[:1] for frame in wanted]
    chosen = seen.phi_psi_rad[np.concatenate(rows)] if rows else seen.phi_psi_rad[:0]
    return Density(
        iteration=iteration,
        points=np.degrees(own.reshape(-1, 2), dtype=np.float64),
        chosen=np.degrees(chosen.reshape(-1, 2), dtype=np.float64),
        torsions=True,
        n_frames=len(own),
        n_chosen=len(chosen),
    )


def _of_latent(run: RunFiles, iteration: int) -> Density:
    embedding = run.embeddings[iteration]
    plane = embedding.plane()
    return Density(
        iteration=iteration,
        points=plane,
        chosen=plane[embedding.chosen],
        torsions=False,
        n_frames=len(plane),
        n_chosen=len(embedding.chosen),
    )
