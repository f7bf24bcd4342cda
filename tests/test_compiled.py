"""The compiled road: the same traces as the readable one, and taken where it may be and pays."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import stretto
from stretto import compiling
from stretto.analysis import check
from stretto.apps.paper import workload
from stretto.errors import WorkflowError
from stretto.platform import Node, Overheads, Platform, platform_named
from stretto.report import render
from stretto.resources import Resources
from stretto.scheduler import Event, GatedSet, Launched, Mode, Order, State, gated_sets
from stretto.scheduler.gates import Feed
from stretto.simulator import Simulator, compiled, simulate
from stretto.simulator.compiled import (
    choice,
    coverage,
    kernel,
    uncovered,
    uncovered_durations,
)
from stretto.simulator.compiled.boards import board_of, ordered, played
from stretto.simulator.virtual import play, with_stages
from stretto.trace import Outcome
from stretto.workflow import Dependency, Pattern, TaskSet, Workflow, expand
from tests import roads, traces
from tests.workflows import FailingWorld

pytestmark = pytest.mark.xdist_group("compiled")

ROOT = Path(__file__).parent.parent
PLATFORM = Platform("p", (Node("n", 8, 2, 64), Node("m", 4, 0, 64)))


def noticed() -> None:
    """Do nothing; the work of tasks that are never run."""


class Given:
    """A world with these durations."""

    def __init__(self, durations_us: Sequence[int]) -> None:
        self._durations_us = durations_us

    def outcome(self, task: int, attempt: int) -> tuple[int, str | None]:
        return self._durations_us[task], None


class TestOracle:
    """The readable road says what is right."""

    def test_traces_are_the_same_to_the_microsecond_and_the_core(self) -> None:
        pytest.importorskip("numba")
        roads.agree(150)

    @pytest.mark.slow
    def test_many_more_traces_are_the_same(self) -> None:
        pytest.importorskip("numba")
        roads.agree(1000)

    def test_the_kernel_is_plain_python_too(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "tests.roads", "40"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[0] == "plain"

    @pytest.mark.parametrize("mode", Mode)
    def test_many_tasks_on_many_nodes_pass_the_checker(self, mode: Mode) -> None:
        pytest.importorskip("numba")
        workflow = traces.deepdrivemd(scale=50)
        assert workflow.n_tasks > 30_000
        simulator = Simulator(workflow, platform_named("summit:300"), mode=mode)
        roads.assert_agree(simulator, 1)

    def test_input_is_as_stale_as_it_was_when_tasks_of_no_length_end_in_the_instant(self) -> None:
        sets = [
            TaskSet("a", tasks=4, duration=0, after=Dependency("b", Pattern.GROUP, True, 2)),
            TaskSet("b", tasks=6, resources=Resources(cores=3), duration=0),
            TaskSet("c", tasks=6, duration=1, after=Dependency("b", Pattern.EACH, True, 1)),
        ]
        for mode in Mode:
            simulator = Simulator(Workflow("w", sets, iterations=5), PLATFORM, mode=mode)
            roads.assert_agree(simulator, 0)

    def test_nodes_that_were_never_tried_are_tried_in_their_order(self) -> None:
        gpu = Resources(gpus=1)
        sets = [
            TaskSet("first", resources=gpu, duration=1),
            TaskSet("then", duration=1, after="first"),
        ]
        platform = Platform("p", (Node("plain", 2, 0, 0), Node("gpu", 2, 1, 0)))
        simulator = Simulator(Workflow("w", sets), platform)
        roads.assert_agree(simulator, 0)
        _, compiled_trace = roads.both(simulator, 0)
        assert [slots[0].node for slots in compiled_trace.placements] == [1, 0]

    def test_a_set_may_wait_for_single_tasks_and_for_whole_sets(self) -> None:
        sets = [
            TaskSet("a", tasks=4, duration={"mean": 3, "sd": 1}),
            TaskSet("gate", duration=3),
            TaskSet("b", tasks=4, duration=1, after={"a": "each", "gate": "all"}),
        ]
        for stage_us in (0, 10**6):
            overheads = Overheads(stage_us=stage_us)
            for seed in range(3):
                simulator = Simulator(
                    Workflow("w", sets, iterations=2),
                    PLATFORM,
                    mode="task-level",
                    overheads=overheads,
                )
                roads.assert_agree(simulator, seed)

    @pytest.mark.parametrize(
        ("durations_us", "expected"),
        [
            # The gate of c opens at 6; what c0 waits for ends then, too.  Launched before the gate
            # was opened its end comes first, launched after it comes second.
            ([4, 3, 1, 3, 1, 1, 1], [5, 6]),
            ([4, 4, 1, 2, 1, 1, 1], [6, 5]),
        ],
    )
    def test_ends_and_gates_of_one_instant_come_in_their_order(
        self, durations_us: list[int], expected: list[int]
    ) -> None:
        sets = [
            TaskSet("gate"),
            TaskSet("a", tasks=2),
            TaskSet("b", tasks=2, after={"a": "each"}),
            TaskSet("c", tasks=2, after={"b": "each", "gate": "all"}),
        ]
        overheads = Overheads(stage_us=2)
        gated = with_stages(gated_sets(expand(Workflow("w", sets)), Mode.TASK_LEVEL), overheads)
        launched = launches(gated, durations_us, overheads)
        assert launched[-2:] == [(expected[0], 6), (expected[1], 6)]

    def test_a_gate_that_opens_late_opens_once_however_often_the_set_waits(self) -> None:
        each = Pattern.EACH
        sets = (
            GatedSet("a", Resources(), 0, 1, opens=(2, 2)),
            GatedSet("b", Resources(), 1, 2, feeds=(Feed(2, each),)),
            GatedSet("c", Resources(), 3, 2, gates=3, fed_by=((1, each),)),
        )
        launched = launches(sets, [5, 3, 20, 1, 1], Overheads(stage_us=7))
        assert launched == [(0, 0), (1, 0), (2, 0), (3, 12), (4, 20)]


def launches(
    sets: Sequence[GatedSet], durations_us: Sequence[int], overheads: Overheads
) -> list[tuple[int, int]]:
    """Return tasks and when they were launched, in order; by both roads, which agree."""
    readable: list[tuple[int, int]] = []

    def observe(event: Event) -> None:
        if isinstance(event, Launched):
            readable.append((event.task, event.time_us))

    priorities = [0] * len(sets)
    state = State(sets, PLATFORM.nodes, priorities)
    play(state, Given(durations_us), overheads=overheads, observe=observe)
    board = ordered(board_of(sets, PLATFORM.nodes, overheads), priorities, strict=False)
    rows = played(board, np.array(durations_us)).rows
    assert list(zip(rows["task"], rows["launched_us"], strict=True)) == readable
    return readable


class TestTraces:
    """A trace of the compiled road is one like any other."""

    def test_it_is_pickled_reported_and_found_legal(self) -> None:
        simulator = Simulator(workload("deepdrivemd"), "summit:16", mode="task-level")
        readable, found = roads.both(simulator, 3)
        again = pickle.loads(pickle.dumps(found))
        roads.assert_alike(readable, again)
        check(again)
        assert render([again]) == render([readable])

    def test_placements_wait_until_somebody_looks(self) -> None:
        simulator = Simulator(workload("deepdrivemd"), "summit:16")
        _, found = roads.both(simulator, 0)
        assert len(found.placements) == len(found)
        assert found.placements[0][0].cores == 0b1111


class TestSimulator:
    """Made ready once, simulated many times."""

    def test_it_gives_what_simulate_gives(self) -> None:
        order = Order("largest-first", strict=True)
        overheads = Overheads(launch_us=5, stage_us=7)
        workflow = workload("c-dg2")
        once = Simulator(workflow, "summit:16", mode="task-level", order=order, overheads=overheads)
        trace = simulate(
            workflow, "summit:16", mode="task-level", order=order, overheads=overheads, seed=4
        )
        roads.assert_alike(trace, once.trace(4))
        assert once.makespan_us(4) == trace.ttx_us

    @pytest.mark.parametrize("taken", [False, True])
    def test_another_order_is_as_if_made_anew(self, taken: bool) -> None:
        workflow = workload("c-dg2")
        with roads.road(compiled=taken):
            first = Simulator(workflow, "summit:16", order="listed")
            before = first.makespan_us(1)
            second = first.reordered(Order("largest-first", strict=True))
            fresh = Simulator(workflow, "summit:16", order=Order("largest-first", strict=True))
            assert second.trace(1).task.tolist() == fresh.trace(1).task.tolist()
            assert (second.order, first.order) == (fresh.order, Order("listed"))
            assert first.makespan_us(1) == before
        with pytest.raises(WorkflowError, match=r"there is no x\[0\] to rank"):
            first.reordered(Order("given", ("x[0]",)))

    def test_many_seeds_are_columns(self) -> None:
        simulator = Simulator(workload("deepdrivemd"), "summit:16")
        found = simulator.ttx(range(3))
        assert found.ttx_us.tolist() == [simulator.makespan_us(seed) for seed in range(3)]
        assert found.gpus is not None
        assert len(found.cores) == len(found.gpus) == 3
        assert simulator.ttx(()).ttx_us.tolist() == []

    def test_without_gpus_no_share_of_them_is_in_use(self) -> None:
        workflow = Workflow("w", [TaskSet("a", duration=1)])
        found = Simulator(workflow, Platform("p", (Node("n", 2, 0, 0),))).ttx((0,))
        assert found.gpus is None
        assert found.cores.tolist() == [0.5]

    def test_nothing_that_takes_time_uses_nothing(self) -> None:
        workflow = Workflow("w", [TaskSet("a", duration=0)])
        found = Simulator(workflow, PLATFORM).ttx((0,))
        assert found.gpus is not None
        assert (found.ttx_us.tolist(), found.cores.tolist(), found.gpus.tolist()) == ([0], [0], [0])

    def test_sums_are_whole_however_long(self) -> None:
        ten_years = 10 * 365 * 86_400
        workflow = Workflow("w", [TaskSet("a", tasks=32_000, duration=ten_years)])
        platform = Platform("p", tuple(Node("n", 4000, 0, 0) for _ in range(8)))
        with roads.road(compiled=False):
            found = Simulator(workflow, platform).ttx((0,))
        assert found.cores.tolist() == [1.0]

    def test_an_unknown_duration_is_refused_on_both_roads(self) -> None:
        simulator = Simulator(Workflow("w", [TaskSet("a")]), PLATFORM)
        for taken in (False, True):
            with roads.road(compiled=taken), pytest.raises(WorkflowError, match="no duration"):
                simulator.makespan_us()


@dataclass(frozen=True, slots=True, init=False, order=True)
class Licensed(Resources):
    """Needs that no version of the kernel has heard of."""

    licences: int = 0

    def __init__(self, licences: int) -> None:
        Resources.__init__(self)
        object.__setattr__(self, "licences", licences)


class TestCoverage:
    """What the kernel does not cover goes the readable road, by a rule with a reason."""

    def sets(self, *sets: TaskSet) -> tuple[GatedSet, ...]:
        return Simulator(Workflow("w", list(sets)), PLATFORM)._sets

    def test_most_is_covered(self) -> None:
        sets = self.sets(
            TaskSet("a", resources=Resources(gpus=0.25, ranks=2), duration=1),
            TaskSet("b", resources=Resources(memory=8, gpus=2), duration=1, after="a"),
        )
        assert uncovered(sets, 2) is None
        assert uncovered_durations(sets, np.array([1, 1]), Overheads(stage_us=5)) is None

    def test_short_calls_may_be_bundled(self) -> None:
        sets = self.sets(TaskSet("a", tasks=2, function=noticed, duration=1))
        assert uncovered(sets, 2) is None
        for least_us, reason in ((5000, "tasks of a[0] may be bundled"), (5001, None)):
            durations_us = np.array([10**6, least_us])
            assert uncovered_durations(sets, durations_us, Overheads()) == reason
        assert uncovered_durations(sets, np.array([0, 0]), Overheads(task_us=5001)) is None
        timed = self.sets(TaskSet("a", tasks=2, function=noticed, duration=1, timeout=9))
        assert uncovered_durations(timed, np.array([0, 0]), Overheads()) is None

    def test_times_are_words(self) -> None:
        sets = self.sets(TaskSet("a", tasks=2, duration=1))
        durations_us = np.array([1 << 61, 1 << 61])
        assert uncovered_durations(sets, durations_us, Overheads()) == "times are too long"
        assert uncovered_durations(sets, durations_us - 2**32, Overheads()) is None

    def test_slots_have_a_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sets = self.sets(TaskSet("a", tasks=5, resources=Resources(ranks=7), duration=1))
        assert coverage.most_slots(sets, 3) == 15
        shared = self.sets(TaskSet("a", tasks=5, resources=Resources(ranks=7, gpus=0.2)))
        assert coverage.most_slots(shared, 3) == 35
        monkeypatch.setattr(coverage, "MOST_SLOTS", 14)
        assert uncovered(sets, 3) == "tasks may lie in more than 14 slots"

    def test_groups_are_not_covered(self) -> None:
        sets = [TaskSet("a", duration=1), TaskSet("b", duration=2, with_="a")]
        simulator = Simulator(Workflow("w", sets), PLATFORM)
        assert uncovered(simulator._sets, 2) == "a[0] has a gang"
        roads.assert_agree(simulator, 0)

    @pytest.mark.parametrize("mode", Mode)
    def test_quorums_are_not_covered(self, mode: Mode) -> None:
        enough = Dependency("a", quorum=0.5)
        sets = [TaskSet("a", tasks=4, duration=1), TaskSet("b", duration=2, after=enough)]
        simulator = Simulator(Workflow("w", sets), PLATFORM, mode=mode)
        assert uncovered(simulator._sets, 2) is not None
        roads.assert_agree(simulator, 0)

    def test_needs_that_are_new_are_not_covered(self) -> None:
        for licences, reason in ((2, "a task needs 1 core"), (0, None)):
            assert uncovered((GatedSet("a", Licensed(licences), 0, 1),), 1) == reason

    def test_bundles_are_simulated_all_the_same(self) -> None:
        sets = [TaskSet("a", tasks=900, function=noticed, duration=0.001)]
        roads.assert_agree(Simulator(Workflow("w", sets), PLATFORM), 0)

    def test_a_world_in_which_things_fail_is_the_readable_road_s(self) -> None:
        workflow = Workflow("w", [TaskSet("a", tasks=3, duration=1)])
        with roads.road(compiled=True):
            trace = Simulator(workflow, PLATFORM).trace(
                world=FailingWorld(expand(workflow), 0, frozenset({(1, 1)}))
            )
        assert sorted(trace.outcome.tolist()) == [
            Outcome.FINISHED,
            Outcome.FINISHED,
            Outcome.FAILED,
        ]


class TestChoice:
    """The compiled road is taken where it pays."""

    def test_it_pays_once_as_much_was_simulated_without(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("numba")
        for kept, paying in ((True, choice.LOADED_FROM), (False, choice.COMPILED_FROM)):
            monkeypatch.setattr(compiling, "is_kept", lambda function, kept=kept: kept)
            tally = choice.Tally()
            assert not choice.pays(1, tally)
            assert not choice.pays(paying - 2, tally)
            assert choice.pays(1, tally)
            assert choice.pays(1, tally)

    def test_what_was_compiled_is_known(self) -> None:
        pytest.importorskip("numba")
        with roads.road(compiled=True):
            simulate(Workflow("w", [TaskSet("a", duration=1)]), PLATFORM)
        assert compiling.is_kept(kernel.play)
        assert not compiling.is_kept(noticed)

    @pytest.mark.parametrize(
        "program",
        [
            "from stretto.apps.paper import workload; stretto.plan(workload('c-dg1'))",
            "from stretto.apps.paper import workload; stretto.simulate(workload('c-dg1'))",
        ],
    )
    def test_what_is_small_loads_no_compiler(self, program: str) -> None:
        said = ran(f"import stretto, sys; {program}; print('numba' in sys.modules)")
        assert said.split() == ["False"]

    def test_without_a_compiler_the_readable_road_is_taken(self) -> None:
        said = ran(
            "import sys; sys.modules['numba'] = None\n"
            "import stretto\n"
            "from stretto.apps.paper import workload\n"
            "from stretto.simulator.compiled import choice\n"
            "choice.LOADED_FROM = choice.COMPILED_FROM = 1\n"
            "trace = stretto.simulate(workload('deepdrivemd'), seed=2)\n"
            "taken = 'stretto.simulator.compiled.boards' in sys.modules\n"
            "print(trace.ttx_us, trace.complete, taken)"
        )
        expected = simulate(workload("deepdrivemd"), seed=2).ttx_us
        assert said.split() == [str(expected), "True", "False"]

    @pytest.mark.slow
    def test_where_nothing_can_be_kept_it_is_compiled_for_the_process(self, tmp_path: Path) -> None:
        pytest.importorskip("numba")
        source = Path(stretto.__file__).parent
        package = tmp_path / "stretto"
        shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
        # A file where the folder would be, and a cache of the user's where none can be: not even
        # root can write these.
        (package / "simulator/compiled/__pycache__").touch()
        nowhere = {"HOME": "/proc", "XDG_CACHE_HOME": "/proc", "NUMBA_CACHE_DIR": "/proc/none"}
        said = ran(
            "from stretto import compiling\n"
            "from stretto.simulator.compiled import kernel\n"
            "print(compiling.is_kept(kernel.play))\n"
            "import runpy; runpy.run_module('stretto.simulator.compiled', run_name='__main__')\n"
            "print(compiling.is_kept(kernel.play), kernel.play.stats.cache_path)",
            PYTHONPATH=str(tmp_path),
            **nowhere,
        )
        assert said.split()[0] == "False"
        assert said.split()[-2:] == ["True", "None"]


def ran(program: str, **environment: str) -> str:
    """Return what a program printed in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_compiled_is_thrown_away_when_any_of_its_files_changes(tmp_path: Path) -> None:
    folder = Path(compiled.__file__).parent
    editions = []
    for changed in (False, True):
        copy = tmp_path / str(changed)
        shutil.copytree(folder, copy / "compiled", ignore=shutil.ignore_patterns("__pycache__"))
        if changed:
            with (copy / "compiled/trees.py").open("a") as file:
                file.write("# changed\n")
        said = ran(
            f"import runpy; print(runpy.run_path({str(copy / 'compiled/records.py')!r})['EDITION'])"
        )
        editions.append(said)
    assert editions[0] != editions[1]
