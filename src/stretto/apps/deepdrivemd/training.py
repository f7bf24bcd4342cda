"""Training: the autoencoder learns the features of all iterations so far.

The work is a fixed number of updates, each on a batch drawn from the frames, so that a training
lasts as long in the last iteration as in the first.  It goes on from the weights of the iteration
before, if there are any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.arguments import count, extra, quantity
from stretto.apps.deepdrivemd.autoencoder import Model, build, device_of, model_file
from stretto.apps.deepdrivemd.features import features_until
from stretto.apps.deepdrivemd.files import StageError

__all__ = ["train"]

LEAST_SCALE_NM = 1e-4
"""Least spread of the distances; frames that differ by less are one frame and rounding."""


@dataclass(frozen=True, slots=True)
class _Effort:
    updates: int
    batch: int
    learning_rate: float

    def __post_init__(self) -> None:
        count("updates", self.updates)
        count("batch", self.batch)
        quantity("learning_rate", self.learning_rate)


def train(
    *,
    iteration: int,
    seed: int,
    run_dir: str,
    inputs: Mapping[str, int | None],
    cores: int,
    gpus: float,
    hidden: Sequence[int],
    latent: int,
    updates: int,
    batch: int,
    learning_rate: float,
    most_frames: int,
) -> str:
    """Train the model of an iteration and return its file.

    Parameters
    ----------
    iteration, seed, run_dir, cores, gpus
        The task's own fields.
    inputs
        ``training``: the iteration whose model to go on from, or `None` to begin anew.
    hidden, latent
        Widths of the layers from the features inwards, and of the latent layer.
    updates, batch, learning_rate
        Number of updates, frames in each, and the step size of Adam.
    most_frames
        Limit on the frames of all iterations together.

    Raises
    ------
    WorkflowError
        If an argument cannot be used, or PyTorch is not installed.
    StageError
        If features or the earlier model are missing or damaged, or the training diverged.
    """
    sizes_inside = [count("hidden", width) for width in hidden] + [count("latent", latent)]
    effort = _Effort(updates, batch, learning_rate)
    features = features_until(
        run_dir, iteration, most_frames=count("most_frames", most_frames)
    ).distances_nm
    sizes = (features.shape[1], *sizes_inside)
    extra("torch").set_num_threads(cores)
    parent = inputs.get("training")
    if parent is None:
        mean = features.mean(axis=0)
        # One scale for all: a bond's length is as good as fixed, and scaled up by its own spread
        # it would count as much as a distance that tells one shape from another.
        scale = np.maximum(np.sqrt(features.var(axis=0).mean()), LEAST_SCALE_NM)
        modules = _fresh(sizes, seed)
    else:
        before = Model.read(model_file(run_dir, parent))
        mean, scale, modules = before.mean, before.scale, _continued(before, sizes, parent)
    try:
        weights, loss = _fit(modules, (features - mean) / scale, effort, seed, device_of(gpus))
    except StageError as error:
        raise StageError(f"training of iteration {iteration} {error}") from None
    path = model_file(run_dir, iteration)
    Model(mean, scale, weights, loss, -1 if parent is None else parent).write(path)
    return str(path)


def _fresh(sizes: Sequence[int], seed: int) -> Any:
    torch = extra("torch")
    # PyTorch draws first weights from a global generator: borrow it, and give it back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        return torch.nn.Sequential(*build(sizes))


def _continued(before: Model, sizes: Sequence[int], parent: int) -> Any:
    torch = extra("torch")
    if before.sizes != tuple(sizes):
        raise StageError(
            f"the model of iteration {parent} has layers {before.sizes}, expected {tuple(sizes)}"
        )
    modules = torch.nn.Sequential(*build(sizes))
    with torch.no_grad():
        for parameter, weight in zip(modules.parameters(), before.weights, strict=True):
            parameter.copy_(torch.from_numpy(weight))
    return modules


def _fit(
    modules: Any,
    scaled: NDArray[np.float32],
    effort: _Effort,
    seed: int,
    device: str,
) -> tuple[tuple[NDArray[np.float32], ...], NDArray[np.float32]]:
    torch = extra("torch")
    rng = np.random.default_rng(seed)
    modules.to(device)
    frames = torch.from_numpy(scaled).to(device)
    optimizer = torch.optim.Adam(modules.parameters(), lr=effort.learning_rate, fused=True)
    losses = np.empty(effort.updates, dtype=np.float32)
    for update in range(effort.updates):
        rows = torch.from_numpy(rng.integers(0, len(scaled), effort.batch)).to(device)
        chosen = frames[rows]
        loss = torch.nn.functional.mse_loss(modules(chosen), chosen)
        losses[update] = loss.item()
        if not np.isfinite(losses[update]):
            raise StageError(f"diverged at update {update}; a lower learning_rate may help")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights = tuple(parameter.detach().cpu().numpy() for parameter in modules.parameters())
    if not all(np.isfinite(weight).all() for weight in weights):
        raise StageError("diverged at its last update; a lower learning_rate may help")
    return weights, losses
