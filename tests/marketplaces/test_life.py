"""The life of offers and orders at every marketplace, through the whole bridge: shop, flows, client, simulated partner. No name is spoken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from flask import Flask
from market_world import GOODS, Market, market

from app import registry
from app.extensions import db
from app.models import Connection
from app.rules.reasons import sentence
from app.sandbox import simulators
from app.sandbox.faults import Fault

# Not every partner has returns of goods that the seller ships.
RETURNING = [
    key for key, simulator in simulators().items() if registry.provider(key).can(simulator.settings).returns
]


@pytest.fixture(params=sorted(simulators()))
def at(request: pytest.FixtureRequest, app: Flask) -> Iterator[Market]:
    """A merchant with his goods on sale at one marketplace."""
    with market(app, simulators()[request.param]) as found:
        yield found


def states(at: Market, order: dict[str, object]) -> list[str]:
    return sorted(piece["state"] for piece in at.pieces(order).values())


def once(at: Market, kind: str) -> bool:
    """Every piece was the subject of this deed at most once."""
    return max(Counter(piece for deed in at.deeds(kind) for piece in deed["pieces"]).values(), default=0) <= 1


def test_goods_go_on_sale_with_their_stock_and_price(at: Market) -> None:
    offers = at.offers()
    assert {sku: (offers[sku]["stock"], offers[sku]["price"]) for sku in GOODS} == dict.fromkeys(
        GOODS, (10, 790)
    )
    assert all(offers[sku]["on"] for sku in GOODS)
    assert at.cases() == []


def test_a_sale_lands_in_the_shop_once_and_takes_its_stock(at: Market) -> None:
    order = at.buy(("TEE-001", 2), ("TEE-002", 1))
    at.work()
    (here,) = at.orders_in_shop()
    assert {line.sku: line.quantity for line in here.lines} == {"TEE-001": 2, "TEE-002": 1}
    assert here.total == 3 * 790 + here.shipping
    assert states(at, order) == ["to_ship"] * 3
    assert at.offers()["TEE-001"]["stock"] == 8
    at.work()
    assert len(at.orders_in_shop()) == 1


def test_what_leaves_the_shop_is_shipped_there_once(at: Market) -> None:
    order = at.buy(("TEE-001", 2))
    at.work()
    number = at.ship(at.orders_in_shop()[0])
    at.work()
    pieces = at.pieces(order).values()
    assert {piece["state"] for piece in pieces} <= {"shipped", "delivered"}
    assert {piece["tracking_number"] for piece in pieces} == {number if at.can.takes_numbers else None}
    assert once(at, "ship")
    assert at.cases() == []


def test_an_order_of_two_parcels_is_shipped_there_whole(at: Market) -> None:
    order = at.buy(("TEE-001", 2))
    at.work()
    (here,) = at.orders_in_shop()
    for _ in range(2):
        at.ship(here, [{"id": str(here.lines[0].id), "quantity": 1}])
        at.work()
    assert set(states(at, order)) <= {"shipped", "delivered"}
    assert once(at, "ship")


def test_what_the_shop_cancels_is_cancelled_there(at: Market) -> None:
    order = at.buy(("TEE-001", 2))
    at.work()
    at.in_shop("cancel", at.orders_in_shop()[0].id)
    at.work()
    assert states(at, order) == ["cancelled"] * 2
    assert once(at, "cancel")
    assert at.offers()["TEE-001"]["stock"] == 10


def test_what_the_buyer_cancels_is_stopped_in_the_shop(at: Market) -> None:
    order = at.buy(("TEE-001", 1), state="announced")
    at.work()
    at.control("cancel", {"order": order["order"]})
    at.work()
    assert states(at, order) == ["cancelled"]
    assert [each.status for each in at.orders_in_shop()] in ([], ["cancelled"])
    assert at.offers()["TEE-001"]["stock"] == 10


def test_a_refund_in_the_shop_gives_the_buyer_that_amount_or_a_reason(at: Market) -> None:
    order = at.buy(("TEE-001", 1))
    at.work()
    (here,) = at.orders_in_shop()
    at.ship(here)
    at.work()
    at.in_shop("refund", here.id, amount="2.00", reason="beschädigt")
    at.work()
    refunded = sum(piece["refunded"] for piece in at.pieces(order).values())
    assert refunded == (200 if at.can.refund_amounts else 0)
    assert bool(at.cases()) is not at.can.refund_amounts
    assert len(at.deeds("refund")) == int(at.can.refund_amounts)


@pytest.mark.parametrize("at", RETURNING, indirect=True)
def test_a_returned_piece_that_the_shop_refunds_is_settled_there(at: Market) -> None:
    order = at.buy(("TEE-001", 1))
    at.work()
    (here,) = at.orders_in_shop()
    at.ship(here)
    at.work()
    at.control("return", {"pieces": order["pieces"]})
    at.work()
    at.in_shop("refund", here.id, lines=[{"id": str(here.lines[0].id), "quantity": 1}], reason="Retoure")
    at.work()
    assert sum(piece["refunded"] for piece in at.pieces(order).values()) >= 790
    assert once(at, "accept_return")


def test_a_change_of_stock_reaches_the_marketplace_and_nothing_else_changes(at: Market) -> None:
    product = next(each for each in at.shop.products.values() if each.sku == "TEE-002")
    before = at.offers()
    at.shop.change_product(product.id, {"stock": 4})
    at.work()
    after = at.offers()
    assert after["TEE-002"]["stock"] == 4
    assert after["TEE-002"]["price"] == before["TEE-002"]["price"]
    assert after["TEE-001"] == before["TEE-001"]


def test_credentials_that_are_refused_stop_the_connection_with_a_sentence(at: Market) -> None:
    at.faults.add(Fault("status", status=401, count=-1))
    at.step()
    found = db.session.get_one(Connection, at.market_connection)
    assert found.state == "needs_attention"
    said = [sentence(code, {}, language) for code in at.cases() for language in ("de", "en")]
    assert said
    assert not any(found.reason_code in each for each in said)


@pytest.mark.parametrize("effect", [True, False])
@pytest.mark.parametrize("deed", ["ship", "cancel"])
def test_a_lost_answer_never_doubles_a_deed(at: Market, deed: str, effect: bool) -> None:
    order = at.buy(("TEE-001", 2))
    at.work()
    (here,) = at.orders_in_shop()
    for method in ("POST", "PUT", "PATCH"):
        at.faults.add(Fault("reset", method=method, effect=effect, count=2))
    if deed == "ship":
        at.ship(here)
    else:
        at.in_shop("cancel", here.id)
    at.work(rounds=12)
    at.faults.clear()
    at.work()
    wanted = {"shipped", "delivered"} if deed == "ship" else {"cancelled"}
    assert set(states(at, order)) <= wanted
    assert once(at, deed)
