"""Plan, simulate and run ML-driven HPC workflows asynchronously.

Describe a workflow once, then `plan` what overlapping would gain, `simulate` it, `run` it in any
mode, and `resume` a run that was stopped.
"""

from stretto.analysis import Calibration, measured_durations, read_calibration
from stretto.calibrating import calibrate
from stretto.channels import open_channel as channel
from stretto.errors import BackendError, StrettoError, WorkflowError
from stretto.executor import Executor
from stretto.planning import Plan, Sweep, plan, sweep
from stretto.platform import Node, Outage, Overheads, Platform, platform_named
from stretto.records import Imported, import_record
from stretto.report import write_report
from stretto.reporting import RunReport, report_of
from stretto.resources import Resources
from stretto.running import Run, resume, run
from stretto.scheduler import Mode, Order
from stretto.simulator import Simulator, simulate
from stretto.trace import Trace, read_trace
from stretto.workflow import (
    Channel,
    Dependency,
    Pattern,
    TaskSet,
    Workflow,
    parse_workflow,
    read_workflow,
    write_workflow,
)
from stretto_mark import Idling as idling  # noqa: N813 - used as `with stretto.idling():`

__all__ = [
    "BackendError",
    "Calibration",
    "Channel",
    "Dependency",
    "Executor",
    "Imported",
    "Mode",
    "Node",
    "Order",
    "Outage",
    "Overheads",
    "Pattern",
    "Plan",
    "Platform",
    "Resources",
    "Run",
    "RunReport",
    "Simulator",
    "StrettoError",
    "Sweep",
    "TaskSet",
    "Trace",
    "Workflow",
    "WorkflowError",
    "calibrate",
    "channel",
    "idling",
    "import_record",
    "measured_durations",
    "parse_workflow",
    "plan",
    "platform_named",
    "read_calibration",
    "read_trace",
    "read_workflow",
    "report_of",
    "resume",
    "run",
    "simulate",
    "sweep",
    "write_report",
    "write_workflow",
]
