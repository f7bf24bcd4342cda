"""Rehearsals of one moment under several policies, and which of them ends first.

A rehearsal that comes as far as the best so far has ended is cut off: it cannot win.  Policies that
rank what is left alike are rehearsed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stretto.scheduler.adaptive.alternatives import SEQUENTIAL
from stretto.scheduler.adaptive.beliefs import Belief
from stretto.scheduler.adaptive.outline import Outline
from stretto.scheduler.adaptive.ranks import Ranks
from stretto.scheduler.adaptive.rehearsal import NEVER_US, Foreseen, rehearsed
from stretto.scheduler.adaptive.standing import Standing
from stretto.scheduler.policy import Policy
from stretto.units import US_PER_SECOND

__all__ = ["Comparison"]

EXACTLY = 1000.0
"""Shorter times are told in four digits."""

_Likeness = tuple[object, ...]


class Comparison:
    """The policy in force and others, tried out from where a run stands.

    Parameters
    ----------
    policy, in_force
        The policy in force, and how it has ranked the sets: by what was believed then.
    ranks
        How any policy ranks them, by what is believed now.
    beliefs
        By kind.
    most_events
        What each rehearsal may cost.
    """

    def __init__(
        self,
        outline: Outline,
        standing: Standing,
        policy: Policy,
        *,
        in_force: Sequence[int],
        ranks: Ranks,
        beliefs: Sequence[Belief],
        most_events: int,
    ) -> None:
        self.standing = standing
        self.policy = policy
        self.now_us = standing.now_us
        self.spent = 0
        """Simulated events so far."""
        self._outline = outline
        self._ranks = ranks
        self._beliefs = beliefs
        self._most_events = most_events
        self._left = [index for index, tasks in enumerate(standing.unlaunched) if tasks]
        self._foreseen: dict[Policy, Foreseen] = {}
        self._alike: dict[_Likeness, Foreseen] = {}
        self.present = self._tried(policy, in_force, whole=True)
        """What comes of going on as before."""

    def foreseen(self, policy: Policy, *, whole: bool = False) -> Foreseen:
        """Return what a change to a policy leads to.

        Parameters
        ----------
        whole
            Whether to rehearse to the end although it ends later than others.
        """
        if policy not in self._foreseen:
            self._foreseen[policy] = self._tried(policy, self._ranks.of(policy), whole=whole)
        return self._foreseen[policy]

    def order(self, policy: Policy) -> list[int]:
        """Return the sets that have tasks to launch, best first."""
        return self._ordered(self._ranks.of(policy))

    def best(self) -> Policy:
        """Return the policy that ends first; of several, the one that was tried first."""
        return min(self._foreseen, key=lambda policy: self._foreseen[policy].end_us)

    def reason(self, chosen: Policy) -> str:
        """Return in words what a choice leads to, and what the alternatives would have cost."""
        fresh = [one for one in chosen.waits if one not in self.policy.waits]
        told = [f"{held} waits for fresh input from {until} at no cost" for held, until in fresh]
        now, before = _at(self.foreseen(chosen)), _at(self.present)
        so_far = "in the order so far" if chosen == self.policy else f"under {self.policy}"
        others = [f"{before} {so_far}"] if now != before else []
        if SEQUENTIAL in self._foreseen:
            others.append(f"{_at(self._foreseen[SEQUENTIAL])} sequentially")
        end = f"the run is expected to end at {now}"
        end += f", as {so_far}" if now == before else ""
        end += f", instead of {' or '.join(others)}" if others else ""
        return "; ".join([*told, end])

    def _ordered(self, priorities: Sequence[int]) -> list[int]:
        return sorted(self._left, key=lambda index: (-priorities[index], index))

    def _tried(self, policy: Policy, priorities: Sequence[int], *, whole: bool) -> Foreseen:
        likeness = (replace(policy, rule="", first=None), *self._ordered(priorities))
        if likeness not in self._alike:
            ends_us = [one.end_us for one in self._alike.values()]
            found = rehearsed(
                self._outline,
                self.standing,
                policy,
                priorities=priorities,
                beliefs=self._beliefs,
                most_events=self._most_events,
                not_after_us=NEVER_US if whole else min(ends_us, default=NEVER_US),
            )
            self.spent += found.events
            self._alike[likeness] = found
        return self._alike[likeness]


def _at(foreseen: Foreseen) -> str:
    end_s = foreseen.end_us / US_PER_SECOND
    return f"{end_s:.0f} s" if end_s >= EXACTLY else f"{end_s:.4g} s"
