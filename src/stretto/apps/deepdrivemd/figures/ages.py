"""How old the model was that chose each start, as the simulations recorded it.

The age is in iterations: 0 for the newest model that there could be, that of the iteration before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stretto.apps.deepdrivemd.figures.runs import RunFiles
from stretto.apps.deepdrivemd.lineage import Frame
from stretto.apps.deepdrivemd.provenance import Step

__all__ = ["Ages", "ages", "mean_age"]


@dataclass(frozen=True, slots=True)
class Ages:
    """The starts of an iteration's simulations.

    Parameters
    ----------
    iteration
        Whose.
    by_age
        How many were chosen by a model of each age.
    without_model
        How many were chosen without one.
    not_chosen
        How many simulations began with the structure.
    """

    iteration: int
    by_age: Mapping[int, int]
    without_model: int
    not_chosen: int


def ages(run: RunFiles) -> list[Ages]:
    """Return the ages of each iteration that has simulations, in order."""
    return [
        _ages(run, iteration) for iteration in sorted({iteration for iteration, _ in run.records})
    ]


def mean_age(found: list[Ages]) -> float | None:
    """Return the mean over all starts that a model chose; `None` if none did."""
    starts = sum(sum(one.by_age.values()) for one in found)
    whole = sum(age * count for one in found for age, count in one.by_age.items())
    return whole / starts if starts else None


def _ages(run: RunFiles, iteration: int) -> Ages:
    by_age: dict[int, int] = {}
    without_model = not_chosen = 0
    for (own, number), record in sorted(run.records.items()):
        if own != iteration:
            continue
        age = Step(Frame(iteration, number, 0), record).staleness
        if age is not None:
            by_age[age] = by_age.get(age, 0) + 1
        elif record.inference is not None or record.parent is not None:
            without_model += 1
        else:
            not_chosen += 1
    return Ages(iteration, dict(sorted(by_age.items())), without_model, not_chosen)
