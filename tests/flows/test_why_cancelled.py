"""Marketplaces rate sellers by why they cancel: they read what the merchant wrote, where that is plain (C6)."""

import pytest
from world import World

from app.rules.refund import cancel_word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Ausverkauft", "out_of_stock"),
        ("leider nicht vorra\u0308tig", "out_of_stock"),
        ("Sorry, sold out", "out_of_stock"),
        ("Kunde hat storniert", "buyer_cancelled"),
        ("cancelled by customer", "buyer_cancelled"),
        ("Kunde storniert, weil ausverkauft", "other"),
        ("Lager", "other"),
        ("", "other"),
    ],
)
def test_only_what_is_plain_has_a_word(text: str, word: str) -> None:
    assert cancel_word(text) == word


@pytest.mark.parametrize(("text", "told"), [("ausverkauft", "NoInventory"), ("Kulanz", "GeneralAdjustment")])
def test_the_marketplace_reads_why_a_piece_does_not_come(world: World, text: str, told: str) -> None:
    world.product("TEE-001", "4006381333931", stock=10)
    world.work()
    placed = world.order(("TEE-001", 2, 790))
    world.work()
    (order,) = world.shop.orders.values()
    line = {"id": str(order.lines[0].id), "quantity": 1}
    world.in_shop("refund", order.id, lines=[line], reason=text)
    world.work()
    units = [world.kaufland.order_units[unit] for unit in placed["units"]]
    assert [unit["cancel_reason"] for unit in units if unit["status"] == "cancelled"] == [told]
