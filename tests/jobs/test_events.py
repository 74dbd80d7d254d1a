"""The way in, batch by batch: what one bad event may do to its neighbours, and what two workers do to each other."""

from typing import Any

import pytest
from sqlalchemy import select
from world import World, call

from app.flows import order_shipped
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
    states = dict(
        world.session.execute(select(Event.type, Event.reason_code).where(Event.state == "due"))
        .tuples()
        .all()
    )
    assert states == {"order.changed": "job.crashed"}
