"""Simulated Kaufland checks what the real one checks. Everything goes through its HTTP interface."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.sandbox.kaufland import World, create_app
from app.sandbox.kaufland.world import DEMO_CLIENT_KEY, DEMO_SECRET_KEY, working_days_later

GTIN, OTHER_GTIN = "4006381333931", "4006381333948"
UNIT = {"ean": GTIN, "id_offer": "TEE-001", "listing_price": 790, "handling_time": 1, "amount": 5}
NUMBER = "00340434161094015902"


class Seller:
    """Signs and sends, as a client written after the guide would."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()
        self.key, self.secret = DEMO_CLIENT_KEY, DEMO_SECRET_KEY

    def headers(self, method: str, url: str, body: bytes, at: int) -> dict[str, str]:
        text = f"{method}\n{url}\n{body.decode()}\n{at}"
        return {
            "Shop-Client-Key": self.key,
            "Shop-Timestamp": str(at),
            "Shop-Signature": hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest(),
            "User-Agent": "Inhouse_development",
            "Content-Type": "application/json",
        }

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        signed: str | None = None,
        at: float = 0,
        change: Callable[[dict[str, str]], Any] = lambda headers: None,
        **query: Any,
    ) -> TestResponse:
        """`signed`: sign this URL instead of the one that is sent; `at`: the clock is so many seconds ahead."""
        target = f"/v2{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        raw = json.dumps(body).encode() if body is not None else b""
        url = signed or f"http://localhost{target}"
        headers = self.headers(method, url, raw, int(time.time() + at))
        change(headers)
        return self.client.open(target, method=method, data=raw, headers=headers)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.call("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json["data"]  # type: ignore[index]

    def problem(self, method: str, path: str, body: Any = None, **how: Any) -> tuple[int, str]:
        answer = self.call(method, path, body, **how)
        told: Any = answer.json
        return answer.status_code, str(told["type"]).removeprefix("/problems/")

    def control(self, path: str, body: Any = None, method: str = "POST") -> Any:
        answer = self.client.open(f"/_control{path}", method=method, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json

    def books(self) -> Any:
        return self.control("/books", method="GET")

    def order(self, pieces: int = 1, **more: Any) -> list[int]:
        made = self.control(
            "/orders", {"lines": [{"id_offer": "TEE-001", "pieces": pieces}], "open_seconds": 0, **more}
        )
        units: list[int] = made["units"]
        return units

    def send(self, unit: int, number: str = NUMBER, carrier: str = "DHL") -> TestResponse:
        return self.call(
            "PATCH", f"/order-units/{unit}/send", {"tracking_numbers": number, "carrier_code": carrier}
        )

    def unit(self, **more: Any) -> int:
        answer = self.call("POST", "/units", UNIT | more, storefront="de")
        assert answer.status_code == 200, answer.text
        made: int = answer.json["data"]["id_unit"]  # type: ignore[index]
        return made


@pytest.fixture
def world() -> World:
    return World.demo()


@pytest.fixture
def seller(world: World) -> Seller:
    world.sellers[DEMO_CLIENT_KEY].storefronts = ["de", "at"]
    world.add_product(GTIN)
    world.add_product(OTHER_GTIN)
    return Seller(create_app(world))


# --- who speaks ----------------------------------------------------------------------------------------------------------


def test_a_right_signature_is_let_in(seller: Seller) -> None:
    assert seller.get("/status/ping") == {"message": "Never tell me the odds"}
    assert seller.get("/info/storefront") == ["de", "at"]


@pytest.mark.parametrize(
    "signed",
    [
        "http://localhost/v2/status/ping/",
        "/v2/status/ping",
        "https://localhost/v2/status/ping",
        "http://localhost/v2/status/ping?",
    ],
)
def test_any_other_url_than_the_sent_one_is_refused(seller: Seller, signed: str) -> None:
    assert seller.problem("GET", "/status/ping", signed=signed) == (401, "corrupted-signature")


def test_the_query_is_signed_as_it_was_sent(seller: Seller) -> None:
    sent = "http://localhost/v2/order-units?status=need_to_be_sent&status=open"
    other = "http://localhost/v2/order-units?status=open&status=need_to_be_sent"
    both = ["need_to_be_sent", "open"]
    assert seller.call("GET", "/order-units", signed=sent, status=both).status_code == 200
    assert seller.problem("GET", "/order-units", signed=other, status=both) == (401, "corrupted-signature")


def test_the_body_is_signed_too(seller: Seller) -> None:
    def signed_for_another_body(headers: dict[str, str]) -> None:
        headers |= seller.headers("POST", "http://localhost/v2/units?storefront=de", b"{}", int(time.time()))

    problem = seller.problem("POST", "/units", UNIT, storefront="de", change=signed_for_another_body)
    assert problem == (401, "corrupted-signature")


@pytest.mark.parametrize(("ahead", "status"), [(290, 200), (-290, 200), (310, 401), (-310, 401)])
def test_the_clock_may_be_five_minutes_wrong(seller: Seller, ahead: int, status: int) -> None:
    assert seller.call("GET", "/status/ping", at=ahead).status_code == status


@pytest.mark.parametrize("name", ["Shop-Client-Key", "Shop-Timestamp", "Shop-Signature", "User-Agent"])
def test_a_missing_header_is_named(seller: Seller, name: str) -> None:
    def without(headers: dict[str, str]) -> None:
        headers[name] = ""

    answer = seller.call("GET", "/status/ping", change=without)
    assert answer.status_code == 401
    assert answer.json["type"] == "/problems/missing-or-invalid-request-header"  # type: ignore[index]
    assert name in answer.json["message"]  # type: ignore[index]


def test_an_unknown_key_and_an_inactive_account_are_told_apart(seller: Seller, world: World) -> None:
    world.sellers[DEMO_CLIENT_KEY].active = False
    assert seller.problem("GET", "/status/ping") == (401, "inactive-account")
    seller.key = "x" * 32
    assert seller.problem("GET", "/status/ping") == (401, "invalid-credentials")


def test_the_pace_is_kept_per_seller(seller: Seller, world: World) -> None:
    world.pace = type(world.pace)(lambda: 0.0)  # all within one moment
    world.conduct.per_second = 5
    answers = [seller.call("GET", "/status/ping").status_code for _ in range(8)]
    assert answers == [200] * 5 + [429] * 3
    seller.control("/sellers", {"client_key": "b" * 32, "secret_key": "s" * 64, "name": "Bücher Boldt"})
    seller.key, seller.secret = "b" * 32, "s" * 64
    assert seller.call("GET", "/status/ping").status_code == 200


def test_the_documented_pace_is_111_in_a_second(world: World) -> None:
    assert world.conduct.per_second == 111


def test_nobody_sees_what_belongs_to_another_seller(seller: Seller) -> None:
    (piece,), unit = seller.order(), seller.unit()
    seller.control("/sellers", {"client_key": "b" * 32, "secret_key": "s" * 64, "name": "Bücher Boldt"})
    seller.key, seller.secret = "b" * 32, "s" * 64
    assert seller.get("/order-units") == []
    assert seller.problem("GET", f"/order-units/{piece}") == (404, "not-found")
    assert seller.problem("PATCH", f"/order-units/{piece}/cancel", {"reason": "NoInventory"}) == (
        404,
        "not-found",
    )
    assert seller.problem("PATCH", f"/units/{unit}", {"amount": 0}, storefront="de") == (404, "not-found")


# --- what is asked -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "query", "named"),
    [
        ("/order-units", {"limit": 101}, "limit"),
        ("/order-units", {"limit": 0}, "limit"),
        ("/order-units", {"offset": -1}, "offset"),
        ("/order-units", {"status": "lost"}, "status"),
        ("/order-units", {"sort": "ts_created:asc"}, "sort"),
        ("/order-units", {"storefront": "uk"}, "storefront"),
        ("/order-units", {"ts_created_from_iso": "2026-11-21"}, "ts_created_from_iso"),
        ("/order-units", {"page": 2}, "page"),
        ("/units", {}, "storefront"),
        ("/shipping-groups", {"storefront": "de", "limit": 31}, "limit"),
        (f"/product-data/status/{GTIN}", {}, "locale"),
        ("/products/ean/123", {"storefront": "de"}, "ean"),
    ],
)
def test_a_wrong_parameter_is_named(seller: Seller, path: str, query: dict[str, Any], named: str) -> None:
    answer = seller.call("GET", path, **query)
    told: Any = answer.json
    assert (answer.status_code, told["type"]) == (400, "/problems/validation-error")
    assert [each["field"] for each in told["errors"]] == [named]


def test_a_storefront_the_seller_has_not_is_told(seller: Seller) -> None:
    assert seller.problem("GET", "/units", storefront="fr") == (400, "storefront-not-configured")


def test_pages_are_newest_first_and_count_all(seller: Seller) -> None:
    units = [seller.order()[0] for _ in range(5)]
    answer = seller.call("GET", "/order-units", limit=2, offset=2)
    told: Any = answer.json
    assert told["pagination"] == {"offset": 2, "limit": 2, "total": 5}
    assert [row["id_order_unit"] for row in told["data"]] == [units[2], units[1]]


# --- orders --------------------------------------------------------------------------------------------------------------


def test_one_piece_is_one_unit_and_the_address_comes_after_15_minutes(seller: Seller) -> None:
    units = seller.order(3, open_seconds=None)
    rows = seller.get("/order-units")
    assert sorted(row["id_order_unit"] for row in rows) == units
    assert {(row["status"], row["shipping_address"], row["buyer"]) for row in rows} == {("open", None, None)}
    seller.control("/time", {"seconds": 899})
    assert {row["status"] for row in seller.get("/order-units")} == {"open"}
    seller.control("/time", {"seconds": 2})
    rows = seller.get("/order-units", status="need_to_be_sent")
    assert {row["shipping_address"]["city"] for row in rows} == {"Berlin"}


def test_selling_lowers_the_amount_of_every_storefront(seller: Seller) -> None:
    seller.unit()
    seller.call("POST", "/units", UNIT, storefront="at")
    seller.order(2)
    assert {unit["amount"] for unit in seller.books()["units"]} == {3}
    refused = seller.client.post("/_control/orders", json={"lines": [{"id_offer": "TEE-001", "pieces": 4}]})
    assert refused.status_code == 409


def test_only_a_unit_that_needs_to_be_sent_can_be_sent(seller: Seller) -> None:
    (open_unit,) = seller.order(open_seconds=900)
    assert seller.problem(
        "PATCH", f"/order-units/{open_unit}/send", {"tracking_numbers": "1", "carrier_code": "DHL"}
    ) == (
        400,
        "action-not-allowed",
    )
    assert seller.call("PATCH", f"/order-units/{open_unit}/fulfil").status_code == 204
    assert seller.send(open_unit).status_code == 204
    assert seller.send(open_unit).status_code == 400
    assert seller.books()["counts"]["send"] == {str(open_unit): 1}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"tracking_numbers": [NUMBER], "carrier_code": "DHL"}, "tracking_numbers"),
        ({"tracking_numbers": NUMBER}, "carrier_code"),
        ({"tracking_numbers": NUMBER, "carrier_code": "dhl"}, "carrier_code"),
        ({"tracking_numbers": "", "carrier_code": "DHL"}, "tracking_numbers"),
        ({"tracking_numbers": NUMBER, "carrier_code": "DHL", "id": 1}, "id"),
    ],
)
def test_a_wrong_shipment_is_named(seller: Seller, body: dict[str, Any], named: str) -> None:
    (unit,) = seller.order()
    answer = seller.call("PATCH", f"/order-units/{unit}/send", body)
    told: Any = answer.json
    assert (answer.status_code, [each["field"] for each in told["errors"]]) == (400, [named])
    assert seller.books()["deeds"] == []


@pytest.mark.parametrize("carrier", ["Other", "Other Hauler"])
def test_without_tracking_only_other_carriers_are_taken(seller: Seller, carrier: str) -> None:
    (unit,) = seller.order()
    assert seller.send(unit, "", carrier).status_code == 204


def test_cancelling_needs_a_known_reason_and_an_unsent_unit(seller: Seller) -> None:
    first, second = seller.order(2)
    path = f"/order-units/{first}/cancel"
    assert seller.problem("PATCH", path, {"reason": "Because"}) == (400, "validation-error")
    assert seller.call("PATCH", path, {"reason": "NoInventory"}).status_code == 204
    assert seller.problem("PATCH", path, {"reason": "NoInventory"}) == (
        400,
        "order-units/cancel-not-possible",
    )
    seller.send(second)
    assert (
        seller.problem("PATCH", f"/order-units/{second}/cancel", {"reason": "NoInventory"})[1]
        == "order-units/cancel-not-possible"
    )


def test_customer_service_may_cancel_between_two_looks(seller: Seller) -> None:
    (unit,) = seller.order()
    seller.control(f"/order-units/{unit}/cancel", {})
    row = seller.get(f"/order-units/{unit}")
    assert (row["status"], row["cancel_reason"]) == ("cancelled", "BuyerCancelled")
    assert seller.send(unit).status_code == 400


def test_refunds_end_at_what_was_paid_and_at_the_funds(seller: Seller, world: World) -> None:
    (unit,) = seller.order()
    path = f"/order-units/{unit}/refund"
    body = {"amount": 500, "reason": "other_refund"}
    assert seller.problem("PATCH", path, body) == (400, "action-not-allowed")
    seller.send(unit)
    assert seller.call("PATCH", path, body).status_code == 204
    assert seller.problem("PATCH", path, body) == (400, "validation-error")
    world.sellers[DEMO_CLIENT_KEY].funds = 10
    assert seller.problem("PATCH", path, {"amount": 100, "reason": "other_refund"}) == (
        400,
        "insufficient-funds",
    )
    assert [deed["amount"] for deed in seller.books()["deeds"] if deed["deed"] == "refund"] == [500]


def test_a_further_parcel_needs_a_sent_unit_and_a_new_number(seller: Seller) -> None:
    (unit,) = seller.order()
    body = {"id_order_unit": unit, "shipment_information": {"tracking_number": NUMBER, "carrier_code": "DHL"}}
    assert seller.problem("POST", "/shipments", body) == (400, "action-not-allowed")
    seller.send(unit)
    assert seller.problem("POST", "/shipments", body) == (400, "duplicate-action")
    body["shipment_information"] = {"tracking_number": "2", "carrier_code": "GLS"}
    assert seller.call("POST", "/shipments", body).status_code == 204


def test_the_playground_makes_an_order_of_what_is_on_sale(seller: Seller) -> None:
    assert seller.problem("POST", "/playground/orders") == (400, "action-not-allowed")
    seller.unit()
    made = seller.call("POST", "/playground/orders")
    told: Any = made.json
    order = seller.get(f"/orders/{told['data']['id_order']}")
    assert [(unit["id_offer"], unit["shipping_rate"]) for unit in order["order_units"]] == [("TEE-001", 0)]


# --- returns -------------------------------------------------------------------------------------------------------------


def test_an_arrived_return_is_accepted_by_itself_after_three_working_days(seller: Seller) -> None:
    (unit,) = seller.order()
    seller.send(unit)
    back = seller.control("/returns", {"units": [unit], "reason": "defect", "note": "kaputt"})
    piece = back["return_units"][0]["id_return_unit"]
    seller.control(f"/returns/{back['id_return']}/arrive")
    assert seller.get(f"/return-units/{piece}")["status"] == "return_arrived"
    seller.control("/time", {"seconds": 7 * 86400})
    assert seller.get(f"/return-units/{piece}")["status"] == "return_accepted"
    assert seller.problem("PATCH", f"/return-units/{piece}/accept") == (400, "returns/unit-wrong-status")
    books = seller.books()
    assert books["counts"]["accept_return"] == {str(piece): 1}
    assert [each["refunded"] for each in books["order_units"]] == [790]


def test_working_days_leave_out_the_weekend() -> None:
    from datetime import UTC, datetime

    thursday = datetime(2026, 11, 19, 12, tzinfo=UTC)
    assert working_days_later(thursday, 3) == datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_only_a_sent_unit_can_come_back_and_only_once(seller: Seller) -> None:
    (unit,) = seller.order()
    assert seller.client.post("/_control/returns", json={"units": [unit]}).status_code == 400
    seller.send(unit)
    seller.control("/returns", {"units": [unit]})
    assert seller.client.post("/_control/returns", json={"units": [unit]}).status_code == 400


def test_a_seller_without_return_service_cannot_start_a_return(seller: Seller, world: World) -> None:
    (unit,) = seller.order()
    seller.send(unit)
    body = [{"id_order_unit": unit, "reason": "wrong_size", "note": "Zu groß"}]
    world.sellers[DEMO_CLIENT_KEY].return_service = False
    assert seller.problem("POST", "/returns", body) == (403, "action-not-allowed")
    world.sellers[DEMO_CLIENT_KEY].return_service = True
    assert seller.call("POST", "/returns", body).status_code == 201


@pytest.mark.parametrize(
    ("verb", "status"), [("reject", "return_rejected"), ("clarify", "return_in_clarification")]
)
def test_a_return_can_be_disputed(seller: Seller, verb: str, status: str) -> None:
    (unit,) = seller.order()
    seller.send(unit)
    back = seller.control("/returns", {"units": [unit]})
    seller.control(f"/returns/{back['id_return']}/arrive")
    piece = back["return_units"][0]["id_return_unit"]
    assert seller.problem("PATCH", f"/return-units/{piece}/{verb}", {}) == (400, "validation-error")
    assert seller.call("PATCH", f"/return-units/{piece}/{verb}", {"message": "Foto fehlt"}).status_code == 204
    assert seller.get(f"/return-units/{piece}")["status"] == status


# --- offers --------------------------------------------------------------------------------------------------------------


def test_an_offer_without_an_amount_puts_one_piece_on_sale(seller: Seller) -> None:
    body = {name: value for name, value in UNIT.items() if name != "amount"}
    assert seller.call("POST", "/units", body, storefront="de").json["data"]["amount"] == 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ean": "4006381333955"}, "ean"),
        ({"listing_price": 0}, "listing_price"),
        ({"listing_price": "7.90"}, "listing_price"),
        ({"listing_price": 7.9}, "listing_price"),
        ({"handling_time": 101}, "handling_time"),
        ({"condition": "new"}, "condition"),
        ({"amount": -1}, "amount"),
        ({"status": "ONHOLD"}, "status"),
        ({"note": "x" * 251}, "note"),
    ],
)
def test_a_wrong_offer_is_named(seller: Seller, change: dict[str, Any], named: str) -> None:
    answer = seller.call("POST", "/units", UNIT | change, storefront="de")
    told: Any = answer.json
    assert (answer.status_code, [each["field"] for each in told["errors"]]) == (400, [named])


def test_a_known_id_offer_is_not_created_twice_nor_for_another_product(seller: Seller) -> None:
    seller.unit()
    assert seller.problem("POST", "/units", UNIT, storefront="de") == (400, "already-exists")
    assert seller.problem("POST", "/units", UNIT | {"ean": OTHER_GTIN}, storefront="at") == (
        400,
        "validation-error",
    )
    assert seller.problem("POST", "/units", UNIT | {"condition": "USED___GOOD"}, storefront="at") == (
        400,
        "validation-error",
    )


def test_storefronts_share_the_amount_and_nothing_else(seller: Seller) -> None:
    german = seller.unit()
    seller.call("POST", "/units", UNIT | {"listing_price": 990, "amount": 7}, storefront="at")
    seller.call("PATCH", f"/units/{german}", {"amount": 3, "listing_price": 690}, storefront="de")
    shown = {unit["storefront"]: (unit["amount"], unit["listing_price"]) for unit in seller.books()["units"]}
    assert shown == {"de": (3, 690), "at": (3, 990)}


@pytest.mark.parametrize("name", ["ean", "id_product", "id_offer", "condition"])
def test_what_a_unit_is_cannot_be_patched(seller: Seller, name: str) -> None:
    unit = seller.unit()
    assert seller.problem("PATCH", f"/units/{unit}", {name: UNIT.get(name, "NEW")}, storefront="de") == (
        400,
        "validation-error",
    )


def test_a_new_unit_may_take_a_while_to_be_listed(seller: Seller, world: World) -> None:
    world.conduct.unit_lag_seconds = 120
    unit = seller.unit()
    assert seller.get("/units", storefront="de") == []
    assert seller.get(f"/units/{unit}", storefront="de")["id_unit"] == unit
    seller.control("/time", {"seconds": 121})
    assert [each["id_unit"] for each in seller.get("/units", storefront="de", id_offer="TEE-001")] == [unit]


def bulk(seller: Seller, rows: list[Any]) -> TestResponse:
    return seller.call("POST", "/units/bulk", rows, storefront="de")


def test_a_bulk_answers_row_by_row(seller: Seller) -> None:
    unit = seller.unit()
    other = seller.unit(id_offer="TEE-002", ean=OTHER_GTIN)
    rows = [
        {"id_unit": unit, "unit_data": {"amount": 0}},
        {"id_unit": other, "unit_data": {"listing_price": 0}},
        {"id_unit": 7, "unit_data": {"amount": 0}},
    ]
    answer = bulk(seller, rows)
    told: Any = answer.json
    assert answer.status_code == 207
    assert [each["status_code"] for each in told["data"]] == [200, 400, 404]
    assert told["data"][1]["errors"][0]["field"] == "listing_price"


def test_a_bulk_is_refused_as_a_whole_when_it_is_too_long_or_names_a_unit_twice(seller: Seller) -> None:
    rows = [{"id_unit": number, "unit_data": {"amount": 0}} for number in range(1, 152)]
    assert bulk(seller, rows).json["type"] == "/problems/units/bulk-too-many-units"  # type: ignore[index]
    assert bulk(seller, rows[:150]).status_code == 207
    assert bulk(seller, [rows[0], rows[0]]).json["type"] == "/problems/units/bulk-duplicate-units"  # type: ignore[index]


def test_a_bulk_may_be_told_to_fail_for_one_bad_row(seller: Seller) -> None:
    unit = seller.unit()
    seller.control("/conduct", {"bulk_all_or_nothing": True})
    rows = [{"id_unit": unit, "unit_data": {"amount": 0}}, {"id_unit": 7, "unit_data": {"amount": -1}}]
    assert bulk(seller, rows).status_code == 400
    assert seller.books()["units"][0]["amount"] == 5


def test_what_cannot_be_bought_says_so(seller: Seller) -> None:
    unit = seller.unit()
    seller.call("PATCH", f"/units/{unit}", {"status": "ONHOLD"}, storefront="de")
    assert [each["buyable"] for each in seller.books()["units"]] == [0]
    seller.call("PATCH", f"/units/{unit}", {"status": "AVAILABLE"}, storefront="de")
    seller.control("/products", [{"ean": GTIN, "is_valid": False}])
    assert [(each["status"], each["buyable"]) for each in seller.books()["units"]] == [("INCOMPLETE", 0)]


def test_product_data_has_a_state_of_its_own(seller: Seller) -> None:
    path = "/product-data/status/4006381333955"
    assert seller.call("GET", path, locale="de-DE").status_code == 404
    data = {"update_status": "FAIL", "missing_attributes": ["category"]}
    seller.control("/products", [{"ean": "4006381333955", "exists": False, "product_data": data}])
    assert seller.get(path, locale="de-DE")["missing_attributes"] == ["category"]
    assert seller.call("GET", "/products/ean/4006381333955", storefront="de").status_code == 404


# --- the books -----------------------------------------------------------------------------------------------------------


def test_200_threads_ship_one_piece_once(seller: Seller, world: World) -> None:
    (unit,) = seller.order()
    world.conduct.per_second = 10_000
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(seller.send(unit).status_code)) for _ in range(200)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [204] + [400] * 199
    assert seller.books()["counts"]["send"] == {str(unit): 1}


def test_wrong_orders_to_the_simulator_are_refused(seller: Seller) -> None:
    assert seller.client.post("/_control/conduct", json={"colour": "green"}).status_code == 400
    assert seller.client.post("/_control/sellers", json={"colour": "green"}).status_code == 400
    assert seller.client.post("/_control/orders", json={"lines": []}).status_code == 400
    assert seller.client.post("/_control/order-units/7/receive", json={}).status_code == 404
    assert seller.client.get("/v2/no/such/page").status_code == 404


def test_without_a_state_there_is_one_seller_with_known_keys() -> None:
    seller = Seller(create_app())
    assert seller.get("/info/storefront") == ["de"]
    assert (len(DEMO_CLIENT_KEY), len(DEMO_SECRET_KEY)) == (32, 64)
