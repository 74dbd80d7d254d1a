"""Payouts, the reserve, and what a supplier has to give back (invariants 7, 8 and 19)."""

from datetime import UTC, datetime, timedelta

import pytest
from desk import BY, Desk
from flask import Flask
from sqlalchemy import select, update

from app import ledger
from app import messages as m
from app.models import Command, LedgerTransaction, Payment, Profile

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)


def test_everything_payable_goes_out_in_one_instruction(desk: Desk) -> None:
    trades = [desk.trade(fee_bp=500), desk.trade()]
    for trade in trades:
        desk.ship_all(trade)
    payment = desk.pay(done=False, now=NOW)
    assert payment is not None
    assert (payment.kind, payment.amount, payment.state, payment.supplier_id) == (
        "payout",
        1940,
        "due",
        desk.anna.id,
    )
    assert desk.session.scalars(select(Command.key).where(Command.key == payment.key)).one() == payment.key
    assert [desk.money(trade).payout_in_transit for trade in trades] == [940, 1000]
    assert [desk.money(trade).paid_out for trade in trades] == [0, 0]
    desk.settle(payment)
    assert [desk.money(trade).paid_out for trade in trades] == [940, 1000]
    assert desk.balance("payout_in_transit") == 0
    assert ledger.breaches(desk.session) == []


def test_nothing_payable_is_no_payout(desk: Desk) -> None:
    assert desk.pay() is None
    desk.ship_all(desk.trade())
    assert desk.pay() is not None
    assert desk.pay() is None


@pytest.mark.parametrize("change", [{"state": "submitted"}, {"state": "refused"}, {"payout_blocked": True}])
def test_who_may_not_be_paid_is_not_paid(desk: Desk, change: dict[str, object]) -> None:
    desk.ship_all(desk.trade())
    desk.session.execute(update(Profile).where(Profile.account_id == desk.anna.id).values(**change))
    desk.session.commit()
    assert desk.pay() is None


def test_frozen_orders_are_left_out(desk: Desk) -> None:
    frozen, free = desk.trade(), desk.trade(((1, 300),))
    desk.ship_all(frozen)
    desk.ship_all(free)
    desk.dispute(frozen, 1)
    assert desk.pay().amount == 300  # type: ignore[union-attr]
    assert desk.money(frozen).payable == 999


def test_the_reserve_stays_for_thirty_days(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), shipping=490)
    desk.ship_all(trade)
    today = datetime.now(UTC)
    payment = desk.pay(reserve_bp=1000, now=today)
    assert payment is not None
    assert (payment.amount, payment.reserve, desk.money(trade).payable) == (1341, 149, 149)
    released = desk.session.scalars(
        select(LedgerTransaction.at).where(LedgerTransaction.kind == "release")
    ).one()
    for still in (timedelta(days=29), timedelta(days=30)):
        assert desk.pay(reserve_bp=1000, now=released + still) is None
    assert ledger.breaches(desk.session) == []
    assert desk.pay(reserve_bp=1000, now=today + timedelta(days=31)).amount == 149  # type: ignore[union-attr]


def test_the_reserve_bears_a_later_refund(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), shipping=490)
    desk.ship_all(trade)
    desk.pay(reserve_bp=1000)
    assert desk.refund(trade, 300) == ledger.Refunded(from_payable=149, receivable=151)


def test_the_setting_is_the_reserve_unless_told_otherwise(
    desk: Desk, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "SHOPBRIDGE_NETWORK_RESERVE_BP", 2000)
    desk.ship_all(desk.trade())
    payment = ledger.payout(desk.session, desk.anna.id, "EUR", NOW, BY)
    assert payment is not None
    assert (payment.amount, payment.reserve) == (800, 200)


def test_a_payout_that_fails_is_payable_again(desk: Desk) -> None:
    trades = [desk.trade(), desk.trade()]
    for trade in trades:
        desk.ship_all(trade)
    first = desk.pay(done=False, now=NOW)
    assert first is not None
    desk.settle(first, m.PaymentState.FAILED)
    desk.settle(first, m.PaymentState.FAILED)
    assert [desk.money(trade).payable for trade in trades] == [1000, 1000]
    second = desk.pay(now=NOW)
    assert second is not None
    assert (second.amount, second.key != first.key) == (2000, True)
    assert [desk.money(trade).paid_out for trade in trades] == [1000, 1000]
    assert ledger.breaches(desk.session) == []


def test_a_debt_made_while_a_payout_was_under_way_is_settled_when_it_fails(desk: Desk) -> None:
    trade, other = desk.trade(), desk.trade()
    desk.ship_all(trade)
    desk.ship_all(other)
    payment = desk.pay(done=False)
    assert payment is not None
    assert desk.refund(trade, 1000).receivable == 1000
    desk.settle(payment, m.PaymentState.FAILED)
    assert [desk.money(each).payable for each in (trade, other)] == [0, 1000]
    assert desk.money(trade).receivable == 0
    assert ledger.breaches(desk.session) == []


def test_keys_of_payouts_do_not_come_again(desk: Desk) -> None:
    keys = []
    for _ in range(3):
        desk.ship_all(desk.trade())
        keys.append(desk.pay(now=NOW).key)  # type: ignore[union-attr]
    assert len(set(keys)) == 3
    assert all("20261122T030000" in key for key in keys)


def test_currencies_are_paid_apart(desk: Desk) -> None:
    desk.ship_all(desk.trade())
    desk.ship_all(desk.trade(((1, 3000),), currency="RON"))
    assert desk.pay().amount == 1000  # type: ignore[union-attr]
    lei = ledger.payout(desk.session, desk.anna.id, "RON", NOW, BY)
    assert lei is not None
    assert (lei.amount, lei.currency) == (3000, "RON")


# --- taking it back ------------------------------------------------------------------------------------------------------------


def owing(desk: Desk) -> tuple[object, Payment]:
    trade = desk.trade()
    desk.ship_all(trade)
    payout = desk.pay()
    assert payout is not None
    desk.refund(trade, 400)
    return trade, payout


@pytest.mark.parametrize("state", [m.PaymentState.DONE, m.PaymentState.FAILED])
def test_a_debt_can_be_taken_back_from_a_payout(desk: Desk, state: m.PaymentState) -> None:
    trade, payout = owing(desk)
    back = ledger.recover(desk.session, desk.anna.id, "EUR", NOW, BY)
    assert back is not None
    assert (back.kind, back.amount, back.of_id, back.state) == ("reverse", 400, payout.id, "due")
    assert desk.money(trade).receivable == 0  # type: ignore[arg-type]
    assert ledger.recover(desk.session, desk.anna.id, "EUR", NOW, BY) is None
    assert ledger.breaches(desk.session) == []
    desk.settle(back, state)
    expected = 0 if state is m.PaymentState.DONE else 400
    assert desk.money(trade).receivable == expected  # type: ignore[arg-type]
    assert desk.balance("recovery_in_transit") == 0
    assert ledger.breaches(desk.session) == []


def test_never_more_than_the_payout_was(desk: Desk) -> None:
    first, second = desk.trade(((1, 100),)), desk.trade(((1, 300),))
    for trade in (first, second):
        desk.ship_all(trade)
        desk.pay()
    desk.cancel(first)
    desk.cancel(second)
    assert ledger.recover(desk.session, desk.anna.id, "EUR", NOW, BY).amount == 300  # type: ignore[union-attr]
    assert ledger.recover(desk.session, desk.anna.id, "EUR", NOW, BY).amount == 100  # type: ignore[union-attr]
    assert ledger.recover(desk.session, desk.anna.id, "EUR", NOW, BY) is None
    assert ledger.breaches(desk.session) == []


def test_who_owes_nothing_gives_nothing_back(desk: Desk) -> None:
    desk.ship_all(desk.trade())
    desk.pay()
    assert ledger.recover(desk.session, desk.anna.id, "EUR", NOW, BY) is None


def test_the_batch_is_what_was_instructed(desk: Desk) -> None:
    desk.ship_all(desk.trade())
    desk.ship_all(desk.trade(((7, 33),)))
    payment = desk.pay(done=False)
    assert payment is not None
    posted = desk.session.scalars(select(LedgerTransaction).where(LedgerTransaction.key == payment.key)).one()
    assert (posted.payment_id, posted.kind, payment.amount) == (payment.id, "payout", 1231)
