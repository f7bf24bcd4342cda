"""A structure: which atoms there are, and where; read from PDB files or built from a sequence."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto import WorkflowError
from stretto.apps.deepdrivemd.arguments import extra

__all__ = ["Structure", "built", "read_pdb", "seeded", "sequence_of", "written_pdb"]

SOLVENT = frozenset({"HOH", "WAT", "NA", "CL", "Na", "Cl", "K"})
"""Names of residues that are water or ions around the molecule."""

_THREE_LETTERS = {
    "A": "ALA", "C": "CYS", "D": "ASP", "E": "GLU", "F": "PHE", "G": "GLY", "H": "HIS",
    "I": "ILE", "K": "LYS", "L": "LEU", "M": "MET", "N": "ASN", "P": "PRO", "Q": "GLN",
    "R": "ARG", "S": "SER", "T": "THR", "V": "VAL", "W": "TRP", "Y": "TYR",
}  # fmt: skip
_ONE_LETTER = {three: one for one, three in _THREE_LETTERS.items()} | {
    "HID": "H", "HIE": "H", "HIP": "H", "CYX": "C", "ASH": "D", "GLH": "E", "LYN": "K",
}  # fmt: skip

_STRETCHED_PHI, _STRETCHED_PSI = -120.0, 140.0


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """Atoms and their places.

    Parameters
    ----------
    topology
        OpenMM's ``Topology``.
    positions_nm
        Shape ``(atoms, 3)``.
    """

    topology: Any
    positions_nm: NDArray[np.float64]

    @classmethod
    def of(cls, topology: Any, positions: Any) -> Structure:
        """Return a structure from OpenMM's positions with units."""
        nanometer = extra("openmm.unit").nanometer
        return cls(topology, np.array(positions.value_in_unit(nanometer), dtype=np.float64))

    @property
    def positions(self) -> Any:
        """Positions with OpenMM's units."""
        return self.positions_nm * extra("openmm.unit").nanometer

    def modeller(self) -> Any:
        """Return a ``Modeller`` that starts from it."""
        openmm, unit = extra("openmm"), extra("openmm.unit")
        vectors = [openmm.Vec3(*map(float, place)) for place in self.positions_nm]
        return extra("openmm.app").Modeller(self.topology, vectors * unit.nanometer)


def read_pdb(path: Path, *, key: str) -> Structure:
    """Return the first model of a PDB file.

    Raises
    ------
    WorkflowError
        If it is not there or cannot be read; its path is ``system`` and `key`.
    """
    if not path.is_file():
        raise WorkflowError(f"expected a PDB file, found nothing at {path}", path=("system", key))
    try:
        # OpenMM leaves a file open that it opened itself and stumbled over.
        with path.open() as file:
            pdb = extra("openmm.app").PDBFile(file)
    except WorkflowError:
        raise
    except Exception as error:  # its parser raises whatever the text makes it stumble over
        raise WorkflowError(f"{path} is not a PDB file ({error})", path=("system", key)) from None
    structure = Structure.of(pdb.topology, pdb.getPositions(asNumpy=True))
    if not len(structure.positions_nm) or not np.isfinite(structure.positions_nm).all():
        raise WorkflowError(f"{path}: expected atoms at finite places", path=("system", key))
    return structure


def written_pdb(structure: Structure) -> str:
    """Return a structure as the text of a PDB file, the same text each time."""
    text = io.StringIO()
    pdb = extra("openmm.app").PDBFile
    pdb.writeModel(structure.topology, structure.positions, text, keepIds=True)
    header = io.StringIO()
    pdb.writeHeader(structure.topology, header)
    footer = io.StringIO()
    pdb.writeFooter(structure.topology, footer)
    # The header's first line has the date of writing.
    crystal = "".join(line for line in header.getvalue().splitlines(True) if "CRYST1" in line)
    return crystal + text.getvalue() + footer.getvalue()


def sequence_of(topology: Any, *, key: str) -> str:
    """Return the one-letter code of a topology of one chain of common residues.

    Raises
    ------
    WorkflowError
        If it has a residue without a letter, which is named, or several chains.
    """
    residues = [one for one in topology.residues() if one.name not in SOLVENT]
    if len({one.chain.index for one in residues}) != 1:
        raise WorkflowError("expected a single chain to stretch out", path=("system", key))
    for residue in residues:
        if residue.name not in _ONE_LETTER:
            raise WorkflowError(
                f"residue {residue.name} {residue.id} has no one-letter code, so the chain cannot "
                "be built stretched out",
                path=("system", key),
            )
    return "".join(_ONE_LETTER[one.name] for one in residues)


def built(sequence: str, *, seed: int, torsions_deg: Any = None) -> Structure:
    """Return the heavy atoms of a peptide, with an oxygen more at its end.

    Parameters
    ----------
    sequence
        One-letter code.
    seed
        Some side chains are placed by chance.
    torsions_deg
        Phi and psi of each residue; stretched out if not given.
    """
    builder, geometry = extra("PeptideBuilder"), extra("PeptideBuilder.Geometry")
    torsions = torsions_deg or [(_STRETCHED_PHI, _STRETCHED_PSI)] * len(sequence)
    with seeded(seed):
        structure = builder.initialize_res(geometry.geometry(sequence[0]))
        for number, letter in enumerate(sequence[1:], start=1):
            residue = geometry.geometry(letter)
            residue.phi, residue.psi_im1 = torsions[number][0], torsions[number - 1][1]
            builder.add_residue(structure, residue)
        builder.add_terminal_OXT(structure)
    writer = extra("Bio.PDB").PDBIO()
    writer.set_structure(structure)
    text = io.StringIO()
    writer.save(text)
    text.seek(0)
    pdb = extra("openmm.app").PDBFile(text)
    return Structure.of(pdb.topology, pdb.getPositions(asNumpy=True))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python's own generator, which OpenMM's ``Modeller`` draws from, and put it back."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
