"""Shares: what kinds of work may hold together, changed while it runs.

A set may belong to a *pool*.  A pool with a share launches no task that would make it hold more
than that; a pool without one is held by nothing but the platform.  A smaller share ends nothing: it
is reached as tasks end.
"""

from __future__ import annotations

from stretto.scheduler.gates import GatedSet

__all__ = ["Shares"]


class Shares:
    """By pool: what it may hold, and what it holds; cores, and thousandths of GPUs."""

    __slots__ = ("_held", "_most")

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, int]] = {}
        self._most: dict[str, tuple[int | None, int | None]] = {}

    def limit(self, pool: str, cores: int | None, gpus_milli: int | None) -> None:
        """Let a pool hold so much; `None` is no limit."""
        self._most[pool] = (cores, gpus_milli)

    def room(self, gated: GatedSet) -> bool:
        """Return whether the share of a set's pool has room for one of its tasks more."""
        most = None if gated.pool is None else self._most.get(gated.pool)
        if gated.pool is None or most is None:
            return True
        cores, gpus_milli = _needs(gated)
        held = self._held.get(gated.pool, (0, 0))
        return (most[0] is None or held[0] + cores <= most[0]) and (
            most[1] is None or held[1] + gpus_milli <= most[1]
        )

    def hold(self, gated: GatedSet, tasks: int) -> None:
        """Count tasks of a set that begin to hold their slots; or, if negative, cease to."""
        if gated.pool is not None:
            cores, gpus_milli = _needs(gated)
            held = self._held.get(gated.pool, (0, 0))
            self._held[gated.pool] = (held[0] + tasks * cores, held[1] + tasks * gpus_milli)


def _needs(gated: GatedSet) -> tuple[int, int]:
    """Return the cores of a task of a set, and its GPUs in thousandths."""
    shape = gated.shape
    return shape.ranks * shape.cores, shape.ranks * shape.gpus_milli
