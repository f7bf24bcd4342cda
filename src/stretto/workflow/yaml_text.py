"""YAML to plain values with lines: its events are read, and nothing it can construct is used.

Of YAML this takes what YAML 1.2 calls the core schema: ``true`` and ``false`` are truth values,
``no`` and ``on`` are text, ``010`` is ten, ``1e3`` a number and ``12:30`` is not.  Anchors, aliases
and ``<<`` work; tags do not, so a file can make nothing but plain values.  An alias costs what it
stands for: a few lines that stand for billions of values are refused before anyone walks them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import yaml

from stretto.errors import WorkflowError
from stretto.workflow.marks import DEEPEST, Document, Mark

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML without libyaml: slower, and otherwise the same
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

__all__ = ["FLOAT", "INTEGER", "LONGEST_NUMBER", "MOST_VALUES", "parse_yaml"]

MOST_VALUES = 500_000
"""Limit on the values of a document, with every alias counted as what it stands for."""
LONGEST_NUMBER = 400
"""Limit on the digits of a number."""

INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}

Path = tuple[str | int, ...]
_Node = Any
"""A scalar, an alias, or the start of a list or a mapping: their types share no base with a tag."""


class _Built(NamedTuple):
    """A value, its lines, and how many values it stands for."""

    value: Any
    mark: Mark
    size: int


def parse_yaml(text: str, source: str, is_text: Callable[[Path], bool]) -> Document:
    """Return the one document in `text`.

    Parameters
    ----------
    source
        Name of the file, for messages.
    is_text
        Whether the value at a path is taken as the text that stands there, so that ``1.10`` in a
        command is not 1.1.

    Raises
    ------
    WorkflowError
        With file and line, if it is not YAML, gives a key twice, or passes a limit.
    """
    composer = _Composer(yaml.parse(text, Loader=_Loader), source, is_text)
    try:
        built = composer.document()
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, source) from None
    except yaml.YAMLError as error:
        raise WorkflowError(f"not valid YAML: {error}", source=source) from None
    return Document(built.value, source, built.mark)


def _not_yaml(error: yaml.MarkedYAMLError, source: str) -> WorkflowError:
    where = error.problem_mark or error.context_mark
    place = source if where is None else f"{source}:{where.line + 1}"
    parts = [part for part in (error.problem, error.context) if part]
    return WorkflowError(f"not valid YAML: {', '.join(parts)}", source=place)


class _Composer:
    """Builds values from the events of one document."""

    def __init__(
        self, events: Iterator[_Node], source: str, is_text: Callable[[Path], bool]
    ) -> None:
        self._events = events
        self._source = source
        self._is_text = is_text
        self._anchors: dict[str, _Built | None] = {}
        self._count = 0

    def document(self) -> _Built:
        """Return the value of the only document; an empty stream is nothing."""
        built = _Built(None, Mark(1), 1)
        seen = False
        for event in self._events:
            match event:
                case yaml.DocumentStartEvent() if seen:
                    raise self._wrong(event, "expected one document, found a second")
                case yaml.DocumentStartEvent():
                    seen = True
                    built = self._value(next(self._events), ())
                case _:
                    pass
        return built

    def _value(self, event: _Node, path: Path) -> _Built:
        if len(path) > DEEPEST:
            raise self._wrong(event, f"expected at most {DEEPEST} levels, found more", path[:3])
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if event.tag not in (None, "!"):
            raise self._wrong(event, f"expected plain values, found the tag {event.tag}", path)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        before = self._count
        self._grow(event, 1)
        match event:
            case yaml.ScalarEvent():
                value, mark = self._scalar(event, path), Mark(_line(event))
            case yaml.SequenceStartEvent():
                value, mark = self._sequence(event, path)
            case _:
                value, mark = self._mapping(event, path)
        built = _Built(value, mark, self._count - before)
        if event.anchor is not None:
            self._anchors[event.anchor] = built
        return built

    def _alias(self, event: _Node, path: Path) -> _Built:
        name = event.anchor
        if name not in self._anchors:
            raise self._wrong(event, f"no anchor &{name} before this alias", path)
        built = self._anchors[name]
        if built is None:
            raise self._wrong(event, f"the alias *{name} lies inside its own anchor", path)
        self._grow(event, built.size)
        return built

    def _grow(self, event: yaml.Event, size: int) -> None:
        self._count += size
        if self._count > MOST_VALUES:
            raise self._wrong(
                event, f"expected at most {MOST_VALUES} values (aliases expanded), found more"
            )

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> Any:
        text: str = event.value
        plain = event.implicit[0] and event.tag is None
        if not plain or (self._is_text(path) and text):
            return text
        if text in _WORDS:
            return _WORDS[text]
        number = INTEGER.fullmatch(text) or FLOAT.fullmatch(text)
        if number is None:
            return text
        if len(text) > LONGEST_NUMBER:
            raise self._wrong(
                event, f"expected up to {LONGEST_NUMBER} digits, found {len(text)}", path
            )
        if number.re is FLOAT:
            return float(text.replace(".inf", "inf").replace(".nan", "nan").lower())
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)

    def _sequence(self, start: yaml.Event, path: Path) -> tuple[Any, Mark]:
        values: list[Any] = []
        marks: list[Mark] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            built = self._value(event, (*path, len(values)))
            # An alias is blamed where it stands, its inside where it was written.
            marks.append(built.mark._replace(line=_line(event)))
            values.append(built.value)
        return values, Mark(_line(start), marks)

    def _mapping(self, start: yaml.Event, path: Path) -> tuple[Any, Mark]:
        values: dict[str, Any] = {}
        marks: dict[str, Mark] = {}
        merged: list[_Built] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            if key == "<<" and event.implicit[0]:
                merged.append(self._value(next(self._events), (*path, key)))
                continue
            if key in values:
                first = marks[key].line
                raise self._wrong(
                    event, f"the key {key!r} is given twice, first in line {first}", (*path, key)
                )
            built = self._value(next(self._events), (*path, key))
            values[key] = built.value
            marks[key] = built.mark._replace(line=_line(event))
        for built in merged:
            self._merge(built, values, marks, path)
        return values, Mark(_line(start), marks)

    def _key(self, event: _Node, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            raise self._wrong(event, "expected text as a key", path)
        if event.anchor is not None:
            raise self._wrong(event, "expected no anchor at a key", path)
        value = self._scalar(event, path)
        if not isinstance(value, str):
            raise self._wrong(
                event, f"expected text as a key, found {event.value or 'nothing'}; quote it", path
            )
        return value

    def _merge(
        self, built: _Built, values: dict[str, Any], marks: dict[str, Mark], path: Path
    ) -> None:
        """Add what ``<<`` names, where the mapping itself does not say otherwise."""
        several = isinstance(built.value, list)
        items = built.value if several else [built.value]
        item_marks = built.mark.inside if several else [built.mark]
        assert isinstance(item_marks, list)
        for item, mark in zip(items, item_marks, strict=True):
            if not isinstance(item, dict) or not isinstance(mark.inside, dict):
                raise WorkflowError(
                    "expected a mapping after <<, or a list of them",
                    path=(*path, "<<"),
                    source=f"{self._source}:{built.mark.line}",
                )
            for key, value in item.items():
                if key not in values:
                    values[key] = value
                    marks[key] = mark.inside[key]

    def _wrong(self, event: yaml.Event, message: str, path: Path = ()) -> WorkflowError:
        return WorkflowError(message, path=path, source=f"{self._source}:{_line(event)}")


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return event.start_mark.line + 1
