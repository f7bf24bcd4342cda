"""How good and how fast the search is: PSPLIB's j30 and j60, 1,000 schedules an instance.

Each instance (Kolisch, Sprecher: PSPLIB, 1996) becomes a workflow with a task set a job, on one
node that has the four renewable resources as named resources; one unit of time is a second.  Every
schedule counts as one, each pass of a justification and each simulation included, as is usual in
the literature.  CP-SAT and the model's bounds have no part in it.

Targets: a mean gap to the best makespan known of 0.5 % at most on j30 and 1.5 % on j60, under 50 ms
an instance of j30.  What was found is simulated, and the trace goes through the checker.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from measure import machine, median
from stretto import Mode, Node, Platform, Resources, TaskSet, Workflow, simulate
from stretto.analysis import check
from stretto.optimizer import optimize
from stretto.optimizer.evolution import Evolution
from stretto.optimizer.project import project_of
from stretto.scheduler import gated_sets
from stretto.units import US_PER_SECOND
from stretto.workflow import expand

SCHEDULES = 1000
KINDS = ("j30", "j60")


class Instance(NamedTuple):
    """An instance with the shortest makespan that anybody has found."""

    name: str
    workflow: Workflow
    platform: Platform
    best: int


def instance(path: Path, best: int) -> Instance:
    """Read an instance in the format of PSPLIB (``.sm``); its dummy jobs are left out."""
    lines = path.read_text(encoding="ascii").splitlines()
    after: dict[int, list[int]] = {}
    for job, _, _, *successors in _table(lines, "PRECEDENCE RELATIONS", 2):
        after[job] = successors
    jobs = {job: needs for job, _, *needs in _table(lines, "REQUESTS/DURATIONS", 3)}
    (capacities,) = _table(lines, "RESOURCEAVAILABILITIES", 2)
    real = [job for job, needs in jobs.items() if any(needs)]
    sets = [
        TaskSet(
            f"j{job}",
            resources=Resources(cores=0, named=_named(jobs[job][1:])),
            duration=jobs[job][0],
            after=[f"j{one}" for one in real if job in after[one]],
        )
        for job in real
    ]
    node = Node("project", 0, 0, 0, tuple(_named(capacities).items()))
    return Instance(path.stem, Workflow(path.stem, sets), Platform(path.stem, (node,)), best)


def instances(folder: Path) -> Iterator[Instance]:
    """Yield the instances of a folder by name, with what its ``best_known.csv`` says of them."""
    with (folder / "best_known.csv").open(encoding="ascii") as file:
        known = {row["instance"]: row["makespan"] for row in csv.DictReader(file)}
    for path in sorted(folder.glob("*.sm")):
        yield instance(path, int(known[path.stem].rpartition("..")[2]))


def data() -> Path | None:
    """Return the folder ``shared/psplib`` beside the checkout or above it, if there is one."""
    for parent in Path(__file__).resolve().parents:
        if (parent / "shared/psplib").is_dir():
            return parent / "shared/psplib"
    return None


def _table(lines: list[str], heading: str, skipped: int) -> Iterator[list[int]]:
    """Yield the numbers of the rows under a heading, up to a line of stars."""
    begin = next(at for at, line in enumerate(lines) if line.startswith(heading))
    for line in lines[begin + skipped :]:
        if line.startswith("*"):
            return
        yield [int(word) for word in line.split()]


def _named(amounts: list[int]) -> dict[str, int]:
    return {f"R{number}": amount for number, amount in enumerate(amounts, start=1)}


def measured(one: Instance, seed: int) -> tuple[float, int, float, float]:
    """Return the gap in per cent, the schedules, and CPU ms of the search alone and of all."""
    project = project_of(gated_sets(expand(one.workflow), Mode.TASK_LEVEL), one.platform)
    evolution = Evolution(project, seed=seed)
    began = time.process_time()
    evolution.run(SCHEDULES)
    searched = time.process_time()
    found = optimize(
        one.workflow, one.platform, rounds=SCHEDULES, seed=seed, exact=False, floor_us=0
    )
    ended = time.process_time()
    assert found.simulated + found.generated <= SCHEDULES
    trace = simulate(one.workflow, one.platform, mode=Mode.TASK_LEVEL, order=found.order)
    check(trace)
    assert trace.ttx_us == found.ttx_us
    gap = 100 * (found.ttx_us / US_PER_SECOND / one.best - 1)
    schedules = found.simulated + found.generated
    return gap, schedules, 1000 * (searched - began), 1000 * (ended - searched)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=data(), help="folder with j30 and j60")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    print(f"PSPLIB, {SCHEDULES:,} schedules an instance, {given.seeds} seeds ({machine()})")
    if given.data is None:
        print("  skipped: there is no shared/psplib beside the checkout; --data FOLDER names one")
        return
    for kind in KINDS:
        every = list(instances(given.data / kind))
        measured(every[0], 0)  # compiles
        results = [measured(one, seed) for seed in range(given.seeds) for one in every]
        gaps, schedules, search, whole = (list(column) for column in zip(*results, strict=True))
        print(
            f"  {kind}, {len(every)} instances: gap {sum(gaps) / len(gaps):.3f} % on average, "
            f"{median(gaps):.3f} % median, {max(gaps):.1f} % at most"
        )
        print(
            f"    {sum(schedules) / len(schedules):.0f} schedules on average: a schedule as short "
            "as the critical path or the area ends the search"
        )
        for what, taken in (("search", search), ("with simulations", whole)):
            print(
                f"    {what}: {sum(taken) / len(taken):.1f} ms of CPU an instance, median "
                f"{median(taken):.1f}, at most {max(taken):.1f}"
            )


if __name__ == "__main__":
    main()
