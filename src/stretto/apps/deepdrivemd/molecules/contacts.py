"""Native contacts: which there are, and what share of them a frame has, Q.

**Atoms.**  Two heavy atoms of residues more than three apart are in contact where they are less
than 0.45 nm apart in the reference.  In a frame a contact counts as much as
``1 / (1 + exp(beta * (r - lambda * r0)))`` with ``beta`` 50 / nm and ``lambda`` 1.8; Q is the mean
over all contacts.  (R. B. Best, G. Hummer, W. A. Eaton, PNAS 110, 17874, 2013, equation 1.)

**Beads.**  The contacts are those of the model (see `go`).  One is there where its beads are less
than 1.2 times as far apart as in the reference; Q is the share that is there.  (C. Clementi,
H. Nymeyer, J. N. Onuchic, J. Mol. Biol. 298, 937, 2000.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from stretto.apps.deepdrivemd.molecules.molecule import Molecule

__all__ = ["CONTACT_NM", "atom_contacts", "native_fraction"]

CONTACT_NM = 0.45
"""Distance below which two heavy atoms are in contact."""

LEAST_SEPARATION = 4
"""Least difference of the numbers of two residues that may be in contact."""

_STEEPNESS_PER_NM = 50.0
_ATOM_TOLERANCE = 1.8
_BEAD_TOLERANCE = 1.2
_FRAMES_AT_ONCE = 256


def atom_contacts(
    positions_nm: NDArray[np.float64], atoms: NDArray[np.int64], residues: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the pairs of atoms that are in contact, in order, shape ``(contacts, 2)``.

    Parameters
    ----------
    positions_nm
        Positions of all atoms.
    atoms
        Indices of those that count.
    residues
        Number of each atom's residue; numbers of residues of different chains are far apart.
    """
    found = [np.empty((0, 2), dtype=np.int64)]
    for number, first in enumerate(atoms):
        others = atoms[number + 1 :]
        apart = np.abs(residues[others] - residues[first]) >= LEAST_SEPARATION
        near = np.linalg.norm(positions_nm[others] - positions_nm[first], axis=1) < CONTACT_NM
        seconds = others[apart & near]
        found.append(np.column_stack([np.full_like(seconds, first), seconds]))
    return np.concatenate(found)


def native_fraction(molecule: Molecule, positions_nm: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the share of native contacts of each frame, Q, from 0 to 1.

    Parameters
    ----------
    molecule
        One with native contacts (`Molecule.native_pairs` is not `None`).
    positions_nm
        Shape ``(frames, atoms, 3)``.
    """
    pairs, native_nm = molecule.native_pairs, molecule.native_lengths_nm
    assert pairs is not None, "a molecule without native contacts"
    assert native_nm is not None
    fractions = np.empty(len(positions_nm))
    for begin in range(0, len(positions_nm), _FRAMES_AT_ONCE):
        part = slice(begin, begin + _FRAMES_AT_ONCE)
        lengths = _lengths(positions_nm[part], pairs)
        if molecule.representation == "go":
            there = (lengths < _BEAD_TOLERANCE * native_nm).astype(np.float64)
        else:
            stretch = _STEEPNESS_PER_NM * (lengths - _ATOM_TOLERANCE * native_nm)
            # Half of 1 - tanh(x / 2) is 1 / (1 + exp(x)), and does not overflow.
            there = (1 - np.tanh(stretch / 2)) / 2
        fractions[part] = there.mean(axis=1)
    return fractions


def _lengths(positions_nm: NDArray[np.floating], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    between = positions_nm[:, pairs[:, 0]] - positions_nm[:, pairs[:, 1]]
    return np.asarray(np.linalg.norm(between, axis=-1), dtype=np.float64)
