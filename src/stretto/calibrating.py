"""Calibrate: from runs of our own and records of other engines to one calibration."""

from __future__ import annotations

from pathlib import Path

from stretto.analysis import Calibration, Observed, calibrated
from stretto.errors import WorkflowError
from stretto.records import Facts, Imported, import_record, read_facts
from stretto.trace import Kind, Trace, read_trace

__all__ = ["calibrate"]

GIVEN = "given"
"""An order that was given is no rule that another workflow could go by."""


def calibrate(*runs: str | Path | Trace | Imported) -> Calibration:
    """Return what runs tell about durations and about the engine.

    Parameters
    ----------
    runs
        Directories of runs, of our own or imported; files of other engines' records; traces; or
        what `import_record` returned.  All together make one calibration.

    Raises
    ------
    WorkflowError
        If one cannot be read, or nothing finished in any.
    """
    if not runs:
        raise WorkflowError("expected at least one run, found none")
    return calibrated([_observed(run) for run in runs])


def _observed(run: str | Path | Trace | Imported) -> Observed:
    match run:
        case Imported():
            return _recorded(run.facts.source, run.trace, run.facts)
        case Trace():
            return _own(run.workflow.name, run)
        case _:
            path = Path(run)
    if path.is_file():
        made = import_record(path)
        return _recorded(str(path), made.trace, made.facts)
    trace = read_trace(path / "journal.jsonl")
    facts = read_facts(path) if trace.kind is Kind.IMPORTED else None
    return _own(str(path), trace) if facts is None else _recorded(str(path), trace, facts)


def _recorded(name: str, trace: Trace, facts: Facts) -> Observed:
    known = any(one is not None for one in facts.worked_us)
    return Observed(
        name,
        trace,
        worked_us=facts.worked_us if known else None,
        asked_us=facts.asked_us,
        made_up_starts=facts.made_up_starts,
        made_up_durations=facts.made_up_durations,
        start_us=facts.start_us,
        stop_us=facts.stop_us,
        order=facts.order,
    )


def _own(name: str, trace: Trace) -> Observed:
    """Return one of our runs, whose time begins when the engine does and whose end is noted."""
    rule = None if trace.order.rule == GIVEN else trace.order.rule
    start_us = stop_us = None
    whole = trace.complete and not any(one.text == "resumed" for one in trace.notes)
    if whole and trace.notes and trace.kind is not Kind.SIMULATED:
        start_us = int(trace.launched_us.min())
        stop_us = max(0, trace.notes[-1].time_us - int(trace.ended_us.max()))
    return Observed(name, trace, start_us=start_us, stop_us=stop_us, order=rule)
