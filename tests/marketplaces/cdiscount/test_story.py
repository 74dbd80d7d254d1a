"""A shop on Cdiscount, through the whole bridge: what is peculiar to Octopia (money back by line, whole lines only, a seller who decides himself)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from market_world import Market, market

from app.sandbox.cdiscount import SIMULATOR


@pytest.fixture
def at(app: Flask) -> Iterator[Market]:
    with market(app, SIMULATOR) as found:
        yield found


def world(at: Market) -> Any:
    return at.market_app.extensions["cdiscount"]


def sent(at: Market, *lines: tuple[str, int]) -> tuple[dict[str, Any], Any]:
    """An order that has left; at the marketplace and in the shop."""
    order = at.buy(*lines)
    at.work()
    (here,) = at.orders_in_shop()
    at.ship(here)
    at.work()
    return order, here


def refunded(at: Market, order: dict[str, Any]) -> int:
    return sum(int(each["refunded"]) for each in at.pieces(order).values())


def test_a_whole_line_that_the_shop_refunds_goes_back_once(at: Market) -> None:
    order, here = sent(at, ("TEE-001", 1), ("TEE-002", 1))
    line = next(each for each in here.lines if each.sku == "TEE-001")
    at.in_shop("refund", here.id, lines=[{"id": str(line.id), "quantity": 1}], reason="Retoure")
    at.work()
    assert refunded(at, order) == 790
    assert [(each["amount"], len(each["pieces"])) for each in at.deeds("refund")] == [(790, 1)]
    # Octopia shows the line as cancelled: neither a second refund in the shop nor a stop.
    assert [each.amount for each in at.orders_in_shop()[0].refunds] == [790]
    assert at.orders_in_shop()[0].status != "cancelled"
    assert at.cases() == []


def test_a_line_that_octopia_gives_back_becomes_a_refund_in_the_shop(at: Market) -> None:
    order, _ = sent(at, ("TEE-001", 1), ("TEE-002", 1))
    with world(at).lock:
        found = world(at).orders[order["order"]]
        world(at).request(found, [next(iter(found["lines"]))], "ProductReturned", shipping=True)
    at.work()
    assert [each.amount for each in at.orders_in_shop()[0].refunds] == [790]
    assert len(at.deeds("refund")) == 1


def test_an_amount_that_octopia_does_not_allow_becomes_a_case(at: Market) -> None:
    order, here = sent(at, ("TEE-001", 1))
    at.in_shop("refund", here.id, amount="7.00", reason="beschädigt")
    at.work()
    assert refunded(at, order) == 0
    assert at.cases() == ["cdiscount.gesture_too_high"]


def test_an_order_that_the_buyer_cancels_while_it_waits_never_leaves(at: Market) -> None:
    order = at.buy(("TEE-001", 1))
    at.control("cancel", {"order": order["order"]})
    at.work()
    assert {each["state"] for each in at.pieces(order).values()} == {"cancelled"}
    assert [each.status for each in at.orders_in_shop()] in ([], ["cancelled"])
    assert at.deeds("accept") == []
    assert at.offers()["TEE-001"]["stock"] == 10
