"""What one task needs: ranks, and for each rank cores, GPUs, memory and the like on one node.

Besides these a node may offer *named resources*: whole amounts of whatever its users count, such as
licences, FPGAs or GiB of a burst buffer.  Nothing is known of them but their names and amounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stretto.errors import WorkflowError, under_key
from stretto.units import GPU_MILLI, check_name, gpus_to_milli, memory_to_mib, whole_number

__all__ = ["Amounts", "Resources", "named_amounts"]

Amounts = tuple[tuple[str, int], ...]
"""Amounts of named resources: sorted by name, none of them 0."""

MOST_CORES = 1 << 20
MOST_RANKS = 1 << 20
BUILT_IN = ("cores", "gpus", "memory", "ranks")
"""What a named resource cannot be called."""
MOST_NAMED = 64
"""Limit on the named resources of a rank, and of a node."""
MOST_OF_NAMED = 1_000_000_000
"""Limit on the amount of each."""


@dataclass(frozen=True, slots=True, init=False, order=True)
class Resources:
    """The needs of one task, which are also its *shape*: tasks of one shape fit alike.

    Parameters
    ----------
    cores
        Cores of each rank; 0 is allowed where some of a GPU or a named resource is needed.
    gpus
        GPUs of each rank: whole, or a fraction of one that is shared.
    memory
        Memory of each rank, in MiB or as text (``"4 GiB"``).
    ranks
        Number of ranks.  What a rank needs lies on one node; ranks may lie on several, and are
        placed all or none.
    named
        Whole amounts of named resources for each rank, such as ``{"licence": 1}``; kept sorted by
        name, without those that are 0.

    Raises
    ------
    WorkflowError
        If an amount is negative, not whole where it must be, or beyond its limit.
    """

    ranks: int
    cores: int
    gpus_milli: int
    memory_mib: int
    named: Amounts

    def __init__(
        self,
        *,
        cores: int = 1,
        gpus: float = 0,
        memory: float | str = 0,
        ranks: int = 1,
        named: Mapping[str, int] | None = None,
    ) -> None:
        _set = object.__setattr__
        _set(self, "ranks", whole_number("ranks", ranks, 1, MOST_RANKS))
        _set(self, "cores", whole_number("cores", cores, 0, MOST_CORES))
        _set(self, "gpus_milli", under_key("gpus", gpus_to_milli, gpus))
        _set(self, "memory_mib", under_key("memory", memory_to_mib, memory))
        _set(self, "named", under_key("named", named_amounts, named))
        if not (self.cores or self.gpus_milli or self.named):
            raise WorkflowError(
                "expected at least one core, some of a GPU or a named resource", path=("cores",)
            )

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
        parts += [f"{amount} {name}" for name, amount in self.named]
        each = ", ".join(parts)
        return each if self.ranks == 1 else f"{self.ranks} ranks of {each}"


def named_amounts(amounts: object) -> Amounts:
    """Return amounts of named resources sorted by name, without those that are 0.

    Parameters
    ----------
    amounts
        A mapping from name to amount, or pairs of both; `None` for nothing.

    Raises
    ------
    WorkflowError
        If it is neither, a name cannot be used or is there twice, or an amount is not whole or
        beyond its limit; its path is the name.
    """
    if amounts is None:
        return ()
    pairs = tuple(amounts.items()) if isinstance(amounts, Mapping) else amounts
    if not isinstance(pairs, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
    ):
        raise WorkflowError(f"expected amounts by name, found {amounts!r}")
    if len(pairs) > MOST_NAMED:
        raise WorkflowError(f"expected at most {MOST_NAMED} names, found {len(pairs)}")
    found: dict[str, int] = {}
    for name, amount in pairs:
        key = check_name(name, key=str(name))
        if key in found:
            raise WorkflowError("expected one amount, found two", path=(key,))
        if key in BUILT_IN:
            raise WorkflowError("is no named resource; it has a key of its own", path=(key,))
        found[key] = whole_number(key, amount, 0, MOST_OF_NAMED)
    return tuple(sorted((name, amount) for name, amount in found.items() if amount))
