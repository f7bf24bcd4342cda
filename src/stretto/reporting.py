"""The report of a run directory: its trace, and beside it what was to be expected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stretto.errors import WorkflowError
from stretto.model import model_of
from stretto.report import write_report
from stretto.scheduler import Mode
from stretto.simulator import simulate
from stretto.trace import Trace, read_trace
from stretto.units import us_to_seconds

__all__ = ["RunReport", "report_of"]


@dataclass(frozen=True, slots=True)
class RunReport:
    """A report that was written.

    Parameters
    ----------
    path
        The HTML file.
    traces
        What happened, a trace for each run.
    """

    path: Path
    traces: tuple[Trace, ...]


def report_of(*run_dirs: str | Path, output: Path | None = None) -> RunReport:
    """Write the report of a run, or of several side by side, predicted beside measured.

    Parameters
    ----------
    run_dirs
        Directories of runs, which may be on.  With a sequential and an asynchronous one the
        report has the measured I.
    output
        File to write; ``report.html`` in the first run's directory unless given.

    Raises
    ------
    WorkflowError
        If there is no run.
    """
    traces = tuple(read_trace(Path(one) / "journal.jsonl") for one in run_dirs)
    first = traces[0]
    path = output or Path(run_dirs[0]) / "report.html"
    shown = [one for trace in traces for one in (*_predicted(trace), trace)]
    if Mode.SEQUENTIAL not in {trace.mode for trace in traces}:
        shown = [*_predicted(first, mode=Mode.SEQUENTIAL), *shown]
    write_report(path, shown, title=first.workflow.name, model=_model(first))
    return RunReport(path, traces)


def _predicted(trace: Trace, *, mode: str | None = None) -> list[Trace]:
    """Return what was to be expected with the same seed; nothing where a duration is unknown."""
    if not trace.workflow.durations_known:
        return []
    return [
        simulate(
            trace.workflow,
            trace.platform,
            mode=mode or trace.mode,
            seed=trace.seed,
            order=trace.order,
        )
    ]


def _model(trace: Trace) -> dict[str, float | int | None] | None:
    """Return what the formulas say; `None` for a loop too long for them, which still ran."""
    try:
        model = model_of(trace.workflow, trace.platform)
    except WorkflowError:
        return None
    t_seq_us, t_async_us = model.t_seq_us, model.t_async_us
    return {
        "doa_dep": model.doa_dep,
        "doa_width": model.doa_width,
        "doa_res": model.doa_res,
        "wla": model.wla,
        "t_seq_s": None if t_seq_us is None else us_to_seconds(t_seq_us),
        "t_async_s": None if t_async_us is None else us_to_seconds(t_async_us),
        "improvement": model.improvement,
    }
