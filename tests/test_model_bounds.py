"""No schedule is shorter than the bounds, and on the paper's cases some schedule is as short."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.analysis import check
from stretto.apps.paper import WORKLOADS, workload
from stretto.model import Bounds, model_of
from stretto.model.machines import MOST_SHAPES, machines_of
from stretto.model.refutation import MOST_REFUTED
from stretto.model.windows import MOST_ENDS, Jobs, needed_us
from stretto.platform import Node, Platform, platform_named
from stretto.resources import Resources
from stretto.scheduler import Mode
from stretto.simulator import simulate
from stretto.units import US_PER_SECOND
from stretto.workflow import Dependency, Pattern, TaskSet, Workflow
from tests.shortest import shortest_us
from tests.workflows import cases

SUMMIT = platform_named("summit:16")
ONE = Platform("one", (Node("n", 4, 2, 10),))
GPUS = Platform("gpus", tuple(Node(f"n{i}", 8, 4, 0) for i in range(2)))
GPU = Resources(cores=1, gpus=1)


def bounds_of(sets: Sequence[TaskSet], platform: Platform, iterations: int = 1) -> Bounds:
    bounds = model_of(Workflow("w", sets, iterations=iterations), platform).bounds
    assert bounds is not None
    return bounds


def s(time_us: int) -> float:
    return time_us / US_PER_SECOND


class TestPaper:
    def test_deepdrivemd_by_hand(self) -> None:
        bounds = model_of(workload("deepdrivemd"), SUMMIT).bounds
        assert bounds is not None
        assert s(bounds.critical_path_us) == 1206
        gpu_seconds = 3 * (96 * 340 + 63 + 96 * 38)
        assert s(bounds.area_us("gpus")) == pytest.approx(gpu_seconds / 96, abs=1e-6)
        core_seconds = 3 * (96 * 4 * 340 + 16 * 32 * 85 + 4 * 63 + 96 * 16 * 38)
        assert s(bounds.area_us("cores")) == pytest.approx(core_seconds / 2688, abs=1e-6)
        assert bounds.area_us("memory") == 0
        assert s(bounds.counting_us) == 1206
        # 1269 s is where a Training fits before a GPU's third Simulation; 1235 s is attained.
        assert (s(bounds.best_us), bounds.binding) == (1235, "refutation")

    @pytest.mark.parametrize(
        ("name", "best", "binding"),
        [
            ("c-dg1", 1860, "critical path"),
            # {T3, T6} and {T4, T5}, 112 tasks on 96 GPUs: some GPU runs two, 760 + 240 s or more.
            ("c-dg2", 1540, "counting"),
            ("c-dg1-as-run", 1874, "critical path"),
            ("c-dg2-as-run", 1309, "critical path"),
        ],
    )
    def test_the_concrete_dgs(self, name: str, best: float, binding: str) -> None:
        bounds = model_of(workload(name), SUMMIT).bounds
        assert bounds is not None
        assert (s(bounds.best_us), bounds.binding) == (best, binding)

    @pytest.mark.parametrize("name", WORKLOADS)
    def test_they_are_attained(self, name: str) -> None:
        bounds = model_of(workload(name), SUMMIT).bounds
        assert bounds is not None
        traces = [
            simulate(workload(name).at_means(), SUMMIT, mode=mode, order=order)
            for mode in Mode
            for order in ("critical-path", "largest-first")
        ]
        for trace in traces:
            check(trace)
        assert min(trace.ttx_us for trace in traces) == bounds.best_us


class TestKinds:
    def test_waves_of_a_set_that_others_wait_for_as_a_whole(self) -> None:
        sets = [TaskSet("a", tasks=5, duration=3), TaskSet("b", tasks=5, duration=2, after="a")]
        bounds = bounds_of(sets, ONE)
        assert (s(bounds.critical_path_us), s(bounds.waves_us)) == (5, 10)
        assert bounds.binding == "waves"

    def test_waves_of_a_set_whose_tasks_are_waited_for_one_by_one(self) -> None:
        sets = [
            TaskSet("a", tasks=5, duration=3),
            TaskSet("b", tasks=5, duration=2, after={"a": "each"}),
        ]
        bounds = bounds_of(sets, ONE)
        # Two waves of one of them, and one duration of the other.
        assert (s(bounds.critical_path_us), s(bounds.waves_us)) == (5, 8)
        assert s(shortest_us(Workflow("w", sets), ONE)) == s(bounds.best_us) == 8

    def test_area_between_a_head_and_a_tail(self) -> None:
        sets = [
            TaskSet("a", duration=4),
            TaskSet("b", tasks=6, duration=1, after="a"),
            TaskSet("c", tasks=2, duration=3, after="a"),
            TaskSet("d", duration=5, after=["b", "c"]),
        ]
        bounds = bounds_of(sets, ONE)
        assert s(bounds.energetic_us) == 4 + 12 / 4 + 5
        assert s(bounds.critical_path_us) == 12
        assert s(bounds.area_us("cores")) == 21 / 4

    def test_counting_on_gpus_of_several_sets(self) -> None:
        # Nine tasks on eight GPUs: the two shortest of them are together somewhere.
        sets = [
            TaskSet("a", tasks=7, resources=GPU, duration=10),
            TaskSet("b", tasks=2, resources=GPU, duration=6),
        ]
        bounds = bounds_of(sets, GPUS)
        assert (s(bounds.counting_us), bounds.binding) == (12, "counting")

    def test_long_tasks_have_a_gpu_each(self) -> None:
        # No two of the shortest tasks tell: 14 of 2 s beside 6 of 9 s, on eight GPUs.
        sets = [
            TaskSet("a", tasks=6, resources=GPU, duration=9),
            TaskSet("b", tasks=14, resources=GPU, duration=2),
        ]
        bounds = bounds_of(sets, GPUS)
        assert s(bounds.area_us("gpus")) == 82 / 8
        # Below 11 s two GPUs are left for the 14, which take 14 s there.
        assert (s(bounds.counting_us), bounds.binding) == (11, "counting")

    def test_full_gpus_push_other_tasks_behind(self) -> None:
        sets = [
            TaskSet("a", tasks=16, resources=GPU, duration=10),
            TaskSet("b0", resources=GPU, duration=3),
            TaskSet("b1", resources=GPU, duration=3),
            TaskSet("c0", tasks=20, resources=GPU, duration=1, after="b0"),
            TaskSet("c1", tasks=20, resources=GPU, duration=1, after="b1"),
            TaskSet("d", duration=6, after="a"),
        ]
        bounds = bounds_of(sets, GPUS)
        assert s(max(bounds.energetic_us, bounds.counting_us)) == 26
        # Below 29 s every GPU does two of a before 23 s, so both b come after 20 s and all c after
        # 23 s; five of the 40 follow one another somewhere.
        assert (s(bounds.best_us), bounds.binding) == (28, "refutation")

    def test_memory_is_an_area_and_is_counted_by_nodes(self) -> None:
        two = Platform("two", (Node("a", 9, 0, 10), Node("b", 9, 0, 10)))
        sets = [
            TaskSet("a", tasks=3, resources=Resources(cores=1, memory=6), duration=10),
            TaskSet("b", tasks=1, resources=Resources(cores=1, memory=8), duration=4),
        ]
        bounds = bounds_of(sets, two)
        assert s(bounds.area_us("memory")) == (3 * 60 + 32) / 20
        # A node holds one of either: two of the four tasks follow one another.
        assert (s(bounds.counting_us), bounds.binding) == (20, "waves")
        assert s(shortest_us(Workflow("w", sets), two)) == 20

    def test_named_resources_are_areas_and_are_counted(self) -> None:
        node = Node("n", 9, 0, 0, (("licence", 5),))
        platform = Platform("p", (node,))
        two, three = (Resources(named={"licence": one}) for one in (2, 3))
        sets = [
            TaskSet("a", tasks=2, resources=three, duration=10),
            TaskSet("b", tasks=3, resources=two, duration=10),
        ]
        bounds = bounds_of(sets, platform)
        assert s(bounds.area_us("licence")) == 24
        # Of five tasks two run at once.
        assert (s(bounds.best_us), bounds.binding) == (30, "counting")
        loop = model_of(Workflow("w", sets, iterations=2), platform).steady
        assert loop is not None
        assert (s(loop.period_us), loop.binds) == (25, "licence")

    def test_two_kinds_of_which_there_is_equally_much_are_looked_at_once(self) -> None:
        square = Platform("square", (Node("n", 4, 4, 0),))
        sets = [TaskSet("a", tasks=5, resources=GPU, duration=2)]
        assert len(machines_of(Workflow("w", sets), square)) == 1
        sets.append(TaskSet("b", tasks=4, resources=GPU, duration=1))
        assert s(bounds_of(sets, square).energetic_us) == 3.5
        assert s(bounds_of(sets, square).counting_us) == 4

    def test_shared_gpus_are_counted_by_what_fits_on_one(self) -> None:
        shares = TaskSet("a", tasks=9, resources=Resources(cores=0, gpus=0.4), duration=10)
        whole = TaskSet("b", tasks=1, resources=Resources(cores=1, gpus=1), duration=10)
        # Two of the shares lie on a GPU, and a whole GPU is two of them: 11 in places for 4.
        assert s(bounds_of([shares, whole], ONE).best_us) == 30

    def test_no_time_at_all(self) -> None:
        bounds = bounds_of([TaskSet("a", duration=0)], ONE)
        assert (bounds.best_us, bounds.binding) == (0, "critical path")


class TestSoundness:
    @settings(max_examples=300, deadline=None)
    @given(case=cases(), mode=st.sampled_from(Mode))
    def test_no_simulation_is_shorter(self, case: tuple[Workflow, Platform], mode: Mode) -> None:
        workflow, platform = case
        constant = workflow.at_means()
        bounds = model_of(constant, platform).bounds
        assert bounds is not None
        trace = simulate(constant, platform, mode=mode)
        check(trace)
        assert trace.ttx_us >= bounds.best_us

    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def test_the_shortest_of_all_schedules_is_not_shorter(self, data: st.DataObject) -> None:
        workflow, platform = data.draw(small_cases())
        bounds = model_of(workflow, platform).bounds
        assert bounds is not None
        assert bounds.best_us <= shortest_us(workflow, platform)

    @settings(max_examples=100, deadline=None)
    @given(case=cases())
    def test_the_stronger_bounds_are_not_smaller(self, case: tuple[Workflow, Platform]) -> None:
        bounds = model_of(*case).bounds
        assert bounds is not None
        assert bounds.critical_path_us <= bounds.waves_us <= bounds.counting_us
        assert max(us for _, us in bounds.areas_us) <= bounds.energetic_us
        assert bounds.critical_path_us <= bounds.energetic_us
        assert max(bounds.energetic_us, bounds.counting_us) <= bounds.refuted_us == bounds.best_us

    @settings(max_examples=200, deadline=None)
    @given(
        machines=st.integers(1, 4),
        jobs=st.lists(st.integers(1, 9), min_size=1, max_size=7),
    )
    def test_machines_need_what_is_said_of_them(self, machines: int, jobs: list[int]) -> None:
        lengths = sorted(set(jobs), reverse=True)
        found = needed_us(
            Jobs(machines, tuple(lengths), (), ()), [jobs.count(length) for length in lengths]
        )
        assert max(found) <= _shortest_on(machines, sorted(jobs, reverse=True))


class TestLimits:
    def test_more_heads_than_are_looked_at_leave_the_bounds_sound(self) -> None:
        chain = [TaskSet("s0", tasks=3, duration=1)]
        chain += [
            TaskSet(f"s{i}", tasks=3, duration=1 + i % 7, after=f"s{i - 1}")
            for i in range(1, 2 * MOST_ENDS)
        ]
        bounds = bounds_of(chain, ONE)
        total = sum(1 + i % 7 for i in range(2 * MOST_ENDS))
        assert s(bounds.best_us) == s(bounds.critical_path_us) == total

    def test_many_shapes_are_seen_as_amounts_and_the_busiest_as_slots(self) -> None:
        big = Platform("big", (Node("n", 1000, 0, 0),))
        sets = [
            TaskSet(f"s{i}", tasks=20, resources=Resources(cores=301 + i), duration=i + 1)
            for i in range(2 * MOST_SHAPES)
        ]
        workflow = Workflow("w", sets)
        assert len(machines_of(workflow, big)) <= 1 + MOST_SHAPES
        bounds = bounds_of(sets, big)
        # Three fit at once, so each set has seven waves.
        assert s(bounds.waves_us) == 7 * 2 * MOST_SHAPES
        assert bounds.best_us >= bounds.area_us("cores")

    def test_a_long_loop_is_not_refuted_and_is_bounded_by_its_area(self) -> None:
        loop = workload("deepdrivemd").with_iterations(MOST_REFUTED // 4 + 1)
        bounds = model_of(loop, SUMMIT).bounds
        assert bounds is not None
        assert bounds.best_us == bounds.area_us("gpus")


@st.composite
def small_cases(draw: st.DrawFn) -> tuple[Workflow, Platform]:
    """Workflows of few tasks with one rank and whole GPUs, on nodes where they fit."""
    kinds = st.tuples(st.integers(1, 5), st.integers(0, 2), st.sampled_from([0, 8, 10]))
    nodes = draw(st.lists(kinds, min_size=1, max_size=2))
    iterations = draw(st.integers(1, 3))
    sets: list[TaskSet] = []
    left = 6 // iterations
    while left > 0 and (not sets or draw(st.booleans())):
        tasks = draw(st.integers(1, left))
        left -= tasks
        after = [
            Dependency(one.name, draw(_patterns(tasks, one.tasks)))
            for one in sets
            if draw(st.booleans())
        ]
        name = f"s{len(sets)}"
        if draw(st.booleans()):
            after.append(
                Dependency(name, draw(_patterns(tasks, tasks)), True, draw(st.integers(0, 1)))
            )
        sets.append(
            TaskSet(
                name,
                tasks=tasks,
                resources=draw(st.sampled_from(_shapes_on(nodes))),
                duration=draw(st.integers(0, 9)),
                after=after,
            )
        )
    platform = Platform("p", tuple(Node(f"n{i}", *one) for i, one in enumerate(nodes)))
    return Workflow("small", sets, iterations=iterations), platform


def _patterns(consumers: int, producers: int) -> st.SearchStrategy[Pattern]:
    return st.sampled_from(
        [
            Pattern.ALL,
            *([Pattern.EACH] if consumers == producers else []),
            *([Pattern.GROUP] if consumers <= producers else []),
        ]
    )


def _shapes_on(nodes: Sequence[tuple[int, int, int]]) -> list[Resources]:
    return [
        Resources(cores=cores, gpus=gpus, memory=memory)
        for cores in (1, 2, 3, 5)
        for gpus in (0, 1, 2)
        for memory in (0, 3, 6)
        if any(cores <= one and gpus <= two and memory <= three for one, two, three in nodes)
    ]


def _shortest_on(machines: int, jobs: Sequence[int]) -> int:
    """Return the least time in which these machines can do these jobs, by trying all ways."""
    best = sum(jobs)

    def give(place: int, loads: list[int]) -> None:
        nonlocal best
        if max(loads) >= best:
            return
        if place == len(jobs):
            best = max(loads)
            return
        for load in sorted(set(loads)):
            at = loads.index(load)
            give(place + 1, [*loads[:at], load + jobs[place], *loads[at + 1 :]])

    give(0, [0] * machines)
    return best
