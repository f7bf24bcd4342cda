"""Sections of the configuration: frozen values, checked when they are made.

A section is read from the mapping that stands in the configuration, and handed to the stages as
one.  What is wrong with a key is told as section and key, with what was expected and found.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from stretto import WorkflowError

__all__ = ["Section"]

Path = tuple[str | int, ...]

_UNKNOWN = "extra_forbidden"
_LONGEST = 120
"""Of what was found, so many characters are shown."""


class Section(BaseModel):
    """A part of the configuration; its fields are the keys, with units in their names."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    @classmethod
    def of(cls, values: Mapping[str, Any], *, section: str | None = None) -> Self:
        """Return the section that `values` describes.

        Raises
        ------
        WorkflowError
            If a key is unknown or missing, or its value cannot be used; its path says which.  An
            unknown key comes before all else, because it is often the cause of the rest.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            found = error.errors(include_url=False)
        except WorkflowError as error:
            raise error if section is None else error.within(section) from None
        wrong = min(found, key=lambda one: one["type"] != _UNKNOWN)
        path, message = _explained(cls, wrong, values)
        raise WorkflowError(message, path=path if section is None else (section, *path))


def _explained(
    kind: type[Section], error: ErrorDetails, values: Mapping[str, Any]
) -> tuple[Path, str]:
    """Return where it is and what is wrong, in our words."""
    path, found = error["loc"], f"found {error['input']!r:.{_LONGEST}}"
    match error["type"]:
        case "extra_forbidden":
            return path, _unknown(str(path[-1]), _keys_at(kind, path[:-1]))
        case "missing":
            return path[:-1], f"the key {path[-1]!r} is missing"
        case "value_error":
            message = str(error.get("ctx", {}).get("error", error["msg"]))
            there = _there(path, values)
            return there, message if "found" in message or not there else f"{message}, {found}"
        case "model_type" | "dict_type":
            return _there(path, values), f"expected a mapping, {found}"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            message = error["msg"].replace("Input should be", "expected a number")
        case _:
            message = error["msg"].replace("Input should be", "expected")
    return _there(path, values), f"{message[:1].lower()}{message[1:]}, {found}"


def _there(path: Path, values: Any) -> Path:
    """Return the path as far as it leads in `values`: what else is in it names a type."""
    for place, key in enumerate(path):
        try:
            values = values[key]
        except (LookupError, TypeError):
            return path[:place]
    return path


def _keys_at(kind: type[BaseModel], path: Path) -> list[str]:
    for key in path:
        field = kind.model_fields.get(str(key))
        inner = [] if field is None else _sections(field.annotation)
        if not inner:
            return []
        kind = inner[0]
    return list(kind.model_fields)


def _sections(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    inside = getattr(annotation, "__args__", ())
    return [found for one in inside for found in _sections(one)]


def _unknown(key: str, known: list[str]) -> str:
    near = get_close_matches(key.lower(), known, n=1)
    if near:
        return f"unknown key {key!r}; did you mean {near[0]!r}?"
    return f"unknown key {key!r}; expected one of {', '.join(known)}"
