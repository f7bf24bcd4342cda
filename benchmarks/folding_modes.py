"""What overlapping gains in time and loses in science: wall time until HP35 folds, mode by mode.

The loop of `folding`, steered by novelty alone, as real runs on this machine: sequential, in which
every start is chosen by the newest model, and asynchronous and adaptive with a staleness of one.
Printed for each mode: seconds from the first task's start to the first frame with more than 0.85 of
the native contacts; the simulated steps that this took, which is what staleness may lose; seconds
by steps, which is what overlapping gains; and the mean age, in iterations, of the models that chose
the starts.  Against sequential: the chance to fold first, and the two-sided p of a Mann-Whitney
rank test.  Modes take turns seed by seed, so that a machine that grows slower does so for all.

A run that has not folded when its loop ends counts as longer than those that have.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from folding import AGGREGATION, FOLDED, INFERENCE, MODEL, SIMULATION, SYSTEM, first, interval
from measure import keep, kept, machine
from stretto import Mode
from stretto.analysis import check
from stretto.apps.deepdrivemd.campaign import run
from stretto.apps.deepdrivemd.configuring import Configuration
from stretto.apps.deepdrivemd.figures.ages import ages, mean_age
from stretto.apps.deepdrivemd.figures.progress import progress
from stretto.apps.deepdrivemd.figures.runs import read_run

MODES = (Mode.SEQUENTIAL, Mode.ASYNCHRONOUS, Mode.ADAPTIVE)
SIMULATIONS = 4
STEPS = 8_000
TEMPERATURE_K = 360
SLACK_US = 60_000_000
"""Real tasks may begin late on a busy machine."""


class Folding(NamedTuple):
    """One run."""

    mode: str
    seed: int
    wall_s: float
    steps: float
    folded: bool
    model_age: float | None


def configuration(mode: Mode, seed: int, iterations: int) -> Configuration:
    """Return the loop in a mode."""
    until = {"native_contacts": FOLDED}
    return Configuration.of(
        {
            "system": SYSTEM,
            "simulation": {
                **SIMULATION,
                "steps": STEPS,
                "temperature_k": TEMPERATURE_K,
                "resources": {"tasks": SIMULATIONS},
            },
            "aggregation": AGGREGATION,
            "model": MODEL,
            "inference": {**INFERENCE, "strategy": "outliers", "until": until},
            "loop": {
                "iterations": iterations,
                "staleness": 0 if mode is Mode.SEQUENTIAL else 1,
                "mode": mode,
                "platform": "local:2",
                "seed": seed,
            },
        }
    )


def folding(mode: Mode, seed: int, iterations: int) -> Folding:
    """Run the loop and return when it had folded."""
    with tempfile.TemporaryDirectory(prefix="folding-") as folder:
        ended = run(configuration(mode, seed, iterations), run_dir=Path(folder) / "run")
        check(ended.trace, slack_us=SLACK_US)
        found = read_run(ended.directory)
        curves = progress(found, None)
        walls, simulated = curves.by_wall["native_contacts"], curves.by_simulated["native_contacts"]
        ps_per_step = SIMULATION["step_fs"] / 1000
        folded = bool((walls.values > FOLDED).any())
        at = int(np.argmax(walls.values > FOLDED)) if folded else -1
        before = int(np.argmax(simulated.values > FOLDED)) if folded else -1
        return Folding(
            mode=str(mode),
            seed=seed,
            wall_s=float(walls.times[at]),
            steps=float(simulated.times[before]) / ps_per_step,
            folded=folded,
            model_age=mean_age(ages(found)),
        )


def told(found: list[Folding]) -> None:
    """Print every mode, and the overlapping ones against sequential."""
    of = {str(mode): [one for one in found if one.mode == mode] for mode in MODES}
    for mode, own in of.items():
        wall = interval(_until_folded("wall_s", own))
        steps = interval([one / 1000 for one in _until_folded("steps", own)])
        pace = np.median([_pace(one) for one in own])
        known = [one.model_age for one in own if one.model_age is not None]
        print(
            f"{mode:13} {wall[0]:5.1f} s ({wall[1]:.1f} to {wall[2]:.1f}), "
            f"{steps[0]:4.0f} thousand steps ({steps[1]:.0f} to {steps[2]:.0f}), "
            f"{sum(one.folded for one in own)} of {len(own)} folded, "
            f"{pace:.2f} s for 100 thousand steps, "
            f"models {np.mean(known) if known else float('nan'):.2f} iterations old"
        )
    base = of[str(Mode.SEQUENTIAL)]
    for mode in MODES[1:]:
        own = of[str(mode)]
        pace = np.median([_pace(one) / _pace(two) for one, two in zip(base, own, strict=True)])
        print(
            f"{mode} against sequential: steps {pace:.2f} times as fast in the median of pairs; "
            f"folds first by wall time with {_first('wall_s', own, base)}, "
            f"by steps with {_first('steps', own, base)}"
        )


def _pace(one: Folding) -> float:
    return one.wall_s / one.steps * 100_000


def _until_folded(name: str, runs: list[Folding]) -> list[float]:
    return [getattr(one, name) if one.folded else math.inf for one in runs]


def _first(name: str, ours: list[Folding], theirs: list[Folding]) -> str:
    chance, p = first(_until_folded(name, ours), _until_folded(name, theirs))
    return f"chance {chance:.2f} (p = {p:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="runs of each mode")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=30, help="turns of a loop at most")
    parser.add_argument("--out", type=Path, help="runs that are kept, not repeated")
    options = parser.parse_args()
    print(
        f"HP35 Gō model at {TEMPERATURE_K} K, {SIMULATIONS} simulations of {STEPS:,} steps "
        f"on 2 cores; {machine()}"
    )
    found = [Folding(**one) for one in kept(options.out)]
    done = {(one.mode, one.seed) for one in found}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for mode in MODES:
            if (str(mode), seed) not in done:
                found.append(folding(mode, seed, options.iterations))
                keep(found, options.out)
    told(found)


if __name__ == "__main__":
    main()
