"""The scientific yardstick: simulated steps until HP35 folds, steered and not.

HP35 as a Gō model of alpha carbons begins stretched out, in ensembles of the same size in every
arm.  Counted are the steps of all simulations together until the first frame with more than
0.85 of the native contacts: simulations of an iteration run at once, so a frame counts as many
steps of each.  What the stages take of a processor is not counted here.

Arms are the strategies of ``inference``: novelty alone (``outliers``), novelty and then RMSD, which
knows the folded structure and so is no fair search for it (``outliers-rmsd``), and two controls:
``continue``, which is plain MD, and ``random`` restarts.  Seeds are paired in that all arms begin
with the same first iteration.  A run that has not folded within the limit counts as the limit, and
as longer than all that have: medians and ranks hold as long as fewer than half have not.

Printed are medians with 95 % intervals (order statistics), and of each steered arm against each
control the chance that it folds first, with the two-sided p of a Mann-Whitney rank test.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binom, mannwhitneyu

from measure import keep, kept, machine
from stretto.apps.deepdrivemd.aggregating import aggregate
from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.choosing import infer
from stretto.apps.deepdrivemd.learning import train
from stretto.apps.deepdrivemd.molecules import SystemSettings, prepare
from stretto.apps.deepdrivemd.places import block_file, system_folder
from stretto.apps.deepdrivemd.simulating import simulate

STEERED = ("outliers", "outliers-rmsd")
CONTROLS = ("continue", "random")
FOLDED = 0.85
SYSTEM = {"molecule": "hp35", "representation": "go", "start": "extended"}
SIMULATIONS = 8
SIMULATION = {
    "report_every": 100,
    "step_fs": 15,
    "friction_per_ps": 1,
    "hot_steps": 0,
    "checkpoint_every": 100,
}
AGGREGATION = {"features": "distances"}
MODEL = {"kind": "autoencoder", "latent": 3, "widths": [64, 32], "updates": 300}
INFERENCE: Mapping[str, Any] = {"neighbours": 20, "gap": 5, "most_frames": 5000, "shortlist": 50}


class Job(NamedTuple):
    """A run to make."""

    strategy: str
    temperature_k: int
    piece: int
    """Steps of a simulation of an iteration."""
    seed: int
    most: int
    """Steps of all simulations together."""


class Folding(NamedTuple):
    """One run that was made."""

    strategy: str
    temperature_k: int
    piece: int
    """Steps of a simulation of an iteration."""
    seed: int
    steps: int
    """Of all simulations together until the first folded frame, or the limit."""
    folded: bool
    cpu_s: float


def folding(job: Job) -> Folding:
    """Run one loop until a frame is folded, or all steps are made."""
    run_dir = Path(tempfile.mkdtemp(prefix="folding-"))
    began = time.process_time()
    try:
        prepare(SystemSettings.of(SYSTEM, section="system"), system_folder(run_dir), seed=0)
        steps, folded = job.most, False
        for iteration in range(job.most // (SIMULATIONS * job.piece)):
            frames = _iteration(run_dir, iteration, job)
            if frames is not None:
                within = (frames + 1) * SIMULATION["report_every"]
                steps, folded = SIMULATIONS * (iteration * job.piece + within), True
                break
        return Folding(*job[:4], steps, folded, time.process_time() - began)
    finally:
        shutil.rmtree(run_dir)


def _iteration(run_dir: Path, iteration: int, job: Job) -> int | None:
    """Play one iteration; return after which frame the first simulation was folded."""
    common = {"iteration": iteration, "run_dir": str(run_dir)}
    alone = {"cores": 1, "gpus": 0.0}
    before = iteration - 1 if iteration else None
    draws = np.random.SeedSequence((job.seed, iteration)).generate_state(SIMULATIONS + 2)
    for task in range(SIMULATIONS):
        simulate(
            task=task,
            seed=int(draws[task]),
            attempt=1,
            task_dir=str(run_dir / "tasks" / f"{iteration}-{task}"),
            inputs={"inference": before},
            settings={**SIMULATION, "steps": job.piece, "temperature_k": job.temperature_k},
            **common,
            **alone,
        )
    aggregate(
        task=0,
        inputs={"simulation": iteration},
        settings=AGGREGATION,
        simulations=SIMULATIONS,
        blocks=1,
        **common,
    )
    block = Block.read(block_file(run_dir, iteration, 0))
    assert block.native_contacts is not None
    folded = block.frames[block.native_contacts > FOLDED, 2]
    if len(folded):
        return int(folded.min())
    inputs = {"aggregation": iteration}
    if job.strategy in STEERED:
        train(
            seed=int(draws[-2]),
            attempt=1,
            inputs={**inputs, "training": before},
            settings=MODEL,
            **common,
            **alone,
        )
        inputs["training"] = iteration
    infer(
        seed=int(draws[-1]),
        inputs=inputs,
        settings={**INFERENCE, "strategy": job.strategy},
        simulations=SIMULATIONS,
        **common,
        **alone,
    )
    return None


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median and its 95 % interval by order statistics."""
    ordered = np.sort(values)
    low = int(binom.ppf(0.025, len(ordered), 0.5))
    return (
        float(np.median(ordered)),
        float(ordered[max(low - 1, 0)]),
        float(ordered[min(len(ordered) - low, len(ordered) - 1)]),
    )


def first(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return the chance that ours is the less, and the two-sided p of a Mann-Whitney rank test."""
    test = mannwhitneyu(theirs, ours, alternative="two-sided")
    return float(test.statistic) / (len(ours) * len(theirs)), float(test.pvalue)


def compared(runs: Mapping[str, Sequence[Folding]]) -> None:
    """Print every arm, and every steered arm against every control."""
    for strategy, own in runs.items():
        steps = [one.steps for one in own]
        middle, low, high = (value / 1000 for value in interval(steps))
        print(
            f"{strategy:14} {middle:7.0f} thousand steps ({low:.0f} to {high:.0f}), "
            f"{sum(one.folded for one in own)} of {len(own)} folded, "
            f"{np.mean([one.cpu_s for one in own]):.0f} CPU-seconds a run"
        )
    for strategy in STEERED:
        for control in CONTROLS:
            if strategy in runs and control in runs:
                ours = [one.steps for one in runs[strategy]]
                theirs = [one.steps for one in runs[control]]
                chance, p = first(ours, theirs)
                ratio = np.median(theirs) / np.median(ours)
                print(
                    f"{strategy} against {control}: {ratio:.2f} times as soon in the median, "
                    f"first with chance {chance:.2f}, p = {p:.3f}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="runs of each arm")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--piece", type=int, default=10_000, help="steps of a simulation")
    parser.add_argument("--temperature", type=int, default=375, help="in K")
    parser.add_argument("--most", type=int, default=1_000_000, help="steps of a run at most")
    parser.add_argument("--arms", nargs="+", default=[*STEERED, *CONTROLS])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, help="runs that are kept, not repeated")
    options = parser.parse_args()
    at, piece = options.temperature, options.piece
    print(f"HP35 Gō model at {at} K, {SIMULATIONS} simulations of {piece:,} steps; {machine()}")
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    jobs = [Job(arm, at, piece, seed, options.most) for seed in seeds for arm in options.arms]
    wanted = {job[:4] for job in jobs}
    found = [Folding(**one) for one in kept(options.out)]
    done = {one[:4] for one in found}
    with ProcessPoolExecutor(options.processes) as pool:
        for one in pool.map(folding, [job for job in jobs if job[:4] not in done]):
            found.append(one)
            keep(found, options.out)
    asked = [one for one in found if one[:4] in wanted]
    compared({arm: [one for one in asked if one.strategy == arm] for arm in options.arms})


if __name__ == "__main__":
    main()
