"""DeepDriveMD as a stream: real runs at tiny sizes, whole, killed in mid-stream, converged."""

import json

import pytest

pytest.importorskip("openmm")
pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("h5py")
pytest.importorskip("mdtraj")
pytest.importorskip("zmq")

import stretto
from stretto.analysis import check
from stretto.apps.deepdrivemd.dcd import read_dcd
from stretto.apps.deepdrivemd.learning import Model
from stretto.apps.deepdrivemd.places import (
    inference_file,
    latent_file,
    loss_file,
    model_file,
    picks_file,
    start_file,
    trajectory_file,
)
from stretto.apps.deepdrivemd.simulating import Record
from stretto.apps.deepdrivemd.streaming import streaming_workflow
from stretto.runtime import Ending
from tests.dd_parts import record_of
from tests.dd_runs import new_run

SLACK_US = 10_000_000
SIMULATIONS, ITERATIONS, FRAMES = 2, 3, 40
SETTINGS = {
    "simulation": {
        "steps": 2000,
        "report_every": 50,
        "checkpoint_every": 10,
        "hot_steps": 100,
    },
    "aggregation": {"features": "distances", "selection": "heavy", "every": 2},
    "training": {"kind": "autoencoder", "widths": [8], "latent": 2, "updates": 30},
    "inference": {"neighbours": 5, "gap": 3},
}
NEEDS = {name: {"retries": 2} for name in SETTINGS}


def stream(iterations=ITERATIONS, *, first=0, **changes):
    settings = {name: values | changes.get(name, {}) for name, values in SETTINGS.items()}
    return streaming_workflow(
        "stream",
        simulations=SIMULATIONS,
        iterations=iterations,
        settings=settings,
        needs=NEEDS,
        first=first,
    )


def ran(workflow, run_dir, *, platform="local:5", **options):
    ended = stretto.run(workflow, platform=platform, run_dir=run_dir, **options)
    check(ended.trace, slack_us=SLACK_US)
    assert ended.ending is Ending.DONE, ended.trace.reasons
    return ended


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A stream that nothing happened to."""
    run_dir = new_run(tmp_path_factory.mktemp("whole") / "run")
    return ran(stream(), run_dir)


def records(run_dir, iterations=range(ITERATIONS)):
    return {
        (iteration, one): Record.read(run_dir, iteration, one)
        for iteration in iterations
        for one in range(SIMULATIONS)
    }


def picks(run_dir, iteration):
    return json.loads(picks_file(run_dir, iteration).read_text())


def test_it_leaves_the_files_that_the_other_form_leaves(whole):
    run_dir = whole.run_dir
    for iteration in range(ITERATIONS):
        for one in range(SIMULATIONS):
            assert Record.read(run_dir, iteration, one).frames == FRAMES
            assert read_dcd(trajectory_file(run_dir, iteration, one))[1] == FRAMES
            assert start_file(run_dir, iteration, one).exists()
        model = Model.load(model_file(run_dir, iteration))
        learned = record_of(loss_file(run_dir, iteration))
        assert (model.iteration, model.parent) == (iteration, iteration - 1 if iteration else None)
        assert learned["trained_in"] == iteration
        assert latent_file(run_dir, iteration).exists()
        assert record_of(inference_file(run_dir, iteration))["iteration"] == iteration
