"""A prepared molecule, and the folder it lies in.

=================  ================================================================================
``topology.pdb``   atoms, residues, box; the structure that a run starts from
``system.xml``     OpenMM's ``System``: masses, forces, constraints
``reference.pdb``  the folded structure, where there is one: the molecule's atoms without its
                   solvent, which come first in ``topology.pdb`` too
``system.json``    where all that came from; hashes of the other files, native contacts
=================  ================================================================================

``system.json`` is written last.  Where it is missing the preparation did not come to its end; where
a file's hash is another one, somebody changed it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.molecules.settings import SystemSettings

__all__ = ["Molecule", "Preparation", "load", "sha256"]

VERSION = 1
RECORD, SYSTEM = "system.json", "system.xml"
TOPOLOGY, REFERENCE = "topology.pdb", "reference.pdb"


@dataclass(frozen=True, slots=True, eq=False)
class Molecule:
    """A molecule ready to be simulated and looked at.

    Parameters
    ----------
    system
        OpenMM's ``System``.
    topology
        OpenMM's ``Topology``, solvent and all.
    positions_nm
        Where a run starts, shape ``(atoms, 3)``.
    reference_nm
        The folded structure, shape ``(n_solute_atoms, 3)``, or `None`.
    heavy_atoms, alpha_carbons
        Indices of the molecule's atoms that are not hydrogen, and of those named CA; of a Gō model,
        all beads.
    native_pairs, native_lengths_nm
        Contacts of the reference, shape ``(contacts, 2)``, and their lengths; `None` if there is no
        reference, or it has no contacts (see `contacts`).
    representation
        ``all-atom`` or ``go``.
    n_solute_atoms
        Atoms that are not solvent; they come first.
    """

    system: Any
    topology: Any
    positions_nm: NDArray[np.float64]
    reference_nm: NDArray[np.float64] | None
    heavy_atoms: NDArray[np.int64]
    alpha_carbons: NDArray[np.int64]
    native_pairs: NDArray[np.int64] | None
    native_lengths_nm: NDArray[np.float64] | None
    representation: str
    n_solute_atoms: int


class Preparation(BaseModel):
    """What ``system.json`` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = VERSION
    source: Annotated[str, Field(description="What the structure is, and where it is from.")]
    settings: SystemSettings
    seed: NonNegativeInt
    inputs: Annotated[Mapping[str, str], Field(description="SHA-256 of each file that was read.")]
    versions: Annotated[Mapping[str, str], Field(description="Of the libraries.")]
    platform: Annotated[str, Field(description="OpenMM's platform of the minimisation.")]
    n_atoms: PositiveInt
    n_solute_atoms: PositiveInt
    n_residues: PositiveInt
    potential_kj_mol: Annotated[float, Field(description="Of the start, after minimisation.")]
    native_pairs: Annotated[
        tuple[tuple[NonNegativeInt, NonNegativeInt], ...],
        Field(description="Atoms in contact in the reference."),
    ] = ()
    files: Annotated[Mapping[str, str], Field(description="SHA-256 of each file beside it.")]

    @classmethod
    def read(cls, folder: Path) -> Preparation:
        """Return the record of a folder whose files are what they were.

        Raises
        ------
        StageError
            If the record or a file is missing, damaged or changed; names it.
        """
        path = folder / RECORD
        try:
            record = cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise StageError(f"{path}: no such file; the molecule is not prepared") from None
        except (OSError, ValidationError) as error:
            raise StageError(f"{path}: damaged or unreadable ({error})") from None
        if record.version != VERSION:
            raise StageError(f"{path}: expected version {VERSION}, found {record.version}")
        for name, expected in record.files.items():
            try:
                found = sha256(folder / name)
            except OSError as error:
                raise StageError(f"{folder / name}: missing or unreadable ({error})") from None
            if found != expected:
                raise StageError(f"{folder / name}: not what was prepared, its hash is another one")
        return record

    def text(self) -> str:
        """Return what is written."""
        return json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(folder: str | Path) -> Molecule:
    """Return the molecule that `prepare` left in a folder.

    Raises
    ------
    StageError
        If it is not there, not whole, damaged or changed; names the file.
    """
    folder = Path(folder)
    record = Preparation.read(folder)
    topology, positions_nm = _pdb(folder / TOPOLOGY)
    system = _system(folder / SYSTEM)
    if not len(positions_nm) == system.getNumParticles() == record.n_atoms:
        raise StageError(
            f"{folder}: expected {record.n_atoms} atoms, found {len(positions_nm)} in {TOPOLOGY} "
            f"and {system.getNumParticles()} in {SYSTEM}"
        )
    reference_nm = _pdb(folder / REFERENCE)[1] if REFERENCE in record.files else None
    pairs = np.array(record.native_pairs, dtype=np.int64) if record.native_pairs else None
    lengths_nm = None
    if pairs is not None and reference_nm is not None:
        between = reference_nm[pairs[:, 0]] - reference_nm[pairs[:, 1]]
        lengths_nm = np.linalg.norm(between, axis=1)
    solute = list(topology.atoms())[: record.n_solute_atoms]
    return Molecule(
        system=system,
        topology=topology,
        positions_nm=positions_nm,
        reference_nm=reference_nm,
        heavy_atoms=_indices(atom for atom in solute if atom.element.symbol != "H"),
        alpha_carbons=_indices(atom for atom in solute if atom.name == "CA"),
        native_pairs=pairs,
        native_lengths_nm=lengths_nm,
        representation=record.settings.representation,
        n_solute_atoms=record.n_solute_atoms,
    )


def _indices(atoms: Any) -> NDArray[np.int64]:
    return np.array([atom.index for atom in atoms], dtype=np.int64)


def _pdb(path: Path) -> tuple[Any, NDArray[np.float64]]:
    # OpenMM leaves a file open that it opened itself and stumbled over.
    with path.open(encoding="utf-8") as file:
        pdb = extra("openmm.app").PDBFile(file)
    nanometer = extra("openmm.unit").nanometer
    positions = pdb.getPositions(asNumpy=True).value_in_unit(nanometer)
    return pdb.topology, np.array(positions, dtype=np.float64)


def _system(path: Path) -> Any:
    openmm = extra("openmm")
    try:
        return openmm.XmlSerializer.deserialize(path.read_text(encoding="utf-8"))
    except openmm.OpenMMException as error:
        raise StageError(f"{path}: the OpenMM that is installed cannot read it ({error})") from None
