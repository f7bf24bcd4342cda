"""What another engine wrote down of a run, whatever the form it wrote it in.

Every reader of a form makes one `Record`: tasks with their attempts, the sets they fall into, what
these wait for, and the machines.  Times are microseconds since the first moment that the record
knows.  From there on nothing depends on the form: `describing` makes a workflow of it, `timeline`
the events of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stretto.errors import WorkflowError
from stretto.resources import Resources
from stretto.trace import Outcome
from stretto.units import US_PER_SECOND, us_to_seconds
from stretto.workflow import Pattern

__all__ = [
    "MOST_RECORDED_ATTEMPTS",
    "Machine",
    "Record",
    "RecordedAttempt",
    "RecordedSet",
    "RecordedTask",
    "from_zero",
    "seconds_text",
    "whole_us",
]

MOST_RECORDED_ATTEMPTS = 1_000_000
"""Limit on the attempts in a record."""
LONGEST_US = 10 * 365 * 86_400 * US_PER_SECOND
"""Limit on any time in a record: ten years after its first."""


@dataclass(frozen=True, slots=True)
class RecordedAttempt:
    """One attempt at a task.

    Parameters
    ----------
    outcome
        How it ended.
    asked_us
        When the engine asked for it; `None` where the record does not say, like all of these.
    started_us, ended_us
        When it held its cores.
    duration_us
        How long, for a record that knows this and not when.
    machines
        Names of the machines it ran on.
    reason
        Why it failed.
    """

    outcome: Outcome
    asked_us: int | None = None
    started_us: int | None = None
    ended_us: int | None = None
    duration_us: int | None = None
    machines: tuple[str, ...] = ()
    reason: str = ""

    @property
    def took_us(self) -> int | None:
        """How long it held its cores."""
        if self.started_us is None or self.ended_us is None:
            return self.duration_us
        return self.ended_us - self.started_us


@dataclass(frozen=True, slots=True)
class RecordedTask:
    """One task.

    Parameters
    ----------
    name
        What the record calls it.
    kind
        What tasks of one sort have in common, such as the program.
    needs
        What it held.
    attempts
        In their order; none for a task that never ran.
    worked_us
        What it was asked to work, where the record says so.
    cached_us
        What it took in an earlier run, where this one only took the result over.
    """

    name: str
    kind: str
    needs: Resources
    attempts: tuple[RecordedAttempt, ...] = ()
    worked_us: int | None = None
    cached_us: int | None = None

    @property
    def took_us(self) -> int | None:
        """How long its last finished attempt took, or that of an earlier run."""
        if self.cached_us is not None:
            return self.cached_us
        done = [one.took_us for one in self.attempts if one.outcome is Outcome.FINISHED]
        return done[-1] if done else None


@dataclass(frozen=True, slots=True)
class RecordedSet:
    """Tasks that become one task set.

    Parameters
    ----------
    label
        What its name is made of.
    tasks
        Places of its tasks in the record, in the order of their numbers.
    after
        Places of the sets it waits for, with how.
    """

    label: str
    tasks: tuple[int, ...]
    after: tuple[tuple[int, Pattern], ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that the record lists; `None` is what it does not say."""

    name: str
    cores: int | None = None
    memory_mib: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What another engine wrote down of a run.

    Parameters
    ----------
    form
        ``"wfformat"``, ``"summit"``, ``"nextflow"`` or ``"parsl"``.
    name
        Of the workflow.
    source
        The file, for people.
    tasks
        All tasks.
    sets
        Every task in exactly one of them.
    machines
        Those that the record lists.
    order
        The rule by which the engine chose who goes first, where that is known.
    began
        Wall-clock time of the beginning as the record has it, or nothing.
    start_us, stop_us
        What the engine took before the first task and after the last, where the record says so.
    makespan_us
        What the record gives for the whole.
    told
        Sentences about what was inferred, ignored or mended.
    """

    form: str
    name: str
    source: str
    tasks: tuple[RecordedTask, ...]
    sets: tuple[RecordedSet, ...]
    machines: tuple[Machine, ...] = ()
    order: str | None = None
    began: str = ""
    start_us: int | None = None
    stop_us: int | None = None
    makespan_us: int | None = None
    told: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.tasks:
            raise WorkflowError("expected at least one task, found none", source=self.source)
        attempts = sum(max(1, len(task.attempts)) for task in self.tasks)
        if attempts > MOST_RECORDED_ATTEMPTS:
            raise WorkflowError(
                f"expected at most {MOST_RECORDED_ATTEMPTS} attempts, found {attempts}",
                source=self.source,
            )


def _first_us(one: RecordedAttempt) -> int | None:
    """Return when an attempt must have started of which only the end is recorded."""
    return None if one.ended_us is None else one.ended_us - (one.duration_us or 0)


def whole_us(seconds: float) -> int:
    """Return seconds, which may be negative, as whole microseconds.

    Raises
    ------
    WorkflowError
        If they are beyond ten years.
    """
    if not abs(seconds) <= LONGEST_US / US_PER_SECOND:
        raise WorkflowError(
            f"expected at most {LONGEST_US // US_PER_SECOND} seconds, found {seconds}"
        )
    return round(seconds * US_PER_SECOND)


def seconds_text(us: int) -> str:
    """Return microseconds as seconds for a sentence."""
    return f"{us_to_seconds(us):.6g} s"


def from_zero(
    tasks: Sequence[RecordedTask], zero_us: int | None = None
) -> tuple[RecordedTask, ...]:
    """Return the tasks with times since `zero_us`, or since the first moment that they know.

    What came before `zero_us` happens at 0.
    """
    moments = [
        moment
        for task in tasks
        for one in task.attempts
        for moment in (one.asked_us, one.started_us, _first_us(one))
        if moment is not None
    ]
    zero = min(moments, default=0) if zero_us is None else zero_us

    def since(moment_us: int | None) -> int | None:
        return None if moment_us is None else max(0, moment_us - zero)

    return tuple(
        replace(
            task,
            attempts=tuple(
                replace(
                    one,
                    asked_us=since(one.asked_us),
                    started_us=since(one.started_us),
                    ended_us=since(one.ended_us),
                )
                for one in task.attempts
            ),
        )
        for task in tasks
    )
