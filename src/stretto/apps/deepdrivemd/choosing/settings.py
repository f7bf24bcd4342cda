"""What a configuration can say of inference: how starts are chosen, and when the loop is done."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from stretto.apps.deepdrivemd.settings import Section

__all__ = ["InferenceSettings", "UntilSettings"]


class UntilSettings(Section):
    """When the loop has converged: as soon as one of the conditions that are given holds."""

    rmsd_nm: float | None = Field(
        None, gt=0, description="A frame is this near to the reference, or nearer."
    )
    native_contacts: float | None = Field(
        None, gt=0, le=1, description="A frame has at least this share of the reference's contacts."
    )
    growth: float | None = Field(
        None,
        ge=0,
        le=1,
        description="At most this share of the newest frames lie where no earlier ones do; "
        "about 0.01 is left where nothing grows.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.rmsd_nm is None and self.native_contacts is None and self.growth is None:
            raise ValueError("expected one of rmsd_nm, native_contacts and growth")
        return self


class InferenceSettings(Section):
    """How the starts of the next simulations are chosen."""

    strategy: Literal["outliers", "outliers-rmsd", "random", "continue"] = Field(
        "outliers",
        description="outliers, frames that are rare in the model's eyes; outliers-rmsd, of those "
        "the nearest to the reference, which knows the folded state; random, any frames; continue, "
        "each simulation's own last frame, with new velocities. The last two need no model.",
    )
    method: Literal["lof", "dbscan"] = Field(
        "lof", description="What makes a frame rare: local outlier factor, or DBSCAN's noise."
    )
    neighbours: int = Field(20, ge=1, description="Frames that a neighbourhood is made of.")
    eps: float | None = Field(
        None,
        gt=0,
        description="Radius of dbscan's neighbourhoods in standard deviations of the latent space; "
        "at the knee of the sorted distances to the last neighbour where not given.",
    )
    separation: float = Field(
        0.5,
        ge=0,
        description="Least distance of two starts, in standard deviations of the latent space.",
    )
    gap: int = Field(10, ge=1, description="Least number of frames between two of one trajectory.")
    shortlist: int = Field(
        200, ge=1, description="How many of the rarest frames outliers-rmsd looks at."
    )
    most_frames: int = Field(
        10_000, ge=2, description="Limit on the frames of all iterations that are looked at."
    )
    until: UntilSettings | None = Field(
        None, description="When the loop has converged; never where not given."
    )

    @model_validator(mode="after")
    def _has_its_model(self) -> Self:
        if self.until and self.until.growth is not None and not self.needs_model:
            raise ValueError(f"until.growth needs a model, and strategy {self.strategy} has none")
        return self

    @property
    def needs_model(self) -> bool:
        """Whether frames are embedded."""
        return self.strategy in ("outliers", "outliers-rmsd")
