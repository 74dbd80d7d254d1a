"""Our own plain format -> our messages (docs/suppliers.md). The reference for every other shop's translator.

Raises Invalid with the path of the field; amounts must be exact here, since whoever writes for this format can do so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app import messages as m
from app.errors import Invalid
from app.rules.product_text import simple_html
from app.shops import schemas
from app.shops.reading import exact_minor_units, filled, parcels, read, status_of


def product(data: Mapping[str, Any]) -> m.ProductSeen:
    """`data` of product.changed. A price needs its currency; `in_stock` follows `stock` where that is counted."""
    seen = read(schemas.PRODUCT, data)
    currency, price = seen["currency"], seen["price"]
    dealer_price = seen["dealer_price"]
    if currency is None and (price is not None or dealer_price is not None):
        raise Invalid("field.missing", field="data.currency", expected="a currency with the price")
    return m.ProductSeen(
        external_id=seen["id"],
        parent_external_id=seen["parent_id"],
        kind=seen["kind"] if seen["kind"] in {"simple", "variation", "variable"} else "other",
        published=seen["active"],
        title=seen["title"].strip(),
        sku=filled(seen["sku"]),
        gtin=filled(seen["gtin"]),
        price=None if price is None else exact_minor_units(price, currency, "data.price"),
        currency=currency,
        stock=seen["stock"],
        in_stock=_in_stock(seen),
        handling_days=seen["handling_days"],
        images=tuple(seen["images"]),
        attributes=dict(seen["attributes"]),
        description=simple_html(seen["description"] or ""),
        short_description=simple_html(seen["short_description"] or ""),
        weight=filled(seen["weight"]),
        categories=tuple(dict.fromkeys(filter(None, seen["categories"]))),
        dealer_price=None
        if dealer_price is None
        else exact_minor_units(dealer_price, currency, "data.dealer_price"),
        vat_percent=seen["vat_percent"],
        brand=filled(seen["brand"]),
        network_category=filled(seen["network_category"]),
    )


def stock(data: Mapping[str, Any]) -> m.StockSeen:
    """`data` of stock.changed: absolute (I13)."""
    seen = read(schemas.STOCK, data)
    return m.StockSeen(
        external_id=seen["id"],
        sku=filled(seen["sku"]),
        stock=seen["stock"],
        in_stock=_in_stock(seen),
        order_external_id=seen["order_id"],
    )


def order(data: Mapping[str, Any]) -> m.ShopOrderSeen:
    """`data` of order.placed, order.changed, order.refunded and shipment.changed."""
    seen = read(schemas.ORDER, data)
    currency = seen["currency"]
    return m.ShopOrderSeen(
        external_id=seen["id"],
        number=seen["number"] or seen["id"],
        key=filled(seen["key"]),
        status=status_of(seen["status"]),
        raw_status=seen["status"],
        currency=currency,
        total=exact_minor_units(seen["total"], currency, "data.total"),
        lines=tuple(_line(line, currency, f"data.lines.{place}") for place, line in enumerate(seen["lines"])),
        tracking=parcels(seen["tracking"]),
        return_tracking=parcels(seen["return_tracking"]),
        refunds=tuple(
            _refund(refund, f"data.refunds.{place}") for place, refund in enumerate(seen["refunds"])
        ),
        stock_sequence=seen["stock_sequence"],
        transitions=tuple((step["from_"], step["to"]) for step in seen["transitions"]),
        billing=_address(seen["billing"]),
        shipping=_address(seen["shipping"]) or _address(seen["billing"]),
        placed_at=seen["placed_at"],
    )


def _address(seen: Mapping[str, Any] | None) -> m.Address | None:
    """None where there is no street: nothing could be delivered there."""
    return m.Address(**seen) if seen is not None and seen["address_1"].strip() else None


def _line(line: Mapping[str, Any], currency: str, place: str) -> m.ShopLineSeen:
    return m.ShopLineSeen(
        external_id=line["id"],
        key=filled(line["key"]),
        product_external_id=line["product_id"],
        sku=filled(line["sku"]),
        title=line["title"] or "",
        quantity=line["quantity"],
        total=exact_minor_units(line["total"], currency, f"{place}.total"),
    )


def _refund(refund: Mapping[str, Any], place: str) -> m.RefundSeen:
    currency = refund["currency"]
    return m.RefundSeen(
        external_id=refund["id"],
        amount=exact_minor_units(refund["amount"], currency, f"{place}.amount"),
        currency=currency,
        reason=refund["reason"] or "",
        lines=tuple(
            (
                part["id"],
                part["quantity"],
                exact_minor_units(part["amount"], currency, f"{place}.lines.{index}.amount"),
            )
            for index, part in enumerate(refund["lines"])
        ),
        by_bridge=refund["by_bridge"],
        key=filled(refund["key"]),
        created_at=refund["created_at"],
        restocked=refund["restocked"],
    )


def _in_stock(seen: Mapping[str, Any]) -> bool:
    """A counted stock speaks for itself; an uncounted product is in stock unless its owner says no."""
    if seen["stock"] is not None:
        return bool(seen["stock"] > 0)
    return seen["in_stock"] is not False
