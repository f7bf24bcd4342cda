"""What is to be expected, with an interval: the runtime's scheduler over seeded draws.

Durations vary, so a makespan does.  Each *draw* is one seed of the durations; all modes meet the
same draws, so I is a mean over pairs and not a ratio of means.  Draw number ``k`` of a forecast
with seed ``s`` is what ``simulate(seed=s + k)`` plays.  Percentiles are those of the draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stretto.model import improvement
from stretto.platform import Overheads, Platform
from stretto.scheduler import Mode, Order
from stretto.simulator import Makespans, Simulator
from stretto.units import whole_number
from stretto.workflow import Constant, Workflow

__all__ = ["Forecast", "Interval", "draws_for", "forecasts", "ttx_us"]

DRAWS = 20
"""Draws of each mode unless told otherwise, where durations vary."""
FEWEST_DRAWS = 5
MOST_DRAWS = 100_000
TASKS_DRAWN = 200_000
"""Of large workflows fewer draws are made, so that about so many tasks are simulated in all."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Mean, 5th and 95th percentile of what was drawn."""

    mean: float
    p5: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Return the interval of some values, at least one."""
        low, high = np.percentile(values, (5, 95))
        return cls(float(np.mean(values)), float(low), float(high))


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be expected of one mode.

    Parameters
    ----------
    mode
        The mode.
    at_means_us
        TTX where every task takes its mean duration, in microseconds.
    draws_us
        TTX of each draw.
    improvements
        I over sequential execution of the same draw (Eq. 5); empty where TTX is 0.
    ttx_us, improvement, cores, gpus
        Intervals of TTX, I, and of the shares of cores and GPUs in use; `None` where there are
        none.
    """

    mode: Mode
    at_means_us: int
    draws_us: tuple[int, ...]
    improvements: tuple[float, ...]
    cores: Interval | None
    gpus: Interval | None

    @property
    def ttx_us(self) -> Interval:
        """Interval of TTX, in microseconds."""
        return Interval.of(self.draws_us)

    @property
    def improvement(self) -> Interval | None:
        """Interval of I."""
        return Interval.of(self.improvements) if self.improvements else None

    def chance_within(self, span_us: int) -> float:
        """Return the share of the draws whose TTX is no longer than that."""
        return sum(one <= span_us for one in self.draws_us) / len(self.draws_us)


def draws_for(workflow: Workflow, draws: int | None = None) -> int:
    """Return how many draws a forecast makes.

    Parameters
    ----------
    workflow
        One draw is enough where no duration varies, and fewer are made of a large one.
    draws
        What the user wants, if anything.

    Raises
    ------
    WorkflowError
        If `draws` is no whole number from 1.
    """
    if draws is not None:
        return whole_number("draws", draws, 1, MOST_DRAWS)
    if all(isinstance(one.duration, Constant) for one in workflow.task_sets):
        return 1
    return max(FEWEST_DRAWS, min(DRAWS, TASKS_DRAWN // (workflow.planned().n_tasks * len(Mode))))


def forecasts(
    workflow: Workflow,
    platform: Platform,
    *,
    seed: int,
    draws: int,
    overheads: Overheads,
    order: Order,
    modes: Sequence[Mode] = tuple(Mode),
) -> Mapping[Mode, Forecast]:
    """Return a forecast for each mode; every duration must be known.

    Parameters
    ----------
    workflow, platform, overheads, order
        As for `stretto.simulate`.
    seed, draws
        Seeds `seed` up to ``seed + draws`` are played, in adaptive mode the first half of them.
    modes
        Sequential mode is always among them: I is over it.
    """
    wanted = dict.fromkeys((Mode.SEQUENTIAL, *modes))
    drawn = {
        mode: Simulator(workflow, platform, mode=mode, order=order, overheads=overheads).ttx(
            range(seed, seed + _own_draws(mode, draws))
        )
        for mode in wanted
    }
    sequential = drawn[Mode.SEQUENTIAL]
    return {
        mode: Forecast(
            mode=mode,
            at_means_us=ttx_us(workflow, platform, mode=mode, overheads=overheads, order=order),
            draws_us=tuple(own.ttx_us.tolist()),
            improvements=_improvements(own, sequential),
            cores=Interval.of(own.cores.tolist()),
            gpus=None if own.gpus is None else Interval.of(own.gpus.tolist()),
        )
        for mode, own in drawn.items()
    }


def _own_draws(mode: Mode, draws: int) -> int:
    """Return how many of the draws a mode is played with: one that rehearses costs far more."""
    return -(-draws // 2) if mode is Mode.ADAPTIVE else draws


def ttx_us(
    workflow: Workflow, platform: Platform, *, mode: Mode, overheads: Overheads, order: Order
) -> int:
    """Return the makespan where every task takes its mean duration, in microseconds."""
    means = workflow.at_means()
    simulator = Simulator(means, platform, mode=mode, order=order, overheads=overheads)
    return simulator.makespan_us()


def _improvements(own: Makespans, sequential: Makespans) -> tuple[float, ...]:
    pairs = zip(own.ttx_us.tolist(), sequential.ttx_us.tolist(), strict=False)
    found = (improvement(one, base) for one, base in pairs)
    return tuple(one for one in found if one is not None)
