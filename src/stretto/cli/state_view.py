"""The state of a run, from its journal: how far it is, and the story of one task."""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

from stretto.cli.texts import said
from stretto.errors import WorkflowError
from stretto.runtime import RunDirectory
from stretto.scheduler import (
    Dropped,
    Event,
    Failed,
    Idled,
    Launched,
    Lost,
    Mode,
    Revoked,
    Status,
    Told,
    Woke,
    begun,
    waits,
    why,
)
from stretto.trace import Replay, mask_to_text, replayed
from stretto.units import US_PER_SECOND
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
    mind = replay.state.mind
    limit = replay.state.limit
    return {
        "workflow": replay.header.workflow.name,
        "platform": replay.header.platform.name,
        "mode": replay.header.mode,
        "policy": None if mind is None else str(mind.policy),
        "kind": str(replay.header.kind),
        "began": replay.header.began,
        "time_s": replay.now_us / 1e6,
        "driven": driven,
        "tasks": replay.expansion.n_tasks,
        "finished": replay.state.n_finished,
        "in_flight": replay.state.n_in_flight,
        "failed": len(replay.state.failed()),
        "forgiven": replay.state.shortfall.n_forgiven,
        "dropped": replay.state.n_dropped,
        "done": replay.state.done,
        "until_s": None if limit is None else limit.until_us / 1e6,
        "lost_nodes": [replay.state.slots.nodes[node].name for node in replay.state.slots.lost],
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
    header = replay.header
    state = begun(
        replay.expansion, header.platform.nodes, mode=Mode(header.mode), order=header.order
    )
    told: list[tuple[int, str]] = []
    now_us = 0
    for event in replay.events:
        now_us = getattr(event, "time_us", now_us)
        if _befell(event, task):
            told.append((now_us, _told(event)))
    # What it waited for comes before the launch at which the waiting ended.
    for time_us, said_of_it in sorted(
        [*waits(state, replay.events, task), *told], key=itemgetter(0)
    ):
        yield f"{time_us / US_PER_SECOND:10.3f} s  {said_of_it}"
    in_flight = replay.state.status[task] in (Status.LAUNCHED, Status.RUNNING)
    if in_flight and not driven:
        yield "It was in flight when the run ended; resume tries it again."
    else:
        yield why(replay.state, task, now_us=replay.now_us)


def _befell(event: Event, task: int) -> bool:
    """Return whether an event is about a task."""
    match event:
        case Dropped(first, _, _, tasks):
            return first <= task < first + tasks
        case _:
            return getattr(event, "task", None) == task


def _told(event: Event) -> str:
    match event:
        case Launched(_, attempt, _, placement, _, inputs, present):
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
            return f"launched, attempt {attempt}, on {where}{used}"
        case Idled():
            return "waits"
        case Woke():
            return "goes on"
        case Revoked():
            return "revoked: its group is tried again as a whole"
        case Failed(_, _, _, reason):
            return f"failed: {reason.strip()}"
        case Lost(_, _, _, reason):
            return f"lost: {reason}"
        case Told(_, _, converged, tasks):
            return f"said: {said(converged, tasks)}"
        case Dropped(_, _, reason, _):
            return f"dropped: {reason}"
        case _:
            return type(event).__name__.lower()


def _driven(run_dir: Path) -> bool:
    try:
        RunDirectory(run_dir).driver()
    except WorkflowError:
        return False
    return True
