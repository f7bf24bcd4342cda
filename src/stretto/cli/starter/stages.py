"""The stages of the starter: minimise a bumpy function with a model that learns where to look."""

import json
import math
import random
import sys
import time
from pathlib import Path


def bumpy(x: float) -> float:
    """Return what the simulations sample; the minimum is near x = -0.28."""
    return x * x + math.sin(5 * x)


def simulate(task: int, iteration: int, start_from: str, run_dir: Path) -> None:
    """Sample around a starting point for a second and write what was found."""
    centre = random.Random(task).uniform(-3, 3)
    if start_from != "none":
        picks = json.loads((run_dir / f"picks-{start_from}.json").read_text())
        centre = picks[task % len(picks)]
    rng = random.Random(1000 * iteration + task)
    samples = [(x, bumpy(x)) for x in (rng.gauss(centre, 0.5) for _ in range(50))]
    time.sleep(1)
    (run_dir / f"samples-{iteration}-{task}.json").write_text(json.dumps(samples))


def train(iteration: int, run_dir: str) -> dict[str, float]:
    """Learn from all samples of this iteration: here, merely which were best."""
    paths = Path(run_dir).glob(f"samples-{iteration}-*.json")
    samples = sorted((y, x) for path in paths for x, y in json.loads(path.read_text()))
    time.sleep(0.8)
    (Path(run_dir) / f"model-{iteration}.json").write_text(json.dumps(samples[:20]))
    return {"best": samples[0][0]}


def infer(iteration: int, run_dir: str) -> list[float]:
    """Pick where to simulate next."""
    best = json.loads((Path(run_dir) / f"model-{iteration}.json").read_text())
    picks = [x for _, x in best[::5]]
    time.sleep(0.2)
    (Path(run_dir) / f"picks-{iteration}.json").write_text(json.dumps(picks))
    return picks


if __name__ == "__main__":
    _, _, number, turn, origin, directory = sys.argv
    simulate(int(number), int(turn), origin, Path(directory))
