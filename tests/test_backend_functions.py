"""Python functions in warm workers: results, failures, bundles, deaths."""

import asyncio
import ctypes
import os
import signal
import sys
import textwrap
import time
from pathlib import Path

from stretto.runtime.backend import Exited, LaunchFailed, Lost, Started
from tests.backend_driver import alive, driven, embedded, marked, place, wait_until


def module(folder: Path, text: str) -> tuple[str, ...]:
    """Write a module ``stages`` into `folder`; return the search path that finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stages.py").write_text(textwrap.dedent(text))
    return (str(folder),)


class Unpicklable(Exception):  # noqa: N818
    """Can be pickled, but not loaded again."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def add(first, second=2, *, third=0):
    return first + second + third


def mourn():
    raise Unpicklable("one", "two")


@driven
async def test_a_callable_gets_its_arguments_and_its_result_comes_back(tmp_path):
    async with embedded(tmp_path) as driver:
        end = await driver.run_call(add, 1, kwargs={"third": 4})
        assert (end.error, end.result) == (None, 7)
        factor = [2, 3]
        end = await driver.run_call(lambda x: {"product": [x * f for f in factor]}, 5, task=1)
        assert end.result == {"product": [10, 15]}
        starts = [report for report in driver.reports if isinstance(report, Started)]
        assert [start.task for start in starts] == [0, 1]
        assert starts[1].time_us <= end.time_us


@driven
async def test_parameters_are_filled_from_the_fields_where_no_argument_does(tmp_path):
    path = module(tmp_path, "def f(task, other, iteration=9, *, seed): return task, other, "
                            "iteration, seed\n")  # fmt: skip
    fields = {"task": 3, "iteration": 1, "seed": 5, "unused": 0}
    async with embedded(tmp_path) as driver:
        options = {"fields": fields, "search_path": path}
        end = await driver.run_call("stages:f", kwargs={"other": "x", "seed": 8}, **options)
        assert end.result == (3, "x", 1, 8)
        end = await driver.run_call("stages:f", 7, "y", task=1, **options)
        assert end.result == (7, "y", 1, 5)
        end = await driver.run_call("stages:f", task=2, **options)
        assert "f() has a parameter 'other' that no argument fills" in end.error
        assert isinstance(end.exception, TypeError)
        end = await driver.run_call("stages:missing", task=3, **options)
        assert isinstance(end.exception, AttributeError)
        end = await driver.run_call("no_such_module:f", task=4, **options)
        assert isinstance(end.exception, ModuleNotFoundError)


@driven
async def test_modules_of_different_search_paths_are_not_mistaken_for_each_other(tmp_path):
    text = "import helper\nloads = []\ndef who(): loads.append(1); return helper.NAME, len(loads)\n"
    paths = [module(tmp_path / name, text) for name in ("a", "b")]
    for name in ("a", "b"):
        (tmp_path / name / "helper.py").write_text(f"NAME = {name!r}\n")
    async with embedded(tmp_path) as driver:
        got = [
            (await driver.run_call("stages:who", task=task, search_path=paths[task % 2])).result
            for task in range(4)
        ]
        assert got == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


@driven
async def test_an_exception_comes_back_with_its_traceback(tmp_path):
    path = module(tmp_path, "def f():\n    raise KeyError('gone')\n")
    async with embedded(tmp_path) as driver:
        end = await driver.run_call("stages:f", search_path=path)
        assert isinstance(end.exception, KeyError)
        assert end.error.startswith("Traceback (most recent call last):\n")
        assert "stages.py" in end.error
        assert "stretto_worker" not in end.error
        assert end.error.endswith("KeyError: 'gone'")
        end = await driver.run_call(mourn, task=1)
        assert type(end.exception) is RuntimeError
        assert str(end.exception) == "Unpicklable: one and two"


@driven
async def test_neither_exit_nor_interrupt_in_a_call_ends_its_worker(tmp_path):
    def leave(how):
        if how == "pid":
            return os.getpid()
        if how == "signal":
            os.kill(os.getpid(), signal.SIGINT)
            return "alive"
        raise {"exit": SystemExit(4), "interrupt": KeyboardInterrupt()}[how]

    async with embedded(tmp_path) as driver:
        hows = ["pid", "exit", "interrupt", "signal", "pid"]
        ends = [await driver.run_call(leave, how, task=t) for t, how in enumerate(hows)]
        assert ends[0].result == ends[4].result
        assert isinstance(ends[1].exception, SystemExit)
        assert "SystemExit: 4" in ends[1].error
        assert isinstance(ends[2].exception, KeyboardInterrupt)
        assert ends[3].result == "alive"


@driven
async def test_what_cannot_be_pickled_is_said_by_name(tmp_path):
    async with embedded(tmp_path) as driver:
        end = await driver.run_call(lambda: (x for x in "abc"))
        assert isinstance(end, Exited)
        assert "a result of type 'generator' cannot be sent back" in end.error
        generator = (x for x in "abc")
        end = await driver.run_call(add, generator, task=1)
        assert isinstance(end, Exited)
        assert "the arguments cannot be pickled" in end.error
        assert isinstance(end.exception, TypeError)
        end = await driver.run_call(lambda: generator, task=2)
        assert isinstance(end, Exited)
        assert "cannot be pickled" in end.error
        # The pool is as good as before.
        assert (await driver.run_call(add, 1, task=3)).result == 3


@driven
async def test_a_hundred_megabytes_go_both_ways_while_the_loop_turns(tmp_path):
    size = 100 * 2**20
    async with embedded(tmp_path) as driver:
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counter = asyncio.create_task(count())
        end = await driver.run_call(lambda data: data + b"!", bytes(size))
        assert len(end.result) == size + 1
        assert turns > 50
        counter.cancel()
        end = await driver.run_call(lambda data: [data], bytearray(1 << 20), task=1)
        assert len(end.result[0]) == 1 << 20


@driven
async def test_a_bundle_is_done_in_order_by_one_worker_and_reports_on_its_way(tmp_path):
    def note(pause_s):
        time.sleep(pause_s)
        return os.getpid(), time.monotonic_ns()

    async with embedded(tmp_path) as driver:
        placement = place()
        pauses = [0, 0, 0.001, 1.5, 0]
        driver.backend.launch(
            [driver.call(note, p, task=t, placement=placement) for t, p in enumerate(pauses)]
        )
        await driver.until(lambda: driver.end_of(2) and driver.started(3))
        assert driver.end_of(3) is None, "the results before a long call come before its end"
        ends = await driver.ends(*range(5))
        assert len({end.result[0] for end in ends}) == 1
        assert [end.result[1] for end in ends] == sorted(end.result[1] for end in ends)


@driven
async def test_a_bundle_longer_than_a_message_is_done_all_the_same(tmp_path):
    async with embedded(tmp_path) as driver:
        placement = place()
        n = 5000
        driver.backend.launch([driver.call(add, t, task=t, placement=placement) for t in range(n)])
        await driver.until(lambda: len(driver.reports) == 2 * n)
        results = [report.result for report in driver.reports if isinstance(report, Exited)]
        assert results == [t + 2 for t in range(n)]


@driven
async def test_many_functions_are_known_by_number_and_the_oldest_forgotten(tmp_path):
    async with embedded(tmp_path) as driver:
        functions = [eval(f"lambda: {i}") for i in range(300)]
        placement = place()
        order = [*range(300), *range(300), 5, 5, 299, 0]
        driver.backend.launch(
            [
                driver.call(functions[number], task=task, placement=placement)
                for task, number in enumerate(order)
            ]
        )
        ends = await driver.ends(*range(len(order)))
        assert [end.result for end in ends] == order


@driven
async def test_a_worker_that_dies_fails_its_call_and_loses_those_behind_it(tmp_path):
    def work(how):
        if how == "segfault":
            ctypes.string_at(0)
        if how == "leave":
            os._exit(3)
        return how

    async with embedded(tmp_path) as driver:
        for first, how, words in (
            (0, "segfault", "worker killed by SIGSEGV"),
            (10, "leave", "worker ended with exit status 3"),
        ):
            placement = place()
            hows = ["slow", how, "never", "never"]
            requests = [
                driver.call(work, each, task=first + i, placement=placement)
                for i, each in enumerate(hows)
            ]
            other = driver.call(lambda: time.sleep(0.3), task=first + 5)
            driver.backend.launch([*requests, other])
            ends = await driver.ends(*range(first, first + 4), first + 5)
            # The result of the first may have gone down with the worker.
            assert isinstance(ends[0], Lost) or ends[0].result == "slow"
            assert isinstance(ends[1], Exited)
            assert ends[1].error == words
            assert isinstance(ends[2], Lost)
            assert isinstance(ends[3], Lost)
            assert ends[4].error is None
        assert (await driver.run_call(work, "again", task=30)).result == "again"


@driven
async def test_a_worker_killed_from_outside_fails_its_call(tmp_path):
    async with embedded(tmp_path) as driver:
        driver.backend.launch([driver.call(time.sleep, 1000)])
        await driver.until(lambda: driver.started(0))
        (pid,) = marked(driver.run_id)
        os.kill(pid, signal.SIGKILL)
        (end,) = await driver.ends(0)
        assert end.error == "worker killed by SIGKILL"


@driven
async def test_a_worker_that_cannot_start_fails_the_launch(tmp_path, monkeypatch):
    async with embedded(tmp_path) as driver:
        monkeypatch.setattr(sys, "executable", "/bin/false")
        end = await driver.run_call(add, 1)
        assert isinstance(end, LaunchFailed)
        assert "before it was up" in end.reason
        monkeypatch.setattr(sys, "executable", "/no/such/python")
        end = await driver.run_call(add, 1, task=1)
        assert isinstance(end, LaunchFailed)
        assert "no worker could be started" in end.reason


@driven
async def test_cancelling_a_running_call_ends_its_worker_and_loses_its_mates(tmp_path):
    def deaf():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)

    async with embedded(tmp_path) as driver:
        placement = place()
        calls = [deaf, os.getpid, os.getpid]
        driver.backend.launch(
            [driver.call(each, task=t, placement=placement) for t, each in enumerate(calls)]
        )
        await driver.until(lambda: driver.started(0))
        await asyncio.sleep(0.05)
        driver.backend.cancel(0, 1, 0.1)
        ends = await driver.ends(0, 1, 2)
        assert isinstance(ends[0], Exited)
        assert ends[0].error == "worker killed by SIGKILL"
        assert [type(end) for end in ends[1:]] == [Lost, Lost]


@driven
async def test_cancelling_a_call_that_has_not_begun_spares_its_mates(tmp_path):
    async with embedded(tmp_path) as driver:
        placement = place()
        calls = [lambda: time.sleep(0.5), os.getpid, os.getpid]
        driver.backend.launch(
            [driver.call(each, task=t, placement=placement) for t, each in enumerate(calls)]
        )
        await driver.until(lambda: driver.started(0))
        driver.backend.cancel(1, 1, 0.1)
        ends = await driver.ends(0, 1, 2)
        assert ends[0].error is None
        assert ends[1].error == "cancelled before it began"
        assert not driver.started(1)
        assert ends[2].error is None


@driven
async def test_processes_of_a_call_end_with_its_worker(tmp_path):
    def spawn():
        import subprocess

        with subprocess.Popen(["sleep", "1000"]) as process:
            Path(tmp_path / "pid").write_text(str(process.pid))

    async with embedded(tmp_path) as driver:
        driver.backend.launch([driver.call(spawn)])
        await driver.until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        driver.backend.cancel(0, 1, 5.0)
        (end,) = await driver.ends(0)
        assert end.error == "worker killed by SIGTERM"
        wait_until(lambda: not alive(int((tmp_path / "pid").read_text())))


@driven
async def test_a_forked_child_that_falls_out_of_its_call_disturbs_nothing(tmp_path):
    def fork():
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return "parent" if child else "child"

    async with embedded(tmp_path) as driver:
        assert (await driver.run_call(fork)).result == "parent"
        assert (await driver.run_call(add, 1, task=1)).result == 3


@driven
async def test_what_a_call_prints_is_in_its_files_and_in_no_others(tmp_path):
    def speak(word):
        print(word, "python")  # noqa: T201
        os.write(1, f"{word} system\n".encode())
        ctypes.CDLL(None).puts(f"{word} c".encode())
        print(word, "error", file=sys.stderr)  # noqa: T201

    async with embedded(tmp_path) as driver:
        placement = place()
        files = [(tmp_path / "deep" / f"{t}.out", tmp_path / f"{t}.err") for t in range(2)]
        driver.backend.launch(
            [
                driver.call(speak, word, task=t, placement=placement, stdout=out, stderr=err)
                for t, (word, (out, err)) in enumerate(zip(["one", "two"], files, strict=True))
            ]
        )
        await driver.ends(0, 1)
        for word, (out, err) in zip(["one", "two"], files, strict=True):
            lines = [f"{word} c", f"{word} python", f"{word} system"]
            assert sorted(out.read_text().splitlines()) == lines
            assert err.read_text() == f"{word} error\n"


@driven
async def test_a_worker_is_kept_for_its_threads_and_gpus_and_on_its_cores(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def look():
        import threading

        waits = threading.Event()
        threading.Thread(target=waits.wait, daemon=True).start()
        cpus = {
            frozenset(os.sched_getaffinity(int(t.name))) for t in Path("/proc/self/task").iterdir()
        }
        names = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "EXTRA")
        return os.getpid(), cpus, tuple(os.environ.get(name) for name in names)

    cpus = sorted(os.sched_getaffinity(0))
    async with embedded(tmp_path, cores=len(cpus), gpus=2) as driver:
        extra = (("EXTRA", "yes"),)
        a = await driver.run_call(look, threads=1, environment=extra)
        b = await driver.run_call(look, task=1, placement=place(1 << (len(cpus) - 1)))
        c = await driver.run_call(look, task=2, threads=2)
        d = await driver.run_call(look, task=3, placement=place(1, 0b10))
        assert a.result[0] == b.result[0]
        assert len({a.result[0], c.result[0], d.result[0]}) == 3
        assert (a.result[1], b.result[1]) == (
            {frozenset({cpus[0]})},
            {frozenset({cpus[-1]})},
        )
        assert a.result[2] == ("1", "", "yes")
        assert b.result[2] == ("1", "", None)
        assert c.result[2] == ("2", "", None)
        assert d.result[2] == ("1", "1", None)


@driven
async def test_idle_workers_of_other_kinds_are_ended_when_there_are_too_many(tmp_path):
    async with embedded(tmp_path, cores=1) as driver:
        for threads in range(1, 21):
            end = await driver.run_call(os.getpid, task=threads, threads=threads)
            assert end.error is None
        await driver.until(lambda: len(marked(driver.run_id)) <= 5)
        again = await driver.run_call(os.getpid, task=99, threads=20)
        assert again.result == end.result


@driven
async def test_workers_leave_the_engine_and_its_modules_alone(tmp_path):
    def loaded():
        return [name for name in sys.modules if name.partition(".")[0] in ("stretto", "pydantic")]

    async with embedded(tmp_path) as driver:
        assert (await driver.run_call(loaded)).result == []
