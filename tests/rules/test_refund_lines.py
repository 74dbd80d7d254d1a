"""Which pieces of a refund are one deed, where a marketplace pays a line back as a whole."""

from __future__ import annotations

import pytest

from app.messages import PieceState
from app.rules.refund import PieceTruth, in_one_go


def piece(number: int, refunded: int = 0) -> PieceTruth:
    """One that cost 7.90 and 1.00 for its shipping, and has left."""
    return PieceTruth(number, PieceState.SHIPPED, 890, refunded, return_open=False, goods=790)


@pytest.mark.parametrize(
    ("given", "deeds"),
    [
        ({1: 790, 2: 790}, [[1, 2]]),
        ({1: 890, 2: 890}, [[1, 2]]),
        ({1: 790}, [[1]]),
        ({1: 790, 2: 789}, [[1], [2]]),
        ({1: 790, 2: 790, 3: 790}, [[1, 2], [3]]),
        ({3: 790, 4: 790}, [[3], [4]]),  # the fourth had some of its money before
        ({}, []),
    ],
)
def test_only_all_of_a_line_at_once_is_one_deed(given: dict[int, int], deeds: list[list[int]]) -> None:
    lines = [[piece(1), piece(2)], [piece(3), piece(4, refunded=100)]]
    assert in_one_go(given, lines) == deeds
