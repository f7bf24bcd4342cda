"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stretto.scheduler import Mode

__all__ = [
    "CRITICAL_PATH",
    "ByOrder",
    "Calibrated",
    "File",
    "InMode",
    "Json",
    "MaybeByOrder",
    "OnInterface",
    "Overrun",
    "RunDir",
    "Seed",
    "Walltime",
    "Where",
]

CRITICAL_PATH = "critical-path"

File = Annotated[
    str, typer.Argument(metavar="FILE", help="A description (YAML or TOML), or paper:NAME.")
]
RunDir = Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")]
Where = Annotated[
    str | None,
    typer.Option("--platform", help="local, local:CORES, summit:16, or a file with nodes."),
]
_ORDER = typer.Option(
    "--order", metavar="ORDER", help="Which set goes first: a rule, or a file with an order."
)
ByOrder = Annotated[str, _ORDER]
MaybeByOrder = Annotated[str | None, _ORDER]
"""An order that is a calibration's, or by critical path, unless given."""
Calibrated = Annotated[
    Path | None,
    typer.Option("--calibration", metavar="FILE", help="What `stretto calibrate` has learned."),
]
Walltime = Annotated[
    str | None,
    typer.Option(
        "--walltime", metavar="TIME", help="How long it may take: 90s, 2h30m, 1:30:00, or seconds."
    ),
]
Overrun = Annotated[
    bool, typer.Option("--overrun", help="Start also what is not expected to end in time.")
]
OnInterface = Annotated[
    str,
    typer.Option(
        "--channel-interface",
        metavar="ADDRESS",
        help="Where channels listen: an address of this machine, or a network interface.",
    ),
]
InMode = Annotated[Mode, typer.Option("--mode", help="How much may overlap.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all that is drawn.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
