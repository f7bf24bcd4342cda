"""Preparation: from the section ``system`` to a folder that a run can start from (see `molecule`).

Everything is computed on a processor, with one thread, so that the same settings, seed and
libraries give the same files.  A folder that is whole is left as it is; a preparation that was
killed left none, and is begun again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto import WorkflowError
from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.files import StageError, write_text
from stretto.apps.deepdrivemd.molecules.contacts import atom_contacts
from stretto.apps.deepdrivemd.molecules.forces import (
    check_residues,
    forces_of,
    system_of,
    with_hydrogens,
    with_solvent,
)
from stretto.apps.deepdrivemd.molecules.go import extended, go_model
from stretto.apps.deepdrivemd.molecules.molecule import (
    RECORD,
    REFERENCE,
    SYSTEM,
    TOPOLOGY,
    Molecule,
    Preparation,
    load,
    sha256,
)
from stretto.apps.deepdrivemd.molecules.platforms import choose_platform, platform_properties
from stretto.apps.deepdrivemd.molecules.settings import SystemSettings
from stretto.apps.deepdrivemd.molecules.shipped import SHIPPED, shipped_file, shipped_structure
from stretto.apps.deepdrivemd.molecules.structures import (
    SOLVENT,
    Structure,
    built,
    read_pdb,
    sequence_of,
    written_pdb,
)

__all__ = ["prepare"]

_FAR = 1000
"""Difference of the numbers of residues of different chains, for contacts."""


def prepare(
    settings: SystemSettings, out: str | Path, *, folder: str | Path = ".", seed: int = 0
) -> Molecule:
    """Prepare a molecule in the folder `out`, if it is not yet there, and return it.

    Parameters
    ----------
    settings
        What to prepare.
    out
        The folder; made if need be.
    folder
        What relative paths in the settings are relative to.
    seed
        Of whatever is drawn at random.

    Raises
    ------
    WorkflowError
        If a setting does not fit the others or a file, or `out` has another molecule.
    """
    out, folder = Path(out), Path(folder)
    parts = _Parts.of(settings, folder, seed)
    if (out / RECORD).exists():
        return _kept(out, parts)
    made = _go(parts) if settings.representation == "go" else _all_atom(parts)
    out.mkdir(parents=True, exist_ok=True)
    for left_over in out.glob(".*.draft*"):
        left_over.unlink()
    (out / REFERENCE).unlink(missing_ok=True)
    _written(out, parts, made)
    return load(out)


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """What the settings name: structures as they are found, and the files they are from."""

    settings: SystemSettings
    seed: int
    words: str
    structure: Structure
    reference: Structure | None
    forces: Any
    inputs: Mapping[str, str]

    @classmethod
    def of(cls, settings: SystemSettings, folder: Path, seed: int) -> _Parts:
        name, inputs = settings.source, {}
        if settings.sequence is not None:
            words = f"sequence {settings.sequence}, built stretched out"
            structure = built(settings.sequence, seed=seed)
        elif name in SHIPPED:
            words, structure = SHIPPED[name].words, shipped_structure(name)
            inputs[name] = sha256(shipped_file(name))
        else:
            words, path = name, folder / name
            if not path.is_file():
                raise WorkflowError(
                    f"expected one of {', '.join(sorted(SHIPPED))} or a PDB file, found nothing "
                    f"at {path}",
                    path=("system", "molecule"),
                )
            structure = read_pdb(path, key="molecule")
            inputs[name] = sha256(path)
        reference = forces = None
        if settings.representation == "all-atom":
            reference = _reference(settings, folder, structure, inputs)
            forces, theirs = forces_of(settings, folder)
            inputs |= theirs
        return cls(settings, seed, words, structure, reference, forces, inputs)


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """All there is to write, but for the minimisation."""

    system: Any
    start: Structure
    n_solute_atoms: int
    reference: Structure | None
    contacts: NDArray[np.int64]


def _reference(
    settings: SystemSettings, folder: Path, structure: Structure, inputs: dict[str, str]
) -> Structure | None:
    name, shipped = settings.reference, SHIPPED.get(settings.source)
    if name == "shipped" and not (shipped and shipped.folded):
        folded = ", ".join(one for one in sorted(SHIPPED) if SHIPPED[one].folded)
        raise WorkflowError(
            f"a folded structure comes with {folded} only; give none or a PDB file",
            path=("system", "reference"),
        )
    if name in (None, "shipped"):
        return structure if shipped and shipped.folded else None
    if name == "none":
        return None
    assert name is not None
    path = folder / name
    reference = read_pdb(path, key="reference")
    inputs[name] = sha256(path)
    return reference


def _kept(out: Path, parts: _Parts) -> Molecule:
    """Return the molecule that is there, if it was prepared from the same parts."""
    try:
        record = Preparation.read(out)
    except StageError as error:
        raise WorkflowError(f"{error}; remove {out} to prepare the molecule again") from None
    found = (record.settings, record.seed, record.inputs)
    if found != (parts.settings, parts.seed, parts.inputs):
        raise WorkflowError(
            f"{out} has a molecule that was prepared from other settings, another seed or another "
            "file; take another run directory, or remove it",
            path=("system",),
        )
    return load(out)


def _go(parts: _Parts) -> _Made:
    model = go_model(parts.structure)
    places = model.native.positions_nm
    if parts.settings.start == "extended":
        places = extended(model.native)
    start = Structure(model.native.topology, places)
    return _Made(model.system, start, len(places), model.native, model.contacts)


def _all_atom(parts: _Parts) -> _Made:
    settings, seed, forces, structure = parts.settings, parts.seed, parts.forces, parts.structure
    if settings.start == "extended" and settings.sequence is None:
        structure = built(sequence_of(structure.topology, key="start"), seed=seed)
    solute, variants = with_hydrogens(structure, settings, seed=seed)
    check_residues(solute, forces, settings)
    reference, contacts = None, np.empty((0, 2), dtype=np.int64)
    if parts.reference is not None:
        reference = _matched(solute, parts, variants)
        contacts = _contacts(reference)
    start = solute
    if settings.solvent == "explicit":
        start = with_solvent(solute, forces, settings, seed=seed)
    system = system_of(start, forces, settings, seed=seed)
    return _Made(system, start, len(solute.positions_nm), reference, contacts)


def _matched(solute: Structure, parts: _Parts, variants: Any) -> Structure:
    """Return the reference with the molecule's atoms in the molecule's order."""
    assert parts.reference is not None
    ours = [one.name for one in solute.topology.residues()]
    residues = parts.reference.topology.residues()
    theirs = [one.name for one in residues if one.name not in SOLVENT]
    if ours != theirs:
        pairs = enumerate(zip_longest(ours, theirs, fillvalue="nothing"), start=1)
        number, (our, their) = next((n, pair) for n, pair in pairs if pair[0] != pair[1])
        raise _unlike(f"residue {number} is {their} in it, {our} in the molecule")
    reference, _ = with_hydrogens(
        parts.reference, parts.settings, seed=parts.seed, variants=variants
    )
    places = {_name(one): reference.positions_nm[one.index] for one in reference.topology.atoms()}
    atoms = list(solute.topology.atoms())
    for atom in atoms:
        if _name(atom) not in places:
            residue = atom.residue
            raise _unlike(f"residue {residue.index + 1} ({residue.name}) lacks atom {atom.name}")
    return Structure(solute.topology, np.array([places[_name(atom)] for atom in atoms]))


def _unlike(how: str) -> WorkflowError:
    return WorkflowError(
        f"expected a reference with the molecule's residues and heavy atoms; {how}",
        path=("system", "reference"),
    )


def _name(atom: Any) -> tuple[int, str]:
    return atom.residue.index, atom.name


def _contacts(reference: Structure) -> NDArray[np.int64]:
    atoms = list(reference.topology.atoms())
    heavy = np.array([one.index for one in atoms if one.element.symbol != "H"], dtype=np.int64)
    residues = np.array(
        [one.residue.index + _FAR * one.residue.chain.index for one in atoms], dtype=np.int64
    )
    return atom_contacts(reference.positions_nm, heavy, residues)


def _written(out: Path, parts: _Parts, made: _Made) -> None:
    openmm = extra("openmm")
    platform, start, potential_kj_mol = _minimised(made)
    texts = {
        TOPOLOGY: written_pdb(start),
        SYSTEM: openmm.XmlSerializer.serialize(made.system),
    }
    if made.reference is not None:
        texts[REFERENCE] = written_pdb(made.reference)
    for name, text in texts.items():
        write_text(out / name, text)
    record = Preparation(
        source=parts.words,
        settings=parts.settings,
        seed=parts.seed,
        inputs=parts.inputs,
        versions={"openmm": openmm.version.short_version, "numpy": np.__version__},
        platform=platform,
        n_atoms=len(start.positions_nm),
        n_solute_atoms=made.n_solute_atoms,
        n_residues=start.topology.getNumResidues(),
        potential_kj_mol=potential_kj_mol,
        native_pairs=tuple((int(i), int(j)) for i, j in made.contacts),
        files={name: sha256(out / name) for name in sorted(texts)},
    )
    write_text(out / RECORD, record.text())


def _minimised(made: _Made) -> tuple[str, Structure, float]:
    openmm, unit = extra("openmm"), extra("openmm.unit")
    name = choose_platform("auto", gpus=0, n_atoms=len(made.start.positions_nm))
    context = openmm.Context(
        made.system,
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName(name),
        platform_properties(name, cores=1),
    )
    context.setPositions(made.start.positions_nm)
    openmm.LocalEnergyMinimizer.minimize(context)
    state = context.getState(positions=True, energy=True)
    structure = Structure.of(made.start.topology, state.getPositions(asNumpy=True))
    energy = float(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))
    if not np.isfinite(structure.positions_nm).all() or not np.isfinite(energy):
        raise WorkflowError(
            "the structure cannot be minimised, its energy is no number; look for atoms that lie "
            "on one another",
            path=("system",),
        )
    return name, structure, energy
