"""What is free on every node, and the first place where a shape fits.

Nodes are filled in their order (first fit).  For each shape a heap holds the nodes that may have
room for it: a node found full leaves the heap, a node that gets something back re-enters, so a
search costs what has changed and not what there is.  Cores and GPUs are bit masks; the lowest free
ones are taken, in one run where there is one.  Named resources are only counted, and cost nothing
where a shape needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from stretto.platform import Node, Placement, Slot, bits
from stretto.resources import Amounts, Resources
from stretto.units import GPU_MILLI

__all__ = ["FreeSlots"]


class _Candidates:
    """One shape, and the nodes that may have room for it."""

    __slots__ = ("cores", "gpus", "heap", "inside", "memory_mib", "named", "ranks", "share_milli")

    def __init__(self, shape: Resources, n_nodes: int) -> None:
        self.ranks = shape.ranks
        self.cores = shape.cores
        self.memory_mib = shape.memory_mib
        self.named = shape.named
        self.gpus, self.share_milli = divmod(shape.gpus_milli, GPU_MILLI)
        self.heap = list(range(n_nodes))
        self.inside = bytearray(b"\1") * n_nodes

    def add(self, node: int) -> None:
        if not self.inside[node]:
            self.inside[node] = 1
            heappush(self.heap, node)

    def drop_first(self) -> None:
        self.inside[heappop(self.heap)] = 0


class FreeSlots:
    """What is free on the nodes; `take` and `release` change it, `find` only looks."""

    __slots__ = (
        "_candidates",
        "_cores",
        "_gpus",
        "_memory",
        "_named",
        "_shapes",
        "_shared",
        "lost",
        "nodes",
    )

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = tuple(nodes)
        self.lost: dict[int, None] = {}
        """Nodes that are not there, in the order in which they were lost."""
        self._cores = [(1 << node.cores) - 1 for node in nodes]
        self._gpus = [(1 << node.gpus) - 1 for node in nodes]
        self._memory = [node.memory_mib for node in nodes]
        self._shared: list[dict[int, int]] = [{} for _ in nodes]
        """By node: what is left, in thousandths, of each GPU that is shared."""
        self._named = {
            (number, name): amount
            for number, node in enumerate(nodes)
            for name, amount in node.named
        }
        """What is left of each named resource, by node and name."""
        self._shapes: list[Resources] = []
        self._candidates: list[_Candidates] = []
        """By shape: the nodes that may have room for it."""

    def number(self, shape: Resources) -> int:
        """Return the number by which `find` knows this shape."""
        if shape not in self._shapes:
            self._shapes.append(shape)
            self._candidates.append(_Candidates(shape, len(self.nodes)))
        return self._shapes.index(shape)

    def find(self, number: int) -> Placement | None:
        """Return where a task of this shape would lie, or `None` if there is no room now."""
        candidates = self._candidates[number]
        if candidates.ranks > 1:
            return self._find_ranks(candidates)
        heap = candidates.heap
        while heap:
            slot = self._slot(heap[0], candidates)
            if slot is not None:
                return (slot,)
            candidates.drop_first()
        return None

    def take(self, placement: Placement) -> None:
        """Mark the slots as held."""
        for node, cores, gpus, gpu_milli, memory_mib, _, named in placement:
            assert self._cores[node] & cores == cores, f"cores of node {node} taken twice"
            self._cores[node] ^= cores
            self._memory[node] -= memory_mib
            assert self._memory[node] >= 0, f"memory of node {node} taken twice"
            if gpu_milli == GPU_MILLI:
                assert self._gpus[node] & gpus == gpus, f"GPUs of node {node} taken twice"
                self._gpus[node] ^= gpus
            elif gpus:
                self._take_share(node, gpus, gpu_milli)
            if named:
                self._take_named(node, named)

    def release(self, placement: Placement) -> None:
        """Mark the slots as free again."""
        for slot in placement:
            self._give_back(slot)
            for candidates in self._candidates:
                candidates.add(slot.node)

    def lose(self, node: int) -> bool:
        """Take a node away, and return whether that could be: it is there, and empty.

        It is full from then on, so that whoever looks for room finds none and need not ask.
        """
        whole = self.nodes[node]
        empty = self.free(node) == (whole.cores, whole.gpus, whole.memory_mib)
        empty = empty and self._offers(node, whole.named)
        if node in self.lost or not empty:
            return False
        self.lost[node] = None
        self._cores[node] = self._gpus[node] = self._memory[node] = 0
        self._named.update(((node, name), 0) for name, _ in whole.named)
        return True

    def restore(self, node: int) -> bool:
        """Give a lost node back, empty, and return whether it was lost."""
        if node not in self.lost:
            return False
        del self.lost[node]
        whole = self.nodes[node]
        self._cores[node] = (1 << whole.cores) - 1
        self._gpus[node] = (1 << whole.gpus) - 1
        self._memory[node] = whole.memory_mib
        self._named.update(((node, name), amount) for name, amount in whole.named)
        for candidates in self._candidates:
            candidates.add(node)
        return True

    def free(self, node: int) -> tuple[int, int, int]:
        """Return the free cores, free whole GPUs and free memory in MiB of a node."""
        return self._cores[node].bit_count(), self._gpus[node].bit_count(), self._memory[node]

    def free_named(self, node: int, name: str) -> int:
        """Return how much of a named resource is free on a node."""
        return self._named.get((node, name), 0)

    def _slot(self, node: int, needs: _Candidates) -> Slot | None:
        """Return a slot for one rank on this node, if it has room."""
        free = self._cores[node]
        if free.bit_count() < needs.cores or self._memory[node] < needs.memory_mib:
            return None
        gpus = gpu_milli = 0
        if needs.gpus:
            free_gpus = self._gpus[node]
            if free_gpus.bit_count() < needs.gpus:
                return None
            gpus, gpu_milli = lowest_bits(free_gpus, needs.gpus), GPU_MILLI
        elif needs.share_milli:
            gpus, gpu_milli = self._shareable(node, needs.share_milli), needs.share_milli
            if not gpus:
                return None
        named = needs.named
        if named and not self._offers(node, named):
            return None
        cores = lowest_bits(free, needs.cores)
        # What Slot(…) does, in half the time: one is made for every task.
        return tuple.__new__(Slot, (node, cores, gpus, gpu_milli, needs.memory_mib, 1, named))

    def _offers(self, node: int, named: Amounts) -> bool:
        return all(self.free_named(node, name) >= amount for name, amount in named)

    def _find_ranks(self, candidates: _Candidates) -> Placement | None:
        """Return slots for all ranks, one each, or `None`; found by taking and giving back."""
        found: list[Slot] = []
        roomy: list[int] = []
        ranks = candidates.ranks
        while candidates.heap and len(found) < ranks:
            slot = self._slot(candidates.heap[0], candidates)
            if slot is None:
                candidates.drop_first()
                continue
            node = slot.node
            while slot is not None and len(found) < ranks:
                self.take((slot,))
                found.append(slot)
                slot = self._slot(node, candidates)
            roomy.append(node)
            candidates.drop_first()
        for slot in found:
            self._give_back(slot)
        for node in roomy:
            candidates.add(node)
        return _merged(found) if len(found) == ranks else None

    def _give_back(self, slot: Slot) -> None:
        node, cores, gpus, gpu_milli, memory_mib, _, named = slot
        self._cores[node] |= cores
        self._memory[node] += memory_mib
        if gpu_milli == GPU_MILLI:
            self._gpus[node] |= gpus
        elif gpus:
            self._release_share(node, gpus, gpu_milli)
        if named:
            for name, amount in named:
                self._named[node, name] += amount

    def _shareable(self, node: int, gpu_milli: int) -> int:
        """Return the mask of the fullest shared GPU with room, else of a free one, else 0."""
        shared = self._shared[node]
        room = [(left, gpu) for gpu, left in shared.items() if left >= gpu_milli]
        if room:
            return 1 << min(room)[1]
        return lowest_bits(self._gpus[node], 1) if self._gpus[node] else 0

    def _take_share(self, node: int, gpus: int, gpu_milli: int) -> None:
        for gpu in bits(gpus):
            left = self._shared[node].get(gpu)
            if left is None:
                assert self._gpus[node] >> gpu & 1, f"GPU {gpu} of node {node} taken twice"
                self._gpus[node] ^= 1 << gpu
                left = GPU_MILLI
            assert left >= gpu_milli, f"GPU {gpu} of node {node} shared beyond its whole"
            self._shared[node][gpu] = left - gpu_milli

    def _take_named(self, node: int, named: Amounts) -> None:
        for name, amount in named:
            left = self.free_named(node, name) - amount
            assert left >= 0, f"{name} of node {node} taken twice"
            self._named[node, name] = left

    def _release_share(self, node: int, gpus: int, gpu_milli: int) -> None:
        for gpu in bits(gpus):
            left = self._shared[node].pop(gpu) + gpu_milli
            if left == GPU_MILLI:
                self._gpus[node] |= 1 << gpu
            else:
                self._shared[node][gpu] = left


def lowest_bits(mask: int, count: int) -> int:
    """Return the lowest `count` bits of `mask`, which must have as many.

    >>> bin(lowest_bits(0b110110, 3))
    '0b10110'
    """
    low = mask & -mask
    run = (low << count) - low
    if mask & run == run:
        return run
    taken = 0
    for _ in range(count):
        low = mask & -mask
        taken |= low
        mask ^= low
    return taken


def _merged(slots: Sequence[Slot]) -> Placement:
    """Return the slots with those of one node joined, unless they share GPUs."""
    merged: list[Slot] = []
    for slot in slots:
        last = merged[-1] if merged else None
        whole = slot.gpu_milli in (0, GPU_MILLI)
        if last is not None and last.node == slot.node and whole:
            merged[-1] = Slot(
                slot.node,
                last.cores | slot.cores,
                last.gpus | slot.gpus,
                slot.gpu_milli,
                last.memory_mib + slot.memory_mib,
                last.ranks + 1,
                _summed(last.named, slot.named),
            )
        else:
            merged.append(slot)
    return tuple(merged)


def _summed(one: Amounts, other: Amounts) -> Amounts:
    """Return the sums of amounts that have the same names in the same order."""
    return tuple(
        (name, amount + more) for (name, amount), (_, more) in zip(one, other, strict=True)
    )
