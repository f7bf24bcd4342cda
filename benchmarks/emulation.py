"""How well a run keeps to its simulation: Table 1 on declared Summit nodes, 1/50 of the time.

The same durations, the same scheduler, the real engine with its journal; what differs is overhead.

Target: the measured makespan within 3 % of the simulated one, in both modes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from measure import machine, spread
from stretto import Mode, run, simulate
from stretto.apps.paper import workload

TIME_SCALE = 50.0
RUNS = 1


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    workflow = workload("deepdrivemd")
    print(f"Emulated DeepDriveMD at 1/{TIME_SCALE:.0f} of the time ({machine()})")
    for mode in (Mode.SEQUENTIAL, Mode.ASYNCHRONOUS):
        errors = []
        for seed in range(runs):
            with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
                ended = run(
                    workflow,
                    mode=mode,
                    seed=seed,
                    emulate=True,
                    time_scale=TIME_SCALE,
                    run_dir=Path(folder) / "run",
                )
                measured = ended.trace
            simulated = simulate(workflow, measured.platform, mode=mode, seed=seed)
            errors.append(100 * (measured.ttx_us / simulated.ttx_us - 1))
            print(
                f"  {mode}, seed {seed}: simulated {simulated.ttx_us / 1e6 / TIME_SCALE:.2f} s, "
                f"measured {measured.ttx_us / 1e6 / TIME_SCALE:.2f} s of real time"
            )
        print(f"  {mode}: {spread(errors, ' %')} longer than simulated; target 3 %")


if __name__ == "__main__":
    main()
