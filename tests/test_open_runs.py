"""Loops until they have converged and numbers of tasks from results, run with real processes."""

from __future__ import annotations

import json
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import stretto
from stretto import Mode, TaskSet, Workflow
from stretto.analysis import check
from stretto.platform import Node, Platform
from stretto.runtime import Ending
from stretto.trace import Outcome, read_trace
from tests.commands import called, left_over, lines, started, wait_until

SLACK_US = 60_000_000
FOUR_CORES = Platform("four", (Node("here", 4, 0, 4096),), local=True)

LOOP = """\
name: converging
iterations: {at_most: 30, until: judge, expected: 4}
task_sets:
  walk:
    tasks: 3
    command: "sleep 0.0$((4 * {task} + 2)); echo walk >> {run_dir}/walk.{iteration}.{task}.done"
    shell: true
    after: {judge: {iteration: previous, staleness: 1}}
  learn: {function: "stages:learn", after: {walk: {quorum: 2, stragglers: cancel}}}
  judge:
    command: [python3, judge.py, "{iteration}"]
    after: learn
"""
STAGES = """\
def learn(iteration, run_dir, finished):
    with open(f"{run_dir}/learn.{iteration}.0.done", "a") as file:
        file.write("learn\\n")
    return finished["walk"]
"""
JUDGE = """\
import json, sys
print("looking at iteration", sys.argv[1])
print(json.dumps({"converged": int(sys.argv[1]) >= 5, "loss": 1 / (1 + int(sys.argv[1]))}))
"""


def written(folder: Path, flow: str = LOOP, judge: str = JUDGE) -> None:
    (folder / "flow.yaml").write_text(flow)
    (folder / "stages.py").write_text(STAGES)
    (folder / "judge.py").write_text(judge)


def ran(workflow: Workflow, folder: Path, **options: Any) -> stretto.Run:
    """Run it; whatever became of it, the trace is legal and nothing is left."""
    options.setdefault("platform", FOUR_CORES)
    ended = stretto.run(workflow, run_dir=folder / "run", **options)
    check(ended.trace, slack_us=SLACK_US)
    assert not left_over(ended.directory)
    return ended


@pytest.mark.parametrize("mode", list(Mode))
def test_a_loop_ends_when_its_result_says_so(tmp_path: Path, mode: Mode) -> None:
    written(tmp_path)
    words = ("--platform", "local:4", "--mode", mode, "--run-dir", "run", "--json")
    run = called("run", "flow.yaml", *words, folder=tmp_path)
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout)
    assert (summary["ending"], summary["converged_in"]) == ("done", 5)
    assert summary["finished"] + summary["dropped"] == summary["tasks"] == 30 * 5
    assert "judge[5].0: converged" in run.stderr
    # Two iterations may be judged at once, and the later one first.
    assert re.search(r"dropped: judge\[[56]\] says that the loop has converged", run.stderr)
    trace = read_trace(tmp_path / "run/journal.jsonl")
    check(trace, slack_us=SLACK_US)
    assert not left_over(tmp_path / "run")
    assert max(trace.task.tolist()) < 5 * 8, "staleness 1 begins two iterations more at most"
    state = called("status", "run", folder=tmp_path).stdout
    assert f"is done: {trace.n_finished} of {trace.n_finished} tasks finished" in state
    assert "walk[8]" not in state


def test_the_limit_is_told_when_nothing_converges(tmp_path: Path) -> None:
    written(tmp_path, LOOP.replace("at_most: 30", "at_most: 4"))
    run = called("run", "flow.yaml", "--platform", "local:4", folder=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "not converged in 4 iterations" in run.stdout


def test_a_result_that_says_nothing_is_a_failure_that_can_be_mended(tmp_path: Path) -> None:
    silent = "import os; print('not yet' if os.environ['STRETTO_ITERATION'] == '2' else "
    written(tmp_path, judge=silent + "'{\"converged\": false}')")
    words = ("--platform", "local:4", "--mode", "sequential", "--run-dir", "run")
    run = called("run", "flow.yaml", *words, folder=tmp_path)
    assert run.returncode == 1
    assert (
        "judge[2].0, attempt 1: expected a result such as {\"converged\": false}, found 'not yet'"
    ) in run.stderr
    (tmp_path / "judge.py").write_text(JUDGE)
    assert called("resume", "run", folder=tmp_path).returncode == 0
    trace = read_trace(tmp_path / "run/journal.jsonl")
    check(trace, slack_us=SLACK_US)
    assert (trace.converged_in, trace.complete) == (5, True)


def picked(iteration: int) -> dict[str, int]:
    return {"tasks": [2, 0, 3][iteration]}


def seen(task: int, tasks: int, iteration: int) -> list[int]:
    return [task, tasks, iteration]


@pytest.mark.parametrize("mode", list(Mode))
def test_a_result_says_how_many_tasks_there_are(tmp_path: Path, mode: Mode) -> None:
    pick = TaskSet("pick", function=picked, after={"sum": {"iteration": "previous"}})
    count = {"from": "pick", "at_most": 5}
    workflow = Workflow(
        "counted",
        [
            pick,
            TaskSet("walk", tasks=count, function=seen, after="pick"),
            TaskSet("sum", command="echo {tasks}", after="walk"),
        ],
        iterations=3,
        folder=tmp_path,
    )
    ended = ran(workflow, tmp_path, mode=mode)
    assert ended.ending is Ending.DONE
    assert [ended.result("walk", iteration=2, task=task) for task in range(5)] == [
        [0, 3, 2],
        [1, 3, 2],
        [2, 3, 2],
        None,
        None,
    ]
    assert ended.result("walk", iteration=1) is None
    assert len(ended.trace.dropped) == 3 + 5 + 2
    assert ended.result("pick", iteration=1) == {"tasks": 0}


def test_a_number_beyond_the_limit_fails_and_leaves_no_result(tmp_path: Path) -> None:
    workflow = Workflow(
        "counted",
        [
            TaskSet("pick", function=lambda: {"tasks": 6}, retries=1),
            TaskSet("walk", tasks={"from": "pick", "at_most": 5}, function=seen, after="pick"),
        ],
        folder=tmp_path,
    )
    ended = ran(workflow, tmp_path)
    assert ended.ending is Ending.FAILED
    assert (
        list(ended.trace.reasons.values())
        == ["expected a result with tasks from 0 to 5, found 6"] * 2
    )
    assert ended.result("pick") is None


def test_an_emulated_loop_turns_as_often_as_is_expected(tmp_path: Path) -> None:
    written(tmp_path)
    workflow = stretto.read_workflow(tmp_path / "flow.yaml").with_durations(
        {"walk": {"sample": [5, 6, 9]}, "learn": 2, "judge": 1}
    )
    ended = ran(workflow, tmp_path, mode="task-level", emulate=True, time_scale=50)
    assert ended.trace.complete
    assert ended.trace.converged_in == 3
    simulated = stretto.simulate(workflow, FOUR_CORES, mode="task-level")
    assert ended.trace.ttx_us == pytest.approx(simulated.ttx_us, rel=0.2)


def done_once(run_dir: Path) -> set[str]:
    """Return the tasks that left a trace; those of which the journal knows left just one."""
    trace = read_trace(run_dir / "journal.jsonl")
    left = {path.name: path.read_text() for path in run_dir.glob("*.done")}
    for row, task in enumerate(trace.task.tolist()):
        name, _, number = trace.expansion().task_name(task).rpartition(".")
        file = f"{name.replace('[', '.').replace(']', '')}.{number}.done"
        if trace.outcome[row] == Outcome.FINISHED and not name.startswith("judge"):
            attempts = int((trace.task == task).sum())
            assert 1 <= left[file].count("\n") <= attempts
    return set(left)


def kill_and_resume(folder: Path, rng: random.Random, *, kills: int) -> None:
    """Kill a converging loop so often, each time once its journal has grown, and finish it."""
    written(folder)
    run_dir = folder / "run"
    words = ("--platform", "local:4", "--mode", "task-level", "--run-dir", "run")
    driver = started("run", "flow.yaml", *words, folder=folder)
    for _ in range(kills):
        goal = lines(run_dir) + rng.randrange(2, 25)
        while lines(run_dir) < goal and driver.poll() is None:
            time.sleep(0.002)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        driver = started("resume", "run", folder=folder)
    assert driver.wait(60) == 0
    trace = read_trace(run_dir / "journal.jsonl")
    check(trace, slack_us=SLACK_US)
    assert trace.complete
    assert trace.converged_in == 5
    finished = trace.task[trace.outcome == Outcome.FINISHED].tolist()
    assert len(finished) == len(set(finished)), "nothing is finished twice"
    turns = {int(name.split(".")[1]) for name in done_once(run_dir)}
    assert turns >= set(range(6))
    assert max(turns) < 8
    wait_until(lambda: not left_over(run_dir))


def test_a_converging_loop_survives_being_killed(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, random.Random(0), kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_a_converging_loop_can_be_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    kill_and_resume(tmp_path, rng, kills=rng.choice([1, 2, 4]))


@pytest.mark.parametrize("after", ["told", "dropped"])
def test_a_run_killed_in_the_round_of_the_verdict_goes_on_from_it(
    tmp_path: Path, after: str
) -> None:
    written(tmp_path)
    workflow = stretto.read_workflow(tmp_path / "flow.yaml")
    run_dir = ran(workflow, tmp_path, mode="task-level").directory
    journal = run_dir / "journal.jsonl"
    kept = journal.read_bytes().splitlines(keepends=True)
    at = next(n for n, line in enumerate(kept) if b'"told"' in line and b"true" in line)
    if after == "told":  # as if the drops had not been decided in the same round
        verdict = json.loads(kept[at])
        verdict["events"] = [one for one in verdict["events"] if one[0] != "dropped"]
        kept[at] = json.dumps(verdict).encode() + b"\n"
    journal.write_bytes(b"".join(kept[: at + 1]))
    resumed = stretto.resume(run_dir)
    assert resumed.ending is Ending.DONE
    trace = resumed.trace
    check(trace, slack_us=SLACK_US)
    assert (trace.complete, trace.converged_in) == (True, 5)
    later = trace.task >= 6 * 5
    assert set(trace.outcome[later].tolist()) <= {Outcome.LOST, Outcome.FINISHED, Outcome.CANCELLED}
