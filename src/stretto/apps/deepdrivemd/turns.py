"""Which iteration a task works in, and of which its inputs are.

The engine counts the iterations of a run from 0.  On disk they are counted on from those of the run
that this one continues, `first` of them, which lie in the same folder.  So what the engine calls
"no earlier iteration" may be the last one of the run before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Turn"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One task's place in the loop, in iterations as they lie on disk.

    Parameters
    ----------
    iteration
        Its own.
    inputs
        Of each set that it waits for, the iteration whose results it uses; `None` for none.
    """

    iteration: int
    inputs: Mapping[str, int | None]

    @classmethod
    def of(cls, iteration: int, inputs: Mapping[str, int | None], first: int) -> Turn:
        """Return the turn of a task whose engine counts from `first`."""
        before = first - 1 if first else None
        return cls(
            first + iteration,
            {name: before if one is None else first + one for name, one in inputs.items()},
        )
