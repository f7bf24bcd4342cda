"""The whole model of a workflow on a platform, in one frozen result.

Formulas only: nothing is scheduled here.  The simulator derives the same quantities by another
road, and each checks the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from stretto.errors import WorkflowError
from stretto.model.bounds import Bounds, bounds_of
from stretto.model.branches import branches_of
from stretto.model.doa import doa_dep, doa_res, doa_width, wla
from stretto.model.graph import Graph, graph_of
from stretto.model.improvement import improvement
from stretto.model.machines import mean_us
from stretto.model.makespan import (
    Masked,
    eq_7_terms,
    iteration_graph,
    rooms,
    set_times,
    t_async,
    t_seq,
    t_seq_ranks,
)
from stretto.model.overheads import asked_to_end_us, in_a_row_us
from stretto.model.steady import Steady, steady_of
from stretto.platform import Overheads, Platform, check_fits
from stretto.workflow import Expansion, Workflow, expand

__all__ = ["MOST_INSTANCES", "Model", "model_of"]

MOST_INSTANCES = 20_000
"""Limit on task sets times iterations: what depends on what takes that many bits for each."""


@dataclass(frozen=True, slots=True)
class Model:
    """What the formulas say about a workflow on a platform.

    Parameters
    ----------
    doa_dep
        Independent branches - 1 (section 5.1).
    doa_width
        Width of the dependency graph - 1; never less than `doa_dep`.
    doa_res
        Branches that fit together inside one rank - 1 (section 5.2).
    wla
        The smaller of `doa_dep` and `doa_res` (Eq. 1).
    ranks
        Names of the sets in each rank, from the sources.
    branches
        Names of the sets in each independent branch; there are ``doa_dep + 1``.
    trunk
        Names of the sets that lead to more than one sink.
    masked
        Sets that add nothing to `t_async_us`, and what hides them.
    t_seq_us
        Sequential makespan with the workflow's stages (Eq. 2, C = 0).
    t_seq_ranks_us
        The same with one stage a rank.
    t_async_us
        Asynchronous makespan (Eqs. 3, 4, 6 and 7, C = 0).
    improvement
        I of `t_async_us` over `t_seq_us` (Eq. 5).
    improvement_ranks
        The same over `t_seq_ranks_us`.
    t_k_us
        What Eq. 7 adds up: for each ``k`` less than the number of iterations the total TX of the
        sets that are masked exactly ``k`` times.
    t_seq_c_us, t_seq_ranks_c_us, t_async_c_us, improvement_c
        The same as those without ``c``, with the C of the overheads that were given (see
        `stretto.model.overheads`).
    bounds
        Lower bounds of any makespan, without overheads.
    steady
        How fast the loop can turn; `None` where there is one iteration.

    Notes
    -----
    Where the duration of a set is unknown, all times, `improvement`, `bounds` and `steady` are
    `None` and `masked` and `t_k_us` are empty.
    """

    doa_dep: int
    doa_width: int
    doa_res: int
    wla: int
    ranks: tuple[tuple[str, ...], ...]
    branches: tuple[tuple[str, ...], ...]
    trunk: tuple[str, ...]
    masked: tuple[Masked, ...] = ()
    t_seq_us: int | None = None
    t_seq_ranks_us: int | None = None
    t_async_us: int | None = None
    improvement: float | None = None
    improvement_ranks: float | None = None
    t_k_us: tuple[int, ...] = ()
    t_seq_c_us: int | None = None
    t_seq_ranks_c_us: int | None = None
    t_async_c_us: int | None = None
    improvement_c: float | None = None
    bounds: Bounds | None = None
    steady: Steady | None = None


def model_of(
    workflow: Workflow, platform: Platform, *, overheads: Overheads | None = None
) -> Model:
    """Return the model of a workflow on a platform; the same arguments give the same result.

    Parameters
    ----------
    workflow
        At most `MOST_INSTANCES` task sets over all iterations.  What results decide in it is what
        is expected.
    platform
        Where it would run.
    overheads
        What the engine costs, for the values with C; nothing unless given.

    Raises
    ------
    WorkflowError
        If a task fits on no part of the platform, or the loop is too long.
    """
    workflow = workflow.planned()
    check_fits(workflow, platform)
    instances = workflow.iterations * len(workflow.task_sets)
    if instances > MOST_INSTANCES:
        raise WorkflowError(
            f"{instances} task sets in all iterations; the model takes at most {MOST_INSTANCES}",
            path=("iterations",),
        )
    expansion = expand(workflow)
    graph = graph_of(expansion)
    branches = branches_of(graph)
    dep = doa_dep(graph)
    res = doa_res(expansion, graph, branches, platform)
    degrees = Model(
        doa_dep=dep,
        doa_width=doa_width(graph),
        doa_res=res,
        wla=wla(dep, res),
        ranks=tuple(_names(graph, rank) for rank in graph.ranks),
        branches=tuple(_names(graph, one.members) for one in branches if one.independent),
        trunk=tuple(
            name for one in branches if not one.independent for name in _names(graph, one.members)
        ),
    )
    times_us = set_times(workflow, platform)
    if times_us is None:
        return degrees
    return _with_times(degrees, expansion, graph, platform, times_us, overheads or Overheads())


def _names(graph: Graph, nodes: Iterable[int]) -> tuple[str, ...]:
    return tuple(graph.names[node] for node in nodes)


def _with_times(
    degrees: Model,
    expansion: Expansion,
    graph: Graph,
    platform: Platform,
    times_us: Sequence[int],
    overheads: Overheads,
) -> Model:
    """Return the model with all that follows from durations."""
    workflow = expansion.workflow
    iteration = iteration_graph(workflow)
    overlapped = t_async(expansion, graph, iteration, platform, times_us)
    with_c_us = _with_c(workflow, platform, overheads)
    seq_us = workflow.iterations * sum(t_seq(workflow, times_us))
    ranks_us = workflow.iterations * sum(t_seq_ranks(iteration, times_us))
    seq_c_us = in_a_row_us(workflow.iterations * t_seq(workflow, with_c_us), overheads)
    async_c_us = in_a_row_us(
        [with_c_us[node % len(with_c_us)] for node in overlapped.counted], overheads
    )
    return replace(
        degrees,
        masked=overlapped.masked,
        t_seq_us=seq_us,
        t_seq_ranks_us=ranks_us,
        t_async_us=overlapped.time_us,
        improvement=improvement(overlapped.time_us, seq_us),
        improvement_ranks=improvement(overlapped.time_us, ranks_us),
        t_k_us=eq_7_terms(overlapped.counted, times_us, workflow.iterations),
        t_seq_c_us=seq_c_us,
        t_seq_ranks_c_us=in_a_row_us(
            workflow.iterations * t_seq_ranks(iteration, with_c_us), overheads
        ),
        t_async_c_us=async_c_us,
        improvement_c=improvement(async_c_us, seq_c_us),
        bounds=bounds_of(expansion, graph, platform, _least_us(workflow, platform)),
        steady=steady_of(workflow, iteration, platform, times_us)
        if workflow.iterations > 1
        else None,
    )


def _least_us(workflow: Workflow, platform: Platform) -> tuple[int, ...]:
    """Return duration times waves for each set, without stragglers that may be cancelled."""
    counts = zip(workflow.task_sets, workflow.least_tasks, rooms(workflow, platform), strict=True)
    return tuple(mean_us(one) * -(-tasks // at_once) for one, tasks, at_once in counts)


def _with_c(workflow: Workflow, platform: Platform, overheads: Overheads) -> tuple[int, ...]:
    """Return for each set how long it takes from being asked for to its last end."""
    return tuple(
        asked_to_end_us(task_set.tasks, at_once, mean_us(task_set), overheads)
        for task_set, at_once in zip(workflow.task_sets, rooms(workflow, platform), strict=True)
    )
