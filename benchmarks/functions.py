"""How fast Python functions are called: 100,000 that do nothing, through the executor.

Beside it, the standard library's process pool with a chunk of one call and of a hundred.

Target: at least 10,000 a second on two cores.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor

from measure import alternated, machine, median, spread
from stretto import Executor

CALLS = 100_000
RUNS = 3


def nothing(_: int) -> None:
    """Do nothing."""


def ours() -> float:
    """Return calls a second through the executor, its start not counted, its end counted."""
    with Executor("local:2") as executor:
        executor.submit(nothing, 0).result()
        began = time.perf_counter()
        for future in [executor.submit(nothing, number) for number in range(CALLS)]:
            future.result()
        return CALLS / (time.perf_counter() - began)


def pool(chunk: int) -> float:
    """Return calls a second through `ProcessPoolExecutor.map`."""
    calls = CALLS // 10 if chunk == 1 else CALLS
    with ProcessPoolExecutor(2) as executor:
        executor.submit(nothing, 0).result()
        began = time.perf_counter()
        for _ in executor.map(nothing, range(calls), chunksize=chunk):
            pass
        return calls / (time.perf_counter() - began)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    print(f"Calling {CALLS:,} functions that do nothing ({machine()})")
    mine, single, chunked = alternated(runs, ours, lambda: pool(1), lambda: pool(100))
    print(f"  executor                        {spread(mine, ' a second')}; target 10,000")
    print(f"  ProcessPoolExecutor, one by one {spread(single, ' a second')}")
    print(f"  ProcessPoolExecutor, by hundred {spread(chunked, ' a second')}")
    print(f"  ratio to one by one {median(mine) / median(single):.1f}")


if __name__ == "__main__":
    main()
