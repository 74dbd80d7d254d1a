"""The commands a shop plugin obeys (docs/protocol.md section 4), as the simulated shop does: each exactly once, by its key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from flask import request
from marshmallow import ValidationError

from app.errors import ShopbridgeError
from app.sandbox.shop_outbox import now
from app.sandbox.shop_state import Line, NotObeyed, Order, Product, Refund, Shop, cents, line_of, plugin_facts
from app.shops import schemas, signing
from app.shops.envelope import parse_object
from app.shops.reading import faults

NOTHING_LEFT = frozenset({"cancelled", "refunded", "failed"})
"""Of an order in such a status there is nothing that could be taken back (`at_most`)."""

Told = tuple[dict[str, Any], bool]
"""What is true afterwards, and whether this command made it so."""


def _ping(shop: Shop, data: Mapping[str, Any]) -> Told:
    waiting = shop.outbox.counts().get("waiting", 0)
    return {
        "challenge": data["challenge"],
        "shop_url": request.host_url,
        "queue_length": waiting,
        **plugin_facts(),
    }, True


def _create(shop: Shop, data: Mapping[str, Any]) -> Told:
    for order in shop.orders.values():
        if order.key == data["key"]:
            return _created(order), False
    lines = []
    for wanted in data["lines"]:
        found = shop.find(number=wanted["product_id"], gtin=wanted["gtin"], sku=wanted["sku"])
        lines.append(
            Line(
                shop.next_id(),
                found.id if found else 0,
                wanted["sku"] or "",
                wanted["name"],
                wanted["quantity"],
                cents(wanted["unit_price"]),
                wanted["key"],
            )
        )
    order = Order(
        shop.next_id(),
        data["status"],
        lines,
        "shopbridge",
        now(),
        shipping=cents(data["shipping_total"]),
        key=data["key"],
        source=data["source"],
        billing=data["billing"],
        address=data["shipping"],
    )
    shop.orders[order.id] = order
    shop.note(order, data["note"])
    shop.reduce_stock(order)
    shop.outbox.add("order.placed", f"order/{order.id}")
    return _created(order), True


def _created(order: Order) -> dict[str, Any]:
    return {
        "order_id": str(order.id),
        "number": str(order.id),
        "status": order.status,
        "stock_sequence": order.stock_sequence,
        "lines": [
            {"key": line.key, "id": str(line.id), "product_found": line.product_id != 0}
            for line in order.lines
            if line.key
        ],
    }


def _status(shop: Shop, data: Mapping[str, Any]) -> Told:
    before = shop.order(data["order_id"]).status
    order = shop.set_status(
        data["order_id"], data["status"], data.get("note") if before != data["status"] else None
    )
    return {"order_id": str(order.id), "status": order.status}, before != order.status


def _add_note(shop: Shop, data: Mapping[str, Any]) -> Told:
    order = shop.order(data["order_id"])
    for note in order.notes:
        if note["key"] == data["key"]:
            return {"order_id": str(order.id), "note_id": str(note["id"])}, False
    made = shop.note(order, data["note"], data["key"])
    return {"order_id": str(order.id), "note_id": str(made["id"])}, True


def _tracking(shop: Shop, data: Mapping[str, Any]) -> Told:
    before = deepcopy(shop.order(data["order_id"]).tracking)
    order = shop.track(data["order_id"], data)
    return {"order_id": str(order.id), "tracking": list(order.tracking)}, order.tracking != before


def _cancel(shop: Shop, data: Mapping[str, Any]) -> Told:
    order = shop.order(data["order_id"])
    if data["lines"] is None:
        return _cancel_all(shop, order, data.get("restock", True), data.get("at_most", False))
    for refund in order.refunds:
        if refund.key == data["key"]:
            return _cancelled(order) | {"lines": _quantities(refund.lines)}, False
    parts = [(line_of(order, part), int(part["quantity"])) for part in data["lines"]]
    if data.get("at_most"):
        parts = _left_of(order, parts)
    elif any(quantity > line.quantity - line.refunded for line, quantity in parts):
        raise NotObeyed("order.not_cancellable", "So many pieces are not left.", "data.lines")
    if not parts:
        return _cancelled(order) | {"lines": []}, False
    made = _take_back(shop, order, parts, data)
    return _cancelled(order) | {"lines": _quantities(made.lines)}, True


def _left_of(order: Order, parts: Sequence[tuple[Line, int]]) -> list[tuple[Line, int]]:
    """Of each line at most what was not taken back before; nothing of an order that is over."""
    if order.status in NOTHING_LEFT:
        return []
    found = [(line, min(quantity, line.quantity - line.refunded)) for line, quantity in parts]
    return [(line, quantity) for line, quantity in found if quantity > 0]


def _take_back(
    shop: Shop, order: Order, parts: Sequence[tuple[Line, int]], data: Mapping[str, Any]
) -> Refund:
    """The refund object over these pieces. With `at_most` also not more money than is left of the order."""
    lines, left = [], order.left if data.get("at_most") else None
    for line, quantity in parts:
        amount = line.unit * quantity if left is None else min(line.unit * quantity, left)
        left = left if left is None else left - amount
        lines.append((line.id, quantity, amount))
    return shop.write_refund(
        order,
        sum(amount for _, _, amount in lines),
        lines,
        data["reason"],
        by_bridge=True,
        key=data["key"],
        restock=data.get("restock", True),
    )


def _quantities(lines: Sequence[tuple[int, int, int]]) -> list[dict[str, Any]]:
    return [{"id": str(line), "quantity": quantity} for line, quantity, _ in lines]


def _cancel_all(shop: Shop, order: Order, restock: bool, at_most: bool) -> Told:
    if order.status == "cancelled" or (at_most and order.status in NOTHING_LEFT):
        return _cancelled(order), False
    if order.status in {"completed", "refunded"}:
        raise NotObeyed("order.not_cancellable", "The order has been shipped.", "data.order_id")
    order.reduced = order.reduced and restock
    shop.set_status(order.id, "cancelled")
    return _cancelled(order), True


def _cancelled(order: Order) -> dict[str, Any]:
    return {"order_id": str(order.id), "status": order.status, "stock_sequence": order.stock_sequence}


def _refund(shop: Shop, data: Mapping[str, Any]) -> Told:
    order = shop.order(data["order_id"])
    for refund in order.refunds:
        if refund.key == data["key"]:
            return {"order_id": str(order.id), "refund_id": str(refund.id)}, False
    lines = [
        (line_of(order, part).id, int(part["quantity"]), cents(part["amount"]))
        for part in data.get("lines", [])
    ]
    made = shop.write_refund(
        order,
        cents(data["amount"]),
        lines,
        data["reason"],
        by_bridge=True,
        key=data["key"],
        restock=data.get("restock", False),
    )
    return {"order_id": str(order.id), "refund_id": str(made.id)}, True


def _stop(shop: Shop, data: Mapping[str, Any]) -> Told:
    order = shop.order(data["order_id"])
    shipped = order.status == "completed" or bool(order.tracking)
    first = order.stop is None
    if first:
        order.stop = data["reason"]
        shop.note(order, f"Stop: {data['reason']}", data["key"])
        if order.status == "processing" and not shipped:
            shop.set_status(order.id, "on-hold")
    return {"order_id": str(order.id), "status": order.status, "already_shipped": shipped}, first


def _label_sender(shop: Shop, data: Mapping[str, Any]) -> Told:
    order = shop.order(data["order_id"])
    changed = order.label_sender != data["address"]
    order.label_sender = data["address"]
    return {"order_id": str(order.id)}, changed


def _timeline(shop: Shop, data: Mapping[str, Any]) -> Told:
    order = shop.order(data["order_id"])
    story = {"entries": data["entries"], "next": data.get("next")}
    changed, order.timeline = order.timeline != story, story
    return {"order_id": str(order.id)}, changed


def _upsert(shop: Shop, data: Mapping[str, Any]) -> Told:
    by_key = next((each for each in shop.products.values() if each.key == data["key"]), None)
    if data.get("managed") is False:
        return _let_go(shop, by_key, data)
    by_gtin = shop.find(gtin=data.get("gtin"))
    if by_key and by_gtin and by_key is not by_gtin:
        raise NotObeyed("product.gtin_taken", f"Product {by_gtin.id} has this GTIN.", "data.gtin")
    found = by_key or by_gtin or shop.find(sku=data.get("sku"))
    if found and found.managed and found.key not in {None, data["key"]}:
        raise NotObeyed("product.gtin_taken", f"Product {found.id} comes through the network.", "data.gtin")
    wanted = {
        name: data[name] for name in ("name", "sku", "gtin", "price", "status") if data.get(name) is not None
    }
    wanted |= {name: data[name] for name in ("brand", "images", "managed") if data.get(name)}
    if data.get("stock_quantity") is not None:
        wanted |= {"stock": data["stock_quantity"], "counted": True}
    if found is None:
        new = {name: data.get(name) for name in ("key", "category", "tax_rate")}
        found = shop.add_product(wanted | new)
        return {"product_id": str(found.id), "created": True, "sequence": shop.outbox.draw_sequence()}, True
    found.key, found.category = data["key"], found.category or data.get("category")
    shop.change_product(found.id, wanted)
    return {"product_id": str(found.id), "created": False, "sequence": shop.outbox.draw_sequence()}, True


def _let_go(shop: Shop, product: Product | None, data: Mapping[str, Any]) -> Told:
    """From now on the merchant's own: only what we know by our key, and none is made for it."""
    if product is None or product.status == "trash":
        raise NotObeyed("product.not_found", "No product has this key.", "data.key")
    wanted = {"managed": False, "stock": data.get("stock_quantity") or 0, "counted": True}
    if data.get("status"):
        wanted["status"] = data["status"]
    shop.change_product(product.id, wanted)
    return {"product_id": str(product.id), "created": False, "sequence": shop.outbox.draw_sequence()}, True


def _release(shop: Shop, data: Mapping[str, Any]) -> Told:
    """Kept beside the product, as the product's page shows it. A product that is gone by now is no fault."""
    ours = [(told, shop.products.get(_number(told["product_id"]))) for told in data["products"]]
    changed = False
    for told, product in ours:
        if product is not None:
            news = {"state": told["state"], "reasons": told["reasons"]}
            changed, product.release = changed or product.release != news, news
    unknown = [told["product_id"] for told, product in ours if product is None]
    return {"known": len(ours) - len(unknown), "unknown": unknown}, changed


def _number(identifier: Any) -> int:
    return int(identifier) if str(identifier).isdecimal() else 0


def _set_stock(shop: Shop, data: Mapping[str, Any]) -> Told:
    product = shop.product(data["product_id"])
    changed = product.stock != data["stock_quantity"] or not product.counted
    product.counted, product.stock = True, data["stock_quantity"]
    sequence = shop.report_stock(product, None)
    return {"product_id": str(product.id), "stock_quantity": product.stock, "sequence": sequence}, changed


def _resend(shop: Shop, data: Mapping[str, Any]) -> Told:
    queued = shop.outbox.resend(data.get("ranges", []))
    if data.get("all_products"):
        for number in shop.products:
            shop.outbox.add("product.changed", f"product/{number}")
        queued += len(shop.products)
    return {"queued": queued}, True


def _rotate(shop: Shop, data: Mapping[str, Any]) -> Told:
    link = shop.link
    if link is None:
        raise NotObeyed("data.invalid", "The shop is not paired.")
    if link.event_secrets[0] == data["event_secret"]:
        return {}, False
    link.event_secrets[:] = [data["event_secret"], *link.event_secrets[:1]]
    link.command_secrets[:] = [data["command_secret"], *link.command_secrets[:1]]
    return {}, True


COMMANDS: Mapping[str, Callable[[Shop, Mapping[str, Any]], Told]] = {
    "ping": _ping,
    "order.create": _create,
    "order.status": _status,
    "order.note": _add_note,
    "order.tracking": _tracking,
    "order.cancel": _cancel,
    "order.refund": _refund,
    "order.stop_shipping": _stop,
    "order.label_sender": _label_sender,
    "order.timeline": _timeline,
    "product.upsert": _upsert,
    "product.release": _release,
    "stock.set": _set_stock,
    "events.resend": _resend,
    "secret.rotate": _rotate,
}


def obey(shop: Shop, headers: Mapping[str, str], raw: bytes) -> tuple[int, dict[str, Any]]:
    """One command as it came in: (status, answer). The same order of checks as in the real plugin."""
    if shop.link is None:
        return 503, {"error": {"code": "not_paired", "message": "This shop is not connected."}}
    try:
        signed = signing.verify(shop.link.command_secrets, headers, raw, now())
    except signing.SignatureInvalid:
        return 401, {
            "error": {"code": "signature.invalid", "message": "", "server_time": int(now().timestamp())}
        }
    try:
        with shop.lock:
            return _obeyed(shop, parse_object(raw), signed.id)
    except NotObeyed as no:
        error = {"code": no.code, "message": no.message, "field": no.field}
        return 422, {"id": signed.id, "result": "refused", "error": error}
    except ShopbridgeError as broken:
        error = {"code": "data.invalid", "message": str(broken), "field": broken.params.get("field")}
        return 422, {"id": signed.id, "result": "refused", "error": error}


def _obeyed(shop: Shop, command: dict[str, Any], message_id: str) -> tuple[int, dict[str, Any]]:
    kind = str(command.get("type"))
    if kind not in COMMANDS:
        raise NotObeyed("command.unknown", f"This plugin does not know {kind}.", "type")
    if command.get("id") != message_id:
        raise NotObeyed("data.invalid", "The id is not the header's.", "id")
    data = command.get("data") or {}
    try:
        schemas.COMMANDS[kind].load(data)
    except ValidationError as error:
        place, expected = faults(error)[0]
        raise NotObeyed("data.invalid", expected, place) from None
    shop.commands.append({"id": message_id, "type": kind})
    told, new = COMMANDS[kind](shop, data)
    return 200, {"id": message_id, "result": "done" if new else "already", "data": told}
