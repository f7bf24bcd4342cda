"""TOML to plain values with lines.

The values are the standard library's.  It keeps no lines, so a second, simple look at the text
finds the line of each table and of each key at the beginning of a line; a value inside a longer
one (an inline table, a list over several lines) is said to stand where that one begins.
"""

from __future__ import annotations

import re
import tomllib

from stretto.errors import WorkflowError
from stretto.workflow.marks import DEEPEST, Document, Mark

__all__ = ["parse_toml"]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_TABLE = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_KEY})[ \t]*\]\]?[ \t]*(?:#.*)?")
_PAIR = re.compile(rf"[ \t]*({_KEY})[ \t]*=")
_PARTS = re.compile(_PART)
_FENCE = re.compile(r'"""|' + "'''")
_LINE = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")


def parse_toml(text: str, source: str) -> Document:
    """Return the document in `text`.

    Raises
    ------
    WorkflowError
        With file and line, if it is not TOML, gives a key twice, or passes a limit.
    """
    lines = _Lines(source)
    lines.read(text)
    try:
        value = tomllib.loads(text)
    except RecursionError:
        raise _too_deep(f"{source}:{_line_of_depth(text)}") from None
    except ValueError as error:
        raise lines.complaint(str(error), text) from None
    return Document(value, source, lines.mark)


class _Lines:
    """Lines of tables and keys, as far as they begin a line of text."""

    def __init__(self, source: str) -> None:
        self.mark = Mark(1, {})
        self._source = source
        self._tables: dict[tuple[str, ...], int] = {}
        self._repeated: dict[int, tuple[str, int]] = {}

    def read(self, text: str) -> None:
        """Note the line of every table and key."""
        table = self.mark
        fence: str | None = None
        for number, line in enumerate(text.split("\n"), start=1):
            if fence is None:
                if (found := _TABLE.fullmatch(line.rstrip("\r"))) is not None:
                    table = self._enter(_split(found[2]), number, found[1] == "[[")
                    continue
                if (found := _PAIR.match(line)) is not None:
                    self._pair(table, _split(found[1]), number)
            for token in _FENCE.findall(line):
                fence = token if fence is None else None if token == fence else fence

    def _enter(self, keys: list[str], number: int, is_list: bool) -> Mark:
        """Return the mark of the table that a header opens."""
        self._check_depth(keys, number)
        if not is_list and (first := self._tables.setdefault(tuple(keys), number)) != number:
            self._repeated[number] = (".".join(keys), first)
        mark = self.mark
        for place, key in enumerate(keys):
            named = mark.inside
            assert isinstance(named, dict)
            last = place == len(keys) - 1
            mark = named.setdefault(key, Mark(number, [] if last and is_list else {}))
            if last and is_list and isinstance(mark.inside, list):
                mark.inside.append(Mark(number, {}))
            if isinstance(mark.inside, list):
                mark = mark.inside[-1]
        return mark

    def _pair(self, table: Mark, keys: list[str], number: int) -> None:
        self._check_depth(keys, number)
        mark = table
        for place, key in enumerate(keys):
            named = mark.inside
            assert isinstance(named, dict)
            if place == len(keys) - 1 and key in named:
                self._repeated[number] = (key, named[key].line)
            mark = named.setdefault(key, Mark(number, {}))
            if isinstance(mark.inside, list):
                mark = mark.inside[-1]

    def _check_depth(self, keys: list[str], number: int) -> None:
        if len(keys) > DEEPEST:
            raise _too_deep(f"{self._source}:{number}")

    def complaint(self, message: str, text: str) -> WorkflowError:
        """Return what the standard library says, with the line in its place."""
        found = _LINE.search(message)
        if found is None:
            return WorkflowError(f"not valid TOML: {message}", source=self._source)
        number = int(found[1]) if found[1] else text.rstrip("\n").count("\n") + 1
        source = f"{self._source}:{number}"
        if number in self._repeated:
            key, first = self._repeated[number]
            return WorkflowError(
                f"the key {key!r} is given twice, first in line {first}", source=source
            )
        return WorkflowError(f"not valid TOML: {message[: found.start()].strip()}", source=source)


def _too_deep(source: str) -> WorkflowError:
    return WorkflowError(f"expected at most {DEEPEST} levels, found more", source=source)


def _line_of_depth(text: str) -> int:
    """Return the line where more brackets are open than there may be levels."""
    depth = 0
    for number, line in enumerate(text.split("\n"), start=1):
        depth += line.count("[") + line.count("{") - line.count("]") - line.count("}")
        if depth > DEEPEST:
            return number
    return 1


def _split(key: str) -> list[str]:
    return [part.strip("\"'") for part in _PARTS.findall(key)]
