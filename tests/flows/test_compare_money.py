"""The daily comparison finds every difference between the ledger and the provider, one case for each, and closes it when it is gone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app import accounts, jobs, ledger
from app import messages as m
from app.extensions import db
from app.flows import compare_money
from app.flows.compare_money import Ours, differences
from app.models import Case, Command, Connection, Payment
from app.sandbox import payments as provider
from tests.marketplaces.kaufland.conftest import running

sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))

from desk import BY, Desk

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
OURS = Ours(1, "capture:1", "capture", 1000, "EUR", "done", NOW - timedelta(days=2), True)
THEIRS = m.PaymentAnswer("capture:1", "capture", m.PaymentState.DONE, 1000, "EUR", "pi_1")


def found(ours: Ours | None, *theirs: m.PaymentAnswer) -> list[str]:
    rows = {} if ours is None else {ours.key: ours}
    return [each.code for each in differences(rows, {"capture:1": theirs} if theirs else {}, NOW)]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, None),
        ({"amount": 1001}, "payment.amount_differs"),
        ({"currency": "USD"}, "payment.amount_differs"),
        ({"kind": "payout"}, "payment.kind_differs"),
        ({"state": m.PaymentState.FAILED}, "payment.state_differs"),
        ({"state": m.PaymentState.PENDING}, "payment.state_differs"),
    ],
)
def test_what_differs_from_a_booked_payment_is_named(change: dict[str, Any], code: str | None) -> None:
    assert found(OURS, replace(THEIRS, **change)) == ([code] if code else [])


@pytest.mark.parametrize(
    ("state", "sent", "days", "code"),
    [
        ("done", True, 2, "payment.missing_at_provider"),
        ("unknown", True, 2, "payment.missing_at_provider"),
        ("unknown", True, 0, None),  # it may still come
        ("unknown", False, 2, None),  # nobody has answered yet
        ("due", False, 2, None),
        ("failed", True, 2, None),
        ("withdrawn", False, 2, None),
    ],
)
def test_what_only_we_know_is_missing_there_when_it_must_be_there(
    state: str, sent: bool, days: int, code: str | None
) -> None:
    row = replace(OURS, state=state, sent=sent, created_at=NOW - timedelta(days=days))
    assert found(row) == ([code] if code else [])


@pytest.mark.parametrize("state", ["failed", "withdrawn"])
def test_money_that_moved_although_we_gave_it_up_is_named(state: str) -> None:
    assert found(replace(OURS, state=state), THEIRS) == ["payment.state_differs"]


def test_what_only_they_know_is_missing_here_unless_it_failed() -> None:
    assert found(None, THEIRS) == ["payment.missing_in_ledger"]
    assert found(None, replace(THEIRS, state=m.PaymentState.PENDING)) == ["payment.missing_in_ledger"]
    assert found(None, replace(THEIRS, state=m.PaymentState.FAILED)) == []


def test_the_same_key_carried_out_twice_is_the_gravest_difference() -> None:
    assert found(OURS, THEIRS, replace(THEIRS, external_id="pi_2")) == ["payment.paid_twice"]
    assert found(None, THEIRS, replace(THEIRS, external_id="pi_2")) == ["payment.paid_twice"]


def test_a_try_that_failed_before_the_good_one_is_no_difference() -> None:
    assert found(OURS, replace(THEIRS, state=m.PaymentState.FAILED, external_id="pi_0"), THEIRS) == []


def test_news_that_did_not_reach_us_have_a_day() -> None:
    fresh = replace(OURS, state="unknown", created_at=NOW - timedelta(hours=1))
    assert found(fresh, THEIRS) == []
    assert found(replace(fresh, created_at=NOW - timedelta(days=2)), THEIRS) == ["payment.state_differs"]


# --- with the provider ---------------------------------------------------------------------------------------------------


class Day:
    """A few trades that were paid, and the provider's books."""

    def __init__(self, bridge: Flask, app: Flask, url: str, session: Session) -> None:
        self.bridge, self.session = bridge, session
        self.books: provider.Books = app.extensions["payments"]
        self.faults = app.extensions["faults"]
        self.desk = Desk(session)
        settings = {"api_key": provider.API_KEY}
        made = accounts.connect_payment(session, "simulated", settings, base_url=url, allow_loopback=True)
        session.commit()
        self.connection_id = made.id
        self.trades = [self.desk.trade(((1, 1000 + place),), captured=False) for place in range(4)]
        for trade in self.trades:
            ledger.charge(session, trade)
        session.commit()
        self.work()
        self.desk.refund(self.trades[0], 300)
        self.work()

    def work(self) -> None:
        self.session.execute(text("UPDATE command SET next_attempt_at = now() - interval '1 second'"))
        self.session.commit()
        with redis.Redis.from_url(self.bridge.config["REDIS_URL"]) as store:
            store.flushdb()
        jobs.drain_outbox(self.connection_id)
        db.session.expire_all()

    def compare(self, part: str = "today") -> Any:
        """One comparison through the queue; its result."""
        connection = self.session.get_one(Connection, self.connection_id)
        compare_money.write(self.session, connection, part)
        self.session.commit()
        self.work()
        key = f"pay.compare:{part}"
        return self.session.scalars(select(Command.result).where(Command.key == key)).one()

    def cases(self) -> list[tuple[str, str]]:
        query = select(Case.code, Case.subject).where(Case.state == "open").order_by(Case.code)
        return [(row.code, row.subject.split("/", 2)[2]) for row in self.session.execute(query)]

    def at_the_provider(self) -> tuple[int, int, int]:
        """His balance without the operator's own money, and what the ledger has in psp_clearing and in dispute_hold."""
        query = "SELECT coalesce(sum(balance), 0) FROM ledger_account WHERE kind = :kind"
        clearing, held = (
            int(self.session.execute(text(query), {"kind": kind}).scalar_one())
            for kind in ("psp_clearing", "dispute_hold")
        )
        return self.books.balance() - self.books.conduct.own_money, clearing, held

    @property
    def key(self) -> str:
        return f"capture:{self.trades[1].key}"


@pytest.fixture
def day(app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    monkeypatch.setitem(app.config, "SHOPBRIDGE_RETRY_SCALE", 1.0)
    made = provider.create_app(deliver=False)
    with running(made) as url:
        yield Day(app, made, url, session)
        made.extensions["faults"].clear()


def test_a_day_without_differences_says_so_in_figures(day: Day) -> None:
    sums = {"capture": 4006, "refund": 300}
    assert day.compare() == {
        "payments": 5, "booked": 5, "differences": 0, "ours_minor": sums, "theirs_minor": sums,
    }  # fmt: skip
    assert day.cases() == []


@pytest.mark.parametrize("won", [True, False])
def test_money_that_a_bank_has_taken_for_now_is_no_difference(day: Day, *, won: bool) -> None:
    """The provider takes it when the dispute begins, the ledger books it out when it is lost; until then it is in dispute_hold."""
    opened = day.books.dispute(day.key, 600)
    ledger.dispute(day.session, day.trades[1], 600, key=opened["id"], by=BY)
    assert day.compare("1")["differences"] == 0
    assert day.at_the_provider() == (3706 - 600, 3706, 600)
    day.books.close_dispute(opened["id"], won=won)
    ledger.dispute_over(day.session, day.trades[1], won=won, key=opened["id"], by=BY)
    assert day.compare("2")["differences"] == 0
    left = 3706 if won else 3106
    assert day.at_the_provider() == (left, left, 0)
    assert day.cases() == []


def test_a_payment_that_the_provider_lost_is_a_case_until_it_is_there_again(day: Day) -> None:
    lost = day.books.payments.pop(day.key)
    assert day.compare("1")["differences"] == 1
    day.compare("2")
    assert day.cases() == [("payment.missing_at_provider", day.key)]
    day.books.payments[day.key] = lost
    assert day.compare("3")["differences"] == 0
    assert day.cases() == []


def test_a_payment_that_nobody_instructed_is_a_case(day: Day) -> None:
    day.books.book("payout", "payout:by somebody else", {"amount": 500, "currency": "EUR"})
    day.compare()
    assert day.cases() == [("payment.missing_in_ledger", "payout:by somebody else")]


def test_each_difference_has_a_case_of_its_own(day: Day) -> None:
    day.books.payments.pop(f"capture:{day.trades[1].key}")
    day.books.payments[f"capture:{day.trades[2].key}"].amount += 1
    day.books.payments[f"capture:{day.trades[3].key}"].state = "failed"
    assert day.compare()["differences"] == 3
    assert [code for code, _ in day.cases()] == [
        "payment.amount_differs",
        "payment.missing_at_provider",
        "payment.state_differs",
    ]


def test_an_old_difference_stays_open_although_the_look_begins_later(day: Day, session: Session) -> None:
    day.books.payments.pop(day.key)
    day.compare("1")
    past = "now() - interval '50 days'"
    session.execute(text(f"UPDATE payment SET created_at = {past}"))
    session.execute(text(f"UPDATE case_ SET opened_at = {past} + interval '1 day'"))
    for booking in day.books.payments.values():
        booking.at = (datetime.now(UTC) - timedelta(days=50)).isoformat()
    session.commit()
    day.compare("2")
    assert day.cases() == [("payment.missing_at_provider", day.key)]


def test_the_providers_last_word_that_got_lost_is_asked_for(day: Day) -> None:
    day.books.conduct.late = ["capture"]
    trade = day.desk.trade(captured=False)
    ledger.charge(day.session, trade)
    day.session.commit()
    day.work()
    assert trade.state == "payment_pending"
    day.books.settle()
    assert day.compare()["differences"] == 0
    day.work()
    assert trade.state == "held"


def test_a_provider_that_cannot_be_read_opens_and_closes_nothing(day: Day) -> None:
    lost = day.books.payments.pop(day.key)
    day.compare("1")
    day.books.payments[day.key] = lost
    day.faults.add({"kind": "status", "status": 500, "path": "^/v1/payments$", "count": -1})
    assert day.compare("2") is None
    assert len(day.cases()) == 1


def test_the_comparison_is_written_once_a_day_after_four(day: Day, session: Session) -> None:
    night = datetime(2026, 11, 23, 3, 59, tzinfo=UTC)
    for minutes in (0, 1, 2, 600, 24 * 60 + 1):
        compare_money.write_daily(session, night + timedelta(minutes=minutes))
    keys = session.scalars(
        select(Command.key).where(Command.kind == "pay.compare").order_by(Command.id)
    ).all()
    assert keys == ["pay.compare:2026-11-23", "pay.compare:2026-11-24"]


def test_payments_by_hand_are_compared_with_nobody(app: Flask, session: Session) -> None:
    ledger.payment_connection(session)
    compare_money.write_daily(session, NOW + timedelta(hours=1))
    assert session.scalars(select(Command.id)).all() == []


def test_the_payments_of_another_connection_are_not_compared(day: Day, session: Session) -> None:
    """What was paid by hand before the provider came stays out of it."""
    hand = Connection(
        account_id=day.desk.boldt.id,
        key="cn_hand",
        provider="manual",
        role="payment",
        name="hand",
        state="active",
    )
    session.add(hand)
    session.flush()
    session.add(
        Payment(
            key="capture:by hand",
            connection_id=hand.id,
            kind="capture",
            amount=5,
            currency="EUR",
            state="done",
        )
    )
    session.commit()
    assert day.compare()["differences"] == 0
    assert BY.actor
