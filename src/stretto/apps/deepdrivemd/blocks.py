"""A block: the frames of some simulations of one iteration as features, in one HDF5 file.

====================  ===================  ========================================================
dataset               shape, type          what
====================  ===================  ========================================================
``features``          n, …                 what a model sees; contact maps uint8 (n, r, r), all
                                           others float32 (n, columns)
``frames``            n, 3; int64          iteration, simulation and frame of each row
``phi_psi_rad``       n, residues, 2;      backbone torsions of the residues that have both, from
                      float32              -pi to pi; there may be none
``rmsd_nm``           n; float32           from the reference, superposed, where there is one
``native_contacts``   n; float32           share of the reference's contacts that are there, Q
====================  ===================  ========================================================

====================  ===================  ========================================================
attribute             type                 what
====================  ===================  ========================================================
``kind``              text                 which features they are
``version``           int                  1
``missing``           m, 2; int64          iteration and simulation of those that left no frames,
                                           where the run can do without some; may be absent
====================  ===================  ========================================================

A file is written whole or not at all, and checked when it is read: whoever replaces the aggregation
writes such a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.files import StageError, drafted

__all__ = ["Block", "joined"]

VERSION = 1
_DATASETS = ("features", "frames", "phi_psi_rad", "rmsd_nm", "native_contacts")
_OPTIONAL = ("rmsd_nm", "native_contacts")
_DIMENSIONS = {"frames": 2, "phi_psi_rad": 3, "rmsd_nm": 1, "native_contacts": 1}


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Frames as features, a row each; shapes and units as in the file.

    Parameters
    ----------
    kind
        ``contacts``, ``distances`` or ``dihedrals``, or a name of your own.
    features, frames, phi_psi_rad, rmsd_nm, native_contacts
        The datasets; the last two `None` where there is no reference.
    missing
        Iteration and simulation of those that left no frames.
    """

    kind: str
    features: NDArray[np.generic]
    frames: NDArray[np.int64]
    phi_psi_rad: NDArray[np.float32]
    rmsd_nm: NDArray[np.float32] | None = None
    native_contacts: NDArray[np.float32] | None = None
    missing: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.frames)

    def rows(self, wanted: NDArray[np.integer]) -> Block:
        """Return some of the rows, in the order of their numbers in `wanted`."""
        return replace(
            self,
            features=self.features[wanted],
            frames=self.frames[wanted],
            phi_psi_rad=self.phi_psi_rad[wanted],
            rmsd_nm=None if self.rmsd_nm is None else self.rmsd_nm[wanted],
            native_contacts=None if self.native_contacts is None else self.native_contacts[wanted],
        )

    def thinned(self, most: int) -> Block:
        """Return at most `most` of the rows, evenly spaced."""
        if len(self) <= most:
            return self
        return self.rows(np.linspace(0, len(self) - 1, most).round().astype(np.int64))

    def write(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        with drafted(path) as draft, extra("h5py").File(draft, "w") as file:
            file.attrs["kind"], file.attrs["version"] = self.kind, VERSION
            if self.missing:
                file.attrs["missing"] = np.array(self.missing, np.int64)
            for name in _DATASETS:
                values = getattr(self, name)
                if values is not None:
                    file.create_dataset(name, data=values, compression="gzip", compression_opts=1)

    @classmethod
    def read(cls, path: Path) -> Block:
        """Return what `write` wrote.

        Raises
        ------
        StageError
            If the file is missing, damaged, of another version, or has a number that is not finite.
        """
        if not path.exists():
            raise StageError(f"{path}: no such file; the stage that writes it has not run")
        try:
            with extra("h5py").File(path, "r") as file:
                kind, version = str(file.attrs["kind"]), int(file.attrs["version"])
                missing = np.array(file.attrs.get("missing", ()), np.int64).reshape(-1, 2)
                found = {name: file[name][()] for name in _DATASETS if name in file}
        except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise StageError(f"{path}: damaged, or not a block of features ({error})") from None
        if version != VERSION:
            raise StageError(f"{path}: expected version {VERSION} of a block, found {version}")
        _check(path, found)
        return cls(kind, **found, missing=tuple((int(k), int(i)) for k, i in missing))


def joined(parts: Sequence[Block]) -> Block:
    """Return the rows of all parts, one part after another.

    Raises
    ------
    StageError
        If they do not have the same features.
    """
    first = parts[0]
    for part in parts[1:]:
        alike = part.features.shape[1:] == first.features.shape[1:] and part.kind == first.kind
        if not alike or any(
            (getattr(part, name) is None) != (getattr(first, name) is None) for name in _OPTIONAL
        ):
            raise StageError(
                f"blocks of different features: {first.kind} {first.features.shape[1:]} and "
                f"{part.kind} {part.features.shape[1:]}"
            )
    values: dict[str, Any] = {
        name: None
        if getattr(first, name) is None
        else np.concatenate([getattr(part, name) for part in parts])
        for name in _DATASETS
    }
    return Block(first.kind, **values, missing=tuple(one for part in parts for one in part.missing))


def _check(path: Path, found: dict[str, NDArray[np.generic]]) -> None:
    for name in _DATASETS:
        if name not in found:
            if name in _OPTIONAL:
                continue
            raise StageError(f"{path}: has no dataset {name}")
        values = found[name]
        if name != "features" and values.ndim != _DIMENSIONS[name]:
            raise StageError(
                f"{path}: expected {_DIMENSIONS[name]} dimensions of {name}, found {values.ndim}"
            )
        if len(values) != len(found["features"]) or not len(values):
            raise StageError(f"{path}: expected a row for each frame in {name}")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise StageError(f"{path}: {name} has numbers that are not finite")
