"""Which form a record has, and its reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from stretto.errors import WorkflowError
from stretto.records.nextflow import read_nextflow
from stretto.records.parsl import read_parsl
from stretto.records.record import Record
from stretto.records.summit import read_summit
from stretto.records.texts import read_bytes, read_text
from stretto.records.wfformat import read_wfformat

__all__ = ["FORMS", "form_of", "read_record"]

FORMS: Mapping[str, Callable[[Path], Record]] = {
    "wfformat": lambda path: read_wfformat(read_text(path), str(path)),
    "summit": lambda path: read_summit(read_text(path), str(path)),
    "nextflow": lambda path: read_nextflow(read_text(path), str(path)),
    "parsl": read_parsl,
}
"""The forms by name, and how each is read."""

SQLITE = b"SQLite format 3\0"


def read_record(path: str | Path, *, format: str | None = None) -> Record:  # noqa: A002
    """Return what another engine wrote down of a run.

    Parameters
    ----------
    path
        A file.
    format
        A name in `FORMS`; recognised by what is in the file unless given.

    Raises
    ------
    WorkflowError
        If the form is not known, or the file is not of it; with file, line and column.
    """
    path = Path(path)
    form = form_of(path) if format is None else format
    if form not in FORMS:
        known = ", ".join(FORMS)
        raise WorkflowError(f"expected one of {known}, found {form!r}", path=("format",))
    return FORMS[form](path)


def form_of(path: Path) -> str:
    """Return the form of the record in a file, by its first bytes.

    Raises
    ------
    WorkflowError
        If it is of none that we know.
    """
    data = read_bytes(path)
    if data.startswith(SQLITE):
        return "parsl"
    text = data[:65536].decode("utf-8-sig", errors="replace").lstrip()
    if text.startswith("{"):
        return "wfformat"
    heading = text.partition("\n")[0]
    if "task_set" in _columns(heading, ","):
        return "summit"
    if {"task_id", "status"} <= _columns(heading, "\t"):
        return "nextflow"
    raise WorkflowError(
        "no record that we know: expected WfFormat (JSON), a CSV with a column task_set, a trace "
        "of Nextflow (columns task_id and status, with tabs) or a database of Parsl (SQLite), "
        f"found {heading[:80]!r}",
        source=str(path),
    )


def _columns(heading: str, delimiter: str) -> set[str]:
    return {one.strip().strip('"') for one in heading.split(delimiter)}
