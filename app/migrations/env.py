"""Run by alembic through Flask-Migrate. Any number of machines may migrate at once: a lock in the database lets one act."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import ExecuteSQLOp, MigrationScript
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from app.extensions import db
from app.models import GUARDS
from app.models.columns import Sealed, SealedJSON

LOCK = 7315002  # beside the clock's 7315001


def as_stored(kind: str, thing: Any, _autogen: AutogenContext) -> str | Literal[False]:
    """A migration knows what the database sees: sealed values are bytes. It must not depend on our column types of today."""
    return "sa.LargeBinary()" if kind == "type" and isinstance(thing, Sealed | SealedJSON) else False


def with_guards(context: MigrationContext, _revision: Any, directives: list[MigrationScript]) -> None:
    """Alembic compares tables, not triggers: a draft gets every guard of the ledger that the database does not have yet."""
    script, connection = directives[0], context.connection
    there = set(connection.execute(text("SELECT tgname FROM pg_trigger")).scalars()) if connection else set()
    missing = [guard for guard in GUARDS if guard.name not in there]
    if script.upgrade_ops is None or script.downgrade_ops is None or not missing:
        return
    statements = [statement for guard in missing for statement in guard.statements]
    script.upgrade_ops.ops.extend(ExecuteSQLOp(statement) for statement in dict.fromkeys(statements))
    script.downgrade_ops.ops[:0] = [
        ExecuteSQLOp(f"DROP TRIGGER {guard.name} ON {guard.table}") for guard in missing
    ]
    kept = {guard.function_name for guard in GUARDS} - {guard.function_name for guard in missing}
    gone = dict.fromkeys(guard.function_name for guard in missing if guard.function_name not in kept)
    script.downgrade_ops.ops.extend(ExecuteSQLOp(f"DROP FUNCTION {name}") for name in gone)


def run() -> None:
    """All steps in one transaction: PostgreSQL takes back the whole upgrade when one of them fails."""
    with db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_item=as_stored,
            process_revision_directives=with_guards,
            compare_type=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            context.run_migrations()
        connection.commit()


run()
