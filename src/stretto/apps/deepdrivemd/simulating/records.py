"""The record of a simulation: where its frames came from.

It is a JSON file beside the frames, written after them: where the record is, both are whole.  Who
replaces the simulation writes ``frames``, ``ps_per_frame`` and ``parent``; all else may be absent.

======================  ==========================================================================
key                     what
======================  ==========================================================================
``frames``              number of frames in the trajectory
``ps_per_frame``        simulated time from frame to frame
``parent``              iteration, simulation, frame it started from; null if from none of these
``kind``                of the start: ``structure``, ``frame`` of the run, or other ``file``
``inference``           iteration whose inference chose the start, or null
``model``               iteration of the model that inference went by, or null
``trained_in``          iteration in which that model learned, earlier where a later training
                        diverged, or null
``round``               in a stream, which choice of that inference it was; see ``picks.json``
``frames_behind``       in a stream, frames that inference knew and its model had not learned from
``minimised``           whether a chosen frame had to be minimised, for a clash or an explosion
``iteration``,          whose frames they are
``simulation``
``seed``, ``draw``      the task's seed; which set of random numbers drawn from it, counted from 1
``attempt``             the attempt that finished
``platform``            OpenMM's platform in that attempt
``steps``               simulated steps, without shaking
``resumed``             attempts that went on with these frames from a checkpoint: ``attempt``,
                        ``frames`` they found, ``why`` (``interrupted`` or ``exploded``),
                        ``platform``
``explosions``          what exploded: ``attempt``, ``frame``, ``potential_kj_mol`` or null
``system``              SHA-256 of the system's file
``settings``            the section ``simulation``
``versions``            of libraries, by name
``potential_kj_mol``    potential energy of each frame
======================  ==========================================================================
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from stretto.apps.deepdrivemd.files import StageError, write_json
from stretto.apps.deepdrivemd.lineage import Frame
from stretto.apps.deepdrivemd.places import record_file

__all__ = ["Explosion", "Job", "Origin", "Record", "Resumption", "read_model"]

Model = TypeVar("Model", bound=BaseModel)


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Job(_Read):
    """What a simulation was asked to do; on the same platform it gives the same frames again."""

    iteration: int | None = None
    simulation: int | None = None
    seed: int | None = None
    system: str = ""
    settings: dict[str, Any] = {}


class Origin(_Read):
    """Where a simulation started, and who chose that."""

    parent: Frame | None
    kind: Literal["structure", "frame", "file"] = "file"
    inference: int | None = None
    model: int | None = None
    trained_in: int | None = None
    round: int | None = None
    frames_behind: int | None = None
    minimised: bool = False


class Resumption(_Read):
    """An attempt that went on from a checkpoint."""

    attempt: int
    frames: int
    why: Literal["interrupted", "exploded"]
    platform: str


class Explosion(_Read):
    """An attempt that lost the molecule."""

    attempt: int
    frame: int
    potential_kj_mol: float | None


class Record(Job, Origin):
    """A simulation that has been done; keys as in the file."""

    frames: PositiveInt
    ps_per_frame: PositiveFloat
    steps: NonNegativeInt = 0
    draw: int = 1
    attempt: int = 1
    platform: str = ""
    resumed: tuple[Resumption, ...] = ()
    explosions: tuple[Explosion, ...] = ()
    versions: dict[str, str] = {}
    potential_kj_mol: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _an_energy_a_frame(self) -> Self:
        if self.potential_kj_mol and len(self.potential_kj_mol) != self.frames:
            raise ValueError(f"expected {self.frames} energies, one a frame")
        return self

    @property
    def job(self) -> Job:
        """What it was asked to do."""
        return Job.model_validate(self.model_dump(include=set(Job.model_fields)))

    def write(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, run_dir: str | Path, iteration: int, simulation: int) -> Record:
        """Return the record of a simulation.

        Raises
        ------
        StageError
            If there is none, or it is damaged; names its file.
        """
        return read_model(cls, record_file(run_dir, iteration, simulation))


def read_model(kind: type[Model], path: Path) -> Model:
    """Return the value that a JSON file holds.

    Raises
    ------
    StageError
        If the file is missing or damaged, or a key is missing or cannot be used; names both.
    """
    try:
        return kind.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise StageError(f"{path}: no such file; the stage that writes it has not run") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        found = "" if first["type"] == "missing" else f", found {first['input']!r:.80}"
        raise StageError(f"{path}: {key}: {first['msg']}{found}") from None
    except (OSError, ValueError) as error:
        raise StageError(f"{path}: damaged or unreadable ({error})") from None
