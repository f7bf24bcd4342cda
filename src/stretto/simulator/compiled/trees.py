"""Two structures on arrays: numbers of which the lowest is asked for, and heaps.

Numbers from 0 are a tree of flags: leaf `i` is on if `i` is among them, a branch is on if anything
below it is.  Its root is flag 1 after `root`, the branches below flag `i` are `2 i` and `2 i + 1`,
and the leaves, a power of two of them, come last.  To add, to remove and to find the lowest takes
no more steps than the tree has levels.

A heap holds pairs of a key and what breaks ties, the least one first.  Several trees or heaps lie
in one array; where one begins is its `root`.
"""

from __future__ import annotations

from stretto.compiling import jit
from stretto.simulator.compiled.records import Flags, Records

__all__ = ["add", "lowest", "pop", "push", "remove"]


@jit
def add(flags: Flags, root: int, leaves: int, leaf: int) -> None:
    """Put a number among those of a tree."""
    at = leaves + leaf
    while at and not flags[root + at]:
        flags[root + at] = 1
        at >>= 1


@jit
def remove(flags: Flags, root: int, leaves: int, leaf: int) -> None:
    """Take a number from those of a tree."""
    at = leaves + leaf
    flags[root + at] = 0
    at >>= 1
    while at and not (flags[root + 2 * at] or flags[root + 2 * at + 1]):
        flags[root + at] = 0
        at >>= 1


@jit
def lowest(flags: Flags, root: int, leaves: int) -> int:
    """Return the lowest number of a tree, -1 if there is none."""
    if not flags[root + 1]:
        return -1
    at = 1
    while at < leaves:
        at *= 2
        if not flags[root + at]:
            at += 1
    return at - leaves


@jit
def push(heap: Records, root: int, size: int, key: int, tie: int) -> None:
    """Put an entry into the heap that has `size` of them from `root` on."""
    at = size
    while at:
        up = (at - 1) >> 1
        above = heap[root + up]
        if above.key < key or (above.key == key and above.tie < tie):
            break
        heap[root + at].key = above.key
        heap[root + at].tie = above.tie
        at = up
    heap[root + at].key = key
    heap[root + at].tie = tie


@jit
def pop(heap: Records, root: int, size: int) -> None:
    """Drop the least of the `size` entries of the heap from `root` on."""
    last = size - 1
    key, tie = heap[root + last].key, heap[root + last].tie
    at, down = 0, 1
    while down < last:
        least = heap[root + down]
        if down + 1 < last:
            right = heap[root + down + 1]
            if right.key < least.key or (right.key == least.key and right.tie < least.tie):
                least = right
                down += 1
        if key < least.key or (key == least.key and tie < least.tie):
            break
        heap[root + at].key = least.key
        heap[root + at].tie = least.tie
        at, down = down, 2 * down + 1
    heap[root + at].key = key
    heap[root + at].tie = tie
