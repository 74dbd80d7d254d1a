"""What simulated Kaufland remembers: sellers, products, units, orders, returns, and every deed done to them (the books).

What may go wrong: a deed that the status does not allow is refused as the real one refuses it (FACTS sections 4 to 6). The caller holds
`world.lock`; times move only forward, by the real clock or by `advance`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from app.sandbox.kaufland.wire import CURRENCY, MERCHANT, Pace, ProblemError, invalid, not_found

SENT: Final = frozenset({"sent", "received", "sent_and_autopaid"})
# The names of GET /carriers as the vendor's guide listed them in August 2026 (facts only), oddities included.
CARRIERS: Final = tuple(Path(__file__).with_name("carriers.txt").read_text(encoding="utf-8").splitlines())
WITHOUT_TRACKING: Final = frozenset({"Other", "Other Hauler"})
ADDRESS: Final = {
    "first_name": "Mia", "last_name": "Muster", "company_name": None, "street": "Beispielweg", "house_number": "4",
    "postcode": "10115", "additional_field": None, "city": "Berlin", "phone": None, "country": "DE",
}  # fmt: skip
DEMO_CLIENT_KEY: Final = "demo5e11e4c11e47000000000000kauf"
DEMO_SECRET_KEY: Final = "demo5ec4e7" + "0" * 50 + "kauf"  # An invented key of the simulator.

Row = dict[str, Any]


@dataclass
class Seller:
    """A seller account. `funds` in minor units is what refunds are paid from."""

    client_key: str
    secret_key: str
    name: str = "Anna's Teeladen"
    active: bool = True
    storefronts: list[str] = field(default_factory=lambda: ["de"])
    funds: int = 10_000_000
    return_service: bool = True


@dataclass
class Conduct:
    """How this Kaufland behaves. Seconds, counts."""

    withhold_seconds: float = 900
    unit_lag_seconds: float = 0
    per_second: int = 111
    skew_seconds: float = 300
    bulk_all_or_nothing: bool = False


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class World:
    """Everything, in memory."""

    def __init__(self, conduct: Conduct | None = None) -> None:
        self.lock = threading.RLock()
        self.conduct = conduct or Conduct()
        self.pace = Pace()
        self.sellers: dict[str, Seller] = {}
        self.products: dict[str, Row] = {}  # by EAN
        self.product_data: dict[str, Row] = {}  # by EAN: answer of /product-data/status
        self.units: dict[int, Row] = {}
        self.amounts: dict[tuple[str, str], int] = {}  # (seller, id_offer): shared by all storefronts
        self.orders: dict[str, Row] = {}
        self.order_units: dict[int, Row] = {}
        self.returns: dict[int, Row] = {}
        self.return_units: dict[int, Row] = {}
        self.deeds: list[Row] = []
        self._ahead = timedelta()
        self._numbers = itertools.count(1)

    @classmethod
    def demo(cls) -> World:
        """One seller with known keys, so that the demo needs no setup."""
        world = cls()
        world.sellers[DEMO_CLIENT_KEY] = Seller(DEMO_CLIENT_KEY, DEMO_SECRET_KEY)
        return world

    # --- time ------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)
        self.settle()

    def settle(self) -> None:
        """What time alone does: units become due for shipping, arrived returns are accepted after three working days."""
        now = self.now()
        for unit in self.order_units.values():
            if unit["status"] == "open" and unit["due_at"] <= now:
                self._move(unit, "need_to_be_sent")
        for back in self.return_units.values():
            if back["status"] == "return_arrived" and working_days_later(back["arrived_at"], 3) <= now:
                self.accept(back, by="time")

    def number(self, start: int) -> int:
        return start + next(self._numbers)

    def done(self, deed: str, subject: object, **more: object) -> None:
        # `at` follows the moved clock, in whole seconds; `real_at` is the machine's clock, for measuring.
        told = {"at": stamp(self.now()), "real_at": datetime.now(UTC).isoformat(timespec="microseconds")}
        self.deeds.append({"deed": deed, "id": str(subject), **told, **more})

    # --- products and offers -----------------------------------------------------------------------------------------------

    def add_product(self, ean: str, title: str = "Assam Hathikuli, 100 g", *, is_valid: bool = True) -> Row:
        product = {
            "id_product": self.number(362_500_000),
            "storefront": "de",
            "title": title,
            "eans": [ean],
            "id_category": 34401,
            "main_picture": "https://media.example/tee.jpg",
            "manufacturer": "Teeladen",
            "url": "https://www.kaufland.example/product",
            "age_rating": 0,
            "is_valid": is_valid,
            "dangerous_goods_li_shipping": None,
            "danger_label_9A": None,
        }
        return self.products.setdefault(ean, product)

    def add_unit(self, seller: Seller, storefront: str, wanted: Mapping[str, Any]) -> Row:
        product = self._product_for(wanted)
        self._id_offer_is_free(seller, storefront, wanted, product)
        now = stamp(self.now())
        unit = {
            "id_unit": self.number(385_000_000),
            "seller": seller.client_key,
            "storefront": storefront,
            "ean": product["eans"][0],
            "id_product": product["id_product"],
            "id_offer": wanted["id_offer"],
            "condition": wanted.get("condition", "NEW"),
            "listing_price": wanted["listing_price"],
            "minimum_price": wanted.get("minimum_price", wanted["listing_price"]),
            "handling_time": wanted["handling_time"],
            "note": wanted.get("note"),
            "id_shipping_group": wanted.get("id_shipping_group", 195841),
            "id_warehouse": wanted.get("id_warehouse", 40112),
            "vat_indicator": wanted.get("vat_indicator", "standard_rate"),
            "status": "AVAILABLE",
            "date_inserted_iso": now,
            "date_lastchange_iso": now,
            "visible_at": self.now() + timedelta(seconds=self.conduct.unit_lag_seconds),
        }
        self.units[unit["id_unit"]] = unit
        # The default is one piece on sale: a client that forgets the amount sells what it may not have.
        self.amounts[seller.client_key, wanted["id_offer"]] = wanted.get("amount", 1)
        self.done("create_unit", unit["id_unit"], id_offer=wanted["id_offer"], storefront=storefront)
        return unit

    def _product_for(self, wanted: Mapping[str, Any]) -> Row:
        if "ean" not in wanted and "id_product" not in wanted:
            raise invalid("ean", "ean or id_product is needed")
        for product in self.products.values():
            if wanted.get("ean") in product["eans"] or wanted.get("id_product") == product["id_product"]:
                return product
        raise invalid("ean" if "ean" in wanted else "id_product", "product is not known")

    def _id_offer_is_free(
        self, seller: Seller, storefront: str, wanted: Mapping[str, Any], product: Row
    ) -> None:
        for unit in self.units.values():
            if (unit["seller"], unit["id_offer"]) != (seller.client_key, wanted["id_offer"]):
                continue
            if unit["storefront"] == storefront:
                raise ProblemError(400, "already-exists", "A unit with this id_offer already exists")
            if (unit["id_product"], unit["condition"]) != (
                product["id_product"],
                wanted.get("condition", "NEW"),
            ):
                raise invalid("id_offer", "is used for another product or condition")

    def change_unit(self, unit: Row, patch: Mapping[str, Any]) -> Row:
        unit.update({name: value for name, value in patch.items() if name != "amount"})
        if "amount" in patch:
            self.amounts[unit["seller"], unit["id_offer"]] = patch["amount"]
        unit["date_lastchange_iso"] = stamp(self.now())
        self.done("update_unit", unit["id_unit"], **patch)
        return unit

    def unit_of(self, seller: Seller, unit_id: int, storefront: str) -> Row:
        unit = self.units.get(unit_id)
        if unit is None or (unit["seller"], unit["storefront"]) != (seller.client_key, storefront):
            raise not_found("Unit")
        return unit

    def unit_json(self, unit: Row, *, product: bool = False) -> Row:
        data = {
            name: unit[name]
            for name in (
                "id_unit", "note", "condition", "listing_price", "minimum_price", "id_offer", "id_product", "id_shipping_group",
                "id_warehouse", "date_inserted_iso", "date_lastchange_iso", "handling_time", "storefront", "vat_indicator",
            )
        }  # fmt: skip
        known = self.products[unit["ean"]]
        data |= {
            "status": unit["status"] if known["is_valid"] else "INCOMPLETE",
            "currency": CURRENCY.get(unit["storefront"], "EUR"),
            "price": unit["listing_price"],
            "amount": self.amounts[unit["seller"], unit["id_offer"]],
            "shipping_rate": 0,
            "transport_time_min": 1,
            "transport_time_max": 3,
            "fulfillment_type": MERCHANT,
        }
        return data | ({"product": known} if product else {})

    def buyable(self, unit: Row) -> int:
        """How many a buyer can put into the basket now."""
        shown = self.unit_json(unit)
        return int(shown["amount"]) if shown["status"] == "AVAILABLE" else 0

    # --- orders ------------------------------------------------------------------------------------------------------------

    def place_order(self, seller: Seller, wanted: Mapping[str, Any]) -> Row:
        """`wanted`: lines [{id_offer, pieces, price}], storefront, address, pickup_location, shipping_rate, open_seconds, oversell."""
        storefront = wanted.get("storefront", "de")
        lines = wanted.get("lines") or []
        if not lines:
            raise invalid("lines", "is missing")
        self._sell(seller, storefront, lines, oversell=wanted.get("oversell", False))
        order = {
            "id_order": f"M{self.number(10_000):06d}",
            "seller": seller.client_key,
            "storefront": storefront,
            "created_at": self.now(),
            "address": ADDRESS | wanted.get("address", {}),
            "pickup_location": wanted.get("pickup_location"),
            "deemed_supplier": wanted.get("deemed_supplier", False),
            "units": [],
        }
        self.orders[order["id_order"]] = order
        for number, line in enumerate(lines):
            for piece in range(line.get("pieces", 1)):
                first = number == 0 and piece == 0
                shipping = wanted.get("shipping_rate", 0) if first else 0
                self._add_order_unit(order, line, shipping, wanted.get("open_seconds"))
        return order

    def _sell(
        self, seller: Seller, storefront: str, lines: Iterable[Mapping[str, Any]], *, oversell: bool
    ) -> None:
        for line in lines:
            key = (seller.client_key, line["id_offer"])
            units = [u for u in self.units.values() if (u["seller"], u["id_offer"]) == key]
            wanted = line.get("pieces", 1)
            on_sale = sum(self.buyable(unit) for unit in units if unit["storefront"] == storefront)
            if units and on_sale < wanted and not oversell:
                raise ProblemError(
                    409, "action-not-allowed", f"only {on_sale} of {line['id_offer']} can be bought"
                )
            if key in self.amounts:
                self.amounts[key] = max(0, self.amounts[key] - wanted)

    def _add_order_unit(
        self, order: Row, line: Mapping[str, Any], shipping: int, open_seconds: float | None
    ) -> None:
        offered = next(
            (
                u
                for u in self.units.values()
                if (u["seller"], u["id_offer"]) == (order["seller"], line["id_offer"])
            ),
            None,
        )
        ean = line.get("ean") or (offered["ean"] if offered else "4006381333931")
        wait = self.conduct.withhold_seconds if open_seconds is None else open_seconds
        unit = {
            "id_order_unit": self.number(314_567_000_000_000),
            "id_order": order["id_order"],
            "seller": order["seller"],
            "storefront": order["storefront"],
            "id_offer": line["id_offer"],
            "price": line.get("price") or (offered["listing_price"] if offered else 790),
            "shipping_rate": shipping,
            "product": self.products.get(ean)
            or self.add_product(ean, line.get("title", "Assam Hathikuli, 100 g")),
            "vat": line.get("vat", 19),
            "status": "open",
            "created_at": order["created_at"],
            "updated_at": order["created_at"],
            "due_at": order["created_at"] + timedelta(seconds=wait),
            "cancel_reason": None,
            "received_at": None,
            "shipments": [],
            "refunded": 0,
        }
        unit["revenue_gross"] = unit["price"] * 87 // 100  # The rest is Kaufland's commission.
        self.order_units[unit["id_order_unit"]] = unit
        order["units"].append(unit["id_order_unit"])
        if wait <= 0:
            unit["status"] = "need_to_be_sent"

    def order_unit_of(self, seller: Seller, unit_id: int) -> Row:
        unit = self.order_units.get(unit_id)
        if unit is None or unit["seller"] != seller.client_key:
            raise not_found("Order unit")
        return unit

    def order_unit_json(self, unit: Row) -> Row:
        order = self.orders[unit["id_order"]]
        # While a unit is open nobody may ship, so nobody is told where to.
        told = unit["status"] != "open"
        data = {
            name: unit[name]
            for name in ("id_order_unit", "id_order", "status", "price", "id_offer", "storefront")
        }
        return data | {
            "ts_created_iso": stamp(unit["created_at"]),
            "ts_updated_iso": stamp(unit["updated_at"]),
            "is_marketplace_deemed_supplier": order["deemed_supplier"],
            "revenue_gross": unit["revenue_gross"],
            "revenue_net": unit["revenue_gross"] * 100 // 119,
            "note": None,
            "unit_condition": "new",
            "currency": CURRENCY.get(unit["storefront"], "EUR"),
            "delivery_time_min": 3,
            "delivery_time_max": 6,
            "delivery_time_expires_iso": stamp(unit["created_at"] + timedelta(days=6)),
            "order_received_timestamp_iso": unit["received_at"] and stamp(unit["received_at"]),
            "shipping_rate": unit["shipping_rate"],
            "cancel_reason": unit["cancel_reason"],
            "fulfillment_type": MERCHANT,
            "buyer": {"id_buyer": 21631426, "email": "x1@relay.example"} if told else None,
            "billing_address": order["address"] if told else None,
            "shipping_address": order["address"] if told else None,
            "product": unit["product"],
            "vat": unit["vat"],
            "eco_fee": None,
            "packaging_fee": None,
        }

    def _move(self, unit: Row, status: str) -> None:
        unit["status"] = status
        unit["updated_at"] = self.now()

    def fulfil(self, unit: Row) -> None:
        if unit["status"] != "open":
            raise ProblemError(400, "action-not-allowed", "Order unit is not open")
        self._move(unit, "need_to_be_sent")

    def send(self, unit: Row, numbers: str, carrier: str) -> None:
        self._carrier_is_right(numbers, carrier)
        if unit["status"] != "need_to_be_sent":
            raise ProblemError(400, "action-not-allowed", f"Order unit is {unit['status']}")
        unit["shipments"].append({"tracking_number": numbers, "carrier_code": carrier})
        self._move(unit, "sent")
        self.done("send", unit["id_order_unit"], tracking_numbers=numbers, carrier_code=carrier)

    def _carrier_is_right(self, numbers: str, carrier: str) -> None:
        if carrier not in CARRIERS:
            raise invalid("carrier_code")
        if not numbers and carrier not in WITHOUT_TRACKING:
            raise invalid("tracking_numbers", "is mandatory for this carrier")

    def add_shipment(self, unit: Row, number: str, carrier: str) -> None:
        self._carrier_is_right(number, carrier)
        if unit["status"] not in SENT:
            raise ProblemError(400, "action-not-allowed", "Order unit is not sent yet")
        if any(number in each["tracking_number"].split(",") for each in unit["shipments"]):
            raise ProblemError(400, "duplicate-action", "This tracking number is known")
        unit["shipments"].append({"tracking_number": number, "carrier_code": carrier})
        self.done("add_shipment", unit["id_order_unit"], tracking_numbers=number, carrier_code=carrier)

    def cancel(self, unit: Row, reason: str, by: str = "seller") -> None:
        if unit["status"] not in {"open", "need_to_be_sent"}:
            raise ProblemError(400, "order-units/cancel-not-possible", f"Order unit is {unit['status']}")
        unit["cancel_reason"] = reason
        self._move(unit, "cancelled")
        self.done("cancel", unit["id_order_unit"], reason=reason, by=by)

    def refund(self, seller: Seller, unit: Row, amount: int, reason: str) -> None:
        if unit["status"] in {"open", "need_to_be_sent", "cancelled"}:
            raise ProblemError(400, "action-not-allowed", f"Order unit is {unit['status']}")
        if amount > unit["price"] + unit["shipping_rate"] - unit["refunded"]:
            raise invalid("amount", "is more than the buyer paid")
        if amount > seller.funds:
            raise ProblemError(400, "insufficient-funds", "Not enough funds for this refund")
        seller.funds -= amount
        unit["refunded"] += amount
        self.done("refund", unit["id_order_unit"], amount=amount, reason=reason)

    def receive(self, unit: Row) -> None:
        if unit["status"] not in SENT:
            raise ProblemError(400, "action-not-allowed", f"Order unit is {unit['status']}")
        unit["received_at"] = self.now()
        self._move(unit, "received")

    # --- returns -----------------------------------------------------------------------------------------------------------

    def start_return(self, units: list[Row], reason: str, note: str | None, by: str) -> Row:
        if not units or len({unit["id_order"] for unit in units}) > 1:
            raise invalid("id_order_unit", "all units must belong to one order")
        taken = {each["id_order_unit"] for each in self.return_units.values()}
        for unit in units:
            if unit["status"] not in SENT or unit["id_order_unit"] in taken:
                raise ProblemError(400, "action-not-allowed", "Order unit cannot be returned")
        now = self.now()
        back = {
            "id_return": self.number(675_800_000),
            "seller": units[0]["seller"],
            "storefront": units[0]["storefront"],
            "created_at": now,
            "updated_at": now,
            "tracking_provider": "DHL",
            "tracking_code": str(self.number(407_875_000_000)),
            "status": "label_generated",
            "units": [],
        }
        self.returns[back["id_return"]] = back
        for unit in units:
            self._add_return_unit(back, unit, reason, note)
        self.done("start_return", back["id_return"], by=by)
        return back

    def _add_return_unit(self, back: Row, unit: Row, reason: str, note: str | None) -> None:
        piece = {
            "id_return_unit": self.number(45_450_000),
            "id_return": back["id_return"],
            "id_order_unit": unit["id_order_unit"],
            "seller": back["seller"],
            "storefront": back["storefront"],
            "created_at": back["created_at"],
            "status": "need_to_be_returned",
            "reason": reason,
            "note": note,
            "arrived_at": None,
        }
        self.return_units[piece["id_return_unit"]] = piece
        back["units"].append(piece["id_return_unit"])

    def arrive(self, back: Row) -> None:
        back |= {"status": "package_received", "updated_at": self.now()}
        for each in back["units"]:
            if self.return_units[each]["status"] == "need_to_be_returned":
                self.return_units[each] |= {"status": "return_arrived", "arrived_at": self.now()}

    def accept(self, piece: Row, by: str = "seller") -> None:
        """The buyer gets the money back with this."""
        self._change_return(
            piece, "return_accepted", {"return_arrived", "need_to_be_returned", "return_in_clarification"}
        )
        unit = self.order_units[piece["id_order_unit"]]
        self._move(unit, "returned")
        rest = unit["price"] - min(unit["refunded"], unit["price"])
        unit["refunded"] += rest
        self.done("accept_return", piece["id_return_unit"], by=by, amount=rest)

    def reject(self, piece: Row, message: str) -> None:
        self._change_return(piece, "return_rejected", {"return_arrived"})
        self.done("reject_return", piece["id_return_unit"], message=message)

    def clarify(self, piece: Row, message: str) -> None:
        self._change_return(piece, "return_in_clarification", {"return_arrived"})
        self.done("clarify_return", piece["id_return_unit"], message=message)

    def _change_return(self, piece: Row, status: str, allowed: set[str]) -> None:
        if piece["status"] not in allowed:
            raise ProblemError(400, "returns/unit-wrong-status", f"Return unit is {piece['status']}")
        piece["status"] = status
        self.returns[piece["id_return"]]["updated_at"] = self.now()

    def return_json(self, back: Row, *, units: bool = False, buyer: bool = False) -> Row:
        names = ("id_return", "storefront", "tracking_provider", "tracking_code", "status")
        data = {name: back[name] for name in names} | {
            "ts_created_iso": stamp(back["created_at"]),
            "ts_updated_iso": stamp(back["updated_at"]),
            "fulfillment_type": MERCHANT,
        }
        if buyer:
            data["buyer"] = {"id_buyer": 21631426, "email": "x1@relay.example"}
        if units:
            data["return_units"] = [self.return_unit_json(self.return_units[each]) for each in back["units"]]
        return data

    def return_unit_json(self, piece: Row) -> Row:
        names = ("id_return_unit", "id_return", "id_order_unit", "status", "note", "reason", "storefront")
        return {name: piece[name] for name in names} | {
            "ts_created_iso": stamp(piece["created_at"]),
            "fulfillment_type": MERCHANT,
        }

    # --- the books -----------------------------------------------------------------------------------------------------------

    def books(self) -> Row:
        """Every deed with how often it was done to whom, and what is true now."""
        counts: dict[str, dict[str, int]] = {}
        for deed in self.deeds:
            of_kind = counts.setdefault(deed["deed"], {})
            of_kind[deed["id"]] = of_kind.get(deed["id"], 0) + 1
        return {
            "deeds": list(self.deeds),
            "counts": counts,
            "units": [
                self.unit_json(u) | {"ean": u["ean"], "buyable": self.buyable(u), "seller": u["seller"]}
                for u in self.units.values()
            ],
            "order_units": [
                self.order_unit_json(u) | {"shipments": u["shipments"], "refunded": u["refunded"]}
                for u in self.order_units.values()
            ],
            "returns": [self.return_json(r, units=True) for r in self.returns.values()],
            "funds": {key: seller.funds for key, seller in self.sellers.items()},
        }


def working_days_later(moment: datetime, days: int) -> datetime:
    while days:
        moment += timedelta(days=1)
        days -= moment.weekday() < 5
    return moment
