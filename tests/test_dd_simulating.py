"""Simulations of DeepDriveMD: real OpenMM at tiny sizes, killed, exploded and started badly."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openmm")
pytest.importorskip("mdtraj")

import mdtraj
import openmm
from openmm import app, unit

from stretto import WorkflowError
from stretto.apps.deepdrivemd.dcd import DcdFile, Layout, count_frames, read_dcd, read_frame
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.lineage import Frame
from stretto.apps.deepdrivemd.molecules import load
from stretto.apps.deepdrivemd.places import (
    inference_file,
    record_file,
    start_file,
    system_folder,
    trajectory_file,
)
from stretto.apps.deepdrivemd.simulating import Record, SimulationSettings
from stretto.apps.deepdrivemd.simulating.checkpoints import Checkpoint
from stretto.apps.deepdrivemd.simulating.dynamics import Dynamics
from stretto.apps.deepdrivemd.simulating.records import Explosion
from stretto.apps.deepdrivemd.simulating.starts import structure_start
from stretto.apps.deepdrivemd.simulating.work import Work
from tests.dd_runs import PDB, TINY, change_system, choose, new_run, run_simulation

FRAMES = TINY["steps"] // TINY["report_every"]


@pytest.fixture
def run_dir(tmp_path):
    return new_run(tmp_path / "run")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run with one simulation that nothing happened to."""
    run_dir = new_run(tmp_path_factory.mktemp("undisturbed") / "run")
    run_simulation(run_dir)
    return run_dir


def frames_of(run_dir, iteration=0, task=0):
    return trajectory_file(run_dir, iteration, task).read_bytes()


def left(run_dir):
    """Return the names of what lies in the folder of the task."""
    return sorted(path.name for path in (run_dir / "tasks/simulation/0/0").iterdir())


def disturb(monkeypatch, at, what):
    """Do `what` to the dynamics before it goes on to frame `at` of this attempt."""
    advance, seen = Dynamics.advance, []

    def disturbed(dynamics):
        if len(seen) == at:
            what(dynamics)
        seen.append(None)
        return advance(dynamics)

    monkeypatch.setattr(Dynamics, "advance", disturbed)


def lose(dynamics):
    state = dynamics._context.getState(positions=True)
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer).copy()
    positions[3] = np.nan
    dynamics._context.setPositions(positions)


# What a simulation leaves


def test_frames_are_of_a_whole_molecule(undisturbed):
    frames = mdtraj.load_dcd(
        str(trajectory_file(undisturbed, 0, 0)),
        top=str(system_folder(undisturbed) / "topology.pdb"),
    )
    assert frames.xyz.shape == (FRAMES, 22, 3)
    bond = mdtraj.compute_distances(frames, [[6, 8]])
    assert bond == pytest.approx(0.145, abs=0.02)
    assert np.allclose(read_dcd(trajectory_file(undisturbed, 0, 0))[0], frames.xyz, atol=1e-6)


def test_a_record_says_where_the_frames_came_from(undisturbed):
    record = Record.read(undisturbed, 0, 0)
    assert (record.parent, record.kind, record.inference) == (None, "structure", None)
    assert (record.frames, record.ps_per_frame, record.steps) == (FRAMES, 0.04, 400)
    assert (record.seed, record.draw, record.attempt) == (0, 1, 1)
    assert (record.platform, record.resumed, record.explosions) == ("Reference", (), ())
    assert record.versions == {"openmm": openmm.version.short_version}
    assert record.settings == SimulationSettings(**TINY).model_dump()
    assert len(record.potential_kj_mol) == FRAMES
    assert left(undisturbed) == []


def test_energies_are_those_of_the_frames(undisturbed):
    system = openmm.XmlSerializer.deserialize(
        (system_folder(undisturbed) / "system.xml").read_text()
    )
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), reference)
    record = Record.read(undisturbed, 0, 0)
    positions, _, _ = read_dcd(trajectory_file(undisturbed, 0, 0))
    for frame, expected in zip(positions, record.potential_kj_mol, strict=True):
        context.setPositions(frame.astype(np.float64))
        found = context.getState(energy=True).getPotentialEnergy()
        assert found.value_in_unit(unit.kilojoule_per_mole) == pytest.approx(expected, abs=0.1)


def test_simulations_that_start_from_the_structure_start_at_different_places(run_dir, undisturbed):
    run_simulation(run_dir, task=1)
    one, _, _ = read_dcd(trajectory_file(undisturbed, 0, 0))
    other, _, _ = read_dcd(trajectory_file(run_dir, 0, 1))
    assert np.abs(one[0] - other[0]).max() > 0.01


def test_same_seed_same_bytes(run_dir, undisturbed):
    run_simulation(run_dir)
    assert frames_of(run_dir) == frames_of(undisturbed)
    assert Record.read(run_dir, 0, 0) == Record.read(undisturbed, 0, 0)


def test_a_simulation_that_is_there_is_not_run_again(run_dir):
    expected = run_simulation(run_dir)
    before = record_file(run_dir, 0, 0).stat().st_mtime_ns
    assert run_simulation(run_dir, attempt=2) == expected
    assert record_file(run_dir, 0, 0).stat().st_mtime_ns == before
    run_simulation(run_dir, attempt=2, temperature_k=310)
    assert Record.read(run_dir, 0, 0).settings["temperature_k"] == 310
    trajectory_file(run_dir, 0, 0).write_bytes(b"")
    run_simulation(run_dir, attempt=3, temperature_k=310)
    assert len(read_dcd(trajectory_file(run_dir, 0, 0))[0]) == FRAMES


def test_a_run_that_continues_another_counts_on(run_dir):
    run_simulation(run_dir)
    choose(run_dir, 0, [Frame(0, 0, 7)], model=0)
    run_simulation(run_dir, first=1)
    record = Record.read(run_dir, 1, 0)
    assert (record.iteration, record.parent, record.inference) == (1, (0, 0, 7), 0)


# Starts that inference chose


def test_a_chosen_start_is_not_walked_back_into_a_basin(run_dir, undisturbed):
    run_simulation(run_dir)
    choose(run_dir, 0, [Frame(0, 0, 7)], model=0)
    run_simulation(run_dir, 1, inference=0, steps=1, report_every=1)
    parent = read_dcd(trajectory_file(undisturbed, 0, 0))[0][7]
    found = read_dcd(trajectory_file(run_dir, 1, 0))[0][0]
    # A step of 2 fs, and rounding to a thousandth of an angstrom.
    assert np.abs(found - parent).max() < 0.02
    record = Record.read(run_dir, 1, 0)
    assert (record.parent, record.kind) == (Frame(0, 0, 7), "frame")
    assert (record.inference, record.model, record.minimised) == (0, 0, False)


def test_a_start_with_a_clash_is_named_and_minimised_on_retry(run_dir):
    run_simulation(run_dir)
    choose(run_dir, 0, [Frame(0, 0, 3)])
    path = start_file(run_dir, 0, 0)
    lines = path.read_text().splitlines()
    atoms = [number for number, line in enumerate(lines) if line.startswith(("ATOM", "HETATM"))]
    one, other = lines[atoms[4]], lines[atoms[18]]
    lines[atoms[18]] = other[:30] + f"{float(one[30:38]) + 0.2:8.3f}" + one[38:54] + other[54:]
    path.write_text("\n".join(lines))
    with pytest.raises(StageError, match=r"iteration-000/start-000\.pdb: not a start, its potent"):
        run_simulation(run_dir, 1, inference=0)
    assert not record_file(run_dir, 1, 0).exists()
    run_simulation(run_dir, 1, inference=0, attempt=2)
    record = Record.read(run_dir, 1, 0)
    assert (record.minimised, record.parent) == (True, Frame(0, 0, 3))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda start, _: start.unlink(), r"start-000\.pdb: no such file"),
        (lambda start, _: start.write_bytes(b"\xff\xfe\x00"), r"start-000\.pdb: damaged"),
        (lambda start, _: start.write_text("ATOM      1  C   ALA A   1     x\n"), "damaged"),
        (lambda start, _: start.write_text(""), "damaged|expected 22 atoms, found 0"),
        (lambda start, _: cut(start), "expected 22 atoms, found 4"),
        (lambda start, _: spoil(start), "positions that are not finite"),
        (lambda _, choice: choice.unlink(), r"inference\.json: no such file"),
        (lambda _, choice: choice.write_text("{"), r"inference\.json: damaged"),
        (lambda _, choice: choice.write_text("{}"), r"inference\.json: starts: "),
        (lambda _, choice: choice.write_text('{"starts": []}'), "0 starts, none for simulation 0"),
        (
            lambda _, choice: choice.write_text('{"starts": [{"frame": [1, "a", 2]}]}'),
            r"inference\.json: starts\.0\.frame",
        ),
    ],
)
def test_a_start_that_cannot_be_used_is_named(run_dir, undisturbed, damage, message):
    choose_of(undisturbed, run_dir)
    damage(start_file(run_dir, 0, 0), inference_file(run_dir, 0))
    with pytest.raises(StageError, match=message):
        run_simulation(run_dir, 1, inference=0, attempt=2)


def choose_of(other, run_dir):
    trajectory_file(run_dir, 0, 0).parent.mkdir(parents=True)
    trajectory_file(run_dir, 0, 0).write_bytes(frames_of(other))
    choose(run_dir, 0, [Frame(0, 0, 3)])


def cut(start):
    start.write_text("\n".join(start.read_text().splitlines()[:5]))


def spoil(start):
    lines = start.read_text().splitlines()
    lines[3] = lines[3][:30] + "     nan" + lines[3][38:]
    start.write_text("\n".join(lines))


# Killed and gone on


KILLED = """
import sys, time
from pathlib import Path
from stretto.apps.deepdrivemd.simulating.dynamics import Dynamics
from tests.dd_runs import run_simulation
advance = Dynamics.advance
def slowly(dynamics):
    time.sleep(0.01)
    return advance(dynamics)
Dynamics.advance = slowly
run_simulation(Path(sys.argv[1]), attempt=int(sys.argv[2]), steps=20_000, checkpoint_every=20)
"""


def test_a_simulation_that_was_killed_ends_as_if_it_had_not_been(tmp_path):
    killed, quiet = new_run(tmp_path / "killed"), new_run(tmp_path / "quiet")
    folder = killed / "tasks/simulation/0/0"
    for attempt, least in ((1, 20), (2, 60)):
        kill_at(killed, attempt, folder / "checkpoint.json", least)
        assert not record_file(killed, 0, 0).exists()
        assert not trajectory_file(killed, 0, 0).exists()
    for run_dir, attempt in ((killed, 3), (quiet, 1)):
        run_simulation(run_dir, attempt=attempt, steps=20_000, checkpoint_every=20)
    assert frames_of(killed) == frames_of(quiet)
    record, expected = Record.read(killed, 0, 0), Record.read(quiet, 0, 0)
    assert record.potential_kj_mol == expected.potential_kj_mol
    assert [(one.attempt, one.why) for one in record.resumed] == [
        (2, "interrupted"),
        (3, "interrupted"),
    ]
    first, second = (one.frames for one in record.resumed)
    assert 20 <= first < second < 1000
    assert first % 20 == second % 20 == 0
    assert left(killed) == []


def kill_at(run_dir, attempt, checkpoint, least):
    """Let a process simulate and kill it once its checkpoint counts so many frames."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, run_dir, str(attempt)],
        cwd=Path(__file__).parent.parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        while process.poll() is None:
            if checkpoint.exists():
                found = json.loads(checkpoint.read_text())
                if len(found["potential_kj_mol"]) >= least:
                    break
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
@pytest.mark.parametrize("at", [0, 3, 5, 12, 19])
def test_wherever_it_is_interrupted_it_ends_the_same(tmp_path, monkeypatch, platform, at):
    quiet, cut_off = new_run(tmp_path / "quiet"), new_run(tmp_path / "cut")
    run_simulation(quiet, platform=platform)

    def interrupt(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        disturb(patch, at, interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_simulation(cut_off, platform=platform)
    run_simulation(cut_off, attempt=2, platform=platform)
    assert frames_of(cut_off) == frames_of(quiet)
    (resumption,) = Record.read(cut_off, 0, 0).resumed
    assert (resumption.frames, resumption.why) == (at // 5 * 5, "interrupted")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "checkpoint.json").write_text("{"),
        lambda folder: (folder / "checkpoint.json").unlink(),
        lambda folder: (folder / "frames-1.dcd").unlink(),
        lambda folder: (folder / "frames-1.dcd").write_bytes(b"CORD"),
    ],
)
def test_a_damaged_checkpoint_costs_time_only(run_dir, undisturbed, monkeypatch, damage):
    with monkeypatch.context() as patch:
        disturb(patch, 12, lambda _: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            run_simulation(run_dir)
    damage(run_dir / "tasks/simulation/0/0")
    run_simulation(run_dir, attempt=2)
    assert frames_of(run_dir) == frames_of(undisturbed)
    assert Record.read(run_dir, 0, 0).resumed == ()


def test_a_checkpoint_of_another_job_is_not_gone_on_from(run_dir, undisturbed, monkeypatch):
    with monkeypatch.context() as patch:
        disturb(patch, 12, lambda _: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            run_simulation(run_dir, temperature_k=310)
    run_simulation(run_dir)
    assert frames_of(run_dir) == frames_of(undisturbed)


def test_frames_without_their_record_are_not_complete(run_dir, undisturbed, monkeypatch):
    def full(self, path):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Record, "write", full)
        with pytest.raises(OSError, match="No space"):
            run_simulation(run_dir)
    assert not record_file(run_dir, 0, 0).exists()
    run_simulation(run_dir, attempt=2)
    assert frames_of(run_dir) == frames_of(undisturbed)
    assert Record.read(run_dir, 0, 0).attempt == 2


# Exploded


def test_after_an_explosion_it_goes_on_from_the_last_good_checkpoint(
    run_dir, undisturbed, monkeypatch
):
    with monkeypatch.context() as patch:
        disturb(patch, 12, lose)
        with pytest.raises(
            StageError,
            match=r"simulation 0 of iteration 0: the molecule exploded.* before frame 12",
        ):
            run_simulation(run_dir)
    assert not (run_dir / "data").exists()
    run_simulation(run_dir, attempt=2)
    found, _, _ = read_dcd(trajectory_file(run_dir, 0, 0))
    expected, _, _ = read_dcd(trajectory_file(undisturbed, 0, 0))
    assert np.array_equal(found[:10], expected[:10])
    assert not np.array_equal(found[10], expected[10])
    # The same molecule a frame later, and not one that was shaken.
    assert np.abs(found[10] - found[9]).max() < 0.1
    record = Record.read(run_dir, 0, 0)
    assert (record.draw, record.attempt) == (2, 2)
    assert [(one.attempt, one.frame) for one in record.explosions] == [(1, 12)]
    assert [(one.frames, one.why) for one in record.resumed] == [(10, "exploded")]


def test_one_that_explodes_again_begins_again(run_dir, undisturbed, monkeypatch):
    for attempt in (1, 2):
        with monkeypatch.context() as patch:
            disturb(patch, 7, lose)
            with pytest.raises(StageError, match="exploded"):
                run_simulation(run_dir, attempt=attempt)
    run_simulation(run_dir, attempt=3)
    record = Record.read(run_dir, 0, 0)
    assert (record.draw, record.resumed) == (3, ())
    assert [(one.attempt, one.frame) for one in record.explosions] == [(1, 7), (2, 12)]
    found, _, _ = read_dcd(trajectory_file(run_dir, 0, 0))
    expected, _, _ = read_dcd(trajectory_file(undisturbed, 0, 0))
    assert not np.array_equal(found[0], expected[0])
    assert record.frames == len(found) == FRAMES


def test_a_start_that_explodes_twice_is_minimised(run_dir, monkeypatch):
    run_simulation(run_dir)
    choose(run_dir, 0, [Frame(0, 0, 3)])
    for attempt in (1, 2):
        with monkeypatch.context() as patch:
            disturb(patch, 1, lose)
            with pytest.raises(StageError, match="exploded"):
                run_simulation(run_dir, 1, inference=0, attempt=attempt)
    run_simulation(run_dir, 1, inference=0, attempt=3)
    assert Record.read(run_dir, 1, 0).minimised


def test_a_retry_that_is_killed_goes_on_with_its_own_numbers(tmp_path, monkeypatch):
    quiet, cut_off = new_run(tmp_path / "quiet"), new_run(tmp_path / "cut")
    for run_dir in (quiet, cut_off):
        with monkeypatch.context() as patch:
            disturb(patch, 7, lose)
            with pytest.raises(StageError, match="exploded"):
                run_simulation(run_dir)
    with monkeypatch.context() as patch:
        disturb(patch, 8, lambda _: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            run_simulation(cut_off, attempt=2)
    run_simulation(quiet, attempt=2)
    run_simulation(cut_off, attempt=3)
    assert frames_of(cut_off) == frames_of(quiet)


def test_a_step_too_long_explodes_by_name_and_leaves_nothing(run_dir):
    for attempt in (1, 2, 3):
        with pytest.raises(StageError, match="simulation 2 of iteration 0: the molecule exploded"):
            run_simulation(run_dir, task=2, step_fs=50, attempt=attempt)
    assert not (run_dir / "data").exists()


def test_a_structure_beyond_repair_is_named(run_dir):
    path = system_folder(run_dir) / "system.xml"
    system = openmm.XmlSerializer.deserialize(path.read_text())
    beyond = openmm.CustomExternalForce("1e6")
    beyond.addParticle(0, [])
    system.addForce(beyond)
    change_system(run_dir, openmm.XmlSerializer.serialize(system))
    with pytest.raises(StageError, match=r"system/topology\.pdb: not a start"):
        run_simulation(run_dir)


# Boxes


@pytest.fixture(scope="module")
def solvated(tmp_path_factory):
    """Alanine dipeptide in a small box of water whose size a barostat changes."""
    run_dir = new_run(
        tmp_path_factory.mktemp("solvated") / "run",
        solvent="explicit",
        padding_nm=0.6,
        cutoff_nm=0.6,
    )
    path = system_folder(run_dir) / "system.xml"
    system = openmm.XmlSerializer.deserialize(path.read_text())
    for force in system.getForces():
        if isinstance(force, openmm.MonteCarloBarostat):
            force.setFrequency(5)
    change_system(run_dir, openmm.XmlSerializer.serialize(system))
    return run_dir


BOXED = {
    "steps": 40,
    "report_every": 10,
    "checkpoint_every": 2,
    "hot_steps": 4,
    "platform": "CPU",
}


def test_boxes_are_kept_in_frames_and_starts(solvated, tmp_path):
    run_simulation(solvated, **BOXED)
    top = str(system_folder(solvated) / "topology.pdb")
    frames = mdtraj.load_dcd(str(trajectory_file(solvated, 0, 0)), top=top)
    box = mdtraj.load_pdb(top)
    assert np.allclose(frames.unitcell_lengths, box.unitcell_lengths, rtol=0.1)
    assert np.allclose(frames.unitcell_angles, box.unitcell_angles, atol=1e-3)
    assert len({tuple(box) for box in frames.unitcell_lengths.tolist()}) > 1
    choose(solvated, 0, [Frame(0, 0, 3)])
    frames[3].save_pdb(str(start_file(solvated, 0, 0)))
    run_simulation(solvated, 1, inference=0, **BOXED | {"steps": 1, "report_every": 1})
    first = mdtraj.load_dcd(str(trajectory_file(solvated, 1, 0)), top=top)
    assert first.unitcell_lengths[0] == pytest.approx(frames.unitcell_lengths[3], abs=2e-4)


# The file of frames


def test_frames_lie_in_the_file_as_openmm_writes_them(tmp_path):
    topology = app.PDBFile(str(PDB)).topology
    box = np.array([[2.0, 0, 0], [0.3, 2.1, 0], [-0.4, 0.5, 2.2]])
    topology.setPeriodicBoxVectors(box * unit.nanometer)
    drawn = np.random.default_rng(3).normal(0, 1, (4, 22, 3))
    with (tmp_path / "theirs.dcd").open("w+b") as file:
        theirs = app.DCDFile(file, topology, 0.002, interval=10)
        for positions in drawn:
            theirs.writeModel(positions * unit.nanometer, periodicBoxVectors=box * unit.nanometer)
    with DcdFile.opened(tmp_path / "ours.dcd", Layout(22, True, 10, 0.002)) as ours:
        for positions in drawn:
            ours.append(positions, box)
    found, expected = ((tmp_path / name).read_bytes() for name in ("ours.dcd", "theirs.dcd"))
    assert len(found) == len(expected)
    theirs, _, _ = read_dcd(tmp_path / "theirs.dcd")
    assert np.array_equal(read_dcd(tmp_path / "ours.dcd")[0], theirs)
    frames = [
        mdtraj.load_dcd(str(tmp_path / name), top=str(PDB)) for name in ("ours.dcd", "theirs.dcd")
    ]
    assert np.allclose(frames[0].unitcell_vectors, frames[1].unitcell_vectors)
    assert np.allclose(frames[0].unitcell_vectors[0], box, atol=1e-5)


def test_a_file_is_cut_to_the_frames_that_count(tmp_path):
    layout = Layout(3, False, 1, 0.001)
    drawn = np.random.default_rng(3).normal(0, 1, (5, 3, 3))
    for name, kept in (("whole", 5), ("short", 2)):
        with DcdFile.opened(tmp_path / name, layout) as file:
            for positions in drawn[:kept]:
                file.append(positions, np.eye(3))
    with DcdFile.opened(tmp_path / "cut", layout, kept=tmp_path / "whole", n_kept=2):
        pass
    assert (tmp_path / "cut").read_bytes() == (tmp_path / "short").read_bytes()
    with (
        pytest.raises(StageError, match="short: has fewer than 3 frames"),
        DcdFile.opened(tmp_path / "cut", layout, kept=tmp_path / "short", n_kept=3),
    ):
        pass


def test_frames_of_other_programs_are_read(tmp_path):
    drawn = np.random.default_rng(3).normal(0, 1, (6, 22, 3)).astype(np.float32)
    mdtraj.Trajectory(drawn, mdtraj.load_topology(str(PDB))).save_dcd(str(tmp_path / "md.dcd"))
    found, n_frames, n_atoms = read_dcd(tmp_path / "md.dcd", every=2, atoms=np.array([5, 1]))
    assert (n_frames, n_atoms) == (6, 22)
    assert np.allclose(found, drawn[::2][:, [5, 1]], atol=1e-6)


@pytest.mark.parametrize("box", [None, np.array([[2.0, 0, 0], [0.3, 2.1, 0], [-0.4, 0.5, 2.2]])])
def test_one_frame_is_read_with_its_box(tmp_path, box):
    path = tmp_path / "ours.dcd"
    drawn = np.random.default_rng(3).normal(0, 1, (4, 22, 3)).astype(np.float32)
    with DcdFile.opened(path, Layout(22, box is not None, 10, 0.002)) as file:
        for positions in drawn:
            file.append(positions, np.eye(3) if box is None else box)
    assert count_frames(path) == 4
    found, cell = read_frame(path, 2)
    assert np.allclose(found, drawn[2], atol=1e-6)
    theirs = mdtraj.load_frame(str(path), 2, top=str(PDB))
    if box is None:
        assert cell is None
    else:
        assert np.allclose(cell.lengths_nm, theirs.unitcell_lengths[0])
        assert np.allclose(cell.angles_deg, theirs.unitcell_angles[0])
        # MDTraj writes degrees, where CHARMM and OpenMM have cosines.
        theirs.save_dcd(str(tmp_path / "theirs.dcd"))
        again = read_frame(tmp_path / "theirs.dcd", 0)[1]
        assert np.allclose(again.angles_deg, cell.angles_deg, atol=1e-4)
    for missing in (-1, 4):
        with pytest.raises(StageError, match=rf"ours\.dcd: has no frame {missing}"):
            read_frame(path, missing)


# Settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, r"simulation\.steps: .*greater than 0"),
        ({"steps": 410}, r"simulation: .*multiple of report_every \(20\)"),
        ({"step_fs": float("nan")}, r"simulation\.step_fs"),
        ({"platform": "GPU"}, r"simulation\.platform: .*'Reference'"),
        ({"temperature": 300}, r"simulation\.temperature: "),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(run_dir, changes, message):
    with pytest.raises(WorkflowError, match=message):
        run_simulation(run_dir, **changes)


def test_what_was_told_of_a_simulation_is_never_taken_back(tmp_path):
    """Also after a third explosion it goes on, though who is not told would begin again."""
    run_dir, found = new_run(tmp_path / "run"), []
    folder = tmp_path / "task"

    def work(attempt, molecule):
        return Work.of(
            0,
            0,
            SimulationSettings.of(TINY, section="simulation"),
            seed=1,
            attempt=attempt,
            run_dir=str(run_dir),
            folder=folder,
            start=lambda: structure_start(run_dir, molecule.positions_nm),
            molecule=molecule,
            cores=1,
            gpus=0,
            told=found.append,
        )

    whole = load(system_folder(run_dir))
    work(1, whole).done()
    assert [len(one.potential_kj_mol) for one in found] == [5, 10, 15, 20, 20]
    record = record_file(run_dir, 0, 0)
    record.unlink()
    first = work(1, whole)
    found.clear()

    def stop_after_two(progress):
        found.append(progress)
        if len(found) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(first, told=stop_after_two).done()
    checkpoint = Checkpoint.read(folder, first.job)
    exploded = Explosion(attempt=2, frame=11, potential_kj_mol=None)
    checkpoint.changed(explosions=(exploded,)).write(folder)
    energies = found[-1].potential_kj_mol
    work(3, whole).done()
    assert Record.read(run_dir, 0, 0).potential_kj_mol[:10] == energies
    assert Record.read(run_dir, 0, 0).draw == 2
