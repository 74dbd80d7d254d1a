"""The database connections of the webhook door: always in autocommit, never asked "are you there?" before use.

That question would cost a round trip for every event. What may go wrong instead: a pooled connection has died (PostgreSQL was restarted). Then
the work is done once more on a new one, so it must be safe to repeat; storing an event is, because its delivery id is unique.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, current_app
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import OperationalError

from app.extensions import db

T = TypeVar("T")

CONNECT_SECONDS = 3


def engine() -> Engine:
    """The engine of this process's app."""
    found: Engine = current_app.extensions["shopbridge.intake"]
    return found


def do(work: Callable[[Connection], T]) -> T:
    """The answer of `work` on a connection in autocommit mode. Raises what the database raises."""
    try:
        with engine().connect() as connection:
            return work(connection)
    except OperationalError as error:
        if not error.connection_invalidated:
            raise
    with engine().connect() as connection:
        return work(connection)


def register(app_: Flask) -> None:
    """One small pool per app: as many connections as threads, so that no event waits for one."""
    with app_.app_context():
        url = db.engine.url
    app_.extensions["shopbridge.intake"] = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=app_.config["SHOPBRIDGE_WEB_THREADS"],
        max_overflow=0,
        pool_timeout=CONNECT_SECONDS,
        pool_reset_on_return=None,  # in autocommit nothing is ever left to roll back
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_SECONDS},
    )
