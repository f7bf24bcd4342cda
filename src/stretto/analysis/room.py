"""When there was no room for one more task of a shape, from the trace alone.

Every launch takes and every end gives back; after each instant the ranks of a shape that would
still fit are counted, node by node.  Slots are held from the launch on here, because that is how an
engine sees them.  Attempts launched together on the same slots are a bundle and hold them once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stretto.platform import Node, Placement, Slot, bits
from stretto.resources import Resources
from stretto.trace import Trace
from stretto.units import GPU_MILLI

__all__ = ["Full", "full"]

_END, _LAUNCH = 0, 1


@dataclass(slots=True)
class Full:
    """The spans of time in which a shape found no room, in order: from `begins` up to `ends`."""

    begins: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def between(self, first_us: int, last_us: int) -> bool:
        """Return whether there was no room at some moment from `first_us` up to `last_us`."""
        at = bisect_right(self.ends, first_us)
        if at < len(self.begins):
            return self.begins[at] < last_us
        return False


class _Free:
    """What is free on one node."""

    __slots__ = ("cores", "gpus_milli", "memory_mib", "named")

    def __init__(self, node: Node) -> None:
        self.cores = node.cores
        self.memory_mib = node.memory_mib
        self.gpus_milli = [GPU_MILLI] * node.gpus
        self.named = dict(node.named)

    def change(self, slot: Slot, sign: int) -> None:
        self.cores += sign * slot.cores.bit_count()
        self.memory_mib += sign * slot.memory_mib
        for gpu in bits(slot.gpus):
            self.gpus_milli[gpu] += sign * slot.gpu_milli
        for name, amount in slot.named:
            self.named[name] += sign * amount

    def ranks(self, shape: Resources) -> int:
        """Return how many more ranks of a shape there is room for."""
        most = shape.ranks
        if shape.cores:
            most = min(most, self.cores // shape.cores)
        if shape.memory_mib:
            most = min(most, self.memory_mib // shape.memory_mib)
        for name, amount in shape.named:
            most = min(most, self.named.get(name, 0) // amount)
        whole, share = divmod(shape.gpus_milli, GPU_MILLI)
        if share:
            most = min(most, sum(left // share for left in self.gpus_milli))
        elif whole:
            most = min(most, sum(left == GPU_MILLI for left in self.gpus_milli) // whole)
        return max(0, most)


def full(trace: Trace, shapes: Sequence[Resources]) -> Mapping[Resources, Full]:
    """Return, for each shape, when no task of it would have found room."""
    free = [_Free(node) for node in trace.platform.nodes]
    ranks = [[one.ranks(shape) for shape in shapes] for one in free]
    totals = [sum(column) for column in zip(*ranks, strict=True)]
    found = [Full() for _ in shapes]
    changes = _changes(trace)
    at = 0
    while at < len(changes):
        now_us = changes[at][0]
        touched: set[int] = set()
        while at < len(changes) and changes[at][0] == now_us:
            _, kind, _, placement = changes[at]
            for slot in placement:
                free[slot.node].change(slot, 1 if kind == _END else -1)
                touched.add(slot.node)
            at += 1
        for node in sorted(touched):
            for number, shape in enumerate(shapes):
                now = free[node].ranks(shape)
                totals[number] += now - ranks[node][number]
                ranks[node][number] = now
        for number, shape in enumerate(shapes):
            spans = found[number]
            without = totals[number] < shape.ranks
            if without and len(spans.begins) == len(spans.ends):
                spans.begins.append(now_us)
            elif not without and len(spans.begins) > len(spans.ends):
                spans.ends.append(now_us)
    return dict(zip(shapes, found, strict=True))


def _changes(trace: Trace) -> list[tuple[int, int, int, Placement]]:
    """Return every hold's begin and end, in the order of time, ends first."""
    holds: dict[tuple[int, Placement], int] = {}
    rows = zip(trace.launched_us.tolist(), trace.ended_us.tolist(), trace.placements, strict=True)
    for launched_us, ended_us, placement in rows:
        if ended_us >= 0:
            key = launched_us, placement
            holds[key] = max(ended_us, holds.get(key, 0))
    changes = []
    for number, ((launched_us, placement), ended_us) in enumerate(holds.items()):
        changes.append((launched_us, _LAUNCH, number, placement))
        changes.append((ended_us, _END, number, placement))
    return sorted(changes, key=lambda one: one[:3])
