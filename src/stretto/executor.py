"""An executor in the manner of `concurrent.futures`, with cores and GPUs for each call.

It drives the same scheduler, engine and workers as a workflow does, from a thread of its own, and
keeps no journal.  Calls with the same needs form a set; short ones are bundled.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Executor as FuturesExecutor
from concurrent.futures import Future
from contextlib import suppress
from typing import Any
from uuid import uuid4

from stretto.errors import BackendError, WorkflowError
from stretto.platform import Platform, platform_named, ranks_on
from stretto.resources import Resources
from stretto.runtime import Call, Embedded, Engine, Exited, Pickled, RealClock, Request
from stretto.scheduler import (
    Dropped,
    Event,
    Failed,
    GatedSet,
    Launched,
    Opened,
    State,
    Status,
    Submitted,
)

__all__ = ["Executor"]


ABORT_GRACE_S = 1.0
"""Seconds that a running call has to end after Ctrl-C."""


class _Future(Future[Any]):
    """A future that takes its task out of the queue when it is cancelled."""

    def __init__(self, shape: Resources, call: Call, dropped: Callable[[_Future], None]) -> None:
        super().__init__()
        self.shape = shape
        self.call = call
        self.task: int | None = None
        self._begun = False
        self._dropped = dropped

    def cancel(self) -> bool:
        if self.cancelled():
            return True
        cancelled = super().cancel()
        if cancelled:
            self._dropped(self)
        return cancelled

    def begin(self) -> bool:
        """Return whether it is to be called; if it was cancelled, tell those who wait for it."""
        if not self._begun:
            self._begun = True
            self.set_running_or_notify_cancel()
        return self.running()


class Executor(FuturesExecutor):
    """Calls Python functions in warm processes of this machine.

    Parameters
    ----------
    platform
        ``"local"``; a number of cores, or ``"local:8"``, to pretend to eight; or a `Platform` of
        this machine.

    Raises
    ------
    WorkflowError
        If the platform is not this machine.
    BackendError
        If it cannot be used.

    Examples
    --------
    >>> with Executor() as executor:
    ...     executor.submit(pow, 2, 10, cores=1).result()
    1024
    """

    def __init__(self, platform: Platform | str | int = "local") -> None:
        if isinstance(platform, int):
            platform = f"local:{platform}"
        where = platform_named(platform) if isinstance(platform, str) else platform
        if not where.local:
            raise WorkflowError(f"{where.name} is not this machine")
        self._platform = where
        self._lock = threading.Lock()
        self._submitted: list[_Future] = []
        self._closed = False
        self._futures: dict[int, _Future] = {}
        self._sets: dict[Resources, int] = {}
        self._n_tasks = 0
        self._failure: BaseException | None = None
        self._state = State([], where.nodes, [])
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="stretto-executor", daemon=True)
        self._thread.start()
        self._ready.wait()
        # As `concurrent.futures` does: a script that ends waits for what it has submitted.
        threading._register_atexit(_shut_down, weakref.ref(self))  # type: ignore[attr-defined]
        if self._failure is not None:
            raise self._failure

    def submit(  # type: ignore[override]  # the needs of the call are ours, not its own
        self,
        fn: Callable[..., Any],
        /,
        *args: Any,
        cores: int = 1,
        gpus: float = 0,
        memory: float | str = 0,
        **kwargs: Any,
    ) -> Future[Any]:
        """Return the future of ``fn(*args, **kwargs)``, called once its needs can be met.

        Parameters
        ----------
        fn
            What cloudpickle can pickle: lambdas and functions of ``__main__`` too.
        cores, gpus, memory
            Needs of the call, as in `Resources`; not handed on to `fn`.

        Raises
        ------
        WorkflowError
            If the needs can never be met here.
        RuntimeError
            If the executor was shut down.
        """
        shape = Resources(cores=cores, gpus=gpus, memory=memory)
        if shape not in self._sets and not any(
            ranks_on(node, shape) for node in self._platform.nodes
        ):
            has = f"{self._platform.cores} cores and {self._platform.gpus} GPUs"
            raise WorkflowError(f"a call needs {shape}; {self._platform.name} has {has}")
        future = _Future(shape, Call(fn, (args, kwargs), {}), self._drop_soon)
        with self._lock:
            if self._failure is not None:
                raise BackendError(f"the executor has failed: {self._failure}", retryable=False)
            if self._closed:
                raise RuntimeError("cannot submit to an executor that was shut down")
            self._submitted.append(future)
            first = len(self._submitted) == 1
        if first:
            self._loop.call_soon_threadsafe(self._take)
        return future

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Wait for what was submitted; after Ctrl-C, end it instead."""
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        if interrupted:
            self._soon(self._abort)
        self.shutdown(wait=True, cancel_futures=interrupted)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept nothing more; with `wait`, return when all that was submitted is done.

        Parameters
        ----------
        cancel_futures
            Do not begin anymore what has not begun.
        """
        with self._lock:
            self._closed = True
        self._soon(self._close, cancel_futures)
        if wait:
            self._thread.join()

    # In the executor's own thread.

    def _serve(self) -> None:
        try:
            asyncio.run(self._drive())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()
            with self._lock:
                self._closed = True
                left = [*self._submitted, *self._futures.values()]
            for future in left:
                if future.begin():
                    reason = self._failure or "it was shut down"
                    future.set_exception(
                        BackendError(f"the executor ended: {reason}", retryable=False)
                    )

    async def _drive(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._engine = Engine(
            self._state,
            Embedded(self._platform, run_id=f"executor-{uuid4().hex}"),
            request=self._request,
            clock=RealClock(),
            record=_Nowhere(),
            observe=self._observe,
            on_exit=self._exited,
        )
        self._loop.call_soon(self._ready.set)
        await self._engine.run(stay_open=True)

    def _take(self) -> None:
        """Hand what was submitted to the engine."""
        with self._lock:
            submitted, self._submitted = self._submitted, []
        run: list[int] = []
        for future in submitted:
            if future.cancelled():
                future.begin()
                continue
            index = self._set_for(future.shape)
            if run and run[0] != index:
                self._engine.post(Submitted(run[0], len(run)))
                run = []
            run.append(index)
            future.task = self._n_tasks
            self._futures[self._n_tasks] = future
            self._n_tasks += 1
        if run:
            self._engine.post(Submitted(run[0], len(run)))

    def _set_for(self, shape: Resources) -> int:
        index = self._sets.get(shape)
        if index is None:
            index = self._sets[shape] = len(self._sets)
            gated = GatedSet(f"calls of {shape}", shape, self._n_tasks, 0, bundles=True)
            self._engine.post(Opened(gated, priority=0))
        return index

    def _request(self, launched: Launched) -> Request:
        future = self._futures[launched.task]
        call = future.call if future.begin() else Call(_nothing, ((), {}), {})
        threads = max(1, future.shape.cores)
        return Request(launched.task, launched.attempt, launched.placement, call, threads)

    def _exited(self, exited: Exited) -> None:
        future = self._futures.pop(exited.task)
        if not future.running():
            return
        if exited.error is None:
            self._settle(future, exited.result)
        elif exited.exception is not None:
            exited.exception.add_note(exited.error)
            future.set_exception(exited.exception)
        else:
            future.set_exception(BackendError(exited.error, retryable=True))

    def _settle(self, future: _Future, result: object) -> None:
        try:
            future.set_result(result.load() if isinstance(result, Pickled) else result)
        except Exception as error:  # loading runs the user's code
            future.set_exception(error)

    def _observe(self, _: int, events: Sequence[Event]) -> None:
        """Tell the futures of calls that could not even be launched."""
        for event in events:
            if isinstance(event, Failed) and event.task in self._futures:
                future = self._futures.pop(event.task)
                if future.running():
                    future.set_exception(BackendError(event.reason, retryable=True))

    def _soon(self, callback: Callable[..., object], *args: object) -> None:
        """Have something done in the executor's thread, unless that has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    def _drop_soon(self, future: _Future) -> None:
        self._soon(self._drop, future)

    def _drop(self, future: _Future) -> None:
        """Take a cancelled call out of the queue, unless it is not in it yet or was launched."""
        task = future.task
        if task is None or task not in self._futures:
            return
        # What was handed over in this very turn of the loop, the state does not know yet.
        if task >= self._state.n_tasks or self._state.status[task] == Status.READY:
            del self._futures[task]
            future.begin()
            self._engine.post(Dropped(task))

    def _abort(self) -> None:
        """End the calls that run."""
        self._engine.stop(grace_s=ABORT_GRACE_S)

    def _close(self, cancel_futures: bool) -> None:
        self._take()
        if cancel_futures:
            for future in list(self._futures.values()):
                future.cancel()
        self._engine.close()


def _shut_down(executor: weakref.ref[Executor]) -> None:
    """Shut an executor down that its script has left to itself."""
    left = executor()
    if left is not None:
        left.shutdown(wait=True)


class _Nowhere:
    """Keeps no journal."""

    def round(self, time_us: int, events: Sequence[Event]) -> None:
        """Forget a round."""

    def sync(self) -> None:
        """Do nothing."""


def _nothing() -> None:
    """Stand in for a call that was cancelled in the moment of its launch."""
