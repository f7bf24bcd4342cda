"""Training: the model of an iteration learns the frames of all iterations so far.

It goes on from the model of the iteration before, if there is one.  A training that diverges says
so in a file beside its model, and the next attempt takes half the step for each time it has done
so; the last attempt that may be made falls back on the model before, so that the loop goes on with
what is known to be good.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stretto import WorkflowError
from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.files import StageError, write_json
from stretto.apps.deepdrivemd.gathering import Remake, gather
from stretto.apps.deepdrivemd.learning.architectures import ARCHITECTURES
from stretto.apps.deepdrivemd.learning.fitting import Curves, DivergedError, fit, held_out
from stretto.apps.deepdrivemd.learning.model import Model, device_of
from stretto.apps.deepdrivemd.learning.settings import ModelSettings
from stretto.apps.deepdrivemd.places import divergence_file, loss_file, model_file
from stretto.apps.deepdrivemd.turns import Turn

__all__ = ["Fitted", "begun", "fallen_back", "leave", "record_of", "train", "tried"]

_LAYERS = ("kind", "latent", "filters", "dense", "widths")


def train(
    *,
    iteration: int,
    seed: int,
    attempt: int,
    run_dir: str,
    inputs: Mapping[str, int | None],
    cores: int,
    gpus: float,
    settings: Mapping[str, Any],
    first: int = 0,
    blocks: int = 1,
    retries: int = 0,
    remake: Remake | None = None,
) -> dict[str, Any]:
    """Train the model of an iteration and return how it went.

    Parameters
    ----------
    iteration, seed, attempt, run_dir, cores, gpus
        The task's own fields.
    inputs
        ``aggregation``: the iteration up to which there are blocks, its own where not given;
        ``training``: the iteration whose model to go on from, or `None` to begin anew.
    settings
        Section ``model`` of the configuration.
    first
        Iterations of the runs that this one continues.
    blocks
        Blocks of an iteration.
    retries
        Attempts that may follow the first; the last one falls back on the model before.
    remake
        How to make a missing or damaged block again.

    Returns
    -------
    dict
        ``model`` and ``loss``: the file, and the last points of the curves.

    Raises
    ------
    WorkflowError
        If a setting cannot be used, or PyTorch is not installed.
    StageError
        If blocks or the model before are missing or damaged, or the training diverged.
    """
    wanted = ModelSettings.of(settings, section="model")
    turn = Turn.of(iteration, inputs, first)
    newest = turn.inputs.get("aggregation")
    gathered = gather(
        run_dir,
        turn.iteration if newest is None else newest,
        blocks=blocks,
        most_frames=wanted.most_frames,
        first=first,
        remake=remake,
    )
    parent = turn.inputs.get("training")
    before = None if parent is None else Model.load(model_file(run_dir, parent))
    start = begun(before, gathered.block, wanted, turn.iteration, seed)
    held = held_out(gathered.block.frames, wanted.validation)
    fitted = _fitted(
        start,
        before if attempt > retries else None,
        partial(fit, start, gathered.block.features, held, seed=seed, cores=cores, gpus=gpus),
        attempt,
        divergence_file(run_dir, turn.iteration),
    )
    record = {
        "iteration": turn.iteration,
        "parent": parent,
        "attempt": attempt,
        "seed": seed,
        "remade": gathered.remade,
        **record_of(fitted, held, wanted, gpus),
    }
    return leave(run_dir, turn.iteration, fitted, record)


class Fitted(NamedTuple):
    """A model, and how it came about; without curves it is the model before."""

    model: Model
    curves: Curves | None
    learning_rate: float
    diverged: list[dict[str, Any]]


def _fitted(
    start: Model,
    fall_back: Model | None,
    fitting: Callable[..., tuple[dict[str, Any], Curves]],
    attempt: int,
    note: Path,
) -> Fitted:
    diverged = _divergences(note, attempt)
    fitted = tried(start, fitting, attempt, diverged)
    if isinstance(fitted, Fitted):
        return fitted
    write_json(note, diverged)
    if fall_back is None:
        raise StageError(f"{fitted}; the next attempt, if there is one, halves it")
    return fallen_back(fall_back, fitted, diverged)


def tried(
    start: Model,
    fitting: Callable[..., tuple[dict[str, Any], Curves]],
    attempt: int,
    diverged: list[dict[str, Any]],
) -> Fitted | str:
    """Return what `start` has learned, or how it diverged.

    Parameters
    ----------
    start
        What to go on from.
    fitting
        `fit` for all but the learning rate, which is halved for each time it has diverged.
    attempt, diverged
        For the record; another divergence is added.
    """
    learning_rate = start.settings.learning_rate / 2 ** len(diverged)
    try:
        weights, curves = fitting(learning_rate=learning_rate)
    except DivergedError as error:
        once = {"attempt": attempt, "update": error.update, "learning_rate": learning_rate}
        diverged.append(once)
        return (
            f"training of iteration {start.iteration} diverged at update {error.update} with a "
            f"learning_rate of {learning_rate:g}"
        )
    return Fitted(replace(start, weights=weights), curves, learning_rate, diverged)


def fallen_back(before: Model, said: str, diverged: list[dict[str, Any]]) -> Fitted:
    """Return the model before, and say so."""
    print(f"{said}; the model of iteration {before.iteration} is used on")  # noqa: T201 -- a task's log
    return Fitted(before, None, diverged[-1]["learning_rate"], diverged)


def record_of(
    fitted: Fitted, held: NDArray[np.bool_], wanted: ModelSettings, gpus: float
) -> dict[str, Any]:
    """Return what the record says of the model itself."""
    return {
        "trained_in": fitted.model.iteration,
        "fell_back": fitted.curves is None,
        "learning_rate": fitted.learning_rate,
        "diverged": fitted.diverged,
        "loss": None if fitted.curves is None else asdict(fitted.curves),
        "frames": {"learnt": int((~held).sum()), "held_out": int(held.sum())},
        "settings": wanted.model_dump(mode="json"),
        "device": device_of(gpus),
        "versions": {"torch": extra("torch").__version__},
    }


def begun(
    before: Model | None,
    block: Block,
    wanted: ModelSettings,
    iteration: int,
    seed: int,
) -> Model:
    """Return what to go on from: the model before, or without one fresh weights.

    Raises
    ------
    WorkflowError
        If such a model cannot learn these features.
    StageError
        If the model before is of other features, or has other layers.
    """
    if before is not None:
        before.check(block)
        for name in _LAYERS:
            found, expected = getattr(before.settings, name), getattr(wanted, name)
            if found != expected:
                raise StageError(
                    f"the model of iteration {before.iteration} has {name} {found}, "
                    f"expected {expected}"
                )
        return replace(before, settings=wanted, iteration=iteration, parent=before.iteration)
    torch = extra("torch")
    shape = block.features.shape[1:]
    architecture = ARCHITECTURES[wanted.kind]
    if not architecture.fits(shape):
        raise WorkflowError(
            f"{wanted.kind} cannot learn {block.kind} of shape {shape}", path=("model", "kind")
        )
    # PyTorch draws first weights from a global generator: borrow it, and give it back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        fresh = architecture.network(shape, wanted).state_dict()
    weights = {name: tensor.numpy() for name, tensor in fresh.items()}
    scaling = architecture.scaling(block.features)
    return Model(wanted, block.kind, shape, scaling, weights, iteration, None)


def _divergences(note: Path, attempt: int) -> list[dict[str, Any]]:
    """Return which earlier attempts of this training have diverged, as their note says."""
    if attempt == 1 or not note.exists():
        return []
    try:
        return [once for once in json.loads(note.read_bytes()) if once["attempt"] < attempt]
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(f"{note}: damaged, or not a list of divergences ({error})") from None


def leave(
    run_dir: str, iteration: int, fitted: Fitted, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Write a model with its record, and return what a task says of them."""
    # The record first: where a model is, both are.
    write_json(loss_file(run_dir, iteration), record)
    path = model_file(run_dir, iteration)
    fitted.model.save(path)
    divergence_file(run_dir, iteration).unlink(missing_ok=True)
    curves = fitted.curves or Curves((), (), ())
    return {
        "model": str(path),
        "trained_in": fitted.model.iteration,
        "loss": curves.training[-1] if curves.training else None,
        "validation": curves.validation[-1] if curves.validation else None,
    }
