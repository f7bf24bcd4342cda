"""Simulate a workflow: description, platform, mode, order and seed in; trace or makespan out.

There are two roads.  The readable one drives the runtime's own scheduler with a virtual clock.  The
compiled one plays the same on arrays, for worlds in which nothing fails, and is taken where it
covers the workflow and pays; both come to the same trace, to the microsecond and the core, so that
nobody can tell which was taken but by the time it took.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stretto.errors import under_key
from stretto.platform import (
    Outage,
    Overheads,
    Platform,
    check_fits,
    checked_outages,
    platform_for,
)
from stretto.scheduler import (
    Limited,
    Mode,
    Order,
    begun,
    check_room,
    gated_sets,
    unstarted,
    until_us,
)
from stretto.simulator.compiled import pays, uncovered, uncovered_durations
from stretto.simulator.virtual import play, with_stages
from stretto.simulator.world import DrawnWorld, World
from stretto.trace import Kind, Outcome, Trace, TraceBuilder
from stretto.units import GPU_MILLI
from stretto.workflow import Workflow, drawn_durations_us, expand

if TYPE_CHECKING:
    from stretto.simulator.compiled.records import Board

__all__ = ["Makespans", "Simulator", "simulate"]


@dataclass(frozen=True, slots=True, eq=False)
class Makespans:
    """What several seeds come to, in columns of shape ``(seeds,)``.

    Parameters
    ----------
    ttx_us
        Makespan (TTX): first task start to last task end, in microseconds.
    cores, gpus
        Shares of the allocation in use over TTX, from 0 to 1; `gpus` is `None` where the platform
        has none.
    """

    ttx_us: NDArray[np.int64]
    cores: NDArray[np.float64]
    gpus: NDArray[np.float64] | None


class Simulator:
    """A workflow made ready once, to be simulated many times.

    Parameters
    ----------
    workflow, platform
        What runs on what; the description's platform unless given, else this machine.
    mode
        Sequential, asynchronous, task-level or adaptive.
    order
        Which set goes first: the name of a rule, or an `Order`.
    overheads
        What the engine costs; nothing unless given.

    Raises
    ------
    WorkflowError
        If a task fits on no node, or the order does not fit.
    """

    def __init__(
        self,
        workflow: Workflow,
        platform: Platform | str | None = None,
        *,
        mode: Mode | str = Mode.ASYNCHRONOUS,
        order: Order | str = "critical-path",
        overheads: Overheads | None = None,
    ) -> None:
        self.workflow = workflow
        self.platform = platform_for(workflow, platform)
        check_fits(workflow, self.platform)
        check_room(workflow, self.platform)
        self.mode = Mode(mode)
        self.overheads = overheads or Overheads()
        self._expansion = expand(workflow)
        self._sets = with_stages(gated_sets(self._expansion, self.mode), self.overheads)
        self._uncovered = uncovered(self._sets, len(self.platform.nodes))
        self._board: Board | None = None
        self._set_order(order)

    def _set_order(self, order: Order | str) -> None:
        self.order = Order.of(order)
        self._priorities = self.order.priorities(self._sets)
        self._ordered: Board | None = None

    def reordered(self, order: Order | str) -> Simulator:
        """Return the same with another order.

        Raises
        ------
        WorkflowError
            If the order does not fit.
        """
        other = object.__new__(Simulator)
        other.__dict__.update(self.__dict__)
        other._set_order(order)
        return other

    def trace(
        self,
        seed: int = 0,
        *,
        world: World | None = None,
        outages: Sequence[Outage] = (),
        walltime: float | str | None = None,
    ) -> Trace:
        """Return what would happen with the durations of this seed.

        Parameters
        ----------
        world
            What becomes of each attempt; drawn from the description's durations unless given.
        outages, walltime
            As in `simulate`.

        Raises
        ------
        WorkflowError
            If a duration is not known, or the walltime or an outage is none.
        """
        n_nodes = len(self.platform.nodes)
        outages = under_key("outages", partial(checked_outages, n_nodes=n_nodes), outages)
        limit = None if walltime is None else self._limit(walltime)
        if world is None and limit is None and not outages:
            board = (
                self._played(seed) if self._is_covered() and pays(self._expansion.n_tasks) else None
            )
            if board is not None:
                return self._trace_of(board, seed)
        drawn = DrawnWorld(self._expansion, seed) if world is None else world
        return self._read(drawn, seed, outages=outages, limit=limit)

    def _limit(self, walltime: float | str) -> Limited:
        around_us = self.overheads.start_us + self.overheads.stop_us
        return Limited(under_key("walltime", until_us, walltime) - around_us, 0)

    def makespan_us(self, seed: int = 0) -> int:
        """Return the makespan (TTX) with the durations of this seed, in microseconds.

        Raises
        ------
        WorkflowError
            If a duration is not known.
        """
        return int(self.ttx((seed,)).ttx_us[0])

    def ttx(self, seeds: Iterable[int]) -> Makespans:
        """Return makespan and utilisation for each seed, as the traces would have them.

        Raises
        ------
        WorkflowError
            If a duration is not known.
        """
        seeds = list(seeds)
        compiled = self._is_covered() and pays(len(seeds) * self._expansion.n_tasks)
        found = [self._figures(seed, compiled=compiled) for seed in seeds]
        ttx_us, cores, gpus = zip(*found, strict=True) if found else ((), (), ())
        return Makespans(
            ttx_us=np.array(ttx_us, dtype=np.int64),
            cores=np.array(cores, dtype=np.float64),
            gpus=np.array(gpus, dtype=np.float64) if self.platform.gpus else None,
        )

    # The readable road.

    def _read(
        self,
        world: World,
        seed: int,
        *,
        outages: Sequence[Outage] = (),
        limit: Limited | None = None,
    ) -> Trace:
        order = self.order
        state = begun(
            self._expansion, self.platform.nodes, mode=self.mode, order=order, sets=self._sets
        )
        builder = TraceBuilder()
        if limit is not None:
            state.apply(limit)
        observe, overheads = builder.add, self.overheads
        with _no_collection():
            end_us = play(state, world, overheads=overheads, observe=observe, outages=outages)
        if limit is not None and (left := unstarted(state)):
            builder.note(end_us, f"stopped by its walltime; still to be launched: {left}")
        return builder.trace(
            self.workflow,
            self.platform,
            mode=self.mode,
            order=order,
            seed=seed,
            kind=Kind.SIMULATED,
        )

    # The compiled road.

    def _is_covered(self) -> bool:
        return self._uncovered is None and self.mode is not Mode.ADAPTIVE

    def _played(self, seed: int) -> Board | None:
        """Return the board after the game of a seed; `None` if its durations are not covered."""
        from stretto.simulator.compiled.boards import board_of, ordered, played

        durations_us = drawn_durations_us(self._expansion, seed)
        if uncovered_durations(self._sets, durations_us, self.overheads) is not None:
            return None
        if self._board is None:
            self._board = board_of(self._sets, self.platform.nodes, self.overheads)
        if self._ordered is None:
            self._ordered = ordered(self._board, self._priorities, strict=self.order.strict)
        return played(self._ordered, durations_us)

    def _trace_of(self, board: Board, seed: int) -> Trace:
        from stretto.simulator.compiled.columns import inputs_of, placements_of

        rows = board.rows
        return Trace(
            workflow=self.workflow,
            platform=self.platform,
            mode=self.mode,
            seed=seed,
            kind=Kind.SIMULATED,
            task=rows["task"].copy(),
            attempt=np.ones(len(rows), dtype=np.int64),
            launched_us=rows["launched_us"].copy(),
            started_us=rows["started_us"].copy(),
            ended_us=rows["ended_us"].copy(),
            outcome=np.full(len(rows), Outcome.FINISHED, dtype=np.int8),
            placements=placements_of(board, self._sets),
            inputs=inputs_of(board, self._sets),
            order=self.order,
        )

    # Figures without a trace.

    def _figures(self, seed: int, *, compiled: bool) -> tuple[int, float, float]:
        """Return TTX in microseconds, and what share of cores and GPUs was in use."""
        board = self._played(seed) if compiled else None
        if board is not None:
            columns = board.rows["task"], board.rows["started_us"], board.rows["ended_us"]
        else:
            trace = self._read(DrawnWorld(self._expansion, seed), seed)
            ran = trace.started_us >= 0  # what was dropped may never have started
            columns = trace.task[ran], trace.started_us[ran], trace.ended_us[ran]
        task, started_us, ended_us = columns
        ttx_us = int(ended_us.max() - started_us.min())
        held_us = np.zeros(self._expansion.n_tasks, dtype=np.int64)
        held_us[task] = ended_us - started_us
        sums_us = _sums(held_us, [one.first_task for one in self._sets])
        busy = [
            (one.shape.ranks * us, one.shape) for one, us in zip(self._sets, sums_us, strict=True)
        ]
        cores = sum(us * shape.cores for us, shape in busy)
        gpus_milli = sum(us * shape.gpus_milli for us, shape in busy)
        whole = (self.platform.cores * ttx_us, self.platform.gpus * GPU_MILLI * ttx_us)
        return (
            ttx_us,
            cores / whole[0] if whole[0] else 0.0,
            gpus_milli / whole[1] if whole[1] else 0.0,
        )


def _sums(values: NDArray[np.int64], firsts: list[int]) -> list[int]:
    """Return the sum from each first to the next, whatever its length in bits."""
    low = np.add.reduceat(values & 0xFFFFFFFF, firsts).tolist()
    high = np.add.reduceat(values >> 32, firsts).tolist()
    return [more * 2**32 + less for more, less in zip(high, low, strict=True)]


def simulate(
    workflow: Workflow,
    platform: Platform | str | None = None,
    *,
    mode: Mode | str = Mode.ASYNCHRONOUS,
    seed: int = 0,
    overheads: Overheads | None = None,
    order: Order | str = "critical-path",
    world: World | None = None,
    outages: Sequence[Outage] = (),
    walltime: float | str | None = None,
) -> Trace:
    """Return what would happen: the runtime's scheduler on a virtual clock.

    Parameters
    ----------
    workflow, platform
        What runs on what; the description's platform unless given, else this machine.
    mode
        Sequential, asynchronous, task-level or adaptive.
    seed
        Seed of the durations; the same seed gives the same trace, to the microsecond.
    overheads
        What the engine costs; nothing unless given.
    order
        Which set goes first: the name of a rule, or an `Order`.
    world
        What becomes of each attempt; drawn from the description's durations unless given.
    outages
        Which nodes are lost when, and when they are back.
    walltime
        How long the allocation lasts, in seconds or as text such as ``"2h30m"``.  Nothing is
        launched that is not expected to end before; what does not is cancelled.  The trace is then
        not complete, and its last note says what was not started.

    Raises
    ------
    WorkflowError
        If a task fits on no node, a duration is not known, the order does not fit, or the walltime
        or an outage is none.
    """
    simulator = Simulator(workflow, platform, mode=mode, order=order, overheads=overheads)
    return simulator.trace(seed, world=world, outages=outages, walltime=walltime)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the cyclic garbage collector: a simulation makes no cycles, and millions of tuples."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
