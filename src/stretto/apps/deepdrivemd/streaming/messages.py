"""What the stages of a stream tell each other, and in what portions it is taken.

The iteration that a stream is *in* is the newest one that a frame has come from.  Frames of one
simulation come in order, so it goes up by one at a time.  Frames of earlier iterations may still
come in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.learning import Model
from stretto.apps.deepdrivemd.lineage import Frame

__all__ = [
    "Features",
    "Frames",
    "Learnt",
    "Picks",
    "Receiver",
    "Sender",
    "portions",
    "there",
    "words",
]


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Frames of a simulation that follow each other and have been made to last.

    Parameters
    ----------
    iteration, simulation, begin
        Name of the first of them.
    positions_nm
        Of the molecule without its solvent, shape ``(n, n_solute_atoms, 3)``, as they are read from
        the file.
    potential_kj_mol
        Of each.
    parent
        The frame that the simulation started from.
    file
        Has them until the simulation is done.
    whole
        Whether these are the last ones of their simulation.
    """

    iteration: int
    simulation: int
    begin: int
    positions_nm: NDArray[np.float32]
    potential_kj_mol: tuple[float, ...]
    parent: Frame | None
    file: Path
    whole: bool


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Frames of some simulations as features.

    Parameters
    ----------
    iteration
        That the stream is in.
    block
        The frames.
    growing
        By iteration and simulation: a file that has their frames, and how many of it will last.
    """

    iteration: int
    block: Block
    growing: Mapping[tuple[int, int], tuple[Path, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """A model.

    Parameters
    ----------
    iteration
        That the stream was in.
    model
        The model, of an earlier iteration where its training diverged.
    frames
        How many frames training knew, all in all.
    """

    iteration: int
    model: Model
    frames: int


@dataclass(frozen=True, slots=True)
class Picks:
    """What an inference has chosen.

    Parameters
    ----------
    inference, round
        Iteration that the stream was in, and which choice of it this is.
    model, trained_in
        Iteration of the model it used, and the one in which that learned; `None` without one.
    frames_behind
        Frames that inference knew and the model had not learned from.
    starts
        A frame for each simulation; empty if none is meant to be taken.
    growing
        As in `Features`, of the starts.
    stop
        Whether no further simulation is to begin, since the loop has converged.
    """

    inference: int
    round: int
    model: int | None
    trained_in: int | None
    frames_behind: int | None
    starts: tuple[Frame, ...]
    growing: Mapping[tuple[int, int], tuple[Path, int]]
    stop: bool


class Sender(Protocol):
    """The sending end of a channel."""

    def send(self, message: object) -> None:
        """Send a message."""


class Receiver(Protocol):
    """The receiving end of a channel."""

    def receive(self, timeout: float | None = None) -> object:
        """Return the next message."""


def there(channel: Receiver) -> list[object]:
    """Return the messages that have come, without waiting."""
    found: list[object] = []
    while True:
        try:
            found.append(channel.receive(timeout=0))
        except (TimeoutError, EOFError):
            return found


def portions(channel: Receiver, *, each: bool) -> Iterator[tuple[int, list[Features]]]:
    """Wait for features again and again, and return all that are there, with their iteration.

    It ends when nothing more will come.

    Parameters
    ----------
    each
        Whether no iteration is passed over: one that has begun is a portion of its own.
    """
    waiting: list[Features] = []
    iteration = -1
    while True:
        if not waiting:
            try:
                waiting = [_features(channel.receive())]
            except EOFError:
                return
        waiting += map(_features, there(channel))
        seen = waiting[:1] if each else waiting
        iteration = max(iteration, *(one.iteration for one in seen))
        newer = (at for at, one in enumerate(waiting) if one.iteration > iteration)
        end = next(newer, len(waiting))
        yield iteration, waiting[:end]
        waiting = waiting[end:]


def _features(message: object) -> Features:
    assert isinstance(message, Features), message
    return message


def words(*numbers: int) -> int:
    """Return a seed drawn from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
