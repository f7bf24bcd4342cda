"""Where the attempts of a trace lie, without a tuple for each of them.

On a node the same slots are free again and again, so a million attempts have some ten thousand
different placements.  A trace keeps each of these once, and by row its number: four bytes an
attempt, and whoever wants to know something of every placement works it out for the different ones
only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from stretto.platform import Placement

__all__ = ["Placements", "interned"]

Table = tuple[Sequence[Placement], NDArray[np.int32]]


class Placements(Sequence[Placement]):
    """One placement a row, equal ones kept once.

    Parameters
    ----------
    distinct
        Different placements.
    numbers
        Which of them each row has, shape ``(rows,)``.
    """

    __slots__ = ("_length", "_make", "_table")

    def __init__(self, distinct: Sequence[Placement], numbers: NDArray[np.int32]) -> None:
        self._length = len(numbers)
        self._table: Table | None = (distinct, numbers)
        self._make: Callable[[], Table] | None = None

    @classmethod
    def when_asked(cls, length: int, make: Callable[[], Table]) -> Placements:
        """Return placements of so many rows that `make` makes when somebody first looks."""
        placements = cls((), np.zeros(0, dtype=np.int32))
        placements._length = length
        placements._table = None
        placements._make = make
        return placements

    @property
    def distinct(self) -> Sequence[Placement]:
        """Different placements."""
        return self._made()[0]

    @property
    def numbers(self) -> NDArray[np.int32]:
        """Which of the different ones each row has, shape ``(rows,)``."""
        return self._made()[1]

    def each(self, amount: Callable[[Placement], int]) -> NDArray[np.int64]:
        """Return a whole number for each row, shape ``(rows,)``."""
        amounts = np.array([amount(one) for one in self.distinct], dtype=np.int64)
        found: NDArray[np.int64] = amounts[self.numbers]
        return found

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, row: int) -> Placement: ...

    @overload
    def __getitem__(self, row: slice) -> Placements: ...

    def __getitem__(self, row: int | slice) -> Placement | Placements:
        if isinstance(row, slice):
            return Placements(self.distinct, self.numbers[row])
        return self.distinct[int(self.numbers[row])]

    def __iter__(self) -> Iterator[Placement]:
        return map(self.distinct.__getitem__, self.numbers.tolist())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Placements | tuple | list):
            return NotImplemented
        return len(self) == len(other) and all(
            mine == theirs for mine, theirs in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # it equals tuples, and would have to hash like them

    def __repr__(self) -> str:
        return f"<{len(self)} placements>"

    def __reduce__(self) -> tuple[type[Placements], Table]:
        return Placements, self._made()

    def _made(self) -> Table:
        if self._table is None:
            assert self._make is not None
            self._table = self._make()
            self._make = None
        return self._table


def interned(placements: Iterable[Placement]) -> Placements:
    """Return the placements with equal ones kept once."""
    if isinstance(placements, Placements):
        return placements
    known: dict[Placement, int] = {}
    numbers = [known.setdefault(one, len(known)) for one in placements]
    return Placements(tuple(known), np.array(numbers, dtype=np.int32))
