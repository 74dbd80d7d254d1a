"""Parcels that are told at an awkward moment: none is forgotten, and none is told that never left."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from world import World, call

from app import clock
from app.models import Order
from app.sandbox.faults import Fault

ASSAM = "4006381333931"
FIRST = {"number": "00340434161094015902", "carrier": "DHL"}
SECOND = {"number": "00340434161094015919", "carrier": "DHL"}


@pytest.fixture
def ready(world: World) -> tuple[World, dict[str, Any], Any]:
    """An order of two Assam is in the shop."""
    world.product("TEE-001", ASSAM, stock=10)
    world.work()
    placed = world.order(("TEE-001", 2, 790))
    world.work()
    (order,) = world.shop.orders.values()
    return world, placed, order


Ready = tuple[World, dict[str, Any], Any]


def numbers(world: World, placed: dict[str, Any]) -> list[set[str]]:
    """The tracking numbers of every piece at the marketplace."""
    units = [world.kaufland.order_units[unit] for unit in placed["units"]]
    return [{parcel["tracking_number"] for parcel in unit["shipments"]} for unit in units]


def test_a_corrected_number_is_told_when_the_first_was_refused(ready: Ready) -> None:
    world, placed, order = ready
    world.kaufland_app.extensions["faults"].add(Fault("status", path="/send", status=422, count=2))
    world.in_shop("complete", order.id, tracking=FIRST)
    world.work()
    assert numbers(world, placed) == [set(), set()]
    world.in_shop("tracking", order.id, **SECOND)
    world.work()
    assert numbers(world, placed) == [{SECOND["number"]}] * 2


def test_two_parcels_told_at_once_both_reach_the_marketplace(ready: Ready) -> None:
    world, placed, order = ready
    order.tracking += [
        {**parcel, "url": None, "shipped_at": "2026-11-21T14:09:00Z", "lines": None}
        for parcel in (FIRST, SECOND)
    ]
    world.in_shop("complete", order.id)
    world.work()
    assert numbers(world, placed) == [{FIRST["number"], SECOND["number"]}] * 2


def test_a_second_parcel_told_while_the_marketplace_is_down_is_not_forgotten(ready: Ready) -> None:
    world, placed, order = ready
    world.bridge.config["SHOPBRIDGE_RETRY_SCALE"] = 1
    world.kaufland_app.extensions["faults"].add(Fault("status", path="/send", status=503))
    world.in_shop("complete", order.id, tracking=FIRST)
    world.work(poll=False, rounds=1)
    world.in_shop("tracking", order.id, **SECOND)
    world.work(poll=False, rounds=1)
    world.hurry()
    world.work(poll=False)
    assert numbers(world, placed) == [{FIRST["number"], SECOND["number"]}] * 2


def test_an_order_taken_back_to_processing_is_not_told_as_shipped(ready: Ready) -> None:
    """Completed by mistake: after three hours nothing has left."""
    world, placed, order = ready
    world.in_shop("complete", order.id)
    world.work()
    world.in_shop("status", order.id, status="processing")
    world.work()
    clock.end_waits(world.session, datetime.now(UTC) + timedelta(hours=4))
    world.work()
    assert numbers(world, placed) == [set(), set()]
    world.in_shop("complete", order.id)
    world.work()
    waiting = world.session.scalars(select(Order.wait_until)).one()
    assert waiting > datetime.now(UTC) + timedelta(hours=2)


def test_an_order_in_the_trash_is_not_told_as_shipped(ready: Ready) -> None:
    world, placed, order = ready
    world.in_shop("complete", order.id)
    world.work()
    world.in_shop("trash", order.id)
    world.work()
    clock.end_waits(world.session, datetime.now(UTC) + timedelta(hours=4))
    world.work()
    assert numbers(world, placed) == [set(), set()]


def test_a_second_wait_of_one_order_ends_too(ready: Ready) -> None:
    """A piece that may be shipped only later than the others: both leave without a number, one after the other."""
    world, placed, order = ready
    held = "UPDATE order_piece SET state = :state WHERE external_id = :id"
    late = str(placed["units"][1])
    world.session.execute(text(held), {"state": "announced", "id": late})
    world.session.commit()
    world.in_shop("complete", order.id)
    world.work(poll=False)
    clock.end_waits(world.session, datetime.now(UTC) + timedelta(hours=4))
    world.work(poll=False)
    world.session.execute(text(held), {"state": "to_ship", "id": late})
    world.session.commit()
    world.session.execute(text("UPDATE orders SET wait_until = now()"))
    world.session.commit()
    clock.end_waits(world.session, datetime.now(UTC) + timedelta(hours=4))
    world.work(poll=False)
    assert [world.kaufland.order_units[unit]["status"] for unit in placed["units"]] == ["sent", "sent"]


def test_a_parcel_with_a_piece_that_was_cancelled_meanwhile_is_a_case(ready: Ready) -> None:
    world, placed, order = ready
    world.bridge.config["SHOPBRIDGE_RETRY_SCALE"] = 1
    world.kaufland_app.extensions["faults"].add(Fault("status", path="/send", status=503))
    world.in_shop("complete", order.id, tracking=FIRST)
    world.work(poll=False, rounds=1)
    call("POST", f"{world.kaufland_url}/_control/order-units/{placed['units'][0]}/cancel", {})
    world.ask()
    world.hurry()
    world.work(poll=False)
    assert "cancel.after_shipping" in world.cases()


def test_an_order_taken_out_of_the_trash_is_no_case_any_more(ready: Ready) -> None:
    world, _, order = ready
    world.in_shop("trash", order.id)
    world.work()
    assert world.cases() == ["order.deleted_in_shop"]
    world.in_shop("status", order.id, status="processing")
    world.work()
    assert world.cases() == []
