"""A run in a line of a table, and what had to be replaced in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stretto import Trace
from stretto.apps.deepdrivemd.figures.ages import ages, mean_age
from stretto.apps.deepdrivemd.figures.runs import RunFiles
from stretto.apps.deepdrivemd.simulating.records import Record

__all__ = ["Summary", "Utilisation", "names_of", "summary", "utilisation"]

_STRATEGIES = {"continue": "plain MD", "random": "random restarts"}


class Utilisation(NamedTuple):
    """Share of cores and of GPUs that tasks held over TTX, from 0 to 1; `None` if none is there."""

    cores: float | None
    gpus: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A run.

    Parameters
    ----------
    name
        As figures call it.
    mode, strategy
        How it was run, and how it chose starts.
    iterations
        How many have left anything.
    ending
        How it ended: ``complete``, ``converged`` and the like; ``unfinished`` with what is left.
    ttx_us, predicted_us
        Makespan, measured and predicted.
    used
        Utilisation.
    simulated_ps
        Of all simulations together.
    rmsd_nm, native_contacts
        Least and most, where there is a reference.
    age
        Mean age of the model that chose a start.
    replaced
        Sentences on what failed and was replaced, or is missing.
    """

    name: str
    mode: str
    strategy: str
    iterations: int
    ending: str
    ttx_us: int | None
    predicted_us: int | None
    used: Utilisation
    simulated_ps: float
    rmsd_nm: float | None
    native_contacts: float | None
    age: float | None
    replaced: tuple[str, ...]


def names_of(runs: Sequence[RunFiles]) -> list[str]:
    """Return a name for each run: mode and strategy, and where it lies if that is not enough."""
    plain = [f"{run.mode}, {_STRATEGIES.get(run.strategy, run.strategy)}" for run in runs]
    return [
        name if plain.count(name) == 1 else f"{name} ({_place(run, runs)})"
        for run, name in zip(runs, plain, strict=True)
    ]


def summary(run: RunFiles, name: str) -> Summary:
    """Return a run in a line."""
    seen = run.seen
    rmsd_nm = None if seen is None or seen.rmsd_nm is None else float(seen.rmsd_nm.min())
    native = None if seen is None else seen.native_contacts
    return Summary(
        name=name,
        mode=run.mode,
        strategy=run.strategy,
        iterations=len(run.iterations),
        ending=_ending(run),
        ttx_us=None if run.trace is None else run.trace.ttx_us,
        predicted_us=run.predicted_us,
        used=Utilisation(None, None) if run.trace is None else utilisation(run.trace),
        simulated_ps=run.simulated_ps,
        rmsd_nm=rmsd_nm,
        native_contacts=None if native is None else float(native.max()),
        age=mean_age(ages(run)),
        replaced=tuple(_replaced(run)),
    )


def utilisation(trace: Trace) -> Utilisation:
    """Return the shares of the allocation that attempts held from start to end, over TTX."""
    ran = np.flatnonzero((trace.started_us >= 0) & (trace.ended_us >= 0))
    spans_us = (trace.ended_us - trace.started_us)[ran].tolist()
    placements = [trace.placements[row] for row in ran.tolist()]
    cores_us = sum(
        us * sum(slot.cores.bit_count() for slot in slots)
        for us, slots in zip(spans_us, placements, strict=True)
    )
    gpus_us = sum(
        us * sum(slot.gpus.bit_count() * slot.gpu_milli for slot in slots) / 1000
        for us, slots in zip(spans_us, placements, strict=True)
    )
    whole = [amount * trace.ttx_us for amount in (trace.platform.cores, trace.platform.gpus)]
    return Utilisation(
        cores_us / whole[0] if whole[0] else None, gpus_us / whole[1] if whole[1] else None
    )


def _place(run: RunFiles, runs: Sequence[RunFiles]) -> str:
    names = [one.folder.name for one in runs]
    return run.folder.name if names.count(run.folder.name) == 1 else str(run.folder)


def _ending(run: RunFiles) -> str:
    if run.trace is None:
        return "unknown"
    if any(choice.converged for choice in run.choices.values()):
        return "converged" if run.trace.done else "converging"
    if run.trace.done:
        return "complete"
    return f"unfinished, {run.trace.n_finished} of {run.trace.n_wanted} tasks"


def _replaced(run: RunFiles) -> list[str]:
    again = 0 if run.trace is None else int((run.trace.attempt > 1).sum())
    return [
        *_of_simulations(run),
        *_of_trainings(run),
        *_of_blocks(run),
        *([f"{again} attempts of tasks beyond their first"] if again else []),
    ]


def _of_simulations(run: RunFiles) -> list[str]:
    repeated = [
        f"simulation {number} of iteration {iteration} came of attempt {record.attempt}"
        f"{_why(record)}"
        for (iteration, number), record in sorted(run.records.items())
        if record.attempt > 1
    ]
    missing = [
        f"simulation {number} of iteration {iteration} left no frames in time and is missing"
        for iteration, number in sorted(run.missing)
    ]
    passed_over = [
        f"simulation {one.simulation} of iteration {one.iteration} could not be read by inference "
        f"{iteration}, which started nothing from it"
        for iteration, choice in sorted(run.choices.items())
        for one in choice.passed_over
    ]
    return [*repeated, *missing, *passed_over]


def _why(record: Record) -> str:
    if not record.resumed:
        return ", from its start"
    exploded = record.resumed[-1].why == "exploded"
    return ", from a checkpoint" + (" after an explosion" if exploded else "")


def _of_trainings(run: RunFiles) -> list[str]:
    found = []
    for iteration, model in sorted(run.models.items()):
        if not model.diverged:
            continue
        times = "once" if len(model.diverged) == 1 else f"{len(model.diverged)} times"
        then = (
            f"and the model of iteration {model.trained_in} was used on"
            if model.fell_back
            else "and was repeated with smaller steps"
        )
        found.append(f"training of iteration {iteration} diverged {times}, {then}")
    return found


def _of_blocks(run: RunFiles) -> list[str]:
    trainings = [("training", iteration, one.remade) for iteration, one in run.models.items()]
    choices = [("inference", iteration, one.remade) for iteration, one in run.choices.items()]
    return [
        f"block {block.block} of iteration {block.iteration} was made again by {who} {iteration}"
        for who, iteration, blocks in [*trainings, *choices]
        for block in blocks
    ]
