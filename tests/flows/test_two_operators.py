"""One merchant at two operators that run the same software: their order numbers, and even their pieces, may be called alike."""

from datetime import UTC, datetime
from typing import Any

import pytest
from world import World

from app import messages as m
from app.errors import Refused
from app.flows import order_placed
from app.models import Connection


def seen(piece: str = "A-1/1/1") -> m.OrderSeen:
    address = m.Address(first_name="Mia", last_name="Muster", country="DE")
    unit = m.PieceSeen(piece, "A-1/1", "TEE-001", None, "Assam", 790, 0, m.PieceState.TO_SHIP, "SHIPPING")
    return m.OrderSeen("A-1", datetime(2026, 11, 21, tzinfo=UTC), "EUR", (unit,), None, address)


def connected(world: World, name: str, provider: str, settings: dict[str, Any]) -> Connection:
    shop = world.session.get_one(Connection, world.shop_connection)
    found = Connection(
        account_id=shop.account_id,
        key=f"cn_{name}",
        provider=provider,
        role="marketplace",
        name=name,
        settings=settings,
        state="active",
        shop_id=shop.id,
    )
    world.session.add(found)
    world.session.commit()
    return found


def key(world: World, connection: Connection, order: m.OrderSeen) -> str:
    (found,) = order_placed.receive(world.session, connection, order)
    world.session.commit()
    return found.key


MIRAKL = [{"host": "https://one.example/api"}, {"host": "https://two.example/api"}]
EMAG = [{"platform": "ro"}, {"platform": "bg"}]


@pytest.mark.parametrize(("provider", "settings"), [("mirakl", MIRAKL), ("emag", EMAG)])
def test_orders_of_two_operators_with_the_same_number_and_pieces_both_land(
    world: World, provider: str, settings: list[dict[str, Any]]
) -> None:
    first, second = (connected(world, f"{n}", provider, each) for n, each in enumerate(settings))
    keys = [key(world, each, seen()) for each in (first, second, first, second)]
    assert keys[0] == f"{provider}:A-1"
    assert len(set(keys)) == 2
    assert keys[2:] == keys[:2]


def test_one_account_that_is_connected_twice_is_found_out_also_at_the_second_operator(world: World) -> None:
    first, second, again = (
        connected(world, f"{n}", "mirakl", each) for n, each in enumerate([*MIRAKL, MIRAKL[1]])
    )
    key(world, first, seen())
    key(world, second, seen())
    with pytest.raises(Refused, match=r"order\.seen_twice"):
        order_placed.receive(world.session, again, seen())
    assert key(world, again, seen("A-1/2/1")).endswith("A-1/2/1@https://two.example/api")
