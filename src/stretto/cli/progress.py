"""Progress of a run: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from stretto.cli.texts import last_line, printable, said
from stretto.running import Observer
from stretto.scheduler import (
    Dropped,
    Event,
    Failed,
    Finished,
    Forgiven,
    NodeLost,
    NodeReturned,
    Resumed,
    Told,
)
from stretto.units import counted
from stretto.workflow import Expansion

__all__ = ["shown"]

MOST_BARS = 24
"""With more sets than this times iterations, a bar shows all iterations of a set together."""


@contextlib.contextmanager
def shown(
    console: Console, expansion: Expansion, done: Sequence[int], dropped: Sequence[int]
) -> Iterator[Observer]:
    """Show progress while the context is open; what it yields observes the run.

    Parameters
    ----------
    console
        Where to show it.
    expansion
        What is run.
    done, dropped
        By instance: tasks that had finished, and that were dropped, before.
    """
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}", style="red"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console) as progress:
            yield _Bars(progress, expansion, done, dropped)
    else:
        yield _Lines(console, expansion, done, dropped)


class _Counts:
    """How many tasks of each set have finished, and how many were dropped."""

    def __init__(self, expansion: Expansion, done: Sequence[int], dropped: Sequence[int]) -> None:
        self.expansion = expansion
        self.firsts = [instance.first_task for instance in expansion.instances]
        self.done = list(done)
        self.dropped = list(dropped)

    def instance(self, task: int) -> int:
        return bisect_right(self.firsts, task) - 1


class _Lines(_Counts):
    """A line for each set that is complete, and for each failure."""

    def __init__(self, console: Console, *counts: Any) -> None:
        super().__init__(*counts)
        self._console = console

    def __call__(self, now_us: int, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case Finished(task, _, _):
                    index = self.instance(task)
                    self.done[index] += 1
                    self._tell_complete(now_us, index)
                case Told(task, _, converged, tasks):
                    name = self.expansion.task_name(task)
                    self._say(now_us, f"{name}: {said(converged, tasks)}")
                case Dropped(first, _, reason, tasks):
                    self._say(now_us, f"{counted(tasks, 'task')} dropped: {reason}")
                    for task in range(first, first + tasks):
                        self.dropped[self.instance(task)] += 1
                case Failed(task, attempt, _, reason):
                    name = self.expansion.task_name(task)
                    self._say(now_us, f"{name}: attempt {attempt} failed: {last_line(reason)}")
                case Forgiven(index, _):
                    self._say(now_us, self._forgiven(index))
                case NodeLost(node, _):
                    self._say(now_us, f"node {node} is lost")
                case NodeReturned(node, _):
                    self._say(now_us, f"node {node} is back")
                case Resumed():
                    self._say(now_us, "resumed")
                case _:
                    pass

    def _tell_complete(self, now_us: int, index: int) -> None:
        instance = self.expansion.instances[index]
        if self.done[index] + self.dropped[index] == instance.count:
            every = f"all {self.done[index]} " if self.done[index] > 1 else ""
            self._say(now_us, f"{instance.name}: {every}finished")

    def _forgiven(self, index: int) -> str:
        instance = self.expansion.instances[index]
        finished = f"{self.done[index]} of {instance.count} finished"
        return f"{instance.name}: {finished}, which is enough: its budget allows so many failures"

    def _say(self, now_us: int, text: str) -> None:
        line = f"[{now_us / 1e6:10.3f} s] {printable(text)}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Bars(_Counts):
    """A bar for each set, or for each set and iteration where these are few."""

    def __init__(self, progress: Progress, expansion: Expansion, *counts: Any) -> None:
        super().__init__(expansion, *counts)
        self._progress = progress
        self._failed: dict[TaskID, int] = {}
        joined = len(expansion.instances) > MOST_BARS
        bars: dict[str, TaskID] = {}
        self._bar_of: list[TaskID] = []
        for instance in expansion.instances:
            name = instance.task_set.name if joined else instance.name
            if name not in bars:
                bars[name] = progress.add_task(name, total=0, failed="")
            bar = bars[name]
            self._bar_of.append(bar)
            wanted = instance.count - self.dropped[instance.index]
            total = (progress.tasks[bar].total or 0) + wanted
            progress.update(bar, total=total, advance=self.done[instance.index])

    def __call__(self, now_us: int, events: Sequence[Event]) -> None:  # noqa: ARG002 - an Observer
        for event in events:
            match event:
                case Finished(task, _, _):
                    self._progress.advance(self._bar_of[self.instance(task)])
                case Dropped(first, _, _, tasks):
                    for task in range(first, first + tasks):
                        bar = self._bar_of[self.instance(task)]
                        total = self._progress.tasks[bar].total or 0
                        self._progress.update(bar, total=total - 1)
                case Failed(task, _, _, _):
                    bar = self._bar_of[self.instance(task)]
                    failed = self._failed[bar] = self._failed.get(bar, 0) + 1
                    self._progress.update(bar, failed=f"{failed} failed")
                case _:
                    pass
