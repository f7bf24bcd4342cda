"""The quickstart: a real DeepDriveMD loop in three modes, predicted and measured, on one page."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from rich.console import Console

from stretto.apps.deepdrivemd.comparing import Comparison, compare, compared_table
from stretto.apps.deepdrivemd.configuring.reading import read_configuration
from stretto.apps.deepdrivemd.figures import write_page
from stretto.apps.deepdrivemd.figures.progress import progress
from stretto.apps.deepdrivemd.figures.runs import read_run

__all__ = ["quickstart"]


def quickstart(folder: Path, *, console: Console) -> Path:
    """Run the shipped loop in all modes under `folder` and return the path of the report.

    Raises
    ------
    StrettoError
        If a stage fails for good, or a run is stopped.
    """
    with as_file(files("stretto.apps.deepdrivemd") / "quickstart.yaml") as path:
        configuration = read_configuration(path)
    compared = compare(
        configuration, folder, say=lambda line: console.print(f"{line} …", markup=False)
    )
    console.print(compared_table(compared))
    for line in _coverage(compared):
        console.print(line, markup=False)
    return write_page(compared.directories, folder / "report.html")


def _coverage(compared: Comparison) -> list[str]:
    lines = []
    for mode, one in compared.modes.items():
        curve = progress(read_run(one.directory), "torsions").by_simulated["cells"]
        lines.append(f"{mode}: {curve.values[-1]:.0f} of 144 cells of (phi, psi) visited")
    return lines
