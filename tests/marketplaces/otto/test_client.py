"""The OTTO client against simulated OTTO, over real HTTP and through the real Door."""

from __future__ import annotations

import dataclasses
import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised, Unavailable, Unknown
from app.marketplaces.otto import translate as t
from app.marketplaces.otto.client import OttoClient
from app.outbound import Limiter
from app.sandbox.otto.world import PROFILE
from tests.marketplaces.doors import ScriptedDoor, answer
from tests.marketplaces.otto.conftest import GTIN, OTHER_GTIN, SETTINGS, Otto, parcel

NUMBER = "00340434161094015902"
PRODUCT = m.ProductData({"title": "Assam"}, ("https://shop.example/assam.jpg",))
OFFER = m.OfferWanted("TEE-001", GTIN, "Assam", 790, "EUR", 5, 1, on=True, vat_percent="19", product=PRODUCT)


def hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def flat(pages: Any) -> list[Any]:
    return [each for page in pages for each in page]


def wanted(sku: str = "TEE-001", **change: Any) -> m.OfferWanted:
    return dataclasses.replace(OFFER, sku=sku, **change)


def was(**change: Any) -> m.OfferShown:
    """What OTTO has confirmed of an offer that is as wanted."""
    told: dict[str, Any] = {"price": 790, "stock": 5, "handling_days": 1, "on": True, "raw_state": "ONLINE"}
    return m.OfferShown("TEE-001", "M00A000001", **(told | change))


def made(client: OttoClient, answers: list[m.OfferAnswer]) -> list[m.TaskSeen]:
    """Ask until the tasks of these answers are done."""
    tasks = [each.task for each in answers if each.task]
    for _ in range(5):
        seen = client.read_tasks(tasks)
        if all(each.done for each in seen):
            return seen
        time.sleep(0.01)
    raise AssertionError(f"never done: {tasks}")


def calls(otto: Otto, method: str, path: str) -> int:
    return otto.faults.count(method, path)


# --- the token -----------------------------------------------------------------------------------------------------------------


def test_one_token_serves_many_calls_and_many_workers(otto: Otto) -> None:
    flat(otto.client().orders_to_ship(None))
    flat(otto.client().orders_changed(hour_ago()))
    assert calls(otto, "POST", "/oauth2/token") == 1


def test_a_token_is_renewed_a_minute_before_it_ends(otto: Otto) -> None:
    now = [0.0]
    otto.kept._clock = lambda: now[0]
    flat(otto.client().orders_to_ship(None))
    now[0] = 1739
    flat(otto.client().orders_to_ship(None))
    assert calls(otto, "POST", "/oauth2/token") == 1
    now[0] = 1741
    flat(otto.client().orders_to_ship(None))
    assert calls(otto, "POST", "/oauth2/token") == 2


def test_a_token_that_ended_early_is_asked_for_anew_once(otto: Otto) -> None:
    flat(otto.client().orders_to_ship(None))
    otto.world.tokens.clear()
    flat(otto.client().orders_to_ship(None))
    assert calls(otto, "POST", "/oauth2/token") == 2


def test_a_token_that_is_refused_twice_stops_the_connection(otto: Otto) -> None:
    otto.faults.add({"kind": "status", "path": "/v4/orders", "status": 401, "count": -1})
    with pytest.raises(Unauthorised) as refused:
        flat(otto.client().orders_to_ship(None))
    assert refused.value.code == "credentials.refused"
    assert (calls(otto, "POST", "/oauth2/token"), calls(otto, "GET", "/v4/orders")) == (2, 2)


def test_a_deed_with_an_ended_token_is_done_once(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.client().check()
    otto.world.tokens.clear()
    assert otto.client().ship(parcel(piece))[0].ok
    assert len(otto.done("ship")) == 1


def test_the_old_api_user_signs_in_with_a_password_full_of_signs_and_refreshes_once_each(otto: Otto) -> None:
    legacy = {"kind": "legacy", "username": "api-anna", "password": "p&ss wörd+1"}
    now = [0.0]
    otto.kept._clock = lambda: now[0]
    for moment in (0.0, 1741.0, 3500.0, 3600.0):
        now[0] = moment
        flat(otto.client(**legacy).orders_to_ship(None))
    tokens = [call for call in otto.faults.calls if call.path == "/v1/token"]
    assert [call.status for call in tokens] == [200, 200, 200]
    assert len(otto.world.refresh) == 1  # Each refresh token was used up by the next call.


def test_a_refresh_token_that_was_used_elsewhere_leads_back_to_the_password(otto: Otto) -> None:
    legacy = {"kind": "legacy", "username": "api-anna", "password": "p&ss wörd+1"}
    flat(otto.client(**legacy).orders_to_ship(None))
    otto.world.refresh.clear()
    otto.world.tokens.clear()
    flat(otto.client(**legacy).orders_to_ship(None))
    assert [call.status for call in otto.faults.calls if call.path == "/v1/token"] == [200, 400, 200]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"client_secret": "wrong"}, "credentials.refused"),
        ({"kind": "legacy", "username": "api-anna", "password": "wrong"}, "credentials.refused"),
    ],
)
def test_wrong_credentials_are_named(otto: Otto, settings: dict[str, Any], code: str) -> None:
    checked = otto.client(**settings).check()
    assert not checked.ok
    assert checked.reason is not None
    assert checked.reason.code == code


def test_a_missing_scope_is_named(otto: Otto) -> None:
    otto.seller.scopes = ["orders"]
    reason = otto.client().check().reason
    assert reason is not None
    assert reason.code == "otto.scope_missing"
    assert "shipments" in str(reason.params["scope"])


def test_a_scope_that_is_taken_away_is_named_with_the_interface(otto: Otto) -> None:
    otto.client().check()
    for token in otto.world.tokens.values():
        token["scopes"] = ["orders"]
    with pytest.raises(Refused) as refused:
        flat(otto.client().returns_changed(hour_ago()))
    assert (refused.value.code, refused.value.params["scope"]) == ("otto.scope_missing", "returns")


# --- the connection ------------------------------------------------------------------------------------------------------------


def test_the_check_tells_profiles_offers_and_the_way_to_go_live(otto: Otto) -> None:
    otto.seller.live = False
    otto.product()
    checked = otto.client(live=False, seller_name="Anna's Teeladen").check()
    assert (checked.ok, checked.reason) == (True, None)
    assert checked.facts["offers"] == {"RESTRICTED": 1}
    assert checked.facts["released"] is False
    steps = {str(each["step"]): each for each in checked.facts["golive"]}  # type: ignore[attr-defined]
    assert {name: each["by"] for name, each in steps.items()} == {
        "registered": "evidence",
        "test_customer": None,
        "product": "evidence",
        "test_order": None,
        "process_understood": None,
        "live": None,
    }
    assert steps["live"]["evidence"] == "ONLINE 0/1, RESTRICTED 1/1"
    assert "https://www.otto.example/p/" in str(steps["test_order"]["evidence"])
    assert "Anna's Teeladen" in str(checked.facts["support_text"])
    profiles = checked.facts["shipping_profiles"]
    assert profiles == [{"id": PROFILE, "name": "Paket Standard", "type": "PARCEL", "transport": 2}]


def test_an_order_is_evidence_of_the_test_order_and_stands_in_the_support_text(otto: Otto) -> None:
    otto.product()
    otto.order()
    checked = otto.client().check()
    steps = {str(each["step"]): each for each in checked.facts["golive"]}  # type: ignore[attr-defined]
    assert steps["test_order"]["by"] == steps["live"]["by"] == "evidence"
    assert next(iter(otto.world.orders.values()))["number"] in str(checked.facts["support_text"])


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"shipping_group": "00000000-0000-4000-8000-000000000000"}, "otto.profile_unknown"),
        ({"delivery_type": "FORWARDER_CURBSIDE"}, "otto.profile_missing"),
    ],
)
def test_the_check_wants_a_shipping_profile(otto: Otto, settings: dict[str, Any], code: str) -> None:
    reason = otto.client(**settings).check().reason
    assert reason is not None
    assert reason.code == code


# --- orders ---------------------------------------------------------------------------------------------------------------------


def test_each_piece_is_an_item_of_its_own_with_its_price(otto: Otto) -> None:
    pieces = otto.order(("TEE-001", 2), ("TEE-002", 1), fee=595)
    (order,) = flat(otto.client().orders_to_ship(None))
    assert [piece.external_id for piece in order.pieces] == pieces
    assert [piece.group for piece in order.pieces] == ["TEE-001|790", "TEE-001|790", "TEE-002|790"]
    assert [piece.shipping_price for piece in order.pieces] == [595, 0, 0]
    assert {piece.state for piece in order.pieces} == {m.PieceState.TO_SHIP}
    assert order.shipping is not None
    assert (order.shipping.country, order.shipping.email) == ("DE", "p-1@kunde.example")
    assert order.invoice_by_marketplace


def test_an_announced_order_comes_without_address_so_that_stock_is_reserved(otto: Otto) -> None:
    otto.order(state="announced")
    (order,) = flat(otto.client().orders_to_ship(None))
    assert (order.shipping, [piece.state for piece in order.pieces]) == (None, [m.PieceState.ANNOUNCED])


def test_an_order_of_which_one_item_is_announced_is_not_hidden(otto: Otto) -> None:
    first, second = otto.order(("TEE-001", 2))
    otto.world.move(otto.item(second), "ANNOUNCED")
    (order,) = flat(otto.client().orders_to_ship(None))
    assert {piece.external_id: piece.state for piece in order.pieces} == {
        first: m.PieceState.TO_SHIP,
        second: m.PieceState.ANNOUNCED,
    }


def test_without_address_nothing_is_to_be_shipped(otto: Otto) -> None:
    otto.order()
    otto.faults.add(
        {"kind": "schema_change", "path": "/v4/orders", "rows": "resources", "name": "deliveryAddress"}
    )
    (order,) = flat(otto.client().orders_to_ship(None))
    assert [piece.state for piece in order.pieces] == [m.PieceState.ANNOUNCED]


def test_orders_are_read_page_by_page_each_once(otto: Otto) -> None:
    for _ in range(300):
        otto.order()
    found = flat(otto.client().orders_to_ship(None))
    assert len({order.external_id for order in found}) == len(found) == 300
    assert calls(otto, "GET", "/v4/orders") == math.ceil(300 / 128)


def test_orders_that_leave_the_list_while_it_is_read_take_none_with_them(otto: Otto) -> None:
    pieces = [otto.order()[0] for _ in range(140)]
    pages = iter(otto.client().orders_to_ship(None))
    seen = [order.external_id for order in next(pages)]
    for piece in pieces[:20]:
        otto.world.move(otto.item(piece), "SENT")
    seen += [order.external_id for page in pages for order in page]
    assert len(seen) == len(set(seen)) == 140


def test_a_link_to_the_same_page_ends_the_list() -> None:
    door = ScriptedDoor().on("POST", "/oauth2/token", answer(200, {"access_token": "t", "expires_in": 1800}))
    query = "fulfillmentStatus=PROCESSABLE&fulfillmentStatus=ANNOUNCED&mode=AT_LEAST_ONE&limit=128"
    links = [{"rel": "next", "href": f"/v4/orders?{query}"}]
    door.on("GET", "/v4/orders", answer(200, {"resources": [ORDER_ROW], "links": links}))
    found = flat(OttoClient(door, SETTINGS | LOADED).orders_to_ship(None))  # type: ignore[arg-type]
    assert (len(found), door.count("orders_to_ship")) == (1, 1)


LOADED = {"kind": "self_app", "delivery_type": "PARCEL", "return_carrier": "DHL"}
ORDER_ROW = {
    "salesOrderId": "a24c37c0-768f-44e6-9f5c-1e4430d4ab32",
    "orderNumber": "bwqwz7s8cx",
    "orderDate": "2026-11-16T05:59:01.255+0000",
    "positionItems": [
        {
            "positionItemId": "8a88e387-a03d-4cc9-99d9-3de6a5c038bd",
            "fulfillmentStatus": "PROCESSABLE",
            "itemValueGrossPrice": {"amount": 8, "currency": "EUR"},
            "product": {"sku": "TEE-001", "vatRate": 19},
        }
    ],
}


def test_half_a_page_is_made_good_by_the_next_look(otto: Otto) -> None:
    for _ in range(4):
        otto.order()
    otto.faults.add({"kind": "half_page", "path": "/v4/orders", "rows": "resources"})
    assert len(flat(otto.client().orders_to_ship(None))) == 2
    assert len(flat(otto.client().orders_to_ship(None))) == 4


def test_an_order_that_comes_twice_is_told_once(otto: Otto) -> None:
    otto.order()
    otto.faults.add({"kind": "duplicate_row", "path": "/v4/orders", "rows": "resources"})
    assert len(flat(otto.client().orders_to_ship(None))) == 1


def test_an_unknown_status_is_unclear_and_kept(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.item(piece)["status"] = "PARKED"
    otto.complaints.clear()
    (seen,) = otto.client().read_pieces([piece])
    assert (seen.state, seen.raw_state) == (m.PieceState.UNCLEAR, "PARKED")
    otto.complaints.clear()


def test_an_unreadable_order_is_told_after_all_others(otto: Otto) -> None:
    for _ in range(3):
        otto.order()
    broken = next(iter(otto.world.orders.values()))["items"][0]
    otto.world.items[broken]["price"] = 100.5  # A tenth of a cent too much.
    pages = iter(otto.client().orders_to_ship(None))
    found = next(pages)
    with pytest.raises(Invalid) as invalid:
        next(pages)
    assert len(found) == 2
    assert "itemValueGrossPrice" in str(invalid.value.params["field"])


def test_changes_are_found_by_their_date_and_those_without_are_not(otto: Otto) -> None:
    first, second, third = (otto.order()[0] for _ in range(3))
    otto.world.cancel_by_buyer([otto.item(first)])
    otto.world.move(otto.item(second), "SENT")
    since = datetime.now(UTC) - timedelta(minutes=1)
    found = {
        piece.external_id: piece
        for order in flat(otto.client().orders_changed(since))
        for piece in order.pieces
    }
    assert found[first].state is m.PieceState.CANCELLED
    assert found[first].reason == "CANCELLED_ON_CUSTOMER_WISH"
    assert found[second].state is m.PieceState.SHIPPED
    assert third not in found
    assert flat(otto.client().orders_changed(datetime.now(UTC) + timedelta(minutes=1))) == []


def test_pieces_of_one_order_are_read_with_one_call(otto: Otto) -> None:
    first, second = otto.order(("TEE-001", 2))
    (third,) = otto.order()
    seen = otto.client().read_pieces([first, third, second])
    assert {each.external_id for each in seen} == {first, second, third}
    assert calls(otto, "GET", "/v4/orders/") == 2


def test_a_piece_that_otto_does_not_know_is_left_out(otto: Otto) -> None:
    assert (
        otto.client().read_pieces(
            ["a24c37c0-768f-44e6-9f5c-1e4430d4ab32/8a88e387-a03d-4cc9-99d9-3de6a5c038bd"]
        )
        == []
    )


# --- parcels --------------------------------------------------------------------------------------------------------------------


def test_a_parcel_is_one_call_with_both_numbers(otto: Otto) -> None:
    pieces = otto.order(("TEE-001", 3))
    client = otto.client(return_address_carrier_id="7423afd2-e7ab-4bae-ac30-048b7c0346c1")
    answers = client.ship(parcel(*pieces[:2], back_carrier="hermes"))
    assert [(each.external_id, each.ok, each.state) for each in answers] == [
        (piece, True, m.PieceState.SHIPPED) for piece in pieces[:2]
    ]
    (shipment,) = otto.world.shipments.values()
    assert shipment["trackingKey"] == {"carrier": "DHL", "trackingNumber": NUMBER}
    assert shipment["shipFromAddress"] == {"city": "Dresden", "zipCode": "01067", "countryCode": "DEU"}
    assert shipment["positionItems"][0]["returnTrackingKey"] == {
        "carrier": "HERMES",
        "trackingNumber": "577546565072",
    }
    assert shipment["positionItems"][0]["returnAddressCarrierId"] == "7423afd2-e7ab-4bae-ac30-048b7c0346c1"
    assert otto.status(pieces[2]) == "PROCESSABLE"


def test_the_carrier_of_returns_is_the_connections_where_the_shop_names_none(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.client(return_carrier="GLS").ship(parcel(piece))
    (shipment,) = otto.world.shipments.values()
    assert shipment["positionItems"][0]["returnTrackingKey"]["carrier"] == "GLS"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"number": None}, "ship.tracking_required"),
        ({"back": None}, "ship.return_tracking_required"),
        ({"carrier": "deutsche_post"}, "ship.carrier_not_accepted"),
        ({"carrier": None}, "ship.carrier_not_accepted"),
        ({"back_carrier": "dpd"}, "otto.return_carrier"),
    ],
)
def test_what_otto_would_not_pay_for_is_not_sent(otto: Otto, change: dict[str, Any], code: str) -> None:
    (piece,) = otto.order()
    (told,) = otto.client().ship(parcel(piece, **change))
    assert (told.ok, told.reason and told.reason.code) == (False, code)
    assert (otto.status(piece), calls(otto, "POST", "/v1/")) == ("PROCESSABLE", 0)


def test_a_forwarder_needs_no_return_label(otto: Otto) -> None:
    (piece,) = otto.order()
    client = otto.client(delivery_type="FORWARDER_CURBSIDE")
    assert not otto.world.needs_return({"carrier": "DACHSER"})
    (told,) = client.ship(parcel(piece, carrier="dachser", back=None))
    assert told.ok
    otto.complaints.clear()  # FACTS 5: the schema's list of required fields is stricter than the vendor's own examples.


def test_a_parcel_that_was_reported_before_is_done_already(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.client().ship(parcel(piece))
    (told,) = otto.client().ship(parcel(piece))
    assert (told.ok, told.already, told.state) == (True, True, m.PieceState.SHIPPED)
    assert len(otto.done("ship")) == 1


def test_a_piece_in_another_parcel_is_done_and_the_others_are_sent(otto: Otto) -> None:
    first, second = otto.order(("TEE-001", 2))
    otto.client().ship(parcel(first))
    answers = otto.client().ship(parcel(first, second, number="00340434161094015919", back="577546565073"))
    assert [(each.ok, each.already) for each in answers] == [(True, True), (True, False)]
    assert [deed["pieces"] for deed in otto.done("ship")] == [[first], [second]]


def test_a_forgotten_piece_joins_the_parcel_of_its_number(otto: Otto) -> None:
    first, second = otto.order(("TEE-001", 2))
    otto.client().ship(parcel(first))
    (told,) = otto.client().ship(parcel(second))
    assert told.ok
    (shipment,) = otto.world.shipments.values()
    assert len(shipment["positionItems"]) == 2
    assert calls(otto, "POST", "/positionitems$") == 1


def test_the_number_of_another_order_is_refused_with_that_order(otto: Otto) -> None:
    (first,), (second,) = otto.order(), otto.order()
    otto.client().ship(parcel(first))
    (told,) = otto.client().ship(parcel(second))
    assert told.reason is not None
    assert (told.ok, told.reason.code) == (False, "ship.tracking_used")
    assert (told.reason.params["number"], told.reason.params["order"]) == (NUMBER, first.partition("/")[0])
    assert otto.status(second) == "PROCESSABLE"


def test_a_number_of_a_return_label_that_was_used_before_is_named(otto: Otto) -> None:
    (piece,) = otto.order()
    errors = [{"path": "/v1/shipments", "title": "DUPLICATE_TRACKING_KEY", "detail": "return key"}]
    door = ScriptedDoor().on("POST", "/oauth2/token", answer(200, {"access_token": "t", "expires_in": 1800}))
    door.on("POST", "/v1/shipments", answer(409, {"errors": errors})).on(
        "GET", "/v4/orders/.*", answer(200, ORDER_ROW)
    )
    door.on("GET", "/v1/shipments/.*", answer(404, {"errors": []}))
    (told,) = OttoClient(door, SETTINGS | LOADED).ship(parcel(piece))  # type: ignore[arg-type]
    assert told.reason is not None
    assert (told.reason.code, told.reason.params["number"]) == ("ship.tracking_used", "577546565072")


def test_a_further_parcel_is_told_and_its_repeat_is_done_already(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.client().ship(parcel(piece))
    more = parcel(piece, number="00340434161094015919", back="577546565073", further=True)
    assert [(each.ok, each.already) for each in otto.client().ship(more)] == [(True, False)]
    assert [(each.ok, each.already) for each in otto.client().ship(more)] == [(True, True)]
    assert len(otto.world.shipments) == 2


def test_a_further_parcel_that_otto_does_not_take_has_a_reason(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.client().ship(parcel(piece))
    otto.faults.add({"kind": "status", "path": "/v1/multiparcel", "status": 409})
    (told,) = otto.client().ship(parcel(piece, number="X1", back="577", further=True))
    assert (told.ok, told.reason and told.reason.code) == (False, "deed.not_allowed")


@pytest.mark.parametrize("kind", ["timeout", "reset"])
def test_a_parcel_whose_answer_got_lost_is_read_back_and_not_doubled(otto: Otto, kind: str) -> None:
    first, second = otto.order(("TEE-001", 2))
    otto.faults.add({"kind": kind, "method": "POST", "path": "/v1/shipments", "effect": True, "seconds": 0})
    with pytest.raises(Unknown):
        otto.client().ship(parcel(first, second))
    assert {each.state for each in otto.client().read_pieces([first, second])} == {m.PieceState.SHIPPED}
    assert all(each.already for each in otto.client().ship(parcel(first, second)))
    assert len(otto.done("ship")) == 1


# --- cancelling -----------------------------------------------------------------------------------------------------------------


def test_a_cancellation_is_pending_and_a_later_look_shows_it(otto: Otto) -> None:
    first, second = otto.order(("TEE-001", 2))
    (told,) = otto.client().cancel([first], "out_of_stock")
    assert (told.ok, told.pending, told.state) == (True, True, None)
    otto.client().read_pieces([first])
    seen = {each.external_id: each for each in otto.client().read_pieces([first, second])}
    assert seen[first].state is m.PieceState.CANCELLED
    assert seen[first].reason == "CANCELLED_ON_PARTNER_WISH"
    assert seen[second].state is m.PieceState.TO_SHIP


def test_pieces_of_several_orders_are_cancelled_order_by_order(otto: Otto) -> None:
    pieces = [*otto.order(("TEE-001", 2)), *otto.order()]
    assert all(each.pending for each in otto.client().cancel(pieces, "buyer_cancelled"))
    assert calls(otto, "POST", "/cancellation$") == 2


def test_many_pieces_of_one_order_are_cancelled_fifty_at_a_time(otto: Otto) -> None:
    pieces = otto.order(("TEE-001", 120))
    assert len(otto.client().cancel(pieces, "other")) == 120
    assert calls(otto, "POST", "/cancellation$") == math.ceil(120 / 50)


def test_a_piece_that_is_sent_does_not_keep_the_others_from_being_cancelled(otto: Otto) -> None:
    first, second, third = otto.order(("TEE-001", 3))
    otto.sent(first)
    otto.world.cancel_by_buyer([otto.item(second)])
    answers = otto.client().cancel([first, second, third], "buyer_cancelled")
    assert [(each.ok, each.already, each.pending) for each in answers] == [
        (False, False, False),
        (True, True, False),
        (True, False, True),
    ]
    assert answers[0].reason is not None
    assert answers[0].reason.code == "cancel.not_possible"


def test_a_reason_that_is_none_of_ours_is_refused(otto: Otto) -> None:
    with pytest.raises(Refused, match="reason_unknown"):
        otto.client().cancel(otto.order(), "whim")


def test_a_cancellation_whose_answer_got_lost_is_not_doubled(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.faults.add({"kind": "reset", "method": "POST", "path": "cancellation", "effect": True})
    with pytest.raises(Unknown):
        otto.client().cancel([piece], "other")
    otto.world.settle()
    assert [each.state for each in otto.client().read_pieces([piece])] == [m.PieceState.CANCELLED]
    assert otto.client().cancel([piece], "other")[0].ok
    assert len(otto.done("cancel")) == 1


# --- refunds --------------------------------------------------------------------------------------------------------------------


def test_a_part_of_the_price_is_a_price_reduction_that_can_be_read_back(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.sent(piece)
    told = otto.client().refund(piece, 123, "damaged")
    assert (told.ok, told.pending) == (True, True)
    assert otto.client().read_refunded(piece) == 123
    assert otto.item(piece)["refunded"] == 123


def test_all_that_is_left_is_refunded_by_accepting_the_item(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.sent(piece)
    otto.client().refund(piece, 190, "damaged")
    told = otto.client().refund(piece, 600, "other")
    assert (told.ok, told.state) == (True, m.PieceState.RETURNED)
    assert otto.client().read_refunded(piece) == 790
    assert [deed["amount"] for deed in otto.done("refund")] == [190, 600]


def test_a_reduced_price_is_what_can_be_refunded(otto: Otto) -> None:
    otto.world.place_order(
        otto.seller, {"lines": [{"sku": "T", "price": 2395, "discount": 300}], "oversell": True}
    )
    item = list(otto.world.items.values())[-1]
    piece = f"{item['order']}/{item['id']}"
    otto.sent(piece)
    told = otto.client().refund(piece, 2096, "other")
    assert told.reason is not None
    assert (told.ok, told.reason.code, told.reason.params["amount"]) == (False, "refund.more_than_paid", 1)


@pytest.mark.parametrize("amount", [790 + 2995, 790 + 1000, 791])
def test_a_piece_with_a_delivery_fee_goes_back_whole_and_the_fee_is_told_as_not_paid(
    otto: Otto, amount: int
) -> None:
    (piece,) = otto.order(fee=2995)
    otto.sent(piece)
    told = otto.client().refund(piece, amount, "other")
    assert (told.ok, told.state, told.short) == (True, m.PieceState.RETURNED, amount - 790)
    assert told.reason is not None
    assert (told.reason.code, told.reason.params["amount"]) == ("refund.shipping_with_return", amount - 790)
    assert [deed["amount"] for deed in otto.done("refund")] == [790]
    again = otto.client().refund(piece, 2996, "other")
    assert (again.ok, again.reason and again.reason.code) == (False, "refund.more_than_paid")
    for reason in ("other", "postage"):
        fee = otto.client().refund(piece, 2995, reason)
        assert (fee.ok, fee.reason and fee.reason.code) == (False, "refund.shipping_with_return")
    assert [deed["amount"] for deed in otto.done("refund")] == [790]
    assert len(otto.done("refund")) == 1


def test_a_fee_is_the_bearers_alone_and_postage_is_never_paid_by_taking_the_piece_back(otto: Otto) -> None:
    bearer, other = otto.order(("TEE-001", 2), fee=2995)
    otto.sent(bearer, other)
    for piece, amount, reason in ((other, 791, "other"), (bearer, 2995, "postage"), (bearer, 3786, "other")):
        told = otto.client().refund(piece, amount, reason)
        assert (told.ok, told.reason and told.reason.code) == (False, "refund.more_than_paid")
    assert otto.done("refund") == []


def test_the_price_alone_leaves_no_rest(otto: Otto) -> None:
    (piece,) = otto.order(fee=2995)
    otto.sent(piece)
    told = otto.client().refund(piece, 790, "other")
    assert (told.ok, told.short, told.reason) == (True, 0, None)


def test_a_rejected_reduction_counts_as_nothing(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.sent(piece)
    otto.client().refund(piece, 100, "other")
    otto.item(piece)["reductions"][0]["status"] = "REJECTED"
    assert otto.client().read_refunded(piece) == 0


def test_before_shipping_nothing_is_refunded(otto: Otto) -> None:
    (piece,) = otto.order()
    told = otto.client().refund(piece, 100, "other")
    assert (told.ok, told.reason and told.reason.code) == (False, "refund.before_shipping")


@pytest.mark.parametrize(
    ("amount", "reason", "code"), [(0, "other", "amount"), (100, "whim", "reason_unknown")]
)
def test_a_refund_that_makes_no_sense_is_refused(otto: Otto, amount: int, reason: str, code: str) -> None:
    with pytest.raises(Refused, match=code):
        otto.client().refund(otto.order()[0], amount, reason)


@pytest.mark.parametrize(("amount", "path"), [(123, "/v1/price-reductions"), (790, "/v3/returns/acceptance")])
def test_a_refund_whose_answer_got_lost_is_read_back(otto: Otto, amount: int, path: str) -> None:
    (piece,) = otto.order()
    otto.sent(piece)
    otto.faults.add({"kind": "timeout", "method": "POST", "path": path, "seconds": 0})
    with pytest.raises(Unknown):
        otto.client().refund(piece, amount, "other")
    assert otto.client().read_refunded(piece) == amount
    assert [deed["amount"] for deed in otto.done("refund")] == [amount]


# --- returns --------------------------------------------------------------------------------------------------------------------


def test_a_return_is_announced_with_its_number_and_arrives(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.sent(piece)
    otto.world.send_back([otto.item(piece)], arrive=False)
    (back,) = flat(otto.client().returns_changed(hour_ago()))
    assert (back.external_id, back.carrier, back.pieces[0].state) == (piece, "DHL", m.ReturnState.ANNOUNCED)
    assert back.tracking_number is not None
    parcel_back = next(iter(otto.world.parcels_back.values()))
    parcel_back["states"].append(("DELIVERED", otto.world.now()))
    states = [each.pieces[0].state for each in flat(otto.client().returns_changed(hour_ago()))]
    assert states == [m.ReturnState.ANNOUNCED, m.ReturnState.ARRIVED]


def test_a_misdirected_return_is_still_to_come_and_says_where_it_lies(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.sent(piece)
    otto.world.note_return(otto.item(piece), "MISDIRECTED", {"orderNumber": "o1", "ottoWarehouseID": "W-42"})
    (back,) = flat(otto.client().returns_changed(hour_ago()))
    assert (back.pieces[0].state, back.pieces[0].note) == (m.ReturnState.ANNOUNCED, "OTTO W-42")


def test_what_otto_accepted_itself_is_seen_and_does_not_arrive_again(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.sent(piece)
    otto.world.send_back([otto.item(piece)])
    otto.world.accept(otto.item(piece), {}, by="otto")
    assert [each.pieces[0].state for each in flat(otto.client().returns_changed(hour_ago()))] == [
        m.ReturnState.ACCEPTED
    ]


def test_returns_are_read_until_they_are_older(otto: Otto) -> None:
    pieces = [otto.order()[0] for _ in range(200)]
    for place, piece in enumerate(pieces):
        otto.world.move(otto.item(piece), "SENT")
        otto.world.note_return(otto.item(piece), "ANNOUNCED", {"returnTrackingKey": {"carrier": "DHL"}})
        if place < 140:
            otto.world.returns[otto.item(piece)["id"]]["at"] -= timedelta(days=2)
    assert len(flat(otto.client().returns_changed(hour_ago()))) == 60
    announced = [c for c in otto.faults.calls if c.path == "/v3/returns" and "status=ANNOUNCED" in c.query]
    assert len(announced) == 3  # 50 new, 10 new and 40 old, 50 old; the last 50 are not asked for.


def test_an_accepted_return_is_refunded_once(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.sent(piece)
    otto.world.send_back([otto.item(piece)])
    assert otto.client(return_condition="C").accept_return(piece).ok
    told = otto.client().accept_return(piece)
    assert (told.ok, told.already) == (True, True)
    assert [deed["amount"] for deed in otto.done("accept_return")] == [790]
    assert otto.world.returns[otto.item(piece)["id"]]["details"]["condition"] == "C"


def test_an_acceptance_whose_answer_got_lost_is_not_doubled(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.sent(piece)
    otto.world.send_back([otto.item(piece)])
    otto.faults.add({"kind": "status", "method": "POST", "path": "acceptance", "status": 502, "effect": True})
    with pytest.raises(Unknown):
        otto.client().accept_return(piece)
    assert otto.client().accept_return(piece).already
    assert len(otto.done("accept_return")) == 1


def test_a_return_of_what_was_never_sent_is_refused(otto: Otto) -> None:
    (piece,) = otto.order()
    told = otto.client().accept_return(piece)
    assert (told.ok, told.state) == (False, m.PieceState.TO_SHIP)


def test_a_success_that_does_not_name_the_item_is_none() -> None:
    door = ScriptedDoor().on("POST", "/oauth2/token", answer(200, {"access_token": "t", "expires_in": 1800}))
    errors = [{"path": "/v3/returns", "title": "x", "detail": "position item is CANCELLED"}]
    door.on("POST", "/v3/returns/.*", answer(207, {"results": [], "errors": errors}))
    sent = {**ORDER_ROW, "positionItems": [ORDER_ROW["positionItems"][0] | {"fulfillmentStatus": "SENT"}]}  # type: ignore[operator, dict-item]
    door.on("GET", "/v4/orders/.*", answer(200, sent))
    client = OttoClient(door, SETTINGS | LOADED)  # type: ignore[arg-type]
    piece = "a24c37c0-768f-44e6-9f5c-1e4430d4ab32/8a88e387-a03d-4cc9-99d9-3de6a5c038bd"
    door.on("GET", "/v3/returns", answer(200, {"positionItems": []}))
    for told in (client.accept_return(piece), *client.reject_return([piece], "ITEM_DAMAGED", "")):
        assert told.reason is not None
        assert (told.ok, told.reason.params["message"]) == (False, "position item is CANCELLED")


def test_a_return_can_be_rejected_and_accepted_later(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.sent(piece)
    otto.world.send_back([otto.item(piece)])
    for already in (False, True):
        (told,) = otto.client().reject_return([piece], "ITEM_DAMAGED", "")
        assert (told.ok, told.already) == (True, already)
    assert len(otto.done("reject_return")) == 1
    states = {each.pieces[0].raw_state for each in flat(otto.client().returns_changed(hour_ago()))}
    assert "REJECTED" in states
    assert otto.client().accept_return(piece).ok


# --- offers: what is confirmed at once --------------------------------------------------------------------------------------------


def test_a_change_of_stock_is_one_call_and_confirmed(otto: Otto) -> None:
    product = otto.product()
    (told,) = otto.client().push_offers([wanted(stock=3, external_ref=product["moin"], was=was())])
    assert (told.ok, told.task, told.state) == (True, None, m.OfferState.ON_SALE)
    assert told.shown is not None
    assert (told.shown.stock, told.shown.price, told.shown.external_ref) == (3, 790, product["moin"])
    assert product["quantity"] == 3
    assert [(c.method, c.path) for c in otto.faults.calls] == [
        ("POST", "/oauth2/token"),
        ("POST", "/v1/availability/quantities"),
    ]


def test_off_is_stock_zero_and_no_switch(otto: Otto) -> None:
    product = otto.product()
    (told,) = otto.client().push_offers([wanted(stock=0, on=False, external_ref=product["moin"], was=was())])
    assert (told.ok, told.state, product["quantity"]) == (True, m.OfferState.OFF, 0)
    assert calls(otto, "POST", "active-status") == 0


@pytest.mark.parametrize("count", [199, 200, 201, 450])
def test_quantities_go_out_in_batches_of_200(otto: Otto, count: int) -> None:
    offers = []
    for number in range(count):
        product = otto.product(f"TEE-{number:03d}", f"40063813{number:05d}")
        offers.append(wanted(product["sku"], stock=1, external_ref=product["moin"], was=was()))
    answers = otto.client().push_offers(offers)
    assert all(each.ok for each in answers)
    assert len(answers) == count
    assert calls(otto, "POST", "quantities") == math.ceil(count / 200)


def test_of_a_partly_refused_batch_only_the_refused_are_told(otto: Otto) -> None:
    product = otto.product()
    gone = wanted("GONE-1", external_ref="M00A999999", was=was(stock=1))
    fine = wanted(external_ref=product["moin"], was=was(stock=1))
    answers = {each.sku: each for each in otto.client().push_offers([fine, gone])}
    assert answers["TEE-001"].ok
    assert (answers["GONE-1"].ok, answers["GONE-1"].state) == (False, m.OfferState.REFUSED)
    assert "GONE-1" in str(answers["GONE-1"].reason)


def test_a_product_that_somebody_deleted_is_made_again(otto: Otto) -> None:
    client = otto.client()
    (told,) = client.push_offers([wanted(external_ref="M00A999999")])
    made(client, [told])
    assert otto.world.product_of(otto.seller, "TEE-001") is not None
    assert calls(otto, "POST", "quantities") == 0


def test_preparation_counts_the_day_of_the_order_at_otto(otto: Otto) -> None:
    product = otto.product()
    (told,) = otto.client().push_offers([wanted(handling_days=3, external_ref=product["moin"], was=was())])
    assert told.ok
    assert product["delivery"] == {"shippingProfileId": PROFILE, "processingTime": "4"}
    (shown,) = flat(otto.client().read_offers(["TEE-001"]))
    assert shown.handling_days == 3


def test_a_profile_that_does_not_exist_is_refused_for_its_offer_only(otto: Otto) -> None:
    one, two = otto.product(), otto.product("TEE-002", OTHER_GTIN)
    wrong = wanted(external_ref=one["moin"], was=was(), shipping_group="00000000-0000-4000-8000-000000000000")
    fine = wanted("TEE-002", handling_days=2, external_ref=two["moin"], was=was())
    answers = {each.sku: each.ok for each in otto.client().push_offers([wrong, fine])}
    assert answers == {"TEE-001": False, "TEE-002": True}


def test_more_than_72_days_are_refused_by_us_and_the_stock_is_still_sent(otto: Otto) -> None:
    product = otto.product()
    (told,) = otto.client().push_offers(
        [wanted(handling_days=70, stock=0, external_ref=product["moin"], was=was())]
    )
    assert told.reason is not None
    assert (told.ok, told.reason.code, told.reason.params["most"]) == (False, "otto.delivery_time", 69)
    assert product["quantity"] == 0
    assert calls(otto, "POST", "delivery-information") == 0


# --- offers: processes ------------------------------------------------------------------------------------------------------------


def test_a_price_is_taken_as_a_process_and_told_later(otto: Otto) -> None:
    product = otto.product()
    (told,) = otto.client().push_offers([wanted(price=690, external_ref=product["moin"], was=was())])
    assert (told.ok, told.state, bool(told.task)) == (True, m.OfferState.WAITING, True)
    assert calls(otto, "POST", "quantities") == 0
    client = otto.client()
    assert [each.done for each in client.read_tasks([str(told.task)])] == [False]
    (seen,) = client.read_tasks([str(told.task)])
    assert (seen.done, [(a.sku, a.ok, a.state) for a in seen.answers]) == (
        True,
        [("TEE-001", True, m.OfferState.ON_SALE)],
    )
    assert product["price"] == 690


def test_nobody_asks_before_otto_wants_to_be_asked(otto: Otto) -> None:
    product = otto.product()
    otto.world.conduct.ping_seconds = 90
    (told,) = otto.client().push_offers([wanted(price=690, external_ref=product["moin"], was=was())])
    (seen,) = otto.client().read_tasks([str(told.task)])
    assert not seen.done
    assert 80 <= seen.again_in <= 90
    assert calls(otto, "GET", "update-tasks") == 0


def test_a_process_that_otto_forgot_is_done_without_answers(otto: Otto) -> None:
    (seen,) = otto.client().read_tasks(["prices:00000000-0000-4000-8000-000000000000@0"])
    assert (seen.done, seen.answers) == (True, ())


def test_a_new_product_gets_its_stock_once_it_has_a_moin(otto: Otto) -> None:
    otto.world.conduct.moin_asks = 1
    client = otto.client()
    (told,) = client.push_offers([wanted()])
    assert (told.ok, told.state, bool(told.task)) == (True, m.OfferState.WAITING, True)
    assert calls(otto, "POST", "quantities") == 0
    (first,) = made(client, [told])
    assert first.answers[0].task is not None  # It is taken; the second validation goes on.
    (second,) = client.read_tasks([str(first.answers[0].task)])
    assert second.answers[0].retry
    (again,) = client.push_offers([wanted()])
    product = otto.world.product_of(otto.seller, "TEE-001")
    assert product is not None
    assert (product["quantity"], product["delivery"]["processingTime"]) == (5, "2")
    assert again.shown is not None
    assert again.shown.external_ref == product["moin"]
    assert len(otto.done("offer")) == 1


def test_what_the_simulator_recommends_as_settings_puts_any_product_on_sale(otto: Otto) -> None:
    client = otto.client()
    bare = wanted(product=None, vat_percent=None)
    made(client, client.push_offers([bare]))
    made(client, client.push_offers([bare]))
    product = otto.world.product_of(otto.seller, "TEE-001")
    assert product is not None
    assert otto.world.buyable(product) == 5


def test_product_data_are_made_of_the_mapping(otto: Otto) -> None:
    mapping = {
        "category": "category",
        "brand": "brand",
        "description": "attribute:text",
        "attribute:Herkunftsland": "=Indien | Nepal",
        "bullet_points": "=Erste Ernte; Bio",
        "mpn": "sku",
        "product_line": "=Reise",
    }
    fields = {"category": "Tee", "brand": "teeladen", "attribute:text": "<p>Kräftig</p>", "sku": "TEE-001"}
    data = m.ProductData(fields, ("https://shop.example/1.jpg",), parent="TEE")
    client = otto.client(product_mapping=mapping)
    made(client, client.push_offers([wanted(product=data, vat_percent="7")]))
    product = otto.world.product_of(otto.seller, "TEE-001")
    assert product is not None
    body = product["body"]
    assert body["productDescription"] == {
        "category": "Tee",
        "brandId": "TEELADEN1",
        "productLine": "Reise",
        "description": "<p>Kräftig</p>",
        "bulletPoints": ["Erste Ernte", "Bio"],
        "attributes": [{"name": "Herkunftsland", "values": ["Indien", "Nepal"], "additional": False}],
    }
    assert (body["productReference"], body["mpn"]) == ("TEE", "TEE-001")
    assert body["pricing"] == {"standardPrice": {"amount": 7.9, "currency": "EUR"}, "vat": "REDUCED"}
    assert body["compliance"]["productSafety"]["addresses"][0]["roles"] == ["DISTRIBUTOR"]


@pytest.mark.parametrize(
    ("own", "mapping", "there"),
    [
        (("Neu", "Tee lose"), {"Tee lose": "Tee", "*": "Teekanne"}, "Tee"),
        (("Neu",), {"Tee lose": "Teekanne", "*": "Tee"}, "Tee"),
        (("Neu",), {"Tee lose": "Teekanne"}, "Tee"),
    ],
)
def test_a_category_of_the_shop_becomes_one_of_otto(
    otto: Otto, own: tuple[str, ...], mapping: dict[str, str], there: str
) -> None:
    """Where no category is mapped the product data say it, as before."""
    data = m.ProductData({"brand": "Teeladen"}, PRODUCT.images, categories=own)
    fields = {"category": "=Tee", "brand": "brand", "attribute:Herkunftsland": "=Indien"}
    client = otto.client(product_mapping=fields, categories=mapping)
    made(client, client.push_offers([wanted(product=data)]))
    product = otto.world.product_of(otto.seller, "TEE-001")
    assert product is not None
    assert product["body"]["productDescription"]["category"] == there


def test_a_description_that_is_too_long_is_cut_at_a_word_and_sent_without_tags(otto: Otto) -> None:
    long = "<p>" + "Assam und Darjeeling " * 120 + "</p>"
    data = m.ProductData({"brand": "Teeladen", "category": "Tee", "description": long}, PRODUCT.images)
    fields = {**t.DEFAULT_MAPPING, "attribute:Herkunftsland": "=Indien"}
    client = otto.client(product_mapping=fields)
    made(client, client.push_offers([wanted(product=data)]))
    product = otto.world.product_of(otto.seller, "TEE-001")
    assert product is not None
    told = product["body"]["productDescription"]["description"]
    assert 1900 < len(told) <= t.MOST_DESCRIPTION
    assert told.startswith("Assam und")
    assert told.endswith(("Assam…", "und…", "Darjeeling…"))


def test_everything_that_is_missing_is_named_in_one_reason(otto: Otto) -> None:
    settings = {"safety_name": "", "product_mapping": {"category": "category", "brand": "brand"}}
    data = m.ProductData({"category": "Teekanne"})
    (told,) = otto.client(**settings).push_offers([wanted(product=data, vat_percent=None)])
    assert told.reason is not None
    assert (told.ok, told.state, told.reason.code) == (
        False,
        m.OfferState.NEEDS_PRODUCT,
        "product.data_missing",
    )
    named = {"vat", "brand", "images", "safety_name", "attribute:Materialzusammensetzung", "attribute:Farbe"}
    assert set(str(told.reason.params["fields"]).split(", ")) == named
    assert calls(otto, "POST", "/v5/products") == 0


@pytest.mark.parametrize(
    ("fields", "change", "code"),
    [
        ({"category": "Bier", "brand": "Teeladen"}, {}, "otto.category_unknown"),
        ({"category": "Tee", "brand": "Niemand"}, {}, "otto.brand_unknown"),
        ({"category": "Tee", "brand": "Altmarke"}, {}, "otto.brand_unknown"),
        ({"category": "Tee", "brand": "Teeladen"}, {"gtin": "2000000000008"}, "otto.ean_internal"),
    ],
)
def test_product_data_that_otto_never_takes_are_not_sent(
    otto: Otto, fields: dict[str, str], change: dict[str, Any], code: str
) -> None:
    mapping = {
        "category": "category",
        "brand": "brand",
        "description": "description",
        "attribute:Herkunftsland": "=Indien",
    }
    data = m.ProductData(fields, PRODUCT.images)
    (told,) = otto.client(product_mapping=mapping).push_offers([wanted(product=data, **change)])
    assert (told.ok, told.reason and told.reason.code) == (False, code)
    assert calls(otto, "POST", "/v5/products") == 0


def test_reference_data_are_read_once_a_day(otto: Otto) -> None:
    client = otto.client()
    client.push_offers([wanted(), wanted("TEE-002", gtin=OTHER_GTIN)])
    otto.client().push_offers([wanted("TEE-003", gtin="4006381333955")])
    assert (calls(otto, "GET", "brands"), calls(otto, "GET", "categories")) == (1, 1)


def test_a_product_that_fails_says_why(otto: Otto) -> None:
    otto.product("OTHER", GTIN)
    client = otto.client()
    (seen,) = made(client, client.push_offers([wanted()]))
    (told,) = seen.answers
    assert told.reason is not None
    assert (told.ok, told.state, told.reason.code) == (False, m.OfferState.REFUSED, "product.data_refused")
    assert told.reason.params["marketplace_reason"] == "100010 DUPLICATE_EAN"


def test_unchanged_is_no_success(otto: Otto) -> None:
    """OTTO throws identical data away, also when they had failed before: the marketplace status says what is true."""
    otto.world.catalogue[GTIN] = {"reject": "IMAGE_TOO_SMALL"}
    client = otto.client()
    (first,) = made(client, client.push_offers([wanted()]))
    assert first.answers[0].state is m.OfferState.REFUSED
    (second,) = made(client, client.push_offers([wanted()]))
    assert otto.world.processes[list(otto.world.processes)[-1]]["unchanged"]
    (told,) = second.answers
    assert told.reason is not None
    assert (told.ok, told.state) == (False, m.OfferState.REFUSED)
    assert "IMAGE_TOO_SMALL" in str(told.reason.params["marketplace_reason"])


def test_data_that_otto_has_are_not_overwritten_unless_wanted(otto: Otto) -> None:
    otto.product()
    (told,) = otto.client().push_offers([wanted(price=690)])
    assert calls(otto, "POST", "/v5/products$") == 0
    assert told.task is not None
    assert "prices:" in told.task
    otto.client(overwrite_products=True).push_offers([wanted(price=590)])
    assert calls(otto, "POST", "/v5/products$") == 1
    assert calls(otto, "POST", "/v5/products/prices") == 1  # The product itself carries its price.


def test_what_is_there_with_gaps_in_our_data_stays_on_sale(otto: Otto) -> None:
    product = otto.product()
    (told,) = otto.client(product_mapping={}).push_offers([wanted(stock=2, product=None)])
    assert told.ok
    assert product["quantity"] == 2


def test_one_bad_row_does_not_keep_a_batch_of_prices_back(otto: Otto) -> None:
    products = [otto.product(f"TEE-{n}", f"400638133{n:04d}") for n in range(4)]
    offers = [wanted(each["sku"], price=690, external_ref=each["moin"], was=was()) for each in products]
    otto.faults.add(
        {
            "kind": "status",
            "method": "POST",
            "path": "/v5/products/prices",
            "body": "TEE-2",
            "status": 400,
            "count": -1,
        }
    )
    answers = {each.sku: each.ok for each in otto.client().push_offers(offers)}
    assert answers == {"TEE-0": True, "TEE-1": True, "TEE-2": False, "TEE-3": True}


def test_when_otto_fails_in_the_middle_the_rest_comes_back(otto: Otto) -> None:
    product = otto.product()
    otto.faults.add({"kind": "status", "path": "/v5/products/prices", "status": 503})
    (told,) = otto.client().push_offers([wanted(stock=1, price=690, external_ref=product["moin"], was=was())])
    assert (told.ok, told.retry, product["quantity"]) == (False, True, 1)


def test_when_nothing_was_done_the_failure_is_raised(otto: Otto) -> None:
    otto.faults.add({"kind": "status", "path": "quantities", "status": 503})
    with pytest.raises(Unavailable):
        otto.client().push_offers([wanted(stock=1, external_ref="M1", was=was())])


# --- the account before and after its release (O3, O4) -----------------------------------------------------------------------------


def test_before_the_release_a_product_is_uploaded_and_invisible(otto: Otto) -> None:
    otto.seller.live = False
    client = otto.client(live=False)
    made(client, client.push_offers([wanted()]))
    made(client, client.push_offers([wanted()]))
    (shown,) = flat(client.read_offers(["TEE-001"]))
    assert shown.reason is not None
    assert (shown.state, shown.reason.code, shown.on) == (m.OfferState.WAITING, "otto.restricted", True)
    assert calls(otto, "POST", "active-status") == 0


def test_after_the_release_what_was_uploaded_before_is_switched_active(otto: Otto) -> None:
    otto.seller.live = False
    product = otto.product()
    otto.seller.live = True
    client = otto.client(live=True)
    (shown,) = flat(client.read_offers(None))
    assert (shown.raw_state, shown.on) == ("INACTIVE", False)
    answers = client.push_offers(
        [wanted(external_ref=product["moin"], was=dataclasses.replace(shown, price=790))]
    )
    (seen,) = made(client, answers)
    assert [(each.ok, each.state) for each in seen.answers] == [(True, m.OfferState.ON_SALE)]
    (shown,) = flat(client.read_offers(None))
    assert (shown.raw_state, shown.on, shown.state) == ("ONLINE", True, m.OfferState.ON_SALE)


def test_when_the_switches_of_the_day_are_used_up_stock_and_prices_go_on(otto: Otto) -> None:
    one, two = otto.product(), otto.product("TEE-002", OTHER_GTIN)
    one["active"] = two["active"] = False
    door = otto.door(
        lanes={"products": "100/second", "active": "1/day"}, limiter=Limiter.in_memory(patience=0.1)
    )
    client = otto.client(door=door)
    inactive = was(on=False, raw_state="INACTIVE")
    (first,) = client.push_offers([wanted(external_ref=one["moin"], was=inactive)])
    (second,) = client.push_offers([wanted("TEE-002", stock=3, external_ref=two["moin"], was=inactive)])
    assert (bool(first.task), second.task, second.ok, two["quantity"]) == (True, None, True, 3)
    assert (second.state, second.reason and second.reason.code) == (m.OfferState.OFF, "otto.inactive")


def test_an_offer_that_is_off_is_not_switched_active(otto: Otto) -> None:
    product = otto.product()
    product["active"] = False
    otto.client().push_offers([wanted(on=False, stock=0)])
    assert calls(otto, "POST", "active-status") == 0


# --- what is shown ------------------------------------------------------------------------------------------------------------------


def test_everything_shown_is_put_together_from_four_lists(otto: Otto) -> None:
    for number in range(250):
        otto.product(f"TEE-{number:03d}", f"40063813{number:05d}", stock=number, price=500 + number)
    shown = {each.sku: each for each in flat(otto.client().read_offers(None))}
    assert len(shown) == 250
    told = shown["TEE-007"]
    assert (told.price, told.stock, told.handling_days, told.on, told.state, told.shipping_group) == (
        507, 7, 1, True, m.OfferState.ON_SALE, PROFILE,
    )  # fmt: skip
    assert (shown["TEE-000"].on, shown["TEE-000"].state) == (None, m.OfferState.OFF)
    assert calls(otto, "GET", "/v5/products/prices") == 3
    assert calls(otto, "GET", "/v1/availability/quantities") == 2


def test_skus_with_a_slash_are_asked_for_without_a_path(otto: Otto) -> None:
    otto.product("TEE/1.5")
    (shown,) = flat(otto.client().read_offers(["TEE/1.5", "UNKNOWN"]))
    assert (shown.sku, shown.price, shown.stock) == ("TEE/1.5", 790, None)


@pytest.mark.parametrize("status", ["PENDING", "REJECTED", "NEVER_SEEN"])
def test_states_of_the_marketplace_have_a_reason(otto: Otto, status: str) -> None:
    otto.product()
    fault = {
        "kind": "unknown_enum",
        "path": "marketplace-status",
        "rows": "marketPlaceStatus",
        "name": "status",
    }
    otto.faults.add({**fault, "value": status})
    (shown,) = flat(otto.client().read_offers(["TEE-001"]))
    assert shown.reason is not None
    assert (shown.reason.code, shown.raw_state) == (
        {
            "PENDING": "product.data_processing",
            "REJECTED": "product.data_refused",
            "NEVER_SEEN": "otto.status_unknown",
        }[status],
        status,
    )


# --- pace, maintenance --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("told", "after"), [(7, 7), (None, None)])
def test_too_many_calls_pause_the_connection(otto: Otto, told: int | None, after: int | None) -> None:
    otto.faults.add({"kind": "status", "path": "/v4/orders", "status": 429, "retry_after": told})
    with pytest.raises(Unavailable) as busy:
        flat(otto.client().orders_to_ship(None))
    assert (busy.value.pauses, busy.value.retry_after) == (True, after)


def test_the_documented_pace_is_kept_for_all_calls_and_for_products(otto: Otto) -> None:
    otto.world.conduct.per_second, otto.world.conduct.products_per_second = 20, 10
    lanes = {"products": "10/second", "active": "3600/day"}
    door = otto.door(pace="20/second", lanes=lanes, limiter=Limiter.in_memory(patience=5))
    client = otto.client(door=door)
    for _ in range(12):
        client.statuses(["TEE-001"])
    assert all(call.status == 200 for call in otto.faults.calls)


def test_a_maintenance_page_is_no_answer_to_a_read_and_unknown_to_a_deed(otto: Otto) -> None:
    (piece,) = otto.order()
    otto.client().check()
    otto.faults.add({"kind": "garbage", "path": "/v4/orders"})
    with pytest.raises(Unavailable):
        flat(otto.client().orders_to_ship(None))
    otto.faults.add({"kind": "garbage", "method": "POST", "path": "/v1/shipments"})
    with pytest.raises(Unknown):
        otto.client().ship(parcel(piece))
