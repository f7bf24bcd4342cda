"""What an imported record reads like: a run that is legal, with all that was mended told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.analysis import check
from stretto.errors import WorkflowError
from stretto.platform import Node, Platform, platform_named, read_platform
from stretto.records import Facts, Imported, import_record, imported, read_facts
from stretto.records.hosting import platform_text
from stretto.records.record import (
    Machine,
    Record,
    RecordedAttempt,
    RecordedSet,
    RecordedTask,
)
from stretto.resources import Resources
from stretto.scheduler import Mode, State, gated_sets
from stretto.simulator import simulate
from stretto.trace import Kind, Outcome, read_header, read_trace
from stretto.workflow import Pattern, expand, read_workflow
from tests.records import SUMMIT, brought, summit, wfformat

S = 1_000_000


def attempt(
    start: float | None, stop: float | None, *, machine: str | None = None, **others: object
) -> RecordedAttempt:
    return RecordedAttempt(
        **{
            "outcome": Outcome.FINISHED,
            "started_us": None if start is None else round(start * S),
            "ended_us": None if stop is None else round(stop * S),
            "machines": () if machine is None else (machine,),
            **others,
        }
    )


def task(*attempts: RecordedAttempt, needs: Resources | None = None) -> RecordedTask:
    return RecordedTask("t", "k", needs or Resources(cores=2), attempts)


def made(
    *sets: list[RecordedTask],
    after: dict[int, list[tuple[int, Pattern]]] | None = None,
    machines: tuple[Machine, ...] = (),
    platform: Platform | str | None = None,
) -> Imported:
    """Import sets of tasks, which wait for each other as `after` says by their numbers."""
    recorded = []
    tasks: list[RecordedTask] = []
    for number, members in enumerate(sets):
        places = tuple(range(len(tasks), len(tasks) + len(members)))
        recorded.append(RecordedSet(f"s{number}", places, tuple((after or {}).get(number, ()))))
        tasks += members
    record = Record("summit", "made", "made.csv", tuple(tasks), tuple(recorded), machines)
    found = imported(record, platform)
    check(found.trace)
    return found


def told(found: Imported) -> str:
    return " | ".join(found.facts.told)


def test_cores_are_the_lowest_free_and_nodes_as_large_as_what_was_held():
    one = task(attempt(0, 4, machine="a"))
    other = task(attempt(1, 2, machine="a"))
    later = task(attempt(3, 4, machine="a"), needs=Resources(cores=3))
    found = made([one, other], [later])
    masks = {row: slots[0].cores for row, slots in enumerate(found.trace.placements)}
    assert masks == {0: 0b11, 1: 0b1100, 2: 0b11100}
    assert found.platform.nodes == (Node("a", 5, 0, 0),)
    assert "how large the machines are is not recorded" in told(found)


def test_machines_of_unknown_size_are_alike(tmp_path):
    found = made(
        [task(attempt(0, 1, machine="b")), task(attempt(0, 1, machine="a"))],
        [task(attempt(0, 1, machine="a"), needs=Resources(cores=1, gpus=1))],
    )
    assert found.platform.nodes == (Node("a", 3, 1, 0), Node("b", 3, 1, 0))
    path = tmp_path / "platform.yaml"
    path.write_text(platform_text(found.platform))
    assert read_platform(path) == found.platform


def test_gpus_are_shared_as_their_needs_say():
    half = Resources(cores=1, gpus=0.5)
    whole = Resources(cores=1, gpus=2)
    halves = [task(attempt(0, 2, machine="a"), needs=half) for _ in range(3)]
    found = made(halves, [task(attempt(1, 2, machine="a"), needs=whole)])
    assert found.platform.nodes[0].gpus == 4
    assert [slots[0].gpus for slots in found.trace.placements] == [0b1, 0b1, 0b10, 0b1100]


def test_a_record_that_holds_more_than_there_is_widens_the_platform_and_says_so(tmp_path):
    tasks = [task(attempt(0, 1, machine="a")) for _ in range(3)]
    found = made(tasks, machines=(Machine("a", 4),))
    assert found.platform.nodes[0].cores == 6
    assert "the platform widened: a held 6 of 4 cores at once" in told(found)
    given = Platform("given", (Node("n", 4, 0, 0, (("key", 2),)),))
    widened = made(tasks, platform=given)
    assert widened.platform == Platform("given", (Node("n", 6, 0, 0, (("key", 2),)),))
    path = tmp_path / "platform.yaml"
    path.write_text(platform_text(widened.platform))
    assert read_platform(path) == widened.platform
    assert "n held 6 of 4 cores at once" in told(widened)


def test_what_fits_a_given_platform_lies_on_its_nodes_in_order():
    tasks = [task(attempt(0, 1, machine=name)) for name in ("node10", "node9")]
    found = made(tasks, platform="summit:2")
    assert found.platform == platform_named("summit:2")
    assert [slots[0].node for slots in found.trace.placements] == [1, 0]
    named = Platform("named", (Node("node10", 4, 0, 0), Node("node9", 4, 0, 0)))
    assert [slots[0].node for slots in made(tasks, platform=named).trace.placements] == [0, 1]


def test_more_nodes_than_the_platform_has_are_refused():
    tasks = [task(attempt(0, 1, machine=name)) for name in "abc"]
    with pytest.raises(WorkflowError, match=r"made.csv: its tasks ran on 3 nodes.*2 of summit:2"):
        made(tasks, platform="summit:2")


def test_tasks_whose_node_is_unknown_lie_on_the_first_with_room():
    tasks = [task(attempt(0, 1)) for _ in range(3)]
    given = Platform("given", (Node("n", 4, 0, 0), Node("m", 4, 0, 0)))
    found = made(tasks, platform=given)
    assert [slots[0].node for slots in found.trace.placements] == [0, 0, 1]
    assert [(one.name, one.cores) for one in made(tasks).platform.nodes] == [("pool0", 6)]


def test_many_gpus_of_nowhere_need_more_than_one_node():
    tasks = [task(attempt(0, 1), needs=Resources(cores=1, gpus=1)) for _ in range(65)]
    assert [one.gpus for one in made(tasks).platform.nodes] == [64, 1]


def test_an_attempt_that_started_too_early_is_moved_to_where_it_could():
    found = made(
        [task(attempt(0, 10))],
        [task(attempt(9.5, 12)), task(attempt(11, 12))],
        after={1: [(0, Pattern.ALL)]},
    )
    assert found.trace.started_us.tolist() == [0, 10 * S, 11 * S]
    assert found.trace.ended_us.tolist() == [10 * S, 12 * S, 12 * S]
    assert "1 attempt moved: recorded to start before what it had to wait for" in told(found)
    assert found.facts.made_up_starts == (1,)


def test_only_the_fellow_holds_a_task_up_where_the_pattern_is_each():
    found = made(
        [task(attempt(0, 10)), task(attempt(0, 3))],
        [task(attempt(10, 11)), task(attempt(3, 4))],
        after={1: [(0, Pattern.EACH)]},
    )
    assert "moved" not in told(found)
    assert sorted(found.trace.started_us.tolist()) == [0, 0, 3 * S, 10 * S]


def test_without_a_start_tasks_start_when_inputs_and_room_are_there():
    untimed = task(attempt(None, None, duration_us=2 * S))
    found = made(
        [untimed, untimed, untimed],
        [untimed],
        after={1: [(0, Pattern.ALL)]},
        machines=(Machine("a", 4),),
    )
    assert found.trace.started_us.tolist() == [0, 0, 2 * S, 4 * S]
    assert found.facts.made_up_starts == (0, 1, 2, 3)


def test_one_that_never_fits_its_machine_runs_there_all_the_same():
    untimed = task(attempt(None, None, duration_us=S), needs=Resources(cores=9))
    found = made([untimed, untimed], machines=(Machine("a", 4),))
    assert found.trace.started_us.tolist() == [0, S]
    assert "a held 9 of 4 cores at once" in told(found)


def test_attempts_follow_one_another_with_the_retries_that_the_record_shows():
    failed = attempt(0, 1, outcome=Outcome.FAILED, reason="no luck")
    found = made([task(failed, attempt(2, 3, outcome=Outcome.FAILED), attempt(4, 9)), task()])
    trace = found.trace
    assert trace.attempt.tolist() == [1, 2, 3]
    assert trace.outcome.tolist() == [Outcome.FAILED, Outcome.FAILED, Outcome.FINISHED]
    assert trace.reasons == {0: "no luck", 1: "failed"}
    assert found.workflow["s0"].retries == 2


def test_what_never_finished_keeps_the_rest_from_starting():
    failed = attempt(0, 1, outcome=Outcome.FAILED)
    found = made([task(failed)], [task(attempt(2, 3))], after={1: [(0, Pattern.ALL)]})
    assert len(found.trace) == 1
    assert "1 attempt never started: what was waited for never finished" in told(found)


def test_an_attempt_without_an_end_is_lost_when_the_next_begins():
    found = made([task(attempt(0, None, outcome=Outcome.RUNNING), attempt(5, 9))])
    assert found.trace.outcome.tolist() == [Outcome.LOST, Outcome.FINISHED]
    assert found.trace.ended_us.tolist() == [5 * S, 9 * S]


def test_missing_starts_and_ends_are_worked_out():
    found = made(
        [
            task(attempt(1, None, duration_us=2 * S)),
            task(attempt(None, 9, duration_us=4 * S)),
        ]
    )
    assert found.trace.started_us.tolist() == [S, 5 * S]
    assert found.trace.ended_us.tolist() == [3 * S, 9 * S]
    assert "with an end worked out" in told(found)
    assert "with a start worked out" in told(found)


def test_too_many_retries_are_refused():
    attempts = [attempt(at, at, outcome=Outcome.FAILED) for at in range(103)]
    with pytest.raises(WorkflowError, match=r"expected at most 100 retries of a task, found 102"):
        made([task(*attempts)])


# Whatever a record says.


@st.composite
def recorded(draw: st.DrawFn) -> Record:
    """A record whose times need not fit together."""
    moments = st.one_of(st.none(), st.integers(0, 20).map(lambda at: at * S))
    attempts = st.builds(
        RecordedAttempt,
        outcome=st.sampled_from([one for one in Outcome if one is not Outcome.LOST]),
        asked_us=moments,
        started_us=moments,
        ended_us=moments,
        duration_us=moments,
        machines=st.sampled_from([(), ("a",), ("b",), ("a", "b")]),
    )
    shapes = [
        Resources(cores=1),
        Resources(cores=3, gpus=0.4, memory=10),
        Resources(cores=2, gpus=2, ranks=2),
    ]
    tasks: list[RecordedTask] = []
    sets: list[RecordedSet] = []
    for _ in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 4))
        needs = draw(st.sampled_from(shapes))
        after = []
        for at, one in enumerate(sets):
            if draw(st.booleans()):
                choices = [Pattern.ALL]
                choices += [Pattern.EACH] if len(one.tasks) == count else []
                choices += [Pattern.GROUP] if len(one.tasks) >= count else []
                after.append((at, draw(st.sampled_from(choices))))
        places = tuple(range(len(tasks), len(tasks) + count))
        sets.append(RecordedSet("s", places, tuple(after)))
        tasks += [
            RecordedTask("t", "s", needs, tuple(ordered(draw(st.lists(attempts, max_size=3)))))
            for _ in range(count)
        ]
    machines = draw(
        st.sampled_from([(), (Machine("a", 4, 16),), (Machine("a", 4), Machine("b", None, 1))])
    )
    return Record("summit", "drawn", "drawn", tuple(tasks), tuple(sets), machines)


def ordered(attempts: list[RecordedAttempt]) -> list[RecordedAttempt]:
    """Put ends behind starts, as every reader does, and nothing behind an attempt that finished."""
    kept = []
    for one in attempts:
        if one.started_us is not None and one.ended_us is not None:
            one = replace(one, ended_us=max(one.started_us, one.ended_us))
        kept.append(one)
        if one.outcome is Outcome.FINISHED:
            break
    return kept


@given(recorded(), st.sampled_from([None, "summit:2"]))
@settings(max_examples=300, deadline=None)
def test_whatever_a_record_says_it_becomes_a_legal_run_that_can_be_replayed(record, where):
    found = imported(record, where)
    check(found.trace)
    sets = gated_sets(expand(found.workflow), Mode.TASK_LEVEL)
    state = State(sets, found.platform.nodes, [0] * len(sets))
    last_us = 0
    for time_us, events in found.rounds:
        assert time_us >= last_us
        last_us = time_us
        for event in events:
            state.apply(event)
    assert state.n_finished == found.trace.n_finished
    for task in found.trace.task:
        assert 0 <= task < found.workflow.n_tasks


# Directories.


ROWS = [
    {"pipeline": 0, "stage": 0, "task_set": "a", "cores": 2, "node": 0, "start_s": 0, "stop_s": 5},
    {"pipeline": 0, "stage": 1, "task_set": "b", "cores": 2, "node": 1, "start_s": 6, "stop_s": 8},
]


def test_the_description_can_be_simulated_on_the_platform_it_names(tmp_path):
    found = brought(summit(ROWS, tmp_path / "r.csv"), tmp_path)
    workflow = read_workflow(tmp_path / "imported/workflow.yaml")
    assert workflow.platform == "platform.yaml"
    trace = simulate(workflow)
    check(trace)
    assert trace.ttx_us == 7 * S
    assert trace.platform.nodes == found.platform.nodes


def test_the_journal_says_that_it_is_imported(tmp_path):
    brought(summit(ROWS, tmp_path / "r.csv"), tmp_path)
    header = read_header(tmp_path / "imported/journal.jsonl")
    assert (header.kind, header.mode) == (Kind.IMPORTED, "task-level")
    trace = read_trace(tmp_path / "imported/journal.jsonl")
    assert trace.notes[-1].text == f"imported from {tmp_path / 'r.csv'} (summit)"
    assert trace.order.rule == "largest-first"


def test_the_facts_beside_the_journal_read_back(tmp_path):
    found = brought(summit(ROWS, tmp_path / "r.csv"), tmp_path)
    assert read_facts(tmp_path / "imported") == found.facts
    assert read_facts(tmp_path) is None


@pytest.mark.parametrize("text", ["[]", "{", '{"stretto_record": 2}'])
def test_facts_of_another_version_are_refused(text, tmp_path):
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(WorkflowError, match=r"record\.json"):
        read_facts(tmp_path)


def test_facts_must_be_whole(tmp_path):
    found = brought(summit(ROWS, tmp_path / "r.csv"), tmp_path)
    values = found.facts.to_json() | {"worked_us": [1, "x"]}
    (tmp_path / "record.json").write_text(json.dumps(values))
    with pytest.raises(WorkflowError, match="expected the facts of a record, version 1"):
        read_facts(tmp_path)
    assert isinstance(found.facts, Facts)


def test_a_directory_with_something_in_it_is_left_alone(tmp_path):
    path = summit(ROWS, tmp_path / "r.csv")
    with pytest.raises(WorkflowError, match="is there already and not empty"):
        import_record(path, output=tmp_path)
    with pytest.raises(WorkflowError, match="cannot be written"):
        import_record(path, output=path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["r.csv"]


def test_the_form_is_recognised_or_refused_by_name(tmp_path):
    path = summit(ROWS, tmp_path / "r.csv")
    assert import_record(path).facts == import_record(path, format="summit").facts
    with pytest.raises(WorkflowError, match="cannot be read as JSON"):
        import_record(path, format="wfformat")
    with pytest.raises(WorkflowError, match="format: expected one of wfformat, summit, nextflow"):
        import_record(path, format="pegasus")


def test_an_observed_duration_keeps_its_ends_when_it_is_thinned(tmp_path):
    tasks = [{"id": f"t_{n}", "runtimeInSeconds": n} for n in range(1, 2502)]
    found = import_record(wfformat(tasks, tmp_path / "r.json"))
    values = found.workflow["t"].duration.values_us
    assert (len(values), values[0], values[-1]) == (1000, S, 2501 * S)


def test_a_large_record_of_barriers_is_no_trouble(tmp_path: Path):
    path = tmp_path / "large.csv"
    lines = [SUMMIT]
    for stage in range(4):
        lines += [
            f"{n},0,{stage},s{stage},1,0,{n % 8},1,{stage * 10 + n / 1e4},{stage * 10 + 2}"
            for n in range(5000)
        ]
    path.write_text("\n".join(lines))
    found = import_record(path)
    assert found.trace.n_finished == 20_000
    assert [one.cores for one in found.platform.nodes] == [625] * 8
