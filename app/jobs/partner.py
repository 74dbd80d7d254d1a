"""One connection with the client that speaks to it, and what a bad answer means for the connection as a whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from flask import current_app
from sqlalchemy import insert
from sqlalchemy.orm import Session

from app import outbound, plan
from app.errors import ShopbridgeError, Unauthorised, Unavailable
from app.extensions import db
from app.jobs.keeping import KeptInDatabase
from app.models import Attempt, Connection
from app.models.columns import table_of
from app.registry import provider
from app.story import open_case


@cache
def _limiter(redis_url: str) -> outbound.Limiter:
    """The pace of calls, counted in Redis for all workers together; one engine for each process."""
    return outbound.Limiter.on_redis(redis_url)


@cache
def _breaker(redis_url: str, connection_id: int) -> outbound.Breaker:
    return outbound.Breaker.on_redis(redis_url, connection_id)


def _valid(entries: list[dict[str, Any]]) -> list[str]:
    """The signing secrets that still count, newest first; several while one is being rotated."""
    now = datetime.now(UTC)
    return [
        each["secret"]
        for each in entries
        if not each.get("until") or datetime.fromisoformat(each["until"]) > now
    ]


def _origin(url: str) -> str:
    """Of an address that stands for the partner's own: a simulator serves all its hosts at one."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _factor(base_url: str | None) -> float:
    """Simulators on this machine live faster than the partners they stand for."""
    host = urlsplit(base_url or "").hostname
    if host not in {"127.0.0.1", "::1", "localhost"} or not current_app.config["SHOPBRIDGE_ALLOW_LOOPBACK"]:
        return 1.0
    factor: float = current_app.config["SHOPBRIDGE_SANDBOX_PACE"]
    return factor


class Partner:
    """One connection with the client that speaks to it. Every call it makes is an attempt row."""

    def __init__(self, connection: Connection) -> None:
        self.connection_id, self.account_id = connection.id, connection.account_id
        self.provider = provider(connection.provider)
        self.command_id: int | None = None
        address = self.provider.address(connection.settings)
        own_address = connection.base_url not in {None, address}
        self.hurry = factor = _factor(connection.base_url) if own_address else 1.0
        door = outbound.Door(
            connection=connection.id,
            base_url=connection.base_url or address or "",
            egress="tenant_url" if own_address else self.provider.egress,
            allow_loopback=current_app.config["SHOPBRIDGE_ALLOW_LOOPBACK"],
            pace=outbound.faster(self.provider.pace, factor),
            limiter=_limiter(current_app.config["REDIS_URL"]),
            breaker=_breaker(current_app.config["REDIS_URL"], connection.id),
            record=self.record,
            hosts={
                name: _origin(connection.base_url or "") if own_address else url
                for name, url in self.provider.hosts.items()
            },
            lanes={name: outbound.faster(pace, factor) or pace for name, pace in self.provider.lanes.items()},
            kept=KeptInDatabase(db.engine, connection.id),
            shared=KeptInDatabase(db.engine, connection.id, shared=True),
        )
        secrets = connection.secrets or {}
        settings = {
            **connection.settings,
            **secrets.get("settings", {}),
            "command": _valid(secrets.get("command", [])),
            "egress_addresses": current_app.config.get("SHOPBRIDGE_EGRESS_ADDRESSES", []),
        }
        self.client = self.provider.client(door, settings)

    def record(self, note: outbound.AttemptNote) -> None:
        """Written in a transaction of its own: what was said stays known, whatever becomes of the work."""
        values = {
            "account_id": self.account_id,
            "connection_id": self.connection_id,
            "command_id": self.command_id,
            "operation": note.operation,
            "method": note.method,
            "url": note.url,
            "started_at": note.started_at,
            "duration_ms": note.duration_ms,
            "outcome": note.outcome,
            "status": note.status,
            "excerpt": note.excerpt.replace("\x00", ""),
            "error": note.error,
        }
        with db.engine.begin() as connection:
            connection.execute(insert(table_of(Attempt)).values(values))


def rests(connection: Connection) -> bool:
    """Whether the partner asked for a pause that is not over."""
    return connection.paused_until is not None and connection.paused_until > datetime.now(UTC)


def note_trouble(session: Session, connection: Connection, error: ShopbridgeError) -> None:
    """What an error means for the whole connection: it needs a person (credentials), it rests (a 429 that no lane could take), or nothing but a line on its page."""
    connection.last_error_at, connection.last_error_code = datetime.now(UTC), error.code
    if isinstance(error, Unauthorised):
        connection.state, connection.reason_code = "needs_attention", error.code
        connection.reason_params = plan.jsonable(error.params)
        open_case(
            session,
            account_id=connection.account_id,
            connection_id=connection.id,
            subject=f"connection/{connection.id}",
            code=error.code,
            params=error.params,
        )
    elif isinstance(error, Unavailable) and error.pauses:
        connection.paused_until = datetime.now(UTC) + timedelta(
            seconds=error.retry_after or outbound.REST_SECONDS
        )
