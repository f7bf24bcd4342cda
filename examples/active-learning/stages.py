"""The stages of active learning: label points, fit a model to them, pick the next ones.

A parameter that is named like a template field (`task`, `iteration`, `seed`, `run_dir`, `inputs`)
is filled by Stretto; the others come from `arguments` in the description.  The stages meet in files
of the run directory.
"""

import json
import math
import random
import time
from pathlib import Path


def expensive(x: float) -> float:
    """Return what is to be learnt, for x from 0 to 1."""
    return math.sin(12 * x) * x


def label(
    task: int,
    seed: int,
    iteration: int,
    run_dir: str,
    inputs: dict[str, int | None],
    pause_s: float,
) -> float:
    """Sample one point: a picked one, or a random one where nothing was picked yet."""
    picked = inputs["pick"]
    if picked is None:
        x = random.Random(seed).random()
    else:
        x = json.loads((Path(run_dir) / f"picks-{picked}.json").read_text())[task]
    time.sleep(pause_s)
    y = expensive(x)
    (Path(run_dir) / f"label-{iteration}-{task}.json").write_text(json.dumps([x, y]))
    return y


def fit(iteration: int, run_dir: str, pause_s: float) -> float:
    """Keep all labels so far as a nearest-neighbour model and return its mean error."""
    labels = [
        json.loads(path.read_text())
        for number in range(iteration + 1)
        for path in sorted(Path(run_dir).glob(f"label-{number}-*.json"))
    ]
    time.sleep(pause_s)
    (Path(run_dir) / f"model-{iteration}.json").write_text(json.dumps(labels))
    grid = [number / 100 for number in range(101)]
    return sum(abs(nearest(labels, x)[1] - expensive(x)) for x in grid) / len(grid)


def pick(iteration: int, run_dir: str, candidates: int, picks: int) -> list[float]:
    """Return the candidates that lie farthest from all labels and from each other."""
    labels = json.loads((Path(run_dir) / f"model-{iteration}.json").read_text())
    chosen: list[float] = []
    for _ in range(picks):
        points = [number / (candidates - 1) for number in range(candidates)]
        best = max(points, key=lambda x: abs(nearest(labels, x)[0] - x))
        chosen.append(best)
        labels.append([best, 0.0])
    (Path(run_dir) / f"picks-{iteration}.json").write_text(json.dumps(chosen))
    return chosen


def nearest(labels: list[list[float]], x: float) -> list[float]:
    """Return the label that lies nearest to x."""
    return min(labels, key=lambda one: abs(one[0] - x))
