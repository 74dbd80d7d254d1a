"""The client against the simulated operator, through the real Door, and against scripted answers where the simulator is too well-behaved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised, Unavailable, Unknown
from app.marketplaces.mirakl.client import MiraklClient
from app.marketplaces.mirakl.settings import MiraklSettings
from app.outbound import Limiter
from tests.marketplaces.doors import ScriptedDoor, answer
from tests.marketplaces.mirakl.conftest import GTIN, NUMBER, OTHER_GTIN, UNKNOWN_GTIN, Mirakl, wanted
from tests.marketplaces.mirakl.contract import ANSWERS, SETTINGS

DEEDS = ["ship", "ship_parcel", "cancel", "refund", "accept", "accept_return"]


def hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def orders(pages: Any) -> list[m.OrderSeen]:
    return [order for page in pages for order in page]


def parcel(*pieces: str, number: str | None = NUMBER, carrier: str | None = "dhl") -> m.ShipmentWanted:
    return m.ShipmentWanted(pieces, number, carrier, carrier and carrier.upper())


def scripted(door: ScriptedDoor, **settings: Any) -> MiraklClient:
    return MiraklClient(door, MiraklSettings().load(SETTINGS | settings))  # type: ignore[arg-type]


# --- the connection ----------------------------------------------------------------------------------------------------------


def test_the_check_tells_what_the_operator_has_switched_on(mirakl: Mirakl) -> None:
    checked = mirakl.client(multi_shipment=True).check()
    assert checked.ok
    assert checked.facts["platform"] == "ePRICE (simulated)"
    assert checked.facts["order_acceptance"] == "NOT_AUTOMATIC"
    assert checked.facts["required_fields"] == []


def test_the_check_proposes_several_parcels_where_the_operator_has_them(mirakl: Mirakl) -> None:
    checked = mirakl.client().check()
    assert checked.ok
    assert checked.facts["proposed"] == {"multi_shipment": True}


def test_the_check_proposes_prices_without_tax_where_orders_are_without_it(mirakl: Mirakl) -> None:
    mirakl.world.conduct.tax_mode = "TAX_EXCLUDED"
    assert mirakl.client(multi_shipment=True).check().facts["proposed"] == {"offer_prices": "net"}
    assert "proposed" not in mirakl.client(multi_shipment=True, offer_prices="net").check().facts


@pytest.mark.parametrize(
    ("conduct", "settings", "code"),
    [
        ({"multi_shipment": False}, {"multi_shipment": True}, "mirakl.multi_shipment_off"),
        ({"required_fields": ["ecotax"]}, {}, "mirakl.fields_missing"),
        ({}, {"currency": "USD"}, "mirakl.shop_currency"),
        ({}, {"api_key": "another-key-of-nobody"}, "credentials.refused"),
        ({}, {"shop_id": 1}, "account.not_allowed"),
    ],
)
def test_the_check_says_what_is_wrong(
    mirakl: Mirakl, conduct: dict[str, Any], settings: dict[str, Any], code: str
) -> None:
    for name, value in conduct.items():
        setattr(mirakl.world.conduct, name, value)
    checked = mirakl.client(**settings).check()
    assert not checked.ok
    assert checked.reason is not None
    assert checked.reason.code == code


def test_required_fields_that_are_filled_in_are_no_trouble(mirakl: Mirakl) -> None:
    mirakl.world.conduct.required_fields = ["ecotax"]
    assert mirakl.client(offer_fields={"ecotax": "0"}).check().ok


def test_the_account_is_asked_for_once_a_day(mirakl: Mirakl) -> None:
    mirakl.client().check()
    mirakl.client().check()
    assert mirakl.faults.count("GET", "/api/account$") == 1
    assert mirakl.faults.count("GET", "/platform/configuration$") == 2


def test_the_shop_number_goes_with_every_call(mirakl: Mirakl) -> None:
    mirakl.client(shop_id=2000).check()
    assert all("shop_id=2000" in call.query for call in mirakl.faults.calls)


def test_the_key_stands_alone_in_the_header() -> None:
    door = ScriptedDoor().on("GET", ".*", answer(401, {"message": "no"}))
    assert not scripted(door).check().ok
    assert door.sent[0].headers["Authorization"] == SETTINGS["api_key"]


# --- orders ------------------------------------------------------------------------------------------------------------------


def test_an_order_that_waits_for_acceptance_is_announced_without_an_address(mirakl: Mirakl) -> None:
    (first, second) = mirakl.order(2, accepted=False)
    (order,) = orders(mirakl.client().orders_to_ship(None))
    assert order.awaits_acceptance
    assert order.shipping is None
    assert [(piece.external_id, piece.state) for piece in order.pieces] == [
        (first, m.PieceState.ANNOUNCED),
        (second, m.PieceState.ANNOUNCED),
    ]


def test_an_accepted_order_may_be_shipped_and_has_its_address(mirakl: Mirakl) -> None:
    mirakl.order(2, shipping=490)
    (order,) = orders(mirakl.client().orders_to_ship(None))
    assert not order.awaits_acceptance
    assert order.shipping is not None
    assert (order.shipping.city, order.shipping.country) == ("Milano", "IT")
    assert {piece.state for piece in order.pieces} == {m.PieceState.TO_SHIP}
    assert [(piece.unit_price, piece.shipping_price) for piece in order.pieces] == [(790, 245), (790, 245)]
    assert {piece.vat_percent for piece in order.pieces} == {"22"}


def test_an_unpaid_order_comes_when_it_is_paid(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order(state="announced")
    (before,) = orders(mirakl.client().orders_to_ship(None))
    assert (before.pieces[0].state, before.awaits_acceptance) == (m.PieceState.ANNOUNCED, False)
    mirakl.world.pay(piece.partition("/")[0])
    (after,) = orders(mirakl.client().orders_to_ship(hour_ago()))
    assert after.pieces[0].state is m.PieceState.TO_SHIP


def test_one_look_brings_new_orders_and_changes(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    mirakl.world.buyer_cancels([piece])
    assert orders(mirakl.client().orders_to_ship(None)) == []
    (seen,) = orders(mirakl.client().orders_to_ship(hour_ago()))
    assert seen.pieces[0].state is m.PieceState.CANCELLED
    assert orders(mirakl.client().orders_changed(hour_ago())) == [seen]


def test_all_pages_are_read(mirakl: Mirakl) -> None:
    made = {mirakl.order()[0] for _ in range(203)}
    seen = orders(mirakl.client().orders_to_ship(None))
    assert {order.pieces[0].external_id for order in seen} == made
    assert len(seen) == 203
    assert mirakl.faults.count("GET", "/api/orders$") == 3


def test_a_half_page_loses_nothing(mirakl: Mirakl) -> None:
    made = {mirakl.order()[0] for _ in range(150)}
    mirakl.faults.add({"kind": "half_page", "path": "/api/orders$", "rows": "orders"})
    seen = orders(mirakl.client().orders_to_ship(None))
    assert {order.pieces[0].external_id for order in seen} == made


def test_a_duplicate_order_comes_once(mirakl: Mirakl) -> None:
    mirakl.order()
    mirakl.order()
    mirakl.faults.add({"kind": "duplicate_row", "path": "/api/orders$", "rows": "orders", "count": -1})
    seen = orders(mirakl.client().orders_to_ship(None))
    assert len({order.external_id for order in seen}) == len(seen) == 2


def test_orders_that_leave_the_list_while_it_is_read_take_none_with_them(mirakl: Mirakl) -> None:
    made = [mirakl.order()[0] for _ in range(150)]
    pages = iter(mirakl.client().orders_to_ship(None))
    seen = list(next(pages))
    for piece in made[:30]:
        mirakl.world.buyer_cancels([piece])
    seen += orders(pages)
    found = [order.pieces[0].external_id for order in seen]
    assert set(found) >= set(made[30:])
    assert len(found) == len(set(found))


def test_an_unreadable_order_is_told_after_all_others(mirakl: Mirakl) -> None:
    mirakl.order(), mirakl.order()
    door = ScriptedDoor()
    good = mirakl.client()._one(next(iter(mirakl.world.orders)))
    bad = {**good, "order_id": "Order_9-A", "created_date": "never"}
    other = {**good, "order_id": "Order_8-A"}
    door.on("GET", "/api/orders", answer(200, _plain({"orders": [bad, good, other], "total_count": 3})))
    seen: list[m.OrderSeen] = []
    with pytest.raises(Invalid) as wrong:
        seen.extend(order for page in scripted(door).orders_to_ship(None) for order in page)
    assert [each.external_id for each in seen] == [good["order_id"], "Order_8-A"]
    assert wrong.value.params["field"] == "order.Order_9-A.created_date"


def test_an_unknown_state_is_unclear_and_kept(mirakl: Mirakl) -> None:
    mirakl.order()
    row = mirakl.client()._one(next(iter(mirakl.world.orders)))
    line = {**row["order_lines"][0], "order_line_state": "ON_THE_MOON"}
    body = {"orders": [{**row, "order_lines": [line]}], "total_count": 1}
    door = ScriptedDoor().on("GET", "/api/orders", answer(200, _plain(body)))
    (order,) = orders(scripted(door).orders_to_ship(None))
    assert (order.pieces[0].state, order.pieces[0].raw_state) == (m.PieceState.UNCLEAR, "ON_THE_MOON")


def test_a_renamed_field_makes_the_order_unreadable_not_the_sweep(mirakl: Mirakl) -> None:
    mirakl.order()
    mirakl.faults.add(
        {
            "kind": "schema_change",
            "path": "/api/orders$",
            "rows": "orders",
            "name": "created_date",
            "value": "born",
        }
    )
    with pytest.raises(Invalid):
        orders(mirakl.client().orders_to_ship(None))
    assert len(orders(mirakl.client().orders_to_ship(None))) == 1


def test_pieces_are_read_back_in_the_order_asked_for(mirakl: Mirakl) -> None:
    pieces = [*mirakl.order(2), *mirakl.order()]
    asked = [pieces[2], "Order_99999-A/Order_99999-A-1/1", pieces[0]]
    assert [piece.external_id for piece in mirakl.client().read_pieces(asked)] == [pieces[2], pieces[0]]


def test_a_hundred_orders_are_read_back_in_one_call(mirakl: Mirakl) -> None:
    pieces = [mirakl.order()[0] for _ in range(101)]
    assert len(mirakl.client().read_pieces(pieces)) == 101
    assert mirakl.faults.count("GET", "/api/orders$") == 2


def _plain(value: Any) -> Any:
    """Decimals as they stand in JSON."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


# --- acceptance --------------------------------------------------------------------------------------------------------------


def test_all_waiting_lines_are_decided_in_one_call(mirakl: Mirakl) -> None:
    lines = [{"sku": "TEE-001", "pieces": 2}, {"sku": "TEE-002", "pieces": 1}]
    pieces = mirakl.order(lines=lines, accepted=False)
    number = pieces[0].partition("/")[0]
    told = mirakl.client().accept_order(number, pieces[:2], pieces[2:])
    assert [each.ok for each in told.pieces] == [True, True, True]
    assert [mirakl.state(each) for each in pieces] == ["to_ship", "to_ship", "cancelled"]
    assert mirakl.faults.count("PUT", "/accept$") == 1


def test_a_line_is_taken_as_a_whole(mirakl: Mirakl) -> None:
    lines = [{"sku": "TEE-001", "pieces": 2}, {"sku": "TEE-002", "pieces": 1}]
    pieces = mirakl.order(lines=lines, accepted=False)
    told = mirakl.client().accept_order(pieces[0].partition("/")[0], [pieces[0], pieces[2]], [pieces[1]])
    by_id = {each.external_id: each for each in told.pieces}
    assert not by_id[pieces[0]].ok
    assert by_id[pieces[0]].reason == m.Reason("mirakl.line_refused", {"piece": pieces[0]})
    assert by_id[pieces[0]].state is m.PieceState.CANCELLED
    assert [mirakl.state(each) for each in pieces] == ["cancelled", "cancelled", "to_ship"]


def test_partial_acceptance_that_is_switched_off_decides_nothing(mirakl: Mirakl) -> None:
    mirakl.world.conduct.partial_acceptance = False
    pieces = mirakl.order(lines=[{"sku": "TEE-001"}, {"sku": "TEE-002"}], accepted=False)
    told = mirakl.client().accept_order(pieces[0].partition("/")[0], pieces[:1], pieces[1:])
    assert {each.ok for each in told.pieces} == {False}
    assert {each.reason and each.reason.code for each in told.pieces} == {
        "mirakl.partial_acceptance_disabled"
    }
    assert mirakl.done("accept") == []


def test_a_second_acceptance_is_already_done(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order(accepted=False)
    number = piece.partition("/")[0]
    mirakl.client().accept_order(number, [piece], [])
    (again,) = mirakl.client().accept_order(number, [piece], []).pieces
    assert (again.ok, again.already) == (True, True)
    assert len(mirakl.done("accept")) == 1


def test_accepting_what_was_refused_by_hand_is_no_success(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order(accepted=False)
    number = piece.partition("/")[0]
    mirakl.client().accept_order(number, [], [piece])
    (told,) = mirakl.client().accept_order(number, [piece], []).pieces
    assert (told.ok, told.state) == (False, m.PieceState.CANCELLED)


# --- shipping ----------------------------------------------------------------------------------------------------------------


def test_a_whole_order_leaves_with_its_number(mirakl: Mirakl) -> None:
    pieces = mirakl.order(2)
    told = mirakl.client().ship(parcel(*pieces))
    assert [(each.ok, each.state) for each in told] == [(True, m.PieceState.SHIPPED)] * 2
    tracking = mirakl.world.orders[pieces[0].partition("/")[0]]["tracking"]
    assert tracking == {"carrier_code": "DHL", "tracking_number": NUMBER}
    assert [mirakl.state(each) for each in pieces] == ["shipped", "shipped"]


def test_a_whole_order_may_leave_without_a_number(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    (told,) = mirakl.client().ship(parcel(piece, number=None, carrier=None))
    assert told.ok
    assert mirakl.faults.count("PUT", "/tracking$") == 0
    assert mirakl.state(piece) == "shipped"


def test_a_carrier_is_found_by_the_operators_name_for_it(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    mirakl.client().ship(parcel(piece, number="12345678", carrier="gls"))
    assert mirakl.world.orders[piece.partition("/")[0]]["tracking"]["carrier_code"] == "GLSIT"


def test_a_carrier_that_the_operator_does_not_list_is_named_with_a_link(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    mirakl.client().ship(parcel(piece, number="01234567890123", carrier="hermes"))
    tracking = mirakl.world.orders[piece.partition("/")[0]]["tracking"]
    assert tracking["carrier_name"] == "Hermes"
    assert tracking["carrier_url"].startswith("https://")
    assert "carrier_code" not in tracking


def test_where_only_listed_carriers_count_another_is_told_at_once(mirakl: Mirakl) -> None:
    mirakl.world.conduct.other_carriers = False
    (piece,) = mirakl.order()
    (told,) = mirakl.client().ship(parcel(piece, number="01234567890123", carrier="hermes"))
    assert (told.ok, told.reason and told.reason.code) == (False, "ship.carrier_not_accepted")
    assert mirakl.state(piece) == "to_ship"


def test_carriers_are_asked_for_once_a_day(mirakl: Mirakl) -> None:
    for _ in range(3):
        mirakl.client().ship(parcel(*mirakl.order()))
    assert mirakl.faults.count("GET", "/shipping/carriers$") == 1


def test_another_operators_carriers_are_asked_for_anew(mirakl: Mirakl) -> None:
    mirakl.client().ship(parcel(*mirakl.order()))
    mirakl.client(host="https://other.mirakl.example").ship(parcel(*mirakl.order()))
    assert mirakl.faults.count("GET", "/shipping/carriers$") == 2


def test_shipping_again_is_already_done(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    mirakl.client().ship(parcel(piece))
    (again,) = mirakl.client().ship(parcel(piece))
    assert (again.ok, again.already) == (True, True)
    assert len(mirakl.done("ship")) == 1


def test_shipping_a_cancelled_order_is_refused_with_the_operators_word(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    mirakl.world.buyer_cancels([piece])
    (told,) = mirakl.client().ship(parcel(piece))
    assert (told.ok, told.state) == (False, m.PieceState.CANCELLED)
    assert told.reason is not None
    assert told.reason.code == "deed.not_allowed"


@pytest.mark.parametrize("multi", [True, False])
def test_a_further_parcel_is_refused_in_plain_words(mirakl: Mirakl, multi: bool) -> None:
    (piece,) = mirakl.order()
    more = m.ShipmentWanted((piece,), NUMBER, *("dhl", "DHL"), further_parcel=True)
    (told,) = mirakl.client(multi_shipment=multi).ship(more)
    assert told.reason == m.Reason("mirakl.one_parcel", {"number": NUMBER})


def test_several_parcels_leave_one_after_the_other(mirakl: Mirakl) -> None:
    pieces = mirakl.order(3)
    client = mirakl.client(multi_shipment=True)
    client.ship(parcel(pieces[1]))
    assert [each.state for each in client.read_pieces(pieces)] == [
        m.PieceState.TO_SHIP,
        m.PieceState.SHIPPED,
        m.PieceState.TO_SHIP,
    ]
    client.ship(parcel(pieces[0], pieces[2], number="00340434161094015919"))
    assert {each.state for each in client.read_pieces(pieces)} == {m.PieceState.SHIPPED}
    assert [each["pieces"] for each in mirakl.done("ship")] == [[pieces[1]], [pieces[0], pieces[2]]]


def test_a_parcel_without_a_number_leaves_too(mirakl: Mirakl) -> None:
    pieces = mirakl.order(2)
    (told,) = mirakl.client(multi_shipment=True).ship(parcel(pieces[0], number=None, carrier=None))
    assert told.ok
    assert mirakl.world.shipments[0]["tracking"] == {}


def test_a_parcel_that_has_left_already_is_already_done(mirakl: Mirakl) -> None:
    pieces = mirakl.order(2)
    client = mirakl.client(multi_shipment=True)
    client.ship(parcel(pieces[0]))
    client.ship(parcel(pieces[1]))
    (again,) = client.ship(parcel(pieces[0]))
    assert (again.ok, again.already) == (True, True)
    assert len(mirakl.done("ship")) == 2


def test_an_order_refused_inside_a_good_answer_is_seen(mirakl: Mirakl) -> None:
    good, bad = mirakl.order()[0], mirakl.order()[0]
    mirakl.world.buyer_cancels([bad])
    told = mirakl.client(multi_shipment=True).ship(parcel(good, bad))
    assert [each.ok for each in told] == [True, False]
    assert told[1].reason is not None
    assert "SHIPPING" in str(told[1].reason.params["message"])


# --- cancelling and refunding --------------------------------------------------------------------------------------------------


def test_a_part_of_a_line_is_cancelled_with_its_money(mirakl: Mirakl) -> None:
    pieces = mirakl.order(3, shipping=500)
    (told,) = mirakl.client().cancel([pieces[2]], "buyer_cancelled")
    assert (told.ok, told.state) == (True, m.PieceState.CANCELLED)
    (made,) = mirakl.line(pieces[0])["cancelations"]
    assert (made["quantity"], made["amount"], made["shipping_amount"]) == (1, 790, 166)
    assert (made["tax"], made["shipping_tax"], made["reason_code"]) == (142, 30, "34")


def test_the_piece_that_was_cancelled_is_the_one_that_was_asked_for(mirakl: Mirakl) -> None:
    pieces = mirakl.order(3)
    mirakl.client().cancel([pieces[0]], "out_of_stock")
    states = {each.external_id: each.state for each in mirakl.client().read_pieces(pieces)}
    assert [states[each] for each in pieces] == [
        m.PieceState.CANCELLED,
        m.PieceState.TO_SHIP,
        m.PieceState.TO_SHIP,
    ]


def test_a_buyers_cancellation_takes_the_last_pieces(mirakl: Mirakl) -> None:
    pieces = mirakl.order(3)
    mirakl.world.buyer_cancels([pieces[0]])
    (order,) = orders(mirakl.client().orders_changed(hour_ago()))
    assert [each.state for each in order.pieces] == [
        m.PieceState.TO_SHIP,
        m.PieceState.TO_SHIP,
        m.PieceState.CANCELLED,
    ]
    assert order.pieces[2].reason == "34"


def test_cancelling_the_rest_cancels_the_order(mirakl: Mirakl) -> None:
    pieces = mirakl.order(2)
    mirakl.client().cancel([pieces[1]], "other")
    mirakl.client().cancel([pieces[0]], "other")
    assert mirakl.world.orders[pieces[0].partition("/")[0]]["state"] == "CANCELED"


def test_cancelling_again_is_already_done(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    mirakl.client().cancel([piece], "other")
    (again,) = mirakl.client().cancel([piece], "other")
    assert (again.ok, again.already) == (True, True)
    assert len(mirakl.done("cancel")) == 1


def test_what_has_left_cannot_be_cancelled(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    mirakl.client().ship(parcel(piece))
    (told,) = mirakl.client().cancel([piece], "other")
    assert (told.ok, told.state) == (False, m.PieceState.SHIPPED)


def test_an_order_that_waits_is_refused_instead(mirakl: Mirakl) -> None:
    pieces = mirakl.order(2, accepted=False)
    told = mirakl.client().cancel(pieces, "out_of_stock")
    assert [(each.ok, each.state) for each in told] == [(True, m.PieceState.CANCELLED)] * 2
    assert mirakl.world.orders[pieces[0].partition("/")[0]]["state"] == "REFUSED"


def test_a_part_of_an_order_that_waits_is_left_alone(mirakl: Mirakl) -> None:
    pieces = mirakl.order(2, accepted=False)
    (told,) = mirakl.client().cancel(pieces[:1], "out_of_stock")
    assert told.reason is not None
    assert told.reason.code == "mirakl.accept_first"
    assert mirakl.done("accept") == []


@pytest.mark.parametrize("mode", ["TAX_INCLUDED", "TAX_EXCLUDED"])
def test_a_refund_arrives_to_the_cent_in_either_tax_mode(mirakl: Mirakl, mode: str) -> None:
    mirakl.world.conduct.tax_mode = mode
    pieces = mirakl.order(3, price=790)
    client = mirakl.client()
    client.ship(parcel(*pieces))
    assert client.refund(pieces[0], 333, "damaged").ok
    assert client.read_refunded(pieces[0]) == 333
    assert client.refund(pieces[1], 101, "other").ok
    assert client.read_refunded(pieces[0]) == 434
    assert [each["amount"] for each in mirakl.done("refund")] == [333, 101]


@pytest.mark.parametrize("mode", ["TAX_INCLUDED", "TAX_EXCLUDED"])
def test_all_of_a_line_can_be_refunded_with_its_shipping(mirakl: Mirakl, mode: str) -> None:
    mirakl.world.conduct.tax_mode = mode
    pieces = mirakl.order(2, shipping=490)
    client = mirakl.client()
    (order,) = orders(client.orders_to_ship(None))
    whole = sum(each.unit_price + each.shipping_price for each in order.pieces)
    client.ship(parcel(*pieces))
    assert client.refund(pieces[0], whole, "return").ok
    assert client.read_refunded(pieces[0]) == whole
    too_much = client.refund(pieces[0], 1, "return")
    assert (too_much.ok, too_much.reason and too_much.reason.code) == (False, "refund.more_than_paid")


def test_postage_is_refunded_from_the_shipping(mirakl: Mirakl) -> None:
    pieces = mirakl.order(1, shipping=490)
    mirakl.client().ship(parcel(*pieces))
    mirakl.client().refund(pieces[0], 490, "postage")
    (made,) = mirakl.line(pieces[0])["refunds"]
    assert (made["amount"], made["shipping_amount"]) == (0, 490)


def test_the_operators_reason_is_the_one_with_the_fitting_name(mirakl: Mirakl) -> None:
    pieces = mirakl.order(3)
    client = mirakl.client()
    client.ship(parcel(*pieces))
    for piece, reason in zip(pieces, ("damaged", "return", "delayed"), strict=True):
        client.refund(piece, 100, reason)
    assert [each["reason_code"] for each in mirakl.line(pieces[0])["refunds"]] == ["16", "15", "17"]


def test_a_reason_that_the_merchant_chose_counts(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    mirakl.client(cancel_reasons={"other": "35"}).cancel([piece], "other")
    assert mirakl.line(piece)["cancelations"][0]["reason_code"] == "35"


def test_a_reason_of_nobody_is_refused_before_any_call(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    with pytest.raises(Refused):
        mirakl.client().cancel([piece], "bad_mood")
    assert not mirakl.client().refund(piece, 100, "bad_mood").ok
    assert mirakl.faults.count("PUT", "") == 0


# --- a lost answer -------------------------------------------------------------------------------------------------------------

LOST = {"kind": "timeout", "method": "PUT", "seconds": 0.2}


def test_a_lost_acceptance_is_not_doubled(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order(accepted=False)
    number = piece.partition("/")[0]
    mirakl.faults.add(LOST | {"path": "/accept$"})
    with pytest.raises(Unknown):
        mirakl.client(mirakl.door(deadline=2)).accept_order(number, [piece], [])
    (again,) = mirakl.client().accept_order(number, [piece], []).pieces
    assert (again.ok, again.already) == (True, True)
    assert len(mirakl.done("accept")) == 1


def test_a_lost_shipment_is_read_back(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    mirakl.faults.add(LOST | {"path": "/ship$"})
    with pytest.raises(Unknown):
        mirakl.client().ship(parcel(piece))
    (seen,) = mirakl.client().read_pieces([piece])
    assert seen.state is m.PieceState.SHIPPED
    assert len(mirakl.done("ship")) == 1


def test_a_lost_parcel_is_read_back_piece_by_piece(mirakl: Mirakl) -> None:
    pieces = mirakl.order(3)
    client = mirakl.client(multi_shipment=True)
    mirakl.faults.add(LOST | {"path": "/shipments$", "method": "POST"})
    with pytest.raises(Unknown):
        client.ship(parcel(pieces[1]))
    states = [each.state for each in client.read_pieces(pieces)]
    assert states == [m.PieceState.TO_SHIP, m.PieceState.SHIPPED, m.PieceState.TO_SHIP]


def test_a_lost_cancellation_is_read_back_for_the_piece_that_was_meant(mirakl: Mirakl) -> None:
    pieces = mirakl.order(3)
    mirakl.faults.add(LOST | {"path": "/orders/cancel$"})
    with pytest.raises(Unknown):
        mirakl.client().cancel([pieces[0]], "other")
    states = [each.state for each in mirakl.client().read_pieces(pieces)]
    assert states == [m.PieceState.CANCELLED, m.PieceState.TO_SHIP, m.PieceState.TO_SHIP]
    assert len(mirakl.done("cancel")) == 1


def test_a_cancellation_that_never_happened_is_read_back_as_such(mirakl: Mirakl) -> None:
    pieces = mirakl.order(3)
    mirakl.faults.add({"kind": "reset", "path": "/orders/cancel$", "effect": False})
    with pytest.raises(Unknown):
        mirakl.client().cancel([pieces[0]], "other")
    assert {each.state for each in mirakl.client().read_pieces(pieces)} == {m.PieceState.TO_SHIP}


def test_a_lost_refund_is_read_back(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    mirakl.client().ship(parcel(piece))
    before = mirakl.client().read_refunded(piece)
    mirakl.faults.add(LOST | {"path": "/orders/refund$"})
    with pytest.raises(Unknown):
        mirakl.client().refund(piece, 250, "other")
    assert mirakl.client().read_refunded(piece) - before == 250
    assert len(mirakl.done("refund")) == 1


def test_a_page_of_maintenance_after_a_deed_leaves_it_open(mirakl: Mirakl) -> None:
    (piece,) = mirakl.order()
    mirakl.client().ship(parcel(piece))
    mirakl.faults.add({"kind": "garbage", "path": "/orders/refund$"})
    with pytest.raises(Unknown):
        mirakl.client().refund(piece, 250, "other")


@pytest.mark.parametrize("retry_after", [17, None])
def test_too_many_calls_rest_as_long_as_asked_for(mirakl: Mirakl, retry_after: int | None) -> None:
    mirakl.faults.add({"kind": "status", "status": 429, "path": "/api/orders$", "retry_after": retry_after})
    with pytest.raises(Unavailable) as busy:
        orders(mirakl.client().orders_to_ship(None))
    assert busy.value.pauses
    assert busy.value.retry_after == retry_after


def test_the_documented_frequency_is_kept_by_the_lanes(mirakl: Mirakl) -> None:
    from app.marketplaces.mirakl import PROVIDER

    mirakl.world.conduct.frequency = True
    for _ in range(120):
        mirakl.order()
    limiter = Limiter.in_memory(patience=0)
    door = mirakl.door(limiter=limiter, lanes=PROVIDER.lanes)
    mirakl.world.conduct.frequency = False
    assert len(orders(mirakl.client(door).orders_to_ship(None))) == 120
    with pytest.raises(Unavailable) as full:
        orders(mirakl.client(door).orders_to_ship(None))
    assert full.value.code == "pace.wait"
    assert mirakl.faults.count("GET", "/api/orders$") == 2


def test_without_lanes_the_operator_itself_asks_for_a_pause(mirakl: Mirakl) -> None:
    mirakl.world.conduct.frequency = True
    orders(mirakl.client().orders_to_ship(None))
    with pytest.raises(Unavailable) as busy:
        orders(mirakl.client().orders_to_ship(None))
    assert busy.value.pauses
    assert 1 <= (busy.value.retry_after or 0) <= 60


def test_parcels_go_on_with_the_carriers_of_yesterday_when_the_list_may_not_be_asked_for_now(
    mirakl: Mirakl,
) -> None:
    from app.marketplaces.mirakl import PROVIDER

    clock = [0.0]
    mirakl.kept._clock = lambda: clock[0]
    door = mirakl.door(limiter=Limiter.in_memory(patience=0), lanes=PROVIDER.lanes)
    mirakl.client(door).ship(parcel(*mirakl.order()))
    clock[0] = 86_401.0
    mirakl.faults.add(
        {"kind": "status", "status": 429, "path": "/shipping/carriers$", "retry_after": 80_000, "count": -1}
    )
    for _ in range(2):
        (sent,) = mirakl.client(door).ship(parcel(*mirakl.order()))
        assert sent.ok
    assert mirakl.faults.count("GET", "/shipping/carriers$") == 2
    mirakl.order()
    assert len(orders(mirakl.client(door).orders_to_ship(None))) == 1


# --- returns -------------------------------------------------------------------------------------------------------------------


def sent_back(mirakl: Mirakl, pieces: list[str], **how: Any) -> str:
    mirakl.client().ship(parcel(*pieces))
    return mirakl.world.start_return(pieces, **how)[0]


def test_a_return_names_its_pieces(mirakl: Mirakl) -> None:
    pieces = mirakl.order(3)
    mirakl.client().ship(parcel(*pieces))
    return_id = mirakl.world.start_return(pieces[:2])[0]
    ((seen,),) = mirakl.client().returns_changed(hour_ago())
    assert seen.external_id == return_id
    assert [each.piece_external_id for each in seen.pieces] == pieces[:2]
    assert {each.state for each in seen.pieces} == {m.ReturnState.ANNOUNCED}
    assert (seen.carrier, seen.tracking_number) == ("Bartolini", "BRT1")


def test_two_returns_of_a_line_are_about_different_pieces_for_ever(mirakl: Mirakl) -> None:
    pieces = mirakl.order(3)
    mirakl.client().ship(parcel(*pieces))
    first = mirakl.world.start_return(pieces[:1])[0]
    mirakl.world.advance(60)
    second = mirakl.world.start_return(pieces[:1])[0]
    for _ in range(2):
        (page,) = mirakl.client().returns_changed(hour_ago())
        found = {seen.external_id: seen.pieces[0].piece_external_id for seen in page}
        assert found == {first: pieces[0], second: pieces[1]}
        mirakl.world.move_return(first, "receive") if found and mirakl.world.returns[first][
            "state"
        ] == "IN_PROGRESS" else None


def test_a_return_after_a_cancelled_one_is_about_a_piece_that_exists(mirakl: Mirakl) -> None:
    pieces = mirakl.order(1)
    first = sent_back(mirakl, pieces)
    mirakl.world.move_return(first, "cancel")
    mirakl.world.advance(60)
    second = mirakl.world.start_return(pieces)[0]
    (page,) = mirakl.client().returns_changed(hour_ago())
    found = {seen.external_id: seen.pieces[0].piece_external_id for seen in page}
    assert found == {first: pieces[0], second: pieces[0]}


@pytest.mark.parametrize("state", ["WAITING_ACCEPTANCE", "IN_PROGRESS"])
def test_accepting_a_return_moves_it_on_and_moves_no_money(mirakl: Mirakl, state: str) -> None:
    pieces = mirakl.order(2)
    return_id = sent_back(mirakl, pieces, state=state)
    assert mirakl.client().accept_return(f"{return_id}/{pieces[0].split('/')[1]}/1").ok
    assert mirakl.done("refund") == []
    after = {"WAITING_ACCEPTANCE": "IN_PROGRESS", "IN_PROGRESS": "RECEIVED"}[state]
    assert mirakl.world.returns[return_id]["state"] == after


def test_a_return_whose_answer_got_lost_is_accepted_once(mirakl: Mirakl) -> None:
    pieces = mirakl.order(1)
    return_id = sent_back(mirakl, pieces)
    piece = f"{return_id}/{pieces[0].split('/')[1]}/1"
    mirakl.faults.add(LOST | {"path": "/returns/receive$"})
    with pytest.raises(Unknown):
        mirakl.client().accept_return(piece)
    assert mirakl.client().accept_return(piece).ok
    assert mirakl.client().accept_return(piece).already
    assert mirakl.faults.count("PUT", "/returns/receive$") == 1
    assert mirakl.world.returns[return_id]["state"] == "CLOSED"


def test_a_return_that_is_accepted_as_a_whole_is_closed(mirakl: Mirakl) -> None:
    pieces = mirakl.order(2)
    return_id = sent_back(mirakl, pieces)
    line = pieces[0].split("/")[1]
    assert mirakl.client().accept_return(f"{return_id}/{line}/1").ok
    assert mirakl.world.returns[return_id]["state"] == "RECEIVED"
    assert mirakl.client().accept_return(f"{return_id}/{line}/2").ok
    back = mirakl.world.returns[return_id]
    assert (back["state"], back["compliant"]) == ("CLOSED", {line: True})
    # Whoever asks once more learns that it is done, although the return is closed now.
    again = mirakl.client().accept_return(f"{return_id}/{line}/2")
    assert (again.ok, again.already) == (True, True)


@pytest.mark.parametrize(
    ("state", "after", "compliant"),
    [
        ("WAITING_ACCEPTANCE", "REFUSED", None),
        ("IN_PROGRESS", "RECEIVED", False),
        ("RECEIVED", "RECEIVED", False),
    ],
)
@pytest.mark.parametrize("reason", ["WINDOW_CLOSED", "DAMAGED_PRODUCT"])
def test_a_return_is_rejected_as_a_whole_and_once(
    mirakl: Mirakl, state: str, after: str, compliant: bool | None, reason: str
) -> None:
    pieces = mirakl.order(2)
    line = pieces[0].split("/")[1]
    return_id = sent_back(mirakl, pieces, state="WAITING_ACCEPTANCE" if compliant is None else "IN_PROGRESS")
    if state == "RECEIVED":
        mirakl.world.move_return(return_id, "receive")
    asked = [f"{return_id}/{line}/1", f"{return_id}/{line}/2"]
    for already in (False, True):
        told = mirakl.client().reject_return(asked, reason, "Kratzer")
        assert [(each.external_id, each.ok, each.already) for each in told] == [
            (each, True, already) for each in asked
        ]
    back = mirakl.world.returns[return_id]
    assert (back["state"], back.get("compliant")) == (after, None if compliant is None else {line: compliant})
    assert (len(mirakl.done("reject_return")), mirakl.done("refund")) == (1, [])


def test_goods_that_are_not_here_yet_leave_their_return_open(mirakl: Mirakl) -> None:
    pieces = mirakl.order(1)
    return_id = sent_back(mirakl, pieces, state="WAITING_ACCEPTANCE")
    assert mirakl.client().accept_return(f"{return_id}/{pieces[0].split('/')[1]}/1").ok
    assert mirakl.world.returns[return_id]["state"] == "IN_PROGRESS"
    assert mirakl.faults.count("PUT", "/returns/(compliance|close)$") == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 400},
        {"kind": "status", "status": 429},
        {"kind": "garbage"},
        {"kind": "reset"},
    ],
)
def test_a_return_that_cannot_be_closed_is_accepted_all_the_same(
    mirakl: Mirakl, fault: dict[str, Any]
) -> None:
    pieces = mirakl.order(1)
    return_id = sent_back(mirakl, pieces)
    mirakl.faults.add({"method": "PUT", "path": "/returns/(compliance|close)$", "count": 2, **fault})
    assert mirakl.client().accept_return(f"{return_id}/{pieces[0].split('/')[1]}/1").ok
    assert mirakl.world.returns[return_id]["state"] == "RECEIVED"
    assert mirakl.client().accept_return(f"{return_id}/{pieces[0].split('/')[1]}/1").already


def test_a_refused_return_cannot_be_accepted(mirakl: Mirakl) -> None:
    pieces = mirakl.order(1)
    return_id = sent_back(mirakl, pieces, state="WAITING_ACCEPTANCE")
    mirakl.world.move_return(return_id, "refuse")
    told = mirakl.client().accept_return(f"{return_id}/{pieces[0].split('/')[1]}/1")
    assert (told.ok, told.reason and told.reason.code) == (False, "return.wrong_status")
    assert mirakl.done("refund") == []


# --- offers --------------------------------------------------------------------------------------------------------------------


def confirmed(offer: m.OfferWanted, **change: Any) -> m.OfferShown:
    told = {"price": offer.price, "stock": offer.stock, "handling_days": offer.handling_days} | change
    return m.OfferShown(offer.sku, offer.sku, on=True, **told)


def known(sku: str = "TEE-001", *, was: dict[str, Any], **now: Any) -> m.OfferWanted:
    offer = wanted(sku, external_ref=sku, **now)
    return wanted(sku, external_ref=sku, was=confirmed(offer, **was), **now)


def results(client: MiraklClient, *tasks: str | None) -> dict[str, m.OfferAnswer]:
    """What became of imports; the simulator has done them when it is asked for the second time."""
    named = [each for each in tasks if each]
    first = client.read_tasks(named)
    assert not any(each.done for each in first)
    return {one.sku: one for seen in client.read_tasks(named) for one in seen.answers}


def test_a_new_offer_goes_as_a_whole_row_and_is_on_sale_when_the_import_is_done(mirakl: Mirakl) -> None:
    client = mirakl.client()
    (told,) = client.push_offers([wanted()])
    assert (told.ok, told.state) == (True, m.OfferState.WAITING)
    assert told.task is not None
    assert told.task.startswith("OF01:")
    done = results(client, told.task)["TEE-001"]
    assert (done.ok, done.state) == (True, m.OfferState.ON_SALE)
    assert done.shown is not None
    assert (done.shown.external_ref, done.shown.price, done.shown.stock) == ("TEE-001", 790, 5)
    ((shown,),) = client.read_offers(["TEE-001"])
    assert (shown.price, shown.stock, shown.handling_days, shown.state) == (790, 5, 1, m.OfferState.ON_SALE)
    assert shown.gtin == GTIN


def test_only_what_differs_is_sent(mirakl: Mirakl) -> None:
    mirakl.offer(stock=10)
    client = mirakl.client()
    (stock,) = client.push_offers([known(was={"stock": 10})])
    (price,) = client.push_offers([known(was={"price": 700})])
    (both,) = client.push_offers([known(was={"price": 700, "stock": 10})])
    (days,) = client.push_offers([known(was={"handling_days": 4})])
    kinds = [(each.task or "").partition(":")[0] for each in (stock, price, both, days)]
    assert kinds == ["STO01", "PRI01", "OF01", "OF01"]


def test_stock_and_price_imports_take_effect(mirakl: Mirakl) -> None:
    mirakl.offer(stock=10, price=700)
    client = mirakl.client()
    (told,) = client.push_offers([known(was={"stock": 10})])
    assert results(client, told.task)["TEE-001"].ok
    (told,) = client.push_offers([known(was={"price": 700})])
    assert results(client, told.task)["TEE-001"].ok
    assert (mirakl.world.offers["TEE-001"]["stock"], mirakl.world.offers["TEE-001"]["price"]) == (5, 790)


def test_one_push_is_one_file_for_each_kind(mirakl: Mirakl) -> None:
    offers = [known(f"TEE-{n:03d}", was={"stock": 9}) for n in range(40)]
    offers += [known(f"TEE-{n:03d}", was={"price": 1}) for n in range(40, 80)]
    told = mirakl.client().push_offers(offers)
    assert len({each.task for each in told}) == 2
    assert mirakl.faults.count("POST", "/imports$") == 2


def test_off_is_stock_zero(mirakl: Mirakl) -> None:
    mirakl.offer(stock=10)
    client = mirakl.client()
    (told,) = client.push_offers([known(was={"stock": 10}, on=False)])
    done = results(client, told.task)["TEE-001"]
    assert (done.ok, done.state) == (True, m.OfferState.OFF)
    assert mirakl.world.offers["TEE-001"]["stock"] == 0


def test_an_unknown_ean_needs_a_product_and_no_import(mirakl: Mirakl) -> None:
    told = mirakl.client().push_offers([wanted(), wanted("TEE-009", gtin=UNKNOWN_GTIN)])
    assert [each.state for each in told] == [m.OfferState.WAITING, m.OfferState.NEEDS_PRODUCT]
    assert told[1].reason == m.Reason("product.unknown_gtin", {"gtin": UNKNOWN_GTIN})
    assert mirakl.world.imports[(told[0].task or "").partition(":")[2]]["rows"][0]["sku"] == "TEE-001"


@pytest.mark.parametrize(("count", "calls"), [(100, 1), (101, 2), (250, 3)])
def test_eans_are_asked_for_by_the_hundred(mirakl: Mirakl, count: int, calls: int) -> None:
    gtins = [f"{4006381000000 + n}" for n in range(count)]
    told = mirakl.client().push_offers([wanted(f"TEE-{g}", gtin=g) for g in gtins])
    assert {each.state for each in told} == {m.OfferState.NEEDS_PRODUCT}
    assert mirakl.faults.count("GET", "/api/products$") == calls


def test_what_the_import_refuses_is_told_with_its_row(mirakl: Mirakl) -> None:
    mirakl.world.conduct.required_fields = ["ecotax"]
    client = mirakl.client()
    told = client.push_offers([wanted(), wanted("TEE-002", gtin=OTHER_GTIN)])
    found = results(client, told[0].task)
    assert {sku: each.ok for sku, each in found.items()} == {"TEE-001": False, "TEE-002": False}
    reason = found["TEE-002"].reason
    assert reason is not None
    assert (reason.code, reason.params["message"]) == ("offer.refused", "The field ecotax is mandatory")


def test_an_import_with_one_bad_row_does_not_take_the_others_with_it(mirakl: Mirakl) -> None:
    mirakl.offer("TEE-001", stock=10)
    client = mirakl.client()
    told = client.push_offers([known(was={"stock": 10}), known("TEE-404", was={"stock": 10})])
    found = results(client, told[0].task)
    assert (found["TEE-001"].ok, found["TEE-404"].ok) == (True, False)
    assert found["TEE-404"].reason is not None
    assert "does not exist" in str(found["TEE-404"].reason.params["message"])


def test_the_operators_own_fields_are_sent(mirakl: Mirakl) -> None:
    mirakl.world.conduct.required_fields = ["ecotax"]
    client = mirakl.client(offer_fields={"ecotax": "0"}, logistic_class="M")
    (told,) = client.push_offers([wanted()])
    assert results(client, told.task)["TEE-001"].ok
    assert mirakl.world.offers["TEE-001"]["logistic_class"] == "M"


def test_a_product_that_vanished_after_the_question_is_needed(mirakl: Mirakl) -> None:
    client = mirakl.client()
    told = client.push_offers([wanted(), wanted("TEE-002", gtin=OTHER_GTIN)])
    del mirakl.world.products[OTHER_GTIN]
    found = results(client, told[0].task)
    assert found["TEE-001"].state is m.OfferState.ON_SALE
    assert found["TEE-002"].state is m.OfferState.NEEDS_PRODUCT


def test_an_import_that_waits_for_products_is_an_answer(mirakl: Mirakl) -> None:
    client = mirakl.client()
    (told,) = client.push_offers([wanted()])
    mirakl.world.products.clear()
    found = results(client, told.task)
    assert (found["TEE-001"].ok, found["TEE-001"].state) == (False, m.OfferState.NEEDS_PRODUCT)


def test_a_failed_import_is_tried_again(mirakl: Mirakl) -> None:
    client = mirakl.client()
    (told,) = client.push_offers([wanted()])
    task = mirakl.world.imports[(told.task or "").partition(":")[2]]
    task.update(done=True, failed="The file cannot be read")
    (seen,) = client.read_tasks([told.task or ""])
    (one,) = seen.answers
    assert (one.ok, one.retry, one.reason and one.reason.code) == (False, True, "offer.batch_refused")


def test_a_task_of_nobody_is_done_without_a_word(mirakl: Mirakl) -> None:
    seen = mirakl.client().read_tasks(["OF01:999", "STO01:none", "PRI01:none", "P41:1", "OF01:"])
    assert [(each.done, each.answers) for each in seen if each.task != "PRI01:none"] == [(True, ())] * 4


def test_what_nobody_remembers_is_answered_with_errors_only(mirakl: Mirakl) -> None:
    told = mirakl.client().push_offers([known("TEE-404", was={"stock": 1})])
    mirakl.kept.forget(f"task:{told[0].task}")
    assert list(results(mirakl.client(), told[0].task)) == ["TEE-404"]


def test_a_full_lane_leaves_the_rest_for_later(mirakl: Mirakl) -> None:
    from app.marketplaces.mirakl import PROVIDER

    door = mirakl.door(limiter=Limiter.in_memory(patience=0), lanes=PROVIDER.lanes)
    client = mirakl.client(door)
    client.push_offers([known(was={"price": 700})])
    told = client.push_offers([known(was={"stock": 9}), known("TEE-002", was={"price": 700})])
    assert told[0].task is not None
    assert (told[1].ok, told[1].retry, told[1].state) == (False, True, m.OfferState.WAITING)
    with pytest.raises(Unavailable):
        client.push_offers([known(was={"stock": 9})])


@pytest.mark.parametrize(
    ("there", "done"),
    [(True, [False, True, True, True, False]), (False, [False, True, False, False, False])],
    ids=["looks are full", "reports of errors are full"],
)
def test_a_task_whose_turn_it_is_not_is_not_done(mirakl: Mirakl, there: bool, done: list[bool]) -> None:
    from app.marketplaces.mirakl import PROVIDER

    door = mirakl.door(limiter=Limiter.in_memory(patience=0), lanes=PROVIDER.lanes)
    client = mirakl.client(door)
    if there:
        mirakl.offer(stock=10)
    (told,) = client.push_offers([known(was={"stock": 10})])
    seen = [client.read_tasks([told.task or ""])[0] for _ in range(5)]
    assert [each.done for each in seen] == done
    assert 1 <= seen[-1].again_in <= 61


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"price": 0}, "offer.price_missing"),
        ({"currency": "PLN"}, "offer.currency"),
        ({"gtin": None}, "product.gtin_missing"),
        ({"condition": "used_good"}, "offer.condition_unknown"),
    ],
)
def test_what_would_be_refused_anyway_costs_no_call(
    mirakl: Mirakl, change: dict[str, Any], code: str
) -> None:
    (told,) = mirakl.client().push_offers([wanted(**change)])
    assert (told.ok, told.state) == (False, m.OfferState.REFUSED)
    assert told.reason is not None
    assert told.reason.code == code
    assert mirakl.faults.calls == []


def test_a_refused_file_refuses_its_offers(mirakl: Mirakl) -> None:
    mirakl.faults.add({"kind": "status", "status": 400, "method": "POST", "path": "/stock/imports$"})
    told = mirakl.client().push_offers([known(was={"stock": 9}), wanted("TEE-002", gtin=OTHER_GTIN)])
    assert told[0].reason is not None
    assert told[0].reason.code == "offer.batch_refused"
    assert told[1].task is not None


def test_the_file_never_replaces_the_whole_catalogue(mirakl: Mirakl) -> None:
    door = (
        ScriptedDoor()
        .on("GET", "/api/products", answer(404, {}))
        .on("POST", ".*", answer(201, {"import_id": 7}))
    )
    scripted(door).push_offers([wanted()])
    body = bytes(door.sent[-1].body).decode()
    assert 'name="import_mode"\r\n\r\nNORMAL' in body
    assert "REPLACE" not in body


def test_every_page_of_offers_is_read(mirakl: Mirakl) -> None:
    for number in range(205):
        mirakl.offer(f"TEE-{number:03d}")
    shown = [each.sku for page in mirakl.client().read_offers(None) for each in page]
    assert len(shown) == len(set(shown)) == 205
    assert mirakl.faults.count("GET", "/api/offers$") == 3


def test_an_offer_that_is_not_seen_says_why(mirakl: Mirakl) -> None:
    mirakl.offer(stock=3)
    mirakl.offer("TEE-002", stock=0, gtin=OTHER_GTIN)
    mirakl.world.closed = ("2026-01-01T00:00:00Z", None)
    shown = {each.sku: each for page in mirakl.client().read_offers(None) for each in page}
    assert shown["TEE-001"].state is m.OfferState.WAITING
    assert shown["TEE-001"].reason == m.Reason(
        "mirakl.offer_inactive", {"sku": "TEE-001", "reasons": "SHOP_NOT_OPEN"}
    )
    mirakl.world.closed = (None, None)
    shown = {each.sku: each for page in mirakl.client().read_offers(None) for each in page}
    assert (shown["TEE-001"].state, shown["TEE-001"].reason) == (m.OfferState.ON_SALE, None)
    assert (shown["TEE-002"].state, shown["TEE-002"].reason) == (m.OfferState.OFF, None)


# --- holiday -------------------------------------------------------------------------------------------------------------------


def test_the_shop_is_closed_and_opened_again(mirakl: Mirakl) -> None:
    since, until = datetime(2026, 12, 24, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC)
    assert mirakl.client().close_shop(since, until) is None
    assert mirakl.world.closed == ("2026-12-24T00:00:00Z", "2027-01-02T00:00:00Z")
    assert mirakl.client().close_shop(None, None) is None
    assert set(mirakl.world.closed) == {None}


def test_locked_dates_are_seen_in_a_good_answer(mirakl: Mirakl) -> None:
    mirakl.world.conduct.dates_locked = True
    told = mirakl.client().close_shop(datetime(2026, 12, 24, tzinfo=UTC), None)
    assert told is not None
    assert told.code == "mirakl.closed_dates_locked"
    assert "contact your operator" in str(told.params["message"])


def test_a_second_change_of_a_day_waits_for_its_day(mirakl: Mirakl) -> None:
    from app.marketplaces.mirakl import PROVIDER

    door = mirakl.door(limiter=Limiter.in_memory(patience=0), lanes=PROVIDER.lanes)
    assert mirakl.client(door).close_shop(datetime(2026, 12, 24, tzinfo=UTC), None) is None
    with pytest.raises(Unavailable) as later:
        mirakl.client(door).close_shop(None, None)
    assert later.value.code == "pace.wait"
    assert 86_000 < (later.value.retry_after or 0) <= 86_401


def test_new_dates_are_known_without_asking_for_the_shop_again(mirakl: Mirakl) -> None:
    client = mirakl.client()
    client.check()
    for until, shown in ((datetime(2027, 1, 2, tzinfo=UTC), "2027-01-02T00:00:00Z"), (None, None)):
        client.close_shop(datetime(2026, 12, 24, tzinfo=UTC) if until else None, until)
        assert client.check().facts.get("closed_to") == shown
    assert mirakl.faults.count("GET", "/api/account$") == 1


# --- credentials ---------------------------------------------------------------------------------------------------------------


def test_a_key_that_was_withdrawn_stops_everything(mirakl: Mirakl) -> None:
    pieces = mirakl.order()
    mirakl.world.keys.clear()
    client = mirakl.client()
    for deed in (
        lambda: orders(client.orders_to_ship(None)),
        lambda: client.ship(parcel(*pieces, number=None, carrier=None)),
        lambda: client.push_offers([wanted()]),
        lambda: client.read_tasks(["OF01:1"]),
        lambda: client.close_shop(None, None),
    ):
        with pytest.raises(Unauthorised):
            deed()


def test_a_deed_on_an_order_of_nobody_is_refused(mirakl: Mirakl) -> None:
    with pytest.raises(Refused) as refused:
        mirakl.client().refund("Order_9-A/Order_9-A-1/1", 100, "other")
    assert refused.value.code == "partner.not_found"


def test_what_is_read_before_a_deed_is_what_the_contract_test_answers() -> None:
    assert set(ANSWERS) == {"deed_order", "deed_return", "carriers", "reasons"}
