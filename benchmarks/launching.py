"""How fast processes are launched: /bin/true through a whole run, against a bare loop.

The bare loop is `os.posix_spawn` and `os.wait` with as many processes in flight; the run has the
scheduler, the journal on disk, output files for each task and affinity besides.

Target: at least 0.8 of the bare loop's rate with 10,000 tasks.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from measure import alternated, machine, median, spread
from stretto import TaskSet, Workflow, run

TASKS = 10_000
RUNS = 3


def bare(in_flight: int) -> float:
    """Return processes a second of the bare loop."""
    began = time.perf_counter()
    running = launched = 0
    while launched < TASKS or running:
        while launched < TASKS and running < in_flight:
            os.posix_spawn("/bin/true", ["/bin/true"], os.environ)
            launched += 1
            running += 1
        os.wait()
        running -= 1
    return TASKS / (time.perf_counter() - began)


def ours(in_flight: int) -> float:
    """Return tasks a second of a run, first start to last end."""
    workflow = Workflow("true", [TaskSet("true", tasks=TASKS, command=["/bin/true"])])
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        ended = run(workflow, platform=f"local:{in_flight}", run_dir=Path(folder) / "run")
        trace = ended.trace
    assert trace.complete
    return TASKS / (trace.ttx_us / 1e6)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    print(f"Launching {TASKS:,} × /bin/true ({machine()})")
    for in_flight in (2, 16):
        loop, engine = alternated(runs, lambda n=in_flight: bare(n), lambda n=in_flight: ours(n))
        ratios = [a / b for a, b in zip(engine, loop, strict=True)]
        print(f"  {in_flight} in flight: bare loop {spread(loop, ' a second')}")
        print(f"  {in_flight} in flight: a run     {spread(engine, ' a second')}")
        print(
            f"  {in_flight} in flight: ratio {median(ratios):.2f} ({min(ratios):.2f} to "
            f"{max(ratios):.2f}); target 0.8"
        )


if __name__ == "__main__":
    main()
