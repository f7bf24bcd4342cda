"""The command line: what is printed where, and with which exit status it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from stretto.analysis import check
from stretto.scheduler import Mode
from stretto.trace import read_trace
from tests.commands import (
    STRETTO,
    called,
    environment,
    left_over,
    lines,
    started,
    stretto,
    wait_until,
)

SLACK_US = 60_000_000

FLOW = """\
name: tried
iterations: 2
task_sets:
  first: {tasks: 3, duration: 2, command: "true"}
  second: {tasks: 1, duration: 1, function: "json:loads", arguments: {s: "[1]"}, after: first}
  third: {tasks: 3, duration: 1, command: "true", after: {first: each}}
"""
FAILING = """\
name: failing
task_sets:
  fine: {command: "true"}
  bad: {command: [sh, -c, "exit 4"], retries: 1}
  behind: {command: "true", after: bad}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that is done, in ``run``."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "flow.yaml").write_text(FLOW)
    ran = stretto("run", "flow.yaml", "--run-dir", "run", folder=folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    check(read_trace(folder / "run/journal.jsonl"), slack_us=SLACK_US)
    return folder


def assert_one_line(ran: subprocess.CompletedProcess[str], *parts: str, status: int = 2) -> None:
    assert ran.returncode == status, ran
    assert ran.stdout == ""
    assert re.fullmatch(r"stretto: [^\n]+\n", ran.stderr), ran.stderr
    for part in parts:
        assert part in ran.stderr


# The road.


def test_the_starter_is_written_once_and_runs(tmp_path: Path) -> None:
    made = stretto("init", "mine", folder=tmp_path)
    assert made.returncode == 0
    assert "stretto run mine/workflow.yaml" in made.stdout
    assert_one_line(called("init", "mine", folder=tmp_path), "mine", "not empty")
    path = tmp_path / "mine/workflow.yaml"
    flow = yaml.safe_load(path.read_text())
    flow["iterations"] = 1
    path.write_text(yaml.safe_dump(flow, sort_keys=False))
    ran = stretto("run", "mine/workflow.yaml", "--platform", "local:4", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    trace = read_trace(tmp_path / "runs/latest/journal.jsonl")
    assert trace.complete
    check(trace, slack_us=SLACK_US)


def test_a_description_is_validated(done: Path) -> None:
    said = called("validate", "flow.yaml", "--platform", "summit:2", folder=done)
    assert said.returncode == 0
    assert said.stdout == "tried: 3 task sets, 14 tasks, every one fits on summit:2\n"
    assert stretto("validate", "paper:c-dg1").returncode == 0


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("text", "    waits for first (each)"),
        ("mermaid", '    first -- "each" --> third'),
        ("dot", '    "first" -> "third" [label="each"];'),
    ],
)
def test_a_graph_is_shown_in_three_forms(done: Path, form: str, part: str) -> None:
    said = called("graph", "flow.yaml", "--format", form, folder=done)
    assert (said.returncode, said.stderr) == (0, "")
    assert part in said.stdout.splitlines()


def test_a_description_is_shown_as_it_was_understood(done: Path) -> None:
    said = called("graph", "flow.yaml", "--expanded", folder=done)
    understood = yaml.safe_load(said.stdout)
    assert understood["task_sets"]["first"]["command"] == ["true"]
    assert understood["stages"] == [["first"], ["second", "third"]]


def test_a_plan_says_all_that_it_promises() -> None:
    said = called("plan", "paper:deepdrivemd", "--json")
    assert (said.returncode, said.stderr) == (0, "")
    plan = json.loads(said.stdout)
    assert (plan["doa_dep"], plan["doa_res"], plan["wla"]) == (2, 1, 1)
    assert {"doa_width", "t_seq_s", "t_async_s", "improvement"} <= plan.keys()
    assert list(plan["simulated"]) == [str(mode) for mode in Mode]
    for one in plan["simulated"].values():
        assert set(one["ttx_s"]) == {"mean", "p5", "p95"}
        assert 0 < one["core_utilisation"]["mean"] <= 1
    assert {"bounds", "optimality_gap", "masked", "branches", "period_s", "advice"} <= plan.keys()
    shown = stretto("plan", "paper:deepdrivemd")
    assert shown.returncode == 0
    for word in ("DOA_dep", "WLA", "asynchronous", "Masked", "Run it task-level"):
        assert word in shown.stdout


def test_a_plan_without_durations_says_which_are_missing(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text("name: f\ntask_sets: {a: {command: 'true'}}\n")
    said = called("plan", "flow.yaml", folder=tmp_path)
    assert said.returncode == 0
    assert "before the duration of a is known" in said.stdout


def test_a_plan_tells_whether_it_fits_and_what_it_costs() -> None:
    said = called("plan", "paper:c-dg1", "--walltime", "40m", "--price", "2", "--draws", "3")
    assert (said.returncode, said.stderr) == (0, "")
    assert "Task-level fits into 2,400 s with a chance of 100% and costs 18." in said.stdout
    assert said.stdout.splitlines()[-1].startswith("The gain of ")


def test_an_order_from_a_plan_is_run_by(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(
        "name: two\n"
        "task_sets: {a: {duration: 1, command: 'true'}, b: {duration: 9, command: 'true'}}\n"
    )
    planned = called(
        "plan",
        "flow.yaml",
        "--platform",
        "local:1",
        "--optimize-rounds",
        "50",
        "--json",
        folder=tmp_path,
    )
    (tmp_path / "plan.json").write_text(planned.stdout)
    words = (
        "run",
        "flow.yaml",
        "--platform",
        "local:1",
        "--order",
        "plan.json",
        "--run-dir",
        "run",
    )
    assert called(*words, folder=tmp_path).returncode == 0
    order = json.loads(planned.stdout)["order"]
    assert read_trace(tmp_path / "run/journal.jsonl").order.to_json() == order


def test_a_sweep_shows_a_table_and_draws_its_curves(tmp_path: Path) -> None:
    words = ("sweep", "paper:c-dg1", "--nodes", "8,14-16", "--draws", "2", "--within", "10")
    said = called(*words, "--figure", "curves.svg", folder=tmp_path)
    assert (said.returncode, said.stderr) == (0, "")
    assert [line.split()[0] for line in said.stdout.splitlines() if line.strip()[:1].isdigit()] == [
        "1",
        "8",
        "14",
        "15",
    ]
    assert "*16 " in said.stdout
    root = ElementTree.fromstring((tmp_path / "curves.svg").read_text())
    drawn = [one.text for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(drawn) == 4
    assert json.loads(called(*words, "--json").stdout)["smallest"][0]["size"] == 16


def test_simulations_are_told_and_reported(tmp_path: Path) -> None:
    words = ("simulate", "paper:c-dg1", "--seed", "3")
    said = called(*words, "--json", "--report", tmp_path / "report.html")
    assert (said.returncode, said.stderr) == (0, "")
    modes = json.loads(said.stdout)["modes"]
    assert [one["mode"] for one in modes] == [str(mode) for mode in Mode]
    assert (tmp_path / "report.html").read_text().startswith("<!")
    one = called(*words, "--json", "--mode", "sequential")
    assert json.loads(one.stdout)["modes"] == modes[:1]
    assert "simulated, task-level" in called(*words).stdout
    assert_one_line(called(*words, "--report", "/nowhere/x.html"), "/nowhere", status=1)


def test_a_run_tells_its_progress_in_plain_lines(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    ran = called("run", "flow.yaml", "--mode", "task-level", "--run-dir", "run", folder=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "\x1b" not in ran.stdout
    assert re.search(r"^\[ +\d+\.\d{3} s\] first\[0\]: all 3 finished$", ran.stdout, re.MULTILINE)
    assert "measured, task-level" in ran.stdout
    assert f"done: {tmp_path}/run" in ran.stdout
    assert (tmp_path / "run/report.html").is_file()
    assert (tmp_path / "run/description.yaml").read_text() == FLOW
    check(read_trace(tmp_path / "run/journal.jsonl"), slack_us=SLACK_US)


def test_json_goes_to_one_place_and_progress_to_the_other(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    words = ("--emulate", "--time-scale", "100", "--platform", "summit:1", "--json")
    ran = called("run", "flow.yaml", *words, folder=tmp_path)
    told = json.loads(ran.stdout)
    assert (told["ending"], told["kind"], told["finished"]) == ("done", "emulated", 14)
    assert Path(told["report"]).is_file()
    assert "first[1]: all 3 finished" in ran.stderr


def test_a_failed_run_says_which_task_and_why(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FAILING)
    ran = stretto("run", "flow.yaml", "--run-dir", "run", folder=tmp_path)
    assert ran.returncode == 1
    assert ran.stderr == "bad[0].0, attempt 2: exit status 4\n"
    assert f"stretto resume {tmp_path}/run" in ran.stdout
    told = called("explain", "run", "bad", folder=tmp_path).stdout
    assert "failed: exit status 4" in told
    assert told.endswith("It failed 2 times, with 1 retry allowed.\n")
    told = called("explain", "run", "behind[0].0", folder=tmp_path).stdout
    assert told.endswith("It waits for bad[0] (1 of 1 to finish, 1 of them failed for good).\n")
    state = json.loads(called("status", "run", "--json", folder=tmp_path).stdout)
    assert (state["finished"], state["failed"], state["in_flight"]) == (1, 1, 0)


# Looking at a run.


def test_the_state_of_a_run_is_told(done: Path) -> None:
    said = called("status", "run", folder=done)
    assert said.returncode == 0
    assert "is done: 14 of 14 tasks finished, 0 in flight, 0 failed" in said.stdout
    assert "second[1]" in said.stdout
    assert "…" not in said.stdout
    state = json.loads(called("status", "run", "--json", folder=done).stdout)
    assert (state["tasks"], state["finished"], state["driven"]) == (14, 14, False)
    assert [one["set"] for one in state["sets"]] == ["first", "second", "third"] * 2


def test_a_run_can_be_looked_at_while_it_is_on_and_cancelled(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(
        "name: on\ntask_sets: {long: {tasks: 3, command: sleep 1000}}\n"
    )
    driver = started(
        "run", "flow.yaml", "--platform", "local:2", "--run-dir", "run", folder=tmp_path
    )
    wait_until(lambda: lines(tmp_path / "run") >= 3)
    said = called("status", "run", folder=tmp_path)
    assert "is on: 0 of 3 tasks finished, 2 in flight" in said.stdout
    said = called("explain", "run", "long.2", folder=tmp_path)
    assert "It is ready and needs 1 core; 0 tasks before it" in said.stdout
    assert called("report", "run", folder=tmp_path).stdout == "run/report.html\n"
    said = stretto("cancel", "run", folder=tmp_path)
    assert (said.returncode, said.stdout) == (
        0,
        "asked the run to end; go on with: stretto resume run\n",
    )
    assert driver.wait(60) == 3
    assert not left_over(tmp_path / "run")
    said = called("status", "run", folder=tmp_path)
    assert "has stopped (stretto resume goes on with it): 0 of 3" in said.stdout
    assert_one_line(called("cancel", "run", folder=tmp_path), "nobody is driving this run")


def test_a_report_is_written_where_it_is_wanted(done: Path, tmp_path: Path) -> None:
    said = called("report", "run", "--output", tmp_path / "x.html", "--json", folder=done)
    told = json.loads(said.stdout)
    assert (told["report"], told["finished"]) == (str(tmp_path / "x.html"), 14)
    assert "tried" in (tmp_path / "x.html").read_text()


def test_the_story_of_a_task_is_told(done: Path) -> None:
    said = called("explain", "run", "third[1].2", folder=done)
    assert said.returncode == 0
    told = said.stdout.splitlines()
    assert told[0] == "third[1].2, 1 core"
    steps = [line.split()[2].rstrip(",:") for line in told[1:-1]]
    assert steps[0] == "ready"
    assert steps[-3:] == ["launched", "started", "finished"]
    assert told[-1] == "It finished in attempt 1."
    for wrong in ("third[2]", "third.3", "fourth", "third[1", "-"):
        assert_one_line(called("explain", "run", wrong, folder=done), "there is no task")


@pytest.mark.parametrize("command", ["status", "resume", "cancel", "report", "explain"])
def test_where_there_is_no_run_nothing_can_be_said_of_it(tmp_path: Path, command: str) -> None:
    words = ("x",) if command == "explain" else ()
    assert_one_line(called(command, tmp_path, *words), str(tmp_path))


# What is wrong.

BAD = {
    "unknown key": (b"name: f\ntask_sets:\n  a:\n    taks: 2\n", ":4:", "did you mean 'tasks'"),
    "key twice": (b"name: f\ntask_sets:\n  a: {tasks: 1}\n  a: {tasks: 2}\n", ":4:", "'a'"),
    "alias bomb": (
        b"name: f\nx: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + b"".join(
            b"%c: &%c [%s]\n" % (at, at, b", ".join([b"*%c" % (at - 1)] * 10))
            for at in range(ord("b"), ord("j"))
        ),
        "flow.yaml",
        "",
    ),
    "NaN": (b"name: f\ntask_sets:\n  a:\n    duration: .nan\n", ":4:", ""),
    "infinity": (b"name: f\ntask_sets:\n  a: {duration: .inf}\n", ":3:", ""),
    "empty": (b"", "flow.yaml", "nothing in it"),
    "no text": (b"\xff\xfe\x00name", "flow.yaml", "UTF-8"),
    "circle": (
        b"name: f\ntask_sets:\n  a: {after: b}\n  b: {after: a}\n",
        ":3:",
        "a waits for b waits for a",
    ),
    "on nothing": (b"name: f\ntask_sets:\n  a: {after: b}\n", ":3:", "'b'"),
    "fits nowhere": (b"name: f\ntask_sets:\n  a: {cores: 4096}\n", "a", "4096 cores"),
    "negative": (b"name: f\ntask_sets:\n  a:\n    cores: -1\n", ":4:", "-1"),
    "not YAML": (b"name: f\ntask_sets: [\n", "flow.yaml:", ""),
    "quorum": (
        b"name: f\ntask_sets:\n  a: {}\n  b: {after: {a: quorum}}\n",
        ":4:",
        "quorum",
    ),
    "field": (b"name: f\ntask_sets:\n  a: {command: 'echo {tsk}'}\n", ":3:", "{tsk}"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_gets_one_line_and_status_2(tmp_path: Path, what: str) -> None:
    content, *parts = BAD[what]
    (tmp_path / "flow.yaml").write_bytes(content)
    words = ("run", "flow.yaml", "--run-dir", "run", "--platform", "local:2")
    assert_one_line(called(*words, folder=tmp_path), *parts)
    assert not (tmp_path / "run").exists()


def test_files_that_are_not_there_or_far_too_large(tmp_path: Path) -> None:
    assert_one_line(stretto("plan", "missing.yaml", folder=tmp_path), "missing.yaml")
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(100 << 20)
    assert_one_line(called("plan", "huge.yaml", folder=tmp_path), "huge.yaml")
    assert_one_line(called("plan", tmp_path), str(tmp_path))
    (tmp_path / "flow.ini").write_text("[a]\n")
    assert_one_line(called("plan", "flow.ini", folder=tmp_path), "flow.ini")
    assert_one_line(called("plan", "paper:none"), "'none'", "deepdrivemd")


def test_a_damaged_journal_is_named_with_its_line(done: Path, tmp_path: Path) -> None:
    whole = (done / "run/journal.jsonl").read_bytes().splitlines(keepends=True)
    for number, damage in ((2, b"\0\0\0\n"), (3, b'{"t":1,"events":[["begun",1]]}\n')):
        (tmp_path / "journal.jsonl").write_bytes(
            b"".join([*whole[: number - 1], damage, *whole[number:]])
        )
        for command in ("status", "report", "resume"):
            assert_one_line(called(command, tmp_path), f"journal.jsonl:{number}: ", "damaged")


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("run", "flow.yaml", "--mode", "fast"),
        ("run", "flow.yaml", "--seed", "-1"),
        ("run", "flow.yaml", "--no-such-option"),
        ("perform", "flow.yaml"),
        ("run", "flow.yaml", "--time-scale", "2"),
        ("run", "flow.yaml", "--emulate", "--time-scale", "0"),
        ("run", "flow.yaml", "--platform", "summit:2"),
        ("plan", "flow.yaml", "--platform", "summit:0"),
        ("plan", "flow.yaml", "--platform", "nowhere.yaml"),
        ("plan", "flow.yaml", "--walltime", "soon"),
        ("plan", "flow.yaml", "--order", "best-first"),
        ("plan", "flow.yaml", "--order", "flow.yaml"),
        ("plan", "flow.yaml", "--calibration", "nowhere.json"),
        ("sweep", "flow.yaml", "--nodes", "1,x"),
        ("sweep", "flow.yaml", "--nodes", ""),
        ("sweep", "flow.yaml", "--nodes", "4-2"),
        ("sweep", "flow.yaml", "--nodes", "1-99999"),
        ("sweep", "flow.yaml", "--tasks", "first"),
        ("sweep", "flow.yaml", "--tasks", "none=3"),
        ("run", "flow.yaml", "--run-dir", "run"),
    ],
)
def test_wrong_words_end_with_status_2_and_without_traceback(
    done: Path, words: tuple[str, ...]
) -> None:
    said = called(*words, folder=done)
    assert said.returncode == 2
    assert said.stdout == ""
    assert said.stderr
    assert "Traceback" not in said.stderr


def test_a_platform_in_a_file_is_found_beside_the_description(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "box.yaml").write_text("name: box\nnodes: [{cores: 8, count: 2}]\n")
    (inner / "flow.yaml").write_text("platform: box.yaml\n" + FLOW)
    for words in (
        ("validate",),
        ("plan",),
        ("simulate",),
        ("run", "--emulate", "--time-scale", "1000"),
    ):
        said = called(words[0], "inner/flow.yaml", *words[1:], folder=tmp_path)
        assert said.returncode == 0, said.stderr
    assert read_trace(tmp_path / "runs/latest/journal.jsonl").platform.name == "box"


# Pipes and terminals.


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "paper:deepdrivemd"),
        ("graph", "paper:c-dg1"),
        ("simulate", "paper:c-dg2", "--json"),
    ],
)
def test_nobody_listening_is_no_reason_for_a_traceback(words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        said = subprocess.run(
            [*STRETTO, *words],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert (said.returncode, said.stderr) == (1, b"")


def test_a_run_whose_reader_leaves_ends_cleanly(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(
        "name: left\ntask_sets: {a: {command: 'true'}, b: {command: sleep 0.5, after: a}}\n"
    )
    run = subprocess.Popen(
        [*STRETTO, "run", "flow.yaml", "--run-dir", "run"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert run.stdout is not None
    assert run.stderr is not None
    assert b"a[0]" in run.stdout.readline()
    run.stdout.close()
    assert run.wait(60) in (0, 1)
    assert run.stderr.read() == b""
    run.stderr.close()
    assert not left_over(tmp_path / "run")
    assert called("resume", "run", folder=tmp_path).returncode == 0


def test_a_terminal_shows_bars(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FAILING)
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [*STRETTO, "run", "flow.yaml", "--run-dir", "run"],
        cwd=tmp_path,
        env=environment(TERM="xterm", COLUMNS="100"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b"".join(_read(ours)).decode()
    os.close(ours)
    assert run.wait(60) == 1
    assert "━" in shown
    assert "2 failed" in shown
    assert re.search(r"fine\[0\].*1/1", shown)
    assert "all 1 finished" not in shown


def _read(file: int) -> Iterator[bytes]:
    """Yield what comes out of a pseudo-terminal until its other side is closed."""
    while select.select([file], [], [], 60)[0]:
        try:
            piece = os.read(file, 65536)
        except OSError:  # closed
            return
        if not piece:
            return
        yield piece


def test_a_command_that_looks_like_a_shells_line_is_noted(tmp_path: Path) -> None:
    text = "name: w\ntask_sets: {a: {command: echo hello > there}}\n"
    (tmp_path / "loop.yaml").write_text(text, encoding="utf-8")
    said = called("validate", "loop.yaml", folder=tmp_path)
    assert said.returncode == 0
    assert "note: a hands '>' to its program as a word" in said.stderr


def test_several_runs_are_reported_side_by_side(tmp_path: Path) -> None:
    for mode in ("sequential", "asynchronous"):
        options = ("--emulate", "--time-scale", "100000", "--mode", mode, "--run-dir", mode)
        assert called("run", "paper:c-dg2-as-run", *options, folder=tmp_path).returncode == 0
    said = called("report", "sequential", "asynchronous", "--output", "both.html", folder=tmp_path)
    assert said.returncode == 0
    assert "asynchronous" in said.stdout
    text = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "Sequential, emulated" in text
    assert "Asynchronous, emulated" in text


def test_the_age_of_stale_input_is_told(tmp_path: Path) -> None:
    text = """
name: loop
iterations: 3
task_sets:
  sim: {tasks: 2, command: "true", after: {learn: {iteration: previous, staleness: 1}}}
  learn: {command: "true", after: sim}
"""
    (tmp_path / "loop.yaml").write_text(text, encoding="utf-8")
    said = called("run", "loop.yaml", "--platform", "local:1", folder=tmp_path)
    assert "sim used learn: " in said.stdout


def test_the_version_is_told() -> None:
    assert called("--version").stdout.startswith("stretto 0.")
