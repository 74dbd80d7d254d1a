"""Ten thousand random splits of fees, VAT and quantities add up to the cent (invariants 11 and 18)."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules.split import Good, fill, largest_remainder, share_until, vat_in, vat_in_shipping

MONEY = st.integers(0, 10_000_000)
PERCENT = st.sampled_from([None, "0", "7", "19", "5.5", "21", "25", "7.70", "0.01", "100"])
# Four of these and the fees of tests/rules/test_fees.py make more than ten thousand random splits.
MANY = settings(max_examples=2_250, deadline=None)


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (100, [600, 300, 100], [60, 30, 10]),
        (1, [1, 2], [0, 1]),
        (5, [0, 0], [5, 0]),
        (0, [3, 4], [0, 0]),
        (7, [0, 7], [0, 7]),
    ],
)
def test_who_lost_most_by_rounding_gets_the_rest(total: int, weights: list[int], parts: list[int]) -> None:
    assert largest_remainder(total, weights) == parts


@pytest.mark.parametrize(("total", "weights"), [(-1, [1]), (1, []), (1, [1, -1])])
def test_what_cannot_be_split_is_said(total: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match="cannot split"):
        largest_remainder(total, weights)


@MANY
@given(MONEY, st.lists(MONEY, min_size=1, max_size=20))
def test_parts_add_up_and_are_fair(total: int, weights: list[int]) -> None:
    parts = largest_remainder(total, weights)
    assert sum(parts) == total
    if whole := sum(weights):
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part - Fraction(total * weight, whole)) < 1


@MANY
@given(MONEY, st.lists(st.integers(0, 99_999), min_size=1, max_size=30))
def test_parcels_of_any_size_release_exactly_the_goods(goods: int, units: list[int]) -> None:
    whole, gone, released = sum(units), 0, 0
    for price in units:
        released += share_until(goods, gone + price, whole) - share_until(goods, gone, whole)
        gone += price
        assert 0 <= released <= goods
    assert released == (goods if whole else 0)


@pytest.mark.parametrize(("part", "whole"), [(-1, 3), (4, 3)])
def test_a_part_is_never_more_than_the_whole(part: int, whole: int) -> None:
    with pytest.raises(ValueError, match="of 3"):
        share_until(10, part, whole)


@pytest.mark.parametrize(
    ("gross", "percent", "vat"),
    [(1190, "19", 190), (1070, "7", 70), (999, "19", 160), (100, None, 0), (100, "0", 0), (1055, "5.5", 55), (3, "100", 2)],
)  # fmt: skip
def test_the_vat_in_a_gross_amount(gross: int, percent: str | None, vat: int) -> None:
    assert vat_in(gross, percent) == vat


@pytest.mark.parametrize("percent", ["", "x", "NaN", "Infinity", "-7"])
def test_what_is_no_percentage_is_said(percent: str) -> None:
    with pytest.raises(ValueError, match="no VAT percentage"):
        vat_in(100, percent)


@MANY
@given(st.lists(MONEY, min_size=1, max_size=10), PERCENT)
def test_vat_of_parts_adds_up_to_the_vat_of_the_whole(parts: list[int], percent: str | None) -> None:
    gone, vat = 0, 0
    for part in parts:
        step = vat_in(gone + part, percent) - vat_in(gone, percent)
        assert 0 <= step <= part
        gone, vat = gone + part, vat + step
    assert vat == vat_in(gone, percent)


@settings(max_examples=500, deadline=None)
@given(MONEY, st.lists(st.tuples(MONEY, PERCENT), min_size=1, max_size=6))
def test_shipping_carries_the_vat_of_its_goods(amount: int, goods: list[tuple[int, str | None]]) -> None:
    vat = vat_in_shipping(amount, [Good(total, percent) for total, percent in goods])
    assert 0 <= vat <= amount
    rates = {percent for _, percent in goods}
    if len(goods) == 1:
        assert vat == vat_in(amount, rates.pop())


def test_nothing_moves_no_vat() -> None:
    assert vat_in_shipping(100, []) == 0
    assert vat_in_shipping(0, [Good(100, "19")]) == 0


@MANY
@given(
    st.dictionaries(st.integers(1, 9), MONEY, min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(1, 12), st.integers(-5, 10_000_000)), max_size=6),
    st.integers(0, 100),
)
def test_a_refund_fills_lines_and_never_overfills_them(
    room: dict[int, int], asked: list[tuple[int, int]], percent: int
) -> None:
    amount = sum(room.values()) * percent // 100
    found = fill(amount, room, asked)
    assert sum(found.values()) == amount
    assert all(0 <= found[place] <= room[place] for place in room)


def test_what_is_asked_for_comes_first() -> None:
    assert fill(100, {"a": 60, "b": 100}, [("a", 80)]) == {"a": 60, "b": 40}
    assert fill(100, {"a": 100, "b": 100}, [("b", 70)]) == {"a": 23, "b": 77}
    assert fill(50, {"a": 100, "b": 100}, [("x", 9)]) == {"a": 25, "b": 25}


@pytest.mark.parametrize("amount", [-1, 11])
def test_more_than_there_is_room_for_is_said(amount: int) -> None:
    with pytest.raises(ValueError, match="into 10"):
        fill(amount, {"a": 10}, [])
