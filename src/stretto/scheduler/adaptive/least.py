"""What is left takes at least so long, whatever the policy: where a run cannot gain, none is tried.

The longest chain of sets that wait for each other, each as long as its slowest task is expected to
take if all its tasks run at once; and the area that is left of each resource, over its size.
"""

from __future__ import annotations

from collections.abc import Sequence

from stretto.scheduler.adaptive.beliefs import Belief
from stretto.scheduler.adaptive.outline import Outline
from stretto.scheduler.adaptive.spread import ends_us
from stretto.scheduler.adaptive.standing import Standing

__all__ = ["least_us"]


def least_us(outline: Outline, standing: Standing, beliefs: Sequence[Belief]) -> int:
    """Return the time before which the run is not expected to end under any policy."""
    behind_us = _behind_us(outline, beliefs)
    now_us = latest_us = standing.now_us
    for index, tasks in enumerate(standing.ready):
        if tasks:  # what does not wait could start now; what waits is behind something else
            latest_us = max(latest_us, now_us + behind_us[index])
    running = [0] * len(outline.counts)
    for group in standing.groups:
        after_us = behind_us[group.set_index] - _slowest_us(outline, beliefs, group.set_index)
        latest_us = max(latest_us, group.end_us + after_us)
        running[group.set_index] += group.tasks * (group.end_us - now_us)
    return max(latest_us, now_us + rest_us(outline, standing.unlaunched, beliefs, running))


def rest_us(
    outline: Outline,
    unlaunched: Sequence[int],
    beliefs: Sequence[Belief],
    running_us: Sequence[int] | None = None,
) -> int:
    """Return how long all nodes need at least for what is still to be launched, and for what runs.

    Parameters
    ----------
    unlaunched
        By set: tasks.
    running_us
        By set: how long its running tasks will go on, together.
    """
    areas = [0] * len(outline.totals)
    for index, tasks in enumerate(unlaunched):
        busy_us = tasks * beliefs[outline.kinds[index]].mean_us
        busy_us += running_us[index] if running_us is not None else 0
        if busy_us:
            needs = outline.needs[outline.shapes[index]]
            for number, amount in needs.amounts:
                areas[number] += busy_us * needs.ranks * amount
    pairs = zip(areas, outline.totals, strict=True)
    return max((area // total for area, total in pairs if total), default=0)


def _behind_us(outline: Outline, beliefs: Sequence[Belief]) -> list[int]:
    """Return, by set, how long it and the longest chain of sets behind it take."""
    behind_us = [0] * len(outline.counts)
    for index in outline.upstream:
        longest = max((behind_us[one] for one in outline.after[index]), default=0)
        behind_us[index] = longest + _slowest_us(outline, beliefs, index)
    return behind_us


def _slowest_us(outline: Outline, beliefs: Sequence[Belief], index: int) -> int:
    """Return how long the slowest task of a set takes; its mean if nothing waits for them all."""
    belief = beliefs[outline.kinds[index]]
    if outline.after[index] and not outline.opens[index]:
        return belief.mean_us
    return ends_us(outline.counts[index], belief.mean_us, belief.spread_us)[-1][1]
