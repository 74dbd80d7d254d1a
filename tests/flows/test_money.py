"""Refund objects that meet cancellations: every cent goes back once, and none is forgotten."""

from typing import Any

import pytest
from sqlalchemy import select, text
from world import World, call

from app import jobs, outbox
from app.models import Command, OrderPiece
from app.sandbox import shop_commands
from app.sandbox.faults import Fault

ASSAM = "4006381333931"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}


@pytest.fixture
def shelf(world: World) -> World:
    """Ten Assam on sale."""
    world.product("TEE-001", ASSAM, stock=10)
    world.work()
    return world


def only_order(world: World) -> Any:
    (order,) = world.shop.orders.values()
    return order


def refunds(world: World) -> list[int]:
    return [deed["amount"] for deed in world.kaufland.deeds if deed["deed"] == "refund"]


def buyer_cancels(world: World, unit: int) -> None:
    call("POST", f"{world.kaufland_url}/_control/order-units/{unit}/cancel", {})


def give_back_one(world: World) -> None:
    order = only_order(world)
    world.in_shop("refund", order.id, reason="damaged", lines=[{"id": order.lines[0].id, "quantity": 1}])


def test_the_piece_that_left_is_paid_back_although_its_neighbour_was_cancelled(shelf: World) -> None:
    """The shop's books contain the cancelled piece already: a later refund object means the other one."""
    placed = shelf.order(("TEE-001", 2, 790))
    shelf.work()
    buyer_cancels(shelf, placed["units"][0])
    shelf.work()
    shelf.in_shop("complete", only_order(shelf).id, tracking=DHL)
    shelf.work()
    give_back_one(shelf)
    shelf.work()
    assert refunds(shelf) == [790]


def test_a_piece_cancelled_before_the_shop_had_the_order_takes_no_refund(shelf: World) -> None:
    placed = shelf.order(("TEE-001", 2, 790), open_seconds=900)
    shelf.work()
    buyer_cancels(shelf, placed["units"][0])
    shelf.kaufland.advance(901)
    shelf.work()
    order = only_order(shelf)
    assert order.lines[0].quantity == 1
    shelf.in_shop("complete", order.id, tracking=DHL)
    shelf.work()
    give_back_one(shelf)
    shelf.work()
    assert refunds(shelf) == [790]


def test_a_refund_after_a_cancellation_that_came_too_late_is_paid(shelf: World) -> None:
    """The shop cancels what has left already: the wish to cancel is over, the buyer still waits for the money."""
    placed = shelf.order(("TEE-001", 1, 790))
    shelf.work()
    unit = shelf.kaufland.order_units[placed["units"][0]]
    shelf.kaufland.send(unit, DHL["number"], "DHL")
    shelf.in_shop("cancel", only_order(shelf).id)
    shelf.work(poll=False)
    assert "cancel.after_shipping" in shelf.cases()
    give_back_one(shelf)
    shelf.work()
    assert refunds(shelf) == [790]


def test_a_parcel_for_an_order_whose_cancellation_was_refused_is_told(shelf: World) -> None:
    """The marketplace keeps the order, the merchant takes it up again and ships: the parcel must not be forgotten."""
    placed = shelf.order(("TEE-001", 1, 790))
    shelf.work()
    order = only_order(shelf)
    shelf.kaufland_app.extensions["faults"].add(Fault("status", path="/cancel", status=422))
    shelf.in_shop("cancel", order.id)
    shelf.work()
    assert len(shelf.cases()) == 1
    shelf.in_shop("status", order.id, status="processing")
    shelf.work()
    shelf.in_shop("complete", order.id, tracking=DHL)
    shelf.work()
    assert shelf.kaufland.order_units[placed["units"][0]]["status"] == "sent"


def test_a_cancelled_piece_is_not_shipped_by_an_order_that_is_made_later(
    shelf: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shop refused the order, the buyer cancelled half of it, and then the order was replayed."""

    def refuse(*_: Any) -> Any:
        raise shop_commands.NotObeyed("data.invalid", "not today", "data.billing")

    placed = shelf.order(("TEE-001", 2, 790))
    with monkeypatch.context() as patch:
        patch.setattr(shop_commands, "COMMANDS", {**shop_commands.COMMANDS, "order.create": refuse})
        shelf.work()
        buyer_cancels(shelf, placed["units"][0])
        shelf.work()
    assert shelf.shop.orders == {}
    outbox.replay(shelf.session, Command.kind == "order.create")
    shelf.work()
    order = only_order(shelf)
    assert sum(line.quantity - line.refunded for line in order.lines) == 1


def test_what_the_shop_never_answered_is_cancelled_there_when_it_turns_up(shelf: World) -> None:
    """The answer to order.create was lost, the tries were used up, the buyer cancelled: the order in the shop must not be shipped."""
    placed = shelf.order(("TEE-001", 2, 790))
    faults = shelf.shop_app.extensions["faults"]
    lost = faults.add(Fault("reset", path="/wp-json/shopbridge/v1/commands", effect=False, count=-1))
    shelf.ask()
    shelf.bridge.config["SHOPBRIDGE_RETRY_SCALE"] = 1
    jobs.drain_outbox(shelf.shop_connection)
    lost.count = 0
    shelf.session.execute(text("UPDATE command SET state = 'dead' WHERE kind = 'order.create'"))
    shelf.session.commit()
    buyer_cancels(shelf, placed["units"][0])
    shelf.work()
    outbox.replay(shelf.session, Command.kind == "order.create")
    shelf.work()
    pieces = shelf.session.scalars(select(OrderPiece.in_shop).order_by(OrderPiece.id)).all()
    assert pieces == [True, True]
    assert sum(line.quantity - line.refunded for line in only_order(shelf).lines) == 1


def test_a_refund_of_a_piece_that_has_left_already_pays_the_amount_of_the_object(shelf: World) -> None:
    """The refund object meant a cancellation, and the marketplace says that it comes too late: the buyer gets the money all the same (K8)."""
    placed = shelf.order(("TEE-001", 1, 790))
    shelf.work()
    shelf.kaufland.send(shelf.kaufland.order_units[placed["units"][0]], DHL["number"], "DHL")
    give_back_one(shelf)
    shelf.work(poll=False)
    shelf.work()
    assert refunds(shelf) == [790]
    assert "cancel.after_shipping" in shelf.cases()
