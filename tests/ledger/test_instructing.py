"""The provider's word: once, twice, late, contradicting itself, or about another amount."""

from dataclasses import replace

import pytest
from desk import Desk
from sqlalchemy import func, select

from app import ledger
from app import messages as m
from app.errors import Invalid
from app.models import Account, Case, Command, Connection, LedgerEntry, LedgerTransaction, Payment

DONE, FAILED, PENDING = m.PaymentState.DONE, m.PaymentState.FAILED, m.PaymentState.PENDING


def entries(desk: Desk) -> int:
    return desk.session.scalar(select(func.count()).select_from(LedgerEntry)) or 0


def test_a_capture_is_instructed_once(desk: Desk) -> None:
    trade = desk.trade(captured=False)
    payment = ledger.charge(desk.session, trade)
    assert ledger.charge(desk.session, trade) is payment
    assert (payment.key, payment.kind, payment.amount, payment.state) == (
        f"capture:{trade.key}",
        "capture",
        1000,
        "due",
    )
    assert trade.state == "payment_pending"
    assert desk.session.scalars(select(Command)).one().payload == {"payment": payment.id}
    assert entries(desk) == 0


def test_captured_money_is_held(desk: Desk) -> None:
    trade = desk.trade()
    assert (trade.state, desk.money(trade).escrow, desk.balance("psp_clearing", trade)) == (
        "held",
        1000,
        1000,
    )


def test_the_same_word_again_changes_nothing(desk: Desk) -> None:
    trade = desk.trade(captured=False)
    payment = desk.capture(trade)
    before = entries(desk)
    desk.settle(payment)
    desk.settle(payment, PENDING)
    assert (entries(desk), payment.state) == (before, "done")


def test_pending_is_unknown_until_the_last_word(desk: Desk) -> None:
    trade = desk.trade(captured=False)
    payment = desk.capture(trade, PENDING)
    assert (payment.state, payment.external_id, trade.state) == (
        "unknown",
        f"ext_{payment.id}",
        "payment_pending",
    )
    desk.settle(payment)
    assert (payment.state, trade.state) == ("done", "held")


def test_a_failed_capture_leaves_the_books_empty(desk: Desk) -> None:
    trade = desk.trade(captured=False)
    payment = desk.capture(trade, FAILED)
    assert (payment.state, trade.state, entries(desk)) == ("failed", "payment_failed", 0)
    assert desk.refund(trade, 1).refused is not None


@pytest.mark.parametrize(("first", "second"), [(DONE, FAILED), (FAILED, DONE)])
def test_a_word_that_contradicts_is_a_case_and_not_booked(
    desk: Desk, first: m.PaymentState, second: m.PaymentState
) -> None:
    trade = desk.trade(captured=False)
    payment = desk.capture(trade, first)
    before = entries(desk)
    desk.settle(payment, second)
    assert (payment.state, entries(desk)) == (first.value, before)
    assert desk.session.scalars(select(Case.code)).all() == ["ledger.word_changed"]


@pytest.mark.parametrize("change", [{"amount": 999}, {"currency": "RON"}])
def test_another_amount_is_never_booked(desk: Desk, change: dict[str, object]) -> None:
    trade = desk.trade(captured=False)
    payment = ledger.charge(desk.session, trade)
    with pytest.raises(Invalid, match=r"ledger\.answer_differs"):
        ledger.settle(desk.session, payment, replace(desk.word(payment, DONE), **change))  # type: ignore[arg-type]
    desk.session.rollback()
    assert entries(desk) == 0


def test_a_trade_that_costs_nothing_needs_no_provider(desk: Desk) -> None:
    trade = desk.trade(((1, 0),), captured=False)
    payment = ledger.charge(desk.session, trade)
    assert (payment.state, trade.state) == ("done", "held")
    assert desk.session.scalar(select(Command)) is None
    assert desk.ship_all(trade) == ledger.Released(0)
    assert ledger.breaches(desk.session) == []


def test_without_a_provider_a_person_ticks_off(desk: Desk) -> None:
    made = ledger.payment_connection(desk.session)
    again = ledger.payment_connection(desk.session)
    assert (made.provider, made.role, made.state, made.id) == ("manual", "payment", "active", again.id)
    assert desk.session.get_one(Account, made.account_id).name == "operator"


def test_the_operators_own_provider_comes_first(desk: Desk) -> None:
    manual = ledger.payment_connection(desk.session)
    manual.state = "removed"
    own = Connection(
        account_id=manual.account_id,
        key="cn_stripe",
        provider="simulated",
        role="payment",
        name="simulated",
        state="active",
    )
    desk.session.add(own)
    desk.session.commit()
    assert ledger.payment_connection(desk.session).id == own.id


def test_a_payment_of_another_account_is_not_the_operators(desk: Desk) -> None:
    theirs = Connection(
        account_id=desk.boldt.id, key="cn_x", provider="manual", role="payment", name="mine", state="active"
    )
    desk.session.add(theirs)
    desk.session.commit()
    assert ledger.payment_connection(desk.session).id != theirs.id


def test_every_transaction_names_actor_event_and_reason(desk: Desk) -> None:
    trade = desk.trade()
    desk.ship_all(trade)
    desk.pay()
    desk.cancel(trade)
    desk.settle_all()
    for posted in desk.session.scalars(select(LedgerTransaction)):
        assert posted.actor, posted.key
        assert posted.event, posted.key
        assert posted.reason, posted.key
    captured = desk.session.scalars(
        select(LedgerTransaction).where(LedgerTransaction.kind == "capture")
    ).one()
    assert captured.event == f"payment capture:{trade.key}"


def test_totals_are_read_from_the_entries(desk: Desk) -> None:
    trade, other = desk.trade(fee_bp=500), desk.trade()
    desk.ship_all(trade)
    desk.pay()
    desk.refund(other, 100)
    mine = ledger.Totals(
        held_minor=900,
        released_minor=1000,
        refunded_minor=100,
        paid_out_minor=940,
        receivable_minor=0,
        payable_minor=0,
        fees_minor=50,
        ledger_sum=0,
    )
    assert ledger.totals(desk.session) == mine
    assert ledger.totals(desk.session, desk.anna.id) == mine
    assert ledger.totals(desk.session, desk.boldt.id) == mine
    assert ledger.totals(desk.session, currency="RON") == ledger.Totals()
    chai = desk.account("Chai GmbH", supplier=False)
    assert ledger.totals(desk.session, chai.id) == ledger.Totals()


def test_a_failed_instruction_keeps_its_reason(desk: Desk) -> None:
    trade = desk.trade(captured=False)
    payment = ledger.charge(desk.session, trade)
    why = m.Reason("payment.declined", {"why": "expired"})
    ledger.settle(desk.session, payment, replace(desk.word(payment, FAILED), reason=why))
    assert (payment.reason_code, payment.reason_params) == ("payment.declined", {"why": "expired"})
    assert desk.session.scalars(select(Payment.done_at)).one() is not None
