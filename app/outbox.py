"""The way out: write a command once, claim due commands under a lease, finish them with the fencing token.

What may go wrong: a worker dies between the call and the commit. The claim therefore marks the row `in_doubt`, and whoever claims it next is
told so and reads back before repeating. Commands of one subject (an order) go out one after another, in the order they were written; only
a ping waits for nobody, because it is what brings a connection back, and nobody waits for a note.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import plan
from app.errors import ShopbridgeError
from app.inbox import LeaseLost
from app.models import Command, Order
from app.models.columns import table_of
from app.story import close_cases

COMMANDS = table_of(Command)


def write(
    session: Session,
    *,
    account_id: int,
    connection_id: int,
    kind: str,
    subject: str,
    key: str,
    payload: dict[str, Any] | None = None,
    order_id: int | None = None,
) -> int | None:
    """Write one deed in the caller's transaction; None when a command with this key is already there (it is written once)."""
    written: int | None = session.execute(
        insert(COMMANDS)
        .values(
            account_id=account_id,
            connection_id=connection_id,
            kind=kind,
            subject=subject,
            key=key,
            payload=payload or {},
            order_id=order_id,
        )
        .on_conflict_do_nothing(index_elements=["connection_id", "key"])
        .returning(COMMANDS.c.id)
    ).scalar()
    if written is not None:
        note_work(session, [connection_id])
    return written


def note_work(session: Session, connection_ids: Iterable[int]) -> None:
    """These connections have something to send now: a deed, or a state that must be shown."""
    session.info.setdefault("shopbridge.given_work", set()).update(connection_ids)


def given_work(session: Session) -> set[int]:
    """Connections that have something to send since the last call: they are rung after the commit, whoever's they are. One too many (its
    transaction was rolled back) does no harm.
    """
    found: set[int] = session.info.pop("shopbridge.given_work", set())
    return found


def write_for_order(
    session: Session,
    order: Order,
    connection_id: int,
    kind: str,
    key: str,
    payload: dict[str, Any] | None = None,
) -> int | None:
    """Write one deed of an order, once by `key`. Deeds of one order go out one after another at each partner."""
    return write(
        session,
        account_id=order.account_id,
        connection_id=connection_id,
        kind=kind,
        subject=f"order/{order.id}",
        key=key,
        payload=payload,
        order_id=order.id,
    )


def take_up(
    session: Session,
    order: Order,
    connection_id: int,
    key: str,
    payload: dict[str, Any],
    states: Collection[str] = ("refused", "dead"),
) -> int | None:
    """A person decides anew about a deed that is over in one of these `states`: it is due with what he says now, its case is closed. It stays in
    doubt if it was. Answers its id, None when there is none such.
    """
    fresh = {"payload": payload, "state": "due", "attempts": 0, "next_attempt_at": text("now()")}
    again = session.scalar(
        update(Command)
        .where(Command.connection_id == connection_id, Command.key == key, Command.state.in_(states))
        .values(**fresh, done_at=None, result={}, lease_token=None, lease_until=None)
        .returning(Command.id)
    )
    if again is not None:
        close_cases(session, account_id=order.account_id, subjects=[case_subject(again, order.id)])
        note_work(session, [connection_id])
    return again


def is_written(session: Session, order: Order, kind: str) -> bool:
    """Whether a deed of this kind was ever written for the order, in whatever state it is."""
    return (
        session.scalar(select(Command.id).where(Command.order_id == order.id, Command.kind == kind).limit(1))
        is not None
    )


def message_id() -> str:
    """The id of a message that is no command row but safe to repeat; the shop's `webhook-id` (docs/protocol.md section 1)."""
    return f"cmd_{secrets.token_hex(13)}"


@dataclass(frozen=True)
class Claimed:
    """A command held under a lease. `in_doubt`: an earlier try may have had its effect, read back before repeating."""

    id: int
    kind: str
    subject: str
    payload: dict[str, Any]
    order_id: int | None
    attempts: int
    in_doubt: bool
    created_at: datetime
    token: str

    @property
    def public_id(self) -> str:
        """The id that partners see: the same in every try, and never again for another command, not even in a database that was
        restored or begun anew.
        """
        return f"cmd_{self.id}_{int(self.created_at.timestamp() * 1000):x}"

    @property
    def repeated(self) -> bool:
        """An earlier try got at least as far as the first call: some of its parts may be done."""
        return self.in_doubt or self.attempts > 1


_DUE = text("""
    UPDATE command SET state = 'leased', lease_token = :token, lease_until = now() + make_interval(secs => :lease),
           attempts = command.attempts + 1, in_doubt = true
    FROM (
        SELECT c.id, c.in_doubt FROM command c
        WHERE c.connection_id = :connection AND c.state IN ('due', 'leased') AND c.next_attempt_at <= now()
          AND (c.state = 'due' OR c.lease_until < now())
          AND (:kind = '' OR c.kind = :kind)
          AND (c.kind = 'ping' OR NOT EXISTS (
              SELECT 1 FROM command e
              WHERE e.connection_id = c.connection_id AND e.subject = c.subject AND e.id < c.id AND e.state IN ('due', 'leased')
                AND e.kind <> 'order.note'))
        ORDER BY c.id LIMIT :limit FOR UPDATE SKIP LOCKED) AS before
    WHERE command.id = before.id
    RETURNING command.id, command.kind, command.subject, command.payload, command.order_id, command.attempts, before.in_doubt,
              command.created_at
""")


def claim(
    session: Session, connection_id: int, *, lease: int, limit: int = 10, kind: str = ""
) -> list[Claimed]:
    """Take up to `limit` due commands of one connection for `lease` seconds; `kind` narrows (pings pass where nothing else may). Commits."""
    token = secrets.token_hex(8)
    found = {"token": token, "lease": lease, "connection": connection_id, "limit": limit, "kind": kind}
    rows = session.execute(_DUE, found).all()
    session.commit()
    return sorted((Claimed(**row._mapping, token=token) for row in rows), key=lambda command: command.id)


def finish(session: Session, command: Claimed, result: dict[str, Any]) -> None:
    """Mark a command done in the caller's transaction, together with what it changed. Raises LeaseLost when it is no longer ours."""
    _settle(
        session,
        command,
        state="done",
        result=result,
        in_doubt=False,
        reason_code=None,
        reason_params=None,
        done_at=text("now()"),
    )


def refuse(session: Session, command: Claimed, error: ShopbridgeError, *, in_doubt: bool = False) -> None:
    """A person must act; the command waits for a replay. `in_doubt`: it may have happened, so a replay alone does not repeat it."""
    _settle(session, command, state="refused", in_doubt=in_doubt, **_reason(error))


def later(
    session: Session,
    command: Claimed,
    error: ShopbridgeError,
    *,
    scale: float,
    retry_after: float | None,
    in_doubt: bool,
    counts: bool = True,
) -> str:
    """Not now: `retry_after` seconds or the retry plan decide; used up = dead. Answers the state.

    `counts=False` gives the try back, except the first one: some of its calls may have been made before it was stopped, and whoever comes
    next must know that (Claimed.repeated).
    """
    planned = plan.wait(command.attempts, scale) if counts else plan.STEPS[0] * scale
    wait = planned if planned is None or retry_after is None else max(retry_after, 0.0)
    _settle(
        session,
        command,
        state="dead" if wait is None else "due",
        in_doubt=in_doubt,
        attempts=command.attempts if counts else max(command.attempts - 1, 1),
        next_attempt_at=text("now()")
        if wait is None
        else text("now() + make_interval(secs => :wait)").bindparams(wait=wait),
        **_reason(error),
    )
    return "dead" if wait is None else "due"


def _reason(error: ShopbridgeError) -> dict[str, Any]:
    return {"reason_code": error.code, "reason_params": plan.jsonable(error.params)}


def _settle(session: Session, command: Claimed, **values: Any) -> None:
    done = session.execute(
        update(COMMANDS)
        .where(
            COMMANDS.c.id == command.id, COMMANDS.c.lease_token == command.token, COMMANDS.c.state == "leased"
        )
        .values(lease_token=None, lease_until=None, **values)
    )
    if done.rowcount != 1:  # type: ignore[attr-defined]
        raise LeaseLost


def take_up_skipped(session: Session, order_id: int) -> None:
    """Deeds that were skipped because the shop did not have the order: it has it now, so a cancellation must still be told there."""
    session.execute(
        update(COMMANDS)
        .where(
            COMMANDS.c.order_id == order_id,
            COMMANDS.c.kind.in_(("order.cancel", "order.stop_shipping", "order.refund", "order.note")),
            COMMANDS.c.state == "done",
            COMMANDS.c.result.has_key("skipped"),
        )
        .values(state="due", attempts=0, next_attempt_at=text("now()"), done_at=None)
    )


def replay(session: Session, *where: Any, it_did_not_happen: bool = False) -> list[int]:
    """Make refused or dead commands due again; their cases are closed, and open anew when they fail once more. Commits.

    They keep `in_doubt`, so nothing is repeated blindly, unless a person has looked and says that it did not happen. Answers the connections.
    """
    sure = {"in_doubt": False} if it_did_not_happen else {}
    rows = session.execute(
        update(COMMANDS)
        .where(*where, COMMANDS.c.state.in_(("refused", "dead")))
        .values(
            state="due", attempts=0, next_attempt_at=text("now()"), lease_token=None, lease_until=None, **sure
        )
        .returning(COMMANDS.c.account_id, COMMANDS.c.connection_id, COMMANDS.c.order_id, COMMANDS.c.id)
    ).all()
    for account_id in {row.account_id for row in rows}:
        mine = [case_subject(row.id, row.order_id) for row in rows if row.account_id == account_id]
        close_cases(session, account_id=account_id, subjects=mine)
    session.commit()
    return sorted({row.connection_id for row in rows})


def case_subject(command_id: int, order_id: int | None) -> str:
    """Under which subject a command that is stuck is a case (story.order_case, story.open_case)."""
    return f"order/{order_id}/command/{command_id}" if order_id else f"command/{command_id}"


def waiting_connections(session: Session) -> list[int]:
    """Connections with something due to be sent: commands, offers, stories, listings, releases. The sweep rings for them; paused and unfinished
    ones stay quiet.
    """
    query = text("""
        SELECT c.id FROM connection c
        WHERE c.state <> 'removed' AND (c.paused_until IS NULL OR c.paused_until <= now()) AND (
            EXISTS (SELECT 1 FROM command k WHERE k.connection_id = c.id AND k.state IN ('due', 'leased') AND k.next_attempt_at <= now()
                    AND (k.state = 'due' OR k.lease_until < now()) AND (c.state = 'active' OR k.kind = 'ping'))
            OR (c.state = 'active' AND c.role = 'shop' AND EXISTS (
                    SELECT 1 FROM orders s WHERE s.shop_id = c.id AND s.shop_order_id IS NOT NULL AND s.story_due <= now()))
            OR (c.state = 'active' AND c.role = 'shop' AND c.base_url IS NOT NULL AND (
                    EXISTS (SELECT 1 FROM listing l WHERE l.shop_id = c.id AND (l.stale OR l.lease_until IS NOT NULL)
                            AND l.next_attempt_at <= now() AND (l.lease_until IS NULL OR l.lease_until < now()))
                    OR EXISTS (SELECT 1 FROM release r JOIN product p ON p.id = r.product_id
                               WHERE r.account_id = c.account_id AND NOT r.told AND p.connection_id = c.id)))
            OR (c.state = 'active' AND c.sync AND EXISTS (
                    SELECT 1 FROM offer o WHERE o.connection_id = c.id AND (o.stale OR o.sent_revision < o.revision) AND o.next_attempt_at <= now()
                    AND (o.lease_until IS NULL OR o.lease_until < now())))
            OR (c.state = 'active' AND EXISTS (
                    SELECT 1 FROM offer o WHERE o.connection_id = c.id AND o.task_due_at <= now())))
    """)
    return list(session.execute(query).scalars())
