"""Configurations to start from, with settings that suit the molecule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stretto import WorkflowError
from stretto.apps.deepdrivemd.configuring import Configuration
from stretto.apps.deepdrivemd.configuring.reading import configuration_text
from stretto.apps.deepdrivemd.files import drafted, write_text
from stretto.apps.deepdrivemd.molecules import SystemSettings

__all__ = ["starting", "write_starting"]

SHORTEST_CHAIN = 10
"""Residues below which a contact map says little, and distances are taken."""

_OF_DISTANCES = {
    "aggregation": {"features": "distances", "selection": "heavy"},
    "model": {"kind": "autoencoder", "updates": 4000},
    "inference": {"gap": 50, "most_frames": 3000},
}
_OF_BEADS = {
    # Where HP35 folds after a wait, see `molecules.go`.
    "simulation": {
        "steps": 25_000,
        "report_every": 250,
        "step_fs": 15.0,
        "temperature_k": 360.0,
        "checkpoint_every": 20,
        "hot_steps": 0,
    },
    "aggregation": {"selection": "alpha-carbons"},
    "model": {"updates": 400},
}
_OF_PROTEINS = {
    "simulation": {"steps": 100_000, "report_every": 500, "checkpoint_every": 20, "hot_steps": 0},
    "aggregation": {"selection": "alpha-carbons"},
}


def starting(
    *,
    molecule: str | None = None,
    sequence: str | None = None,
    representation: str = "all-atom",
) -> Configuration:
    """Return a configuration to start from.

    Parameters
    ----------
    molecule
        Name of what is shipped, or a PDB file; alanine dipeptide if there is no sequence either.
    sequence
        A peptide in one-letter code.
    representation
        ``all-atom`` or ``go``.

    Raises
    ------
    WorkflowError
        If these do not go together.
    """
    given = {"molecule": molecule, "sequence": sequence, "representation": representation}
    if representation == "go":
        given["start"] = "extended"
    if molecule is None and sequence is None:
        given["molecule"] = "alanine-dipeptide"
    system = SystemSettings.of(given, section="system")
    values: dict[str, Any] = {"system": given}
    if representation == "go":
        values |= _OF_BEADS
    elif system.source == "alanine-dipeptide" or 0 < len(sequence or "") < SHORTEST_CHAIN:
        values |= _OF_DISTANCES
    else:
        values |= _OF_PROTEINS
    return Configuration.of(values)


def write_starting(configuration: Configuration, folder: Path, *, pdb: Path | None = None) -> Path:
    """Write a configuration into a folder, and the PDB file that it names beside it.

    Returns
    -------
    Path
        The file of the configuration.

    Raises
    ------
    WorkflowError
        If one of the files is there already; nothing is written then.
    """
    path = folder / "deepdrivemd.yaml"
    copy = None if pdb is None else folder / pdb.name
    for one in (path, copy):
        if one is not None and one.exists() and one != pdb:
            raise WorkflowError("is there already, and is not overwritten", source=str(one))
    if pdb is not None and copy is not None and copy.resolve() != pdb.resolve():
        try:
            data = pdb.read_bytes()
        except OSError as error:
            raise WorkflowError(f"cannot be read: {error.strerror}", source=str(pdb)) from None
        with drafted(copy) as draft:
            draft.write_bytes(data)
    write_text(path, configuration_text(configuration, brief=True))
    return path
