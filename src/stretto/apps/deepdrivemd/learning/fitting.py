"""Fitting: a fixed number of updates, each on a batch drawn from the frames.

So a training lasts as long in the last iteration as in the first.  Some frames are held out to test
the model on.  Frames that follow each other are alike, so whole stretches of a trajectory are held
out, and which ones follows from their names alone: a stretch that is held out once is held out in
all iterations, and a model that goes on from an earlier one has never seen it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.learning.model import Model, device_of

__all__ = ["Curves", "DivergedError", "fit", "held_out"]

STRETCH = 20
"""Frames of a trajectory that are held out together."""
POINTS = 50
"""Points of a loss curve."""
MOST_TEST_FRAMES = 512
"""Limit on the frames that a point of the validation curve is of."""
# Powers of the root of x**4 = x + 1: multiples of them, modulo 1, fill the cube evenly.
_STEPS = 0.8191725133961645 ** np.arange(1, 4)


class DivergedError(Exception):
    """The loss, or a weight, is not finite."""

    def __init__(self, update: int) -> None:
        super().__init__(update)
        self.update = update


@dataclass(frozen=True, slots=True)
class Curves:
    """Loss after so many updates: the mean since the point before, and of held out frames.

    `validation` is empty where no frame was held out.
    """

    updates: tuple[int, ...]
    training: tuple[float, ...]
    validation: tuple[float, ...]


def held_out(frames: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Return which frames are held out, about `share` of them; shapes ``(n, 3)`` and ``(n,)``.

    None is where all would be.
    """
    stretches = frames.astype(np.float64)
    stretches[:, 2] //= STRETCH
    held: NDArray[np.bool_] = (0.5 + stretches @ _STEPS) % 1 < share
    return held if not held.all() else np.zeros_like(held)


def fit(
    model: Model,
    features: NDArray[Any],
    held: NDArray[np.bool_],
    *,
    learning_rate: float,
    seed: int,
    cores: int,
    gpus: float,
) -> tuple[dict[str, NDArray[np.float32]], Curves]:
    """Return the weights that `model` has after its updates, and its loss on the way.

    Parameters
    ----------
    model
        What to go on from.
    features, held
        Frames, a row each, and which of them to only test on.
    learning_rate, seed, cores, gpus
        Step of Adam; of all draws; what the task was given.

    Raises
    ------
    DivergedError
        If the loss or a weight is no longer finite.
    """
    torch = extra("torch")
    torch.set_num_threads(cores)
    device = device_of(gpus)
    network = model.network().to(device)
    rng = np.random.default_rng([seed])
    noise, test_noise = (
        torch.Generator(device).manual_seed(int(draw)) for draw in rng.integers(2**62, size=2)
    )
    learn, test = (
        _Frames(model, torch.from_numpy(features[rows]).to(device), device)
        for rows in (~held, held)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)
    every = -(-model.settings.updates // POINTS)
    updates: list[int] = []
    training: list[float] = []
    validation: list[float] = []
    since: list[float] = []
    for update in range(1, model.settings.updates + 1):
        rows = rng.integers(0, len(learn.raw), model.settings.batch)
        loss = learn.loss(network, rows, noise)
        since.append(loss.item())
        if not np.isfinite(since[-1]):
            raise DivergedError(update)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if update % every == 0 or update == model.settings.updates:
            updates.append(update)
            training.append(float(np.mean(since)))
            since.clear()
            if len(test.raw):
                with torch.no_grad():
                    validation.append(test.loss(network, _spread(len(test.raw)), test_noise).item())
    weights = {name: value.cpu().numpy() for name, value in network.state_dict().items()}
    if not all(np.isfinite(weight).all() for weight in weights.values()):
        raise DivergedError(model.settings.updates)
    return weights, Curves(tuple(updates), tuple(training), tuple(validation))


class _Frames:
    """Features on a device, scaled as they are asked for: scaled maps are 4 times as large."""

    __slots__ = ("_model", "_scaling", "raw")

    def __init__(self, model: Model, raw: Any, device: str) -> None:
        torch = extra("torch")
        self.raw = raw
        self._model = model
        self._scaling = {
            name: torch.from_numpy(array).to(device) for name, array in model.scaling.items()
        }

    def loss(self, network: Any, rows: NDArray[np.int64], noise: Any) -> Any:
        chosen = self.raw[extra("torch").from_numpy(rows).to(self.raw.device)]
        architecture = self._model.architecture
        scaled = architecture.scaled(chosen, self._scaling)
        return architecture.loss(network, scaled, self._model.settings, noise)


def _spread(n_rows: int) -> NDArray[np.int64]:
    n_test = min(n_rows, MOST_TEST_FRAMES)
    return np.linspace(0, n_rows - 1, n_test).round().astype(np.int64)
