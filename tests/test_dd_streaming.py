"""DeepDriveMD as a stream: real runs at tiny sizes, whole, killed in mid-stream, converged."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openmm")
pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("h5py")
pytest.importorskip("mdtraj")
pytest.importorskip("zmq")

import stretto
from stretto import WorkflowError
from stretto.analysis import check, utilisation
from stretto.apps.deepdrivemd.aggregating import AggregationSettings, remade
from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.dcd import read_dcd
from stretto.apps.deepdrivemd.gathering import Pool, gather
from stretto.apps.deepdrivemd.learning import Model
from stretto.apps.deepdrivemd.lineage import Frame
from stretto.apps.deepdrivemd.places import (
    block_file,
    inference_file,
    iteration_folder,
    latent_file,
    loss_file,
    model_file,
    picks_file,
    record_file,
    start_file,
    system_folder,
    trajectory_file,
)
from stretto.apps.deepdrivemd.provenance import told, trace_back
from stretto.apps.deepdrivemd.simulating import Record
from stretto.apps.deepdrivemd.streaming import streaming_workflow
from stretto.runtime import Ending
from stretto.trace import Outcome
from tests.dd_parts import record_of, write_block
from tests.dd_runs import new_run

SLACK_US = 10_000_000
ROOT = Path(__file__).parent.parent
SIMULATIONS, ITERATIONS, FRAMES = 2, 6, 40
SETTINGS = {
    "simulation": {"steps": 800, "report_every": 20, "checkpoint_every": 10, "hot_steps": 100},
    "aggregation": {"features": "distances", "selection": "heavy", "every": 2},
    "training": {"kind": "autoencoder", "widths": [8], "latent": 2, "updates": 30},
    "inference": {"neighbours": 5, "gap": 3},
}


def stream(iterations=ITERATIONS, *, first=0, blocks=1, needs=(), **changes):
    """Return a stream that is so short of room that simulations must wait for a first pick."""
    settings = {name: values | changes.get(name, {}) for name, values in SETTINGS.items()}
    return streaming_workflow(
        "stream",
        simulations=SIMULATIONS,
        iterations=iterations,
        settings=settings,
        needs={name: {"retries": 1} | dict(needs).get(name, {}) for name in SETTINGS},
        blocks=blocks,
        ahead=1,
        first=first,
        folder=ROOT,
    )


def ran(workflow, run_dir):
    ended = stretto.run(workflow, platform="local:5", run_dir=run_dir)
    check(ended.trace, slack_us=SLACK_US)
    assert ended.ending is Ending.DONE, ended.trace.reasons
    return ended


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A stream that nothing happened to."""
    return ran(stream(), new_run(tmp_path_factory.mktemp("whole") / "run"))


def records(run_dir, iterations=range(ITERATIONS)):
    """Return all records, after looking whether they are true."""
    found = {}
    for iteration in iterations:
        for one in range(SIMULATIONS):
            record = Record.read(run_dir, iteration, one)
            found[iteration, one] = record
            assert (record.iteration, record.simulation, record.frames) == (iteration, one, FRAMES)
            assert read_dcd(trajectory_file(run_dir, iteration, one))[1] == FRAMES
            if record.round is not None:
                pick = json.loads(picks_file(run_dir, record.inference).read_text())[record.round]
                assert tuple(pick["starts"][one]["frame"]) == record.parent
                assert pick["model"] == record.model
                assert pick["frames_behind"] == record.frames_behind
            if record.parent is not None:
                assert moved_nm(run_dir, record) < 0.1
    return found


def moved_nm(run_dir, record):
    """Return how far the first frame is from the one that the record says it started from."""
    parent = record.parent
    first, _, _ = read_dcd(trajectory_file(run_dir, record.iteration, record.simulation))
    start, _, _ = read_dcd(
        trajectory_file(run_dir, parent.iteration, parent.simulation), begin=parent.frame
    )
    return np.sqrt(np.mean((first[0] - start[0]) ** 2))


def assert_blocks_are_of_the_files(run_dir, iterations=range(ITERATIONS)):
    settings = AggregationSettings.of(SETTINGS["aggregation"], section="aggregation")
    for iteration in iterations:
        found = Block.read(block_file(run_dir, iteration, 0))
        made = remade(run_dir, iteration, 0, settings=settings, simulations=SIMULATIONS, blocks=1)
        assert found.missing == made.missing
        for name in ("features", "frames", "phi_psi_rad", "rmsd_nm"):
            assert np.array_equal(getattr(found, name), getattr(made, name)), name


def test_it_leaves_the_files_that_the_other_form_leaves(whole):
    run_dir = whole.directory
    records(run_dir)
    for iteration in range(ITERATIONS):
        model = Model.load(model_file(run_dir, iteration))
        assert model.iteration >= iteration
        assert model.parent is None or model.parent < model.iteration
        learnt = record_of(loss_file(run_dir, iteration))
        assert (learnt["iteration"], learnt["trained_in"]) == (iteration, model.iteration)
        assert record_of(inference_file(run_dir, iteration))["frames_until"] == iteration
        assert latent_file(run_dir, iteration).exists()
        assert all(start_file(run_dir, iteration, one).exists() for one in range(SIMULATIONS))
    assert not list((run_dir / "tasks").rglob("frames-*"))


def test_blocks_are_what_aggregation_makes_of_the_files(whole):
    assert_blocks_are_of_the_files(whole.directory)


def test_all_frames_are_learnt_and_chosen_among_in_the_end(whole):
    last = record_of(inference_file(whole.directory, ITERATIONS - 1))
    assert last["frames_behind"] == 0
    assert [one["frames"] for one in last["iterations"]] == [SIMULATIONS * FRAMES / 2] * ITERATIONS
    assert whole.result("aggregation")["frames"] == ITERATIONS * SIMULATIONS * FRAMES / 2
    assert Model.load(model_file(whole.directory, ITERATIONS - 1)).iteration == ITERATIONS - 1
    assert whole.result("training")["models"] >= 2
    assert whole.result("inference")["rounds"] >= ITERATIONS


def test_simulations_take_picks_and_else_go_on_from_their_own_last_frame(whole):
    found = records(whole.directory)
    assert {found[0, one].kind for one in range(SIMULATIONS)} == {"structure"}
    picked = [record for record in found.values() if record.inference is not None]
    assert picked
    assert sum(whole.result("simulation", task=one)["picked"] for one in (0, 1)) == len(picked)
    for (iteration, one), record in found.items():
        if iteration and record.inference is None:
            assert record.parent == (iteration - 1, one, FRAMES - 1)
            assert (record.kind, record.model, record.round) == ("frame", None, None)


def test_a_frame_is_traced_through_picks_to_the_structure(whole):
    found = records(whole.directory)
    place = max(place for place, record in found.items() if record.inference is not None)
    steps = trace_back(whole.directory, Frame(*place, 7))
    assert steps[0].parent == found[place].parent
    assert steps[0].staleness >= 0
    assert steps[-1].record.kind == "structure"
    assert f"chosen by inference {found[place].inference} with model" in told(steps)


def test_all_stages_run_at_once_and_say_when_they_wait(whole):
    trace = whole.trace
    assert len(trace.task) == SIMULATIONS + 3
    assert trace.started_us.max() < trace.ended_us.min()
    use = utilisation(trace)
    assert 0 < use.cores_executing < use.cores
    assert trace.idle


def test_a_killed_simulation_goes_on_and_nothing_is_lost(tmp_path):
    run_dir = new_run(tmp_path / "run")
    found = killed_run("simulation", run_dir)
    assert [found[iteration, 0].attempt for iteration in range(3)] == [1, 1, 2]
    (resumption,) = found[2, 0].resumed
    assert (resumption.attempt, resumption.why) == (2, "interrupted")


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["training", "inference"])
def test_another_stage_that_is_killed_takes_up_what_it_had(tmp_path, stage):
    killed_run(stage, new_run(tmp_path / "run"))


def killed_run(stage, run_dir):
    """Return the records of a stream in which a task of a stage is killed, having looked at all."""
    needs = {stage: {"function": f"tests.dd_streams:{stage}"}}
    trace = ran(stream(needs=needs), run_dir).trace
    outcomes = Counter(Outcome(one) for one in trace.outcome.tolist())
    assert outcomes[Outcome.FAILED] >= 1
    assert outcomes[Outcome.FINISHED] == SIMULATIONS + 3
    assert_blocks_are_of_the_files(run_dir)
    for iteration in range(ITERATIONS):
        assert Model.load(model_file(run_dir, iteration)).iteration >= iteration
        assert inference_file(run_dir, iteration).exists()
        for number, pick in enumerate(json.loads(picks_file(run_dir, iteration).read_text())):
            assert pick["round"] == number
    found = records(run_dir)
    for iteration, one in found:
        steps = trace_back(run_dir, Frame(iteration, one, 0))
        assert steps[-1].record.kind == "structure"
    return found


def test_a_training_that_diverges_is_tried_with_half_the_step_and_then_named(tmp_path):
    run_dir = new_run(tmp_path / "run")
    flow = stream(training={"learning_rate": 1e30}, needs={"training": {"retries": 0}})
    ended = stretto.run(flow, platform="local:5", run_dir=run_dir)
    check(ended.trace, slack_us=SLACK_US)
    assert ended.ending is Ending.FAILED
    (reason,) = [one for one in ended.trace.reasons.values() if "training of iteration" in one]
    assert "training of iteration 0 diverged at update" in reason


def test_what_comes_bit_by_bit_is_shared_as_what_is_gathered(tmp_path):
    features = np.arange(240, dtype=np.float32).reshape(-1, 2)
    pool = Pool(60)
    for iteration in range(3):
        write_block(tmp_path, iteration, features, rmsd_nm=np.linspace(1, 1 + iteration, 120))
        block = Block.read(block_file(tmp_path, iteration, 0))
        for begin in range(0, 120, 30):
            pool.add(block.rows(np.arange(begin, begin + 30)))
    gathered = gather(tmp_path, 2, blocks=1, most_frames=60)
    assert np.array_equal(pool.gathered().block.frames, gathered.block.frames)
    assert pool.gathered().best == gathered.best
    assert pool.frames == 360


def test_it_stops_when_it_has_converged_with_whole_simulations(tmp_path):
    run_dir = new_run(tmp_path / "run")
    ended = ran(stream(40, inference={"until": {"rmsd_nm": 10}}), run_dir)
    assert ended.result("inference")["converged"] is True
    done = [ended.result("simulation", task=one)["simulations"] for one in range(SIMULATIONS)]
    assert max(done) < 40
    for one in range(SIMULATIONS):
        assert [record_file(run_dir, k, one).exists() for k in range(40)].count(True) == done[one]
    for iteration in range(max(done)):
        assert inference_file(run_dir, iteration).exists()
        lacking = tuple((iteration, one) for one in range(2) if done[one] <= iteration)
        assert Block.read(block_file(run_dir, iteration, 0)).missing == lacking
    assert record_of(inference_file(run_dir, max(done) - 1))["conditions_held"] == ["rmsd_nm"]


def test_it_continues_another_run(whole, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(system_folder(whole.directory), system_folder(run_dir))
    for iteration in range(ITERATIONS):
        shutil.copytree(
            iteration_folder(whole.directory, iteration), iteration_folder(run_dir, iteration)
        )
    before = model_file(run_dir, ITERATIONS - 1).read_bytes()
    ran(stream(2, first=ITERATIONS), run_dir)
    found = records(run_dir, range(ITERATIONS, ITERATIONS + 2))
    chosen = record_of(inference_file(run_dir, ITERATIONS - 1))["starts"]
    for one in range(SIMULATIONS):
        record = found[ITERATIONS, one]
        assert record.kind == "frame"
        if record.inference == ITERATIONS - 1:
            assert record.parent == tuple(chosen[one]["frame"])
    assert Model.load(model_file(run_dir, ITERATIONS)).parent == ITERATIONS - 1
    assert model_file(run_dir, ITERATIONS - 1).read_bytes() == before
    newest = record_of(inference_file(run_dir, ITERATIONS + 1))
    assert [one["iteration"] for one in newest["iterations"]] == list(range(ITERATIONS + 2))


def test_growth_is_asked_of_whole_iterations_only(tmp_path):
    run_dir = new_run(tmp_path / "run")
    ran(stream(3, inference={"until": {"growth": 1}}), run_dir)
    rows = SIMULATIONS * FRAMES / 2
    for path in sorted(run_dir.glob("data/*/picks.json")):
        for pick in json.loads(path.read_text()):
            # With one whole iteration there is nothing to compare it with.
            assert pick["converged"] <= (pick["frames"] >= 2 * rows)
    last = max(run_dir.glob("data/*/inference.json"))
    assert record_of(last)["conditions_held"] == ["growth"]


@pytest.mark.parametrize("strategy", ["random", "continue"])
def test_strategies_without_a_model_need_no_training(tmp_path, strategy):
    run_dir = new_run(tmp_path / "run")
    flow = stream(inference={"strategy": strategy}, blocks=2)
    assert [one.name for one in flow.task_sets] == ["simulation", "aggregation", "inference"]
    ran(flow, run_dir)
    found = records(run_dir)
    picked = [record for record in found.values() if record.inference is not None]
    assert bool(picked) == (strategy == "random")
    for iteration in range(ITERATIONS):
        for one in range(SIMULATIONS):  # a block each
            frames = Block.read(block_file(run_dir, iteration, one)).frames
            assert set(map(tuple, frames[:, :2].tolist())) == {(iteration, one)}
    assert {record.model for record in found.values()} == {None}
    assert all(inference_file(run_dir, iteration).exists() for iteration in range(ITERATIONS))


def test_mistakes_are_told():
    with pytest.raises(WorkflowError, match=r"simulation\.steps"):
        stream(simulation={"steps": "many"})
    with pytest.raises(WorkflowError, match=r"arguments\.iterations: .*at least 1, found 0"):
        stream(0)
