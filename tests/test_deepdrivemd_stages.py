"""The stages of DeepDriveMD, run for real on alanine dipeptide at tiny sizes."""

import inspect
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("openmm")
pytest.importorskip("torch")
pytest.importorskip("sklearn")

from stretto import WorkflowError
from stretto.apps import deepdrivemd
from stretto.apps.deepdrivemd import StageError, aggregate, coverage, infer, simulate, train
from stretto.apps.deepdrivemd import arguments as deepdrivemd_arguments
from stretto.apps.deepdrivemd.autoencoder import Model, model_file
from stretto.apps.deepdrivemd.features import Features, features_file, features_until
from stretto.apps.deepdrivemd.geometry import pair_distances, torsions
from stretto.apps.deepdrivemd.inference import inference_file, read_start
from stretto.apps.deepdrivemd.molecule import choose_platform, shipped_molecule
from stretto.apps.deepdrivemd.trajectory import NO_FRAME, Trajectory, trajectory_file

SHIPPED = yaml.safe_load((Path(deepdrivemd.__file__).parent / "workflow.yaml").read_text())
SIMULATIONS = 3
TINY = {
    "simulation": {"steps": 400, "report_every": 20, "hot_steps": 100},
    "aggregation": {"simulations": SIMULATIONS},
    "training": {"updates": 60, "batch": 16, "hidden": [16], "latent": 2, "learning_rate": 0.003},
    "inference": {"starts": SIMULATIONS, "neighbours": 5, "gap": 4},
}


def tiny(name, **changes):
    return SHIPPED["task_sets"][name]["arguments"] | TINY[name] | changes


def run_simulation(run_dir, iteration, task, *, inference=None, attempt=1, **changes):
    return simulate(
        task=task,
        iteration=iteration,
        seed=100 * iteration + task,
        attempt=attempt,
        run_dir=str(run_dir),
        inputs={"inference": inference},
        gpus=0,
        **tiny("simulation", **changes),
    )


def run_training(run_dir, iteration, *, before=None, **changes):
    return train(
        iteration=iteration,
        seed=7 + iteration,
        run_dir=str(run_dir),
        inputs={"aggregation": iteration, "training": before},
        cores=1,
        gpus=0,
        **tiny("training", **changes),
    )


def run_inference(run_dir, iteration, *, model=None, **changes):
    return infer(
        iteration=iteration,
        run_dir=str(run_dir),
        inputs={"training": iteration if model is None else model},
        cores=1,
        gpus=0,
        **tiny("inference", **changes),
    )


def run_loop(run_dir, iterations):
    for iteration in range(iterations):
        before = iteration - 1 if iteration else None
        for task in range(SIMULATIONS):
            run_simulation(run_dir, iteration, task, inference=before)
        aggregate(iteration=iteration, run_dir=str(run_dir), **tiny("aggregation"))
        run_training(run_dir, iteration, before=before)
        run_inference(run_dir, iteration)


def trajectories(run_dir, iteration):
    return [
        Trajectory.read(trajectory_file(run_dir, iteration, task)) for task in range(SIMULATIONS)
    ]


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("loop")
    run_loop(run_dir, 2)
    return run_dir


def made_features(run_dir, iteration, *, seed=0, frames=40, pairs=6):
    rng = np.random.default_rng(seed)
    names = np.array([[iteration, row // 10, row % 10] for row in range(frames)])
    Features(
        rng.normal(0.4, 0.05, (frames, pairs)).astype(np.float32),
        rng.uniform(-np.pi, np.pi, (frames, 2)),
        names,
    ).write(features_file(run_dir, iteration))


# The molecule and its coordinates


def test_shipped_molecule_is_l_alanine_with_trans_peptides():
    molecule = shipped_molecule()
    assert molecule.positions_nm.shape == (22, 3)
    assert len(molecule.heavy_atoms) == 10
    # CH3 C N CA, and CA C N CH3
    planes = torsions(molecule.positions_nm[None], np.array([[0, 4, 6, 8], [8, 14, 16, 18]]))
    assert np.abs(planes) == pytest.approx(np.pi, abs=0.2)
    n, ca, cb, c = molecule.positions_nm[[6, 8, 10, 14]]
    assert np.dot(np.cross(n - ca, c - ca), cb - ca) > 0


def test_torsion_has_the_iupac_sign_and_does_not_depend_on_the_place():
    corners = np.array([[[1.0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1]]])
    quarter = np.array([[0, 1, 2, 3]])
    # Looking along the axis, from the first corner to the last it goes clockwise: positive.
    expected = torsions(corners, quarter)
    assert np.abs(expected) == pytest.approx(np.pi / 2)
    assert torsions(corners * [1, -1, 1], quarter) == pytest.approx(-expected)
    turned = corners @ np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]) + 5
    assert torsions(turned, quarter) == pytest.approx(expected)


def test_torsions_agree_with_openmm():
    molecule = shipped_molecule()
    positions_nm, quadruples = molecule.positions_nm, molecule.torsion_atoms
    expected = [torsion_by_openmm(positions_nm, atoms) for atoms in quadruples.tolist()]
    assert torsions(positions_nm[None], quadruples)[0] == pytest.approx(expected, abs=1e-4)


def torsion_by_openmm(positions_nm, atoms):
    """Return the angle that OpenMM sees, as the energy of a force whose energy is the angle."""
    openmm = pytest.importorskip("openmm")
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


def test_distances_are_of_all_pairs():
    positions = np.array([[[0.0, 0, 0], [3, 0, 0], [0, 4, 0]]])
    assert pair_distances(positions, np.arange(3)).tolist() == [[3, 4, 5]]


def test_platform_follows_the_gpus_a_task_was_given():
    assert choose_platform(["Reference", "CPU", "OpenCL", "CUDA"], gpus=1) == "CUDA"
    assert choose_platform(["Reference", "CPU", "OpenCL"], gpus=0.5) == "OpenCL"
    assert choose_platform(["Reference", "CPU"], gpus=1) == "Reference"
    assert choose_platform(["Reference", "CPU", "CUDA"], gpus=0) == "Reference"


# The loop


def test_simulations_without_an_inference_start_at_different_places(loop):
    first = trajectories(loop, 0)
    assert [one.parent for one in first] == [NO_FRAME] * SIMULATIONS
    molecule = shipped_molecule()
    angles = np.array([torsions(one.positions_nm[:1], molecule.torsion_atoms)[0] for one in first])
    apart = np.abs(angles[:, None] - angles[None]).max(axis=-1)
    assert (apart[np.triu_indices(SIMULATIONS, 1)] > 0.05).all()


def test_frames_are_of_a_whole_molecule(loop):
    for trajectory in trajectories(loop, 0) + trajectories(loop, 1):
        assert trajectory.positions_nm.shape == (20, 22, 3)
        assert trajectory.ps_per_frame == pytest.approx(0.04)
        assert trajectory.platform == "Reference"
        n, ca = trajectory.positions_nm[:, 6], trajectory.positions_nm[:, 8]
        assert np.linalg.norm(n - ca, axis=1) == pytest.approx(0.145, abs=0.02)


def test_every_restart_leads_back_to_the_frame_it_started_from(loop):
    for task, trajectory in enumerate(trajectories(loop, 1)):
        parent = trajectory.parent
        assert parent.iteration == 0
        assert trajectory.inference == 0
        origin = Trajectory.read(trajectory_file(loop, parent.iteration, parent.task))
        assert np.array_equal(trajectory.start_nm, origin.positions_nm[parent.frame])
        assert read_start(loop, 0, task)[0] == parent


def test_a_model_goes_on_from_the_one_before(loop):
    first, second = (Model.read(model_file(loop, iteration)) for iteration in range(2))
    assert (first.parent, second.parent) == (-1, 0)
    assert first.sizes == second.sizes == (45, 16, 2)
    assert first.loss.shape == (60,)
    assert second.loss[:10].mean() < first.loss[:10].mean()
    assert second.scale == first.scale


def test_starting_frames_are_outliers_apart_from_each_other(loop):
    with np.load(inference_file(loop, 1)) as chosen:
        frames, scores = chosen["frames"], chosen["scores"]
    assert len({tuple(frame) for frame in frames}) == SIMULATIONS
    assert (scores > 1).all()
    for number, frame in enumerate(frames):
        for other in frames[:number]:
            same = (frame[:2] == other[:2]).all()
            assert not same or abs(frame[2] - other[2]) >= 4


def test_summary_says_what_was_chosen_and_seen(loop):
    summary = json.loads(inference_file(loop, 1).with_suffix(".json").read_text())
    with np.load(inference_file(loop, 1)) as chosen:
        assert [list(start["from"].values()) for start in summary["starts"]] == chosen[
            "frames"
        ].tolist()
    seen = coverage(loop)
    assert [one.iteration for one in seen] == [0, 1]
    assert [one.frames for one in seen] == [60, 60]
    assert seen[1].visited == len({*seen[0].cells, *seen[1].cells})
    assert summary["coverage"]["visited_by_iteration"] == [one.visited for one in seen]


def test_same_seeds_same_choices(loop, tmp_path):
    run_loop(tmp_path, 1)
    for name in ("simulation-002", "features", "model", "inference"):
        with (
            np.load(loop / f"data/iteration-000/{name}.npz") as expected,
            np.load(tmp_path / f"data/iteration-000/{name}.npz") as found,
        ):
            assert expected.files == found.files
            for array in expected.files:
                assert np.array_equal(expected[array], found[array]), array


def test_a_new_attempt_replaces_the_file_and_draws_anew(tmp_path):
    path = run_simulation(tmp_path, 0, 0)
    first = Trajectory.read(Path(path))
    assert run_simulation(tmp_path, 0, 0, attempt=2) == path
    second = Trajectory.read(Path(path))
    assert second.seeds == (0, 2)
    assert not np.array_equal(first.positions_nm, second.positions_nm)
    assert [one.name for one in Path(path).parent.iterdir()] == ["simulation-000.npz"]


# What goes wrong


def test_an_exploded_simulation_says_so_and_leaves_nothing(tmp_path):
    with pytest.raises(StageError, match="simulation 2 of iteration 0 failed"):
        run_simulation(tmp_path, 0, 2, step_fs=50)
    assert not list(tmp_path.rglob("*.*"))


def test_a_simulation_without_a_starting_frame_names_the_file(loop, tmp_path):
    with pytest.raises(StageError, match=r"iteration-000/inference\.npz: no such file"):
        run_simulation(tmp_path, 1, 0, inference=0)
    with pytest.raises(StageError, match="none for simulation 3"):
        run_simulation(loop, 1, 3, inference=0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b""), "damaged or unreadable"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "damaged or unreadable"),
        (lambda path: path.write_bytes(b"\xff" * 400), "damaged or unreadable"),
        (lambda path: flip(path), "damaged or unreadable"),
        (lambda path: bare(path), "found one array"),
        (lambda path: change(path, positions_nm=None), "has no array positions_nm"),
        (lambda path: change(path, positions_nm=np.zeros((2, 2))), "expected 3 dimensions"),
        (lambda path: change(path, positions_nm=np.zeros((0, 22, 3))), "frames of 22 atoms"),
        (lambda path: change(path, positions_nm=np.full((2, 22, 3), np.nan)), "not finite"),
    ],
)
def test_aggregation_names_a_trajectory_it_cannot_use(loop, tmp_path, damage, message):
    for task in range(SIMULATIONS):
        path = trajectory_file(tmp_path, 0, task)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(trajectory_file(loop, 0, task).read_bytes())
    damage(trajectory_file(tmp_path, 0, 1))
    with pytest.raises(StageError, match=rf"iteration-000/simulation-001\.npz: .*{message}"):
        aggregate(iteration=0, run_dir=str(tmp_path), simulations=SIMULATIONS)
    assert not features_file(tmp_path, 0).exists()


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 0xFF
    path.write_bytes(data)


def bare(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def change(path, **arrays):
    with np.load(path) as archive:
        changed = {name: archive[name] for name in archive.files} | arrays
    np.savez(path, **{name: array for name, array in changed.items() if array is not None})


def test_training_needs_every_iteration_so_far(tmp_path):
    made_features(tmp_path, 1)
    with pytest.raises(StageError, match=r"iteration-000/features\.npz: no such file"):
        run_training(tmp_path, 1)
    made_features(tmp_path, 0, pairs=7)
    with pytest.raises(StageError, match=r"iteration-001/features\.npz: has other distances"):
        run_training(tmp_path, 1)


def test_training_goes_on_only_from_a_model_of_the_same_layers(tmp_path):
    made_features(tmp_path, 0)
    made_features(tmp_path, 1)
    with pytest.raises(StageError, match=r"iteration-000/model\.npz: no such file"):
        run_training(tmp_path, 1, before=0)
    run_training(tmp_path, 0, hidden=[8])
    with pytest.raises(StageError, match=r"has layers \(6, 8, 2\), expected \(6, 16, 2\)"):
        run_training(tmp_path, 1, before=0)


def test_a_training_that_diverges_says_so_and_leaves_no_model(tmp_path):
    made_features(tmp_path, 0)
    with pytest.raises(StageError, match="training of iteration 0 diverged at update"):
        run_training(tmp_path, 0, learning_rate=1e30)
    assert not model_file(tmp_path, 0).exists()


def test_training_leaves_the_global_generator_alone(tmp_path):
    torch = pytest.importorskip("torch")
    made_features(tmp_path, 0)
    before = torch.random.get_rng_state()
    run_training(tmp_path, 0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_inference_refuses_what_it_cannot_choose_from(tmp_path):
    made_features(tmp_path, 0)
    with pytest.raises(StageError, match=r"iteration-000/model\.npz: no such file"):
        run_inference(tmp_path, 0)
    with pytest.raises(StageError, match="expected at least 41 frames, found 40"):
        run_inference(tmp_path, 0, starts=41)
    run_training(tmp_path, 0)
    with pytest.raises(StageError, match=r"simulation-\d+\.npz: no such file"):
        run_inference(tmp_path, 0)
    made_features(tmp_path, 0, pairs=9)
    with pytest.raises(StageError, match="expects 6 distances, found 9"):
        run_inference(tmp_path, 0)


def test_inference_gives_up_distance_before_it_gives_up_a_simulation(loop, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "iteration-000").symlink_to(loop / "data/iteration-000")
    (folder / "iteration-001").mkdir()
    for path in (loop / "data/iteration-001").glob("*.npz"):
        (folder / "iteration-001" / path.name).symlink_to(path)
    path = run_inference(tmp_path, 1, separation=100.0, gap=1000, starts=12)
    with np.load(path) as chosen:
        assert len({tuple(frame) for frame in chosen["frames"]}) == 12


def test_frames_for_the_model_are_bounded_and_shared_by_the_iterations(tmp_path):
    for iteration in range(3):
        made_features(tmp_path, iteration)
    features = features_until(tmp_path, 2, most_frames=30)
    assert [int((features.frames[:, 0] == number).sum()) for number in range(3)] == [10, 10, 10]
    assert len(features_until(tmp_path, 2, most_frames=1000)) == 120
    assert features_until(tmp_path, 2, most_frames=2).frames[:, 0].tolist() == [1, 2]


def test_coverage_counts_an_angle_at_the_seam_once(tmp_path):
    angles = np.array([[-np.pi, 0.1], [np.pi, 0.1], [0.1, 0.1]])
    frames = np.array([[0, 0, row] for row in range(3)])
    Features(np.ones((3, 1), np.float32), angles, frames).write(features_file(tmp_path, 0))
    (seen,) = coverage(tmp_path, bins=4)
    assert seen.cells == ((0, 2), (2, 2))
    assert coverage(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("steps", 1.5), ("report_every", 401), ("step_fs", float("nan"))],
)
def test_an_argument_that_cannot_be_used_is_named(tmp_path, name, value):
    with pytest.raises(WorkflowError, match=f"arguments.{name}: expected"):
        run_simulation(tmp_path, 0, 0, **{name: value})


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "openmm", None)
    with pytest.raises(WorkflowError, match=r"needs openmm .*stretto\[deepdrivemd\]"):
        deepdrivemd_arguments.extra("openmm")


def test_the_package_imports_without_its_extras():
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['openmm', 'torch', 'sklearn']))\n"
        "import stretto.apps.deepdrivemd\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_errors_survive_the_way_back_from_a_worker():
    error = pickle.loads(pickle.dumps(StageError("frames.npz: no such file")))
    assert str(error) == "frames.npz: no such file"


def test_shipped_arguments_and_the_fields_fill_every_stage():
    fields = {"task", "iteration", "seed", "attempt", "run_dir", "inputs", "cores", "gpus"}
    for task_set in SHIPPED["task_sets"].values():
        stage = getattr(deepdrivemd, task_set["function"].partition(":")[2])
        parameters = set(inspect.signature(stage).parameters)
        assert set(task_set["arguments"]) <= parameters
        assert parameters - set(task_set["arguments"]) <= fields


def test_numbers_repeated_in_the_shipped_description_agree():
    sets = SHIPPED["task_sets"]
    simulations = sets["simulation"]["tasks"]
    assert sets["aggregation"]["arguments"]["simulations"] == simulations
    assert sets["inference"]["arguments"]["starts"] == simulations
