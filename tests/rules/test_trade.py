"""Amounts, states and quantities of a trade (K6, K8-K10, K12)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import messages as m
from app.rules import trade

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def line(name: str, quantity: int) -> m.ShopLineSeen:
    return m.ShopLineSeen(name, None, "17", "TEE-001", "Assam", quantity, 790 * quantity)


def refund(*lines: tuple[str, int, int]) -> m.RefundSeen:
    return m.RefundSeen("r1", sum(each[2] for each in lines), "EUR", "", lines, by_bridge=False)


def order(*lines: m.ShopLineSeen, **more: Any) -> m.ShopOrderSeen:
    seen = m.ShopOrderSeen(
        "1042", "1042", None, m.ShopStatus.PROCESSING, "processing", "EUR", 0, lines, (), (), (), None
    )
    return replace(seen, **more)


@pytest.mark.parametrize(
    ("gross", "discount", "price"),
    [
        (420, 0, 420),
        (420, 500, 399),
        (999, 250, 974),
        (1, 5000, 1),
        (1, 5001, 0),
        (100, 10_000, 0),
        (0, 0, 0),
    ],
)
def test_a_price_groups_discount_is_rounded_half_up_for_one_unit(
    gross: int, discount: int, price: int
) -> None:
    assert trade.unit_price(gross, discount) == price


@given(st.integers(0, 10**9), st.integers(0, 10_000))
def test_a_discount_never_makes_it_dearer_nor_negative(gross: int, discount: int) -> None:
    price = trade.unit_price(gross, discount)
    assert 0 <= price <= gross
    assert abs(price * 10_000 - gross * (10_000 - discount)) <= 5_000


def test_a_discount_of_more_than_everything_is_a_defect() -> None:
    with pytest.raises(ValueError, match="no price"):
        trade.unit_price(100, 10_001)


@pytest.mark.parametrize(
    ("goods", "free_from", "price"), [(4999, 5000, 390), (5000, 5000, 0), (9000, None, 390), (0, 0, 0)]
)
def test_shipping_is_free_from_an_amount_of_goods_on(goods: int, free_from: int | None, price: int) -> None:
    assert trade.shipping_price(goods, 390, free_from) == price


FORBIDDEN = {m.ShopStatus.COMPLETED, m.ShopStatus.REFUNDED, m.ShopStatus.CANCELLED}


def test_every_status_but_three_is_forwarded_and_drafts_and_deleted_orders_are_none() -> None:
    kept = {status for status in m.ShopStatus if not trade.forwarded(status)}
    assert kept == FORBIDDEN | {m.ShopStatus.DRAFT, m.ShopStatus.DELETED}


def test_states_only_move_forward() -> None:
    assert trade.after("held", "accepted") == "accepted"
    assert trade.after("shipped", "part_shipped") == "shipped"
    assert trade.after("cancelled", "shipped") == "cancelled"
    assert trade.after("rejected", "held") == "rejected"


@given(st.sampled_from(sorted(trade.FORWARD)), st.lists(st.sampled_from(sorted(trade.FORWARD))))
def test_no_order_of_events_brings_an_over_trade_back(start: str, wishes: list[str]) -> None:
    state, over = start, start in trade.OVER
    for wish in wishes:
        state = trade.after(state, wish)
        assert not over or state in trade.OVER
        over = state in trade.OVER


def test_a_supplier_may_cancel_what_is_shipped_and_closed() -> None:
    for state in ("accepted", "part_shipped", "shipped", "closed"):
        assert trade.after(state, "cancelled") == "cancelled"


def test_wanted_is_what_was_ordered_less_what_refunds_take_back_by_quantity() -> None:
    seen = order(line("1", 3), line("2", 1), refunds=(refund(("1", 2, 1580)), refund(("1", 0, 100))))
    assert trade.wanted(seen) == {"1": 1, "2": 1}


def test_refunds_of_more_than_was_ordered_leave_nothing() -> None:
    seen = order(line("1", 1), refunds=(refund(("1", 5, 790), ("9", 1, 790)),))
    assert trade.wanted(seen) == {"1": 0}


@pytest.mark.parametrize("status", [m.ShopStatus.CANCELLED, m.ShopStatus.REFUNDED, m.ShopStatus.DELETED])
def test_nothing_is_wanted_of_an_order_that_was_taken_back(status: m.ShopStatus) -> None:
    assert trade.wanted(order(line("1", 3), status=status)) == {"1": 0}


def test_units_that_a_supplier_called_off_are_not_ordered_again() -> None:
    units = trade.Units(ordered=3, called_off=1)
    assert (units.missing(3), units.too_many(3)) == (0, 0)
    assert (units.missing(2), units.too_many(2)) == (0, 0)
    assert (units.missing(4), units.too_many(1)) == (1, 1)


def test_units_that_the_retailer_took_back_are_ordered_when_he_wants_them_again() -> None:
    units = trade.Units(ordered=3, taken_back=3)
    assert (units.missing(3), units.too_many(0)) == (3, 0)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 40))
def test_nothing_is_missing_and_too_many_at_once(ordered: int, back: int, off: int, wanted: int) -> None:
    units = trade.Units(ordered + back + off, back, off)
    assert not (units.missing(wanted) and units.too_many(wanted))


A, T, S, C = m.PieceState.ANNOUNCED, m.PieceState.TO_SHIP, m.PieceState.SHIPPED, m.PieceState.CANCELLED


@pytest.mark.parametrize(
    ("pieces", "state"),
    [
        ([A], None),
        ([T, C], None),
        ([T, S], "part_shipped"),
        ([S, C], "shipped"),
        ([S, S], "shipped"),
        ([C], None),
    ],
)
def test_a_trade_is_as_far_as_its_pieces(pieces: list[m.PieceState], state: str | None) -> None:
    assert trade.progress(pieces) == state


def test_a_key_is_the_same_for_ever_and_short_enough_for_every_shop() -> None:
    first = trade.external_id("https://boldt.example", "https://anna.example", "1042", 1)
    assert first == trade.external_id("https://boldt.example", "https://anna.example", "1042", 1)
    assert first != trade.external_id("https://boldt.example", "https://emil.example", "1042", 1)
    assert trade.external_id("https://boldt.example", "https://anna.example", "1042", 2) == f"{first}:2"
    for number in (1, 99):
        long = trade.key(trade.external_id("a", "b", "9" * 190, number))
        assert len(long) <= 90
        assert trade.is_key(long)
    assert not trade.is_key("kaufland:M7X2K9P")
    assert not trade.is_key(None)


def test_the_supplier_does_not_get_the_customers_mail_address() -> None:
    address = m.Address(last_name="Muster", address_1="Weg 4", city="Berlin", email="mia@customer.example")
    assert trade.for_the_supplier(address) == replace(address, email="")


def test_a_parcel_needs_a_street_and_a_city() -> None:
    assert trade.is_deliverable(m.Address(address_1="Weg 4", city="Berlin"))
    assert not trade.is_deliverable(m.Address(address_1="Weg 4", city=" "))
    assert not trade.is_deliverable(None)


def waiting(state: str, **more: Any) -> str | None:
    known: dict[str, Any] = {
        "passed_on": False,
        "pass_on_at": NOW,
        "by_hand": False,
        "paid": True,
        "frozen": False,
        "now": NOW,
    }
    found = trade.waits_for(state, **{**known, **more})
    return found.code if found else None


def test_what_a_trade_waits_for() -> None:
    assert waiting("payment_pending") == "trade.waiting_payment"
    assert waiting("payment_pending", paid=False) == "trade.on_hold"
    assert waiting("held", by_hand=True) == "trade.waiting_accept"
    assert waiting("held", pass_on_at=NOW + timedelta(minutes=5)) == "trade.regret_window"
    assert waiting("accepted", passed_on=True) == "trade.with_supplier"
    assert waiting("part_shipped", passed_on=True) == "trade.with_supplier"
    assert waiting("held", frozen=True) == "trade.disputed"
    for state in ("shipped", "closed", "cancelled", "rejected", "payment_failed"):
        assert waiting(state) is None


@pytest.mark.parametrize(
    ("status", "was", "orders"),
    [
        ("processing", None, True),
        ("on-hold", None, True),
        ("completed", None, True),
        ("completed", "on-hold", True),
        ("completed", "processing", False),
        ("completed", "completed", False),
        ("completed", "other", False),
        ("processing", "completed", True),
        ("pending", None, False),
        ("failed", "on-hold", False),
    ],
)
def test_when_a_look_orders(status: str, was: str | None, orders: bool) -> None:
    before = m.ShopStatus(was.replace("-", "_")) if was else None
    assert trade.orders_now(m.ShopStatus(status.replace("-", "_")), before) is orders


@pytest.mark.parametrize(
    ("warn", "limit", "hours"),
    [
        (48, 168, (48, 120)),
        (48, 0, (48, None)),
        (48, 48, (24, 24)),
        (48, 1, (1, 1)),
        (0, 24, (12, 12)),
        (0, 0, (1, None)),
    ],
)
def test_nobody_is_taken_to_have_said_no_without_a_warning(
    warn: int, limit: int, hours: tuple[int, int | None]
) -> None:
    assert trade.answer_hours(warn, limit) == hours


@pytest.mark.parametrize(
    ("adopted", "minutes", "own"),
    [(True, -1, True), (True, 0, False), (True, 1, False), (False, -9, False), (False, -11, True)],
)
def test_orders_from_before_the_listing_are_the_retailers_own(adopted: bool, minutes: int, own: bool) -> None:
    listed = datetime(2026, 11, 22, 12, tzinfo=UTC)
    placed = listed + timedelta(minutes=minutes)
    assert trade.is_his_own(adopted=adopted, placed_at=placed, listed_at=listed) is own
