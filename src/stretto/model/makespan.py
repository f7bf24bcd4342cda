"""Makespans by formula: sequential (Eq. 2) and asynchronous (Eqs. 3, 4, 6 and 7), without overhead.

TX of a task set is the mean duration of its tasks times its *waves*: how often the whole
allocation, empty otherwise, must be filled with it.  In the paper's cases that is once.

One iteration follows Eqs. 3 and 4: the longest path through the sets that lead to more than one
sink (the sequential part), then the longest of the independent branches; the others hide behind it.

A loop follows Eq. 6 in the form of Eq. 7: each set counts as often as it is not masked, so
iteration after iteration by Eqs. 3 and 4 with the masked sets at zero.  On a chain of sets that is
``n`` times the iteration less every masked TX; where nothing is masked, ``n`` times the iteration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stretto.model.branches import Branch, branches_of
from stretto.model.graph import Graph, graph_of, longest_path
from stretto.model.masking import masked_by_pacemaker, pacemaker
from stretto.model.packing import empty_nodes, room
from stretto.platform import Platform
from stretto.workflow import Expansion, Workflow, expand

__all__ = [
    "Asynchronous",
    "Masked",
    "Overlap",
    "iteration_graph",
    "overlap",
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
        Names of what hides it: a later pacemaker, or the longest branch of its iteration.
    time_us
        Its TX, which is hidden.
    """

    name: str
    by: tuple[str, ...]
    time_us: int


@dataclass(frozen=True, slots=True)
class Asynchronous:
    """The asynchronous makespan, and what is masked in it, in the order of the instances."""

    time_us: int
    masked: tuple[Masked, ...]


class Overlap(NamedTuple):
    """Eqs. 3 and 4 on one graph.

    `path` is the longest path of the longest independent branch, `hidden` are the members of the
    other independent branches, ascending.
    """

    time_us: int
    path: tuple[int, ...]
    hidden: tuple[int, ...]


def waves(workflow: Workflow, platform: Platform) -> tuple[int, ...]:
    """Return for each task set how often it fills the allocation; each task fits on its own."""
    nodes = empty_nodes(platform)
    return tuple(
        -(-task_set.tasks // room(nodes, task_set.resources)) for task_set in workflow.task_sets
    )


def set_times(workflow: Workflow, platform: Platform) -> tuple[int, ...] | None:
    """Return TX of each task set in microseconds, `None` if a duration is unknown."""
    times = []
    for task_set, filled in zip(workflow.task_sets, waves(workflow, platform), strict=True):
        if task_set.duration is None:
            return None
        times.append(task_set.duration.mean_us * filled)
    return tuple(times)


def t_seq(workflow: Workflow, times_us: Sequence[int]) -> int:
    """Return the sequential makespan: one stage after another, a stage as long as its longest set.

    Parameters
    ----------
    workflow
        With its stages, which are ranks unless it names them.
    times_us
        TX of each set.

    Notes
    -----
    Eq. 2 with C = 0.  That the sets of a stage fit beside each other is the paper's assumption; a
    simulation tells where they do not.
    """
    time_of = {
        task_set.name: time_us
        for task_set, time_us in zip(workflow.task_sets, times_us, strict=True)
    }
    return workflow.iterations * sum(
        max(time_of[name] for name in stage) for stage in workflow.stages
    )


def t_seq_ranks(workflow: Workflow, times_us: Sequence[int]) -> int:
    """Return Eq. 2 with one stage a rank of an iteration, whatever stages the workflow names."""
    longest: dict[int, int] = {}
    for rank, time_us in zip(iteration_graph(workflow).rank, times_us, strict=True):
        longest[rank] = max(longest.get(rank, 0), time_us)
    return workflow.iterations * sum(longest.values())


def overlap(graph: Graph, branches: Sequence[Branch], times_us: Sequence[int]) -> Overlap:
    """Return the asynchronous makespan of a graph without loops (Eqs. 3 and 4, C = 0).

    Parameters
    ----------
    graph, branches
        The graph and all its branches.
    times_us
        TX of each node.
    """
    among = [False] * len(graph.names)
    for branch in branches:
        if not branch.independent:
            for node in branch.members:
                among[node] = True
    trunk_us, _ = longest_path(graph, times_us, among=among)
    independent = [branch for branch in branches if branch.independent]
    # A path through independent branches stays in one, so one search finds the longest of all.
    branch_us, path = longest_path(graph, times_us, among=[not trunk for trunk in among])
    hidden = sorted(
        node for branch in independent if path[0] not in branch.members for node in branch.members
    )
    return Overlap(trunk_us + branch_us, path, tuple(hidden))


def t_async(expansion: Expansion, platform: Platform, times_us: Sequence[int]) -> Asynchronous:
    """Return the asynchronous makespan and what is masked in it (Eqs. 3, 4, 6 and 7, C = 0).

    Parameters
    ----------
    expansion
        The unrolled workflow.
    platform
        Where it runs; it decides what can be masked (see `stretto.model.masking`).
    times_us
        TX of each set of the workflow.

    Notes
    -----
    Never shorter than the longest path of the unrolled graph, which no overlap can hide.
    """
    n_sets = len(times_us)
    graph = graph_of(expansion)
    iteration = iteration_graph(expansion.workflow)
    branches = branches_of(iteration)
    paced = masked_by_pacemaker(expansion, platform, pacemaker(iteration, times_us))
    hidden_by: dict[int, tuple[int, ...]] = {node: (by,) for node, by in paced.items()}
    total_us = 0
    for first in range(0, len(expansion.instances), n_sets):
        left_us = [
            0 if first + place in paced else time_us for place, time_us in enumerate(times_us)
        ]
        one = overlap(iteration, branches, left_us)
        total_us += one.time_us
        by = tuple(first + place for place in one.path if first + place not in paced)
        for place in one.hidden:
            if by:
                hidden_by.setdefault(first + place, by)
    path_us, _ = longest_path(graph, list(times_us) * expansion.workflow.iterations)
    return Asynchronous(
        max(total_us, path_us),
        tuple(
            Masked(graph.names[node], tuple(graph.names[other] for other in by), time_us)
            for node, by in sorted(hidden_by.items())
            for time_us in [times_us[node % n_sets]]
        ),
    )


def iteration_graph(workflow: Workflow) -> Graph:
    """Return the dependency graph of a single iteration."""
    return graph_of(expand(workflow.with_iterations(1)))
