"""The money as people and pages see it, always read from the entries."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.ledger.answers import Money, Totals
from app.models import Trade


def money(session: Session, trade: Trade) -> Money:
    """One trade's money. Needs no lock; under the trade's lock it is exact."""
    raise NotImplementedError


def totals(session: Session, account_id: int | None = None, currency: str = "EUR") -> Totals:
    """All trades of one currency, or those in which this account is the supplier or the retailer."""
    raise NotImplementedError
