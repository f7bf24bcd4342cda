"""Stages of a stream that are killed in mid-stream in their first attempt."""

import os
import signal
import threading
import time
from pathlib import Path

from stretto.apps.deepdrivemd.places import inference_file, model_file, record_file
from stretto.apps.deepdrivemd.streaming import stream_infer, stream_simulate, stream_train


def simulation(*, task, seed, attempt, run_dir, task_dir, cores, gpus, settings, iterations, first):
    """The first simulation is killed in the middle of its third one."""
    begun = Path(task_dir) / "iteration-002/checkpoint.json"
    if attempt == 1 and task == 0:
        _kill_when(record_file(run_dir, 1, 0), begun)
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


def training(*, seed, attempt, run_dir, cores, gpus, settings, iterations, blocks, first, retries):
    """Killed when there is a model of the third iteration."""
    if attempt == 1:
        _kill_when(model_file(run_dir, 2))
    return stream_train(
        seed=seed,
        attempt=attempt,
        run_dir=run_dir,
        cores=cores,
        gpus=gpus,
        settings=settings,
        iterations=iterations,
        blocks=blocks,
        first=first,
        retries=retries,
    )


def inference(
    *,
    attempt,
    seed,
    run_dir,
    cores,
    gpus,
    settings,
    simulations,
    iterations,
    frames,
    blocks,
    first,
):
    """Killed when there is a choice of the second iteration."""
    if attempt == 1:
        _kill_when(inference_file(run_dir, 1))
    return stream_infer(
        seed=seed,
        run_dir=run_dir,
        cores=cores,
        gpus=gpus,
        settings=settings,
        simulations=simulations,
        iterations=iterations,
        frames=frames,
        blocks=blocks,
        first=first,
    )


def _kill_when(*paths):
    def watch():
        while not all(path.exists() for path in paths):
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
