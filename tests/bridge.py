"""The bridge itself as fixtures: an application on the embedded servers whose tables are empty in every test."""

from collections.abc import Iterator

import pytest
import redis as redis_client
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from app import create_app
from app.extensions import db
from app.vault import generate_key


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


@pytest.fixture
def app(bridge_app: Flask, empty_redis: str) -> Iterator[Flask]:
    """The application inside its context, with empty tables and an empty Redis."""
    with bridge_app.app_context():
        names = ", ".join(f'"{table.name}"' for table in db.metadata.sorted_tables)
        db.session.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        db.session.commit()
        yield bridge_app
        db.session.rollback()
        db.session.remove()


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
