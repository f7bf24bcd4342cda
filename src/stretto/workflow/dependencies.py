"""What a task set waits for: which other set, by which pattern, in which iteration.

Patterns, for a consumer with ``n`` tasks and a producer with ``m``:

=========  =======================================================================
all        every task of the consumer waits for every task of the producer
each       task ``i`` waits for task ``i``; ``n`` equals ``m``
group      task ``j`` waits for its own block: the tasks ``i`` with ``i * n // m == j``
quorum     every task of the consumer waits for so many of the producer, whichever
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
from stretto.workflow.quorums import Quorum, Stragglers, quorum_of

__all__ = ["Dependency", "Pattern", "block", "dependencies_of"]

MOST_STALENESS = 1000
KEYS = ("pattern", "iteration", "staleness", "quorum", "stragglers")
"""Keys of a dependency in a description."""


class Pattern(StrEnum):
    """How the tasks of a consumer wait for those of a producer."""

    ALL = "all"
    EACH = "each"
    GROUP = "group"
    QUORUM = "quorum"


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
    quorum
        How much of the producer is enough: a whole number of tasks, or a fraction of them (1 is a
        task, 1.0 all of them); makes the pattern `Pattern.QUORUM`.
    stragglers
        What becomes of the producer's other tasks once there is a quorum: they finish, or are
        cancelled.
    """

    on: str
    pattern: Pattern = Pattern.ALL
    previous: bool = False
    staleness: int = 0
    quorum: float | None = None
    stragglers: Stragglers = Stragglers.FINISH

    def __post_init__(self) -> None:
        if not isinstance(self.on, str):
            raise WorkflowError(f"expected the name of a task set, found {self.on!r}")
        if not isinstance(self.pattern, Pattern):
            object.__setattr__(self, "pattern", under_key("pattern", _pattern, self.pattern))
        self._check_quorum()
        self._check_staleness()

    def _check_quorum(self) -> None:
        """Check how much is enough, and what becomes of the rest."""
        if self.quorum is not None:
            under_key("quorum", quorum_of, self.quorum)
            if self.pattern is Pattern.ALL:
                object.__setattr__(self, "pattern", Pattern.QUORUM)
        if (self.quorum is None) == (self.pattern is Pattern.QUORUM):
            raise WorkflowError(
                "the pattern quorum needs a number, such as {quorum: 0.8}"
                if self.quorum is None
                else f"a quorum does not go with the pattern {self.pattern}",
                path=("pattern",),
            )
        if self.stragglers not in tuple(Stragglers):
            raise WorkflowError(
                f"expected finish or cancel, found {self.stragglers!r}", path=("stragglers",)
            )
        object.__setattr__(self, "stragglers", Stragglers(self.stragglers))
        if self.stragglers is Stragglers.CANCEL and self.quorum is None:
            raise WorkflowError(
                "stragglers need a quorum: else all are waited for", path=("stragglers",)
            )

    def _check_staleness(self) -> None:
        if isinstance(self.staleness, bool) or not isinstance(self.staleness, int):
            raise WorkflowError(
                f"expected a whole number of iterations, found {self.staleness!r}",
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

    @property
    def enough(self) -> Quorum | None:
        """How many of the producer's tasks are enough; `None` unless the pattern is quorum."""
        return None if self.quorum is None else quorum_of(self.quorum)

    def needed(self, tasks: int) -> int:
        """Return how many of the producer's tasks somebody waits for, of `tasks` that there are."""
        return tasks if self.enough is None else self.enough.needed(tasks)


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
        A name; a mapping from a name to a pattern, or to a mapping with the keys of `Dependency`
        (``iteration: previous`` for `previous`); or a list of names, mappings or `Dependency`,
        which can name a set in this iteration and in the previous one.

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
    unknown = [key for key in how if key not in KEYS]
    if unknown:
        raise WorkflowError(f"unknown key; expected {', '.join(KEYS)}", path=(str(unknown[0]),))
    iteration = how.get("iteration", "same")
    if iteration not in ("same", "previous"):
        raise WorkflowError(f"expected same or previous, found {iteration!r}", path=("iteration",))
    pattern = under_key("pattern", _pattern, how.get("pattern", "all"))
    return Dependency(
        name,
        pattern,
        iteration == "previous",
        how.get("staleness", 0),
        how.get("quorum"),
        how.get("stragglers", Stragglers.FINISH),
    )


def _pattern(text: object) -> Pattern:
    known = "all, each, group or quorum"
    if text == "previous":
        raise WorkflowError(f"expected {known}; write {{iteration: previous}} for a loop")
    try:
        return Pattern(text)  # type: ignore[arg-type]  # what is no pattern raises
    except ValueError:
        raise WorkflowError(f"expected {known}, found {text!r}") from None
