"""Lower bounds of the makespan: no schedule, however clever and in whatever mode, ends sooner.

They hold for mean durations, without overheads; what an engine costs makes schedules longer only.
From the simplest to the strongest:

*Critical path*: the longest chain of tasks that wait for each other.  Tasks of a set have the same
mean duration, and by every pattern a task waits for at least one task of each set before it; so the
longest chain of tasks is as long as the longest path of sets.

*Area* of a resource: what all tasks hold of it times how long they hold it; at no time do they hold
more than there is, so the whole takes at least the area over the size of the platform.

*Waves*: the longest path, where a set counts all its waves if what follows waits for the whole of
it, and so does the set at which one looks (`stretto.model.spans`): from its head to its tail all
its tasks must run, and no more of them at once than the empty platform holds.

*Energetic reasoning* and *counting*: the same as area, and as waves, for all that must run between
a head and a tail, for many of both (`stretto.model.windows`); the head and the tail come on top.

*Refutation*: what follows if a schedule is assumed that ends sooner (`stretto.model.refutation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from stretto.model.graph import Graph, longest_path
from stretto.model.machines import areas, machines_of, mean_us
from stretto.model.refutation import refuted_us
from stretto.model.spans import Spans, links_of, longest_us, spans_of
from stretto.model.windows import Jobs, jobs_on, needed_us, windows
from stretto.platform import Platform
from stretto.workflow import Expansion

__all__ = ["Bounds", "bounds_of"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Lower bounds of the makespan in microseconds, for mean durations.

    Parameters
    ----------
    critical_path_us
        Longest chain of tasks.
    areas_us
        For each resource by name: area over the size of the platform.
    waves_us
        Longest path with all waves of the sets that others wait for as a whole.
    energetic_us
        Largest area between a head and a tail, with both on top; not less than critical path and
        areas.
    counting_us
        The same by counting whole tasks instead of area; not less than waves.
    refuted_us
        The earliest end that could not be refuted; not less than the others.
    """

    critical_path_us: int
    areas_us: tuple[tuple[str, int], ...]
    waves_us: int
    energetic_us: int
    counting_us: int
    refuted_us: int

    def area_us(self, resource: str) -> int:
        """Return the bound by the area of a resource, 0 if nobody needs any."""
        return dict(self.areas_us).get(resource, 0)

    @property
    def best_us(self) -> int:
        """The largest of them."""
        return self.refuted_us

    @property
    def binding(self) -> str:
        """The simplest one that is as large as the largest.

        One of ``critical path``, ``area of RESOURCE``, ``waves``, ``energetic reasoning``,
        ``counting`` and ``refutation``.
        """
        named = {
            "critical path": self.critical_path_us,
            **{f"area of {resource}": area_us for resource, area_us in self.areas_us},
            "waves": self.waves_us,
            "energetic reasoning": self.energetic_us,
            "counting": self.counting_us,
        }
        return next((name for name, us in named.items() if us == self.best_us), "refutation")


def bounds_of(
    expansion: Expansion, graph: Graph, platform: Platform, times_us: Sequence[int]
) -> Bounds:
    """Return the bounds of a workflow where it fits.

    Parameters
    ----------
    expansion, graph
        The unrolled workflow and its graph; the duration of every set is known.
    platform
        Where it runs.
    times_us
        For each set duration times waves, without stragglers that may be cancelled.
    """
    workflow = expansion.workflow
    lengths_us = [mean_us(task_set) for task_set in workflow.task_sets]
    path_us, _ = longest_path(graph, lengths_us * workflow.iterations)
    links = links_of(expansion, graph, lengths_us, times_us)
    nothing = [0] * len(expansion.instances)
    spans = spans_of(links, Spans(nothing, nothing))
    jobs = [
        jobs_on(one, lengths_us, workflow.least_tasks) for one in machines_of(workflow, platform)
    ]
    areas_us = tuple(
        (name, ceil(workflow.iterations * area)) for name, area in areas(workflow, platform)
    )
    waves_us = longest_us(spans, times_us)
    energetic_us, counting_us = _in_windows(jobs, spans)
    energetic_us = max(energetic_us, path_us, *(area_us for _, area_us in areas_us))
    counting_us = max(counting_us, waves_us)
    return Bounds(
        critical_path_us=path_us,
        areas_us=areas_us,
        waves_us=waves_us,
        energetic_us=energetic_us,
        counting_us=counting_us,
        refuted_us=refuted_us(links, jobs, spans, times_us, max(energetic_us, counting_us)),
    )


def _in_windows(jobs: Sequence[Jobs], spans: Spans) -> tuple[int, int]:
    """Return the best bounds of all windows: by area, and by counting."""
    energetic_us = counting_us = 0
    for one in jobs:
        for window in windows(one, spans):
            around_us = window.head_us + window.tail_us
            area_us, counted_us = needed_us(one, window.counts)
            energetic_us = max(energetic_us, around_us + area_us)
            counting_us = max(counting_us, around_us + counted_us)
    return energetic_us, counting_us
