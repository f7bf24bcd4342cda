"""The scheduler: a pure state machine, events in, launches out.

Whoever drives it (the simulator with a virtual clock, the runtime with the real one, a replay with
a journal) does the same three things in each round: apply everything that has arrived, `decide`
once, act on the launches.
"""

from stretto.scheduler.beginning import begun
from stretto.scheduler.events import (
    Adapted,
    Cancelled,
    Dropped,
    Event,
    Failed,
    Finished,
    Idled,
    Launched,
    Lost,
    Opened,
    Released,
    Resumed,
    Revoked,
    Shared,
    Started,
    Submitted,
    Told,
    Woke,
)
from stretto.scheduler.explain import why
from stretto.scheduler.gangs import abandoned, check_room, revoked
from stretto.scheduler.gates import GatedSet, Mode, gated_sets
from stretto.scheduler.order import Order
from stretto.scheduler.policy import Policy, Release
from stretto.scheduler.priorities import RULES, Rule, critical_path
from stretto.scheduler.pruning import expected_told, leaving, prune
from stretto.scheduler.rounds import decide
from stretto.scheduler.state import ImpossibleEvent, State
from stretto.scheduler.story import waits
from stretto.scheduler.transitions import TRANSITIONS, Status, diagram

__all__ = [
    "RULES",
    "TRANSITIONS",
    "Adapted",
    "Cancelled",
    "Dropped",
    "Event",
    "Failed",
    "Finished",
    "GatedSet",
    "Idled",
    "ImpossibleEvent",
    "Launched",
    "Lost",
    "Mode",
    "Opened",
    "Order",
    "Policy",
    "Release",
    "Released",
    "Resumed",
    "Revoked",
    "Rule",
    "Shared",
    "Started",
    "State",
    "Status",
    "Submitted",
    "Told",
    "Woke",
    "abandoned",
    "begun",
    "check_room",
    "critical_path",
    "decide",
    "diagram",
    "expected_told",
    "gated_sets",
    "leaving",
    "prune",
    "revoked",
    "waits",
    "why",
]
