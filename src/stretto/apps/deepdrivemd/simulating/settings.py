"""How a simulation is run: the section ``simulation`` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from stretto.apps.deepdrivemd.settings import Section

__all__ = ["SimulationSettings"]


class SimulationSettings(Section):
    """Langevin dynamics of one simulation; as shipped, good for alanine dipeptide."""

    steps: Annotated[PositiveInt, Field(description="Steps of a simulation.")] = 75_000
    report_every: Annotated[PositiveInt, Field(description="Steps from frame to frame.")] = 100
    step_fs: Annotated[PositiveFloat, Field(description="Length of a step in femtoseconds.")] = 2.0
    temperature_k: Annotated[PositiveFloat, Field(description="Temperature in kelvins.")] = 300.0
    friction_per_ps: Annotated[
        PositiveFloat, Field(description="Friction of the Langevin integrator per picosecond.")
    ] = 1.0
    checkpoint_every: Annotated[
        PositiveInt, Field(description="Frames from checkpoint to checkpoint.")
    ] = 100
    platform: Annotated[
        Literal["auto", "Reference", "CPU", "CUDA", "OpenCL"],
        Field(description="OpenMM's platform; auto goes by what the task was given."),
    ] = "auto"
    hot_steps: Annotated[
        int,
        Field(ge=0, description="Steps that shake a simulation that starts from the structure."),
    ] = 2_000
    hot_temperature_k: Annotated[
        PositiveFloat, Field(description="Temperature of the shaking in kelvins.")
    ] = 600.0
    most_potential_kj_mol: Annotated[
        PositiveFloat,
        Field(description="Potential energy an atom above which a molecule counts as exploded."),
    ] = 100.0

    @model_validator(mode="after")
    def _whole_frames(self) -> Self:
        if self.steps % self.report_every:
            raise ValueError(
                f"expected steps to be a multiple of report_every ({self.report_every})"
            )
        return self

    @property
    def frames(self) -> int:
        """Frames of a simulation."""
        return self.steps // self.report_every

    @property
    def ps_per_frame(self) -> float:
        """Simulated time from frame to frame."""
        return self.report_every * self.step_fs / 1000
