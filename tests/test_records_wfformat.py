"""WfFormat: both versions, what is missing in them, what is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stretto.errors import WorkflowError
from stretto.records import import_record, read_record
from stretto.trace import Outcome
from tests.records import brought, wfformat
from tests.shared import SHARED, needs

TASKS = [
    {"id": "sim_ID1", "runtimeInSeconds": 4, "machines": ["m1"], "coreCount": 2},
    {"id": "sim_ID2", "runtimeInSeconds": 6, "machines": ["m2"], "coreCount": 2},
    {"id": "end_ID3", "parents": ["sim_ID1", "sim_ID2"], "runtimeInSeconds": 1.5},
]
MACHINES = [
    {"nodeName": "m1", "cpu": {"coreCount": 4}, "memoryInBytes": 8 << 30},
    {"nodeName": "m2", "cpu": {"coreCount": 4}},
]


def test_programs_become_sets_and_machines_nodes(tmp_path):
    made = brought(wfformat(TASKS, tmp_path / "r.json", machines=MACHINES), tmp_path)
    assert [(one.name, one.tasks, one.resources.cores) for one in made.workflow.task_sets] == [
        ("sim", 2, 2),
        ("end", 1, 1),
    ]
    assert [(one.name, one.cores, one.memory_mib) for one in made.platform.nodes] == [
        ("m1", 4, 8192),
        ("m2", 4, 0),
    ]
    assert [slots[0].node for slots in made.trace.placements[:2]] == [0, 1]
    assert made.trace.ttx_us == 7_500_000
    assert "3 attempts without a start: put when inputs and room were there" in made.facts.told
    assert "1 task without cores: 1 each" in made.facts.told
    assert "the record gives 10 s for the whole, the trace takes 7.5 s" in made.facts.told


def test_without_starts_tasks_wait_for_room_on_their_machine(tmp_path):
    tasks = [{"id": f"t_{n}", "runtimeInSeconds": 1, "machines": ["m1"]} for n in range(5)]
    machines = [{"nodeName": "m1", "cpu": {"coreCount": 2}}]
    made = brought(wfformat(tasks, tmp_path / "r.json", machines=machines), tmp_path)
    assert sorted(made.trace.started_us.tolist()) == [0, 0, 1_000_000, 1_000_000, 2_000_000]


def test_recorded_starts_are_kept(tmp_path):
    tasks = [
        TASKS[0] | {"executedAt": "2024-05-01T10:00:02.500+00:00"},
        TASKS[1] | {"executedAt": "2024-05-01T12:00:00+02:00"},
    ]
    made = brought(wfformat(tasks, tmp_path / "r.json"), tmp_path)
    assert sorted(made.trace.started_us.tolist()) == [0, 2_500_000]
    assert made.facts.made_up_starts == ()


def test_the_older_version_says_the_same(tmp_path):
    old = {
        "name": "old",
        "schemaVersion": "1.4",
        "wms": {"name": "Makeflow"},
        "workflow": {
            "executedAt": "20240501T100000+0000",
            "makespanInSeconds": 9,
            "machines": [{"nodeName": "m1", "cpu": {"count": 4, "speed": 2000}}],
            "tasks": [
                {"name": "sim_1", "id": "1", "category": "sim", "runtimeInSeconds": 4, "cores": 2,
                 "machine": "m1", "files": [{"link": "input", "name": "f", "sizeInBytes": 1}]},
                {"name": "sim_2", "id": "2", "category": "sim", "runtime": 6, "cores": 2},
                {"name": "end", "parents": ["sim_1", "2"], "runtimeInSeconds": 1.5,
                 "command": {"program": "/bin/end.sh", "arguments": ["x"]}},
            ],
        },
    }  # fmt: skip
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    made = brought(path, tmp_path)
    assert [(one.name, one.tasks) for one in made.workflow.task_sets] == [("sim", 2), ("end_sh", 1)]
    assert made.workflow["end_sh"].after[0].on == "sim"
    assert made.trace.ttx_us == 7_500_000
    assert made.platform.nodes[0].cores == 4
    assert not any("unknown" in one for one in made.facts.told)


def test_zero_and_missing_run_times_are_told_and_unknown_ones_not_made_up(tmp_path):
    tasks = [
        {"id": "a_1", "runtimeInSeconds": 0},
        {"id": "a_2", "runtimeInSeconds": 3, "parents": []},
        {"id": "b_1"},
    ]
    made = brought(wfformat(tasks, tmp_path / "r.json"), tmp_path)
    assert made.trace.n_finished == 2
    assert made.workflow["b"].duration is None
    told = " | ".join(made.facts.told)
    assert "1 task took 0 s | 1 task without a duration" in told
    assert "nobody knows how long a task of b takes" in told


def test_a_workflow_that_never_ran_is_still_a_description(tmp_path):
    value = json.loads(wfformat(TASKS, tmp_path / "r.json").read_text())
    del value["workflow"]["execution"]
    (tmp_path / "r.json").write_text(json.dumps(value))
    made = brought(tmp_path / "r.json", tmp_path)
    assert len(made.trace) == 0
    assert made.workflow.n_tasks == 3


def test_a_task_on_several_machines_has_ranks_there(tmp_path):
    tasks = [{"id": "mpi", "runtimeInSeconds": 3, "coreCount": 5, "machines": ["m2", "m1"]}]
    made = brought(wfformat(tasks, tmp_path / "r.json", machines=MACHINES), tmp_path)
    assert (made.workflow["mpi"].resources.ranks, made.workflow["mpi"].resources.cores) == (2, 3)
    assert [slot.node for slot in made.trace.placements[0]] == [0, 1]


def test_an_edge_that_one_side_tells_counts(tmp_path):
    value = json.loads(wfformat(TASKS, tmp_path / "r.json").read_text())
    for one in value["workflow"]["specification"]["tasks"]:
        one["parents"] = []
    (tmp_path / "r.json").write_text(json.dumps(value))
    made = brought(tmp_path / "r.json", tmp_path)
    assert made.workflow["end"].after[0].on == "sim"
    assert "2 edges told by one side only" in made.facts.told


def test_unknown_keys_are_counted_and_told(tmp_path):
    tasks = [TASKS[0] | {"mood": "fine", "metrics": {"secret": 1}}]
    made = brought(wfformat(tasks, tmp_path / "r.json", weather="dry"), tmp_path)
    assert "2 unknown keys left out: mood, weather" in made.facts.told


def changed(path: Path, *keys: str | int, to: object) -> Path:
    value = json.loads(path.read_text())
    inner = value
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    path.write_text(json.dumps(value))
    return path


EXECUTED = ("workflow", "execution", "tasks", 0)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["schemaVersion"], "1.3", "schemaVersion: expected WfFormat 1.4, 1.5, 1.6, found '1.3'"),
        (["schemaVersion"], None, "schemaVersion: expected WfFormat 1.4, 1.5, 1.6, found None"),
        (["workflow"], [], "workflow: expected an object, found []"),
        (["workflow", "specification"], None, "workflow: the key 'specification' is missing"),
        (["workflow", "specification", "tasks"], [], "expected at least one task, found none"),
        (["workflow", "specification", "tasks", 1, "id"], 7, "tasks.1.id: expected text, found 7"),
        (
            ["workflow", "specification", "tasks", 1, "id"],
            "sim_ID1",
            "the task sim_ID1 comes twice",
        ),
        (
            ["workflow", "specification", "tasks", 2, "parents"],
            ["ghost"],
            "the task end_ID3 names ghost, which is not there",
        ),
        (
            [*EXECUTED, "runtimeInSeconds"],
            -1,
            "sim_ID1.runtimeInSeconds: expected seconds from 0, found -1",
        ),
        ([*EXECUTED, "runtimeInSeconds"], "4", "expected seconds from 0, found '4'"),
        ([*EXECUTED, "coreCount"], 0, "sim_ID1.coreCount: expected a number of cores, found 0"),
        ([*EXECUTED, "machines"], "m1", "sim_ID1.machines: expected names, found 'm1'"),
        (
            [*EXECUTED, "executedAt"],
            "noon",
            "sim_ID1.executedAt: expected a date and time, found 'noon'",
        ),
        ([*EXECUTED, "id"], "ghost", "the task ghost was executed, but is not in the"),
        (
            ["workflow", "execution", "machines"],
            [{"nodeName": "m1", "cpu": {"coreCount": 0}}],
            "machines.0.coreCount: expected a number from 1, found 0",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_its_place(keys, value, message, tmp_path):
    path = changed(wfformat(TASKS, tmp_path / "r.json"), *keys, to=value)
    with pytest.raises(WorkflowError) as raised:
        read_record(path)
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)


@pytest.mark.parametrize("text", ["{", '{"a": }', "{" + '"a":[' * 100_000])
def test_what_is_no_json_is_refused_by_line(text, tmp_path):
    path = tmp_path / "r.json"
    path.write_text("\n\n" + text)
    with pytest.raises(WorkflowError, match="cannot be read as JSON"):
        read_record(path)


def test_a_circle_is_refused(tmp_path):
    tasks = [{"id": "a", "parents": ["b"]}, {"id": "b", "parents": ["a"]}]
    with pytest.raises(WorkflowError, match="in a circle"):
        read_record(wfformat(tasks, tmp_path / "r.json"))


@needs("wfinstances")
@pytest.mark.parametrize(
    "path", sorted((SHARED / "wfinstances").glob("*.json")), ids=lambda path: path.stem
)
def test_published_instances_read_like_runs(path: Path, tmp_path):
    made = brought(path, tmp_path)
    assert made.trace.complete
    assert made.workflow.durations_known
    again = import_record(path)
    assert again.trace.started_us.tolist() == made.trace.started_us.tolist()
    assert set(made.trace.outcome.tolist()) == {Outcome.FINISHED}
