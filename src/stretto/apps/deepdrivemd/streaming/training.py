"""Training in a stream: each time that there are new frames the model goes on learning.

It takes all frames that are there, so one that is behind does not fall farther behind; an iteration
that it has not got to has the next model that there is.  A training that diverges is tried again at
once with half the step, and if it does so as often as it may the model before is used on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import stretto
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.gathering import Pool, gather
from stretto.apps.deepdrivemd.learning.fitting import fit, held_out
from stretto.apps.deepdrivemd.learning.model import Model
from stretto.apps.deepdrivemd.learning.settings import ModelSettings
from stretto.apps.deepdrivemd.learning.training import (
    Fitted,
    begun,
    fallen_back,
    leave,
    record_of,
    tried,
)
from stretto.apps.deepdrivemd.places import model_file
from stretto.apps.deepdrivemd.streaming.messages import Learnt, portions, words

__all__ = ["stream_train"]


def stream_train(
    *,
    seed: int,
    attempt: int,
    run_dir: str,
    cores: int,
    gpus: float,
    settings: Mapping[str, Any],
    iterations: int,
    blocks: int = 1,
    first: int = 0,
    retries: int = 0,
) -> dict[str, Any]:
    """Train a model on what comes until nothing more does, and return what was done.

    Parameters
    ----------
    seed, attempt, run_dir, cores, gpus
        The task's own fields.
    settings
        The section ``model``, see `ModelSettings`.
    iterations, blocks
        Simulations of a task, and blocks of an iteration.
    first
        Iterations of the runs that this one continues.
    retries
        How often training is tried again when it diverges.

    Returns
    -------
    dict
        ``models``, how many were sent; ``model``, the last one's file.

    Raises
    ------
    WorkflowError
        If a setting cannot be used, or PyTorch is not installed.
    StageError
        If the first training diverges, or a model has other features than the frames.
    """
    wanted = ModelSettings.of(settings, section="model")
    old = None
    if first:
        old = gather(run_dir, first - 1, blocks=blocks, most_frames=wanted.most_frames, first=first)
    pool = Pool(wanted.most_frames, old)
    done, model = _taken_up(run_dir, range(max(first - 1, 0), first + iterations), first)
    number = 0
    with stretto.channel("blocks") as arriving, stretto.channel("models") as models:
        if model is not None:
            models.send(Learnt(done, model, pool.frames))
        for iteration, portion in portions(arriving, each=False):
            for one in portion:
                pool.add(one.block)
            if iteration < done:
                continue  # an earlier attempt has left its model
            draw = words(seed, attempt, iteration, number)
            block = pool.gathered().block
            start = begun(model, block, wanted, iteration, draw)
            if model is not None and model.iteration == iteration:
                start = replace(start, parent=model.parent)
            held = held_out(block.frames, wanted.validation)
            fitting = partial(fit, start, block.features, held, seed=draw, cores=cores, gpus=gpus)
            fitted = _fitted(start, model, fitting, attempt, retries)
            record = {
                "iteration": iteration,
                "parent": start.parent,
                "attempt": attempt,
                "seed": draw,
                "remade": [],
                **record_of(fitted, held, wanted, gpus),
            }
            for passed in range(min(done + 1, iteration), iteration + 1):
                leave(run_dir, passed, fitted, record | {"iteration": passed})
            model = fitted.model
            models.send(Learnt(iteration, model, pool.frames))
            number, done = number + 1, iteration
    return {"models": number, "model": str(model_file(run_dir, done))}


def _taken_up(run_dir: str, iterations: range, first: int) -> tuple[int, Model | None]:
    """Return the newest model that an earlier attempt or run has left, and its iteration.

    Without one, that before the first, and `None`.
    """
    for iteration in reversed(iterations):
        path = model_file(run_dir, iteration)
        if path.exists():
            try:
                return iteration, Model.load(path)
            except StageError as error:
                print(f"a model is passed over: {error}")  # noqa: T201 -- a task's log
    return first - 1, None


def _fitted(start: Model, before: Model | None, fitting: Any, attempt: int, retries: int) -> Fitted:
    diverged: list[dict[str, Any]] = []
    while True:
        fitted = tried(start, fitting, attempt, diverged)
        if isinstance(fitted, Fitted):
            return fitted
        print(fitted)  # noqa: T201 -- a task's log
        if len(diverged) > retries:
            if before is None:
                raise StageError(f"{fitted}, and there is no model before")
            return fallen_back(before, fitted, diverged)
