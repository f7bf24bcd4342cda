"""Inference: chooses where the next simulations start, and says whether the loop has converged.

Frames of all iterations so far are embedded by the newest model that there is within the staleness
that was declared, ranked by a strategy, and the best of them that are apart from each other are
written as structures to start from.

====================  =============================================================================
``inference.json``    what
====================  =============================================================================
``iteration``         of this inference
``frames_until``      the newest iteration whose frames it looked at
``strategy``          by which it chose; ``seed`` of its draws
``model``             iteration whose model it used, or null
``trained_in``        iteration in which that learned, earlier where its training diverged
``model_age``         iterations of frames that it has not learned from
``starts``            of each ``simulation``: ``frame`` (iteration, simulation, frame) it starts
                      from, its ``score``, ``rmsd_nm``, ``native_contacts`` and ``model``
``converged``         verdict, and ``conditions_held`` that made it
``outliers``          how many ``frames`` are, in how many ``clusters`` the others, at which ``eps``
``growth``            share of the newest frames in new space, or null
``frames``            how many frames were looked at
``iterations``        of each its number of frames, and how near they came to the reference
``remade``            blocks that were made again, and why
``passed_over``       trajectories that could not be read, and why
``settings``          the section ``inference``
``versions``          of libraries, by name
====================  =============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto import WorkflowError
from stretto.apps.deepdrivemd.arguments import count
from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.choosing.convergence import held
from stretto.apps.deepdrivemd.choosing.restarts import (
    Restart,
    Structures,
    chosen_restarts,
    last_restarts,
)
from stretto.apps.deepdrivemd.choosing.seeing import Seen, see
from stretto.apps.deepdrivemd.choosing.selection import ranking, spread
from stretto.apps.deepdrivemd.choosing.settings import InferenceSettings
from stretto.apps.deepdrivemd.files import write_json
from stretto.apps.deepdrivemd.gathering import Gathered, Remake, gather
from stretto.apps.deepdrivemd.places import inference_file, latent_file, start_file
from stretto.apps.deepdrivemd.turns import Turn

__all__ = ["Choice", "chosen", "infer"]


def infer(
    *,
    iteration: int,
    seed: int,
    run_dir: str,
    inputs: Mapping[str, int | None],
    cores: int,
    gpus: float,
    settings: Mapping[str, Any],
    simulations: int,
    first: int = 0,
    blocks: int = 1,
    remake: Remake | None = None,
) -> dict[str, Any]:
    """Choose the starts of the next simulations and return whether the loop has converged.

    Parameters
    ----------
    iteration, seed, run_dir, cores, gpus
        The task's own fields.
    inputs
        ``aggregation``: the iteration up to which there are blocks, its own where not given;
        ``training``: the iteration whose model to use, where the strategy needs one.
    settings
        Section ``inference`` of the configuration.
    simulations
        Simulations of an iteration, which is the number of starts.
    first
        Iterations of the runs that this one continues.
    blocks
        Blocks of an iteration.
    remake
        How to make a missing or damaged block again.

    Returns
    -------
    dict
        ``converged``, true or false; ``inference``, the file that says what was chosen and why.

    Raises
    ------
    WorkflowError
        If a setting cannot be used, a reference is asked for and there is none, or a library is not
        installed.
    StageError
        If blocks, model or trajectories are missing or damaged, or the model has learned nothing.
    """
    wanted = InferenceSettings.of(settings, section="inference")
    count("simulations", simulations)
    turn = Turn.of(iteration, inputs, first)
    newest = turn.inputs.get("aggregation")
    newest = turn.iteration if newest is None else newest
    gathered = gather(
        run_dir,
        newest,
        blocks=blocks,
        most_frames=wanted.most_frames,
        first=first,
        remake=remake,
    )
    seen = None
    if wanted.needs_model:
        model = turn.inputs.get("training")
        seen = see(run_dir, model, gathered.block, wanted, cores=cores, gpus=gpus)
    choice = chosen(
        turn.iteration,
        newest,
        gathered,
        seen,
        Structures.of(run_dir),
        wanted,
        simulations=simulations,
        seed=seed,
    )
    choice.write(run_dir)
    return {
        "converged": choice.record["converged"],
        "inference": str(inference_file(run_dir, turn.iteration)),
    }


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What an inference has chosen.

    Parameters
    ----------
    restarts
        A start for each simulation.
    block, seen
        Frames that it chose among, and as its model sees them, if it has one.
    record
        As it is written.
    """

    restarts: list[Restart]
    block: Block
    seen: Seen | None
    record: dict[str, Any]

    def write(self, run_dir: str | Path) -> None:
        """Write starts, embedding and record, each whole or not at all."""
        iteration = self.record["iteration"]
        # The record of an earlier choice must not stand beside these starts.
        inference_file(run_dir, iteration).unlink(missing_ok=True)
        for number, restart in enumerate(self.restarts):
            restart.write(start_file(run_dir, iteration, number))
        if self.seen is not None:
            rows = [row for row in _rows(self.restarts, self.block) if row is not None]
            self.seen.write(latent_file(run_dir, iteration), self.block.frames, rows)
        # The record last: where it is, all are.
        write_json(inference_file(run_dir, iteration), self.record)


def chosen(
    iteration: int,
    newest: int,
    gathered: Gathered,
    seen: Seen | None,
    structures: Structures,
    settings: InferenceSettings,
    *,
    simulations: int,
    seed: int,
) -> Choice:
    """Return the choice of an iteration among frames that have been gathered.

    Parameters
    ----------
    iteration, newest
        Its iteration, and the newest one of the frames.
    gathered, seen
        The frames, and as the model sees them where the strategy needs one.
    structures
        Where to read those that are chosen.
    settings
        Section ``inference``.
    simulations, seed
        Number of starts; of the draws.

    Raises
    ------
    WorkflowError
        If a reference is asked for and there is none.
    StageError
        If no trajectory can be read.
    """
    block = gathered.block
    if settings.strategy == "outliers-rmsd" and block.rmsd_nm is None:
        raise WorkflowError(
            "outliers-rmsd needs a reference structure, which this molecule has not",
            path=("inference", "strategy"),
        )
    conditions = held(settings.until, gathered.best, None if seen is None else seen.growth)
    if settings.strategy == "continue":
        restarts = last_restarts(structures, newest, simulations)
    else:
        choose = partial(_choose, settings, block, seen, simulations, seed)
        restarts = chosen_restarts(structures, block.frames, choose)
    record = {
        "iteration": iteration,
        "frames_until": newest,
        "seed": seed,
        "strategy": settings.strategy,
        "converged": bool(conditions),
        "conditions_held": conditions,
        "starts": _starts(restarts, block, seen),
        **_view(seen, newest),
        **_found(gathered, structures),
        "settings": settings.model_dump(mode="json"),
        "versions": {name: version(name) for name in ("mdtraj", "scikit-learn", "torch")},
    }
    return Choice(restarts, block, seen, record)


def _choose(
    settings: InferenceSettings,
    block: Block,
    seen: Seen | None,
    simulations: int,
    seed: int,
    allowed: NDArray[np.bool_],
) -> list[int]:
    ranked = ranking(
        settings,
        len(block),
        scores=None if seen is None else seen.rarity.scores,
        rmsd_nm=block.rmsd_nm,
        allowed=allowed,
        seed=seed,
    )
    # Random restarts are drawn without regard to each other.
    return spread(
        ranked,
        block.frames,
        None if seen is None else seen.latent,
        starts=simulations,
        separation=settings.separation,
        gap=1 if seen is None else settings.gap,
    )


def _rows(restarts: list[Restart], block: Block) -> list[int | None]:
    """Return in which row of the block each start is; one that was thinned out is in none."""
    place = {tuple(frame): row for row, frame in enumerate(block.frames.tolist())}
    return [place.get(restart.frame) for restart in restarts]


def _starts(restarts: list[Restart], block: Block, seen: Seen | None) -> list[dict[str, Any]]:
    def value(row: int | None, values: NDArray[np.floating[Any]] | None) -> float | None:
        return None if row is None or values is None else round(float(values[row]), 6)

    return [
        {
            "simulation": number,
            "frame": list(restart.frame),
            "score": value(row, None if seen is None else seen.rarity.scores),
            "rmsd_nm": value(row, block.rmsd_nm),
            "native_contacts": value(row, block.native_contacts),
            "model": None if seen is None else seen.model_iteration,
        }
        for number, (restart, row) in enumerate(zip(restarts, _rows(restarts, block), strict=True))
    ]


def _view(seen: Seen | None, newest: int) -> dict[str, Any]:
    if seen is None:
        return {
            "model": None,
            "trained_in": None,
            "model_age": None,
            "outliers": None,
            "growth": None,
        }
    return {
        "model": seen.model_iteration,
        "trained_in": seen.trained_in,
        # How many iterations of frames it has not learned from.
        "model_age": max(newest - seen.trained_in, 0),
        "outliers": {
            "frames": seen.rarity.outliers,
            "clusters": seen.rarity.clusters,
            "eps": seen.rarity.eps,
        },
        "growth": seen.growth,
    }


def _found(gathered: Gathered, structures: Structures) -> dict[str, Any]:
    return {
        "frames": len(gathered.block),
        "iterations": [asdict(best) for best in gathered.best],
        "remade": gathered.remade,
        "passed_over": [
            {"iteration": iteration, "simulation": simulation, "reason": reason}
            for (iteration, simulation), reason in structures.unreadable.items()
        ],
    }
