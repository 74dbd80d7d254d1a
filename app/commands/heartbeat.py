"""A worker's sign of life: a row every 15 seconds, written by a small thread, read by the doctor and /healthz.

What may go wrong: the database is away for a while; the thread waits and tries again, the worker itself decides what that means for it.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psutil
import structlog
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.models import Heartbeat

if TYPE_CHECKING:
    from flask import Flask

SECONDS = 15.0

log = structlog.get_logger(__name__)


@contextmanager
def of_worker(made: Flask, lane: str, name: str | None) -> Iterator[str]:
    """Beat while the block runs; a worker that ends in peace takes its row along. Gives the name of the row."""
    host = socket.gethostname()
    shown = name or f"worker-{lane}-{host}-{os.getpid()}"
    facts = {"lane": lane, "pid": os.getpid(), "host": host}
    stopped = threading.Event()
    _bury_the_dead(host)
    _beat(shown, facts)
    thread = threading.Thread(
        target=_keep_beating, args=(made, shown, facts, stopped), name="heartbeat", daemon=True
    )
    thread.start()
    try:
        yield shown
    finally:
        stopped.set()
        thread.join(timeout=5)
        _forget(shown)


def _keep_beating(made: Flask, name: str, facts: dict[str, Any], stopped: threading.Event) -> None:
    with made.app_context():
        while not stopped.wait(SECONDS):
            try:
                _beat(name, facts)
            except SQLAlchemyError as error:
                log.warning("heartbeat.not_written", worker=name, error=type(error).__name__)


def _beat(name: str, facts: dict[str, Any]) -> None:
    values = {"at": datetime.now(UTC), "facts": facts}
    with db.engine.begin() as connection:
        written = insert(Heartbeat).values(name=name, **values)
        connection.execute(written.on_conflict_do_update(index_elements=["name"], set_=values))


def _forget(name: str) -> None:
    try:
        with db.engine.begin() as connection:
            connection.execute(delete(Heartbeat).where(Heartbeat.name == name))
    except SQLAlchemyError as error:
        log.warning("heartbeat.not_removed", worker=name, error=type(error).__name__)


def _bury_the_dead(host: str) -> None:
    """Rows of workers of this machine that were killed: nobody else would take them away, and they would look like silent ones."""
    with db.engine.begin() as connection:
        rows = connection.execute(
            select(Heartbeat.name, Heartbeat.facts).where(Heartbeat.facts["host"].astext == host)
        ).all()
        dead = [row.name for row in rows if not psutil.pid_exists(int(row.facts.get("pid", 0)))]
        if dead:
            connection.execute(delete(Heartbeat).where(Heartbeat.name.in_(dead)))
