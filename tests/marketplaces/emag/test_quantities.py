"""A quantity that somebody changes by hand, in the seller portal or at eMAG, after the order was acknowledged (C6).

eMAG only counts: which unit is gone nobody says, so the bridge must never pack one too many, and never lose one that came back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from market_world import Market, market
from sqlalchemy import text

from app import messages as m
from app.extensions import db
from app.sandbox.emag import SIMULATOR
from app.sandbox.faults import Fault
from tests.marketplaces.emag.conftest import OTHER_GTIN, Emag

HERE, GONE = m.PieceState.TO_SHIP, m.PieceState.CANCELLED


def look(emag: Emag) -> dict[str, m.PieceState]:
    """What a look at changes shows, by the number of the piece in its line."""
    pages = emag.client().orders_changed(datetime.now(UTC) - timedelta(hours=1))
    return {each.external_id: each.state for page in pages for order in page for each in order.pieces}


def edit(emag: Emag, piece: str, quantity: int) -> None:
    order_id, line_id, _ = piece.split("/")
    with emag.world.lock:
        emag.world.edit(int(order_id), {int(line_id): quantity})


def test_a_quantity_that_was_lowered_shows_its_last_unit_as_cancelled(emag: Emag) -> None:
    pieces = emag.order(3)
    look(emag)
    edit(emag, pieces[0], 2)
    for _ in range(2):
        assert look(emag) == dict(zip(pieces, [HERE, HERE, GONE], strict=True))
    assert [each.state for each in emag.client().read_pieces(pieces)] == [HERE, HERE, GONE]


def test_a_quantity_that_grows_again_brings_a_new_piece_and_the_cancelled_one_stays_cancelled(
    emag: Emag,
) -> None:
    pieces = emag.order(3)
    look(emag)
    edit(emag, pieces[0], 2)
    look(emag)
    edit(emag, pieces[0], 3)
    fourth = f"{pieces[0].rpartition('/')[0]}/4"
    for _ in range(2):
        assert look(emag) == dict(zip([*pieces, fourth], [HERE, HERE, GONE, HERE], strict=True))
    edit(emag, pieces[0], 1)
    assert look(emag) == dict(zip([*pieces, fourth], [HERE, GONE, GONE, GONE], strict=True))


def test_a_quantity_that_only_grows_brings_the_pieces_that_are_new(emag: Emag) -> None:
    pieces = emag.order(2)
    look(emag)
    edit(emag, pieces[0], 3)
    assert list(look(emag).values()) == [HERE] * 3


def test_a_line_that_is_not_shown_any_more_is_cancelled(emag: Emag) -> None:
    emag.offer()
    emag.offer(2, "TEE-002", OTHER_GTIN)
    with emag.world.lock:
        lines = [{"sku": "TEE-001", "pieces": 1}, {"sku": "TEE-002", "pieces": 2}]
        order_id = emag.world.place_order({"lines": lines})
        emag.world.acknowledge(order_id)
        pieces = [each["piece"] for each in emag.world.pieces[order_id]]
    look(emag)
    edit(emag, pieces[1], 0)
    assert look(emag) == dict(zip(pieces, [HERE, GONE, GONE], strict=True))


def test_what_the_shop_cancelled_and_what_was_lowered_by_hand_are_different_units(emag: Emag) -> None:
    pieces = emag.order(4)
    look(emag)
    assert [each.ok for each in emag.client().cancel(pieces[:1], "out_of_stock")] == [True]
    assert look(emag) == dict(zip(pieces, [GONE, HERE, HERE, HERE], strict=True))
    edit(emag, pieces[0], 2)
    assert look(emag) == dict(zip(pieces, [GONE, HERE, HERE, GONE], strict=True))
    assert [each.already for each in emag.client().cancel(pieces[:1], "out_of_stock")] == [True]
    assert [each.ok for each in emag.client().cancel(pieces[1:2], "out_of_stock")] == [True]
    assert emag.row(pieces[0])["products"][0]["quantity"] == 1
    assert look(emag) == dict(zip(pieces, [GONE, GONE, HERE, GONE], strict=True))


@pytest.mark.parametrize("raised", ["before", "after"])
def test_a_quantity_that_is_raised_right_beside_a_cancellation_brings_a_new_piece(
    emag: Emag, raised: str
) -> None:
    pieces = emag.order(2)
    look(emag)
    if raised == "before":
        edit(emag, pieces[0], 3)
    assert [each.ok for each in emag.client().cancel(pieces[1:], "out_of_stock")] == [True]
    if raised == "after":
        edit(emag, pieces[0], 2)
    third = f"{pieces[0].rpartition('/')[0]}/3"
    for _ in range(2):
        assert look(emag) == dict(zip([*pieces, third], [HERE, GONE, HERE], strict=True))


def test_a_lost_answer_to_a_cancellation_still_takes_nothing_twice(emag: Emag) -> None:
    pieces = emag.order(3)
    look(emag)
    emag.faults.add(Fault("reset", path="order/save", effect=True))
    with pytest.raises(Exception, match=r"outcome\.unknown"):
        emag.client().cancel(pieces[:1], "out_of_stock")
    assert look(emag) == dict(zip(pieces, [GONE, HERE, HERE], strict=True))
    assert [each.already for each in emag.client().cancel(pieces[:1], "out_of_stock")] == [True]
    assert emag.row(pieces[0])["products"][0]["quantity"] == 2


def test_a_list_that_is_older_than_the_last_look_makes_no_piece_and_cancels_none(emag: Emag) -> None:
    pieces = emag.order(3)
    look(emag)
    client = emag.client()
    old = dict(emag.row(pieces[0]), products=[dict(emag.row(pieces[0])["products"][0])])
    assert [each.ok for each in client.cancel(pieces[:1], "out_of_stock")] == [True]
    look(emag)
    frozen = client._looked_at(old)
    assert Counter(each.state for each in frozen.pieces) == {HERE: 2, GONE: 1}
    assert [each.external_id for each in frozen.pieces if each.state is GONE] == pieces[:1]


def test_looks_at_an_unchanged_order_write_nothing_and_ask_nothing_more(
    emag: Emag, monkeypatch: pytest.MonkeyPatch
) -> None:
    emag.order(3)
    look(emag)
    calls = len(emag.faults.calls)
    monkeypatch.setattr(emag.kept, "keep", lambda *_: pytest.fail("nothing changed"))
    look(emag)
    assert len(emag.faults.calls) == calls + 1


def test_an_order_cancelled_after_it_was_lowered_leaves_no_piece_to_pack(emag: Emag) -> None:
    pieces = emag.order(3)
    look(emag)
    edit(emag, pieces[0], 2)
    with emag.world.lock:
        emag.row(pieces[0])["status"] = 0
    assert set(look(emag).values()) == {GONE}
    assert list(look(emag)) == pieces


def test_a_finalized_order_shows_the_pieces_that_really_left(emag: Emag) -> None:
    pieces = emag.order(3)
    look(emag)
    emag.client().cancel(pieces[:1], "out_of_stock")
    look(emag)
    with emag.world.lock:
        emag.world.finalize(int(pieces[0].split("/")[0]), None)
    assert look(emag) == dict.fromkeys(pieces[1:], m.PieceState.SHIPPED)
    states = [each.state for each in emag.client().read_pieces(pieces)]
    assert states == [GONE, m.PieceState.SHIPPED, m.PieceState.SHIPPED]


def test_a_parcel_with_a_piece_that_was_taken_out_before_says_so(emag: Emag) -> None:
    pieces = emag.order(2)
    look(emag)
    edit(emag, pieces[0], 1)
    told = emag.client().ship(m.ShipmentWanted(tuple(pieces), "00340434161094015902", "dhl", "DHL"))
    assert [(each.ok, each.state) for each in told] == [(True, m.PieceState.SHIPPED), (False, GONE)]
    assert told[1].reason is not None
    assert told[1].reason.code == "emag.taken_out"


# --- through the whole bridge ------------------------------------------------------------------------------------------------------


@pytest.fixture
def at(app: Flask) -> Iterator[Market]:
    with market(app, SIMULATOR) as made:
        yield made


def by_hand(at: Market, order: dict[str, Any], quantity: int) -> None:
    """Somebody edits the only line of the order."""
    order_id, line_id, _ = order["pieces"][0].split("/")
    at.control(f"orders/{order_id}/edit", {"quantities": {line_id: quantity}})
    at.work()


def packs(at: Market) -> int:
    """Pieces that the shop still has to pack, over all its orders."""
    return sum(
        sum(line.quantity for line in each.lines)
        - sum(quantity for refund in each.refunds for _, quantity, _ in refund.lines)
        for each in at.orders_in_shop()
    )


def test_the_shop_packs_what_is_left_and_the_stock_is_free_again(at: Market) -> None:
    order = at.buy(("TEE-001", 3))
    at.work()
    (sold,) = at.orders_in_shop()
    by_hand(at, order, 2)
    query = "SELECT state FROM order_piece ORDER BY external_id"
    assert list(db.session.execute(text(query)).scalars()) == ["to_ship", "to_ship", "cancelled"]
    assert packs(at) == 2
    assert at.offers()["TEE-001"]["stock"] == 8
    at.ship(sold)
    at.work()
    assert at.cases() == []
    assert [each["state"] for each in at.pieces(order).values()] == ["shipped", "shipped", "cancelled"]


def test_a_quantity_that_comes_back_is_packed_too(at: Market) -> None:
    order = at.buy(("TEE-001", 3))
    at.work()
    by_hand(at, order, 2)
    by_hand(at, order, 3)
    states = Counter(db.session.execute(text("SELECT state FROM order_piece")).scalars())
    assert states == {"to_ship": 3, "cancelled": 1}
    assert packs(at) == 3
    assert at.offers()["TEE-001"]["stock"] == 7
