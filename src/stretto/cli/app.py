"""The commands.  Each is a few lines around a public function; readers take ``--json``."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from stretto.cli import deepdrivemd_commands, planning_commands, records_commands
from stretto.cli.endings import end, print_summaries, summary_of
from stretto.cli.exits import Exit
from stretto.cli.graph_view import GraphFormat, graph_text
from stretto.cli.inputs import PAPER, about, calibrated, print_json, workflow_of
from stretto.cli.options import (
    CRITICAL_PATH,
    ByOrder,
    Calibrated,
    File,
    InMode,
    Json,
    MaybeByOrder,
    OnInterface,
    Overrun,
    RunDir,
    Seed,
    Walltime,
    Where,
)
from stretto.cli.orders import order_named
from stretto.cli.progress import shown
from stretto.cli.remaining import walltime_left
from stretto.cli.state_view import run_replayed, state_to_json, story, task_named
from stretto.cli.texts import printable, resume_command, seconds
from stretto.errors import BackendError, StrettoError, WorkflowError
from stretto.platform import check_fits, platform_for
from stretto.report import write_report
from stretto.reporting import report_of
from stretto.running import LOOPBACK, cancel_run
from stretto.running import resume as resume_run
from stretto.running import run as run_workflow
from stretto.scheduler import Mode, Status, check_room
from stretto.simulator import simulate as simulate_workflow
from stretto.trace import Kind
from stretto.units import counted
from stretto.workflow import expand, write_workflow

__all__ = ["app", "main"]

app = typer.Typer(
    help="Plan, simulate and run ML-driven workflows asynchronously.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

STARTER = Path(__file__).parent / "starter"


def _print_version(asked: bool) -> None:
    if asked:
        print(f"stretto {version('stretto')}")
        raise typer.Exit


def main() -> None:
    """Run the command line; a user's error is one line, never a traceback."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except WorkflowError as error:
        _give_up(str(error), Exit.USAGE)
    except BackendError as error:
        _give_up(f"{error}{' (trying again may help)' * error.retryable}", Exit.FAILED)
    except StrettoError as error:
        _give_up(str(error), Exit.FAILED)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        # Nobody reads on; what is left in the buffers must not be written at the exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
    except OSError as error:
        _give_up(
            ": ".join(str(one) for one in (error.filename, error.strerror) if one), Exit.FAILED
        )


def _give_up(message: str, code: Exit) -> NoReturn:
    console = Console(stderr=True, soft_wrap=True)
    console.print(f"stretto: {message}", markup=False, highlight=False)
    sys.exit(code)


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Plan, simulate and run ML-driven workflows asynchronously."""


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR")] = Path("stretto-starter"),
) -> None:
    """Write a small workflow that runs, to start from."""
    if directory.exists() and any(directory.iterdir()):
        raise WorkflowError("is there already and not empty", source=str(directory))
    directory.mkdir(parents=True, exist_ok=True)
    for source in sorted(STARTER.glob("*.*")):
        shutil.copyfile(source, directory / source.name)
    print(
        f"{directory}/workflow.yaml is ready:\n"
        f"  stretto plan {directory}/workflow.yaml --platform local:2\n"
        f"  stretto run {directory}/workflow.yaml"
    )


@app.command()
def validate(file: File, platform: Where = None) -> None:
    """Check a description, and whether its tasks fit on a platform."""
    workflow = workflow_of(file)
    sets = counted(len(workflow.task_sets), "task set")
    line = f"{workflow.name}: {sets}, {counted(workflow.n_tasks, 'task')}"
    if platform is not None or workflow.platform is not None:
        with about(file):
            where = platform_for(workflow, platform)
            check_fits(workflow, where)
            check_room(workflow, where)
        line += f", every one fits on {where.name}"
    print(line)


@app.command()
def graph(
    file: File,
    form: Annotated[GraphFormat, typer.Option("--format")] = GraphFormat.TEXT,
    expanded: Annotated[bool, typer.Option(help="Print the description as understood.")] = False,
) -> None:
    """Show what waits for what."""
    workflow = workflow_of(file)
    print(write_workflow(workflow) if expanded else graph_text(workflow, form))


planning_commands.register(app)
records_commands.register(app)
deepdrivemd_commands.register(app)


@app.command()
def simulate(
    file: File,
    mode: Annotated[Mode | None, typer.Option("--mode", help="One mode; all unless given.")] = None,
    platform: Where = None,
    seed: Seed = 0,
    order: MaybeByOrder = None,
    calibration: Calibrated = None,
    walltime: Walltime = None,
    report: Annotated[Path | None, typer.Option(help="Write a report to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Play a workflow on a virtual clock, with the scheduler that would run it."""
    workflow, overheads, chosen = calibrated(workflow_of(file), order, calibration)
    modes = [mode] if mode is not None else list(Mode)
    left = walltime_left(walltime, emulated=True)
    with about(file):
        where = platform_for(workflow, platform)
        traces = [
            simulate_workflow(
                workflow,
                where,
                mode=one,
                seed=seed,
                overheads=overheads,
                order=chosen,
                walltime=left,
            )
            for one in modes
        ]
    if report is not None:
        write_report(report, traces, title=workflow.name)
    summaries = [summary_of(trace) for trace in traces]
    if as_json:
        print_json({"workflow": workflow.name, "platform": where.name, "modes": summaries})
    else:
        print_summaries(summaries)
        for trace in traces:
            for note in trace.notes:
                print(f"{trace.mode}: {note.text}")


@app.command()
def run(
    file: File,
    mode: InMode = Mode.ADAPTIVE,
    platform: Where = None,
    run_dir: Annotated[Path | None, typer.Option(help="Where to keep the run.")] = None,
    seed: Seed = 0,
    order: ByOrder = CRITICAL_PATH,
    emulate: Annotated[
        bool, typer.Option("--emulate", help="Replace every task by a timed stand-in.")
    ] = False,
    time_scale: Annotated[
        float, typer.Option(help="Workflow seconds in a real second, when emulating.")
    ] = 1.0,
    walltime: Walltime = None,
    overrun: Overrun = False,
    channel_interface: OnInterface = LOOPBACK,
    as_json: Json = False,
) -> None:
    """Run a workflow, on this machine or emulated."""
    if file.startswith(PAPER) and not emulate:
        raise WorkflowError("the paper's tasks have nothing to run; add --emulate", source=file)
    workflow = workflow_of(file)
    console = Console(stderr=as_json)
    expansion = expand(workflow)
    none = [0] * len(expansion.instances)
    left = walltime_left(walltime, emulated=emulate)
    with shown(console, expansion, none, none) as observe, about(file):
        ended = run_workflow(
            workflow,
            platform=platform,
            mode=mode,
            run_dir=run_dir,
            seed=seed,
            order=order_named(order),
            emulate=emulate,
            time_scale=time_scale,
            walltime=left,
            overrun=overrun,
            description=None if file.startswith(PAPER) else Path(file),
            observe=observe,
            channel_interface=channel_interface,
        )
    end(ended, as_json=as_json)


@app.command()
def resume(
    run_dir: RunDir,
    walltime: Walltime = None,
    overrun: Overrun = False,
    channel_interface: OnInterface = LOOPBACK,
    as_json: Json = False,
) -> None:
    """Go on with a run that was stopped, killed or had failed."""
    replay, _ = run_replayed(run_dir)
    counts = replay.state.wanted
    console = Console(stderr=as_json)
    left = walltime_left(walltime, emulated=replay.header.kind is Kind.EMULATED)
    with shown(console, replay.expansion, counts.finished, counts.dropped) as observe:
        ended = resume_run(
            run_dir,
            walltime=left,
            overrun=overrun,
            observe=observe,
            channel_interface=channel_interface,
        )
    end(ended, as_json=as_json)


@app.command()
def cancel(run_dir: RunDir) -> None:
    """End a run that is driven on this machine; it can be resumed."""
    cancel_run(run_dir)
    print(f"asked the run to end; go on with: {resume_command(run_dir)}")


@app.command()
def status(run_dir: RunDir, as_json: Json = False) -> None:
    """Say how far a run is; it may be on."""
    replay, driven = run_replayed(run_dir)
    state = state_to_json(replay, driven=driven)
    statuses = [one.name.lower() for one in Status]
    if as_json:
        print_json(state)
        return
    print(
        f"{state['workflow']} ({state['mode']}, {state['kind']}) {_how(state)}: "
        f"{state['finished']} of {state['tasks'] - state['dropped']} tasks finished, "
        f"{state['in_flight']} in flight, {state['failed']} failed, "
        + f"{state['forgiven']} forgiven, " * bool(state["forgiven"])
        + f"{state['dropped']} dropped, " * bool(state["dropped"])
        + f"after {seconds(state['time_s'])}"
    )
    rows = [row for row in state["sets"] if sum(row[one] for one in statuses) > row["dropped"]]
    shown_statuses = [
        one
        for one in statuses
        if one not in ("dropped", "leaving", "forgiven") or any(row[one] for row in rows)
    ]
    table = Table()
    table.add_column("task set", overflow="fold")
    for name in shown_statuses:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        counts = [str(row[name] or "·") for name in shown_statuses]
        table.add_row(f"{row['set']}\\[{row['iteration']}]", *counts)
    Console().print(table)
    if state["policy"] is not None:
        print(f"steered by {state['policy']}")
    for note in state["notes"]:
        print(note)
    if state["lost_nodes"]:
        print(f"lost nodes: {', '.join(state['lost_nodes'])}")


@app.command()
def report(
    run_dirs: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run directories.")],
    output: Annotated[Path | None, typer.Option(help="File; in the first run by default.")] = None,
    as_json: Json = False,
) -> None:
    """Write the report of one run, or of several side by side: predicted and measured."""
    made = report_of(*run_dirs, output=output)
    summaries = [summary_of(trace) for trace in made.traces]
    if as_json:
        print_json({"report": str(made.path), "runs": summaries, **summaries[0]})
    else:
        if len(summaries) > 1:
            print_summaries(summaries)
        print(made.path)


@app.command()
def explain(
    run_dir: RunDir,
    task: Annotated[str, typer.Argument(help="Such as simulation[2].17.")],
    as_json: Json = False,
) -> None:
    """Tell a task's story: when it was launched and where, or why it is not running."""
    replay, driven = run_replayed(run_dir)
    lines = list(story(replay, task_named(replay.expansion, task), driven=driven))
    if as_json:
        print_json({"task": task, "story": lines})
    else:
        print(printable("\n".join(lines)))


def _how(state: dict[str, Any]) -> str:
    """Return in words how a run is."""
    if state["driven"]:
        return "is on"
    if state["done"]:
        return "is done"
    if state["kind"] == Kind.IMPORTED:
        return "is the record of another engine"
    if state["in_flight"]:
        return "was killed (stretto resume goes on with it)"
    return "has failed" if state["failed"] else "has stopped (stretto resume goes on with it)"
