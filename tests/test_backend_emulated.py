"""Stand-ins: timers instead of tasks."""

import asyncio

import pytest

from stretto.errors import BackendError
from stretto.platform import Slot
from stretto.runtime.backend import Exited, LaunchFailed, Program, Request, StandIn, Started
from stretto.runtime.backends.emulated import Emulated

PLACEMENT = (Slot(0, 1, 0, 0, 0, 1), Slot(1, 1, 0, 0, 0, 1))


def request(task, duration_us, attempt=1):
    return Request(task, attempt, PLACEMENT, StandIn(duration_us), 1)


async def gather(backend, requests, *, cancel=(), n_ends=None):
    reports = []
    done = asyncio.Event()
    n_ends = len(requests) if n_ends is None else n_ends

    def take(report):
        reports.append(report)
        if sum(not isinstance(each, Started) for each in reports) == n_ends:
            done.set()

    await backend.start(take)
    backend.launch(requests)
    for task in cancel:
        backend.cancel(task, 1, 10.0)
    assert reports == []
    async with asyncio.timeout(20):
        await done.wait()
    await backend.close()
    return reports


def test_a_stand_in_lasts_exactly_its_duration_by_the_time_scale():
    async def check():
        durations = [300_000, 100_000, 0, 200_001]
        requests = [request(task, us) for task, us in enumerate(durations)]
        reports = await gather(Emulated(time_scale=10.0), requests)
        starts = {r.task: r.time_us for r in reports if isinstance(r, Started)}
        ends = [(r.task, r.time_us - starts[r.task]) for r in reports if isinstance(r, Exited)]
        assert ends == [(2, 0), (1, 10_000), (3, 20_000), (0, 30_000)]
        assert len(set(starts.values())) == 1
        assert all(r.error is None for r in reports if isinstance(r, Exited))

    asyncio.run(check())


def test_those_that_end_together_are_reported_together_in_the_order_of_their_launch():
    async def check():
        reports = await gather(Emulated(), [request(task, 20_000) for task in range(50)])
        ends = [report for report in reports if isinstance(report, Exited)]
        assert [report.task for report in ends] == list(range(50))
        assert len({report.time_us for report in ends}) == 1
        assert reports[50:] == ends

    asyncio.run(check())


def test_cancelling_ends_a_stand_in_at_once_and_only_this_attempt():
    async def check():
        requests = [request(0, 10**9), request(1, 20_000), request(2, 10**9)]
        reports = await gather(Emulated(), requests, cancel=(0, 2, 5))
        ends = [(r.task, r.error) for r in reports if isinstance(r, Exited)]
        assert ends == [(0, "cancelled"), (2, "cancelled"), (1, None)]

    asyncio.run(check())


def test_a_cancelled_attempt_launched_anew_is_another():
    async def check():
        backend = Emulated()
        requests = [request(0, 10_000)]
        reports = []
        await backend.start(reports.append)
        backend.launch(requests)
        backend.cancel(0, 1, 0.0)
        backend.launch([request(0, 40_000)])
        await asyncio.sleep(0.02)
        assert [type(report) for report in reports] == [Started, Exited, Started]
        await asyncio.sleep(0.1)
        assert isinstance(reports[-1], Exited)
        assert reports[-1].time_us - reports[-2].time_us == 40_000
        await backend.close()

    asyncio.run(check())


def test_nothing_is_reported_after_close():
    async def check():
        reports = []
        backend = Emulated()
        await backend.start(reports.append)
        backend.launch([request(0, 1000)])
        await backend.close()
        await asyncio.sleep(0.01)
        assert reports == []

    asyncio.run(check())


def test_real_work_and_senseless_scales_are_refused(tmp_path):
    async def check():
        program = Program(("true",), (), tmp_path, tmp_path / "o", tmp_path / "e")
        reports = await gather(Emulated(), [Request(0, 1, PLACEMENT, program, 1)])
        assert [type(report) for report in reports] == [LaunchFailed]

    asyncio.run(check())
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(BackendError, match="time scale"):
            Emulated(time_scale=scale)
