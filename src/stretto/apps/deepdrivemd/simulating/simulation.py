"""Simulation: one task of the ensemble, from its start to frames and record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stretto.apps.deepdrivemd.molecules import load
from stretto.apps.deepdrivemd.places import record_file, system_folder
from stretto.apps.deepdrivemd.simulating.settings import SimulationSettings
from stretto.apps.deepdrivemd.simulating.starts import Start, chosen_start, structure_start
from stretto.apps.deepdrivemd.simulating.work import Work
from stretto.apps.deepdrivemd.turns import Turn

__all__ = ["simulate"]


def simulate(
    *,
    task: int,
    iteration: int,
    seed: int,
    attempt: int,
    run_dir: str,
    task_dir: str,
    inputs: Mapping[str, int | None],
    cores: int,
    gpus: float,
    settings: Mapping[str, Any],
    first: int = 0,
) -> dict[str, Any]:
    """Run one simulation, or what is left of it, and return where it left its frames.

    Parameters
    ----------
    task, iteration, seed, attempt, run_dir, task_dir, cores, gpus
        The task's own fields.
    inputs
        ``inference``: the iteration whose inference chose the starts; without one, or with `None`,
        a simulation starts from the structure.
    settings
        The section ``simulation``, see `SimulationSettings`.
    first
        Iterations of the runs that this one continues.

    Returns
    -------
    dict
        ``trajectory`` and ``record``, the files; ``frames``; ``resumed``, how often it was.

    Raises
    ------
    WorkflowError
        If a setting cannot be used, or OpenMM is not installed.
    StageError
        If the molecule exploded, or there is no start, or it has a clash; names the file.
    """
    turn = Turn.of(iteration, inputs, first)
    molecule = load(system_folder(run_dir))
    inference = turn.inputs.get("inference")

    def start() -> Start:
        if inference is None:
            return structure_start(run_dir, molecule.positions_nm)
        return chosen_start(run_dir, inference, task, len(molecule.positions_nm))

    work = Work.of(
        turn.iteration,
        task,
        SimulationSettings.of(settings, section="simulation"),
        seed=seed,
        attempt=attempt,
        run_dir=run_dir,
        folder=Path(task_dir),
        start=start,
        molecule=molecule,
        cores=cores,
        gpus=gpus,
    )
    record = work.found() or work.done()
    return {
        "trajectory": str(work.trajectory),
        "record": str(record_file(run_dir, turn.iteration, task)),
        "frames": record.frames,
        "resumed": len(record.resumed),
    }
