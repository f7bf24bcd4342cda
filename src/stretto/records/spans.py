"""Who waited for whom, read off the times, for records that do not say it.

What had ended before something else began may have been waited for.  It need not: it may only have
been in the way.  So what is inferred here is told.  Of those that had ended, only the latest are
named: the others are waited for through them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Span", "waits"]


class Span(NamedTuple):
    """From when to when something was going on, in microseconds."""

    first_us: int
    last_us: int


def waits(spans: Sequence[Span | None]) -> list[tuple[int, ...]]:
    """Return, for each span, those that had ended when it began, less those implied.

    Parameters
    ----------
    spans
        `None` where nobody knows; those wait for nothing, and nothing for them.
    """
    # What takes no time at all would end before it began: give it a microsecond.
    known = [
        (max(span.last_us, span.first_us + 1), span.first_us, at)
        for at, span in enumerate(spans)
        if span is not None
    ]
    known.sort()
    ends = [last_us for last_us, _, _ in known]
    latest: list[int] = []
    """By place in `known`: the latest beginning up to there."""
    for _, first_us, _ in known:
        latest.append(max(first_us, latest[-1]) if latest else first_us)
    found: list[tuple[int, ...]] = [()] * len(spans)
    for _, first_us, at in known:
        over = bisect_right(ends, first_us)
        if over:
            # One that ended before another began that has ended too is waited for through it.
            beyond = bisect_right(ends, latest[over - 1])
            found[at] = tuple(sorted(one for _, _, one in known[beyond:over]))
    return found
