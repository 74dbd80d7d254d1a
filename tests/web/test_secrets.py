"""T14 and T15 at the web doors: thirty canaries go through success and failure, and come out nowhere they should not."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import structlog
from flask import Flask
from senders_of_tests import Shop, event
from sqlalchemy import text
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.orm import Session

sys.path.insert(0, str(Path(__file__).parent / "api"))

from api_world import Api

from app import accounts, inbox, logs
from app.extensions import db
from app.models import Account

CANARIES = [f"canary{number:02d}zebra" for number in range(20)]
PERSON = {
    "first_name": "Canary20zebra",
    "email": "canary21zebra@example.com",
    "phone": "+49 30 canary22zebra",
    "iban": "canary23zebra",
}
NETWORK = {"password": "canary24zebra", "api_key": "canary25zebra"}


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that is logged, at debug level."""
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("debug", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def dump_of(session: Session) -> str:
    """Every stored value of every table as PostgreSQL holds it."""
    session.rollback()
    parts = []
    for name in db.metadata.tables:
        query = text(f'SELECT t::text FROM "{name}" t')
        parts += [str(row[0]) for row in session.execute(query)]
    dump = "\n".join(parts)
    # Binary columns are printed in hex; a secret inside would hide there.
    return dump + "".join(
        bytes.fromhex(part[:-1] if len(part) % 2 else part).decode("latin-1") for part in _hex(dump)
    )


def _hex(dump: str) -> list[str]:
    return re.findall(r"\\\\?x([0-9a-f]{20,})", dump)


def test_no_canary_leaves_through_the_web(
    app: Flask,
    session: Session,
    anna: Account,
    shop: Shop,
    written: io.StringIO,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = accounts.make_token(session, anna, "ERP")
    code = accounts.make_pairing(session, anna, "woocommerce")
    marketplace_secret = "canary26zebra" + "b" * 51
    accounts.connect_marketplace(
        session, anna, "kaufland", {"client_key": "a" * 32, "secret_key": marketplace_secret}
    )
    session.commit()
    secrets = [shop.secret.removeprefix("whsec_"), token, code, code.replace("-", ""), marketplace_secret]
    told: list[str] = []

    def send(body: bytes, headers: dict[str, str] | None = None) -> None:
        told.append(shop.post(body, headers).get_data(as_text=True))

    full = event(data={"billing": PERSON, "settings": NETWORK, "notes": CANARIES})
    send(full)  # stored
    send(full, {**shop.headers(full), "webhook-signature": f"v1,{CANARIES[0]}"})
    send(full[:-1])
    send(full.replace(b'"order/1042"', json.dumps(CANARIES[1]).encode()))
    send(full.replace(b'"type"', f'"{CANARIES[2]}": 1, "{CANARIES[2]}": 2, "type"'.encode()))
    send(full, {**shop.headers(full), "Content-Type": f"text/{CANARIES[3]}"})
    for error in (OperationalError, DataError):

        def fail(*_: object, error: type = error, **values: object) -> int:
            raise error("INSERT INTO event VALUES (%(body)s)", values, Exception("no"))

        with monkeypatch.context() as patch:
            patch.setattr(inbox, "accept", fail)
            send(full)

    client = app.test_client()
    api = Api(app, token)
    told.append(api.get("/events", headers={"X-Test": CANARIES[4]}).get_data(as_text=True))
    told.append(Api(app, token + "x").get("/events").get_data(as_text=True))
    told.append(
        api.post("/events/replay", {"reason": "x" * 300, "notes": CANARIES[5]}).get_data(as_text=True)
    )
    told.append(api.get("/connections").get_data(as_text=True))
    wrong = {"code": code, "platform": CANARIES[6], "shop_name": ["canary27zebra"]}
    told.append(client.post("/plugin/connect", json=wrong).get_data(as_text=True))
    told.append(client.get("/healthz").get_data(as_text=True) + client.get("/metrics").get_data(as_text=True))

    with monkeypatch.context() as patch:
        patch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
        patch.setattr("app.web.webhooks._accept", lambda *_: 1 / 0)
        send(full)

    logged = written.getvalue()
    assert "webhook.unproven" in logged, "the log was watched"
    assert "ZeroDivisionError" in logged
    with redis.Redis.from_url(redis_url) as store:
        kept = "".join(str(store.dump(key)) + str(key) for key in store.scan_iter())
    stored, answers = dump_of(session), "\n".join(told)
    for name, place in (("log", logged), ("answers", answers), ("redis", kept), ("database", stored)):
        found = [secret for secret in secrets if secret in place]
        assert not found, (name, found)
    for name, place in (("log", logged), ("redis", kept), ("database", stored)):
        assert "zebra" not in place.lower(), (name, place.lower().split("zebra")[0][-200:])
    assert "zebra" not in answers.replace(CANARIES[2], "").lower(), (
        "only the place of a fault is told, never a value"
    )


def test_the_dump_would_show_an_unsealed_secret(session: Session, shop: Shop) -> None:
    """The test above looks in the right place: planted, it is found, in a text column and in a binary one."""
    session.execute(text("UPDATE connection SET name = 'plainzebra'"))
    session.execute(text("UPDATE connection SET secrets = 'binaryzebra-binaryzebra'::bytea"))
    session.commit()
    dump = dump_of(session)
    assert "plainzebra" in dump
    assert "binaryzebra" in dump
