"""Selection: from how rare frames are to those that the next simulations start from.

A strategy ranks frames.  The best ranked often are one excursion of one trajectory, so the choice
goes down the ranking and passes over a frame too near to one already chosen: within a few frames of
the same trajectory, or close in the latent space.  If that leaves too few, latent distance is given
up first, then the other; if frames are fewer than simulations, they are taken again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.choosing.settings import InferenceSettings

__all__ = ["ranking", "spread"]

Rows = NDArray[np.int64]


def ranking(
    settings: InferenceSettings,
    n_frames: int,
    *,
    scores: NDArray[np.float64] | None,
    rmsd_nm: NDArray[np.float32] | None,
    allowed: NDArray[np.bool_],
    seed: int,
) -> Rows:
    """Return the allowed frames' numbers from the best to the worst; ties go to the earlier frame.

    Parameters
    ----------
    settings
        Of them ``strategy`` and ``shortlist``.
    n_frames
        Number of frames.
    scores
        How rare each is; for ``random`` there need be none.
    rmsd_nm
        From the reference; only ``outliers-rmsd`` looks at it.
    allowed
        Which frames may be chosen.
    seed
        Of the draws of ``random``.
    """
    if settings.strategy == "random":
        drawn = np.random.default_rng([seed]).permutation(n_frames)
        return drawn[allowed[drawn]]
    assert scores is not None, settings.strategy
    rarest = np.argsort(-scores, kind="stable")
    rarest = rarest[allowed[rarest]]
    if settings.strategy == "outliers":
        return rarest
    assert settings.strategy == "outliers-rmsd", settings.strategy
    assert rmsd_nm is not None, settings.strategy
    shortlist = rarest[: settings.shortlist]
    nearest = np.lexsort((shortlist, rmsd_nm[shortlist]))
    return np.concatenate([shortlist[nearest], rarest[settings.shortlist :]])


def spread(
    ranked: Rows,
    frames: NDArray[np.int64],
    latent: NDArray[np.float64] | None,
    *,
    starts: int,
    separation: float,
    gap: int,
) -> list[int]:
    """Return the first `starts` of the ranked frames that are apart from each other.

    Parameters
    ----------
    ranked
        Numbers of frames, best first; there must be one.
    frames
        Iteration, simulation and frame of each, shape ``(n, 3)``.
    latent
        Shape ``(n, latent)``; without it no distance is asked for.
    starts
        How many to choose.
    separation, gap
        Least distance in the latent space, and in frames of one trajectory.
    """
    chosen: list[int] = []
    for least_distance, least_gap in ((separation, gap), (0.0, gap), (0.0, 1)):
        for row in ranked:
            if len(chosen) == starts:
                return chosen
            same = (frames[chosen, :2] == frames[row, :2]).all(axis=1)
            apart = ~same | (np.abs(frames[chosen, 2] - frames[row, 2]) >= least_gap)
            if latent is not None:
                apart &= np.linalg.norm(latent[chosen] - latent[row], axis=1) >= least_distance
            if apart.all():
                chosen.append(int(row))
    return [chosen[number % len(chosen)] for number in range(starts)]
