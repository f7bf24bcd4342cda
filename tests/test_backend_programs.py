"""Programs on this machine: real processes, real signals."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from stretto.errors import BackendError
from stretto.platform import Node, Platform
from stretto.runtime.backend import Exited, LaunchFailed, StandIn, Started
from stretto.runtime.backends.embedded import Embedded
from tests.backend_driver import alive, driven, embedded, marked, place, wait_until

PYTHON = sys.executable
AFFINITY = "import os; print(*sorted(os.sched_getaffinity(0)))"


@driven
async def test_a_program_starts_and_ends_and_its_output_is_in_its_files(tmp_path):
    async with embedded(tmp_path) as driver:
        end = await driver.run_program(["/bin/sh", "-c", "echo out; echo err >&2; pwd"])
        assert end.error is None
        started = driver.reports[0]
        assert isinstance(started, Started)
        assert started.time_us <= end.time_us
        assert driver.output() == f"out\n{tmp_path}\n"
        assert (tmp_path / "0" / "stderr").read_text() == "err\n"


@driven
async def test_exit_status_and_signal_are_told_in_words(tmp_path):
    async with embedded(tmp_path) as driver:
        end = await driver.run_program(["/bin/sh", "-c", "exit 3"])
        assert end.error == "exit status 3"
        end = await driver.run_program(["/bin/sh", "-c", "kill -SEGV $$"], task=1)
        assert end.error == "killed by SIGSEGV"


@pytest.mark.parametrize("here", [True, False])
@driven
async def test_what_cannot_be_started_is_said_clearly(tmp_path, here):
    (tmp_path / "data").write_text("no program")
    (tmp_path / "garbage").write_text("no program")
    (tmp_path / "garbage").chmod(0o755)
    (tmp_path / "script").write_text("#!/no/such/interpreter\n")
    (tmp_path / "script").chmod(0o755)
    async with embedded(tmp_path) as driver:
        cases = [
            (["no-such-command"], None, "command not found: no-such-command"),
            ([str(tmp_path / "data")], None, f"not executable: {tmp_path}/data"),
            ([str(tmp_path / "garbage")], None, "not a program, nor a script that begins with #!"),
            ([str(tmp_path / "script")], None, "the interpreter that"),
            (["true"], tmp_path / "nowhere", f"no directory to start in: {tmp_path}/nowhere"),
            (["true\0"], None, "null"),
            (["true", "x" * 10_000_000], None, "the arguments and variables of true are too long"),
        ]
        usual = Path.cwd() if here else tmp_path
        for task, (words, directory, reason) in enumerate(cases):
            end = await driver.run_program(words, task=task, directory=directory or usual)
            assert isinstance(end, LaunchFailed)
            assert reason in end.reason
            assert not driver.started(task)


@driven
async def test_the_environment_is_the_engines_then_ours_then_the_tasks_own(tmp_path, monkeypatch):
    monkeypatch.setenv("FROM_ENGINE", "engine")
    monkeypatch.setenv("OMP_NUM_THREADS", "99")
    show = ["/bin/sh", "-c", "echo $FROM_ENGINE $OMP_NUM_THREADS $MINE $STRETTO_RUN"]
    async with embedded(tmp_path) as driver:
        await driver.run_program(show, threads=3, environment=[("MINE", "my words")])
        assert driver.output() == f"engine 3 my words {driver.run_id}\n"
        own = [("OMP_NUM_THREADS", "7"), ("FROM_ENGINE", "mine"), ("STRETTO_RUN", "forged")]
        await driver.run_program(show, task=1, environment=own)
        assert driver.output(1) == f"mine 7 {driver.run_id}\n"


@driven
async def test_gpus_are_those_that_the_engine_may_see(tmp_path, monkeypatch):
    show = ["/bin/sh", "-c", 'echo "[$CUDA_VISIBLE_DEVICES]"']
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    async with embedded(tmp_path, gpus=4) as driver:
        await driver.run_program(show, placement=place(gpus=0b1010))
        await driver.run_program(show, task=1)
        assert (driver.output(0), driver.output(1)) == ("[1,3]\n", "[]\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-abc")
    async with embedded(tmp_path, gpus=2) as driver:
        await driver.run_program(show, placement=place(gpus=0b10))
        assert driver.output() == "[GPU-abc]\n"
    with pytest.raises(BackendError, match="has 3 GPUs, but CUDA_VISIBLE_DEVICES shows 2"):
        Embedded(Platform("here", (Node("here", 1, 3, 1),)), run_id="x")


@pytest.mark.parametrize("here", [True, False])
@driven
async def test_a_program_sees_its_own_cores_only(tmp_path, here):
    cpus = sorted(os.sched_getaffinity(0))
    where = Path.cwd() if here else tmp_path
    async with embedded(tmp_path, cores=len(cpus), gpus=1) as driver:
        requests = [
            driver.program(
                [PYTHON, "-S", "-c", AFFINITY],
                task=core,
                placement=place(1 << core),
                directory=where,
            )
            for core in range(len(cpus))
        ]
        driver.backend.launch(requests)
        await driver.ends(*range(len(cpus)))
        assert [driver.output(core).strip() for core in range(len(cpus))] == [str(c) for c in cpus]
        assert sorted(os.sched_getaffinity(0)) == cpus
        await driver.run_program([PYTHON, "-S", "-c", AFFINITY], task=99, placement=place(0, 1))
        assert driver.output(99).split() == [str(cpu) for cpu in cpus]


@pytest.mark.parametrize("here", [True, False])
@driven
async def test_a_program_starts_clean_of_the_engines_own_state(tmp_path, here):
    """A session of its own, no open file but the three, pipes that end it."""
    program = (
        "import os\n"
        "files = [int(name) for name in os.listdir('/proc/self/fd')]\n"
        "print(os.getsid(0) == os.getpid(), os.readlink('/proc/self/fd/0'))\n"
        "print([f for f in files if f > 2 and os.path.exists(f'/proc/self/fd/{f}')])\n"
        "print(os.environ['PATH'])\n"
    )
    leak = os.open("/dev/zero", os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        async with embedded(tmp_path) as driver:
            own = tmp_path / "bin"
            own.mkdir()
            (own / "mypython").symlink_to(PYTHON)
            await driver.run_program(
                ["mypython", "-I", "-S", "-c", program],
                directory=Path.cwd() if here else tmp_path,
                environment=[("PATH", f"/no/such:{own}")],
            )
            assert driver.output().splitlines() == ["True /dev/null", "[]", f"/no/such:{own}"]
    finally:
        os.close(leak)


@driven
async def test_a_signal_that_python_ignores_is_not_ignored_by_programs(tmp_path):
    async with embedded(tmp_path) as driver:
        words = ["/bin/sh", "-c", "kill -PIPE $$"]
        for task, where in enumerate((Path.cwd(), tmp_path)):
            end = await driver.run_program(words, task=task, directory=where)
            assert end.error == "killed by SIGPIPE"


@driven
async def test_an_overcommitted_machine_binds_no_task(tmp_path):
    cpus = sorted(os.sched_getaffinity(0))
    async with embedded(tmp_path, cores=len(cpus) + 1) as driver:
        await driver.run_program([PYTHON, "-S", "-c", AFFINITY])
        assert driver.output().split() == [str(cpu) for cpu in cpus]


@driven
async def test_what_a_program_leaves_in_the_background_ends_with_it(tmp_path):
    async with embedded(tmp_path) as driver:
        end = await driver.run_program(["/bin/sh", "-c", "sleep 1000 & echo $!"])
        assert end.error is None
        wait_until(lambda: not alive(int(driver.output())))


@driven
async def test_cancelling_asks_first_and_then_forces(tmp_path):
    deaf = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    polite = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    async with embedded(tmp_path) as driver:
        shells = [("/bin/sh", "-c", deaf), ("/bin/sh", "-c", polite)]
        driver.backend.launch([driver.program(w, task=t) for t, w in enumerate(shells)])
        await driver.until(lambda: driver.started(0) and driver.started(1))
        await driver.until(lambda: all(driver.output(task) == "ready\n" for task in (0, 1)))
        driver.backend.cancel(0, 1, 1000.0)
        driver.backend.cancel(0, 1, 0.2)
        driver.backend.cancel(1, 1, 20.0)
        driver.backend.cancel(77, 1, 0.0)
        ends = await driver.ends(0, 1)
        errors = [end.error.partition(":")[0] for end in ends]
        assert errors == ["killed by SIGKILL", "exit status 5"]
        assert driver.output(1) == "ready\nbye\n"
        driver.backend.cancel(1, 1, 0.0)


@driven
async def test_a_stopped_program_can_be_cancelled(tmp_path):
    async with embedded(tmp_path) as driver:
        driver.backend.launch([driver.program(["/bin/sh", "-c", "kill -STOP $$; sleep 1000"])])
        await driver.until(lambda: driver.started(0))
        driver.backend.cancel(0, 1, 20.0)
        (end,) = await driver.ends(0)
        assert end.error == "killed by SIGTERM"


@driven
async def test_many_at_once_are_started_in_slices_and_each_ends_once(tmp_path):
    async with embedded(tmp_path) as driver:
        driver.backend.launch([driver.program(["/bin/true"], task=task) for task in range(60)])
        driver.backend.cancel(59, 1, 1.0)
        ends = await driver.ends(*range(60))
        assert [end.error for end in ends[:59]] == [None] * 59
        assert ends[59].error == "cancelled before it began"
        assert not driver.started(59)


@driven
async def test_every_end_is_told_of_the_right_program_however_fast_they_come_and_go(tmp_path):
    """Numbers of files are used again at once; none may be taken for the one before it."""
    problems = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    async with embedded(tmp_path) as driver:
        sleeper = driver.program(["/bin/sleep", "1000"], task=1000, directory=Path.cwd())
        driver.backend.launch([sleeper])
        for first in range(0, 400, 4):
            tasks = range(first, first + 4)
            driver.backend.launch(
                [
                    driver.program(["/bin/sh", "-c", f"exit {t % 7}"], task=t, directory=Path.cwd())
                    for t in tasks
                ]
            )
            for task, end in zip(tasks, await driver.ends(*tasks), strict=True):
                assert end.error == (f"exit status {task % 7}" if task % 7 else None)
        assert driver.end_of(1000) is None
    assert problems == []


@driven
async def test_the_engine_is_never_called_from_within_its_own_calls(tmp_path):
    async with embedded(tmp_path) as driver:
        driver.backend.launch([driver.program(["no-such-command"]), driver.program(["/bin/true"])])
        assert driver.reports == []
        await driver.ends(0)


@driven
async def test_an_attempt_that_runs_is_not_started_again(tmp_path):
    async with embedded(tmp_path) as driver:
        request = driver.program(["/bin/sh", "-c", "echo once; sleep 0.1"])
        driver.backend.launch([request])
        driver.backend.launch([request])
        await driver.ends(0)
        assert sum(isinstance(report, Exited) for report in driver.reports) == 1


@driven
async def test_close_ends_everything_daemons_included(tmp_path):
    daemon = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        print(os.getpid(), flush=True)\n"
        "        time.sleep(1000)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    async with embedded(tmp_path) as driver:
        await driver.run_program([PYTHON, "-S", "-c", daemon])
        await driver.until(lambda: driver.output())
        pid = int(driver.output())
        assert alive(pid)
        driver.backend.launch([driver.program(["/bin/sleep", "1000"], task=1)])
        await driver.until(lambda: driver.started(1))
        await driver.until(lambda: len(marked(driver.run_id)) == 2)
    assert not alive(pid)
    assert driver.end_of(1) is None


@driven
async def test_a_stand_in_and_several_nodes_are_refused(tmp_path):
    async with embedded(tmp_path) as driver:
        request = driver.program(["true"])._replace(work=StandIn(1))
        driver.backend.launch([request])
        (end,) = await driver.ends(0)
        assert isinstance(end, LaunchFailed)
    two = Platform("two", (Node("a", 1, 0, 1), Node("b", 1, 0, 1)))
    with pytest.raises(BackendError, match="has 2 nodes"):
        Embedded(two, run_id="x")


@driven
async def test_output_can_go_to_one_file(tmp_path):
    async with embedded(tmp_path) as driver:
        request = driver.program(["/bin/sh", "-c", "echo a; echo b >&2; echo c"])
        both = request.work.stdout
        work = type(request.work)(request.work.words, (), Path("/"), both, both)
        driver.backend.launch([request._replace(work=work)])
        await driver.ends(0)
        assert driver.output() == "a\nb\nc\n"
