"""Tasks to task sets: as few as can say exactly who waits for whom.

A description knows sets, and between sets three patterns: `all`, `each`, `group`.  So tasks are put
together only where their dependencies are one of these.  The sets are found by refining a
partition, coarsest first:

1. Tasks of one kind with the same needs and the same *rank* (longest path from a task that waits
   for nothing) are one set.  Edges lead from lower ranks to higher, so sets never wait in a circle.
2. Each set is put in an order in which its relations can be patterns (see `ordering`).
3. Where the edges between two sets are no pattern in that order, both are split: into the tasks
   that have such edges and those that have none; else into the parts that are not connected with
   each other; else by equal parents and equal children.
4. From 2 again, until nothing had to be split.

Every split makes progress, since a connected relation in which all parents and all children are
equal is `all`; at the latest a partition into single tasks is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stretto.errors import WorkflowError
from stretto.records.ordering import Relation, ordered, pattern_of
from stretto.records.record import RecordedSet, RecordedTask
from stretto.workflow import Pattern
from stretto.workflow.definition import MOST_TASK_SETS

__all__ = ["grouped", "ranks"]

Pair = tuple[int, int]
"""A producing set and a consuming set."""


def grouped(
    tasks: Sequence[RecordedTask], parents: Sequence[Sequence[int]], source: str
) -> tuple[RecordedSet, ...]:
    """Return the sets of these tasks; expanded, they have exactly the edges given.

    Parameters
    ----------
    parents
        By task: places of the tasks it waits for, each once.

    Raises
    ------
    WorkflowError
        If tasks wait in a circle, or more sets are needed than a description may have.
    """
    rank = ranks(tasks, parents, source)
    set_of = _numbered(
        [(one, task.kind, task.needs) for one, task in zip(rank, tasks, strict=True)]
    )
    while True:
        n_sets = max(set_of) + 1
        if n_sets > MOST_TASK_SETS:
            raise WorkflowError(
                f"the tasks fall into {n_sets} sets or more, because few of them wait alike; "
                f"expected at most {MOST_TASK_SETS}",
                source=source,
            )
        relations = _relations(set_of, parents)
        members = ordered(_members(set_of), relations)
        place = {task: at for one in members for at, task in enumerate(one)}
        labels: list[list[object]] = [[] for _ in tasks]
        patterns: dict[Pair, Pattern] = {}
        for pair, relation in relations.items():
            pattern = pattern_of(relation, members[pair[0]], members[pair[1]], place)
            if pattern is None:
                _split(relation, members[pair[0]], members[pair[1]], labels)
            else:
                patterns[pair] = pattern
        if not any(labels):
            break
        set_of = _numbered([(one, *label) for one, label in zip(set_of, labels, strict=True)])
    after: list[list[tuple[int, Pattern]]] = [[] for _ in members]
    for (producer, consumer), pattern in sorted(patterns.items()):
        after[consumer].append((producer, pattern))
    return tuple(
        RecordedSet(tasks[one[0]].kind, tuple(one), tuple(waits))
        for one, waits in zip(members, after, strict=True)
    )


def ranks(
    tasks: Sequence[RecordedTask], parents: Sequence[Sequence[int]], source: str
) -> list[int]:
    """Return the longest path to each task from one that waits for nothing.

    Raises
    ------
    WorkflowError
        If tasks wait in a circle.
    """
    children: list[list[int]] = [[] for _ in tasks]
    missing = [len(one) for one in parents]
    for task, waited in enumerate(parents):
        for parent in waited:
            children[parent].append(task)
    rank = [0] * len(tasks)
    free = [task for task, count in enumerate(missing) if not count]
    for task in free:
        for child in children[task]:
            rank[child] = max(rank[child], rank[task] + 1)
            missing[child] -= 1
            if not missing[child]:
                free.append(child)
    if len(free) < len(tasks):
        stuck = next(task for task, count in enumerate(missing) if count)
        raise WorkflowError(
            f"tasks wait for each other in a circle, among them {tasks[stuck].name}",
            source=source,
        )
    return rank


def _numbered(keys: Sequence[object]) -> list[int]:
    """Return a number for each key, equal ones alike, in the order of their first appearance."""
    numbers: dict[object, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _members(set_of: Sequence[int]) -> list[list[int]]:
    members: list[list[int]] = [[] for _ in range(max(set_of) + 1)]
    for task, one in enumerate(set_of):
        members[one].append(task)
    return members


def _relations(set_of: Sequence[int], parents: Sequence[Sequence[int]]) -> dict[Pair, Relation]:
    """Return the edges between each two sets that have any."""
    relations: dict[Pair, Relation] = {}
    for task, waited in enumerate(parents):
        for parent in waited:
            pair = set_of[parent], set_of[task]
            if pair not in relations:
                relations[pair] = Relation({}, {})
            relation = relations[pair]
            relation.parents.setdefault(task, []).append(parent)
            relation.children.setdefault(parent, []).append(task)
    return dict(sorted(relations.items()))


def _split(
    relation: Relation,
    producers: Sequence[int],
    consumers: Sequence[int],
    labels: Sequence[list[object]],
) -> None:
    """Label the tasks of two sets so that they fall apart."""
    touched = len(relation.parents) + len(relation.children)
    if touched < len(producers) + len(consumers):
        for task in (*producers, *consumers):
            labels[task].append(task in relation.parents or task in relation.children)
        return
    parts = _parts(relation)
    if len(set(parts.values())) > 1:
        for task, part in parts.items():
            labels[task].append(part)
        return
    for neighbours in (relation.parents, relation.children):
        for task, others in neighbours.items():
            labels[task].append(tuple(sorted(others)))


def _parts(relation: Relation) -> Mapping[int, int]:
    """Return, by task, the first task of the part that it is connected with."""
    part: dict[int, int] = {}
    for first in sorted(relation.parents):
        if first in part:
            continue
        part[first] = first
        ahead = [first]
        while ahead:
            task = ahead.pop()
            for other in (*relation.parents.get(task, ()), *relation.children.get(task, ())):
                if other not in part:
                    part[other] = first
                    ahead.append(other)
    return part
