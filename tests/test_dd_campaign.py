"""Campaigns: loops run for real at tiny sizes, stopped in all ways, gone on with and continued."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("openmm")
pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("mdtraj")

from stretto import Run, Trace, WorkflowError, read_trace
from stretto.analysis import check
from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.campaign import begun, configuration_of, continued, resume, run
from stretto.apps.deepdrivemd.comparing import compare
from stretto.apps.deepdrivemd.configuring import Configuration
from stretto.apps.deepdrivemd.configuring.reading import parse_configuration, write_configuration
from stretto.apps.deepdrivemd.lineage import Frame
from stretto.apps.deepdrivemd.places import (
    block_file,
    configuration_file,
    inference_file,
    iteration_folder,
    loss_file,
    model_file,
    record_file,
    start_file,
    system_folder,
    trajectory_file,
)
from stretto.apps.deepdrivemd.provenance import trace_back
from stretto.apps.deepdrivemd.simulating import Record
from stretto.scheduler import Finished
from tests.commands import left_over, started, stretto, wait_until
from tests.dd_runs import prepared

HERE = Path(__file__).parent
SLACK_US = 120_000_000
TINY: dict[str, Any] = {
    "system": {"molecule": "alanine-dipeptide"},
    "simulation": {
        "steps": 1000,
        "report_every": 20,
        "checkpoint_every": 10,
        "hot_steps": 100,
        "resources": {"tasks": 3},
    },
    "aggregation": {"features": "distances", "selection": "heavy"},
    "model": {"kind": "autoencoder", "updates": 60, "batch": 16, "widths": [16], "latent": 2},
    "inference": {"neighbours": 5, "gap": 4},
    "loop": {"iterations": 2, "staleness": 0, "platform": "local:2", "seed": 3},
}
STAND_INS: dict[str, Any] = {
    "simulation": {"function": "dd_standins:simulate"},
    "aggregation": {"function": "dd_standins:aggregate"},
    "model": {"function": "dd_standins:train", "arguments": {"offset": 0.5}},
    "inference": {"function": "dd_standins:infer"},
}


def tiny(**sections: dict[str, Any]) -> Configuration:
    values = {name: {**TINY[name], **sections.get(name, {})} for name in TINY}
    return parse_configuration(yaml.safe_dump(values), folder=HERE)


def standing_in(**sections: dict[str, Any]) -> Configuration:
    """Return a configuration in which nothing is computed."""
    changed = {name: {**STAND_INS[name], **sections.get(name, {})} for name in STAND_INS}
    return tiny(**{**sections, **changed})


def with_molecule(run_dir: Path) -> Path:
    """Return a directory in which a molecule was prepared, and nothing else."""
    shutil.copytree(prepared(molecule="alanine-dipeptide"), system_folder(run_dir))
    return run_dir


def finished(ended: Run) -> Trace:
    trace = ended.trace
    assert trace.complete, trace.reasons
    check(trace, slack_us=SLACK_US)
    return trace


def starts(run_dir: Path, iteration: int) -> list[Any]:
    return json.loads(inference_file(run_dir, iteration).read_text())["starts"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two iterations with all stages as shipped."""
    run_dir = with_molecule(tmp_path_factory.mktemp("done") / "run")
    finished(run(tiny(), run_dir=run_dir))
    return run_dir


# The loop as shipped.


@pytest.mark.slow
def test_the_second_simulations_start_where_the_first_inference_chose(done: Path) -> None:
    for number, start in enumerate(starts(done, 0)):
        record = Record.read(done, 1, number)
        assert list(record.parent or ()) == start["frame"]
        assert (record.inference, record.model) == (0, 0)
        way = trace_back(done, Frame(1, number, record.frames - 1))
        assert [step.frame.iteration for step in way] == [1, 0]
    # Training went on from the model before.
    assert [json.loads(loss_file(done, k).read_text())["parent"] for k in (0, 1)] == [None, 0]


@pytest.mark.slow
def test_the_same_seeds_make_the_same_choices(done: Path, tmp_path: Path) -> None:
    again = with_molecule(tmp_path / "again")
    finished(run(tiny(loop={"mode": "sequential"}), run_dir=again))
    for iteration in (0, 1):
        assert starts(again, iteration) == starts(done, iteration)
        for number in range(3):
            path = trajectory_file(again, iteration, number)
            assert path.read_bytes() == trajectory_file(done, iteration, number).read_bytes()


@pytest.mark.slow
def test_a_damaged_block_is_made_again_and_said_so(tmp_path: Path) -> None:
    run_dir = with_molecule(tmp_path / "run")
    path = block_file(run_dir, 0, 0)
    spoilt = []

    def spoil(_: int, events: Sequence[Any]) -> None:
        # Inference of the first iteration has just ended, training of the second is to come.
        inference = 3 + 1 + 1
        if any(isinstance(one, Finished) and one.task == inference for one in events):
            spoilt.append(path.read_bytes())
            path.write_bytes(spoilt[0][:200])

    finished(run(tiny(), run_dir=run_dir, observe=spoil))
    assert len(spoilt) == 1
    said = [json.loads(loss_file(run_dir, k).read_text())["remade"] for k in (0, 1)]
    assert said[0] == []
    assert [(one["iteration"], one["block"]) for one in said[1]] == [(0, 0)]
    assert "damaged" in said[1][0]["reason"]
    assert len(Block.read(path)) == 3 * 50


@pytest.mark.slow
def test_a_simulation_may_fail_within_its_budget(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from stretto.apps.deepdrivemd.simulating.simulation import simulate as shipped\n"
        "def simulate(task, iteration, seed, attempt, run_dir, task_dir, inputs, cores, gpus,\n"
        "             settings):\n"
        "    if task == 1:\n"
        "        raise ValueError('this one never works')\n"
        "    shipped(task=task, iteration=iteration, seed=seed, attempt=attempt, run_dir=run_dir,\n"
        "            task_dir=task_dir, inputs=inputs, cores=cores, gpus=gpus, settings=settings)\n"
    )
    resources = {"tasks": 3, "retries": 0, "failures": 1}
    values = {**TINY, "simulation": {**TINY["simulation"], "resources": resources}}
    values["simulation"]["function"] = "mine:simulate"
    configuration = parse_configuration(yaml.safe_dump(values), folder=tmp_path)
    run_dir = with_molecule(tmp_path / "run")
    trace = run(configuration, run_dir=run_dir).trace
    check(trace, slack_us=SLACK_US)
    assert trace.n_forgiven == 2
    assert Block.read(block_file(run_dir, 1, 0)).missing == ((1, 1),)
    assert all(start["frame"][1] != 1 for start in starts(run_dir, 1))


@pytest.mark.slow
def test_a_run_with_a_spoilt_trajectory_stops_by_name_and_goes_on_without_it(
    tmp_path: Path,
) -> None:
    run_dir = with_molecule(tmp_path / "run")
    path = trajectory_file(run_dir, 0, 0)
    spoilt = []

    def spoil(_: int, events: Sequence[Any]) -> None:
        # The first of three has ended, on two cores: aggregation is still to come.
        if any(isinstance(one, Finished) and one.task == 0 for one in events):
            frames = bytearray(path.read_bytes())
            at = len(frames) - 8  # the last number, before the count of its bytes
            frames[at : at + 4] = struct.pack("<f", math.nan)
            path.write_bytes(frames)
            spoilt.append(len(frames))

    trace = run(tiny(), run_dir=run_dir, observe=spoil).trace
    assert len(spoilt) == 1
    assert not trace.complete
    check(trace, slack_us=SLACK_US)
    (reason,) = set(trace.reasons.values())
    assert "simulation-000.dcd: frame 49 has positions that are not finite" in reason
    assert "remove simulation-000.json and resume" in reason
    record_file(run_dir, 0, 0).unlink()
    finished(resume(run_dir))
    assert Block.read(block_file(run_dir, 0, 0)).missing == ((0, 0),)
    assert all(start["frame"][:2] != [0, 0] for start in starts(run_dir, 1))


WILD = """
from stretto.apps.deepdrivemd.learning import train as shipped

def train(iteration, seed, attempt, run_dir, inputs, cores, gpus, settings):
    if iteration == {iteration}:
        settings = {{**settings, "learning_rate": 1e30}}
    shipped(iteration=iteration, seed=seed, attempt=attempt, run_dir=run_dir, inputs=inputs,
            cores=cores, gpus=gpus, settings=settings, retries=1)
"""


def wild(folder: Path, iteration: int) -> Configuration:
    """Return a loop whose training diverges in one iteration, whatever its learning rate."""
    (folder / "wild.py").write_text(WILD.format(iteration=iteration))
    model = {**TINY["model"], "function": "wild:train", "resources": {"retries": 1}}
    values = {**TINY, "model": model, "loop": {**TINY["loop"], "iterations": 3}}
    return parse_configuration(yaml.safe_dump(values), folder=folder)


@pytest.mark.slow
def test_a_loop_goes_on_with_the_model_before_where_training_diverges(tmp_path: Path) -> None:
    run_dir = with_molecule(tmp_path / "run")
    finished(run(wild(tmp_path, 1), run_dir=run_dir))
    losses = [json.loads(loss_file(run_dir, k).read_text()) for k in range(3)]
    assert [one["fell_back"] for one in losses] == [False, True, False]
    assert [one["trained_in"] for one in losses] == [0, 0, 2]
    assert [one["learning_rate"] for one in losses[1]["diverged"]] == [1e30, 5e29]
    chosen_by = [json.loads(inference_file(run_dir, k).read_text()) for k in range(3)]
    assert [(one["trained_in"], one["model_age"]) for one in chosen_by] == [(0, 0), (0, 1), (2, 0)]


@pytest.mark.slow
def test_a_first_training_that_diverges_stops_the_loop_by_name(tmp_path: Path) -> None:
    run_dir = with_molecule(tmp_path / "run")
    trace = run(wild(tmp_path, 0), run_dir=run_dir).trace
    assert not trace.complete
    check(trace, slack_us=SLACK_US)
    said = list(trace.reasons.values())
    assert any("training of iteration 0 diverged at update" in reason for reason in said), said
    # Once the function is mended, the same run goes on.
    (tmp_path / "wild.py").write_text(WILD.format(iteration=-1))
    finished(resume(run_dir))
    assert not json.loads(loss_file(run_dir, 0).read_text())["fell_back"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "aggregation"),
    [
        ({"molecule": "cln025"}, {"features": "distances"}),
        ({"sequence": "AGA"}, {"features": "dihedrals"}),
        (
            {"solvent": "explicit", "padding_nm": 0.6, "cutoff_nm": 0.6},
            {"features": "distances", "selection": "heavy"},
        ),
        ({"molecule": "hp35", "representation": "go"}, {"features": "contacts"}),
    ],
    ids=["cln025", "sequence", "water", "hp35"],
)
def test_other_molecules_go_through_a_whole_loop(
    tmp_path: Path, system: dict[str, Any], aggregation: dict[str, Any]
) -> None:
    simulation = {"steps": 100, "report_every": 5, "checkpoint_every": 5, "hot_steps": 4}
    maps = {"kind": "cvae", "filters": [4], "dense": 8, "beta": 0.01}
    model = maps if aggregation["features"] == "contacts" else {"kind": "autoencoder"}
    values = {
        **TINY,
        "system": system,
        "simulation": {**simulation, "resources": {"tasks": 2}},
        "aggregation": aggregation,
        "model": {"updates": 60, "batch": 8, "latent": 2, **model},
    }
    configuration = parse_configuration(yaml.safe_dump(values), folder=tmp_path)
    finished(run(configuration, run_dir=tmp_path / "run"))
    for number, start in enumerate(starts(tmp_path / "run", 0)):
        assert list(Record.read(tmp_path / "run", 1, number).parent or ()) == start["frame"]


# Killed, and gone on with.


@pytest.mark.slow
def test_a_driver_killed_in_mid_iteration_changes_nothing_of_what_is_found(
    done: Path, tmp_path: Path
) -> None:
    run_dir = with_molecule(tmp_path / "run")
    path = tmp_path / "deepdrivemd.yaml"
    write_configuration(tiny(), path)
    driver = started("deepdrivemd", "run", path, "--run-dir", run_dir)
    wait_until(lambda: record_file(run_dir, 1, 0).exists() or driver.poll() is not None)
    os.kill(driver.pid, signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    wait_until(lambda: not left_over(run_dir))
    ended = stretto("deepdrivemd", "resume", run_dir)
    assert ended.returncode == 0, ended.stderr
    check(read_trace(run_dir / "journal.jsonl"), slack_us=SLACK_US)
    for number in range(3):
        path = trajectory_file(run_dir, 1, number)
        assert path.read_bytes() == trajectory_file(done, 1, number).read_bytes()
    assert starts(run_dir, 1) == starts(done, 1)


@pytest.mark.slow
def test_a_simulation_killed_in_mid_flight_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    run_dir = with_molecule(tmp_path / "run")
    simulation = {**TINY["simulation"], "steps": 60_000, "resources": {"tasks": 1}}
    configuration = tiny(simulation=simulation, loop={"iterations": 1, "platform": "local:1"})
    path = tmp_path / "deepdrivemd.yaml"
    write_configuration(configuration, path)
    driver = started("deepdrivemd", "run", path, "--run-dir", run_dir)
    folder = run_dir / "tasks/simulation/0/0"
    # Five checkpoints' worth of frames, of 22 atoms in three numbers of four bytes.
    enough = 5 * 10 * 22 * 3 * 4
    wait_until(lambda: any(one.stat().st_size > enough for one in folder.glob("frames-*.dcd")))
    (worker,) = [int(one) for one in left_over(run_dir) if parent_of(int(one)) == driver.pid]
    os.kill(worker, signal.SIGKILL)
    assert driver.wait(timeout=120) == 0
    record = Record.read(run_dir, 0, 0)
    assert record.attempt == 2
    assert [one.why for one in record.resumed] == ["interrupted"]
    assert record.resumed[0].frames > 0
    assert record.frames == 3000


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_run_that_was_killed_before_the_engine_began_is_begun_again(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    configuration = standing_in()
    write_configuration(configuration, configuration_file(run_dir))
    # A preparation leaves its record last.
    system_folder(run_dir).mkdir()
    (system_folder(run_dir) / "topology.pdb").write_text("half")
    finished(resume(run_dir))
    assert configuration_of(run_dir) == configuration
    assert inference_file(run_dir, 1).exists()
    # What is done is left as it is.
    before = inference_file(run_dir, 1).stat().st_mtime_ns
    finished(resume(run_dir))
    assert inference_file(run_dir, 1).stat().st_mtime_ns == before


# Directories.


def test_an_empty_or_prepared_directory_is_no_error_and_a_run_is(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    assert begun(standing_in(), run_dir) == run_dir
    finished(run(standing_in(), run_dir=run_dir))
    with pytest.raises(WorkflowError, match=r"there is a run already; .* resume .* continue"):
        run(standing_in(), run_dir=run_dir)
    with pytest.raises(WorkflowError, match="no run of DeepDriveMD here"):
        resume(tmp_path)


def test_another_molecule_in_the_directory_is_told(tmp_path: Path) -> None:
    run_dir = with_molecule(tmp_path / "run")
    with pytest.raises(WorkflowError, match=r"system: .*prepared from other settings"):
        begun(standing_in(system={"molecule": "alanine-dipeptide", "solvent": "vacuum"}), run_dir)


@pytest.mark.parametrize(
    ("inference", "key"),
    [
        ({"strategy": "outliers-rmsd"}, "strategy"),
        ({"until": {"native_contacts": 0.9}}, "until.native_contacts"),
        ({"until": {"rmsd_nm": 0.2}}, "until.rmsd_nm"),
    ],
)
def test_what_needs_a_reference_is_told_before_anything_runs(
    tmp_path: Path, inference: dict[str, Any], key: str
) -> None:
    run_dir = with_molecule(tmp_path / "run")
    with pytest.raises(WorkflowError, match=rf"inference\.{key}: needs a reference") as raised:
        run(tiny(inference={**TINY["inference"], **inference}), run_dir=run_dir)
    assert "system.reference" in str(raised.value)


def test_too_few_atoms_for_the_features_are_told_before_anything_runs(tmp_path: Path) -> None:
    run_dir = with_molecule(tmp_path / "run")
    with pytest.raises(WorkflowError, match=r"aggregation\.selection: expected at least 2 atoms"):
        run(tiny(aggregation={"selection": "alpha-carbons"}), run_dir=run_dir)


# Stages of somebody else's.


def words(**stages: list[str]) -> dict[str, Any]:
    """Return commands for all stages."""
    program = ["python3", "dd_standins.py"]
    commands = {
        "simulation": ["simulate", "{start}", "{trajectory}", "{record}", "{task}"],
        "aggregation": ["aggregate", "{data}", "{block}"],
        "model": ["train", "{data}", "{model}", "{before}"],
        "inference": ["infer", "{data}", "{inference}", "{simulations}"],
        **stages,
    }
    return {name: {**TINY[name], "command": [*program, *more]} for name, more in commands.items()}


def test_every_stage_can_be_a_command(tmp_path: Path) -> None:
    run_dir = with_molecule(tmp_path / "run")
    finished(run(tiny(**words()), run_dir=run_dir))
    began = [
        [json.loads(record_file(run_dir, k, n).read_text())["began"] for n in range(3)]
        for k in (0, 1)
    ]
    assert began == [["structure"] * 3, ["chosen"] * 3]
    learnt = [json.loads(model_file(run_dir, k).read_text()) for k in (0, 1)]
    assert [one["before"] for one in learnt] == [None, 0]
    assert learnt[0]["mean"] == pytest.approx(1.1)


def test_every_stage_can_be_a_function_and_gets_what_it_asks_for(tmp_path: Path) -> None:
    run_dir = with_molecule(tmp_path / "run")
    finished(run(standing_in(), run_dir=run_dir))
    learnt = [json.loads(model_file(run_dir, k).read_text()) for k in (0, 1)]
    assert [one["before"] for one in learnt] == [None, 0]
    assert learnt[0]["mean"] == pytest.approx(1.1 + 0.5)
    assert learnt[0]["latent"] == TINY["model"]["latent"]


def test_a_loop_turns_until_a_function_says_that_it_has_converged(tmp_path: Path) -> None:
    inference = {
        **STAND_INS["inference"],
        "until": {"growth": 0.1},
        "arguments": {"until": 1},
    }
    configuration = standing_in(inference=inference, loop={**TINY["loop"], "iterations": 5})
    run_dir = with_molecule(tmp_path / "run")
    trace = finished(run(configuration, run_dir=run_dir))
    assert trace.converged_in == 1
    assert not iteration_folder(run_dir, 2).exists()


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        (words(model=["fail", "{model}"]), "python3 ended with exit status 7"),
        (
            words(model=["train", "{data}", "{task_dir}/else", "none"]),
            "model.pt: not there, though",
        ),
        ({"model": {"command": "no-such-program"}}, "no-such-program cannot be started: No such"),
        ({"simulation": {"function": "dd_standins:forgetful"}}, "simulation-000.dcd: not there"),
        ({"simulation": {"function": "dd_standins:nobody"}}, "no function dd_standins:nobody"),
        ({"simulation": {"function": "dd_standins:wanting"}}, "has a parameter 'colour'"),
        (
            {"inference": {"function": "dd_standins:silent"}},
            "expected converged, true or false, found 'perhaps'",
        ),
    ],
)
def test_a_stage_that_does_not_do_its_part_fails_by_name(
    tmp_path: Path, stages: dict[str, Any], reason: str
) -> None:
    for stage in stages.values():
        stage["resources"] = {"retries": 0}
    run_dir = with_molecule(tmp_path / "run")
    if "simulation" in stages:
        stages["simulation"]["resources"]["tasks"] = 1
    values = {name: {**TINY[name], **STAND_INS.get(name, {})} for name in TINY}
    values |= {name: {**TINY[name], **stage} for name, stage in stages.items()}
    configuration = parse_configuration(yaml.safe_dump(values), folder=HERE)
    trace = run(configuration.looped(iterations=1), run_dir=run_dir).trace
    assert not trace.complete
    check(trace, slack_us=SLACK_US)
    assert any(reason in one for one in trace.reasons.values()), trace.reasons


# Runs that continue others.


def test_a_run_is_continued_in_a_directory_of_its_own(tmp_path: Path) -> None:
    old, new, newest = (tmp_path / name for name in ("old", "new", "newest"))
    finished(run(standing_in(), run_dir=with_molecule(old)))
    configuration, _ = continued(old, iterations=1, run_dir=new)
    assert (configuration.loop.iterations, configuration.loop.first) == (1, 2)
    assert configuration.loop.seed != TINY["loop"]["seed"]
    finished(run(configuration, run_dir=new))
    # It began where the old one ended, and counts on.
    assert json.loads(record_file(new, 2, 0).read_text())["began"] == "chosen"
    assert json.loads(model_file(new, 2).read_text())["before"] == 1
    assert not iteration_folder(old, 2).exists()
    assert model_file(new, 0).samefile(model_file(old, 0))
    # And so does the next one, from both.
    configuration, _ = continued(new, iterations=2, run_dir=newest)
    finished(run(configuration, run_dir=newest))
    assert json.loads(model_file(newest, 3).read_text())["before"] == 2
    assert start_file(newest, 4, 2).read_text() == "REMARK chosen by 4\n"


def test_where_links_fail_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    old, new = tmp_path / "old", tmp_path / "new"
    finished(run(standing_in(), run_dir=with_molecule(old)))
    monkeypatch.setattr(Path, "hardlink_to", refused)
    continued(old, iterations=1, run_dir=new)
    assert model_file(new, 1).read_bytes() == model_file(old, 1).read_bytes()
    assert not model_file(new, 1).samefile(model_file(old, 1))


def test_only_complete_iterations_are_continued(tmp_path: Path) -> None:
    old = tmp_path / "old"
    finished(run(standing_in(), run_dir=with_molecule(old)))
    inference_file(old, 1).unlink()
    configuration, new = continued(old, iterations=3, run_dir=tmp_path / "new")
    assert configuration.loop.first == 1
    assert not iteration_folder(new, 1).exists()
    inference_file(old, 0).unlink()
    with pytest.raises(WorkflowError, match="no complete iteration to continue"):
        continued(old, iterations=3, run_dir=tmp_path / "other")


@pytest.mark.slow
def test_a_real_run_goes_on_from_its_model_and_its_frames(done: Path, tmp_path: Path) -> None:
    configuration, new = continued(done, iterations=1, run_dir=tmp_path / "new")
    finished(run(configuration, run_dir=new))
    assert json.loads(loss_file(new, 2).read_text())["parent"] == 1
    for number, start in enumerate(starts(done, 1)):
        assert list(Record.read(new, 2, number).parent or ()) == start["frame"]


# Comparing.


@pytest.mark.slow
def test_modes_are_predicted_from_one_iteration_and_then_run(tmp_path: Path) -> None:
    folder = tmp_path / "compared"
    with_molecule(folder / "calibration")
    said: list[str] = []
    configuration = standing_in(loop={**TINY["loop"], "staleness": 1})
    compared = compare(configuration, folder, say=said.append)
    assert list(compared.modes) == ["sequential", "asynchronous", "adaptive"]
    assert len(said) == 4
    for mode, one in compared.modes.items():
        check(one.predicted, slack_us=SLACK_US)  # it has the overheads of the engine
        check(one.measured, slack_us=SLACK_US)
        assert one.measured.complete
        assert one.predicted.mode == one.measured.mode == mode
        assert one.directory == folder / mode
    gained = compared.improvement("sequential")
    assert gained == (0, 0)
    # What has been run is not run again.
    again = compare(configuration, folder)
    for mode, one in again.modes.items():
        assert one.measured.ttx_us == compared.modes[mode].measured.ttx_us
    with pytest.raises(WorkflowError, match="a run of another configuration"):
        compare(configuration.looped(seed=99), folder)
