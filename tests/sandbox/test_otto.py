"""Simulated OTTO Market checks what the real one checks. Everything goes through its HTTP interface."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.sandbox.otto import SIMULATOR, World, create_app
from app.sandbox.otto.world import DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, PROFILE

GTIN, OTHER_GTIN = "4006381333931", "4006381333948"
SCOPES = "orders products shipments returns price-reduction availability shipping-profiles"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
PRODUCT: dict[str, Any] = {
    "productReference": "TEE",
    "sku": "TEE-001",
    "ean": GTIN,
    "productDescription": {
        "category": "Tee",
        "brandId": "TEELADEN1",
        "attributes": [{"name": "Herkunftsland", "values": ["Indien"], "additional": False}],
    },
    "mediaAssets": [{"type": "IMAGE", "location": "https://shop.example/1.jpg"}],
    "pricing": {"standardPrice": {"amount": 7.9, "currency": "EUR"}, "vat": "FULL"},
    "compliance": {
        "productSafety": {
            "addresses": [
                {
                    "name": "Anna's Teeladen",
                    "address": "Beispielweg 4",
                    "regionCode": "DE",
                    "email": "anna@example.org",
                    "roles": ["DISTRIBUTOR"],
                }
            ]
        }
    },
}


class Seller:
    """Speaks as a client written after the guide would."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()
        self.token = ""

    def sign_in(self, scope: str = SCOPES, **change: str) -> TestResponse:
        form = {
            "grant_type": "client_credentials",
            "client_id": DEMO_CLIENT_ID,
            "client_secret": DEMO_CLIENT_SECRET,
        }
        answer = self.client.post("/oauth2/token", data={**form, "scope": scope, **change})
        self.token = (answer.get_json() or {}).get("access_token", "")
        return answer

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.client.open(path, method=method, json=body, headers=headers, query_string=query)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.call("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json

    def title(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, str]:
        answer = self.call(method, path, body, **query)
        told: Any = answer.json
        errors = told.get("errors") or told.get("validationErrors") or [{"title": told.get("message", "")}]
        return answer.status_code, errors[0].get("title") or errors[0].get("detail")

    def control(self, path: str, body: Any = None, method: str = "POST") -> Any:
        answer = self.client.open(f"/_control{path}", method=method, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json

    def state(self) -> Any:
        return self.control("/state", method="GET")

    def upload(self, *bodies: dict[str, Any]) -> str:
        answer = self.call("POST", "/v5/products", list(bodies))
        assert answer.status_code == 202, answer.text
        links: Any = answer.json
        return str(links["links"][0]["href"])

    def on_sale(self, stock: int = 5) -> None:
        """A product with stock and a delivery time."""
        self.upload(PRODUCT)
        self.control("/settle")
        assert (
            self.call(
                "POST", "/v1/availability/quantities", [{"sku": "TEE-001", "quantity": stock}]
            ).status_code
            == 200
        )
        row = {"sku": "TEE-001", "shippingProfileId": PROFILE, "processingTime": "2"}
        assert self.call("POST", "/v1/availability/product-delivery-information", [row]).status_code == 202

    def buy(self, pieces: int = 1, **more: Any) -> tuple[str, list[str]]:
        made = self.control("/buy", {"lines": [{"sku": "TEE-001", "pieces": pieces}], **more})
        return made["order"], made["pieces"]


def parcel(*pieces: str, number: str = "1", back: str | None = "2") -> dict[str, Any]:
    items = []
    for piece in pieces:
        order_id, _, item_id = piece.partition("/")
        item: dict[str, Any] = {"salesOrderId": order_id, "positionItemId": item_id}
        if back:
            item["returnTrackingKey"] = {"carrier": "DHL", "trackingNumber": back}
        items.append(item)
    return {
        "trackingKey": {"carrier": "DHL", "trackingNumber": number},
        "shipDate": "2026-11-21T12:00:00Z",
        "shipFromAddress": {"city": "Dresden", "zipCode": "01067", "countryCode": "DEU"},
        "positionItems": items,
    }


@pytest.fixture
def world() -> World:
    return World.demo()


@pytest.fixture
def seller(world: World) -> Seller:
    world.conduct.per_second = world.conduct.products_per_second = 10_000
    made = Seller(create_app(world))
    assert made.sign_in().status_code == 200
    return made


# --- who speaks --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"scope": "orders everything"}, 400, "invalid_scope"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_wrong_sign_in_is_refused(seller: Seller, change: dict[str, str], status: int, error: str) -> None:
    answer = seller.sign_in(**change)
    told: Any = answer.json
    assert (answer.status_code, told["error"]) == (status, error)


def test_without_a_token_or_its_scope_nobody_gets_in(seller: Seller) -> None:
    seller.sign_in("orders")
    assert seller.get("/v4/orders")["resources"] == []
    assert seller.title("GET", "/v3/returns") == (403, "Forbidden")
    seller.token = "wrong"
    assert seller.title("GET", "/v4/orders") == (401, "Unauthorized")


def test_a_token_ends_after_half_an_hour(seller: Seller) -> None:
    seller.control("/time", {"seconds": 1801})
    assert seller.call("GET", "/v4/orders").status_code == 401


def test_a_revoked_app_is_out_at_once(seller: Seller) -> None:
    seller.control("/seller", {"revoked": True})
    assert seller.call("GET", "/v4/orders").status_code == 401
    assert seller.sign_in().status_code == 401


def test_a_refresh_token_works_once(seller: Seller) -> None:
    form = {
        "grant_type": "password",
        "client_id": "token-otto-api",
        "username": "api-anna",
        "password": "p&ss wörd+1",
    }
    first: Any = seller.client.post("/v1/token", data=form).json
    again = {
        "grant_type": "refresh_token",
        "client_id": "token-otto-api",
        "refresh_token": first["refresh_token"],
    }
    assert seller.client.post("/v1/token", data=again).status_code == 200
    assert seller.client.post("/v1/token", data=again).status_code == 400


@pytest.mark.parametrize(
    ("name", "most", "method", "path", "body"),
    [
        ("per_second", 20, "GET", "/v4/orders", None),
        ("products_per_second", 10, "GET", "/v5/products/prices", None),
        (
            "active_per_day",
            3,
            "POST",
            "/v5/products/active-status",
            {"status": [{"sku": "A", "active": True}]},
        ),
    ],
)
def test_the_documented_paces_are_kept(
    seller: Seller, world: World, name: str, most: int, method: str, path: str, body: Any
) -> None:
    world.pace = type(world.pace)(lambda: 0.0)  # all within one moment
    setattr(world.conduct, name, most)
    statuses = [seller.call(method, path, body).status_code for _ in range(most + 1)]
    assert statuses[:-1] == [202 if body else 200] * most
    assert statuses[-1] == 429


# --- orders --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 129},
        {"limit": 0},
        {"fulfillmentStatus": "OPEN"},
        {"status": "SENT"},
        {"fromDate": "x"},
        {"nextcursor": "x"},
    ],
)
def test_a_wrong_query_is_refused(seller: Seller, query: dict[str, Any]) -> None:
    assert seller.title("GET", "/v4/orders", **query) == (400, "INVALID_REQUEST_PARAMETER")


def test_in_bucket_mode_an_order_stands_under_its_lowest_state_only(seller: Seller) -> None:
    seller.on_sale()
    _, (first, _) = seller.buy(2)
    assert seller.call("POST", "/v1/shipments", parcel(first)).status_code == 201
    assert len(seller.get("/v4/orders", fulfillmentStatus="PROCESSABLE")["resources"]) == 1
    assert seller.get("/v4/orders", fulfillmentStatus="SENT")["resources"] == []
    assert len(seller.get("/v4/orders", fulfillmentStatus="SENT", mode="AT_LEAST_ONE")["resources"]) == 1


def test_an_announced_order_has_no_address_until_it_is_paid(seller: Seller) -> None:
    seller.on_sale()
    order, _ = seller.buy(state="announced")
    assert "deliveryAddress" not in seller.get(f"/v4/orders/{order}")
    seller.control(f"/orders/{order}/pay")
    shown = seller.get(f"/v4/orders/{order}")
    assert shown["deliveryAddress"]["countryCode"] == "DEU"
    assert shown["orderDate"].endswith("+0000")
    assert seller.get(f"/v4/orders/{shown['orderNumber']}")["salesOrderId"] == order


def test_nobody_buys_more_than_there_is(seller: Seller) -> None:
    seller.on_sale(2)
    assert (
        seller.client.post("/_control/buy", json={"lines": [{"sku": "TEE-001", "pieces": 3}]}).status_code
        == 409
    )
    seller.buy(2)
    assert seller.client.post("/_control/buy", json={"lines": [{"sku": "TEE-001"}]}).status_code == 409
    seller.buy(oversell=True)


def test_a_cancellation_is_all_or_nothing_and_done_later(seller: Seller) -> None:
    seller.on_sale()
    order, (first, second) = seller.buy(2)
    seller.call("POST", "/v1/shipments", parcel(first))
    items = ",".join(piece.partition("/")[2] for piece in (first, second))
    assert seller.title("POST", f"/v4/orders/{order}/positionItems/{items}/cancellation") == (409, "Conflict")
    one = second.partition("/")[2]
    assert seller.call("POST", f"/v4/orders/{order}/positionItems/{one}/cancellation").status_code == 202
    assert seller.call("POST", f"/v4/orders/{order}/positionItems/{one}/cancellation").status_code == 202
    assert [each["state"] for each in seller.state()["orders"][0]["pieces"]] == ["shipped", "to_ship"]
    seller.control("/settle")
    assert [each["state"] for each in seller.state()["orders"][0]["pieces"]] == ["shipped", "cancelled"]
    assert [each["deed"] for each in seller.state()["deeds"]] == ["offer", "ship", "cancel"]


def test_the_buyer_may_cancel_until_it_is_sent(seller: Seller) -> None:
    seller.on_sale()
    order, pieces = seller.buy(2)
    seller.control("/cancel", {"pieces": pieces[:1]})
    assert seller.state()["orders"][0]["pieces"][0]["state"] == "cancelled"
    seller.call("POST", "/v1/shipments", parcel(pieces[1]))
    assert seller.client.post("/_control/cancel", json={"order": order}).status_code == 409


def test_test_orders_are_there_as_in_the_vendors_sandbox(seller: Seller) -> None:
    seller.on_sale()
    assert seller.call("POST", "/v4/orders/testorders").status_code == 201
    assert len(seller.get("/v4/orders")["resources"]) == 1


# --- parcels -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "title"),
    [
        (lambda body: body.pop("trackingKey"), "PROPERTY_IS_MANDATORY"),
        (lambda body: body["trackingKey"].pop("trackingNumber"), "PROPERTY_IS_MANDATORY"),
        (lambda body: body["positionItems"][0].pop("returnTrackingKey"), "PROPERTY_IS_MANDATORY"),
        (lambda body: body["trackingKey"].update(carrier="DEUTSCHE_POST"), "INVALID_REQUEST_PARAMETER"),
        (
            lambda body: body["positionItems"][0]["returnTrackingKey"].update(carrier="DPD"),
            "INVALID_REQUEST_PARAMETER",
        ),
        (lambda body: body["shipFromAddress"].update(countryCode="DE"), "INVALID_REQUEST_PARAMETER"),
        (lambda body: body.update(shipDate="2026-11-21T12:00:00+01:00"), "INVALID_REQUEST_PARAMETER"),
        (lambda body: body.update(quantity=1), "INVALID_REQUEST_PARAMETER"),
        (lambda body: body["positionItems"][0].update(positionItemId=UNKNOWN), "INSUFFICIENT_PERMISSION"),
    ],
)
def test_a_parcel_that_is_not_right_is_refused(seller: Seller, change: Any, title: str) -> None:
    seller.on_sale()
    _, pieces = seller.buy()
    body = parcel(*pieces)
    change(body)
    assert seller.title("POST", "/v1/shipments", body) == (400, title)


def test_numbers_and_pieces_are_reported_once(seller: Seller) -> None:
    seller.on_sale()
    _, (first, second) = seller.buy(2)
    assert seller.call("POST", "/v1/shipments", parcel(first)).status_code == 201
    assert seller.title("POST", "/v1/shipments", parcel(second)) == (409, "DUPLICATE_TRACKING_KEY")
    again = seller.title("POST", "/v1/shipments", parcel(first, second, number="3"))
    assert again == (409, "POSITION_ITEM_INCLUDED_IN_OTHER_SHIPMENT")
    path = "/v1/shipments/carriers/DHL/trackingnumbers/1"
    assert seller.call("POST", f"{path}/positionitems", parcel(second)["positionItems"]).status_code == 200
    assert len(seller.get(path)["positionItems"]) == 2
    assert seller.call("GET", "/v1/shipments/carriers/DHL/trackingnumbers/9").status_code == 404
    assert len(seller.get("/v1/shipments", datefrom="2026-01-01")["resources"]) == 1


def test_what_is_announced_cannot_be_shipped(seller: Seller) -> None:
    seller.on_sale()
    _, pieces = seller.buy(state="announced")
    assert seller.title("POST", "/v1/shipments", parcel(*pieces)) == (400, "INVALID_REQUEST_PARAMETER")


# --- money back ------------------------------------------------------------------------------------------------------------------------


def test_a_price_is_reduced_after_shipping_and_not_below_nothing(seller: Seller) -> None:
    seller.on_sale()
    _, (piece,) = seller.buy()
    order_id, _, item_id = piece.partition("/")
    body: dict[str, Any] = {"salesOrderId": order_id, "positionItemId": item_id}

    def reduce(amount: float) -> int:
        price = {"amount": amount, "currency": "EUR"}
        return seller.call("POST", "/v1/price-reductions", {**body, "priceReduction": price}).status_code

    assert reduce(1) == 409
    seller.call("POST", "/v1/shipments", parcel(piece))
    assert (reduce(1.005), reduce(0), reduce(8)) == (400, 400, 400)
    assert reduce(1.5) == 202
    (shown,) = seller.get("/v1/price-reductions", positionItemId=item_id)["results"]
    assert shown["priceReductions"][0]["status"] == "INITIATED"
    (shown,) = seller.get("/v1/price-reductions", positionItemId=item_id)["results"]
    assert shown["priceReductions"][0]["status"] == "PROCESSED"
    assert seller.state()["orders"][0]["pieces"][0]["refunded"] == 150


def test_a_return_is_accepted_once(seller: Seller) -> None:
    seller.on_sale()
    _, (piece,) = seller.buy()
    order_id, _, item_id = piece.partition("/")
    row = {"salesOrderId": order_id, "positionItemId": item_id, "condition": "A", "reason": "RETURN_RECEIVED"}
    path = "/v3/returns/acceptance"
    assert seller.call("POST", path, {"positionItems": [row]}).status_code == 422
    seller.call("POST", "/v1/shipments", parcel(piece))
    assert seller.control("/return", {"pieces": [piece]}) == {"returns": [piece]}
    assert seller.client.post("/_control/return", json={"pieces": [piece]}).status_code == 409
    unknown = {**row, "positionItemId": UNKNOWN}
    answer = seller.call("POST", path, {"positionItems": [row, unknown]})
    told: Any = answer.json
    assert (answer.status_code, len(told["results"]), len(told["errors"])) == (207, 1, 1)
    assert seller.call("POST", path, {"positionItems": [row] * 201}).status_code == 413
    assert seller.call("POST", path, {"positionItems": [row | {"reason": "WHIM"}]}).status_code == 400
    assert [each["deed"] for each in seller.state()["deeds"]][-1] == "accept_return"
    (back,) = seller.get("/v1/return-shipments", datefrom="2026-01-01T00:00:00Z")["resources"]
    assert [each["state"] for each in back["states"]] == ["ANNOUNCED", "ON_THE_WAY", "DELIVERED"]


# --- goods -----------------------------------------------------------------------------------------------------------------------------


def changed(path: str, value: object) -> dict[str, Any]:
    """The product with one value changed; None takes it away."""
    body = copy.deepcopy(PRODUCT)
    place: Any = body
    *steps, last = path.split(".")
    for step in steps:
        place = place[int(step) if step.isdigit() else step]
    if value is None:
        place.pop(last)
    else:
        place[last] = value
    return body


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("productReference", None),
        ("ean", "2000000000008"),
        ("productDescription.category", "Bier"),
        ("productDescription.brandId", "OLD000001"),
        ("productDescription.attributes", []),
        ("productDescription.description", "x" * 2000),
        ("mediaAssets", []),
        ("pricing.vat", "19"),
        ("pricing.standardPrice.amount", 7.905),
        ("pricing.standardPrice.currency", "CHF"),
        ("compliance.productSafety.addresses.0.roles", ["MANUFACTURER"]),
        ("compliance.productSafety.addresses.0.email", None),
        ("delivery", {"type": "PARCEL"}),
        ("sku", "x" * 51),
    ],
)
def test_product_data_that_are_not_right_are_refused(seller: Seller, path: str, value: object) -> None:
    assert seller.title("POST", "/v5/products", [changed(path, value)]) == (400, "INVALID_REQUEST_PARAMETER")


def test_a_product_is_taken_then_done_then_validated_again(seller: Seller, world: World) -> None:
    world.conduct.moin_asks = 1
    task = seller.upload(PRODUCT)
    assert seller.get(task)["state"] == "pending"
    assert seller.get(task)["state"] == "done"
    assert [each["variation"] for each in seller.get(f"{task}/succeeded")["results"]] == ["TEE-001"]
    (status,) = seller.get("/v5/products/marketplace-status")["marketPlaceStatus"]
    assert status["status"] == "PENDING"
    assert "moin" not in status
    unknown = seller.call("POST", "/v1/availability/quantities", [{"sku": "TEE-001", "quantity": 1}])
    assert unknown.status_code == 422
    (status,) = seller.get("/v5/products/marketplace-status", sku="TEE-001")["marketPlaceStatus"]
    assert (status["status"], status["moin"][:4]) == ("ONLINE", "M00A")


def test_identical_data_are_unchanged_and_an_ean_is_there_once(seller: Seller) -> None:
    seller.upload(PRODUCT)
    seller.control("/settle")
    again, other = seller.upload(PRODUCT), seller.upload(PRODUCT | {"sku": "TEE-002"})
    seller.control("/settle")
    assert [each["variation"] for each in seller.get(f"{again}/unchanged")["results"]] == ["TEE-001"]
    (failed,) = seller.get(f"{other}/failed")["results"]
    assert failed["errors"][0]["title"] == "DUPLICATE_EAN"


def test_asking_before_ping_after_is_noted(seller: Seller, world: World) -> None:
    world.conduct.ping_seconds = 60
    seller.get(seller.upload(PRODUCT))
    assert len(seller.state()["violations"]) == 1


def test_before_the_release_products_are_restricted_and_after_it_they_wait_for_a_switch(
    seller: Seller,
) -> None:
    seller.control("/seller", {"live": False})
    seller.on_sale()
    assert seller.state()["offers"][0]["state"] == "RESTRICTED"
    seller.buy()  # By its own link, as a test order is placed.
    seller.control("/seller", {"live": True})
    assert seller.state()["offers"][0]["state"] == "INACTIVE"
    seller.call("POST", "/v5/products/active-status", {"status": [{"sku": "TEE-001", "active": True}]})
    seller.control("/settle")
    assert (seller.state()["offers"][0]["state"], seller.state()["offers"][0]["on"]) == ("ONLINE", True)


def test_a_product_is_rejected_when_the_catalogue_says_so(seller: Seller) -> None:
    seller.control("/products", [{"gtin": GTIN, "title": "Assam", "reject": "IMAGE_TOO_SMALL"}])
    seller.upload(PRODUCT)
    seller.control("/settle")
    assert seller.state()["offers"][0]["refused"] == "IMAGE_TOO_SMALL"


@pytest.mark.parametrize(
    "rows", [[], [{"sku": "TEE-001", "quantity": -1}], [{"sku": "TEE-001", "quantity": 1.5}], [{"sku": "A"}]]
)
def test_wrong_quantities_are_refused(seller: Seller, rows: list[Any]) -> None:
    assert seller.call("POST", "/v1/availability/quantities", rows).status_code == 422


def test_of_many_quantities_only_200_are_taken_and_only_known_ones(seller: Seller) -> None:
    seller.on_sale()
    rows = [{"sku": f"A{number}", "quantity": 1} for number in range(201)]
    assert seller.call("POST", "/v1/availability/quantities", rows).status_code == 413
    answer = seller.call(
        "POST", "/v1/availability/quantities", [{"sku": "TEE-001", "quantity": 7}, *rows[:1]]
    )
    told: Any = answer.json
    assert (answer.status_code, [each["sku"] for each in told["results"]]) == (207, ["TEE-001"])
    assert seller.get("/v1/availability/quantities/TEE-001")["quantity"] == 7
    assert seller.call("GET", "/v1/availability/quantities/A0").status_code == 404


@pytest.mark.parametrize(
    "change",
    [{"processingTime": "100"}, {"processingTime": 2}, {"shippingProfileId": "x"}, {"sku": "UNKNOWN"}],
)
def test_wrong_delivery_information_is_refused_in_its_own_shape(
    seller: Seller, change: dict[str, Any]
) -> None:
    seller.on_sale()
    row = {"sku": "TEE-001", "shippingProfileId": PROFILE, "processingTime": "2"}
    answer = seller.call("POST", "/v1/availability/product-delivery-information", [row | change])
    told: Any = answer.json
    assert (answer.status_code, told["status"], len(told["validationErrors"])) == (400, 400, 1)
    twice = seller.call("POST", "/v1/availability/product-delivery-information", [row, row])
    assert twice.status_code == 400


def test_a_price_is_a_process(seller: Seller) -> None:
    seller.on_sale()
    price = {"amount": 6.9, "currency": "EUR"}
    answer = seller.call(
        "POST",
        "/v5/products/prices",
        [{"sku": "TEE-001", "standardPrice": price}, {"sku": "X", "standardPrice": price}],
    )
    task: Any = answer.json
    assert seller.state()["offers"][0]["price"] == 790
    seller.control("/settle")
    assert seller.state()["offers"][0]["price"] == 690
    href = task["links"][0]["href"]
    assert [each["variation"] for each in seller.get(f"{href}/failed")["results"]] == ["X"]


# --- the simulator as all are -------------------------------------------------------------------------------------------------------------


def test_numbers_of_a_new_simulator_repeat_none_of_an_old_ones() -> None:
    ids = []
    for first in (1, 1_000_000):
        seller = Seller(SIMULATOR.create_app(first))
        seller.sign_in()
        order, pieces = seller.buy(oversell=True)
        ids += [order, *pieces]
    assert len(set(ids)) == 4


def test_the_state_tells_pieces_offers_and_deeds(seller: Seller) -> None:
    seller.on_sale()
    order, pieces = seller.buy(2)
    seller.call("POST", "/v1/shipments", parcel(pieces[0], number="77"))
    told = seller.state()
    assert [each["order"] for each in told["orders"]] == [order]
    assert told["orders"][0]["pieces"][0] == {
        "piece": pieces[0],
        "sku": "TEE-001",
        "price": 790,
        "state": "shipped",
        "tracking_number": "77",
        "refunded": 0,
    }
    assert told["offers"] == [
        {
            "sku": "TEE-001",
            "stock": 3,
            "price": 790,
            "on": True,
            "handling_days": 1,
            "state": "ONLINE",
            "refused": None,
        }
    ]
    assert [(each["deed"], each["pieces"]) for each in told["deeds"]] == [
        ("offer", ["TEE-001"]),
        ("ship", [pieces[0]]),
    ]


def test_a_word_that_conduct_does_not_know_is_refused(seller: Seller) -> None:
    assert seller.client.post("/_control/conduct", json={"mood": 1}).status_code == 400
    assert seller.control("/conduct", {"ping_seconds": 5})["ping_seconds"] == 5
