"""What a task set waits for: which other set, by which pattern, in which iteration.

Patterns, for a consumer with ``n`` tasks and a producer with ``m``:

=========  =======================================================================
all        every task of the consumer waits for every task of the producer
each       task ``i`` waits for task ``i``; ``n`` equals ``m``
group      task ``j`` waits for its own block: the tasks ``i`` with ``i * n // m == j``
quorum     the consumer waits for a fraction of the producer (not released yet)
=========  =======================================================================

A dependency on the *previous* iteration with staleness ``s`` lets iteration ``k`` start once
iteration ``k - 1 - s`` is there; of what has finished from there to ``k - 1`` it uses the newest.
Staleness 0 is the synchronous loop, 1 the staggered one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stretto.errors import WorkflowError, under_key

__all__ = ["Dependency", "Pattern", "block", "dependencies_of"]

MOST_STALENESS = 1000


class Pattern(StrEnum):
    """How the tasks of a consumer wait for those of a producer."""

    ALL = "all"
    EACH = "each"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Dependency:
    """One line of ``after``: the set waited for, and how.

    Parameters
    ----------
    on
        Name of the producer.
    pattern
        How tasks wait for tasks.
    previous
        Whether the producer is that of the previous iteration.
    staleness
        How many iterations older than the previous one the input may be; 0 unless `previous`.
    """

    on: str
    pattern: Pattern = Pattern.ALL
    previous: bool = False
    staleness: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.on, str):
            raise WorkflowError(f"expected the name of a task set, found {self.on!r}")
        if not isinstance(self.pattern, Pattern):
            object.__setattr__(self, "pattern", under_key("pattern", _pattern, self.pattern))
        if isinstance(self.staleness, bool) or not isinstance(self.staleness, int):
            raise WorkflowError(
                f"expected a whole number of iterations (adaptive staleness is not there yet), "
                f"found {self.staleness!r}",
                path=("staleness",),
            )
        if not 0 <= self.staleness <= MOST_STALENESS:
            raise WorkflowError(
                f"expected 0 to {MOST_STALENESS}, found {self.staleness}", path=("staleness",)
            )
        if self.staleness and not self.previous:
            raise WorkflowError(
                "staleness needs 'iteration: previous': within an iteration nothing is old",
                path=("staleness",),
            )

    @property
    def distance(self) -> int:
        """Iterations between consumer and the producer it cannot do without."""
        return self.staleness + 1 if self.previous else 0


def block(consumer: int, consumers: int, producers: int) -> range:
    """Return the producers of one consumer under `Pattern.GROUP`, as equal as can be.

    >>> [list(block(j, 2, 5)) for j in range(2)]
    [[0, 1, 2], [3, 4]]
    """
    return range(-(-consumer * producers // consumers), -(-(consumer + 1) * producers // consumers))


def dependencies_of(value: object) -> tuple[Dependency, ...]:
    """Return the dependencies that a description's ``after`` means.

    Parameters
    ----------
    value
        A name; a mapping from a name to a pattern, or to ``{pattern, iteration, staleness}``; or a
        list of names, mappings or `Dependency`, which can name a set in this iteration and in the
        previous one.

    Raises
    ------
    WorkflowError
        If it is none of these, or names a set twice in the same iteration.
    """
    match value:
        case None:
            found: list[Dependency] = []
        case str() | Dependency():
            found = [_one(value)]
        case list() | tuple():
            found = [one for item in value for one in _several(item)]
        case dict():
            found = [_named(name, how) for name, how in value.items()]
        case _:
            raise WorkflowError(f"expected a name, a list or a mapping, found {value!r}")
    seen = {(one.on, one.previous) for one in found}
    if len(seen) < len(found):
        raise WorkflowError("the same set is waited for twice")
    stale = {one.on for one in found if one.staleness}
    for one in found:
        if one.on in stale and not one.previous:
            raise WorkflowError("what is waited for in the same iteration cannot be stale as well")
    return tuple(found)


def _one(item: str | Dependency) -> Dependency:
    return Dependency(item) if isinstance(item, str) else item


def _several(item: object) -> list[Dependency]:
    match item:
        case str() | Dependency():
            return [_one(item)]
        case dict():
            return [_named(name, how) for name, how in item.items()]
        case _:
            raise WorkflowError(f"expected the name of a task set, found {item!r}")


def _named(name: object, how: Any) -> Dependency:
    if not isinstance(name, str):
        raise WorkflowError(f"expected the name of a task set, found {name!r}")
    try:
        match how:
            case None:
                return Dependency(name)
            case str():
                return Dependency(name, _pattern(how))
            case dict():
                return _mapping(name, how)
            case _:
                raise WorkflowError(f"expected a pattern or a mapping, found {how!r}")
    except WorkflowError as error:
        raise error.within(name) from None


def _mapping(name: str, how: dict[str, Any]) -> Dependency:
    unknown = [key for key in how if key not in {"pattern", "iteration", "staleness"}]
    if unknown:
        raise WorkflowError(
            "unknown key; expected pattern, iteration or staleness", path=(str(unknown[0]),)
        )
    iteration = how.get("iteration", "same")
    if iteration not in ("same", "previous"):
        raise WorkflowError(f"expected same or previous, found {iteration!r}", path=("iteration",))
    pattern = under_key("pattern", _pattern, how.get("pattern", "all"))
    return Dependency(name, pattern, iteration == "previous", how.get("staleness", 0))


def _pattern(text: object) -> Pattern:
    if text == "quorum" or (isinstance(text, dict) and "quorum" in text):
        raise WorkflowError("the pattern quorum is not there yet; use all, each or group")
    if text == "previous":
        raise WorkflowError("expected all, each or group; write {iteration: previous} for a loop")
    try:
        return Pattern(text)  # type: ignore[arg-type]  # what is no pattern raises
    except ValueError:
        raise WorkflowError(f"expected all, each or group, found {text!r}") from None
