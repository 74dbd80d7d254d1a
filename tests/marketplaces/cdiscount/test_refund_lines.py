"""All of a line that is given back at once is one request, whatever its number of pieces; a part of it is a gesture, up to what is allowed (FACTS 2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from market_world import Market, market

from app import messages as m
from app.sandbox.cdiscount import SIMULATOR
from tests.marketplaces.cdiscount.conftest import Cdiscount


@pytest.mark.parametrize(("amount", "shipping"), [(1580, False), (2070, True)])
def test_all_pieces_of_a_line_are_one_request(cdiscount: Cdiscount, amount: int, shipping: bool) -> None:
    first, second, other = cdiscount.order(("TEE-001", 2), ("TEE-002", 1), status="Delivered", shipping=490)
    client = cdiscount.client()
    told = client.refund(first, amount, "return", (first, second))
    assert (told.ok, told.pending) == (True, True)
    assert [each["shipping"] for each in cdiscount.world.requests] == [shipping]
    assert cdiscount.world.gestures == []
    cdiscount.settle()
    states = {each.external_id: each.state for each in client.read_pieces([first, second, other])}
    assert states == {
        first: m.PieceState.RETURNED,
        second: m.PieceState.RETURNED,
        other: m.PieceState.DELIVERED,
    }


@pytest.mark.parametrize(
    ("together", "amount", "reason"),
    [
        (1, 790, "return"),  # one of two pieces
        (2, 1579, "return"),  # not all of the money
        (2, 1580, "postage"),  # not for the goods
    ],
)
def test_whatever_is_less_than_a_line_is_a_gesture(
    cdiscount: Cdiscount, together: int, amount: int, reason: str
) -> None:
    pieces = cdiscount.order(("TEE-001", 2), ("TEE-002", 9), status="Shipped")
    told = cdiscount.client().refund(pieces[0], amount, reason, pieces[:together])
    assert (told.ok, told.pending) == (True, True)
    assert [each["amount"] for each in cdiscount.world.gestures] == [amount]
    assert cdiscount.world.requests == []


def test_the_rest_of_a_line_that_is_partly_paid_is_refused_in_plain_words(cdiscount: Cdiscount) -> None:
    """A request would pay the whole line, so the first piece twice."""
    first, second = cdiscount.order(("TEE-001", 2), status="Shipped")
    assert cdiscount.client().refund(first, 790, "return").ok
    told = cdiscount.client().refund(second, 790, "return")
    assert told.reason is not None
    assert (told.ok, told.reason.code, told.reason.params["allowed"]) == (
        False,
        "cdiscount.gesture_too_high",
        "1.58 EUR",
    )
    assert cdiscount.world.requests == []


# --- the whole bridge ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def at(app: Flask) -> Iterator[Market]:
    with market(app, SIMULATOR) as found:
        yield found


def give_back(at: Market, sold: Any, *quantities: int) -> None:
    """One refund in the shop: so many pieces of the lines, in their order."""
    lines = [
        {"id": str(line.id), "quantity": wanted}
        for line, wanted in zip(sold.lines, quantities, strict=False)
        if wanted
    ]
    at.in_shop("refund", sold.id, lines=lines, reason="Retoure")
    at.work()
    at.work()


def sent(at: Market, *lines: tuple[str, int]) -> tuple[dict[str, Any], Any]:
    order = at.buy(*lines)
    at.work()
    (sold,) = at.orders_in_shop()
    at.ship(sold)
    at.work()
    return order, sold


def paid(at: Market) -> list[tuple[int, int]]:
    """Of each deed the cents and the pieces."""
    return [(each["amount"], len(each["pieces"])) for each in at.deeds("refund")]


def test_a_line_of_two_that_the_shop_refunds_at_once_goes_back_whole_and_once(at: Market) -> None:
    order, sold = sent(at, ("TEE-001", 2), ("TEE-002", 1))
    give_back(at, sold, 2)
    assert paid(at) == [(1580, 2)]
    assert sum(each["refunded"] for each in at.pieces(order).values()) == 1580
    assert [each.amount for each in at.orders_in_shop()[0].refunds] == [1580]
    assert at.cases() == []


def test_lines_of_one_refund_go_back_each_for_itself(at: Market) -> None:
    _, sold = sent(at, ("TEE-001", 2), ("TEE-002", 3))
    give_back(at, sold, 2, 1)
    assert paid(at) == [(1580, 2), (790, 1)]
    assert at.cases() == []


def test_a_lost_answer_pays_the_line_once(at: Market) -> None:
    order, sold = sent(at, ("TEE-001", 2))
    at.faults.add(
        {"kind": "reset", "path": "/order-partial-cancellation-requests$", "effect": True, "count": 1}
    )
    give_back(at, sold, 2)
    assert paid(at) == [(1580, 2)]
    assert sum(each["refunded"] for each in at.pieces(order).values()) == 1580
    assert at.cases() == []


def test_the_last_piece_of_a_line_whose_first_was_paid_before_is_a_case(at: Market) -> None:
    """All of the line would be paid then, the first piece twice."""
    order, sold = sent(at, ("TEE-001", 2))
    give_back(at, sold, 1)
    give_back(at, sold, 1)
    assert sum(each["refunded"] for each in at.pieces(order).values()) == 790
    assert at.cases() == ["cdiscount.gesture_too_high"]


def test_a_line_that_leaves_while_it_is_refunded_goes_back_whole(at: Market) -> None:
    """A refund before shipping is a cancellation; when the parcel was faster the money goes back as one line."""
    order = at.buy(("TEE-001", 2), ("TEE-002", 1))
    at.work()
    (sold,) = at.orders_in_shop()
    with at.market_app.extensions["cdiscount"].lock:
        world = at.market_app.extensions["cdiscount"]
        found = world.orders[order["order"]]
        world.ship(found, {"parcelNumber": "00340434161094015902", "carrierName": "DHL"})
    at.in_shop("refund", sold.id, lines=[{"id": str(sold.lines[0].id), "quantity": 2}], reason="Retoure")
    for _ in range(3):
        at.work()
    assert (1580, 2) in paid(at)
    assert sum(each["refunded"] for each in at.pieces(order).values()) == 1580
