"""The report: one HTML file with everything in it, made from traces and from nothing else.

The file needs no network and runs no script.  Everything that comes from a user (names, reasons,
notes) is put in as text: the template escapes it, and figures are built by escaping too.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from stretto.analysis.comparison import Comparison, Row, compare
from stretto.analysis.freshness import freshness
from stretto.analysis.serials import attempt_name, serials
from stretto.analysis.tolerance import budgets_used
from stretto.report.axes import duration
from stretto.report.figures import Frame, in_use, timeline
from stretto.report.palette import OTHER, Colour, colours
from stretto.trace import Kind, Note, Outcome, Trace
from stretto.workflow import Dependency, TaskSet

__all__ = ["render", "write_report"]

MOST_REASONS = 30
"""Different reasons of failure that are told; of more only the number."""
MOST_REASON = 4000
"""Characters of a reason that are shown, counted from its end."""
MOST_NOTES = 100
MOST_SETS = 200
WIDEST_SCALE = 5
"""Traces share a time axis unless one is more than so many times as long as another."""

_NONE = "\N{EN DASH}"
_MODES = ("sequential", "asynchronous", "task-level", "adaptive")
_MODEL = (
    ("doa_dep", "DOA_dep", "independent branches less 1"),
    ("doa_width", "DOA_width", "most task sets side by side less 1"),
    ("doa_res", "DOA_res", "branches that fit the allocation less 1"),
    ("wla", "WLA", "workload-level asynchronicity, Eq. 1"),
)


def render(
    traces: Sequence[Trace], *, title: str | None = None, model: Mapping[str, Any] | None = None
) -> str:
    """Return the report on these traces, a complete HTML document.

    Parameters
    ----------
    traces
        Of one workflow, in the order in which they are shown; may be none.
    title
        Heading; the name of the workflow unless given.
    model
        Numbers of the closed formulas, any of ``doa_dep``, ``doa_width``, ``doa_res``, ``wla``,
        ``t_seq_s``, ``t_async_s`` and ``improvement``.
    """
    named = _named(traces)
    comparison = compare(named)
    palette = colours(traces)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters.update(duration=duration, percent=_percent)
    source = resources.files("stretto.report").joinpath("page.html.j2").read_text("utf-8")
    heading = title or (traces[0].workflow.name if traces else "Report")
    return environment.from_string(source).render(
        title=heading,
        trace=traces[0] if traces else None,
        headline=_headline(comparison),
        model=_model(model or {}),
        modes=_by_mode(comparison, model or {}),
        rows=comparison.rows,
        idles=any(row.utilisation.idles for row in comparison.rows),
        differences=comparison.differences,
        task_sets=_task_sets(named, palette),
        more_sets=max(0, len(palette) - MOST_SETS),
        legend=_legend(palette),
        sections=[
            _section(name, one, row, _span_us(one, traces), palette)
            for (name, one), row in zip(named.items(), comparison.rows, strict=True)
        ],
    )


def write_report(
    path: str | Path,
    traces: Sequence[Trace],
    *,
    title: str | None = None,
    model: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report to `path`, all of it or nothing, and return the path; see `render`."""
    target = Path(path)
    text = render(traces, title=title, model=model)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        # Made private by mkstemp; a report is for whoever may read the directory.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def _named(traces: Sequence[Trace]) -> dict[str, Trace]:
    named: dict[str, Trace] = {}
    for trace in traces:
        name = f"{trace.mode}, {trace.kind}".capitalize()
        again = sum(other.rpartition(" #")[0] == name or other == name for other in named)
        named[f"{name} #{again + 1}" if again else name] = trace
    return named


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{share * 100:.1f} %"


def _headline(comparison: Comparison) -> str | None:
    """Return what overlapping gained, of the most real traces that can tell."""
    for kind in (Kind.MEASURED, Kind.IMPORTED, Kind.EMULATED, Kind.SIMULATED):
        rows = [row for row in comparison.rows if row.kind is kind and row.improvement is not None]
        others = [row for row in rows if row.mode != "sequential"]
        if not others:
            continue
        sequential = next(row for row in rows if row.mode == "sequential")
        best = min(others, key=lambda row: row.ttx_us)
        gain = 1 - best.ttx_us / sequential.ttx_us
        if abs(gain) < 0.005:
            return f"Overlapping changes nothing ({kind}): {duration(best.ttx_us)} either way."
        return (
            f"{best.mode.capitalize()} execution takes {abs(gain):.1%} "
            f"{'less' if gain > 0 else 'more'} time than sequential ({kind}): "
            f"{duration(best.ttx_us)} instead of {duration(sequential.ttx_us)}."
        )
    return None


def _model(model: Mapping[str, Any]) -> list[tuple[str, str, object]]:
    return [
        (name, meaning, model[key]) for key, name, meaning in _MODEL if model.get(key) is not None
    ]


def _by_mode(comparison: Comparison, model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return, for each mode, TTX in microseconds and I: by formula, simulated, and real."""
    formula = {
        "sequential": (model.get("t_seq_s"), 0.0),
        "asynchronous": (model.get("t_async_s"), model.get("improvement")),
    }
    table = []
    for mode in _MODES:
        seconds, gain = formula.get(mode, (None, None))
        cells: dict[str, tuple[float, float | None] | None] = {
            "predicted": None if seconds is None else (float(seconds) * 1e6, gain)
        }
        for kind in Kind:
            row = next((r for r in comparison.rows if (r.kind, r.mode) == (kind, mode)), None)
            cells[kind.value] = None if row is None else (row.ttx_us, row.improvement)
        simulated = cells["simulated"]
        real = cells["measured"] or cells["imported"] or cells["emulated"]
        off = real[0] / simulated[0] - 1 if simulated and real and simulated[0] else None
        if sum(cell is not None for cell in cells.values()) > (len(comparison.rows) == 1):
            table.append({"mode": mode, "cells": cells, "off": off})
    return table


def _span_us(trace: Trace, traces: Sequence[Trace]) -> int:
    """Return the length of a trace's time axis: that of the longest trace it compares with."""
    own_us = _last_us(trace) - _begin_us(trace)
    spans_us = [_last_us(other) - _begin_us(other) for other in traces]
    near = [us for us in spans_us if us <= WIDEST_SCALE * own_us and own_us <= WIDEST_SCALE * us]
    return max([*near, own_us, 1])


def _begin_us(trace: Trace) -> int:
    started = trace.started_us[trace.started_us >= 0]
    return int(started.min()) if len(started) else 0


def _last_us(trace: Trace) -> int:
    columns = (trace.launched_us, trace.started_us, trace.ended_us)
    return max((int(column.max()) for column in columns if len(column)), default=0)


def _section(
    name: str, trace: Trace, row: Row, span_us: int, palette: Mapping[str, Colour]
) -> dict[str, Any]:
    frame = Frame(_begin_us(trace), span_us, palette)
    figures: list[tuple[str, Markup]] = []
    if (trace.started_us >= 0).any():
        figures = [("Tasks by task set", timeline(trace, frame))]
        figures += [
            (f"{resource[0].upper()}{resource[1:]} in use", in_use(trace, resource, frame))
            for resource, amount in (("cores", trace.platform.cores), ("GPUs", trace.platform.gpus))
            if amount and (resource == "cores" or _needs_gpus(trace))
        ]
    failures = _failures(trace)
    notes = _notes(trace)
    return {
        "name": name,
        "row": row,
        "trace": trace,
        "figures": figures,
        "freshness": freshness(trace),
        "failures": failures[:MOST_REASONS],
        "more_failures": max(0, len(failures) - MOST_REASONS),
        "budgets": budgets_used(trace),
        "notes": notes[:MOST_NOTES],
        "more_notes": max(0, len(notes) - MOST_NOTES),
    }


def _notes(trace: Trace) -> list[Note]:
    """Return what befell the run as a whole, the losses of nodes included, in order."""
    notes = list(trace.notes)
    for node, lost_us, returned_us in trace.outages:
        name = trace.platform.nodes[node].name
        notes.append(Note(lost_us, f"{name} was lost"))
        if returned_us is not None:
            notes.append(Note(returned_us, f"{name} was back"))
    return sorted(notes, key=lambda note: note.time_us)


def _needs_gpus(trace: Trace) -> bool:
    return any(task_set.resources.gpus_milli for task_set in trace.workflow.task_sets)


def _failures(trace: Trace) -> list[dict[str, Any]]:
    """Return failed attempts by set and reason, the most frequent first."""
    rows = np.flatnonzero(trace.outcome == Outcome.FAILED)
    numbers = serials(trace.workflow)
    finished = set(trace.task[trace.outcome == Outcome.FINISHED].tolist())
    groups: dict[tuple[int, str], list[int]] = {}
    for row, place in zip(rows.tolist(), numbers.place(trace.task[rows]).tolist(), strict=True):
        groups.setdefault((place, trace.reasons.get(row, "no reason was recorded")), []).append(row)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[1][0]))
    return [
        {
            "set": numbers.names[place],
            "reason": reason[-MOST_REASON:],
            "summary": (reason.strip().splitlines() or [""])[-1][:200],
            "attempts": len(own),
            "names": [attempt_name(trace, row) for row in own[:3]],
            "unfinished": len({int(trace.task[row]) for row in own} - finished),
        }
        for (place, reason), own in ordered
    ]


def _task_sets(named: Mapping[str, Trace], palette: Mapping[str, Colour]) -> list[dict[str, Any]]:
    """Return what each set is, what it was expected to take, and what it took in each trace."""
    if not named:
        return []
    workflow = next(iter(named.values())).workflow
    took = [_means_us(trace) for trace in named.values()]
    return [
        {
            "name": task_set.name,
            "colour": palette[task_set.name].value,
            "tasks": task_set.tasks,
            "needs": str(task_set.resources),
            "after": ", ".join(_waits_for(one) for one in task_set.after) or _NONE,
            "expected_us": _expected_us(task_set),
            "took_us": [means.get(task_set.name) for means in took],
        }
        for task_set in workflow.task_sets[:MOST_SETS]
    ]


def _expected_us(task_set: TaskSet) -> int | None:
    return None if task_set.duration is None else task_set.duration.mean_us


def _waits_for(dependency: Dependency) -> str:
    words = [dependency.on]
    if dependency.pattern != "all":
        words.append(f"({dependency.pattern})")
    if dependency.previous:
        words.append("of the previous iteration")
    if dependency.staleness:
        words.append(f"or {dependency.staleness} older")
    return " ".join(words)


def _means_us(trace: Trace) -> dict[str, float]:
    done = np.flatnonzero(trace.outcome == Outcome.FINISHED)
    numbers = serials(trace.workflow)
    place = numbers.place(trace.task[done])
    lengths = (trace.ended_us - trace.started_us)[done]
    count = np.bincount(place, minlength=len(numbers.names))
    total = np.bincount(place, weights=lengths, minlength=len(numbers.names))
    return {
        name: float(total[at] / count[at]) for at, name in enumerate(numbers.names) if count[at]
    }


def _legend(palette: Mapping[str, Colour]) -> list[tuple[str, str]]:
    own = [(name, colour.value) for name, colour in palette.items() if colour.own]
    others = len(palette) - len(own)
    return own + ([(f"{others} other task sets", OTHER)] if others else [])
