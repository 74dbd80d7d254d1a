"""A marketplace knocks: it is asked at once. Whoever does not know the address is told nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app import accounts
from app.extensions import db
from app.models import Connection, Schedule

LATER = timedelta(minutes=4)


@pytest.fixture
def knocking(app: Flask) -> Connection:
    """A marketplace that was asked a moment ago and has a secret address."""
    account = accounts.create_account(db.session, "Anna's Teeladen")
    settings = {"client_key": "a" * 32, "secret_key": "b" * 64}
    made = accounts.connect_marketplace(db.session, account, "kaufland", settings)
    made.secrets = {**made.secrets, "hint": "a-long-secret"}
    db.session.execute(update(Schedule).values(due_at=datetime.now(UTC) + LATER))
    db.session.commit()
    return made


def due(connection: Connection) -> dict[str, bool]:
    db.session.rollback()
    now = datetime.now(UTC)
    query = select(Schedule).where(Schedule.connection_id == connection.id)
    return {row.kind: row.due_at <= now for row in db.session.scalars(query)}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_knock_makes_orders_due(client: FlaskClient, knocking: Connection, method: str) -> None:
    answer = client.open(f"{accounts.knock_path(knocking)}?order_id=123", method=method)
    assert (answer.status_code, answer.json) == (200, {"heard": True})
    found = due(knocking)
    assert found["orders"]
    assert not found["drift"]


def test_a_wrong_secret_and_an_unknown_key_look_the_same(client: FlaskClient, knocking: Connection) -> None:
    wrong = client.get(f"/hints/{knocking.key}/another-secret")
    unknown = client.get("/hints/cn_nobody/a-long-secret")
    assert wrong.status_code == unknown.status_code == 404
    assert wrong.data == unknown.data
    assert not due(knocking)["orders"]


def test_a_connection_without_an_address_hears_nothing(client: FlaskClient, knocking: Connection) -> None:
    knocking.secrets = {"settings": {}}
    db.session.commit()
    assert accounts.knock_path(knocking) is None
    assert client.get(f"/hints/{knocking.key}/").status_code == 404
    assert client.get(f"/hints/{knocking.key}/a-long-secret").status_code == 404


def test_a_removed_connection_hears_nothing(client: FlaskClient, knocking: Connection) -> None:
    knocking.state = "removed"
    db.session.commit()
    assert client.get(f"/hints/{knocking.key}/a-long-secret").status_code == 404


def test_the_secret_comes_with_the_connection_where_the_marketplace_knocks(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    from app import registry

    known = registry.providers()
    knocks = {**known, "kaufland": dataclasses.replace(known["kaufland"], knocks=True)}
    monkeypatch.setattr(registry, "providers", lambda: knocks)
    account = accounts.create_account(db.session, "Anna's Teeladen")
    settings = {"client_key": "a" * 32, "secret_key": "b" * 64}
    made = [
        accounts.connect_marketplace(db.session, account, "kaufland", settings, name=name) for name in "AB"
    ]
    paths = {accounts.knock_path(each) for each in made}
    assert len(paths) == 2
    assert all(path and len(path) > 40 for path in paths)
