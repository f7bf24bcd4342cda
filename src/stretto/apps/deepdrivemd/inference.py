"""Inference: which frames are rare in the model's eyes, and start the next simulations.

Frames are embedded by the autoencoder and ranked by their local outlier factor: how much emptier
the neighbourhood of a frame is than the neighbourhoods of its neighbours.  The best ranked frames
often are one excursion of one trajectory, so the choice goes down the ranking and passes over a
frame too near to one already chosen: within a few frames of the same trajectory, or close in the
latent space.  If that leaves too few, latent distance is given up first, then the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.arguments import count, extra, quantity
from stretto.apps.deepdrivemd.autoencoder import Model, embed, model_file
from stretto.apps.deepdrivemd.coverage import coverage
from stretto.apps.deepdrivemd.features import Features, features_until
from stretto.apps.deepdrivemd.files import (
    StageError,
    iteration_folder,
    read_arrays,
    write_arrays,
    write_json,
)
from stretto.apps.deepdrivemd.trajectory import Frame, Trajectory, trajectory_file

__all__ = ["infer", "inference_file", "read_start"]

LEAST_SPREAD = 1e-9
"""Least standard deviation of a latent number; below it the number says nothing."""

_DIMENSIONS = {"positions_nm": 3, "frames": 2, "scores": 1, "latent": 2, "model": 0}


def infer(
    *,
    iteration: int,
    run_dir: str,
    inputs: Mapping[str, int | None],
    cores: int,
    gpus: float,
    starts: int,
    neighbours: int,
    separation: float,
    gap: int,
    most_frames: int,
    bins: int,
) -> str:
    """Choose the starting frames of the next simulations and return the file that holds them.

    Parameters
    ----------
    iteration, run_dir, cores, gpus
        The task's own fields.
    inputs
        ``training``: the iteration whose model to use.
    starts
        Number of starting frames: that of the simulations of an iteration.
    neighbours
        Size of the neighbourhood of the local outlier factor.
    separation, gap
        Least distance of two chosen frames: in standard deviations of the latent space, and in
        frames of one trajectory.
    most_frames
        Limit on the frames of all iterations together.
    bins
        Bins of phi and of psi in the summary.

    Raises
    ------
    WorkflowError
        If an argument cannot be used, or PyTorch or scikit-learn is not installed.
    StageError
        If features, model or trajectories are missing or damaged, or there are too few frames.
    """
    quantity("separation", separation)
    features = features_until(run_dir, iteration, most_frames=count("most_frames", most_frames))
    if len(features) < max(count("starts", starts), 2):
        raise StageError(f"expected at least {max(starts, 2)} frames, found {len(features)}")
    model_iteration = inputs.get("training")
    if model_iteration is None:
        raise StageError("inference needs a model; it has to wait for training")
    model = Model.read(model_file(run_dir, model_iteration))
    latent = embed(model, features.distances_nm, cores=cores, gpus=gpus)
    latent = (latent - latent.mean(axis=0)) / np.maximum(latent.std(axis=0), LEAST_SPREAD)
    scores = _outlier_factors(latent, count("neighbours", neighbours))
    # Ties go to the earlier frame.
    ranking = np.lexsort((np.arange(len(scores)), -scores))
    rows = _choose(ranking, latent, features.frames, starts, separation, count("gap", gap))
    chosen = [Frame(*map(int, frame)) for frame in features.frames[rows]]
    path = inference_file(run_dir, iteration)
    arrays = {
        "positions_nm": np.stack([_positions(run_dir, frame) for frame in chosen]),
        "frames": chosen,
        "scores": scores[rows],
        "latent": latent[rows],
        "model": model_iteration,
    }
    summary = _summary(run_dir, iteration, model, features, rows, scores, count("bins", bins))
    # The summary first: where the arrays are, both are.
    write_json(path.with_suffix(".json"), {"model": model_iteration, **summary})
    write_arrays(path, arrays)
    return str(path)


def inference_file(run_dir: str | Path, iteration: int) -> Path:
    """Return where an iteration's inference leaves the starting frames."""
    return iteration_folder(run_dir, iteration) / "inference.npz"


def read_start(run_dir: str | Path, iteration: int, task: int) -> tuple[Frame, NDArray[np.float64]]:
    """Return the frame that an iteration's inference chose for simulation `task`.

    Returns
    -------
    tuple
        Its name, and its positions in nm, shape ``(atoms, 3)``.

    Raises
    ------
    StageError
        If the file is missing or damaged, or has no frame for this task.
    """
    path = inference_file(run_dir, iteration)
    arrays = read_arrays(path, _DIMENSIONS)
    n_starts = len(arrays["frames"])
    if task >= min(n_starts, len(arrays["positions_nm"])):
        raise StageError(
            f"{path}: has {n_starts} starting frames, none for simulation {task}; "
            "inference's argument starts should be the number of simulations"
        )
    frame = Frame(*map(int, arrays["frames"][task]))
    return frame, arrays["positions_nm"][task].astype(np.float64)


def _outlier_factors(latent: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    lof = extra("sklearn.neighbors").LocalOutlierFactor(min(neighbours, len(latent) - 1))
    lof.fit(latent)
    return np.asarray(-lof.negative_outlier_factor_)


def _choose(
    ranking: NDArray[np.int64],
    latent: NDArray[np.float64],
    frames: NDArray[np.int64],
    starts: int,
    separation: float,
    gap: int,
) -> list[int]:
    chosen: list[int] = []
    for least_distance, least_gap in ((separation, gap), (0.0, gap), (0.0, 1)):
        for row in ranking:
            if len(chosen) == starts:
                return chosen
            far = np.linalg.norm(latent[chosen] - latent[row], axis=1) >= least_distance
            same = (frames[chosen, :2] == frames[row, :2]).all(axis=1)
            apart = ~same | (np.abs(frames[chosen, 2] - frames[row, 2]) >= least_gap)
            if (far & apart).all():
                chosen.append(int(row))
    return chosen


def _positions(run_dir: str, frame: Frame) -> NDArray[np.float32]:
    path = trajectory_file(run_dir, frame.iteration, frame.task)
    positions = Trajectory.read(path).positions_nm
    if frame.frame >= len(positions):
        raise StageError(f"{path}: has no frame {frame.frame}, which its features have")
    return np.asarray(positions[frame.frame])


def _summary(
    run_dir: str,
    iteration: int,
    model: Model,
    features: Features,
    rows: list[int],
    scores: NDArray[np.float64],
    bins: int,
) -> dict[str, Any]:
    so_far = coverage(run_dir, bins=bins, until=iteration)
    return {
        "iteration": iteration,
        "loss": round(float(model.loss[-100:].mean()), 6),
        "frames": len(features),
        "starts": [
            {
                "task": task,
                "from": Frame(*map(int, features.frames[row]))._asdict(),
                "outlier_factor": round(float(scores[row]), 4),
                "phi_psi_deg": np.degrees(features.phi_psi_rad[row]).round(1).tolist(),
            }
            for task, row in enumerate(rows)
        ],
        "coverage": {
            "cells": bins * bins,
            "visited": so_far[-1].visited,
            "visited_by_iteration": [one.visited for one in so_far],
        },
    }
