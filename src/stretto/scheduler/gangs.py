"""Groups of sets that run at once: launched all or nothing, tried again all or nothing.

A group is ready when every task of every set of it is, and is launched in one round or not at all:
its tasks are placed one by one, the largest first, and given back if one finds no room.  A greedy
order lets others pass meanwhile, so a stream of small tasks can keep a large group waiting until
the stream ends; a strict order lets nobody pass, so the group has its room as soon as what is in
flight has ended.

What a member did is of use only with the others.  So nothing that waits for a set of the group goes
on before all of the group has finished; and if an attempt of one member fails or is lost, the
attempts of the others are ended, those that had finished already are *revoked*, and when nothing
of the group is in flight anymore it is launched again as a whole: if the failed member has retries
left.  So in a group all members are always in the same attempt.  Whoever drives the state asks
after each round of events what is to be `revoked` and what is `abandoned`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stretto.errors import WorkflowError
from stretto.platform import Placement, Platform
from stretto.resources import Resources
from stretto.scheduler.events import Revoked
from stretto.scheduler.gates import GatedSet
from stretto.scheduler.impossible import impossible
from stretto.scheduler.releases import feed, open_gates
from stretto.scheduler.slots import FreeSlots
from stretto.scheduler.transitions import Status
from stretto.workflow import Workflow

if TYPE_CHECKING:
    from stretto.scheduler.state import State

__all__ = [
    "abandoned",
    "break_group",
    "check_room",
    "pass_on",
    "places",
    "revoke",
    "revoked",
    "together",
]

IN_FLIGHT = (Status.LAUNCHED, Status.RUNNING)


def places(state: State, gang: Sequence[int]) -> list[tuple[int, Placement]]:
    """Return where the tasks of a group would lie, each with its set; empty if it cannot go now."""
    waiting = [len(state.ready[index]) for index in gang]
    if not any(waiting) or waiting != [state.unfinished[index] for index in gang]:
        return []
    shapes = [state.sets[index].shape for index in gang]
    found = together(state.slots, shapes, waiting)
    return [(gang[at], placement) for at, placement in found or ()]


def revoked(state: State) -> list[Revoked]:
    """Apply and return that finished members of broken groups are to be done again."""
    events = [
        Revoked(task, state.attempts[task])
        for leader in sorted(state.broken)
        for task in _tasks(state, leader)
        if state.status[task] == Status.FINISHED
    ]
    for event in events:
        state.apply(event)
    return events


def abandoned(state: State) -> list[int]:
    """Return the tasks in flight whose groups are broken, and that are to be ended."""
    return [
        task
        for leader in sorted(state.broken)
        for task in _tasks(state, leader)
        if state.status[task] in IN_FLIGHT
    ]


def revoke(state: State, event: Revoked) -> None:
    """Count a task that had finished as one that has yet to."""
    task = event.task
    if state.status[task] != Status.FINISHED or event.attempt != state.attempts[task]:
        raise impossible(state, event)
    state.n_finished -= 1
    state.unfinished[state.set_of[task]] += 1
    state.wanted.finished[state.set_of[task]] -= 1
    state.make_ready_again(task)


def break_group(state: State, task: int) -> None:
    """Note that the group of a task, if it has one, is to be tried again."""
    state.broken.update(state.sets[state.set_of[task]].gang[:1])


def pass_on(state: State, gated: GatedSet) -> None:
    """Let those go on that wait for a set of this group, if all of it has finished."""
    if any(state.unfinished[index] for index in gated.gang):
        return
    for index in gated.gang:
        member = state.sets[index]
        if member.feeds:
            for task in range(member.first_task, member.first_task + member.count):
                if state.status[task] == Status.FINISHED:
                    feed(state, task, member)
    open_gates(state, gated.gang[0])


def check_room(workflow: Workflow, platform: Platform) -> None:
    """Raise `WorkflowError` if a group has no room on the empty platform, all of it at once."""
    for group in dict.fromkeys(workflow.groups.values()):
        sets = [workflow[name] for name in group]
        shapes, counts = [one.resources for one in sets], [one.tasks for one in sets]
        if together(FreeSlots(platform.nodes), shapes, counts) is None:
            needs = ", ".join(f"{one.tasks} x {one.resources} for {one.name}" for one in sets)
            raise WorkflowError(
                f"{' and '.join(group)} run at once, but find no room together on "
                f"{platform.name}: they need {needs}",
                path=("task_sets", group[0], "with"),
            )


def _tasks(state: State, leader: int) -> list[int]:
    sets = (state.sets[index] for index in state.sets[leader].gang)
    return [task for one in sets for task in range(one.first_task, one.first_task + one.count)]


def together(
    slots: FreeSlots, shapes: Sequence[Resources], counts: Sequence[int]
) -> list[tuple[int, Placement]] | None:
    """Return where so many tasks of these shapes lie together, each with the place of its shape.

    Found by taking and giving back; `None` if there is no room for all.  The largest go first.
    """
    found: list[tuple[int, Placement]] = []
    order = sorted(range(len(shapes)), key=lambda at: (_need(shapes[at]), -at), reverse=True)
    wanted = [(at, slots.number(shapes[at])) for at in order for _ in range(counts[at])]
    for at, shape in wanted:
        placement = slots.find(shape)
        if placement is None:
            break
        slots.take(placement)
        found.append((at, placement))
    for _, placement in found:
        slots.release(placement)
    return found if len(found) == len(wanted) else None


def _need(shape: Resources) -> tuple[int, int, int, int]:
    return shape.gpus_milli, shape.cores, shape.memory_mib, shape.ranks
