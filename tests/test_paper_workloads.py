"""The paper's workloads say what its tables say."""

from __future__ import annotations

import pytest

from stretto.apps.paper import WORKLOADS, workload
from stretto.errors import WorkflowError
from stretto.platform import check_fits, platform_named
from stretto.workflow import Dependency, Normal, Pattern, TaskSet, Workflow, expand


def row(task_set: TaskSet) -> tuple[int, float, int, float]:
    """Return cores, GPUs, tasks and mean duration in seconds, as a table of the paper has them."""
    assert isinstance(task_set.duration, Normal)
    needs = task_set.resources
    return needs.cores, needs.gpus, task_set.tasks, task_set.duration.mean_us / 1e6


def stage_seconds(workflow: Workflow) -> float:
    """Return the sum over stages of the longest set: Eq. 2 with every set in one wave."""
    return sum(max(row(workflow[name])[3] for name in stage) for stage in workflow.stages)


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_fits_on_the_papers_allocation(name: str) -> None:
    workflow = workload(name)
    assert workflow.name == name
    assert workflow.platform == "summit:16"
    check_fits(workflow, platform_named(workflow.platform))


def test_deepdrivemd_is_table_1() -> None:
    workflow = workload("deepdrivemd")
    assert {one.name: row(one) for one in workflow.task_sets} == {
        "simulation": (4, 1, 96, 340),
        "aggregation": (32, 0, 16, 85),
        "training": (4, 1, 1, 63),
        "inference": (16, 1, 96, 38),
    }
    assert workflow.iterations == 3
    assert workflow.n_tasks == 3 * 209
    assert 3 * stage_seconds(workflow) == 1578


def test_deepdrivemd_is_three_chains_staggered_by_one_rank() -> None:
    workflow = workload("deepdrivemd")
    waits = {
        instance.name: [
            expand(workflow).instances[edge.gate].name
            for edge in instance.edges
            if edge.gate is not None
        ]
        for instance in expand(workflow).instances
    }
    assert waits["simulation[0]"] == []
    for number in range(3):
        assert waits[f"aggregation[{number}]"] == [f"simulation[{number}]"]
        assert waits[f"training[{number}]"] == [f"aggregation[{number}]"]
        assert waits[f"inference[{number}]"] == [f"training[{number}]"]
    for number in (1, 2):
        assert waits[f"simulation[{number}]"] == [f"simulation[{number - 1}]"]
    assert workflow["aggregation"].after == (Dependency("simulation", Pattern.GROUP),)


@pytest.mark.parametrize(
    ("name", "rows", "total"),
    [
        (
            "c-dg1",
            {
                "T0": (16, 1, 96, 760),
                "T1": (40, 0, 16, 220),
                "T2": (40, 0, 16, 220),
                "T3": (4, 0, 8, 120),
                "T4": (32, 1, 8, 160),
                "T5": (32, 1, 8, 160),
                "T6": (4, 0, 8, 120),
                "T7": (4, 1, 96, 720),
            },
            1980,
        ),
        (
            "c-dg2",
            {
                "T0": (16, 1, 96, 380),
                "T1": (40, 0, 16, 160),
                "T2": (40, 0, 16, 160),
                "T3": (4, 1, 48, 760),
                "T4": (32, 1, 8, 240),
                "T5": (32, 1, 8, 240),
                "T6": (4, 1, 48, 760),
                "T7": (4, 0, 16, 460),
            },
            2000,
        ),
    ],
)
def test_concrete_graphs_are_table_2(
    name: str, rows: dict[str, tuple[int, float, int, float]], total: float
) -> None:
    workflow = workload(name)
    assert {one.name: row(one) for one in workflow.task_sets} == rows
    assert stage_seconds(workflow) == total
    assert workflow.stages == (("T0",), ("T1", "T2"), ("T3", "T6"), ("T4", "T5"), ("T7",))
    edges = {one.name: [other.on for other in one.after] for one in workflow.task_sets}
    assert edges == {
        "T0": [],
        "T1": ["T0"],
        "T2": ["T0"],
        "T3": ["T1"],
        "T4": ["T1"],
        "T5": ["T2"],
        "T6": ["T2"],
        "T7": ["T4", "T5"],
    }


@pytest.mark.parametrize("name", ["deepdrivemd", "c-dg1", "c-dg2"])
def test_durations_as_printed_vary_by_five_percent(name: str) -> None:
    for task_set in workload(name).task_sets:
        assert isinstance(task_set.duration, Normal)
        assert task_set.duration.sd_us == task_set.duration.mean_us * 5 // 100


@pytest.mark.parametrize(
    ("name", "rows", "total"),
    [
        (
            "c-dg1-as-run",
            {
                "T0": (16, 1, 96, 767),
                "T12": (40, 0, 32, 234),
                "T36": (4, 0, 16, 124),
                "T45": (4, 0, 16, 152),
                "T7": (4, 1, 96, 721),
            },
            1874,
        ),
        (
            "c-dg2-as-run",
            {
                "T0": (16, 1, 96, 386),
                "T12": (40, 0, 32, 154),
                "T36": (4, 1, 96, 769),
                "T45": (4, 0, 16, 231),
                "T7": (4, 0, 16, 461),
            },
            1770,
        ),
    ],
)
def test_concrete_graphs_as_run_are_the_published_records(
    name: str, rows: dict[str, tuple[int, float, int, float]], total: float
) -> None:
    workflow = workload(name)
    for pair, whole in rows.items():  # the records have a pair as one set, with all its tasks
        members = [row(workflow[f"T{number}"]) for number in pair[1:]]
        assert len(set(members)) == 1
        cores, gpus, tasks, seconds = members[0]
        assert (cores, gpus, tasks * len(members), seconds) == whole
    assert stage_seconds(workflow) == total
    assert workflow.stages == (("T0",), ("T1", "T2"), ("T3", "T4", "T5", "T6"), ("T7",))
    printed = workload(name.removesuffix("-as-run"))
    assert [one.after for one in workflow.task_sets] == [one.after for one in printed.task_sets]


def test_an_unknown_workload_lists_the_known_ones() -> None:
    with pytest.raises(WorkflowError, match="'x'; expected one of deepdrivemd, c-dg1, c-dg2"):
        workload("x")
