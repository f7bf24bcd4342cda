"""Predicted and measured: real loops of DeepDriveMD in each mode, after one calibrating iteration.

Alanine dipeptide with all atoms, and HP35 as a Gō model that begins stretched out.  A round is one
`compare`: an iteration to learn from, what is predicted from it for each mode, and each mode run
with the same seed.  Cores that others use too grow faster and slower within minutes, so rounds are
repeated, and modes begin each round one further on.

Printed for each mode: the measured makespan as a share of the predicted one, and of what would be
predicted from the durations of the run itself, which is what is left when a machine is as fast as
it was; and the improvement I over sequential (Eq. 5 of arXiv 2208.11069), predicted and measured.
Medians over the rounds, with the least and the most.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from measure import keep, kept, machine, median, spread
from stretto import calibrate, simulate
from stretto.analysis import check
from stretto.apps.deepdrivemd.comparing import MODES, Measured, compare
from stretto.apps.deepdrivemd.configuring import Configuration

LOOP = {"iterations": 3, "staleness": 1, "platform": "local:2"}
INFERENCE = {"most_frames": 3000, "gap": 50}
LOOPS: Mapping[str, Mapping[str, Any]] = {
    "alanine dipeptide": {
        "system": {"molecule": "alanine-dipeptide"},
        "simulation": {"steps": 100_000, "report_every": 200, "resources": {"tasks": 4}},
        "aggregation": {"features": "distances", "selection": "heavy"},
        "model": {"kind": "autoencoder", "updates": 5_000},
        "inference": INFERENCE,
    },
    "HP35": {
        "system": {"molecule": "hp35", "representation": "go", "start": "extended"},
        "simulation": {
            "steps": 150_000,
            "report_every": 300,
            "step_fs": 15,
            "temperature_k": 360,
            "hot_steps": 0,
            "resources": {"tasks": 4},
        },
        "aggregation": {"features": "distances"},
        "model": {"kind": "autoencoder", "updates": 4_000},
        "inference": INFERENCE,
    },
}
SEEDS = 5
SLACK_US = 60_000_000
"""Real tasks may begin late on a busy machine."""


class Compared(NamedTuple):
    """One mode of one round."""

    loop: str
    round: int
    mode: str
    predicted_s: float
    measured_s: float
    predicted_i: float
    measured_i: float
    afterwards_s: float | None = None
    """Predicted from the run itself, in the median of some seeds."""


def compared(loop: str, number: int) -> list[Compared]:
    """Run one round."""
    values = {**LOOPS[loop], "loop": {**LOOP, "seed": number + 1}}
    turn = number % len(MODES)
    with tempfile.TemporaryDirectory(prefix="predicting-") as folder:
        found = compare(
            Configuration.of(values), Path(folder), modes=(*MODES[turn:], *MODES[:turn])
        )
        rows = []
        for mode in MODES:
            one, gained = found.modes[mode], found.improvement(mode)
            check(one.measured, slack_us=SLACK_US)
            assert gained is not None
            seconds = (one.predicted.ttx_us / 1e6, one.measured.ttx_us / 1e6)
            rows.append(Compared(loop, number, str(mode), *seconds, *gained, _afterwards(one)))
        return rows


def _afterwards(one: Measured) -> float:
    learned = calibrate(one.directory)
    known = learned.applied(one.measured.workflow)
    return median(
        [
            simulate(
                known,
                one.measured.platform,
                mode=one.measured.mode,
                seed=seed,
                overheads=learned.overheads,
            ).ttx_us
            / 1e6
            for seed in range(SEEDS)
        ]
    )


def told(loop: str, found: list[Compared]) -> None:
    """Print the modes of one loop."""
    print(loop)
    for mode in map(str, MODES):
        own = [one for one in found if (one.loop, one.mode) == (loop, mode)]
        if not own:
            continue
        share = spread([one.measured_s / one.predicted_s for one in own])
        print(f"  {mode:13} TTX measured / predicted {share}")
        known = [one.measured_s / one.afterwards_s for one in own if one.afterwards_s]
        if known:
            print(f"  {'':13} with durations of the run itself {spread(known)}")
        if mode != MODES[0]:
            predicted, measured = (
                [getattr(one, name) for one in own] for name in ("predicted_i", "measured_i")
            )
            print(f"  {'':13} I predicted {spread(predicted)}, measured {spread(measured)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4, help="rounds of each loop")
    parser.add_argument("--out", type=Path, help="rounds that are kept, not repeated")
    options = parser.parse_args()
    print(f"3 iterations on 2 cores; {machine()}", flush=True)
    found = [Compared(**one) for one in kept(options.out)]
    done = {(one.loop, one.round) for one in found}
    for number in range(options.rounds):
        for loop in LOOPS:
            if (loop, number) not in done:
                found += compared(loop, number)
                keep(found, options.out)
    for loop in LOOPS:
        told(loop, found)


if __name__ == "__main__":
    main()
