"""How frames become features: the section ``aggregation`` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from stretto.apps.deepdrivemd.settings import Section

__all__ = ["AggregationSettings"]


class AggregationSettings(Section):
    """What a model sees of a frame; as shipped, the contact map of a protein."""

    features: Annotated[
        Literal["contacts", "distances", "dihedrals"],
        Field(
            description="Contact map or distances of the selected atoms, or sine and cosine of "
            "the backbone's torsions."
        ),
    ] = "contacts"
    selection: Annotated[
        str,
        Field(
            min_length=1,
            description="Atoms of contacts and distances: alpha-carbons, heavy (those of the "
            "molecule that are not hydrogen), or a selection in MDTraj's language.",
        ),
    ] = "alpha-carbons"
    cutoff_nm: Annotated[
        PositiveFloat, Field(description="Distance below which two atoms are in contact.")
    ] = 0.8
    every: Annotated[PositiveInt, Field(description="Every how many frames one is taken.")] = 1
