"""Names and files to platforms: ``summit:16``, ``local``, ``local:8``, ``cluster.yaml``.

A file writes the nodes out, in groups of equal ones::

    name: cluster
    nodes:
      - {name: thin, count: 4, cores: 64, memory: 256 GiB}
      - {name: fat, cores: 64, gpus: 4, memory: 512 GiB, named: {licence: 2}}
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stretto.errors import WorkflowError
from stretto.platform.local import local_platform
from stretto.platform.nodes import MOST_NODES, Node, Platform
from stretto.platform.presets import PRESETS, preset_platform
from stretto.units import check_name, memory_to_mib
from stretto.workflow import Workflow
from stretto.workflow.documents import FORMATS, read_document
from stretto.workflow.schema import Form, Memory, filled

__all__ = ["platform_for", "platform_named", "read_platform"]

MOST_DIGITS = 9
"""Limit on the digits of the number after the colon."""


class NodesForm(Form):
    """Nodes that are alike."""

    name: str = "node"
    count: int = 1
    cores: int
    gpus: int = 0
    memory: Memory = 0
    named: dict[str, int] | None = None


class PlatformForm(Form):
    """A platform written out."""

    name: str
    nodes: list[NodesForm]


def platform_for(workflow: Workflow, platform: Platform | str | None) -> Platform:
    """Return the platform that is meant: the one given, else the description's, else this machine.

    Raises
    ------
    WorkflowError
        If there is no such platform; with the path ``("platform",)`` if the description names it.
    """
    if isinstance(platform, Platform):
        return platform
    if platform is not None:
        return platform_named(platform)
    if workflow.platform is None:
        return platform_named("local")
    try:
        return platform_named(workflow.platform, folder=workflow.folder)
    except WorkflowError as error:
        raise error if error.source is not None else error.within("platform") from None


def platform_named(text: str, *, folder: str | Path = ".") -> Platform:
    """Return the platform that a text names.

    Parameters
    ----------
    text
        ``MACHINE`` or ``MACHINE:NODES`` for one of `PRESETS`; ``local`` for this machine as
        detected, ``local:CORES`` for this machine with that many cores declared; or the path of a
        YAML or TOML file.
    folder
        Where a relative path is looked up.

    Raises
    ------
    WorkflowError
        If it names none, or the file does not describe one.
    """
    if "/" in text or any(text.lower().endswith(ending) for ending in FORMATS):
        return read_platform(Path(folder) / text)
    name, colon, number = text.partition(":")
    count = _count(text, number) if colon else None
    if name == "local":
        return local_platform(count)
    if name not in PRESETS:
        known = ", ".join([*PRESETS, "local"])
        raise WorkflowError(
            f"there is no platform {text!r}; expected one of {known}, with :NUMBER for the nodes "
            "(local: the cores), or the path of a file"
        )
    return preset_platform(name, 1 if count is None else count)


def read_platform(path: str | Path) -> Platform:
    """Return the platform that a YAML or TOML file writes out.

    Raises
    ------
    WorkflowError
        If the file cannot be read or does not describe a platform; with file and line.
    """
    document = read_document(path)
    form = filled(PlatformForm, document, _keys_at)
    try:
        return Platform(check_name(form.name), tuple(_nodes(form.nodes)))
    except WorkflowError as error:
        raise document.located(error) from None


def _count(text: str, number: str) -> int:
    if not (number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS):
        raise WorkflowError(f"expected NAME:NUMBER, found {text!r}")
    return int(number)


def _nodes(groups: list[NodesForm]) -> list[Node]:
    nodes: list[Node] = []
    for place, group in enumerate(groups):
        try:
            if not 1 <= group.count <= MOST_NODES - len(nodes):
                raise WorkflowError(
                    f"expected 1 to {MOST_NODES} nodes in all, found {group.count}", path=("count",)
                )
            memory_mib = _memory(group)
            named = tuple((group.named or {}).items())
            for number in range(group.count):
                name = group.name if group.count == 1 else f"{group.name}{number}"
                nodes.append(Node(name, group.cores, group.gpus, memory_mib, named))
        except WorkflowError as error:
            raise error.within("nodes", place) from None
    return nodes


def _memory(group: NodesForm) -> int:
    try:
        return memory_to_mib(group.memory)
    except WorkflowError as error:
        raise error.within("memory") from None


def _keys_at(path: tuple[str | int, ...]) -> Iterable[str]:
    return NodesForm.model_fields if path else PlatformForm.model_fields
