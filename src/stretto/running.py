"""Run a workflow for real, or emulated, and go on with a run that was stopped.

Both do the same: rebuild the state from the journal (which a new run has only begun), and drive it
with the engine.  A task that the journal knows as launched and that has no process anymore was
lost, and is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cloudpickle

from stretto.channels import CHANNELS_VARIABLE, zmq_or_raise
from stretto.errors import BackendError, WorkflowError
from stretto.platform import Platform, check_fits, platform_for
from stretto.runtime import (
    Allowance,
    Answers,
    Assignments,
    Backend,
    Embedded,
    Emulated,
    Emulation,
    Ending,
    Engine,
    Exited,
    Pickled,
    RealClock,
    RunDirectory,
    kill_leftovers,
    task_folder,
)
from stretto.scheduler import (
    Event,
    Lost,
    Mode,
    NodeReturned,
    Order,
    Resumed,
    State,
    check_room,
    gated_sets,
)
from stretto.trace import Header, Journal, Kind, Trace, read_header, read_trace, replayed
from stretto.workflow import Expansion, Workflow, check_seed, drawn_durations_us, expand

__all__ = ["LOOPBACK", "Observer", "Run", "cancel_run", "resume", "run"]

LOOPBACK = "127.0.0.1"
"""Where channels listen unless told otherwise."""

Observer = Callable[[int, Sequence[Event]], None]
"""Called after each round with its time in microseconds and its events."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has ended, for now.

    Parameters
    ----------
    directory
        Its run directory.
    ending
        Whether all is done, something failed for good, or it was stopped and can be resumed.
    signal
        Signal that stopped it, if one did.
    because
        Why it has stopped of itself, and what was not started, if it has.
    """

    directory: Path
    ending: Ending
    signal: signal.Signals | None = None
    because: str = ""

    @property
    def trace(self) -> Trace:
        """What happened, read from the journal."""
        return read_trace(self.directory / "journal.jsonl")

    def result(self, task_set: str, *, iteration: int = 0, task: int = 0) -> object:
        """Return what a function task returned; `None` if it returned nothing or did not finish.

        Raises
        ------
        WorkflowError
            If the workflow has no such task set, or the result has classes that are not here.
        """
        if task_set not in {one.name for one in self.trace.workflow.task_sets}:
            raise WorkflowError(f"there is no task set {task_set!r}")
        folder = task_folder(self.directory, task_set, iteration)
        attempts = [int(path.name.split(".")[1]) for path in folder.glob(f"{task}.*.result")]
        if not attempts:
            return None
        path = folder / f"{task}.{max(attempts)}.result"
        try:
            return cloudpickle.loads(path.read_bytes())
        except Exception as error:  # loading runs the user's code
            raise WorkflowError(f"cannot be loaded here: {error}", source=str(path)) from error


def run(
    workflow: Workflow,
    *,
    platform: Platform | str | None = None,
    mode: Mode | str = Mode.ADAPTIVE,
    order: Order | str = "critical-path",
    run_dir: str | Path | None = None,
    seed: int = 0,
    emulate: bool = False,
    time_scale: float = 1.0,
    walltime: float | str | None = None,
    overrun: bool = False,
    description: Path | None = None,
    observe: Observer | None = None,
    channel_interface: str = LOOPBACK,
) -> Run:
    """Run a workflow and return when it has ended, failed for good or been stopped.

    Parameters
    ----------
    workflow
        What to run.
    platform
        Where: this machine unless given.  Another platform can only be emulated; an emulated run
        takes the description's unless given.
    mode
        Sequential, asynchronous, task-level or adaptive.
    order
        Which set goes first: the name of a rule, or an `Order`, such as one that was optimised.
    run_dir
        Where to keep the run; ``runs/NAME-TIME`` unless given.
    seed
        Seed of the tasks, and of the durations of an emulated run.
    emulate
        Replace every task by a timed stand-in of the duration that a simulation with this seed
        would draw.
    time_scale
        Workflow seconds in a real second, for emulated runs.
    walltime
        How long the run may take, from now: seconds, or text such as ``"2h30m"``.  Nothing is
        launched that is not expected to end before; what still runs then is asked to end, and the
        run can be resumed.  Real time; workflow time if emulated.
    overrun
        Launch also what is not expected to end in time, such as tasks that keep checkpoints.
    description
        File to keep a copy of.
    observe
        Called after each round.
    channel_interface
        Where channels listen: an address of this machine, or the name of a network interface.

    Raises
    ------
    WorkflowError
        If the workflow cannot run there, there is a run in `run_dir` already, or the walltime is
        none.
    BackendError
        If the machine refuses what is needed to begin or to go on.
    """
    allowance = Allowance.of(walltime, overrun=overrun)
    where = platform_for(workflow, platform if platform is not None or emulate else "local")
    check_seed(seed)
    _check_interface(channel_interface)
    check_fits(workflow, where)
    check_room(workflow, where)
    _check_runs(workflow, where, emulate, time_scale)
    workflow = _anchored(workflow)
    expansion = expand(workflow)
    order = Order.of(order)
    order.priorities(gated_sets(expansion, _mode(mode)))
    if emulate:
        drawn_durations_us(expansion, seed)
    began = datetime.now(UTC).astimezone()
    header = Header(
        workflow=workflow,
        platform=where,
        mode=_mode(mode),
        order=order,
        seed=seed,
        kind=Kind.EMULATED if emulate else Kind.MEASURED,
        time_scale=time_scale,
        began=began.isoformat(timespec="milliseconds"),
    )
    directory, journal = RunDirectory.create(
        Path(run_dir) if run_dir is not None else None, header, began=began, original=description
    )
    with contextlib.closing(journal):
        return _drive(header, expansion, directory, journal, observe, allowance, channel_interface)


def resume(
    run_dir: str | Path,
    *,
    walltime: float | str | None = None,
    overrun: bool = False,
    observe: Observer | None = None,
    channel_interface: str = LOOPBACK,
) -> Run:
    """Go on with a run that was stopped, killed or had failed.

    Finished tasks are not run again; tasks that had failed for good get their retries anew.  A run
    that is done is left as it is.  The walltime that it had is over: it has none, or a new one.

    Parameters
    ----------
    run_dir
        The run's directory.
    walltime, overrun, observe, channel_interface
        As for `run`.

    Raises
    ------
    WorkflowError
        If there is no run, somebody drives it, or the walltime is none.
    BackendError
        If the machine refuses what is needed to go on.
    """
    allowance = Allowance.of(walltime, overrun=overrun)
    _check_interface(channel_interface)
    directory, journal = RunDirectory.open(Path(run_dir))
    with contextlib.closing(journal):
        header = read_header(directory.journal)
        if header.kind is Kind.IMPORTED:
            raise WorkflowError("is the record of another engine's run", source=str(run_dir))
        kill_leftovers(directory.run_id)
        directory.sign()
        expansion = expand(header.workflow)
        return _drive(header, expansion, directory, journal, observe, allowance, channel_interface)


def cancel_run(run_dir: str | Path) -> None:
    """Ask whoever drives a run on this machine to end it; the run can be resumed.

    Raises
    ------
    WorkflowError
        If nobody drives it.
    """
    os.kill(RunDirectory(Path(run_dir).resolve()).driver(), signal.SIGUSR1)


def _drive(
    header: Header,
    expansion: Expansion,
    directory: RunDirectory,
    journal: Journal,
    observe: Observer | None,
    allowance: Allowance,
    interface: str,
) -> Run:
    state, now_us = _rebuilt(directory, journal)
    if state.done:
        return Run(directory.path, Ending.DONE)
    clock = RealClock(scale=header.time_scale, offset_us=now_us)
    limit = allowance.limit(clock, emulated=header.kind is Kind.EMULATED)
    if limit is not None:
        state.apply(limit)
        journal.round(limit.time_us, [limit])
    watch = observe or _nobody
    return _completed(
        _engine_run(header, expansion, directory, journal, state, clock, watch, interface)
    )


def _completed(driven: Coroutine[Any, Any, Run]) -> Run:
    """Return how it ended, also where an event loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(driven)
    stops: list[Callable[[], object]] = []

    async def stoppable() -> Run:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        stops.append(lambda: loop.call_soon_threadsafe(task.cancel))
        return await driven

    with ThreadPoolExecutor(1, "stretto-run") as thread:
        run = thread.submit(asyncio.run, stoppable())
        try:
            return run.result()
        except KeyboardInterrupt:
            for stop in stops:
                stop()
            raise


def _rebuilt(directory: RunDirectory, journal: Journal) -> tuple[State, int]:
    """Return the state that the journal leads to, nothing in flight, and its time."""
    replay = replayed(directory.journal)
    state, now_us = replay.state, replay.now_us
    if replay.events and not state.done:
        events: list[Event] = [
            Lost(task, state.attempts[task], now_us, "the run ended while it ran")
            for task in state.in_flight()
        ]
        # Which nodes are there now, the backend will say.
        events += [NodeReturned(node, now_us) for node in state.slots.lost]
        events.append(Resumed(now_us))
        for event in events:
            state.apply(event)
        journal.round(now_us, events)
        journal.sync()
    return state, now_us


async def _engine_run(
    header: Header,
    expansion: Expansion,
    directory: RunDirectory,
    journal: Journal,
    state: State,
    clock: RealClock,
    observe: Observer,
    interface: str,
) -> Run:
    emulated = header.kind is Kind.EMULATED
    results = _Results(expansion, directory.path)
    backend: Backend = (
        Emulated(header.time_scale)
        if emulated
        else Embedded(header.platform, run_id=directory.run_id, marks=directory.marks)
    )
    joined = not emulated and bool(expansion.workflow.channels)
    keys = directory.channel_keys
    variables = ((CHANNELS_VARIABLE, str(keys)),) if joined else ()
    assignments = Assignments(
        expansion,
        directory.path,
        header.seed,
        variables,
        state.wanted.tasks,
        state.shortfall.absent,
    )
    with _channels(expansion, interface, keys, observe, joined=joined) as observing:
        engine = Engine(
            state,
            backend,
            request=(
                Emulation(drawn_durations_us(expansion, header.seed).tolist())
                if emulated
                else assignments
            ),
            answer=Answers(state, None if emulated else assignments.stdout_of),
            clock=clock,
            record=journal,
            observe=observing,
            on_exit=results.keep,
            timeout_us=lambda task: expansion.instance_of(task).task_set.timeout_us,
        )
        with _stopped_by_signals(engine, clock) as caught:
            ending = await engine.run()
    for time_us, number in caught[:1]:
        journal.note(time_us, f"stopped by {number.name}")
    if engine.because:
        journal.note(clock.now_us(), engine.because)
    journal.note(clock.now_us(), ending.value)
    stopped_by = caught[0][1] if caught and ending is Ending.STOPPED else None
    return Run(directory.path, ending, stopped_by, engine.because)


@contextlib.contextmanager
def _channels(
    expansion: Expansion, interface: str, keys: Path, observe: Observer, *, joined: bool
) -> Iterator[Observer]:
    """Keep a broker while the run is on, if its tasks are joined; yield who observes the rounds."""
    if not joined:
        yield observe
        return
    zmq_or_raise()
    from stretto.runtime.broker import Broker  # only here: pyzmq is an extra

    broker = Broker(expansion, interface, keys)

    def both(time_us: int, events: Sequence[Event]) -> None:
        broker.observe(events)
        observe(time_us, events)

    try:
        yield both
    finally:
        broker.close()


def _check_interface(interface: object) -> None:
    if not isinstance(interface, str) or not interface or interface in ("*", "0.0.0.0", "[::]"):  # noqa: S104
        raise WorkflowError(
            f"expected an address of this machine or the name of an interface, found {interface!r}",
            path=("channel_interface",),
        )


class _Results:
    """Keeps what functions returned, a file each."""

    def __init__(self, expansion: Expansion, run_dir: Path) -> None:
        self._expansion = expansion
        self._run_dir = run_dir

    def keep(self, exited: Exited) -> None:
        if exited.result is None or exited.error is not None:
            return
        instance = self._expansion.instance_of(exited.task)
        folder = task_folder(self._run_dir, instance.task_set.name, instance.iteration)
        path = folder / f"{exited.task - instance.first_task}.{exited.attempt}.result"
        partial = path.with_suffix(".partial")
        try:
            partial.write_bytes(_pickled(exited.result))
            partial.replace(path)
        except OSError as error:
            raise BackendError(
                f"{path} cannot be written: {error.strerror}", retryable=False
            ) from None


def _pickled(result: object) -> bytes:
    if isinstance(result, Pickled):
        return result.data
    data: bytes = cloudpickle.dumps(result)
    return data


@contextlib.contextmanager
def _stopped_by_signals(
    engine: Engine, clock: RealClock
) -> Iterator[list[tuple[int, signal.Signals]]]:
    """Stop the engine at SIGINT, SIGTERM, SIGHUP and SIGUSR1; at the next one without grace."""
    caught: list[tuple[int, signal.Signals]] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        engine.stop(grace_s=0.0 if caught else None)
        caught.append((clock.now_us(), number))

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    for number in signals:
        loop.add_signal_handler(number, stop, number)
    try:
        yield caught
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _mode(mode: str) -> Mode:
    try:
        return Mode(mode)
    except ValueError:
        modes = ", ".join(Mode)
        raise WorkflowError(f"expected one of {modes}, found {mode!r}", path=("mode",)) from None


def _anchored(workflow: Workflow) -> Workflow:
    """Return the workflow with its folder absolute: it may be resumed from anywhere."""
    return Workflow(
        workflow.name,
        workflow.task_sets,
        iterations=workflow.open_loop or workflow.iterations,
        stages=workflow.stages,
        channels=workflow.channels,
        platform=workflow.platform,
        folder=workflow.folder.absolute(),
    )


def _check_runs(workflow: Workflow, platform: Platform, emulate: bool, time_scale: float) -> None:
    if isinstance(time_scale, bool) or not isinstance(time_scale, int | float):
        raise WorkflowError(f"expected a number, found {time_scale!r}", path=("time_scale",))
    if emulate:
        if not 0.001 <= time_scale <= 1e6:
            raise WorkflowError(f"expected a time scale from 0.001 to 1000000, found {time_scale}")
        return
    if time_scale != 1:
        raise WorkflowError("only an emulated run can scale time")
    if not platform.local:
        raise WorkflowError(
            f"{platform.name} is not this machine; run with platform local, or emulate it"
        )
    if len(platform.nodes) != 1:
        raise WorkflowError(f"{platform.name} has {len(platform.nodes)} nodes; this machine is one")
    for task_set in workflow.task_sets:
        if task_set.work is None:
            raise WorkflowError(
                "has nothing to run; give a command or a function, or emulate the run",
                path=("task_sets", task_set.name),
            )


def _nobody(_: int, __: Sequence[Event]) -> None:
    """Observe nothing."""
