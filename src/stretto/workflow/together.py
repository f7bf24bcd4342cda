"""Task sets that must run at once: what ``with`` joins, directly or through others.

Sets that exchange messages while they run (the *communicating* relation of the paper's section 4)
are of no use one without the other.  ``with`` is a relation without direction: sets that are joined
by a chain of it are one *group*.  All tasks of a group, in one iteration, are launched at once or
not at all, and what waits for one of its sets waits for the whole group: whether the work of one
was of use is only known when all have finished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stretto.errors import WorkflowError
from stretto.workflow.budgets import NO_FAILURES
from stretto.workflow.task_set import TaskSet

__all__ = ["check_together", "groups_of", "waits_of"]


def groups_of(task_sets: Sequence[TaskSet]) -> dict[str, tuple[str, ...]]:
    """Return the group of each set that is joined with another, in the order of the sets."""
    joined: dict[str, list[str]] = {one.name: [] for one in task_sets}
    for one in task_sets:
        for other in one.with_:
            joined[one.name].append(other)
            joined[other].append(one.name)
    groups: dict[str, tuple[str, ...]] = {}
    for name, others in joined.items():
        if others and name not in groups:
            found = {name}
            ahead = [name]
            while ahead:
                fresh = [other for other in joined[ahead.pop()] if other not in found]
                found.update(fresh)
                ahead += fresh
            members = tuple(one.name for one in task_sets if one.name in found)
            groups.update(dict.fromkeys(members, members))
    return groups


def check_together(task_sets: Sequence[TaskSet]) -> None:
    """Check that what is joined is there, waits for none of its group, and can do without none.

    Raises
    ------
    WorkflowError
        Naming the set.
    """
    known = {one.name for one in task_sets}
    for one in task_sets:
        for name in one.with_:
            if name not in known:
                raise WorkflowError(
                    f"there is no task set {name!r}; expected one of {', '.join(sorted(known))}",
                    path=("task_sets", one.name, "with"),
                )
    groups = groups_of(task_sets)
    for one in task_sets:
        if one.name in groups and one.failures != NO_FAILURES:
            raise WorkflowError(
                "a set that runs at once with others can do without none of its tasks",
                path=("task_sets", one.name, "failures"),
            )
        for dependency in one.after:
            if dependency.on in groups.get(one.name, ()) and not dependency.previous:
                raise WorkflowError(
                    f"{one.name} runs at once with {dependency.on}, so it cannot wait for it in "
                    "the same iteration",
                    path=("task_sets", one.name, "after"),
                )


def waits_of(
    task_sets: Sequence[TaskSet], groups: Mapping[str, tuple[str, ...]]
) -> dict[str, list[str]]:
    """Return for each set those of its own iteration that it waits for, or its group does."""
    own = {one.name: [each.on for each in one.after if not each.previous] for one in task_sets}
    return {
        name: [on for member in groups.get(name, (name,)) for on in _whole(own[member], groups)]
        for name in own
    }


def _whole(names: Sequence[str], groups: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [member for name in names for member in groups.get(name, (name,))]
