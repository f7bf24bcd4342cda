"""Outliers: how rare each frame is in the latent space.

``lof`` is the local outlier factor (Breunig et al. 2000): how much emptier the neighbourhood of a
frame is than the neighbourhoods of its neighbours; about 1 inside, and an outlier above 1.5.

``dbscan`` (Ester et al. 1996) calls a frame core if it has enough neighbours within a radius eps,
and noise if no core frame is within eps.  Noise is ranked by how far it is from the nearest core
frame, in units of eps, so it is above 1; core frames have 0 or less.  Where no radius is given, it
is taken at the knee of the sorted distances to the last neighbour: where they lie farthest below
the line from the least to the largest.

Frames with the same map are one point, or their density would be without bounds; a point that has
more frames than a neighbourhood has is not rare.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.choosing.settings import InferenceSettings
from stretto.apps.deepdrivemd.files import StageError

__all__ = ["Rarity", "knee", "last_neighbour", "rarity", "standardised"]

Numbers = NDArray[np.float64]

LEAST_SPREAD = 0.1
"""Least standard deviation that a latent number is scaled up from, as a share of the largest: one
that the model hardly uses stays small, since what it says is mostly noise."""
LEAST_LARGEST = 1e-6
"""Least standard deviation of the widest latent number, below which all frames are one."""
DIGITS = 6
"""Decimals of a standard deviation in which points of the latent space differ."""
_ABOVE = {"lof": 1.5, "dbscan": 1.0}


class Rarity(NamedTuple):
    """How rare frames are."""

    scores: Numbers
    """A number for each frame; the larger the rarer."""
    outliers: int
    """How many frames count as outliers."""
    clusters: int | None
    """How many clusters there are, if they were looked for."""
    eps: float | None
    """Radius of the neighbourhoods, if they had one."""


def standardised(latent: Numbers) -> Numbers:
    """Return latent numbers with mean 0 and standard deviation 1, or less of unused ones.

    Raises
    ------
    StageError
        If they are not finite, or all frames have the same.
    """
    if not np.isfinite(latent).all():
        raise StageError("the model gives latent numbers that are not finite")
    spread = latent.std(axis=0)
    if spread.max() < LEAST_LARGEST:
        raise StageError(
            "the model embeds all frames as one point: it has learned nothing; more updates or a "
            "lower beta may help"
        )
    return np.asarray(
        (latent - latent.mean(axis=0)) / np.maximum(spread, LEAST_SPREAD * spread.max())
    )


def rarity(latent: Numbers, settings: InferenceSettings) -> Rarity:
    """Return how rare frames are, by the method that the settings name.

    Parameters
    ----------
    latent
        Standardised, shape ``(n, latent)``.
    settings
        Of them ``method``, ``neighbours`` and ``eps``.
    """
    points, place, times = np.unique(
        np.round(latent, DIGITS), axis=0, return_inverse=True, return_counts=True
    )
    neighbours = min(settings.neighbours, len(points) - 1)
    if neighbours < 1:
        return Rarity(np.ones(len(latent)), 0, None, None)
    clusters = eps = None
    if settings.method == "lof":
        scores = _factors(points, neighbours)
        often = times > neighbours
        scores[often] = np.minimum(scores[often], 1.0)
    else:
        distance = last_neighbour(points, points, neighbours, same=True)
        eps = settings.eps or knee(distance)
        scores, clusters = _noise(points, times, distance, neighbours, eps)
    scores = scores[place.reshape(-1)]
    return Rarity(scores, int((scores > _ABOVE[settings.method]).sum()), clusters, eps)


def last_neighbour(of: Numbers, among: Numbers, neighbours: int, *, same: bool = False) -> Numbers:
    """Return the distance of each point to its last neighbour, shape ``(len(of),)``.

    Parameters
    ----------
    of, among
        Points, and those that their neighbours are sought among.
    neighbours
        Size of a neighbourhood.
    same
        Whether both are the same points, none of which is its own neighbour.
    """
    found = extra("sklearn.neighbors").NearestNeighbors(n_neighbors=neighbours).fit(among)
    distance, _ = found.kneighbors(None if same else of)
    return np.asarray(distance[:, -1])


def knee(distance: Numbers) -> float:
    """Return where sorted distances lie farthest below the line from the least to the largest."""
    ordered = np.sort(distance)
    line = np.linspace(ordered[0], ordered[-1], len(ordered))
    found = float(ordered[np.argmax(line - ordered)])
    # Points differ by at least their last digit.
    return max(found, 10.0**-DIGITS)


def _factors(points: Numbers, neighbours: int) -> Numbers:
    lof = extra("sklearn.neighbors").LocalOutlierFactor(neighbours).fit(points)
    return np.asarray(-lof.negative_outlier_factor_)


def _noise(
    points: Numbers, times: NDArray[np.int64], distance: Numbers, neighbours: int, eps: float
) -> tuple[Numbers, int]:
    # DBSCAN counts a point as one of its own neighbourhood.
    found = extra("sklearn.cluster").DBSCAN(eps=eps, min_samples=neighbours + 1)
    found.fit(points, sample_weight=times)
    core = np.zeros(len(points), dtype=np.bool_)
    core[found.core_sample_indices_] = True
    if not core.any():
        return distance / eps, 0
    scores = np.empty(len(points))
    scores[core] = np.minimum(distance[core] / eps - 1, 0)
    scores[~core] = last_neighbour(points[~core], points[core], 1) / eps if not core.all() else 0
    return scores, int(found.labels_.max()) + 1
