"""When a node is not there: from its loss to its return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stretto.errors import WorkflowError

__all__ = ["Outage", "checked_outages"]


class Outage(NamedTuple):
    """One node is lost, and perhaps comes back.

    Parameters
    ----------
    node
        Its number in the platform.
    lost_us
        When it is lost, in microseconds of workflow time.
    returned_us
        When it is back, later than that; `None` if never, or not yet.
    """

    node: int
    lost_us: int
    returned_us: int | None = None


def checked_outages(outages: Sequence[Outage], *, n_nodes: int) -> tuple[Outage, ...]:
    """Return outages in the order of their losses.

    Raises
    ------
    WorkflowError
        If a node is not there, is back before it was lost, or is lost while it is lost.
    """
    back_us: dict[int, int | None] = {}
    found = tuple(sorted(outages, key=lambda one: (one.lost_us, one.node)))
    for node, lost_us, returned_us in found:
        if not 0 <= node < n_nodes:
            raise WorkflowError(f"there is no node {node}; expected 0 to {n_nodes - 1}")
        if lost_us < 0 or (returned_us is not None and returned_us <= lost_us):
            raise WorkflowError(
                f"expected node {node} back after it is lost, found {lost_us} to {returned_us} us"
            )
        before_us = back_us.get(node, 0)
        if before_us is None or lost_us < before_us:
            raise WorkflowError(f"node {node} is lost at {lost_us} us, when it is lost already")
        back_us[node] = returned_us
    return found
