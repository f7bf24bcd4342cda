"""The quickstart: a real DeepDriveMD loop, sequential and asynchronous, predicted and measured.

One iteration is run to learn how long the stages take here.  With these durations both modes are
predicted, and then run from the same description.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from rich.console import Console
from rich.table import Table

from stretto import (
    Mode,
    Run,
    StrettoError,
    Trace,
    Workflow,
    measured_durations,
    plan,
    read_workflow,
    run,
    simulate,
    write_report,
)
from stretto.apps.deepdrivemd.coverage import coverage

__all__ = ["Measured", "quickstart"]

PLATFORM = "local:2"
"""Two cores, so that the story is the same on every machine."""
BINS = 12
"""Cells of the coverage along phi and along psi, 30 degrees each."""
MODES = (Mode.SEQUENTIAL, Mode.ASYNCHRONOUS)


@dataclass(frozen=True, slots=True)
class Measured:
    """One mode, as it was predicted and as it was."""

    predicted: Trace
    measured: Trace
    directory: Path


def quickstart(folder: Path, *, console: Console, seed: int = 2026) -> Path:
    """Run the loop in both modes under `folder` and return the path of the report.

    Raises
    ------
    StrettoError
        If a stage fails for good, or a run is stopped.
    """
    with as_file(files("stretto.apps.deepdrivemd") / "workflow.yaml") as path:
        workflow = read_workflow(path)
    console.print("One iteration, to learn how long the stages take on this machine …")
    first = _run(workflow.with_iterations(1), Mode.SEQUENTIAL, folder / "calibration", seed)
    known = workflow.with_durations(measured_durations(first.trace))
    results = {}
    for mode in MODES:
        predicted = simulate(known, first.trace.platform, mode=mode, seed=seed)
        console.print(
            f"{workflow.iterations} iterations, {mode}: "
            f"{predicted.ttx_us / 1e6:.1f} s predicted, running …"
        )
        ended = _run(known, mode, folder / str(mode), seed)
        results[mode] = Measured(predicted, ended.trace, ended.directory)
    console.print(_table(results))
    console.print(_coverage(results))
    report = folder / "report.html"
    _write_report(report, known, results)
    return report


def _run(workflow: Workflow, mode: Mode, run_dir: Path, seed: int) -> Run:
    ended = run(workflow, platform=PLATFORM, mode=mode, run_dir=run_dir, seed=seed)
    if not ended.trace.complete:
        raise StrettoError(
            f"the {mode} run has {ended.ending.value}; see stretto status {ended.directory}, "
            f"and go on with stretto resume {ended.directory}"
        )
    return ended


def _table(results: dict[Mode, Measured]) -> Table:
    table = Table(title="Makespan (TTX) and improvement (I)", title_justify="left")
    for heading in ("mode", "TTX predicted", "TTX measured", "I predicted", "I measured"):
        table.add_column(heading, justify="left" if heading == "mode" else "right")
    baseline = results[Mode.SEQUENTIAL]
    for mode, result in results.items():
        table.add_row(
            str(mode),
            f"{result.predicted.ttx_us / 1e6:.1f} s",
            f"{result.measured.ttx_us / 1e6:.1f} s",
            f"{1 - result.predicted.ttx_us / baseline.predicted.ttx_us:+.3f}",
            f"{1 - result.measured.ttx_us / baseline.measured.ttx_us:+.3f}",
        )
    return table


def _coverage(results: dict[Mode, Measured]) -> str:
    lines = []
    for mode, result in results.items():
        visited = ", ".join(str(one.visited) for one in coverage(result.directory, bins=BINS))
        lines.append(f"{mode}: {visited} of {BINS**2} cells of (phi, psi) visited by iteration")
    return "\n".join(lines)


def _write_report(path: Path, workflow: Workflow, results: dict[Mode, Measured]) -> None:
    traces = [trace for result in results.values() for trace in (result.predicted, result.measured)]
    values = plan(workflow, platform=PLATFORM).to_json()
    keys = ("doa_dep", "doa_width", "doa_res", "wla", "t_seq_s", "t_async_s", "improvement")
    write_report(
        path,
        traces,
        title="DeepDriveMD on alanine dipeptide",
        model={key: values[key] for key in keys},
    )
