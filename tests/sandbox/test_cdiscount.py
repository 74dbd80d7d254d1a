"""Simulated Octopia checks what the real one is known to check. Everything goes through its HTTP interface."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from werkzeug.test import TestResponse

from app.sandbox.cdiscount import AUTH, PREFIX, SIMULATOR, World, create_app
from app.sandbox.cdiscount.world import DEMO_CLIENT, DEMO_SECRET, DEMO_SELLER

GTIN, OTHER_GTIN = "4006381333931", "4006381333948"
PARCEL = {"parcelNumber": "8V00000000001", "carrierName": "Colissimo"}
OFFER: dict[str, Any] = {
    "sellerExternalReference": "TEE-001",
    "product": {"gtin": GTIN},
    "condition": "New",
    "price": {"price": 7.9, "taxes": [{"code": "VAT", "value": 20}, {"code": "Ecotax", "value": 0}]},
    "deliveryModes": [
        {"code": "TRK", "cost": 4.9, "additionalCost": 0},
        {"code": "REG", "cost": 6.9, "additionalCost": 0},
    ],
    "preparationTime": 2,
    "quantity": 5,
}
SHEET: dict[str, Any] = {
    "gtin": "4012345678901",
    "sellerProductReference": "TEE-003",
    "title": "Thé noir Assam",
    "description": "Bon",
    "brand": "Teeladen",
    "sellerPictureUrls": [{"index": 1, "url": "https://shop.example/a.jpg"}],
    "categoryCode": "0Z0102",
    "attributes": [],
}


class Seller:
    """Asks for a token and speaks, as a client written after the facts would."""

    def __init__(self) -> None:
        app = create_app(1)
        self.world: World = app.extensions["cdiscount"]
        self.client = app.test_client()
        told = self.token().json
        assert told is not None
        self.headers = {"Authorization": f"Bearer {told['access_token']}", "SellerId": DEMO_SELLER}

    def token(self, **change: str) -> TestResponse:
        form = {"grant_type": "client_credentials", "client_id": DEMO_CLIENT, "client_secret": DEMO_SECRET}
        return self.client.post(AUTH, data=form | change)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.client.open(f"{PREFIX}{path}", method=method, json=body, headers=self.headers | headers)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json

    def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, list[str]]:
        """Status and the fields it names."""
        answer = self.call(method, path, body, **headers)
        assert answer.status_code >= 400, answer.text
        assert answer.json is not None
        assert answer.json["title"]
        return answer.status_code, list(answer.json["errors"])

    def control(self, path: str, body: Any = None, method: str = "POST", status: int = 299) -> Any:
        answer = self.client.open(f"/_control{path}", method=method, json=body)
        assert answer.status_code == status or answer.status_code < 300, answer.text
        return answer.json

    def package(self, *rows: Any, kind: str = "Upsert") -> str:
        """A package that is ready; its id."""
        made = self.call("POST", "/offer-packages", {"packageType": kind}, salesChannelId="CDISFR")
        assert (made.status_code, made.data) == (201, b"")
        number = made.headers["Content-Location"].rpartition("/")[2]
        if rows:
            assert (
                self.call("POST", f"/offer-packages/{number}/offer-requests", list(rows)).status_code == 201
            )
            assert self.call("PATCH", f"/offer-packages/{number}", {"state": "Ready"}).status_code == 204
        return number

    def results(self, number: str) -> dict[str, tuple[str, str]]:
        rows = self.get(f"/offer-packages/{number}/offer-requests-results")["items"]
        return {
            each["sellerExternalReference"]: (each["integrationStatus"], each["results"][0]["resultCode"])
            for each in rows
        }

    def order(self, status: str = "InPreparation", **more: Any) -> str:
        """An order that has come so far; its id."""
        wanted = {
            "lines": [{"sku": "TEE-001", "pieces": 2}, {"sku": "TEE-002", "pieces": 1}],
            "oversell": True,
        }
        number = str(self.control("/buy", wanted | more)["order"])
        if status != "WaitingAcceptance":
            self.call("POST", f"/orders/{number}/approval-status", {"approval_status": "Accepted"})
            self.control("/settle")
        if status in {"Shipped", "Delivered"}:
            self.call("POST", f"/orders/{number}/shipments", [PARCEL])
        if status == "Delivered":
            self.control(f"/orders/{number}/receive")
        return number


@pytest.fixture
def seller() -> Seller:
    found = Seller()
    found.control(
        "/products", [{"gtin": GTIN, "title": "Assam"}, {"gtin": OTHER_GTIN, "title": "Darjeeling"}]
    )
    return found


# --- who speaks --------------------------------------------------------------------------------------------------------------


def test_a_token_lives_two_hours(seller: Seller) -> None:
    assert seller.token().json["expires_in"] == 7200  # type: ignore[index]
    seller.control("/time", {"seconds": 7100})
    assert seller.call("GET", "/sellers").status_code == 200
    seller.control("/time", {"seconds": 200})
    assert seller.call("GET", "/sellers").status_code == 401


@pytest.mark.parametrize(
    ("change", "status"),
    [({"client_secret": "x"}, 401), ({"client_id": "x"}, 401), ({"grant_type": "password"}, 400)],
)
def test_wrong_credentials_get_no_token(seller: Seller, change: dict[str, str], status: int) -> None:
    assert seller.token(**change).status_code == status


def test_five_hundred_tokens_an_hour(seller: Seller) -> None:
    statuses = [seller.token().status_code for _ in range(500)]
    assert (statuses.count(200), statuses[-1]) == (499, 429)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer x"}, 401),
        ({"Authorization": "Basic x"}, 401),
        ({"SellerId": ""}, 400),
        ({"SellerId": "1"}, 403),
    ],
)
def test_every_call_needs_token_and_seller(seller: Seller, headers: dict[str, str], status: int) -> None:
    assert seller.call("GET", "/sellers", **headers).status_code == status


def test_too_many_calls_are_told_when_to_come_back(seller: Seller) -> None:
    seller.control("/conduct", {"per_second": 2})
    with time_machine.travel(datetime.now(UTC), tick=False):
        answers = [seller.call("GET", "/sellers") for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "1"


def test_its_settings_are_credentials_that_it_accepts(seller: Seller) -> None:
    assert SIMULATOR.settings["client_secret"] == DEMO_SECRET
    assert (SIMULATOR.port, SIMULATOR.prefix) == (8094, "/seller/v2")


# --- orders --------------------------------------------------------------------------------------------------------------------


def test_an_order_goes_its_way_and_shows_its_address_late(seller: Seller) -> None:
    number = seller.order("WaitingAcceptance")

    def look() -> tuple[str, bool]:
        order = seller.get(f"/orders/{number}")
        return order["status"], order["lines"][0]["shippingAddress"] is not None

    assert look() == ("WaitingAcceptance", False)
    accepted = seller.call("POST", f"/orders/{number}/approval-status", {"approval_status": "Accepted"})
    assert (accepted.status_code, look()) == (201, ("Accepted", False))
    seller.control("/time", {"seconds": 3})
    assert look() == ("InPreparation", True)
    assert seller.call("POST", f"/orders/{number}/shipments", [PARCEL]).status_code == 201
    assert look() == ("Shipped", True)
    assert seller.get(f"/orders/{number}")["lines"][1]["parcels"] == [PARCEL]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("pageSize=101", "pageSize"),
        ("pageIndex=0", "pageIndex"),
        ("status=Open", "status"),
        ("supplyMode=Me", "supplyMode"),
        ("updatedAtMin=2026-11-22T00:00:00", "updatedAtMin"),
        ("updatedAtMin=soon", "updatedAtMin"),
        ("statuses=Shipped", "statuses"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(seller: Seller, query: str, field: str) -> None:
    assert seller.refused("GET", f"/orders?{query}") == (400, [field])


def test_pages_and_count(seller: Seller) -> None:
    ids = [seller.order("WaitingAcceptance") for _ in range(5)]
    pages = [seller.get(f"/orders?pageIndex={n}&pageSize=2&limit=1")["items"] for n in (1, 2, 3, 4)]
    assert [len(each) for each in pages] == [2, 2, 1, 0]
    assert [each["orderId"] for page in pages for each in page] == ids[::-1]
    assert seller.get("/orders/count?status=WaitingAcceptance") == 5
    assert seller.get("/orders/count?status=Shipped") == 0


@pytest.mark.parametrize(
    "body", [{"approvalStatus": "Accepted"}, {"approval_status": "accepted"}, {}, {"approval_status": True}]
)
def test_only_the_right_word_accepts(seller: Seller, body: Any) -> None:
    assert (
        seller.refused("POST", f"/orders/{seller.order('WaitingAcceptance')}/approval-status", body)[0] == 400
    )


def test_an_order_is_accepted_once(seller: Seller) -> None:
    number = seller.order()
    status, fields = seller.refused(
        "POST", f"/orders/{number}/approval-status", {"approval_status": "Accepted"}
    )
    assert (status, fields) == (400, ["approval_status"])
    assert seller.refused("POST", "/orders/X/approval-status", {"approval_status": "Accepted"})[0] == 404


@pytest.mark.parametrize(
    ("parcels", "field"),
    [
        ([], "body"),
        ([PARCEL, PARCEL], "body"),
        ([{"carrierName": "Colissimo"}], "parcelNumber"),
        ([PARCEL | {"parcelNumber": ""}], "parcelNumber"),
        ([PARCEL | {"carrierName": "pcc"}], "carrierName"),
        ([PARCEL | {"carrierCode": "pcc"}], "carrierCode"),
        ([PARCEL | {"orderLineIds": ["1"]}], "orderLineIds"),
        (PARCEL, "body"),
    ],
)
def test_a_parcel_is_one_with_number_and_a_known_carrier(seller: Seller, parcels: Any, field: str) -> None:
    number = seller.order()
    assert seller.refused("POST", f"/orders/{number}/shipments", parcels) == (400, [field])
    assert seller.get(f"/orders/{number}")["status"] == "InPreparation"


@pytest.mark.parametrize("status", ["WaitingAcceptance", "Shipped"])
def test_only_what_is_in_preparation_is_shipped(seller: Seller, status: str) -> None:
    assert seller.refused("POST", f"/orders/{seller.order(status)}/shipments", [PARCEL])[0] == 400


def test_there_are_sixty_six_carriers(seller: Seller) -> None:
    found = seller.get("/carriers")
    assert len(found) == 66
    assert {each["code"] for each in found if each["label"] in {"Colissimo", "La Poste"}} == {"pcc"}


# --- cancelling and giving back ----------------------------------------------------------------------------------------------------


def test_reasons_depend_on_the_status(seller: Seller) -> None:
    def codes(status: str) -> set[str]:
        query = f"salesChannel=CDISFR&userType=Seller&orderStatus={status}"
        return {each["code"] for each in seller.get(f"/cancellation-reasons?{query}")}

    assert "OutOfStock" in codes("InPreparation")
    assert "ProductReturned" in codes("Delivered")
    assert not codes("InPreparation") & codes("Shipped")
    assert seller.refused("GET", "/cancellation-reasons?salesChannel=CDISFR&userType=Seller") == (
        400,
        ["orderStatus"],
    )


def cancel(number: str, reason: str = "OutOfStock") -> dict[str, Any]:
    return {"orderSellerId": number, "reason": reason, "shippingCostRefund": True}


def test_a_cancellation_is_a_request_that_is_decided_later(seller: Seller) -> None:
    number = seller.order()
    assert seller.call("POST", "/order-cancellation-requests", cancel(number)).status_code == 201
    assert {each["status"] for each in seller.get(f"/orders/{number}")["lines"]} == {"CancelRequest"}
    seller.control("/settle")
    assert seller.get(f"/orders/{number}")["status"] == "Cancelled"
    (request,) = seller.get(f"/order-cancellation-requests?orderSellerId={number}")["items"]
    assert request["status"] == "Accepted"


def test_a_request_that_comes_twice_counts_twice(seller: Seller) -> None:
    number = seller.order()
    for _ in range(2):
        seller.call("POST", "/order-cancellation-requests", cancel(number))
    deeds = [each for each in seller.control("/state", method="GET")["deeds"] if each["deed"] == "cancel"]
    assert len(deeds) == 2


@pytest.mark.parametrize(
    ("status", "change", "field"),
    [
        ("InPreparation", {"reason": "ProductReturned"}, "reason"),
        ("Shipped", {"reason": "OutOfStock"}, "reason"),
        ("WaitingAcceptance", {}, "orderSellerId"),
        ("InPreparation", {"orderId": "1"}, "orderId"),
        ("InPreparation", {"shippingCostRefund": "yes"}, "shippingCostRefund"),
    ],
)
def test_a_request_must_fit_the_order(
    seller: Seller, status: str, change: dict[str, Any], field: str
) -> None:
    body = cancel(seller.order(status)) | change
    assert seller.refused("POST", "/order-cancellation-requests", body) == (400, [field])


def test_a_line_is_given_back_whole_after_it_has_left(seller: Seller) -> None:
    number = seller.order("Delivered", shipping=490)
    line = seller.get(f"/orders/{number}")["lines"][0]
    wanted = {
        "lineId": line["orderLineId"],
        "offerId": "O",
        "reason": "ProductReturned",
        "shippingCostRefund": True,
    }
    body = {"orderSellerId": number, "lines": [wanted]}
    assert seller.call("POST", "/order-partial-cancellation-requests", body).status_code == 201
    seller.control("/settle")
    (order,) = seller.control("/state", method="GET")["orders"]
    assert [each["refunded"] for each in order["pieces"]] == [1035, 1035, 0]
    assert [each["state"] for each in order["pieces"]] == ["returned", "returned", "delivered"]
    odd = {"orderSellerId": number, "lines": [wanted | {"quantity": 1}]}
    assert seller.refused("POST", "/order-partial-cancellation-requests", odd) == (400, ["lines[0].quantity"])


def test_a_gesture_is_allowed_up_to_its_limit(seller: Seller) -> None:
    number = seller.order("Shipped")
    path = f"/orders/{number}/commercial-gestures-available-amounts"
    assert seller.get(path) == {"allowableAmount": 14.22}
    body = {"orderId": number, "reason": "Other", "reasonDetails": "Retard", "amount": 5.0}
    assert seller.call("POST", "/order-commercial-gesture-requests", body).status_code == 201
    assert seller.get(path) == {"allowableAmount": 9.22}
    (given,) = seller.get(f"/order-commercial-gesture-requests?orderId={number}")["items"]
    assert given["amount"] == 5.0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 99}, "amount"),
        ({"amount": 0}, "amount"),
        ({"amount": 0.001}, "amount"),
        ({"amount": "5.00"}, "amount"),
        ({"reasonDetails": ""}, "reasonDetails"),
        ({"reason": "Because"}, "reason"),
    ],
)
def test_a_gesture_that_is_wrong_is_refused(seller: Seller, change: dict[str, Any], field: str) -> None:
    body = {"orderId": seller.order("Shipped"), "reason": "Other", "reasonDetails": "x", "amount": 1} | change
    assert seller.refused("POST", "/order-commercial-gesture-requests", body) == (400, [field])


def test_nothing_is_given_before_it_has_left(seller: Seller) -> None:
    body = {"orderId": seller.order(), "reason": "Other", "reasonDetails": "x", "amount": 1}
    assert seller.refused("POST", "/order-commercial-gesture-requests", body) == (400, ["orderId"])


# --- offers ------------------------------------------------------------------------------------------------------------------------


def test_a_package_is_integrated_when_it_is_asked_for_twice(seller: Seller) -> None:
    number = seller.package(OFFER)
    states = [seller.get(f"/offer-packages/{number}")["state"] for _ in range(2)]
    assert states == ["IntegrationPending", "Integrated"]
    assert seller.results(number) == {"TEE-001": ("Integrated", "8000")}
    (offer,) = seller.get("/offers?salesChannelId=CDISFR")["items"]
    assert (offer["offerState"], offer["facialPrice"], offer["quantity"]) == ("Active", {"price": 7.9}, 5)


def test_a_package_is_done_by_itself_after_a_while(seller: Seller) -> None:
    seller.package(OFFER)
    seller.control("/time", {"seconds": 30})
    assert len(seller.control("/state", method="GET")["offers"]) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"product": {"gtin": "4012345678901"}}, "1301"),
        ({"deliveryModes": OFFER["deliveryModes"][:1]}, "4012"),
        ({"deliveryModes": [{"code": "THD", "cost": 1, "additionalCost": 0}]}, "4012"),
        ({"price": {"price": 7.9, "taxes": [{"code": "VAT", "value": 20}]}}, "1007"),
        ({"preparationTime": 11}, "3509"),
    ],
)
def test_an_offer_is_rejected_by_itself(seller: Seller, change: dict[str, Any], code: str) -> None:
    number = seller.package(OFFER | change, OFFER | {"sellerExternalReference": "GOOD"})
    seller.control("/settle")
    assert seller.results(number) == {"TEE-001": ("Rejected", code), "GOOD": ("Integrated", "8000")}


def test_a_reference_that_is_twice_rejects_both(seller: Seller) -> None:
    number = seller.package(OFFER, OFFER)
    seller.control("/settle")
    assert seller.results(number) == {"TEE-001": ("Duplicated", "2503")}
    assert seller.control("/state", method="GET")["offers"][0]["refused"]


def test_an_update_changes_only_what_it_says(seller: Seller) -> None:
    seller.package(OFFER)
    seller.control("/settle")
    number = seller.package(
        {"sellerExternalReference": "TEE-001", "quantity": 0},
        {"sellerExternalReference": "TEE-009", "quantity": 1},
        kind="Update",
    )
    seller.control("/settle")
    assert seller.results(number) == {"TEE-001": ("Integrated", "9000"), "TEE-009": ("Rejected", "3603")}
    (offer, _) = seller.control("/state", method="GET")["offers"]
    assert (offer["stock"], offer["price"], offer["on"]) == (0, 790, False)


def wrong(**change: Any) -> dict[str, Any]:
    return {k: v for k, v in (copy.deepcopy(OFFER) | change).items() if v is not None}


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (wrong(condition="NEW"), "[0].condition"),
        (wrong(product={"gtin": "123"}), "[0].product.gtin"),
        (wrong(sellerExternalReference="T" * 51), "[0].sellerExternalReference"),
        (wrong(quantity=-1), "[0].quantity"),
        (wrong(quantity=1.5), "[0].quantity"),
        (wrong(price={"price": 7.999, "taxes": []}), "[0].price.price"),
        (wrong(price={"price": "7.90", "taxes": []}), "[0].price.price"),
        (wrong(price={"price": 7.9, "taxes": [{"code": "EcoPart", "value": 0}]}), "[0].price.taxes[0].code"),
        (wrong(deliveryModes=None), "[0].deliveryModes"),
        (wrong(preparationTime=None), "[0].preparationTime"),
        (wrong(colour="red"), "[0].colour"),
    ],
)
def test_an_offer_that_is_no_offer_is_refused_at_once(seller: Seller, row: Any, field: str) -> None:
    path = f"/offer-packages/{seller.package()}/offer-requests"
    assert seller.refused("POST", path, [row]) == (400, [field])


def test_a_call_takes_a_hundred_offers_and_a_ready_package_no_more(seller: Seller) -> None:
    number = seller.package()
    path = f"/offer-packages/{number}/offer-requests"
    rows = [OFFER | {"sellerExternalReference": f"T-{n}"} for n in range(101)]
    assert seller.refused("POST", path, rows)[0] == 400
    assert seller.refused("PATCH", f"/offer-packages/{number}", {"state": "Ready"})[0] == 400
    assert seller.call("POST", path, rows[:100]).status_code == 201
    assert seller.call("PATCH", f"/offer-packages/{number}", {"state": "Ready"}).status_code == 204
    assert seller.refused("POST", path, rows[:1])[0] == 400


def test_a_package_needs_its_channel_and_the_right_type(seller: Seller) -> None:
    assert seller.refused("POST", "/offer-packages", {"packageType": "Upsert"}) == (400, ["salesChannelId"])
    channel = {"salesChannelId": "CDISFR"}
    assert seller.refused("POST", "/offer-packages", {"packageType": "upsert"}, **channel) == (
        400,
        ["packageType"],
    )


def test_a_long_preparation_is_integrated_and_invisible(seller: Seller) -> None:
    seller.package(OFFER | {"preparationTime": 7})
    seller.control("/settle")
    (offer,) = seller.get("/offers?salesChannelId=CDISFR&expand=salesChannelFeedback")["items"]
    assert offer["offerState"] == "Inactive"
    assert offer["salesChannelFeedback"][0]["errors"]


def test_lists_are_turned_by_the_header_link(seller: Seller) -> None:
    rows = [OFFER | {"sellerExternalReference": f"T-{n}"} for n in range(5)]
    seller.package(*rows)
    seller.control("/settle")
    first = seller.call("GET", "/offers?salesChannelId=CDISFR&limit=3")
    assert 'cursor=3>; rel="next"' in first.headers["Link"]
    second = seller.call("GET", "/offers?salesChannelId=CDISFR&limit=3&cursor=3")
    assert len(second.json["items"]) == 2  # type: ignore[index]
    assert "Link" not in second.headers
    assert seller.refused("GET", "/offers?salesChannelId=CDISFR&limit=1001") == (400, ["limit"])
    assert seller.refused("GET", "/offers") == (400, ["salesChannelId"])


def describe(seller: Seller, **change: Any) -> Any:
    body = {"products": [SHEET | change]}
    made = seller.call("POST", "/products-integration", body, **{"Accept-Language": "fr-FR"})
    assert made.status_code == 201, made.text
    assert made.json is not None
    seller.control("/settle")
    return seller.get(f"/products-integration-reports?packageId={made.json['packageId']}")["items"][0]


def test_a_sheet_brings_a_product_into_the_catalogue(seller: Seller) -> None:
    assert seller.get(f"/products?gtin={SHEET['gtin']}")["items"] == []
    assert describe(seller)["status"] == "Integrated"
    assert len(seller.get(f"/products?gtin={SHEET['gtin']}")["items"]) == 1


def test_twenty_five_sheets_an_hour(seller: Seller) -> None:
    seller.control("/conduct", {"sheets_per_hour": 2})
    told = [describe(seller, sellerProductReference=f"T-{n}")["status"] for n in range(3)]
    assert told == ["Integrated", "Integrated", "Refused"]
    seller.control("/time", {"seconds": 3600})
    seller.headers["Authorization"] = f"Bearer {seller.token().json['access_token']}"  # type: ignore[index]
    assert describe(seller)["status"] == "Integrated"


@pytest.mark.parametrize("field", ["title", "brand", "categoryCode", "sellerPictureUrls"])
def test_a_sheet_without_its_fields_is_refused(seller: Seller, field: str) -> None:
    body = {"products": [{k: v for k, v in SHEET.items() if k != field}]}
    path, headers = "/products-integration", {"Accept-Language": "fr-FR"}
    assert seller.refused("POST", path, body, **headers) == (400, [f"products[0].{field}"])


# --- the buyers --------------------------------------------------------------------------------------------------------------------


def test_nobody_buys_more_than_is_there(seller: Seller) -> None:
    seller.package(OFFER)
    seller.control("/settle")
    wanted = {"lines": [{"sku": "TEE-001", "pieces": 6}]}
    seller.control("/buy", wanted, status=409)
    seller.control("/buy", wanted | {"oversell": True})
    assert seller.control("/state", method="GET")["offers"][0]["stock"] == 0


def test_an_order_before_payment_waits_for_it(seller: Seller) -> None:
    number = seller.control("/buy", {"lines": [{"sku": "A"}], "oversell": True, "state": "announced"})[
        "order"
    ]
    assert seller.get(f"/orders/{number}")["status"] == "Processing"
    seller.control(f"/orders/{number}/pay")
    assert seller.get(f"/orders/{number}")["status"] == "WaitingAcceptance"


def test_a_buyer_cancels_what_has_not_left(seller: Seller) -> None:
    number = seller.order()
    seller.control("/cancel", {"order": number})
    assert seller.get(f"/orders/{number}")["status"] == "Cancelled"
    seller.control("/cancel", {"order": seller.order("Shipped")}, status=409)


def test_there_are_no_returns(seller: Seller) -> None:
    seller.control("/return", {"pieces": []}, status=409)


def test_a_behaviour_that_is_not_known_is_refused(seller: Seller) -> None:
    seller.control("/conduct", {"mood": "bad"}, status=400)
