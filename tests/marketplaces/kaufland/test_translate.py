"""Kaufland's JSON <-> our messages, over the payload files in tests/payloads/kaufland."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised
from app.marketplaces.kaufland import translate as t
from tests.marketplaces.kaufland import openapi

PAYLOADS = Path(__file__).resolve().parents[2] / "payloads" / "kaufland"
OFFER = m.OfferWanted("TEE-001", "4006381333931", "Assam", 790, "EUR", 5, 1, on=True)
DECLARED = {
    "order_units_page.json": "CollectionApiResponse_OrderUnit_",
    "order_with_packstation.json": "ApiResponse_OrderDetails_",
    "unit.json": "ApiResponse_Unit_",
    "bulk_207.json": "UnitsBulkUpdateResponse",
    "product_data_missing.json": "ApiResponse_ProductDataStatusResponse_",
    "problem.json": "ErrorResponse",
}


def payload(name: str) -> Any:
    """As the Door reads it: numbers with a point are Decimal."""
    return json.loads((PAYLOADS / name).read_text("utf-8"), parse_float=Decimal)


@pytest.mark.parametrize(("name", "schema"), DECLARED.items())
def test_the_payload_files_are_what_the_vendor_describes(name: str, schema: str) -> None:
    if openapi.spec() is not None:
        data = json.loads((PAYLOADS / name).read_text("utf-8"))
        assert openapi.schema_errors(data, schema) == []


# --- orders ----------------------------------------------------------------------------------------------------------------


def page() -> list[dict[str, Any]]:
    return copy.deepcopy(t.rows(payload("order_units_page.json")))  # type: ignore[arg-type]


def test_pieces_of_one_offer_and_price_are_one_group_and_keep_their_ids() -> None:
    order = t.order(page()[:3])
    assert [piece.external_id for piece in order.pieces] == [
        "314567896580917",
        "314567896580918",
        "314567896580919",
    ]
    assert order.pieces[0].group == order.pieces[1].group == "TEE-001|790"
    assert order.pieces[2].group == "TEE-001|690"


def test_an_order_is_read_whole() -> None:
    order = t.order(page()[:1])
    assert (order.external_id, order.currency, order.country) == ("M7X2K9P", "EUR", "de")
    assert order.placed_at == datetime(2026, 11, 21, 13, 47, tzinfo=UTC)
    assert order.shipping == m.Address(
        first_name="Mia",
        last_name="Muster",
        address_1="Beispielweg 4a",
        address_2="Hinterhaus",
        postcode="10115",
        city="Berlin",
        country="DE",
        phone="+4930123456",
        email="x1@relay.example",
    )


def test_a_piece_is_read_whole() -> None:
    assert t.piece(page()[0]) == m.PieceSeen(
        external_id="314567896580917",
        group="TEE-001|790",
        sku="TEE-001",
        gtin="4006381333931",
        title="Assam Hathikuli, 100 g",
        unit_price=790,
        shipping_price=390,
        state=m.PieceState.TO_SHIP,
        raw_state="need_to_be_sent",
        vat_percent="19",
        ship_by=datetime(2026, 11, 24, 22, 59, 59, tzinfo=UTC),
        updated_at=datetime(2026, 11, 21, 14, 2, 10, tzinfo=UTC),
    )


def test_withheld_addresses_are_none() -> None:
    order = t.order(page()[3:])
    assert (order.billing, order.shipping) == (None, None)
    assert order.pieces[0].state is m.PieceState.ANNOUNCED


def test_a_packstation_reaches_the_label() -> None:
    data = t.row(payload("order_with_packstation.json"))
    order = t.order(t.objects(data["order_units"]), data["delivery"])
    assert order.shipping is not None
    assert order.shipping.extra == {
        "pickup_location_id": "137",
        "pickup_provider": "DHL",
        "pickup_carrier": "DHL",
        "dhl_post_number": "123456789",
    }
    assert order.billing is not None
    assert order.billing.extra == {}


def test_kaufland_may_write_the_invoice_itself() -> None:
    assert t.order(
        t.objects(t.row(payload("order_with_packstation.json"))["order_units"])
    ).invoice_by_marketplace
    assert not t.order(page()[:1]).invoice_by_marketplace


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("open", m.PieceState.ANNOUNCED),
        ("need_to_be_sent", m.PieceState.TO_SHIP),
        ("sent", m.PieceState.SHIPPED),
        ("sent_and_autopaid", m.PieceState.SHIPPED),
        ("received", m.PieceState.DELIVERED),
        ("cancelled", m.PieceState.CANCELLED),
        ("returned", m.PieceState.RETURNED),
        ("returned_paid", m.PieceState.RETURNED),
        ("on_the_moon", m.PieceState.UNCLEAR),
    ],
)
def test_every_status_has_a_meaning_and_an_unknown_one_is_unclear(word: str, state: m.PieceState) -> None:
    piece = t.piece(page()[0] | {"status": word})
    assert (piece.state, piece.raw_state) == (state, word)


def test_every_declared_status_is_known() -> None:
    if openapi.spec() is not None:
        assert set(openapi.enum("OrderUnitStatus")) == set(t.PIECE_STATES)
        assert set(openapi.enum("ReturnUnitStatus")) == set(t.RETURN_STATES)
        assert set(t.CANCEL_REASONS.values()) <= set(openapi.enum("OrderUnitCancelReason"))
        assert set(t.REFUND_REASONS.values()) <= set(openapi.enum("OrderUnitRefundReason"))
        assert set(t.CONDITIONS.values()) == set(openapi.enum("UnitCondition"))
        assert set(openapi.enum("Storefront")) <= set(t.CURRENCY)


def test_strange_values_do_not_stop_an_order() -> None:
    moon, cancelled, bare, double = (t.piece(row) for row in t.rows(payload("order_units_strange.json")))
    assert moon.state is m.PieceState.UNCLEAR
    assert cancelled.reason == "NoReaction"
    assert (bare.sku, bare.gtin, bare.ship_by, bare.vat_percent) == (None, None, None, "5.5")
    assert bare.updated_at == datetime(2026, 11, 21, 14, 2, 10, tzinfo=UTC)
    assert double.gtin == "0194252013212"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("id_order_unit", None, "order_unit.id_order_unit"),
        ("status", None, "order_unit.314567896580917.status"),
        ("price", "7.90", "order_unit.314567896580917.price"),
        ("price", Decimal("7.9"), "order_unit.314567896580917.price"),
        ("price", True, "order_unit.314567896580917.price"),
        ("shipping_rate", "free", "order_unit.314567896580917.shipping_rate"),
    ],
)
def test_what_is_needed_and_wrong_is_named(field: str, value: object, told: str) -> None:
    with pytest.raises(Invalid) as wrong:
        t.piece(page()[0] | {field: value})
    assert wrong.value.params["field"] == told


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T14:02:10Z", datetime(2026, 11, 21, 14, 2, 10, tzinfo=UTC)),
        ("2026-11-21T15:02:10+01:00", datetime(2026, 11, 21, 14, 2, 10, tzinfo=UTC)),
        ("2026-11-21T14:02:10.500Z", datetime(2026, 11, 21, 14, 2, 10, 500000, tzinfo=UTC)),
        ("2026-11-21 14:02:10", datetime(2026, 11, 21, 14, 2, 10, tzinfo=UTC)),
        ("2026-11-21T14:02:10ZZ", datetime(2026, 11, 21, 14, 2, 10, tzinfo=UTC)),
        ("21.11.2026", None),
        ("", None),
        (None, None),
        (1411055926, None),
    ],
)
def test_times_are_read_leniently_and_always_aware(text: object, moment: datetime | None) -> None:
    assert t.when(text) == moment


def test_filters_get_utc_in_the_vendors_form() -> None:
    assert t.stamp(datetime.fromisoformat("2026-11-21T15:02:10+01:00")) == "2026-11-21T14:02:10Z"


@pytest.mark.parametrize("body", [None, [], "x", {}, {"data": {}}, {"data": [1]}])
def test_a_list_that_is_none_is_invalid(body: object) -> None:
    with pytest.raises(Invalid):
        t.rows(body)


# --- returns ---------------------------------------------------------------------------------------------------------------


def test_a_return_names_its_pieces() -> None:
    seen = t.return_seen(t.row(payload("return.json")))
    arrived, strange = seen.pieces
    assert (seen.external_id, seen.tracking_number, seen.carrier) == ("675849321", "407875042681", "DHL")
    assert arrived == m.ReturnPieceSeen(
        "45456767",
        "314567896580917",
        m.ReturnState.ARRIVED,
        "return_arrived",
        "delivered_damaged",
        "Dose eingedrückt",
    )
    assert (strange.state, strange.raw_state) == (m.ReturnState.UNCLEAR, "return_teleported")


# --- deeds -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code", "body"),
    [
        ("0034", "DHL", {"tracking_numbers": "0034", "carrier_code": "DHL"}),
        ("0034", None, {"tracking_numbers": "0034", "carrier_code": "Other"}),
        (None, "DHL", {"tracking_numbers": "", "carrier_code": "Other"}),
        ("", None, {"tracking_numbers": "", "carrier_code": "Other"}),
    ],
)
def test_without_tracking_only_other_is_said(
    number: str | None, code: str | None, body: dict[str, str]
) -> None:
    assert t.send_body(number, code) == body


def test_the_buyers_wish_is_never_told_as_the_sellers_fault() -> None:
    told = {ours: t.cancel_body(ours)["reason"] for ours in t.CANCEL_REASONS}
    assert told["buyer_cancelled"] == "BuyerCancelled"
    assert "BuyerCancelled" not in [theirs for ours, theirs in told.items() if ours != "buyer_cancelled"]


def test_an_unknown_cancel_reason_is_not_guessed() -> None:
    with pytest.raises(Refused) as refused:
        t.cancel_body("because")
    assert refused.value.code == "cancel.reason_unknown"


@pytest.mark.parametrize("amount", [0, -1, True])
def test_a_refund_is_at_least_one_cent(amount: int) -> None:
    with pytest.raises(Refused) as refused:
        t.refund_body(amount, "other")
    assert refused.value.code == "refund.amount_invalid"


def test_a_refund_carries_minor_units_and_their_reason() -> None:
    assert t.refund_body(1299, "delayed") == {"amount": 1299, "reason": "delivery_delay"}


# --- offers ----------------------------------------------------------------------------------------------------------------


def test_a_new_unit_always_says_its_amount() -> None:
    assert t.create_body(OFFER, 195841) == {
        "ean": "4006381333931",
        "id_offer": "TEE-001",
        "condition": "NEW",
        "listing_price": 790,
        "amount": 5,
        "handling_time": 1,
        "id_shipping_group": 195841,
    }


def test_the_stock_travels_with_one_storefront_only() -> None:
    assert t.patch_body(OFFER, None, with_stock=True)["amount"] == 5
    assert "amount" not in t.patch_body(OFFER, None, with_stock=False)


def test_off_is_on_hold_and_leaves_the_shared_amount_alone() -> None:
    off = m.OfferWanted("TEE-001", "4006381333931", "Assam", 790, "EUR", 0, 1, on=False)
    body = t.patch_body(off, None, with_stock=True)
    assert (body["status"], "amount" in body) == ("ONHOLD", False)


def test_a_unit_is_shown_with_the_price_we_wrote() -> None:
    shown = t.shown(t.row(payload("unit.json")), "de")
    assert shown == m.OfferShown(
        sku="TEE-001",
        external_ref="de:385112233",
        price=790,
        stock=5,
        handling_days=1,
        on=True,
        shipping_group="195841",
        raw_state="AVAILABLE",
        state=m.OfferState.ON_SALE,
    )


@pytest.mark.parametrize(
    ("status", "amount", "on", "stock", "state"),
    [
        ("AVAILABLE", 0, True, 0, m.OfferState.OFF),
        ("ONHOLD", 5, False, 0, m.OfferState.OFF),
        ("INCOMPLETE", 5, True, 5, m.OfferState.NEEDS_PRODUCT),
        ("FROZEN", 5, None, 5, m.OfferState.WAITING),
    ],
)
def test_the_state_of_a_unit(
    status: str, amount: int, on: bool | None, stock: int, state: m.OfferState
) -> None:
    shown = t.shown({**t.row(payload("unit.json")), "status": status, "amount": amount}, "de")
    assert (shown.on, shown.stock, shown.state, shown.raw_state) == (on, stock, state, status)


def test_a_unit_that_is_incomplete_says_why_it_is_not_on_sale() -> None:
    shown = t.shown({**t.row(payload("unit.json")), "status": "INCOMPLETE"}, "de")
    assert shown.reason == m.Reason("product.data_incomplete")


def test_refs_of_several_storefronts_come_back_as_they_went() -> None:
    assert t.refs("de:385112233,at:385112290", ["de"]) == {"de": 385112233, "at": 385112290}
    assert t.ref({"de": 385112233, "at": 385112290}) == "de:385112233,at:385112290"
    assert t.refs("385112233", ["de", "at"]) == {"de": 385112233}
    assert t.refs(None, ["de"]) == {}
    assert t.ref({}) is None


def test_the_storefront_that_differs_is_told() -> None:
    unit = t.row(payload("unit.json"))
    german, austrian = (
        t.shown(unit, "de"),
        t.shown({**unit, "listing_price": 990, "status": "INCOMPLETE"}, "at"),
    )
    one = t.as_one(OFFER, "de:1,at:2", [german, austrian])
    assert one is not None
    assert (one.price, one.handling_days, one.state) == (990, 1, m.OfferState.NEEDS_PRODUCT)
    assert t.as_one(OFFER, None, []) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"price": 0}, "offer.price_missing"),
        ({"currency": "CZK"}, "offer.currency"),
        ({"handling_days": 101}, "offer.handling_days"),
        ({"condition": "broken"}, "offer.condition_unknown"),
    ],
)
def test_what_kaufland_would_refuse_is_said_before_a_call(change: dict[str, Any], code: str) -> None:
    import dataclasses

    objection = t.objection(dataclasses.replace(OFFER, **change), ["de"])
    assert objection is not None
    assert objection.code == code
    assert t.objection(OFFER, ["de", "at"]) is None


@pytest.mark.parametrize(
    ("gtin", "ean"),
    [("96385074", "0000096385074"), ("194252013212", "0194252013212"), ("10614141000415", "10614141000415")],
)
def test_a_gtin_gets_the_digits_of_an_ean(gtin: str, ean: str) -> None:
    assert t.ean(gtin) == ean


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (None, "product.unknown_gtin"),
        (
            {"product_not_ready_reason": "MISSING_ATTRIBUTES", "missing_attributes": ["category"]},
            "product.data_missing",
        ),
        ({"min_one_missing_attributes": ["weight", "volume"]}, "product.data_missing"),
        ({"product_not_ready_reason": "BLACKLISTED"}, "product.forbidden"),
        ({"product_not_ready_reason": "PORN_FORBIDDEN"}, "product.forbidden"),
        ({"product_not_ready_reason": "PROCESSING_FAILED"}, "product.data_refused"),
        ({"update_status": "FAIL", "update_fail_reason": "NO_CATEGORY"}, "product.data_refused"),
        (
            {"update_status": "PENDING", "product_not_ready_reason": "NOT_YET_PROCESSED"},
            "product.data_processing",
        ),
        ({"product_not_ready_reason": "TIRED"}, "product.data_processing"),
    ],
)
def test_why_there_is_no_product(status: dict[str, Any] | None, code: str) -> None:
    assert t.product_reason("4006381333931", status).code == code


def test_missing_product_data_is_named_field_by_field() -> None:
    reason = t.product_reason("4006381333931", t.row(payload("product_data_missing.json")))
    assert (reason.params["fields"], reason.params["one_of"]) == ("category, picture", "weight, volume")


def test_a_partial_answer_is_read_entry_by_entry() -> None:
    answers = list(t.bulk_answers(payload("bulk_207.json")))
    assert [(unit, code) for unit, code, _ in answers] == [
        (385112233, 200),
        (385112234, 400),
        (385112235, 500),
    ]


def test_a_status_code_with_a_point_is_read_too() -> None:
    assert [
        code for _, code, _ in t.bulk_answers({"data": [{"id_unit": 1, "status_code": Decimal("200.0")}]})
    ] == [200]


# --- problems --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "problem", "code", "kind"),
    [
        (401, "invalid-credentials", "credentials.refused", Unauthorised),
        (401, "unauthorized", "credentials.refused", Unauthorised),
        (401, "corrupted-signature", "signature.refused", Unauthorised),
        (400, "missing-or-invalid-request-header", "signature.header_missing", Unauthorised),
        (403, "inactive-account", "account.inactive", Unauthorised),
        (403, "storefront-not-configured", "storefront.not_configured", Refused),
        (403, "forbidden", "account.not_allowed", Refused),
        (404, "not-found", "partner.not_found", Refused),
        (400, "duplicate-action", "deed.already_done", Refused),
        (403, "action-not-allowed", "deed.not_allowed", Refused),
        (400, "insufficient-funds", "refund.insufficient_funds", Refused),
        (400, "order-units/cancel-error", "cancel.failed", Refused),
        (400, "order-units/cancel-not-possible", "cancel.not_possible", Refused),
        (403, "order-units/cancel-not-allowed", "cancel.not_allowed", Refused),
        (400, "order-units/missing-payment", "order.unpaid", Refused),
        (400, "order-units/shipping-rate-not-defined", "offer.shipping_rate_missing", Refused),
        (400, "returns/unit-wrong-status", "return.wrong_status", Refused),
        (400, "returns/return-address-not-set", "return.address_missing", Refused),
        (400, "returns/return-address-unsupported-country", "return.address_unsupported", Refused),
        (400, "already-exists", "offer.already_exists", Refused),
        (400, "units/bulk-duplicate-units", "partner.batch_refused", Refused),
        (400, "units/bulk-too-many-units", "partner.batch_refused", Refused),
        (400, "units/bulk-too-many-butches", "partner.batch_refused", Refused),
        (400, "units/bulk-invalid-operation", "partner.batch_refused", Refused),
        (400, "bad-request", "partner.refused", Refused),
        (400, "never-seen-before", "partner.refused", Refused),
    ],
)
def test_every_problem_has_a_reason(status: int, problem: str, code: str, kind: type) -> None:
    error = t.refusal(status, {"type": f"/problems/{problem}", "message": "no", "errors": []}, "send")
    assert (error.code, type(error)) == (code, kind)
    assert error.params["problem"] == problem


def test_a_refused_field_is_named_with_what_kaufland_says_of_it() -> None:
    error = t.refusal(400, payload("problem.json"), "send")
    assert error.code == "partner.field_refused"
    assert error.params["field"] == "carrier_code, tracking_numbers"
    assert error.params["message"] == "not valid"


@pytest.mark.parametrize(
    ("status", "code"), [(401, "credentials.refused"), (404, "partner.not_found"), (418, "partner.refused")]
)
@pytest.mark.parametrize("body", [None, "down", [], {"type": None}, {"type": "x", "errors": "y"}])
def test_an_answer_without_a_type_is_understood_by_its_status(status: int, code: str, body: object) -> None:
    assert t.refusal(status, body, "send").code == code
