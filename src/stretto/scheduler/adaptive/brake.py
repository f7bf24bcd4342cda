"""What a policy holds back that its gates would let go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

from stretto.scheduler.adaptive.outline import Outline
from stretto.scheduler.policy import Policy, Release

__all__ = ["Brake", "Progress"]


class Progress:
    """How far a run is, by stages and iterations.

    Parameters
    ----------
    complete
        Whether every task of a set has finished.
    """

    __slots__ = ("_outline", "complete", "open_iteration", "open_stage")

    def __init__(self, outline: Outline, complete: Callable[[int], bool]) -> None:
        self._outline = outline
        self.complete = complete
        self.open_stage = 0
        """The first stage that is not over."""
        self.open_iteration = 0
        """The first iteration that is not over."""

    def resumed(self, complete: Callable[[int], bool]) -> Progress:
        """Return the same, to go on by another knowledge of what is complete."""
        copy = Progress(self._outline, complete)
        copy.open_stage, copy.open_iteration = self.open_stage, self.open_iteration
        return copy

    def move_on(self) -> None:
        """Take note that a set is complete."""
        self.open_stage = self._open(self._outline.in_stage, self.open_stage)
        self.open_iteration = self._open(self._outline.in_iteration, self.open_iteration)

    def _open(self, parts: Sequence[Sequence[int]], start: int) -> int:
        while start < len(parts) and all(map(self.complete, parts[start])):
            start += 1
        return start


class Brake:
    """The holding part of a policy."""

    __slots__ = ("_ahead", "_awaited", "_outline", "_release")

    def __init__(self, outline: Outline, policy: Policy) -> None:
        self._outline = outline
        self._release = policy.release
        self._ahead = policy.ahead
        number = outline.number
        self._awaited = {number[held]: number[until] for held, until in policy.waits}

    def holds(self, index: int, progress: Progress) -> bool:
        """Return whether a set is held back, or one that runs with it, when a run is so far."""
        return next(self.waits(index, progress), None) is not None

    def waits(self, index: int, progress: Progress) -> Iterator[str]:
        """Yield in words for what a set is held back, or one that runs with it."""
        for one in self._outline.gangs[index] or (index,):
            yield from self._waits(one, progress)

    def _waits(self, index: int, progress: Progress) -> Iterator[str]:
        outline = self._outline
        match self._release:
            case Release.STAGE:
                if outline.stages[index] > progress.open_stage:
                    yield "the end of the stages before its own"
            case Release.SET:
                for one, _ in outline.fed_by[index]:
                    if not progress.complete(one):
                        yield f"the whole of {outline.sets[one]}"
            case Release.TASK:
                pass
            case _:
                assert_never(self._release)
        if self._ahead is not None:
            oldest = progress.open_iteration
            if outline.iterations[index] > oldest + self._ahead:
                yield f"the end of iteration {oldest}"
        until = self._awaited.get(index)
        if until is not None and not progress.complete(until):
            yield f"fresh input from {outline.sets[until]}"
