"""Descriptions to workflows: YAML, TOML or plain mappings in, a checked `Workflow` out.

Whatever is wrong, and whoever finds it, ends as one `WorkflowError` that names the file, the line
and the keys that lead to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stretto.errors import WorkflowError
from stretto.resources import Resources
from stretto.workflow.channels import Channel
from stretto.workflow.definition import Workflow
from stretto.workflow.documents import parse_document, read_document
from stretto.workflow.marks import Document, check_values, line_of
from stretto.workflow.schema import ChannelForm, TaskSetForm, WorkflowForm, filled, keys_of
from stretto.workflow.task_set import TaskSet

__all__ = ["located", "parse_workflow", "read_workflow", "workflow_from_mapping"]


def read_workflow(path: str | Path) -> Workflow:
    """Return the workflow that a file describes.

    Parameters
    ----------
    path
        A file whose name ends in ``.yaml``, ``.yml`` or ``.toml``.  Relative paths and modules in
        it are looked up in the folder it lies in.

    Raises
    ------
    WorkflowError
        If the file cannot be read or does not describe a workflow; with file and line.
    """
    document = read_document(path, is_text=_is_text)
    return _workflow(document, Path(path).absolute().parent)


def parse_workflow(
    text: str,
    *,
    format: str = "yaml",  # noqa: A002 - the word users know
    source: str = "text",
    folder: str | Path = ".",
) -> Workflow:
    """Return the workflow that a text describes.

    Parameters
    ----------
    text
        The description.
    format
        ``"yaml"`` or ``"toml"``.
    source
        What errors call the text.
    folder
        Where relative paths and modules are looked up.

    Raises
    ------
    WorkflowError
        If it does not describe a workflow; with source and line.
    """
    return _workflow(parse_document(text, format, source, is_text=_is_text), folder)


def located(error: WorkflowError, path: str | Path) -> WorkflowError:
    """Return an error about a workflow that was read from a file, with file and line.

    For what shows only later, such as that a task fits on no node of the platform.
    """
    if error.source is not None or not error.path:
        return error
    mark = read_document(path, is_text=_is_text).mark
    line = "" if mark is None else f":{line_of(mark, error.path)}"
    return WorkflowError(error.message, path=error.path, source=f"{path}{line}")


def workflow_from_mapping(data: Mapping[str, Any], *, folder: str | Path = ".") -> Workflow:
    """Return the workflow that plain values describe, keys as in a file.

    Undoes `workflow_to_mapping`, but for callables, which come back as their names.

    Raises
    ------
    WorkflowError
        If they do not describe a workflow; its path names the value.
    """
    value = dict(data) if isinstance(data, Mapping) else data
    check_values(value)
    return _workflow(Document(value), folder)


def _is_text(path: tuple[str | int, ...]) -> bool:
    """Words of a command and values of variables are text, however much they look like numbers."""
    match path:
        case ("task_sets", _, "command", int()) | ("task_sets", _, "environment", str()):
            return True
        case _:
            return False


def _workflow(document: Document, folder: str | Path) -> Workflow:
    form = filled(WorkflowForm, document, _keys_at)
    try:
        return Workflow(
            form.name,
            [_task_set(name, one) for name, one in form.task_sets.items()],
            iterations=form.iterations,
            stages=form.stages,
            channels=[_channel(name, one) for name, one in (form.channels or {}).items()],
            platform=form.platform,
            folder=Path(folder) / (form.folder or "."),
        )
    except WorkflowError as error:
        raise document.located(error) from None


def _task_set(name: str, form: TaskSetForm) -> TaskSet:
    try:
        return TaskSet(
            name,
            tasks=form.tasks,
            resources=Resources(
                cores=form.cores,
                gpus=form.gpus,
                memory=form.memory,
                named=form.named,
                ranks=form.ranks,
            ),
            duration=form.duration,
            command=form.command,
            shell=form.shell,
            function=form.function,
            arguments=form.arguments,
            after=form.after,
            with_=form.with_,
            environment=form.environment,
            working_directory=form.working_directory,
            timeout=form.timeout,
            retries=form.retries,
            failures=form.failures,
        )
    except WorkflowError as error:
        raise error.within("task_sets", name) from None


def _channel(name: str, form: ChannelForm) -> Channel:
    try:
        return Channel(name, form.from_, form.to, every=form.every, capacity=form.capacity)
    except WorkflowError as error:
        raise error.within("channels", name) from None


def _keys_at(path: tuple[str | int, ...]) -> Iterable[str]:
    if path[:1] == ("channels",):
        return keys_of(ChannelForm)
    return keys_of(TaskSetForm if path else WorkflowForm)
