"""What one task needs: ranks, and for each rank cores, GPUs and memory on one node."""

from __future__ import annotations

from dataclasses import dataclass

from stretto.errors import WorkflowError, under_key
from stretto.units import GPU_MILLI, gpus_to_milli, memory_to_mib, whole_number

__all__ = ["Resources"]

MOST_CORES = 1 << 20
MOST_RANKS = 1 << 20


@dataclass(frozen=True, slots=True, init=False, order=True)
class Resources:
    """The needs of one task, which are also its *shape*: tasks of one shape fit alike.

    Parameters
    ----------
    cores
        Cores of each rank; 0 is allowed where only a GPU is needed.
    gpus
        GPUs of each rank: whole, or a fraction of one that is shared.
    memory
        Memory of each rank, in MiB or as text (``"4 GiB"``).
    ranks
        Number of ranks.  The cores, GPUs and memory of a rank lie on one node; ranks may lie on
        several, and are placed all or none.

    Raises
    ------
    WorkflowError
        If an amount is negative, not whole where it must be, or beyond its limit.
    """

    ranks: int
    cores: int
    gpus_milli: int
    memory_mib: int

    def __init__(
        self, *, cores: int = 1, gpus: float = 0, memory: float | str = 0, ranks: int = 1
    ) -> None:
        _set = object.__setattr__
        _set(self, "ranks", whole_number("ranks", ranks, 1, MOST_RANKS))
        _set(self, "cores", whole_number("cores", cores, 0, MOST_CORES))
        _set(self, "gpus_milli", under_key("gpus", gpus_to_milli, gpus))
        _set(self, "memory_mib", under_key("memory", memory_to_mib, memory))
        if self.cores == 0 and self.gpus_milli == 0:
            raise WorkflowError("expected at least one core or some of a GPU", path=("cores",))

    @property
    def gpus(self) -> float:
        """GPUs of each rank."""
        return self.gpus_milli / GPU_MILLI

    def __str__(self) -> str:
        parts = [f"{self.cores} core{'s' * (self.cores != 1)}"]
        if self.gpus_milli:
            parts.append(f"{self.gpus:g} GPU{'s' * (self.gpus > 1)}")
        if self.memory_mib:
            parts.append(f"{self.memory_mib} MiB")
        each = ", ".join(parts)
        return each if self.ranks == 1 else f"{self.ranks} ranks of {each}"
