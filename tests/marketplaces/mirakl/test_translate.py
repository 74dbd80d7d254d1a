"""Mirakl's words and numbers: the vendor's own examples where they are at hand, and small copies of their facts where they are not."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised
from app.marketplaces.mirakl import translate as t
from tests.marketplaces.mirakl import openapi
from tests.marketplaces.mirakl.conftest import wanted

needs_examples = pytest.mark.skipif(not openapi.EXAMPLES.exists(), reason="the examples are not here")

TERMS = t.Terms("EUR")
LINE: dict[str, Any] = {
    "order_line_id": "Order_00010-A-1",
    "order_line_state": "SHIPPING",
    "offer_sku": "TEE-001",
    "product_title": "Assam",
    "quantity": 3,
    "price": Decimal("23.70"),
    "price_unit": Decimal("7.90"),
    "shipping_price": Decimal("4.90"),
    "taxes": [{"code": "IVA", "amount": Decimal("4.27"), "rate": Decimal("22.0")}],
    "shipping_taxes": [{"code": "IVA", "amount": Decimal("0.88"), "rate": 22}],
    "cancelations": [],
    "refunds": [],
    "last_updated_date": "2026-11-21T10:00:00.123Z",
}
ADDRESS = {"lastname": "Muster", "street_1": "Via 4", "city": "Milano", "country_iso_code": "ITA"}


def order_row(*lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "order_id": "Order_00010-A",
        "commercial_id": "Order_00010",
        "order_state": "SHIPPING",
        "order_tax_mode": "TAX_INCLUDED",
        "currency_iso_code": "EUR",
        "created_date": "2026-11-21T10:00:00Z",
        "customer": {
            "firstname": "Mia",
            "lastname": "M",
            "shipping_address": ADDRESS,
            "billing_address": None,
        },
        "order_lines": list(lines or [LINE]),
    } | more


def states(line: dict[str, Any], sent: t.Sent | None = None, hint: tuple[int, ...] = ()) -> str:
    """The states of a line's pieces, one letter each."""
    pieces = t.line_pieces(order_row(), line, sent or t.Sent(), hint)
    return "".join(piece.state[0] for piece in pieces)


def example(name: str) -> Any:
    return json.loads((openapi.EXAMPLES / name).read_text("utf-8"), parse_float=Decimal)


# --- all examples ----------------------------------------------------------------------------------------------------------------

READ: dict[str, Any] = {
    "A01.response.200.json": t.shop_facts,
    "A02.response.200.json": t.closed_answer,
    "A02.response.200-1.json": t.closed_answer,
    "AF01.response.200.json": t.required_fields,
    "OF01.response.201.json": t.import_id,
    "OF02.response.200.json": t.import_seen,
    "OF21.response.200.json": lambda body: [t.shown(row, t.Terms("USD")) for row in t.rows(body, "offers")],
    "OF22.response.200.json": lambda body: t.shown(body, t.Terms("USD")),
    "OF22.response.200-1.json": lambda body: t.shown(body, t.Terms("USD")),
    "OR11.response.200.json": lambda body: [t.order(row) for row in t.rows(body, "orders")],
    "P31.response.200.json": lambda body: t.known_gtins(body, "EAN"),
    "P41.response.201.json": t.import_id,
    "P42.response.200.json": lambda body: t.product_import(body).is_open(datetime.now(UTC)),
    "PC01.response.200.json": t.platform,
    "PM11.response.200.json": lambda body: t.as_attributes(t.attributes(body, "en_GB")),
    "PRI01.response.201.json": t.import_id,
    "RE01.response.200.json": lambda body: t.reason_code(t.rows(body, "reasons"), "REFUND", "other", {}),
    "RT21.response.200.json": lambda body: t.failed_ids(body, "return_errors"),
    "RT25.response.200.json": lambda body: t.failed_ids(body, "return_errors"),
    "RT26.response.200.json": lambda body: t.failed_ids(body, "return_errors"),
    "RT27.response.200.json": lambda body: t.failed_ids(body, "return_errors"),
    "SH21.response.200.json": lambda body: t.carrier(t.rows(body, "carriers"), "ups", "UPS", None),
    "ST01.response.201.json": lambda body: t.sent_pieces(t.rows(body, "shipment_success")),
}
# What we write: the fields of our body must be fields of theirs.
WRITTEN: dict[str, Any] = {
    "OR21.request.json": lambda: t.acceptance_body(["O/L/1"], []),
    "OR23.request.json": lambda: (
        t.tracking_body(t.Carrier(None, "DHL", "https://x"), "1", "carrier_url")
        | t.tracking_body(t.Carrier("DHL", "DHL", None), "1", "carrier_url")
    ),
    "OR28.request.json": lambda: t.refund_body(order_row(), LINE, 100, "other", "15"),
    "OR30.request.json": lambda: t.cancel_body(order_row(), {"Order_00010-A-1": [1]}, "34"),
    "RT21.request.json": lambda: {"returns": [{"id": "x", "accepted": True}]},
    "RT25.request.json": lambda: {"returns": [{"id": "x"}]},
    "RT26.request.json": lambda: t.compliance_body(
        {"id": "x", "return_lines": [{"order_line_id": "L", "quantity": 1}]}
    ),
    "RT27.request.json": lambda: {"returns": [{"id": "x"}]},
    "ST01.request.json": lambda: t.shipments_body(
        {"O": {"L": [1]}}, t.tracking_body(t.Carrier("DHL", "DHL", None), "1", "tracking_url")
    ),
    "A02.request.json": lambda: {"closed_from": "x", "closed_to": "x"},
}
FILES: dict[str, Any] = {
    "OF01.request.json": lambda: t.offer_file([wanted()], TERMS),
    "PRI01.request.json": lambda: t.price_file([wanted()], TERMS),
}
SKIPPED = {
    "CH11": "channels: one price for all of them",
    "CUR01": "currencies: the shop has one",
    "DO01": "documents are not exchanged",
    "OR72": "documents are not exchanged",
    "OR74": "documents are not exchanged",
    "H11": "the code of a category is a setting, PM11 says whether it is known",
    "P11": "offers of others are not watched",
    "P51": "uploads of products are asked for one by one (P42)",
    "VL11": "values are sent as the mapping has them",
    "M10": "messages are not exchanged",
    "M11": "messages are not exchanged",
    "M12": "messages are not exchanged",
    "OR43": "messages are not exchanged",
    "OR64": "incidents are closed by hand",
    "OF04": "imports are asked for one by one (OF02)",
    "OF24": "never used: it resets what it is not told",
    "OF52": "offers are read page by page (OF21)",
    "OF53": "offers are read page by page (OF21)",
    "OF54": "offers are read page by page (OF21)",
    "OF61": "the condition is a setting",
    "OR04": "our own references are not written",
    "OR13": "orders are read page by page (OR11)",
    "OR14": "orders are read page by page (OR11)",
    "OR30.response": "the order itself is read back",
    "OR31": "fields of orders are not written",
    "PRI01.request-": "volume, channel, scheduled and customer prices are not written",
    "RT01": "returns are made by buyers",
    "RT04": "returns are not changed",
    "RT12": "returns are made by buyers",
    "RT29": "returns are cancelled by hand",
    "SH11": "shipping costs are the operator's",
    "SH12": "shipping costs are the operator's",
    "SH31": "the logistic class is a setting",
    "SH42": "shipping costs are the operator's",
    "ST06": "shipments are not taken back",
    "ST12": "what may leave is known",
    "ST23": "a parcel has one number",
    "ST24": "parcels are shipped when they are made",
}


@needs_examples
def test_every_example_is_read_written_or_left_out_for_a_reason() -> None:
    names = {each.name for each in openapi.EXAMPLES.iterdir()}
    left = {name for name in names if not any(name.startswith(each) for each in SKIPPED)}
    assert left == {*READ, *WRITTEN, *FILES}


@needs_examples
@pytest.mark.parametrize("name", READ)
def test_an_example_of_theirs_can_be_read(name: str) -> None:
    READ[name](example(name))


@needs_examples
@pytest.mark.parametrize("name", WRITTEN)
def test_what_we_write_has_only_fields_of_theirs(name: str) -> None:
    assert _paths(WRITTEN[name]()) <= _paths(example(name))


@needs_examples
@pytest.mark.parametrize("name", FILES)
def test_our_files_have_only_columns_of_theirs(name: str) -> None:
    theirs = example(name)["file"].splitlines()[0].split(";")
    ours = FILES[name]().decode().splitlines()[0].replace('"', "").split(";")
    assert set(ours) <= set(theirs)


def _paths(value: Any, where: str = "") -> set[str]:
    if isinstance(value, dict):
        return {path for name, each in value.items() for path in _paths(each, f"{where}.{name}")}
    if isinstance(value, list):
        return {path for each in value for path in _paths(each, where)}
    return {where}


@needs_examples
def test_the_published_order_says_what_it_says() -> None:
    (seen,) = [t.order(row) for row in t.rows(example("OR11.response.200.json"), "orders")]
    assert (seen.external_id, seen.number, seen.currency) == ("Order_00010-A", "Order_00010", "USD")
    assert seen.shipping is not None
    assert (seen.shipping.country, seen.shipping.extra["pickup_location_id"]) == ("US", "C1039")
    assert [piece.state for piece in seen.pieces] == [m.PieceState.DELIVERED] * 3
    # The published prices come without taxes: 165 + 10 + 10, and 8 + 10 + 10 for shipping.
    assert sum(piece.unit_price for piece in seen.pieces) == 18500
    assert sum(piece.shipping_price for piece in seen.pieces) == 2800
    assert (
        sum(t.given_back(*_first(example("OR11.response.200.json")), "refunds"))
        == 682 + 179 + 2 * 41 + 2 * 224
    )


def _first(body: Any) -> tuple[Any, Any]:
    return body["orders"][0], body["orders"][0]["order_lines"][0]


# --- amounts -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        (Decimal("7.9"), "EUR", 790),
        (8, "EUR", 800),
        ("1.50", "USD", 150),
        (790, "JPY", 790),
        ("1.234", "KWD", 1234),
    ],
)
def test_an_amount_becomes_minor_units_and_comes_back(value: Any, currency: str, minor: int) -> None:
    assert t.minor(value, currency, "x") == minor
    assert t.minor(t.major(minor, currency), currency, "x") == minor


@pytest.mark.parametrize("value", [Decimal("7.905"), "7,90", 7.9, True, None, "", "NaN", Decimal("Infinity")])
def test_an_amount_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(Invalid):
        t.minor(value, "EUR", "x")


def test_an_amount_in_yen_has_no_digits_behind_the_point() -> None:
    with pytest.raises(Invalid):
        t.minor(Decimal("7.9"), "JPY", "x")


@given(st.integers(0, 10**9), st.integers(1, 500))
def test_the_shares_of_a_line_are_the_line(amount: int, quantity: int) -> None:
    shares = [t.share(amount, quantity, number) for number in range(1, quantity + 1)]
    assert sum(shares) == amount
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)


@given(
    st.integers(0, 100_000),
    st.lists(st.integers(0, 5_000), max_size=3),
    st.sampled_from([t.TAX_INCLUDED, t.TAX_EXCLUDED]),
    st.data(),
)
def test_a_refund_is_its_amount_in_either_tax_mode(net: int, taxes: list[int], mode: str, data: Any) -> None:
    price = net + sum(taxes) if mode == t.TAX_INCLUDED else net
    line = LINE | {
        "price": t.major(price, "EUR"),
        "taxes": [{"code": f"T{n}", "amount": t.major(tax, "EUR")} for n, tax in enumerate(taxes)],
    }
    row = order_row(line, order_tax_mode=mode)
    whole = t.amounts(row, line)
    amount = data.draw(st.integers(1, max(1, whole.gross_goods)))
    if amount > whole.gross_goods:
        return
    body = t.refund_body(row, line, amount, "other", "15")
    entry: Any = body["refunds"][0]  # type: ignore[index]
    made = t.amounts(row, entry, "amount", "shipping_amount")
    assert made.gross_goods + made.gross_shipping == amount
    assert all(0 <= part <= tax for (_, part), tax in zip(made.goods_taxes, taxes, strict=True))


def test_cancelling_all_pieces_one_by_one_gives_back_the_whole_line() -> None:
    entries: list[Any] = []
    for number in (3, 1, 2):
        body = t.cancel_body(order_row(), {LINE["order_line_id"]: [number]}, "34")
        entries += body["cancelations"]  # type: ignore[arg-type]
    assert sum(each["amount"] for each in entries) == Decimal("23.70")
    assert sum(each["shipping_amount"] for each in entries) == Decimal("4.90")
    assert sum(each["taxes"][0]["amount"] for each in entries) == Decimal("4.27")


def test_taxes_are_only_sent_where_the_order_has_them() -> None:
    line = LINE | {"taxes": [], "shipping_taxes": None}
    entry: Any = t.refund_body(order_row(line), line, 100, "other", "15")["refunds"]
    assert {"taxes", "shipping_taxes"} & set(entry[0]) == set()


def test_a_cent_that_cannot_be_divided_makes_a_group_of_its_own() -> None:
    pieces = t.line_pieces(order_row(), LINE | {"price": Decimal("10.00")}, t.Sent())
    assert [piece.unit_price for piece in pieces] == [334, 333, 333]
    assert len({piece.group for piece in pieces}) == 2
    assert len({piece.group for piece in t.line_pieces(order_row(), LINE, t.Sent())}) == 1


# --- pieces --------------------------------------------------------------------------------------------------------------------


@given(st.text(min_size=1), st.text(min_size=1), st.integers(1, 9999))
def test_a_piece_id_gives_back_its_parts(order: str, line: str, number: int) -> None:
    made = t.piece_id(order, line, number)
    assert t.piece_parts(made) == (order, line, number)


@pytest.mark.parametrize("identifier", ["", "1", "a/b", "a/b/0", "a/b/x", "a//1", "a/b/1/2", "a/b/-1"])
def test_what_is_no_piece_id_is_refused(identifier: str) -> None:
    with pytest.raises(Refused):
        t.piece_parts(identifier)


@pytest.mark.parametrize(
    ("word", "letter"),
    [
        ("STAGING", "a"),
        ("WAITING_ACCEPTANCE", "a"),
        ("WAITING_DEBIT", "a"),
        ("WAITING_DEBIT_PAYMENT", "a"),
        ("SHIPPING", "t"),
        ("SHIPPED", "s"),
        ("TO_COLLECT", "s"),
        ("RECEIVED", "d"),
        ("CLOSED", "d"),
        ("REFUSED", "c"),
        ("CANCELED", "c"),
        ("ON_THE_MOON", "u"),
    ],
)
def test_every_word_for_a_line_has_its_state(word: str, letter: str) -> None:
    assert states(LINE | {"order_line_state": word}) == 3 * letter


@pytest.mark.parametrize(
    ("word", "unsent"), [("INCIDENT_OPEN", "ttt"), ("REFUNDED", "ccc"), ("WAITING_REFUND", "ccc")]
)
def test_a_word_about_money_leaves_the_goods_where_they_are(word: str, unsent: str) -> None:
    line = LINE | {"order_line_state": word}
    assert states(line) == unsent
    assert states(line | {"shipped_date": "2026-11-21T10:00:00Z"}) == "sss"
    assert states(line | {"received_date": "2026-11-21T10:00:00Z"}) == "ddd"


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({}, m.PieceState.TO_SHIP),
        ({"can_shop_ship": False}, m.PieceState.ANNOUNCED),
        ({"customer": {}}, m.PieceState.ANNOUNCED),
        ({"order_state": "CLOSED"}, m.PieceState.UNCLEAR),
        ({"order_state": "WAITING_DEBIT"}, m.PieceState.ANNOUNCED),
    ],
)
def test_an_incident_cancels_nothing_because_it_may_end(more: dict[str, Any], state: m.PieceState) -> None:
    line = LINE | {"order_line_state": "INCIDENT_OPEN"}
    assert {each.state for each in t.line_pieces(order_row(**more), line, t.Sent())} == {state}


def test_nothing_is_shipped_without_an_address_or_by_somebody_else() -> None:
    for more in ({"customer": {"shipping_address": None}}, {"customer": {}}, {"can_shop_ship": False}):
        (first, *_) = t.order(order_row(**more)).pieces
        assert first.state is m.PieceState.ANNOUNCED


def cancelled(*quantities: int) -> dict[str, Any]:
    return {"cancelations": [{"quantity": each, "reason_code": "34"} for each in quantities]}


def test_mirakl_only_counts_so_the_last_pieces_are_cancelled_and_the_first_ones_shipped() -> None:
    assert states(LINE | cancelled(1)) == "ttc"
    assert states(LINE | cancelled(1, 1)) == "tcc"
    assert states(LINE, t.Sent(others=[m.PieceState.SHIPPED])) == "stt"
    assert states(LINE | cancelled(1), t.Sent(others=[m.PieceState.SHIPPED])) == "stc"
    assert states(LINE | cancelled(1, 1, 1)) == "ccc"
    assert states(LINE | cancelled(9)) == "ccc"


def test_a_piece_that_was_named_is_the_one() -> None:
    assert states(LINE | cancelled(1), hint=(1,)) == "ctt"
    assert states(LINE | cancelled(2), hint=(1,)) == "ctc"
    assert states(LINE, hint=(1,)) == "ttt"
    assert states(LINE, t.Sent(named={2: m.PieceState.SHIPPED})) == "tst"
    assert states(LINE, t.Sent(named={3: m.PieceState.DELIVERED}, others=[m.PieceState.SHIPPED])) == "std"
    assert states(LINE | cancelled(1), t.Sent(named={3: m.PieceState.SHIPPED})) == "tcs"
    assert states(LINE, t.Sent(named={7: m.PieceState.SHIPPED})) == "ttt"


def test_a_shipped_line_keeps_its_cancelled_pieces() -> None:
    assert states(LINE | {"order_line_state": "SHIPPED"} | cancelled(1)) == "ssc"


def test_shipments_name_their_pieces() -> None:
    def shipment(status: str, reference: str | None, quantity: int) -> dict[str, Any]:
        line = {"order_line_id": "L", "quantity": quantity, "package_reference": reference}
        return {"status": status, "shipment_lines": [line]}

    named = t.package_reference([2, 3])
    assert t.sent_pieces([shipment("SHIPPED", named, 2)])["L"].named == dict.fromkeys(
        [2, 3], m.PieceState.SHIPPED
    )
    assert t.sent_pieces([shipment("RECEIVED", "box 7", 2)])["L"].others == [m.PieceState.DELIVERED] * 2
    assert t.sent_pieces([shipment("SHIPPED", named, 1)])["L"].named == {}
    assert t.sent_pieces([shipment("SHIPPING", named, 2), shipment("NEVER_SEEN", named, 2)]) == {}


# --- orders --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_id": None}, "order.order_id"),
        ({"created_date": "yesterday"}, "order.Order_00010-A.created_date"),
        ({"currency_iso_code": ""}, "order.Order_00010-A.currency_iso_code"),
        ({"order_lines": []}, "order.Order_00010-A.order_lines"),
        ({"order_lines": [LINE | {"quantity": "3"}]}, "order.Order_00010-A.Order_00010-A-1.quantity"),
        ({"order_lines": [LINE | {"quantity": 10_001}]}, "order.Order_00010-A.Order_00010-A-1.quantity"),
        ({"order_lines": [LINE | {"price": None}]}, "order.Order_00010-A.Order_00010-A-1.price"),
        ({"order_lines": [LINE | {"price": Decimal("1.001")}]}, "order.Order_00010-A.Order_00010-A-1.price"),
        ({"order_lines": [LINE | {"order_line_id": ""}]}, "order.Order_00010-A.order_line_id"),
    ],
)
def test_an_unreadable_order_names_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as wrong:
        t.order(order_row(**change))
    assert wrong.value.params["field"] == field


def test_fields_that_nobody_knows_and_fields_that_are_null_do_no_harm() -> None:
    row = order_row(
        LINE | {"never_seen": 1, "taxes": None, "cancelations": None}, never_seen={}, channel=None
    )
    assert len(t.order(row).pieces) == 3


def test_times_are_aware_utc_with_and_without_milliseconds() -> None:
    assert t.when("2019-04-02T14:58:22.460Z") == datetime(2019, 4, 2, 14, 58, 22, 460000, tzinfo=UTC)
    assert t.when("2019-04-02T16:58:22+02:00") == datetime(2019, 4, 2, 14, 58, 22, tzinfo=UTC)
    assert t.when("soon") is None
    assert t.when("0001-01-01T00:00:00+02:00") is None
    assert t.stamp(datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)) == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("three", "two"),
    [
        ("ITA", "IT"),
        ("DEU", "DE"),
        ("fra", "FR"),
        ("ROU", "RO"),
        ("GBR", "GB"),
        ("IT", "IT"),
        ("XQJ", "XQJ"),
        ("", ""),
    ],
)
def test_countries_are_told_with_two_letters(three: str, two: str) -> None:
    assert t.alpha_2(three) == two


def test_the_one_tax_rate_is_told_and_several_are_not() -> None:
    assert t.line_pieces(order_row(), LINE, t.Sent())[0].vat_percent == "22"
    two = [*LINE["taxes"], {"code": "X", "amount": 1, "rate": 4}]
    assert t.line_pieces(order_row(), LINE | {"taxes": two}, t.Sent())[0].vat_percent is None


# --- problems and reasons ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, None, "credentials.refused"),
        (403, {"message": "no"}, "account.not_allowed"),
        (404, {}, "partner.not_found"),
        (400, {"message": "bad"}, "partner.refused"),
        (400, {"errors": [{"code": "ORDER_INVALID_STATE", "message": "x"}]}, "deed.not_allowed"),
        (400, {"error_code": "ORDER_PARTIAL_ACCEPTANCE_DISABLED"}, "mirakl.partial_acceptance_disabled"),
        (400, ["nothing", "we", "know"], "partner.refused"),
    ],
)
def test_a_refusal_has_a_reason(status: int, body: object, code: str) -> None:
    error = t.refusal(status, body, "x")
    assert error.code == code
    assert isinstance(error, Unauthorised) is (status == 401)


def reasons(*rows: tuple[str, str, bool, str]) -> list[dict[str, Any]]:
    return [{"code": c, "type": k, "is_shop_right": r, "label": label} for c, k, r, label in rows]


def test_a_reason_is_chosen_by_the_merchant_then_by_name_then_other_then_any() -> None:
    known = reasons(
        ("1", "CANCELATION", True, "Prodotto esaurito"),
        ("2", "CANCELATION", True, "Altro"),
        ("3", "CANCELATION", False, "Annullato dal cliente"),
        ("4", "REFUND", True, "Reso del cliente"),
    )
    assert t.reason_code(known, "CANCELATION", "out_of_stock", {}) == "1"
    assert t.reason_code(known, "CANCELATION", "out_of_stock", {"out_of_stock": "2"}) == "2"
    assert t.reason_code(known, "CANCELATION", "out_of_stock", {"out_of_stock": "3"}) == "1"
    assert t.reason_code(known, "CANCELATION", "buyer_cancelled", {}) == "2"
    assert t.reason_code(known, "REFUND", "postage", {}) == "4"
    with pytest.raises(Refused, match=r"mirakl\.no_reasons"):
        t.reason_code([], "REFUND", "other", {})
    with pytest.raises(Refused, match=r"refund\.reason_unknown"):
        t.reason_code(known, "REFUND", "bad_mood", {})


def test_a_carrier_is_found_under_any_of_the_operators_names() -> None:
    known: list[dict[str, Any]] = [
        {"code": "BRT01", "label": "Bartolini", "standard_code": "BRT"},
        {"code": "X9", "label": "DHL Paket", "standard_code": None},
    ]
    assert t.carrier(known, "dhl", "DHL", None).code == "X9"
    assert t.carrier(known, None, "bartolini", None).code == "BRT01"
    assert t.carrier(known, "hermes", "Hermes", "https://x") == t.Carrier(None, "Hermes", "https://x")
    assert t.carrier([], None, None, None).name == "Other"


# --- imports and offers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'error-line;error-message;offer-sku\n2;"no; never";TEE-1\n',
        '"line";"error";"sku";"price"\n"2";"no; never";"TEE-1";"1"\n',
        "\ufeffline,reason,shop-sku\n2,no; never,TEE-1\n",
    ],
)
def test_an_error_report_is_read_however_its_columns_are_called(text: str) -> None:
    assert t.report(text.encode()) == {"TEE-1": "no; never"}


@pytest.mark.parametrize("text", ["", "x", "a;b\n1;2\n", "line;error;sku\n1\n"])
def test_a_report_that_says_nothing_is_no_trouble(text: str) -> None:
    assert t.report(text.encode()) == {}


@pytest.mark.parametrize(
    ("status", "over"),
    [
        ("WAITING", False),
        ("RUNNING", False),
        ("QUEUED", False),
        ("COMPLETE", True),
        ("FAILED", True),
        ("WAITING_SYNCHRONIZATION_PRODUCT", True),
    ],
)
def test_an_import_is_over_when_nothing_more_comes_of_asking(status: str, over: bool) -> None:
    seen = t.import_seen({"status": status})
    assert seen is not None
    assert seen.over is over


def test_files_are_quoted_so_that_a_semicolon_in_a_sku_stays_in_it() -> None:
    assert t.stock_file([wanted('A;"1')]) == b'"offer-sku";"quantity"\n"A;""1";"5"\n'
    assert t.price_file([wanted()], TERMS).splitlines()[1] == b'"TEE-001";"7.90"'


def test_a_row_of_an_offer_says_everything() -> None:
    terms = t.Terms("EUR", logistic_class="M", fields={"ecotax": "0"})
    head, row = t.offer_file([wanted(shipping_group="L")], terms).decode().splitlines()
    told = dict(zip(head.replace('"', "").split(";"), row.replace('"', "").split(";"), strict=True))
    assert told == {
        "sku": "TEE-001",
        "product-id": "4006381333931",
        "product-id-type": "EAN",
        "price": "7.90",
        "quantity": "5",
        "state": "11",
        "logistic-class": "L",
        "leadtime-to-ship": "1",
        "update-delete": "update",
        "ecotax": "0",
    }


@pytest.mark.parametrize(
    ("currency", "price", "told", "written"),
    [
        ("EUR", 790, {"vat_percent": "22"}, "6.48"),
        ("EUR", 790, {"vat_percent": "5.5"}, "7.49"),
        ("EUR", 790, {"vat_percent": "0"}, "7.90"),
        ("EUR", 790, {}, "6.64"),
        ("EUR", 1, {"vat_percent": "22"}, "0.01"),
        ("EUR", 10**9, {"vat_percent": "22"}, "8196721.31"),
    ],
)
def test_where_the_operator_wants_prices_without_tax_it_is_taken_off_by_the_rate_of_the_product(
    currency: str, price: int, told: dict[str, Any], written: str
) -> None:
    terms = t.Terms(currency, net=True, vat_percent="19")
    offer = wanted(price=price, currency=currency, **told)
    assert t.price_file([offer], terms).splitlines()[1] == f'"TEE-001";"{written}"'.encode()
    assert f'"EAN";"{written}";'.encode() in t.offer_file([offer], terms)


def test_a_price_without_tax_needs_a_rate() -> None:
    """Selling with tax taken for none, or none for tax, would cost the merchant money: such a product is not offered."""
    for unknown in (None, "", "zero", "120", "-1"):
        assert t.objection(wanted(vat_percent=unknown), t.Terms("EUR", net=True)) == m.Reason(
            "mirakl.vat_missing", {"sku": "TEE-001", "percent": unknown}
        )
    assert t.objection(wanted(vat_percent=None), t.Terms("EUR", net=True, vat_percent="19")) is None
    assert t.objection(wanted(vat_percent=None), TERMS) is None


def test_a_price_without_tax_is_not_taken_for_one_of_ours() -> None:
    """OF21 does not tell the rate, so nothing can be held against the shop's price."""
    row = {"shop_sku": "TEE-001", "price": Decimal("6.48"), "quantity": 5, "active": True}
    assert t.shown(row, t.Terms("EUR", net=True, vat_percent="22")).price is None
    assert t.shown(row, TERMS).price == 648


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ({"active": True, "quantity": 5}, m.OfferState.ON_SALE),
        ({"active": False, "quantity": 0, "inactivity_reasons": ["ZERO_QUANTITY"]}, m.OfferState.OFF),
        (
            {"active": False, "quantity": 5, "inactivity_reasons": ["PRODUCT_STATUS_NEW"]},
            m.OfferState.NEEDS_PRODUCT,
        ),
        (
            {"active": False, "quantity": 5, "inactivity_reasons": ["BRAND_UNAUTHORIZED_TO_SELL"]},
            m.OfferState.REFUSED,
        ),
        ({"active": False, "quantity": 5, "inactivity_reasons": ["NEVER_SEEN"]}, m.OfferState.WAITING),
        ({"active": False, "quantity": 5}, m.OfferState.WAITING),
    ],
)
def test_what_is_shown_of_an_offer_tells_its_state(row: dict[str, Any], state: m.OfferState) -> None:
    shown = t.shown({"shop_sku": "TEE-001", "price": Decimal("7.9")} | row, TERMS)
    assert (shown.state, shown.price, shown.on) == (state, 790, None)
    assert (shown.reason is not None) is (state not in {m.OfferState.ON_SALE, m.OfferState.OFF})


def test_the_price_we_wrote_is_shown_not_the_discounted_one() -> None:
    prices = [
        {"channel_code": "US", "unit_origin_price": 60},
        {"channel_code": None, "unit_origin_price": 50, "unit_discount_price": 49},
    ]
    row = {"shop_sku": "S", "price": 49, "all_prices": prices, "active": True, "quantity": 1}
    assert t.shown(row, TERMS).price == 5000


def test_an_ean_is_the_same_with_leading_zeros() -> None:
    body = {"products": [{"product_id": "0012345678905", "product_id_type": "ean"}]}
    assert t.known_gtins(body, "EAN") == {"12345678905"}


# --- products ----------------------------------------------------------------------------------------------------------------


def attribute(code: str, role: str = "", *words: str, **more: Any) -> dict[str, Any]:
    told = {"code": code, "label": code.title(), "requirement_level": "OPTIONAL"} | more
    parameters = [{"name": "x", "value": word} for word in words]
    return told | {"roles": [{"type": role, "parameters": parameters}] if role else []}


def attributes(*rows: dict[str, Any], locale: str | None = None) -> list[t.Attribute]:
    return t.as_attributes(t.attributes({"attributes": list(rows)}, locale))


SHARED = [attribute("kat", "CATEGORY"), attribute("nr", "SHOP_SKU"), attribute("gtin", "UNIQUE_IDENTIFIER")]
TEA = m.OfferWanted("TEE-1", "4006381333931", "Assam", 790, "EUR", 5, 1, True)


def sheet(*rows: dict[str, Any], mapping: dict[str, str] | None = None, **product: Any) -> Any:
    offer = replace(TEA, product=m.ProductData(**({"fields": {"brand": "Anna"}} | product)))
    return t.sheet(offer, mapping or {}, "5110", attributes(*SHARED, *rows), "EAN")


def test_columns_with_a_role_are_filled_in_by_themselves() -> None:
    assert sheet() == {"kat": "5110", "nr": "TEE-1", "gtin": "4006381333931"}
    assert sheet(attribute("titolo", "TITLE"))["titolo"] == "Assam"
    assert sheet(attribute("gruppo", "VARIANT_GROUP_CODE"), parent="77")["gruppo"] == "77"
    assert sheet(mapping={"nr": "=X"})["nr"] == "X"


def test_the_mapping_names_fields_images_and_constants() -> None:
    rows = [attribute(each) for each in ("a", "b", "c", "d", "e")]
    mapping = {
        "a": "brand",
        "b": "=  sfuso ",
        "c": "image:2",
        "d": "attribute:None",
        "e": "image",
        "other": "brand",
    }
    values = sheet(*rows, mapping=mapping, images=("https://x/1.jpg", "https://x/2.jpg"))
    assert {name: values.get(name) for name in mapping} == {
        "a": "Anna",
        "b": "sfuso",
        "c": "https://x/2.jpg",
        "d": None,
        "e": "https://x/1.jpg",
        "other": None,  # of another category
    }


def test_of_several_numbers_the_one_called_like_the_ean_is_ours() -> None:
    upc, ean = attribute("n1", "UNIQUE_IDENTIFIER", "UPC"), attribute("n2", "UNIQUE_IDENTIFIER", "ean")
    values = t.sheet(TEA, {}, "5110", attributes(upc, ean), "EAN")
    assert values == {"category": "5110", "shop_sku": "TEE-1", "n2": TEA.gtin}
    assert t.sheet(TEA, {"sku_nr": "sku"}, "5110", attributes(ean), "EAN") == {
        "category": "5110",
        "sku_nr": "TEE-1",
        "n2": TEA.gtin,
    }


@pytest.mark.parametrize(
    ("more", "missing"),
    [
        ({"requirement_level": "REQUIRED"}, "Peso (peso)"),
        ({"requirement_level": None, "required": True}, "Peso (peso)"),
        ({"requirement_level": "REQUIRED", "label": "peso"}, "peso"),
        ({"requirement_level": "RECOMMENDED"}, None),
        ({"requirement_level": "DISABLED", "required": True}, None),
    ],
)
def test_required_attributes_are_missed(more: dict[str, Any], missing: str | None) -> None:
    found = sheet(attribute("peso", **more))
    if missing is None:
        assert isinstance(found, dict)
    else:
        assert (found.code, found.params["fields"]) == ("product.data_missing", missing)


def test_a_product_without_a_column_for_its_ean_would_never_be_found() -> None:
    found = t.sheet(TEA, {}, "5110", attributes(attribute("kat", "CATEGORY")), "EAN")
    assert isinstance(found, m.Reason)
    assert found.params["fields"] == "EAN"


def test_an_attribute_is_named_in_the_merchants_language() -> None:
    row = attribute(
        "peso", label_translations=[{"locale": "en", "value": "Weight"}, {"locale": "de", "value": "Gewicht"}]
    )
    assert attributes(row, locale="de_DE")[0].name == "Gewicht (peso)"
    assert attributes(row, locale="it_IT")[0].name == "Peso (peso)"


@needs_examples
def test_the_published_attributes_and_states_of_uploads_are_understood() -> None:
    (first, second) = t.as_attributes(t.attributes(example("PM11.response.200.json"), "en_GB"))
    assert (first.code, first.name, first.required) == (
        "washingInstructions3",
        "Washing Instructions (washingInstructions3)",
        False,
    )
    assert second.role == ""
    assert t.product_import(example("P42.response.200.json")).status == "SENT"


@needs_examples
def test_every_published_state_of_an_upload_has_a_meaning() -> None:
    schema = (openapi.spec() or {})["components"]["schemas"]["P42_Response_200"]["properties"][
        "import_status"
    ]
    words = set(re.findall(r'`"([A-Z_]+)"`', schema["description"]))
    under_way = {"TRANSFORMATION_WAITING", "TRANSFORMATION_RUNNING", "WAITING", "RUNNING"}
    failed = {each for each in words if t.ProductImport(each).failed}
    assert failed == {"TRANSFORMATION_FAILED", "FAILED", "CANCELLED"}
    assert words == under_way | failed | {"SENT", "COMPLETE"}


def test_the_mark_of_a_product_changes_with_its_data_only() -> None:
    assert t.mark(TEA, {"a": "1", "b": "2"}) == t.mark(replace(TEA, stock=0, price=1), {"b": "2", "a": "1"})
    assert (
        len({t.mark(TEA, {"a": "1"}), t.mark(TEA, {"a": "2"}), t.mark(replace(TEA, gtin="1"), {"a": "1"})})
        == 3
    )


TOLD = [["1", "4006381333931", "x"], ["TEE-2", "4006381333948", "x"]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "shop_sku;ean;errors;warnings\nTEE-2;4006381333948;no image;\n1;4006381333931;;small",
            {"TEE-2": "no image"},
        ),
        ("ean,error-message\n4006381333931,a\n4006381333931,b\n", {"1": "a; b"}),
        ("error-line;error-code;error-message;shop_sku\n1;7;wrong;TEE-2", {"TEE-2": "wrong"}),
        ("line;errors;qty\n1;the number one;1", {}),
        ("ean;remark\n4006381333931;no", {}),
        ("<rapporto/>", {}),
        ("", {}),
        ("errors\r\x00;\r\r", {}),
    ],
)
def test_lines_with_errors_find_their_product(text: str, found: dict[str, str]) -> None:
    assert t.product_errors(text.encode(), TOLD) == found


def test_two_skus_of_one_ean_are_told_apart_by_their_sku() -> None:
    told = [["A", "4006381333931", "x"], ["B", "4006381333931", "x"]]
    assert t.product_errors(b"sku;ean;errors\nB;4006381333931;no", told) == {"B": "no"}


@pytest.mark.parametrize(
    ("status", "minutes", "open_"),
    [
        ("WAITING", 5, True),
        ("RUNNING", 59, True),
        ("NEVER_SEEN", 5, True),
        ("NEVER_SEEN", 61, False),
        ("WAITING", 61, False),
        ("SENT", 1, False),
        ("COMPLETE", 1, False),
        ("FAILED", 1, False),
        ("CANCELLED", 1, False),
    ],
)
def test_an_upload_is_open_for_an_hour_at_most(status: str, minutes: int, open_: bool) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    made = (now - timedelta(minutes=minutes)).isoformat()
    assert t.product_import({"import_status": status, "date_created": made}).is_open(now) is open_
    assert not t.product_import({"import_status": status}).is_open(now)
