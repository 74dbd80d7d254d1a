from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from world import World

from app import clock
from app.flows import order_shipped
from app.models import Order


def test_an_order_whose_wait_cannot_be_ended_does_not_keep_the_next_one_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = order_shipped.wait_is_over

    def crash_for_the_first(session: Any, order: Order, *rest: Any) -> None:
        if order.external_id == placed[0]["id_order"]:
            raise ZeroDivisionError
        end(session, order, *rest)

    world.product("TEE-001", "4006381333931")
    world.work()
    placed = [world.order(("TEE-001", 1, 790)) for _ in range(2)]
    world.work()
    for order in world.shop.orders.values():
        world.in_shop("complete", order.id)
    world.work()
    monkeypatch.setattr(order_shipped, "wait_is_over", crash_for_the_first)
    clock.end_waits(world.session, datetime.now(UTC) + timedelta(hours=4))
    world.work()
    statuses = [world.kaufland.order_units[each["units"][0]]["status"] for each in placed]
    assert statuses == ["need_to_be_sent", "sent"]
    still = world.session.scalars(select(Order.external_id).where(Order.wait_until.is_not(None))).all()
    assert still == [placed[0]["id_order"]]
