"""A sweep on the command line: lists of numbers, the table, the figure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from stretto.cli.texts import seconds, share, span
from stretto.errors import WorkflowError
from stretto.planning import Point, Sweep
from stretto.report import Curve, CurvePoint, curves
from stretto.units import US_PER_SECOND, us_to_seconds

__all__ = ["numbers_in", "print_sweep", "sweep_figure", "tasks_in"]

_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
MOST_NUMBERS = 1000


def numbers_in(name: str, text: str | None) -> Sequence[int] | None:
    """Return the numbers of a list such as ``"1,2,8-16"``; `None` for no list.

    Raises
    ------
    WorkflowError
        If it is no such list.
    """
    if text is None:
        return None
    numbers: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise WorkflowError(
                f"expected numbers such as 1,2,4 or 1-16, found {text!r}", path=(name,)
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last - first + len(numbers) >= MOST_NUMBERS:
            raise WorkflowError(f"expected at most {MOST_NUMBERS} numbers", path=(name,))
        numbers += range(first, last + 1)
    if not numbers:
        raise WorkflowError(f"expected numbers such as 1,2,4 or 1-16, found {text!r}", path=(name,))
    return list(dict.fromkeys(numbers))


def tasks_in(texts: Sequence[str]) -> Mapping[str, Sequence[int]]:
    """Return the numbers by set of texts such as ``"simulation=48,96"``."""
    found: dict[str, Sequence[int]] = {}
    for text in texts:
        name, equals, numbers = text.partition("=")
        if not equals:
            raise WorkflowError(f"expected SET=NUMBERS, found {text!r}", path=("tasks",))
        found[name] = numbers_in("tasks", numbers) or ()
    return found


def print_sweep(console: Console, sweep: Sweep) -> None:
    """Print a table a line, in each the smallest allocation that still does it marked."""
    console.print(f"[bold]{sweep.workflow}[/] on {sweep.platform}, {sweep.mode}")
    for line in sweep.lines:
        table = Table(title=str(line), title_justify="left", box=box.SIMPLE_HEAD)
        for heading in (sweep.unit, "TTX", "5 to 95 %", "I", "no shorter than", "node-h"):
            table.add_column(heading, justify="right", no_wrap=True)
        smallest = sweep.smallest(line)
        for point in sweep.points:
            if point.line == line:
                table.add_row(f"{'*' if point is smallest else ''}{point.size}", *_cells(point))
        console.print(table)
    console.print(f"* the smallest within {sweep.within:.0%} of the shortest", highlight=False)


def _cells(point: Point) -> list[str]:
    ttx = point.ttx_us
    return [
        seconds(ttx.mean / US_PER_SECOND),
        span({"p5": ttx.p5 / US_PER_SECOND, "p95": ttx.p95 / US_PER_SECOND}),
        share(None if point.improvement is None else point.improvement.mean),
        seconds(None if point.bound_us is None else us_to_seconds(point.bound_us)),
        f"{point.node_hours:.4g}",
    ]


def sweep_figure(sweep: Sweep) -> str:
    """Return the curves of a sweep as SVG."""
    found = [
        Curve(
            name=str(line),
            points=[
                CurvePoint(
                    size=point.size,
                    mean_us=point.ttx_us.mean,
                    low_us=point.ttx_us.p5,
                    high_us=point.ttx_us.p95,
                    bound_us=point.bound_us,
                )
                for point in sweep.points
                if point.line == line
            ],
            smallest=sweep.smallest(line).size,
        )
        for line in sweep.lines
    ]
    return curves(
        found, title=f"{sweep.workflow}, {sweep.mode}: makespan by allocation", unit=sweep.unit
    )
