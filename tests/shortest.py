"""The shortest schedule there is, found by trying all: an oracle for small workflows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stretto.platform import Platform
from stretto.units import GPU_MILLI
from stretto.workflow import Pattern, Workflow, block, expand

Task = tuple[int, tuple[int, int, int], tuple[int, ...]]
"""Duration; cores, GPUs and memory; the tasks that it waits for."""
Held = tuple[int, int, tuple[int, int, int]]
"""From when until when, and how much."""


def shortest_us(workflow: Workflow, platform: Platform) -> int:
    """Return the makespan of the best schedule, each task waiting for its own inputs only.

    One of the schedules that start each task as early as it can, in some order of the tasks and on
    some node each, is the shortest; all are tried.  Tasks have one rank and whole GPUs.
    """
    tasks = list(_tasks(workflow))
    nodes = [(node.cores, node.gpus, node.memory_mib) for node in platform.nodes]
    behind = [0] * len(tasks)
    for task in range(len(tasks) - 1, -1, -1):
        for before in tasks[task][2]:
            behind[before] = max(behind[before], behind[task] + tasks[task][0])
    best = sum(duration for duration, _, _ in tasks)
    ends: dict[int, int] = {}
    held: list[list[Held]] = [[] for _ in nodes]

    def place() -> None:
        nonlocal best
        if len(ends) == len(tasks):
            best = min(best, max(ends.values()))
            return
        alike = set()
        for task, (duration, need, waits) in enumerate(tasks):
            if task in ends or any(one not in ends for one in waits):
                continue
            ready = max((ends[one] for one in waits), default=0)
            if (duration, need, behind[task], ready, _feeds(tasks, task)) in alike:
                continue
            alike.add((duration, need, behind[task], ready, _feeds(tasks, task)))
            for node, room in enumerate(nodes):
                start = _earliest(held[node], room, ready, duration, need)
                if start is None or start + duration + behind[task] >= best:
                    continue
                ends[task] = start + duration
                held[node].append((start, start + duration, need))
                place()
                held[node].pop()
                del ends[task]

    place()
    return best


def _feeds(tasks: Sequence[Task], task: int) -> tuple[int, ...]:
    return tuple(one for one, (_, _, waits) in enumerate(tasks) if task in waits)


def _earliest(
    held: Sequence[Held],
    room: tuple[int, int, int],
    ready: int,
    duration: int,
    need: tuple[int, int, int],
) -> int | None:
    if any(one > there for one, there in zip(need, room, strict=True)):
        return None
    for start in sorted({ready, *(end for _, end, _ in held if end > ready)}):
        # What is held is most at some start, or at our own.
        moments = [start, *(one for one, _, _ in held if start < one < start + duration)]
        if all(
            one + sum(more[kind] for since, until, more in held if since <= at < until) <= there
            for at in moments
            for kind, (one, there) in enumerate(zip(need, room, strict=True))
        ):
            return start
    raise AssertionError("an empty node has room")


def _tasks(workflow: Workflow) -> Iterator[Task]:
    expansion = expand(workflow)
    for instance in expansion.instances:
        shape = instance.task_set.resources
        assert shape.ranks == 1
        assert instance.task_set.duration is not None
        need = (shape.cores, shape.gpus_milli // GPU_MILLI, shape.memory_mib)
        for task in range(instance.count):
            waits: list[int] = []
            for edge in instance.edges:
                if edge.gate is None:
                    continue
                producer = expansion.instances[edge.gate]
                match edge.pattern:
                    case Pattern.ALL:
                        inputs: Sequence[int] = range(producer.count)
                    case Pattern.EACH:
                        inputs = [task]
                    case Pattern.GROUP:
                        inputs = block(task, instance.count, producer.count)
                waits += [producer.first_task + one for one in inputs]
            yield instance.task_set.duration.mean_us, need, tuple(waits)
