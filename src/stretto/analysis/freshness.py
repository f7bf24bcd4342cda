"""How old the input was that tasks used, where a description lets it be old."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from stretto.analysis.serials import serials
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
    numbers = serials(trace.workflow)
    iterations, places = numbers.iteration(trace.task), numbers.place(trace.task)
    counted: dict[tuple[int, str], Counter[int | None]] = {}
    for row, inputs in trace.inputs.items():
        for on, iteration in inputs:
            age = None if iteration is None else int(iterations[row]) - 1 - iteration
            counted.setdefault((int(places[row]), on), Counter())[age] += 1
    return [
        Freshness(numbers.names[place], on, _sorted(ages))
        for (place, on), ages in sorted(counted.items())
    ]


def _sorted(ages: Counter[int | None]) -> tuple[tuple[int | None, int], ...]:
    return tuple(sorted(ages.items(), key=lambda pair: (pair[0] is None, pair[0] or 0)))
