"""The stages of a loop that converges: throw darts, and judge whether they were enough.

What `judge` returns decides how the loop goes on: ``converged`` ends it, ``tasks`` is how many
throwers the next iteration has.  The rest of it is for whoever reads the result.
"""

import json
import math
import random
from pathlib import Path
from typing import Any


def throw(task: int, iteration: int, seed: int, run_dir: str, darts: int) -> None:
    """Throw darts at a square, and write how many hit the circle in it."""
    dart = random.Random(seed).random
    hits = sum(math.hypot(dart(), dart()) < 1 for _ in range(darts))
    (Path(run_dir) / f"throw-{iteration}-{task}.json").write_text(json.dumps([darts, hits]))


def judge(
    iteration: int, run_dir: str, finished: dict[str, list[int]], tolerance: float
) -> dict[str, Any]:
    """Add what this iteration's throwers have found to all before, and say how to go on."""
    folder = Path(run_dir)
    total = folder / f"total-{iteration}.json"
    counts = [
        json.loads((folder / f"throw-{iteration}-{task}.json").read_text())
        for task in finished["throw"]
    ]
    if iteration:
        counts.append(json.loads((folder / f"total-{iteration - 1}.json").read_text()))
    darts, hits = (sum(column) for column in zip(*counts, strict=True))
    total.write_text(json.dumps([darts, hits]))
    share = hits / darts
    error = 4 * math.sqrt(share * (1 - share) / darts)
    still_needed = darts * ((error / tolerance) ** 2 - 1)
    return {
        "converged": error <= tolerance,
        "tasks": max(1, min(8, math.ceil(still_needed / 50_000 / 0.75))),
        "pi": 4 * share,
        "error": error,
    }
