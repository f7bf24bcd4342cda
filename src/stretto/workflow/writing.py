"""Workflows to descriptions: plain values that say everything, and YAML to read.

What is written is exact to the microsecond: whole seconds as whole numbers, others as the shortest
decimal that comes back as the same microsecond (ten years of them are fewer than 2**53).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

import yaml

from stretto.errors import WorkflowError
from stretto.resources import Resources
from stretto.units import GPU_MILLI, US_PER_SECOND, us_to_seconds
from stretto.workflow.budgets import NO_FAILURES
from stretto.workflow.channels import Channel
from stretto.workflow.definition import Workflow
from stretto.workflow.dependencies import Dependency, Pattern
from stretto.workflow.durations import Constant, Duration, Lognormal, Normal, Sample
from stretto.workflow.marks import check_values
from stretto.workflow.quorums import Stragglers
from stretto.workflow.task_set import Command, Function, TaskSet
from stretto.workflow.yaml_text import FLOAT, INTEGER

__all__ = ["duration_to_value", "workflow_to_mapping", "write_workflow"]

_WIDTH = 100


def workflow_to_mapping(workflow: Workflow) -> dict[str, Any]:
    """Return plain values that describe the workflow completely, fit for JSON.

    The order of the task sets is part of it, so keep the order of the keys.  A callable is written
    as ``module:name``, which can be run again only if that is where it is found.

    Raises
    ------
    WorkflowError
        If an argument of a function is no plain value; its path names it.
    """
    mapping: dict[str, Any] = {"name": workflow.name}
    if workflow.platform is not None:
        mapping["platform"] = workflow.platform
    loop = workflow.open_loop
    mapping["iterations"] = workflow.iterations if loop is None else loop.to_json()
    mapping["task_sets"] = {one.name: _task_set(one) for one in workflow.task_sets}
    mapping["stages"] = [list(stage) for stage in workflow.stages]
    if workflow.channels:
        mapping["channels"] = {one.name: _channel(one) for one in workflow.channels}
    mapping["folder"] = str(workflow.folder)
    return mapping


def write_workflow(workflow: Workflow) -> str:
    """Return the workflow's description as YAML, which reads back as the same workflow.

    Raises
    ------
    WorkflowError
        If an argument of a function is no plain value; its path names it.
    """
    return yaml.dump(
        workflow_to_mapping(workflow),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=_WIDTH,
        default_flow_style=None,
    )


class _Dumper(yaml.SafeDumper):
    """Quotes what either we or a reader of YAML 1.1 would not take for text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        """Write everything out."""
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # PyYAML folds these breaks in single quotes, and escapes them in double ones.
    style = '"' if any(mark in text for mark in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", INTEGER, list("-+0123456789"))


def _task_set(task_set: TaskSet) -> dict[str, Any]:
    count = task_set.open_count
    mapping: dict[str, Any] = {"tasks": task_set.tasks if count is None else count.to_json()}
    mapping.update(_resources(task_set.resources))
    if task_set.duration is not None:
        mapping["duration"] = duration_to_value(task_set.duration)
    mapping.update(_work(task_set))
    if task_set.after:
        mapping["after"] = _after(task_set.after)
    if task_set.with_:
        mapping["with"] = list(task_set.with_)
    if task_set.environment:
        mapping["environment"] = dict(task_set.environment)
    if task_set.working_directory is not None:
        mapping["working_directory"] = task_set.working_directory
    if task_set.timeout_us is not None:
        mapping["timeout"] = _seconds(task_set.timeout_us)
    if task_set.retries:
        mapping["retries"] = task_set.retries
    if task_set.failures != NO_FAILURES:
        mapping["failures"] = task_set.failures.to_value()
    return mapping


def _channel(channel: Channel) -> dict[str, Any]:
    mapping: dict[str, Any] = {"from": list(channel.senders), "to": list(channel.receivers)}
    if channel.every:
        mapping["every"] = True
    return {**mapping, "capacity": channel.capacity}


def _resources(resources: Resources) -> dict[str, Any]:
    mapping: dict[str, Any] = {"cores": resources.cores}
    if resources.gpus_milli:
        whole, rest = divmod(resources.gpus_milli, GPU_MILLI)
        mapping["gpus"] = resources.gpus if rest else whole
    if resources.memory_mib:
        mapping["memory"] = resources.memory_mib
    if resources.named:
        mapping["named"] = dict(resources.named)
    if resources.ranks != 1:
        mapping["ranks"] = resources.ranks
    return mapping


def duration_to_value(duration: Duration) -> Any:
    """Return a duration as a description writes it; `duration_of` undoes it."""
    match duration:
        case Constant(mean_us):
            return _seconds(mean_us)
        case Normal(mean_us, sd_us):
            return {"mean": _seconds(mean_us), "sd": _seconds(sd_us)}
        case Lognormal(mean_us, sd_us):
            return {"lognormal": {"mean": _seconds(mean_us), "sd": _seconds(sd_us)}}
        case Sample(values_us):
            return {"sample": [_seconds(us) for us in values_us]}
        case _:
            assert_never(duration)


def _seconds(us: int) -> float:
    whole, rest = divmod(us, US_PER_SECOND)
    return us_to_seconds(us) if rest else whole


def _work(task_set: TaskSet) -> dict[str, Any]:
    match task_set.work:
        case None:
            return {}
        case Command(words, shell):
            return {"command": words[0], "shell": True} if shell else {"command": list(words)}
        case Function(target, arguments):
            mapping: dict[str, Any] = {"function": _name_of(target)}
            if arguments:
                mapping["arguments"] = _arguments(task_set.name, arguments)
            return mapping
        case _:
            assert_never(task_set.work)


def _name_of(target: str | Callable[..., Any]) -> str:
    """Return ``module:name``; what has no name goes by that of its type."""
    if isinstance(target, str):
        return target
    named: Any = target if hasattr(target, "__qualname__") else type(target)
    # A lambda's name has brackets, which no reference has.
    name = "".join(letter for letter in named.__qualname__ if letter not in "<>")
    return f"{named.__module__ or 'builtins'}:{name}"


def _arguments(name: str, arguments: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    mapping = {key: _plain(value) for key, value in arguments}
    try:
        check_values(mapping)
    except WorkflowError as error:
        raise error.within("task_sets", name, "arguments") from None
    return mapping


def _plain(value: Any) -> Any:
    match value:
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case None | bool():
            return value
        case str() | int() | float():
            # An enumeration or a number of NumPy's is one of these, and written as one.
            base = str if isinstance(value, str) else int if isinstance(value, int) else float
            return base(value)
        case _:
            return value


def _after(dependencies: tuple[Dependency, ...]) -> Any:
    each = [{one.on: _how(one)} for one in dependencies]
    if len({one.on for one in dependencies}) < len(dependencies):
        return each
    return {name: how for one in each for name, how in one.items()}


def _how(dependency: Dependency) -> Any:
    if not dependency.previous and dependency.quorum is None:
        return dependency.pattern.value
    how: dict[str, Any] = {"iteration": "previous"} if dependency.previous else {}
    if dependency.quorum is not None:
        how["quorum"] = dependency.quorum
    elif dependency.pattern is not Pattern.ALL:
        how["pattern"] = dependency.pattern.value
    if dependency.stragglers is not Stragglers.FINISH:
        how["stragglers"] = dependency.stragglers.value
    if dependency.staleness:
        how["staleness"] = dependency.staleness
    return how
