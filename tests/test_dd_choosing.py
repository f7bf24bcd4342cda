"""DeepDriveMD's inference: scores, strategies, starts and convergence, on files of known places."""

import sys

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("h5py")
pytest.importorskip("mdtraj")

import mdtraj

from stretto import WorkflowError
from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.choosing import InferenceSettings, infer
from stretto.apps.deepdrivemd.choosing.convergence import growth
from stretto.apps.deepdrivemd.choosing.outliers import knee, rarity, standardised
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.learning import Model, train
from stretto.apps.deepdrivemd.places import (
    block_file,
    inference_file,
    latent_file,
    model_file,
    start_file,
    system_folder,
    trajectory_file,
)
from tests.dd_parts import choice, distances, positions, write_block, write_iteration

MODEL = {"kind": "autoencoder", "widths": [8], "latent": 1, "updates": 300, "batch": 32}
PLANTED = (0, 1, 17)


def run_training(run_dir, iteration=0, *, before=None, **settings):
    return train(
        iteration=iteration,
        seed=7 + iteration,
        attempt=1,
        run_dir=str(run_dir),
        inputs={"aggregation": iteration, "training": before},
        cores=1,
        gpus=0,
        settings=MODEL | settings,
    )


def run_inference(run_dir, iteration=0, *, model=0, simulations=2, seed=5, settings=(), **fields):
    return infer(
        iteration=iteration,
        seed=seed,
        run_dir=str(run_dir),
        inputs={"aggregation": iteration, "training": model},
        cores=1,
        gpus=0,
        settings={"neighbours": 10, "gap": 4} | dict(settings),
        simulations=simulations,
        **fields,
    )


def coordinates(seed=0, simulations=2, frames=40):
    return np.random.default_rng(seed).uniform(0.1, 0.15, (simulations, frames))


def planted():
    """Return the coordinates of two simulations, of which one frame is far from all others."""
    found = coordinates()
    found[PLANTED[1:]] = 0.3
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a run with one iteration and its model; how near frames are is their coordinate."""
    run_dir = tmp_path_factory.mktemp("made")
    found = planted().ravel()
    write_iteration(run_dir, 0, planted(), rmsd_nm=found, native_contacts=1 - found)
    run_training(run_dir)
    return run_dir


@pytest.fixture
def run_dir(made, tmp_path):
    """Return a copy of that run."""
    for path in made.rglob("*.*"):
        copy = tmp_path / path.relative_to(made)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return tmp_path


def start_nm(run_dir, iteration, number):
    return mdtraj.load(str(start_file(run_dir, iteration, number))).xyz[0]


def frames_of(found):
    return [tuple(start["frame"]) for start in found["starts"]]


# What is chosen


@pytest.mark.parametrize("method", ["lof", "dbscan"])
def test_a_planted_outlier_is_chosen_first(run_dir, method):
    run_inference(run_dir, settings={"method": method})
    found = choice(run_dir, 0)
    assert frames_of(found)[0] == PLANTED
    limit = {"lof": 1.5, "dbscan": 1}[method]
    assert found["starts"][0]["score"] > limit
    assert 1 <= found["outliers"]["frames"] <= 10
    assert (found["outliers"]["eps"] is None) == (method == "lof")


def test_every_start_is_the_frame_that_its_record_names(run_dir, capfd):
    run_inference(run_dir, simulations=5)
    assert capfd.readouterr() == ("", "")
    found = choice(run_dir, 0)
    assert [start["simulation"] for start in found["starts"]] == list(range(5))
    for start in found["starts"]:
        iteration, simulation, frame = start["frame"]
        assert (iteration, start["model"]) == (0, 0)
        expected = planted()[simulation, frame]
        placed = start_nm(run_dir, 0, start["simulation"])
        assert placed == pytest.approx(positions([expected])[0], abs=1e-4)
        assert start["rmsd_nm"] == pytest.approx(expected, abs=1e-6)
        assert start["native_contacts"] == pytest.approx(1 - expected, abs=1e-6)


def test_a_start_has_the_names_of_the_molecule(run_dir):
    run_inference(run_dir)
    assert " CA  HSD" in start_file(run_dir, 0, 1).read_text()


def test_the_latent_space_is_kept_with_what_was_chosen(run_dir):
    run_inference(run_dir)
    found = choice(run_dir, 0)
    with np.load(latent_file(run_dir, 0)) as latent:
        assert latent["embedding"].shape == (80, 1)
        assert [tuple(row) for row in latent["frames"][latent["chosen"]]] == frames_of(found)
        scores = latent["scores"][latent["chosen"]]
    assert scores == pytest.approx([start["score"] for start in found["starts"]], abs=1e-6)


@pytest.mark.parametrize("strategy", ["outliers", "outliers-rmsd", "random", "continue"])
def test_same_seeds_same_choices(run_dir, tmp_path_factory, strategy):
    other = tmp_path_factory.mktemp("other")
    write_iteration(other, 0, planted(), rmsd_nm=planted().ravel(), native_contacts=[0] * 80)
    run_training(other)
    for one in (run_dir, other):
        run_inference(one, settings={"strategy": strategy})
    assert frames_of(choice(run_dir, 0)) == frames_of(choice(other, 0))
    for number in range(2):
        one, two = (start_file(folder, 0, number).read_bytes() for folder in (run_dir, other))
        assert one == two


def test_starts_are_apart_in_time_and_in_the_latent_space(run_dir):
    settings = {"separation": 0.3, "gap": 4}
    run_inference(run_dir, simulations=6, settings=settings)
    with np.load(latent_file(run_dir, 0)) as latent:
        rows = latent["chosen"]
        names, places = latent["frames"][rows], standardised(latent["embedding"])[rows]
    for number in range(6):
        for other in range(number):
            assert abs(places[number] - places[other]) >= 0.3
            same = (names[number, :2] == names[other, :2]).all()
            assert not same or abs(names[number, 2] - names[other, 2]) >= 4


def test_distance_is_given_up_before_a_simulation_is(run_dir):
    run_inference(run_dir, simulations=12, settings={"separation": 100, "gap": 1000})
    assert len(set(frames_of(choice(run_dir, 0)))) == 12


def test_fewer_frames_than_simulations_are_taken_again(tmp_path):
    write_iteration(tmp_path, 0, coordinates(frames=2))
    run_inference(tmp_path, simulations=10, model=None, settings={"strategy": "random"})
    found = frames_of(choice(tmp_path, 0))
    assert len(set(found)) == 4
    assert found[:4] == found[4:8]


def test_with_rmsd_the_nearest_of_the_rarest_are_chosen(run_dir):
    settings = {"strategy": "outliers-rmsd", "separation": 0, "gap": 1, "shortlist": 10}
    run_inference(run_dir, simulations=3, settings=settings)
    found = choice(run_dir, 0)
    with np.load(latent_file(run_dir, 0)) as latent:
        scores, names = latent["scores"], latent["frames"]
    rarest = np.argsort(-scores, kind="stable")[:10]
    nearest = rarest[np.argsort(planted()[tuple(names[rarest, 1:].T)], kind="stable")][:3]
    assert frames_of(found) == [tuple(names[row]) for row in nearest]


def test_random_starts_follow_the_seed_and_need_no_model(run_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    chosen = []
    for seed in (1, 1, 2):
        run_inference(
            run_dir, seed=seed, model=None, simulations=8, settings={"strategy": "random"}
        )
        chosen.append(frames_of(choice(run_dir, 0)))
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(set(chosen[0])) == 8
    assert choice(run_dir, 0)["model"] is None
    assert not latent_file(run_dir, 0).exists()


def test_plain_simulations_go_on_from_their_own_last_frames(tmp_path):
    for iteration in range(2):
        write_iteration(tmp_path, iteration, coordinates(iteration, simulations=3))
    # Simulation 1 has failed for good, simulation 2 has left a file that cannot be read.
    trajectory_file(tmp_path, 1, 1).unlink()
    trajectory_file(tmp_path, 1, 2).write_bytes(b"\xff" * 100)
    settings = {"strategy": "continue", "most_frames": 20}
    run_inference(tmp_path, 1, model=None, simulations=4, settings=settings)
    found = choice(tmp_path, 1)
    # There is no simulation 3 yet: it goes on from another one's.
    assert frames_of(found) == [(1, 0, 39), (0, 1, 39), (0, 2, 39), (1, 0, 39)]
    assert start_nm(tmp_path, 1, 1)[2, 1] == pytest.approx(coordinates(0, 3)[1, -1], abs=1e-4)
    (told,) = found["passed_over"]
    assert (told["iteration"], told["simulation"]) == (1, 2)


def test_a_model_may_be_older_than_the_frames_and_its_age_is_told(run_dir):
    write_iteration(run_dir, 1, coordinates(1), rmsd_nm=[1] * 80, native_contacts=[0] * 80)
    run_inference(run_dir, 1, model=0)
    found = choice(run_dir, 1)
    assert (found["model"], found["trained_in"], found["model_age"]) == (0, 0, 1)
    assert {start["model"] for start in found["starts"]} == {0}
    assert found["frames"] == 160


def test_a_model_that_fell_back_is_as_old_as_its_weights(run_dir):
    write_iteration(run_dir, 1, coordinates(1), rmsd_nm=[1] * 80, native_contacts=[0] * 80)
    wild = {"learning_rate": 1e30}
    run_training(run_dir, 1, before=0, **wild)
    run_inference(run_dir, 1, model=1)
    found = choice(run_dir, 1)
    assert (found["model"], found["trained_in"], found["model_age"]) == (1, 0, 1)


def test_a_run_that_continues_another_uses_its_frames_and_its_model(run_dir):
    write_iteration(run_dir, 1, coordinates(1), rmsd_nm=[1] * 80, native_contacts=[0] * 80)
    infer(
        iteration=0,
        seed=1,
        run_dir=str(run_dir),
        inputs={"aggregation": 0, "training": None},
        cores=1,
        gpus=0,
        settings={"neighbours": 10},
        simulations=2,
        first=1,
    )
    found = choice(run_dir, 1)
    assert (found["iteration"], found["frames"], found["model"]) == (1, 160, 0)


# Scores


def test_a_state_that_is_one_point_is_no_outlier():
    rng = np.random.default_rng(0)
    scattered = rng.normal(0, 1, (100, 2))
    often, seldom = np.full((30, 2), 5.0), np.full((2, 2), -5.0)
    latent = np.concatenate([scattered, often, seldom])
    for method in ("lof", "dbscan"):
        scores = rarity(latent, InferenceSettings(neighbours=10, method=method)).scores
        assert scores[100:130].max() <= 1
        assert scores[130:].min() > 1.5
        assert scores[130] == scores.max()


def test_dbscan_ranks_noise_by_its_distance_from_the_clusters():
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    latent = np.concatenate([grid, [[20.0, 5.0], [30.0, 5.0]]])
    settings = InferenceSettings(method="dbscan", neighbours=4, eps=1.5)
    found = rarity(latent, settings)
    assert (found.outliers, found.clusters, found.eps) == (2, 1, 1.5)
    assert found.scores[-2:] == pytest.approx([11 / 1.5, 21 / 1.5])
    assert found.scores[:100].max() <= 1
    # Without any cluster all frames are noise.
    alone = rarity(latent, InferenceSettings(method="dbscan", neighbours=4, eps=0.1))
    assert (alone.outliers, alone.clusters) == (102, 0)


def test_the_knee_is_where_distances_begin_to_rise():
    distance = np.concatenate([np.linspace(1, 1.1, 95), np.linspace(2, 10, 5)])
    assert knee(distance) == pytest.approx(1.1)
    assert knee(np.zeros(5)) > 0


def test_a_latent_number_that_the_model_does_not_use_stays_small():
    rng = np.random.default_rng(0)
    latent = rng.normal(0, (2.0, 0.5, 0.001), (1000, 3))
    assert standardised(latent).std(axis=0) == pytest.approx([1, 1, 0.005], rel=0.1)


def test_two_frames_are_enough_to_choose_from():
    settings = InferenceSettings()
    assert rarity(np.zeros((3, 2)), settings).scores.tolist() == [1, 1, 1]
    assert len(rarity(np.array([[0.0], [1.0]]), settings).scores) == 2


# Convergence


def test_without_conditions_the_loop_never_converges(run_dir):
    result = run_inference(run_dir)
    assert result == {"converged": False, "inference": str(inference_file(run_dir, 0))}


@pytest.mark.parametrize(
    ("until", "converged"),
    [
        ({"rmsd_nm": 0.11}, True),
        ({"rmsd_nm": 0.09}, False),
        ({"native_contacts": 0.89}, True),
        ({"native_contacts": 0.91}, False),
        ({"rmsd_nm": 0.09, "native_contacts": 0.89}, True),
        ({"growth": 1}, False),  # There is nothing to compare with.
    ],
)
def test_the_loop_converges_as_soon_as_one_condition_holds(run_dir, until, converged):
    # Few frames are looked at, all of them count.
    result = run_inference(run_dir, settings={"until": until, "most_frames": 12})
    assert result["converged"] is converged
    found = choice(run_dir, 0)
    assert found["converged"] is converged
    assert bool(found["conditions_held"]) is converged
    (best,) = found["iterations"]
    assert best["frames"] == 80
    assert best["rmsd_nm"] == pytest.approx(planted().min(), abs=1e-6)


def test_growth_is_the_share_of_frames_in_new_space():
    rng = np.random.default_rng(0)
    earlier, again = rng.normal(0, 1, (2000, 2)), rng.normal(0, 1, (500, 2))
    away = rng.normal(9, 0.5, (500, 2))
    iterations = np.repeat([0, 1, 2], [1000, 1000, 500])
    nothing_new = growth(np.concatenate([earlier, again]), iterations, neighbours=20)
    assert nothing_new == pytest.approx(0.01, abs=0.02)
    assert growth(np.concatenate([earlier, away]), iterations, neighbours=20) == 1
    half = np.concatenate([earlier, again[:250], away[:250]])
    assert growth(half, iterations, neighbours=20) == pytest.approx(0.5, abs=0.02)
    assert growth(earlier, np.zeros(2000, dtype=int), neighbours=20) is None


def test_a_loop_that_finds_nothing_new_converges_by_growth(run_dir):
    for iteration, made in ((1, coordinates(1)), (2, coordinates(2) + 1)):
        write_iteration(run_dir, iteration, made, rmsd_nm=[1] * 80, native_contacts=[0] * 80)
        result = run_inference(run_dir, iteration, settings={"until": {"growth": 0.1}})
        assert result["converged"] is (iteration == 1)
    assert choice(run_dir, 2)["growth"] == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"until": {"rmsd_nm": 0.1}},
        {"until": {"native_contacts": 0.8}},
        {"strategy": "outliers-rmsd"},
    ],
)
def test_what_needs_a_reference_says_so_where_there_is_none(tmp_path, settings):
    write_iteration(tmp_path, 0, coordinates())
    run_training(tmp_path, updates=5)
    with pytest.raises(WorkflowError, match=r"^inference\..*reference structure"):
        run_inference(tmp_path, settings=settings)
    assert not inference_file(tmp_path, 0).exists()


# What goes wrong


def test_a_trajectory_that_cannot_be_read_is_passed_over(run_dir):
    trajectory_file(run_dir, 0, 1).write_bytes(trajectory_file(run_dir, 0, 1).read_bytes()[:50])
    run_inference(run_dir, simulations=3)
    found = choice(run_dir, 0)
    assert {frame[:2] for frame in frames_of(found)} == {(0, 0)}
    (told,) = found["passed_over"]
    assert (told["iteration"], told["simulation"]) == (0, 1)
    assert "simulation-001.dcd" in told["reason"]
    trajectory_file(run_dir, 0, 0).unlink()
    for strategy in ("outliers", "random", "continue"):
        with pytest.raises(
            StageError, match=r"no trajectory is left to start from: .*simulation-001\.dcd"
        ):
            run_inference(run_dir, settings={"strategy": strategy})


def test_frames_that_are_not_there_or_not_finite_are_passed_over(run_dir):
    short = trajectory_file(run_dir, 0, 1)
    whole = short.read_bytes()
    write_iteration(run_dir, 0, planted()[:, :5], blocks=False)
    short.replace(trajectory_file(run_dir, 0, 0).with_name("short.dcd"))
    write_iteration(run_dir, 0, planted(), blocks=False)
    short.with_name("short.dcd").replace(short)
    run_inference(run_dir)
    (told,) = choice(run_dir, 0)["passed_over"]
    assert told["reason"].endswith("simulation-001.dcd: has no frame 17")
    short.write_bytes(whole)
    broken = planted()
    broken[PLANTED[1:]] = np.nan
    write_iteration(run_dir, 0, broken, blocks=False)
    run_inference(run_dir)
    (told,) = choice(run_dir, 0)["passed_over"]
    assert told["reason"].endswith("frame 17 has positions that are not finite")


def test_a_missing_molecule_is_named(run_dir):
    (system_folder(run_dir) / "topology.pdb").unlink()
    with pytest.raises(StageError, match=r"system/topology\.pdb: no readable structure"):
        run_inference(run_dir)


def test_a_missing_or_damaged_model_is_named(run_dir):
    with pytest.raises(StageError, match="needs a model"):
        run_inference(run_dir, model=None)
    write_block(run_dir, 0, distances(positions(planted().ravel()))[:, :5])
    with pytest.raises(StageError, match=r"iteration-000/model\.pt: .*expects distances \(6,\)"):
        run_inference(run_dir)
    model_file(run_dir, 0).write_bytes(b"nothing")
    with pytest.raises(StageError, match=r"iteration-000/model\.pt: damaged"):
        run_inference(run_dir)
    model_file(run_dir, 0).unlink()
    with pytest.raises(StageError, match=r"iteration-000/model\.pt: no such file"):
        run_inference(run_dir)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda weight: weight * 0, "embeds all frames as one point"),
        (lambda weight: np.full_like(weight, 3e38), "not finite"),
    ],
)
def test_a_model_that_says_nothing_is_named(run_dir, changed, message):
    model = Model.load(model_file(run_dir, 0))
    last = "encoder.2.weight"
    weights = {**model.weights, last: changed(model.weights[last])}
    weights["encoder.0.weight"] = changed(model.weights["encoder.0.weight"])
    Model(
        model.settings,
        model.features,
        model.shape,
        model.scaling,
        weights,
        model.iteration,
        model.parent,
    ).save(model_file(run_dir, 0))
    with pytest.raises(StageError, match=rf"iteration-000/model\.pt: .*{message}"):
        run_inference(run_dir)


def test_a_missing_block_is_named_or_made_again(run_dir):
    block = Block.read(block_file(run_dir, 0, 0))
    block_file(run_dir, 0, 0).unlink()
    with pytest.raises(StageError, match=r"aggregation-000\.h5: no such file"):
        run_inference(run_dir)
    run_inference(run_dir, remake=lambda iteration, number: block)
    assert len(choice(run_dir, 0)["remade"]) == 1
    assert frames_of(choice(run_dir, 0))[0] == PLANTED


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "best"}, r"inference\.strategy: "),
        ({"gap": 0}, r"inference\.gap: "),
        ({"until": {}}, r"inference\.until: .*expected one of rmsd_nm"),
        ({"until": {"rmsd": 1}}, r"inference\.until\.rmsd: "),
        ({"until": {"growth": 0.1}, "strategy": "random"}, "until.growth needs a model"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(run_dir, settings, message):
    with pytest.raises(WorkflowError, match=message):
        run_inference(run_dir, settings=settings)


def test_settings_say_what_each_key_is():
    until = InferenceSettings.model_fields["until"].annotation.__args__[0]
    for section in (InferenceSettings, until):
        assert all(field.description for field in section.model_fields.values())
