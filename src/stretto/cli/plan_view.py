"""A plan on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from stretto.cli.texts import percent, seconds, share, span, whole_percent
from stretto.planning import Plan
from stretto.units import counted

__all__ = ["print_plan"]

MOST_NAMED = 3
"""Task sets that are named as those whose durations matter most."""


def print_plan(console: Console, plan: Plan) -> None:
    """Print the degrees, the makespans by formula and simulation, their limits, and the advice."""
    values = plan.to_json()
    console.print(
        f"[bold]{values['workflow']}[/] on {values['platform']}: "
        f"{counted(values['tasks'], 'task')}, {counted(values['iterations'], 'iteration')}, "
        f"{counted(values['cores'], 'core')}, {counted(values['gpus'], 'GPU')}"
    )
    for line in plan.assumptions:
        console.print(f"Open: {line}")
    degrees = Table(title="Degree of asynchronicity", title_justify="left")
    for heading in ("DOA_dep", "width - 1", "DOA_res", "WLA"):
        degrees.add_column(heading, justify="right")
    degrees.add_row(
        *(str(values[key]) for key in ("doa_dep", "doa_width", "doa_res")),
        f"[bold]{values['wla']}[/]",
    )
    console.print(degrees)
    if plan.forecasts:
        for line in _formulas(values):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        console.print(_times(values))
        for line in [*_costs(values), *_limits(values), *_what_if(values)]:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    if values["optimized"] is not None:
        console.print(_optimized(values), highlight=False, markup=False, soft_wrap=True)
    advice = values["advice"]["sentence"]
    console.print(advice, style="bold", highlight=False, markup=False, soft_wrap=True)


def _formulas(values: Mapping[str, Any]) -> list[str]:
    """Return what the paper's formulas give."""
    lines = [
        f"By formula: t_seq {seconds(values['t_seq_s'])} by stages, "
        f"{seconds(values['t_seq_ranks_s'])} by ranks (Eq. 2); "
        f"t_async {seconds(values['t_async_s'])} (Eqs. 3 to 7), I {share(values['improvement'])}; "
        + ", ".join(
            f"with {one['overhead']:.0%} of overhead {seconds(one['t_async_s'])}, "
            f"I {share(one['improvement'])}"
            for one in values["corrected"]
        )
        + "."
    ]
    if values["overheads"] is not None:
        lines.append(
            "With the overheads given: "
            f"t_seq {seconds(values['t_seq_with_overheads_s'])}, "
            f"t_async {seconds(values['t_async_with_overheads_s'])}, "
            f"I {share(values['improvement_with_overheads'])}."
        )
    if values["masked"]:
        masked = ", ".join(f"{one['set']} by {' and '.join(one['by'])}" for one in values["masked"])
        lines.append(f"Masked (Eq. 7): {masked}.")
    return lines


def _times(values: Mapping[str, Any]) -> Table:
    draws = max(one["draws"] for one in values["simulated"].values())
    table = Table(
        title=f"Simulated, {counted(draws, 'draw')}", title_justify="left", box=box.SIMPLE_HEAD
    )
    table.add_column("mode", no_wrap=True)
    for heading in ("TTX", "5 to 95 %", "I", "gap", "busy", "node-h"):
        table.add_column(heading, justify="right", no_wrap=True)
    for mode, one in values["simulated"].items():
        busy = (whole_percent(_mean(one[f"{kind}_utilisation"])) for kind in ("core", "gpu"))
        table.add_row(
            mode,
            seconds(one["ttx_s"]["mean"]),
            span(one["ttx_s"]) if one["draws"] > 1 else "",
            share(_mean(one["improvement"])),
            percent(one["optimality_gap"]),
            "/".join(busy),
            f"{one['node_hours']['mean']:.4g}",
        )
    table.caption = "gap: above the best bound; busy: of all cores/of all GPUs"
    table.caption_justify = "left"
    return table


def _costs(values: Mapping[str, Any]) -> list[str]:
    """Return by mode whether it fits the walltime, and what it costs."""
    walltime = values["walltime_s"]
    lines = []
    for mode, one in values["simulated"].items():
        parts = []
        if walltime is not None:
            chance = whole_percent(one["chance_within_walltime"])
            parts.append(f"fits into {seconds(walltime)} with a chance of {chance}")
        if one["price"] is not None:
            parts.append(f"costs {one['price']['mean']:,.2f}")
        if parts:
            lines.append(f"{mode.capitalize()} {' and '.join(parts)}.")
    return lines


def _limits(values: Mapping[str, Any]) -> list[str]:
    """Return what binds one run, and the loop."""
    lines = []
    bounds, steady = values["bounds"], values["steady_state"]
    if bounds is not None:
        best = seconds(bounds["best_s"])
        lines.append(f"No schedule is shorter than {best} ({bounds['binding']}).")
    if steady is not None and values["iterations"] > 1:
        period = seconds(steady["period_s"])
        binds = {"gpus": "GPUs", "recurrence": "what waits for the iteration before"}
        by = binds.get(steady["binds"], steady["binds"])
        line = f"A further iteration takes at least {period}, bound by {by}"
        enough = steady["enough_staleness"]
        if enough is not None:
            line += f"; a staleness above {enough} gains nothing more"
        lines.append(f"{line}.")
    return lines


def _what_if(values: Mapping[str, Any]) -> list[str]:
    """Return the smallest allocation, and whose durations matter."""
    lines = []
    found = values["smallest_allocation"]
    if found is not None:
        whole = values[found["unit"]]
        lines.append(
            f"The smallest allocation within {found['within']:.0%} of the shortest makespan: "
            f"{found['size']} of {whole} {found['unit']} ({seconds(found['ttx_s'])})."
        )
    mattering = [one for one in values["sensitivity"] if one["elasticity"] > 0.005][:MOST_NAMED]
    if mattering:
        named = ", ".join(f"{one['set']} {one['elasticity']:.2f}" for one in mattering)
        lines.append(f"1 % more of a set's duration is so many % more of TTX: {named}.")
    return lines


def _optimized(values: Mapping[str, Any]) -> str:
    found = values["optimized"]
    proven = "which is optimal" if found["proven"] else f"bound {seconds(found['bound_s'])}"
    return (
        f"Best order found: {seconds(found['ttx_s'])} at mean durations ({found['found_by']}), "
        f"{proven}. Keep it with --json and hand the file to run --order."
    )


def _mean(interval: Mapping[str, float] | None) -> float | None:
    return None if interval is None else interval["mean"]
