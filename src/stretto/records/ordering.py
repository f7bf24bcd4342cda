"""In which order the tasks of sets are numbered, so that their edges can be `each` or `group`.

Sets joined by one-to-one relations are one *unit*: an order of one of them is an order of all.
Between units lead relations in which each consumer has producers of its own; the producers are then
put in the order of their consumers, so that each has a block.  Consumers of such a relation are
fewer than producers, so units are put in order from the smallest on.  What is still open goes by
the record.  Whether it all fits is not asked here; `pattern_of` says so afterwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from stretto.workflow import Pattern, block

__all__ = ["Relation", "ordered", "pattern_of"]


class Relation(NamedTuple):
    """The edges between two sets, from both sides."""

    parents: dict[int, list[int]]
    children: dict[int, list[int]]

    @property
    def one_to_one(self) -> bool:
        """Whether nobody has two."""
        return self.partitions and len(self.parents) == len(self.children)

    @property
    def partitions(self) -> bool:
        """Whether each producer has one consumer only."""
        return all(len(one) == 1 for one in self.children.values())


def pattern_of(
    relation: Relation,
    producers: Sequence[int],
    consumers: Sequence[int],
    place: Mapping[int, int],
) -> Pattern | None:
    """Return the pattern that these edges are, in the order given; `None` if they are none.

    Parameters
    ----------
    place
        By task: its number in its set.
    """
    n, m = len(consumers), len(producers)
    if len(relation.parents) < n or len(relation.children) < m:
        return None
    if all(len(one) == m for one in relation.parents.values()):
        return Pattern.ALL
    if not relation.partitions:
        return None
    for consumer, parents in relation.parents.items():
        found = sorted(place[parent] for parent in parents)
        if found != list(block(place[consumer], n, m)):
            return None
    return Pattern.EACH if n == m else Pattern.GROUP


def ordered(
    members: Sequence[Sequence[int]], relations: Mapping[tuple[int, int], Relation]
) -> list[list[int]]:
    """Return the tasks of each set in an order that suits its relations.

    Parameters
    ----------
    members
        Tasks of each set, in the order of the record.
    relations
        By producing and consuming set.
    """
    paired: list[list[tuple[int, Relation, bool]]] = [[] for _ in members]
    blocks: list[list[Relation]] = [[] for _ in members]
    fed: list[list[Relation]] = [[] for _ in members]
    for (producer, consumer), relation in relations.items():
        covers = len(relation.children) == len(members[producer])
        covers = covers and len(relation.parents) == len(members[consumer])
        if not covers or len(members[consumer]) == 1 or not relation.partitions:
            continue
        if relation.one_to_one:
            paired[producer].append((consumer, relation, True))
            paired[consumer].append((producer, relation, False))
        else:
            blocks[producer].append(relation)
            fed[consumer].append(relation)
    found: list[list[int]] = [list(one) for one in members]
    place: dict[int, int] = {}
    for unit in _units(members, paired):
        rows = _rows(unit, found[unit[0]], paired)
        keys = [_key(row, unit, blocks, place) for row in rows]
        if keys[0]:
            rows = [row for _, row in sorted(zip(keys, rows, strict=True), key=itemgetter(0))]
        else:
            rows = _unequal(rows, unit, fed)
        for column, one in enumerate(unit):
            found[one] = [row[column] for row in rows]
            place.update((task, at) for at, task in enumerate(found[one]))
    return found


def _units(
    members: Sequence[Sequence[int]], paired: Sequence[Sequence[tuple[int, Relation, bool]]]
) -> list[list[int]]:
    """Return the sets joined one to one, the smallest first; a unit begins with its first set."""
    seen = [False] * len(members)
    units: list[list[int]] = []
    for first in range(len(members)):
        if seen[first]:
            continue
        seen[first] = True
        unit = [first]
        for one in unit:
            for other, _, _ in paired[one]:
                if not seen[other]:
                    seen[other] = True
                    unit.append(other)
        units.append(unit)
    return sorted(units, key=lambda unit: (len(members[unit[0]]), unit[0]))


def _rows(
    unit: Sequence[int],
    tasks: Sequence[int],
    paired: Sequence[Sequence[tuple[int, Relation, bool]]],
) -> list[list[int]]:
    """Return the rows of a unit: a task of its first set with the one of each other set."""
    columns = {unit[0]: list(tasks)}
    for one in unit:
        for other, relation, forward in paired[one]:
            if other not in columns:
                neighbours = relation.children if forward else relation.parents
                columns[other] = [neighbours[task][0] for task in columns[one]]
    return [list(row) for row in zip(*(columns[one] for one in unit), strict=True)]


def _key(
    row: Sequence[int],
    unit: Sequence[int],
    blocks: Sequence[Sequence[Relation]],
    place: Mapping[int, int],
) -> tuple[int, ...]:
    """Return the numbers of the consumers whose blocks this row is in."""
    return tuple(
        place[relation.children[task][0]]
        for task, one in zip(row, unit, strict=True)
        for relation in blocks[one]
    )


def _unequal(
    rows: list[list[int]], unit: Sequence[int], fed: Sequence[Sequence[Relation]]
) -> list[list[int]]:
    """Return the rows so that those with larger blocks stand where the rule has larger ones."""
    for column, one in enumerate(unit):
        for relation in fed[one]:
            sizes = [len(relation.parents[row[column]]) for row in rows]
            expected = [len(block(at, len(rows), sum(sizes))) for at in range(len(rows))]
            if sizes != expected and sorted(sizes) == sorted(expected):
                waiting: dict[int, deque[list[int]]] = {size: deque() for size in sizes}
                for size, row in zip(sizes, rows, strict=True):
                    waiting[size].append(row)
                return [waiting[size].popleft() for size in expected]
    return rows
