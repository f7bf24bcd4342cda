"""Schedules of projects: whether they are allowed, and the shortest of all by trying each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations, product

import numpy as np

from stretto.optimizer.project import Project, project_of
from stretto.platform import Node, Platform
from stretto.resources import Resources
from stretto.scheduler import Mode, gated_sets
from stretto.units import GPU_MILLI
from stretto.workflow import Constant, Pattern, TaskSet, Workflow, block, expand

# Keeping room for "wide" is best, and no list schedule does.
KEEPS_ROOM = Workflow(
    "keeps_room",
    [
        TaskSet("head", duration=1),
        TaskSet("side", duration=2),
        TaskSet("wide", resources=Resources(cores=2), duration=9, after="head"),
        TaskSet("tail", duration=9, after="wide"),
        TaskSet("filler", duration=10, after="head"),
    ],
)
PAIR = Platform("pair", (Node("n", 2, 0, 0),))


def at_means(workflow: Workflow) -> Workflow:
    """Return the workflow with the mean of every duration."""
    return workflow.with_durations(
        {one.name: Constant(one.duration.mean_us) for one in workflow.task_sets if one.duration}
    )


def project(workflow: Workflow, platform: Platform, mode: Mode = Mode.TASK_LEVEL) -> Project:
    return project_of(gated_sets(expand(workflow), mode), platform)


def assert_allowed(project: Project, starts: Sequence[int]) -> None:
    """Assert that a schedule keeps precedence and capacities; `starts` are of all activities."""
    start = np.asarray(starts)
    end = start + project.durations
    early, late = project.edges
    assert (end[early] <= start[late]).all()
    for instant in np.unique(start):
        running = (start <= instant) & (instant < end)
        assert (project.demands[running].sum(axis=0) <= project.capacities).all()


def with_barriers(project: Project, starts: Sequence[int]) -> list[int]:
    """Return the starts of the tasks, and those of the barriers that follow from them."""
    found = [*starts, *[0] * (len(project.durations) - project.n_tasks)]
    for _ in range(2):  # the barrier at an end leads to the barrier at a beginning
        for early, late in project.edges.T.tolist():
            if late >= project.n_tasks:
                found[late] = max(found[late], found[early] + int(project.durations[early]))
    return found


def shortest_us(workflow: Workflow, platform: Platform) -> int:
    """Return the shortest makespan on the nodes, of few tasks of one rank each, in microseconds.

    Every choice of nodes and GPUs with every order of the tasks, each placed as early as it fits:
    some shortest schedule is among them.
    """
    before = _before(workflow)
    tasks = [one for one in expand(workflow).instances for _ in range(one.count)]
    durations = [one.task_set.duration.mean_us for one in tasks if one.task_set.duration]
    places = [list(_places(one.task_set.resources, platform)) for one in tasks]
    room = _room(platform)
    orders = [
        order
        for order in permutations(range(len(tasks)))
        if all(order.index(one) < order.index(task) for task in order for one in before[task])
    ]
    return min(
        _makespan(order, durations, before, needs, room)
        for needs in product(*places)
        for order in orders
    )


Thing = tuple[str, int, int | str]
"""Something that can run short: its kind, its node, and which it is there."""


def _room(platform: Platform) -> dict[Thing, int]:
    room: dict[Thing, int] = {}
    for number, node in enumerate(platform.nodes):
        room["cores", number, 0] = node.cores
        room["memory", number, 0] = node.memory_mib
        room.update({("gpu", number, gpu): GPU_MILLI for gpu in range(node.gpus)})
        room.update({("named", number, name): amount for name, amount in node.named})
    return room


def _places(shape: Resources, platform: Platform) -> Iterator[dict[Thing, int]]:
    """Yield what a task may hold."""
    whole, share = divmod(shape.gpus_milli, GPU_MILLI)
    for number, node in enumerate(platform.nodes):
        for gpus in combinations(range(node.gpus), whole + (share > 0)):
            needs: dict[Thing, int] = {
                ("cores", number, 0): shape.cores,
                ("memory", number, 0): shape.memory_mib,
            }
            needs.update({("gpu", number, gpu): share or GPU_MILLI for gpu in gpus})
            needs.update({("named", number, name): amount for name, amount in shape.named})
            room = _room(platform)
            if all(amount <= room.get(thing, 0) for thing, amount in needs.items()):
                yield needs


def _before(workflow: Workflow) -> list[list[int]]:
    """Return by task those that it waits for, straight from the patterns."""
    instances = expand(workflow).instances
    before: list[list[int]] = []
    for one in instances:
        for number in range(one.count):
            waits: list[int] = []
            for edge in one.edges:
                if edge.gate is None:
                    continue
                producer = instances[edge.gate]
                match edge.pattern:
                    case Pattern.ALL:
                        numbers = range(producer.count)
                    case Pattern.EACH:
                        numbers = range(number, number + 1)
                    case Pattern.GROUP:
                        numbers = block(number, one.count, producer.count)
                waits += [producer.first_task + each for each in numbers]
            before.append(waits)
    return before


def _makespan(
    order: Sequence[int],
    durations: Sequence[int],
    before: Sequence[Sequence[int]],
    needs: Sequence[dict[Thing, int]],
    room: dict[Thing, int],
) -> int:
    ends: dict[int, int] = {}
    for task in order:
        soonest = max((ends[one] for one in before[task]), default=0)
        for start in sorted({soonest, *(end for end in ends.values() if end > soonest)}):
            if _fits(task, start, durations, needs, room, ends):
                ends[task] = start + durations[task]
                break
    return max(ends.values())


def _fits(
    task: int,
    start: int,
    durations: Sequence[int],
    needs: Sequence[dict[Thing, int]],
    room: dict[Thing, int],
    ends: dict[int, int],
) -> bool:
    end = start + durations[task]
    instants = [start, *(ends[one] - durations[one] for one in ends)]
    for instant in (one for one in instants if start <= one < end):
        running = [one for one in ends if ends[one] - durations[one] <= instant < ends[one]]
        for thing, amount in needs[task].items():
            if amount + sum(needs[one].get(thing, 0) for one in running) > room[thing]:
                return False
    return True
