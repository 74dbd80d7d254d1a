"""Run by alembic through Flask-Migrate. Any number of machines may migrate at once: a lock in the database lets one act."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import text

from app.extensions import db
from app.models.columns import Sealed, SealedJSON

LOCK = 7315002  # beside the clock's 7315001


def as_stored(kind: str, thing: Any, _autogen: AutogenContext) -> str | Literal[False]:
    """A migration knows what the database sees: sealed values are bytes. It must not depend on our column types of today."""
    return "sa.LargeBinary()" if kind == "type" and isinstance(thing, Sealed | SealedJSON) else False


def run() -> None:
    """All steps in one transaction: PostgreSQL takes back the whole upgrade when one of them fails."""
    with db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_item=as_stored,
            compare_type=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            context.run_migrations()
        connection.commit()


run()
