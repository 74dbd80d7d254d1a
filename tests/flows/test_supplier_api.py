"""The whole life of a supplier without a shop and without an address: only signed events of products, and the supplier API (D6)."""

import pytest
from network_world import Network
from suppliers import DHL, DHL_TOO, MATE, Supplier, Told, join, listed, sold

from app import ledger


@pytest.fixture
def emil(network: Network) -> Supplier:
    return join(network)


def test_the_whole_life_with_two_parcels_and_a_return(network: Network, emil: Supplier) -> None:
    emil.has("A-17")
    emil.has("A-18", None)
    network.work()
    products = {each["product_id"]: each for each in emil.program.get("/products").body["data"]}
    assert (products["A-17"]["state"], products["A-17"]["price"]) == ("released", 420)
    assert [(each["code"], each["field"]) for each in products["A-18"]["reasons"]] == [
        ("release.gtin_missing", "gtin")
    ]
    assert [
        each["product_id"] for each in emil.program.get("/products?reason=release.gtin_missing").body["data"]
    ] == ["A-18"]
    tee = network.listing(network.boldt, emil.product("A-17"))
    number = sold(network, tee, network.boldt)

    page = emil.program.get("/orders?state=new").body
    (order,) = page["data"]
    assert not page["has_more"]
    assert (order["goods"], order["shipping_price"], order["total"]) == (1260, 390, 1650)
    assert (order["state"], order["here"], order["number"]) == ("new", True, str(number))
    assert order["sold_by"] == "Bücher Boldt"
    assert order["note"] == f"Bücher Boldt dropshipping order {number}"
    assert order["sender"]["company"] == "Bücher Boldt"
    assert order["shipping"]["address_1"]
    assert "@" not in str(order)
    (line,) = order["lines"]
    assert (line["product_id"], line["quantity"], line["left"], line["unit_price"]) == ("A-17", 3, 3, 420)
    key, path = line["id"], f"/orders/{order['id']}"

    slip = emil.program.get(f"{path}/packing-slip")
    assert (slip.status, slip.headers["Content-Type"]) == (200, "application/pdf")
    assert slip.body.startswith(b"%PDF")

    assert emil.program.post(f"{path}/accept", {"stock_sequence": 40}).body["already"] is False
    network.work()
    assert emil.order(order["id"])["state"] == "accepted"
    assert emil.program.get("/orders?state=new").body["data"] == []

    first = {"tracking_number": DHL, "carrier": "DHL", "lines": [{"id": key, "quantity": 1}]}
    assert emil.program.post(f"{path}/ship", first, "parcel-1").status == 200
    network.work()
    assert emil.order(order["id"])["state"] == "part_shipped"
    assert network.trade().state == "part_shipped"
    money = network.money()
    assert (money.released, money.escrow) == (420 + 390, 840)
    assert [parcel["number"] for parcel in _tracking(network, number)] == [DHL]

    rest = {"tracking_number": DHL_TOO, "carrier": "DHL"}
    assert emil.program.post(f"{path}/ship", rest, "parcel-2").status == 200
    network.work()
    shown = emil.order(order["id"])
    assert (shown["state"], shown["lines"][0]["shipped"], shown["lines"][0]["left"]) == ("shipped", 3, 0)
    assert [(each["tracking_number"], each["lines"]) for each in shown["parcels"]] == [
        (DHL, [{"id": key, "quantity": 1}]),
        (DHL_TOO, [{"id": key, "quantity": 2}]),
    ]
    assert (shown["money"]["released"], shown["money"]["held"]) == (1650, 0)
    assert [parcel["number"] for parcel in _tracking(network, number)] == [DHL, DHL_TOO]
    assert network.boldt.order(number).status == "completed"

    back = {"id": "RE-7", "amount": 399, "reason": "bruised", "lines": [{"id": key, "amount": 399}]}
    assert emil.program.post(f"{path}/refunds", back, "return-7").body["already"] is False
    network.work()
    assert network.money().refunded == 399
    assert emil.order(order["id"])["refunds"][0]["amount"] == 399
    assert emil.program.post(f"{path}/refunds", back).body == {
        "order": order["id"],
        "event": None,
        "already": True,
    }
    network.work()
    assert network.money().refunded == 399

    told = emil.program.get("/money").body
    assert told["balances"] == {
        "held": 0,
        "disputed": 0,
        "payable": 1650 - 399,
        "receivable": 0,
        "payout_in_transit": 0,
    }
    assert [(row["kind"], row["amount"]) for row in told["rows"]] == [
        ("release", 810),
        ("release", 840),
        ("refund", -399),
    ]
    assert (told["opening"], told["closing"]) == (0, 1251)
    assert ledger.breaches(network.session) == []
    assert network.cases() == []


def test_cancelled_goes_to_the_retailer_and_all_money_back(network: Network, emil: Supplier) -> None:
    number = sold(network, listed(network, emil, network.boldt), network.boldt)
    (order,) = emil.program.get("/orders").body["data"]
    assert emil.program.post(f"/orders/{order['id']}/cancel", {}).body["already"] is False
    assert emil.program.post(f"/orders/{order['id']}/cancel", {}).body["already"] is True
    network.work()
    assert emil.order(order["id"])["state"] == "cancelled"
    assert network.boldt.order(number).status == "cancelled"
    assert (network.money().refunded, network.money().escrow) == (1650, 0)
    ship = {"tracking_number": DHL, "carrier": "DHL"}
    assert emil.program.post(f"/orders/{order['id']}/ship", ship).error == (
        409,
        "supplier.order_over",
        None,
    )
    assert ledger.breaches(network.session) == []


def test_an_order_that_waits_for_a_yes(network: Network) -> None:
    emil = join(network, accepts_orders=False)
    tee = listed(network, emil, network.boldt)
    sold(network, tee, network.boldt, 1)
    (order,) = emil.program.get("/orders?state=to_accept").body["data"]
    assert (order["shipping"], order["passed_on_at"]) == (None, None)
    path = f"/orders/{order['id']}"
    for deed, body in (
        ("ship", {"tracking_number": DHL}),
        ("refunds", {"id": "1", "amount": 1}),
        ("cancel", {}),
    ):
        assert emil.program.post(f"{path}/{deed}", body).error[:2] == (409, "supplier.not_yours_yet")
    assert emil.program.post(f"{path}/accept", {}).body["already"] is False
    network.work()
    shown = emil.order(order["id"])
    assert shown["state"] == "new"
    assert shown["shipping"]["city"]
    assert emil.program.post(f"{path}/reject", {"reason": "zu spät"}).error[:2] == (409, "trade.not_open")

    number = sold(network, tee, network.boldt, 2)
    (order,) = emil.program.get("/orders?state=to_accept").body["data"]
    path = f"/orders/{order['id']}"
    assert emil.program.post(f"{path}/reject", {"reason": "ausverkauft"}).body["already"] is False
    assert emil.program.post(f"{path}/reject", {"reason": "ausverkauft"}).body["already"] is True
    network.work()
    assert emil.order(order["id"])["state"] == "rejected"
    assert network.boldt.order(number).status == "cancelled"
    assert network.money().refunded == network.money().captured


@pytest.mark.parametrize("at_once", [True, False])
def test_more_in_a_known_parcel_is_told_with_all_its_lines(
    network: Network, emil: Supplier, *, at_once: bool
) -> None:
    """Three of one thing: one is told, then two, then all three; before the first was worked off, or after it."""
    sold(network, listed(network, emil, network.boldt), network.boldt)
    (order,) = emil.program.get("/orders").body["data"]
    path, key = f"/orders/{order['id']}", order["lines"][0]["id"]
    units = order["lines"][0]["quantity"]
    emil.program.post(f"{path}/accept", {})

    def told(quantity: int) -> Told:
        lines = [{"id": key, "quantity": quantity}]
        answer = emil.program.post(f"{path}/ship", {"tracking_number": DHL, "carrier": "DHL", "lines": lines})
        if not at_once:
            network.work()
        return answer

    assert [told(count).body["already"] for count in range(1, units + 1)] == [False] * units
    assert told(units).body["already"] is True
    assert told(1).error == (422, "supplier.number_used", "tracking_number")
    assert told(units + 1).error == (422, "supplier.quantity_too_high", "lines.0.quantity")
    network.work()
    money = network.money()
    assert (money.released, money.escrow) == (money.captured, 0)
    assert len(network.boldt.order(int(network.retail().shop_order_id)).tracking) == 1
    assert ledger.breaches(network.session) == []


def test_deeds_before_the_last_one_was_worked_off(network: Network, emil: Supplier) -> None:
    """Five reports in a row while no worker runs: each builds on the one before, and all of them count once."""
    sold(network, listed(network, emil, network.boldt), network.boldt)
    (order,) = emil.program.get("/orders").body["data"]
    path, key = f"/orders/{order['id']}", order["lines"][0]["id"]
    assert emil.program.post(f"{path}/accept", {}).status == 200
    part = {"tracking_number": DHL, "carrier": "DHL", "lines": [{"id": key, "quantity": 2}]}
    assert emil.program.post(f"{path}/ship", part).body["already"] is False
    assert emil.program.post(f"{path}/ship", part).body["already"] is True
    other = {**part, "lines": [{"id": key, "quantity": 1}]}
    assert emil.program.post(f"{path}/ship", other).error == (422, "supplier.number_used", "tracking_number")
    much = {"tracking_number": DHL_TOO, "carrier": "DHL", "lines": [{"id": key, "quantity": 2}]}
    assert emil.program.post(f"{path}/ship", much).error == (
        422,
        "supplier.quantity_too_high",
        "lines.0.quantity",
    )
    assert emil.order(order["id"])["waiting"] is True
    assert emil.program.post(f"{path}/ship", {"tracking_number": DHL_TOO, "carrier": "DHL"}).status == 200
    assert emil.program.post(f"{path}/ship", {"tracking_number": None}).body["already"] is True
    assert emil.program.post(f"{path}/refunds", {"id": "R1", "amount": 1000}).status == 200
    assert emil.program.post(f"{path}/refunds", {"id": "R1", "amount": 999}).error == (
        422,
        "supplier.refund_id_used",
        "id",
    )
    assert emil.program.post(f"{path}/refunds", {"id": "R2", "amount": 651}).error == (
        422,
        "supplier.amount_too_high",
        "amount",
    )
    assert emil.program.post(f"{path}/refunds", {"id": "R2", "amount": 650}).status == 200
    network.work()
    shown = emil.order(order["id"])
    assert (shown["state"], shown["waiting"]) == ("shipped", False)
    assert len(shown["parcels"]) == 2
    assert network.money().refunded == 1650
    assert [each["id"] for each in shown["refunds"]] == ["R1", "R2"]
    assert ledger.breaches(network.session) == []


def test_shipped_without_a_number_releases_nothing_until_one_comes(network: Network, emil: Supplier) -> None:
    sold(network, listed(network, emil, network.boldt), network.boldt, 1)
    (order,) = emil.program.get("/orders").body["data"]
    path, key = f"/orders/{order['id']}", order["lines"][0]["id"]
    lines = [{"id": key, "quantity": 1}]
    assert emil.program.post(f"{path}/ship", {"lines": lines}).error == (
        422,
        "supplier.lines_need_number",
        "tracking_number",
    )
    assert emil.program.post(f"{path}/ship", {}).body["already"] is False
    network.work()
    assert network.money().released == 0
    assert emil.program.post(f"{path}/ship", {"tracking_number": DHL, "carrier": "DHL"}).status == 200
    network.work()
    assert emil.order(order["id"])["state"] == "shipped"
    assert network.money().released == 810


def test_called_off_pieces_before_shipping(network: Network, emil: Supplier) -> None:
    """A refund with pieces that have not left takes them off the order; the rest is still sent."""
    sold(network, listed(network, emil, network.boldt), network.boldt)
    (order,) = emil.program.get("/orders").body["data"]
    path, key = f"/orders/{order['id']}", order["lines"][0]["id"]
    body = {"id": "RE-1", "amount": 420, "lines": [{"id": key, "quantity": 1, "amount": 420}]}
    assert emil.program.post(f"{path}/refunds", body).status == 200
    network.work()
    line = emil.order(order["id"])["lines"][0]
    assert (line["cancelled"], line["left"]) == (1, 2)
    assert emil.program.post(f"{path}/ship", {"tracking_number": DHL, "carrier": "DHL"}).status == 200
    network.work()
    assert emil.order(order["id"])["state"] == "shipped"
    money = network.money()
    assert (money.refunded, money.released, money.escrow) == (420, 1230, 0)


def test_the_feed_never_loses_an_order(network: Network, emil: Supplier) -> None:
    tee = listed(network, emil, network.boldt)
    for _ in range(3):
        sold(network, tee, network.boldt, 1)
    seen, since = [], ""
    while True:
        page = emil.program.get(f"/orders?limit=1{since}").body
        seen += [each["id"] for each in page["data"]]
        since = f"&since={page['next']}"
        if not page["has_more"]:
            break
    assert len(set(seen)) == 3
    sold(network, tee, network.boldt, 1)
    again = emil.program.get(f"/orders?{since[1:]}").body["data"]
    assert again[-1]["id"] not in seen
    for wrong in ("x", "1_2_3", "9" * 17 + "_1", "²_1"):
        assert emil.program.call("GET", f"/orders?since={_quoted(wrong)}").error[2] == "since"


def test_stock_is_not_counted_twice(network: Network, emil: Supplier) -> None:
    """With a stock sequence the order is inside his own number; without one it is taken off until the parcel leaves (I13)."""
    tee = listed(network, emil, network.boldt)
    sold(network, tee, network.boldt, 4)
    (order,) = emil.program.get("/orders").body["data"]
    assert network.dora.shop is not None
    assert network.reserved(emil.product("A-17")) == 4
    booked = next(emil.numbers)
    emil.program.post(f"/orders/{order['id']}/accept", {"stock_sequence": booked})
    network.work()
    emil.tells("stock.changed", "product/A-17", {"id": "A-17", "stock": 6})
    network.work()
    assert network.boldt.stock(tee.sku) == 6


def test_a_marketplace_order_is_pulled_and_shipped_too(network: Network, emil: Supplier) -> None:
    """A custom shop without an address sells at Kaufland itself: the same API, no retailer, no sender, no money of the network."""
    from app.models import Connection

    network.kaufland_app.extensions["kaufland"].add_product(MATE)
    network.sell_at_kaufland(emil)  # type: ignore[arg-type]  # only his account is asked for
    emil.has("M-1", MATE, dealer_price=None, network_category=None)
    network.work()
    from world import call

    wanted = {"lines": [{"id_offer": "SKU-M-1", "pieces": 2, "price": 1200}]}
    call("POST", f"{network.kaufland_url}/_control/orders", wanted)
    network.work()
    (order,) = emil.program.get("/orders?state=new").body["data"]
    assert (order["sender"], order["here"], order["sold_by"]) == (
        None,
        True,
        network.session.get_one(Connection, network.kaufland_connection).name,
    )
    assert "@" not in str(order)
    path, key = f"/orders/{order['id']}", order["lines"][0]["id"]
    body = {"tracking_number": DHL, "carrier": "DHL", "lines": [{"id": key, "quantity": 1}]}
    assert emil.program.post(f"{path}/ship", body).status == 200
    network.work()
    assert emil.order(order["id"])["state"] == "part_shipped"
    assert emil.program.post(f"{path}/reject", {"reason": "x"}).error[:2] == (409, "trade.not_open")
    assert emil.program.get(f"{path}/packing-slip").status == 404


def _tracking(network: Network, number: int) -> list[dict[str, str]]:
    return [{"number": each["number"]} for each in network.boldt.order(number).tracking]


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text)
