"""What workers run. A job is a lane of one connection: due rows are claimed, one flow per row, then the next connection has its turn.

Three jobs and nothing else (queues.FUNCTIONS). Each stops after a batch or its time and rings again, so a flooding shop never keeps the
others waiting.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Flask, current_app

from app import create_app, queues
from app.jobs.commands import DELIVERIES, Outbox
from app.jobs.events import Inbox
from app.jobs.partner import Partner
from app.jobs.polls import Polls

__all__ = ["DELIVERIES", "Partner", "ask_marketplace", "drain_inbox", "drain_outbox", "worker_app"]


@cache
def worker_app() -> Flask:
    """The application of this worker process, made once: connections and the vault stay open from job to job."""
    return create_app(web=False)


def drain_inbox(connection_id: int) -> None:
    """Work off due events of one connection."""
    with _context():
        queues.lower("in", connection_id)
        Inbox(connection_id).drain()


def drain_outbox(connection_id: int) -> None:
    """Deliver due commands and offers of one connection."""
    with _context():
        queues.lower("out", connection_id)
        Outbox(connection_id).drain()


def ask_marketplace(connection_id: int) -> None:
    """Ask one marketplace everything that is due."""
    with _context():
        queues.lower("poll", connection_id)
        Polls(connection_id).ask()


def _context() -> Any:
    return current_app.app_context() if current_app else worker_app().app_context()
