"""The clock releases what is due and looks at all invariants once an hour (K11, reliability 4.3)."""

from datetime import UTC, datetime, timedelta

import pytest
from desk import BY, Desk
from sqlalchemy import select

from app import clock, doctor, ledger
from app.models import Case, Heartbeat, TrackingUse, TradeParcel


def test_parcels_whose_time_has_come_are_released(desk: Desk) -> None:
    now = datetime.now(UTC)
    trade = desk.trade(policy={"kind": "delivered", "days": 14})
    desk.ship_all(trade)
    shipment = desk.session.scalars(select(TradeParcel.shipment_id)).one()
    ledger.evidence(desk.session, trade, shipment, "delivered", now, BY)
    desk.session.commit()
    clock.keep_the_books(desk.session, now + timedelta(days=13))
    assert desk.money(trade).released == 0
    clock.keep_the_books(desk.session, now + timedelta(days=14))
    assert desk.money(trade).released == 1000


def test_the_books_are_looked_at_once_an_hour(desk: Desk) -> None:
    now = datetime.now(UTC)
    trade = desk.trade()
    clock.keep_the_books(desk.session, now)
    trade.state = "cancelled"
    desk.session.commit()
    clock.keep_the_books(desk.session, now + timedelta(minutes=59))
    assert desk.session.scalar(select(Case)) is None
    clock.keep_the_books(desk.session, now + timedelta(minutes=60))
    assert {case.code for case in desk.session.scalars(select(Case))} == {"ledger.breach"}
    assert desk.session.scalars(select(Heartbeat.facts).where(Heartbeat.name == "ledger")).one() == {
        "breaches": 2
    }
    assert [found.level for found in doctor._books()] == ["wrong"]


def test_a_clock_that_was_set_back_looks_at_once(desk: Desk) -> None:
    now = datetime.now(UTC)
    desk.trade()
    clock.keep_the_books(desk.session, now + timedelta(days=400))
    clock.keep_the_books(desk.session, now)
    assert desk.session.scalars(select(Heartbeat.at).where(Heartbeat.name == "ledger")).one() == now


def test_addresses_of_parcels_are_forgotten(desk: Desk) -> None:
    desk.ship_all(desk.trade())
    clock.keep_the_books(desk.session, datetime.now(UTC) + timedelta(days=3))
    assert desk.session.scalars(select(TrackingUse.recipient)).all() == [None]


@pytest.mark.usefixtures("desk")
def test_without_money_there_is_nothing_to_look_at(desk: Desk) -> None:
    clock.keep_the_books(desk.session, datetime.now(UTC))
    assert [found.level for found in doctor._books()] == ["ok"]


def test_an_old_debt_is_a_case_until_it_is_paid(desk: Desk) -> None:
    now = datetime.now(UTC)
    trade = desk.trade()
    desk.ship_all(trade)
    desk.pay()
    desk.refund(trade, 300)
    assert ledger.watch_debts(desk.session, now + timedelta(days=29)) == {}
    assert ledger.watch_debts(desk.session, now + timedelta(days=31)) == {(desk.anna.id, "EUR"): 300}
    case = desk.session.scalars(select(Case)).one()
    assert (case.code, case.state, case.params["amount"]) == ("ledger.debt_old", "open", 300)
    desk.ship_all(desk.trade())
    assert ledger.watch_debts(desk.session, now + timedelta(days=31)) == {}
    desk.session.refresh(case)
    assert case.state == "closed"
