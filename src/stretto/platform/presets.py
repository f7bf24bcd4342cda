"""Known machines, with the page that says what a node of theirs has.

What a node offers to tasks is what its site lets jobs use by default; on Summit cores are counted
as hardware threads (SMT 4), on the others as physical cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stretto.errors import WorkflowError
from stretto.platform.nodes import MOST_NODES, Node, Platform
from stretto.units import memory_to_mib

__all__ = ["PRESETS", "Preset", "preset_platform"]


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of node of a known machine.

    Parameters
    ----------
    cores, gpus, memory
        Of one node, as far as tasks may use them.
    counts
        What a core and a GPU are there.
    source
        Where the numbers are from.
    """

    cores: int
    gpus: int
    memory: str
    counts: str
    source: str


PRESETS: Mapping[str, Preset] = {
    "summit": Preset(
        cores=168,
        gpus=6,
        memory="512 GB",
        counts="hardware threads: 42 of the 44 POWER9 cores, 4 each; V100",
        source="https://docs.olcf.ornl.gov/systems/summit_user_guide.html",
    ),
    "frontier": Preset(
        cores=56,
        gpus=8,
        memory="512 GB",
        counts="cores: 56 of 64, one of each eight is the system's; halves of MI250X (GCD)",
        source="https://docs.olcf.ornl.gov/systems/frontier_user_guide.html",
    ),
    "perlmutter": Preset(
        cores=64,
        gpus=4,
        memory="256 GB",
        counts="cores of a GPU node; A100",
        source="https://docs.nersc.gov/systems/perlmutter/architecture/",
    ),
    "polaris": Preset(
        cores=32,
        gpus=4,
        memory="512 GiB",
        counts="cores; A100",
        source="https://docs.alcf.anl.gov/polaris/hardware-overview/machine-overview/",
    ),
    "aurora": Preset(
        cores=104,
        gpus=6,
        memory="1024 GiB",
        counts="cores; Data Center GPU Max 1550, two tiles each; DDR5 without the HBM",
        source="https://docs.alcf.anl.gov/aurora/hardware-overview/machine-overview/",
    ),
}
"""The machines by name."""


def preset_platform(name: str, nodes: int = 1) -> Platform:
    """Return an allocation of `nodes` nodes of a known machine.

    Raises
    ------
    WorkflowError
        If nobody knows the machine, or the number of nodes is beyond its limit.
    """
    preset = PRESETS.get(name)
    if preset is None:
        raise WorkflowError(f"there is no machine {name!r}; expected one of {', '.join(PRESETS)}")
    if not 1 <= nodes <= MOST_NODES:
        raise WorkflowError(f"expected 1 to {MOST_NODES} nodes, found {nodes}")
    memory_mib = memory_to_mib(preset.memory)
    return Platform(
        f"{name}:{nodes}",
        tuple(
            Node(f"{name}{number}", preset.cores, preset.gpus, memory_mib)
            for number in range(nodes)
        ),
    )
