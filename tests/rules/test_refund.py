"""A refund object of the shop becomes deeds on pieces, to the cent (K8, C7)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages import PieceState, Reason, RefundSeen
from app.rules.refund import Allocation, LineTruth, PieceTruth, Share, allocate, in_proportion, reason_word

TO_SHIP, SHIPPED, DELIVERED = PieceState.TO_SHIP, PieceState.SHIPPED, PieceState.DELIVERED
CANCELLED, RETURNED, UNCLEAR = PieceState.CANCELLED, PieceState.RETURNED, PieceState.UNCLEAR


def refund(amount, *lines, by_bridge=False):
    """What Anna's Teeladen writes when she refunds."""
    return RefundSeen("1050", amount, "EUR", "damaged", lines, by_bridge)


def piece(number, state=SHIPPED, price=790, refunded=0, return_open=False, goods=None):
    return PieceTruth(number, state, price, refunded, return_open, goods)


def line(*pieces, line_id="311"):
    return LineTruth(line_id, "ln_77", pieces)


def test_a_shipped_piece_is_refunded_by_amount():
    assert allocate(refund(790, ("311", 1, 790)), [line(piece(1))]) == Allocation(
        (Share(1, 790, True, "refund"),)
    )


def test_a_part_of_a_shipped_piece_is_refunded_and_not_full():
    assert allocate(refund(200, ("311", 1, 200)), [line(piece(1))]).refunds == (
        Share(1, 200, False, "refund"),
    )


def test_the_rest_of_a_piece_makes_it_full():
    assert allocate(refund(590, ("311", 1, 590)), [line(piece(1, refunded=200))]).refunds == (
        Share(1, 590, True, "refund"),
    )


def test_a_piece_that_has_not_left_and_is_refunded_in_full_is_cancelled():
    found = allocate(refund(790, ("311", 1, 790)), [line(piece(1, TO_SHIP))])
    assert (found.cancel, found.refunds, found.unassigned) == ((1,), (), 0)


def test_an_announced_piece_is_cancelled_too():
    assert allocate(refund(790, ("311", 1, 790)), [line(piece(1, PieceState.ANNOUNCED))]).cancel == (1,)


def test_a_part_of_what_has_not_left_goes_to_a_person():
    found = allocate(refund(200, ("311", 1, 200)), [line(piece(1, TO_SHIP))])
    assert found == Allocation((), 200, Reason("refund.before_shipping", {"amount": 200, "currency": "EUR"}))


def test_an_open_return_refunded_in_full_is_accepted_and_not_refunded_twice():
    found = allocate(
        refund(790, ("311", 1, 790)), [line(piece(1, DELIVERED), piece(2, DELIVERED, return_open=True))]
    )
    assert (found.accept_returns, found.refunds) == ((2,), ())


def test_a_part_for_an_open_return_is_refunded_by_amount_so_that_the_marketplace_does_not_pay_all():
    found = allocate(refund(500, ("311", 1, 500)), [line(piece(1, DELIVERED, return_open=True))])
    assert (found.accept_returns, found.refunds) == ((), (Share(1, 500, False, "refund"),))


def test_what_the_marketplace_has_settled_is_only_booked():
    found = allocate(refund(790, ("311", 1, 790)), [line(piece(1, DELIVERED), piece(2, RETURNED))])
    assert found == Allocation((Share(2, 790, True, "none"),))
    assert (found.settled, found.refunds, found.cancel) == (790, (), ())


def test_a_settled_piece_that_the_books_cover_already_leaves_the_refund_to_the_others():
    found = allocate(
        refund(790, ("311", 1, 790)), [line(piece(1, DELIVERED), piece(2, RETURNED, refunded=790))]
    )
    assert found.refunds == (Share(1, 790, True, "refund"),)


def test_whole_pieces_mean_what_has_not_left_and_parts_what_has():
    pieces = line(piece(1, SHIPPED), piece(2, TO_SHIP))
    assert allocate(refund(790, ("311", 1, 790)), [pieces]).cancel == (2,)
    assert allocate(refund(100, ("311", 1, 100)), [pieces]).refunds == (Share(1, 100, False, "refund"),)


def test_what_the_marketplace_settled_is_meant_before_what_has_not_left():
    found = allocate(refund(790, ("311", 1, 790)), [line(piece(1, TO_SHIP), piece(2, RETURNED))])
    assert (found.settled, found.cancel) == (790, ())


def test_the_last_cent_of_a_piece_can_be_refunded():
    for lines in ((("311", 1, 1),), ()):
        assert allocate(refund(1, *lines), [line(piece(1, refunded=789))]).refunds == (
            Share(1, 1, True, "refund"),
        )


def test_exactly_what_has_left_without_lines_leaves_no_rest():
    found = allocate(refund(790), [line(piece(1, SHIPPED), piece(2, TO_SHIP))])
    assert (found.refunds, found.unassigned) == ((Share(1, 790, True, "refund"),), 0)


def test_the_rest_of_the_goods_cancels_a_piece():
    assert allocate(
        refund(490, ("311", 1, 490)), [line(piece(1, TO_SHIP, price=1285, refunded=300, goods=790))]
    ).cancel == (1,)


def test_goods_given_by_one_line_of_the_refund_are_not_given_again_by_the_next():
    pieces = line(piece(1, price=1285, goods=790), piece(2, price=400, goods=400))
    found = allocate(refund(1295, ("311", 0, 595), ("311", 0, 700)), [pieces])
    assert [(share.piece_id, share.amount) for share in found.refunds] == [(1, 895), (2, 400)]


def test_a_quantity_takes_that_many_pieces():
    found = allocate(refund(1580, ("311", 2, 1580)), [line(piece(1), piece(2), piece(3))])
    assert [share.piece_id for share in found.refunds] == [1, 2]
    assert all(share.full for share in found.refunds)


def test_a_quantity_of_zero_spreads_the_amount_over_the_line():
    found = allocate(refund(100, ("311", 0, 100)), [line(piece(1), piece(2), piece(3, price=1580))])
    assert [(share.piece_id, share.amount) for share in found.refunds] == [(1, 25), (2, 25), (3, 50)]


def test_an_amount_without_lines_is_spread_over_what_has_left_with_the_largest_remainder():
    found = allocate(
        refund(100),
        [
            line(piece(1, price=100), piece(2, price=100), piece(3, price=100)),
            line(piece(4, TO_SHIP), line_id="312"),
        ],
    )
    assert [(share.piece_id, share.amount) for share in found.shares] == [(1, 34), (2, 33), (3, 33)]


def test_everything_without_lines_cancels_what_is_here_and_refunds_what_has_left():
    """WooCommerce makes such a refund object when a person sets the status REFUNDED (K8)."""
    found = allocate(refund(1580), [line(piece(1, SHIPPED), piece(2, TO_SHIP))])
    assert (found.cancel, found.refunds, found.unassigned) == ((2,), (Share(1, 790, True, "refund"),), 0)


def test_more_than_has_left_but_not_everything_leaves_a_rest_for_a_person():
    found = allocate(refund(1000), [line(piece(1, SHIPPED), piece(2, TO_SHIP))])
    assert (found.refunds, found.unassigned) == ((Share(1, 790, True, "refund"),), 210)
    assert found.reason is not None
    assert found.reason.code == "refund.before_shipping"


def test_more_than_paid_is_not_sent():
    found = allocate(refund(1000, ("311", 1, 1000)), [line(piece(1))])
    assert found.refunds == (Share(1, 790, True, "refund"),)
    assert found.reason == Reason("refund.more_than_paid", {"amount": 210, "currency": "EUR"})


def test_a_line_nobody_knows_goes_to_a_person_and_does_not_stop_the_others():
    found = allocate(refund(1000, ("999", 1, 210), ("311", 1, 790)), [line(piece(1))])
    assert (found.refunds, found.unassigned) == ((Share(1, 790, True, "refund"),), 210)
    assert found.reason is not None
    assert found.reason.code == "refund.not_assignable"


def test_a_piece_with_an_unknown_status_is_left_to_a_person():
    found = allocate(refund(790, ("311", 1, 790)), [line(piece(1, UNCLEAR))])
    assert found.shares == ()
    assert found.reason == Reason("order.piece_unclear", {"amount": 790, "currency": "EUR"})


def test_the_shipping_refunded_beside_the_lines_goes_to_the_pieces_too():
    """A full refund of an order with 4.95 shipping: lines carry the goods, the amount carries all."""
    pieces = line(piece(1, price=1285, goods=790), piece(2, price=790, goods=790))
    found = allocate(refund(2075, ("311", 2, 1580)), [pieces])
    assert [(share.amount, share.full) for share in found.refunds] == [(1285, True), (790, True)]


def test_the_goods_alone_cancel_a_piece_whose_price_includes_shipping():
    pieces = line(piece(1, TO_SHIP, price=1285, goods=790), piece(2, TO_SHIP, price=790, goods=790))
    found = allocate(refund(1580, ("311", 2, 1580)), [pieces])
    assert (found.cancel, found.unassigned) == ((1, 2), 0)
    assert [share.full for share in found.shares] == [False, True]


def test_the_goods_alone_accept_a_return():
    found = allocate(
        refund(790, ("311", 1, 790)), [line(piece(1, DELIVERED, price=1285, return_open=True, goods=790))]
    )
    assert found.accept_returns == (1,)


def test_lines_that_add_up_to_more_than_the_refund_are_cut():
    found = allocate(
        refund(790, ("311", 1, 790), ("312", 1, 790)), [line(piece(1)), line(piece(2), line_id="312")]
    )
    assert [share.piece_id for share in found.shares] == [1]


def test_two_lines_of_the_refund_for_one_line_add_up():
    found = allocate(refund(790, ("311", 1, 300), ("311", 1, 490)), [line(piece(1))])
    assert found.refunds == (Share(1, 790, True, "refund"),)


def test_a_line_that_only_restocks_asks_for_nothing():
    assert allocate(refund(0, ("311", 1, 0)), [line(piece(1))]) == Allocation()


def test_a_line_without_money_takes_none_from_the_others():
    found = allocate(refund(790, ("999", 1, 0), ("999", 1, -5), ("311", 1, 790)), [line(piece(1))])
    assert (found.refunds, found.unassigned) == ((Share(1, 790, True, "refund"),), 0)


def test_what_the_bridge_wrote_itself_asks_for_nothing():
    assert allocate(refund(790, ("311", 1, 790), by_bridge=True), [line(piece(1))]) == Allocation()


@pytest.mark.parametrize("lines", [[], [line()]])
def test_an_order_without_pieces_leaves_all_to_a_person(lines):
    found = allocate(refund(790), lines)
    assert (found.shares, found.unassigned) == ((), 790)
    assert found.reason is not None


# --- whatever comes ------------------------------------------------------------------------------------------------


@st.composite
def orders(draw):
    lines, number = [], 0
    for line_id in range(draw(st.integers(0, 3))):
        pieces = []
        for _ in range(draw(st.integers(0, 4))):
            number += 1
            price = draw(st.integers(0, 3000))
            pieces.append(
                PieceTruth(
                    number,
                    draw(st.sampled_from(PieceState)),
                    price,
                    draw(st.integers(0, 3200)),
                    draw(st.booleans()),
                    draw(st.one_of(st.none(), st.integers(0, 3200))),
                )
            )
        lines.append(line(*pieces, line_id=str(line_id)))
    return lines


refunds = st.builds(
    lambda amount, lines: refund(amount, *lines),
    st.integers(-5, 20000),
    st.lists(st.tuples(st.sampled_from("01239"), st.integers(-1, 5), st.integers(-5, 9000)), max_size=4),
)


@given(refunds, orders())
def test_every_cent_is_somewhere_and_no_piece_gets_more_than_it_has_left(seen, lines):
    found = allocate(seen, lines)
    pieces = {each.id: each for each in sum((one.pieces for one in lines), ())}
    assert sum(share.amount for share in found.shares) + found.unassigned == max(0, seen.amount)
    assert found.unassigned >= 0
    assert (found.reason is None) == (found.unassigned == 0)
    assert len({share.piece_id for share in found.shares}) == len(found.shares)
    for share in found.shares:
        truth = pieces[share.piece_id]
        assert 0 < share.amount <= truth.price - truth.refunded
        assert share.full == (share.amount == truth.price - truth.refunded)


@given(refunds, orders())
def test_a_deed_always_fits_the_state_of_its_piece(seen, lines):
    pieces = {each.id: each for each in sum((one.pieces for one in lines), ())}
    for share in allocate(seen, lines).shares:
        truth = pieces[share.piece_id]
        assert truth.state is not UNCLEAR
        if truth.state in {PieceState.ANNOUNCED, TO_SHIP}:
            assert share.deed == "cancel"
            assert share.amount >= truth.goods_left
        elif truth.state in {CANCELLED, RETURNED}:
            assert share.deed == "none"
        else:
            assert share.deed in {"refund", "accept_return"}
            assert share.deed == "refund" or truth.return_open


@given(refunds, orders())
def test_a_second_refund_never_exceeds_what_the_first_left(seen, lines):
    first = {share.piece_id: share.amount for share in allocate(seen, lines).shares}
    after = [
        replace(
            one,
            pieces=tuple(
                replace(each, refunded=each.refunded + first.get(each.id, 0)) for each in one.pieces
            ),
        )
        for one in lines
    ]
    second = {share.piece_id: share.amount for share in allocate(seen, after).shares}
    for one in lines:
        for each in one.pieces:
            given_both = first.get(each.id, 0) + second.get(each.id, 0)
            assert given_both <= max(0, each.price - each.refunded)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 5000), max_size=8))
def test_parts_in_proportion_add_up_and_stay_below_their_weight(amount, weights):
    amount = min(amount, sum(weights))
    parts = in_proportion(amount, weights)
    assert sum(parts) == amount
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))
    total = sum(weights) or 1
    assert all(
        abs(part * total - amount * weight) < total for part, weight in zip(parts, weights, strict=True)
    )


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ("damaged", "damaged"),
        ("Dose war BESCHÄDIGT", "damaged"),
        ("Glasbruch, bitte Rücksendung nicht nötig", "damaged"),
        ("falscher Tee geliefert", "wrong_item"),
        ("ein Beutel fehlt", "incomplete"),
        ("arrived too late", "delayed"),
        ("chocolate tea", "other"),
        ("Versandkosten erstattet", "postage"),
        ("Retoure", "return"),
        ("Widerruf", "return"),
        ("", "other"),
        ("Kulanz", "other"),
    ],
)
def test_the_reason_a_person_wrote_becomes_our_word(told, word):
    assert reason_word(told) == word


def test_a_returned_piece_of_which_only_shipping_is_left_does_not_take_the_refund_of_its_neighbour() -> None:
    returned = PieceTruth(1, PieceState.RETURNED, 1000, 790, return_open=False, goods=790)
    shipped = PieceTruth(2, PieceState.SHIPPED, 1000, 0, return_open=False, goods=790)
    seen = RefundSeen("7", 790, "EUR", "damaged", (("311", 1, 790),), by_bridge=False)
    plan = allocate(seen, [LineTruth("311", "ln_1", (returned, shipped))])
    assert [(share.piece_id, share.amount, share.deed) for share in plan.shares] == [(2, 790, "refund")]
    assert plan.unassigned == 0


def test_shipping_that_is_given_back_with_a_return_or_after_it_is_told_apart_from_the_goods() -> None:
    returned = piece(1, RETURNED, price=1290, refunded=790, goods=790)
    coming = piece(2, price=1290, return_open=True, goods=790)
    sent = piece(3, price=1290, goods=790)
    plan = allocate(refund(500 + 2 * 1290), [line(returned, coming, sent)])
    assert [(share.deed, share.shipping) for share in plan.shares] == [
        ("none", 500),
        ("accept_return", 500),
        ("refund", 500),
    ]
    assert (plan.shipping_of({1}), plan.shipping_of(set())) == (1000, 500)
