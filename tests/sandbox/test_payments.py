"""The simulated payment provider as its users see it: the control, the messages, and books that never lose a cent."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.sandbox.payments import API_KEY, Books, create_app

KEY = {"Authorization": f"Bearer {API_KEY}"}
WANTED = {"amount": 1000, "currency": "EUR", "about": "trade", "account": None, "of": None}


@pytest.fixture
def client() -> FlaskClient:
    return create_app(deliver=False).test_client()


def books(client: FlaskClient) -> Books:
    found: Books = client.application.extensions["payments"]
    return found


def pay(client: FlaskClient, kind: str = "capture", key: str = "k1", **change: Any) -> Any:
    return client.post(f"/v1/{kind}s", json={**WANTED, **change}, headers={**KEY, "Idempotency-Key": key})


def test_nobody_gets_in_without_the_key(client: FlaskClient) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        assert client.get("/v1/balance", headers=headers).status_code == 401
        assert client.post("/v1/captures", json=WANTED, headers=headers).status_code == 401
    assert books(client).payments == {}


def test_a_deed_without_a_key_or_an_amount_is_refused(client: FlaskClient) -> None:
    assert client.post("/v1/captures", json=WANTED, headers=KEY).status_code == 400
    for amount in (0, -5, "10", 1.5, True, None):
        assert pay(client, amount=amount).status_code == 422


def test_the_books_show_everything(client: FlaskClient) -> None:
    pay(client)
    told = client.get("/_control/books").get_json()
    assert told["balance"] == 1000
    assert told["moved"] == {"capture": 1000, "refund": 0, "payout": 0, "reverse": 0}
    assert [each["key"] for each in told["payments"]] == ["k1"]


def test_the_bank_settles_what_is_late(client: FlaskClient) -> None:
    client.post("/_control/conduct", json={"late": ["capture"]})
    assert pay(client).get_json()["state"] == "pending"
    assert client.post("/_control/settle", json={"key": "k1", "state": "failed"}).get_json() == {
        "settled": ["k1"]
    }
    assert client.get("/v1/payments/k1", headers=KEY).get_json()["state"] == "failed"
    assert books(client).balance() == 0


def test_an_unknown_conduct_is_named(client: FlaskClient) -> None:
    assert client.post("/_control/conduct", json={"lazy": True}).status_code == 400


def test_a_dispute_takes_the_money_until_it_is_won(client: FlaskClient) -> None:
    pay(client)
    dispute = client.post("/_control/disputes", json={"key": "k1", "amount": 400}).get_json()
    assert books(client).balance() == 600
    client.post(f"/_control/disputes/{dispute['id']}/close", json={"won": True})
    assert books(client).balance() == 1000


def test_every_change_is_told_once_and_twice_when_ordered(client: FlaskClient) -> None:
    taken: list[Any] = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Endpoint) as endpoint:
        thread = Thread(target=endpoint.serve_forever, args=(0.01,))
        thread.start()
        client.post("/_control/webhook", json={"url": f"http://127.0.0.1:{endpoint.server_port}/"})
        pay(client)
        assert client.post("/_control/deliver").get_json() == {"tried": 1}
        assert client.post("/_control/deliver").get_json() == {"tried": 0}
        client.post("/_control/conduct", json={"duplicate_notices": True})
        pay(client, key="k2")
        client.post("/_control/deliver")
        endpoint.shutdown()
        thread.join(10)
    assert [each["payment"]["key"] for each in taken] == ["k1", "k2", "k2"]


def test_a_message_that_was_not_taken_is_told_again(client: FlaskClient) -> None:
    client.post("/_control/webhook", json={"url": "http://127.0.0.1:9/"})
    pay(client)
    assert client.post("/_control/deliver").get_json() == {"tried": 1}
    assert client.post("/_control/deliver").get_json() == {"tried": 1}
    assert books(client).notices[0]["answers"] == [None, None]
