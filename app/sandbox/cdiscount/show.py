"""How simulated Octopia writes what it remembers (FACTS 2 and 3); pure reading of the world.

What may go wrong: an address shown too early. It stands on the lines, and only while the order is to be shipped or has been.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from app.sandbox.cdiscount.wire import Row, money, stamp
from app.sandbox.cdiscount.world import MODE_NAMES, World

_WITH_ADDRESS: Final = frozenset({"InPreparation", "Shipped", "Delivered"})


def order(world: World, row: Row) -> Row:
    """An order as GET /orders shows it."""
    lines = [line(world, row, each) for each in row["lines"].values()]
    total = money(sum(each["unit"] * each["pieces"] + each["shipping"] for each in row["lines"].values()))
    due = stamp(row["at"] + timedelta(days=2))
    return {
        "orderId": row["id"],
        "reference": None,
        "businessOrder": False,
        "salesChannel": {"id": "CDISFR", "name": "Cdiscount"},
        "seller": {"id": world.seller},
        "customer": {"reference": f"CUST-{row['id'][-6:]}"},
        "purchasedAt": stamp(row["at"]),
        "createdAt": stamp(row["at"]),
        "updatedAt": stamp(row["updated_at"]),
        "shippedAtMax": due,
        "status": row["status"],
        "payment": {"method": "Card"},
        "currencyCode": "EUR",
        "billingAddress": row["address"] if row["status"] in _WITH_ADDRESS else None,
        "totalPrice": {"offerPrice": total, "sellingPrice": total},
        "serviceFees": [],
        "statusEvents": list(row["history"]),
        "lines": lines,
    }


def line(world: World, row: Row, each: Row) -> Row:
    """One line; what the buyer paid stands in sellingPrice."""
    paid = {"unitSalesPrice": money(each["unit"]), "shippingCost": money(each["shipping"])}
    tax = {"code": "VAT", "target": "Product", "amount": money(each["unit"] * 20 // 120), "rate": 20}
    parcel = row["parcel"] if each["left"] else None
    return {
        "orderLineId": each["id"],
        "status": world.line_status(row, each),
        "quantity": each["pieces"],
        "totalPrice": {"offerPrice": money(each["unit"] * each["pieces"])},
        "offerPrice": {
            **paid,
            "commission": {"amountWithVat": money(120), "amountWithoutVat": money(100), "rate": 12},
            "taxes": [tax],
        },
        "sellingPrice": {**paid, "taxes": []},
        "offer": {
            "id": f"OF-{each['sku']}",
            "sellerProductId": each["sku"],
            "supplyMode": each["supply"],
            "productId": f"AUC{each['gtin']}",
            "productTitle": each["title"],
            "condition": "New",
            "productGtin": each["gtin"],
        },
        "delivery": {"mode": "TrackedHomeDelivery", "shippedAtMax": stamp(row["at"] + timedelta(days=2))},
        "shippingAddress": row["address"] | row["place"] if row["status"] in _WITH_ADDRESS else None,
        "parcels": [{"parcelNumber": parcel["parcelNumber"], "carrierName": parcel["carrierName"]}]
        if parcel
        else [],
        "statusEvents": [],
    }


def request(row: Row) -> Row:
    """A request to cancel; its shape is not documented, so this is a guess."""
    return {
        "cancellationRequestId": row["id"],
        "orderSellerId": row["order"],
        "status": row["status"],
        "lines": [{"lineId": each} for each in row["lines"] or []],
    }


def gesture(row: Row) -> Row:
    return {
        "id": row["id"],
        "orderId": row["order"],
        "amount": money(row["amount"]),
        "reason": row["reason"],
        "reasonDetails": row["details"],
        "status": "Accepted",
    }


def mode(code: str) -> Row:
    return {
        "code": code,
        "name": MODE_NAMES.get(code, code),
        "delivery_delay": 0,
        "is_express_delivery": code == "EXP",
        "more_than30_kg_product": code.startswith("LV"),
    }


def offer(world: World, row: Row, *, feedback: bool) -> Row:
    """An offer as GET /offers shows it; of its real fields only few are known."""
    visible = world.is_visible(row)
    shown: Row = {
        "sellerExternalReference": row["sku"],
        "product": {"gtin": row["gtin"]},
        "offerState": "Active" if visible else "Inactive",
        "facialPrice": {"price": money(row["price"])},
        "quantity": row["stock"],
        "preparationTime": row["handling_days"],
    }
    if feedback:
        why = [] if visible or row["stock"] == 0 else [{"message": "Preparation time is too long"}]
        shown["salesChannelFeedback"] = [{"salesChannelId": "CDISFR", "errors": why}]
    return shown


def sheet(row: Row) -> Row:
    """One item of the report of a package of product sheets."""
    return {
        "sellerProductReference": row["product"]["sellerProductReference"],
        "gtin": row["product"]["gtin"],
        "status": row["status"] or "Pending",
        "operationType": "Create",
        "errors": row["errors"],
    }
