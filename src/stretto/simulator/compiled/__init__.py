"""The compiled road: the same schedules as the readable one, to the microsecond and the core.

`coverage` and `choice` say whether it is taken, and need no compiler; the rest is imported when it
is taken, because the compiler takes longer to import than most simulations take to run.
"""

from stretto.simulator.compiled.choice import pays
from stretto.simulator.compiled.coverage import uncovered, uncovered_durations

__all__ = ["pays", "uncovered", "uncovered_durations"]
