"""Lists in pages: newest first, `{"data": [...], "has_more": true, "next": "<cursor>"}`. New rows never shift a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marshmallow import Schema, fields, validate

from app.extensions import db
from app.web.api import ids

MOST = 100


class PageQuery(Schema):
    """What every list understands. `account` is for operators."""

    limit = fields.Integer(
        load_default=50,
        validate=validate.Range(1, MOST),
        metadata={"description": "Entries on a page, at most 100."},
    )
    cursor = fields.String(metadata={"description": "`next` of the page before."})
    account = fields.String(metadata={"description": "Operators only: one account, e.g. acc_1."})


def page(
    query: Any, key: Any, prefix: str, asked: dict[str, Any], show: Callable[[Any], dict[str, Any]]
) -> dict[str, Any]:
    """One page of `query`, newest first by the number `key`."""
    limit = asked["limit"]
    if asked.get("cursor"):
        query = query.where(key < ids.number(prefix, asked["cursor"], param="cursor"))
    found = db.session.execute(query.order_by(key.desc()).limit(limit + 1)).all()
    rows = [row[0] if len(row) == 1 else row for row in found]
    shown = [show(row) for row in rows[:limit]]
    more = len(rows) > limit
    return {"data": shown, "has_more": more, "next": shown[-1]["id"] if more else None}
