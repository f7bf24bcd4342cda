"""Convergence: whether the loop has found what it was to find, or finds nothing new.

*Growth* asks whether the newest iteration's frames lie where earlier ones do, all embedded by one
model.  The distance of an earlier frame to its last neighbour says how densely the space is filled;
nearly all of them, `WITHIN`, have it below some radius.  A newest frame whose last neighbour among
the earlier ones is beyond that radius is in new space, and growth is the share of such frames.  If
nothing grows it is about ``1 - WITHIN``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stretto import WorkflowError
from stretto.apps.deepdrivemd.choosing.outliers import last_neighbour
from stretto.apps.deepdrivemd.choosing.settings import UntilSettings
from stretto.apps.deepdrivemd.gathering import Best

__all__ = ["growth", "held"]

WITHIN = 0.99
"""Share of the earlier frames whose neighbourhoods are smaller than the radius of growth."""


def growth(
    latent: NDArray[np.float64], iterations: NDArray[np.int64], *, neighbours: int
) -> float | None:
    """Return the share of the newest iteration's frames in new space, from 0 to 1.

    Parameters
    ----------
    latent, iterations
        Of each frame, shapes ``(n, latent)`` and ``(n,)``.
    neighbours
        Size of a neighbourhood.

    Returns
    -------
    float | None
        `None` where there are no earlier frames to compare with, or fewer than a neighbourhood has.
    """
    newest = iterations == iterations.max(initial=-1)
    earlier = latent[~newest]
    if len(earlier) <= neighbours:
        return None
    radius = np.quantile(last_neighbour(earlier, earlier, neighbours, same=True), WITHIN)
    return float(np.mean(last_neighbour(latent[newest], earlier, neighbours) > radius))


def held(until: UntilSettings | None, best: Sequence[Best], grown: float | None) -> list[str]:
    """Return which of the conditions hold, by their keys; the loop has converged if any does.

    Raises
    ------
    WorkflowError
        If a condition looks at a reference and there is none.
    """
    if until is None:
        return []
    found = []
    for key, sign in (("rmsd_nm", 1), ("native_contacts", -1)):
        limit = getattr(until, key)
        if limit is None:
            continue
        values = [getattr(one, key) for one in best]
        if None in values:
            raise WorkflowError(
                "needs a reference structure, which this molecule has not",
                path=("inference", "until", key),
            )
        if min(sign * value for value in values) <= sign * limit:
            found.append(key)
    if until.growth is not None and grown is not None and grown <= until.growth:
        found.append("growth")
    return found
