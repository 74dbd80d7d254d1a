"""Payments through the real queue, the real ledger and a simulated provider over HTTP: unknown outcomes never pay twice.

Anna's Teeladen supplies, Bücher Boldt retails. What the provider really moved is read from its own books.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from app import accounts, jobs, ledger
from app import messages as m
from app.errors import Refused
from app.extensions import db
from app.flows import pay
from app.models import Case, Command, Connection, Event, LedgerEntry, Payment, Profile, Trade
from app.payments.simulated import translate
from app.sandbox import payments as provider
from tests.marketplaces.kaufland.conftest import running

sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))

from desk import BY, Desk

SETTINGS = {"api_key": provider.API_KEY, "webhook_secrets": [provider.WEBHOOK_SECRET]}


class Bank:
    """The provider, the connection to it, and the desk of the two merchants."""

    def __init__(self, bridge: Flask, app: Flask, url: str, session: Session) -> None:
        self.bridge, self.app, self.url, self.session = bridge, app, url, session
        self.desk = Desk(session)
        made = accounts.connect_payment(session, "simulated", SETTINGS, base_url=url, allow_loopback=True)
        session.commit()
        self.connection_id = made.id
        self.key = made.key

    @property
    def books(self) -> provider.Books:
        found: provider.Books = self.app.extensions["payments"]
        return found

    @property
    def faults(self) -> Any:
        return self.app.extensions["faults"]

    def trade(self, **how: Any) -> Trade:
        """A trade of 10.00 whose capture is instructed, not delivered."""
        trade = self.desk.trade(captured=False, **how)
        ledger.charge(self.session, trade)
        self.session.commit()
        return trade

    def captured(self, **how: Any) -> Trade:
        """A trade whose money is there."""
        trade = self.trade(**how)
        self.work()
        assert self.desk.money(trade).captured == trade.total
        return trade

    def work(self, rounds: int = 1) -> None:
        """The workers of the out lane, everything due now."""
        for _ in range(rounds):
            self.hurry()
            jobs.drain_outbox(self.connection_id)
            self.session.rollback()
            db.session.expire_all()

    def hurry(self) -> None:
        """Nobody waits for the retry plan, no lease is kept, no partner rests."""
        self.session.execute(text("UPDATE command SET next_attempt_at = now() - interval '1 second'"))
        self.session.execute(
            text("UPDATE command SET lease_until = now() - interval '1 second' WHERE state = 'leased'")
        )
        self.session.execute(text("UPDATE connection SET paused_until = NULL"))
        self.session.commit()
        with redis.Redis.from_url(self.bridge.config["REDIS_URL"]) as store:
            store.flushdb()

    def payment(self, kind: str = "capture") -> Payment:
        return self.session.scalars(
            select(Payment).where(Payment.kind == kind).order_by(Payment.id.desc())
        ).first()  # type: ignore[return-value]

    def command(self, kind: str = "pay") -> Command:
        return self.session.scalars(
            select(Command).where(Command.kind == kind).order_by(Command.id.desc())
        ).first()  # type: ignore[return-value]

    def cases(self) -> list[str]:
        return list(self.session.scalars(select(Case.code).where(Case.state == "open").order_by(Case.id)))

    def booked(self) -> int:
        """The sum of all entries, which is always 0."""
        return sum(self.session.scalars(select(LedgerEntry.amount)))


@pytest.fixture
def bank(app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    monkeypatch.setitem(
        app.config, "SHOPBRIDGE_RETRY_SCALE", 1.0
    )  # nothing comes back before the test says so
    made = provider.create_app(deliver=False)
    with running(made) as url:
        yield Bank(app, made, url, session)
        made.extensions["faults"].clear()


# --- the plain way ---------------------------------------------------------------------------------------------------


def test_a_capture_travels_from_the_trade_to_the_provider_and_back_into_the_ledger(bank: Bank) -> None:
    trade = bank.trade()
    bank.work()
    assert bank.books.moved()["capture"] == 1000
    assert (trade.state, bank.desk.money(trade).escrow) == ("held", 1000)
    assert (bank.payment().state, bank.command().state) == ("done", "done")


def test_refund_payout_and_reversal_go_the_same_way(bank: Bank) -> None:
    bank.session.execute(update(Profile).values(payout_account="acct_anna", payer_account="cus_boldt"))
    trade, other = bank.captured(), bank.captured()
    bank.desk.ship_all(trade)
    bank.desk.refund(other, 400)
    ledger.payout(bank.session, bank.desk.anna.id, "EUR", datetime.now(UTC), BY, reserve_bp=0)
    bank.session.commit()
    bank.work()
    bank.desk.refund(trade, 300)
    ledger.recover(bank.session, bank.desk.anna.id, "EUR", datetime.now(UTC), BY)
    bank.session.commit()
    bank.work(2)
    assert bank.books.moved() == {"capture": 2000, "refund": 700, "payout": 1000, "reverse": 300}
    assert bank.books.balance() == 2000 - 700 - 1000 + 300
    assert {row.state for row in bank.session.scalars(select(Payment))} == {"done"}
    assert bank.booked() == 0
    paid = bank.books.payments[bank.payment("payout").key]
    assert paid.account == "acct_anna"
    assert bank.books.payments[f"capture:{trade.key}"].account == "cus_boldt"


def test_a_declined_capture_ends_the_trade_and_moves_nothing(bank: Bank) -> None:
    bank.books.conduct.refusing = ["capture"]
    trade = bank.trade()
    bank.work()
    assert (trade.state, bank.payment().state) == ("payment_failed", "failed")
    assert bank.payment().reason_code == "payment.declined"
    assert bank.books.moved()["capture"] == 0


def test_a_refund_waits_until_its_capture_is_known_at_the_provider(bank: Bank) -> None:
    bank.books.conduct.late = ["capture"]
    trade = bank.trade()
    bank.work()
    bank.books.settle()
    pay.ask(bank.session, bank.payment(), "test")
    bank.session.commit()
    bank.work()
    bank.session.execute(text("UPDATE payment SET external_id = NULL"))
    bank.session.commit()
    bank.desk.refund(trade, 400)
    bank.work()
    assert (bank.command().state, bank.command().reason_code) == ("due", "payment.of_missing")
    assert bank.books.moved()["refund"] == 0
    bank.session.execute(text("UPDATE payment SET external_id = 'sim_capture_1' WHERE kind = 'capture'"))
    bank.session.commit()
    bank.work()
    assert bank.books.moved()["refund"] == 400


# --- unknown outcomes ----------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The worker's process is gone: nothing after this line runs."""


def dies_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise Killed

    monkeypatch.setattr(name, gone)


LOST = {
    "timeout with effect": {"kind": "timeout", "seconds": 0.01},
    "cut with effect": {"kind": "reset", "effect": True},
    "500 with effect": {"kind": "status", "status": 500, "effect": True},
    "502 without effect": {"kind": "status", "status": 502},
    "cut without effect": {"kind": "reset"},
    "garbage with effect": {"kind": "garbage", "effect": True},
}


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("kind", ["capture", "refund", "payout", "reverse"])
def test_an_answer_that_got_lost_never_moves_money_twice(bank: Bank, kind: str, fault: str) -> None:
    """The provider is asked by our key before anything is repeated; what it moved is exactly what was instructed."""
    trade = bank.trade() if kind == "capture" else bank.captured()
    if kind in {"payout", "reverse"}:
        bank.desk.ship_all(trade)
    if kind == "reverse":
        ledger.payout(bank.session, bank.desk.anna.id, "EUR", datetime.now(UTC), BY, reserve_bp=0)
        bank.session.commit()
        bank.work()
        bank.desk.refund(trade, 300)
        bank.work()
        ledger.recover(bank.session, bank.desk.anna.id, "EUR", datetime.now(UTC), BY)
    if kind == "payout":
        ledger.payout(bank.session, bank.desk.anna.id, "EUR", datetime.now(UTC), BY, reserve_bp=0)
    if kind == "refund":
        bank.desk.refund(trade, 300)
    bank.session.commit()
    amount = {"capture": 1000, "refund": 300, "payout": 1000, "reverse": 300}[kind]
    bank.faults.add({**LOST[fault], "method": "POST", "path": f"/v1/{kind}s"})
    bank.work()
    assert (bank.payment(kind).state, bank.command().in_doubt) == ("unknown", True)
    bank.work()
    assert (bank.payment(kind).state, bank.command().state) == ("done", "done")
    assert bank.books.moved()[kind] == amount
    posts = bank.faults.count("POST", f"/v1/{kind}s")
    assert posts == (1 if "with effect" in fault else 2)
    assert bank.booked() == 0


def test_a_worker_that_dies_between_the_call_and_the_commit_does_not_pay_twice(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.trade()
    with monkeypatch.context() as patch:
        dies_at(patch, "app.outbox.finish")
        with pytest.raises(Killed):
            bank.work()
    bank.session.rollback()
    assert (bank.payment().state, bank.command().state) == ("unknown", "leased")
    assert bank.books.moved()["capture"] == 1000
    bank.work()
    assert (bank.payment().state, bank.command().state) == ("done", "done")
    assert bank.faults.count("POST", "/v1/captures") == 1
    assert bank.books.moved()["capture"] == 1000
    assert bank.desk.money(bank.session.scalars(select(Trade)).one()).captured == 1000


def test_a_worker_that_dies_before_the_call_pays_once(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    bank.trade()
    with monkeypatch.context() as patch:
        dies_at(patch, "app.payments.simulated.client.SimulatedClient.capture")
        with pytest.raises(Killed):
            bank.work()
    bank.session.rollback()
    assert bank.payment().state == "unknown"
    bank.work()
    assert (bank.payment().state, bank.books.moved()["capture"]) == ("done", 1000)


def test_a_provider_that_forgets_our_key_is_still_not_paid_twice(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idempotency keys end after a day at Stripe. The question comes first, so nothing hangs on them."""
    bank.trade()
    bank.faults.add({"kind": "reset", "effect": True, "path": "/v1/captures"})
    bank.work()
    real = provider.Books.book

    def forgetful(books: provider.Books, kind: str, key: str, asked: Any) -> Any:
        number = len(books.payments) + 1
        return real(books, kind, f"{key}#{number}", asked)

    monkeypatch.setattr(provider.Books, "book", forgetful)
    bank.work(3)
    assert (bank.payment().state, bank.books.moved()["capture"]) == ("done", 1000)


def test_while_the_provider_cannot_be_asked_nothing_is_repeated(bank: Bank) -> None:
    bank.trade()
    bank.faults.add({"kind": "timeout", "seconds": 0.01, "path": "/v1/captures"})
    bank.faults.add({"kind": "status", "status": 500, "method": "GET", "path": "/v1/payments/", "count": 3})
    bank.work(4)
    assert bank.faults.count("POST", "/v1/captures") == 1
    assert bank.payment().state == "unknown"
    bank.work()
    assert (bank.payment().state, bank.books.moved()["capture"]) == ("done", 1000)


def test_a_call_that_provably_had_no_effect_can_still_be_withdrawn(bank: Bank) -> None:
    """429: the provider did nothing. The retailer cancels meanwhile, and nothing is ever taken."""
    trade = bank.trade()
    bank.faults.add({"kind": "status", "status": 429, "retry_after": 1, "path": "/v1/captures"})
    bank.work()
    assert bank.payment().state == "due"
    bank.desk.cancel(trade)
    assert bank.payment().state == "withdrawn"
    bank.work()
    assert bank.books.payments == {}
    assert bank.command().state == "done"


def test_a_cancellation_while_the_outcome_is_unknown_gives_everything_back(bank: Bank) -> None:
    trade = bank.trade()
    bank.faults.add({"kind": "timeout", "seconds": 0.01, "path": "/v1/captures"})
    bank.work()
    bank.desk.cancel(trade)
    assert bank.payment().state == "unknown"
    bank.work(3)
    assert bank.books.moved() == {"capture": 1000, "refund": 1000, "payout": 0, "reverse": 0}
    money = bank.desk.money(trade)
    assert (money.captured, money.refunded, money.escrow) == (1000, 1000, 0)


def test_a_cancellation_between_the_claim_and_the_call_is_seen(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade_id = bank.trade().id
    real = pay._mark_sent

    def late(session: Session, payment_id: int) -> bool:
        ledger.cancel(session, session.get_one(Trade, trade_id), key="cancelled", by=BY)
        session.commit()
        return real(session, payment_id)

    monkeypatch.setattr(pay, "_mark_sent", late)
    bank.work()
    assert bank.books.payments == {}
    assert (bank.payment().state, bank.command().result) == ("withdrawn", {"state": "withdrawn"})


def test_a_refusal_waits_for_a_person_and_is_open_again_after_a_replay(bank: Bank) -> None:
    bank.trade()
    bank.faults.add({"kind": "status", "status": 403, "path": "/v1/captures"})
    bank.work()
    assert (bank.command().state, bank.payment().state, bank.cases()) == (
        "refused",
        "due",
        ["payment.refused"],
    )
    from app import outbox

    outbox.replay(bank.session, Command.kind == "pay")
    bank.work()
    assert (bank.payment().state, bank.cases()) == ("done", [])


def test_another_amount_than_instructed_is_never_booked(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    trade = bank.trade()
    real = translate.answer

    def more(data: Any) -> m.PaymentAnswer:
        return real({**data, "amount": data["amount"] + 1})

    monkeypatch.setattr(translate, "answer", more)
    bank.work()
    assert bank.desk.money(trade).captured == 0
    assert (bank.command().state, bank.command().in_doubt) == ("refused", True)
    assert bank.cases() == ["payment.amount_differs"]


@pytest.mark.parametrize("seed", range(6))
def test_a_storm_of_faults_moves_exactly_what_was_instructed(bank: Bank, seed: int) -> None:
    """Twenty captures, a refund for each second one, every third call misbehaves in some way."""
    bank.faults.reseed(seed)
    for fault in LOST.values():
        bank.faults.add({**fault, "method": "POST", "path": "/v1/", "probability": 0.12, "count": -1})
    bank.faults.add({"kind": "status", "status": 500, "method": "GET", "probability": 0.2, "count": -1})
    trades = [bank.trade(lines=((1, 500 + place),)) for place in range(20)]
    for _ in range(60):
        bank.work()
        if not bank.session.scalar(select(Payment.id).where(Payment.state.in_(pay.OPEN)).limit(1)):
            break
    refunded = 0
    for trade in trades[::2]:
        bank.desk.refund(trade, 100)
        refunded += 100
    for _ in range(60):
        bank.work()
        if not bank.session.scalar(select(Payment.id).where(Payment.state.in_(pay.OPEN)).limit(1)):
            break
    assert {row.state for row in bank.session.scalars(select(Payment))} == {"done"}
    moved = bank.books.moved()
    assert (moved["capture"], moved["refund"]) == (sum(trade.total for trade in trades), refunded)
    assert sum(bank.desk.money(trade).captured for trade in trades) == moved["capture"]
    assert bank.booked() == 0


# --- pending ---------------------------------------------------------------------------------------------------------------


def test_what_is_pending_stays_open_and_is_asked_about_later(bank: Bank) -> None:
    bank.books.conduct.late = ["capture"]
    trade = bank.trade()
    bank.work()
    assert (bank.payment().state, bank.command().state, trade.state) == ("unknown", "done", "payment_pending")
    assert bank.payment().external_id == "sim_capture_1"
    bank.books.settle()
    now = datetime.now(UTC)
    assert pay.ask_open(bank.session, now) == 0
    assert pay.ask_open(bank.session, now + timedelta(minutes=6)) == 1
    bank.work()
    assert (bank.payment().state, trade.state) == ("done", "held")
    assert pay.ask_open(bank.session, now + timedelta(days=3)) == 0


def test_a_pending_payment_is_asked_about_rarer_and_rarer(bank: Bank) -> None:
    bank.books.conduct.late = ["capture"]
    bank.trade()
    bank.work()
    begun = bank.payment().created_at
    asked = []
    for minutes in range(0, 4 * 24 * 60, 5):
        if pay.ask_open(bank.session, begun + timedelta(minutes=minutes, seconds=1)):
            asked.append(minutes)
            bank.work()
    assert asked == [5, 15, 60, 240, 24 * 60, 48 * 60, 72 * 60]


def test_a_payout_that_fails_afterwards_is_payable_again_and_paid_the_next_day(bank: Bank) -> None:
    trade = bank.captured()
    bank.desk.ship_all(trade)
    bank.books.conduct.failing = ["payout"]
    pay.run_payouts(bank.session, datetime.now(UTC), BY)
    bank.work()
    assert bank.desk.money(trade).payout_in_transit == 1000
    bank.books.settle()
    pay.ask(bank.session, bank.payment("payout"), "test")
    bank.session.commit()
    bank.work()
    assert (bank.payment("payout").state, bank.desk.money(trade).payable) == ("failed", 1000)
    bank.books.conduct.failing = []
    pay.run_payouts(bank.session, datetime.now(UTC) + timedelta(days=1), BY)
    bank.work()
    assert (bank.books.moved()["payout"], bank.desk.money(trade).paid_out) == (1000, 1000)


# --- payouts of the day ------------------------------------------------------------------------------------------------------


def test_the_payouts_of_a_day_are_made_once(bank: Bank) -> None:
    trade = bank.captured()
    bank.desk.ship_all(trade)
    night = datetime(2026, 11, 23, 2, 59, tzinfo=UTC)
    pay.write_daily(bank.session, night)
    assert bank.command("pay.payouts") is None
    for minutes in (1, 2, 600):
        pay.write_daily(bank.session, night + timedelta(minutes=minutes))
        bank.work(2)
    assert bank.session.query(Command).filter_by(kind="pay.payouts").count() == 1
    assert bank.command("pay.payouts").result == {"payouts": 1, "amount_minor": 1000}
    assert bank.books.moved()["payout"] == 1000


def test_nobody_is_paid_before_there_is_anything(bank: Bank) -> None:
    pay.write_daily(bank.session, datetime(2026, 11, 23, 12, tzinfo=UTC))
    assert bank.command("pay.payouts") is None


def test_one_suppliers_trouble_does_not_keep_the_others_from_their_money(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = bank.desk.account("Chai GmbH", supplier=True)
    for supplier in (bank.desk.anna, other):
        bank.desk.ship_all(bank.captured(supplier=supplier))
    real: Callable[..., Any] = ledger.payout
    anna = bank.desk.anna.id

    def stumbles(session: Session, supplier_id: int, *rest: Any, **more: Any) -> Any:
        if supplier_id == anna:
            raise RuntimeError("a defect")
        return real(session, supplier_id, *rest, **more)

    monkeypatch.setattr(ledger, "payout", stumbles)
    assert len(pay.run_payouts(bank.session, datetime.now(UTC), BY)) == 1
    bank.work()
    assert bank.books.moved()["payout"] == 1000
    assert bank.cases() == ["job.crashed"]


# --- what the provider tells ---------------------------------------------------------------------------------------------------


def tell(bank: Bank, **data: Any) -> None:
    """A stored message, as app.web.payments stores it."""
    told = {"kind": "payment", "key": None, "external_id": None, "delivery_id": "evt_1", "subject_id": None}
    pay.told(bank.session, bank.session.get_one(Connection, bank.connection_id), 4711, {**told, **data})
    bank.session.commit()


def test_a_message_makes_the_bridge_ask_and_moves_nothing_by_itself(bank: Bank) -> None:
    bank.books.conduct.late = ["capture"]
    trade = bank.trade()
    bank.work()
    tell(bank, key=f"capture:{trade.key}")
    bank.work()
    assert bank.payment().state == "unknown"  # it said so too early: the provider's books decide
    bank.books.settle()
    tell(bank, external_id="sim_capture_1", delivery_id="evt_2")
    bank.work()
    assert (bank.payment().state, trade.state) == ("done", "held")


def test_the_same_message_ten_times_asks_once(bank: Bank) -> None:
    trade = bank.captured()
    for _ in range(10):
        tell(bank, key=f"capture:{trade.key}")
    assert bank.session.query(Command).filter_by(kind="pay.ask").count() == 1
    bank.work()
    assert bank.desk.money(trade).captured == 1000


def test_a_message_about_somebody_elses_payment_means_nothing(bank: Bank) -> None:
    other = Connection(
        account_id=bank.desk.boldt.id,
        key="cn_other",
        provider="simulated",
        role="payment",
        name="other",
        state="active",
    )
    bank.session.add(other)
    trade = bank.captured()
    told = {"kind": "payment", "key": f"capture:{trade.key}", "external_id": None, "delivery_id": "evt_1"}
    pay.told(bank.session, other, 1, told)
    tell(bank, key="capture:nobody", external_id="sim_capture_99")
    bank.session.commit()
    assert bank.command("pay.ask") is None


def test_a_dispute_freezes_the_money_until_it_is_won(bank: Bank) -> None:
    trade = bank.captured()
    dispute = {"external_id": "sim_capture_1", "subject_id": "du_1", "amount": 1000, "currency": "EUR"}
    tell(bank, kind="dispute", **dispute)
    tell(bank, kind="dispute", **dispute)
    assert (trade.frozen, bank.desk.money(trade).disputed) == (True, 1000)
    bank.desk.ship_all(trade)
    assert pay.run_payouts(bank.session, datetime.now(UTC), BY) == []
    tell(bank, kind="dispute_won", **dispute)
    assert (trade.frozen, bank.desk.money(trade).disputed) == (False, 0)
    assert len(pay.run_payouts(bank.session, datetime.now(UTC), BY)) == 1


def test_a_lost_dispute_that_is_told_before_its_beginning_counts_once(bank: Bank) -> None:
    trade = bank.captured()
    dispute = {"external_id": "sim_capture_1", "subject_id": "du_1", "amount": 400, "currency": "EUR"}
    tell(bank, kind="dispute_lost", **dispute)
    tell(bank, kind="dispute", **dispute)
    tell(bank, kind="dispute_lost", **dispute)
    money = bank.desk.money(trade)
    assert (money.charged_back, money.disputed, money.escrow) == (400, 0, 600)
    assert not trade.frozen
    assert bank.booked() == 0


def test_a_dispute_of_more_than_is_there_freezes_and_is_shown(bank: Bank) -> None:
    trade = bank.captured()
    bank.desk.refund(trade, 700)
    tell(bank, kind="dispute", external_id="sim_capture_1", subject_id="du_1", amount=1000, currency="EUR")
    assert trade.frozen
    assert bank.cases() == ["ledger.dispute_exceeds"]


def test_a_dispute_of_a_payment_we_do_not_know_is_shown(bank: Bank) -> None:
    tell(bank, kind="dispute", external_id="sim_capture_99", subject_id="du_9", amount=5, currency="EUR")
    assert bank.cases() == ["payment.dispute_unknown"]


# --- by hand --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def by_hand(app: Flask, session: Session) -> Desk:
    """Nobody has configured anything: payments by hand."""
    return Desk(session)


def manual_work(session: Session) -> None:
    connection = ledger.payment_connection(session)
    session.commit()
    jobs.drain_outbox(connection.id)
    db.session.expire_all()


def test_by_hand_everything_waits_until_it_is_ticked_off(by_hand: Desk, session: Session) -> None:
    trade = by_hand.trade(captured=False)
    payment = ledger.charge(session, trade)
    session.commit()
    manual_work(session)
    assert (payment.state, trade.state) == ("unknown", "payment_pending")
    assert pay.ask_open(session, datetime.now(UTC) + timedelta(days=5)) == 0
    pay.tick_off(session, payment, happened=True, now=datetime.now(UTC))
    session.commit()
    assert (payment.state, trade.state, by_hand.money(trade).escrow) == ("done", "held", 1000)


def test_what_is_ticked_off_before_the_queue_came_to_it_is_not_opened_again(
    by_hand: Desk, session: Session
) -> None:
    trade = by_hand.trade(captured=False)
    payment = ledger.charge(session, trade)
    pay.tick_off(session, payment, happened=True, now=datetime.now(UTC))
    session.commit()
    manual_work(session)
    assert (payment.state, trade.state) == ("done", "held")


def test_ticked_off_twice_counts_once(by_hand: Desk, session: Session) -> None:
    trade = by_hand.trade(captured=False)
    payment = ledger.charge(session, trade)
    for _ in range(3):
        pay.tick_off(session, payment, happened=True, now=datetime.now(UTC))
        session.commit()
    assert by_hand.money(trade).captured == 1000


def test_what_a_provider_confirms_is_not_ticked_off_by_hand(bank: Bank) -> None:
    bank.trade()
    with pytest.raises(Refused) as refused:
        pay.tick_off(bank.session, bank.payment(), happened=True, now=datetime.now(UTC))
    assert refused.value.code == "payment.not_by_hand"
    assert bank.payment().state == "due"


def test_a_provider_that_is_connected_takes_over_from_payments_by_hand(
    by_hand: Desk, session: Session
) -> None:
    first = ledger.charge(session, by_hand.trade(captured=False))
    made = accounts.connect_payment(session, "simulated", SETTINGS)
    second = ledger.charge(session, by_hand.trade(captured=False))
    session.commit()
    assert first.connection_id != made.id
    assert second.connection_id == made.id
    pay.tick_off(session, first, happened=True, now=datetime.now(UTC))
    assert first.state == "done"
    assert session.query(Event).count() == 0
