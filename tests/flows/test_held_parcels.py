"""A marketplace that knows one parcel per order hears of it as soon as the rest of the order is decided, whoever decides it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from market_world import Market, market
from sqlalchemy import text

from app import clock, jobs
from app.extensions import db
from app.sandbox import simulators

ONE_PARCEL = ("cdiscount", "mirakl")


@pytest.fixture(params=ONE_PARCEL)
def at(app: Flask, request: pytest.FixtureRequest) -> Iterator[Market]:
    """Anna's Teeladen at a marketplace that takes an order as a whole."""
    simulator = simulators()[request.param]
    if request.param == "mirakl":
        simulator = replace(simulator, settings={**simulator.settings, "multi_shipment": False})
    with market(app, simulator) as found:
        if request.param == "mirakl":
            found.control("conduct", {"multi_shipment": False})
        assert not found.can.partial_shipment
        yield found


def half_sent(at: Market) -> tuple[dict[str, Any], Any]:
    """Two teas are sold, the first one has left in a parcel of its own."""
    order = at.buy(("TEE-001", 1), ("TEE-002", 1))
    at.work()
    (sold,) = at.orders_in_shop()
    at.ship(sold, [{"id": str(sold.lines[0].id), "quantity": 1}])
    at.work()
    assert states(at, order) == ["to_ship", "to_ship"]
    return order, sold


def states(at: Market, order: dict[str, Any]) -> list[str]:
    return [each["state"] for each in at.pieces(order).values()]


def sold_out(at: Market, sold: Any) -> None:
    """The second tea is refunded, because there is none."""
    line = {"id": str(sold.lines[1].id), "quantity": 1}
    at.in_shop("refund", sold.id, lines=[line], reason="ausverkauft")
    at.work()


def test_a_parcel_is_told_once_the_rest_is_refunded_before_it_left(at: Market) -> None:
    order, sold = half_sent(at)
    sold_out(at, sold)
    assert states(at, order) == ["shipped", "cancelled"]
    assert len(at.deeds("ship")) == 1
    assert at.cases() == []


def test_a_parcel_is_told_once_the_buyer_has_cancelled_the_rest(at: Market) -> None:
    order, _ = half_sent(at)
    at.control("cancel", {"pieces": [list(at.pieces(order))[1]]})
    at.hurry()
    jobs.ask_marketplace(at.market_connection)
    jobs.drain_outbox(at.market_connection)  # before the shop has said a word
    assert states(at, order) == ["shipped", "cancelled"]


def test_what_is_not_cancelled_yet_is_not_reported_as_shipped_with_the_rest(app: Flask) -> None:
    """The marketplace has only taken the cancellation; a parcel for the whole order would charge the buyer for both."""
    with market(app, simulators()["cdiscount"]) as at:
        order, sold = half_sent(at)
        at.market_app.extensions["cdiscount"].conduct.refuse_requests = True
        sold_out(at, sold)
        assert states(at, order) == ["to_ship", "to_ship"]
        assert at.deeds("ship") == []


def test_the_alarm_before_the_deadline_counts_what_is_in_a_held_parcel(at: Market) -> None:
    _, sold = half_sent(at)
    at.in_shop("status", sold.id, status="processing")
    db.session.execute(text("UPDATE order_piece SET cancel_asked_by = 'shop' WHERE shipment_id IS NULL"))
    db.session.commit()
    clock.alarm_before_deadlines(db.session(), datetime.now(UTC) + timedelta(days=3))
    assert at.cases() == ["ship.deadline_near"]
