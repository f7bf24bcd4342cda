"""How fast the simulator is: 10,000, 100,000 and a million tasks, from description to makespan.

Every figure is of a fresh process: CPU seconds from the description to the makespan, and memory at
its peak.  The compiled road (with numba) is measured apart from what it takes to load, and that
apart from what it takes to compile, which happens once; the readable road beside it, where it can
be borne.  Nodes grow with the tasks, a hundred tasks a node.

Targets: a million tasks on 10,000 nodes in under 10 s and 1.5 GiB, all included; cost grows no
faster than n log n, which is to the power of 1.09 from 10,000 to a million.
"""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from measure import machine, median, spread
from stretto import Resources, TaskSet, Workflow, platform_named
from stretto.simulator import Simulator, simulation

RUNS = 3
SIZES = (10_000, 100_000, 1_000_000)
TASKS_A_NODE = 100
MOST_READABLE = 100_000


def noisy(mean: float) -> dict[str, float]:
    """Return a duration with noise of 5 %."""
    return {"mean": mean, "sd": 0.05 * mean}


def deepdrivemd(tasks: int, iterations: int = 3) -> Workflow:
    """Return Table 1 of the paper with so many tasks, about."""
    scale = max(1, round(tasks / (209 * iterations)))
    gpu = Resources(cores=4, gpus=1)
    return Workflow(
        "deepdrivemd",
        [
            TaskSet(
                "simulation",
                tasks=96 * scale,
                resources=gpu,
                duration=noisy(340),
                after={"simulation": {"iteration": "previous", "pattern": "each"}},
            ),
            TaskSet(
                "aggregation",
                tasks=16 * scale,
                resources=Resources(cores=32),
                duration=noisy(85),
                after={"simulation": "group"},
            ),
            TaskSet(
                "training", tasks=scale, resources=gpu, duration=noisy(63), after="aggregation"
            ),
            TaskSet(
                "inference",
                tasks=96 * scale,
                resources=Resources(cores=16, gpus=1),
                duration=noisy(38),
                after="training",
            ),
        ],
        iterations=iterations,
    )


def many_turns(tasks: int) -> Workflow:
    """Return the same with 209 tasks in each iteration, and as many iterations as it takes."""
    return deepdrivemd(tasks, iterations=max(1, tasks // 209))


def bag(tasks: int) -> Workflow:
    """Return tasks that wait for nothing, of ten shapes."""
    return Workflow(
        "bag",
        [
            TaskSet(
                f"set{number}",
                tasks=tasks // 10,
                resources=Resources(cores=1 + 3 * number, memory=f"{number} GiB"),
                duration={"lognormal": {"mean": 60, "sd": 60}},
            )
            for number in range(10)
        ],
    )


def parallel(tasks: int) -> Workflow:
    """Return programs of several ranks that share GPUs, and a task after each of them."""
    shape = Resources(cores=7, gpus=0.5, ranks=8)
    first = TaskSet("first", tasks=tasks // 2, resources=shape, duration=noisy(300))
    after = {"first": "each"}
    second = TaskSet("second", tasks=tasks // 2, duration=noisy(30), after=after)
    return Workflow("parallel", [first, second])


SHAPES: dict[str, tuple[Callable[[int], Workflow], str]] = {
    "DeepDriveMD, task-level": (deepdrivemd, "task-level"),
    "DeepDriveMD, asynchronous": (deepdrivemd, "asynchronous"),
    "DeepDriveMD, many iterations": (many_turns, "task-level"),
    "a bag of ten shapes": (bag, "asynchronous"),
    "eight ranks on shared GPUs": (parallel, "task-level"),
}


def one(shape: str, tasks: int, road: str) -> None:
    """Simulate once; print tasks, CPU seconds to load and to simulate, and the peak in MiB."""
    make, mode = SHAPES[shape]
    simulation.pays = lambda _: road == "compiled"
    began = time.process_time()
    Simulator(Workflow("one", [TaskSet("one", duration=1)]), "summit:1").makespan_us()
    loaded = time.process_time()
    nodes = platform_named(f"summit:{max(1, tasks // TASKS_A_NODE)}")
    simulator = Simulator(make(tasks), nodes, mode=mode)
    simulator.makespan_us()
    took = time.process_time() - loaded
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(simulator.workflow.n_tasks, loaded - began, took, peak)


def measured(shape: str, tasks: int, road: str, cache: str) -> tuple[float, float, float, float]:
    """Return what `one` prints in a fresh process."""
    command = [sys.executable, __file__, shape, str(tasks), road]
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    said = subprocess.check_output(command, text=True, env=environment)
    done, loaded, took, peak = map(float, said.split())
    return done, loaded, took, peak


def compare(shape: str, cache: str) -> None:
    """Print both roads at all sizes, and how cost grows."""
    seconds: dict[float, float] = {}
    for size in SIZES:
        runs = [measured(shape, size, "compiled", cache) for _ in range(RUNS)]
        tasks = runs[0][0]
        seconds[tasks] = median([took for _, _, took, _ in runs])
        line = (
            f"  {shape}, {tasks:,.0f} tasks: {spread([took for _, _, took, _ in runs], ' s')}"
            f" and {median([loaded for _, loaded, _, _ in runs]):.2f} s to load,"
            f" {max(peak for *_, peak in runs):,.0f} MiB"
        )
        if size <= MOST_READABLE:
            readable = [measured(shape, size, "readable", cache)[2] for _ in range(RUNS)]
            line += f"; readable {median(readable):.3g} s, ratio "
            line += f"{median(readable) / seconds[tasks]:.1f}"
        print(line, flush=True)
    (few, short), *_, (many, long) = sorted(seconds.items())
    power = math.log(long / short) / math.log(many / few)
    print(f"  {shape}: cost grows as the number of tasks to the power {power:.2f}")


def main() -> None:
    print(f"Simulation ({machine()})")
    with tempfile.TemporaryDirectory() as cache:
        first = next(iter(SHAPES))
        _, compiled, _, _ = measured(first, 10_000, "compiled", cache)
        print(f"  compiling the kernel, once: {compiled:.1f} s", flush=True)
        for shape in SHAPES:
            compare(shape, cache)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    else:
        main()
