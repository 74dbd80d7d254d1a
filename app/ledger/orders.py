"""Payment instructions as rows: written once by key, each with its command for the payment connection, in the caller's transaction.

What may go wrong: no payment provider is configured. Then the operator's account gets a connection of the provider "manual", where a person
ticks off what was paid.
"""

from __future__ import annotations

import secrets

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import outbox
from app.ledger.posting import now
from app.models import Account, Connection, Payment
from app.models.columns import table_of

OPERATOR = "operator"
MANUAL = "manual"


def payment_connection(session: Session) -> Connection:
    """The operator's payment connection; the account "operator" with a connection of the provider "manual" is made when there is none."""
    found = _connection(session)
    if found is None:
        _make_manual(session)
        found = _connection(session)
    if found is None:
        raise LookupError("the operator has no payment connection")
    return found


def _connection(session: Session) -> Connection | None:
    """An active one first, then whatever is not removed; a real provider before payments by hand, which were perhaps only the beginning. The
    oldest of these counts, so that it does not change by itself.
    """
    return session.scalars(
        select(Connection)
        .join(Account, Account.id == Connection.account_id)
        .where(Account.name == OPERATOR, Connection.role == "payment", Connection.state != "removed")
        .order_by((Connection.state == "active").desc(), Connection.provider == MANUAL, Connection.id)
        .limit(1)
    ).first()


def _make_manual(session: Session) -> None:
    """Two callers at once make one: the second waits for the first at the unique names."""
    session.execute(insert(table_of(Account)).values(name=OPERATOR, locale="de").on_conflict_do_nothing())
    owner = session.scalars(select(Account.id).where(Account.name == OPERATOR)).one()
    session.execute(
        insert(table_of(Connection))
        .values(
            account_id=owner,
            key=f"cn_{secrets.token_hex(10)}",
            provider=MANUAL,
            role="payment",
            name=MANUAL,
            state="active",
        )
        .on_conflict_do_nothing()
    )


def instruct(session: Session, payment: Payment) -> Payment:
    """Write the instruction and the command that carries it out."""
    connection = session.get_one(Connection, payment.connection_id)
    session.add(payment)
    session.flush()
    outbox.write(
        session,
        account_id=connection.account_id,
        connection_id=connection.id,
        kind="pay",
        subject=f"payment/{payment.id}",
        key=payment.key,
        payload={"payment": payment.id},
    )
    return payment


def payment_by_key(session: Session, key: str) -> Payment | None:
    """The instruction with this key."""
    return session.scalar(select(Payment).where(Payment.key == key))


def withdraw(session: Session, payment: Payment) -> bool:
    """Take an instruction back that nobody has begun to send; False when it may be on its way.

    Who sends marks the row `unknown` in a commit of its own before the call (app.flows.pay), so `due` means that nothing was sent.
    """
    session.refresh(payment, with_for_update={"key_share": True})
    if payment.state != "due":
        return False
    payment.state, payment.done_at = "withdrawn", now()
    session.flush()
    return True
