from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from stretto.analysis import freshness
from stretto.platform import Node, Platform
from stretto.report import render, write_report
from stretto.report.axes import amount_ticks, duration, time_axis
from stretto.report.palette import OTHER, colours
from stretto.simulator import simulate
from stretto.trace import Kind, Note, Outcome
from stretto.workflow import TaskSet, Workflow
from tests.traces import Attempt, changed, deepdrivemd, greedy, made, platform, slot, summit

VOID = {"meta", "br", "link", "img"}
ONE = Workflow("one", [TaskSet("only", duration=1, retries=1)])
EVIL = '<script>alert("x")</script>'


class Reader(HTMLParser):
    """Collects tags and text, and fails on tags that do not match."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text, self.attributes = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def single(**others):
    return made(ONE, platform(), [Attempt(0, 0, 0, 1, (slot([0]),))], **others)


@pytest.fixture(scope="module")
def four():
    return [
        greedy(deepdrivemd(), summit(), mode=mode, kind=kind, overhead=overhead, fail_every=every)
        for kind, overhead, every in ((Kind.SIMULATED, 0, 0), (Kind.MEASURED, 0.5, 30))
        for mode in ("sequential", "asynchronous")
    ]


def test_the_page_holds_everything_it_needs(four):
    page = render(four, title="DeepDriveMD", model={"t_seq_s": 1578, "doa_dep": 2})
    reader = read(page)
    assert not re.search(r"https?://|//[a-z]|@import", page)
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    assert not [1 for name, value in reader.attributes if name in ("src", "href")]
    assert not re.search(r"url\((?!#)", page)


def test_formula_simulated_and_measured_stand_side_by_side(four):
    text = " ".join(read(render(four, model={"t_seq_s": 1578, "t_async_s": 1320})).text)
    for trace in four:
        assert duration(trace.ttx_us) in text
    assert "1578 s" in text
    assert "1320 s" in text
    assert "By formula" in text
    assert "longer than simulated" in text


def test_every_trace_has_its_timeline_cores_and_gpus(four):
    labels = [value for name, value in read(render(four)).attributes if name == "aria-label"]
    assert len(labels) == 12
    assert labels[2] == "GPUs in use over time, at most 96 of 96 allocated"


def test_failed_attempts_are_drawn_and_explained(four):
    text = read(render(four[-1:])).text
    assert "Failed attempts" in text
    assert "exit status 1" in text
    assert "\N{MULTIPLICATION SIGN}" in text


def test_a_hundred_thousand_attempts_stay_a_small_file():
    count = 100_000
    rng = np.random.default_rng(0)
    workflow = Workflow("wide", [TaskSet("a", tasks=count, duration=1, retries=1)])
    trace = made(workflow, platform(), [Attempt(0, 0, 0, 1, (slot([0]),))])
    started_us = rng.integers(0, 1_000_000_000, count)
    trace = replace(
        trace,
        task=np.arange(count),
        attempt=np.ones(count, dtype=np.int64),
        launched_us=started_us,
        started_us=started_us,
        ended_us=started_us + rng.integers(1, 9_000_000, count),
        outcome=rng.choice([Outcome.FINISHED, Outcome.FAILED], count).astype(np.int8),
        placements=tuple(trace.placements) * count,
        reasons={row: f"exit status {row}" for row in range(count)},
    )
    assert len(render([trace])) < 250_000


@pytest.mark.parametrize("where", ["title", "reason", "note", "platform", "set"])
def test_what_a_user_says_stays_text(where):
    trace = single(notes=(Note(0, EVIL if where == "note" else "resumed"),))
    if where == "reason":
        trace = replace(changed(trace, 0, outcome=Outcome.FAILED), reasons={0: f"{EVIL}\n{EVIL}"})
    if where == "platform":
        trace = replace(trace, platform=Platform(EVIL, trace.platform.nodes))
    if where == "set":
        # Names of sets cannot hold this; a trace from elsewhere might.
        object.__setattr__(task_set := TaskSet("only", duration=1), "name", EVIL)
        workflow = Workflow("one", [TaskSet("only", duration=1)])
        object.__setattr__(workflow, "task_sets", (task_set,))
        trace = replace(trace, workflow=workflow)
    page = render([trace], title=EVIL if where == "title" else None)
    reader = read(page)
    assert "script" not in reader.tags
    assert EVIL in "".join(reader.text)


def test_reports_on_nothing_and_on_what_never_ran():
    assert "no trace" in "".join(read(render([])).text)
    text = " ".join("".join(read(render([made(ONE, platform(), [])])).text).split())
    assert "No task ran." in text
    assert "Workflow one: 1 task" in text


def test_a_task_of_no_length_and_a_platform_without_cores():
    read(render([changed(single(), 0, ended=0)]))
    read(render([replace(single(), platform=Platform("x", (Node("n", 0, 0, 0),)))]))


def test_what_still_runs_is_reported():
    trace = changed(changed(single(), 0, ended=None), 0, outcome=Outcome.RUNNING)
    assert "0 of 1" in " ".join(read(render([trace])).text)


def test_many_sets_share_a_colour_and_the_heaviest_have_their_own():
    workflow = Workflow("many", [TaskSet(f"s{n}", duration=n + 1) for n in range(12)])
    found = colours([greedy(workflow, platform())])
    assert [name for name, colour in found.items() if not colour.own] == ["s0", "s1", "s2", "s3"]
    assert len({colour.value for colour in found.values()}) == 9
    assert found["s0"].value == OTHER
    read(render([greedy(workflow, platform())]))


def test_the_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "report.html"
    assert write_report(target, [single()]) == target
    before = target.read_text()
    assert before.startswith("<!doctype html>")
    with pytest.raises(AttributeError):
        write_report(target, [None])
    assert target.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0 s"),
        (12, "12 µs"),
        (800_000, "800 ms"),
        (1_200_000, "1.20 s"),
        (38_200_000, "38.2 s"),
        (1_373_000_000, "1373 s"),
        (3_600_000_000, "60.0 min"),
        (36_000_000_000, "10.0 h"),
    ],
)
def test_durations_read_well(us, text):
    assert duration(us) == text


@pytest.mark.parametrize(
    ("span_us", "unit", "labels"),
    [
        (1_707_000_000, "s", ["0", "200", "400", "600", "800", "1000", "1200", "1400", "1600"]),
        (3_600_000_000, "min", ["0", "10", "20", "30", "40", "50", "60"]),
        (1_000, "µs", ["0", "100", "200", "300", "400", "500", "600", "700", "800", "900", "1000"]),
        (0, "µs", ["0"]),
    ],
)
def test_time_axes_have_round_ticks(span_us, unit, labels):
    axis = time_axis(span_us)
    assert axis.unit == unit
    assert [label for _, label in axis.ticks] == labels
    assert all(0 <= at <= 1 + 1e-9 for at, _ in axis.ticks)


@pytest.mark.parametrize("span_us", [1, 37, 5_000_000, 17_900_000_000, 86_400_000_000 * 3650])
def test_time_axes_have_few_ticks_at_any_length(span_us):
    assert 1 <= len(time_axis(span_us).ticks) <= 11


def test_amount_ticks_are_round():
    assert amount_ticks(96) == (0, 50)
    assert amount_ticks(2688) == (0, 1000, 2000)
    assert amount_ticks(2) == (0, 1, 2)


def test_the_age_of_input_and_what_was_dropped_are_told():
    workflow = Workflow(
        "loop",
        [
            TaskSet(
                "walk",
                tasks=2,
                duration={"mean": 10, "sd": 4},
                after={"judge": {"iteration": "previous", "staleness": 1}},
            ),
            TaskSet("judge", duration=3, after="walk"),
        ],
        iterations={"at_most": 6, "until": "judge", "expected": 4},
    )
    trace = simulate(workflow, Platform("x", (Node("n", 3, 0, 0),)), mode="task-level", seed=2)
    ages = {
        int(age) if age is not None else None
        for row, used in trace.inputs.items()
        for _, iteration in used
        for age in [
            None
            if iteration is None
            else trace.instance()[row] // len(workflow.task_sets) - 1 - iteration
        ]
    }
    (one,) = freshness(trace)
    assert (one.task_set, one.on) == ("walk", "judge")
    assert {age for age, _ in one.ages} == ages
    assert sum(count for _, count in one.ages) == len(trace.inputs)
    text = " ".join(" ".join(read(render([trace])).text).split())
    assert str(one) in text
    assert f"{len(trace.dropped)} not wanted anymore, dropped" in text
    assert "up to 6 iterations, until judge has converged (4 expected)" in text
