"""Running for real: the clock, the engine and its backends."""

from stretto.runtime.allowance import Allowance
from stretto.runtime.answers import Answers, Unanswered
from stretto.runtime.assignments import Assignments, Emulation
from stretto.runtime.backend import (
    Backend,
    Call,
    Capabilities,
    Exited,
    LaunchFailed,
    Lost,
    Marked,
    NodeLost,
    NodeReturned,
    Pickled,
    Program,
    Report,
    Request,
    StandIn,
    Started,
    monotonic_us,
)
from stretto.runtime.backends.embedded import Embedded
from stretto.runtime.backends.emulated import Emulated
from stretto.runtime.backends.watchdog import kill_leftovers
from stretto.runtime.clock import RealClock
from stretto.runtime.engine import Ending, Engine, Record
from stretto.runtime.run_directory import RunDirectory, task_folder

__all__ = [
    "Allowance",
    "Answers",
    "Assignments",
    "Backend",
    "Call",
    "Capabilities",
    "Embedded",
    "Emulated",
    "Emulation",
    "Ending",
    "Engine",
    "Exited",
    "LaunchFailed",
    "Lost",
    "Marked",
    "NodeLost",
    "NodeReturned",
    "Pickled",
    "Program",
    "RealClock",
    "Record",
    "Report",
    "Request",
    "RunDirectory",
    "StandIn",
    "Started",
    "Unanswered",
    "kill_leftovers",
    "monotonic_us",
    "task_folder",
]
