"""How long `stretto plan` takes as a whole process, on the paper's workloads.

Target: under 2 seconds each, without CP-SAT.
"""

from __future__ import annotations

import subprocess
import sys
import time

from measure import machine, spread
from stretto.apps.paper import WORKLOADS

RUNS = 5


def one(name: str) -> tuple[float, float]:
    """Plan once; return the seconds it took, and the processor time of it."""
    program = (
        "import resource, runpy, sys; sys.argv = ['stretto', 'plan', sys.argv[1]];"
        "import contextlib, io\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    runpy.run_module('stretto.cli', run_name='__main__')\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime)"
    )
    began = time.perf_counter()
    used = subprocess.check_output([sys.executable, "-c", program, f"paper:{name}"], text=True)
    return time.perf_counter() - began, float(used.split()[-1])


def main() -> None:
    print(f"Planning ({machine()})")
    for name in WORKLOADS:
        took, used = zip(*(one(name) for _ in range(RUNS)), strict=True)
        print(f"  paper:{name}: {spread(list(took), ' s')}, CPU {spread(list(used), ' s')}")


if __name__ == "__main__":
    main()
