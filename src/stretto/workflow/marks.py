"""A description as read: plain values, and the line that each of them stands on.

YAML, TOML and Python all end as the same thing, a tree of mappings, lists, texts, numbers, truth
values and nothing, with a second tree beside it that knows the lines.  What is wrong with a value
is found later, by whoever understands it; the path that comes with the complaint leads back here,
to the line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from stretto.errors import WorkflowError

__all__ = [
    "DEEPEST",
    "LARGEST_NUMBER",
    "LONGEST_MESSAGE",
    "Document",
    "Mark",
    "check_values",
    "line_of",
]

DEEPEST = 32
"""Limit on how deep values lie in one another."""
LARGEST_NUMBER = 2**63
"""Limit on the size of a whole number."""
LONGEST_MESSAGE = 500
"""Messages longer than this lose their middle: they quote what was found."""

Path = tuple[str | int, ...]


class Mark(NamedTuple):
    """The line of a value, from 1, and the marks of what is inside it.

    The line of a value in a mapping is that of its key.
    """

    line: int
    inside: dict[str, Mark] | list[Mark] | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """Plain values and where they come from.

    Parameters
    ----------
    value
        Mappings, lists, text, numbers, truth values and `None`.
    source
        Name of the file, or whatever tells a user where to look; `None` for values in Python.
    mark
        Lines of the values, where there are lines.
    """

    value: Any
    source: str | None = None
    mark: Mark | None = None

    def located(self, error: WorkflowError) -> WorkflowError:
        """Return the error with the file and the line that its path leads to."""
        source = error.source
        if source is None and self.source is not None:
            line = "" if self.mark is None else f":{line_of(self.mark, error.path)}"
            source = f"{self.source}{line}"
        return WorkflowError(_shortened(error.message), path=error.path, source=source)


def line_of(mark: Mark, path: Path) -> int:
    """Return the line of what the path leads to, or of the last thing on it that is there."""
    for key in path:
        match mark.inside:
            case dict() as named if isinstance(key, str) and key in named:
                mark = named[key]
            case list() as listed if isinstance(key, int) and 0 <= key < len(listed):
                mark = listed[key]
            case _:
                break
    return mark.line


def check_values(value: object, path: Path = ()) -> None:
    """Raise `WorkflowError` unless `value` is a tree of plain values within the limits.

    Plain are mappings with text as keys, lists, text, finite numbers, truth values and `None`.
    """
    if len(path) > DEEPEST:
        raise WorkflowError(f"expected at most {DEEPEST} levels, found more", path=path[:3])
    match value:
        case None | bool():
            pass
        case str():
            _check_text(value, path)
        case int():
            if abs(value) >= LARGEST_NUMBER:
                raise WorkflowError("expected a number below 2**63, found a larger one", path=path)
        case float():
            if not math.isfinite(value):
                raise WorkflowError(f"expected a finite number, found {value}", path=path)
        case dict():
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise WorkflowError(f"expected text as a key, found {key!r}", path=path)
                _check_text(key, path)
                check_values(inner, (*path, key))
        case list():
            for number, inner in enumerate(value):
                check_values(inner, (*path, number))
        case _:
            raise WorkflowError(
                "expected text, a number, true or false, a list or a mapping, "
                f"found {type(value).__name__}",
                path=path,
            )


def _check_text(text: str, path: Path) -> None:
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise WorkflowError("expected text, found half a surrogate pair in it", path=path)


def _shortened(message: str) -> str:
    line = " ".join(message.split("\n"))
    if len(line) <= LONGEST_MESSAGE:
        return line
    half = LONGEST_MESSAGE // 2
    return f"{line[:half]} … {line[-half:]}"
