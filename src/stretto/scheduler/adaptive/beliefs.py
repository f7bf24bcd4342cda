"""How long tasks take, as far as anyone knows by now.

A belief begins with the description, which counts as `PRIOR_WEIGHT` observations, and moves to what
is observed.  The last `KEPT` durations of a kind of task are kept; what lies further than `FAR`
robust standard deviations from their median counts as if it lay there, so that a straggler moves
a belief little.  A task that still runs is evidence too: it lasts at least as long as it has run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Belief", "Learned"]

PRIOR_WEIGHT = 2
"""Observations that the description's guess is worth."""
KEPT = 64
"""Observations of a kind that are kept."""
FAR = 4.0
"""Robust standard deviations beyond which an observation is taken for a straggler."""
_MAD_TO_SD = 1.4826
_UNKNOWN_SPREAD = 20
"""Of what nobody has described or seen, the spread is the mean over this."""


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed of the duration of one kind of task.

    Parameters
    ----------
    mean_us, spread_us
        Mean and standard deviation.
    """

    mean_us: int
    spread_us: int


class Learned:
    """The durations of one kind of task: the description's guess, and what was observed.

    Parameters
    ----------
    prior
        What the description says, if it says anything.
    """

    __slots__ = ("_prior", "_recent", "seen")

    def __init__(self, prior: Belief | None) -> None:
        self._prior = prior
        self._recent: deque[int] = deque(maxlen=KEPT)
        self.seen = 0
        """Observations so far."""

    def add(self, duration_us: int) -> None:
        """Learn from a task that finished."""
        self._recent.append(duration_us)
        self.seen += 1

    @property
    def known(self) -> bool:
        """Whether anything is known at all."""
        return self._prior is not None or self.seen > 0

    @property
    def telling(self) -> bool:
        """Whether so many observations are a time to ask whether they tell something new."""
        return self.seen & (self.seen - 1) == 0 or self.seen % KEPT == 0

    def belief(self, nominal_us: int, running_us: Sequence[int] = ()) -> Belief:
        """Return what is believed now.

        Parameters
        ----------
        nominal_us
            Stands for a duration of which nothing is known.
        running_us
            How long tasks have been running that still are.
        """
        prior, seen = self._prior, len(self._recent)
        weight = 0 if prior is None else PRIOR_WEIGHT
        mean_us, spread_us = self._observed()
        if prior is not None:
            mean_us = (weight * prior.mean_us + seen * mean_us) // (weight + seen)
            spread_us = (weight * prior.spread_us + seen * spread_us) // (weight + seen)
        elif not seen:
            mean_us = nominal_us
        overdue = [one for one in running_us if one > mean_us]
        if overdue:
            if weight + seen:
                mean_us += sum(one - mean_us for one in overdue) // (weight + seen + len(overdue))
            else:
                mean_us = max(overdue)
        if prior is None and seen < PRIOR_WEIGHT:
            spread_us = mean_us // _UNKNOWN_SPREAD
        return Belief(mean_us, spread_us)

    def _observed(self) -> tuple[int, int]:
        """Return the mean and the standard deviation of the last durations, stragglers drawn in."""
        if not self._recent:
            return 0, 0
        middle = median(self._recent)
        far = FAR * _MAD_TO_SD * median(abs(one - middle) for one in self._recent)
        drawn_in = [min(max(one, middle - far), middle + far) for one in self._recent]
        mean = sum(drawn_in) / len(drawn_in)
        variance = sum((one - mean) ** 2 for one in drawn_in) / len(drawn_in)
        return round(mean), round(variance**0.5)
