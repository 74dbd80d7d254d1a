"""The comparison must find every disagreement: a small day on which all agrees, and one planted fault after another."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.demo import books
from app.demo.books import Change, Stored, compare, percentile

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
NUMBER = "00340434161094015902"


def unit(
    number: int, order: str, status: str, price: int = 790, refunded: int = 0, tracking: str | None = None
) -> dict[str, Any]:
    parcels = [] if tracking is None else [{"tracking_number": tracking, "carrier_code": "DHL"}]
    return {
        "id_order_unit": number,
        "id_order": order,
        "status": status,
        "price": price,
        "shipping_rate": 0,
        "id_offer": "TEE-001",
        "refunded": refunded,
        "shipments": parcels,
    }


def shop_order(
    number: int, order: str, status: str, pieces: int, tracking: list[Any], refunds: list[Any]
) -> dict[str, Any]:
    line = {"id": number * 10, "sku": "TEE-001", "quantity": pieces, "total": f"{7.90 * pieces:.2f}"}
    return {
        "id": number,
        "status": status,
        "total": line["total"],
        "source": {"order_id": order},
        "line_items": [line],
        "shopbridge": {"key": f"ord_{number}", "tracking": tracking, "refunds": refunds},
    }


@pytest.fixture
def shop() -> dict[str, Any]:
    """One order shipped, one cancelled, one of whose two pieces one came back."""
    back = {"amount": "7.90", "lines": [{"id": 30, "quantity": 1, "amount": "7.90"}]}
    parcel = {"number": NUMBER, "lines": None}
    return {
        "orders_by_key": {"ord_1": 1, "ord_2": 1, "ord_3": 1},
        "orders": [
            shop_order(1, "M1", "completed", 2, [parcel], []),
            shop_order(2, "M2", "cancelled", 1, [], []),
            shop_order(3, "M3", "completed", 2, [parcel], [back]),
        ],
        "stock": {"TEE-001": 7},
        "events": [{"id": "evt_1", "type": "stock.changed", "state": "sent", "attempts": 1, "repeats": 1}],
    }


@pytest.fixture
def kaufland() -> dict[str, Any]:
    sent = {"deed": "send", "id": "11"}
    update = {
        "deed": "update_unit",
        "id": "5",
        "amount": 7,
        "real_at": (NOON + timedelta(milliseconds=340)).isoformat(),
    }
    return {
        "order_units": [
            unit(11, "M1", "sent", tracking=NUMBER),
            unit(12, "M1", "received", tracking=NUMBER),
            unit(21, "M2", "cancelled"),
            unit(31, "M3", "sent", tracking=NUMBER),
            unit(32, "M3", "returned", refunded=790, tracking=NUMBER),
        ],
        "units": [{"id_unit": 5, "id_offer": "TEE-001", "amount": 7}],
        "deeds": [sent, update],
        "counts": {"send": {"11": 1}},
    }


STORED = Stored({"evt_1": "done"}, (1, 1), [])
CHANGES = [Change("TEE-001", 7, NOON)]


def test_a_day_on_which_all_agrees(shop: dict[str, Any], kaufland: dict[str, Any]) -> None:
    outcome = compare(shop, kaufland, STORED, CHANGES)
    assert outcome.wrong == []
    assert outcome.figures == {
        "orders_at_marketplace": 3,
        "pieces_at_marketplace": 5,
        "orders_in_shop": 3,
        "duplicate_orders": 0,
        "shipped_at_marketplace": 1,
        "shipped_without_tracking": 0,
        "cancelled_both": 1,
        "refunded_both": 1,
        "refunded_both_cents": 790,
        "lost": 0,
        "products_on_sale": 1,
        "stock_agrees": True,
        "events_sent": 1,
        "events_delivered_twice": 1,
        "events_out_of_order": 0,
        "events_stored": 1,
        "manifest": "1 of 1",
        "stock_changes_measured": 1,
        "stock_to_marketplace_p50_ms": 340,
        "stock_to_marketplace_p95_ms": 340,
        "stock_to_marketplace_max_ms": 340,
        "problems_shown": 0,
    }


def in_shop(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any], dict[str, Any]], Any]:
    return lambda shop, kaufland: change(shop)


def there(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any], dict[str, Any]], Any]:
    return lambda shop, kaufland: change(kaufland)


FAULTS: dict[str, tuple[Callable[[dict[str, Any], dict[str, Any]], Any], str, str]] = {
    "an order never reached the shop": (in_shop(lambda shop: shop["orders"].pop(0)), "M1", "is not in the shop"),
    "an order nobody placed": (
        in_shop(lambda shop: shop["orders"].append(shop_order(9, "M9", "processing", 1, [], []))), "M9", "does not know it",
    ),
    "an order twice by its number": (
        in_shop(lambda shop: shop["orders"].append(copy.deepcopy(shop["orders"][0]))), "M1", "more than once",
    ),
    "an order twice by its key": (in_shop(lambda shop: shop["orders_by_key"].update(ord_1=2)), "M1", "more than once"),
    "another amount": (in_shop(lambda shop: shop["orders"][0].update(total="15.81")), "M1", "1580 cents"),
    "a piece that was not sent": (there(lambda there: there["order_units"][0].update(status="need_to_be_sent")), "M1", "1 waiting at the"),
    "a piece that was cancelled on one side": (there(lambda there: there["order_units"][1].update(status="cancelled")), "M1", "1 cancelled"),
    "an order cancelled on one side": (in_shop(lambda shop: shop["orders"][1].update(status="processing")), "M2", "1 waiting in the shop"),
    "one cent too few": (there(lambda there: there["order_units"][4].update(refunded=789)), "M3", "789 cents went back"),
    "money for nobody": (there(lambda there: there["order_units"][0].update(refunded=100)), "M1", "100 cents went back"),
    "another tracking number": (
        there(lambda there: there["order_units"][0]["shipments"][0].update(tracking_number="X1")), "M1", "tracking number X1",
    ),
    "a parcel nobody was told of": (
        in_shop(lambda shop: shop["orders"][0]["shopbridge"]["tracking"].append({"number": "X2", "lines": None})), "M1", "X2",
    ),
    "a deed done twice": (there(lambda there: there["counts"]["send"].update({"11": 2})), "11", "send was done 2 times"),
    "another stock": (in_shop(lambda shop: shop["stock"].update({"TEE-001": 6})), "TEE-001", "7 pieces at the marketplace, 6"),
    "an event that is not stored": (in_shop(lambda shop: shop["events"][0].update(id="evt_2")), "evt_2", "is not stored"),
    "an event that was never sent": (in_shop(lambda shop: shop["events"][0].update(state="dead")), "evt_1", "still dead"),
    "a change that never arrived": (there(lambda there: there["deeds"].pop()), "TEE-001", "never reached"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_named(fault: str, shop: dict[str, Any], kaufland: dict[str, Any]) -> None:
    plant, what, words = FAULTS[fault]
    plant(shop, kaufland)
    outcome = compare(shop, kaufland, STORED, CHANGES)
    assert not outcome.ok
    assert [sentence for subject, sentence in outcome.wrong if subject == what and words in sentence], (
        outcome.wrong
    )


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (Stored({"evt_1": "refused"}, (1, 1), []), "1 are refused"),
        (Stored({"evt_1": "done"}, (2, 1), []), "counts 2 events, 1 arrived"),
        (Stored({"evt_1": "done"}, None, []), "did not arrive"),
        (Stored({"evt_1": "done"}, (1, 1), ["ship for M1 is dead"]), "ship for M1 is dead"),
    ],
)
def test_what_is_stuck_in_the_bridge_is_a_disagreement(
    stored: Stored, words: str, shop: dict[str, Any], kaufland: dict[str, Any]
) -> None:
    outcome = compare(shop, kaufland, stored, CHANGES)
    assert any(words in sentence for _, sentence in outcome.wrong)


def test_a_lost_order_and_a_lost_event_are_counted(shop: dict[str, Any], kaufland: dict[str, Any]) -> None:
    del shop["orders"][0]
    assert compare(shop, kaufland, Stored({}, (1, 1), []), CHANGES).figures["lost"] == 2


def test_a_newer_value_counts_as_the_arrival_of_an_older_one_but_not_the_other_way_round(
    shop: dict[str, Any], kaufland: dict[str, Any]
) -> None:
    older = Change("TEE-001", 3, NOON - timedelta(milliseconds=60))
    newer = Change("TEE-001", 9, NOON + timedelta(milliseconds=10))
    outcome = compare(shop, kaufland, STORED, [older, *CHANGES, newer])
    assert outcome.milliseconds == [400.0, 340.0]
    assert outcome.wrong == [("TEE-001", "stock 9 never reached the marketplace")]


def test_oversold_stock_shows_as_nothing(shop: dict[str, Any], kaufland: dict[str, Any]) -> None:
    shop["stock"]["TEE-001"] = -1
    kaufland["units"][0]["amount"] = 0
    assert compare(shop, kaufland, STORED, CHANGES).figures["stock_agrees"]


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 95, None), ([5.4], 95, 5), (list(range(1, 101)), 95, 95), ([1, 2, 3], 50, 2)],
)
def test_percentiles_are_of_the_nearest_rank(values: list[float], percent: int, expected: int | None) -> None:
    assert percentile(values, percent) == expected


def test_deeds_that_may_happen_once_are_named() -> None:
    assert set(books.ONCE) == {"send", "cancel", "accept_return"}
