"""Where a rank lies: a node, its cores and its GPUs by number, as bit masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stretto.resources import Amounts

__all__ = ["Placement", "Slot", "bits"]


class Slot(NamedTuple):
    """Part of one node that an attempt holds.

    A tuple, not a dataclass: a schedule of a million tasks builds a million of them.

    Parameters
    ----------
    node
        Number of the node in the platform.
    cores
        Mask of the cores held: bit ``c`` for core ``c``.
    gpus
        Mask of the GPUs held.
    gpu_milli
        Thousandths held of each of these GPUs.
    memory_mib
        Memory held.
    ranks
        Ranks that lie here.
    named
        Amounts held of named resources, all of these ranks together; sorted by name.
    """

    node: int
    cores: int
    gpus: int
    gpu_milli: int
    memory_mib: int
    ranks: int
    named: Amounts = ()


Placement = tuple[Slot, ...]
"""Where a task lies: a slot for each node it has ranks on, in the order of the nodes.

Ranks that share GPUs have a slot each.
"""


def bits(mask: int) -> Iterator[int]:
    """Yield the numbers of the bits set in `mask`, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
