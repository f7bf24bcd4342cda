"""The main job: real molecules, both modes, a report; as `make quickstart` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stretto.analysis import check
from stretto.trace import read_trace

for library in ("openmm", "torch", "sklearn"):
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
    (folder,) = (tmp_path / "runs").glob("quickstart-*")
    assert "Asynchronous" in (folder / "report.html").read_text(encoding="utf-8")
    for mode in ("sequential", "asynchronous"):
        trace = read_trace(folder / mode / "journal.jsonl")
        check(trace, slack_us=60_000_000)
        assert trace.complete
        check_lineage(folder / mode)


def check_lineage(run_dir: Path) -> None:
    """Assert that the last simulations began at frames that an inference chose."""
    for task in range(4):
        with np.load(run_dir / "data" / "iteration-002" / f"simulation-{task:03d}.npz") as arrays:
            iteration, simulation, frame = arrays["parent"].tolist()
            used = int(arrays["inference"])
        assert 0 <= iteration <= used <= 1
        assert 0 <= simulation < 4
        assert frame >= 0
