"""DeepDriveMD's models and their training, with PyTorch at tiny sizes."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("h5py")
pytest.importorskip("mdtraj")

import torch

from stretto import WorkflowError
from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.gathering import gather
from stretto.apps.deepdrivemd.learning import Model, ModelSettings, train
from stretto.apps.deepdrivemd.learning.fitting import held_out
from stretto.apps.deepdrivemd.learning.model import device_of
from stretto.apps.deepdrivemd.places import block_file, loss_file, model_file
from tests.dd_parts import learnt, names, write_block

PLAIN = {"kind": "autoencoder", "widths": [16], "latent": 2, "updates": 100, "batch": 32}
MAPS = PLAIN | {"kind": "cvae", "filters": [4, 8], "dense": 16, "learning_rate": 0.005}


def run_training(run_dir, iteration=0, *, before=None, attempt=1, seed=7, settings=(), **fields):
    return train(
        iteration=iteration,
        seed=seed,
        attempt=attempt,
        run_dir=str(run_dir),
        inputs={"aggregation": iteration, "training": before},
        cores=1,
        gpus=0,
        settings=PLAIN | dict(settings),
        **fields,
    )


def clouds(seed=0, n_frames=200):
    """Return distances around two centres, and which of them each frame is of."""
    rng = np.random.default_rng(seed)
    of = np.arange(n_frames) % 2
    centres = np.random.default_rng(99).uniform(0.3, 1.0, (2, 6))
    return (centres[of] + rng.normal(0, 0.02, (n_frames, 6))).astype(np.float32), of


def maps(seed=0, n_frames=200, residues=9):
    """Return contact maps of two folds with noise, and which of them each frame is of."""
    rng = np.random.default_rng(seed)
    of = np.arange(n_frames) % 2
    folds = np.random.default_rng(99).random((2, residues, residues)) < 0.3
    flipped = rng.random((n_frames, residues, residues)) < 0.05
    return (folds[of] ^ flipped).astype(np.uint8), of


def separated(latent, of):
    """Return the share of frames that are nearer to the centre of their own kind."""
    centres = np.stack([latent[of == kind].mean(axis=0) for kind in range(2)])
    nearest = np.linalg.norm(latent[:, None] - centres[None], axis=-1).argmin(axis=1)
    return (nearest == of).mean()


# What is learned


@pytest.mark.parametrize(("made", "settings"), [(clouds, PLAIN), (maps, MAPS)])
def test_a_model_tells_two_clouds_apart_that_it_has_not_seen(tmp_path, made, settings):
    write_block(tmp_path, 0, made()[0])
    run_training(tmp_path, settings=settings)
    model = Model.load(model_file(tmp_path, 0))
    features, of = made(seed=1)
    write_block(tmp_path, 1, features)
    latent = model.embed(Block.read(block_file(tmp_path, 1, 0)), cores=1, gpus=0)
    assert latent.shape == (200, 2)
    assert separated(latent, of) > 0.98


@pytest.mark.parametrize(("made", "settings"), [(clouds, PLAIN), (maps, MAPS)])
def test_a_model_goes_on_from_the_one_before(tmp_path, made, settings):
    write_block(tmp_path, 0, made()[0])
    write_block(tmp_path, 1, made(seed=1)[0])
    run_training(tmp_path, settings=settings)
    run_training(tmp_path, 1, before=0, settings=settings)
    first, second = (learnt(tmp_path, iteration) for iteration in range(2))
    assert (first["parent"], second["parent"]) == (None, 0)
    assert second["loss"]["training"][0] < first["loss"]["training"][0]
    assert second["loss"]["validation"][0] < first["loss"]["validation"][0]
    one, other = (Model.load(model_file(tmp_path, iteration)) for iteration in range(2))
    assert [one.iteration, other.iteration, other.parent] == [0, 1, 0]
    for name, array in one.scaling.items():
        assert np.array_equal(array, other.scaling[name])


@pytest.mark.parametrize(("made", "settings"), [(clouds, PLAIN), (maps, MAPS)])
def test_same_seed_same_model(tmp_path, made, settings):
    found = []
    for name, seed in (("one", 3), ("other", 3), ("third", 4)):
        write_block(tmp_path / name, 0, made()[0])
        run_training(tmp_path / name, seed=seed, settings=settings)
        weights = Model.load(model_file(tmp_path / name, 0)).weights
        found.append(np.concatenate([array.ravel() for array in weights.values()]))
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_training_leaves_the_global_generator_alone(tmp_path):
    write_block(tmp_path, 0, clouds()[0])
    before = torch.random.get_rng_state()
    run_training(tmp_path)
    Model.load(model_file(tmp_path, 0)).network()
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_record_has_curves_that_fall(tmp_path):
    write_block(tmp_path, 0, clouds()[0])
    result = run_training(tmp_path)
    record = learnt(tmp_path, 0)
    curves = record["loss"]
    assert curves["updates"] == list(range(2, 101, 2))
    assert len(curves["training"]) == len(curves["validation"]) == 50
    for name in ("training", "validation"):
        assert curves[name][-1] < curves[name][0] / 2
    assert result["loss"] == curves["training"][-1]
    assert record["frames"]["learnt"] + record["frames"]["held_out"] == 200
    assert record["settings"]["widths"] == [16]


def test_a_number_of_updates_that_no_point_divides_is_kept_to(tmp_path):
    write_block(tmp_path, 0, clouds()[0])
    run_training(tmp_path, settings={"updates": 77})
    assert learnt(tmp_path, 0)["loss"]["updates"][-2:] == [76, 77]


def test_maps_need_not_be_of_a_size_that_can_be_halved(tmp_path):
    write_block(tmp_path, 0, maps(residues=5)[0])
    run_training(tmp_path, settings=MAPS | {"filters": [2, 2, 2], "updates": 2})
    model = Model.load(model_file(tmp_path, 0))
    inner = torch.zeros(3, 2)
    assert model.network()["decoder"](inner).shape == (3, 1, 5, 5)


def test_the_simple_model_can_learn_maps_too(tmp_path):
    features, of = maps()
    write_block(tmp_path, 0, features)
    run_training(tmp_path)
    block = Block.read(block_file(tmp_path, 0, 0))
    latent = Model.load(model_file(tmp_path, 0)).embed(block, cores=1, gpus=0)
    assert separated(latent, of) > 0.98


def test_stretches_are_held_out_whole_and_for_good():
    frames = np.concatenate([names(iteration, 8, 100) for iteration in range(10)])
    held = held_out(frames, 0.1)
    assert held.mean() == pytest.approx(0.1, abs=0.02)
    stretches = held.reshape(-1, 20)
    assert (stretches.all(axis=1) | ~stretches.any(axis=1)).all()
    every_other = np.arange(0, len(frames), 2)
    assert np.array_equal(held[every_other], held_out(frames[every_other], 0.1))
    assert not held_out(frames, 0).any()
    only = frames[np.flatnonzero(held)[:5]]
    assert not held_out(only, 0.1).any()


# Which frames


def test_frames_are_bounded_and_shared_by_the_iterations(tmp_path):
    for iteration in range(3):
        for number in range(2):
            write_block(tmp_path, iteration, clouds(n_frames=40)[0], number=number)
    block = gather(tmp_path, 2, blocks=2, most_frames=30).block
    assert [int((block.frames[:, 0] == number).sum()) for number in range(3)] == [10, 10, 10]
    assert len(gather(tmp_path, 2, blocks=2, most_frames=1000).block) == 240
    assert gather(tmp_path, 2, blocks=2, most_frames=2).block.frames[:, 0].tolist() == [1, 2]
    assert len(gather(tmp_path, 1, blocks=2, most_frames=1000).block) == 160


def test_training_needs_every_block_so_far(tmp_path):
    write_block(tmp_path, 1, clouds()[0])
    with pytest.raises(StageError, match=r"iteration-000/aggregation-000\.h5: no such file"):
        run_training(tmp_path, 1)
    write_block(tmp_path, 0, clouds()[0][:, :5])
    with pytest.raises(StageError, match="blocks of different features"):
        run_training(tmp_path, 1)
    write_block(tmp_path, 0, clouds()[0])
    with pytest.raises(StageError, match=r"aggregation-001\.h5: no such file"):
        run_training(tmp_path, 1, blocks=2)


def test_a_damaged_block_is_made_again_and_said_so(tmp_path):
    for number in range(2):
        write_block(tmp_path, 0, clouds()[0], number=number)
    block = Block.read(block_file(tmp_path, 0, 1))
    block_file(tmp_path, 0, 1).write_bytes(b"\xff" * 200)
    asked = []

    def remake(iteration, number):
        asked.append((iteration, number))
        return block

    run_training(tmp_path, blocks=2, remake=remake)
    assert asked == [(0, 1)]
    (told,) = learnt(tmp_path, 0)["remade"]
    assert (told["iteration"], told["block"]) == (0, 1)
    assert "aggregation-001.h5: damaged" in told["reason"]


def test_a_run_that_continues_another_learns_from_both(tmp_path):
    # The run before had two blocks an iteration, this one has one.
    for number in range(2):
        write_block(tmp_path, 0, clouds()[0], number=number)
    run_training(tmp_path, blocks=2)
    write_block(tmp_path, 1, clouds()[0])
    train(
        iteration=0,
        seed=1,
        attempt=1,
        run_dir=str(tmp_path),
        inputs={"aggregation": 0, "training": None},
        cores=1,
        gpus=0,
        settings=PLAIN,
        first=1,
    )
    record = learnt(tmp_path, 1)
    assert (record["iteration"], record["parent"]) == (1, 0)
    assert sum(record["frames"].values()) == 600
    with pytest.raises(StageError, match="iteration-000: has no block"):
        gather(tmp_path / "none", 2, blocks=1, most_frames=10, first=2, remake=None)


# What goes wrong


def test_a_training_that_diverges_names_the_update_and_leaves_no_model(tmp_path):
    write_block(tmp_path, 0, clouds()[0])
    with pytest.raises(StageError, match=r"training of iteration 0 diverged at update \d+ with a"):
        run_training(tmp_path, settings={"learning_rate": 1e30})
    assert not model_file(tmp_path, 0).exists()
    assert not loss_file(tmp_path, 0).exists()


def test_each_divergence_halves_the_learning_rate_and_is_recorded(tmp_path):
    write_block(tmp_path, 0, clouds()[0])
    for attempt in (1, 2):
        with pytest.raises(StageError, match="diverged"):
            run_training(tmp_path, attempt=attempt, retries=3, settings={"learning_rate": 1e30})
    run_training(tmp_path, attempt=3, retries=3, settings={"learning_rate": 0.008})
    record = learnt(tmp_path, 0)
    assert record["learning_rate"] == 0.002
    assert [once["learning_rate"] for once in record["diverged"]] == [1e30, 5e29]
    assert [once["attempt"] for once in record["diverged"]] == [1, 2]
    # A later attempt that follows one that was only killed has nothing to halve.
    run_training(tmp_path, attempt=4, retries=3, settings={"learning_rate": 0.008})
    assert learnt(tmp_path, 0)["learning_rate"] == 0.008


def test_the_last_attempt_falls_back_on_the_model_before(tmp_path):
    for iteration in range(3):
        write_block(tmp_path, iteration, clouds()[0])
    run_training(tmp_path)
    wild = {"learning_rate": 1e30}
    with pytest.raises(StageError, match="diverged"):
        run_training(tmp_path, 1, before=0, retries=1, settings=wild)
    result = run_training(tmp_path, 1, before=0, attempt=2, retries=1, settings=wild)
    record = learnt(tmp_path, 1)
    assert (record["fell_back"], record["trained_in"], record["loss"]) == (True, 0, None)
    assert len(record["diverged"]) == 2
    assert (result["trained_in"], result["loss"]) == (0, None)
    before, used = (Model.load(model_file(tmp_path, iteration)) for iteration in range(2))
    assert used.iteration == 0
    for name, array in before.weights.items():
        assert np.array_equal(array, used.weights[name])
    # And the next one goes on from there.
    run_training(tmp_path, 2, before=1)
    record = learnt(tmp_path, 2)
    assert (record["fell_back"], record["trained_in"], record["parent"]) == (False, 2, 1)


def test_the_first_training_has_nothing_to_fall_back_on(tmp_path):
    write_block(tmp_path, 0, clouds()[0])
    with pytest.raises(StageError, match="diverged"):
        run_training(tmp_path, attempt=2, retries=1, settings={"learning_rate": 1e30})


def test_a_damaged_note_of_a_divergence_is_named(tmp_path):
    write_block(tmp_path, 0, clouds()[0])
    note = model_file(tmp_path, 0).with_name("model-diverged.json")
    note.write_text("{")
    with pytest.raises(StageError, match=r"model-diverged\.json: damaged"):
        run_training(tmp_path, attempt=2)
    # Of the first attempt there can be none: it is of a run before.
    run_training(tmp_path, attempt=1)
    assert not note.exists()


def poison(path):
    values = torch.load(path, weights_only=True)
    values["weights"]["encoder.0.bias"][0] = float("nan")
    torch.save(values, path)


def narrow(path):
    values = torch.load(path, weights_only=True)
    values["weights"]["encoder.0.bias"] = torch.zeros(3)
    torch.save(values, path)


def flip(path):
    data = bytearray(path.read_bytes())
    weights = Model.load(path).weights["encoder.0.weight"]
    data[data.index(weights.tobytes()) + 1] ^= 0x01
    path.write_bytes(data)


class Harmful:
    def __reduce__(self):
        return print, ("ran",)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b""), "damaged, or not a model"),
        (lambda path: path.write_bytes(path.read_bytes()[:900]), "damaged, or not a model"),
        (lambda path: path.write_bytes(b"\xff" * 400), "damaged, or not a model"),
        (flip, "damaged, or not a model"),
        (lambda path: torch.save({"version": 1}, path), "damaged, or not a model"),
        (lambda path: torch.save({"version": 2}, path), "expected version 1 of a model, found 2"),
        (lambda path: torch.save([Harmful()], path), "damaged, or not a model"),
        (poison, "not finite"),
        (narrow, "do not fit its settings"),
    ],
)
def test_a_model_that_cannot_be_used_is_named(tmp_path, capsys, damage, message):
    for iteration in range(2):
        write_block(tmp_path, iteration, clouds()[0])
    run_training(tmp_path)
    damage(model_file(tmp_path, 0))
    with pytest.raises(StageError, match=rf"iteration-000/model\.pt: .*{message}"):
        run_training(tmp_path, 1, before=0)
    assert capsys.readouterr().out == ""


def test_training_goes_on_only_from_a_model_of_the_same_layers_and_features(tmp_path):
    for iteration in range(2):
        write_block(tmp_path, iteration, clouds()[0])
    run_training(tmp_path)
    with pytest.raises(StageError, match=r"of iteration 0 has widths \(16,\), expected \(8,\)"):
        run_training(tmp_path, 1, before=0, settings={"widths": [8]})
    write_block(tmp_path, 0, clouds()[0][:, :5])
    write_block(tmp_path, 1, clouds()[0][:, :5])
    with pytest.raises(StageError, match=r"expects distances \(6,\), found distances \(5,\)"):
        run_training(tmp_path, 1, before=0)


@pytest.mark.parametrize(
    ("key", "value"),
    [("latent", 0), ("learning_rate", 0), ("validation", 0.9), ("kind", "vae"), ("width", 3)],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path, key, value):
    with pytest.raises(WorkflowError, match=f"model.{key}: "):
        run_training(tmp_path, settings={key: value})


def test_a_model_of_maps_refuses_distances(tmp_path):
    write_block(tmp_path, 0, clouds()[0])
    with pytest.raises(WorkflowError, match=r"model\.kind: cvae cannot learn distances of shape"):
        run_training(tmp_path, settings=MAPS)


def test_a_gpu_is_used_only_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of(0.5) == "cuda"
    assert device_of(0) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of(1) == "cpu"


def test_settings_say_what_each_key_is():
    assert all(field.description for field in ModelSettings.model_fields.values())
