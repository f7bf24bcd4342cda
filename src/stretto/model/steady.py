"""The steady state of a loop: how fast it can turn, whatever the schedule.

This is modulo scheduling, as compilers do it for the loops of a program: no loop turns faster, in
the long run, than the larger of two bounds of its *period*, the time an iteration takes.

*Resources.*  Machines of any kind (`stretto.model.machines`) have in each iteration the work of all
its jobs to do; ``m`` of them need at least the work over ``m``.  So ``n`` iterations take ``n``
times as long, at least.  Slots for whole tasks are machines too: where a node holds one task of a
shape and not one and a half, they are what binds.

*Recurrence.*  A dependency on the previous iteration with staleness ``s`` leads ``s + 1``
iterations on.  Along a cycle of dependencies a set waits for itself of ``N`` iterations before, and
starts no sooner than the times of all sets of the cycle later, ``D``.  So ``n`` iterations take at
least ``(n - 1) // N`` times ``D``, and the period is at least ``D / N``, for the slowest cycle
(`stretto.model.cycles`).  The pattern of a dependency makes no difference, since by each of them a
task waits for at least one task of the set before, and tasks of a set have equal mean durations;
but behind the pattern *all* a set counts all its waves (`stretto.model.spans`).

Staleness makes cycles longer, and so slower cycles faster, until something else binds: resources,
or a cycle in which nothing may be stale.  What is waited for in the same iteration as well may not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from stretto.model.cycles import Arc, on_cycles, slower_cycle, slowest_cycle
from stretto.model.graph import Graph
from stretto.model.machines import areas, machines_of, mean_us
from stretto.model.spans import is_barrier
from stretto.platform import Platform
from stretto.workflow import Workflow

__all__ = ["Steady", "steady_of"]


@dataclass(frozen=True, slots=True)
class Steady:
    """Bounds of the period of a loop in microseconds, rounded up, for mean durations.

    Parameters
    ----------
    period_us
        No schedule turns the loop faster.
    resource_us
        For each resource by name: the period that it allows.
    recurrence_us
        The period that the slowest cycle allows; 0 if no iteration waits for an earlier one.
    cycle
        Names of its sets, each waiting for the one before and the first for the last; it begins
        with the one that is described first.
    cycle_us, cycle_iterations
        Time of the sets of this cycle, and iterations from a set to itself: `recurrence_us` is
        their quotient.
    binds
        What `period_us` comes from: the name of a resource, or ``recurrence`` if that is slower
        than each of them.
    enough_staleness
        The least staleness at which more gains nothing, given to every dependency on the previous
        iteration that may be stale; `None` if no cycle has one.
    stale_period_us
        The period at this staleness; `period_us` if there is none.
    """

    period_us: int
    resource_us: tuple[tuple[str, int], ...]
    recurrence_us: int
    cycle: tuple[str, ...]
    cycle_us: int
    cycle_iterations: int
    binds: str
    enough_staleness: int | None
    stale_period_us: int


def steady_of(
    workflow: Workflow, iteration: Graph, platform: Platform, times_us: Sequence[int]
) -> Steady:
    """Return the steady state of a workflow, however often it says that it is iterated.

    Parameters
    ----------
    workflow
        The duration of every set is known.
    iteration
        Graph of one iteration.
    platform
        Where it runs; each task fits.
    times_us
        For each set duration times waves.
    """
    arcs, can_be_stale = _arcs(workflow, iteration, times_us)
    cycle = slowest_cycle(len(times_us), arcs)
    recurrence = Fraction(0) if cycle is None else cycle.quotient
    resources = _by_resource(workflow, platform)
    slowest, by_resources = max(resources, key=lambda one: one[1])
    period = max(recurrence, by_resources)
    enough, stale = _enough(len(times_us), arcs, can_be_stale, by_resources)
    return Steady(
        period_us=ceil(period),
        resource_us=tuple((name, ceil(one)) for name, one in resources),
        recurrence_us=ceil(recurrence),
        cycle=tuple(workflow.task_sets[place].name for place in cycle.sets) if cycle else (),
        cycle_us=cycle.time_us if cycle else 0,
        cycle_iterations=cycle.iterations if cycle else 0,
        binds="recurrence" if recurrence > by_resources else slowest,
        enough_staleness=enough,
        stale_period_us=ceil(period if enough is None else stale),
    )


def _arcs(
    workflow: Workflow, iteration: Graph, times_us: Sequence[int]
) -> tuple[list[Arc], list[bool]]:
    """Return the arcs of the loop, and for each whether its input may be stale.

    They come in the order of the ranks of an iteration.
    """
    place = {task_set.name: number for number, task_set in enumerate(workflow.task_sets)}
    arcs, can_be_stale = [], []
    for behind in iteration.order:
        task_set = workflow.task_sets[behind]
        now = {one.on for one in task_set.after if not one.previous}
        for one in task_set.after:
            before = place[one.on]
            alone_us = mean_us(workflow.task_sets[before])
            time_us = times_us[before] if is_barrier(one.pattern) else alone_us
            arcs.append(Arc(before, behind, time_us, one.distance))
            can_be_stale.append(one.previous and one.on not in now)
    return arcs, can_be_stale


def _by_resource(workflow: Workflow, platform: Platform) -> list[tuple[str, Fraction]]:
    """Return the period that each kind of resource allows, by amounts and by slots."""
    periods = dict(areas(workflow, platform))
    for machines in machines_of(workflow, platform):
        work_us = sum(
            tasks * each * mean_us(task_set)
            for task_set, tasks, each in zip(
                workflow.task_sets, workflow.least_tasks, machines.jobs, strict=True
            )
        )
        period = Fraction(work_us, machines.number)
        periods[machines.kind] = max(periods[machines.kind], period)
    return list(periods.items())


def _enough(
    n_sets: int, arcs: Sequence[Arc], can_be_stale: Sequence[bool], by_resources: Fraction
) -> tuple[int | None, Fraction]:
    """Return the staleness from which on what may be stale binds no more, and the period there."""
    fixed = [arc for arc, stale in zip(arcs, can_be_stale, strict=True) if not stale]
    slowest = slowest_cycle(n_sets, fixed, than=by_resources)
    least = by_resources if slowest is None else slowest.quotient
    on_cycle = on_cycles(n_sets, arcs)
    if not any(stale and on for stale, on in zip(can_be_stale, on_cycle, strict=True)):
        return None, least

    def binds(staleness: int) -> bool:
        """Return whether some cycle is slower than what there is anyway."""
        staler = [
            arc._replace(iterations=staleness + 1) if stale else arc
            for arc, stale in zip(arcs, can_be_stale, strict=True)
        ]
        return slower_cycle(n_sets, staler, than=least) is not None

    beyond = 1
    while binds(beyond - 1):
        beyond *= 2
    # At `below` something binds, or it is no staleness; at `enough` nothing does.
    below, enough = beyond // 2 - 1, beyond - 1
    while enough - below > 1:
        middle = (below + enough) // 2
        below, enough = (middle, enough) if binds(middle) else (below, middle)
    return enough, least
