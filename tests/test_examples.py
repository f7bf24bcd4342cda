"""Every example runs, and does what the comment at its top says."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stretto import Mode, Run, read_workflow, run, simulate
from stretto.analysis import check
from stretto.platform import platform_named
from stretto.trace import Outcome

EXAMPLES = Path(__file__).parent.parent / "examples"
DESCRIPTIONS = sorted(
    path.relative_to(EXAMPLES)
    for path in EXAMPLES.rglob("*")
    if path.suffix in (".yaml", ".toml") and "runs" not in path.parts and path.stem != "ruff"
)
PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py"))


def ran(example: str, folder: Path, mode: Mode, platform: str = "local:2") -> Run:
    """Run a description in a folder, and check that what happened was legal."""
    ended = run(
        read_workflow(EXAMPLES / example), platform=platform, mode=mode, run_dir=folder / mode
    )
    assert ended.trace.complete, list(ended.trace.reasons.values())
    check(ended.trace, slack_us=60_000_000)
    return ended


def output(example: str, folder: Path) -> str:
    """Run a program in a folder and return what it prints."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / example],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_there_is_a_test_for_every_example() -> None:
    own = Path(__file__).read_text(encoding="utf-8")
    names = [str(one) for one in DESCRIPTIONS] + PROGRAMS
    assert [name for name in names if f'"{name}"' not in own] == []


def test_every_example_says_what_it_is_for() -> None:
    for path in [*(EXAMPLES / one for one in DESCRIPTIONS), *EXAMPLES.rglob("*.py")]:
        assert path.read_text(encoding="utf-8").startswith(("# ", '"""')), path


@pytest.mark.parametrize("example", DESCRIPTIONS, ids=str)
def test_descriptions_can_be_simulated_in_every_mode(example: Path) -> None:
    workflow = read_workflow(EXAMPLES / example)
    for mode in Mode:
        where = platform_named(workflow.platform or "local:2")
        check(simulate(workflow, where, mode=mode))


@pytest.mark.parametrize("mode", [Mode.SEQUENTIAL, Mode.ASYNCHRONOUS])
def test_active_learning_learns(tmp_path: Path, mode: Mode) -> None:
    ended = ran("active-learning/workflow.yaml", tmp_path, mode)
    errors = [ended.result("fit", iteration=number) for number in range(3)]
    assert all(isinstance(error, float) for error in errors)
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == 3
    picks = ended.result("pick", iteration=1)
    assert isinstance(picks, list)
    assert len(picks) == 4


def test_active_learning_is_never_staler_than_described(tmp_path: Path) -> None:
    trace = ran("active-learning/workflow.yaml", tmp_path, Mode.TASK_LEVEL).trace
    iteration = trace.instance() // len(trace.workflow.task_sets)
    used = {(int(iteration[row]), age) for row, ages in trace.inputs.items() for _, age in ages}
    assert {number for number, _ in used} == {1, 2}
    assert {age for number, age in used if number == 1} <= {None, 0}
    assert {age for number, age in used if number == 2} <= {0, 1}


def test_deepdrivemd_streams_with_all_four_components_alive(tmp_path: Path) -> None:
    pytest.importorskip("zmq")
    ended = ran("streaming/workflow.yaml", tmp_path, Mode.ASYNCHRONOUS, "local:5")
    trace = ended.trace
    assert len(set(trace.launched_us.tolist())) == 1
    assert trace.started_us.max() < trace.ended_us.min()
    assert ended.result("aggregation") == 80
    assert ended.result("training") == ended.result("inference") == 80
    picked = [ended.result("simulation", task=task) for task in range(2)]
    assert all(isinstance(one, int) for one in picked)
    assert picked != [0, 0]
    assert {int(trace.task[row]) for row in trace.idle} >= {2, 3, 4}


@pytest.mark.parametrize("mode", list(Mode))
def test_the_converging_loop_ends_when_its_error_is_small(tmp_path: Path, mode: Mode) -> None:
    ended = ran("converging/workflow.yaml", tmp_path, mode)
    last = ended.trace.converged_in
    assert last is not None
    results = [ended.result("judge", iteration=number) for number in range(last + 1)]
    assert [one["converged"] for one in results] == [False] * last + [True]
    assert results[-1]["error"] <= 0.003
    assert abs(results[-1]["pi"] - math.pi) < 5 * 0.003
    assert ended.result("judge", iteration=last + 1) is None


def test_each_summary_of_the_ensemble_has_its_own_block(tmp_path: Path) -> None:
    folder = ran("ensemble.toml", tmp_path, Mode.TASK_LEVEL).directory
    members = [(folder / f"member-{number}.txt").read_text() for number in range(6)]
    assert len(set(members)) == 6
    for number in range(2):
        block = sorted(members[3 * number : 3 * number + 3], key=int)
        assert (folder / f"summary-{number}.txt").read_text() == "".join(block)


def test_the_program_of_several_ranks_is_started_once_on_all_its_cores(tmp_path: Path) -> None:
    ended = ran("mpi.yaml", tmp_path, Mode.ASYNCHRONOUS)
    slots = [slot for placement in ended.trace.placements[:3] for slot in placement]
    assert [slot.ranks for slot in slots] == [2, 2, 2]
    assert [slot.cores.bit_count() for slot in slots] == [2, 2, 2]
    assert set(ended.trace.outcome.tolist()) == {Outcome.FINISHED}
    collected = (ended.directory / "tasks/collect/0/0.1.out").read_text()
    assert collected.startswith("task 0: 2 ranks of 1 thread")


def test_ranks_lie_on_several_nodes_when_emulated(tmp_path: Path) -> None:
    ended = run(
        read_workflow(EXAMPLES / "mpi.yaml"),
        platform="summit:2",
        emulate=True,
        time_scale=10,
        run_dir=tmp_path / "run",
    )
    assert ended.trace.complete
    check(ended.trace, slack_us=60_000_000)


def test_the_workflow_in_python_is_predicted_and_run_in_two_modes(tmp_path: Path) -> None:
    lines = output("python_workflow.py", tmp_path).splitlines()
    assert lines[0] == "predicted I +0.42"
    assert [line.split(",")[0] for line in lines[1:3]] == ["sequential: done", "asynchronous: done"]
    assert re.fullmatch(r"measured I [+-]\d\.\d\d", lines[3])


def test_the_executor_gives_calls_what_they_need(tmp_path: Path) -> None:
    printed = output("executor.py", tmp_path)
    assert "squares: [0, 1, 4, 9, 16]" in printed
    assert "threads of a call with two cores: 2" in printed
    assert "a failed call: ValueError(" in printed


def test_the_papers_table_is_printed(tmp_path: Path) -> None:
    lines = output("paper_table.py", tmp_path).splitlines()
    assert len(lines) == 6
    assert lines[1].split() == [
        "deepdrivemd",
        "2",
        "2",
        "1",
        "1",
        "1578",
        "1578",
        "1345",
        "0.148",
        "1578",
        "1235",
        "1235",
        "1235",
    ]
