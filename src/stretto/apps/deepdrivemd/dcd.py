"""Trajectories as DCD files: written frame by frame, cut and gone on from, read and checked.

OpenMM's own writer stamps the time of day into the header and cannot drop frames; here the same
frames give the same bytes.  Readers of others print to the output of the task, read past damage, or
load what nobody asked for.

The layout is CHARMM's, little-endian: a header; then for each frame the box, where there is one,
and all x, all y, all z in angstroms, each between two counts of its bytes.  So all frames have one
size, and the file's size says how many there are.  What NAMD, CHARMM, OpenMM and MDTraj write is
read as well.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.files import StageError, drafted

__all__ = ["Cell", "DcdFile", "Layout", "count_frames", "read_dcd", "read_frame"]

_HEADER_BYTES = 276
_PS_PER_AKMA = 0.04888821
_TITLES = (b"Written by Stretto", b"Positions in angstroms")
_ANGSTROMS_PER_NM = 10.0


@dataclass(frozen=True, slots=True)
class Layout:
    """What all frames of a file have in common.

    Parameters
    ----------
    n_atoms
        Atoms of a frame.
    periodic
        Whether each frame has a box.
    steps_per_frame, step_ps
        Steps from frame to frame, and their length.
    """

    n_atoms: int
    periodic: bool
    steps_per_frame: int
    step_ps: float

    @property
    def frame(self) -> np.dtype[np.void]:
        """A frame as it lies in the file."""
        return _frame(self.n_atoms, self.periodic)

    def header(self, n_frames: int) -> bytes:
        """Return the header of a file of so many frames."""
        last_step = n_frames * self.steps_per_frame
        counts = (n_frames, self.steps_per_frame, self.steps_per_frame, last_step)
        # Counts that do not fit are of no use to a reader, which goes by the size of the file.
        kept = (count if count < 2**31 else 0 for count in counts)
        return (
            struct.pack("<i4s9if", 84, b"CORD", *kept, 0, 0, 0, 0, 0, self.step_ps / _PS_PER_AKMA)
            + struct.pack("<10ii", int(self.periodic), 0, 0, 0, 0, 0, 0, 0, 0, 24, 84)
            + struct.pack("<ii80s80si", 164, 2, *_TITLES, 164)
            + struct.pack("<3i", 4, self.n_atoms, 4)
        )

    def size(self, n_frames: int) -> int:
        """Return the bytes of a file of so many frames."""
        return _HEADER_BYTES + n_frames * self.frame.itemsize


def read_dcd(
    path: Path, *, begin: int = 0, every: int = 1, atoms: NDArray[np.integer] | None = None
) -> tuple[NDArray[np.float32], int, int]:
    """Return frames `begin`, `begin` + `every`, … of a file, and how many it has.

    Parameters
    ----------
    path
        The file.
    begin, every
        First frame, and stride in frames.
    atoms
        Indices of the atoms wanted; all of them if `None`.

    Returns
    -------
    tuple
        Positions in nm, shape ``(frames, atoms, 3)``; number of frames and of atoms in the file.

    Raises
    ------
    StageError
        If the file is missing, damaged or of another kind, has too few atoms, or a position is not
        finite.
    """
    frames, rest = _mapped(path)
    n_frames, n_atoms = len(frames), _atoms(frames)
    if rest or not n_frames:
        raise StageError(f"{path}: damaged, its last frame ends after {rest} bytes")
    chosen = frames[begin::every]
    wanted = np.arange(n_atoms) if atoms is None else atoms
    if wanted.max(initial=0) >= n_atoms:
        raise StageError(f"{path}: expected {wanted.max() + 1} atoms or more, found {n_atoms}")
    return _positions_nm(path, chosen, begin, every, wanted), n_frames, n_atoms


class Cell(NamedTuple):
    """A box: the lengths of its vectors, and the angles opposite to them."""

    lengths_nm: NDArray[np.float64]
    """Shape ``(3,)``."""
    angles_deg: NDArray[np.float64]
    """Shape ``(3,)``: alpha, beta and gamma."""


def read_frame(path: Path, frame: int) -> tuple[NDArray[np.float32], Cell | None]:
    """Return one frame of a file, which may still grow.

    Returns
    -------
    tuple
        Positions in nm, shape ``(atoms, 3)``; the box, where there is one.

    Raises
    ------
    StageError
        If the file is missing, damaged or of another kind, has no such frame, or a position is not
        finite.
    """
    frames, _ = _mapped(path)
    if not 0 <= frame < len(frames):
        raise StageError(f"{path}: has no frame {frame}")
    chosen = frames[frame : frame + 1]
    (positions_nm,) = _positions_nm(path, chosen, frame, 1, np.arange(_atoms(frames)))
    return positions_nm, _cell(chosen["box"][0]) if "box" in (chosen.dtype.names or ()) else None


def count_frames(path: Path) -> int:
    """Return how many whole frames a file has.

    Raises
    ------
    StageError
        If it is missing, damaged or of another kind.
    """
    return len(_mapped(path)[0])


class DcdFile:
    """A file that is being written; see `opened`."""

    def __init__(self, file: IO[bytes], layout: Layout, n_frames: int) -> None:
        self._file = file
        self._layout = layout
        self.n_frames = n_frames

    @classmethod
    @contextmanager
    def opened(
        cls, path: Path, layout: Layout, *, kept: Path | None = None, n_kept: int = 0
    ) -> Iterator[DcdFile]:
        """Open `path` anew, with the first `n_kept` frames of the file `kept`, to append to it.

        Raises
        ------
        StageError
            If `kept` does not have that many frames.
        """
        with drafted(path) as draft, draft.open("wb") as file:
            file.write(layout.header(n_kept))
            if kept is not None:
                _copy_frames(kept, file, layout, n_kept)
        with path.open("r+b") as file:
            file.seek(0, os.SEEK_END)
            dcd = cls(file, layout, n_kept)
            yield dcd
            dcd.sync()

    def append(self, positions_nm: NDArray[np.floating], box_nm: NDArray[np.floating]) -> None:
        """Append a frame.

        Parameters
        ----------
        positions_nm
            Shape ``(n_atoms, 3)``.
        box_nm
            Box vectors as rows, shape ``(3, 3)``; not looked at where the layout has no box.
        """
        frame = np.zeros((), self._layout.frame)
        angstroms = np.asarray(positions_nm) * _ANGSTROMS_PER_NM
        for column, axis in enumerate("xyz"):
            frame[axis] = angstroms[:, column]
            frame[f"before_{axis}"] = frame[f"behind_{axis}"] = 4 * self._layout.n_atoms
        if self._layout.periodic:
            frame["before"] = frame["behind"] = 48
            frame["box"] = _lengths_and_cosines(np.asarray(box_nm) * _ANGSTROMS_PER_NM)
        self._file.write(frame.tobytes())
        self.n_frames += 1

    def sync(self) -> None:
        """Make all frames so far last, and the header say how many they are."""
        self._file.seek(0)
        self._file.write(self._layout.header(self.n_frames))
        self._file.seek(0, os.SEEK_END)
        self._file.flush()
        os.fsync(self._file.fileno())


def _mapped(path: Path) -> tuple[NDArray[np.void], int]:
    """Return a file's frames, left on disk, and how many bytes there are behind the last."""
    try:
        with path.open("rb") as file:
            layout = _frame(*_read_header(path, file))
            behind_header, size = file.tell(), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise StageError(f"{path}: no such file; the stage that writes it has not run") from None
    except (OSError, struct.error) as error:
        raise StageError(f"{path}: damaged or unreadable ({error})") from None
    n_frames, rest = divmod(size - behind_header, layout.itemsize)
    if n_frames <= 0:
        return np.empty(0, layout), rest
    return np.memmap(path, layout, "r", behind_header, (n_frames,)), rest


def _atoms(frames: NDArray[np.void]) -> int:
    return int(frames.dtype["x"].shape[0])


def _positions_nm(
    path: Path, chosen: NDArray[np.void], begin: int, every: int, atoms: NDArray[np.integer]
) -> NDArray[np.float32]:
    n_atoms = _atoms(chosen)
    positions = np.empty((len(chosen), len(atoms), 3), np.float32)
    for column, axis in enumerate("xyz"):
        if not (chosen[f"before_{axis}"] == 4 * n_atoms).all():
            raise StageError(f"{path}: damaged, a frame does not begin where it should")
        positions[:, :, column] = chosen[axis][:, atoms]
    finite = np.isfinite(positions).all(axis=(1, 2))
    if not finite.all():
        bad = int(np.argmin(finite)) * every + begin
        raise StageError(f"{path}: frame {bad} has positions that are not finite")
    positions /= np.float32(_ANGSTROMS_PER_NM)
    return positions


def _frame(n_atoms: int, periodic: bool) -> np.dtype[np.void]:
    box = [("before", "<i4"), ("box", "<f8", 6), ("behind", "<i4")] if periodic else []
    axes = [
        part
        for axis in "xyz"
        for part in (
            (f"before_{axis}", "<i4"),
            (axis, "<f4", n_atoms),
            (f"behind_{axis}", "<i4"),
        )
    ]
    return np.dtype([*box, *axes])


def _read_header(path: Path, file: IO[bytes]) -> tuple[int, bool]:
    length, magic, *control = struct.unpack("<i4s20ii", file.read(92))[:-1]
    if (length, magic) != (84, b"CORD"):
        raise StageError(f"{path}: damaged, or not a DCD file of 32 bits, little-endian")
    fixed, periodic, fourth, version = control[8], control[10], control[11], control[19]
    if fixed or fourth or not version:
        raise StageError(f"{path}: is a DCD file with fixed atoms, a fourth axis, or of X-PLOR")
    (titles,) = struct.unpack("<i", file.read(4))
    file.seek(max(titles, 0) + 4, os.SEEK_CUR)
    before, n_atoms, behind = struct.unpack("<3i", file.read(12))
    if (before, behind) != (4, 4) or n_atoms < 1:
        raise StageError(f"{path}: damaged, or not a DCD file of 32 bits, little-endian")
    return n_atoms, bool(periodic)


def _copy_frames(source: Path, target: IO[bytes], layout: Layout, n_frames: int) -> None:
    left = n_frames * layout.frame.itemsize
    try:
        with source.open("rb") as file:
            if file.read(_HEADER_BYTES)[-12:] != layout.header(0)[-12:]:
                raise StageError(f"{source}: is not a trajectory of {layout.n_atoms} atoms")
            while left:
                part = file.read(min(left, 1 << 24))
                if not part:
                    raise StageError(f"{source}: has fewer than {n_frames} frames")
                target.write(part)
                left -= len(part)
    except OSError as error:
        raise StageError(f"{source}: cannot be read ({error})") from None


def _lengths_and_cosines(vectors: NDArray[np.floating]) -> list[float]:
    """Return A, cos gamma, B, cos beta, cos alpha, C: the order of the format."""
    a, b, c = (float(length) for length in np.linalg.norm(vectors, axis=1))
    cosines = vectors @ vectors.T / np.outer([a, b, c], [a, b, c])
    return [a, float(cosines[0, 1]), b, float(cosines[0, 2]), float(cosines[1, 2]), c]


def _cell(box: NDArray[np.float64]) -> Cell:
    """Return what six numbers in the order of the format say; some writers have degrees there."""
    a, gamma, b, beta, alpha, c = box
    angles = np.array([alpha, beta, gamma])
    if (np.abs(angles) <= 1).all():
        angles = np.degrees(np.arccos(angles))
    return Cell(np.array([a, b, c]) / _ANGSTROMS_PER_NM, angles)
