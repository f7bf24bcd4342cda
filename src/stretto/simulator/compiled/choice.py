"""Whether the compiled road pays: to load it costs as much as to simulate so many tasks without.

What a process will still simulate nobody knows, so it is done as with skis that can be rented or
bought: the readable road is taken until it has cost as much as the compiled one costs to load, and
no process takes more than twice the time that it would have taken had it known.  Where nothing has
been compiled before, or what was compiled could not be kept, the price is that of compiling.

Both roads give the same traces.  This is the only state of the package that outlives a call, and
only time depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COMPILED_FROM", "LOADED_FROM", "Tally", "pays"]

# Measured: docs/decisions/0018-compiled-road.md
LOADED_FROM = 60_000
"""Tasks that the readable road simulates while the compiler and what it kept are loaded."""
COMPILED_FROM = 400_000
"""Tasks that the readable road simulates while the kernel is compiled."""


@dataclass(slots=True)
class Tally:
    """What this process has simulated by the readable road although the kernel covers it."""

    tasks: int = 0


_TALLY = Tally()


def pays(tasks: int, tally: Tally = _TALLY) -> bool:
    """Return whether to simulate so many tasks on the compiled road, and count them if not."""
    tally.tasks += tasks
    if tally.tasks < LOADED_FROM:
        return False
    from stretto import compiling
    from stretto.simulator.compiled.kernel import play

    if not compiling.COMPILES:
        return False
    return compiling.is_kept(play) or tally.tasks >= COMPILED_FROM
