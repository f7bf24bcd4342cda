"""What is computed of each frame: features for the model, torsions and nearness for reports.

All of it is internal to the molecule, so frames need no superposition, but for the RMSD, which does
its own.  Simulations are never wrapped into their box, so a molecule is whole and its distances are
taken as they are: the nearest image would be wrong for a chain longer than half the box.

Solvent and its ions are not looked at; they come last among the atoms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stretto import WorkflowError
from stretto.apps.deepdrivemd.aggregating.settings import AggregationSettings
from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.molecules import Molecule, native_fraction

__all__ = ["Observables"]

_LEAST_CARBONS = 3
"""Alpha carbons from which on a molecule is superposed by them, and not by all heavy atoms."""


@dataclass(frozen=True, slots=True, eq=False)
class Observables:
    """What to compute of the frames of a molecule.

    Parameters
    ----------
    settings
        The section ``aggregation``.
    molecule
        The molecule.
    topology
        MDTraj's topology of it without its solvent.
    selected
        Indices of the atoms of contacts and distances.
    torsions
        Four indices for each torsion that is a feature.
    phi, psi
        Four indices for each residue that has both.
    fitted
        Indices of the atoms of the RMSD.
    """

    settings: AggregationSettings
    molecule: Molecule
    topology: Any
    selected: NDArray[np.int64]
    torsions: NDArray[np.int64]
    phi: NDArray[np.int64]
    psi: NDArray[np.int64]
    fitted: NDArray[np.int64]

    @classmethod
    def of(cls, settings: AggregationSettings, molecule: Molecule) -> Self:
        """Return what the settings ask for of a molecule.

        Raises
        ------
        WorkflowError
            If the selection cannot be read, or leaves too few atoms or torsions for the features.
        """
        whole = extra("mdtraj").Topology.from_openmm(molecule.topology)
        topology = whole.subset(range(molecule.n_solute_atoms))
        dihedral = extra("mdtraj.geometry.dihedral")
        phi = np.array(dihedral.indices_phi(topology), np.int64).reshape(-1, 4)
        psi = np.array(dihedral.indices_psi(topology), np.int64).reshape(-1, 4)
        carbons = molecule.alpha_carbons
        made = cls(
            settings=settings,
            molecule=molecule,
            topology=topology,
            selected=_selected(settings.selection, topology, molecule),
            torsions=np.concatenate([phi, psi]) if len(phi) + len(psi) else _along(topology),
            # The third atom of phi and the second of psi are the alpha carbon.
            phi=phi[np.isin(phi[:, 2], psi[:, 1])],
            psi=psi[np.isin(psi[:, 1], phi[:, 2])],
            fitted=carbons if len(carbons) >= _LEAST_CARBONS else molecule.heavy_atoms,
        )
        if settings.features == "dihedrals":
            if not len(made.torsions):
                raise _unfit("features", "a molecule with a backbone", settings.features)
        elif len(made.selected) < 2:
            found = f"{settings.selection}, which is {len(made.selected)}"
            raise _unfit("selection", "at least 2 atoms", found)
        return made

    def block(self, positions_nm: NDArray[np.float32], frames: NDArray[np.int64]) -> Block:
        """Return the block of some frames.

        Parameters
        ----------
        positions_nm
            Of the molecule without its solvent, shape ``(n, n_solute_atoms, 3)``.
        frames
            Iteration, simulation and frame of each, shape ``(n, 3)``.
        """
        mdtraj = extra("mdtraj")
        trajectory = mdtraj.Trajectory(positions_nm, self.topology)
        reference_nm = self.molecule.reference_nm
        rmsd_nm = native = None
        if reference_nm is not None:
            reference = mdtraj.Trajectory(reference_nm[None].astype(np.float32), self.topology)
            rmsd_nm = mdtraj.rmsd(trajectory, reference, atom_indices=self.fitted)
        if self.molecule.native_pairs is not None:
            native = native_fraction(self.molecule, positions_nm).astype(np.float32)
        phi_psi = [_angles(trajectory, quadruples) for quadruples in (self.phi, self.psi)]
        return Block(
            kind=self.settings.features,
            features=self._features(trajectory),
            frames=frames,
            phi_psi_rad=np.stack(phi_psi, axis=-1),
            rmsd_nm=rmsd_nm,
            native_contacts=native,
        )

    def _features(self, frames: Any) -> NDArray[Any]:
        if self.settings.features == "dihedrals":
            angles = _angles(frames, self.torsions)
            return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
        rows, columns = np.triu_indices(len(self.selected), k=1)
        pairs = self.selected[np.stack([rows, columns], axis=1)]
        distances_nm = extra("mdtraj").compute_distances(frames, pairs, periodic=False)
        if self.settings.features == "distances":
            return np.asarray(distances_nm, np.float32)
        maps = np.zeros((len(distances_nm), len(self.selected), len(self.selected)), np.uint8)
        maps[:, rows, columns] = maps[:, columns, rows] = distances_nm < self.settings.cutoff_nm
        diagonal = np.arange(len(self.selected))
        maps[:, diagonal, diagonal] = 1
        return maps


def _angles(frames: Any, quadruples: NDArray[np.int64]) -> NDArray[np.float32]:
    if not len(quadruples):
        return np.empty((len(frames), 0), np.float32)
    angles = extra("mdtraj").compute_dihedrals(frames, quadruples, periodic=False)
    return np.asarray(angles, np.float32)


def _selected(selection: str, topology: Any, molecule: Molecule) -> NDArray[np.int64]:
    if selection == "alpha-carbons":
        return molecule.alpha_carbons
    if selection == "heavy":
        return molecule.heavy_atoms
    try:
        return np.asarray(topology.select(selection), np.int64)
    except Exception as error:  # its parser raises what it stumbles over
        reason = str(error).partition("\n")[0]
        raise _unfit(
            "selection",
            "alpha-carbons, heavy or a selection of MDTraj",
            f"{selection!r} ({reason})",
        ) from None


def _along(topology: Any) -> NDArray[np.int64]:
    """Return the torsions of four beads in a row: the backbone where there is no other."""
    rows = [[atom.index for atom in chain.atoms if atom.name == "CA"] for chain in topology.chains]
    quadruples = [row[at : at + 4] for row in rows for at in range(len(row) - 3)]
    return np.array(quadruples, np.int64).reshape(-1, 4)


def _unfit(key: str, expected: str, found: str) -> WorkflowError:
    return WorkflowError(f"expected {expected}, found {found}", path=("aggregation", key))
