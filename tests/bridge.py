"""The bridge itself as fixtures: an application on the embedded servers whose tables are empty in every test."""

from collections.abc import Iterator

import pytest
import redis as redis_client
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session, scoped_session

from app import create_app
from app.extensions import db, safe
from app.flows import push_listings
from app.jobs import commands
from app.vault import Vault, generate_key
from app.web import rate

GROWN = 1 << 20  # bytes of rows, living and dead


@pytest.fixture(scope="session")
def bridge_app(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    """One application for each test process, with its tables."""
    made = create_app(
        {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "SHOPBRIDGE_DATA": tmp_path_factory.mktemp("data"),
            "SHOPBRIDGE_MASTER_KEYS": [generate_key()],
            "SHOPBRIDGE_ALLOW_LOOPBACK": True,
            "SHOPBRIDGE_WEB_THREADS": 8,
        }
    )
    made.config["TESTING"] = True
    with made.app_context():
        db.drop_all()
        db.create_all()
    yield made
    with made.app_context():
        db.engine.dispose()
    made.extensions["shopbridge.intake"].dispose()


def empty_tables(session: scoped_session[Session]) -> None:
    """No row is left, no page of a table is in use, and every id begins at 1 again: as after TRUNCATE. Commits.

    TRUNCATE itself makes a new file for every table and index, which takes ten times as long as the few rows of a test are worth.
    It does what is left: tables that have grown, and those that VACUUM could not shorten because somebody still looks at them.
    """
    names = [table.name for table in db.metadata.sorted_tables]
    quoted = ", ".join(f'"{name}"' for name in names)
    # As TRUNCATE does, this waits for what a thread of the last test still writes.
    session.execute(text(f"LOCK TABLE {quoted} IN EXCLUSIVE MODE"))
    used = _used(session)
    if sum(used.values()) < GROWN:
        _delete(session, [name for name in reversed(names) if name in used])
        used = _used(session)
    if used:
        session.execute(text(f"TRUNCATE {quoted} RESTART IDENTITY CASCADE"))
    session.commit()


def _used(session: scoped_session[Session]) -> dict[str, int]:
    """Bytes of every table that has any, of rows living and dead."""
    size = "pg_relation_size(oid)"
    ours = "relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
    found = session.execute(
        text(f"SELECT relname, {size} AS bytes FROM pg_class WHERE {ours} AND {size} > 0")
    )
    return {row.relname: row.bytes for row in found}


def _delete(session: scoped_session[Session], names: list[str]) -> None:
    """Delete all rows, also those that a trigger keeps (the ledger's), and give back the pages: rows come in order again."""
    ours = text(
        "SELECT DISTINCT relname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal"
    )
    kept = set(session.scalars(ours)) & set(names)
    switch = {
        word: [f'ALTER TABLE "{name}" {word} TRIGGER USER' for name in kept] for word in ("DISABLE", "ENABLE")
    }
    deletes = [f'DELETE FROM "{name}"' for name in names]
    session.execute(text(";".join([*switch["DISABLE"], *deletes, *switch["ENABLE"], "SELECT 1"])))
    session.execute(text("SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"))
    session.commit()
    if names:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(
                text("VACUUM (SKIP_DATABASE_STATS) " + ", ".join(f'"{name}"' for name in names))
            )


@pytest.fixture
def _no_haste() -> Iterator[None]:
    """Workers give way to others after a second or two, and look at offers between deeds: on a busy machine that would be in the middle of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "SECONDS", 1_000.0)
        patch.setattr(commands, "OFFERS_EVERY", 1_000.0)
        patch.setattr(push_listings, "SECONDS", 1_000.0)
        yield


@pytest.fixture
def app(bridge_app: Flask, empty_redis: str, _no_haste: None) -> Iterator[Flask]:
    """The application inside its context, with empty tables and an empty Redis. Another test may have made an application with other keys."""
    safe.bind(Vault(bridge_app.config["SHOPBRIDGE_MASTER_KEYS"]))
    rate.register(bridge_app)  # ids begin at 1 again, and what the last test sent is not this one's rate
    before = dict(bridge_app.config)
    with bridge_app.app_context():
        empty_tables(db.session)
        yield bridge_app
        db.session.rollback()
        db.session.remove()
    bridge_app.config.clear()  # what one test sets is no other test's business
    bridge_app.config.update(before)


@pytest.fixture
def session(app: Flask) -> Session:
    """The session of the test's application context."""
    return db.session  # type: ignore[return-value]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A test client without a server."""
    return app.test_client()


def rings(url: str, lane: str) -> int:
    """Jobs waiting in a lane."""
    with redis_client.Redis.from_url(url) as store:
        return int(store.llen(f"rq:queue:{lane}"))
