"""Octopia's JSON <-> our messages: states, amounts, addresses, reasons, bodies."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised
from app.marketplaces.cdiscount import translate as t
from tests.marketplaces.cdiscount.conftest import OFFER

ADDRESS = {
    "firstName": "Camille",
    "lastName": "Durand",
    "companyName": "Thé & Co",
    "companyVatNumber": "FR123",
    "addressLine1": "12 rue des Lilas",
    "addressLine2": "Bât. B",
    "addressLine3": "2e étage",
    "postalCode": "69003",
    "city": "Lyon",
    "stateOrRegion": None,
    "countryCode": "fr",
    "pickupId": "P-17",
    "pickupName": "Tabac du coin",
    "phone": "+33600000000",
    "email": "x1@relay.example",
}
ORDER: dict[str, Any] = {
    "orderId": "26A",
    "status": "InPreparation",
    "purchasedAt": "2026-11-21T10:00:00+01:00",
    "updatedAt": "2026-11-21T11:00:00+01:00",
    "currencyCode": "EUR",
    "shippedAtMax": "2026-11-23T00:00:00+00:00",
    "salesChannel": {"id": "CDISFR"},
    "billingAddress": {"firstName": "Camille", "countryCode": "FR"},
    "lines": [
        {
            "orderLineId": "L1",
            "status": "InPreparation",
            "quantity": 3,
            "sellingPrice": {"unitSalesPrice": Decimal("7.9"), "shippingCost": Decimal("5.00")},
            "offerPrice": {"taxes": [{"code": "VAT", "rate": Decimal("5.50")}]},
            "offer": {
                "sellerProductId": "TEE-001",
                "supplyMode": "Seller",
                "productTitle": "Thé",
                "productGtin": "4006381333931",
            },
            "delivery": {"shippedAtMax": "2026-11-22T00:00:00+00:00"},
            "shippingAddress": ADDRESS,
            "parcels": [],
        }
    ],
}
TERMS = t.Terms({"TRK": (490, 100), "REG": (690, 0)}, rates={"19": "20"}, default_rate="20", ecotax=35)


def changed(line: dict[str, Any] | None = None, **order: Any) -> dict[str, Any]:
    data = copy.deepcopy(ORDER) | order
    data["lines"][0] |= line or {}
    return data


def seen(data: dict[str, Any]) -> m.OrderSeen:
    found = t.order(data)
    assert found is not None
    return found


def wanted(**change: Any) -> m.OfferWanted:
    return m.OfferWanted(**{**OFFER.__dict__, **change})


# --- orders ----------------------------------------------------------------------------------------------------------------


def test_an_order_is_read_whole() -> None:
    order = seen(ORDER)
    assert (order.external_id, order.currency, order.country) == ("26A", "EUR", "CDISFR")
    assert order.placed_at == datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert order.billing == m.Address(first_name="Camille", country="FR", email="x1@relay.example")
    assert order.shipping == m.Address(
        first_name="Camille",
        last_name="Durand",
        company="Thé & Co",
        address_1="12 rue des Lilas",
        address_2="Bât. B, 2e étage",
        postcode="69003",
        city="Lyon",
        country="FR",
        phone="+33600000000",
        email="x1@relay.example",
        extra={"pickup_location_id": "P-17", "pickup_name": "Tabac du coin", "vat_number": "FR123"},
    )


def test_a_quantity_becomes_pieces_that_share_the_shipping_to_the_cent() -> None:
    pieces = seen(ORDER).pieces
    assert [each.external_id for each in pieces] == ["26A/L1/1", "26A/L1/2", "26A/L1/3"]
    assert {each.group for each in pieces} == {"L1"}
    assert [each.shipping_price for each in pieces] == [167, 167, 166]
    assert pieces[0] == m.PieceSeen(
        external_id="26A/L1/1",
        group="L1",
        sku="TEE-001",
        gtin="4006381333931",
        title="Thé",
        unit_price=790,
        shipping_price=167,
        state=m.PieceState.TO_SHIP,
        raw_state="InPreparation",
        vat_percent="5.5",
        ship_by=datetime(2026, 11, 22, tzinfo=UTC),
        updated_at=datetime(2026, 11, 21, 10, tzinfo=UTC),
    )


PARCEL = [{"parcelNumber": "1", "carrierName": "DHL"}]


@pytest.mark.parametrize(
    ("order", "line", "parcels", "state"),
    [
        ("Processing", "Processing", [], "announced"),
        ("WaitingAcceptance", "WaitingAcceptance", [], "announced"),
        ("Accepted", "Accepted", [], "announced"),
        ("Accepted", "InPreparation", [], "announced"),
        ("InPreparation", "InPreparation", [], "to_ship"),
        ("InPreparation", None, [], "to_ship"),
        ("Shipped", "Shipped", PARCEL, "shipped"),
        ("Delivered", "Delivered", PARCEL, "delivered"),
        ("InPreparation", "Cancelled", [], "cancelled"),
        ("Cancelled", "InPreparation", [], "cancelled"),
        ("Refused", "Refused", [], "cancelled"),
        ("Rejected", "Rejected", [], "cancelled"),
        ("InPreparation", "CancelRequest", [], "announced"),
        ("Shipped", "CancelRequest", PARCEL, "shipped"),
        ("Shipped", "Cancelled", PARCEL, "returned"),
        ("Cancelled", "Cancelled", PARCEL, "returned"),
        ("InPreparation", "Teleported", [], "unclear"),
        ("Teleported", "Teleported", [], "unclear"),
    ],
)
def test_every_status_has_its_state(order: str, line: str | None, parcels: list[Any], state: str) -> None:
    data = changed({"status": line, "parcels": parcels}, status=order)
    assert {each.state for each in seen(data).pieces} == {m.PieceState(state)}


@pytest.mark.parametrize("address", [None, {}, {"countryCode": "FR"}, {"addressLine1": "12 rue"}])
def test_an_order_without_address_is_never_to_ship(address: Any) -> None:
    order = seen(changed({"shippingAddress": address}))
    assert {each.state for each in order.pieces} == {m.PieceState.ANNOUNCED}
    assert order.shipping is None


def test_a_history_tells_that_a_cancelled_line_had_left() -> None:
    data = changed({"status": "Cancelled", "statusEvents": [{"status": "Shipped"}]})
    assert seen(data).pieces[0].state is m.PieceState.RETURNED


def test_only_a_waiting_order_awaits_acceptance() -> None:
    assert seen(changed({"status": None}, status="WaitingAcceptance")).awaits_acceptance
    assert not seen(ORDER).awaits_acceptance


def test_lines_of_others_are_left_out() -> None:
    data = changed({"offer": {"supplyMode": "Fulfillment"}})
    assert t.order(data) is None


def test_fields_nobody_knows_are_ignored() -> None:
    assert seen(changed({"new": {"a": 1}}, newer=[1])) == seen(ORDER)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (changed(orderId=None), "order.orderId"),
        (changed(purchasedAt="soon"), "order.26A.purchasedAt"),
        (changed(status=None), "order.26A.status"),
        (changed({"orderLineId": ""}), "line.orderLineId"),
        (changed({"quantity": 0}), "line.L1.quantity"),
        (changed({"quantity": True}), "line.L1.quantity"),
        (changed({"sellingPrice": {}}), "line.L1.sellingPrice.unitSalesPrice"),
        (
            changed({"sellingPrice": {"unitSalesPrice": Decimal("7.905")}}),
            "line.L1.sellingPrice.unitSalesPrice",
        ),
    ],
)
def test_an_unreadable_order_names_its_field(data: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as wrong:
        t.order(data)
    assert wrong.value.params["field"] == field


@pytest.mark.parametrize("piece", ["26A", "26A/L1", "26A/L1/x", "/L1/1", "26A//1"])
def test_a_piece_that_is_none_of_ours_is_refused(piece: str) -> None:
    with pytest.raises(Refused):
        t.ids(piece)


@pytest.mark.parametrize(
    ("value", "cents"),
    [(Decimal("100.0"), 10_000), (5, 500), ("4.90", 490), (Decimal("0.01"), 1), (Decimal("1E+1"), 1000)],
)
def test_amounts_become_cents(value: object, cents: int) -> None:
    assert t.minor(value, "x") == cents


@pytest.mark.parametrize("value", [Decimal("0.001"), "4,90", None, True, 4.9, Decimal("NaN"), "inf"])
def test_an_amount_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(Invalid):
        t.minor(value, "x")


def test_amounts_are_written_as_numbers_with_their_digits() -> None:
    assert t.encoded({"a": [t.money(790), t.money(5)], "b": "7.90"}) == b'{"a":[7.90,0.05],"b":"7.90"}'


# --- problems and reasons ---------------------------------------------------------------------------------------------------


def test_a_refusal_names_field_and_message() -> None:
    error = t.refusal(
        400, {"title": "Validation Failed", "errors": {"carrierName": ["unknown carrier"]}}, "ship"
    )
    assert (type(error), error.code) == (Refused, "partner.field_refused")
    assert (error.params["field"], error.params["message"]) == ("carrierName", "unknown carrier")


@pytest.mark.parametrize(
    ("status", "code"), [(401, "credentials.refused"), (403, "cdiscount.not_authorised")]
)
def test_credentials_and_authorisation_stop_the_connection(status: int, code: str) -> None:
    error = t.refusal(status, None, "orders")
    assert isinstance(error, Unauthorised)
    assert error.code == code


@pytest.mark.parametrize(
    ("ours", "codes", "theirs"),
    [
        ("out_of_stock", {"A": "Rupture de stock", "B": "Autre"}, "A"),
        ("wrong_price", {"A": "Rupture de stock", "B": "Autre"}, "B"),
        ("damaged", {"X": "Produit abîmé"}, "X"),
        ("wrong_price", {"A": "Rupture de stock"}, None),
        ("other", {}, None),
    ],
)
def test_a_reason_is_found_by_its_words_or_not_at_all(
    ours: str, codes: dict[str, str], theirs: str | None
) -> None:
    assert t.reason_code(ours, codes, {}) == theirs


@pytest.mark.parametrize(
    "body", [["A"], [{"code": "A"}], {"items": [{"reason": "A", "label": "A"}]}, [{"id": "A", "name": "A"}]]
)
def test_reasons_are_read_in_any_likely_shape(body: object) -> None:
    assert t.reason_codes(body) == {"A": "A"}


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([], set()),
        ([{"status": "Pending", "lines": [{"lineId": "L1"}]}], {"L1"}),
        ([{"state": "Accepted", "lines": [{"orderLineId": "L1"}]}], {"L1"}),
        ([{"status": "Pending"}], {"*"}),
        ([{"status": "Refused", "lines": [{"lineId": "L1"}]}, {"status": "Rejected"}], set()),
    ],
)
def test_requests_that_were_refused_do_not_count(rows: list[Any], lines: set[str]) -> None:
    assert t.requested_lines({"items": rows}) == lines


def test_gestures_of_other_orders_and_refused_ones_do_not_count_and_others_wait() -> None:
    rows = [
        {"orderId": "26A", "amount": Decimal("2.5"), "status": "Accepted"},
        {"orderId": "26B", "amount": 9},
        {"orderId": "26A", "amount": 1, "status": "Refused"},
        {"orderId": "26A", "amount": 2, "status": "Pending"},
        {"amount": 1},
    ]
    assert t.gestures({"items": rows}, "26A") == (350, 200)


# --- offers -----------------------------------------------------------------------------------------------------------------


def test_an_upsert_says_everything() -> None:
    body = json.loads(t.encoded(t.upsert_body(OFFER, TERMS)), parse_float=Decimal)
    assert body == {
        "sellerExternalReference": "TEE-001",
        "product": {"gtin": "4006381333931"},
        "condition": "New",
        "price": {
            "price": Decimal("7.90"),
            "taxes": [{"code": "VAT", "value": 20}, {"code": "Ecotax", "value": Decimal("0.35")}],
        },
        "deliveryModes": [
            {"code": "TRK", "cost": Decimal("4.90"), "additionalCost": Decimal("1.00")},
            {"code": "REG", "cost": Decimal("6.90"), "additionalCost": Decimal("0.00")},
        ],
        "preparationTime": 1,
        "quantity": 5,
    }


def test_off_is_no_pieces() -> None:
    assert t.upsert_body(wanted(on=False), TERMS)["quantity"] == 0


@pytest.mark.parametrize(
    ("gtin", "padded"),
    [("4006381333931", "4006381333931"), ("012345678905", "0012345678905"), ("40123455", "0000040123455"),
     ("04006381333931", "4006381333931"), ("14006381333938", None), ("abc", None)],
)  # fmt: skip
def test_a_gtin_has_thirteen_digits(gtin: str, padded: str | None) -> None:
    assert t.ean(gtin) == padded


@pytest.mark.parametrize(
    ("shops", "french"),
    [("19", "20"), ("19.00", "20"), ("5.5", "5.5"), ("20", "20"), (None, "20"), ("7", None), ("x", None)],
)
def test_the_vat_rate_is_one_of_france(shops: str | None, french: str | None) -> None:
    assert t.vat(wanted(vat_percent=shops), TERMS) == french


@pytest.mark.parametrize(
    ("told", "cents"), [("0.35", 35), ("0,35", 35), ("0", 0), ("viel", None), (None, 35)]
)
def test_the_eco_participation_stands_at_the_product_or_in_the_settings(
    told: str | None, cents: int | None
) -> None:
    terms = t.Terms({}, ecotax=35, ecotax_field="attribute:Ecotax")
    product = m.ProductData({"attribute:Ecotax": told} if told is not None else {})
    assert t.ecotax(wanted(product=product), terms) == cents


@pytest.mark.parametrize(
    ("listed", "costs", "code"),
    [
        (["TRK", "REG", "STD"], {"TRK": (1, 0), "REG": (1, 0)}, None),
        (["TRK"], {"TRK": (1, 0)}, None),
        (["THD", "SHD"], {"THD": (1, 0), "SHD": (1, 0)}, None),
        (["STD", "REG"], {"STD": (1, 0), "REG": (1, 0)}, "cdiscount.mode_missing"),
        ([], {}, "cdiscount.mode_missing"),
        (["TRK", "REG"], {"TRK": (1, 0)}, "cdiscount.mode_cost_missing"),
        (["TRK", "REG"], {}, "cdiscount.mode_cost_missing"),
    ],
)
def test_tracked_is_needed_and_registered_where_it_is_there(
    listed: list[str], costs: dict[str, tuple[int, int]], code: str | None
) -> None:
    why = t.mode_trouble(listed, costs)
    assert (why.code if why else None) == code


def test_a_rejection_wins_over_an_integration_of_the_same_reference() -> None:
    good = {"sellerExternalReference": "A", "integrationStatus": "Integrated", "results": []}
    bad = {
        "sellerExternalReference": "A",
        "integrationStatus": "Rejected",
        "results": [{"resultCode": "1301"}],
    }
    for rows in ([good, bad], [bad, good]):
        assert t.results(rows)["A"][0] is False


@pytest.mark.parametrize(
    ("row", "state", "on"),
    [
        ({"offerState": "Active", "quantity": 3}, m.OfferState.ON_SALE, True),
        ({"offerState": "Active"}, m.OfferState.ON_SALE, True),
        ({"offerState": "Inactive", "quantity": 0}, m.OfferState.OFF, None),
        ({"offerState": "Inactive", "quantity": 3}, m.OfferState.WAITING, None),
        ({"offerState": "Frozen"}, m.OfferState.WAITING, None),
    ],
)
def test_an_offer_is_shown_as_far_as_it_is_known(
    row: dict[str, Any], state: m.OfferState, on: bool | None
) -> None:
    found = t.shown({"sellerExternalReference": "A", "facialPrice": {"price": Decimal("49.99")}, **row})
    assert found is not None
    assert (found.state, found.on, found.price, found.external_ref) == (state, on, 4999, "A")


def test_an_offer_without_our_reference_is_none_of_ours() -> None:
    assert t.shown({"offerState": "Active"}) is None
