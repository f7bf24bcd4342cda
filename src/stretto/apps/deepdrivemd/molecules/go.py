"""A Gō model: a bead a residue, drawn to where its neighbours are in the folded structure.

Beads sit at the alpha carbons and weigh what their residues weigh.  With lengths, angles and
torsions of the folded structure (index 0) the energy is, in units of epsilon,

    sum over bonds     100 (r - r0)^2, r in ångströms
    sum over angles    20 (theta - theta0)^2
    sum over torsions  (1 - cos(phi - phi0)) + 1/2 (1 - cos 3(phi - phi0))
    sum over contacts  5 (r0 / r)^12 - 6 (r0 / r)^10
    other pairs        (4 Å / r)^12

over all pairs of beads that are four or more apart along the chain.  (C. Clementi, H. Nymeyer,
J. N. Onuchic, J. Mol. Biol. 298, 937, 2000.)  A pair is in contact where heavy atoms of its two
residues are less than 0.6 nm apart in the folded structure; the source has its contacts from a
program of its own.

Pairs are computed as bonds, one by one: for 35 beads the Reference platform then makes about 50,000
steps a CPU-second, against 15,000 with OpenMM's force between all particles.

Epsilon sets nothing but the scale of temperatures.  HP35 has 84 contacts.  With 2.5 kJ/mol, steps
of 15 fs and a friction of 1 / ps its heat capacity was largest near 345 K (600,000 steps at each of
twelve temperatures from 255 K to 380 K), where the mean of Q (see `contacts`) was 0.61, and 3 % of
the frames had a Q above 0.85.  From the chain stretched out (`extended`; what differs from run to
run is the seed), to the first frame with a Q above 0.85, looked at every 250 or 500 steps:

=====  ====  ===================  =====================  ===========================
T [K]  runs  median, steps        least and most         8 at once, steps of all
=====  ====  ===================  =====================  ===========================
315      10               25,750      17,500 to  76,500
330      10               30,625      17,250 to 110,500
345      10               47,500      18,500 to  63,250
360      24              105,500      24,500 to 307,500  196,000, 292,000, 332,000
375      24              315,500      15,500 to 880,000  124,000, 368,000, 1,104,000
=====  ====  ===================  =====================  ===========================

Below 345 K the chain slides down into its fold, and most of the time is that of its collapse; at
360 K it waits for a chance, which is what steering can make a difference to.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto import WorkflowError
from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.molecules.contacts import LEAST_SEPARATION
from stretto.apps.deepdrivemd.molecules.structures import Structure

__all__ = ["GoModel", "extended", "go_model"]

EPSILON_KJ_MOL = 2.5
"""Depth of a contact."""

CONTACT_NM = 0.6
"""Distance below which two heavy atoms make their residues a contact."""

_BOND = 100.0 * 100
"""Of epsilon / nm²."""
_ANGLE = 20.0
_TORSIONS = ((1, 1.0), (3, 0.5))
_CORE_NM = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class GoModel:
    """Beads with their forces.

    Parameters
    ----------
    system
        OpenMM's ``System``.
    native
        The folded beads.
    contacts
        Pairs of beads, shape ``(contacts, 2)``, in order.
    """

    system: Any
    native: Structure
    contacts: NDArray[np.int64]


def go_model(structure: Structure) -> GoModel:
    """Return the model whose folded state a structure is.

    Raises
    ------
    WorkflowError
        If it is not a single chain of residues that all have an alpha carbon, or has no contacts.
    """
    residues = [
        residue for residue in structure.topology.residues() if _alpha_carbon(residue) is not None
    ]
    if len({residue.chain.index for residue in residues}) != 1:
        raise WorkflowError(
            "a Gō model is made from a single chain of residues with alpha carbons",
            path=("system", "molecule"),
        )
    contacts = _contacts(structure.positions_nm, residues)
    if not len(contacts):
        raise WorkflowError(
            "a Gō model needs residues in contact, and the structure has none that are at least "
            f"{LEAST_SEPARATION} apart along the chain",
            path=("system", "molecule"),
        )
    native = _beads(structure.positions_nm, residues)
    masses_da = [_mass_da(residue) for residue in residues]
    return GoModel(_system(native.positions_nm, masses_da, contacts), native, contacts)


def extended(native: Structure) -> NDArray[np.float64]:
    """Return the beads stretched out: lengths and angles as in the folded state, torsions trans."""
    folded = native.positions_nm
    places = [*folded[:3]]
    for number in range(3, len(folded)):
        length = float(np.linalg.norm(folded[number] - folded[number - 1]))
        angle = _angle(*folded[number - 2 : number + 1])
        places.append(_trans(places[-3], places[-2], places[-1], length, angle))
    return np.array(places)


def _contacts(positions_nm: NDArray[np.float64], residues: list[Any]) -> NDArray[np.int64]:
    heavy = [
        positions_nm[[atom.index for atom in residue.atoms() if atom.element.symbol != "H"]]
        for residue in residues
    ]
    pairs = [
        (first, second)
        for first in range(len(residues))
        for second in range(first + LEAST_SEPARATION, len(residues))
        if np.linalg.norm(heavy[first][:, np.newaxis] - heavy[second], axis=-1).min() < CONTACT_NM
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _alpha_carbon(residue: Any) -> int | None:
    for atom in residue.atoms():
        # Calcium has that name, too.
        if atom.name == "CA" and atom.element.symbol == "C":
            return int(atom.index)
    return None


def _mass_da(residue: Any) -> float:
    dalton = extra("openmm.unit").dalton
    return float(sum(atom.element.mass.value_in_unit(dalton) for atom in residue.atoms()))


def _beads(positions_nm: NDArray[np.float64], residues: list[Any]) -> Structure:
    app = extra("openmm.app")
    topology = app.Topology()
    chain = topology.addChain(residues[0].chain.id)
    for residue in residues:
        bead = topology.addResidue(residue.name, chain, residue.id)
        topology.addAtom("CA", app.element.carbon, bead)
    carbons = np.array([_alpha_carbon(residue) for residue in residues])
    return Structure(topology, positions_nm[carbons])


def _system(
    native_nm: NDArray[np.float64], masses_da: list[float], contacts: NDArray[np.int64]
) -> Any:
    openmm = extra("openmm")
    system = openmm.System()
    for mass_da in masses_da:
        system.addParticle(mass_da)
    for force in (*_chain(native_nm), *_pairs(native_nm, contacts), openmm.CMMotionRemover()):
        system.addForce(force)
    return system


def _chain(native_nm: NDArray[np.float64]) -> tuple[Any, ...]:
    openmm, epsilon = extra("openmm"), EPSILON_KJ_MOL
    bonds, angles = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    torsions = openmm.PeriodicTorsionForce()
    # OpenMM's harmonic forces are half of their constant times the square.
    for i, (a, b) in enumerate(pairwise(native_nm)):
        bonds.addBond(i, i + 1, float(np.linalg.norm(b - a)), 2 * _BOND * epsilon)
    for i in range(len(native_nm) - 2):
        angles.addAngle(i, i + 1, i + 2, _angle(*native_nm[i : i + 3]), 2 * _ANGLE * epsilon)
    for i in range(len(native_nm) - 3):
        phi = _torsion(*native_nm[i : i + 4])
        for period, share in _TORSIONS:
            # Its torsions are 1 + cos, which half a turn makes 1 - cos.
            turned = period * phi + np.pi
            torsions.addTorsion(i, i + 1, i + 2, i + 3, period, turned, share * epsilon)
    return bonds, angles, torsions


def _pairs(native_nm: NDArray[np.float64], contacts: NDArray[np.int64]) -> tuple[Any, ...]:
    openmm = extra("openmm")
    attraction = openmm.CustomBondForce("epsilon * (5 * (r0 / r)^12 - 6 * (r0 / r)^10)")
    attraction.addGlobalParameter("epsilon", EPSILON_KJ_MOL)
    attraction.addPerBondParameter("r0")
    repulsion = openmm.CustomBondForce("epsilon * (core / r)^12")
    repulsion.addGlobalParameter("epsilon", EPSILON_KJ_MOL)
    repulsion.addGlobalParameter("core", _CORE_NM)
    native = {(int(i), int(j)) for i, j in contacts}
    for i in range(len(native_nm)):
        for j in range(i + LEAST_SEPARATION, len(native_nm)):
            if (i, j) in native:
                attraction.addBond(i, j, [float(np.linalg.norm(native_nm[i] - native_nm[j]))])
            else:
                repulsion.addBond(i, j, [])
    return attraction, repulsion


def _angle(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> float:
    back, on = a - b, c - b
    cosine = back @ on / (np.linalg.norm(back) * np.linalg.norm(on))
    return float(np.arccos(np.clip(cosine, -1, 1)))


def _torsion(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    c: NDArray[np.float64],
    d: NDArray[np.float64],
) -> float:
    axis = c - b
    before, after = np.cross(b - a, axis), np.cross(axis, d - c)
    return float(np.arctan2(np.cross(before, after) @ axis / np.linalg.norm(axis), before @ after))


def _trans(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    c: NDArray[np.float64],
    length: float,
    angle: float,
) -> NDArray[np.float64]:
    axis = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, axis)
    across = np.cross(normal / np.linalg.norm(normal), axis)
    return np.asarray(c - length * (np.cos(angle) * axis + np.sin(angle) * across))
