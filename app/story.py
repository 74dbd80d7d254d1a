"""What people read afterwards: timeline lines and cases, written in the same transaction as what they tell.

A timeline line is history; a case is open until its problem is gone, and there is never more than one open case per code and subject.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import plan
from app.models import Case, Order, Timeline
from app.models.columns import table_of

CASES = table_of(Case)

# Written out, not bound: PostgreSQL finds the partial index only by a literal. A statement is prepared after a few runs,
# and with a parameter in this place it then fails on every further case.
_OPEN = text("state = 'open'")


def tell(
    session: Session,
    order: Order,
    code: str,
    /,
    *,
    command_id: int | None = None,
    event_id: int | None = None,
    **params: Any,
) -> None:
    """One line in the story of an order. `params` must hold no personal data. The shop's order box is due from now on."""
    order.story_due = datetime.now(UTC)
    session.add(
        Timeline(
            account_id=order.account_id,
            order_id=order.id,
            connection_id=order.connection_id,
            code=code,
            params=plan.jsonable(params),
            command_id=command_id,
            event_id=event_id,
        )
    )


def open_case(
    session: Session,
    *,
    account_id: int,
    subject: str,
    code: str,
    params: Mapping[str, Any],
    order_id: int | None = None,
    connection_id: int | None = None,
) -> None:
    """Make a problem visible; a second call for the same problem changes nothing."""
    session.execute(
        insert(CASES)
        .values(
            account_id=account_id,
            subject=subject,
            code=code,
            order_id=order_id,
            connection_id=connection_id,
            params=plan.jsonable(params),
            state="open",
        )
        .on_conflict_do_nothing(index_elements=["account_id", "code", "subject"], index_where=_OPEN)
    )


def order_case(session: Session, order: Order, code: str, /, *, part: str = "", **params: Any) -> None:
    """A problem of one order; `part` tells two problems of the same kind apart (a piece, a refund)."""
    open_case(
        session,
        account_id=order.account_id,
        subject=f"order/{order.id}" + (f"/{part}" if part else ""),
        code=code,
        params=params,
        order_id=order.id,
        connection_id=order.connection_id,
    )


def close_case(session: Session, *, account_id: int, subject: str, code: str | None = None) -> None:
    """The problem is gone."""
    where = [Case.account_id == account_id, Case.subject == subject, Case.state == "open"]
    if code is not None:
        where.append(Case.code == code)
    session.execute(update(Case).where(*where).values(state="closed", closed_at=func.now()))


def close_cases(session: Session, *, account_id: int, subjects: Collection[str]) -> None:
    """The problems of all these subjects are gone: one statement for a whole batch, because most have none."""
    if subjects:
        where = [Case.account_id == account_id, Case.subject.in_(subjects), Case.state == "open"]
        session.execute(update(Case).where(*where).values(state="closed", closed_at=func.now()))
