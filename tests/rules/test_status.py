"""States of pieces only move forward; an order's word follows from its pieces; a shop's status asks for deeds (C2, C6)."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages import PieceState, ShopStatus
from app.rules.status import FORWARD, cancelled_after_shipping, order_state, piece_after, wishes

A, T, S, D = PieceState.ANNOUNCED, PieceState.TO_SHIP, PieceState.SHIPPED, PieceState.DELIVERED
C, R, U = PieceState.CANCELLED, PieceState.RETURNED, PieceState.UNCLEAR

# Rows: what we know. Columns: what a look shows, in the order A T S D C R U. Cells: what is true after it.
TABLE = {
    A: (A, T, S, D, C, R, A),
    T: (T, T, S, D, C, R, T),
    S: (S, S, S, D, C, R, S),
    D: (D, D, D, D, D, R, D),
    C: (C, C, C, C, C, C, C),
    R: (R, R, R, R, R, R, R),
    U: (A, T, S, D, C, R, U),
}


@pytest.mark.parametrize(("now", "seen"), list(product(PieceState, PieceState)))
def test_every_pair_of_states(now, seen):
    assert piece_after(now, seen) is TABLE[now][(A, T, S, D, C, R, U).index(seen)]


def test_every_state_is_in_the_table():
    assert set(FORWARD) == set(PieceState)


@given(st.lists(st.sampled_from(PieceState), min_size=1))
def test_no_row_of_looks_brings_a_piece_back(looks):
    passed = [looks[0]]
    for seen in looks[1:]:
        passed.append(piece_after(passed[-1], seen))
    changes = [each for each, before in zip(passed[1:], passed, strict=False) if each is not before]
    assert len(changes) == len(set(changes))


def test_our_own_deed_survives_the_marketplaces_lag():
    assert piece_after(S, T) is S


@pytest.mark.parametrize(
    ("now", "seen", "expected"), [(S, C, True), (D, C, True), (T, C, False), (S, D, False), (C, C, False)]
)
def test_a_cancellation_after_the_parcel_left_is_noticed(now, seen, expected):
    assert cancelled_after_shipping(now, seen) is expected


@pytest.mark.parametrize(
    ("pieces", "given", "expected"),
    [
        ([], {}, "new"),
        ([T], {}, "new"),
        ([T], {"in_shop": True}, "in_shop"),
        ([T], {"in_shop": True, "waiting": True}, "waiting_for_tracking"),
        ([T], {"in_shop": True, "waiting": True, "stopped": True}, "stopped"),
        ([T, S], {"in_shop": True}, "part_shipped"),
        ([T, S], {"in_shop": True, "waiting": True}, "part_shipped"),
        ([T, S], {"stopped": True}, "stopped"),
        ([S, S], {"stopped": True}, "shipped"),
        ([S, D], {}, "shipped"),
        ([S, R], {}, "shipped"),
        ([D, D], {}, "delivered"),
        ([D, R], {}, "delivered"),
        ([R, R], {}, "returned"),
        ([C, C], {"in_shop": True, "stopped": True}, "cancelled"),
        ([C, T], {"in_shop": True}, "in_shop"),
        ([C, S], {}, "shipped"),
        ([C, R], {}, "returned"),
        ([U], {"in_shop": True}, "in_shop"),
        ([U, S], {}, "part_shipped"),
        ([A], {"stopped": True}, "stopped"),
    ],
)
def test_an_order_is_what_its_pieces_are(pieces, given, expected):
    assert order_state(pieces, **{"in_shop": False, "waiting": False, "stopped": False, **given}) == expected


def test_the_pieces_may_come_as_an_iterator():
    assert order_state(iter([C, C]), in_shop=False, waiting=False, stopped=False) == "cancelled"


@pytest.mark.parametrize("status", ShopStatus)
@pytest.mark.parametrize("tracking", [True, False])
def test_what_a_shops_status_asks_for(status, tracking):
    expected = {ShopStatus.COMPLETED: "ship" if tracking else "wait", ShopStatus.CANCELLED: "cancel"}
    assert wishes(status, tracking) == expected.get(status, "none")
