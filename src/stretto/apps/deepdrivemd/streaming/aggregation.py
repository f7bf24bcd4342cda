"""Aggregation in a stream: frames become features as they come, and blocks as iterations end.

What is sent and what is written hold the same rows.  A message has what has come since the one
before, about one portion of each simulation; the block of an iteration, in its file, has all of
them in the order of their names, once the last one has come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import stretto
from stretto.apps.deepdrivemd.aggregating.aggregation import members
from stretto.apps.deepdrivemd.aggregating.observables import Observables
from stretto.apps.deepdrivemd.aggregating.settings import AggregationSettings
from stretto.apps.deepdrivemd.blocks import Block, joined
from stretto.apps.deepdrivemd.molecules import load
from stretto.apps.deepdrivemd.places import block_file, system_folder
from stretto.apps.deepdrivemd.streaming.messages import Features, Frames, Sender

__all__ = ["stream_aggregate"]


def stream_aggregate(
    *,
    task: int,
    run_dir: str,
    settings: Mapping[str, Any],
    simulations: int,
    blocks: int,
) -> dict[str, Any]:
    """Make features of the frames of this task's simulations until there are no more.

    Parameters
    ----------
    task, run_dir
        The task's own fields.
    settings
        The section ``aggregation``, see `AggregationSettings`.
    simulations, blocks
        Numbers of them in an iteration.

    Returns
    -------
    dict
        ``frames``, how many there were; ``blocks``, how many files.

    Raises
    ------
    WorkflowError
        If an argument or a setting cannot be used.
    """
    wanted = AggregationSettings.of(settings, section="aggregation")
    observables = Observables.of(wanted, load(system_folder(run_dir)))
    dealt = members(task, simulations=simulations, blocks=blocks)
    with stretto.channel("frames") as frames, stretto.channel("blocks") as sent:
        gathering = _Gathering(run_dir, task, dealt, observables, sent)
        for message in frames:
            assert isinstance(message, Frames), message
            if message.simulation in dealt:
                gathering.take(message)
        gathering.end()
    return {"frames": gathering.frames, "blocks": gathering.blocks}


class _Gathering:
    """What has come and has not been sent, or not been written."""

    def __init__(
        self,
        run_dir: str,
        task: int,
        dealt: list[int],
        observables: Observables,
        channel: Sender,
    ) -> None:
        self.frames = 0
        self.blocks = 0
        self._run_dir = run_dir
        self._task = task
        self._dealt = dealt
        self._observables = observables
        self._channel = channel
        self._iteration = -1
        self._unsent: list[Block] = []
        self._growing: dict[tuple[int, int], tuple[Path, int]] = {}
        self._unwritten: dict[int, list[Block]] = {}
        self._whole: dict[int, set[int]] = {}

    def take(self, message: Frames) -> None:
        """Take frames of one of the simulations."""
        if message.iteration > self._iteration:
            self._send()
            self._iteration = message.iteration
        every = self._observables.settings.every
        numbers = np.arange(message.begin, message.begin + len(message.positions_nm))
        wanted = numbers % every == 0
        if wanted.any():
            frames = np.empty((int(wanted.sum()), 3), np.int64)
            frames[:, 0], frames[:, 1] = message.iteration, message.simulation
            frames[:, 2] = numbers[wanted]
            block = self._observables.block(message.positions_nm[wanted], frames)
            self.frames += len(block)
            self._unsent.append(block)
            self._unwritten.setdefault(message.iteration, []).append(block)
            self._growing[message.iteration, message.simulation] = (
                message.file,
                int(numbers[-1]) + 1,
            )
        if len(self._unsent) >= len(self._dealt):
            self._send()
        if message.whole:
            whole = self._whole.setdefault(message.iteration, set())
            whole.add(message.simulation)
            if len(whole) == len(self._dealt):
                self._write(message.iteration)

    def end(self) -> None:
        """Send what is left, and write blocks of iterations that not all simulations reached."""
        self._send()
        for iteration in sorted(self._unwritten):
            self._write(iteration)

    def _send(self) -> None:
        if self._unsent:
            block = joined(self._unsent)
            self._channel.send(Features(self._iteration, block, dict(self._growing)))
            self._unsent.clear()
            self._growing.clear()

    def _write(self, iteration: int) -> None:
        block = joined(self._unwritten.pop(iteration))
        block = block.rows(np.lexsort(block.frames.T[::-1]))
        there = self._whole.pop(iteration, set())
        missing = tuple((iteration, one) for one in self._dealt if one not in there)
        replace(block, missing=missing).write(block_file(self._run_dir, iteration, self._task))
        self.blocks += 1
