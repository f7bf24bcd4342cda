"""The scheduler: a pure state machine, events in, launches out.

Whoever drives it (the simulator with a virtual clock, the runtime with the real one, a replay with
a journal) does the same things in each round: apply everything that has arrived, `prune` and
`excused` for what follows from it, `decide` once, act on the launches.
"""

from stretto.scheduler.beginning import begun
from stretto.scheduler.events import (
    Adapted,
    Cancelled,
    Dropped,
    Event,
    Failed,
    Finished,
    Forgiven,
    Idled,
    Launched,
    Limited,
    Lost,
    NodeLost,
    NodeReturned,
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
from stretto.scheduler.impossible import ImpossibleEvent
from stretto.scheduler.limits import (
    GRACE_US,
    ends_in_time,
    fits_nowhere,
    unstarted,
    until_us,
)
from stretto.scheduler.lost_nodes import losses
from stretto.scheduler.order import Order
from stretto.scheduler.policy import Policy, Release
from stretto.scheduler.priorities import RULES, Rule, critical_path
from stretto.scheduler.pruning import expected_told, leaving, prune
from stretto.scheduler.rounds import decide
from stretto.scheduler.shortfall import excused
from stretto.scheduler.state import State
from stretto.scheduler.story import waits
from stretto.scheduler.transitions import TRANSITIONS, Status, diagram

__all__ = [
    "GRACE_US",
    "RULES",
    "TRANSITIONS",
    "Adapted",
    "Cancelled",
    "Dropped",
    "Event",
    "Failed",
    "Finished",
    "Forgiven",
    "GatedSet",
    "Idled",
    "ImpossibleEvent",
    "Launched",
    "Limited",
    "Lost",
    "Mode",
    "NodeLost",
    "NodeReturned",
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
    "ends_in_time",
    "excused",
    "expected_told",
    "fits_nowhere",
    "gated_sets",
    "leaving",
    "losses",
    "prune",
    "revoked",
    "unstarted",
    "until_us",
    "waits",
    "why",
]
