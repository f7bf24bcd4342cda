"""From a workflow and a mode to gates: what must finish before what may start.

The mode is nothing but the way in which dependencies become gates:

============  ====================================================================
sequential    a stage waits for the whole stage before it (Eq. 2 of the paper)
asynchronous  a set waits for the whole of each set it depends on (Eqs. 3, 4)
task-level    a task waits for its own inputs only, by the dependency's pattern
============  ====================================================================

So the state machine knows no modes.  There are two kinds of gate: a *set gate* opens for all tasks
of a set at once, when another set is complete, or so many of its tasks have finished (a
*threshold*); a *feed* leads from single tasks to single tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from stretto.resources import Resources
from stretto.scheduler.prunes import Prunes, prunes_of
from stretto.workflow import (
    NO_FAILURES,
    Budget,
    Edge,
    Expansion,
    Function,
    Pattern,
    Quorum,
    SetInstance,
    TaskSet,
    Workflow,
)

__all__ = ["Feed", "GatedSet", "Mode", "PartInput", "StaleInput", "Threshold", "gated_sets"]


class Mode(StrEnum):
    """How much may overlap."""

    SEQUENTIAL = "sequential"
    ASYNCHRONOUS = "asynchronous"
    TASK_LEVEL = "task-level"
    ADAPTIVE = "adaptive"

    @property
    def by_task(self) -> bool:
        """Whether tasks wait for single tasks."""
        return self in (Mode.TASK_LEVEL, Mode.ADAPTIVE)


@dataclass(frozen=True, slots=True)
class Feed:
    """Single tasks of a set feed single tasks of `consumer`, by `pattern` (each or group)."""

    consumer: int
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Threshold:
    """A gate of `consumer` opens when so many tasks of a set have finished."""

    consumer: int
    enough: Quorum


@dataclass(frozen=True, slots=True)
class StaleInput:
    """Input that may be older than the previous iteration.

    `candidates` are the instances that may serve, newest first, with their iterations; `enough` is
    how many of their tasks serve, for a quorum.
    """

    on: str
    pattern: Pattern
    candidates: tuple[tuple[int, int], ...]
    enough: Quorum | None = None


@dataclass(frozen=True, slots=True)
class PartInput:
    """Input by quorum: which tasks of it had finished is recorded when a task is launched.

    `candidates` are the instances that may serve, newest first, with their iterations.
    """

    on: str
    candidates: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class GatedSet:
    """A set of alike tasks, as the scheduler sees it.

    Parameters
    ----------
    name
        For people.
    shape
        Needs of each task.
    first_task, count
        Serial numbers: `first_task` up to `first_task + count`.
    retries
        Failures of a task that are forgiven.
    gates
        Number of set gates that must open.
    opens
        Sets that have a gate which opens when this one is complete, once for each gate.
    feeds
        Task-level edges to other sets.
    fed_by
        Task-level edges from other sets: producing set and pattern.
    flows
        Single tasks of other sets that cannot do without the results of single tasks of this one,
        whatever the mode waits for.  Input that may be stale they can do without.
    thresholds
        Gates that open when so many tasks of this set have finished.
    stale_inputs
        Input whose age is decided when a task is launched.
    part_inputs
        Input of which only a part may be there when a task is launched.
    prunes
        When which tasks are not wanted anymore; `None` if all are.
    pool
        Kind of work whose share it holds its slots from, if there is one (see `shares`).
    budget
        How many tasks may fail for good and the set still counts as complete.
    expected_us
        Believed duration of a task; `None` if nobody knows.
    gang
        Sets that must run at once with this one, itself included, ascending; empty if none.
    bundles
        Whether several short tasks may be launched together to run one after another.
    """

    name: str
    shape: Resources
    first_task: int
    count: int
    retries: int = 0
    gates: int = 0
    opens: tuple[int, ...] = ()
    feeds: tuple[Feed, ...] = ()
    fed_by: tuple[tuple[int, Pattern], ...] = ()
    stale_inputs: tuple[StaleInput, ...] = ()
    expected_us: int | None = None
    gang: tuple[int, ...] = ()
    bundles: bool = False
    flows: tuple[Feed, ...] = ()
    budget: Budget = NO_FAILURES
    thresholds: tuple[Threshold, ...] = ()
    part_inputs: tuple[PartInput, ...] = ()
    prunes: Prunes | None = None
    pool: str | None = None


def gated_sets(expansion: Expansion, mode: Mode) -> tuple[GatedSet, ...]:
    """Return the sets of an unrolled workflow with the gates of `mode`."""
    set_gates = [
        list(_set_gates(instance, mode)) if mode is not Mode.SEQUENTIAL else []
        for instance in expansion.instances
    ]
    if mode is Mode.SEQUENTIAL:
        for before, after in zip(expansion.stages, expansion.stages[1:], strict=False):
            for consumer in after:
                set_gates[consumer] += before
    return _with_open_ends(expansion, mode, _joined(expansion, mode, set_gates))


def _set_gates(instance: SetInstance, mode: Mode) -> Iterable[int]:
    for edge in instance.edges:
        whole = edge.pattern is Pattern.ALL or mode is Mode.ASYNCHRONOUS
        if edge.gate is not None and whole:
            yield edge.gate


def _single(instance: SetInstance) -> Iterable[tuple[Edge, int]]:
    """Yield the edges by which single tasks use results of single tasks, and their producers."""
    for edge in instance.edges:
        if edge.gate is not None and edge.pattern in (Pattern.EACH, Pattern.GROUP):
            yield edge, edge.gate


def _joined(
    expansion: Expansion,
    mode: Mode,
    set_gates: Sequence[Sequence[int]],
) -> tuple[GatedSet, ...]:
    opens: list[list[int]] = [[] for _ in expansion.instances]
    flows: list[list[Feed]] = [[] for _ in expansion.instances]
    feeds: list[list[Feed]] = [[] for _ in expansion.instances]
    fed_by: list[list[tuple[int, Pattern]]] = [[] for _ in expansion.instances]
    for consumer, producers in enumerate(set_gates):
        for producer in producers:
            opens[producer].append(consumer)
    for instance in expansion.instances:
        for edge, producer in _single(instance):
            feed = Feed(instance.index, edge.pattern)
            if edge.newest == producer:
                flows[producer].append(feed)
            if mode.by_task:
                feeds[producer].append(feed)
                fed_by[instance.index].append((producer, edge.pattern))
    groups = _groups(expansion.workflow)
    n_sets = len(expansion.workflow.task_sets)
    return tuple(
        GatedSet(
            name=instance.name,
            shape=instance.task_set.resources,
            first_task=instance.first_task,
            count=instance.count,
            retries=instance.task_set.retries,
            gates=len(set_gates[number]),
            opens=tuple(opens[number]),
            feeds=tuple(feeds[number]),
            fed_by=tuple(fed_by[number]),
            flows=tuple(flows[number]),
            budget=instance.task_set.failures,
            stale_inputs=tuple(_stale_inputs(instance, n_sets, mode)),
            expected_us=_expected_us(instance.task_set),
            bundles=_bundles(instance.task_set) and not groups[number % n_sets],
            gang=tuple(instance.iteration * n_sets + place for place in groups[number % n_sets]),
        )
        for number, instance in enumerate(expansion.instances)
    )


def _groups(workflow: Workflow) -> list[tuple[int, ...]]:
    """Return, by place of a set, the places of those that it must run with at once."""
    place = {task_set.name: at for at, task_set in enumerate(workflow.task_sets)}
    groups = workflow.groups
    return [tuple(place[name] for name in groups.get(one, ())) for one in place]


def _expected_us(task_set: TaskSet) -> int | None:
    return None if task_set.duration is None else task_set.duration.mean_us


def _bundles(task_set: TaskSet) -> bool:
    return isinstance(task_set.work, Function) and task_set.timeout_us is None


def _with_open_ends(
    expansion: Expansion, mode: Mode, sets: tuple[GatedSet, ...]
) -> tuple[GatedSet, ...]:
    """Return the sets with what quorums need, and when their tasks are not wanted anymore."""
    task_sets = expansion.workflow.task_sets
    by_quorum = any(one.quorum is not None for each in task_sets for one in each.after)
    if not by_quorum and not expansion.workflow.is_open:
        return sets
    counts = mode.by_task
    prunes = prunes_of(expansion, quorums=counts)
    gates = [0] * len(sets)
    thresholds: list[list[Threshold]] = [[] for _ in sets]
    for instance in expansion.instances if counts else ():
        for edge in instance.edges:
            if edge.enough is not None and edge.gate is not None:
                thresholds[edge.gate].append(Threshold(instance.index, edge.enough))
                gates[instance.index] += 1
    return tuple(
        replace(
            one,
            gates=one.gates + gates[index],
            thresholds=tuple(thresholds[index]),
            part_inputs=tuple(_part_inputs(expansion.instances[index], len(task_sets))),
            prunes=prunes[index],
        )
        for index, one in enumerate(sets)
    )


def _stale_inputs(instance: SetInstance, n_sets: int, mode: Mode) -> Iterable[StaleInput]:
    for edge in instance.edges:
        if edge.newest is not None and edge.newest != edge.gate:
            pattern = edge.pattern if mode.by_task else Pattern.ALL
            yield StaleInput(edge.on, pattern, _candidates(edge, n_sets), edge.enough)


def _part_inputs(instance: SetInstance, n_sets: int) -> Iterable[PartInput]:
    for edge in instance.edges:
        if edge.enough is not None and edge.newest is not None:
            yield PartInput(edge.on, _candidates(edge, n_sets))


def _candidates(edge: Edge, n_sets: int) -> tuple[tuple[int, int], ...]:
    """Return the instances whose results an edge lets be used, newest first."""
    assert edge.newest is not None
    oldest = edge.newest % n_sets if edge.gate is None else edge.gate
    return tuple((at, at // n_sets) for at in range(edge.newest, oldest - 1, -n_sets))
