"""A plan on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from stretto.cli.texts import percent, seconds, share
from stretto.planning import Plan

__all__ = ["print_plan"]


def print_plan(console: Console, plan: Plan) -> None:
    """Print the degrees, the formulas and the simulations of a plan."""
    model = plan.model
    values = plan.to_json()
    console.print(
        f"[bold]{plan.workflow.name}[/] on {plan.platform.name}: {plan.workflow.n_tasks} tasks, "
        f"{plan.workflow.iterations} iterations, {plan.platform.cores} cores, "
        f"{plan.platform.gpus} GPUs"
    )
    degrees = Table(title="Degree of asynchronicity", title_justify="left")
    for heading in ("DOA_dep", "width - 1", "DOA_res", "WLA"):
        degrees.add_column(heading, justify="right")
    degrees.add_row(
        str(model.doa_dep), str(model.doa_width), str(model.doa_res), f"[bold]{model.wla}[/]"
    )
    console.print(degrees)
    if not plan.simulated:
        missing = [one.name for one in plan.workflow.task_sets if one.duration is None]
        console.print(f"No times: the duration of {', '.join(missing)} is not known.")
        return
    console.print(_times(plan))
    if model.masked:
        masked = ", ".join(f"{one.name} by {' and '.join(one.by)}" for one in model.masked)
        console.print(f"Masked (Eq. 7): {masked}")
    for one in values["corrected"]:
        console.print(
            f"With {one['overhead']:.0%} of overhead on the asynchronous formula: "
            f"{seconds(one['t_async_s'])}, I {share(one['improvement'])}"
        )


def _times(plan: Plan) -> Table:
    values = plan.to_json()
    table = Table(title="Makespan (TTX) and improvement (I)", title_justify="left")
    table.add_column("")
    for heading in ("TTX", "I", "cores busy", "GPUs busy"):
        table.add_column(heading, justify="right")
    table.add_row("sequential, by stages (Eq. 2)", seconds(values["t_seq_s"]), "", "", "")
    table.add_row("sequential, by ranks (Eq. 2)", seconds(values["t_seq_ranks_s"]), "", "", "")
    table.add_row(
        "asynchronous (Eqs. 3 to 7)",
        seconds(values["t_async_s"]),
        share(values["improvement"]),
        "",
        "",
        end_section=True,
    )
    bound = values["bounds"]["best_s"]
    table.add_row("no schedule is shorter than", seconds(bound), "", "", "", end_section=True)
    for mode, one in values["simulated"].items():
        table.add_row(
            f"simulated, {mode}",
            seconds(one["ttx_s"]),
            share(one["improvement"]),
            percent(one["core_utilisation"]),
            percent(one["gpu_utilisation"]),
        )
    return table
