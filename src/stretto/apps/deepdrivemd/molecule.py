"""Alanine dipeptide in implicit solvent: structure, forces, platform.

Forces are Amber99SB-ILDN with the OBC solvent of ``amber99_obc.xml``, which OpenMM computes by its
own GBSA force; ``implicit/*.xml`` describe the same solvent by custom forces, many times slower.

For 22 atoms the Reference platform is the fastest on a processor: 14,900 steps a CPU-second were
measured, against 4,400 of the CPU platform with one thread and fewer with two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.arguments import extra

__all__ = ["Molecule", "available_platforms", "choose_platform", "shipped_molecule"]

_FORCES = ("amber99sbildn.xml", "amber99_obc.xml")


@dataclass(frozen=True, slots=True, eq=False)
class Molecule:
    """A structure ready to be simulated.

    Parameters
    ----------
    system
        OpenMM's ``System``: forces, and constraints on bonds to hydrogen.
    positions_nm
        Shape ``(atoms, 3)``.
    heavy_atoms
        Indices of the atoms that are not hydrogen.
    torsion_atoms
        Four indices for each of phi and psi, shape ``(2, 4)``.
    """

    system: Any
    positions_nm: NDArray[np.float64]
    heavy_atoms: NDArray[np.int64]
    torsion_atoms: NDArray[np.int64]


def shipped_molecule() -> Molecule:
    """Return alanine dipeptide with its forces."""
    app, unit = extra("openmm.app"), extra("openmm.unit")
    pdb = app.PDBFile(str(Path(__file__).with_name("molecules") / "alanine-dipeptide.pdb"))
    system = app.ForceField(*_FORCES).createSystem(pdb.topology, constraints=app.HBonds)
    atoms = list(pdb.topology.atoms())
    index = {(atom.residue.name, atom.name): atom.index for atom in atoms}
    phi = [("ACE", "C"), ("ALA", "N"), ("ALA", "CA"), ("ALA", "C")]
    psi = [("ALA", "N"), ("ALA", "CA"), ("ALA", "C"), ("NME", "N")]
    return Molecule(
        system=system,
        positions_nm=np.array(pdb.getPositions(asNumpy=True).value_in_unit(unit.nanometer)),
        heavy_atoms=np.array([atom.index for atom in atoms if atom.element.symbol != "H"]),
        torsion_atoms=np.array([[index[corner] for corner in torsion] for torsion in (phi, psi)]),
    )


def choose_platform(available: Sequence[str], gpus: float) -> str:
    """Return the platform for a task: CUDA or OpenCL if it was given a GPU, else Reference."""
    wanted = ["CUDA", "OpenCL"] if gpus > 0 else []
    return next((name for name in wanted if name in available), "Reference")


def available_platforms() -> list[str]:
    """Return the names of the platforms of the OpenMM that is installed."""
    platform = extra("openmm").Platform
    return [platform.getPlatform(number).getName() for number in range(platform.getNumPlatforms())]
