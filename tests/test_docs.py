"""What the documents say is so: links, code, tables of keys and limits, numbers, the diagram."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from typer.main import get_command

import stretto
from stretto.analysis import Calibration
from stretto.apps.paper import WORKLOADS, workload
from stretto.cli.app import app
from stretto.cli.exits import Exit
from stretto.model import model_of
from stretto.platform import PRESETS, platform_named
from stretto.platform.reading import NodesForm, PlatformForm, read_platform
from stretto.records import FORMS, parsl, summit, wfformat
from stretto.scheduler import Mode, diagram
from stretto.trace.codec import event_from_json
from stretto.workflow import FIELDS, Pattern, parse_workflow
from stretto.workflow.schema import ChannelForm, TaskSetForm, WorkflowForm, keys_of

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]

FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")
KEY = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)

# Sets for the fragments of descriptions in the documents to wait for.
OTHERS = {"simulation": {"tasks": 6}, "training": {}, "inference": {}}


class Block(NamedTuple):
    """A fenced block: its document, what follows the fence, its text."""

    name: str
    info: str
    text: str


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(*infos: str) -> list[Block]:
    """Return the blocks of all documents that are fenced so."""
    return [
        Block(name, info, text)
        for name in NAMES
        for info, text in FENCED.findall(read(name))
        if info in infos
    ]


def section(name: str, heading: str) -> str:
    """Return what stands under a heading, up to the next of its kind or above."""
    text = read(name)
    marks, _, _ = heading.partition(" ")
    begin = text.index(f"\n{heading}\n") + len(heading) + 2
    end = re.search(rf"^#{{1,{len(marks)}}} ", text[begin:], re.MULTILINE)
    return text[begin : begin + end.start()] if end else text[begin:]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the first table in a text, without its two lines of heading."""
    table: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif table:
            break
    return [[cell.strip("` |") for cell in row] for row in table[2:]]


def anchors(text: str) -> set[str]:
    """Return what the headings of a text can be linked by."""
    bare = FENCED.sub("", text)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", bare, re.MULTILINE)
    }


@pytest.mark.parametrize("name", NAMES)
def test_links_between_documents_resolve(name: str) -> None:
    for link in LINK.findall(FENCED.sub("", read(name))):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), f"{name}: {link}"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{name}: {link}"


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        path = ahead.pop()
        if path in reached or path.suffix != ".md":
            continue
        reached.add(path)
        for link in LINK.findall(path.read_text(encoding="utf-8")):
            target = path.parent / link.partition("#")[0]
            if "://" not in link and target.is_file():
                ahead.append(target.resolve())
    assert set(DOCUMENTS) <= reached


def test_decisions_are_numbered_without_a_gap_and_say_context_choice_and_cost() -> None:
    pages = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [page.name[:4] for page in pages] == [f"{n:04}" for n in range(1, len(pages) + 1)]
    index = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    for page in pages:
        text = page.read_text(encoding="utf-8")
        title = text.splitlines()[0].removeprefix(f"# {page.name[:4]}: ")
        assert f"| [{page.name[:4]}]({page.name}) | {title} |" in index
        for part in ("**Context.**", "**Choice", "**Cost.**"):
            assert part in text, page.name


# Descriptions.


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.name)
def test_yaml_in_documents_describes_something(block: Block, tmp_path: Path) -> None:
    value = yaml.safe_load(block.text)
    if "task_sets" in value:
        parse_workflow(block.text)
    elif "nodes" in value:
        path = tmp_path / "platform.yaml"
        path.write_text(block.text, encoding="utf-8")
        assert read_platform(path).nodes
    else:
        example = json.dumps({"name": "x", "task_sets": {**OTHERS, "example": value}})
        parse_workflow(example)


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.name)
def test_toml_in_documents_describes_something(block: Block) -> None:
    parse_workflow(block.text, format="toml")


def test_mistakes_are_told_in_the_words_of_the_document() -> None:
    fenced = FENCED.findall(section("docs/description.md", "## Mistakes"))
    assert len(fenced) % 2 == 0
    for (info, text), (_, message) in zip(fenced[::2], fenced[1::2], strict=True):
        assert info == "yaml wrong"
        with pytest.raises(stretto.WorkflowError) as raised:
            parse_workflow(text, source="loop.yaml")
        assert str(raised.value) == message.strip()


@pytest.mark.parametrize(
    ("name", "heading", "form"),
    [
        ("docs/description.md", "## Keys of a workflow", WorkflowForm),
        ("docs/description.md", "## Keys of a task set", TaskSetForm),
        ("docs/channels.md", "## Keys of a channel", ChannelForm),
    ],
)
def test_every_key_is_documented_with_its_default(name: str, heading: str, form: Any) -> None:
    documented = {row[0]: row[2] for row in rows(section(name, heading))}
    assert list(documented) == keys_of(form)
    for key, one in zip(keys_of(form), form.model_fields.values(), strict=True):
        if one.is_required():
            assert documented[key] == "required"
        elif one.default is not None:
            assert documented[key] == str(one.default).lower()
        else:
            assert documented[key] not in ("required", "")


def test_every_key_of_a_platform_is_documented() -> None:
    text = section("docs/description.md", "## Platforms")
    for key in [*PlatformForm.model_fields, *NodesForm.model_fields]:
        assert f"`{key}`" in text
    assert all(f"`{name}`" in text or f"`{name}:" in text for name in PRESETS)


def test_every_field_is_documented() -> None:
    documented = [row[0] for row in rows(section("docs/description.md", "## Template fields"))]
    others = ["inputs.NAME", "finished.NAME", "missing.NAME"]
    assert documented == [f"{{{name}}}" for name in [*FIELDS, *others]]


def test_every_pattern_and_every_mode_is_documented() -> None:
    patterns = [row[0] for row in rows(section("docs/description.md", "### Patterns"))]
    assert patterns == [str(pattern) for pattern in Pattern]
    assert [row[0] for row in rows(section("README.md", "## Modes"))] == [
        str(mode) for mode in Mode
    ]


@pytest.mark.parametrize("name", ["docs/description.md", "docs/optimizer.md", "docs/records.md"])
def test_limits_are_as_documented(name: str) -> None:
    documented = rows(section(name, "## Limits"))
    assert documented
    for _, limit, name in documented:
        module, _, constant = name.rpartition(".")
        assert getattr(importlib.import_module(module), constant) == int(limit.replace(",", "")), (
            name
        )


# Records.


def test_every_form_of_records_and_what_it_needs_is_documented() -> None:
    documented = {row[0]: row[2] for row in rows(section("docs/records.md", "## Forms"))}
    assert list(documented) == list(FORMS)
    for form, needed in (
        ("summit", summit.NEEDED),
        ("wfformat", wfformat.VERSIONS),
        ("parsl", [table for table in parsl.COLUMNS if table != "node"]),
    ):
        assert all(one in documented[form] for one in needed)


def test_a_calibration_is_as_documented() -> None:
    written = Calibration({}, stretto.Overheads(), {}).to_json()
    keys = [row[0] for row in rows(section("docs/records.md", "### The file"))]
    assert keys == list(written)
    terms = [row[0] for row in rows(section("docs/records.md", "## Calibration"))]
    assert ", ".join(terms).replace("`", "").split(", ") == list(written["overheads"])


# The model.


def test_the_papers_numbers_are_those_of_plan() -> None:
    text = read("docs/model.md")
    formulas = {row[0]: row[1:] for row in rows(text.partition("<!-- formulas -->")[2])}
    simulated = {row[0]: row[1:] for row in rows(text.partition("<!-- simulated -->")[2])}
    assert list(formulas) == list(simulated) == [f"paper:{name}" for name in WORKLOADS]
    for name in WORKLOADS:
        plan = stretto.plan(workload(name).at_means()).to_json()
        corrected = plan["corrected"]
        assert formulas[f"paper:{name}"] == [
            *(str(plan[key]) for key in ("doa_dep", "doa_width", "doa_res", "wla")),
            *(f"{plan[key]:.0f}" for key in ("t_seq_s", "t_seq_ranks_s", "t_async_s")),
            *(f"{one['t_async_s']:.0f}" for one in corrected),
            *(
                f"{value:.3f}".replace("-", "−")
                for value in [plan["improvement"], *(one["improvement"] for one in corrected)]
            ),
        ]
        assert simulated[f"paper:{name}"] == [
            f"{plan['simulated'][mode]['at_means_s']:.0f}" for mode in Mode
        ]


def test_what_is_said_about_overlap_in_deepdrivemd() -> None:
    model = model_of(workload("deepdrivemd"), platform_named("summit:16"))
    assert [one.name for one in model.masked] == ["aggregation[0]", "training[0]", "aggregation[1]"]


def test_what_is_said_about_priorities_in_c_dg2() -> None:
    platform = platform_named("summit:16")
    trace = stretto.simulate(workload("c-dg2").at_means(), platform, order="largest-first")
    assert trace.ttx_us == 1540 * 10**6


# The architecture.


def test_the_life_of_a_task_is_drawn_from_the_table() -> None:
    drawn = [
        text for info, text in FENCED.findall(read("docs/architecture.md")) if info == "mermaid"
    ]
    assert drawn[1].strip() == diagram()


def test_the_floors_are_those_of_the_contracts() -> None:
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    floors = [set(re.findall(r"stretto\.(\w+)", layer)) for layer in layers]
    documented = section("docs/architecture.md", "## Floors")
    assert [set(re.findall(r"\w+", row[0])) for row in rows(documented)] == floors
    source = Path(stretto.__file__).parent
    there = {path.stem for path in source.iterdir() if not path.name.startswith(("_", "py"))}
    assert set().union(*floors) == there


# Commands.


def console() -> Iterator[list[str]]:
    """Yield the words of every command of ours that a document shows."""
    for block in blocks("console"):
        for line in block.text.splitlines():
            assert line.startswith("$ "), line
            program, *words = [word.strip("'") for word in line[2:].partition("  #")[0].split()]
            assert program == "stretto"
            yield words


def test_commands_in_documents_can_be_parsed() -> None:
    group = get_command(app)
    shown = list(console())
    assert len(shown) > 10
    for name, *words in shown:
        command = group.commands[name]
        command.make_context(name, words)


def test_every_command_is_shown() -> None:
    group = get_command(app)
    told = "".join(read(name) for name in NAMES)
    assert [name for name in group.commands if not re.search(rf"`?stretto {name}\b", told)] == []


def test_exit_statuses_are_as_documented() -> None:
    text = section("docs/running.md", "## Stopping, and exit statuses")
    assert [int(row[0]) for row in rows(text)] == sorted(Exit)


def test_the_line_of_a_journal_can_be_read() -> None:
    (block,) = blocks("json")
    for event in json.loads(block.text)["events"]:
        event_from_json(event)


@pytest.mark.slow
def test_the_commands_of_the_readme_work(tmp_path: Path) -> None:
    (block,) = [one for one in blocks("console") if one.name == "README.md"]
    commands = [line[2:].partition("  #")[0] for line in block.text.splitlines()]
    assert len(commands) == 7
    for command in commands:
        program = [sys.executable, "-m", "stretto.cli", *command.split()[1:]]
        ended = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, command + ended.stderr
    assert (tmp_path / "runs/first/report.html").is_file()


# Python.


@pytest.mark.parametrize("name", ["README.md", "docs/python.md", "docs/records.md"])
def test_python_in_documents_runs(name: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    texts = [block.text for block in blocks("python") if block.name == name]
    program.write_text("\n".join(texts), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-W", "error", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.name)
def test_python_in_documents_is_python(block: Block) -> None:
    compile(block.text, block.name, "exec")


def test_every_public_name_is_in_the_documents() -> None:
    told = read("docs/python.md") + read("README.md")
    assert [name for name in stretto.__all__ if not re.search(rf"\b{name}\b", told)] == []


# The plan.


def test_every_key_of_a_plan_is_in_its_document() -> None:
    text = files("stretto.planning").joinpath("plan.schema.json").read_text("utf-8")
    table = rows(section("docs/plan.md", "## JSON"))
    documented = {key for row in table for key in re.findall(r"\w+", row[0])}
    assert documented == set(json.loads(text)["properties"])
