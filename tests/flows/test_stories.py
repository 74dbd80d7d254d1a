"""The stories of an order, told end to end over real HTTP: marketplace, bridge and shop agree afterwards."""

from typing import Any

import pytest
from sqlalchemy import func, select, text
from world import World, call

from app import outbox
from app.models import Command, Event, Offer, Order, OrderPiece, Refund
from app.sandbox.faults import Fault

ASSAM, DARJEELING = "4006381333931", "4012345678901"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}
SECOND_DHL = {"number": "00340434161094015919", "carrier": "DHL"}


@pytest.fixture
def shelf(world: World) -> World:
    """Two products on sale: ten Assam, five Darjeeling."""
    world.product("TEE-001", ASSAM, stock=10)
    world.product("TEE-002", DARJEELING, stock=5, price="12.50")
    world.work()
    return world


def shown_stock(world: World, sku: str) -> int:
    """What a buyer sees at the marketplace."""
    unit = next(unit for unit in world.kaufland.units.values() if unit["id_offer"] == sku)
    return int(world.kaufland.buyable(unit))


def statuses(world: World, placed: dict[str, Any]) -> list[str]:
    return [world.kaufland.order_units[unit]["status"] for unit in placed["units"]]


def deeds(world: World, kind: str) -> list[dict[str, Any]]:
    """What was done at the marketplace, each deed once."""
    return [deed for deed in world.kaufland.deeds if deed["deed"] == kind]


def only_order(world: World) -> Any:
    (order,) = world.shop.orders.values()
    return order


# --- offers -----------------------------------------------------------------------------------------


def test_a_product_of_the_shop_is_on_sale_at_the_marketplace(shelf: World) -> None:
    unit = next(unit for unit in shelf.kaufland.units.values() if unit["id_offer"] == "TEE-001")
    assert unit["listing_price"] == 790
    assert shown_stock(shelf, "TEE-001") == 10
    offer = shelf.session.scalars(select(Offer).order_by(Offer.id)).first()
    assert (offer.state, offer.reason_code, offer.sent_revision) == ("on_sale", None, offer.revision)


def test_a_shop_that_was_just_connected_is_asked_for_all_its_products(world: World) -> None:
    told = [command["type"] for command in world.shop_books()["commands"]]
    assert told == ["ping", "events.resend"]


def test_a_gtin_the_marketplace_does_not_know_says_so(world: World) -> None:
    world.product("TEE-009", ASSAM, known=False)
    world.work()
    offer = world.session.scalars(select(Offer)).one()
    assert (offer.state, offer.reason_code) == ("needs_product", "product.unknown_gtin")


def test_a_product_the_marketplace_learns_later_goes_on_sale_by_itself(world: World) -> None:
    world.product("TEE-009", ASSAM, known=False)
    world.work()
    world.kaufland.add_product(ASSAM)
    world.work()
    assert shown_stock(world, "TEE-009") == 10


def test_ten_stock_changes_are_one_call(shelf: World) -> None:
    product = next(iter(shelf.shop.products.values()))
    shelf.kaufland.deeds.clear()
    before = shelf.session.scalar(text("SELECT count(*) FROM attempt"))
    for stock in range(20, 30):
        call("PATCH", f"{shelf.shop_url}/_control/products/{product.id}", {"stock": stock})
        shelf.send_events()
    shelf.work(poll=False)
    assert shown_stock(shelf, "TEE-001") == 29
    assert shelf.session.scalar(text("SELECT count(*) FROM attempt")) - before == 1


def test_a_change_made_at_the_marketplace_is_noticed_and_the_shop_wins(shelf: World) -> None:
    unit = next(unit for unit in shelf.kaufland.units.values() if unit["id_offer"] == "TEE-001")
    shelf.kaufland.change_unit(unit, {"listing_price": 690, "amount": 3})
    shelf.work()
    assert unit["listing_price"] == 790
    assert shown_stock(shelf, "TEE-001") == 10
    assert "offer.changed_elsewhere" in shelf.cases()


def test_a_deleted_product_goes_to_stock_zero(shelf: World) -> None:
    product = next(iter(shelf.shop.products.values()))
    call("DELETE", f"{shelf.shop_url}/_control/products/{product.id}?force=1")
    shelf.work()
    assert shown_stock(shelf, "TEE-001") == 0


# --- orders in --------------------------------------------------------------------------------------


def test_an_order_travels_from_the_marketplace_to_the_shop_and_back(shelf: World) -> None:
    placed = shelf.order(("TEE-001", 2, 790), ("TEE-002", 1, 1250))
    shelf.work()
    order = only_order(shelf)
    assert [(line.quantity, line.sku) for line in order.lines] == [(2, "TEE-001"), (1, "TEE-002")]
    assert order.total == 2 * 790 + 1250
    shelf.in_shop("complete", order.id, tracking=DHL)
    shelf.work()
    assert set(statuses(shelf, placed)) == {"sent"}
    assert len(deeds(shelf, "send")) == 3
    assert shelf.cases() == []


def test_an_order_seen_on_every_look_is_created_once(shelf: World) -> None:
    shelf.order(("TEE-001", 1, 790))
    for _ in range(4):
        shelf.work()
    assert len(shelf.shop.orders) == 1


def test_the_answer_to_create_is_lost_and_the_order_is_not_doubled(shelf: World) -> None:
    shelf.shop_app.extensions["faults"].add(
        Fault("reset", path="/wp-json/shopbridge/v1/commands", effect=True)
    )
    shelf.order(("TEE-001", 1, 790))
    shelf.work()
    shelf.hurry()
    shelf.work()
    assert len(shelf.shop.orders) == 1
    assert shelf.session.scalars(select(Order)).one().shop_order_id is not None


def test_withheld_addresses_wait_and_the_stock_is_held_at_once(shelf: World) -> None:
    shelf.kaufland.conduct.withhold_seconds = 900
    shelf.order(("TEE-001", 2, 790))
    shelf.work()
    assert shelf.shop.orders == {}
    assert shown_stock(shelf, "TEE-001") == 8
    shelf.kaufland.advance(901)
    shelf.work()
    assert len(shelf.shop.orders) == 1


def test_an_order_for_a_product_that_was_deleted_lands_and_is_a_case(shelf: World) -> None:
    product = next(iter(shelf.shop.products.values()))
    shelf.order(("TEE-001", 1, 790))
    call("DELETE", f"{shelf.shop_url}/_control/products/{product.id}?force=1")
    shelf.work()
    assert len(shelf.shop.orders) == 1
    assert "order.product_unknown" in shelf.cases()


def test_the_last_piece_sold_twice_lands_and_is_a_case(world: World) -> None:
    world.product("TEE-001", ASSAM, stock=1)
    world.work()
    world.order(("TEE-001", 1, 790))
    world.order(("TEE-001", 1, 790), oversell=True)
    world.work()
    assert len(world.shop.orders) == 2
    assert world.cases() == ["order.oversold"]


def test_an_order_is_subtracted_exactly_once(shelf: World) -> None:
    shelf.order(("TEE-001", 3, 790))
    shelf.work()
    assert only_order(shelf).lines[0].quantity == 3
    product = next(iter(shelf.shop.products.values()))
    assert product.stock == 7
    assert shown_stock(shelf, "TEE-001") == 7
    shelf.work()
    assert shown_stock(shelf, "TEE-001") == 7


def test_two_sold_there_and_two_put_into_the_shelf_here_is_sent_all_the_same(shelf: World) -> None:
    shelf.kaufland.conduct.withhold_seconds = 900  # the shop has not heard of the order yet
    shelf.order(("TEE-001", 2, 790))
    product = next(iter(shelf.shop.products.values()))
    call("PATCH", f"{shelf.shop_url}/_control/products/{product.id}", {"stock": 12})
    shelf.send_events()
    shelf.session.execute(text("UPDATE schedule SET due_at = now() + interval '1 hour' WHERE kind = 'drift'"))
    shelf.session.commit()
    from app import jobs

    jobs.drain_inbox(shelf.shop_connection)
    shelf.session.execute(
        text("UPDATE schedule SET due_at = now() WHERE kind = 'orders' OR kind = 'changes'")
    )
    shelf.session.commit()
    jobs.ask_marketplace(shelf.kaufland_connection)
    jobs.drain_outbox(shelf.kaufland_connection)
    assert shown_stock(shelf, "TEE-001") == 10


# --- shipping ----------------------------------------------------------------------------------------


def test_a_part_of_the_order_can_leave_first(shelf: World) -> None:
    placed = shelf.order(("TEE-001", 2, 790), ("TEE-002", 1, 1250))
    shelf.work()
    order = only_order(shelf)
    shelf.in_shop("tracking", order.id, **DHL, lines=[{"id": order.lines[0].id, "quantity": 1}])
    shelf.work()
    assert sorted(statuses(shelf, placed)) == ["need_to_be_sent", "need_to_be_sent", "sent"]
    shelf.in_shop("complete", order.id, tracking=SECOND_DHL)
    shelf.work()
    assert set(statuses(shelf, placed)) == {"sent"}
    assert len(deeds(shelf, "send")) == 3


def test_without_tracking_the_order_waits_and_then_ships_where_that_is_allowed(shelf: World) -> None:
    from datetime import UTC, datetime, timedelta

    from app import clock
    from app.flows.shop_reports import settings  # noqa: F401

    placed = shelf.order(("TEE-001", 1, 790))
    shelf.work()
    shelf.in_shop("complete", only_order(shelf).id)
    shelf.work()
    assert statuses(shelf, placed) == ["need_to_be_sent"]
    order = shelf.session.scalars(select(Order)).one()
    assert timedelta(hours=2, minutes=59) < order.wait_until - datetime.now(UTC) <= timedelta(hours=3)
    clock.end_waits(shelf.session, datetime.now(UTC) + timedelta(hours=2))
    shelf.work()
    assert statuses(shelf, placed) == ["need_to_be_sent"]
    clock.end_waits(shelf.session, datetime.now(UTC) + timedelta(hours=3, minutes=1))
    shelf.work()
    assert statuses(shelf, placed) == ["sent"]
    assert shelf.kaufland.order_units[placed["units"][0]]["shipments"][0]["carrier_code"] == "Other"


def test_the_answer_to_send_is_lost_and_nothing_is_sent_twice(shelf: World) -> None:
    placed = shelf.order(("TEE-001", 2, 790))
    shelf.work()
    shelf.kaufland_app.extensions["faults"].add(Fault("reset", path="/send", effect=True))
    shelf.in_shop("complete", only_order(shelf).id, tracking=DHL)
    shelf.work()
    shelf.hurry()
    shelf.work()
    assert statuses(shelf, placed) == ["sent", "sent"]
    assert len(deeds(shelf, "send")) == 2


# --- cancelling --------------------------------------------------------------------------------------


def test_the_shop_cancels_and_the_marketplace_follows(shelf: World) -> None:
    placed = shelf.order(("TEE-001", 2, 790))
    shelf.work()
    shelf.in_shop("cancel", only_order(shelf).id)
    shelf.work()
    assert statuses(shelf, placed) == ["cancelled", "cancelled"]
    assert shown_stock(shelf, "TEE-001") == 10
    shelf.work()
    assert len(deeds(shelf, "cancel")) == 2


def test_the_buyer_cancels_and_the_shop_stops_and_cancels(shelf: World) -> None:
    placed = shelf.order(("TEE-001", 1, 790))
    shelf.work()
    call("POST", f"{shelf.kaufland_url}/_control/order-units/{placed['units'][0]}/cancel", {})
    shelf.work()
    order = only_order(shelf)
    assert order.status == "cancelled"
    told = [
        command["type"] for command in shelf.shop_books()["commands"] if command["type"] != "order.timeline"
    ]
    assert told[-2:] == ["order.stop_shipping", "order.cancel"]
    assert shown_stock(shelf, "TEE-001") == 10
    assert [deed["by"] for deed in deeds(shelf, "cancel")] == ["customer_service"]


def test_one_piece_is_cancelled_and_the_rest_is_shipped(shelf: World) -> None:
    placed = shelf.order(("TEE-001", 3, 790))
    shelf.work()
    call("POST", f"{shelf.kaufland_url}/_control/order-units/{placed['units'][0]}/cancel", {})
    shelf.work()
    order = only_order(shelf)
    assert order.status == "processing"
    shelf.in_shop("complete", order.id, tracking=DHL)
    shelf.work()
    assert statuses(shelf, placed) == ["cancelled", "sent", "sent"]
    assert shown_stock(shelf, "TEE-001") == 8


def test_everything_cancelled_before_the_shop_heard_of_it_leaves_no_order(shelf: World) -> None:
    placed = shelf.order(("TEE-001", 1, 790), open_seconds=900)
    shelf.work()
    call("POST", f"{shelf.kaufland_url}/_control/order-units/{placed['units'][0]}/cancel", {})
    shelf.work()
    assert shelf.shop.orders == {}
    assert shown_stock(shelf, "TEE-001") == 10


# --- returns and refunds -----------------------------------------------------------------------------


@pytest.fixture
def shipped(shelf: World) -> tuple[World, dict[str, Any]]:
    """Two Assam and one Darjeeling have left."""
    placed = shelf.order(("TEE-001", 2, 790), ("TEE-002", 1, 1250))
    shelf.work()
    shelf.in_shop("complete", only_order(shelf).id, tracking=DHL)
    shelf.work()
    return shelf, placed


def test_a_refund_of_the_shop_reaches_the_marketplace_to_the_cent(
    shipped: tuple[World, dict[str, Any]],
) -> None:
    world, placed = shipped
    order = only_order(world)
    world.in_shop(
        "refund",
        order.id,
        amount="3.00",
        reason="damaged",
        lines=[{"id": order.lines[0].id, "quantity": 1, "amount": "3.00"}],
    )
    world.work()
    world.work()
    assert [deed["amount"] for deed in deeds(world, "refund")] == [300]
    assert world.session.scalar(select(func.sum(OrderPiece.refunded))) == 300
    assert placed["id_order"]


def test_a_piece_refunded_before_the_parcel_left_is_not_in_the_parcel(shelf: World) -> None:
    """Both are told by one look, because the shop sends what is true now."""
    placed = shelf.order(("TEE-001", 2, 790))
    shelf.work()
    order = only_order(shelf)
    shelf.in_shop("refund", order.id, lines=[{"id": order.lines[0].id, "quantity": 1}])
    shelf.in_shop("complete", order.id, tracking=DHL)
    shelf.work()
    shelf.work()
    assert sorted(statuses(shelf, placed)) == ["cancelled", "sent"]
    assert deeds(shelf, "refund") == []
    assert shelf.cases() == []


def test_a_refund_while_the_parcel_is_being_told_is_paid_back_after_it(shelf: World) -> None:
    """The marketplace does not know of the parcel yet, but it will before it hears of the refund: too late to cancel."""
    placed = shelf.order(("TEE-001", 2, 790))
    shelf.work()
    order = only_order(shelf)
    shelf.in_shop("complete", order.id, tracking=DHL | {"shipped_at": "2026-01-01T08:00:00Z"})
    shelf.in_shop("refund", order.id, lines=[{"id": order.lines[0].id, "quantity": 1}])
    shelf.work()
    shelf.work()
    assert statuses(shelf, placed) == ["sent", "sent"]
    assert [deed["amount"] for deed in deeds(shelf, "refund")] == [790]
    assert shelf.cases() == []


def test_a_refund_whose_answer_is_lost_is_never_repeated(shipped: tuple[World, dict[str, Any]]) -> None:
    world, _ = shipped
    order = only_order(world)
    world.kaufland_app.extensions["faults"].add(Fault("reset", path="/refund", effect=True))
    world.in_shop(
        "refund", order.id, amount="3.00", lines=[{"id": order.lines[0].id, "quantity": 1, "amount": "3.00"}]
    )
    world.work()
    for _ in range(3):
        world.hurry()
        world.work()
    assert len(deeds(world, "refund")) == 1
    assert "outcome.unknown_refund" in world.cases()
    outbox.replay(world.session, Command.reason_code == "outcome.unknown_refund")
    world.work()
    assert len(deeds(world, "refund")) == 1
    assert "outcome.unknown_refund" in world.cases()


def test_a_refund_in_doubt_is_repeated_when_a_person_says_that_it_did_not_happen(
    shipped: tuple[World, dict[str, Any]],
) -> None:
    world, _ = shipped
    order = only_order(world)
    world.kaufland_app.extensions["faults"].add(Fault("reset", path="/refund", effect=False))
    world.in_shop(
        "refund", order.id, amount="3.00", lines=[{"id": order.lines[0].id, "quantity": 1, "amount": "3.00"}]
    )
    world.work()
    world.hurry()
    world.work()
    assert deeds(world, "refund") == []
    outbox.replay(world.session, Command.reason_code == "outcome.unknown_refund", it_did_not_happen=True)
    world.work()
    assert len(deeds(world, "refund")) == 1
    assert "outcome.unknown_refund" not in world.cases()


def test_a_buyers_return_is_accepted_when_the_shop_refunds_it(shipped: tuple[World, dict[str, Any]]) -> None:
    world, placed = shipped
    back = call(
        "POST", f"{world.kaufland_url}/_control/returns", {"units": [placed["units"][2]], "reason": "defect"}
    )
    call("POST", f"{world.kaufland_url}/_control/returns/{back['id_return']}/arrive", {})
    world.work()
    order = only_order(world)
    world.in_shop(
        "refund",
        order.id,
        amount="12.50",
        lines=[{"id": order.lines[1].id, "quantity": 1, "amount": "12.50"}],
    )
    world.work()
    world.work()
    assert len(deeds(world, "accept_return")) == 1
    assert deeds(world, "refund") == [] or all(deed.get("by") != "seller" for deed in deeds(world, "refund"))
    assert world.session.scalars(select(Refund)).one().origin == "shop"
    assert len(order.refunds) == 1


def test_a_return_that_the_marketplace_settles_becomes_a_refund_in_the_shop(
    shipped: tuple[World, dict[str, Any]],
) -> None:
    world, placed = shipped
    back = call(
        "POST", f"{world.kaufland_url}/_control/returns", {"units": [placed["units"][2]], "reason": "defect"}
    )
    call("POST", f"{world.kaufland_url}/_control/returns/{back['id_return']}/arrive", {})
    world.work()
    world.kaufland.advance(6 * 86400)
    world.work()
    world.work()
    order = only_order(world)
    assert [refund.amount for refund in order.refunds] == [1250]
    assert world.session.scalars(select(Refund)).one().origin == "marketplace"


# --- what must not happen -----------------------------------------------------------------------------


def test_every_event_is_done_and_every_command_too(shipped: tuple[World, dict[str, Any]]) -> None:
    world, _ = shipped
    assert set(world.session.scalars(select(Event.state))) <= {"done", "superseded"}
    assert set(world.session.scalars(select(Command.state))) == {"done"}


def test_an_event_of_a_newer_plugin_is_kept_and_said_to_be_not_understood(shelf: World) -> None:
    shelf.shop.outbox.add("order.updated", "order/1042", fixed={"id": 1042})
    shelf.work()
    event = shelf.session.scalars(select(Event).where(Event.type == "order.updated")).one()
    assert (event.state, event.reason_code) == ("refused", "event.not_understood")


def test_wrong_credentials_pause_the_connection_with_a_reason(shelf: World) -> None:
    shelf.kaufland.sellers.clear()
    shelf.work()
    state = shelf.session.execute(
        text("SELECT state, reason_code FROM connection WHERE provider = 'kaufland'")
    ).one()
    assert state.state == "needs_attention"
    assert state.reason_code == "credentials.refused"


def test_an_order_seen_before_a_shop_was_connected_lands_later(shelf: World) -> None:
    from datetime import UTC, datetime

    from app import clock

    shelf.session.execute(text("UPDATE connection SET shop_id = NULL WHERE provider = 'kaufland'"))
    shelf.session.commit()
    shelf.order(("TEE-001", 1, 790))
    shelf.work()
    assert shelf.shop.orders == {}
    assert "order.no_shop" in shelf.cases()
    shelf.session.execute(
        text("UPDATE connection SET shop_id = :shop WHERE provider = 'kaufland'"),
        {"shop": shelf.shop_connection},
    )
    shelf.session.commit()
    clock.catch_up_orders(shelf.session, datetime.now(UTC))
    shelf.work(poll=False)
    assert len(shelf.shop.orders) == 1
    assert "order.no_shop" not in shelf.cases()


def test_a_status_nobody_knows_lands_on_hold_and_goes_on_when_it_makes_sense(shelf: World) -> None:
    faults = shelf.kaufland_app.extensions["faults"]
    odd = faults.add(Fault("unknown_enum", path="/v2/order-units", count=-1))
    placed = shelf.order(("TEE-001", 1, 790))
    shelf.work()
    order = only_order(shelf)
    assert order.status == "on-hold"
    assert "order.piece_unclear" in shelf.cases()
    odd.count = 0
    faults.clear()
    shelf.work()
    assert order.status == "processing"
    assert "order.piece_unclear" not in shelf.cases()
    shelf.in_shop("complete", order.id, tracking=DHL)
    shelf.work()
    assert statuses(shelf, placed) == ["sent"]


def test_the_shop_shows_the_story_of_the_order(shelf: World) -> None:
    shelf.order(("TEE-001", 1, 790))
    shelf.work()
    story = next(iter(shelf.shop_books()["timelines"].values()))
    assert "noch nicht abgeschlossen" in story["next"]
    assert len(story["entries"]) >= 2
    shelf.in_shop("complete", only_order(shelf).id, tracking=DHL)
    shelf.work()
    story = next(iter(shelf.shop_books()["timelines"].values()))
    assert story["next"] == ""


def test_what_happened_before_we_were_connected_is_left_alone(shelf: World) -> None:
    placed = shelf.order(("TEE-001", 1, 790))
    call("POST", f"{shelf.kaufland_url}/_control/order-units/{placed['units'][0]}/cancel", {})
    shelf.work()
    assert shelf.session.scalars(select(Order)).all() == []
