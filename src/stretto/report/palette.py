"""Colours of task sets: told apart by the colour-blind, on light and on dark paper.

The eight are those of Okabe and Ito without black, and Tol's wine.  With more sets than colours the
sets that hold the most core and GPU time have their own, and the others share a grey.  Failure is
never told by colour alone: it is hatched and marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stretto.analysis.serials import serials
from stretto.analysis.usage import amounts, held
from stretto.trace import Trace
from stretto.units import GPU_MILLI

__all__ = ["OTHER", "Colour", "colours", "series_colour"]

_PALETTE = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#882255",
    "#d55e00",
    "#b8ac17",
)
OTHER = "#8a8f98"
"""Colour of all sets that have none of their own."""


def series_colour(number: int) -> str:
    """Return the colour of a curve by its number; they repeat after the eighth."""
    return _PALETTE[number % len(_PALETTE)]


class Colour(NamedTuple):
    """A task set's colour, and whether it is its own."""

    value: str
    own: bool


def colours(traces: Sequence[Trace]) -> dict[str, Colour]:
    """Return a colour for every task set of these traces, the same in all of them."""
    weight: dict[str, float] = {}
    for trace in traces:
        for name, share in zip(serials(trace.workflow).names, _shares(trace), strict=True):
            weight[name] = weight.get(name, 0.0) + share
    names = list(weight)
    own = names
    if len(names) > len(_PALETTE):
        own = sorted(names, key=lambda name: (-weight[name], names.index(name)))[: len(_PALETTE)]
    # Neighbours in the workflow get neighbouring colours, whatever their weight.
    own = [name for name in names if name in own]
    return {
        name: Colour(_PALETTE[own.index(name)], True) if name in own else Colour(OTHER, False)
        for name in names
    }


def _shares(trace: Trace) -> list[float]:
    """Return what each set holds of the allocation, cores and GPUs alike weighted."""
    rows, started_us, ended_us = held(trace)
    spans_us = (ended_us - started_us).astype(np.float64)
    place = serials(trace.workflow).place(trace.task[rows])
    total = np.zeros(len(trace.workflow.task_sets))
    platform = (trace.platform.cores, trace.platform.gpus * GPU_MILLI)
    for amount, most in zip(amounts(trace), platform, strict=True):
        if most:
            np.add.at(total, place, amount[rows] * spans_us / most)
    shares: list[float] = total.tolist()
    return shares
