"""The kinds of records that the kernel works on, and the board that has them all.

Everything is a whole number of 64 bits.

The compiler keeps what it compiled until the file of that one function changes; but a function is
compiled together with those of other files that it calls.  So an empty array on the board has a
type that is named by a digest of the whole folder: other files are another type, and nothing old
fits it.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CORES",
    "EDGE",
    "EDITION",
    "ENTRY",
    "FIRST_WORD",
    "GAME",
    "GPUS",
    "NODE",
    "RANKS",
    "ROW",
    "SET",
    "SHAPE",
    "WORD_BITS",
    "Board",
    "Counts",
    "Flags",
    "Numbers",
    "Record",
    "Records",
]

CORES, GPUS = range(2)
"""Places of the amounts whose units have numbers; what is only counted comes next."""
NODE, RANKS, FIRST_WORD = range(3)
"""Places in a slot; its masks of cores come last but for those of GPUs."""
WORD_BITS = 62
"""Bits of a mask in each word."""

Record = Any
Records = Any
Numbers = NDArray[np.int64]
Counts = NDArray[np.int32]
Flags = NDArray[np.uint8]


def _kind(fields: str) -> np.dtype[np.void]:
    return np.dtype([(name, np.int64) for name in fields.split()], align=True)


def _edition() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return "edition_" + sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


EDITION = _kind(_edition())
SET = _kind(
    "number first count needs rank leaf opens opens_end feeds feeds_end "
    "gates due unfinished unlaunched head tail by_rank by_leaf"
)
"""A set.  `needs` is its shape, `rank` its place in the order, `leaf` that among sets of its shape.

Its edges are ``edges[opens:opens_end]`` and ``edges[feeds:feeds_end]``, its ready tasks those from
`head` to `tail`.  `by_rank` and `by_leaf` are not its own, but the set that has this place.
"""
EDGE = _kind("to by_group")
SHAPE = _kind(
    "number ranks share_milli words_at gpus_at "
    "first_set ready_root ready_leaves room n_room untried"
)
"""A shape, with its place in the order of `by_leaf` and its tree of ready sets in `flags`.

The nodes that may have room for it are those from `untried` on, and `n_room` in a heap in `room`.
Masks of cores and GPUs begin at `words_at` and `gpus_at` of each node.
"""
ENTRY = _kind("key tie")
ROW = _kind("task set first_slot n_slots launched_us started_us ended_us known")
"""A row of the trace; `known` is how many tasks had finished when it was launched."""

GAME = _kind(
    "now_us future rows slots finished in_flight line open "
    "launch_us between_us task_us stage_us strict"
)
"""Where the game stands: sizes of `future`, `rows`, `slots` and `open`; counts of tasks;
the place in line of the first set that has tasks to launch.  And its rules.
"""


class Board(NamedTuple):
    """Everything there is; arrays of records of one kind unless said otherwise.

    Parameters
    ----------
    wanted
        What a rank of each shape needs: cores, whole GPUs, then what is only counted; shape
        ``(shapes, amounts)``.
    nodes
        What is free on each node: the same amounts, masks of cores, thousandths of each GPU; shape
        ``(nodes, amounts + words + GPUs)``.
    flags
        Trees of the ready sets of each shape.
    room, inside
        Heaps of nodes that may have room for each shape, and whether a node is in them.
    missing, queued
        By task, how many single tasks it waits for; and the ready tasks of each set from its first
        place to its last, shape ``(tasks,)``.
    duration_us
        Of each task, shape ``(tasks,)``.
    open
        Heap of the shapes that take part in the round.
    slots
        What each slot is, shape ``(slots, words)``: node, ranks, masks of cores, masks of GPUs.
    game
        A single record.
    edition
        An empty array of the type `EDITION`.
    most_slots
        How many slots all tasks may take.
    """

    sets: Records
    missing: Counts
    queued: Numbers
    duration_us: Numbers
    edges: Records
    shapes: Records
    wanted: Numbers
    nodes: Numbers
    flags: Flags
    room: Records
    inside: Flags
    future: Records
    open: Records
    rows: Records
    slots: Numbers
    game: Records
    edition: Records
    most_slots: int
