"""Drives a backend in tests: launches requests, gathers reports, and leaves nothing behind."""

import asyncio
import contextlib
import functools
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from stretto.platform import Node, Placement, Platform, Slot
from stretto.runtime.backend import Call, Exited, Pickled, Program, Report, Request, Started
from stretto.runtime.backends.embedded import Embedded

PATIENCE_S = 20.0


def driven(test):
    """Run an asynchronous test."""

    @functools.wraps(test)
    def run(**fixtures):
        asyncio.run(test(**fixtures))

    return run


def place(cores: int = 1, gpus: int = 0) -> Placement:
    """A placement on core mask `cores` and GPU mask `gpus`; a new object each time."""
    return (Slot(0, cores, gpus, 1000, 0, 1),)


class Driver:
    """A backend and what it has reported."""

    def __init__(self, backend, run_id: str, folder: Path) -> None:
        self.backend = backend
        self.run_id = run_id
        self.folder = folder
        self.reports: list[Report] = []
        self._news = asyncio.Event()

    def take(self, report: Report) -> None:
        if isinstance(report, Exited) and isinstance(report.result, Pickled):
            report = report._replace(result=report.result.load())
        self.reports.append(report)
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.02)

    def end_of(self, task: int) -> Report | None:
        ends = [r for r in self.reports if r.task == task and not isinstance(r, Started)]
        assert len(ends) <= 1, f"reported twice: {ends}"
        return ends[0] if ends else None

    def started(self, task: int) -> bool:
        return any(r.task == task and isinstance(r, Started) for r in self.reports)

    async def ends(self, *tasks: int) -> list[Report]:
        await self.until(lambda: all(self.end_of(task) for task in tasks))
        return [self.end_of(task) for task in tasks]

    def program(self, words, *, task=0, placement=None, environment=(), threads=1, directory=None):
        folder = self.folder / str(task)
        work = Program(
            tuple(words),
            tuple(environment),
            self.folder if directory is None else directory,
            str(folder / "stdout"),
            str(folder / "stderr"),
        )
        return Request(task, 1, placement or place(), work, threads)

    async def run_program(self, words, **options) -> Report:
        request = self.program(words, **options)
        self.backend.launch([request])
        (end,) = await self.ends(request.task)
        return end

    def output(self, task: int = 0) -> str:
        return (self.folder / str(task) / "stdout").read_text()

    def call(
        self,
        function,
        *args,
        task=0,
        placement=None,
        fields=None,
        threads=1,
        kwargs=None,
        **options,
    ):
        work = Call(function, (args, kwargs or {}), fields or {}, **options)
        return Request(task, 1, placement or place(), work, threads)

    async def run_call(self, function, *args, **options) -> Exited:
        request = self.call(function, *args, **options)
        self.backend.launch([request])
        (end,) = await self.ends(request.task)
        return end


@contextlib.asynccontextmanager
async def embedded(folder: Path, *, cores: int = 2, gpus: int = 0) -> AsyncIterator[Driver]:
    run_id = f"test-{uuid.uuid4().hex}"
    platform = Platform("here", (Node("here", cores, gpus, 1024),), local=True)
    backend = Embedded(platform, run_id=run_id)
    driver = Driver(backend, run_id, folder)
    await backend.start(driver.take)
    try:
        yield driver
    finally:
        await backend.close()
        assert marked(run_id) == []


def marked(run_id: str) -> list[int]:
    """Processes that carry the run's mark, found without the code under test."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if f"STRETTO_RUN={run_id}".encode() in (entry / "environ").read_bytes().split(
                    b"\0"
                ):
                    found.append(int(entry.name))
    return sorted(found)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody reaps is dead enough.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
