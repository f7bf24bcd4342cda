"""What a description leaves open, and a result decides while the run is on.

An *open loop* turns until the result of a task set says that it has converged; an *open count* is a
number of tasks that comes out of a result.  Both have a limit, and are expanded up to it: serial
numbers stay what they are, and what turns out not to be wanted is dropped.  Until the result is
there, plans go by what is expected.

One task decides.  So a verdict is there or not, and nothing has to be said of half of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stretto.errors import WorkflowError, under_key
from stretto.units import counted, whole_number
from stretto.workflow.budgets import NO_FAILURES
from stretto.workflow.dependencies import Dependency, Pattern
from stretto.workflow.quorums import Stragglers

if TYPE_CHECKING:
    from stretto.workflow.task_set import TaskSet

__all__ = ["OpenCount", "OpenLoop", "check_open_ends", "count_of", "loop_of"]


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Iterations until a result says that it is enough.

    Parameters
    ----------
    at_most
        Limit on the iterations.
    until
        Name of the task set whose result decides.
    expected
        Iterations that plans go by.
    """

    at_most: int
    until: str
    expected: int

    def __str__(self) -> str:
        return (
            f"up to {counted(self.at_most, 'iteration')}, until {self.until} has converged "
            f"({self.expected} expected)"
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as a description has it."""
        return {"at_most": self.at_most, "until": self.until, "expected": self.expected}


@dataclass(frozen=True, slots=True)
class OpenCount:
    """A number of tasks that a result decides.

    Parameters
    ----------
    at_most
        Limit on the tasks.
    source
        Name of the task set whose result decides.
    expected
        Tasks that plans go by; and those of the first iteration, where the result is that of the
        iteration before.
    """

    at_most: int
    source: str
    expected: int

    def __str__(self) -> str:
        most = counted(self.at_most, "task")
        return f"up to {most}, as many as {self.source} says ({self.expected} expected)"

    def to_json(self) -> dict[str, Any]:
        """Return it as a description has it."""
        return {"from": self.source, "at_most": self.at_most, "expected": self.expected}


def loop_of(value: object, *, most: int) -> tuple[int, OpenLoop | None]:
    """Return the limit on the iterations, and what is open about them.

    Parameters
    ----------
    value
        A whole number; ``{"at_most": 20, "until": "inference", "expected": 8}``, the last of which
        may be left out; or an `OpenLoop`.
    most
        Limit on the limit.

    Raises
    ------
    WorkflowError
        If it is none of these.
    """
    match value:
        case OpenLoop():
            return value.at_most, value
        case Mapping():
            at_most, until, expected = _opened(value, "until", most)
            return at_most, OpenLoop(at_most, until, expected)
        case int() if not isinstance(value, bool) and 1 <= value <= most:
            return value, None
        case _:
            raise WorkflowError(f"expected a whole number from 1 to {most}, found {value!r}")


def count_of(value: object, *, most: int) -> tuple[int, OpenCount | None]:
    """Return the limit on the tasks, and what is open about them.

    Parameters
    ----------
    value
        A whole number; ``{"from": "inference", "at_most": 100, "expected": 20}``, the last of which
        may be left out; or an `OpenCount`.
    most
        Limit on the limit.

    Raises
    ------
    WorkflowError
        If it is none of these; its path leads to the value from the key ``tasks``.
    """
    match value:
        case OpenCount():
            return value.at_most, value
        case Mapping():
            at_most, source, expected = under_key(
                "tasks", lambda one: _opened(one, "from", most), value
            )
            return at_most, OpenCount(at_most, source, expected)
        case _:
            return whole_number("tasks", value, 1, most), None


def _opened(value: Mapping[str, Any], who: str, most: int) -> tuple[int, str, int]:
    """Return the limit, the name under the key `who`, and what is expected."""
    keys = (who, "at_most", "expected")
    for key in value:
        if key not in keys:
            raise WorkflowError(f"unknown key; expected {', '.join(keys)}", path=(str(key),))
    for key in keys[:2]:
        if key not in value:
            raise WorkflowError(f"the key {key!r} is missing")
    name = value[who]
    if not isinstance(name, str):
        raise WorkflowError(f"expected the name of a task set, found {name!r}", path=(who,))
    at_most = whole_number("at_most", value["at_most"], 1, most)
    return at_most, name, whole_number("expected", value.get("expected", at_most), 1, at_most)


def check_open_ends(
    loop: OpenLoop | None,
    by_name: Mapping[str, TaskSet],
    groups: Mapping[str, tuple[str, ...]],
) -> None:
    """Raise `WorkflowError` where what decides is not there, or what is open fits nothing else.

    Parameters
    ----------
    groups
        Sets that run at once with others, by name.  What one of them does is of use only once all
        have finished, so it decides nothing, is no quorum, and has a fixed number of tasks.
    """
    if loop is not None:
        under_key("iterations", _checked("until", by_name, groups), loop.until)
    for task_set in by_name.values():
        try:
            if task_set.open_count is not None:
                under_key("tasks", _checked("from", by_name, groups), task_set.open_count.source)
            _check_group(task_set, groups)
            _check_count(task_set, by_name)
            _check_stragglers(task_set, by_name)
        except WorkflowError as error:
            raise error.within("task_sets", task_set.name) from None


def _checked(
    key: str, by_name: Mapping[str, TaskSet], groups: Mapping[str, tuple[str, ...]]
) -> Callable[[str], None]:
    """Return what raises unless a name is that of a set of one task."""

    def check(name: str) -> None:
        decides = by_name.get(name)
        if decides is None:
            known = ", ".join(by_name)
            raise WorkflowError(
                f"there is no task set {name!r}; expected one of {known}", path=(key,)
            )
        if decides.tasks != 1 or decides.open_count is not None:
            raise WorkflowError(
                f"expected a set of one task, whose result decides; {name} has {decides.tasks}",
                path=(key,),
            )
        if name in groups:
            raise WorkflowError(
                f"{name} runs at once with others, so its result alone decides nothing",
                path=(key,),
            )
        if decides.failures != NO_FAILURES:
            raise WorkflowError(
                f"{name} has a budget of failures, and no other result decides", path=(key,)
            )

    return check


def _check_group(task_set: TaskSet, groups: Mapping[str, tuple[str, ...]]) -> None:
    """Check that nobody waits for a part of a group, and that the number of its tasks is fixed."""
    if task_set.open_count is not None and task_set.name in groups:
        raise WorkflowError(
            "what runs at once with others has a number of tasks that no result decides",
            path=("tasks",),
        )
    for one in task_set.after:
        if one.quorum is not None and one.on in groups:
            raise WorkflowError(
                f"{one.on} runs at once with others, and is of use once all have finished",
                path=("after", one.on, "quorum"),
            )


def _check_count(task_set: TaskSet, by_name: Mapping[str, TaskSet]) -> None:
    """Check that a set waits for what decides how many tasks it has, and its patterns fit."""
    count = task_set.open_count
    if count is not None:
        waits = [one for one in task_set.after if one.on == count.source]
        if not waits or any(one.staleness for one in waits):
            raise WorkflowError(
                f"expected {task_set.name} to wait for {count.source}, of this iteration or the "
                "previous one and without staleness",
                path=("tasks", "from"),
            )
        _check_expected(task_set, by_name)
    for one in task_set.after:
        producer = by_name[one.on]
        if count is None and producer.open_count is None:
            continue
        if one.pattern is Pattern.GROUP:
            raise WorkflowError(
                "group needs numbers of tasks that no result decides", path=("after", one.on)
            )
        if one.pattern is Pattern.EACH and (one.previous or not _alike(task_set, producer)):
            raise WorkflowError(
                f"each needs one number of tasks: give {task_set.name} and {one.on} the same "
                "'tasks: {from: …}', and let both wait alike for what decides",
                path=("after", one.on),
            )


def _check_expected(task_set: TaskSet, by_name: Mapping[str, TaskSet]) -> None:
    """Check that all who ask the same result expect the same of it."""
    own = task_set.open_count
    for other in by_name.values():
        count = other.open_count
        if own is None or other is task_set:
            return
        if count is not None and own.source == count.source and own.expected != count.expected:
            raise WorkflowError(
                f"expected {count.expected}, as {other.name} has it, found {own.expected}",
                path=("tasks", "expected"),
            )


def _alike(one: TaskSet, other: TaskSet) -> bool:
    """Return whether the same result decides the numbers of tasks of both sets."""
    return one.open_count == other.open_count and _looks_back(one) == _looks_back(other)


def _looks_back(task_set: TaskSet) -> bool:
    """Return whether it is the previous iteration's result that decides."""
    count = task_set.open_count
    return count is not None and all(
        one.previous for one in task_set.after if one.on == count.source
    )


def _check_stragglers(task_set: TaskSet, by_name: Mapping[str, TaskSet]) -> None:
    """Check that nobody waits for more of a set than one who would cancel the rest of it."""
    for one in task_set.after:
        if one.stragglers is not Stragglers.CANCEL:
            continue
        for other in by_name.values():
            for too in other.after:
                if too.on == one.on and any(
                    too.needed(tasks) > one.needed(tasks)
                    for tasks in _telling_numbers(by_name[one.on], one, too)
                ):
                    raise WorkflowError(
                        f"would cancel tasks of {one.on} that {other.name} waits for",
                        path=("after", one.on, "stragglers"),
                    )


def _telling_numbers(producer: TaskSet, one: Dependency, too: Dependency) -> Iterable[int]:
    """Return numbers of tasks a producer may have, enough to see whether `too` needs more.

    Of a whole number of tasks and a share, the number needs most beyond the share where it is all
    of the tasks, and the share most beyond the number where there are most tasks.
    """
    if producer.open_count is None:
        return (producer.tasks,)
    enough = [each.enough for each in (one, too) if each.enough is not None]
    wholes = [each.tasks for each in enough if each.tasks]
    if len(enough) == 2 and not wholes:
        ours, theirs = enough
        return range(1, producer.tasks + 1) if theirs.per_million > ours.per_million else ()
    return (producer.tasks, *(whole for whole in wholes if whole <= producer.tasks))
