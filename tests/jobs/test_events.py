"""The way in, batch by batch: what one bad event may do to its neighbours, and what two workers do to each other."""

from typing import Any

import pytest
from sqlalchemy import select, text
from world import World, call

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
