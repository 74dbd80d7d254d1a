"""WooCommerce's REST v3 JSON with the plugin's `shopbridge` object -> our messages (docs/protocol.md sections 3.1 to 3.3).

Only what the bridge needs is read. WooCommerce's habits that must not break anything: an empty price, ids as digit texts, a
null stock, `manage_stock` "parent", totals without tax and with many decimals, an error object in place of the thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from marshmallow import fields

from app import messages as m
from app.errors import Invalid
from app.rules.product_text import simple_html
from app.shops.reading import (
    MAX_ID,
    Amount,
    Count,
    Currency,
    Flag,
    Moment,
    Percent,
    ShopId,
    Strict,
    Text,
    filled,
    minor_units,
    parcels,
    read,
    status_of,
)
from app.shops.schemas import Lenient, ParcelData, RefundData, Sequence, TransitionData

_IN_STOCK = frozenset({"instock", "onbackorder"})
_ADDRESS = (
    "first_name",
    "last_name",
    "company",
    "address_1",
    "address_2",
    "postcode",
    "city",
    "state",
    "country",
    "phone",
    "email",
)
_DECIMALS = 10  # WooCommerce calculates with up to this many; shops show fewer


class _ManageStock(Strict[bool]):
    """true, false, or "parent" for a variation whose parent is counted: `stock_quantity` is then the parent's."""

    expected = 'true, false or "parent"'

    def take(self, value: Any) -> bool | None:
        return True if value == "parent" else value if isinstance(value, bool) else None


class _Price(Strict[str]):
    """A price as text; empty where the product has none (a variable parent, a draft)."""

    expected = 'a price as text like "7.90", or ""'

    def take(self, value: Any) -> str | None:
        if value == "":
            return ""
        return value if Amount(decimals=_DECIMALS).take(value) is not None else None


class _DealerPrice(Strict[str]):
    """As _Price; a sign passes, because a price below zero must be shown as wrong (K1) and must not hold up the stock."""

    expected = 'a price as text like "4.20", or ""'

    def take(self, value: Any) -> str | None:
        bare = value.removeprefix("-") if isinstance(value, str) else value
        return value if bare == "" or Amount(decimals=_DECIMALS).take(bare) is not None else None


class _Words(fields.Field[str]):
    """Words that nothing depends on: what is no text counts as none, because it must not hold up the stock of the product."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        return value.strip() if isinstance(value, str) else ""


class _Values(fields.Field[list[str]]):
    """A list of such words."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        return [each.strip() for each in value if isinstance(each, str)] if isinstance(value, list) else []


class _Category(Lenient):
    """A shop's category; the plugin adds the network category that the merchant mapped it to."""

    name = _Words(load_default="", allow_none=True)
    network_category = Text(64, load_default=None, allow_none=True)


class _Image(Lenient):
    src = Text(2_000, load_default="", allow_none=True)


class _Attribute(Lenient):
    """A product lists `options`, a variation has one `option`. `variation`: the variations of the product differ in it."""

    name = Text(load_default="", allow_none=True)
    option = Text(load_default=None, allow_none=True)
    options = _Values(load_default=list, allow_none=True)
    variation = fields.Raw(load_default=False, allow_none=True)


class _ProductExtra(Lenient):
    currency = Currency(load_default=None, allow_none=True)
    gtin = Text(64, load_default=None, allow_none=True)
    handling_days = Count(load_default=None, allow_none=True)
    dealer_price = _DealerPrice(load_default=None, allow_none=True)
    network_category = Text(64, load_default=None, allow_none=True)
    brand = Text(10_000, load_default=None, allow_none=True)
    tax_rate = Percent(load_default=None, allow_none=True)
    taxes = Flag(load_default=None, allow_none=True)
    prices_include_tax = Flag(load_default=True, allow_none=True)


class _Product(Lenient):
    id = ShopId(required=True)
    parent_id = ShopId(load_default="0", allow_none=True)
    type = Text(64, load_default="simple")
    status = Text(64, required=True)
    name = Text(10_000, required=True)
    sku = Text(MAX_ID, load_default=None, allow_none=True)
    global_unique_id = Text(64, load_default=None, allow_none=True)
    price = _Price(load_default="", allow_none=True)
    manage_stock = _ManageStock(required=True)
    stock_quantity = Count(lowest=-(2**31), load_default=None, allow_none=True)
    stock_status = Text(64, required=True)
    images = fields.List(fields.Nested(_Image), load_default=list, allow_none=True)
    description = _Words(load_default="", allow_none=True)
    short_description = _Words(load_default="", allow_none=True)
    weight = _Words(load_default="", allow_none=True)
    attributes = fields.List(fields.Nested(_Attribute), load_default=list, allow_none=True)
    categories = fields.List(fields.Nested(_Category), load_default=list, allow_none=True)
    shopbridge = fields.Nested(_ProductExtra, load_default=dict)


class _Stock(Lenient):
    id = ShopId(required=True)
    sku = Text(MAX_ID, load_default=None, allow_none=True)
    manage_stock = _ManageStock(required=True)
    stock_quantity = Count(lowest=-(2**31), load_default=None, allow_none=True)
    stock_status = Text(64, required=True)
    order_id = ShopId(load_default=None, allow_none=True)


class _Meta(Lenient):
    key = fields.Raw(load_default=None, allow_none=True)
    value = fields.Raw(load_default=None, allow_none=True)


class _Line(Lenient):
    id = ShopId(required=True)
    product_id = ShopId(load_default="0", allow_none=True)
    variation_id = ShopId(load_default="0", allow_none=True)
    quantity = Count(required=True)
    sku = Text(MAX_ID, load_default=None, allow_none=True)
    name = Text(10_000, load_default="", allow_none=True)
    total = Amount(decimals=_DECIMALS, required=True)
    total_tax = Amount(decimals=_DECIMALS, load_default=Decimal(0), allow_none=True)
    meta_data = fields.List(fields.Nested(_Meta), load_default=list)


class _CoreRefund(Lenient):
    """How WooCommerce itself lists a refund in an order: a negative total and no lines."""

    id = ShopId(required=True)
    reason = Text(10_000, load_default="", allow_none=True)
    total = Text(32, required=True)


class _ShopRefund(RefundData):
    amount = Amount(decimals=_DECIMALS, required=True)


class _OrderExtra(Lenient):
    key = Text(190, load_default=None, allow_none=True)
    transitions = fields.List(fields.Nested(TransitionData), load_default=list)
    tracking = fields.List(fields.Nested(ParcelData), load_default=list)
    return_tracking = fields.List(fields.Nested(ParcelData), load_default=list)
    stock_sequence = Sequence(load_default=None, allow_none=True)
    refunds = fields.List(fields.Nested(_ShopRefund), load_default=None, allow_none=True)


class _Order(Lenient):
    id = ShopId(required=True)
    number = ShopId(load_default=None, allow_none=True)
    status = Text(64, required=True)
    currency = Currency(required=True)
    total = Amount(decimals=_DECIMALS, required=True)
    line_items = fields.List(fields.Nested(_Line), required=True)
    refunds = fields.List(fields.Nested(_CoreRefund), load_default=list)
    billing = fields.Raw(load_default=None, allow_none=True)
    shipping = fields.Raw(load_default=None, allow_none=True)
    date_created_gmt = fields.Raw(load_default=None, allow_none=True)
    shopbridge = fields.Nested(_OrderExtra, load_default=None)


_PRODUCT, _STOCK, _ORDER, _NO_EXTRA = _Product(), _Stock(), _Order(), _OrderExtra().load({})


def product(data: Mapping[str, Any]) -> m.ProductSeen:
    """A product or variation as the REST API renders it.

    `price` is what a consumer pays now, rounded half up: a shop that keeps its prices without tax gets the tax added where the plugin names
    the rate. Sold as it stands there, every piece would lose the tax.
    """
    _refuse_error_object(data)
    seen = read(_PRODUCT, data)
    extra, currency = seen["shopbridge"], seen["shopbridge"].get("currency")
    return m.ProductSeen(
        external_id=seen["id"],
        parent_external_id=_none_if_zero(seen["parent_id"]),
        kind=seen["type"] if seen["type"] in {"simple", "variation", "variable"} else "other",
        published=seen["status"] == "publish",
        title=seen["name"].strip(),
        sku=filled(seen["sku"]),
        gtin=_digits(extra.get("gtin")) or _digits(seen["global_unique_id"]),
        price=minor_units(_gross(Decimal(seen["price"]), extra), currency or "EUR")
        if seen["price"]
        else None,
        currency=currency,
        stock=_counted(seen),
        in_stock=_in_stock(seen),
        handling_days=extra.get("handling_days"),
        images=tuple(image["src"] for image in seen["images"] or () if image["src"]),
        attributes=_attributes(seen["attributes"] or ()),
        description=simple_html(seen["description"] or ""),
        short_description=simple_html(seen["short_description"] or ""),
        weight=filled((seen["weight"] or "")[:64]),
        categories=_names(seen["categories"] or ()),
        dealer_price=_dealer_price(extra.get("dealer_price"), currency or "EUR"),
        vat_percent=extra.get("tax_rate"),
        brand=filled((extra.get("brand") or "")[:190]),
        network_category=filled(extra.get("network_category")) or _mapped(seen["categories"] or ()),
        zero_rated=extra.get("taxes") is True and Decimal(extra.get("tax_rate") or 1) == 0,
    )


def stock(data: Mapping[str, Any]) -> m.StockSeen:
    """`data` of stock.changed: absolute (I13)."""
    _refuse_error_object(data)
    seen = read(_STOCK, data)
    return m.StockSeen(
        external_id=seen["id"],
        sku=filled(seen["sku"]),
        stock=_counted(seen),
        in_stock=_in_stock(seen),
        order_external_id=_none_if_zero(seen["order_id"]),
    )


def order(data: Mapping[str, Any]) -> m.ShopOrderSeen:
    """An order as the REST API renders it, with what the plugin adds. Line totals are gross: total and tax, rounded once."""
    _refuse_error_object(data)
    seen = read(_ORDER, data)
    currency = seen["currency"]
    extra = seen["shopbridge"] or _NO_EXTRA
    return m.ShopOrderSeen(
        external_id=seen["id"],
        number=seen["number"] or seen["id"],
        key=filled(extra["key"]),
        status=status_of(seen["status"]),
        raw_status=seen["status"],
        currency=currency,
        total=minor_units(seen["total"], currency),
        lines=tuple(_line(line, currency) for line in seen["line_items"]),
        tracking=parcels(extra["tracking"]),
        return_tracking=parcels(extra["return_tracking"]),
        refunds=_refunds(seen, extra),
        stock_sequence=extra["stock_sequence"],
        transitions=tuple((step["from_"], step["to"]) for step in extra["transitions"]),
        billing=_address(seen["billing"]),
        # Who ships to the billing address leaves the shipping address empty in some checkouts.
        shipping=_address(seen["shipping"]) or _address(seen["billing"]),
        placed_at=Moment().take(seen["date_created_gmt"]),
    )


def _address(seen: Any) -> m.Address | None:
    """None where there is no street: nothing could be delivered there. Plugins write all sorts of things into addresses, and most orders
    are none of our business, so nothing in here is ever a reason to refuse one.
    """
    told = seen if isinstance(seen, Mapping) else {}
    texts = {name: told.get(name) for name in _ADDRESS}
    parts: dict[str, Any] = {
        name: text.strip()[:190] for name, text in texts.items() if isinstance(text, str)
    }
    return m.Address(**parts) if parts.get("address_1") else None


def _refuse_error_object(data: Mapping[str, Any]) -> None:
    """WooCommerce renders an error in place of a thing that is gone by now, and signs it (observed)."""
    if "id" not in data and isinstance(data.get("code"), str):
        raise Invalid("shop.error_object", field="data", shop_code=data["code"][:100])


def _line(line: Mapping[str, Any], currency: str) -> m.ShopLineSeen:
    keys = [meta["value"] for meta in line["meta_data"] if meta["key"] == "_shopbridge_line"]
    return m.ShopLineSeen(
        external_id=line["id"],
        key=filled(str(keys[0])) if keys and isinstance(keys[0], str | int) else None,
        product_external_id=_none_if_zero(line["variation_id"]) or _none_if_zero(line["product_id"]),
        sku=filled(line["sku"]),
        title=(line["name"] or "").strip(),
        quantity=line["quantity"],
        total=minor_units(line["total"] + (line["total_tax"] or 0), currency),
    )


def _refunds(seen: Mapping[str, Any], extra: Mapping[str, Any]) -> tuple[m.RefundSeen, ...]:
    """The plugin's refund objects; without a plugin's word, WooCommerce's own short list."""
    if extra["refunds"] is not None:
        return tuple(_refund(refund) for refund in extra["refunds"])
    return tuple(
        _core_refund(refund, seen["currency"], place) for place, refund in enumerate(seen["refunds"])
    )


def _refund(refund: Mapping[str, Any]) -> m.RefundSeen:
    currency = refund["currency"]
    return m.RefundSeen(
        external_id=refund["id"],
        amount=minor_units(refund["amount"], currency),
        currency=currency,
        reason=refund["reason"] or "",
        lines=tuple(
            (part["id"], part["quantity"], minor_units(part["amount"], currency)) for part in refund["lines"]
        ),
        by_bridge=refund["by_bridge"],
        key=filled(refund["key"]),
        restocked=refund["restocked"],
        created_at=refund["created_at"],
    )


def _core_refund(refund: Mapping[str, Any], currency: str, place: int) -> m.RefundSeen:
    amount = Amount(decimals=_DECIMALS).take(refund["total"].removeprefix("-"))
    if amount is None:
        raise Invalid(
            "field.invalid", field=f"data.refunds.{place}.total", expected='an amount as text like "-7.90"'
        )
    return m.RefundSeen(
        external_id=refund["id"],
        amount=minor_units(amount, currency),
        currency=currency,
        reason=refund["reason"] or "",
        lines=(),
        by_bridge=False,
    )


def _counted(seen: Mapping[str, Any]) -> int | None:
    """None where the shop does not count; a counted product without a number has nothing to sell."""
    return (seen["stock_quantity"] or 0) if seen["manage_stock"] else None


def _in_stock(seen: Mapping[str, Any]) -> bool:
    return seen["stock_status"] in _IN_STOCK


def _gross(price: Decimal, extra: Mapping[str, Any]) -> Decimal:
    """With tax. A plugin that says nothing about tax has prices with it, as before."""
    rate = Decimal(extra.get("tax_rate") or 0)
    return price if extra.get("prices_include_tax", True) is not False else price * (100 + rate) / 100


def _dealer_price(text: str | None, currency: str) -> int | None:
    """Minor units, rounded half up."""
    return minor_units(Decimal(text), currency) if text and text != "-" else None


def _attributes(told: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Several values of one attribute are parted by "|". What the variations of a parent differ in is said by each of them."""
    found: dict[str, str] = {}
    for each in told:
        value = each["option"] or ("" if each["variation"] else "|".join(filter(None, each["options"] or ())))
        if each["name"] and value:
            found[each["name"]] = value
    return found


def _names(categories: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each["name"][:190] for each in categories if each["name"]))


def _mapped(categories: Iterable[Mapping[str, Any]]) -> str | None:
    """The network category of the first shop category that has one."""
    return next((key for each in categories if (key := filled(each["network_category"]))), None)


def _none_if_zero(identifier: str | None) -> str | None:
    """WooCommerce writes 0 where there is nothing."""
    return None if identifier in {None, "0"} else identifier


def _digits(gtin: str | None) -> str | None:
    """WooCommerce lets people type hyphens and spaces into a GTIN."""
    return filled(gtin.replace("-", "").replace(" ", "")) if gtin else None
