"""The way out: what a worker that dies in the middle leaves behind."""

from typing import Any

import pytest
from sqlalchemy import select
from world import World, call

from app import jobs
from app.flows import order_placed
from app.jobs import commands as commands_job
from app.models import Command


class Killed(BaseException):
    """What a worker sees of kill -9: nothing is caught, nothing is written down any more."""


def test_a_worker_that_dies_leaves_only_the_command_in_its_hands_in_doubt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise Killed

    world.product("TEE-001", "4006381333931")
    world.work()
    for _ in range(3):
        world.order(("TEE-001", 1, 790))
    world.ask()
    monkeypatch.setitem(commands_job.DELIVERIES, "order.create", die)
    with pytest.raises(Killed):
        commands_job.Outbox(world.shop_connection).drain()
    world.session.rollback()
    creations = world.session.scalars(
        select(Command).where(Command.kind == "order.create").order_by(Command.id)
    ).all()
    assert [command.in_doubt for command in creations] == [True, False, False]
    assert [command.attempts for command in creations] == [1, 0, 0]
    monkeypatch.setitem(commands_job.DELIVERIES, "order.create", order_placed.deliver_create)
    world.hurry()
    world.work()
    assert len(world.shop.orders) == 3


def test_a_long_row_of_deeds_does_not_keep_an_old_stock_on_sale(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new stock goes out between two parcels, not after the last."""
    product = world.product("TEE-001", "4006381333931")
    world.work()
    for _ in range(3):
        world.order(("TEE-001", 1, 790))
    world.work()
    for order in list(world.shop.orders.values()):
        world.in_shop(
            "complete", order.id, tracking={"number": f"0034043416109401590{order.id}", "carrier": "DHL"}
        )
    call("PATCH", f"{world.shop_url}/_control/products/{product['id']}", {"stock": 3})
    for _ in range(6):
        world.send_events()
    jobs.drain_inbox(world.shop_connection)
    monkeypatch.setattr(commands_job, "OFFERS_EVERY", 0.0)
    world.kaufland.deeds.clear()
    jobs.drain_outbox(world.kaufland_connection)
    assert [deed["deed"] for deed in world.kaufland.deeds] == ["send", "update_unit", "send", "send"]
