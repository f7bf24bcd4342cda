"""Workflows run for real: what tasks are given, what becomes of them, and in which order."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stretto
from stretto import BackendError, Mode, Node, Platform, Resources, TaskSet, Workflow, WorkflowError
from stretto.analysis import check
from stretto.apps.paper import workload
from stretto.platform import bits
from stretto.runtime import Ending
from stretto.trace import Kind, Outcome, Trace
from tests.commands import left_over

SLACK_US = 20_000_000
FOUR_CORES = Platform("four", (Node("here", 4, 0, 4096),), local=True)
ALL_MODES = [mode.value for mode in Mode]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make nothing but the description's folder lead to its files."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


def workflow(folder: Path, *task_sets: TaskSet, **options: Any) -> Workflow:
    return Workflow("tried", task_sets, folder=folder, **options)


def ran(flow: Workflow, folder: Path, **options: Any) -> stretto.Run:
    """Run it; whatever became of it, the trace is legal and nothing is left."""
    options.setdefault("platform", FOUR_CORES)
    done = stretto.run(flow, run_dir=folder / "run", **options)
    check(done.trace, slack_us=SLACK_US)
    assert not left_over(done.directory)
    return done


def module(folder: Path, text: str) -> None:
    (folder / "stages.py").write_text(textwrap.dedent(text))


def output(done: stretto.Run, name: str, *, iteration: int = 0, ending: str = "out") -> str:
    return (done.directory / "tasks" / name / str(iteration) / f"0.1.{ending}").read_text()


def outcomes(trace: Trace, name: str) -> list[Outcome]:
    """How the attempts of a set ended, in order."""
    expansion = trace.expansion()
    return [
        Outcome(outcome)
        for task, outcome in zip(trace.task.tolist(), trace.outcome.tolist(), strict=True)
        if expansion.instance_of(task).task_set.name == name
    ]


def times(trace: Trace, name: str) -> tuple[list[int], list[int]]:
    """When the attempts of a set were started and ended, in any order."""
    expansion = trace.expansion()
    rows = [
        row
        for row, task in enumerate(trace.task.tolist())
        if expansion.instance_of(task).task_set.name == name
    ]
    return trace.started_us[rows].tolist(), trace.ended_us[rows].tolist()


# What a command is given.


def test_a_command_gets_its_words_its_variables_and_its_directory(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    show = TaskSet(
        "show",
        tasks=2,
        resources=Resources(cores=2),
        command=[
            sys.executable,
            "-c",
            "import os, sys; print(*sys.argv[1:], sep='|'); print(os.getcwd()); "
            "print(os.environ['WHO'], os.environ['OMP_NUM_THREADS'], os.environ['STRETTO_TASK']); "
            "print('to the other', file=sys.stderr)",
            "{task} of {tasks}",
            "{iteration}/{iterations}",
            "{{task}} $HOME *",
            "{run_dir}",
        ],
        environment={"WHO": "{workflow}.{task_set}"},
        working_directory="inner",
    )
    done = ran(workflow(tmp_path, show), tmp_path)
    assert done.ending is Ending.DONE
    assert output(done, "show").splitlines() == [
        f"0 of 2|0/1|{{task}} $HOME *|{tmp_path / 'run'}",
        str(tmp_path / "inner"),
        "tried.show 2 0",
    ]
    assert output(done, "show", ending="err") == "to the other\n"
    assert (done.directory / "tasks/show/0/1.1.out").read_text().startswith("1 of 2|")


def test_a_line_is_given_to_a_shell_only_if_asked(tmp_path: Path) -> None:
    line = "echo $((1 + 1)) 'a b'"
    plain = TaskSet("plain", command=line)
    shell = TaskSet("shell", command=line, shell=True)
    done = ran(workflow(tmp_path, plain, shell), tmp_path)
    assert output(done, "plain") == "$((1 + 1)) a b\n"
    assert output(done, "shell") == "2 a b\n"


def test_a_task_that_asks_for_a_directory_of_its_own_has_one(tmp_path: Path) -> None:
    keep = TaskSet("keep", tasks=2, command="echo {task} > {task_dir}/number", shell=True)
    done = ran(workflow(tmp_path, keep), tmp_path)
    assert (done.directory / "tasks/keep/0/1/number").read_text() == "1\n"


def test_a_relative_folder_is_meant_from_where_the_run_was_begun(tmp_path: Path) -> None:
    folder = Path("inner")
    folder.mkdir()
    (folder / "here.txt").write_text("found\n")
    done = ran(workflow(folder, TaskSet("look", command="cat here.txt")), tmp_path)
    assert output(done, "look") == "found\n"
    assert done.trace.workflow.folder == folder.absolute()
    expanded = stretto.read_workflow(done.directory / "expanded.yaml")
    assert expanded.folder == folder.absolute()


# What a function is given, and gives.


def test_functions_are_found_in_the_folder_of_the_description(tmp_path: Path) -> None:
    module(
        tmp_path,
        """
        import os
        def f(task, iteration, gpus, run_dir, *, scale=1, where=None, inputs=None):
            print("said", task)
            return [task, iteration, gpus, type(run_dir).__name__, scale, where, inputs]
        """,
    )
    called = TaskSet(
        "called",
        tasks=2,
        function="stages:f",
        arguments={"scale": "{task}", "where": ["{iteration}", "at {task}", 2.5, None]},
    )
    done = ran(workflow(tmp_path, called, iterations=2), tmp_path)
    assert done.result("called", iteration=1, task=1) == [
        *[1, 1, 0.0, "str", 1],
        [1, "at 1", 2.5, None],
        {},
    ]
    assert output(done, "called", iteration=1) == "said 0\n"


def test_callables_and_lambdas_are_called(tmp_path: Path) -> None:
    offset = 40

    def later(task: int) -> int:
        return task + offset

    named = TaskSet("named", tasks=2, function=later)
    unnamed = TaskSet("unnamed", function=lambda x, iteration: (x, iteration), arguments={"x": 7})
    silent = TaskSet("silent", function=lambda: None)
    done = ran(workflow(tmp_path, named, unnamed, silent), tmp_path)
    assert [done.result("named", task=task) for task in (0, 1)] == [40, 41]
    assert done.result("unnamed") == (7, 0)
    assert done.result("silent") is None
    assert done.result("named", task=5) is None
    with pytest.raises(WorkflowError, match="no task set 'other'"):
        done.result("other")


def test_what_a_function_raises_is_told_with_its_traceback(tmp_path: Path) -> None:
    module(tmp_path, "def f():\n    raise KeyError('gone')\n")
    done = ran(workflow(tmp_path, TaskSet("raising", function="stages:f")), tmp_path)
    assert done.ending is Ending.FAILED
    (reason,) = done.trace.reasons.values()
    assert reason.startswith("Traceback")
    assert "stages.py" in reason
    assert reason.endswith("KeyError: 'gone'")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("stages:missing", "has no attribute 'missing'"),
        ("stages:needy", "'much' that no argument fills"),
        ("stages:generator", "a result of type 'generator' cannot be sent back"),
        ("stages:leave", "worker ended with exit status 3"),
    ],
)
def test_functions_that_cannot_be_called_fail_with_a_reason(
    tmp_path: Path, function: str, message: str
) -> None:
    module(
        tmp_path,
        """
        import os
        def needy(much): pass
        def generator(): return (x for x in "abc")
        def leave(): os._exit(3)
        """,
    )
    done = ran(workflow(tmp_path, TaskSet("wrong", function=function)), tmp_path)
    assert done.ending is Ending.FAILED
    (reason,) = done.trace.reasons.values()
    assert message in reason


def test_the_newest_of_many_attempts_gives_the_result(tmp_path: Path) -> None:
    def stubborn(attempt: int) -> int:
        if attempt < 11:
            raise ValueError(attempt)
        return attempt

    done = ran(workflow(tmp_path, TaskSet("stubborn", function=stubborn, retries=10)), tmp_path)
    assert done.result("stubborn") == 11
    folder = done.directory / "tasks/stubborn/0"
    (folder / "0.9.result").write_bytes(b"of an attempt that failed")
    assert done.result("stubborn") == 11


# How tasks end.


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("exit 3", "exit status 3"),
        ("kill -SEGV $$", "killed by SIGSEGV"),
        ("echo what; echo one >&2; echo two >&2; exit 1", "exit status 1: two (RUN/0.1.err)"),
    ],
)
def test_exit_codes_and_signals_are_told(tmp_path: Path, command: str, message: str) -> None:
    done = ran(workflow(tmp_path, TaskSet("bad", command=command, shell=True)), tmp_path)
    assert done.ending is Ending.FAILED
    folder = str(done.directory / "tasks/bad/0")
    assert list(done.trace.reasons.values()) == [message.replace("RUN", folder)]


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = ran(workflow(tmp_path, TaskSet("bad", command="no-such-program -v")), tmp_path)
    assert done.ending is Ending.FAILED
    assert list(done.trace.reasons.values()) == ["command not found: no-such-program"]


def test_a_task_that_fails_twice_is_tried_a_third_time(tmp_path: Path) -> None:
    flaky = TaskSet(
        "flaky", tasks=2, command="echo {attempt}; test {attempt} -eq 3", shell=True, retries=2
    )
    after = TaskSet("after", command="true", after="flaky")
    done = ran(workflow(tmp_path, flaky, after), tmp_path)
    assert done.ending is Ending.DONE
    assert sorted(outcomes(done.trace, "flaky")) == [Outcome.FINISHED] * 2 + [Outcome.FAILED] * 4
    assert (done.directory / "tasks/flaky/0/1.3.out").read_text() == "3\n"


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    slow = TaskSet("slow", command="sleep 60 & sleep 60", shell=True, timeout=0.2, retries=1)
    call = TaskSet("call", function=lambda: __import__("time").sleep(60), timeout=0.5)
    quick = TaskSet("quick", command="true", timeout=30)
    done = ran(workflow(tmp_path, slow, call, quick), tmp_path)
    assert done.ending is Ending.FAILED
    reasons = sorted(done.trace.reasons.values())
    assert reasons == ["timed out after 0.2 s"] * 2 + ["timed out after 0.5 s"]
    assert outcomes(done.trace, "quick") == [Outcome.FINISHED]


@pytest.mark.parametrize("mode", ["asynchronous", "task-level"])
def test_a_failure_stops_what_depends_on_it_and_nothing_else(tmp_path: Path, mode: str) -> None:
    flow = workflow(
        tmp_path,
        TaskSet("bad", tasks=2, command="test {task} -eq 1", shell=True),
        TaskSet("behind", tasks=2, command="true", after={"bad": "each"}),
        TaskSet("last", command="true", after="behind"),
        TaskSet("free", command="sleep 0.1"),
        TaskSet("free_too", command="true", after="free"),
    )
    done = ran(flow, tmp_path, mode=mode)
    assert done.ending is Ending.FAILED
    assert sorted(outcomes(done.trace, "bad")) == [Outcome.FINISHED, Outcome.FAILED]
    # By tasks, the one whose input is there can go on.
    assert len(outcomes(done.trace, "behind")) == (1 if mode == "task-level" else 0)
    assert not outcomes(done.trace, "last")
    assert outcomes(done.trace, "free_too") == [Outcome.FINISHED]


# Order.


def _feeding(folder: Path, pattern: str) -> Workflow:
    return workflow(
        folder,
        TaskSet("make", tasks=4, command="sleep 0.$((1 + {task} * 2))", shell=True),
        TaskSet(
            "use", tasks=4 if pattern == "each" else 2, command="true", after={"make": pattern}
        ),
    )


@pytest.mark.parametrize("pattern", ["each", "group"])
def test_tasks_are_fed_by_tasks_in_task_level_mode_only(tmp_path: Path, pattern: str) -> None:
    box = Platform("box", (Node("here", 8, 0, 4096),), local=True)
    done = ran(_feeding(tmp_path, pattern), tmp_path, mode="task-level", platform=box)
    assert min(times(done.trace, "use")[0]) < max(times(done.trace, "make")[1])


@pytest.mark.parametrize("mode", ["sequential", "asynchronous"])
def test_whole_sets_are_waited_for_in_the_other_modes(tmp_path: Path, mode: str) -> None:
    done = ran(_feeding(tmp_path, "each"), tmp_path, mode=mode)
    assert min(times(done.trace, "use")[0]) > max(times(done.trace, "make")[1])


def test_sequential_mode_waits_for_whole_stages(tmp_path: Path) -> None:
    flow = workflow(
        tmp_path,
        TaskSet("a", command="sleep 0.05"),
        TaskSet("b", command="sleep 0.3"),
        TaskSet("a2", command="true", after="a"),
        TaskSet("b2", command="true", after="b"),
        iterations=2,
    )
    sequential = ran(flow, tmp_path, mode="sequential")
    starts, _ = times(sequential.trace, "a2")
    _, ends = times(sequential.trace, "b")
    assert all(start > end for start, end in zip(sorted(starts), sorted(ends), strict=True))
    asynchronous = stretto.run(flow, run_dir=tmp_path / "run2", platform=FOUR_CORES)
    check(asynchronous.trace, slack_us=SLACK_US)
    assert min(times(asynchronous.trace, "a2")[0]) < min(times(asynchronous.trace, "b")[1])


@pytest.mark.parametrize("mode", ALL_MODES)
def test_stale_input_is_within_its_bound_and_recorded(tmp_path: Path, mode: str) -> None:
    flow = workflow(
        tmp_path,
        TaskSet(
            "simulate",
            tasks=2,
            command="echo {inputs.infer} {inputs.count}; sleep 0.05",
            shell=True,
            after=[
                {"infer": {"iteration": "previous", "staleness": 1}},
                {"count": {"iteration": "previous"}},
            ],
        ),
        TaskSet("count", function=lambda iteration: iteration, after="simulate"),
        TaskSet(
            "infer",
            function=lambda inputs, used: (inputs, used),
            arguments={"used": "{inputs.simulate}"},
            after="simulate",
        ),
        iterations=4,
    )
    done = ran(flow, tmp_path, mode=mode)
    assert done.ending is Ending.DONE
    recorded = {int(done.trace.task[row]): used for row, used in done.trace.inputs.items()}
    expansion = done.trace.expansion()
    for iteration in range(4):
        for number in range(2):
            path = done.directory / f"tasks/simulate/{iteration}/{number}.1.out"
            used, counted = path.read_text().split()
            assert counted == ("none" if iteration == 0 else str(iteration - 1))
            allowed = {str(one) for one in (iteration - 2, iteration - 1) if one >= 0}
            assert used in (allowed if iteration > 1 else {*allowed, "none"})
            if iteration:
                task = expansion.instances[3 * iteration].first_task + number
                assert recorded[task] == (("infer", None if used == "none" else int(used)),)
        inputs, typed = done.result("infer", iteration=iteration)  # type: ignore[misc]
        assert (inputs, typed) == ({"simulate": iteration}, iteration)


# Cores and GPUs.


def test_tasks_see_their_own_gpus_and_share_none_beyond_its_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    box = Platform("box", (Node("here", 16, 3, 4096),), local=True)
    see = "import os, time; time.sleep(0.1); print(os.environ['CUDA_VISIBLE_DEVICES'])"
    command = [sys.executable, "-c", see]

    def seen() -> str:
        return os.environ["CUDA_VISIBLE_DEVICES"]

    flow = workflow(
        tmp_path,
        TaskSet("none", command=command),
        TaskSet("third", tasks=5, resources=Resources(gpus=0.33), command=command),
        TaskSet("half", tasks=4, resources=Resources(gpus=0.5), command=command),
        TaskSet("two", tasks=2, resources=Resources(gpus=2), command=command),
        TaskSet("call", tasks=3, resources=Resources(gpus=1), function=seen),
    )
    done = ran(flow, tmp_path, platform=box)
    assert done.ending is Ending.DONE
    trace, expansion = done.trace, done.trace.expansion()
    for row, task in enumerate(trace.task.tolist()):
        instance = expansion.instance_of(task)
        number = task - instance.first_task
        if instance.task_set.name == "call":
            shown = done.result("call", task=number)
        else:
            path = done.directory / f"tasks/{instance.task_set.name}/0/{number}.1.out"
            shown = path.read_text().strip()
        (slot,) = trace.placements[row]
        assert shown == ",".join(map(str, bits(slot.gpus)))
        assert len([one for one in shown.split(",") if one]) == -(
            -instance.task_set.resources.gpus_milli // 1000
        )


def test_tasks_run_on_the_cores_they_were_given(tmp_path: Path) -> None:
    own = "import os; print(*sorted(os.sched_getaffinity(0)))"
    flow = workflow(tmp_path, TaskSet("own", tasks=4, command=[sys.executable, "-c", own]))
    done = ran(flow, tmp_path, platform="local")
    cpus = sorted(os.sched_getaffinity(0))
    for row, task in enumerate(done.trace.task.tolist()):
        (slot,) = done.trace.placements[row]
        shown = (done.directory / f"tasks/own/0/{task}.1.out").read_text().split()
        assert shown == [str(cpus[core]) for core in bits(slot.cores)]


# Where a run lies.


def test_a_run_directory_holds_the_description_and_is_the_latest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "flow.yaml"
    path.write_text("name: tried\ntask_sets: {only: {command: 'true'}} # as it was\n")
    flow = stretto.read_workflow(path)
    first = stretto.run(flow, description=path)
    second = stretto.run(flow, description=path)
    assert first.directory.parent == second.directory.parent == tmp_path / "runs"
    assert first.directory != second.directory
    assert (tmp_path / "runs/latest").resolve() == second.directory
    assert (second.directory / "description.yaml").read_text() == path.read_text()
    assert stretto.read_workflow(second.directory / "expanded.yaml") == second.trace.workflow


def test_a_directory_takes_one_run_only(tmp_path: Path) -> None:
    flow = workflow(tmp_path, TaskSet("only", command="true"))
    ran(flow, tmp_path)
    before = (tmp_path / "run/journal.jsonl").read_bytes()
    with pytest.raises(WorkflowError, match="there is a run already"):
        stretto.run(flow, run_dir=tmp_path / "run")
    assert (tmp_path / "run/journal.jsonl").read_bytes() == before


def test_a_run_that_was_killed_before_it_began_is_in_nobodys_way(tmp_path: Path) -> None:
    flow = workflow(tmp_path, TaskSet("only", command="true"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run/journal.jsonl").write_bytes(b'{"stretto":1,"mode":"asyn')
    with pytest.raises(WorkflowError, match="had not begun"):
        stretto.resume(tmp_path / "run")
    assert ran(flow, tmp_path).ending is Ending.DONE


def test_a_directory_that_cannot_be_made_is_an_error_of_the_user(tmp_path: Path) -> None:
    flow = workflow(tmp_path, TaskSet("only", command="true"))
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file/run", Path("/proc/run")):
        with pytest.raises(WorkflowError, match=r"cannot be made|is there") as caught:
            stretto.run(flow, run_dir=place)
        assert "\n" not in str(caught.value)


def test_a_run_does_without_the_link_where_there_can_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert ran(workflow(tmp_path, TaskSet("only", command="true")), tmp_path).trace.complete


# What is refused before anything is begun.


def test_only_what_can_run_here_is_begun(tmp_path: Path) -> None:
    flow = workflow(tmp_path, TaskSet("only", command="true"))
    idle = workflow(tmp_path, TaskSet("busy", command="true"), TaskSet("idle", duration=1))
    two = Platform("two", (Node("a", 4, 0, 1), Node("b", 4, 0, 1)), local=True)
    big = workflow(tmp_path, TaskSet("big", resources=Resources(cores=9), command="true"))
    refused: list[tuple[Workflow, dict[str, Any], str]] = [
        (flow, {"platform": "summit:16"}, "summit:16 is not this machine"),
        (flow, {"platform": two}, "two has 2 nodes"),
        (flow, {"platform": "nowhere"}, "there is no platform 'nowhere'"),
        (flow, {"time_scale": 2.0}, "only an emulated run can scale time"),
        (flow, {"emulate": True, "time_scale": float("nan")}, "time scale"),
        (flow, {"emulate": True}, "duration"),
        (flow, {"mode": "fast"}, "expected one of sequential, asynchronous, task-level, adaptive"),
        (idle, {}, "task_sets.idle: has nothing to run"),
        (big, {"platform": FOUR_CORES}, "9 cores"),
    ]
    for one, options, message in refused:
        with pytest.raises(WorkflowError, match=message):
            stretto.run(one, run_dir=tmp_path / "run", **options)
        assert not (tmp_path / "run").exists()


# Disks.


@pytest.fixture
def _small_files() -> Any:
    """No file of this process may pass 16 KiB while the test runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("_small_files")
@pytest.mark.parametrize("what", ["journal", "result"])
def test_a_full_disk_ends_the_run_with_an_error_and_nothing_left(tmp_path: Path, what: str) -> None:
    flow = {
        "journal": workflow(tmp_path, TaskSet("many", tasks=400, command="sleep 0.001")),
        "result": workflow(tmp_path, TaskSet("large", function=lambda: bytes(20_000))),
    }[what]
    with pytest.raises(BackendError, match="File too large") as caught:
        stretto.run(flow, run_dir=tmp_path / "run", platform=FOUR_CORES)
    assert not caught.value.retryable
    assert not left_over(tmp_path / "run")


def test_a_run_goes_on_once_there_is_room_again(tmp_path: Path) -> None:
    flow = workflow(tmp_path, TaskSet("many", tasks=200, command="true"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, hard))
    try:
        with pytest.raises(BackendError):
            stretto.run(flow, run_dir=tmp_path / "run", platform=FOUR_CORES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    done = stretto.resume(tmp_path / "run")
    assert done.ending is Ending.DONE
    check(done.trace, slack_us=SLACK_US)


def test_a_folder_that_cannot_be_made_ends_the_run_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/tasks").write_text("in the way")
    with pytest.raises(BackendError, match="tasks"):
        stretto.run(workflow(tmp_path, TaskSet("only", command="true")), run_dir=tmp_path / "run")
    assert not left_over(tmp_path / "run")


def test_an_observer_that_raises_ends_the_run_and_leaves_nothing(tmp_path: Path) -> None:
    def observe(_: int, __: object) -> None:
        raise RuntimeError("enough")

    flow = workflow(tmp_path, TaskSet("long", tasks=2, command="sleep 60"))
    with pytest.raises(RuntimeError, match="enough"):
        stretto.run(flow, run_dir=tmp_path / "run", platform=FOUR_CORES, observe=observe)
    assert not left_over(tmp_path / "run")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_run_can_be_begun_where_an_event_loop_runs_as_in_a_notebook(tmp_path: Path) -> None:
    flow = workflow(tmp_path, TaskSet("call", function=lambda: 7))

    async def cell() -> stretto.Run:
        return ran(flow, tmp_path)

    assert asyncio.run(cell()).result("call") == 7


def test_an_interrupt_in_a_notebook_ends_the_run_and_leaves_it_resumable(tmp_path: Path) -> None:
    command = "test -e go || (touch up; sleep 1000)"
    flow = workflow(tmp_path, TaskSet("long", command=command, shell=True))

    def interrupt() -> None:
        while not (tmp_path / "up").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    async def cell() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # not the loop's own
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            stretto.run(flow, run_dir=tmp_path / "run")
        thread.join()

    asyncio.run(cell())
    assert not left_over(tmp_path / "run")
    (tmp_path / "go").touch()
    done = stretto.resume(tmp_path / "run")
    assert done.ending is Ending.DONE
    check(done.trace, slack_us=SLACK_US)


# Emulation.


@pytest.mark.parametrize("mode", ALL_MODES)
def test_the_papers_workload_is_emulated_in_every_mode(tmp_path: Path, mode: str) -> None:
    flow = workload("deepdrivemd")
    done = ran(flow, tmp_path, platform=None, mode=mode, emulate=True, time_scale=4000, seed=3)
    assert done.ending is Ending.DONE
    trace = done.trace
    assert (trace.kind, trace.platform.name, trace.time_scale) == (Kind.EMULATED, "summit:16", 4000)
    expected = stretto.simulate(flow, trace.platform, mode=mode, seed=3)
    # Same tasks, same durations; the engine's own time can only add to it.
    assert trace.ttx_us >= expected.ttx_us
    spent = sorted((trace.ended_us - trace.started_us).tolist())
    drawn = sorted((expected.ended_us - expected.started_us).tolist())
    assert all(abs(one - other) <= 4000 for one, other in zip(spent, drawn, strict=True))


def test_timeouts_are_in_the_time_of_the_workflow(tmp_path: Path) -> None:
    flow = workflow(
        tmp_path,
        TaskSet("long", duration=600, timeout=200, retries=1),
        TaskSet("short", duration=100, timeout=600),
    )
    done = ran(flow, tmp_path, emulate=True, time_scale=500)
    assert done.ending is Ending.FAILED
    assert list(done.trace.reasons.values()) == ["timed out after 200 s"] * 2
    assert outcomes(done.trace, "short") == [Outcome.FINISHED]


@pytest.mark.parametrize("options", [{}, {"emulate": True, "time_scale": 100}], ids=str)
def test_named_resources_are_counted_and_seen_nowhere(
    options: dict[str, Any], tmp_path: Path
) -> None:
    licence = Resources(cores=0, named={"licence": 2})
    flow = workflow(
        tmp_path,
        TaskSet("held", tasks=4, resources=licence, duration=0.1, command="env"),
        TaskSet("free", tasks=2, duration=0.1, command="env"),
    )
    here = Platform("here", (Node("here", 4, 0, 4096, (("licence", 3),)),), local=True)
    done = ran(flow, tmp_path, platform=here, **options)
    assert done.trace.complete
    again = stretto.read_trace(done.directory / "journal.jsonl")
    assert again.placements == done.trace.placements
    assert again.platform == here
    held = [placement[0].named for placement in done.trace.placements]
    assert sorted(held) == [()] * 2 + [(("licence", 2),)] * 4
    rows = done.trace.task < 4
    starts, ends = np.sort(done.trace.started_us[rows]), np.sort(done.trace.ended_us[rows])
    assert (starts[1:] >= ends[:-1]).all()
    if not options:
        assert "licence" not in output(done, "held").lower()


def test_an_emulated_run_needs_no_programs(tmp_path: Path) -> None:
    flow = workflow(tmp_path, TaskSet("ghost", tasks=3, command="no-such-program", duration=1))
    done = ran(flow, tmp_path, platform="frontier:2", emulate=True, time_scale=100)
    assert done.ending is Ending.DONE
    header = json.loads((tmp_path / "run/journal.jsonl").read_text().splitlines()[0])
    assert header["kind"] == "emulated"


def test_a_result_of_a_class_of_the_descriptions_own_module_is_kept(tmp_path: Path) -> None:
    (tmp_path / "own_stages.py").write_text(
        "class Model:\n    loss = 3\n\ndef train():\n    return Model()\n", encoding="utf-8"
    )
    flow = Workflow("w", [TaskSet("train", function="own_stages:train")], folder=tmp_path)
    ended = ran(flow, tmp_path)
    assert ended.ending is Ending.DONE
    with pytest.raises(WorkflowError, match="cannot be loaded here: No module named 'own_stages'"):
        ended.result("train")


def test_what_is_asked_to_end_has_not_finished_though_it_exits_with_0(tmp_path: Path) -> None:
    command = "trap 'exit 0' TERM; sleep 30 & wait"
    flow = workflow(tmp_path, TaskSet("deaf", command=command, shell=True, timeout=0.5))
    done = ran(flow, tmp_path)
    assert done.ending is Ending.FAILED
    assert list(done.trace.reasons.values()) == ["timed out after 0.5 s"]


def test_a_call_leaves_nothing_to_the_next_one_in_its_worker(tmp_path: Path) -> None:
    def spoil() -> tuple[str, bool]:
        import os
        import signal

        seen = (os.getcwd(), "LEAK" in os.environ)  # noqa: PTH109
        os.chdir("/")
        os.environ["LEAK"] = "1"
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return seen

    done = ran(
        workflow(tmp_path, TaskSet("spoil", tasks=3, function=spoil)), tmp_path, platform="local:1"
    )
    seen = [done.result("spoil", task=number) for number in range(3)]
    assert seen == [(str(Path.cwd()), False)] * 3


@pytest.mark.parametrize("seed", [-1, "a", True])
def test_a_seed_is_a_whole_number(tmp_path: Path, seed: Any) -> None:
    flow = workflow(tmp_path, TaskSet("a", command="true", duration=1))
    for refuse in (
        lambda: stretto.run(flow, run_dir=tmp_path / "run", seed=seed),
        lambda: stretto.simulate(flow, "local:1", seed=seed),
    ):
        with pytest.raises(WorkflowError, match="seed: expected a whole number from 0"):
            refuse()
