"""How long attempts may run: a timer for each that has a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stretto.runtime.clock import RealClock

__all__ = ["Deadlines"]


class Deadlines:
    """The timers of attempts in flight.

    Parameters
    ----------
    timeout_us
        Workflow time a task may run, `None` for ever.
    clock
        Workflow time.
    expired
        Called with task, attempt and why it has failed when its time is up.
    """

    def __init__(
        self,
        timeout_us: Callable[[int], int | None],
        clock: RealClock,
        expired: Callable[[int, int, str], None],
    ) -> None:
        self._timeout_us = timeout_us
        self._clock = clock
        self._expired = expired
        self._timers: dict[tuple[int, int], asyncio.TimerHandle] = {}

    def has(self, task: int) -> bool:
        """Return whether attempts of a task have a deadline."""
        return self._timeout_us(task) is not None

    def set(self, task: int, attempt: int) -> None:
        """Let the time of an attempt begin, if it is limited."""
        limit_us = self._timeout_us(task)
        if limit_us is None:
            return
        why = f"timed out after {limit_us / 1e6:g} s"
        self._timers[task, attempt] = asyncio.get_running_loop().call_later(
            self._clock.real_s(limit_us), self._expired, task, attempt, why
        )

    def clear(self, task: int, attempt: int) -> None:
        """Forget the deadline of an attempt, if it has one."""
        timer = self._timers.pop((task, attempt), None)
        if timer is not None:
            timer.cancel()

    def clear_all(self) -> None:
        """Forget all deadlines."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
