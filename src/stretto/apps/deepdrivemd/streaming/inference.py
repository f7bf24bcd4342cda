"""Inference in a stream: each time that there are new frames, it chooses by the newest model.

Beside the files of an inference, which are those of the last choice of an iteration, it leaves all
its choices in ``picks.json``, a list:

====================  =============================================================================
``round``             number of the choice in the iteration; its place in the list
``frames``            how many frames it knew
``model``,            iteration of the model it used, and the one in which that learned; or null
``trained_in``
``frames_behind``     frames that the model had not learned from, or null
``converged``         verdict
``starts``            as in ``inference.json``
====================  =============================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import stretto
from stretto.apps.deepdrivemd.choosing.inference import Choice, chosen
from stretto.apps.deepdrivemd.choosing.restarts import Structures
from stretto.apps.deepdrivemd.choosing.seeing import seen_by
from stretto.apps.deepdrivemd.choosing.settings import InferenceSettings
from stretto.apps.deepdrivemd.files import StageError, write_json
from stretto.apps.deepdrivemd.gathering import Best, Pool, gather
from stretto.apps.deepdrivemd.places import inference_file, picks_file, trajectory_file
from stretto.apps.deepdrivemd.streaming.messages import (
    Features,
    Learnt,
    Picks,
    Receiver,
    Sender,
    portions,
    there,
    words,
)

__all__ = ["stream_infer"]


def stream_infer(
    *,
    seed: int,
    run_dir: str,
    cores: int,
    gpus: float,
    settings: Mapping[str, Any],
    simulations: int,
    iterations: int,
    frames: int,
    blocks: int = 1,
    first: int = 0,
) -> dict[str, Any]:
    """Choose starts until no more frames come, and return whether the loop has converged.

    Parameters
    ----------
    seed, run_dir, cores, gpus
        The task's own fields.
    settings
        The section ``inference``, see `InferenceSettings`.
    simulations, iterations, blocks
        Tasks that simulate, simulations of each, and blocks of an iteration.
    frames
        Frames of a whole iteration as features.  How much new there is in an iteration is asked
        when it is whole: a few frames seldom show any.
    first
        Iterations of the runs that this one continues.

    Returns
    -------
    dict
        ``converged``, true or false; ``inference``, the file of the last choice; ``rounds``, how
        many choices there were.

    Raises
    ------
    WorkflowError
        If a setting cannot be used, or a reference is asked for and there is none.
    StageError
        If the last choice cannot be made: the model has learned nothing, or no frame can be read.
    """
    wanted = InferenceSettings.of(settings, section="inference")
    with ExitStack() as stack:
        arriving = stack.enter_context(stretto.channel("blocks"))
        picks = stack.enter_context(stretto.channel("picks"))
        models = stack.enter_context(stretto.channel("models")) if wanted.needs_model else None
        choosing = _Choosing(run_dir, wanted, simulations, frames, seed, cores, gpus, first)
        if first:
            old = gather(
                run_dir, first - 1, blocks=blocks, most_frames=wanted.most_frames, first=first
            )
            choosing.pool = Pool(wanted.most_frames, old)
        left = [one for one in range(first, first + iterations) if _left(run_dir, one)]
        for iteration, portion in portions(arriving, each=True):
            choosing.take(portion)
            if left and iteration < left[-1]:
                continue  # an earlier attempt has left its choice
            if models is not None:
                choosing.look(models)
            _send(picks, choosing.choose(iteration))
        if models is not None:
            while (last := _next(models)) is not None:
                choosing.look_at(last)
        choosing.choose_last()
    return {
        "converged": choosing.converged,
        "inference": str(inference_file(run_dir, choosing.iteration)),
        "rounds": choosing.rounds,
    }


def _left(run_dir: str, iteration: int) -> bool:
    return inference_file(run_dir, iteration).exists()


def _send(picks: Sender, message: Picks | None) -> None:
    if message is not None:
        picks.send(message)


def _next(models: Receiver) -> Learnt | None:
    try:
        message = models.receive()
    except EOFError:
        return None
    assert isinstance(message, Learnt), message
    return message


class _Choosing:
    """All frames and the newest model, and the choices that were made by them."""

    def __init__(
        self,
        run_dir: str,
        settings: InferenceSettings,
        simulations: int,
        frames: int,
        seed: int,
        cores: int,
        gpus: float,
        first: int,
    ) -> None:
        self.pool = Pool(settings.most_frames)
        self.learnt: Learnt | None = None
        self.iteration = 0
        self.rounds = 0
        self.held: list[str] = []
        """Conditions that have held; what has converged once has converged."""
        self._run_dir = run_dir
        self._settings = settings
        self._simulations = simulations
        self._frames = frames
        self._seed = seed
        self._cores = cores
        self._gpus = gpus
        self._first = first
        self._growing: dict[tuple[int, int], tuple[Path, int]] = {}
        self._news = False

    @property
    def converged(self) -> bool:
        """Whether the loop has."""
        return bool(self.held)

    def take(self, portion: list[Features]) -> None:
        """Take frames."""
        for one in portion:
            self.pool.add(one.block)
            self._growing.update(one.growing)
        self._news = True

    def look(self, models: Receiver) -> None:
        """Take the newest model, and wait for it only if there is none."""
        for message in there(models):
            assert isinstance(message, Learnt), message
            self.look_at(message)
        if self.learnt is None and (first := _next(models)) is not None:
            self.look_at(first)

    def look_at(self, learnt: Learnt) -> None:
        """Take a model."""
        self.learnt, self._news = learnt, True

    def choose(self, iteration: int) -> Picks | None:
        """Choose, and return what to tell the simulations, if anything.

        A choice that cannot be made yet is left out: there may be too few frames for it.
        """
        self.iteration = iteration
        stopped = self.converged
        try:
            choice, round_ = self._made(iteration)
        except StageError as error:
            print(f"no choice: {error}")  # noqa: T201 -- a task's log
            return None
        record = choice.record
        starts = tuple(restart.frame for restart in choice.restarts)
        if self._settings.strategy == "continue" or self.converged:
            starts = ()  # each goes on from its own last frame as it is
        if stopped or not (starts or self.converged):
            return None
        return Picks(
            iteration,
            round_,
            record["model"],
            record["trained_in"],
            record["frames_behind"],
            starts,
            {one[:2]: self._growing[one[:2]] for one in starts if one[:2] in self._growing},
            stop=self.converged,
        )

    def choose_last(self) -> None:
        """Choose once more, if there are frames or a model that no choice has gone by."""
        if self._news:
            self._made(self.iteration)

    def _whole(self, best: Sequence[Best]) -> int:
        """Return the newest iteration that is whole, or of a run before; -1 if there is none."""
        whole = (one.iteration for one in best if one.frames >= self._frames)
        return max([self._first - 1, *whole])

    def _made(self, iteration: int) -> tuple[Choice, int]:
        gathered, learnt, settings = self.pool.gathered(), self.learnt, self._settings
        structures = Structures.of(self._run_dir)
        for place in sorted(self._growing):
            if trajectory_file(self._run_dir, *place).exists():
                del self._growing[place]
        structures.growing.update(self._growing)
        seen = behind = None
        if learnt is not None:
            seen = seen_by(
                learnt.model,
                learnt.iteration,
                gathered.block,
                settings,
                cores=self._cores,
                gpus=self._gpus,
                judged=self._whole(gathered.best),
            )
            behind = max(self.pool.frames - learnt.frames, 0)
        earlier = _earlier(picks_file(self._run_dir, iteration))
        choice = chosen(
            iteration,
            iteration,
            gathered,
            seen,
            structures,
            settings,
            simulations=self._simulations,
            seed=words(self._seed, iteration, len(earlier)),
        )
        self.held = sorted({*self.held, *choice.record["conditions_held"]})
        record = choice.record | {
            "round": len(earlier),
            "frames_behind": behind,
            "converged": self.converged,
            "conditions_held": self.held,
        }
        choice = replace(choice, record=record)
        pick = {name: record[name] for name in _PICK} | {"frames": self.pool.frames}
        write_json(picks_file(self._run_dir, iteration), [*earlier, pick])
        choice.write(self._run_dir)
        self.rounds += 1
        self._news = False
        return choice, len(earlier)


_PICK = ("round", "model", "trained_in", "frames_behind", "converged", "starts")


def _earlier(path: Path) -> list[Any]:
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StageError(f"{path}: damaged or unreadable ({error})") from None
    if not isinstance(found, list):
        raise StageError(f"{path}: expected a list of choices")
    return found
