"""The scheduler and the virtual clock once more, on arrays of whole numbers.

Theory of operation.  This is `virtual.play` with `State` and `decide`, for worlds in which nothing
fails: every task is launched once, so the rows of the trace are the launches in their order.  What
is an object there is a record in an array here; what is done with it is the same, in the same
order.

- *The future* is a heap of (time, what comes).  Only ends of tasks and openings of gates are in it,
  because starts change nothing that a decision sees.  At one instant they come in the order in
  which they were put there: of `n` sets, the end of row `r` is the number ``r (n + 1) + n``, and
  the opening of set `i` that was put there before row `r` is ``r (n + 1) + i``.  Openings of one
  instant do not see each other, so that their order is free.
- *Ready sets* are a tree for each shape, best first.
- *A round* takes the best ready set of every shape that is not full; these wait in a heap by rank.

The functions are plain Python as well, and come to the same result without a compiler.
"""

from __future__ import annotations

from stretto.compiling import jit, kept
from stretto.simulator.compiled.records import NODE, Board, Counts, Flags, Numbers, Record, Records
from stretto.simulator.compiled.slots import give_back, is_full, offer, place
from stretto.simulator.compiled.trees import add, lowest, pop, push, remove

__all__ = ["play"]


# What happens.


@jit
def _make_ready(one: Record, shapes: Records, queued: Numbers, flags: Flags, task: int) -> None:
    if one.head == one.tail:
        needs = shapes[one.needs]
        add(flags, needs.ready_root, needs.ready_leaves, one.leaf)
    queued[one.first + one.tail] = task
    one.tail += 1


@jit
def _release(board: Board, one: Record) -> None:
    """Make the tasks of a set ready whose single inputs are there, if its gates are open."""
    if one.gates == 0:
        shapes, queued, flags, missing = board.shapes, board.queued, board.flags, board.missing
        for task in range(one.first, one.first + one.count):
            if missing[task] == 0:
                _make_ready(one, shapes, queued, flags, task)


@jit
def _feed(
    one: Record,
    number: int,
    sets: Records,
    edges: Records,
    shapes: Records,
    missing: Counts,
    queued: Numbers,
    flags: Flags,
) -> None:
    for edge in range(one.feeds, one.feeds_end):
        consumer = sets[edges[edge].to]
        fed = number
        if edges[edge].by_group:
            fed = number * consumer.count // one.count
        task = consumer.first + fed
        missing[task] -= 1
        if missing[task] == 0 and consumer.gates == 0:
            _make_ready(consumer, shapes, queued, flags, task)


@jit
def _finish(board: Board, game: Record, row: int) -> None:
    sets, edges, shapes, slots = board.sets, board.edges, board.shapes, board.slots
    missing, queued, flags = board.missing, board.queued, board.flags
    room, inside = board.room, board.inside
    wanted, nodes = board.wanted, board.nodes
    ended = board.rows[row]
    one = sets[ended.set]
    needs = shapes[one.needs]
    for slot in range(ended.first_slot, ended.first_slot + ended.n_slots):
        give_back(needs, wanted, nodes, slots, slot)
        for shape in range(len(shapes)):
            offer(shapes[shape], wanted, nodes, room, inside, slots[slot, NODE])
    game.in_flight -= 1
    game.finished += 1
    one.unfinished -= 1
    number = ended.task - one.first
    _feed(one, number, sets, edges, shapes, missing, queued, flags)
    if one.unfinished == 0:
        for edge in range(one.opens, one.opens_end):
            consumer = sets[edges[edge].to]
            consumer.gates -= 1
            _release(board, consumer)
        if game.stage_us:
            _expect_stages(board, game, one)


@jit
def _expect_stages(board: Board, game: Record, one: Record) -> None:
    """Open the last gate of what waited for this set and waits for nothing else, but later."""
    for edge in range(one.opens, one.opens_end):
        to = board.edges[edge].to
        if board.sets[to].gates == 1 and not board.sets[to].due:
            board.sets[to].due = 1
            tie = game.rows * (len(board.sets) + 1) + to
            push(board.future, 0, game.future, game.now_us + game.stage_us, tie)
            game.future += 1


# Rounds.


@jit
def _fill(board: Board, game: Record, one: Record, starts_us: int) -> int:
    """Launch what is ready of a set, as far as there is room; return when the next would start."""
    needs, n_sets = board.shapes[one.needs], len(board.sets)
    if is_full(needs, len(board.nodes)):
        return starts_us
    wanted, nodes, room, inside = board.wanted, board.nodes, board.room, board.inside
    rows, slots, future = board.rows, board.slots, board.future
    queued, duration_us = board.queued, board.duration_us
    while one.head < one.tail:
        end = place(needs, wanted, nodes, room, inside, slots, game.slots)
        if end < 0:
            return starts_us
        task = queued[one.first + one.head]
        launched = rows[game.rows]
        launched.task = task
        launched.set = one.number
        launched.launched_us = game.now_us
        launched.started_us = starts_us
        launched.ended_us = starts_us + duration_us[task] + game.task_us
        launched.known = game.finished
        launched.first_slot = game.slots
        launched.n_slots = end - game.slots
        push(future, 0, game.future, launched.ended_us, game.rows * (n_sets + 1) + n_sets)
        starts_us += game.between_us
        one.head += 1
        one.unlaunched -= 1
        game.slots = end
        game.rows += 1
        game.future += 1
        game.in_flight += 1
    remove(board.flags, needs.ready_root, needs.ready_leaves, one.leaf)
    return starts_us


@jit
def _take_part(
    game: Record, open_: Records, needs: Record, sets: Records, flags: Flags, number: int
) -> None:
    """Let a shape take part in the round with its best ready set, if there is one."""
    leaf = lowest(flags, needs.ready_root, needs.ready_leaves)
    if leaf >= 0:
        best = sets[needs.first_set + leaf].by_leaf
        push(open_, 0, game.open, sets[best].rank, number)
        game.open += 1


@jit
def _decide_greedily(board: Board, game: Record) -> None:
    """Launch the best ready sets first; a shape that finds no room is out of the round."""
    sets, shapes, flags, open_ = board.sets, board.shapes, board.flags, board.open
    starts_us = game.now_us + game.launch_us
    for number in range(len(shapes)):
        _take_part(game, open_, shapes[number], sets, flags, number)
    while game.open:
        one = sets[sets[open_[0].key].by_rank]
        pop(open_, 0, game.open)
        game.open -= 1
        starts_us = _fill(board, game, one, starts_us)
        if one.head == one.tail:
            _take_part(game, open_, shapes[one.needs], sets, flags, one.needs)


@jit
def _decide_in_line(board: Board, game: Record) -> None:
    """Launch the sets in line, up to the first that cannot launch all its tasks."""
    sets = board.sets
    starts_us = game.now_us + game.launch_us
    while game.line < len(sets):
        one = sets[sets[game.line].by_rank]
        if one.unlaunched:
            starts_us = _fill(board, game, one, starts_us)
        if one.unlaunched:
            return
        game.line += 1


@kept
def play(board: Board) -> int:
    """Run to the end, fill `rows`, `slots` and `masks`, and return how many rows there are."""
    sets, future, game = board.sets, board.future, board.game[0]
    n_sets = len(sets)
    for index in range(n_sets):
        _release(board, sets[index])
    while True:
        while game.future and future[0].key == game.now_us:
            row, index = divmod(future[0].tie, n_sets + 1)
            pop(future, 0, game.future)
            game.future -= 1
            if index == n_sets:
                _finish(board, game, row)
            else:
                sets[index].gates -= 1
                _release(board, sets[index])
        launched = game.rows
        if game.strict:
            _decide_in_line(board, game)
        # Where the first in line cannot go and nothing is in flight, the line is left.
        if not game.strict or (game.rows == launched and not game.in_flight):
            _decide_greedily(board, game)
        if not game.future:
            return int(game.rows)
        game.now_us = future[0].key
