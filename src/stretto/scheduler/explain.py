"""Why a task is where it is, in words."""

from __future__ import annotations

from stretto.platform import ranks_on
from stretto.scheduler.dropping import OVER
from stretto.scheduler.limits import MARGIN_PERCENT, ends_in_time, fits_nowhere, takes_us
from stretto.scheduler.shortfall import allowed
from stretto.scheduler.state import State
from stretto.scheduler.transitions import Status
from stretto.units import counted, us_to_seconds
from stretto.workflow import Pattern, block

__all__ = ["why"]


def why(state: State, task: int, *, now_us: int = 0) -> str:
    """Return one sentence on why the task is not running, or what became of it.

    Parameters
    ----------
    now_us
        The time, for what has no time left.
    """
    index = state.set_of[task]
    gated = state.sets[index]
    match Status(state.status[task]):
        case Status.WAITING:
            return f"It waits for {'; '.join(_waits(state, task)) or 'its gates'}."
        case Status.READY:
            return _ready(state, task, now_us)
        case Status.LAUNCHED | Status.RUNNING as status:
            waits = ", and says that it waits" if task in state.idle else ""
            return f"It is {status.name.lower()} in attempt {state.attempts[task]}{waits}."
        case Status.FINISHED:
            return f"It finished in attempt {state.attempts[task]}."
        case Status.FAILED | Status.FORGIVEN as status:
            failures = counted(state.failures[task], "time")
            allows = f"with {counted(gated.retries, 'retry')} allowed"
            return f"It failed {failures}, {allows}{_forgiven(state, index, status)}."
        case Status.DROPPED:
            return "It was dropped: it is not wanted anymore."
        case Status.LEAVING:
            return f"It is not wanted anymore; its attempt {state.attempts[task]} is being ended."


def _forgiven(state: State, index: int, status: Status) -> str:
    """Return that a set counts as complete with what failed in it, as an addition in words."""
    if status is not Status.FORGIVEN:
        return ""
    name, most = state.sets[index].name, counted(allowed(state, index), "task")
    return f"; {name} counts as complete without it, since {most} of it may fail"


def _waits(state: State, task: int) -> list[str]:
    index = state.set_of[task]
    gated = state.sets[index]
    waits = [
        f"{producer.name} ({state.unfinished[number]} of {producer.count} to finish"
        f"{_failed_in(state, number)})"
        for number, producer in enumerate(state.sets)
        if index in producer.opens and not state.complete(number)
    ]
    for number, producer in enumerate(state.sets):
        for threshold in state.wanted.ahead[number]:
            if threshold.consumer == index:
                wanted = state.wanted.tasks(number)
                more = threshold.enough.needed(wanted) - state.wanted.finished[number]
                waits.append(f"{producer.name} ({more} more of {wanted} to finish)")
    for number, pattern in gated.fed_by:
        producer = state.sets[number]
        own = task - gated.first_task
        inputs = block(own, gated.count, producer.count) if pattern is Pattern.GROUP else [own]
        missing = [
            str(one) for one in inputs if state.status[producer.first_task + one] not in OVER
        ]
        if missing:
            waits.append(f"{producer.name} task{'s' * (len(missing) > 1)} {', '.join(missing)}")
    return waits


def _failed_in(state: State, index: int) -> str:
    """Return how many tasks of a set failed for good, as an addition in words."""
    gated = state.sets[index]
    tasks = state.status[gated.first_task : gated.first_task + gated.count]
    failed = tasks.count(Status.FAILED)
    may = f", {most} may" if (most := allowed(state, index)) else ""
    return f", {failed} of them failed for good{may}" if failed else ""


def _ready(state: State, task: int, now_us: int) -> str:
    index = state.set_of[task]
    shape = state.sets[index].shape
    if not ends_in_time(state, index, now_us):
        return _no_time(state, index, now_us)
    if fits_nowhere(state, index):
        return _no_room(state, index)
    if together := _group_waits(state, index):
        return together
    if state.mind is not None and (awaited := state.mind.waits(index)):
        policy = state.mind.policy
        return f"It is ready; the policy ({policy}) lets it wait for {' and '.join(awaited)}."
    ranked = [one for _, one in state.ranking.ready]
    ahead = sum(len(state.ready[other]) for other in ranked[: ranked.index(index)])
    ahead += list(state.ready[index]).index(task)
    nodes = [
        number
        for number, node in enumerate(state.slots.nodes)
        if number not in state.slots.lost and ranks_on(node, shape)
    ]
    most = max(nodes, key=lambda node: (*state.slots.free(node), -node))
    cores, gpus, memory_mib = state.slots.free(most)
    free = [f"{cores} cores", f"{gpus} whole GPUs", f"{memory_mib} MiB"]
    free += [f"{state.slots.free_named(most, name)} {name}" for name, _ in shape.named]
    return (
        f"It is ready and needs {shape}; {counted(ahead, 'task')} before it; the freest node that "
        f"suits it has {', '.join(free[:-1])} and {free[-1]} free."
    )


def _group_waits(state: State, index: int) -> str | None:
    """Return for whom a ready task waits that must run at once with others, if for any."""
    gang = state.sets[index].gang
    names = " and ".join(state.sets[one].name for one in gang if one != index)
    late = [one for one in gang if len(state.ready[one]) < state.unfinished[one]]
    if late:
        missing = " and ".join(state.sets[one].name for one in late)
        return f"It is ready, and runs at once with {names}; it waits for {missing} to be ready."
    if gang:
        return f"It is ready, and runs at once with {names}; there is no room yet for all of them."
    return None


def _no_room(state: State, index: int) -> str:
    lost = ", ".join(state.slots.nodes[node].name for node in state.slots.lost)
    needs = f"It is ready and needs {state.sets[index].shape}"
    if not state.sets[index].gang:
        return f"{needs}; it fits on no node that is left, without {lost}."
    return f"{needs}; those that run at once have no room together without {lost}."


def _no_time(state: State, index: int, now_us: int) -> str:
    limit, expected_us = state.limit, takes_us(state, index, now_us)
    assert limit is not None, "what has no limit has time"
    left_s = us_to_seconds(max(0, limit.until_us - now_us))
    takes = "" if expected_us is None else f"it takes about {us_to_seconds(expected_us):g} s, and "
    return (
        f"It is ready, but cannot end in time: {takes}{left_s:.4g} s are left of the walltime "
        f"({MARGIN_PERCENT} % more than expected must fit)."
    )
