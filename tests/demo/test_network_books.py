"""The comparison of the network's day must find every disagreement: a small day on which all agrees, and one planted fault after another."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.demo.network_books import Network, TradeRow, compare, due

GOOD = "00340434161094015902"
OTHER = "00340434161094015919"
BOLDT = {"company": "Bücher Boldt", "address_1": "Lesegasse 5"}


def parcel(number: str) -> dict[str, Any]:
    return {"number": number, "carrier": "DHL", "lines": None, "shipped_at": "2026-11-25T12:00:00Z"}


def supplied(number: int, key: str, status: str, tracking: list[Any], back: list[Any]) -> dict[str, Any]:
    return {
        "id": number,
        "status": status,
        "total": "14.90",
        "source": {"marketplace": "dropshipping"},
        "line_items": [{"id": number * 10, "quantity": 2, "total": "10.00"}],
        "labels": [{"sender": BOLDT}] if tracking else [],
        "notes": [],
        "shopbridge": {"key": key, "tracking": tracking, "refunds": back},
    }


def sold(number: int, status: str, tracking: list[Any]) -> dict[str, Any]:
    return {
        "id": number,
        "status": status,
        "billing": {"email": "mia@customer.example"},
        "shipping": {"last_name": "Muster"},
        "line_items": [{"id": 1, "name": "Kräuterdose"}],
        "shopbridge": {"tracking": tracking, "refunds": []},
    }


def money(**values: int) -> dict[str, int]:
    names = ("captured", "refunded", "released", "paid_out", "escrow", "payable", "receivable", "disputed")
    return {name: values.get(name, 0) for name in names}


@pytest.fixture
def day() -> Network:
    """Shipped and paid out with 1.50 back; cancelled; shipped without a number."""
    back = {"amount": "1.50", "by_bridge": False}
    payments = [
        *({"kind": "capture", "state": "done", "amount": 1490} for _ in range(3)),
        {"kind": "refund", "state": "done", "amount": 150},
        {"kind": "refund", "state": "done", "amount": 1490},
        {"kind": "payout", "state": "done", "amount": 1490},
    ]
    return Network(
        suppliers=[
            {
                "orders": [
                    supplied(1, "t:1", "completed", [parcel(GOOD)], [back]),
                    supplied(2, "t:2", "cancelled", [], []),
                    supplied(3, "t:3", "completed", [], []),
                ],
                "products": [
                    {"name": "Kräuterdose", "release": {"state": "released", "reasons": []}},
                    {"name": "Salbei", "release": {"state": "not_released", "reasons": [{"text": "Ohne GTIN."}]}},
                ],
            }
        ],
        retailers=[
            {
                "orders": [
                    sold(1, "completed", [parcel(GOOD)]),
                    sold(2, "cancelled", []),
                    sold(3, "processing", []),
                ],
                "products": [{"name": "Kräuterdose", "brand": "Krautgold"}],
            }
        ],
        payments={"payments": payments},
        trades=[
            TradeRow("t:1", 0, "1", "shipped", money(captured=1490, refunded=150, released=1490, paid_out=1490, receivable=150)),
            TradeRow("t:2", 0, "2", "cancelled", money(captured=1490, refunded=1490)),
            TradeRow("t:3", 0, "3", "shipped", money(captured=1490, escrow=1490)),
        ],
        ledger_sum=0,
        breaches=[],
        words=[("Kräuterhof Krause", "Am Krautacker 3")],
        bought={(0, "1"): "a", (0, "2"): "b", (0, "3"): "c"},
    )  # fmt: skip


def test_a_day_on_which_everything_agrees(day: Network) -> None:
    judged = compare(day)
    assert judged.wrong == []
    assert judged.figures == {
        "products": 2,
        "not_released": 1,
        "orders": 3,
        "trades": 3,
        "mirrored_cancellations": 1,
        "refunded_minor": 1640,
        "released_minor": 1490,
        "paid_out_minor": 1490,
        "receivable_minor": 150,
        "held_minor": 1490,
        "ledger_sum": 0,
        "released_without_tracking": 0,
        "leaks_of_supplier_identity": 0,
    }


def _money(place: int, **values: int) -> Callable[[Network], Network]:
    def change(day: Network) -> Network:
        trades = list(day.trades)
        trades[place] = replace(trades[place], money={**trades[place].money, **values})
        return replace(day, trades=trades)

    return change


def _shop(change: Callable[[dict[str, Any]], Any], side: str = "suppliers") -> Callable[[Network], Network]:
    def changed(day: Network) -> Network:
        books = copy.deepcopy(getattr(day, side))
        change(books[0])
        return replace(day, **{side: books})

    return changed


def _payments(change: Callable[[list[Any]], Any]) -> Callable[[Network], Network]:
    def changed(day: Network) -> Network:
        rows = list(day.payments["payments"])
        change(rows)
        return replace(day, payments={"payments": rows})

    return changed


FAULTS: dict[str, Callable[[Network], Network]] = {
    "a release without a number": _money(2, released=1490, escrow=0),
    "a refund that is a cent short": _money(0, refunded=149),
    "a cancellation that gave back nothing": _money(1, refunded=0),
    "too much captured": _money(2, captured=1491),
    "books that do not add up": lambda day: replace(day, ledger_sum=1),
    "a breach that the ledger finds itself": lambda day: replace(day, breaches=["invariant 4"]),
    "a command that is stuck": lambda day: replace(day, stuck=["order.create is dead"]),
    "a refund the provider made twice": _payments(lambda rows: rows.append(rows[3])),
    "a payout that never went out": _payments(lambda rows: rows.pop()),
    "a part that never arrived": _shop(lambda books: books["orders"].pop()),
    "a part that arrived twice": _shop(lambda books: books["orders"].append(books["orders"][0])),
    "a cancellation that was not mirrored": _shop(
        lambda books: books["orders"][1].update(status="processing"), "retailers"
    ),
    "a status that must not be mirrored": _shop(
        lambda books: books["orders"][2].update(status="cancelled"), "retailers"
    ),
    "a number the retailer does not know": _shop(
        lambda books: books["orders"][0]["shopbridge"].update(tracking=[]), "retailers"
    ),
    "a label with the supplier as sender": _shop(
        lambda books: books["orders"][0]["labels"].append({"sender": {"company": "Kräuterhof Krause"}})
    ),
    "a label without a sender": _shop(lambda books: books["orders"][0]["labels"].append({"sender": None})),
    "a product that is not released and nobody says why": _shop(
        lambda books: books["products"][1]["release"].update(reasons=[])
    ),
    "a product of which nobody says anything": _shop(lambda books: books["products"][0].update(release=None)),
    "a customer's mail address in the supplier's shop": _shop(
        lambda books: books["orders"][0]["notes"].append({"note": "Frag MIA@customer.example"})
    ),
    "a product that names the supplier": _shop(
        lambda books: books["products"][0].update(brand="KRÄUTERHOF KRAUSE"), "retailers"
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_planted_fault_is_found(day: Network, fault: str) -> None:
    assert compare(FAULTS[fault](day)).wrong, fault


def test_a_number_counts_only_where_it_was_used_first_and_only_with_a_right_check_digit() -> None:
    order = supplied(1, "t:1", "completed", [parcel(GOOD), parcel(OTHER)], [])
    assert due(order, {GOOD: "t:1"}).tracked == 1490
    assert due(order, {GOOD: "t:0", OTHER: "t:1"}).tracked == 1490
    assert due(order, {GOOD: "t:0", OTHER: "t:0"}).tracked == 0


def test_a_part_that_left_releases_its_goods_and_the_shipping() -> None:
    order = supplied(1, "t:1", "completed", [{**parcel(GOOD), "lines": [{"id": 10, "quantity": 1}]}], [])
    assert due(order, {GOOD: "t:1"}).tracked == 500 + 490
