"""Nodes that are lost, and that come back.

A node is lost after the attempts that lay on it, so a state in which something runs on a lost node
does not exist.  It then looks full to whoever searches for room (see `slots`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stretto.scheduler.events import Lost, NodeLost, NodeReturned
from stretto.scheduler.impossible import impossible

if TYPE_CHECKING:
    from stretto.scheduler.state import State

__all__ = ["lose_or_restore", "losses"]


def losses(state: State, node: int, time_us: int) -> list[Lost | NodeLost]:
    """Return the events that the loss of a node means: its attempts are gone, and then itself.

    None if it is known to be lost.  A task that has a rank there is gone with all of its ranks.
    """
    if node in state.slots.lost:
        return []
    reason = f"{state.slots.nodes[node].name} was lost"
    gone = [
        Lost(task, state.attempts[task], time_us, reason)
        for task, bundle in sorted(state.bundle_of.items())
        if any(slot.node == node for slot in state.placements[bundle])
    ]
    return [*gone, NodeLost(node, time_us)]


def lose_or_restore(state: State, event: NodeLost | NodeReturned) -> None:
    """Place nothing on a node anymore, or tasks again."""
    slots = state.slots
    lost = isinstance(event, NodeLost)
    if not (slots.lose(event.node) if lost else slots.restore(event.node)):
        raise impossible(state, event)
    state.unsettled = state.unsettled or not lost
