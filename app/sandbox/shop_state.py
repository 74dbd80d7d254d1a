"""What the simulated shop remembers and what can happen in it, in WooCommerce's manner: stock, orders, refunds, statuses.

Every change writes its event into the outbox under the same lock; a refusal is NotObeyed with a code of docs/protocol.md.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from app.sandbox.shop_outbox import NoAnswer, Outbox, now, send
from app.shops import signing
from app.shops.reading import amount_text, exact_minor_units

COMMAND_PATH: Final = "/wp-json/shopbridge/v1/commands"
PLUGIN_VERSION: Final = "0.1.0"
PLATFORM_VERSION: Final = "10.9.1"
CURRENCY: Final = "EUR"
STATUSES: Final = frozenset(
    {
        "pending",
        "on-hold",
        "processing",
        "completed",
        "cancelled",
        "refunded",
        "failed",
        "checkout-draft",
        "trash",
    }
)

REDUCING: Final = frozenset({"on-hold", "processing", "completed"})
"""Statuses that take the pieces out of stock, as in WooCommerce."""
CUSTOMER: Final = {
    "first_name": "Mia",
    "last_name": "Muster",
    "company": "",
    "address_1": "Beispielweg 4",
    "address_2": "",
    "postcode": "10115",
    "city": "Berlin",
    "state": "",
    "country": "DE",
    "phone": "",
    "email": "mia@customer.example",
}


class NotObeyed(Exception):
    """A command that is refused: code of the protocol, a sentence, and the field."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(code, message, field)
        self.code, self.message, self.field = code, message, field


@dataclass
class Product:
    """A product; `price` in cents. `stock` is what the shop counts when `counted`."""

    id: int
    name: str
    sku: str
    gtin: str
    price: int
    stock: int
    counted: bool = True
    parent_id: int = 0
    kind: str = "simple"
    status: str = "publish"
    key: str | None = None
    handling_days: int | None = None
    dealer_price: str | None = None
    network_category: str | None = None
    brand: str | None = None
    tax_rate: str | None = None
    images: list[str] = field(default_factory=list)
    description: str = ""
    attributes: list[dict[str, Any]] = field(default_factory=list)
    category: str | None = None
    categories: list[dict[str, Any]] = field(default_factory=list)
    managed: bool = False
    release: dict[str, Any] | None = None


# What the merchant may fill in beside WooCommerce's own fields.
EXTRAS: Final = (
    "handling_days",
    "dealer_price",
    "network_category",
    "brand",
    "tax_rate",
    "images",
    "description",
    "attributes",
    "category",
    "categories",
    "managed",
)


@dataclass
class Line:
    """One line of an order; `unit` in cents, gross. `refunded` pieces are already taken back."""

    id: int
    product_id: int
    sku: str
    name: str
    quantity: int
    unit: int
    key: str | None = None
    refunded: int = 0


@dataclass
class Refund:
    """A refund object. `lines`: (line id, quantity, amount)."""

    id: int
    amount: int
    reason: str
    lines: list[tuple[int, int, int]]
    by_bridge: bool
    key: str | None
    restocked: bool
    at: datetime


@dataclass
class Order:
    """An order with what the plugin adds to it."""

    id: int
    status: str
    lines: list[Line]
    created_via: str
    at: datetime
    shipping: int = 0
    key: str | None = None
    source: dict[str, Any] | None = None
    stock_sequence: int | None = None
    reduced: bool = False
    stop: str | None = None
    tracking: list[dict[str, Any]] = field(default_factory=list)
    return_tracking: list[dict[str, Any]] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    label_sender: dict[str, Any] | None = None
    labels: list[dict[str, Any]] = field(default_factory=list)
    timeline: dict[str, Any] | None = None
    billing: dict[str, Any] = field(default_factory=dict)
    address: dict[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Cents, gross, with shipping."""
        return sum(line.unit * line.quantity for line in self.lines) + self.shipping

    @property
    def left(self) -> int:
        """Cents that can still be refunded."""
        return self.total - sum(refund.amount for refund in self.refunds)


@dataclass
class Link:
    """What pairing gave us. Secrets newest first."""

    connection_key: str
    webhook_url: str
    status_url: str
    event_secrets: list[str]
    command_secrets: list[str]


class Shop:
    """The state of one simulated shop and everything that can happen to it. Thread-safe; ids grow from 11."""

    def __init__(self, *, name: str = "Anna's Teeladen", seed: int = 0, time_scale: float = 1.0) -> None:
        self.name = name
        self.lock = threading.RLock()
        self.products: dict[int, Product] = {}
        self.orders: dict[int, Order] = {}
        self.link: Link | None = None
        self.outbox = Outbox(self._snapshot, seed=seed, time_scale=time_scale)
        self.commands: list[dict[str, Any]] = []
        self.answered: dict[tuple[str, str], dict[str, Any]] = {}
        self._last_id = 10

    def next_id(self) -> int:
        """The next id of this shop, for whatever it is."""
        self._last_id += 1
        return self._last_id

    # --- products ---------------------------------------------------------------------------------------------

    def add_product(self, wanted: Mapping[str, Any]) -> Product:
        """A new product from {"name", "sku", "gtin", "price": "7.90", "stock", ...}; reported as product.changed."""
        with self.lock:
            number = self.next_id()
            made = Product(
                id=number,
                name=wanted.get("name", f"Tee {number}"),
                sku=wanted.get("sku", f"TEE-{number:03d}"),
                gtin=wanted.get("gtin", ""),
                price=cents(wanted.get("price", "7.90")),
                stock=int(wanted.get("stock", 0)),
                counted=wanted.get("counted", True),
                parent_id=int(wanted.get("parent_id", 0)),
                kind=wanted.get("type", "simple"),
                status=wanted.get("status", "publish"),
                key=wanted.get("key"),
                **{name: wanted[name] for name in EXTRAS if name in wanted},
            )
            self.products[number] = made
            self.outbox.add("product.changed", f"product/{number}")
            return made

    def change_product(self, number: int, wanted: Mapping[str, Any]) -> Product:
        """New values; a change of stock is reported as stock.changed, everything as product.changed."""
        with self.lock:
            product = self.product(number)
            for name in ("name", "sku", "gtin", "status", "counted", *EXTRAS):
                if name in wanted:
                    setattr(product, name, wanted[name])
            if "price" in wanted:
                product.price = cents(wanted["price"])
            if "stock" in wanted:
                product.stock = int(wanted["stock"])
                self.report_stock(product, None)
            self.outbox.add("product.changed", f"product/{number}")
            return product

    def delete_product(self, number: int, *, force: bool) -> None:
        """To the trash, or away for good. WooCommerce says nothing about the second; the plugin does."""
        with self.lock:
            product = self.product(number)
            product.status = "trash"
            if force:
                del self.products[number]
            self.outbox.forget_waiting(f"product/{number}")
            self.outbox.add("product.deleted", f"product/{number}", fixed={"id": number, "force": force})

    def product(self, number: Any) -> Product:
        """The product with this id. NotObeyed when there is none."""
        try:
            return self.products[int(number)]
        except (KeyError, ValueError):
            raise NotObeyed(
                "product.not_found", f"There is no product {number}.", "data.product_id"
            ) from None

    def find(self, *, number: Any = None, gtin: str | None = None, sku: str | None = None) -> Product | None:
        """The product with this id; else with this GTIN or SKU."""
        for product in self.products.values():
            if number is not None and str(product.id) == str(number):
                return product
        for product in self.products.values():
            if (gtin and product.gtin == gtin) or (sku and product.sku == sku):
                return product
        return None

    def report_stock(self, product: Product, order_id: int | None) -> int:
        """Reports the stock of a product; answers the sequence of the event."""
        extra = {} if order_id is None else {"order_id": order_id}
        return self.outbox.add("stock.changed", f"product/{product.id}", extra=extra).sequence

    # --- orders -----------------------------------------------------------------------------------------------

    def buy(self, wanted: Mapping[str, Any]) -> Order:
        """A customer buys {"lines": [{"sku" or "product_id", "quantity"}], "status", "billing", "shipping"} in the shop. NotObeyed when it is
        sold out.
        """
        with self.lock:
            lines = [self._bought(line) for line in wanted["lines"]]
            order = Order(
                self.next_id(),
                wanted.get("status", "processing"),
                lines,
                "checkout",
                now(),
                billing=dict(wanted.get("billing", CUSTOMER)),
                address=dict(wanted.get("shipping", CUSTOMER | {"email": ""})),
            )
            self.orders[order.id] = order
            if order.status in REDUCING:
                self.reduce_stock(order)
            self.outbox.add("order.placed", f"order/{order.id}")
            return order

    def _bought(self, wanted: Mapping[str, Any]) -> Line:
        product = self.find(number=wanted.get("product_id"), sku=wanted.get("sku"))
        quantity = int(wanted.get("quantity", 1))
        if product is None:
            raise NotObeyed("product.not_found", "There is no such product.")
        if product.counted and product.stock < quantity:
            raise NotObeyed("stock.too_low", f"Only {product.stock} pieces are left.")
        return Line(self.next_id(), product.id, product.sku, product.name, quantity, product.price)

    def reduce_stock(self, order: Order) -> None:
        """Takes the pieces out of stock; `stock_sequence` is drawn after it, before the stock is reported (I13)."""
        touched = [(product, line) for line in order.lines if (product := self.products.get(line.product_id))]
        for product, line in touched:
            product.stock -= line.quantity if product.counted else 0
        order.reduced = True
        order.stock_sequence = self.outbox.draw_sequence()
        for product in {product.id: product for product, _ in touched}.values():
            self.report_stock(product, order.id)

    def _put_back(self, order: Order, pieces: Mapping[int, int]) -> None:
        """Pieces (line id -> quantity) go back into stock."""
        for line in order.lines:
            product = self.products.get(line.product_id)
            if product is not None and product.counted and pieces.get(line.id):
                product.stock += pieces[line.id]
                self.report_stock(product, order.id)

    def order(self, number: Any) -> Order:
        """The order with this id. NotObeyed when there is none."""
        try:
            return self.orders[int(number)]
        except (KeyError, ValueError):
            raise NotObeyed("order.not_found", f"There is no order {number}.", "data.order_id") from None

    def set_status(self, number: Any, status: str, note: str | None = None) -> Order:
        """A change of status with what WooCommerce does beside it; reported as order.changed."""
        with self.lock:
            order = self.order(number)
            if status not in STATUSES:
                raise NotObeyed("status.unknown", f"There is no status {status}.", "data.status")
            if note:
                self.note(order, note)
            if order.status == status:
                return order
            before, order.status = order.status, status
            self._beside(order, status)
            step = {"from": before, "to": status, "at": text_of(now())}
            self.outbox.add("order.changed", f"order/{order.id}", transitions=[step])
            return order

    def _beside(self, order: Order, status: str) -> None:
        if status == "cancelled" and order.reduced:
            order.reduced = False
            self._put_back(order, {line.id: line.quantity - line.refunded for line in order.lines})
        elif status in REDUCING and not order.reduced:
            self.reduce_stock(order)  # brought back to life
        elif status == "refunded" and order.left > 0:
            # K8: set by hand, WooCommerce makes a refund object over what is left, without lines.
            self.write_refund(
                order, order.left, [], "Order fully refunded.", by_bridge=False, key=None, restock=False
            )

    def track(self, number: Any, parcel: Mapping[str, Any]) -> Order:
        """A parcel: {"number", "carrier", "url", "lines"}. A known number takes in what it did not have. Reported as shipment.changed."""
        with self.lock:
            order = self.order(number)
            known = next((each for each in order.tracking if each["number"] == parcel["number"]), None)
            if known is None:
                order.tracking.append(
                    {
                        "number": parcel["number"],
                        "carrier": parcel.get("carrier"),
                        "url": parcel.get("url"),
                        "shipped_at": parcel.get("shipped_at") or text_of(now()),
                        "lines": parcel.get("lines"),
                    }
                )
            elif (lines := _more_lines(known["lines"], parcel.get("lines"))) != known["lines"]:
                known["lines"] = lines
            else:
                return order
            self.outbox.add("shipment.changed", f"order/{order.id}")
            return order

    def print_return_label(self, number: Any, parcel: Mapping[str, Any]) -> Order:
        """A label for sending the goods back: {"number", "carrier"}. Reported as shipment.changed."""
        with self.lock:
            order = self.order(number)
            order.return_tracking.append(
                {
                    "number": parcel["number"],
                    "carrier": parcel.get("carrier"),
                    "url": None,
                    "shipped_at": text_of(now()),
                    "lines": None,
                }
            )
            self.outbox.add("shipment.changed", f"order/{order.id}")
            return order

    def print_label(self, number: Any) -> Order:
        """A shipping label with its sender; None = the shop itself. NotObeyed while a retailer's address is not known (K7)."""
        with self.lock:
            order = self.order(number)
            of_network = (order.source or {}).get("marketplace") == "dropshipping"
            if of_network and order.label_sender is None:
                raise NotObeyed(
                    "label.sender_unknown", "The retailer's address is not known yet.", "data.order_id"
                )
            order.labels.append({"sender": order.label_sender})
            return order

    def complete(self, number: Any, parcel: Mapping[str, Any] | None) -> Order:
        """Packed and gone, with or without a tracking number."""
        with self.lock:
            if parcel:
                self.track(number, parcel)
            return self.set_status(number, "completed")

    def refund(self, number: Any, wanted: Mapping[str, Any]) -> Refund:
        """A refund object made by a person: {"amount"} or {"lines": [{"id", "quantity"}]}, "restock", "reason"."""
        with self.lock:
            order = self.order(number)
            parts = [
                (line, int(part["quantity"]))
                for part in wanted.get("lines", [])
                for line in [line_of(order, part)]
            ]
            by_line = [(line.id, quantity, line.unit * quantity) for line, quantity in parts]
            amount = cents(wanted["amount"]) if "amount" in wanted else sum(part for _, _, part in by_line)
            return self.write_refund(
                order,
                amount or order.left,
                by_line,
                wanted.get("reason", ""),
                by_bridge=False,
                key=None,
                restock=wanted.get("restock", True),
            )

    def write_refund(
        self,
        order: Order,
        amount: int,
        lines: list[tuple[int, int, int]],
        reason: str,
        *,
        by_bridge: bool,
        key: str | None,
        restock: bool,
    ) -> Refund:
        """A refund object (K8); when nothing is left the order becomes refunded, as in WooCommerce."""
        if amount > order.left:
            raise NotObeyed("amount.too_high", f"Only {order.left} cents are left.", "data.amount")
        made = Refund(self.next_id(), amount, reason, lines, by_bridge, key, restock and bool(lines), now())
        order.refunds.append(made)
        for line in order.lines:
            line.refunded += sum(quantity for number, quantity, _ in lines if number == line.id)
        if made.restocked and order.reduced:
            self._put_back(order, {number: quantity for number, quantity, _ in lines})
        self.outbox.add("order.refunded", f"order/{order.id}")
        if order.left == 0 and order.status != "refunded":
            self.set_status(order.id, "refunded")
        return made

    def trash_order(self, number: Any) -> Order:
        """To the trash; reported as order.deleted."""
        with self.lock:
            order = self.order(number)
            order.status = "trash"
            self.outbox.forget_waiting(f"order/{order.id}")
            self.outbox.add("order.deleted", f"order/{order.id}", fixed={"id": order.id, "force": False})
            return order

    def note(self, order: Order, text: str, key: str | None = None) -> dict[str, Any]:
        """Writes a note on the order."""
        made = {"id": self.next_id(), "note": text, "key": key}
        order.notes.append(made)
        return made

    # --- what the events carry ----------------------------------------------------------------------------------

    def _snapshot(self, kind: str, subject: str) -> Mapping[str, Any] | None:
        """The thing as it is now, in WooCommerce's JSON; None when it is gone."""
        name, _, number = subject.partition("/")
        with self.lock:
            if name == "product":
                product = self.products.get(int(number))
                if product is None:
                    return None
                return _stock_json(product) if kind == "stock.changed" else self.product_json(product)
            order = self.orders.get(int(number)) if name == "order" else None
            return self.order_json(order) if order else None

    def product_json(self, product: Product) -> dict[str, Any]:
        """The product as WooCommerce renders it, with the plugin's part."""
        price = amount_text(product.price, CURRENCY) if product.kind != "variable" else ""
        return _stock_json(product) | {
            "parent_id": product.parent_id,
            "type": product.kind,
            "status": product.status,
            "name": product.name,
            "global_unique_id": product.gtin,
            "price": price,
            "regular_price": price,
            "backorders": "no",
            "weight": "",
            "images": [
                {"id": place, "src": address, "alt": ""} for place, address in enumerate(product.images, 1)
            ],
            "description": product.description,
            "attributes": product.attributes,
            "categories": product.categories,
            "shopbridge": {
                "currency": CURRENCY,
                "prices_include_tax": True,
                "gtin": product.gtin or None,
                "handling_days": product.handling_days,
                "dealer_price": product.dealer_price,
                "network_category": product.network_category,
                "brand": product.brand,
                "tax_rate": product.tax_rate,
            },
        }

    def order_json(self, order: Order) -> dict[str, Any]:
        """The order as WooCommerce renders it, with the plugin's part."""
        return {
            "id": order.id,
            "number": str(order.id),
            "status": order.status,
            "currency": CURRENCY,
            "total": amount_text(order.total, CURRENCY),
            "created_via": order.created_via,
            "date_created_gmt": text_of(order.at).removesuffix("Z"),
            "billing": order.billing,
            "shipping": order.address,
            "line_items": [_line_json(line) for line in order.lines],
            "refunds": [
                {"id": each.id, "reason": each.reason, "total": f"-{amount_text(each.amount, CURRENCY)}"}
                for each in order.refunds
            ],
            "shopbridge": {
                "key": order.key,
                "transitions": [],
                "tracking": list(order.tracking),
                "return_tracking": list(order.return_tracking),
                "stock_sequence": order.stock_sequence,
                "refunds": [_refund_json(each) for each in order.refunds],
            },
        }

    # --- the link to the bridge -----------------------------------------------------------------------------------

    def pair(self, bridge: str, code: str, shop_url: str) -> tuple[int, dict[str, Any]]:
        """Sends the pairing code; (status, answer). The first event afterwards is plugin.installed."""
        wanted = {
            "code": code,
            "platform": "woocommerce",
            "platform_version": PLATFORM_VERSION,
            "plugin_version": PLUGIN_VERSION,
            "shop_name": self.name,
            "shop_url": shop_url,
            "command_url": shop_url + COMMAND_PATH,
            "currency": CURRENCY,
            "country": "DE",
            "locale": "de_DE",
            "timezone": "Europe/Berlin",
        }
        status, raw = send("POST", bridge.rstrip("/") + "/plugin/connect", json.dumps(wanted).encode(), {})
        told = _json(raw)
        if status == 201:
            self.connect(told)
        return status, told

    def connect(self, told: Mapping[str, Any]) -> None:
        """Takes what pairing answered, or what a test hands over."""
        with self.lock:
            self.link = Link(
                told["connection_key"],
                told["webhook_url"],
                told["status_url"],
                [told["event_secret"]],
                [told["command_secret"]],
            )
            self.outbox.secrets = self.link.event_secrets
            self.outbox.webhook_url = self.link.webhook_url
            self.outbox.removed = False
            self.outbox.add("plugin.installed", "shop", fixed=plugin_facts())

    def status(self) -> dict[str, Any]:
        """What the plugin's settings page shows: the bridge's word and our own queue."""
        told: dict[str, Any] | None = None
        link = self.link
        if link is not None:
            headers = signing.sign(link.event_secrets, self.outbox.new_id("req_"), b"", now())
            headers["shopbridge-connection"] = link.connection_key
            try:
                told = _json(send("GET", link.status_url, None, headers)[1])
            except NoAnswer:
                told = None
        return {"paired": link is not None, "bridge": told, "queue": self.outbox.counts()}

    def books(self) -> dict[str, Any]:
        """Everything a test wants to count: orders per key, stock, refunds, events, commands."""
        with self.lock:
            keys = [order.key for order in self.orders.values() if order.key]
            return {
                "orders_by_key": {key: keys.count(key) for key in keys},
                "orders": [
                    self.order_json(order)
                    | {"notes": order.notes, "stop": order.stop, "label_sender": order.label_sender}
                    | {"source": order.source, "labels": order.labels}
                    for order in self.orders.values()
                ],
                "stock": {product.sku: product.stock for product in self.products.values()},
                "products": [
                    self.product_json(product)
                    | {"key": product.key, "managed": product.managed, "release": product.release}
                    | {"category": product.category}
                    for product in self.products.values()
                ],
                "refunds": [
                    _refund_json(each) | {"order_id": order.id}
                    for order in self.orders.values()
                    for each in order.refunds
                ],
                "events": self.outbox.listed(),
                "commands": list(self.commands),
                "timelines": {
                    str(order.id): order.timeline for order in self.orders.values() if order.timeline
                },
            }


def line_of(order: Order, part: Mapping[str, Any]) -> Line:
    """The line that a part of a command or a refund means. NotObeyed when there is none."""
    for line in order.lines:
        if str(line.id) == str(part["id"]):
            return line
    raise NotObeyed("line.not_found", f"Order {order.id} has no line {part['id']}.", "data.lines")


def _more_lines(
    known: list[dict[str, Any]] | None, told: list[dict[str, Any]] | None
) -> list[dict[str, Any]] | None:
    """What is in a parcel that is told again: of each line the higher quantity. None = the whole order; who names no line adds none."""
    if known is None or told is None:
        return known
    found = {str(part["id"]): int(part["quantity"]) for part in known}
    for part in told:
        found[str(part["id"])] = max(found.get(str(part["id"]), 0), int(part["quantity"]))
    return [{"id": line, "quantity": quantity} for line, quantity in found.items()]


def _stock_json(product: Product) -> dict[str, Any]:
    return {
        "id": product.id,
        "sku": product.sku,
        "manage_stock": product.counted,
        "stock_quantity": product.stock if product.counted else None,
        "stock_status": "instock" if product.stock > 0 or not product.counted else "outofstock",
        "order_id": None,
    }


def _line_json(line: Line) -> dict[str, Any]:
    meta = [{"key": "_shopbridge_line", "value": line.key}] if line.key else []
    return {
        "id": line.id,
        "product_id": line.product_id,
        "variation_id": 0,
        "quantity": line.quantity,
        "sku": line.sku,
        "name": line.name,
        "total": amount_text(line.unit * line.quantity, CURRENCY),
        "total_tax": "0.00",
        "meta_data": meta,
    }


def _refund_json(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.id,
        "amount": amount_text(refund.amount, CURRENCY),
        "currency": CURRENCY,
        "reason": refund.reason,
        "created_at": text_of(refund.at),
        "by_bridge": refund.by_bridge,
        "key": refund.key,
        "restocked": refund.restocked,
        "lines": [
            {"id": number, "quantity": quantity, "amount": amount_text(amount, CURRENCY)}
            for number, quantity, amount in refund.lines
        ],
    }


def plugin_facts() -> dict[str, Any]:
    """What the plugin says of itself."""
    return {"plugin_version": PLUGIN_VERSION, "platform": "woocommerce", "platform_version": PLATFORM_VERSION}


def _json(raw: bytes) -> dict[str, Any]:
    try:
        told = json.loads(raw)
    except ValueError:
        told = None
    return told if isinstance(told, dict) else {"unreadable": raw[:200].decode(errors="replace")}


def cents(text: str) -> int:
    """Text to cents: 7.90 is 790."""
    return exact_minor_units(Decimal(text), CURRENCY, "amount")


def text_of(moment: datetime) -> str:
    """UTC with Z, as everywhere in the protocol."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
