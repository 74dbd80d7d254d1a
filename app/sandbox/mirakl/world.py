"""What the simulated operator remembers: one shop, products, offers, imports, orders, shipments, returns, and every deed (the books).

What may go wrong: a deed that the state of an order does not allow is refused as Mirakl refuses it (FACTS sections 2 and 3). The caller holds
`world.lock`; times move only forward, by the real clock or by `advance`. Amounts are minor units.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.marketplaces.mirakl.translate import piece_id, piece_parts, share
from app.sandbox.mirakl.wire import Pace, ProblemError, cents, invalid

Row = dict[str, Any]

DEMO_KEY: Final = "5a7d0b0c-demo-4e11-a000-00000000e9ce"
ADDRESS: Final = {
    "firstname": "Mia", "lastname": "Muster", "company": None, "street_1": "Via dell'Esempio 4", "street_2": None, "zip_code": "20121",
    "city": "Milano", "state": "MI", "country": "ITA", "country_iso_code": "ITA", "phone": None, "additional_info": None, "civility": "Mrs",
}  # fmt: skip
CARRIERS: Final = (
    ("BRT", "Bartolini", True), ("DHL", "DHL", True), ("GLSIT", "GLS", True), ("POSTE", "Poste Italiane", False), ("UPS", "UPS", True),
)  # fmt: skip
REASONS: Final = (
    ("15", "REFUND", True, "Reso del cliente"), ("16", "REFUND", True, "Prodotto danneggiato"), ("17", "REFUND", True, "Altro"),
    ("18", "REFUND", False, "Decisione dell'operatore"), ("34", "CANCELATION", True, "Annullato dal cliente prima della spedizione"),
    ("35", "CANCELATION", True, "Prodotto esaurito"), ("36", "CANCELATION", True, "Altro"), ("1", "INCIDENT_OPEN", False, "Non ricevuto"),
)  # fmt: skip
RETURNABLE: Final = frozenset({"SHIPPED", "RECEIVED"})
ATTRIBUTES: Final[tuple[Row, ...]] = (
    {"code": "category", "label": "Categoria", "required": True, "role": "CATEGORY"},
    {"code": "shop_sku", "label": "SKU venditore", "required": True, "role": "SHOP_SKU"},
    {"code": "ean", "label": "EAN", "required": True, "role": "UNIQUE_IDENTIFIER", "word": "EAN"},
    {"code": "upc", "label": "UPC", "required": False, "role": "UNIQUE_IDENTIFIER", "word": "UPC"},
    {"code": "title", "label": "Titolo", "required": True, "role": "TITLE"},
    {"code": "marca", "label": "Marca", "required": True},
    {"code": "image_1", "label": "Immagine", "required": False},
    {"code": "peso", "label": "Peso netto", "required": True, "category": "TEE"},
    {"code": "taglia", "label": "Taglia", "required": True, "category": "TAZZE"},
)
OF01_NEEDED: Final = ("sku", "product-id", "product-id-type", "price", "quantity", "state")


@dataclass
class Conduct:
    """How this operator is set up, and how it behaves. Seconds, counts."""

    acceptance: bool = True
    partial_acceptance: bool = True
    multi_shipment: bool = True
    other_carriers: bool = True
    tax_mode: str = "TAX_INCLUDED"
    tax_percent: int = 22
    address_early: bool = False
    dates_locked: bool = False
    required_fields: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=lambda: ["11", "10"])
    import_seconds: float = 5
    import_asks: int = 2  # an import is done when it is asked for the second time
    # What this operator wants to know of products (PM11): {code, label, required, role, word, category}; a category of its own needs one here.
    attributes: list[dict[str, Any]] = field(default_factory=lambda: [dict(each) for each in ATTRIBUTES])
    product_errors: dict[str, str] = field(default_factory=dict)  # EAN -> why its line is not integrated
    product_review: bool = False  # an upload without errors is not yet a product: /_control/products makes it
    product_report: str = "csv"  # "own": the operator's reports are in a format of its own
    product_status: str = ""  # what an upload says it is, whatever it is
    frequency: bool = False  # keep the limits of each operation (FACTS 1), beside that of all calls
    per_second: int = 100


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class World:
    """Everything, in memory."""

    def __init__(self, first_number: int = 1, conduct: Conduct | None = None) -> None:
        self.lock = threading.RLock()
        self.conduct = conduct or Conduct()
        self.pace = Pace()
        self.keys = {DEMO_KEY}
        self.shop: Row = {"shop_id": 2000, "shop_name": "Anna's Teeladen", "currency": "EUR"}
        self.closed: tuple[str | None, str | None] = (None, None)
        self.products: dict[str, Row] = {}  # by EAN
        self.offers: dict[str, Row] = {}  # by our SKU
        self.imports: dict[str, Row] = {}
        self.pending: dict[str, Row] = {}  # SKU -> row of an offer whose product nobody knows yet
        self.refused: dict[str, str] = {}  # SKU -> why its last import failed
        self.orders: dict[str, Row] = {}
        self.shipments: list[Row] = []
        self.returns: dict[str, Row] = {}
        self.deeds: list[Row] = []
        self._ahead = timedelta()
        self._numbers = itertools.count(first_number)

    # --- time ------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)
        self.tick()

    def tick(self) -> None:
        """What time alone does: imports are carried out."""
        for each in self.imports.values():
            if not each["done"] and each["due_at"] <= self.now():
                self._carry_out(each)

    def settle(self) -> None:
        for each in self.imports.values():
            if not each["done"]:
                self._carry_out(each)

    def number(self, start: int = 0) -> int:
        return start + next(self._numbers)

    def done(self, deed: str, order: str | None, pieces: Iterable[str], amount: int | None = None) -> None:
        told = {"deed": deed, "order": order, "pieces": list(pieces), "amount": amount}
        self.deeds.append(told | {"at": stamp(self.now())})

    # --- products and offers -----------------------------------------------------------------------------------------------

    def add_product(self, gtin: str, title: str) -> None:
        """Into the catalogue; offers that waited for it are made."""
        known = {"gtin": gtin, "title": title, "sku": f"MKP{self.number(100_000):012d}"}
        self.products.setdefault(gtin, known)
        for sku, row in list(self.pending.items()):
            if row["product-id"] == gtin:
                del self.pending[sku]
                self._write_offer(row)

    def take_import(self, kind: str, rows: list[dict[str, str]]) -> str:
        number = (
            str(self.number(2000)) if kind in {"OF01", "P41"} else str(uuid.UUID(int=self.number(10**30)))
        )
        self.imports[number] = {
            "id": number, "kind": kind, "rows": rows, "asked": 0, "done": False, "made_at": self.now(), "errors": [], "first_errors": [], "pending": 0,
            "due_at": self.now() + timedelta(seconds=self.conduct.import_seconds), "inserted": 0, "updated": 0, "failed": "",
        }  # fmt: skip
        return number

    def ask_import(self, kind: str, number: str) -> Row:
        found = self.imports.get(number)
        if found is None or found["kind"] != kind:
            raise ProblemError(404, f"Import {number} not found")
        found["asked"] += 1
        if not found["done"] and found["asked"] >= self.conduct.import_asks:
            self._carry_out(found)
        return found

    def _carry_out(self, found: Row) -> None:
        found["done"] = True
        if found["kind"] == "P41":
            self._integrate(found)
            return
        write = {"OF01": self._offer_row, "STO01": self._stock_row, "PRI01": self._price_row}[found["kind"]]
        for line, row in enumerate(found["rows"], start=1):
            sku = row.get("sku") or row.get("offer-sku") or ""
            try:
                found[write(row)] += 1
            except ProblemError as problem:
                found["errors"].append((line, problem.message, row))
                self.refused[sku] = problem.message
            else:
                self.refused.pop(sku, None)
                self.done("offer", None, [sku])

    # --- new products --------------------------------------------------------------------------------------------------------

    def wanted_of(self, category: str) -> list[Row]:
        """The attributes of a category: its own and those that all share."""
        found = self.conduct.attributes
        if category not in {each.get("category") for each in found if each.get("category")}:
            raise ProblemError(404, f"Hierarchy {category} not found")
        return [each for each in found if each.get("category") in {None, category}]

    def take_products(self, rows: list[dict[str, str]]) -> str:
        """P41 in the operator's format: only its own columns are known."""
        known = {each["code"] for each in self.conduct.attributes}
        if not rows or (strange := set(rows[0]) - known):
            raise invalid(f"unknown columns: {', '.join(map(str, strange)) if rows else 'no line'}")
        return self.take_import("P41", rows)

    def _integrate(self, found: Row) -> None:
        """Lines that are no products are in `first_errors` (P47), those that the operator does not want in `errors` (P44)."""
        if self.conduct.product_status in {"FAILED", "TRANSFORMATION_FAILED", "CANCELLED"}:
            return
        for line, row in enumerate(found["rows"], start=1):
            malformed = self._malformed(row)
            unwanted = self.conduct.product_errors.get(row.get("ean") or "")
            if malformed:
                found["first_errors"].append((line, malformed, row))
            elif unwanted:
                found["errors"].append((line, unwanted, row))
            else:
                found["inserted"] += 1
                self.done("product", None, [row["shop_sku"]])
                if not self.conduct.product_review:
                    self.add_product(row["ean"], row["title"])

    def _malformed(self, row: Row) -> str:
        try:
            wanted = self.wanted_of(row.get("category") or "")
        except ProblemError:
            return f"The category {row.get('category')} is unknown"
        missing = [each["code"] for each in wanted if each["required"] and not row.get(each["code"])]
        if missing:
            return f"The attribute {missing[0]} is required"
        ean = row["ean"]
        return "" if ean.isdigit() and len(ean) in {8, 12, 13, 14} else f"The EAN {ean} is not valid"

    def _offer_row(self, row: Row) -> str:
        """Answers inserted, updated or pending."""
        for name in (*OF01_NEEDED, *self.conduct.required_fields):
            if not row.get(name):
                raise invalid(f"The field {name} is mandatory")
        if row["state"] not in self.conduct.states:
            raise invalid(f"The state {row['state']} is unknown")
        if row["product-id-type"] != "EAN":
            raise invalid(f"The product id type {row['product-id-type']} is unknown")
        _price(row), _whole(row, "quantity"), _whole(row, "leadtime-to-ship", 0)
        if row["product-id"] not in self.products:
            self.pending[row["sku"]] = row
            return "pending"
        return self._write_offer(row)

    def _write_offer(self, row: Row) -> str:
        """The whole offer: what the row does not say falls back to its default (FACTS, trap 1)."""
        known = self.offers.get(row["sku"])
        self.offers[row["sku"]] = {
            "offer_id": known["offer_id"] if known else self.number(2000),
            "sku": row["sku"],
            "gtin": row["product-id"],
            "price": _price(row),
            "stock": _whole(row, "quantity"),
            "handling_days": _whole(row, "leadtime-to-ship", 2),
            "state_code": row["state"],
            "logistic_class": row.get("logistic-class") or "S",
        }
        return "updated" if known else "inserted"

    def _stock_row(self, row: Row) -> str:
        self._offer_of(row)["stock"] = _whole(row, "quantity")
        return "updated"

    def _price_row(self, row: Row) -> str:
        self._offer_of(row)["price"] = _price(row)
        return "updated"

    def _offer_of(self, row: Row) -> Row:
        if row.get("offer-sku") not in self.offers:
            raise invalid(f"The offer {row.get('offer-sku')} does not exist")
        return self.offers[row["offer-sku"]]

    def is_open(self) -> bool:
        since, until = self.closed
        now = stamp(self.now())
        return not (since is not None and since <= now and (until is None or now < until))

    # --- orders ------------------------------------------------------------------------------------------------------------

    def place_order(self, wanted: Mapping[str, Any]) -> Row:
        """`wanted`: lines [{sku, pieces, price, title}], state ("to_ship" or "announced"), oversell, shipping, address, pudo."""
        lines = wanted.get("lines") or []
        if not lines or wanted.get("state", "to_ship") not in {"to_ship", "announced"}:
            raise invalid("lines and state are needed")
        self._sell(lines, oversell=wanted.get("oversell", False))
        number = f"Order_{self.number():05d}-A"
        order: Row = {
            "id": number,
            "at": self.now(),
            "updated_at": self.now(),
            "state": "WAITING_ACCEPTANCE" if self.conduct.acceptance else "WAITING_DEBIT",
            "paid": wanted.get("state", "to_ship") == "to_ship",
            "address": ADDRESS | wanted.get("address", {}),
            "pudo": wanted.get("pudo"),
            "tracking": {},
            "lines": {},
        }
        for place, line in enumerate(lines, start=1):
            shipping = wanted.get("shipping", 0) if place == 1 else 0
            made = self._line(f"{number}-{place}", place, line, shipping)
            order["lines"][made["id"]] = made
        self.orders[number] = order
        self._go_on(order)
        return order

    def _sell(self, lines: Iterable[Mapping[str, Any]], *, oversell: bool) -> None:
        for line in lines:
            offer, pieces = self.offers.get(line["sku"]), line.get("pieces", 1)
            on_sale = offer["stock"] if offer and self.is_open() else 0
            if on_sale < pieces and not oversell:
                raise ProblemError(409, f"only {on_sale} of {line['sku']} can be bought")
        for line in lines:
            if offer := self.offers.get(line["sku"]):
                offer["stock"] = max(0, offer["stock"] - line.get("pieces", 1))

    def _line(self, number: str, place: int, line: Mapping[str, Any], shipping: int) -> Row:
        offer = self.offers.get(line["sku"]) or {"price": 790, "offer_id": 1, "gtin": "", "state_code": "11"}
        unit, pieces = line.get("price") or offer["price"], line.get("pieces", 1)
        product = self.products.get(offer["gtin"], {})
        return {
            "id": number, "place": place, "sku": line["sku"], "offer_id": offer["offer_id"], "pieces": pieces, "unit": unit, "state": "",
            "title": line.get("title") or product.get("title", "Assam Hathikuli, 100 g"), "product_sku": product.get("sku", "MKP000000000001"),
            "goods": unit * pieces, "shipping": shipping, "tax": self._tax(unit * pieces), "shipping_tax": self._tax(shipping),
            "cancelled": 0, "shipped": {}, "others": 0, "cancelations": [], "refunds": [], "shipped_at": None, "received_at": None,
            "reason": None,
        }  # fmt: skip

    def _tax(self, amount: int) -> int:
        percent = self.conduct.tax_percent
        whole = 100 + percent if self.conduct.tax_mode == "TAX_INCLUDED" else 100
        return (amount * percent * 2 + whole) // (2 * whole)

    def gross(self, amount: int, tax: int) -> int:
        return amount + tax if self.conduct.tax_mode == "TAX_EXCLUDED" else amount

    def _go_on(self, order: Row) -> None:
        """The state of an order follows from its lines and its payment."""
        order["updated_at"] = self.now()
        lines = list(order["lines"].values())
        for line in lines:
            if line["state"] not in {"REFUSED", "CANCELED"} and line["cancelled"] >= line["pieces"]:
                line["state"] = "CANCELED"
        alive = [line for line in lines if line["state"] not in {"REFUSED", "CANCELED"}]
        if not alive:
            order["state"] = "REFUSED" if all(each["state"] == "REFUSED" for each in lines) else "CANCELED"
            return
        if order["state"] == "WAITING_DEBIT" and order["paid"]:
            order["state"] = "SHIPPING"
        gone = [sum(line["shipped"].values()) + line["others"] + line["cancelled"] for line in alive]
        whole = all(sent >= line["pieces"] for sent, line in zip(gone, alive, strict=True))
        if order["state"] == "SHIPPING" and whole:
            order["state"] = "SHIPPED"
        for line in alive:
            line["state"] = order["state"]
            if order["state"] in {"SHIPPED", "RECEIVED"}:
                line["shipped_at"] = line["shipped_at"] or self.now()

    def order_of(self, number: str) -> Row:
        if number not in self.orders:
            raise ProblemError(404, f"Order {number} not found", "ORDER_NOT_FOUND")
        return self.orders[number]

    def line_of(self, number: str) -> tuple[Row, Row]:
        for order in self.orders.values():
            if number in order["lines"]:
                return order, order["lines"][number]
        raise ProblemError(404, f"Order line {number} not found", "ORDER_LINE_NOT_FOUND")

    def pay(self, number: str) -> None:
        order = self.order_of(number)
        order["paid"] = True
        self._go_on(order)

    def receive(self, number: str) -> None:
        """The parcel is with the buyer."""
        order = self.order_of(number)
        _must_be(order, "SHIPPED")
        order["state"] = "RECEIVED"
        self._go_on(order)
        for line in order["lines"].values():
            line["received_at"] = self.now()

    # --- deeds on orders -----------------------------------------------------------------------------------------------------

    def accept(self, number: str, decisions: Sequence[Mapping[str, Any]]) -> None:
        order = self.order_of(number)
        _must_be(order, "WAITING_ACCEPTANCE")
        ids = [each["id"] for each in decisions]
        if len(set(ids)) < len(ids):
            raise ProblemError(400, "An order line is there twice", "ORDER_LINE_DUPLICATE_ID")
        if set(ids) - set(order["lines"]):
            raise ProblemError(400, "An order line is not in the order", "ORDER_LINE_NOT_FOUND")
        if set(order["lines"]) - set(ids):
            raise ProblemError(400, "Decide about all lines", "ORDER_LINE_ACCEPTANCE_DECISION_MISSING")
        if len({each["accepted"] for each in decisions}) > 1 and not self.conduct.partial_acceptance:
            raise ProblemError(400, "Partial acceptance is disabled", "ORDER_PARTIAL_ACCEPTANCE_DISABLED")
        order["state"] = "WAITING_DEBIT"
        for each in decisions:
            order["lines"][each["id"]]["state"] = "" if each["accepted"] else "REFUSED"
        self._go_on(order)
        self.done("accept", number, self.pieces_of(order))

    def track(self, number: str, body: Row) -> None:
        order = self.order_of(number)
        if order["state"] not in {"SHIPPING", "SHIPPED"}:
            _must_be(order, "SHIPPING")
        self._check_tracking(body, "carrier_url")
        order["tracking"] = dict(body)
        order["updated_at"] = self.now()

    def _check_tracking(self, body: Row, link: str) -> None:
        known = {code: needs for code, _, needs in CARRIERS}
        code = body.get("carrier_code")
        if code is not None:
            if code not in known:
                raise invalid(f"The carrier {code} is unknown")
            if known[code] and not body.get("tracking_number"):
                raise invalid("The tracking number is mandatory for this carrier")
        elif not body.get("carrier_name"):
            raise invalid("carrier_code or carrier_name is needed")
        elif not self.conduct.other_carriers:
            raise invalid("Only registered carriers are allowed")
        if body.get(link) is not None and not str(body[link]).startswith("http"):
            raise invalid(f"{link} is no address")

    def ship(self, number: str) -> None:
        order = self.order_of(number)
        _must_be(order, "SHIPPING")
        sent = [piece for piece, state in self.states(order).items() if state == "to_ship"]
        for line in order["lines"].values():
            free = self._free(line)
            line["others"] += free
        self._go_on(order)
        self.done("ship", number, sent)

    def _free(self, line: Row) -> int:
        return int(line["pieces"] - line["cancelled"] - line["others"] - sum(line["shipped"].values()))

    def ship_parcel(self, wanted: Row) -> Row:
        """One shipment of ST01. Raises ProblemError for what becomes an entry of `shipment_errors`."""
        order = self.order_of(wanted["order_id"])
        if order["state"] != "SHIPPING":
            raise invalid(f"The order status must be 'SHIPPING' but it is '{order['state']}'.")
        for each in wanted["shipment_lines"]:
            line = order["lines"].get(each.get("order_line_id"))
            if line is None or not 1 <= each["quantity"] <= self._free(line):
                raise invalid("Shipment quantity is invalid.")
        if wanted.get("tracking"):
            self._check_tracking(wanted["tracking"], "tracking_url")
        before = self.states(order)
        shipment = {
            "id": str(uuid.UUID(int=self.number(10**20))), "order": order["id"], "lines": [dict(each) for each in wanted["shipment_lines"]],
            "tracking": wanted.get("tracking") or {}, "at": self.now(),
        }  # fmt: skip
        for each in shipment["lines"]:
            line = order["lines"][each["order_line_id"]]
            line["shipped"][shipment["id"]] = each["quantity"]
        self.shipments.append(shipment)
        after = self.states(order)
        self._go_on(order)
        sent = [piece for piece in after if before[piece] == "to_ship" and after[piece] == "shipped"]
        self.done("ship", order["id"], sent)
        return shipment

    def cancel(self, entries: Sequence[Row]) -> list[Row]:
        """OR30. All entries are checked before one is carried out."""
        for each in entries:
            order, line = self.line_of(each["order_line_id"])
            if order["state"] not in {"SHIPPING", "WAITING_DEBIT"}:
                _must_be(order, "SHIPPING")
            if not 0 <= each["quantity"] <= self._free(line):
                raise invalid("The quantity is more than can be cancelled")
            self._check_money(line, each, "CANCELATION")
        return [self._cancel(each) for each in entries]

    def _cancel(self, entry: Row) -> Row:
        order, line = self.line_of(entry["order_line_id"])
        before = self.states(order)
        made = entry | {"id": str(self.number(1000)), "at": self.now()}
        line["cancelations"].append(made)
        line["cancelled"] += entry["quantity"]
        line["reason"] = entry["reason_code"]
        self._restock(line, entry["quantity"])
        after = self.states(order)
        self._go_on(order)
        gone = [piece for piece in after if before[piece] != after[piece]]
        self.done("cancel", order["id"], gone, entry["gross"])
        return made

    def _restock(self, line: Row, pieces: int) -> None:
        if line["sku"] in self.offers:
            self.offers[line["sku"]]["stock"] += pieces

    def refund(self, entries: Sequence[Row]) -> list[Row]:
        """OR28. All entries are checked before one is carried out."""
        for each in entries:
            order, line = self.line_of(each["order_line_id"])
            if order["state"] not in {"SHIPPING", "SHIPPED", "RECEIVED"}:
                _must_be(order, "SHIPPED")
            self._check_money(line, each, "REFUND")
            if each["gross"] < 1:
                raise invalid("The amount must be more than zero")
        return [self._refund(each) for each in entries]

    def _refund(self, entry: Row) -> Row:
        order, line = self.line_of(entry["order_line_id"])
        made = entry | {
            "id": str(self.number(1000)),
            "group": str(uuid.UUID(int=self.number(10**25))),
            "at": self.now(),
        }
        line["refunds"].append(made)
        order["updated_at"] = self.now()
        self.done("refund", order["id"], self.pieces_of(order, line["id"]), entry["gross"])
        return made

    def _check_money(self, line: Row, entry: Row, kind: str) -> None:
        """Amounts and taxes of a cancellation or refund must not be more than what is left of the line; `gross` is added to the entry."""
        allowed = {code for code, of, seller, _ in REASONS if of == kind and seller}
        if str(entry.get("reason_code")) not in allowed:
            raise invalid(f"The reason code {entry.get('reason_code')} is not allowed")
        if entry.get("currency_iso_code", self.shop["currency"]) != self.shop["currency"]:
            raise invalid("The currency is not the shop's")
        gone = [*line["cancelations"], *line["refunds"]]
        for name, tax in (("amount", "tax"), ("shipping_amount", "shipping_tax")):
            whole = line["goods" if name == "amount" else "shipping"]
            left = whole - sum(each[name] for each in gone)
            left_tax = line[tax] - sum(each[tax] for each in gone)
            if entry[name] > left or entry[tax] > left_tax:
                raise invalid(f"The {name} is more than what is left")
        entry["gross"] = self.gross(
            entry["amount"] + entry["shipping_amount"], entry["tax"] + entry["shipping_tax"]
        )

    # --- what pieces are -------------------------------------------------------------------------------------------------------

    def pieces_of(self, order: Row, line_id: str | None = None) -> list[str]:
        return [
            piece_id(order["id"], line["id"], number)
            for line in order["lines"].values()
            if line_id in {None, line["id"]}
            for number in range(1, line["pieces"] + 1)
        ]

    def states(self, order: Row) -> dict[str, str]:
        """Our word for each piece: named parcels as they are named, other parcels from the front, cancellations from the end."""
        found: dict[str, str] = {}
        words = {"SHIPPING": "to_ship", "SHIPPED": "shipped", "RECEIVED": "delivered"}
        words |= {"REFUSED": "cancelled", "CANCELED": "cancelled"}
        for line in order["lines"].values():
            base = words.get(line["state"] or order["state"], "announced")
            states = dict.fromkeys(range(1, line["pieces"] + 1), base)
            if base in {"to_ship", "announced"}:
                sent = [number for number in self._named(line) if number in states]
                free = [number for number in states if number not in sent]
                for number in [*sent, *free[: line["others"]]]:
                    states[number] = "shipped"
            last = [number for number in reversed(states) if states[number] != "shipped" or base != "to_ship"]
            for number in last[: line["cancelled"]]:
                states[number] = "cancelled"
            found |= {piece_id(order["id"], line["id"], number): state for number, state in states.items()}
        return found

    def _named(self, line: Row) -> list[int]:
        named: list[int] = []
        for shipment in self.shipments:
            for each in shipment["lines"]:
                if each["order_line_id"] == line["id"]:
                    words = str(each.get("package_reference") or "").lstrip("n").split("+")
                    numbers = [int(word) for word in words if word.isdigit()]
                    free = [n for n in range(1, line["pieces"] + 1) if n not in named]
                    named += numbers if len(numbers) == each["quantity"] else free[: each["quantity"]]
        return named

    # --- buyers ------------------------------------------------------------------------------------------------------------

    def buyer_cancels(self, pieces: Sequence[str]) -> None:
        """As far as nothing of it has left. A line is cancelled by its count; which piece that is, is everybody's same guess."""
        counts: dict[str, int] = {}
        for piece in pieces:
            order, line = self.line_of(piece_parts(piece)[1])
            counts[line["id"]] = counts.get(line["id"], 0) + 1
            if order["state"] in {"SHIPPED", "RECEIVED"} or counts[line["id"]] > self._free(line):
                raise ProblemError(409, "it has left already, or is cancelled")
        for line_id, count in counts.items():
            order, line = self.line_of(line_id)
            taken = [
                self._share(line, number) for number in range(line["pieces"] - count + 1, line["pieces"] + 1)
            ]
            total = {name: sum(each[name] for each in taken) for name in taken[0]}
            gross = self.gross(
                total["amount"] + total["shipping_amount"], total["tax"] + total["shipping_tax"]
            )
            self._cancel(
                {"order_line_id": line_id, "quantity": count, "reason_code": "34", "gross": gross, **total}
            )

    def _share(self, line: Row, number: int) -> dict[str, int]:
        names = {
            "amount": "goods",
            "shipping_amount": "shipping",
            "tax": "tax",
            "shipping_tax": "shipping_tax",
        }
        return {name: share(line[of], line["pieces"], number) for name, of in names.items()}

    def start_return(self, pieces: Sequence[str], state: str = "IN_PROGRESS") -> list[str]:
        """One return for each order in it. It has arrived; only the seller's word (RT25) is missing."""
        by_order: dict[str, dict[str, int]] = {}
        for piece in pieces:
            order, line = self.line_of(piece_parts(piece)[1])
            if order["state"] not in RETURNABLE:
                raise ProblemError(409, "it has not left yet")
            lines = by_order.setdefault(order["id"], {})
            lines[line["id"]] = lines.get(line["id"], 0) + 1
        made = []
        for number, lines in by_order.items():
            return_id = str(uuid.UUID(int=self.number(10**33)))
            self.returns[return_id] = {
                "id": return_id, "order": number, "lines": lines, "state": state, "at": self.now(), "updated_at": self.now(),
            }  # fmt: skip
            made.append(return_id)
        return made

    def judge_return(self, return_id: str, lines: Sequence[Row]) -> None:
        """RT26: about all lines of a return that has been received."""
        back = self.returns.get(return_id)
        if back is None:
            raise invalid("The return does not exist.")
        if back["state"] != "RECEIVED":
            raise invalid("Return is in invalid state")
        told = {each["order_line_id"]: each["compliant"] for each in lines}
        if missing := [line for line in back["lines"] if line not in told]:
            raise invalid(
                f"The compliance has not been specified on the following order lines: {', '.join(missing)}"
            )
        back["compliant"], back["updated_at"] = told, self.now()
        if not all(told.values()):
            self.done("reject_return", back["order"], list(back["lines"]))

    def move_return(self, return_id: str, deed: str) -> None:
        """RT21 (accept, refuse), RT25 (receive), RT27 (close)."""
        back = self.returns.get(return_id)
        if back is None:
            raise invalid("The return does not exist.")
        before, after = {
            "accept": ({"WAITING_ACCEPTANCE"}, "IN_PROGRESS"),
            "refuse": ({"WAITING_ACCEPTANCE"}, "REFUSED"),
            "receive": ({"IN_PROGRESS"}, "RECEIVED"),
            "close": ({"RECEIVED", "IN_PROGRESS"}, "CLOSED"),
            "cancel": ({"WAITING_ACCEPTANCE", "IN_PROGRESS"}, "CANCELED"),
        }[deed]
        if back["state"] not in before:
            raise invalid("Return is in invalid state")
        back["state"], back["updated_at"] = after, self.now()
        if deed in {"accept", "receive"}:
            self.done("accept_return", back["order"], list(back["lines"]))
        if deed == "refuse":
            self.done("reject_return", back["order"], list(back["lines"]))


def _must_be(order: Row, state: str) -> None:
    if order["state"] != state:
        raise ProblemError(
            400, f"The order status must be '{state}' but it is '{order['state']}'.", "ORDER_INVALID_STATE"
        )


def _price(row: Row) -> int:
    price = cents(row.get("price") or "", "price")
    if price < 1:
        raise invalid("The price must be more than zero")
    return price


def _whole(row: Row, name: str, default: int | None = None) -> int:
    text = row.get(name) or ("" if default is None else str(default))
    if not text.isdigit():
        raise invalid(f"The field {name} must be a whole number")
    return int(text)
