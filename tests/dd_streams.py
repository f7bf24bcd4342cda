"""Stages of a stream that something happens to."""

import os
import signal
import threading
import time
from pathlib import Path

from stretto.apps.deepdrivemd.places import record_file
from stretto.apps.deepdrivemd.streaming import stream_simulate


def killed_once(
    *, task, seed, attempt, run_dir, task_dir, cores, gpus, settings, iterations, first
):
    """The first simulation is killed in the middle of its third one, in the first attempt."""
    if attempt == 1 and task == 0:
        threading.Thread(target=_kill, args=(run_dir, task_dir), daemon=True).start()
    return stream_simulate(
        task=task,
        seed=seed,
        attempt=attempt,
        run_dir=run_dir,
        task_dir=task_dir,
        cores=cores,
        gpus=gpus,
        settings=settings,
        iterations=iterations,
        first=first,
    )


def _kill(run_dir, task_dir):
    begun = Path(task_dir) / "iteration-002/checkpoint.json"
    while not (record_file(run_dir, 1, 0).exists() and begun.exists()):
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)
