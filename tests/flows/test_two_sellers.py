"""One merchant with two seller accounts at the same marketplace: a buyer's order may have pieces of both."""

from datetime import UTC, datetime

import pytest
from world import World

from app import messages as m
from app.errors import Refused
from app.flows import order_placed
from app.models import Connection
from app.sandbox.kaufland.world import DEMO_CLIENT_KEY


def seen(piece: str) -> m.OrderSeen:
    address = m.Address(first_name="Mia", last_name="Muster", country="DE")
    unit = m.PieceSeen(
        piece, "group", "TEE-001", None, "Assam", 790, 0, m.PieceState.TO_SHIP, "need_to_be_sent"
    )
    return m.OrderSeen("M7X2K9P", datetime(2026, 11, 21, tzinfo=UTC), "EUR", (unit,), None, address)


def test_both_parts_of_a_buyers_order_land_under_keys_of_their_own(world: World) -> None:
    first = world.session.get_one(Connection, world.kaufland_connection)
    second = Connection(
        account_id=first.account_id,
        key="cn_second",
        provider="kaufland",
        role="marketplace",
        name=f"Second {DEMO_CLIENT_KEY[:3]}",
        state="active",
        shop_id=first.shop_id,
    )
    world.session.add(second)
    world.session.flush()
    keys = []
    for connection, piece in ((first, "1001"), (second, "2002"), (second, "2002")):
        (order,) = order_placed.receive(world.session, connection, seen(piece))
        world.session.commit()
        keys.append(order.key)
    assert keys == ["kaufland:M7X2K9P", "kaufland:M7X2K9P:2002", "kaufland:M7X2K9P:2002"]


def test_the_same_pieces_through_two_connections_are_one_order_and_a_reason(world: World) -> None:
    first = world.session.get_one(Connection, world.kaufland_connection)
    again = Connection(
        account_id=first.account_id,
        key="cn_again",
        provider="kaufland",
        role="marketplace",
        name="Kaufland again",
        state="active",
        shop_id=first.shop_id,
    )
    world.session.add(again)
    world.session.flush()
    order_placed.receive(world.session, first, seen("1001"))
    with pytest.raises(Refused, match=r"order\.seen_twice"):
        order_placed.receive(world.session, again, seen("1001"))
