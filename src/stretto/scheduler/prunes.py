"""What of a workflow may turn out not to be wanted, set by set.

Everything is expanded up to its limit: the loop, and the sets whose number of tasks a result
decides.  These rules say what is dropped when; `pruning` applies them.

===========  ============================================================================
`wanted`     from the beginning, only so many tasks of the set are wanted
`enough`     once so many of its tasks have finished, the others are dropped
`later`      once its task says *converged*, what has not finished of that set and of all
             behind it is dropped
`counts`     its task says how many tasks these sets have; the others are dropped
===========  ============================================================================

A set is dropped from behind, so that nothing is made ready only to be dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stretto.workflow import Expansion, Quorum, SetInstance

__all__ = ["Prunes", "prunes_of"]


@dataclass(frozen=True, slots=True)
class Prunes:
    """When which tasks are not wanted anymore.

    Parameters
    ----------
    wanted
        Tasks of this set that are wanted from the beginning, if these are not all.
    enough
        How many of its tasks are enough, if the others are then dropped.
    later
        The set from which on all is dropped once the task of this one says that the loop has
        converged; `None` if that is not for it to say.
    counts
        Sets whose number of tasks the task of this one says, ascending.
    converges
        Whether the task is expected to say that the loop has converged.
    tasks
        How many tasks it is expected to say.
    most
        How many tasks it may say.
    """

    wanted: int | None = None
    enough: Quorum | None = None
    later: int | None = None
    counts: tuple[int, ...] = ()
    converges: bool = False
    tasks: int = 0
    most: int = 0

    @property
    def asks(self) -> bool:
        """Whether the result of this set's task decides something."""
        return self.later is not None or bool(self.counts)


def prunes_of(expansion: Expansion, *, quorums: bool) -> list[Prunes | None]:
    """Return the rules of each set, `None` for one that has none.

    Parameters
    ----------
    quorums
        Whether a quorum is one, or sets wait for whole sets.
    """
    none = Prunes()
    found = [none] * len(expansion.instances)
    _loop(expansion, found)
    for instance in expansion.instances:
        if instance.task_set.open_count is not None:
            _count(expansion, found, instance)
        if quorums:
            _stragglers(expansion, found, instance)
    return [None if one == none else one for one in found]


def _loop(expansion: Expansion, found: list[Prunes]) -> None:
    loop = expansion.workflow.open_loop
    if loop is None:
        return
    n_sets = len(expansion.workflow.task_sets)
    for instance in expansion.instances:
        if instance.task_set.name == loop.until:
            found[instance.index] = Prunes(
                later=(instance.iteration + 1) * n_sets,
                converges=instance.iteration + 1 >= loop.expected,
            )


def _count(expansion: Expansion, found: list[Prunes], instance: SetInstance) -> None:
    count = instance.task_set.open_count
    assert count is not None
    edges = [edge for edge in instance.edges if edge.on == count.source]
    first = instance.iteration * len(expansion.workflow.task_sets)
    own = [edge for edge in edges if edge.gate is not None and edge.gate >= first]
    # Of this iteration's result and the previous one's, this one's decides.
    gate = (own or edges)[0].gate
    if gate is None:
        if count.expected < count.at_most:
            found[instance.index] = replace(found[instance.index], wanted=count.expected)
        return
    rules = found[gate]
    found[gate] = replace(
        rules,
        counts=(*rules.counts, instance.index),
        tasks=count.expected,
        most=min(count.at_most, rules.most) if rules.counts else count.at_most,
    )


def _stragglers(expansion: Expansion, found: list[Prunes], instance: SetInstance) -> None:
    """Note of which sets this one needs no more than a quorum."""
    n_sets = len(expansion.workflow.task_sets)
    for edge in instance.edges:
        if edge.cancels and edge.newest is not None:
            oldest = edge.newest % n_sets if edge.gate is None else edge.gate
            for index in range(oldest, edge.newest + 1, n_sets):
                found[index] = replace(found[index], enough=edge.enough)
