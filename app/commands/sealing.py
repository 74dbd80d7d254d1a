"""Master keys: make a new one, and encrypt everything anew under the newest.

What may go wrong: a row was sealed under a key that is not there any more; it is counted and left alone, and the old key must come back.
"""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy import Column, LargeBinary, Table, func, select, type_coerce, update

from app.commands import opening, showing
from app.commands.problems import stop
from app.extensions import db, safe
from app.models.columns import Sealed, SealedJSON
from app.vault import VaultError, generate_key

BATCH = 200


@click.command()
@click.option("--new-key", is_flag=True, help="Only print a new master key.")
@showing.json_option
def reseal(new_key: bool, as_json: bool) -> None:
    """Encrypt everything anew under the newest master key, while the bridge runs. Afterwards the old keys are not needed any more.

    Before: put a new key (--new-key) in front of SHOPBRIDGE_MASTER_KEYS, or as the first line of the key file, and restart every process.
    """
    if new_key:
        key = generate_key()
        showing.answer({"key": key}, True) if as_json else click.echo(key)
        return
    with opening.bridge():
        counted = {
            f"{table.name}.{column.name}": _column(table, column) for table, column in sealed_columns()
        }
        db.session.commit()
    done = {name: rows for name, (rows, _) in counted.items()}
    closed = sum(closed for _, closed in counted.values())
    if as_json:
        showing.as_json_text({"resealed": done, "closed": closed})
    elif not closed:
        click.echo(
            f"{sum(done.values())} values are under the newest key now. The old keys are not needed any more."
        )
    if closed:
        stop(f"{closed} values cannot be opened with these keys. Add the old key and run this again.")


def sealed_columns() -> list[tuple[Table, Column[Any]]]:
    """Every encrypted column there is."""
    tables = db.metadata.sorted_tables
    return [
        (table, column)
        for table in tables
        for column in table.columns
        if isinstance(column.type, Sealed | SealedJSON)
    ]


def _column(table: Table, column: Column[Any]) -> tuple[int, int]:
    """(resealed, could not be opened); a batch is a transaction, so nobody waits long."""
    raw = type_coerce(column, LargeBinary)
    (key,) = (
        table.primary_key.columns
    )  # `id`, or what the row belongs to where there is one row for each (profile)
    last, done, closed = 0, 0, 0
    while True:
        old = (column.is_not(None), func.substr(raw, 1, len(safe.vault.prefix)) != safe.vault.prefix)
        query = select(key, raw).where(key > last, *old).order_by(key).limit(BATCH).with_for_update()
        rows = db.session.execute(query).all()
        if not rows:
            return done, closed
        for row_id, value in rows:
            last = row_id
            try:
                fresh = safe.vault.rotate(bytes(value))
            except VaultError:
                closed += 1
                continue
            db.session.execute(
                update(table).where(key == row_id).values({column: type_coerce(fresh, LargeBinary)})
            )
            done += 1
        db.session.commit()
