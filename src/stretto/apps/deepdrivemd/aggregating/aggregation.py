"""Aggregation: the frames of some simulations, as features, in one block.

Simulations are dealt to blocks as the pattern ``group`` deals tasks: simulation i to block
``i * blocks // simulations``.  A simulation is there once its record is; where the run can do
without some, or does not wait for all, those that are not there are named in the block.  One that
is there and damaged is an error, since its frames may have started others; who takes its record
away goes on without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stretto import WorkflowError
from stretto.apps.deepdrivemd.aggregating.observables import Observables
from stretto.apps.deepdrivemd.aggregating.settings import AggregationSettings
from stretto.apps.deepdrivemd.arguments import count
from stretto.apps.deepdrivemd.blocks import Block, joined
from stretto.apps.deepdrivemd.dcd import read_dcd
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.molecules import load
from stretto.apps.deepdrivemd.places import (
    block_file,
    record_file,
    system_folder,
    trajectory_file,
)
from stretto.apps.deepdrivemd.simulating.records import Record
from stretto.apps.deepdrivemd.turns import Turn

__all__ = ["aggregate", "members", "remade"]


def aggregate(
    *,
    task: int,
    iteration: int,
    run_dir: str,
    inputs: Mapping[str, int | None],
    settings: Mapping[str, Any],
    simulations: int,
    blocks: int,
    first: int = 0,
    finished: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, Any]:
    """Make block `task` of an iteration and return where it is.

    Parameters
    ----------
    task, iteration, run_dir
        The task's own fields.
    inputs
        ``simulation``: the iteration whose simulations to take; its own if that is absent or
        `None`.
    settings
        The section ``aggregation``, see `AggregationSettings`.
    simulations, blocks
        Numbers of them in an iteration.
    first
        Iterations of the runs that this one continues.
    finished
        ``simulation``: those that had finished, where it did not wait for all.

    Returns
    -------
    dict
        ``block``, the file; ``frames``; ``missing``, the simulations that are not there.

    Raises
    ------
    WorkflowError
        If an argument or a setting cannot be used.
    StageError
        If a simulation is damaged, or none is there; names the file.
    """
    turn = Turn.of(iteration, inputs, first)
    source = turn.inputs.get("simulation")
    block = _made(
        run_dir,
        turn.iteration if source is None else source,
        task,
        settings=AggregationSettings.of(settings, section="aggregation"),
        simulations=simulations,
        blocks=blocks,
        among=(finished or {}).get("simulation"),
    )
    path = block_file(run_dir, turn.iteration, task)
    block.write(path)
    missing = [simulation for _, simulation in block.missing]
    if missing:
        print(f"{path}: without simulations {', '.join(map(str, missing))}")  # noqa: T201 -- the task's own output
    return {"block": str(path), "frames": len(block), "missing": missing}


def members(block: int, *, simulations: int, blocks: int) -> list[int]:
    """Return the simulations of a block.

    Raises
    ------
    WorkflowError
        If there are more blocks than simulations, or not one.
    """
    if count("blocks", blocks) > count("simulations", simulations):
        raise WorkflowError(
            f"expected at most {simulations} blocks, one a simulation, found {blocks}",
            path=("arguments", "blocks"),
        )
    return [one for one in range(simulations) if one * blocks // simulations == block]


def remade(
    run_dir: str | Path,
    iteration: int,
    block: int,
    *,
    settings: AggregationSettings,
    simulations: int,
    blocks: int,
) -> Block:
    """Make a block that is missing or damaged again from its simulations, write and return it.

    Raises
    ------
    StageError
        If a simulation is damaged, or none is there; names the file.
    """
    made = _made(
        run_dir, iteration, block, settings=settings, simulations=simulations, blocks=blocks
    )
    made.write(block_file(run_dir, iteration, block))
    return made


def _made(
    run_dir: str | Path,
    iteration: int,
    block: int,
    *,
    settings: AggregationSettings,
    simulations: int,
    blocks: int,
    among: Sequence[int] | None = None,
) -> Block:
    dealt = members(block, simulations=simulations, blocks=blocks)
    there = [
        one
        for one in dealt
        if record_file(run_dir, iteration, one).exists() and (among is None or one in among)
    ]
    if not there:
        path = record_file(run_dir, iteration, dealt[0])
        raise StageError(f"{path}: no such file, nor of any other simulation of block {block}")
    observables = Observables.of(settings, load(system_folder(run_dir)))
    made = joined([_of_simulation(run_dir, iteration, one, observables) for one in there])
    missing = tuple((iteration, one) for one in dealt if one not in there)
    return replace(made, missing=missing)


def _of_simulation(
    run_dir: str | Path, iteration: int, simulation: int, observables: Observables
) -> Block:
    record = Record.read(run_dir, iteration, simulation)
    path = trajectory_file(run_dir, iteration, simulation)
    every, molecule = observables.settings.every, observables.molecule
    solute = np.arange(molecule.n_solute_atoms)
    try:
        positions_nm, n_frames, n_atoms = read_dcd(path, every=every, atoms=solute)
        if n_frames != record.frames:
            raise StageError(f"{path}: expected {record.frames} frames, found {n_frames}")
        if n_atoms != len(molecule.positions_nm):
            expected = f"expected {len(molecule.positions_nm)} atoms"
            raise StageError(f"{path}: {expected}, found {n_atoms}")
    except StageError as error:
        name = record_file(run_dir, iteration, simulation).name
        raise StageError(f"{error}; to go on without it, remove {name} and resume") from None
    frames = np.empty((len(positions_nm), 3), np.int64)
    frames[:, 0], frames[:, 1] = iteration, simulation
    frames[:, 2] = np.arange(len(frames)) * every
    return observables.block(positions_nm, frames)
