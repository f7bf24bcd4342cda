# ruff: noqa: E501 - a message is compared as a whole, in one line
"""Descriptions from files: the form of the manual, and one clear line for whatever is wrong."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.errors import WorkflowError
from stretto.workflow import (
    Command,
    Constant,
    Dependency,
    Function,
    Normal,
    Pattern,
    Workflow,
    documents,
    marks,
    parse_workflow,
    read_workflow,
    workflow_from_mapping,
    workflow_schema,
    yaml_text,
)

LOOP = """\
name: deepdrivemd
platform: summit:16
iterations: 3
task_sets:
  simulation:
    tasks: 96
    cores: 4
    gpus: 1
    duration: {mean: 340, sd: 17}
    command: [python, simulate.py, --task, "{task}", --iteration, "{iteration}"]
    after: {inference: {iteration: previous, staleness: 1}}
  aggregation:
    tasks: 16
    cores: 32
    duration: 85
    command: [python, aggregate.py, "{task}"]
    after: {simulation: group}
  training:  {tasks: 1, cores: 4, gpus: 1, duration: 63, function: "my_stages:train",
              after: aggregation}
  inference: {tasks: 96, cores: 16, gpus: 1, duration: 38, function: "my_stages:infer",
              after: training, retries: 2, timeout: 600}
stages: [[simulation], [aggregation], [training], [inference]]
"""

LOOP_TOML = """\
name = "deepdrivemd"
platform = "summit:16"
iterations = 3
stages = [["simulation"], ["aggregation"], ["training"], ["inference"]]

[task_sets.simulation]
tasks = 96
cores = 4
gpus = 1
duration = {mean = 340, sd = 17}
command = ["python", "simulate.py", "--task", "{task}", "--iteration", "{iteration}"]
after = {inference = {iteration = "previous", staleness = 1}}

[task_sets.aggregation]
tasks = 16
cores = 32
duration = 85
command = ["python", "aggregate.py", "{task}"]
after = {simulation = "group"}

[task_sets]
training = {tasks = 1, cores = 4, gpus = 1, duration = 63, function = "my_stages:train", after = "aggregation"}

[task_sets.inference]
tasks = 96
cores = 16
gpus = 1
duration = 38
function = "my_stages:infer"
after = "training"
retries = 2
timeout = 600
"""

ONE_SET = "name: w\ntask_sets:\n  a:\n    "

WORKFLOW_KEYS = list(workflow_schema()["properties"])
SET_KEYS = list(workflow_schema()["$defs"]["TaskSetForm"]["properties"])


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(["a", "b", "mean", "sd", "lognormal", "sample", "pattern", "iteration"])
    return st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)


def refused(text: str, form: str = "yaml") -> str:
    """Return the one line that says what is wrong with a description."""
    with pytest.raises(WorkflowError) as caught:
        parse_workflow(text, format=form, source=f"loop.{form}")
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 2 * marks.LONGEST_MESSAGE
    return message


def refused_file(path: Path, data: bytes | None = None) -> str:
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(WorkflowError) as caught:
        read_workflow(path)
    return str(caught.value)


def test_the_form_of_the_manual() -> None:
    workflow = parse_workflow(LOOP)
    assert (workflow.name, workflow.platform, workflow.iterations) == (
        "deepdrivemd",
        "summit:16",
        3,
    )
    assert [one.name for one in workflow.task_sets] == [
        "simulation",
        "aggregation",
        "training",
        "inference",
    ]
    simulation = workflow["simulation"]
    assert simulation.tasks == 96
    assert (simulation.resources.cores, simulation.resources.gpus) == (4, 1)
    assert simulation.duration == Normal(340_000_000, 17_000_000)
    assert simulation.after == (Dependency("inference", previous=True, staleness=1),)
    assert isinstance(simulation.work, Command)
    assert simulation.work.words[-1] == "{iteration}"
    assert workflow["aggregation"].after == (Dependency("simulation", Pattern.GROUP),)
    assert workflow["training"].work == Function("my_stages:train")
    assert workflow["inference"].duration == Constant(38_000_000)
    assert (workflow["inference"].retries, workflow["inference"].timeout_us) == (2, 600_000_000)
    assert workflow.stages == (("simulation",), ("aggregation",), ("training",), ("inference",))


def test_toml_says_the_same_as_yaml() -> None:
    order = ["simulation", "aggregation", "training", "inference"]
    from_toml = parse_workflow(
        LOOP_TOML.replace("[task_sets]\n", "[task_sets.training]\n").replace(
            "training = {tasks = 1, cores = 4, gpus = 1, duration = 63, "
            'function = "my_stages:train", after = "aggregation"}',
            'cores = 4\ngpus = 1\nduration = 63\nfunction = "my_stages:train"\nafter = "aggregation"',
        ),
        format="toml",
    )
    assert [one.name for one in from_toml.task_sets] == order
    assert from_toml == parse_workflow(LOOP)


def test_files_are_read_by_their_name_and_know_their_folder(tmp_path: Path) -> None:
    for name, text in (
        ("a.yaml", LOOP),
        ("b.yml", LOOP),
        ("c.toml", 'name = "w"\n[task_sets.a]\ntasks = 2\n'),
        ("d.yaml", "\ufeff" + LOOP.replace("\n", "\r\n")),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        assert read_workflow(tmp_path / name).folder == tmp_path


def test_a_folder_in_the_description_counts_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: w\nfolder: code\ntask_sets: {a: {}}\n")
    assert read_workflow(tmp_path / "a.yaml").folder == tmp_path / "code"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "loop.yaml: expected a description, found nothing in it"),
        ("# nothing\n", "loop.yaml: expected a description, found nothing in it"),
        ("{}", "loop.yaml: expected a description, found nothing in it"),
        ("- a\n", "loop.yaml:1: expected a mapping at the top, found a list"),
        ("hello", "loop.yaml:1: expected a mapping at the top, found 'hello'"),
        ("name: w\n", "loop.yaml:1: the key 'task_sets' is missing"),
        ("name: w\ntask_set: {a: {}}\n", "loop.yaml:2: task_set: unknown key 'task_set'; did you mean 'task_sets'?"),
        (ONE_SET + "tasks: 2\n    coers: 4\n", "loop.yaml:5: task_sets.a.coers: unknown key 'coers'; did you mean 'cores'?"),
        (ONE_SET + "cpus: 4\n", "loop.yaml:4: task_sets.a.cpus: unknown key 'cpus'; did you mean 'cores'?"),
        (ONE_SET + "tasks: 2\n    tasks: 3\n", "loop.yaml:5: task_sets.a.tasks: the key 'tasks' is given twice, first in line 4"),
        (ONE_SET + "tasks: -1\n", "loop.yaml:4: task_sets.a.tasks: expected 1 to 10000000, found -1"),
        (ONE_SET + "tasks: 1.5\n", "loop.yaml:4: task_sets.a.tasks: expected a whole number, found 1.5"),
        (ONE_SET + "tasks: '4'\n", "loop.yaml:4: task_sets.a.tasks: expected a whole number, found '4'"),
        (ONE_SET + "tasks: true\n", "loop.yaml:4: task_sets.a.tasks: expected a whole number, found True"),
        (ONE_SET + "tasks: 1_000\n", "loop.yaml:4: task_sets.a.tasks: expected a whole number, found '1_000'"),
        (ONE_SET + "gpus: -0.5\n", "loop.yaml:4: task_sets.a.gpus: expected 0, at least 0.001, or whole GPUs, found -0.5"),
        (ONE_SET + "named: 2\n", "loop.yaml:4: task_sets.a.named: expected a mapping, found 2"),
        (ONE_SET + "named:\n      licence: 1.5\n", "loop.yaml:5: task_sets.a.named.licence: expected a whole number, found 1.5"),
        (ONE_SET + "named:\n      licence: -1\n", "loop.yaml:5: task_sets.a.named.licence: expected 0 to 1000000000, found -1"),
        (ONE_SET + "named:\n      a licence: 1\n", "loop.yaml:5: task_sets.a.named.a licence: expected up to 64 letters"),
        (ONE_SET + "cores: 0\n", "loop.yaml:4: task_sets.a.cores: expected at least one core, some of a GPU or a named resource"),
        (ONE_SET + "duration: .nan\n", "loop.yaml:4: task_sets.a.duration: expected a finite number, found nan"),
        (ONE_SET + "duration: -.inf\n", "loop.yaml:4: task_sets.a.duration: expected a finite number, found -inf"),
        (ONE_SET + "duration: 1e999\n", "loop.yaml:4: task_sets.a.duration: expected a finite number, found inf"),
        (ONE_SET + "duration: {mean: 3, sd: -1}\n", "loop.yaml:4: task_sets.a.duration.sd: expected 0 to 315360000 seconds, found -1"),
        (ONE_SET + "duration:\n      mean: 3\n      sd: x\n", "loop.yaml:6: task_sets.a.duration.sd: expected a number of seconds, found 'x'"),
        (ONE_SET + "duration: 12:30\n", "loop.yaml:4: task_sets.a.duration: expected seconds, {mean, sd}, {lognormal: {mean, sd}} or {sample: [...]}, found '12:30'"),
        (ONE_SET + "cores: " + "9" * 30 + "\n", "loop.yaml:4: task_sets.a.cores: expected a number below 2**63, found a larger one"),
        (ONE_SET + "cores: " + "9" * 5000 + "\n", "loop.yaml:4: task_sets.a.cores: expected up to 400 digits, found 5000"),
        (ONE_SET + "shell: no\n", "loop.yaml:4: task_sets.a.shell: expected true or false, found 'no'"),
        (ONE_SET + "command: 5\n", "loop.yaml:4: task_sets.a.command: expected a list of words or text, found 5"),
        (ONE_SET + "command: [a, [b]]\n", "loop.yaml:4: task_sets.a.command.1: expected text, found ['b']"),
        (ONE_SET + "command: [a, '{tsk}']\n", "loop.yaml:4: task_sets.a.command: no field {tsk}; expected one of"),
        (ONE_SET + "environment: [a]\n", "loop.yaml:4: task_sets.a.environment: expected a mapping, found ['a']"),
        (ONE_SET + "after: b\n", "loop.yaml:4: task_sets.a.after: there is no task set 'b'; expected one of a"),
        (ONE_SET + "after:\n      a: {pattern: some}\n", "loop.yaml:5: task_sets.a.after.a.pattern: expected all, each, group or quorum, found 'some'"),
        (ONE_SET + "after: {a: {share: 1}}\n", "loop.yaml:4: task_sets.a.after.a.share: unknown key; expected pattern, iteration, staleness, quorum, stragglers"),
        (ONE_SET + "after: {a: {quorum: 1.5}}\n", "loop.yaml:4: task_sets.a.after.a.quorum: expected a fraction above 0"),
        (ONE_SET + "tasks: {from: b}\n", "loop.yaml:4: task_sets.a.tasks: the key 'at_most' is missing"),
        ("name: w\niterations: {at_most: 2, until: b}\ntask_sets: {a: {}}\n", "loop.yaml:2: iterations.until: there is no task set 'b'"),
        (ONE_SET + "after: a\n", "loop.yaml:4: task_sets.a.after: a circle: a waits for a"),
        (ONE_SET + "1: x\n", "loop.yaml:4: task_sets.a: expected text as a key, found 1; quote it"),
        (ONE_SET + "? [x]\n    : y\n", "loop.yaml:4: task_sets.a: expected text as a key"),
        (ONE_SET + "tasks: !!python/object:os.system x\n", "loop.yaml:4: task_sets.a.tasks: expected plain values, found the tag tag:yaml.org,2002:python/object:os.system"),
        (ONE_SET + "tasks: *b\n", "loop.yaml:4: task_sets.a.tasks: no anchor &b before this alias"),
        (ONE_SET + "command: &c [*c]\n", "loop.yaml:4: task_sets.a.command.0: the alias *c lies inside its own anchor"),
        (ONE_SET + "<<: 5\n", "loop.yaml:4: task_sets.a.<<: expected a mapping after <<, or a list of them"),
        ("name: w\ntask_sets: {a: {}}\n---\nname: v\n", "loop.yaml:3: expected one document, found a second"),
        ("name: w\ntask_sets: {a: {}}\nstages: [[b]]\n", "loop.yaml:3: stages.0: there is no task set 'b'"),
        ("name: w\ntask_sets:\n\ta: {}\n", "loop.yaml:3: not valid YAML: found"),
        ("name: w\ntask_sets: {a: {}\n", "loop.yaml:3: not valid YAML: did not find expected ',' or '}'"),
        ("name: w\n\nx\0y", "loop.yaml:3: expected text, found a null byte"),
        ("name: w\n\x85\nx\x1b", "loop.yaml:3: expected text, found the character U+001B"),
        ('name: "\\ud800"\n', "loop.yaml:1: not valid YAML: found invalid Unicode character escape code"),
        ("name: w\ntask_sets: {}\n", "loop.yaml:2: task_sets: expected 1 to 10000 task sets, found 0"),
        ("name: w\ntask_sets: [a]\n", "loop.yaml:2: task_sets: expected a mapping, found ['a']"),
        ("name: w\ntask_sets: {a: 5}\n", "loop.yaml:2: task_sets.a: expected a mapping, found 5"),
        ("name: 5\ntask_sets: {a: {}}\n", "loop.yaml:1: name: expected text, found 5"),
        ("name: ../x\ntask_sets: {a: {}}\n", "loop.yaml:1: name: expected up to 64 letters"),
    ],
)  # fmt: skip
def test_bad_yaml_gets_one_line_with_file_and_line(text: str, message: str) -> None:
    assert refused(text).startswith(message)


def test_a_circle_is_named_with_its_members() -> None:
    text = "name: w\ntask_sets:\n  a: {after: c}\n  b: {after: a}\n  c:\n    after: b\n"
    assert refused(text) == (
        "loop.yaml:3: task_sets.a.after: a circle: a waits for c waits for b waits for a"
        "; to close a loop over iterations, write {iteration: previous}"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "loop.toml: expected a description, found nothing in it"),
        ("name = 'w'\n[task_sets.a]\ncoers = 4\n", "loop.toml:3: task_sets.a.coers: unknown key 'coers'; did you mean 'cores'?"),
        ("name = 'w'\n[task_sets.a]\ntasks = 4\ntasks = 5\n", "loop.toml:4: the key 'tasks' is given twice, first in line 3"),
        ("name = 'w'\n[task_sets.a]\n[task_sets.a]\n", "loop.toml:3: the key 'task_sets.a' is given twice, first in line 2"),
        ("name = 'w'\n[task_sets.a]\nduration = nan\n", "loop.toml:3: task_sets.a.duration: expected a finite number, found nan"),
        ("name = 'w'\n[task_sets.a]\nduration = inf\n", "loop.toml:3: task_sets.a.duration: expected a finite number, found inf"),
        ("name = 'w'\n[task_sets.a]\nduration = 07:32:00\n", "loop.toml:3: task_sets.a.duration: expected text, a number, true or false, a list or a mapping, found time"),
        ("name = 'w'\n[task_sets.a]\ntasks = -4\n", "loop.toml:3: task_sets.a.tasks: expected 1 to 10000000, found -4"),
        ("name = 'w'\n[task_sets]\n# the set\n'a'.tasks = -4\n", "loop.toml:4: task_sets.a.tasks: expected 1 to 10000000, found -4"),
        ("name = 'w'\n[task_sets.a]\ncommand = '''\nx = 1\n'''\ntasks = -4\n", "loop.toml:6: task_sets.a.tasks: expected 1 to 10000000, found -4"),
        ("name = 'w'\nx = [1\n", "loop.toml:2: not valid TOML: Unclosed array"),
        ("name = w\n", "loop.toml:1: not valid TOML: Invalid value"),
        ("x = 1\n" + "y = " + "[" * 20_000, "loop.toml:2: expected at most 32 levels, found more"),
        ("x = 1\n" + "y = " + "[" * 40 + "]" * 40, "loop.toml:2: y.0.0: expected at most 32 levels, found more"),
        ("x = 1\n" + ".".join("a" * 40_000) + " = 1\n", "loop.toml:2: expected at most 32 levels, found more"),
        ("x = " + "9" * 5000 + "\n", "loop.toml: not valid TOML: "),
    ],
)  # fmt: skip
def test_bad_toml_gets_one_line_with_file_and_line(text: str, message: str) -> None:
    assert refused(text, "toml").startswith(message)


def test_lines_of_tables_in_lists_are_found() -> None:
    text = "name = 'p'\n[[nodes]]\ncores = 4\n\n[[nodes]]\ncores = 'x'\n"
    document = documents.parse_document(text, "toml", "p.toml")
    assert document.mark is not None
    assert marks.line_of(document.mark, ("nodes", 1, "cores")) == 6


def test_no_alias_bomb_goes_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    message = refused("\n".join(lines))
    assert message == (
        f"loop.yaml:6: expected at most {yaml_text.MOST_VALUES} values (aliases expanded), found more"
    )


def test_deep_nesting_is_refused_without_exhausting_the_stack() -> None:
    for text in ("name: w\nx: " + "[" * 900, "name: w\nx: " + "{a: " * 300, "- " * 10_000):
        assert "expected at most 32 levels, found more" in refused(text)
    deep: dict[str, object] = {}
    deep["self"] = deep
    with pytest.raises(WorkflowError, match="expected at most 32 levels"):
        workflow_from_mapping(deep)


def test_anchors_and_merge_keys_save_typing() -> None:
    workflow = parse_workflow(
        "name: w\ntask_sets:\n"
        "  a: &a {tasks: 4, cores: 2, duration: &d {mean: 3}}\n"
        "  b: {<<: *a, cores: 3}\n"
        "  c: {<<: [{tasks: 7}, *a], duration: *d}\n"
    )
    assert [(one.tasks, one.resources.cores) for one in workflow.task_sets] == [
        (4, 2),
        (4, 3),
        (7, 2),
    ]
    assert {one.duration for one in workflow.task_sets} == {Normal(3_000_000, 0)}


def test_words_and_variables_are_what_stands_there() -> None:
    workflow = parse_workflow(
        "name: w\ntask_sets:\n  a:\n"
        "    command: [run, 007, 1.10, 1e3, yes, null, --flag]\n"
        "    environment: {LEVEL: 010, DEBUG: no, RATIO: 1.50, ON: true}\n"
    )
    work = workflow["a"].work
    assert isinstance(work, Command)
    assert work.words == ("run", "007", "1.10", "1e3", "yes", "null", "--flag")
    assert dict(workflow["a"].environment) == {
        "LEVEL": "010",
        "DEBUG": "no",
        "RATIO": "1.50",
        "ON": "true",
    }


def test_numbers_are_those_of_yaml_1_2() -> None:
    workflow = parse_workflow(
        "name: w\ntask_sets:\n  on: {tasks: 010, cores: 0x10, duration: 1e3, arguments: {no: yes},"
        " function: 'm:f'}\n"
    )
    task_set = workflow["on"]
    assert (task_set.tasks, task_set.resources.cores) == (10, 16)
    assert task_set.duration == Constant(1_000_000_000)
    assert task_set.work == Function("m:f", (("no", "yes"),))


def test_a_shell_gets_a_line_only_if_asked() -> None:
    workflow = parse_workflow(
        "name: w\ntask_sets:\n  a: {command: 'echo \"a b\" > x'}\n"
        "  b: {command: 'echo a > x', shell: true}\n"
    )
    assert workflow["a"].work == Command(("echo", "a b", ">", "x"))
    assert workflow["b"].work == Command(("echo a > x",), shell=True)
    assert "shell needs a command that is one text" in refused(
        ONE_SET + "command: [a]\n    shell: true"
    )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    assert refused_file(missing) == f"{missing}: there is no such file"
    assert refused_file(tmp_path) == f"{tmp_path}: expected a file, found a directory"
    latin = tmp_path / "latin.yaml"
    assert refused_file(latin, b"name: w\n# caf\xe9\n") == (
        f"{latin}:2: expected UTF-8, found the byte 0xe9"
    )
    strange = tmp_path / "loop.json"
    assert refused_file(strange, b"{}") == (
        f"{strange}: expected a name that ends in one of .yaml, .yml, .toml"
    )
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    assert refused_file(pipe) == f"{pipe}: expected a regular file"
    assert "cannot be read" in refused_file(tmp_path / ("x" * 300 + ".yaml"))
    assert "cannot be read" in refused_file(Path("a\0b.yaml"))


def test_a_file_of_a_hundred_megabytes_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    assert refused_file(path) == (
        f"{path}: expected at most {documents.LARGEST_FILE} bytes, found 100000000 or more"
    )


def test_a_line_without_end_is_refused() -> None:
    text = "name: w\n# " + "x" * documents.LONGEST_LINE
    for form in ("yaml", "toml"):
        assert refused(text, form) == (
            f"loop.{form}:2: expected at most {documents.LONGEST_LINE} letters in a line, "
            f"found {documents.LONGEST_LINE + 2}"
        )


def test_a_long_value_is_not_repeated_in_full() -> None:
    assert " … " in refused(ONE_SET + "tasks: '" + "x" * 90_000 + "'\n")


def test_what_is_found_first_in_the_file_is_told_first() -> None:
    text = "name: w\ntask_sets:\n  a: {retries: x}\n  b: {tasks: y}\niterations: z\n"
    assert refused(text).startswith("loop.yaml:3: task_sets.a.retries")


def test_mappings_are_held_to_the_same() -> None:
    assert workflow_from_mapping({"name": "w", "task_sets": {"a": {"tasks": 2}}}).n_tasks == 2
    for data, message in (
        ({"name": "w", "task_sets": {"a": {"taks": 2}}}, "task_sets.a.taks: unknown key 'taks'"),
        ({"name": "w", "task_sets": {1: {}}}, "task_sets: expected text as a key, found 1"),
        ({"name": "w", "task_sets": {"a": {"tasks": 0}}}, "task_sets.a.tasks: expected 1 to"),
        ({"name": "w", "task_sets": {"a": object()}}, "task_sets.a: expected text, a number,"),
        ({"name": "\ud800"}, "name: expected text, found half a surrogate pair in it"),
        ([], "expected a mapping, found []"),
    ):
        with pytest.raises(WorkflowError) as caught:
            workflow_from_mapping(data)  # type: ignore[arg-type]
        assert str(caught.value).startswith(message)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(WorkflowError, match="expected the format yaml or toml, found 'json'"):
        parse_workflow("{}", format="json")


def test_the_schema_knows_every_key() -> None:
    schema = workflow_schema()
    assert set(schema["properties"]) >= {"name", "platform", "iterations", "task_sets", "stages"}
    task_set = schema["$defs"]["TaskSetForm"]
    assert set(task_set["properties"]) == {
        "tasks", "cores", "gpus", "memory", "named", "ranks", "duration", "command", "shell", "function",
        "arguments", "after", "environment", "working_directory", "timeout", "retries", "failures", "with",
    }  # fmt: skip
    assert task_set["additionalProperties"] is False


def test_without_libyaml_lines_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    monkeypatch.setattr(yaml_text, "_Loader", yaml.SafeLoader)
    assert isinstance(parse_workflow(LOOP), Workflow)
    assert refused(ONE_SET + "tasks: 2\n    coers: 4\n").startswith(
        "loop.yaml:5: task_sets.a.coers"
    )
    assert refused("name: w\ntask_sets:\n\ta: {}\n").startswith("loop.yaml:3: not valid YAML")
    assert "expected at most 32 levels" in refused("x: " + "[" * 200)


@given(st.data(), st.sampled_from(["yaml", "toml"]))
def test_no_text_makes_anything_but_a_workflow_or_one_line(data: st.DataObject, form: str) -> None:
    text = LOOP if form == "yaml" else LOOP_TOML
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 20)))
        new = data.draw(
            st.text(max_size=4) | st.sampled_from(["{", "[", "*a ", "&a ", "<<: ", "- ", ": ", "!"])
        )
        text = text[:start] + new + text[end:]
    try:
        said = parse_workflow(text, format=form, source="f").name
    except WorkflowError as error:
        said = str(error) if error.source is not None else "\n"
    assert "\n" not in said


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3), nested))
def test_no_value_makes_anything_but_a_workflow_or_an_error(value: Any) -> None:
    good = {"name": "w", "task_sets": {"a": {}, "b": {"after": "a"}}}
    tries: list[Any] = [value, *({**good, key: value} for key in WORKFLOW_KEYS)]
    tries += [{**good, "task_sets": {"a": {"function": "m:f", key: value}}} for key in SET_KEYS]
    for data in tries:
        with suppress(WorkflowError):
            workflow_from_mapping(data)
