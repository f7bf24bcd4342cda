"""Plan: what asynchronous execution would gain, before a node-hour is spent.

The formulas of the paper and simulations with the runtime's own scheduler stand side by side; they
share no code, so where they agree both are believable, and where they differ the formula has
assumed resources that are not there, or the schedule has found overlap that the formula does not
know of.  Bounds say how far from the optimum the schedules are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stretto.errors import WorkflowError
from stretto.model import Model, model_of
from stretto.optimizer import Optimized, optimize
from stretto.planning.advice import INSIDE, Advice, Staler, advice, no_advice
from stretto.planning.allocations import MARGIN, Allocation, smallest_allocation
from stretto.planning.document import plan_to_json
from stretto.planning.forecasts import Forecast, draws_for, forecasts, ttx_us
from stretto.planning.sensitivity import Sensitivity, sensitivities
from stretto.platform import Overheads, Platform, platform_for
from stretto.scheduler import RULES, Mode, Order, check_room
from stretto.units import span_to_us
from stretto.workflow import Workflow

__all__ = ["Plan", "plan"]

OVERLAPPING = tuple(mode for mode in Mode if mode is not Mode.SEQUENTIAL)
FIXED = (Mode.ASYNCHRONOUS, Mode.TASK_LEVEL)
"""Modes that keep to the order they were given; adaptive mode finds another by itself."""


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """What is to be expected of a workflow on a platform.

    Parameters
    ----------
    workflow, platform
        What runs on what.
    model
        The paper's quantities, bounds and the steady state.
    overheads
        What the engine costs in the simulations; `None` where nobody said.
    order
        In which order sets go in the simulations.
    seed
        Seed of the first draw.
    forecasts
        By mode; empty where a duration is not known.
    advice
        What to do.
    sensitivity
        Whose durations matter most, in the advised mode.
    allocation
        The smallest one that still does it, in the advised mode.
    optimized
        What a search for a better order found, if there was one.
    walltime_us
        How long the allocation is held, if the user said so.
    price
        Of a node-hour, if the user said so.
    """

    workflow: Workflow
    platform: Platform
    model: Model
    overheads: Overheads | None
    order: Order
    seed: int
    forecasts: Mapping[Mode, Forecast]
    advice: Advice
    sensitivity: tuple[Sensitivity, ...]
    allocation: Allocation | None
    optimized: Optimized | None
    walltime_us: int | None
    price: float | None

    def __repr__(self) -> str:
        times = ", ".join(
            f"{mode} {one.ttx_us.mean / 1e6:g} s" for mode, one in self.forecasts.items()
        )
        return (
            f"<Plan of {self.workflow.name} on {self.platform.name}: WLA {self.model.wla}; "
            f"expected {times or 'nothing, durations are not known'}>"
        )

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What results decide, and what the plan goes by instead, in words."""
        loop = [] if self.workflow.open_loop is None else [f"{self.workflow.open_loop}"]
        counts = [
            f"{one.name}: {one.open_count}" for one in self.workflow.task_sets if one.open_count
        ]
        return (*loop, *counts)

    @property
    def bound_us(self) -> int | None:
        """The best lower bound known: the model's, or what the search has proven."""
        known = [self.model.bounds.best_us] if self.model.bounds is not None else []
        if self.optimized is not None and self.optimized.bound_us is not None:
            known.append(self.optimized.bound_us)
        return max(known, default=None)

    def improvement(self, mode: Mode) -> float | None:
        """Return the mean I of a mode over sequential execution (Eq. 5)."""
        found = self.forecasts[mode].improvement if mode in self.forecasts else None
        return None if found is None else found.mean

    def optimality_gap(self, mode: Mode) -> float | None:
        """Return by which share TTX at mean durations is above the best lower bound."""
        bound_us = self.bound_us
        if mode not in self.forecasts or not bound_us:
            return None
        return self.forecasts[mode].at_means_us / bound_us - 1

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain values (docs/plan.md); times in seconds, shares from 0 to 1."""
        return plan_to_json(self)


def plan(
    workflow: Workflow,
    *,
    platform: Platform | str | None = None,
    seed: int = 0,
    draws: int | None = None,
    overheads: Overheads | None = None,
    order: Order | str = "critical-path",
    walltime: float | str | None = None,
    price: float | None = None,
    within: float = MARGIN,
    optimize_seconds: float | None = None,
    optimize_rounds: int | None = None,
) -> Plan:
    """Return what is to be expected of a workflow, in every mode.

    Parameters
    ----------
    workflow
        What would run.
    platform
        Where; the description's own unless given, else this machine.
    seed
        Seed of the first draw of the durations, and of the search.
    draws
        How often durations are drawn; 20 unless given, fewer of large workflows, and once where no
        duration varies.
    overheads
        What the engine costs; with none given, the simulations have none and the advice charges
        the paper's percentages.
    order
        In which order sets go: the name of a rule, or an `Order`.
    walltime
        How long the allocation is held, in seconds or as text (``"2h30m"``): the plan tells the
        chance that the run fits.
    price
        Of a node-hour, in any currency.
    within
        Share by which a run on the smallest allocation may be longer than the shortest.
    optimize_seconds, optimize_rounds
        Budget of a search for a better order: by the clock, or in schedules, which gives the same
        result for the same seed.

    Raises
    ------
    WorkflowError
        If a task fits on no node of the platform, or an argument cannot be used.
    """
    where = platform_for(workflow, platform)
    _check_shares(price, within)
    check_room(workflow, where)
    model = model_of(workflow, where, overheads=overheads or Overheads())
    order = Order.of(order)
    walltime_us = None if walltime is None else span_to_us(walltime)
    count = draws_for(workflow, draws)
    known = workflow.durations_known
    costs = overheads or Overheads()
    optimized = None
    if optimize_seconds is not None or optimize_rounds is not None:
        optimized = optimize(
            workflow,
            where,
            seconds=optimize_seconds,
            rounds=optimize_rounds,
            seed=seed,
            overheads=costs,
        )
        order = optimized.order
    expected: Mapping[Mode, Forecast] = {}
    if known:
        expected = forecasts(workflow, where, seed=seed, draws=count, overheads=costs, order=order)
    told = _advice(workflow, where, model, expected, overheads, order, seed)
    mode = told.mode or Mode.TASK_LEVEL
    return Plan(
        workflow=workflow,
        platform=where,
        model=model,
        overheads=overheads,
        order=order,
        seed=seed,
        forecasts=expected,
        advice=told,
        sensitivity=tuple(
            sensitivities(workflow, where, mode=mode, overheads=costs, order=told.order)
            if known
            else ()
        ),
        allocation=smallest_allocation(
            workflow, where, mode=mode, overheads=costs, order=told.order, margin=within
        )
        if known
        else None,
        optimized=optimized,
        walltime_us=walltime_us,
        price=price,
    )


def _advice(
    workflow: Workflow,
    where: Platform,
    model: Model,
    expected: Mapping[Mode, Forecast],
    overheads: Overheads | None,
    order: Order,
    seed: int,
) -> Advice:
    """Weigh the modes in the order as it is, in the best other rule, and with more staleness."""
    if not expected:
        return no_advice([one.name for one in workflow.task_sets if one.duration is None])
    costs = overheads or Overheads()
    candidates = [(expected[mode], order) for mode in OVERLAPPING]
    other = _better_rule(workflow, where, costs, order, expected[Mode.TASK_LEVEL].at_means_us)
    if other is not None:
        draws = len(expected[Mode.SEQUENTIAL].draws_us)
        again = forecasts(
            workflow, where, seed=seed, draws=draws, overheads=costs, order=other, modes=FIXED
        )
        candidates += [(again[mode], other) for mode in FIXED]
    return advice(
        candidates,
        overheads_given=overheads is not None,
        staler=_staler(workflow, where, model, costs, order, expected),
    )


def _better_rule(
    workflow: Workflow, where: Platform, costs: Overheads, order: Order, ttx_now_us: int
) -> Order | None:
    """Return the rule that is best at mean durations, if it is better by more than a little."""
    found = {
        rule: ttx_us(workflow, where, mode=Mode.TASK_LEVEL, overheads=costs, order=Order(rule))
        for rule in RULES
        if Order(rule) != order
    }
    best = min(found, key=lambda rule: found[rule])
    return Order(best) if found[best] < (1 - INSIDE) * ttx_now_us else None


def _staler(
    workflow: Workflow,
    where: Platform,
    model: Model,
    costs: Overheads,
    order: Order,
    expected: Mapping[Mode, Forecast],
) -> Mapping[Mode, Staler]:
    """Return what the staleness at which more gains nothing would gain, where it is worth it."""
    staleness = None if model.steady is None else model.steady.enough_staleness
    declared = max(
        (one.staleness for task_set in workflow.task_sets for one in task_set.after), default=0
    )
    if staleness is None or staleness <= declared:
        return {}
    older = workflow.with_staleness(staleness)
    found: dict[Mode, Staler] = {}
    for mode in OVERLAPPING:
        now_us = expected[mode].at_means_us
        then_us = ttx_us(older, where, mode=mode, overheads=costs, order=order)
        if then_us < (1 - INSIDE) * now_us:
            found[mode] = Staler(staleness, 1 - then_us / now_us)
    return found


def _check_shares(price: float | None, within: float) -> None:
    if price is not None and not 0 <= price < float("inf"):
        raise WorkflowError(f"expected a price from 0, found {price}", path=("price",))
    if not 0 <= within <= 10:
        raise WorkflowError(f"expected a share from 0 to 10, found {within}", path=("within",))
