"""Which of OpenMM's platforms computes a simulation, and with what properties.

A task that was given a GPU takes CUDA, or OpenCL where that is all there is.  Without a GPU the
choice is between Reference, plain code that costs the square of the atoms, and CPU, whose neighbour
lists and threads have a price of their own with every step.  Steps a CPU-second, one thread:

===========================================  =====  =========  ======
molecule                                     atoms  Reference     CPU
===========================================  =====  =========  ======
alanine dipeptide, implicit solvent             22     28,400   7,100
HP35, Gō model                                  35     53,900  12,000
AAAAA, implicit solvent                         53      5,600   4,700
CLN025, implicit solvent                       166        590   1,160
HP35, implicit solvent                         582         52     122
===========================================  =====  =========  ======

The platforms of a processor repeat a computation to the bit, CPU only with ``DeterministicForces``.
"""

from __future__ import annotations

from collections.abc import Sequence

from stretto import WorkflowError
from stretto.apps.deepdrivemd.arguments import extra

__all__ = ["PLATFORMS", "available_platforms", "choose_platform", "platform_properties"]

PLATFORMS = ("auto", "Reference", "CPU", "CUDA", "OpenCL")
"""What may be asked for."""

MOST_REFERENCE_ATOMS = 60
"""The most atoms for which Reference is chosen over CPU."""

_ON_GPU = ("CUDA", "OpenCL")


def available_platforms() -> list[str]:
    """Return the names of the platforms of the OpenMM that is installed."""
    platform = extra("openmm").Platform
    return [platform.getPlatform(number).getName() for number in range(platform.getNumPlatforms())]


def choose_platform(
    wanted: str, *, gpus: float, n_atoms: int, available: Sequence[str] | None = None
) -> str:
    """Return the name of the platform for a task.

    Parameters
    ----------
    wanted
        A name, which must be available, or ``auto``: the fastest for what the task was given.
    gpus
        GPUs of the task.
    n_atoms
        Atoms of the molecule, solvent and all.
    available
        Names of the platforms there are; those of the OpenMM that is installed if not given.

    Raises
    ------
    WorkflowError
        If `wanted` is not a platform, or not there.
    """
    here = available_platforms() if available is None else available
    if wanted == "auto":
        for name in _ON_GPU if gpus > 0 else ():
            if name in here:
                return name
        small = n_atoms <= MOST_REFERENCE_ATOMS or "CPU" not in here
        return "Reference" if small else "CPU"
    if wanted not in PLATFORMS:
        raise WorkflowError(
            f"expected one of {', '.join(PLATFORMS)}, found {wanted!r}", path=("platform",)
        )
    if wanted not in here:
        raise WorkflowError(
            f"OpenMM has no platform {wanted} here, only {', '.join(here)}", path=("platform",)
        )
    return wanted


def platform_properties(name: str, *, cores: int) -> dict[str, str]:
    """Return the properties of a platform for a task with so many cores.

    The engine hides from a task all GPUs but its own (``CUDA_VISIBLE_DEVICES``), so that its first
    one is number 0.
    """
    if name == "CPU":
        return {"Threads": str(cores), "DeterministicForces": "true"}
    if name == "CUDA":
        return {"DeviceIndex": "0", "Precision": "mixed", "DeterministicForces": "true"}
    if name == "OpenCL":
        return {"DeviceIndex": "0", "Precision": "mixed"}
    return {}
