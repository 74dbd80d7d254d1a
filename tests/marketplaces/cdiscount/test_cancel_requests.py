"""At Cdiscount a cancellation is only a request: whoever waits for its decision is told, and nobody waits for ever (C6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from market_world import Market, market
from sqlalchemy import text

from app import clock, jobs
from app.extensions import db
from app.sandbox import simulators
from app.sandbox.cdiscount.world import REASONS


@pytest.fixture
def at(app: Flask) -> Iterator[Market]:
    with market(app, simulators()["cdiscount"]) as found:
        yield found


def sold(at: Market) -> tuple[dict[str, Any], Any]:
    """Two teas, one of each kind, are sold and in the shop."""
    order = at.buy(("TEE-001", 1), ("TEE-002", 1))
    at.work()
    (found,) = at.orders_in_shop()
    return order, found


def conduct(at: Market) -> Any:
    return at.market_app.extensions["cdiscount"].conduct


def later(hours: float) -> None:
    """The clock looks at taken cancellations so many hours from now."""
    clock.look_at_cancellations(db.session(), datetime.now(UTC) + timedelta(hours=hours))
    db.session.rollback()


def asked() -> list[str | None]:
    """Who asked for the cancellation, by piece."""
    return list(db.session.scalars(text("SELECT cancel_asked_by FROM order_piece ORDER BY id")))


def states(at: Market, order: dict[str, Any]) -> list[str]:
    return [each["state"] for each in at.pieces(order).values()]


# --- of the shop ------------------------------------------------------------------------------------------------------------------


def test_a_cancellation_that_was_taken_and_then_refused_is_a_case_after_some_hours(at: Market) -> None:
    order, found = sold(at)
    conduct(at).refuse_requests = True
    at.in_shop("cancel", found.id)
    at.work()
    later(5.5)
    assert (states(at, order), asked(), at.cases()) == (["to_ship"] * 2, ["shop"] * 2, [])
    later(6.5)
    later(7)
    assert (asked(), at.cases()) == ([None] * 2, ["cancel.not_done"] * 2)
    clock.alarm_before_deadlines(db.session(), datetime.now(UTC) + timedelta(days=3))
    assert "ship.deadline_near" in at.cases()


def test_a_cancellation_that_was_carried_out_is_none(at: Market) -> None:
    order, found = sold(at)
    at.in_shop("cancel", found.id)
    at.work()
    later(24 * 7)
    assert (states(at, order), asked(), at.cases()) == (["cancelled"] * 2, ["shop"] * 2, [])


def test_what_is_cancelled_late_after_all_is_not_taken_back_in_the_shop_a_second_time(at: Market) -> None:
    order, found = sold(at)
    conduct(at).refuse_requests = True
    at.in_shop(
        "refund", found.id, lines=[{"id": str(found.lines[1].id), "quantity": 1}], reason="ausverkauft"
    )
    at.work()
    later(7)
    assert at.cases() == ["cancel.not_done"]
    at.control("cancel", {"pieces": [list(at.pieces(order))[1]]})
    at.work()
    (after,) = at.orders_in_shop()
    assert (states(at, order), at.cases()) == (["to_ship", "cancelled"], [])
    assert len(after.refunds) == 1


# --- of the buyer -----------------------------------------------------------------------------------------------------------------


def buyer_asks(at: Market, order: dict[str, Any], *, seconds: float) -> None:
    """The buyer wants to cancel the second tea; it is decided after so many seconds."""
    world = at.market_app.extensions["cdiscount"]
    world.conduct.request_seconds = seconds
    with world.lock:
        row = world.orders[order["order"]]
        world.request(row, [list(row["lines"])[1]], REASONS["InPreparation"][0][0], shipping=True)


def look(at: Market) -> None:
    """The bridge looks at the orders and does what follows from it, while the marketplace goes on deciding."""

    at.hurry()
    jobs.ask_marketplace(at.market_connection)
    jobs.drain_outbox(at.shop_connection)
    db.session.rollback()


def test_who_packs_an_order_reads_at_once_that_its_buyer_asks_to_cancel(at: Market) -> None:
    order, _ = sold(at)
    buyer_asks(at, order, seconds=10**6)
    look(at)
    look(at)
    assert at.cases() == ["cancel.asked_by_buyer"]
    (after,) = at.orders_in_shop()
    assert len([each for each in after.notes if "stornieren" in str(each)]) == 1
    assert after.status == "processing"


def test_a_wish_of_the_buyer_that_is_granted_stops_what_it_is_about(at: Market) -> None:
    order, _ = sold(at)
    buyer_asks(at, order, seconds=10**6)
    look(at)
    at.work()  # everything that was taken is decided
    assert (states(at, order), at.cases()) == (["to_ship", "cancelled"], [])


def test_a_wish_of_the_buyer_that_the_shop_grants_too_is_no_case_any_more(at: Market) -> None:
    order, found = sold(at)
    buyer_asks(at, order, seconds=10**6)
    look(at)
    assert at.cases() == ["cancel.asked_by_buyer"]
    lines = [{"id": str(found.lines[1].id), "quantity": 1}]
    at.in_shop("refund", found.id, lines=lines, reason="Kunde storniert")
    at.shop.outbox.deliver_due()
    jobs.drain_inbox(at.shop_connection)
    at.control("settle")  # granted, and the deed of the shop is told before anybody looks
    jobs.drain_outbox(at.market_connection)
    at.work()
    assert (states(at, order), at.cases()) == (["to_ship", "cancelled"], [])


def test_a_wish_of_the_buyer_that_is_not_granted_is_no_case_any_more(at: Market) -> None:
    order, _ = sold(at)
    conduct(at).refuse_requests = True
    buyer_asks(at, order, seconds=10**6)
    look(at)
    at.work()
    assert (states(at, order), at.cases()) == (["to_ship", "to_ship"], [])


def test_a_cancellation_that_the_shop_asked_for_is_no_wish_of_the_buyer(at: Market) -> None:
    _, found = sold(at)
    conduct(at).request_seconds = 10**6
    at.in_shop("cancel", found.id)
    at.shop.outbox.deliver_due()

    jobs.drain_inbox(at.shop_connection)
    jobs.drain_outbox(at.market_connection)
    look(at)
    raw = list(db.session.scalars(text("SELECT raw_state FROM order_piece")))
    assert (raw, at.cases()) == (["CancelRequest"] * 2, [])
