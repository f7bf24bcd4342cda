"""Two hundred random histories: with faults nothing illegal happens; once healed, all finish."""

from __future__ import annotations

import pytest

from stretto.analysis import check
from stretto.scheduler import Dropped, Mode, State, Status, ends_in_time
from stretto.scheduler.gangs import places
from stretto.scheduler.slots import FreeSlots
from stretto.workflow import Pattern, block
from tests.histories import SLOTS, History

HISTORIES = 200


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    one = metafunc.config.getoption("--history-seed")
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(HISTORIES) if one is None else [one])


def test_a_history_is_legal_and_once_healed_all_of_it_finishes(seed: int) -> None:
    try:
        play(History(seed))
    except BaseException as error:
        error.add_note(f"repeat it: pytest tests/test_histories.py --history-seed {seed}")
        raise


def test_every_mode_is_played() -> None:
    assert {History(seed).mode for seed in range(len(Mode))} == set(Mode)


def play(history: History) -> None:
    for state in history.play_faults():
        check_state(state)
        check_round(history)
    for rounds, state in enumerate(history.play_healed()):
        check_state(state)
        assert rounds < state.n_tasks, "it goes on and on"
    state = history.state
    left = [task for task, status in enumerate(state.status) if status not in OVER]
    assert state.done, f"healed, and yet left: {left}"
    trace = history.trace()
    check(trace, slack_us=history.now_us)
    assert trace.done
    assert trace.n_finished == state.n_finished


OVER = (Status.FINISHED, Status.DROPPED, Status.FORGIVEN)
FLYING = (Status.LAUNCHED, Status.RUNNING, Status.LEAVING)
GONE = (Status.DROPPED, Status.LEAVING, Status.FORGIVEN)


def check_round(history: History) -> None:
    """Assert that what was launched could be, and that nothing was left that could have been."""
    state, limit = history.state, history.state.limit
    kinds = set()
    for index in dict.fromkeys(state.set_of[one.task] for one in history.launches):
        kind = state.sets[index].name.partition("[")[0]
        # A launch tells something new of its kind, but nothing of others.
        if limit is not None and not limit.overrun and kind not in kinds:
            assert history.now_us + (history.believed_us[index] or 0) <= limit.until_us
        kinds.add(kind)
    for event in history.excuses:
        if isinstance(event, Dropped):
            assert starved(history, event.task), "it was dropped, and yet had input"
    ready = [index for index, queue in enumerate(state.ready) if queue]
    if state.ranking.strict:
        check_line(history)
        ready = [index for index in in_line(history)[:1] if state.ready[index]]
    if state.mind is not None and state.n_in_flight:
        ready = [index for index in ready if not state.mind.holds(index)]
    fresh = as_placed(state)
    for index in ready:
        if ends_in_time(state, index, history.now_us):
            if state.sets[index].gang:
                assert not places(state, state.sets[index].gang), "there was room for a group"
                continue
            shape = fresh.number(state.sets[index].shape)
            assert fresh.find(shape) is None, f"there was room for {state.sets[index].name}"


def check_line(history: History) -> None:
    """Assert that no set overtook one before it, unless nothing else was in flight."""
    state = history.state
    if len(history.launches) == state.n_in_flight:
        return
    order = in_order(history)
    for launched in history.launches:
        first = next(iter(in_line(history)), order[-1])
        index = state.set_of[launched.task]
        together = state.sets[index].gang or (index,)
        assert min(map(order.index, together)) <= order.index(first)


def in_line(history: History) -> list[int]:
    """Return the sets that have tasks to launch, and time for them, in their order."""
    state, now_us = history.state, history.now_us
    return [
        index
        for index in in_order(history)
        if state.unlaunched[index] and ends_in_time(state, index, now_us)
    ]


def in_order(history: History) -> list[int]:
    priorities = history.state.ranking.priorities
    if history.mode is not Mode.ADAPTIVE:
        assert priorities == list(history.order.priorities(history.sets))
    return sorted(range(len(priorities)), key=lambda index: (-priorities[index], index))


def starved(history: History, task: int) -> bool:
    """Return whether a task can have no result of some set, by the description."""
    instance, state = history.expansion.instance_of(task), history.state
    if history.sets[instance.index].gang:
        return True  # all of it goes with the first; the checker sees to it
    number = task - instance.first_task
    for source in history.sets:
        counts = () if source.prunes is None else source.prunes.counts
        if instance.index in counts and state.status[source.first_task] in GONE:
            return True  # whether it is wanted is not said
    for edge in instance.edges:
        if edge.gate == edge.newest and edge.pattern in (Pattern.EACH, Pattern.GROUP):
            if edge.gate is None:
                continue
            producer = history.expansion.instances[edge.gate]
            inputs = range(number, number + 1)
            if edge.pattern is Pattern.GROUP:
                inputs = block(number, instance.count, producer.count)
            results = [state.status[producer.first_task + one] for one in inputs]
            if set(results) <= set(GONE):
                return True
    return False


def as_placed(state: State) -> FreeSlots:
    """Return what is free, worked out from what is lost and held."""
    free = FreeSlots(state.slots.nodes)
    for node in state.slots.lost:
        assert free.lose(node)
    for placement in state.placements.values():
        free.take(placement)
    return free


def check_state(state: State) -> None:
    """Assert that everything the state counts is what there is to be counted."""
    check_slots(state)
    for index in range(len(state.sets)):
        check_set(state, index)
    counts = {status: state.status.count(status) for status in Status}
    assert state.n_in_flight == sum(counts[one] for one in FLYING)
    assert state.n_finished == counts[Status.FINISHED]
    assert state.n_dropped == counts[Status.DROPPED] + counts[Status.LEAVING]
    assert state.shortfall.n_forgiven == counts[Status.FORGIVEN]
    assert not state.shortfall.due
    assert not state.shortfall.starved
    waits = [index for index, queue in enumerate(state.ready) if queue]
    assert sorted(index for _, index in state.ranking.ready) == waits
    assert state.ranking.ready == sorted(state.ranking.ready)
    if state.ranking.strict:
        line = [index for index, left in enumerate(state.unlaunched) if left]
        assert sorted(index for _, index in state.ranking.line) == line


def check_slots(state: State) -> None:
    free = as_placed(state)
    assert all(getattr(free, name) == getattr(state.slots, name) for name in SLOTS)
    flying = {task for task, status in enumerate(state.status) if status in FLYING}
    assert set(state.bundle_of) == flying
    assert set(state.bundle_of.values()) == set(state.placements)
    for bundle, several in state.bundled.items():
        assert several == list(state.bundle_of.values()).count(bundle) > 0
    assert set(state.started_us) <= flying
    assert state.idle <= flying


def check_set(state: State, index: int) -> None:
    gated = state.sets[index]
    first = gated.first_task
    status = state.status[first : first + gated.count]
    count = {one: status.count(one) for one in Status}
    dropped = count[Status.DROPPED] + count[Status.LEAVING]
    wanted = gated.count - dropped
    failed, left = count[Status.FAILED], wanted - count[Status.FINISHED] - count[Status.FORGIVEN]
    assert state.unfinished[index] == left
    assert state.unlaunched[index] == count[Status.WAITING] + count[Status.READY]
    assert state.shortfall.failed_in[index] == failed
    assert not 0 < failed == left <= gated.budget.of(wanted)
    assert not count[Status.FORGIVEN] or left == 0
    assert count[Status.FORGIVEN] <= gated.budget.of(wanted)
    assert state.wanted.finished[index] == count[Status.FINISHED]
    assert state.wanted.dropped[index] == dropped
    for one in state.wanted.ahead[index]:
        assert not state.wanted.reached(index, one.enough)
    if gated.prunes is not None and gated.prunes.enough is not None:
        assert not state.wanted.reached(index, gated.prunes.enough) or set(status) <= {*OVER, *GONE}
    ready = [task for task in range(first, first + gated.count) if status[task - first] == 1]
    assert sorted(state.ready[index]) == ready
    closed = [one for one, other in enumerate(state.sets) if not state.complete(one)]
    ahead = [one.consumer for each in state.wanted.ahead for one in each]
    gates = sum(state.sets[one].opens.count(index) for one in closed) + ahead.count(index)
    assert state.gates_left[index] == gates
    for number in range(gated.count):
        if status[number] not in GONE:
            check_inputs(state, index, number)


def check_inputs(state: State, index: int, number: int) -> None:
    """Assert that a task waits for just those single inputs that are still to come."""
    gated, missing = state.sets[index], 0
    for producer, pattern in gated.fed_by:
        count, first = state.sets[producer].count, state.sets[producer].first_task
        inputs = block(number, gated.count, count) if pattern is Pattern.GROUP else [number]
        over = [Status.FINISHED, *GONE]
        if any(state.unfinished[one] for one in state.sets[producer].gang):
            over.remove(Status.FINISHED)
        missing += sum(state.status[first + one] not in over for one in inputs)
    assert state.missing[gated.first_task + number] == missing
