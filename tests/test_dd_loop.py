"""A configuration as a workflow: what waits for what, on what it runs, and how often it turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stretto import Pattern, Workflow, WorkflowError, simulate
from stretto.analysis import check
from stretto.apps.deepdrivemd.configuring.reading import parse_configuration
from stretto.apps.deepdrivemd.loop import workflow_of

SECONDS = {"simulation": 10, "aggregation": 1, "model": 4, "inference": 2}


def loop(**sections: dict[str, Any]) -> Workflow:
    """Return the workflow of a configuration of four simulations and known durations."""
    values: dict[str, Any] = {"system": {"molecule": "hp35"}}
    for name, seconds in SECONDS.items():
        values[name] = {"resources": {"duration": seconds}}
    values["simulation"]["resources"] |= {"tasks": 4, "cores": 1}
    values["aggregation"]["resources"] |= {"tasks": 2}
    for name, given in sections.items():
        resources = values.get(name, {}).get("resources", {}) | given.get("resources", {})
        values[name] = {**given, **({"resources": resources} if resources else {})}
    return workflow_of(parse_configuration(yaml.safe_dump(values)))


def test_the_loop_is_closed_by_stale_choices_and_warm_starts() -> None:
    workflow = loop(loop={"staleness": 2, "iterations": 4})
    after = {one.name: {each.on: each for each in one.after} for one in workflow.task_sets}
    assert list(after) == ["simulation", "aggregation", "training", "inference"]
    start = after["simulation"]["inference"]
    assert (start.previous, start.staleness) == (True, 2)
    assert after["aggregation"]["simulation"].pattern is Pattern.GROUP
    warm = after["training"]["training"]
    assert (warm.previous, warm.staleness) == (True, 0)
    assert list(after["training"]) == ["aggregation", "training"]
    assert list(after["inference"]) == ["training"]
    assert (workflow.iterations, workflow.open_loop) == (4, None)


def test_without_a_model_nothing_is_trained() -> None:
    workflow = loop(inference={"strategy": "random"}, loop={"staleness": 0})
    assert [one.name for one in workflow.task_sets] == ["simulation", "aggregation", "inference"]
    assert [one.on for one in workflow["inference"].after] == ["aggregation"]


def test_a_loop_with_a_condition_is_open() -> None:
    workflow = loop(
        inference={"until": {"native_contacts": 0.85}}, loop={"iterations": 9, "expected": 4}
    )
    assert workflow.open_loop is not None
    assert workflow.open_loop.to_json() == {"at_most": 9, "until": "inference", "expected": 4}


def test_needs_are_those_of_the_stage() -> None:
    needs = {"cores": 3, "gpus": 0.5, "memory": "2 GiB", "retries": 4, "timeout": 60}
    workflow = loop(
        simulation={"resources": {**needs, "failures": "50%"}}, model={"resources": needs}
    )
    for name in ("simulation", "training"):
        task_set = workflow[name]
        assert task_set.resources.cores == 3
        assert task_set.resources.gpus_milli == 500
        assert task_set.resources.memory_mib == 2048
        assert (task_set.retries, task_set.timeout_us) == (4, 60_000_000)
    assert workflow["simulation"].tasks == 4
    assert workflow["simulation"].failures.of(4) == 2


@pytest.mark.parametrize(
    ("section", "value", "path"),
    [
        ("model", {"resources": {"memory": "much"}}, "model.resources.memory"),
        ("model", {"resources": {"duration": "long"}}, "model.resources.duration"),
        ("inference", {"resources": {"retries": 101}}, "inference.resources.retries"),
        ("loop", {"name": "a b"}, "loop.name"),
        ("loop", {"iterations": 10**7}, "loop.iterations"),
        ("loop", {"staleness": 5000}, "loop.staleness"),
        ("model", {"environment": {"A=": "b"}}, "model.environment"),
    ],
)
def test_what_the_engine_cannot_use_is_told_by_its_key(
    section: str, value: dict[str, Any], path: str
) -> None:
    with pytest.raises(WorkflowError) as raised:
        loop(**{section: value})
    assert f": {path}" in str(raised.value)


def test_braces_of_a_setting_are_no_fields_of_the_engine(tmp_path: Path) -> None:
    workflow = loop(aggregation={"selection": "name {CA}"})
    work: Any = workflow["aggregation"].work
    assert dict(work.arguments)["settings"]["selection"] == "name {{CA}}"


@pytest.mark.parametrize("mode", ["sequential", "asynchronous", "task-level", "adaptive"])
def test_staleness_hides_the_model_behind_the_simulations(mode: str) -> None:
    ttx = {}
    for staleness in (0, 1):
        workflow = loop(loop={"staleness": staleness, "iterations": 4})
        trace = simulate(workflow, "local:5", mode=mode)
        check(trace)
        ttx[staleness] = trace.ttx_us / 1e6
    chain = 10 + 1 + 4 + 2
    assert ttx[0] == pytest.approx(4 * chain)
    if mode == "sequential":
        assert ttx[1] == ttx[0]
    else:
        # Five cores: four simulate without a pause, the fifth has all of the model's work.
        assert ttx[1] < 4 * 10 + chain


def test_as_a_stream_all_sets_run_at_once_and_the_loop_turns_inside_of_them() -> None:
    workflow = loop(loop={"form": "stream", "iterations": 5, "staleness": 2})
    assert [one.name for one in workflow.task_sets] == [
        "simulation",
        "aggregation",
        "training",
        "inference",
    ]
    assert (workflow.iterations, workflow["simulation"].tasks) == (1, 4)
    work: Any = workflow["simulation"].work
    assert dict(work.arguments)["iterations"] == 5
    assert {one.with_ for one in workflow.task_sets[1:]} == {("simulation",)}
    assert [one.name for one in workflow.channels] == ["frames", "blocks", "models", "picks"]
    trace = simulate(workflow, "local:8")
    check(trace)
    assert trace.ttx_us == 10_000_000


@pytest.mark.parametrize(
    ("section", "given", "message"),
    [
        ("simulation", {"command": "md"}, "simulation.command: a stage can be replaced only where"),
        ("inference", {"function": "mine:choose"}, "inference.function: a stage can be replaced"),
        ("simulation", {"resources": {"failures": 1}}, "simulation.resources.failures: expected 0"),
    ],
)
def test_what_a_stream_cannot_do_is_told(section: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        loop(loop={"form": "stream"}, **{section: given})
