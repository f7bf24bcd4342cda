"""What is written reads back as the same workflow, to the microsecond."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from enum import StrEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.errors import WorkflowError
from stretto.resources import Resources
from stretto.workflow import (
    Constant,
    Dependency,
    Function,
    Lognormal,
    Normal,
    Pattern,
    Sample,
    TaskSet,
    Workflow,
    parse_workflow,
    workflow_from_mapping,
    workflow_to_mapping,
    write_workflow,
)

LONGEST_US = 10 * 365 * 86_400 * 1_000_000

us = st.integers(0, LONGEST_US)
durations = st.one_of(
    st.none(),
    us.map(Constant),
    st.builds(Normal, us, us),
    st.builds(Lognormal, us, us),
    st.lists(us, min_size=1, max_size=5).map(lambda values: Sample(tuple(values))),
)
# Text as it may stand in a description: no template fields, no halves of surrogate pairs.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}\0"), max_size=12)
words = st.one_of(
    texts.filter(bool),
    st.sampled_from(
        ["yes", "no", "null", "~", "1e3", "010", "0o7", "1.0", "<<", "=", "- a", "#", "a: b"]
    ),
    st.sampled_from(["{task}", "{{}}", "2024-01-01", "12:30", ".nan", "1_0", "\x85", "\u2028x"]),
)
plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**62), 2**62),
        st.floats(allow_nan=False, allow_infinity=False),
        words,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=5,
)
resources = st.builds(
    Resources,
    cores=st.integers(1, 64),
    gpus=st.one_of(st.integers(0, 8), st.integers(1, 999).map(lambda milli: milli / 1000)),
    memory=st.integers(0, 1 << 40),
    ranks=st.integers(1, 64),
    named=st.none()
    | st.dictionaries(st.sampled_from(["licence", "no", "_"]), st.integers(0, 1_000_000_000)),
)
works: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.lists(words, min_size=1, max_size=4).map(lambda some: {"command": some}),
    words.filter(str.strip).map(lambda line: {"command": line, "shell": True}),
    st.dictionaries(st.sampled_from(["x", "y", "no"]), plain, max_size=3).map(
        lambda arguments: {"function": "module.inner:function", "arguments": arguments}
    ),
)


def waits(on: str) -> st.SearchStrategy[Dependency]:
    """Wait for a set by any pattern."""
    quorums = st.sampled_from([1, 0.25, 0.9, 1.0])
    return st.one_of(
        st.sampled_from([one for one in Pattern if one is not Pattern.QUORUM]).map(
            lambda pattern: Dependency(on, pattern)
        ),
        quorums.map(lambda quorum: Dependency(on, quorum=quorum)),
    )


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """Draw workflows whose sets wait for earlier ones, and for any of the previous iteration."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 4)))]
    tasks = draw(st.integers(1, 5))
    task_sets = []
    for number, name in enumerate(names):
        same = draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else []
        before = draw(st.lists(st.sampled_from(names), unique=True, max_size=2))
        after = [draw(waits(on)) for on in same] + [
            replace(
                draw(waits(on)),
                previous=True,
                staleness=0 if on in same else draw(st.integers(0, 3)),
            )
            for on in before
        ]
        task_sets.append(
            TaskSet(
                name,
                tasks=tasks,
                resources=draw(resources),
                duration=draw(durations),
                after=draw(st.permutations(after)),
                environment=draw(st.dictionaries(st.sampled_from(["A", "B"]), words)),
                working_directory=draw(st.none() | words),
                timeout=draw(st.none() | st.integers(1, LONGEST_US).map(lambda n: n / 1e6)),
                retries=draw(st.integers(0, 3)),
                failures=draw(st.integers(0, 3) | st.sampled_from(["10%", "0.5%", "33.333%"])),
                **draw(works),
            )
        )
    return Workflow(
        draw(st.sampled_from(["w", "no", "null", "_"])),
        task_sets,
        iterations=draw(st.integers(1, 3)),
        stages=draw(st.none() | st.just([[name] for name in names])),
        platform=draw(st.none() | st.sampled_from(["summit:16", "local", "12:30", "1e3"])),
        folder=draw(st.sampled_from([".", "here/there", "/abs olute"])),
    )


@given(workflows())
def test_a_mapping_says_everything(workflow: Workflow) -> None:
    mapping = workflow_to_mapping(workflow)
    assert workflow_from_mapping(json.loads(json.dumps(mapping))) == workflow


@given(workflows())
def test_yaml_says_everything(workflow: Workflow) -> None:
    assert parse_workflow(write_workflow(workflow)) == workflow


def test_what_is_written_is_made_to_be_read() -> None:
    workflow = Workflow(
        "w",
        [
            TaskSet("a", tasks=4, duration={"mean": 340, "sd": 0.5}, command="python x.py {task}"),
            TaskSet(
                "b",
                tasks=4,
                resources=Resources(gpus=0.5, named={"licence": 2}),
                after={"a": "each"},
                timeout=9,
            ),
        ],
        platform="summit:16",
    )
    assert write_workflow(workflow) == (
        "name: w\n"
        "platform: summit:16\n"
        "iterations: 1\n"
        "task_sets:\n"
        "  a:\n"
        "    tasks: 4\n"
        "    cores: 1\n"
        "    duration: {mean: 340, sd: 0.5}\n"
        "    command: [python, x.py, '{task}']\n"
        "  b:\n"
        "    tasks: 4\n"
        "    cores: 1\n"
        "    gpus: 0.5\n"
        "    named: {licence: 2}\n"
        "    after: {a: each}\n"
        "    timeout: 9\n"
        "stages:\n"
        "- [a]\n"
        "- [b]\n"
        "folder: .\n"
    )


class Colour(StrEnum):
    RED = "red"


class Doubler:
    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (json.dumps, "json:dumps"),
        (lambda: None, f"{__name__}:lambda"),
        (functools.partial(json.dumps, indent=1), "functools:partial"),
        (Doubler(), f"{__name__}:Doubler"),
        (len, "builtins:len"),
        (np.sum, "numpy:sum"),
    ],
)
def test_callables_are_written_by_name(target: Any, name: str) -> None:
    workflow = Workflow("w", [TaskSet("a", function=target)])
    read = workflow_from_mapping(workflow_to_mapping(workflow))
    assert read["a"].work == Function(name)
    assert parse_workflow(write_workflow(workflow)) == read


def test_arguments_keep_their_values_not_their_types() -> None:
    arguments = {"n": np.float64(1.5), "colour": Colour.RED, "pair": (1, 2)}
    workflow = Workflow("w", [TaskSet("a", function="m:f", arguments=arguments)])
    expected = {"n": 1.5, "colour": "red", "pair": [1, 2]}
    written = json.loads(json.dumps(workflow_to_mapping(workflow)))
    assert written["task_sets"]["a"]["arguments"] == expected
    work = parse_workflow(write_workflow(workflow))["a"].work
    assert isinstance(work, Function)
    assert dict(work.arguments) == expected


def test_an_argument_that_no_file_can_hold_is_refused() -> None:
    for value in (object(), float("nan"), {1: 2}, 2**70):
        workflow = Workflow("w", [TaskSet("a", function="m:f", arguments={"x": [value]})])
        with pytest.raises(WorkflowError) as caught:
            workflow_to_mapping(workflow)
        assert caught.value.path[:4] == ("task_sets", "a", "arguments", "x")
