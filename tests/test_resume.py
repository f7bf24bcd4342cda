"""Runs that are killed, stopped and gone on with: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stretto.analysis import check
from stretto.platform import Node, Platform
from stretto.running import resume, run
from stretto.runtime import Assignments, Embedded, Ending, Engine, RealClock
from stretto.scheduler import Finished, Launched, Mode, Order, State, critical_path, gated_sets
from stretto.trace import Outcome, read_events, read_trace
from stretto.workflow import TaskSet, Workflow, expand
from tests.commands import called, environment, left_over, lines, started, wait_until

SLACK_US = 60_000_000

STAGES = """\
import time
def work(task_set, task, iteration, run_dir):
    time.sleep(0.1 + 0.03 * task)
    with open(f"{run_dir}/{task_set}.{iteration}.{task}.done", "a") as file:
        file.write(f"{task_set}\\n")
    return [task, iteration]
"""
FLOW = """\
name: killed
iterations: 2
task_sets:
  program:
    tasks: 3
    command: "sleep 0.1; echo program >> {run_dir}/program.{iteration}.{task}.done"
    shell: true
    after: {call: {iteration: previous, staleness: 1}}
  call: {tasks: 2, function: "stages:work", after: program}
  last: {tasks: 1, function: "stages:work", after: program}
"""
WAITING = """\
name: waiting
task_sets:
  quick: {command: "true"}
  program: {tasks: 2, command: "test -e go || sleep 1000", shell: true, after: quick}
  call: {function: "stages:work", after: quick, retries: 1}
"""
WAITING_STAGES = """\
import os, time
def work():
    if not os.path.exists(os.path.dirname(__file__) + "/go"):
        time.sleep(1000)
"""


def begin(folder: Path, flow: str = FLOW, stages: str = STAGES) -> subprocess.Popen[bytes]:
    (folder / "flow.yaml").write_text(flow)
    (folder / "stages.py").write_text(stages)
    return started("run", "flow.yaml", "--platform", "local:3", "--run-dir", "run", folder=folder)


def kill(driver: subprocess.Popen[bytes]) -> None:
    driver.kill()
    driver.wait()


def finished(run_dir: Path) -> set[int]:
    """Tasks of which the journal knows that they have finished."""
    return {
        event.task
        for _, events, _ in read_events(run_dir / "journal.jsonl")
        for event in events
        if isinstance(event, Finished)
    }


def traces_left(run_dir: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in run_dir.glob("*.done")}


def file_of(run_dir: Path, task: int) -> str:
    name, _, number = (
        read_trace(run_dir / "journal.jsonl").expansion().task_name(task).rpartition(".")
    )
    return f"{name.replace('[', '.').replace(']', '')}.{number}.done"


def kill_and_resume(folder: Path, rng: random.Random, *, kills: int) -> None:
    """Kill a run so often, each time once its journal has grown a little, and finish it."""
    run_dir = folder / "run"
    driver = begin(folder)
    known: dict[str, str] = {}
    for _ in range(kills):
        goal = lines(run_dir) + rng.randrange(1, 20)
        while lines(run_dir) < goal and driver.poll() is None:
            time.sleep(0.005)
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.wait(rng.uniform(0.001, 0.05))
        kill(driver)
        done = traces_left(run_dir)
        known |= {name: done[name] for name in (file_of(run_dir, one) for one in finished(run_dir))}
        driver = started("resume", "run", folder=folder)
    assert driver.wait(60) == 0
    trace = read_trace(run_dir / "journal.jsonl")
    check(trace, slack_us=SLACK_US)
    assert trace.complete
    assert_done_once(run_dir)
    assert traces_left(run_dir).items() >= known.items(), "finished tasks were run again"
    assert len(traces_left(run_dir)) == trace.workflow.n_tasks
    wait_until(lambda: not left_over(run_dir))


def assert_done_once(run_dir: Path) -> None:
    over: set[int] = set()
    for _, events, _ in read_events(run_dir / "journal.jsonl"):
        for event in events:
            assert getattr(event, "task", None) not in over, f"{event} after it had finished"
            if isinstance(event, Finished):
                over.add(event.task)
    assert len(over) == read_trace(run_dir / "journal.jsonl").workflow.n_tasks


def test_a_killed_run_is_completed_and_nothing_is_done_twice(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, random.Random(0), kills=1)


def test_what_cleans_up_after_a_killed_driver_spares_the_next_one(tmp_path: Path) -> None:
    driver = begin(tmp_path)
    run_dir = tmp_path / "run"
    wait_until(lambda: lines(run_dir) >= 4)
    kill(driver)
    # At once, while the processes of the dead driver are still being ended.
    assert called("resume", run_dir).returncode == 0
    trace = read_trace(run_dir / "journal.jsonl")
    check(trace, slack_us=SLACK_US)
    assert Outcome.FAILED not in trace.outcome
    assert_done_once(run_dir)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_a_run_can_be_killed_at_any_moment_the_resumed_one_too(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    kill_and_resume(tmp_path, rng, kills=rng.choice([1, 1, 2, 3]))


def test_a_killed_driver_takes_all_of_its_processes_along(tmp_path: Path) -> None:
    driver = begin(tmp_path, WAITING, WAITING_STAGES)
    run_dir = tmp_path / "run"
    wait_until(lambda: lines(run_dir) >= 4)
    assert left_over(run_dir)
    kill(driver)
    wait_until(lambda: not left_over(run_dir))


def test_a_torn_last_line_is_forgotten(tmp_path: Path) -> None:
    driver = begin(tmp_path)
    run_dir = tmp_path / "run"
    wait_until(lambda: lines(run_dir) >= 6)
    kill(driver)
    with (run_dir / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"t":12345,"events":[["fini')
    assert called("status", run_dir).returncode == 0
    resumed = called("resume", run_dir)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    check(read_trace(run_dir / "journal.jsonl"), slack_us=SLACK_US)
    assert_done_once(run_dir)


def test_a_run_can_be_resumed_from_anywhere_and_under_another_name(tmp_path: Path) -> None:
    driver = begin(tmp_path)
    wait_until(lambda: lines(tmp_path / "run") >= 4)
    kill(driver)
    wait_until(lambda: not left_over(tmp_path / "run"))
    (tmp_path / "moved").mkdir()
    run_dir = tmp_path / "moved/elsewhere"
    shutil.move(tmp_path / "run", run_dir)
    resumed = called("resume", "elsewhere", folder=tmp_path / "moved")
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert_done_once(run_dir)


def test_a_run_that_is_done_is_left_as_it_is(tmp_path: Path) -> None:
    assert begin(tmp_path).wait(60) == 0
    before = (tmp_path / "run/journal.jsonl").read_bytes()
    again = called("resume", "run", folder=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert (tmp_path / "run/journal.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGUSR1, 3)],
)
def test_a_stopped_run_leaves_nothing_and_can_be_gone_on_with(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    driver = begin(tmp_path, WAITING, WAITING_STAGES)
    run_dir = tmp_path / "run"
    wait_until(lambda: lines(run_dir) >= 4)
    refused = called("resume", run_dir)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"stretto: {run_dir}: somebody is driving this run\n"
    if number is signal.SIGUSR1:
        assert called("cancel", run_dir).returncode == 0
    else:
        driver.send_signal(number)
    assert driver.wait(60) == status
    assert not left_over(run_dir)
    trace = read_trace(run_dir / "journal.jsonl")
    check(trace, slack_us=SLACK_US)
    assert [note.text for note in trace.notes] == [f"stopped by {number.name}", "stopped"]
    outcomes = [Outcome(one) for one in trace.outcome.tolist()]
    assert outcomes == [Outcome.FINISHED, *[Outcome.CANCELLED] * 3]
    assert called("cancel", run_dir).returncode == 2
    (tmp_path / "go").touch()
    assert called("resume", run_dir).returncode == 0
    check(read_trace(run_dir / "journal.jsonl"), slack_us=SLACK_US)
    assert_done_once(run_dir)


def test_a_failed_run_succeeds_once_the_cause_is_mended(tmp_path: Path) -> None:
    flow = """\
name: mended
task_sets:
  fine: {tasks: 2, command: "true"}
  bad: {tasks: 2, command: "test -e cause", shell: true, retries: 1}
  after: {command: "true", after: [fine, bad]}
"""
    assert begin(tmp_path, flow).wait(60) == 1
    run_dir = tmp_path / "run"
    assert called("resume", run_dir).returncode == 1
    (tmp_path / "cause").touch()
    resumed = called("resume", run_dir)
    assert resumed.returncode == 0
    trace = read_trace(run_dir / "journal.jsonl")
    check(trace, slack_us=SLACK_US)
    assert trace.complete
    # Two attempts of each in each of the first two lives, one in the third.
    assert sorted(trace.outcome.tolist()).count(Outcome.FAILED) == 8
    assert_done_once(run_dir)


def test_a_run_keeps_its_order_when_it_goes_on(tmp_path: Path) -> None:
    flow = Workflow(
        "ordered",
        [TaskSet("a", tasks=2, command="test -e cause"), TaskSet("b", tasks=2, command="true")],
        folder=tmp_path,
    )
    (tmp_path / "cause").touch()
    order = Order("given", ("b[0]", "a[0]"), strict=True)
    run_dir = tmp_path / "run"
    ended = run(flow, platform="local:1", order=order, run_dir=run_dir)
    assert ended.trace.order == order
    assert ended.trace.task.tolist() == [2, 3, 0, 1]
    # As a driver that was killed before anything ended leaves it:
    journal = run_dir / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:2]))
    trace = resume(run_dir).trace
    check(trace, slack_us=SLACK_US)
    assert trace.task.tolist() == [2, 2, 3, 0, 1]


def test_a_second_stop_does_not_wait_for_tasks_that_do_not_listen(tmp_path: Path) -> None:
    deaf = "trap '' TERM; touch {run_dir}/up.{task}; while :; do sleep 0.05; done"
    flow = Workflow("deaf", [TaskSet("deaf", tasks=2, command=deaf, shell=True)], folder=tmp_path)
    platform = Platform("two", (Node("here", 2, 0, 0),), local=True)
    expansion = expand(flow)
    sets = gated_sets(expansion, Mode.ASYNCHRONOUS)

    async def driven() -> Ending:
        engine = Engine(
            State(sets, platform.nodes, critical_path(sets)),
            Embedded(platform, run_id=f"deaf-{tmp_path.name}"),
            request=Assignments(expansion, tmp_path, 0),
            clock=RealClock(),
            record=_Nowhere(),
            observe=lambda _, __: None,
            grace_s=1000,
        )
        run = asyncio.create_task(engine.run())
        while len(list(tmp_path.glob("up.*"))) < 2:
            await asyncio.sleep(0.01)
        engine.stop()
        await asyncio.sleep(0.1)
        assert not run.done()
        engine.stop(grace_s=0)
        async with asyncio.timeout(20):
            return await run

    assert asyncio.run(driven()) is Ending.STOPPED


class _Nowhere:
    def round(self, time_us: int, events: object) -> None:
        pass

    def sync(self) -> None:
        pass


ORDER = """\
import json, sys
from pathlib import Path
import stretto
from stretto.trace import read_events

flow = stretto.parse_workflow('''
name: ordered
iterations: 2
task_sets:
  simulate:
    {tasks: 8, cores: 4, gpus: 1, duration: 39, after: {infer: {iteration: previous, staleness: 1}}}
  aggregate: {tasks: 4, cores: 8, duration: 11, after: {simulate: group}}
  train: {tasks: 1, cores: 4, gpus: 1, duration: 37, after: aggregate}
  infer: {tasks: 3, gpus: 0.5, duration: 24, after: train}
  audit: {tasks: 2, duration: 14, after: aggregate}
''', format="yaml")
mode, run_dir = sys.argv[1:]
simulated = stretto.simulate(flow, stretto.platform_named("polaris:2"), mode=mode, seed=1)
columns = [
    getattr(simulated, name).tolist()
    for name in ("task", "attempt", "launched_us", "started_us", "ended_us", "outcome")
]
stretto.run(
    flow, platform="polaris:2", mode=mode, emulate=True, time_scale=75, seed=1, run_dir=run_dir
)
events = [
    [type(event).__name__, *(value for name, value in event._asdict().items() if name != "time_us")]
    for _, found, _ in read_events(Path(run_dir) / "journal.jsonl")
    for event in found
]
print(json.dumps([columns, list(simulated.placements), events]))
"""


@pytest.mark.parametrize(
    "mode", ["asynchronous", pytest.param("task-level", marks=pytest.mark.slow)]
)
def test_the_journal_is_the_same_under_every_hash_seed(tmp_path: Path, mode: str) -> None:
    # Ends of different tasks lie 140 ms apart, so that their order is not a matter of chance.
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", ORDER, mode, str(tmp_path / f"run{seed}")],
            env=environment(PYTHONHASHSEED=str(seed)),
            stdout=subprocess.PIPE,
        )
        for seed in (0, 1, 2)
    ]
    told = [json.loads(run.communicate(timeout=60)[0]) for run in runs]
    for seed in (0, 1, 2):
        check(read_trace(tmp_path / f"run{seed}/journal.jsonl"), slack_us=SLACK_US)
    assert told[0] == told[1] == told[2]
    assert sum(event[0] == Launched.__name__ for event in told[0][2]) == 2 * 18
