"""Files between stages: whole or not there, checked when read.

A file is written beside its place and then renamed, so a reader never sees half of one, and a
retried attempt replaces what an earlier one left.  Arrays are read without pickle.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto import StrettoError

__all__ = [
    "StageError",
    "drafted",
    "read_arrays",
    "write_arrays",
    "write_json",
    "write_text",
]


class StageError(StrettoError):
    """A stage cannot go on: a file is missing or damaged, a simulation or a model diverged."""


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write named arrays to `path`, whole or not at all."""
    plain = {name: np.asarray(value) for name, value in arrays.items()}
    assert all(array.dtype.kind != "O" for array in plain.values()), "would need pickle"
    with drafted(path) as draft, draft.open("wb") as file:
        # Its one option is typed as if an array could bear that name.
        np.savez(file, **plain)  # type: ignore[arg-type]


def write_json(path: Path, value: object) -> None:
    """Write `value` to `path` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with drafted(path) as draft:
        draft.write_text(text, encoding="utf-8")


def read_arrays(path: Path, dimensions: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file that `write_arrays` wrote.

    Parameters
    ----------
    path
        The file.
    dimensions
        Number of dimensions of each array that must be there; others are returned as they are.

    Raises
    ------
    StageError
        If the file is missing or damaged, an array is not there or has another number of
        dimensions, or a number in it is not finite.
    """
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise StageError(f"{path}: expected an archive of arrays, found one array")
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise StageError(f"{path}: no such file; the stage that writes it has not run") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise StageError(f"{path}: damaged or unreadable ({error})") from None
    for name, expected in dimensions.items():
        if name not in arrays:
            raise StageError(f"{path}: has no array {name}")
        if arrays[name].ndim != expected:
            raise StageError(
                f"{path}: expected {expected} dimensions of {name}, found {arrays[name].ndim}"
            )
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise StageError(f"{path}: {name} has numbers that are not finite")
    return arrays


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Hand out a draft beside `path`, which takes its place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process number keeps an attempt given up for lost from writing into its successor's file.
    draft = path.with_name(f".{path.stem}.{os.getpid()}.draft{path.suffix}")
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
