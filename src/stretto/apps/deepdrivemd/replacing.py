"""What stands in for a shipped stage: a program, or a function of somebody else's.

Both are told which files are theirs to read and to write, by numbers as they lie on disk.  What
makes a stage is its files: a task whose files are not there in the end has failed, whatever it says
of itself.
"""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stretto import WorkflowError
from stretto.apps.deepdrivemd import places
from stretto.apps.deepdrivemd.configuring.templates import INPUTS, filled
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.turns import Turn

__all__ = ["call", "execute", "fields_of", "written"]


def execute(
    *,
    stage: str,
    words: Sequence[str],
    task: int,
    iteration: int,
    seed: int,
    attempt: int,
    run_dir: str,
    task_dir: str,
    inputs: Mapping[str, int | None],
    cores: int,
    gpus: float,
    simulations: int,
    blocks: int,
    first: int,
    folder: str,
) -> dict[str, Any]:
    """Run a program as a task of a stage, and return what its files say.

    Raises
    ------
    StageError
        If it cannot be started, ends with another status than 0, or a file is not there.
    """
    turn = Turn.of(iteration, inputs, first)
    fields = fields_of(
        stage, turn, run_dir, task=task, seed=seed, attempt=attempt, task_dir=task_dir,
        cores=cores, gpus=gpus, simulations=simulations, blocks=blocks,
    )  # fmt: skip
    told = {name: "none" if value is None else value for name, value in fields.items()}
    line = [filled(word, told) for word in words]
    _make_room(run_dir, turn.iteration, task_dir)
    try:
        status = subprocess.run(line, cwd=folder, stdin=subprocess.DEVNULL, check=False).returncode
    except OSError as error:
        raise StageError(f"{line[0]} cannot be started: {error.strerror}") from None
    if status:
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        raise StageError(f"{line[0]} ended with {how}")
    return written(stage, turn, run_dir, task=task, simulations=simulations)


def call(
    *,
    stage: str,
    function: str,
    more: Mapping[str, Any],
    settings: Mapping[str, Any],
    task: int,
    iteration: int,
    seed: int,
    attempt: int,
    run_dir: str,
    task_dir: str,
    inputs: Mapping[str, int | None],
    cores: int,
    gpus: float,
    simulations: int,
    blocks: int,
    first: int,
) -> dict[str, Any]:
    """Call a function as a task of a stage, with what it asks for, and return what its files say.

    Its parameters are filled by name from `more`, the fields that a command has, ``settings`` (the
    section of the stage) and ``inputs`` (of each set that it waits for the iteration to use).

    Raises
    ------
    WorkflowError
        If there is no such function, or it has a parameter that nothing fills.
    StageError
        If a file is not there in the end.
    """
    turn = Turn.of(iteration, inputs, first)
    fields = fields_of(
        stage, turn, run_dir, task=task, seed=seed, attempt=attempt, task_dir=task_dir,
        cores=cores, gpus=gpus, simulations=simulations, blocks=blocks,
    )  # fmt: skip
    given = {**fields, "settings": settings, "inputs": turn.inputs, **more}
    _make_room(run_dir, turn.iteration, task_dir)
    _found(function)(**_asked(function, given))
    return written(stage, turn, run_dir, task=task, simulations=simulations)


def fields_of(
    stage: str,
    turn: Turn,
    run_dir: str,
    *,
    task: int,
    simulations: int,
    **others: Any,
) -> dict[str, Any]:
    """Return what the fields of a stage's command stand for, `None` for what there is not."""
    system = places.system_folder(run_dir)
    fields: dict[str, Any] = {
        "task": task,
        "iteration": turn.iteration,
        "simulations": simulations,
        "run_dir": run_dir,
        "data": places.iteration_folder(run_dir, turn.iteration),
        "configuration": places.configuration_file(run_dir),
        "topology": system / "topology.pdb",
        "system": system / "system.xml",
        **others,
    }
    inputs = {name: turn.inputs.get(name) for name in INPUTS[stage]}
    match stage:
        case "simulation":
            chosen = inputs["inference"]
            fields["start"] = (
                fields["topology"] if chosen is None else places.start_file(run_dir, chosen, task)
            )
            fields["trajectory"] = places.trajectory_file(run_dir, turn.iteration, task)
            fields["record"] = places.record_file(run_dir, turn.iteration, task)
        case "aggregation":
            fields["block"] = places.block_file(run_dir, turn.iteration, task)
        case "training":
            before = inputs["training"]
            fields["model"] = places.model_file(run_dir, turn.iteration)
            fields["loss"] = places.loss_file(run_dir, turn.iteration)
            fields["before"] = None if before is None else places.model_file(run_dir, before)
        case _:
            used = inputs["training"]
            fields["model"] = None if used is None else places.model_file(run_dir, used)
            fields["inference"] = places.inference_file(run_dir, turn.iteration)
    if "aggregation" in inputs and inputs["aggregation"] is None:
        inputs["aggregation"] = turn.iteration
    return fields | {f"inputs.{name}": value for name, value in inputs.items()}


def written(stage: str, turn: Turn, run_dir: str, *, task: int, simulations: int) -> dict[str, Any]:
    """Return what the files of a stage say, to the engine.

    Raises
    ------
    StageError
        If one of them is not there, or inference does not say whether the loop has converged.
    """
    iteration = turn.iteration
    match stage:
        case "simulation":
            paths = [
                places.trajectory_file(run_dir, iteration, task),
                places.record_file(run_dir, iteration, task),
            ]
        case "aggregation":
            paths = [places.block_file(run_dir, iteration, task)]
        case "training":
            paths = [places.model_file(run_dir, iteration)]
        case _:
            paths = [places.start_file(run_dir, iteration, one) for one in range(simulations)]
            paths.append(places.inference_file(run_dir, iteration))
    for path in paths:
        if not path.is_file():
            raise StageError(f"{path}: not there, though {stage} has ended well")
    return _verdict(paths[-1]) if stage == "inference" else {"files": [str(one) for one in paths]}


def _verdict(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StageError(f"{path}: damaged or unreadable ({error})") from None
    converged = said.get("converged") if isinstance(said, dict) else None
    if not isinstance(converged, bool):
        raise StageError(f"{path}: expected converged, true or false, found {converged!r}")
    return {"converged": converged, "inference": str(path)}


def _make_room(run_dir: str, iteration: int, task_dir: str) -> None:
    places.iteration_folder(run_dir, iteration).mkdir(parents=True, exist_ok=True)
    Path(task_dir).mkdir(parents=True, exist_ok=True)


def _found(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise WorkflowError(f"there is no function {name} ({error})") from None
    if not callable(found):
        raise WorkflowError(f"{name} is no function")
    function: Callable[..., Any] = found
    return function


def _asked(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(_found(name)).parameters
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return {key: value for key, value in given.items() if key.isidentifier()}
    for key, one in parameters.items():
        optional = one.default is not one.empty or one.kind is one.VAR_POSITIONAL
        if key not in given and not optional:
            known = ", ".join(one for one in given if one.isidentifier())
            raise WorkflowError(f"{name} has a parameter {key!r}; expected one of {known}")
    return {key: given[key] for key in parameters if key in given}
