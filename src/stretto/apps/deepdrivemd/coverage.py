"""Coverage: which cells of the (phi, psi) plane the frames of each iteration have visited."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stretto.apps.deepdrivemd.arguments import count
from stretto.apps.deepdrivemd.features import Features

__all__ = ["IterationCoverage", "coverage"]


class IterationCoverage(NamedTuple):
    """What one iteration has seen of the plane."""

    iteration: int
    frames: int
    """Number of frames of this iteration."""
    cells: tuple[tuple[int, int], ...]
    """Cells that its frames lie in, as (bin of phi, bin of psi) from -180 degrees, in order."""
    visited: int
    """Number of cells visited in this and all earlier iterations."""


def coverage(
    run_dir: str | Path, *, bins: int = 12, until: int | None = None
) -> list[IterationCoverage]:
    """Return the cells visited by each iteration whose features are there, in order.

    Parameters
    ----------
    run_dir
        Directory of a run.
    bins
        Bins of each angle; 12 are of 30 degrees.
    until
        Last iteration to look at; all of them if `None`.

    Raises
    ------
    WorkflowError
        If `bins` is not a whole number above 0.
    StageError
        If a file of features is damaged.
    """
    width = 2 * np.pi / count("bins", bins)
    seen: set[tuple[int, int]] = set()
    found = []
    for iteration, path in _files(Path(run_dir)):
        if until is not None and iteration > until:
            break
        angles = Features.read(path).phi_psi_rad
        # An angle of exactly 180 degrees belongs to the first bin, as -180 does.
        numbers = np.floor((angles + np.pi) / width).astype(np.int64) % bins
        cells = tuple((int(phi), int(psi)) for phi, psi in np.unique(numbers, axis=0))
        seen.update(cells)
        found.append(IterationCoverage(iteration, len(angles), cells, len(seen)))
    return found


def _files(run_dir: Path) -> list[tuple[int, Path]]:
    named = [
        (re.fullmatch(r"iteration-(\d+)", path.parent.name), path)
        for path in run_dir.glob("data/iteration-*/features.npz")
    ]
    return sorted((int(name[1]), path) for name, path in named if name)
