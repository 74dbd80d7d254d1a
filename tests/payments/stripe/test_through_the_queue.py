"""The whole way with localstripe: trade, ledger, queue, provider, signed message, door, question, ledger."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from world import serve

from app import accounts, jobs, ledger
from app.extensions import db
from app.models import Command, Connection, Event, LedgerEntry, Payment, Profile
from tests.payments.stripe.conftest import DECLINED_CARD, SECRET_KEY, WEBHOOK_SECRET, LocalStripe

sys.path.insert(0, str(Path(__file__).parents[2] / "ledger"))

from desk import Desk

BOUNCING = "DE62370400440532013001"  # Stripe's IBAN for a debit that fails


@pytest.fixture
def connection(app: Flask, session: Session, localstripe: LocalStripe) -> Connection:
    settings = {"secret_key": SECRET_KEY, "webhook_secrets": [WEBHOOK_SECRET]}
    made = accounts.connect_payment(
        session, "stripe", settings, base_url=localstripe.url, allow_loopback=True
    )
    session.commit()
    return made


@pytest.fixture
def desk(session: Session, connection: Connection) -> Desk:
    return Desk(session)


@pytest.fixture
def bridge_url(app: Flask) -> Iterator[str]:
    server, url = serve(app)
    yield url
    server.shutdown()
    server.server_close()


def pays(desk: Desk, customer: str) -> None:
    desk.session.get_one(Profile, desk.boldt.id).payer_account = customer
    desk.session.commit()


def work(session: Session, connection_id: int) -> None:
    session.execute(text("UPDATE command SET next_attempt_at = now() - interval '1 second'"))
    session.commit()
    jobs.drain_inbox(connection_id)
    jobs.drain_outbox(connection_id)
    db.session.expire_all()


def test_a_capture_and_its_refund_travel_the_whole_way(
    session: Session, connection: Connection, desk: Desk, localstripe: LocalStripe
) -> None:
    connection_id = connection.id
    pays(desk, localstripe.customer())
    trade = desk.trade(captured=False)
    ledger.charge(session, trade)
    session.commit()
    work(session, connection_id)
    assert (trade.state, desk.money(trade).escrow) == ("held", 1000)
    desk.refund(trade, 400)
    work(session, connection_id)
    assert {row.state for row in session.scalars(select(Payment))} == {"done"}
    booked = sorted(row["amount"] for row in localstripe.get("/v1/balance_transactions")["data"])
    assert booked == [-400, 1000]
    assert sum(session.scalars(select(LedgerEntry.amount))) == 0


def test_a_declined_card_ends_the_trade(
    session: Session, connection: Connection, desk: Desk, localstripe: LocalStripe
) -> None:
    connection_id = connection.id
    pays(desk, localstripe.customer(card=DECLINED_CARD))
    trade = desk.trade(captured=False)
    payment = ledger.charge(session, trade)
    session.commit()
    work(session, connection_id)
    assert (trade.state, payment.state, payment.reason_code) == (
        "payment_failed",
        "failed",
        "payment.declined",
    )


def test_a_retailer_whom_stripe_does_not_know_waits_for_the_operator(
    session: Session, connection: Connection, desk: Desk
) -> None:
    connection_id = connection.id
    payment = ledger.charge(session, desk.trade(captured=False))
    session.commit()
    work(session, connection_id)
    command = session.scalars(select(Command)).one()
    assert (command.state, command.reason_code, payment.state) == ("refused", "payment.payer_missing", "due")


def test_a_lost_answer_is_found_at_stripe_and_not_repeated(
    session: Session,
    connection: Connection,
    desk: Desk,
    localstripe: LocalStripe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Localstripe knows no idempotency keys: a second call would charge a second time."""
    connection_id = connection.id
    pays(desk, localstripe.customer())
    trade = desk.trade(captured=False)
    ledger.charge(session, trade)
    session.commit()
    with monkeypatch.context() as patch:

        def gone(*_: object, **__: object) -> None:
            raise SystemExit

        patch.setattr("app.outbox.finish", gone)
        with pytest.raises(SystemExit):
            work(session, connection_id)
    session.rollback()
    session.execute(text("UPDATE command SET lease_until = now() - interval '1 second'"))
    work(session, connection_id)
    assert (trade.state, desk.money(trade).captured) == ("held", 1000)
    assert [row["amount"] for row in localstripe.get("/v1/balance_transactions")["data"]] == [1000]


def test_a_debit_that_bounces_is_told_by_a_signed_message_and_asked_about(
    session: Session, connection: Connection, desk: Desk, localstripe: LocalStripe, bridge_url: str
) -> None:
    connection_id = connection.id
    localstripe.webhook(f"{bridge_url}/webhooks/payments/{connection.key}", "payment_intent.payment_failed")
    pays(desk, localstripe.customer(iban=BOUNCING))
    trade = desk.trade(captured=False)
    payment = ledger.charge(session, trade)
    session.commit()
    work(session, connection_id)
    assert (payment.state, trade.state) == ("unknown", "payment_pending")
    external_id = payment.external_id
    until = time.monotonic() + 40
    while time.monotonic() < until:
        session.rollback()
        if session.scalar(select(Event.id).where(Event.subject == f"payment/{external_id}")):
            break
        time.sleep(0.1)  # localstripe tells a second later
    work(session, connection_id)
    assert set(session.scalars(select(Command.kind))) == {"pay", "pay.ask"}
    assert (payment.state, trade.state) == ("failed", "payment_failed")
