"""Codes as people read them, and the names of connections; shared by everything the API shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import g
from sqlalchemy import select

from app.extensions import db
from app.models import Connection
from app.rules import reasons
from app.web.api.caller import locale, mine, stop


def language() -> str:
    """The language of this request, looked up once."""
    if "locale" not in g:
        g.locale = locale()
    return str(g.locale)


def reason(code: str | None, params: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """A reason with its sentence and what to do; None when there is none."""
    if code is None:
        return None
    return {
        "code": code,
        "message": sentence(code, params),
        "next_step": reasons.next_step(code, params, language()),
        "who": reasons.who(code),
    }


def sentence(code: str, params: Mapping[str, Any] | None = None) -> str:
    """The sentence of a code. A story word without one is told as it is, because it is no error."""
    if code not in reasons.table():
        told = ", ".join(f"{name}: {value}" for name, value in (params or {}).items() if value is not None)
        return f"{code.replace('.', ' ').replace('_', ' ')}" + (f" ({told})" if told else "")
    return reasons.sentence(code, params, language())


def key_of(connection_id: int | None) -> str | None:
    """The key of a connection, read once in a request."""
    if connection_id is None:
        return None
    if "connection_keys" not in g:
        query = select(Connection.id, Connection.key, Connection.name).where(mine(Connection.account_id))
        g.connection_keys = {row.id: (row.key, row.name) for row in db.session.execute(query)}
    found = g.connection_keys.get(connection_id)
    return found[0] if found else None


def name_of(connection_id: int | None) -> str | None:
    """The name of a connection."""
    return g.connection_keys[connection_id][1] if key_of(connection_id) else None


def connection_id(key: str, *, param: str = "connection") -> int:
    """The id behind a connection key of the caller's own. Ends the request with 400 for any other."""
    query = select(Connection.id).where(Connection.key == key, mine(Connection.account_id))
    found = db.session.scalar(query) if key.isprintable() and len(key) <= 64 else None
    if found is None:
        stop(400, "connection.unknown", "There is no connection with this key.", param=param)
    return int(found)
