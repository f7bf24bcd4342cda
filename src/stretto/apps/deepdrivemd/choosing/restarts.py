"""Restarts: chosen frames, read from their trajectories and written as structures.

A trajectory that cannot be read is passed over: the choice is made again without its frames, and
says so.  Only positions are handed on (and the box, where there is one); a simulation draws its
velocities anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.dcd import count_frames, read_frame
from stretto.apps.deepdrivemd.files import StageError, drafted
from stretto.apps.deepdrivemd.lineage import Frame
from stretto.apps.deepdrivemd.places import system_folder, trajectory_file

__all__ = ["Restart", "Structures", "chosen_restarts", "last_restarts"]


class Restart(NamedTuple):
    """A start of a simulation."""

    frame: Frame
    structure: Any
    """One frame as mdtraj has it."""

    @property
    def positions_nm(self) -> NDArray[np.float64]:
        """Shape ``(n_atoms, 3)``."""
        return np.asarray(self.structure.xyz[0], np.float64)

    @property
    def box_nm(self) -> NDArray[np.float64] | None:
        """Box vectors as rows, where there is a box."""
        vectors = self.structure.unitcell_vectors
        return None if vectors is None else np.asarray(vectors[0], np.float64)

    def write(self, path: Path) -> None:
        """Write the structure to `path` as a PDB file, whole or not at all."""
        with drafted(path) as draft:
            self.structure.save_pdb(str(draft))


@dataclass(frozen=True, slots=True)
class Structures:
    """The trajectories of a run, a frame at a time.

    Parameters
    ----------
    run_dir
        Directory of the run.
    topology
        The molecule's, as mdtraj has it.
    unreadable
        Filled with the reason for each trajectory that could not be read, by iteration and
        simulation.
    growing
        Trajectories that may not be at their place yet: where they are, and how many frames will
        last.
    """

    run_dir: str | Path
    topology: Any
    unreadable: dict[tuple[int, int], str] = field(default_factory=dict)
    growing: dict[tuple[int, int], tuple[Path, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, run_dir: str | Path) -> Structures:
        """Return those of a run; raise `StageError` if its molecule cannot be read."""
        path = system_folder(run_dir) / "topology.pdb"
        try:
            # The names as they are: those who simulate gave them.
            pdb = extra("mdtraj").load_pdb(str(path), standard_names=False)
        except _UNREADABLE as error:
            raise StageError(f"{path}: no readable structure ({error})") from None
        return cls(run_dir, pdb.topology)

    def read(self, frame: Frame) -> Restart:
        """Return a frame; raise `StageError` if its trajectory is missing, damaged or too short."""
        path = self._file(frame)
        positions_nm, cell = read_frame(path, frame.frame)
        if len(positions_nm) != self.topology.n_atoms:
            raise StageError(
                f"{path}: expected {self.topology.n_atoms} atoms, found {len(positions_nm)}"
            )
        lengths_nm, angles_deg = (None, None) if cell is None else cell
        structure = extra("mdtraj").Trajectory(
            positions_nm, self.topology, unitcell_lengths=lengths_nm, unitcell_angles=angles_deg
        )
        return Restart(frame, structure)

    def _file(self, frame: Frame) -> Path:
        path = trajectory_file(self.run_dir, frame.iteration, frame.simulation)
        growing, _ = self.growing.get(frame[:2], (path, 0))
        return path if path.exists() else growing

    def last(self, iteration: int, simulation: int) -> Restart | None:
        """Return the last frame of a simulation; `None` if there is none that can be read."""
        path = trajectory_file(self.run_dir, iteration, simulation)
        if not path.exists():
            _, n_frames = self.growing.get((iteration, simulation), (path, 0))
            return self.read(Frame(iteration, simulation, n_frames - 1)) if n_frames else None
        try:
            return self.read(Frame(iteration, simulation, count_frames(path) - 1))
        except StageError as error:
            self.unreadable[iteration, simulation] = str(error)
            return None

    def none_left(self) -> StageError:
        """Return the error that no trajectory can be read, with the reason for each."""
        reasons = "; ".join(self.unreadable.values()) or "there is none"
        return StageError(f"no trajectory is left to start from: {reasons}")


_UNREADABLE = (EOFError, IndexError, OSError, RuntimeError, TypeError, ValueError)


def chosen_restarts(
    structures: Structures,
    frames: NDArray[np.int64],
    choose: Callable[[NDArray[np.bool_]], list[int]],
) -> list[Restart]:
    """Return chosen frames, none of them of a trajectory that cannot be read.

    Parameters
    ----------
    structures
        Where to read them.
    frames
        Iteration, simulation and frame of each row, shape ``(n, 3)``.
    choose
        Chooses among the rows that are allowed, of which there is at least one.

    Raises
    ------
    StageError
        If no trajectory is left.
    """
    allowed = np.ones(len(frames), dtype=np.bool_)
    while True:
        restarts: list[Restart] = []
        for row in choose(allowed):
            frame = Frame(*map(int, frames[row]))
            try:
                restarts.append(structures.read(frame))
            except StageError as error:
                structures.unreadable[frame.iteration, frame.simulation] = str(error)
                allowed &= ~(frames[:, :2] == frames[row, :2]).all(axis=1)
                if not allowed.any():
                    raise structures.none_left() from None
                break
        else:
            return restarts


def last_restarts(structures: Structures, newest: int, simulations: int) -> list[Restart]:
    """Return where each simulation goes on: at the last frame of its newest trajectory.

    One that has none goes on from another simulation's, the next one's by number.

    Raises
    ------
    StageError
        If there is no trajectory.
    """
    found: list[Restart] = []
    for own in range(simulations):
        tried = (
            structures.last(iteration, (own + beyond) % simulations)
            for beyond in range(simulations)
            for iteration in range(newest, -1, -1)
        )
        restart = next((one for one in tried if one is not None), None)
        if restart is None:
            raise structures.none_left()
        found.append(restart)
    return found
