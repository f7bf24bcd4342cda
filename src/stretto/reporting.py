"""The report of a run directory: its trace, and beside it what was to be expected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stretto.model import model_of
from stretto.report import write_report
from stretto.simulator import simulate
from stretto.trace import Kind, Trace, read_trace
from stretto.units import us_to_seconds

__all__ = ["RunReport", "report_of"]


@dataclass(frozen=True, slots=True)
class RunReport:
    """A report that was written.

    Parameters
    ----------
    path
        The HTML file.
    trace
        What happened.
    predicted
        What was to be expected with the same seed; `None` where a duration is not known.
    """

    path: Path
    trace: Trace
    predicted: Trace | None


def report_of(run_dir: str | Path, *, output: Path | None = None) -> RunReport:
    """Write the report of a run, predicted beside measured, and return it.

    Parameters
    ----------
    run_dir
        The run's directory; the run may be on.
    output
        File to write; ``report.html`` in the run's directory unless given.

    Raises
    ------
    WorkflowError
        If there is no run.
    """
    directory = Path(run_dir)
    trace = read_trace(directory / "journal.jsonl")
    traces = [trace]
    predicted = None
    known = all(task_set.duration is not None for task_set in trace.workflow.task_sets)
    if known and trace.kind is not Kind.SIMULATED:
        predicted = simulate(trace.workflow, trace.platform, mode=trace.mode, seed=trace.seed)
        traces.insert(0, predicted)
    path = output or directory / "report.html"
    write_report(path, traces, title=trace.workflow.name, model=_model(trace))
    return RunReport(path, trace, predicted)


def _model(trace: Trace) -> dict[str, float | int | None]:
    model = model_of(trace.workflow, trace.platform)
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
