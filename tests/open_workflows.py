"""Random workflows of which results decide something, and quorums in them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from stretto.errors import WorkflowError
from stretto.platform import Platform
from stretto.workflow import Dependency, Pattern, TaskSet, Workflow
from tests.workflows import NOISY, platforms, shapes

QUORUMS = st.sampled_from([0.1, 0.5, 0.7, 0.9, 1.0])


@st.composite
def open_workflows(draw: st.DrawFn, platform: Platform) -> Workflow:
    """A loop with a set of one task, `judge`, that decides whatever is to be decided."""
    sets = [TaskSet("judge", duration=draw(st.integers(0, 9)), after=draw(_before_judge()))]
    expected = draw(st.integers(1, 6))
    for number in range(1, 5):
        tasks: Any = draw(st.sampled_from([1, 2, 3, 4, 6, 7, "open", "open"]))
        after = []
        if tasks == "open":
            tasks = {"from": "judge", "at_most": 6, "expected": expected}
            after.append(Dependency("judge", previous=draw(st.booleans())))
        after += [
            draw(_dependency(other, tasks))
            for other in sets
            if draw(st.booleans()) and other.name not in {one.on for one in after}
        ]
        sets.append(
            TaskSet(
                f"s{number}",
                tasks=tasks,
                resources=draw(shapes(platform)),
                duration=draw(st.one_of(st.integers(0, 30), NOISY)),
                after=after,
                retries=draw(st.integers(0, 2)),
                failures=draw(st.sampled_from([0, 0, 1, "30%"])),
            )
        )
    if platform.cores > 1 and draw(st.booleans()):
        sets += draw(_group())
    at_most = draw(st.integers(1, 5))
    iterations: Any = at_most
    if draw(st.booleans()):
        turns = draw(st.integers(1, at_most))
        iterations = {"at_most": at_most, "until": "judge", "expected": turns}
    try:
        return Workflow("drawn", sets, iterations=iterations)
    except WorkflowError:
        return Workflow("drawn", [_simpler(one) for one in sets], iterations=iterations)


@st.composite
def _group(draw: st.DrawFn) -> list[TaskSet]:
    """Two tasks that run at once, and may end at different times."""
    after = Dependency("judge", previous=True, staleness=draw(st.integers(0, 2)))
    times = st.integers(0, 30)
    return [
        TaskSet("left", duration=draw(times), after=after),
        TaskSet("right", duration=draw(times), with_="left", retries=draw(st.integers(0, 1))),
    ]


def _simpler(task_set: TaskSet) -> TaskSet:
    """Return a set that cancels nothing, and waits for tasks that are there in any case."""
    after = [
        Dependency(one.on, previous=one.previous, staleness=one.staleness, quorum=one.quorum)
        if one.quorum is not None and one.quorum <= 1
        else Dependency(one.on, previous=one.previous, staleness=one.staleness)
        for one in task_set.after
    ]
    return TaskSet(
        task_set.name,
        tasks=task_set.open_count or task_set.tasks,
        resources=task_set.resources,
        duration=task_set.duration,
        after=after,
        with_=task_set.with_,
        retries=task_set.retries,
        failures=task_set.failures,
    )


@st.composite
def _before_judge(draw: st.DrawFn) -> list[Dependency]:
    """Wait for results of the iteration before, which closes the loop."""
    name = draw(st.sampled_from(["s1", "s2", "s3", "s4"]))
    quorum = draw(st.one_of(st.none(), st.sampled_from([0.3, 0.8])))
    return [Dependency(name, previous=True, staleness=draw(st.integers(0, 2)), quorum=quorum)]


@st.composite
def _dependency(draw: st.DrawFn, on: TaskSet, tasks: Any) -> Dependency:
    previous = draw(st.sampled_from([False, False, True]))
    staleness = draw(st.integers(0, 2)) if previous else 0
    patterns = [Pattern.ALL, Pattern.QUORUM, Pattern.QUORUM]
    if on.open_count is not None and isinstance(tasks, dict) and not previous:
        patterns.append(Pattern.EACH)
    elif on.open_count is None and not isinstance(tasks, dict) and tasks <= on.tasks:
        patterns.append(Pattern.EACH if tasks == on.tasks else Pattern.GROUP)
    pattern = draw(st.sampled_from(patterns))
    if pattern is not Pattern.QUORUM:
        return Dependency(on.name, pattern, previous, staleness)
    stragglers: Any = draw(st.sampled_from(["finish", "cancel"]))
    return Dependency(
        on.name,
        previous=previous,
        staleness=staleness,
        quorum=draw(st.one_of(st.integers(1, on.tasks), QUORUMS)),
        stragglers=stragglers,
    )


@st.composite
def open_cases(draw: st.DrawFn) -> tuple[Workflow, Platform]:
    platform = draw(platforms())
    return draw(open_workflows(platform)), platform
