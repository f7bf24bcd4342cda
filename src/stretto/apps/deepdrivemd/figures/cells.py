"""Coverage: which cells of a space the frames of a run have visited.

====================  =============================================================================
space                 cells
====================  =============================================================================
``torsions``          of phi and psi, `TORSION_BINS` along each, of every residue; where there are
                      at most `MOST_RESIDUES` with both
``nearness``          of RMSD from the reference and share of native contacts
``latent``            of the newest model's latent space, `LATENT_WIDTH` standard deviations wide
                      along each number; each run has its own, so runs cannot be compared
====================  =============================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.figures.runs import RunFiles

__all__ = [
    "LATENT_WIDTH",
    "MOST_RESIDUES",
    "NATIVE_WIDTH",
    "RMSD_WIDTH_NM",
    "TORSION_BINS",
    "Visits",
    "few_residues",
    "space_of",
    "visits",
]

TORSION_BINS = 12
"""Cells along phi and along psi, of 30 degrees each."""
MOST_RESIDUES = 3
RMSD_WIDTH_NM = 0.05
NATIVE_WIDTH = 0.05
LATENT_WIDTH = 0.5
LEAST_SPREAD = 1e-9
"""Least standard deviation that a latent number is scaled by."""


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """Which cells each frame lies in.

    Parameters
    ----------
    frames
        Iteration, simulation and frame, shape ``(n, 3)``.
    cells
        Numbers of cells, shape ``(n, cells a frame)``.
    """

    frames: NDArray[np.int64]
    cells: NDArray[np.int64]


def few_residues(run: RunFiles) -> bool:
    """Return whether the frames have torsions, and so few that each residue counts."""
    return run.seen is not None and 1 <= run.seen.phi_psi_rad.shape[1] <= MOST_RESIDUES


def space_of(runs: Sequence[RunFiles]) -> str | None:
    """Return the space in which all these runs can be looked at; `None` if there is none."""
    there = [run for run in runs if run.seen is not None]
    if not there:
        return None
    if all(few_residues(run) for run in there):
        return "torsions"
    if all(
        run.seen.rmsd_nm is not None and run.seen.native_contacts is not None
        for run in there
        if run.seen is not None
    ):
        return "nearness"
    return "latent" if any(run.embeddings for run in there) else None


def visits(run: RunFiles, space: str) -> Visits | None:
    """Return the cells that the frames of a run lie in; `None` where it has no such space."""
    if space == "latent":
        return _latent(run)
    if run.seen is None:
        return None
    if space == "torsions":
        return Visits(run.seen.frames, _torsions(run.seen.phi_psi_rad))
    rmsd_nm, native = run.seen.rmsd_nm, run.seen.native_contacts
    assert rmsd_nm is not None
    assert native is not None
    # A rounding error below a whole number of widths is no cell further down.
    near = [
        np.floor(values / width + 1e-4)
        for values, width in ((rmsd_nm, RMSD_WIDTH_NM), (native, NATIVE_WIDTH))
    ]
    return Visits(run.seen.frames, _numbered(np.stack(near, axis=1)))


def _torsions(phi_psi_rad: NDArray[np.float32]) -> NDArray[np.int64]:
    width = 2 * np.pi / TORSION_BINS
    # An angle of exactly 180 degrees belongs to the first bin, as -180 does.
    bins = np.floor((phi_psi_rad + np.pi) / width).astype(np.int64) % TORSION_BINS
    residues = np.arange(phi_psi_rad.shape[1])
    cells = (residues * TORSION_BINS + bins[..., 0]) * TORSION_BINS + bins[..., 1]
    return np.asarray(cells, np.int64)


def _latent(run: RunFiles) -> Visits | None:
    if not run.embeddings:
        return None
    newest = run.embeddings[max(run.embeddings)]
    spread = np.maximum(newest.latent.std(axis=0), LEAST_SPREAD)
    scaled = (newest.latent - newest.latent.mean(axis=0)) / spread
    return Visits(newest.frames, _numbered(np.floor(scaled / LATENT_WIDTH)))


def _numbered(places: NDArray[np.floating]) -> NDArray[np.int64]:
    _, numbers = np.unique(places, axis=0, return_inverse=True)
    return np.asarray(numbers, np.int64).reshape(-1, 1)
