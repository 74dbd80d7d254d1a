"""WooCommerce's JSON as shops really send it. The habits come from a recorded shop (WooCommerce 10.9.1)."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.errors import Invalid
from app.messages import ProductSeen, RefundSeen, ShopLineSeen, ShopStatus, StockSeen, TrackingSeen
from app.shops import envelope, schemas
from app.shops.reading import read
from app.shops.woocommerce import translate

ROOT = Path(__file__).resolve().parents[3]
PLUGIN_PAYLOADS = sorted((ROOT / "tests" / "payloads" / "woocommerce").glob("*.json"))
RECORDED = sorted((ROOT.parent / "shared" / "specs" / "woocommerce-recorded").glob("[0-9]*.json"))

LAMP: dict[str, Any] = {
    "id": 11,
    "name": 'Schreibtischlampe "Größe M" 💡',
    "type": "simple",
    "status": "publish",
    "sku": "LAMP-1",
    "price": "17.90",
    "regular_price": "19.90",
    "sale_price": "17.90",
    "total_sales": "0",
    "manage_stock": True,
    "stock_quantity": 5,
    "low_stock_amount": None,
    "parent_id": 0,
    "images": [],
    "attributes": [],
    "stock_status": "instock",
    "global_unique_id": "4006381333931",
    "shopbridge": {"currency": "EUR", "prices_include_tax": True, "gtin": None, "handling_days": 2},
}
ORDER: dict[str, Any] = {
    "id": 1042,
    "number": "1042",
    "status": "completed",
    "currency": "EUR",
    "total": "15.80",
    "line_items": [
        {
            "id": 311,
            "product_id": 17,
            "variation_id": 0,
            "quantity": 2,
            "sku": "TEE-001",
            "name": "Assam",
            "total": "13.277311",
            "total_tax": "2.522689",
            "price": 6.638655,
            "meta_data": [
                {"id": 1, "key": "_reduced_stock", "value": "2"},
                {"key": "_shopbridge_line", "value": "ln_77"},
            ],
        }
    ],
    "refunds": [],
    "shopbridge": {
        "key": "ord_88",
        "transitions": [{"from": "processing", "to": "completed", "at": "2026-11-21T14:09:28Z"}],
        "tracking": [
            {
                "number": " 00340434161094015902 ",
                "carrier": "DHL",
                "url": None,
                "shipped_at": "2026-11-21T14:09:00Z",
            },
            {"number": "H1", "carrier": "", "lines": [{"id": 311, "quantity": 1}]},
            {"number": "  ", "carrier": "DHL"},
        ],
        "return_tracking": [],
        "stock_sequence": 4701,
        "refunds": [
            {
                "id": 1050,
                "amount": "7.90",
                "currency": "EUR",
                "reason": "damaged",
                "created_at": "2026-11-25T09:00:00Z",
                "by_bridge": False,
                "key": None,
                "restocked": True,
                "lines": [{"id": 311, "quantity": 1, "amount": "7.9"}],
            }
        ],
    },
}


def lamp(**changed: Any) -> dict[str, Any]:
    return deepcopy(LAMP) | changed


def order(**changed: Any) -> dict[str, Any]:
    return deepcopy(ORDER) | changed


def refused(call: Any, data: Any) -> str:
    with pytest.raises(Invalid) as caught:
        call(data)
    return f"{caught.value.code} {caught.value.params.get('field')}"


def test_a_product_comes_out_in_our_words() -> None:
    assert translate.product(lamp()) == ProductSeen(
        external_id="11",
        parent_external_id=None,
        kind="simple",
        published=True,
        title='Schreibtischlampe "Größe M" 💡',
        sku="LAMP-1",
        gtin="4006381333931",
        price=1790,
        currency="EUR",
        stock=5,
        in_stock=True,
        handling_days=2,
    )


def test_the_gtin_of_the_field_that_the_merchant_chose_wins() -> None:
    seen = translate.product(lamp(shopbridge={"currency": "EUR", "gtin": "978-3-16-148410-0"}))
    assert seen.gtin == "9783161484100"


NETWORK = {"dealer_price": "4.205", "network_category": None, "brand": " Hathikuli ", "tax_rate": "19.0000"}


def test_what_the_network_needs_comes_with_the_product() -> None:
    """K1: dealer price rounded half up, the tax rate without zeros that mean nothing."""
    seen = translate.product(lamp(shopbridge=NETWORK | {"currency": "EUR", "network_category": "food.tea"}))
    told = (seen.dealer_price, seen.vat_percent, seen.brand, seen.network_category)
    assert told == (421, "19", "Hathikuli", "food.tea")


def test_the_first_mapped_category_counts_where_the_product_has_none_of_its_own() -> None:
    categories = [
        {"id": 1, "name": "Tee", "slug": "tee"},
        {"id": 2, "name": "Assam", "slug": "assam", "network_category": "food.tea"},
        {"id": 3, "name": "Alles", "slug": "alles", "network_category": "other.other"},
    ]
    assert translate.product(lamp(categories=categories, shopbridge=NETWORK)).network_category == "food.tea"
    own = NETWORK | {"network_category": "food.coffee"}
    assert translate.product(lamp(categories=categories, shopbridge=own)).network_category == "food.coffee"
    assert translate.product(lamp(categories=None)).network_category is None


@pytest.mark.parametrize(
    ("typed", "seen"), [("", None), (None, None), ("-", None), ("-1.00", -100), ("0", 0)]
)
def test_a_dealer_price_that_is_wrong_is_seen_and_does_not_hold_up_the_stock(
    typed: str | None, seen: int | None
) -> None:
    product = translate.product(lamp(shopbridge=NETWORK | {"dealer_price": typed}))
    assert (product.dealer_price, product.stock) == (seen, 5)


@pytest.mark.parametrize("changed", [{"dealer_price": 4.2}, {"dealer_price": "4,20"}, {"tax_rate": "19 %"}])
def test_a_network_field_that_cannot_be_read_is_named(changed: dict[str, Any]) -> None:
    named = f"field.invalid data.shopbridge.{next(iter(changed))}"
    assert refused(translate.product, lamp(shopbridge=NETWORK | changed)) == named


def test_a_variation_is_a_product_with_a_parent_and_its_own_attributes() -> None:
    seen = translate.product(
        lamp(
            type="variation",
            parent_id=12,
            attributes=[{"id": 0, "name": "Size", "slug": "size", "option": "S"}],
        )
    )
    assert (seen.kind, seen.parent_external_id, seen.attributes) == ("variation", "12", {"Size": "S"})


@pytest.mark.parametrize(
    ("rate", "included", "price"),
    [
        ("19", False, 2130),
        ("19", True, 1790),
        ("5.5", False, 1888),
        (None, False, 1790),
        ("0", False, 1790),
        ("19", None, 1790),
    ],
)
def test_a_shop_with_prices_without_tax_sells_with_it(
    rate: str | None, included: bool | None, price: int
) -> None:
    extra = {"currency": "EUR", "prices_include_tax": included, "tax_rate": rate}
    assert translate.product(lamp(shopbridge=extra)).price == price


def test_a_variable_parent_has_no_price_and_lists_options() -> None:
    seen = translate.product(
        lamp(
            type="variable",
            price="",
            manage_stock=False,
            stock_quantity=None,
            attributes=[{"name": "Size", "options": ["S"], "variation": True}],
        )
    )
    assert (seen.kind, seen.price, seen.stock, seen.attributes) == ("variable", None, None, {})


def test_what_marketplaces_want_to_know_of_a_product_is_read() -> None:
    seen = translate.product(
        lamp(
            description='<div class="x"><p style="a">Hell &amp; warm</p><script>x()</script></div>',
            short_description="Hell",
            weight="0.4",
            attributes=[
                {"name": "Farbe", "options": ["rot", "gelb"], "variation": False},
                {"name": "Größe", "option": "M"},
                {"name": "", "options": ["x"]},
                {"name": "leer", "options": []},
            ],
            categories=[{"id": 1, "name": "Lampen"}, {"id": 2, "name": "Neu"}, {"id": 3, "name": "Lampen"}],
        )
    )
    assert (seen.description, seen.short_description) == ("<p>Hell &amp; warm</p>", "Hell")
    assert seen.attributes == {"Farbe": "rot|gelb", "Größe": "M"}
    assert (seen.categories, seen.weight) == (("Lampen", "Neu"), "0.4")


@pytest.mark.parametrize("odd", [None, False, 0, 1.5, [], {}, [None, 3]])
@pytest.mark.parametrize("field", ["description", "short_description", "weight"])
def test_words_that_are_none_do_not_hold_up_the_stock(field: str, odd: Any) -> None:
    seen = translate.product(
        lamp(**{field: odd, "attributes": [{"name": "Farbe", "options": odd}], "categories": [{"name": odd}]})
    )
    assert seen.stock == 5
    assert not getattr(seen, field)
    assert (seen.attributes, seen.categories) == ({}, ())


@pytest.mark.parametrize(
    ("manage", "quantity", "status", "stock", "in_stock"),
    [
        (True, 5, "instock", 5, True),
        (True, 0, "outofstock", 0, False),
        (True, -2, "onbackorder", -2, True),
        (True, None, "outofstock", 0, False),
        ("parent", 7, "instock", 7, True),
        (False, None, "instock", None, True),
        (False, None, "outofstock", None, False),
        (False, 9, "instock", None, True),
    ],
)
def test_how_a_shop_counts(
    manage: Any, quantity: Any, status: str, stock: int | None, in_stock: bool
) -> None:
    fields = {"manage_stock": manage, "stock_quantity": quantity, "stock_status": status}
    seen = translate.product(lamp(**fields))
    assert (seen.stock, seen.in_stock) == (stock, in_stock)
    assert translate.stock({"id": 11, "sku": None, "order_id": None, **fields}) == StockSeen(
        "11", None, stock, in_stock
    )


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"id": "11"}, ("11", "LAMP-1", 1790)),
        ({"sku": None}, ("11", None, 1790)),
        ({"sku": "  "}, ("11", None, 1790)),
        ({"price": ""}, ("11", "LAMP-1", None)),
        ({"price": None}, ("11", "LAMP-1", None)),
        ({"price": "10"}, ("11", "LAMP-1", 1000)),
        ({"price": "17.905"}, ("11", "LAMP-1", 1791)),
        ({"price": "0.0049999"}, ("11", "LAMP-1", 0)),
    ],
)
def test_habits_that_must_not_break_anything(changed: dict[str, Any], expected: tuple[Any, ...]) -> None:
    seen = translate.product(lamp(**changed))
    assert (seen.external_id, seen.sku, seen.price) == expected


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"id": True}, "field.invalid data.id"),
        ({"id": 1.0}, "field.invalid data.id"),
        ({"id": -1}, "field.invalid data.id"),
        ({"id": None}, "field.invalid data.id"),
        ({"name": None}, "field.invalid data.name"),
        ({"price": 17.9}, "field.invalid data.price"),
        ({"price": "-5"}, "field.invalid data.price"),
        ({"price": "1e3"}, "field.invalid data.price"),
        ({"price": "NaN"}, "field.invalid data.price"),
        ({"price": "1_000"}, "field.invalid data.price"),
        ({"price": "٣"}, "field.invalid data.price"),
        ({"price": "17,90"}, "field.invalid data.price"),
        ({"price": "9999999999.00"}, "field.invalid data.price"),
        ({"stock_quantity": 3.9}, "field.invalid data.stock_quantity"),
        ({"stock_quantity": "3"}, "field.invalid data.stock_quantity"),
        ({"stock_quantity": True}, "field.invalid data.stock_quantity"),
        ({"stock_quantity": 2**31}, "field.invalid data.stock_quantity"),
        ({"manage_stock": "yes"}, "field.invalid data.manage_stock"),
        ({"manage_stock": 1}, "field.invalid data.manage_stock"),
        ({"shopbridge": {"handling_days": -1}}, "field.invalid data.shopbridge.handling_days"),
        ({"shopbridge": {"currency": "euro"}}, "field.invalid data.shopbridge.currency"),
        ({"images": [{"src": 1}]}, "field.invalid data.images.0.src"),
    ],
)
def test_what_is_wrong_with_a_product_is_named(changed: dict[str, Any], complaint: str) -> None:
    assert refused(translate.product, lamp(**changed)) == complaint


@pytest.mark.parametrize("name", ["id", "status", "name", "manage_stock", "stock_status"])
def test_a_missing_field_of_a_product_is_named(name: str) -> None:
    data = lamp()
    del data[name]
    assert refused(translate.product, data) == f"field.missing data.{name}"


@pytest.mark.parametrize("call", [translate.product, translate.stock, translate.order])
def test_an_error_object_in_place_of_the_thing_is_called_what_it_is(call: Any) -> None:
    gone = {"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID.", "data": {"status": 404}}
    assert refused(call, gone) == "shop.error_object data"


def test_an_order_comes_out_in_our_words() -> None:
    seen = translate.order(order())
    assert (seen.external_id, seen.number, seen.key, seen.status, seen.raw_status) == (
        "1042",
        "1042",
        "ord_88",
        ShopStatus.COMPLETED,
        "completed",
    )
    assert (seen.currency, seen.total, seen.stock_sequence) == ("EUR", 1580, 4701)
    assert seen.lines == (ShopLineSeen("311", "ln_77", "17", "TEE-001", "Assam", 2, 1580),)
    assert seen.transitions == (("processing", "completed"),)
    assert seen.tracking == (
        TrackingSeen("00340434161094015902", "DHL", None, datetime(2026, 11, 21, 14, 9, tzinfo=UTC), None),
        TrackingSeen("H1", None, None, None, (("311", 1),)),
    )
    assert seen.refunds == (
        RefundSeen(
            "1050",
            790,
            "EUR",
            "damaged",
            (("311", 1, 790),),
            by_bridge=False,
            key=None,
            restocked=True,
            created_at=datetime(2026, 11, 25, 9, tzinfo=UTC),
        ),
    )


@pytest.mark.parametrize(
    ("total", "tax", "cents"),
    [
        ("13.277311", "2.522689", 1580),
        ("0.004", "0.001", 1),
        ("0.004", "0.0009", 0),
        ("10", "0", 1000),
        ("2.675", None, 268),
    ],
)
def test_a_line_is_rounded_half_up_once_after_its_tax_is_added(
    total: str, tax: str | None, cents: int
) -> None:
    data = order()
    data["line_items"][0] |= {"total": total, "total_tax": tax}
    assert translate.order(data).lines[0].total == cents


@pytest.mark.parametrize(
    ("currency", "total", "units"), [("JPY", "1580", 1580), ("KWD", "15.805", 15805), ("RON", "15.80", 1580)]
)
def test_minor_units_are_those_of_the_currency(currency: str, total: str, units: int) -> None:
    assert translate.order(order(currency=currency, total=total)).total == units


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("processing", ShopStatus.PROCESSING),
        ("on-hold", ShopStatus.ON_HOLD),
        ("wc-on-hold", ShopStatus.ON_HOLD),
        ("checkout-draft", ShopStatus.DRAFT),
        ("trash", ShopStatus.DELETED),
        ("refunded", ShopStatus.REFUNDED),
        ("versandbereit", ShopStatus.OTHER),
    ],
)
def test_statuses_in_our_words_and_the_shops_own_word_beside_it(raw: str, status: ShopStatus) -> None:
    seen = translate.order(order(status=raw))
    assert (seen.status, seen.raw_status) == (status, raw)


def test_a_variation_is_the_product_of_its_line_and_a_deleted_product_is_none() -> None:
    data = order()
    data["line_items"][0] |= {"variation_id": 13}
    assert translate.order(data).lines[0].product_external_id == "13"
    data["line_items"][0] |= {"variation_id": 0, "product_id": 0}
    assert translate.order(data).lines[0].product_external_id is None


def test_without_the_plugins_part_the_refunds_are_those_that_woocommerce_lists() -> None:
    data = order(
        refunds=[{"id": 18, "reason": "Order fully refunded.", "total": "-17.90", "total_tax": "0.00"}]
    )
    del data["shopbridge"]
    seen = translate.order(data)
    assert seen.refunds == (RefundSeen("18", 1790, "EUR", "Order fully refunded.", (), by_bridge=False),)
    assert (seen.key, seen.tracking, seen.stock_sequence) == (None, (), None)


def test_meta_data_of_other_plugins_may_be_anything() -> None:
    data = order()
    data["line_items"][0]["meta_data"] = [
        {"key": "x", "value": {"deep": [1]}},
        {"key": None, "value": None},
        {"key": "_shopbridge_line", "value": {"not": "ours"}},
    ]
    assert translate.order(data).lines[0].key is None


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("line_items", 0, "id"), None, "field.invalid data.line_items.0.id"),
        (("line_items", 0, "quantity"), 1.5, "field.invalid data.line_items.0.quantity"),
        (("line_items", 0, "total"), "-1.00", "field.invalid data.line_items.0.total"),
        (("line_items",), None, "field.invalid data.line_items"),
        (("total",), 15.8, "field.invalid data.total"),
        (("currency",), "EURO", "field.invalid data.currency"),
        (("shopbridge", "stock_sequence"), True, "field.invalid data.shopbridge.stock_sequence"),
        (
            ("shopbridge", "tracking", 0, "shipped_at"),
            "0001-01-01T00:00:00+14:00",
            "field.invalid data.shopbridge.tracking.0.shipped_at",
        ),
        (("shopbridge", "tracking", 0, "number"), 5, "field.invalid data.shopbridge.tracking.0.number"),
        (("shopbridge", "refunds", 0, "amount"), "-7.90", "field.invalid data.shopbridge.refunds.0.amount"),
        (
            ("shopbridge", "refunds", 0, "by_bridge"),
            "false",
            "field.invalid data.shopbridge.refunds.0.by_bridge",
        ),
        (("refunds",), [{"id": 1, "total": "minus one"}], None),
    ],
)
def test_what_is_wrong_with_an_order_is_named(
    path: tuple[Any, ...], value: Any, complaint: str | None
) -> None:
    data = order()
    inner: Any = data
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    if complaint is None:  # the core list is not read where the plugin has spoken
        assert translate.order(data)
    else:
        assert refused(translate.order, data) == complaint


def test_what_the_plugin_really_sends() -> None:
    for path in PLUGIN_PAYLOADS:
        raw = path.read_bytes()
        message = json.loads(raw)
        event = envelope.parse(json.dumps(message.get("body", message)).encode())
        kind = {"order": "order", "shipment": "order", "product": "product", "stock": "stock"}.get(
            event.type.split(".")[0]
        )
        if kind is None or event.type.endswith(".deleted"):
            assert read(schemas.EVENTS[event.type], event.data), path.name
        else:
            seen = getattr(translate, kind)(event.data)
            assert event.subject.endswith(f"/{seen.external_id}"), path.name


def test_what_a_real_shop_once_sent_where_the_recordings_are_at_hand() -> None:
    read = 0
    for path in RECORDED:
        delivery = json.loads(path.read_text(encoding="utf-8"))
        kind, _, what = (delivery.get("topic") or ".").partition(".")
        if kind not in {"product", "order"} or what == "deleted":
            continue
        data = json.loads(delivery["body"])
        call = getattr(translate, kind)
        if "code" in data:
            assert refused(call, data) == "shop.error_object data"
        else:
            assert call(data).external_id == str(data["id"])
            read += 1
    assert read >= 10 or not RECORDED


@pytest.mark.parametrize(
    ("told", "zero_rated"),
    [
        ({"tax_rate": "0", "taxes": True}, True),
        ({"tax_rate": "0.0000", "taxes": True}, True),
        ({"tax_rate": "0", "taxes": False}, False),
        ({"tax_rate": "0"}, False),
        ({"tax_rate": "7", "taxes": True}, False),
        ({"tax_rate": None, "taxes": True}, False),
    ],
)
def test_no_vat_is_that_of_the_goods_only_in_a_shop_that_charges_any(
    told: dict[str, object], zero_rated: bool
) -> None:
    assert translate.product(lamp(shopbridge=told)).zero_rated is zero_rated
