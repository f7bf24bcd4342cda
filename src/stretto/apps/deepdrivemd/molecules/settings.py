"""What is simulated: the section ``system`` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from stretto.apps.deepdrivemd.settings import Section

__all__ = ["SystemSettings"]

DEFAULT_MOLECULE = "alanine-dipeptide"

_DEFAULT_FORCES = {
    "implicit": ("amber99sbildn.xml", "amber99_obc.xml"),
    "explicit": ("amber14-all.xml", "amber14/tip3pfb.xml"),
    "vacuum": ("amber99sbildn.xml",),
}

_ALL_ATOM = ("solvent", "force_field", "ph", "constraints", "hydrogen_mass_da")
_EXPLICIT = ("water", "padding_nm", "ionic_strength_m", "cutoff_nm", "pressure_bar")


class SystemSettings(Section):
    """A molecule, its surroundings, and the forces on it."""

    molecule: Annotated[
        str | None,
        Field(
            description="What comes with this project (alanine-dipeptide, cln025, hp35), or a PDB "
            "file; alanine-dipeptide where there is no sequence either."
        ),
    ] = None
    sequence: Annotated[
        str | None,
        Field(
            description="Instead of a molecule, a peptide in one-letter code, built with charged "
            "ends and stretched out.",
            pattern="^[ACDEFGHIKLMNPQRSTVWY]{2,}$",
        ),
    ] = None
    representation: Annotated[
        Literal["all-atom", "go"],
        Field(description="All atoms, or a bead a residue that is drawn to its place (Gō model)."),
    ] = "all-atom"
    start: Annotated[
        Literal["structure", "extended"],
        Field(
            description="Begin with the structure as given, or with its chain stretched out, and "
            "so unfolded."
        ),
    ] = "structure"
    reference: Annotated[
        str | None,
        Field(
            description="The folded structure, which RMSD and native contacts are measured from: "
            "shipped, none, or a PDB file; shipped where the molecule has one. A Gō model's is the "
            "structure it was made from."
        ),
    ] = None
    solvent: Annotated[
        Literal["implicit", "explicit", "vacuum"],
        Field(description="Surroundings of an all-atom molecule."),
    ] = "implicit"
    force_field: Annotated[
        tuple[str, ...],
        Field(
            description="Force fields that OpenMM has, or their XML files. As shipped, "
            "amber99sbildn.xml with amber99_obc.xml (implicit solvent) or alone (vacuum), and "
            "amber14-all.xml with amber14/tip3pfb.xml (explicit solvent)."
        ),
    ] = ()
    ph: Annotated[float, Field(description="pH by which missing hydrogens are added.")] = 7.0
    constraints: Annotated[
        Literal["none", "h-bonds", "all-bonds"],
        Field(description="Bonds of fixed length in an all-atom molecule."),
    ] = "h-bonds"
    hydrogen_mass_da: Annotated[
        PositiveFloat | None,
        Field(description="Mass of hydrogens, taken from the atoms they are bound to."),
    ] = None
    water: Annotated[
        Literal["tip3p", "spce", "tip4pew", "tip5p"],
        Field(description="Shape of water molecules in explicit solvent; fits force_field."),
    ] = "tip3p"
    padding_nm: Annotated[
        PositiveFloat, Field(description="Least explicit solvent between molecule and box.")
    ] = 1.0
    ionic_strength_m: Annotated[
        NonNegativeFloat,
        Field(description="Sodium chloride in explicit solvent, beside what neutralises."),
    ] = 0.15
    cutoff_nm: Annotated[
        PositiveFloat, Field(description="Cutoff of direct forces in explicit solvent.")
    ] = 1.0
    pressure_bar: Annotated[
        PositiveFloat | None,
        Field(description="Pressure of explicit solvent; null for a constant volume."),
    ] = 1.0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.molecule is not None and self.sequence is not None:
            raise ValueError("expected a molecule or a sequence, not both")
        if self.representation == "go":
            self._only_defaults(_ALL_ATOM, "representation: go")
            if self.sequence is not None:
                raise ValueError("a Gō model is made from a folded structure, not from a sequence")
            if self.reference not in (None, "shipped"):
                raise ValueError("the reference of a Gō model is the structure it is made from")
        if self.solvent != "explicit":
            self._only_defaults(_EXPLICIT, f"solvent: {self.solvent}")
        return self

    def _only_defaults(self, names: tuple[str, ...], where: str) -> None:
        for name in names:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} means nothing with {where}; leave it out")

    @property
    def source(self) -> str:
        """The molecule, by name or file; the sequence's is empty."""
        return "" if self.sequence is not None else self.molecule or DEFAULT_MOLECULE

    @property
    def forces(self) -> tuple[str, ...]:
        """Force fields, those of the solvent where none are named."""
        return self.force_field or _DEFAULT_FORCES[self.solvent]
