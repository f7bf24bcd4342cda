"""Configurations from files and back, with every default in its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from stretto import WorkflowError
from stretto.apps.deepdrivemd.configuring.configuration import Configuration
from stretto.apps.deepdrivemd.configuring.lines import Lined, parse_lined, read_lined
from stretto.apps.deepdrivemd.configuring.templates import check_words
from stretto.apps.deepdrivemd.files import write_text
from stretto.apps.deepdrivemd.loop import workflow_of

__all__ = [
    "configuration_schema",
    "configuration_text",
    "parse_configuration",
    "read_configuration",
    "write_configuration",
]

_RARE = (
    "arguments",
    "command",
    "duration",
    "environment",
    "expected",
    "failures",
    "first",
    "function",
    "memory",
    "timeout",
)
"""Keys that a brief text does without."""
_WIDTH = 100
_COLUMN = 34
"""Where comments begin, if what is before them is shorter."""


def read_configuration(path: str | Path) -> Configuration:
    """Return the configuration in a file.

    Raises
    ------
    WorkflowError
        If it cannot be read or used; with file, line and key, what was found and expected.
    """
    return _configuration(read_lined(path), Path(path).absolute().parent)


def parse_configuration(
    text: str, *, source: str = "text", folder: str | Path = "."
) -> Configuration:
    """Return the configuration in a text; files that it names are relative to `folder`."""
    return _configuration(parse_lined(text, source), Path(folder))


def configuration_schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration, which is shipped for editors."""
    return Configuration.model_json_schema()


def write_configuration(configuration: Configuration, path: Path) -> None:
    """Write a configuration with all defaults and comments, whole or not at all."""
    write_text(path, configuration_text(configuration))


def configuration_text(configuration: Configuration, *, brief: bool = False) -> str:
    """Return a configuration as YAML that reads back as the same, each key with what it means.

    Parameters
    ----------
    brief
        Whether to leave out keys that few need, where they have their defaults, and where files are
        looked up, which then is the folder of the file.
    """
    lines: list[str] = []
    for name, field in Configuration.model_fields.items():
        value = getattr(configuration, name)
        if isinstance(value, BaseModel):
            lines += [f"# {field.description}", f"{name}:", *_lines(value, 1, brief), ""]
        elif not brief:
            lines += [*_line(name, value, field.description, 0), ""]
    return "\n".join(lines[:-1]) + "\n"


def _lines(section: BaseModel, depth: int, brief: bool) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if brief and name in _RARE and value == field.default:
            continue
        if isinstance(value, BaseModel):
            yield f"{'  ' * depth}{name}:"
            yield from _lines(value, depth + 1, brief)
        else:
            plain = section.model_dump(mode="json", include={name})[name]
            yield from _line(name, plain, field.description, depth)


def _line(name: str, value: Any, description: str | None, depth: int) -> Iterator[str]:
    flow = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    flow = flow.removesuffix("\n").removesuffix("\n...")
    text = f"{'  ' * depth}{name}: {flow}"
    first, *rest = _wrapped(description or "", _WIDTH - _COLUMN - 2)
    yield f"{text:<{_COLUMN - 1}} # {first}" if first else text
    for one in rest:
        yield f"{'':<{_COLUMN - 1}} # {one}"


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _configuration(lined: Lined, folder: Path) -> Configuration:
    try:
        given = lined.values.get("folder", ".")
        if not isinstance(given, str):
            raise WorkflowError(f"expected text, found {given!r}", path=("folder",))
        where = (folder / given).absolute()
        values = {**lined.values, "folder": str(where)}
        configuration = Configuration.of(values)
        check_words(configuration)
        workflow_of(configuration)
    except WorkflowError as error:
        raise lined.located(error) from None
    return configuration
