"""A task set: tasks of one kind, with the same needs, the same duration and the same work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from stretto.errors import WorkflowError, under_key
from stretto.resources import Resources
from stretto.units import check_name, seconds_to_us, whole_number
from stretto.workflow.budgets import NO_FAILURES, Budget, budget_of
from stretto.workflow.dependencies import Dependency, dependencies_of
from stretto.workflow.durations import Duration, duration_of
from stretto.workflow.open_ends import OpenCount, count_of
from stretto.workflow.templates import check_template, inputs_in

__all__ = ["Command", "Function", "TaskSet", "changed"]

MOST_TASKS = 10_000_000
"""Limit on the tasks of one set, and of one workflow."""
MOST_RETRIES = 100
"""Limit on the retries of a task."""
DEEPEST_ARGUMENT = 16
"""Limit on how deep lists and mappings lie in one another in an argument."""

_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run: words with template fields, or one line for a shell if `shell`."""

    words: tuple[str, ...]
    shell: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A Python function to call.

    Parameters
    ----------
    target
        ``"module:function"``, or the callable itself.
    arguments
        Keyword arguments; text in them may have template fields.  A parameter of the function
        that is named like a template field (``task``, ``iteration``, ``run_dir``, …) and is not
        among the arguments is given that field.
    """

    target: str | Callable[..., Any]
    arguments: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, init=False)
class TaskSet:
    """Tasks of one kind (the paper's *task set*).

    Parameters
    ----------
    name
        Letters, digits, ``_`` and ``-``, not beginning with a digit; at most 64.
    tasks
        Number of tasks in an iteration; or at most how many, and whose result decides (see
        `count_of`).
    resources
        Needs of each task.
    duration
        Seconds, a distribution (see `duration_of`), or `None` where nobody knows.
    command
        A list of words; or text that is split like a shell's words, and handed to a shell only
        if `shell`.
    function
        ``"module:function"`` or a callable; instead of a command.
    arguments
        Keyword arguments of the function.
    after
        What it waits for (see `dependencies_of`).
    with_
        Sets that must run at once with this one, by name (``with`` in a description).
    environment
        Variables added to those of the run.
    working_directory
        Where a command runs; the description's own folder unless given.
    timeout
        Seconds after which a task is ended and has failed.
    retries
        How often a failed task is tried again.
    failures
        How many tasks, in an iteration, may fail for good and the set still counts as complete: a
        number, or text such as ``"10%"``.

    Raises
    ------
    WorkflowError
        If a value cannot be used; its path names the argument.
    """

    name: str
    tasks: int
    resources: Resources
    duration: Duration | None
    work: Command | Function | None
    after: tuple[Dependency, ...]
    environment: tuple[tuple[str, str], ...] = field(default=())
    working_directory: str | None = None
    timeout_us: int | None = None
    retries: int = 0
    failures: Budget = NO_FAILURES
    with_: tuple[str, ...] = ()
    open_count: OpenCount | None = None
    """What decides how many tasks there are, where `tasks` is but a limit."""

    def __init__(
        self,
        name: str,
        *,
        tasks: int | Mapping[str, Any] | OpenCount = 1,
        resources: Resources | None = None,
        duration: object = None,
        command: str | Sequence[str] | None = None,
        shell: bool = False,
        function: str | Callable[..., Any] | None = None,
        arguments: Mapping[str, Any] | None = None,
        after: object = None,
        with_: str | Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        working_directory: str | PurePath | None = None,
        timeout: float | None = None,
        retries: int = 0,
        failures: int | str | Budget = 0,
    ) -> None:
        _set = object.__setattr__
        _set(self, "name", check_name(name))
        most, open_count = count_of(tasks, most=MOST_TASKS)
        _set(self, "tasks", most)
        _set(self, "open_count", open_count)
        _set(self, "resources", under_key("resources", _resources, resources))
        _set(self, "duration", under_key("duration", duration_of, duration))
        _set(self, "work", _work(command, shell, function, arguments))
        _set(self, "after", under_key("after", dependencies_of, after))
        _set(self, "environment", under_key("environment", _environment, environment))
        _set(self, "working_directory", under_key("working_directory", _folder, working_directory))
        _set(self, "timeout_us", under_key("timeout", _timeout, timeout))
        _set(self, "retries", whole_number("retries", retries, 0, MOST_RETRIES))
        _set(self, "failures", budget_of(failures))
        _set(self, "with_", under_key("with", _others, with_))
        _check_inputs(self)
        if self.name in self.with_:
            raise WorkflowError("a set runs at once with itself anyway", path=("with",))


def changed(task_set: TaskSet, **changes: object) -> TaskSet:
    """Return a copy with other values, which are already what the slots hold."""
    copy = object.__new__(TaskSet)
    for slot in TaskSet.__slots__:
        object.__setattr__(copy, slot, changes.get(slot, getattr(task_set, slot)))
    return copy


def _others(names: object) -> tuple[str, ...]:
    match names:
        case None:
            return ()
        case str():
            return (names,)
        case list() | tuple() if all(isinstance(one, str) for one in names):
            if len(set(names)) < len(names):
                raise WorkflowError("the same set is named twice")
            return tuple(names)
        case _:
            raise WorkflowError(f"expected the name of a task set or a list, found {names!r}")


def _timeout(seconds: float | None) -> int | None:
    if seconds is None:
        return None
    timeout_us = seconds_to_us(seconds)
    if timeout_us == 0:
        raise WorkflowError("expected more than 0 seconds")
    return timeout_us


def _resources(resources: object) -> Resources:
    if resources is None:
        return Resources()
    if not isinstance(resources, Resources):
        raise WorkflowError(f"expected Resources, found {resources!r}")
    return resources


def _folder(path: object) -> str | None:
    if path is None:
        return None
    if not isinstance(path, str | PurePath) or not str(path) or "\0" in str(path):
        raise WorkflowError(f"expected a folder, found {path!r}")
    check_template(str(path))
    return str(path)


def _environment(variables: object) -> tuple[tuple[str, str], ...]:
    if variables is None:
        return ()
    if not isinstance(variables, Mapping):
        raise WorkflowError(f"expected a mapping, found {variables!r}")
    pairs = []
    for key, value in variables.items():
        if not isinstance(key, str) or not key or "=" in key or "\0" in key:
            raise WorkflowError(f"expected the name of a variable, found {key!r}")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise WorkflowError(f"expected text, found {value!r}", path=(key,))
        if "\0" in str(value):
            raise WorkflowError("expected text without null bytes", path=(key,))
        under_key(key, check_template, str(value))
        pairs.append((key, str(value)))
    return tuple(pairs)


def _work(
    command: str | Sequence[str] | None,
    shell: bool,
    function: str | Callable[..., Any] | None,
    arguments: Mapping[str, Any] | None,
) -> Command | Function | None:
    if command is not None and function is not None:
        raise WorkflowError("expected a command or a function, found both", path=("function",))
    if arguments is not None and function is None:
        raise WorkflowError("arguments need a function", path=("arguments",))
    if not isinstance(shell, bool):
        raise WorkflowError(f"expected true or false, found {shell!r}", path=("shell",))
    if shell and not isinstance(command, str):
        raise WorkflowError("shell needs a command that is one text", path=("shell",))
    if command is not None:
        words: tuple[str, ...] = under_key("command", _words if not shell else _line, command)
        return Command(words, shell)
    if function is not None:
        return Function(
            under_key("function", _target, function), under_key("arguments", _arguments, arguments)
        )
    return None


def _arguments(arguments: object) -> tuple[tuple[str, Any], ...]:
    if arguments is None:
        return ()
    if not isinstance(arguments, Mapping):
        raise WorkflowError(f"expected a mapping, found {arguments!r}")
    for key, value in arguments.items():
        if not isinstance(key, str) or not key.isidentifier():
            raise WorkflowError(f"expected the name of a parameter, found {key!r}")
        under_key(key, _check_argument, value)
    return tuple(arguments.items())


def _check_argument(value: object, depth: int = 0) -> None:
    """Check the template fields in every text of an argument."""
    if depth > DEEPEST_ARGUMENT:
        raise WorkflowError(f"expected at most {DEEPEST_ARGUMENT} levels, found more")
    match value:
        case str():
            check_template(value)
        case list() | tuple():
            for item in value:
                _check_argument(item, depth + 1)
        case dict():
            for item in value.values():
                _check_argument(item, depth + 1)
        case _:
            pass


def _words(command: object) -> tuple[str, ...]:
    if isinstance(command, str):
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise WorkflowError(f"cannot be split into words: {error}") from None
    elif isinstance(command, list | tuple):
        words = [str(word) if isinstance(word, int | float) else word for word in command]
    else:
        raise WorkflowError(f"expected a list of words or text, found {command!r}")
    if not words or not words[0]:
        raise WorkflowError("expected a program to run, found nothing")
    for number, word in enumerate(words):
        if isinstance(word, dict):
            raise WorkflowError('a template field is written in quotes: "{task}"', path=(number,))
        if not isinstance(word, str) or "\0" in word:
            raise WorkflowError(f"expected text, found {word!r}", path=(number,))
        check_template(word)
    return tuple(words)


def _line(command: str) -> tuple[str, ...]:
    if not command.strip() or "\0" in command:
        raise WorkflowError("expected a line for the shell, found nothing")
    check_template(command)
    return (command,)


def _check_inputs(task_set: TaskSet) -> None:
    waits = {one.on for one in task_set.after}
    by_quorum = {one.on for one in task_set.after if one.quorum is not None}
    for key, text in _texts(task_set):
        for kind, name in inputs_in(text):
            if name not in waits:
                raise WorkflowError(
                    f"{{{kind}.{name}}}, but {task_set.name} does not wait for {name}", path=(key,)
                )
            if kind == "finished" and name not in by_quorum:
                raise WorkflowError(
                    f"{{finished.{name}}}, but {task_set.name} waits for all of {name} that it "
                    "uses; only a quorum leaves tasks out",
                    path=(key,),
                )


def _texts(task_set: TaskSet) -> Iterator[tuple[str, str]]:
    """Yield every text that may have template fields, with the key it stands under."""
    yield "working_directory", task_set.working_directory or ""
    for _, text in task_set.environment:
        yield "environment", text
    match task_set.work:
        case Command(words):
            for word in words:
                yield "command", word
        case Function(_, arguments):
            left: list[Any] = [value for _, value in arguments]
            while left:
                match left.pop():
                    case str() as text:
                        yield "arguments", text
                    case list() | tuple() as items:
                        left += items
                    case dict() as items:
                        left += items.values()
                    case _:
                        pass
        case None:
            pass


def _target(function: str | Callable[..., Any]) -> str | Callable[..., Any]:
    if callable(function):
        return function
    if not isinstance(function, str) or not _REFERENCE.fullmatch(function):
        raise WorkflowError(f"expected module:function or a callable, found {function!r}")
    return function
