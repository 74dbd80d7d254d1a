"""The migrations make the same guards as the models, and a new draft keeps them."""

from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from servers import fresh_database
from sqlalchemy import text

from app import create_app
from app.extensions import db
from app.models import GUARDS
from app.vault import generate_key

VERSIONS = Path(__file__).parents[2] / "app" / "migrations" / "versions"


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


def guards() -> dict[str, tuple[str, str]]:
    """Trigger -> its definition and the text of its function."""
    query = text(
        "SELECT tgname, pg_get_triggerdef(t.oid), prosrc FROM pg_trigger t JOIN pg_proc f ON f.oid = tgfoid WHERE NOT tgisinternal"
    )
    with db.engine.connect() as connection:
        return {row[0]: (row[1], row[2]) for row in connection.execute(query)}


def functions() -> list[str]:
    with db.engine.connect() as connection:
        query = text("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
        return list(connection.execute(query).scalars())


def test_upgraded_tables_have_the_same_guards(empty: Flask) -> None:
    flask_migrate.upgrade()
    migrated = guards()
    assert set(migrated) == {guard.name for guard in GUARDS}
    db.drop_all()
    db.create_all()
    assert migrated == guards(), "draft the migration anew: it gets the missing guards by itself"


def test_downgrading_takes_the_guards_along(empty: Flask) -> None:
    flask_migrate.upgrade()
    assert functions()
    flask_migrate.downgrade(revision="base")
    assert functions() == []


def test_a_draft_writes_the_guard_that_the_database_lacks(empty: Flask) -> None:
    flask_migrate.upgrade()
    with db.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER payment_kept ON payment"))
    made = VERSIONS / "9999_of_a_test.py"
    try:
        flask_migrate.migrate(message="of a test", rev_id="9999")
        written = made.read_text(encoding="utf-8")
    finally:
        made.unlink(missing_ok=True)
    assert "CREATE TRIGGER payment_kept BEFORE UPDATE" in written
    assert "CREATE OR REPLACE FUNCTION ledger_keep_payment" in written
    assert "DROP TRIGGER payment_kept ON payment" in written
    assert "ledger_entry_immutable" not in written


def test_the_first_migration_carries_each_guard_once() -> None:
    written = "".join(path.read_text(encoding="utf-8") for path in sorted(VERSIONS.glob("0*.py")))
    for guard in GUARDS:
        assert written.count(f"TRIGGER {guard.name} ") == 2, "one to make it, one to take it away"
