r"""Template fields in commands, variables and arguments: ``{task}``, ``{inputs.inference}``.

A field is a name in braces; ``{{`` and ``}}`` are braces themselves.  There is nothing more to the
language: no formats, no expressions, so a description cannot run code by being filled in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from stretto.errors import WorkflowError

__all__ = ["FIELDS", "check_template", "fill", "inputs_in"]

FIELDS: Mapping[str, str] = {
    "workflow": "name of the workflow",
    "task_set": "name of the task set",
    "task": "number of the task in its set, from 0",
    "tasks": "number of tasks in the set",
    "iteration": "number of the iteration, from 0",
    "iterations": "number of iterations",
    "attempt": "number of the attempt, from 1",
    "seed": "a seed of this task's own, derived from the run's; the same in every attempt",
    "run_dir": "the run's directory, absolute",
    "task_dir": "a directory of this task's own inside it, made on demand",
    "cores": "number of cores of each rank",
    "gpus": "number of GPUs of each rank",
}
"""Every field and what it stands for; besides there are ``inputs.NAME``, ``finished.NAME`` and
``missing.NAME`` (see `fill`)."""

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_INPUT = re.compile(r"(inputs|finished|missing)\.[A-Za-z_][A-Za-z0-9_-]*")


def check_template(text: str) -> None:
    """Raise `WorkflowError` unless every field in `text` is one of `FIELDS` or an input."""
    for token in _TOKEN.finditer(text):
        field = token[1]
        if token[0] in ("{", "}"):
            raise WorkflowError(f"a lone {token[0]!r} in {text!r}; write {{{{ or }}}} for a brace")
        if field is not None and field not in FIELDS and not _INPUT.fullmatch(field):
            known = ", ".join(FIELDS)
            raise WorkflowError(
                f"no field {{{field}}}; expected one of {known}, inputs.NAME, finished.NAME, "
                "missing.NAME"
            )


def inputs_in(text: str) -> list[tuple[str, str]]:
    """Return what `text` asks of which sets, such as ``("inputs", NAME)``."""
    fields = [token[1] for token in _TOKEN.finditer(text) if token[1] is not None]
    return [(kind, name) for kind, dot, name in (one.partition(".") for one in fields) if dot]


def fill(text: str, fields: Mapping[str, object]) -> str:
    """Return `text` with its fields replaced.

    Parameters
    ----------
    text
        A template that `check_template` accepts.
    fields
        Values by name.  ``inputs.NAME`` stands for the iteration of the set NAME whose results
        this task uses, or ``none`` where it has to do without; ``finished.NAME`` for the numbers
        of its tasks that had finished, such as ``0-3,5``, where these are a quorum;
        ``missing.NAME`` for those of them, among what it would use, that have no result because
        they failed, or ``none``.
    """
    if "{" not in text and "}" not in text:
        return text

    def value(token: re.Match[str]) -> str:
        if token[1] is None:
            return token[0][0]
        return str(fields[token[1]])

    return _TOKEN.sub(value, text)
