"""The file of one simulation: its frames, and where they came from.

A frame is known by three numbers: iteration, task, and its place in that task's trajectory.  A
simulation's *parent* is the frame it started from, so that any frame can be followed back, parent
by parent, to a simulation that started from the shipped structure.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.files import StageError, iteration_folder, read_arrays, write_arrays

__all__ = ["NO_FRAME", "Frame", "Trajectory", "trajectory_file"]


class Frame(NamedTuple):
    """A frame's name in a run."""

    iteration: int
    task: int
    frame: int


NO_FRAME = Frame(-1, -1, -1)
"""The parent of a simulation that started from the shipped structure."""

_DIMENSIONS = {
    "positions_nm": 3,
    "potential_kj_mol": 1,
    "start_nm": 2,
    "parent": 1,
    "heavy_atoms": 1,
    "torsion_atoms": 2,
    "seeds": 1,
    "ps_per_frame": 0,
    "inference": 0,
    "platform": 0,
}


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """What a simulation leaves.

    Parameters
    ----------
    positions_nm
        Frames, shape ``(frames, atoms, 3)``, float32.
    potential_kj_mol
        Potential energy of each frame, shape ``(frames,)``.
    start_nm
        Positions it started from, before any equilibration, shape ``(atoms, 3)``.
    parent
        Iteration, task and frame of `start_nm`; `NO_FRAME` for the shipped structure.
    heavy_atoms
        Indices of the atoms that are not hydrogen.
    torsion_atoms
        Four indices for each of phi and psi, shape ``(2, 4)``.
    seeds
        Seed of the task, number of the attempt.
    ps_per_frame
        Simulated time between frames.
    inference
        Iteration whose inference chose the start; -1 for none.
    platform
        OpenMM's platform.
    """

    positions_nm: NDArray[np.float32]
    potential_kj_mol: NDArray[np.float64]
    start_nm: NDArray[np.float64]
    parent: Frame
    heavy_atoms: NDArray[np.int64]
    torsion_atoms: NDArray[np.int64]
    seeds: tuple[int, int]
    ps_per_frame: float
    inference: int
    platform: str

    def write(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        write_arrays(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Trajectory:
        """Return what `write` wrote; raise `StageError` if it is missing, damaged or not finite."""
        arrays = read_arrays(path, _DIMENSIONS)
        positions = arrays["positions_nm"]
        if not len(positions) or positions.shape[1:] != arrays["start_nm"].shape:
            raise StageError(f"{path}: expected frames of {len(arrays['start_nm'])} atoms")
        return cls(
            positions_nm=positions,
            potential_kj_mol=arrays["potential_kj_mol"],
            start_nm=arrays["start_nm"],
            parent=Frame(*map(int, arrays["parent"])),
            heavy_atoms=arrays["heavy_atoms"],
            torsion_atoms=arrays["torsion_atoms"],
            seeds=(int(arrays["seeds"][0]), int(arrays["seeds"][1])),
            ps_per_frame=float(arrays["ps_per_frame"]),
            inference=int(arrays["inference"]),
            platform=str(arrays["platform"]),
        )


def trajectory_file(run_dir: str | Path, iteration: int, task: int) -> Path:
    """Return where simulation `task` of an iteration leaves its trajectory."""
    return iteration_folder(run_dir, iteration) / f"simulation-{task:03}.npz"
