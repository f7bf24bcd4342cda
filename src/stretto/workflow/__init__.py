"""Descriptions of workflows: task sets, dependencies, durations, loops; and their expansion."""

from stretto.workflow.definition import Workflow
from stretto.workflow.dependencies import Dependency, Pattern, block
from stretto.workflow.durations import Constant, Duration, Lognormal, Normal, Sample, duration_of
from stretto.workflow.expansion import Edge, Expansion, SetInstance, expand
from stretto.workflow.task_set import Command, Function, TaskSet
from stretto.workflow.templates import FIELDS, fill

__all__ = [
    "FIELDS",
    "Command",
    "Constant",
    "Dependency",
    "Duration",
    "Edge",
    "Expansion",
    "Function",
    "Lognormal",
    "Normal",
    "Pattern",
    "Sample",
    "SetInstance",
    "TaskSet",
    "Workflow",
    "block",
    "duration_of",
    "expand",
    "fill",
]
