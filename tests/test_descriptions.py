"""The description layer: units, needs, durations, dependencies, templates, loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.errors import WorkflowError
from stretto.platform import Node
from stretto.resources import MOST_NAMED, MOST_OF_NAMED, Resources
from stretto.units import (
    gpus_to_milli,
    memory_to_mib,
    seconds_to_us,
    span_to_us,
    us_to_seconds,
)
from stretto.workflow import (
    FIELDS,
    Constant,
    Dependency,
    Duration,
    Lognormal,
    Normal,
    Pattern,
    Sample,
    TaskSet,
    Workflow,
    block,
    duration_of,
    expand,
    fill,
)

LONGEST_US = 10 * 365 * 86_400 * 1_000_000


@given(st.integers(0, LONGEST_US))
def test_seconds_keep_every_microsecond(us: int) -> None:
    assert seconds_to_us(us_to_seconds(us)) == us


@pytest.mark.parametrize(
    "value", [-1, math.nan, math.inf, -math.inf, 4e8, True, "3", None, 10**400]
)
def test_what_is_no_number_of_seconds_is_refused(value: Any) -> None:
    with pytest.raises(WorkflowError):
        seconds_to_us(value)


@pytest.mark.parametrize(
    ("gpus", "milli"), [(0, 0), (1, 1000), (2.0, 2000), (0.5, 500), (0.001, 1), (1 / 3, 333)]
)
def test_gpus_are_counted_in_thousandths(gpus: float, milli: int) -> None:
    assert gpus_to_milli(gpus) == milli


@pytest.mark.parametrize("gpus", [-1, 1.5, 0.0001, -0.0001, math.nan, math.inf, True, "1", 10**400])
def test_what_is_no_number_of_gpus_is_refused(gpus: Any) -> None:
    with pytest.raises(WorkflowError):
        gpus_to_milli(gpus)


@pytest.mark.parametrize(
    ("memory", "mib"),
    [(0, 0), (512, 512), (0.5, 1), ("4 GiB", 4096), ("512MB", 489), ("1 tib", 1 << 20), ("7", 7)],
)
def test_memory_is_rounded_up_to_mib(memory: float | str, mib: int) -> None:
    assert memory_to_mib(memory) == mib


@pytest.mark.parametrize(
    "memory", [-1, "-1 GiB", "GiB", "4 apples", math.nan, True, None, [], 10**400, "9" * 400]
)
def test_what_is_no_memory_is_refused(memory: Any) -> None:
    with pytest.raises(WorkflowError):
        memory_to_mib(memory)


@pytest.mark.parametrize(
    ("span", "seconds"),
    [
        (90, 90),
        ("90", 90),
        (" 1.5h ", 5400),
        ("2h30m", 9000),
        ("1D1s", 86_401),
        ("10:30", 630),
        ("1:30:00", 5400),
    ],
)
def test_spans_are_read_as_people_write_them(span: float | str, seconds: float) -> None:
    assert span_to_us(span) == seconds * 1_000_000


@pytest.mark.parametrize("span", ["", "h", "2x", "1:90", "-1", "m30", -1, None, "9" * 30])
def test_what_is_no_span_is_refused(span: Any) -> None:
    with pytest.raises(WorkflowError):
        span_to_us(span)


def test_equal_needs_are_one_shape() -> None:
    one = Resources(cores=4, gpus=0.5, memory="1 GiB", ranks=2)
    assert one == Resources(cores=4, gpus=0.5, memory=1024, ranks=2)
    assert hash(one) == hash(Resources(cores=4, gpus=0.5, memory=1024, ranks=2))
    assert str(one) == "2 ranks of 4 cores, 0.5 GPU, 1024 MiB"


def test_named_needs_are_part_of_the_shape_whatever_their_order() -> None:
    one = Resources(cores=2, named={"licence": 1, "fpga": 3, "none": 0})
    assert one == Resources(cores=2, named={"fpga": 3, "licence": 1})
    assert hash(one) == hash(Resources(cores=2, named={"fpga": 3, "licence": 1}))
    assert one != Resources(cores=2, named={"fpga": 3}) != Resources(cores=2)
    assert Resources(cores=2) < Resources(cores=2, named={"fpga": 3}) < one
    assert one.named == (("fpga", 3), ("licence", 1))
    assert str(one) == "2 cores, 3 fpga, 1 licence"
    assert str(Resources(cores=0, ranks=2, named={"r1": 4})) == "2 ranks of 0 cores, 4 r1"


@pytest.mark.parametrize(
    ("named", "path"),
    [
        (5, ("named",)),
        ("licence", ("named",)),
        ([("licence", 1, 2)], ("named",)),
        ({"licence": -1}, ("named", "licence")),
        ({"licence": 1.0}, ("named", "licence")),
        ({"licence": True}, ("named", "licence")),
        ({"licence": MOST_OF_NAMED + 1}, ("named", "licence")),
        ({"a licence": 1}, ("named", "a licence")),
        ({5: 1}, ("named", "5")),
        ({"cores": 1}, ("named", "cores")),
        ([("licence", 1), ("licence", 1)], ("named", "licence")),
        ({f"r{number}": 1 for number in range(MOST_NAMED + 1)}, ("named",)),
    ],
)
def test_named_amounts_that_cannot_be_are_refused_by_name(named: Any, path: Any) -> None:
    for make in (lambda: Resources(named=named), lambda: Node("n", 1, 0, 0, named)):
        with pytest.raises(WorkflowError) as caught:
            make()
        assert caught.value.path == path


@pytest.mark.parametrize(
    ("needs", "key"),
    [
        ({"cores": 0, "named": {"licence": 0}}, "cores"),
        ({"cores": -1}, "cores"),
        ({"cores": 0}, "cores"),
        ({"cores": 1.0}, "cores"),
        ({"gpus": 1.5}, "gpus"),
        ({"memory": "x"}, "memory"),
        ({"ranks": 0}, "ranks"),
        ({"ranks": True}, "ranks"),
    ],
)
def test_needs_that_cannot_be_are_refused_by_name(needs: dict[str, Any], key: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        Resources(**needs)
    assert caught.value.path == (key,)


@pytest.mark.parametrize(
    ("value", "duration"),
    [
        (None, None),
        (3, Constant(3_000_000)),
        (0.5, Constant(500_000)),
        ({"mean": 3, "sd": 1}, Normal(3_000_000, 1_000_000)),
        ({"mean": 3}, Normal(3_000_000, 0)),
        ({"lognormal": {"mean": 3, "sd": 1}}, Lognormal(3_000_000, 1_000_000)),
        ({"sample": [1, 2.5]}, Sample((1_000_000, 2_500_000))),
    ],
)
def test_durations_are_what_they_say(value: object, duration: Duration | None) -> None:
    assert duration_of(value) == duration
    assert duration_of(duration) == duration


@pytest.mark.parametrize(
    "value",
    [
        *(-1, "3", True, [], {}, math.inf, object()),
        *({"mean": -1}, {"mean": 1, "sd": -1}, {"mean": 1, "sigma": 1}, {"sd": 1}),
        *({"sample": []}, {"sample": [1, math.nan]}, {"sample": 3}, {"sample": [1], "mean": 2}),
        *({"lognormal": 3}, {"lognormal": {"mean": 1}, "mean": 2}),
    ],
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(WorkflowError):
        duration_of(value)


us = st.integers(0, LONGEST_US)


@given(
    st.one_of(
        us.map(Constant),
        st.builds(Normal, us, us),
        st.builds(Lognormal, us, us),
        st.lists(us, min_size=1).map(lambda values: Sample(tuple(values))),
    ),
    st.integers(0, 50),
    st.integers(0, 2**32),
)
def test_draws_are_whole_not_negative_and_the_seeds_own(
    duration: Duration, count: int, seed: int
) -> None:
    drawn = duration.draw(np.random.default_rng(seed), count)
    assert drawn.shape == (count,)
    assert drawn.dtype == np.int64
    assert (drawn >= 0).all()
    assert (drawn == duration.draw(np.random.default_rng(seed), count)).all()


@pytest.mark.parametrize(
    "duration",
    [
        Constant(1_000_000),
        Normal(1_000_000, 100_000),
        Lognormal(1_000_000, 500_000),
        Sample((500_000, 1_000_000, 1_500_000)),
    ],
)
def test_belief_is_the_mean_of_the_truth(duration: Duration) -> None:
    drawn = duration.draw(np.random.default_rng(7), 100_000)
    assert drawn.mean() == pytest.approx(duration.mean_us, rel=0.01)
    if isinstance(duration, Normal | Lognormal):
        assert drawn.std() == pytest.approx(duration.sd_us, rel=0.02)


@given(st.integers(1, 200), st.integers(0, 300))
def test_blocks_share_the_producers_out_evenly(consumers: int, more: int) -> None:
    producers = consumers + more
    blocks = [block(number, consumers, producers) for number in range(consumers)]
    assert [one for some in blocks for one in some] == list(range(producers))
    assert max(map(len, blocks)) - min(map(len, blocks)) <= 1
    for number, some in enumerate(blocks):
        assert all(one * consumers // producers == number for one in some)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (None, []),
        ("a", [Dependency("a")]),
        (["a", "b"], [Dependency("a"), Dependency("b")]),
        ({"a": "each", "b": None}, [Dependency("a", Pattern.EACH), Dependency("b")]),
        ({"a": {"pattern": "group"}}, [Dependency("a", Pattern.GROUP)]),
        (
            ["a", {"a": {"iteration": "previous"}}],
            [Dependency("a"), Dependency("a", previous=True)],
        ),
        (Dependency("a", "each"), [Dependency("a", Pattern.EACH)]),
    ],
)
def test_what_a_set_waits_for(after: object, expected: list[Dependency]) -> None:
    assert list(TaskSet("x", after=after).after) == expected


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (5, "after: expected a name, a list or a mapping, found 5"),
        ([5], "after: expected the name of a task set, found 5"),
        (["a", "a"], "after: the same set is waited for twice"),
        ({"a": "quorum"}, "after.a.pattern: the pattern quorum needs a number"),
        ({"a": {"pattern": {"quorum": 0.5}}}, "after.a.pattern: expected all, each, group or"),
        ({"a": 5}, "after.a: expected a pattern or a mapping, found 5"),
        ({"a": {"staleness": 1}}, "after.a.staleness: staleness needs 'iteration: previous'"),
        (
            {"a": {"iteration": "previous", "staleness": "auto"}},
            "after.a.staleness: expected a whole number of iterations, found",
        ),
        ({"a": {"iteration": "last"}}, "after.a.iteration: expected same or previous"),
        (
            ["a", {"a": {"iteration": "previous", "staleness": 2}}],
            "after: what is waited for in the same iteration cannot be stale as well",
        ),
    ],
)
def test_waiting_that_makes_no_sense_is_refused(after: object, message: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        TaskSet("x", after=after)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "a b"}, "name: expected up to 64 letters"),
        ({"tasks": 0}, "tasks: expected 1 to"),
        ({"resources": 4}, "resources: expected Resources, found 4"),
        ({"command": "a 'b"}, "command: cannot be split into words"),
        ({"command": ""}, "command: expected a program to run, found nothing"),
        ({"command": {"a"}}, "command: expected a list of words or text"),
        ({"command": ["a", "b\0"]}, "command.1: expected text"),
        ({"command": "a {}"}, "command: no field {}"),
        ({"command": "a", "function": "m:f"}, "function: expected a command or a function"),
        ({"command": "a", "arguments": {}}, "arguments: arguments need a function"),
        ({"command": "a", "shell": 1}, "shell: expected true or false, found 1"),
        ({"function": "nothing"}, "function: expected module:function or a callable"),
        ({"function": "m:f", "arguments": [1]}, "arguments: expected a mapping"),
        ({"function": "m:f", "arguments": {"a b": 1}}, "arguments: expected the name of a param"),
        ({"function": "m:f", "arguments": {"a": ["{x}"]}}, "arguments.a: no field {x}"),
        ({"environment": {"A=B": "1"}}, "environment: expected the name of a variable"),
        ({"environment": {"A": True}}, "environment.A: expected text, found True"),
        ({"environment": {"A": "\0"}}, "environment.A: expected text without null bytes"),
        ({"working_directory": 5}, "working_directory: expected a folder, found 5"),
        ({"working_directory": "{x}"}, "working_directory: no field {x}"),
        ({"timeout": 0}, "timeout: expected more than 0 seconds"),
        ({"retries": 101}, "retries: expected 0 to 100, found 101"),
    ],
)
def test_a_task_set_names_the_argument_that_is_wrong(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(WorkflowError) as caught:
        TaskSet(**{"name": "a", **arguments})
    assert str(caught.value).startswith(message)


def test_templates_replace_fields_and_nothing_else() -> None:
    fields = {"task": 3, "inputs.sim": "none"}
    assert fill("{task}-{{x}}-{inputs.sim}", fields) == "3-{x}-none"
    assert fill("plain", {}) == "plain"


@given(st.text())
def test_text_with_its_braces_doubled_is_itself(text: str) -> None:
    assert fill(text.replace("{", "{{").replace("}", "}}"), {}) == text


@given(st.text(alphabet="{}ab.task", max_size=12))
def test_what_is_accepted_can_be_filled(text: str) -> None:
    try:
        TaskSet("a", command=["x", text])
    except WorkflowError:
        return
    fields = dict.fromkeys(FIELDS, "v")
    fill(text, {**fields, **{f"inputs.{name}": "v" for name in ("a", "b", "task", "ab", "t")}})


def chain(*names: str) -> list[TaskSet]:
    """Return sets that each wait for the one before."""
    return [
        TaskSet(name, after=names[place - 1] if place else None) for place, name in enumerate(names)
    ]


def test_without_stages_a_stage_is_a_rank() -> None:
    workflow = Workflow(
        "w",
        [
            TaskSet("t5", after="t3"),
            TaskSet("t0"),
            TaskSet("t1", after="t0"),
            TaskSet("t2", after="t0"),
            TaskSet("t3", after="t1"),
            TaskSet("t4", after=["t2", "t0"]),
        ],
    )
    assert workflow.stages == (("t0",), ("t1", "t2"), ("t3", "t4"), ("t5",))


def test_ten_thousand_sets_in_a_row_are_no_trouble() -> None:
    names = [f"t{number}" for number in range(10_000)]
    assert Workflow("w", chain(*names)[::-1]).stages == tuple((name,) for name in names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task_sets": []}, "task_sets: expected 1 to 10000 task sets, found 0"),
        ({"task_sets": ["a"]}, "task_sets: expected a list of TaskSet"),
        ({"task_sets": [TaskSet("a"), TaskSet("a")]}, "task_sets: two task sets have the same"),
        ({"iterations": 0}, "iterations: expected a whole number from 1"),
        (
            {"iterations": 10**6, "task_sets": [TaskSet("a", tasks=11)]},
            "iterations: 11000000 tasks",
        ),
        ({"platform": 5}, "platform: expected the name of a platform, found 5"),
        ({"stages": "ab"}, "stages: expected a list of stages"),
        ({"stages": [["a"], []]}, "stages.1: expected a list of task sets"),
        ({"stages": [["a"]]}, "stages: expected each task set in a stage, found none for b"),
        ({"stages": [["a"], ["b"], ["a"]]}, "stages.2: a is in two stages"),
        ({"stages": [["a"], ["c"]]}, "stages.1: there is no task set 'c'"),
        ({"stages": [["b"], ["a"]]}, "stages: b waits for a, which must be in an earlier stage"),
        ({"stages": [["a", "b"]]}, "stages: b waits for a, which must be in an earlier stage"),
    ],
)
def test_a_workflow_names_the_argument_that_is_wrong(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(WorkflowError) as caught:
        Workflow(**{"name": "w", "task_sets": chain("a", "b"), **arguments})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("consumer", "producer", "pattern"), [(2, 3, "each"), (3, 2, "each"), (4, 3, "group")]
)
def test_patterns_must_fit_the_numbers_of_tasks(consumer: int, producer: int, pattern: str) -> None:
    with pytest.raises(WorkflowError, match=r"task_sets\.b\.after\.a: .* tasks of b for .* of a"):
        Workflow(
            "w",
            [
                TaskSet("a", tasks=producer),
                TaskSet("b", tasks=consumer, after={"a": pattern}),
            ],
        )


def test_a_loop_over_iterations_is_no_circle() -> None:
    a = TaskSet("a", after={"b": {"iteration": "previous"}})
    workflow = Workflow("w", [a, TaskSet("b", after="a")], iterations=3)
    names = [instance.name for instance in expand(workflow).instances]
    assert names == ["a[0]", "b[0]", "a[1]", "b[1]", "a[2]", "b[2]"]
    with pytest.raises(WorkflowError, match="a circle: a waits for b waits for a"):
        Workflow("w", [TaskSet("a", after="b"), TaskSet("b", after="a")])


@given(st.integers(1, 6), st.integers(0, 3), st.integers(1, 4))
def test_unrolling_numbers_tasks_and_gates(iterations: int, staleness: int, tasks: int) -> None:
    sim = TaskSet(
        "sim", tasks=tasks, after={"inf": {"iteration": "previous", "staleness": staleness}}
    )
    workflow = Workflow("w", [sim, TaskSet("inf", after="sim")], iterations=iterations)
    expansion = expand(workflow)
    assert expansion.n_tasks == iterations * (tasks + 1) == workflow.n_tasks
    serials = [
        number
        for instance in expansion.instances
        for number in range(instance.first_task, instance.first_task + instance.count)
    ]
    assert serials == list(range(expansion.n_tasks))
    for serial in serials:
        instance = expansion.instance_of(serial)
        assert instance.first_task <= serial < instance.first_task + instance.count
        assert expansion.task_name(serial) == f"{instance.name}.{serial - instance.first_task}"
    for iteration in range(iterations):
        (edge,) = expansion.instances[2 * iteration].edges
        gate, newest = iteration - 1 - staleness, iteration - 1
        assert edge.gate == (2 * gate + 1 if gate >= 0 else None)
        assert edge.newest == (2 * newest + 1 if newest >= 0 else None)
    assert [index for stage in expansion.stages for index in stage] == list(range(2 * iterations))


def test_durations_and_iterations_can_be_replaced() -> None:
    workflow = Workflow("w", chain("a", "b"), stages=[["a"], ["b"]], platform="summit:2")
    changed = workflow.with_durations({"b": Constant(5)}).with_iterations(4)
    assert (changed["a"].duration, changed["b"].duration) == (None, Constant(5))
    assert (changed.iterations, changed.stages, changed.platform) == (
        4,
        workflow.stages,
        "summit:2",
    )
    assert workflow["b"].duration is None


def test_inputs_are_those_that_are_waited_for() -> None:
    TaskSet("a", command="run {inputs.b}", after="b")
    with pytest.raises(WorkflowError, match=r"command: \{inputs.c\}, but a does not wait for c"):
        TaskSet("a", command="run {inputs.c}", after="b")
    with pytest.raises(WorkflowError, match=r"arguments: \{inputs.c\}"):
        TaskSet("a", function="m:f", arguments={"x": [{"y": "{inputs.c}"}]})


def test_durations_can_be_replaced_by_whatever_means_a_duration() -> None:
    workflow = Workflow("w", [TaskSet("a"), TaskSet("b", duration=2)])
    assert workflow.with_durations({"a": 3})["a"].duration == duration_of(3)
    assert workflow.with_durations({"a": 3})["b"].duration == duration_of(2)
    with pytest.raises(WorkflowError, match="durations: there is no task set 'c'"):
        workflow.with_durations({"c": 3})
    with pytest.raises(WorkflowError, match=r"durations\.a: expected"):
        workflow.with_durations({"a": -1})


class TestVariants:
    LOOP = Workflow(
        "loop",
        [
            TaskSet(
                "a", tasks=4, duration={"mean": 2, "sd": 1}, after=Dependency("b", previous=True)
            ),
            TaskSet("b", tasks=4, after={"a": "each"}),
        ],
        iterations=3,
    )

    def test_at_means_leaves_what_nobody_knows(self) -> None:
        means = self.LOOP.at_means()
        assert (means["a"].duration, means["b"].duration) == (Constant(2_000_000), None)
        assert means.iterations == 3

    def test_numbers_of_tasks_are_checked_like_those_of_a_description(self) -> None:
        other = self.LOOP.with_tasks({"a": 2, "b": 2})
        assert [one.tasks for one in other.task_sets] == [2, 2]
        with pytest.raises(WorkflowError, match="each needs equal numbers of tasks"):
            self.LOOP.with_tasks({"a": 2})
        with pytest.raises(WorkflowError, match=r"tasks: there is no task set 'c'"):
            self.LOOP.with_tasks({"c": 2})
        with pytest.raises(WorkflowError, match=r"tasks\.a: expected 1 to"):
            self.LOOP.with_tasks({"a": 0})

    def test_staleness_is_that_of_previous_iterations_only(self) -> None:
        other = self.LOOP.with_staleness(2)
        assert [one.after[0].staleness for one in other.task_sets] == [2, 0]
        with pytest.raises(WorkflowError, match="expected 0 to"):
            self.LOOP.with_staleness(-1)
