"""Compiled functions: schedules from priorities, their justification, and the genetic search.

They are in one file because what `evolve` was compiled to is kept on disk until the file that it
stands in changes, and no other file matters.

Two schemes (Kolisch, Hartmann: Heuristic algorithms for the resource-constrained project scheduling
problem, 1999) turn one number an activity, the smallest first, into start times:

- *serial*: take the best activity whose predecessors are placed, and place it as early as it fits;
- *parallel*: go forward in time, and at each end start the best activities that fit.

Parallel schedules leave no room idle that could be used, and all of them may be longer than the
optimum; serial schedules are those in which nothing could start sooner, and one of them is optimal.

*Justification* (Valls, Ballestín, Quintanilla 2005; forward-backward improvement) places all
activities as late as they fit, those that end last first, and then as early as they fit, those that
start first first.  Each pass is a serial one, the backward pass on the project turned round, and
none is longer than what it started from.

Free resources are kept as *pieces* of time, from one instant at which something starts or ends to
the next, so a schedule costs what the number of such instants costs, whatever the unit of time.
Alike tasks that start together share them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stretto.compiling import jit, kept
from stretto.optimizer.ints import Ints

if TYPE_CHECKING:
    from stretto.optimizer.arrays import Course, Line, Population, Scratch

__all__ = ["SCHEDULES_A_CHILD", "evolve", "justified", "parallel", "serial"]

POPULATION = 40
"""Orders kept."""
BEST = POPULATION
"""Row of the best order so far, behind the population."""
RANDOM, FILLED, GIVEN, STALE = range(4)
"""What the state of a population holds."""
SCHEDULES_A_CHILD = 3
"""One schedule is generated, and two more to justify it."""
PATIENCE = 50 * POPULATION
"""Children without any improvement before all but the best are sampled anew."""
MOST_WEIGHED = 64
"""Of the sets that are ready, how many are weighed against each other for the next place."""
MOVED_MILLI = 100
"""Of a thousand sets of a child, how many are moved."""
FARTHEST = 10
"""Places that a set is moved at most."""
SWITCHED_PERCENT = 5
"""Of a hundred children, how many are decoded by the other scheme than their mother."""


# Heaps of activities, by key and then by number.


@jit
def push(heap: Ints, size: int, activity: int, keys: Ints) -> int:
    """Add an activity to a heap of `size`; return its new size."""
    at, key = size, keys[activity]
    while at > 0:
        above = (at - 1) >> 1
        other = heap[above]
        if keys[other] < key or (keys[other] == key and other < activity):
            break
        heap[at] = other
        at = above
    heap[at] = activity
    return size + 1


@jit
def pop(heap: Ints, size: int, keys: Ints) -> int:
    """Remove the first of a heap of `size`; return its new size."""
    size -= 1
    activity = heap[size]
    at, key = 0, keys[activity]
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        other = heap[below]
        if below + 1 < size:
            right = heap[below + 1]
            if keys[right] < keys[other] or (keys[right] == keys[other] and right < other):
                below += 1
                other = right
        if key < keys[other] or (key == keys[other] and activity < other):
            break
        heap[at] = other
        at = below
    heap[at] = activity
    return size


@jit
def _freed(course: Course, room: Scratch, keys: Ints, size: int, activity: int, end: int) -> int:
    """Tell those that wait for an activity that it ends then; return the size of the heap."""
    for at in range(course.after_at[activity], course.after_at[activity + 1]):
        other = course.after[at]
        room.soonest[other] = max(room.soonest[other], end)
        room.waits[other] -= 1
        if room.waits[other] == 0:
            size = push(room.heap, size, other, keys)
    return size


@jit
def _begun(course: Course, room: Scratch, keys: Ints) -> int:
    """Set the heap to what waits for nothing; return its size."""
    size = 0
    for activity in range(len(course.durations)):
        room.soonest[activity] = 0
        room.waits[activity] = course.n_before[activity]
        if room.waits[activity] == 0:
            size = push(room.heap, size, activity, keys)
    return size


# Serial.


@jit
def _first_fit(course: Course, room: Scratch, pieces: int, activity: int) -> tuple[int, int, int]:
    """Return the earliest start of an activity, and the pieces it lies in: first, and behind."""
    n_resources = len(course.capacities)
    start, duration = room.soonest[activity], course.durations[activity]
    first, behind = 0, pieces
    while behind - first > 1:
        middle = (first + behind) >> 1
        if room.times[middle] <= start:
            first = middle
        else:
            behind = middle
    at = first
    while True:
        fits = True
        for kind in range(n_resources):
            if room.free[at * n_resources + kind] < course.demands[activity * n_resources + kind]:
                fits = False
                break
        at += 1
        if not fits:
            first, start = at, room.times[at]
        elif at == pieces or room.times[at] >= start + duration:
            return start, first, at


@jit
def _split(room: Scratch, pieces: int, n_resources: int, at: int, time: int) -> None:
    """Let a new piece begin at `time`, before the piece `at` and with what is free before it."""
    for piece in range(pieces, at, -1):
        room.times[piece] = room.times[piece - 1]
    for place in range((pieces + 1) * n_resources - 1, at * n_resources - 1, -1):
        room.free[place] = room.free[place - n_resources]
    room.times[at] = time


@jit
def serial(course: Course, room: Scratch, keys: Ints, starts: Ints) -> int:
    """Fill `starts` with the serial schedule of these keys; return its makespan."""
    n_resources = len(course.capacities)
    size = _begun(course, room, keys)
    pieces, makespan = 1, 0
    room.times[0] = 0
    for kind in range(n_resources):
        room.free[kind] = course.capacities[kind]
    while size > 0:
        activity = room.heap[0]
        size = pop(room.heap, size, keys)
        start = room.soonest[activity]
        duration = course.durations[activity]
        if duration > 0:
            start, first, behind = _first_fit(course, room, pieces, activity)
            if room.times[first] < start:
                first, behind = first + 1, behind + 1
                _split(room, pieces, n_resources, first, start)
                pieces += 1
            if behind == pieces or room.times[behind] > start + duration:
                _split(room, pieces, n_resources, behind, start + duration)
                pieces += 1
            for piece in range(first, behind):
                for kind in range(n_resources):
                    held = course.demands[activity * n_resources + kind]
                    room.free[piece * n_resources + kind] -= held
        starts[activity] = start
        makespan = max(makespan, start + duration)
        size = _freed(course, room, keys, size, activity, start + duration)
    return makespan


# Parallel.


@jit
def _starts_now(course: Course, room: Scratch, activity: int) -> bool:
    """Take what an activity needs, if all of it is free now."""
    n_resources = len(course.capacities)
    if course.durations[activity] > 0:
        for kind in range(n_resources):
            if room.free[kind] < course.demands[activity * n_resources + kind]:
                return False
        for kind in range(n_resources):
            room.free[kind] -= course.demands[activity * n_resources + kind]
    return True


@jit
def parallel(course: Course, room: Scratch, keys: Ints, starts: Ints) -> int:
    """Fill `starts` with the parallel schedule of these keys; return its makespan."""
    n, n_resources = len(course.durations), len(course.capacities)
    size = _begun(course, room, keys)
    running, now = 0, 0
    for kind in range(n_resources):
        room.free[kind] = course.capacities[kind]
    while True:
        kept = 0
        while size > 0:
            activity = room.heap[0]
            size = pop(room.heap, size, keys)
            if not _starts_now(course, room, activity):
                kept += 1
                room.heap[n - kept] = activity  # behind all that can be in the heap meanwhile
                continue
            starts[activity] = now
            if course.durations[activity] > 0:
                room.soonest[activity] = now + course.durations[activity]
                running = push(room.running, running, activity, room.soonest)
            else:
                size = _freed(course, room, keys, size, activity, now)
        if running == 0:
            return now
        for at in range(n - kept, n):
            size = push(room.heap, size, room.heap[at], keys)
        now = room.soonest[room.running[0]]
        while running > 0 and room.soonest[room.running[0]] == now:
            activity = room.running[0]
            running = pop(room.running, running, room.soonest)
            for kind in range(n_resources):
                room.free[kind] += course.demands[activity * n_resources + kind]
            size = _freed(course, room, keys, size, activity, now)


# Justification.


@jit
def justified(forward: Course, backward: Course, room: Scratch, makespan: int, starts: Ints) -> int:
    """Push a schedule to the right and to the left again; return its makespan, no longer.

    `starts` are then those of the better schedule.  Two passes: two schedules are generated.
    """
    n = len(forward.durations)
    for activity in range(n):
        room.keys[activity] = -(starts[activity] + forward.durations[activity])
    length = serial(backward, room, room.keys, room.starts)
    for activity in range(n):
        room.keys[activity] = length - room.starts[activity] - forward.durations[activity]
    length = serial(forward, room, room.keys, room.starts)
    if length <= makespan:
        for activity in range(n):
            starts[activity] = room.starts[activity]
    return min(length, makespan)


# Orders.


@jit
def below(state: Ints, most: int) -> int:
    """Return a random number from 0, below `most`, which is below 2**31 (xorshift, Marsaglia)."""
    one = state[RANDOM]
    one ^= (one << 13) & 0xFFFFFFFF
    one ^= one >> 17
    one ^= (one << 5) & 0xFFFFFFFF
    state[RANDOM] = one
    return (one * most) >> 32


@jit
def _sample(line: Line, population: Population) -> None:
    """Fill the ranks of the sets with those of a biased random order."""
    ranks, waits, ready = population.ranks, population.waits, population.heap
    n_sets, n_ready = len(ranks), 0
    for one in range(n_sets):
        waits[one] = line.n_before[one]
        if waits[one] == 0:
            ready[n_ready] = one
            n_ready += 1
    for rank in range(n_sets):
        first, behind = 0, n_ready
        if n_ready > MOST_WEIGHED:
            first = below(population.state, n_ready - MOST_WEIGHED + 1)
            behind = first + MOST_WEIGHED
        latest, total = 0, 0
        for at in range(first, behind):
            latest = max(latest, line.latest[ready[at]])
        for at in range(first, behind):
            total += latest - line.latest[ready[at]] + 1
        left = below(population.state, total)
        at = first - 1
        while left >= 0:
            at += 1
            left -= latest - line.latest[ready[at]] + 1
        one = ready[at]
        ranks[one] = rank
        n_ready -= 1
        ready[at] = ready[n_ready]
        for place in range(line.after_at[one], line.after_at[one + 1]):
            other = line.after[place]
            waits[other] -= 1
            if waits[other] == 0:
                ready[n_ready] = other
                n_ready += 1


@jit
def _cross(population: Population, mother: int, father: int) -> None:
    """Fill the ranks with those of a child: the mother's order, its middle as the father has it."""
    orders, ranks, state = population.orders, population.ranks, population.state
    n_sets = len(ranks)
    one, other = below(state, n_sets + 1), below(state, n_sets + 1)
    begin, end = min(one, other), max(one, other)
    for number in range(n_sets):
        ranks[number] = -1
    rank = 0
    for at in range(3 * n_sets):
        part, place = at // n_sets, at % n_sets
        parent = father if part == 1 else mother
        limit = begin if part == 0 else end if part == 1 else n_sets
        number = orders[parent * n_sets + place]
        if rank < limit and ranks[number] < 0:
            ranks[number] = 2 * rank
            rank += 1
    for number in range(n_sets):
        if below(state, 1000) < MOVED_MILLI:
            ranks[number] += 2 * below(state, 2 * FARTHEST + 1) - 2 * FARTHEST + 1


@jit
def _keep_order(line: Line, population: Population, row: int) -> None:
    """Fill the order of a row with the sets as they start in the schedule at work."""
    n_sets, size = len(population.ranks), 0
    for number in range(n_sets):
        population.waits[number] = -1
    for activity in range(len(line.set_of)):
        number, start = line.set_of[activity], population.starts[activity]
        if number >= 0 and (population.waits[number] < 0 or start < population.waits[number]):
            population.waits[number] = start
    for number in range(n_sets):
        size = push(population.heap, size, number, population.waits)
    for place in range(n_sets):
        population.orders[row * n_sets + place] = population.heap[0]
        size = pop(population.heap, size, population.waits)


@jit
def _decode(
    forward: Course,
    backward: Course,
    line: Line,
    room: Scratch,
    population: Population,
    scheme: int,
) -> int:
    """Fill the schedule at work by the ranks of the sets; return its makespan."""
    keys, starts = population.keys, population.starts
    for activity in range(len(keys)):
        number = line.set_of[activity]
        keys[activity] = population.ranks[number] if number >= 0 else -2 * FARTHEST
    if scheme == 0:
        makespan = serial(forward, room, keys, starts)
    else:
        makespan = parallel(forward, room, keys, starts)
    return justified(forward, backward, room, makespan, starts)


@jit
def _parent(population: Population) -> int:
    """Return the better of two rows drawn at random."""
    one, other = below(population.state, POPULATION), below(population.state, POPULATION)
    return other if population.makespans[other] < population.makespans[one] else one


@jit
def _filled(line: Line, population: Population) -> tuple[int, int]:
    """Return the row and the scheme of an order given or sampled, and fill the ranks with it."""
    row, n_sets = population.state[FILLED], len(population.ranks)
    if row < population.state[GIVEN]:
        for place in range(n_sets):
            population.ranks[population.orders[row * n_sets + place]] = place
    else:
        _sample(line, population)
    population.state[FILLED] += 1
    return row, row & 1


@jit
def _bred(population: Population) -> tuple[int, int]:
    """Return the row that a child may take and its scheme, and fill the ranks with it."""
    worst = 0
    for row in range(1, POPULATION):
        if population.makespans[row] > population.makespans[worst]:
            worst = row
    mother, father = _parent(population), _parent(population)
    scheme = population.schemes[mother]
    if below(population.state, 100) < SWITCHED_PERCENT:
        scheme = 1 - scheme
    _cross(population, mother, father)
    return worst, scheme


@kept
def evolve(
    forward: Course,
    backward: Course,
    line: Line,
    room: Scratch,
    population: Population,
    schedules: int,
    floor: int,
) -> int:
    """Go on until so many schedules were generated, or one is as short as the floor."""
    makespans, state = population.makespans, population.state
    used = 0
    while used + SCHEDULES_A_CHILD <= schedules and not 0 <= makespans[BEST] <= floor:
        sampling = state[FILLED] < POPULATION
        row, scheme = _filled(line, population) if sampling else _bred(population)
        makespan = _decode(forward, backward, line, room, population, scheme)
        used += SCHEDULES_A_CHILD
        if sampling or makespan <= makespans[row]:
            makespans[row] = makespan
            population.schemes[row] = scheme
            _keep_order(line, population, row)
        state[STALE] += 1
        if makespans[BEST] < 0 or makespan < makespans[BEST]:
            makespans[BEST] = makespan
            state[STALE] = 0
            _keep_order(line, population, BEST)
        if state[STALE] > PATIENCE:
            state[FILLED] = state[GIVEN] = state[STALE] = 0
    return used
