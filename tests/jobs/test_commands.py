"""The way out: what a worker that dies in the middle leaves behind."""

from typing import Any

import pytest
from sqlalchemy import select
from world import World

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
