"""What the stages ask of their arguments, and of what is installed."""

from __future__ import annotations

import importlib
from typing import Any

from stretto import WorkflowError

__all__ = ["count", "extra", "literal"]


def count(name: str, value: object, *, least: int = 1) -> int:
    """Return `value` if it is a whole number of at least `least`, else raise `WorkflowError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise WorkflowError(
            f"expected a whole number of at least {least}, found {value!r}",
            path=("arguments", name),
        )
    return value


def literal(value: Any) -> Any:
    """Return arguments of a task in whose texts the engine sees no fields."""
    match value:
        case str():
            return value.replace("{", "{{").replace("}", "}}")
        case dict():
            return {key: literal(inner) for key, inner in value.items()}
        case list() | tuple():
            return [literal(inner) for inner in value]
        case _:
            return value


def extra(module: str) -> Any:
    """Return a module that only this application needs.

    Raises
    ------
    WorkflowError
        If it cannot be imported; the message names the extra to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise WorkflowError(
            f"DeepDriveMD needs {module} ({error}); install stretto[deepdrivemd]"
        ) from error
