"""Aggregation: the trajectories of one iteration, frame by frame, as features."""

from __future__ import annotations

import numpy as np

from stretto.apps.deepdrivemd.arguments import count
from stretto.apps.deepdrivemd.features import Features, features_file, joined
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.geometry import pair_distances, torsions
from stretto.apps.deepdrivemd.trajectory import Trajectory, trajectory_file

__all__ = ["aggregate"]


def aggregate(*, iteration: int, run_dir: str, simulations: int) -> str:
    """Gather the frames of an iteration and return the file of their features.

    Parameters
    ----------
    iteration, run_dir
        The task's own fields.
    simulations
        Number of simulations in the iteration; every one of them must be there.

    Raises
    ------
    WorkflowError
        If an argument cannot be used.
    StageError
        If a trajectory is missing, damaged, not finite or of another molecule; names its file.
    """
    parts: list[Features] = []
    for task in range(count("simulations", simulations)):
        trajectory_path = trajectory_file(run_dir, iteration, task)
        part = _features(Trajectory.read(trajectory_path), iteration, task)
        if parts and part.distances_nm.shape[1] != parts[0].distances_nm.shape[1]:
            raise StageError(f"{trajectory_path}: is of another molecule than simulation 0")
        parts.append(part)
    path = features_file(run_dir, iteration)
    joined(parts).write(path)
    return str(path)


def _features(trajectory: Trajectory, iteration: int, task: int) -> Features:
    n_frames = len(trajectory.positions_nm)
    frames = np.empty((n_frames, 3), dtype=np.int64)
    frames[:, 0], frames[:, 1], frames[:, 2] = iteration, task, np.arange(n_frames)
    return Features(
        pair_distances(trajectory.positions_nm, trajectory.heavy_atoms),
        torsions(trajectory.positions_nm, trajectory.torsion_atoms),
        frames,
    )
