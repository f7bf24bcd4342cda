"""An executor in the manner of `concurrent.futures`, with cores and GPUs for each call.

It drives the same scheduler, engine and workers as a workflow does, from a thread of its own, and
keeps no journal.  Calls of a pool with the same needs and priority form a set; short ones are
bundled.  Another priority is another set: a call that gets one leaves its set and joins the other.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor as FuturesExecutor
from contextlib import suppress
from typing import Any, Self
from uuid import uuid4

from stretto.errors import BackendError, WorkflowError
from stretto.executor.calls import CallFuture, Kind, checked_pool, checked_priority, kind_of
from stretto.executor.completed import Completed
from stretto.platform import Platform, platform_named, ranks_on
from stretto.resources import MOST_CORES, Resources
from stretto.runtime import Call, Embedded, Engine, Exited, Pickled, RealClock, Request
from stretto.scheduler import (
    Cancelled,
    Dropped,
    Event,
    Failed,
    GatedSet,
    Launched,
    Lost,
    Opened,
    Shared,
    State,
    Status,
    Submitted,
)
from stretto.units import GPU_MILLI, whole_number

__all__ = ["Executor"]


ABORT_GRACE_S = 1.0
"""Seconds that a running call has to end after Ctrl-C."""


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
        self._submitted: list[CallFuture] = []
        self._closed = False
        self._futures: dict[int, CallFuture] = {}
        self._sets: dict[Kind, int] = {}
        self._subscribed: weakref.WeakSet[Completed] = weakref.WeakSet()
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
        named: Mapping[str, int] | None = None,
        pool: str | None = None,
        priority: int = 0,
        **kwargs: Any,
    ) -> CallFuture:
        """Return the future of ``fn(*args, **kwargs)``, called once its needs can be met.

        Parameters
        ----------
        fn
            What cloudpickle can pickle: lambdas and functions of ``__main__`` too.
        cores, gpus, memory, named
            Needs of the call, as in `Resources`; not handed on to `fn`.
        pool
            Kind of work, whose share of the machine can be set (see `share`); not handed on.
        priority
            Whole number; of calls that wait, those with a higher one go first; not handed on.

        Raises
        ------
        WorkflowError
            If the needs can never be met here.
        RuntimeError
            If the executor was shut down.
        """
        shape = Resources(cores=cores, gpus=gpus, memory=memory, named=named)
        kind = kind_of(pool, shape, priority)
        if kind not in self._sets:
            _check_room(shape, self._platform)
        future = CallFuture(kind, Call(fn, (args, kwargs), {}), self._drop_soon)
        with self._lock:
            if self._failure is not None:
                raise BackendError(f"the executor has failed: {self._failure}", retryable=False)
            if self._closed:
                raise RuntimeError("cannot submit to an executor that was shut down")
            for completed in self._subscribed:
                completed.add(future)
            self._submitted.append(future)
            first = len(self._submitted) == 1
        if first:
            self._loop.call_soon_threadsafe(self._take)
        return future

    def completed(self, futures: Iterable[CallFuture] = ()) -> Completed:
        """Return an iterator over calls in the order in which they are done.

        It is for ``for`` and for ``async for``, yields futures, and ends when no call is left.

        Parameters
        ----------
        futures
            Calls to begin with; every call that is submitted from now on joins them.
        """
        completed = Completed(futures)
        with self._lock:
            self._subscribed.add(completed)
        return completed

    def share(self, pool: str, *, cores: int | None = None, gpus: float | None = None) -> None:
        """Let the calls of a pool hold so much together, from now on; `None` is no limit.

        A smaller share ends nothing: it is reached as calls end.  Shares may add up to more than
        there is, or to less.

        Raises
        ------
        WorkflowError
            If a number is negative, or the cores are not whole.
        """
        if cores is not None:
            whole_number("cores", cores, 0, MOST_CORES)
        if gpus is not None and not (isinstance(gpus, int | float) and 0 <= gpus <= MOST_CORES):
            raise WorkflowError(f"expected a number of GPUs, found {gpus!r}", path=("gpus",))
        milli = None if gpus is None else round(gpus * GPU_MILLI)
        self._soon(self._engine.post, Shared(checked_pool(pool), cores, milli))

    def prioritise(self, future: CallFuture, priority: int) -> None:
        """Give a call that waits another priority; on one that has begun it has no effect.

        Raises
        ------
        WorkflowError
            If it is no whole number, or beyond the limit.
        """
        self._soon(self._move, future, checked_priority(priority))

    def cancel(self, future: CallFuture) -> bool:
        """Cancel a call, also one that runs; return whether there was anything to cancel.

        The process of a call that runs is asked to end, and killed if it does not; its future is
        cancelled once the call is over.
        """
        if future.cancel():
            return True
        if future.done():
            return False
        self._soon(self._end, future)
        return True

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Wait for what was submitted; after Ctrl-C, end it instead."""
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        if interrupted:
            self._soon(self._abort)
        self.shutdown(wait=True, cancel_futures=interrupted)

    async def __aenter__(self) -> Self:
        """Do nothing; leaving waits, and the event loop goes on meanwhile."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Wait for what was submitted, as ``with`` does."""
        await asyncio.to_thread(self.__exit__, kind, *rest)

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
            index = self._set_for(future.kind)
            if run and run[0] != index:
                self._engine.post(Submitted(run[0], len(run)))
                run = []
            run.append(index)
            self._number(future)
        if run:
            self._engine.post(Submitted(run[0], len(run)))

    def _number(self, future: CallFuture) -> None:
        """Give a call the number of the next task."""
        future.task = self._n_tasks
        self._futures[self._n_tasks] = future
        self._n_tasks += 1

    def _set_for(self, kind: Kind) -> int:
        index = self._sets.get(kind)
        if index is None:
            index = self._sets[kind] = len(self._sets)
            name = f"calls of {kind.shape}"
            gated = GatedSet(name, kind.shape, self._n_tasks, 0, bundles=True, pool=kind.pool)
            self._engine.post(Opened(gated, kind.priority))
        return index

    def _request(self, launched: Launched) -> Request:
        future = self._futures[launched.task]
        call = future.call if future.begin() else Call(_nothing, ((), {}), {})
        threads = max(1, future.kind.shape.cores)
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

    def _settle(self, future: CallFuture, result: object) -> None:
        try:
            future.set_result(result.load() if isinstance(result, Pickled) else result)
        except Exception as error:  # loading runs the user's code
            future.set_exception(error)

    def _observe(self, _: int, events: Sequence[Event]) -> None:
        """Tell the futures of calls that were ended, or could not even be launched."""
        for event in events:
            if not isinstance(event, Failed | Cancelled | Lost):
                continue
            future = self._futures.get(event.task)
            if future is not None and future.unwanted:
                self._futures.pop(event.task).end()
            elif future is not None and isinstance(event, Failed):
                del self._futures[event.task]
                if future.running():
                    future.set_exception(BackendError(event.reason, retryable=True))

    def _soon(self, callback: Callable[..., object], *args: object) -> None:
        """Have something done in the executor's thread, unless that has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    def _drop_soon(self, future: CallFuture) -> None:
        self._soon(self._drop, future)

    def _drop(self, future: CallFuture) -> None:
        """Take a cancelled call out of the queue, unless it is not in it yet or was launched."""
        task = future.task
        if task in self._futures and self._waits(future):
            del self._futures[task]
            future.begin()
            self._engine.post(Dropped(task))

    def _waits(self, future: CallFuture) -> bool:
        """Return whether a call waits in its set.

        What was handed over in this very turn of the loop, the state does not know yet.
        """
        task = future.task
        assert task is not None
        return task >= self._state.n_tasks or self._state.status[task] == Status.READY

    def _move(self, future: CallFuture, priority: int) -> None:
        """Let a call that waits join the set of another priority."""
        kind = future.kind._replace(priority=priority)
        if future.task is None:  # it is on its way here
            future.kind = kind
        elif future.task in self._futures and self._waits(future) and kind != future.kind:
            del self._futures[future.task]
            self._engine.post(Dropped(future.task))
            future.kind = kind
            index = self._set_for(kind)
            self._number(future)
            self._engine.post(Submitted(index, 1))

    def _end(self, future: CallFuture) -> None:
        """End a call that was launched, unless it is over."""
        task = future.task
        if task not in self._futures or future.unwanted:
            return
        future.unwanted = True
        if self._waits(future):  # its worker died in another call, and it is to be tried again
            self._futures.pop(task).end()
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


def _check_room(shape: Resources, platform: Platform) -> None:
    """Raise `WorkflowError` if no node will ever have room for a call."""
    if not any(ranks_on(node, shape) for node in platform.nodes):
        has = f"{platform.cores} cores and {platform.gpus} GPUs"
        has += "".join(f", {platform.named_total(name)} {name}" for name, _ in shape.named)
        raise WorkflowError(f"a call needs {shape}; {platform.name} has {has}")


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
