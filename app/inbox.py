"""The way in: accept an event before it is answered, claim due events under a lease, finish them with the fencing token.

What may go wrong: a worker dies holding events (the lease ends and another takes them), two workers hold the same event (only the newer
token may finish it), a shop sends the same id twice (the unique key answers "duplicate"). RQ is not involved: these rows are the queue.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as DbConnection
from sqlalchemy import bindparam, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session

from app import plan
from app.errors import ShopbridgeError
from app.extensions import safe
from app.models import Event
from app.models.columns import table_of
from app.story import close_cases

EVENTS = table_of(Event)

OWN_SEQUENCES = 2**53
"""Sequences above this are ours: of events that the bridge writes for a system that acts through the supplier API. No shop's number gets there
(docs/suppliers.md), so they are in nobody's daily manifest (D7).
"""

_ACCEPT = (
    pg_insert(EVENTS)
    .values(
        account_id=bindparam("account_id"),
        connection_id=bindparam("connection_id"),
        delivery_id=bindparam("delivery_id"),
        type=bindparam("type"),
        subject=bindparam("subject"),
        sequence=bindparam("sequence"),
        happened_at=bindparam("happened_at"),
        body=bindparam("body"),
    )
    .on_conflict_do_nothing(index_elements=["connection_id", "delivery_id"])
    .returning(EVENTS.c.id)
)


def accept(
    db: DbConnection,
    *,
    account_id: int,
    connection_id: int,
    delivery_id: str,
    kind: str,
    subject: str,
    sequence: int,
    happened_at: datetime,
    body: bytes,
) -> int | None:
    """Store one verified event; None when this delivery id is already there. The caller's connection must be in autocommit mode:
    when this returns, the event is durable and may be answered (D1).
    """
    row = db.execute(
        _ACCEPT,
        {
            "account_id": account_id,
            "connection_id": connection_id,
            "delivery_id": delivery_id,
            "type": kind,
            "subject": subject,
            "sequence": sequence,
            "happened_at": happened_at,
            "body": body,
        },
    ).scalar()
    return None if row is None else int(row)


@dataclass(frozen=True)
class Claimed:
    """An event held under a lease. The message stays sealed until it is read, so one unreadable row harms nobody else."""

    id: int
    type: str
    subject: str
    sequence: int
    attempts: int
    sealed: bytes

    def data(self) -> dict[str, Any]:
        """The `data` of the envelope; the envelope was checked before it was stored. Raises Refused(vault.key_missing)."""
        return dict(json.loads(safe.vault.open(bytes(self.sealed)))["data"])


@dataclass(frozen=True)
class Batch:
    """Events of one connection, oldest sequence first, and the token that proves they are ours."""

    token: str
    events: Sequence[Claimed]


_DUE = text("""
    UPDATE event SET state = 'leased', lease_token = :token, lease_until = now() + make_interval(secs => :lease), attempts = attempts + 1
    WHERE id IN (
        SELECT id FROM event
        WHERE connection_id = :connection AND state IN ('due', 'leased') AND next_attempt_at <= now()
          AND (state = 'due' OR lease_until < now())
        ORDER BY next_attempt_at, id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING id, type, subject, sequence, attempts, body
""")


def claim(session: Session, connection_id: int, *, lease: int, limit: int = 100) -> Batch:
    """Take up to `limit` due events of one connection for `lease` seconds. Commits."""
    token = secrets.token_hex(8)
    rows = session.execute(
        _DUE, {"token": token, "lease": lease, "connection": connection_id, "limit": limit}
    ).all()
    session.commit()
    return Batch(token, [Claimed(*row) for row in sorted(rows, key=lambda row: (row.sequence, row.id))])


class LeaseLost(Exception):
    """Another worker has taken over: nothing of this batch may be kept."""


def finish(session: Session, batch: Batch, ids_by_state: dict[str, list[int]]) -> None:
    """Mark events done or superseded in the caller's transaction. Raises LeaseLost when one of them is no longer ours: roll back then."""
    for state, ids in ids_by_state.items():
        if not ids:
            continue
        done = session.execute(
            update(EVENTS)
            .where(EVENTS.c.id.in_(ids), EVENTS.c.lease_token == batch.token, EVENTS.c.state == "leased")
            .values(
                state=state,
                done_at=text("now()"),
                lease_token=None,
                lease_until=None,
                reason_code=None,
                reason_params=None,
            )
        )
        if done.rowcount != len(ids):  # type: ignore[attr-defined]
            raise LeaseLost


def fail(
    session: Session, batch: Batch, event: Claimed, error: ShopbridgeError, *, final: bool, scale: float
) -> str:
    """Write down why an event could not be worked off: refused when a person must act, else later, else dead. Answers the new state."""
    wait = None if final else plan.wait(event.attempts, scale)
    state = "refused" if final else ("dead" if wait is None else "due")
    session.execute(
        update(EVENTS)
        .where(EVENTS.c.id == event.id, EVENTS.c.lease_token == batch.token)
        .values(
            state=state,
            reason_code=error.code,
            reason_params=plan.jsonable(error.params),
            lease_token=None,
            lease_until=None,
            next_attempt_at=text("now()")
            if wait is None
            else text("now() + make_interval(secs => :wait)").bindparams(wait=wait),
        )
    )
    return state


def release(session: Session, batch: Batch, ids: Iterable[int]) -> None:
    """Give back events that were not started (the job's time is up); they count as not tried."""
    session.execute(
        update(EVENTS)
        .where(EVENTS.c.id.in_(list(ids)), EVENTS.c.lease_token == batch.token)
        .values(state="due", lease_token=None, lease_until=None, attempts=EVENTS.c.attempts - 1)
    )


def replay(session: Session, *where: Any) -> list[int]:
    """Make events due again: one, a range, or all blocked by one reason. Answers the connections that have work now. Commits."""
    rows = session.execute(
        update(EVENTS)
        .where(
            *where, EVENTS.c.body.is_not(None), EVENTS.c.state.in_(("refused", "dead", "done", "superseded"))
        )
        .values(
            state="due",
            attempts=0,
            next_attempt_at=text("now()"),
            lease_token=None,
            lease_until=None,
            done_at=None,
        )
        .returning(EVENTS.c.account_id, EVENTS.c.connection_id, EVENTS.c.id)
    ).all()
    for account_id in {row.account_id for row in rows}:
        mine = [f"event/{row.id}" for row in rows if row.account_id == account_id]
        close_cases(session, account_id=account_id, subjects=mine)
    session.commit()
    return sorted({row.connection_id for row in rows})


def waiting_connections(session: Session) -> list[int]:
    """Connections with due events or ended leases: the sweep rings for them. A shop that has not answered a ping yet waits."""
    query = text("""
        SELECT DISTINCT e.connection_id FROM event e JOIN connection c ON c.id = e.connection_id
        WHERE e.state IN ('due', 'leased') AND e.next_attempt_at <= now() AND (e.state = 'due' OR e.lease_until < now())
          AND c.state <> 'pending'
    """)
    return list(session.execute(query).scalars())


def purge_bodies(session: Session, before: datetime) -> int:
    """Empty the raw bodies of events that were finished before; their ids stay for ever, so a late duplicate is still known. Commits."""
    done = session.execute(
        update(EVENTS)
        .where(
            EVENTS.c.state.in_(("done", "superseded")), EVENTS.c.done_at < before, EVENTS.c.body.is_not(None)
        )
        .values(body=None)
    )
    session.commit()
    return int(done.rowcount)  # type: ignore[attr-defined]
