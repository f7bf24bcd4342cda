"""The page: what runs of DeepDriveMD have found, in one file of HTML without scripts.

It has everything in it, the engine's own report of the runs included, and can be sent by mail.
Whatever cannot be read or drawn is named, and the rest is shown.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from stretto import StrettoError, WorkflowError, report_of
from stretto.apps.deepdrivemd.figures import cells
from stretto.apps.deepdrivemd.figures.ages import ages
from stretto.apps.deepdrivemd.figures.densities import densities
from stretto.apps.deepdrivemd.figures.drawing import (
    draw_ages,
    draw_densities,
    draw_losses,
    draw_progress,
)
from stretto.apps.deepdrivemd.figures.progress import progress
from stretto.apps.deepdrivemd.figures.runs import RunFiles, read_run
from stretto.apps.deepdrivemd.figures.summary import names_of, summary
from stretto.apps.deepdrivemd.files import write_text

__all__ = ["write_page"]

_NONE = "\N{EN DASH}"
_SPACES = {
    "torsions": f"cells of {360 // cells.TORSION_BINS} by {360 // cells.TORSION_BINS} degrees of "
    "the backbone torsions φ and ψ, those of each residue",
    "nearness": f"cells of {cells.RMSD_WIDTH_NM:g} nm of RMSD from the reference by "
    f"{cells.NATIVE_WIDTH:g} of native contacts",
    "latent": f"cells of {cells.LATENT_WIDTH:g} standard deviations of the newest model's latent "
    "space; each run has a space of its own, so that their coverage cannot be compared",
}


def write_page(run_dirs: Sequence[Path], path: Path) -> Path:
    """Write the report of some runs to `path`, all of it or nothing, and return the path.

    Parameters
    ----------
    run_dirs
        Directories of runs, in the order in which they are shown.  They may be on or have failed,
        and files of them may be missing or damaged: the page names those.
    path
        The HTML file.

    Raises
    ------
    WorkflowError
        If there is no directory, or a library is not installed.
    """
    if not run_dirs:
        raise WorkflowError("expected the directory of at least one run, found none")
    runs = [read_run(one) for one in run_dirs]
    names = names_of(runs)
    molecule = next((run.molecule for run in runs if run.molecule is not None), None)
    shown = {
        name: run for name, run in zip(names, runs, strict=True) if run.molecule in (None, molecule)
    }
    others = [name for name in names if name not in shown]
    space = cells.space_of(list(shown.values()))
    engine, unread = _engine_reports(names, runs)
    source = resources.files(__package__).joinpath("page.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters.update(time=_time, simulated=_simulated, number=_number, share=_share)
    text = environment.from_string(source).render(
        title=_title(runs[0].source),
        source=runs[0].source,
        rows=[summary(run, name) for name, run in zip(names, runs, strict=True)],
        problems=[problem for run in runs for problem in run.problems] + unread,
        others=others,
        progress=_image(draw_progress({name: progress(run, space) for name, run in shown.items()})),
        space=None if space is None else _SPACES[space],
        ages=_image(draw_ages({name: ages(run) for name, run in zip(names, runs, strict=True)})),
        sections=[_section(name, run) for name, run in zip(names, runs, strict=True)],
        engine=engine,
    )
    write_text(path, text)
    return path


def _section(name: str, run: RunFiles) -> dict[str, Any]:
    found = densities(run)
    torsions = bool(found) and found[0].torsions
    return {
        "name": name,
        "folder": str(run.folder),
        "densities": _image(draw_densities(found, kind="frames")),
        "torsions": torsions,
        "few": cells.few_residues(run),
        "more": len(found) < len(run.iterations),
        "losses": _image(draw_losses(run.models)),
    }


def _engine_reports(
    names: Sequence[str], runs: Sequence[RunFiles]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the engine's reports, whose each is first, and what could not be read.

    Runs whose task sets differ, or their molecule, would be no comparison and have reports apart.
    """
    groups: dict[tuple[object, ...], list[tuple[str, Path]]] = {}
    for name, run in zip(names, runs, strict=True):
        if run.trace is not None:
            sets = tuple((one.name, one.tasks) for one in run.trace.workflow.task_sets)
            groups.setdefault((run.molecule, sets), []).append((name, run.folder))
    pages, unread = [], []
    with tempfile.TemporaryDirectory(prefix="stretto-report-") as folder:
        for group in groups.values():
            output = Path(folder) / "report.html"
            try:
                report_of(*(folder for _, folder in group), output=output)
            except StrettoError as error:
                unread.append(str(error))
                continue
            pages.append(("; ".join(name for name, _ in group), output.read_text("utf-8")))
    return pages, unread


def _title(source: str | None) -> str:
    """Return the heading; where a structure is from follows its name after a comma."""
    return f"DeepDriveMD: {source.partition(',')[0]}" if source else "DeepDriveMD"


def _image(svg: str | None) -> str | None:
    """Return a figure as an address that holds all of it."""
    if svg is None:
        return None
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _time(us: int | None) -> str:
    if us is None:
        return _NONE
    seconds = us / 1e6
    if seconds < 600:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 36_000 else f"{seconds / 3600:.1f} h"


def _simulated(ps: float) -> str:
    return (
        f"{ps:.4g} ps" if ps < 1e4 else f"{ps / 1e3:.4g} ns" if ps < 1e7 else f"{ps / 1e6:.4g} µs"
    )


def _number(value: float | None, digits: int) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return _NONE if value is None else f"{value * 100:.0f} %"
