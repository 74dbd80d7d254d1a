"""The supplier API at its edges: wrong input, repeats, strangers, races, and orders that nobody fetches."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from network_world import Network
from sqlalchemy import func, select, text
from suppliers import DHL, DHL_TOO, Program, Supplier, connection_of, join, listed, sold

from app import accounts, ledger
from app.extensions import db
from app.models import Event, Idempotency, Order


@pytest.fixture
def emil(network: Network) -> Supplier:
    return join(network)


@pytest.fixture
def order(network: Network, emil: Supplier) -> Any:
    """An order that Emil has to send: three pieces of tea for Bücher Boldt."""
    sold(network, listed(network, emil, network.boldt), network.boldt)
    return emil.program.get("/orders").body["data"][0]


def written() -> tuple[int, int]:
    """Events of the API, and idempotency rows."""
    db.session.rollback()
    events = select(func.count()).select_from(Event).where(Event.delivery_id.like("api\\_%"))
    rows = select(func.count()).select_from(Idempotency)
    return int(db.session.scalar(events) or 0), int(db.session.scalar(rows) or 0)


LINE: dict[str, Any] = {"id": "<line>", "quantity": 1}
WRONG: list[tuple[str, Any, int, str | None]] = [
    ("ship", {"tracking_number": 7}, 422, "tracking_number"),
    ("ship", {"tracking_number": ""}, 422, "tracking_number"),
    ("ship", {"tracking_number": "x" * 101}, 422, "tracking_number"),
    ("ship", {"tracking_number": "00340434161094015903", "carrier": "DHL"}, 422, "tracking_number"),
    ("ship", {"tracking_number": "???"}, 422, "tracking_number"),
    ("ship", {"tracking_number": DHL, "carrier": ["DHL"]}, 422, "carrier"),
    ("ship", {"tracking_number": DHL, "lines": []}, 422, "lines"),
    ("ship", {"tracking_number": DHL, "lines": [{"id": "ln_999", "quantity": 1}]}, 422, "lines.0.id"),
    ("ship", {"tracking_number": DHL, "lines": [LINE, LINE]}, 422, "lines.1.id"),
    ("ship", {"tracking_number": DHL, "lines": [{**LINE, "quantity": 0}]}, 422, "lines.0.quantity"),
    ("ship", {"tracking_number": DHL, "lines": [{**LINE, "quantity": 4}]}, 422, "lines.0.quantity"),
    ("ship", {"tracking_number": DHL, "lines": [{**LINE, "quantity": 1.0}]}, 422, "lines.0.quantity"),
    ("ship", {"tracking_number": DHL, "lines": [{**LINE, "quantity": True}]}, 422, "lines.0.quantity"),
    ("ship", {"tracking_number": DHL, "lines": [{**LINE, "quantity": 10**30}]}, 422, None),
    ("ship", {"number": DHL}, 422, "number"),
    ("refunds", {"amount": 1}, 422, "id"),
    ("refunds", {"id": "  ", "amount": 1}, 422, "id"),
    ("refunds", {"id": "R\u0007", "amount": 1}, 422, "id"),
    ("refunds", {"id": "R1"}, 422, "amount"),
    ("refunds", {"id": "R1", "amount": "4.20"}, 422, "amount"),
    ("refunds", {"id": "R1", "amount": 0}, 422, "amount"),
    ("refunds", {"id": "R1", "amount": -1}, 422, "amount"),
    ("refunds", {"id": "R1", "amount": 4.2}, 422, "amount"),
    ("refunds", {"id": "R1", "amount": 1651}, 422, "amount"),
    ("refunds", {"id": "R1", "amount": 10**40}, 422, None),
    ("refunds", {"id": "R1", "amount": 10, "lines": [{"id": "ln_9", "amount": 1}]}, 422, "lines.0.id"),
    ("refunds", {"id": "R1", "amount": 10, "lines": [{"id": "<line>", "amount": 11}]}, 422, "lines"),
    (
        "refunds",
        {"id": "R1", "amount": 10, "lines": [{"id": "<line>", "amount": 1, "quantity": 4}]},
        422,
        "lines.0.quantity",
    ),
    ("refunds", {"id": "R1", "amount": 10, "restocked": "no"}, 422, "restocked"),
    ("accept", {"stock_sequence": "7"}, 422, "stock_sequence"),
    ("accept", {"stock_sequence": 0}, 422, "stock_sequence"),
    ("accept", {"stock_sequence": 2**53 + 1}, 422, None),
    ("reject", {}, 422, "reason"),
    ("reject", {"reason": "\ud800"}, 400, None),
    ("cancel", {"reason": "x"}, 422, "reason"),
]


def test_wrong_input_names_its_field_and_writes_nothing(emil: Supplier, order: Any) -> None:
    before, path = written(), f"/orders/{order['id']}"
    for deed, body, status, field in WRONG:
        told = json.loads(json.dumps(body).replace("<line>", order["lines"][0]["id"]))
        answer = emil.program.post(f"{path}/{deed}", told, key="wrong")
        assert answer.error[::2] == (status, field) or field is None, (deed, body, answer.body)
        assert answer.status == status, (deed, body, answer.body)
        assert answer.body["error"]["message"]
    for raw in (b"", b"{", b"[]", b"null", b"\xff", b'{"id":1,"id":2}', b"[" * 5000):
        for deed in ("accept", "reject", "ship", "cancel", "refunds"):
            assert 400 <= emil.program.call("POST", f"{path}/{deed}", raw).status < 500, (deed, raw)
    assert written() == before


def test_wrong_ids_and_filters_are_no_500(emil: Supplier, order: Any) -> None:
    for name in ("ord_0", "ord_999999", "ord_" + "9" * 30, "trd_1", "x", "%00", "%F0%9F%8D%B5"):
        for deed in ("", "/packing-slip"):
            assert emil.program.get(f"/orders/{name}{deed}").status == 404, name
        assert emil.program.post(f"/orders/{name}/cancel", {}).status == 404
    for query in (
        "orders?state=lost", "orders?limit=0", "orders?limit=x", "orders?odd=1", "products?state=x", "products?cursor=x",
        "products?reason=%00", "money?currency=euro", "money?since=yesterday", "money?since=2026-11-21T00:00:00",
        "money?since=2027-01-01T00:00:00Z&until=2026-01-01T00:00:00Z", "money?since=9999-12-31T23:59:59Z",
    ):  # fmt: skip
        assert emil.program.get(f"/{query}").status in {400, 422}, query


def test_the_same_idempotency_key_does_it_once(network: Network, emil: Supplier, order: Any) -> None:
    path = f"/orders/{order['id']}"
    body = {"id": "RE-1", "amount": 100}
    first = emil.program.post(f"{path}/refunds", body, "k-1")
    again = emil.program.post(f"{path}/refunds", body, "k-1")
    assert (first.body, again.headers.get("Idempotency-Replayed")) == (again.body, "true")
    assert emil.program.post(f"{path}/refunds", {**body, "amount": 101}, "k-1").error[:2] == (
        422,
        "idempotency.key_reused",
    )
    assert emil.program.post(f"{path}/ship", {"tracking_number": "?"}, "k-2").status == 422
    assert emil.program.post(f"{path}/ship", {"tracking_number": DHL}, "k-2").status == 200
    network.work()
    assert network.money().refunded == 100
    assert written()[0] == 2


def test_a_stranger_sees_and_does_nothing(network: Network, emil: Supplier, order: Any) -> None:
    chai = join(network, "Chai GmbH")
    before = written()[0]
    assert chai.program.get("/orders").body["data"] == []
    assert chai.program.get("/products").body["data"] == []
    assert chai.program.get("/money").body["rows"] == []
    deeds = {"accept": {}, "reject": {"reason": "x"}, "ship": {"tracking_number": DHL}, "cancel": {}}
    for deed, body in {**deeds, "refunds": {"id": "R", "amount": 1}}.items():
        assert chai.program.post(f"/orders/{order['id']}/{deed}", body).status == 404
        assert (
            Program(emil.bridge, "sb_" + "x" * 43).post(f"/orders/{order['id']}/{deed}", body).status == 401
        )
    assert chai.program.get(f"/orders/{order['id']}/packing-slip").status == 404
    retailer = Program(emil.bridge, accounts.make_token(db.session, network.boldt.account, "ERP"))
    db.session.commit()
    assert retailer.get("/orders").body["data"] == []
    assert retailer.get(f"/orders/{order['id']}").status == 404
    assert written()[0] == before


def test_an_operator_sees_no_customers_and_fetches_nothing(emil: Supplier, order: Any) -> None:
    db.session.get_one(Order, int(order["id"][4:])).fetch_by = datetime.now(UTC)
    token = accounts.make_token(db.session, None, "operator")
    db.session.commit()
    operator = Program(emil.bridge, token)
    (shown,) = operator.get("/orders").body["data"]
    assert (shown["id"], shown["shipping"]) == (order["id"], None)
    assert operator.get(f"/orders/{order['id']}/packing-slip").status == 403
    assert operator.get("/money").error == (400, "account.missing", "account")
    db.session.expire_all()
    assert db.session.get_one(Order, int(order["id"][4:])).fetch_by is not None


def test_an_order_that_nobody_fetches_becomes_a_case_until_somebody_does(
    network: Network, emil: Supplier
) -> None:
    connection_of(emil).settings = {**connection_of(emil).settings, "fetch_hours": 2}
    db.session.commit()
    sold(network, listed(network, emil, network.boldt), network.boldt)
    row = db.session.scalars(select(Order).where(Order.fetch_by.is_not(None))).one()
    assert timedelta(minutes=119) < row.fetch_by - datetime.now(UTC) <= timedelta(minutes=120)
    network.sweep()
    assert network.cases() == []
    db.session.execute(
        text("UPDATE orders SET fetch_by = now() - interval '1 second' WHERE fetch_by IS NOT NULL")
    )
    db.session.commit()
    network.sweep()
    network.sweep()
    assert network.cases() == ["order.not_fetched"]
    (shown,) = emil.program.get("/orders?state=new").body["data"]
    assert network.cases() == []
    assert "order.fetched" in network.story(int(shown["id"][4:]))
    network.sweep()
    assert network.cases() == []


def test_an_order_that_is_over_is_not_waited_for(network: Network, emil: Supplier) -> None:
    sold(network, listed(network, emil, network.boldt), network.boldt)
    row = db.session.scalars(select(Order).where(Order.fetch_by.is_not(None))).one()
    row.fetch_by = datetime.now(UTC) - timedelta(seconds=1)
    db.session.execute(text("UPDATE order_piece SET state = 'cancelled'"))
    db.session.commit()
    network.sweep()
    assert network.cases() == []
    db.session.expire_all()
    assert row.fetch_by is None


def test_many_programs_at_once_send_every_piece_once(network: Network, emil: Supplier, order: Any) -> None:
    """Eight threads report the same last pieces and the same refund: what is left is never exceeded."""
    path, line = f"/orders/{order['id']}", order["lines"][0]["id"]
    told: list[int] = []

    def report(number: int) -> None:
        body = {"tracking_number": f"LX{number:08d}", "lines": [{"id": line, "quantity": 2}]}
        told.append(emil.program.post(f"{path}/ship", body).status)
        told.append(emil.program.post(f"{path}/refunds", {"id": f"R{number}", "amount": 1000}).status + 1000)

    threads = [threading.Thread(target=report, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [200] + [422] * 7 + [1200] + [1422] * 7
    network.work()
    shown = emil.order(order["id"])
    assert (shown["lines"][0]["shipped"], shown["lines"][0]["left"]) == (2, 1)
    assert network.money().refunded == 1000
    assert ledger.breaches(db.session) == []


def test_orders_of_a_shop_are_read_but_handled_there(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", "4006381333931"))
    network.boldt.buys((tee, 1))
    network.work()
    token = accounts.make_token(db.session, network.anna.account, "report")
    db.session.commit()
    anna = Program(network.bridge_url, token)
    (order,) = anna.get("/orders").body["data"]
    assert order["here"] is False
    for deed, body in {"ship": {"tracking_number": DHL_TOO}, "cancel": {}, "accept": {}}.items():
        assert anna.post(f"/orders/{order['id']}/{deed}", body).error[:2] == (409, "supplier.in_a_shop")
    assert anna.get(f"/orders/{order['id']}/packing-slip").status == 200


def test_events_of_the_api_are_in_nobodys_manifest(network: Network, emil: Supplier, order: Any) -> None:
    """D7: only what the system itself has sent is counted."""
    emil.program.post(f"/orders/{order['id']}/accept", {})
    network.work()
    assert (connection_of(emil).last_sequence or 0) < 100
    day = {"day": "2026-11-21", "first_sequence": 1, "last_sequence": 2**53, "count": 1}
    emil.tells("manifest.daily", "shop", day)
    network.work()
    assert network.cases() == []
