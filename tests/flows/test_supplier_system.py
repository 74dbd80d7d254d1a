"""A supplier system with a command URL lives the same life by signed events and signed commands alone (D6, K1-K10)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask, Response, request
from network_world import Network
from sqlalchemy import select
from suppliers import DHL, DHL_TOO, MATE, Supplier, connection_of, join
from world import serve

from app import ledger
from app.extensions import db
from app.models import Connection
from app.shops import signing


@dataclass
class Erp:
    """The other end of the commands: checks the signature, remembers what came, answers as docs/suppliers.md says."""

    secret: str = ""
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)

    def app(self) -> Flask:
        """The endpoint."""
        made = Flask("erp")
        made.post("/commands")(self.take)
        return made

    def take(self) -> Response:
        """One command."""
        signing.verify([self.secret], dict(request.headers), request.get_data(), datetime.now(UTC))
        command = request.get_json()
        kind, data = command["type"], command["data"]
        self.heard.append((kind, data))
        answer = getattr(self, "do_" + kind.replace(".", "_"), self.unknown)(data)
        refused = "code" in answer
        body = {"id": command["id"], "result": "refused" if refused else "done"}
        body |= {"error": answer} if refused else {"data": answer}
        return Response(json.dumps(body), 422 if refused else 200, mimetype="application/json")

    def unknown(self, data: dict[str, Any]) -> dict[str, Any]:
        """What this system does not do."""
        return {"code": "command.unknown", "message": "unknown", "field": None}

    def do_ping(self, data: dict[str, Any]) -> dict[str, Any]:
        """Alive."""
        told = {
            "plugin_version": "1",
            "platform": "erp",
            "platform_version": "1",
            "shop_url": "",
            "queue_length": 0,
        }
        return {"challenge": data["challenge"], **told}

    def do_order_create(self, data: dict[str, Any]) -> dict[str, Any]:
        """Once by its key."""
        order = self.orders.setdefault(data["key"], {**data, "id": 7000 + len(self.orders)})
        lines = [
            {"key": line["key"], "id": place, "product_found": True}
            for place, line in enumerate(data["lines"])
        ]
        return {
            "order_id": order["id"],
            "number": f"E-{order['id']}",
            "status": "processing",
            "stock_sequence": None,
            "lines": lines,
        }

    def do_order_label_sender(self, data: dict[str, Any]) -> dict[str, Any]:
        """Printed on the label from now on."""
        return {"order_id": data["order_id"]}

    def do_product_release(self, data: dict[str, Any]) -> dict[str, Any]:
        """Shown beside the product."""
        return {"known": len(data["products"]), "unknown": []}

    def data_of(self, kind: str) -> list[dict[str, Any]]:
        """What came with the commands of one kind."""
        return [data for each, data in self.heard if each == kind]


@pytest.fixture
def erp() -> Erp:
    return Erp()


@pytest.fixture
def fred(network: Network, erp: Erp) -> Iterator[Supplier]:
    server, url = serve(erp.app())
    supplier = join(network, "Freds Fabrik", command_url=f"{url}/commands")
    erp.secret = connection_of(supplier).secrets["command"][0]["secret"]
    network.work()
    assert connection_of(supplier).state == "active"
    yield supplier
    server.shutdown()
    server.server_close()


def reported(erp: Erp, **changed: Any) -> tuple[str, dict[str, Any]]:
    """(subject, data) of an order event of this system."""
    (order,) = erp.orders.values()
    lines = [
        {
            "id": place,
            "key": line["key"],
            "product_id": line["product_id"],
            "quantity": line["quantity"],
            "total": f"{line['quantity'] * 420 / 100:.2f}",
        }
        for place, line in enumerate(order["lines"])
    ]
    data = {
        "id": order["id"],
        "key": order["key"],
        "status": "processing",
        "currency": "EUR",
        "total": order["total"],
    }
    return f"order/{order['id']}", {**data, "lines": lines, **changed}


def test_the_whole_life_by_events_and_commands(network: Network, fred: Supplier, erp: Erp) -> None:
    fred.has("A-17")
    fred.has("A-18", MATE, dealer_price=None)
    network.work()
    told = {each["product_id"]: each for data in erp.data_of("product.release") for each in data["products"]}
    assert told["A-17"]["state"] == "released"
    assert [(each["code"], each["field"]) for each in told["A-18"]["reasons"]] == [
        ("release.dealer_price_missing", "dealer_price")
    ]
    tee = network.listing(network.boldt, fred.product("A-17"))
    number = network.boldt.buys((tee, 3))
    network.work()

    (draft,) = erp.data_of("order.create")
    assert (draft["source"]["marketplace"], draft["source"]["name"]) == ("dropshipping", "Bücher Boldt")
    assert (draft["total"], draft["shipping_total"]) == ("16.50", "3.90")
    assert draft["note"] == f"Bücher Boldt dropshipping order {number}"
    assert not draft["shipping"].get("email")
    assert [data["address"]["company"] for data in erp.data_of("order.label_sender")] == ["Bücher Boldt"]
    kinds = [kind for kind, _ in erp.heard]
    assert kinds.index("order.create") < kinds.index("order.label_sender")

    parcel = {"number": DHL, "carrier": "DHL", "lines": [{"id": 0, "quantity": 1}]}
    subject, data = reported(erp, tracking=[parcel])
    fred.tells("shipment.changed", subject, data)
    network.work()
    assert (network.trade().state, network.money().released) == ("part_shipped", 810)
    parcels = [parcel, {"number": DHL_TOO, "carrier": "DHL"}]
    subject, data = reported(erp, status="completed", tracking=parcels)
    fred.tells("shipment.changed", subject, data)
    network.work()
    assert (network.trade().state, network.money().released) == ("shipped", 1650)
    assert network.boldt.order(number).status == "completed"

    fred.tells("order.changed", subject, {**data, "status": "refunded"})
    network.work()
    assert network.money().refunded == 0  # K8: the status alone refunds nothing
    back = {
        "id": 9,
        "amount": "3.99",
        "currency": "EUR",
        "lines": [{"id": 0, "quantity": 0, "amount": "3.99"}],
    }
    for _ in range(2):
        fred.tells("order.refunded", subject, {**data, "refunds": [back]})
        network.work()
    assert network.money().refunded == 399
    assert ledger.breaches(network.session) == []
    assert network.cases() == []


def test_cancelled_in_the_system_gives_everything_back(network: Network, fred: Supplier, erp: Erp) -> None:
    fred.has("A-17")
    network.work()
    number = network.boldt.buys((network.listing(network.boldt, fred.product("A-17")), 2))
    network.work()
    subject, data = reported(erp, status="cancelled")
    fred.tells("order.changed", subject, data)
    network.work()
    assert network.boldt.order(number).status == "cancelled"
    assert (network.money().refunded, network.money().escrow) == (1230, 0)


def test_its_orders_are_read_by_the_api_and_handled_by_events(
    network: Network, fred: Supplier, erp: Erp
) -> None:
    fred.has("A-17")
    network.work()
    network.boldt.buys((network.listing(network.boldt, fred.product("A-17")), 2))
    network.work()
    (order,) = fred.program.get("/orders").body["data"]
    assert (order["here"], order["number"]) == (False, "E-7000")
    assert fred.program.post(f"/orders/{order['id']}/cancel", {}).error[:2] == (409, "supplier.in_a_shop")
    assert (
        db.session.scalars(select(Connection.provider).where(Connection.id == fred.connection)).one()
        == "standard"
    )
