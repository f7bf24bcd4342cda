"""What if: other allocations, more iterations, larger sets, older input; all combinations played.

Each point is a forecast of one mode with one choice of each; the order of the points is that of
the choices, allocations turning fastest.  Points that differ in nothing but the allocation are a
*line*: on each the smallest allocation is told that is within a margin of its shortest makespan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from stretto.errors import WorkflowError
from stretto.model import model_of
from stretto.planning.allocations import MARGIN, resized
from stretto.planning.forecasts import Interval, draws_for, forecasts
from stretto.platform import Overheads, Platform, check_fits, platform_for
from stretto.scheduler import Mode, Order, check_room
from stretto.units import US_PER_SECOND, counted, us_to_seconds
from stretto.workflow import Workflow

__all__ = ["Line", "Point", "Sweep", "sweep"]

MOST_POINTS = 1000
"""Limit on the combinations of one sweep."""


@dataclass(frozen=True, slots=True)
class Line:
    """What the points of one line have in common.

    Parameters
    ----------
    iterations
        How often the loop turns.
    staleness
        Of everything that uses a previous iteration; `None` as declared.
    tasks
        Numbers of tasks that are not those of the description, by set.
    """

    iterations: int
    staleness: int | None
    tasks: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        parts = [counted(self.iterations, "iteration")]
        if self.staleness is not None:
            parts.append(f"staleness {self.staleness}")
        return ", ".join([*parts, *(f"{count} tasks of {name}" for name, count in self.tasks)])


@dataclass(frozen=True, slots=True)
class Point:
    """What is to be expected of one combination.

    Parameters
    ----------
    size
        Nodes of the allocation, or cores of a single node.
    ttx_us
        Interval of TTX.
    improvement
        Interval of I over sequential execution on the same allocation.
    bound_us
        Lower bound of the makespan at mean durations.
    period_us
        Lower bound of the time that a further iteration takes.
    node_hours
        Mean of what is held, start and stop included.
    """

    line: Line
    size: int
    ttx_us: Interval
    improvement: Interval | None
    bound_us: int | None
    period_us: int | None
    node_hours: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """All points, and the smallest allocation on each line.

    Parameters
    ----------
    unit
        ``"nodes"`` or ``"cores"``.
    within
        Share by which a makespan may be longer than the shortest of its line.
    points
        Line by line, by size.
    """

    workflow: str
    platform: str
    mode: Mode
    unit: str
    within: float
    points: tuple[Point, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines, in order."""
        return tuple(dict.fromkeys(point.line for point in self.points))

    def smallest(self, line: Line) -> Point:
        """Return the point of a line with the smallest allocation that still does it."""
        own = [point for point in self.points if point.line == line]
        most_us = (1 + self.within) * min(point.ttx_us.mean for point in own)
        return min(
            (point for point in own if point.ttx_us.mean <= most_us), key=lambda point: point.size
        )

    def to_json(self) -> dict[str, Any]:
        """Return the sweep as plain values; times in seconds."""
        return {
            "workflow": self.workflow,
            "platform": self.platform,
            "mode": str(self.mode),
            "unit": self.unit,
            "within": self.within,
            "points": [_point(point) for point in self.points],
            "smallest": [_point(self.smallest(line)) for line in self.lines],
        }


def sweep(
    workflow: Workflow,
    *,
    platform: Platform | str | None = None,
    sizes: Sequence[int] | None = None,
    iterations: Sequence[int] | None = None,
    staleness: Sequence[int] | None = None,
    tasks: Mapping[str, Sequence[int]] | None = None,
    mode: Mode | str = Mode.TASK_LEVEL,
    seed: int = 0,
    draws: int | None = None,
    overheads: Overheads | None = None,
    order: Order | str = "critical-path",
    within: float = MARGIN,
) -> Sweep:
    """Return what is to be expected of every combination of what is given.

    Parameters
    ----------
    workflow, platform
        What runs on what; the description's platform unless given, else this machine.
    sizes
        Nodes of the allocation; cores, where the platform is one node.
    iterations, staleness
        How often the loop turns; how old input from previous iterations may be.
    tasks
        By set: numbers of tasks.
    mode, seed, draws, overheads, order
        As for `plan`.
    within
        Share by which a run on the smallest allocation may be longer than the shortest.

    Raises
    ------
    WorkflowError
        If a duration is not known, a combination cannot be, or there are too many.
    """
    where = platform_for(workflow, platform)
    names = list(tasks or {})
    older: Sequence[int | None] = staleness or [None]
    lines = [
        Line(turns, stale, tuple(zip(names, counts, strict=True)))
        for turns, stale, counts in product(
            iterations or [workflow.iterations],
            older,
            product(*((tasks or {})[name] for name in names)),
        )
    ]
    unit, whole = ("nodes", len(where.nodes)) if len(where.nodes) > 1 else ("cores", where.cores)
    chosen = sorted(set(sizes or [whole]))
    if len(lines) * len(chosen) > MOST_POINTS:
        raise WorkflowError(
            f"{len(lines) * len(chosen)} combinations; expected at most {MOST_POINTS}"
        )
    costs, mode, order = overheads or Overheads(), Mode(mode), Order.of(order)
    points = []
    for line in lines:
        changed = _changed(workflow, line)
        count = draws_for(changed, draws)
        for size in chosen:
            part = resized(where, size)
            check_fits(changed, part)
            check_room(changed, part)
            found = forecasts(
                changed, part, seed=seed, draws=count, overheads=costs, order=order, modes=[mode]
            )[mode]
            model = model_of(changed, part)
            held_us = found.ttx_us.mean + costs.start_us + costs.stop_us
            points.append(
                Point(
                    line=line,
                    size=size,
                    ttx_us=found.ttx_us,
                    improvement=found.improvement,
                    bound_us=None if model.bounds is None else model.bounds.best_us,
                    period_us=None if model.steady is None else model.steady.period_us,
                    node_hours=held_us * len(part.nodes) / US_PER_SECOND / 3600,
                )
            )
    return Sweep(workflow.name, where.name, mode, unit, within, tuple(points))


def _changed(workflow: Workflow, line: Line) -> Workflow:
    changed = workflow.with_iterations(line.iterations).with_tasks(dict(line.tasks))
    return changed if line.staleness is None else changed.with_staleness(line.staleness)


def _point(point: Point) -> dict[str, Any]:
    line = point.line
    improvement = point.improvement
    return {
        "size": point.size,
        "iterations": line.iterations,
        "staleness": line.staleness,
        "tasks": dict(line.tasks),
        "ttx_s": {name: us / US_PER_SECOND for name, us in asdict(point.ttx_us).items()},
        "improvement": None if improvement is None else asdict(improvement),
        "bound_s": None if point.bound_us is None else us_to_seconds(point.bound_us),
        "period_s": None if point.period_us is None else us_to_seconds(point.period_us),
        "node_hours": point.node_hours,
    }
