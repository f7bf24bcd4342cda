"""A proven optimum, or a proven bound, by constraint programming (CP-SAT of OR-tools).

The project is given to the solver task by task: a start for each, precedence as inequalities, one
cumulative constraint a resource.  Tasks of a set are alike, and exchanging them gives schedules
that differ by names only: hundreds of factorials of them.  Where that is sound (`Project.alike`)
they are told to start in the order of their numbers, and that is what makes proofs short: what
waits for a whole set waits for its last task only, and the solver sees by the first tasks when the
k-th of a set can start at best.

Resources of a project are pooled, with the pieces that nodes hold; so a bound holds for the nodes
too, and a schedule is to be tried on them.

One worker and a limit counted in deterministic steps give the same answer on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from stretto.errors import WorkflowError
from stretto.optimizer.project import Project, sets_after
from stretto.scheduler import GatedSet, critical_path

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

__all__ = ["MOST_EXACT_TASKS", "Limit", "Proof", "installed", "prove"]

MOST_EXACT_TASKS = 5_000
"""Limit on the tasks of a project that is given to the solver."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How long the solver works at most: deterministic steps (some seconds each), or seconds."""

    steps: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What the solver proved and found, in units of the project.

    Parameters
    ----------
    bound
        No schedule is shorter.
    starts
        Start of each task in the best schedule found; `None` if none is shorter than was known.
    """

    bound: int
    starts: tuple[int, ...] | None


def installed() -> bool:
    """Return whether OR-tools is there."""
    return find_spec("ortools") is not None


def prove(
    project: Project, known: Sequence[int], *, floor: int, limit: Limit, seed: int = 0
) -> Proof:
    """Return a bound, and a schedule shorter than the known one if the solver finds any.

    The solver is asked for a shorter one only: that there is none is easier to see than that the
    known one is best.

    Parameters
    ----------
    project
        At most `MOST_EXACT_TASKS` tasks.
    known
        Start of each task in a schedule that is known, in units.
    floor
        A bound that is known.
    limit
        When to stop.
    seed
        Of the solver.

    Raises
    ------
    WorkflowError
        If OR-tools is not installed, or there are too many tasks.
    """
    if not installed():
        raise WorkflowError("a proof needs OR-tools: pip install 'stretto[bounds]'")
    if project.n_tasks > MOST_EXACT_TASKS:
        raise WorkflowError(f"expected at most {MOST_EXACT_TASKS} tasks, found {project.n_tasks}")
    from ortools.sat.python import cp_model

    floor = max(floor, project.floor)
    ends = np.asarray(known, dtype=np.int64) + project.durations[: project.n_tasks]
    makespan = int(ends.max())
    if makespan <= floor:
        return Proof(makespan, None)
    model = cp_model.CpModel()
    starts = _model(model, project, floor=floor, most=makespan - 1)
    for variable, start in zip(starts, _in_order(project, known), strict=True):
        model.add_hint(variable, start)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed % (1 << 31)
    solver.parameters.linearization_level = 0  # relaxations of cumulatives cost more than they tell
    if limit.steps is not None:
        solver.parameters.max_deterministic_time = limit.steps
    if limit.seconds is not None:
        solver.parameters.max_time_in_seconds = limit.seconds
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return Proof(makespan, None)
    bound = max(floor, math.ceil(solver.best_objective_bound - 1e-6))
    if status == cp_model.UNKNOWN:
        return Proof(bound, None)
    return Proof(bound, tuple(solver.value(variable) for variable in starts))


def _model(
    model: cp_model.CpModel, project: Project, *, floor: int, most: int
) -> list[cp_model.IntVar]:
    """Describe all schedules from `floor` to `most` units; return the starts of the tasks."""
    durations = project.durations.tolist()
    starts = _starts(model, project, most)
    for one, alike in zip(project.sets, project.alike, strict=True):
        if alike:
            tasks = starts[one.first_task : one.first_task + one.count]
            for early, late in pairwise(tasks):
                model.add(early <= late)
            for early, late in zip(tasks, tasks[_together(project, one) :], strict=False):
                model.add(early + durations[one.first_task] <= late)
    for early, late in _needed_edges(project):
        model.add(starts[late] >= starts[early] + durations[early])
    for kind, capacity in enumerate(project.capacities.tolist()):
        held = project.demands[:, kind] * (project.durations > 0)
        users = np.flatnonzero(held).tolist()
        busy = [model.new_fixed_size_interval_var(starts[a], durations[a], "") for a in users]
        model.add_cumulative(busy, held[users].tolist(), capacity)
    makespan = model.new_int_var(floor, most, "")
    waited_for = set(project.edges[0].tolist())
    for activity, start in enumerate(starts):
        if activity not in waited_for:
            model.add(makespan >= start + durations[activity])
    model.minimize(makespan)
    return starts[: project.n_tasks]


def _together(project: Project, one: GatedSet) -> int:
    """Return how many tasks of a set run at once, at most."""
    needs = project.demands[one.first_task]
    limits = project.capacities[needs > 0] // needs[needs > 0]
    return int(min([one.count, *limits.tolist()]))


def _starts(model: cp_model.CpModel, project: Project, most: int) -> list[cp_model.IntVar]:
    """Return a start for each activity, between the longest paths to it and from it."""
    sets, unit_us = project.sets, project.unit_us
    behind = [us // unit_us for us in critical_path(sets)]
    ahead = [0] * len(sets)
    for index in project.ordered:
        end = ahead[index] + int(project.durations[sets[index].first_task])
        for consumer in sets_after(sets[index]):
            ahead[consumer] = max(ahead[consumer], end)
    ranges = [(ahead[index], most - behind[index]) for index in range(len(sets))]
    ranges.append((0, most))  # of a barrier, whose set is -1
    return [model.new_int_var(*ranges[index], "") for index in project.set_of.tolist()]


def _needed_edges(project: Project) -> list[tuple[int, int]]:
    """Return the edges without those that the order of alike tasks implies."""
    lasts = {one.first_task + one.count - 1 for one in project.sets}
    firsts = {one.first_task for one in project.sets}
    alike = [index >= 0 and project.alike[index] for index in project.set_of.tolist()]
    barrier = (project.set_of < 0).tolist()
    return [
        (early, late)
        for early, late in project.edges.T.tolist()
        if not (barrier[late] and alike[early] and early not in lasts)
        and not (barrier[early] and alike[late] and late not in firsts)
    ]


def _in_order(project: Project, starts: Sequence[int]) -> list[int]:
    """Return the starts with those of alike tasks in their order."""
    found = list(starts)
    for one, alike in zip(project.sets, project.alike, strict=True):
        if alike:
            tasks = slice(one.first_task, one.first_task + one.count)
            found[tasks] = sorted(found[tasks])
    return found
