"""The Cdiscount client against simulated Octopia, over real HTTP and through the real Door."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised, Unavailable, Unknown
from app.marketplaces.cdiscount.client import CdiscountClient
from app.marketplaces.cdiscount.settings import CdiscountSettings
from app.outbound import Limiter
from tests.marketplaces.cdiscount.conftest import (
    GTIN,
    NUMBER,
    OFFER,
    OTHER_GTIN,
    UNKNOWN_GTIN,
    Cdiscount,
)
from tests.marketplaces.cdiscount.contract import SETTINGS
from tests.marketplaces.doors import ScriptedDoor, answer

HOUR = timedelta(hours=1)


def hour_ago() -> datetime:
    return datetime.now(UTC) - HOUR


def flat(pages: Iterable[list[Any]]) -> list[Any]:
    return [each for page in pages for each in page]


def wanted(**change: Any) -> m.OfferWanted:
    return dataclasses.replace(OFFER, **change)


def parcel(
    *pieces: str, number: str | None = NUMBER, carrier: str | None = "dhl", **more: Any
) -> m.ShipmentWanted:
    return m.ShipmentWanted(pieces, number, carrier, more.pop("name", carrier), **more)


def reason(given: m.PieceAnswer | m.OfferAnswer | m.ConnectionCheck) -> str:
    assert given.reason is not None
    return given.reason.code


# --- the connection ------------------------------------------------------------------------------------------------------------


def test_the_check_tells_the_seller_and_his_delivery_modes(cdiscount: Cdiscount) -> None:
    checked = cdiscount.client().check()
    assert (checked.ok, checked.reason) == (True, None)
    assert checked.facts["seller"] == "Anna's Teeladen"
    assert checked.facts["delivery_modes"] == ["STD", "TRK", "REG"]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"client_secret": "x" * 20}, "credentials.refused"),
        ({"seller_id": "77002"}, "cdiscount.not_authorised"),
        ({"delivery_costs": {"TRK": "4.90"}}, "cdiscount.mode_cost_missing"),
        ({"delivery_modes": ["STD"]}, "cdiscount.mode_missing"),
    ],
)
def test_the_check_says_what_is_wrong(cdiscount: Cdiscount, settings: dict[str, Any], code: str) -> None:
    checked = cdiscount.client(**settings).check()
    assert not checked.ok
    assert reason(checked) == code


def test_registered_is_needed_only_where_the_account_has_it(cdiscount: Cdiscount) -> None:
    cdiscount.world.conduct.modes = ["TRK"]
    assert cdiscount.client(delivery_costs={"TRK": "4.90"}).check().ok


def test_a_token_is_asked_for_once_and_kept_for_nine_tenths_of_its_life(cdiscount: Cdiscount) -> None:
    clock = [0.0]
    cdiscount.kept._clock = lambda: clock[0]
    for seconds in (0, 6479, 6481):
        clock[0] = seconds
        cdiscount.client().read_pieces(cdiscount.order())
    assert cdiscount.faults.count("POST", "/auth/") == 2


def test_a_revoked_token_is_renewed_once(cdiscount: Cdiscount) -> None:
    pieces = cdiscount.order()
    cdiscount.client().read_pieces(pieces)
    cdiscount.world.tokens.clear()
    assert cdiscount.client().read_pieces(pieces)
    assert cdiscount.faults.count("POST", "/auth/") == 2


def test_a_token_that_is_refused_again_stops_the_connection(cdiscount: Cdiscount) -> None:
    cdiscount.faults.add({"kind": "status", "path": "/orders", "status": 401, "count": -1})
    with pytest.raises(Unauthorised):
        cdiscount.client().read_pieces(["A/B/1"])
    assert cdiscount.faults.count("GET", "/orders/A") == 2


def test_every_call_names_the_seller(cdiscount: Cdiscount) -> None:
    door = ScriptedDoor()
    door.on("POST", "/auth/.*", answer(200, {"access_token": "t", "expires_in": 7200}))
    door.on("*", ".*", answer(404))
    CdiscountClient(door, CdiscountSettings().load(SETTINGS)).read_pieces(["A/B/1"])  # type: ignore[arg-type]
    (token, call) = door.sent
    assert (token.host, token.lane) == ("auth", "tokens")
    assert (call.headers["SellerId"], call.headers["Authorization"]) == ("98979", "Bearer t")


@pytest.mark.parametrize("after", [None, 7])
def test_too_many_calls_pause_the_connection(cdiscount: Cdiscount, after: int | None) -> None:
    cdiscount.faults.add({"kind": "status", "path": "/orders", "status": 429, "retry_after": after})
    with pytest.raises(Unavailable) as busy:
        flat(cdiscount.client().orders_changed(hour_ago()))
    assert busy.value.pauses
    assert busy.value.retry_after == after or after is None


def test_the_token_quota_is_no_refusal_of_the_credentials(cdiscount: Cdiscount) -> None:
    cdiscount.world.conduct.tokens_per_hour = 0
    with pytest.raises(Unavailable):
        cdiscount.client().check()


# --- orders --------------------------------------------------------------------------------------------------------------------


def test_an_order_that_waits_is_announced_without_address(cdiscount: Cdiscount) -> None:
    pieces = cdiscount.order(("TEE-001", 2), status="WaitingAcceptance")
    (order,) = flat(cdiscount.client().orders_to_ship(None))
    assert order.awaits_acceptance
    assert order.shipping is None
    assert [(each.external_id, each.state) for each in order.pieces] == [
        (piece, m.PieceState.ANNOUNCED) for piece in pieces
    ]


def test_an_accepted_order_gets_its_address_and_may_be_shipped(cdiscount: Cdiscount) -> None:
    (piece,) = cdiscount.order(status="WaitingAcceptance")
    client = cdiscount.client()
    told = client.accept_order(piece.partition("/")[0], [piece], [])
    assert [(each.ok, each.already) for each in told.pieces] == [(True, False)]
    (order,) = flat(client.orders_to_ship(None))
    assert order.pieces[0].state is m.PieceState.ANNOUNCED
    cdiscount.settle()
    (order,) = flat(client.orders_to_ship(hour_ago()))
    assert order.pieces[0].state is m.PieceState.TO_SHIP
    assert order.shipping is not None
    assert (order.shipping.city, order.shipping.email) == ("Lyon", "x1@relay.example")


def test_a_refused_order_is_cancelled(cdiscount: Cdiscount) -> None:
    pieces = cdiscount.order(("TEE-001", 2), status="WaitingAcceptance")
    told = cdiscount.client().accept_order(pieces[0].partition("/")[0], [], pieces)
    assert {each.state for each in told.pieces} == {m.PieceState.CANCELLED}
    assert cdiscount.status(pieces[0]) == "Refused"


def test_an_order_answered_before_is_already_done(cdiscount: Cdiscount) -> None:
    (piece,) = cdiscount.order(status="Accepted")
    told = cdiscount.client().accept_order(piece.partition("/")[0], [piece], [])
    assert told.pieces[0].already
    assert cdiscount.faults.count("POST", "approval") == 0


def test_an_accepted_order_cannot_be_refused(cdiscount: Cdiscount) -> None:
    (piece,) = cdiscount.order()
    told = cdiscount.client().accept_order(piece.partition("/")[0], [], [piece])
    assert reason(told.pieces[0]) == "cdiscount.accepted_already"


def test_an_order_cancelled_meanwhile_is_told_as_it_is(cdiscount: Cdiscount) -> None:
    (piece,) = cdiscount.order(status="WaitingAcceptance")
    cdiscount.world.buyer_cancels([piece])
    told = cdiscount.client().accept_order(piece.partition("/")[0], [piece], [])
    assert told.seen is not None
    assert told.seen.pieces[0].state is m.PieceState.CANCELLED


def test_only_lines_of_the_seller_are_seen(cdiscount: Cdiscount) -> None:
    lines = [{"sku": "TEE-001", "pieces": 1}, {"sku": "TEE-002", "supplyMode": "Fulfillment"}]
    cdiscount.order(lines=lines)
    cdiscount.order(lines=[{"sku": "TEE-003", "supplyMode": "Xdock"}])
    (order,) = flat(cdiscount.client().orders_to_ship(None))
    assert [each.sku for each in order.pieces] == ["TEE-001"]


def test_changes_come_since_then_and_a_quarter_of_an_hour_before(cdiscount: Cdiscount) -> None:
    cdiscount.order(status="Shipped")
    client, now = cdiscount.client(), datetime.now(UTC)
    flat(client.orders_changed(now))  # the daily look, which reaches further back
    assert len(flat(client.orders_changed(now + timedelta(minutes=14)))) == 1
    assert flat(client.orders_changed(now + timedelta(minutes=16))) == []


def test_once_a_day_the_last_two_days_are_read_again(cdiscount: Cdiscount) -> None:
    clock = [0.0]
    cdiscount.kept._clock = lambda: clock[0]
    (piece,) = cdiscount.order()
    cdiscount.world.orders[piece.partition("/")[0]]["updated_at"] -= timedelta(hours=47)
    found = []
    for seconds in (0, 86_000, 86_500):
        clock[0] = seconds
        found.append(len(flat(cdiscount.client().orders_changed(datetime.now(UTC)))))
    assert found == [1, 0, 1]


def test_pages_of_a_hundred_are_all_read(cdiscount: Cdiscount) -> None:
    ids = {cdiscount.order()[0] for _ in range(205)}
    seen = flat(cdiscount.client().orders_changed(hour_ago()))
    assert {each.pieces[0].external_id for each in seen} == ids
    assert len(seen) == 205
    # Three pages, and once more because rows may have moved.
    assert cdiscount.faults.count("GET", "/orders$") == 2 * math.ceil(205 / 100)


def test_an_order_that_moves_while_pages_are_turned_is_not_lost(cdiscount: Cdiscount) -> None:
    pieces = [cdiscount.order()[0] for _ in range(150)]
    looks = iter(cdiscount.client().orders_to_ship(None))
    first = next(looks)
    # Ten of the first page leave the list: ten of the second page move up to the first.
    for order in first[:10]:
        with cdiscount.world.lock:
            cdiscount.world.ship(
                cdiscount.world.orders[order.external_id], {"parcelNumber": NUMBER, "carrierName": "DHL"}
            )
    seen = {each.pieces[0].external_id for each in [*first, *flat(looks)]}
    assert seen == set(pieces)


def test_half_a_page_is_noticed_and_read_again(cdiscount: Cdiscount) -> None:
    pieces = {cdiscount.order()[0] for _ in range(6)}
    cdiscount.faults.add({"kind": "half_page", "path": "/orders$", "rows": "items"})
    seen = flat(cdiscount.client().orders_changed(hour_ago()))
    assert {each.pieces[0].external_id for each in seen} == pieces


def test_an_order_that_comes_twice_is_told_once(cdiscount: Cdiscount) -> None:
    cdiscount.order()
    cdiscount.faults.add({"kind": "duplicate_row", "path": "/orders$", "rows": "items", "count": -1})
    assert len(flat(cdiscount.client().orders_changed(hour_ago()))) == 1


def test_a_status_nobody_knows_is_unclear(cdiscount: Cdiscount) -> None:
    cdiscount.order()
    cdiscount.faults.add({"kind": "unknown_enum", "path": "/orders/26", "rows": "lines", "name": "status"})
    (order,) = flat(cdiscount.client().orders_changed(hour_ago()))
    (piece,) = cdiscount.client().read_pieces([order.pieces[0].external_id])
    assert (piece.state, piece.raw_state) == (m.PieceState.UNCLEAR, "never_seen_before")


def test_an_unreadable_order_does_not_hide_the_others(cdiscount: Cdiscount) -> None:
    cdiscount.order()
    (bad,) = cdiscount.order()
    cdiscount.world.orders[bad.partition("/")[0]]["lines"][bad.split("/")[1]]["pieces"] = 0
    pages = iter(cdiscount.client().orders_changed(hour_ago()))
    assert len(next(pages)) == 1
    with pytest.raises(Invalid):
        list(pages)


def test_a_maintenance_page_is_only_not_now(cdiscount: Cdiscount) -> None:
    cdiscount.faults.add({"kind": "garbage", "path": "/orders", "count": -1})
    with pytest.raises(Unavailable):
        flat(cdiscount.client().orders_changed(hour_ago()))


def test_a_piece_of_an_unknown_order_is_left_out(cdiscount: Cdiscount) -> None:
    (piece,) = cdiscount.order()
    assert [each.external_id for each in cdiscount.client().read_pieces([piece, "26X/1/1"])] == [piece]


# --- parcels -------------------------------------------------------------------------------------------------------------------


def test_one_parcel_ships_the_whole_order(cdiscount: Cdiscount) -> None:
    pieces = cdiscount.order(("TEE-001", 2), ("TEE-002", 1))
    told = cdiscount.client().ship(parcel(*pieces))
    assert [(each.external_id, each.ok, each.state) for each in told] == [
        (piece, True, m.PieceState.SHIPPED) for piece in pieces
    ]
    sent = cdiscount.world.orders[pieces[0].partition("/")[0]]["parcel"]
    assert (sent["parcelNumber"], sent["carrierName"]) == (NUMBER, "DHL")
    assert NUMBER in sent["trackingUrl"]
    assert "orderLineIds" not in sent


@pytest.mark.parametrize(
    ("carrier", "name", "label"),
    [
        ("colissimo", "Colissimo", "Colissimo"),
        ("colis_prive", "Colis Prive", "Colis Privé"),
        ("poste_italiane", "Poste Italiane", "autre"),
        (None, "VertChezVous", "VertChezVous"),
        (None, None, "autre"),
    ],
)
def test_the_carrier_is_told_by_a_name_of_their_list(
    cdiscount: Cdiscount, carrier: str | None, name: str | None, label: str
) -> None:
    pieces = cdiscount.order()
    cdiscount.client().ship(parcel(*pieces, carrier=carrier, name=name))
    assert cdiscount.world.orders[pieces[0].partition("/")[0]]["parcel"]["carrierName"] == label


def test_without_a_tracking_number_nothing_is_sent(cdiscount: Cdiscount) -> None:
    (told,) = cdiscount.client().ship(parcel(*cdiscount.order(), number=None))
    assert reason(told) == "ship.tracking_required"
    assert cdiscount.faults.calls == []


def test_a_further_parcel_is_not_told(cdiscount: Cdiscount) -> None:
    (told,) = cdiscount.client().ship(parcel(*cdiscount.order(status="Shipped"), further_parcel=True))
    assert (told.ok, told.already) == (True, True)
    assert cdiscount.faults.calls == []


def test_an_order_that_has_left_is_not_shipped_again(cdiscount: Cdiscount) -> None:
    (told,) = cdiscount.client().ship(parcel(*cdiscount.order(status="Delivered")))
    assert (told.ok, told.already, told.state) == (True, True, m.PieceState.DELIVERED)
    assert cdiscount.faults.count("POST", "shipments") == 0


def test_a_refused_parcel_says_why(cdiscount: Cdiscount) -> None:
    (told,) = cdiscount.client().ship(parcel(*cdiscount.order(status="Accepted")))
    assert (told.ok, told.state) == (False, m.PieceState.ANNOUNCED)
    assert reason(told) == "partner.field_refused"


# --- lost answers ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", [True, False])
@pytest.mark.parametrize("kind", ["reset", "status", "garbage"])
@pytest.mark.parametrize("deed", ["accept", "ship", "cancel", "refund", "gesture"])
def test_a_deed_whose_answer_got_lost_is_read_back_and_never_doubled(
    cdiscount: Cdiscount, deed: str, kind: str, effect: bool
) -> None:
    before = {"accept": "WaitingAcceptance", "ship": "InPreparation", "cancel": "InPreparation"}
    pieces = cdiscount.order(("TEE-001", 1), ("TEE-002", 2), status=before.get(deed, "Delivered"))
    client, order_id = cdiscount.client(), pieces[0].partition("/")[0]
    refunded = client.read_refunded(pieces[0])

    def act() -> None:
        if deed == "accept":
            client.accept_order(order_id, pieces, [])
        elif deed == "ship":
            client.ship(parcel(*pieces))
        elif deed == "cancel":
            client.cancel(pieces, "out_of_stock")
        else:
            client.refund(pieces[0], 790 if deed == "refund" else 200, "damaged")

    path = "approval|shipments|requests"
    cdiscount.faults.add({"kind": kind, "method": "POST", "path": path, "status": 502, "effect": effect})
    with pytest.raises(Unknown):
        act()
    # As the flows do: a refund is looked up, everything else reads its order itself.
    amount = {"refund": 790, "gesture": 200}.get(deed)
    if amount is None or client.read_refunded(pieces[0]) < refunded + amount:
        act()
    counted = {"gesture": "refund"}.get(deed, deed)
    assert len(cdiscount.done(counted)) == 1
    if amount is not None:
        assert client.read_refunded(pieces[0]) == refunded + amount


@pytest.mark.parametrize(("deed", "status"), [("cancel", "InPreparation"), ("refund", "Delivered")])
def test_a_request_that_the_order_does_not_show_is_found_in_the_list(
    cdiscount: Cdiscount, deed: str, status: str
) -> None:
    cdiscount.world.conduct.lines_tell_requests = False
    (piece,) = cdiscount.order(status=status)
    client = cdiscount.client()
    if deed == "cancel":
        for already in (False, True):
            (told,) = client.cancel([piece], "other")
            assert (told.ok, told.pending, told.already) == (True, True, already)
    else:
        client.refund(piece, 790, "return")
        assert client.read_refunded(piece) == 790
    assert len(cdiscount.done(deed)) == 1


def test_a_request_that_was_refused_may_be_asked_for_again(cdiscount: Cdiscount) -> None:
    cdiscount.world.conduct.refuse_requests = True
    pieces = cdiscount.order()
    client = cdiscount.client()
    for _ in range(2):
        assert client.cancel(pieces, "other")[0].pending
        cdiscount.settle()
    assert len(cdiscount.done("cancel")) == 2
    assert client.read_pieces(pieces)[0].state is m.PieceState.TO_SHIP


def test_a_timeout_after_the_parcel_was_taken_is_unknown(cdiscount: Cdiscount) -> None:
    pieces = cdiscount.order()
    cdiscount.client().read_pieces(pieces)
    cdiscount.faults.add({"kind": "timeout", "method": "POST", "path": "shipments", "seconds": 5})
    with pytest.raises(Unknown):
        cdiscount.client(door=cdiscount.door(deadline=2)).ship(parcel(*pieces))
    assert cdiscount.client().read_pieces(pieces)[0].state is m.PieceState.SHIPPED


# --- cancelling ------------------------------------------------------------------------------------------------------------------


def test_a_cancelled_order_is_asked_for_as_a_whole_and_decided_later(cdiscount: Cdiscount) -> None:
    pieces = cdiscount.order(("TEE-001", 2), ("TEE-002", 1))
    told = cdiscount.client().cancel(pieces, "out_of_stock")
    assert all(each.ok and each.pending and each.state is None for each in told)
    assert cdiscount.world.requests[0]["lines"] is None
    assert {each.state for each in cdiscount.client().read_pieces(pieces)} == {m.PieceState.ANNOUNCED}
    cdiscount.settle()
    assert {each.state for each in cdiscount.client().read_pieces(pieces)} == {m.PieceState.CANCELLED}


def test_one_line_is_cancelled_alone(cdiscount: Cdiscount) -> None:
    first, second, third = cdiscount.order(("TEE-001", 2), ("TEE-002", 1))
    cdiscount.client().cancel([first, second], "out_of_stock")
    assert cdiscount.world.requests[0]["lines"] == [first.split("/")[1]]
    cdiscount.settle()
    states = {each.external_id: each.state for each in cdiscount.client().read_pieces([first, second, third])}
    assert states[third] is m.PieceState.TO_SHIP
    assert {states[first], states[second]} == {m.PieceState.CANCELLED}


def test_a_part_of_a_line_is_refused_with_what_to_do(cdiscount: Cdiscount) -> None:
    first, _, third = cdiscount.order(("TEE-001", 2), ("TEE-002", 1))
    told = {each.external_id: each for each in cdiscount.client().cancel([first, third], "other")}
    assert reason(told[first]) == "cdiscount.cancel_whole_lines"
    assert told[third].pending
    assert len(cdiscount.done("cancel")) == 1


def test_an_order_that_waits_is_refused_instead(cdiscount: Cdiscount) -> None:
    pieces = cdiscount.order(status="WaitingAcceptance")
    (told,) = cdiscount.client().cancel(pieces, "out_of_stock")
    assert (told.ok, told.state, told.pending) == (True, m.PieceState.CANCELLED, False)
    assert cdiscount.status(pieces[0]) == "Refused"


def test_what_has_left_is_not_cancelled(cdiscount: Cdiscount) -> None:
    (told,) = cdiscount.client().cancel(cdiscount.order(status="Shipped"), "other")
    assert (reason(told), told.state) == ("cancel.not_possible", m.PieceState.SHIPPED)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("buyer_cancelled", "CustomerRequest"),
        ("out_of_stock", "OutOfStock"),
        ("address_undeliverable", "InvalidAddress"),
        ("wrong_price", "PriceError"),
        ("wrong_data", "Other"),
        ("other", "Other"),
    ],
)
def test_the_reason_is_one_that_the_status_allows(cdiscount: Cdiscount, ours: str, theirs: str) -> None:
    cdiscount.client().cancel(cdiscount.order(), ours)
    (call,) = [
        each for each in cdiscount.faults.calls if each.method == "POST" and "cancellation" in each.path
    ]
    assert call.body["reason"] == theirs


def test_a_reason_chosen_by_the_merchant_wins(cdiscount: Cdiscount) -> None:
    cdiscount.client(cancel_codes={"other": "PriceError"}).cancel(cdiscount.order(), "other")
    assert [each for each in cdiscount.faults.calls if each.body and each.body.get("reason") == "PriceError"]


def test_a_reason_that_is_none_of_ours_is_refused(cdiscount: Cdiscount) -> None:
    with pytest.raises(Refused):
        cdiscount.client().cancel(cdiscount.order(), "bored")


# --- giving back -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amount", "shipping"), [(790, False), (1280, True)])
def test_a_whole_line_after_shipping_is_cancelled(cdiscount: Cdiscount, amount: int, shipping: bool) -> None:
    piece, _ = cdiscount.order(("TEE-001", 1), ("TEE-002", 1), status="Delivered", shipping=490)
    client = cdiscount.client()
    told = client.refund(piece, amount, "return")
    assert (told.ok, told.pending) == (True, True)
    assert cdiscount.world.requests[0]["shipping"] is shipping
    assert client.read_refunded(piece) >= amount
    cdiscount.settle()
    assert (
        cdiscount.world.piece_rows(cdiscount.world.orders[piece.partition("/")[0]])[0]["refunded"] == amount
    )
    (seen,) = client.read_pieces([piece])
    assert seen.state is m.PieceState.RETURNED


@pytest.mark.parametrize(("lines", "amount"), [((("TEE-001", 1),), 200), ((("TEE-001", 2),), 790)])
def test_an_amount_is_a_commercial_gesture(
    cdiscount: Cdiscount, lines: tuple[tuple[str, int], ...], amount: int
) -> None:
    piece = cdiscount.order(*lines, status="Shipped")[0]
    assert cdiscount.client().refund(piece, amount, "damaged").ok
    (given,) = cdiscount.world.gestures
    assert (given["amount"], given["reason"], given["details"]) == (amount, "Other", "Produit endommagé")
    assert cdiscount.client().read_refunded(piece) == amount


def test_more_than_is_allowed_is_refused_with_the_amount(cdiscount: Cdiscount) -> None:
    (piece,) = cdiscount.order(status="Shipped")
    told = cdiscount.client().refund(piece, 789, "other")
    assert told.reason is not None
    assert told.reason.code == "cdiscount.gesture_too_high"
    assert (told.reason.params["amount"], told.reason.params["allowed"]) == (789, "4.74 EUR")
    assert cdiscount.world.gestures == []


def test_nothing_is_refunded_before_it_has_left(cdiscount: Cdiscount) -> None:
    (piece,) = cdiscount.order()
    assert reason(cdiscount.client().refund(piece, 100, "other")) == "refund.before_shipping"


@pytest.mark.parametrize(("amount", "why"), [(0, "other"), (True, "other"), (100, "bored")])
def test_a_refund_that_makes_no_sense_is_refused(cdiscount: Cdiscount, amount: int, why: str) -> None:
    with pytest.raises(Refused):
        cdiscount.client().refund("A/B/1", amount, why)


def test_money_that_went_back_after_shipping_is_told_as_a_return(cdiscount: Cdiscount) -> None:
    first, second, third = cdiscount.order(("TEE-001", 2), ("TEE-002", 1), status="Delivered")
    cdiscount.order()
    client = cdiscount.client()
    client.refund(third, 790, "return")
    assert flat(client.returns_changed(hour_ago())) == []
    cdiscount.settle()
    (seen,) = flat(client.returns_changed(hour_ago()))
    assert [(each.piece_external_id, each.state) for each in seen.pieces] == [(third, m.ReturnState.ACCEPTED)]
    assert {each.state for each in client.read_pieces([first, second])} == {m.PieceState.DELIVERED}


def test_there_is_no_return_to_accept(cdiscount: Cdiscount) -> None:
    assert reason(cdiscount.client().accept_return("A/B/1")) == "refund.not_supported"


# --- offers ----------------------------------------------------------------------------------------------------------------------


def test_a_new_offer_is_taken_then_on_sale(cdiscount: Cdiscount) -> None:
    client = cdiscount.client()
    (taken,) = client.push_offers([OFFER])
    assert (taken.ok, taken.state, taken.shown) == (True, m.OfferState.WAITING, None)
    assert taken.task is not None
    (still,) = client.read_tasks([taken.task])
    assert not still.done
    (seen,) = client.read_tasks([taken.task])
    assert seen.done
    (told,) = seen.answers
    assert (told.ok, told.state) == (True, m.OfferState.ON_SALE)
    assert told.shown is not None
    assert (told.shown.external_ref, told.shown.price, told.shown.stock) == ("TEE-001", 790, 5)
    assert told.shown.handling_days == 1
    offer = cdiscount.world.offers["TEE-001"]
    assert offer["modes"] == {"STD": (290, 0), "TRK": (490, 0), "REG": (690, 0)}
    assert offer["taxes"] == {"VAT": "20", "Ecotax": "0.00"}


def shown(**change: Any) -> m.OfferShown:
    values: dict[str, Any] = {"price": 790, "stock": 5, "handling_days": 1, "on": True} | change
    return m.OfferShown("TEE-001", "TEE-001", **values)


@pytest.mark.parametrize(
    ("change", "kind", "body"),
    [
        ({"stock": 3}, "Update", {"quantity": 3}),
        ({"price": 999}, "Update", {"price": {"price": 9.99}}),
        ({"price": 999, "stock": 0}, "Update", {"price": {"price": 9.99}, "quantity": 0}),
        ({"on": False}, "Update", {"quantity": 0}),
        ({"handling_days": 3}, "Upsert", None),
        ({}, "Upsert", None),
    ],
)
def test_only_what_differs_is_sent(
    cdiscount: Cdiscount, change: dict[str, Any], kind: str, body: dict[str, Any] | None
) -> None:
    cdiscount.on_sale()
    cdiscount.pushed(cdiscount.client(), wanted(external_ref="TEE-001", was=shown(), **change))
    (package,) = cdiscount.world.packages.values()
    assert package["type"] == kind
    (call,) = [each for each in cdiscount.faults.calls if each.path.endswith("offer-requests")]
    if body is not None:
        assert call.body == [{"sellerExternalReference": "TEE-001", **body}]
    else:
        assert {"deliveryModes", "preparationTime", "price", "product", "quantity"} < set(call.body[0])


def test_other_delivery_costs_make_an_upsert_of_a_change_of_stock(cdiscount: Cdiscount) -> None:
    cdiscount.pushed(cdiscount.client(), OFFER)
    # The hourly look shows no preparation time: what was sent is remembered.
    change = {"external_ref": "TEE-001", "stock": 3, "was": shown(handling_days=None, on=None)}
    cdiscount.pushed(cdiscount.client(), wanted(**change))
    cdiscount.pushed(
        cdiscount.client(delivery_costs={"TRK": "5.90", "REG": "7.90"}),
        wanted(**change | {"stock": 2}),
    )
    assert [each["type"] for each in cdiscount.world.packages.values()] == ["Upsert", "Update", "Upsert"]
    assert cdiscount.world.offers["TEE-001"]["modes"] == {"TRK": (590, 0), "REG": (790, 0)}


@pytest.mark.parametrize("count", [1, 100, 101, 250])
def test_a_push_is_one_package_with_a_hundred_offers_a_call(cdiscount: Cdiscount, count: int) -> None:
    offers = [wanted(sku=f"TEE-{n:03d}", external_ref=f"TEE-{n:03d}") for n in range(count)]
    answers = cdiscount.pushed(cdiscount.client(), *offers)
    assert {each.state for each in answers.values()} == {m.OfferState.ON_SALE}
    assert cdiscount.faults.count("POST", "offer-packages$") == 1
    assert cdiscount.faults.count("POST", "offer-requests$") == math.ceil(count / 100)
    assert cdiscount.faults.count("PATCH", "offer-packages") == 1
    assert cdiscount.faults.count("GET", "/offers$") == math.ceil(count / 100)


def test_a_reference_that_is_twice_is_refused_before_sending(cdiscount: Cdiscount) -> None:
    answers = cdiscount.client().push_offers([OFFER, wanted(price=1), wanted(sku="TEE-002", gtin=OTHER_GTIN)])
    by_sku = {each.sku: each for each in answers}
    assert reason(by_sku["TEE-001"]) == "product.sku_duplicate"
    assert by_sku["TEE-002"].task
    (call,) = [each for each in cdiscount.faults.calls if each.path.endswith("offer-requests")]
    assert [each["sellerExternalReference"] for each in call.body] == ["TEE-002"]


def test_one_offer_that_cannot_be_taken_does_not_keep_the_others(cdiscount: Cdiscount) -> None:
    offers = [wanted(sku=f"TEE-{n}", external_ref=f"TEE-{n}") for n in range(8)]
    cdiscount.faults.add(
        {"kind": "status", "path": "offer-requests$", "body": '"TEE-5"', "status": 400, "count": -1}
    )
    answers = {each.sku: each for each in cdiscount.client().push_offers(offers)}
    assert reason(answers["TEE-5"]) == "offer.refused"
    assert sum(each.task is not None for each in answers.values()) == 7


def test_a_package_of_which_nothing_is_taken_is_not_sent(cdiscount: Cdiscount) -> None:
    cdiscount.faults.add({"kind": "status", "path": "offer-requests$", "status": 400, "count": -1})
    (told,) = cdiscount.client().push_offers([OFFER])
    assert (told.ok, told.task) == (False, None)
    assert cdiscount.faults.count("PATCH", "offer-packages") == 0


def test_a_rejected_package_says_so_of_every_offer(cdiscount: Cdiscount) -> None:
    cdiscount.world.conduct.reject_packages = 1
    answers = cdiscount.pushed(cdiscount.client(), OFFER, wanted(sku="TEE-002", gtin=OTHER_GTIN))
    assert {(each.ok, reason(each)) for each in answers.values()} == {(False, "offer.batch_refused")}
    told = answers["TEE-001"].reason
    assert told is not None
    assert told.params["message"] == "The package could not be read"


def test_an_unknown_product_is_said_before_anything_is_sent(cdiscount: Cdiscount) -> None:
    (told,) = cdiscount.client().push_offers([wanted(gtin=UNKNOWN_GTIN)])
    assert (told.state, reason(told)) == (m.OfferState.NEEDS_PRODUCT, "product.unknown_gtin")
    assert cdiscount.world.packages == {}


def test_a_product_that_was_known_is_asked_for_once_a_day(cdiscount: Cdiscount) -> None:
    for _ in range(2):
        cdiscount.client().push_offers([OFFER])
    assert cdiscount.faults.count("GET", "/products$") == 1


@pytest.mark.parametrize(
    ("code", "state", "said"),
    [
        ("1301", m.OfferState.NEEDS_PRODUCT, "product.unknown_gtin"),
        ("2700", m.OfferState.NEEDS_VARIATION, "cdiscount.needs_variation"),
        ("2503", m.OfferState.REFUSED, "product.sku_duplicate"),
        ("4012", m.OfferState.REFUSED, "cdiscount.mode_missing"),
        ("9999", m.OfferState.REFUSED, "offer.refused"),
        ("<code>", m.OfferState.REFUSED, "offer.refused"),
    ],
)
def test_a_rejected_offer_says_why(
    cdiscount: Cdiscount, code: str, state: m.OfferState, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cdiscount.world, "_upsert", lambda _: (code, "no"))
    told = cdiscount.pushed(cdiscount.client(), OFFER)["TEE-001"]
    assert (told.ok, told.state, reason(told)) == (False, state, said)


def test_an_offer_that_is_green_but_invisible_says_what_the_channel_says(cdiscount: Cdiscount) -> None:
    cdiscount.world.conduct.most_days = 2
    told = cdiscount.pushed(cdiscount.client(), wanted(handling_days=4))["TEE-001"]
    assert (told.ok, told.state) == (True, m.OfferState.WAITING)
    assert told.reason is not None
    assert told.reason.code == "cdiscount.not_visible"
    assert told.reason.params["message"] == "Preparation time is too long"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"handling_days": 6}, "offer.handling_days"),
        ({"currency": "PLN"}, "offer.currency"),
        ({"price": 0}, "offer.price_missing"),
        ({"condition": "used_good"}, "offer.condition_unknown"),
        ({"sku": "T" * 51}, "cdiscount.sku_length"),
        ({"gtin": None}, "product.gtin_missing"),
        ({"gtin": "14006381333938"}, "product.gtin_invalid"),
        ({"vat_percent": "7"}, "cdiscount.vat_unknown"),
    ],
)
def test_what_would_be_refused_anyway_is_said_at_once(
    cdiscount: Cdiscount, change: dict[str, Any], code: str
) -> None:
    (told,) = cdiscount.client().push_offers([wanted(**change)])
    assert (told.state, reason(told)) == (m.OfferState.REFUSED, code)
    assert cdiscount.world.packages == {}


def test_a_missing_mode_blocks_offers_but_not_an_old_stock(cdiscount: Cdiscount) -> None:
    cdiscount.on_sale()
    cdiscount.world.conduct.modes = ["STD"]
    gone = wanted(external_ref="TEE-001", on=False, was=shown())
    answers = cdiscount.pushed(cdiscount.client(), gone, wanted(sku="TEE-002", gtin=OTHER_GTIN))
    assert reason(answers["TEE-002"]) == "cdiscount.mode_missing"
    assert answers["TEE-001"].ok
    assert cdiscount.world.offers["TEE-001"]["stock"] == 0


def test_new_codes_of_modes_count_like_the_old_ones(cdiscount: Cdiscount) -> None:
    client = cdiscount.client(delivery_modes=["THD", "SHD"], additional_costs={"TRK": "1.00"})
    client.push_offers([OFFER])
    (call,) = [each for each in cdiscount.faults.calls if each.path.endswith("offer-requests")]
    assert call.body[0]["deliveryModes"] == [
        {"code": "THD", "cost": 4.9, "additionalCost": 1.0},
        {"code": "SHD", "cost": 6.9, "additionalCost": 0.0},
    ]
    assert cdiscount.faults.count("GET", "delivery-modes") == 0


@pytest.mark.parametrize("status", [404, 410])
def test_modes_that_octopia_lists_no_more_are_typed_in(cdiscount: Cdiscount, status: int) -> None:
    cdiscount.faults.add({"kind": "status", "path": "delivery-modes", "status": status, "count": -1})
    assert reason(cdiscount.client().check()) == "cdiscount.mode_missing"
    assert reason(cdiscount.client().push_offers([OFFER])[0]) == "cdiscount.mode_missing"
    assert cdiscount.client(delivery_modes=["TRK", "REG"]).check().ok


def test_delivery_modes_are_read_once_a_day(cdiscount: Cdiscount) -> None:
    for _ in range(3):
        cdiscount.client().push_offers([OFFER])
    assert cdiscount.faults.count("GET", "delivery-modes") == 1


@pytest.mark.parametrize("path", ["offer-packages$", "offer-requests$", "offer-packages/"])
def test_a_push_that_fails_in_the_middle_comes_back_whole(cdiscount: Cdiscount, path: str) -> None:
    cdiscount.faults.add({"kind": "status", "path": path, "status": 502})
    with pytest.raises(Unavailable):
        cdiscount.client().push_offers([OFFER])
    told = cdiscount.pushed(cdiscount.client(), OFFER)["TEE-001"]
    assert told.state is m.OfferState.ON_SALE


def test_a_package_that_is_gone_is_done_without_answers(cdiscount: Cdiscount) -> None:
    assert cdiscount.client().read_tasks(["offers:PKG1", "sheet:PRD1:TEE-001", "nonsense"]) == [
        m.TaskSeen("offers:PKG1", True),
        m.TaskSeen("sheet:PRD1:TEE-001", True),
        m.TaskSeen("nonsense", True),
    ]


def test_a_package_whose_last_word_got_lost_is_made_ready_again(cdiscount: Cdiscount) -> None:
    (taken,) = cdiscount.client().push_offers([OFFER])
    (package,) = cdiscount.world.packages.values()
    package["state"] = "WaitingForCompletion"
    (seen,) = cdiscount.client().read_tasks([str(taken.task)])
    assert (seen.done, package["state"]) == (False, "Ready")


def test_results_of_many_offers_are_read_to_their_end(cdiscount: Cdiscount) -> None:
    package = cdiscount.world.new_package("Upsert")
    told = {"integrationStatus": "Rejected", "results": [{"resultCode": "1301", "message": "no"}]}
    package["results"] = [{"sellerExternalReference": f"TEE-{n}", **told} for n in range(2500)]
    package["state"] = "Integrated"
    (seen,) = cdiscount.client().read_tasks([f"offers:{package['id']}"])
    assert len(seen.answers) == 2500
    assert cdiscount.faults.count("GET", "results$") == math.ceil(2500 / 1000)


def test_offers_are_read_back_by_sku_and_all(cdiscount: Cdiscount) -> None:
    for n in range(3):
        cdiscount.on_sale(f"TEE-{n}", stock=n)
    found = flat(cdiscount.client().read_offers(["TEE-0", "TEE-1", "TEE-9"]))
    assert [(each.sku, each.stock, each.state) for each in found] == [
        ("TEE-0", 0, m.OfferState.OFF),
        ("TEE-1", 1, m.OfferState.ON_SALE),
    ]
    assert len(flat(cdiscount.client().read_offers(None))) == 3


# --- product sheets ----------------------------------------------------------------------------------------------------------------

MAPPED: dict[str, Any] = {
    "categories": {"Tee": "0Z0102"},
    "product_texts": {"description": "attribute:Text"},
    "product_properties": {"3263": "attribute:Farbe"},
}
PRODUCT = m.ProductData(
    {
        "brand": "Teeladen",
        "category": "Tee",
        "attribute:Text": "<p>Gut &amp; warm</p><ul><li>lose</li></ul>",
        "attribute:Farbe": "Noir|Rouge",
    },
    ("https://shop.example/a.jpg",),
    "PARENT-1",
)


def unknown(**change: Any) -> m.OfferWanted:
    return wanted(**{"gtin": UNKNOWN_GTIN, "product": PRODUCT} | change)


def test_an_unknown_product_is_described_and_then_offered(cdiscount: Cdiscount) -> None:
    client = cdiscount.client(**MAPPED)
    told = cdiscount.pushed(client, unknown())["TEE-001"]
    # Not refused and not done: the offer comes again, now that the product is there.
    assert (told.ok, told.retry) == (True, True)
    (sheet,) = cdiscount.world.sheets.values()
    assert sheet["product"] == {
        "gtin": UNKNOWN_GTIN,
        "sellerProductReference": "TEE-001",
        "title": "Assam",
        "description": "Gut & warm\nlose",
        "brand": "Teeladen",
        "categoryCode": "0Z0102",
        "sellerPictureUrls": [{"index": 1, "url": "https://shop.example/a.jpg"}],
        "attributes": [{"propertyReference": "3263", "values": ["Noir", "Rouge"]}],
        "variantGroupReference": "PARENT-1",
    }
    assert cdiscount.pushed(client, unknown())["TEE-001"].state is m.OfferState.ON_SALE


def test_a_sheet_with_gaps_names_them(cdiscount: Cdiscount) -> None:
    (told,) = cdiscount.client(categories={"Kaffee": "1"}).push_offers([unknown(product=m.ProductData({}))])
    assert told.state is m.OfferState.NEEDS_PRODUCT
    assert told.reason is not None
    assert told.reason.params["fields"] == "description, brand, category, images"


@pytest.mark.parametrize(
    ("strange", "state", "code"),
    [
        ("ER400-6067", m.OfferState.NEEDS_PRODUCT, "product.data_missing"),
        ("CategorizationError", m.OfferState.NEEDS_PRODUCT, "cdiscount.categorization"),
        ("variation", m.OfferState.NEEDS_VARIATION, "cdiscount.needs_variation"),
        ("ER400-9", m.OfferState.NEEDS_PRODUCT, "product.data_refused"),
    ],
)
def test_a_refused_sheet_says_why(cdiscount: Cdiscount, strange: str, state: m.OfferState, code: str) -> None:
    cdiscount.world.conduct.strange_products = {UNKNOWN_GTIN: strange}
    told = cdiscount.pushed(cdiscount.client(**MAPPED), unknown())["TEE-001"]
    assert (told.ok, told.state, reason(told), told.retry) == (False, state, code, False)
    if strange == "ER400-6067":
        assert told.reason is not None
        assert told.reason.params["fields"] == "3263"


def test_a_sheet_above_the_quota_comes_later(cdiscount: Cdiscount) -> None:
    cdiscount.world.conduct.sheets_per_hour = 0
    told = cdiscount.pushed(cdiscount.client(**MAPPED), unknown())["TEE-001"]
    assert (told.retry, reason(told)) == (True, "cdiscount.product_quota")


def test_a_full_lane_keeps_only_sheets_waiting(cdiscount: Cdiscount) -> None:
    door = cdiscount.door(lanes={"products": "1/hour", "tokens": "500/hour"}, limiter=Limiter.in_memory())
    offers = [unknown(), unknown(sku="TEE-002", gtin="4012345678918"), wanted(sku="TEE-003")]
    told = {each.sku: each for each in cdiscount.client(door=door, **MAPPED).push_offers(offers)}
    assert str(told["TEE-001"].task).startswith("sheet:")
    assert (told["TEE-002"].retry, reason(told["TEE-002"])) == (True, "cdiscount.product_quota")
    assert str(told["TEE-003"].task).startswith("offers:")
    assert GTIN in cdiscount.world.products


def test_what_was_taken_before_a_failure_is_not_sent_again(cdiscount: Cdiscount) -> None:
    cdiscount.faults.add({"kind": "status", "path": "offer-packages$", "status": 503})
    offers = [unknown(), wanted(sku="TEE-003")]
    told = {each.sku: each for each in cdiscount.client(**MAPPED).push_offers(offers)}
    assert str(told["TEE-001"].task).startswith("sheet:")
    assert (told["TEE-003"].retry, reason(told["TEE-003"])) == (True, "partner.unreachable")


def test_an_update_stays_taken_when_the_upsert_fails(cdiscount: Cdiscount) -> None:
    cdiscount.on_sale()
    cdiscount.faults.add({"kind": "status", "path": "offer-packages$", "body": "Upsert", "status": 429})
    offers = [wanted(external_ref="TEE-001", stock=1, was=shown()), wanted(sku="TEE-003")]
    told = {each.sku: each for each in cdiscount.client().push_offers(offers)}
    assert str(told["TEE-001"].task).startswith("offers:")
    assert told["TEE-003"].retry
