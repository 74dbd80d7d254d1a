"""A dispute holds its amount and freezes the order; then the money goes back or is gone (invariant 17)."""

import pytest
from desk import Desk

from app import ledger


def test_a_dispute_holds_escrow_and_freezes_the_order(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), shipping=490)
    assert desk.dispute(trade, 500) == ledger.Refunded(from_escrow=500)
    done = desk.ship_all(trade)
    assert [reason.code for reason in done.reasons] == ["ledger.frozen"]
    left = desk.money(trade)
    assert (left.escrow, left.disputed, left.released, trade.frozen) == (990, 500, 0, True)
    assert ledger.breaches(desk.session) == []


def test_won_the_waiting_parcel_is_released(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), shipping=490, fee_bp=500)
    desk.dispute(trade, 500)
    desk.ship_all(trade)
    desk.dispute_over(trade, won=True)
    left = desk.money(trade)
    assert (left.escrow, left.disputed, left.released, left.fees) == (0, 0, 1490, 75)
    assert trade.frozen is False


def test_won_after_the_release_the_supplier_has_it_again(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), fee_bp=500)
    desk.ship_all(trade)
    before = desk.money(trade)
    desk.dispute(trade, 333)
    assert desk.pay() is None
    desk.dispute_over(trade, won=True)
    assert desk.money(trade) == before
    desk.dispute_over(trade, won=True)
    assert desk.money(trade) == before
    assert ledger.breaches(desk.session) == []


def test_lost_it_counts_as_refunded(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), shipping=490)
    desk.dispute(trade, 1000)
    assert desk.refund(trade, 500).refused is not None
    desk.dispute_over(trade, won=False)
    assert desk.refund(trade, 490).amount == 490
    left = desk.money(trade)
    assert (left.refunded, left.charged_back, left.escrow) == (1490, 1000, 0)
    desk.settle_all()
    assert desk.balance("psp_clearing", trade) == 0
    assert ledger.breaches(desk.session) == []


def test_after_the_payout_it_is_a_debt_and_won_it_is_none(desk: Desk) -> None:
    trade = desk.trade()
    desk.ship_all(trade)
    desk.pay()
    assert desk.dispute(trade, 400).receivable == 400
    desk.dispute_over(trade, won=True)
    assert (desk.money(trade).receivable, desk.money(trade).payable) == (0, 0)


def test_what_others_paid_for_a_dispute_comes_back_when_it_is_won(desk: Desk) -> None:
    first, second = desk.trade(), desk.trade()
    desk.ship_all(first)
    desk.pay()
    desk.dispute(first, 400)
    desk.ship_all(second)
    assert desk.money(second).payable == 600
    desk.dispute_over(first, won=True)
    assert desk.money(first).payable == 400
    assert desk.pay().amount == 1000  # type: ignore[union-attr]
    assert ledger.breaches(desk.session) == []


def test_a_frozen_order_pays_nobody_elses_debt_until_it_thaws(desk: Desk) -> None:
    debtor, frozen = desk.trade(), desk.trade()
    desk.ship_all(debtor)
    desk.pay()
    desk.ship_all(frozen)
    desk.dispute(frozen, 100)
    desk.refund(debtor, 300)
    assert (desk.money(debtor).receivable, desk.money(frozen).payable) == (300, 900)
    desk.dispute_over(frozen, won=False)
    assert (desk.money(debtor).receivable, desk.money(frozen).payable) == (0, 600)


def test_two_disputes_thaw_with_the_last(desk: Desk) -> None:
    trade = desk.trade()
    desk.dispute(trade, 100, "d1")
    desk.dispute(trade, 200, "d2")
    desk.dispute_over(trade, won=True, key="d1")
    assert trade.frozen is True
    desk.dispute_over(trade, won=False, key="d2")
    assert trade.frozen is False
    assert (desk.money(trade).escrow, desk.money(trade).charged_back) == (800, 200)


def test_a_dispute_is_opened_once(desk: Desk) -> None:
    trade = desk.trade()
    assert desk.dispute(trade, 400) == desk.dispute(trade, 400)
    assert desk.money(trade).disputed == 400


def test_more_than_is_left_is_refused_but_freezes(desk: Desk) -> None:
    trade = desk.trade()
    desk.refund(trade, 300)
    done = desk.dispute(trade, 701)
    assert done.refused is not None
    assert (done.refused.code, desk.money(trade).disputed, trade.frozen) == (
        "ledger.dispute_exceeds",
        0,
        True,
    )
    desk.ship_all(trade)
    desk.dispute_over(trade, won=True)
    assert (trade.frozen, desk.money(trade).released) == (False, 700)


def test_a_dispute_about_nothing_changes_nothing(desk: Desk) -> None:
    trade = desk.trade()
    assert desk.dispute(trade, 0).refused is not None
    desk.dispute_over(trade, won=True, key="never opened")
    assert trade.frozen is False


@pytest.mark.parametrize("won", [True, False])
def test_cancelled_during_a_dispute_ends_with_everything_refunded(desk: Desk, won: bool) -> None:
    trade = desk.trade()
    desk.ship_all(trade)
    desk.dispute(trade, 400)
    assert desk.cancel(trade).amount == 600
    desk.dispute_over(trade, won=won)
    left = desk.money(trade)
    assert (left.refunded, left.charged_back, left.disputed) == (1000, 0 if won else 400, 0)
    assert ledger.breaches(desk.session) == []


@pytest.mark.parametrize("won", [True, False])
def test_cancelled_during_two_disputes_only_what_the_other_holds_stays(desk: Desk, won: bool) -> None:
    trade = desk.trade(shipping=490)
    whole = desk.money(trade).captured
    desk.dispute(trade, 100, key="d1")
    desk.dispute(trade, 50, key="d2")
    desk.cancel(trade)
    desk.dispute_over(trade, won=won, key="d1")
    left = desk.money(trade)
    assert (left.refunded, left.escrow, left.disputed, trade.frozen) == (whole - 50, 0, 50, True)
    assert ledger.breaches(desk.session) == []
    desk.dispute_over(trade, won=won, key="d2")
    left = desk.money(trade)
    assert (left.refunded, left.escrow, left.disputed, trade.frozen) == (whole, 0, 0, False)
    assert ledger.breaches(desk.session) == []
