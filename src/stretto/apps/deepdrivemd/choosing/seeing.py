"""Seeing: the frames as a model sees them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.choosing.convergence import growth
from stretto.apps.deepdrivemd.choosing.outliers import Rarity, rarity, standardised
from stretto.apps.deepdrivemd.choosing.settings import InferenceSettings
from stretto.apps.deepdrivemd.files import StageError, write_arrays
from stretto.apps.deepdrivemd.learning.model import Model
from stretto.apps.deepdrivemd.places import model_file

__all__ = ["Seen", "see", "seen_by"]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Frames in the latent space of a model.

    Parameters
    ----------
    model_iteration, trained_in
        Iteration whose model it is, and the one in which its weights were learned, which is an
        earlier one where its training diverged.
    embedding, latent
        As the model gives it, and standardised; shapes ``(n, latent)``.
    rarity
        How rare each frame is.
    growth
        Share of the newest frames in new space; `None` where there are too few to say.
    """

    model_iteration: int
    trained_in: int
    embedding: NDArray[np.float64]
    latent: NDArray[np.float64]
    rarity: Rarity
    growth: float | None

    def write(self, path: Path, frames: NDArray[np.int64], chosen: list[int]) -> None:
        """Write embedding, frames, scores and the chosen rows to `path`, whole or not at all."""
        arrays = {
            "embedding": self.embedding,
            "frames": frames,
            "scores": self.rarity.scores,
            "chosen": np.array(chosen, dtype=np.int64),
        }
        write_arrays(path, arrays)


def see(
    run_dir: str | Path,
    model_iteration: int | None,
    block: Block,
    settings: InferenceSettings,
    *,
    cores: int,
    gpus: float,
) -> Seen:
    """Return frames as the model of an iteration sees them.

    Raises
    ------
    StageError
        If there is no such model, it is damaged or of other features, or it has learned nothing.
    """
    if model_iteration is None:
        raise StageError(
            f"strategy {settings.strategy} needs a model; inference has to wait for training"
        )
    path = model_file(run_dir, model_iteration)
    model = Model.load(path)
    try:
        return seen_by(model, model_iteration, block, settings, cores=cores, gpus=gpus)
    except StageError as error:
        raise StageError(f"{path}: {error}") from None


def seen_by(
    model: Model,
    model_iteration: int,
    block: Block,
    settings: InferenceSettings,
    *,
    cores: int,
    gpus: float,
    judged: int | None = None,
) -> Seen:
    """Return frames as a model sees them, which is that of an iteration.

    Growth is that of iteration `judged`, or else of the newest one.

    Raises
    ------
    StageError
        If it is of other features, or has learned nothing.
    """
    embedding = model.embed(block, cores=cores, gpus=gpus)
    latent = standardised(embedding)
    iterations = block.frames[:, 0]
    known = iterations <= (iterations.max() if judged is None else judged)
    return Seen(
        model_iteration,
        model.iteration,
        embedding,
        latent,
        rarity(latent, settings),
        growth(latent[known], iterations[known], neighbours=settings.neighbours),
    )
