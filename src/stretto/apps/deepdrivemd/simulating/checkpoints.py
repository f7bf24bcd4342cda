"""The checkpoint of a simulation that has begun: all that another attempt needs to go on.

It is one file in the task's own folder, written whole or not at all after the frames it counts
have been made to last.  The dynamic state is OpenMM's portable ``State``: positions, velocities,
box and parameters as decimal numbers that give back the same bits, on any platform and version.

Randomness is not in it.  A simulation is a chain of stretches from checkpoint to checkpoint, and
each draws its random numbers from (seed, draw, frames before it).  So one that was killed goes on
just as it would have gone, and needs no state of a generator that other platforms do not have.

An explosion is noted in the checkpoint that it came after.  The next attempt sees one explosion
more than its draw has answered, and goes on with the next draw.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from stretto.apps.deepdrivemd.files import StageError, write_json
from stretto.apps.deepdrivemd.simulating.records import (
    Explosion,
    Job,
    Origin,
    Resumption,
    read_model,
)

__all__ = ["Checkpoint"]


class Checkpoint(BaseModel):
    """How far a simulation has come.

    Parameters
    ----------
    job
        What it was asked to do.
    origin
        Where it started, or `None` if it has not begun: nothing good was there to be kept.
    state
        OpenMM's ``State`` as XML; empty if it has not begun.
    trajectory
        Name of the file in the same folder that has its frames.
    potential_kj_mol
        Of each frame so far; as many as there are frames.
    draw
        Which set of random numbers, counted from 1.
    explosions, resumed
        What has happened, for the record: to the job, and to the frames that are kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: Job
    origin: Origin | None = None
    state: str = ""
    trajectory: str = ""
    potential_kj_mol: tuple[float, ...] = ()
    draw: int = 1
    explosions: tuple[Explosion, ...] = ()
    resumed: tuple[Resumption, ...] = ()

    @property
    def frames(self) -> int:
        """Frames that it counts."""
        return len(self.potential_kj_mol)

    @property
    def exploded(self) -> bool:
        """Whether what went on from it exploded."""
        return len(self.explosions) >= self.draw

    def changed(self, **values: Any) -> Self:
        """Return it with other values."""
        return self.model_copy(update=values)

    def begun_anew(self) -> Self:
        """Return the checkpoint of the same job before it begins, with the next draw."""
        return self.changed(
            origin=None,
            state="",
            trajectory="",
            potential_kj_mol=(),
            draw=len(self.explosions) + 1,
            resumed=(),
        )

    def write(self, folder: Path) -> None:
        """Write to the task's folder, whole or not at all."""
        write_json(folder / _NAME, self.model_dump(mode="json"))

    @classmethod
    def read(cls, folder: Path, job: Job) -> Self:
        """Return the checkpoint of a job: one that has not begun if there is none, or of another.

        A damaged checkpoint costs the time that it would have saved, and nothing else.
        """
        try:
            found = read_model(cls, folder / _NAME)
        except StageError:
            return cls(job=job)
        return found if found.job == job else cls(job=job)

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove it, once the record is there."""
        (folder / _NAME).unlink(missing_ok=True)


_NAME = "checkpoint.json"
