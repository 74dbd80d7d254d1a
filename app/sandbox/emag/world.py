"""What simulated eMAG remembers: sellers, catalogue, offers, orders, parcels, returns, and every deed done to them (the books).

What may go wrong: a deed that the state does not allow is refused as FACTS 4 to 7 say. The caller holds `world.lock`; times move only forward, by the
real clock or by `advance`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from app.sandbox.emag.wire import Pace, amount, refused, whole

ZONE: Final = ZoneInfo("Europe/Bucharest")
VAT: Final = {1: Decimal("0.20"), 2: Decimal("0.09"), 3: Decimal("0.00")}
HANDLING: Final = (0, 1, 2, 3, 4, 5, 7, 14, 30)
LARGEST_ID: Final = 16_777_215
FORTY_EIGHT_HOURS: Final = timedelta(hours=48)
RETURN_WINDOW: Final = timedelta(days=35)
REASONS: Final = frozenset({1, 2, 3, *range(15, 44)})
# allowed[from][to]; everything else is refused (examples/order_status_matrix.json). "48h" and "window" are times since it was finalized.
MATRIX: Final = {
    2: {2: "yes", 3: "yes", 4: "yes", 0: "yes"},
    3: {3: "yes", 4: "yes", 0: "yes"},
    4: {3: "48h", 4: "yes", 0: "48h", 5: "window"},
    0: {2: "48h", 3: "48h", 4: "48h", 0: "yes"},
}
RMA_MATRIX: Final = {2: (2, 3, 5), 3: (3, 5, 6), 4: (4,), 5: (5,), 6: (4, 6, 7), 7: (7,)}
BUYER: Final = {
    "id": 12556,
    "mkt_id": 312556,
    "name": "Mia Muster",
    "company": "",
    "gender": "F",
    "code": "",
    "email": "1243536@emag.example",
    "phone_1": "0700000000",
    "billing_name": "Mia Muster",
    "billing_phone": "0700000000",
    "billing_country": "BG",
    "billing_suburb": "Sofia",
    "billing_city": "Sofia",
    "billing_locality_id": 3,
    "billing_street": "Beispielweg 4",
    "billing_postal_code": "1000",
    "shipping_contact": "Mia Muster",
    "shipping_phone": "0700000000",
    "shipping_country": "BG",
    "shipping_suburb": "Sofia",
    "shipping_city": "Sofia",
    "shipping_locality_id": 3,
    "shipping_street": "Beispielweg 4",
    "shipping_postal_code": "1000",
    "is_vat_payer": 0,
    "legal_entity": 0,
}
DEMO_USER: Final = "anna"
DEMO_PASSWORD: Final = "emag-demo-0000"  # An invented password of the simulator.  # noqa: S105

Row = dict[str, Any]


@dataclass
class Seller:
    """A seller account. `listed` false: its calls come from an address that is not on its list."""

    username: str
    password: str
    listed: bool = True


@dataclass
class Conduct:
    """How this eMAG behaves. `hurry` multiplies the documented pace; `initial_qty`: lines tell how many were ordered at first; `campaign`: offers whose
    stock may not be changed; `remarks`: offers whose documentation is found fault with although they are saved.
    """

    hurry: float = 1.0
    initial_qty: bool = False
    campaign: list[int] = field(default_factory=list)
    remarks: list[int] = field(default_factory=list)
    slow_awb: bool = False


def stamp(moment: datetime) -> str:
    return moment.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")


def moment_of(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZONE).astimezone(UTC)


def cents(net: Decimal, vat: Decimal) -> int:
    return int((net * (1 + vat) * 100).quantize(Decimal(1), ROUND_HALF_UP))


class World:
    """Everything, in memory; one platform with one currency."""

    def __init__(self, conduct: Conduct | None = None, first_number: int = 1, currency: str = "EUR") -> None:
        self.lock = threading.RLock()
        self.conduct = conduct or Conduct()
        self.pace = Pace()
        self.currency = currency
        self.sellers: dict[str, Seller] = {}
        self.products: dict[str, Row] = {}  # by EAN
        self.offers: dict[int, Row] = {}
        self.orders: dict[int, Row] = {}  # as eMAG shows them
        self.pieces: dict[int, list[Row]] = {}  # order id -> what became of every unit; not shown
        self.finalized: dict[int, datetime] = {}
        self.cancelled: dict[int, datetime] = {}
        self.awbs: dict[int, Row] = {}  # by reservation id
        self.attachments: list[Row] = []
        self.rmas: dict[int, Row] = {}
        self.deeds: list[Row] = []
        self._ahead = timedelta()
        self._numbers = itertools.count(first_number)

    @classmethod
    def demo(cls, first_number: int = 1) -> World:
        """One seller with known credentials, so that the demo needs no setup; as fast as somebody who plays wants it."""
        world = cls(Conduct(hurry=100_000.0), first_number)
        world.sellers[DEMO_USER] = Seller(DEMO_USER, DEMO_PASSWORD)
        return world

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)

    def number(self, start: int) -> int:
        return start + next(self._numbers)

    def done(
        self, deed: str, order: object = None, pieces: Iterable[Row] = (), total: int | None = None
    ) -> None:
        self.deeds.append(
            {
                "deed": deed,
                "order": None if order is None else str(order),
                "pieces": [each["piece"] for each in pieces],
                "amount": total,
                "at": self.now().isoformat(),
            }
        )

    # --- catalogue and offers ------------------------------------------------------------------------------------------------

    def add_product(self, ean: str, title: str, *, allowed: bool = True, approved: bool = True) -> Row:
        key = f"D{self.number(100_000):06d}BM"
        product = {
            "ean": ean,
            "name": title,
            "part_number_key": key,
            "allowed": allowed,
            "validation": 9 if approved else 4,
        }
        return self.products.setdefault(ean, product)

    def settle(self) -> None:
        """People have looked at new documentation."""
        for product in self.products.values():
            if product["validation"] == 4:
                product["validation"] = 9

    def find_by_eans(self, eans: list[str]) -> Row:
        found: Row = {}
        for ean in eans[:100]:
            product = self.products.get(ean)
            found[ean] = {"products": [self._found(product)] if product else []}
        return found

    def _found(self, product: Row) -> Row:
        mine = any(each["ean"] == product["ean"] for each in self.offers.values())
        return {
            "ean": product["ean"],
            "part_number_key": product["part_number_key"],
            "product_name": product["name"],
            "brand_name": "Teeladen",
            "doc_category_id": 2735,
            "site_url": "https://emag.example/pd",
            "category_name": "Tea",
            "allowed_to_add_offer": product["allowed"],
            "vendor_has_offer": mine,
            "hotness": "SUPER COLD",
            "product_image": "https://images.example/150.png",
        }

    def place_offer(self, wanted: Row) -> list[str]:
        """product_offer/save for one entity. Answers what is wrong; the offer is saved when only the documentation is."""
        wrong = self._offer_wrong(wanted, first=wanted.get("id") not in self.offers)
        if wrong:
            return wrong
        product = self._product_of(wanted)
        if isinstance(product, str):
            return [product]
        taken = [
            each
            for each in self.offers.values()
            if each["ean"] == product["ean"] and each["id"] != wanted["id"]
        ]
        if taken:
            return [f"You already have an offer for this product - offer id: {wanted['id']}"]
        part = "".join(str(wanted.get("part_number", "")).split()).replace(",", "").replace(";", "")
        known = self.offers.setdefault(
            wanted["id"], {"id": wanted["id"], "part_number": part, "ean": product["ean"]}
        )
        self._set(known, wanted)
        self.done("offer")
        return (
            [f"Documentation error: brand is not known - offer id: {wanted['id']}"]
            if wanted["id"] in self.conduct.remarks
            else []
        )

    def _product_of(self, wanted: Row) -> Row | str:
        if ("ean" in wanted) == ("part_number_key" in wanted):
            return "Exactly one of ean and part_number_key is needed"
        if "part_number_key" in wanted:
            by_key = [
                each
                for each in self.products.values()
                if each["part_number_key"] == wanted["part_number_key"]
            ]
            return by_key[0] if by_key else "part_number_key is not known"
        eans = wanted["ean"]
        if not isinstance(eans, list) or len(eans) != 1 or not wanted.get("name"):
            return "ean must be a list with one code, and name is needed"
        if eans[0] in self.products:
            product = self.products[eans[0]]
            return product if product["allowed"] else "You are not allowed to add an offer"
        missing = [name for name in ("category_id", "part_number", "brand", "images") if not wanted.get(name)]
        if missing:
            return f"The product is not known; missing: {', '.join(missing)}"
        return self.add_product(eans[0], wanted["name"], approved=False)

    def change_offer(self, wanted: Row) -> list[str]:
        """offer/save for one entity."""
        if wanted.get("id") not in self.offers:
            return [f"Offer {wanted.get('id')} does not exist"]
        known = {
            "id",
            "sale_price",
            "recommended_price",
            "min_sale_price",
            "max_sale_price",
            "currency_type",
            "stock",
            "handling_time",
            "vat_id",
            "status",
        }
        if strange := sorted(set(wanted) - known):
            return [f"Unknown fields: {', '.join(strange)}"]
        if len(wanted) == 1:
            return ["Nothing to change"]
        if wrong := self._offer_wrong(wanted, first=False):
            return wrong
        if wanted["id"] in self.conduct.campaign and "stock" in wanted:
            return ["The offer is included in the active campaign BF, thus the stock has NOT been changed."]
        self._set(self.offers[wanted["id"]], wanted)
        self.done("offer")
        return []

    def _set(self, offer: Row, wanted: Row) -> None:
        for name in ("vat_id", "status"):
            if name in wanted:
                offer[name] = wanted[name]
        for name in ("sale_price", "min_sale_price", "max_sale_price"):
            if (value := amount(wanted.get(name))) is not None:
                offer[name] = value
        for name in ("stock", "handling_time"):
            if name in wanted:
                offer[name] = wanted[name][0]["value"]

    def _offer_wrong(self, wanted: Row, *, first: bool) -> list[str]:
        if not whole(wanted.get("id"), 1, LARGEST_ID):
            return ["id must be between 1 and 16777215"]
        needed = ("sale_price", "vat_id", "status", "stock", "handling_time")
        bounds = ("min_sale_price", "max_sale_price")
        wrong = [
            f"The {name} field is mandatory" for name in (*needed, *bounds) if first and name not in wanted
        ]
        wrong += [
            f"{name} is not valid"
            for name in ("sale_price", *bounds)
            if name in wanted and not (amount(wanted[name]) or 0) > 0
        ]
        wrong += ["vat_id is not valid"] if wanted.get("vat_id", 1) not in VAT else []
        wrong += (
            ["status is not valid"]
            if wanted.get("status", 1) not in {0, 1, 2} or (first and wanted.get("status") == 2)
            else []
        )
        wrong += (
            ["Stock should be 0 or more"]
            if "stock" in wanted and not _warehouse(wanted["stock"], range(65_536))
            else []
        )
        wrong += (
            ["handling_time is not allowed"]
            if "handling_time" in wanted and not _warehouse(wanted["handling_time"], HANDLING)
            else []
        )
        return wrong or self._price_wrong(wanted)

    def _price_wrong(self, wanted: Row) -> list[str]:
        now = self.offers.get(wanted["id"], {})
        price, least, most = (
            amount(wanted.get(name)) or now.get(name)
            for name in ("sale_price", "min_sale_price", "max_sale_price")
        )
        if price is None or least is None or most is None or least <= price <= most:
            return []
        return [f"sale_price must be between min_sale_price {least} and max_sale_price {most}"]

    def offer_json(self, offer: Row) -> Row:
        product = self.products[offer["ean"]]
        return {
            "id": offer["id"],
            "part_number": offer["part_number"],
            "part_number_key": product["part_number_key"],
            "name": product["name"],
            "ean": [offer["ean"]],
            "currency": self.currency,
            "status": offer["status"],
            "sale_price": f"{offer['sale_price']:.4f}",
            "min_sale_price": f"{offer['min_sale_price']:.4f}",
            "max_sale_price": f"{offer['max_sale_price']:.4f}",
            "vat_id": offer["vat_id"],
            "stock": [{"warehouse_id": 1, "value": offer["stock"]}],
            "handling_time": [{"warehouse_id": 1, "value": offer["handling_time"]}],
            "validation_status": [{"value": product["validation"], "description": ""}],
            "offer_validation_status": {"value": offer.get("offer_validation", 1), "description": ""},
        }

    def on_sale(self, offer: Row) -> bool:
        validated = self.products[offer["ean"]]["validation"] in {3, 9, 11, 12}
        return bool(
            offer["status"] == 1
            and offer["stock"] > 0
            and validated
            and offer.get("offer_validation", 1) == 1
        )

    # --- orders --------------------------------------------------------------------------------------------------------------

    def place_order(self, wanted: Mapping[str, Any]) -> int:
        """`lines` [{sku | offer, pieces}]; `more` replaces fields of the order as eMAG shows it. Raises EmagError when there is not so much."""
        order_id = self.number(3_115_229_000)
        lines = []
        for line in wanted["lines"]:
            offer = self._offer_of(line)
            if not wanted.get("oversell") and (not self.on_sale(offer) or offer["stock"] < line["pieces"]):
                raise refused(f"only {offer['stock']} of {offer['part_number']} can be bought")
            lines.append((offer, line["pieces"]))
        for offer, pieces in lines:
            offer["stock"] = max(0, offer["stock"] - pieces)
        self.orders[order_id] = self._order_json(
            order_id, lines, complete=wanted.get("complete", True)
        ) | dict(wanted.get("more", {}))
        self.pieces[order_id] = [
            piece for line in self.orders[order_id]["products"] for piece in _units(order_id, line)
        ]
        return order_id

    def _offer_of(self, line: Mapping[str, Any]) -> Row:
        for offer in self.offers.values():
            if line.get("offer") == offer["id"] or line.get("sku") == offer["part_number"]:
                return offer
        raise refused(f"nobody offers {line.get('sku') or line.get('offer')}")

    def _order_json(self, order_id: int, lines: list[tuple[Row, int]], *, complete: bool) -> Row:
        now = stamp(self.now())
        return {
            "id": order_id,
            "status": 1,
            "is_complete": int(complete),
            "type": 3,
            "vendor_name": "Anna's Teeladen",
            "payment_mode_id": 3 if not complete else 1,
            "detailed_payment_method": "",
            "delivery_mode": "courier",
            "date": now,
            "modified": now,
            "payment_status": 0,
            "cashed_co": 0,
            "cashed_cod": 0,
            "shipping_tax": "0.0000",
            "shipping_tax_voucher_split": [],
            "observation": None,
            "customer": dict(BUYER),
            "details": [],
            "products": [self._line_json(offer, pieces, now) for offer, pieces in lines],
            "vouchers": [],
            "attachments": [],
            "is_storno": False,
            "reason_cancellation": None,
            "enforced_vendor_courier_accounts": None,
        }

    def _line_json(self, offer: Row, pieces: int, now: str) -> Row:
        line = {
            "id": self.number(82_000),
            "product_id": offer["id"],
            "part_number": offer["part_number"],
            "ext_part_number": offer["part_number"],
            "name": self.products[offer["ean"]]["name"],
            "quantity": pieces,
            "sale_price": f"{offer['sale_price']:.4f}",
            "currency": self.currency,
            "created": now,
            "modified": now,
            "status": 1,
            "details": [],
            "vat": f"{VAT[offer['vat_id']]:.4f}",
            "product_voucher_split": [],
            "recycle_warranties": [],
            "serial_numbers": "",
        }
        return line | ({"initial_qty": pieces} if self.conduct.initial_qty else {})

    def touch(self, order: Row) -> None:
        order["modified"] = stamp(self.now())

    def alive(self, order_id: int, line_id: object = None) -> list[Row]:
        return [
            each
            for each in self.pieces[order_id]
            if each["state"] in {"", "shipped"} and not each["refunded"] and line_id in {None, each["line"]}
        ]

    def acknowledge(self, order_id: int) -> None:
        order = self.orders.get(order_id)
        if order is None or order["type"] != 3:
            raise refused(f"Order {order_id} was not found")
        if order["status"] != 1:
            raise refused(f"Order {order_id} is already acknowledged or cancelled")
        order["status"] = 2
        self.touch(order)
        self.done("accept", order_id, self.alive(order_id))

    def save_order(self, new: Row) -> None:
        """order/save for one order; raises EmagError with the sentence (FACTS 0.7, 0.8 and 5)."""
        old = self.orders.get(new.get("id", 0))
        if old is None or old["type"] != 3:
            raise refused(f"Order {new.get('id')} was not found")
        if missing := sorted(set(old) - set(new)):
            raise refused(f"All fields that were read must be sent back; missing: {', '.join(missing)}")
        left = self._quantities(old, new)
        self._may_move(old, new["status"])
        if new["status"] == 0:
            self._cancel_order(old, new)
        elif new["status"] == 5:
            back = self.alive(old["id"])
            self._give_back(old, back)
            for piece in back:
                piece["state"] = "returned"
            old["status"] = 5
        elif old["status"] == 4:
            self._storno(old, new, left)
        else:
            self._change_open(old, new, left)
        self.touch(old)

    def _may_move(self, old: Row, status: object) -> None:
        rule = MATRIX.get(old["status"], {}).get(status if isinstance(status, int) else -1)
        since = self.finalized.get(old["id"]) if old["status"] == 4 else self.cancelled.get(old["id"])
        age = self.now() - since if since else timedelta()
        if (
            rule is None
            or (rule == "48h" and age > FORTY_EIGHT_HOURS)
            or (rule == "window" and age > RETURN_WINDOW)
        ):
            raise refused(f"Order {old['id']} cannot go from status {old['status']} to {status}")

    def _quantities(self, old: Row, new: Row) -> dict[int, int]:
        """Line id -> quantity that is to be left. Prices never change."""
        sent = {line.get("id"): line for line in new["products"]}
        left = {}
        for line in old["products"]:
            told = sent.get(line["id"])
            if told is not None and amount(told.get("sale_price")) != amount(line["sale_price"]):
                raise refused("Prices cannot be changed")
            left[line["id"]] = 0 if told is None or told.get("status") == 0 else int(told["quantity"])
            if left[line["id"]] > line["quantity"]:
                raise refused("Quantities cannot be raised")
        return left

    def _cancel_order(self, old: Row, new: Row) -> None:
        if old["status"] == 0:
            raise refused(f"Order {old['id']} is already cancelled")
        if new.get("reason_cancellation") not in REASONS:
            raise refused("reason_cancellation is needed")
        old |= {"status": 0, "reason_cancellation": new["reason_cancellation"]}
        self.cancelled[old["id"]] = self.now()
        gone = self.alive(old["id"])
        for piece in gone:
            piece["state"] = "cancelled"
        self.done("cancel", old["id"], gone)

    def _change_open(self, old: Row, new: Row, left: Mapping[int, int]) -> None:
        less = {
            line["id"]: line["quantity"] - left[line["id"]]
            for line in old["products"]
            if left[line["id"]] < line["quantity"]
        }
        if less and new["status"] == 4:
            raise refused("Lines can only be changed in status 2 and 3")
        if less and old["payment_mode_id"] == 3:
            raise refused("Lines of orders paid by card cannot be changed")
        if not any(left.values()):
            raise refused("At least one line must be left; cancel the order instead")
        gone = [
            piece for line_id, count in less.items() for piece in self._take(old, line_id, count, "cancelled")
        ]
        if gone:
            self.done("cancel", old["id"], gone)
        if new["status"] == 4 and old["status"] != 4:
            self.finalize(old["id"], None)
        old["status"] = new["status"]

    def _storno(self, old: Row, new: Row, left: Mapping[int, int]) -> None:
        if new["status"] != 4:
            old["status"] = new["status"]
            return
        less = {
            line["id"]: line["quantity"] - left[line["id"]]
            for line in old["products"]
            if left[line["id"]] < line["quantity"]
        }
        if bool(less) is not (new.get("is_storno") is True):
            raise refused("Quantities are reduced with is_storno only, and a storno reduces at least one")
        if less:
            old["is_storno"] = True
            self._give_back(
                old,
                [p for line_id, count in less.items() for p in self._take(old, line_id, count, "shipped")],
            )
            nothing_left = {
                line["id"] for line in old["products"] if line["id"] in less and not line["quantity"]
            }
            for piece in self.pieces[old["id"]]:
                if piece["line"] in nothing_left and piece["state"] == "shipped":
                    piece["state"] = "returned"

    def edit(self, order_id: int, quantities: Mapping[int, int]) -> None:
        """Somebody changes the quantities of lines by hand, in the seller portal or at eMAG: the last ones go, new ones come at the end.

        A line of which nothing is left is not shown any more.
        """
        order = self.orders[order_id]
        for line in [each for each in order["products"] if each["id"] in quantities]:
            wanted, here = quantities[line["id"]], self.alive(order_id, line["id"])
            for piece in here[wanted:]:
                piece["state"] = "cancelled"
            known = sum(each["line"] == line["id"] for each in self.pieces[order_id])
            grown = _units(order_id, {**line, "quantity": known + max(0, wanted - len(here))})[known:]
            self.pieces[order_id] += grown
            line["quantity"] = wanted
        order["products"] = [each for each in order["products"] if each["quantity"]]
        self.touch(order)

    def _take(self, order: Row, line_id: int, count: int, state: str) -> list[Row]:
        """The first ones of a line: eMAG itself only counts, and whoever takes some takes the first."""
        gone = self.alive(order["id"], line_id)[:count]
        for piece in gone:
            piece["state"] = state
        for line in order["products"]:
            if line["id"] == line_id:
                line["quantity"] -= count
                line["status"] = int(line["quantity"] > 0 or state == "shipped")
        return gone

    def _give_back(self, order: Row, pieces: list[Row]) -> None:
        """Paid back. A piece of a storno stays what it was, because eMAG only counts, until nothing of its line is left."""
        for piece in pieces:
            piece["refunded"] = piece["price"]
        self.done("refund", order["id"], pieces, sum(piece["price"] for piece in pieces))

    def finalize(self, order_id: int, tracking: str | None) -> None:
        order = self.orders[order_id]
        left = self.alive(order_id)
        for piece in left:
            piece |= {"state": "shipped", "tracking_number": tracking or piece["tracking_number"]}
        if order["status"] != 4:
            order["status"] = 4
            self.finalized[order_id] = self.now()
            self.done("ship", order_id, left)
        self.touch(order)

    # --- parcels -------------------------------------------------------------------------------------------------------------

    def book(self, wanted: Row) -> int:
        """awb/save: not idempotent, every call is one more parcel. The first one finalizes the order (FACTS 0.9)."""
        order = self.orders.get(wanted.get("order_id", 0))
        if order is None or order["status"] not in {2, 3, 4}:
            raise refused("The order is not in a state that allows an AWB")
        self._parcel_is_right(wanted, order)
        reservation = self.number(4_528_000)
        number = f"2EMG{reservation:08d}"
        self.awbs[reservation] = {
            "emag_id": reservation,
            "reservation_id": reservation,
            "order_id": order["id"],
            "rma_id": None,
            "type": 3,
            "weight": wanted.get("weight", 1),
            "cod": wanted["cod"],
            "awb": [{"emag_id": reservation, "awb_number": number, "awb_barcode": f"{number}001"}],
            "status": [{"code": "NEW", "name": "New", "description": ""}],
            "courier": [
                {"courier_account_id": wanted.get("courier_account_id", 5186), "courier_name": "SAMEDAY"}
            ],
        }
        self.finalize(order["id"], number)
        return reservation

    def _parcel_is_right(self, wanted: Row, order: Row) -> None:
        needed = ("order_id", "sender", "receiver", "is_oversize", "envelope_number", "parcel_number", "cod")
        missing = [name for name in needed if name not in wanted]
        for who in ("sender", "receiver"):
            told: Row = wanted[who] if isinstance(wanted.get(who), dict) else {}
            fields = (
                "name",
                "contact",
                "phone1",
                "locality_id",
                "street",
                *(["legal_entity"] if who == "receiver" else []),
            )
            missing += [f"{who}.{name}" for name in fields if told.get(name) in {None, ""}]
            digits = str(told.get("phone1", "")).lstrip("+")
            if not digits.isdigit() or not 8 <= len(digits) <= 11:
                missing.append(f"{who}.phone1 (8-11 digits)")
        if missing:
            raise refused(f"Missing: {', '.join(missing)}")
        if not wanted["envelope_number"] and not wanted["parcel_number"]:
            raise refused("Envelopes and parcels cannot both be 0")
        enforced = order["enforced_vendor_courier_accounts"]
        if enforced is not None and wanted.get("courier_account_id") not in enforced:
            raise refused("This courier account is not allowed for the order")

    # --- returns -------------------------------------------------------------------------------------------------------------

    def send_back(self, pieces: list[Row], status: int = 6) -> Row:
        """The buyer sends pieces of one order back; they are received unless `status` says otherwise."""
        order = self.orders[pieces[0]["order"]]
        by_line: dict[int, list[Row]] = {}
        for line_id in dict.fromkeys(piece["line"] for piece in pieces):
            count = sum(piece["line"] == line_id for piece in pieces)
            # A return names a product and how many, so nobody knows which: the first ones that are still there.
            here = [
                each
                for each in self.alive(order["id"], line_id)
                if each["state"] == "shipped" and "rma" not in each
            ]
            by_line[line_id] = here[:count]
            if order["status"] != 4 or len(here) < count:
                raise refused("These pieces cannot be returned")
        rma_id = self.number(289_000)
        for piece in (each for group in by_line.values() for each in group):
            piece["rma"] = rma_id
        lines = {line["id"]: line for line in order["products"]}
        self.rmas[rma_id] = {
            "emag_id": rma_id,
            "vendor_id": 1,
            "order_id": str(order["id"]),
            "type": 3,
            "customer_name": BUYER["name"],
            "request_status": status,
            "return_type": 3,
            "return_reason": 11,
            "observations": "",
            "date": stamp(self.now()),
            "products": [self._rma_line(lines[line_id], len(group)) for line_id, group in by_line.items()],
            "awbs": [],
            "return_tax_value": "0.0000",
            "swap": None,
            "request_history": [],
        }
        return self.rmas[rma_id]

    def _rma_line(self, line: Row, count: int) -> Row:
        return {
            "id": self.number(1_057_000),
            "product_emag_id": 1_057_106,
            "product_id": str(line["product_id"]),
            "quantity": str(count),
            "product_name": line["name"],
            "return_reason": 11,
            "observations": "",
            "diagnostic": None,
            "reject_reason": None,
            "refund_value": None,
        }

    def save_rma(self, new: Row) -> None:
        old = self.rmas.get(new.get("emag_id", 0))
        if old is None:
            raise refused(f"Rma id {new.get('emag_id')} was not found")
        if missing := sorted(set(old) - set(new)):
            raise refused(f"ERROR: please provide {', '.join(missing)} - Rma id: {old['emag_id']}")
        if new["request_status"] not in RMA_MATRIX.get(old["request_status"], ()):
            raise refused(f"Status {old['request_status']} cannot become {new['request_status']}")
        before = old["request_status"]
        old["request_status"] = new["request_status"]
        pieces = [p for p in self.pieces[int(old["order_id"])] if p.get("rma") == old["emag_id"]]
        if new["request_status"] == 4 and before != 4:
            self.done("reject_return", old["order_id"], pieces)
        if new["request_status"] == 7 and before != 7:
            for piece in pieces:
                piece |= {"refunded": piece["price"], "state": "returned"}
            self.done("accept_return", old["order_id"], pieces, sum(piece["price"] for piece in pieces))


def _warehouse(value: object, allowed: Iterable[int]) -> bool:
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        return False
    return (
        value[0].get("warehouse_id") == 1
        and type(value[0].get("value")) is int
        and value[0]["value"] in allowed
    )


def _units(order_id: int, line: Row) -> list[Row]:
    price = cents(Decimal(line["sale_price"]), Decimal(line["vat"]))
    return [
        {
            "piece": f"{order_id}/{line['id']}/{place}",
            "order": order_id,
            "line": line["id"],
            "sku": line["part_number"],
            "price": price,
            "state": "",
            "tracking_number": None,
            "refunded": 0,
        }
        for place in range(1, line["quantity"] + 1)
    ]
