"""What the result of a task says of how the workflow goes on.

A function says it by what it returns, a command by the last line of its standard output that is not
blank: a mapping, or a JSON object, such as ``{"converged": false, "tasks": 17}``.  What else is in
it is the user's own.  A result that does not say what is asked for is a failure of the attempt:
the loop must not go on, or end, by mistake.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from stretto.runtime.backend import Exited, Pickled
from stretto.scheduler import State, Told, expected_told

__all__ = ["Answers", "Unanswered"]

LONGEST_ANSWER = 65_536
"""Limit on the bytes of a line of output that is read as a result."""


class Unanswered(Exception):  # noqa: N818 - it says what happened, like the events
    """A result does not say what is asked for; the message says what was expected."""


class Answers:
    """Reads from results what they say.

    Parameters
    ----------
    state
        Knows what is asked of whom.
    output
        Returns the file that has the standard output of an attempt; `None` where attempts are
        stand-ins, which say what is expected.
    """

    def __init__(self, state: State, output: Callable[[int, int], str] | None) -> None:
        self._state = state
        self._output = output

    def __call__(self, exited: Exited, now_us: int) -> Told | None:
        """Return what the result of an attempt that ended well says; `None` if nothing is asked.

        Raises
        ------
        Unanswered
            If it does not say what is asked for.
        """
        asked = expected_told(self._state, exited.task, now_us)
        if asked is None or self._output is None:
            return asked
        result = _returned(exited.result)
        if result is None:
            result = _last_line(self._output(exited.task, exited.attempt))
        if not isinstance(result, Mapping):
            raise Unanswered(f"expected a result such as {_example(asked)}, found {result!r:.200}")
        converged = None if asked.converged is None else _converged(result)
        tasks = None
        if asked.tasks is not None and not (converged and self._ends_with_the_loop(exited.task)):
            tasks = self._tasks(result, exited.task)
        return asked._replace(converged=converged, tasks=tasks)

    def _ends_with_the_loop(self, task: int) -> bool:
        """Return whether nobody asks for a number of tasks once the loop has converged."""
        rules = self._state.sets[self._state.set_of[task]].prunes
        assert rules is not None
        assert rules.later is not None
        return rules.counts[0] >= rules.later

    def _tasks(self, result: Mapping[Any, Any], task: int) -> int:
        rules = self._state.sets[self._state.set_of[task]].prunes
        assert rules is not None
        tasks = _plain(result.get("tasks"))
        if isinstance(tasks, bool) or not isinstance(tasks, int) or not 0 <= tasks <= rules.most:
            raise Unanswered(
                f"expected a result with tasks from 0 to {rules.most}, found {tasks!r:.200}"
            )
        return tasks


def _converged(result: Mapping[Any, Any]) -> bool:
    converged = _plain(result.get("converged"))
    if not isinstance(converged, bool):
        raise Unanswered(
            f"expected a result with converged true or false, found {converged!r:.200}"
        )
    return converged


def _returned(result: Any) -> Any:
    """Return what a function returned."""
    if not isinstance(result, Pickled):
        return result
    try:
        return result.load()
    except Exception as error:  # loading runs the user's code
        raise Unanswered(f"the result cannot be loaded: {error}") from error


def _last_line(path: str) -> Any:
    """Return what the last line of a file that is not blank says in JSON; `None` if none does."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  (a name as the kernel takes it)
            file.seek(max(0, os.fstat(file.fileno()).st_size - LONGEST_ANSWER))
            lines = file.read().split(b"\n")
    except FileNotFoundError:  # it printed nothing
        return None
    said = [line for line in lines if line.strip()]
    try:
        return json.loads(said[-1]) if said else None
    except ValueError:
        return said[-1].decode(errors="replace").strip()


def _plain(value: Any) -> Any:
    """Return a number or truth value of NumPy's, or of another library's, as Python's own."""
    return value.item() if hasattr(value, "item") else value


def _example(asked: Told) -> str:
    """Return a result that says what is asked for."""
    example: dict[str, Any] = {}
    if asked.converged is not None:
        example["converged"] = False
    if asked.tasks is not None:
        example["tasks"] = asked.tasks
    return json.dumps(example)
