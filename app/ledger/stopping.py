"""While an invariant is broken nothing is released and nobody is paid (reliability 4.3): the open case is the switch."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Case

BREACH = "ledger.breach"


def is_stopped(session: Session) -> bool:
    """Whether a breach of the books is open."""
    query = select(Case.id).where(Case.code == BREACH, Case.state == "open").limit(1)
    return session.scalar(query) is not None
