"""The world of a simulation: what really happens to tasks, which the scheduler only believes."""

from __future__ import annotations

from typing import Protocol

from stretto.workflow import Expansion, drawn_durations_us

__all__ = ["DrawnWorld", "World"]


class World(Protocol):
    """What becomes of an attempt."""

    def outcome(self, task: int, attempt: int) -> tuple[int, str | None]:
        """Return how long the attempt runs in microseconds, and why it fails, if it does."""


class DrawnWorld:
    """A world in which nothing fails, and durations are those of one seed."""

    def __init__(self, expansion: Expansion, seed: int) -> None:
        self._durations_us: list[int] = drawn_durations_us(expansion, seed).tolist()

    def outcome(self, task: int, attempt: int) -> tuple[int, str | None]:  # noqa: ARG002
        """Return how long the task runs in microseconds, whatever the attempt; it never fails."""
        return self._durations_us[task], None
