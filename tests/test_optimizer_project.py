"""A workflow as a project: barriers, pooled resources and pieces, what may be sorted; schedules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.analysis import check
from stretto.errors import WorkflowError
from stretto.optimizer.arrays import courses, scratch
from stretto.optimizer.evolution import Evolution
from stretto.optimizer.ints import numbers
from stretto.optimizer.kernels import SCHEDULES_A_CHILD, justified, parallel, serial
from stretto.platform import Node, Platform
from stretto.resources import Resources
from stretto.scheduler import Mode
from stretto.simulator import simulate
from stretto.workflow import TaskSet, Workflow
from tests.projects import assert_allowed, at_means, project, with_barriers
from tests.workflows import cases

ONE = Platform("one", (Node("n", 8, 4, 64),))
TWO = Platform("two", (Node("n0", 8, 3, 64), Node("n1", 8, 3, 64)))


def rows(workflow: Workflow, platform: Platform) -> dict[str, tuple[list[int], int]]:
    """Return demand of each task, and capacity, by resource."""
    made = project(workflow, platform)
    return {
        name: (made.demands[: made.n_tasks, at].tolist(), int(made.capacities[at]))
        for at, name in enumerate(made.resources)
    }


class TestPrecedence:
    def test_a_whole_set_that_waits_for_a_whole_set_costs_their_sum_in_edges(self) -> None:
        sets = [TaskSet("a", tasks=50, duration=1), TaskSet("b", tasks=30, duration=1, after="a")]
        made = project(Workflow("w", sets), ONE)
        assert len(made.durations) == 50 + 30 + 2
        assert made.edges.shape == (2, 50 + 1 + 30)

    def test_a_single_task_is_its_own_barrier(self) -> None:
        sets = [TaskSet("a", duration=1), TaskSet("b", duration=1, after="a")]
        made = project(Workflow("w", sets), ONE)
        assert made.edges.T.tolist() == [[0, 1]]
        assert len(made.durations) == 2

    def test_single_tasks_feed_single_tasks_in_task_level_mode_only(self) -> None:
        sets = [
            TaskSet("a", tasks=4, duration=1),
            TaskSet("b", tasks=2, duration=1, after={"a": "group"}),
        ]
        workflow = Workflow("w", sets)
        made = project(workflow, ONE)
        assert made.edges.T.tolist() == [[0, 4], [1, 4], [2, 5], [3, 5]]
        assert len(project(workflow, ONE, Mode.ASYNCHRONOUS).durations) == 6 + 2

    def test_what_feeds_blocks_of_unequal_size_is_not_sorted_nor_what_hangs_on_it(self) -> None:
        sets = [
            TaskSet("head", tasks=5, duration=1),
            TaskSet("a", tasks=5, duration=1, after={"head": "each"}),
            TaskSet("b", tasks=2, duration=1, after={"a": "group"}),
            TaskSet("c", tasks=5, duration=1, after="b"),
        ]
        assert project(Workflow("w", sets), ONE).alike == (False, False, False, True)

    def test_an_unknown_duration_is_refused_by_name(self) -> None:
        with pytest.raises(WorkflowError, match=r"task_sets\.mystery\.duration: no duration"):
            project(Workflow("w", [TaskSet("mystery")]), ONE)


class TestResources:
    def test_only_what_can_run_short_is_kept_in_its_largest_unit(self) -> None:
        shape = Resources(cores=2, gpus=1, memory=8)
        found = rows(Workflow("w", [TaskSet("a", tasks=5, resources=shape, duration=1)]), ONE)
        assert found == {"cores": ([1] * 5, 4), "GPUs": ([1] * 5, 4)}

    def test_named_resources_are_counted(self) -> None:
        node = Node("n", 8, 0, 0, (("licence", 3),))
        shape = Resources(cores=0, named={"licence": 2})
        workflow = Workflow("w", [TaskSet("a", tasks=2, resources=shape, duration=1)])
        assert rows(workflow, Platform("p", (node,))) == {"licence": ([1, 1], 1)}

    def test_nodes_hold_whole_pieces(self) -> None:
        # Two nodes of 8 cores hold two tasks of 5, though 16 cores would be enough for three.
        workflow = Workflow(
            "w",
            [
                TaskSet("a", tasks=3, resources=Resources(cores=5), duration=1),
                TaskSet("b", tasks=2, resources=Resources(cores=3, ranks=2), duration=1),
            ],
        )
        found = rows(workflow, TWO)
        assert found["cores"] == ([5, 5, 5, 6, 6], 16)
        assert found["pieces of (5, 0, 0)"] == ([1, 1, 1, 0, 0], 2)
        assert found["pieces of (3, 0, 0)"] == ([1, 1, 1, 2, 2], 4)

    def test_a_piece_needs_all_of_its_resources(self) -> None:
        workflow = Workflow(
            "w",
            [
                TaskSet("a", tasks=5, resources=Resources(cores=5, gpus=1), duration=1),
                TaskSet("b", tasks=3, resources=Resources(cores=8), duration=1),
            ],
        )
        found = rows(workflow, TWO)
        assert found["pieces of (5, 1000, 0)"] == ([1] * 5 + [0] * 3, 2)
        assert found["pieces of (5, 0, 0)"] == ([1] * 8, 2)

    def test_a_gpu_holds_whole_shares(self) -> None:
        # Four GPUs hold eight shares of 0.4, not ten; a whole one is worth two shares.
        workflow = Workflow(
            "w",
            [
                TaskSet("a", tasks=9, resources=Resources(cores=0, gpus=0.4), duration=1),
                TaskSet("b", tasks=2, resources=Resources(cores=0, gpus=2), duration=1),
            ],
        )
        assert rows(workflow, ONE)["pieces of (0, 400, 0)"] == ([1] * 9 + [4] * 2, 8)

    def test_durations_are_counted_in_their_greatest_common_divisor(self) -> None:
        sets = [TaskSet("a", duration=0.75), TaskSet("b", duration=2)]
        made = project(Workflow("w", sets), ONE)
        assert (made.unit_us, made.durations.tolist()) == (250_000, [3, 8])

    def test_sums_that_would_not_fit_make_the_unit_longer_and_durations_shorter(self) -> None:
        long = Resources(memory=1 << 38)
        node = Node("n", 8, 0, 1 << 39)
        sets = [
            TaskSet("a", tasks=3, resources=long, duration=10_000.000_001),
            TaskSet("b", resources=Resources(memory=3), duration=1.000_001),
        ]
        made = project(Workflow("w", sets), Platform("p", (node,)))
        assert made.unit_us > 1
        whole_us = made.durations * made.unit_us
        assert (whole_us <= np.array([10_000_000_001] * 3 + [1_000_001])).all()
        assert (whole_us + made.unit_us > np.array([10_000_000_001] * 3 + [1_000_001])).all()


class TestPoolingIsSound:
    """What nodes allow the project allows: so its bounds are theirs."""

    @settings(max_examples=150, deadline=None)
    @given(
        case=cases(), mode=st.sampled_from(Mode), rule=st.sampled_from(["listed", "longest-first"])
    )
    def test_every_simulated_schedule_is_one_of_the_project(
        self, case: tuple[Workflow, Platform], mode: Mode, rule: str
    ) -> None:
        workflow, platform = at_means(case[0]), case[1]
        trace = simulate(workflow, platform, mode=mode, order=rule)
        check(trace)
        made = project(workflow, platform, mode)
        starts_us = np.zeros(made.n_tasks, dtype=np.int64)
        starts_us[trace.task] = trace.started_us
        starts = starts_us // made.unit_us
        assert_allowed(made, with_barriers(made, starts.tolist()))
        assert trace.ttx_us >= made.floor * made.unit_us
        for one, alike in zip(made.sets, made.alike, strict=True):
            if alike:
                starts[one.first_task : one.first_task + one.count].sort()
        assert_allowed(made, with_barriers(made, starts.tolist()))


class TestSchedules:
    @settings(max_examples=150, deadline=None)
    @given(case=cases(), mode=st.sampled_from(Mode), seed=st.integers(0, 9))
    def test_every_schedule_that_is_generated_is_allowed(
        self, case: tuple[Workflow, Platform], mode: Mode, seed: int
    ) -> None:
        made = project(at_means(case[0]), case[1], mode)
        evolution = Evolution(made, seed=seed)
        for _ in range(60):
            if not evolution.run(SCHEDULES_A_CHILD):
                break
            starts = evolution.starts()
            assert_allowed(made, starts)
            assert evolution.best is not None
            assert made.floor <= evolution.best <= max(starts + made.durations)

    @pytest.mark.slow  # compiles
    def test_serial_keeps_room_for_who_is_next_and_parallel_leaves_none(self) -> None:
        sets = [
            TaskSet("long", resources=Resources(cores=5), duration=2),
            TaskSet("wide", resources=Resources(cores=8), duration=1),
            TaskSet("short", resources=Resources(cores=3), duration=4),
        ]
        made = project(Workflow("w", sets), ONE)
        room, keys, starts = scratch(made), numbers([0, 1, 2]), numbers([0] * 3)
        forward, backward = courses(made)
        assert serial(forward, room, keys, starts) == 7
        assert list(starts) == [0, 2, 3]
        assert justified(forward, backward, room, 7, starts) == 5
        assert parallel(forward, room, keys, starts) == 5
        assert list(starts) == [0, 4, 0]

    def test_without_anything_scarce_the_critical_path_is_the_shortest(self) -> None:
        sets = [TaskSet("a", duration=3), TaskSet("b", duration=4, after="a")]
        made = project(Workflow("w", sets), ONE)
        evolution = Evolution(made)
        assert evolution.run(100) == SCHEDULES_A_CHILD
        assert made.resources == ()
        assert evolution.best == made.floor == 7
