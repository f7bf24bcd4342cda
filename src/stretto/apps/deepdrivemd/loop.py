"""The loop: a configuration as a workflow.

    simulation → aggregation → training → inference → simulation of the next iteration

Each aggregation waits for its own block of simulations, training for all of them and for the
training before it, whose model it goes on from.  Simulations wait for the inference before them,
or, with staleness, for an older one: then they run while the model is made.  Without a model there
is no training.  As a stream all of them run at once (see `streaming`), and for the engine the loop
turns once.
"""

from __future__ import annotations

from typing import Any

from stretto import Dependency, Pattern, Resources, TaskSet, Workflow, WorkflowError
from stretto.apps.deepdrivemd.arguments import literal
from stretto.apps.deepdrivemd.configuring.configuration import SECTION_OF, Configuration
from stretto.apps.deepdrivemd.configuring.stages import EnsembleNeeds, Needs, Stage
from stretto.apps.deepdrivemd.streaming import streaming_workflow

__all__ = ["workflow_of"]

_HERE = "stretto.apps.deepdrivemd"
_SHIPPED = {
    "simulation": f"{_HERE}.stages:simulate",
    "aggregation": f"{_HERE}.stages:aggregate",
    "training": f"{_HERE}.stages:train",
    "inference": f"{_HERE}.stages:infer",
}


def workflow_of(configuration: Configuration) -> Workflow:
    """Return the workflow that a configuration describes.

    Raises
    ------
    WorkflowError
        If the needs of a stage or the loop cannot be used; its path are keys of the configuration.
    """
    loop = configuration.loop
    if loop.form == "stream":
        return _stream(configuration)
    turns: Any = loop.iterations
    if configuration.inference.until is not None:
        turns = {"at_most": loop.iterations, "until": "inference"}
        if loop.expected is not None:
            turns["expected"] = loop.expected
    sets = [_task_set(configuration, name) for name in configuration.stages]
    try:
        return Workflow(
            loop.name,
            sets,
            iterations=turns,
            stages=[[one.name] for one in sets],
            folder=configuration.folder,
        )
    except WorkflowError as error:
        raise error.within("loop") from None


def _stream(configuration: Configuration) -> Workflow:
    loop, stages = configuration.loop, configuration.stages
    needs: dict[str, dict[str, Any]] = {}
    for name, stage in stages.items():
        own = stage.resources
        needs[name] = {
            "resources": Resources(cores=own.cores, gpus=own.gpus, memory=own.memory),
            "duration": own.duration,
            "timeout": own.timeout,
            "retries": own.retries,
            "environment": stage.environment or None,
        }
    try:
        return streaming_workflow(
            loop.name,
            simulations=configuration.simulation.resources.tasks,
            blocks=configuration.aggregation.resources.tasks,
            iterations=loop.iterations,
            first=loop.first,
            ahead=1 + loop.staleness,
            settings={name: stage.settings for name, stage in stages.items()},
            needs=needs,
            folder=configuration.folder,
        )
    except WorkflowError as error:
        raise error.within("loop") from None


def _task_set(configuration: Configuration, name: str) -> TaskSet:
    stage = configuration.stages[name]
    needs = stage.resources
    try:
        return TaskSet(
            name,
            tasks=_tasks(needs),
            resources=Resources(cores=needs.cores, gpus=needs.gpus, memory=needs.memory),
            duration=needs.duration,
            function=_function(stage, name),
            arguments=_arguments(configuration, name),
            after=_after(configuration, name),
            environment=stage.environment or None,
            timeout=needs.timeout,
            retries=needs.retries,
            failures=needs.failures if isinstance(needs, EnsembleNeeds) else 0,
        )
    except WorkflowError as error:
        inside = () if error.path[:1] in (("environment",), ("arguments",)) else ("resources",)
        raise error.within(SECTION_OF[name], *inside) from None


def _tasks(needs: Needs) -> int:
    return needs.tasks if isinstance(needs, EnsembleNeeds) else 1


def _function(stage: Stage, name: str) -> str:
    if stage.command is not None:
        return f"{_HERE}.replacing:execute"
    return _SHIPPED[name] if stage.function is None else f"{_HERE}.replacing:call"


def _after(configuration: Configuration, name: str) -> list[Dependency]:
    match name:
        case "simulation":
            staleness = configuration.loop.staleness
            return [Dependency("inference", previous=True, staleness=staleness)]
        case "aggregation":
            return [Dependency("simulation", Pattern.GROUP)]
        case "training":
            return [Dependency("aggregation"), Dependency("training", previous=True)]
        case _:
            return [Dependency("training" if configuration.learns else "aggregation")]


def _arguments(configuration: Configuration, name: str) -> dict[str, Any]:
    stage = configuration.stages[name]
    numbers = {
        "simulations": configuration.simulation.resources.tasks,
        "blocks": configuration.aggregation.resources.tasks,
    }
    arguments: dict[str, Any] = {
        "settings": stage.settings,
        "first": configuration.loop.first,
    }
    if not stage.shipped:
        arguments |= {"stage": name, **numbers}
        if stage.command is not None:
            del arguments["settings"]
            arguments |= {"words": list(stage.command), "folder": configuration.folder}
        else:
            arguments |= {"function": stage.function, "more": stage.arguments}
        return dict(literal(arguments))
    if name == "aggregation":
        arguments |= numbers
    if name in ("training", "inference"):
        aggregation = configuration.aggregation
        arguments |= {
            **numbers,
            # A lost block is made again only by who knows how.
            "aggregation": aggregation.settings if aggregation.shipped else None,
        }
    if name == "training":
        arguments["retries"] = stage.resources.retries
    return dict(literal(arguments))
