"""Where everything lies in the directory of a run.

========================================  =========================================================
``deepdrivemd.yaml``                      the configuration, all defaults filled in
``system/``                               the prepared molecule (see `molecules`)
``data/iteration-000/``                   what one iteration leaves:
``    simulation-000.dcd``                frames of a simulation, with the topology of ``system/``
``    simulation-000.json``               where they came from: start, seeds, platform, time a frame
``    aggregation-000.h5``                a block: frames of some simulations as features
``    model.pt``, ``model.json``          weights of the model; loss curves, parent
``    model-diverged.json``               only between attempts: how a training failed
``    inference.json``                    chosen starting frames with lineage, verdict, summary
``    picks.json``                          of a stream: all that its inference chose, in order
``    start-000.pdb``                     the start of simulation 0 of an iteration that uses them
``    latent.npz``                        embedding of the frames that inference looked at
========================================  =========================================================

Numbers have at least three digits.  A run that continues another one has its iterations too, and
counts on from them.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "block_file",
    "configuration_file",
    "divergence_file",
    "inference_file",
    "iteration_folder",
    "latent_file",
    "loss_file",
    "model_file",
    "picks_file",
    "record_file",
    "start_file",
    "system_folder",
    "trajectory_file",
]


def configuration_file(run_dir: str | Path) -> Path:
    """Return where a run keeps its configuration."""
    return Path(run_dir) / "deepdrivemd.yaml"


def system_folder(run_dir: str | Path) -> Path:
    """Return the folder of the prepared molecule."""
    return Path(run_dir) / "system"


def iteration_folder(run_dir: str | Path, iteration: int) -> Path:
    """Return the folder of what one iteration leaves."""
    return Path(run_dir) / "data" / f"iteration-{iteration:03}"


def trajectory_file(run_dir: str | Path, iteration: int, simulation: int) -> Path:
    """Return where a simulation leaves its frames."""
    return iteration_folder(run_dir, iteration) / f"simulation-{simulation:03}.dcd"


def record_file(run_dir: str | Path, iteration: int, simulation: int) -> Path:
    """Return where a simulation leaves the record of where its frames came from."""
    return iteration_folder(run_dir, iteration) / f"simulation-{simulation:03}.json"


def block_file(run_dir: str | Path, iteration: int, block: int) -> Path:
    """Return where an aggregation leaves its block of features."""
    return iteration_folder(run_dir, iteration) / f"aggregation-{block:03}.h5"


def model_file(run_dir: str | Path, iteration: int) -> Path:
    """Return where training leaves the weights of its model."""
    return iteration_folder(run_dir, iteration) / "model.pt"


def loss_file(run_dir: str | Path, iteration: int) -> Path:
    """Return where training leaves its loss curves and the model's parent."""
    return iteration_folder(run_dir, iteration) / "model.json"


def divergence_file(run_dir: str | Path, iteration: int) -> Path:
    """Return where a training that diverged notes it for the next attempt."""
    return iteration_folder(run_dir, iteration) / "model-diverged.json"


def inference_file(run_dir: str | Path, iteration: int) -> Path:
    """Return where inference leaves what it chose and why."""
    return iteration_folder(run_dir, iteration) / "inference.json"


def picks_file(run_dir: str | Path, iteration: int) -> Path:
    """Return where the inference of a stream leaves all its choices of an iteration."""
    return iteration_folder(run_dir, iteration) / "picks.json"


def start_file(run_dir: str | Path, iteration: int, simulation: int) -> Path:
    """Return the start that an iteration's inference chose for a simulation that uses it."""
    return iteration_folder(run_dir, iteration) / f"start-{simulation:03}.pdb"


def latent_file(run_dir: str | Path, iteration: int) -> Path:
    """Return where inference leaves the embedding of the frames it looked at."""
    return iteration_folder(run_dir, iteration) / "latent.npz"
