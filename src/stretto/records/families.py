"""Sets of a record that says when tasks ran, but not what they waited for.

Tasks of one kind with the same needs are a family, and a set.  One family is taken to wait for
another

- as a whole, if all of that had ended when the first of its own was asked for;
- task by task (`each`), if both have the same tags (such as names of samples), each tag once, and
  each task was asked for after the one with its tag had ended.

What is implied by others is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stretto.records.record import RecordedSet, RecordedTask
from stretto.records.spans import Span, waits
from stretto.units import counted
from stretto.workflow import Pattern

__all__ = ["Member", "family_sets"]


@dataclass(frozen=True, slots=True)
class Member:
    """A task and its tag."""

    task: RecordedTask
    tag: str | None


@dataclass(frozen=True, slots=True)
class _Family:
    tasks: tuple[int, ...]
    span: Span | None
    by_tag: dict[str, Span] | None
    """`None` where tags are missing, come twice, or times are not known."""


def family_sets(members: Sequence[Member]) -> tuple[tuple[RecordedSet, ...], list[str]]:
    """Return the sets, what they are taken to wait for, and sentences that say so."""
    grouped: dict[object, list[int]] = {}
    for at, member in enumerate(members):
        grouped.setdefault((member.task.kind, member.task.needs), []).append(at)
    families = [_family(members, tasks) for tasks in grouped.values()]
    whole = waits([one.span for one in families])
    each = _each(families)
    sets = []
    for at, one in enumerate(families):
        # With the same tags, task by task is the likelier of the two.
        patterns = dict.fromkeys(whole[at], Pattern.ALL) | dict.fromkeys(each[at], Pattern.EACH)
        implied = {on for other in patterns for on in (*whole[other], *each[other])}
        after = [(on, pattern) for on, pattern in patterns.items() if on not in implied]
        label = members[one.tasks[0]].task.kind
        sets.append(RecordedSet(label, one.tasks, tuple(sorted(after))))
    waiting = sum(bool(one.after) for one in sets)
    paired = sum(pattern is Pattern.EACH for one in sets for _, pattern in one.after)
    told = ["the record does not say what waits for what"]
    if waiting:
        told[0] += f": {counted(waiting, 'set')} taken to wait for what had ended when they began"
    if paired:
        told[0] += f", {paired} task by task"
    return tuple(sets), told


def _family(members: Sequence[Member], tasks: list[int]) -> _Family:
    spans = {at: _span(members[at].task) for at in tasks}
    known = [span for span in spans.values() if span is not None]
    span = None
    if known:
        span = Span(min(one.first_us for one in known), max(one.last_us for one in known))
    tags = [tag for at in tasks if (tag := members[at].tag) is not None]
    if len(set(tags)) < len(tasks):
        return _Family(tuple(tasks), span, None)
    ordered = sorted(tasks, key=lambda at: members[at].tag or "")
    by_tag = {members[at].tag or "": one for at in ordered if (one := spans[at]) is not None}
    return _Family(tuple(ordered), span, by_tag if len(by_tag) == len(tasks) else None)


def _span(task: RecordedTask) -> Span | None:
    """Return from when a task was asked for to when it was over."""
    if task.cached_us is not None:
        return None
    starts = [one.started_us if one.asked_us is None else one.asked_us for one in task.attempts]
    firsts = [one for one in starts if one is not None]
    lasts = [one.ended_us for one in task.attempts if one.ended_us is not None]
    return Span(min(firsts), max(lasts)) if firsts and lasts else None


def _each(families: Sequence[_Family]) -> list[list[int]]:
    """Return, for each family, those that it may wait for task by task."""
    found: list[list[int]] = [[] for _ in families]
    alike: dict[tuple[str, ...], list[int]] = {}
    for at, one in enumerate(families):
        if one.by_tag is not None and len(one.tasks) > 1:
            alike.setdefault(tuple(one.by_tag), []).append(at)
    for several in alike.values():
        for consumer in several:
            mine = families[consumer].by_tag or {}
            for producer in several:
                if _before(families[producer].by_tag or {}, mine):
                    found[consumer].append(producer)
    return found


def _before(first: dict[str, Span], second: dict[str, Span]) -> bool:
    """Return whether each task of one family was over when its fellow in the other was asked for.

    Not so if none of them began any sooner, so that a family never comes before itself.
    """
    return all(first[tag].last_us <= one.first_us for tag, one in second.items()) and any(
        first[tag].first_us < one.first_us for tag, one in second.items()
    )
