"""Compares the books of both sides after the day: every order, every piece, every cent, every stock, every event.

Nothing here knows what the day did; it only reads what the shop, the marketplace and the bridge's database say now. What may go wrong
is what it looks for: each disagreement names the order, the product or the event.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from app.shops.reading import exact_minor_units

Row = Mapping[str, Any]

SENT: Final = frozenset({"sent", "received", "sent_and_autopaid"})
PACKED: Final = frozenset({"completed", "refunded"})
ONCE: Final = ("send", "cancel", "accept_return")  # deeds that happen to one thing at most once


@dataclass(frozen=True)
class Stored:
    """What the bridge has in its database. `events`: message id -> state; `manifest`: the shop's count and what arrived of it."""

    events: Mapping[str, str]
    manifest: tuple[int, int] | None
    stuck: Sequence[str]
    late: int = 0  # events that arrived after a newer one of the same thing
    cases: Sequence[str] = ()


@dataclass(frozen=True)
class Change:
    """The stock of one product was set in the shop; `at` is the machine's clock just before."""

    sku: str
    stock: int
    at: datetime


@dataclass
class Outcome:
    """The figures, and what does not agree: (what, sentence)."""

    figures: dict[str, Any] = field(default_factory=dict)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Everything agrees."""
        return not self.wrong


@dataclass(frozen=True)
class Pieces:
    """Pieces of one SKU in one order. `settled`: cancelled, sent back, or paid back in full; `left`: on their way to the buyer."""

    settled: int = 0
    left: int = 0
    waiting: int = 0


def compare(shop: Row, kaufland: Row, stored: Stored, changes: Sequence[Change]) -> Outcome:
    """All figures of the day and everything that does not agree."""
    found = Outcome()
    _orders(found, shop, kaufland)
    _deeds(found, kaufland)
    _stock(found, shop, kaufland)
    _events(found, shop, stored)
    _speed(found, kaufland, changes)
    found.figures["problems_shown"] = len(stored.cases)
    found.wrong += [("the bridge", sentence) for sentence in stored.stuck]
    return found


# --- orders ---------------------------------------------------------------------------------------------


def _orders(found: Outcome, shop: Row, kaufland: Row) -> None:
    there, here = _by_order(kaufland["order_units"]), _by_source(shop["orders"])
    missing = sorted(there.keys() - here.keys())
    found.wrong += [(number, "is not in the shop") for number in missing]
    found.wrong += [
        (number, "is in the shop, but the marketplace does not know it")
        for number in sorted(here.keys() - there.keys())
    ]
    twice = _twice(shop, here)
    found.wrong += [(number, "is in the shop more than once") for number in twice]
    tally: Counter[str] = Counter()
    for number in sorted(there.keys() & here.keys()):
        _order(found, tally, number, there[number], here[number][0])
    found.figures |= {
        "orders_at_marketplace": len(there),
        "pieces_at_marketplace": len(kaufland["order_units"]),
        "orders_in_shop": len(here.keys() & there.keys()),
        "duplicate_orders": len(twice),
        "shipped_at_marketplace": len({deed["id"] for deed in kaufland["deeds"] if deed["deed"] == "send"}),
        "shipped_without_tracking": sum(
            not each["tracking_number"] for unit in kaufland["order_units"] for each in unit["shipments"]
        ),
        "cancelled_both": tally["cancelled"],
        "refunded_both": tally["refunded"],
        "refunded_both_cents": tally["cents"],
        "lost": len(missing),
    }


def _by_order(units: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: defaultdict[str, list[Row]] = defaultdict(list)
    for unit in units:
        grouped[unit["id_order"]].append(unit)
    return dict(grouped)


def _by_source(orders: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: defaultdict[str, list[Row]] = defaultdict(list)
    for order in orders:
        if order["source"]:
            grouped[order["source"]["order_id"]].append(order)
    return dict(grouped)


def _twice(shop: Row, here: Mapping[str, Sequence[Row]]) -> list[str]:
    """Marketplace orders with two shop orders, by the marketplace's number and by the bridge's key."""
    keys = {key for key, count in shop["orders_by_key"].items() if count > 1}
    return sorted(
        number
        for number, orders in here.items()
        if len(orders) > 1 or any(order["shopbridge"]["key"] in keys for order in orders)
    )


def _order(found: Outcome, tally: Counter[str], number: str, units: Sequence[Row], order: Row) -> None:
    """One order on both sides: its amount, every piece, the parcels, the money that went back."""
    wrong: list[str] = []
    paid = sum(unit["price"] + unit["shipping_rate"] for unit in units)
    if paid != _cents(order["total"]):
        wrong.append(f"costs {paid} cents at the marketplace and {_cents(order['total'])} in the shop")
    theirs, ours = _pieces_there(units), _pieces_here(order)
    wrong += [
        f"{sku}: {_words(theirs.get(sku, Pieces()))} at the marketplace, {_words(ours.get(sku, Pieces()))} in the shop"
        for sku in sorted(theirs.keys() | ours.keys())
        if theirs.get(sku) != ours.get(sku)
    ]
    wrong += _parcels(units, order)
    back_there, back_here = _back_there(units), _back_here(order)
    if back_there != back_here:
        wrong.append(f"{back_there} cents went back at the marketplace and {back_here} in the shop")
    found.wrong += [(number, sentence) for sentence in wrong]
    if not wrong:
        tally["cancelled"] += sum(unit["status"] == "cancelled" for unit in units)
        refunded = sum(unit["refunded"] for unit in units)
        tally["refunded"] += refunded > 0
        tally["cents"] += refunded


def _pieces_there(units: Sequence[Row]) -> dict[str, Pieces]:
    counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for unit in units:
        back = (
            unit["status"] in {"cancelled", "returned", "returned_paid"} or unit["refunded"] >= unit["price"]
        )
        counted[unit["id_offer"]]["settled" if back else "left" if unit["status"] in SENT else "waiting"] += 1
    return {sku: Pieces(**count) for sku, count in counted.items()}


def _pieces_here(order: Row) -> dict[str, Pieces]:
    """The same by the shop's own books: its status, its refund objects, its parcels."""
    whole: Counter[int] = Counter()
    units = {line["id"]: _cents(line["total"]) // line["quantity"] for line in order["line_items"]}
    for refund in order["shopbridge"]["refunds"]:
        for part in refund["lines"]:
            if _cents(part["amount"]) == part["quantity"] * units[part["id"]]:
                whole[part["id"]] += part["quantity"]
    gone: Counter[str] = Counter()
    for parcel in order["shopbridge"]["tracking"]:
        for part in parcel["lines"] or ():
            gone[str(part["id"])] += part["quantity"]
    pieces = {}
    for line in order["line_items"]:
        settled = line["quantity"] if order["status"] == "cancelled" else whole[line["id"]]
        rest = line["quantity"] - settled
        left = rest if order["status"] in PACKED else min(gone[str(line["id"])], rest)
        pieces[line["sku"]] = Pieces(settled, left, rest - left)
    return pieces


def _words(pieces: Pieces) -> str:
    return f"{pieces.left} shipped, {pieces.settled} cancelled or paid back, {pieces.waiting} waiting"


def _parcels(units: Sequence[Row], order: Row) -> list[str]:
    """What was told to the buyer is what stands on the parcel."""
    known = {parcel["number"] for parcel in order["shopbridge"]["tracking"]}
    told = {each["tracking_number"] for unit in units for each in unit["shipments"]}
    wrong = [
        f"the marketplace has the tracking number {number}, the shop has not"
        for number in sorted(told - known - {""})
    ]
    if any(unit["status"] in SENT for unit in units):
        wrong += [
            f"the marketplace does not have the tracking number {number}" for number in sorted(known - told)
        ]
    return wrong


def _back_there(units: Sequence[Row]) -> int:
    """Cents the buyer does not pay or got back."""
    return sum(
        unit["price"] + unit["shipping_rate"] if unit["status"] == "cancelled" else unit["refunded"]
        for unit in units
    )


def _back_here(order: Row) -> int:
    if order["status"] == "cancelled":
        return _cents(order["total"])
    return sum(_cents(refund["amount"]) for refund in order["shopbridge"]["refunds"])


def _cents(text: str) -> int:
    return exact_minor_units(Decimal(text), "EUR", "amount")


# --- everything else ----------------------------------------------------------------------------------------


def _deeds(found: Outcome, kaufland: Row) -> None:
    for deed in ONCE:
        for subject, count in kaufland["counts"].get(deed, {}).items():
            if count > 1:
                found.wrong.append((subject, f"{deed} was done {count} times"))


def _stock(found: Outcome, shop: Row, kaufland: Row) -> None:
    """Every product that is on sale shows the shop's stock; less than nothing is shown as nothing."""
    shown = {unit["id_offer"]: int(unit["amount"]) for unit in kaufland["units"]}
    agrees = True
    for sku, amount in sorted(shown.items()):
        stock = shop["stock"].get(sku, 0)
        if amount != max(0, stock):
            found.wrong.append((sku, f"{amount} pieces at the marketplace, {stock} in the shop"))
            agrees = False
    found.figures |= {"products_on_sale": len(shown), "stock_agrees": agrees}


def _events(found: Outcome, shop: Row, stored: Stored) -> None:
    """Everything that was sent is stored and worked off, and the shop's own manifest says the same (D7)."""
    sent = [event for event in shop["events"] if event["state"] == "sent"]
    absent = [event for event in sent if event["id"] not in stored.events]
    unsent = [event for event in shop["events"] if event["state"] != "sent"]
    undone = Counter(state for state in stored.events.values() if state not in {"done", "superseded"})
    found.wrong += [(event["id"], f"{event['type']} was sent and is not stored") for event in absent]
    found.wrong += [
        (event["id"], f"{event['type']} is still {event['state']} in the shop") for event in unsent
    ]
    found.wrong += [("events", f"{count} are {state} in the bridge") for state, count in undone.items()]
    if stored.manifest is None:
        found.wrong.append(("manifest", "did not arrive"))
    elif stored.manifest[0] != stored.manifest[1]:
        found.wrong.append(
            ("manifest", f"the shop counts {stored.manifest[0]} events, {stored.manifest[1]} arrived")
        )
    found.figures |= {
        "events_sent": len(sent),
        "events_delivered_twice": sum(event["repeats"] > 0 or event["attempts"] > 1 for event in sent),
        "events_out_of_order": stored.late,
        "events_stored": len(sent) - len(absent),
        "manifest": None if stored.manifest is None else f"{stored.manifest[1]} of {stored.manifest[0]}",
    }
    found.figures["lost"] = found.figures.get("lost", 0) + len(absent)


def _speed(found: Outcome, kaufland: Row, changes: Sequence[Change]) -> None:
    """From the change in the shop to the moment when the marketplace had this value, or a newer one of the same product."""
    names = {str(unit["id_unit"]): unit["id_offer"] for unit in kaufland["units"]}
    updates = [
        (names[deed["id"]], int(deed["amount"]), datetime.fromisoformat(deed["real_at"]))
        for deed in kaufland["deeds"]
        if deed["deed"] == "update_unit" and "amount" in deed and deed["id"] in names
    ]
    for place, change in enumerate(changes):
        good = {later.stock for later in changes[place:] if later.sku == change.sku}
        at = next(
            (at for sku, amount, at in updates if sku == change.sku and amount in good and at >= change.at),
            None,
        )
        if at is None:
            found.wrong.append((change.sku, f"stock {change.stock} never reached the marketplace"))
        else:
            found.milliseconds.append((at - change.at).total_seconds() * 1000)
    found.figures |= {
        "stock_changes_measured": len(found.milliseconds),
        "stock_to_marketplace_p50_ms": percentile(found.milliseconds, 50),
        "stock_to_marketplace_p95_ms": percentile(found.milliseconds, 95),
        "stock_to_marketplace_max_ms": percentile(found.milliseconds, 100),
    }


def percentile(values: Sequence[float], percent: int) -> int | None:
    """The value that so many percent do not exceed (nearest rank), rounded; None without values."""
    if not values:
        return None
    rank = max(1, -(-len(values) * percent // 100))
    return round(sorted(values)[rank - 1])
