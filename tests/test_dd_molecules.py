"""Molecules of DeepDriveMD: prepared by the real OpenMM, loaded, damaged, looked at."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openmm")
pytest.importorskip("PeptideBuilder")

import openmm
from openmm import unit

from stretto import WorkflowError
from stretto.apps.deepdrivemd import molecules
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.molecules import (
    SystemSettings,
    choose_platform,
    load,
    native_fraction,
    platform_properties,
    prepare,
)
from stretto.apps.deepdrivemd.molecules.go import extended, go_model
from stretto.apps.deepdrivemd.molecules.shipped import HP35, SHIPPED, shipped_structure
from stretto.apps.deepdrivemd.molecules.structures import sequence_of

PACKAGE = Path(molecules.__file__).parent
GO = SystemSettings(molecule="hp35", representation="go")
UNFOLDED = SystemSettings(molecule="hp35", representation="go", start="extended")


def settings(**keys):
    return SystemSettings.of(keys, section="system")


def energy_kj_mol(molecule, positions_nm):
    context = openmm.Context(
        molecule.system,
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("Reference"),
    )
    context.setPositions(positions_nm)
    state = context.getState(energy=True)
    return state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)


def peptide(tmp_path, *, lines):
    """Write the lines of the shipped CLN025 that `lines` keeps to a PDB file."""
    text = (PACKAGE / "cln025.pdb").read_text().splitlines(keepends=True)
    path = tmp_path / "peptide.pdb"
    path.write_text("".join(line for line in text if lines(line)))
    return path


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    return prepare(GO, tmp_path_factory.mktemp("go") / "system")


@pytest.fixture(scope="module")
def villin(tmp_path_factory):
    asked = settings(molecule="hp35", solvent="vacuum")
    return prepare(asked, tmp_path_factory.mktemp("villin") / "system")


# Preparation


def test_alanine_dipeptide_is_what_a_run_gets_that_says_nothing(tmp_path):
    molecule = prepare(settings(), tmp_path / "system")
    assert len(molecule.positions_nm) == molecule.system.getNumParticles() == 22
    assert molecule.system.getNumConstraints() == 12
    assert len(molecule.heavy_atoms) == 10
    assert molecule.alpha_carbons.size == 1
    assert molecule.reference_nm is None
    assert molecule.native_pairs is None
    record = json.loads((tmp_path / "system" / "system.json").read_text())
    assert record["settings"]["solvent"] == "implicit"
    assert record["n_residues"] == 3
    assert energy_kj_mol(molecule, molecule.positions_nm) == pytest.approx(
        record["potential_kj_mol"], abs=0.1
    )


EXPLICIT = {"solvent": "explicit", "padding_nm": 0.5, "cutoff_nm": 0.6, "hydrogen_mass_da": 3}


@pytest.mark.parametrize(
    "keys",
    [{}, {"sequence": "GIWK"}, pytest.param(EXPLICIT, marks=pytest.mark.slow)],
    ids=["shipped", "built", "in water"],
)
def test_the_same_seed_prepares_the_same_files(tmp_path, keys):
    for name in ("one", "two"):
        prepare(settings(**keys), tmp_path / name, seed=5)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["system.json", "system.xml", "topology.pdb"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_preparation_that_was_killed_is_begun_again(tmp_path):
    out = tmp_path / "system"
    prepare(settings(), out)
    whole = {path.name: path.read_bytes() for path in out.iterdir()}
    (out / "system.json").unlink()
    (out / "topology.pdb").write_text("half")
    (out / ".topology.1.draft.pdb").write_text("ha")
    with pytest.raises(StageError, match=r"system\.json: no such file"):
        load(out)
    prepare(settings(), out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole


def test_what_is_prepared_is_kept_and_never_replaced_by_something_else(tmp_path):
    out = tmp_path / "system"
    prepare(settings(), out)
    before = (out / "system.json").stat().st_mtime_ns
    prepare(settings(), out)
    assert (out / "system.json").stat().st_mtime_ns == before
    for other in ({"constraints": "none"}, {"sequence": "GG"}):
        with pytest.raises(WorkflowError, match="prepared from other settings"):
            prepare(settings(**other), out)
    with pytest.raises(WorkflowError, match="another seed"):
        prepare(settings(), out, seed=1)


def test_the_file_of_a_molecule_is_relative_to_the_folder_and_its_change_is_noticed(tmp_path):
    path = peptide(tmp_path, lines=lambda line: True)
    asked = settings(molecule="peptide.pdb", solvent="vacuum")
    prepare(asked, tmp_path / "system", folder=tmp_path)
    path.write_text(path.read_text().replace("20.553", "20.552"))
    with pytest.raises(WorkflowError, match="another file"):
        prepare(asked, tmp_path / "system", folder=tmp_path)


@pytest.mark.parametrize("name", ["system.xml", "topology.pdb", "system.json"])
def test_damage_is_named(tmp_path, name):
    out = tmp_path / "system"
    prepare(settings(), out)
    (out / name).write_bytes((out / name).read_bytes()[:-40])
    with pytest.raises(StageError, match=name):
        load(out)
    with pytest.raises(WorkflowError, match=r"remove .* to prepare the molecule again"):
        prepare(settings(), out)
    (out / name).unlink()
    with pytest.raises(StageError, match=name):
        load(out)


# Molecules


def test_hydrogens_that_a_file_lacks_are_added(tmp_path):
    peptide(tmp_path, lines=lambda line: not line.rstrip().endswith(" H"))
    molecule = prepare(settings(molecule="peptide.pdb"), tmp_path / "system", folder=tmp_path)
    assert len(molecule.positions_nm) == 166
    assert len(molecule.heavy_atoms) == 93


def test_a_residue_that_lacks_heavy_atoms_is_named_with_what_to_do(tmp_path):
    peptide(tmp_path, lines=lambda line: not (" THR A   6" in line and line[13:16] == "CG2"))
    with pytest.raises(WorkflowError, match=r"THR 6 of chain A.*PDBFixer") as caught:
        prepare(settings(molecule="peptide.pdb"), tmp_path / "system", folder=tmp_path)
    assert caught.value.path == ("system", "molecule")
    assert not (tmp_path / "system").exists()


def test_a_residue_nobody_knows_is_named(tmp_path):
    path = peptide(tmp_path, lines=lambda line: True)
    path.write_text(path.read_text().replace("PRO A   4", "XYZ A   4"))
    with pytest.raises(WorkflowError, match=r"XYZ 4 of chain A.*is not known"):
        prepare(settings(molecule="peptide.pdb"), tmp_path / "system", folder=tmp_path)


def test_cln025_is_what_its_sequence_gives(tmp_path):
    shipped = shipped_structure("cln025")
    made = prepare(settings(sequence="YYDPETGTWY"), tmp_path / "system")
    assert sequence_of(shipped.topology, key="molecule") == "YYDPETGTWY"
    names = [atom.name for atom in shipped.topology.atoms()]
    assert names == [atom.name for atom in made.topology.atoms()]
    charges = [
        force.getParticleParameters(number)[0].value_in_unit(unit.elementary_charge)
        for force in made.system.getForces()
        if isinstance(force, openmm.NonbondedForce)
        for number in range(force.getNumParticles())
    ]
    ends = {("H3", 0), ("OXT", 9)}
    assert ends <= {(atom.name, atom.residue.index) for atom in shipped.topology.atoms()}
    assert sum(charges) == pytest.approx(-2, abs=1e-6)  # aspartate and glutamate
    between = np.linalg.norm(shipped.positions_nm - made.positions_nm, axis=1)
    assert between.max() < 0.05


def test_hp35_is_villin_out_of_openmm(villin):
    structure = shipped_structure("hp35")
    assert sequence_of(structure.topology, key="molecule") == HP35
    assert len(structure.positions_nm) == 582
    carbons = [atom.index for atom in structure.topology.atoms() if atom.name == "CA"]
    steps = np.linalg.norm(np.diff(structure.positions_nm[carbons], axis=0), axis=1)
    assert np.abs(steps - 0.38).max() < 0.02  # not torn apart by its box
    molecule = villin
    assert molecule.reference_nm.shape == (582, 3)
    assert molecule.alpha_carbons.size == 35
    np.testing.assert_allclose(molecule.reference_nm, structure.positions_nm, atol=1e-4)
    q = native_fraction(molecule, np.stack([molecule.reference_nm, 3 * molecule.reference_nm]))
    assert q[0] > 0.999
    assert q[1] < 0.01


def test_a_shipped_molecule_can_begin_stretched_out(tmp_path):
    folded = settings(molecule="hp35", start="extended", solvent="vacuum")
    molecule = prepare(folded, tmp_path / "system")
    assert len(molecule.positions_nm) == len(molecule.reference_nm) == 582
    q = native_fraction(molecule, np.stack([molecule.positions_nm, molecule.reference_nm]))
    assert q[0] < 0.1 < 0.99 < q[1]


def test_a_reference_needs_no_hydrogens_and_no_order_of_its_own(tmp_path):
    peptide(tmp_path, lines=lambda line: not line.rstrip().endswith(" H"))
    asked = settings(sequence="YYDPETGTWY", reference="peptide.pdb", solvent="vacuum")
    molecule = prepare(asked, tmp_path / "system", folder=tmp_path)
    shipped = shipped_structure("cln025")
    heavy = molecule.heavy_atoms
    np.testing.assert_allclose(molecule.reference_nm[heavy], shipped.positions_nm[heavy], atol=1e-4)


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"sequence": "YYDPETGTW"}, "residue 10 is TYR in it, nothing in the molecule"),
        ({"sequence": "YYDPATGTWY"}, "residue 5 is GLU in it, ALA in the molecule"),
        ({"molecule": "alanine-dipeptide"}, "residue 1 is TYR in it, ACE in the molecule"),
    ],
)
def test_a_reference_of_another_molecule_is_told(tmp_path, keys, found):
    peptide(tmp_path, lines=lambda line: True)
    asked = settings(reference="peptide.pdb", solvent="vacuum", **keys)
    with pytest.raises(WorkflowError, match=found):
        prepare(asked, tmp_path / "system", folder=tmp_path)


def test_explicit_solvent_is_put_around_the_molecule(tmp_path):
    molecule = prepare(settings(**EXPLICIT), tmp_path / "system")
    assert molecule.n_solute_atoms == 22
    assert molecule.heavy_atoms.max() < 22
    residues = {residue.name for residue in molecule.topology.residues()}
    assert "HOH" in residues
    assert molecule.system.usesPeriodicBoundaryConditions()
    barostats = [one for one in molecule.system.getForces() if "Barostat" in one.getName()]
    assert barostats[0].getDefaultPressure().value_in_unit(unit.bar) == pytest.approx(1)
    hydrogen = next(atom.index for atom in molecule.topology.atoms() if atom.element.symbol == "H")
    assert molecule.system.getParticleMass(hydrogen).value_in_unit(unit.dalton) == 3
    drawn = molecule.topology.getPeriodicBoxVectors()
    for one, other in zip(drawn, molecule.system.getDefaultPeriodicBoxVectors(), strict=True):
        np.testing.assert_allclose(
            one.value_in_unit(unit.nanometer), other.value_in_unit(unit.nanometer), atol=1e-4
        )


# Settings


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"molecule": "hp35", "sequence": "GG"}, "a molecule or a sequence, not both"),
        ({"sequence": "GXG"}, "should match pattern"),
        ({"sequence": "GG", "representation": "go"}, "not from a sequence"),
        ({"representation": "go", "solvent": "vacuum"}, "solvent means nothing with"),
        ({"padding_nm": 2}, "padding_nm means nothing with solvent: implicit"),
        ({"solvent": "water"}, "expected 'implicit', 'explicit' or 'vacuum'"),
    ],
)
def test_settings_that_contradict_each_other_are_told(keys, found):
    with pytest.raises(WorkflowError, match=found) as caught:
        settings(**keys)
    assert caught.value.path[0] == "system"


@pytest.mark.parametrize(
    ("keys", "key", "found"),
    [
        ({"molecule": "nowhere.pdb"}, "molecule", "alanine-dipeptide, cln025, hp35 or a PDB file"),
        ({"molecule": "notes.pdb"}, "molecule", "expected atoms|is not a PDB file"),
        ({"reference": "shipped"}, "reference", "comes with hp35 only"),
        ({"reference": "nowhere.pdb"}, "reference", "found nothing at"),
        ({"start": "extended"}, "start", "ACE 1 has no one-letter code"),
        ({"force_field": ["mine.xml"]}, "force_field", "mine.xml"),
        ({"force_field": ["notes.pdb"]}, "force_field", "readable XML"),
        ({"force_field": ["amber99sbildn.xml"]}, "force_field", "no implicit solvent"),
        (
            {"solvent": "vacuum", "force_field": ["amber99sbildn.xml", "amber99_obc.xml"]},
            "force_field",
            "an implicit solvent, solvent is vacuum",
        ),
        ({"representation": "go"}, "molecule", "needs residues in contact"),
    ],
)
def test_settings_that_cannot_be_met_are_told(tmp_path, keys, key, found):
    (tmp_path / "notes.pdb").write_text("what I wanted to write down\n")
    with pytest.raises(WorkflowError, match=found) as caught:
        prepare(settings(**keys), tmp_path / "system", folder=tmp_path)
    assert caught.value.path == ("system", key)


def test_settings_survive_the_record(tmp_path):
    asked = settings(force_field=["amber96.xml", "amber96_obc.xml"], reference="none")
    prepare(asked, tmp_path / "system")
    record = json.loads((tmp_path / "system" / "system.json").read_text())
    assert settings(**record["settings"]) == asked


# The Gō model


def test_the_folded_state_is_the_bottom_of_the_go_model(go):
    assert len(go.positions_nm) == len(go.reference_nm) == go.alpha_carbons.size == 35
    assert native_fraction(go, go.reference_nm[np.newaxis]) == [1.0]
    folded = energy_kj_mol(go, go.reference_nm)
    # Bonds, angles and torsions are at rest, each contact has -epsilon, and the rest repels.
    contacts = -2.5 * len(go.native_pairs)
    assert contacts < folded < 0.98 * contacts
    assert energy_kj_mol(go, go.positions_nm) == pytest.approx(folded, abs=1)
    mirrored = go.reference_nm * [1, 1, -1]
    assert energy_kj_mol(go, mirrored) > folded + 100


def test_the_energy_of_the_go_model_is_the_published_one(go):
    rng = np.random.default_rng(3)
    places = go.reference_nm + rng.normal(scale=0.03, size=go.reference_nm.shape)
    assert energy_kj_mol(go, places) == pytest.approx(published_kj_mol(go, places), rel=1e-6)


def published_kj_mol(go, places):
    """Compute the energy of Clementi, Nymeyer and Onuchic with complex numbers for torsions."""

    def chain(at):
        bonds = np.linalg.norm(np.diff(at, axis=0), axis=1)
        units = np.diff(at, axis=0) / bonds[:, np.newaxis]
        angles = np.arccos(-np.sum(units[:-1] * units[1:], axis=1))
        normals = np.cross(units[:-1], units[1:])
        normals /= np.linalg.norm(normals, axis=1)[:, np.newaxis]
        cosines = np.sum(normals[:-1] * normals[1:], axis=1)
        sines = np.sum(np.cross(normals[:-1], normals[1:]) * units[1:-1], axis=1)
        return bonds, angles, cosines + 1j * sines

    bonds, angles, turns = chain(places)
    bonds0, angles0, turns0 = chain(go.reference_nm)
    apart = np.linalg.norm(places[:, np.newaxis] - places, axis=-1)
    native = {
        (int(i), int(j)): r0
        for (i, j), r0 in zip(go.native_pairs, go.native_lengths_nm, strict=True)
    }
    pairs = 0.0
    for i in range(len(places)):
        for j in range(i + 4, len(places)):
            if (i, j) in native:
                x = native[i, j] / apart[i, j]
                pairs += 5 * x**12 - 6 * x**10
            else:
                pairs += (0.4 / apart[i, j]) ** 12
    turned = turns / turns0
    torsions = np.sum(1 - turned.real) + 0.5 * np.sum(1 - (turned**3).real)
    return 2.5 * (
        100 * np.sum((10 * (bonds - bonds0)) ** 2)
        + 20 * np.sum((angles - angles0) ** 2)
        + torsions
        + pairs
    )


def test_contacts_of_the_go_model_are_near_in_the_structure_and_far_along_the_chain(go):
    structure = shipped_structure("hp35")
    heavy = {}
    for atom in structure.topology.atoms():
        if atom.element.symbol != "H":
            heavy.setdefault(atom.residue.index, []).append(structure.positions_nm[atom.index])
    pairs = {(int(i), int(j)) for i, j in go.native_pairs}
    for i in range(35):
        for j in range(i + 1, 35):
            apart = np.linalg.norm(np.array(heavy[i])[:, np.newaxis] - np.array(heavy[j]), axis=-1)
            assert ((i, j) in pairs) == (j - i >= 4 and apart.min() < 0.6)


def test_stretched_out_beads_have_the_bonds_and_angles_of_the_fold_and_no_contact(tmp_path):
    native = go_model(shipped_structure("hp35")).native
    places = extended(native)
    for apart in (1, 2):  # the second neighbour is the angle's
        lengths, folded = (
            np.linalg.norm(at[apart:] - at[:-apart], axis=1) for at in (places, native.positions_nm)
        )
        np.testing.assert_allclose(lengths, folded)
    assert np.linalg.norm(places[-1] - places[0]) > 9
    start = prepare(UNFOLDED, tmp_path / "system")
    assert native_fraction(start, start.positions_nm[np.newaxis]) == [0.0]
    assert np.linalg.norm(start.positions_nm[-1] - start.positions_nm[0]) > 8


@pytest.mark.slow
def test_hp35_folds_from_the_stretched_out_chain(tmp_path):
    start = prepare(UNFOLDED, tmp_path / "system")
    integrator = openmm.LangevinMiddleIntegrator(300, 1, 0.015)
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(start.system, integrator, platform)
    context.setPositions(start.positions_nm)
    context.setVelocitiesToTemperature(300, 1)
    best = 0.0
    for _ in range(400):
        integrator.step(500)
        state = context.getState(positions=True)
        places = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        best = max(best, native_fraction(start, places[np.newaxis])[0])
    assert best > 0.85


def test_beads_can_be_made_of_any_single_chain_that_is_folded(tmp_path):
    peptide(tmp_path, lines=lambda line: True)
    two = (tmp_path / "peptide.pdb").read_text()
    (tmp_path / "two.pdb").write_text(two.replace("END\n", "") + two.replace(" A ", " B "))
    with pytest.raises(WorkflowError, match="a single chain"):
        prepare(
            settings(molecule="two.pdb", representation="go"), tmp_path / "system", folder=tmp_path
        )


# Native contacts


def test_q_of_atoms_is_the_published_one(villin):
    molecule = villin
    rng = np.random.default_rng(1)
    frames = molecule.reference_nm + rng.normal(scale=0.1, size=(3, 582, 3))
    atoms = list(molecule.topology.atoms())
    expected = []
    pairs = [
        (i, j, r0)
        for i in molecule.heavy_atoms
        for j in molecule.heavy_atoms
        if atoms[j].residue.index - atoms[i].residue.index > 3
        and (r0 := np.linalg.norm(molecule.reference_nm[i] - molecule.reference_nm[j])) < 0.45
    ]
    for frame in frames:
        parts = [
            1 / (1 + np.exp(50 * (np.linalg.norm(frame[i] - frame[j]) - 1.8 * r0)))
            for i, j, r0 in pairs
        ]
        expected.append(np.mean(parts))
    assert 0.2 < min(expected) < 0.99
    np.testing.assert_allclose(native_fraction(molecule, frames), expected)


def test_q_of_beads_counts_what_is_less_than_a_fifth_too_long(go):
    stretched = np.stack([go.reference_nm * factor for factor in (1.19, 1.21)])
    np.testing.assert_array_equal(native_fraction(go, stretched), [1.0, 0.0])


def test_many_frames_have_the_q_of_each(go):
    rng = np.random.default_rng(2)
    frames = go.reference_nm + rng.normal(scale=0.1, size=(600, 35, 3))
    each = [native_fraction(go, frame[np.newaxis])[0] for frame in frames]
    np.testing.assert_array_equal(native_fraction(go, frames), each)
    assert len(set(each)) > 10


# Platforms


@pytest.mark.parametrize(
    ("available", "gpus", "n_atoms", "expected"),
    [
        (["Reference", "CPU"], 0, 22, "Reference"),
        (["Reference", "CPU"], 0, 582, "CPU"),
        (["Reference"], 0, 582, "Reference"),
        (["Reference", "CPU"], 1, 582, "CPU"),
        (["Reference", "CPU", "CUDA", "OpenCL"], 0, 582, "CPU"),
        (["Reference", "CPU", "OpenCL", "CUDA"], 1, 22, "CUDA"),
        (["Reference", "CPU", "OpenCL"], 0.5, 22, "OpenCL"),
    ],
)
def test_the_platform_goes_by_what_the_task_was_given(available, gpus, n_atoms, expected):
    assert choose_platform("auto", gpus=gpus, n_atoms=n_atoms, available=available) == expected


def test_a_platform_that_was_asked_for_is_taken_or_told_to_be_missing():
    assert choose_platform("CPU", gpus=1, n_atoms=22) == "CPU"
    with pytest.raises(WorkflowError, match="no platform CUDA here, only Reference, CPU"):
        choose_platform("CUDA", gpus=1, n_atoms=22, available=["Reference", "CPU"])
    with pytest.raises(WorkflowError, match="expected one of auto, Reference"):
        choose_platform("TPU", gpus=0, n_atoms=22)


def test_openmm_takes_the_properties_of_its_platforms():
    system = openmm.System()
    system.addParticle(1)
    for name in ("Reference", "CPU"):
        platform = openmm.Platform.getPlatformByName(name)
        properties = platform_properties(name, cores=2)
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform, properties)
        for key, value in properties.items():
            assert platform.getPropertyValue(context, key) == value
    assert platform_properties("CPU", cores=2)["Threads"] == "2"
    for name in ("CUDA", "OpenCL"):
        assert platform_properties(name, cores=2)["Precision"] == "mixed"


# What ships


def test_each_shipped_file_has_its_source_and_licence():
    source = (PACKAGE / "SOURCE.md").read_text()
    for path in PACKAGE.glob("*.pdb"):
        assert f"# {path.name}" in source
        assert path.stem in SHIPPED
    assert "test.pdb" in source
