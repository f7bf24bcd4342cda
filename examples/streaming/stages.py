"""The four components of DeepDriveMD as a stream, with a walk on a line for a molecule."""

import random
import time

import stretto


def simulate(seed: int, steps: int) -> int:
    """Walk, and send every position; go on from a pick where there is one.  Return the picks."""
    draw = random.Random(seed)
    position, picked = 0.0, 0
    with stretto.channel("frames") as frames, stretto.channel("picks") as picks:
        for _ in range(steps):
            time.sleep(0.005)
            position += draw.gauss(0, 1)
            frames.send(position)
            try:
                position = picks.receive(timeout=0)
                picked += 1
            except (TimeoutError, EOFError):
                pass
    return picked


def aggregate(size: int) -> int:
    """Gather positions into batches, and return how many positions there were."""
    batch, seen = [], 0
    with stretto.channel("frames") as frames, stretto.channel("batches") as batches:
        for position in frames:
            seen += 1
            batch.append(position)
            if len(batch) == size:
                batches.send(batch)
                batch = []
        if batch:
            batches.send(batch)
    return seen


def train() -> int:
    """Learn the mean of all positions, send it after each batch; return how many were learned."""
    total, seen = 0.0, 0
    with stretto.channel("batches") as batches, stretto.channel("models") as models:
        for batch in batches:
            total += sum(batch)
            seen += len(batch)
            models.send(total / seen)
    return seen


def infer() -> int:
    """Pick the strangest position of each batch by the newest model; return how many were seen."""
    mean, seen = 0.0, 0
    with (
        stretto.channel("batches") as batches,
        stretto.channel("models") as models,
        stretto.channel("picks") as picks,
    ):
        for batch in batches:
            seen += len(batch)
            mean = newest(models, mean)
            picks.send(max(batch, key=lambda position: abs(position - mean)))
    return seen


def newest(models, mean):
    """Return the newest model that has come, or the one there was."""
    while True:
        try:
            mean = models.receive(timeout=0)
        except (TimeoutError, EOFError):
            return mean
