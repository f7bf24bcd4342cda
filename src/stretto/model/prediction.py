"""The whole model of a workflow on a platform, in one frozen result.

Formulas only: nothing is scheduled here.  The simulator derives the same quantities by another
road, and each checks the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from stretto.errors import WorkflowError
from stretto.model.bounds import Bounds, bounds_of
from stretto.model.branches import branches_of
from stretto.model.doa import doa_dep, doa_res, doa_width, wla
from stretto.model.graph import graph_of
from stretto.model.improvement import improvement
from stretto.model.makespan import Masked, iteration_graph, set_times, t_async, t_seq, t_seq_ranks
from stretto.model.steady import Steady, steady_of
from stretto.platform import Platform, check_fits
from stretto.workflow import Expansion, Workflow, expand

__all__ = ["MOST_INSTANCES", "Model", "model_of"]

MOST_INSTANCES = 20_000
"""Limit on task sets times iterations: what depends on what takes that many bits for each."""


@dataclass(frozen=True, slots=True)
class Model:
    """What the formulas say about a workflow on a platform, without overheads.

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
    branches
        Names of the sets in each independent branch; there are ``doa_dep + 1``.
    trunk
        Names of the sets that lead to more than one sink.
    masked
        Sets that add nothing to `t_async_us`, and what hides them.
    t_seq_us
        Sequential makespan with the workflow's stages (Eq. 2).
    t_seq_ranks_us
        The same with one stage a rank.
    t_async_us
        Asynchronous makespan (Eqs. 3, 4, 6 and 7).
    improvement
        I of `t_async_us` over `t_seq_us` (Eq. 5).
    bounds
        Lower bounds of any makespan.
    steady
        How fast the loop can turn; `None` where there is one iteration.

    Notes
    -----
    Where the duration of a set is unknown, the times, `improvement`, `bounds` and `steady`
    are `None` and
    `masked` is empty.
    """

    doa_dep: int
    doa_width: int
    doa_res: int
    wla: int
    branches: tuple[tuple[str, ...], ...]
    trunk: tuple[str, ...]
    masked: tuple[Masked, ...]
    t_seq_us: int | None
    t_seq_ranks_us: int | None
    t_async_us: int | None
    improvement: float | None
    bounds: Bounds | None
    steady: Steady | None


def model_of(workflow: Workflow, platform: Platform) -> Model:
    """Return the model of a workflow on a platform; the same arguments give the same result.

    Parameters
    ----------
    workflow
        At most `MOST_INSTANCES` task sets over all iterations.
    platform
        Where it would run.

    Raises
    ------
    WorkflowError
        If a task fits on no part of the platform, or the loop is too long.
    """
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
    independent = [branch.members for branch in branches if branch.independent]
    trunk = [branch.members for branch in branches if not branch.independent]
    times_us = set_times(workflow, platform)
    times = _times(expansion, platform, times_us)
    return Model(
        doa_dep=dep,
        doa_width=doa_width(graph),
        doa_res=res,
        wla=wla(dep, res),
        branches=tuple(tuple(graph.names[node] for node in members) for members in independent),
        trunk=tuple(graph.names[node] for members in trunk for node in members),
        masked=times.masked,
        t_seq_us=times.seq_us,
        t_seq_ranks_us=times.seq_ranks_us,
        t_async_us=times.async_us,
        improvement=times.improvement,
        bounds=bounds_of(expansion, graph, platform, times_us) if times_us else None,
        steady=steady_of(workflow, iteration_graph(workflow), platform, times_us)
        if times_us and workflow.iterations > 1
        else None,
    )


class _Times(NamedTuple):
    seq_us: int | None
    seq_ranks_us: int | None
    async_us: int | None
    improvement: float | None
    masked: tuple[Masked, ...]


def _times(expansion: Expansion, platform: Platform, times_us: tuple[int, ...] | None) -> _Times:
    workflow = expansion.workflow
    if times_us is None:
        return _Times(None, None, None, None, ())
    seq_us = t_seq(workflow, times_us)
    overlapped = t_async(expansion, platform, times_us)
    return _Times(
        seq_us=seq_us,
        seq_ranks_us=t_seq_ranks(workflow, times_us),
        async_us=overlapped.time_us,
        improvement=improvement(overlapped.time_us, seq_us),
        masked=overlapped.masked,
    )
