"""How fast the simulator is: tasks in DeepDriveMD's shape on 1,000 nodes, tasks a second, memory.

Target: 100,000 tasks at 50,000 tasks a second at least, under 1 KiB of memory a task.
"""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import time

from measure import machine, median, spread
from stretto import Mode, Resources, TaskSet, Workflow, platform_named, simulate

RUNS = 5


def workflow(scale: int) -> Workflow:
    """Return Table 1 of the paper with `scale` times as many tasks and noise of 5 %."""

    def noisy(mean: float) -> dict[str, float]:
        return {"mean": mean, "sd": 0.05 * mean}

    return Workflow(
        "deepdrivemd",
        [
            TaskSet(
                "simulation",
                tasks=96 * scale,
                resources=Resources(cores=4, gpus=1),
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
                "training",
                tasks=scale,
                resources=Resources(cores=4, gpus=1),
                duration=noisy(63),
                after="aggregation",
            ),
            TaskSet(
                "inference",
                tasks=96 * scale,
                resources=Resources(cores=16, gpus=1),
                duration=noisy(38),
                after="training",
            ),
        ],
        iterations=3,
    )


def one(scale: int, mode: str) -> None:
    """Simulate once and print tasks, CPU seconds and bytes a task."""
    described, platform = workflow(scale), platform_named("summit:1000")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    trace = simulate(described, platform, mode=mode)
    took = time.process_time() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(len(trace), took, grown / len(trace))


def main() -> None:
    print(f"Simulation ({machine()})")
    for mode in (Mode.ASYNCHRONOUS, Mode.TASK_LEVEL):
        rates: dict[int, float] = {}
        for scale in (16, 160):
            figures = [
                tuple(
                    map(
                        float,
                        subprocess.check_output(
                            [sys.executable, __file__, str(scale), mode], text=True
                        ).split(),
                    )
                )
                for _ in range(RUNS)
            ]
            tasks = int(figures[0][0])
            rate = [tasks / took for _, took, _ in figures]
            rates[tasks] = median(rate)
            print(
                f"  {mode}, {tasks:,} tasks: {spread(rate, ' tasks a CPU second')}, "
                f"{median([grown for *_, grown in figures]):,.0f} bytes a task"
            )
        (small, slow), (large, fast) = sorted(rates.items())
        growth = math.log((large / fast) / (small / slow)) / math.log(large / small)
        print(f"  {mode}: cost grows as the number of tasks to the power {growth:.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one(int(sys.argv[1]), sys.argv[2])
    else:
        main()
