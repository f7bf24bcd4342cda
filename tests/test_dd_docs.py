"""The page of DeepDriveMD says what the code does: keys, defaults, fields, files, examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from stretto.apps.deepdrivemd.choosing import UntilSettings
from stretto.apps.deepdrivemd.configuring import Configuration, LoopSettings, Stage
from stretto.apps.deepdrivemd.configuring.reading import parse_configuration
from stretto.apps.deepdrivemd.configuring.stages import EnsembleNeeds, SimulationSection
from stretto.apps.deepdrivemd.configuring.templates import FIELDS, FILES
from tests.test_docs import FENCED, read, rows, section

PAGE = "docs/deepdrivemd.md"
SECTIONS: dict[str, tuple[type[BaseModel], set[str]]] = {
    **{
        f"### `{name}`": (field.annotation, set(Stage.model_fields))
        for name, field in Configuration.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    },
    "### Of every stage": (Stage, set()),
    "### `resources` of a stage": (EnsembleNeeds, set()),
    "### `until` of `inference`": (UntilSettings, set()),
}


def default(field: Any) -> str:
    """Return a default as the page has it."""
    if isinstance(field.default, BaseModel):
        return "see below"
    if field.default is None:
        return "none"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    value = str(value) if isinstance(value, str) else value
    text = yaml.safe_dump(value, default_flow_style=True)
    return text.removesuffix("\n").removesuffix("\n...")


def table(kind: type[BaseModel], without: set[str]) -> list[list[str]]:
    """Return the rows that the page has to have."""
    return [
        [name, default(field), str(field.description)]
        for name, field in kind.model_fields.items()
        if name not in without
    ]


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_is_documented_with_its_default_and_meaning(heading: str) -> None:
    assert rows(section(PAGE, heading)) == table(*SECTIONS[heading])


def test_every_key_has_a_meaning() -> None:
    kinds = [kind for kind, _ in SECTIONS.values()] + [SimulationSection, LoopSettings]
    for kind in kinds:
        for name, field in kind.model_fields.items():
            assert field.description, f"{kind.__name__}.{name}"


def test_every_field_of_a_command_is_documented() -> None:
    text = read(PAGE)
    fields = rows(text.partition("<!-- fields -->")[2])
    assert fields[:-1] == [[f"{{{name}}}", meaning] for name, meaning in FIELDS.items()]
    documented = rows(text.partition("<!-- files -->")[2])
    assert documented == [
        [stage, f"{{{name}}}", meaning]
        for stage, files in FILES.items()
        for name, meaning in files.items()
    ]


def test_examples_are_configurations(tmp_path: Path) -> None:
    found = [text for info, text in FENCED.findall(read(PAGE)) if info == "yaml deepdrivemd"]
    assert len(found) == 3
    for text in found:
        parse_configuration(text, folder=tmp_path)


def test_strategies_are_those_of_the_configuration() -> None:
    words = re.findall(r"'([\w-]+)'", str(Configuration.of({"system": {}}).inference.__class__
                       .model_fields["strategy"].annotation))  # fmt: skip
    assert [row[0] for row in rows(section(PAGE, "## Strategies"))] == words
