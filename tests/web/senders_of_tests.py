"""A shop as the tests send from it: signs, posts, counts rows."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import accounts
from app.extensions import db
from app.models import Account
from app.shops import signing

_numbers = count(1)


@dataclass
class Shop:
    app: Flask
    id: int
    key: str
    secret: str
    account_id: int

    def headers(
        self, body: bytes, delivery_id: str | None = None, *, secret: str | None = None, late: float = 0
    ) -> dict[str, str]:
        """Signed headers for this body."""
        now = datetime.now(UTC) - timedelta(seconds=late)
        signed = signing.sign([secret or self.secret], delivery_id or new_id(), body, now)
        return {**signed, "Content-Type": "application/json"}

    def post(
        self, body: bytes, headers: dict[str, Any] | None = None, key: str | None = None
    ) -> TestResponse:
        """The body to the webhook address, signed unless headers are given."""
        used = self.headers(body) if headers is None else headers
        return self.app.test_client().post(f"/webhooks/{key or self.key}", data=body, headers=used)


def new_id() -> str:
    return f"evt_{next(_numbers):026d}"


def shop_of(app: Flask, session: Session, account: Account, name: str = "Teeladen") -> Shop:
    connection, event_secret, _ = accounts.connect_standard(session, account, name)
    session.commit()
    return Shop(app, connection.id, connection.key, event_secret, account.id)


def event(**changes: Any) -> bytes:
    """A good event, with changes; None takes a field away."""
    good = {
        "type": "order.changed",
        "timestamp": "2026-11-21T14:02:11Z",
        "sequence": 4711,
        "subject": "order/1042",
        "data": {"id": 1042, "status": "processing"},
    }
    return json.dumps(
        {name: value for name, value in {**good, **changes}.items() if value is not None}
    ).encode()


def rows(session: Session, table: str = "event") -> int:
    session.rollback()
    return int(session.execute(select(func.count()).select_from(db.metadata.tables[table])).scalar_one())
