"""Our own format, as an ERP would write it (tests/payloads/standard; the same texts stand in docs/suppliers.md)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.errors import Invalid
from app.messages import (
    ProductSeen,
    RefundSeen,
    ShopLineSeen,
    ShopOrderSeen,
    ShopStatus,
    StockSeen,
    TrackingSeen,
)
from app.shops.standard import translate

PRODUCT: dict[str, Any] = {
    "id": "A-17",
    "title": "Assam Hathikuli, 100 g",
    "sku": "TEE-001",
    "gtin": "4006381333931",
    "price": "7.90",
    "currency": "EUR",
    "stock": 5,
    "handling_days": 1,
    "images": ["https://tee.example/assam.jpg"],
    "attributes": {"Sorte": "Assam"},
}
ORDER: dict[str, Any] = {
    "id": 1042,
    "key": "ord_88",
    "status": "completed",
    "currency": "EUR",
    "total": "15.80",
    "lines": [
        {"id": 1, "key": "ln_77", "product_id": "A-17", "sku": "TEE-001", "quantity": 2, "total": "15.80"}
    ],
    "tracking": [{"number": "00340434161094015902", "carrier": "DHL", "shipped_at": "2026-11-21T14:09:00Z"}],
    "refunds": [
        {"id": 7, "amount": "7.90", "currency": "EUR", "lines": [{"id": 1, "quantity": 1, "amount": "7.90"}]}
    ],
    "transitions": [{"from": "processing", "to": "completed"}],
    "stock_sequence": 4701,
}


def refused(call: Any, data: Any) -> str:
    with pytest.raises(Invalid) as caught:
        call(data)
    return f"{caught.value.code} {caught.value.params.get('field')}"


def test_a_product() -> None:
    assert translate.product(PRODUCT) == ProductSeen(
        external_id="A-17",
        parent_external_id=None,
        kind="simple",
        published=True,
        title="Assam Hathikuli, 100 g",
        sku="TEE-001",
        gtin="4006381333931",
        price=790,
        currency="EUR",
        stock=5,
        in_stock=True,
        handling_days=1,
        images=("https://tee.example/assam.jpg",),
        attributes={"Sorte": "Assam"},
    )


def test_what_the_network_needs() -> None:
    network = {
        "dealer_price": "4.20",
        "vat_percent": "5.50",
        "brand": " Hathikuli",
        "network_category": "food.tea",
    }
    seen = translate.product(PRODUCT | network)
    told = (seen.dealer_price, seen.vat_percent, seen.brand, seen.network_category)
    assert told == (420, "5.5", "Hathikuli", "food.tea")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"dealer_price": "4.205"}, "field.invalid data.dealer_price"),
        ({"dealer_price": "-4.20"}, "field.invalid data.dealer_price"),
        ({"vat_percent": "101"}, "field.invalid data.vat_percent"),
        ({"price": None, "currency": None, "dealer_price": "4.20"}, "field.missing data.currency"),
    ],
)
def test_a_network_field_that_is_not_right_is_named(changed: dict[str, Any], named: str) -> None:
    assert refused(translate.product, PRODUCT | changed) == named


def test_the_least_that_a_product_may_say() -> None:
    seen = translate.product({"id": 17, "title": "Assam"})
    assert (seen.external_id, seen.price, seen.stock, seen.in_stock, seen.published) == (
        "17",
        None,
        None,
        True,
        True,
    )


def test_a_counted_stock_speaks_for_itself() -> None:
    assert translate.stock({"id": 17, "stock": 0, "in_stock": True}) == StockSeen(
        "17", None, 0, in_stock=False
    )
    assert translate.stock({"id": 17, "stock": None, "in_stock": False}) == StockSeen(
        "17", None, None, in_stock=False
    )
    assert translate.stock({"id": 17, "stock": -3, "order_id": 9}) == StockSeen("17", None, -3, False, "9")


def test_an_order() -> None:
    assert translate.order(ORDER) == ShopOrderSeen(
        external_id="1042",
        number="1042",
        key="ord_88",
        status=ShopStatus.COMPLETED,
        raw_status="completed",
        currency="EUR",
        total=1580,
        lines=(ShopLineSeen("1", "ln_77", "A-17", "TEE-001", "", 2, 1580),),
        tracking=(
            TrackingSeen(
                "00340434161094015902", "DHL", None, datetime(2026, 11, 21, 14, 9, tzinfo=UTC), None
            ),
        ),
        return_tracking=(),
        refunds=(RefundSeen("7", 790, "EUR", "", (("1", 1, 790),), by_bridge=False),),
        stock_sequence=4701,
        transitions=(("processing", "completed"),),
    )


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"price": "7.905"}, "field.invalid data.price"),
        ({"price": "7.9056"}, "field.invalid data.price"),
        ({"price": "7.90", "currency": None}, "field.missing data.currency"),
        ({"price": "7.90", "currency": "JPY"}, "field.invalid data.price"),
        ({"price": 7.9}, "field.invalid data.price"),
        ({"stock": "5"}, "field.invalid data.stock"),
        ({"stock": 5.0}, "field.invalid data.stock"),
        ({"active": 1}, "field.invalid data.active"),
        ({"title": "x" * 501}, "field.invalid data.title"),
        ({"id": "x" * 191}, "field.invalid data.id"),
        ({"id": "a\nb"}, "field.invalid data.id"),
        ({"attributes": {"Sorte": 1}}, "field.invalid data.attributes.Sorte.value"),
        ({"images": "https://tee.example/a.jpg"}, "field.invalid data.images"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], complaint: str) -> None:
    assert refused(translate.product, PRODUCT | changed) == complaint


@pytest.mark.parametrize("data", [None, [], "x", 1])
def test_data_that_is_no_object(data: Any) -> None:
    assert refused(translate.order, data) == "field.invalid data"


def test_the_value_of_a_customer_is_never_in_the_error() -> None:
    with pytest.raises(Invalid) as caught:
        translate.order(ORDER | {"status": ["Mia Muster, Beispielweg 4"]})
    assert "Mia" not in str(caught.value)


def test_amounts_of_a_line_must_be_exact_in_the_currency() -> None:
    broken = ORDER | {"lines": [ORDER["lines"][0] | {"total": "15.805"}]}
    assert refused(translate.order, broken) == "field.invalid data.lines.0.total"
