"""Whether attempts lie on what they need, and never on what others hold at the same instant.

Every start grants its slots and every end releases them.  Sorted by the thing held and by time,
releases before grants of the same instant, the running sum is what is held of each thing: a core
(one attempt at a time), a GPU (1000 thousandths), the memory of a node, a named resource of a node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stretto.analysis.serials import serials
from stretto.analysis.usage import held
from stretto.platform import Placement, Platform, Slot, bits
from stretto.resources import Resources
from stretto.trace import Trace, interned
from stretto.units import GPU_MILLI

__all__ = ["misfits", "overfull"]

_CORES_A_NODE = 1 << 13
_GPUS_A_NODE = 1 << 7

Column = NDArray[np.int64]


def misfits(trace: Trace) -> dict[int, str]:
    """Return, by row, what is wrong with placements that are not exactly what their set needs."""
    shapes = [task_set.resources for task_set in trace.workflow.task_sets]
    placements = interned(trace.placements)
    place = serials(trace.workflow).place(trace.task)
    pairs, which = np.unique(
        place * len(placements.distinct) + placements.numbers, return_inverse=True
    )
    faults = [
        _misfit(shapes[of_set], placements.distinct[number], trace.platform)
        for of_set, number in (divmod(pair, len(placements.distinct)) for pair in pairs.tolist())
    ]
    return {
        row: fault
        for row, number in enumerate(which.tolist())
        if (fault := faults[number]) is not None
    }


def _misfit(shape: Resources, placement: Placement, platform: Platform) -> str | None:
    nodes = [slot.node for slot in placement]
    if any(second < first for first, second in pairwise(nodes)):
        return f"its nodes {nodes} are not in order"
    if nodes and not 0 <= nodes[0] <= nodes[-1] < len(platform.nodes):
        return f"its nodes {nodes} do not all exist"
    ranks = sum(slot.ranks for slot in placement)
    if ranks != shape.ranks or any(slot.ranks < 1 for slot in placement):
        return f"{ranks} ranks instead of {shape.ranks}"
    faults = (_slot_misfit(shape, slot, platform) for slot in placement)
    return next((fault for fault in faults if fault is not None), None)


def _slot_misfit(shape: Resources, slot: Slot, platform: Platform) -> str | None:
    node = platform.nodes[slot.node]
    if slot.cores < 0 or slot.cores.bit_length() > node.cores:
        return f"a core that {node.name} does not have"
    if slot.gpus < 0 or slot.gpus.bit_length() > node.gpus:
        return f"a GPU that {node.name} does not have"
    found = slot.cores.bit_count()
    if found != slot.ranks * shape.cores:
        return f"{found} cores for {slot.ranks} ranks of {shape.cores}"
    milli = slot.gpus.bit_count() * slot.gpu_milli
    if milli != slot.ranks * shape.gpus_milli:
        return f"{milli} thousandths of GPUs for {slot.ranks} ranks of {shape.gpus_milli}"
    share = min(shape.gpus_milli, GPU_MILLI)
    if slot.gpus and (slot.gpu_milli % share or slot.gpu_milli > GPU_MILLI):
        return f"{slot.gpu_milli} thousandths of a GPU for ranks of {shape.gpus_milli}"
    if slot.memory_mib != slot.ranks * shape.memory_mib:
        return f"{slot.memory_mib} MiB for {slot.ranks} ranks of {shape.memory_mib} MiB"
    needed = {name: slot.ranks * amount for name, amount in shape.named}
    if dict(slot.named) != needed or len(slot.named) != len(needed):
        return f"{dict(slot.named)} for {slot.ranks} ranks of {dict(shape.named)}"
    return None


def overfull(trace: Trace, *, without: Sequence[int] = ()) -> dict[str, list[int]]:
    """Return the rows that at some instant hold more than there is, by what it is.

    Parameters
    ----------
    without
        Rows to leave out, because what they lie on does not exist.
    """
    rows = np.setdiff1d(held(trace).rows, np.array(without, dtype=np.int64))
    cores = _spread(trace, rows, _cores)
    gpus = _spread(trace, rows, _gpus)
    memory = _spread(trace, rows, _memory)
    room = np.array([each.memory_mib for each in trace.platform.nodes], dtype=np.int64)
    return {
        "a core": _beyond(trace, *cores, np.ones_like(cores[0])),
        "a GPU": _beyond(trace, *gpus, np.full_like(gpus[0], GPU_MILLI)),
        "memory": _beyond(trace, *memory, room[memory[0]]),
        **_overfull_named(trace, rows),
    }


def _overfull_named(trace: Trace, rows: Column) -> dict[str, list[int]]:
    """Return the rows that at some instant hold more of a named resource than their node has."""
    placements = interned(trace.placements)
    names = {name for slots in placements.distinct for one in slots for name, _ in one.named}
    found = {}
    for name in sorted(names):
        used = _spread(trace, rows, partial(_named, name))
        has = [dict(each.named).get(name, 0) for each in trace.platform.nodes]
        room = np.array(has, dtype=np.int64)
        found[f"the named {name}"] = _beyond(trace, *used, room[used[0]])
    return found


def _cores(placement: Placement) -> list[tuple[int, int]]:
    return [(one.node * _CORES_A_NODE + core, 1) for one in placement for core in bits(one.cores)]


def _gpus(placement: Placement) -> list[tuple[int, int]]:
    return [
        (one.node * _GPUS_A_NODE + gpu, one.gpu_milli)
        for one in placement
        for gpu in bits(one.gpus)
    ]


def _memory(placement: Placement) -> list[tuple[int, int]]:
    return [(one.node, one.memory_mib) for one in placement]


def _named(name: str, placement: Placement) -> list[tuple[int, int]]:
    return [(one.node, amount) for one in placement for held, amount in one.named if held == name]


def _spread(
    trace: Trace, rows: Column, things: Callable[[Placement], list[tuple[int, int]]]
) -> tuple[Column, Column, Column]:
    """Return each thing that these rows hold, how much of it, and the row."""
    placements = interned(trace.placements)
    used, which = np.unique(placements.numbers[rows], return_inverse=True)
    held_by = [things(placements.distinct[number]) for number in used.tolist()]
    flat = np.array([pair for each in held_by for pair in each], dtype=np.int64).reshape(-1, 2)
    lengths = np.array([len(each) for each in held_by], dtype=np.int64)
    counts = lengths[which]
    firsts = (np.cumsum(lengths) - lengths)[which] - (np.cumsum(counts) - counts)
    at = np.repeat(firsts, counts) + np.arange(counts.sum())
    return flat[at, 0], flat[at, 1], np.repeat(rows, counts)


def _beyond(trace: Trace, key: Column, amount: Column, row: Column, most: Column) -> list[int]:
    """Return the rows at whose grant more than `most` of their key was held."""
    rows, started_us, ended_us = held(trace)
    at = np.searchsorted(rows, row)
    lasts = ended_us[at] > started_us[at]
    at, key, row, amount, most = at[lasts], key[lasts], row[lasts], amount[lasts], most[lasts]
    moments = np.concatenate((started_us[at] * 2 + 1, ended_us[at] * 2))
    order = np.lexsort((moments, np.tile(key, 2)))
    # A key's grants and releases cancel out, so the sum begins at 0 again with every key.
    level = np.cumsum(np.concatenate((amount, -amount))[order])
    over = level > np.tile(most, 2)[order]
    found: list[int] = np.unique(np.tile(row, 2)[order[over]]).tolist()
    return found
