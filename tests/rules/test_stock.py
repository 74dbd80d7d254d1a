"""What may be shown is never more than there is (I13)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.stock import accounted, is_newer, oversold_by, published

SHOWN = {"on": True, "holiday": False, "unmanaged": 3, "in_stock": True}


@pytest.mark.parametrize(
    ("on_hand", "reserved", "buffer", "expected"),
    [(5, 0, 0, 5), (5, 2, 0, 3), (5, 2, 1, 2), (5, 4, 2, 0), (0, 0, 0, 0), (-2, 0, 0, 0), (5, -3, -3, 5)],
)
def test_shown_is_what_is_left_after_reservations_and_buffer(on_hand, reserved, buffer, expected):
    assert published(on_hand, reserved, buffer, **SHOWN) == expected


@pytest.mark.parametrize("change", [{"on": False}, {"holiday": True}, {"in_stock": False}])
@pytest.mark.parametrize("on_hand", [5, None])
def test_off_holiday_and_out_of_stock_show_nothing(change, on_hand):
    assert published(on_hand, 0, 0, **{**SHOWN, **change}) == 0


def test_an_uncounted_product_shows_the_fixed_number_whatever_is_reserved():
    assert published(None, 2, 1, **SHOWN) == 3


@pytest.mark.parametrize(("cap", "expected"), [(2, 2), (9, 5), (0, 0), (-1, 0), (None, 5)])
def test_a_cap_lowers_and_never_raises(cap, expected):
    assert published(5, 0, 0, cap=cap, **SHOWN) == expected


def test_a_cap_holds_for_uncounted_products_too():
    assert published(None, 0, 0, cap=1, **SHOWN) == 1


numbers = st.integers(-50, 50)


@given(numbers, numbers, numbers, st.booleans(), st.booleans(), numbers, st.booleans(), st.none() | numbers)
def test_never_negative_and_never_above_what_is_sellable(
    on_hand, reserved, buffer, on, holiday, unmanaged, in_stock, cap
):
    shown = published(
        on_hand, reserved, buffer, on=on, holiday=holiday, unmanaged=unmanaged, in_stock=in_stock, cap=cap
    )
    assert 0 <= shown <= max(0, on_hand - max(0, reserved) - max(0, buffer))
    assert cap is None or shown <= max(0, cap)
    assert shown == 0 or (on and in_stock and not holiday)


@pytest.mark.parametrize(
    ("sequence", "known", "newer"), [(5, None, True), (5, 4, True), (5, 5, False), (4, 5, False)]
)
def test_an_equal_or_older_sequence_never_overwrites(sequence, known, newer):
    assert is_newer(sequence, known) is newer


@pytest.mark.parametrize(
    ("order", "product", "contained"),
    [(7, 7, True), (7, 8, True), (7, 6, False), (None, 8, False), (7, None, False), (None, None, False)],
)
def test_an_order_is_contained_from_its_own_sequence_on(order, product, contained):
    assert accounted(order, product) is contained


@pytest.mark.parametrize(
    ("on_hand", "reserved", "missing"),
    [(5, 5, 0), (5, 7, 2), (-1, 2, 2), (None, 9, 0), (3, -1, 0), (0, -1, 0), (0, 1, 1)],
)
def test_what_was_sold_and_is_not_there_is_counted(on_hand, reserved, missing):
    assert oversold_by(on_hand, reserved) == missing


@given(st.permutations(range(6)), st.integers(1, 5))
def test_own_orders_are_subtracted_exactly_once_in_any_order_of_messages(arrival, sold):
    """The shop has 10, an order of ours lowers it at sequence 3. Whatever arrives when, we never show more than is free."""

    def truth(sequence):
        return 10 if sequence < 3 else 10 - sold

    known = None
    for sequence in arrival:
        if is_newer(sequence, known):
            known = sequence
        reserved = 0 if accounted(3, known) else sold
        assert published(truth(known), reserved, 0, **SHOWN) == 10 - sold
