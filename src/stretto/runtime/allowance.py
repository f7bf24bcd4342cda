"""The time that a run is given: from a walltime to the moment by which all must have ended.

A walltime is real time, and begins when somebody asks for the run, not when the first task starts:
so it does in the allocation that it stands for.  An emulated run emulates its allocation too, whose
time begins with the run and is workflow time.
"""

from __future__ import annotations

from dataclasses import dataclass

from stretto.errors import WorkflowError, under_key
from stretto.runtime.backend import monotonic_us
from stretto.runtime.clock import RealClock
from stretto.scheduler import Limited, until_us

__all__ = ["Allowance"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """Time from a moment on the machine's monotonic clock.

    Parameters
    ----------
    begun_us
        That moment.
    until_us
        After how much time everything must have ended; `None` if it may take for ever.
    overrun
        Whether tasks are launched that are not expected to end by then.
    """

    begun_us: int
    until_us: int | None
    overrun: bool

    @classmethod
    def of(cls, walltime: float | str | None, *, overrun: bool) -> Allowance:
        """Return the time that begins now.

        Raises
        ------
        WorkflowError
            If the walltime is none, or there is none to overrun.
        """
        allowed_us = None if walltime is None else under_key("walltime", until_us, walltime)
        if overrun and allowed_us is None:
            raise WorkflowError("there is no walltime to overrun", path=("overrun",))
        return cls(monotonic_us(), allowed_us, overrun)

    def limit(self, clock: RealClock, *, emulated: bool) -> Limited | None:
        """Return what that means in workflow time; `None` if nothing."""
        if self.until_us is None:
            return None
        now_us = clock.now_us()
        begun_us = now_us if emulated else clock.at(self.begun_us)
        return Limited(begun_us + self.until_us, now_us, self.overrun)
