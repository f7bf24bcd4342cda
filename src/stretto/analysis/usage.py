"""Cores and GPUs in use over time, as step functions, and what share of the allocation that is.

An attempt holds its slots from started to ended.  Every start adds its amount and every end takes
it away; sorted and summed up that is the amount in use, exactly.  Utilisation is the area under it
divided by allocation times makespan.

What is *held* need not *execute*: a task that waits for a message holds its slots and does nothing
(the paper's section 4).  Attempts that said so are counted both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stretto.analysis.serials import serials
from stretto.platform import Placement
from stretto.trace import UNKNOWN_US, Outcome, Trace, interned
from stretto.units import GPU_MILLI

__all__ = [
    "Held",
    "Steps",
    "Usage",
    "Utilisation",
    "amounts",
    "held",
    "idle_spans",
    "named_amounts",
    "steps",
    "usage",
    "utilisation",
]


class Held(NamedTuple):
    """Which attempts held their slots, and from when to when.

    Parameters
    ----------
    rows
        Rows of the trace, shape ``(attempts that ran,)``.
    started_us, ended_us
        Begin and end for each of these rows; what still runs ends with the trace.
    """

    rows: NDArray[np.int64]
    started_us: NDArray[np.int64]
    ended_us: NDArray[np.int64]


class Steps(NamedTuple):
    """A step function of time: ``amounts[i]`` from ``times_us[i]`` on, and 0 before the first."""

    times_us: NDArray[np.int64]
    amounts: NDArray[np.int64]

    def mean(self, edges_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean between neighbouring edges, shape ``(edges - 1,)``."""
        if not len(self.times_us):
            return np.zeros(max(0, len(edges_us) - 1))
        areas = self.amounts[:-1] * np.diff(self.times_us).astype(np.float64)
        area = np.concatenate(([0.0], np.cumsum(areas)))
        spans = np.diff(edges_us)
        return np.diff(np.interp(edges_us, self.times_us, area)) / np.maximum(spans, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """What was in use over time.

    Parameters
    ----------
    cores, gpus_milli
        In all, in cores and thousandths of a GPU.
    cores_by_set, gpus_milli_by_set
        The same for each task set, in the order of the workflow.
    cores_idle, gpus_milli_idle
        Held by attempts that said that they waited.
    """

    cores: Steps
    gpus_milli: Steps
    cores_by_set: tuple[Steps, ...]
    gpus_milli_by_set: tuple[Steps, ...]
    cores_idle: Steps
    gpus_milli_idle: Steps


class Utilisation(NamedTuple):
    """Shares of the allocation over the makespan, from 0 to 1.

    Parameters
    ----------
    cores, gpus
        Held by tasks; `gpus` is `None` where the platform has none.
    cores_executing, gpus_executing
        The same without the time in which tasks said that they waited.
    """

    cores: float
    gpus: float | None
    cores_executing: float
    gpus_executing: float | None

    @property
    def idles(self) -> bool:
        """Whether any task said that it waited."""
        return self.cores_executing < self.cores or self.gpus_executing != self.gpus


def held(trace: Trace) -> Held:
    """Return the attempts of `trace` that held slots, in the order of their rows.

    An attempt that is running holds them up to the last time the trace knows; a lost one whose
    end nobody saw is left out.
    """
    columns = (trace.launched_us, trace.started_us, trace.ended_us)
    last_us = max((int(column.max()) for column in columns if len(column)), default=0)
    runs = (trace.outcome == Outcome.RUNNING) & (trace.ended_us == UNKNOWN_US)
    ended_us = np.where(runs, last_us, trace.ended_us)
    rows = np.flatnonzero((trace.started_us >= 0) & (ended_us >= 0))
    return Held(rows, trace.started_us[rows], ended_us[rows])


def idle_spans(trace: Trace) -> Held:
    """Return the spans in which attempts said that they waited; a row for each of its spans.

    A span that has not ended lasts as long as the attempt holds its slots.
    """
    last_us = {
        row: end_us for row, _, end_us in zip(*(one.tolist() for one in held(trace)), strict=True)
    }
    spans = [
        (row, begin_us, last_us[row] if end_us == UNKNOWN_US else end_us)
        for row, own in trace.idle.items()
        if row in last_us
        for begin_us, end_us in own
    ]
    columns = np.array(spans, dtype=np.int64).reshape(-1, 3)
    return Held(columns[:, 0], columns[:, 1], columns[:, 2])


def steps(
    started_us: NDArray[np.int64], ended_us: NDArray[np.int64], amounts: NDArray[np.int64]
) -> Steps:
    """Return the sum over time of amounts that are each held from a start to an end.

    Parameters
    ----------
    started_us, ended_us, amounts
        Of equal shape ``(intervals,)``.
    """
    times_us, where = np.unique(np.concatenate((started_us, ended_us)), return_inverse=True)
    changes = np.zeros(len(times_us), dtype=np.int64)
    np.add.at(changes, where, np.concatenate((amounts, -amounts)))
    real = changes != 0
    return Steps(times_us[real], np.cumsum(changes[real]))


def amounts(trace: Trace) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the cores and the thousandths of GPUs of each row, each of shape ``(attempts,)``."""
    placements = interned(trace.placements)
    return placements.each(_cores), placements.each(_gpus_milli)


def named_amounts(trace: Trace) -> dict[str, NDArray[np.int64]]:
    """Return, by name, what each row holds of the named resources that the workflow needs.

    Each of shape ``(attempts,)``.
    """
    names = {name for one in trace.workflow.task_sets for name, _ in one.resources.named}
    placements = interned(trace.placements)
    return {name: placements.each(partial(_named, name)) for name in sorted(names)}


def usage(trace: Trace) -> Usage:
    """Return the cores and GPUs in use over time, in all and by task set."""
    rows, started_us, ended_us = held(trace)
    of_row = amounts(trace)
    cores, gpus_milli = (amount[rows] for amount in of_row)
    place = serials(trace.workflow).place(trace.task[rows])
    sets = [np.flatnonzero(place == number) for number in range(len(trace.workflow.task_sets))]

    waits = idle_spans(trace)

    def by_set(amount: NDArray[np.int64]) -> tuple[Steps, ...]:
        return tuple(steps(started_us[own], ended_us[own], amount[own]) for own in sets)

    return Usage(
        cores=steps(started_us, ended_us, cores),
        gpus_milli=steps(started_us, ended_us, gpus_milli),
        cores_by_set=by_set(cores),
        gpus_milli_by_set=by_set(gpus_milli),
        cores_idle=steps(waits.started_us, waits.ended_us, of_row[0][waits.rows]),
        gpus_milli_idle=steps(waits.started_us, waits.ended_us, of_row[1][waits.rows]),
    )


def utilisation(trace: Trace) -> Utilisation:
    """Return the shares of cores and of GPUs that were held over TTX, and that executed.

    All are 0 if nothing ran.
    """
    spans, waits = held(trace), idle_spans(trace)
    ttx_us = int(spans.ended_us.max() - spans.started_us.min()) if len(spans.rows) else 0
    cores_us, gpus_milli_us = _areas(trace, spans)
    idle_cores_us, idle_gpus_milli_us = _areas(trace, waits)
    n_gpus_milli = trace.platform.gpus * GPU_MILLI

    def share(area: int, total: int) -> float:
        return area / (total * ttx_us) if total and ttx_us else 0.0

    cores = share(cores_us, trace.platform.cores)
    gpus = share(gpus_milli_us, n_gpus_milli)
    return Utilisation(
        cores=cores,
        gpus=gpus if n_gpus_milli else None,
        cores_executing=cores - share(idle_cores_us, trace.platform.cores),
        gpus_executing=gpus - share(idle_gpus_milli_us, n_gpus_milli) if n_gpus_milli else None,
    )


def _areas(trace: Trace, spans: Held) -> tuple[int, int]:
    """Return amount times microseconds, summed up, of cores and of thousandths of GPUs."""
    placements = interned(trace.placements)
    # What lies on the same slots lies there at different times, so that these sums are exact.
    held_us = np.bincount(
        placements.numbers[spans.rows],
        weights=(spans.ended_us - spans.started_us).astype(np.float64),
        minlength=len(placements.distinct),
    ).tolist()
    pairs = list(zip(placements.distinct, map(int, held_us), strict=True))
    return (
        sum(_cores(slots) * us for slots, us in pairs),
        sum(_gpus_milli(slots) * us for slots, us in pairs),
    )


def _cores(placement: Placement) -> int:
    return sum(slot.cores.bit_count() for slot in placement)


def _gpus_milli(placement: Placement) -> int:
    return sum(slot.gpus.bit_count() * slot.gpu_milli for slot in placement)


def _named(name: str, placement: Placement) -> int:
    return sum(dict(slot.named).get(name, 0) for slot in placement)
