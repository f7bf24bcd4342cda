"""Feeds: which single tasks wait for which, by the patterns ``each`` and ``group``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stretto.scheduler.gates import Feed, GatedSet
from stretto.workflow import Pattern, block

__all__ = ["fed_task", "inputs_missing"]


def inputs_missing(sets: Sequence[GatedSet], consumer: GatedSet) -> Iterator[tuple[int, int]]:
    """Yield each task of a set with the single tasks it waits for of one producer, how many."""
    for producer, pattern in consumer.fed_by:
        for number in range(consumer.count):
            inputs = 1
            if pattern is Pattern.GROUP:
                inputs = len(block(number, consumer.count, sets[producer].count))
            yield consumer.first_task + number, inputs


def fed_task(task: int, producer: GatedSet, feed: Feed, consumer: GatedSet) -> int:
    """Return the task of `consumer` that waits for this task of `producer`."""
    number = task - producer.first_task
    if feed.pattern is Pattern.GROUP:
        number = number * consumer.count // producer.count
    return consumer.first_task + number
