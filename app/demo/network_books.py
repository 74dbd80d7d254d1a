"""Compares the books of the network's day: the suppliers' shops, the retailers' shops, the payment provider and the bridge's ledger.

Nothing here knows what the day did: what each order must have cost, released and given back is worked out from the shops' own orders, parcels
and refund objects, and held against what the ledger says and what the provider really moved. Every disagreement names its trade.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.demo.books import Row
from app.shops.reading import exact_minor_units


@dataclass(frozen=True)
class TradeRow:
    """One trade as the bridge has it, and its money by the ledger. `retailer` is the number of the retailer's shop."""

    key: str
    retailer: int
    retail_order: str
    state: str
    money: Mapping[str, int]


@dataclass(frozen=True)
class Network:
    """Everything that is compared. `sellers`: for each supplier's shop its books; `words`: what gives each supplier away."""

    suppliers: Sequence[Row]
    retailers: Sequence[Row]
    payments: Row
    trades: Sequence[TradeRow]
    ledger_sum: int
    breaches: Sequence[str]
    words: Sequence[Sequence[str]]
    bought: Mapping[tuple[int, str], str]  # (retailer, his order) -> fate, for people
    stuck: Sequence[str] = ()


@dataclass
class Judged:
    """The figures of the day and what does not agree: (what, sentence)."""

    figures: dict[str, Any] = field(default_factory=dict)
    wrong: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Due:
    """What one order of a supplier's shop says about money, in cents."""

    total: int
    refunded: int
    tracked: int  # goods that left with a number, and the shipping with the first of them
    cancelled: bool


def compare(seen: Network) -> Judged:
    """All figures and every disagreement."""
    judged = Judged()
    orders = _network_orders(seen.suppliers)
    _every_part_once(judged, seen, orders)
    good = _good_numbers(orders)
    dues = {key: due(found[0][1], good) for key, found in orders.items()}
    _money(judged, seen, dues)
    _provider(judged, seen, dues)
    mirrored = _mirrored(judged, seen, dues)
    _parcels(judged, seen, orders, good)
    _reasons_shown(judged, seen)
    _customers_mail(judged, seen, orders)
    judged.wrong += [("the ledger", each) for each in seen.breaches]
    judged.wrong += [("the bridge", each) for each in seen.stuck]
    judged.figures = _figures(seen, dues, mirrored, leaks(seen, orders))
    for name in ("ledger_sum", "released_without_tracking", "leaks_of_supplier_identity"):
        if judged.figures[name]:
            judged.wrong.append(("the network", f"{name} is {judged.figures[name]} and must be 0"))
    return judged


def due(order: Row, good: Mapping[str, str]) -> Due:
    """What follows from one order of a supplier's shop (K8, K9, K11): `good` is, for each number, the order that used it first."""
    total = _cents(order["total"])
    cancelled = order["status"] == "cancelled"
    back = sum(_cents(each["amount"]) for each in order["shopbridge"]["refunds"] if not each["by_bridge"])
    left = {str(line["id"]): line["quantity"] for line in order["line_items"]}
    unit = {str(line["id"]): _cents(line["total"]) // line["quantity"] for line in order["line_items"]}
    goods = 0
    for parcel in order["shopbridge"]["tracking"]:
        if good.get(parcel["number"]) != order["shopbridge"]["key"]:
            continue
        parts = {str(part["id"]): part["quantity"] for part in parcel["lines"] or ()} or dict(left)
        for line, quantity in parts.items():
            goods += min(quantity, left[line]) * unit[line]
            left[line] -= min(quantity, left[line])
    shipping = total - sum(_cents(line["total"]) for line in order["line_items"])
    return Due(total, total if cancelled else back, goods + shipping if goods else 0, cancelled)


def _network_orders(suppliers: Sequence[Row]) -> dict[str, list[tuple[int, Row]]]:
    """Trade key -> its orders in the suppliers' shops: (supplier, order)."""
    found: defaultdict[str, list[tuple[int, Row]]] = defaultdict(list)
    for number, books in enumerate(suppliers):
        for order in books["orders"]:
            if (order["source"] or {}).get("marketplace") == "dropshipping":
                found[order["shopbridge"]["key"]].append((number, order))
    return dict(found)


def _good_numbers(orders: Mapping[str, Sequence[tuple[int, Row]]]) -> dict[str, str]:
    """Tracking number -> the order it counts for: a right check digit, and only where it was used first (K11)."""
    owner: dict[str, str] = {}
    parcels = [
        (parcel["shipped_at"] or "", order["id"], parcel["number"], order["shopbridge"]["key"])
        for found in orders.values()
        for _, order in found
        for parcel in order["shopbridge"]["tracking"]
    ]
    for _, _, number, key in sorted(parcels):
        if _checks(number):
            owner.setdefault(number, key)
    return owner


def _checks(number: str) -> bool:
    """The check digit of an SSCC, written out here once more on purpose: weights 3 and 1 from the right."""
    digits = [int(each) for each in number if each.isdigit()]
    weighted = sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return len(digits) == 20 and weighted % 10 == 0


# --- what must agree ------------------------------------------------------------------------------------------------------


def _every_part_once(judged: Judged, seen: Network, orders: Mapping[str, Sequence[tuple[int, Row]]]) -> None:
    known = {trade.key for trade in seen.trades}
    judged.wrong += [(key, "is in a supplier's shop, but the bridge has no such trade") for key in sorted(orders.keys() - known)]  # fmt: skip
    judged.wrong += [(key, "never came into its supplier's shop") for key in sorted(known - orders.keys())]
    judged.wrong += [(key, "is in a supplier's shop more than once") for key, found in sorted(orders.items()) if len(found) > 1]  # fmt: skip


def _money(judged: Judged, seen: Network, dues: Mapping[str, Due]) -> None:
    """The ledger of each trade against what the supplier's shop says."""
    for trade in seen.trades:
        must = dues.get(trade.key)
        if must is None:
            continue
        has = trade.money
        expected = {"captured": must.total, "refunded": must.refunded}
        judged.wrong += [
            (_name(seen, trade), f"{what} is {has[what]} in the ledger, by the shop it must be {wanted}")
            for what, wanted in expected.items()
            if has[what] != wanted
        ]
        if has["released"] > must.tracked:
            judged.wrong.append((_name(seen, trade), f"{has['released']} released, only {must.tracked} left with a number"))  # fmt: skip
        if must.tracked and not must.refunded and has["released"] != must.tracked:
            judged.wrong.append((_name(seen, trade), f"{has['released']} released, {must.tracked} left with a number"))  # fmt: skip
        if must.cancelled and trade.state != "cancelled":
            judged.wrong.append((_name(seen, trade), f"is {trade.state} although its supplier cancelled"))


def _provider(judged: Judged, seen: Network, dues: Mapping[str, Due]) -> None:
    """What the provider really moved against the same."""
    moved: defaultdict[str, int] = defaultdict(int)
    for each in seen.payments["payments"]:
        if each["state"] == "done":
            moved[each["kind"]] += each["amount"]
    paid = sum(trade.money["paid_out"] for trade in seen.trades)
    wanted = {
        "capture": sum(each.total for each in dues.values()),
        "refund": sum(each.refunded for each in dues.values()),
        "payout": paid,
    }
    judged.wrong += [
        ("the provider", f"moved {moved[kind]} as {kind}, by the shops and the ledger it must be {amount}")
        for kind, amount in wanted.items()
        if moved[kind] != amount
    ]


def _mirrored(judged: Judged, seen: Network, dues: Mapping[str, Due]) -> int:
    """CANCELLED, and only that, is in the retailer's shop too (K10). Answers how many were."""
    parts: defaultdict[tuple[int, str], list[TradeRow]] = defaultdict(list)
    for trade in seen.trades:
        parts[trade.retailer, trade.retail_order].append(trade)
    mirrored = 0
    for (retailer, number), trades in sorted(parts.items()):
        order = _order(seen.retailers[retailer], number)
        gone = [trade for trade in trades if trade.key in dues and dues[trade.key].cancelled]
        taken_back = [each for each in order["shopbridge"]["refunds"] if each["by_bridge"]]
        here = order["status"] == "cancelled" or bool(taken_back)
        if bool(gone) != here:
            sentence = f"{len(gone)} of {len(trades)} suppliers cancelled; the retailer's order is {order['status']} with {len(taken_back)} lines taken back"
            judged.wrong.append((f"order {number}", sentence))
        mirrored += len(gone) if here else 0
    return mirrored


def _parcels(
    judged: Judged,
    seen: Network,
    orders: Mapping[str, Sequence[tuple[int, Row]]],
    good: Mapping[str, str],
) -> None:
    """Every number that a supplier gave is in the retailer's shop."""
    for trade in seen.trades:
        for _, order in orders.get(trade.key, ()):
            if order["status"] == "cancelled":
                continue
            told = {each["number"] for each in order["shopbridge"]["tracking"] if good.get(each["number"]) == trade.key}  # fmt: skip
            here = _order(seen.retailers[trade.retailer], trade.retail_order)
            known = {each["number"] for each in here["shopbridge"]["tracking"]}
            if not told <= known:
                judged.wrong.append((_name(seen, trade), f"the retailer does not know {sorted(told - known)}"))  # fmt: skip


def _reasons_shown(judged: Judged, seen: Network) -> None:
    """Beside every product the supplier reads in his own shop whether it is released, and if not, why (K1)."""
    for product in (each for books in seen.suppliers for each in books["products"]):
        shown = product["release"] or {"state": "nothing", "reasons": []}
        said = [each["text"] for each in shown["reasons"] if each["text"]]
        if shown["state"] == "nothing" or (shown["state"] == "not_released") != bool(said):
            judged.wrong.append((product["name"], f"its shop shows {shown['state']} with the reasons {said}"))


def _customers_mail(judged: Judged, seen: Network, orders: Mapping[str, Sequence[tuple[int, Row]]]) -> None:
    """A customer's mail address stays with the retailer who sold to him (K6)."""
    mails = {order["billing"].get("email") for books in seen.retailers for order in books["orders"]} - {None, ""}  # fmt: skip
    for key, found in orders.items():
        if any(_says({**order, "notes": order["notes"]}, mails) for _, order in found):
            judged.wrong.append((key, "shows the customer's mail address to the supplier"))


def leaks(seen: Network, orders: Mapping[str, Sequence[tuple[int, Row]]]) -> int:
    """How often something of a supplier stands where a retailer's customer can see it: labels, and what the retailer's shop shows of the
    order and the product. A label without any sender is one too: the carrier would print the supplier's.
    """
    found = 0
    for places in orders.values():
        for number, order in places:
            for label in order["labels"]:
                found += not label["sender"] or _says(label["sender"], seen.words[number])
    everyone = [word for words in seen.words for word in words]
    for books in seen.retailers:
        for order in books["orders"]:
            shown = {"tracking": order["shopbridge"]["tracking"], "lines": order["line_items"]}
            found += _says({**shown, "billing": order["billing"], "shipping": order["shipping"]}, everyone)
        found += sum(_says(product, everyone) for product in books["products"])
    return found


def _says(thing: Any, words: Iterable[str]) -> bool:
    text = _flat(thing)
    return any(word.casefold() in text for word in words)


def _flat(thing: Any) -> str:
    if isinstance(thing, Mapping):
        return " ".join(_flat(each) for each in thing.values())
    if isinstance(thing, list | tuple):
        return " ".join(_flat(each) for each in thing)
    return str(thing).casefold()


def _figures(seen: Network, dues: Mapping[str, Due], mirrored: int, leaked: int) -> dict[str, Any]:
    def total(what: str) -> int:
        return sum(trade.money[what] for trade in seen.trades)

    without = [t for t in seen.trades if t.money["released"] and not dues.get(t.key, Due(0, 0, 0, False)).tracked]  # fmt: skip
    shown = [each["release"] for books in seen.suppliers for each in books["products"] if each["release"]]
    return {
        "products": sum(len(books["products"]) for books in seen.suppliers),
        "not_released": sum(each["state"] == "not_released" for each in shown),
        "orders": len(seen.bought),
        "trades": len(seen.trades),
        "mirrored_cancellations": mirrored,
        "refunded_minor": total("refunded"),
        "released_minor": total("released"),
        "paid_out_minor": total("paid_out"),
        "receivable_minor": total("receivable"),
        "held_minor": total("escrow") + total("disputed"),
        "ledger_sum": seen.ledger_sum,
        "released_without_tracking": len(without),
        "leaks_of_supplier_identity": leaked,
    }


def _order(books: Row, number: str) -> Row:
    return next(order for order in books["orders"] if str(order["id"]) == number)


def _name(seen: Network, trade: TradeRow) -> str:
    return f"{trade.key} ({seen.bought.get((trade.retailer, trade.retail_order), 'never bought')})"


def _cents(amount: str) -> int:
    return exact_minor_units(Decimal(amount), "EUR", "amount")
