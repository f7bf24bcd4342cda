"""The commands that ask before anything is run: `plan` and `sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stretto.cli.inputs import about, calibrated, print_json, workflow_of
from stretto.cli.options import (
    CRITICAL_PATH,
    ByOrder,
    Calibrated,
    File,
    InMode,
    Json,
    MaybeByOrder,
    Seed,
    Where,
)
from stretto.cli.orders import order_named
from stretto.cli.plan_view import print_plan
from stretto.cli.sweep_view import numbers_in, print_sweep, sweep_figure, tasks_in
from stretto.planning import plan as make_plan
from stretto.planning import sweep as make_sweep
from stretto.scheduler import Mode

__all__ = ["register"]

Draws = Annotated[
    int | None, typer.Option("--draws", min=1, help="How often durations are drawn; 20 or fewer.")
]
Within = Annotated[
    float,
    typer.Option("--within", min=0, help="Per cent that the smallest allocation may be slower."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(plan)
    app.command()(sweep)


def plan(
    file: File,
    platform: Where = None,
    seed: Seed = 0,
    draws: Draws = None,
    order: MaybeByOrder = None,
    calibration: Calibrated = None,
    walltime: Annotated[
        str | None, typer.Option(help="Time of the allocation (2h30m): does it fit?")
    ] = None,
    price: Annotated[float | None, typer.Option(min=0, help="Price of a node-hour.")] = None,
    within: Within = 5.0,
    optimize: Annotated[
        float | None,
        typer.Option("--optimize", min=0, metavar="SECONDS", help="Search for a better order."),
    ] = None,
    optimize_rounds: Annotated[
        int | None,
        typer.Option(min=1, help="The same, for so many schedules: one result for one seed."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what asynchronous execution would gain, before anything is run."""
    workflow, overheads, chosen = calibrated(workflow_of(file), order, calibration)
    with about(file):
        made = make_plan(
            workflow,
            platform=platform,
            seed=seed,
            draws=draws,
            overheads=overheads,
            order=chosen,
            walltime=walltime,
            price=price,
            within=within / 100,
            optimize_seconds=optimize,
            optimize_rounds=optimize_rounds,
        )
    if as_json:
        print_json(made.to_json())
    else:
        print_plan(Console(), made)


def sweep(
    file: File,
    platform: Where = None,
    nodes: Annotated[
        str | None,
        typer.Option(
            "--nodes", metavar="LIST", help="Sizes, such as 1,2,4 or 1-16; cores, if one node."
        ),
    ] = None,
    iterations: Annotated[
        str | None, typer.Option(metavar="LIST", help="How often the loop turns.")
    ] = None,
    staleness: Annotated[
        str | None, typer.Option(metavar="LIST", help="How old input may be, in iterations.")
    ] = None,
    tasks: Annotated[
        list[str] | None, typer.Option(metavar="SET=LIST", help="Numbers of tasks of a set.")
    ] = None,
    mode: InMode = Mode.TASK_LEVEL,
    seed: Seed = 0,
    draws: Draws = None,
    order: ByOrder = CRITICAL_PATH,
    within: Within = 5.0,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw the curves into this file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Try other allocations, iterations, sizes of sets and staleness, all combinations."""
    workflow = workflow_of(file)
    with about(file):
        found = make_sweep(
            workflow,
            platform=platform,
            sizes=numbers_in("nodes", nodes),
            iterations=numbers_in("iterations", iterations),
            staleness=numbers_in("staleness", staleness),
            tasks=tasks_in(tasks or []),
            mode=mode,
            seed=seed,
            draws=draws,
            order=order_named(order),
            within=within / 100,
        )
    if figure is not None:
        figure.write_text(sweep_figure(found), encoding="utf-8")
    if as_json:
        print_json(found.to_json())
    else:
        print_sweep(Console(), found)
        if figure is not None:
            print(figure)
