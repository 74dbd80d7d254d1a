"""What simulated Octopia remembers: one seller, products, offers, packages, sheets, orders, requests, and every deed (the books).

What may go wrong: a deed that the state of an order does not allow is refused as Octopia would (FACTS 2). The caller holds `world.lock`; times move
only forward, by the real clock or by `advance`. Amounts are minor units.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from app.marketplaces.cdiscount.translate import ids, piece_id, share
from app.sandbox.cdiscount.wire import Pace, ProblemError, Row, cents, invalid, money, not_found, stamp

DEMO_CLIENT: Final = "octopia-demo-client"
DEMO_SECRET: Final = "0c7a1b2e-demo-4c1d-9000-00000000cd15"  # noqa: S105  Invented, for the simulator.
DEMO_SELLER: Final = "77001"
CARRIERS: Final = tuple(
    tuple(line.split("\t"))
    for line in Path(__file__).with_name("carriers.txt").read_text("utf-8").splitlines()
)
ADDRESS: Final = {
    "civility": "Mme", "firstName": "Camille", "lastName": "Durand", "companyName": None, "companyVatNumber": None,
    "addressLine1": "12 rue des Lilas", "addressLine2": "Bât. B", "addressLine3": None, "postalCode": "69003", "city": "Lyon",
    "stateOrRegion": None, "countryCode": "FR",
}  # fmt: skip
PLACE: Final = {"pickupId": None, "pickupName": None, "phone": "+33600000000", "email": "x1@relay.example"}
REASONS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "InPreparation": (
        ("CustomerRequest", "Annulation demandée par le client"),
        ("OutOfStock", "Rupture de stock"),
        ("InvalidAddress", "Adresse de livraison invalide"),
        ("PriceError", "Erreur de prix"),
        ("Other", "Autre"),
    ),
    "Shipped": (
        ("ProductReturned", "Retour du produit par le client"),
        ("ProductDamaged", "Produit endommagé"),
        ("DeliveryDelay", "Retard de livraison"),
        ("OtherAfterShipment", "Autre"),
    ),
}
MODE_NAMES: Final = {"STD": "Standard", "TRK": "Envoi Suivi", "REG": "Recommandé"}
_REQUESTABLE: Final = frozenset({"Accepted", "InPreparation", "Shipped", "Delivered"})
_LEFT: Final = frozenset({"Shipped", "Delivered"})
_STATES: Final = {
    "Processing": "announced",
    "WaitingAcceptance": "announced",
    "Accepted": "announced",
    "InPreparation": "to_ship",
    "Shipped": "shipped",
    "Delivered": "delivered",
    "Refused": "cancelled",
    "Rejected": "cancelled",
}


@dataclass
class Conduct:
    """How this seller is set up, and how Octopia behaves. Seconds, counts."""

    manual_acceptance: bool = True
    checks_seconds: float = 2  # between Accepted and InPreparation
    request_seconds: float = 5  # until a cancellation is decided
    package_seconds: float = 20
    package_asks: int = 2  # a package is integrated when it is asked for the second time
    sheets_per_hour: int = 25
    modes: list[str] = field(default_factory=lambda: ["STD", "TRK", "REG"])
    most_days: int = 5  # offers with a longer preparation time are not shown
    token_seconds: int = 7200
    tokens_per_hour: int = 500
    per_second: int = 100
    retry_after: int | None = 1
    gesture_percent: int = 60  # our own guess: how much Octopia allows as a gesture is published nowhere
    reject_packages: int = 0  # so many packages are rejected whole
    refuse_requests: bool = False  # cancellations are decided against the seller
    lines_tell_requests: bool = True  # a line says CancelRequest until that is decided
    strange_products: dict[str, str] = field(default_factory=dict)  # GTIN -> error code of its sheet


class World:
    """Everything, in memory."""

    def __init__(self, first_number: int = 1, conduct: Conduct | None = None) -> None:
        self.lock = threading.RLock()
        self.conduct = conduct or Conduct()
        self.pace = Pace()
        self.clients = {DEMO_CLIENT: DEMO_SECRET}
        self.seller = DEMO_SELLER
        self.authorised = True
        self.tokens: dict[str, datetime] = {}
        self.products: dict[str, str] = {}  # GTIN -> title
        self.offers: dict[str, Row] = {}  # by our SKU
        self.refused: dict[str, str] = {}  # SKU -> why it was rejected last
        self.packages: dict[str, Row] = {}
        self.sheets: dict[str, Row] = {}
        self.orders: dict[str, Row] = {}
        self.requests: list[Row] = []
        self.gestures: list[Row] = []
        self.deeds: list[Row] = []
        self._ahead = timedelta()
        self._numbers = itertools.count(first_number)

    # --- time ------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)
        self.tick()

    def tick(self, *, everything: bool = False) -> None:
        """What time alone does: checks end, cancellations are decided, packages and sheets are integrated."""
        now = self.now()
        for order in self.orders.values():
            due = order["ready_at"]
            if order["status"] == "Accepted" and due is not None and (everything or due <= now):
                self._move(order, "InPreparation")
        for request in self.requests:
            if request["status"] == "Pending" and (everything or request["due_at"] <= now):
                self._decide(request)
        for package in self.packages.values():
            if package["state"] in {"Ready", "IntegrationPending"} and (
                everything or package["due_at"] <= now
            ):
                self._integrate(package)
        for sheet in self.sheets.values():
            if sheet["status"] is None and (everything or sheet["due_at"] <= now):
                self._take_sheet(sheet)

    def number(self, start: int = 0) -> int:
        return start + next(self._numbers)

    def done(self, deed: str, order: str | None, pieces: Iterable[str], amount: int | None = None) -> None:
        told = {"deed": deed, "order": order, "pieces": list(pieces), "amount": amount}
        self.deeds.append(told | {"at": stamp(self.now())})

    # --- who speaks ------------------------------------------------------------------------------------------------------

    def new_token(self, client: str, secret: str) -> Row:
        self.pace.take(f"tokens:{client}", self.conduct.tokens_per_hour, 3600, self.now())
        if not secret or self.clients.get(client) != secret:
            raise ProblemError(401, "invalid_client")
        token = f"token-{self.number(10_000)}"
        self.tokens[token] = self.now() + timedelta(seconds=self.conduct.token_seconds)
        seconds = self.conduct.token_seconds
        return {"access_token": token, "expires_in": seconds, "refresh_expires_in": 0, "token_type": "Bearer"}

    def let_in(self, token: str, seller: str) -> None:
        if self.tokens.get(token, self.now()) <= self.now():
            raise ProblemError(401, "The token is not valid")
        if not seller.isdigit():
            raise invalid("SellerId", "is required")
        if seller != self.seller or not self.authorised:
            raise ProblemError(403, "The seller has not authorised this client")

    # --- offers ----------------------------------------------------------------------------------------------------------

    def new_package(self, kind: str) -> Row:
        number = f"PKG{self.number(100_000)}"
        package = {
            "id": number,
            "type": kind,
            "state": "WaitingForCompletion",
            "rows": [],
            "results": [],
            "asked": 0,
            "result": None,
            "due_at": None,
        }
        self.packages[number] = package
        return package

    def package(self, number: str) -> Row:
        if number not in self.packages:
            raise not_found("Package")
        return self.packages[number]

    def ready(self, package: Row) -> None:
        if package["state"] not in {"WaitingForCompletion", "Ready"} or not package["rows"]:
            raise invalid("state", f"cannot change from {package['state']}")
        package["state"] = "Ready"
        package["due_at"] = self.now() + timedelta(seconds=self.conduct.package_seconds)

    def ask_package(self, package: Row) -> None:
        package["asked"] += 1
        if package["state"] in {"Ready", "IntegrationPending"}:
            package["state"] = "IntegrationPending"
            if package["asked"] >= self.conduct.package_asks:
                self._integrate(package)

    def _integrate(self, package: Row) -> None:
        if self.conduct.reject_packages > 0:
            self.conduct.reject_packages -= 1
            package |= {"state": "Rejected", "result": "The package could not be read"}
            return
        package["state"] = "Integrated"
        names = [row["sellerExternalReference"] for row in package["rows"]]
        write = {"Upsert": self._upsert, "Update": self._update, "Delete": self._delete}[package["type"]]
        for row in package["rows"]:
            sku = row["sellerExternalReference"]
            code, why = (
                ("2503", "The reference is in the package twice") if names.count(sku) > 1 else write(row)
            )
            status = (
                "Integrated"
                if code.startswith(("80", "90"))
                else "Duplicated"
                if code == "2503"
                else "Rejected"
            )
            told = {"sellerExternalReference": sku, "integrationStatus": status}
            package["results"].append(told | {"results": [{"resultCode": code, "message": why}]})
            if status == "Integrated":
                self.refused.pop(sku, None)
                self.done("offer", None, [sku])
            else:
                self.refused[sku] = why

    def _upsert(self, row: Row) -> tuple[str, str]:
        """Answers the code and the message of the result."""
        sku, gtin = row["sellerExternalReference"], row["product"]["gtin"]
        if gtin not in self.products:
            return "1301", "Product does not exist"
        known = self.offers.get(sku)
        if known and known["gtin"] != gtin:
            return "2503", "Seller reference already used for another EAN"
        taxes = {each["code"]: each["value"] for each in row["price"]["taxes"]}
        if set(taxes) != {"VAT", "Ecotax"}:
            return "1007", "VAT and Ecotax are needed"
        modes = [each["code"] for each in row["deliveryModes"]]
        lacking = [each for each in ("TRK", "REG") if each in self.conduct.modes and each not in modes]
        if lacking or any(each not in self.conduct.modes for each in modes):
            return "4012", f"Mode not configured or missing: {', '.join(lacking or modes)}"
        if row["preparationTime"] > 10:
            return "3509", "Preparation time is too long"
        self.offers[sku] = {
            "sku": sku,
            "gtin": gtin,
            "price": cents(row["price"]["price"], "price"),
            "stock": row["quantity"],
            "handling_days": row["preparationTime"],
            "taxes": {name: str(value) for name, value in taxes.items()},
            "modes": {
                each["code"]: (cents(each["cost"], "cost"), cents(each["additionalCost"], "cost"))
                for each in row["deliveryModes"]
            },
            "updated_at": self.now(),
        }
        return ("9000", "Offer updated") if known else ("8000", "Offer created")

    def _update(self, row: Row) -> tuple[str, str]:
        offer = self.offers.get(row["sellerExternalReference"])
        if offer is None:
            return "3603", "This offer does not exist and can not be updated"
        if "price" in row:
            offer["price"] = cents(row["price"]["price"], "price")
        offer["stock"] = row.get("quantity", offer["stock"])
        offer["updated_at"] = self.now()
        return "9000", "Offer updated"

    def _delete(self, row: Row) -> tuple[str, str]:
        gone = self.offers.pop(row["sellerExternalReference"], None)
        return ("9000", "Offer deleted") if gone else ("3603", "This offer does not exist")

    def is_visible(self, offer: Row) -> bool:
        return bool(offer["stock"] > 0 and offer["handling_days"] <= self.conduct.most_days)

    def new_sheet(self, product: Row) -> str:
        number = f"PRD{self.number(100_000)}"
        self.sheets[number] = {
            "id": number, "product": product, "status": None, "errors": [], "asked": 0, "at": self.now(),
            "due_at": self.now() + timedelta(seconds=self.conduct.package_seconds),
        }  # fmt: skip
        used = self.pace.used("sheets", 3600, self.now())
        if used >= self.conduct.sheets_per_hour:
            self._refuse_sheet(self.sheets[number], "QuotaExceeded", None)
        else:
            self.pace.take("sheets", self.conduct.sheets_per_hour, 3600, self.now())
        return number

    def ask_sheet(self, sheet: Row) -> None:
        sheet["asked"] += 1
        if sheet["status"] is None and sheet["asked"] >= self.conduct.package_asks:
            self._take_sheet(sheet)

    def _take_sheet(self, sheet: Row) -> None:
        product = sheet["product"]
        strange = self.conduct.strange_products.get(product["gtin"])
        if strange == "variation":
            return self._refuse_sheet(sheet, "ER400-1002", "variantGroupReference")
        if strange:
            return self._refuse_sheet(sheet, strange, "3263" if strange == "ER400-6067" else None)
        sheet["status"] = "Integrated"
        self.products[product["gtin"]] = product["title"]
        return None

    @staticmethod
    def _refuse_sheet(sheet: Row, code: str, name: str | None) -> None:
        message = "L'attribut est requis" if code == "ER400-6067" else ""
        sheet |= {"status": "Refused", "errors": [{"code": code, "field": name, "message": message}]}

    # --- orders ------------------------------------------------------------------------------------------------------------

    def place_order(self, wanted: Mapping[str, Any]) -> Row:
        """`wanted`: lines [{sku, pieces, price, supplyMode, title}], state ("to_ship" or "announced"), oversell, shipping, address."""
        lines = wanted.get("lines") or []
        state = wanted.get("state", "to_ship")
        if not lines or state not in {"to_ship", "announced"}:
            raise invalid("lines", "and state are needed")
        self._sell(lines, oversell=wanted.get("oversell", False))
        number = f"26{self.number(10_000_000)}CDI"
        order: Row = {
            "id": number, "at": self.now(), "updated_at": self.now(), "status": "Processing", "ready_at": None, "parcel": None,
            "lines": {}, "address": ADDRESS | wanted.get("address", {}), "place": PLACE | wanted.get("place", {}), "history": [],
        }  # fmt: skip
        for place, line in enumerate(lines, start=1):
            shipping = wanted.get("shipping", 0) if place == 1 else 0
            made = self._line(f"{number}-{place}", line, shipping)
            order["lines"][made["id"]] = made
        self.orders[number] = order
        if state == "to_ship":
            self.pay(number)
        return order

    def _sell(self, lines: Iterable[Mapping[str, Any]], *, oversell: bool) -> None:
        for line in lines:
            offer, pieces = self.offers.get(line["sku"]), line.get("pieces", 1)
            on_sale = offer["stock"] if offer and self.is_visible(offer) else 0
            if on_sale < pieces and not oversell:
                raise ProblemError(409, f"only {on_sale} of {line['sku']} can be bought")
        for line in lines:
            if offer := self.offers.get(line["sku"]):
                offer["stock"] = max(0, offer["stock"] - line.get("pieces", 1))

    def _line(self, number: str, line: Mapping[str, Any], shipping: int) -> Row:
        offer = self.offers.get(line["sku"]) or {"price": 790, "gtin": None}
        return {
            "id": number, "sku": line["sku"], "gtin": offer["gtin"], "pieces": line.get("pieces", 1), "shipping": shipping,
            "unit": line.get("price") or offer["price"], "status": None, "left": False, "gave_back": 0,
            "title": line.get("title") or self.products.get(offer["gtin"] or "", "Thé Assam, 100 g"),
            "supply": line.get("supplyMode", "Seller"),
        }  # fmt: skip

    def order(self, number: str) -> Row:
        if number not in self.orders:
            raise not_found("Order")
        return self.orders[number]

    def pieces_of(self, order: Row, lines: Iterable[str] | None = None) -> list[str]:
        return [
            piece_id(order["id"], line["id"], n)
            for line in order["lines"].values()
            if line["supply"] == "Seller" and (lines is None or line["id"] in lines)
            for n in range(1, line["pieces"] + 1)
        ]

    def _move(self, order: Row, status: str) -> None:
        order["status"] = status
        order["history"].append({"status": status, "date": stamp(self.now())})
        self.touch(order)

    def touch(self, order: Row) -> None:
        """Every change is a little later than the one before, whatever the clock's steps are."""
        order["updated_at"] = max(self.now(), order["updated_at"] + timedelta(milliseconds=1))

    def pay(self, number: str) -> None:
        order = self.order(number)
        if order["status"] != "Processing":
            return
        self._move(order, "WaitingAcceptance" if self.conduct.manual_acceptance else "InPreparation")

    def answer(self, order: Row, word: str) -> None:
        if order["status"] != "WaitingAcceptance":
            raise invalid("approval_status", f"is not expected, the order is {order['status']}")
        if word == "Refused":
            self._move(order, "Refused")
            self.done("cancel", order["id"], self.pieces_of(order))
            return
        order["ready_at"] = self.now() + timedelta(seconds=self.conduct.checks_seconds)
        self._move(order, "Accepted")
        self.done("accept", order["id"], self.pieces_of(order))

    def ship(self, order: Row, parcel: Row) -> None:
        if order["status"] != "InPreparation":
            raise invalid("status", f"The order is {order['status']}")
        named = parcel.get("orderLineIds")
        mine = {each["id"] for each in order["lines"].values() if each["supply"] == "Seller"}
        if named is not None and set(named) != mine:
            raise invalid("orderLineIds", "One parcel per complete order")
        order["parcel"] = parcel
        going = [each["id"] for each in order["lines"].values() if each["status"] is None]
        for each in going:
            order["lines"][each]["left"] = True
        self._move(order, "Shipped")
        self.done("ship", order["id"], self.pieces_of(order, going))

    def receive(self, number: str) -> None:
        self._move(self.order(number), "Delivered")

    def line_status(self, order: Row, line: Row) -> str:
        return str(line["status"] or order["status"])

    # --- cancelling and giving back -------------------------------------------------------------------------------------------

    def request(self, order: Row, lines: list[str] | None, reason: str, *, shipping: bool) -> Row:
        """Take a request to cancel; `lines` None: the whole order. It is not idempotent: a second one counts again."""
        if order["status"] not in _REQUESTABLE:
            raise invalid("orderSellerId", f"The order is {order['status']}")
        allowed = REASONS.get("Shipped" if order["status"] in _LEFT else "InPreparation", ())
        if reason not in [code for code, _ in allowed]:
            raise invalid("reason", f"is not allowed while the order is {order['status']}")
        for each in lines or []:
            if each not in order["lines"]:
                raise invalid("lines", f"there is no line {each}")
        chosen = lines or [line["id"] for line in order["lines"].values() if line["status"] is None]
        request = {
            "id": f"CAN{self.number(1000)}", "order": order["id"], "lines": lines, "chosen": chosen, "status": "Pending",
            "due_at": self.now() + timedelta(seconds=self.conduct.request_seconds), "shipping": shipping,
        }  # fmt: skip
        self.requests.append(request)
        left = order["status"] in _LEFT
        amount = (
            sum(self._worth(order["lines"][each], shipping=shipping) for each in chosen) if left else None
        )
        self.done("refund" if left else "cancel", order["id"], self.pieces_of(order, chosen), amount)
        if self.conduct.lines_tell_requests:
            for each in chosen:
                order["lines"][each]["status"] = "CancelRequest"
        self.touch(order)
        return request

    @staticmethod
    def _worth(line: Row, *, shipping: bool) -> int:
        return int(line["unit"] * line["pieces"] + (line["shipping"] if shipping else 0))

    def _decide(self, request: Row) -> None:
        order = self.orders[request["order"]]
        request["status"] = "Refused" if self.conduct.refuse_requests else "Accepted"
        for each in request["chosen"]:
            line = order["lines"][each]
            if self.conduct.refuse_requests:
                line["status"] = None
                continue
            self._cancel_line(line, shipping=request["shipping"])
        self._whole(order)

    def _cancel_line(self, line: Row, *, shipping: bool = True) -> None:
        line["status"] = "Cancelled"
        if line["left"]:
            line["gave_back"] = self._worth(line, shipping=shipping)

    def _whole(self, order: Row) -> None:
        """An order of which every line is cancelled is cancelled."""
        if all(each["status"] == "Cancelled" for each in order["lines"].values()):
            self._move(order, "Cancelled")
        else:
            self.touch(order)

    def buyer_cancels(self, pieces: Iterable[str]) -> None:
        """The buyer, as far as he may: whole lines of what has not left."""
        wanted = {ids(piece)[:2] for piece in pieces}
        for number, line_id in wanted:
            line = self.order(number)["lines"].get(line_id)
            if line is None or line["left"]:
                raise ProblemError(409, "This has left, or never was")
        for number, line_id in sorted(wanted):
            self._cancel_line(self.orders[number]["lines"][line_id])
            self._whole(self.orders[number])

    def allowable(self, order: Row) -> int:
        """What may still be given back by goodwill."""
        if order["status"] not in _LEFT:
            return 0
        total = sum(
            self._worth(each, shipping=True) for each in order["lines"].values() if each["status"] is None
        )
        return max(0, total * self.conduct.gesture_percent // 100 - self.given(order))

    def given(self, order: Row) -> int:
        return sum(each["amount"] for each in self.gestures if each["order"] == order["id"])

    def gesture(self, order: Row, amount: int, reason: str, details: str) -> None:
        if order["status"] not in _LEFT:
            raise invalid("orderId", f"The order is {order['status']}")
        if amount > self.allowable(order):
            raise invalid("amount", f"At most {money(self.allowable(order))} is allowed")
        self.gestures.append(
            {
                "id": f"GES{self.number(1000)}",
                "order": order["id"],
                "amount": amount,
                "reason": reason,
                "details": details,
            }
        )
        self.done("refund", order["id"], self.pieces_of(order)[:1], amount)
        self.touch(order)

    # --- how it looks ----------------------------------------------------------------------------------------------------------

    def piece_rows(self, order: Row) -> list[Row]:
        """The pieces as every simulator shows them. A gesture is for the order: it is counted at the first piece."""
        found: list[Row] = []
        for line in order["lines"].values():
            if line["supply"] != "Seller":
                continue
            for n in range(1, line["pieces"] + 1):
                gift = self.given(order) if not found else 0
                found.append(
                    {
                        "piece": piece_id(order["id"], line["id"], n),
                        "sku": line["sku"],
                        "price": line["unit"],
                        "state": self._piece_state(order, line),
                        "tracking_number": order["parcel"]["parcelNumber"]
                        if order["parcel"] and line["left"]
                        else None,
                        "refunded": share(line["gave_back"], line["pieces"], n) + gift,
                    }
                )
        return found

    def _piece_state(self, order: Row, line: Row) -> str:
        if line["status"] == "Cancelled":
            return "returned" if line["left"] else "cancelled"
        return _STATES.get(order["status"], "cancelled")
