"""The executor: `concurrent.futures` with cores and GPUs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from stretto import BackendError, Executor, Node, Platform, WorkflowError

PATIENCE_S = 20.0
TWO = Platform("two", (Node("here", 2, 2, 1024),), local=True)


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with Executor(TWO) as one:
        yield one


def workers() -> list[int]:
    """Processes that were started by an executor of this process and still run."""
    marked = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "STRETTO_RUN" in child.environ():
                marked.append(child.pid)
    return marked


def test_three_lines_lead_from_nothing_to_a_result() -> None:
    with Executor() as executor:
        assert executor.submit(pow, 2, 10, cores=1).result(PATIENCE_S) == 1024
    assert not workers()


def test_arguments_and_closures_reach_the_call(executor: Executor) -> None:
    factor = 3
    future = executor.submit(lambda x, *, y: factor * x + y, 4, y=5)
    assert future.result(PATIENCE_S) == 17
    assert future.done()
    assert not future.running()


def test_map_keeps_the_order(executor: Executor) -> None:
    assert list(executor.map(lambda x, y: x * y, range(50), range(50), timeout=PATIENCE_S)) == [
        x * x for x in range(50)
    ]


def test_exceptions_come_back_with_the_traceback_as_a_note(executor: Executor) -> None:
    def fail() -> None:
        raise KeyError("gone")

    future = executor.submit(fail)
    with pytest.raises(KeyError, match="gone") as caught:
        future.result(PATIENCE_S)
    (note,) = caught.value.__notes__
    assert note.startswith("Traceback")
    assert "in fail" in note


def test_what_cannot_be_pickled_fails_its_own_future_only(executor: Executor) -> None:
    lock = threading.Lock()
    futures = [
        executor.submit(lambda: lock),
        executor.submit(id, lock),
        executor.submit(lambda: (x for x in "abc")),
        executor.submit(len, "abc"),
    ]
    for future in futures[:3]:
        assert "pickle" in str(future.exception(PATIENCE_S)) + str(
            getattr(future.exception(), "__notes__", "")
        )
    assert futures[3].result(PATIENCE_S) == 3


def test_a_worker_that_dies_fails_its_own_future_only(executor: Executor) -> None:
    futures = [executor.submit(len, "abc") for _ in range(20)]
    dead = executor.submit(os._exit, 7)
    futures += [executor.submit(len, "abcd") for _ in range(20)]
    with pytest.raises(BackendError, match="exit status 7"):
        dead.result(PATIENCE_S)
    assert [one.result(PATIENCE_S) for one in futures] == [3] * 20 + [4] * 20


def test_no_more_is_in_use_than_there_is(executor: Executor, tmp_path: Path) -> None:
    def hold(name: str) -> tuple[float, float, str, str]:
        began = time.monotonic()
        time.sleep(0.05)
        return (
            began,
            time.monotonic(),
            os.environ["OMP_NUM_THREADS"],
            os.environ["CUDA_VISIBLE_DEVICES"],
        )

    needs = [(1, 0.0), (2, 0.0), (1, 1.0), (1, 0.5), (1, 0.5), (2, 2.0)] * 4
    held = [
        executor.submit(hold, str(number), cores=cores, gpus=gpus)
        for number, (cores, gpus) in enumerate(needs)
    ]
    spans = [future.result(PATIENCE_S) for future in held]
    for began, ended, *_ in spans:
        for at in (began, ended):
            on = [needs[i] for i, span in enumerate(spans) if span[0] <= at < span[1]]
            assert sum(cores for cores, _ in on) <= 2
            assert sum(gpus for _, gpus in on) <= 2
    for (cores, gpus), (_, _, threads, shown) in zip(needs, spans, strict=True):
        assert threads == str(cores)
        assert len([one for one in shown.split(",") if one]) == -(-gpus // 1)


def test_needs_that_can_never_be_met_are_refused_at_once(executor: Executor) -> None:
    with pytest.raises(WorkflowError, match="a call needs 3 cores; two has 2 cores and 2 GPUs"):
        executor.submit(len, "abc", cores=3)
    with pytest.raises(WorkflowError, match="gpus"):
        executor.submit(len, "abc", gpus=-1)
    with pytest.raises(WorkflowError, match="1048576 MiB"):
        executor.submit(len, "abc", memory="1 TiB")


def test_named_resources_are_counted() -> None:
    def hold() -> tuple[float, float]:
        began = time.monotonic()
        time.sleep(0.05)
        return began, time.monotonic()

    licensed = Platform("lab", (Node("here", 4, 0, 1024, (("licence", 1),)),), local=True)
    with Executor(licensed) as executor:
        futures = [executor.submit(hold, named={"licence": 1}) for _ in range(3)]
        spans = sorted(future.result(PATIENCE_S) for future in futures)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        with pytest.raises(WorkflowError, match="lab has 4 cores and 0 GPUs, 1 licence"):
            executor.submit(hold, named={"licence": 2})
        with pytest.raises(WorkflowError, match="lab has 4 cores and 0 GPUs, 0 fpga"):
            executor.submit(hold, named={"fpga": 1})


def test_only_this_machine_can_be_used() -> None:
    with pytest.raises(WorkflowError, match="summit:2 is not this machine"):
        Executor("summit:2")
    two_nodes = Platform("pair", (Node("a", 1, 0, 1), Node("b", 1, 0, 1)), local=True)
    with pytest.raises(BackendError, match="2 nodes"):
        Executor(two_nodes)


def test_what_waits_can_be_cancelled_and_what_runs_cannot(executor: Executor) -> None:
    running = [executor.submit(time.sleep, 0.5) for _ in range(2)]
    while not all(one.running() for one in running):
        time.sleep(0.01)
    waiting = [executor.submit(len, "abc") for _ in range(4)]
    never = waiting[:3]
    assert all(one.cancel() for one in never)
    assert all(one.cancel() for one in never), "cancelling again is no news"
    assert not running[0].cancel()
    done, left = concurrent.futures.wait([*running, *waiting], PATIENCE_S)
    assert (len(done), len(left)) == (6, 0)
    with pytest.raises(concurrent.futures.CancelledError):
        never[0].result()
    assert waiting[3].result() == 3
    assert executor.submit(len, "abcd").result(PATIENCE_S) == 4


def test_a_storm_of_cancellations_hurts_nothing(executor: Executor) -> None:
    futures = [executor.submit(len, "abc") for _ in range(500)]
    cancelled = [one.cancel() for one in futures]
    _, left = concurrent.futures.wait(futures, PATIENCE_S)
    assert not left
    for one, was in zip(futures, cancelled, strict=True):
        assert one.cancelled() == was
        assert was or one.result() == 3
    assert executor.submit(len, "abcd").result(PATIENCE_S) == 4


def test_shutdown_waits_for_what_was_submitted() -> None:
    executor = Executor(TWO)
    futures = [executor.submit(time.sleep, 0.1) for _ in range(4)]
    executor.shutdown()
    assert all(one.done() and one.exception() is None for one in futures)
    assert not workers()
    executor.shutdown()
    assert not futures[0].cancel()
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(len, "abc")


def test_shutdown_without_waiting_still_does_what_was_submitted() -> None:
    executor = Executor(TWO)
    futures = [executor.submit(pow, 2, power) for power in range(5)]
    executor.shutdown(wait=False)
    with pytest.raises(RuntimeError):
        executor.submit(len, "abc")
    assert [one.result(PATIENCE_S) for one in futures] == [1, 2, 4, 8, 16]
    executor.shutdown(wait=True)
    assert not workers()


def test_shutdown_can_cancel_what_waits() -> None:
    executor = Executor(TWO)
    running = [executor.submit(time.sleep, 0.3) for _ in range(2)]
    while not all(one.running() for one in running):
        time.sleep(0.01)
    waiting = [executor.submit(time.sleep, 60) for _ in range(20)]
    executor.shutdown(cancel_futures=True)
    assert all(one.exception() is None for one in running)
    assert all(one.cancelled() for one in waiting)
    assert concurrent.futures.wait(waiting, PATIENCE_S).not_done == set()
    assert waiting[0].cancel()


def test_leaving_the_context_with_an_error_waits_as_well() -> None:
    futures = []

    def leave() -> None:
        with Executor(TWO) as executor:
            futures.append(executor.submit(time.sleep, 0.2))
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        leave()
    assert futures[0].done()
    assert not workers()


def test_two_thousand_calls_are_all_made(executor: Executor) -> None:
    futures = [executor.submit(int) for _ in range(2000)]
    assert [one.result(PATIENCE_S) for one in futures] == [0] * 2000


def test_several_threads_may_submit(executor: Executor) -> None:
    results: list[list[int]] = [[] for _ in range(8)]

    def work(number: int) -> None:
        futures = [executor.submit(pow, number, 2, cores=1 + i % 2) for i in range(50)]
        results[number] = [one.result(PATIENCE_S) for one in futures]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[number**2] * 50 for number in range(8)]


def test_calls_can_be_awaited(executor: Executor) -> None:
    async def both() -> list[int]:
        loop = asyncio.get_running_loop()
        wrapped = asyncio.wrap_future(executor.submit(pow, 2, 3))
        return await asyncio.gather(wrapped, loop.run_in_executor(executor, pow, 2, 4))

    assert asyncio.run(both()) == [8, 16]

    async def give_up() -> int:
        busy = [executor.submit(time.sleep, 0.2) for _ in range(2)]
        waits = asyncio.wrap_future(executor.submit(pow, 2, 5))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waits, 0.01)
        await asyncio.gather(*map(asyncio.wrap_future, busy))
        return await asyncio.wrap_future(executor.submit(pow, 2, 6))

    assert asyncio.run(give_up()) == 64


def test_callbacks_may_submit_more(executor: Executor) -> None:
    chained: concurrent.futures.Future[int] = concurrent.futures.Future()

    def then(first: concurrent.futures.Future[int]) -> None:
        second = executor.submit(pow, first.result(), 2)
        second.add_done_callback(lambda one: chained.set_result(one.result()))

    executor.submit(pow, 3, 2).add_done_callback(then)
    assert chained.result(PATIENCE_S) == 81


def test_two_executors_do_not_disturb_each_other() -> None:
    with Executor(TWO) as one, Executor(TWO) as other:
        a = [one.submit(pow, 2, 3) for _ in range(50)]
        b = [other.submit(pow, 3, 3) for _ in range(50)]
        assert {f.result(PATIENCE_S) for f in a} == {8}
        assert {f.result(PATIENCE_S) for f in b} == {27}


@pytest.mark.parametrize("end", ["", "raise SystemExit(5)", "import os; os._exit(5)"])
def test_the_end_of_a_script_waits_for_what_it_submitted_and_leaves_nothing(
    tmp_path: Path, end: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import time
            import stretto

            executor = stretto.Executor("local:2")
            print(executor.submit(pow, 2, 10).result(), flush=True)

            def late():
                time.sleep(1)
                open({str(tmp_path / "late")!r}, "w").close()

            executor.submit(late)
            time.sleep(0.2)
            {end}
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "STRETTO_DROPPED": str(tmp_path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (5 if end else 0, "1024\n", "")
    assert (tmp_path / "late").exists() == ("_exit" not in end)
    mark = f"STRETTO_DROPPED={tmp_path}".encode()
    until = time.monotonic() + PATIENCE_S
    while _carrying(mark):
        assert time.monotonic() < until, _carrying(mark)
        time.sleep(0.02)


def _carrying(mark: bytes) -> list[str]:
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environ.read_bytes().split(b"\0"):
                found.append(environ.parent.name)
    return found


def test_ctrl_c_ends_running_calls(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import time, stretto\n"
        "with stretto.Executor('local:2') as executor:\n"
        "    calls = [executor.submit(time.sleep, 1000) for _ in range(3)]\n"
        "    print('on', flush=True)\n"
        "    calls[0].result()\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert "KeyboardInterrupt" in said
    assert process.returncode == -signal.SIGINT
