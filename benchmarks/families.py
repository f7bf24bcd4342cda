"""A family of random workflows in the manner of DeepDriveMD: loops of simulation and learning.

Every number is drawn from the ranges below by the seed of the member, so a member is always the
same workflow on the same platform.
"""

from __future__ import annotations

import random
from typing import Any

from stretto import Node, Platform, Resources, TaskSet, Workflow

__all__ = ["hidden", "loop"]

NODES = (2, 16)
CORES = (32, 64, 128)
GPUS = (2, 4, 8)
ITERATIONS = (3, 8)
SIMULATION_S = (60.0, 1200.0)
WAVES = (0.4, 2.5)
"""Simulations, over those that fit at once."""
AGGREGATION = (0.05, 0.5)
TRAINING = (0.1, 1.5)
INFERENCE = (0.05, 0.4)
SAMPLING = (0.3, 1.5)
"""Durations, over that of a simulation; those of the first three log-uniform."""
NOISE = (0.0, 0.15)
"""Standard deviation over mean, by set."""
STALENESS = (0, 0, 1, 1, 2, None)
"""Of the inference that a simulation starts from; `None`: it goes on where the last one ended."""


def loop(member: int) -> tuple[Workflow, Platform]:
    """Return one member of the family and the platform on which it runs."""
    rng = random.Random(member)
    nodes, cores, gpus = rng.randint(*NODES), rng.choice(CORES), rng.choice(GPUS)
    platform = Platform(
        f"{nodes} nodes", tuple(Node(f"n{i}", cores, gpus, 0) for i in range(nodes))
    )
    simulation_s = _log_uniform(rng, *SIMULATION_S)
    on_gpus = rng.random() < 0.75
    shape = (
        Resources(cores=rng.randint(1, cores // gpus), gpus=1)
        if on_gpus
        else Resources(cores=cores // rng.choice((2, 4, 8)))
    )
    at_once = nodes * (gpus if on_gpus else cores // shape.cores)
    simulations = max(2, round(at_once * rng.uniform(*WAVES)))
    staleness = rng.choice(STALENESS)
    sets = [
        TaskSet(
            "simulation",
            tasks=simulations,
            resources=shape,
            duration=_noisy(rng, simulation_s),
            after=_previous(staleness, "simulation"),
        )
    ]
    if rng.random() < 0.5:  # a second method, on cores only, from which the model learns too
        cores_each = cores // rng.choice((2, 4, 8))
        sets.append(
            TaskSet(
                "sampling",
                tasks=max(2, round(nodes * (cores // cores_each) * rng.uniform(*WAVES))),
                resources=Resources(cores=cores_each),
                duration=_noisy(rng, simulation_s * rng.uniform(*SAMPLING)),
                after=_previous(staleness, "sampling"),
            )
        )
    sets += [
        TaskSet(
            "aggregation",
            tasks=max(1, simulations // rng.choice((2, 4, 6, 8, simulations))),
            resources=Resources(cores=rng.randint(1, cores // 2)),
            duration=_noisy(rng, simulation_s * _log_uniform(rng, *AGGREGATION)),
            after={"simulation": "group"},
        ),
        TaskSet(
            "training",
            tasks=rng.choice((1, 1, 1, 4)),
            resources=Resources(cores=rng.randint(1, cores // gpus), gpus=rng.choice((1, 1, gpus))),
            duration=_noisy(rng, simulation_s * _log_uniform(rng, *TRAINING)),
            after=["aggregation", *(one.name for one in sets[1:])],
        ),
        TaskSet(
            "inference",
            tasks=rng.choice((1, simulations // 2, simulations)),
            resources=Resources(cores=rng.randint(1, cores // gpus), gpus=1),
            duration=_noisy(rng, simulation_s * _log_uniform(rng, *INFERENCE)),
            after="training",
        ),
    ]
    if rng.random() < 0.5:  # something that nothing waits for
        sets.append(
            TaskSet(
                "analysis",
                tasks=simulations,
                resources=Resources(cores=rng.randint(1, cores // 4)),
                duration=_noisy(rng, simulation_s * _log_uniform(rng, *INFERENCE)),
                after={"simulation": "each"},
            )
        )
    return Workflow(f"loop-{member}", sets, iterations=rng.randint(*ITERATIONS)), platform


def hidden(workflow: Workflow) -> Workflow:
    """Return a workflow without what it says of durations: nobody knows any."""
    return Workflow(
        workflow.name,
        [
            TaskSet(one.name, tasks=one.tasks, resources=one.resources, after=one.after)
            for one in workflow.task_sets
        ],
        iterations=workflow.iterations,
        stages=workflow.stages,
        platform=workflow.platform,
    )


def _previous(staleness: int | None, itself: str) -> dict[str, Any]:
    if staleness is None:
        return {itself: {"iteration": "previous", "pattern": "each"}}
    return {"inference": {"iteration": "previous", "staleness": staleness}}


def _noisy(rng: random.Random, mean_s: float) -> dict[str, Any]:
    """Return a duration with noise, every fourth time skewed by stragglers."""
    sd = mean_s * rng.uniform(*NOISE)
    spread = {"mean": round(mean_s, 3), "sd": round(sd, 3)}
    return {"lognormal": spread} if rng.random() < 0.25 else spread


def _log_uniform(rng: random.Random, low: float, high: float) -> float:
    return float(low * (high / low) ** rng.random())
