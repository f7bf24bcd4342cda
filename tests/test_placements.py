"""Where attempts lie: a sequence like any other, equal ones kept once."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from stretto.platform import Slot
from stretto.trace import Placements, interned

A = (Slot(0, 0b11, 0b1, 1000, 16, 1),)
B = (Slot(0, 0b1100, 0, 0, 0, 2), Slot(1, 0b1, 0, 0, 0, 1))
ROWS = (A, B, A, A)


def test_equal_ones_are_kept_once() -> None:
    placements = interned(ROWS)
    assert placements.distinct == (A, B)
    assert placements.numbers.tolist() == [0, 1, 0, 0]
    assert interned(placements) is placements


def test_they_are_a_sequence() -> None:
    placements = interned(ROWS)
    assert (len(placements), placements[1], placements[-1]) == (4, B, A)
    assert list(placements) == list(ROWS)
    assert placements[1:3] == (B, A)
    assert B in placements
    assert placements == ROWS
    assert placements == interned(ROWS)
    assert placements != ROWS[:3]
    assert placements != (A, A, A, A)
    with pytest.raises(IndexError):
        placements[4]


def test_something_of_each_is_worked_out_for_the_different_ones_only() -> None:
    seen = []
    placements = interned(ROWS)
    found = placements.each(lambda slots: seen.append(slots) or len(slots))
    assert found.tolist() == [1, 2, 1, 1]
    assert seen == [A, B]


def test_what_is_made_when_asked_is_made_once_and_for_good() -> None:
    made = []

    def make():
        made.append(True)
        return (A, B), np.array([0, 1, 0, 0], dtype=np.int32)

    placements = Placements.when_asked(4, make)
    assert (len(placements), made) == (4, [])
    assert placements == ROWS
    assert placements[0] == A
    assert made == [True]


def test_they_are_pickled_as_they_are() -> None:
    made = Placements.when_asked(2, lambda: ((A, B), np.array([1, 0], dtype=np.int32)))
    assert pickle.loads(pickle.dumps(made)) == (B, A)
