"""A workflow: task sets, what they wait for, how often the loop turns; checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stretto.errors import WorkflowError
from stretto.workflow.dependencies import Dependency, Pattern
from stretto.workflow.durations import Duration
from stretto.workflow.task_set import MOST_TASKS, TaskSet, check_name

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
        How often the whole of it is done.
    stages
        Groups of task sets that sequential mode runs one after another (Eq. 2 of the paper);
        without them a stage is a rank of the dependency graph.
    platform
        Platform that the description proposes, such as ``"summit:16"``.
    folder
        Where relative paths and modules of the description are looked up.

    Raises
    ------
    WorkflowError
        If a set is waited for that is not there, a dependency or the stages run in a circle, a
        pattern does not fit the numbers of tasks, or a limit is passed.
    """

    name: str
    task_sets: tuple[TaskSet, ...]
    iterations: int
    stages: tuple[tuple[str, ...], ...]
    platform: str | None
    folder: Path

    def __init__(
        self,
        name: str,
        task_sets: Sequence[TaskSet],
        *,
        iterations: int = 1,
        stages: Sequence[Sequence[str]] | None = None,
        platform: str | None = None,
        folder: str | Path = ".",
    ) -> None:
        _set = object.__setattr__
        _set(self, "name", check_name(name))
        _set(self, "task_sets", tuple(task_sets))
        _set(self, "iterations", _iterations(iterations))
        _set(self, "platform", platform)
        _set(self, "folder", Path(folder))
        _check_sets(self.task_sets, self.iterations)
        order = _topological(self.task_sets)
        given = _ranks(order) if stages is None else tuple(tuple(stage) for stage in stages)
        _check_stages(given, self.task_sets)
        _set(self, "stages", given)

    def __getitem__(self, name: str) -> TaskSet:
        for task_set in self.task_sets:
            if task_set.name == name:
                return task_set
        raise KeyError(name)

    @property
    def n_tasks(self) -> int:
        """Tasks of all iterations."""
        return self.iterations * sum(task_set.tasks for task_set in self.task_sets)

    def with_durations(self, durations: Mapping[str, Duration]) -> Workflow:
        """Return the same workflow with the durations of some task sets replaced."""
        task_sets = [
            _with_duration(task_set, durations.get(task_set.name, task_set.duration))
            for task_set in self.task_sets
        ]
        return self._replaced(task_sets=task_sets)

    def with_iterations(self, iterations: int) -> Workflow:
        """Return the same workflow with another number of iterations."""
        return self._replaced(iterations=iterations)

    def _replaced(
        self, *, task_sets: Sequence[TaskSet] | None = None, iterations: int | None = None
    ) -> Workflow:
        return Workflow(
            self.name,
            self.task_sets if task_sets is None else task_sets,
            iterations=self.iterations if iterations is None else iterations,
            stages=self.stages,
            platform=self.platform,
            folder=self.folder,
        )


def _with_duration(task_set: TaskSet, duration: Duration | None) -> TaskSet:
    copy = object.__new__(TaskSet)
    for slot in TaskSet.__slots__:
        object.__setattr__(copy, slot, getattr(task_set, slot))
    object.__setattr__(copy, "duration", duration)
    return copy


def _iterations(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_ITERATIONS:
        raise WorkflowError(
            f"expected a whole number from 1 to {MOST_ITERATIONS}, found {value!r}",
            path=("iterations",),
        )
    return value


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
    pairs = f"{consumer.tasks} tasks of {consumer.name} on {producer.tasks} of {producer.name}"
    if dependency.pattern is Pattern.EACH and consumer.tasks != producer.tasks:
        raise WorkflowError(f"each needs equal numbers of tasks, found {pairs}", path=at)
    if dependency.pattern is Pattern.GROUP and consumer.tasks > producer.tasks:
        raise WorkflowError(f"group needs a block of tasks for each, found {pairs}", path=at)


def _topological(task_sets: tuple[TaskSet, ...]) -> list[TaskSet]:
    """Return the sets with every one behind those of its own iteration that it waits for."""
    waits = {
        task_set.name: [one.on for one in task_set.after if not one.previous]
        for task_set in task_sets
    }
    order: list[TaskSet] = []
    placed: set[str] = set()
    left = list(task_sets)
    while left:
        free = [task_set for task_set in left if placed.issuperset(waits[task_set.name])]
        if not free:
            circle = _circle({task_set.name for task_set in left}, waits)
            raise WorkflowError(
                f"a circle: {' waits for '.join(circle)}", path=("task_sets", circle[0], "after")
            )
        order += free
        placed.update(task_set.name for task_set in free)
        left = [task_set for task_set in left if task_set.name not in placed]
    return order


def _circle(stuck: set[str], waits: Mapping[str, list[str]]) -> list[str]:
    name = min(stuck)
    walked: list[str] = []
    while name not in walked:
        walked.append(name)
        name = next(other for other in waits[name] if other in stuck)
    return [*walked[walked.index(name) :], name]


def _ranks(order: Sequence[TaskSet]) -> tuple[tuple[str, ...], ...]:
    """Return the sets of one iteration by rank: longest-path depth from the sources."""
    rank: dict[str, int] = {}
    for task_set in order:
        depths = [rank[one.on] + 1 for one in task_set.after if not one.previous]
        rank[task_set.name] = max(depths, default=0)
    return tuple(
        tuple(name for name, depth in rank.items() if depth == level)
        for level in range(max(rank.values()) + 1)
    )


def _check_stages(stages: tuple[tuple[str, ...], ...], task_sets: tuple[TaskSet, ...]) -> None:
    names = [name for stage in stages for name in stage]
    expected = {task_set.name for task_set in task_sets}
    for name in names:
        if name not in expected:
            raise WorkflowError(f"there is no task set {name!r}", path=("stages",))
    if len(names) != len(set(names)) or set(names) != expected:
        missing = ", ".join(sorted(expected - set(names))) or "none"
        raise WorkflowError(
            f"expected each task set in one stage (not in any: {missing})", path=("stages",)
        )
    stage_of = {name: number for number, stage in enumerate(stages) for name in stage}
    for task_set in task_sets:
        for one in task_set.after:
            if not one.previous and stage_of[one.on] >= stage_of[task_set.name]:
                raise WorkflowError(
                    f"{task_set.name} waits for {one.on}, which must be in an earlier stage",
                    path=("stages",),
                )
