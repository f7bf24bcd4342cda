"""The configuration of a DeepDriveMD run: what it says, what is wrong with it, and its file."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

from stretto import WorkflowError
from stretto.apps.deepdrivemd.configuring import Configuration
from stretto.apps.deepdrivemd.configuring.lines import parse_lined
from stretto.apps.deepdrivemd.configuring.reading import (
    configuration_schema,
    configuration_text,
    parse_configuration,
    read_configuration,
    write_configuration,
)
from stretto.apps.deepdrivemd.configuring.templates import filled

SMALL = """\
system: {molecule: alanine-dipeptide}
simulation:
  steps: 2000
  report_every: 20
  resources: {tasks: 6, retries: 1, failures: 20%}
aggregation: {features: distances, selection: heavy, resources: {tasks: 2}}
model:
  kind: autoencoder
  learning_rate: 1e-3
inference: {until: {growth: 0.05}}
loop: {iterations: 5, mode: adaptive, seed: 7}
"""


def small(**sections: str) -> str:
    """Return the small configuration with some sections replaced."""
    values = {**yaml.safe_load(SMALL), **{k: yaml.safe_load(v) for k, v in sections.items()}}
    return yaml.safe_dump(values)


def test_what_is_given_and_what_is_not() -> None:
    configuration = parse_configuration(SMALL)
    assert configuration.simulation.resources.tasks == 6
    assert configuration.simulation.resources.cores == 1
    assert configuration.model.learning_rate == 0.001
    assert configuration.inference.until is not None
    assert configuration.inference.until.growth == 0.05
    assert configuration.loop.mode == "adaptive"
    assert configuration.loop.staleness == 1
    assert list(configuration.stages) == ["simulation", "aggregation", "training", "inference"]


def test_a_molecule_is_all_that_has_to_be_said() -> None:
    configuration = parse_configuration("system: {molecule: hp35}")
    assert all(stage.shipped for stage in configuration.stages.values())


@pytest.mark.parametrize("strategy", ["random", "continue"])
def test_strategies_without_a_model_have_no_training(strategy: str) -> None:
    text = small(inference=f"{{strategy: {strategy}}}", loop="{staleness: 0}")
    assert "training" not in parse_configuration(text).stages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SMALL.replace("steps:", "stepz:"),
            "a.yaml:3: simulation.stepz: unknown key 'stepz'; did you mean 'steps'?",
        ),
        (
            SMALL.replace("retries: 1", "retry: 1"),
            "a.yaml:5: simulation.resources.retry: unknown key 'retry'; did you mean 'retries'?",
        ),
        (
            SMALL.replace("tasks: 6", "tasks: -1"),
            "a.yaml:5: simulation.resources.tasks: expected a number greater than or equal to 1, "
            "found -1",
        ),
        (
            SMALL.replace("kind: autoencoder", "kind: transformer"),
            "a.yaml:8: model.kind: expected 'cvae' or 'autoencoder', found 'transformer'",
        ),
        (
            SMALL.replace("kind: autoencoder", "kind: cvae"),
            "a.yaml:8: model.kind: expected autoencoder for features distances, found cvae, which "
            "learns contacts",
        ),
        (
            SMALL.replace("tasks: 2}", "tasks: 7}"),
            "a.yaml:6: aggregation.resources.tasks: expected at most one block a simulation (6), "
            "found 7",
        ),
        (
            SMALL.replace("1e-3", "fast"),
            "a.yaml:9: model.learning_rate: expected a valid number, unable to parse string as a "
            "number, found 'fast'",
        ),
        (
            SMALL.replace("failures: 20%", "failures: most"),
            "a.yaml:5: simulation.resources.failures: ",
        ),
        (
            SMALL.replace("mode: adaptive", "mode: fast"),
            "a.yaml:11: loop.mode: expected 'sequential', 'asynchronous', 'task-level' or "
            "'adaptive', found 'fast'",
        ),
        (
            SMALL.replace("iterations: 5", "iterations: 5, expected: 6"),
            "a.yaml:11: loop: expected the key expected to be at most iterations (5), found 6",
        ),
        ("loop: {}", "a.yaml:1: the key 'system' is missing"),
        ("system: [a]", "a.yaml:1: system: expected a mapping, found ['a']"),
        ("- a", "a.yaml:1: expected a mapping at the top, found ['a']"),
        ("", "a.yaml: expected a configuration, found nothing in it"),
        ("system: {", "a.yaml:1: not valid YAML: "),
        ("loop: {seed: 1}\nloop: {seed: 2}", "a.yaml:2: loop: the key 'loop' is given twice, "),
        ("1: 2", "a.yaml:1: expected text as a key, found '1'"),
        ("a: !!python/name:os.system x", "a.yaml:1: a: expected plain values, found the tag "),
        ("a: &a [*a]", "a.yaml:1: a.0: an alias lies inside its own anchor"),
        (
            SMALL + "folder: 3\n",
            "a.yaml:12: folder: expected text, found 3",
        ),
    ],
)
def test_what_is_wrong_is_told_with_file_line_and_key(text: str, message: str) -> None:
    with pytest.raises(WorkflowError) as raised:
        parse_configuration(text, source="a.yaml")
    assert str(raised.value).startswith(message)


def test_an_alias_that_stands_for_billions_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(WorkflowError, match="expected at most 10000 values"):
        parse_lined("\n".join(lines), "bomb.yaml")


@pytest.mark.parametrize(
    ("section", "stage", "message"),
    [
        ("model", "command: train, function: 'a:b'", "a command or a function, found both"),
        ("model", "command: ''", "expected a program in command, found no word"),
        ("model", "function: train", "expected String should match|string should match"),
        ("model", "arguments: {a: 1}", "expected arguments only where there is a function"),
        ("simulation", "command: 'md {strat}'", r"no field \{strat\}; did you mean start\?"),
        ("inference", "command: 'pick {inputs.simulation}'", r"no field \{inputs.simulation\}"),
        ("aggregation", "command: 'gather {'", "a brace is left over"),
    ],
)
def test_what_stands_in_for_a_stage_is_checked(section: str, stage: str, message: str) -> None:
    text = f"system: {{molecule: hp35}}\n{section}: {{{stage}}}\n"
    with pytest.raises(WorkflowError, match=message) as raised:
        parse_configuration(text, source="a.yaml")
    assert str(raised.value).startswith(f"a.yaml:2: {section}")


def test_words_of_a_command_are_the_text_that_stands_there() -> None:
    text = "system: {molecule: hp35}\nmodel: {command: [train, 1.10, no, '{seed}']}"
    assert parse_configuration(text).model.command == ("train", "1.10", "no", "{seed}")
    text = "system: {molecule: hp35}\nmodel: {command: train --rate 1.10 'two words'}"
    command = parse_configuration(text).model.command
    assert command == ("train", "--rate", "1.10", "two words")


def test_variables_of_a_stage_are_text() -> None:
    text = "system: {molecule: hp35}\nmodel: {environment: {OMP_NUM_THREADS: 4}}"
    assert parse_configuration(text).model.environment == {"OMP_NUM_THREADS": "4"}


def test_fields_are_replaced_and_double_braces_are_braces() -> None:
    assert filled("{{{task}}}-{run_dir}", {"task": 3, "run_dir": "/r"}) == "{3}-/r"


def test_it_reads_back_as_it_was_written(tmp_path: Path) -> None:
    text = SMALL + ('folder: "sub dir"\n')
    text = text.replace(
        "kind: autoencoder", "kind: autoencoder\n  command: [a, '{model}', '# x: y', 'no']"
    )
    given = parse_configuration(text, folder=tmp_path)
    assert given.folder == str(tmp_path / "sub dir")
    path = tmp_path / "elsewhere" / "deepdrivemd.yaml"
    write_configuration(given, path)
    assert read_configuration(path) == given
    # Every key is there, with what it means.
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert Configuration.of(written) == given
    assert written["model"]["dense"] == 64
    assert "# Filters of the convolutions" in path.read_text(encoding="utf-8")


def test_a_brief_text_means_the_same_in_the_folder_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "deepdrivemd.yaml"
    given = parse_configuration(SMALL, folder=tmp_path)
    text = configuration_text(given, brief=True)
    path.write_text(text, encoding="utf-8")
    assert read_configuration(path) == given
    assert "failures: 20%" in text
    assert "command" not in text


@pytest.mark.parametrize("data", [b"\xff\xfe", b"#" * (1024 * 1024 + 1)])
def test_what_is_no_text_or_too_large_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(data)
    with pytest.raises(WorkflowError, match="expected"):
        read_configuration(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match=r"a\.yaml: there is no such file"):
        read_configuration(tmp_path / "a.yaml")


def test_changing_the_loop_is_checked_like_a_file() -> None:
    configuration = parse_configuration(SMALL)
    changed = configuration.looped(seed=3, mode=None)
    assert (changed.loop.seed, changed.loop.mode) == (3, "adaptive")
    with pytest.raises(WorkflowError, match=r"loop\.iterations: expected a number greater"):
        configuration.looped(iterations=0)
    with pytest.raises(WorkflowError, match=r"loop\.staleness: expected 0 with the strategy"):
        parse_configuration(small(inference="{strategy: continue}", loop="{staleness: 1}"))


def test_plain_md_keeps_what_is_simulated_and_chooses_nothing() -> None:
    loop = "{iterations: 9, staleness: 1, expected: 4, seed: 5}"
    steered = parse_configuration(small(inference="{until: {growth: 0.01}}", loop=loop))
    plain = steered.plain(6)
    assert (plain.system, plain.simulation) == (steered.system, steered.simulation)
    assert (plain.inference.strategy, plain.inference.until) == ("continue", None)
    assert (plain.loop.iterations, plain.loop.staleness, plain.loop.seed) == (6, 0, 5)
    assert not plain.learns


def test_the_schema_that_is_shipped_is_that_of_the_code() -> None:
    folder = files("stretto.apps.deepdrivemd.configuring")
    shipped = json.loads(folder.joinpath("configuration.schema.json").read_text("utf-8"))
    assert shipped == configuration_schema()
    jsonschema.Draft202012Validator.check_schema(shipped)
    jsonschema.validate(yaml.safe_load(SMALL.replace("1e-3", "0.001")), shipped)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"system": {}, "simulation": {"stepz": 1}}, shipped)
