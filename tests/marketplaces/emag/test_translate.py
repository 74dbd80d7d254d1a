"""eMAG's JSON <-> our messages, value by value."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised
from app.marketplaces.emag import translate as t
from app.rules.vat import net_of
from tests.marketplaces.emag.conftest import OFFER
from tests.marketplaces.emag.contract import LINE, ORDER

ZONE = ZoneInfo("Europe/Bucharest")
BG = t.PLATFORMS["bg"]
TERMS = t.Terms("EUR", {"20": 1, "9": 2, "0": 3}, (0, 1, 2, 3, 4, 5, 7, 14), default_rate="20")
SENDER = t.Sender("Anna's Teeladen", "Anna", "+40700000001", "Teeweg 1", 5)


def line(**change: Any) -> dict[str, Any]:
    return {**LINE, **change}


def order(*lines: dict[str, Any], **change: Any) -> dict[str, Any]:
    return {**ORDER, "products": list(lines) or [line()], **change}


def seen(*lines: dict[str, Any], **change: Any) -> m.OrderSeen:
    return t.order(order(*lines, **change), BG, ZONE)


def voucher(gross: str, vat: str = "0") -> dict[str, Any]:
    return {"sale_price": gross, "sale_price_vat": vat, "status": "1"}


# --- money ---------------------------------------------------------------------------------------------------------------------


@given(
    st.integers(min_value=-(10**6), max_value=10**6),
    st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=30),
)
def test_shares_add_up_to_the_cent(total: int, weights: list[int]) -> None:
    parts = t.shares(total, weights)
    assert len(parts) == len(weights)
    assert sum(parts) == (total if sum(weights) else 0)
    assert all(each == 0 or (each < 0) is (total < 0) for each in parts)


def test_a_decimal_is_sent_with_exactly_its_digits() -> None:
    sent = t.body({"sale_price": Decimal("406.4500"), "name": 'Tee "⟦1⟧" 5', "n": [Decimal("-0.1")]})
    assert sent == '{"sale_price":406.4500,"name":"Tee \\"⟦1⟧\\" 5","n":[-0.1]}'.encode()
    with pytest.raises(TypeError):
        t.body({"when": datetime.now(UTC)})


# --- orders --------------------------------------------------------------------------------------------------------------------


def test_a_line_of_three_is_three_pieces_with_stable_ids() -> None:
    found = seen(line(quantity=3)).pieces
    assert [each.external_id for each in found] == [f"3115229985/82407/{n}" for n in (1, 2, 3)]
    assert {each.group for each in found} == {"82407|4990"}
    assert {(each.unit_price, each.vat_percent, each.sku, each.offer_number) for each in found} == {
        (4990, "21", "TEE-001", 7)
    }


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (0, "cancelled"),
        (1, "announced"),
        (2, "to_ship"),
        (3, "to_ship"),
        (4, "shipped"),
        (5, "returned"),
        (6, "unclear"),
    ],
)
def test_the_status_of_an_order_is_the_state_of_its_pieces(status: int, state: str) -> None:
    found = seen(status=status)
    assert [(each.state, each.raw_state) for each in found.pieces] == [(m.PieceState(state), str(status))]
    assert found.awaits_acceptance is (status == 1)


def test_a_status_as_text_is_the_same() -> None:
    assert seen(status="2").pieces[0].state is m.PieceState.TO_SHIP


@pytest.mark.parametrize("customer", [{}, None, {"shipping_street": "Strada 1"}, {"shipping_city": "Cluj"}])
def test_nothing_is_shipped_without_an_address(customer: object) -> None:
    found = seen(customer=customer)
    assert found.shipping is None
    assert found.pieces[0].state is m.PieceState.ANNOUNCED


@pytest.mark.parametrize(
    ("mode", "paid", "state"),
    [(1, 0, "to_ship"), (1, 1, "to_ship"), (2, 0, "announced"), (2, 1, "to_ship"), (3, "0", "announced"), (3, "1", "to_ship"),
     (3, None, "to_ship"), (9, 0, "to_ship")],
)  # fmt: skip
def test_what_is_to_be_paid_before_is_not_shipped_unpaid(mode: int, paid: object, state: str) -> None:
    assert seen(payment_mode_id=mode, payment_status=paid).pieces[0].state == state


@pytest.mark.parametrize(
    ("line_status", "quantity", "status", "state"),
    [(0, 2, 2, "cancelled"), (0, 2, 4, "returned"), (1, 0, 4, "returned")],
)
def test_a_line_that_was_taken_out_is_gone(line_status: int, quantity: int, status: int, state: str) -> None:
    gone = line(id=1, status=line_status, quantity=quantity, initial_qty=2)
    found = seen(gone, line(), status=status).pieces
    assert [each.state for each in found if each.external_id.split("/")[1] == "1"] == [
        m.PieceState(state)
    ] * 2
    assert [each.state for each in found if each.external_id.split("/")[1] != "1"] == [
        m.PieceState.TO_SHIP if status == 2 else m.PieceState.SHIPPED
    ]


def test_times_without_a_zone_are_bucharests() -> None:
    assert seen().placed_at == datetime(2026, 11, 21, 10, 16, 47, tzinfo=UTC)
    assert t.stamp(datetime(2026, 7, 1, 12, 0, tzinfo=UTC), ZONE) == "2026-07-01 15:00:00"
    assert t.when("0000-00-00 00:00:00", ZONE) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": None}, "order.id"),
        ({"date": ""}, "order.3115229985.date"),
        ({"status": "x"}, "order.3115229985.status"),
        ({"products": []}, "order.3115229985.products"),
        ({"products": [line(sale_price="x")]}, "order.3115229985.product.82407.sale_price"),
        ({"products": [line(vat=None)]}, "order.3115229985.product.82407.vat"),
        ({"products": [line(quantity=None)]}, "order.3115229985.product.82407.quantity"),
        ({"products": [line(quantity=10_001)]}, "order.3115229985.product.82407.quantity"),
        (
            {"products": [line(sale_price=Decimal("1E+400"))]},
            "order.3115229985.product.82407.sale_price",
        ),
        ({"date": "0001-01-01 00:00:00", "created": None}, "order.3115229985.date"),
    ],
)
def test_what_is_missing_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as invalid:
        t.order({**order(), **change}, BG, ZONE)
    assert invalid.value.params["field"] == field


def test_a_reason_that_php_wrote_as_an_empty_list_is_none() -> None:
    assert seen(status=0, reason_cancellation=[]).pieces[0].reason is None


def test_a_return_of_more_than_can_be_sold_is_read_to_its_end() -> None:
    rma = {"emag_id": 1, "order_id": 2, "products": [{"id": 3, "quantity": 10**12}]}
    assert sum(1 for _ in t.rma_units(rma)) == t.MOST_PIECES


def test_an_empty_cancelled_order_is_an_order() -> None:
    assert t.order({**order(), "status": 0, "products": []}, BG, ZONE).pieces == ()


def test_unknown_fields_are_ignored() -> None:
    assert seen(surprise={"a": [1]}, details=[]).pieces == seen().pieces


def test_ids_beyond_32_bits_stay_what_they_are() -> None:
    assert t.parts(seen(id=4294967295).pieces[0].external_id) == ("4294967295", "82407", 1)


@pytest.mark.parametrize(
    "piece", ["", "1", "1/2", "1/2/0", "1/2/3/4", "a/2/3", "1/2/-1", "1/2/3\n", "1/../3"]
)
def test_what_is_no_piece_of_ours_is_refused(piece: str) -> None:
    with pytest.raises(Invalid):
        t.parts(piece)


@pytest.mark.parametrize(
    ("query", "order_id"),
    [({"order_id": "3115229985"}, "3115229985"), ({"order_id": "1 OR 1"}, None), ({"order_id": "١٢"}, None), ({"order_id": ""}, None),
     ({"id": "1"}, None), ({"order_id": "9" * 19}, None)],
)  # fmt: skip
def test_a_callback_is_a_hint_of_digits_only(query: dict[str, str], order_id: str | None) -> None:
    assert t.hint(query) == order_id


def test_a_locker_and_a_company_are_in_the_address() -> None:
    buyer = {
        **ORDER["customer"],
        "legal_entity": 1,
        "company": "Bücher Boldt",
        "code": "RO123",
        "shipping_country": "ro",
    }
    found = seen(customer=buyer, details={"locker_id": "d741", "locker_name": "easybox Cluj"}).shipping
    assert found is not None
    assert (found.company, found.address_2, found.country) == ("Bücher Boldt", "easybox Cluj", "RO")
    assert found.extra == {"locker_id": "d741", "locker_name": "easybox Cluj", "vat_id": "RO123"}


# --- vouchers and shipping -------------------------------------------------------------------------------------------------------


def test_a_voucher_of_a_line_is_spread_over_its_pieces_to_the_cent() -> None:
    found = seen(
        line(quantity=3, product_voucher_split=[{"value": "-0.8264", "vat_value": "-0.1736"}])
    ).pieces
    assert [each.unit_price for each in found] == [4956, 4957, 4957]
    # Pieces of one price share a line in the shop.
    assert [each.group for each in found] == ["82407|4956", "82407|4957", "82407|4957"]


def test_a_voucher_of_the_order_is_spread_over_all_lines_by_value() -> None:
    found = seen(
        line(quantity=1), line(id=2, sale_price="82.6446"), vouchers=[voucher("-24.7934", "-5.2066")]
    ).pieces
    assert [each.unit_price for each in found] == [4990 - 999, 10000 - 2001]


def test_a_voucher_that_is_split_over_lines_counts_once() -> None:
    split = [{"value": "-8.2645", "vat_value": "-1.7355"}]
    found = seen(line(product_voucher_split=split), vouchers=[voucher("-8.2645", "-1.7355")]).pieces
    assert [each.unit_price for each in found] == [3990]


@pytest.mark.parametrize("status", ["0", 0])
def test_a_voucher_that_is_off_counts_nothing(status: object) -> None:
    assert seen(vouchers=[voucher("-10.0000") | {"status": status}]).pieces[0].unit_price == 4990


def test_a_voucher_of_more_than_the_goods_makes_them_free_and_not_negative() -> None:
    assert seen(vouchers=[voucher("-500")]).pieces[0].unit_price == 0


def test_vouchers_with_several_rates_keep_their_vat() -> None:
    split = [{"value": "-10", "vat": "0.21"}, {"value": "-10", "vat": "0.11"}]
    assert seen(line(product_voucher_split=split)).pieces[0].unit_price == 4990 - 1210 - 1110


def test_shipping_lies_on_the_first_piece_less_its_voucher() -> None:
    found = seen(
        line(quantity=2),
        shipping_tax="19.9900",
        shipping_tax_voucher_split=[{"value": "-10", "vat_value": "0"}],
    ).pieces
    assert [each.shipping_price for each in found] == [999, 0]
    assert t.total(order(line(quantity=2), shipping_tax="19.9900")) == 2 * 4990 + 1999


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 10**6)), min_size=1, max_size=6),
    st.integers(min_value=0, max_value=10**5),
)
def test_what_the_pieces_cost_is_what_the_buyer_pays(goods: list[tuple[int, int]], off: int) -> None:
    rows = [
        line(id=place + 1, quantity=count, sale_price=str(net_of(cents, Decimal("0.21"), 4)))
        for place, (count, cents) in enumerate(goods)
    ]
    found = seen(*rows, vouchers=[voucher(f"-{Decimal(off) / 100}")])
    whole = sum(count * cents for count, cents in goods)
    assert sum(each.unit_price for each in found.pieces) == max(0, whole - off)
    assert all(each.unit_price >= 0 for each in found.pieces)


# --- which pieces are gone ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.data())
def test_as_many_are_gone_as_are_missing_and_ours_first(of: int, data: st.DataObject) -> None:
    out = tuple(data.draw(st.permutations(range(1, of + 1)))[: data.draw(st.integers(0, of))])
    left = data.draw(st.integers(0, of))
    gone = t.Taken(of, out).gone(left)
    assert len(gone) == len(set(gone)) == of - left
    assert gone[: len(out)] == list(out[: of - left])


def test_without_a_note_the_highest_are_gone() -> None:
    assert t.Taken(4).gone(2) == [4, 3]


def test_a_piece_of_a_line_that_vanished_is_cancelled() -> None:
    data = order(line(id=5))
    found = t.piece(data, "3115229985/82407/1", t.order(data, BG, ZONE), None)
    assert (found.external_id, found.state) == ("3115229985/82407/1", m.PieceState.CANCELLED)


def test_no_unit_of_a_finalized_line_is_called_returned_before_all_are() -> None:
    data = order(line(quantity=1), status=4)
    states = [t.piece(data, f"3115229985/82407/{n}", t.order(data, BG, ZONE), None).state for n in (1, 2)]
    assert states == [m.PieceState.SHIPPED] * 2


# --- refusals ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [(401, Unauthorised, "credentials.refused"), (403, Unauthorised, "emag.address_not_listed"), (404, Refused, "partner.not_found"),
     (400, Refused, "partner.refused"), (200, Refused, "partner.refused")],
)  # fmt: skip
def test_a_refusal_has_its_reason(status: int, kind: type[Refused], code: str) -> None:
    error = t.refusal(status, "No", "order")
    assert type(error) is kind
    assert (error.code, error.params["message"], error.params["marketplace"]) == (code, "No", "eMAG")


@pytest.mark.parametrize(
    "body", [None, [], "x", {}, {"isError": "false"}, {"isError": None}, {"message": "Invalid URL"}]
)
def test_what_has_no_is_error_is_no_answer(body: object) -> None:
    assert t.envelope(body) is None


def test_messages_come_as_text_list_or_map() -> None:
    for messages in ("No", ["No"], {"0": "No"}, [["No"]]):
        told = t.envelope({"isError": True, "messages": messages})
        assert told is not None
        assert told.text == "No"


def test_a_message_about_another_offer_is_not_ours() -> None:
    both = ("Error - offer id: 12", "Error - offer id: 2")
    assert t.about(both, 2) == "Error - offer id: 2"
    assert t.about(both, 3) == "Error - offer id: 12; Error - offer id: 2"


# --- offers ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "stock", "state", "code"),
    [
        ("1/1/9/-", 5, "on_sale", None),
        ("1/-/-/-", 5, "on_sale", None),
        ("1/1/9/-", 0, "off", None),
        ("0/1/9/-", 5, "off", None),
        ("2/1/9/-", 5, "off", "emag.end_of_life"),
        ("1/2/9/-", 5, "refused", "emag.price_blocked"),
        ("1/1/1/-", 5, "waiting", "emag.in_validation"),
        ("1/1/8/-", 5, "refused", "emag.rejected"),
        ("1/1/77/-", 5, "waiting", "emag.in_validation"),
        ("1/1/9/15", 5, "waiting", "emag.in_translation"),
        ("1/1/9/17", 5, "on_sale", None),
    ],
)
def test_synced_but_invisible_is_told(raw: str, stock: int, state: str, code: str | None) -> None:
    found, why = t.offer_state(raw, stock)
    assert (found, why.code if why else None) == (m.OfferState(state), code)


def test_a_validation_stays_known_after_a_change() -> None:
    waiting = m.OfferShown("TEE-001", "1", raw_state="1/1/1/-")
    shown = t.done(m.OfferWanted(**{**vars(OFFER), "was": waiting}), 1)
    assert (shown.raw_state, shown.state) == ("1/1/1/-", m.OfferState.WAITING)


@pytest.mark.parametrize(("days", "wanted"), [(0, 0), (1, 1), (5, 5), (7, None), (14, None), (None, None)])
def test_a_preparation_time_after_a_gap_could_be_several(days: int | None, wanted: int | None) -> None:
    assert t.certain_handling(days, TERMS.handling) == wanted


@pytest.mark.parametrize(
    ("results", "found"),
    [
        ([{"vat_id": 1, "vat_rate": 0.21}], {}),
        ([{"vat_id": 1, "vat_rate": "0.21"}, {"vat_id": "2", "vat_rate": "0.11"}], {"21": 1, "11": 2}),
        ([{"id": 1, "value": "21"}], {"21": 1}),
        ([{"surprise": 1}], {}),
    ],
)
def test_vat_rates_are_read_in_several_forms(results: object, found: dict[str, int]) -> None:
    assert t.vat_ids(results) == found


@pytest.mark.parametrize(
    "results",
    [[{"id": 2}, {"id": 0}], [{"value": 0}, {"value": 2}], [2, 0, 2], {"a": {"id": 0}, "b": {"id": 2}}],
)
def test_preparation_times_are_read_in_several_forms(results: object) -> None:
    assert t.handling_days(results) == [0, 2]


def test_several_products_of_one_ean_are_told_apart_by_their_key() -> None:
    products = [
        {"part_number_key": "A", "allowed_to_add_offer": False},
        {"part_number_key": "B", "allow_to_add_offer": True},
    ]
    found = t.found_products({"4006381333931": {"products": products}})
    assert found["4006381333931"] == t.Found(known=True, allowed=True, key="B")
    assert t.attach_body(OFFER, TERMS, "B")["part_number_key"] == "B"
    assert "ean" not in t.attach_body(OFFER, TERMS, "B")


def test_what_is_shown_is_gross_and_in_our_words() -> None:
    row = {
        "id": 7, "part_number": "TEE-001", "sale_price": "6.5833", "vat_id": "1", "status": 1, "ean": ["4006381333931"],
        "stock": [{"warehouse_id": 2, "value": 9}, {"warehouse_id": 1, "value": 5}], "handling_time": [{"warehouse_id": 1, "value": 2}],
        "validation_status": [{"value": 9}], "offer_validation_status": {"value": 1}, "translation_validation_status": 9,
    }  # fmt: skip
    shown = t.shown(row, TERMS)
    assert (shown.price, shown.stock, shown.handling_days, shown.on) == (790, 5, 2, True)
    assert (shown.raw_state, shown.state, shown.gtin) == ("1/1/9/9", m.OfferState.ON_SALE, "4006381333931")


def test_an_offer_with_an_unknown_vat_has_no_price_to_compare() -> None:
    shown = t.shown({"id": 7, "sale_price": "6.5833", "vat_id": 99, "status": 1}, TERMS)
    assert (shown.price, shown.stock, shown.handling_days) == (None, None, None)


@pytest.mark.parametrize(
    ("gtin", "ean"),
    [("4006381333931", "4006381333931"), ("036000291452", "0036000291452"), ("96385074", "96385074")],
)
def test_a_gtin_is_asked_for_as_an_ean(gtin: str, ean: str) -> None:
    assert t.ean(gtin) == ean


def test_a_parcel_for_cash_on_delivery_collects_the_total() -> None:
    data = order(line(quantity=2), shipping_tax="10")
    data["customer"] = {**ORDER["customer"], "shipping_locality_id": 3, "shipping_phone": "+40 700-000 000"}
    body = t.parcel_body(data, SENDER, None, None)
    assert json.loads(t.body(body))["cod"] == 109.8
    assert body["receiver"] == {
        "name": "Mia Muster", "contact": "Mia Muster", "phone1": "+40700000000", "legal_entity": 0, "locality_id": 3,
        "street": "Strada 1", "zipcode": "",
    }  # fmt: skip
    assert t.parcel_body({**data, "payment_mode_id": 3}, SENDER, None, None)["cod"] == 0


def test_what_a_parcel_lacks_is_named() -> None:
    with pytest.raises(Refused) as refused:
        t.parcel_body(
            order(customer={**ORDER["customer"], "shipping_phone": "0700000000"}), SENDER, None, None
        )
    assert (refused.value.code, refused.value.params["field"]) == ("emag.parcel_data_missing", "locality_id")


def test_the_number_of_another_orders_parcel_is_never_taken() -> None:
    rows = [
        {"order_id": 7, "awb": [{"awb_number": "OTHER"}]},
        {"order_id": 8, "awb": []},
        {"order_id": 8, "awb": [{"awb_number": "MINE"}]},
    ]
    assert t.tracking_number(rows, "8") == "MINE"
    assert t.tracking_number(rows[0], "8") is None
    assert t.tracking_number({"awb": [{"awb_number": "MINE"}]}, "8") == "MINE"
