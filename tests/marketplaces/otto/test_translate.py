"""OTTO's JSON <-> our messages: facts written here, and all examples of the specification where they are at hand."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised, Unavailable
from app.marketplaces.otto import translate as t
from app.marketplaces.otto.client import OttoClient
from tests.marketplaces.doors import ScriptedDoor, answer
from tests.marketplaces.otto import schemas
from tests.marketplaces.otto.contract import SETTINGS

ORDER_ID, ITEM_ID = "a24c37c0-768f-44e6-9f5c-1e4430d4ab32", "8a88e387-a03d-4cc9-99d9-3de6a5c038bd"
PIECE = f"{ORDER_ID}/{ITEM_ID}"
OFFER = m.OfferWanted("V0533", "4606938545083", "Assam", 2395, "EUR", 12, 2, on=True, vat_percent="19")
ADDRESS = {
    "salutation": "MS",
    "title": "Dr.",
    "firstName": "Mia",
    "lastName": "Muster",
    "street": "Beispielweg",
    "houseNumber": "4a",
    "addition": "Hinterhaus",
    "zipCode": "10115",
    "city": "Berlin",
    "countryCode": "DEU",
}
ORDER: dict[str, Any] = {
    "salesOrderId": ORDER_ID,
    "orderNumber": "bwqwz7s8cx",
    "orderDate": "2026-11-16T05:59:01.255+0000",
    "positionItems": [
        {
            "positionItemId": ITEM_ID,
            "fulfillmentStatus": "PROCESSABLE",
            "processableDate": "2026-11-16T06:44:02.249+0000",
            "expectedDeliveryDate": "2026-11-21T12:00:00.000+02:00",
            "itemValueGrossPrice": {"amount": Decimal("23.95"), "currency": "EUR"},
            "itemValueReducedGrossPrice": {"amount": Decimal("20.9"), "currency": "EUR"},
            "product": {
                "sku": "V0533",
                "productTitle": "Assam, 100 g",
                "articleNumber": "1563237W3",
                "ean": "4606938545083",
                "vatRate": Decimal("7.0"),
            },
            "somethingNew": {"of": "OTTO's"},
        }
    ],
    "initialDeliveryFees": [
        {"deliveryFeeAmount": {"amount": Decimal("5.95"), "currency": "EUR"}, "positionItemIds": [ITEM_ID]}
    ],
    "deliveryAddress": ADDRESS,
    "invoiceAddress": {**ADDRESS, "email": "p-1@kunde.example"},
}


def order(**change: Any) -> dict[str, Any]:
    return copy.deepcopy(ORDER) | change


def item(**change: Any) -> dict[str, Any]:
    return order(positionItems=[ORDER["positionItems"][0] | change])


# --- orders ----------------------------------------------------------------------------------------------------------------------


def test_an_order_is_read_whole() -> None:
    seen = t.order(order(), transport_days=2)
    assert seen == m.OrderSeen(
        external_id=ORDER_ID,
        number="bwqwz7s8cx",
        placed_at=datetime(2026, 11, 16, 5, 59, 1, 255000, tzinfo=UTC),
        currency="EUR",
        pieces=(
            m.PieceSeen(
                external_id=PIECE,
                group="V0533|2090",
                sku="V0533",
                gtin="4606938545083",
                title="Assam, 100 g",
                unit_price=2090,
                shipping_price=595,
                state=m.PieceState.TO_SHIP,
                raw_state="PROCESSABLE",
                vat_percent="7",
                ship_by=datetime(2026, 11, 18, 10, tzinfo=UTC),
                updated_at=datetime(2026, 11, 16, 6, 44, 2, 249000, tzinfo=UTC),
            ),
        ),
        billing=_mia(),
        shipping=_mia(),
        country="de",
        invoice_by_marketplace=True,
    )


def _mia() -> m.Address:
    return m.Address(
        first_name="Mia",
        last_name="Muster",
        address_1="Beispielweg 4a",
        address_2="Hinterhaus",
        postcode="10115",
        city="Berlin",
        country="DE",
        email="p-1@kunde.example",
    )


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("ANNOUNCED", m.PieceState.ANNOUNCED),
        ("PROCESSABLE", m.PieceState.TO_SHIP),
        ("SENT", m.PieceState.SHIPPED),
        ("RETURNED", m.PieceState.RETURNED),
        ("CANCELLED_BY_PARTNER", m.PieceState.CANCELLED),
        ("CANCELLED_BY_MARKETPLACE", m.PieceState.CANCELLED),
        ("PARKED", m.PieceState.UNCLEAR),
    ],
)
def test_every_status_has_its_word(raw: str, state: m.PieceState) -> None:
    (piece,) = t.order(item(fulfillmentStatus=raw)).pieces
    assert (piece.state, piece.raw_state) == (state, raw)


@pytest.mark.parametrize("missing", [None, {}, dict.fromkeys(ADDRESS, "")])
def test_nothing_is_to_be_shipped_to_nowhere(missing: Any) -> None:
    (piece,) = t.order(order(deliveryAddress=missing)).pieces
    assert piece.state is m.PieceState.ANNOUNCED


def test_a_company_is_a_company() -> None:
    company = {**ADDRESS, "salutation": "COMPANY", "title": "", "firstName": "Chai", "lastName": "GmbH"}
    shipping = t.order(order(deliveryAddress=company)).shipping
    assert shipping is not None
    assert (shipping.company, shipping.first_name, shipping.last_name) == ("Chai GmbH", "", "")


def test_forwarder_goods_have_the_buyers_own_mail_and_phone() -> None:
    address = {**ADDRESS, "email": "mia@example.org", "phoneNumber": "+49301234"}
    shipping = t.order(order(deliveryAddress=address)).shipping
    assert shipping is not None
    assert (shipping.email, shipping.phone) == ("mia@example.org", "+49301234")


def test_an_unknown_country_stays_readable() -> None:
    assert (t.country("aut"), t.country("XYZ")) == ("AT", "XYZ")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"salesOrderId": ""}, "salesOrderId"),
        ({"orderDate": "yesterday"}, "orderDate"),
        ({"positionItems": None}, "positionItems"),
    ],
)
def test_what_an_order_must_have_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as invalid:
        t.order(order(**change))
    assert field in str(invalid.value.params["field"])


@pytest.mark.parametrize(
    ("promised", "days", "ship_by"),
    [
        ("2026-11-20T12:00:00+01:00", 2, "2026-11-18T11:00:00+00:00"),  # Friday: Wednesday
        ("2026-11-23T12:00:00+01:00", 2, "2026-11-19T11:00:00+00:00"),  # Monday: Thursday before
        ("2026-11-24T12:00:00+01:00", 1, "2026-11-23T11:00:00+00:00"),
        ("2026-11-21T12:00:00+01:00", 2, "2026-11-18T11:00:00+00:00"),  # Saturday: it must be there on Friday
        ("2026-11-22T12:00:00+01:00", 1, "2026-11-19T11:00:00+00:00"),
        ("2026-11-22T23:30:00Z", 1, "2026-11-19T23:30:00+00:00"),  # Monday already, where the buyer lives
        ("2026-11-20T12:00:00+01:00", 10, "2026-11-06T11:00:00+00:00"),
        ("2026-10-26T12:00:00+01:00", 1, "2026-10-23T10:00:00+00:00"),  # noon stays noon when clocks change
    ],
)
def test_the_day_to_ship_by_counts_working_days(promised: str, days: int, ship_by: str) -> None:
    (piece,) = t.order(item(expectedDeliveryDate=promised), days).pieces
    assert piece.ship_by == datetime.fromisoformat(ship_by)


@pytest.mark.parametrize(
    ("status", "body", "stops"),
    [
        (401, None, True),
        (400, {"error": "invalid_client"}, True),
        (400, {"error": "invalid_grant", "error_description": "Invalid user credentials"}, True),
        (400, {"error": "invalid_scope"}, True),
        (400, {"error": "unauthorized_client"}, True),
        (400, {"error": "temporarily_unavailable"}, False),
        (400, None, False),
        (403, {"message": "Forbidden"}, False),
        (403, {"error": "invalid_client"}, False),
        (404, None, False),
        (424, {"message": "Failed Dependency"}, False),
    ],
)
def test_only_wrong_credentials_stop_a_connection_when_there_is_no_token(
    status: int, body: object, stops: bool
) -> None:
    error = t.token_refusal(status, body, "self_app")
    assert isinstance(error, Unauthorised if stops else Unavailable)


def test_a_promise_at_the_beginning_of_the_calendar_does_no_harm() -> None:
    assert t.order(item(expectedDeliveryDate="0001-01-01T00:00:00Z"), 2).pieces[0].ship_by is None
    assert t.order(item(expectedDeliveryDate="0001-01-01T00:00:00+02:00"), 2).pieces[0].ship_by is None


def test_a_return_whose_numbers_are_no_list_has_none() -> None:
    row = {"salesOrderId": ORDER_ID, "positionItemId": ITEM_ID, "status": "ANNOUNCED"}
    assert (
        t.returned(row | {"details": {"returnTrackingKey": {"trackingNumbers": 7}}}).tracking_number is None
    )


@pytest.mark.parametrize(
    "amount",
    [
        {"amount": Decimal("19.955"), "currency": "EUR"},
        {"amount": Decimal("NaN"), "currency": "EUR"},
        {"amount": 20, "currency": "CHF"},
        {"amount": "20"},
        {"amount": True},
        {"amount": 19.95},
        None,
    ],
)
def test_an_amount_that_is_not_whole_cents_of_euros_is_refused(amount: Any) -> None:
    with pytest.raises(Invalid, match="itemValueGrossPrice"):
        t.order(item(itemValueGrossPrice=amount, itemValueReducedGrossPrice=None))


@pytest.mark.parametrize(
    ("written", "cents"), [("20", 2000), ("0.1", 10), ("19.95", 1995), ("19.950", 1995), ("1E+2", 10000)]
)
def test_amounts_are_exact(written: str, cents: int) -> None:
    assert t.minor({"amount": Decimal(written), "currency": "EUR"}, "here") == cents


@pytest.mark.parametrize("cents", [1, 10, 100, 1995, 790, 99_999_999_999_999_999])
def test_amounts_are_written_as_exact_numbers(cents: int) -> None:
    raw = t.encoded(t.money(cents))
    assert b'"amount":"' not in raw
    assert t.minor(json.loads(raw, parse_float=Decimal), "there") == cents


def test_text_that_looks_like_a_marked_number_stays_text() -> None:
    assert json.loads(t.encoded({"a": "7.90", "b": Decimal("7.90")})) == {"a": "7.90", "b": 7.9}
    with pytest.raises(TypeError):
        t.encoded({"a": object()})


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-16T05:59:01.255+0000",
        "2026-11-16T07:59:01.255+02:00",
        "2026-11-16T05:59:01.255Z",
        "2026-11-16T05:59:01.255",
    ],
)
def test_every_way_to_write_a_time_is_understood(written: str) -> None:
    assert t.when(written) == datetime(2026, 11, 16, 5, 59, 1, 255000, tzinfo=UTC)


@pytest.mark.parametrize("piece", ["", "a", "/a", "a/", "a/b/c"])
def test_an_id_that_is_none_of_ours_is_refused(piece: str) -> None:
    with pytest.raises(Refused):
        t.ids(piece)


def test_a_fee_stands_once_with_the_first_item_that_is_not_cancelled() -> None:
    first, second = ORDER["positionItems"][0], ORDER["positionItems"][0] | {"positionItemId": "second"}
    fee = {"deliveryFeeAmount": {"amount": 5, "currency": "EUR"}, "positionItemIds": ["second", ITEM_ID]}

    def fees(*items: dict[str, Any]) -> dict[str, int]:
        seen = t.order(order(positionItems=list(items), initialDeliveryFees=[fee]))
        return {each.external_id.rpartition("/")[2]: each.shipping_price for each in seen.pieces}

    assert fees(first, second) == fees(second, first) == {ITEM_ID: 0, "second": 500}
    gone = {"fulfillmentStatus": "CANCELLED_BY_MARKETPLACE"}
    assert fees(first, second | gone) == {ITEM_ID: 500, "second": 0}
    assert fees(first | gone, second | gone) == {ITEM_ID: 0, "second": 500}


# --- problems --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (
            400,
            {"errors": [{"title": "INSUFFICIENT_PERMISSION", "detail": "not yours"}]},
            "account.not_allowed",
            "not yours",
        ),
        (
            400,
            {"errors": {"title": "PROPERTY_IS_MANDATORY", "detail": "must"}},
            "partner.field_refused",
            "must",
        ),
        (
            409,
            {"errors": {"errors": [{"title": "x", "detail": "sent", "code": 409}]}},
            "deed.not_allowed",
            "409 sent",
        ),
        (
            400,
            {
                "title": "Bad",
                "validationErrors": [{"detail": "SKU is unknown"}, {"detail": "SKU is unknown"}],
            },
            "partner.refused",
            "SKU is unknown",
        ),
        (403, {"message": "Forbidden"}, "otto.scope_missing", "Forbidden"),
        (404, None, "partner.not_found", None),
        (401, {"message": "Unauthorized"}, "credentials.refused", "Unauthorized"),
        (422, [], "partner.refused", None),
    ],
)
def test_errors_of_all_shapes_have_a_reason(status: int, body: Any, code: str, message: str | None) -> None:
    why = t.reason(status, body, "/v3/returns")
    assert (why.code, why.params.get("message")) == (code, message)


def test_only_credentials_stop_the_connection() -> None:
    assert isinstance(t.refusal(401, None, "/v4/orders"), Unauthorised)
    assert not isinstance(t.refusal(403, {"message": "Forbidden"}, "/v3/returns"), Unauthorised)


def test_a_missing_return_number_is_named_as_such() -> None:
    error = {"title": "PROPERTY_IS_MANDATORY", "jsonPath": "positionItems[0].returnTrackingKey"}
    assert t.reason(400, {"errors": [error]}).code == "ship.return_tracking_required"


# --- offers ----------------------------------------------------------------------------------------------------------------------


def seen_status(raw: str, errors: str = "", moin: str | None = "M1") -> t.Status:
    return t.Status("V0533", raw, moin, errors, None)


@pytest.mark.parametrize(
    ("status", "stock", "live", "state", "code", "on"),
    [
        (seen_status("ONLINE"), 5, True, m.OfferState.ON_SALE, None, True),
        (seen_status("ONLINE"), 0, True, m.OfferState.OFF, None, None),
        (seen_status("PENDING"), 5, True, m.OfferState.WAITING, "product.data_processing", True),
        (seen_status("RESTRICTED"), 5, False, m.OfferState.WAITING, "otto.restricted", True),
        (seen_status("RESTRICTED"), 5, True, m.OfferState.WAITING, "otto.restricted_live", False),
        (seen_status("RESTRICTED", "1 bad"), 5, True, m.OfferState.REFUSED, "product.data_refused", True),
        (seen_status("REJECTED", "1 bad"), 5, True, m.OfferState.REFUSED, "product.data_refused", None),
        (seen_status("INACTIVE"), 5, False, m.OfferState.OFF, "otto.inactive", False),
        (seen_status("SOMETHING"), 5, True, m.OfferState.WAITING, "otto.status_unknown", None),
    ],
)
def test_a_marketplace_status_is_a_state_a_reason_and_a_switch(
    status: t.Status, stock: int, live: bool, state: m.OfferState, code: str | None, on: bool | None
) -> None:
    found, why = t.verdict(status, stock, live=live)
    assert (found, why.code if why else None) == (state, code)
    assert t.is_on(status, stock, live=live) is on


@pytest.mark.parametrize(
    ("percent", "word"), [("19", "FULL"), ("19.00", "FULL"), ("7", "REDUCED"), ("0", "FREE"), ("20", None)]
)
def test_vat_rates_are_words(percent: str, word: str | None) -> None:
    offer = m.OfferWanted("A", None, "A", 1, "EUR", 1, 1, on=True, vat_percent=percent)
    assert t.vat_word(offer, {}) == word
    assert t.vat_word(offer, {"vat": "NONE"}) == (word or "NONE")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"price": 0}, "offer.price_missing"),
        ({"currency": "CHF"}, "offer.currency"),
        ({"sku": "x" * 51}, "otto.sku_too_long"),
        ({"handling_days": 70}, "otto.delivery_time"),
        ({"handling_days": 69}, None),
        ({}, None),
    ],
)
def test_what_otto_would_refuse_or_hide_is_told_before(change: dict[str, Any], code: str | None) -> None:
    offer = m.OfferWanted(**{**OFFER.__dict__, **change})
    why = t.objection(offer, 2)
    assert (why.code if why else None) == code


# --- the way to go-live ------------------------------------------------------------------------------------------------------------


def test_an_account_is_not_released_when_everything_is_restricted_and_nothing_is_to_blame() -> None:
    restricted = [seen_status("RESTRICTED"), seen_status("RESTRICTED")]
    assert t.not_released(t.evidence(restricted, 1, 0))
    assert not t.not_released(t.evidence([*restricted, seen_status("ONLINE")], 1, 0))
    assert not t.not_released(t.evidence([*restricted, seen_status("RESTRICTED", "bad")], 1, 0))
    assert not t.not_released(t.evidence([], 0, 0))


def test_steps_are_done_by_evidence_or_by_the_merchants_tick() -> None:
    steps = t.checklist(t.evidence([seen_status("RESTRICTED")], 0, 1), ["process_understood"], live=True)
    assert [(each["step"], each["done"], each["by"]) for each in steps] == [
        ("registered", True, "evidence"),
        ("test_customer", False, None),
        ("product", False, None),
        ("test_order", True, "evidence"),
        ("process_understood", True, "merchant"),
        ("live", True, "merchant"),
    ]
    assert all(set(each["what"]) == {"de", "en"} for each in steps)  # type: ignore[call-overload]


def test_the_text_for_the_support_is_filled_in() -> None:
    text = t.support_text("Anna's Teeladen", "bwqwz7s8cx")
    assert "Anna's Teeladen" in text
    assert "(Bestellnummer bwqwz7s8cx)" in text
    assert "Bestellnummer" not in t.support_text("Anna's Teeladen", None)


# --- the examples of the specification ----------------------------------------------------------------------------------------------


def example(name: str) -> Any:
    return json.loads((schemas.EXAMPLES / name).read_text("utf-8"), parse_float=Decimal)


def same(made: object, name: str) -> None:
    """What we write is what the example shows."""
    assert json.loads(t.encoded(made), parse_float=Decimal) == example(name)


def client(*rules: tuple[str, str, Any], **settings: Any) -> tuple[OttoClient, ScriptedDoor]:
    door = ScriptedDoor()
    door.on("POST", "/oauth2/token", answer(200, _plain(example("token-response.json"))))
    for method, path, reply in rules:
        door.on(method, path, reply)
    loaded = {"kind": "self_app", "delivery_type": "PARCEL", "return_carrier": "DHL", **SETTINGS, **settings}
    return OttoClient(door, loaded), door  # type: ignore[arg-type]


def _plain(value: object) -> object:
    return json.loads(t.encoded(value))


def _orders() -> None:
    first, second = (t.order(each) for each in example("orders-list.json")["resources"])
    assert [each.state.value for each in first.pieces] == ["to_ship", "to_ship", "cancelled"]
    assert [each.unit_price for each in first.pieces] == [2395, 2095, 9920]
    assert [each.shipping_price for each in first.pieces] == [595, 0, 0]
    assert (second.shipping, second.pieces[0].state.value, second.pieces[0].unit_price) == (
        None,
        "announced",
        1570,
    )
    (name, _), (_, limit) = t.next_query(example("orders-list.json")) or ()
    assert (name, limit) == ("nextcursor", "128")


def _status() -> None:
    first, second = t.statuses(example("marketplace-status.json"))
    assert t.verdict(first, 1, live=False)[0] is m.OfferState.REFUSED
    assert (second.moin, second.link) == ("M00A1234BD", "https://www.otto.de/p/example")
    assert t.next_query(example("marketplace-status.json")) is None


def _product() -> None:
    wanted = example("product-create-request-v5.json")[0]
    data = m.ProductData({}, ("https://shop.example/img/1.jpg",), parent="UBN-11779")
    offer = m.OfferWanted(
        "3858389911564", "3858389911564", "A", 1995, "EUR", 1, 1, on=True, vat_percent="19", product=data
    )
    values = {
        "category": "Outdoorjacke",
        "product_line": "501",
        "description": "<p>Beispieltext</p>",
        "bullet_points": "Wichtigste Eigenschaft",
        "mpn": "H2G2-42",
        "attribute:Materialzusammensetzung": "100% Baumwolle",
        "attribute:Farbe": "blau",
    }
    contact = t.Contact(
        "Musterfirma GmbH",
        "Musterstraße 1, 12345, Musterstadt, Deutschland",
        "DE",
        "info@firma.example",
        "https://firma.example/kontakt",
    )
    made: Any = _plain(t.product_body(offer, values, "CMWBBRW2", contact))
    # What a shop does not tell us is not written: logistics, order limits, recommended price, a phone number, flags.
    left_out = {"logistics", "order"}
    description = {"multiPack", "bundle", "fscCertified", "disposal"}
    assert set(wanted) - set(made) == left_out
    assert set(wanted["productDescription"]) - set(made["productDescription"]) == description
    for name in ("productDescription", "pricing"):
        assert {k: v for k, v in wanted[name].items() if k in made[name]} == json.loads(
            json.dumps(made[name]), parse_float=Decimal
        )
    (address,) = wanted["compliance"]["productSafety"]["addresses"]
    assert made["compliance"]["productSafety"]["addresses"] == [
        {k: v for k, v in address.items() if k != "phone"}
    ]
    assert made["mediaAssets"] == wanted["mediaAssets"]
    assert (made["productReference"], made["mpn"], made["ean"]) == ("UBN-11779", "H2G2-42", wanted["ean"])


def _quantities() -> None:
    reply = answer(207, _plain(example("quantities-multistatus-207.json")))
    api, door = client(("POST", "/v1/availability/quantities", reply))
    rows = {each["sku"]: each for each in example("quantities-request.json")}
    told = api.write_rows("quantities", "/v1/availability/quantities", rows)
    assert told["V0533"] is None
    assert told["A7567"] is not None
    assert told["A7567"].params["message"] == "422 SKU is unknown"
    assert door.sent[-1].body == example("quantities-request.json")


def _multistatus() -> None:
    reply = answer(207, _plain(example("returns-multistatus-207.json")))
    api, _ = client(("POST", "/v3/returns/acceptance", reply))
    assert api.accept_return(PIECE).ok


def _progress() -> None:
    process = t.process(example("product-process-progress.json"))
    assert (process.id, process.done) == ("0f8b4ad1-0000-4000-8000-000000000001", False)
    assert process.ping_after == datetime(2026, 4, 17, 8, 5, tzinfo=UTC)


def _failed() -> None:
    found = t.variations(example("product-process-failed.json"))
    assert found["V0533"] is not None
    assert found["V0533"].params["marketplace_reason"] == "100004 INVALID_VALUE_DELIVERYTYPE"


def _returns() -> None:
    announced, misdirected = (t.returned(each) for each in example("returns-list.json")["positionItems"])
    assert (announced.tracking_number, announced.pieces[0].state.value) == ("577546565072", "announced")
    assert misdirected.pieces[0].note == "OTTO W-42"
    assert t.next_query(example("returns-list.json")) == [
        ("limit", "50"),
        ("page", "2"),
        ("status", "ANNOUNCED"),
    ]


def _parcel() -> None:
    back = ("DHL", "577546565072")
    address = "7423afd2-e7ab-4bae-ac30-048b7c0346c1"
    at = datetime(2026, 4, 17, 7, 49, 12, 642000, tzinfo=UTC)
    parcel = t.Parcel("HERMES", "H1234567890123456789", at, "Dresden", "01067", "DE", back, address)
    same(t.shipment_body(parcel, [PIECE]), "shipment-create-request-parcel.json")


def _shipment_errors() -> None:
    codes = {
        name: t.reason(int(name[:3]), body).code for name, body in example("shipment-errors.json").items()
    }
    assert codes == {
        "400_permission": "account.not_allowed",
        "400_mandatory": "partner.field_refused",
        "409_duplicate": "ship.tracking_used",
        "409_included": "deed.already_done",
    }


def _created() -> None:
    reply = answer(201, example("shipment-create-response-201.json"))
    api, _ = client(("POST", "/v1/shipments", reply), delivery_type="FORWARDER_CURBSIDE")
    assert api.ship(m.ShipmentWanted((PIECE,), "1", "dhl", "DHL"))[0].ok


def _token() -> None:
    api, door = client(("GET", "/v4/orders", answer(200, {"resources": []})))
    assert list(api.orders_to_ship(None)) == []
    assert door.sent[-1].headers["Authorization"] == "Bearer eyJ..."


def _delivery() -> None:
    rows = example("product-delivery-information-request.json")
    assert t.deliveries({"results": rows}) == {
        "V0533": (rows[0]["shippingProfileId"], None),
        "A7567": (rows[1]["shippingProfileId"], 2),
    }
    made = t.delivery_row(
        m.OfferWanted("A7567", None, "A", 1, "EUR", 1, 2, on=True), rows[1]["shippingProfileId"]
    )
    assert made == rows[1]


def _prices() -> None:
    (row,) = example("products-prices-request.json")
    assert json.loads(t.encoded(t.price_row(OFFER)), parse_float=Decimal) == {
        k: v for k, v in row.items() if k != "sale"
    }
    assert t.prices({"variationPrices": [row]}) == {"V0533": 2395}


def _conflict() -> None:
    why = t.reason(409, example("order-cancel-conflict-409.json"))
    assert why.code == "deed.not_allowed"
    assert "PROCESSABLE" in str(why.params["message"])


def _reduction() -> None:
    order_id, item_id = "9bd8f312-a044-4003-9f73-706a82f71a8f", "ef0decec-e5b7-40d8-bd91-9dafec8041a2"
    same(t.reduction_body(f"{order_id}/{item_id}", 1201), "price-reduction-request.json")


def _error() -> None:
    why = t.reason(400, example("error.json"))
    assert why.params["field"] == "[@.orderid=='12345']/invoiceAddress/firstname"
    assert (why.params["logref"], why.params["message"]) == (
        "key to find in the log",
        "490 First name must contain at least three characters.",
    )


def _switch() -> None:
    first, second = example("products-active-status-request.json")["status"]
    assert (first, second["active"]) == ({"sku": "V0533", "active": True}, False)  # We only ever switch on.


EXAMPLES: dict[str, Callable[[], None]] = {
    "error.json": _error,
    "marketplace-status.json": _status,
    "order-cancel-conflict-409.json": _conflict,
    "orders-list.json": _orders,
    "price-reduction-request.json": _reduction,
    "product-create-request-v5.json": _product,
    "product-delivery-information-request.json": _delivery,
    "product-process-failed.json": _failed,
    "product-process-progress.json": _progress,
    "products-active-status-request.json": _switch,
    "products-prices-request.json": _prices,
    "quantities-multistatus-207.json": _quantities,
    "quantities-request.json": _quantities,
    "returns-acceptance-request.json": lambda: same(
        t.acceptance_body(PIECE, "RETURN_RECEIVED", "A"), "returns-acceptance-request.json"
    ),
    "returns-list.json": _returns,
    "returns-multistatus-207.json": _multistatus,
    "returns-rejection-request.json": lambda: same(
        t.acceptance_body(PIECE, "ITEM_DAMAGED", "D"), "returns-rejection-request.json"
    ),
    "shipment-create-request-parcel.json": _parcel,
    "shipment-create-response-201.json": _created,
    "shipment-errors.json": _shipment_errors,
    "token-response.json": _token,
}
NOT_USED = {
    "shipment-create-request-forwarder-without-tracking.json": "nothing is reported as shipped without a tracking number",
    "shipping-profile-create-request.json": "profiles are made in OTTO Partner Connect; the bridge only reads them",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_specification_are_understood(name: str) -> None:
    if schemas.EXAMPLES.exists():
        EXAMPLES[name]()


def test_every_example_is_used_or_left_out_for_a_reason() -> None:
    if schemas.EXAMPLES.exists():
        assert {each.name for each in schemas.EXAMPLES.glob("*.json")} == {*EXAMPLES, *NOT_USED}
