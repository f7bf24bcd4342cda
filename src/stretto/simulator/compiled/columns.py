"""From a board back to what a trace has: placements, and which stale input each task used."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto.platform import Placement, Slot
from stretto.resources import Resources
from stretto.scheduler import GatedSet
from stretto.scheduler.gates import StaleInput
from stretto.simulator.compiled.records import WORD_BITS, Board, Numbers
from stretto.trace import Placements
from stretto.units import GPU_MILLI
from stretto.workflow import Pattern

__all__ = ["inputs_of", "placements_of"]

Inputs = tuple[tuple[str, int | None], ...]


def placements_of(board: Board, sets: Sequence[GatedSet]) -> Placements:
    """Return where each row lies; worked out when somebody looks."""
    shapes = list(dict.fromkeys(one.shape for one in sets))
    return Placements.when_asked(len(board.rows), partial(_placements, board, shapes))


def _placements(
    board: Board, shapes: Sequence[Resources]
) -> tuple[Sequence[Placement], NDArray[np.int32]]:
    of_slot, slots = _slots(board, shapes)
    if (board.rows["n_slots"] == 1).all():
        return [(slot,) for slot in slots], of_slot
    known: dict[tuple[int, ...], int] = {}
    begins = board.rows["first_slot"]
    ends = begins + board.rows["n_slots"]
    numbers = [
        known.setdefault(tuple(of_slot[begin:end].tolist()), len(known))
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    ]
    distinct = [tuple(slots[number] for number in key) for key in known]
    return distinct, np.array(numbers, dtype=np.int32)


def _slots(board: Board, shapes: Sequence[Resources]) -> tuple[NDArray[np.int32], list[Slot]]:
    """Return the number of each slot among the different ones, and these."""
    rows = board.rows
    n_slots = int(rows["n_slots"].sum())
    # Slots are numbered in the order of their rows.
    columns = np.empty((n_slots, 1 + board.slots.shape[1]), dtype=np.int64)
    columns[:, 0] = np.repeat(board.sets["needs"][rows["set"]], rows["n_slots"])
    columns[:, 1:] = board.slots[:n_slots]
    keys: Any = columns.view(np.dtype((np.void, columns.itemsize * columns.shape[1])))
    as_bytes: list[bytes] = keys.ravel().tolist()
    known: dict[bytes, int] = {}
    numbers = [known.setdefault(key, len(known)) for key in as_bytes]
    n_words = int(board.shapes["gpus_at"][0] - board.shapes["words_at"][0])
    distinct = np.frombuffer(b"".join(known), dtype=np.int64).reshape(-1, columns.shape[1])
    return np.array(numbers, dtype=np.int32), [
        Slot(
            node=node,
            cores=_mask(words[:n_words]),
            gpus=_mask(words[n_words:]),
            gpu_milli=min(shape.gpus_milli, GPU_MILLI),
            memory_mib=ranks * shape.memory_mib,
            ranks=ranks,
            named=tuple((name, ranks * amount) for name, amount in shape.named),
        )
        for needs, node, ranks, *words in distinct.tolist()
        for shape in [shapes[needs]]
    ]


def _mask(words: list[int]) -> int:
    return sum(word << WORD_BITS * number for number, word in enumerate(words))


def inputs_of(board: Board, sets: Sequence[GatedSet]) -> dict[int, Inputs]:
    """Return by row, for tasks that may use stale input, what they used: see `Trace.inputs`.

    Ends come in the order of (time, row).  So the tasks that had finished when a row was launched
    are the first so many of that order, and a candidate was there if the last of its tasks is one
    of them.
    """
    stale = [index for index, one in enumerate(sets) if one.stale_inputs]
    if not stale:
        return {}
    rows = board.rows
    place = np.empty(len(rows), dtype=np.int64)
    place[rows["task"][np.argsort(rows["ended_us"], kind="stable")]] = np.arange(len(rows))
    row_of = np.empty(len(rows), dtype=np.int64)
    row_of[rows["task"]] = np.arange(len(rows))
    found: dict[int, Inputs] = {}
    for index in stale:
        one = sets[index]
        own = row_of[one.first_task : one.first_task + one.count]
        used = [
            _newest(one, input_, sets, place, rows["known"][own]) for input_ in one.stale_inputs
        ]
        names = [input_.on for input_ in one.stale_inputs]
        for row, *iterations in zip(own.tolist(), *used, strict=True):
            found[row] = tuple(zip(names, iterations, strict=True))
    return dict(sorted(found.items()))


def _newest(
    one: GatedSet, stale: StaleInput, sets: Sequence[GatedSet], place: Numbers, known: Numbers
) -> list[int | None]:
    """Return the newest iteration that each task of a set could use, in the order of the tasks."""
    newest: list[int | None] = [None] * one.count
    for index, iteration in reversed(stale.candidates):
        producer = sets[index]
        last = place[producer.first_task : producer.first_task + producer.count]
        match stale.pattern:
            case Pattern.ALL:
                last = np.broadcast_to(last.max(), one.count)
            case Pattern.EACH:
                pass
            case Pattern.GROUP:
                of = np.arange(producer.count) * one.count // producer.count
                last = np.maximum.reduceat(last, np.searchsorted(of, np.arange(one.count)))
        for number in np.flatnonzero(last < known).tolist():
            newest[number] = iteration
    return newest
