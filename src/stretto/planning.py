"""Plan: what asynchronous execution would gain, before anything is run.

The formulas of the paper and a simulation with the runtime's own scheduler stand side by side;
they share no code, so where they agree both are believable, and where they differ the formula has
assumed resources that are not there, or the schedule has found overlap that the formula does not
know of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stretto.analysis import utilisation
from stretto.model import (
    ASYNCHRONOUS_OVERHEAD,
    FRAMEWORK_OVERHEAD,
    Model,
    corrected,
    improvement,
    model_of,
)
from stretto.platform import Overheads, Platform, platform_for
from stretto.scheduler import Mode
from stretto.simulator import simulate
from stretto.trace import Trace
from stretto.units import us_to_seconds
from stretto.workflow import Workflow

__all__ = ["Plan", "plan"]


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """What is to be expected of a workflow on a platform.

    Parameters
    ----------
    model
        The paper's quantities.
    simulated
        A simulated trace for each mode; empty where a duration is not known.
    """

    workflow: Workflow
    platform: Platform
    model: Model
    simulated: Mapping[Mode, Trace]

    def __repr__(self) -> str:
        times = ", ".join(f"{mode} {one.ttx_us / 1e6:g} s" for mode, one in self.simulated.items())
        return (
            f"<Plan of {self.workflow.name} on {self.platform.name}: WLA {self.model.wla}; "
            f"simulated {times or 'nothing, durations are not known'}>"
        )

    def improvement(self, mode: Mode) -> float | None:
        """Return the simulated I of a mode over sequential execution (Eq. 5)."""
        sequential = self.simulated.get(Mode.SEQUENTIAL)
        trace = self.simulated.get(mode)
        if sequential is None or trace is None:
            return None
        return improvement(trace.ttx_us, sequential.ttx_us)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain values; times in seconds, shares from 0 to 1."""
        model = self.model
        return {
            "workflow": self.workflow.name,
            "platform": self.platform.name,
            "tasks": self.workflow.n_tasks,
            "doa_dep": model.doa_dep,
            "doa_width": model.doa_width,
            "doa_res": model.doa_res,
            "wla": model.wla,
            "branches": [list(branch) for branch in model.branches],
            "masked": [{"set": one.name, "by": list(one.by)} for one in model.masked],
            "bounds": self._bounds(),
            "t_seq_s": _seconds(model.t_seq_us),
            "t_seq_ranks_s": _seconds(model.t_seq_ranks_us),
            "t_async_s": _seconds(model.t_async_us),
            "improvement": model.improvement,
            "corrected": self._corrected(),
            "simulated": {str(mode): self._simulated(mode) for mode in self.simulated},
        }

    def _bounds(self) -> dict[str, float] | None:
        """Return the makespans that no schedule goes below, by their reason."""
        bounds = self.model.bounds
        if bounds is None:
            return None
        return {
            "critical_path_s": us_to_seconds(bounds.critical_path_us),
            "cores_s": us_to_seconds(bounds.area_us("cores")),
            "gpus_s": us_to_seconds(bounds.area_us("gpus")),
            "best_s": us_to_seconds(bounds.best_us),
        }

    def _corrected(self) -> list[dict[str, float | None]]:
        """Return t_async with the paper's overheads, against t_seq without (as in Table 3)."""
        t_seq_us, t_async_us = self.model.t_seq_us, self.model.t_async_us
        if t_seq_us is None or t_async_us is None:
            return []
        return [
            {
                "overhead": float(overhead),
                "t_async_s": us_to_seconds(corrected(t_async_us, overhead)),
                "improvement": improvement(corrected(t_async_us, overhead), t_seq_us),
            }
            for overhead in (FRAMEWORK_OVERHEAD, ASYNCHRONOUS_OVERHEAD)
        ]

    def _simulated(self, mode: Mode) -> dict[str, float | None]:
        trace = self.simulated[mode]
        use = utilisation(trace)
        return {
            "ttx_s": us_to_seconds(trace.ttx_us),
            "improvement": self.improvement(mode),
            "core_utilisation": use.cores,
            "gpu_utilisation": use.gpus,
        }


def plan(
    workflow: Workflow,
    *,
    platform: Platform | str | None = None,
    seed: int = 0,
    overheads: Overheads | None = None,
) -> Plan:
    """Return what is to be expected of a workflow, in every mode.

    Parameters
    ----------
    workflow
        What would run.
    platform
        Where; the description's own unless given, else this machine.
    seed
        Seed of the simulated durations.
    overheads
        What the engine costs in the simulation; nothing unless given.

    Raises
    ------
    WorkflowError
        If a task fits on no node of the platform.
    """
    where = platform_for(workflow, platform)
    model = model_of(workflow, where)
    simulated = {
        mode: simulate(workflow, where, mode=mode, seed=seed, overheads=overheads)
        for mode in (Mode if workflow.durations_known else ())
    }
    return Plan(workflow, where, model, simulated)


def _seconds(us: int | None) -> float | None:
    return None if us is None else us_to_seconds(us)
