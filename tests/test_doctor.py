"""The doctor finds each of the things that can be wrong, and says what to do."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from app import accounts, create_app, doctor, inbox, outbox
from app.extensions import db, safe
from app.models import Account, Connection, Heartbeat, Schedule
from app.vault import Vault, generate_key

NOW = datetime.now(UTC)
KEYS = {"client_key": "c" * 32, "secret_key": "s" * 64}


HEAD = ScriptDirectory(str(Path(doctor.__file__).parent / "migrations")).get_current_head()


@pytest.fixture
def healthy(app: Flask, session: Session) -> Iterator[Session]:
    """A bridge with nothing wrong: its tables are of this release, and every process beats."""
    session.execute(text("CREATE TABLE alembic_version (version_num text)"))
    session.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
    for name, facts in (
        ("clock", {}),
        *((f"worker-{lane}-1", {"lane": lane}) for lane in ("in", "out", "poll")),
    ):
        session.add(Heartbeat(name=name, at=datetime.now(UTC), facts=facts))
    session.commit()
    yield session
    session.rollback()
    session.execute(text("DROP TABLE alembic_version"))
    session.commit()


@pytest.fixture
def shop(healthy: Session) -> Connection:
    """Anna's own system, connected."""
    anna = accounts.create_account(healthy, "Anna's Teeladen")
    connection, _, _ = accounts.connect_standard(healthy, anna, "Teeladen")
    healthy.commit()
    return connection


@pytest.fixture
def kaufland(shop: Connection, healthy: Session) -> Connection:
    """Anna's Kaufland, asked a moment ago."""
    made = accounts.connect_marketplace(healthy, healthy.get_one(Account, shop.account_id), "kaufland", KEYS)
    healthy.execute(update(Schedule).values(due_at=datetime.now(UTC) + timedelta(minutes=5)))
    healthy.commit()
    return made


def levels(about: str) -> list[str]:
    return [each.level for each in doctor.examine() if each.about == about]


def finding(about: str, level: str) -> doctor.Finding:
    found = [each for each in doctor.examine() if (each.about, each.level) == (about, level)]
    assert len(found) == 1, doctor.examine()
    return found[0]


def test_a_healthy_bridge_has_nothing_wrong(kaufland: Connection) -> None:
    assert [each for each in doctor.examine() if each.level == "wrong"] == []
    assert levels("clock") == ["ok"]
    assert levels("worker poll") == ["ok"]


def test_a_database_that_is_away_is_told_with_its_reason(tmp_path: Path, redis_url: str) -> None:
    settings = {
        "DATABASE_URL": f"postgresql://nobody@/none?host={tmp_path}",
        "REDIS_URL": redis_url,
        "SHOPBRIDGE_MASTER_KEYS": [generate_key()],
    }
    before = safe.vault
    try:
        with create_app(settings, web=False).app_context():
            found = doctor.examine()
    finally:
        safe.bind(before)
    database = next(each for each in found if each.about == "database")
    assert database.level == "wrong"
    assert "DATABASE_URL" in database.to_do
    assert "redis" in {each.about for each in found}, "the other checks go on"
    assert "clock" not in {each.about for each in found}


def test_old_tables_are_told(healthy: Session) -> None:
    healthy.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    healthy.commit()
    told = finding("migrations", "wrong")
    assert "0000" in told.says
    assert "shopbridge migrate" in told.to_do


def test_missing_tables_are_told(healthy: Session) -> None:
    healthy.execute(text("DELETE FROM alembic_version"))
    healthy.commit()
    assert "missing" in finding("migrations", "wrong").says


@pytest.mark.parametrize("url", ["", "redis://127.0.0.1:1/0"])
def test_redis_away_is_wrong_but_loses_nothing(
    app: Flask, healthy: Session, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setitem(app.config, "REDIS_URL", url)
    assert finding("redis", "wrong").to_do


def test_a_silent_clock_is_wrong(healthy: Session) -> None:
    healthy.execute(update(Heartbeat).where(Heartbeat.name == "clock").values(at=NOW - timedelta(minutes=5)))
    healthy.commit()
    assert re.search(r"\d+ (s|min) ago", finding("clock", "wrong").says)


@pytest.mark.parametrize("lane", ["in", "out", "poll"])
def test_a_lane_without_a_worker_is_wrong(healthy: Session, lane: str) -> None:
    healthy.execute(text("DELETE FROM heartbeat WHERE name = :name"), {"name": f"worker-{lane}-1"})
    healthy.commit()
    assert f"shopbridge worker {lane}" in finding(f"worker {lane}", "wrong").to_do


def test_a_second_worker_that_fell_silent_is_only_looked_at(healthy: Session) -> None:
    healthy.add(Heartbeat(name="worker-out-2", at=NOW - timedelta(minutes=5), facts={"lane": "out"}))
    healthy.commit()
    assert levels("worker out") == ["ok"]
    assert "worker-out-2" in finding("worker", "warn").says


def test_a_wrong_master_key_is_found_before_the_next_order_needs_it(kaufland: Connection) -> None:
    before = safe.vault
    safe.bind(Vault([generate_key()]))
    try:
        told = finding("master key", "wrong")
    finally:
        safe.bind(before)
    assert "2 connections" in told.says


def test_a_key_file_that_others_may_read_is_wrong(
    app: Flask, healthy: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "master.key"
    key.write_text("x")
    key.chmod(0o644)
    monkeypatch.setitem(app.config, "SHOPBRIDGE_MASTER_KEYS", [])
    monkeypatch.setitem(app.config, "SHOPBRIDGE_DATA", tmp_path)
    assert "chmod 600" in finding("master key", "wrong").to_do
    key.chmod(0o600)
    assert levels("master key") == ["ok"]


def accept(shop: Connection) -> int:
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        made = inbox.accept(
            connection, account_id=shop.account_id, connection_id=shop.id, delivery_id="evt_1", kind="order.changed", subject="order/1",
            sequence=1, happened_at=NOW, body=b"{}",
        )  # fmt: skip
    assert made is not None
    return made


@pytest.mark.parametrize(("minutes", "level"), [(0, "ok"), (5, "warn"), (30, "wrong")])
def test_work_that_waits_too_long_is_told_by_lane(
    shop: Connection, healthy: Session, minutes: int, level: str
) -> None:
    accept(shop)
    healthy.execute(
        text("UPDATE event SET next_attempt_at = now() - make_interval(mins => :m)"), {"m": minutes}
    )
    healthy.commit()
    assert levels("lane in") == [level]


def test_commands_that_wait_are_told_and_those_of_a_resting_partner_are_not(
    kaufland: Connection, healthy: Session
) -> None:
    outbox.write(
        healthy,
        account_id=kaufland.account_id,
        connection_id=kaufland.id,
        kind="ship",
        subject="order/1",
        key="k",
    )
    healthy.execute(text("UPDATE command SET next_attempt_at = now() - interval '30 minutes'"))
    healthy.commit()
    assert levels("lane out") == ["wrong"]
    kaufland.paused_until = datetime.now(UTC) + timedelta(minutes=9)
    healthy.commit()
    assert levels("lane out") == ["ok"]
    assert "rests" in finding("connection", "warn").says


def test_polls_that_wait_are_told(kaufland: Connection, healthy: Session) -> None:
    healthy.execute(text("UPDATE schedule SET due_at = now() - interval '20 minutes' WHERE kind = 'orders'"))
    healthy.commit()
    assert levels("lane poll") == ["wrong"]


def test_a_connection_that_needs_attention_says_why_and_what_to_do(
    kaufland: Connection, healthy: Session
) -> None:
    kaufland.state, kaufland.reason_code = "needs_attention", "signature.refused"
    kaufland.reason_params = {"partner": "Kaufland.de"}
    healthy.commit()
    told = finding("connection", "wrong")
    assert "does not accept our signature" in told.says
    assert f"shopbridge check {kaufland.key}" in told.to_do


def test_paused_silent_and_switched_off_connections_are_looked_at(
    kaufland: Connection, shop: Connection, healthy: Session
) -> None:
    kaufland.sync = False
    shop.state, shop.created_at = "pending", NOW - timedelta(hours=5)
    healthy.commit()
    told = [each.says for each in doctor.examine() if (each.about, each.level) == ("connection", "warn")]
    assert any("switched off" in each for each in told)
    assert any("first answer of the shop" in each for each in told)
    shop.state = "paused"
    healthy.commit()
    assert "is paused" in str(doctor.examine())


def test_a_marketplace_that_does_not_answer_does_not_work(kaufland: Connection, healthy: Session) -> None:
    kaufland.last_ok_at, kaufland.created_at = None, datetime.now(UTC) - timedelta(hours=5)
    healthy.commit()
    told = finding("connection", "wrong")
    assert "has never answered in 5 h: no orders come in" in told.says
    assert f"shopbridge check {kaufland.key}" in told.to_do
    kaufland.last_ok_at = datetime.now(UTC) - timedelta(minutes=25)
    healthy.commit()
    assert "has not answered since 25 min" in finding("connection", "wrong").says
    kaufland.last_ok_at = datetime.now(UTC) - timedelta(minutes=6)
    healthy.commit()
    assert [each.says for each in doctor.examine() if each.about == "connection"] == []


def test_what_is_stuck_is_counted(shop: Connection, healthy: Session) -> None:
    accept(shop)
    healthy.execute(text("UPDATE event SET state = 'dead'"))
    healthy.commit()
    assert "1 events or commands" in finding("stuck", "warn").says


PUBLIC = "https://bridge.example"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - looked at, not bound


@pytest.mark.parametrize(
    ("settings", "about", "level"),
    [
        ({"SHOPBRIDGE_PUBLIC_URL": PUBLIC, "SHOPBRIDGE_ALLOW_LOOPBACK": True}, "loopback", "wrong"),
        ({"SHOPBRIDGE_HOST": EVERYWHERE, "SHOPBRIDGE_ALLOW_LOOPBACK": True}, "loopback", "wrong"),
        ({"SHOPBRIDGE_HOST": EVERYWHERE}, "address", "wrong"),
        ({"SHOPBRIDGE_PUBLIC_URL": "http://bridge.example"}, "address", "wrong"),
        ({"SHOPBRIDGE_PUBLIC_URL": "bridge.example"}, "address", "wrong"),
        ({"SHOPBRIDGE_PUBLIC_URL": "https://me:secret@bridge.example"}, "address", "wrong"),
        ({}, "address", "warn"),
        ({"SHOPBRIDGE_ALLOW_LOOPBACK": True}, "address", "ok"),
        ({"SHOPBRIDGE_PUBLIC_URL": PUBLIC}, "address", "ok"),
    ],
)
def test_addresses_are_right_for_those_who_call(
    app: Flask,
    healthy: Session,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    about: str,
    level: str,
) -> None:
    given = {
        "SHOPBRIDGE_HOST": "127.0.0.1",
        "SHOPBRIDGE_PUBLIC_URL": "",
        "SHOPBRIDGE_ALLOW_LOOPBACK": False,
        **settings,
    }
    for name, value in given.items():
        monkeypatch.setitem(app.config, name, value)
    assert level in levels(about)
    assert (levels("loopback") == ["wrong"]) is (about == "loopback")
