"""Where refunds and cancellations take the money from (K8, K9; reliability 4.2), with the lines of the credit note."""

import pytest
from desk import BY, Desk
from sqlalchemy import select

from app import ledger
from app import messages as m
from app.ledger import RefundLine
from app.models import Command, Payment, RefundShare


def test_a_refund_before_the_parcel_comes_out_of_escrow(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), shipping=490)
    assert desk.refund(trade, 300) == ledger.Refunded(from_escrow=300)
    left = desk.money(trade)
    assert (left.escrow, left.refunded, left.refund_in_transit) == (1190, 300, 300)
    desk.settle_all()
    assert desk.money(trade).refund_in_transit == 0


def test_a_refund_goes_from_escrow_to_payable_to_receivable(desk: Desk) -> None:
    trade = desk.trade(((3, 500),), shipping=490)
    desk.ship(trade, 1)
    desk.pay()
    desk.ship(trade, 1)
    assert desk.refund(trade, 1200) == ledger.Refunded(500, 500, 200)
    left = desk.money(trade)
    assert (left.escrow, left.payable, left.receivable, left.paid_out) == (0, 0, 200, 990)
    assert ledger.breaches(desk.session) == []


def test_the_retailer_gets_his_money_although_the_supplier_was_paid(desk: Desk) -> None:
    trade = desk.trade()
    desk.ship_all(trade)
    desk.pay()
    desk.cancel(trade)
    refund = desk.session.scalars(select(Payment).where(Payment.kind == "refund")).one()
    assert (refund.amount, refund.state) == (1000, "due")
    assert desk.money(trade).receivable == 1000


def test_the_fee_goes_back_pro_rata(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), shipping=490, fee_bp=500)
    desk.ship_all(trade)
    assert desk.refund(trade, 500) == ledger.Refunded(0, 471, 0, fee=25, vat=4)
    assert desk.cancel(trade).amount == 990
    left = desk.money(trade)
    assert (left.fees, left.fee_vat, left.payable, left.refunded) == (0, 0, 0, 1490)


def test_a_debt_is_taken_from_what_is_payable_for_other_trades(desk: Desk) -> None:
    first, second = desk.trade(), desk.trade()
    desk.ship_all(first)
    desk.pay()
    desk.ship_all(second)
    assert desk.refund(first, 300) == ledger.Refunded(from_payable=300)
    assert (desk.money(first).receivable, desk.money(second).payable) == (0, 700)


def test_a_debt_is_netted_against_the_next_release(desk: Desk) -> None:
    first, second = desk.trade(), desk.trade(((1, 990),))
    desk.ship_all(first)
    desk.pay()
    desk.refund(first, 500)
    desk.ship_all(second)
    assert (desk.money(first).receivable, desk.money(second).payable) == (0, 490)
    assert desk.pay().amount == 490  # type: ignore[union-attr]
    assert ledger.breaches(desk.session) == []


def test_debts_stay_with_their_supplier_and_currency(desk: Desk) -> None:
    chai = desk.account("Chai GmbH", supplier=True)
    mine, theirs, lei = desk.trade(), desk.trade(supplier=chai), desk.trade(currency="RON")
    desk.ship_all(mine)
    desk.pay()
    desk.refund(mine, 500)
    desk.ship_all(theirs)
    desk.ship_all(lei)
    assert desk.money(mine).receivable == 500
    assert (desk.money(theirs).payable, desk.money(lei).payable) == (1000, 1000)


@pytest.mark.parametrize(
    ("amount", "code"),
    [(1001, "ledger.refund_exceeds"), (0, "ledger.refund_empty"), (-5, "ledger.refund_empty")],
)
def test_what_cannot_be_refunded_is_refused_whole(desk: Desk, amount: int, code: str) -> None:
    trade = desk.trade()
    done = desk.refund(trade, amount)
    assert done.refused is not None
    assert (done.refused.code, done.amount, desk.money(trade).refunded) == (code, 0, 0)


def test_a_refused_refund_may_succeed_later(desk: Desk) -> None:
    trade = desk.trade(captured=False)
    assert desk.refund(trade, 300, "rf_1").refused is not None
    desk.capture(trade)
    assert desk.refund(trade, 300, "rf_1").amount == 300


def test_a_refund_object_counts_once(desk: Desk) -> None:
    trade, other = desk.trade(), desk.trade()
    first = desk.refund(trade, 300, "rf_1")
    assert desk.refund(trade, 300, "rf_1") == first
    assert desk.refund(trade, 999, "rf_1") == first
    assert desk.refund(other, 100, "rf_1").amount == 100, "each shop counts its own refunds"
    assert (desk.money(trade).refunded, desk.money(other).refunded) == (300, 100)


def test_a_refund_in_parts_until_nothing_is_left(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), shipping=490)
    assert [desk.refund(trade, part).amount for part in (300, 450, 740)] == [300, 450, 740]
    assert desk.refund(trade, 1).refused is not None


def test_each_refund_is_one_instruction_with_its_command(desk: Desk) -> None:
    trade = desk.trade()
    desk.refund(trade, 300, "rf_1")
    payment = desk.session.scalars(select(Payment).where(Payment.kind == "refund")).one()
    capture = desk.session.scalars(select(Payment).where(Payment.kind == "capture")).one()
    command = desk.session.scalars(select(Command).where(Command.subject == f"payment/{payment.id}")).one()
    assert payment.key == f"refund:{trade.key}:rf_1"
    assert (payment.of_id, payment.amount, payment.currency) == (capture.id, 300, "EUR")
    assert (command.kind, command.key, command.payload) == ("pay", payment.key, {"payment": payment.id})
    assert command.connection_id == payment.connection_id


# --- CANCELLED ----------------------------------------------------------------------------------------------------------------


def test_cancelled_gives_everything_back_once(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), shipping=490)
    desk.refund(trade, 300)
    assert desk.cancel(trade) == ledger.Refunded(from_escrow=1190)
    assert desk.cancel(trade) == ledger.Refunded(from_escrow=1190), "a repeat answers the first result"
    assert desk.cancel(trade, "again").amount == 0
    assert (trade.state, desk.money(trade).refunded) == ("cancelled", 1490)
    assert trade.cancelled_at is not None


def test_cancelled_before_the_instruction_was_sent_withdraws_it(desk: Desk) -> None:
    trade = desk.trade(captured=False)
    payment = ledger.charge(desk.session, trade)
    assert desk.cancel(trade).amount == 0
    assert payment.state == "withdrawn"
    assert ledger.breaches(desk.session) == []


@pytest.mark.parametrize("sent", [True, False])
def test_money_that_comes_after_the_cancellation_goes_back_at_once(desk: Desk, sent: bool) -> None:
    trade = desk.trade(captured=False)
    payment = ledger.charge(desk.session, trade)
    payment.state = "unknown" if sent else "due"
    desk.cancel(trade)
    assert payment.state == ("unknown" if sent else "withdrawn")
    desk.settle(payment)
    left = desk.money(trade)
    assert (left.captured, left.refunded, left.escrow, trade.state) == (1000, 1000, 0, "cancelled")
    assert ledger.breaches(desk.session) == []


def test_a_cancelled_trade_is_not_charged(desk: Desk) -> None:
    trade = desk.trade(captured=False)
    desk.cancel(trade)
    with pytest.raises(Exception, match=r"ledger\.trade_over"):
        ledger.charge(desk.session, trade)


def test_a_rejected_trade_stays_rejected(desk: Desk) -> None:
    trade = desk.trade()
    trade.state = "rejected"
    assert desk.cancel(trade, "rejected").amount == 1000
    assert trade.state == "rejected"


# --- the lines of the credit note ----------------------------------------------------------------------------------------------


def shares(desk: Desk) -> list[tuple[int | None, int, int, int, str | None]]:
    rows = desk.session.scalars(select(RefundShare).order_by(RefundShare.id))
    return [(row.line_id, row.quantity, row.amount, row.vat, row.vat_percent) for row in rows]


def test_a_refund_says_which_line_and_which_vat(desk: Desk) -> None:
    trade = desk.trade(((2, 500), (1, 1070)), shipping=490, vat=("19", "7"))
    tea, cup = (line.id for line in trade.lines)
    desk.refund(trade, 1570, lines=[RefundLine(tea, 1, 500), RefundLine(cup, 1, 1070)])
    assert shares(desk) == [(tea, 1, 500, 80, "19"), (cup, 1, 1070, 70, "7")]


def test_an_amount_without_lines_falls_on_all_of_them(desk: Desk) -> None:
    trade = desk.trade(((1, 600), (1, 300)), shipping=100, vat=("19", "19"))
    tea, cup = (line.id for line in trade.lines)
    desk.refund(trade, 100)
    assert [row[:3] for row in shares(desk)] == [(tea, 0, 60), (cup, 0, 30), (None, 0, 10)]


def test_a_line_never_gets_more_than_it_cost(desk: Desk) -> None:
    trade = desk.trade(((1, 600), (1, 300)))
    tea, cup = (line.id for line in trade.lines)
    desk.refund(trade, 700, lines=[RefundLine(tea, 1, 700)])
    assert [row[:3] for row in shares(desk)] == [(tea, 1, 600), (cup, 0, 100)]
    assert ledger.breaches(desk.session) == []


def test_vat_of_partial_refunds_adds_up_to_the_vat_of_the_line(desk: Desk) -> None:
    trade = desk.trade(((1, 999),), shipping=101, vat=("19",), fee_bp=500)
    for _ in range(11):
        desk.refund(trade, 100)
    rows = shares(desk)
    assert sum(row[2] for row in rows) == 1100
    assert sum(row[3] for row in rows if row[0]) == 160  # 999 * 19 / 119 = 159.50, half up
    assert sum(row[3] for row in rows if row[0] is None) == 16
    assert ledger.breaches(desk.session) == []


def test_a_failed_refund_stays_owed_and_can_be_instructed_again(desk: Desk) -> None:
    trade = desk.trade()
    desk.refund(trade, 300, "rf_1")
    failed = desk.session.scalars(select(Payment).where(Payment.kind == "refund")).one()
    desk.settle(failed, m.PaymentState.FAILED)
    assert (desk.money(trade).refunded, desk.money(trade).refund_in_transit) == (300, 300)
    assert ledger.breaches(desk.session) == []
    second = ledger.again(desk.session, failed, by=BY)
    assert ledger.again(desk.session, failed, by=BY) is second
    assert (second.amount, second.state, second.of_id) == (300, "due", failed.of_id)
    desk.settle(second)
    assert desk.money(trade).refund_in_transit == 0
    assert ledger.breaches(desk.session) == []
    with pytest.raises(Exception, match=r"ledger\.not_failed"):
        ledger.again(desk.session, second, by=BY)
