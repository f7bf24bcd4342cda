"""A campaign: configurations to runs, runs that go on, and runs that others are continued by.

The directory of a run has the configuration first, then the molecule (`molecules.prepare` begins
again what was killed), then the engine's journal.  So whatever a run was stopped in, `resume` knows
from the directory alone how it goes on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

import stretto
from stretto import Run, Workflow, WorkflowError
from stretto.apps.deepdrivemd.aggregating.observables import Observables
from stretto.apps.deepdrivemd.configuring import Configuration
from stretto.apps.deepdrivemd.configuring.reading import read_configuration, write_configuration
from stretto.apps.deepdrivemd.loop import workflow_of
from stretto.apps.deepdrivemd.molecules import prepare
from stretto.apps.deepdrivemd.places import (
    configuration_file,
    inference_file,
    iteration_folder,
    system_folder,
)

__all__ = [
    "Observer",
    "begun",
    "complete_iterations",
    "configuration_of",
    "continued",
    "has_run",
    "resume",
    "run",
    "share_molecule",
]

Observer = Callable[[int, Sequence[Any]], None]
"""Called after each round of a run with its time in microseconds and its events."""

_JOURNAL = "journal.jsonl"


def run(
    configuration: Configuration,
    *,
    run_dir: str | Path | None = None,
    workflow: Workflow | None = None,
    walltime: float | None = None,
    overrun: bool = False,
    observe: Observer | None = None,
) -> Run:
    """Run a loop and return when it has ended, failed for good or been stopped.

    Parameters
    ----------
    configuration
        What to run.
    run_dir
        Where to keep the run; ``runs/NAME-TIME`` unless given.  It may be there already, also with
        the molecule in it, but not with a run.
    workflow
        The configuration as a workflow where it is to have other durations than its own.
    walltime, overrun
        Seconds that are left of an allocation, and whether to begin what may not end in them; see
        `stretto.run`.
    observe
        Called after each round.

    Raises
    ------
    WorkflowError
        If there is a run already, the molecule cannot be prepared, or a library is missing.
    BackendError
        If the machine refuses what is needed.
    """
    directory = begun(configuration, run_dir)
    loop = configuration.loop
    return stretto.run(
        workflow or workflow_of(configuration),
        platform=loop.platform,
        mode=loop.mode,
        run_dir=directory,
        seed=loop.seed,
        walltime=walltime,
        overrun=overrun,
        observe=observe,
    )


def resume(
    run_dir: str | Path,
    *,
    walltime: float | None = None,
    overrun: bool = False,
    observe: Observer | None = None,
) -> Run:
    """Go on with a run that was stopped, killed or had failed, wherever that was.

    `walltime`, `overrun` and `observe` are as in `run`.

    Raises
    ------
    WorkflowError
        If there is no run, or somebody drives it.
    BackendError
        If the machine refuses what is needed.
    """
    directory = Path(run_dir)
    configuration = configuration_of(directory)
    if not has_run(directory):
        return run(
            configuration, run_dir=directory, walltime=walltime, overrun=overrun, observe=observe
        )
    return stretto.resume(directory, walltime=walltime, overrun=overrun, observe=observe)


def continued(
    old: str | Path, *, iterations: int, run_dir: str | Path | None = None
) -> tuple[Configuration, Path]:
    """Make the directory of a run that goes on from the complete iterations of another one.

    The new directory has the old one's molecule and data, as hard links where there can be some:
    files are replaced and never changed, so neither run can spoil the other.

    Parameters
    ----------
    old
        Directory of the run to continue; it may have failed, and it may be on.
    iterations
        How many more.
    run_dir
        The new directory; ``runs/NAME-TIME`` unless given.

    Returns
    -------
    tuple
        Configuration and directory of the new run, for `run`.

    Raises
    ------
    WorkflowError
        If the old run has no complete iteration, or there is a run in the new directory.
    """
    before = configuration_of(old)
    first = complete_iterations(old)
    if not first:
        raise WorkflowError(
            "has no complete iteration to continue; go on with it by resume", source=str(old)
        )
    configuration = before.looped(
        iterations=iterations, first=first, seed=_next_seed(before.loop.seed, first)
    )
    if before.loop.expected is not None:
        configuration = configuration.looped(expected=min(before.loop.expected, iterations))
    directory = _directory(configuration, run_dir)
    _link(system_folder(old), system_folder(directory))
    for iteration in range(first):
        _link(iteration_folder(old, iteration), iteration_folder(directory, iteration))
    # Last: without it there is nothing to resume, and continuing again completes the links.
    write_configuration(configuration, configuration_file(directory))
    return configuration, directory


def begun(configuration: Configuration, run_dir: str | Path | None = None) -> Path:
    """Return the directory of a new run, with its configuration and its molecule.

    Raises
    ------
    WorkflowError
        If there is a run already, or a molecule of other settings; if the molecule cannot be
        prepared, has no reference and the configuration looks at one, or too few atoms for the
        features.
    """
    directory = _directory(configuration, run_dir)
    write_configuration(configuration, configuration_file(directory))
    molecule = prepare(configuration.system, system_folder(directory), folder=configuration.folder)
    if molecule.reference_nm is None:
        _check_without_reference(configuration)
    if configuration.aggregation.shipped:
        Observables.of(configuration.aggregation, molecule)
    return directory


def configuration_of(run_dir: str | Path) -> Configuration:
    """Return the configuration of a run.

    Raises
    ------
    WorkflowError
        If there is none.
    """
    path = configuration_file(run_dir)
    if not path.is_file():
        raise WorkflowError(
            f"there is no run of DeepDriveMD here (no {path.name})", source=str(run_dir)
        )
    return read_configuration(path)


def has_run(run_dir: str | Path) -> bool:
    """Return whether the engine has begun in a directory."""
    return (Path(run_dir) / _JOURNAL).exists()


def complete_iterations(run_dir: str | Path) -> int:
    """Return how many iterations, from the first, have come to their end."""
    return next(n for n in count() if not inference_file(run_dir, n).is_file())


def share_molecule(run_dir: Path, directory: Path) -> None:
    """Give the molecule of one run to another one that is to begin."""
    _link(system_folder(run_dir), system_folder(directory))


def _directory(configuration: Configuration, run_dir: str | Path | None) -> Path:
    directory = _fresh(configuration.loop.name) if run_dir is None else Path(run_dir).absolute()
    if has_run(directory):
        raise WorkflowError(
            f"there is a run already; stretto deepdrivemd resume {directory} goes on with it, "
            f"stretto deepdrivemd continue {directory} in another directory",
            source=str(directory),
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkflowError(
            f"the run directory cannot be made: {error.strerror}", source=str(directory)
        ) from None
    return directory


def _fresh(name: str) -> Path:
    stem = Path("runs").absolute() / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    tried = (stem if n == 1 else stem.with_name(f"{stem.name}-{n}") for n in count(1))
    return next(path for path in tried if not path.exists())


def _check_without_reference(configuration: Configuration) -> None:
    inference = configuration.inference
    wanted: list[tuple[str, ...]] = [("strategy",)] if inference.strategy == "outliers-rmsd" else []
    if inference.until is not None:
        keys = ("rmsd_nm", "native_contacts")
        wanted += [("until", key) for key in keys if getattr(inference.until, key) is not None]
    if wanted and inference.shipped:
        raise WorkflowError(
            "needs a reference structure, which this molecule has not; give system.reference",
            path=("inference", *wanted[0]),
        )


def _next_seed(seed: int, first: int) -> int:
    """Return a seed for what follows: with the same one, the same noise would come again."""
    return int(np.random.SeedSequence([seed, first]).generate_state(1)[0])


def _link(source: Path, target: Path) -> None:
    """Give the files of a folder another name, or copy them where that cannot be."""
    target.mkdir(parents=True, exist_ok=True)
    for path, link in _pairs(source, target):
        if link.exists():
            continue
        draft = link.with_name(f".{link.name}.{os.getpid()}.link")
        draft.unlink(missing_ok=True)
        try:
            draft.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, draft)
        draft.replace(link)


def _pairs(source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    for path in sorted(source.iterdir()):
        # What begins with a point is somebody's draft.
        if path.is_file() and not path.name.startswith("."):
            yield path, target / path.name
