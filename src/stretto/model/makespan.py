"""Makespans by formula: sequential (Eq. 2) and asynchronous (Eqs. 3, 4, 6 and 7), without overhead.

TX of a task set is the mean duration of its tasks times its *waves*: how often the whole
allocation, empty otherwise, must be filled with it.  In the paper's cases that is once.

One iteration follows Eqs. 3 and 4: the longest path through the sets that lead to more than one
sink (the sequential part), then the longest of the independent branches.  The other branches hide
behind it, and so do shorter arms between two sets of the same branch.

A loop follows Eq. 6 in the form of Eq. 7: each set counts as often as it is not masked, so
iteration after iteration by Eqs. 3 and 4 with the masked sets at zero.  On a chain of sets that is
``n`` times the iteration less every masked TX; where nothing is masked, ``n`` times the iteration.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stretto.model.branches import Branch, branches_of
from stretto.model.graph import Graph, descendants, graph_of, heaviest_through, longest_path
from stretto.model.masking import masked_by_pacemaker, pacemaker
from stretto.model.packing import empty_nodes, room
from stretto.platform import Platform
from stretto.workflow import Expansion, Workflow, expand

__all__ = [
    "Asynchronous",
    "Masked",
    "Overlap",
    "eq_7_terms",
    "iteration_graph",
    "overlap",
    "rooms",
    "set_times",
    "t_async",
    "t_seq",
    "t_seq_ranks",
    "waves",
]


@dataclass(frozen=True, slots=True)
class Masked:
    """A task set in one iteration that adds nothing to the makespan.

    Parameters
    ----------
    name
        Name of the masked one.
    by
        Names of what hides it: a later pacemaker, or longer sets of its iteration.
    time_us
        Its TX, which is hidden.
    """

    name: str
    by: tuple[str, ...]
    time_us: int


@dataclass(frozen=True, slots=True)
class Asynchronous:
    """The asynchronous makespan, and what counts in it and what does not.

    Parameters
    ----------
    time_us
        The makespan: the sum of TX of all instances that count.
    counted
        Instances that are not masked, in the order in which the formula adds them up.
    masked
        Those that a longer one hides, in the order of the instances.
    """

    time_us: int
    counted: tuple[int, ...]
    masked: tuple[Masked, ...]


class Overlap(NamedTuple):
    """Eqs. 3 and 4 on one graph.

    `path` is the longest path of the trunk and then of the longest independent branch; `hidden`
    has every node that something on it hides, ascending, with that.
    """

    time_us: int
    path: tuple[int, ...]
    hidden: tuple[tuple[int, tuple[int, ...]], ...]


def rooms(workflow: Workflow, platform: Platform) -> tuple[int, ...]:
    """Return for each task set how many of its tasks the empty platform holds; at least one."""
    nodes = empty_nodes(platform)
    return tuple(room(nodes, task_set.resources) for task_set in workflow.task_sets)


def waves(workflow: Workflow, platform: Platform) -> tuple[int, ...]:
    """Return for each task set how often it fills the allocation; each task fits on its own."""
    return tuple(
        -(-task_set.tasks // at_once)
        for task_set, at_once in zip(workflow.task_sets, rooms(workflow, platform), strict=True)
    )


def set_times(workflow: Workflow, platform: Platform) -> tuple[int, ...] | None:
    """Return TX of each task set in microseconds, `None` if a duration is unknown."""
    times = []
    for task_set, filled in zip(workflow.task_sets, waves(workflow, platform), strict=True):
        if task_set.duration is None:
            return None
        times.append(task_set.duration.mean_us * filled)
    return tuple(times)


def t_seq(workflow: Workflow, times_us: Sequence[int]) -> tuple[int, ...]:
    """Return what Eq. 2 sums up: for each stage of an iteration the TX of its longest set.

    Parameters
    ----------
    workflow
        With its stages, which are ranks unless it names them.
    times_us
        TX of each set.

    Notes
    -----
    That the sets of a stage fit beside each other is the paper's assumption; a simulation tells
    where they do not.
    """
    time_of = {
        task_set.name: time_us
        for task_set, time_us in zip(workflow.task_sets, times_us, strict=True)
    }
    return tuple(max(time_of[name] for name in stage) for stage in workflow.stages)


def t_seq_ranks(iteration: Graph, times_us: Sequence[int]) -> tuple[int, ...]:
    """Return the same with one stage a rank of an iteration, whatever stages the workflow names."""
    longest = [0] * (max(iteration.rank) + 1)
    for rank, time_us in zip(iteration.rank, times_us, strict=True):
        longest[rank] = max(longest[rank], time_us)
    return tuple(longest)


def overlap(graph: Graph, branches: Sequence[Branch], times_us: Sequence[int]) -> Overlap:
    """Return the asynchronous makespan of a graph without loops (Eqs. 3 and 4, C = 0).

    Parameters
    ----------
    graph, branches
        The graph and all its branches.
    times_us
        TX of each node.
    """
    trunk = [False] * len(graph.names)
    for branch in branches:
        if not branch.independent:
            for node in branch.members:
                trunk[node] = True
    below = [not one for one in trunk]
    trunk_us, sequential = longest_path(graph, times_us, among=trunk)
    # A path through independent branches stays in one, so one search finds the longest of all.
    branch_us, path = longest_path(graph, times_us, among=below)
    hidden = {
        node: path
        for branch in branches
        if branch.independent and path[0] not in branch.members
        for node in branch.members
    }
    longest_us = [trunk_us if one else branch_us for one in trunk]
    through_us = heaviest_through(graph, times_us, kinds=trunk)
    shorter = [
        node
        for node in range(len(trunk))
        if node not in hidden and through_us[node] < longest_us[node]
    ]
    if shorter:
        hidden |= _beside(graph, shorter, sequential, path, trunk)
    return Overlap(trunk_us + branch_us, sequential + path, tuple(sorted(hidden.items())))


def _beside(
    graph: Graph,
    shorter: Iterable[int],
    sequential: tuple[int, ...],
    path: tuple[int, ...],
    trunk: Sequence[bool],
) -> dict[int, tuple[int, ...]]:
    """Return for each of the shorter sets those of the path of its part that run beside it.

    There is one at least: if all of the path were before or behind the set, it could be put in
    between, and the path were not the longest.
    """
    down = descendants(graph)
    return {
        node: tuple(
            other
            for other in (sequential if trunk[node] else path)
            if not down[node] >> other & 1 and not down[other] >> node & 1
        )
        for node in shorter
    }


def t_async(
    expansion: Expansion,
    graph: Graph,
    iteration: Graph,
    platform: Platform,
    times_us: Sequence[int],
) -> Asynchronous:
    """Return the asynchronous makespan and what is masked in it (Eqs. 3, 4, 6 and 7, C = 0).

    Parameters
    ----------
    expansion, graph
        The unrolled workflow and its graph.
    iteration
        Graph of one iteration.
    platform
        Where it runs; it decides what can be masked (see `stretto.model.masking`).
    times_us
        TX of each set of the workflow.

    Notes
    -----
    Never shorter than the longest path of the unrolled graph, which no overlap can hide: where that
    is longer, its sets are those that count.
    """
    n_sets = len(times_us)
    branches = branches_of(iteration)
    paced = masked_by_pacemaker(expansion, platform, pacemaker(iteration, times_us))
    hidden_by: dict[int, tuple[int, ...]] = {node: (by,) for node, by in paced.items()}
    counted: list[int] = []
    total_us = 0
    known: dict[tuple[int, ...], Overlap] = {}
    for first in range(0, len(expansion.instances), n_sets):
        left_us = tuple(
            0 if first + place in paced else time_us for place, time_us in enumerate(times_us)
        )
        # Iterations in the middle of a loop are alike.
        one = known.get(left_us) or overlap(iteration, branches, left_us)
        known[left_us] = one
        total_us += one.time_us
        counted += [first + place for place in one.path if first + place not in paced]
        for place, hiding in one.hidden:
            by = tuple(first + other for other in hiding if first + other not in paced)
            if by:
                hidden_by.setdefault(first + place, by)
    path_us, path = longest_path(graph, list(times_us) * expansion.workflow.iterations)
    if path_us > total_us:
        total_us, counted = path_us, list(path)
    counts = set(counted)
    return Asynchronous(
        total_us,
        tuple(counted),
        tuple(
            Masked(
                graph.names[node],
                tuple(graph.names[other] for other in by),
                times_us[node % n_sets],
            )
            for node, by in sorted(hidden_by.items())
            if node not in counts
        ),
    )


def eq_7_terms(counted: Sequence[int], times_us: Sequence[int], iterations: int) -> tuple[int, ...]:
    """Return the t_k of Eq. 7: the total TX of the sets that are masked exactly ``k`` times.

    With ``n`` iterations the sum of ``(n - k) * t_k`` is the asynchronous makespan, for any loop.
    """
    terms_us = [0] * (iterations + 1)
    masked = [iterations] * len(times_us)
    for node in counted:
        masked[node % len(times_us)] -= 1
    for times, time_us in zip(masked, times_us, strict=True):
        terms_us[times] += time_us
    # What is masked in every iteration adds nothing.
    return tuple(terms_us[:iterations])


def iteration_graph(workflow: Workflow) -> Graph:
    """Return the dependency graph of a single iteration."""
    return graph_of(expand(workflow.with_iterations(1)))
