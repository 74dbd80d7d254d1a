"""The Kaufland client against simulated Kaufland, over real HTTP and through the real Door. Signing vectors: tests/payloads/kaufland/signing.json."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised, Unavailable, Unknown
from app.marketplaces.kaufland.client import KauflandClient, signature
from tests.marketplaces.doors import ScriptedDoor, answer
from tests.marketplaces.kaufland.conftest import (
    CLIENT_KEY,
    GTIN,
    OTHER_GTIN,
    SECRET_KEY,
    UNKNOWN_GTIN,
    Kaufland,
)

SIGNING = json.loads(
    (Path(__file__).resolve().parents[2] / "payloads/kaufland/signing.json").read_text("utf-8")
)
NUMBER = "00340434161094015902"
OFFER = m.OfferWanted("TEE-001", GTIN, "Assam", 790, "EUR", 5, 1, on=True)


def hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def orders(pages: Any) -> list[m.OrderSeen]:
    return [order for page in pages for order in page]


def wanted(**change: Any) -> m.OfferWanted:
    return dataclasses.replace(OFFER, **change)


def parcel(
    *pieces: str, number: str | None = NUMBER, carrier: str | None = "dhl", further: bool = False
) -> m.ShipmentWanted:
    return m.ShipmentWanted(pieces, number, carrier, carrier, further_parcel=further)


# --- signing -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", SIGNING["vectors"], ids=["published", "query", "body"])
def test_the_signature_is_the_published_one(vector: dict[str, Any]) -> None:
    made = signature(
        SIGNING["secret_key"], vector["method"], vector["uri"], vector["body"].encode(), vector["timestamp"]
    )
    assert made == vector["signature_hex"]


def test_umlauts_are_signed_as_the_bytes_that_are_sent(kaufland: Kaufland) -> None:
    sku = "Tee & Süßes/1+2"
    (made,) = kaufland.client().push_offers([wanted(sku=sku)])
    assert made.ok
    assert [unit["id_offer"] for unit in kaufland.world.units.values()] == [sku]
    assert [each.sku for page in kaufland.client().read_offers([sku]) for each in page] == [sku]


# --- the connection ------------------------------------------------------------------------------------------------------------


def test_the_check_tells_storefronts_and_shipping_groups(kaufland: Kaufland) -> None:
    checked = kaufland.client().check()
    assert (checked.ok, checked.reason) == (True, None)
    assert checked.facts["storefronts"] == ["de", "at"]
    assert checked.facts["shipping_groups"] == {
        "de": [{"id_shipping_group": 195841, "name": "Paket", "is_default": True}]
    }


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"client_key": "x" * 32}, "credentials.refused"),
        ({"secret_key": "x" * 64}, "signature.refused"),
        ({"storefronts": ["de", "fr"]}, "storefront.not_configured"),
        ({"shipping_groups": {"de": 7}}, "shipping_group.unknown"),
    ],
)
def test_the_check_says_what_is_wrong(kaufland: Kaufland, settings: dict[str, Any], code: str) -> None:
    checked = kaufland.client(**settings).check()
    assert not checked.ok
    assert checked.reason is not None
    assert checked.reason.code == code


def test_the_check_names_the_missing_storefront(kaufland: Kaufland) -> None:
    reason = kaufland.client(storefronts=["de", "fr"]).check().reason
    assert reason is not None
    assert (reason.params["country"], reason.params["available"]) == ("fr", "de, at")


def test_the_check_recognises_an_inactive_account(kaufland: Kaufland) -> None:
    kaufland.seller.active = False
    reason = kaufland.client().check().reason
    assert reason is not None
    assert reason.code == "account.inactive"


@pytest.mark.parametrize(
    ("seconds", "code"), [(600, "signature.clock"), (-600, "signature.clock"), (200, None)]
)
def test_the_check_recognises_a_wrong_clock(kaufland: Kaufland, seconds: int, code: str | None) -> None:
    now = datetime.now(UTC).timestamp()
    settings = {"client_key": CLIENT_KEY, "secret_key": SECRET_KEY}
    reason = KauflandClient(kaufland.door(), settings, clock=lambda: now + seconds).check().reason
    assert (reason.code if reason else None) == code
    if reason:
        assert abs(int(str(reason.params["seconds"])) - seconds) <= 2


def test_every_call_with_wrong_keys_stops_the_connection(kaufland: Kaufland) -> None:
    with pytest.raises(Unauthorised) as wrong:
        orders(kaufland.client(client_key="x" * 32).orders_to_ship(None))
    assert wrong.value.code == "credentials.refused"


# --- orders --------------------------------------------------------------------------------------------------------------------


def test_an_order_with_several_lines_keeps_every_piece(kaufland: Kaufland) -> None:
    lines = [{"id_offer": "TEE-001", "pieces": 3}, {"id_offer": "TEE-002", "ean": OTHER_GTIN, "pieces": 1}]
    pieces = kaufland.order(lines=lines, shipping_rate=390)
    (order,) = orders(kaufland.client().orders_to_ship(None))
    assert [piece.external_id for piece in order.pieces] == pieces
    assert [piece.sku for piece in order.pieces] == ["TEE-001"] * 3 + ["TEE-002"]
    assert len({piece.group for piece in order.pieces}) == 2
    assert sum(piece.shipping_price for piece in order.pieces) == 390


def test_an_order_without_address_yet_is_not_to_be_shipped(kaufland: Kaufland) -> None:
    kaufland.order(open_seconds=900)
    client = kaufland.client()
    assert orders(client.orders_to_ship(None)) == []
    (announced,) = orders(client.orders_changed(hour_ago()))
    assert (announced.shipping, announced.pieces[0].state) == (None, m.PieceState.ANNOUNCED)
    kaufland.world.advance(901)
    (due,) = orders(client.orders_to_ship(None))
    assert due.shipping is not None
    assert due.shipping.address_1 == "Beispielweg 4"


def test_a_packstation_is_read_with_the_order(kaufland: Kaufland) -> None:
    place = {
        "pickup_location_id": "137",
        "provider": "DHL",
        "carrier": "DHL",
        "services": "",
        "dhl_post_number": "123456789",
    }
    kaufland.order(pickup_location=place)
    (order,) = orders(kaufland.client().orders_to_ship(None))
    assert order.shipping is not None
    assert (order.shipping.extra["pickup_location_id"], order.shipping.extra["dhl_post_number"]) == (
        "137",
        "123456789",
    )


def test_a_packstation_is_also_read_when_the_order_is_first_seen_as_changed(kaufland: Kaufland) -> None:
    place = {
        "pickup_location_id": "137",
        "provider": "DHL",
        "carrier": "DHL",
        "services": "",
        "dhl_post_number": "1",
    }
    kaufland.order(pickup_location=place)
    (order,) = orders(kaufland.client().orders_changed(hour_ago()))
    assert order.shipping is not None
    assert order.shipping.extra["pickup_location_id"] == "137"


def test_only_orders_placed_since_then_are_asked_for(kaufland: Kaufland) -> None:
    kaufland.order()
    client = kaufland.client()
    assert len(orders(client.orders_to_ship(hour_ago()))) == 1
    assert orders(client.orders_to_ship(datetime.now(UTC) + timedelta(minutes=1))) == []


def test_an_order_paid_days_later_is_found_among_the_changed(kaufland: Kaufland) -> None:
    three_days = 3 * 86400
    kaufland.order(open_seconds=three_days)
    kaufland.world.advance(three_days + 60)
    since = datetime.now(UTC) + timedelta(seconds=three_days)
    assert orders(kaufland.client().orders_to_ship(since)) == []
    (order,) = orders(kaufland.client().orders_changed(since))
    assert order.pieces[0].state is m.PieceState.TO_SHIP


def test_250_orders_come_in_pages_each_once(kaufland: Kaufland) -> None:
    pieces = [kaufland.order()[0] for _ in range(250)]
    kaufland.world.conduct.per_second = 10_000
    found = orders(kaufland.client().orders_to_ship(None))
    assert sorted(piece.external_id for order in found for piece in order.pieces) == sorted(pieces)


def test_orders_that_arrive_while_pages_are_read_hide_none(kaufland: Kaufland) -> None:
    kaufland.world.conduct.per_second = 10_000
    pieces = {kaufland.order()[0] for _ in range(120)}
    pages = iter(kaufland.client().orders_to_ship(None))
    seen = {piece.external_id for order in next(pages) for piece in order.pieces}
    for _ in range(30):  # they push the rows of the first page onto the second
        kaufland.order()
    rest = [piece.external_id for page in pages for order in page for piece in order.pieces]
    assert seen.isdisjoint(rest)
    assert pieces <= seen | set(rest)


def test_orders_that_leave_the_list_while_pages_are_read_hide_none(kaufland: Kaufland) -> None:
    kaufland.world.conduct.per_second = 10_000
    pieces = [kaufland.order()[0] for _ in range(230)]
    pages = iter(kaufland.client().orders_to_ship(None))
    seen = {piece.external_id for order in next(pages) for piece in order.pieces}
    shipped = pieces[-40:]  # the newest stand on the first page; when they leave, all others move up
    for piece in shipped:
        kaufland.world.send(kaufland.world.order_units[int(piece)], NUMBER, "DHL")
    seen |= {piece.external_id for page in pages for order in page for piece in order.pieces}
    assert seen == set(pieces)


def test_a_row_that_comes_twice_is_one_piece(kaufland: Kaufland) -> None:
    kaufland.order(2)
    kaufland.faults.add({"kind": "duplicate_row", "path": "/order-units$"})
    (order,) = orders(kaufland.client().orders_to_ship(None))
    assert len(order.pieces) == 2


def test_half_a_page_loses_nothing(kaufland: Kaufland) -> None:
    kaufland.world.conduct.per_second = 10_000
    pieces = [kaufland.order()[0] for _ in range(9)]
    kaufland.faults.add({"kind": "half_page", "path": "/order-units$"})
    found = orders(kaufland.client().orders_to_ship(None))
    assert sorted(piece.external_id for order in found for piece in order.pieces) == sorted(pieces)
    assert kaufland.faults.count("GET", "/order-units$") == 2


def test_an_empty_page_that_should_not_be_is_asked_again_later(kaufland: Kaufland) -> None:
    kaufland.order()
    door = ScriptedDoor().on("GET", "/order-units", answer(200, {"data": [], "pagination": {"total": 3}}))
    client = KauflandClient(door, {"client_key": CLIENT_KEY, "secret_key": SECRET_KEY})  # type: ignore[arg-type]
    with pytest.raises(Unavailable) as missing:
        orders(client.orders_to_ship(None))
    assert missing.value.code == "partner.page_missing"


def test_an_unknown_status_does_not_hide_the_order(kaufland: Kaufland) -> None:
    kaufland.order()
    kaufland.faults.add({"kind": "unknown_enum", "path": "/order-units$"})
    (order,) = orders(kaufland.client().orders_changed(hour_ago()))
    assert (order.pieces[0].state, order.pieces[0].raw_state) == (m.PieceState.UNCLEAR, "never_seen_before")


def test_one_unreadable_order_is_told_after_all_others(kaufland: Kaufland) -> None:
    good, bad = kaufland.order(), kaufland.order()
    kaufland.world.order_units[int(bad[0])]["price"] = "7,90"
    found: list[m.OrderSeen] = []
    pages = kaufland.client().orders_to_ship(None)
    with pytest.raises(Invalid) as wrong:
        found.extend(order for page in pages for order in page)
    kaufland.complaints.clear()  # The simulator was made to break the vendor's description.
    assert [piece.external_id for order in found for piece in order.pieces] == good
    assert wrong.value.params["field"] == f"order_unit.{bad[0]}.price"


def test_a_new_field_is_ignored_and_a_missing_one_is_named(kaufland: Kaufland) -> None:
    kaufland.order()
    kaufland.faults.add({"kind": "schema_change", "path": "/order-units$", "name": "note"})
    assert len(orders(kaufland.client().orders_to_ship(None))) == 1
    kaufland.faults.add({"kind": "schema_change", "path": "/order-units$", "name": "price"})
    with pytest.raises(Invalid) as wrong:
        orders(kaufland.client().orders_to_ship(None))
    assert str(wrong.value.params["field"]).endswith(".price")


def test_customer_service_cancels_and_we_hear_of_it(kaufland: Kaufland) -> None:
    first, second = kaufland.order(2)
    kaufland.world.cancel(kaufland.world.order_units[int(first)], "BuyerCancelled", by="customer_service")
    (order,) = orders(kaufland.client().orders_changed(hour_ago()))
    states = {piece.external_id: (piece.state, piece.reason) for piece in order.pieces}
    assert states == {first: (m.PieceState.CANCELLED, "BuyerCancelled"), second: (m.PieceState.TO_SHIP, None)}


def test_a_maintenance_page_is_not_an_empty_list(kaufland: Kaufland) -> None:
    kaufland.order()
    kaufland.faults.add({"kind": "garbage", "path": "/order-units$"})
    with pytest.raises(Unavailable) as down:
        orders(kaufland.client().orders_to_ship(None))
    assert down.value.code == "partner.unreadable"


def test_read_pieces_tells_the_truth_and_leaves_out_strangers(kaufland: Kaufland) -> None:
    (piece,) = kaufland.order()
    kaufland.world.send(kaufland.world.order_units[int(piece)], NUMBER, "DHL")
    (truth,) = kaufland.client().read_pieces([piece, "999"])
    assert (truth.external_id, truth.state) == (piece, m.PieceState.SHIPPED)


def test_too_many_calls_pause_the_connection(kaufland: Kaufland) -> None:
    kaufland.world.conduct.per_second = 3
    client = kaufland.client()
    with pytest.raises(Unavailable) as busy:
        client.read_pieces(["1"] * 5)
    assert busy.value.pauses


# --- shipping --------------------------------------------------------------------------------------------------------------------


def test_one_parcel_is_one_call_per_piece(kaufland: Kaufland) -> None:
    pieces = kaufland.order(3)
    answers = kaufland.client().ship(parcel(*pieces[:2]))
    assert [(each.external_id, each.ok, each.state) for each in answers] == [
        (piece, True, m.PieceState.SHIPPED) for piece in pieces[:2]
    ]
    assert [kaufland.status(piece) for piece in pieces] == ["sent", "sent", "need_to_be_sent"]
    assert [(each["tracking_numbers"], each["carrier_code"]) for each in kaufland.done("send")] == [
        (NUMBER, "DHL")
    ] * 2


def test_without_tracking_it_is_shipped_by_other(kaufland: Kaufland) -> None:
    (piece,) = kaufland.order()
    (shipped,) = kaufland.client().ship(parcel(piece, number=None))
    assert shipped.ok
    (deed,) = kaufland.done("send")
    assert (deed["tracking_numbers"], deed["carrier_code"]) == ("", "Other")


@pytest.mark.parametrize("carrier", [None, "a_carrier_nobody_knows"])
def test_an_unknown_carrier_keeps_its_number(kaufland: Kaufland, carrier: str | None) -> None:
    (piece,) = kaufland.order()
    kaufland.client().ship(parcel(piece, carrier=carrier))
    (deed,) = kaufland.done("send")
    assert (deed["tracking_numbers"], deed["carrier_code"]) == (NUMBER, "Other")


def test_a_carrier_kaufland_no_longer_takes_becomes_other(
    kaufland: Kaufland, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "app.marketplaces.kaufland.client.marketplace_code", lambda marketplace, key: "DHL Rocket"
    )
    (piece,) = kaufland.order()
    (shipped,) = kaufland.client().ship(parcel(piece))
    assert shipped.ok
    assert [(each["tracking_numbers"], each["carrier_code"]) for each in kaufland.done("send")] == [
        (NUMBER, "Other")
    ]


def test_shipping_twice_is_done_once(kaufland: Kaufland) -> None:
    (piece,) = kaufland.order()
    client = kaufland.client()
    client.ship(parcel(piece))
    (again,) = client.ship(parcel(piece))
    assert (again.ok, again.already, again.state) == (True, True, m.PieceState.SHIPPED)
    assert len(kaufland.done("send")) == 1


def test_a_cancelled_piece_is_not_shipped_and_the_others_are(kaufland: Kaufland) -> None:
    first, second = kaufland.order(2)
    kaufland.world.cancel(kaufland.world.order_units[int(first)], "BuyerCancelled", by="customer_service")
    refused, shipped = kaufland.client().ship(parcel(first, second))
    assert (refused.ok, refused.state) == (False, m.PieceState.CANCELLED)
    assert refused.reason is not None
    assert refused.reason.code == "deed.not_allowed"
    assert shipped.ok


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "timeout", "seconds": 30},
        {"kind": "reset", "effect": True},
        {"kind": "status", "status": 500, "effect": True},
        {"kind": "status", "status": 503, "effect": True},
    ],
    ids=["timeout", "reset", "500", "503"],
)
def test_a_lost_answer_is_unknown_and_the_truth_can_be_read(
    kaufland: Kaufland, fault: dict[str, Any]
) -> None:
    (piece,) = kaufland.order()
    kaufland.faults.add(fault | {"path": "/send$"})
    settings = {"client_key": CLIENT_KEY, "secret_key": SECRET_KEY}
    client = KauflandClient(kaufland.door(deadline=2), settings)
    with pytest.raises(Unknown):
        client.ship(parcel(piece))
    kaufland.faults.clear()
    (truth,) = client.read_pieces([piece])
    assert truth.state is m.PieceState.SHIPPED
    assert len(kaufland.done("send")) == 1


@pytest.mark.parametrize("effect", [False, True])
@pytest.mark.parametrize("path", ["/send$", "/cancel$", "/refund$"])
def test_a_maintenance_page_with_status_200_is_no_deed_done(
    kaufland: Kaufland, path: str, effect: bool
) -> None:
    (piece,) = kaufland.order()
    if path == "/refund$":
        kaufland.world.send(kaufland.world.order_units[int(piece)], NUMBER, "DHL")
    kaufland.faults.add({"kind": "garbage", "path": path, "effect": effect})
    client = kaufland.client()
    deeds = {
        "/send$": lambda: client.ship(parcel(piece)),
        "/cancel$": lambda: client.cancel([piece], "other"),
        "/refund$": lambda: client.refund(piece, 100, "damaged"),
    }
    with pytest.raises(Unknown) as unclear:
        deeds[path]()
    assert unclear.value.params["why"] == "not_json"


def test_a_lost_call_can_be_repeated_once_the_truth_was_read(kaufland: Kaufland) -> None:
    (piece,) = kaufland.order()
    kaufland.faults.add({"kind": "reset", "effect": False, "path": "/send$"})
    client = kaufland.client()
    with pytest.raises(Unknown):
        client.ship(parcel(piece))
    assert client.read_pieces([piece])[0].state is m.PieceState.TO_SHIP
    assert client.ship(parcel(piece))[0].ok
    assert len(kaufland.done("send")) == 1


def test_an_answer_with_retry_after_says_when(kaufland: Kaufland) -> None:
    (piece,) = kaufland.order()
    kaufland.faults.add({"kind": "status", "status": 429, "retry_after": 17, "path": "/send$"})
    with pytest.raises(Unavailable) as busy:
        kaufland.client().ship(parcel(piece))
    assert (busy.value.retry_after, busy.value.pauses) == (17, True)
    assert kaufland.done("send") == []


def test_a_further_parcel_is_added_to_a_sent_piece(kaufland: Kaufland) -> None:
    (piece,) = kaufland.order()
    client = kaufland.client()
    client.ship(parcel(piece))
    (added,) = client.ship(parcel(piece, number="00340434161094015919", further=True))
    (again,) = client.ship(parcel(piece, number="00340434161094015919", further=True))
    assert (added.ok, added.already) == (True, False)
    assert (again.ok, again.already) == (True, True)
    assert [each["tracking_number"] for each in kaufland.world.order_units[int(piece)]["shipments"]] == [
        NUMBER,
        "00340434161094015919",
    ]


@pytest.mark.parametrize(
    ("sent", "number", "code"),
    [(True, None, "shipment.tracking_missing"), (False, NUMBER, "deed.not_allowed")],
)
def test_a_further_parcel_needs_a_number_and_a_sent_piece(
    kaufland: Kaufland, sent: bool, number: str | None, code: str
) -> None:
    (piece,) = kaufland.order()
    client = kaufland.client()
    if sent:
        client.ship(parcel(piece))
    (refused,) = client.ship(parcel(piece, number=number, further=True))
    assert refused.reason is not None
    assert refused.reason.code == code


# --- cancelling and refunding --------------------------------------------------------------------------------------------------


def test_single_pieces_can_be_cancelled_with_the_right_reason(kaufland: Kaufland) -> None:
    first, second = kaufland.order(2)
    (cancelled,) = kaufland.client().cancel([first], "buyer_cancelled")
    assert (cancelled.ok, cancelled.state) == (True, m.PieceState.CANCELLED)
    assert [kaufland.status(each) for each in (first, second)] == ["cancelled", "need_to_be_sent"]
    assert [each["reason"] for each in kaufland.done("cancel")] == ["BuyerCancelled"]


def test_cancelling_what_is_cancelled_is_already_done(kaufland: Kaufland) -> None:
    (piece,) = kaufland.order()
    client = kaufland.client()
    client.cancel([piece], "out_of_stock")
    (again,) = client.cancel([piece], "out_of_stock")
    assert (again.ok, again.already) == (True, True)
    assert len(kaufland.done("cancel")) == 1


def test_what_was_sent_cannot_be_cancelled(kaufland: Kaufland) -> None:
    (piece,) = kaufland.order()
    client = kaufland.client()
    client.ship(parcel(piece))
    (refused,) = client.cancel([piece], "buyer_cancelled")
    assert (refused.ok, refused.state) == (False, m.PieceState.SHIPPED)
    assert refused.reason is not None
    assert refused.reason.code == "cancel.not_possible"


def test_an_unknown_reason_sends_nothing(kaufland: Kaufland) -> None:
    (piece,) = kaufland.order()
    with pytest.raises(Refused):
        kaufland.client().cancel([piece], "no idea")
    assert kaufland.faults.calls == []


def test_a_refund_is_paid_in_minor_units(kaufland: Kaufland) -> None:
    (piece,) = kaufland.order()
    client = kaufland.client()
    client.ship(parcel(piece))
    assert client.refund(piece, 299, "damaged") == m.PieceAnswer(piece, ok=True)
    assert [(each["amount"], each["reason"]) for each in kaufland.done("refund")] == [
        (299, "delivery_damage")
    ]


@pytest.mark.parametrize(
    ("funds", "amount", "code"),
    [(100, 299, "refund.insufficient_funds"), (10_000, 9_999, "partner.field_refused")],
)
def test_a_refused_refund_says_why(kaufland: Kaufland, funds: int, amount: int, code: str) -> None:
    (piece,) = kaufland.order()
    client = kaufland.client()
    client.ship(parcel(piece))
    kaufland.seller.funds = funds
    refused = client.refund(piece, amount, "other")
    assert refused.reason is not None
    assert refused.reason.code == code
    assert kaufland.done("refund") == []


def test_a_refund_whose_answer_is_lost_cannot_be_read_back(kaufland: Kaufland) -> None:
    (piece,) = kaufland.order()
    client = kaufland.client()
    client.ship(parcel(piece))
    before = client.read_pieces([piece])
    kaufland.faults.add({"kind": "reset", "effect": True, "path": "/refund$"})
    with pytest.raises(Unknown):
        client.refund(piece, 299, "other")
    assert len(kaufland.done("refund")) == 1
    assert client.read_pieces([piece]) == before


# --- returns -------------------------------------------------------------------------------------------------------------------


def returned(kaufland: Kaufland, *pieces: str) -> dict[str, Any]:
    with kaufland.world.lock:
        units = [kaufland.world.order_units[int(piece)] for piece in pieces]
        for unit in units:
            kaufland.world.send(unit, NUMBER, "DHL")
        return kaufland.world.start_return(units, "defect", "Dose kaputt", by="buyer")


def test_a_return_is_seen_and_accepted(kaufland: Kaufland) -> None:
    (piece,) = kaufland.order()
    back = returned(kaufland, piece)
    client = kaufland.client()
    ((announced,),) = list(client.returns_changed(hour_ago()))
    assert announced.pieces[0].state is m.ReturnState.ANNOUNCED
    kaufland.world.arrive(back)
    ((arrived,),) = list(client.returns_changed(hour_ago()))
    (unit,) = arrived.pieces
    assert (unit.state, unit.piece_external_id, unit.reason) == (m.ReturnState.ARRIVED, piece, "defect")
    assert client.accept_return(unit.external_id).ok
    assert kaufland.status(piece) == "returned"
    again = client.accept_return(unit.external_id)
    assert (again.ok, again.already) == (True, True)
    assert len(kaufland.done("accept_return")) == 1


def test_an_arrived_return_is_seen_although_nothing_changed_lately(kaufland: Kaufland) -> None:
    back = returned(kaufland, *kaufland.order(2))
    kaufland.world.arrive(back)
    back["updated_at"] -= timedelta(days=2)
    ((seen,),) = list(kaufland.client().returns_changed(hour_ago()))
    assert [piece.state for piece in seen.pieces] == [m.ReturnState.ARRIVED] * 2


def test_a_rejected_return_cannot_be_accepted(kaufland: Kaufland) -> None:
    back = returned(kaufland, *kaufland.order())
    kaufland.world.arrive(back)
    unit = kaufland.world.return_units[back["units"][0]]
    kaufland.world.reject(unit, "falscher Artikel")
    refused = kaufland.client().accept_return(str(unit["id_return_unit"]))
    assert refused.reason is not None
    assert refused.reason.code == "return.wrong_status"


def test_a_return_is_rejected_once_with_a_sentence_that_the_buyer_understands(kaufland: Kaufland) -> None:
    back = returned(kaufland, *kaufland.order())
    kaufland.world.arrive(back)
    unit = str(back["units"][0])
    for already in (False, True):
        (told,) = kaufland.client().reject_return([unit], "damaged", "Kratzer auf der Dose.")
        assert (told.ok, told.already, told.external_id) == (True, already, unit)
    (deed,) = kaufland.done("reject_return")
    assert deed["message"] == "Der Artikel ist beschädigt oder benutzt zurückgekommen. Kratzer auf der Dose."


def test_a_return_that_has_not_arrived_cannot_be_rejected(kaufland: Kaufland) -> None:
    back = returned(kaufland, *kaufland.order())
    (told,) = kaufland.client().reject_return([str(back["units"][0])], "other", "")
    assert told.reason is not None
    assert (told.ok, told.reason.code) == (False, "return.wrong_status")


# --- offers --------------------------------------------------------------------------------------------------------------------


def push(kaufland: Kaufland, *offers: m.OfferWanted, **settings: Any) -> list[m.OfferAnswer]:
    return kaufland.client(**settings).push_offers(offers)


def test_a_new_offer_is_created_with_its_own_amount(kaufland: Kaufland) -> None:
    (made,) = push(kaufland, OFFER, shipping_groups={"de": 195841})
    ((unit_id, unit),) = kaufland.world.units.items()
    assert (made.ok, made.state) == (True, m.OfferState.ON_SALE)
    assert made.shown is not None
    assert made.shown.external_ref == f"de:{unit_id}"
    assert kaufland.world.unit_json(unit)["amount"] == 5
    assert unit["id_shipping_group"] == 195841


def test_an_offer_kaufland_already_has_is_taken_over(kaufland: Kaufland) -> None:
    unit = kaufland.unit(amount=1, listing_price=1)
    (taken,) = push(kaufland, OFFER)
    assert taken.shown is not None
    assert (taken.shown.external_ref, taken.shown.price, taken.shown.stock) == (
        f"de:{unit['id_unit']}",
        790,
        5,
    )
    assert len(kaufland.world.units) == 1


def test_an_unknown_ean_needs_product_data(kaufland: Kaufland) -> None:
    (missing,) = push(kaufland, wanted(gtin=UNKNOWN_GTIN))
    assert (missing.ok, missing.state, missing.retry) == (False, m.OfferState.NEEDS_PRODUCT, False)
    assert missing.reason == m.Reason("product.unknown_gtin", {"gtin": UNKNOWN_GTIN})
    assert kaufland.world.units == {}


def test_product_data_that_is_not_enough_is_told_field_by_field(kaufland: Kaufland) -> None:
    kaufland.world.product_data[UNKNOWN_GTIN] = {
        "update_status": "FAIL",
        "product_not_ready_reason": "MISSING_ATTRIBUTES",
        "missing_attributes": ["category"],
    }
    (missing,) = push(kaufland, wanted(gtin=UNKNOWN_GTIN))
    assert missing.reason is not None
    assert (missing.reason.code, missing.reason.params["fields"]) == ("product.data_missing", "category")


def test_an_incomplete_product_is_sent_and_explained(kaufland: Kaufland) -> None:
    kaufland.world.products[GTIN]["is_valid"] = False
    (made,) = push(kaufland, OFFER)
    assert (made.ok, made.state) == (True, m.OfferState.NEEDS_PRODUCT)
    assert made.reason is not None
    assert made.reason.code == "product.unknown_gtin"


def test_an_offer_without_gtin_is_refused_without_touching_others(kaufland: Kaufland) -> None:
    bare, good = push(kaufland, wanted(sku="TEE-009", gtin=None), OFFER)
    assert bare.reason is not None
    assert (bare.state, bare.reason.code) == (m.OfferState.REFUSED, "product.gtin_missing")
    assert good.ok


def test_an_offer_that_is_off_and_unknown_is_not_created(kaufland: Kaufland) -> None:
    (off,) = push(kaufland, wanted(on=False, stock=0))
    assert (off.ok, off.state) == (True, m.OfferState.OFF)
    assert kaufland.world.units == {}


def test_holiday_and_back(kaufland: Kaufland) -> None:
    kaufland.unit()
    (off,) = push(kaufland, wanted(on=False, stock=0))
    (unit,) = kaufland.world.units.values()
    assert off.shown is not None
    assert (off.ok, off.state, off.shown.stock, off.shown.on) == (True, m.OfferState.OFF, 0, False)
    assert (unit["status"], kaufland.world.buyable(unit)) == ("ONHOLD", 0)
    (back,) = push(kaufland, wanted(stock=4))
    assert back.state is m.OfferState.ON_SALE
    assert (unit["status"], kaufland.world.buyable(unit)) == ("AVAILABLE", 4)


def many(count: int) -> list[m.OfferWanted]:
    return [wanted(sku=f"TEE-{number:03d}") for number in range(count)]


def known(kaufland: Kaufland, count: int) -> list[m.OfferWanted]:
    units = [kaufland.unit(sku=offer.sku, amount=0) for offer in many(count)]
    return [
        dataclasses.replace(o, external_ref=f"de:{u['id_unit']}")
        for o, u in zip(many(count), units, strict=True)
    ]


def test_150_known_offers_are_one_call(kaufland: Kaufland) -> None:
    answers = push(kaufland, *known(kaufland, 150))
    assert [each.ok for each in answers] == [True] * 150
    assert [(call.method, call.path) for call in kaufland.faults.calls] == [("POST", "/v2/units/bulk")]
    assert {kaufland.world.buyable(unit) for unit in kaufland.world.units.values()} == {5}


def test_one_bad_row_of_many_is_told_and_its_stock_still_goes_through(kaufland: Kaufland) -> None:
    offers = known(kaufland, 3)
    bad = int(str(offers[1].external_ref)[3:])
    offers[1] = dataclasses.replace(offers[1], price=100_000_001)
    first, refused, last = push(kaufland, *offers)
    assert (first.ok, last.ok) == (True, True)
    assert refused.reason is not None
    assert (refused.ok, refused.reason.code, refused.reason.params["field"]) == (
        False,
        "partner.field_refused",
        "listing_price",
    )
    assert kaufland.world.amounts[CLIENT_KEY, offers[1].sku] == 5
    assert kaufland.world.units[bad]["listing_price"] == 790


def test_a_group_refused_for_one_row_is_split_until_the_row_is_found(kaufland: Kaufland) -> None:
    kaufland.world.conduct.bulk_all_or_nothing = True
    offers = known(kaufland, 9)
    offers[4] = dataclasses.replace(offers[4], price=100_000_001)
    answers = push(kaufland, *offers)
    assert [each.ok for each in answers] == [True] * 4 + [False] + [True] * 4
    assert kaufland.faults.count("POST", "/units/bulk$") > 1


def test_an_internal_error_of_one_row_is_tried_again(kaufland: Kaufland) -> None:
    entry = {"id_unit": 2, "status_code": 500, "key": "internal_error", "message": "Internal error"}
    unit = {
        "status": "AVAILABLE",
        "id_unit": 1,
        "id_offer": "A",
        "listing_price": 790,
        "amount": 5,
        "handling_time": 1,
    }
    door = ScriptedDoor().on(
        "POST",
        "/units/bulk",
        answer(207, {"data": [{"id_unit": 1, "status_code": 200.0, "unit": unit}, entry]}),
    )
    client = KauflandClient(door, {"client_key": CLIENT_KEY, "secret_key": SECRET_KEY})  # type: ignore[arg-type]
    good, later, lost = client.push_offers(
        [
            wanted(sku="A", external_ref="de:1"),
            wanted(sku="B", external_ref="de:2"),
            wanted(sku="C", external_ref="de:3"),
        ]
    )
    assert good.ok
    assert later.reason is not None
    assert (later.ok, later.retry, later.reason.code) == (False, True, "partner.unavailable")
    assert lost.reason is not None
    assert (lost.ok, lost.retry, lost.reason.code) == (False, True, "partner.answer_missing")


def test_a_unit_deleted_at_kaufland_is_made_anew(kaufland: Kaufland) -> None:
    (made,) = push(kaufland, wanted(external_ref="de:999"))
    ((unit_id, _),) = kaufland.world.units.items()
    assert made.shown is not None
    assert (made.ok, made.shown.external_ref) == (True, f"de:{unit_id}")


def test_a_unit_made_a_moment_ago_and_not_yet_shown_is_not_made_twice(kaufland: Kaufland) -> None:
    kaufland.world.conduct.unit_lag_seconds = 300
    kaufland.faults.add({"kind": "reset", "effect": True, "method": "POST", "path": "/units$"})
    (unknown,) = push(kaufland, OFFER)
    assert (unknown.ok, unknown.retry, unknown.state) == (False, True, m.OfferState.WAITING)
    (early,) = push(kaufland, OFFER)
    assert early.reason is not None
    assert (early.retry, early.reason.code) == (True, "offer.already_exists")
    kaufland.world.advance(301)
    (found,) = push(kaufland, OFFER)
    assert found.ok
    assert len(kaufland.done("create_unit")) == 1


def test_an_offer_that_runs_under_another_sku_is_told(kaufland: Kaufland) -> None:
    unit = kaufland.unit(sku="OLD-1")
    (refused,) = push(kaufland, wanted(external_ref=f"de:{unit['id_unit']}"))
    assert refused.reason is not None
    assert (refused.ok, refused.reason.code, refused.reason.params["shown"]) == (
        False,
        "offer.sku_changed",
        "OLD-1",
    )


def test_several_storefronts_get_one_stock_write(kaufland: Kaufland) -> None:
    german, austrian = kaufland.unit(amount=1), kaufland.unit(storefront="at", amount=1)
    ref = f"de:{german['id_unit']},at:{austrian['id_unit']}"
    (both,) = push(kaufland, wanted(external_ref=ref, price=890), storefronts=["de", "at"])
    assert both.shown is not None
    assert (both.ok, both.shown.external_ref, both.shown.stock, both.shown.price) == (True, ref, 5, 890)
    bodies = [call.body for call in kaufland.faults.calls]
    assert ["amount" in body for body in bodies] == [True, False]
    assert [unit["listing_price"] for unit in (german, austrian)] == [890, 890]


def test_a_new_storefront_gets_its_unit(kaufland: Kaufland) -> None:
    german = kaufland.unit()
    (both,) = push(kaufland, wanted(external_ref=f"de:{german['id_unit']}"), storefronts=["de", "at"])
    assert both.shown is not None
    assert {unit["storefront"] for unit in kaufland.world.units.values()} == {"de", "at"}
    assert both.shown.external_ref is not None
    assert both.shown.external_ref.count(":") == 2


def test_off_in_one_country_stays_on_sale_in_the_other(kaufland: Kaufland) -> None:
    german, austrian = kaufland.unit(), kaufland.unit(storefront="at")
    push(kaufland, wanted(on=False, stock=0, country="at"), storefronts=["de", "at"])
    assert (kaufland.world.buyable(german), kaufland.world.buyable(austrian)) == (5, 0)


def test_when_kaufland_fails_in_the_middle_the_rest_comes_later(kaufland: Kaufland) -> None:
    kaufland.faults.add(
        {"kind": "status", "status": 503, "method": "GET", "path": "/units$", "skip": 1, "count": -1}
    )
    made, later = push(kaufland, OFFER, wanted(sku="TEE-002", gtin=OTHER_GTIN))
    assert made.ok
    assert (later.ok, later.retry, later.state) == (False, True, m.OfferState.WAITING)


def test_when_nothing_was_done_yet_the_whole_push_is_not_now(kaufland: Kaufland) -> None:
    kaufland.faults.add({"kind": "status", "status": 429, "count": -1})
    with pytest.raises(Unavailable) as busy:
        push(kaufland, OFFER)
    assert busy.value.pauses


def test_read_offers_shows_what_a_person_changed(kaufland: Kaufland) -> None:
    unit = kaufland.unit()
    kaufland.unit(sku="TEE-002", ean=OTHER_GTIN)
    kaufland.world.change_unit(unit, {"listing_price": 999})
    shown = [each for page in kaufland.client().read_offers(None) for each in page]
    assert [(each.sku, each.price, each.gtin) for each in shown] == [
        ("TEE-001", 999, GTIN),
        ("TEE-002", 790, OTHER_GTIN),
    ]
    (only,) = [each for page in kaufland.client().read_offers(["TEE-001", "UNKNOWN"]) for each in page]
    assert only.sku == "TEE-001"


def test_read_offers_of_two_countries_always_tells_the_whole_ref(kaufland: Kaufland) -> None:
    german, austrian = kaufland.unit(), kaufland.unit(storefront="at")
    shown = [each for page in kaufland.client(storefronts=["de", "at"]).read_offers(None) for each in page]
    assert [each.external_ref for each in shown] == [f"de:{german['id_unit']},at:{austrian['id_unit']}"] * 2


@pytest.mark.parametrize(("groups", "told"), [({}, None), ({"de": 195841}, None), ({"de": 77}, "195841")])
def test_a_shipping_group_is_told_when_it_is_not_the_merchants(
    kaufland: Kaufland, groups: dict[str, int], told: str | None
) -> None:
    kaufland.unit()
    ((shown,),) = list(kaufland.client(shipping_groups=groups).read_offers(None))
    assert shown.shipping_group == told
