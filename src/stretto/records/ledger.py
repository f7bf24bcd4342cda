"""What is held on machines of which one may not know how large they are.

The scheduler's own books refuse to give what is not there.  A record has given it already, so here
a machine grows with what was held on it at once, and says so afterwards.  The lowest free cores and
GPUs are taken, so a machine grows to exactly the most that was held at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stretto.errors import WorkflowError
from stretto.platform import Node, Placement, Slot, bits
from stretto.platform.nodes import MOST_CORES_A_NODE, MOST_GPUS_A_NODE
from stretto.resources import Amounts, Resources
from stretto.scheduler.slots import lowest_bits
from stretto.units import GPU_MILLI

__all__ = ["Host", "Ledger"]


@dataclass(slots=True)
class Host:
    """One machine and what is held on it.

    Parameters
    ----------
    name
        For people.
    cores, gpus, memory_mib
        What it is said to have; `None` where nobody knows.
    named
        Named resources, of which records know nothing.
    """

    name: str
    cores: int | None = None
    gpus: int | None = None
    memory_mib: int | None = None
    named: Amounts = ()
    held_cores: int = 0
    held_memory_mib: int = 0
    left_milli: list[int] = field(default_factory=list)
    """By GPU: the thousandths that are free."""
    most_cores: int = 0
    most_memory_mib: int = 0

    def fits(self, needs: Resources) -> bool:
        """Return whether a rank has room here now, as far as anybody knows."""
        cores = MOST_CORES_A_NODE if self.cores is None else self.cores
        gpus = MOST_GPUS_A_NODE if self.gpus is None else self.gpus
        new = gpus - len(self.left_milli)
        whole, share = divmod(needs.gpus_milli, GPU_MILLI)
        roomy = sum(left >= (share or GPU_MILLI) for left in self.left_milli[:gpus])
        memory = self.memory_mib
        return (
            self.held_cores.bit_count() + needs.cores <= cores
            and roomy + new >= (1 if share else whole)
            and (memory is None or self.held_memory_mib + needs.memory_mib <= memory)
        )

    def take(self, node: int, needs: Resources) -> Slot:
        """Hold what a rank needs, whether it is there or not."""
        free = ~self.held_cores & (1 << self.held_cores.bit_length() + needs.cores) - 1
        cores = lowest_bits(free, needs.cores)
        self.held_cores |= cores
        self.most_cores = max(self.most_cores, self.held_cores.bit_length())
        self.held_memory_mib += needs.memory_mib
        self.most_memory_mib = max(self.most_memory_mib, self.held_memory_mib)
        whole, share = divmod(needs.gpus_milli, GPU_MILLI)
        gpus = 0
        for _ in range(whole):
            gpus |= 1 << self._gpu(GPU_MILLI)
        if share:
            gpus = 1 << self._gpu(share)
        milli = share or (GPU_MILLI if whole else 0)
        return Slot(node, cores, gpus, milli, needs.memory_mib, 1)

    def give_back(self, slot: Slot) -> None:
        """Free what a slot held."""
        self.held_cores &= ~slot.cores
        self.held_memory_mib -= slot.memory_mib
        for gpu in bits(slot.gpus):
            self.left_milli[gpu] += slot.gpu_milli

    def node(self) -> Node:
        """Return what it must have had.

        Raises
        ------
        WorkflowError
            If no node may be as large.
        """
        try:
            return Node(
                self.name,
                max(self.cores or 0, self.most_cores),
                max(self.gpus or 0, len(self.left_milli)),
                max(self.memory_mib or 0, self.most_memory_mib),
                self.named,
            )
        except WorkflowError as error:
            raise error.within(self.name) from None

    def _gpu(self, milli: int) -> int:
        """Hold a part of a GPU, of the fullest with room, and return its number."""
        room = [(left, gpu) for gpu, left in enumerate(self.left_milli) if left >= milli]
        if not room:
            self.left_milli.append(GPU_MILLI)
            room = [(GPU_MILLI, len(self.left_milli) - 1)]
        gpu = min(room)[1]
        self.left_milli[gpu] -= milli
        return gpu


class Ledger:
    """All machines.

    Parameters
    ----------
    hosts
        Those that are known.
    opens
        Whether there may be more of them than are known.
    """

    def __init__(self, hosts: Sequence[Host], *, opens: bool) -> None:
        self.hosts = list(hosts)
        self._opens = opens

    def place(
        self, needs: Resources, at: Sequence[int] = (), *, must: bool = True
    ) -> Placement | None:
        """Hold what a task needs, and return where.

        Parameters
        ----------
        at
            Numbers of the hosts it is known to have been on, its ranks dealt out over them;
            wherever there is room first, if it is not known.
        must
            Whether it is held even where there is no room; else `None` is returned then.
        """
        slots: list[Slot] = []
        for number in range(needs.ranks):
            node = at[number % len(at)] if at else self._first_with_room(needs, must=must)
            if node is None or (not must and not self.hosts[node].fits(needs)):
                self.release(tuple(slots))
                return None
            slots.append(self.hosts[node].take(node, needs))
        return tuple(sorted(slots))

    def release(self, placement: Placement) -> None:
        """Free what a task held."""
        for slot in placement:
            self.hosts[slot.node].give_back(slot)

    def _first_with_room(self, needs: Resources, *, must: bool) -> int | None:
        for node, host in enumerate(self.hosts):
            if host.fits(needs):
                return node
        if self._opens:
            self.hosts.append(Host(f"pool{len(self.hosts)}"))
            return len(self.hosts) - 1
        return 0 if must else None
