"""YAML to plain values with lines, so that a mistake in a configuration has a place.

Of YAML this takes the core schema of YAML 1.2, as descriptions of workflows do: ``no`` and ``on``
are text, ``1e-3`` is a number.  Anchors and aliases work; tags and ``<<`` do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stretto import WorkflowError

__all__ = ["LARGEST_FILE", "MOST_VALUES", "Lined", "parse_lined", "read_lined"]

LARGEST_FILE = 1024 * 1024
"""Limit on the size of a configuration in bytes."""
MOST_VALUES = 10_000
"""Limit on the values in a configuration, with every alias counted as what it stands for."""

Keys = tuple[str | int, ...]

_CORE = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - filled below, as PyYAML has it


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"{_CORE}{_name}", re.compile(f"^(?:{_pattern})$"), _first)


@dataclass(frozen=True, slots=True)
class Lined:
    """Plain values of a file, and the line of each.

    Parameters
    ----------
    values
        The mapping at the top.
    source
        What messages call the file.
    lines
        Line of each value, from 1, by the keys that lead to it; of one in a mapping that of its
        key.
    """

    values: dict[str, Any]
    source: str
    lines: dict[Keys, int]

    def located(self, error: WorkflowError) -> WorkflowError:
        """Return the error with file and line of what its path leads to, as far as that is here."""
        if error.source is not None:
            return error
        keys = error.path
        while keys not in self.lines:
            keys = keys[:-1]
        return WorkflowError(
            error.message, path=error.path, source=f"{self.source}:{self.lines[keys]}"
        )


def read_lined(path: str | Path) -> Lined:
    """Return the values in a file.

    Raises
    ------
    WorkflowError
        If it cannot be read or is no mapping in YAML; with file and, where there is one, line.
    """
    source = str(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise WorkflowError("there is no such file", source=source) from None
    except OSError as error:
        raise WorkflowError(f"cannot be read: {error.strerror}", source=source) from None
    if len(data) > LARGEST_FILE:
        raise WorkflowError(f"expected at most {LARGEST_FILE} bytes, found more", source=source)
    try:
        return parse_lined(data.decode("utf-8-sig"), source)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise WorkflowError(
            f"expected UTF-8, found the byte 0x{data[error.start]:02x}", source=f"{source}:{line}"
        ) from None


def parse_lined(text: str, source: str) -> Lined:
    """Return the values in a text; errors as of `read_lined`."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = source if mark is None else f"{source}:{mark.line + 1}"
        raise WorkflowError(f"not valid YAML: {error.problem}", source=place) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise WorkflowError(f"not valid YAML: {error}", source=source) from None
    if node is None:
        raise WorkflowError("expected a configuration, found nothing in it", source=source)
    composed = _Values(source)
    values = composed.value(node, ())
    if not isinstance(values, dict):
        raise WorkflowError(
            f"expected a mapping at the top, found {values!r:.80}", source=f"{source}:1"
        )
    return Lined(values, source, composed.lines)


class _Values:
    """Plain values out of YAML's nodes, and their lines."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._inside: set[int] = set()
        self.lines: dict[Keys, int] = {}

    def value(self, node: yaml.Node, keys: Keys) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(keys, line)
        if len(self.lines) > MOST_VALUES:
            raise self._wrong(line, f"expected at most {MOST_VALUES} values, found more")
        if id(node) in self._inside:
            raise self._wrong(line, "an alias lies inside its own anchor", keys)
        self._inside.add(id(node))
        try:
            match node:
                case yaml.MappingNode():
                    return dict(self._pairs(node, keys))
                case yaml.SequenceNode():
                    return [self.value(one, (*keys, n)) for n, one in enumerate(node.value)]
                case _:
                    return self._scalar(node, keys, line)
        finally:
            self._inside.discard(id(node))

    def _pairs(self, node: yaml.MappingNode, keys: Keys) -> Iterator[tuple[str, Any]]:
        for key, inner in node.value:
            name, line = key.value, key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag != f"{_CORE}str":
                raise self._wrong(line, f"expected text as a key, found {name!r:.40}", keys)
            path = (*keys, name)
            if path in self.lines:
                first = self.lines[path]
                raise self._wrong(
                    line, f"the key {name!r} is given twice, first in line {first}", path
                )
            self.lines[path] = line
            yield name, self.value(inner, path)

    def _scalar(self, node: yaml.Node, keys: Keys, line: int) -> Any:
        text: str = node.value
        # These are the text that stands there, however much they look like numbers.
        if len(keys) == 3 and keys[1] in ("command", "environment"):
            return text
        match node.tag.removeprefix(_CORE):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text)
            case "float":
                return float(text.replace(".inf", "inf").replace(".nan", "nan"))
            case tag:
                raise self._wrong(line, f"expected plain values, found the tag {tag}", keys)

    def _wrong(self, line: int, message: str, keys: Keys = ()) -> WorkflowError:
        return WorkflowError(message, path=keys, source=f"{self._source}:{line}")
