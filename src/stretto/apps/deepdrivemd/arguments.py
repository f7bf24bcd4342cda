"""What the stages ask of their arguments, and of what is installed."""

from __future__ import annotations

import importlib
import math
from typing import Any

from stretto import WorkflowError

__all__ = ["count", "extra", "quantity"]


def count(name: str, value: object, *, least: int = 1) -> int:
    """Return `value` if it is a whole number of at least `least`, else raise `WorkflowError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise WorkflowError(
            f"expected a whole number of at least {least}, found {value!r}",
            path=("arguments", name),
        )
    return value


def quantity(name: str, value: object) -> float:
    """Return `value` if it is a finite number above zero, else raise `WorkflowError`."""
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type, operator]
        raise WorkflowError(f"expected a number above 0, found {value!r}", path=("arguments", name))
    return float(value)  # type: ignore[arg-type]  # checked above


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
