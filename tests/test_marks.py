"""Tasks say that they wait: running is not executing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import stretto
from stretto.analysis import check, idle_spans, utilisation, violations
from stretto.report import render
from stretto.resources import Resources
from stretto.runtime import Ending
from stretto.scheduler import Finished, Idled, Launched, Started, Woke
from stretto.trace import UNKNOWN_US, Kind, Trace, TraceBuilder
from stretto.workflow import TaskSet, Workflow
from tests.traces import Attempt, made, platform, slot

MARK = f"{sys.executable} -m stretto_mark"
TREE = str(Path(stretto.__file__).parent.parent)


def run(tmp_path: Path, *sets: TaskSet, **options: Any) -> stretto.Run:
    workflow = Workflow("marked", sets, folder=tmp_path)
    options = {"platform": "local:2", **options}
    done = stretto.run(workflow, run_dir=tmp_path / "run", **options)
    check(done.trace, slack_us=5_000_000)
    return done


def waited_us(trace: Trace) -> list[int]:
    """How long each span of waiting lasted, in the order of their begins."""
    spans = sorted(span for own in trace.idle.values() for span in own)
    return [end_us - begin_us for begin_us, end_us in spans]


def waits(pause: float) -> None:
    with stretto.idling():
        time.sleep(pause)
    time.sleep(pause)


def forks(pause: float) -> None:
    """A process that a function forks waits on its behalf."""
    child = os.fork()
    if not child:
        with stretto.idling():
            time.sleep(pause)
        os._exit(0)
    os.waitpid(child, 0)


def marks_twice_and_forgets() -> None:
    stretto.idling().__enter__()
    stretto.idling().__enter__()
    time.sleep(0.02)


def test_a_function_that_waits_is_held_but_does_not_execute(tmp_path: Path) -> None:
    trace = run(tmp_path, TaskSet("f", function=waits, arguments={"pause": 0.1})).trace
    (waited,) = waited_us(trace)
    took = int(trace.ended_us[0] - trace.started_us[0])
    assert 100_000 <= waited <= took - 100_000
    use = utilisation(trace)
    assert use.idles
    assert 0 < use.cores_executing < use.cores
    page = render([trace])
    assert "cores executing" in page
    assert 'class="waiting"' in page


def test_bundled_calls_keep_their_own_marks(tmp_path: Path) -> None:
    trace = run(tmp_path, TaskSet("f", tasks=40, function=waits, arguments={"pause": 0.002})).trace
    assert len(trace.idle) == 40
    assert all(waited >= 2000 for waited in waited_us(trace))


def test_a_forked_process_marks_for_its_task(tmp_path: Path) -> None:
    trace = run(tmp_path, TaskSet("f", function=forks, arguments={"pause": 0.1})).trace
    assert len(waited_us(trace)) == 1


def test_a_mark_that_is_repeated_is_no_news_and_one_that_is_forgotten_ends_with_its_task(
    tmp_path: Path,
) -> None:
    trace = run(tmp_path, TaskSet("f", function=marks_twice_and_forgets)).trace
    ((_, end_us),) = trace.idle[0]
    assert end_us == trace.ended_us[0]


def test_commands_mark_by_the_command_and_by_a_line_to_the_pipe(tmp_path: Path) -> None:
    line = "echo $STRETTO_MARK {} > $STRETTO_MARKS"
    by_line = f"{line.format('idle')}; sleep 0.1; {line.format('busy')}; sleep 0.05"
    by_command = f"{MARK} idle; sleep 0.1; {MARK} busy"
    inherited = f"({MARK} idle; sleep 0.1; {MARK} busy) & wait"
    trace = run(
        tmp_path,
        *(
            TaskSet(name, command=text, shell=True, environment={"PYTHONPATH": TREE})
            for name, text in [("line", by_line), ("command", by_command), ("child", inherited)]
        ),
    ).trace
    assert sorted(trace.idle) == [0, 1, 2]
    assert all(waited >= 50_000 for waited in waited_us(trace))


def test_nonsense_in_the_pipe_changes_nothing(tmp_path: Path) -> None:
    lines = ["", "idle", "0 1", "x 1 idle", "0 2 idle", "99 1 idle", "0 1 asleep", "1" * 5000]
    text = "; ".join(f"echo '{line}' > $STRETTO_MARKS" for line in lines)
    text += "; printf '0 1 id' > $STRETTO_MARKS; printf 'le\\n' > $STRETTO_MARKS; sleep 0.05"
    trace = run(tmp_path, TaskSet("odd", command=text, shell=True)).trace
    assert list(trace.idle) == [0]  # the line that came in two pieces


def test_the_pipe_is_private_and_gone_after_the_run(tmp_path: Path) -> None:
    shows = TaskSet("shows", command="stat -c '%a %F' $STRETTO_MARKS", shell=True)
    done = run(tmp_path, shows)
    assert (done.directory / "tasks/shows/0/0.1.out").read_text() == "600 fifo\n"
    assert not (done.directory / "marks").exists()


@pytest.mark.parametrize(
    "variables",
    [{}, {"STRETTO_MARKS": "/nowhere/marks", "STRETTO_MARK": "0 1"}, {"STRETTO_MARKS": "{fifo}"}],
)
def test_a_mark_that_nobody_hears_is_no_failure(tmp_path: Path, variables: dict[str, str]) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    given = {key: value.format(fifo=fifo) for key, value in variables.items()}
    if given:
        given.setdefault("STRETTO_MARK", "0 1")
    environment = {"PATH": os.defpath, "PYTHONPATH": TREE, **given}
    for word in ("idle", "busy"):
        ended = subprocess.run(
            [sys.executable, "-m", "stretto_mark", word], env=environment, timeout=60, check=False
        )
        assert ended.returncode == 0


def test_the_command_says_what_it_takes() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "stretto_mark", "sleepy"],
        env={"PYTHONPATH": TREE},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (2, b"usage: stretto-mark idle|busy\n")


def test_marking_loads_nothing_that_python_has_not_loaded_already() -> None:
    program = (
        "import os, sys; before = set(sys.modules); import stretto_mark; "
        "print(*sorted(set(sys.modules) - before))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": TREE},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == ["stretto_mark"]


def test_a_task_whose_try_failed_while_it_waited_begins_anew(tmp_path: Path) -> None:
    text = "echo $STRETTO_MARK idle > $STRETTO_MARKS; sleep 0.1; test $STRETTO_ATTEMPT = 2"
    done = run(tmp_path, TaskSet("again", command=text, shell=True, retries=1))
    assert done.ending is Ending.DONE
    assert sorted(done.trace.idle) == [0, 1]


def test_marks_that_arrive_late_or_out_of_order_stay_within_their_run(tmp_path: Path) -> None:
    workflow = Workflow("w", [TaskSet("a")])
    builder = TraceBuilder()
    placement = (slot([0]),)
    events = [
        Launched(0, 1, 0, placement, 0),
        Started(0, 1, 1),
        Idled(0, 1, 2),
        Woke(0, 1, 1),
        Idled(0, 1, 1),
        Woke(0, 1, 7),
        Idled(0, 1, 8),
        Finished(0, 1, 5),
    ]
    for event in events:
        builder.add(event)
    trace = builder.trace(workflow, platform(), mode="task-level", seed=0, kind=Kind.MEASURED)
    check(trace)
    assert trace.idle == {0: ((2, 2), (2, 5))}


def two_attempts(**idle: Any) -> Trace:
    workflow = Workflow("w", [TaskSet("a", tasks=2, resources=Resources(cores=2))])
    attempts = [
        Attempt(0, 0, 1, 5, (slot([0, 1]),)),
        Attempt(1, 0, 1, 6, (slot([2, 3]),)),
    ]
    return replace(made(workflow, platform(), attempts), **idle)


def test_spans_of_waiting_that_are_legal() -> None:
    check(two_attempts(idle={0: ((1_000_000, 2_000_000), (2_000_000, 5_000_000))}))


@pytest.mark.parametrize(
    ("spans", "told"),
    [
        (((500_000, 2_000_000),), "outside of its run"),
        (((2_000_000, 5_500_000),), "outside of its run"),
        (((3_000_000, 2_000_000),), "out of order"),
        (((2_000_000, 4_000_000), (3_000_000, 5_000_000)), "out of order"),
        (((2_000_000, UNKNOWN_US),), "waits still"),
    ],
)
def test_spans_of_waiting_that_the_checker_tells(spans: Any, told: str) -> None:
    (found,) = violations(two_attempts(idle={0: spans}))
    assert told in found


def test_what_waits_still_waits_up_to_the_last_known_time() -> None:
    trace = two_attempts(idle={1: ((2_000_000, UNKNOWN_US),)})
    assert idle_spans(trace).ended_us.tolist() == [6_000_000]
