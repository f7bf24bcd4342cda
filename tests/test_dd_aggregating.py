"""Aggregation of DeepDriveMD: features of real frames, what is missing, what is damaged."""

import itertools

import numpy as np
import pytest

pytest.importorskip("openmm")
pytest.importorskip("mdtraj")
pytest.importorskip("h5py")

import h5py
import openmm

from stretto import WorkflowError
from stretto.apps.deepdrivemd.aggregating import AggregationSettings, aggregate, remade
from stretto.apps.deepdrivemd.blocks import Block, joined
from stretto.apps.deepdrivemd.dcd import DcdFile, Layout, read_dcd
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.molecules import load
from stretto.apps.deepdrivemd.places import (
    block_file,
    record_file,
    system_folder,
    trajectory_file,
)
from stretto.apps.deepdrivemd.simulating import Record
from tests.dd_runs import new_run, run_simulation

SIMULATIONS = 5
HEAVY = {"features": "distances", "selection": "heavy"}


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    run_dir = new_run(tmp_path_factory.mktemp("ensemble") / "run")
    for task in range(SIMULATIONS):
        run_simulation(run_dir, task=task)
    return run_dir


@pytest.fixture
def copy(ensemble, tmp_path):
    """The same in a folder of its own, to be damaged."""
    for path in sorted(ensemble.rglob("*")):
        if path.is_file() and path.suffix != ".h5":
            target = tmp_path / path.relative_to(ensemble)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path


def run_aggregation(run_dir, task=0, *, blocks=1, iteration=0, **changes):
    arguments = {
        "inputs": {"simulation": iteration},
        "settings": HEAVY,
        "simulations": SIMULATIONS,
    }
    return aggregate(
        task=task,
        iteration=iteration,
        run_dir=str(run_dir),
        blocks=blocks,
        **arguments | changes,
    )


def read_block(run_dir, block=0, iteration=0):
    return Block.read(block_file(run_dir, iteration, block))


def positions_of(run_dir, task):
    return read_dcd(trajectory_file(run_dir, 0, task))[0].astype(np.float64)


# What a block holds


def test_each_block_has_the_simulations_that_the_pattern_group_deals_to_it(ensemble):
    for task in range(2):
        run_aggregation(ensemble, task, blocks=2)
    dealt = [sorted({*read_block(ensemble, task).frames[:, 1].tolist()}) for task in range(2)]
    assert dealt == [[0, 1, 2], [3, 4]]


def test_rows_are_named_by_their_frames(ensemble):
    result = run_aggregation(ensemble, settings=HEAVY | {"every": 3})
    block = read_block(ensemble)
    assert result == {"block": str(block_file(ensemble, 0, 0)), "frames": 35, "missing": []}
    expected = [[0, task, frame] for task in range(SIMULATIONS) for frame in range(0, 20, 3)]
    assert block.frames.tolist() == expected
    assert block.missing == ()


def test_distances_are_of_all_pairs_of_heavy_atoms(ensemble):
    run_aggregation(ensemble)
    block = read_block(ensemble)
    heavy = [0, 4, 5, 6, 8, 10, 14, 15, 16, 18]
    positions = positions_of(ensemble, 2)[7]
    expected = [
        np.linalg.norm(positions[one] - positions[other])
        for one, other in itertools.combinations(heavy, 2)
    ]
    (row,) = np.flatnonzero((block.frames == [0, 2, 7]).all(axis=1))
    assert block.kind == "distances"
    assert block.features.dtype == np.float32
    assert block.features[row] == pytest.approx(expected, abs=1e-5)


def test_a_contact_map_says_which_atoms_are_near(ensemble):
    run_aggregation(
        ensemble,
        settings={"features": "contacts", "selection": "name N or name O", "cutoff_nm": 0.3},
    )
    block = read_block(ensemble)
    positions = positions_of(ensemble, 0)[:, [5, 6, 15, 16]]
    far = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1)
    assert block.features.dtype == np.uint8
    assert np.array_equal(block.features[:20], far < 0.3)
    assert 0 < block.features[:20].mean() < 1


def test_torsions_agree_with_openmm(ensemble):
    run_aggregation(ensemble, settings={"features": "dihedrals"})
    block = read_block(ensemble)
    positions = positions_of(ensemble, 0)
    for quadruple, column in (([4, 6, 8, 14], 0), ([6, 8, 14, 16], 1)):
        expected = [torsion_by_openmm(frame, quadruple) for frame in positions]
        assert block.phi_psi_rad.shape == (100, 1, 2)
        assert block.phi_psi_rad[:20, 0, column] == pytest.approx(expected, abs=1e-3)
        assert block.features[:20, column] == pytest.approx(np.sin(expected), abs=1e-3)
        assert block.features[:20, 2 + column] == pytest.approx(np.cos(expected), abs=1e-3)


def torsion_by_openmm(positions_nm, atoms):
    """Return the angle that OpenMM sees, as the energy of a force whose energy is the angle."""
    system = openmm.System()
    for _ in positions_nm:
        system.addParticle(1)
    force = openmm.CustomTorsionForce("theta")
    force.addTorsion(*atoms, [])
    system.addForce(force)
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), reference)
    context.setPositions(positions_nm)
    return context.getState(getEnergy=True).getPotentialEnergy()._value


def test_the_reference_is_nearest_to_itself_however_it_lies(tmp_path):
    new_run(tmp_path, molecule="hp35", representation="go", start="extended")
    molecule = load(system_folder(tmp_path))
    turned = molecule.reference_nm @ np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]) + 3
    write_frames(tmp_path, 0, np.stack([turned, molecule.positions_nm]))
    run_aggregation(tmp_path, simulations=1, settings={})
    block = read_block(tmp_path)
    assert block.rmsd_nm[0] == pytest.approx(0, abs=1e-3)
    assert block.rmsd_nm[1] > 1
    assert block.native_contacts[0] == 1
    assert block.native_contacts[1] < 0.1
    assert block.features.shape == (2, 35, 35)


def test_a_molecule_too_small_for_contacts_has_its_rmsd(ensemble):
    run_aggregation(ensemble)
    block = read_block(ensemble)
    assert block.native_contacts is None
    assert (block.rmsd_nm > 0.001).all()
    assert (block.rmsd_nm < 0.3).all()


def write_frames(run_dir, task, positions_nm):
    path = trajectory_file(run_dir, 0, task)
    with DcdFile.opened(path, Layout(positions_nm.shape[1], False, 10, 0.002)) as file:
        for positions in positions_nm:
            file.append(positions, np.eye(3))
    record = Record(parent=None, frames=len(positions_nm), ps_per_frame=0.02)
    record.write(record_file(run_dir, 0, task))


def test_without_a_reference_there_is_no_nearness(tmp_path):
    new_run(tmp_path, molecule="alanine-dipeptide")
    write_frames(tmp_path, 0, load(system_folder(tmp_path)).positions_nm[None])
    run_aggregation(tmp_path, simulations=1)
    block = read_block(tmp_path)
    assert block.rmsd_nm is None
    assert block.native_contacts is None


def test_beads_have_torsions_along_the_chain(tmp_path):
    new_run(tmp_path, molecule="hp35", representation="go")
    positions = load(system_folder(tmp_path)).positions_nm
    write_frames(tmp_path, 0, positions[None])
    run_aggregation(tmp_path, simulations=1, settings={"features": "dihedrals"})
    block = read_block(tmp_path)
    expected = [torsion_by_openmm(positions, range(at, at + 4)) for at in range(32)]
    assert block.features[0] == pytest.approx([*np.sin(expected), *np.cos(expected)], abs=1e-3)
    assert block.phi_psi_rad.shape == (1, 0, 2)


def test_solvent_is_not_of_the_molecule(tmp_path):
    new_run(tmp_path, solvent="explicit", padding_nm=0.6, cutoff_nm=0.6)
    positions = load(system_folder(tmp_path)).positions_nm
    assert len(positions) > 100
    write_frames(tmp_path, 0, positions[None])
    run_aggregation(tmp_path, simulations=1)
    assert read_block(tmp_path).features.shape == (1, 45)
    with pytest.raises(WorkflowError, match="found name O and water, which is 0"):
        run_aggregation(tmp_path, simulations=1, settings={"selection": "name O and water"})


# What is not there


def test_simulations_that_are_not_there_are_named(copy, capsys):
    for task in (1, 4):
        record_file(copy, 0, task).unlink()
    result = run_aggregation(copy)
    assert result["missing"] == [1, 4]
    block = read_block(copy)
    assert block.missing == ((0, 1), (0, 4))
    assert sorted({*block.frames[:, 1].tolist()}) == [0, 2, 3]
    assert "aggregation-000.h5: without simulations 1, 4" in capsys.readouterr().out


def test_those_that_had_not_finished_are_left_out_though_they_have_since(copy):
    assert run_aggregation(copy, finished={"simulation": [0, 3]})["missing"] == [1, 2, 4]
    assert run_aggregation(copy, finished={"other": []})["missing"] == []


def test_one_simulation_at_least_must_be_there(copy):
    for task in (3, 4):
        record_file(copy, 0, task).unlink()
    run_aggregation(copy, 0, blocks=2)
    with pytest.raises(StageError, match=r"simulation-003\.json: no such file, nor .* block 1"):
        run_aggregation(copy, 1, blocks=2)


def test_missing_simulations_of_joined_blocks_are_all_named(copy):
    record_file(copy, 0, 1).unlink()
    record_file(copy, 0, 4).unlink()
    for task in range(2):
        run_aggregation(copy, task, blocks=2)
    blocks = [read_block(copy, task) for task in range(2)]
    assert joined(blocks).missing == ((0, 1), (0, 4))


def test_a_run_that_continues_another_counts_on(copy):
    for suffix in ("dcd", "json"):
        for task in range(SIMULATIONS):
            old = copy / f"data/iteration-000/simulation-{task:03}.{suffix}"
            new = copy / f"data/iteration-002/simulation-{task:03}.{suffix}"
            new.parent.mkdir(exist_ok=True)
            new.write_bytes(old.read_bytes())
    run_aggregation(copy, first=2)
    assert (read_block(copy, iteration=2).frames[:, 0] == 2).all()


# What is damaged


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda dcd, _: dcd.unlink(), r"simulation-001\.dcd: no such file"),
        (lambda dcd, _: dcd.write_bytes(b""), r"simulation-001\.dcd: damaged"),
        (lambda dcd, _: dcd.write_bytes(b"\xff" * 4000), r"simulation-001\.dcd: damaged"),
        (lambda dcd, _: cut(dcd, 2500), r"simulation-001\.dcd: damaged, its last frame ends"),
        (lambda dcd, _: cut(dcd, 276 + 15 * 288), r"001\.dcd: expected 20 frames, found 15"),
        (lambda dcd, _: patch(dcd, 276 + 288 * 4, b"\0\0\0\0"), "frame does not begin where"),
        (lambda dcd, _: patch(dcd, 276 + 288 * 4 + 8, b"\0\0\xc0\x7f"), "001.dcd: frame 4 has pos"),
        (lambda _, record: record.write_text("[]"), r"simulation-001\.json: the file: "),
        (lambda _, record: record.write_text('{"frames": 3'), r"simulation-001\.json: damaged"),
        (lambda _, record: record.write_text('{"frames": 3}'), r"001\.json: parent: Field requ"),
        (
            lambda _, record: record.write_text('{"frames": 0, "ps_per_frame": 1, "parent": null}'),
            r"001\.json: frames: .* found 0",
        ),
    ],
)
def test_a_simulation_that_is_damaged_is_named(copy, damage, message):
    damage(trajectory_file(copy, 0, 1), record_file(copy, 0, 1))
    with pytest.raises(StageError, match=message):
        run_aggregation(copy)
    assert not block_file(copy, 0, 0).exists()


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def patch(path, at, data):
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)


def test_frames_of_another_molecule_are_named(copy):
    for found, expected in ((21, "22 atoms or more"), (23, "22 atoms")):
        write_frames(copy, 1, np.zeros((2, found, 3)))
        message = rf"simulation-001\.dcd: expected {expected}, found {found}"
        with pytest.raises(StageError, match=message):
            run_aggregation(copy)


def flip(path):
    """Break the compressed features, and nothing else."""
    with h5py.File(path) as file:
        at = file["features"].id.get_chunk_info(0).byte_offset
    patch(path, at + 20, b"\xff" * 40)


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.unlink(), lambda path: path.write_bytes(b"HDF"), lambda path: flip(path)],
)
def test_a_block_that_is_lost_or_damaged_is_made_again(copy, damage):
    record_file(copy, 0, 4).unlink()
    for task in range(2):
        run_aggregation(copy, task, blocks=2)
    path = block_file(copy, 0, 1)
    expected = read_block(copy, 1)
    damage(path)
    with pytest.raises(StageError, match=r"aggregation-001\.h5: "):
        Block.read(path)
    found = remade(
        copy, 0, 1, settings=AggregationSettings(**HEAVY), simulations=SIMULATIONS, blocks=2
    )
    for block in (found, Block.read(path)):
        assert block.missing == expected.missing == ((0, 4),)
        for name in ("features", "frames", "phi_psi_rad", "rmsd_nm", "native_contacts"):
            assert np.array_equal(getattr(block, name), getattr(expected, name)), name


# Settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"selection": "alpha-carbons"}, r"aggregation\.selection: expected at least 2 atoms"),
        ({"selection": "name XY"}, "found name XY, which is 0"),
        ({"selection": "heavy atoms"}, r"aggregation\.selection: .*found 'heavy atoms'"),
        ({"features": "images"}, r"aggregation\.features: .*'images'"),
        ({"cutoff_nm": -1}, r"aggregation\.cutoff_nm: .*found -1"),
        ({"every": 0}, r"aggregation\.every: "),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(ensemble, changes, message):
    with pytest.raises(WorkflowError, match=message):
        run_aggregation(ensemble, settings=HEAVY | changes)


def test_more_blocks_than_simulations_are_an_error(ensemble):
    with pytest.raises(WorkflowError, match=r"arguments\.blocks: expected at most 5 blocks"):
        run_aggregation(ensemble, blocks=6)
