"""A plan as plain values: what `stretto plan --json` prints, by `plan.schema.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stretto.model import ASYNCHRONOUS_OVERHEAD, FRAMEWORK_OVERHEAD, corrected, improvement
from stretto.planning.forecasts import Forecast, Interval
from stretto.scheduler import Mode
from stretto.units import US_PER_SECOND, us_to_seconds

if TYPE_CHECKING:
    from stretto.planning.plan import Plan

__all__ = ["plan_to_json"]

HOUR_US = 3600 * US_PER_SECOND


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Return all of a plan; times in seconds, shares from 0 to 1."""
    return {
        **_what(plan),
        **_degrees(plan),
        **_formulas(plan),
        **_limits(plan),
        "order": plan.order.to_json(),
        "seed": plan.seed,
        "walltime_s": _seconds(plan.walltime_us),
        "simulated": {
            str(mode): _forecast(plan, mode, one) for mode, one in plan.forecasts.items()
        },
        "optimized": _optimized(plan),
        "sensitivity": [
            {"set": one.task_set, "elasticity": one.elasticity} for one in plan.sensitivity
        ],
        "smallest_allocation": _allocation(plan),
        "advice": _advice(plan),
    }


def _what(plan: Plan) -> dict[str, Any]:
    overheads = plan.overheads
    planned = plan.workflow.planned()
    return {
        "workflow": plan.workflow.name,
        "platform": plan.platform.name,
        "nodes": len(plan.platform.nodes),
        "cores": plan.platform.cores,
        "gpus": plan.platform.gpus,
        "iterations": planned.iterations,
        "tasks": planned.n_tasks,
        "assumptions": list(plan.assumptions),
        "overheads": None
        if overheads is None
        else {
            f"{name.removesuffix('_us')}_s": us_to_seconds(us)
            for name, us in asdict(overheads).items()
        },
    }


def _degrees(plan: Plan) -> dict[str, Any]:
    model = plan.model
    return {
        "doa_dep": model.doa_dep,
        "doa_width": model.doa_width,
        "doa_res": model.doa_res,
        "wla": model.wla,
        "ranks": [list(rank) for rank in model.ranks],
        "branches": [list(branch) for branch in model.branches],
        "trunk": list(model.trunk),
        "masked": [
            {"set": one.name, "by": list(one.by), "time_s": us_to_seconds(one.time_us)}
            for one in model.masked
        ],
    }


def _formulas(plan: Plan) -> dict[str, Any]:
    """Return the makespans by formula, raw, and with the overheads of the paper's Table 3."""
    model = plan.model
    t_seq_us, t_async_us = model.t_seq_us, model.t_async_us
    charged = []
    if t_seq_us is not None and t_async_us is not None:
        for overhead in (FRAMEWORK_OVERHEAD, ASYNCHRONOUS_OVERHEAD):
            longer_us = corrected(t_async_us, overhead)
            charged.append(
                {
                    "overhead": float(overhead),
                    "t_async_s": us_to_seconds(longer_us),
                    "improvement": improvement(longer_us, t_seq_us),
                }
            )
    return {
        "t_seq_s": _seconds(t_seq_us),
        "t_seq_ranks_s": _seconds(model.t_seq_ranks_us),
        "t_async_s": _seconds(t_async_us),
        "improvement": model.improvement,
        "corrected": charged,
        "t_seq_with_overheads_s": _seconds(model.t_seq_c_us),
        "t_async_with_overheads_s": _seconds(model.t_async_c_us),
        "improvement_with_overheads": model.improvement_c,
    }


def _limits(plan: Plan) -> dict[str, Any]:
    """Return the bounds of one run, and of the loop's period."""
    bounds, steady = plan.model.bounds, plan.model.steady
    gaps = [plan.optimality_gap(mode) for mode in plan.forecasts]
    return {
        "bounds": None
        if bounds is None
        else {
            "critical_path_s": us_to_seconds(bounds.critical_path_us),
            "areas_s": {name: us_to_seconds(us) for name, us in bounds.areas_us},
            "waves_s": us_to_seconds(bounds.waves_us),
            "energetic_s": us_to_seconds(bounds.energetic_us),
            "counting_s": us_to_seconds(bounds.counting_us),
            "refuted_s": us_to_seconds(bounds.refuted_us),
            "proven_s": _seconds(None if plan.optimized is None else plan.optimized.bound_us),
            "best_s": _seconds(plan.bound_us),
            "binding": bounds.binding,
        },
        "optimality_gap": min((one for one in gaps if one is not None), default=None),
        "period_s": None if steady is None else us_to_seconds(steady.period_us),
        "steady_state": None
        if steady is None
        else {
            "period_s": us_to_seconds(steady.period_us),
            "binds": steady.binds,
            "resources_s": {name: us_to_seconds(us) for name, us in steady.resource_us},
            "recurrence_s": us_to_seconds(steady.recurrence_us),
            "cycle": list(steady.cycle),
            "enough_staleness": steady.enough_staleness,
            "stale_period_s": us_to_seconds(steady.stale_period_us),
        },
    }


def _forecast(plan: Plan, mode: Mode, one: Forecast) -> dict[str, Any]:
    overheads = plan.overheads
    around_us = 0 if overheads is None else overheads.start_us + overheads.stop_us
    hours = len(plan.platform.nodes) / HOUR_US
    node_hours = _scaled(one.ttx_us, hours, around_us)
    return {
        "ttx_s": _scaled(one.ttx_us, 1 / US_PER_SECOND),
        "at_means_s": us_to_seconds(one.at_means_us),
        "draws": len(one.draws_us),
        "improvement": None if one.improvement is None else asdict(one.improvement),
        "core_utilisation": None if one.cores is None else asdict(one.cores),
        "gpu_utilisation": None if one.gpus is None else asdict(one.gpus),
        "optimality_gap": plan.optimality_gap(mode),
        "allocation_s": _scaled(one.ttx_us, 1 / US_PER_SECOND, around_us),
        "chance_within_walltime": None
        if plan.walltime_us is None
        else one.chance_within(plan.walltime_us - around_us),
        "node_hours": node_hours,
        "price": None
        if plan.price is None
        else {name: hours * plan.price for name, hours in node_hours.items()},
    }


def _optimized(plan: Plan) -> dict[str, Any] | None:
    found = plan.optimized
    if found is None:
        return None
    return {
        "ttx_s": us_to_seconds(found.ttx_us),
        "found_by": found.found_by,
        "bound_s": _seconds(found.bound_us),
        "proven": found.proven,
    }


def _allocation(plan: Plan) -> dict[str, Any] | None:
    found = plan.allocation
    if found is None:
        return None
    return {
        "size": found.size,
        "unit": found.unit,
        "within": found.margin,
        "ttx_s": us_to_seconds(found.ttx_us),
        "shortest_s": us_to_seconds(found.shortest_us),
    }


def _advice(plan: Plan) -> dict[str, Any]:
    told = plan.advice
    return {
        "sentence": told.sentence,
        "mode": None if told.mode is None else str(told.mode),
        "order": told.order.to_json(),
        "gain": told.gain,
        "confidence": told.confidence,
        "share_of_draws": told.share,
        "reason": told.reason,
        "staleness": None if told.staler is None else told.staler._asdict(),
    }


def _scaled(interval: Interval, factor: float, more: float = 0) -> Mapping[str, float]:
    return {name: (value + more) * factor for name, value in asdict(interval).items()}


def _seconds(us: int | None) -> float | None:
    return None if us is None else us_to_seconds(us)
