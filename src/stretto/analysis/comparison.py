"""Predicted beside measured, and the difference explained by its parts.

Any makespan splits exactly into three.  Walk back from the attempt that ended last: what was it
launched upon?  The latest end before its launch, or the attempt before it in the same bundle.  So
back to the first start.  Along this chain every moment of TTX is either *work* (an attempt runs),
*launching* (asked for, not yet started) or a *gap* (ended, the next not yet asked for).  The
difference of two makespans is then the sum of the differences of their parts: work is what the
durations of the tasks explain, launching and gaps are the engine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stretto.analysis.usage import Utilisation, utilisation
from stretto.trace import Kind, Outcome, Trace, interned
from stretto.units import us_to_seconds

__all__ = ["Comparison", "Parts", "Row", "compare", "overhead_us", "parts"]


class Parts(NamedTuple):
    """What a makespan consists of, in microseconds; the sum is TTX."""

    work_us: int
    launching_us: int
    gaps_us: int


@dataclass(frozen=True, slots=True)
class Row:
    """One trace among others.

    Parameters
    ----------
    name
        Given by the caller.
    ttx_us
        Makespan.
    improvement
        I = 1 - TTX / TTX of the sequential trace of the same kind (Eq. 5); `None` for want of one.
    overhead_us
        Mean time from launch to start; 0 if nothing ran.
    n_finished, n_failed
        Tasks that finished, attempts that failed.
    complete
        Whether nothing is left to do; failures within a budget are.
    """

    name: str
    kind: Kind
    mode: str
    ttx_us: int
    improvement: float | None
    utilisation: Utilisation
    overhead_us: float
    n_finished: int
    n_failed: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Traces side by side.

    Parameters
    ----------
    rows
        One a trace, in the order given.
    differences
        A sentence for every emulated or measured trace that has a simulated one of its mode.
    """

    rows: tuple[Row, ...]
    differences: tuple[str, ...]


def compare(traces: Mapping[str, Trace]) -> Comparison:
    """Return traces of one workflow side by side, with their differences explained.

    Parameters
    ----------
    traces
        By name.  Where several are of one kind and mode, the first is the one compared with.
    """
    first: dict[tuple[Kind, str], Trace] = {}
    for trace in traces.values():
        first.setdefault((trace.kind, trace.mode), trace)
    differences = [
        _difference(name, trace, first[Kind.SIMULATED, trace.mode])
        for name, trace in traces.items()
        if trace.kind is not Kind.SIMULATED
        and trace.complete
        and (Kind.SIMULATED, trace.mode) in first
    ]
    return Comparison(
        rows=tuple(
            _row(name, trace, first.get((trace.kind, "sequential")))
            for name, trace in traces.items()
        ),
        differences=tuple(differences),
    )


def parts(trace: Trace) -> Parts:
    """Return work, launching and gaps along the chain of attempts that made TTX what it is."""
    ran = np.flatnonzero((trace.started_us >= 0) & (trace.ended_us >= 0))
    if not len(ran):
        return Parts(0, 0, 0)
    asked_us, before = _asked(trace)
    by_end = ran[np.lexsort((ran, trace.ended_us[ran]))]
    ends_us = trace.ended_us[by_end]
    first_us = int(trace.started_us[ran].min())
    work_us = launching_us = gaps_us = 0
    row = int(by_end[-1])
    while True:
        started_us = int(trace.started_us[row])
        work_us += int(trace.ended_us[row]) - started_us
        at = int(np.searchsorted(ends_us, asked_us[row], side="right"))
        # An attempt of no length could be its own cause: look before it.
        while at and trace.started_us[by_end[at - 1]] >= started_us:
            at -= 1
        earlier = int(before[row]) if before[row] >= 0 else int(by_end[at - 1]) if at else -1
        if earlier < 0:
            return Parts(work_us, launching_us + started_us - first_us, gaps_us)
        launching_us += started_us - int(asked_us[row])
        gaps_us += int(asked_us[row]) - int(trace.ended_us[earlier])
        row = earlier


def overhead_us(trace: Trace) -> float:
    """Return the mean time from being asked for to running, in microseconds; 0 if nothing ran."""
    ran = trace.started_us >= 0
    if not ran.any():
        return 0.0
    asked_us, _ = _asked(trace)
    return float((trace.started_us - asked_us)[ran].mean())


def _asked(trace: Trace) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when each attempt could have started, and its predecessor in its bundle or -1.

    Attempts launched at one instant on the same slots are a bundle: they run one after another,
    and all but the first could only start once the one before had ended.
    """
    slots = interned(trace.placements).numbers
    order = np.lexsort((trace.started_us, slots, trace.launched_us))
    order = order[(trace.started_us[order] >= 0) & (trace.ended_us[order] >= 0)]
    earlier, later = order[:-1], order[1:]
    bundled = (slots[earlier] == slots[later]) & (
        trace.launched_us[earlier] == trace.launched_us[later]
    )
    bundled &= trace.ended_us[earlier] <= trace.started_us[later]
    before = np.full(len(trace), -1, dtype=np.int64)
    before[later[bundled]] = earlier[bundled]
    asked_us = trace.launched_us.copy()
    asked_us[later[bundled]] = trace.ended_us[earlier[bundled]]
    return asked_us, before


def _row(name: str, trace: Trace, sequential: Trace | None) -> Row:
    comparable = sequential is not None and sequential.complete and trace.complete
    return Row(
        name=name,
        kind=trace.kind,
        mode=trace.mode,
        ttx_us=trace.ttx_us,
        improvement=(
            1 - trace.ttx_us / sequential.ttx_us
            if sequential is not None and comparable and sequential.ttx_us
            else None
        ),
        utilisation=utilisation(trace),
        overhead_us=overhead_us(trace),
        n_finished=trace.n_finished,
        n_failed=int((trace.outcome == Outcome.FAILED).sum()),
        complete=trace.done,
    )


def _difference(name: str, trace: Trace, simulated: Trace) -> str:
    late_us = trace.ttx_us - simulated.ttx_us
    more = Parts(*(now - then for now, then in zip(parts(trace), parts(simulated), strict=True)))
    share = f" ({abs(late_us) / simulated.ttx_us:.1%})" if simulated.ttx_us else ""
    return (
        f"{name}: {us_to_seconds(abs(late_us)):.3g} s{share} "
        f"{'longer' if late_us >= 0 else 'shorter'} than simulated. Along the chain of attempts "
        f"that made the makespan, tasks at work account for {_signed(more.work_us)}, launching "
        f"for {_signed(more.launching_us)}, and gaps between an end and the next launch for "
        f"{_signed(more.gaps_us)}."
    )


def _signed(us: int) -> str:
    return f"{us_to_seconds(us):+.3g} s" if us else "0 s"
