"""The journal: what is written comes back, a torn line does not, damage is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.errors import WorkflowError
from stretto.platform import Node, Platform, Slot
from stretto.resources import Resources
from stretto.scheduler import (
    Cancelled,
    Dropped,
    Event,
    Failed,
    Finished,
    Forgiven,
    Launched,
    Limited,
    Lost,
    Mode,
    NodeLost,
    NodeReturned,
    Resumed,
    Started,
    State,
    Submitted,
    Told,
    critical_path,
    decide,
    gated_sets,
)
from stretto.trace import (
    Header,
    Journal,
    Kind,
    TraceBuilder,
    mask_from_text,
    mask_to_text,
    read_events,
    read_header,
    read_trace,
    trim,
)
from stretto.trace.codec import event_from_json, event_to_json
from stretto.workflow import TaskSet, Workflow, expand

WORKFLOW = Workflow("w", [TaskSet("a", tasks=3, duration=1, retries=1), TaskSet("b", after="a")])
PLATFORM = Platform("p", (Node("n0", 2, 0, 0),))
HEADER = Header(
    workflow=WORKFLOW,
    platform=PLATFORM,
    mode="task-level",
    seed=7,
    kind=Kind.MEASURED,
    time_scale=1.0,
    began="2026-01-01T00:00:00+00:00",
)

naturals = st.integers(0, 2**53)
named = st.dictionaries(st.sampled_from(["fpga", "licence", "x"]), naturals, max_size=2)
slots = st.builds(
    Slot,
    naturals,
    st.integers(0, 2**170),
    st.integers(0, 255),
    naturals,
    naturals,
    naturals,
    st.one_of(st.just(()), named.map(lambda amounts: tuple(sorted(amounts.items())))),
)
inputs = st.lists(st.tuples(st.text(), st.none() | naturals)).map(tuple)
present = st.lists(st.tuples(st.text(), naturals, st.integers(0, 2**300))).map(tuple)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        Launched,
        naturals,
        naturals,
        naturals,
        st.lists(slots).map(tuple),
        naturals,
        inputs,
        present,
    ),
    st.builds(Started, naturals, naturals, naturals),
    st.builds(Finished, naturals, naturals, naturals),
    st.builds(Failed, naturals, naturals, naturals, st.text()),
    st.builds(Lost, naturals, naturals, naturals, st.text()),
    st.builds(Cancelled, naturals, naturals, naturals),
    st.builds(Told, naturals, naturals, st.none() | st.booleans(), st.none() | naturals),
    st.builds(Dropped, naturals, naturals, st.text(), naturals),
    st.builds(Forgiven, naturals, naturals),
    st.builds(NodeLost, naturals, naturals),
    st.builds(NodeReturned, naturals, naturals),
    st.builds(Limited, naturals, naturals, st.booleans()),
    st.builds(Resumed, naturals),
)


@given(events)
def test_events_survive_json(event: Event) -> None:
    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event


@given(st.integers(0, 2**200))
def test_masks_survive_text(mask: int) -> None:
    assert mask_from_text(mask_to_text(mask)) == mask


def test_named_resources_stand_in_a_launch_only_where_there_are_any() -> None:
    plain = ["launched", 0, 1, 5, [[0, "0-1", "", 0, 0, 2]], 3, ()]
    assert event_to_json(Launched(0, 1, 5, (Slot(0, 0b11, 0, 0, 0, 2),), 3)) == plain
    held = Launched(0, 1, 5, (Slot(0, 0b11, 0, 0, 0, 2, (("fpga", 1), ("licence", 4))),), 3)
    written = json.loads(json.dumps(event_to_json(held)))
    assert written[4] == [[0, "0-1", "", 0, 0, 2, [["fpga", 1], ["licence", 4]]]]
    assert event_from_json(written) == held


def test_masks_read_as_ranges() -> None:
    assert mask_to_text(0b1_0000_1111) == "0-3,8"
    assert mask_to_text(0) == ""


def test_what_only_an_executor_does_is_not_journaled() -> None:
    with pytest.raises(TypeError, match="Submitted is not journaled"):
        event_to_json(Submitted(0, 1))


def written(path: Path, rounds: int = 99) -> tuple[list[Event], State]:
    """Write the journal of a small run, and return its events and the state they lead to."""
    sets = gated_sets(expand(WORKFLOW), Mode.TASK_LEVEL)
    state = State(sets, PLATFORM.nodes, critical_path(sets))
    journal = Journal.create(path, HEADER)
    told: list[Event] = []
    now_us = 0
    for _ in range(rounds):
        arrived: list[Event] = []
        for task in state.in_flight():
            attempt = state.attempts[task]
            arrived.append(Started(task, attempt, now_us))
            bad = task == 1 and attempt == 1
            end = Failed(task, attempt, now_us, "no") if bad else Finished(task, attempt, now_us)
            arrived.append(end)
        for event in arrived:
            state.apply(event)
        launches = decide(state, now_us)
        told += [*arrived, *launches]
        journal.round(now_us, [*arrived, *launches])
        now_us += 1_000_000
        if not state.n_in_flight:
            break
    journal.note(now_us, "done")
    journal.close()
    return told, state


def test_a_journal_replays_to_the_same_state_and_trace(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    told, state = written(path)
    read = [event for _, round_, _ in read_events(path) for event in round_]
    assert read == told
    sets = gated_sets(expand(read_header(path).workflow), Mode.TASK_LEVEL)
    again = State(sets, read_header(path).platform.nodes, critical_path(sets))
    builder = TraceBuilder()
    for event in read:
        again.apply(event)
        builder.add(event)
    assert (again.status, again.attempts, again.placements) == (
        state.status,
        state.attempts,
        state.placements,
    )
    trace = read_trace(path)
    assert trace.complete
    assert trace.n_finished == 4
    assert trace.reasons == {1: "no"}
    assert [note.text for note in trace.notes] == ["done"]


def test_a_header_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal.create(path, HEADER).close()
    assert read_header(path) == HEADER
    assert json.loads(path.read_bytes())["platform"]["nodes"] == [["n0", 2, 0, 0]]


def test_a_header_with_named_resources_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    needs = Resources(cores=1, named={"licence": 2})
    header = replace(
        HEADER,
        workflow=Workflow("w", [TaskSet("a", resources=needs, duration=1)]),
        platform=Platform("p", (Node("n0", 2, 0, 0, (("licence", 5), ("fpga", 1))),)),
    )
    Journal.create(path, header).close()
    assert read_header(path) == header


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(1, 5000))
def test_wherever_a_crash_tears_the_file_the_whole_lines_before_are_kept(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "journal.jsonl"
    written(path)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    torn = whole[: first + cut % (len(whole) - first)]
    path.write_bytes(torn)
    kept = torn.count(b"\n") - 1
    assert len(list(read_events(path))) == kept
    trim(path)
    assert path.read_bytes() == torn[: torn.rindex(b"\n") + 1]
    journal = Journal.append_to(path)
    journal.note(9, "went on")
    journal.close()
    assert len(list(read_events(path))) == kept + 1


def test_damage_in_the_middle_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"\0\0\0\n", *lines[3:]]))
    with pytest.raises(WorkflowError, match=r"journal\.jsonl:3: .* damaged here"):
        list(read_events(path))


@pytest.mark.parametrize("content", [b"", b"{}\n", b'{"stretto": 99}\n', b"[]\n", b"half a li"])
def test_what_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    with pytest.raises(WorkflowError, match=r"journal\.jsonl"):
        read_header(path)


def test_a_missing_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match="there is no run here"):
        read_trace(tmp_path / "journal.jsonl")


def test_a_journal_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal.create(path, HEADER).close()
    with pytest.raises(FileExistsError):
        Journal.create(path, HEADER)
