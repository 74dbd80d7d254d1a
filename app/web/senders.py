"""Who may send to which webhook address: a small memory in front of the connection table, so that the hot path asks the database nothing.

What may go wrong: a secret is rotated or a connection removed while it is remembered here. Every entry is therefore forgotten after two
seconds, the unknown ones too, and the memory has an upper bound, because anybody can invent addresses.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Flask, current_app
from sqlalchemy import select

from app.models import Connection
from app.web import intake

REMEMBER_SECONDS = 2.0
MOST = 10_000

_KEY = re.compile(r"cn_[A-Za-z0-9_-]{1,61}")
_CONNECTION = Connection.__table__


@dataclass(frozen=True, slots=True)
class Sender:
    """What the web needs to know about a connection. `event_secrets`: (secret, valid until or None), newest first."""

    id: int
    account_id: int
    provider: str
    role: str
    state: str
    event_secrets: Sequence[tuple[str, datetime | None]]

    def secrets(self, now: datetime) -> list[str]:
        """The secrets that are valid at `now`, newest first; several while one is being rotated."""
        return [secret for secret, until in self.event_secrets if until is None or until > now]


class Senders:
    """The memory of one process. Threads may look at it together: entries are replaced, never changed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, Sender | None]] = {}

    def find(self, key: str) -> Sender | None:
        """The sender behind a connection key, None for an unknown one. At most two seconds old. Raises what the database raises."""
        if not _KEY.fullmatch(key):
            return None
        now = self._clock()
        entry = self._known.get(key)
        if entry is not None and entry[0] > now:
            return entry[1]
        sender = self._read(key)
        if len(self._known) >= MOST:
            self._known = {name: kept for name, kept in self._known.copy().items() if kept[0] > now}
            if len(self._known) >= MOST:
                self._known = {}
        self._known[key] = (now + REMEMBER_SECONDS, sender)
        return sender

    def forget(self, key: str) -> None:
        """The next look asks the database again."""
        self._known.pop(key, None)

    def _read(self, key: str) -> Sender | None:
        columns = _CONNECTION.c
        query = select(
            columns.id, columns.account_id, columns.provider, columns.role, columns.state, columns.secrets
        ).where(columns.key == key)
        row = intake.do(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            return None
        return Sender(
            row.id, row.account_id, row.provider, row.role, row.state, valid_secrets(row.secrets, "event")
        )


def valid_secrets(secrets: Any, direction: str) -> list[tuple[str, datetime | None]]:
    """The signing secrets of one direction out of a connection's sealed `secrets`."""
    entries = (secrets or {}).get(direction) or []
    return [(entry["secret"], _moment(entry.get("until"))) for entry in entries]


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def senders() -> Senders:
    """The memory of this process's app."""
    found: Senders = current_app.extensions["shopbridge.senders"]
    return found


def register(app_: Flask) -> None:
    """One memory per app."""
    app_.extensions["shopbridge.senders"] = Senders()
