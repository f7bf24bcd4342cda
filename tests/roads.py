"""The two roads of the simulator, side by side: what to compare, and how.

As a program, ``python -m tests.roads EXAMPLES``, it compares them without a compiler, the kernel as
plain Python.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stretto.analysis import check, utilisation
from stretto.platform import Node, Overheads, Platform
from stretto.resources import Resources
from stretto.scheduler import Mode, Order
from stretto.simulator import Simulator, simulation
from stretto.trace import Trace, interned
from stretto.workflow import Dependency, Pattern, TaskSet, Workflow, expand
from tests.workflows import cases

COLUMNS = ("task", "attempt", "launched_us", "started_us", "ended_us", "outcome")

OVERHEADS = st.builds(
    Overheads,
    launch_us=st.sampled_from([0, 0, 7, 10**6]),
    between_us=st.sampled_from([0, 0, 3, 500_000]),
    task_us=st.sampled_from([0, 0, 5]),
    stage_us=st.sampled_from([0, 0, 9, 10**6, 2 * 10**6]),
)


@contextmanager
def road(*, compiled: bool) -> Iterator[None]:
    """Take one road, whatever pays; the compiled one only where it covers the workflow."""
    with patch.object(simulation, "pays", lambda tasks: compiled):
        yield


@st.composite
def orders(draw: st.DrawFn, workflow: Workflow) -> Order:
    rule = draw(st.sampled_from(["critical-path", "largest-first", "listed", "given"]))
    names = [one.name for one in expand(workflow).instances]
    ranking = tuple(draw(st.permutations(names))) if rule == "given" else ()
    return Order(rule, ranking, strict=draw(st.booleans()))


@st.composite
def dense_cases(draw: st.DrawFn) -> tuple[Workflow, Platform]:
    """Much that happens at the same instant, waits for single tasks and shares what there is."""
    nodes = st.tuples(st.integers(6, 9), st.integers(2, 3), st.just(64), st.just({"seat": 5}))
    platform = Platform(
        "dense", tuple(Node("n", *one) for one in draw(st.lists(nodes, min_size=1)))
    )
    count = draw(st.sampled_from([6, 12]))
    names = [f"s{number}" for number in range(draw(st.integers(2, 4)))]
    sets = [
        TaskSet(
            name,
            tasks=draw(st.sampled_from([count, count, count // 2])),
            resources=Resources(
                cores=draw(st.integers(1, 3)),
                gpus=draw(st.sampled_from([0, 0.4, 1, 1])),
                memory=draw(st.sampled_from([0, 16])),
                ranks=draw(st.sampled_from([1, 1, 2])),
                named={"seat": draw(st.integers(0, 2))},
            ),
            duration=draw(st.sampled_from([0, 1, 1, 2, 3])),
        )
        for name in names
    ]
    linked = []
    for place, one in enumerate(sets):
        after = [
            Dependency(other.name, _pattern(draw, one, other))
            for other in sets[:place]
            if draw(st.integers(0, 2))
        ]
        if draw(st.integers(0, 2)):
            other = draw(st.sampled_from(sets))
            stale = draw(st.integers(0, 2))
            if not stale or all(each.on != other.name for each in after):
                after.append(Dependency(other.name, _pattern(draw, one, other), True, stale))
        linked.append(
            TaskSet(
                one.name,
                tasks=one.tasks,
                resources=one.resources,
                duration=one.duration,
                after=after,
            )
        )
    return Workflow("dense", linked, iterations=draw(st.integers(1, 4))), platform


def _pattern(draw: st.DrawFn, consumer: TaskSet, producer: TaskSet) -> Pattern:
    """Return a pattern that fits, for single tasks twice as often as not."""
    if consumer.tasks > producer.tasks or draw(st.integers(0, 2)) == 0:
        return Pattern.ALL
    return Pattern.EACH if consumer.tasks == producer.tasks else Pattern.GROUP


@st.composite
def wide_cases(draw: st.DrawFn) -> tuple[Workflow, Platform]:
    """Nodes whose cores and GPUs are masks of several words."""
    nodes = draw(st.lists(st.tuples(st.integers(60, 200), st.integers(0, 64)), min_size=1))
    platform = Platform("wide", tuple(Node("n", cores, gpus, 0) for cores, gpus in nodes))
    fewest_gpus = min(gpus for _, gpus in nodes)
    sets = [
        TaskSet(
            f"s{number}",
            tasks=draw(st.integers(1, 9)),
            resources=Resources(
                cores=draw(st.integers(1, 60)),
                gpus=draw(st.sampled_from([0, 1, 0.3])) if fewest_gpus else 0,
                ranks=draw(st.integers(1, len(nodes))),
            ),
            duration=draw(st.integers(0, 5)),
        )
        for number in range(draw(st.integers(1, 4)))
    ]
    return Workflow("wide", sets, iterations=draw(st.integers(1, 3))), platform


def both(simulator: Simulator, seed: int) -> tuple[Trace, Trace]:
    """Return the trace of the readable road and that of the compiled one."""
    with road(compiled=False):
        readable = simulator.trace(seed)
    with road(compiled=True):
        compiled = simulator.trace(seed)
    return readable, compiled


def assert_alike(readable: Trace, compiled: Trace) -> None:
    """Assert that nobody can tell the traces apart."""
    for name in COLUMNS:
        ours, theirs = getattr(compiled, name), getattr(readable, name)
        assert ours.dtype == theirs.dtype, name
        assert ours.tolist() == theirs.tolist(), name
    assert list(compiled.placements) == list(readable.placements)
    distinct = interned(compiled.placements).distinct
    assert len(set(distinct)) == len(distinct)
    assert list(compiled.inputs.items()) == list(readable.inputs.items())
    for name in ("workflow", "platform", "mode", "order", "seed", "kind", "reasons", "notes"):
        assert getattr(compiled, name) == getattr(readable, name), name


def assert_agree(simulator: Simulator, seed: int) -> None:
    """Assert that both roads agree with each other and with the checker."""
    readable, compiled = both(simulator, seed)
    assert_alike(readable, compiled)
    workflow, stage_us = simulator.workflow, simulator.overheads.stage_us
    check(compiled, slack_us=stage_us * workflow.iterations * len(workflow.task_sets))
    used = utilisation(readable)
    for compiled_too in (False, True):
        with road(compiled=compiled_too):
            found = simulator.ttx((seed,))
        assert found.ttx_us.tolist() == [readable.ttx_us]
        assert found.cores.tolist() == [used.cores]
        assert used.gpus is None or found.gpus is not None
        assert (None if found.gpus is None else found.gpus.tolist()) == (
            None if used.gpus is None else [used.gpus]
        )


def agree(examples: int) -> None:
    """Compare both roads on so many random workflows."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        st.one_of(cases(), dense_cases(), dense_cases(), wide_cases()),
        st.sampled_from([*Mode, Mode.TASK_LEVEL, Mode.TASK_LEVEL]),
        OVERHEADS,
        st.integers(0, 3),
        st.data(),
    )
    def on(
        case: tuple[Workflow, Platform],
        mode: Mode,
        overheads: Overheads,
        seed: int,
        data: st.DataObject,
    ) -> None:
        workflow, platform = case
        order = data.draw(orders(workflow))
        simulator = Simulator(workflow, platform, mode=mode, order=order, overheads=overheads)
        assert_agree(simulator, seed)

    on()


if __name__ == "__main__":
    sys.modules["numba"] = None  # type: ignore[assignment]
    with np.errstate(all="raise"):
        agree(int(sys.argv[1]))
    from stretto.compiling import COMPILES
    from stretto.simulator.compiled import kernel

    assert not COMPILES
    sys.stdout.write(f"plain {kernel.play.__module__}\n")
