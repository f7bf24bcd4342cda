"""Simulate a workflow: description, platform, mode and seed in, trace out."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from stretto.platform import Overheads, Platform, check_fits, platform_for
from stretto.scheduler import Mode, Order, State, check_room, gated_sets
from stretto.simulator.virtual import play, with_stages
from stretto.simulator.world import DrawnWorld, World
from stretto.trace import Kind, Trace, TraceBuilder
from stretto.workflow import Workflow, expand

__all__ = ["simulate"]


def simulate(
    workflow: Workflow,
    platform: Platform | str | None = None,
    *,
    mode: Mode | str = Mode.ASYNCHRONOUS,
    seed: int = 0,
    overheads: Overheads | None = None,
    order: Order | str = "critical-path",
    world: World | None = None,
) -> Trace:
    """Return what would happen: the runtime's scheduler on a virtual clock.

    Parameters
    ----------
    workflow, platform
        What runs on what; the description's platform unless given, else this machine.
    mode
        Sequential, asynchronous or task-level.
    seed
        Seed of the durations; the same seed gives the same trace, to the microsecond.
    overheads
        What the engine costs; nothing unless given.
    order
        Which set goes first: the name of a rule, or an `Order`.
    world
        What becomes of each attempt; drawn from the description's durations unless given.

    Raises
    ------
    WorkflowError
        If a task fits on no node, a duration is not known, or the order does not fit.
    """
    platform = platform_for(workflow, platform)
    check_fits(workflow, platform)
    check_room(workflow, platform)
    expansion = expand(workflow)
    order = Order.of(order)
    overheads = overheads or Overheads()
    sets = with_stages(gated_sets(expansion, Mode(mode)), overheads)
    state = State(sets, platform.nodes, order.priorities(sets), strict=order.strict)
    builder = TraceBuilder()

    world = DrawnWorld(expansion, seed) if world is None else world
    with _no_collection():
        play(state, world, overheads=overheads, observe=builder.add)
    return builder.trace(
        workflow, platform, mode=Mode(mode), order=order, seed=seed, kind=Kind.SIMULATED
    )


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
