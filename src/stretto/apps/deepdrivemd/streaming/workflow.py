"""The workflow of a stream: one group of sets that run at once, and their channels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stretto import Channel, TaskSet, Workflow
from stretto.apps.deepdrivemd.aggregating.settings import AggregationSettings
from stretto.apps.deepdrivemd.arguments import count, literal
from stretto.apps.deepdrivemd.choosing.settings import InferenceSettings
from stretto.apps.deepdrivemd.learning.settings import ModelSettings
from stretto.apps.deepdrivemd.settings import Section
from stretto.apps.deepdrivemd.simulating.settings import SimulationSettings

__all__ = ["streaming_workflow"]

_HERE = "stretto.apps.deepdrivemd.streaming"
_SECTIONS: Mapping[str, tuple[str, type[Section]]] = {
    "simulation": ("simulation", SimulationSettings),
    "aggregation": ("aggregation", AggregationSettings),
    "training": ("model", ModelSettings),
    "inference": ("inference", InferenceSettings),
}


_MOST_CAPACITY = 1_000_000
"""The most that a channel may have."""


def streaming_workflow(
    name: str,
    *,
    simulations: int,
    iterations: int,
    settings: Mapping[str, Mapping[str, Any]],
    needs: Mapping[str, Mapping[str, Any]] | None = None,
    blocks: int = 1,
    ahead: int = 2,
    first: int = 0,
    folder: str | Path = ".",
) -> Workflow:
    """Return the loop as a stream.

    Parameters
    ----------
    name
        Of the workflow.
    simulations, iterations
        Tasks that simulate, and how many simulations each of them runs.
    settings
        By task set (simulation, aggregation, training, inference) its section; there is no training
        where inference's strategy needs no model.
    needs
        By task set further arguments of its `TaskSet`, for a task that lives as long as the stream:
        resources, retries and the like, and another ``function`` that takes the same arguments.
    blocks
        Tasks that aggregate.
    ahead
        About how many iterations of frames may wait for who learns from them; a simulation that is
        farther ahead waits.
    first
        Iterations of the runs that this one continues.
    folder
        Of the workflow.

    Raises
    ------
    WorkflowError
        If a value cannot be used.
    """
    sections = {
        one: kind.of(settings.get(one, {}), section=section)
        for one, (section, kind) in _SECTIONS.items()
    }
    simulation, aggregation = sections["simulation"], sections["aggregation"]
    inference = sections["inference"]
    assert isinstance(simulation, SimulationSettings)
    assert isinstance(aggregation, AggregationSettings)
    assert isinstance(inference, InferenceSettings)
    names = [one for one in _SECTIONS if one != "training" or inference.needs_model]
    numbers = {
        "simulations": count("simulations", simulations),
        "blocks": count("blocks", blocks),
        "iterations": count("iterations", iterations),
        "first": count("first", first, least=0),
        "frames": simulations * -(-simulation.frames // aggregation.every),
    }
    count("ahead", ahead)
    sets = []
    for one in names:
        arguments: dict[str, Any] = {"settings": sections[one].model_dump(mode="json")}
        arguments |= {key: numbers[key] for key in _TAKEN[one]}
        given = (needs or {}).get(one, {})
        if one == "training":
            arguments["retries"] = given.get("retries", 0)
        stage: dict[str, Any] = {
            "tasks": {"simulation": simulations, "aggregation": blocks}.get(one, 1),
            "function": f"{_HERE}:{_FUNCTIONS[one]}",
            "arguments": literal(arguments),
            "with_": () if one == "simulation" else "simulation",
        }
        sets.append(TaskSet(one, **stage | dict(given)))
    # Of a simulation.  The last one may be short, and so may one that an attempt broke off.
    portions = simulation.frames // simulation.checkpoint_every + 2
    channels = [
        Channel("frames", "simulation", "aggregation", every=True, capacity=2 * simulations),
        Channel("blocks", "aggregation", names[2:], capacity=ahead * portions * blocks),
    ]
    # At most one a portion each: there is always room.
    most = min(simulations * iterations * portions + 1, _MOST_CAPACITY)
    if inference.needs_model:
        channels.append(Channel("models", "training", "inference", capacity=most))
    channels.append(Channel("picks", "inference", "simulation", every=True, capacity=most))
    return Workflow(name, sets, channels=channels, folder=folder)


_FUNCTIONS = {
    "simulation": "stream_simulate",
    "aggregation": "stream_aggregate",
    "training": "stream_train",
    "inference": "stream_infer",
}
_TAKEN = {
    "simulation": ("iterations", "first"),
    "aggregation": ("simulations", "blocks"),
    "training": ("blocks", "iterations", "first"),
    "inference": ("simulations", "frames", "blocks", "iterations", "first"),
}
