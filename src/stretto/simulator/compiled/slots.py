"""First fit on arrays: `scheduler.slots` once more.

What is free on a node is a row of whole numbers: amounts (cores, whole GPUs, and what is only
counted, memory and named resources), then which cores these are, as a mask in words of 62 bits, so
that neither sign nor overflow comes into it, then the free thousandths of each GPU.  What a rank of
a shape needs is a row of amounts; what a slot holds is a row as well: node, ranks, mask of cores,
mask of GPUs.

For each shape there are nodes that may have room for it: those that were never tried, and in a heap
those that had room when they got something back.  A node found full is dropped.

These functions are called for each task, and take the arrays that they need one by one: to take an
array out of the tuple counts a reference.
"""

from __future__ import annotations

from stretto.compiling import jit
from stretto.simulator.compiled.records import (
    CORES,
    FIRST_WORD,
    GPUS,
    NODE,
    RANKS,
    WORD_BITS,
    Flags,
    Numbers,
    Record,
    Records,
)
from stretto.simulator.compiled.trees import pop, push
from stretto.units import GPU_MILLI

__all__ = ["give_back", "is_full", "offer", "place"]

FULL_WORD = (1 << WORD_BITS) - 1


# Where there may be room.


@jit
def is_full(needs: Record, n_nodes: int) -> bool:
    """Return whether no node can have room for a shape."""
    return bool(needs.n_room == 0 and needs.untried == n_nodes)


@jit
def _drop_first(needs: Record, room: Records, inside: Flags) -> None:
    if needs.n_room:
        inside[needs.room + room[needs.room].key] = 0
        pop(room, needs.room, needs.n_room)
        needs.n_room -= 1
    else:
        needs.untried += 1


@jit
def offer(
    needs: Record, wanted: Numbers, nodes: Numbers, room: Records, inside: Flags, node: int
) -> None:
    """Let a node that got something back be tried again for a shape, if it has room now."""
    if (
        node < needs.untried
        and not inside[needs.room + node]
        and _has_room(needs, wanted, nodes, node)
    ):
        inside[needs.room + node] = 1
        push(room, needs.room, needs.n_room, node, 0)
        needs.n_room += 1


@jit
def _has_room(needs: Record, wanted: Numbers, nodes: Numbers, node: int) -> bool:
    for amount in range(wanted.shape[1]):
        if nodes[node, amount] < wanted[needs.number, amount]:
            return False
    return needs.share_milli == 0 or _shareable(needs, nodes, node) >= 0


@jit
def _shareable(needs: Record, nodes: Numbers, node: int) -> int:
    """Return the place of the fullest shared GPU with room, else of the first free one, else -1."""
    best, least, free = -1, GPU_MILLI, -1
    for at in range(needs.gpus_at, nodes.shape[1]):
        left = nodes[node, at]
        if left == GPU_MILLI:
            if free < 0:
                free = at
        elif needs.share_milli <= left < least:
            best, least = at, left
    return best if best >= 0 else free


# Taking and giving back.


@jit
def _take_cores(needs: Record, nodes: Numbers, slots: Numbers, slot: int, wanted: int) -> None:
    """Take the lowest free ones."""
    node, at, word = slots[slot, NODE], needs.words_at, FIRST_WORD
    while wanted:
        free = nodes[node, at]
        taken = 0
        if free == FULL_WORD and wanted >= WORD_BITS:
            taken = FULL_WORD
            wanted -= WORD_BITS
        while wanted and free != taken:
            rest = free ^ taken
            taken |= rest & -rest
            wanted -= 1
        nodes[node, at] = free ^ taken
        slots[slot, word] |= taken
        at += 1
        word += 1


@jit
def _take_gpu(needs: Record, nodes: Numbers, slots: Numbers, slot: int, at: int) -> None:
    """Take a share of a GPU, or all of it."""
    node, gpu = slots[slot, NODE], at - needs.gpus_at
    if needs.share_milli and nodes[node, at] == GPU_MILLI:
        nodes[node, GPUS] -= 1
    nodes[node, at] -= needs.share_milli or GPU_MILLI
    word = FIRST_WORD + needs.gpus_at - needs.words_at + gpu // WORD_BITS
    slots[slot, word] |= 1 << (gpu % WORD_BITS)


@jit
def _take(needs: Record, wanted: Numbers, nodes: Numbers, slots: Numbers, slot: int) -> None:
    """Take what one rank needs."""
    node = slots[slot, NODE]
    slots[slot, RANKS] += 1
    for amount in range(wanted.shape[1]):
        nodes[node, amount] -= wanted[needs.number, amount]
    _take_cores(needs, nodes, slots, slot, wanted[needs.number, CORES])
    if needs.share_milli:
        _take_gpu(needs, nodes, slots, slot, _shareable(needs, nodes, node))
        return
    at, missing = needs.gpus_at, wanted[needs.number, GPUS]
    while missing:
        if nodes[node, at] == GPU_MILLI:
            _take_gpu(needs, nodes, slots, slot, at)
            missing -= 1
        at += 1


@jit
def give_back(needs: Record, wanted: Numbers, nodes: Numbers, slots: Numbers, slot: int) -> None:
    """Free what a slot holds."""
    node, ranks, words = slots[slot, NODE], slots[slot, RANKS], needs.gpus_at - needs.words_at
    for amount in range(wanted.shape[1]):
        nodes[node, amount] += ranks * wanted[needs.number, amount]
    for word in range(words):
        nodes[node, needs.words_at + word] |= slots[slot, FIRST_WORD + word]
    if wanted[needs.number, GPUS] == 0 and needs.share_milli == 0:
        return
    for gpu in range(nodes.shape[1] - needs.gpus_at):
        if slots[slot, FIRST_WORD + words + gpu // WORD_BITS] >> (gpu % WORD_BITS) & 1:
            at = needs.gpus_at + gpu
            nodes[node, at] += needs.share_milli or GPU_MILLI
            if needs.share_milli and nodes[node, at] == GPU_MILLI:
                nodes[node, GPUS] += 1


@jit
def place(
    needs: Record,
    wanted: Numbers,
    nodes: Numbers,
    room: Records,
    inside: Flags,
    slots: Numbers,
    begin: int,
) -> int:
    """Take slots for one task, from number `begin` on; return the next number, -1 if no room."""
    missing, end = needs.ranks, begin
    while missing and not is_full(needs, nodes.shape[0]):
        node = room[needs.room].key if needs.n_room else needs.untried
        opened = False
        while missing and _has_room(needs, wanted, nodes, node):
            # Ranks on one node are one slot, unless they share GPUs.
            if not opened or needs.share_milli:
                slots[end] = 0
                slots[end, NODE] = node
                end += 1
                opened = True
            _take(needs, wanted, nodes, slots, end - 1)
            missing -= 1
        if not opened:
            _drop_first(needs, room, inside)
    if missing:
        for slot in range(begin, end):
            give_back(needs, wanted, nodes, slots, slot)
            offer(needs, wanted, nodes, room, inside, slots[slot, NODE])
        return -1
    return end
