"""The door of payment providers: forged, old and repeated messages do nothing, and a right one only makes the bridge ask."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import accounts, inbox, jobs
from app.extensions import db
from app.models import Account, Case, Command, Connection, Event
from app.payments.stripe.translate import KEY
from app.web import rate

SECRET = "whsec_of_the_endpoint"
Post = Callable[..., TestResponse]


@pytest.fixture
def connection(app: Flask, session: Session) -> Connection:
    settings = {"secret_key": "sk_test_123456", "webhook_secrets": [SECRET]}
    made = accounts.connect_payment(session, "stripe", settings)
    session.commit()
    return made


def event(event_id: str = "evt_1", kind: str = "payment_intent.succeeded", **data: Any) -> bytes:
    thing = {"id": "pi_1", "object": "payment_intent", "metadata": {KEY: "capture:1"}, **data}
    body = {
        "id": event_id,
        "type": kind,
        "created": int(datetime.now(UTC).timestamp()),
        "data": {"object": thing},
    }
    return json.dumps(body).encode()


def signed(raw: bytes, *, secret: str = SECRET, late: float = 0) -> dict[str, str]:
    at = int((datetime.now(UTC) - timedelta(seconds=late)).timestamp())
    text = raw.decode("utf-8", "surrogateescape")
    header = stripe.WebhookSignature.generate_signature_header(text, secret, at) if text.isascii() else ""
    return {"Stripe-Signature": header, "Content-Type": "application/json; charset=utf-8"}


@pytest.fixture
def post(client: FlaskClient, connection: Connection) -> Post:
    key = connection.key

    def send(raw: bytes, headers: dict[str, str] | None = None, to: str | None = None) -> TestResponse:
        used = signed(raw) if headers is None else headers
        return client.post(f"/webhooks/payments/{to or key}", data=raw, headers=used)

    return send


def stored(session: Session) -> int:
    session.rollback()
    return int(session.scalar(select(func.count()).select_from(Event)) or 0)


def test_a_proven_message_is_stored_before_it_is_answered(post: Post, session: Session) -> None:
    answer = post(event())
    assert (answer.status_code, answer.get_json()) == (202, {"duplicate": False})
    row = session.scalars(select(Event)).one()
    assert (row.type, row.subject, row.delivery_id) == ("payment.told", "payment/pi_1", "evt_1")


def test_of_the_message_only_what_it_is_about_is_kept(
    post: Post, session: Session, connection: Connection
) -> None:
    """Stripe sends names, mail addresses and cards along; nobody here needs them."""
    post(event(billing_details={"name": "Boldt", "email": "canary@example.org"}, card={"last4": "4242"}))
    body = session.scalars(select(Event.body)).one()
    assert body is not None
    assert b"canary" not in body
    assert json.loads(body)["data"]["key"] == "capture:1"
    session.commit()
    assert inbox.claim(session, connection.id, lease=5).events[0].data()["external_id"] == "pi_1"


def test_a_message_that_comes_fifty_times_is_stored_once(post: Post, session: Session) -> None:
    raw = event()
    answers = [post(raw).status_code for _ in range(50)]
    assert answers == [202] + [200] * 49
    assert stored(session) == 1


def test_a_recorded_message_that_is_played_again_later_is_refused(post: Post, session: Session) -> None:
    """Within the window it is a duplicate, after it its signature is too old."""
    raw = event()
    assert post(raw, signed(raw, late=290)).status_code == 202
    assert post(raw, signed(raw, late=290)).status_code == 200
    assert post(raw, signed(raw, late=310)).status_code == 401
    assert stored(session) == 1


FORGED: dict[str, Callable[[bytes], dict[str, str]]] = {
    "unsigned": lambda raw: {"Content-Type": "application/json"},
    "empty": lambda raw: {**signed(raw), "Stripe-Signature": ""},
    "wrong secret": lambda raw: signed(raw, secret="whsec_wrong"),
    "old": lambda raw: signed(raw, late=310),
    "from the future": lambda raw: signed(raw, late=-310),
    "another body's": lambda raw: signed(raw + b" "),
    "of a shop": lambda raw: {
        "webhook-id": "evt_1",
        "webhook-timestamp": "1",
        "webhook-signature": "v1,x",
        "Content-Type": "application/json",
    },
    "latin-1": lambda raw: {**signed(raw), "Stripe-Signature": "t=1,v1=\xfc"},
    "huge": lambda raw: {**signed(raw), "Stripe-Signature": "t=1," + ",".join(["v1=00"] * 500)},
}


@pytest.mark.parametrize("forgery", FORGED)
def test_a_forged_message_is_refused_and_leaves_nothing(forgery: str, post: Post, session: Session) -> None:
    raw = event()
    answer = post(raw, FORGED[forgery](raw))
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "signature.invalid")
    assert stored(session) == 0


def test_an_unknown_address_answers_as_a_wrong_signature_does(post: Post) -> None:
    raw = event()
    wrong = post(raw, signed(raw, secret="whsec_wrong"))
    for address in ("cn_nobody", "x", "cn_" + "a" * 200, "cn_%00"):
        answer = post(raw, to=address)
        assert answer.status_code == 401
        told, other = answer.get_json()["error"], wrong.get_json()["error"]
        assert {**told, "server_time": 0} == {**other, "server_time": 0}


def test_a_shop_is_no_payment_provider(app: Flask, session: Session, post: Post) -> None:
    shop, secret, _ = accounts.connect_standard(
        session, accounts.create_account(session, "Anna's Teeladen"), "shop"
    )
    session.commit()
    raw = event()
    assert post(raw, signed(raw, secret=secret), to=shop.key).status_code == 401


def test_without_a_secret_nobody_is_believed(session: Session, post: Post) -> None:
    quiet = accounts.connect_payment(session, "stripe", {"secret_key": "sk_test_123456"})
    hand = accounts.connect_payment(session, "manual", {})
    session.commit()
    raw = event()
    for key in (quiet.key, hand.key):
        assert post(raw, signed(raw, secret=""), to=key).status_code == 401
        assert post(raw, to=key).status_code == 401


def test_what_means_nothing_to_us_is_taken_and_forgotten(post: Post, session: Session) -> None:
    answer = post(event(kind="customer.created"))
    assert (answer.status_code, answer.get_json()) == (200, {"ignored": True})
    assert stored(session) == 0


def test_a_removed_connection_takes_nothing(post: Post, session: Session, connection: Connection) -> None:
    session.get_one(Connection, connection.id).state = "removed"
    session.commit()
    assert post(event()).status_code == 410
    assert stored(session) == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"null", 422),
        (b"{", 422),
        (b'{"id": "evt_1"}', 422),
        (b"[" * 100_000, 422),
        (b'{"a":' * 5000, 422),
        (event("evt 1"), 422),
        (event("x" * 300), 422),
        (event("\x00"), 422),
        (event(id="pi_\ud800"), 422),
        (event(id="pi\x00"), 422),
        (
            b'{"id":"e","type":"payment_intent.succeeded","created":'
            + b"9" * 5000
            + b',"data":{"object":{}}}',
            422,
        ),
        (b'{"id":"e","type":"payment_intent.succeeded","created":1e30,"data":{"object":{}}}', 422),
        (b'{"id":"e","type":"payment_intent.succeeded","created":NaN,"data":{"object":{}}}', 422),
        (b" " * (256 * 1024 + 1), 413),
    ],
)
def test_a_signed_message_of_a_wrong_shape_is_refused(
    body: bytes, status: int, post: Post, session: Session
) -> None:
    assert post(body).status_code == status
    assert stored(session) == 0


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ""]
)
def test_another_kind_of_body_is_refused(kind: str, post: Post) -> None:
    raw = event()
    assert post(raw, {**signed(raw), "Content-Type": kind}).status_code == 415


def test_two_thousand_bent_messages_make_no_row_and_no_500(post: Post, session: Session, app: Flask) -> None:
    draw = random.Random(20261121)
    raw = event()
    headers = signed(raw)
    statuses = set()
    for _ in range(2000):
        bent = bytearray(raw)
        for _ in range(draw.randint(1, 4)):
            bent[draw.randrange(len(bent))] = draw.randrange(256)
        if bytes(bent) != raw:
            statuses.add(post(bytes(bent), headers).status_code)
    assert statuses == {401}
    assert stored(session) == 0


def test_a_flood_is_told_to_come_back_later(post: Post, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    still = rate.Buckets(rate=1.0, burst=3.0, clock=lambda: 0.0)
    monkeypatch.setitem(app.extensions, "shopbridge.buckets", still)
    answers = [post(event(f"evt_{number}")) for number in range(6)]
    assert [each.status_code for each in answers][-1] == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_a_message_of_an_unknown_payment_is_worked_off_without_a_trace(
    post: Post, session: Session, connection: Connection
) -> None:
    connection_id = connection.id
    post(event())
    jobs.drain_inbox(connection_id)
    db.session.expire_all()
    assert session.scalars(select(Event.state)).one() == "done"
    assert session.scalars(select(Command.id)).all() == []
    assert session.scalars(select(Case.id)).all() == []


def test_a_dispute_of_an_unknown_payment_becomes_the_operators_case(
    post: Post, session: Session, connection: Connection
) -> None:
    connection_id = connection.id
    dispute = {"id": "du_1", "amount": 500, "currency": "eur", "payment_intent": "pi_9", "metadata": {}}
    assert post(event(kind="charge.dispute.created", **dispute)).status_code == 202
    jobs.drain_inbox(connection_id)
    db.session.expire_all()
    case = session.scalars(select(Case)).one()
    owner = session.scalar(select(Account.name).where(Account.id == case.account_id))
    assert (case.code, owner) == ("payment.dispute_unknown", "operator")


def test_only_post_is_known(client: FlaskClient, connection: Connection) -> None:
    for method in ("get", "put", "delete", "options"):
        assert getattr(client, method)(f"/webhooks/payments/{connection.key}").status_code == 405
