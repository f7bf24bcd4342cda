"""A trace: what was launched when and where, and how it ended; simulated and real alike.

A trace is all that reports, analyses and the checker see.  It holds one row an attempt, as columns
of equal length; times are microseconds of workflow time since the run began (in an emulated run,
real time multiplied by its time scale; after a resume, the time the run was down is left out).

*Launched* is when the scheduler asked, *started* when the task ran, *ended* when it was over.  An
attempt holds its slots from started to ended; from launched to started is the engine's overhead.
An attempt that runs need not execute: while it says that it waits, it idles (section 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stretto.platform import Outage, Placement, Platform
from stretto.scheduler import Order, Told
from stretto.workflow import Expansion, Workflow, expand

__all__ = ["UNKNOWN_US", "Kind", "Note", "Outcome", "Pardon", "Trace"]

UNKNOWN_US = -1
"""Stands for a time that never came, such as the end of an attempt that still runs."""


class Kind(StrEnum):
    """Where a trace comes from."""

    SIMULATED = "simulated"
    EMULATED = "emulated"
    MEASURED = "measured"
    IMPORTED = "imported"


class Outcome(IntEnum):
    """How an attempt ended."""

    RUNNING = 0
    FINISHED = 1
    FAILED = 2
    CANCELLED = 3
    LOST = 4
    REVOKED = 5
    """It finished, but its group was tried again as a whole."""


class Pardon(NamedTuple):
    """A set, by its instance, that counts as complete though tasks of it failed; since when."""

    instance: int
    time_us: int


@dataclass(frozen=True, slots=True)
class Note:
    """Something that befell the run as a whole, such as that it was stopped or resumed."""

    time_us: int
    text: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trace:
    """What happened in one run.

    Parameters
    ----------
    workflow, platform, mode, seed
        What was run, on what, how (``"sequential"``, ``"asynchronous"``, ``"task-level"``).
    kind
        Simulated, emulated, measured, or imported from the record of another engine.
    task
        Serial number of the task, see `Expansion`; shape ``(attempts,)``, like every column.
    attempt
        Number of the attempt, from 1.
    launched_us, started_us, ended_us
        Times in microseconds; `UNKNOWN_US` where they never came.
    outcome
        An `Outcome` each.
    placements
        Slots of each attempt, by row; see `Placements`.
    reasons
        Why an attempt failed, by row, for those that did.
    inputs
        By row, for tasks that may use stale input: name of the producing set and the iteration
        used, `None` where there was none yet.
    idle
        By row, for attempts that said so: the spans in which they ran but executed nothing, as
        begin and end in microseconds, in order; the end `UNKNOWN_US` where it has not come.
    present
        By row, for tasks whose input is a part by quorum: name of the producing set, the iteration
        used, and the mask of its tasks that had finished when the attempt was launched.
    told
        By task whose result decides how the workflow goes on: what it said.
    dropped
        By task that turned out not to be wanted: when it was dropped.
    pardons
        Sets that were forgiven the tasks that failed, in order.
    outages
        When nodes were lost, in the order in which they were.
    notes
        What befell the run as a whole, in order.
    order
        Which set went first.
    time_scale
        Workflow seconds in a real second; 1 unless emulated.
    """

    workflow: Workflow
    platform: Platform
    mode: str
    seed: int
    kind: Kind
    task: NDArray[np.int64]
    attempt: NDArray[np.int64]
    launched_us: NDArray[np.int64]
    started_us: NDArray[np.int64]
    ended_us: NDArray[np.int64]
    outcome: NDArray[np.int8]
    placements: Sequence[Placement]
    reasons: Mapping[int, str] = field(default_factory=dict)
    inputs: Mapping[int, tuple[tuple[str, int | None], ...]] = field(default_factory=dict)
    idle: Mapping[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    present: Mapping[int, tuple[tuple[str, int, int], ...]] = field(default_factory=dict)
    told: Mapping[int, Told] = field(default_factory=dict)
    dropped: Mapping[int, int] = field(default_factory=dict)
    pardons: tuple[Pardon, ...] = ()
    outages: tuple[Outage, ...] = ()
    notes: tuple[Note, ...] = ()
    order: Order = field(default_factory=Order)
    time_scale: float = 1.0

    def __repr__(self) -> str:
        return (
            f"<Trace of {self.workflow.name} ({self.kind}, {self.mode}) on {self.platform.name}: "
            f"{self.n_finished} of {self.n_wanted} tasks, TTX {self.ttx_us / 1e6:g} s>"
        )

    def __len__(self) -> int:
        return len(self.task)

    @property
    def ttx_us(self) -> int:
        """Makespan (TTX): first task start to last task end, in microseconds; 0 if none ran."""
        ran = (self.started_us >= 0) & (self.ended_us >= 0)
        if not ran.any():
            return 0
        return int(self.ended_us[ran].max() - self.started_us[ran].min())

    @property
    def n_finished(self) -> int:
        """Tasks that finished."""
        return int((self.outcome == Outcome.FINISHED).sum())

    @property
    def n_wanted(self) -> int:
        """Tasks of the workflow that were not dropped."""
        return self.workflow.n_tasks - len(self.dropped)

    @property
    def complete(self) -> bool:
        """Whether every task of the workflow finished that is wanted."""
        return self.n_finished == self.n_wanted

    @property
    def converged_in(self) -> int | None:
        """The iteration whose result said that the loop has converged; `None` if none did."""
        per_iteration = self.workflow.n_tasks // self.workflow.iterations
        turns = [task // per_iteration for task, told in self.told.items() if told.converged]
        return min(turns, default=None)

    @property
    def n_forgiven(self) -> int:
        """Tasks that failed and were forgiven."""
        return sum(self._counted(pardon.instance) for pardon in self.pardons)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do: every task finished, was dropped or was forgiven."""
        return self.n_finished + self.n_forgiven == self.n_wanted

    def expansion(self) -> Expansion:
        """Return the workflow unrolled: what the serial numbers mean."""
        return expand(self.workflow)

    def instance(self) -> NDArray[np.int64]:
        """Return the instance (set and iteration) of each row, shape ``(attempts,)``."""
        firsts = [instance.first_task for instance in self.expansion().instances]
        return np.searchsorted(firsts, self.task, side="right") - 1

    def _counted(self, instance: int) -> int:
        """Return how many tasks of a set neither finished nor were dropped."""
        one = self.expansion().instances[instance]
        tasks = range(one.first_task, one.first_task + one.count)
        done = self.task[self.outcome == Outcome.FINISHED]
        finished = np.count_nonzero((done >= tasks.start) & (done < tasks.stop))
        return one.count - int(finished) - sum(task in tasks for task in self.dropped)
