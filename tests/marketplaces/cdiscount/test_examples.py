"""Every example of the facts goes through the translators and the simulator, where they are at hand (../shared/specs beside the repository).

There is no OpenAPI file of Octopia's to check against; the simulator is the strictest description there is here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app import messages as m
from app.marketplaces.cdiscount import translate as t
from app.sandbox.cdiscount import PREFIX, World, create_app
from app.sandbox.cdiscount.world import CARRIERS, DEMO_CLIENT, DEMO_SECRET, DEMO_SELLER
from tests.marketplaces.cdiscount.conftest import OFFER
from tests.marketplaces.cdiscount.test_translate import TERMS, wanted

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "specs" / "octopia"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the examples are not here")

SKIPPED = {
    "discussions.patch.request.json": "messages between buyer and seller are no part of the bridge",
    "messages.create.request.json": "as above",
    "token.response.json": "read in the client's tests: a token is no message of ours",
    "offer-packages.status.response.json": "read in the client's tests: only its state counts",
    "orders.count.response.json": "a bare number",
}
CHECKED = {
    "carriers.response.json", "commercial-gestures-available-amounts.response.json", "offer-packages.create.request.json",
    "offer-packages.offer-requests-results.response.json", "offer-packages.offer-requests.update.request.json",
    "offer-packages.offer-requests.upsert.request.json", "offer-packages.submit.request.json", "offers.list.response.json",
    "order-cancellation-requests.request.json", "order-commercial-gesture-requests.request.json",
    "order-partial-cancellation-requests.request.json", "order.approval-status.request.json", "order.shipments.error.400.json",
    "order.shipments.request.json", "orders.list.response.json", "products-integration-reports.response.json",
    "products-integration.request.json", "sellers.delivery-modes.response.json",
}  # fmt: skip
# What an order tells and the bridge does not need.
IGNORED = {
    "reference": "null in what was seen; the order is known by its id",
    "businessOrder": "no other treatment of the order is documented",
    "seller": "ourselves",
    "customer": "an anonymous reference",
    "createdAt": "purchasedAt is what the buyer knows",
    "payment": "Cdiscount collects the money",
    "totalPrice": "the sum of the lines",
    "serviceFees": "between the buyer and Cdiscount",
    "statusEvents": "the history of what status says now",
}
READ = {
    "orderId", "salesChannel", "purchasedAt", "updatedAt", "shippedAtMax", "status", "currencyCode", "billingAddress", "lines",
}  # fmt: skip


def example(name: str) -> Any:
    return json.loads((FOLDER / "examples" / f"{name}.json").read_text("utf-8"), parse_float=Decimal)


def test_every_example_is_checked_or_skipped_with_a_reason() -> None:
    there = {each.name for each in (FOLDER / "examples").glob("*.json")}
    assert there == CHECKED | set(SKIPPED)


def test_the_example_order_is_read() -> None:
    (row,) = t.rows(example("orders.list.response"))
    assert set(row) == READ | set(IGNORED)
    order = t.order(row)
    assert order is not None
    (piece,) = order.pieces
    assert (piece.external_id, piece.unit_price, piece.shipping_price) == (
        "26090212345ABCDE/L1/1",
        10_000,
        500,
    )
    assert (piece.state, piece.vat_percent) == (m.PieceState.TO_SHIP, "20")
    assert piece.ship_by == datetime(2026, 9, 4, tzinfo=UTC)
    assert order.shipping is not None
    assert (order.shipping.postcode, order.shipping.country) == ("69003", "FR")


def test_the_simulator_knows_the_recorded_carriers() -> None:
    recorded = (FOLDER / "carriers_2026-09-02.csv").read_text("utf-8").splitlines()[1:]
    assert [",".join(each) for each in CARRIERS] == recorded
    assert t.labels(example("carriers.response")) == ["Colissimo", "GLS"]


def test_the_example_answers_are_read() -> None:
    assert t.delivery_modes(example("sellers.delivery-modes.response")) == ["TRK", "REG"]
    limit = example("commercial-gestures-available-amounts.response")
    assert t.minor(limit["allowableAmount"], "x") == 1250
    verdicts = t.results(t.rows(example("offer-packages.offer-requests-results.response")))
    assert verdicts == {"SKU-1": (True, "8000", "Offer created"), "SKU-2": (False, "<code>", "<why>")}
    (offer,) = t.rows(example("offers.list.response"))
    shown = t.shown(offer)
    assert shown is not None
    assert (shown.sku, shown.price, shown.state) == ("SKU-1", 4999, m.OfferState.ON_SALE)
    why = t.reason(400, example("order.shipments.error.400"))
    assert (why.code, why.params["message"]) == ("partner.field_refused", "unknown carrier")


def test_the_example_report_of_sheets_is_read() -> None:
    report = example("products-integration-reports.response")
    answers = [t.sheet_answer(report, "P", f"SKU-{n}") for n in (1, 2, 3)]
    codes = [each.reason.code if each and each.reason else None for each in answers]
    assert codes == ["product.data_processing", "cdiscount.product_quota", "product.data_missing"]


def sent(body: object) -> Any:
    return json.loads(t.encoded(body), parse_float=Decimal)


def test_our_bodies_have_the_fields_of_the_examples() -> None:
    order = {"orderId": "26090212345ABCDE"}
    line = {"orderLineId": "L1", "offer": {"id": "OF1"}}
    assert sent(t.cancel_body(order, "<code from GET /cancellation-reasons>")) == example(
        "order-cancellation-requests.request"
    )
    assert sent(t.cancel_lines_body(order, [line], "<code>")) == example(
        "order-partial-cancellation-requests.request"
    )
    assert set(sent(t.gesture_body("A", 500, "delayed"))) == set(
        example("order-commercial-gesture-requests.request")
    )
    assert set(t.shipment_body("1", "Colissimo", "https://x.example")[0]) == set(
        example("order.shipments.request")[0]
    )
    assert set(t.upsert_body(OFFER, TERMS)) == set(example("offer-packages.offer-requests.upsert.request")[0])
    update = t.update_body(wanted(stock=0, was=m.OfferShown("TEE-001", "TEE-001", 1, 1, 1, True)))
    assert update is not None
    assert set(update) == set(example("offer-packages.offer-requests.update.request")[0])


def test_our_sheet_has_the_fields_of_the_example() -> None:
    (theirs,) = example("products-integration.request")["products"]
    product = m.ProductData(
        {"brand": "B", "description": "D", "rich": "R"}, ("https://x.example/a.jpg",), "P"
    )
    texts = {**t.DEFAULT_TEXTS, "richMarketingDescription": "rich"}
    ours = t.sheet(wanted(product=product), t.SheetMap({"*": "0Z"}, texts, {"3263": "brand"}))
    assert isinstance(ours, dict)
    assert set(ours) == set(theirs)


def test_the_simulator_takes_the_example_requests() -> None:
    world = World()
    world.conduct.modes = ["TRK", "REG"]
    page = create_app(world).test_client()
    token = world.new_token(DEMO_CLIENT, DEMO_SECRET)["access_token"]
    headers = {"Authorization": f"Bearer {token}", "SellerId": DEMO_SELLER, "salesChannelId": "CDISFR"}
    headers["Accept-Language"] = "fr-FR"

    def send(method: str, path: str, name: str, status: int) -> Any:
        raw = (FOLDER / "examples" / f"{name}.json").read_bytes()
        answer = page.open(
            f"{PREFIX}{path}", method=method, data=raw, headers=headers, content_type="application/json"
        )
        assert answer.status_code == status, answer.text
        return answer

    made = send("POST", "/offer-packages", "offer-packages.create.request", 201)
    path = "/offer-packages/" + made.headers["Content-Location"].rpartition("/")[2]
    send("POST", f"{path}/offer-requests", "offer-packages.offer-requests.upsert.request", 201)
    send("PATCH", path, "offer-packages.submit.request", 204)
    send("POST", "/products-integration", "products-integration.request", 201)
    update = world.new_package("Update")["id"]
    send(
        "POST",
        f"/offer-packages/{update}/offer-requests",
        "offer-packages.offer-requests.update.request",
        201,
    )
    number = world.place_order({"lines": [{"sku": "A"}], "oversell": True})["id"]
    send("POST", f"/orders/{number}/approval-status", "order.approval-status.request", 201)
    world.tick(everything=True)
    send("POST", f"/orders/{number}/shipments", "order.shipments.request", 201)
