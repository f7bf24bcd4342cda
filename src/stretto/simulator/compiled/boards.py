"""Boards: from gated sets, an order and nodes to arrays, and one game on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stretto.platform import Node, Overheads
from stretto.resources import Resources
from stretto.scheduler import GatedSet
from stretto.simulator.compiled.coverage import most_slots
from stretto.simulator.compiled.kernel import play
from stretto.simulator.compiled.records import (
    CORES,
    EDGE,
    EDITION,
    ENTRY,
    FIRST_WORD,
    GAME,
    GPUS,
    ROW,
    SET,
    SHAPE,
    WORD_BITS,
    Board,
    Counts,
    Numbers,
    Records,
)
from stretto.units import GPU_MILLI
from stretto.workflow import Pattern

__all__ = ["board_of", "ordered", "played"]


def board_of(sets: Sequence[GatedSet], nodes: Sequence[Node], overheads: Overheads) -> Board:
    """Return the board before the first move, with its sets in no order and without durations."""
    different = list(dict.fromkeys(one.shape for one in sets))
    shapes = {shape: number for number, shape in enumerate(different)}
    edges, opens, feeds = _edges(sets)
    table = _records(len(sets), SET)
    table["number"] = np.arange(len(sets))
    table["first"] = [one.first_task for one in sets]
    table["count"] = [one.count for one in sets]
    table["gates"] = [one.gates for one in sets]
    table["needs"] = [shapes[one.shape] for one in sets]
    table["unfinished"] = table["unlaunched"] = table["count"]
    table["opens"], table["opens_end"] = opens[:-1], opens[1:]
    table["feeds"], table["feeds_end"] = feeds[:-1], feeds[1:]
    wanted, free = _amounts(different, nodes)
    needs = _shapes(different, table, len(nodes))
    needs["words_at"] = wanted.shape[1]
    needs["gpus_at"] = wanted.shape[1] + _words(int(free[:, CORES].max()))
    game = _records(1, GAME)
    for name in ("launch_us", "between_us", "task_us", "stage_us"):
        game[name] = getattr(overheads, name)
    none = np.zeros(0, dtype=np.int64)
    return Board(
        sets=table,
        missing=_missing(sets),
        queued=none,
        duration_us=none,
        edges=edges,
        shapes=needs,
        wanted=wanted,
        nodes=np.concatenate((free, _masks(free[:, CORES]), _thousandths(free[:, GPUS])), axis=1),
        flags=np.zeros(2 * int(needs["ready_leaves"].sum()), dtype=np.uint8),
        room=_records(0, ENTRY),
        inside=np.zeros(0, dtype=np.uint8),
        future=_records(0, ENTRY),
        open=_records(len(shapes), ENTRY),
        rows=_records(0, ROW),
        slots=none.reshape(0, 0),
        game=game,
        edition=_records(0, EDITION),
        most_slots=most_slots(sets, len(nodes)),
    )


def ordered(board: Board, priorities: Sequence[int], *, strict: bool) -> Board:
    """Return the board with its sets in order: all of them, and those of each shape."""
    sets, game = board.sets.copy(), board.game.copy()
    # Priorities may be longer than a word; what counts is their order.
    by_rank = sorted(range(len(sets)), key=lambda index: (-priorities[index], index))
    by_leaf = np.array(by_rank)[np.argsort(sets["needs"][by_rank], kind="stable")]
    sets["by_rank"] = by_rank
    sets["rank"][by_rank] = np.arange(len(sets))
    sets["by_leaf"] = by_leaf
    sets["leaf"][by_leaf] = np.arange(len(sets))
    sets["leaf"] -= board.shapes["first_set"][sets["needs"]]
    game["strict"] = strict
    return board._replace(sets=sets, game=game)


def played(board: Board, durations_us: NDArray[np.int64]) -> Board:
    """Return the board after the last move, with the rows and slots that came about."""
    n_tasks = len(durations_us)
    n_candidates = len(board.shapes) * len(board.nodes)
    # Some more for what a task takes before it finds no room.
    n_slots = board.most_slots + int(board.shapes["ranks"].max())
    n_gpus = board.nodes.shape[1] - int(board.shapes["gpus_at"][0])
    core_words = int(board.shapes["gpus_at"][0] - board.shapes["words_at"][0])
    after = board._replace(
        sets=board.sets.copy(),
        missing=board.missing.copy(),
        queued=np.empty(n_tasks, dtype=np.int64),
        duration_us=durations_us,
        nodes=board.nodes.copy(),
        flags=board.flags.copy(),
        room=np.recarray(n_candidates, dtype=ENTRY),
        inside=np.zeros(n_candidates, dtype=np.uint8),
        shapes=board.shapes.copy(),
        future=np.recarray(n_tasks + len(board.sets), dtype=ENTRY),
        rows=np.recarray(n_tasks, dtype=ROW),
        slots=np.empty((n_slots, FIRST_WORD + core_words + _words(n_gpus)), dtype=np.int64),
        game=board.game.copy(),
    )
    n_rows = play(after)
    assert n_rows == n_tasks, f"{n_rows} of {n_tasks} tasks were launched"
    return after


def _records(length: int, kind: np.dtype[np.void]) -> Records:
    table = np.recarray(length, dtype=kind)
    table[:] = 0
    return table


def _edges(sets: Sequence[GatedSet]) -> tuple[Records, Numbers, Numbers]:
    """Return all edges, those of set gates first, and where those of each set begin."""
    opens = np.cumsum([0, *(len(one.opens) for one in sets)])
    feeds = np.cumsum([opens[-1], *(len(one.feeds) for one in sets)])
    edges = _records(int(feeds[-1]), EDGE)
    edges["to"][: opens[-1]] = [to for one in sets for to in one.opens]
    edges["to"][opens[-1] :] = [feed.consumer for one in sets for feed in one.feeds]
    edges["by_group"][opens[-1] :] = [
        feed.pattern is Pattern.GROUP for one in sets for feed in one.feeds
    ]
    return edges, opens, feeds


def _missing(sets: Sequence[GatedSet]) -> Counts:
    """Return the number of single tasks that each task waits for."""
    missing = np.zeros(sum(one.count for one in sets), dtype=np.int32)
    for one in sets:
        own = missing[one.first_task : one.first_task + one.count]
        for number, pattern in one.fed_by:
            producers = sets[number].count
            if pattern is Pattern.GROUP:
                own += np.bincount(np.arange(producers) * one.count // producers).astype(np.int32)
            else:
                own += 1
    return missing


def _shapes(shapes: Sequence[Resources], sets: Records, n_nodes: int) -> Records:
    """Return the shapes, with the places of their trees and heaps."""
    table = _records(len(shapes), SHAPE)
    table["number"] = np.arange(len(shapes))
    table["ranks"] = [shape.ranks for shape in shapes]
    table["share_milli"] = [shape.gpus_milli % GPU_MILLI for shape in shapes]
    n_sets = np.bincount(sets["needs"], minlength=len(shapes))
    table["first_set"] = np.cumsum(n_sets) - n_sets
    leaves = np.array([_power_of_two(count) for count in n_sets.tolist()])
    table["ready_leaves"] = leaves
    table["ready_root"] = np.cumsum(2 * leaves) - 2 * leaves
    table["room"] = n_nodes * np.arange(len(shapes))
    return table


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


def _amounts(shapes: Sequence[Resources], nodes: Sequence[Node]) -> tuple[Numbers, Numbers]:
    """Return what a rank of each shape needs and what each node has: cores, GPUs, what is counted.

    Only what some shape needs is counted.
    """
    names = sorted({name for shape in shapes for name, _ in shape.named})
    memory = any(shape.memory_mib for shape in shapes)

    def row(cores: int, gpus: int, of: Resources | Node) -> list[int]:
        named = dict(of.named)
        return [cores, gpus, *[of.memory_mib] * memory, *(named.get(name, 0) for name in names)]

    wanted = [row(one.cores, one.gpus_milli // GPU_MILLI, one) for one in shapes]
    return np.array(wanted), np.array([row(one.cores, one.gpus, one) for one in nodes])


def _words(bits: int) -> int:
    return -(-bits // WORD_BITS)


def _masks(cores: Numbers) -> Numbers:
    """Return the masks of so many cores, shape ``(nodes, words)``."""
    words = np.arange(_words(int(cores.max())))
    masks: Numbers = (1 << np.clip(cores[:, None] - WORD_BITS * words, 0, WORD_BITS)) - 1
    return masks


def _thousandths(gpus: Numbers) -> Numbers:
    """Return the thousandths of so many GPUs, shape ``(nodes, GPUs)``."""
    return np.where(np.arange(int(gpus.max())) < gpus[:, None], GPU_MILLI, 0)
