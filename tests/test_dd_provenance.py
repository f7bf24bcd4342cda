"""Provenance of DeepDriveMD: every frame leads back to the structure the run began with."""

import pytest

pytest.importorskip("openmm")

from stretto.apps.deepdrivemd.dcd import read_dcd
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.lineage import Frame
from stretto.apps.deepdrivemd.places import record_file, trajectory_file
from stretto.apps.deepdrivemd.provenance import told, trace_back
from stretto.apps.deepdrivemd.simulating import Record
from tests.dd_runs import choose, new_run, run_simulation


def write_record(run_dir, iteration, simulation, parent, **values):
    record = Record(
        iteration=iteration,
        simulation=simulation,
        parent=parent,
        kind="structure" if parent is None else "frame",
        frames=50,
        ps_per_frame=2,
        seed=7,
        **values,
    )
    path = record_file(run_dir, iteration, simulation)
    path.parent.mkdir(parents=True, exist_ok=True)
    record.write(path)


@pytest.fixture
def made(tmp_path):
    """Records of a loop whose third iteration went by a model that was one iteration late."""
    write_record(tmp_path, 0, 4, None)
    write_record(tmp_path, 1, 2, Frame(0, 4, 9), inference=0, model=0)
    write_record(tmp_path, 3, 0, Frame(1, 2, 49), inference=2, model=1, minimised=True, draw=2)
    return tmp_path


def test_a_frame_is_followed_to_the_structure(made):
    steps = trace_back(made, Frame(3, 0, 19))
    assert [step.frame for step in steps] == [(3, 0, 19), (1, 2, 49), (0, 4, 9)]
    assert [step.parent for step in steps] == [(1, 2, 49), (0, 4, 9), None]
    assert [step.inference for step in steps] == [2, 0, None]
    assert [step.model for step in steps] == [1, 0, None]
    assert [step.staleness for step in steps] == [1, 0, None]
    assert [step.simulated_ps for step in steps] == [40, 100, 20]


def test_the_way_is_told(made):
    assert told(trace_back(made, Frame(3, 0, 19))) == (
        "frame 19 of simulation 0 in iteration 3: 40 ps, seed 7, draw 2, from frame 49 of "
        "simulation 2 in iteration 1, minimised, chosen by inference 2 with model 1, 1 late\n"
        "frame 49 of simulation 2 in iteration 1: 100 ps, seed 7, from frame 9 of simulation 4 "
        "in iteration 0, chosen by inference 0 with model 0\n"
        "frame 9 of simulation 4 in iteration 0: 20 ps, seed 7, from the structure\n"
        "160 ps from there on\n"
    )


def test_a_model_that_fell_back_is_as_old_as_what_it_learned(tmp_path):
    write_record(tmp_path, 0, 0, None)
    write_record(tmp_path, 4, 0, Frame(0, 0, 1), inference=3, model=3, trained_in=1)
    newest, _ = trace_back(tmp_path, Frame(4, 0, 0))
    assert (newest.model, newest.staleness) == (3, 2)


def test_a_start_without_a_model_or_from_elsewhere_is_told(tmp_path):
    write_record(tmp_path, 0, 0, None)
    write_record(tmp_path, 1, 0, Frame(0, 0, 0), inference=0)
    assert "chosen by inference 0 without a model" in told(trace_back(tmp_path, Frame(1, 0, 0)))
    Record(parent=None, frames=1, ps_per_frame=1).write(record_file(tmp_path, 1, 1))
    (step,) = trace_back(tmp_path, Frame(1, 1, 0))
    assert (step.parent, step.staleness) == (None, None)
    assert "1 ps, from a structure of inference's own" in told([step])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (Frame(3, 1, 0), r"simulation-001\.json: no such file"),
        (Frame(3, 0, 50), r"simulation-000\.json: has 50 frames, none numbered 50"),
        (Frame(3, 0, -1), "none numbered -1"),
    ],
)
def test_a_frame_that_is_not_there_is_named(made, frame, message):
    with pytest.raises(StageError, match=message):
        trace_back(made, frame)


def test_a_way_in_a_circle_is_an_error(made):
    write_record(made, 0, 4, Frame(3, 0, 1), inference=0)
    with pytest.raises(StageError, match=r"iteration-003/simulation-000\.json: is its own ancest"):
        trace_back(made, Frame(3, 0, 19))


def test_in_a_real_run_every_start_is_the_frame_that_its_record_names(tmp_path):
    run_dir = new_run(tmp_path / "run")
    for task in range(2):
        run_simulation(run_dir, 0, task)
    choose(run_dir, 0, [Frame(0, 1, 17), Frame(0, 0, 2)], model=0)
    for task in range(2):
        run_simulation(run_dir, 1, task, inference=0, steps=2, report_every=1)
    for task, parent in enumerate([Frame(0, 1, 17), Frame(0, 0, 2)]):
        newest, oldest = trace_back(run_dir, Frame(1, task, 0))
        assert (newest.parent, newest.inference, newest.model) == (parent, 0, 0)
        assert (oldest.frame, oldest.record.kind) == (parent, "structure")
        start = read_dcd(trajectory_file(run_dir, *parent[:2]))[0][parent.frame]
        first = read_dcd(trajectory_file(run_dir, 1, task))[0][0]
        assert abs(first - start).max() < 0.02
