"""WfFormat, the JSON of WfCommons: version 1.5 (and 1.6, which only adds), and the older 1.4.

From 1.5 on a record has the tasks twice: what waits for what under ``workflow.specification``, what
it took under ``workflow.execution``.  In 1.4 both stand together under ``workflow.tasks``, tasks
refer to each other by name, and some keys have older names.

What is read: tasks with parents and children (either side is enough), program, run time, cores,
machines, the start where there is one (``executedAt``); machines with cores and memory.  Files and
what tasks happened to use (``memoryInBytes`` and the like) say nothing about needs, and are left.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple, TypeVar

from stretto.errors import WorkflowError
from stretto.records.grouping import grouped
from stretto.records.record import (
    Machine,
    Record,
    RecordedAttempt,
    RecordedTask,
    from_zero,
    whole_us,
)
from stretto.records.texts import moment_us, unknown
from stretto.resources import Resources
from stretto.trace import Outcome
from stretto.units import counted

__all__ = ["VERSIONS", "read_wfformat"]

VERSIONS = ("1.4", "1.5", "1.6")

KNOWN = frozenset(
    """
    arguments architecture author avgCPU avgPower avgPowerInW bytesRead bytesWritten category
    children command coreCount cores count country cpu createdAt description email energy
    energyInKWh executedAt execution files id inputFiles institution link machine machines makespan
    makespanInSeconds memory memoryInBytes metrics name nodeName outputFiles parents path priority
    program readBytes release repo runName runtime runtimeInSeconds runtimeSystem schemaVersion size
    sizeInBytes specification speed speedInMHz system tasks type url vendor version wms workflow
    writtenBytes
    """.split()  # noqa: SIM905 - one a line they would be a page
)
"""Keys of all versions; `metrics` and what is in it can be worked out from the rest."""

_NUMBERED = re.compile(r"(.+?)_(?:ID)?\d+")
_PROGRAM = re.compile(r"[\w./+:-]{1,64}")

T = TypeVar("T")


class _Task(NamedTuple):
    """A task of either version: what it is called, and the object that describes its run."""

    id: str
    name: str
    parents: list[str]
    children: list[str]
    run: Mapping[str, Any]
    at: str


def read_wfformat(text: str, source: str) -> Record:
    """Return the record in a text of this form.

    Raises
    ------
    WorkflowError
        If it is of another version, or something in it cannot be used; with its place.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise WorkflowError(f"cannot be read as JSON: {error}", source=f"{source}:{line}") from None
    try:
        return _record(value, source)
    except WorkflowError as error:
        raise (
            error if error.source else WorkflowError(error.message, path=error.path, source=source)
        ) from None


def _record(value: object, source: str) -> Record:
    top = _as(value, dict, ())
    version = top.get("schemaVersion")
    if version not in VERSIONS:
        raise WorkflowError(
            f"expected WfFormat {', '.join(VERSIONS)}, found {version!r}", path=("schemaVersion",)
        )
    workflow = _get(top, "workflow", dict, ())
    found, execution = _old(workflow) if version == "1.4" else _new(workflow)
    parents, one_sided = _parents(found)
    tasks = from_zero([_task(one) for one in found])
    machines = [
        _machine(one, number)
        for number, one in enumerate(_get(execution, "machines", list, (), default=[]))
    ]
    makespan = execution.get("makespanInSeconds", execution.get("makespan"))
    unsized = sum(not {"coreCount", "cores"} & one.run.keys() for one in found)
    told = [
        *unknown(sorted(_keys(value)), sorted(KNOWN), "key"),
        *([f"{counted(unsized, 'task')} without cores: 1 each"] if unsized else []),
        *([f"{counted(one_sided, 'edge')} told by one side only"] if one_sided else []),
    ]
    return Record(
        form="wfformat",
        name=_get(top, "name", str, (), default="") or PurePath(source).stem,
        source=source,
        tasks=tasks,
        sets=grouped(tasks, parents, source),
        machines=tuple(machines),
        began=str(execution.get("executedAt") or ""),
        makespan_us=_seconds(makespan, ("makespanInSeconds",)),
        told=tuple(told),
    )


def _new(workflow: Mapping[str, Any]) -> tuple[list[_Task], Mapping[str, Any]]:
    """Return the tasks from version 1.5 on, and what is said of their execution."""
    at = ("workflow", "specification")
    specification = _get(workflow, "specification", dict, ("workflow",))
    execution = _get(workflow, "execution", dict, ("workflow",), default={})
    runs = {
        _get(one, "id", str, ("workflow", "execution", "tasks", number)): one
        for number, one in _objects(execution, "tasks", ("workflow", "execution"), default=[])
    }
    found = []
    for number, one in _objects(specification, "tasks", at):
        place = (*at, "tasks", number)
        own = _get(one, "id", str, place)
        found.append(
            _Task(
                id=own,
                name=_get(one, "name", str, place, default=own),
                parents=_names(one, "parents", place),
                children=_names(one, "children", place),
                run=runs.pop(own, {}),
                at=own,
            )
        )
    _check_distinct(found)
    if runs:
        raise WorkflowError(
            f"the task {next(iter(runs))} was executed, but is not in the specification",
            path=("workflow", "execution", "tasks"),
        )
    return found, execution


def _old(workflow: Mapping[str, Any]) -> tuple[list[_Task], Mapping[str, Any]]:
    """Return the tasks of version 1.4, in which they stand with their execution."""
    found = []
    for number, one in _objects(workflow, "tasks", ("workflow",)):
        place = ("workflow", "tasks", number)
        name = _get(one, "name", str, place)
        found.append(
            _Task(
                id=name,
                name=name,
                parents=_names(one, "parents", place),
                children=_names(one, "children", place),
                run=one,
                at=name,
            )
        )
    by_id = {one.run["id"]: one.id for one in found if isinstance(one.run.get("id"), str)}
    names = {one.id for one in found}
    _check_distinct(found)

    def known(others: Sequence[str]) -> list[str]:
        return [one if one in names else by_id.get(one, one) for one in others]

    return [
        one._replace(parents=known(one.parents), children=known(one.children)) for one in found
    ], workflow


def _check_distinct(found: Sequence[_Task]) -> None:
    if not found:
        raise WorkflowError("expected at least one task, found none", path=("workflow",))
    seen: set[str] = set()
    for one in found:
        if one.id in seen:
            raise WorkflowError(f"the task {one.id} comes twice", path=("workflow",))
        seen.add(one.id)


def _parents(found: Sequence[_Task]) -> tuple[list[list[int]], int]:
    """Return the places of the parents of each task, and how many edges only one side tells."""
    place = {one.id: at for at, one in enumerate(found)}
    sides: Counter[tuple[int, int]] = Counter()
    for at, one in enumerate(found):
        for others, forward in ((one.parents, False), (one.children, True)):
            for other in dict.fromkeys(others):
                if other not in place:
                    raise WorkflowError(f"the task {one.id} names {other}, which is not there")
                sides[(at, place[other]) if forward else (place[other], at)] += 1
    parents: list[list[int]] = [[] for _ in found]
    for parent, child in sorted(sides):
        parents[child].append(parent)
    return parents, sum(count == 1 for count in sides.values())


def _task(one: _Task) -> RecordedTask:
    run = one.run
    at = (one.at,)
    runtime = run.get("runtimeInSeconds", run.get("runtime"))
    duration_us = _seconds(runtime, (*at, "runtimeInSeconds"))
    machines = _machines(run, at)
    cores = run.get("coreCount", run.get("cores", 1))
    if isinstance(cores, bool) or not isinstance(cores, int | float) or not 0 < cores < math.inf:
        raise WorkflowError(f"expected a number of cores, found {cores!r}", path=(*at, "coreCount"))
    ranks = max(1, len(machines))
    try:
        needs = Resources(cores=max(1, math.ceil(cores / ranks)), ranks=ranks)
    except WorkflowError as error:
        raise error.within(*at) from None
    started = run.get("executedAt") if "executedAt" in run else None
    attempts: tuple[RecordedAttempt, ...] = ()
    if duration_us is not None:
        attempts = (
            RecordedAttempt(
                Outcome.FINISHED,
                started_us=None if started is None else _moment(started, at),
                duration_us=duration_us,
                machines=machines,
            ),
        )
    return RecordedTask(one.id, _kind(one), needs, attempts)


def _machines(run: Mapping[str, Any], at: tuple[str, ...]) -> tuple[str, ...]:
    several = run.get("machines", [run["machine"]] if run.get("machine") else [])
    if not isinstance(several, list) or not all(isinstance(one, str) for one in several):
        raise WorkflowError(f"expected names, found {several!r}", path=(*at, "machines"))
    return tuple(sorted(set(several)))


def _moment(value: object, at: tuple[str, ...]) -> int:
    try:
        return moment_us(_as(value, str, ()))
    except WorkflowError as error:
        raise error.within(*at, "executedAt") from None


def _kind(one: _Task) -> str:
    """Return what tasks of one sort have in common: category, program, or name without number."""
    category = one.run.get("category")
    if isinstance(category, str) and category:
        return category
    command = one.run.get("command")
    program = command.get("program") if isinstance(command, dict) else None
    if isinstance(program, str) and _PROGRAM.fullmatch(program):
        return PurePath(program).name or program
    numbered = _NUMBERED.fullmatch(one.name)
    return numbered[1] if numbered else one.name


def _machine(value: object, number: int) -> Machine:
    at = ("machines", number)
    one = _as(value, dict, at)
    cpu = _get(one, "cpu", dict, at, default={})
    cores = cpu.get("coreCount", cpu.get("count"))
    memory = one.get("memoryInBytes")
    for key, amount in (("coreCount", cores), ("memoryInBytes", memory)):
        if amount is not None and (
            isinstance(amount, bool) or not isinstance(amount, int) or amount < 1
        ):
            raise WorkflowError(f"expected a number from 1, found {amount!r}", path=(*at, key))
    return Machine(_get(one, "nodeName", str, at), cores, None if memory is None else memory >> 20)


def _seconds(value: object, at: tuple[str | int, ...]) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise WorkflowError(f"expected seconds from 0, found {value!r}", path=at)
    try:
        return whole_us(value)
    except WorkflowError as error:
        raise error.within(*at) from None


_WORDS: Mapping[type, str] = {dict: "an object", list: "a list", str: "text"}
_NOTHING: Any = object()


def _as(value: object, kind: type[T], at: tuple[str | int, ...]) -> T:
    if not isinstance(value, kind):
        raise WorkflowError(f"expected {_WORDS[kind]}, found {_shown(value)}", path=at)
    return value


def _get(
    values: Mapping[str, Any],
    key: str,
    kind: type[T],
    at: tuple[str | int, ...],
    *,
    default: Any = _NOTHING,
) -> T:
    value = values.get(key)
    if value is None:
        if default is _NOTHING:
            raise WorkflowError(f"the key {key!r} is missing", path=at)
        value = default
    return _as(value, kind, (*at, key))


def _objects(
    values: Mapping[str, Any], key: str, at: tuple[str | int, ...], *, default: Any = _NOTHING
) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, one in enumerate(_get(values, key, list, at, default=default)):
        yield number, _as(one, dict, (*at, key, number))


def _names(values: Mapping[str, Any], key: str, at: tuple[str | int, ...]) -> list[str]:
    return [_as(one, str, (*at, key)) for one in _get(values, key, list, at, default=[])]


def _keys(value: object) -> set[str]:
    """Return all keys anywhere, but for those of metrics, which say nothing new."""
    found: set[str] = set()
    ahead = [value]
    while ahead:
        match ahead.pop():
            case dict() as one:
                found.update(one)
                ahead += [inner for key, inner in one.items() if key != "metrics"]
            case list() as several:
                ahead += several
            case _:
                pass
    return found


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
