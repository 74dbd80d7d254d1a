"""Fees add up whatever the parcels are (invariant 11)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules.fees import Fee, change, fee_on, half_up

AMOUNTS = st.integers(0, 10_000_000)
POINTS = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("amount", "points", "expected"),
    [(1333, 500, 67), (67, 1900, 13), (100, 250, 3), (999, 500, 50), (0, 500, 0), (1, 4999, 0), (1, 5000, 1), (7, 0, 0)],
)  # fmt: skip
def test_half_a_cent_is_rounded_up(amount: int, points: int, expected: int) -> None:
    assert half_up(amount, points) == expected


@pytest.mark.parametrize(("amount", "points"), [(-1, 1), (1, -1)])
def test_nothing_is_taken_of_less_than_nothing(amount: int, points: int) -> None:
    with pytest.raises(ValueError, match="basis points"):
        half_up(amount, points)


def test_fee_and_its_vat() -> None:
    assert fee_on(1490, 500, 1900) == Fee(75, 14)
    assert Fee(75, 14).gross == 89
    assert change(1490, 990, 500, 1900) == Fee(-25, -4)


@settings(max_examples=1500, deadline=None)
@given(st.lists(AMOUNTS, min_size=1, max_size=12), POINTS, POINTS)
def test_parts_add_up_to_the_fee_of_the_whole(parts: list[int], fee_bp: int, vat_bp: int) -> None:
    earned, fee, vat = 0, 0, 0
    for part in parts:
        step = change(earned, earned + part, fee_bp, vat_bp)
        assert step.fee >= 0
        assert step.vat >= 0
        earned, fee, vat = earned + part, fee + step.fee, vat + step.vat
    assert Fee(fee, vat) == fee_on(earned, fee_bp, vat_bp)


@settings(max_examples=500, deadline=None)
@given(AMOUNTS, AMOUNTS, POINTS, POINTS)
def test_what_is_refunded_returns_its_fee(earned: int, back: int, fee_bp: int, vat_bp: int) -> None:
    back = min(back, earned)
    there, again = (
        change(earned, earned - back, fee_bp, vat_bp),
        change(earned - back, earned, fee_bp, vat_bp),
    )
    assert (there.fee, there.vat) == (-again.fee, -again.vat)
    assert change(earned, 0, fee_bp, vat_bp) == Fee(0, 0) - fee_on(earned, fee_bp, vat_bp)
