"""What the sections of all stages have in common: needs, and what may stand in for the stage.

A stage is the shipped one unless its section has a ``command`` or a ``function``.  Then the rest of
the section is still read and checked, and handed to a function that asks for its ``settings``.
"""

from __future__ import annotations

import shlex
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from stretto.apps.deepdrivemd.aggregating.settings import AggregationSettings
from stretto.apps.deepdrivemd.choosing.settings import InferenceSettings
from stretto.apps.deepdrivemd.learning.settings import ModelSettings
from stretto.apps.deepdrivemd.settings import Section
from stretto.apps.deepdrivemd.simulating.settings import SimulationSettings

__all__ = [
    "AggregationSection",
    "EnsembleNeeds",
    "InferenceSection",
    "ModelSection",
    "Needs",
    "SimulationSection",
    "Stage",
]


class Needs(Section):
    """What a task of a stage needs; as the keys of the same names in a description."""

    cores: int = Field(default=1, ge=0, description="Cores of a task.")
    gpus: float = Field(default=0.0, ge=0, description="GPUs of a task, or a share of one.")
    memory: float | str = Field(
        default=0.0, description="Memory of a task: MiB, or text such as 4 GiB."
    )
    retries: int = Field(
        default=2, ge=0, description="How often a task that failed is tried again."
    )
    timeout: float | None = Field(
        default=None, gt=0, description="Seconds after which a task is ended and has failed."
    )
    duration: Any = Field(
        default=None, description="How long a task takes, for plans; nobody knows unless given."
    )


class EnsembleNeeds(Needs):
    """Of a stage of several tasks."""

    tasks: int = Field(default=1, ge=1, description="Tasks in an iteration.")
    failures: int | str = Field(
        default=0,
        description="Tasks that may fail for good and the iteration goes on: a number, or a share "
        "such as 10%.",
    )


def _words(value: Any) -> Any:
    return shlex.split(value) if isinstance(value, str) else value


class Stage(Section):
    """What every section of a stage may say."""

    resources: Needs = Field(default=Needs(), description="What its tasks need, a mapping.")
    command: Annotated[tuple[str, ...], BeforeValidator(_words)] | None = Field(
        default=None, description="Program to run instead of the shipped stage, with its words."
    )
    function: str | None = Field(
        default=None,
        pattern=r"^[\w.]+:[\w.]+$",
        description="Python function to call instead of the shipped stage, as module:function.",
    )
    arguments: dict[str, Any] = Field(default={}, description="More arguments of that function.")
    environment: dict[str, str] = Field(
        default={}, description="Variables for the tasks of the stage."
    )

    @model_validator(mode="after")
    def _one_stand_in(self) -> Self:
        if self.command is not None and self.function is not None:
            raise ValueError("expected a command or a function, found both")
        if self.command == ():
            raise ValueError("expected a program in command, found no word")
        if self.arguments and self.function is None:
            raise ValueError("expected arguments only where there is a function")
        return self

    @property
    def shipped(self) -> bool:
        """Whether nothing stands in for the stage."""
        return self.command is None and self.function is None

    @property
    def settings(self) -> dict[str, Any]:
        """The section without what all stages have in common, as plain values."""
        return self.model_dump(mode="json", exclude=set(Stage.model_fields))


class SimulationSection(Stage, SimulationSettings):
    """The ensemble of simulations."""

    resources: EnsembleNeeds = Field(
        default=EnsembleNeeds(tasks=4), description="What its tasks need, a mapping."
    )


class AggregationSection(Stage, AggregationSettings):
    """Trajectories to features."""

    resources: EnsembleNeeds = Field(
        default=EnsembleNeeds(), description="What its tasks need, a mapping."
    )


class ModelSection(Stage, ModelSettings):
    """The model, and its training."""


class InferenceSection(Stage, InferenceSettings):
    """The choice of the next starts."""
