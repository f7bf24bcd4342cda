"""What is left of a walltime when the command line has been read.

The allocation began no later than this process did, and starting Python on a busy file system can
take a while.
"""

from __future__ import annotations

import time

import psutil

from stretto.errors import under_key
from stretto.scheduler import until_us
from stretto.units import span_to_us, us_to_seconds

__all__ = ["walltime_left"]


def walltime_left(walltime: str | None, *, emulated: bool) -> float | None:
    """Return the seconds that are left of a walltime that began with this process.

    That of an emulated platform begins with the run: it is left whole.

    Raises
    ------
    WorkflowError
        If it is no span of time, or too little is left.
    """
    if walltime is None:
        return None
    left_s = us_to_seconds(under_key("walltime", span_to_us, walltime))
    if not emulated:
        left_s = max(0.0, left_s - (time.time() - _began_s()))
    under_key("walltime", until_us, left_s)
    return left_s


def _began_s() -> float:
    began_s: float = psutil.Process().create_time()
    return began_s
