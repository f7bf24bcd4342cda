"""``stretto deepdrivemd``: what each command does, says and ends with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("openmm")
pytest.importorskip("matplotlib")
pytest.importorskip("mdtraj")

from stretto.apps.deepdrivemd.campaign import configuration_of
from stretto.apps.deepdrivemd.configuring.reading import (
    configuration_text,
    read_configuration,
    write_configuration,
)
from stretto.apps.deepdrivemd.places import configuration_file, iteration_folder, model_file
from stretto.apps.deepdrivemd.simulating import Record
from tests.commands import called
from tests.test_dd_campaign import STAND_INS, standing_in, tiny, with_molecule
from tests.test_dd_provenance import write_record

PDB = "ATOM      1  CA  ALA A   1       0.000   0.000   0.000  1.00  0.00           C\nEND\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration in which nothing is computed."""
    path = tmp_path / "deepdrivemd.yaml"
    write_configuration(standing_in(), path)
    return path


@pytest.mark.parametrize(
    ("words", "kind", "features"),
    [
        ([], "autoencoder", "distances"),
        (["--molecule", "hp35"], "cvae", "contacts"),
        (["--molecule", "hp35", "--representation", "go"], "cvae", "contacts"),
        (["--sequence", "GYDPETGTWG"], "cvae", "contacts"),
        (["--sequence", "AAA"], "autoencoder", "distances"),
    ],
)
def test_init_writes_a_configuration_that_fits_the_molecule(
    tmp_path: Path, words: list[str], kind: str, features: str
) -> None:
    done = called("deepdrivemd", "init", "loop", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "loop" / "deepdrivemd.yaml"
    configuration = read_configuration(path)
    assert (configuration.model.kind, configuration.aggregation.features) == (kind, features)
    assert f"stretto deepdrivemd run {path.relative_to(tmp_path)}" in done.stdout
    # It is never written over.
    path.write_text("mine")
    again = called("deepdrivemd", "init", "loop", *words, folder=tmp_path)
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert path.read_text() == "mine"


def test_init_takes_a_pdb_file_along(tmp_path: Path) -> None:
    source = tmp_path / "mine.pdb"
    source.write_text(PDB)
    done = called("deepdrivemd", "init", "loop", "--pdb", source, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "loop" / "mine.pdb").read_text() == PDB
    configuration = read_configuration(tmp_path / "loop" / "deepdrivemd.yaml")
    assert configuration.system.molecule == "mine.pdb"
    assert configuration.folder == str(tmp_path / "loop")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--molecule", "hp35", "--sequence", "AA"], "found several"),
        (["--pdb", "none.pdb"], "none.pdb: there is no such file"),
        (["--sequence", "AXA"], "system.sequence"),
        (["--sequence", "AAA", "--representation", "go"], "Gō model"),
    ],
)
def test_init_says_what_does_not_go_together(
    tmp_path: Path, words: list[str], message: str
) -> None:
    done = called("deepdrivemd", "init", "loop", *words, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "loop").exists()


def test_run_resume_continue_and_report(tmp_path: Path, file: Path) -> None:
    run_dir, new = with_molecule(tmp_path / "run"), tmp_path / "new"
    done = called(
        "deepdrivemd", "run", file, "--run-dir", run_dir, "--mode", "sequential", "--seed", "9"
    )
    assert done.returncode == 0, done.stderr
    assert f"report: {run_dir}/deepdrivemd.html" in done.stdout
    loop = configuration_of(run_dir).loop
    assert (loop.mode, loop.seed) == ("sequential", 9)
    assert called("deepdrivemd", "run", file, "--run-dir", run_dir).returncode == 2
    again = called("deepdrivemd", "resume", run_dir, "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["ending"] == "done"
    more = called("deepdrivemd", "continue", run_dir, "--iterations", "1", "--run-dir", new)
    assert more.returncode == 0, more.stderr
    assert iteration_folder(new, 2).exists()
    page = tmp_path / "both.html"
    both = called("deepdrivemd", "report", run_dir, new, "--output", page)
    assert both.returncode == 0, both.stderr
    assert both.stdout.strip() == str(page)
    assert page.is_file()


def test_a_run_whose_driver_died_before_the_engine_began_is_resumed(
    tmp_path: Path, file: Path
) -> None:
    run_dir = with_molecule(tmp_path / "run")
    configuration_file(run_dir).write_text(configuration_text(read_configuration(file)))
    done = called("deepdrivemd", "resume", run_dir)
    assert done.returncode == 0, done.stderr
    assert "inference[1]: finished" in done.stdout


def test_a_failed_run_says_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "deepdrivemd.yaml"
    model = {**STAND_INS["model"], "function": "dd_standins:wanting", "resources": {"retries": 0}}
    write_configuration(standing_in(model={**model, "arguments": {}}), path)
    run_dir = with_molecule(tmp_path / "run")
    done = called("deepdrivemd", "run", path, "--run-dir", run_dir)
    assert done.returncode == 1
    assert f"stretto deepdrivemd resume {run_dir}" in done.stdout
    assert "training[0].0, attempt 1: " in done.stderr
    assert "parameter 'colour'" in done.stderr


def test_a_mistake_in_the_configuration_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("system: {molecule: hp35}\nloop:\n  iteration: 3\n")
    done = called("deepdrivemd", "run", path)
    assert done.returncode == 2
    assert done.stderr == (
        f"stretto: {path}:3: loop.iteration: unknown key 'iteration'; did you mean 'iterations'?\n"
    )


def test_trace_tells_where_a_frame_came_from(tmp_path: Path) -> None:
    write_record(tmp_path, 0, 4, None)
    done = called("deepdrivemd", "trace", tmp_path, "0.4.9")
    assert done.returncode == 0
    assert "frame 9 of simulation 4 in iteration 0" in done.stdout
    assert called("deepdrivemd", "trace", tmp_path, "0.4").returncode == 2
    missing = called("deepdrivemd", "trace", tmp_path, "3.0.0")
    assert missing.returncode == 1
    assert "simulation-000.json: no such file" in missing.stderr


@pytest.mark.slow
def test_compare_shows_predicted_beside_measured(tmp_path: Path) -> None:
    path, folder = tmp_path / "a.yaml", tmp_path / "compared"
    values = yaml.safe_load(configuration_text(tiny()))
    path.write_text(yaml.safe_dump(values))
    with_molecule(folder / "calibration")
    done = called("deepdrivemd", "run", path, "--compare", "--plain", "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    for mode in ("sequential", "asynchronous", "adaptive"):
        assert f"{mode}: " in done.stdout
    assert "I measured" in done.stdout
    page = (folder / "deepdrivemd.html").read_text()
    assert "asynchronous" in page
    # Plain MD: each simulation went on where its own ended.
    assert "plain" in page
    records = [Record.read(folder / "plain", 1, number) for number in range(3)]
    assert [one.parent for one in records] == [(0, number, 49) for number in range(3)]
    assert not model_file(folder / "plain", 0).exists()


def test_plain_alone_is_no_comparison(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(configuration_text(tiny()))
    done = called("deepdrivemd", "run", path, "--plain")
    assert done.returncode != 0
    assert "--plain goes with --compare; alone, plain MD is inference.strategy: continue" in (
        done.stderr
    )


def test_the_commands_load_nothing_heavy() -> None:
    heavy = ["openmm", "torch", "sklearn", "matplotlib", "mdtraj", "h5py", "ortools"]
    program = (
        "import sys, stretto.cli.deepdrivemd_commands\n"
        f"print([one for one in {heavy!r} if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
