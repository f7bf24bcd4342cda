"""Gathering: the blocks of all iterations so far, for those who learn from frames or choose some.

What a model sees stays bounded however long the loop runs: iterations share the limit equally, and
an iteration with more frames than its share gives evenly spaced ones.  How near the run has come to
its reference is told of all frames.

A block that is missing or damaged is made again where the caller knows how, and said so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stretto.apps.deepdrivemd.arguments import count
from stretto.apps.deepdrivemd.blocks import Block, joined
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.places import block_file, iteration_folder

__all__ = ["Best", "Gathered", "Pool", "Remake", "gather"]

Remake = Callable[[int, int], Block]
"""Makes a block again from its trajectories: of an iteration, by its number."""


@dataclass(frozen=True, slots=True)
class Best:
    """How near the frames of one iteration have come to the reference; `None` without one."""

    iteration: int
    frames: int
    rmsd_nm: float | None
    native_contacts: float | None

    def and_of(self, more: Best) -> Best:
        """Return it for these and more frames of the iteration."""
        rmsd_nm, contacts = more.rmsd_nm, more.native_contacts
        if self.rmsd_nm is not None and rmsd_nm is not None:
            rmsd_nm = min(self.rmsd_nm, rmsd_nm)
        if self.native_contacts is not None and contacts is not None:
            contacts = max(self.native_contacts, contacts)
        return Best(self.iteration, self.frames + more.frames, rmsd_nm, contacts)


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """The frames of all iterations so far.

    Parameters
    ----------
    block
        At most as many of them as was asked for, iteration after iteration.
    best
        Of each iteration, in order, from all of its frames.
    remade
        What was made again and why, ready for JSON.
    """

    block: Block
    best: tuple[Best, ...]
    remade: tuple[dict[str, Any], ...]


def gather(
    run_dir: str | Path,
    newest: int,
    *,
    blocks: int,
    most_frames: int,
    first: int = 0,
    remake: Remake | None = None,
) -> Gathered:
    """Return the frames of iterations up to and with `newest`.

    Parameters
    ----------
    run_dir, newest
        Directory of the run, and the last iteration, as it lies on disk.
    blocks
        Blocks of an iteration.
    most_frames
        Limit on the frames of all iterations together.
    first
        Iterations of the runs that this one continues; of them the blocks that are there count.
    remake
        How to make a block again; without it a missing or damaged one is an error.

    Raises
    ------
    WorkflowError
        If `blocks` is not a whole number above 0.
    StageError
        If a block is missing or damaged and cannot be made again, or is of other features.
    """
    count("blocks", blocks)
    shares = _shares(newest, most_frames)
    parts: list[Block] = []
    best: list[Best] = []
    remade: list[dict[str, Any]] = []
    for number in range(newest + 1):
        numbers = range(blocks) if number >= first else _there(run_dir, number)
        block = joined([_block(run_dir, number, one, remake, remade) for one in numbers])
        best.append(_best(number, block))
        parts.append(block.thinned(shares[number]))
    return Gathered(joined([part for part in parts if len(part)]), tuple(best), tuple(remade))


class Pool:
    """The frames of all iterations so far as they come, for those who do not read them from files.

    It keeps of each iteration that is over no more than its share, so it stays bounded too.
    """

    def __init__(self, most_frames: int, begun: Gathered | None = None) -> None:
        self._most_frames = most_frames
        self._parts: dict[int, Block] = {}
        self._best: dict[int, Best] = {}
        if begun is not None:
            self.add(begun.block)
            self._best = {one.iteration: one for one in begun.best}

    def add(self, block: Block) -> None:
        """Add frames of whatever iterations."""
        for number in np.unique(block.frames[:, 0]).tolist():
            part = block.rows(np.flatnonzero(block.frames[:, 0] == number))
            best = _best(number, part)
            if number in self._parts:
                part = joined([self._parts[number], part])
                best = self._best[number].and_of(best)
            self._parts[number], self._best[number] = part, best

    @property
    def frames(self) -> int:
        """How many there have been in all."""
        return sum(one.frames for one in self._best.values())

    def gathered(self) -> Gathered:
        """Return at most as many frames as is the limit, shared as `gather` shares them."""
        newest = max(self._parts)
        shares = _shares(newest, self._most_frames)
        parts = {number: one.thinned(shares[number]) for number, one in sorted(self._parts.items())}
        self._parts |= {number: part for number, part in parts.items() if number < newest - 1}
        best = tuple(self._best[number] for number in sorted(self._best))
        return Gathered(joined([part for part in parts.values() if len(part)]), best, ())


def _shares(newest: int, most_frames: int) -> dict[int, int]:
    """Return how many frames each iteration may give."""
    iterations = range(newest + 1)
    if most_frames < len(iterations):
        # With more iterations than frames to give, the newest give one each.
        return {number: int(newest - number < most_frames) for number in iterations}
    return {number: most_frames // len(iterations) for number in iterations}


def _block(
    run_dir: str | Path,
    iteration: int,
    number: int,
    remake: Remake | None,
    remade: list[dict[str, Any]],
) -> Block:
    try:
        return Block.read(block_file(run_dir, iteration, number))
    except StageError as error:
        if remake is None:
            raise
        block = remake(iteration, number)
        remade.append({"iteration": iteration, "block": number, "reason": str(error)})
        print(f"made block {number} of iteration {iteration} again: {error}")  # noqa: T201 -- a task's log
        return block


def _there(run_dir: str | Path, iteration: int) -> list[int]:
    folder = iteration_folder(run_dir, iteration)
    named = [
        re.fullmatch(r"aggregation-(\d+)\.h5", path.name) for path in folder.glob("aggregation-*")
    ]
    numbers = sorted(int(name[1]) for name in named if name)
    if not numbers:
        raise StageError(f"{folder}: has no block of features")
    return numbers


def _best(iteration: int, block: Block) -> Best:
    rmsd_nm, contacts = block.rmsd_nm, block.native_contacts
    return Best(
        iteration,
        len(block),
        None if rmsd_nm is None else float(np.min(rmsd_nm)),
        None if contacts is None else float(np.max(contacts)),
    )
