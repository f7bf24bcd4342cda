"""Small hand-made traces, and a simple-minded maker of larger ones, for tests of what reads traces.

The maker is no scheduler of the package: whole sets wait for whole sets, first come first placed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from stretto.platform import Node, Placement, Platform, Slot
from stretto.resources import Resources
from stretto.trace import UNKNOWN_US, Kind, Outcome, Trace
from stretto.workflow import TaskSet, Workflow, expand

SECOND_US = 1_000_000


class Attempt(NamedTuple):
    """One row, with times in seconds."""

    task: int
    launched: float
    started: float | None
    ended: float | None
    placement: Placement
    attempt: int = 1
    outcome: Outcome = Outcome.FINISHED


def slot(
    cores: Iterable[int],
    gpus: Iterable[int] = (),
    *,
    node: int = 0,
    gpu_milli: int = 1000,
    memory_mib: int = 0,
    ranks: int = 1,
    named: Mapping[str, int] | None = None,
) -> Slot:
    """Return a slot with these cores and GPUs by number."""
    cores, gpus = list(cores), list(gpus)
    return Slot(
        node,
        sum(1 << core for core in cores),
        sum(1 << gpu for gpu in gpus),
        gpu_milli if gpus else 0,
        memory_mib,
        ranks,
        tuple((named or {}).items()),
    )


def platform(nodes: int = 1, *, cores: int = 4, gpus: int = 2, memory_mib: int = 1024) -> Platform:
    return Platform(
        f"small:{nodes}", tuple(Node(f"n{n}", cores, gpus, memory_mib) for n in range(nodes))
    )


def made(
    workflow: Workflow,
    on: Platform,
    attempts: Sequence[Attempt],
    *,
    mode: str = "asynchronous",
    kind: Kind = Kind.SIMULATED,
    **others: Any,
) -> Trace:
    def times(values: Iterable[float | None]) -> Any:
        return np.array(
            [UNKNOWN_US if value is None else round(value * SECOND_US) for value in values],
            dtype=np.int64,
        )

    return Trace(
        workflow=workflow,
        platform=on,
        mode=mode,
        seed=0,
        kind=kind,
        task=np.array([each.task for each in attempts], dtype=np.int64),
        attempt=np.array([each.attempt for each in attempts], dtype=np.int64),
        launched_us=times(each.launched for each in attempts),
        started_us=times(each.started for each in attempts),
        ended_us=times(each.ended for each in attempts),
        outcome=np.array([each.outcome for each in attempts], dtype=np.int8),
        placements=tuple(each.placement for each in attempts),
        **others,
    )


def changed(trace: Trace, row: int, **values: Any) -> Trace:
    """Return `trace` with one row changed; times in seconds."""
    columns: dict[str, Any] = {}
    for name, value in values.items():
        match name:
            case "placement":
                placements = list(trace.placements)
                placements[row] = value
                columns["placements"] = tuple(placements)
                continue
            case "launched" | "started" | "ended":
                name, value = f"{name}_us", UNKNOWN_US if value is None else value * SECOND_US
        column = getattr(trace, name).copy()
        column[row] = value
        columns[name] = column
    return replace(trace, **columns)


def deepdrivemd(iterations: int = 3, *, scale: int = 1) -> Workflow:
    """Return Table 1 of the paper, `scale` times as wide."""
    gpu = {"gpus": 1}
    return Workflow(
        "deepdrivemd",
        [
            TaskSet(
                "simulation",
                tasks=96 * scale,
                resources=Resources(cores=4, **gpu),
                duration={"mean": 340, "sd": 17},
                retries=2,
            ),
            TaskSet(
                "aggregation",
                tasks=16 * scale,
                resources=Resources(cores=32),
                duration={"mean": 85, "sd": 4},
                after={"simulation": "group"},
                retries=2,
            ),
            TaskSet(
                "training",
                resources=Resources(cores=4, **gpu),
                duration=63,
                after="aggregation",
            ),
            TaskSet(
                "inference",
                tasks=96 * scale,
                resources=Resources(cores=16, **gpu),
                duration={"mean": 38, "sd": 2},
                after="training",
                retries=2,
            ),
        ],
        iterations=iterations,
    )


def summit(nodes: int = 16) -> Platform:
    return Platform(f"summit:{nodes}", tuple(Node(f"n{n}", 168, 6, 1 << 19) for n in range(nodes)))


def greedy(
    workflow: Workflow,
    on: Platform,
    *,
    mode: str = "asynchronous",
    kind: Kind = Kind.SIMULATED,
    seed: int = 0,
    overhead: float = 0.0,
    fail_every: int = 0,
    reasons: Mapping[str, str] | None = None,
) -> Trace:
    """Return a legal trace of one-rank tasks: every `fail_every`-th attempt of a set fails once."""
    maker = _Maker(workflow, on, mode, np.random.default_rng(seed), overhead, fail_every)
    maker.run()
    trace = made(workflow, on, maker.attempts, mode=mode, kind=kind)
    told = dict(reasons or {})
    failed = np.flatnonzero(trace.outcome == Outcome.FAILED).tolist()
    names = [expand(workflow).instance_of(int(trace.task[row])).task_set.name for row in failed]
    return replace(
        trace,
        reasons={
            row: told.get(name, "exit status 1") for row, name in zip(failed, names, strict=True)
        },
    )


class _Maker:
    def __init__(self, workflow, on, mode, rng, overhead, fail_every):
        self.expansion = expand(workflow)
        self.overhead, self.fail_every = overhead, fail_every
        self.attempts: list[Attempt] = []
        self.cores = [list(range(node.cores)) for node in on.nodes]
        self.gpus = [list(range(node.gpus)) for node in on.nodes]
        self.left = [instance.count for instance in self.expansion.instances]
        self.waits = self._waits(mode)
        self.drawn = [
            each.task_set.duration.draw(rng, each.count) / SECOND_US
            for each in self.expansion.instances
        ]
        self.queues: dict[int, list[tuple[int, int]]] = {}
        self.running: list[tuple[float, int, int, bool]] = []
        self.now = 0.0

    def _waits(self, mode):
        waits: list[set[int]] = [set() for _ in self.expansion.instances]
        for instance in self.expansion.instances:
            waits[instance.index].update(e.gate for e in instance.edges if e.gate is not None)
        if mode == "sequential":
            stages = self.expansion.stages
            for earlier, later in pairwise(stages):
                for one in later:
                    waits[one].update(earlier)
        return waits

    def run(self):
        self._release()
        while self.queues or self.running:
            self._place()
            self.now = self.running[0][0]
            while self.running and self.running[0][0] <= self.now:
                self._end(*heapq.heappop(self.running)[1:])
            self._release()

    def _release(self):
        for index, waits in enumerate(self.waits):
            if waits is not None and not any(self.left[one] for one in waits):
                first = self.expansion.instances[index].first_task
                count = self.expansion.instances[index].count
                self.queues[index] = [(first + n, 1) for n in reversed(range(count))]
                self.waits[index] = None

    def _place(self):
        for index in sorted(self.queues):
            shape = self.expansion.instances[index].task_set.resources
            gpus, node = shape.gpus_milli // 1000, 0
            queue = self.queues[index]
            while queue and node < len(self.cores):
                if len(self.cores[node]) < shape.cores or len(self.gpus[node]) < gpus:
                    node += 1
                    continue
                self._launch(index, *queue.pop(), node, shape.cores, gpus)
            if not queue:
                del self.queues[index]

    def _launch(self, index, task, attempt, node, cores, gpus):
        took = self.cores[node][:cores], self.gpus[node][:gpus]
        del self.cores[node][:cores], self.gpus[node][:gpus]
        instance = self.expansion.instances[index]
        number = task - instance.first_task
        fails = bool(self.fail_every) and attempt == 1 and instance.task_set.retries > 0
        fails = fails and number % self.fail_every == self.fail_every - 1
        started = self.now + self.overhead
        ended = started + float(self.drawn[index][number]) * (0.5 if fails else 1)
        outcome = Outcome.FAILED if fails else Outcome.FINISHED
        lies = (slot(*took, node=node),)
        heapq.heappush(self.running, (ended, len(self.attempts), index, fails))
        self.attempts.append(Attempt(task, self.now, started, ended, lies, attempt, outcome))

    def _end(self, row, index, fails):
        done = self.attempts[row]
        for held, free in (("cores", self.cores), ("gpus", self.gpus)):
            mask = getattr(done.placement[0], held)
            free[done.placement[0].node] += [n for n in range(mask.bit_length()) if mask >> n & 1]
        if fails:
            self.queues.setdefault(index, []).append((done.task, done.attempt + 1))
        else:
            self.left[index] -= 1
