"""The eMAG client against simulated eMAG, over real HTTP and through the real Door."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised, Unavailable, Unknown
from app.marketplaces.emag.client import EmagClient
from app.marketplaces.emag.settings import EmagSettings
from app.outbound import Limiter
from app.rules.reasons import next_step, sentence
from app.sandbox.emag import PREFIX
from app.sandbox.faults import Fault
from tests.marketplaces.doors import ScriptedDoor, answer
from tests.marketplaces.emag.conftest import (
    GTIN,
    OFFER,
    OTHER_GTIN,
    PARCELS,
    PASSWORD,
    UNKNOWN_GTIN,
    USER,
    Emag,
)
from tests.marketplaces.emag.contract import ORDER, SETTINGS

NUMBER = "00340434161094015902"
PRODUCT = m.ProductData(
    {"title": "Assam", "brand": "Teeladen", "category": "Tee"}, ("https://shop.example/1.jpg",)
)
GONE = {m.PieceState.CANCELLED}


def hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def orders(pages: Any) -> list[m.OrderSeen]:
    return [order for page in pages for order in page]


def wanted(**change: Any) -> m.OfferWanted:
    return dataclasses.replace(OFFER, **change)


def known(**change: Any) -> m.OfferWanted:
    """An offer that eMAG has confirmed as `OFFER`, with changes."""
    was = m.OfferShown("TEE-001", "1", price=790, stock=10, handling_days=1, on=True, raw_state="1/1/9/-")
    return wanted(**{"external_ref": "1", "stock": 10, "was": was} | change)


def parcel(*pieces: str, number: str | None = NUMBER, further: bool = False) -> m.ShipmentWanted:
    return m.ShipmentWanted(pieces, number, "dhl", "DHL", further_parcel=further)


def states(client: EmagClient, pieces: list[str]) -> list[m.PieceState]:
    return [each.state for each in client.read_pieces(pieces)]


def lost(emag: Emag, path: str, *, effect: bool = True) -> None:
    """The next call of this path gets no answer."""
    emag.faults.add(Fault("reset", path=path, effect=effect))


# --- the connection ------------------------------------------------------------------------------------------------------------


def test_the_check_tells_what_the_platform_offers(emag: Emag) -> None:
    checked = emag.client(**PARCELS).check()
    assert (checked.ok, checked.reason) == (True, None)
    assert checked.facts["currency"] == "EUR"
    assert checked.facts["vat_percent"] == ["0", "9", "20"]
    assert checked.facts["handling_days"] == [0, 1, 2, 3, 4, 5, 7, 14, 30]
    assert checked.facts["courier_accounts"] == [{"account_id": 5186, "courier_account_type": 2}]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"password": "x"}, "credentials.refused"),
        ({"vat_rates": {"19": "18"}}, "emag.vat_unknown"),
        ({"default_vat_percent": "18"}, "emag.vat_unknown"),
        ({**PARCELS, "courier_account_id": 7}, "emag.courier_account_unknown"),
    ],
)
def test_the_check_says_what_is_wrong(emag: Emag, settings: dict[str, Any], code: str) -> None:
    checked = emag.client(**settings).check()
    assert not checked.ok
    assert checked.reason is not None
    assert checked.reason.code == code


def test_an_address_that_is_not_listed_is_named_as_such_and_stops_the_connection(emag: Emag) -> None:
    emag.world.sellers[USER].listed = False
    checked = emag.client().check()
    assert checked.reason is not None
    assert checked.reason.code == "emag.address_not_listed"
    with pytest.raises(Unauthorised) as stopped:
        list(emag.client().orders_to_ship(None))
    assert stopped.value.code == "emag.address_not_listed"


def test_the_address_to_list_is_said_where_the_operator_has_told_it(emag: Emag) -> None:
    settings = dict(EmagSettings().load({"platform": "bg", "username": USER, "password": PASSWORD}))
    client = EmagClient(emag.door(), settings | {"egress_addresses": ["203.0.113.7", "203.0.113.8"]})
    assert client.check().facts["egress_addresses"] == ["203.0.113.7", "203.0.113.8"]
    emag.world.sellers[USER].listed = False
    why = client.check().reason
    assert why is not None
    assert why.code == "emag.address_to_list"
    for say in (sentence, next_step):
        assert "203.0.113.7, 203.0.113.8" in say(why.code, why.params, "de")


def test_an_answer_without_is_error_is_no_answer(emag: Emag) -> None:
    emag.faults.add(Fault("garbage", path="order/read"))
    with pytest.raises(Unavailable) as later:
        list(emag.client().orders_to_ship(None))
    assert later.value.code == "partner.unreadable"


def test_what_is_refused_with_status_200_is_refused(emag: Emag) -> None:
    door = ScriptedDoor().on("POST", ".*", answer(200, {"isError": True, "messages": ["No"], "results": []}))
    with pytest.raises(Refused) as refused:
        list(EmagClient(door, EmagSettings().load(SETTINGS)).orders_to_ship(None))
    assert refused.value.params["message"] == "No"


@pytest.mark.parametrize(("retry_after", "told"), [(30, 30.0), (None, None)])
def test_too_many_calls_let_the_connection_rest(
    emag: Emag, retry_after: int | None, told: float | None
) -> None:
    emag.faults.add(Fault("status", status=429, retry_after=retry_after))
    with pytest.raises(Unavailable) as busy:
        list(emag.client().orders_to_ship(None))
    assert busy.value.pauses
    assert busy.value.retry_after == told


def test_orders_and_the_rest_keep_their_own_pace(emag: Emag) -> None:
    emag.world.conduct.hurry = 1.0
    pace = {"orders": "12/second; 720/minute", "rest": "3/second; 180/minute", "eans": "5/second"}
    door = emag.door(limiter=Limiter.in_memory(patience=5))
    door._lanes = pace
    told = {"platform": "bg", "username": USER, "password": PASSWORD, "default_vat_percent": "20"}
    client = EmagClient(door, EmagSettings().load(told))
    emag.offer()
    for _ in range(5):
        assert client.offer(1) is not None
        assert orders(client.orders_to_ship(hour_ago())) == []


# --- orders ----------------------------------------------------------------------------------------------------------------------


def test_a_new_order_comes_announced_and_waits_for_its_acknowledgement(emag: Emag) -> None:
    pieces = emag.order(2, open_=True)
    (seen,) = orders(emag.client().orders_to_ship(hour_ago()))
    assert seen.awaits_acceptance
    assert [each.external_id for each in seen.pieces] == pieces
    assert {each.state for each in seen.pieces} == {m.PieceState.ANNOUNCED}
    assert [(each.unit_price, each.offer_number, each.sku) for each in seen.pieces] == [
        (790, 1, "TEE-001")
    ] * 2


def test_an_acknowledged_order_is_read_again_and_may_be_shipped(emag: Emag) -> None:
    pieces = emag.order(2, open_=True)
    told = emag.client().accept_order(pieces[0].split("/")[0], pieces, [])
    assert [(each.ok, each.already, each.state) for each in told.pieces] == [
        (True, False, m.PieceState.TO_SHIP)
    ] * 2
    assert told.seen is not None
    assert not told.seen.awaits_acceptance
    assert told.seen.shipping is not None
    assert told.seen.shipping.city == "Sofia"
    assert len(emag.done("accept")) == 1


def test_what_was_taken_out_of_an_order_before_it_was_acknowledged_is_cancelled(emag: Emag) -> None:
    pieces = emag.order(3, open_=True)
    emag.row(pieces[0])["products"][0]["quantity"] = 2
    told = emag.client().accept_order(pieces[0].split("/")[0], pieces, [])
    assert [each.state for each in told.pieces] == [
        m.PieceState.TO_SHIP,
        m.PieceState.TO_SHIP,
        m.PieceState.CANCELLED,
    ]


def test_a_lost_acknowledgement_is_repeated_and_found_done(emag: Emag) -> None:
    pieces = emag.order(1, open_=True)
    order_id = pieces[0].split("/")[0]
    lost(emag, "acknowledge")
    with pytest.raises(Unknown):
        emag.client().accept_order(order_id, pieces, [])
    told = emag.client().accept_order(order_id, pieces, [])
    assert [each.already for each in told.pieces] == [True]
    assert len(emag.done("accept")) == 1


def test_an_order_that_the_buyer_cancelled_meanwhile_is_answered_as_cancelled(emag: Emag) -> None:
    pieces = emag.order(1, open_=True)
    emag.row(pieces[0])["status"] = 0
    told = emag.client().accept_order(pieces[0].split("/")[0], pieces, [])
    assert [(each.ok, each.state) for each in told.pieces] == [(True, m.PieceState.CANCELLED)]


def test_nothing_can_be_refused_at_acknowledgement(emag: Emag) -> None:
    pieces = emag.order(2, open_=True)
    told = emag.client().accept_order(pieces[0].split("/")[0], pieces[:1], pieces[1:])
    assert [each.ok for each in told.pieces] == [True, False]
    assert told.pieces[1].reason is not None
    assert told.pieces[1].reason.code == "emag.not_refusable"


def test_incomplete_orders_and_those_of_emag_itself_are_left_alone(emag: Emag) -> None:
    emag.order(1, open_=True, is_complete=0)
    emag.order(1, open_=True, type=2)
    assert orders(emag.client().orders_to_ship(None)) == []


def test_the_first_look_also_brings_what_others_acknowledged(emag: Emag) -> None:
    emag.order()
    assert len(orders(emag.client().orders_to_ship(None))) == 1
    assert orders(emag.client().orders_to_ship(hour_ago())) == []


def test_a_change_is_seen_although_the_clocks_differ_by_hours(emag: Emag) -> None:
    emag.order()
    assert len(orders(emag.client().orders_changed(datetime.now(UTC) + timedelta(hours=2)))) == 1


def test_a_window_of_months_is_asked_in_steps_that_emag_takes(emag: Emag) -> None:
    emag.order()
    assert len(orders(emag.client().orders_changed(datetime.now(UTC) - timedelta(days=80)))) == 1
    assert emag.faults.count("POST", "order/read") == 3


def test_all_pages_come_and_an_order_that_moved_across_a_border_too(emag: Emag) -> None:
    emag.offer(stock=[{"warehouse_id": 1, "value": 500}])
    ids = [emag.order(1, open_=True)[0].split("/")[0] for _ in range(150)]
    sweep = iter(emag.client().orders_to_ship(None))
    first = next(sweep)
    # Somebody acknowledges one of the first page elsewhere: the first of the second page moves up into the first.
    emag.world.orders[int(first[0].external_id)]["status"] = 4
    rest = orders(sweep)
    assert {each.external_id for each in (*first, *rest)} == set(ids)
    assert len(first) + len(rest) == 150


def test_half_a_page_is_made_good_by_the_next_look(emag: Emag) -> None:
    for _ in range(4):
        emag.order(1, open_=True)
    emag.faults.add(Fault("half_page", path="order/read", rows="results"))
    assert len(orders(emag.client().orders_to_ship(hour_ago()))) == 2
    assert len(orders(emag.client().orders_to_ship(hour_ago()))) == 4


def test_a_row_that_comes_twice_is_one_order(emag: Emag) -> None:
    emag.order(1, open_=True)
    emag.faults.add(Fault("duplicate_row", path="order/read", rows="results"))
    assert len(orders(emag.client().orders_to_ship(hour_ago()))) == 1


def test_an_unknown_status_is_unclear(emag: Emag) -> None:
    emag.order()
    emag.faults.add(Fault("unknown_enum", path="order/read", rows="results", value="9"))
    (seen,) = orders(emag.client().orders_changed(hour_ago()))
    assert [each.state for each in seen.pieces] == [m.PieceState.UNCLEAR]


def test_an_unreadable_order_does_not_block_the_others(emag: Emag) -> None:
    pieces = emag.order(1, open_=True)
    emag.order(1, open_=True)
    del emag.row(pieces[0])["date"]
    found: list[m.OrderSeen] = []
    sweep = emag.client().orders_to_ship(None)
    with pytest.raises(Invalid) as unreadable:
        found.extend(order for page in sweep for order in page)
    assert len(found) == 1
    assert unreadable.value.params["field"] == f"order.{pieces[0].split('/')[0]}.date"


def test_pieces_of_an_unknown_order_are_left_out(emag: Emag) -> None:
    assert emag.client().read_pieces(["3115229985/82407/1"]) == []


# --- shipping ----------------------------------------------------------------------------------------------------------------------


def test_an_own_courier_finalizes_the_order_with_everything_that_was_read(emag: Emag) -> None:
    pieces = emag.order(2)
    told = emag.client().ship(parcel(*pieces))
    assert [(each.ok, each.already, each.state) for each in told] == [(True, False, m.PieceState.SHIPPED)] * 2
    assert emag.row(pieces[0])["status"] == 4
    (save,) = [each for each in emag.faults.calls if each.path.endswith("order/save")]
    assert set(save.body[0]) == set(emag.row(pieces[0]))


def test_shipping_twice_is_answered_as_done(emag: Emag) -> None:
    pieces = emag.order()
    emag.client().ship(parcel(*pieces))
    assert [each.already for each in emag.client().ship(parcel(*pieces))] == [True]
    assert len(emag.done("ship")) == 1


def test_a_further_parcel_cannot_be_told_and_is_no_failure(emag: Emag) -> None:
    pieces = emag.order()
    emag.client().ship(parcel(*pieces))
    calls = len(emag.faults.calls)
    assert [each.ok for each in emag.client().ship(parcel(*pieces, number="X1234567", further=True))] == [
        True
    ]
    assert len(emag.faults.calls) == calls


@pytest.mark.parametrize("effect", [True, False])
def test_a_lost_answer_to_shipping_is_read_back(emag: Emag, effect: bool) -> None:
    pieces = emag.order()
    lost(emag, "order/save", effect=effect)
    with pytest.raises(Unknown):
        emag.client().ship(parcel(*pieces))
    shipped = states(emag.client(), pieces) == [m.PieceState.SHIPPED]
    assert shipped is effect
    if not shipped:
        emag.client().ship(parcel(*pieces))
    assert len(emag.done("ship")) == 1


def test_an_order_that_is_not_acknowledged_is_not_shipped(emag: Emag) -> None:
    pieces = emag.order(1, open_=True)
    (told,) = emag.client().ship(parcel(*pieces))
    assert told.reason is not None
    assert (told.ok, told.reason.code) == (False, "emag.not_acknowledged")


def test_a_cancelled_order_is_not_shipped_and_says_so(emag: Emag) -> None:
    pieces = emag.order()
    emag.client().cancel(pieces, "out_of_stock")
    (told,) = emag.client().ship(parcel(*pieces))
    assert told.reason is not None
    assert (told.ok, told.state, told.reason.code) == (False, m.PieceState.CANCELLED, "deed.not_allowed")
    # Asking for it would bring the order back to life: within 48 hours eMAG lets a cancelled order be finalized.
    assert emag.faults.count("POST", "order/save") == 1
    assert emag.row(pieces[0])["status"] == 0


def test_a_parcel_of_emags_courier_is_booked_and_its_number_answered(emag: Emag) -> None:
    pieces = emag.order(2)
    told = emag.client(**PARCELS).ship(parcel(*pieces, number=None))
    (booked,) = emag.world.awbs.values()
    assert [each.tracking_number for each in told] == [booked["awb"][0]["awb_number"]] * 2
    # Two pieces at 7.90 are to be collected, because they are paid on delivery.
    assert Decimal(str(booked["cod"])) == Decimal("15.8")
    assert emag.row(pieces[0])["status"] == 4


def test_a_number_of_the_merchants_own_books_no_parcel_at_emag(emag: Emag) -> None:
    pieces = emag.order()
    (told,) = emag.client(**PARCELS).ship(parcel(*pieces))
    assert (told.ok, told.tracking_number) == (True, None)
    assert emag.world.awbs == {}


@pytest.mark.parametrize("effect", [True, False])
def test_a_lost_answer_to_booking_never_books_a_second_parcel(emag: Emag, effect: bool) -> None:
    pieces = emag.order()
    client = emag.client(**PARCELS)
    lost(emag, "awb/save", effect=effect)
    with pytest.raises(Unknown):
        client.ship(parcel(*pieces, number=None))
    (told,) = client.ship(parcel(*pieces, number=None))
    (booked,) = emag.world.awbs.values()
    assert told.already is effect
    assert told.tracking_number == booked["awb"][0]["awb_number"]


def test_a_booked_parcel_is_not_booked_again_while_the_order_lags(emag: Emag) -> None:
    pieces = emag.order()
    client = emag.client(**PARCELS)
    client.ship(parcel(*pieces, number=None))
    emag.row(pieces[0])["status"] = 2
    client.ship(parcel(*pieces, number=None))
    assert len(emag.world.awbs) == 1


def test_a_parcel_whose_number_does_not_come_is_booked_all_the_same(emag: Emag) -> None:
    emag.world.conduct.slow_awb = True
    pieces = emag.order()
    (told,) = emag.client(**PARCELS).ship(parcel(*pieces, number=None))
    assert (told.ok, told.tracking_number) == (True, None)


def test_emags_choice_of_couriers_is_kept(emag: Emag) -> None:
    pieces = emag.order(1, enforced_vendor_courier_accounts=[5186])
    emag.client(**PARCELS, courier_account_id=9).ship(parcel(*pieces, number=None))
    (booked,) = emag.world.awbs.values()
    assert booked["courier"][0]["courier_account_id"] == 5186
    other = emag.order(1, enforced_vendor_courier_accounts=[])
    (told,) = emag.client(**PARCELS).ship(parcel(*other, number=None))
    assert told.reason is not None
    assert told.reason.code == "emag.parcel_not_allowed"


@pytest.mark.parametrize("deed", ["acknowledge", "order/save", "awb/save", "rma/save"])
def test_a_page_instead_of_an_answer_leaves_open_what_became_of_a_deed(emag: Emag, deed: str) -> None:
    pieces = emag.order(1, open_=deed == "acknowledge")
    client = emag.client(**(PARCELS if deed == "awb/save" else {}))
    do: Callable[[], Any] = partial(client.ship, parcel(*pieces, number=None))
    if deed == "acknowledge":
        do = partial(client.accept_order, pieces[0].partition("/")[0], pieces, [])
    elif deed == "rma/save":
        client.ship(parcel(*pieces))
        rma = emag.world.send_back(emag.world.pieces[int(pieces[0].partition("/")[0])])
        do = partial(client.accept_return, f"{rma['emag_id']}/{rma['products'][0]['id']}/1")
    emag.faults.add(Fault("garbage", path=deed, effect=True))
    with pytest.raises(Unknown):
        do()


# --- cancelling --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "theirs"),
    [("buyer_cancelled", 2), ("out_of_stock", 1), ("address_undeliverable", 25), ("wrong_price", 31), ("wrong_data", 31), ("other", 21)],
)  # fmt: skip
def test_a_whole_order_is_cancelled_with_its_reason(emag: Emag, reason: str, theirs: int) -> None:
    pieces = emag.order(2)
    told = emag.client().cancel(pieces, reason)
    assert [(each.ok, each.state) for each in told] == [(True, m.PieceState.CANCELLED)] * 2
    assert emag.row(pieces[0])["reason_cancellation"] == theirs
    assert [each.already for each in emag.client().cancel(pieces, reason)] == [True, True]
    assert len(emag.done("cancel")) == 1


def test_an_order_is_acknowledged_before_it_is_cancelled(emag: Emag) -> None:
    pieces = emag.order(1, open_=True)
    assert [each.ok for each in emag.client().cancel(pieces, "out_of_stock")] == [True]
    assert [each["deed"] for each in emag.world.deeds if each["deed"] != "offer"] == ["accept", "cancel"]


def test_a_part_of_a_line_is_cancelled_and_exactly_these_pieces_are_gone(emag: Emag) -> None:
    pieces = emag.order(3)
    emag.client().cancel(pieces[:1], "out_of_stock")
    assert emag.row(pieces[0])["products"][0]["quantity"] == 2
    assert states(emag.client(), pieces) == [
        m.PieceState.CANCELLED,
        m.PieceState.TO_SHIP,
        m.PieceState.TO_SHIP,
    ]
    emag.client().cancel(pieces[2:], "out_of_stock")
    assert states(emag.client(), pieces) == [
        m.PieceState.CANCELLED,
        m.PieceState.TO_SHIP,
        m.PieceState.CANCELLED,
    ]
    assert [len(each["pieces"]) for each in emag.done("cancel")] == [1, 1]
    emag.client().cancel(pieces, "out_of_stock")
    assert emag.row(pieces[0])["status"] == 0


@pytest.mark.parametrize("effect", [True, False])
@pytest.mark.parametrize("part", [1, 3])
def test_a_lost_answer_to_cancelling_is_read_back_and_never_doubled(
    emag: Emag, part: int, effect: bool
) -> None:
    pieces = emag.order(3)
    lost(emag, "order/save", effect=effect)
    with pytest.raises(Unknown):
        emag.client().cancel(pieces[:part], "out_of_stock")
    truth = states(emag.client(), pieces[:part])
    assert ({*truth} <= GONE) is effect
    emag.client().cancel(pieces[:part], "out_of_stock")
    assert [len(each["pieces"]) for each in emag.done("cancel")] == [part]


@pytest.mark.parametrize("effect", [True, False])
def test_a_second_cancellation_whose_answer_is_lost_leaves_the_first_as_it_was(
    emag: Emag, effect: bool
) -> None:
    pieces = emag.order(3)
    emag.client().cancel(pieces[:1], "out_of_stock")
    lost(emag, "order/save", effect=effect)
    with pytest.raises(Unknown):
        emag.client().cancel(pieces[2:], "out_of_stock")
    last = m.PieceState.CANCELLED if effect else m.PieceState.TO_SHIP
    assert states(emag.client(), pieces) == [m.PieceState.CANCELLED, m.PieceState.TO_SHIP, last]
    emag.client().cancel(pieces[2:], "out_of_stock")
    assert [len(each["pieces"]) for each in emag.done("cancel")] == [1, 1]
    assert emag.row(pieces[0])["products"][0]["quantity"] == 1


def test_a_part_of_a_card_order_cannot_be_cancelled_and_the_merchant_reads_why(emag: Emag) -> None:
    pieces = emag.order(2, payment_mode_id=3, payment_status=1)
    (told,) = emag.client().cancel(pieces[:1], "out_of_stock")
    assert told.reason is not None
    assert (told.ok, told.reason.code) == (False, "emag.card_no_partial")
    assert [each.ok for each in emag.client().cancel(pieces, "out_of_stock")] == [True, True]


@pytest.mark.parametrize(("hours", "ok"), [(47, True), (49, False)])
def test_a_finalized_order_is_cancelled_within_48_hours_only(emag: Emag, hours: int, ok: bool) -> None:
    pieces = emag.order()
    emag.client().ship(parcel(*pieces))
    emag.world.advance(hours * 3600)
    (told,) = emag.client().cancel(pieces, "other")
    assert told.ok is ok
    if not ok:
        assert told.reason is not None
        assert told.reason.code == "cancel.not_allowed"
        assert "cannot go from status 4 to 0" in str(told.reason.params["message"])


def test_a_reason_that_is_none_of_ours_is_refused(emag: Emag) -> None:
    with pytest.raises(Refused) as refused:
        emag.client().cancel(emag.order(), "whim")
    assert refused.value.code == "cancel.reason_unknown"


# --- money and goods back ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("initial_qty", [True, False])
def test_a_unit_is_refunded_by_a_storno_and_the_last_one_returns_the_order(
    emag: Emag, initial_qty: bool
) -> None:
    emag.world.conduct.initial_qty = initial_qty
    client, pieces = emag.client(), emag.order(2)
    client.ship(parcel(*pieces))
    looks = [client.read_refunded(pieces[0])]
    assert client.refund(pieces[0], 790, "return").ok
    looks.append(client.read_refunded(pieces[0]))
    assert client.refund(pieces[1], 790, "return").ok
    looks.append(client.read_refunded(pieces[1]))
    assert [after - before for before, after in pairwise(looks)] == [790, 790]
    assert looks[0] == (0 if initial_qty else -2 * 790)
    assert emag.row(pieces[0])["status"] == 5
    assert [each["amount"] for each in emag.done("refund")] == [790, 790]


def test_only_what_was_left_came_back_with_a_returned_order(emag: Emag) -> None:
    client, pieces = emag.client(), emag.order(2)
    client.ship(parcel(*pieces))
    client.refund(pieces[0], 790, "return")
    client.refund(pieces[1], 790, "return")
    (seen,) = orders(client.orders_changed(hour_ago()))
    assert {each.external_id: each.state for each in seen.pieces} == {pieces[1]: m.PieceState.RETURNED}


@pytest.mark.parametrize("effect", [True, False])
def test_a_lost_answer_to_a_refund_shows_in_what_was_refunded(emag: Emag, effect: bool) -> None:
    client, pieces = emag.client(), emag.order(2)
    client.ship(parcel(*pieces))
    before = client.read_refunded(pieces[0])
    lost(emag, "order/save", effect=effect)
    with pytest.raises(Unknown):
        client.refund(pieces[0], 790, "return")
    assert client.read_refunded(pieces[0]) - before == (790 if effect else 0)


@pytest.mark.parametrize("amount", [1, 789, 791])
def test_a_part_of_a_price_cannot_be_refunded_and_the_merchant_reads_why(emag: Emag, amount: int) -> None:
    pieces = emag.order()
    emag.client().ship(parcel(*pieces))
    told = emag.client().refund(pieces[0], amount, "damaged")
    assert told.reason is not None
    assert (told.ok, told.reason.code) == (False, "emag.refund_whole_units")
    assert emag.done("refund") == []


def test_nothing_is_refunded_before_it_left(emag: Emag) -> None:
    told = emag.client().refund(emag.order()[0], 790, "other")
    assert told.reason is not None
    assert told.reason.code == "refund.before_shipping"


def test_a_return_names_the_pieces_and_is_finalized(emag: Emag) -> None:
    client, pieces = emag.client(), emag.order(2)
    client.ship(parcel(*pieces))
    emag.world.send_back([emag.world.pieces[int(pieces[0].split("/")[0])][0]])
    (seen,) = [each for page in client.returns_changed(hour_ago()) for each in page]
    (piece,) = seen.pieces
    assert (piece.piece_external_id, piece.state, piece.raw_state) == (pieces[0], m.ReturnState.ARRIVED, "6")
    assert client.accept_return(piece.external_id).ok
    assert client.accept_return(piece.external_id).already
    assert len(emag.done("accept_return")) == 1
    (after,) = [each for page in client.returns_changed(hour_ago()) for each in page]
    assert after.pieces[0].state is m.ReturnState.ACCEPTED


def test_two_returns_of_one_line_are_two_pieces(emag: Emag) -> None:
    client, pieces = emag.client(), emag.order(2)
    client.ship(parcel(*pieces))
    units = emag.world.pieces[int(pieces[0].split("/")[0])]
    emag.world.send_back([units[0]])
    emag.world.send_back([units[1]])
    seen = [each for page in client.returns_changed(hour_ago()) for each in page]
    assert [each.pieces[0].piece_external_id for each in seen] == pieces


@pytest.mark.parametrize("before", ["cancelled", "refunded"])
def test_a_return_is_never_of_a_piece_that_is_gone(emag: Emag, before: str) -> None:
    client, pieces = emag.client(), emag.order(3)
    if before == "cancelled":
        client.cancel(pieces[:1], "out_of_stock")
    client.ship(parcel(*pieces))
    if before == "refunded":
        assert client.refund(pieces[0], 790, "return").ok
    units = emag.world.pieces[int(pieces[0].partition("/")[0])]
    emag.world.send_back(units[1:2])
    (seen,) = [each for page in client.returns_changed(hour_ago()) for each in page]
    assert [each.piece_external_id for each in seen.pieces] == pieces[1:2]


@pytest.mark.parametrize(("status", "saves"), [(2, 3), (3, 2), (6, 1)])
def test_a_return_goes_to_finalized_step_by_step(emag: Emag, status: int, saves: int) -> None:
    client, pieces = emag.client(), emag.order()
    client.ship(parcel(*pieces))
    back = emag.world.send_back(emag.world.pieces[int(pieces[0].split("/")[0])], status)
    assert client.accept_return(f"{back['emag_id']}/{back['products'][0]['id']}/1").ok
    assert emag.faults.count("POST", "rma/save") == saves
    assert back["request_status"] == 7


@pytest.mark.parametrize("status", [4, 5])
def test_a_return_that_is_over_is_not_accepted(emag: Emag, status: int) -> None:
    client, pieces = emag.client(), emag.order()
    client.ship(parcel(*pieces))
    back = emag.world.send_back(emag.world.pieces[int(pieces[0].split("/")[0])], status)
    told = client.accept_return(f"{back['emag_id']}/{back['products'][0]['id']}/1")
    assert told.reason is not None
    assert told.reason.code == "return.wrong_status"


def test_a_return_of_two_units_is_finalized_when_both_are_accepted(emag: Emag) -> None:
    client, pieces = emag.client(), emag.order(2)
    client.ship(parcel(*pieces))
    back = emag.world.send_back(emag.world.pieces[int(pieces[0].split("/")[0])])
    line = back["products"][0]["id"]
    first = client.accept_return(f"{back['emag_id']}/{line}/1")
    assert (first.ok, first.pending, back["request_status"]) == (True, True, 6)
    assert client.accept_return(f"{back['emag_id']}/{line}/1").pending
    second = client.accept_return(f"{back['emag_id']}/{line}/2")
    assert (second.ok, second.pending, back["request_status"]) == (True, False, 7)


@pytest.mark.parametrize("effect", [True, False])
def test_a_lost_answer_to_accepting_a_return_is_repeated_without_harm(emag: Emag, effect: bool) -> None:
    client, pieces = emag.client(), emag.order()
    client.ship(parcel(*pieces))
    back = emag.world.send_back(emag.world.pieces[int(pieces[0].split("/")[0])])
    lost(emag, "rma/save", effect=effect)
    with pytest.raises(Unknown):
        client.accept_return(f"{back['emag_id']}/{back['products'][0]['id']}/1")
    told = client.accept_return(f"{back['emag_id']}/{back['products'][0]['id']}/1")
    assert (told.ok, told.already) == (True, effect)
    assert len(emag.done("accept_return")) == 1


# --- offers --------------------------------------------------------------------------------------------------------------------------


def test_a_known_ean_is_attached_with_a_net_price_and_bounds(emag: Emag) -> None:
    (told,) = emag.client().push_offers([wanted()])
    assert (told.ok, told.state, told.reason) == (True, m.OfferState.ON_SALE, None)
    assert told.shown is not None
    assert (told.shown.external_ref, told.shown.price, told.shown.stock) == ("1", 790, 5)
    made = emag.world.offers[1]
    assert [made[name] for name in ("sale_price", "min_sale_price", "max_sale_price")] == [
        Decimal("6.5833"),
        Decimal("3.2917"),
        Decimal("13.1666"),
    ]
    assert (made["vat_id"], made["part_number"], made["stock"]) == (1, "TEE-001", 5)


def test_only_what_differs_is_sent(emag: Emag) -> None:
    emag.offer()
    (told,) = emag.client().push_offers([known(price=890)])
    assert told.ok
    (call,) = [each for each in emag.faults.calls if each.path.endswith("offer/save")]
    assert set(call.body[0]) == {"id", "sale_price", "min_sale_price", "max_sale_price", "vat_id"}
    assert emag.world.offers[1]["sale_price"] == Decimal("7.4167")


def test_bounds_that_are_kept_are_not_sent_and_refuse_a_price_outside(emag: Emag) -> None:
    emag.offer()
    (told,) = emag.client(price_bounds="keep").push_offers([known(price=9900)])
    assert told.reason is not None
    assert (told.ok, told.state, told.reason.code) == (False, m.OfferState.REFUSED, "emag.price_bounds")
    assert emag.world.offers[1]["sale_price"] == Decimal("6.5833")


def test_bounds_that_are_kept_are_not_sent_with_everything_else_either(emag: Emag) -> None:
    emag.offer()
    emag.client(price_bounds="keep").push_offers([known(price=890, was=None)])
    assert [emag.world.offers[1][name] for name in ("min_sale_price", "max_sale_price")] == [3, 20]


@pytest.mark.parametrize(
    ("change", "stock"), [({"stock": 70_000}, 65_535), ({"stock": -1}, 0), ({"stock": 5, "on": False}, 0)]
)
def test_no_stock_is_sent_that_emag_cannot_hold_or_that_is_off(
    emag: Emag, change: dict[str, Any], stock: int
) -> None:
    emag.offer()
    (told,) = emag.client().push_offers([known(**change)])
    assert told.ok
    assert emag.world.offers[1]["stock"] == stock


def test_a_single_change_of_stock_takes_the_short_way(emag: Emag) -> None:
    emag.offer()
    (told,) = emag.client().push_offers([known(stock=3)])
    assert told.ok
    assert emag.world.offers[1]["stock"] == 3
    assert (emag.faults.count("PATCH", "offer_stock/1"), emag.faults.count("POST", "offer/save")) == (1, 0)


def test_nothing_is_sent_when_nothing_differs(emag: Emag) -> None:
    emag.offer()
    emag.client().push_offers([known()])
    assert emag.faults.count("POST", "save") == 0


@pytest.mark.parametrize(("count", "calls"), [(1, 1), (49, 1), (50, 1)])
def test_a_batch_is_one_call(emag: Emag, count: int, calls: int) -> None:
    for number in range(1, count + 1):
        ean = str(5_000_000_000_000 + number)
        emag.world.add_product(ean, "Tee")
        emag.offer(number, f"TEE-{number:03}", ean)
    push = [
        known(sku=f"TEE-{n:03}", number=n, external_ref=str(n), price=800, stock=1)
        for n in range(1, count + 1)
    ]
    told = emag.client().push_offers(push)
    assert [each.ok for each in told] == [True] * count
    assert emag.faults.count("POST", "/offer/save") == calls


def test_new_offers_are_found_and_attached_in_one_call_each(emag: Emag) -> None:
    push = []
    for number in range(1, 26):
        ean = str(5_000_000_000_000 + number)
        emag.world.add_product(ean, "Tee")
        push.append(wanted(sku=f"TEE-{number:03}", number=number, gtin=ean))
    assert all(each.ok for each in emag.client().push_offers(push))
    assert emag.faults.count("GET", "find_by_eans") == 1
    assert emag.faults.count("POST", "product_offer/save") == 1
    assert emag.faults.count("POST", "product_offer/read") == 25


def test_one_bad_offer_of_a_batch_is_named_and_the_others_are_saved(emag: Emag) -> None:
    emag.offer()
    emag.offer(2, "TEE-002", OTHER_GTIN)
    emag.world.conduct.campaign = [2]
    second = known(sku="TEE-002", number=2, external_ref="2", stock=4)
    told = emag.client().push_offers([known(stock=3), second])
    assert [(each.ok, each.retry) for each in told] == [(True, False), (False, True)]
    assert told[1].reason is not None
    assert (told[1].state, told[1].reason.code) == (m.OfferState.WAITING, "emag.campaign")


def test_a_campaign_also_stops_the_short_way(emag: Emag) -> None:
    emag.offer()
    emag.world.conduct.campaign = [1]
    (told,) = emag.client().push_offers([known(stock=3)])
    assert told.reason is not None
    assert (told.retry, told.reason.code) == (True, "emag.campaign")


REFERENCE = {
    "/vat/read": [{"vat_id": 1, "vat_rate": "0.20"}],
    "/handling_time/read": [{"id": 1}],
}


def reading(**more: Any) -> ScriptedDoor:
    """A door that knows the platform's reference data."""
    door = ScriptedDoor()
    for path, results in (REFERENCE | more).items():
        door.on("POST", path, answer(200, {"isError": False, "messages": [], "results": results}))
    return door


def test_a_batch_that_is_refused_as_a_whole_is_halved_until_the_offer_is_found() -> None:
    whole = answer(200, {"isError": True, "messages": ["Something is wrong"], "results": []})
    well = answer(
        200, {"isError": False, "messages": [], "results": {"1": {"isError": False, "messages": []}}}
    )
    door = reading().on("POST", "/offer/save", [whole, well, whole])
    client = EmagClient(door, EmagSettings().load(SETTINGS | {"platform": "bg", "default_vat_percent": "20"}))
    told = client.push_offers([known(price=800), known(sku="TEE-002", number=2, external_ref="2", price=800)])
    assert [(each.ok, each.reason.code if each.reason else None) for each in told] == [
        (True, None),
        (False, "offer.refused"),
    ]
    assert [len(each.body) for each in door.sent if each.operation == "save_offers"] == [2, 1, 1]


def test_products_that_are_too_many_elements_are_halved() -> None:
    whole = answer(200, {"isError": True, "messages": ["Maximum input vars of 4000 exceeded"], "results": []})
    well = answer(200, {"isError": False, "messages": [], "results": []})
    none = answer(200, {"isError": False, "messages": [], "results": []})
    found = {
        each: {"products": [{"part_number_key": "D1", "allowed_to_add_offer": True}]}
        for each in (GTIN, OTHER_GTIN)
    }
    door = (
        reading()
        .on("POST", "/product_offer/save", [whole, well, well])
        .on("POST", "/product_offer/read", none)
    )
    door.on(
        "GET",
        "/documentation/find_by_eans",
        answer(200, {"isError": False, "messages": [], "results": found}),
    )
    client = EmagClient(door, EmagSettings().load(SETTINGS | {"platform": "bg", "default_vat_percent": "20"}))
    told = client.push_offers([wanted(), wanted(sku="TEE-002", number=2, gtin=OTHER_GTIN)])
    assert [each.ok for each in told] == [True, True]
    assert [len(each.body) for each in door.sent if each.operation == "save_products"] == [2, 1, 1]


def test_an_offer_that_the_answer_forgets_comes_back_later() -> None:
    door = reading().on("POST", "/offer/save", answer(200, {"isError": False, "messages": [], "results": {}}))
    client = EmagClient(door, EmagSettings().load(SETTINGS | {"platform": "bg", "default_vat_percent": "20"}))
    (told,) = client.push_offers([known(price=800)])
    assert told.reason is not None
    assert (told.ok, told.retry, told.reason.code) == (False, True, "partner.answer_missing")


def test_an_offer_that_vanished_is_made_again(emag: Emag) -> None:
    (told,) = emag.client().push_offers([known(stock=3)])
    assert told.ok
    assert emag.world.offers[1]["stock"] == 3


def test_off_is_stock_0_and_inactive_and_on_again_brings_both_back(emag: Emag) -> None:
    emag.offer()
    (told,) = emag.client().push_offers([known(on=False, stock=0)])
    assert told.shown is not None
    assert (told.state, told.shown.on, told.shown.stock) == (m.OfferState.OFF, False, 0)
    assert (emag.world.offers[1]["status"], emag.world.offers[1]["stock"]) == (0, 0)
    (again,) = emag.client().push_offers([known(was=told.shown)])
    assert (again.state, emag.world.offers[1]["status"], emag.world.offers[1]["stock"]) == (
        m.OfferState.ON_SALE,
        1,
        10,
    )


@pytest.mark.parametrize(
    ("change", "state", "code"),
    [
        ({"price": 0}, m.OfferState.REFUSED, "offer.price_missing"),
        ({"currency": "RON"}, m.OfferState.REFUSED, "offer.currency"),
        ({"number": None}, m.OfferState.REFUSED, "emag.number_range"),
        ({"number": 16_777_216}, m.OfferState.REFUSED, "emag.number_range"),
        ({"vat_percent": "19"}, m.OfferState.REFUSED, "emag.vat_unknown"),
        ({"handling_days": 31}, m.OfferState.REFUSED, "offer.handling_days"),
        ({"gtin": None}, m.OfferState.REFUSED, "product.gtin_missing"),
        ({"gtin": UNKNOWN_GTIN}, m.OfferState.NEEDS_PRODUCT, "product.unknown_gtin"),
    ],
)
def test_an_offer_that_cannot_be_is_told_with_its_reason(
    emag: Emag, change: dict[str, Any], state: m.OfferState, code: str
) -> None:
    (told,) = emag.client().push_offers([wanted(**change)])
    assert told.reason is not None
    assert (told.ok, told.state, told.reason.code) == (False, state, code)
    assert emag.world.offers == {}


def test_the_shops_vat_rate_is_replaced_by_the_one_of_the_platform(emag: Emag) -> None:
    emag.client(vat_rates={"19": "20", "7": "9"}).push_offers([wanted(vat_percent="7")])
    assert (emag.world.offers[1]["vat_id"], emag.world.offers[1]["sale_price"]) == (2, Decimal("7.2477"))


@pytest.mark.parametrize(("days", "sent"), [(5, 5), (6, 7), (8, 14)])
def test_the_next_allowed_preparation_time_is_sent(emag: Emag, days: int, sent: int) -> None:
    (told,) = emag.client().push_offers([wanted(handling_days=days)])
    assert emag.world.offers[1]["handling_time"] == sent
    assert told.shown is not None
    assert told.shown.handling_days == days


def test_another_offer_under_our_number_is_never_overwritten(emag: Emag) -> None:
    emag.offer(1, "KAFFEE-1", OTHER_GTIN)
    (told,) = emag.client().push_offers([wanted()])
    assert told.reason is not None
    assert told.reason.code == "emag.number_taken"
    assert emag.world.offers[1]["part_number"] == "KAFFEE-1"
    (again,) = emag.client(first_offer_id=1001).push_offers([wanted()])
    assert again.ok
    assert emag.world.offers[1001]["part_number"] == "TEE-001"


def test_an_order_of_an_offer_in_another_range_still_names_our_number(emag: Emag) -> None:
    emag.client(first_offer_id=1001).push_offers([wanted()])
    emag.order(1, open_=True)
    (seen,) = orders(emag.client(first_offer_id=1001).orders_to_ship(None))
    assert [each.offer_number for each in seen.pieces] == [1]
    (foreign,) = orders(emag.client(first_offer_id=2001).orders_to_ship(None))
    assert [each.offer_number for each in foreign.pieces] == [None]


def test_an_offer_of_the_merchants_own_for_the_same_product_is_named(emag: Emag) -> None:
    emag.offer(77, "ALT-1")
    (told,) = emag.client().push_offers([wanted()])
    assert told.reason is not None
    assert told.reason.code == "emag.offer_elsewhere"


def test_a_product_that_may_not_be_offered_is_named(emag: Emag) -> None:
    emag.world.products[GTIN]["allowed"] = False
    (told,) = emag.client().push_offers([wanted()])
    assert told.reason is not None
    assert told.reason.code == "emag.not_allowed_to_offer"


@pytest.mark.parametrize("effect", [True, False])
def test_a_lost_answer_to_a_first_offer_makes_no_second_one(emag: Emag, effect: bool) -> None:
    lost(emag, "product_offer/save", effect=effect)
    with pytest.raises(Unavailable):
        emag.client().push_offers([wanted()])
    (told,) = emag.client().push_offers([wanted()])
    assert told.ok
    assert len(emag.world.offers) == 1


def test_a_product_that_emag_does_not_know_is_created_where_categories_are_mapped(emag: Emag) -> None:
    client = emag.client(categories={"Tee": 1315})
    (told,) = client.push_offers([wanted(gtin=UNKNOWN_GTIN, product=PRODUCT)])
    assert told.reason is not None
    assert (told.ok, told.state, told.reason.code) == (True, m.OfferState.WAITING, "product.data_processing")
    (shown,) = [each for page in client.read_offers(None) for each in page]
    assert shown.reason is not None
    assert (shown.state, shown.reason.code) == (m.OfferState.WAITING, "emag.in_validation")
    emag.world.settle()
    (shown,) = [each for page in client.read_offers(None) for each in page]
    assert (shown.state, shown.reason) == (m.OfferState.ON_SALE, None)


def test_what_is_missing_for_a_new_product_is_named(emag: Emag) -> None:
    bare = m.ProductData({"title": "Assam"})
    client = emag.client(categories={"Tee": 1315}, characteristics={"5213": "attribute:Material"})
    (told,) = client.push_offers([wanted(gtin=UNKNOWN_GTIN, product=bare)])
    assert told.reason is not None
    assert told.reason.code == "product.data_missing"
    assert told.reason.params["fields"] == "brand, category, images, attribute:Material"


def test_an_error_in_the_documentation_is_a_remark_when_the_offer_was_saved(emag: Emag) -> None:
    emag.world.conduct.remarks = [1]
    second = wanted(sku="TEE-002", number=2, gtin=OTHER_GTIN)
    told = emag.client().push_offers([wanted(), second])
    assert [each.ok for each in told] == [True, True]
    assert told[0].reason is not None
    assert told[0].reason.code == "emag.saved_with_remarks"
    assert "offer id: 1" in str(told[0].reason.params["message"])


def test_an_offer_that_was_not_saved_is_refused_with_its_own_sentence(emag: Emag) -> None:
    emag.world.products[OTHER_GTIN] |= {"ean": GTIN}
    told = emag.client().push_offers([wanted(), wanted(sku="TEE-002", number=2, gtin=OTHER_GTIN)])
    assert [each.ok for each in told] == [True, False]
    assert told[1].reason is not None
    assert "offer id: 2" in str(told[1].reason.params["message"])


def test_a_failure_in_the_middle_keeps_what_was_done(emag: Emag) -> None:
    emag.offer()
    emag.faults.add(Fault("status", status=502, path="find_by_eans"))
    told = emag.client().push_offers([known(stock=3), wanted(sku="TEE-002", number=2, gtin=OTHER_GTIN)])
    assert [(each.ok, each.retry) for each in told] == [(True, False), (False, True)]
    assert told[1].state is m.OfferState.WAITING


def test_what_is_shown_is_gross_again(emag: Emag) -> None:
    emag.client().push_offers([wanted(sku="TEE 0,01")])
    (shown,) = [each for page in emag.client().read_offers(["TEE 0,01"]) for each in page]
    assert (shown.sku, shown.external_ref, shown.price, shown.stock) == ("TEE 0,01", "1", 790, 5)
    assert (shown.handling_days, shown.on, shown.gtin, shown.raw_state) == (1, True, GTIN, "1/1/9/-")
    assert [each for page in emag.client().read_offers(["OTHER"]) for each in page] == []


def test_offers_below_our_first_number_are_none_of_ours(emag: Emag) -> None:
    emag.offer(7)
    emag.offer(1001, "TEE-002", OTHER_GTIN)
    shown = [
        each.external_ref for page in emag.client(first_offer_id=1001).read_offers(None) for each in page
    ]
    assert shown == ["1001"]


def test_all_offers_come_in_pages(emag: Emag) -> None:
    for number in range(1, 151):
        ean = str(5_000_000_000_000 + number)
        emag.world.add_product(ean, "Tee")
        emag.offer(number, f"TEE-{number:03}", ean)
    assert [len(page) for page in emag.client().read_offers(None)] == [100, 50]


def test_orders_are_asked_in_their_own_lane_with_raw_json() -> None:
    door = ScriptedDoor().on(
        "POST", "/order/read", answer(200, {"isError": False, "messages": [], "results": [ORDER]})
    )
    client = EmagClient(door, EmagSettings().load(SETTINGS))
    list(client.orders_to_ship(hour_ago()))
    (sent,) = door.sent
    assert (sent.lane, sent.host) == ("orders", None)
    assert sent.body == {"status": [1], "type": 3, "currentPage": 1, "itemsPerPage": 100}
    assert sent.headers["Authorization"] == "Basic YW5uYTp0ZWVsYWRlbg=="
    assert PREFIX == "/api-3"
