"""A run at its beginning: the state from which everything that happens is folded."""

from __future__ import annotations

from collections.abc import Sequence

from stretto.platform import Node
from stretto.scheduler.adaptive import Mind, outline_of
from stretto.scheduler.gates import GatedSet, Mode, gated_sets
from stretto.scheduler.order import Order
from stretto.scheduler.state import State
from stretto.workflow import Expansion

__all__ = ["begun"]


def begun(
    expansion: Expansion,
    nodes: Sequence[Node],
    *,
    mode: Mode,
    order: Order,
    sets: Sequence[GatedSet] | None = None,
) -> State:
    """Return the state of a run of which nothing has happened yet.

    Parameters
    ----------
    order
        Which set goes first; in adaptive mode to begin with.
    sets
        The sets with their gates, where they are not simply those of the mode.

    Raises
    ------
    WorkflowError
        If the order ranks a set that is not there.
    """
    sets = gated_sets(expansion, mode) if sets is None else sets
    state = State(sets, nodes, order.priorities(sets), strict=order.strict)
    if mode is Mode.ADAPTIVE:
        state.mind = Mind(state, outline_of(expansion, sets, nodes), order)
    return state
