"""The commands of DeepDriveMD: ``stretto deepdrivemd init | run | resume | continue | …``.

What computes is imported by the workers; matplotlib only when a page is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stretto.apps.deepdrivemd.campaign import (
    Observer,
    begun,
    configuration_of,
    continued,
    has_run,
)
from stretto.apps.deepdrivemd.campaign import resume as resume_loop
from stretto.apps.deepdrivemd.campaign import run as run_loop
from stretto.apps.deepdrivemd.comparing import compare as compare_modes
from stretto.apps.deepdrivemd.comparing import compared_table
from stretto.apps.deepdrivemd.configuring import Configuration
from stretto.apps.deepdrivemd.configuring.reading import read_configuration
from stretto.apps.deepdrivemd.lineage import Frame
from stretto.apps.deepdrivemd.loop import workflow_of
from stretto.apps.deepdrivemd.provenance import told, trace_back
from stretto.apps.deepdrivemd.starting import starting, write_starting
from stretto.cli.endings import end
from stretto.cli.options import Json, Overrun, RunDir, Walltime
from stretto.cli.progress import shown
from stretto.cli.remaining import walltime_left
from stretto.cli.state_view import run_replayed
from stretto.cli.texts import printable
from stretto.errors import WorkflowError
from stretto.running import Run
from stretto.scheduler import Mode
from stretto.workflow import Workflow, expand

__all__ = ["register"]

commands = typer.Typer(
    help="DeepDriveMD: simulate molecules, learn from them, choose where to go on.",
    no_args_is_help=True,
)

PAGE = "deepdrivemd.html"
_FRAME = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})")


class Representation(StrEnum):
    """How a molecule is represented."""

    ALL_ATOM = "all-atom"
    GO = "go"


NewDir = Annotated[Path | None, typer.Option("--run-dir", help="Where to keep the run.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(commands, name="deepdrivemd")


@commands.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR")],
    molecule: Annotated[
        str | None, typer.Option(help="alanine-dipeptide (the default), or another shipped one.")
    ] = None,
    pdb: Annotated[Path | None, typer.Option(help="A PDB file of yours.")] = None,
    sequence: Annotated[
        str | None, typer.Option(help="A peptide in one-letter code, to be built.")
    ] = None,
    representation: Annotated[
        Representation, typer.Option(help="All atoms, or a Gō model.")
    ] = Representation.ALL_ATOM,
) -> None:
    """Write a configuration with comments, to start from."""
    if sum(one is not None for one in (molecule, pdb, sequence)) > 1:
        raise WorkflowError("expected one of --molecule, --pdb and --sequence, found several")
    if pdb is not None and not pdb.is_file():
        raise WorkflowError("there is no such file", source=str(pdb))
    configuration = starting(
        molecule=pdb.name if pdb is not None else molecule,
        sequence=sequence,
        representation=representation,
    )
    path = write_starting(configuration, directory, pdb=pdb)
    print(f"{path} is ready:\n  stretto deepdrivemd run {path}")


@commands.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="CONFIG", help="A configuration.")],
    mode: Annotated[Mode | None, typer.Option(help="How much may overlap.")] = None,
    run_dir: NewDir = None,
    platform: Annotated[str | None, typer.Option(help="local, or local:CORES.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of all that is drawn.")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="How often it turns.")] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="One iteration to learn durations; then all modes, as predicted."
        ),
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Compare with plain MD of the same length, too.")
    ] = False,
    walltime: Walltime = None,
    overrun: Overrun = False,
    as_json: Json = False,
) -> None:
    """Run a loop, on this machine; what is given here goes before the configuration."""
    configuration = read_configuration(file).looped(
        mode=mode, platform=platform, seed=seed, iterations=iterations
    )
    if compare:
        _compare(configuration, run_dir, [mode] if mode else None, plain)
        return
    if plain:
        raise WorkflowError(
            "--plain goes with --compare; alone, plain MD is inference.strategy: continue"
        )
    left = walltime_left(walltime, emulated=False)
    _run(configuration, run_dir, left, overrun, as_json)


@commands.command()
def resume(
    run_dir: RunDir, walltime: Walltime = None, overrun: Overrun = False, as_json: Json = False
) -> None:
    """Go on with a run that was stopped, killed or had failed."""
    configuration_of(run_dir)
    console = Console(stderr=as_json)
    left = walltime_left(walltime, emulated=False)
    if not has_run(run_dir):
        _run(configuration_of(run_dir), run_dir, left, overrun, as_json)
        return
    replay, _ = run_replayed(run_dir)
    counts = replay.state.wanted
    with shown(console, replay.expansion, counts.finished, counts.dropped) as observe:
        ended = resume_loop(run_dir, walltime=left, overrun=overrun, observe=observe)
    _end(ended, as_json)


@commands.command("continue")
def continue_(
    run_dir: RunDir,
    iterations: Annotated[int, typer.Option(min=1, help="How many more.")],
    new: NewDir = None,
    walltime: Walltime = None,
    overrun: Overrun = False,
    as_json: Json = False,
) -> None:
    """Turn the loop of a run some times more, in a new directory that shares its data."""
    configuration, directory = continued(run_dir, iterations=iterations, run_dir=new)
    left = walltime_left(walltime, emulated=False)
    _run(configuration, directory, left, overrun, as_json)


@commands.command()
def report(
    run_dirs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")],
    output: Annotated[
        Path | None, typer.Option(help=f"File; {PAGE} in the first run by default.")
    ] = None,
) -> None:
    """Write one page on what runs have found, and how long they took."""
    print(_page(run_dirs, output or run_dirs[0] / PAGE))


@commands.command()
def trace(
    run_dir: RunDir,
    frame: Annotated[str, typer.Argument(metavar="ITERATION.SIMULATION.FRAME")],
) -> None:
    """Say where a frame came from: simulations, models and frames, back to the beginning."""
    found = _FRAME.fullmatch(frame)
    if found is None:
        raise WorkflowError(f"expected a frame such as 2.0.117, found {frame!r}")
    way = trace_back(run_dir, Frame(*map(int, found.groups())))
    print(printable(told(way)), end="")


def _run(
    configuration: Configuration,
    run_dir: Path | None,
    walltime: float | None,
    overrun: bool,
    as_json: bool,
) -> None:
    console = Console(stderr=as_json)
    directory = begun(configuration, run_dir)
    with _shown(console, workflow_of(configuration)) as observe:
        ended = run_loop(
            configuration, run_dir=directory, walltime=walltime, overrun=overrun, observe=observe
        )
    _end(ended, as_json)


@contextmanager
def _shown(console: Console, workflow: Workflow) -> Iterator[Observer]:
    expansion = expand(workflow)
    none = [0] * len(expansion.instances)
    with shown(console, expansion, none, none) as observe:
        yield observe


def _end(ended: Run, as_json: bool) -> None:
    end(
        ended,
        as_json=as_json,
        report=lambda directory: _page([directory], directory / PAGE),
        command="deepdrivemd resume",
    )


def _page(run_dirs: list[Path], path: Path) -> Path:
    from stretto.apps.deepdrivemd.figures import write_page  # only here: it takes matplotlib

    return write_page(run_dirs, path)


def _compare(
    configuration: Configuration, run_dir: Path | None, modes: list[Mode] | None, plain: bool
) -> None:
    console = Console(highlight=False)
    folder = run_dir or Path("runs") / f"{configuration.loop.name}-compared"
    chosen = {} if modes is None else {"modes": [Mode.SEQUENTIAL, *modes]}
    compared = compare_modes(
        configuration,
        folder,
        plain=plain,
        say=lambda line: console.print(line, markup=False),
        observing=lambda workflow: _shown(console, workflow),
        **chosen,
    )
    console.print(compared_table(compared))
    print(f"report: {_page(compared.directories, folder / PAGE)}")
