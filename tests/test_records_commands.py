"""The commands `import` and `calibrate`, and the other commands on what was imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stretto.analysis import check
from stretto.trace import read_trace
from tests.commands import called
from tests.records import summit
from tests.test_records_summit import STAGED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a record, imported to ``runs/staged``."""
    summit(STAGED, tmp_path / "staged.csv")
    ran = called("import", "staged.csv", folder=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[0] == (
        "staged (summit): 7 of 7 tasks finished, in 6 task sets, TTX 32 s"
    )
    assert "taken to wait for pipeline 0" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "runs/staged"
    check(read_trace(tmp_path / "runs/staged/journal.jsonl"))
    return tmp_path


def test_an_import_says_as_json_what_it_made(folder):
    ran = called("import", "staged.csv", "--output", "again", "--json", folder=folder)
    values = json.loads(ran.stdout)
    assert (values["tasks"], values["finished"], values["ttx_s"]) == (7, 7, 32.0)
    assert (values["format"], values["order"]) == ("summit", "largest-first")
    assert Path(folder / values["directory"] / "workflow.yaml").is_file()


def test_what_was_imported_reads_like_a_run(folder):
    ran = called("status", "runs/staged", folder=folder)
    assert "(task-level, imported) is done: 7 of 7 tasks finished" in ran.stdout
    ran = called("report", "runs/staged", "--json", folder=folder)
    assert json.loads(ran.stdout)["kind"] == "imported"
    assert "Imported" in (folder / "runs/staged/report.html").read_text()
    ran = called("explain", "runs/staged", "train[0].0", folder=folder)
    assert "21.000 s  launched" in ran.stdout


def test_its_description_can_be_planned_and_emulated(folder):
    ran = called("plan", "runs/staged/workflow.yaml", "--json", folder=folder)
    assert json.loads(ran.stdout)["tasks"] == 7
    ran = called(
        "run", "runs/staged/workflow.yaml", "--emulate", "--time-scale", "1000",
        "--run-dir", "emulated", "--json", folder=folder,
    )  # fmt: skip
    assert json.loads(ran.stdout)["finished"] == 7
    check(read_trace(folder / "emulated/journal.jsonl"), slack_us=600_000_000)


def test_it_is_not_run_again(folder):
    ran = called("resume", "runs/staged", folder=folder)
    assert ran.returncode == 2
    assert ran.stderr == "stretto: runs/staged: is the record of another engine's run\n"


def test_a_calibration_is_written_and_shown(folder):
    ran = called("calibrate", "runs/staged", folder=folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "   stage:        1 s  from 5 observations" in ran.stdout
    assert "order: largest-first" in ran.stdout
    assert "durations of 6 task sets, from 7 finished tasks" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "calibration.json"
    ran = called("calibrate", "staged.csv", "--output", "c.json", "--json", folder=folder)
    written = json.loads((folder / "c.json").read_text())
    assert json.loads(ran.stdout) == written
    first = json.loads((folder / "calibration.json").read_text())
    assert {**first, "sources": []} == {**written, "sources": []}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import", "none.csv"], "none.csv: there is no such file"),
        (["import", "staged.csv"], "runs/staged: is there already and not empty"),
        (["import", "staged.csv", "--format", "x"], "format: expected one of wfformat, summit"),
        (["import", "staged.csv", "--platform", "moon"], "there is no platform 'moon'"),
        (["calibrate", "none"], "none: there is no run here"),
    ],
)
def test_a_mistake_is_one_line(words, message, folder):
    ran = called(*words, folder=folder)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1
