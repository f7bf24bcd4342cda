"""What a configuration can say of the model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stretto.apps.deepdrivemd.settings import Section

__all__ = ["ModelSettings"]

Width = Annotated[int, Field(ge=1, le=65_536)]


class ModelSettings(Section):
    """The model that frames are embedded by, and how long it learns in an iteration.

    The defaults take about 10 seconds an iteration on one core for contact maps of 35 residues, and
    a second for the distances of a small molecule.
    """

    kind: Literal["cvae", "autoencoder"] = Field(
        "cvae",
        description="cvae, a convolutional variational autoencoder, for contact maps; "
        "autoencoder, of plain layers, for distances or dihedrals.",
    )
    latent: Width = Field(3, description="Numbers that a frame is embedded as.")
    filters: tuple[Width, ...] = Field(
        (16, 32),
        min_length=1,
        max_length=6,
        description="Filters of the convolutions of a cvae, each of which halves the map.",
    )
    dense: Width = Field(64, description="Width of a cvae's layer behind the convolutions.")
    widths: tuple[Width, ...] = Field(
        (64, 32), max_length=12, description="Widths of the layers of an autoencoder, inwards."
    )
    updates: int = Field(500, ge=1, description="Updates of the weights in an iteration.")
    batch: int = Field(64, ge=1, description="Frames in an update.")
    learning_rate: float = Field(
        0.001,
        gt=0,
        description="Step of Adam; halved for each time that the training has diverged.",
    )
    beta: float = Field(1.0, ge=0, description="Weight of a cvae's Kullback-Leibler term.")
    most_frames: int = Field(
        10_000, ge=2, description="Limit on the frames of all iterations that it learns from."
    )
    validation: float = Field(
        0.1, ge=0, le=0.5, description="Share of the frames that it is tested on and never sees."
    )
