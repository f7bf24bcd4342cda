"""Descriptions of workflows: task sets, dependencies, durations, loops; and their expansion."""

from stretto.workflow.budgets import NO_FAILURES, Budget
from stretto.workflow.channels import Channel
from stretto.workflow.definition import Workflow
from stretto.workflow.dependencies import Dependency, Pattern, block
from stretto.workflow.draws import check_seed, drawn_durations_us
from stretto.workflow.durations import (
    Constant,
    Duration,
    Lognormal,
    Normal,
    Sample,
    duration_of,
    observed,
)
from stretto.workflow.expansion import Edge, Expansion, SetInstance, expand
from stretto.workflow.open_ends import OpenCount, OpenLoop
from stretto.workflow.quorums import Quorum, Stragglers, quorum_of
from stretto.workflow.reading import located, parse_workflow, read_workflow, workflow_from_mapping
from stretto.workflow.schema import workflow_schema
from stretto.workflow.task_set import Command, Function, TaskSet
from stretto.workflow.templates import FIELDS, fill
from stretto.workflow.writing import duration_to_value, workflow_to_mapping, write_workflow

__all__ = [
    "FIELDS",
    "NO_FAILURES",
    "Budget",
    "Channel",
    "Command",
    "Constant",
    "Dependency",
    "Duration",
    "Edge",
    "Expansion",
    "Function",
    "Lognormal",
    "Normal",
    "OpenCount",
    "OpenLoop",
    "Pattern",
    "Quorum",
    "Sample",
    "SetInstance",
    "Stragglers",
    "TaskSet",
    "Workflow",
    "block",
    "check_seed",
    "drawn_durations_us",
    "duration_of",
    "duration_to_value",
    "expand",
    "fill",
    "located",
    "observed",
    "parse_workflow",
    "quorum_of",
    "read_workflow",
    "workflow_from_mapping",
    "workflow_schema",
    "workflow_to_mapping",
    "write_workflow",
]
