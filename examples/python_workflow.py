"""A workflow built in Python, its tasks plain functions; run in two modes, and I of the second.

Two chains share two cores.  One stage after another, each waits for the slower of both; with
overlap, neither waits for the other.
"""

import tempfile
import time
from pathlib import Path

import stretto


def work(seconds: float, task: int) -> int:
    """Take some time; `task` is filled with the number of the task."""
    time.sleep(seconds)
    return task


def task_set(name: str, seconds: float, after: str | None = None) -> stretto.TaskSet:
    """Return a set of one task of this duration."""
    return stretto.TaskSet(
        name,
        resources=stretto.Resources(cores=1),
        duration=seconds,
        function=work,
        arguments={"seconds": seconds},
        after=after,
    )


def main() -> None:
    """Plan it, run it in two modes, and compare."""
    workflow = stretto.Workflow(
        "two-chains",
        [
            task_set("short", 0.1),
            task_set("long", 0.6),
            task_set("then-long", 0.6, after="short"),
            task_set("then-short", 0.1, after="long"),
        ],
    )
    planned = stretto.plan(workflow, platform="local:2")
    print(f"predicted I {planned.improvement(stretto.Mode.ASYNCHRONOUS):+.2f}")
    with tempfile.TemporaryDirectory() as folder:
        ttx_us = {}
        for mode in (stretto.Mode.SEQUENTIAL, stretto.Mode.ASYNCHRONOUS):
            ended = stretto.run(
                workflow, platform="local:2", mode=mode, run_dir=Path(folder) / mode
            )
            ttx_us[mode] = ended.trace.ttx_us
            print(f"{mode}: {ended.ending.value}, TTX {ended.trace.ttx_us / 1e6:.2f} s")
    gain = 1 - ttx_us[stretto.Mode.ASYNCHRONOUS] / ttx_us[stretto.Mode.SEQUENTIAL]
    print(f"measured I {gain:+.2f}")


if __name__ == "__main__":
    main()
