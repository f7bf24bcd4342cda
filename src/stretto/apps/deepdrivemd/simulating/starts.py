"""Where a simulation starts: from a frame that inference chose, or from the structure.

Inference leaves a structure for each simulation, and beside it, in ``inference.json``, which frame
that is and which model chose it::

    {"model": 3, "starts": [{"frame": [3, 0, 117], …}, …], …}

``model`` may also stand in a start, and ``trained_in`` beside it, where that model learned in an
earlier iteration.  A ``frame`` of null is a structure from elsewhere.  Each start is looked at
before the first step: positions that are not finite, or a potential energy that no equilibrated
molecule has, would only explode.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.lineage import NO_FRAME, Frame
from stretto.apps.deepdrivemd.places import inference_file, start_file, system_folder
from stretto.apps.deepdrivemd.simulating.records import Origin, read_model

__all__ = ["Start", "chosen_start", "structure_start"]


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Positions to start from.

    Parameters
    ----------
    origin
        Where they come from.
    file
        Their file, for messages.
    positions_nm
        Shape ``(n_atoms, 3)``.
    box_nm
        Box vectors as rows, or `None` for those of the system.
    """

    origin: Origin
    file: Path
    positions_nm: NDArray[np.float64]
    box_nm: NDArray[np.float64] | None = None


class _Choice(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    frame: Frame | None
    model: int | None = None


class _Choices(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    starts: tuple[_Choice, ...]
    model: int | None = None
    trained_in: int | None = None


def structure_start(run_dir: str | Path, positions_nm: NDArray[np.float64]) -> Start:
    """Return the start from the structure that the run began with."""
    origin = Origin(parent=None, kind="structure")
    return Start(origin, system_folder(run_dir) / "topology.pdb", positions_nm)


def chosen_start(run_dir: str | Path, inference: int, simulation: int, n_atoms: int) -> Start:
    """Return the start that an iteration's inference chose for a simulation.

    Raises
    ------
    StageError
        If a file is missing or damaged, has nothing for this simulation, or not finite positions
        of that many atoms.
    """
    path = inference_file(run_dir, inference)
    choices = read_model(_Choices, path)
    if simulation >= len(choices.starts):
        raise StageError(
            f"{path}: has {len(choices.starts)} starts, none for simulation {simulation}"
        )
    choice = choices.starts[simulation]
    parent = None if choice.frame == NO_FRAME else choice.frame
    model = choices.model if choice.model is None else choice.model
    origin = Origin(
        parent=parent,
        kind="file" if parent is None else "frame",
        inference=inference,
        model=model,
        trained_in=model if choices.trained_in is None else choices.trained_in,
    )
    return Start(origin, *_read_pdb(start_file(run_dir, inference, simulation), n_atoms))


def _read_pdb(
    path: Path, n_atoms: int
) -> tuple[Path, NDArray[np.float64], NDArray[np.float64] | None]:
    try:
        # OpenMM leaves a file open that it opened itself and stumbled over.
        with path.open() as file:
            pdb: Any = extra("openmm.app").PDBFile(file)
    except FileNotFoundError:
        raise StageError(f"{path}: no such file; inference names it and did not write it") from None
    except Exception as error:  # its parser raises whatever the text makes it stumble over
        raise StageError(f"{path}: damaged, or not a PDB file ({error})") from None
    unit = extra("openmm.unit")
    positions = np.array(pdb.getPositions(asNumpy=True).value_in_unit(unit.nanometer), np.float64)
    if positions.shape != (n_atoms, 3):
        raise StageError(f"{path}: expected {n_atoms} atoms, found {len(positions)}")
    if not np.isfinite(positions).all():
        raise StageError(f"{path}: has positions that are not finite")
    box = pdb.topology.getPeriodicBoxVectors()
    if box is None:
        return path, positions, None
    return path, positions, np.array(box.value_in_unit(unit.nanometer), np.float64)
