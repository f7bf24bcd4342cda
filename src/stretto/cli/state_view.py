"""The state of a run, from its journal: how far it is, and the story of one task."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stretto.cli.texts import said
from stretto.errors import WorkflowError
from stretto.runtime import RunDirectory
from stretto.scheduler import (
    Cancelled,
    Dropped,
    Event,
    Failed,
    Finished,
    Idled,
    Launched,
    Lost,
    Resumed,
    Revoked,
    Started,
    Status,
    Told,
    Woke,
    why,
)
from stretto.trace import Replay, mask_to_text, replayed
from stretto.workflow import Expansion

__all__ = ["run_replayed", "state_to_json", "story", "task_named"]

_TASK = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)(?:\[(\d{1,9})\])?(?:\.(\d{1,9}))?")


def state_to_json(replay: Replay, *, driven: bool) -> dict[str, Any]:
    """Return where a run stands, as plain values."""
    sets = []
    for instance in replay.expansion.instances:
        tasks = slice(instance.first_task, instance.first_task + instance.count)
        status = bytes(replay.state.status[tasks])
        counts = {one.name.lower(): status.count(one) for one in Status}
        sets.append({"set": instance.task_set.name, "iteration": instance.iteration, **counts})
    return {
        "workflow": replay.header.workflow.name,
        "platform": replay.header.platform.name,
        "mode": replay.header.mode,
        "kind": str(replay.header.kind),
        "began": replay.header.began,
        "time_s": replay.now_us / 1e6,
        "driven": driven,
        "tasks": replay.expansion.n_tasks,
        "finished": replay.state.n_finished,
        "in_flight": replay.state.n_in_flight,
        "failed": len(replay.state.failed()),
        "dropped": replay.state.n_dropped,
        "notes": [f"{note.time_us / 1e6:.3f} s: {note.text}" for note in replay.notes],
        "sets": sets,
    }


def run_replayed(run_dir: Path) -> tuple[Replay, bool]:
    """Return what the journal in `run_dir` leads to, and whether somebody drives the run."""
    return replayed(run_dir / "journal.jsonl"), _driven(run_dir)


def task_named(expansion: Expansion, name: str) -> int:
    """Return the serial number of ``SET[ITERATION].TASK``; 0 for what is left out.

    Raises
    ------
    WorkflowError
        If there is no such task.
    """
    match = _TASK.fullmatch(name)
    if match is not None:
        iteration, number = int(match[2] or 0), int(match[3] or 0)
        for instance in expansion.instances:
            here = instance.task_set.name == match[1] and instance.iteration == iteration
            if here and number < instance.count:
                return instance.first_task + number
    raise WorkflowError(f"there is no task {name!r}; expected a name such as simulation[2].17")


def story(replay: Replay, task: int, *, driven: bool) -> Iterator[str]:
    """Yield the story of one task, a line for each thing that befell it."""
    gated = replay.state.sets[replay.state.set_of[task]]
    yield f"{replay.expansion.task_name(task)}, {gated.shape}"
    for event in replay.events:
        if _befell(event, task):
            yield _told(event)
    in_flight = replay.state.status[task] in (Status.LAUNCHED, Status.RUNNING)
    if in_flight and not driven:
        yield "It was in flight when the run ended; resume tries it again."
    else:
        yield why(replay.state, task)


def _befell(event: Event, task: int) -> bool:
    """Return whether an event is about a task."""
    match event:
        case Dropped(first, _, _, tasks):
            return first <= task < first + tasks
        case _:
            return getattr(event, "task", None) == task


def _told(event: Event) -> str:
    match event:
        case Launched(_, attempt, time_us, placement, _, inputs, present):
            where = "; ".join(
                f"node {slot.node} cores {mask_to_text(slot.cores) or '–'}"
                + (f" GPUs {mask_to_text(slot.gpus)}" if slot.gpus else "")
                + "".join(f" {name} {amount}" for name, amount in slot.named)
                for slot in placement
            )
            used = "".join(
                f", with {on} of " + ("no iteration yet" if age is None else f"iteration {age}")
                for on, age in inputs
            )
            used += "".join(
                f", with tasks {mask_to_text(mask)} of {on}[{age}]" for on, age, mask in present
            )
            return f"{time_us / 1e6:10.3f} s  launched, attempt {attempt}, on {where}{used}"
        case Started(_, _, time_us):
            return f"{time_us / 1e6:10.3f} s  started"
        case Idled(_, _, time_us):
            return f"{time_us / 1e6:10.3f} s  waits"
        case Woke(_, _, time_us):
            return f"{time_us / 1e6:10.3f} s  goes on"
        case Revoked():
            return f"{'':10}    revoked: its group is tried again as a whole"
        case Finished(_, _, time_us):
            return f"{time_us / 1e6:10.3f} s  finished"
        case Failed(_, _, time_us, reason):
            return f"{time_us / 1e6:10.3f} s  failed: {reason.strip()}"
        case Lost(_, _, time_us, reason):
            return f"{time_us / 1e6:10.3f} s  lost: {reason}"
        case Cancelled(_, _, time_us):
            return f"{time_us / 1e6:10.3f} s  cancelled"
        case Told(_, time_us, converged, tasks):
            return f"{time_us / 1e6:10.3f} s  said: {said(converged, tasks)}"
        case Dropped(_, time_us, reason, _):
            return f"{time_us / 1e6:10.3f} s  dropped: {reason}"
        case Resumed(time_us):
            return f"{time_us / 1e6:10.3f} s  resumed"
        case _:
            return type(event).__name__.lower()


def _driven(run_dir: Path) -> bool:
    try:
        RunDirectory(run_dir).driver()
    except WorkflowError:
        return False
    return True
