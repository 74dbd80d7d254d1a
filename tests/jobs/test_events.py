"""The way in, batch by batch: what one bad event may do to its neighbours, and what two workers do to each other."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, text
from world import World, call

from app import inbox
from app.extensions import db
from app.flows import order_shipped
from app.jobs.events import Inbox
from app.models import Event


def test_an_event_that_crashes_a_flow_is_put_off_and_its_neighbours_are_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    world.product("TEE-001", "4006381333931")
    world.work()
    world.order(("TEE-001", 1, 790))
    world.work()
    (order,) = world.shop.orders.values()
    world.bridge.config["SHOPBRIDGE_RETRY_SCALE"] = 1
    monkeypatch.setattr(order_shipped, "from_shop", crash)
    world.in_shop("complete", order.id)
    call("POST", f"{world.shop_url}/_control/buy", {"lines": [{"sku": "TEE-001", "quantity": 1}]})
    world.work()
    waiting = world.session.execute(select(Event.type, Event.reason_code).where(Event.state == "due")).all()
    states = {row.type: row.reason_code for row in waiting}
    assert states == {"order.changed": "job.crashed"}


def test_an_order_is_worked_off_while_no_offer_of_its_batch_is_locked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who creates an order in the shop locks the order and then its offers; a batch that does it the other way round makes a deadlock."""
    free: list[int] = []
    one = Inbox._one

    def look(inbox: Inbox, event: Any, data: Any) -> Any:
        with db.engine.begin() as other:
            free.append(len(other.execute(text("SELECT id FROM offer FOR UPDATE NOWAIT")).all()))
        return one(inbox, event, data)

    product = world.product("TEE-001", "4006381333931")
    world.work()
    world.order(("TEE-001", 1, 790))
    world.work()
    (order,) = world.shop.orders.values()
    monkeypatch.setattr(Inbox, "_one", look)
    call("PATCH", f"{world.shop_url}/_control/products/{product['id']}", {"stock": 5, "price": "8.10"})
    world.in_shop("complete", order.id)
    world.work()
    assert set(free) == {1}


def test_only_orders_of_the_bridge_get_a_turn_of_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shop's own orders are most of its events, and nothing follows from them."""
    turns: list[str] = []
    one = Inbox._one
    monkeypatch.setattr(
        Inbox, "_one", lambda inbox, event, data: turns.append(event.subject) or one(inbox, event, data)
    )
    world.product("TEE-001", "4006381333931")
    world.work()
    world.order(("TEE-001", 1, 790))
    world.work()
    (order,) = world.shop.orders.values()
    turns.clear()
    world.in_shop("complete", order.id)
    for _ in range(3):
        call("POST", f"{world.shop_url}/_control/buy", {"lines": [{"sku": "TEE-001", "quantity": 1}]})
    world.work()
    assert set(turns) == {f"order/{order.id}"}
    states = world.session.execute(select(Event.state).where(Event.type.like("order.%"))).scalars()
    assert set(states) == {"done"}


def test_an_unreadable_order_of_the_shop_is_refused_beside_a_readable_one(world: World) -> None:
    call(
        "POST",
        f"{world.shop_url}/_control/buy",
        {"lines": [{"sku": world.product("TEE-001", "4006381333931")["sku"], "quantity": 1}]},
    )
    account_id = world.session.scalar(select(Event.account_id).limit(1)) or world.account.id
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        inbox.accept(
            connection,
            account_id=account_id,
            connection_id=world.shop_connection,
            delivery_id="evt_unreadable",
            kind="order.changed",
            subject="order/9999",
            sequence=1,
            happened_at=datetime.now(UTC),
            body=json.dumps({"data": {"id": 9999}}).encode(),
        )
    world.work()
    found = dict(
        world.session.execute(select(Event.subject, Event.state).where(Event.type.like("order.%"))).all()
    )
    assert found.pop("order/9999") == "refused"
    assert set(found.values()) == {"done"}
