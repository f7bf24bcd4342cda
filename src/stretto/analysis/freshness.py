"""How old the input was that tasks used, where a description lets it be old."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from stretto.trace import Trace

__all__ = ["Freshness", "freshness"]


@dataclass(frozen=True, slots=True)
class Freshness:
    """The ages of one input of one task set, over all of its finished and running attempts.

    Parameters
    ----------
    task_set, on
        Who used the results of whom.
    ages
        How many attempts used input of which age, in iterations beyond the previous one, as
        pairs in order; age `None` for those that had to do without.
    """

    task_set: str
    on: str
    ages: tuple[tuple[int | None, int], ...]

    def __str__(self) -> str:
        words = {None: "none yet", 0: "newest"}
        parts = [f"{words.get(age, f'{age} older')} {count}" for age, count in self.ages]
        return f"{self.task_set} used {self.on}: {', '.join(parts)}"


def freshness(trace: Trace) -> list[Freshness]:
    """Return the ages of every input that could be old, in the order of the description.

    An input could be old where its dependency has a staleness above 0, and an iteration came
    before.  Age 0 is the previous iteration's result.
    """
    instances = trace.expansion().instances
    rows = trace.instance()
    counted: dict[tuple[int, str], Counter[int | None]] = {}
    n_sets = len(trace.workflow.task_sets)
    for row, inputs in trace.inputs.items():
        instance = instances[rows[row]]
        for on, iteration in inputs:
            age = None if iteration is None else instance.iteration - 1 - iteration
            counted.setdefault((instance.index % n_sets, on), Counter())[age] += 1
    return [
        Freshness(trace.workflow.task_sets[place].name, on, _sorted(ages))
        for (place, on), ages in sorted(counted.items())
    ]


def _sorted(ages: Counter[int | None]) -> tuple[tuple[int | None, int], ...]:
    return tuple(sorted(ages.items(), key=lambda pair: (pair[0] is None, pair[0] or 0)))
