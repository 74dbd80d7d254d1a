"""A shop's story at a Mirakl operator, through the whole bridge: what is special about Mirakl (it counts units, and pays no return by itself)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from market_world import Market, market
from sqlalchemy import select

from app.extensions import db
from app.models import Attempt, Offer, OrderPiece, Product
from app.sandbox.mirakl import SIMULATOR

NEW_GTIN = "4006381333993"


@pytest.fixture
def at(app: Flask) -> Iterator[Market]:
    with market(app, SIMULATOR) as found:
        yield found


@pytest.fixture
def whole(app: Flask) -> Iterator[Market]:
    """At an operator whose orders leave as a whole."""
    settings = {**SIMULATOR.settings, "multi_shipment": False}
    with market(app, replace(SIMULATOR, settings=settings)) as found:
        found.control("conduct", {"multi_shipment": False})
        yield found


@pytest.fixture
def creating(app: Flask) -> Iterator[Market]:
    """At an operator that knows how the merchant's products become its own."""
    mapping = {"marca": "brand", "peso": "=100 g", "image_1": "image"}
    settings = {**SIMULATOR.settings, "categories": {"*": "TEE"}, "product_mapping": mapping}
    with market(app, replace(SIMULATOR, settings=settings)) as found:
        yield found


@pytest.fixture
def netto(app: Flask) -> Iterator[Market]:
    """At an operator that reckons without tax."""
    settings = {**SIMULATOR.settings, "offer_prices": "net", "default_vat_percent": "22"}
    with market(app, replace(SIMULATOR, settings=settings)) as found:
        found.control("conduct", {"tax_mode": "TAX_EXCLUDED", "tax_percent": 22})
        yield found


def offered(sku: str) -> tuple[str, str | None]:
    """State and reason of an offer here."""
    db.session.rollback()
    row = db.session.execute(
        select(Offer.state, Offer.reason_code)
        .join(Product, Product.id == Offer.product_id)
        .where(Product.sku == sku)
    ).one()
    return str(row.state), row.reason_code


def imports() -> list[str]:
    """The files that an operator took, in their order."""
    db.session.rollback()
    named = Attempt.operation.startswith("import_")
    return [
        *db.session.scalars(
            select(Attempt.operation).where(named, Attempt.method == "POST").order_by(Attempt.id)
        )
    ]


def there(at: Market, order: dict[str, Any]) -> Counter[str]:
    """How many pieces of an order are in which state at the operator."""
    return Counter(each["state"] for each in at.pieces(order).values())


def here() -> Counter[str]:
    """The same as the bridge has it."""
    return Counter(str(each) for each in db.session.scalars(select(OrderPiece.state)))


def line(order: Any) -> dict[str, Any]:
    return {"id": str(order.lines[0].id), "quantity": 1}


def test_one_piece_less_is_one_piece_less_however_often_is_looked(at: Market) -> None:
    order = at.buy(("TEE-001", 3))
    at.work()
    (sold,) = at.orders_in_shop()
    at.in_shop("refund", sold.id, lines=[line(sold)], reason="ausverkauft")
    at.work()
    at.work()
    assert there(at, order) == here() == {"to_ship": 2, "cancelled": 1}
    at.ship(sold)
    at.work()
    assert there(at, order) == here() == {"shipped": 2, "cancelled": 1}


def test_what_the_buyer_and_the_shop_cancel_of_one_line_adds_up(at: Market) -> None:
    order = at.buy(("TEE-001", 3))
    at.work()
    (sold,) = at.orders_in_shop()
    at.in_shop("refund", sold.id, lines=[line(sold)], reason="ausverkauft")
    at.work()
    at.control("cancel", {"pieces": order["pieces"][:1]})
    at.work()
    assert there(at, order) == here() == {"to_ship": 1, "cancelled": 2}


def test_a_parcel_with_a_part_of_a_line_is_that_part(at: Market) -> None:
    order = at.buy(("TEE-001", 3))
    at.work()
    (sold,) = at.orders_in_shop()
    first = at.ship(sold, [line(sold)])
    at.work()
    assert there(at, order) == here() == {"shipped": 1, "to_ship": 2}
    second = at.ship(sold)
    at.work()
    assert there(at, order) == here() == {"shipped": 3}
    numbers = Counter(each["tracking_number"] for each in at.pieces(order).values())
    assert numbers == {first: 1, second: 2}


def test_an_operator_without_several_parcels_gets_one(whole: Market) -> None:
    order = whole.buy(("TEE-001", 2), ("TEE-002", 1))
    whole.work()
    number = whole.ship(whole.orders_in_shop()[0])
    whole.work()
    assert there(whole, order) == here() == {"shipped": 3}
    assert {each["tracking_number"] for each in whole.pieces(order).values()} == {number}
    assert whole.cases() == []


def test_a_returned_piece_is_paid_back_once(at: Market) -> None:
    order = at.buy(("TEE-001", 2))
    at.work()
    (sold,) = at.orders_in_shop()
    at.ship(sold)
    at.work()
    at.control("return", {"pieces": order["pieces"][:1]})
    at.work()
    at.in_shop("refund", sold.id, lines=[line(sold)], reason="Retoure")
    at.work()
    at.work()
    assert [each["amount"] for each in at.deeds("refund")] == [790]
    assert len(at.deeds("accept_return")) == 1
    assert at.cases() == []


def test_an_unknown_product_is_created_and_then_offered(creating: Market) -> None:
    creating.product("TEE-900", NEW_GTIN, stock=4)
    creating.work()
    creating.work()
    assert offered("TEE-900") == ("on_sale", None)
    assert creating.offers()["TEE-900"]["stock"] == 4
    assert [each["pieces"] for each in creating.deeds("product")] == [["TEE-900"]]
    assert creating.cases() == []


def test_a_product_in_review_is_no_problem_and_is_not_sent_again(creating: Market) -> None:
    creating.control("conduct", {"product_review": True})
    shown = creating.product("TEE-900", NEW_GTIN, stock=4)
    for _ in range(3):
        creating.work()
    assert offered("TEE-900") == ("needs_product", "mirakl.product_in_review")
    assert creating.cases() == []
    creating.shop.change_product(shown["id"], {"stock": 3})
    creating.work()
    assert len(creating.deeds("product")) == 1
    creating.control("products", [{"gtin": NEW_GTIN, "title": "Tee TEE-900"}])
    creating.work()
    creating.work()
    assert offered("TEE-900") == ("on_sale", None)
    assert creating.offers()["TEE-900"]["stock"] == 3


def test_a_refused_product_is_told_and_holds_nothing_else(creating: Market) -> None:
    creating.control("conduct", {"product_errors": {NEW_GTIN: "Image too small"}})
    creating.product("TEE-900", NEW_GTIN)
    for _ in range(2):
        creating.work()
    assert offered("TEE-900") == ("needs_product", "product.data_refused")
    assert creating.cases() == ["product.data_refused"]
    creating.buy(("TEE-001", 2))
    creating.work()
    assert creating.offers()["TEE-001"]["stock"] == 8


def test_an_operator_without_tax_gets_prices_without_it_and_orders_come_with_it(
    netto: Market,
) -> None:
    """What the hourly look reads back says nothing about our price, so it changes nothing: the next stock is a stock again, no whole offer."""
    assert {each["price"] for each in netto.offers().values()} == {648}
    before = imports()
    netto.work()
    assert imports() == before, "nothing has drifted"
    (product,) = [each for each in netto.shop.products.values() if each.sku == "TEE-001"]
    netto.shop.change_product(product.id, {"stock": 3})
    netto.work()
    assert netto.offers()["TEE-001"]["stock"] == 3
    assert imports()[len(before) :] == ["import_stock"]
    netto.buy(("TEE-001", 1))
    netto.work()
    (sold,) = netto.orders_in_shop()
    assert [each.unit for each in sold.lines] == [791], "6.48 and 22 % of it: not 7.90 to the cent"
