"""The migrations make exactly the tables that the models want; `shopbridge migrate --draft TEXT` writes what is missing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from servers import fresh_database
from sqlalchemy import text

from app import create_app
from app.extensions import db
from app.vault import generate_key


@pytest.fixture
def empty(postgres_url: str, tmp_path: Path) -> Iterator[Flask]:
    """An application on an empty database."""
    with fresh_database(postgres_url) as url:
        made = create_app(
            {"DATABASE_URL": url, "SHOPBRIDGE_DATA": tmp_path, "SHOPBRIDGE_MASTER_KEYS": [generate_key()]},
            web=False,
        )
        with made.app_context():
            yield made
            db.session.remove()
            db.engine.dispose()


def differences() -> list[Any]:
    with db.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), db.metadata)


def checks() -> set[tuple[str, str]]:
    """Check constraints, which alembic does not compare."""
    query = text(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
    )
    with db.engine.connect() as connection:
        return {(row[0], row[1]) for row in connection.execute(query)}


def test_upgraded_tables_are_the_models(empty: Flask) -> None:
    flask_migrate.upgrade()
    assert differences() == [], "the models changed: shopbridge migrate --draft 'What changes'"


def test_upgraded_tables_have_the_same_checks(empty: Flask) -> None:
    flask_migrate.upgrade()
    migrated = checks()
    db.drop_all()
    db.create_all()
    assert migrated == checks()
    assert ("order_piece", "ck_order_piece_refunded") in migrated


def test_a_missing_column_is_noticed(empty: Flask) -> None:
    flask_migrate.upgrade()
    with db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE event DROP COLUMN sequence"))
    assert any("add_column" in str(each) for each in differences())


def test_upgrading_twice_changes_nothing(empty: Flask) -> None:
    flask_migrate.upgrade()
    flask_migrate.upgrade()
    assert db.session.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1


def test_downgrading_leaves_nothing_behind(empty: Flask) -> None:
    flask_migrate.upgrade()
    flask_migrate.downgrade(revision="base")
    query = text(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
    )
    assert db.session.execute(query).scalars().all() == []
