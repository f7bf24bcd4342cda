"""The keys of a description and the types behind them; what values mean is checked elsewhere.

These forms know which keys there are and of what type their values must be, and give the JSON
schema that editors complete from.  Numbers that are too small, sets that are not there and the like
are found by `TaskSet` and `Workflow` themselves, so that a description in Python is held to exactly
the same.  Where several types are allowed (``duration``, ``after``, ``command``, …) the form lets
everything through, for the same reason; its schema says what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from stretto.errors import WorkflowError
from stretto.workflow.dependencies import Pattern
from stretto.workflow.marks import Document, line_of
from stretto.workflow.quorums import Stragglers

__all__ = [
    "ChannelForm",
    "Form",
    "Memory",
    "TaskSetForm",
    "WorkflowForm",
    "filled",
    "keys_of",
    "workflow_schema",
]

F = TypeVar("F", bound="Form")
Path = tuple[str | int, ...]
Schema = dict[str, Any]

OTHER_WORDS = {
    "args": "arguments",
    "cmd": "command",
    "count": "tasks",
    "cpus": "cores",
    "cwd": "working_directory",
    "dependencies": "after",
    "depends_on": "after",
    "env": "environment",
    "executable": "command",
    "needs": "after",
    "threads": "cores",
    "walltime": "timeout",
}
"""Words that others use for our keys; nearness of spelling would not find them."""

_SECONDS: Schema = {"type": "number", "minimum": 0}
_MOMENTS: Schema = {
    "type": "object",
    "properties": {"mean": _SECONDS, "sd": _SECONDS},
    "required": ["mean"],
    "additionalProperties": False,
}
_DURATION: Schema = {
    "description": "seconds; normal, lognormal or observed; left out where nobody knows",
    "anyOf": [
        _SECONDS,
        _MOMENTS,
        {
            "type": "object",
            "properties": {"lognormal": _MOMENTS},
            "required": ["lognormal"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"sample": {"type": "array", "items": _SECONDS, "minItems": 1}},
            "required": ["sample"],
            "additionalProperties": False,
        },
        {"type": "null"},
    ],
}
_PATTERN: Schema = {"enum": [pattern.value for pattern in Pattern]}
_QUORUM: Schema = {
    "description": "a whole number of tasks, or a fraction of them",
    "type": "number",
    "exclusiveMinimum": 0,
}
_WAITS: Schema = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            _PATTERN,
            {"type": "null"},
            {
                "type": "object",
                "properties": {
                    "pattern": _PATTERN,
                    "iteration": {"enum": ["same", "previous"]},
                    "staleness": {"type": "integer", "minimum": 0},
                    "quorum": _QUORUM,
                    "stragglers": {"enum": [each.value for each in Stragglers]},
                },
                "additionalProperties": False,
            },
        ]
    },
}
_AFTER: Schema = {
    "description": "a task set, a list of them, or a mapping from each to how it is waited for",
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, _WAITS]}},
        _WAITS,
        {"type": "null"},
    ],
}
_NAMES: Schema = {
    "description": "a task set, or a list of them",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
}
_WITH: Schema = {
    "description": "a task set, or a list of them, that must run at once with this one",
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}},
        {"type": "null"},
    ],
}
_FAILURES: Schema = {
    "description": "tasks that may fail for good, or a share of them, such as '10%'",
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "%\\s*$"}],
}
_WHOLE: Schema = {"type": "integer", "minimum": 1}


def _open(who: str, description: str) -> Schema:
    """Return the schema of a whole number, or of a limit on what a result decides."""
    return {
        "description": description,
        "anyOf": [
            _WHOLE,
            {
                "type": "object",
                "properties": {"at_most": _WHOLE, who: {"type": "string"}, "expected": _WHOLE},
                "required": ["at_most", who],
                "additionalProperties": False,
            },
        ],
    }


_TASKS = _open("from", "how many, or at most how many and whose result decides")
_ITERATIONS = _open("until", "how often, or at most how often and until what")
_WORD: Schema = {"type": ["string", "number", "boolean"]}
_COMMAND: Schema = {
    "description": "words, or text that is split like a shell's words",
    "anyOf": [{"type": "string"}, {"type": "array", "items": _WORD}, {"type": "null"}],
}
_ENVIRONMENT: Schema = {
    "anyOf": [{"type": "object", "additionalProperties": _WORD}, {"type": "null"}]
}
_MEMORY: Schema = {
    "description": "MiB, or text such as '4 GiB'",
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}],
}

Memory = Annotated[Any, WithJsonSchema(_MEMORY)]


class Form(BaseModel):
    """Keys and types of one mapping; no other keys, and no type taken for another."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TaskSetForm(Form):
    """One task set, see `TaskSet`."""

    tasks: Annotated[Any, WithJsonSchema(_TASKS)] = 1
    cores: int = 1
    gpus: float = 0
    memory: Memory = 0
    named: dict[str, int] | None = None
    ranks: int = 1
    duration: Annotated[Any, WithJsonSchema(_DURATION)] = None
    command: Annotated[Any, WithJsonSchema(_COMMAND)] = None
    shell: bool = False
    function: str | None = None
    arguments: dict[str, Any] | None = None
    after: Annotated[Any, WithJsonSchema(_AFTER)] = None
    with_: Annotated[Any, WithJsonSchema(_WITH)] = Field(default=None, alias="with")
    environment: Annotated[Any, WithJsonSchema(_ENVIRONMENT)] = None
    working_directory: str | None = None
    timeout: float | None = None
    retries: int = 0
    failures: Annotated[Any, WithJsonSchema(_FAILURES)] = 0


class ChannelForm(Form):
    """One channel, see `Channel`."""

    from_: Annotated[Any, WithJsonSchema(_NAMES)] = Field(alias="from")
    to: Annotated[Any, WithJsonSchema(_NAMES)]
    every: bool = False
    capacity: int = 100


class WorkflowForm(Form):
    """A workflow, see `Workflow`."""

    name: str
    platform: str | None = None
    iterations: Annotated[Any, WithJsonSchema(_ITERATIONS)] = 1
    task_sets: dict[str, TaskSetForm]
    stages: list[list[str]] | None = None
    channels: dict[str, ChannelForm] | None = None
    folder: str | None = Field(
        default=None, description="where relative paths and modules are looked up"
    )


def keys_of(form: type[Form]) -> list[str]:
    """Return the keys of a form as they are written."""
    return [one.alias or name for name, one in form.model_fields.items()]


def workflow_schema() -> dict[str, Any]:
    """Return the JSON schema of a workflow description."""
    return WorkflowForm.model_json_schema()


def filled(form: type[F], document: Document, keys_at: Callable[[Path], Iterable[str]]) -> F:
    """Return the form filled in with a document's values.

    Parameters
    ----------
    keys_at
        Keys that are known at a path, for suggestions.

    Raises
    ------
    WorkflowError
        The first wrong one in the document; a key that nobody knows comes before all others,
        because it is often the cause of them.
    """
    try:
        return form.model_validate(document.value)
    except ValidationError as error:
        found = error.errors(include_url=False)

    def place(one: ErrorDetails) -> tuple[bool, int]:
        line = 0 if document.mark is None else line_of(document.mark, one["loc"])
        return one["type"] != _UNKNOWN, line

    raise document.located(_explained(min(found, key=place), keys_at))


def _explained(error: ErrorDetails, keys_at: Callable[[Path], Iterable[str]]) -> WorkflowError:
    """Return the error in our words."""
    path = error["loc"]
    if error["type"] == _UNKNOWN:
        return WorkflowError(_unknown(str(path[-1]), list(keys_at(path[:-1]))), path=path)
    if error["type"] == "missing":
        return WorkflowError(f"the key {path[-1]!r} is missing", path=path[:-1])
    expected = _EXPECTED.get(error["type"])
    if expected is None:
        return WorkflowError(error["msg"], path=path)
    return WorkflowError(f"expected {expected}, found {error['input']!r}", path=path)


_UNKNOWN = "extra_forbidden"
_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping",
    "string_type": "text",
}


def _unknown(key: str, known: list[str]) -> str:
    other = OTHER_WORDS.get(key.lower())
    near = [other] if other in known else get_close_matches(key.lower(), known, n=1)
    if near:
        return f"unknown key {key!r}; did you mean {near[0]!r}?"
    return f"unknown key {key!r}; expected one of {', '.join(known)}"
