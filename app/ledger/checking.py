"""The twenty invariants of the money (reliability 4.3), as far as rows can tell: read hourly, and after every step in the tests."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from app.ledger.answers import Breach


def breaches(session: Session) -> list[Breach]:
    """Every invariant that does not hold now; empty = the books are right. Only reads."""
    raise NotImplementedError


def watch(session: Session, now: datetime) -> list[Breach]:
    """`breaches`, made visible: an open case "ledger.breach" for the operator stops all releases and payouts; it closes when all is right again."""
    raise NotImplementedError
