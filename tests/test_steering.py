"""Steering: react to results, submit more, move resources, cancel what runs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stretto import Executor, Node, Platform, WorkflowError
from stretto.resources import Resources
from stretto.scheduler import (
    Dropped,
    Finished,
    GatedSet,
    Opened,
    Shared,
    State,
    Submitted,
    decide,
)
from tests.commands import wait_until

PATIENCE_S = 20.0
FOUR = Platform("four", (Node("here", 4, 2, 1024),), local=True)


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with Executor(FOUR) as one:
        yield one


def span(pause_s: float) -> tuple[float, float]:
    began = time.monotonic()
    time.sleep(pause_s)
    return began, time.monotonic()


def most_at_once(spans: list[tuple[float, float]]) -> int:
    return max(sum(a <= at < b for a, b in spans) for at, _ in spans)


def until(path: Path) -> str:
    """Return once there is such a file."""
    while not path.exists():
        time.sleep(0.01)
    return path.name


# What is shared, in the scheduler.


class TestShares:
    def state(self, *pools: str | None, gpus: int = 0) -> State:
        state = State([], FOUR.nodes, [])
        for pool in pools:
            shape = Resources(cores=1, gpus=gpus)
            state.apply(Opened(GatedSet("calls", shape, 0, 0, pool=pool), 0))
        return state

    def launched(self, state: State) -> list[int]:
        return [one.task for one in decide(state, 0)]

    def test_a_pool_holds_no_more_than_its_share(self) -> None:
        state = self.state("a", "b")
        state.apply(Shared("a", 1, None))
        state.apply(Submitted(0, 3))
        state.apply(Submitted(1, 5))
        assert self.launched(state) == [0, 3, 4, 5], "room that one may not use is the other's"
        state.apply(Finished(0, 1, 1))
        assert self.launched(state) == [1]

    def test_a_share_that_grows_is_used_at_once_and_one_that_shrinks_ends_nothing(self) -> None:
        state = self.state("a")
        state.apply(Shared("a", 2, None))
        state.apply(Submitted(0, 6))
        assert self.launched(state) == [0, 1]
        state.apply(Shared("a", 3, None))
        assert self.launched(state) == [2]
        state.apply(Shared("a", 1, None))
        for task in (0, 1):
            state.apply(Finished(task, 1, 1))
            assert self.launched(state) == []
        state.apply(Finished(2, 1, 1))
        assert self.launched(state) == [3]
        state.apply(Shared("a", None, None))
        assert self.launched(state) == [4, 5]

    def test_gpus_are_shared_too(self) -> None:
        state = self.state("a", gpus=1)
        state.apply(Shared("a", None, 1000))
        state.apply(Submitted(0, 2))
        assert self.launched(state) == [0]
        state.apply(Dropped(0))
        assert self.launched(state) == [], "what leaves still holds its slots"
        state.apply(Finished(0, 1, 1))
        assert self.launched(state) == [1]


# The executor.


def test_a_share_is_kept_and_can_be_moved_while_it_runs(executor: Executor) -> None:
    executor.share("narrow", cores=1)
    narrow = [executor.submit(span, 0.05, pool="narrow") for _ in range(5)]
    wide = [executor.submit(span, 0.3, pool="wide") for _ in range(5)]
    assert most_at_once([one.result(PATIENCE_S) for one in narrow]) == 1
    assert most_at_once([one.result(PATIENCE_S) for one in wide]) > 1
    executor.share("narrow", cores=3)
    more = [executor.submit(span, 0.2, pool="narrow") for _ in range(6)]
    assert 1 < most_at_once([one.result(PATIENCE_S) for one in more]) <= 3


def test_calls_with_a_higher_priority_go_first_and_priorities_can_be_changed(
    executor: Executor, tmp_path: Path
) -> None:
    busy = executor.submit(until, tmp_path / "go", cores=4)
    wait_until(busy.running)
    results = executor.completed()
    names = {
        name: executor.submit(str, name, cores=4, priority=priority)
        for name, priority in (("a", 0), ("b", 0), ("c", 7), ("d", -1), ("e", 0))
    }
    executor.prioritise(names["e"], 9)
    executor.prioritise(names["a"], -5)
    executor.prioritise(busy, -5)
    (tmp_path / "go").touch()
    assert [one.result() for one in results] == ["e", "c", "b", "d", "a"]
    assert names["e"].priority == 9
    assert busy.priority == 0


def test_a_running_call_can_be_cancelled_and_its_resources_are_free(
    executor: Executor, tmp_path: Path
) -> None:
    stuck = executor.submit(_told, tmp_path / "pid", cores=4)
    wait_until((tmp_path / "pid").exists)
    waiting = executor.submit(pow, 2, 5)
    assert executor.cancel(stuck)
    with pytest.raises(concurrent.futures.CancelledError):
        stuck.result(PATIENCE_S)
    assert stuck.cancelled()
    assert stuck.done()
    with pytest.raises(concurrent.futures.CancelledError):
        stuck.exception()
    assert waiting.result(PATIENCE_S) == 32
    wait_until(lambda: not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists())
    assert executor.cancel(stuck), "it is cancelled already"
    assert not executor.cancel(waiting), "it is done"


def _told(path: Path) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(str(os.getpid()))
    partial.rename(path)
    time.sleep(1000)


def test_calls_bundled_with_a_cancelled_one_are_still_made(executor: Executor) -> None:
    for _ in range(3):
        [one.result(PATIENCE_S) for one in [executor.submit(int) for _ in range(200)]]
        futures = [executor.submit(time.sleep, 0.001) for _ in range(300)]
        chosen = futures[50:250:40]
        assert all(isinstance(executor.cancel(one), bool) for one in chosen)
        concurrent.futures.wait(futures, PATIENCE_S)
        for one in futures:
            assert one.done()
            assert one in chosen or one.result() is None


def test_a_storm_of_changes_hurts_nothing(executor: Executor) -> None:
    futures = [executor.submit(pow, 2, 3, pool=f"p{number % 3}") for number in range(400)]
    for number, future in enumerate(futures):
        executor.prioritise(future, number % 5)
        executor.share(f"p{number % 3}", cores=1 + number % 4)
        if number % 3 == 0:
            executor.cancel(future)
    _, left = concurrent.futures.wait(futures, PATIENCE_S)
    assert not left
    assert all(one.cancelled() or one.result() == 8 for one in futures)
    assert not any(one.cancelled() for number, one in enumerate(futures) if number % 3)


def test_completed_calls_come_as_they_are_done_and_more_may_be_submitted(
    executor: Executor,
) -> None:
    first = [executor.submit(pow, 2, power) for power in range(3)]
    seen = []
    for done in executor.completed(first):
        seen.append(done.result())
        if len(seen) < 10:
            executor.submit(pow, 3, len(seen))
    assert len(seen) == 3 + 9
    assert set(seen) == {1, 2, 4, *(3**power for power in range(1, 10))}


def test_failures_and_cancellations_are_handed_out_too(executor: Executor, tmp_path: Path) -> None:
    results = executor.completed()
    executor.submit(int, "seven", pool="bad")
    stuck = executor.submit(_told, tmp_path / "pid", pool="stuck")
    wait_until((tmp_path / "pid").exists)
    executor.cancel(stuck)
    ended = {one.pool: one for one in results}
    assert isinstance(ended["bad"].exception(), ValueError)
    assert ended["stuck"].cancelled()
    assert list(results) == []


def test_two_who_look_on_both_see_everything(executor: Executor) -> None:
    one, other = executor.completed(), executor.completed()
    for number in range(4):
        executor.submit(abs, -number)
    assert {done.args for done in one} == {done.args for done in other}


def test_calls_can_be_awaited_and_the_loop_goes_on_meanwhile() -> None:
    async def drive() -> list[Any]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        async with Executor(FOUR) as executor:
            seen = [await executor.submit(pow, 2, 3)]
            results = executor.completed(executor.submit(time.sleep, 0.1) for _ in range(2))
            async for done in results:
                seen.append(done.result())
                if len(seen) < 5:
                    executor.submit(abs, -len(seen))
            with pytest.raises(ValueError, match="seven"):
                await executor.submit(int, "seven")
            executor.submit(time.sleep, 0.2)
        ticking.cancel()
        assert ticks > 10
        return seen

    seen = asyncio.run(drive())
    assert seen[0] == 8
    assert sorted(map(str, seen[1:])) == ["2", "3", "4", "None", "None"]


def test_a_running_call_that_is_awaited_can_be_cancelled(tmp_path: Path) -> None:
    async def drive() -> None:
        async with Executor(FOUR) as executor:
            stuck = executor.submit(_told, tmp_path / "pid")
            waiting = asyncio.wrap_future(stuck)
            while not (tmp_path / "pid").exists():
                await asyncio.sleep(0.01)
            assert executor.cancel(stuck)
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(drive())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: one.submit(int, priority=1001), "priority: expected -1000 to 1000"),
        (lambda one: one.submit(int, priority=0.5), "priority: expected a whole number"),
        (lambda one: one.submit(int, pool=5), "pool: expected the name of a pool"),
        (lambda one: one.share(None), "pool: expected the name of a pool"),
        (lambda one: one.share("a", cores=-1), "cores: expected 0 to"),
        (lambda one: one.share("a", cores=1.5), "cores: expected a whole number"),
        (lambda one: one.share("a", gpus=-1), "gpus: expected a number of GPUs"),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    executor: Executor, call: Callable[[Executor], object], message: str
) -> None:
    with pytest.raises(WorkflowError, match=message):
        call(executor)


def test_shutting_down_does_not_wait_for_a_share_that_never_comes() -> None:
    executor = Executor(FOUR)
    executor.share("none", cores=0)
    never = executor.submit(int, pool="none")
    done = executor.submit(int)
    executor.shutdown()
    assert done.result() == 0
    with pytest.raises(Exception, match="the executor ended"):
        never.result(PATIENCE_S)
