"""How a run ended, said by whichever command ran it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from stretto.analysis import budgets_used, freshness, utilisation
from stretto.cli.exits import Exit, exit_of
from stretto.cli.inputs import print_json
from stretto.cli.texts import last_line, percent, printable, resume_command, seconds
from stretto.reporting import report_of
from stretto.running import Run
from stretto.trace import Outcome, Trace
from stretto.units import counted

__all__ = ["MOST_FAILURES", "end", "print_summaries", "summary_of"]

MOST_FAILURES = 5
"""Failed tasks that are told at the end of a run."""


def end(
    ended: Run,
    *,
    as_json: bool,
    report: Callable[[Path], Path] | None = None,
    command: str = "resume",
) -> NoReturn:
    """Print how a run ended, write its report, and exit accordingly.

    Parameters
    ----------
    ended
        The run.
    as_json
        Whether to print one object.
    report
        Writes the report of a directory, where it is not the usual one.
    command
        Words of the command that goes on with it.
    """
    trace = ended.trace
    page = report_of(ended.directory).path if report is None else report(ended.directory)
    code = exit_of(ended)
    summary = summary_of(trace)
    if as_json:
        print_json(
            {
                "run_dir": str(ended.directory),
                "ending": ended.ending.value,
                "because": ended.because,
                "report": str(page),
                **summary,
            }
        )
    else:
        print_summaries([summary])
        for line in summary["freshness"]:
            print(line)
        if trace.workflow.open_loop is not None and code is Exit.DONE:
            print(_convergence(trace))
        for line in (*budgets_used(trace), ended.because):
            if line:
                print(line)
        print(f"{ended.ending.value}: {ended.directory}\nreport: {page}")
        again = resume_command(ended.directory, command)
        if code is Exit.FAILED:
            print("once the cause is mended (the description stays as it was), go on with:")
            print(f"  {again}")
            _print_failures(trace)
        elif code is not Exit.DONE:
            more = " --walltime TIME" if ended.because else ""
            print(f"go on with: {again}{more}")
    raise typer.Exit(code)


def _convergence(trace: Trace) -> str:
    """Return in words how an open loop came to its end."""
    if trace.converged_in is None:
        return f"not converged in {counted(trace.workflow.iterations, 'iteration')}"
    return f"converged in iteration {trace.converged_in}, {len(trace.dropped)} tasks dropped"


def _print_failures(trace: Trace) -> None:
    """Print why the last few tasks failed that had no retries left."""
    expansion = trace.expansion()
    finished = set(trace.task[trace.outcome == Outcome.FINISHED].tolist())
    tasks = trace.task.tolist()
    last = {tasks[row]: row for row in trace.reasons if tasks[row] not in finished}
    if len(last) > MOST_FAILURES:
        print(f"{len(last)} tasks failed, the last of them:", file=sys.stderr)
    for row in list(last.values())[-MOST_FAILURES:]:
        name = expansion.task_name(int(trace.task[row]))
        line = f"{name}, attempt {trace.attempt[row]}: {last_line(trace.reasons[row])}"
        print(printable(line), file=sys.stderr)


def summary_of(trace: Trace) -> dict[str, Any]:
    """Return what is said of every run, as plain values."""
    use = utilisation(trace)
    return {
        "mode": trace.mode,
        "kind": str(trace.kind),
        "tasks": trace.workflow.n_tasks,
        "finished": trace.n_finished,
        "forgiven": trace.n_forgiven,
        "dropped": len(trace.dropped),
        "converged_in": trace.converged_in,
        "ttx_s": trace.ttx_us / 1e6,
        "core_utilisation": use.cores,
        "gpu_utilisation": use.gpus,
        "core_executing": use.cores_executing,
        "gpu_executing": use.gpus_executing,
        "freshness": [str(one) for one in freshness(trace)],
    }


def print_summaries(summaries: Sequence[Mapping[str, Any]]) -> None:
    """Print a table with a line for each run."""
    table = Table()
    table.add_column("mode")
    for heading in ("finished", "TTX", "cores busy", "GPUs busy"):
        table.add_column(heading, justify="right")
    for one in summaries:
        table.add_row(
            f"{one['kind']}, {one['mode']}",
            f"{one['finished']} of {one['tasks'] - one['dropped']}",
            seconds(one["ttx_s"]),
            percent(one["core_utilisation"]),
            percent(one["gpu_utilisation"]),
        )
    Console().print(table)
