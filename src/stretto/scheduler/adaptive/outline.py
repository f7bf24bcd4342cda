"""What does not change while a run is on, as looking ahead needs it: flat lists, by set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stretto.platform import Node
from stretto.resources import Resources
from stretto.scheduler.adaptive.beliefs import Belief
from stretto.scheduler.gates import Feed, GatedSet, StaleInput
from stretto.units import GPU_MILLI
from stretto.workflow import Constant, Duration, Expansion, Pattern, Sample

__all__ = ["Needs", "Outline", "outline_of"]


class Needs(NamedTuple):
    """What each rank of a task takes of a node, and how many ranks the task has.

    Parameters
    ----------
    amounts
        Numbers of resources and how much of each; those of which nothing is needed are left out.
        A share of a GPU is rounded up to what so many of them leave of a whole one.
    """

    ranks: int
    amounts: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """The sets of a run and what leads from one to another.

    Parameters
    ----------
    names
        By kind: the name of the task set.
    priors
        By kind: what the description says of durations, if anything.
    sets
        Names of the sets in their iterations.
    number
        By name of a set in its iteration: its number.
    kinds, iterations, stages, counts, shapes
        By set: its kind, its iteration, its place in sequential execution, its number of tasks,
        the number of its shape.
    after
        By set: the sets that wait for it, in whatever way.
    opens, producers, feeds, fed_by, stale_inputs
        By set: the sets whose gates it opens and those that open its own; single edges to others
        and from others; input whose age is decided late.
    gangs
        By set: the sets that must run at once with it, itself included; empty if none.
    needs
        By shape.
    larger
        By shape: for each shape whether it takes more of anything.
    upstream
        The sets, each after all that wait for it.
    in_stage, in_iteration
        The sets of each stage and of each iteration.
    nodes, totals
        What each node has of each resource, and all nodes together.  The resources are cores,
        thousandths of GPUs, MiB of memory, and those that have names.
    """

    names: tuple[str, ...]
    priors: tuple[Belief | None, ...]
    sets: tuple[str, ...]
    number: Mapping[str, int]
    kinds: tuple[int, ...]
    iterations: tuple[int, ...]
    stages: tuple[int, ...]
    counts: tuple[int, ...]
    shapes: tuple[int, ...]
    after: tuple[tuple[int, ...], ...]
    opens: tuple[tuple[int, ...], ...]
    producers: tuple[tuple[int, ...], ...]
    feeds: tuple[tuple[Feed, ...], ...]
    fed_by: tuple[tuple[tuple[int, Pattern], ...], ...]
    stale_inputs: tuple[tuple[StaleInput, ...], ...]
    gangs: tuple[tuple[int, ...], ...]
    needs: tuple[Needs, ...]
    larger: tuple[tuple[bool, ...], ...]
    upstream: tuple[int, ...]
    in_stage: tuple[tuple[int, ...], ...]
    in_iteration: tuple[tuple[int, ...], ...]
    nodes: tuple[tuple[int, ...], ...]
    totals: tuple[int, ...]


def outline_of(expansion: Expansion, sets: Sequence[GatedSet], nodes: Sequence[Node]) -> Outline:
    """Return the outline of a run of these sets, which are the instances of the expansion."""
    workflow = expansion.workflow
    kinds = len(workflow.task_sets)
    stages = [0] * len(sets)
    for number, stage in enumerate(expansion.stages):
        for index in stage:
            stages[index] = number
    producers: list[list[int]] = [[] for _ in sets]
    for index, one in enumerate(sets):
        for consumer in one.opens:
            producers[consumer].append(index)
    after = tuple(
        (
            *one.opens,
            *(feed.consumer for feed in one.feeds),
            *(threshold.consumer for threshold in one.thresholds),
        )
        for one in sets
    )
    shapes = list(dict.fromkeys(one.shape for one in sets))
    named = list(dict.fromkeys(name for one in nodes for name, _ in one.named))
    needs = tuple(_needs(one, named) for one in shapes)
    there = tuple(_there(one, named) for one in nodes)
    return Outline(
        names=tuple(one.name for one in workflow.task_sets),
        priors=tuple(_prior(one.duration) for one in workflow.task_sets),
        sets=tuple(one.name for one in sets),
        number={one.name: index for index, one in enumerate(sets)},
        kinds=tuple(index % kinds for index in range(len(sets))),
        iterations=tuple(one.iteration for one in expansion.instances),
        stages=tuple(stages),
        counts=tuple(one.count for one in sets),
        shapes=tuple(shapes.index(one.shape) for one in sets),
        after=after,
        opens=tuple(one.opens for one in sets),
        producers=tuple(map(tuple, producers)),
        feeds=tuple(one.feeds for one in sets),
        fed_by=tuple(one.fed_by for one in sets),
        stale_inputs=tuple(one.stale_inputs for one in sets),
        gangs=tuple(one.gang for one in sets),
        needs=needs,
        larger=tuple(tuple(_larger(other, one) for other in needs) for one in needs),
        upstream=_upstream(after),
        in_stage=expansion.stages,
        in_iteration=tuple(
            tuple(range(turn * kinds, (turn + 1) * kinds)) for turn in range(workflow.iterations)
        ),
        nodes=there,
        totals=tuple(map(sum, zip(*there, strict=True))),
    )


def _upstream(after: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the sets, each after all that wait for it."""
    waited_for = [0] * len(after)
    for consumers in after:
        for consumer in consumers:
            waited_for[consumer] += 1
    order = [index for index, number in enumerate(waited_for) if not number]
    for index in order:
        for consumer in after[index]:
            waited_for[consumer] -= 1
            if not waited_for[consumer]:
                order.append(consumer)
    return tuple(reversed(order))


def _needs(shape: Resources, named: Sequence[str]) -> Needs:
    gpus_milli = shape.gpus_milli
    if 0 < gpus_milli < GPU_MILLI:
        gpus_milli = -(-GPU_MILLI // (GPU_MILLI // gpus_milli))
    built_in = (shape.cores, gpus_milli, shape.memory_mib)
    amounts = [(number, amount) for number, amount in enumerate(built_in) if amount]
    amounts += [(len(built_in) + named.index(name), amount) for name, amount in shape.named]
    return Needs(shape.ranks, tuple(amounts))


def _larger(one: Needs, other: Needs) -> bool:
    """Return whether a rank of one shape takes more of something than one of another."""
    there = dict(other.amounts)
    return any(amount > there.get(number, 0) for number, amount in one.amounts)


def _there(node: Node, named: Sequence[str]) -> tuple[int, ...]:
    own = dict(node.named)
    return (
        node.cores,
        node.gpus * GPU_MILLI,
        node.memory_mib,
        *(own.get(name, 0) for name in named),
    )


def _prior(duration: Duration | None) -> Belief | None:
    match duration:
        case None:
            return None
        case Constant():
            return Belief(duration.mean_us, 0)
        case Sample():
            mean_us, values_us = duration.mean_us, duration.values_us
            variance = sum((one - mean_us) ** 2 for one in values_us) / len(values_us)
            return Belief(mean_us, round(variance**0.5))
        case _:
            return Belief(duration.mean_us, duration.sd_us)
