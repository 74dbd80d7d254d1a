import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from bridge import rings
from flask import Flask
from senders_of_tests import Shop, event, new_id, rows
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import accounts, inbox, queues
from app.models import Connection, Event
from app.web import rate
from app.web.senders import senders


def test_a_new_event_is_stored_before_it_is_answered(shop: Shop, session: Session, redis_url: str) -> None:
    body = event()
    answer = shop.post(body)
    stored = session.scalars(select(Event)).one()
    assert answer.status_code == 202
    assert answer.get_json() == {"id": f"evt_{stored.id}", "duplicate": False}
    assert (stored.connection_id, stored.account_id, stored.body) == (shop.id, shop.account_id, body)
    assert (stored.type, stored.subject, stored.sequence, stored.state) == (
        "order.changed",
        "order/1042",
        4711,
        "due",
    )
    assert rings(redis_url, "in") == 1


def test_a_repeat_is_a_duplicate_and_rings_no_bell(shop: Shop, session: Session, redis_url: str) -> None:
    body, delivery = event(), new_id()
    first = shop.post(body, shop.headers(body, delivery))
    with redis.Redis.from_url(redis_url) as store:
        store.flushdb()
    again = shop.post(body, shop.headers(body, delivery))
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.get_json() == {"id": first.get_json()["id"], "duplicate": True}
    assert rows(session) == 1
    assert rings(redis_url, "in") == 0


def test_the_same_id_with_another_body_overwrites_nothing(shop: Shop, session: Session) -> None:
    first, other, delivery = event(), event(sequence=9), new_id()
    shop.post(first, shop.headers(first, delivery))
    again = shop.post(other, shop.headers(other, delivery))
    assert (again.status_code, again.get_json()["duplicate"]) == (200, True)
    assert session.scalars(select(Event)).one().body == first


def test_two_shops_may_use_the_same_id(shop: Shop, other_shop: Shop, session: Session) -> None:
    body, delivery = event(), new_id()
    assert [each.post(body, each.headers(body, delivery)).status_code for each in (shop, other_shop)] == [
        202,
        202,
    ]
    assert rows(session) == 2


def test_the_raw_bytes_are_kept_untouched(shop: Shop, session: Session) -> None:
    body = event().replace(b'"data"', b'  "d\\u0061ta"') + b"\n"
    assert shop.post(body).status_code == 202
    assert session.scalars(select(Event)).one().body == body


def test_an_unknown_type_is_stored(shop: Shop, session: Session) -> None:
    assert shop.post(event(type="loyalty.points.given", subject="shop")).status_code == 202
    assert rows(session) == 1


def test_redis_away_still_stores_and_answers(
    shop: Shop, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(url: str | None = None) -> redis.Redis:
        raise redis.ConnectionError("away")

    monkeypatch.setattr(queues, "connect", gone)
    assert shop.post(event()).status_code == 202
    assert rows(session) == 1


def test_database_away_says_later(shop: Shop, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> int:
        raise OperationalError("INSERT", {}, Exception("away"))

    monkeypatch.setattr(inbox, "accept", gone)
    answer = shop.post(event())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert rows(session) == 0


def test_database_away_at_the_look_up_says_later(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: object, key: str) -> None:
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr("app.web.senders.Senders._read", gone)
    assert shop.post(event()).status_code == 503


def test_the_hot_path_makes_exactly_one_statement(
    shop: Shop, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import event as sa_event

    monkeypatch.setattr(senders(), "_clock", lambda: 1000.0)  # what is remembered does not end meanwhile
    senders().forget(shop.key)

    shop.post(event())  # the first look fills the memory
    seen: list[str] = []

    def note(conn: object, cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    sa_event.listen(Engine, "before_cursor_execute", note)
    try:
        assert shop.post(event()).status_code == 202
    finally:
        sa_event.remove(Engine, "before_cursor_execute", note)
    assert [statement.split()[0] for statement in seen] == ["INSERT"]


def test_a_connection_that_died_in_the_pool_loses_no_event(shop: Shop, session: Session, app: Flask) -> None:
    assert shop.post(event()).status_code == 202
    killed = session.execute(
        text(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    ).scalar_one()
    session.commit()
    assert killed >= 1
    assert shop.post(event()).status_code == 202
    assert rows(session) == 2


def test_an_event_stored_by_a_try_whose_answer_was_lost_is_a_duplicate(
    shop: Shop, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = inbox.accept, []

    def lost(*args: Any, **values: Any) -> int | None:
        tries.append(real(*args, **values))
        if len(tries) == 1:
            raise OperationalError("INSERT", {}, Exception("gone"), connection_invalidated=True)
        return tries[-1]

    monkeypatch.setattr(inbox, "accept", lost)
    answer = shop.post(event())
    assert (answer.status_code, answer.get_json()["duplicate"]) == (200, True)
    assert rows(session) == 1


def test_old_secret_works_during_the_overlap_and_not_after(shop: Shop, app: Flask, session: Session) -> None:
    connection = session.get_one(Connection, shop.id)
    new, _ = accounts.rotate_secrets(session, connection)
    session.commit()
    senders().forget(shop.key)
    body = event()
    assert shop.post(body, shop.headers(body, secret=new)).status_code == 202
    assert shop.post(body, shop.headers(body)).status_code == 202  # the old one

    secrets = json.loads(json.dumps(connection.secrets))
    secrets["event"][1]["until"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    connection.secrets = secrets
    session.commit()
    senders().forget(shop.key)
    assert shop.post(body, shop.headers(body)).status_code == 401
    assert shop.post(body, shop.headers(body, secret=new)).status_code == 202


def test_a_rotation_takes_effect_within_seconds_without_being_told(
    shop: Shop, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = senders()
    now = [1000.0]
    monkeypatch.setattr(memory, "_clock", lambda: now[0])
    memory.forget(shop.key)
    body = event()
    assert shop.post(body).status_code == 202
    accounts.rotate_secrets(session, session.get_one(Connection, shop.id), overlap_hours=0)
    session.commit()
    now[0] += 2.1
    assert shop.post(body).status_code == 401


def test_a_new_connection_is_known_although_it_was_asked_for_before(
    shop: Shop, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = senders()
    now = [1000.0]
    monkeypatch.setattr(memory, "_clock", lambda: now[0])
    session.execute(text("UPDATE connection SET key = 'cn_elsewhere'"))
    session.commit()
    memory.forget(shop.key)
    assert shop.post(event()).status_code == 401
    session.execute(text("UPDATE connection SET key = :key"), {"key": shop.key})
    session.commit()
    now[0] += 2.1
    assert shop.post(event()).status_code == 202


def test_invented_addresses_cannot_fill_the_memory(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = senders()
    monkeypatch.setattr("app.web.senders.MOST", 50)
    monkeypatch.setattr(memory, "_read", lambda key: None)
    for number in range(500):
        memory.find(f"cn_{number:020x}")
    assert len(memory._known) <= 51


def test_a_removed_connection_is_gone_for_those_who_can_prove_it_was_theirs(
    shop: Shop, session: Session
) -> None:
    session.execute(text("UPDATE connection SET state = 'removed'"))
    session.commit()
    body = event()
    assert shop.post(body).status_code == 410
    assert shop.post(body, {"Content-Type": "application/json"}).status_code == 401
    assert shop.post(event(type="plugin.removed", subject="shop")).status_code == 202


@pytest.mark.parametrize("state", ["pending", "active", "paused", "needs_attention"])
def test_in_every_other_state_events_are_stored(shop: Shop, session: Session, state: str) -> None:
    session.execute(text("UPDATE connection SET state = :state"), {"state": state})
    session.commit()
    assert shop.post(event()).status_code == 202


def test_a_connection_deleted_since_it_was_remembered_is_unknown(shop: Shop, session: Session) -> None:
    assert shop.post(event()).status_code == 202
    session.execute(text("DELETE FROM connection"))
    session.commit()
    assert shop.post(event()).status_code == 401


def test_too_many_events_are_told_when_to_come_back(shop: Shop, session: Session, app: Flask) -> None:
    app.extensions["shopbridge.buckets"], kept = (
        rate.Buckets(rate=0.5, burst=3, clock=lambda: 0.0),
        app.extensions["shopbridge.buckets"],
    )
    try:
        answers = [shop.post(event()) for _ in range(5)]
    finally:
        app.extensions["shopbridge.buckets"] = kept
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429, 429]
    assert answers[-1].headers["Retry-After"] == "2"
    assert rows(session) == 3


def test_a_forger_cannot_use_up_the_rate_of_a_shop(shop: Shop, app: Flask) -> None:
    app.extensions["shopbridge.buckets"], kept = (
        rate.Buckets(rate=0.5, burst=2, clock=lambda: 0.0),
        app.extensions["shopbridge.buckets"],
    )
    try:
        body = event()
        for _ in range(20):
            assert shop.post(body, {**shop.headers(body), "webhook-signature": "v1,AAAA"}).status_code == 401
        assert shop.post(body).status_code == 202
    finally:
        app.extensions["shopbridge.buckets"] = kept


def test_a_bucket_fills_up_again() -> None:
    now = [0.0]
    bucket = rate.Buckets(rate=2.0, burst=2.0, clock=lambda: now[0])
    assert [bucket.take(1) for _ in range(3)] == [0.0, 0.0, 0.5]
    now[0] = 0.5
    assert bucket.take(1) == 0.0
    assert bucket.take(2) == 0.0  # another connection has its own
    assert bucket.take(1) > 0


def test_full_buckets_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MOST", 10)
    now = [0.0]
    bucket = rate.Buckets(rate=1.0, burst=1.0, clock=lambda: now[0])
    for connection in range(30):
        now[0] += 10
        bucket.take(connection)
    assert len(bucket._levels) <= 11


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_other_methods_are_405_in_our_shape(shop: Shop, app: Flask, method: str) -> None:
    answer = app.test_client().open(f"/webhooks/{shop.key}", method=method)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    if method != "HEAD":
        assert answer.get_json()["error"]["code"] == "http.405"


@pytest.mark.parametrize("path", ["/webhooks/{key}/", "//webhooks/{key}", "/webhooks//{key}", "/webhooks/"])
def test_no_address_redirects(shop: Shop, app: Flask, path: str) -> None:
    answer = app.test_client().post(path.format(key=shop.key), data=event())
    assert answer.status_code == 404


def test_every_answer_keeps_browsers_out(shop: Shop, app: Flask) -> None:
    for answer in (shop.post(event()), shop.post(b"", {}), app.test_client().get("/nothing")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in answer.headers
