import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from bridge import rings
from flask import Flask
from senders_of_tests import Shop, event, rows
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import accounts
from app.models import Account, Command, Connection, Pairing
from app.shops import signing
from app.web import plugin
from app.web.senders import senders

TOLD = {
    "platform": "woocommerce",
    "platform_version": "10.9.1",
    "plugin_version": "0.1.0",
    "shop_name": "Anna's Teeladen",
    "shop_url": "https://tee.example",
    "command_url": "https://tee.example/wp-json/shopbridge/v1/commands",
    "currency": "EUR",
    "country": "DE",
    "locale": "de_DE",
    "timezone": "Europe/Berlin",
}
KEYS = {"client_key": "a" * 32, "secret_key": "b" * 64}


@pytest.fixture
def code(session: Session, anna: Account) -> str:
    return new_code(session, anna)


def new_code(session: Session, account: Account) -> str:
    made = accounts.make_pairing(session, account, "woocommerce")
    session.commit()
    return made


def connect(app: Flask, code: str, address: str = "192.0.2.1", **changes: Any) -> TestResponse:
    told = {**TOLD, "code": code, **changes}
    return app.test_client().post("/plugin/connect", json=told, environ_base={"REMOTE_ADDR": address})


def test_a_good_code_connects_the_shop(
    app: Flask, code: str, session: Session, anna: Account, redis_url: str
) -> None:
    answer = connect(app, code.lower().replace("-", " - "))
    assert answer.status_code == 201
    told = answer.get_json()
    connection = session.scalars(select(Connection)).one()
    assert told == {
        "connection_key": connection.key,
        "webhook_url": f"http://127.0.0.1:8080/webhooks/{connection.key}",
        "status_url": "http://127.0.0.1:8080/plugin/status",
        "event_secret": connection.secrets["event"][0]["secret"],
        "command_secret": connection.secrets["command"][0]["secret"],
        "state": "pending",
        "server_time": told["server_time"],
    }
    assert (connection.role, connection.provider, connection.state) == ("shop", "woocommerce", "pending")
    assert (connection.account_id, connection.name) == (anna.id, "Anna's Teeladen")
    assert connection.base_url == TOLD["command_url"]
    assert connection.settings["shop_url"] == TOLD["shop_url"]
    assert connection.settings["tracking_wait_hours"] == 3, "the shop's options start with their defaults"
    ping = session.scalars(select(Command)).one()
    assert (ping.kind, ping.subject, ping.payload, ping.connection_id) == ("ping", "shop", {}, connection.id)
    assert rings(redis_url, "out") == 1


def test_events_can_be_sent_with_what_connect_answered(app: Flask, code: str, session: Session) -> None:
    told = connect(app, code).get_json()
    shop = Shop(app, 0, told["connection_key"], told["event_secret"], 0)
    assert shop.post(event(type="plugin.installed", subject="shop")).status_code == 202


def test_a_code_works_once(app: Flask, code: str, session: Session) -> None:
    assert [connect(app, code).status_code for _ in range(3)] == [201, 422, 422]
    assert connect(app, code).get_json()["error"]["code"] == "pairing.code_invalid"
    assert rows(session, "connection") == 1


def test_ten_at_the_same_moment_make_one_connection(app: Flask, code: str, session: Session) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: connect(app, code, address=f"192.0.2.{n}").status_code, range(10)))
    assert sorted(answers) == [201] + [422] * 9
    assert (rows(session, "connection"), rows(session, "command")) == (1, 1)


def test_an_old_code_does_not_work(app: Flask, code: str, session: Session) -> None:
    session.execute(text("UPDATE pairing SET expires_at = now() - interval '1 second'"))
    session.commit()
    assert connect(app, code).get_json()["error"]["code"] == "pairing.code_invalid"


@pytest.mark.parametrize("wrong", ["AAAAA-AAAAA", "x", "'; DROP TABLE pairing; --", "é" * 10, "7KQ2M" * 8])
def test_a_wrong_code_does_not_work(app: Flask, code: str, session: Session, wrong: str) -> None:
    answer = connect(app, wrong)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (422, "pairing.code_invalid")
    assert rows(session, "connection") == 0


def test_ten_tries_a_minute_and_address(app: Flask, code: str, session: Session) -> None:
    answers = [connect(app, f"AAAAA-AAAA{letter}", address="198.51.100.7") for letter in "ABCDEFGHJKLM"]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429] * 2
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert connect(app, code, address="198.51.100.7").status_code == 429, "guessing locks the guesser out"
    assert connect(app, code, address="198.51.100.8").status_code == 201


def test_one_code_cannot_be_tried_from_many_addresses(app: Flask, session: Session, anna: Account) -> None:
    answers = [connect(app, "AAAAA-AAAAA", address=f"198.51.100.{n}").status_code for n in range(12)]
    assert answers == [422] * 10 + [429] * 2


def test_tries_are_counted_when_redis_is_away() -> None:
    tries = plugin.Tries("redis://127.0.0.1:1/0")
    assert [tries.left("x") > 0 for _ in range(11)] == [False] * 10 + [True]


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:6379/",
        "https://10.0.0.1/commands",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "http://tee.example/commands",
        "https://user@tee.example/",
        "https://tee.example:22/",
        "file:///etc/passwd",
        "gopher://tee.example/",
        "https://localhost/",
        "tee.example/commands",
    ],
)
def test_an_address_we_must_not_call_is_refused_and_the_code_stays_good(
    app: Flask, code: str, session: Session, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "SHOPBRIDGE_ALLOW_LOOPBACK", False)
    answer = connect(app, code, command_url=url)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (422, "address.forbidden")
    assert (rows(session, "connection"), rows(session, "command")) == (0, 0)
    assert session.scalars(select(Pairing.used_at)).one() is None
    assert connect(app, code).status_code == 201


def test_a_wrong_address_without_a_good_code_tells_nothing(app: Flask, session: Session) -> None:
    assert (
        connect(app, "AAAAA-AAAAA", command_url="https://10.0.0.1/").get_json()["error"]["code"]
        == "pairing.code_invalid"
    )


def test_the_wrong_platform_leaves_the_code_good(app: Flask, code: str) -> None:
    answer = connect(app, code, platform="shopware")
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (422, "platform")
    assert connect(app, code).status_code == 201


@pytest.mark.parametrize("field", [*TOLD, "code"])
@pytest.mark.parametrize("value", [None, "", 7, [], {}, True, "a\nb", "\u202e", "x" * 5000], ids=repr)
def test_every_field_is_checked(app: Flask, code: str, session: Session, field: str, value: Any) -> None:
    answer = connect(app, code, **{field: value}) if field != "code" else connect(app, value)
    assert answer.status_code == 422
    assert answer.get_json()["error"]["param"] == field
    assert rows(session, "connection") == 0


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"code": 1, "code": 2}', b"[" * 100_000, b"\xff", b'{"code":"\\ud800"}']
)
def test_malformed_bodies_are_refused(app: Flask, body: bytes) -> None:
    answer = app.test_client().post("/plugin/connect", data=body, content_type="application/json")
    assert answer.status_code in {400, 422}


def test_other_content_types_and_large_bodies_are_refused(app: Flask) -> None:
    client = app.test_client()
    assert client.post("/plugin/connect", data={"code": "x"}).status_code == 415
    assert (
        client.post("/plugin/connect", data=b" " * 300_000, content_type="application/json").status_code
        == 413
    )


def test_pairing_the_same_shop_again_doubles_nothing(
    app: Flask, code: str, session: Session, anna: Account
) -> None:
    first = connect(app, code).get_json()
    again = connect(
        app,
        new_code(session, anna),
        shop_url="https://tee.example/",
        shop_name="Tee!",
        plugin_version="0.2.0",
    ).get_json()
    assert again["connection_key"] == first["connection_key"]
    assert again["event_secret"] != first["event_secret"]
    connection = session.scalars(select(Connection)).one()
    assert (connection.name, connection.settings["plugin_version"]) == ("Anna's Teeladen", "0.2.0")
    body = event()
    for secret in (first["event_secret"], again["event_secret"]):
        assert Shop(app, 0, connection.key, secret, 0).post(body).status_code == 202
    assert rows(session, "command") == 2, "the new secrets are proven by a ping of their own"


def test_a_removed_shop_comes_back_to_life(app: Flask, code: str, session: Session, anna: Account) -> None:
    first = connect(app, code).get_json()
    session.execute(text("UPDATE connection SET state = 'removed', reason_code = 'plugin.removed'"))
    session.commit()
    again = connect(app, new_code(session, anna)).get_json()
    assert (again["connection_key"], again["state"]) == (first["connection_key"], "pending")
    assert Shop(app, 0, again["connection_key"], again["event_secret"], 0).post(event()).status_code == 202


def test_the_same_address_in_another_account_is_another_connection(
    app: Flask, code: str, session: Session, chai: Account
) -> None:
    first = connect(app, code).get_json()
    other = connect(app, new_code(session, chai)).get_json()
    assert other["connection_key"] != first["connection_key"]


def test_two_pairings_of_one_shop_at_the_same_moment_make_one_connection(
    app: Flask, session: Session, anna: Account
) -> None:
    codes = [new_code(session, anna) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda code: connect(app, code), codes))
    assert [answer.status_code for answer in answers] == [201] * 6
    assert rows(session, "connection") == 1


def test_names_are_made_different(app: Flask, session: Session, anna: Account) -> None:
    connect(app, new_code(session, anna))
    connect(app, new_code(session, anna), shop_url="https://lager.example")
    assert set(session.scalars(select(Connection.name))) == {"Anna's Teeladen", "Anna's Teeladen (2)"}


def test_marketplaces_without_a_shop_get_this_one(
    app: Flask, code: str, session: Session, anna: Account, chai: Account
) -> None:
    mine = accounts.connect_marketplace(session, anna, "kaufland", KEYS)
    theirs = accounts.connect_marketplace(session, chai, "kaufland", KEYS)
    session.commit()
    connect(app, code)
    session.expire_all()
    shop = session.scalars(select(Connection).where(Connection.role == "shop")).one()
    assert (mine.shop_id, theirs.shop_id) == (shop.id, None)


def test_redis_away_does_not_stop_pairing(app: Flask, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setitem(app.extensions, "shopbridge.tries", plugin.Tries("redis://127.0.0.1:1/0"))
    assert connect(app, code).status_code == 201


# --- status --------------------------------------------------------------------------------------------


def ask(app: Flask, key: str, secret: str, body: bytes = b"", **headers: str) -> TestResponse:
    signed = signing.sign([secret], "evt_status_of_the_plugin_0001", body, datetime.now(UTC))
    return app.test_client().get(
        "/plugin/status", headers={**signed, "shopbridge-connection": key, **headers}
    )


def test_status_tells_how_it_is(app: Flask, code: str, session: Session) -> None:
    told = connect(app, code).get_json()
    shop = Shop(app, 0, told["connection_key"], told["event_secret"], 0)
    for number in range(3):
        shop.post(event(sequence=number + 1))
    session.execute(
        text(
            "UPDATE connection SET state='needs_attention', reason_code='signature.clock', last_error_code='partner.unreachable'"
        )
    )
    session.execute(
        text(
            "INSERT INTO case_ (account_id, subject, code, params, state) SELECT account_id, 'x', 'y', '{}', 'open' FROM connection"
        )
    )
    session.commit()
    answer = ask(app, shop.key, shop.secret)
    assert answer.status_code == 200
    status = answer.get_json()
    assert (status["state"], status["events_today"], status["open_cases"]) == ("needs_attention", 3, 1)
    assert status["reason"]["code"] == "signature.clock"
    assert "Uhr" in status["reason"]["message"], "in the shop's language"
    assert status["last_error"]["code"] == "partner.unreachable"
    last = datetime.fromisoformat(status["last_event_at"])
    assert abs((datetime.now(UTC) - last).total_seconds()) < 10
    assert set(status) == {
        "state",
        "reason",
        "last_event_at",
        "events_today",
        "last_error",
        "open_cases",
        "server_time",
    }


def test_status_of_a_removed_connection_says_so(app: Flask, shop: Shop, session: Session) -> None:
    session.execute(text("UPDATE connection SET state='removed'"))
    session.commit()
    senders().forget(shop.key)
    assert ask(app, shop.key, shop.secret).get_json()["state"] == "removed"


def test_status_needs_the_right_secret(app: Flask, shop: Shop, other_shop: Shop) -> None:
    assert ask(app, shop.key, shop.secret).status_code == 200
    cases = [
        ask(app, shop.key, other_shop.secret),
        ask(app, other_shop.key, shop.secret),
        ask(app, "cn_nobody", shop.secret),
        ask(app, "", shop.secret),
        ask(app, shop.key, shop.secret, body=b"x"),
        ask(app, shop.key, shop.secret, **{"webhook-signature": "v1,ä"}),
    ]
    assert [case.status_code for case in cases] == [401] * 6
    assert {json.dumps({**case.get_json()["error"], "server_time": 0}) for case in cases} == {
        json.dumps({**cases[0].get_json()["error"], "server_time": 0})
    }


def test_the_day_of_events_today_is_the_shops(session: Session) -> None:
    connection = Connection(settings={"timezone": "Pacific/Auckland"})
    begun = plugin._midnight(connection, datetime(2026, 11, 21, 12, 30, tzinfo=UTC))
    assert begun.astimezone(UTC) == datetime(2026, 11, 21, 11, 0, tzinfo=UTC)
    for odd in ("+02:00", "Mars/Olympus", "../../etc/passwd", ""):
        assert plugin._midnight(Connection(settings={"timezone": odd}), begun).tzinfo is not None
