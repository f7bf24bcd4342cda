"""The state of a run, from its journal: how far it is, and the story of one task."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stretto.errors import WorkflowError
from stretto.runtime import RunDirectory
from stretto.scheduler import (
    Cancelled,
    Event,
    Failed,
    Finished,
    Launched,
    Lost,
    Mode,
    Resumed,
    Started,
    State,
    Status,
    critical_path,
    gated_sets,
    why,
)
from stretto.trace import Header, mask_to_text, read_events, read_header
from stretto.workflow import Expansion, expand

__all__ = ["Replay", "replayed", "story", "task_named"]

_TASK = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)(?:\[(\d+)\])?(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Replay:
    """A journal, applied.

    Parameters
    ----------
    header
        What is run.
    state
        Where the run stands.
    now_us
        Time of the last round.
    events
        All events, in order.
    notes
        What befell the run as a whole.
    driven
        Whether somebody drives it at present.
    """

    header: Header
    expansion: Expansion
    state: State
    now_us: int
    events: list[Event]
    notes: list[str]
    driven: bool

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain values."""
        sets = []
        for instance in self.expansion.instances:
            tasks = slice(instance.first_task, instance.first_task + instance.count)
            status = bytes(self.state.status[tasks])
            counts = {one.name.lower(): status.count(one) for one in Status}
            sets.append({"set": instance.task_set.name, "iteration": instance.iteration, **counts})
        return {
            "workflow": self.header.workflow.name,
            "platform": self.header.platform.name,
            "mode": self.header.mode,
            "kind": str(self.header.kind),
            "began": self.header.began,
            "time_s": self.now_us / 1e6,
            "driven": self.driven,
            "tasks": self.expansion.n_tasks,
            "finished": self.state.n_finished,
            "in_flight": self.state.n_in_flight,
            "failed": len(self.state.failed()),
            "notes": self.notes,
            "sets": sets,
        }


def replayed(run_dir: Path) -> Replay:
    """Return the state that the journal in `run_dir` leads to."""
    path = run_dir / "journal.jsonl"
    header = read_header(path)
    expansion = expand(header.workflow)
    sets = gated_sets(expansion, Mode(header.mode))
    state = State(sets, header.platform.nodes, critical_path(sets))
    now_us = 0
    events: list[Event] = []
    notes: list[str] = []
    for time_us, arrived, note in read_events(path):
        now_us = max(now_us, time_us)
        for event in arrived:
            state.apply(event)
        events += arrived
        if note is not None:
            notes.append(f"{time_us / 1e6:.3f} s: {note}")
    return Replay(header, expansion, state, now_us, events, notes, _driven(run_dir))


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


def story(replay: Replay, task: int) -> Iterator[str]:
    """Yield the story of one task, a line for each thing that befell it."""
    gated = replay.state.sets[replay.state.set_of[task]]
    yield f"{replay.expansion.task_name(task)}, {gated.shape}"
    for event in replay.events:
        if getattr(event, "task", None) == task:
            yield _told(event)
    in_flight = replay.state.status[task] in (Status.LAUNCHED, Status.RUNNING)
    if in_flight and not replay.driven:
        yield "It was in flight when the run ended; resume tries it again."
    else:
        yield why(replay.state, task)


def _told(event: Event) -> str:
    match event:
        case Launched(_, attempt, time_us, placement, _, inputs):
            where = "; ".join(
                f"node {slot.node} cores {mask_to_text(slot.cores) or '–'}"
                + (f" GPUs {mask_to_text(slot.gpus)}" if slot.gpus else "")
                for slot in placement
            )
            used = "".join(
                f", with {on} of " + ("no iteration yet" if age is None else f"iteration {age}")
                for on, age in inputs
            )
            return f"{time_us / 1e6:10.3f} s  launched, attempt {attempt}, on {where}{used}"
        case Started(_, _, time_us):
            return f"{time_us / 1e6:10.3f} s  started"
        case Finished(_, _, time_us):
            return f"{time_us / 1e6:10.3f} s  finished"
        case Failed(_, _, time_us, reason):
            return f"{time_us / 1e6:10.3f} s  failed: {reason.strip()}"
        case Lost(_, _, time_us, reason):
            return f"{time_us / 1e6:10.3f} s  lost: {reason}"
        case Cancelled(_, _, time_us):
            return f"{time_us / 1e6:10.3f} s  cancelled"
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
