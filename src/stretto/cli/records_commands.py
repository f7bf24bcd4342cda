"""The commands around records of other engines: ``import`` and ``calibrate``."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from stretto.analysis import Calibration
from stretto.calibrating import calibrate as make_calibration
from stretto.cli.inputs import print_json
from stretto.cli.options import Json
from stretto.cli.texts import printable, seconds
from stretto.platform import Overheads
from stretto.records import FORMS, Imported, import_record
from stretto.records.describing import name_from
from stretto.units import counted, us_to_seconds

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("import")(import_)
    app.command("calibrate")(calibrate)


def import_(
    record: Annotated[
        Path, typer.Argument(metavar="RECORD", help="What another engine wrote of a run.")
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help=f"{', '.join(FORMS)}; recognised unless given."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Directory to make; runs/NAME by default.")
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option("--platform", help="Where it ran; the record's machines by default."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make another engine's record a directory that reads like a run."""
    directory = output or Path("runs") / name_from(record.stem)
    made = import_record(record, output=directory, format=form, platform=platform)
    values = _imported(made)
    if as_json:
        print_json(values)
        return
    print(
        printable(
            f"{values['workflow']} ({values['format']}): {values['finished']} of "
            f"{counted(values['tasks'], 'task')} finished, in "
            f"{counted(values['task_sets'], 'task set')}, TTX {seconds(values['ttx_s'])}"
        )
    )
    for sentence in values["told"]:
        print(printable(f"  {sentence}"))
    print(values["directory"])


def calibrate(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run directories, or records of other engines."),
    ],
    output: Annotated[Path, typer.Option(help="File to write.")] = Path("calibration.json"),
    as_json: Json = False,
) -> None:
    """Learn durations and overheads from runs, to predict others with."""
    made = make_calibration(*runs)
    made.write(output)
    if as_json:
        print_json(made.to_json())
        return
    for line in _terms(made):
        print(line)
    print(f"order: {made.order}")
    observed = sum(one.count for one in made.durations.values())
    print(
        f"durations of {counted(len(made.durations), 'task set')}, from "
        f"{counted(observed, 'finished task')}"
    )
    for sentence in made.told:
        print(printable(f"  {sentence}"))
    print(output)


def _imported(made: Imported) -> dict[str, Any]:
    return {
        "directory": str(made.directory),
        "format": made.facts.form,
        "workflow": made.workflow.name,
        "platform": made.platform.name,
        "tasks": made.workflow.n_tasks,
        "task_sets": len(made.workflow.task_sets),
        "finished": made.trace.n_finished,
        "attempts": len(made.trace),
        "ttx_s": us_to_seconds(made.trace.ttx_us),
        "order": made.facts.order,
        "told": list(made.facts.told),
    }


def _terms(made: Calibration) -> list[str]:
    """Return a line for each term of the overheads."""
    return [
        f"{one.name.removesuffix('_us'):>8}: "
        f"{seconds(us_to_seconds(getattr(made.overheads, one.name))):>10}  from "
        f"{counted(made.observations[one.name], 'observation')}"
        for one in fields(Overheads)
    ]
