"""The molecules that need no file of the user's; `SOURCE.md` says where each is from.

HP35 is read out of the OpenMM that is installed, which has it for tests of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stretto import WorkflowError
from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.molecules.structures import Structure, read_pdb, sequence_of

__all__ = ["SHIPPED", "Shipped", "shipped_structure"]

HP35 = "LSDEDFKAVFGMTRSAFANLPLWKQQHLKKEKGLF"
"""Villin headpiece, residues 42 to 76 of its HP76, with histidine for asparagine 68."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """A molecule by name.

    Parameters
    ----------
    words
        What it is, for a record.
    folded
        Whether its structure is the folded one, and so a reference.
    """

    words: str
    folded: bool


SHIPPED = {
    "alanine-dipeptide": Shipped("alanine dipeptide (ACE-ALA-NME), made for this project", False),
    "cln025": Shipped("CLN025 (YYDPETGTWY), built stretched out for this project", False),
    "hp35": Shipped("villin headpiece HP35 N68H, out of OpenMM's app/data/test.pdb", True),
}
"""By name."""


def shipped_file(name: str) -> Path:
    """Return the file that a shipped molecule is read from."""
    if name == "hp35":
        return Path(extra("openmm.app").__file__).parent / "data" / "test.pdb"
    return Path(__file__).with_name(f"{name}.pdb")


def shipped_structure(name: str) -> Structure:
    """Return a shipped molecule.

    Raises
    ------
    WorkflowError
        If OpenMM no longer has HP35 where it was.
    """
    structure = read_pdb(shipped_file(name), key="molecule")
    return _villin(structure) if name == "hp35" else structure


def _villin(structure: Structure) -> Structure:
    """Return what is villin of OpenMM's box of villin, water and ions."""
    modeller = structure.modeller()
    residues = list(structure.topology.residues())
    modeller.delete(residues[len(HP35) :])
    villin = Structure.of(modeller.topology, modeller.positions)
    if sequence_of(villin.topology, key="molecule") != HP35:
        raise WorkflowError(
            "the OpenMM that is installed has no villin headpiece in its test.pdb; "
            "give a PDB file of it",
            path=("system", "molecule"),
        )
    return villin
