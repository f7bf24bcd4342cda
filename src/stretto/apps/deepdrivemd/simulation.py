"""Simulation: Langevin dynamics from a starting frame that inference chose, or from the structure.

Without an inference to go by, a simulation starts from the shipped structure: minimised, shaken at
a high temperature by the task's own seed so that no two tasks begin at the same place, then set to
its own temperature.  A frame that inference handed out is an equilibrated one and chosen for being
rare: it gets new velocities and nothing else, for minimising it would walk it back into a basin.

An integrator that has lost the molecule shows it in the energy first.  Every frame's energy is
looked at, and a simulation that exploded leaves no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto import WorkflowError
from stretto.apps.deepdrivemd.arguments import count, extra, quantity
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.inference import read_start
from stretto.apps.deepdrivemd.molecule import (
    Molecule,
    available_platforms,
    choose_platform,
    shipped_molecule,
)
from stretto.apps.deepdrivemd.trajectory import NO_FRAME, Frame, Trajectory, trajectory_file

__all__ = ["simulate"]

MOST_POTENTIAL_KJ_MOL = 100.0
"""Potential energy for each atom above which a molecule has exploded; heat alone gives about 4."""

_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Dynamics:
    steps: int
    report_every: int
    temperature_k: float
    friction_per_ps: float
    step_fs: float
    hot_steps: int
    hot_temperature_k: float

    def __post_init__(self) -> None:
        count("steps", self.steps)
        count("report_every", self.report_every)
        count("hot_steps", self.hot_steps, least=0)
        for name in ("temperature_k", "friction_per_ps", "step_fs", "hot_temperature_k"):
            quantity(name, getattr(self, name))
        if self.steps < self.report_every:
            raise WorkflowError(
                f"expected at most {self.steps} steps from frame to frame, "
                f"found {self.report_every}",
                path=("arguments", "report_every"),
            )


def simulate(
    *,
    task: int,
    iteration: int,
    seed: int,
    attempt: int,
    run_dir: str,
    inputs: Mapping[str, int | None],
    gpus: float,
    steps: int,
    report_every: int,
    temperature_k: float,
    friction_per_ps: float,
    step_fs: float,
    hot_steps: int,
    hot_temperature_k: float,
) -> str:
    """Run one simulation and return the file of its trajectory.

    Parameters
    ----------
    task, iteration, seed, attempt, run_dir, gpus
        The task's own fields.  The same seed and attempt give the same frames on a processor; a
        new attempt draws anew, since one that exploded would only explode again.
    inputs
        ``inference``: the iteration whose inference chose the starting frames, or `None`.
    steps, report_every
        Length of the simulation, and of the way from frame to frame.
    temperature_k, friction_per_ps, step_fs
        Of the Langevin integrator.
    hot_steps, hot_temperature_k
        Of the shaking of a simulation that starts from the structure.

    Raises
    ------
    WorkflowError
        If an argument cannot be used, or OpenMM is not installed.
    StageError
        If the molecule exploded, or there is no starting frame for this task.
    """
    dynamics = _Dynamics(
        steps, report_every, temperature_k, friction_per_ps, step_fs, hot_steps, hot_temperature_k
    )
    molecule = shipped_molecule()
    chosen_by = inputs.get("inference")
    parent, start = NO_FRAME, molecule.positions_nm
    if chosen_by is not None:
        parent, start = read_start(run_dir, chosen_by, task)
    platform = choose_platform(available_platforms(), gpus)
    try:
        frames, energies = _run(molecule, start, parent, dynamics, (seed, attempt), platform)
    except (StageError, extra("openmm").OpenMMException) as error:
        raise StageError(f"simulation {task} of iteration {iteration} failed: {error}") from None
    path = trajectory_file(run_dir, iteration, task)
    Trajectory(
        positions_nm=frames,
        potential_kj_mol=energies,
        start_nm=start,
        parent=parent,
        heavy_atoms=molecule.heavy_atoms,
        torsion_atoms=molecule.torsion_atoms,
        seeds=(seed, attempt),
        ps_per_frame=report_every * step_fs / 1000,
        inference=-1 if chosen_by is None else chosen_by,
        platform=platform,
    ).write(path)
    return str(path)


def _run(
    molecule: Molecule,
    start: NDArray[np.float64],
    parent: Frame,
    dynamics: _Dynamics,
    seeds: tuple[int, int],
    platform: str,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    openmm = extra("openmm")
    # OpenMM takes a seed of 0 for "choose one yourself".
    draws = np.random.SeedSequence(seeds).generate_state(3) % _LARGEST_SEED + 1
    noise, hot_velocities, velocities = (int(draw) for draw in draws)
    integrator = openmm.LangevinMiddleIntegrator(
        dynamics.temperature_k, dynamics.friction_per_ps, dynamics.step_fs / 1000
    )
    integrator.setRandomNumberSeed(noise)
    context = openmm.Context(
        molecule.system, integrator, openmm.Platform.getPlatformByName(platform)
    )
    context.setPositions(start)
    if parent == NO_FRAME:
        openmm.LocalEnergyMinimizer.minimize(context)
        integrator.setTemperature(dynamics.hot_temperature_k)
        context.setVelocitiesToTemperature(dynamics.hot_temperature_k, hot_velocities)
        integrator.step(dynamics.hot_steps)
        integrator.setTemperature(dynamics.temperature_k)
    context.setVelocitiesToTemperature(dynamics.temperature_k, velocities)
    n_frames = dynamics.steps // dynamics.report_every
    frames = np.empty((n_frames, len(start), 3), dtype=np.float32)
    energies = np.empty(n_frames)
    for number in range(n_frames):
        integrator.step(dynamics.report_every)
        frames[number], energies[number] = _frame(context, number)
    return frames, energies


def _frame(context: Any, number: int) -> tuple[NDArray[np.float64], float]:
    unit = extra("openmm.unit")
    state = context.getState(positions=True, energy=True)
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    energy = float(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))
    if not np.isfinite(positions).all() or not energy <= MOST_POTENTIAL_KJ_MOL * len(positions):
        raise StageError(f"the molecule exploded before frame {number} ({energy:.4g} kJ/mol)")
    return positions, energy
