"""The stories of an order, told end to end over real HTTP: marketplace, bridge and shop agree afterwards."""

import pytest
from world import World, call

ASSAM, DARJEELING = "4006381333931", "4012345678901"


@pytest.fixture
def shelf(world: World) -> World:
    """Two products on sale."""
    world.product("TEE-001", ASSAM, stock=10)
    world.product("TEE-002", DARJEELING, stock=5, price="12.50")
    world.work()
    return world


def kaufland_units(world: World) -> dict[str, dict]:
    return {unit["id_offer"]: unit for unit in world.kaufland.units.values()}


def test_a_product_of_the_shop_is_on_sale_at_the_marketplace(shelf: World) -> None:
    units = kaufland_units(shelf)
    assert units["TEE-001"]["listing_price"] == 790
    assert shelf.kaufland.unit_json(units["TEE-001"])["amount"] == 10


def test_an_order_travels_from_the_marketplace_to_the_shop_and_back(shelf: World) -> None:
    placed = shelf.order(("TEE-001", 2, 790), ("TEE-002", 1, 1250))
    shelf.work()
    books = shelf.shop_books()
    print(books)
    orders = list(shelf.shop.orders.values())
    assert len(orders) == 1
    assert [line.quantity for line in orders[0].lines] == [2, 1]
    shelf.in_shop("complete", orders[0].id, tracking={"number": "00340434161094015902", "carrier": "DHL"})
    shelf.work()
    states = {unit_id: shelf.kaufland.order_units[unit_id]["status"] for unit_id in placed["units"]}
    assert set(states.values()) == {"sent"}, (states, shelf.cases())
