"""Whether attempts lie on what they need, and never on what others hold at the same instant.

Every start grants its slots and every end releases them.  Sorted by the thing held and by time,
releases before grants of the same instant, the running sum is what is held of each thing: a core
(one attempt at a time), a GPU (1000 thousandths), the memory of a node, a named resource of a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stretto.analysis.serials import serials
from stretto.analysis.usage import held
from stretto.platform import Placement, Platform, Slot, bits
from stretto.resources import Resources
from stretto.trace import Trace
from stretto.units import GPU_MILLI

__all__ = ["misfits", "overfull"]

_CORES_A_NODE = 1 << 13
_GPUS_A_NODE = 1 << 7

Column = NDArray[np.int64]


def misfits(trace: Trace) -> dict[int, str]:
    """Return, by row, what is wrong with placements that are not exactly what their set needs."""
    shapes = [task_set.resources for task_set in trace.workflow.task_sets]
    places = serials(trace.workflow).place(trace.task).tolist()
    known: dict[tuple[int, Placement], str | None] = {}
    wrong: dict[int, str] = {}
    for row, key in enumerate(zip(places, trace.placements, strict=True)):
        if key not in known:
            known[key] = _misfit(shapes[key[0]], key[1], trace.platform)
        fault = known[key]
        if fault is not None:
            wrong[row] = fault
    return wrong


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
    slots = [(row, slot) for row in rows.tolist() for slot in trace.placements[row]]
    row = np.array([each for each, _ in slots], dtype=np.int64)
    cores: list[list[int]] = []
    gpus: list[list[int]] = []
    known: dict[Slot, tuple[list[int], list[int]]] = {}
    for _, slot in slots:
        if slot not in known:
            known[slot] = (
                [slot.node * _CORES_A_NODE + core for core in bits(slot.cores)],
                [slot.node * _GPUS_A_NODE + gpu for gpu in bits(slot.gpus)],
            )
        cores.append(known[slot][0])
        gpus.append(known[slot][1])
    core, of_core = _flat(cores)
    gpu, of_gpu = _flat(gpus)
    node = np.array([slot.node for _, slot in slots], dtype=np.int64)
    milli = np.array([slot.gpu_milli for _, slot in slots], dtype=np.int64)
    memory = np.array([slot.memory_mib for _, slot in slots], dtype=np.int64)
    room = np.array([each.memory_mib for each in trace.platform.nodes], dtype=np.int64)
    one, whole = np.ones_like(core), np.full_like(gpu, GPU_MILLI)
    return {
        "a core": _beyond(trace, core, row[of_core], one, one),
        "a GPU": _beyond(trace, gpu, row[of_gpu], milli[of_gpu], whole),
        "memory": _beyond(trace, node, row, memory, room[node]),
        **_overfull_named(trace, slots),
    }


def _overfull_named(trace: Trace, slots: Sequence[tuple[int, Slot]]) -> dict[str, list[int]]:
    """Return the rows that at some instant hold more of a named resource than their node has."""
    uses: dict[str, list[tuple[int, int, int]]] = {}
    for row, slot in slots:
        for name, amount in slot.named:
            uses.setdefault(name, []).append((slot.node, row, amount))
    found = {}
    for name, used in sorted(uses.items()):
        node, row, amount = np.array(used, dtype=np.int64).T
        has = [dict(each.named).get(name, 0) for each in trace.platform.nodes]
        room = np.array(has, dtype=np.int64)
        found[f"the named {name}"] = _beyond(trace, node, row, amount, room[node])
    return found


def _flat(keys: Sequence[Sequence[int]]) -> tuple[Column, Column]:
    """Return the keys of all slots in one array, and the number of the slot of each."""
    lengths = np.array([len(each) for each in keys], dtype=np.int64)
    flat = (key for each in keys for key in each)
    return (
        np.fromiter(flat, dtype=np.int64, count=int(lengths.sum())),
        np.repeat(np.arange(len(keys)), lengths),
    )


def _beyond(trace: Trace, key: Column, row: Column, amount: Column, most: Column) -> list[int]:
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
