"""Files to rows and numbers, with the place of everything that cannot be read."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from stretto.errors import WorkflowError
from stretto.units import US_PER_SECOND, counted

__all__ = ["Row", "Table", "moment_us", "named", "read_bytes", "read_text", "table", "unknown"]

LARGEST_RECORD = 1 << 30
"""Limit on the size of a record in bytes."""
MOST_NAMED = 5
"""Names of one sort that a sentence spells out; of more only the number."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table, by the names of its columns."""

    source: str
    values: dict[str, str]

    def text(self, column: str) -> str | None:
        """Return what stands in a column; `None` if there is no such column, or nothing in it."""
        value = self.values.get(column, "").strip()
        return None if value in ("", "-") else value

    def read(self, column: str, reader: Callable[[str], T]) -> T | None:
        """Return a value of another type; `None` where there is none.

        Raises
        ------
        WorkflowError
            If it cannot be read; with file, line and column.
        """
        value = self.text(column)
        if value is None:
            return None
        try:
            return reader(value)
        except WorkflowError as error:
            raise WorkflowError(error.message, path=(column,), source=self.source) from None

    def needed(self, column: str, reader: Callable[[str], T]) -> T:
        """Return a value that must be there."""
        value = self.read(column, reader)
        if value is None:
            raise WorkflowError("expected a value, found none", path=(column,), source=self.source)
        return value


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a line of headings."""

    source: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def require(self, columns: Sequence[str]) -> None:
        """Raise `WorkflowError` if some of these columns are missing."""
        if missing := [one for one in columns if one not in self.columns]:
            raise WorkflowError(
                f"expected the {counted(len(missing), 'column')} {', '.join(missing)}, "
                f"found {', '.join(self.columns)}",
                source=f"{self.source}:1",
            )


def read_bytes(path: Path) -> bytes:
    """Return what is in a file.

    Raises
    ------
    WorkflowError
        If it cannot be read, or is larger than a record may be.
    """
    try:
        if path.is_dir():
            raise WorkflowError(
                "expected the file of a record, found a directory", source=str(path)
            )
        size = path.stat().st_size
        if size > LARGEST_RECORD:
            raise WorkflowError(
                f"expected at most {LARGEST_RECORD} bytes, found {size}", source=str(path)
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise WorkflowError("there is no such file", source=str(path)) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise WorkflowError(f"cannot be read: {why}", source=str(path)) from None


def read_text(path: Path) -> str:
    """Return the text in a file, which must be UTF-8."""
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise WorkflowError(
            f"expected UTF-8, found the byte 0x{data[error.start]:02x}", source=f"{path}:{line}"
        ) from None


def table(text: str, source: str, delimiter: str) -> Table:
    """Return a text with headings and rows; empty lines are left out.

    Raises
    ------
    WorkflowError
        If a heading comes twice, or a row has another number of fields; with its line.
    """
    reader = csv.reader(text.splitlines(), delimiter=delimiter, strict=True)
    lines = _lines(reader, source)
    _, heading = next(lines, (1, []))
    columns = [one.strip() for one in heading]
    if len(set(columns)) < len(columns):
        again = next(one for one in columns if columns.count(one) > 1)
        raise WorkflowError(f"the column {again} comes twice", source=f"{source}:1")
    rows = []
    for number, fields in lines:
        if len(fields) != len(columns):
            raise WorkflowError(
                f"expected {counted(len(columns), 'field')}, found {len(fields)}",
                source=f"{source}:{number}",
            )
        rows.append(Row(f"{source}:{number}", dict(zip(columns, fields, strict=True))))
    return Table(source, tuple(columns), tuple(rows))


def _lines(reader: Iterator[list[str]], source: str) -> Iterator[tuple[int, list[str]]]:
    number = 0
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise WorkflowError(
                f"cannot be read: {error}", source=f"{source}:{number + 1}"
            ) from None
        if fields is None:
            return
        number = reader.line_num  # type: ignore[attr-defined]  # what csv.reader returns has it
        if fields:
            yield number, fields


def real(text: str) -> float:
    """Return a finite number."""
    try:
        number = float(text)
    except ValueError:
        raise WorkflowError(f"expected a number, found {text!r}") from None
    if not math.isfinite(number):
        raise WorkflowError(f"expected a finite number, found {text!r}")
    return number


def whole(text: str) -> int:
    """Return a whole number from 0, which may be written as ``4.0``."""
    number = real(text)
    if number < 0 or number != int(number):
        raise WorkflowError(f"expected a whole number from 0, found {text!r}")
    return int(number)


def moment_us(text: str) -> int:
    """Return an ISO 8601 time as microseconds since 1970; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WorkflowError(f"expected a date and time, found {text!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * US_PER_SECOND + since.microseconds


def named(names: Sequence[str]) -> str:
    """Return names for a sentence, the first few of them."""
    shown = ", ".join(names[:MOST_NAMED])
    more = len(names) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def unknown(found: Sequence[str], known: Sequence[str], thing: str) -> list[str]:
    """Return a sentence about fields that nobody knows; nothing if there are none."""
    strange = sorted(set(found).difference(known))
    if not strange:
        return []
    return [f"{counted(len(strange), f'unknown {thing}')} left out: {named(strange)}"]
