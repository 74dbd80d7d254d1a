"""Simulated eMAG checks what the real one is documented to check. Everything goes through its HTTP interface."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.sandbox import simulators
from app.sandbox.emag import SIMULATOR, World, create_app
from app.sandbox.emag.world import DEMO_PASSWORD, DEMO_USER, Seller

GTIN, OTHER_GTIN = "4006381333931", "4006381333948"
FIRST = {
    "id": 1,
    "name": "Assam",
    "part_number": "TEE-001",
    "ean": [GTIN],
    "status": 1,
    "sale_price": "6.5833",
    "min_sale_price": "3.0000",
    "max_sale_price": "20.0000",
    "vat_id": 1,
    "stock": [{"warehouse_id": 1, "value": 10}],
    "handling_time": [{"warehouse_id": 1, "value": 1}],
}


def without(data: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


class Desk:
    """A seller at the API, and the hand of the buyer at /_control."""

    def __init__(self, app: Flask) -> None:
        self.http = app.test_client()
        self.world: World = app.extensions["emag"]
        self.login = f"{DEMO_USER}:{DEMO_PASSWORD}"

    def send(self, path: str, body: Any = None, method: str = "POST", **query: Any) -> TestResponse:
        head = {"Authorization": f"Basic {base64.b64encode(self.login.encode()).decode()}"}
        return self.http.open(f"/api-3{path}", method=method, json=body, headers=head, query_string=query)

    def told(self, path: str, body: Any = None, **how: Any) -> dict[str, Any]:
        answer = self.send(path, body, **how)
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def refusal(self, path: str, body: Any = None, **how: Any) -> str:
        found = self.told(path, body, **how)
        assert found["isError"] is True
        assert found["results"] in ([], {})
        return " ".join(found["messages"])

    def control(self, path: str, body: Any = None, status: int | None = None) -> Any:
        answer = self.http.post(f"/_control/{path}", json=body or {})
        assert answer.status_code == status if status else answer.status_code < 300, answer.text
        return answer.get_json()

    def state(self) -> dict[str, Any]:
        return dict(self.http.get("/_control/state").get_json())

    def offer(self, **change: Any) -> None:
        assert self.told("/product_offer/save", [FIRST | change])["isError"] is False

    def buy(self, pieces: int = 1, *, open_: bool = False, **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.control("buy", {"lines": [{"sku": "TEE-001", "pieces": pieces}], **more})
        if not open_:
            assert self.told(f"/order/acknowledge/{made['order']}")["isError"] is False
        return made

    def read(self, order: str) -> dict[str, Any]:
        (found,) = self.told("/order/read", {"id": int(order)})["results"]
        return dict(found)

    def save(self, order: str, **change: Any) -> dict[str, Any]:
        return self.told("/order/save", [self.read(order) | change])

    def states(self, order: str) -> list[str]:
        (found,) = [each for each in self.state()["orders"] if each["order"] == order]
        return [each["state"] for each in found["pieces"]]


@pytest.fixture
def desk() -> Desk:
    found = Desk(create_app())
    found.control("products", [{"gtin": GTIN, "title": "Assam"}, {"gtin": OTHER_GTIN, "title": "Darjeeling"}])
    found.offer()
    return found


def test_it_is_one_of_the_simulators() -> None:
    assert simulators()["emag"] is SIMULATOR
    assert (SIMULATOR.port, SIMULATOR.prefix) == (8095, "/api-3")


def test_a_new_one_repeats_no_numbers_of_an_old_one() -> None:
    def order(first: int) -> Any:
        desk = Desk(SIMULATOR.create_app(first))
        desk.control("products", [{"gtin": GTIN, "title": "Assam"}])
        desk.offer()
        return desk.buy()["order"]

    assert order(1) != order(1000)


# --- who speaks, and how often ---------------------------------------------------------------------------------------------------


def test_wrong_credentials_and_foreign_addresses_are_turned_away(desk: Desk) -> None:
    desk.world.sellers["boldt"] = Seller("boldt", "x", listed=False)
    for login, status in (("anna:wrong", 401), ("nobody:x", 401), ("boldt:x", 403)):
        desk.login = login
        answer = desk.send("/vat/read", {})
        assert (answer.status_code, answer.get_json()["isError"]) == (status, True)
    assert desk.http.post("/api-3/vat/read", json={}).status_code == 401


@pytest.mark.parametrize(("path", "most"), [("/vat/read", 3), ("/order/read", 12)])
def test_the_documented_pace_is_kept(desk: Desk, path: str, most: int) -> None:
    desk.world.conduct.hurry = 1.0
    desk.world.pace = type(desk.world.pace)(lambda: 0.0)  # all within one moment
    answers = [desk.send(path, {}) for _ in range(most + 1)]
    assert [each.status_code for each in answers] == [200] * most + [429]
    assert answers[-1].get_json() == {"message": "API rate limit exceeded"}
    assert "Retry-After" not in answers[-1].headers


def test_an_address_that_is_none_is_said_in_the_new_form(desk: Desk) -> None:
    answer = desk.send("/nothing", {})
    assert (answer.status_code, answer.get_json()) == (404, {"message": "Invalid URL"})


# --- lists -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [{"itemsPerPage": 101}, {"currentPage": 0}, {"pageSize": 10}, {"modifiedBefore": "2026-01-01 00:00:00"}, {"modifiedAfter": "gestern"},
     {"modifiedAfter": "2026-01-01 00:00:00", "modifiedBefore": "2026-03-01 00:00:00"}, []],
)  # fmt: skip
def test_a_question_that_is_none_is_refused(desk: Desk, body: Any) -> None:
    assert desk.refusal("/order/read", body)


def test_orders_are_counted_between_two_times_only(desk: Desk) -> None:
    desk.buy()
    assert desk.told("/order/count", {})["results"] == {"noOfItems": 1}
    assert desk.refusal("/order/count", {"modifiedAfter": "2026-01-01 00:00:00"})


def test_the_default_type_is_the_sellers(desk: Desk) -> None:
    made = desk.buy()
    desk.world.orders[int(made["order"])]["type"] = 2
    assert desk.told("/order/read", {})["results"] == []
    assert len(desk.told("/order/read", {"type": 2})["results"]) == 1


# --- offers ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"id": 0}, "id must be"),
        ({"id": 16_777_216}, "id must be"),
        ({"id": "2"}, "id must be"),
        ({"vat_id": 9}, "vat_id"),
        ({"handling_time": [{"warehouse_id": 1, "value": 6}]}, "handling_time"),
        ({"stock": [{"warehouse_id": 1, "value": 65_536}]}, "Stock"),
        ({"stock": 5}, "Stock"),
        ({"sale_price": "0"}, "sale_price"),
        ({"sale_price": "6.58333"}, "sale_price"),
        ({"sale_price": "21"}, "max_sale_price"),
        ({"sale_price": "2.9"}, "min_sale_price"),
        ({"status": 2}, "status"),
        ({"name": ""}, "name is needed"),
        ({"part_number_key": "D1"}, "Exactly one"),
        ({"ean": [GTIN]}, "already have an offer"),
        ({"ean": ["4006381333955"]}, "missing: category_id, brand, images"),
    ],
)
def test_a_first_offer_that_is_wrong_is_not_saved(desk: Desk, change: dict[str, Any], sentence: str) -> None:
    wanted = FIRST | {"id": 2, "ean": [OTHER_GTIN]} | change
    assert sentence in desk.refusal("/product_offer/save", [wanted])
    assert set(desk.world.offers) == {1}


@pytest.mark.parametrize(
    "name", ["sale_price", "min_sale_price", "max_sale_price", "vat_id", "status", "stock", "handling_time"]
)
def test_what_a_first_offer_lacks_is_named(desk: Desk, name: str) -> None:
    wanted = without(FIRST | {"id": 2, "ean": [OTHER_GTIN]}, name)
    assert name in desk.refusal("/product_offer/save", [wanted])


def test_an_error_in_the_documentation_is_an_error_although_the_offer_is_saved(desk: Desk) -> None:
    desk.control("conduct", {"remarks": [2]})
    assert "Documentation error" in desk.refusal(
        "/product_offer/save", [FIRST | {"id": 2, "ean": [OTHER_GTIN]}]
    )
    assert set(desk.world.offers) == {1, 2}


def test_a_save_is_called_a_success_although_one_offer_failed(desk: Desk) -> None:
    rows = [{"id": 1, "sale_price": 7}, {"id": 2, "sale_price": 7}, {"id": 1, "price": 7}]
    told = desk.told("/offer/save", rows[:2])
    assert told["isError"] is False
    assert {key: each["isError"] for key, each in told["results"].items()} == {"1": False, "2": True}
    assert desk.told("/offer/save", rows[2:])["results"]["1"]["isError"] is True


@pytest.mark.parametrize("count", [50, 51])
def test_a_batch_has_at_most_50(desk: Desk, count: int) -> None:
    told = desk.told("/offer/save", [{"id": number, "status": 1} for number in range(1, count + 1)])
    assert told["isError"] is (count > 50)


def test_more_than_4000_elements_are_too_many(desk: Desk) -> None:
    assert (
        desk.refusal("/offer/save", [{"id": 1, "stock": [0] * 4000}]) == "Maximum input vars of 4000 exceeded"
    )
    assert desk.refusal("/offer/save", {"data": [{"id": 1, "status": 1}]})


def test_a_single_stock_is_set_and_its_refusals_have_their_own_form(desk: Desk) -> None:
    def patch(offer: int, body: Any) -> tuple[int, Any]:
        answer = desk.send(f"/offer_stock/{offer}", body, method="PATCH")
        return answer.status_code, answer.get_json(silent=True)

    assert patch(1, {"stock": 21}) == (204, None)
    assert desk.world.offers[1]["stock"] == 21
    assert patch(9, {"stock": 21}) == (404, {"message": "This offer does not exist"})
    assert patch(1, {"value": 21}) == (400, {"message": "Invalid content"})
    desk.control("conduct", {"campaign": [1]})
    status, body = patch(1, {"stock": 5})
    assert (status, body["errors"][0]["field"]) == (400, "stock")
    assert desk.world.offers[1]["stock"] == 21


def test_what_is_known_of_an_ean_is_told(desk: Desk) -> None:
    answer = desk.send(
        "/documentation/find_by_eans", method="GET", **{"eans[]": [GTIN, OTHER_GTIN, "4006381333955"]}
    )
    found = answer.get_json()["results"]
    assert [len(each["products"]) for each in found.values()] == [1, 1, 0]
    assert [each["products"][0]["vendor_has_offer"] for each in list(found.values())[:2]] == [True, False]


# --- orders ----------------------------------------------------------------------------------------------------------------------------


def test_nobody_buys_what_is_not_there(desk: Desk) -> None:
    desk.control("buy", {"lines": [{"sku": "TEE-001", "pieces": 11}]}, 409)
    desk.control("buy", {"lines": [{"sku": "KAFFEE", "pieces": 1}]}, 409)
    assert (
        len(desk.control("buy", {"lines": [{"sku": "TEE-001", "pieces": 11}], "oversell": True})["pieces"])
        == 11
    )


def test_an_order_is_acknowledged_once(desk: Desk) -> None:
    made = desk.buy(open_=True)
    assert desk.states(made["order"]) == ["announced"]
    assert desk.told(f"/order/acknowledge/{made['order']}")["isError"] is False
    assert "already" in desk.refusal(f"/order/acknowledge/{made['order']}")
    assert "not found" in desk.refusal("/order/acknowledge/7")
    assert desk.states(made["order"]) == ["to_ship"]
    assert [each["deed"] for each in desk.state()["deeds"]] == ["offer", "accept"]


def test_an_order_before_payment_is_not_complete(desk: Desk) -> None:
    made = desk.buy(open_=True, state="announced")
    assert desk.read(made["order"])["is_complete"] == 0
    desk.control(f"orders/{made['order']}/pay")
    assert desk.read(made["order"])["is_complete"] == 1


def test_a_buyer_cancels_until_the_order_is_acknowledged(desk: Desk) -> None:
    first, second = desk.buy(2, open_=True), desk.buy()
    desk.control("cancel", {"pieces": first["pieces"][:1]})
    assert sorted(desk.states(first["order"])) == ["announced", "cancelled"]
    desk.control("cancel", {"order": first["order"]})
    assert desk.states(first["order"]) == ["cancelled", "cancelled"]
    desk.control("cancel", {"order": second["order"]}, 409)


@pytest.mark.parametrize("name", ["customer", "products", "vouchers", "is_storno", "modified"])
def test_everything_that_was_read_must_be_sent_back(desk: Desk, name: str) -> None:
    made = desk.buy()
    assert name in desk.refusal("/order/save", [without(desk.read(made["order"]) | {"status": 4}, name)])


def test_prices_never_change_and_quantities_never_grow(desk: Desk) -> None:
    made = desk.buy(2)
    (line,) = desk.read(made["order"])["products"]
    assert desk.save(made["order"], products=[line | {"sale_price": "1.0000"}])["isError"]
    assert desk.save(made["order"], products=[line | {"quantity": 3}])["isError"]
    assert desk.states(made["order"]) == ["to_ship", "to_ship"]


@pytest.mark.parametrize(
    ("before", "after"), [(1, 2), (1, 4), (1, 0), (2, 1), (2, 5), (3, 2), (5, 4), (4, 1)]
)
def test_the_matrix_refuses_what_it_does_not_allow(desk: Desk, before: int, after: int) -> None:
    made = desk.buy()
    desk.world.orders[int(made["order"])]["status"] = before
    assert "cannot go" in " ".join(desk.save(made["order"], status=after, reason_cancellation=1)["messages"])


def test_a_cancellation_needs_one_of_the_reasons(desk: Desk) -> None:
    made = desk.buy()
    assert desk.save(made["order"], status=0)["isError"]
    assert desk.save(made["order"], status=0, reason_cancellation=14)["isError"]
    assert not desk.save(made["order"], status=0, reason_cancellation=1)["isError"]
    assert desk.states(made["order"]) == ["cancelled"]


@pytest.mark.parametrize(("card", "ok"), [(True, False), (False, True)])
def test_lines_of_card_orders_stay(desk: Desk, card: bool, ok: bool) -> None:
    made = desk.buy(2, more={"payment_mode_id": 3 if card else 1})
    (line,) = desk.read(made["order"])["products"]
    assert desk.save(made["order"], products=[line | {"quantity": 1}])["isError"] is not ok
    assert desk.save(made["order"], products=[line | {"quantity": 1}], status=4)["isError"] is (
        card or not ok
    )


def test_a_storno_says_so_and_reduces_something(desk: Desk) -> None:
    made = desk.buy(2)
    desk.save(made["order"], status=4)
    (line,) = desk.read(made["order"])["products"]
    less = [line | {"quantity": 1}]
    assert desk.save(made["order"], products=less)["isError"]
    assert desk.save(made["order"], is_storno=True)["isError"]
    assert not desk.save(made["order"], products=less, is_storno=True)["isError"]
    (order,) = desk.state()["orders"]
    assert sorted(each["refunded"] for each in order["pieces"]) == [0, 790]
    assert desk.states(made["order"]) == ["shipped", "shipped"]
    assert [each["amount"] for each in desk.state()["deeds"] if each["deed"] == "refund"] == [790]


@pytest.mark.parametrize(("days", "ok"), [(35, True), (36, False)])
def test_a_full_return_ends_with_the_return_window(desk: Desk, days: int, ok: bool) -> None:
    made = desk.buy()
    desk.save(made["order"], status=4)
    desk.control("time", {"seconds": days * 86_400 - 60})
    assert desk.save(made["order"], status=5)["isError"] is not ok


# --- parcels and returns ---------------------------------------------------------------------------------------------------------------


def parcel(order: str, **change: Any) -> dict[str, Any]:
    who = {
        "name": "Mia Muster",
        "contact": "Mia",
        "phone1": "0700000000",
        "locality_id": 3,
        "street": "Weg 1",
        "legal_entity": 0,
    }
    wanted = {
        "order_id": int(order),
        "sender": who,
        "receiver": who,
        "is_oversize": 0,
        "envelope_number": 0,
        "parcel_number": 1,
        "cod": 0,
    }
    return wanted | change


def test_every_booking_is_one_more_parcel_and_the_first_finalizes_the_order(desk: Desk) -> None:
    made = desk.buy()
    numbers = [desk.told("/awb/save", parcel(made["order"]))["results"]["reservation_id"] for _ in range(2)]
    assert numbers[0] != numbers[1]
    (read,) = desk.told("/awb/read", {"reservation_id": numbers[0]})["results"]
    assert read["awb"][0]["awb_number"]
    assert desk.states(made["order"]) == ["shipped"]
    assert len(desk.told("/awb/read", {"order_id": int(made["order"])})["results"]) == 2
    assert [each["deed"] for each in desk.state()["deeds"]].count("ship") == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"receiver": {}}, "receiver.name"),
        ({"sender": {"phone1": "12"}}, "sender.phone1"),
        ({"parcel_number": 0}, "both be 0"),
        ({"cod": None, "order_id": 7}, "not in a state"),
    ],
)
def test_a_parcel_that_lacks_something_is_not_booked(
    desk: Desk, change: dict[str, Any], sentence: str
) -> None:
    made = desk.buy()
    assert sentence in desk.refusal("/awb/save", parcel(made["order"], **change))
    assert desk.states(made["order"]) == ["to_ship"]


def test_an_order_that_is_not_acknowledged_gets_no_parcel(desk: Desk) -> None:
    assert desk.refusal("/awb/save", parcel(desk.buy(open_=True)["order"]))


def test_a_return_goes_its_way_and_pays_once(desk: Desk) -> None:
    made = desk.buy(2)
    desk.control("return", {"pieces": made["pieces"]}, 409)
    desk.save(made["order"], status=4)
    back = desk.control("return", {"pieces": made["pieces"][:1], "status": 2})
    desk.control("return", {"pieces": made["pieces"]}, 409)
    rma_id = int(back["returns"][0].split("/")[0])
    (rma,) = desk.told("/rma/read", {"emag_id": rma_id})["results"]
    assert (rma["order_id"], rma["products"][0]["quantity"]) == (made["order"], "1")
    assert desk.refusal("/rma/save", [without(rma, "customer_name") | {"request_status": 3}])
    assert desk.refusal("/rma/save", [rma | {"request_status": 7}])
    for status in (3, 6, 7, 7):
        assert desk.told("/rma/save", [rma | {"request_status": status}])["isError"] is False
    assert [each["amount"] for each in desk.state()["deeds"] if each["deed"] == "accept_return"] == [790]
    assert sorted(desk.states(made["order"])) == ["returned", "shipped"]


def test_new_documentation_is_approved_after_a_while(desk: Desk) -> None:
    data = {
        "category_id": 1315,
        "brand": "Teeladen",
        "images": [{"url": "https://shop.example/1.jpg"}],
        "ean": ["4006381333955"],
    }
    desk.offer(id=2, **data)
    assert [each["state"] for each in desk.state()["offers"]] == ["on_sale", "waiting"]
    desk.control("settle")
    assert [each["state"] for each in desk.state()["offers"]] == ["on_sale", "on_sale"]


def test_the_books_show_what_is_there(desk: Desk) -> None:
    made = desk.buy(2)
    (order,) = desk.state()["orders"]
    assert order["order"] == made["order"]
    assert [each["piece"] for each in order["pieces"]] == made["pieces"]
    assert {
        (each["sku"], each["price"], each["refunded"], each["tracking_number"]) for each in order["pieces"]
    } == {("TEE-001", 790, 0, None)}
    (offer,) = desk.state()["offers"]
    assert offer == {
        "sku": "TEE-001", "stock": 8, "price": 790, "on": True, "handling_days": 1, "state": "on_sale", "refused": None,
    }  # fmt: skip
