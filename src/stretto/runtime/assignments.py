"""From a launch to what the backend is asked for: templates filled, paths chosen.

A run directory holds ``tasks/SET/ITERATION/`` with, for task ``t`` and attempt ``a``, the files
``t.a.out`` and ``t.a.err`` and, if the task asks for one, a directory ``t`` of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stretto.errors import BackendError
from stretto.platform import bits
from stretto.runtime.backend import Call, Program, Request, StandIn
from stretto.runtime.run_directory import task_folder
from stretto.scheduler import Launched
from stretto.trace import mask_to_text
from stretto.units import GPU_MILLI
from stretto.workflow import Command, Expansion, Function, Pattern, SetInstance, block, fill
from stretto_mark import TASK_VARIABLE

__all__ = ["Assignments", "Emulation", "task_seed"]


def task_seed(seed: int, place: int, iteration: int, number: int) -> int:
    """Return a task's own seed, of 31 bits; the same in every attempt and every mode."""
    text = f"{seed}/{place}/{iteration}/{number}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big") >> 1


class Emulation:
    """Makes timed stand-ins of launches.

    Parameters
    ----------
    durations_us
        By task: how long it takes, in workflow time.
    """

    def __init__(self, durations_us: list[int]) -> None:
        self._durations_us = durations_us

    def __call__(self, launched: Launched) -> Request:
        """Return the stand-in for a launch."""
        stand_in = StandIn(self._durations_us[launched.task])
        return Request(launched.task, launched.attempt, launched.placement, stand_in, threads=1)


class Assignments:
    """Makes requests of launches, for tasks that are really run.

    Parameters
    ----------
    expansion
        The workflow, unrolled.
    run_dir
        The run's directory, absolute.
    seed
        Seed of the run.
    variables
        Further variables that all tasks have.
    wanted
        Returns how many tasks an instance has; fewer than its limit where a result said so.
    absent
        By instance: numbers of its tasks that will have no result, as far as is known.
    """

    def __init__(
        self,
        expansion: Expansion,
        run_dir: Path,
        seed: int,
        variables: tuple[tuple[str, str], ...] = (),
        wanted: Callable[[int], int] | None = None,
        absent: Mapping[int, Sequence[int]] = MappingProxyType({}),
    ) -> None:
        self._wanted = wanted or (lambda index: expansion.instances[index].count)
        self._absent = absent
        self._expansion = expansion
        self._run_dir = run_dir
        self._seed = seed
        self._variables = variables
        self._home = expansion.workflow.folder.absolute()
        self._folders: dict[int, str] = {}

    def __call__(self, launched: Launched) -> Request:
        """Return what the backend is asked for."""
        instance = self._expansion.instance_of(launched.task)
        match instance.task_set.work:
            case Command() as command:
                assigned: Program | Call = self._program(instance, command, launched)
            case Function() as function:
                assigned = self._call(instance, function, launched)
            case None:
                raise AssertionError(f"{instance.name} has nothing to run")
        threads = max(1, instance.task_set.resources.cores)
        return Request(launched.task, launched.attempt, launched.placement, assigned, threads)

    def _program(self, instance: SetInstance, command: Command, launched: Launched) -> Program:
        task_set = instance.task_set
        fields: Mapping[str, Any] = {}  # made only where something is filled in
        texts = (
            *command.words,
            task_set.working_directory or "",
            *dict(task_set.environment).values(),
        )
        if any("{" in text or "}" in text for text in texts):
            fields = self._fields(instance, launched)
        words = tuple(_filled(word, fields) for word in command.words)
        directory = self._home
        if task_set.working_directory is not None:
            directory = self._home / _filled(task_set.working_directory, fields)
        stdout, stderr = self._output(instance, launched)
        return Program(
            words=("/bin/sh", "-c", *words) if command.shell else words,
            environment=self._environment(instance, launched, fields),
            directory=directory,
            stdout=stdout,
            stderr=stderr,
        )

    def _call(self, instance: SetInstance, function: Function, launched: Launched) -> Call:
        fields = self._fields(instance, launched)
        _make(fields["task_dir"])
        stdout, stderr = self._output(instance, launched)
        return Call(
            function=function.target,
            arguments=((), _arguments(dict(function.arguments), fields)),
            fields={
                **fields,
                "inputs": self._inputs(instance, launched),
                "finished": {on: list(bits(mask)) for on, mask in self._parts(launched).items()},
                "missing": self._missing(instance, launched),
            },
            environment=self._environment(instance, launched, fields),
            search_path=(str(self._home),),
            stdout=stdout,
            stderr=stderr,
        )

    def _environment(
        self, instance: SetInstance, launched: Launched, fields: Mapping[str, Any]
    ) -> tuple[tuple[str, str], ...]:
        task_set = instance.task_set
        return (
            ("STRETTO_RUN_DIR", str(self._run_dir)),
            ("STRETTO_TASK_SET", task_set.name),
            ("STRETTO_TASK", str(launched.task - instance.first_task)),
            ("STRETTO_ITERATION", str(instance.iteration)),
            ("STRETTO_ATTEMPT", str(launched.attempt)),
            (TASK_VARIABLE, f"{launched.task} {launched.attempt}"),
            *self._variables,
            *((key, _filled(text, fields)) for key, text in task_set.environment),
        )

    def stdout_of(self, task: int, attempt: int) -> str:
        """Return the file that has what an attempt printed."""
        instance = self._expansion.instance_of(task)
        return f"{self._folder(instance)}/{task - instance.first_task}.{attempt}.out"

    def _output(self, instance: SetInstance, launched: Launched) -> tuple[str, str]:
        number = launched.task - instance.first_task
        stem = f"{self._folder(instance)}/{number}.{launched.attempt}"
        return f"{stem}.out", f"{stem}.err"

    def _folder(self, instance: SetInstance) -> str:
        folder = self._folders.get(instance.index)
        if folder is None:
            folder = str(task_folder(self._run_dir, instance.task_set.name, instance.iteration))
            _make(folder)
            self._folders[instance.index] = folder
        return folder

    def _fields(self, instance: SetInstance, launched: Launched) -> dict[str, Any]:
        workflow = self._expansion.workflow
        task_set = instance.task_set
        number = launched.task - instance.first_task
        place = instance.index % len(workflow.task_sets)
        fields: dict[str, Any] = {
            "workflow": workflow.name,
            "task_set": task_set.name,
            "task": number,
            "tasks": self._wanted(instance.index),
            "iteration": instance.iteration,
            "iterations": workflow.iterations,
            "attempt": launched.attempt,
            "seed": task_seed(self._seed, place, instance.iteration, number),
            "run_dir": str(self._run_dir),
            "task_dir": f"{self._folder(instance)}/{number}",
            "cores": task_set.resources.cores,
            "gpus": task_set.resources.gpus_milli / GPU_MILLI,
        }
        inputs = self._inputs(instance, launched)
        fields.update({f"inputs.{on}": iteration for on, iteration in inputs.items()})
        parts = {one.on: 0 for one in task_set.after if one.quorum is not None}
        parts.update(self._parts(launched))
        fields.update({f"finished.{on}": mask_to_text(mask) for on, mask in parts.items()})
        missing = self._missing(instance, launched)
        for on, numbers in missing.items():
            mask = sum(1 << number for number in numbers)
            fields[f"missing.{on}"] = mask_to_text(mask) or None
        return fields

    def _parts(self, launched: Launched) -> dict[str, int]:
        """Return, by set waited for by quorum, the mask of its tasks that had finished.

        Of two iterations of a set it is the later one, as for `_inputs`.
        """
        parts: dict[str, tuple[int, int]] = {}
        for on, iteration, mask in launched.present:
            parts[on] = max(parts.get(on, (-1, 0)), (iteration, mask))
        return {on: mask for on, (_, mask) in parts.items()}

    def _inputs(self, instance: SetInstance, launched: Launched) -> dict[str, int | None]:
        """Return, by set waited for, the iteration whose results this task uses."""
        n_sets = len(self._expansion.workflow.task_sets)
        ages = dict(launched.inputs)
        inputs: dict[str, int | None] = {}
        for edge in instance.edges:
            newest = None if edge.newest is None else edge.newest // n_sets
            if inputs.get(edge.on) != instance.iteration:  # of two, the one of this iteration
                inputs[edge.on] = ages.get(edge.on, newest)
        return inputs

    def _missing(self, instance: SetInstance, launched: Launched) -> dict[str, list[int]]:
        """Return, by set waited for, which of the tasks that this one would use have no result."""
        task_sets = self._expansion.workflow.task_sets
        places = {one.name: place for place, one in enumerate(task_sets)}
        number = launched.task - instance.first_task
        missing: dict[str, list[int]] = {on: [] for on in (edge.on for edge in instance.edges)}
        if not self._absent:
            return missing
        for on, iteration in self._inputs(instance, launched).items():
            if iteration is not None:
                gone = self._absent.get(iteration * len(task_sets) + places[on], ())
                used = _used(instance, on, number, task_sets[places[on]].tasks)
                missing[on] = sorted(one for one in gone if one in used)
        return missing


def _used(instance: SetInstance, on: str, number: int, producers: int) -> range:
    """Return which tasks of a set one task uses; of two dependencies on it, the wider counts."""
    patterns = {edge.pattern for edge in instance.edges if edge.on == on}
    if patterns == {Pattern.GROUP}:
        return block(number, instance.count, producers)
    return range(number, number + 1) if patterns == {Pattern.EACH} else range(producers)


def _filled(text: str, fields: Mapping[str, Any]) -> str:
    if "{" not in text and "}" not in text:
        return text
    if "{task_dir}" in text:
        _make(fields["task_dir"])
    return fill(text, {name: "none" if one is None else one for name, one in fields.items()})


def _arguments(value: Any, fields: Mapping[str, Any]) -> Any:
    """Return an argument with its fields filled in; text that is one field becomes its value."""
    match value:
        case str() if value[:1] == "{" and value[1:-1] in fields and value[-1:] == "}":
            _filled(value, fields)
            return fields[value[1:-1]]
        case str():
            return _filled(value, fields)
        case dict():
            return {key: _arguments(one, fields) for key, one in value.items()}
        case list() | tuple():
            return [_arguments(one, fields) for one in value]
        case _:
            return value


def _make(folder: str) -> None:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BackendError(f"cannot make {folder}: {error.strerror}", retryable=False) from None
