"""Returns at eMAG: finalized as a whole or not at all, and not every one of them is about money (FACTS 7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from market_world import Market, market
from sqlalchemy import select

from app.extensions import db
from app.models import OrderPiece, Return, Timeline
from app.rules.reasons import sentence
from app.sandbox import simulators

EXCHANGES, VOUCHER = (1, 2), 5


@pytest.fixture
def at(app: Flask) -> Iterator[Market]:
    with market(app, simulators()["emag"]) as found:
        yield found


def coming_back(at: Market, pieces: int = 1) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """An order that is on its way back as one return: as eMAG shows it, as the shop knows it, and the return."""
    order = at.buy(("TEE-001", pieces))
    at.work()
    (sold,) = at.orders_in_shop()
    at.ship(sold)
    at.work()
    at.control("return", {"pieces": order["pieces"]})
    at.work()
    (back,) = at.market_app.extensions["emag"].rmas.values()
    return order, sold, back


def refund_one(at: Market, sold: Any) -> None:
    at.in_shop("refund", sold.id, lines=[{"id": str(sold.lines[0].id), "quantity": 1}], reason="Retoure")
    at.work()


def here() -> tuple[list[str], list[str]]:
    """States of the pieces, and of the pieces of returns."""
    db.session.rollback()
    pieces = db.session.scalars(select(OrderPiece.state).order_by(OrderPiece.id)).all()
    return list(pieces), list(db.session.scalars(select(Return.state).order_by(Return.piece_id)))


def told() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Timeline.code).order_by(Timeline.id)))


def test_one_unit_of_a_return_of_two_is_open_until_the_other_is_refunded_too(at: Market) -> None:
    order, sold, back = coming_back(at, 2)
    refund_one(at, sold)
    assert back["request_status"] == 6
    assert here() == (["shipped"] * 2, ["arrived"] * 2)
    assert "return.accepted" not in told()
    assert at.cases() == ["emag.return_whole"]
    refund_one(at, sold)
    assert back["request_status"] == 7
    assert here() == (["returned"] * 2, ["accepted"] * 2)
    assert [each["refunded"] for each in at.pieces(order).values()] == [790, 790]
    assert ([each.amount for each in at.orders_in_shop()[0].refunds], at.cases()) == ([790, 790], [])


def test_how_many_units_are_missing_is_said() -> None:
    params = {"marketplace": "eMAG", "accepted": 1, "units": 2, "return_id": "289000"}
    assert "1 von 2 Stück" in sentence("emag.return_whole", params, "de")
    assert "1 of 2 pieces" in sentence("emag.return_whole", params, "en")


def test_a_return_that_is_finalized_by_hand_closes_the_case(at: Market) -> None:
    _, sold, back = coming_back(at, 2)
    refund_one(at, sold)
    back["request_status"] = 7
    at.work()
    assert here() == (["returned"] * 2, ["accepted"] * 2)
    assert ([each.amount for each in at.orders_in_shop()[0].refunds], at.cases()) == ([790, 790], [])


@pytest.mark.parametrize("kind", [*EXCHANGES, VOUCHER])
def test_what_is_exchanged_is_no_refund_in_the_shop(at: Market, kind: int) -> None:
    _, _, back = coming_back(at)
    back |= {"return_type": kind, "request_status": 7}
    at.work()
    assert at.orders_in_shop()[0].refunds == []
    assert here() == (["shipped"], ["unclear" if kind == VOUCHER else "closed"])


@pytest.mark.parametrize("kind", [*EXCHANGES, VOUCHER])
def test_a_refund_in_the_shop_does_not_finalize_an_exchange(at: Market, kind: int) -> None:
    _, sold, back = coming_back(at)
    back["return_type"] = kind
    refund_one(at, sold)
    assert (back["request_status"], at.deeds("accept_return")) == (6, [])
    assert at.cases() == ["emag.return_pays_nobody"]
    assert here() == (["shipped"], ["arrived"])


def test_a_line_that_was_paid_back_whole_is_returned_here_and_there_and_a_part_of_one_nowhere(
    at: Market,
) -> None:
    order = at.buy(("TEE-001", 2), ("TEE-002", 1))
    at.work()
    (sold,) = at.orders_in_shop()
    at.ship(sold)
    at.work()
    for line in sold.lines:
        at.in_shop("refund", sold.id, lines=[{"id": str(line.id), "quantity": 1}], reason="Kulanz")
        at.work()
    here = {each.external_id: each.state for each in db.session.scalars(select(OrderPiece))}
    there = {piece: each["state"] for piece, each in at.pieces(order).items()}
    assert here == there
    assert sorted(here.values()) == ["returned", "shipped", "shipped"]
    assert [deed["amount"] for deed in at.deeds("refund")] == [790, 790]
