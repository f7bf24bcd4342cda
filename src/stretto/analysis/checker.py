"""Whether a trace was legal: read from the trace alone, by other means than it was made.

The checker shares no code with the scheduler, nor the unrolled loop that the scheduler works on.
It knows the description, the platform and the columns of the trace, and says of each rule which
attempts broke it:

- columns are well formed; launched, started and ended come in this order;
- attempts of a task are numbered from 1, one after another, none after it has finished, and no
  more of them failed than its retries allow since the run was last resumed;
- the spans in which an attempt said that it waited lie within it, one after another;
- an attempt lies on exactly what its set needs, on cores and GPUs that exist;
- no core is held twice at any instant, no GPU beyond all of it, no node's memory and no named
  resource of it beyond all there is;
- nothing is launched before what it waits for has finished: own inputs, whole sets or stages,
  as the mode says; carried input is as old as recorded, and no older than allowed; of a quorum
  enough is recorded, and nothing that had not finished;
- sets that must run at once were launched at one instant, all or none, and in no attempt did some
  of them finish and others fail;
- nothing is dropped but for a reason that the description and the results give, nothing is launched
  that is not wanted, and what decides has said so (see `drops`);
- nothing is on a node while it is lost; a set is forgiven no more failures than its budget allows,
  and nothing runs without any of the results that it uses (see `absences`);
- a complete run took no less than its critical path and its area, and no more than all of its
  attempts one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stretto.analysis.absences import on_lost_nodes, pardoned_us, without_input, wrong_pardons
from stretto.analysis.allocation import misfits, overfull
from stretto.analysis.drops import drop_faults, part_faults
from stretto.analysis.groups import finished_together_us, torn
from stretto.analysis.serials import Serials, attempt_name, serials
from stretto.analysis.usage import amounts, held, named_amounts
from stretto.analysis.waits import (
    BY_TASK,
    NEVER_US,
    Ends,
    critical_path_us,
    free_us,
    stage_of,
    there_us,
)
from stretto.trace import UNKNOWN_US, Kind, Outcome, Trace
from stretto.units import GPU_MILLI, us_to_seconds
from stretto.workflow import Dependency, TaskSet

__all__ = ["check", "violations"]

MOST_SHOWN = 5
"""Violations of one rule that are told one by one; of the rest only the number."""
MODES = ("sequential", "asynchronous", "task-level", "adaptive")

Column = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A well-formed trace, with what several rules ask of it."""

    trace: Trace
    numbers: Serials
    place: Column
    ends: Ends
    misfits: Mapping[int, str]
    slack_us: int


def check(trace: Trace, *, slack_us: int = 0) -> None:
    """Raise `AssertionError` with every violation unless `trace` is legal; see `violations`."""
    found = violations(trace, slack_us=slack_us)
    if found:
        raise AssertionError("\n".join([f"{len(found)} violations:", *found]))


def violations(trace: Trace, *, slack_us: int = 0) -> list[str]:
    """Return what is wrong with a trace, a sentence each; empty if nothing is.

    Parameters
    ----------
    trace
        Simulated, emulated or measured; complete or not.
    slack_us
        What the engine, or the overhead of stages in a simulation, may add to the serial sum.
    """
    malformed = _malformed(trace)
    if malformed:
        return malformed
    numbers = serials(trace.workflow)
    finished = trace.outcome == Outcome.FINISHED
    finished_us = np.full(numbers.n_tasks, NEVER_US, dtype=np.int64)
    finished_us[trace.task[finished]] = trace.ended_us[finished]
    dropped_us = np.full(numbers.n_tasks, NEVER_US, dtype=np.int64)
    dropped_us[list(trace.dropped)] = list(trace.dropped.values())
    finished_us = finished_together_us(trace, numbers, finished_us)
    gone_us = np.minimum(dropped_us, pardoned_us(trace, numbers, finished_us))
    ends = Ends(finished_us, gone_us)
    view = _View(trace, numbers, numbers.place(trace.task), ends, misfits(trace), slack_us)
    rules = (
        _times,
        _idle_spans,
        _attempts,
        _failures,
        _shapes,
        _overlaps,
        _early_tasks,
        _early_stages,
        _stale_inputs,
        _groups,
        _part_inputs,
        _drops,
        _absences,
        _bounds,
    )
    return [sentence for rule in rules for sentence in rule(view)]


def _malformed(trace: Trace) -> list[str]:
    columns = (trace.attempt, trace.launched_us, trace.started_us, trace.ended_us, trace.outcome)
    if any(len(column) != len(trace) for column in (*columns, trace.placements)):
        return ["the columns differ in length"]
    if trace.mode not in MODES:
        return [f"there is no mode {trace.mode!r}"]
    if not all(0 <= task < trace.workflow.n_tasks for task in trace.dropped):
        return ["a task was dropped that is not there"]
    strange = (trace.task < 0) | (trace.task >= trace.workflow.n_tasks)
    if strange.any():
        return [f"there is no task {int(trace.task[strange][0])}"]
    return []


def _told(view: _View, rows: Iterable[int], sentence: str | Callable[[int], str]) -> list[str]:
    """Return a sentence for each of the first rows, and how many more there are."""
    every = list(rows)
    told = []
    for row in every[:MOST_SHOWN]:
        said = sentence if isinstance(sentence, str) else sentence(row)
        told.append(f"{attempt_name(view.trace, row)} {said}")
    if len(every) > MOST_SHOWN:
        told.append(f"{len(every) - MOST_SHOWN} more like: {told[-1]}")
    return told


def _seconds(us: int) -> str:
    return "never" if us >= NEVER_US else f"at {us_to_seconds(us):g} s"


def _times(view: _View) -> list[str]:
    """Tell times out of order, and finished attempts without all of them."""
    trace = view.trace
    launched, started, ended = trace.launched_us, trace.started_us, trace.ended_us
    unordered = (launched < 0) | ((started != UNKNOWN_US) & (started < launched))
    unordered |= (ended != UNKNOWN_US) & (ended < np.maximum(launched, started))
    found = _told(
        view,
        np.flatnonzero(unordered).tolist(),
        lambda row: (
            f"was launched, started and ended at {launched[row]}, {started[row]} "
            f"and {ended[row]} us, which is out of order"
        ),
    )
    finished = trace.outcome == Outcome.FINISHED
    unknown = finished & ((started == UNKNOWN_US) | (ended == UNKNOWN_US))
    found += _told(view, np.flatnonzero(unknown).tolist(), "finished but has no start or end")
    over = (trace.outcome == Outcome.RUNNING) & (ended != UNKNOWN_US)
    return found + _told(view, np.flatnonzero(over).tolist(), "ended but still runs")


def _idle_spans(view: _View) -> list[str]:
    """Tell spans of waiting that lie outside their attempt, or not one after another."""
    trace = view.trace
    wrong: dict[int, str] = {}
    for row, spans in trace.idle.items():
        if not 0 <= row < len(trace):
            return [f"there is no row {row} to have waited"]
        before_us, ended_us = int(trace.started_us[row]), int(trace.ended_us[row])
        moments = [us for span in spans for us in span]
        if moments[-1:] == [UNKNOWN_US]:
            del moments[-1]
            if trace.outcome[row] != Outcome.RUNNING:
                wrong[row] = "has ended, but waits still"
        if before_us == UNKNOWN_US:
            wrong[row] = "waited, but never started"
        for us in [*moments, *([] if ended_us == UNKNOWN_US else [ended_us])]:
            if us < before_us:
                wrong[row] = f"waited at {list(spans)} us, out of order or outside of its run"
            before_us = us
    return _told(view, sorted(wrong), lambda row: wrong[row])


def _attempts(view: _View) -> list[str]:
    """Tell attempts that are not 1, 2, 3 ..., one after another, up to a finished one."""
    trace = view.trace
    order = np.lexsort((trace.attempt, trace.task))
    task, attempt = trace.task[order], trace.attempt[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = task[1:] != task[:-1]
    begin = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    expected = np.arange(len(order)) - begin + 1
    found = _told(
        view,
        order[attempt != expected].tolist(),
        lambda row: f"is numbered {trace.attempt[row]}, which is not the next number",
    )
    later, earlier = order[1:][~first[1:]], order[:-1][~first[1:]]
    after = trace.outcome[earlier] == Outcome.FINISHED
    found += _told(view, later[after].tolist(), "was made after the task had finished")
    # Nobody saw the end of a lost attempt; of one that runs it has yet to come.
    runs = trace.outcome[earlier] == Outcome.RUNNING
    ended_us = np.where(runs, NEVER_US, trace.ended_us[earlier])
    overlap = (ended_us > trace.launched_us[later]) & ~after
    return found + _told(
        view, later[overlap].tolist(), "was launched before the attempt before it ended"
    )


def _failures(view: _View) -> list[str]:
    """Tell tasks that failed beyond their retries; every resume begins the count anew."""
    trace = view.trace
    failed = np.bincount(
        trace.task[trace.outcome == Outcome.FAILED], minlength=view.numbers.n_tasks
    )
    retries = np.array([task_set.retries for task_set in trace.workflow.task_sets])
    lives = 1 + sum(note.text.startswith("resumed") for note in trace.notes)
    of_task = np.tile(np.repeat(retries, view.numbers.counts), trace.workflow.iterations)
    beyond = np.flatnonzero(failed > (of_task + 1) * lives).tolist()
    return [
        f"{view.numbers.task_name(task)} failed {failed[task]} times with {of_task[task]} retries"
        for task in beyond[:MOST_SHOWN]
    ]


def _shapes(view: _View) -> list[str]:
    """Tell attempts that do not lie on exactly what their set needs, or on what is not there."""
    return _told(view, view.misfits, lambda row: f"lies wrong: {view.misfits[row]}")


def _overlaps(view: _View) -> list[str]:
    """Tell what is held beyond what there is, at some instant."""
    trace = view.trace
    return [
        sentence
        for what, rows in overfull(trace, without=tuple(view.misfits)).items()
        for sentence in _told(
            view,
            rows,
            lambda row, what=what: (  # type: ignore[misc]
                f"started {_seconds(int(trace.started_us[row]))} on {what} held by others"
            ),
        )
    ]


def _waits(view: _View) -> Iterable[tuple[TaskSet, Column, Dependency]]:
    """Yield each set, the rows of its attempts, and one thing that it waits for."""
    for place, task_set in enumerate(view.trace.workflow.task_sets):
        rows = np.flatnonzero(view.place == place)
        for dependency in task_set.after:
            yield task_set, rows, dependency


def _early_tasks(view: _View) -> list[str]:
    """Tell launches before what the task waits for had finished."""
    trace = view.trace
    found = []
    for task_set, rows, dependency in _waits(view):
        free = free_us(
            trace.workflow,
            task_set,
            dependency,
            view.ends,
            whole_sets=trace.mode not in BY_TASK,
        )
        iteration, number = _coordinates(view, rows)
        ready_us = free[iteration, number]
        early = ready_us > trace.launched_us[rows]
        due = dict(zip(rows[early].tolist(), ready_us[early].tolist(), strict=True))
        found += _told(
            view,
            due,
            lambda row, due=due, on=dependency.on: (  # type: ignore[misc]
                f"was launched {_seconds(int(trace.launched_us[row]))}, before {on} "
                f"had finished ({_seconds(due[row])})"
            ),
        )
    return found


def _early_stages(view: _View) -> list[str]:
    """Tell launches before the stage before was over, in sequential mode."""
    trace = view.trace
    if trace.mode != "sequential":
        return []
    stage = stage_of(trace.workflow)
    over_us = np.zeros(int(stage.max()) + 2, dtype=np.int64)
    np.maximum.at(over_us, stage + 1, view.ends.settled_us)
    free_at = np.maximum.accumulate(over_us)[stage[trace.task]]
    return _told(
        view,
        np.flatnonzero(free_at > trace.launched_us).tolist(),
        lambda row: (
            f"was launched {_seconds(int(trace.launched_us[row]))}, before the stage "
            f"before its own was over ({_seconds(int(free_at[row]))})"
        ),
    )


def _stale_inputs(view: _View) -> list[str]:
    """Tell recorded input that is older than allowed or was not there at launch."""
    trace = view.trace
    wrong: dict[int, str] = {}
    for task_set, rows, dependency in _waits(view):
        usable_us = there_us(
            view.ends.of(trace.workflow, dependency.on),
            task_set.tasks,
            dependency,
            whole_sets=trace.mode not in BY_TASK,
        )
        own = [row for row in rows.tolist() if row in trace.inputs]
        iterations, numbers = _coordinates(view, np.array(own, dtype=np.int64))
        for row, iteration, number in zip(own, iterations, numbers, strict=True):
            for name, used in trace.inputs[row]:
                oldest, newest = iteration - dependency.distance, iteration - dependency.previous
                # Without a result that must be there goes only who can never have it.
                without = oldest < 0 or usable_us[oldest, number] >= NEVER_US
                if name != dependency.on or (used is None and without):
                    continue
                if used is None or not max(0, oldest) <= used <= newest:
                    wrong[row] = f"used {name} of iteration {used}, not of {oldest} to {newest}"
                elif usable_us[used, number] > trace.launched_us[row]:
                    wrong[row] = f"used {name} of iteration {used}, which had not finished"
    return _told(view, sorted(wrong), lambda row: wrong[row])


def _groups(view: _View) -> list[str]:
    """Tell sets that must run at once and did not."""
    wrong = torn(view.trace, view.numbers)
    return _told(view, sorted(wrong), lambda row: wrong[row])


def _part_inputs(view: _View) -> list[str]:
    """Tell recorded parts that are less than enough, or had not finished at launch."""
    wrong = part_faults(view.trace, view.ends)
    return _told(view, sorted(wrong), lambda row: wrong[row])


def _drops(view: _View) -> list[str]:
    """Tell drops without a reason, launches of what was dropped, and results that say nothing."""
    return drop_faults(view.trace, view.ends)[:MOST_SHOWN]


def _absences(view: _View) -> list[str]:
    """Tell what is wrong with lost nodes, with what was forgiven, and what ran without input."""
    lost = on_lost_nodes(view.trace)
    found = _told(view, lost, lambda row: f"was on {lost[row]} while that was lost")
    lacking = without_input(view.trace, view.ends)
    found += _told(view, lacking, lambda row: f"was launched without any result of {lacking[row]}")
    return found + list(wrong_pardons(view.trace, view.ends.finished_us))[:MOST_SHOWN]


def _coordinates(view: _View, rows: Column) -> tuple[Column, Column]:
    """Return the iteration of each row, and the number of its task within its set."""
    task = view.trace.task[rows]
    firsts = view.numbers.firsts[view.place[rows]]
    return view.numbers.iteration(task), task % view.numbers.per_iteration - firsts


def _bounds(view: _View) -> list[str]:
    """Tell a TTX below critical path or area, or above all attempts in a row."""
    trace = view.trace
    if not trace.complete or (view.ends.settled_us >= NEVER_US).any():
        return []
    finished = np.flatnonzero(trace.outcome == Outcome.FINISHED)
    durations_us = np.zeros(view.numbers.n_tasks, dtype=np.int64)
    durations_us[trace.task[finished]] = (trace.ended_us - trace.started_us)[finished]
    ttx_us = trace.ttx_us
    lower_us = {
        "critical path": critical_path_us(
            trace.workflow, durations_us, view.ends.gone_us < NEVER_US, mode=trace.mode
        ),
        **_areas_us(trace),
    }
    found = [
        f"TTX is {ttx_us} us, less than the {name} of {bound_us} us"
        for name, bound_us in lower_us.items()
        if ttx_us < bound_us
    ]
    known = (trace.launched_us >= 0) & (trace.ended_us >= 0)
    serial_us = int((trace.ended_us - trace.launched_us)[known].sum())
    serial_us += view.slack_us + _outages_us(trace)
    # Around stops and resumes nothing runs for a while, nor at the will of another's engine.
    rested = trace.kind is Kind.IMPORTED or any(
        note.text.startswith(("stopped", "resumed")) for note in trace.notes
    )
    if ttx_us > serial_us and not rested:
        found.append(f"TTX is {ttx_us} us, more than all attempts in a row, {serial_us} us")
    return found


def _outages_us(trace: Trace) -> int:
    """Return how long nodes were lost: as long nothing may have run."""
    last_us = int(trace.ended_us.max(initial=0))
    return sum(
        (last_us if outage.returned_us is None else outage.returned_us) - outage.lost_us
        for outage in trace.outages
    )


def _areas_us(trace: Trace) -> dict[str, int]:
    """Return how long the whole allocation needs for what was held, rounded down."""
    rows, started_us, ended_us = held(trace)
    cores, gpus_milli = amounts(trace)
    kinds = [
        ("cores", cores, trace.platform.cores),
        ("GPUs", gpus_milli, trace.platform.gpus * GPU_MILLI),
        *(
            (f"named {name}", amount, trace.platform.named_total(name))
            for name, amount in named_amounts(trace).items()
        ),
    ]
    spans_us = (ended_us - started_us).astype(np.float64)
    return {
        f"area of the {name}": int(float(amount[rows] @ spans_us) / total * (1 - 1e-9))
        for name, amount, total in kinds
        if total
    }
