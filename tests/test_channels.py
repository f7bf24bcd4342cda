"""Channels: described, brokered, authenticated, and used by tasks that run at once."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import stretto
from stretto.analysis import check, utilisation
from stretto.channels import DONE, END, LATE, MESSAGE, OpenChannel, open_channel
from stretto.cli.exits import Exit
from stretto.errors import BackendError, WorkflowError
from stretto.runtime import Ending
from stretto.runtime.streams import Answer, Request, Stream
from stretto.trace import Outcome, Trace
from stretto.workflow import (
    Channel,
    TaskSet,
    Workflow,
    expand,
    parse_workflow,
    workflow_from_mapping,
    write_workflow,
)
from tests.commands import called

zmq = pytest.importorskip("zmq")

SLACK_US = 10_000_000
TEXT = """
name: w
task_sets:
  a: {tasks: 2}
  b: {with: a}
  c: {with: b}
  d: {}
channels:
  frames: {from: a, to: [b, c]}
  back: {from: [b, c], to: a, every: true, capacity: 3}
"""

# Descriptions.


def test_channels_are_described_read_and_written() -> None:
    flow = parse_workflow(TEXT)
    frames, back = flow.channels
    assert frames == Channel("frames", "a", ["b", "c"])
    assert back == Channel("back", ["b", "c"], "a", every=True, capacity=3)
    assert parse_workflow(write_workflow(flow)).channels == flow.channels
    assert flow.with_iterations(3).channels == flow.channels


@pytest.mark.parametrize(
    ("channels", "told"),
    [
        ({"x": {"from": "a", "to": "z"}}, "channels.x.to: there is no task set 'z'"),
        ({"x": {"from": "a", "to": "d"}}, "a and d must run at once; join them by 'with'"),
        ({"x": {"from": "d", "to": "d"}}, "d runs at once with no other set"),
        ({"x": {"from": "a", "to": []}}, "expected the name of a task set or a list"),
        ({"x": {"from": ["a", "a"], "to": "b"}}, "named twice"),
        ({"x": {"from": "a", "to": "b", "capacity": 0}}, "capacity"),
        ({"x": {"from": "a"}}, "the key 'to' is missing"),
        ({"x": {"from": "a", "to": "b", "size": 3}}, "unknown key 'size'; expected one of from"),
        ({"2x": {"from": "a", "to": "b"}}, "2x"),
    ],
)
def test_mistakes_are_told(channels: dict[str, Any], told: str) -> None:
    sets = {"a": {"tasks": 2}, "b": {"with": "a"}, "d": {}}
    with pytest.raises(WorkflowError, match=told.replace(".", r"\.")):
        workflow_from_mapping({"name": "w", "task_sets": sets, "channels": channels})


# What a channel holds.


def ask(number: int) -> Request:
    return Request(b"p", b"%d" % number)


def got(answers: list[Answer]) -> list[tuple[int, bytes, bytes]]:
    return [(int(to.number), frames[0], b"".join(frames[1:])) for to, frames in answers]


def stream(*, every: bool = False, capacity: int = 2) -> Stream:
    channel = Channel("x", "s", ["r", "t"], every=every, capacity=capacity)
    return Stream(channel, {"s": 2, "r": 2, "t": 1})


def test_each_receiving_set_gets_every_message_and_its_tasks_share_them() -> None:
    one = stream()
    assert got(one.send(ask(1), (b"a",))) == [(1, DONE, b"")]
    assert got(one.receive(ask(2), ("r", 1))) == [(2, MESSAGE, b"a")]
    assert got(one.receive(ask(3), ("r", 0))) == []
    assert got(one.receive(ask(4), ("t", 0))) == [(4, MESSAGE, b"a")]
    assert got(one.send(ask(5), (b"b",))) == [(5, DONE, b""), (3, MESSAGE, b"b")]


def test_every_task_gets_each_message_if_the_channel_says_so() -> None:
    one = stream(every=True)
    one.send(ask(1), (b"a",))
    for number, member in enumerate([("r", 0), ("r", 1), ("t", 0)], start=2):
        assert got(one.receive(ask(number), member)) == [(number, MESSAGE, b"a")]


def test_a_sender_waits_while_a_queue_is_full_and_messages_stay_in_order() -> None:
    one = stream(capacity=1)
    assert got(one.send(ask(1), (b"a",))) == [(1, DONE, b"")]
    assert got(one.send(ask(2), (b"b",))) == []
    assert got(one.send(ask(3), (b"c",))) == []
    assert got(one.receive(ask(4), ("r", 0))) == [(4, MESSAGE, b"a")]
    assert got(one.receive(ask(5), ("t", 0))) == [(5, MESSAGE, b"a"), (2, DONE, b"")]
    assert got(one.close(("t", 0))) == []
    assert got(one.receive(ask(6), ("r", 1))) == [(6, MESSAGE, b"b"), (3, DONE, b"")]


def test_it_ends_when_all_senders_have_closed_and_nothing_is_left() -> None:
    one = stream()
    one.send(ask(1), (b"a",))
    assert one.close(("s", 0)) == []
    assert got(one.receive(ask(2), ("t", 0))) == [(2, MESSAGE, b"a")]
    assert got(one.receive(ask(3), ("t", 0))) == []
    assert got(one.close(("s", 1))) == [(3, END, b"")]
    assert got(one.receive(ask(4), ("r", 0))) == [(4, MESSAGE, b"a")]
    assert got(one.receive(ask(5), ("r", 0))) == [(5, END, b"")]
    assert not one.over
    for member in [("r", 0), ("r", 1), ("t", 0)]:
        one.close(member)
    assert one.over


def test_who_loses_patience_is_answered_once() -> None:
    one = stream()
    one.receive(ask(1), ("r", 0))
    assert got(one.cancel(ask(1))) == [(1, LATE, b"")]
    assert one.cancel(ask(1)) == []
    assert got(one.send(ask(2), (b"a",))) == [(2, DONE, b"")]


def test_messages_to_nobody_are_dropped() -> None:
    one = stream(capacity=1)
    for member in [("r", 0), ("r", 1), ("t", 0)]:
        one.close(member)
    for number in range(5):
        assert got(one.send(ask(number), (b"a",))) == [(number, DONE, b"")]
    assert got(one.receive(ask(9), ("r", 0))) == [(9, END, b"")]


# Runs.


def outcomes(trace: Trace) -> list[Outcome]:
    return [Outcome(one) for one in trace.outcome.tolist()]


def produce(task: int, run_dir: str, count: int = 30, late: bool = False) -> None:
    with open_channel("frames") as frames:
        while late and len(list(Path(run_dir).glob("up.*"))) < 3:
            time.sleep(0.01)
        for number in range(count):
            time.sleep(0.1 if late else 0)
            frames.send((task, number))


def consume(run_dir: str, task_set: str, task: int, pause: float = 0.0) -> list[tuple[int, int]]:
    found = []
    with open_channel("frames") as frames:
        (Path(run_dir) / f"up.{task_set}.{task}").touch()
        for message in frames:
            time.sleep(pause)
            found.append(message)
    return found


def two(capacity: int = 100, every: bool = False, **arguments: Any) -> Workflow:
    return Workflow(
        "two",
        [
            TaskSet("produce", tasks=2, function=produce, arguments=arguments.pop("produce", {})),
            TaskSet(
                "consume",
                tasks=2,
                function=consume,
                arguments=arguments.pop("consume", {}),
                with_="produce",
            ),
            TaskSet("audit", function=consume, with_="produce"),
        ],
        channels=[
            Channel("frames", "produce", ["consume", "audit"], capacity=capacity, every=every)
        ],
        **arguments,
    )


def ran(flow: Workflow, run_dir: Path) -> stretto.Run:
    ended = stretto.run(flow, platform="local:5", run_dir=run_dir)
    check(ended.trace, slack_us=SLACK_US)
    assert ended.ending is Ending.DONE, ended.trace.reasons
    return ended


ALL = sorted((task, number) for task in range(2) for number in range(30))


def test_every_set_gets_all_and_its_tasks_share(tmp_path: Path) -> None:
    ended = ran(two(), tmp_path / "run")
    shared: Any = [ended.result("consume", task=task) for task in range(2)]
    assert sorted(chain(*shared)) == ALL
    audited: Any = ended.result("audit")
    assert sorted(audited) == ALL
    for task in range(2):  # what one sender sent stays in order
        assert [one for one in audited if one[0] == task] == ALL[task * 30 : task * 30 + 30]


def test_every_task_gets_all_where_the_channel_says_so_in_every_iteration(tmp_path: Path) -> None:
    ended = ran(two(every=True, iterations=2), tmp_path / "run")
    for iteration, task in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        found: Any = ended.result("consume", iteration=iteration, task=task)
        assert sorted(found) == ALL


def test_who_waits_is_idle_receivers_and_senders_alike(tmp_path: Path) -> None:
    slow_senders = ran(two(produce={"count": 5, "late": True}), tmp_path / "a").trace
    assert {int(slow_senders.task[row]) for row in slow_senders.idle} >= {2, 3, 4}
    use = utilisation(slow_senders)
    assert use.cores_executing < use.cores
    slow_receivers = ran(two(capacity=1, consume={"pause": 0.02}), tmp_path / "b").trace
    assert {int(slow_receivers.task[row]) for row in slow_receivers.idle} >= {0, 1}


def fails_once(attempt: int) -> list[int]:
    """The first attempt takes a message and fails; the second must see all of them."""
    with open_channel("frames") as frames:
        if attempt == 1:
            frames.receive()
            raise ValueError("the first time")
        return sorted(number for _, number in frames)


def test_a_group_that_is_tried_again_begins_its_channels_anew(tmp_path: Path) -> None:
    flow = Workflow(
        "again",
        [
            TaskSet("produce", function=produce),
            TaskSet("consume", function=fails_once, with_="produce", retries=1),
        ],
        channels=[Channel("frames", "produce", "consume")],
    )
    ended = ran(flow, tmp_path / "run")
    assert ended.result("consume") == list(range(30))
    assert sorted(outcomes(ended.trace))[:2] == [Outcome.FINISHED] * 2
    assert Outcome.FAILED in outcomes(ended.trace)


def closes_without_saying() -> None:
    OpenChannel("frames").send("one")


def looks() -> list[object]:
    found: list[object] = [os.environ["STRETTO_CHANNELS"]]
    path = Path(os.environ["STRETTO_CHANNELS"])
    found.append(stat.S_IMODE(path.stat().st_mode))
    found.append(json.loads(path.read_text())["address"])
    frames = open_channel("frames")
    found.append(frames.receive())
    with pytest.raises(EOFError):  # its sender has finished, though it never said so
        frames.receive()
    with pytest.raises(WorkflowError, match="looks does not send on it"):
        frames.send("x")
    with pytest.raises(WorkflowError, match="the workflow has no such channel"):
        open_channel("nowhere").receive()
    return found


@pytest.mark.parametrize("interface", ["127.0.0.1", "lo"])
def test_keys_are_private_and_gone_after_the_run(tmp_path: Path, interface: str) -> None:
    flow = Workflow(
        "keys",
        [TaskSet("s", function=closes_without_saying), TaskSet("looks", function=looks, with_="s")],
        channels=[Channel("frames", "s", "looks")],
    )
    ended = stretto.run(
        flow, platform="local:2", run_dir=tmp_path / "run", channel_interface=interface
    )
    check(ended.trace, slack_us=SLACK_US)
    assert ended.ending is Ending.DONE, ended.trace.reasons
    path, mode, address, message = ended.result("looks")  # type: ignore[misc]
    assert mode == 0o600
    assert address.startswith("tcp://127.0.0.1:")
    assert message == "one"
    assert not Path(path).exists()
    assert b"STRETTO_CHANNELS" not in (tmp_path / "run/journal.jsonl").read_bytes()


@pytest.mark.parametrize("interface", ["*", "0.0.0.0", "", 3])
def test_channels_listen_where_they_are_told_and_nowhere_else(
    tmp_path: Path, interface: Any
) -> None:
    with pytest.raises(WorkflowError, match="channel_interface"):
        stretto.run(two(), platform="local:5", run_dir=tmp_path / "r", channel_interface=interface)
    with pytest.raises(BackendError, match="cannot listen on 'nowhere0'"):
        stretto.run(two(), platform="local:5", run_dir=tmp_path / "s", channel_interface="nowhere0")


def test_the_command_line_says_where_channels_listen(tmp_path: Path) -> None:
    look = "import json, os; print(json.load(open(os.environ['STRETTO_CHANNELS']))['address'])"
    (tmp_path / "flow.yaml").write_text(
        f"""
name: flow
task_sets:
  left: {{command: [{sys.executable}, -c, {json.dumps(look)}]}}
  right: {{command: "true", with: left}}
channels:
  frames: {{from: left, to: right}}
"""
    )
    words = ("flow.yaml", "--platform", "local:2", "--run-dir", "run")
    refused = called("run", *words, "--channel-interface", "nowhere0", folder=tmp_path)
    assert refused.returncode == Exit.FAILED
    assert "cannot listen on 'nowhere0'" in refused.stderr
    resumed = called("resume", "run", "--channel-interface", "127.0.0.2", folder=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "run/tasks/left/0/0.1.out").read_text().startswith("tcp://127.0.0.2:")


def test_emulated_runs_and_simulations_need_no_broker(tmp_path: Path) -> None:
    flow = two().with_durations({"produce": 1, "consume": 1, "audit": 1})
    ended = stretto.run(
        flow, platform="summit:1", emulate=True, time_scale=100, run_dir=tmp_path / "run"
    )
    check(ended.trace, slack_us=SLACK_US * 100)
    assert ended.trace.complete


def test_outside_of_a_run_there_are_no_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRETTO_TASK", raising=False)
    with pytest.raises(BackendError, match="this is no task of a run"):
        stretto.channel("frames")


# Who may take part.


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Path]:
    """A broker in a thread with an event loop of its own; yields the file of its keys."""
    import asyncio

    from stretto.runtime.broker import Broker

    flow = parse_workflow(TEXT)
    keys = tmp_path / "keys.json"
    up, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        one = Broker(expand(flow), "127.0.0.1", keys)
        up.set()
        while not stop.is_set():
            await asyncio.sleep(0.01)
        one.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert up.wait(30)
    yield keys
    stop.set()
    thread.join(30)


def asks(keys: dict[str, str] | None, address: str, *frames: bytes) -> list[bytes] | None:
    """Return the answer to a request, `None` if none comes."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    if keys is not None:
        socket.curve_serverkey = keys["broker"].encode()
        socket.curve_publickey = keys["public"].encode()
        socket.curve_secretkey = keys["secret"].encode()
    socket.connect(address)
    try:
        socket.send_multipart(frames)
        return socket.recv_multipart() if socket.poll(1500) else None
    finally:
        socket.close(linger=0)
        context.term()


def test_only_who_has_the_keys_of_the_run_is_heard(broker: Path) -> None:
    keys = json.loads(broker.read_text())
    address = keys["address"]
    request = (b"1", b"send", b"frames", b'["a", 0, 0, 1]', b"raw", b"x")
    public, secret = (key.decode() for key in zmq.curve_keypair())
    assert asks(None, address, *request) is None  # no keys at all
    assert asks({**keys, "public": public, "secret": secret}, address, *request) is None
    assert asks({**keys, "broker": public}, address, *request) is None  # not our broker
    assert asks(keys, address, *request) == [b"1", DONE]


def test_nonsense_from_those_who_have_the_keys_is_answered_and_harmless(broker: Path) -> None:
    keys = json.loads(broker.read_text())
    address = keys["address"]
    who = b'["a", 0, 0, 1]'
    for frames, told in [
        ((b"send", b"frames", b"{", b"raw", b"x"), "no request"),
        ((b"send", b"frames", b'["a", "0", 0, 1]', b"raw", b"x"), "no request"),
        ((b"send", b"frames", who, b"x"), "no request"),
        ((b"dance", b"frames", who), "no request"),
        ((b"send", b"nowhere", who, b"raw", b"x"), "no such channel"),
        ((b"send", b"frames", b'["a", 7, 0, 1]', b"raw", b"x"), "no such task"),
        ((b"send", b"frames", b'["b", 0, 0, 1]', b"raw", b"x"), "b does not send on it"),
        ((b"receive", b"frames", who), "a does not receive on it"),
    ]:
        answer = asks(keys, address, b"1", *frames)
        assert answer is not None
        assert told in answer[-1].decode()
    assert asks(keys, address, b"1") is None
    assert asks(keys, address, b"1", b"send", b"frames", b'["a", 0, 0, 2]', b"raw", b"x") == [
        b"1",
        DONE,
    ]
    late = asks(keys, address, b"1", b"send", b"frames", who, b"raw", b"x")
    assert late is not None
    assert b"this attempt is over" in late[-1]


def test_a_timeout_leaves_the_channel_usable(broker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRETTO_CHANNELS", str(broker))
    for name, value in {"TASK": "0", "ITERATION": "0", "ATTEMPT": "1"}.items():
        monkeypatch.setenv(f"STRETTO_{name}", value)
    monkeypatch.setenv("STRETTO_TASK_SET", "b")
    receiver = stretto.channel("frames")
    for timeout in (0, 0.05):
        with pytest.raises(TimeoutError, match="nothing came on frames within"):
            receiver.receive(timeout=timeout)
    monkeypatch.setenv("STRETTO_TASK_SET", "a")
    with stretto.channel("frames") as sender:
        for message in (b"raw", {"a": 1}, None):
            sender.send(message)
    assert [receiver.receive(timeout=30) for _ in range(3)] == [b"raw", {"a": 1}, None]
    receiver.close()
    with pytest.raises(ValueError, match="frames is closed"):
        receiver.receive()
    receiver.close()
