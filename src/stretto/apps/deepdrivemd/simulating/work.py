"""Work: an attempt at a simulation, from its start, or its last checkpoint, to frames and record.

Frames stream to a file in the task's own folder, and a checkpoint is taken every so many.  A killed
or retried attempt drops the frames behind the last checkpoint and goes on, and ends up with what it
would have had undisturbed wherever OpenMM repeats itself.  After an explosion the next attempt goes
on from the last good checkpoint with other random numbers; from the third attempt on it begins
again, for what led there may be past mending.

Each attempt writes to a file of its own, so that one that was given up for lost, and is not, spoils
nothing.  Frames reach the data folder whole, and the record after them: an attempt that finds the
record of its very job has nothing left to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.dcd import DcdFile, Layout
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.lineage import Frame
from stretto.apps.deepdrivemd.molecules import Molecule, choose_platform, platform_properties
from stretto.apps.deepdrivemd.places import record_file, system_folder, trajectory_file
from stretto.apps.deepdrivemd.simulating.checkpoints import Checkpoint
from stretto.apps.deepdrivemd.simulating.dynamics import Dynamics, ExplosionError
from stretto.apps.deepdrivemd.simulating.records import Explosion, Job, Record, Resumption
from stretto.apps.deepdrivemd.simulating.settings import SimulationSettings
from stretto.apps.deepdrivemd.simulating.starts import Start

__all__ = ["Progress", "Work"]

_FROM_THE_START = 3
"""The attempt from which on an explosion is answered by beginning again."""


class Progress(NamedTuple):
    """What of a simulation has been made to last."""

    file: Path
    """Has the frames; with others behind them that may yet be dropped."""
    parent: Frame | None
    """The frame it started from."""
    potential_kj_mol: tuple[float, ...]
    """Of each frame; as many as there are frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """An attempt at a job.

    Parameters
    ----------
    job
        What to do.
    molecule, settings
        What is simulated, and how.
    attempt
        Number of the attempt.
    run_dir, folder
        Directory of the run, and the folder for what is not done yet.
    start
        Says where to start, if nothing is there to go on from.
    platform, cores
        OpenMM's platform, and cores for it.
    told
        Called with what has been made to last, each time that this is more than before.  What was
        told is never taken back: the simulation does not begin again, however often it explodes.
    """

    job: Job
    molecule: Molecule
    settings: SimulationSettings
    attempt: int
    run_dir: Path
    folder: Path
    start: Callable[[], Start]
    platform: str
    cores: int
    told: Callable[[Progress], None] | None = None

    @classmethod
    def of(
        cls,
        iteration: int,
        simulation: int,
        settings: SimulationSettings,
        *,
        seed: int,
        attempt: int,
        run_dir: str,
        folder: Path,
        start: Callable[[], Start],
        molecule: Molecule,
        cores: int,
        gpus: float,
        told: Callable[[Progress], None] | None = None,
    ) -> Work:
        """Return the work on a simulation of a run, on the platform for what the task was given."""
        system_file = system_folder(run_dir) / "system.xml"
        job = Job(
            iteration=iteration,
            simulation=simulation,
            seed=seed,
            system=hashlib.sha256(system_file.read_bytes()).hexdigest(),
            settings=settings.model_dump(mode="json"),
        )
        return cls(
            job=job,
            molecule=molecule,
            settings=settings,
            attempt=attempt,
            run_dir=Path(run_dir),
            folder=folder,
            start=start,
            platform=choose_platform(
                settings.platform, gpus=gpus, n_atoms=len(molecule.positions_nm)
            ),
            cores=cores,
            told=told,
        )

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"simulation {self.job.simulation} of iteration {self.job.iteration}"

    @property
    def place(self) -> tuple[Path, int, int]:
        """What names the files of the simulation."""
        assert self.job.iteration is not None
        assert self.job.simulation is not None
        return self.run_dir, self.job.iteration, self.job.simulation

    @property
    def trajectory(self) -> Path:
        """Where the frames are in the end."""
        return trajectory_file(*self.place)

    @property
    def layout(self) -> Layout:
        """Of the trajectory."""
        return Layout(
            n_atoms=len(self.molecule.positions_nm),
            periodic=bool(self.molecule.system.usesPeriodicBoundaryConditions()),
            steps_per_frame=self.settings.report_every,
            step_ps=self.settings.step_fs / 1000,
        )

    @property
    def begun(self) -> bool:
        """Whether an earlier attempt has begun it, and has not come to its end."""
        return bool(Checkpoint.read(self.folder, self.job).state)

    def found(self) -> Record | None:
        """Return the record of this very job if an earlier attempt left it, and its frames."""
        try:
            record = Record.read(*self.place)
            whole = self.trajectory.stat().st_size == self.layout.size(record.frames)
        except (StageError, FileNotFoundError):
            return None
        return record if whole and record.job == self.job else None

    def done(self) -> Record:
        """Do what is left, and return the record."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            properties = platform_properties(self.platform, cores=self.cores)
            dynamics = Dynamics(self.molecule.system, self.settings, self.platform, properties)
            checkpoint = self._taken_up(Checkpoint.read(self.folder, self.job), dynamics)
            return self._left(self._finished(checkpoint, dynamics))
        except extra("openmm").OpenMMException as error:
            raise StageError(f"{self.name}: {error}") from None

    def _taken_up(self, checkpoint: Checkpoint, dynamics: Dynamics) -> Checkpoint:
        exploded = checkpoint.exploded
        again = self.attempt >= _FROM_THE_START and (self.told is None or not checkpoint.frames)
        if not self._usable(checkpoint) or (exploded and again):
            return self._begun(checkpoint.begun_anew(), dynamics)
        if exploded:
            checkpoint = checkpoint.changed(draw=len(checkpoint.explosions) + 1)
            dynamics.load(checkpoint.state, self._seeds(checkpoint), fresh_velocities=True)
            checkpoint = checkpoint.changed(state=dynamics.saved())
        resumption = Resumption(
            attempt=self.attempt,
            frames=checkpoint.frames,
            why="exploded" if exploded else "interrupted",
            platform=self.platform,
        )
        checkpoint = checkpoint.changed(resumed=(*checkpoint.resumed, resumption))
        checkpoint.write(self.folder)
        return checkpoint

    def _usable(self, checkpoint: Checkpoint) -> bool:
        if not checkpoint.frames:
            return bool(checkpoint.state)
        try:
            size = (self.folder / checkpoint.trajectory).stat().st_size
        except OSError:
            return False
        return size >= self.layout.size(checkpoint.frames)

    def _begun(self, checkpoint: Checkpoint, dynamics: Dynamics) -> Checkpoint:
        start = self.start()
        seeds = (*self._seeds(checkpoint)[:2], 0)
        # What exploded before the first checkpoint may have been bad from the start.
        early = [one for one in checkpoint.explosions if one.frame < self.settings.checkpoint_every]
        try:
            state, minimised = dynamics.begin(
                start, seeds, mend=self.attempt > 1, suspect=bool(early)
            )
        except ExplosionError as error:
            raise self._noted(checkpoint, 0, error) from None
        origin = start.origin.model_copy(update={"minimised": minimised})
        checkpoint = checkpoint.changed(origin=origin, state=state)
        checkpoint.write(self.folder)
        return checkpoint

    def _finished(self, checkpoint: Checkpoint, dynamics: Dynamics) -> Checkpoint:
        name = f"frames-{self.attempt}.dcd"
        kept = self.folder / checkpoint.trajectory if checkpoint.frames else None
        energies = list(checkpoint.potential_kj_mol)
        with DcdFile.opened(
            self.folder / name, self.layout, kept=kept, n_kept=checkpoint.frames
        ) as frames:
            if checkpoint.frames:
                self._tell(self.folder / name, checkpoint)
            while len(energies) < self.settings.frames:
                if len(energies) == checkpoint.frames:
                    dynamics.load(checkpoint.state, self._seeds(checkpoint))
                try:
                    snapshot = dynamics.advance()
                except ExplosionError as error:
                    raise self._noted(checkpoint, len(energies), error) from None
                frames.append(snapshot.positions_nm, snapshot.box_nm)
                energies.append(snapshot.potential_kj_mol)
                if len(energies) % self.settings.checkpoint_every == 0:
                    frames.sync()
                    checkpoint = checkpoint.changed(
                        state=dynamics.saved(), trajectory=name, potential_kj_mol=tuple(energies)
                    )
                    checkpoint.write(self.folder)
                    self._tell(self.folder / name, checkpoint)
        return checkpoint.changed(trajectory=name, potential_kj_mol=tuple(energies))

    def _left(self, checkpoint: Checkpoint) -> Record:
        assert checkpoint.origin is not None
        record = Record(
            **self.job.model_dump(),
            **checkpoint.origin.model_dump(),
            frames=checkpoint.frames,
            ps_per_frame=self.settings.ps_per_frame,
            steps=self.settings.steps,
            draw=checkpoint.draw,
            attempt=self.attempt,
            platform=self.platform,
            resumed=checkpoint.resumed,
            explosions=checkpoint.explosions,
            versions={"openmm": extra("openmm").version.short_version},
            potential_kj_mol=checkpoint.potential_kj_mol,
        )
        path = record_file(*self.place)
        # A record of another job must not stand beside these frames for a moment.
        path.unlink(missing_ok=True)
        self.trajectory.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / checkpoint.trajectory).replace(self.trajectory)
        record.write(path)
        Checkpoint.remove(self.folder)
        for left_over in self.folder.glob("frames-*.dcd"):
            left_over.unlink(missing_ok=True)
        self._tell(self.trajectory, checkpoint)
        return record

    def _tell(self, file: Path, checkpoint: Checkpoint) -> None:
        if self.told is not None:
            assert checkpoint.origin is not None
            self.told(Progress(file, checkpoint.origin.parent, checkpoint.potential_kj_mol))

    def _noted(self, checkpoint: Checkpoint, frame: int, error: ExplosionError) -> StageError:
        explosion = Explosion(
            attempt=self.attempt, frame=frame, potential_kj_mol=error.potential_kj_mol
        )
        checkpoint.changed(explosions=(*checkpoint.explosions, explosion)).write(self.folder)
        return StageError(
            f"{self.name}: {error} before frame {frame}; its last checkpoint is "
            f"before frame {checkpoint.frames}"
        )

    def _seeds(self, checkpoint: Checkpoint) -> tuple[int, int, int]:
        assert self.job.seed is not None
        # A sequence that ends in 0 seeds like one without it: 0 is for the start alone.
        return self.job.seed, checkpoint.draw, checkpoint.frames + 1
