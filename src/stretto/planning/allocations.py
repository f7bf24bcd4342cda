"""The smallest allocation that still does it.

A larger allocation is not always a shorter run: what waits for each other gains nothing from more
nodes, and every node-hour is paid.  So allocations of several sizes are tried at mean durations,
and the smallest within a margin of the shortest makespan is told.  A size is a number of nodes;
where there is but one node, of its cores.  Sizes are tried from the largest down, and one whose
lower bound is beyond the margin already is not simulated: it could not be the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stretto.errors import WorkflowError
from stretto.model import model_of
from stretto.planning.forecasts import ttx_us
from stretto.platform import Overheads, Platform, check_fits
from stretto.scheduler import Mode, Order, check_room
from stretto.workflow import Workflow

__all__ = ["MARGIN", "Allocation", "resized", "sizes_below", "smallest_allocation"]

MARGIN = 0.05
"""Share by which a makespan may be longer than the shortest, unless told otherwise."""
MOST_SIZES = 16
"""Up to so many sizes all are tried; of more, that many in equal ratios."""
TASKS_PLAYED = 100_000
"""Limit on the tasks simulated; of a large workflow fewer sizes are tried."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """The smallest allocation within a margin of the shortest makespan.

    Parameters
    ----------
    size, unit
        Such as 12 ``"nodes"``, or ``"cores"`` of a single node.
    margin
        Share by which its makespan may be longer.
    ttx_us, shortest_us
        Its makespan at mean durations, and the shortest of all sizes, in microseconds.
    """

    size: int
    unit: str
    margin: float
    ttx_us: int
    shortest_us: int


def resized(platform: Platform, size: int) -> Platform:
    """Return an allocation of `size` nodes; of `size` cores, where there is but one node.

    Raises
    ------
    WorkflowError
        If there cannot be so many.
    """
    if len(platform.nodes) > 1:
        return platform.with_nodes(size)
    node = platform.nodes[0]
    if not 1 <= size <= node.cores:
        raise WorkflowError(f"expected 1 to {node.cores} cores, found {size}", path=("cores",))
    return replace(platform, nodes=(replace(node, cores=size),))


def sizes_below(platform: Platform, *, most: int = MOST_SIZES) -> tuple[str, Sequence[int]]:
    """Return the unit of a platform's size, and the sizes to try, up to its own, ascending."""
    nodes = len(platform.nodes)
    unit, whole = ("nodes", nodes) if nodes > 1 else ("cores", max(platform.cores, 1))
    if whole <= most:
        return unit, range(1, whole + 1)
    return unit, sorted({round(whole ** (step / most)) for step in range(1, most)} | {whole})


def smallest_allocation(
    workflow: Workflow,
    platform: Platform,
    *,
    mode: Mode,
    overheads: Overheads,
    order: Order,
    margin: float = MARGIN,
) -> Allocation | None:
    """Return the smallest part of the platform that is within `margin` of the shortest makespan.

    Parameters
    ----------
    workflow
        With all durations known; their means are used.
    platform, mode, overheads, order
        As for `stretto.simulate`.
    margin
        Such as 0.05.

    Notes
    -----
    `None` where the workflow is so large that not even two sizes could be tried.
    """
    most = min(MOST_SIZES, TASKS_PLAYED // workflow.planned().n_tasks)
    if most < 2:
        return None
    unit, sizes = sizes_below(platform, most=most)
    means = workflow.at_means()
    found: dict[int, int] = {}
    for size in reversed(sizes):
        part = resized(platform, size)
        try:
            check_fits(means, part)
            check_room(means, part)
        except WorkflowError:
            continue
        bounds = model_of(means, part).bounds if found else None
        if bounds is None or bounds.best_us <= min(found.values()) * (1 + margin):
            found[size] = ttx_us(means, part, mode=mode, overheads=overheads, order=order)
    shortest_us = min(found.values())
    size = min(one for one, us in found.items() if us <= int(shortest_us * (1 + margin)))
    return Allocation(size, unit, margin, found[size], shortest_us)
