"""Directories of DeepDriveMD runs at tiny sizes, filled without an engine."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from stretto.apps.deepdrivemd import molecules
from stretto.apps.deepdrivemd.dcd import read_dcd
from stretto.apps.deepdrivemd.molecules import SystemSettings, prepare
from stretto.apps.deepdrivemd.places import (
    inference_file,
    start_file,
    system_folder,
    trajectory_file,
)
from stretto.apps.deepdrivemd.simulating import simulate

PDB = Path(molecules.__file__).with_name("alanine-dipeptide.pdb")
TINY = {"steps": 400, "report_every": 20, "checkpoint_every": 5, "hot_steps": 40}


@cache
def prepared(**system: Any) -> Path:
    """Return a folder with a molecule that is prepared once."""
    folder = tempfile.TemporaryDirectory(prefix="stretto-system-")
    _KEPT.append(folder)
    prepare(SystemSettings(**system), folder.name)
    return Path(folder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def new_run(run_dir: Path, **system: Any) -> Path:
    """Begin a run, of alanine dipeptide with its structure as the reference if nothing is said."""
    folder = prepared(**(system or {"reference": str(PDB)}))
    shutil.copytree(folder, system_folder(run_dir))
    return run_dir


def change_system(run_dir: Path, text: str) -> None:
    """Give a run another system than the one that was prepared."""
    folder = system_folder(run_dir)
    (folder / "system.xml").write_text(text)
    record = json.loads((folder / "system.json").read_text())
    record["files"]["system.xml"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "system.json").write_text(json.dumps(record))


def run_simulation(run_dir, iteration=0, task=0, *, inference=None, attempt=1, first=0, **changes):
    return simulate(
        task=task,
        iteration=iteration,
        seed=100 * iteration + task,
        attempt=attempt,
        run_dir=str(run_dir),
        task_dir=str(run_dir / f"tasks/simulation/{iteration}/{task}"),
        inputs={"inference": inference},
        cores=1,
        gpus=0,
        settings=TINY | changes,
        first=first,
    )


def choose(run_dir, iteration, frames, *, model=None):
    """Leave what an inference leaves that chose these frames."""
    from openmm import app, unit

    topology = app.PDBFile(str(system_folder(run_dir) / "topology.pdb")).topology
    inference_file(run_dir, iteration).parent.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        path = trajectory_file(run_dir, frame.iteration, frame.simulation)
        positions = read_dcd(path)[0][frame.frame].astype(np.float64)
        with start_file(run_dir, iteration, number).open("w") as file:
            app.PDBFile.writeFile(topology, positions * unit.nanometer, file, keepIds=True)
    starts = [{"frame": list(frame), "score": 2.5} for frame in frames]
    inference_file(run_dir, iteration).write_text(json.dumps({"model": model, "starts": starts}))
