"""A workflow: task sets, what they wait for, how often the loop turns; checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from stretto.errors import WorkflowError, under_key
from stretto.units import check_name, whole_number
from stretto.workflow.channels import Channel, channels_of
from stretto.workflow.dependencies import Dependency, Pattern
from stretto.workflow.durations import Constant, Duration, duration_of
from stretto.workflow.expected import expected_sets, least_tasks
from stretto.workflow.open_ends import OpenLoop, check_open_ends, loop_of
from stretto.workflow.task_set import MOST_TASKS, TaskSet, changed
from stretto.workflow.together import check_together, groups_of, waits_of

__all__ = ["Workflow"]

MOST_ITERATIONS = 1_000_000
MOST_TASK_SETS = 10_000


@dataclass(frozen=True, slots=True, init=False)
class Workflow:
    """What is to be run, whatever the platform and the mode.

    Parameters
    ----------
    name
        Names the run directory.
    task_sets
        In any order; a set may wait for one that comes later in the list.
    iterations
        How often the whole of it is done; or at most how often, and until what (see `loop_of`).
    stages
        Groups of task sets that sequential mode runs one after another (Eq. 2 of the paper);
        without them a stage is a rank of the dependency graph.
    channels
        Ways on which tasks that run at once send each other messages.
    platform
        Platform that the description proposes, such as ``"summit:16"``.
    folder
        Where relative paths and modules of the description are looked up.

    Raises
    ------
    WorkflowError
        If a set is waited for, or joined, that is not there, a dependency or the stages run in a
        circle, a pattern does not fit the numbers of tasks, or a limit is passed.
    """

    name: str
    task_sets: tuple[TaskSet, ...]
    iterations: int
    stages: tuple[tuple[str, ...], ...]
    platform: str | None
    folder: Path
    channels: tuple[Channel, ...]
    open_loop: OpenLoop | None = None
    """What decides how often it is done, where `iterations` is but a limit."""

    def __init__(
        self,
        name: str,
        task_sets: Sequence[TaskSet],
        *,
        iterations: int | Mapping[str, Any] | OpenLoop = 1,
        stages: Sequence[Sequence[str]] | None = None,
        channels: Sequence[Channel] = (),
        platform: str | None = None,
        folder: str | Path = ".",
    ) -> None:
        _set = object.__setattr__
        _set(self, "name", check_name(name))
        _set(self, "task_sets", _task_sets(task_sets))
        turns, open_loop = under_key(
            "iterations", partial(loop_of, most=MOST_ITERATIONS), iterations
        )
        _set(self, "iterations", turns)
        _set(self, "open_loop", open_loop)
        _set(self, "platform", _platform(platform))
        _set(self, "folder", Path(folder))
        _check_sets(self.task_sets, self.iterations)
        check_together(self.task_sets)
        groups = groups_of(self.task_sets)
        check_open_ends(open_loop, {one.name: one for one in self.task_sets}, groups)
        waits = waits_of(self.task_sets, groups)
        order = _topological(self.task_sets, waits)
        given = _ranks(order, waits) if stages is None else _groups(stages)
        _check_stages(given, self.task_sets)
        _check_joined(given, groups)
        names = [one.name for one in self.task_sets]
        _set(self, "channels", channels_of(channels, names, groups))
        _set(self, "stages", given)

    def __getitem__(self, name: str) -> TaskSet:
        for task_set in self.task_sets:
            if task_set.name == name:
                return task_set
        raise KeyError(name)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """By name of each set that must run at once with others: all of them, itself included."""
        return groups_of(self.task_sets)

    @property
    def n_tasks(self) -> int:
        """Tasks of all iterations, at most."""
        return self.iterations * sum(task_set.tasks for task_set in self.task_sets)

    @property
    def durations_known(self) -> bool:
        """Whether every task set has a duration, so that it can be simulated."""
        return all(task_set.duration is not None for task_set in self.task_sets)

    @property
    def is_open(self) -> bool:
        """Whether results decide how often the loop turns, or how many tasks there are."""
        return self.open_loop is not None or any(one.open_count for one in self.task_sets)

    @property
    def least_tasks(self) -> tuple[int, ...]:
        """Tasks of each set, in an iteration, that run even if all stragglers are cancelled."""
        return least_tasks(self.task_sets)

    def planned(self) -> Workflow:
        """Return the same workflow with what is open replaced by what is expected."""
        if not self.is_open:
            return self
        return self._replaced(
            task_sets=expected_sets(self.task_sets),
            iterations=self.iterations if self.open_loop is None else self.open_loop.expected,
        )

    def with_durations(self, durations: Mapping[str, object]) -> Workflow:
        """Return the same workflow with the durations of some task sets replaced.

        Parameters
        ----------
        durations
            By name of the task set: whatever `duration_of` takes.

        Raises
        ------
        WorkflowError
            If a set is not there, or a value is no duration.
        """
        known = {task_set.name for task_set in self.task_sets}
        replaced: dict[str, Duration | None] = {}
        for name, value in durations.items():
            if name not in known:
                raise WorkflowError(f"there is no task set {name!r}", path=("durations",))
            try:
                replaced[name] = duration_of(value)
            except WorkflowError as error:
                raise error.within("durations", name) from None
        task_sets = [
            changed(task_set, duration=replaced.get(task_set.name, task_set.duration))
            for task_set in self.task_sets
        ]
        return self._replaced(task_sets=task_sets)

    def at_means(self) -> Workflow:
        """Return the same workflow with every known duration replaced by its mean."""
        return self._replaced(
            task_sets=[
                changed(one, duration=one.duration and Constant(one.duration.mean_us))
                for one in self.task_sets
            ]
        )

    def with_tasks(self, tasks: Mapping[str, int]) -> Workflow:
        """Return the same workflow with other numbers of tasks in some sets.

        Raises
        ------
        WorkflowError
            If a set is not there, or a pattern does not fit the new numbers.
        """
        known = {task_set.name for task_set in self.task_sets}
        for name, count in tasks.items():
            if name not in known:
                raise WorkflowError(f"there is no task set {name!r}", path=("tasks",))
            under_key("tasks", partial(whole_number, name, least=1, most=MOST_TASKS), count)
        return self._replaced(
            task_sets=[
                changed(one, tasks=tasks[one.name], open_count=None) if one.name in tasks else one
                for one in self.task_sets
            ]
        )

    def with_staleness(self, staleness: int) -> Workflow:
        """Return the same workflow with this staleness wherever a previous iteration is used."""
        return self._replaced(
            task_sets=[
                changed(
                    task_set,
                    after=tuple(
                        replace(one, staleness=staleness) if one.previous else one
                        for one in task_set.after
                    ),
                )
                for task_set in self.task_sets
            ]
        )

    def with_iterations(self, iterations: int) -> Workflow:
        """Return the same workflow with another number of iterations, which no result decides."""
        return self._replaced(iterations=iterations)

    def _replaced(
        self, *, task_sets: Sequence[TaskSet] | None = None, iterations: int | None = None
    ) -> Workflow:
        return Workflow(
            self.name,
            self.task_sets if task_sets is None else task_sets,
            iterations=iterations or self.open_loop or self.iterations,
            stages=self.stages,
            channels=self.channels,
            platform=self.platform,
            folder=self.folder,
        )


def _task_sets(value: object) -> tuple[TaskSet, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, TaskSet) for one in value):
        raise WorkflowError(f"expected a list of TaskSet, found {value!r}", path=("task_sets",))
    return tuple(value)


def _platform(value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise WorkflowError(f"expected the name of a platform, found {value!r}", path=("platform",))
    return value


def _groups(value: object) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list | tuple):
        raise WorkflowError(f"expected a list of stages, found {value!r}", path=("stages",))
    for number, stage in enumerate(value):
        if not isinstance(stage, list | tuple) or not stage:
            raise WorkflowError(
                f"expected a list of task sets, found {stage!r}", path=("stages", number)
            )
    return tuple(tuple(stage) for stage in value)


def _check_sets(task_sets: tuple[TaskSet, ...], iterations: int) -> None:
    if not 1 <= len(task_sets) <= MOST_TASK_SETS:
        raise WorkflowError(
            f"expected 1 to {MOST_TASK_SETS} task sets, found {len(task_sets)}",
            path=("task_sets",),
        )
    by_name = {task_set.name: task_set for task_set in task_sets}
    if len(by_name) < len(task_sets):
        raise WorkflowError("two task sets have the same name", path=("task_sets",))
    total = iterations * sum(task_set.tasks for task_set in task_sets)
    if total > MOST_TASKS:
        raise WorkflowError(
            f"{total} tasks in all iterations; expected at most {MOST_TASKS}", path=("iterations",)
        )
    for task_set in task_sets:
        for dependency in task_set.after:
            try:
                _check_dependency(task_set, dependency, by_name)
            except WorkflowError as error:
                raise error.within("task_sets", task_set.name, "after") from None


def _check_dependency(
    consumer: TaskSet, dependency: Dependency, by_name: Mapping[str, TaskSet]
) -> None:
    producer = by_name.get(dependency.on)
    if producer is None:
        known = ", ".join(by_name)
        raise WorkflowError(f"there is no task set {dependency.on!r}; expected one of {known}")
    at = (producer.name,)
    pairs = f"{consumer.tasks} tasks of {consumer.name} for {producer.tasks} of {producer.name}"
    if dependency.pattern is Pattern.EACH and consumer.tasks != producer.tasks:
        raise WorkflowError(f"each needs equal numbers of tasks, found {pairs}", path=at)
    if dependency.pattern is Pattern.GROUP and consumer.tasks > producer.tasks:
        raise WorkflowError(f"group needs no fewer tasks waited for; found {pairs}", path=at)
    enough = dependency.enough
    if enough is not None and enough.tasks > producer.tasks:
        raise WorkflowError(
            f"a quorum of {enough.tasks} needs as many tasks; {producer.name} has {producer.tasks}",
            path=at,
        )


def _topological(task_sets: tuple[TaskSet, ...], waits: Mapping[str, list[str]]) -> list[TaskSet]:
    """Return the sets with every one behind those of its own iteration that it `waits` for.

    They come rank by rank, and within a rank in the order of the description.
    """
    place = {task_set.name: number for number, task_set in enumerate(task_sets)}
    missing = [len(waits[task_set.name]) for task_set in task_sets]
    consumers: list[list[int]] = [[] for _ in task_sets]
    for number, task_set in enumerate(task_sets):
        for name in waits[task_set.name]:
            consumers[place[name]].append(number)
    order: list[TaskSet] = []
    free = [number for number, count in enumerate(missing) if not count]
    while free:
        order += [task_sets[number] for number in free]
        freed = []
        for number in free:
            for consumer in consumers[number]:
                missing[consumer] -= 1
                if not missing[consumer]:
                    freed.append(consumer)
        free = sorted(freed)
    if len(order) < len(task_sets):
        circle = _circle({one.name for one in task_sets if missing[place[one.name]]}, waits)
        raise WorkflowError(
            f"a circle: {' waits for '.join(circle)}; to close a loop over iterations, write "
            "{iteration: previous}",
            path=("task_sets", circle[0], "after"),
        )
    return order


def _circle(stuck: set[str], waits: Mapping[str, list[str]]) -> list[str]:
    name = min(stuck)
    walked: list[str] = []
    while name not in walked:
        walked.append(name)
        name = next(other for other in waits[name] if other in stuck)
    return [*walked[walked.index(name) :], name]


def _ranks(order: Sequence[TaskSet], waits: Mapping[str, list[str]]) -> tuple[tuple[str, ...], ...]:
    """Return the sets of one iteration by rank: longest-path depth from the sources."""
    rank: dict[str, int] = {}
    ranks: list[list[str]] = []
    for task_set in order:
        depths = [rank[name] + 1 for name in waits[task_set.name]]
        depth = rank[task_set.name] = max(depths, default=0)
        if depth == len(ranks):
            ranks.append([])
        ranks[depth].append(task_set.name)
    return tuple(tuple(names) for names in ranks)


def _check_stages(stages: tuple[tuple[str, ...], ...], task_sets: tuple[TaskSet, ...]) -> None:
    expected = {task_set.name for task_set in task_sets}
    seen: set[str] = set()
    for number, stage in enumerate(stages):
        for name in stage:
            if not isinstance(name, str) or name not in expected:
                raise WorkflowError(f"there is no task set {name!r}", path=("stages", number))
            if name in seen:
                raise WorkflowError(f"{name} is in two stages", path=("stages", number))
            seen.add(name)
    if missing := [one.name for one in task_sets if one.name not in seen]:
        raise WorkflowError(
            f"expected each task set in a stage, found none for {', '.join(missing)}",
            path=("stages",),
        )
    stage_of = {name: number for number, stage in enumerate(stages) for name in stage}
    for task_set in task_sets:
        for one in task_set.after:
            if not one.previous and stage_of[one.on] >= stage_of[task_set.name]:
                raise WorkflowError(
                    f"{task_set.name} waits for {one.on}, which must be in an earlier stage",
                    path=("stages",),
                )


def _check_joined(
    stages: tuple[tuple[str, ...], ...], groups: Mapping[str, tuple[str, ...]]
) -> None:
    """Check that what runs at once is in one stage."""
    stage_of = {name: number for number, stage in enumerate(stages) for name in stage}
    for group in groups.values():
        for name in group:
            if stage_of[name] != stage_of[group[0]]:
                raise WorkflowError(
                    f"{group[0]} runs at once with {name}, which must be in the same stage",
                    path=("stages",),
                )
