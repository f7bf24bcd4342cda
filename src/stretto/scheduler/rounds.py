"""A round: after all that has arrived was applied, decide once what is launched.

Sets with ready tasks are taken best first, and as many of their tasks launched as there is room
for: a list schedule.  A shape that finds no room is not tried again in the round, because a round
only takes.  Where the order is strict, the sets that still have tasks to launch are taken in line
instead, and the first that cannot launch all of them ends the round.  Sets whose tasks cannot end
in time are passed over (see `limits`); those that must run at once are launched together or not at
all (see `gangs`).

Short Python calls cost more to send than to run.  Where a set allows it, several of its tasks are
launched as a *bundle*, which runs them one after another in the same slots: as many as take about
`BUNDLE_US` by the durations seen so far, and never so many that slots would go without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from stretto.platform import Placement
from stretto.scheduler.events import Adapted, Inputs, Launched, Present
from stretto.scheduler.gangs import places
from stretto.scheduler.gates import GatedSet, StaleInput
from stretto.scheduler.limits import ends_in_time
from stretto.scheduler.state import DROPPED, FINISHED, FORGIVEN, State
from stretto.workflow import Pattern, block

__all__ = ["decide"]

BUNDLE_US = 10_000
"""A bundle is as long as this takes."""
MOST_BUNDLED = 256
"""Limit on the tasks of a bundle."""
_AS_BITS = bytes(ord("01"[status == FINISHED]) for status in range(256))
"""Digits for statuses: 1 for what has finished."""


def decide(state: State, now_us: int) -> list[Launched | Adapted]:
    """Apply and return the launches of this round, in order; after `excused`."""
    assert not state.shortfall.starved, "a task without input could be launched"
    # Where the order is strict, the passing of time alone can let others pass.
    if not state.unsettled and not (state.limit and state.ranking.strict):
        return []
    decided: list[Launched | Adapted] = []
    if state.mind is not None:
        adapted = state.mind.consider(now_us)
        if adapted is not None:
            state.apply(adapted)
            decided.append(adapted)
    state.unsettled = False
    return decided + _launches(state, now_us)


def _launches(state: State, now_us: int) -> list[Launched]:
    """Apply and return the launches of this round."""
    launches = _filled(
        state, now_us, _in_line(state, now_us) if state.ranking.strict else _free(state)
    )
    # Where nothing would ever happen again (what the first in line waits for has failed, perhaps)
    # the line is left; and in the end nothing is held back.
    if not state.n_in_flight:
        launches = _filled(state, now_us, _free(state))
    if not state.n_in_flight:
        launches = _filled(state, now_us, [index for _, index in state.ranking.ready])
    return launches


def _free(state: State) -> list[int]:
    """Return the sets that have ready tasks and are not held back, best first."""
    ready = [index for _, index in state.ranking.ready]
    mind = state.mind
    if mind is None or not mind.policy.holds:
        return ready
    return [index for index in ready if not mind.holds(index)]


def _in_line(state: State, now_us: int) -> Iterator[int]:
    """Yield the sets in line, as long as each of them launched all that it had to."""
    for _, index in list(state.ranking.line):
        if state.limit and not ends_in_time(state, index, now_us):
            continue
        if state.mind is not None and state.mind.holds(index):
            return
        yield index
        if state.unlaunched[index]:
            return


def _filled(state: State, now_us: int, sets: Iterable[int]) -> list[Launched]:
    """Apply and return the launches for which there is room, set by set."""
    launches: list[Launched] = []
    full: set[int] = set()
    tried: set[int] = set()
    there: dict[int, int] = {}
    for index in sets:
        gated = state.sets[index]
        if state.limit and not ends_in_time(state, index, now_us):
            continue
        if gated.gang:
            if index not in tried:
                tried.update(gated.gang)
                launches += [
                    _launched(state, member, now_us, placement, state.n_bundles, there)
                    for member, placement in places(state, gated.gang)
                ]
            continue
        shape = state.shape_of[index]
        if shape in full:
            continue
        queue = state.ready[index]
        while queue:
            if gated.pool is not None and not state.shares.room(gated):
                break
            placement = state.slots.find(shape)
            if placement is None:
                full.add(shape)
                break
            bundle = state.n_bundles
            together = _bundle(state, index) if gated.bundles else 1
            launches += [
                _launched(state, index, now_us, placement, bundle, there) for _ in range(together)
            ]
    return launches


def _launched(
    state: State,
    index: int,
    now_us: int,
    placement: Placement,
    bundle: int,
    there: dict[int, int],
) -> Launched:
    """Apply and return the launch of the next ready task of a set."""
    gated = state.sets[index]
    task = state.ready[index][0]
    inputs = _inputs(state, gated, task) if gated.stale_inputs else ()
    present = _present(state, gated, inputs, there) if gated.part_inputs else ()
    attempt = state.attempts[task] + 1
    launched = Launched(task, attempt, now_us, placement, bundle, inputs, present)
    state.apply(launched)
    return launched


def _bundle(state: State, index: int) -> int:
    """Return how many tasks of a set to launch together."""
    seen, total_us = state.observed[index]
    if not seen:
        return 1
    waiting = len(state.ready[index])
    shares = 2 * (len(state.placements) + 1)
    return max(1, min(BUNDLE_US * seen // max(total_us, seen), MOST_BUNDLED, waiting // shares))


def _inputs(state: State, gated: GatedSet, task: int) -> Inputs:
    return tuple((stale.on, _newest(state, stale, gated, task)) for stale in gated.stale_inputs)


def _present(state: State, gated: GatedSet, inputs: Inputs, there: dict[int, int]) -> Present:
    """Return which tasks had finished of the sets of which a part is enough.

    `there` keeps the masks of a round: while it launches nothing finishes.
    """
    used = dict(inputs)
    found = []
    for part in gated.part_inputs:
        for index, iteration in part.candidates:
            if used.get(part.on, iteration) == iteration:
                if index not in there:
                    there[index] = _mask(state, index)
                found.append((part.on, iteration, there[index]))
                break
    return tuple(found)


def _mask(state: State, index: int) -> int:
    """Return which tasks of a set have finished: bit ``i`` for its task ``i``."""
    first, count = state.sets[index].first_task, state.sets[index].count
    return int(state.status[first : first + count][::-1].translate(_AS_BITS) or b"0", 2)


def _newest(state: State, stale: StaleInput, gated: GatedSet, task: int) -> int | None:
    """Return the newest iteration whose result this task can use, if there is one yet."""
    number = task - gated.first_task
    for index, iteration in stale.candidates:
        producer = state.sets[index]
        match stale.pattern:
            case _ if producer.gang:  # what one of them did is of use once all have finished
                there = state.complete(index)
            case Pattern.ALL:
                there = state.complete(index)
            case Pattern.QUORUM:
                assert stale.enough is not None
                there = state.wanted.reached(index, stale.enough) or state.complete(index)
            case Pattern.EACH:
                there = state.status[producer.first_task + number] == FINISHED
            case Pattern.GROUP:
                there = _some_there(state, index, block(number, gated.count, producer.count))
            case _:
                assert_never(stale.pattern)
        if there:
            return iteration
    return None


def _some_there(state: State, index: int, numbers: range) -> bool:
    """Return whether of these tasks of a set some have finished, and no others will."""
    first = state.sets[index].first_task
    statuses = state.status[first + numbers.start : first + numbers.stop]
    finished = statuses.count(FINISHED)
    absent = statuses.count(DROPPED) + statuses.count(FORGIVEN)
    return finished > 0 and finished + absent == len(numbers)
