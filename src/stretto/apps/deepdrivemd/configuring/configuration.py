"""The configuration of a run: what is simulated, how each stage goes, and how the loop turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from stretto import Mode, WorkflowError
from stretto.apps.deepdrivemd.configuring.stages import (
    AggregationSection,
    EnsembleNeeds,
    InferenceSection,
    ModelSection,
    SimulationSection,
    Stage,
)
from stretto.apps.deepdrivemd.molecules.settings import SystemSettings
from stretto.apps.deepdrivemd.settings import Section

__all__ = ["Configuration", "LoopSettings"]


class LoopSettings(Section):
    """How often the loop turns, and how."""

    name: str = Field(default="deepdrivemd", description="Names the run.")
    iterations: int = Field(
        default=3,
        ge=1,
        description="How often the loop turns; at most so often where inference.until is given.",
    )
    expected: int | None = Field(
        default=None,
        ge=1,
        description="How often plans let a loop turn that has inference.until; iterations unless "
        "given.",
    )
    staleness: int = Field(
        default=1,
        ge=0,
        le=1000,
        description="How many iterations older than the newest the choice of a start may be: with "
        "0 simulations wait for the inference before them.",
    )
    form: Literal["stages", "stream"] = Field(
        default="stages",
        description="stages, each of which waits for files of the one before; or stream, in which "
        "all tasks run at once and send each other what they have, as in "
        "docs/deepdrivemd-streaming.md.",
    )
    mode: Mode = Field(
        default=Mode.ADAPTIVE,
        description="sequential, asynchronous, task-level or adaptive, as in docs/running.md.",
    )
    platform: str = Field(default="local", description="Where it runs: local, or local:CORES.")
    seed: int = Field(default=0, ge=0, description="Seed of all that is drawn.")
    first: int = Field(
        default=0,
        ge=0,
        description="Iterations of the runs that this one continues; set by continue.",
    )

    @model_validator(mode="after")
    def _expects_no_more_than_it_may(self) -> Self:
        if self.expected is not None and self.expected > self.iterations:
            raise ValueError(
                f"expected the key expected to be at most iterations ({self.iterations}), "
                f"found {self.expected}"
            )
        return self


class Configuration(Section):
    """A whole configuration; each section has defaults but ``system``."""

    system: SystemSettings = Field(description="The molecule.")
    simulation: SimulationSection = Field(
        default=SimulationSection.of({}), description="The ensemble of simulations."
    )
    aggregation: AggregationSection = Field(
        default=AggregationSection.of({}), description="Trajectories to features."
    )
    model: ModelSection = Field(
        default=ModelSection.of({}), description="The model, and its training."
    )
    inference: InferenceSection = Field(
        default=InferenceSection.of({}), description="The choice of the next starts."
    )
    loop: LoopSettings = Field(
        default=LoopSettings(), description="How often the loop turns, and how."
    )
    folder: str = Field(
        default=".",
        description="Where programs, modules and files are looked up; relative to the folder of "
        "the file.",
    )

    @field_validator("folder")
    @classmethod
    def _absolute(cls, folder: str) -> str:
        return str(Path(folder).absolute())

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        simulations = self.simulation.resources.tasks
        if self.aggregation.resources.tasks > simulations:
            raise WorkflowError(
                f"expected at most one block a simulation ({simulations}), "
                f"found {self.aggregation.resources.tasks}",
                path=("aggregation", "resources", "tasks"),
            )
        if self.inference.strategy == "continue" and self.loop.staleness:
            raise WorkflowError(
                "expected 0 with the strategy continue, in which each simulation waits for its own "
                f"last frame, found {self.loop.staleness}",
                path=("loop", "staleness"),
            )
        if self.loop.form == "stream":
            self._check_stream()
        shipped = self.learns and self.model.shipped and self.aggregation.shipped
        if shipped and self.model.kind == "cvae" and self.aggregation.features != "contacts":
            raise WorkflowError(
                f"expected autoencoder for features {self.aggregation.features}, "
                "found cvae, which learns contacts",
                path=("model", "kind"),
            )
        return self

    def _check_stream(self) -> None:
        for name, stage in self.stages.items():
            if not stage.shipped:
                raise WorkflowError(
                    "a stage can be replaced only where the loop's form is stages",
                    path=(SECTION_OF[name], "function" if stage.command is None else "command"),
                )
            if isinstance(stage.resources, EnsembleNeeds) and stage.resources.failures:
                raise WorkflowError(
                    "expected 0 in a stream, whose tasks run at once and are tried again as one, "
                    f"found {stage.resources.failures}",
                    path=(SECTION_OF[name], "resources", "failures"),
                )

    @property
    def learns(self) -> bool:
        """Whether there is a model: starts may also be chosen without one."""
        return self.inference.needs_model

    @property
    def stages(self) -> dict[str, Stage]:
        """The section of each task set, in the order of the loop."""
        stages: dict[str, Stage] = {"simulation": self.simulation, "aggregation": self.aggregation}
        if self.learns:
            stages["training"] = self.model
        return stages | {"inference": self.inference}

    def looped(self, **changes: Any) -> Configuration:
        """Return the same configuration with some keys of ``loop`` changed, if not to `None`.

        Raises
        ------
        WorkflowError
            If a value cannot be used.
        """
        given = {key: value for key, value in changes.items() if value is not None}
        values = self.model_dump()
        return Configuration.of({**values, "loop": values["loop"] | given})

    def plain(self, iterations: int) -> Configuration:
        """Return the control: plain MD, in which each simulation goes on at its own last frame.

        Nothing is learned, nothing is chosen, and it does not stop before its last iteration.
        """
        inference = {"strategy": "continue", "resources": self.inference.resources.model_dump()}
        loop = {"iterations": iterations, "expected": None, "staleness": 0, "form": "stages"}
        values = self.model_dump()
        return Configuration.of(
            {**values, "inference": inference, "loop": values["loop"] | loop},
        )


SECTION_OF = {
    "simulation": "simulation",
    "aggregation": "aggregation",
    "training": "model",
    "inference": "inference",
}
"""The section that a task set is described by."""
