"""The main job: real molecules, three modes, a report; as `make quickstart` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stretto.analysis import check
from stretto.apps.deepdrivemd.simulating import Record
from stretto.trace import read_trace

for library in ("openmm", "torch", "sklearn", "mdtraj", "matplotlib"):
    pytest.importorskip(library)


@pytest.mark.slow
def test_the_quickstart_runs_and_its_traces_are_legal(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stretto.apps.deepdrivemd"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "I measured" in done.stdout
    assert "of 144 cells" in done.stdout
    (folder,) = (tmp_path / "runs").glob("quickstart-*")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "adaptive, outliers" in page
    for mode in ("sequential", "asynchronous", "adaptive"):
        trace = read_trace(folder / mode / "journal.jsonl")
        check(trace, slack_us=60_000_000)
        assert trace.complete
        check_lineage(folder / mode)


def check_lineage(run_dir: Path) -> None:
    """Assert that the last simulations began at frames that an inference chose."""
    for simulation in range(4):
        record = Record.read(run_dir, 2, simulation)
        assert record.parent is not None
        assert record.inference is not None
        assert 0 <= record.parent.iteration <= record.inference <= 1
        assert 0 <= record.parent.simulation < 4
