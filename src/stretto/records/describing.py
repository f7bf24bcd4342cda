"""From a record to a workflow that can be planned, simulated and emulated.

A set's duration is the observations themselves (`Sample`): what its tasks were asked to work, where
the record has that for all of them, else what they took.  A large sample is thinned to evenly
spaced ranks, the smallest and the largest among them, so that a description stays readable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from stretto.errors import WorkflowError
from stretto.records.record import Record, RecordedSet, RecordedTask
from stretto.records.texts import named
from stretto.trace import Outcome
from stretto.units import counted
from stretto.workflow import Dependency, Duration, TaskSet, Workflow, observed
from stretto.workflow.task_set import MOST_RETRIES

__all__ = ["described", "name_from"]

MOST_OBSERVED = 1_000
"""Limit on the observations of a set that a description keeps."""
MOST_OBSERVED_IN_ALL = 100_000
"""Limit on those of all its sets, which keeps it readable as a file."""
LONGEST_NAME = 64


def described(record: Record, platform: str | None = None) -> tuple[Workflow, tuple[str, ...]]:
    """Return the workflow of a record, and sentences about what it lacks.

    Parameters
    ----------
    platform
        What it proposes.

    Raises
    ------
    WorkflowError
        If it passes a limit of descriptions.
    """
    names = _names([one.label for one in record.sets])
    most = max(1, min(MOST_OBSERVED, MOST_OBSERVED_IN_ALL // len(record.sets)))
    durations = [_duration([record.tasks[at] for at in one.tasks], most) for one in record.sets]
    try:
        workflow = Workflow(
            name_from(record.name),
            [
                TaskSet(
                    name,
                    tasks=len(one.tasks),
                    resources=record.tasks[one.tasks[0]].needs,
                    duration=duration,
                    after=[Dependency(names[on], pattern) for on, pattern in one.after],
                    retries=_retries(record, one),
                )
                for name, one, duration in zip(names, record.sets, durations, strict=True)
            ],
            platform=platform,
        )
    except WorkflowError as error:
        raise WorkflowError(error.message, path=error.path, source=record.source) from None
    return workflow, _lacks(record, names, durations)


def name_from(text: str) -> str:
    """Return a text as the name of a workflow or a task set; of a long one the end."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_") or "unnamed"
    name = name[-LONGEST_NAME:]
    return name if re.match(r"[A-Za-z_]", name) else f"_{name[-LONGEST_NAME + 1 :]}"


def _names(labels: Sequence[str]) -> list[str]:
    """Return a name for each label; what comes several times is numbered from 1."""
    bare = [name_from(label) for label in labels]
    several = {name for name, count in Counter(bare).items() if count > 1}
    taken = set(bare)
    numbers: Counter[str] = Counter()
    names = []
    for name in bare:
        given = name
        while name in several and given in taken:
            numbers[name] += 1
            suffix = f"-{numbers[name]}"
            given = name_from(name[-(LONGEST_NAME - len(suffix)) :] + suffix)
        taken.add(given)
        names.append(given)
    return names


def _duration(tasks: Sequence[RecordedTask], most: int) -> Duration | None:
    requested = [task.worked_us for task in tasks if task.worked_us is not None]
    if len(requested) == len(tasks):
        return observed(requested, most)
    took = [task.took_us for task in tasks if task.took_us is not None]
    return observed(took, most) if took else None


def _retries(record: Record, one: RecordedSet) -> int:
    """Return how many failures of a task this record shows to be forgiven."""
    failed = [
        sum(attempt.outcome is Outcome.FAILED for attempt in record.tasks[at].attempts)
        - (record.tasks[at].attempts[-1].outcome is Outcome.FAILED)
        for at in one.tasks
        if record.tasks[at].attempts
    ]
    most = max(failed, default=0)
    if most > MOST_RETRIES:
        raise WorkflowError(
            f"expected at most {counted(MOST_RETRIES, 'retry')} of a task, found {most}",
            path=(one.label,),
        )
    return most


def _lacks(
    record: Record, names: Sequence[str], durations: Sequence[Duration | None]
) -> tuple[str, ...]:
    told = []
    zero = sum(task.took_us == 0 for task in record.tasks)
    if zero:
        told.append(f"{counted(zero, 'task')} took 0 s")
    unknown = sum(task.took_us is None and task.worked_us is None for task in record.tasks)
    if unknown:
        told.append(f"{counted(unknown, 'task')} without a duration")
    nowhere = [name for name, one in zip(names, durations, strict=True) if one is None]
    if nowhere:
        told.append(f"nobody knows how long a task of {named(nowhere)} takes")
    return tuple(told)
