"""The story in a shop's order box: what a refusal of the shop means for it."""

from typing import Any

import pytest
from sqlalchemy import select, text
from world import World

from app.errors import Refused, Unauthorised
from app.flows import order_timeline
from app.models import Connection, Order


class Refusing:
    """A shop that answers every story with one error."""

    def __init__(self, error: Refused) -> None:
        self.error = error

    def send(self, command_id: str, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        raise self.error


@pytest.fixture
def told(world: World) -> World:
    """An order whose story is due again."""
    world.product("TEE-001", "4006381333931", stock=10)
    world.work()
    world.order(("TEE-001", 1, 790))
    world.work()
    world.session.execute(text("UPDATE orders SET story_due = now() - interval '1 second'"))
    world.session.commit()
    return world


def push(world: World, error: Refused) -> int:
    shop = world.session.get_one(Connection, world.shop_connection)
    return order_timeline.push(world.session, shop, Refusing(error))  # type: ignore[arg-type]


def due(world: World) -> list[bool]:
    world.session.rollback()
    return [each is not None for each in world.session.scalars(select(Order.story_due))]


def test_credentials_that_do_not_work_are_told_and_the_story_stays_due(told: World) -> None:
    """Swallowed, the connection would look well, and the box would stay old for ever."""
    with pytest.raises(Unauthorised):
        push(told, Unauthorised("credentials.refused"))
    assert due(told) == [True]


def test_an_order_that_is_gone_from_the_shop_needs_no_story(told: World) -> None:
    assert push(told, Refused("shop.order_not_found")) == 1
    assert due(told) == [False]
