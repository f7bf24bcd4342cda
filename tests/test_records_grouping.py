"""Tasks to task sets: exactly the dependencies of the record, in as few sets as can say them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.errors import WorkflowError
from stretto.records import describing, grouping, read_record
from stretto.records.grouping import grouped
from stretto.records.record import Record, RecordedTask
from stretto.resources import Resources
from stretto.workflow import Dependency, Pattern, TaskSet, Workflow
from tests.records import edges
from tests.shared import SHARED, needs

ONE = Resources(cores=1)


def tasks(kinds: str) -> list[RecordedTask]:
    """Return a task for each letter, of the kind that the letter names."""
    return [RecordedTask(f"t{at}", kind, ONE) for at, kind in enumerate(kinds)]


def workflow_of(found: list[RecordedTask], parents: list[list[int]]) -> tuple[Workflow, Record]:
    record = Record("wfformat", "made", "made", tuple(found), grouped(found, parents, "made"))
    return describing.described(record)[0], record


def assert_exact(found: list[RecordedTask], parents: list[list[int]]) -> Workflow:
    """Assert that the description has the edges of the record, no more and no fewer."""
    workflow, record = workflow_of(found, parents)
    where = {
        task: (one.name, number)
        for one, recorded in zip(workflow.task_sets, record.sets, strict=True)
        for number, task in enumerate(recorded.tasks)
    }
    assert sorted(where) == list(range(len(found)))
    assert edges(workflow) == {
        (where[parent], where[task]) for task, waited in enumerate(parents) for parent in waited
    }
    return workflow


def patterns(workflow: Workflow) -> dict[str, dict[str, str]]:
    return {
        one.name: {waited.on: str(waited.pattern) for waited in one.after}
        for one in workflow.task_sets
    }


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[RecordedTask], list[list[int]]]:
    count = draw(st.integers(1, 12))
    found = tasks("".join(draw(st.lists(st.sampled_from("abc"), min_size=count, max_size=count))))
    parents = [
        [other for other in range(at) if draw(st.integers(0, 2)) == 0] for at in range(count)
    ]
    return found, parents


@given(graphs(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_any_graph_is_described_exactly_in_whatever_order_it_is_recorded(graph, rng):
    found, parents = graph
    assert_exact(found, parents)
    order = list(range(len(found)))
    rng.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    assert_exact(
        [found[old] for old in order],
        [[place[parent] for parent in parents[old]] for old in order],
    )


@st.composite
def described(draw: st.DrawFn) -> Workflow:
    """A description without loops, whose sets are of different kinds."""
    sets: list[TaskSet] = []
    for number in range(draw(st.integers(1, 5))):
        count = draw(st.integers(1, 6))
        after = []
        for one in sets:
            if draw(st.booleans()):
                choices = [Pattern.ALL]
                choices += [Pattern.EACH] if one.tasks == count else []
                choices += [Pattern.GROUP] if one.tasks >= count else []
                after.append(Dependency(one.name, draw(st.sampled_from(choices))))
        sets.append(TaskSet(f"s{number}", tasks=count, after=after))
    return Workflow("drawn", sets)


@given(described(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_what_a_description_means_is_described_exactly_again(workflow, rng):
    names = [(one.name, number) for one in workflow.task_sets for number in range(one.tasks)]
    rng.shuffle(names)
    place = {name: at for at, name in enumerate(names)}
    parents: list[list[int]] = [[] for _ in names]
    for producer, consumer in edges(workflow):
        parents[place[consumer]].append(place[producer])
    found = [RecordedTask(f"{name}.{number}", name, ONE) for name, number in names]
    assert_exact(found, parents)


def test_a_chain_of_ensembles_is_as_many_sets_whatever_the_order():
    # Simulation i, analysis i, groups of four, one at the end; recorded backwards and mixed.
    found = tasks("s" * 8 + "a" * 8 + "g" * 2 + "e")
    parents = [[] for _ in range(8)] + [[7 - at] for at in range(8)]
    parents += [[8, 10, 12, 14], [9, 11, 13, 15], [16, 17]]
    workflow = assert_exact(found, parents)
    assert patterns(workflow) == {
        "s": {},
        "a": {"s": "each"},
        "g": {"a": "group"},
        "e": {"g": "all"},
    }


def test_blocks_that_cannot_be_equal_follow_the_rule_of_group():
    # Five producers for two consumers: the rule gives the first consumer three of them.
    workflow = assert_exact(tasks("pppppcc"), [[]] * 5 + [[0, 3], [1, 2, 4]])
    assert patterns(workflow) == {"p": {}, "c": {"p": "group"}}


def test_two_consumers_of_one_ensemble_each_are_numbered_alike():
    parents = [[], [], [], [2], [0], [1], [1], [2], [0]]
    workflow = assert_exact(tasks("sssaaabbb"), parents)
    assert patterns(workflow) == {"s": {}, "a": {"s": "each"}, "b": {"s": "each"}}


def test_tasks_that_wait_for_part_of_a_set_split_it():
    # Two families side by side, each a barrier of its own: no pattern says that in one set.
    workflow = assert_exact(tasks("ppppccccc"), [[]] * 4 + [[0, 2]] * 3 + [[1, 3]] * 2)
    assert sorted(one.tasks for one in workflow.task_sets) == [2, 2, 2, 3]
    assert all(set(waits.values()) <= {"all"} for waits in patterns(workflow).values())


def test_tasks_with_other_needs_are_other_sets():
    found = [RecordedTask("a", "k", ONE), RecordedTask("b", "k", Resources(cores=2))]
    workflow = assert_exact(found, [[], []])
    assert [(one.name, one.resources.cores) for one in workflow.task_sets] == [
        ("k-1", 1),
        ("k-2", 2),
    ]


def test_a_kind_at_several_depths_is_several_sets_in_no_circle():
    workflow = assert_exact(tasks("kkk"), [[], [0], [1]])
    assert patterns(workflow) == {"k-1": {}, "k-2": {"k-1": "all"}, "k-3": {"k-2": "all"}}


def test_names_are_made_of_any_text_and_never_twice():
    found = [
        RecordedTask(str(at), kind, ONE)
        for at, kind in enumerate(["ä b", "ä.b", "1st", "_b-1", "x" * 70, "y" + "x" * 70, "…"])
    ]
    workflow = assert_exact(found, [[]] * 7)
    names = [one.name for one in workflow.task_sets]
    assert len(set(names)) == 7
    assert "_1st" in names
    assert all(len(name) <= 64 for name in names)


def test_a_circle_is_refused_by_the_name_of_a_task():
    with pytest.raises(WorkflowError, match=r"made: tasks wait for each other in a circle.*t1"):
        grouped(tasks("abc"), [[], [2], [1]], "made")


def test_too_many_sets_are_refused_by_number(monkeypatch):
    monkeypatch.setattr(grouping, "MOST_TASK_SETS", 3)
    assert len(grouped(tasks("abc"), [[], [], []], "made")) == 3
    with pytest.raises(WorkflowError, match=r"4 sets or more.*at most 3"):
        grouped(tasks("abcd"), [[], [], [], []], "made")


@needs("wfinstances")
@pytest.mark.parametrize(
    "path", sorted((SHARED / "wfinstances").glob("*.json")), ids=lambda path: path.stem
)
def test_published_instances_are_described_exactly(path: Path):
    value = json.loads(path.read_text())["workflow"]["specification"]["tasks"]
    record = read_record(path)
    workflow, _ = describing.described(record)
    where = {
        record.tasks[task].name: (one.name, number)
        for one, recorded in zip(workflow.task_sets, record.sets, strict=True)
        for number, task in enumerate(recorded.tasks)
    }
    assert len(where) == len(value)
    assert edges(workflow) == {
        (where[parent], where[one["id"]]) for one in value for parent in one["parents"]
    }
