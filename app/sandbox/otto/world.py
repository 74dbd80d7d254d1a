"""What simulated OTTO remembers: sellers, tokens, products, processes, orders, parcels, returns, and every deed done to them.

What may go wrong: a deed that the state does not allow is refused as the real one refuses it (FACTS 4 to 7). The caller holds `world.lock`;
times move only forward, by the real clock or by `advance`. Amounts are whole cents inside.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from app.sandbox.otto.wire import PARCELS, SCOPES, Pace, Row, gateway, refused

ADDRESS: Final = {
    "salutation": "MS", "title": "", "firstName": "Mia", "lastName": "Muster", "street": "Beispielweg", "houseNumber": "4",
    "addition": "", "zipCode": "10115", "city": "Berlin", "countryCode": "DEU",
}  # fmt: skip
DEMO_CLIENT_ID: Final = "demo-otto-client"
DEMO_CLIENT_SECRET: Final = "demo-otto-secret-0000"  # noqa: S105  An invented key of the simulator.
PROFILE: Final = "7bec0ef6-4324-4fa4-9fbf-42c54659ef04"
CATEGORIES: Final = {"Tee": ["Herkunftsland"], "Teekanne": ["Materialzusammensetzung", "Farbe"]}
BRANDS: Final = [
    ("TEELADEN1", "Teeladen", True),
    ("BOLDT0001", "Bücher Boldt", True),
    ("OLD000001", "Altmarke", False),
]
PAID: Final = frozenset({"SENT"})
TOKEN_SECONDS: Final = 1800
REFRESH_SECONDS: Final = 7200


@dataclass
class Seller:
    """A seller account. `live`: OTTO has released it; before, products are RESTRICTED."""

    client_id: str
    client_secret: str
    username: str = "api-anna"
    password: str = "p&ss wörd+1"  # noqa: S105  An invented one, with what must be encoded.
    name: str = "Anna's Teeladen"
    live: bool = True
    revoked: bool = False
    scopes: list[str] = field(default_factory=lambda: sorted(set(SCOPES.values())))


@dataclass
class Conduct:
    """How this OTTO behaves. Seconds, counts. `*_asks`: how often something is asked for before it is done."""

    per_second: int = 20
    products_per_second: int = 10
    active_per_day: int = 3600
    ping_seconds: float = 0
    process_asks: int = 1
    moin_asks: int = 0
    cancel_asks: int = 1
    reduction_asks: int = 1


def stamp(moment: datetime) -> str:
    """As the other interfaces write times."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def order_stamp(moment: datetime) -> str:
    """Orders write the zone without a colon (FACTS 3)."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def money(cents: int) -> Row:
    """A float only as notation: two digits survive it, and nobody computes with it."""
    return {"amount": cents / 100, "currency": "EUR"}


def cents(amount: object) -> int | None:
    """Whole cents of a JSON number; None when it has more digits or is none."""
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        return None
    value = Decimal(str(amount)) * 100
    return int(value) if value == value.to_integral_value() else None


class World:
    """Everything, in memory."""

    def __init__(self, conduct: Conduct | None = None) -> None:
        self.lock = threading.RLock()
        self.conduct = conduct or Conduct()
        self.pace = Pace()
        self.sellers: dict[str, Seller] = {}
        self.tokens: dict[str, Row] = {}
        self.refresh: dict[str, Row] = {}
        self.profiles = {PROFILE: "PARCEL"}  # shipping profiles of every seller: id -> deliveryType
        self.catalogue: dict[str, Row] = {}  # by EAN: what /_control/products told of it
        self.products: dict[tuple[str, str], Row] = {}  # by (seller, SKU)
        self.processes: dict[str, Row] = {}
        self.orders: dict[str, Row] = {}
        self.items: dict[str, Row] = {}
        self.shipments: dict[str, Row] = {}
        self.parcels: dict[tuple[str, str, str], str] = {}  # (seller, carrier, number) -> shipment
        self.returns: dict[str, Row] = {}  # by item
        self.parcels_back: dict[str, Row] = {}
        self.deeds: list[Row] = []
        self.violations: list[str] = []  # what the vendor asks for and nobody enforces
        self._ahead = timedelta()
        self._numbers = itertools.count(1)

    @classmethod
    def demo(cls, first_number: int = 1) -> World:
        """One seller with known keys, so that the demo needs no setup."""
        world = cls()
        world._numbers = itertools.count(first_number)
        world.sellers[DEMO_CLIENT_ID] = Seller(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET)
        return world

    # --- time ------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)

    def settle(self) -> None:
        """What was taken for processing is done now."""
        for process in self.processes.values():
            self.finish(process)
        for product in self.products.values():
            self.validate(product)
        for item in self.items.values():
            self.finish_cancel(item)
            for each in item["reductions"]:
                each["status"] = "PROCESSED" if each["status"] == "INITIATED" else each["status"]

    def number(self) -> int:
        return next(self._numbers)

    def identity(self) -> str:
        """A UUID that does not repeat those of an earlier simulator whose numbers began elsewhere."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"otto:{self.number()}"))

    def done(self, deed: str, order: str | None, pieces: Sequence[str], amount: int | None = None) -> None:
        at = stamp(self.now())
        self.deeds.append({"deed": deed, "order": order, "pieces": list(pieces), "amount": amount, "at": at})

    # --- who speaks ------------------------------------------------------------------------------------------------------

    def grant(self, seller: Seller, scopes: list[str], *, refresh: bool) -> Row:
        token = f"token-{self.identity()}"
        self.tokens[token] = {
            "seller": seller,
            "scopes": scopes,
            "until": self.now() + timedelta(seconds=TOKEN_SECONDS),
        }
        answer: Row = {
            "access_token": token,
            "expires_in": TOKEN_SECONDS,
            "token_type": "bearer",
            "scope": " ".join(scopes),
        }
        if refresh:
            again = f"refresh-{self.identity()}"
            self.refresh[again] = {"seller": seller, "until": self.now() + timedelta(seconds=REFRESH_SECONDS)}
            answer |= {"refresh_token": again, "refresh_expires_in": REFRESH_SECONDS}
        return answer

    def seller_of(self, header: str, scope: str) -> Seller:
        known = self.tokens.get(header.removeprefix("Bearer "))
        if (
            known is None
            or not header.startswith("Bearer ")
            or known["until"] <= self.now()
            or known["seller"].revoked
        ):
            raise gateway(401, "Unauthorized")
        if scope not in known["scopes"]:
            raise gateway(403, "Forbidden")
        seller: Seller = known["seller"]
        return seller

    # --- products --------------------------------------------------------------------------------------------------------

    def product_of(self, seller: Seller, sku: str) -> Row | None:
        return self.products.get((seller.client_id, sku))

    def products_of(self, seller: Seller) -> list[Row]:
        return [each for each in self.products.values() if each["seller"] == seller.client_id]

    def with_moin(self, seller: Seller, sku: str) -> Row | None:
        product = self.product_of(seller, sku)
        return product if product and product["moin"] else None

    def add_product(self, seller: Seller, body: Mapping[str, Any]) -> Row:
        """A product as POST /v5/products brings it, before the second validation."""
        price = cents(body["pricing"]["standardPrice"]["amount"]) or 0
        sku = body["sku"]
        known = self.product_of(seller, sku)
        product = known or {
            "seller": seller.client_id, "sku": sku, "moin": None, "active": True, "quantity": 0, "delivery": None, "asked": 0,
        }  # fmt: skip
        product |= {"body": dict(body), "price": price, "valid": None, "at": self.now()}
        self.products[seller.client_id, sku] = product
        if known is None:
            self.done("offer", None, [sku])
        return product

    def validate(self, product: Row) -> None:
        """The second validation: what it found of the EAN in the catalogue counts."""
        if product["valid"] is None:
            product["valid"] = self.catalogue.get(product["body"]["ean"].lstrip("0"), {}).get("reject") or ""
            product["moin"] = product["moin"] or f"M00A{self.number():06d}"
            product["released"] = self.sellers[product["seller"]].live

    def status(self, product: Row) -> str:
        if product["valid"] is None:
            return "PENDING"
        if product["valid"]:
            return "REJECTED"
        if not self.sellers[product["seller"]].live:
            return "RESTRICTED"
        # What was uploaded before the release stays inactive until it is switched on (FACTS 8).
        return "ONLINE" if product["active"] and product["released"] else "INACTIVE"

    def status_json(self, product: Row) -> Row:
        if product["valid"] is None:
            product["asked"] += 1
            if product["asked"] > self.conduct.moin_asks:
                self.validate(product)
        errors = [{"code": "200001", "title": product["valid"]}] if product["valid"] else []
        links = [{"rel": "variation", "href": f"/v5/products/{product['sku']}"}]
        if product["moin"]:
            links.append({"rel": "shop", "href": f"https://www.otto.example/p/{product['moin']}"})
        row = {
            "sku": product["sku"],
            "status": self.status(product),
            "errors": errors,
            "information": [],
            "links": links,
        }
        return (
            row
            | {"lastModified": stamp(product["at"])}
            | ({"moin": product["moin"]} if product["moin"] else {})
        )

    def buyable(self, product: Row) -> int:
        """How many a buyer can put into the basket now; a restricted product through its own link only."""
        on_sale = self.status(product) in {"ONLINE", "RESTRICTED"} and product["delivery"]
        return int(product["quantity"]) if on_sale else 0

    # --- processes --------------------------------------------------------------------------------------------------------

    def start(self, seller: Seller, kind: str, rows: list[Row]) -> Row:
        process: Row = {
            "id": self.identity(), "seller": seller.client_id, "kind": kind, "rows": rows, "asked": 0, "done": False,
            "ping_after": self.now() + timedelta(seconds=self.conduct.ping_seconds), "failed": [], "succeeded": [], "unchanged": [],
        }  # fmt: skip
        self.processes[process["id"]] = process
        return process

    def finish(self, process: Row) -> None:
        if process["done"]:
            return
        process["done"] = True
        seller = self.sellers[process["seller"]]
        for row in process["rows"]:
            process[_EFFECTS[process["kind"]](self, seller, row)].append(row)

    def process_json(self, process: Row) -> Row:
        base = f"/v5/products/update-tasks/{process['id']}"
        counts = {name: len(process[name]) for name in ("succeeded", "failed", "unchanged")}
        links = [{"rel": "self", "href": base}]
        links += [{"rel": name, "href": f"{base}/{name}"} for name in ("failed", "succeeded", "unchanged")]
        return {
            "state": "done" if process["done"] else "pending",
            "message": "",
            "total": len(process["rows"]),
            "progress": sum(counts.values()),
            "pingAfter": stamp(process["ping_after"]),
            "links": links,
            **counts,
        }

    # --- orders ----------------------------------------------------------------------------------------------------------

    def place_order(self, seller: Seller, wanted: Mapping[str, Any]) -> Row:
        """`wanted`: lines [{sku, pieces, price, discount}], state, fee, oversell, address, delivery_address."""
        lines = wanted.get("lines") or []
        if not lines:
            raise refused(400, "PROPERTY_IS_MANDATORY", "lines", "/_control/buy", "lines")
        self._sell(seller, lines, oversell=bool(wanted.get("oversell")))
        now = self.now()
        order = {
            "id": self.identity(), "number": f"o{self.number():09d}", "seller": seller.client_id, "at": now, "changed": now,
            "items": [], "fee": wanted.get("fee", 0), "address": ADDRESS | wanted.get("address", {}),
        }  # fmt: skip
        self.orders[order["id"]] = order
        status = "ANNOUNCED" if wanted.get("state") == "announced" else "PROCESSABLE"
        for line in lines:
            for _ in range(line.get("pieces", 1)):
                self._add_item(seller, order, line, status)
        return order

    def _sell(self, seller: Seller, lines: Iterable[Mapping[str, Any]], *, oversell: bool) -> None:
        for line in lines:
            product, wanted = self.product_of(seller, line["sku"]), line.get("pieces", 1)
            left = self.buyable(product) if product else 0
            if left < wanted and not oversell:
                raise refused(409, "Conflict", f"only {left} of {line['sku']} can be bought", "/_control/buy")
            if product:
                product["quantity"] = max(0, product["quantity"] - wanted)

    def _add_item(self, seller: Seller, order: Row, line: Mapping[str, Any], status: str) -> None:
        product = self.product_of(seller, line["sku"])
        item = {
            "id": self.identity(), "order": order["id"], "seller": seller.client_id, "sku": line["sku"], "status": status,
            "price": line.get("price") or (product["price"] if product else 790), "discount": line.get("discount", 0),
            "ean": product["body"]["ean"] if product else line.get("gtin", "4006381333931"), "title": line.get("title", "Assam, 100 g"),
            "at": order["at"], "dates": {}, "reason": None, "cancelling": 0, "reductions": [], "refunded": 0, "shipment": None,
            "by_marketplace": False,
        }  # fmt: skip
        self.items[item["id"]] = item
        order["items"].append(item["id"])
        if status == "PROCESSABLE":
            item["dates"]["processableDate"] = order_stamp(order["at"])

    def move(self, item: Row, status: str) -> None:
        names = {"PROCESSABLE": "processableDate", "SENT": "sentDate", "RETURNED": "returnedDate"}
        item["status"], item["at"] = status, self.now()
        self.orders[item["order"]]["changed"] = item["at"]
        item["dates"][names.get(status, "cancellationDate")] = order_stamp(item["at"])

    def order_json(self, order: Row) -> Row:
        items = [self.items[each] for each in order["items"]]
        for item in items:
            if item["cancelling"]:
                item["cancelling"] += 1
                if item["cancelling"] > self.conduct.cancel_asks + 1:
                    self.finish_cancel(item)
        told = any(item["status"] != "ANNOUNCED" for item in items)
        data = {
            "salesOrderId": order["id"],
            "orderNumber": order["number"],
            "orderDate": order_stamp(order["at"]),
            "lastModifiedDate": order_stamp(order["changed"]),
            "positionItems": [self.item_json(item) for item in items],
            "orderLifecycleInformation": {"lifecycleChangeDate": order_stamp(order["changed"])},
            "payment": {"paymentMethod": "INVOICE_SINGLE"},
            "initialDiscounts": [],
            "initialDeliveryFees": [],
            "links": [{"rel": "self", "href": f"/v4/orders/{order['id']}"}],
        }
        if order["fee"]:
            fee = {
                "name": "DELIVERY_FEE_STANDARD",
                "deliveryFeeAmount": money(order["fee"]),
                "positionItemIds": order["items"],
            }
            data["initialDeliveryFees"] = [fee | {"vatRate": 19}]
        if told:
            data |= {
                "deliveryAddress": order["address"],
                "invoiceAddress": order["address"] | {"email": "p-1@kunde.example"},
            }
        return data

    def item_json(self, item: Row) -> Row:
        data = {
            "positionItemId": item["id"],
            "fulfillmentStatus": item["status"],
            "expectedDeliveryDate": stamp(self.orders[item["order"]]["at"] + timedelta(days=5)),
            "itemValueGrossPrice": money(item["price"]),
            "product": {
                "sku": item["sku"], "ean": item["ean"], "articleNumber": "ART-1", "productTitle": item["title"], "vatRate": 19,
                "dimensions": [],
            },
            "weeePickup": False,
            "returnAcceptedByMarketplace": item["by_marketplace"],
            **item["dates"],
        }  # fmt: skip
        if item["discount"]:
            data |= {
                "itemValueDiscount": money(item["discount"]),
                "itemValueReducedGrossPrice": money(self.value(item)),
            }
        if item["reason"]:
            data["cancellationReason"] = item["reason"]
        if item["shipment"]:
            key = self.shipments[item["shipment"]]["trackingKey"]
            data["trackingInfo"] = {name: key[name] for name in ("carrier", "trackingNumber") if name in key}
        return data

    @staticmethod
    def value(item: Row) -> int:
        return int(item["price"] - item["discount"])

    def pay(self, order: Row) -> None:
        for each in order["items"]:
            if self.items[each]["status"] == "ANNOUNCED":
                self.move(self.items[each], "PROCESSABLE")

    def cancel_by_seller(self, order: Row, wanted: list[str], path: str) -> None:
        """All or nothing; what is cancelled already is ignored (FACTS 4)."""
        items = [self.items[each] for each in wanted]
        open_ones = [
            each for each in items if not each["status"].startswith("CANCELLED") and not each["cancelling"]
        ]
        if any(each["status"] != "PROCESSABLE" for each in open_ones):
            what = f"No position item in sales order [{order['id']}] may be changed to [CANCELLED_BY_PARTNER]"
            raise refused(409, "Conflict", what, path)
        for each in open_ones:
            each["cancelling"] = 1
        if open_ones:
            self.done("cancel", order["id"], [f"{order['id']}/{each['id']}" for each in open_ones])

    def finish_cancel(self, item: Row) -> None:
        if item["cancelling"]:
            item["cancelling"], item["reason"] = 0, "CANCELLED_ON_PARTNER_WISH"
            self.move(item, "CANCELLED_BY_PARTNER")

    def cancel_by_buyer(self, items: list[Row]) -> None:
        if any(each["status"] not in {"ANNOUNCED", "PROCESSABLE"} for each in items):
            raise refused(409, "Conflict", "sent already", "/_control/cancel")
        for each in items:
            each["cancelling"], each["reason"] = 0, "CANCELLED_ON_CUSTOMER_WISH"
            self.move(each, "CANCELLED_BY_MARKETPLACE")

    # --- parcels ---------------------------------------------------------------------------------------------------------

    def ship(self, seller: Seller, body: Row, path: str) -> Row:
        """One parcel with items that are PROCESSABLE. The key is unique per seller (FACTS 5)."""
        key = body["trackingKey"]
        self.key_is_free(seller, key, path)
        items = self.shippable(seller, body["positionItems"], path)
        shipment = {
            "shipmentId": str(101_000_000_000 + self.number()), "seller": seller.client_id, "trackingKey": key,
            "shipDate": body["shipDate"], "shipFromAddress": body["shipFromAddress"], "positionItems": list(body["positionItems"]),
            "creationDate": stamp(self.now()),
        }  # fmt: skip
        self.shipments[shipment["shipmentId"]] = shipment
        self._remember_key(seller, key, shipment)
        self.send(items, shipment)
        return shipment

    def _remember_key(self, seller: Seller, key: Row, shipment: Row) -> None:
        if "trackingNumber" in key:
            self.parcels[seller.client_id, key["carrier"], key["trackingNumber"]] = shipment["shipmentId"]

    def key_is_free(self, seller: Seller, key: Row, path: str) -> None:
        if (
            "trackingNumber" in key
            and (seller.client_id, key["carrier"], key["trackingNumber"]) in self.parcels
        ):
            raise refused(
                409, "DUPLICATE_TRACKING_KEY", "Tracking key already exists for another shipment.", path
            )

    def shippable(self, seller: Seller, rows: list[Row], path: str) -> list[Row]:
        items = []
        for place, row in enumerate(rows):
            item = self.items.get(row["positionItemId"])
            where = f"positionItems[{place}].positionItemId"
            if item is None or item["seller"] != seller.client_id or item["order"] != row["salesOrderId"]:
                raise refused(
                    400,
                    "INSUFFICIENT_PERMISSION",
                    "The partner is not allowed to create a shipment",
                    path,
                    where,
                )
            items.append(item)
        if any(item["shipment"] for item in items):
            what = "One or more of the given position item ids already exist in another shipment"
            raise refused(409, "POSITION_ITEM_INCLUDED_IN_OTHER_SHIPMENT", what, path)
        if any(item["status"] != "PROCESSABLE" or item["cancelling"] for item in items):
            raise refused(
                400, "INVALID_REQUEST_PARAMETER", "position item is not PROCESSABLE", path, "positionItems"
            )
        return items

    def send(self, items: list[Row], shipment: Row) -> None:
        for item in items:
            item["shipment"] = shipment["shipmentId"]
            self.move(item, "SENT")
        order = items[0]["order"]
        self.done("ship", order, [f"{item['order']}/{item['id']}" for item in items])

    def append(self, seller: Seller, shipment: Row, rows: list[Row], path: str) -> None:
        items = self.shippable(seller, rows, path)
        shipment["positionItems"] += rows
        self.send(items, shipment)

    def further(self, seller: Seller, bodies: list[Row], path: str) -> str:
        """Parcels of items of one article, also of items that are sent already (our choice where the vendor is silent)."""
        for body in bodies:
            self.key_is_free(seller, body["trackingKey"], path)
        identity = str(self.number())
        for body in bodies:
            fresh = [r for r in body["positionItems"] if not self._is_sent(r)]
            if fresh:
                self.ship(seller, body, path)
                continue
            shipment = {
                **body,
                "shipmentId": str(101_000_000_000 + self.number()),
                "seller": seller.client_id,
            }
            shipment["creationDate"] = stamp(self.now())
            self.shipments[shipment["shipmentId"]] = shipment
            self._remember_key(seller, body["trackingKey"], shipment)
        return identity

    def _is_sent(self, row: Row) -> bool:
        item = self.items.get(row["positionItemId"])
        return item is not None and item["status"] == "SENT"

    @staticmethod
    def needs_return(key: Row) -> bool:
        return key["carrier"] in PARCELS

    # --- money back --------------------------------------------------------------------------------------------------------

    def reduce(self, seller: Seller, row: Row, amount: int, path: str) -> None:
        item = self.items.get(row["positionItemId"])
        if item is None or item["seller"] != seller.client_id or item["order"] != row["salesOrderId"]:
            raise refused(404, "Not Found", "position item is not known", path)
        if item["status"] != "SENT":
            raise refused(409, "Conflict", f"position item is {item['status']}", path)
        if amount > self.value(item) - item["refunded"]:
            raise refused(
                400, "INVALID_REQUEST_PARAMETER", "more than the price", path, "priceReduction.amount"
            )
        item["reductions"].append(
            {"amount": amount, "status": "INITIATED", "at": stamp(self.now()), "asked": 0}
        )
        item["refunded"] += amount
        self.done("refund", item["order"], [f"{item['order']}/{item['id']}"], amount)

    def accept(self, item: Row, row: Row, *, by: str = "seller") -> None:
        """The buyer gets back what is left of the price with this."""
        rest = self.value(item) - item["refunded"]
        announced = item["id"] in self.returns
        item["refunded"] += rest
        item["by_marketplace"] = by != "seller"
        self.move(item, "RETURNED")
        details = {"condition": row.get("condition", "A"), "reason": row.get("reason", "RETURN_RECEIVED")}
        self.note_return(item, "ACCEPTED", details)
        if by == "seller":
            deed = "accept_return" if announced else "refund"
            self.done(deed, item["order"], [f"{item['order']}/{item['id']}"], rest)

    def reject(self, item: Row, row: Row) -> None:
        self.note_return(item, "REJECTED", {"condition": row.get("condition", "A"), "reason": row["reason"]})
        self.done("reject_return", item["order"], [f"{item['order']}/{item['id']}"])

    def note_return(self, item: Row, status: str, details: Row) -> None:
        self.returns[item["id"]] = {
            "item": item["id"],
            "status": status,
            "details": details,
            "at": self.now(),
        }

    def send_back(self, items: list[Row], *, arrive: bool = True) -> list[str]:
        """The buyer sends items back; with `arrive` their parcel is delivered."""
        if any(item["status"] != "SENT" or item["id"] in self.returns for item in items):
            raise refused(409, "Conflict", "cannot be returned", "/_control/return")
        number = str(577_000_000_000 + self.number())
        for item in items:
            key = {"carrier": "DHL", "trackingNumbers": [number]}
            self.note_return(item, "ANNOUNCED", {"returnTrackingKey": key})
        now = self.now()
        parcel = {
            "id": self.identity(), "seller": items[0]["seller"], "number": number, "items": [item["id"] for item in items],
            "created": now, "changed": now, "states": [("ANNOUNCED", now)],
        }  # fmt: skip
        self.parcels_back[parcel["id"]] = parcel
        if arrive:
            parcel["states"] += [("ON_THE_WAY", now), ("DELIVERED", now)]
        return [f"{item['order']}/{item['id']}" for item in items]

    # --- the books -----------------------------------------------------------------------------------------------------------

    def state(self) -> Row:
        """What is true now, as /_control/state tells it."""
        return {
            "orders": [self._order_state(order) for order in self.orders.values()],
            "offers": [self._offer_state(product) for product in self.products.values()],
            "deeds": list(self.deeds),
            "violations": list(self.violations),
        }

    def _order_state(self, order: Row) -> Row:
        pieces = [self._piece_state(self.items[each]) for each in order["items"]]
        return {"order": order["id"], "placed_at": stamp(order["at"]), "pieces": pieces}

    def _piece_state(self, item: Row) -> Row:
        shipment = self.shipments.get(item["shipment"] or "")
        return {
            "piece": f"{item['order']}/{item['id']}",
            "sku": item["sku"],
            "price": self.value(item),
            "state": STATES[item["status"]],
            "tracking_number": shipment["trackingKey"].get("trackingNumber") if shipment else None,
            "refunded": item["refunded"],
        }

    def _offer_state(self, product: Row) -> Row:
        delivery = product["delivery"]
        return {
            "sku": product["sku"],
            "stock": product["quantity"],
            "price": product["price"],
            "on": self.status(product) == "ONLINE",
            "handling_days": int(delivery["processingTime"]) - 1
            if delivery and delivery["processingTime"].isdigit()
            else None,
            "state": self.status(product),
            "refused": product["valid"] or None,
        }


STATES: Final = {
    "ANNOUNCED": "announced",
    "PROCESSABLE": "to_ship",
    "SENT": "shipped",
    "RETURNED": "returned",
    "CANCELLED_BY_PARTNER": "cancelled",
    "CANCELLED_BY_MARKETPLACE": "cancelled",
}


# --- what a process does with a row: "failed", "succeeded" or "unchanged" ---------------------------------------------------------


def _make_product(world: World, seller: Seller, row: Row) -> str:
    body = row["body"]
    known = world.product_of(seller, body["sku"])
    if known is not None and known["body"] == body:
        return "unchanged"
    taken = [
        each
        for each in world.products_of(seller)
        if each["body"]["ean"] == body["ean"] and each["sku"] != body["sku"]
    ]
    if taken:
        row["errors"] = [{"code": "100010", "title": "DUPLICATE_EAN", "jsonPath": "$.ean"}]
    elif known is not None and known["body"]["ean"] != body["ean"]:
        row["errors"] = [{"code": "100011", "title": "EAN_IS_FIXED", "jsonPath": "$.ean"}]
    if row.get("errors"):
        return "failed"
    world.add_product(seller, body)
    return "succeeded"


def _change_price(world: World, seller: Seller, row: Row) -> str:
    product = world.product_of(seller, row["sku"])
    if product is None:
        row["errors"] = [{"code": "100001", "title": "UNKNOWN_SKU", "jsonPath": "$.sku"}]
        return "failed"
    price = cents(row["body"]["standardPrice"]["amount"])
    if product["price"] == price:
        return "unchanged"
    product["price"], product["at"] = price, world.now()
    return "succeeded"


def _switch(world: World, seller: Seller, row: Row) -> str:
    product = world.product_of(seller, row["sku"])
    if product is None:
        row["errors"] = [{"code": "100001", "title": "UNKNOWN_SKU", "jsonPath": "$.sku"}]
        return "failed"
    product["active"], product["at"] = row["body"]["active"], world.now()
    if seller.live:
        product["released"] = product.get("released") or row["body"]["active"]
    return "succeeded"


_EFFECTS: Final = {"products": _make_product, "prices": _change_price, "active": _switch}
