"""Simulation in a stream: one simulation of each iteration after another, and frames on the way."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import stretto
from stretto.apps.deepdrivemd.choosing.restarts import Structures
from stretto.apps.deepdrivemd.dcd import read_dcd
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.lineage import Frame
from stretto.apps.deepdrivemd.molecules import Molecule, load
from stretto.apps.deepdrivemd.places import system_folder, trajectory_file
from stretto.apps.deepdrivemd.simulating.records import Origin
from stretto.apps.deepdrivemd.simulating.settings import SimulationSettings
from stretto.apps.deepdrivemd.simulating.starts import Start, chosen_start, structure_start
from stretto.apps.deepdrivemd.simulating.work import Progress, Work
from stretto.apps.deepdrivemd.streaming.messages import (
    Frames,
    Picks,
    Receiver,
    Sender,
    there,
    words,
)

__all__ = ["stream_simulate"]


def stream_simulate(
    *,
    task: int,
    seed: int,
    attempt: int,
    run_dir: str,
    task_dir: str,
    cores: int,
    gpus: float,
    settings: Mapping[str, Any],
    iterations: int,
    first: int = 0,
) -> dict[str, Any]:
    """Run one simulation after another until enough or told to stop, and return what was done.

    Parameters
    ----------
    task, seed, attempt, run_dir, task_dir, cores, gpus
        The task's own fields.
    settings
        The section ``simulation``, see `SimulationSettings`.
    iterations
        How many simulations.
    first
        Iterations of the runs that this one continues.

    Returns
    -------
    dict
        ``simulations``, how many were done; ``picked``, how many of them from picks.

    Raises
    ------
    WorkflowError
        If a setting cannot be used, or OpenMM is not installed.
    StageError
        If the molecule exploded, or a start is missing or has a clash.
    """
    wanted = SimulationSettings.of(settings, section="simulation")
    molecule = load(system_folder(run_dir))
    starts = _Starts(run_dir, task, molecule, first)
    done = picked = 0
    with stretto.channel("frames") as frames, stretto.channel("picks") as picks:
        for iteration in range(first, first + iterations):
            folder = Path(task_dir) / f"iteration-{iteration:03}"
            told = _Telling(frames, iteration, task, wanted, molecule)
            work = Work.of(
                iteration,
                task,
                wanted,
                seed=words(seed, iteration),
                attempt=attempt,
                run_dir=run_dir,
                folder=folder,
                start=starts.next,
                molecule=molecule,
                cores=cores,
                gpus=gpus,
                told=told,
            )
            record = work.found()
            if record is not None:
                told(Progress(work.trajectory, record.parent, record.potential_kj_mol))
            else:
                starts.listen(picks)
                # What was begun in an earlier attempt may have started others, and is finished.
                if starts.stopped and not work.begun:
                    break
                record = work.done()
                shutil.rmtree(folder, ignore_errors=True)
            done, picked = done + 1, picked + (record.inference is not None)
            starts.own = Frame(iteration, task, record.frames - 1)
    return {"simulations": done, "picked": picked}


class _Starts:
    """Where the simulations of one task start: by the newest pick, or where the last one ended."""

    def __init__(self, run_dir: str, task: int, molecule: Molecule, first: int) -> None:
        self.own: Frame | None = None
        """Where the last one ended."""
        self.stopped = False
        """Whether no further one is to begin."""
        self._run_dir = run_dir
        self._task = task
        self._molecule = molecule
        self._first = first
        self._pick: Picks | None = None

    def listen(self, picks: Receiver) -> None:
        """Take what inference has said since the last time."""
        self._pick = None
        for message in there(picks):
            assert isinstance(message, Picks), message
            self.stopped |= message.stop
            if message.starts:
                self._pick = message

    def next(self) -> Start:
        """Return the next start."""
        pick = self._pick
        if pick is not None:
            origin = Origin(
                parent=pick.starts[self._task],
                kind="frame",
                inference=pick.inference,
                model=pick.model,
                trained_in=pick.trained_in,
                round=pick.round,
                frames_behind=pick.frames_behind,
            )
            try:
                return self._at(origin, pick.growing)
            except StageError as error:
                print(f"a pick is not taken: {error}")  # noqa: T201 -- a task's log
        if self.own is not None:
            return self._at(Origin(parent=self.own, kind="frame"), {})
        if self._first:
            n_atoms = len(self._molecule.positions_nm)
            return chosen_start(self._run_dir, self._first - 1, self._task, n_atoms)
        return structure_start(self._run_dir, self._molecule.positions_nm)

    def _at(self, origin: Origin, growing: Mapping[tuple[int, int], tuple[Path, int]]) -> Start:
        assert origin.parent is not None
        structures = Structures.of(self._run_dir)
        structures.growing.update(growing)
        restart = structures.read(origin.parent)
        path = trajectory_file(self._run_dir, origin.parent.iteration, origin.parent.simulation)
        return Start(origin, path, restart.positions_nm, restart.box_nm)


@dataclass(slots=True)
class _Telling:
    """Sends frames of a simulation as soon as they have been made to last."""

    channel: Sender
    iteration: int
    simulation: int
    settings: SimulationSettings
    molecule: Molecule
    told: int = 0

    def __call__(self, progress: Progress) -> None:
        there, portion = len(progress.potential_kj_mol), self.settings.checkpoint_every
        if self.told == there:
            return
        solute = np.arange(self.molecule.n_solute_atoms)
        positions_nm, _, _ = read_dcd(progress.file, begin=self.told, atoms=solute)
        begun = self.told
        while self.told < there:
            end = min(self.told + portion, there)
            self.channel.send(
                Frames(
                    self.iteration,
                    self.simulation,
                    self.told,
                    positions_nm[self.told - begun : end - begun],
                    progress.potential_kj_mol[self.told : end],
                    progress.parent,
                    progress.file,
                    whole=end == self.settings.frames,
                )
            )
            self.told = end
