"""The real clock: workflow time from the machine's, and back.

Workflow time begins at zero with the run, runs `scale` times as fast as real time (1 unless the
platform is emulated), and goes on after a resume where the journal ended: time in which the run
was down is not time of the run.
"""

from __future__ import annotations

from stretto.runtime.backend import monotonic_us

__all__ = ["RealClock"]


class RealClock:
    """Workflow time, in microseconds.

    Parameters
    ----------
    scale
        Workflow seconds in a real second.
    offset_us
        Workflow time at the moment the clock is made.
    """

    def __init__(self, *, scale: float = 1.0, offset_us: int = 0) -> None:
        self.scale = scale
        self._offset_us = offset_us
        self._origin_us = monotonic_us()

    def now_us(self) -> int:
        """Return the present workflow time."""
        return self.at(monotonic_us())

    def at(self, machine_us: int) -> int:
        """Return the workflow time of a moment of the machine's monotonic clock."""
        elapsed_us = machine_us - self._origin_us
        return self._offset_us + (elapsed_us if self.scale == 1 else round(elapsed_us * self.scale))

    def real_s(self, workflow_us: int) -> float:
        """Return a span of workflow time as real seconds."""
        return workflow_us / self.scale / 1e6
