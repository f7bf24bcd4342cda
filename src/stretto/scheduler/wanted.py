"""How much of each set is wanted and there: what thresholds and drops are decided by.

Where a set is waited for as a whole it is enough to count what has not finished, which the state
does for every set.  A quorum needs to know how many have finished of how many that are wanted, and
which of the gates that wait for so many are still closed.
"""

from __future__ import annotations

from stretto.scheduler.events import Told
from stretto.scheduler.gates import GatedSet, Threshold
from stretto.workflow import Quorum

__all__ = ["Wanted"]


class Wanted:
    """Counts by set, and what results have said."""

    __slots__ = ("ahead", "counts", "doubtful", "dropped", "finished", "told")

    def __init__(self) -> None:
        self.counts: list[int] = []
        """By set: tasks, wanted or not."""
        self.finished: list[int] = []
        """By set: tasks that have finished."""
        self.dropped: list[int] = []
        """By set: tasks that were dropped."""
        self.ahead: list[list[Threshold]] = []
        """By set: gates that wait for more of its tasks to finish."""
        self.told: dict[int, Told] = {}
        """By set: what the result of its task has said."""
        self.doubtful: list[int] = []
        """Sets of which something was learnt that may make tasks useless."""

    def add(self, gated: GatedSet) -> None:
        """Know one set more."""
        self.counts.append(gated.count)
        self.finished.append(0)
        self.dropped.append(0)
        self.ahead.append(list(gated.thresholds))
        if gated.prunes is not None and gated.prunes.wanted is not None:
            self.doubtful.append(len(self.finished) - 1)

    def tasks(self, index: int) -> int:
        """Return how many tasks of a set are wanted."""
        return self.counts[index] - self.dropped[index]

    def reached(self, index: int, enough: Quorum) -> bool:
        """Return whether so many tasks of a set have finished, of those that are wanted."""
        return self.finished[index] >= enough.needed(self.tasks(index))

    def passed(self, index: int) -> list[Threshold]:
        """Return the gates that wait no longer, each once."""
        passed = [one for one in self.ahead[index] if self.reached(index, one.enough)]
        for one in passed:
            self.ahead[index].remove(one)
        return passed

    def look_at(self, index: int, gated: GatedSet) -> None:
        """Note that a set may have become useless, if enough of its tasks have finished."""
        enough = None if gated.prunes is None else gated.prunes.enough
        if enough is not None and self.reached(index, enough):
            self.doubtful.append(index)

    def note_told(self, index: int, told: Told) -> None:
        """Keep what the result of a set's task says."""
        self.told[index] = told
        self.doubtful.append(index)
