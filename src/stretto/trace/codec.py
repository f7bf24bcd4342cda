"""Events as JSON and back: ``["launched", task, attempt, …]``, core masks as ``"0-3,8"``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, assert_never

from stretto.platform import Placement, Slot, bits
from stretto.scheduler import (
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
    Policy,
    Released,
    Resumed,
    Revoked,
    Shared,
    Started,
    Submitted,
    Told,
    Woke,
)

__all__ = ["event_from_json", "event_to_json", "mask_from_text", "mask_to_text"]


def event_to_json(event: Event) -> list[Any]:
    """Return an event as a list: its name in lower case, then its fields."""
    match event:
        case Launched(task, attempt, time_us, placement, bundle, inputs, present):
            slots = _placement_to_json(placement)
            launched = ["launched", task, attempt, time_us, slots, bundle, inputs]
            parts = [[on, iteration, mask_to_text(mask)] for on, iteration, mask in present]
            return [*launched, parts] if parts else launched
        case Started(task, attempt, time_us):
            return ["started", task, attempt, time_us]
        case Idled(task, attempt, time_us):
            return ["idled", task, attempt, time_us]
        case Woke(task, attempt, time_us):
            return ["woke", task, attempt, time_us]
        case Finished(task, attempt, time_us):
            return ["finished", task, attempt, time_us]
        case Failed(task, attempt, time_us, reason):
            return ["failed", task, attempt, time_us, reason]
        case Lost(task, attempt, time_us, reason):
            return ["lost", task, attempt, time_us, reason]
        case Cancelled(task, attempt, time_us):
            return ["cancelled", task, attempt, time_us]
        case Revoked(task, attempt):
            return ["revoked", task, attempt]
        case Forgiven(set_index, time_us):
            return ["forgiven", set_index, time_us]
        case NodeLost(node, time_us):
            return ["node-lost", node, time_us]
        case NodeReturned(node, time_us):
            return ["node-returned", node, time_us]
        case Limited(until_us, time_us, overrun):
            return ["limited", until_us, time_us, overrun]
        case Resumed(time_us):
            return ["resumed", time_us]
        case Told(task, time_us, converged, tasks):
            return ["told", task, time_us, converged, tasks]
        case Dropped(task, time_us, reason, tasks):
            return ["dropped", task, time_us, reason, tasks]
        case Adapted(time_us, policy, reason):
            return ["adapted", time_us, policy.to_json(), reason]
        case Opened() | Released() | Submitted() | Shared():
            # Only an Executor and the simulator make these, and neither keeps a journal.
            raise TypeError(f"{type(event).__name__} is not journaled")
        case _:
            assert_never(event)


def event_from_json(values: list[Any]) -> Event:
    """Return the event that `event_to_json` made a list of."""
    name, *fields = values
    return _DECODERS[name](*fields)


def _launched(
    task: int,
    attempt: int,
    time_us: int,
    slots: list[Any],
    bundle: int,
    inputs: list[list[Any]],
    present: Sequence[list[Any]] = (),
) -> Launched:
    placement = tuple(_slot(*slot) for slot in slots)
    ages = tuple((on, age) for on, age in inputs)
    parts = tuple((on, iteration, mask_from_text(mask)) for on, iteration, mask in present)
    return Launched(task, attempt, time_us, placement, bundle, ages, parts)


def _adapted(time_us: int, policy: dict[str, Any], reason: str) -> Adapted:
    return Adapted(time_us, Policy.from_json(policy), reason)


_DECODERS: dict[str, Callable[..., Event]] = {
    "launched": _launched,
    "started": Started,
    "idled": Idled,
    "woke": Woke,
    "finished": Finished,
    "failed": Failed,
    "lost": Lost,
    "cancelled": Cancelled,
    "revoked": Revoked,
    "told": Told,
    "dropped": Dropped,
    "forgiven": Forgiven,
    "node-lost": NodeLost,
    "node-returned": NodeReturned,
    "limited": Limited,
    "resumed": Resumed,
    "adapted": _adapted,
}


def _slot(
    node: int,
    cores: str,
    gpus: str,
    gpu_milli: int,
    memory_mib: int,
    ranks: int,
    named: Iterable[tuple[str, int]] = (),
) -> Slot:
    held = tuple((name, amount) for name, amount in named)
    masks = mask_from_text(cores), mask_from_text(gpus)
    return Slot(node, *masks, gpu_milli, memory_mib, ranks, held)


def _placement_to_json(placement: Placement) -> list[list[Any]]:
    return [_slot_to_json(slot) for slot in placement]


def _slot_to_json(slot: Slot) -> list[Any]:
    node, cores, gpus, *rest, named = slot
    # Named resources come last, and only where there are any.
    return [node, mask_to_text(cores), mask_to_text(gpus), *rest, *([named] if named else [])]


@lru_cache(maxsize=65536)
def mask_to_text(mask: int) -> str:
    """Return the numbers of the bits set, as ranges.

    >>> mask_to_text(0b1_0000_1111)
    '0-3,8'
    """
    ranges: list[list[int]] = []
    for number in bits(mask):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


@lru_cache(maxsize=65536)
def mask_from_text(text: str) -> int:
    """Return the mask that `mask_to_text` made a text of."""
    mask = 0
    for part in text.split(",") if text else []:
        first, _, last = part.partition("-")
        mask |= (1 << int(last or first) + 1) - (1 << int(first))
    return mask
