"""From a structure of all atoms to one with hydrogens, solvent and forces.

Whatever is drawn at random (places of hydrogens before they are minimised, places of ions) is drawn
from the seed.  Water and ions of a file are left out; explicit solvent is made anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from stretto import WorkflowError
from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.molecules.settings import SystemSettings
from stretto.apps.deepdrivemd.molecules.structures import SOLVENT, Structure, seeded

__all__ = ["check_residues", "forces_of", "system_of", "with_hydrogens", "with_solvent"]

_BAROSTAT_K = 300.0
"""What a barostat is made with; a simulation sets its own temperature."""


def forces_of(settings: SystemSettings, folder: Path) -> tuple[Any, dict[str, str]]:
    """Return the force field, and the hash of each of its files that is the user's.

    Raises
    ------
    WorkflowError
        If a file is not there or cannot be read.
    """
    names, inputs = [], {}
    for name in settings.forces:
        path = folder / name
        if path.is_file():
            names.append(str(path))
            inputs[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            names.append(name)
    try:
        return extra("openmm.app").ForceField(*names), inputs
    except Exception as error:  # its parser raises whatever the text makes it stumble over
        raise _wrong(f"neither OpenMM's nor a readable XML file: {error}", "force_field") from None


def with_hydrogens(
    structure: Structure, settings: SystemSettings, *, seed: int, variants: Any = None
) -> tuple[Structure, Any]:
    """Return a structure without its water and ions and with the hydrogens it lacked.

    Parameters
    ----------
    structure, settings, seed
        Of the molecule.
    variants
        Forms of its residues, by OpenMM's names; by pH and surroundings if not given.

    Returns
    -------
    tuple
        The structure, and the variants that were used.
    """
    modeller = structure.modeller()
    modeller.delete([one for one in structure.topology.residues() if one.name in SOLVENT])
    platform = extra("openmm").Platform.getPlatformByName("Reference")
    with seeded(seed):
        used = modeller.addHydrogens(pH=settings.ph, variants=variants, platform=platform)
    return Structure.of(modeller.topology, modeller.positions), used


def check_residues(structure: Structure, forces: Any, settings: SystemSettings) -> None:
    """Raise `WorkflowError` if a residue is unknown to the force field, or not whole."""
    unmatched = forces.getUnmatchedResidues(structure.topology)
    if unmatched:
        named = ", ".join(f"{one.name} {one.id} of chain {one.chain.id}" for one in unmatched[:3])
        more = f" and {len(unmatched) - 3} more" if len(unmatched) > 3 else ""
        raise _wrong(
            f"{' + '.join(settings.forces)} cannot describe {named}{more}: heavy atoms are missing "
            "(complete them, by PDBFixer for one), or the residue is not known (add a force_field "
            "that knows it, or take it out)",
            "molecule" if settings.sequence is None else "sequence",
        )


def with_solvent(
    structure: Structure, forces: Any, settings: SystemSettings, *, seed: int
) -> Structure:
    """Return a structure in a box of water and ions, its own atoms first."""
    unit = extra("openmm.unit")
    modeller = structure.modeller()
    try:
        with seeded(seed):
            modeller.addSolvent(
                forces,
                model=settings.water,
                padding=settings.padding_nm * unit.nanometer,
                ionicStrength=settings.ionic_strength_m * unit.molar,
            )
    except ValueError as error:
        raise _wrong(f"the force field does not fit the water ({error})", "force_field") from None
    return Structure.of(modeller.topology, modeller.positions)


def system_of(structure: Structure, forces: Any, settings: SystemSettings, *, seed: int) -> Any:
    """Return OpenMM's ``System`` of a structure that is complete.

    Raises
    ------
    WorkflowError
        If the force field does not describe the solvent, or describes one that is not wanted.
    """
    openmm, app, unit = extra("openmm"), extra("openmm.app"), extra("openmm.unit")
    fixed = {"none": None, "h-bonds": app.HBonds, "all-bonds": app.AllBonds}
    options: dict[str, Any] = {"constraints": fixed[settings.constraints]}
    if settings.hydrogen_mass_da is not None:
        options["hydrogenMass"] = settings.hydrogen_mass_da * unit.dalton
    if settings.solvent == "explicit":
        options["nonbondedMethod"] = app.PME
        options["nonbondedCutoff"] = settings.cutoff_nm * unit.nanometer
    try:
        system = forces.createSystem(structure.topology, **options)
    except ValueError as error:
        raise _wrong(f"does not fit the molecule: {error}", "force_field") from None
    _check_solvent(system, settings)
    if settings.solvent == "explicit" and settings.pressure_bar is not None:
        barostat = openmm.MonteCarloBarostat(settings.pressure_bar, _BAROSTAT_K)
        barostat.setRandomNumberSeed(seed % (2**31 - 1) + 1)
        system.addForce(barostat)
    return system


def _check_solvent(system: Any, settings: SystemSettings) -> None:
    implicit = any("GB" in force.getName() for force in system.getForces())
    if implicit and settings.solvent != "implicit":
        raise _wrong(f"describes an implicit solvent, solvent is {settings.solvent}", "force_field")
    if not implicit and settings.solvent == "implicit":
        raise _wrong(
            "describes no implicit solvent; add amber99_obc.xml or one of implicit/", "force_field"
        )


def _wrong(what: str, key: str) -> WorkflowError:
    return WorkflowError(what, path=("system", key))
