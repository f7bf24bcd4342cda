"""How long tasks take, as far as anyone knows by now.

What is believed of a kind of task has two parts.  The *past* is the description's guess, worth
`PRIOR_WEIGHT` observations, into which older observations are folded; it is never worth more than
`PAST_WEIGHT`, so that what changes is noticed.  The *window* holds the `KEPT` tasks that were
launched last, whether they have ended or not: of a wave the short tasks end first, and whoever
counted only what has ended would take them for all.  A task that still runs is evidence, too: it
lasts longer than it has run, by as much as is left of the distribution then (EM for a normal
distribution that is seen in part; Dempster, Laird and Rubin, 1977).  Of a large set only every so
many tasks are looked at, so that the window holds two sets.

What lies further than `FAR` robust standard deviations from the median counts as if it lay there,
so that a straggler moves a belief little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import NamedTuple

__all__ = ["Belief", "Learned"]

PRIOR_WEIGHT = 2
"""Observations that the description's guess is worth."""
WRONG = 0.5
"""A guess that is off by more than this share counts no more, once there are more observations."""
PAST_WEIGHT = 32
"""Observations that the past is worth at most."""
KEPT = 128
"""Tasks in the window."""
FAR = 4.0
"""Robust standard deviations beyond which an observation is taken for a straggler."""
ROUNDS = 8
SETTLED = 0.001
"""Rounds of expectation and maximisation: at most so many, until the mean moves by less."""
_MAD_TO_SD = 1.4826
_UNKNOWN_SPREAD = 0.05
"""Of what nobody has described, the spread is this share of the mean until it is observed."""
_SURE = 3.0
"""That a task still runs so many spreads before the mean says nothing."""
_NORMAL = NormalDist()


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
    """The durations of one kind of task: a guess, and what was observed.

    Parameters
    ----------
    prior
        What the description says, if it says anything.
    tasks
        How many tasks a set of this kind has.
    """

    __slots__ = ("_every", "_past", "_weight", "_window", "seen")

    def __init__(self, prior: Belief | None, tasks: int = 1) -> None:
        self._every = max(1, 2 * tasks // KEPT)
        self._past = prior or Belief(0, 0)
        self._weight = 0 if prior is None else PRIOR_WEIGHT
        self._window: dict[int, int | None] = {}
        """The tasks that were launched last, in that order, and how long each took if it ended."""
        self.seen = 0
        """Tasks that have ended, of those that are looked at."""

    @property
    def known(self) -> bool:
        """Whether anything is known at all."""
        return self._weight > 0 or self.seen > 0

    @property
    def telling(self) -> bool:
        """Whether so many observations are a time to ask whether they tell something new."""
        return self.seen & (self.seen - 1) == 0 or self.seen % KEPT == 0

    def begin(self, task: int) -> None:
        """Note that a task was launched."""
        if task % self._every:
            return
        if task in self._window:  # it is done again
            self._forget(task)
        self._window[task] = None
        if len(self._window) > KEPT:
            self._forget(next(iter(self._window)))

    def end(self, task: int, took_us: int) -> None:
        """Learn from a task that has finished."""
        if task % self._every:
            return
        self.seen += 1
        if task in self._window:
            self._window[task] = took_us
        else:
            self._fold(took_us)

    def belief(self, nominal_us: int, since_us: Mapping[int, int], now_us: int) -> Belief:
        """Return what is believed now.

        Parameters
        ----------
        nominal_us
            Stands for a duration of which nothing is known.
        since_us
            By task in flight: when it was launched.
        """
        took_us = self._took_us()
        runs_us = Counter(
            now_us - since_us[task]
            for task, took in self._window.items()
            if took is None and task in since_us
        )
        weight = self._worth(took_us)
        if not weight and not took_us:
            mean = float(max([nominal_us, *runs_us]))
            return Belief(round(mean), round(mean * _UNKNOWN_SPREAD))
        ended = _Ended.of(weight, self._past, took_us)
        mean, spread = ended.better(0.0, 0.0, {})
        if weight + len(took_us) < PRIOR_WEIGHT:
            spread = mean * _UNKNOWN_SPREAD
        for _ in range(ROUNDS if runs_us else 0):
            before = mean
            mean, spread = ended.better(mean, spread, runs_us)
            if abs(mean - before) < SETTLED * mean:
                break
        return Belief(round(mean), round(spread))

    def _took_us(self) -> list[float]:
        return _drawn_in([took for took in self._window.values() if took is not None])

    def _worth(self, took_us: Sequence[float]) -> int:
        """Return what the past is worth: nothing if it is a guess that has turned out wrong."""
        if self._weight <= PRIOR_WEIGHT < len(took_us):
            middle = median(took_us)
            if abs(self._past.mean_us - middle) > WRONG * middle:
                return 0
        return self._weight

    def _forget(self, task: int) -> None:
        """Take a task out of the window; what it took, if it ended, becomes a part of the past."""
        took_us = self._window[task]
        if took_us is not None:
            self._fold(took_us)
        del self._window[task]

    def _fold(self, took_us: int) -> None:
        """Make what a task took a part of the past."""
        past, weight = self._past, self._weight
        if weight <= PRIOR_WEIGHT:
            weight = self._worth(self._took_us())
        off_us = took_us - past.mean_us
        far = round(FAR * max(past.spread_us, past.mean_us * _UNKNOWN_SPREAD))
        near_us = min(max(off_us, -far), far)
        if weight > PRIOR_WEIGHT:
            off_us = near_us
        variance = weight * (past.spread_us**2 + near_us**2 // (weight + 1)) // (weight + 1)
        self._past = Belief(past.mean_us + off_us // (weight + 1), round(variance**0.5))
        self._weight = min(weight + 1, PAST_WEIGHT)


class _Ended(NamedTuple):
    """What past and ended tasks say: a number of them, their mean, and how much they differ.

    Of the past the spread counts alone: a guess that is off does not say that tasks differ.
    """

    tasks: int
    mean: float
    seen: int
    seen_mean: float
    squares: float

    @classmethod
    def of(cls, weight: int, past: Belief, took_us: Sequence[float]) -> _Ended:
        """Return what a past of this weight and these durations say."""
        seen, total = len(took_us), sum(took_us)
        seen_mean = total / seen if seen else 0.0
        return cls(
            tasks=weight + seen,
            mean=(weight * past.mean_us + total) / (weight + seen),
            seen=seen,
            seen_mean=seen_mean,
            squares=weight * past.spread_us**2 + sum((one - seen_mean) ** 2 for one in took_us),
        )

    def better(self, mean: float, spread: float, runs_us: Mapping[int, int]) -> tuple[float, float]:
        """Return a mean and a spread that explain more than these, with what still runs.

        Parameters
        ----------
        runs_us
            How many tasks have run for so long.
        """
        count, total = self.tasks, self.tasks * self.mean
        squares = 0.0
        for run_us, some in runs_us.items():
            expected, square = _unfinished(mean, spread, run_us)
            count += some
            total += some * expected
            squares += some * square
        found = total / count
        squares += self.squares + self.seen * (self.seen_mean - found) ** 2
        return found, (squares / count) ** 0.5


def _unfinished(mean: float, spread: float, run_us: int) -> tuple[float, float]:
    """Return how long a task is expected to take that has run so long, and its squared error."""
    late = run_us - mean
    if late < -_SURE * spread or not late:
        return mean, spread * spread
    if late > _SURE * spread:
        return float(run_us), late * late
    at = late / spread
    hazard = _NORMAL.pdf(at) / (1 - _NORMAL.cdf(at))
    return mean + spread * hazard, spread * spread * (1 + at * hazard)


def _drawn_in(values: Sequence[int]) -> list[float]:
    """Return observations, those that are far off drawn in."""
    if not values:
        return []
    middle = median(values)
    far = FAR * _MAD_TO_SD * median(abs(one - middle) for one in values)
    return [min(max(one, middle - far), middle + far) for one in values]
