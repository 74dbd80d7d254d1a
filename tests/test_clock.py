from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
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


def test_what_was_planned_while_the_clock_was_a_month_ahead_is_not_waited_for(world: World) -> None:
    world.product("TEE-001", "4006381333931")
    world.work()
    world.order(("TEE-001", 1, 790))
    world.ask()
    world.session.execute(text("UPDATE schedule SET due_at = now() + interval '30 days'"))
    world.session.execute(text("UPDATE command SET next_attempt_at = now() + interval '30 days'"))
    world.session.execute(text("UPDATE connection SET paused_until = now() + interval '30 days'"))
    world.session.commit()
    world.work(poll=False)
    assert world.shop.orders == {}
    clock.sweep(datetime.now(UTC), purge=True)
    world.work(poll=False)
    assert len(world.shop.orders) == 1
    assert world.session.scalar(text("SELECT max(due_at) <= now() FROM schedule"))


def test_a_wait_of_the_plan_is_left_as_it_is(world: World) -> None:
    world.product("TEE-001", "4006381333931")
    world.work()
    world.session.execute(text("UPDATE offer SET next_attempt_at = now() + interval '27 hours'"))
    world.session.commit()
    clock.after_a_wrong_clock(world.session(), datetime.now(UTC))
    assert world.session.scalar(text("SELECT min(next_attempt_at) > now() FROM offer"))
