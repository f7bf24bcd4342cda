"""Resources seen as machines, on which every task is a number of equally long jobs.

Let a platform have ``R`` units of something, and let every task hold ``r`` of them while it runs.
At each moment what runs holds at most ``R``; so a task that starts finds ``r`` units that nobody
holds, and can be given those and no others until its end.  Each unit is then a *machine* that does
one job after another, and a task is ``r`` jobs of its own length on as many machines.  Whatever is
true of jobs on equal machines is true of the tasks: that is all that the bounds use.

Units are seen in two ways.

*Amounts*: cores, thousandths of GPUs, MiB of memory, and amounts of named resources, of all nodes
together.

*Slots*: places for tasks of one shape, as many as the empty nodes hold of it (`packing.room`, which
counts node by node).  A task of another shape takes as many slots as would lie in what it holds; it
is no harder to place than these, so tasks that run together never take more slots than there are.
Two tasks that each need more than half of a node's memory exclude each other there, which no sum
over nodes would tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from math import gcd
from typing import NamedTuple

from stretto.model.packing import NodeGroup, empty_nodes, room
from stretto.platform import Platform
from stretto.resources import Resources
from stretto.units import GPU_MILLI
from stretto.workflow import TaskSet, Workflow

__all__ = ["MOST_SHAPES", "Kind", "Machines", "amounts", "areas", "machines_of", "mean_us"]

MOST_SHAPES = 16
"""Shapes whose slots are looked at: those that would keep the platform busy longest."""


class Kind(NamedTuple):
    """A kind of resource: how much the platform has, and what a rank of a shape needs of it."""

    name: str
    capacity: int
    need: Callable[[Resources], int]


class Machines(NamedTuple):
    """Equal machines, and on how many of them a task of each set does a job.

    `kind` is the resource that they are units of; for slots, the one that limits their number.
    """

    kind: str
    number: int
    jobs: tuple[int, ...]


def amounts(platform: Platform) -> tuple[Kind, ...]:
    """Return the kinds of resources that the nodes have, in a fixed order."""
    return (
        Kind("cores", platform.cores, lambda shape: shape.cores),
        Kind("gpus", platform.gpus * GPU_MILLI, lambda shape: shape.gpus_milli),
        Kind(
            "memory",
            sum(node.memory_mib for node in platform.nodes),
            lambda shape: shape.memory_mib,
        ),
        *(
            Kind(name, platform.named_total(name), partial(_named, name))
            for name in sorted({name for node in platform.nodes for name, _ in node.named})
        ),
    )


def _named(name: str, shape: Resources) -> int:
    return dict(shape.named).get(name, 0)


def areas(workflow: Workflow, platform: Platform) -> tuple[tuple[str, Fraction], ...]:
    """Return for each kind how long the platform needs for what one iteration holds of it.

    Stragglers that may be cancelled are not counted.

    Parameters
    ----------
    workflow
        With the duration of every set known; each task fits.
    platform
        Where it runs; a kind that it has nothing of needs no time.
    """
    return tuple(
        (
            kind.name,
            Fraction(
                sum(
                    tasks * mean_us(one) * one.resources.ranks * kind.need(one.resources)
                    for one, tasks in zip(workflow.task_sets, workflow.least_tasks, strict=True)
                ),
                max(kind.capacity, 1),
            ),
        )
        for kind in amounts(platform)
    )


def mean_us(task_set: TaskSet) -> int:
    """Return the mean duration of a task, which must be known."""
    assert task_set.duration is not None, "there are no bounds without durations"
    return task_set.duration.mean_us


def machines_of(workflow: Workflow, platform: Platform) -> tuple[Machines, ...]:
    """Return the machines as which the platform can be seen, amounts first.

    Parameters
    ----------
    workflow
        With the duration of every set known; each task fits.
    platform
        Where it runs.

    Notes
    -----
    Of machines of which there are equally many, those are left out on which no set has more jobs
    than on others.
    """
    shapes = [task_set.resources for task_set in workflow.task_sets]
    kinds = amounts(platform)
    found = [
        _reduced(kind.name, kind.capacity, [kind.need(one) * one.ranks for one in shapes])
        for kind in kinds
    ]
    nodes = empty_nodes(platform)
    rooms = {shape: room(nodes, shape) for shape in dict.fromkeys(shapes)}
    held = {
        (other, shape): room((_as_nodes(other),), shape)
        for shape in _busiest(workflow, rooms)
        for other in rooms
    }
    found += [
        _reduced(_limit(kinds, shape), rooms[shape], [held[other, shape] for other in shapes])
        for shape in dict.fromkeys(shape for _, shape in held)
    ]
    kept: list[Machines] = []
    for one in found:
        if any(one.jobs) and not any(_dominates(other, one) for other in kept):
            kept = [other for other in kept if not _dominates(one, other)]
            kept.append(one)
    return tuple(kept)


def _reduced(kind: str, number: int, jobs: Sequence[int]) -> Machines:
    """Return machines that are as large as the jobs allow: whole multiples need no smaller ones."""
    unit = gcd(*jobs) or 1
    return Machines(kind, number // unit, tuple(one // unit for one in jobs))


def _busiest(workflow: Workflow, rooms: dict[Resources, int]) -> list[Resources]:
    """Return the shapes whose own tasks would keep their slots busy longest."""
    busy_us = dict.fromkeys(rooms, Fraction(0))
    for task_set in workflow.task_sets:
        shape = task_set.resources
        busy_us[shape] += Fraction(task_set.tasks * mean_us(task_set), rooms[shape])
    return sorted(rooms, key=lambda shape: (-busy_us[shape], shape))[:MOST_SHAPES]


def _as_nodes(shape: Resources) -> NodeGroup:
    """Return what a task holds as nodes of its own, one a rank."""
    whole, share = divmod(shape.gpus_milli, GPU_MILLI)
    gpus_milli = (GPU_MILLI,) * whole if whole else (share,) * (share > 0)
    return NodeGroup(shape.ranks, shape.cores, shape.memory_mib, gpus_milli, shape.named)


def _limit(kinds: Sequence[Kind], shape: Resources) -> str:
    """Return the resource of which a shape needs the largest part."""

    def part(kind: Kind) -> Fraction:
        need = kind.need(shape)
        if kind.name == "gpus" and 0 < need < GPU_MILLI:
            # What is left of a GPU is of no use to tasks of this shape.
            need = GPU_MILLI // (GPU_MILLI // need)
        return Fraction(need, max(kind.capacity, 1))

    return max(kinds, key=part).name


def _dominates(one: Machines, other: Machines) -> bool:
    return one.number == other.number and all(
        mine >= theirs for mine, theirs in zip(one.jobs, other.jobs, strict=True)
    )
