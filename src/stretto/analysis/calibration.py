"""Durations from a run: what each task set really took, as a distribution to predict with."""

from __future__ import annotations

from collections.abc import Mapping

from stretto.trace import Outcome, Trace
from stretto.workflow import Sample

__all__ = ["measured_durations"]

MOST_KEPT = 10_000
"""Limit on the observations kept of a set; beyond it every so manieth is taken."""


def measured_durations(trace: Trace) -> Mapping[str, Sample]:
    """Return, by task set, how long its finished tasks took, from start to end.

    Sets of which nothing finished are left out.
    """
    instances = trace.expansion().instances
    names = [instances[index].task_set.name for index in trace.instance()]
    observed: dict[str, list[int]] = {}
    rows = zip(names, trace.outcome, trace.started_us, trace.ended_us, strict=True)
    for name, outcome, started_us, ended_us in rows:
        if outcome == Outcome.FINISHED and started_us >= 0:
            observed.setdefault(name, []).append(int(ended_us - started_us))
    return {name: Sample(_thinned(sorted(values))) for name, values in observed.items()}


def _thinned(values: list[int]) -> tuple[int, ...]:
    step = -(-len(values) // MOST_KEPT)
    return tuple(values[::step])
