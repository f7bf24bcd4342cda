"""What an engine cost in a run, term by term, by estimates that stragglers do not move.

Each term of `Overheads` is the median of what can be seen of it:

=========  =====================================================================================
launch     from asking to start: of each round the first start after it; in the record of another
           engine, of each task that had room from being asked for until it started
between    of each burst, the median step from a start to the one half a burst later, by its
           number of steps; weighted by them.  A burst is a round's starts; in a record, the
           starts of a set before anything else ends, since then none of them waited for room
task       of each task, what it held its slots longer than it worked, where both are known
stage      of each set that waits for whole sets and had room all the time, from the end of the
           last of them until its first task was asked for (started, where that is unknown); not
           of a run of our own engine: it takes up an end once, for the room that came free and
           for the sets that waited, so that nothing else can have the room in between
start,     around the run, where it is known when it began and was over
stop
=========  =====================================================================================

A term that cannot be seen is 0, with 0 observations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from stretto.analysis.room import Full, full
from stretto.platform import Overheads
from stretto.resources import Resources
from stretto.trace import Kind, Outcome, Trace
from stretto.workflow import Expansion, Pattern

__all__ = ["Observed", "Term", "costs", "timed", "worked_known"]

MOST_SHAPES = 32
"""Limit on the shapes whose room is followed; what other sets waited for is not looked at."""
_OWN_ENGINE = (Kind.MEASURED, Kind.EMULATED)
_NEVER_US = np.iinfo(np.int64).max // 4

Column = NDArray[np.int64]
Seen = tuple[int, int]
"""A value in microseconds, and its weight."""


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """One run, with what is known of it beyond its trace.

    Parameters
    ----------
    name
        Where it is from.
    trace
        What happened.
    worked_us, asked_us
        By serial number of the task: what it worked, and when it was asked for; `None`, each or
        all, where nobody knows.
    made_up_starts, made_up_durations
        Serial numbers of tasks whose starts, or whose durations, nobody knows, whatever the trace
        says.
    start_us, stop_us
        What the engine took around the run, where that is known.
    order
        The rule by which the engine chose, where that is known.
    """

    name: str
    trace: Trace
    worked_us: Sequence[int | None] | None = None
    asked_us: Sequence[int | None] | None = None
    made_up_starts: Sequence[int] = ()
    made_up_durations: Sequence[int] = ()
    start_us: int | None = None
    stop_us: int | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """An estimate in microseconds, and the number of observations that it rests on."""

    value_us: int = 0
    observations: int = 0


def costs(runs: Sequence[Observed]) -> Mapping[str, Term]:
    """Return an estimate of each term of `Overheads`, by its name, from all runs together."""
    seen: dict[str, list[Seen]] = {one.name: [] for one in fields(Overheads)}
    worked = worked_known(runs)
    for run in runs:
        rooms = _rooms(run.trace)
        seen["launch_us"] += _launches(run, rooms)
        seen["between_us"] += _bursts(run)
        if run.trace.kind not in _OWN_ENGINE:
            seen["stage_us"] += _stages(run, rooms)
        if worked:
            seen["task_us"] += _beyond_work(run)
        for name, value in (("start_us", run.start_us), ("stop_us", run.stop_us)):
            if value is not None:
                seen[name].append((value, 1))
    return {name: _term(values) for name, values in seen.items()}


def worked_known(runs: Sequence[Observed]) -> bool:
    """Return whether it is known of every finished task what it worked."""
    return all(
        run.worked_us is not None
        and all(run.worked_us[task] is not None for task in run.trace.task[timed(run)].tolist())
        for run in runs
    )


def timed(run: Observed) -> Column:
    """Return the rows of finished attempts of which it is known how long they took."""
    trace = run.trace
    known = ~np.isin(trace.task, run.made_up_durations)
    return np.flatnonzero((trace.outcome == Outcome.FINISHED) & (trace.started_us >= 0) & known)


def _started(run: Observed) -> Column:
    """Return the rows of first attempts of which it is known when they started."""
    trace = run.trace
    known = ~np.isin(trace.task, run.made_up_starts)
    return np.flatnonzero((trace.started_us >= 0) & (trace.attempt == 1) & known)


def _term(seen: Sequence[Seen]) -> Term:
    """Return the weighted median, not below 0, and the weight it rests on."""
    values = sorted(seen)
    total = sum(weight for _, weight in values)
    below = 0
    for at, (value, weight) in enumerate(values):
        below += weight
        if 2 * below > total:
            return Term(max(0, value), total)
        if 2 * below == total:
            return Term(max(0, round((value + values[at + 1][0]) / 2)), total)
    return Term()


def _rooms(trace: Trace) -> Mapping[Resources, Full]:
    shapes = dict.fromkeys(one.resources for one in trace.workflow.task_sets)
    return full(trace, list(shapes)[:MOST_SHAPES])


def _launches(run: Observed, rooms: Mapping[Resources, Full]) -> Iterator[Seen]:
    trace = run.trace
    if trace.kind is not Kind.IMPORTED:
        for rows in _groups(trace.launched_us, np.flatnonzero(trace.started_us >= 0)):
            yield int(trace.started_us[rows].min() - trace.launched_us[rows[0]]), 1
    elif run.asked_us is not None:
        instances = trace.expansion().instances
        of_row = trace.instance()
        for row in _started(run).tolist():
            asked_us = run.asked_us[int(trace.task[row])]
            spans = rooms.get(instances[of_row[row]].task_set.resources)
            started_us = int(trace.started_us[row])
            if asked_us is None or spans is None or asked_us > started_us:
                continue
            if not spans.between(asked_us, started_us):
                yield started_us - asked_us, 1


def _bursts(run: Observed) -> Iterator[Seen]:
    trace = run.trace
    if trace.kind is not Kind.IMPORTED:
        for rows in _groups(trace.launched_us, np.flatnonzero(trace.started_us >= 0)):
            yield from _step(_without_followers(trace, rows))
        return
    ends_us = np.sort(trace.ended_us[trace.ended_us >= 0])
    for rows in _groups(trace.instance(), _started(run)):
        starts_us = np.sort(trace.started_us[rows])
        next_end = int(np.searchsorted(ends_us, starts_us[0], side="right"))
        until_us = ends_us[next_end] if next_end < len(ends_us) else _NEVER_US
        yield from _step(starts_us[starts_us < until_us])


def _groups(keys: Column, rows: Column) -> Iterator[Column]:
    """Yield the rows with equal keys, the keys ascending."""
    order = rows[np.lexsort((rows, keys[rows]))]
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    yield from (one for one in np.split(order, edges) if len(one))


def _without_followers(trace: Trace, rows: Column) -> Column:
    """Return the starts of a round in order, of each bundle only the first."""
    first: dict[object, int] = {}
    for row in rows.tolist():
        started_us = int(trace.started_us[row])
        slots = trace.placements[row]
        first[slots] = min(started_us, first.get(slots, started_us))
    return np.sort(np.array(list(first.values()), dtype=np.int64))


def _step(starts_us: Column) -> Iterator[Seen]:
    """Yield the typical time from one start to the next, unless there is only one."""
    count = len(starts_us)
    if count > 1:
        half = count // 2
        steps = (starts_us[half:] - starts_us[: count - half]) / half
        yield round(float(np.median(steps))), count - 1


def _beyond_work(run: Observed) -> Iterator[Seen]:
    trace = run.trace
    assert run.worked_us is not None
    for row in timed(run).tolist():
        worked_us = run.worked_us[int(trace.task[row])]
        assert worked_us is not None
        yield int(trace.ended_us[row] - trace.started_us[row]) - worked_us, 1


def _stages(run: Observed, rooms: Mapping[Resources, Full]) -> Iterator[Seen]:
    trace = run.trace
    expansion = trace.expansion()
    finished = trace.outcome == Outcome.FINISHED
    over_us = np.full(expansion.n_tasks, _NEVER_US, dtype=np.int64)
    over_us[trace.task[finished]] = trace.ended_us[finished]
    first = _started(run)
    over_us[list(run.made_up_starts)] = _NEVER_US
    asked_us = np.full(expansion.n_tasks, _NEVER_US, dtype=np.int64)
    started_us = np.full(expansion.n_tasks, _NEVER_US, dtype=np.int64)
    asked_us[trace.task[first]] = trace.launched_us[first]
    started_us[trace.task[first]] = trace.started_us[first]
    if run.asked_us is not None:
        for task, moment_us in enumerate(run.asked_us):
            if moment_us is not None and asked_us[task] < _NEVER_US:
                asked_us[task] = min(moment_us, asked_us[task])
    for consumer, producers in _gates(expansion, trace.mode):
        free_us = max(int(over_us[_tasks(expansion, one)].max()) for one in producers)
        own = _tasks(expansion, consumer)
        begins_us = int(started_us[own].min())
        spans = rooms.get(expansion.instances[consumer].task_set.resources)
        if spans is None or free_us >= _NEVER_US or begins_us >= _NEVER_US:
            continue
        if not spans.between(free_us, begins_us):
            yield max(0, int(asked_us[own].min()) - free_us), 1


def _tasks(expansion: Expansion, index: int) -> slice:
    instance = expansion.instances[index]
    return slice(instance.first_task, instance.first_task + instance.count)


def _gates(expansion: Expansion, mode: str) -> Iterator[tuple[int, list[int]]]:
    """Yield each set that waits for nothing but whole sets, with those."""
    if mode == "sequential":
        for before, after in zip(expansion.stages, expansion.stages[1:], strict=False):
            for consumer in after:
                yield consumer, list(before)
        return
    for instance in expansion.instances:
        edges = [edge for edge in instance.edges if edge.gate is not None]
        whole = mode == "asynchronous" or all(edge.pattern is Pattern.ALL for edge in edges)
        if edges and whole:
            yield instance.index, [edge.gate for edge in edges if edge.gate is not None]
