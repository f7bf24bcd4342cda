"""Figures of DeepDriveMD runs: what the curves say of runs that are known, and pages of any run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import yaml

from stretto.analysis import check, utilisation
from stretto.errors import WorkflowError
from stretto.platform import platform_named
from stretto.resources import Resources
from stretto.scheduler import Finished, Launched, Started
from stretto.simulator import simulate
from stretto.trace import Header, Journal, Kind, Trace
from stretto.workflow import TaskSet, Workflow, expand
from tests.workflows import FailingWorld

pytest.importorskip("h5py")
pytest.importorskip("matplotlib")

from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.figures import write_page
from stretto.apps.deepdrivemd.figures.ages import ages, mean_age
from stretto.apps.deepdrivemd.figures.cells import space_of
from stretto.apps.deepdrivemd.figures.clock import simulated_ps, wall_s
from stretto.apps.deepdrivemd.figures.densities import MOST_PANELS, Density, densities
from stretto.apps.deepdrivemd.figures.drawing import (
    draw_ages,
    draw_densities,
    draw_losses,
    draw_progress,
)
from stretto.apps.deepdrivemd.figures.progress import progress
from stretto.apps.deepdrivemd.figures.runs import read_run
from stretto.apps.deepdrivemd.figures.summary import names_of, summary
from stretto.apps.deepdrivemd.figures.summary import utilisation as used
from stretto.apps.deepdrivemd.files import write_arrays, write_json
from stretto.apps.deepdrivemd.places import (
    block_file,
    configuration_file,
    inference_file,
    latent_file,
    loss_file,
    record_file,
    system_folder,
)
from stretto.apps.deepdrivemd.simulating.records import Record

FRAMES, PS_PER_FRAME = 5, 2.0
PLATFORM = platform_named("local:2")
DAY_US = 86_400_000_000


def loop(iterations=2, *, staleness=0, durations=True):
    """Return two simulations of 10 s, one block of 1 s, training of 2 s, inference of 1 s."""

    def lasting(seconds):
        return seconds if durations else None

    before = {"inference": {"iteration": "previous", "staleness": staleness}}
    after = {"aggregation": "all", "training": {"iteration": "previous"}}
    return Workflow(
        "loop",
        [
            TaskSet("simulation", tasks=2, duration=lasting(10), after=before, retries=2),
            TaskSet("aggregation", duration=lasting(1), after={"simulation": "group"}),
            TaskSet("training", duration=lasting(2), after=after),
            TaskSet("inference", duration=lasting(1), after="training"),
        ],
        iterations=iterations,
        stages=[["simulation"], ["aggregation"], ["training"], ["inference"]],
    )


def played(workflow=None, *, mode="sequential", failing=()):
    """Return a legal trace of the loop."""
    workflow = workflow or loop()
    world = FailingWorld(expand(workflow), 0, frozenset(failing))
    trace = simulate(workflow, PLATFORM, mode=mode, world=world)
    check(trace)
    return trace


def write_journal(run_dir: Path, trace: Trace, *, workflow=None, until_us=DAY_US):
    """Write what the engine would have written of a run like `trace` in which nothing failed."""
    header = Header(
        workflow=workflow or trace.workflow,
        platform=trace.platform,
        mode=trace.mode,
        seed=trace.seed,
        kind=Kind.MEASURED,
        time_scale=1.0,
        began="2026-01-01T00:00:00+00:00",
        order=trace.order,
    )
    events = []
    for row in range(len(trace)):
        task, attempt = int(trace.task[row]), int(trace.attempt[row])
        lies = trace.placements[row]
        inputs = tuple(trace.inputs.get(row, ()))
        events.append(Launched(task, attempt, int(trace.launched_us[row]), lies, row, inputs))
        events.append(Started(task, attempt, int(trace.started_us[row])))
        events.append(Finished(task, attempt, int(trace.ended_us[row])))
    kinds = (Finished, Launched, Started)
    events.sort(key=lambda event: (event.time_us, kinds.index(type(event)), event.task))
    journal = Journal.create(run_dir / "journal.jsonl", header)
    for event in events:
        if event.time_us <= until_us:
            journal.round(event.time_us, [event])
    journal.close()


def names(iteration, simulations=2):
    return np.array([[iteration, i, f] for i in range(simulations) for f in range(FRAMES)])


def write_block(run_dir, iteration, angles, *, number=0, simulations=2, missing=(), **values):
    frames = names(iteration, simulations)
    angles = np.asarray(angles, dtype=np.float32).reshape(len(frames), -1, 2)
    features = np.zeros((len(frames), 3), dtype=np.float32)
    values = {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}
    block = Block("distances", features, frames, angles, **values, missing=tuple(missing))
    block.write(block_file(run_dir, iteration, number))


def write_record(run_dir, iteration, simulation, **values):
    path = record_file(run_dir, iteration, simulation)
    record = {"frames": FRAMES, "ps_per_frame": PS_PER_FRAME, "parent": None}
    write_json(path, record | {"attempt": 1} | values)


def angles_of(iteration):
    """Return angles such that the second simulation of an iteration sees a new cell each frame."""
    angles = np.full((2, FRAMES, 2), np.radians(15.0))
    angles[1, :, 0] = np.radians(-165.0 + 30.0 * np.arange(FRAMES))
    angles[1, :, 1] = np.radians(-165.0 + 30.0 * iteration)
    return angles


def new_run(run_dir, *, iterations=2, mode="sequential", strategy="outliers", staleness=0, **loop_):
    """Fill the directory of a run: two simulations of five frames an iteration."""
    run_dir.mkdir(parents=True, exist_ok=True)
    configuration = {"loop": {"mode": mode, **loop_}, "inference": {"strategy": strategy}}
    configuration_file(run_dir).write_text(yaml.safe_dump(configuration), "utf-8")
    write_json(system_folder(run_dir) / "system.json", {"source": "a molecule", "n_atoms": 1})
    (system_folder(run_dir) / "topology.pdb").write_text("ATOM      1  CA  ALA A   1\nEND\n")
    trace = played(loop(iterations, staleness=staleness), mode=mode)
    write_journal(run_dir, trace)
    for iteration in range(iterations):
        near = np.linspace(0.9 - 0.3 * iteration, 0.5 - 0.3 * iteration, 2 * FRAMES)
        write_block(
            run_dir, iteration, angles_of(iteration), rmsd_nm=near, native_contacts=1 - near
        )
        before = iteration - 1
        chosen = {"parent": [before, 1, 3], "kind": "frame", "inference": before, "model": before}
        for simulation in range(2):
            write_record(run_dir, iteration, simulation, **(chosen if iteration else {}))
        updates = {"updates": [10, 20], "training": [1.0, 0.5], "validation": [1.1, 0.6]}
        parent = before if iteration else None
        write_json(loss_file(run_dir, iteration), {"parent": parent, "loss": updates})
        starts = [{"frame": [iteration, 1, 3]}, {"frame": [0, 0, 0]}]
        choice = {"strategy": strategy, "model": iteration, "starts": starts}
        write_json(inference_file(run_dir, iteration), choice)
        latent = np.random.default_rng(iteration).normal(size=(2 * FRAMES, 3))
        arrays = {"embedding": latent, "frames": names(iteration), "chosen": [8, 0]}
        write_arrays(latent_file(run_dir, iteration), arrays)
    return run_dir


@pytest.fixture
def run_dir(tmp_path):
    return new_run(tmp_path / "run")


def text_of(path):
    return unescape(re.sub(r"<[^>]+>", " ", path.read_text("utf-8")))


# Times of frames.


def test_simulations_of_an_iteration_go_on_side_by_side_in_simulated_time():
    records = {
        (0, 0): Record(frames=2, ps_per_frame=1.0, parent=None),
        (0, 1): Record(frames=3, ps_per_frame=10.0, parent=None),
        (1, 0): Record(frames=1, ps_per_frame=1.0, parent=None),
    }
    frames = [[0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [0, 1, 2], [1, 0, 0], [1, 1, 0]]
    times = simulated_ps(np.array(frames), records)
    assert times[:6].tolist() == [1, 11, 12, 22, 32, 33]
    assert np.isnan(times[6])


def test_thinned_frames_keep_their_simulated_time():
    records = {(0, i): Record(frames=100, ps_per_frame=2.0, parent=None) for i in range(3)}
    frames = np.array([[0, i, f] for f in range(100) for i in range(3)])
    whole = simulated_ps(frames, records)
    assert np.allclose(whole, 2.0 * np.arange(1, 301))
    assert (simulated_ps(frames[7::13], records) == whole[7::13]).all()


def test_frames_are_evenly_spaced_between_start_and_end_of_their_task():
    trace = played()
    records = {
        (k, i): Record(frames=5, ps_per_frame=1.0, parent=None) for k in (0, 1) for i in (0, 1)
    }
    frames = np.array([[0, 1, 0], [0, 0, 4], [1, 0, 0], [1, 1, 4]])
    assert wall_s(frames, records, trace, first=0).tolist() == [2, 10, 16, 24]


def test_a_retried_simulation_has_the_times_of_the_attempt_that_left_its_frames():
    trace = played(failing=[(0, 1)])
    made = {"frames": 5, "ps_per_frame": 1.0, "parent": None, "attempt": 2}
    fresh = {(0, 0): Record(**made)}
    resumed = {"attempt": 2, "frames": 3, "why": "interrupted", "platform": "CPU"}
    went_on = {(0, 0): Record(**made, resumed=(resumed,))}
    frames = np.array([[0, 0, f] for f in range(5)])
    assert wall_s(frames, fresh, trace, first=0).tolist() == [12, 14, 16, 18, 20]
    assert wall_s(frames, went_on, trace, first=0).tolist() == [10, 10, 10, 15, 20]


def test_what_a_run_has_from_the_one_before_was_there_at_its_beginning():
    records = {(k, 0): Record(frames=5, ps_per_frame=1.0, parent=None) for k in range(4)}
    frames = np.array([[0, 0, 4], [1, 0, 4], [2, 0, 4], [3, 0, 4], [9, 0, 0]])
    times = wall_s(frames, records, played(), first=2)
    assert times[:4].tolist() == [0, 0, 10, 24]
    assert np.isnan(times[4])


# Curves.


def test_coverage_counts_each_cell_once_when_it_is_first_seen(run_dir):
    run = read_run(run_dir)
    assert run.problems == ()
    assert space_of([run]) == "torsions"
    curve = progress(run, "torsions").by_simulated["cells"]
    # The first simulation's cell at 2 ps; the second one's at 4, 8, 12, 16, 20, then 24, 28, …
    assert curve.times.tolist() == [2, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
    assert curve.values.tolist() == list(range(1, 12))
    assert run.simulated_ps == 40
    wall = progress(run, "torsions").by_wall["cells"]
    assert wall.times.tolist() == [2, 4, 6, 8, 10, 16, 18, 20, 22, 24]
    assert wall.values.tolist() == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]


def test_nearness_only_falls_and_contacts_only_rise(run_dir):
    found = progress(read_run(run_dir), "torsions")
    for curves in (found.by_simulated, found.by_wall):
        assert (np.diff(curves["rmsd_nm"].values) <= 0).all()
        assert curves["rmsd_nm"].values[-1] == pytest.approx(0.2)
        assert (np.diff(curves["native_contacts"].values) >= 0).all()
        assert curves["native_contacts"].values[-1] == pytest.approx(0.8)
    assert found.by_simulated["rmsd_nm"].times[-1] == 40
    assert found.by_wall["rmsd_nm"].times[-1] == 24


def test_the_space_of_coverage_is_one_that_all_runs_have(tmp_path):
    few, many = read_run(new_run(tmp_path / "few")), new_run(tmp_path / "many")
    for iteration in range(2):
        near = np.repeat([0.1, 0.3], FRAMES)
        angles = np.zeros((2 * FRAMES, 9, 2))
        write_block(many, iteration, angles, rmsd_nm=near, native_contacts=near)
    many = read_run(many)
    assert space_of([few]) == "torsions"
    assert space_of([few, many]) == "nearness"
    assert progress(many, "nearness").by_simulated["cells"].values[-1] == 2
    without = replace(many, seen=replace(many.seen, rmsd_nm=None))
    assert space_of([few, without]) == "latent"
    assert progress(without, "latent").by_simulated["cells"].values[-1] > 1
    assert space_of([replace(many, seen=None)]) is None


def test_chosen_frames_are_marked_where_they_lie(run_dir):
    first, second = densities(read_run(run_dir))
    assert (first.iteration, second.iteration) == (0, 1)
    assert first.torsions
    assert first.points.shape == (2 * FRAMES, 2)
    # Of the iteration itself, and of an earlier one.
    assert np.allclose(second.chosen, [[-75, -135], [15, 15]], atol=1e-3)


def test_many_residues_are_shown_in_the_latent_space_and_many_iterations_in_part(tmp_path):
    run_dir = new_run(tmp_path / "run", iterations=11)
    for iteration in range(11):
        write_block(run_dir, iteration, np.zeros((2 * FRAMES, 9, 2)))
    run = read_run(run_dir)
    shown = densities(run)
    assert len(shown) == MOST_PANELS
    assert (shown[0].iteration, shown[-1].iteration) == (0, 10)
    assert not shown[0].torsions
    assert np.array_equal(shown[0].chosen, shown[0].points[[8, 0]])
    assert densities(replace(run, embeddings={}))[0].torsions


def test_the_latent_plane_is_where_frames_differ_most(run_dir):
    latent = np.zeros((10, 3))
    latent[:, 2] = np.arange(10)
    arrays = {"embedding": latent, "frames": names(0), "chosen": [9]}
    write_arrays(latent_file(run_dir, 0), arrays)
    plane = read_run(run_dir).embeddings[0].plane()
    assert np.allclose(np.abs(plane[:, 0]), np.abs(np.arange(10) - 4.5))
    assert np.allclose(plane[:, 1], 0)


def test_ages_are_those_that_the_simulations_recorded(run_dir):
    write_record(run_dir, 2, 0, parent=[0, 0, 0], inference=1, model=1, trained_in=0)
    write_record(run_dir, 2, 1, parent=[0, 0, 0], inference=1, model=None)
    found = ages(read_run(run_dir))
    assert [one.by_age for one in found] == [{}, {0: 2}, {1: 1}]
    assert [one.not_chosen for one in found] == [2, 0, 0]
    assert found[2].without_model == 1
    assert mean_age(found) == pytest.approx(1 / 3)
    assert mean_age(found[:1]) is None


# The table.


def test_a_line_of_the_table_says_what_was_measured_and_predicted(run_dir):
    run = read_run(run_dir)
    line = summary(run, "it")
    assert line.ending == "complete"
    assert (line.mode, line.strategy, line.iterations) == ("sequential", "outliers", 2)
    assert line.ttx_us == line.predicted_us == 28_000_000
    assert line.simulated_ps == 40
    assert line.rmsd_nm == pytest.approx(0.2)
    assert line.replaced == ()
    assert line.used.cores == pytest.approx(utilisation(run.trace).cores)


def test_utilisation_is_the_engines_with_gpus_too():
    work = TaskSet("simulation", tasks=3, duration=2, resources=Resources(cores=2, gpus=0.5))
    trace = simulate(Workflow("w", [work]), platform_named("summit:1"))
    check(trace)
    theirs = utilisation(trace)
    assert used(trace) == pytest.approx((theirs.cores, theirs.gpus))


def test_failures_that_were_replaced_are_named(run_dir):
    write_record(
        run_dir,
        0,
        0,
        attempt=3,
        resumed=[{"attempt": 3, "frames": 2, "why": "exploded", "platform": "CPU"}],
    )
    near = np.ones(2 * FRAMES)
    write_block(run_dir, 1, angles_of(1), missing=[(1, 2)], rmsd_nm=near, native_contacts=near)
    diverged = [{"attempt": 1, "update": 7, "learning_rate": 0.1}]
    write_json(
        loss_file(run_dir, 1),
        {"parent": 0, "trained_in": 0, "fell_back": True, "diverged": diverged, "loss": None},
    )
    choice = {
        "strategy": "outliers",
        "remade": [{"iteration": 0, "block": 0, "reason": "damaged"}],
        "passed_over": [{"iteration": 0, "simulation": 1, "reason": "damaged"}],
    }
    write_json(inference_file(run_dir, 1), choice)
    told = "\n".join(summary(read_run(run_dir), "it").replaced)
    assert "simulation 0 of iteration 0 came of attempt 3, from a checkpoint after an explo" in told
    assert "simulation 2 of iteration 1 left no frames" in told
    assert "training of iteration 1 diverged once, and the model of iteration 0 was used on" in told
    assert "block 0 of iteration 0 was made again by inference 1" in told
    assert "simulation 1 of iteration 0 could not be read by inference 1" in told


def test_runs_are_named_by_mode_and_strategy_and_by_folder_where_alike(tmp_path):
    runs = [
        read_run(new_run(tmp_path / "a")),
        read_run(new_run(tmp_path / "b", mode="asynchronous", staleness=1)),
        read_run(new_run(tmp_path / "c", strategy="continue")),
        read_run(new_run(tmp_path / "d")),
    ]
    assert names_of(runs) == [
        "sequential, outliers (a)",
        "asynchronous, outliers",
        "sequential, plain MD",
        "sequential, outliers (d)",
    ]


# Pages.


def test_a_page_of_several_runs_holds_all_it_needs(tmp_path):
    runs = [
        new_run(tmp_path / "a"),
        new_run(tmp_path / "b", mode="asynchronous", staleness=1),
        new_run(tmp_path / "c", mode="adaptive", staleness=1),
        new_run(tmp_path / "d", strategy="continue"),
    ]
    path = write_page(runs, tmp_path / "out" / "page.html")
    page, text = path.read_text("utf-8"), text_of(path)
    assert "Not everything could be read" not in text
    for name in (
        "sequential, outliers",
        "asynchronous, outliers",
        "adaptive, outliers",
        "plain MD",
    ):
        assert name in text
    assert "28.0 s" in text
    assert "linear over its frames" in text
    # Progress and ages of all, densities and losses of each, and the engine's report.
    assert page.count('src="data:image/svg+xml;base64,') == 2 + 2 * len(runs)
    assert "Tasks by task set" in unescape(page)
    outside = re.sub(r"srcdoc=\"[^\"]*\"", "", page)
    assert "<script" not in outside
    assert not re.search(r"(src|href)=\"(?!data:)", outside)
    assert not list(path.parent.glob(".*"))


def test_figures_are_the_same_when_they_are_drawn_again(run_dir):
    run = read_run(run_dir)
    found = progress(run, "torsions")

    def drawn():
        return [
            draw_progress({"one": found, "other": found}),
            draw_densities(densities(run), kind="frames"),
            draw_losses(run.models),
            draw_ages({"one": ages(run)}),
        ]

    first = drawn()
    assert first == drawn()
    assert all(svg.rstrip().endswith("</svg>") for svg in first)


def test_there_is_no_figure_of_nothing(run_dir):
    assert draw_progress({"one": progress(replace(read_run(run_dir), seen=None), None)}) is None
    assert draw_densities([], kind="frames") is None
    assert draw_losses({}) is None
    assert draw_ages({"one": []}) is None


def test_text_of_users_stays_text(tmp_path):
    evil = "<b>x</b> $x_1$"
    run_dir = new_run(tmp_path / "run", strategy=evil)
    write_json(system_folder(run_dir) / "system.json", {"source": evil})
    page = write_page([run_dir], tmp_path / "page.html").read_text("utf-8")
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_an_unfinished_run_is_shown_as_far_as_it_is(tmp_path):
    run_dir = tmp_path / "run"
    new_run(run_dir, iterations=1)
    trace = played(loop(3, durations=True))
    (run_dir / "journal.jsonl").unlink()
    write_journal(run_dir, trace, until_us=20_000_000)
    write_record(run_dir, 1, 0)
    text = text_of(write_page([run_dir], tmp_path / "page.html"))
    assert "unfinished, 5 of 15 tasks" in text
    assert "Not everything could be read" not in text


def test_a_run_without_known_durations_has_no_prediction(tmp_path):
    run_dir = new_run(tmp_path / "run")
    (run_dir / "journal.jsonl").unlink()
    write_journal(run_dir, played(), workflow=loop(durations=False))
    assert read_run(run_dir).predicted_us is None
    write_page([run_dir], tmp_path / "page.html")


def test_a_run_of_another_molecule_is_not_compared(tmp_path):
    one, other = new_run(tmp_path / "one"), new_run(tmp_path / "other", strategy="random")
    (system_folder(other) / "topology.pdb").write_text("ATOM      1  CA  GLY A   1\nEND\n")
    text = text_of(write_page([one, other], tmp_path / "page.html"))
    assert "Of another molecule than the first run" in text
    assert "figures that compare: sequential, random restarts." in " ".join(text.split())


DAMAGED = {
    "journal": lambda run: run / "journal.jsonl",
    "configuration": configuration_file,
    "block": lambda run: block_file(run, 1, 0),
    "record": lambda run: record_file(run, 1, 0),
    "model": lambda run: loss_file(run, 0),
    "inference": lambda run: inference_file(run, 0),
    "latent": lambda run: latent_file(run, 0),
    "system": lambda run: system_folder(run) / "system.json",
}


TORN, LIST, OTHER = b"\x89\xff{[ torn", b"[1, 2]\n", b'{"frames": "many"}\n'


@pytest.mark.parametrize("which", DAMAGED)
@pytest.mark.parametrize("content", [b"", TORN, LIST, OTHER])
def test_a_damaged_file_is_named(run_dir, which, content):
    path = DAMAGED[which](run_dir)
    path.write_bytes(content)
    problems = "\n".join(read_run(run_dir).problems)
    # These four may have other keys than those that are looked at.
    if (content, which) not in {
        (OTHER, one) for one in ("model", "inference", "configuration", "system")
    }:
        assert str(path) in problems


def test_whatever_is_damaged_the_rest_is_shown(tmp_path):
    runs = [new_run(tmp_path / which) for which in DAMAGED]
    broken = [damaged(run_dir) for damaged, run_dir in zip(DAMAGED.values(), runs, strict=True)]
    for path in broken:
        path.write_bytes(TORN)
    path = write_page(runs, tmp_path / "page.html")
    assert all(str(one) in text_of(path) for one in broken)
    # Progress and ages of all; densities and losses of each.
    assert path.read_text("utf-8").count('src="data:image/svg+xml;base64,') == 2 + 2 * len(runs)


@pytest.mark.parametrize("which", ["block", "record", "system", "journal"])
def test_a_file_that_should_be_there_is_missed(run_dir, which):
    DAMAGED[which](run_dir).unlink()
    text = "\n".join(read_run(run_dir).problems)
    expected = {
        "block": "no block of iteration 1 that can be read has the frames of simulations 0, 1",
        "record": "frames of simulation 0 of iteration 1 have no record",
        "system": "system.json: no such file",
        "journal": "there is no run here",
    }
    assert expected[which] in text


def test_records_with_what_does_not_fit_are_named(run_dir):
    write_json(loss_file(run_dir, 0), {"loss": {"updates": [1], "training": ["x"]}})
    arrays = {"embedding": np.zeros((4, 2)), "frames": names(0)[:4], "chosen": [4]}
    write_arrays(latent_file(run_dir, 1), arrays)
    write_block(run_dir, 1, np.zeros((2 * FRAMES, 4, 2)))
    frames = json.loads(record_file(run_dir, 0, 0).read_text()) | {"frames": 2}
    write_json(record_file(run_dir, 0, 0), frames)
    text = "\n".join(read_run(run_dir).problems)
    assert "model.json: loss.training.0" in text
    assert "chosen has rows that are not there" in text
    assert "has other columns than the blocks before" in text


def test_an_empty_folder_is_a_page_too(tmp_path):
    text = text_of(write_page([tmp_path / "nothing"], tmp_path / "page.html"))
    assert "there is no run here" in text
    assert "No frames are there yet" in text
    with pytest.raises(WorkflowError, match="at least one run"):
        write_page([], tmp_path / "page.html")


@pytest.mark.parametrize("most", [4, 9, 60, 500])
def test_steps_of_the_colour_bar_are_numbers_and_no_formulas(most: int) -> None:
    points = np.concatenate([np.zeros((most, 2)), np.ones((1, 2))])
    found = Density(0, points, np.empty((0, 2)), torsions=False, n_frames=most + 1, n_chosen=0)
    svg = draw_densities([found], kind="frames")
    assert svg is not None
    assert "mathdefault" not in svg
