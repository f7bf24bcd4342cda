"""Files to documents: what can be refused before a word of it is understood is refused here."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from pathlib import Path

from stretto.errors import WorkflowError
from stretto.workflow.marks import Document, check_values
from stretto.workflow.toml_text import parse_toml
from stretto.workflow.yaml_text import parse_yaml

__all__ = ["FORMATS", "LARGEST_FILE", "LONGEST_LINE", "parse_document", "read_document"]

LARGEST_FILE = 4 * 1024 * 1024
"""Limit on the size of a description in bytes."""
LONGEST_LINE = 100_000
"""Limit on the letters in one line of a description."""

FORMATS = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}
"""How a name ends, and what the file is then taken for."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")


def _never(path: tuple[str | int, ...]) -> bool:  # noqa: ARG001 - the shape of `is_text`
    return False


def read_document(
    path: str | Path, *, is_text: Callable[[tuple[str | int, ...]], bool] = _never
) -> Document:
    """Return the plain values in a file, with their lines.

    Parameters
    ----------
    is_text
        Whether what stands at a path of a YAML file is text, whatever it looks like.

    Raises
    ------
    WorkflowError
        If the file cannot be read, is no YAML or TOML, or passes a limit.
    """
    path = Path(path)
    form = FORMATS.get(path.suffix.lower())
    data = _read(path)
    if form is None:
        ends = ", ".join(FORMATS)
        raise WorkflowError(f"expected a name that ends in one of {ends}", source=str(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise WorkflowError(
            f"expected UTF-8, found the byte 0x{data[error.start]:02x}", source=f"{path}:{line}"
        ) from None
    return parse_document(text, form, str(path), is_text=is_text)


def parse_document(
    text: str,
    form: str,
    source: str,
    *,
    is_text: Callable[[tuple[str | int, ...]], bool] = _never,
) -> Document:
    """Return the plain values in a text, with their lines; `form` is ``"yaml"`` or ``"toml"``."""
    _check_text(text, source)
    if form not in FORMATS.values():
        raise WorkflowError(f"expected the format yaml or toml, found {form!r}")
    document = parse_toml(text, source) if form == "toml" else parse_yaml(text, source, is_text)
    if not document.value and not isinstance(document.value, str | int | float):
        raise WorkflowError("expected a description, found nothing in it", source=source)
    if not isinstance(document.value, dict):
        kind = "a list" if isinstance(document.value, list) else repr(document.value)
        wrong = WorkflowError(f"expected a mapping at the top, found {kind}")
        raise document.located(wrong)
    try:
        check_values(document.value)
    except WorkflowError as error:
        raise document.located(error) from None
    return document


def _read(path: Path) -> bytes:
    source = str(path).replace("\0", "\\0")
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise WorkflowError("expected a file, found a directory", source=source)
        if not stat.S_ISREG(status.st_mode):
            raise WorkflowError("expected a regular file", source=source)
        size = status.st_size
        if size <= LARGEST_FILE:
            with path.open("rb") as file:
                data = file.read(LARGEST_FILE + 1)
            size = len(data)
    except FileNotFoundError:
        raise WorkflowError("there is no such file", source=source) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise WorkflowError(f"cannot be read: {why}", source=source) from None
    if size > LARGEST_FILE:
        raise WorkflowError(
            f"expected at most {LARGEST_FILE} bytes, found {size} or more", source=source
        )
    return data


def _check_text(text: str, source: str) -> None:
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > LONGEST_LINE:
            raise WorkflowError(
                f"expected at most {LONGEST_LINE} letters in a line, found {len(line)}",
                source=f"{source}:{number}",
            )
        if not line.isprintable() and (found := _UNPRINTABLE.search(line)) is not None:
            name = "a null byte" if found[0] == "\0" else f"the character U+{ord(found[0]):04X}"
            raise WorkflowError(f"expected text, found {name}", source=f"{source}:{number}")
