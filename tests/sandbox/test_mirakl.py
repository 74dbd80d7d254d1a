"""The simulated Mirakl operator checks what the real one checks. Everything goes through its HTTP interface."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from werkzeug.test import TestResponse

from app.sandbox.mirakl import SIMULATOR, World, create_app
from app.sandbox.mirakl.world import DEMO_KEY

GTIN, OTHER_GTIN = "4006381333931", "4006381333948"
NUMBER = "00340434161094015902"
HEAD = "sku;product-id;product-id-type;price;quantity;state;leadtime-to-ship"


class Shop:
    """Sends what a client written after the description would send."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client = create_app(world).test_client()
        self.key = DEMO_KEY

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> TestResponse:
        return self.client.open(
            f"/api{path}", method=method, json=body, query_string=query, headers={"Authorization": self.key}
        )

    def get(self, path: str, **query: Any) -> Any:
        answer = self.call("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json

    def upload(self, path: str, text: str, **form: str) -> TestResponse:
        data = {"file": (io.BytesIO(text.encode()), "file.csv"), **form}
        return self.client.post(f"/api{path}", data=data, headers={"Authorization": self.key})

    def problem(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, str]:
        told: Any = self.call(method, path, body, **query)
        errors = told.json.get("errors") or [{}]
        return told.status_code, str(errors[0].get("code", ""))

    def control(self, path: str, body: Any = None, method: str = "POST", status: int = 0) -> Any:
        answer = self.client.open(f"/_control{path}", method=method, json=body)
        assert answer.status_code == status if status else answer.status_code < 300, answer.text
        return answer.json

    def state(self) -> Any:
        return self.control("/state", method="GET")

    def offers(self, *rows: str) -> int:
        answer: Any = self.upload("/offers/imports", "\n".join([HEAD, *rows]), import_mode="NORMAL")
        assert answer.status_code == 201, answer.text
        number: int = answer.json["import_id"]
        return number

    def buy(self, pieces: int = 1, **more: Any) -> Any:
        wanted = {"lines": [{"sku": "TEE-001", "pieces": pieces}], "oversell": True, **more}
        return self.control("/buy", wanted)

    def sold(self, pieces: int = 1, **more: Any) -> tuple[str, list[str]]:
        """An order that was accepted."""
        made = self.buy(pieces, **more)
        line = f"{made['order']}-1"
        self.call("PUT", f"/orders/{made['order']}/accept", {"order_lines": [{"id": line, "accepted": True}]})
        return made["order"], made["pieces"]

    def order(self, number: str) -> Any:
        return self.get("/orders", order_ids=number)["orders"][0]


@pytest.fixture
def shop() -> Shop:
    world = World()
    world.add_product(GTIN, "Assam")
    return Shop(world)


# --- who speaks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "wrong", f"Bearer {DEMO_KEY}"])
def test_only_the_bare_key_is_let_in(shop: Shop, key: str) -> None:
    shop.key = key
    assert shop.call("GET", "/account").status_code == 401


def test_another_shop_is_not_ours(shop: Shop) -> None:
    assert shop.get("/account", shop_id=2000)["shop_id"] == 2000
    assert shop.problem("GET", "/account", shop_id=2001)[0] == 403


def test_the_pace_of_all_calls_is_kept(shop: Shop) -> None:
    shop.world.conduct.per_second = 5
    with time_machine.travel(datetime.now(UTC), tick=False):
        answers = [shop.call("GET", "/reasons").status_code for _ in range(8)]
    assert answers == [200] * 5 + [429] * 3


def test_the_documented_frequency_is_kept_where_it_is_switched_on(shop: Shop) -> None:
    shop.world.conduct.frequency = True
    assert shop.call("GET", "/orders").status_code == 200
    refused = shop.call("GET", "/orders")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert shop.call("GET", "/orders", order_ids="Order_1-A").status_code == 200
    shop.control("/time", {"seconds": 61})
    assert shop.call("GET", "/orders").status_code == 200


# --- what is asked -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/orders", {"max": 101}),
        ("/orders", {"max": 0}),
        ("/orders", {"offset": -1}),
        ("/orders", {"order_state_codes": "LOST"}),
        ("/orders", {"start_update_date": "2026-11-21"}),
        ("/orders", {"page": 2}),
        ("/orders", {"sort": "price"}),
        ("/orders", {"order_ids": ",".join("x" * 101)}),
        ("/offers", {"sort": "sku"}),
        ("/returns", {"limit": 101}),
        ("/products", {}),
        ("/products", {"product_references": f"{GTIN}|"}),
        ("/products", {"product_references": ",".join(f"EAN|{n}" for n in range(101))}),
    ],
)
def test_a_wrong_parameter_is_refused(shop: Shop, path: str, query: dict[str, Any]) -> None:
    assert shop.problem("GET", path, **query) == (400, "VALIDATION_ERROR")


def test_pages_are_oldest_first_and_count_all(shop: Shop) -> None:
    made = [shop.buy()["order"] for _ in range(5)]
    page = shop.get("/orders", max=2, offset=2)
    assert page["total_count"] == 5
    assert [each["order_id"] for each in page["orders"]] == made[2:4]


# --- the life of an order --------------------------------------------------------------------------------------------------


def test_an_order_is_accepted_paid_shipped_and_received(shop: Shop) -> None:
    made = shop.buy(2, state="announced")
    number = made["order"]
    told = shop.order(number)
    assert (told["order_state"], told["customer"]["shipping_address"]) == ("WAITING_ACCEPTANCE", None)
    body = {"order_lines": [{"id": f"{number}-1", "accepted": True}]}
    assert shop.call("PUT", f"/orders/{number}/accept", body).status_code == 204
    assert shop.order(number)["order_state"] == "WAITING_DEBIT"
    shop.control(f"/orders/{number}/pay")
    told = shop.order(number)
    assert (told["order_state"], told["customer"]["shipping_address"]["country_iso_code"]) == (
        "SHIPPING",
        "ITA",
    )
    tracking = {"carrier_code": "DHL", "tracking_number": NUMBER}
    assert shop.call("PUT", f"/orders/{number}/tracking", tracking).status_code == 204
    assert shop.call("PUT", f"/orders/{number}/ship").status_code == 204
    assert shop.order(number)["order_lines"][0]["shipped_date"] is not None
    shop.control(f"/orders/{number}/receive")
    assert shop.order(number)["order_state"] == "RECEIVED"
    (known,) = shop.state()["orders"]
    assert {(each["state"], each["tracking_number"]) for each in known["pieces"]} == {("delivered", NUMBER)}


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([], "VALIDATION_ERROR"),
        ([{"id": "{}-1", "accepted": "yes"}], "VALIDATION_ERROR"),
        ([{"id": "{}-1", "accepted": True}], "ORDER_LINE_ACCEPTANCE_DECISION_MISSING"),
        ([{"id": "{}-1", "accepted": True}] * 2, "ORDER_LINE_DUPLICATE_ID"),
        ([{"id": "{}-9", "accepted": True}], "ORDER_LINE_NOT_FOUND"),
        (
            [{"id": "{}-1", "accepted": True}, {"id": "{}-2", "accepted": False}],
            "ORDER_PARTIAL_ACCEPTANCE_DISABLED",
        ),
    ],
)
def test_a_wrong_decision_is_refused(shop: Shop, lines: list[dict[str, Any]], code: str) -> None:
    shop.control("/conduct", {"partial_acceptance": False})
    number = shop.buy(lines=[{"sku": "TEE-001"}, {"sku": "TEE-002"}])["order"]
    body = {"order_lines": [each | {"id": each["id"].format(number)} for each in lines]}
    assert shop.problem("PUT", f"/orders/{number}/accept", body) == (400, code)
    assert shop.state()["deeds"] == []


def test_what_is_not_ready_is_not_shipped_and_what_has_left_not_again(shop: Shop) -> None:
    waiting = shop.buy()["order"]
    assert shop.problem("PUT", f"/orders/{waiting}/ship") == (400, "ORDER_INVALID_STATE")
    number, _ = shop.sold()
    shop.call("PUT", f"/orders/{number}/ship")
    assert shop.problem("PUT", f"/orders/{number}/ship") == (400, "ORDER_INVALID_STATE")
    assert shop.problem("PUT", "/orders/Order_9-A/ship") == (404, "ORDER_NOT_FOUND")
    assert len([each for each in shop.state()["deeds"] if each["deed"] == "ship"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"carrier_code": "PIGEON", "tracking_number": "1"},
        {"carrier_code": "DHL"},
        {"carrier_name": "Pigeon", "carrier_url": "coo"},
        {"carrier_code": "DHL", "tracking_number": "1", "colour": "grey"},
    ],
)
def test_a_wrong_tracking_is_refused(shop: Shop, body: dict[str, str]) -> None:
    number, _ = shop.sold()
    assert shop.problem("PUT", f"/orders/{number}/tracking", body) == (400, "VALIDATION_ERROR")


def shipment(number: str, quantity: int, **more: Any) -> dict[str, Any]:
    line = {"order_line_id": f"{number}-1", "quantity": quantity}
    return {"shipments": [{"order_id": number, "shipped": True, "shipment_lines": [line | more]}]}


def test_parcels_leave_until_nothing_is_left(shop: Shop) -> None:
    number, pieces = shop.sold(3)
    answer: Any = shop.call("POST", "/shipments", shipment(number, 1, package_reference="n2")).json
    assert len(answer["shipment_success"]) == 1
    states = {each["piece"]: each["state"] for each in shop.state()["orders"][0]["pieces"]}
    assert [states[each] for each in pieces] == ["to_ship", "shipped", "to_ship"]
    refused: Any = shop.call("POST", "/shipments", shipment(number, 3)).json
    assert [each["message"] for each in refused["shipment_errors"]] == ["Shipment quantity is invalid."]
    shop.call("POST", "/shipments", shipment(number, 2))
    assert shop.order(number)["order_state"] == "SHIPPED"
    assert len(shop.get("/shipments", order_id=number)["data"]) == 2


def test_several_parcels_can_be_switched_off(shop: Shop) -> None:
    shop.control("/conduct", {"multi_shipment": False})
    number, _ = shop.sold()
    assert shop.problem("POST", "/shipments", shipment(number, 1))[0] == 403
    assert not shop.get("/platform/configuration")["features"]["shipment"]["multi_shipment"]


# --- money -----------------------------------------------------------------------------------------------------------------

TAXES = {"taxes": [{"code": "IVA", "amount": 1.42}]}


def entry(number: str, **more: Any) -> dict[str, Any]:
    told = {"order_line_id": f"{number}-1", "amount": 7.9, "shipping_amount": 0, "quantity": 1}
    return told | TAXES | more


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 23.71},
        {"amount": -1},
        {"amount": 1.005},
        {"reason_code": "15"},
        {"reason_code": "1"},
        {"quantity": 4},
        {"taxes": [{"code": "VAT", "amount": 1}]},
        {"currency_iso_code": "USD"},
        {"colour": "grey"},
    ],
)
def test_a_wrong_cancellation_is_refused(shop: Shop, change: dict[str, Any]) -> None:
    number, _ = shop.sold(3)
    body = {"cancelations": [entry(number, **({"reason_code": "34"} | change))]}
    assert shop.problem("PUT", "/orders/cancel", body)[0] == 400
    assert shop.order(number)["order_lines"][0]["cancelations"] == []


def test_taxes_are_mandatory_where_the_order_has_them(shop: Shop) -> None:
    number, _ = shop.sold(3)
    bare = {name: value for name, value in entry(number, reason_code="34").items() if name != "taxes"}
    assert shop.problem("PUT", "/orders/cancel", {"cancelations": [bare]})[0] == 400


def test_a_cancelled_piece_is_on_sale_again(shop: Shop) -> None:
    shop.offers(f"TEE-001;{GTIN};EAN;7.90;5;11;1")
    shop.control("/settle")
    number, pieces = shop.sold(3, oversell=False)
    assert shop.state()["offers"][0]["stock"] == 2
    body = {"cancelations": [entry(number, reason_code="34")], "order_tax_mode": "TAX_INCLUDED"}
    assert shop.call("PUT", "/orders/cancel", body).status_code == 200
    state = shop.state()
    assert state["offers"][0]["stock"] == 3
    assert [each["state"] for each in state["orders"][0]["pieces"]] == ["to_ship", "to_ship", "cancelled"]
    assert state["deeds"][-1] | {"at": ""} == {
        "deed": "cancel",
        "order": number,
        "pieces": [pieces[2]],
        "amount": 790,
        "at": "",
    }


def test_no_more_is_refunded_than_was_paid(shop: Shop) -> None:
    number, _ = shop.sold(1)
    body = {"refunds": [entry(number, reason_code="15", amount=5, taxes=[{"code": "IVA", "amount": 0.9}])]}
    assert shop.call("PUT", "/orders/refund", body).status_code == 200
    assert shop.problem("PUT", "/orders/refund", body)[0] == 400
    assert sum(each["refunded"] for each in shop.state()["orders"][0]["pieces"]) == 500


def test_the_wrong_tax_mode_is_refused(shop: Shop) -> None:
    number, _ = shop.sold(1)
    body = {"refunds": [entry(number, reason_code="15")], "order_tax_mode": "TAX_EXCLUDED"}
    assert shop.problem("PUT", "/orders/refund", body)[0] == 400


# --- buyers and returns ------------------------------------------------------------------------------------------------------


def test_a_buyer_cancels_as_long_as_nothing_has_left(shop: Shop) -> None:
    number, pieces = shop.sold(2)
    shop.control("/cancel", {"pieces": pieces[:1]})
    shop.control("/cancel", {"pieces": pieces}, status=409)
    shop.control("/cancel", {"order": number}, status=409)
    shop.control("/cancel", {"pieces": pieces[:1]})
    assert shop.order(number)["order_state"] == "CANCELED"


def test_more_than_is_on_offer_is_sold_only_by_intention(shop: Shop) -> None:
    wanted = {"lines": [{"sku": "TEE-001", "pieces": 1}]}
    shop.control("/buy", wanted, status=409)
    shop.control("/buy", wanted | {"oversell": True})
    shop.control("/buy", {"lines": []}, status=400)


def test_a_return_wants_the_sellers_word(shop: Shop) -> None:
    number, pieces = shop.sold(2)
    shop.control("/return", {"pieces": pieces[:1]}, status=409)
    shop.call("PUT", f"/orders/{number}/ship")
    (made,) = shop.control("/return", {"pieces": pieces[:1], "state": "WAITING_ACCEPTANCE"})["returns"]
    early: Any = shop.call("PUT", "/returns/receive", {"returns": [{"id": made}]}).json
    assert [each["message"] for each in early["return_errors"]] == ["Return is in invalid state"]
    shop.call("PUT", "/returns/accept", {"returns": [{"id": made, "accepted": True}]})
    shop.call("PUT", "/returns/receive", {"returns": [{"id": made}]})
    (told,) = shop.get("/returns", return_id=made)["data"]
    assert (told["state"], told["return_lines"][0]["quantity"]) == ("RECEIVED", 1)
    refused = {"returns": [{"id": made, "accepted": False, "rejection_reason_code": "MOOD"}]}
    assert shop.problem("PUT", "/returns/accept", refused)[0] == 400


def test_the_seller_says_of_every_line_whether_it_is_as_it_should_be(shop: Shop) -> None:
    number, pieces = shop.sold(1)
    shop.call("PUT", f"/orders/{number}/ship")
    return_id = shop.control("/return", {"pieces": pieces})["returns"][0]

    def judged(*lines: dict[str, Any], status: int = 200) -> Any:
        body = {"returns": [{"id": return_id, "return_lines": list(lines)}]}
        answer: Any = shop.call("PUT", "/returns/compliance", body)
        assert answer.status_code == status, answer.text
        return answer.json

    good = {"order_line_id": f"{number}-1", "compliant": True}
    assert "invalid state" in judged(good)["return_errors"][0]["message"]
    shop.call("PUT", "/returns/receive", {"returns": [{"id": return_id}]})
    assert "not been specified" in judged(good | {"order_line_id": "x"})["return_errors"][0]["message"]
    judged(good | {"compliant": False}, status=400)
    judged(good | {"compliance": True}, status=400)
    assert judged(good)["return_success"] == [{"id": return_id}]
    (row,) = shop.get("/returns")["data"]
    assert row["return_lines"][0]["compliance"] == [{"compliant": True}]


def test_returns_are_turned_by_tokens(shop: Shop) -> None:
    for _ in range(3):
        number, pieces = shop.sold()
        shop.call("PUT", f"/orders/{number}/ship")
        shop.control("/return", {"pieces": pieces})
    first = shop.get("/returns", limit=2)
    second = shop.get("/returns", limit=2, page_token=first["next_page_token"])
    assert (len(first["data"]), len(second["data"]), "next_page_token" in second) == (2, 1, False)


# --- imports -----------------------------------------------------------------------------------------------------------------


def test_an_import_is_done_when_it_is_asked_for_the_second_time(shop: Shop) -> None:
    number = shop.offers(f"TEE-001;{GTIN};EAN;7.90;5;11;1")
    assert shop.get(f"/offers/imports/{number}")["status"] == "WAITING"
    assert shop.state()["offers"] == []
    told = shop.get(f"/offers/imports/{number}")
    assert (told["status"], told["offer_inserted"], told["has_error_report"]) == ("COMPLETE", 1, False)


def test_an_import_is_done_after_a_moment_or_at_once_when_told(shop: Shop) -> None:
    shop.offers(f"TEE-001;{GTIN};EAN;7.90;5;11;1")
    shop.control("/time", {"seconds": 6})
    assert len(shop.state()["offers"]) == 1
    shop.offers(f"TEE-002;{GTIN};EAN;7.90;5;11;1")
    shop.control("/settle")
    assert len(shop.state()["offers"]) == 2


@pytest.mark.parametrize(
    "row",
    [
        f";{GTIN};EAN;7.90;5;11;1",
        "TEE-001;;EAN;7.90;5;11;1",
        f"TEE-001;{GTIN};GTIN;7.90;5;11;1",
        f"TEE-001;{GTIN};EAN;0;5;11;1",
        f"TEE-001;{GTIN};EAN;7,90;5;11;1",
        f"TEE-001;{GTIN};EAN;7.90;-5;11;1",
        f"TEE-001;{GTIN};EAN;7.90;5;99;1",
        f"TEE-001;{GTIN};EAN;7.90;5;11;soon",
    ],
)
def test_a_wrong_row_is_in_the_error_report_and_the_others_are_done(shop: Shop, row: str) -> None:
    number = shop.offers(row, f"TEE-002;{GTIN};EAN;7.90;5;11;1")
    shop.control("/settle")
    told = shop.get(f"/offers/imports/{number}")
    assert (told["lines_in_error"], told["lines_in_success"], told["has_error_report"]) == (1, 1, True)
    report = shop.call("GET", f"/offers/imports/{number}/error_report")
    assert report.text.splitlines()[1].startswith('"1";')
    assert [each["sku"] for each in shop.state()["offers"] if each["refused"] is None] == ["TEE-002"]


def test_an_unknown_product_waits_until_somebody_makes_it(shop: Shop) -> None:
    number = shop.offers(f"TEE-002;{OTHER_GTIN};EAN;7.90;5;11;1")
    shop.control("/settle")
    told = shop.get(f"/offers/imports/{number}")
    assert (told["status"], told["lines_in_pending"]) == ("WAITING_SYNCHRONIZATION_PRODUCT", 1)
    assert [each["state"] for each in shop.state()["offers"]] == ["PENDING"]
    shop.control("/products", [{"gtin": OTHER_GTIN, "title": "Darjeeling"}])
    (offer,) = shop.get("/offers")["offers"]
    assert (offer["shop_sku"], offer["active"]) == ("TEE-002", True)


def test_a_whole_row_forgets_what_it_does_not_say(shop: Shop) -> None:
    shop.offers(f"TEE-001;{GTIN};EAN;7.90;5;11;9")
    shop.offers(f"TEE-001;{GTIN};EAN;7.90;5;11;")
    shop.control("/settle")
    assert shop.state()["offers"][0]["handling_days"] == 2


def test_stock_and_prices_change_nothing_else(shop: Shop) -> None:
    shop.offers(f"TEE-001;{GTIN};EAN;7.90;5;11;3")
    shop.control("/settle")
    stock: Any = shop.upload("/offers/stock/imports", "offer-sku;quantity\nTEE-001;9\nTEE-404;1\n").json
    price: Any = shop.upload("/offers/pricing/imports", "offer-sku;price\nTEE-001;8.20\n").json
    shop.control("/settle")
    (offer,) = [each for each in shop.state()["offers"] if each["sku"] == "TEE-001"]
    assert (offer["stock"], offer["price"], offer["handling_days"]) == (9, 820, 3)
    assert shop.get(f"/offers/stock/imports/{stock['import_id']}/status")["lines_in_error"] == 1
    (told,) = shop.get("/offers/pricing/imports", import_id=price["import_id"])["data"]
    assert (told["status"], told["offers_updated"]) == ("COMPLETE", 1)


@pytest.mark.parametrize(("mode", "status"), [("NORMAL", 201), ("REPLACE", 400), ("", 400)])
def test_nobody_may_replace_the_catalogue(shop: Shop, mode: str, status: int) -> None:
    assert shop.upload("/offers/imports", HEAD + "\n", import_mode=mode).status_code == status


def test_a_file_without_its_columns_or_without_a_form_is_refused(shop: Shop) -> None:
    assert shop.upload("/offers/stock/imports", "sku;amount\nTEE-001;1\n").status_code == 400
    assert shop.problem("POST", "/offers/stock/imports", {})[0] == 415


# --- new products ------------------------------------------------------------------------------------------------------------

COLUMNS = "category;shop_sku;ean;title;marca;peso"


def new_products(shop: Shop, *rows: str, head: str = COLUMNS, **form: str) -> Any:
    text = "\n".join([head, *rows])
    return shop.upload("/products/imports", text, **({"operator_format": "true"} | form))


def test_the_attributes_of_a_category_are_its_own_and_those_of_all(shop: Shop) -> None:
    found = shop.get("/products/attributes", hierarchy="TEE", max_level=0)["attributes"]
    required = [each["code"] for each in found if each["requirement_level"] == "REQUIRED"]
    assert required == ["category", "shop_sku", "ean", "title", "marca", "peso"]
    assert len(shop.get("/products/attributes")["attributes"]) == 9
    assert shop.problem("GET", "/products/attributes", hierarchy="GONE")[0] == 404
    assert shop.problem("GET", "/products/attributes", max_level="all")[0] == 400


def test_a_product_is_known_when_its_import_is_complete(shop: Shop) -> None:
    number = new_products(shop, f"TEE;TEE-002;{OTHER_GTIN};Darjeeling;Anna;100").json["import_id"]
    asked = {"product_references": f"EAN|{OTHER_GTIN}"}
    assert shop.get(f"/products/imports/{number}")["import_status"] == "WAITING"
    assert shop.get("/products", **asked)["products"] == []
    told = shop.get(f"/products/imports/{number}")
    assert (told["import_status"], told["transform_lines_in_success"], told["has_error_report"]) == (
        "COMPLETE",
        1,
        False,
    )
    assert [each["product_title"] for each in shop.get("/products", **asked)["products"]] == ["Darjeeling"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (f"GONE;TEE-002;{OTHER_GTIN};Darjeeling;Anna;100", "category GONE"),
        (f";TEE-002;{OTHER_GTIN};Darjeeling;Anna;100", "category"),
        (f"TEE;TEE-002;{OTHER_GTIN};Darjeeling;;100", "marca"),
        (f"TEE;TEE-002;{OTHER_GTIN};Darjeeling;Anna;", "peso"),
        ("TEE;TEE-002;;Darjeeling;Anna;100", "ean"),
        ("TEE;TEE-002;12;Darjeeling;Anna;100", "EAN 12"),
    ],
)
def test_a_line_that_is_no_product_is_in_the_first_report(shop: Shop, row: str, why: str) -> None:
    number = new_products(shop, row, f"TEE;TEE-003;{OTHER_GTIN};Assam;Anna;100").json["import_id"]
    shop.control("/settle")
    told = shop.get(f"/products/imports/{number}")
    assert (told["transform_lines_in_error"], told["transform_lines_in_success"]) == (1, 1)
    assert (told["has_transformation_error_report"], told["has_error_report"]) == (True, False)
    report = shop.call("GET", f"/products/imports/{number}/transformation_error_report").text.splitlines()
    assert report[0].endswith('"errors";"warnings"')
    assert why in report[1]
    assert shop.call("GET", f"/products/imports/{number}/error_report").status_code == 404


def test_an_operator_refuses_products_and_takes_its_time_as_it_is_told(shop: Shop) -> None:
    shop.control("/conduct", {"product_errors": {GTIN: "Not for us"}, "product_review": True})
    rows = [f"TEE;TEE-001;{GTIN};Assam;Anna;100", f"TEE;TEE-002;{OTHER_GTIN};Darjeeling;Anna;100"]
    number = new_products(shop, *rows).json["import_id"]
    shop.control("/settle")
    assert shop.get(f"/products/imports/{number}")["has_error_report"]
    (line,) = shop.call("GET", f"/products/imports/{number}/error_report").text.splitlines()[1:]
    assert "Not for us" in line
    assert shop.get("/products", product_references=f"EAN|{OTHER_GTIN}")["products"] == []
    shop.control("/conduct", {"product_report": "own", "product_status": "SENT"})
    assert shop.get(f"/products/imports/{number}")["import_status"] == "SENT"
    assert shop.call("GET", f"/products/imports/{number}/error_report").text.startswith("<")


@pytest.mark.parametrize(
    ("head", "form", "status"),
    [
        (COLUMNS, {}, 201),
        (COLUMNS, {"operator_format": "false"}, 400),
        (COLUMNS, {"import_mode": "NORMAL"}, 400),
        (COLUMNS + ";colour", {}, 400),
        (COLUMNS.removesuffix(";peso"), {}, 400),
        ("", {}, 400),
    ],
)
def test_only_the_operators_format_is_taken(shop: Shop, head: str, form: dict[str, str], status: int) -> None:
    row = f"TEE;TEE-002;{OTHER_GTIN};Darjeeling;Anna;100" if head else ""
    assert new_products(shop, row, head=head, **form).status_code == status


def test_products_are_uploaded_every_quarter_of_an_hour(shop: Shop) -> None:
    shop.world.conduct.frequency = True
    row = f"TEE;TEE-002;{OTHER_GTIN};Darjeeling;Anna;100"
    assert [new_products(shop, row).status_code for _ in range(2)] == [201, 429]
    shop.control("/time", {"seconds": 901})
    assert new_products(shop, row).status_code == 201


# --- the shop --------------------------------------------------------------------------------------------------------------------


def test_a_closed_shop_sells_nothing_and_says_why(shop: Shop) -> None:
    shop.offers(f"TEE-001;{GTIN};EAN;7.90;5;11;1")
    shop.control("/settle")
    dates = {"closed_from": "2026-01-01T00:00:00Z", "closed_to": "2099-01-01T00:00:00Z"}
    assert shop.call("PUT", "/account", dates).json["updated"] == dates  # type: ignore[index]
    assert shop.get("/offers")["offers"][0]["inactivity_reasons"] == ["SHOP_NOT_OPEN"]
    shop.control("/buy", {"lines": [{"sku": "TEE-001"}]}, status=409)
    shop.call("PUT", "/account", {"closed_from": None, "closed_to": None})
    shop.control("/buy", {"lines": [{"sku": "TEE-001"}]})


def test_locked_dates_are_refused_with_a_good_status(shop: Shop) -> None:
    shop.control("/conduct", {"dates_locked": True})
    answer = shop.call("PUT", "/account", {"closed_from": None, "closed_to": None})
    assert (answer.status_code, answer.json["updated"]) == (200, None)  # type: ignore[index]


# --- the machine -----------------------------------------------------------------------------------------------------------------


def test_numbers_begin_where_they_are_told_to() -> None:
    assert Shop(World(5000)).buy()["order"] > Shop(World(1)).buy()["order"]


def test_the_books_have_what_every_simulator_tells(shop: Shop) -> None:
    shop.buy()
    state = shop.state()
    assert {"orders", "offers", "deeds"} <= state.keys()
    (order,) = state["orders"]
    assert set(order["pieces"][0]) == {"piece", "sku", "price", "state", "tracking_number", "refunded"}


def test_a_fault_of_everybodys_kind_strikes_here_too(shop: Shop) -> None:
    shop.control("/faults", {"kind": "status", "status": 503, "path": "/orders"})
    assert shop.call("GET", "/orders").status_code == 503
    assert shop.call("GET", "/orders").status_code == 200


def test_it_is_found_under_its_name() -> None:
    from app.sandbox import simulators

    assert simulators()["mirakl"] is SIMULATOR
    assert SIMULATOR.port == 8096
